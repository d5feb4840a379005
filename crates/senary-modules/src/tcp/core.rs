//! The Socket itself: its state, what it owns in each, and the steps between them.
//!
//! ```text
//! disconnected ── connect ──▶ opening ── dialled ──▶ open
//!      ▲                        │  │                  │ peer's FIN, read error, destroy()
//!      └────── dial failed ─────┘  └── destroy() ──▶ destroyed
//! ```
//!
//! `io` reads, and writes what is queued; `events` calls script.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rquickjs::{Class, Persistent};
use senary_js::event_loop::Event;
use senary_js::live::LiveId;
use senary_js::memory::Charge;
use senary_js::prefetch::HotLines;
use senary_js::promise::Resolvers;
use senary_js::vu::core::VuCore;
use senary_net::{DialProgress, Ends, Stream, WireBytes};
use tokio::task::AbortHandle;

use super::class::SocketObject;
use super::events::SocketEvent;
use super::extended::Extended;
use super::half_close::OurSide;
use super::metrics::TcpMetrics;
use super::requests::Serial;
use super::target::Peer;
use super::tcp_info;
use crate::connection::books::{SocketBooks, milliseconds};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::Tags;
use crate::connection::owed::Owed;

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

/// Bytes that the system has not taken yet, and the promise that waits for them.
pub struct QueuedWrite {
    pub data: Vec<u8>,
    pub written: usize,
    pub waiting: Waiting,
    /// The tags given to `write()`.
    pub tags: Tags,
    pub called: Option<CallSite>,
    /// The bytes count as the script's.
    pub _charge: Charge,
}

/// What waits for the end of a write.
pub enum Waiting {
    Promise(Resolvers),
    /// A request, which counts from then on as sent.
    Request(Serial),
    /// Nothing is written: the connection is encrypted when its turn comes.
    StartTls(Resolvers),
    Nothing,
}

/// Writes that the end of a connection cut off, and the addresses it ran between.
pub struct CutOff {
    pub writes: VecDeque<QueuedWrite>,
    pub ends: Option<Ends>,
}

/// A `connect()` under way: its promise, and where the script called it.
pub struct Connecting {
    pub promise: Resolvers,
    pub called: Option<CallSite>,
}

pub struct SocketCore {
    id: LiveId,
    pub vu: Rc<VuCore>,
    pub metrics: TcpMetrics,
    state: Cell<State>,
    pub books: SocketBooks,
    pub stream: RefCell<Option<Stream>>,
    /// What the stream, or the connect under way, moved since it was last accounted for.
    pub wire: Rc<WireBytes>,
    opened_at: Cell<Option<Instant>>,
    pub owed: Owed,
    pub bytes_written: Cell<u64>,
    pub bytes_read: Cell<u64>,
    /// Whether a listener takes what comes.
    pub hears: Cell<bool>,
    pub writes: RefCell<VecDeque<QueuedWrite>>,
    /// Events for script; the event loop has one entry for each.
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
    /// The progress of the connect under way.
    pub attempt: RefCell<Option<Rc<DialProgress>>>,
    pub connecting: RefCell<Option<Connecting>>,
    pub hot: HotLines,
    /// The additional parts of a socket of `senary/tcp`.
    pub extended: Option<Box<Extended>>,
    /// Keeps the script's object alive while events may still come.
    pub anchor: RefCell<Option<Persistent<Class<'static, SocketObject<'static>>>>>,
}

