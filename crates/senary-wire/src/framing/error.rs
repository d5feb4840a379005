//! What can be wrong with a description, a received frame, a message to send, and a place in it.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Why a stream has no next message. The rest of the stream cannot be used, because the start of the next frame is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message has, or claims, more bytes than `max`.
    TooLarge { size: u64, max: usize, offset: u64 },
    /// The byte at `at` of the stream is not valid in the frame that starts at `offset`.
    Invalid { reason: Reason, at: u64, offset: u64 },
    /// The stream has ended within a frame.
    Truncated { received: usize, expected: Option<usize>, offset: u64 },
}

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Found, expected.
    Magic(u8, u8),
    /// Found, expected.
    Trailer(u8, u8),
    LengthDigit(u8),
    LengthTooLong,
    LengthNegative {
        value: u64,
        adjust: i64,
    },
    /// BER without a length before the value.
    LengthIndefinite,
    /// The header block has no such line.
    HeaderMissing(String),
    HeaderValue(String),
    HeaderBlockTooLong,
    /// Escape byte, what follows it.
    Escape(u8, u8),
    /// The escape byte is the last of its message.
    EscapeAtEnd(u8),
    JsonByte(u8),
    JsonBracket(u8),
    RespType(u8),
    RespNumber(String),
    LineEnd,
    RespDepth(usize),
    RespChunk(u8),
}

/// A fault in a frame under way, before it is known where in the stream that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge { size: u64 },
    Invalid { at: usize, reason: Reason },
}

impl Fault {
    /// The same fault, `count` bytes further on.
    pub fn behind(self, count: usize) -> Self {
        match self {
            Self::Invalid { at, reason } => Self::Invalid { at: at + count, reason },
            Self::TooLarge { .. } => self,
        }
    }

    pub fn at(self, offset: u64, max: usize) -> FrameError {
        match self {
            Self::TooLarge { size } => FrameError::TooLarge { size, max, offset },
            Self::Invalid { at, reason } => FrameError::Invalid { reason, at: offset + at as u64, offset },
        }
    }
}

impl FrameError {
    /// What scripts see as `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "ERR_FRAME_TOO_LARGE",
            Self::Invalid { .. } => "ERR_FRAME_INVALID",
            Self::Truncated { .. } => "ERR_FRAME_TRUNCATED",
        }
    }
}

impl Display for FrameError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, max, offset } => write!(
                f,
                "the message at offset {offset} has {size} bytes or more, and the limit is {max}; \
                 raise `max` of the framing if that is right"
            ),
            Self::Invalid { reason, at, offset } => {
                write!(f, "the message at offset {offset} is malformed: {reason}, at offset {at}")
            }
            Self::Truncated { received, expected: Some(expected), offset } => write!(
                f,
                "the connection ended after {received} of the {expected} bytes of the message at offset {offset}"
            ),
            Self::Truncated { received, expected: None, offset } => write!(
                f,
                "the connection ended after {received} bytes of the message at offset {offset}, before its end"
            ),
        }
    }
}

impl Error for FrameError {}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(found, expected) => {
                write!(f, "it does not start with `magic`: {found:#04x} in place of {expected:#04x}")
            }
            Self::Trailer(found, expected) => {
                write!(f, "it does not end with `trailer`: {found:#04x} in place of {expected:#04x}")
            }
            Self::LengthDigit(byte) => write!(f, "the length has {byte:#04x} in place of a digit"),
            Self::LengthTooLong => write!(f, "the length has too many digits or bytes"),
            Self::LengthNegative { value, adjust } => {
                write!(f, "the length {value} with `adjust` {adjust} is less than nothing")
            }
            Self::LengthIndefinite => write!(f, "it has a BER length of the indefinite form"),
            Self::HeaderMissing(name) => {
                write!(f, "its header block has no `{name}`; `otherwise` can say where such a message ends")
            }
            Self::HeaderValue(value) => write!(f, "its header block has the length {value:?}"),
            Self::HeaderBlockTooLong => write!(f, "its header block does not end"),
            Self::Escape(escape, byte) => {
                write!(f, "{escape:#04x} is followed by {byte:#04x}, which `escape.map` does not have")
            }
            Self::EscapeAtEnd(escape) => write!(f, "it ends with the escape byte {escape:#04x}"),
            Self::JsonByte(byte) => write!(f, "no JSON value has {byte:#04x} there"),
            Self::JsonBracket(byte) => {
                write!(f, "{:?} closes a bracket of the other kind", char::from(*byte))
            }
            Self::RespType(byte) => write!(f, "RESP has no type {byte:#04x}"),
            Self::RespNumber(text) => write!(f, "RESP has {text:?} in place of a length"),
            Self::LineEnd => write!(f, "it has no CR LF there"),
            Self::RespDepth(most) => write!(f, "it has more than {most} levels of RESP values"),
            Self::RespChunk(byte) => write!(f, "a RESP string in chunks goes on with {byte:#04x}"),
        }
    }
}

/// What is wrong with a description, in the script's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptionError {
    UnknownName(String),
    Max,
    TooManyBytes(&'static str),
    NoDelimiter,
    EmptyDelimiter,
    DelimiterTooLong,
    EscapeMap,
    Fixed { max: usize },
    LengthAs(String),
    LengthBytes,
    LengthDigits,
    LengthBytesNotNeeded,
    LengthUntil,
    LengthUntilMax,
    LengthMask,
    LengthMaskNotUint,
    LengthAt,
    LengthAtWithinMagic,
    LengthAfter,
    HeaderName,
    HeaderEnd,
    Otherwise,
    Idle,
}

