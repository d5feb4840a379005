//! The pump: requests without script per message. `pump_run` is the machine, in the socket's I/O task; the other files
//! that begin so are its parts. This file has what script sees of it: how it begins, what is refused while it runs, and
//! how it ends.

use std::rc::Rc;
use std::time::Instant;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Value};
use senary_js::promise::pending;

use super::class::{Receiver, refuse};
use super::core::{NO_CONNECTION, SocketCore, Waiting};
use super::encoding::Encoding;
use super::extended::Extended;
use super::extended_class::extended_of;
use super::framing::wrong;
use super::pump_flights::Flights;
use super::pump_message::{Keys, Messages};
use super::pump_options::{PumpOptions, Reply};
use super::pump_outbound::Outbound;
use super::pump_result::Tally;
pub use super::pump_run::{Pump, Step, poll};
use super::pump_schedule::{Random, Schedule, nanoseconds};
use super::request_calls::peer_has_ended;
use super::requests::Correlation;
use super::send;
use super::throttle::Gate;
use crate::connection::error::{CallSite, Method, SocketFailure};

/// `socket.pump(options)`.
pub fn pump<'js>(ctx: Ctx<'js>, this: Receiver<'js>, given: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    let options =
        PumpOptions::of(&ctx, Encoding::of_sent_text(extended.settings.encoding), given.0.as_ref())?;
    refuse_meanwhile(&ctx, extended, "another pump()")?;
    if extended.requests.borrow().under_way() > 0 || !extended.inbound.borrow().readers.is_empty() {
        let text = "pump() has the socket to itself: wait for the request() or read() that is under way";
        return Err(wrong(&ctx, text));
    }
    if !core.is_open() || core.is_ending() {
        let failure = SocketFailure::new(Method::Request, "ENOTCONN", NO_CONNECTION);
        return refuse(&ctx, &this.0, failure, &options.tags);
    }
    let takes_replies = !matches!(options.reply, Reply::None);
    if takes_replies && extended.inbound.borrow().ended {
        return refuse(&ctx, &this.0, peer_has_ended(), &options.tags);
    }
    check_framing(&ctx, extended, &options)?;
    let keys = keys(&ctx, &extended.settings.correlation, &options.reply)?;
    let of = (core.vu.id.in_instance, core.vu.iterations_begun.get().saturating_sub(1));
    let begun = Instant::now();
    let schedule = Schedule::new(&options, core.vu.worker.clock.at(begun), Random::new());
    let framing = extended.sends.borrow().clone();
    let last_auto = extended.requests.borrow().last_auto;
    let messages = Messages::new(&ctx, options.messages, framing, keys, last_auto, of)?;
    let (promise, resolvers) = pending(&ctx)?;
    let mut pump = Box::new(Pump {
        begun,
        schedule,
        messages,
        takes_replies,
        is_behind_others: extended.requests.borrow().are_in_order(),
        flights: Flights::new(options.reply, keys.are_used()),
        out: Outbound::default(),
        tally: Tally::new(extended.metrics, options.tags, CallSite::here(&ctx)),
        promise: resolvers,
        window: options.window.map_or(usize::MAX, |window| usize::try_from(window).unwrap_or(usize::MAX)),
        timeout: nanoseconds(options.timeout),
        expect: options.expect,
        is_open_loop: options.rate.is_some(),
        now: 0,
        at: core.vu.now(),
        stuck_since: None,
        read_gate: Gate::default(),
        write_gate: Gate::default(),
        timer: None,
        is_told: false,
    });
    // Bytes that were received before answer none of its requests. An error shows at the next read.
    let _ = pump.take(&core, extended, &mut [].as_slice());
    extended.pump.replace(Some(pump));
    core.wake();
    Ok(promise)
}

fn keys(ctx: &Ctx<'_>, correlation: &Correlation, reply: &Reply) -> rquickjs::Result<Keys> {
    match (reply, correlation) {
        // With `auto`, each request has a number, even if no reply is expected.
        (Reply::None, Correlation::Auto { .. }) | (Reply::Messages(_) | Reply::Until(_), _) => {
            Keys::of(ctx, correlation)
        }
        (Reply::None, _) => Ok(Keys::InOrder),
    }
}

fn check_framing(ctx: &Ctx<'_>, extended: &Extended, options: &PumpOptions) -> rquickjs::Result<()> {
    let needs_script = extended.by_function.get() || extended.inbound.borrow().needs_engine();
    let text = if needs_script {
        "pump() runs without script, and cannot ask a function or a pattern where a message ends: give the socket a framing \
         that is a name, or a description without patterns"
    } else if !extended.is_framed.get() && !matches!(options.reply, Reply::None) {
        "pump() needs a framing, to know where a reply ends: new Socket({ framing: \"u32\" }); or reply: \"none\""
    } else if !matches!(options.reply, Reply::None) && extended.requests.borrow().need_script() {
        "pump() runs without script, and a request() whose `until` is a function has timed out: only that function knows which \
         messages still answer it, so read() them first"
    } else {
        return Ok(());
    };
    Err(wrong(ctx, text))
}

