//! The client of a VU: finds a connection for each request, and keeps it for the next.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use super::clock::Clock;
use super::connect::Path;
use super::error::HttpError;
use super::exchange::{ConnectionId, Exchange, Head, HttpFailure, HttpResponse};
use super::http1::{self, Http1};
use super::http2::Http2;
use super::options::HttpOptions;
use super::pool::{Pool, Way};
use super::request::HttpRequest;
use crate::counted::WireBytes;
use crate::dial::{DialProgress, Dialer};
use crate::stream::Stream;

/// How often a request that a server of HTTP/2 has not processed is sent again; as in Go.
const MAX_RETRIES: u32 = 6;

/// Sends requests. There is one per VU; it lives on the VU's worker, inside a `LocalSet`.
pub struct HttpClient {
    dialer: Arc<Dialer>,
    options: Arc<HttpOptions>,
    /// The source address of connections.
    local_ip: Option<IpAddr>,
    wire: Rc<WireBytes>,
    pool: RefCell<Pool>,
    connections: Cell<u64>,
    /// That of the last request that had a deadline.
    timer: Cell<Option<Pin<Box<Sleep>>>>,
}

/// What is known of an exchange while it is under way.
struct State {
    clock: Clock,
    exchange: RefCell<Exchange>,
    dialled: RefCell<Option<Rc<DialProgress>>>,
}

enum Connection {
    Http1(Http1),
    Http2(Rc<Http2>),
}

/// An error, and the head of the response if only the body failed.
type FailedExchange = (HttpError, Option<Head>);

impl HttpClient {
    pub fn new(dialer: Arc<Dialer>, options: Arc<HttpOptions>, local_ip: Option<IpAddr>) -> Self {
        let (wire, pool, connections, timer) = Default::default();
        Self { dialer, options, local_ip, wire, pool, connections, timer }
    }

