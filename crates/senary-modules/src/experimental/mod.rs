//! Modules the reference calls experimental: `k6/experimental/fs`, `csv` and `streams`.

pub mod csv;
pub mod fs;
pub mod streams;
