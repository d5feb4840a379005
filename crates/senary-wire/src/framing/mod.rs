//! Where the messages of a stream end, what sending adds to them, and the places in them that matter.
//!
//! The caller pushes what it has received into a [`Framer`] and takes whole messages out; it owns the timer of idle
//! framing, the engine behind patterns, and the source of random numbers.
//!
//! [`Description`] is what a script has written, [`Framing`] the same once it has been checked, or one of [`names`].

mod buffer;
mod check;
mod checked;
mod delimiter;
mod description;
mod encode;
mod error;
mod field;
mod framer;
mod headers;
mod json;
mod key;
mod length;
mod lines;
mod matcher;
pub mod names;
mod needles;
mod patch;
mod pattern;
mod resp;
mod scan;
mod view;

pub use buffer::Buffer;
pub use checked::Framing;
pub use description::{
    Delimiters, Description, Empty, Escape, Form, Header, Headers, Length, Lines, Notation, Place, Size,
};
pub use error::{DescriptionError, EncodeError, FieldError, FrameError, Reason, TemplateError};
pub use field::{Endian, Field};
pub use framer::{Framer, Message, Received, Taken};
pub use key::{Id, Key};
pub use matcher::Matcher;
pub use patch::{Patch, Template, Value, Values, Writing};
pub use pattern::{Found, Pattern};

/// The longest message, in bytes, where a description does not say another limit: 16 MiB.
pub const DEFAULT_MAX: usize = 16 << 20;