    /// Makes one exchange. Requests may be under way at the same time. If the future is dropped, the request is given up and its
    /// connection closed.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let state =
            State { clock: Clock::start(), exchange: RefCell::default(), dialled: RefCell::default() };
        // It is large, and would be copied into each future around it.
        let run = Box::pin(self.run(request, &state));
        let outcome = match request.deadline {
            None => run.await,
            // A timeout of nothing is over before anything is sent, as in Go.
            Some(deadline) if deadline <= state.clock.begun => {
                drop(run);
                Err((HttpError::Timeout, None))
            }
            Some(deadline) => {
                self.in_time(deadline.into(), run).await.unwrap_or(Err((HttpError::Timeout, None)))
            }
        };
        let mut exchange = state.exchange.into_inner();
        exchange.timings = state.clock.timings(state.dialled.take().as_deref());
        match outcome {
            Ok((head, body)) => Ok(HttpResponse { head, body, exchange }),
            Err((error, head)) => Err(HttpFailure { error, head, exchange }),
        }
    }

    /// Closes the connections that no request uses; those in use are closed when their request has ended.
    pub fn close_idle(&self) {
        let idle = self.pool.borrow_mut().clear();
        for connection in idle {
            connection.stream.close();
        }
    }

    /// The bytes that all connections of this client have moved over the wire, handshakes and TLS included.
    pub fn wire(&self) -> &Rc<WireBytes> {
        &self.wire
    }

    /// `None`: the deadline came first. The timer of the request before is used again if it fires no later: then it is set to the deadline
    /// of the request that it finds. So a timer is set once a minute, and not for each request.
    async fn in_time<T>(&self, deadline: Instant, mut run: Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        let mut timer = match self.timer.take() {
            None => Box::pin(sleep_until(deadline)),
            Some(mut timer) => {
                if timer.deadline() > deadline || timer.is_elapsed() {
                    timer.as_mut().reset(deadline);
                }
                timer
            }
        };
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = run.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            // A server that sends faster than it is read uses up what a task may do in one go, and a timer asks for its share of that.
            while pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
                if timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await;
        self.timer.set(Some(timer));
        outcome
    }

    async fn run(&self, request: &HttpRequest, state: &State) -> Result<(Head, Bytes), FailedExchange> {
        http1::check(request).map_err(without_head)?;
        let path = Path::to(&request.target, &self.options.proxies).map_err(without_head)?;
        let mut retries = 0;
        loop {
            match self.connection(&path, request, state).await.map_err(without_head)? {
                Connection::Http1(connection) => {
                    if let Some(outcome) = self.over_http1(connection, path.way(), request, state).await {
                        return outcome;
                    }
                }
                Connection::Http2(connection) => {
                    let exchange =
                        connection.exchange(request, self.options.keep_heads, &state.clock, &state.exchange);
                    match Box::pin(exchange).await {
                        Err(failed) if failed.unprocessed && retries < MAX_RETRIES => {}
                        Err(failed) => return Err((failed.error, failed.head)),
                        Ok(response) => return Ok(response),
                    }
                    // The first time at once: the server has probably ended the connection, and a new one will do.
                    if retries > 0 {
                        tokio::time::sleep(Duration::from_secs(1 << (retries - 1))).await;
                    }
                    retries += 1;
                }
            }
        }
    }

    /// `None`: the connection was of no use, and the request can be sent again over another one.
    async fn over_http1(
        &self,
        mut connection: Http1,
        way: Way<'_>,
        request: &HttpRequest,
        state: &State,
    ) -> Option<Result<(Head, Bytes), FailedExchange>> {
        let options = &self.options;
        let (close, reused) = (options.no_connection_reuse, connection.used);
        let generation = self.pool.borrow().generation;
        match connection.exchange(request, close, options.keep_heads, &state.clock, &state.exchange).await {
            Ok((head, body, keeps)) => {
                let keeps = keeps && generation == self.pool.borrow().generation;
                let surplus = match keeps {
                    true => self.pool.borrow_mut().put(way, connection, options.max_idle_per_host),
                    false => Some(connection),
                };
                if let Some(surplus) = surplus {
                    surplus.stream.close();
                }
                Some(Ok((head, body)))
            }
            Err(failed) => {
                let broke = matches!(failed.error, HttpError::Net(_) | HttpError::Ended { .. });
                let again = reused && broke && !failed.read && (!failed.wrote || is_idempotent(request));
                (!again).then_some(Err((failed.error, failed.head)))
            }
        }
    }

    /// A kept connection, or a new one.
    async fn connection(
        &self,
        path: &Path<'_>,
        request: &HttpRequest,
        state: &State,
    ) -> Result<Connection, HttpError> {
        let way = path.way();
        let may_be_http2 = way.secure && self.options.http2;
        if !self.options.no_connection_reuse {
            let kept = match may_be_http2 {
                false => self.kept(way, request.connection).await,
                true => Box::pin(self.kept_or_probed(way, request.connection)).await,
            };
            if let Some(kept) = kept {
                return Ok(state.connected(kept));
            }
        }
        Box::pin(self.dial(path, way, may_be_http2, state)).await.map(|new| state.connected(new))
    }

    async fn kept(&self, way: Way<'_>, id: Option<ConnectionId>) -> Option<Connection> {
        // The one that is asked for, or else any.
        let mut id = id;
        loop {
            let taken = self.pool.borrow_mut().take(way, id);
            match (taken, id.take()) {
                (Some(mut connection), _) => {
                    if connection.is_usable().await {
                        return Some(Connection::Http1(connection));
                    }
                }
                (None, Some(_)) => {}
                (None, None) => return None,
            }
        }
    }

    /// Waits for the outcome of another connect to the server, if it may come to a connection that can be shared.
    async fn kept_or_probed(&self, way: Way<'_>, id: Option<ConnectionId>) -> Option<Connection> {
        loop {
            let shared = self.pool.borrow_mut().shared(way);
            if let Some(connection) = shared {
                return Some(Connection::Http2(connection));
            }
            if let Some(kept) = self.kept(way, id).await {
                return Some(kept);
            }
            let probe = self.pool.borrow().probe_of(way)?;
            if !probe.is_shared().await {
                return None;
            }
        }
    }

    async fn dial(
        &self,
        path: &Path<'_>,
        way: Way<'_>,
        may_be_http2: bool,
        state: &State,
    ) -> Result<Connection, HttpError> {
        let probes = may_be_http2 && !self.options.no_connection_reuse && {
            let pool = self.pool.borrow();
            pool.probe_of(way).is_none() && !pool.is_without_http2(way)
        };
        let _probe = probes.then(|| Probe::begin(&self.pool, way));
        let progress = Rc::new(DialProgress::default());
        state.dialled.replace(Some(progress.clone()));
        let stream = path.dial(&self.dialer, self.local_ip, may_be_http2, &self.wire, &progress).await?;
        self.begin(stream, path, way, may_be_http2).await
    }

    /// Makes a connection out of a stream.
    async fn begin(
        &self,
        stream: Stream,
        path: &Path<'_>,
        way: Way<'_>,
        may_be_http2: bool,
    ) -> Result<Connection, HttpError> {
        let id = ConnectionId(self.connections.get());
        self.connections.set(id.0 + 1);
        let tls = stream.tls_info().map(Rc::new);
        if tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some("h2")) {
            let remote = stream.remote().clone();
            let connection = Rc::new(Http2::begin(stream, remote, tls, id).await?);
            if !self.options.no_connection_reuse {
                self.pool.borrow_mut().share(way, connection.clone());
            }
            return Ok(Connection::Http2(connection));
        }
        if may_be_http2 {
            self.pool.borrow_mut().note_without_http2(way);
        }
        Ok(Connection::Http1(Http1 { stream, tls, proxied: path.proxied(), id, used: false }))
    }
}

