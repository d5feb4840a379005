//! One call of gRPC: a message each way, over a connection of HTTP/2 of its own.

use std::fmt;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use senary_words::percent::decoded_text;

use crate::{AGENT, Client, MAX_BODY, Server, WebError, header_map};

/// In front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The code of a call that went well.
const OK: u32 = 0;

/// The code of one that ended without a code.
const UNKNOWN: u32 = 2;

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0 if it went well.
    pub code: u32,
    /// The server's words about that.
    pub details: String,
    /// The message, empty if there is none.
    pub message: Bytes,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rpc error: code = {} desc = {}", name(self.code), self.details)
    }
}

/// The name of a code.
fn name(code: u32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    NAMES.get(code as usize).map_or_else(|| format!("Code({code})"), |name| (*name).to_owned())
}

impl Client {
    /// Calls a method, `http://HOST:PORT/SERVICE/METHOD`. Headers are metadata. A message that is said to be compressed is so
    /// with gzip. Over TLS the client's options have to offer `h2`. Time limits are the caller's.
    pub async fn call(
        &self,
        url: &str,
        headers: &[(String, String)],
        message: &Bytes,
        is_compressed: bool,
    ) -> Result<Reply, WebError> {
        let url: Uri = url.parse().map_err(|_| WebError::Url(url.to_owned()))?;
        let server = Server::of(&url)?;
        // A proxy of plain HTTP does not pass on HTTP/2; one of HTTPS becomes a tunnel.
        let proxy = self.0.proxies.to(server.is_secure, &server.host, server.port)?;
        let stream = self.connect(&server, proxy.as_ref().filter(|_| server.is_secure)).await?;
        let mut request = Request::post(url.clone())
            .body(Full::new(framed(message, is_compressed)))
            .map_err(|_| WebError::Url(url.to_string()))?;
        let own = request.headers_mut();
        own.extend(header_map(headers)?);
        own.insert(USER_AGENT, AGENT);
        own.insert(CONTENT_TYPE, GRPC);
        own.insert(TE, HeaderValue::from_static("trailers"));
        if is_compressed {
            own.insert(HeaderName::from_static("grpc-encoding"), HeaderValue::from_static("gzip"));
        }
        let failed = |e: hyper::Error| WebError::Http { host: server.host.clone(), reason: reason(&e) };
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body =
                body.map_err(|e| WebError::Http { host: server.host.clone(), reason: e.to_string() })?;
            // An answer without a message has its status in front.
            let trailers = body.trailers().unwrap_or(&head.headers).clone();
            if !head.status.is_success() {
                let details = format!("unexpected HTTP status code received from server: {}", head.status);
                return Ok(Reply { code: UNKNOWN, details, message: Bytes::new() });
            }
            Ok(reply(&trailers, &body.to_bytes()))
        };
        // The connection moves the bytes; it ends by itself once the response is read and the sender is gone.
        let mut answer = std::pin::pin!(answer);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection => {}
        }
        answer.await
    }
}

fn framed(message: &Bytes, is_compressed: bool) -> Bytes {
    let mut frame = Vec::with_capacity(PREFIX + message.len());
    frame.push(u8::from(is_compressed));
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// The outcome of a call, from its trailers and the frame of its message.
fn reply(trailers: &HeaderMap, frame: &Bytes) -> Reply {
    let text =
        |name: &str| trailers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let code = text("grpc-status").and_then(|code| code.parse().ok());
    let details = match code {
        Some(_) => text("grpc-message").map(|text| decoded_text(&text)).unwrap_or_default(),
        None => "the server has sent no status".to_owned(),
    };
    let code = code.unwrap_or(UNKNOWN);
    let message = if code == OK { message_of(frame) } else { None };
    Reply { code, details, message: message.unwrap_or_default() }
}

/// The first message of an answer, if all of it is there. Compression was not offered, so a compressed one cannot be read.
fn message_of(frame: &Bytes) -> Option<Bytes> {
    let (prefix, rest) = frame.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length <= rest.len()).then(|| frame.slice(PREFIX..PREFIX + length))
}

/// What comes of an answer, for the fuzzer.
#[cfg(fuzzing)]
pub fn fuzz_reply(status: &[u8], words: &[u8], frame: &[u8]) -> Reply {
    let mut trailers = HeaderMap::new();
    for (name, value) in [("grpc-status", status), ("grpc-message", words)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            trailers.insert(HeaderName::from_static(name), value);
        }
    }
    reply(&trailers, &Bytes::copy_from_slice(frame))
}

/// The text of an error with that of its causes: the outer one says little.
fn reason(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn messages_are_framed() {
        assert_eq!(framed(&Bytes::from_static(b"abc"), false), &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(framed(&Bytes::new(), true), &b"\x01\0\0\0\0"[..]);
    }

    #[test]
    fn trailers_say_what_came_of_a_call() {
        let ok = reply(&trailers(&[("grpc-status", "0")]), &Bytes::from_static(b"\0\0\0\0\x01x"));
        assert_eq!(ok, Reply { code: 0, details: String::new(), message: Bytes::from_static(b"x") });
        for frame in [&b"\0\0\0\0\x02x"[..], b"\x01\0\0\0\x01x", b"\0\0\0\0", b""] {
            let cut = reply(&trailers(&[("grpc-status", "0")]), &Bytes::from_static(frame));
            assert_eq!((cut.code, cut.message.len()), (0, 0), "{frame:?} has no message that can be read");
        }
        let refused =
            reply(&trailers(&[("grpc-status", "14"), ("grpc-message", "too%20busy")]), &Bytes::new());
        assert_eq!(refused.to_string(), "rpc error: code = Unavailable desc = too busy");
        let without = reply(&HeaderMap::new(), &Bytes::from_static(b"\0"));
        assert_eq!(without.to_string(), "rpc error: code = Unknown desc = the server has sent no status");
        let odd = reply(&trailers(&[("grpc-status", "99")]), &Bytes::new());
        assert_eq!(odd.to_string(), "rpc error: code = Code(99) desc = ");
    }
}
