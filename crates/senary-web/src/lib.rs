//! A small HTTP client for what happens around a test rather than in it: remote modules, secrets, logs sent to a server.
//!
//! It measures nothing, has no cookies and keeps no connections. HTTPS certificates are verified against the system's roots;
//! proxies come from the environment ([`Proxies`]).

mod grpc;
mod tunnel;

use std::fmt;
use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
pub use hyper::body::Bytes;
pub use hyper::header::HeaderMap;
use hyper::header::{
    ACCEPT_ENCODING, HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
pub use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use senary_net::Tls;
pub use senary_net::{ClientCertificate, TlsOptions};
use senary_words::io_text;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use self::grpc::Reply;
#[cfg(fuzzing)]
pub use self::grpc::fuzz_reply;
pub use senary_net::http::Proxies;
use senary_net::http::{Proxy, ProxyError, ProxyKind};

/// Redirects followed before giving up.
const MAX_REDIRECTS: usize = 10;

/// The limit for most responses: modules and secrets are smaller.
const MAX_BODY: usize = 64 << 20;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("senary/", env!("CARGO_PKG_VERSION")));

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("{0:?} is not the URL of a web server")]
    Url(String),
    #[error("{0} is not a valid header")]
    Header(String),
    #[error("cannot connect to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("the proxy {proxy} does not connect to {host}: {reason}")]
    Tunnel { proxy: String, host: String, reason: String },
    #[error("TLS with {host} failed: {reason}")]
    Tls { host: String, reason: String },
    #[error("the exchange with {host} failed: {reason}")]
    Http { host: String, reason: String },
    #[error("stopped after {MAX_REDIRECTS} redirects")]
    Redirects,
    #[error("a redirect from https to {0:?} is not followed")]
    Downgrade(String),
}

impl WebError {
    /// The reason alone, for a message that already names the server.
    pub fn reason(&self) -> String {
        match self {
            Self::Connect { reason, .. } | Self::Tls { reason, .. } | Self::Http { reason, .. } => {
                reason.clone()
            }
            other => other.to_string(),
        }
    }
}

pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Sends requests, each over a connection of its own. Clones share what was read once: the proxies and the roots.
#[derive(Clone, Default)]
pub struct Client(Arc<Shared>);

#[derive(Default)]
struct Shared {
    proxies: Proxies,
    /// If there are no options of its own, this is made at first use.
    tls: OnceLock<Result<Tls, String>>,
}

impl fmt::Debug for Client {
    // A proxy's URL may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The parts of a request besides its URL.
struct Content {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    max_answer: usize,
}

impl Client {
    pub fn new(proxies: Proxies) -> Self {
        Self(Arc::new(Shared { proxies, tls: OnceLock::new() }))
    }

    /// A client whose TLS is not as everywhere else. The error says which option cannot be used; roots are read at first
    /// use all the same.
    pub fn with_tls(proxies: Proxies, options: TlsOptions) -> Result<Self, String> {
        let tls = OnceLock::from(Ok(Tls::new(options).map_err(|e| e.to_string())?));
        Ok(Self(Arc::new(Shared { proxies, tls })))
    }

    /// Sends a request without a body and reads the whole response. Redirects are followed. Time limits are the
    /// caller's.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
    ) -> Result<Response, WebError> {
        self.send(method, url, headers, Bytes::new()).await
    }

    /// The same for answers that may be larger than those of most servers; `max_answer` is in bytes.
    pub async fn request_large(&self, url: &str, max_answer: usize) -> Result<Response, WebError> {
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        self.deliver(url, Content { method, headers, body, max_answer }).await
    }

