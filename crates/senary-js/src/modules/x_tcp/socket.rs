//! The Socket itself: its state, what it owns in each, and the steps between them.
//!
//! ```text
//! disconnected ── connect ──▶ opening ── dialled ──▶ open
//!      ▲                        │  │                  │ peer's FIN, read error, destroy()
//!      └────── dial failed ─────┘  └── destroy() ──▶ destroyed
//! ```
//!
//! Reading and queued writing are `io`'s, what script is told is `events`'.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rquickjs::{Class, Persistent};
use senary_metrics::{Details, FailureId, FailureKind, MetricId, SeriesId, TagSetId};
use senary_net::{Attempt, Stream, WireBytes};
use tokio::task::AbortHandle;

use super::SocketObject;
use super::arguments::Tags;
use super::error::{CallSite, Method, SocketFailure};
use super::events::SocketEvent;
use super::metrics::TcpMetrics;
use crate::event_loop::Event;
use crate::live::LiveId;
use crate::memory::Charge;
use crate::prefetch::HotLines;
use crate::promise::Resolvers;
use crate::vu::core::VuCore;
use crate::vu::failures::{Clue, ClueEvent};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Disconnected,
    Opening,
    Open,
    Destroyed,
}

impl State {
    /// `ready_state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Destroyed => "destroyed",
        }
    }

    /// Why a `connect()` changes nothing in this state.
    pub fn refuses_connect(self) -> Option<SocketFailure> {
        let (code, text) = match self {
            Self::Disconnected => return None,
            Self::Opening => ("EALREADY", "a connect is already under way on this socket"),
            Self::Open => ("EISCONN", "the socket is already connected"),
            Self::Destroyed => {
                ("ERR_SOCKET_CLOSED", "the socket is destroyed; make a new one to connect again")
            }
        };
        Some(SocketFailure::new(Method::Connect, code, text))
    }
}

/// Bytes the kernel did not take yet, and who waits for them.
pub struct QueuedWrite {
    pub data: Vec<u8>,
    pub written: usize,
    pub waiting: Resolvers,
    /// Those of the `write()`.
    pub tags: Tags,
    pub called: Option<CallSite>,
    /// The bytes count as the script's.
    pub _charge: Charge,
}

/// Writes that the end of a connection cut off, and between which addresses it was.
pub struct CutOff {
    pub writes: VecDeque<QueuedWrite>,
    pub route: Option<(SocketAddr, SocketAddr)>,
}

/// A `connect()` under way: its promise, and where the script called it.
pub struct Connecting {
    pub promise: Resolvers,
    pub called: Option<CallSite>,
}

/// Whom a socket talks to, as its tags say it.
struct Endpoint {
    host: String,
    port: String,
    ip: Option<String>,
}

impl Endpoint {
    fn tags(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let ip = self.ip.as_deref().map(|ip| ("ip", ip));
        [("host", self.host.as_str()), ("port", &self.port)].into_iter().chain(ip)
    }
}

/// A series that the socket has recorded to, and the VU's tags it was looked up under.
struct KnownSeries {
    under: TagSetId,
    metric: MetricId,
    /// Those of the series: the VU's and the socket's.
    tags: TagSetId,
    series: SeriesId,
}

pub struct SocketCore {
    id: LiveId,
    pub vu: Rc<VuCore>,
    pub metrics: TcpMetrics,
    pub state: Cell<State>,
    constructor_tags: Tags,
    connect_tags: RefCell<Tags>,
    endpoint: RefCell<Option<Endpoint>>,
    /// Emptied when the socket's own tags change.
    known_series: RefCell<Vec<KnownSeries>>,
    pub stream: RefCell<Option<Stream>>,
    /// What the stream, or the connect under way, moved since it was last accounted for.
    pub wire: Rc<WireBytes>,
    opened_at: Cell<Option<Instant>>,
    pub bytes_written: Cell<u64>,
    pub bytes_read: Cell<u64>,
    pub writes: RefCell<VecDeque<QueuedWrite>>,
    /// What script has not been told yet; the event loop has one entry for each.
    pub inbox: RefCell<VecDeque<SocketEvent>>,
    /// `Refused` events that wait for their turn.
    pub refusals: Cell<u32>,
    /// A `data` event waits for its turn; nothing more is read until it had it.
    pub data_queued: Cell<bool>,
    pub idle_timeout: Cell<Option<Duration>>,
    pub idle_since: Cell<Instant>,
    pub io_waker: RefCell<Option<Waker>>,
    /// The I/O task is on the stack: it looks for changes itself.
    pub io_running: Cell<bool>,
    task: RefCell<Option<AbortHandle>>,
    /// How far the connect is that is under way.
    pub attempt: RefCell<Option<Rc<Attempt>>>,
    pub connecting: RefCell<Option<Connecting>>,
    pub hot: HotLines,
    /// Keeps the script's object alive while events may still come.
    pub anchor: RefCell<Option<Persistent<Class<'static, SocketObject<'static>>>>>,
}

