//! Streams under every framing with a name: however they are cut, the messages are the same, and no more is held than
//! allowed. The first byte is the name, the second the size of the chunks, the third the limit.
#![no_main]

use std::rc::Rc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use senary_wire::{FrameError, Framer, Framing, Received, names};

/// Header blocks that are no part of their message have a limit of their own.
const BLOCK: usize = 64 << 10;

fn receive(framing: &Rc<Framing>, stream: &[u8], size: usize) -> (Vec<Received>, Option<FrameError>) {
    let mut framer = Framer::new(framing.clone());
    let mut received = Vec::new();
    for chunk in stream.chunks(size) {
        framer.push(Bytes::copy_from_slice(chunk));
        loop {
            match framer.receive() {
                Ok(Some(message)) => received.push(message),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
        assert!(framer.len() <= framing.max() + size + BLOCK);
    }
    loop {
        match framer.finish() {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return (received, None),
            Err(error) => return (received, Some(error)),
        }
    }
}

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let ([name, size, max], stream) = input;
    let all: Vec<&str> = names::all().collect();
    let framing = Framing::named(all[usize::from(name) % all.len()]).expect("a name of the table");
    let framing = Rc::new(framing.with_max(8 << (max % 12)));
    let (messages, error) = receive(&framing, stream, stream.len().max(1));
    let (cut, cut_error) = receive(&framing, stream, usize::from(size) + 1);
    assert_eq!(cut, messages);
    assert_eq!(cut_error.map(|error| error.code()), error.map(|error| error.code()));
    // What has been received and is not refused is one message again when it is sent. It is the same but for how its length is
    // written, which may have been longer than it had to be.
    for message in messages {
        let (Received::Message(message) | Received::Echo(message)) = message;
        let (mut sent, mut again) = (Vec::new(), Vec::new());
        if framing.encode(&message, &mut sent).is_err() {
            continue;
        }
        let (received, error) = receive(&framing, &sent, usize::from(size) + 1);
        let ([Received::Message(message)], None) = (&received[..], &error) else {
            panic!("{received:?}, {error:?}");
        };
        assert_eq!(framing.encode(message, &mut again), Ok(()));
        assert_eq!(again, sent);
    }
});
