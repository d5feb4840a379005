//! What the tests share: patterns from text, and whole streams through a framer.
#![allow(dead_code, clippy::unwrap_used)] // Each test takes what it needs, and fails where that is wrong.

use std::rc::Rc;

use bytes::Bytes;
use regex_lite::Regex;
use senary_wire::{Description, Form, Found, FrameError, Framer, Framing, Pattern, Received, Taken};

/// A regular expression over bytes as Latin-1, as a script's engine would have it.
pub struct Latin1(Regex);

pub fn pattern(text: &str) -> Rc<dyn Pattern> {
    Rc::new(Latin1(Regex::new(text).unwrap()))
}

impl Pattern for Latin1 {
    fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        // Positions of the text, whose characters have one byte or two, to positions of the bytes.
        let to_bytes = |at: usize| text[..at].chars().count();
        let start = text.char_indices().nth(from).map_or(text.len(), |(at, _)| at);
        let captures = self.0.captures_at(&text, start)?;
        let whole = captures.get(0)?;
        let capture = captures.get(1).map(|group| to_bytes(group.start())..to_bytes(group.end()));
        Some(Found { start: to_bytes(whole.start()), end: to_bytes(whole.end()), capture })
    }
}

pub fn named(name: &str) -> Rc<Framing> {
    Rc::new(Framing::named(name).unwrap())
}

pub fn framing(form: Form) -> Rc<Framing> {
    Rc::new(Framing::new(Description::new(form)).unwrap())
}

/// All that a stream gives, cut into such chunks, and how it ends.
pub fn receive(
    framing: &Rc<Framing>,
    chunks: impl IntoIterator<Item = Bytes>,
) -> (Vec<Received>, Option<FrameError>) {
    let mut framer = Framer::new(framing.clone());
    let mut received = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.receive() {
                Ok(Some(message)) => received.push(message),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
    }
    loop {
        match framer.finish() {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return (received, None),
            Err(error) => return (received, Some(error)),
        }
    }
}

/// The same out of bytes that stay the caller's.
pub fn receive_from(
    framing: &Rc<Framing>,
    chunks: impl IntoIterator<Item = Bytes>,
) -> (Vec<Received>, Option<FrameError>) {
    let mut framer = Framer::new(framing.clone());
    let mut received = Vec::new();
    for chunk in chunks {
        let mut rest = &chunk[..];
        loop {
            match framer.receive_from(&mut rest) {
                Ok(Some(Taken::Message(message))) => {
                    received.push(Received::Message(Bytes::copy_from_slice(&message)));
                }
                Ok(Some(Taken::Echo(frame))) => received.push(Received::Echo(Bytes::copy_from_slice(&frame))),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
        assert!(rest.is_empty(), "all is taken");
    }
    loop {
        match framer.finish() {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return (received, None),
            Err(error) => return (received, Some(error)),
        }
    }
}

/// The messages of a stream that is in order, whole and in single bytes.
pub fn messages(framing: &Rc<Framing>, stream: &[u8]) -> Vec<Bytes> {
    let (whole, error) = receive(framing, [Bytes::copy_from_slice(stream)]);
    assert_eq!(error, None, "in one piece, after {whole:?}");
    let (single, error) = receive(framing, stream.chunks(1).map(Bytes::copy_from_slice));
    assert_eq!(error, None, "in single bytes, after {single:?}");
    assert_eq!(whole, single);
    let message = |received| match received {
        Received::Message(message) => message,
        Received::Echo(frame) => panic!("an echo of {frame:?}"),
    };
    whole.into_iter().map(message).collect()
}

pub fn encode(framing: &Framing, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    framing.encode(message, &mut out).unwrap();
    out
}