    /// The same with a body. A redirect gets it, too, if its status says that the method stays.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response, WebError> {
        self.deliver(url, Content { method, headers: header_map(headers)?, body, max_answer: MAX_BODY }).await
    }

    async fn deliver(&self, url: &str, mut content: Content) -> Result<Response, WebError> {
        let mut url: Uri = url.parse().map_err(|_| WebError::Url(url.to_owned()))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&url, &content).await?;
            let status = response.status;
            let location = response.headers.get(LOCATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Ok(response);
            };
            let next = follow(&url, &location).ok_or_else(|| WebError::Url(location.clone()))?;
            if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(WebError::Downgrade(location));
            }
            if next.authority() != url.authority() {
                // Headers that were meant for one server must not reach another.
                content.headers.clear();
            }
            if status != StatusCode::TEMPORARY_REDIRECT && status != StatusCode::PERMANENT_REDIRECT {
                (content.method, content.body) = (Method::GET, Bytes::new());
            }
            url = next;
        }
        Err(WebError::Redirects)
    }

    async fn exchange(&self, url: &Uri, content: &Content) -> Result<Response, WebError> {
        let server = Server::of(url)?;
        let proxy = self.0.proxies.to(server.is_secure, &server.host, server.port)?;
        let stream = self.connect(&server, proxy.as_ref()).await?;
        let request =
            request(url, &server, proxy.filter(|proxy| !server.is_secure && proxy.forwards()), content)?;
        let failed = |e: hyper::Error| WebError::Http { host: server.host.clone(), reason: e.to_string() };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, content.max_answer).collect().await;
            let body = body.map_err(|e| WebError::Http { host: server.host.clone(), reason: e.to_string() });
            Ok(Response { status: head.status, headers: head.headers, body: body?.to_bytes() })
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

    /// A connection to the server, or to the proxy in front of it, over which HTTP can be spoken.
    async fn connect(
        &self,
        server: &Server<'_>,
        proxy: Option<&Proxy>,
    ) -> Result<Box<dyn Transport>, WebError> {
        let Server { host, port, .. } = server;
        let stream: Box<dyn Transport> = match proxy {
            Some(proxy) => {
                let mut stream: Box<dyn Transport> = Box::new(connect(&proxy.host, proxy.port).await?);
                if proxy.kind == ProxyKind::Https {
                    stream = self.encrypt(stream, &proxy.host).await?;
                }
                if server.is_secure || !proxy.forwards() {
                    tunnel::open(&mut stream, proxy, host, *port).await?;
                }
                stream
            }
            None => Box::new(connect(host, *port).await?),
        };
        match server.is_secure {
            false => Ok(stream),
            true => self.encrypt(stream, host).await,
        }
    }

    async fn encrypt(&self, stream: Box<dyn Transport>, host: &str) -> Result<Box<dyn Transport>, WebError> {
        let failed = |reason: String| WebError::Tls { host: host.to_owned(), reason };
        let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
        let connected = TlsConnector::from(self.tls(host).map_err(failed)?).connect(name, stream).await;
        Ok(Box::new(connected.map_err(|e| failed(senary_net::tls::handshake_text(&e, host)))?))
    }

    fn tls(&self, host: &str) -> Result<Arc<rustls::ClientConfig>, String> {
        let tls = self.0.tls.get_or_init(|| Tls::new(TlsOptions::default()).map_err(|e| e.to_string()));
        tls.as_ref().map_err(Clone::clone)?.config(host).map_err(|e| e.to_string())
    }
}

/// Whether requests can have these headers.
pub fn check_headers(headers: &[(String, String)]) -> Result<(), WebError> {
    header_map(headers).map(|_| ())
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, WebError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || WebError::Header(name.clone());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        map.insert(name, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    Ok(map)
}

/// Where a URL leads.
struct Server<'u> {
    is_secure: bool,
    host: String,
    port: u16,
    /// The host as the URL has it, and the port if that is written.
    authority: &'u str,
}

impl<'u> Server<'u> {
    fn of(url: &'u Uri) -> Result<Self, WebError> {
        let unusable = || WebError::Url(url.to_string());
        let is_secure = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unusable()),
        };
        let authority = url.authority().ok_or_else(unusable)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        // The user name and password before the `@` do not belong to the host.
        let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
        Ok(Self { is_secure, host, port, authority })
    }
}

/// The request for a server, or for a proxy that has to know the server; a proxy may see a request without encryption.
fn request(
    url: &Uri,
    server: &Server<'_>,
    proxy: Option<Proxy>,
    content: &Content,
) -> Result<Request<Full<Bytes>>, WebError> {
    let unusable = || WebError::Url(url.to_string());
    let mut request = Request::new(Full::new(content.body.clone()));
    *request.method_mut() = content.method.clone();
    *request.uri_mut() = match &proxy {
        Some(_) => url.clone(),
        None => url.path_and_query().map_or("/", |p| p.as_str()).parse().map_err(|_| unusable())?,
    };
    let headers = request.headers_mut();
    if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization()) {
        headers.insert(PROXY_AUTHORIZATION, HeaderValue::from_str(&authorization).map_err(|_| unusable())?);
    }
    headers.insert(HOST, HeaderValue::from_str(server.authority).map_err(|_| unusable())?);
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.extend(content.headers.clone());
    Ok(request)
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

async fn connect(host: &str, port: u16) -> Result<TcpStream, WebError> {
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|e| WebError::Connect { host: format!("{host}:{port}"), reason: io_text(&e) })
}

trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use senary_testkit::web_server;

    use super::*;

    proptest! {
        #[test]
        fn any_location_is_answered(location in "\\PC{0,40}") {
            let _ = follow(&Uri::from_static("https://host.test/a/b?c"), &location);
        }
    }

    fn get(url: &str, headers: &[(String, String)]) -> Result<Response, WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Client::default().request(Method::GET, url, headers))
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
