//! A small HTTP client for what happens around a test rather than in it: remote modules and secrets.
//!
//! It measures nothing, knows no cookies and keeps no connections. HTTPS is verified against the system's roots;
//! proxies are those of the environment ([`proxy`]).

pub mod proxy;

use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use senary_net::{Tls, TlsOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use self::proxy::{Proxies, Proxy};

/// Redirects followed before giving up.
const REDIRECTS: usize = 10;

/// No module and no secret is larger.
const LARGEST_BODY: usize = 64 << 20;

/// No proxy has more to say before it is a tunnel.
const LARGEST_HEAD: usize = 16 << 10;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("senary/", env!("CARGO_PKG_VERSION")));

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("{0:?} is no URL of a web server")]
    Url(String),
    #[error("{0} is not a valid header")]
    Header(String),
    #[error("cannot connect to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("{0:?} is no proxy that can be used: write http://HOST:PORT into HTTPS_PROXY or HTTP_PROXY")]
    Proxy(String),
    #[error("the proxy {proxy} does not connect to {host}: {reason}")]
    Tunnel { proxy: String, host: String, reason: String },
    #[error("TLS with {host} failed: {reason}")]
    Tls { host: String, reason: String },
    #[error("the exchange with {host} failed: {reason}")]
    Http { host: String, reason: String },
    #[error("stopped after {REDIRECTS} redirects")]
    Redirects,
    #[error("a redirect from https to {0:?} is not followed")]
    Downgrade(String),
}

pub struct Response {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Sends a request and reads the whole response. Redirects are followed with GET. Time limits are the caller's.
pub async fn request(method: Method, url: &str, headers: &[(String, String)]) -> Result<Response, WebError> {
    let mut url: Uri = url.parse().map_err(|_| WebError::Url(url.to_owned()))?;
    let mut method = method;
    let mut extra = HeaderMap::new();
    for (name, value) in headers {
        let bad = || WebError::Header(name.clone());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        extra.insert(name, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    for _ in 0..=REDIRECTS {
        let (status, location, body) = exchange(&method, &url, &extra).await?;
        let Some(location) = location.filter(|_| status.is_redirection()) else {
            return Ok(Response { status, body });
        };
        let next = follow(&url, &location).ok_or_else(|| WebError::Url(location.clone()))?;
        if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
            return Err(WebError::Downgrade(location));
        }
        if next.authority() != url.authority() {
            // What was meant for one server is no business of another.
            extra.clear();
        }
        if status != StatusCode::TEMPORARY_REDIRECT && status != StatusCode::PERMANENT_REDIRECT {
            method = Method::GET;
        }
        url = next;
    }
    Err(WebError::Redirects)
}

/// Where a `Location` points, seen from the URL that sent it.
fn follow(from: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return location.parse().ok();
    }
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}").parse().ok();
    }
    let directory = from.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{scheme}://{authority}{directory}/{location}").parse().ok()
}

async fn exchange(
    method: &Method,
    url: &Uri,
    extra: &HeaderMap,
) -> Result<(StatusCode, Option<String>, Bytes), WebError> {
    let unusable = || WebError::Url(url.to_string());
    let secure = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(unusable()),
    };
    let authority = url.authority().ok_or_else(unusable)?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let proxy = Proxies::between(secure, &host, port)?;
    let stream = match &proxy {
        Some(proxy) if secure => tunnel(proxy, &host, port).await?,
        Some(proxy) => connect(&proxy.host, proxy.port).await?,
        None => connect(&host, port).await?,
    };
    let stream: Box<dyn Transport> = if secure {
        let failed = |reason: String| WebError::Tls { host: host.clone(), reason };
        let name = ServerName::try_from(host.clone()).map_err(|e| failed(e.to_string()))?;
        let connector = TlsConnector::from(tls(&host).map_err(failed)?);
        let connected = connector.connect(name, stream).await;
        Box::new(connected.map_err(|e| failed(senary_net::tls::handshake_text(&e, &host)))?)
    } else {
        Box::new(stream)
    };
    let failed = |e: String| WebError::Http { host: host.clone(), reason: e };
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|e| failed(e.to_string()))?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method.clone();
    *request.uri_mut() = match &proxy {
        // It has to know the server, and what is not encrypted it may see.
        Some(_) if !secure => url.clone(),
        _ => url.path_and_query().map_or("/", |p| p.as_str()).parse().map_err(|_| unusable())?,
    };
    if let Some(authorization) = proxy.filter(|_| !secure).and_then(|proxy| proxy.authorization) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
    }
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| unusable())?);
    request.headers_mut().insert(USER_AGENT, AGENT);
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request.headers_mut().extend(extra.clone());
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| failed(e.to_string()))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), LARGEST_BODY).collect().await;
        Ok((status, location, body.map_err(|e| failed(e.to_string()))?.to_bytes()))
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

