//! JSON values in a stream, in chunks of any size. The first byte is the limit, the second the size of the chunks.
#![no_main]

#[path = "../framings/mod.rs"]
mod framings;

use std::rc::Rc;

use senary_wire::Framing;

libfuzzer_sys::fuzz_target!(|input: ([u8; 2], &[u8])| {
    let ([max, size], stream) = input;
    let framing = Framing::named("json").expect("a name of the table").with_max(8 << (max % 12));
    framings::check(&Rc::new(framing), stream, usize::from(size) + 1);
});
