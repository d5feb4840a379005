//! The end of our side of a connection, and the end of all of it at once: `end()` and `reset()` of `senary/tcp`.

use std::rc::Rc;
use std::task::{Context, Poll};

use rquickjs::function::Opt;
use rquickjs::{Ctx, Value};
use senary_js::promise::{pending, settled};
use senary_net::NetError;

use super::class::{Receiver, leave, refuse};
use super::core::{NO_CONNECTION, SocketCore, Waiting};
use super::encoding::Encoding;
use super::events::{self, SocketEvent};
use super::extended::Extended;
use super::extended_class::extended_of;
use super::pump;
use super::send::{self, WriteOutcome};
use crate::connection::bytes::{Caller, with_bytes};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::Tags;

/// How far our side of a connection is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OurSide {
    #[default]
    Open,
    /// It ends as soon as nothing waits to be sent. Nothing more is taken.
    Ending,
    Ended,
}

/// Sends what waits and the data, as they are, then ends our side.
pub fn end<'js>(ctx: Ctx<'js>, this: Receiver<'js>, data: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    pump::refuse_meanwhile(&ctx, extended, "end()")?;
    if !core.is_open() {
        let failure = SocketFailure::new(Method::End, "ENOTCONN", NO_CONNECTION);
        return refuse(&ctx, &this.0, failure, &Tags::new());
    }
    if let Some(data) = data.0.filter(|data| !data.is_undefined() && !data.is_null()) {
        let text_as = Encoding::of_sent_text(extended.settings.encoding);
        let caller = Caller { name: "end()", method: Method::End };
        let outcome = with_bytes(&ctx, Some(&data), text_as, caller, |bytes| send::now(&core, bytes))?;
        let failed = match outcome {
            Err(failure) | Ok(WriteOutcome::Failed(failure)) => Some(failure),
            Ok(WriteOutcome::NoConnection) => {
                Some(SocketFailure::new(Method::End, "ENOTCONN", NO_CONNECTION))
            }
            Ok(WriteOutcome::Done) => None,
            Ok(WriteOutcome::Left { data, written }) => {
                send::queue(&core, data, written, Waiting::Nothing, Tags::new(), CallSite::here(&ctx));
                None
            }
        };
        if let Some(failure) = failed {
            return refuse(&ctx, &this.0, SocketFailure { method: Method::End, ..failure }, &Tags::new());
        }
        core.owed.asked(core.books.count(core.metrics.writes));
        core.vu.memory.check(&ctx)?;
    }
    if extended.our_side.get() == OurSide::Ended {
        return settled(&ctx, Ok(Value::new_undefined(ctx.clone())));
    }
    let (promise, resolvers) = pending(&ctx)?;
    extended.ends.borrow_mut().push(resolvers);
    extended.our_side.set(OurSide::Ending);
    core.wake();
    Ok(promise)
}

/// Ends the connection at once, with a reset.
pub fn reset<'js>(ctx: Ctx<'js>, this: Receiver<'js>) {
    leave(&ctx, &this, SocketCore::reset);
}

/// Nothing waits to be sent any more: ends our side if it was to end then. Returns whether something happened.
pub fn poll_end(socket: &Rc<SocketCore>, cx: &mut Context<'_>) -> bool {
    let Some(extended) = &socket.extended else { return false };
    if extended.our_side.get() != OurSide::Ending {
        return false;
    }
    let ended = match &mut *socket.stream.borrow_mut() {
        Some(stream) => stream.poll_shutdown_write(cx),
        None => return false,
    };
    socket.account_wire_bytes();
    let Poll::Ready(ended) = ended else { return false };
    extended.our_side.set(OurSide::Ended);
    socket.emit_from_io(SocketEvent::Drained(ended.err()));
    true
}

/// Our side has ended. If the peer's side has ended before, the connection ends.
pub fn ended(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    error: Option<&NetError>,
) -> rquickjs::Result<()> {
    let promises = std::mem::take(&mut *extended.ends.borrow_mut());
    for promise in promises {
        match error {
            None => promise.resolve(ctx, Value::new_undefined(ctx.clone()))?,
            Some(error) => {
                let failure = socket.failed(SocketFailure::from_net(Method::End, error), &Tags::new());
                let value = events::tell(ctx, socket, &failure)?;
                promise.reject(ctx, value)?;
            }
        }
    }
    let is_over = extended.inbound.borrow().ended;
    if is_over && socket.is_open() { events::closed_by_peer(ctx, socket) } else { Ok(()) }
}

/// Handles an event that no script will get, because its iteration has failed. Returns whether a connection that
/// outlives the iteration ends with it.
pub fn is_discarded(socket: &SocketCore, event: &SocketEvent) -> bool {
    let Some(extended) = &socket.extended else { return false };
    match event {
        SocketEvent::Received(_) => socket.data_queued.set(false),
        SocketEvent::Due => extended.due_queued.set(false),
        _ => {}
    }
    let has_ended = match event {
        SocketEvent::Connected
        | SocketEvent::ConnectFailed(_)
        | SocketEvent::ReadFailed(_)
        | SocketEvent::PeerClosed
        | SocketEvent::PeerEnded
        | SocketEvent::TlsFailed(..)
        | SocketEvent::Destroyed(_) => true,
        SocketEvent::Drained(_) => extended.inbound.borrow().ended,
        _ => false,
    };
    has_ended && extended.settings.outlives_iterations
}

/// The connection is gone before our side could be ended.
pub fn cut_off(ctx: &Ctx<'_>, socket: &SocketCore, extended: &Extended) -> rquickjs::Result<()> {
    let promises = std::mem::take(&mut *extended.ends.borrow_mut());
    for promise in promises {
        let text = "the socket was closed before everything was sent";
        let failure = SocketFailure::new(Method::End, "ERR_SOCKET_CLOSED", text);
        promise.reject(ctx, socket.failed(failure, &Tags::new()).to_value(ctx)?)?;
    }
    Ok(())
}
