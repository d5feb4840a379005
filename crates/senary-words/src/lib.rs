//! How things are written and read, whatever they belong to: durations, names that are nearly right, escapes of URLs,
//! and errors of the system. This crate does no I/O and depends on no other.

pub mod duration;
mod io_error;
pub mod percent;
pub mod remedy;
pub mod spelling;

pub use io_error::io_text;
