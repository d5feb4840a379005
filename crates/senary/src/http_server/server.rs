//! The server's thread: it takes connections, reads requests and sends answers, within bounds.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use senary_words::remedy::explained;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Asked, ReplyBody, Site};
use super::connections::{Bodies, BodyError, Connection, Connections};
use super::guard::Guard;
use crate::background::Background;

/// How long a client may take for the head of a request, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// How long answers under way may take once the run is over.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How long to wait when the system has no descriptor for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("listen tcp: address {0}: missing port in address")]
    NoPort(String),
    #[error("listen tcp {address}: bind: {}", explained(.error))]
    Bind { address: String, error: io::Error },
    #[error("starting a thread for HTTP: {}", explained(.0))]
    Thread(io::Error),
}

/// An address that the server listens on; clients wait until they are served.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    guard: Guard,
}

impl Bound {
    /// Listens on `host:port`, or on all addresses for `:port`.
    pub fn new(address: &str) -> Result<Self, BindError> {
        let listener = listen(address)?;
        let bound = listener.local_addr().map_err(BindError::Thread)?;
        Ok(Self { listener, address: bound, guard: Guard::new(address, bound) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients until the server is dropped. `name` is the thread's.
    pub fn serve(self, name: &str, site: Arc<dyn Site>) -> Result<Server, BindError> {
        let Self { listener, address, guard } = self;
        let host = Arc::new(Host { site, guard, bodies: Arc::default() });
        let end = CancellationToken::new();
        let serving = end.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if let Err(error) = serve_all(listener, &host, &serving) {
                    log::error!(error = error.to_string().as_str(); "Error from API server");
                }
            })
            .map_err(BindError::Thread)?;
        Ok(Server { address, end, thread: Some(thread) })
    }
}

/// The server at work. Dropping it ends it; answers under way may still be finished.
pub struct Server {
    address: SocketAddr,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What every request needs.
struct Host {
    site: Arc<dyn Site>,
    guard: Guard,
    bodies: Arc<Bodies>,
}

fn listen(address: &str) -> Result<TcpListener, BindError> {
    if address.rsplit_once(':').is_none() {
        return Err(BindError::NoPort(address.to_owned()));
    }
    let listener = match address.strip_prefix(':') {
        // The IPv6 wildcard takes IPv4 connections too, where there is IPv6.
        Some(port) => TcpListener::bind(format!("[::]:{port}"))
            .or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}"))),
        None => TcpListener::bind(address),
    };
    listener.map_err(|error| BindError::Bind { address: address.to_owned(), error })
}

/// Serves until `end` is cancelled, and then until the answers under way are given.
fn serve_all(listener: TcpListener, host: &Arc<Host>, end: &CancellationToken) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut connections, mut tasks) = (Connections::default(), JoinSet::new());
        loop {
            let accepted = tokio::select! {
                () = end.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Without a place the connection is closed at once.
                    if let Some(connection) = connections.admit() {
                        tasks.spawn(serve(stream, host.clone(), connection, end.clone()));
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            }
            while tasks.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        // A client that takes longer to read its answer does without, and a script that is still in setup() or teardown()
        // is not waited for.
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
        Ok(())
    })
}

async fn serve(stream: TcpStream, host: Arc<Host>, connection: Arc<Connection>, end: CancellationToken) {
    let of = connection.clone();
    let service = service_fn(move |request| answer(host.clone(), of.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Broken connections are their clients' trouble.
        _ = serving.as_mut() => {}
        () = connection.given_up() => {}
        () = end.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

async fn answer(
    host: Arc<Host>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (head, body) = request.into_parts();
    let is_for_page = |origin: &str| host.site.is_for_page(head.uri.path(), origin);
    if let Some(objection) = host.guard.objection(&head, is_for_page) {
        let refused = host.site.error(StatusCode::FORBIDDEN, "Forbidden", &objection);
        return Ok(refused.into_response(&connection));
    }
    let body = match host.bodies.clone().read(body).await {
        Ok(body) => body,
        Err(error) => return Ok(no_body(host.site.as_ref(), error).into_response(&connection)),
    };
    connection.set_at_work(true);
    // An answer may take as long as a function of the script, and other clients must not wait for it.
    let site = host.site.clone();
    let answer = move || site.answer(&Asked { head: &head, body: &body.data });
    let reply = match Background::start("rest-answer", answer) {
        Ok(mut answer) => answer.outcome().await.ok(),
        Err(error) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Some(host.site.error(status, "No thread", &error.to_string()))
        }
    };
    connection.set_at_work(false);
    // Without an answer, what makes it has panicked.
    let reply = reply.unwrap_or_else(|| Answer::empty(StatusCode::INTERNAL_SERVER_ERROR));
    Ok(reply.into_response(&connection))
}

fn no_body(site: &dyn Site, error: BodyError) -> Answer {
    let (status, detail) = match error {
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "a body may have 64 MiB"),
        BodyError::NoRoom => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the bodies of other requests take all the memory there is for them",
        ),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body has not come within 30 s"),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "the body has not come as its head says"),
    };
    site.error(status, status.canonical_reason().unwrap_or_default(), detail)
}
