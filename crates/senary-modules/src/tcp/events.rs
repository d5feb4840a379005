//! The events that script gets, and their order: an event comes before the promise that means the same, so that a
//! listener runs even if the rejection is not caught. Every `data` and every `error` comes before `close`, which comes
//! last and once.

use std::ffi::CStr;
use std::rc::Rc;

use rquickjs::{Class, Ctx, Function, Value};
use senary_js::live::Live;
use senary_js::memory::Chunk;
use senary_js::prefetch::extent;
use senary_js::promise::Resolvers;
use senary_js::vu::failures::ClueEvent;
use senary_net::NetError;

use super::class::SocketObject;
use super::core::{Connecting, CutOff, SocketCore, State, Waiting};
use super::extended::Extended;
use super::{delivery, half_close, pump};
use crate::connection::error::{Method, SocketFailure};

/// The events scripts may listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    Connect,
    Data,
    Close,
    Error,
    Timeout,
    /// This event and `end` exist in `senary/tcp` only.
    Message,
    End,
}

pub const EVENT_COUNT: usize = EventName::ALL.len();

impl EventName {
    /// The events of `k6/x/tcp` come first.
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::Data, Self::Close, Self::Error, Self::Timeout, Self::Message, Self::End];

    /// The events of a socket.
    pub fn of(is_extended: bool) -> &'static [Self] {
        if is_extended { &Self::ALL } else { &Self::ALL[..5] }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Data => "data",
            Self::Close => "close",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Message => "message",
            Self::End => "end",
        }
    }

    pub fn parse(name: &str, is_extended: bool) -> Option<Self> {
        Self::of(is_extended).iter().copied().find(|event| event.as_str() == name)
    }
}

/// Something that happened to a socket and waits for the VU's turn.
pub enum SocketEvent {
    Connected,
    ConnectFailed(SocketFailure),
    Data(Chunk),
    /// A queued write has ended; its promise may be resolved.
    Written(Resolvers),
    WriteFailed(SocketFailure, Waiting),
    /// A connect or a write was refused during the call.
    Refused(SocketFailure, Resolvers),
    Timeout,
    ReadFailed(SocketFailure),
    /// The peer has closed its side.
    PeerClosed,
    /// A socket of `senary/tcp` has received bytes, which wait in its inbound side. The chunk is there if the script
    /// listens to `data`, too.
    Received(Option<Chunk>),
    /// The peer of a socket of `senary/tcp` has ended its side.
    PeerEnded,
    /// Everything that waited was sent, and our side has ended; or the error that prevented it.
    Drained(Option<NetError>),
    /// The connection could not be encrypted, and is closed.
    TlsFailed(SocketFailure, Resolvers),
    /// The pump is over.
    Pumped,
    /// The stream cannot be split into messages any further.
    Broken(SocketFailure),
    /// A reader or a request has waited too long, or a silence has ended a message.
    Due,
    /// `destroy()` was called; the writes it cut off.
    Destroyed(CutOff),
}

impl Live for SocketCore {
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let next = self.inbox.borrow_mut().pop_front();
        let told = next.map_or(Ok(()), |event| dispatch(ctx, &self, event));
        self.note_busy();
        told
    }

    fn discard(&self) {
        // Taken out first: its destructor may look at the socket.
        let next = self.inbox.borrow_mut().pop_front();
        let is_over = match &next {
            Some(SocketEvent::Refused(..)) => {
                self.refusals.set(self.refusals.get().saturating_sub(1));
                false
            }
            Some(event) => half_close::is_discarded(self, event),
            None => false,
        };
        drop(next);
        if is_over {
            self.abandon();
        }
        self.let_go_if_unused();
    }

    fn wake(&self) {
        SocketCore::wake(self);
    }

    fn describe(&self) -> String {
        let doing = if self.state() == State::Opening { "connecting" } else { "open" };
        format!("a socket to {} is still {doing}", self.books.target().unwrap_or_default())
    }

    fn traffic(&self) -> String {
        SocketCore::traffic(self)
    }

    fn is_closed(&self) -> bool {
        self.state() == State::Destroyed
    }

    fn waits_for_peer(&self) -> bool {
        SocketCore::waits_for_peer(self)
    }

    fn cut_off(&self) {
        // A connection that is being made or encrypted belongs to the iteration.
        if !self.is_open() || self.stream.borrow().is_none() {
            return self.abandon();
        }
        // Writes that have begun are sent to their end, because half a message would spoil all that follow.
        let promises: Vec<Waiting> = {
            let mut writes = self.writes.borrow_mut();
            writes.iter_mut().map(|write| std::mem::replace(&mut write.waiting, Waiting::Nothing)).collect()
        };
        drop(promises);
        if let Some(extended) = &self.extended {
            extended.tls.take();
            pump::cut_off(self, extended);
            delivery::abandoned(self, extended, &extended.cut_off());
        }
        self.vu.events.residents.set_busy(self.id(), false);
    }

    fn abandon(&self) {
        self.close().writes.iter().for_each(|write| self.count_partial(write));
        if let Some(extended) = &self.extended {
            pump::abandon(self, extended);
            delivery::abandoned(self, extended, &extended.abandon());
        }
        self.connecting.take();
        if self.outlives_iterations() {
            self.release();
        }
        self.anchor.take();
    }
}

