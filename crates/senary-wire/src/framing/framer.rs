//! Received bytes in, whole messages out.

use std::ops::Deref;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::framing::buffer::Buffer;
use crate::framing::checked::Framing;
use crate::framing::description::Empty;
use crate::framing::error::{Fault, FrameError};
use crate::framing::scan::{self, Content, Scan, Scanner, within};
use crate::framing::view::View;

/// Until this many bytes have arrived, a claimed length allocates no more than this.
const FIRST_RESERVE: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Message(Bytes),
    /// A frame without content that goes back to the peer as it came.
    Echo(Bytes),
}

/// What [`Framer::receive_from`] hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    Message(Message<'a>),
    /// A frame without content that goes back to the peer as it came.
    Echo(Message<'a>),
}

/// A whole message, where the caller has it, or in bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Cuts a stream into messages. Each byte is examined once, and copied at most once: a message that lies within a chunk is a slice
/// of it. Memory is bounded by the framing's `max` and one chunk, as long as the caller takes messages before it pushes
/// more.
pub struct Framer {
    framing: Rc<Framing>,
    scanner: Scanner,
    /// The current message, except for the bytes in `waiting`.
    head: Vec<u8>,
    waiting: Buffer,
    /// The place in the stream where the current message starts.
    offset: u64,
    /// How long its frame will be, if that is known.
    total: Option<usize>,
    failed: Option<FrameError>,
}

impl Framer {
    pub fn new(framing: Rc<Framing>) -> Self {
        let scanner = Scanner::new(&framing);
        let (head, waiting) = (Vec::new(), Buffer::new());
        Self { framing, scanner, head, waiting, offset: 0, total: None, failed: None }
    }

    pub fn framing(&self) -> &Rc<Framing> {
        &self.framing
    }

    /// Adds received bytes.
    pub fn push(&mut self, chunk: Bytes) {
        self.waiting.push(chunk);
    }

    /// Bytes that have been received and not been handed over.
    pub fn len(&self) -> usize {
        self.head.len() + self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next whole message; `None` while there is none. An error stays: nothing comes after it.
    pub fn receive(&mut self) -> Result<Option<Received>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while let Some(end) = self.find_end()? {
            let content = match self.waiting.front() {
                Some(chunk) if self.head.is_empty() => self.scanner.carve(&self.framing, &chunk[..end]),
                _ => {
                    self.join_frame(end);
                    self.scanner.carve(&self.framing, &self.head)
                }
            };
            let Content { message, empty } = content.map_err(|fault| self.fail(fault))?;
            self.offset += end as u64;
            self.restart();
            if !empty || self.framing.empty == Empty::Deliver {
                return Ok(Some(Received::Message(self.take_message(message, end))));
            }
            let frame = self.take_message(scan::Message::Part(0..end), end);
            if self.framing.empty == Empty::Echo {
                return Ok(Some(Received::Echo(frame)));
            }
        }
        Ok(None)
    }

