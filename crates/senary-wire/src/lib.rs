//! Messages in byte streams, one folder for each way to write them. No I/O, no clock, no script.
//!
//! [`framing`] is the language in which a script describes the messages of its own protocol.
#![forbid(unsafe_code)]

pub mod framing;

pub use framing::*;
