//! How messages reach a script of `senary/tcp`: replies go to their requests, the others to readers and listeners.
//!
//! Messages are taken out of the stream one by one, in the VU's turn, and only while the script wants one. So if a
//! script changes the framing after a message, the new framing holds for the next one.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use rquickjs::{Ctx, Function, Value};
use senary_wire::Id;

use senary_js::value_text;

use super::core::SocketCore;
use super::encoding::{self, Encoding};
use super::events::{self, EventName, SocketEvent};
use super::extended::Extended;
use super::half_close::{self, OurSide};
use super::inbound::{Item, Want};
use super::items::{self, Stop};
use super::pump;
use super::replies::{self, Replied};
use super::request_series;
use super::requests::{KeyOf, LetGo, Pending, Serial};
use super::send;
use crate::connection::bytes::{TextAs, latin1};
use crate::connection::error::{Method, SocketFailure};
use crate::connection::options::Tags;

/// The code of requests whose iteration has ended abnormally before their replies came.
pub const ABORTED: &str = "ERR_ABORTED";

/// Bytes have come: the next message is delivered, and the others get turns of their own.
pub fn received(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    socket.data_queued.set(false);
    if extended.pump_reads() {
        return Ok(());
    }
    match items::next(ctx, socket, extended) {
        Ok(None) => {}
        Ok(Some(item)) => {
            // Queued before the script runs, which may throw: so the rest has its turn in any case.
            if extended.inbound.borrow().has_some() {
                socket.data_queued.set(true);
                socket.emit(SocketEvent::Received(None));
            }
            hand_over(ctx, socket, extended, item)?;
        }
        Err(Stop::Failed(failure)) => return break_off(ctx, socket, failure),
        Err(Stop::Threw(error)) => return Err(error),
    }
    socket.wake();
    Ok(())
}

/// The peer has ended its side.
pub fn ended(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    extended.inbound.borrow_mut().ended = true;
    let function = items::framing_function(ctx, socket);
    while extended.has_takers() {
        if let Some(count) = items::exact(extended) {
            if !items::give_exactly(ctx, socket, extended, count)? {
                end_reader(ctx, socket, extended)?;
            }
            continue;
        }
        match items::last(ctx, socket, extended, function.as_ref()) {
            Ok(Some(item)) => hand_over(ctx, socket, extended, item)?,
            Ok(None) => break,
            Err(Stop::Failed(failure)) => return break_off(ctx, socket, failure),
            Err(Stop::Threw(error)) => return Err(error),
        }
    }
    end_readers(ctx, socket, extended)?;
    let text = "the peer has ended the connection before it replied";
    let failure = SocketFailure::new(Method::Request, "ERR_SOCKET_CLOSED", text);
    fail_requests(ctx, socket, extended, &failure.of_peer(socket.behind_failure(false)))?;
    events::call(ctx, socket, EventName::End, None)?;
    if !socket.is_open() {
        return Ok(());
    }
    match extended.our_side.get() {
        OurSide::Ended => return events::closed_by_peer(ctx, socket),
        OurSide::Open if extended.settings.allow_half_open => return Ok(()),
        OurSide::Open if socket.writes.borrow().is_empty() => return events::closed_by_peer(ctx, socket),
        OurSide::Open => extended.our_side.set(OurSide::Ending),
        // The connection ends with what `end()` has begun.
        OurSide::Ending => {}
    }
    socket.wake();
    Ok(())
}

/// Readers learn that the stream has ended.
fn end_readers(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    while !extended.inbound.borrow().readers.is_empty() {
        if let Some(count) = items::exact(extended)
            && items::give_exactly(ctx, socket, extended, count)?
        {
            continue;
        }
        end_reader(ctx, socket, extended)?;
    }
    Ok(())
}

