//! Messages that a silence ends: a description and a stream under it.
#![no_main]

#[path = "../framings/mod.rs"]
mod framings;

use framings::Kind;

libfuzzer_sys::fuzz_target!(|input: &[u8]| framings::fuzz(Kind::Idle, input));
