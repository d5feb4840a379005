//! What only sockets of `senary/tcp` have: framing, readers, requests, and promises for their end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use rquickjs::{Ctx, Value};
use senary_wire::Framing;

use super::encoding::Encoding;
use super::events::EventName;
use super::half_close::OurSide;
use super::inbound::Inbound;
use super::latency::Latency;
use super::metrics::MessageMetrics;
use super::pump::Pump;
use super::request_series::RequestSeries;
use super::requests::{Correlation, LetGo, Requests};
use super::tcp_info::Asks;
use super::throttle::Throttle;
use super::tls::TlsSettings;
use senary_js::memory::Memory;
use senary_js::promise::Resolvers;

/// What the constructor was given.
pub struct Settings {
    pub encoding: Option<Encoding>,
    pub correlation: Correlation,
    pub allow_half_open: bool,
    /// It belongs to its VU, and outlives the iteration.
    pub outlives_iterations: bool,
    pub latency: Option<Latency>,
    pub tcp_info: Asks,
    /// Whether small writes are sent at once.
    pub no_delay: bool,
    /// In bytes, as the kernel takes them.
    pub receive_buffer: Option<usize>,
    pub send_buffer: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            encoding: None,
            correlation: Correlation::default(),
            allow_half_open: false,
            outlives_iterations: false,
            latency: None,
            tcp_info: Asks::Never,
            no_delay: true,
            receive_buffer: None,
            send_buffer: None,
        }
    }
}

pub struct Extended {
    pub metrics: MessageMetrics,
    pub settings: Settings,
    pub inbound: RefCell<Inbound>,
    pub requests: RefCell<Requests>,
    pub request_series: RefCell<RequestSeries>,
    /// The pump under way. Borrowed only while no script can run.
    pub pump: RefCell<Option<Box<Pump>>>,
    /// What `send()` adds. `None`: nothing.
    pub sends: RefCell<Option<Rc<Framing>>>,
    /// Whether there is a framing: a description or a function.
    pub is_framed: Cell<bool>,
    /// A function of the script's finds the end of messages.
    pub by_function: Cell<bool>,
    pub paused: Cell<bool>,
    /// The script listens to `message`, or to `data`.
    pub hears_messages: Cell<bool>,
    pub hears_data: Cell<bool>,
    /// Promises of `once()`.
    pub once: RefCell<Vec<(EventName, Resolvers)>>,
    /// The promise of `closed` was asked for and is not settled.
    pub closed: RefCell<Option<Resolvers>>,
    /// It will never be settled: the iteration that was told of the end had failed.
    pub closed_is_lost: Cell<bool>,
    /// When the next reader or request has waited too long.
    pub deadline: Cell<Option<Instant>>,
    /// A `Due` event waits for its turn.
    pub due_queued: Cell<bool>,
    /// The run of the VU in which it was last served.
    pub run: Cell<Option<u64>>,
    pub our_side: Cell<OurSide>,
    /// The peer sends nothing more; what it has sent may be unread.
    pub peer_is_done: Cell<bool>,
    /// What TCP had counted when it was last asked.
    pub retransmits: Cell<u32>,
    pub throttle: Throttle,
    /// How to encrypt the connection, as `startTls()` was told. Nothing is received in the meantime.
    pub tls: RefCell<Option<Box<TlsSettings>>>,
    /// While `startTls()` is under way: the requests from this one on are encrypted, and no plain text answers them.
    pub encrypted_from: Cell<Option<u64>>,
    /// Promises of `end()`.
    pub ends: RefCell<Vec<Resolvers>>,
}

impl Extended {
    pub fn new(metrics: MessageMetrics, settings: Settings, memory: Rc<Memory>) -> Self {
        Self {
            metrics,
            settings,
            inbound: RefCell::new(Inbound::new(memory, None)),
            requests: RefCell::default(),
            request_series: RefCell::default(),
            pump: RefCell::default(),
            sends: RefCell::default(),
            is_framed: Cell::new(false),
            by_function: Cell::new(false),
            paused: Cell::new(false),
            hears_messages: Cell::new(false),
            hears_data: Cell::new(false),
            once: RefCell::default(),
            closed: RefCell::default(),
            closed_is_lost: Cell::new(false),
            deadline: Cell::new(None),
            due_queued: Cell::new(false),
            run: Cell::default(),
            our_side: Cell::default(),
            peer_is_done: Cell::new(false),
            retransmits: Cell::new(0),
            throttle: Throttle::default(),
            tls: RefCell::default(),
            encrypted_from: Cell::default(),
            ends: RefCell::default(),
        }
    }

    /// Whether anything waits for the next message.
    pub fn has_takers(&self) -> bool {
        !self.inbound.borrow().readers.is_empty()
            || self.requests.borrow().under_way() > 0
            || self.listens_to_content()
    }

