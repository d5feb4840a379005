//! Streams under every framing with a name. The first byte is the name, the second the size of the chunks, the third the limit.
#![no_main]

#[path = "../framings/mod.rs"]
mod framings;

use std::rc::Rc;

use senary_wire::{Framing, names};

libfuzzer_sys::fuzz_target!(|input: ([u8; 3], &[u8])| {
    let ([name, size, max], stream) = input;
    let all: Vec<&str> = names::all().collect();
    let framing = Framing::named(all[usize::from(name) % all.len()]).expect("a name of the table");
    framings::check(&Rc::new(framing.with_max(8 << (max % 12))), stream, usize::from(size) + 1);
});
