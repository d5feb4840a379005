//! Received bytes on their way to a script of `senary/tcp`: kept until the script wants them, and split into messages.
//!
//! While the script wants no message, nothing is received. So a script that does not read slows its peer down, and
//! fills no memory.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use senary_wire::{Buffer, FrameError, Framer, Framing, Received, Taken};

use crate::connection::error::CallSite;
use senary_js::memory::{Charge, Memory};
use senary_js::promise::Resolvers;

/// The limit of messages that are kept for a later `read()`, in bytes.
const MAX_UNTAKEN: usize = 1 << 20;

/// A `read()` that waits for its turn.
pub struct Reader {
    pub want: Want,
    pub promise: Resolvers,
    pub deadline: Option<Instant>,
    pub called: Option<CallSite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A message; a chunk, where there is no framing.
    Next,
    /// An exact number of bytes.
    Exactly(usize),
}

/// Something taken out of the stream.
pub enum Item {
    Message(Bytes),
    /// A frame without content, which goes back to the peer.
    Echo(Bytes),
}

enum Source {
    /// No framing, or a function of the script's.
    Stream(Buffer),
    Framed(Framer),
}

pub struct Inbound {
    source: Source,
    /// Messages that were taken out before the script wanted them.
    untaken: VecDeque<Bytes>,
    untaken_bytes: usize,
    /// When the first byte of the message under way came, and the last bytes of all.
    began: Instant,
    latest: Instant,
    /// The peer has ended its side: nothing more will come.
    pub ended: bool,
    pub readers: VecDeque<Reader>,
    /// What is kept counts as the script's.
    charge: Option<Charge>,
    memory: Rc<Memory>,
}

impl Inbound {
    pub fn new(memory: Rc<Memory>, framing: Option<Rc<Framing>>) -> Self {
        let now = Instant::now();
        let source = match framing {
            None => Source::Stream(Buffer::new()),
            Some(framing) => Source::Framed(Framer::new(framing)),
        };
        Self {
            source,
            untaken: VecDeque::new(),
            untaken_bytes: 0,
            began: now,
            latest: now,
            ended: false,
            readers: VecDeque::new(),
            charge: None,
            memory,
        }
    }

    /// From the byte after the last message on, another framing holds.
    pub fn set_framing(&mut self, framing: Option<Rc<Framing>>) {
        let source = std::mem::replace(&mut self.source, Source::Stream(Buffer::new()));
        self.source = match (source, framing) {
            (Source::Framed(mut framer), Some(framing)) => {
                framer.change(framing);
                Source::Framed(framer)
            }
            (Source::Framed(framer), None) => Source::Stream(framer.into_rest()),
            (Source::Stream(rest), Some(framing)) => Source::Framed(Framer::from((framing, rest))),
            (stream, None) => stream,
        };
    }

    /// Bytes have come.
    pub fn push(&mut self, bytes: &[u8], now: Instant) {
        self.came(now);
        let bytes = Bytes::copy_from_slice(bytes);
        match &mut self.source {
            Source::Stream(buffer) => buffer.push(bytes),
            Source::Framed(framer) => framer.push(bytes),
        }
        self.recharge();
    }

    /// When bytes have come.
    pub fn came(&mut self, now: Instant) {
        if self.len() == 0 {
            self.began = now;
        }
        self.latest = now;
    }

