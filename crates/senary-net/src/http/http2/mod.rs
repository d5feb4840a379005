//! HTTP/2, over the crate `h2`: a connection that many requests share, and one request over it.

mod connection;
mod exchange;
mod frames;
#[cfg(any(test, fuzzing))]
mod fuzzed;
mod io;

pub(super) use self::connection::Http2;
#[cfg(fuzzing)]
pub use self::fuzzed::{Answered, Spoken, ask};