fn dispatch(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, event: SocketEvent) -> rquickjs::Result<()> {
    match event {
        SocketEvent::Connected => connected(ctx, socket),
        SocketEvent::ConnectFailed(failure) => connect_failed(ctx, socket, &failure),
        SocketEvent::Data(chunk) => data(ctx, socket, chunk),
        SocketEvent::Written(promise) => promise.resolve(ctx, Value::new_undefined(ctx.clone())),
        SocketEvent::WriteFailed(failure, waiting) => write_failed(ctx, socket, &failure, waiting),
        SocketEvent::Refused(failure, promise) => refused(ctx, socket, &failure, promise),
        SocketEvent::Timeout if socket.state() == State::Open => call(ctx, socket, EventName::Timeout, None),
        SocketEvent::ReadFailed(failure) if socket.state() == State::Open => {
            read_failed(ctx, socket, &failure)
        }
        SocketEvent::PeerClosed if socket.state() == State::Open => closed_by_peer(ctx, socket),
        SocketEvent::TlsFailed(failure, promise) => tls_failed(ctx, socket, &failure, promise),
        SocketEvent::Destroyed(cut_off) => destroyed(ctx, socket, cut_off),
        SocketEvent::Received(raw) => received(ctx, socket, raw),
        SocketEvent::Broken(failure) if socket.is_open() => delivery::break_off(ctx, socket, failure),
        // A socket that is closed already has nothing more to say.
        SocketEvent::Timeout
        | SocketEvent::ReadFailed(_)
        | SocketEvent::PeerClosed
        | SocketEvent::Broken(_) => Ok(()),
        SocketEvent::PeerEnded | SocketEvent::Drained(_) | SocketEvent::Pumped | SocketEvent::Due => {
            match &socket.extended {
                Some(extended) => dispatch_extended(ctx, socket, extended, &event),
                None => Ok(()),
            }
        }
    }
}

/// The events that only sockets of `senary/tcp` have.
fn dispatch_extended(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    event: &SocketEvent,
) -> rquickjs::Result<()> {
    match event {
        SocketEvent::PeerEnded if socket.is_open() => delivery::ended(ctx, socket, extended),
        SocketEvent::Drained(error) => half_close::ended(ctx, socket, extended, error.as_ref()),
        SocketEvent::Pumped => pump::finish(ctx, socket, extended),
        SocketEvent::Due => delivery::due(ctx, socket, extended),
        _ => Ok(()),
    }
}

fn connected(ctx: &Ctx<'_>, socket: &Rc<SocketCore>) -> rquickjs::Result<()> {
    // A socket that was destroyed meanwhile has an event of its own behind this one.
    if socket.state() != State::Opening {
        return Ok(());
    }
    let connecting = socket.connecting.take();
    socket.opened();
    call(ctx, socket, EventName::Connect, None)?;
    if let Some(connecting) = connecting {
        connecting.promise.resolve(ctx, Value::new_null(ctx.clone()))?;
    }
    socket.wake();
    Ok(())
}

fn connect_failed(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, failure: &SocketFailure) -> rquickjs::Result<()> {
    let connecting = socket.connecting.take();
    // The socket may have been destroyed meanwhile; the failure came first.
    if socket.state() == State::Opening {
        socket.connect_failed();
    }
    let value = tell(ctx, socket, failure)?;
    socket.let_go_if_unused();
    connecting.map_or(Ok(()), |connecting| connecting.promise.reject(ctx, value))
}

