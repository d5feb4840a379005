//! The I/O task of a socket: dials, then reads, writes what was queued and watches for silence, until the stream is
//! closed.
//!
//! It never calls script: it queues events and lets the VU run when that is waiting. One `data` event is under way at a
//! time, so a slow script slows its peer down, and fills no memory.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use senary_js::memory::Chunk;
use senary_js::vu::failures::ClueEvent;
use senary_net::{NetError, Stream};
use tokio::task::unconstrained;
use tokio::time::Sleep;

use super::core::{QueuedWrite, SocketCore, State, Waiting};
use super::events::{EventName, SocketEvent};
use super::extended::Extended;
use super::pump::{self, Step};
use super::target::ConnectTarget;
use super::tcp_info::Round;
use super::throttle::Gate;
use super::{delivery, half_close, start_tls};
use crate::connection::buffer::with_buffer;
use crate::connection::error::{Method, SocketFailure};

/// Dials and, if that works, serves the connection to its end.
pub async fn run(socket: Rc<SocketCore>, target: ConnectTarget) {
    let local_ip = socket.vu.settings.local_ips.as_ref().and_then(|ips| ips.of_vu(socket.vu.id.in_instance));
    let dialer = socket.vu.settings.dialer.clone();
    let settings = socket.extended.as_ref().map(|extended| &extended.settings);
    let options = target.dial_options(settings, local_ip);
    let attempt = socket.attempt.borrow().clone().unwrap_or_default();
    let dialed = dialer.dial(target.peer.target(), &options, &socket.wire, &attempt).await;
    // Not kept for as long as the connection is open.
    drop((target, attempt, dialer));
    socket.account_wire_bytes();
    socket.vu.worker.meter.connected(dialed.as_ref().is_err_and(NetError::is_exhaustion));
    socket.record_attempt();
    match dialed {
        Ok(stream) => {
            socket.connected(stream);
            socket.emit_from_io(SocketEvent::Connected);
        }
        Err(error) => {
            let failure = SocketFailure::from_net(Method::Connect, &error).called_at(socket.connect_called());
            let failure = socket.failed(failure, &Vec::new());
            socket.emit_from_io(SocketEvent::ConnectFailed(failure));
            run_script(&socket);
            return;
        }
    }
    let mut deadlines = Deadlines::default();
    run_script(&socket);
    while poll_fn(|cx| poll_io(&socket, &mut deadlines, cx)).await == Next::StartTls {
        // Boxed, so that the future of most connections, which do not need it, stays small.
        Box::pin(start_tls::upgrade(&socket)).await;
        run_script(&socket);
    }
}

/// Lets the VU handle what was queued, if it is waiting for it.
fn run_script(socket: &Rc<SocketCore>) {
    socket.io_running.set(true);
    socket.note_busy();
    socket.vu.run_from_io();
    socket.io_running.set(false);
}

/// What to do when a connection needs no more serving as it is.
#[derive(PartialEq, Eq)]
enum Next {
    StartTls,
    End,
}

fn poll_io(socket: &Rc<SocketCore>, deadlines: &mut Deadlines, cx: &mut Context<'_>) -> Poll<Next> {
    socket.hot.prefetch();
    deadlines.seen = None;
    loop {
        if socket.stream.borrow().is_none() {
            return Poll::Ready(Next::End);
        }
        remember_waker(socket, cx);
        if socket.state() != State::Open {
            // The `connect` event has not had its turn yet.
            return Poll::Pending;
        }
        if !is_served(socket) {
            return Poll::Pending;
        }
        let mut progress = poll_writes(socket, deadlines, cx);
        if start_tls::is_due(socket) {
            if progress {
                run_script(socket);
            }
            return Poll::Ready(Next::StartTls);
        }
        match socket.extended.as_ref().map_or(Step::Wait, |extended| pump::poll(socket, extended, cx)) {
            Step::Wait => {}
            Step::Moved(now) => deadlines.seen = Some(now),
            Step::Tell => progress = true,
            Step::Lost => {
                run_script(socket);
                return Poll::Ready(Next::End);
            }
        }
        let wanted = socket.extended.as_ref().is_none_or(|extended| {
            let wants = !extended.pump_reads() && extended.wants_bytes();
            wants && !deadlines.read_gate.is_closed(&extended.throttle.read, cx)
        });
        if !wanted && is_done(socket, cx) {
            continue;
        }
        let mut is_quiet = !wanted;
        if wanted && !socket.data_queued.get() && !socket.vu.is_blocked() {
            match poll_read(socket, deadlines, cx) {
                Poll::Ready(Continue::Yes) => progress = true,
                Poll::Ready(Continue::No) => {
                    run_script(socket);
                    return Poll::Ready(Next::End);
                }
                Poll::Pending => is_quiet = true,
            }
        }
        // While something moves, the deadlines wait; they are checked when nothing moves any more.
        if !progress && !deadlines.poll(socket, is_quiet, cx) {
            return Poll::Pending;
        }
        run_script(socket);
    }
}

