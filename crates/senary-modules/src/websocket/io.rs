//! The task of a session: opens it, then reads and writes until it has ended.
//!
//! It never calls script: it tells what happened, and lets script go on. What script has not heard of yet is little: nothing
//! more is read before it has.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use senary_js::memory::{Charge, Chunk};
use senary_metrics::registry::builtin;
use senary_wire::websocket::{Agreement, Incoming, Inflater, Opcode, Receiver, code, describe};
use tokio::task::unconstrained;
use tokio::time::Sleep;

use super::handshake::{self, SessionRequest};
use super::session::{Ended, Happened, Phase, Session};
use crate::connection::buffer::with_buffer;

/// How long the server may take to answer a closing frame, or to take ours.
const CLOSING: Duration = Duration::from_secs(10);

/// Messages that wait for script, in bytes; with more, the rest of what was read is not looked at yet.
const MAX_WAITING: usize = 256 << 10;

/// The part of a VU's memory that one message may take: before it is a value of script, it may be there twice.
const PART_OF_MEMORY: usize = 4;

thread_local! {
    /// For servers that compress each message on its own.
    static INFLATER: RefCell<Option<Inflater>> = const { RefCell::new(None) };
}

/// Opens the session and, if that works, serves it to its end.
pub(super) async fn run(session: Rc<Session>, attempt: SessionRequest) {
    let opened = handshake::open(&session, &attempt).await;
    drop(attempt);
    session.account_wire_bytes();
    let is_exhaustion = opened.as_ref().is_err_and(|failed| failed.is_exhaustion);
    session.vu.worker.meter.connected(is_exhaustion);
    let answer = match &opened {
        Ok(connected) => Some(&connected.answer),
        Err(failed) => failed.answer.as_ref(),
    };
    session.attempted(answer);
    match opened {
        Ok(connected) => {
            let agreement = connected.agreement;
            let rest = session.connected(connected);
            let mut link = Link::new(&session, agreement, rest);
            run_script(&session);
            poll_fn(|cx| poll_io(&session, &mut link, cx)).await;
        }
        Err(failed) => {
            session.not_opened(failed);
            run_script(&session);
        }
    }
}

fn run_script(session: &Rc<Session>) {
    session.io_runs.set(true);
    if let Some(hears) = session.hears() {
        hears.run();
    }
    session.io_runs.set(false);
}

/// What only the task needs.
struct Link {
    receiver: Receiver,
    /// For a server whose messages refer to those before them.
    inflater: Option<Inflater>,
    /// Read, but not looked at yet.
    rest: Vec<u8>,
    /// When a session that is closing is over, whether the server has answered or not.
    gives_up: Option<Pin<Box<Sleep>>>,
    /// The memory that the message under way takes.
    charge: Option<Charge>,
}

impl Link {
    fn new(session: &Session, agreement: Option<Agreement>, rest: Vec<u8>) -> Self {
        let max = session.vu.memory.limit().0 / PART_OF_MEMORY;
        let inflater = agreement.filter(|agreement| agreement.keeps_context).map(|_| Inflater::default());
        Self { receiver: Receiver::new(max, agreement), inflater, rest, gives_up: None, charge: None }
    }
}

fn poll_io(session: &Rc<Session>, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        if session.has_ended() {
            return Poll::Ready(());
        }
        remember_waker(session, cx);
        poll_writes(session, cx);
        let is_closing = session.phase.get() == Phase::Closing;
        if session.closing.borrow().is_some() && session.outbound.borrow().is_empty() {
            end_as_agreed(session);
        } else if is_closing && poll_patience(link, cx).is_ready() {
            // Before more is read: a server that goes on speaking is not waited for either.
            give_up(session);
        } else if !may_read(session) || poll_read(session, link, cx).is_pending() {
            return Poll::Pending;
        }
        run_script(session);
    }
}

/// Whether more of what the server says can be of use now.
fn may_read(session: &Session) -> bool {
    if session.closing.borrow().is_some() || !session.is_read.get() {
        return false;
    }
    // What comes behind a closing frame of ours is not told.
    session.phase.get() == Phase::Closing
        || session.is_heard() && session.hears().is_some_and(|hears| hears.can_hear())
}

fn poll_writes(session: &Session, cx: &mut Context<'_>) {
    let mut outbound = session.outbound.borrow_mut();
    if outbound.is_empty() {
        return;
    }
    if session.write_error.borrow().is_none() {
        let mut stream = session.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return };
        if let Poll::Ready(Err(error)) = outbound.poll(stream, cx) {
            session.write_error.replace(Some(error.to_string()));
        }
        session.account_wire_bytes();
    }
    if session.write_error.borrow().is_some() {
        outbound.clear();
    }
}

