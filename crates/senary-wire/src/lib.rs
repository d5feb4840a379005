//! Messages in byte streams, one folder for each way to write them. No I/O, no clock, no script.
//!
//! [`framing`] is the language in which a script describes the messages of its own protocol. [`websocket`] is RFC 6455, as a
//! client speaks it.
#![forbid(unsafe_code)]

pub mod framing;
pub mod websocket;

pub use framing::*;