/// The next reader learns that the stream has ended.
fn end_reader(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    let Some(reader) = extended.inbound.borrow_mut().readers.pop_front() else { return Ok(()) };
    match reader.want {
        Want::Next => reader.promise.resolve(ctx, Value::new_null(ctx.clone())),
        Want::Exactly(wanted) => {
            let failure = socket.failed(too_few(extended, wanted).called_at(reader.called), &Vec::new());
            reader.promise.reject(ctx, failure.to_value(ctx)?)
        }
    }
}

/// `read(n)` of a stream that has ended before.
pub fn too_few(extended: &Extended, wanted: usize) -> SocketFailure {
    let left = extended.inbound.borrow().len();
    let text = format!("the stream has ended: {wanted} bytes were to be read, and {left} are left");
    SocketFailure::new(Method::Read, "ERR_STREAM_ENDED", text)
}

/// Delivers a message.
fn hand_over<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    item: Item,
) -> rquickjs::Result<()> {
    let message = match item {
        Item::Message(message) => message,
        Item::Echo(frame) => {
            send::behind(socket, frame.to_vec());
            return Ok(());
        }
    };
    let arrived = extended.inbound.borrow_mut().arrived();
    if let Some(latency) = &extended.settings.latency {
        latency.record(socket, extended, &message, arrived.1);
    }
    let makes_requests = extended.requests.borrow().were_made();
    let replied = if makes_requests {
        replies::reply(ctx, socket, extended, &message, arrived)
    } else {
        Ok(Replied::Not)
    };
    if matches!(replied, Ok(Replied::Wholly)) {
        return Ok(());
    }
    if extended.is_framed.get() {
        socket.books.count(extended.metrics.received);
    }
    if replied? == Replied::InPart {
        return Ok(());
    }
    if makes_requests {
        socket.books.count(extended.metrics.unmatched);
    }
    give_to_reader_or_listener(ctx, socket, extended, message)
}

fn give_to_reader_or_listener<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    message: Bytes,
) -> rquickjs::Result<()> {
    let to_value = || encoding::value(ctx, &socket.vu.memory, &message, extended.settings.encoding);
    let reader = {
        let mut inbound = extended.inbound.borrow_mut();
        let is_next = inbound.readers.front().is_some_and(|reader| reader.want == Want::Next);
        if is_next { inbound.readers.pop_front() } else { None }
    };
    if let Some(reader) = reader {
        if socket.hot.count_message() {
            events::note_hot_lines(ctx, socket, &reader.promise.promise(ctx)?, c"read")?;
        }
        return reader.promise.resolve(ctx, to_value()?);
    }
    let event = if extended.is_framed.get() { EventName::Message } else { EventName::Data };
    if events::is_heard(ctx, socket, event) {
        if socket.hot.count_message()
            && let Some(handler) = events::handler(ctx, socket, event)
        {
            events::note_hot_lines(ctx, socket, handler.as_value(), c"send")?;
        }
        return events::call(ctx, socket, event, Some(to_value()?));
    }
    if extended.inbound.borrow_mut().keep(message) && socket.vu.warn_once("tcp.untaken") {
        log::warn!(
            hint = "read them, or listen to \"message\"";
            "More than 1 MiB of messages answer no request and are read by nobody: the oldest are dropped"
        );
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Request,
    Reply,
}

/// The key of a message; `None` where it has none.
pub fn key_of<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    key: &KeyOf,
    message: &[u8],
    side: Side,
) -> rquickjs::Result<Option<Id>> {
    if let KeyOf::Place(key) = key {
        return Ok(key.of(message));
    }
    let object = events::object_of(ctx, socket);
    let Some(function) = object.and_then(|object| object.borrow().key_function(side)) else {
        return Ok(None);
    };
    let value = encoding::value(ctx, &socket.vu.memory, message, extended.settings.encoding)?;
    let key: Value<'js> = call_key(&function, value)?;
    if key.is_undefined() || key.is_null() {
        return Ok(None);
    }
    let text = value_text::to_text(ctx, &key);
    Ok(Some(id_of(&key, text, Encoding::of_sent_text(extended.settings.encoding))))
}

