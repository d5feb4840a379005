//! The outputs, one file each, and what they have in common: lines to files, and sending to what may be slow.
// An output that is missing in the catalog is dead code.
#![deny(dead_code)]

pub(crate) mod csv;
pub(crate) mod file;
pub(crate) mod influxdb;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod opentelemetry;
pub(crate) mod prometheus;
pub mod push;
pub(crate) mod state;
pub(crate) mod statsd;
