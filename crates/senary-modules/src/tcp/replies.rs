//! Replies: the requests they answer, and how long those took.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use rquickjs::{Coerced, Ctx, Persistent};
use senary_wire::Id;

use super::core::SocketCore;
use super::delivery::{Side, key_of};
use super::extended::Extended;
use super::request_series;
use super::requests::{Answer, Correlation, Pending, Serial};
use super::{encoding, events};

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replied {
    /// The end of an answer, which was recorded with the message.
    Wholly,
    /// Part of an answer that goes on.
    InPart,
    /// It answers nothing, or a request whose time is over.
    Not,
}

/// Gives a message to the request that it answers, if there is one.
pub fn reply<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    message: &Bytes,
    (first_byte, last_byte): (Instant, Instant),
) -> rquickjs::Result<Replied> {
    let key = match &extended.settings.correlation {
        Correlation::InOrder => None,
        Correlation::Auto { reply, .. } => match reply.read(message) {
            Ok(number) => Some(Id::Number(number)),
            Err(_) => None,
        },
        Correlation::ByKey { reply, .. } => key_of(ctx, socket, extended, reply, message, Side::Reply)?,
    };
    let serial = extended.requests.borrow().of(key.as_ref());
    let Some(serial) = serial else { return Ok(Replied::Not) };
    if extended.encrypted_from.get().is_some_and(|from| serial.number >= from) {
        return Ok(Replied::Not);
    }
    let is_last = is_last(ctx, socket, extended, serial, message)?;
    let mut requests = extended.requests.borrow_mut();
    let Some(pending) = requests.get_mut(serial) else { return Ok(Replied::Not) };
    pending.first_byte.get_or_insert(first_byte);
    let is_late = pending.promise.is_none();
    if !is_last {
        if !is_late {
            let value = encoding::value(ctx, &socket.vu.memory, message, extended.settings.encoding)?;
            pending.replies.push(Persistent::save(ctx, value));
        }
        return Ok(if is_late { Replied::Not } else { Replied::InPart });
    }
    let Some(pending) = requests.complete(serial) else { return Ok(Replied::Not) };
    drop(requests);
    if is_late {
        return Ok(Replied::Not);
    }
    answered(ctx, socket, extended, pending, message, last_byte)?;
    Ok(Replied::Wholly)
}

/// Whether the message is the last one of the answer to a request.
fn is_last<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    serial: Serial,
    message: &Bytes,
) -> rquickjs::Result<bool> {
    let until = {
        let mut requests = extended.requests.borrow_mut();
        let Some(pending) = requests.get_mut(serial) else { return Ok(false) };
        if let Some(is_last) = pending.answer.ends_with(message) {
            return Ok(is_last);
        }
        match &pending.answer {
            Answer::UntilFunction(until) => until.clone(),
            _ => return Ok(true),
        }
    };
    let value = encoding::value(ctx, &socket.vu.memory, message, extended.settings.encoding)?;
    Ok(until.restore(ctx)?.call::<_, Coerced<bool>>((value,))?.0)
}

/// Records how long the answer took, and resolves the request with it.
fn answered<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    pending: Pending,
    message: &Bytes,
    last_byte: Instant,
) -> rquickjs::Result<()> {
    request_series::answered(socket, extended, &pending, last_byte);
    let Pending { promise, as_list, replies, .. } = pending;
    let Some(promise) = promise else { return Ok(()) };
    if socket.hot.count_message() {
        events::note_hot_lines(ctx, socket, &promise.promise(ctx)?, c"request")?;
    }
    let value = encoding::value(ctx, &socket.vu.memory, message, extended.settings.encoding)?;
    if !as_list {
        return promise.resolve(ctx, value);
    }
    let list = rquickjs::Array::new(ctx.clone())?;
    let count = replies.len();
    for (index, reply) in replies.into_iter().enumerate() {
        list.set(index, reply.restore(ctx)?)?;
    }
    list.set(count, value)?;
    promise.resolve(ctx, list.into_value())
}
