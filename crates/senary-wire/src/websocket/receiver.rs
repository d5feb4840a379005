//! Received bytes in, whole messages and control frames out.
//!
//! Memory is bounded: a message has at most `max` bytes, before it is decompressed and after, and room is made for bytes that
//! have arrived, not for those that a frame claims.

use std::borrow::Cow;

use super::close::{Closing, code};
use super::deflate::{Agreement, Inflater};
use super::frame::{Head, Opcode};

/// Content that lies in the received bytes as a whole is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Nothing comes after it.
    Close(Closing),
}

/// Something that the standard forbids. The rest of the stream cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("websocket: bad opcode {0}")]
    Opcode(u8),
    #[error("websocket: unexpected reserved bits {0:#04x}")]
    ReservedBits(u8),
    #[error("websocket: the server has masked a frame")]
    Masked,
    #[error("websocket: a control frame is longer than 125 bytes")]
    LongControl,
    #[error("websocket: a control frame comes in fragments")]
    FragmentedControl,
    #[error("websocket: the length of a frame is not valid")]
    Length,
    #[error("websocket: continuation of no message")]
    Continuation,
    #[error("websocket: a message begins before the last one has ended")]
    Interleaved,
    #[error("websocket: invalid UTF-8 in a text message")]
    Utf8,
    #[error("websocket: compressed data cannot be decompressed")]
    Compression,
    #[error("websocket: read limit exceeded: a message has more than {0} bytes")]
    TooBig(usize),
    #[error("websocket: a closing frame with one byte")]
    CloseByte,
    #[error("websocket: invalid close code {0}")]
    CloseCode(u16),
    #[error("websocket: invalid UTF-8 in a closing frame")]
    CloseReason,
}

impl Violation {
    /// The code to tell the server.
    pub fn code(&self) -> u16 {
        match self {
            Self::Utf8 | Self::CloseReason => code::INVALID_PAYLOAD,
            Self::TooBig(_) => code::TOO_BIG,
            _ => code::PROTOCOL_ERROR,
        }
    }
}

/// Cuts a server's stream into messages and control frames.
pub struct Receiver {
    /// Of a message, in bytes.
    max: usize,
    compression: Option<Agreement>,
    /// The frame whose content comes next, and how much of that has not come yet.
    frame: Option<(Head, u64)>,
    /// The beginning of a head, or of the content of a control frame.
    partial: Vec<u8>,
    message: Option<Message>,
    state: State,
}

/// A message of which a part has come.
struct Message {
    opcode: Opcode,
    is_compressed: bool,
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Failed(Violation),
}

impl Receiver {
    pub fn new(max: usize, compression: Option<Agreement>) -> Self {
        let (frame, partial, message) = (None, Vec::new(), None);
        Self { max, compression, frame, partial, message, state: State::Open }
    }

    /// Bytes that are kept until more come.
    pub fn kept(&self) -> usize {
        self.partial.len() + self.message.as_ref().map_or(0, |message| message.content.capacity())
    }

    /// The next message or control frame in bytes that have just been received. Called until it gives back `None`; then
    /// `bytes` is empty, and what has begun has been kept. A violation stays.
    pub fn receive<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        match &self.state {
            State::Open => {}
            State::Closed => {
                *bytes = &[];
                return Ok(None);
            }
            State::Failed(violation) => return Err(violation.clone()),
        }
        let received = self.next(bytes, inflater);
        match &received {
            Ok(Some(Incoming::Close(_))) => self.state = State::Closed,
            Ok(_) => {}
            Err(violation) => {
                self.state = State::Failed(violation.clone());
                self.message = None;
            }
        }
        received
    }

    fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        loop {
            let (head, left) = match self.frame {
                Some(frame) => frame,
                None => {
                    let Some(head) = self.take_head(bytes)? else { return Ok(None) };
                    self.check(&head)?;
                    (head, head.length)
                }
            };
            // More than fits into memory has not come.
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (content, rest) = bytes.split_at(here);
            *bytes = rest;
            let left = left - here as u64;
            let received = match head.opcode.is_control() {
                true => self.control(&head, content, left)?,
                false => self.data(&head, content, left, inflater)?,
            };
            self.frame = (left > 0).then_some((head, left));
            if received.is_some() || left > 0 {
                return Ok(received);
            }
        }
    }

    /// The next head; `None` if more bytes are needed for it.
    fn take_head(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, Violation> {
        if self.partial.is_empty()
            && let Some(head) = Head::parse(bytes)?
        {
            *bytes = &bytes[head.size..];
            return Ok(Some(head));
        }
        while let [byte, rest @ ..] = bytes {
            self.partial.push(*byte);
            *bytes = rest;
            if let Some(head) = Head::parse(&self.partial)? {
                self.partial.clear();
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Whether a frame may come at this point.
    fn check(&self, head: &Head) -> Result<(), Violation> {
        let is_first = matches!(head.opcode, Opcode::Text | Opcode::Binary);
        if head.is_compressed && !(is_first && self.compression.is_some()) {
            return Err(Violation::ReservedBits(0x40));
        }
        if head.opcode.is_control() {
            return Ok(());
        }
        let before = match &self.message {
            Some(_) if is_first => return Err(Violation::Interleaved),
            None if !is_first => return Err(Violation::Continuation),
            Some(message) => message.content.len(),
            None => 0,
        };
        let max = self.max as u64;
        if head.length > max || before as u64 + head.length > max {
            return Err(Violation::TooBig(self.max));
        }
        Ok(())
    }

    fn control<'a>(
        &mut self,
        head: &Head,
        content: &[u8],
        left: u64,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        self.partial.extend_from_slice(content);
        if left > 0 {
            return Ok(None);
        }
        let content = std::mem::take(&mut self.partial);
        Ok(Some(match head.opcode {
            Opcode::Ping => Incoming::Ping(content),
            Opcode::Pong => Incoming::Pong(content),
            _ => Incoming::Close(Closing::parse(&content)?),
        }))
    }

    fn data<'a>(
        &mut self,
        head: &Head,
        content: &'a [u8],
        left: u64,
        inflater: &mut Inflater,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        let is_whole = left == 0 && head.is_last;
        let (opcode, is_compressed, content) = match &mut self.message {
            None if is_whole => (head.opcode, head.is_compressed, Cow::Borrowed(content)),
            message => {
                let message = message.get_or_insert(Message {
                    opcode: head.opcode,
                    is_compressed: head.is_compressed,
                    content: Vec::new(),
                });
                message.content.extend_from_slice(content);
                if !is_whole {
                    return Ok(None);
                }
                let content = std::mem::take(&mut message.content);
                let (opcode, is_compressed) = (message.opcode, message.is_compressed);
                self.message = None;
                (opcode, is_compressed, Cow::Owned(content))
            }
        };
        let content = match (is_compressed, self.compression) {
            (true, Some(agreement)) => Cow::Owned(inflater.inflate(&content, self.max, agreement)?),
            _ => content,
        };
        Ok(Some(match opcode {
            Opcode::Text => Incoming::Text(text(content)?),
            _ => Incoming::Binary(content),
        }))
    }
}

fn text(content: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Violation> {
    match content {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Violation::Utf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Violation::Utf8),
    }
}
