//! Lines, and counted bytes behind some of them: a description and a stream under it.
#![no_main]

#[path = "../framings/described.rs"]
mod described;
#[path = "../framings/mod.rs"]
mod framings;

use described::Kind;

libfuzzer_sys::fuzz_target!(|input: &[u8]| described::fuzz(Kind::Line, input));