    /// The next message out of bytes that have just come and are still the caller's; called until there is none. Without a
    /// framing there is none, and the bytes are dropped.
    pub fn receive_from<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Taken<'a>>, FrameError> {
        let taken = match &mut self.source {
            Source::Framed(framer) => framer.receive_from(bytes)?,
            Source::Stream(_) => {
                *bytes = &[];
                None
            }
        };
        self.recharge();
        Ok(taken)
    }

    /// Whether only a turn of the VU can tell where a message ends.
    pub fn needs_engine(&self) -> bool {
        matches!(&self.source, Source::Framed(framer) if framer.framing().needs_engine())
    }

    /// Bytes that have come and are in no message yet.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Stream(buffer) => buffer.len(),
            Source::Framed(framer) => framer.len(),
        }
    }

    /// More than this is not received while it waits: a whole message, or what the next reader has asked for.
    pub fn most_kept(&self) -> usize {
        match self.readers.front() {
            Some(Reader { want: Want::Exactly(count), .. }) => self.max().max(*count),
            _ => self.max(),
        }
    }

    /// How large a message may be.
    pub fn max(&self) -> usize {
        match &self.source {
            Source::Stream(_) => senary_wire::DEFAULT_MAX,
            Source::Framed(framer) => framer.framing().max(),
        }
    }

    /// Whether something may be taken without more bytes.
    pub fn has_some(&self) -> bool {
        self.len() > 0 || !self.untaken.is_empty()
    }

    /// When the first and the last byte of the message came that was taken last; the next one begins with what is left.
    pub fn arrived(&mut self) -> (Instant, Instant) {
        let times = (self.began, self.latest);
        self.began = self.latest;
        times
    }

    /// A message that was taken out before the script wanted it.
    pub fn take_untaken(&mut self) -> Option<Bytes> {
        let message = self.untaken.pop_front()?;
        self.untaken_bytes -= message.len();
        self.recharge();
        Some(message)
    }

    /// Keeps a message for a later `read()`. Returns whether older ones had to be dropped.
    pub fn keep(&mut self, message: Bytes) -> bool {
        self.untaken_bytes += message.len();
        self.untaken.push_back(message);
        let mut dropped = false;
        while self.untaken_bytes > MAX_UNTAKEN && self.untaken.len() > 1 {
            let oldest = self.untaken.pop_front().unwrap_or_default();
            self.untaken_bytes -= oldest.len();
            dropped = true;
        }
        self.recharge();
        dropped
    }

    /// The next message, or the next chunk where there is no framing.
    pub fn next(&mut self) -> Result<Option<Item>, FrameError> {
        let item = match &mut self.source {
            Source::Stream(buffer) => buffer.take_chunk().map(Item::Message),
            Source::Framed(framer) => framer.receive()?.map(Item::from),
        };
        self.recharge();
        Ok(item)
    }

    /// The connection is encrypted from here on. Earlier bytes are kept for `read()`, but are not part of what comes
    /// now: a message that has begun does not continue.
    pub fn set_aside(&mut self) {
        while let Ok(Some(item)) = self.next() {
            if let Item::Message(message) = item {
                self.keep(message);
            }
        }
        if let Some(rest) = self.take(self.len()).filter(|rest| !rest.is_empty()) {
            self.keep(rest);
        }
    }

    /// What is left after the peer has ended its side: called until there is nothing.
    pub fn finish(&mut self) -> Result<Option<Item>, FrameError> {
        let item = match &mut self.source {
            Source::Stream(buffer) => buffer.take_chunk().map(Item::Message),
            Source::Framed(framer) => framer.finish()?.map(Item::from),
        };
        self.recharge();
        Ok(item)
    }

    /// An exact number of bytes, wherever messages end.
    pub fn take(&mut self, count: usize) -> Option<Bytes> {
        let taken = match &mut self.source {
            Source::Stream(buffer) => buffer.take(count),
            Source::Framed(framer) => framer.take(count),
        };
        self.recharge();
        taken
    }

    /// The message that the silence of idle framing has ended.
    pub fn flush_idle(&mut self) -> Option<Bytes> {
        let message = match &mut self.source {
            Source::Stream(_) => None,
            Source::Framed(framer) => framer.flush_idle(),
        };
        self.recharge();
        message
    }

    /// When the message under way is over, if nothing more comes; only where silence ends messages.
    pub fn idle_ends(&self) -> Option<Instant> {
        match &self.source {
            Source::Framed(framer) if !framer.is_empty() => {
                framer.framing().idle().map(|silence| self.latest + silence)
            }
            _ => None,
        }
    }

    /// All bytes that have come, for a function of the script's that finds the end of a message.
    pub fn all(&mut self) -> &[u8] {
        match &mut self.source {
            Source::Stream(buffer) => buffer.all(),
            Source::Framed(framer) => framer.rest(),
        }
    }

    fn recharge(&mut self) {
        let bytes = self.len() + self.untaken_bytes;
        // Most messages leave nothing behind, and cost nothing here.
        if bytes == 0 && self.charge.is_none() {
            return;
        }
        self.charge = (bytes > 0).then(|| self.memory.charge(bytes));
    }
}

impl From<Received> for Item {
    fn from(received: Received) -> Self {
        match received {
            Received::Message(message) => Self::Message(message),
            Received::Echo(frame) => Self::Echo(frame),
        }
    }
}
