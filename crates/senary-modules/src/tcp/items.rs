//! What is taken out of the stream next: by the framing, by a function of the script's, or by the number of bytes.

use std::rc::Rc;

use rquickjs::{Ctx, Function, Value};
use senary_js::value_text;
use senary_wire::FrameError;

use super::core::SocketCore;
use super::encoding;
use super::events;
use super::extended::Extended;
use super::inbound::{Item, Want};
use crate::connection::error::{Method, SocketFailure};

/// Why nothing more comes.
pub enum Stop {
    Failed(SocketFailure),
    Threw(rquickjs::Error),
}

impl From<rquickjs::Error> for Stop {
    fn from(error: rquickjs::Error) -> Self {
        Self::Threw(error)
    }
}

impl From<FrameError> for Stop {
    fn from(error: FrameError) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes out the next item that the script wants.
pub fn next<'js>(ctx: &Ctx<'js>, socket: &Rc<SocketCore>, extended: &Extended) -> Result<Option<Item>, Stop> {
    if !extended.has_takers() {
        return Ok(None);
    }
    if let Some(count) = exact(extended) {
        if give_exactly(ctx, socket, extended, count)? {
            // Others may wait for what is left.
            socket.look_for_more();
        }
        return Ok(None);
    }
    if !extended.by_function.get() {
        let item = extended.inbound.borrow_mut().next()?;
        return Ok(item);
    }
    match framing_function(ctx, socket) {
        Some(function) => by_function(ctx, socket, extended, &function),
        None => Ok(None),
    }
}

/// How many bytes the next reader wants, if it wants an exact number.
pub fn exact(extended: &Extended) -> Option<usize> {
    match extended.inbound.borrow().readers.front()?.want {
        Want::Exactly(count) => Some(count),
        Want::Next => None,
    }
}

/// Gives the next reader the exact number of bytes that it wants; false if there are fewer.
pub fn give_exactly(
    ctx: &Ctx<'_>,
    socket: &SocketCore,
    extended: &Extended,
    count: usize,
) -> rquickjs::Result<bool> {
    let Some(bytes) = extended.inbound.borrow_mut().take(count) else { return Ok(false) };
    let reader = extended.inbound.borrow_mut().readers.pop_front();
    if let Some(reader) = reader {
        let value = encoding::value(ctx, &socket.vu.memory, &bytes, extended.settings.encoding)?;
        reader.promise.resolve(ctx, value)?;
    }
    Ok(true)
}

pub fn framing_function<'js>(ctx: &Ctx<'js>, socket: &SocketCore) -> Option<Function<'js>> {
    events::object_of(ctx, socket)?.borrow().framing_function()
}

/// The next of the messages that are left when the peer has ended its side.
pub fn last<'js>(
    ctx: &Ctx<'js>,
    socket: &SocketCore,
    extended: &Extended,
    function: Option<&Function<'js>>,
) -> Result<Option<Item>, Stop> {
    let Some(function) = function else {
        let item = extended.inbound.borrow_mut().finish()?;
        return Ok(item);
    };
    let item = by_function(ctx, socket, extended, function)?;
    match (&item, extended.inbound.borrow().len()) {
        (None, left @ 1..) => {
            let text = format!(
                "the stream has ended: the framing function finds no message in the last {left} bytes"
            );
            Err(Stop::Failed(SocketFailure::new(Method::Read, "ERR_FRAME_TRUNCATED", text)))
        }
        _ => Ok(item),
    }
}

/// The next message, as a function of the script's finds it.
fn by_function<'js>(
    ctx: &Ctx<'js>,
    socket: &SocketCore,
    extended: &Extended,
    function: &Function<'js>,
) -> Result<Option<Item>, Stop> {
    let value = {
        let mut inbound = extended.inbound.borrow_mut();
        if inbound.len() == 0 {
            return Ok(None);
        }
        encoding::value(ctx, &socket.vu.memory, inbound.all(), None)?
    };
    let length = function.call::<_, Value<'js>>((value,))?;
    let (have, max) = {
        let inbound = extended.inbound.borrow();
        (inbound.len(), inbound.max())
    };
    match length.as_number() {
        Some(0.0) if have > max => {
            let text =
                format!("the framing function finds no message in {have} bytes; at most {max} are kept");
            Err(Stop::Failed(SocketFailure::new(Method::Read, "ERR_FRAME_TOO_LARGE", text)))
        }
        Some(0.0) => Ok(None),
        Some(length) if length.fract() == 0.0 && length > 0.0 && length <= have as f64 => {
            Ok(extended.inbound.borrow_mut().take(length as usize).map(Item::Message))
        }
        _ => {
            let shown = value_text::shown(ctx, &length);
            let text = format!(
                "the framing function gave back {shown}; it gives back the length of the first message, up to {have}, or 0 if more is needed"
            );
            Err(Stop::Failed(SocketFailure::new(Method::Read, "ERR_FRAME_INVALID", text)))
        }
    }
}