fn data(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, chunk: Chunk) -> rquickjs::Result<()> {
    socket.data_queued.set(false);
    if socket.state() == State::Open
        && let Some(handler) = handler(ctx, socket, EventName::Data)
    {
        let data = chunk.into_uint8_array(ctx)?;
        if socket.hot.count_message() {
            note_hot_lines(ctx, socket, handler.as_value(), c"write")?;
        }
        handler.call::<_, Value<'_>>((data,))?;
    }
    socket.wake();
    Ok(())
}

fn write_failed(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    failure: &SocketFailure,
    waiting: Waiting,
) -> rquickjs::Result<()> {
    let value = tell(ctx, socket, failure)?;
    match (waiting, &socket.extended) {
        (Waiting::Promise(promise) | Waiting::StartTls(promise), _) => promise.reject(ctx, value),
        (Waiting::Request(serial), Some(extended)) => {
            delivery::request_not_sent(ctx, socket, extended, serial, failure)
        }
        (Waiting::Request(_) | Waiting::Nothing, _) => Ok(()),
    }
}

fn refused(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    failure: &SocketFailure,
    promise: Resolvers,
) -> rquickjs::Result<()> {
    socket.refusals.set(socket.refusals.get().saturating_sub(1));
    let told = tell(ctx, socket, failure);
    socket.let_go_if_unused();
    promise.reject(ctx, told?)
}

fn read_failed(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, failure: &SocketFailure) -> rquickjs::Result<()> {
    socket.note_loss();
    if listens(ctx, socket, EventName::Error) {
        tell(ctx, socket, failure)?;
    } else {
        log::error!(error = failure.message.as_str(), method = failure.method.as_str(), module = "tcp"; "Handling TCP error");
    }
    // The listener may have destroyed the socket.
    if socket.state() == State::Open { closed_by_peer(ctx, socket) } else { Ok(()) }
}

fn tls_failed(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    failure: &SocketFailure,
    promise: Resolvers,
) -> rquickjs::Result<()> {
    let value = tell(ctx, socket, failure)?;
    promise.reject(ctx, value)?;
    if socket.is_open() { closed_by_peer(ctx, socket) } else { Ok(()) }
}

fn destroyed(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, cut_off: CutOff) -> rquickjs::Result<()> {
    refuse_writes(ctx, socket, cut_off)?;
    // What the connect that is given up was waiting for.
    let waited_for = socket.attempt_waits_for();
    socket.record_attempt();
    if let Some(connecting) = socket.connecting.take() {
        refuse_destroyed(ctx, socket, connecting, &waited_for)?;
    }
    finish(ctx, socket)
}

/// Bytes have come to a socket of `senary/tcp`: they go to the listener of `data`, then they become messages.
fn received(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, raw: Option<Chunk>) -> rquickjs::Result<()> {
    if let Some(raw) = raw
        && socket.is_open()
    {
        call(ctx, socket, EventName::Data, Some(raw.into_uint8_array(ctx)?))?;
    }
    match &socket.extended {
        Some(extended) if socket.is_open() => delivery::received(ctx, socket, extended),
        _ => Ok(()),
    }
}

/// Notes what the next messages will touch: `taker` is a function, or a promise that an async function waits for, which
/// then calls a method of the socket.
pub fn note_hot_lines<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    taker: &Value<'js>,
    method: &CStr,
) -> rquickjs::Result<()> {
    let Some(object) = socket.anchor.borrow().clone() else { return Ok(()) };
    let object = object.restore(ctx)?;
    let [core, engine] = socket.vu.extents();
    let extended = socket.extended.as_deref().map_or(0..0, |extended| extent(std::ptr::from_ref(extended)));
    let natives = [extent(Rc::as_ptr(socket)), extended, core, engine];
    socket.hot.note(ctx, taker, (object.as_value(), method), &natives);
    Ok(())
}

/// Whether script listens to an event of this socket.
fn listens(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, name: EventName) -> bool {
    handler(ctx, socket, name).is_some()
}

