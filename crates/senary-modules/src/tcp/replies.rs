//! Replies: the requests they answer, and how long those took.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use rquickjs::{Coerced, Ctx, Persistent};
use senary_wire::Id;

use super::core::SocketCore;
use super::delivery::{Side, key_of};
use super::encoding;
use super::extended::Extended;
use super::requests::{Answer, Correlation, Pending, Serial};
use crate::connection::books::milliseconds;

/// Whether the message is a reply to a request, which then has it.
pub fn reply<'js>(
    ctx: &Ctx<'js>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    message: &Bytes,
    (first_byte, last_byte): (Instant, Instant),
) -> rquickjs::Result<bool> {
    let key = match &extended.settings.correlation {
        Correlation::InOrder => None,
        Correlation::Auto { reply, .. } => match reply.read(message) {
            Ok(number) => Some(Id::Number(number)),
            Err(_) => return Ok(false),
        },
        Correlation::ByKey { reply, .. } => match key_of(ctx, socket, extended, reply, message, Side::Reply)?
        {
            Some(key) => Some(key),
            None => return Ok(false),
        },
    };
    let serial = extended.requests.borrow().of(key.as_ref());
    let Some(serial) = serial else { return Ok(false) };
    let is_last = is_last(ctx, socket, extended, serial, message)?;
    let mut requests = extended.requests.borrow_mut();
    let Some(pending) = requests.get_mut(serial) else { return Ok(false) };
    pending.first_byte.get_or_insert(first_byte);
    let is_late = pending.promise.is_none();
    if !is_last {
        if !is_late {
            let value = encoding::value(ctx, &socket.vu.memory, message, extended.settings.encoding)?;
            pending.replies.push(Persistent::save(ctx, value));
        }
        return Ok(!is_late);
    }
    let Some(pending) = requests.complete(serial, key.as_ref()) else { return Ok(false) };
    drop(requests);
    if is_late {
        return Ok(false);
    }
    answered(ctx, socket, extended, pending, message, last_byte)?;
    Ok(true)
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
    let Pending { due, sent, first_byte, promise, as_list, replies, tags, .. } = pending;
    let metrics = &extended.metrics;
    let under = socket.books.under(&tags);
    under.record(metrics.duration, milliseconds(last_byte.saturating_duration_since(due)));
    if let (Some(sent), Some(first_byte)) = (sent, first_byte) {
        under.record(metrics.waiting, milliseconds(first_byte.saturating_duration_since(sent)));
    }
    under.record(metrics.failed, 0.0);
    let Some(promise) = promise else { return Ok(()) };
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
