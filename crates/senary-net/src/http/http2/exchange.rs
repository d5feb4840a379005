//! One request and its response, on a stream of a connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::connection::{Http2, explain};
use crate::http::clock::Clock;
use crate::http::error::{HttpError, Origin};
use crate::http::exchange::{Exchange, Head, Proto};
use crate::http::headers::Headers;
use crate::http::http1::{body_too_long, field_value};
use crate::http::request::{HttpRequest, ResponseBody};

/// Fields that are about a connection of HTTP/1.1, and those that are written otherwise.
const LEFT_OUT: [&str; 7] = [
    "Host",
    "Connection",
    "Proxy-Connection",
    "Keep-Alive",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
];

const PROTOCOL_ERROR: u32 = 1;
/// The code of a stream that the server has not looked at.
const REFUSED_STREAM: u32 = 7;

/// An exchange that failed.
pub struct Failed {
    pub error: HttpError,
    pub head: Option<Head>,
    /// The server has not processed the request, and says so: it can be sent again.
    pub unprocessed: bool,
}

/// What came of a response.
#[derive(Default)]
struct Incoming {
    head: Option<Head>,
    /// In bytes, of the body.
    received: u64,
    body: Vec<u8>,
}

impl Http2 {
    pub async fn exchange(
        &self,
        request: &HttpRequest,
        keep_heads: bool,
        clock: &Clock,
        exchange: &RefCell<Exchange>,
    ) -> Result<(Head, Bytes), Failed> {
        let failed = |error: HttpError, unprocessed| Failed { error, head: None, unprocessed };
        let head = head_of(request).map_err(|error| failed(error, false))?;
        exchange.borrow_mut().sent =
            head.headers().iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum();
        if keep_heads {
            exchange.borrow_mut().request_head = Some(request_text(&head));
        }
        let _active = self.activate();
        // A connection that ended before the request was sent has processed nothing of it.
        let unused = |error: h2::Error| failed(explain(&error, &self.fate, 0, false), true);
        let mut sender = self.sender.clone().ready().await.map_err(unused)?;
        let body = request.body.clone().unwrap_or_default();
        let not_sent = |error: h2::Error| {
            let by_server = error.is_io() || error.is_go_away() || error.is_reset();
            failed(explain(&error, &self.fate, 0, false), by_server)
        };
        let (response, stream) = sender.send_request(head, body.is_empty()).map_err(not_sent)?;
        let id = u32::from(response.stream_id());
        let mut incoming = Incoming::default();
        let outcome = {
            let mut sending = pin!(send(stream, body, clock, exchange));
            let mut receiving = pin!(receive(response, request, clock, exchange, &mut incoming));
            let mut sent = None;
            poll_fn(|cx| {
                if sent.is_none()
                    && let Poll::Ready(outcome) = sending.as_mut().poll(cx)
                {
                    sent = Some(outcome);
                }
                // If the server refuses the body, the response or the error of the stream says why.
                receiving.as_mut().poll(cx)
            })
            .await
        };
        clock.ended();
        let mut exchange = exchange.borrow_mut();
        if let Some(head) = &incoming.head {
            exchange.proto = Some(Proto::Http2);
            exchange.response_head = keep_heads.then(|| response_text(head));
        }
        let received = incoming.received;
        match (outcome, incoming.head) {
            (Ok(()), Some(head)) => Ok((head, incoming.body.into())),
            (Ok(()), None) => Err(failed(HttpError::Ended { in_response: false }, false)),
            (Err(Broken::Stream(error)), head) => {
                let error = explain(&error, &self.fate, id, head.is_some());
                let error = self.lie_about_length(head.as_ref(), received, &error, id).unwrap_or(error);
                let unprocessed = head.is_none() && is_unprocessed(&error, id);
                Err(Failed { error, head, unprocessed })
            }
            (Err(Broken::Response(error)), head) => Err(Failed { error, head, unprocessed: false }),
        }
    }

    /// The crate `h2` ends a stream whose body is not as long as its head says, as it does for any other violation.
    fn lie_about_length(
        &self,
        head: Option<&Head>,
        received: u64,
        error: &HttpError,
        id: u32,
    ) -> Option<HttpError> {
        let HttpError::Http2(error) = error else { return None };
        if error.origin != (Origin::Stream { from_server: false }) || error.code != PROTOCOL_ERROR {
            return None;
        }
        let announced: u64 = head?.headers.get("Content-Length")?.parse().ok()?;
        // The last piece was not given to anybody.
        let (stream, last) = self.fate.last_data.get();
        let sent = received + if stream == id { u64::from(last) } else { 0 };
        let text = "net/http: server replied with more than declared Content-Length; truncated";
        Some(match sent > announced {
            true => HttpError::Response(text.to_owned()),
            false => HttpError::Ended { in_response: true },
        })
    }
}

