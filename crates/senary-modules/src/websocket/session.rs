//! A session: its state, what it does for script, and what script has still to hear of.
//!
//! ```text
//! connecting ── open ──▶ open ── close(), or the server's closing frame ──▶ closing ──▶ ended
//!      └─────────────────── failed, lost, or given up ─────────────────────────────────▶ ended
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Instant;

use senary_js::memory::{Charge, Chunk};
use senary_js::vu::core::VuCore;
use senary_metrics::registry::builtin;
use senary_net::{Stream, WireBytes};
use senary_wire::websocket::{Closing, Deflater, Opcode, code, encode};
use tokio::task::AbortHandle;

use super::books::{Naming, SessionBooks};
use super::handshake::{Answer, Connected, Failed, SessionRequest};
use super::io;
use super::outbound::{Frame, Outbound};
use crate::connection::books::milliseconds;
use crate::connection::options::Tags;
use crate::connection::owed::Owed;

/// Room that is kept for the next frame, in bytes.
const SCRATCH: usize = 256 << 10;

thread_local! {
    /// The frame that is being sent.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Messages are compressed each on its own, so that one does for all sessions of a worker.
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
    /// The last random number.
    static MASKS: Cell<u64> = const { Cell::new(0) };
}

/// Something that happened and that script has not heard of yet.
pub enum Happened {
    Opened(Answer),
    NotOpened(Failed),
    /// The bytes count as the script's.
    Text(String, #[allow(dead_code)] Charge),
    Binary(Chunk),
    Ping,
    Pong,
    /// The last one.
    Ended(Ended),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: u16,
    pub reason: String,
    /// Set if that is a failure.
    pub error: Option<String>,
}

/// The one that tells script.
pub trait Hears {
    /// Something has been added to what it can take from the session.
    fn happened(self: Rc<Self>);

    /// Lets script go on, if it can.
    fn run(&self);

    /// Whether script could hear of something now, so that more may be read.
    fn can_hear(&self) -> bool;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Open,
    /// A closing frame is on its way or has come.
    Closing,
    Ended,
}

pub struct Session {
    pub vu: Rc<VuCore>,
    pub books: SessionBooks,
    /// For people to read.
    pub url: String,
    naming: Naming,
    pub(super) phase: Cell<Phase>,
    /// Script has heard that it is open.
    pub(super) is_read: Cell<bool>,
    began: Instant,
    pub(super) stream: RefCell<Option<Stream>>,
    wire: Rc<WireBytes>,
    pub(super) outbound: RefCell<Outbound>,
    is_compressed: Cell<bool>,
    /// Why nothing more can be written.
    pub(super) write_error: RefCell<Option<String>>,
    /// What the server's closing frame says.
    pub(super) closing: RefCell<Option<Closing>>,
    /// It was this side that began to close.
    pub(super) closes: Cell<bool>,
    inbox: RefCell<VecDeque<Happened>>,
    /// Bytes of the messages in the inbox.
    waiting: Cell<usize>,
    /// Bytes of messages that were written during a turn of script, and which turn that was.
    sent_in_turn: Cell<(u64, usize)>,
    pings: RefCell<VecDeque<(String, Instant)>>,
    pings_sent: Cell<u64>,
    pub owed: Owed,
    hears: RefCell<Option<Weak<dyn Hears>>>,
    pub(super) io_waker: RefCell<Option<Waker>>,
    /// The task is on the stack: it looks for changes itself.
    pub(super) io_runs: Cell<bool>,
    task: RefCell<Option<AbortHandle>>,
}

/// The most pings whose answers are waited for; those before them count as lost.
const PINGS: usize = 1024;

impl Session {
    /// A session with that URL; `name` is as of `k6/websockets`.
    pub fn new(vu: Rc<VuCore>, url: &str, tags: &Tags, has_name: bool) -> Rc<Self> {
        let naming = if has_name { Naming::Named } else { Naming::Plain };
        Rc::new(Self {
            books: SessionBooks::new(vu.clone(), url, tags, naming),
            vu,
            url: url.to_owned(),
            naming,
            phase: Cell::new(Phase::Connecting),
            is_read: Cell::new(false),
            began: Instant::now(),
            stream: RefCell::default(),
            wire: Rc::default(),
            outbound: RefCell::default(),
            is_compressed: Cell::new(false),
            write_error: RefCell::default(),
            closing: RefCell::default(),
            closes: Cell::new(false),
            inbox: RefCell::default(),
            waiting: Cell::new(0),
            sent_in_turn: Cell::new((0, 0)),
            pings: RefCell::default(),
            pings_sent: Cell::new(0),
            owed: Owed::default(),
            hears: RefCell::new(None),
            io_waker: RefCell::default(),
            io_runs: Cell::new(false),
            task: RefCell::default(),
        })
    }

    /// Opens the session; `hears` hears of what becomes of it.
    pub fn begin(self: &Rc<Self>, attempt: SessionRequest, hears: Weak<dyn Hears>) {
        self.hears.replace(Some(hears));
        let task = tokio::task::spawn_local(io::run(self.clone(), attempt));
        self.task.replace(Some(task.abort_handle()));
    }