    fn listens_to_content(&self) -> bool {
        let event = if self.is_framed.get() { EventName::Message } else { EventName::Data };
        let listener = if self.is_framed.get() { &self.hears_messages } else { &self.hears_data };
        listener.get() || self.awaits_once(event)
    }

    pub fn awaits_once(&self, event: EventName) -> bool {
        self.once.borrow().iter().any(|(name, _)| *name == event)
    }

    /// Whether the pump takes all messages.
    pub fn pump_reads(&self) -> bool {
        self.pump.borrow().as_ref().is_some_and(|pump| pump.takes_replies)
    }

    /// Whether bytes should be received now.
    pub fn wants_bytes(&self) -> bool {
        if self.paused.get() || self.tls.borrow().is_some() {
            return false;
        }
        let inbound = self.inbound.borrow();
        if inbound.ended {
            return false;
        }
        let room = inbound.len() <= inbound.most_kept();
        drop(inbound);
        room && (self.peer_is_done.get()
            || self.has_takers()
            || self.hears_data.get()
            || self.awaits_once(EventName::Data)
            || self.waits_for_the_end())
    }

    /// Whether to look for the end of the peer's side, while nobody wants what it sends: the iteration waits for it, and for nothing
    /// else.
    pub fn watches_the_peer(&self) -> bool {
        let is_needed = !self.peer_is_done.get() && !self.inbound.borrow().ended;
        let may_read = !self.paused.get() && self.tls.borrow().is_none() && self.pump.borrow().is_none();
        is_needed && may_read && !self.settings.outlives_iterations && !self.wants_bytes()
    }

    /// Whether the script waits for the peer to end its side: what comes before that is kept, up to the largest message.
    fn waits_for_the_end(&self) -> bool {
        self.our_side.get() == OurSide::Ended
            || self.closed.borrow().is_some()
            || self.awaits_once(EventName::End)
            || self.awaits_once(EventName::Close)
    }

    /// Computes again when the next reader or request will have waited too long.
    pub fn set_deadline(&self) {
        let readers = self.inbound.borrow().readers.iter().filter_map(|reader| reader.deadline).min();
        let requests = self.requests.borrow().next_deadline();
        self.deadline.set(readers.into_iter().chain(requests).min());
    }

    /// Settles the promises of `once()` for an event.
    pub fn keep_once<'js>(
        &self,
        ctx: &Ctx<'js>,
        event: EventName,
        argument: Option<&Value<'js>>,
    ) -> rquickjs::Result<()> {
        if self.once.borrow().is_empty() {
            return Ok(());
        }
        let (kept, left) =
            std::mem::take(&mut *self.once.borrow_mut()).into_iter().partition(|(name, _)| *name == event);
        self.once.replace(left);
        let kept: Vec<(EventName, Resolvers)> = kept;
        for (_, promise) in kept {
            promise.resolve(ctx, argument.cloned().unwrap_or_else(|| Value::new_undefined(ctx.clone())))?;
        }
        Ok(())
    }

    /// Whether the script waits for received bytes, or for bytes to be sent.
    pub fn is_awaited(&self) -> bool {
        !self.inbound.borrow().readers.is_empty()
            || self.requests.borrow().under_way() > 0
            || !self.ends.borrow().is_empty()
            // The pump itself is at work while it is borrowed.
            || self.pump.try_borrow().map_or(true, |pump| pump.is_some())
            || self.awaits_once(EventName::Message)
            || self.awaits_once(EventName::Data)
    }

    /// The iteration has failed, and the connection stays open. Nothing waits any more, but replies may still come.
    /// Returns the requests that were under way.
    pub fn cut_off(&self) -> Vec<LetGo> {
        let readers = std::mem::take(&mut self.inbound.borrow_mut().readers);
        let requests = self.requests.borrow_mut().let_go();
        let (once, ends) =
            (std::mem::take(&mut *self.once.borrow_mut()), std::mem::take(&mut *self.ends.borrow_mut()));
        self.set_deadline();
        // Taken out first: what is dropped may look at the socket.
        drop((readers, once, ends));
        requests
    }

    /// No script runs any more: everything that waits is released. Returns the requests that were under way.
    pub fn abandon(&self) -> Vec<LetGo> {
        let readers = std::mem::take(&mut self.inbound.borrow_mut().readers);
        let requests = self.requests.borrow_mut().let_all_go();
        let (once, closed) = (std::mem::take(&mut *self.once.borrow_mut()), self.closed.take());
        self.closed_is_lost.set(closed.is_some() || self.closed_is_lost.get());
        let ends = std::mem::take(&mut *self.ends.borrow_mut());
        // Taken out first: what is dropped may look at the socket.
        drop((readers, once, closed, ends));
        requests
    }

    /// Something waits until then, at most.
    pub fn note_deadline(&self, deadline: Instant) {
        if self.deadline.get().is_none_or(|known| deadline < known) {
            self.deadline.set(Some(deadline));
        }
    }
}