impl Display for DescriptionError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownName(name) => {
                let names: Vec<&str> = crate::framing::names::all().collect();
                return write!(f, "there is no framing {name:?}; those with a name are {}", names.join(", "));
            }
            Self::Max => "`max` has to be a number of bytes from 1 to 2 GiB",
            Self::TooManyBytes(name) => return write!(f, "`{name}` may have 64 KiB at most"),
            Self::NoDelimiter => "`delimiter` has to be one byte at least, or a list of such",
            Self::EmptyDelimiter => "`delimiter` must not be empty",
            Self::DelimiterTooLong => "`delimiter` may have 256 bytes at most",
            Self::EscapeMap => {
                "`escape.map` has to have pairs of bytes [coded, plain], with each coded and each plain byte once"
            }
            Self::Fixed { max } => {
                return write!(f, "`fixed` has to be a number of bytes from 1 to `max`, which is {max}");
            }
            Self::LengthAs(other) => {
                return write!(
                    f,
                    "`length.as` has to be one of \"uint\", \"varint\", \"decimal\", \"hex\", \"bcd\" and \"ber\", and is {other:?}"
                );
            }
            Self::LengthBytes => "`length.bytes` has to be a number from 1 to 8",
            Self::LengthDigits => {
                "`length.bytes` with `until` needs `length.as` to be \"decimal\" or \"hex\", or left out"
            }
            Self::LengthBytesNotNeeded => {
                "`length.bytes` has no meaning with `as` \"varint\" or \"ber\": they know their own size"
            }
            Self::LengthUntil => "`length.bytes.until` has to be a byte that is not a digit",
            Self::LengthUntilMax => "`length.bytes.max` has to be a number of digits from 1 to 20",
            Self::LengthMask => {
                "`length.mask` has to be a row of bits next to each other, within the `bytes` of the length"
            }
            Self::LengthMaskNotUint => "`length.mask` needs `length.as` to be \"uint\"",
            Self::LengthAt => "`length.at` has to be a number from 0 to 65535",
            Self::LengthAtWithinMagic => {
                "`length.at` lies within `magic`; it counts from the first byte of `magic`, and may be left out"
            }
            Self::LengthAfter => "`length.at.after` has to have 1 to 256 bytes",
            Self::HeaderName => "`headers.length` has to be the name of a header",
            Self::HeaderEnd => "`headers.end` has to have 1 to 256 bytes",
            Self::Otherwise => {
                "`otherwise` has to be a framing with `delimiter`, `fixed`, `length`, `line` or `end`"
            }
            Self::Idle => "`idle` has to be a number of milliseconds above 0",
        };
        f.write_str(text)
    }
}

impl Error for DescriptionError {}

/// Why a message cannot be sent with a framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Its length does not fit the field.
    TooLong { size: u64, most: u64 },
    /// It has fewer bytes than the framing needs to fill its length in, or than `adjust` takes away.
    TooShort { size: usize, least: usize },
    /// It is not as long as each message has to be.
    WrongSize { size: usize, fixed: usize },
    /// The receiver would take it for more than one message.
    ContainsDelimiter { offset: usize },
    /// The byte is the escape byte, and has no code itself.
    NotInMap { byte: u8, offset: usize },
    /// It has no place for its length.
    NoLength,
}

impl EncodeError {
    /// What scripts see as `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "ERR_FRAME_TOO_LARGE",
            _ => "ERR_FRAME_INVALID",
        }
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { size, most } => {
                write!(f, "the length to send is {size}, and the framing's field holds {most} at most")
            }
            Self::TooShort { size, least } => write!(
                f,
                "the message has {size} bytes, and the framing needs {least} at least: \
                 its header is part of the message"
            ),
            Self::WrongSize { size, fixed } => {
                write!(f, "the message has {size} bytes, and the framing has {fixed} for each")
            }
            Self::ContainsDelimiter { offset } => {
                // What ends a message is the first thing that users put into it.
                write!(
                    f,
                    "the message has the framing's delimiter in it, at offset {offset}; leave out what ends the message, \
                     the framing adds that, or give another framing"
                )
            }
            Self::NotInMap { byte, offset } => {
                write!(
                    f,
                    "the message has {byte:#04x} at offset {offset}, for which `escape.map` has no code"
                )
            }
            Self::NoLength => {
                write!(f, "the message has no place where the framing could fill its length in")
            }
        }
    }
}

impl Error for EncodeError {}

/// A place that does not lie within a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub offset: usize,
    pub bytes: usize,
    pub size: usize,
}

impl Display for FieldError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes, size } = self;
        write!(f, "the message has {size} bytes, too few for the {bytes} bytes at offset {offset}")
    }
}

impl Error for FieldError {}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The place does not lie within the data.
    Place(FieldError),
    /// A place has no bytes, or a binary one has more than a number has.
    Bytes { most: usize },
    /// `from` is above `to`.
    Range { from: u64, to: u64 },
    /// `to` has more digits than the place.
    TooLarge { to: u64, bytes: usize },
}

impl Display for TemplateError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(FieldError { offset, bytes, size }) => {
                write!(f, "`data` has {size} bytes, too few for a patch of {bytes} bytes at offset {offset}")
            }
            Self::Bytes { most } => write!(f, "`bytes` of a patch has to be a number from 1 to {most}"),
            Self::Range { from, to } => {
                write!(f, "`from` of a patch must not be above `to`: {from} is above {to}")
            }
            Self::TooLarge { to, bytes } => {
                write!(
                    f,
                    "`to` of a patch has to fit its place: {to} does not fit {bytes} bytes as they are written"
                )
            }
        }
    }
}

impl Error for TemplateError {}