impl SocketCore {
    pub fn new(vu: Rc<VuCore>, metrics: TcpMetrics, constructor_tags: Tags) -> Rc<Self> {
        Rc::new(Self {
            id: vu.events.new_live_id(),
            vu,
            metrics,
            state: Cell::new(State::Disconnected),
            constructor_tags,
            connect_tags: RefCell::default(),
            endpoint: RefCell::default(),
            known_series: RefCell::default(),
            stream: RefCell::default(),
            wire: Rc::default(),
            opened_at: Cell::new(None),
            bytes_written: Cell::new(0),
            bytes_read: Cell::new(0),
            writes: RefCell::default(),
            hot: HotLines::default(),
            inbox: RefCell::default(),
            refusals: Cell::new(0),
            data_queued: Cell::new(false),
            idle_timeout: Cell::new(None),
            idle_since: Cell::new(Instant::now()),
            io_waker: RefCell::default(),
            io_running: Cell::new(false),
            task: RefCell::default(),
            attempt: RefCell::default(),
            connecting: RefCell::default(),
            anchor: RefCell::default(),
        })
    }

    /// Queues an event for the script.
    pub fn emit(self: &Rc<Self>, event: SocketEvent) {
        self.inbox.borrow_mut().push_back(event);
        self.vu.events.push(Event::Live(self.clone()));
    }

    /// As [`emit`](Self::emit), from the I/O task: it lets the VU run afterwards, so nobody need be woken.
    pub fn emit_from_io(self: &Rc<Self>, event: SocketEvent) {
        self.inbox.borrow_mut().push_back(event);
        self.vu.events.push_quietly(Event::Live(self.clone()));
    }

    /// disconnected → opening.
    pub fn begin_connect(self: &Rc<Self>, tags: Tags, host: String, port: i64) {
        self.state.set(State::Opening);
        self.connect_tags.replace(tags);
        self.endpoint.replace(Some(Endpoint { host, port: port.to_string(), ip: None }));
        self.known_series.borrow_mut().clear();
        self.attempt.replace(Some(Rc::default()));
        self.vu.events.hold(self.id, self.clone());
    }

    pub fn set_task(&self, task: AbortHandle) {
        self.task.replace(Some(task));
    }

    /// The host's address, once it is known.
    fn resolved(&self, ip: IpAddr) {
        if let Some(endpoint) = &mut *self.endpoint.borrow_mut() {
            endpoint.ip = Some(ip.to_string());
        }
        self.known_series.borrow_mut().clear();
    }

    /// opening → (event) → open; the stream is here already, so that nothing can get lost.
    pub fn connected(self: &Rc<Self>, stream: Stream) {
        self.count(self.metrics.sockets);
        self.stream.replace(Some(stream));
        let now = Instant::now();
        self.opened_at.set(Some(now));
        self.idle_since.set(now);
    }

    /// opening → disconnected.
    pub fn connect_failed(&self) {
        self.state.set(State::Disconnected);
        self.release();
    }

    /// Any state → destroyed. The stream is closed, its time recorded; queued writes come back to be refused.
    pub fn close(&self) -> CutOff {
        self.state.set(State::Destroyed);
        let writes = std::mem::take(&mut *self.writes.borrow_mut());
        let route = if writes.is_empty() { None } else { self.addresses() };
        self.close_stream();
        if !self.io_running.get()
            && let Some(task) = self.task.take()
        {
            task.abort();
        }
        CutOff { writes, route }
    }

    /// Lets go of the script's object if no event is to come.
    pub fn let_go_if_unused(&self) {
        if self.state.get() == State::Disconnected && self.refusals.get() == 0 {
            self.anchor.take();
        }
    }

    /// The iteration need not wait for this socket any more.
    pub fn release(&self) {
        self.vu.events.release(self.id);
    }