pub fn closed_by_peer(ctx: &Ctx<'_>, socket: &Rc<SocketCore>) -> rquickjs::Result<()> {
    socket.note(ClueEvent::Closed);
    // A peer that is told that nothing more comes may go without a word.
    if !socket.is_ending() {
        socket.vu.evidence.hung_up(socket.bytes_read.get());
        socket.note_loss();
    }
    refuse_writes(ctx, socket, socket.close())?;
    finish(ctx, socket)
}

/// The last step of a socket: its last events, and its release.
pub fn finish(ctx: &Ctx<'_>, socket: &Rc<SocketCore>) -> rquickjs::Result<()> {
    let Some(extended) = &socket.extended else {
        socket.release();
        let result = call(ctx, socket, EventName::Close, None);
        socket.anchor.take();
        return result;
    };
    let told = delivery::closed(ctx, socket, extended);
    socket.release();
    let closed = told.and_then(|()| call(ctx, socket, EventName::Close, None));
    let settled = delivery::settle_closed(ctx, extended);
    socket.anchor.take();
    closed.and(settled)
}

pub fn refuse_writes(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, cut_off: CutOff) -> rquickjs::Result<()> {
    let closed = NetError::Closed { ends: cut_off.ends };
    for write in cut_off.writes {
        socket.count_partial(&write);
        let (promise, failure) = match write.waiting {
            Waiting::Promise(promise) => {
                let failure = SocketFailure::from_net(Method::Write, &closed);
                let message =
                    format!("failed to write data after {} bytes: {}", write.written, failure.message);
                (promise, SocketFailure { message, ..failure })
            }
            Waiting::StartTls(promise) => {
                let text = "the socket was closed before the connection was encrypted";
                (promise, SocketFailure::new(Method::StartTls, "ERR_SOCKET_CLOSED", text))
            }
            // A request that was not sent fails with the others of its socket.
            Waiting::Request(_) | Waiting::Nothing => continue,
        };
        let failure = failure.called_at(write.called);
        let value = tell(ctx, socket, &socket.failed(failure, &write.tags))?;
        promise.reject(ctx, value)?;
    }
    Ok(())
}

fn refuse_destroyed(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    connecting: Connecting,
    waited_for: &str,
) -> rquickjs::Result<()> {
    let text = format!(
        "the socket was destroyed while connecting to {}{waited_for}",
        socket.books.target().unwrap_or_default()
    );
    let failure = SocketFailure::new(Method::Connect, "ERR_SOCKET_CLOSED", text).called_at(connecting.called);
    let value = tell(ctx, socket, &socket.failed(failure, &Vec::new()))?;
    connecting.promise.reject(ctx, value)
}

/// Calls the listener of `error`, and returns the value that the promise is to be rejected with.
pub fn tell<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    failure: &SocketFailure,
) -> rquickjs::Result<Value<'js>> {
    let value = failure.to_value(ctx)?;
    call(ctx, socket, EventName::Error, Some(value.clone()))?;
    Ok(value)
}

/// The listener of an event.
pub fn handler<'js>(ctx: &Ctx<'js>, socket: &Rc<SocketCore>, name: EventName) -> Option<Function<'js>> {
    let object = object_of(ctx, socket)?;
    let object = object.borrow();
    object.handler(name)
}

/// The script's object.
pub fn object_of<'js>(ctx: &Ctx<'js>, socket: &SocketCore) -> Option<Class<'js, SocketObject<'js>>> {
    socket.anchor.borrow().clone()?.restore(ctx).ok()
}

/// Whether a listener or a `once()` waits for an event.
pub fn is_heard(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, name: EventName) -> bool {
    listens(ctx, socket, name) || socket.extended.as_ref().is_some_and(|extended| extended.awaits_once(name))
}

/// Calls the listener of an event, if there is one, and settles what `once()` promised.
pub fn call<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    name: EventName,
    argument: Option<Value<'js>>,
) -> rquickjs::Result<()> {
    if let Some(extended) = &socket.extended {
        extended.keep_once(ctx, name, argument.as_ref())?;
    }
    let Some(handler) = handler(ctx, socket, name) else { return Ok(()) };
    // The result is dropped; a promise among it is watched by the rejection tracker.
    match argument {
        None => handler.call::<_, Value<'js>>(())?,
        Some(argument) => handler.call::<_, Value<'js>>((argument,))?,
    };
    Ok(())
}