/// Whether a socket may work now. One that outlives iterations rests between them, and its idle timeout starts again.
fn is_served(socket: &SocketCore) -> bool {
    let Some(extended) = &socket.extended else { return true };
    if !extended.settings.outlives_iterations {
        return true;
    }
    let run = socket.vu.events.run();
    if run.is_some() && extended.run.replace(run) != run {
        socket.idle_since.set(Instant::now());
    }
    run.is_some()
}

/// Whether the peer of a socket that nobody reads has just ended its side: what it sent before is received then.
fn is_done(socket: &SocketCore, cx: &mut Context<'_>) -> bool {
    let Some(extended) = socket.extended.as_ref().filter(|extended| extended.watches_the_peer()) else {
        return false;
    };
    let stream = socket.stream.borrow();
    let is_done = stream.as_ref().is_some_and(|stream| stream.poll_read_closed(cx).is_ready());
    extended.peer_is_done.set(is_done);
    is_done
}

enum Continue {
    Yes,
    No,
}

fn poll_read(socket: &Rc<SocketCore>, deadlines: &mut Deadlines, cx: &mut Context<'_>) -> Poll<Continue> {
    with_buffer(|buffer| {
        let mut stream = socket.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return Poll::Ready(Continue::No) };
        let limit = socket.extended.as_ref().map(|extended| &extended.throttle.read);
        let most = limit.map_or(buffer.len(), |limit| limit.step(buffer.len()));
        let buffer = &mut buffer[..most];
        let read = stream.poll_read(cx, buffer);
        socket.account_wire_bytes();
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => match &socket.extended {
                None => {
                    socket.emit_from_io(SocketEvent::PeerClosed);
                    Poll::Ready(Continue::No)
                }
                Some(extended) => {
                    extended.inbound.borrow_mut().ended = true;
                    socket.emit_from_io(SocketEvent::PeerEnded);
                    Poll::Ready(Continue::Yes)
                }
            },
            Poll::Ready(Ok(n)) => {
                limit.into_iter().for_each(|limit| limit.moved(n));
                socket.bytes_read.set(socket.bytes_read.get() + n as u64);
                let now = Instant::now();
                let at = socket.vu.worker.clock.at(now);
                deadlines.seen = Some(now);
                if socket.idle_timeout.get().is_some() {
                    socket.idle_since.set(now);
                }
                socket.books.record_at(socket.metrics.reads, 1.0, at);
                socket.owed.answered(at);
                socket.vu.evidence.heard();
                socket.data_queued.set(true);
                let chunk = || Chunk::copy_of(&socket.vu.memory, &buffer[..n]);
                match &socket.extended {
                    None => socket.emit_from_io(SocketEvent::Data(chunk())),
                    Some(extended) => {
                        extended.inbound.borrow_mut().push(&buffer[..n], now);
                        let hears_data = extended.hears_data.get() || extended.awaits_once(EventName::Data);
                        let raw = (extended.is_framed.get() && hears_data).then(chunk);
                        socket.emit_from_io(SocketEvent::Received(raw));
                    }
                }
                Poll::Ready(Continue::Yes)
            }
            Poll::Ready(Err(error)) => {
                let failure = socket.failed(SocketFailure::from_net(Method::Read, &error), &Vec::new());
                socket.emit_from_io(SocketEvent::ReadFailed(failure));
                Poll::Ready(Continue::No)
            }
        }
    })
}