    /// Wakes the I/O task to look at what changed.
    pub fn wake(&self) {
        if self.io_running.get() {
            return;
        }
        if let Some(waker) = &*self.io_waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub fn count(&self, metric: MetricId) {
        self.record(metric, 1.0);
    }

    /// Counts something under tags of its own on top of the socket's.
    pub fn count_with(&self, metric: MetricId, tags: &Tags) {
        if tags.is_empty() {
            return self.count(metric);
        }
        let tags = self.tags_with(&[], tags);
        let series = self.vu.worker.record(|r| r.series(metric, tags));
        self.vu.record_series(series, 1.0, self.vu.now());
    }

    /// Counts a write that will not be finished, if some of it was sent.
    pub fn count_partial(&self, write: &QueuedWrite) {
        if write.written > 0 {
            self.count_with(self.metrics.partial_writes, &write.tags);
        }
    }

    /// Counts a failure and gives it back; every failure of a socket comes by here, once.
    pub fn failed(&self, failure: SocketFailure, tags: &Tags) -> SocketFailure {
        // Not kept at hand as other series are: what fails has cost far more than this look-up.
        let tags = self.tags_with(&failure.tags(), tags);
        let series = self.vu.worker.record(|r| r.series(self.metrics.errors, tags));
        self.vu.record_series(series, 1.0, self.vu.now());
        self.tell(&failure);
        failure
    }

    /// Where the script called the `connect()` under way.
    pub fn connect_called(&self) -> Option<CallSite> {
        self.connecting.borrow().as_ref().and_then(|connecting| connecting.called.clone())
    }

    /// Counts a failure among those of the run.
    fn tell(&self, failure: &SocketFailure) {
        let id = FailureId {
            code: failure.code,
            method: failure.method.as_str(),
            ..FailureId::new(FailureKind::Socket, "")
        };
        self.vu.worker.fail(&id, || Details {
            text: failure.message.clone(),
            place: failure.called.as_ref().and_then(CallSite::place).unwrap_or_default(),
        });
    }

    /// Notes what the peer did, should a failure follow from it.
    pub fn note(&self, event: ClueEvent) {
        if let Some((_, peer)) = self.addresses() {
            let (sent, received) = (self.bytes_written.get(), self.bytes_read.get());
            self.vu.clue.set(Some(Clue { peer, sent, received, event }));
        }
    }

    /// The state of a socket that holds an iteration, in words.
    pub fn traffic(&self) -> String {
        let (sent, received) = (self.bytes_written.get(), self.bytes_read.get());
        match self.addresses() {
            Some((_, peer)) => Clue { peer, sent, received, event: ClueEvent::Open }.to_string(),
            None => match &*self.endpoint.borrow() {
                Some(Endpoint { host, port, .. }) => format!("connecting to {host}:{port}"),
                None => self.state.get().as_str().to_owned(),
            },
        }
    }

    /// What is known of a connect that is over, however it ended; whether one was under way.
    pub fn record_attempt(&self) -> bool {
        let Some(attempt) = self.attempt.take() else { return false };
        if let Some(ip) = attempt.ip() {
            self.resolved(ip);
        }
        let timings = attempt.timings();
        let steps = [
            (self.metrics.resolving, timings.resolving),
            (self.metrics.connecting, timings.connecting),
            (self.metrics.tls_handshaking, timings.tls_handshaking),
        ];
        for (metric, duration) in steps {
            if let Some(duration) = duration {
                self.record(metric, milliseconds(duration));
            }
        }
        true
    }

    /// Moves what the wire counted to the VU's totals.
    pub fn account_wire_bytes(&self) {
        let (sent, received) = self.wire.take();
        self.vu.data_sent.set(self.vu.data_sent.get() + sent);
        self.vu.data_received.set(self.vu.data_received.get() + received);
    }

    /// The host and the port of the connect, for people to read.
    pub fn target(&self) -> String {
        let endpoint = self.endpoint.borrow();
        endpoint.as_ref().map_or_else(String::new, |to| {
            match to.host.contains(':') && !to.host.starts_with('[') {
                true => format!("[{}]:{}", to.host, to.port),
                false => format!("{}:{}", to.host, to.port),
            }
        })
    }

    /// Local and remote, while there is a connection.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let stream = self.stream.borrow();
        let stream = stream.as_ref()?;
        Some((stream.local_addr().ok()?, stream.remote_addr()))
    }

    fn record(&self, metric: MetricId, value: f64) {
        let series = self.own_series(metric);
        self.vu.record_series(series, value, self.vu.now());
    }

    /// The series of a metric under the VU's present tags and the socket's own.
    fn own_series(&self, metric: MetricId) -> SeriesId {
        let under = self.vu.tags.id();
        let mut known = self.known_series.borrow_mut();
        let mut tags = None;
        for of in known.iter().filter(|of| of.under == under) {
            if of.metric == metric {
                return of.series;
            }
            tags = Some(of.tags);
        }
        known.retain(|of| of.under.is_of(self.vu.worker.epoch()));
        let tags = tags.unwrap_or_else(|| self.tags_with(&[], &Vec::new()));
        let series = self.vu.worker.record(|r| r.series(metric, tags));
        known.push(KnownSeries { under, metric, tags, series });
        series
    }

    /// The VU's tags, those of what is counted, the constructor's, connect's, the endpoint's and those of the call: later
    /// ones win.
    fn tags_with(&self, kind: &[(&'static str, &'static str)], tags: &Tags) -> TagSetId {
        let (connect, endpoint) = (self.connect_tags.borrow(), self.endpoint.borrow());
        let endpoint = endpoint.iter().flat_map(Endpoint::tags);
        let own = kind.iter().copied().chain(pairs(&self.constructor_tags)).chain(pairs(&connect));
        let own = own.chain([("proto", "TCP")]).chain(endpoint).chain(pairs(tags));
        let under = self.vu.tags.id();
        self.vu.worker.record(|r| r.derive(under, own))
    }

    fn close_stream(&self) {
        // Script may be called from the I/O task only while the stream is not borrowed.
        if let Some(stream) = self.stream.take() {
            stream.close();
        }
        self.account_wire_bytes();
        if let Some(opened) = self.opened_at.take() {
            self.record(self.metrics.duration, milliseconds(opened.elapsed()));
        }
    }
}

fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> + Clone {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The reference's text for using a socket that has no connection.
pub const NO_CONNECTION: &str = "no active connection";