/// Ready if something was done.
fn poll_read(session: &Rc<Session>, link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
    if !link.rest.is_empty() {
        let rest = std::mem::take(&mut link.rest);
        take_apart(session, link, &rest);
        return Poll::Ready(());
    }
    with_buffer(|buffer| {
        let read = match session.stream.borrow_mut().as_mut() {
            Some(stream) => stream.poll_read(cx, buffer),
            None => return Poll::Ready(()),
        };
        session.account_wire_bytes();
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => {
                let eof = "unexpected EOF";
                lost(session, eof, describe(code::ABNORMAL, eof), "ERR_WS_CLOSED");
            }
            Poll::Ready(Ok(read)) => take_apart(session, link, &buffer[..read]),
            Poll::Ready(Err(error)) => lost(session, "", error.to_string(), error.code()),
        }
        Poll::Ready(())
    })
}

/// Tells what is in received bytes, as far as script can be told at once.
fn take_apart(session: &Rc<Session>, link: &mut Link, mut bytes: &[u8]) {
    session.owed.answered(session.vu.now());
    let mut received = |link: &mut Link, inflater: &mut Inflater| {
        while session.waiting() < MAX_WAITING {
            match link.receiver.receive(&mut bytes, inflater) {
                Ok(Some(incoming)) => tell(session, incoming),
                Ok(None) => break,
                Err(violation) => return session.fail(violation.code(), violation.to_string()),
            }
        }
    };
    match link.inflater.take() {
        Some(mut own) => {
            received(link, &mut own);
            link.inflater = Some(own);
        }
        None => INFLATER.with_borrow_mut(|shared| received(link, shared.get_or_insert_default())),
    }
    link.rest = bytes.to_vec();
    let kept = link.receiver.kept() + link.rest.len();
    link.charge = (kept > 0).then(|| session.vu.memory.charge(kept));
}

fn tell(session: &Rc<Session>, incoming: Incoming<'_>) {
    // Messages count when they come, also those that come too late to be told.
    let is_told = session.is_open();
    match incoming {
        Incoming::Text(text) => {
            session.books.count(builtin::WS_MSGS_RECEIVED);
            if is_told {
                let charge = session.vu.memory.charge(text.len());
                session.tell(Happened::Text(text.into_owned(), charge));
            }
        }
        Incoming::Binary(bytes) => {
            session.books.count(builtin::WS_MSGS_RECEIVED);
            if is_told {
                session.tell(Happened::Binary(Chunk::copy_of(&session.vu.memory, &bytes)));
            }
        }
        Incoming::Ping(content) => {
            if is_told {
                session.put(Opcode::Pong, false, &content, 0);
                session.tell(Happened::Ping);
            }
        }
        Incoming::Pong(content) => {
            session.pong(&content);
            if is_told {
                session.tell(Happened::Pong);
            }
        }
        Incoming::Close(closing) => session.answer_close(closing),
    }
}

/// Both sides have sent their closing frames.
fn end_as_agreed(session: &Session) {
    let Some(closing) = session.closing.take() else { return };
    let is_clean = session.closes.get() || matches!(closing.code, code::NORMAL | code::GOING_AWAY);
    let error = (!is_clean).then(|| describe(closing.code, &closing.reason));
    let failure = format!("WS_{}", closing.code);
    session.end(Ended { code: closing.code, reason: closing.reason, error }, &failure);
}

fn lost(session: &Session, reason: &str, error: String, failure: &str) {
    session.end(Ended { code: code::ABNORMAL, reason: reason.to_owned(), error: Some(error) }, failure);
}

fn poll_patience(link: &mut Link, cx: &mut Context<'_>) -> Poll<()> {
    let timer = link.gives_up.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSING)));
    // A server that goes on sending uses up what a task may do in one go, and a timer asks for its share of that.
    pin!(unconstrained(timer.as_mut())).poll(cx)
}

fn give_up(session: &Session) {
    let has_closed = session.closing.borrow().is_some();
    if has_closed {
        // It has said what it had to say, and does not take our answer.
        return end_as_agreed(session);
    }
    let waited = CLOSING.as_secs();
    let text = format!("websocket: the closing frame was not answered within {waited}s");
    lost(session, "", text, "ETIMEDOUT");
}

fn remember_waker(session: &Session, cx: &Context<'_>) {
    let mut slot = session.io_waker.borrow_mut();
    match &mut *slot {
        Some(known) => known.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
