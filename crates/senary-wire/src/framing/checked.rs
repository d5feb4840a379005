//! A framing that has been checked: it can be received with and sent with.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::framing::description::{Description, Empty, Escape, Notation};
use crate::framing::error::DescriptionError;
use crate::framing::needles::Needles;
use crate::framing::pattern::Pattern;

/// The most bytes in front of a message that do not belong to it: what comes before a length, a block of headers.
pub(crate) const MAX_PREFIX: usize = 66 << 10;

#[derive(Clone, Debug)]
pub struct Framing {
    pub(crate) kind: Kind,
    pub(crate) max: usize,
    /// With `start` of a delimiter's description.
    pub(crate) magic: Bytes,
    pub(crate) trailer: Bytes,
    pub(crate) empty: Empty,
    /// Bytes that are dropped between messages. Only names have them.
    pub(crate) between: &'static [u8],
    /// The bytes that sending adds after a message, if it adds nothing else. Only names have it.
    pub(crate) adds: Option<&'static [u8]>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Delimiter(DelimiterKind),
    Pattern(Rc<dyn Pattern>),
    Fixed(usize),
    Length(LengthKind),
    Headers(HeadersKind),
    Lines(LinesKind),
    Idle(Duration),
    Json,
    Resp,
}

#[derive(Clone, Debug)]
pub(crate) struct DelimiterKind {
    pub needles: Needles,
    pub keep: bool,
    pub escape: Option<Escape>,
}

#[derive(Clone, Debug)]
pub(crate) struct LengthKind {
    pub place: FieldPlace,
    pub notation: Notation,
    pub adjust: Option<i64>,
    pub keep: bool,
    pub start: Start,
}

#[derive(Clone, Debug)]
pub(crate) enum FieldPlace {
    /// From the end of the magic.
    At(usize),
    After(Needles),
}

/// First messages of some protocols that are not like the others. Only names have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Ordinary,
    /// A message whose first byte is zero has no type, so its length is at 0.
    Untyped,
    /// `AMQP` and four bytes of version.
    Amqp,
}

#[derive(Clone, Debug)]
pub(crate) struct HeadersKind {
    /// `None`: a blank line.
    pub end: Option<Needles>,
    pub name: String,
    pub otherwise: Option<Box<Framing>>,
    pub keep: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct LinesKind {
    pub count: Option<Rc<dyn Pattern>>,
    pub adjust: i64,
    pub until: Option<Rc<dyn Pattern>>,
    /// Whether the line end behind the message is part of it. Only names have that.
    pub keep_end: bool,
    /// Whether counted bytes without CR LF at their end are an error. Only names have that.
    pub strict: bool,
}

impl Kind {
    /// How many bytes a frame without magic and trailer may have before its message is longer than `max`.
    pub fn limit(&self, max: usize) -> usize {
        let more = match self {
            Self::Delimiter(delimiter) => delimiter.needles.longest(),
            // A line end.
            Self::Lines(_) => 2,
            Self::Length(length) if !length.keep => MAX_PREFIX,
            Self::Headers(headers) => {
                let block = if headers.keep { 0 } else { MAX_PREFIX };
                let around = |other: &Framing| other.magic.len() + other.kind.limit(0) + other.trailer.len();
                block + headers.otherwise.as_deref().map_or(0, around)
            }
            // What follows a number ends it.
            Self::Json => 1,
            Self::Fixed(_) | Self::Pattern(_) | Self::Idle(_) | Self::Resp | Self::Length(_) => 0,
        };
        max.saturating_add(more)
    }
}

impl Framing {
    /// Checks a description. The error says what to do, in the script's names.
    pub fn new(description: Description) -> Result<Self, DescriptionError> {
        crate::framing::check::check(description)
    }

    /// A well-known framing, by the name that scripts give it.
    pub fn named(name: &str) -> Result<Self, DescriptionError> {
        crate::framing::names::find(name)
    }

    /// The same with another limit for messages.
    pub fn with_max(mut self, max: usize) -> Self {
        self.max = max.max(1);
        if let Kind::Headers(headers) = &mut self.kind {
            headers.otherwise = headers.otherwise.take().map(|other| Box::new(other.with_max(max)));
        }
        self
    }

    /// The same with another answer to frames without content.
    pub fn with_empty(self, empty: Empty) -> Self {
        Self { empty, ..self }
    }

    /// The most bytes a message may have.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether the end of a message is found by a regular expression of a script, which needs its engine.
    pub fn needs_engine(&self) -> bool {
        match &self.kind {
            Kind::Pattern(_) => true,
            // Names have patterns of our own.
            Kind::Lines(lines) => !lines.strict && (lines.count.is_some() || lines.until.is_some()),
            Kind::Headers(headers) => headers.otherwise.as_deref().is_some_and(Self::needs_engine),
            _ => false,
        }
    }

    /// How long a silence ends a message, where one does.
    pub fn idle(&self) -> Option<Duration> {
        match self.kind {
            Kind::Idle(silence) => Some(silence),
            _ => None,
        }
    }

    /// Whether a length that counts itself may be zero: a poll, where polls are not delivered.
    pub(crate) fn tolerates_polls(&self) -> bool {
        self.empty != Empty::Deliver
    }
}
