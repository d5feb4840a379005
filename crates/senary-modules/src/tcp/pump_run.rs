//! The pump under way: reads replies, makes what is due, writes it, and knows when it is over. It runs in the socket's I/O
//! task and never calls script. Times are in nanoseconds since it began.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use senary_js::promise::Resolvers;
use senary_js::wake::{self, Sleep};
use senary_metrics::Timestamp;
use senary_wire::{FrameError, Matcher, Taken};

use super::core::SocketCore;
use super::events::SocketEvent;
use super::extended::Extended;
use super::pump_flights::{Answers, Flights};
use super::pump_message::{Made, Messages};
use super::pump_outbound::Outbound;
use super::pump_result::Tally;
use super::pump_schedule::Schedule;
use super::throttle::Gate;
use crate::connection::buffer::with_buffer;
use crate::connection::error::{Method, SocketFailure};

/// After so many messages the other sockets of the worker have their turn, or after so long.
const MESSAGES_PER_TURN: u64 = 64;
const TURN: u64 = 1_000_000;

/// Not more requests are failed at a time, so that many are no standstill.
const FAILED_AT_ONCE: u64 = 1024;

pub struct Pump {
    pub(super) begun: Instant,
    pub(super) schedule: Schedule,
    pub(super) messages: Messages,
    pub(super) flights: Flights,
    pub(super) out: Outbound,
    pub(super) tally: Tally,
    pub(super) promise: Resolvers,
    pub(super) window: usize,
    pub(super) timeout: u64,
    pub(super) expect: Option<Matcher>,
    pub takes_replies: bool,
    /// Requests that the script made before have timed out, and their late replies come before the replies to the pump.
    pub(super) is_behind_others: bool,
    pub(super) is_open_loop: bool,
    /// The time of the last look at the clock, as samples have it, too.
    pub(super) now: u64,
    pub(super) at: Timestamp,
    /// Since when the peer takes nothing of what is to be sent.
    pub(super) stuck_since: Option<u64>,
    pub(super) read_gate: Gate,
    pub(super) write_gate: Gate,
    pub(super) timer: Option<(u64, Pin<Box<Sleep>>)>,
    /// Script will hear that it is over.
    pub(super) is_told: bool,
}

/// What a poll has come to.
pub enum Step {
    Wait,
    /// It has gone on, and knows what time it is.
    Moved(Instant),
    /// Script has something to hear.
    Tell,
    /// The connection is lost.
    Lost,
}

/// Goes on with the pump of a socket, if it has one.
pub fn poll(socket: &Rc<SocketCore>, extended: &Extended, cx: &mut Context<'_>) -> Step {
    match &mut *extended.pump.borrow_mut() {
        Some(pump) if !pump.is_told => pump.poll(socket, extended, cx).unwrap_or_else(|lost| lost),
        _ => Step::Wait,
    }
}

impl Pump {
    /// The error is what ends it.
    fn poll(
        &mut self,
        socket: &Rc<SocketCore>,
        extended: &Extended,
        cx: &mut Context<'_>,
    ) -> Result<Step, Step> {
        let (mut begun, mut messages) = (None, 0);
        loop {
            let mut moved = self.read(socket, extended, cx)?;
            // Reading looks at the clock where something came, and writing does; once is enough for the rest.
            if moved == 0 && begun.is_none() {
                self.look(socket);
            }
            let begun = *begun.get_or_insert(self.now);
            moved += self.expire(socket);
            // What was to be sent before goes first.
            let is_behind = !socket.writes.borrow().is_empty();
            let mut written = false;
            if is_behind {
                self.stuck_since.get_or_insert(self.now);
            } else {
                moved += self.make(socket, extended);
                written = self.write(socket, extended, cx)?;
            }
            messages += moved;
            if self.is_over() {
                self.is_told = true;
                socket.emit_from_io(SocketEvent::Pumped);
                return Ok(Step::Tell);
            }
            if moved == 0 && !written && !self.arm(cx) {
                break;
            }
            if messages >= MESSAGES_PER_TURN || self.now - begun >= TURN {
                cx.waker().wake_by_ref();
                break;
            }
        }
        socket.account_wire_bytes();
        self.tally.record_now_and_then(socket, self.now);
        Ok(Step::Moved(self.looked_at()))
    }

    /// The last look at the clock.
    pub fn looked_at(&self) -> Instant {
        self.begun + Duration::from_nanos(self.now)
    }

    fn look(&mut self, socket: &SocketCore) -> Instant {
        let now = Instant::now();
        self.now = self.since(now);
        self.at = socket.vu.worker.clock.at(now);
        now
    }

