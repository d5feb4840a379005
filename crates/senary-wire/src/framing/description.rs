//! Framings as scripts describe them, not checked yet. Names and meanings are those of the TypeScript declaration.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::framing::DEFAULT_MAX;
use crate::framing::error::DescriptionError;
use crate::framing::pattern::Pattern;

/// The most digits of a length that ends with a byte, where the description gives no `max`.
const DEFAULT_DIGITS: u64 = 10;

#[derive(Clone, Debug)]
pub struct Description {
    pub form: Form,
    /// The most bytes a message may have.
    pub max: u64,
    /// The bytes that each frame starts and ends with.
    pub magic: Bytes,
    pub trailer: Bytes,
    pub empty: Empty,
}

/// Where a message ends.
#[derive(Clone, Debug)]
pub enum Form {
    Delimiter(Delimiters),
    /// Where it matches. The match is part of the message.
    Pattern(Rc<dyn Pattern>),
    /// After this many bytes.
    Fixed(u64),
    Length(Length),
    Headers(Headers),
    Lines(Lines),
    /// After a silence. The caller owns the timer, and calls `Framer::flush_idle` when the silence is over.
    Idle(Duration),
}

/// What to do with frames without content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    #[default]
    Deliver,
    Skip,
    /// They go back to the peer as they came.
    Echo,
}

#[derive(Clone, Debug, Default)]
pub struct Delimiters {
    /// Whichever of them comes first ends the message; sending adds the first of the list.
    pub delimiters: Vec<Bytes>,
    pub start: Bytes,
    pub keep: bool,
    pub escape: Option<Escape>,
}

/// Byte stuffing: `byte`, followed by a coded byte, stands for a plain one.
#[derive(Clone, Debug)]
pub struct Escape {
    pub byte: u8,
    /// Coded, plain.
    pub map: Vec<(u8, u8)>,
}

/// A length in front of what it counts.
#[derive(Clone, Debug)]
pub struct Length {
    /// Counted from the first byte of the magic. Behind the magic, if left out or 0.
    pub at: Option<Place>,
    pub notation: Notation,
    /// What to add to the value to get how many bytes follow the field, the trailer among them. If left out, the value
    /// counts what is between the field and the trailer.
    pub adjust: Option<i64>,
    /// `Strip` where the field is the first of the frame, if left out; else `Keep`.
    pub header: Option<Header>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    At(u64),
    After(Bytes),
}

/// How a length is written. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notation {
    Uint {
        bytes: u64,
        little: bool,
        mask: Option<u64>,
    },
    Decimal {
        bytes: u64,
    },
    Hex {
        bytes: u64,
    },
    Bcd {
        bytes: u64,
    },
    /// Digits up to the byte `until`, at most `max` of them.
    DecimalUntil {
        until: u8,
        max: u64,
    },
    HexUntil {
        until: u8,
        max: u64,
    },
    Varint,
    Ber,
}

/// Whether what is before and in the length is part of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    Strip,
    Keep,
}

/// A block of header lines, one of which has the length of the body.
#[derive(Clone, Debug)]
pub struct Headers {
    /// A blank line, if left out.
    pub end: Option<Bytes>,
    /// The header's name; capitals make no difference.
    pub length: String,
    /// The framing after a block without that header. `Fixed(0)` means that nothing follows.
    pub otherwise: Option<Box<Description>>,
    /// `Strip`, if left out.
    pub header: Option<Header>,
}

/// Lines, and counted bytes behind some of them. Patterns see a line without its end.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Captures how many bytes follow the line's end.
    pub count: Option<Rc<dyn Pattern>>,
    /// What to add to that: 2, where a line end follows the bytes.
    pub adjust: i64,
    /// The line that is the last of its message. Each is, if left out.
    pub until: Option<Rc<dyn Pattern>>,
}

impl Description {
    /// The form alone, and defaults for what all forms have.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            max: DEFAULT_MAX as u64,
            magic: Bytes::new(),
            trailer: Bytes::new(),
            empty: Empty::Deliver,
        }
    }
}

impl Length {
    /// The length and nothing else.
    pub fn new(notation: Notation) -> Self {
        Self { at: None, notation, adjust: None, header: None }
    }

    pub fn at(self, at: u64) -> Self {
        Self { at: Some(Place::At(at)), ..self }
    }

    pub fn after(self, bytes: &'static [u8]) -> Self {
        Self { at: Some(Place::After(Bytes::from_static(bytes))), ..self }
    }

    pub fn adjust(self, adjust: i64) -> Self {
        Self { adjust: Some(adjust), ..self }
    }

    pub fn header(self, header: Header) -> Self {
        Self { header: Some(header), ..self }
    }
}

/// The size of a length as a script says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Bytes(u64),
    Until { until: u8, max: Option<u64> },
}

impl Notation {
    /// Combines the script's separate settings: `as`, `bytes`, `endian` and `mask`.
    pub fn of(
        written: Option<&str>,
        size: Option<Size>,
        little: bool,
        mask: Option<u64>,
    ) -> Result<Self, DescriptionError> {
        let written = written.unwrap_or(if let Some(Size::Until { .. }) = size { "decimal" } else { "uint" });
        if mask.is_some() && written != "uint" {
            return Err(DescriptionError::LengthMaskNotUint);
        }
        match (written, size) {
            ("uint", Some(Size::Bytes(bytes))) => Ok(Self::Uint { bytes, little, mask }),
            ("decimal", Some(Size::Bytes(bytes))) => Ok(Self::Decimal { bytes }),
            ("hex", Some(Size::Bytes(bytes))) => Ok(Self::Hex { bytes }),
            ("bcd", Some(Size::Bytes(bytes))) => Ok(Self::Bcd { bytes }),
            ("decimal", Some(Size::Until { until, max })) => {
                Ok(Self::DecimalUntil { until, max: max.unwrap_or(DEFAULT_DIGITS) })
            }
            ("hex", Some(Size::Until { until, max })) => {
                Ok(Self::HexUntil { until, max: max.unwrap_or(DEFAULT_DIGITS) })
            }
            ("uint" | "bcd", Some(Size::Until { .. })) => Err(DescriptionError::LengthDigits),
            ("varint", None) => Ok(Self::Varint),
            ("ber", None) => Ok(Self::Ber),
            ("varint" | "ber", Some(_)) => Err(DescriptionError::LengthBytesNotNeeded),
            ("uint" | "decimal" | "hex" | "bcd", None) => Err(DescriptionError::LengthBytes),
            (other, _) => Err(DescriptionError::LengthAs(other.to_owned())),
        }
    }

    /// An unsigned number of this many bytes, the most significant first.
    pub fn big(bytes: u64) -> Self {
        Self::Uint { bytes, little: false, mask: None }
    }

    pub fn little(bytes: u64) -> Self {
        Self::Uint { bytes, little: true, mask: None }
    }
}

impl Headers {
    pub fn new(length: &str) -> Self {
        Self { end: None, length: length.to_owned(), otherwise: None, header: None }
    }
}
