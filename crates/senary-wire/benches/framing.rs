//! Nanoseconds per message, without any I/O; the median of chunks, which are over before another program interferes: `cargo bench -p senary-wire [-- NAME]`.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use senary_wire::{Framer, Framing};

/// As much as a socket's read gives at once.
const CHUNK: usize = 64 << 10;

fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, size) in
        [("u32", 64), ("u32", 1024), ("lines", 64), ("postgres", 64), ("resp", 64), ("json", 64)]
    {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let framing = Rc::new(Framing::named(name).expect("a name of the table"));
        let mut times: Vec<f64> =
            stream(&framing, name, size).into_iter().scan(Framer::new(framing), time).collect();
        times.sort_by(f64::total_cmp);
        println!("{name:>9} {size:>5} bytes: {:6.1} ns per message", times[times.len() / 2]);
    }
}

/// 16 MiB of messages, in chunks.
fn stream(framing: &Framing, name: &str, size: usize) -> Vec<Bytes> {
    let message = match name {
        "postgres" => [&b"D\0\0\0\0"[..], &vec![b'x'; size - 5]].concat(),
        "resp" => [&b"$56\r\n"[..], &vec![b'x'; size - 8], b"\r\n"].concat(),
        "json" => [&b"{\"key\":\""[..], &vec![b'x'; size - 10], b"\"}"].concat(),
        _ => vec![b'x'; size],
    };
    let mut all = Vec::new();
    while all.len() < 16 << 20 {
        framing.encode(&message, &mut all).expect("a message of that framing");
    }
    all.chunks(CHUNK).map(Bytes::copy_from_slice).collect()
}

/// The time of the framing alone, and of dropping what it gives, for each message of a chunk.
fn time(framer: &mut Framer, chunk: Bytes) -> Option<f64> {
    // As from a socket that was just read: in the cache.
    let chunk = Bytes::copy_from_slice(&chunk);
    let started = Instant::now();
    let mut messages = 0_u32;
    framer.push(chunk);
    while let Some(message) = framer.receive().expect("a stream in order") {
        black_box(message);
        messages += 1;
    }
    Some(started.elapsed().as_nanos() as f64 / f64::from(messages))
}