    /// Script has heard that the session is open: what the server says may come.
    pub fn start_reading(&self) {
        self.is_read.set(true);
        self.wake();
    }

    /// The next thing that script is to hear of.
    pub fn take(&self) -> Option<Happened> {
        let next = self.inbox.borrow_mut().pop_front();
        self.waiting.set(self.waiting.get() - next.as_ref().map_or(0, size));
        if self.inbox.borrow().is_empty() {
            self.wake();
        }
        next
    }

    pub fn is_heard(&self) -> bool {
        self.inbox.borrow().is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    pub(super) fn hears(&self) -> Option<Rc<dyn Hears>> {
        self.hears.borrow().as_ref().and_then(Weak::upgrade)
    }

    pub(super) fn tell(&self, happened: Happened) {
        self.waiting.set(self.waiting.get() + size(&happened));
        self.inbox.borrow_mut().push_back(happened);
        if let Some(hears) = self.hears() {
            hears.happened();
        }
    }

    pub fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    pub fn has_ended(&self) -> bool {
        self.phase.get() == Phase::Ended
    }

    pub(super) fn connected(&self, connected: Connected) -> Vec<u8> {
        let Connected { stream, answer, rest, agreement } = connected;
        if let Err(error) = stream.keep_alive() {
            log::debug!(error:%, module = "websocket"; "Keeping a connection alive");
        }
        self.is_compressed.set(agreement.is_some());
        self.stream.replace(Some(stream));
        self.phase.set(Phase::Open);
        self.owed.connected(self.vu.now());
        self.vu.evidence.heard();
        self.tell(Happened::Opened(answer));
        rest
    }

    /// Counts the attempt, whatever came of it.
    pub(super) fn attempted(&self, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            self.books.answered(answer.status, &answer.subprotocol);
        }
        self.books.count(builtin::WS_SESSIONS);
        self.books.record(builtin::WS_CONNECTING, milliseconds(self.began.elapsed()));
    }

    pub(super) fn not_opened(&self, failed: Failed) {
        self.phase.set(Phase::Ended);
        self.books.failed(failed.code, "connect", &failed.text);
        // Only k6/ws counts what was no session.
        if self.naming == Naming::Plain {
            self.record_duration();
        }
        self.tell(Happened::NotOpened(failed));
    }

    fn record_duration(&self) {
        self.books.record(builtin::WS_SESSION_DURATION, milliseconds(self.began.elapsed()));
    }

    /// Sends a message; nothing happens if the session is not open any more.
    pub fn send(&self, opcode: Opcode, message: &[u8]) {
        if !self.is_open() {
            return;
        }
        self.books.count(builtin::WS_MSGS_SENT);
        self.owed.asked(self.vu.now());
        let turn = self.vu.events.turn();
        let (known, before) = self.sent_in_turn.get();
        let before = if known == turn { before } else { 0 };
        let written = if self.is_compressed.get() {
            DEFLATER.with_borrow_mut(|deflater| {
                let compressed = deflater.get_or_insert_default().deflate(message);
                self.put(opcode, true, compressed, message.len())
            })
        } else {
            self.put(opcode, false, message, message.len())
        };
        // What has left already still counts until this turn of script is over.
        self.sent_in_turn.set((turn, before + if written { message.len() } else { 0 }));
    }

    /// Bytes of messages that were sent and are not through yet.
    pub fn buffered(&self) -> usize {
        let (turn, sent) = self.sent_in_turn.get();
        let sent = if turn == self.vu.events.turn() { sent } else { 0 };
        self.outbound.borrow().messages() + sent
    }

    /// Whether something is still on its way to the server.
    pub fn has_unsent(&self) -> bool {
        !self.has_ended() && !self.outbound.borrow().is_empty()
    }

    pub fn ping(&self) {
        if !self.is_open() {
            return;
        }
        let number = self.pings_sent.get() + 1;
        self.pings_sent.set(number);
        let content = number.to_string();
        self.put(Opcode::Ping, false, content.as_bytes(), 0);
        let mut pings = self.pings.borrow_mut();
        if pings.len() == PINGS {
            pings.pop_front();
        }
        pings.push_back((content, Instant::now()));
    }

    pub(super) fn pong(&self, content: &[u8]) {
        let mut pings = self.pings.borrow_mut();
        let Some(at) = pings.iter().position(|(sent, _)| sent.as_bytes() == content) else { return };
        if let Some((_, since)) = pings.remove(at) {
            self.books.record(builtin::WS_PING, milliseconds(since.elapsed()));
        }
    }

    /// Sends a closing frame behind everything else. The session ends when the server has answered.
    pub fn close(&self, code: u16, reason: &str) {
        if self.is_open() {
            self.closes.set(true);
            self.phase.set(Phase::Closing);
            self.put(Opcode::Close, false, &Closing::content(code, reason), 0);
            self.wake();
        }
    }