/// What a function has made of a message, such that it is the same as what a place or a pattern has found in another one:
/// the other side may have its key in a different way. 1 and "1" are two keys.
fn id_of(key: &Value<'_>, text: String, text_as: TextAs<'_>) -> Id {
    if key.is_string() {
        let bytes = match text_as {
            TextAs::Latin1 => latin1(text.as_bytes()).ok().flatten(),
            _ => None,
        };
        return Id::Text(bytes.unwrap_or_else(|| text.into_bytes()).into());
    }
    match text.parse() {
        Ok(number) if key.is_number() || key.is_big_int() => Id::Number(number),
        _ => Id::Text(format!("{}\0{text}", key.type_name()).into_bytes().into()),
    }
}

fn call_key<'js>(function: &Function<'js>, message: Value<'js>) -> rquickjs::Result<Value<'js>> {
    function.call((message,))
}

/// A request's last byte was handed to the kernel.
pub fn sent(socket: &SocketCore, extended: &Extended, serial: Serial) {
    let now = Instant::now();
    let mut requests = extended.requests.borrow_mut();
    let Some(pending) = requests.get_mut(serial) else { return };
    pending.sent = Some(now);
    // If its time was over before, it was counted then.
    if pending.promise.is_some() {
        request_series::sent(socket, extended, pending, now);
    }
}

/// A reader or a request has waited too long, or a silence has ended a message.
pub fn due(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    extended.due_queued.set(false);
    let is_over = extended.inbound.borrow().idle_ends().is_some_and(|end| end <= Instant::now());
    let message = if is_over { extended.inbound.borrow_mut().flush_idle() } else { None };
    if let Some(message) = message
        && !pump::has_taken(socket, extended, &message)
    {
        hand_over(ctx, socket, extended, Item::Message(message))?;
    }
    expired(ctx, socket, extended)
}

/// Readers and requests that have waited too long fail.
fn expired(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    let now = Instant::now();
    let over = extended.requests.borrow_mut().expire(now);
    let readers = {
        let readers = &mut extended.inbound.borrow_mut().readers;
        let (over, left) = std::mem::take(readers)
            .into_iter()
            .partition(|reader| reader.deadline.is_some_and(|deadline| deadline <= now));
        *readers = left;
        let over: std::collections::VecDeque<super::inbound::Reader> = over;
        over
    };
    extended.set_deadline();
    let peer = if over.is_empty() { String::new() } else { socket.behind_failure(true) };
    for expired in over {
        let text = format!("no reply within {}ms", expired.allowed.as_millis());
        let failure = SocketFailure::new(Method::Request, "ETIMEDOUT", text).of_peer(peer.clone());
        let failure = failure.called_at(expired.called);
        count_failed(socket, extended, &failure, &expired.tags, expired.was_sent);
        let failure = socket.failed(failure, &expired.tags);
        expired.promise.reject(ctx, failure.to_value(ctx)?)?;
    }
    for reader in readers {
        let what = if extended.is_framed.get() { "no message" } else { "no data" };
        let text = format!("{what} came in time");
        let failure = SocketFailure::new(Method::Read, "ETIMEDOUT", text).called_at(reader.called);
        let failure = socket.failed(failure, &Vec::new());
        reader.promise.reject(ctx, failure.to_value(ctx)?)?;
    }
    socket.wake();
    Ok(())
}

/// Counts a request that got no reply; as a request, too, if it was not sent and has not been counted so far.
pub fn count_failed(
    socket: &SocketCore,
    extended: &Extended,
    failure: &SocketFailure,
    tags: &Tags,
    was_sent: bool,
) {
    if !was_sent {
        socket.books.under(tags).record(extended.metrics.requests, 1.0);
    }
    socket.books.under_failure(failure, tags).record(extended.metrics.failed, 1.0);
}

/// Counts the requests of an iteration that has ended abnormally: they failed, but no script learns of it.
pub fn abandoned(socket: &SocketCore, extended: &Extended, requests: &[LetGo]) {
    let failure =
        SocketFailure::new(Method::Request, ABORTED, "the iteration has ended before the reply came");
    for request in requests {
        count_failed(socket, extended, &failure, &request.tags, request.was_sent);
    }
}