async fn connect(host: &str, port: u16) -> Result<TcpStream, WebError> {
    let failed =
        |e: std::io::Error| WebError::Connect { host: format!("{host}:{port}"), reason: e.to_string() };
    TcpStream::connect((host, port)).await.map_err(failed)
}

/// A connection to the server through a proxy that passes on what it does not understand.
async fn tunnel(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, WebError> {
    let mut stream = connect(&proxy.host, proxy.port).await?;
    let failed = |reason: String| WebError::Tunnel {
        proxy: format!("{}:{}", proxy.host, proxy.port),
        host: format!("{host}:{port}"),
        reason,
    };
    let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut head = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(authorization.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await.map_err(|e| failed(e.to_string()))?;
    // Byte by byte: what follows the empty line is the server's.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LARGEST_HEAD {
            return Err(failed("its answer has no end".to_owned()));
        }
        answer.push(stream.read_u8().await.map_err(|e| failed(e.to_string()))?);
    }
    let first = String::from_utf8_lossy(&answer);
    let first = first.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some(status) if first.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') => {
            Ok(stream)
        }
        _ => Err(failed(format!("it answered {first:?}"))),
    }
}

trait Transport: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// Roots are read from disk at first use.
fn tls(host: &str) -> Result<Arc<rustls::ClientConfig>, String> {
    static TLS: OnceLock<Result<Tls, String>> = OnceLock::new();
    let tls = TLS.get_or_init(|| Tls::new(TlsOptions::default()).map_err(|e| e.to_string()));
    tls.as_ref().map_err(Clone::clone)?.config(host).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::web_server;

    proptest! {
        #[test]
        fn any_location_is_answered(location in "\\PC{0,40}") {
            let _ = follow(&Uri::from_static("https://host.test/a/b?c"), &location);
        }
    }

    fn get(url: &str, headers: &[(String, String)]) -> Result<Response, WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(request(Method::GET, url, headers))
    }

    #[test]
    fn redirects_are_followed() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: ../there?x=1\r\ncontent-length: 0\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let (url, thread) = web_server([redirect, ok]);
        let response = get(&format!("{url}/a/b"), &[("X-Token".into(), "t".into())]).unwrap();
        assert_eq!((response.status, &response.body[..]), (StatusCode::OK, &b"hello"[..]));
        let asked = thread.join().unwrap();
        assert!(
            asked[0].starts_with("GET /a/b HTTP/1.1\r\n") && asked[0].contains("x-token: t\r\n"),
            "{asked:?}"
        );
        assert!(asked[1].starts_with("GET /a/../there?x=1 HTTP/1.1\r\n"), "{asked:?}");
    }

    #[test]
    fn what_cannot_be_asked_is_an_error() {
        assert!(matches!(get("ftp://h/x", &[]), Err(WebError::Url(_))));
        assert!(matches!(get("nonsense", &[]), Err(WebError::Url(_))));
        assert!(matches!(get("http://h/", &[("a b".into(), "x".into())]), Err(WebError::Header(_))));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(get(&format!("http://{free}/"), &[]), Err(WebError::Connect { .. })));
        let (url, thread) = web_server(["nonsense\r\n\r\n"]);
        assert!(matches!(get(&url, &[]), Err(WebError::Http { .. })));
        thread.join().unwrap();
    }
}
