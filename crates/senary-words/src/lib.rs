//! How texts are read and written, whatever they belong to: durations, sizes, misspelt names, escapes
//! of URLs, and errors of the system. This crate does no I/O and depends on no other.

mod beginning;
pub mod duration;
mod io_error;
pub mod percent;
pub mod remedy;
pub mod size;
pub mod spelling;

pub use beginning::beginning;
pub use io_error::io_text;