impl SocketCore {
    pub fn new(
        vu: Rc<VuCore>,
        metrics: TcpMetrics,
        constructor_tags: Tags,
        extended: Option<Extended>,
    ) -> Rc<Self> {
        let books = SocketBooks::new(vu.clone(), "TCP", constructor_tags);
        Rc::new(Self {
            id: vu.events.new_live_id(),
            vu,
            metrics,
            state: Cell::new(State::Disconnected),
            books,
            stream: RefCell::default(),
            wire: Rc::default(),
            opened_at: Cell::new(None),
            owed: Owed::default(),
            bytes_written: Cell::new(0),
            bytes_read: Cell::new(0),
            hears: Cell::new(false),
            writes: RefCell::default(),
            hot: HotLines::default(),
            extended: extended.map(Box::new),
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

    pub fn id(&self) -> LiveId {
        self.id
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Our side ends or has ended: nothing more is sent.
    pub fn is_ending(&self) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.our_side.get() != OurSide::Open)
    }

    /// Script may want received bytes, or more of them.
    pub fn look_for_more(self: &Rc<Self>) {
        let Some(extended) = &self.extended else { return };
        let has_some = extended.inbound.borrow().has_some();
        if has_some && !self.data_queued.get() && self.is_open() && extended.has_takers() {
            self.data_queued.set(true);
            self.emit(SocketEvent::Received(None));
        }
        self.wake();
    }

    pub fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Queues an event for the script.
    pub fn emit(self: &Rc<Self>, event: SocketEvent) {
        self.inbox.borrow_mut().push_back(event);
        self.vu.events.push(Event::Live(self.clone()));
    }

    /// As [`emit`](Self::emit), from the I/O task: the task lets the VU run afterwards, so it need not be woken.
    pub fn emit_from_io(self: &Rc<Self>, event: SocketEvent) {
        self.inbox.borrow_mut().push_back(event);
        self.vu.events.push_quietly(Event::Live(self.clone()));
    }

    /// disconnected → opening.
    pub fn begin_connect(self: &Rc<Self>, tags: Tags, peer: &Peer) {
        self.state.set(State::Opening);
        match peer {
            Peer::Host { host, port } => self.books.begin(tags, host.clone(), Some(port.to_string())),
            Peer::Path(path) => self.books.begin(tags, path.clone(), None),
        }
        self.attempt.replace(Some(Rc::default()));
        if self.outlives_iterations() {
            self.vu.events.residents.keep(self.id, self.clone());
            self.note_busy();
        } else {
            self.vu.events.hold(self.id, self.clone());
        }
    }

    pub fn set_task(&self, task: AbortHandle) {
        self.task.replace(Some(task));
    }

    /// opening → (event) → open; the stream is here already, so that nothing can get lost.
    pub fn connected(self: &Rc<Self>, stream: Stream) {
        self.owed.connected(self.books.count(self.metrics.sockets));
        self.vu.evidence.connected();
        self.stream.replace(Some(stream));
        let now = Instant::now();
        self.opened_at.set(Some(now));
        self.idle_since.set(now);
    }

    /// opening → open: script learns of the connection now.
    pub fn opened(&self) {
        self.state.set(State::Open);
    }

    /// disconnected → destroyed, without anything to close.
    pub fn destroyed_unused(&self) {
        self.state.set(State::Destroyed);
    }

    /// opening → disconnected.
    pub fn connect_failed(&self) {
        self.state.set(State::Disconnected);
        self.release();
    }

    /// Any state → destroyed. The stream is closed and its duration recorded. Returns the queued writes, which have to
    /// be refused.
    pub fn close(&self) -> CutOff {
        self.close_by(Stream::close)
    }

    /// As [`close`](Self::close), but the connection is reset.
    pub fn reset(&self) -> CutOff {
        self.close_by(Stream::reset)
    }

    fn close_by(&self, end: impl FnOnce(Stream)) -> CutOff {
        self.state.set(State::Destroyed);
        let writes = std::mem::take(&mut *self.writes.borrow_mut());
        let ends = if writes.is_empty() { None } else { self.stream.borrow().as_ref().map(Stream::ends) };
        self.close_stream(end);
        if !self.io_running.get()
            && let Some(task) = self.task.take()
        {
            task.abort();
        }
        CutOff { writes, ends }
    }

    /// Releases the script's object if no further event can come.
    pub fn let_go_if_unused(&self) {
        if self.state.get() == State::Disconnected && self.refusals.get() == 0 {
            self.anchor.take();
        }
    }

    /// The iteration need not wait for this socket any more.
    pub fn release(&self) {
        if self.outlives_iterations() {
            self.vu.events.residents.forget(self.id);
        } else {
            self.vu.events.release(self.id);
        }
    }

    pub fn outlives_iterations(&self) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.settings.outlives_iterations)
    }

    /// Tells the event loop whether the iteration waits for a socket that outlives it.
    pub fn note_busy(&self) {
        let Some(extended) = &self.extended else { return };
        if extended.settings.outlives_iterations {
            let is_connecting = self.state.get() == State::Opening;
            let is_writing = !self.writes.borrow().is_empty();
            self.vu.events.residents.set_busy(self.id, is_connecting || is_writing || extended.is_awaited());
        }
    }

    /// Wakes the I/O task to look at what changed.
    pub fn wake(&self) {
        self.note_busy();
        if self.io_running.get() {
            return;
        }
        if let Some(waker) = &*self.io_waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Counts a write that will not be finished, if some of it was sent.
    pub fn count_partial(&self, write: &QueuedWrite) {
        if write.written > 0 {
            self.books.count_with(self.metrics.partial_writes, &write.tags);
        }
    }

    /// Counts a failure and returns it; every failure of a socket is counted here, once.
    pub fn failed(&self, failure: SocketFailure, tags: &Tags) -> SocketFailure {
        self.books.failed(self.metrics.errors, failure, tags, || self.peer_behind_failure())
    }

    /// Where the script called the `connect()` under way.
    pub fn connect_called(&self) -> Option<CallSite> {
        self.connecting.borrow().as_ref().and_then(|connecting| connecting.called.clone())
    }

    /// Records a connect that is over, however it ended. Returns whether one was under way.
    pub fn record_attempt(&self) -> bool {
        let Some(attempt) = self.attempt.take() else { return false };
        if let Some(ip) = attempt.ip() {
            self.books.resolved(ip);
        }
        let timings = attempt.timings();
        let steps = [
            (self.metrics.resolving, timings.resolving),
            (self.metrics.connecting, timings.connecting),
            (self.metrics.tls_handshaking, timings.tls_handshaking),
        ];
        for (metric, duration) in steps {
            if let Some(duration) = duration {
                self.books.record(metric, milliseconds(duration));
            }
        }
        true
    }

    /// Adds the bytes that moved on the wire to the VU's totals.
    pub fn account_wire_bytes(&self) {
        let (sent, received) = self.wire.take();
        self.vu.data_sent.set(self.vu.data_sent.get() + sent);
        self.vu.data_received.set(self.vu.data_received.get() + received);
    }

    /// Local and remote, while there is a connection.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let stream = self.stream.borrow();
        let stream = stream.as_ref()?;
        Some((stream.local().ok()?.ip()?, stream.remote().ip()?))
    }

    fn close_stream(&self, end: impl FnOnce(Stream)) {
        // Script may be called from the I/O task only while the stream is not borrowed.
        if let Some(stream) = self.stream.take() {
            if let Some(extended) = &self.extended {
                tcp_info::record(self, extended, &stream);
            }
            end(stream);
        }
        self.account_wire_bytes();
        if let Some(opened) = self.opened_at.take() {
            self.books.record(self.metrics.duration, milliseconds(opened.elapsed()));
        }
    }
}

/// The reference's text for using a socket that has no connection.
pub const NO_CONNECTION: &str = "no active connection";