enum Broken {
    Stream(h2::Error),
    Response(HttpError),
}

async fn send(
    mut stream: SendStream<Bytes>,
    mut body: Bytes,
    clock: &Clock,
    exchange: &RefCell<Exchange>,
) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let Some(capacity) = poll_fn(|cx| stream.poll_capacity(cx)).await.transpose()? else { return Ok(()) };
        let part = body.split_to(capacity.min(body.len()));
        exchange.borrow_mut().sent += part.len() as u64;
        stream.send_data(part, body.is_empty())?;
    }
    clock.written();
    Ok(())
}

async fn receive(
    response: ResponseFuture,
    request: &HttpRequest,
    clock: &Clock,
    exchange: &RefCell<Exchange>,
    incoming: &mut Incoming,
) -> Result<(), Broken> {
    let (parts, mut body) = response.await.map_err(Broken::Stream)?.into_parts();
    clock.answered();
    let headers: Headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    exchange.borrow_mut().received = headers.size() as u64;
    incoming.head = Some(Head { status: parts.status.as_u16(), reason: words(parts.status).into(), headers });
    while let Some(part) = body.data().await {
        let part = match part {
            Ok(part) => part,
            // The answer to HEAD is complete, whatever the server sends behind it; as in Go.
            Err(_) if request.method == "HEAD" => return Ok(()),
            Err(error) => return Err(Broken::Stream(error)),
        };
        exchange.borrow_mut().received += part.len() as u64;
        incoming.received += part.len() as u64;
        // It fails for a stream that has ended, which the next read tells.
        let _ = body.flow_control().release_capacity(part.len());
        if request.response_body == ResponseBody::Keep {
            if part.len() > request.max_body.saturating_sub(incoming.body.len()) {
                return Err(Broken::Response(body_too_long(request.max_body)));
            }
            incoming.body.extend_from_slice(&part);
        }
    }
    Ok(())
}

fn is_unprocessed(error: &HttpError, stream: u32) -> bool {
    let HttpError::Http2(error) = error else { return false };
    match error.origin {
        Origin::GoAway => error.stream < stream,
        Origin::Stream { from_server } => from_server && error.code == REFUSED_STREAM,
        Origin::Connection => false,
    }
}

fn head_of(request: &HttpRequest) -> Result<http::Request<()>, HttpError> {
    let HttpRequest { method, target, headers, body, .. } = request;
    let unusable =
        |what: &dyn std::fmt::Display| HttpError::Request(format!("http2: invalid request: {what}"));
    let authority = headers.get("Host").unwrap_or(&target.authority);
    let uri =
        Uri::builder().scheme("https").authority(authority).path_and_query(target.path.as_str()).build();
    let mut head = http::Request::new(());
    *head.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|error| unusable(&error))?;
    *head.uri_mut() = uri.map_err(|error| unusable(&error))?;
    *head.version_mut() = Version::HTTP_2;
    let fields = head.headers_mut();
    let length = body.as_ref().map_or(0, |body| body.len());
    if length > 0 || matches!(&**method, "POST" | "PUT" | "PATCH") {
        fields.append(CONTENT_LENGTH, HeaderValue::from(length));
    }
    for (name, value) in headers.iter() {
        let is_empty_agent = value.is_empty() && name.eq_ignore_ascii_case("User-Agent");
        if is_empty_agent || LEFT_OUT.iter().any(|left_out| left_out.eq_ignore_ascii_case(name)) {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unusable(&error))?;
        let value =
            HeaderValue::from_bytes(field_value(value).as_bytes()).map_err(|error| unusable(&error))?;
        fields.append(name, value);
    }
    Ok(head)
}

/// The usual words of a status, where Go has others than the crate `http`.
fn words(status: StatusCode) -> String {
    let words = match status.as_u16() {
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        416 => "Requested Range Not Satisfiable",
        425 => "Too Early",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    words.to_owned()
}

fn request_text(head: &http::Request<()>) -> String {
    let (path, authority) = (head.uri().path_and_query(), head.uri().authority());
    let (path, authority) = (path.map_or("/", |path| path.as_str()), authority.map_or("", |a| a.as_str()));
    format!("{} {path} HTTP/2.0\r\nHost: {authority}\r\n{}\r\n", head.method(), fields_text(head.headers()))
}

fn fields_text(fields: &HeaderMap) -> String {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))
    };
    fields.iter().map(line).collect()
}

fn response_text(head: &Head) -> String {
    let fields: String = head.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/2.0 {} {}\r\n{fields}\r\n", head.status, head.reason)
}