/// Writes what is queued, in order, and returns whether a write has ended.
fn poll_writes(socket: &Rc<SocketCore>, deadlines: &mut Deadlines, cx: &mut Context<'_>) -> bool {
    let mut progress = false;
    loop {
        let mut queue = socket.writes.borrow_mut();
        let front = queue.front_mut().filter(|write| !matches!(write.waiting, Waiting::StartTls(_)));
        let Some(write) = front else {
            drop(queue);
            let is_empty = socket.writes.borrow().is_empty();
            return progress | (is_empty && half_close::poll_end(socket, cx));
        };
        let mut stream = socket.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return progress };
        let done = poll_write(socket, stream, write, &mut deadlines.write_gate, cx);
        socket.account_wire_bytes();
        let outcome = match done {
            Poll::Pending => return progress,
            Poll::Ready(outcome) => outcome,
        };
        progress = true;
        let Some(write) = queue.pop_front() else { return progress };
        drop(queue);
        match outcome {
            Ok(()) => match (write.waiting, &socket.extended) {
                (Waiting::Promise(promise) | Waiting::StartTls(promise), _) => {
                    socket.emit_from_io(SocketEvent::Written(promise))
                }
                (Waiting::Request(serial), Some(extended)) => delivery::sent(socket, extended, serial),
                (Waiting::Request(_) | Waiting::Nothing, _) => {}
            },
            Err(failure) => {
                socket.count_partial(&write);
                let message =
                    format!("failed to write data after {} bytes: {}", write.written, failure.message);
                let failure = SocketFailure { message, ..failure }.called_at(write.called);
                let failure = socket.failed(failure, &write.tags);
                socket.emit_from_io(SocketEvent::WriteFailed(failure, write.waiting));
            }
        }
    }
}

