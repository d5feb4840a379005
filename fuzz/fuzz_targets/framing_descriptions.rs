//! Descriptions of framings of any form, also within each other, and streams under them. Numbers come from the input as they are.
#![no_main]

#[path = "../framings/described.rs"]
mod described;
#[path = "../framings/mod.rs"]
mod framings;

use described::Kind;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    described::fuzz(Kind::ALL[usize::from(*first) % Kind::ALL.len()], rest);
});