impl State {
    /// Notes what is known of the exchange now that it has a connection.
    fn connected(&self, connection: Connection) -> Connection {
        let mut exchange = self.exchange.borrow_mut();
        let (remote, tls) = match &connection {
            Connection::Http1(connection) => {
                (exchange.reused, exchange.connection) = (connection.used, Some(connection.id));
                (connection.stream.remote(), &connection.tls)
            }
            Connection::Http2(connection) => {
                (exchange.reused, exchange.connection) = (connection.is_used(), Some(connection.id));
                (&connection.remote, &connection.tls)
            }
        };
        (exchange.remote, exchange.tls) = (Some(remote.clone()), tls.clone());
        if exchange.reused {
            self.dialled.take();
        }
        drop(exchange);
        self.clock.connected();
        connection
    }
}

/// A connect that others wait for. They go on when it has ended, however it ended.
struct Probe<'a> {
    pool: &'a RefCell<Pool>,
    way: Way<'a>,
}

impl<'a> Probe<'a> {
    fn begin(pool: &'a RefCell<Pool>, way: Way<'a>) -> Self {
        pool.borrow_mut().begin_probe(way);
        Self { pool, way }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.pool.borrow_mut().end_probe(self.way);
    }
}

fn without_head(error: HttpError) -> FailedExchange {
    (error, None)
}

/// Whether a request may reach the server twice; as in Go.
fn is_idempotent(request: &HttpRequest) -> bool {
    matches!(&*request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
        || request.headers.contains("Idempotency-Key")
        || request.headers.contains("X-Idempotency-Key")
}

#[cfg(test)]
mod tests {
    use tokio::task::consume_budget;

    use super::*;
    use crate::{DnsConfig, Resolver, Tls, TlsOptions};

    #[tokio::test]
    async fn work_that_is_never_out_of_something_to_do_ends_in_time() {
        let resolver = Arc::new(Resolver::new(&[], &[], &[], DnsConfig::default()).unwrap());
        let dialer = Dialer { resolver, tls: Tls::new(TlsOptions::default()).unwrap() };
        let client = HttpClient::new(Arc::new(dialer), Arc::default(), None);
        for _ in 0..2 {
            let begun = Instant::now();
            let work = async {
                while begun.elapsed() < Duration::from_secs(5) {
                    consume_budget().await;
                }
            };
            assert_eq!(client.in_time(begun + Duration::from_millis(20), Box::pin(work)).await, None);
        }
    }
}