fn poll_write(
    socket: &Rc<SocketCore>,
    stream: &mut Stream,
    write: &mut QueuedWrite,
    gate: &mut Gate,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SocketFailure>> {
    let failed = |error| SocketFailure::from_net(Method::Write, &error);
    let limit = socket.extended.as_ref().map(|extended| &extended.throttle.write);
    while write.written < write.data.len() {
        let mut left = &write.data[write.written..];
        if let Some(limit) = limit {
            if gate.is_closed(limit, cx) {
                return Poll::Pending;
            }
            left = &left[..limit.step(left.len())];
        }
        match stream.poll_write(cx, left) {
            Poll::Ready(Ok(n)) => {
                limit.into_iter().for_each(|limit| limit.moved(n));
                write.written += n;
                socket.note_written(n as u64);
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(failed(error))),
            Poll::Pending => return Poll::Pending,
        }
    }
    stream.poll_flush(cx).map_err(failed)
}

fn remember_waker(socket: &SocketCore, cx: &Context<'_>) {
    let mut slot = socket.io_waker.borrow_mut();
    match &mut *slot {
        Some(known) => known.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// What a connection waits for besides its peer.
#[derive(Default)]
struct Deadlines {
    /// The time of this poll, if it is known. A timer that was polled before and is due later cannot have fired since
    /// then, so it is not polled again for every message.
    seen: Option<Instant>,
    idle: IdleTimeout,
    keep_alive: KeepAliveDelay,
    waits: Waits,
    round: Round,
    read_gate: Gate,
    write_gate: Gate,
}

impl Deadlines {
    /// Whether there is a new event for script.
    fn poll(&mut self, socket: &Rc<SocketCore>, is_quiet: bool, cx: &mut Context<'_>) -> bool {
        let mut progress = is_quiet && self.idle.poll(socket, cx);
        if let Some(extended) = &socket.extended {
            progress |= self.waits.poll(socket, extended, self.seen, cx);
            self.round.poll(socket, extended, cx);
        }
        if !progress {
            self.keep_alive.poll(socket, self.seen, cx);
        }
        progress
    }
}

/// Keep-alive probes are switched on only for connections that are older than this. It is shorter than the delay of the
/// first probe.
const KEEP_ALIVE_DELAY: Duration = Duration::from_secs(10);

/// Switches keep-alive on for connections that are open for some time; many are not.
struct KeepAliveDelay {
    ends: Option<Pin<Box<Sleep>>>,
    is_polled: bool,
}

impl Default for KeepAliveDelay {
    fn default() -> Self {
        Self { ends: Some(Box::pin(tokio::time::sleep(KEEP_ALIVE_DELAY))), is_polled: false }
    }
}

impl KeepAliveDelay {
    fn poll(&mut self, socket: &SocketCore, seen: Option<Instant>, cx: &mut Context<'_>) {
        let Some(ends) = &mut self.ends else { return };
        if self.is_polled && seen.is_some_and(|now| now < ends.deadline().into_std()) {
            return;
        }
        self.is_polled = true;
        if ends.as_mut().poll(cx).is_pending() {
            return;
        }
        self.ends = None;
        if let Some(stream) = &*socket.stream.borrow()
            && let Err(error) = stream.keep_alive()
        {
            log::debug!(error:%, module = "tcp"; "Keeping a connection alive");
        }
    }
}

/// The inactivity timeout: fires once per period in which nothing was received.
#[derive(Default)]
struct IdleTimeout {
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl IdleTimeout {
    /// Whether a `timeout` event was queued.
    fn poll(&mut self, socket: &Rc<SocketCore>, cx: &mut Context<'_>) -> bool {
        let Some(limit) = socket.idle_timeout.get() else {
            self.timer = None;
            return false;
        };
        loop {
            let due = socket.idle_since.get() + limit;
            if due <= Instant::now() {
                socket.idle_since.set(Instant::now());
                socket.books.count(socket.metrics.timeouts);
                socket.note(ClueEvent::Silent(limit));
                socket.emit_from_io(SocketEvent::Timeout);
                return true;
            }
            // Data moves `due` all the time; the timer is only set again when it fires too early.
            let too_late = self.timer.as_ref().is_none_or(|(at, _)| *at > due);
            if too_late {
                self.timer = Some((due, Box::pin(tokio::time::sleep_until(due.into()))));
            }
            let Some((_, timer)) = &mut self.timer else { return false };
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.timer = None;
        }
    }
}

/// The readers and requests of a socket of `senary/tcp`, which wait for a limited time, and the silence that ends a
/// message.
#[derive(Default)]
struct Waits {
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    is_polled: bool,
}

impl Waits {
    /// Whether a `Due` event was queued.
    fn poll(
        &mut self,
        socket: &Rc<SocketCore>,
        extended: &Extended,
        seen: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> bool {
        if extended.due_queued.get() {
            return false;
        }
        let idle = extended.inbound.borrow().idle_ends();
        let Some(due) = extended.deadline.get().into_iter().chain(idle).min() else { return false };
        loop {
            // Most waits end long before; a timer that fires too early is set again.
            match &self.timer {
                Some((at, _)) if *at <= due => {
                    if seen.is_some_and(|now| now < *at) {
                        return false;
                    }
                }
                _ => {
                    self.timer = Some((due, Box::pin(tokio::time::sleep_until(due.into()))));
                    self.is_polled = false;
                }
            }
            let Some((at, timer)) = &mut self.timer else { return false };
            let is_new = !std::mem::replace(&mut self.is_polled, true);
            // A peer that sends faster than it is read uses up what a task may do in one go, and a timer asks for its share of that.
            let is_pending = pin!(unconstrained(timer.as_mut())).poll(cx).is_pending();
            // A timer for a time in the past would fire only at the next tick, which may be after the reply.
            if is_pending && !(is_new && *at <= Instant::now()) {
                return false;
            }
            (self.timer, self.is_polled) = (None, false);
            if due <= Instant::now() {
                extended.due_queued.set(true);
                socket.emit_from_io(SocketEvent::Due);
                return true;
            }
        }
    }
}