    /// The next whole message, from bytes that have just been received and are still the caller's: one that lies in them as a
    /// whole is not copied. Called until it gives back `None`; then `bytes` is empty, and the rest has been kept. An error
    /// stays.
    pub fn receive_from<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Taken<'a>>, FrameError> {
        loop {
            if !self.is_empty() || self.failed.is_some() {
                self.push(Bytes::copy_from_slice(std::mem::take(bytes)));
                return Ok(self.receive()?.map(Taken::from));
            }
            let between = bytes.iter().take_while(|byte| self.framing.between.contains(byte)).count();
            *bytes = &bytes[between..];
            self.offset += between as u64;
            if bytes.is_empty() {
                return Ok(None);
            }
            let scan = self.scanner.scan(&self.framing, View { head: &[], new: bytes });
            let end = match scan.map_err(|fault| self.fail(fault))? {
                Scan::End(end) => end,
                Scan::More { total } => {
                    self.total = total;
                    self.push(Bytes::copy_from_slice(std::mem::take(bytes)));
                    self.keep_chunk();
                    return Ok(None);
                }
            };
            let (frame, rest) = bytes.split_at(end);
            let content = self.scanner.carve(&self.framing, frame);
            let Content { message, empty } = content.map_err(|fault| self.fail(fault))?;
            *bytes = rest;
            self.offset += end as u64;
            self.restart();
            match (empty, self.framing.empty) {
                (false, _) | (true, Empty::Deliver) => {
                    return Ok(Some(Taken::Message(match message {
                        scan::Message::Part(part) => Message::Borrowed(&frame[part]),
                        scan::Message::Decoded(decoded) => Message::Owned(Bytes::from(decoded)),
                    })));
                }
                (true, Empty::Echo) => return Ok(Some(Taken::Echo(Message::Borrowed(frame)))),
                (true, Empty::Skip) => {}
            }
        }
    }

    /// Where the next whole frame ends. The scanner knows what it has found in it.
    fn find_end(&mut self) -> Result<Option<usize>, FrameError> {
        self.skip_between();
        while let Some(chunk) = self.waiting.front() {
            let view = View { head: &self.head, new: chunk };
            let scan = self.scanner.scan(&self.framing, view);
            match scan.map_err(|fault| self.fail(fault))? {
                Scan::End(end) => return Ok(Some(end)),
                Scan::More { total } => {
                    self.total = total;
                    self.keep_chunk();
                }
            }
        }
        Ok(None)
    }

    /// An error stays.
    #[cold]
    fn fail(&mut self, fault: Fault) -> FrameError {
        let error = fault.at(self.offset, self.framing.max);
        self.failed = Some(error.clone());
        error
    }

    /// Moves the frame's last bytes from the first waiting chunk to its other bytes.
    fn join_frame(&mut self, end: usize) {
        let count = end - self.head.len();
        if let Some(chunk) = self.waiting.front() {
            self.head.reserve_exact(count);
            self.head.extend_from_slice(&chunk[..count]);
        }
        self.waiting.drop_front(count);
    }

    /// Takes out the frame that ends there, and returns the message in it.
    // Moved less often, a message takes a quarter less time.
    #[inline(always)]
    fn take_message(&mut self, message: scan::Message, end: usize) -> Bytes {
        let whole = std::mem::take(&mut self.head);
        match message {
            scan::Message::Part(part) if whole.is_empty() => {
                self.waiting.drop_front(part.start);
                let message = self.waiting.split_front(part.len());
                self.waiting.drop_front(end - part.end);
                message
            }
            scan::Message::Part(part) => {
                let mut frame = Bytes::from(whole);
                frame.truncate(part.end);
                frame.advance(part.start);
                frame
            }
            scan::Message::Decoded(bytes) => {
                if whole.is_empty() {
                    self.waiting.drop_front(end);
                }
                Bytes::from(bytes)
            }
        }
    }

    fn skip_between(&mut self) {
        if self.framing.between.is_empty() || !self.head.is_empty() {
            return;
        }
        while let Some(chunk) = self.waiting.front() {
            let size = chunk.len();
            let skipped = chunk.iter().take_while(|byte| self.framing.between.contains(byte)).count();
            self.waiting.drop_front(skipped);
            self.offset += skipped as u64;
            if skipped < size {
                break;
            }
        }
    }

    /// The first chunk is part of the message under way, all of it.
    fn keep_chunk(&mut self) {
        let chunk = self.waiting.take_chunk().unwrap_or_default();
        let have = self.head.len() + chunk.len();
        if self.head.capacity() < have {
            // A claimed length is trusted only in proportion to the bytes that have arrived.
            let hoped = self.total.unwrap_or(usize::MAX).min((2 * have).max(FIRST_RESERVE));
            self.head.reserve_exact(hoped.max(have) - self.head.len());
        }
        self.head.extend_from_slice(&chunk);
    }

    fn restart(&mut self) {
        self.scanner.restart();
        self.total = None;
    }

    /// The silence that idle framing waits for is over, so the received bytes are a message.
    pub fn flush_idle(&mut self) -> Option<Bytes> {
        if self.failed.is_some() || self.framing.idle().is_none() || self.is_empty() {
            return None;
        }
        let message = self.take(self.len())?;
        Some(message)
    }

    /// The stream has ended. Called until it gives back `None`: what is left are whole messages, the one that only the
    /// end could end, and an error if the end came within one.
    pub fn finish(&mut self) -> Result<Option<Received>, FrameError> {
        if let Some(received) = self.receive()? {
            return Ok(Some(received));
        }
        if self.head.is_empty() {
            return Ok(None);
        }
        if self.scanner.ends_here(&self.head) {
            let size = self.head.len();
            within(size, self.framing.max).map_err(|fault| self.fail(fault))?;
            let message = self.take(size);
            return Ok(message.map(Received::Message));
        }
        let error =
            FrameError::Truncated { received: self.head.len(), expected: self.total, offset: self.offset };
        self.failed = Some(error.clone());
        Err(error)
    }

    /// Takes exactly `count` bytes, whatever the framing; `None` while there are fewer. The framing continues after them.
    pub fn take(&mut self, count: usize) -> Option<Bytes> {
        if count > self.len() {
            return None;
        }
        self.give_back();
        self.offset += count as u64;
        self.waiting.take(count)
    }

    /// All bytes behind the last message, for a caller that finds the end of the next one itself and then takes it.
    pub fn rest(&mut self) -> &[u8] {
        self.give_back();
        self.waiting.all()
    }

    /// From the byte after the last message on, another framing holds. An error of the old one is forgotten.
    pub fn change(&mut self, framing: Rc<Framing>) {
        self.give_back();
        self.failed = None;
        self.scanner = Scanner::new(&framing);
        self.framing = framing;
    }

    /// The bytes behind the last message, for whatever takes over.
    pub fn into_rest(mut self) -> Buffer {
        self.give_back();
        self.waiting
    }

    /// The message under way has not begun.
    fn give_back(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.waiting.push_front(Bytes::from(head));
        self.restart();
    }
}

impl From<Received> for Taken<'_> {
    fn from(received: Received) -> Self {
        match received {
            Received::Message(message) => Self::Message(Message::Owned(message)),
            Received::Echo(frame) => Self::Echo(Message::Owned(frame)),
        }
    }
}

impl From<(Rc<Framing>, Buffer)> for Framer {
    /// Goes on with bytes that something else has left.
    fn from((framing, rest): (Rc<Framing>, Buffer)) -> Self {
        Self { waiting: rest, ..Self::new(framing) }
    }
}
