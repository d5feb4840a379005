//! What the targets of framings share: what holds for every stream. `described.rs` is for those whose input describes the framing, too.

use std::rc::Rc;

use bytes::Bytes;
use senary_wire::{FrameError, Framer, Framing, Received, Taken};

/// Header blocks that are no part of their message have a limit of their own.
const BLOCK: usize = 64 << 10;

/// However a stream is cut, the messages are the same, and no more is held than allowed; each message is one again when it is sent.
pub fn check(framing: &Rc<Framing>, stream: &[u8], size: usize) {
    let (messages, error) = receive(framing, stream, stream.len().max(1));
    let (cut, cut_error) = receive(framing, stream, size);
    assert_eq!(cut, messages);
    assert_eq!(cut_error.as_ref().map(FrameError::code), error.as_ref().map(FrameError::code));
    let (borrowed, borrowed_error) = receive_from(framing, stream, size);
    assert_eq!(borrowed, messages);
    assert_eq!(borrowed_error.as_ref().map(FrameError::code), error.as_ref().map(FrameError::code));
    // A silence is not part of a stream.
    if framing.idle().is_some() {
        return;
    }
    for message in messages {
        let Received::Message(message) = message else { continue };
        let mut sent = Vec::new();
        if framing.encode(&message, &mut sent).is_err() {
            continue;
        }
        // It may be refused: its length, written anew, may not match what else says it.
        let (received, error) = receive(framing, &sent, size);
        let ([Received::Message(message)], None) = (&received[..], error) else { continue };
        let mut again = Vec::new();
        assert_eq!(framing.encode(message, &mut again), Ok(()));
        let twice = receive(framing, &[&again[..], &again].concat(), size);
        assert_eq!(twice, (vec![Received::Message(message.clone()); 2], None));
    }
}

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
    finish(framer, received)
}

/// The same from bytes that are still the caller's.
fn receive_from(framing: &Rc<Framing>, stream: &[u8], size: usize) -> (Vec<Received>, Option<FrameError>) {
    let mut framer = Framer::new(framing.clone());
    let mut received = Vec::new();
    for mut chunk in stream.chunks(size) {
        loop {
            match framer.receive_from(&mut chunk) {
                Ok(Some(Taken::Message(message))) => {
                    received.push(Received::Message(Bytes::copy_from_slice(&message)))
                }
                Ok(Some(Taken::Echo(frame))) => received.push(Received::Echo(Bytes::copy_from_slice(&frame))),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
        assert!(framer.len() <= framing.max() + size + BLOCK);
    }
    finish(framer, received)
}

fn finish(mut framer: Framer, mut received: Vec<Received>) -> (Vec<Received>, Option<FrameError>) {
    loop {
        match framer.finish() {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return (received, None),
            Err(error) => return (received, Some(error)),
        }
    }
}