/// Counts a request that got no reply, and rejects it. One whose time was over before has failed already.
fn request_failed(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    failure: SocketFailure,
    pending: Pending,
) -> rquickjs::Result<()> {
    let Pending { promise, tags, sent, .. } = pending;
    let Some(promise) = promise else { return Ok(()) };
    count_failed(socket, extended, &failure, &tags, sent.is_some());
    promise.reject(ctx, socket.failed(failure, &tags).to_value(ctx)?)
}

/// A request that waited to be sent could not be.
pub fn request_not_sent(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    serial: Serial,
    failure: &SocketFailure,
) -> rquickjs::Result<()> {
    let pending = extended.requests.borrow_mut().withdraw(serial);
    let Some(mut pending) = pending else { return Ok(()) };
    let failure = SocketFailure::new(Method::Request, failure.code, failure.message.clone());
    let failure = failure.called_at(pending.called.take());
    request_failed(ctx, socket, extended, failure, pending)
}

/// All requests under way fail for the same reason, those of a pump among them.
fn fail_requests(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    why: &SocketFailure,
) -> rquickjs::Result<()> {
    if !(socket.is_open() && pump::outlives_the_peer(extended)) {
        pump::stop(ctx, socket, extended, why.code, &format!("{}{}", why.message, why.peer))?;
    }
    let pending = extended.requests.borrow_mut().take_all();
    for mut pending in pending {
        let failure = SocketFailure { method: Method::Request, called: pending.called.take(), ..why.clone() };
        request_failed(ctx, socket, extended, failure, pending)?;
    }
    Ok(())
}

/// The stream cannot be split into messages any further: everything that waits fails, and the connection ends.
pub fn break_off(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, failure: SocketFailure) -> rquickjs::Result<()> {
    let failure = socket.failed(failure.of_peer(socket.behind_failure(false)), &Vec::new());
    let cut_off = socket.close();
    events::tell(ctx, socket, &failure)?;
    if let Some(extended) = &socket.extended {
        let readers = std::mem::take(&mut extended.inbound.borrow_mut().readers);
        for reader in readers {
            reader.promise.reject(ctx, failure.to_value(ctx)?)?;
        }
        fail_requests(ctx, socket, extended, &failure)?;
    }
    events::refuse_writes(ctx, socket, cut_off)?;
    events::finish(ctx, socket)
}

/// The socket is closed: everything that still waits fails, `closed` resolves, and every `once()` is settled.
pub fn closed(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    let text = "the socket was closed before";
    if extended.inbound.borrow().ended {
        end_readers(ctx, socket, extended)?;
    }
    let readers = std::mem::take(&mut extended.inbound.borrow_mut().readers);
    for reader in readers {
        let failure = SocketFailure::new(Method::Read, "ERR_SOCKET_CLOSED", text).called_at(reader.called);
        let failure = socket.failed(failure, &Vec::new());
        reader.promise.reject(ctx, failure.to_value(ctx)?)?;
    }
    half_close::cut_off(ctx, socket, extended)?;
    let failure = SocketFailure::new(Method::Request, "ERR_SOCKET_CLOSED", text);
    fail_requests(ctx, socket, extended, &failure)
}

/// After the last event.
pub fn settle_closed(ctx: &Ctx<'_>, extended: &Extended) -> rquickjs::Result<()> {
    let closed = extended.closed.take();
    if let Some(closed) = closed {
        closed.resolve(ctx, Value::new_undefined(ctx.clone()))?;
    }
    let waiting = std::mem::take(&mut *extended.once.borrow_mut());
    for (event, promise) in waiting {
        let text = format!("the socket was closed, and there was no {:?} before", event.as_str());
        let failure = SocketFailure::new(Method::Read, "ERR_SOCKET_CLOSED", text);
        promise.reject(ctx, failure.to_value(ctx)?)?;
    }
    Ok(())
}