    /// Answers the server's closing frame.
    pub(super) fn answer_close(&self, closing: Closing) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Closing);
            self.put(Opcode::Close, false, &Closing::content(closing.code, ""), 0);
        }
        self.closing.replace(Some(closing));
    }

    /// Ends the session at once, with a closing frame if it is open. Nothing is told any more.
    pub fn abandon(&self, code: u16, reason: &str) {
        self.close(code, reason);
        if self.phase.get() == Phase::Connecting {
            // The attempt was made, and took its time.
            self.attempted(None);
            if self.naming == Naming::Plain {
                self.record_duration();
            }
        }
        self.end_connection();
        self.inbox.borrow_mut().clear();
        self.waiting.set(0);
        if !self.io_runs.get()
            && let Some(task) = self.task.take()
        {
            task.abort();
        }
    }

    /// The session is over, and script is to hear how.
    /// `failure` is what a failure is counted under.
    pub(super) fn end(&self, ended: Ended, failure: &str) {
        if let Some(error) = &ended.error {
            self.books.failed(failure, "read", error);
        }
        self.end_connection();
        self.tell(Happened::Ended(ended));
    }

    /// Something that the standard forbids has come: the server hears which, and the session is over.
    pub(super) fn fail(&self, code: u16, text: String) {
        self.close(code, &text);
        let ended = Ended { code: self::code::ABNORMAL, reason: String::new(), error: Some(text) };
        self.end(ended, "ERR_WS_PROTOCOL");
    }

    fn end_connection(&self) {
        let before = self.phase.replace(Phase::Ended);
        self.outbound.borrow_mut().clear();
        if let Some(stream) = self.stream.take() {
            stream.close();
        }
        self.account_wire_bytes();
        if matches!(before, Phase::Open | Phase::Closing) {
            self.record_duration();
        }
    }

    /// Writes a frame, or queues what the kernel does not take; whether it is all written.
    pub(super) fn put(&self, opcode: Opcode, is_compressed: bool, content: &[u8], message: usize) -> bool {
        FRAME.with_borrow_mut(|frame| {
            frame.clear();
            encode(opcode, is_compressed, content, mask(), frame);
            let is_written = self.write(frame, message, opcode == Opcode::Pong);
            frame.shrink_to(SCRATCH);
            is_written
        })
    }

    fn write(&self, frame: &[u8], message: usize, is_pong: bool) -> bool {
        let mut outbound = self.outbound.borrow_mut();
        let mut written = 0;
        if outbound.is_empty() && self.write_error.borrow().is_none() {
            let mut stream = self.stream.borrow_mut();
            let Some(stream) = stream.as_mut() else { return true };
            match stream.try_write(frame) {
                Ok((taken, is_on_its_way)) => {
                    written = taken;
                    outbound.needs_flush = !is_on_its_way;
                }
                Err(error) => {
                    // What the server has sent before may tell more; it is read first.
                    self.write_error.replace(Some(error.to_string()));
                }
            }
            self.account_wire_bytes();
        }
        let is_written = written == frame.len() || self.write_error.borrow().is_some();
        if !is_written {
            let bytes = frame[written..].to_vec();
            let _charge = self.vu.memory.charge(bytes.len());
            outbound.push(Frame { bytes, written: 0, message, is_pong, _charge });
        }
        drop(outbound);
        self.wake_to_write();
        is_written
    }

    fn wake_to_write(&self) {
        if !self.outbound.borrow().is_empty() || self.write_error.borrow().is_some() {
            self.wake();
        }
    }

    /// Has the task look at what changed.
    pub fn wake(&self) {
        if self.io_runs.get() {
            return;
        }
        if let Some(waker) = &*self.io_waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wire(&self) -> &Rc<WireBytes> {
        &self.wire
    }

    /// Moves what the wire counted to the VU's totals.
    pub(super) fn account_wire_bytes(&self) {
        let (sent, received) = self.wire.take();
        self.vu.data_sent.set(self.vu.data_sent.get() + sent);
        self.vu.data_received.set(self.vu.data_received.get() + received);
    }

    /// Whether the server owes something: an answer, or the session itself.
    pub fn waits_for_peer(&self) -> bool {
        match self.phase.get() {
            Phase::Connecting | Phase::Closing => true,
            Phase::Open => self.owed.is_owed(),
            Phase::Ended => false,
        }
    }

    /// What it does, in words.
    pub fn doing(&self) -> &'static str {
        match self.phase.get() {
            Phase::Connecting => "connecting to",
            Phase::Open => "connected to",
            Phase::Closing => "closing the session with",
            Phase::Ended => "disconnected from",
        }
    }
}

fn size(happened: &Happened) -> usize {
    match happened {
        Happened::Text(text, _) => text.len(),
        Happened::Binary(chunk) => chunk.len(),
        _ => 0,
    }
}

/// Random enough to keep a proxy from taking frames for requests, which is what masks are for.
fn mask() -> [u8; 4] {
    MASKS.with(|last| {
        if last.get() == 0 {
            let mut seed = [0; 8];
            // Without random numbers, masks are only less random.
            let _ = getrandom::fill(&mut seed);
            last.set(u64::from_ne_bytes(seed) | 1);
        }
        // Xorshift (George Marsaglia).
        let mut next = last.get();
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        last.set(next);
        ((next >> 32) as u32).to_ne_bytes()
    })
}
