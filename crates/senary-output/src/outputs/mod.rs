//! The outputs, one file each, and what they are written with: lines to files.

pub(crate) mod csv;
pub(crate) mod file;
pub(crate) mod json;