    pub(super) fn since(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.begun).as_nanos() as u64
    }

    /// Reads once; how many messages came, or 1 for a part of one.
    fn read(
        &mut self,
        socket: &Rc<SocketCore>,
        extended: &Extended,
        cx: &mut Context<'_>,
    ) -> Result<u64, Step> {
        let is_anothers = !self.takes_replies && extended.wants_bytes();
        if is_anothers || extended.paused.get() || extended.inbound.borrow().ended {
            return Ok(0);
        }
        let limit = &extended.throttle.read;
        if self.read_gate.is_closed(limit, cx) {
            return Ok(0);
        }
        with_buffer(|buffer| {
            let most = limit.step(buffer.len());
            let read = match socket.stream.borrow_mut().as_mut() {
                Some(stream) => stream.poll_read(cx, &mut buffer[..most]),
                None => return Err(Step::Lost),
            };
            let size = match read {
                Poll::Pending => return Ok(0),
                Poll::Ready(Ok(size)) => size,
                Poll::Ready(Err(error)) => {
                    self.lost(socket, SocketFailure::from_net(Method::Read, &error));
                    return Err(Step::Lost);
                }
            };
            let now = self.look(socket);
            if size == 0 {
                return self.ended(socket, extended);
            }
            self.tally.read();
            limit.moved(size);
            socket.owed.answered(self.at);
            socket.vu.evidence.heard();
            socket.bytes_read.set(socket.bytes_read.get() + size as u64);
            if socket.idle_timeout.get().is_some() {
                socket.idle_since.set(now);
            }
            extended.inbound.borrow_mut().came(now);
            let taken = self.take(socket, extended, &mut &buffer[..size]);
            taken.map(|messages| messages.max(1)).map_err(|error| self.broken(socket, error))
        })
    }

    /// Takes all whole messages; how many there were.
    pub(super) fn take(
        &mut self,
        socket: &SocketCore,
        extended: &Extended,
        bytes: &mut &[u8],
    ) -> Result<u64, FrameError> {
        let mut messages = 0;
        loop {
            let mut inbound = extended.inbound.borrow_mut();
            let taken = inbound.receive_from(bytes)?;
            match taken {
                None => return Ok(messages),
                Some(Taken::Echo(frame)) => self.out.frame().extend_from_slice(&frame),
                Some(Taken::Message(message)) => {
                    messages += 1;
                    let (first, last) = inbound.arrived();
                    drop(inbound);
                    if let Some(latency) = &extended.settings.latency {
                        latency.record(socket, extended, &message, last);
                    }
                    self.message(socket, &message, self.since(first), self.since(last));
                }
            }
        }
    }

    /// A message has come.
    pub(super) fn message(&mut self, socket: &SocketCore, message: &[u8], first: u64, last: u64) {
        self.tally.message();
        if !self.takes_replies {
            self.tally.unasked();
            return;
        }
        let has_keys = self.messages.keys.are_used();
        if self.is_behind_others && !has_keys && self.is_others(socket, message) {
            self.tally.unmatched();
            return;
        }
        let key = self.messages.keys.of_reply(message);
        match self.flights.message(key, message, first) {
            Answers::All(flight) => {
                let is_expected = self.expect.as_ref().is_none_or(|expect| expect.matches(message));
                self.tally.answered(socket, &flight, last, self.at, is_expected);
            }
            Answers::Some => {}
            Answers::Nothing => {
                if self.is_behind_others {
                    self.is_others(socket, message);
                }
                self.tally.unmatched();
            }
        }
    }

    /// Whether a message is the late reply to a request that the script made before the pump.
    fn is_others(&mut self, socket: &SocketCore, message: &[u8]) -> bool {
        let Some(extended) = &socket.extended else { return false };
        let mut requests = extended.requests.borrow_mut();
        let is_others = requests.take_late(message);
        self.is_behind_others = requests.are_in_order();
        is_others
    }

    /// The peer has ended its side: what is left are whole messages, or a part of one.
    fn ended(&mut self, socket: &Rc<SocketCore>, extended: &Extended) -> Result<u64, Step> {
        loop {
            let item = extended.inbound.borrow_mut().finish();
            match item {
                Ok(Some(super::inbound::Item::Message(message))) => {
                    self.message(socket, &message, self.now, self.now);
                }
                Ok(Some(super::inbound::Item::Echo(_))) => {}
                Ok(None) => break,
                Err(error) => return Err(self.broken(socket, error)),
            }
        }
        extended.inbound.borrow_mut().ended = true;
        // What waits for no reply may go on.
        self.is_told = self.takes_replies || !extended.settings.allow_half_open;
        socket.emit_from_io(SocketEvent::PeerEnded);
        Err(Step::Tell)
    }

    fn broken(&mut self, socket: &Rc<SocketCore>, error: FrameError) -> Step {
        self.is_told = true;
        socket.emit_from_io(SocketEvent::Broken(error.into()));
        Step::Tell
    }

    fn lost(&mut self, socket: &Rc<SocketCore>, failure: SocketFailure) {
        self.is_told = true;
        socket.account_wire_bytes();
        let failure = socket.failed(failure, &Vec::new());
        socket.emit_from_io(SocketEvent::ReadFailed(failure));
    }

    /// Requests whose time is over fail: how many.
    fn expire(&mut self, socket: &SocketCore) -> u64 {
        let mut expired = 0;
        let is_over = |due: u64, pump: &Self| due.saturating_add(pump.timeout) <= pump.now;
        while expired < FAILED_AT_ONCE && self.flights.oldest().is_some_and(|due| is_over(due, self)) {
            self.flights.fail_oldest();
            self.timed_out(socket);
            expired += 1;
        }
        // What is due in an open loop, and could not be sent.
        while expired < FAILED_AT_ONCE
            && self.is_open_loop
            && self.schedule.next(self.now).is_some_and(|due| is_over(due, self))
        {
            self.schedule.advance();
            self.tally.made();
            self.timed_out(socket);
            expired += 1;
        }
        expired
    }

    pub(super) fn timed_out(&mut self, socket: &SocketCore) {
        let text = format!("no reply within {}ms{}", self.timeout / 1_000_000, socket.behind_failure(true));
        self.tally.failed(socket, "ETIMEDOUT", &text, self.at);
    }

    /// Makes what is due, as far as there is room for it: how many messages.
    fn make(&mut self, socket: &SocketCore, extended: &Extended) -> u64 {
        if self.takes_replies && extended.inbound.borrow().ended {
            return 0;
        }
        let mut made = 0;
        let time = match &extended.settings.latency {
            Some(latency) => latency.time(),
            None => self.at.0 as u64 / 1_000_000,
        };
        while made < MESSAGES_PER_TURN && self.out.has_room() {
            let has_room = self.flights.under_way() < self.window && self.flights.has_room();
            let Some(due) = self.schedule.next(self.now).filter(|due| has_room && *due <= self.now) else {
                break;
            };
            let start = self.out.len();
            let random = &mut self.schedule.random;
            match self.messages.make(&self.flights, random, time, self.out.frame()) {
                Made::Yes(key) => {
                    let serial = if self.takes_replies { self.flights.add(due, key) } else { 0 };
                    self.out.add(start, serial, due);
                }
                Made::NotYet => break,
                Made::Never(error) => {
                    self.out.take_back(start);
                    self.tally.failed(socket, error.code(), &error.to_string(), self.at);
                }
            }
            self.schedule.advance();
            self.tally.made();
            made += 1;
        }
        made
    }

    /// Writes as much as the kernel takes; whether that was something.
    fn write(
        &mut self,
        socket: &Rc<SocketCore>,
        extended: &Extended,
        cx: &mut Context<'_>,
    ) -> Result<bool, Step> {
        if self.out.is_empty() {
            self.stuck_since = None;
            return Ok(false);
        }
        let limit = &extended.throttle.write;
        if self.write_gate.is_closed(limit, cx) {
            return Ok(false);
        }
        let written = match socket.stream.borrow_mut().as_mut() {
            Some(stream) => self.out.write(stream, |bytes| limit.step(bytes), cx),
            None => return Err(Step::Lost),
        };
        let size = match written {
            Poll::Pending => {
                self.stuck_since.get_or_insert(self.now);
                return Ok(false);
            }
            Poll::Ready(Ok(size)) => size,
            Poll::Ready(Err(error)) => {
                self.lost(socket, SocketFailure::from_net(Method::Write, &error));
                return Err(Step::Lost);
            }
        };
        self.look(socket);
        self.stuck_since = None;
        limit.moved(size);
        self.tally.wrote();
        if self.takes_replies {
            socket.owed.asked(self.at);
        }
        socket.note_written(size as u64);
        while let Some(request) = self.out.sent() {
            if self.takes_replies {
                self.flights.sent(request.serial, self.now);
            }
            self.tally.sent(socket, request.due, self.now, self.at);
        }
        // What is left waits for the kernel, which the next call has it say.
        Ok(!self.out.is_empty())
    }

    fn is_over(&self) -> bool {
        let is_stuck = self.is_stuck();
        let has_ended = is_stuck || self.schedule.next(self.now).is_none();
        has_ended && self.flights.under_way() == 0 && (self.takes_replies || is_stuck || self.out.is_empty())
    }

    /// The peer takes nothing any more, and no schedule ends that.
    fn is_stuck(&self) -> bool {
        self.gives_up_at().is_some_and(|moment| moment <= self.now)
    }

    fn gives_up_at(&self) -> Option<u64> {
        let is_possible = !self.takes_replies || !self.is_open_loop;
        self.stuck_since.filter(|_| is_possible).map(|since| since.saturating_add(self.timeout))
    }

    /// Has the task woken when something is due; whether it is already.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let next = self.schedule.alarm();
        let later = |due: u64| due.saturating_add(self.timeout);
        let moments = [
            // What is due already waits for something else, but not for ever.
            next.map(|due| if due > self.now { due } else { later(due) }),
            self.flights.oldest().map(later),
            self.gives_up_at(),
        ];
        let to_come = moments.into_iter().flatten().filter(|moment| *moment > self.now);
        let Some(wake) = to_come.min() else { return false };
        if self.timer.as_ref().is_some_and(|(at, _)| *at > self.now && *at <= wake) {
            return false;
        }
        let Some(due) = self.begun.checked_add(Duration::from_nanos(wake)) else { return false };
        let sleep = wake::sleep_until(due);
        match &mut self.timer {
            Some((at, timer)) => {
                *at = wake;
                timer.set(sleep);
            }
            None => self.timer = Some((wake, Box::pin(sleep))),
        }
        let is_due = self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if is_due {
            self.now = self.now.max(wake);
        }
        is_due
    }
}