/// Refuses calls that would disturb a pump under way.
pub fn refuse_meanwhile(ctx: &Ctx<'_>, extended: &Extended, what: &str) -> rquickjs::Result<()> {
    if extended.pump.borrow().is_none() {
        return Ok(());
    }
    let text = format!("{what} while pump() runs on this socket: await the pump's promise first");
    Err(wrong(ctx, &text))
}

/// Whether it goes on though the peer has ended its side: it waits for nothing, and our side stays open.
pub fn outlives_the_peer(extended: &Extended) -> bool {
    let waits = extended.pump.borrow().as_ref().is_none_or(|pump| pump.takes_replies);
    extended.settings.allow_half_open && !waits
}

/// It is over: its promise resolves.
pub fn finish(ctx: &Ctx<'_>, socket: &Rc<SocketCore>, extended: &Extended) -> rquickjs::Result<()> {
    let Some(mut pump) = extended.pump.take() else { return Ok(()) };
    let unsent = pump.leave(socket, extended);
    if !pump.takes_replies {
        (0..unsent).for_each(|_| pump.timed_out(socket));
    }
    pump.resolve(ctx, socket)?;
    socket.look_for_more();
    Ok(())
}

/// The iteration has failed, but its connection stays open: the requests under way fail, and the promise never resolves.
pub fn cut_off(socket: &SocketCore, extended: &Extended) {
    let Some(mut pump) = extended.pump.take() else { return };
    let under_way = pump.flights.under_way();
    while pump.flights.fail_oldest().is_some() {}
    let unsent = pump.leave(socket, extended);
    pump.tally.abandoned(socket, if pump.takes_replies { under_way } else { unsent });
    pump.tally.record(socket);
}

/// The connection is gone, or cannot be used any further: what is under way fails, and its promise resolves.
pub fn stop(
    ctx: &Ctx<'_>,
    socket: &Rc<SocketCore>,
    extended: &Extended,
    code: &'static str,
    text: &str,
) -> rquickjs::Result<()> {
    let Some(mut pump) = extended.pump.take() else { return Ok(()) };
    let (unsent, _) = pump.out.give_up();
    if pump.takes_replies {
        while pump.flights.fail_oldest().is_some() {
            pump.tally.failed(socket, code, text, pump.at);
        }
    } else {
        unsent.for_each(|_| pump.tally.failed(socket, code, text, pump.at));
    }
    pump.resolve(ctx, socket)
}

/// No script runs any more: what was counted is recorded.
pub fn abandon(socket: &SocketCore, extended: &Extended) {
    let Some(mut pump) = extended.pump.take() else { return };
    let (unsent, _) = pump.out.give_up();
    let lost = if pump.takes_replies { pump.flights.under_way() } else { unsent.count() };
    pump.tally.abandoned(socket, lost);
    pump.tally.record(socket);
}

/// A silence has ended a message; returns whether the pump has taken it.
pub fn has_taken(socket: &SocketCore, extended: &Extended, message: &[u8]) -> bool {
    let mut slot = extended.pump.borrow_mut();
    let Some(pump) = slot.as_mut().filter(|pump| pump.takes_replies) else { return false };
    let (first, last) = extended.inbound.borrow_mut().arrived();
    pump.message(socket, message, pump.since(first), pump.since(last));
    drop(slot);
    socket.wake();
    true
}

impl Pump {
    /// Leaves the socket to others. A request that is on its way in part is sent to its end, because nothing could follow half a
    /// message; replies that are still to come belong to requests that have failed. Returns how many were not sent as a whole.
    fn leave(&mut self, socket: &SocketCore, extended: &Extended) -> usize {
        let (unsent, rest) = self.out.give_up();
        let unsent = unsent.count();
        let has_begun = !rest.is_empty();
        if has_begun {
            send::queue(socket, rest, 0, Waiting::Nothing, Vec::new(), None);
        }
        let mut requests = extended.requests.borrow_mut();
        self.flights.never_sent(unsent.saturating_sub(usize::from(has_begun)) as u64);
        self.flights.hand_over_late(&mut requests);
        requests.last_auto = self.messages.last_auto;
        unsent
    }

    fn resolve(mut self: Box<Self>, ctx: &Ctx<'_>, socket: &SocketCore) -> rquickjs::Result<()> {
        self.tally.record(socket);
        let duration = nanoseconds(self.begun.elapsed());
        let result = self.tally.result(ctx, duration)?;
        self.promise.resolve(ctx, result)
    }
}
