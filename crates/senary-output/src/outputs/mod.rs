//! The outputs, one file each, and what they have in common: lines to files, and sending to what may be slow.

pub(crate) mod csv;
pub(crate) mod file;
pub(crate) mod json;
pub mod push;
