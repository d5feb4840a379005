//! What holds for every stream of a WebSocket server: any cut of it gives the same messages, what is sent comes out again, and
//! garbage is an answer, never a panic and never more memory than allowed.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

use std::borrow::Cow;

use proptest::prelude::*;
use senary_wire::websocket::{
    Agreement, Closing, Deflater, Incoming, Inflater, Opcode, Receiver, Violation, code, encode,
};

const MAX: usize = 100_000;
const ALONE: Option<Agreement> = Some(Agreement { keeps_context: false });

/// A frame as a server sends it.
fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match content.len() {
        short @ ..126 => frame.push(short as u8),
        medium @ ..65536 => {
            frame.push(126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(content);
    frame
}

/// All that a stream gives, cut into chunks of that size, and how it ends.
fn receive(
    stream: &[u8],
    size: usize,
    max: usize,
    compression: Option<Agreement>,
) -> (Vec<Incoming<'static>>, Option<Violation>) {
    let (mut receiver, mut inflater) = (Receiver::new(max, compression), Inflater::default());
    let mut received = Vec::new();
    for mut chunk in stream.chunks(size) {
        loop {
            match receiver.receive(&mut chunk, &mut inflater) {
                Ok(Some(incoming)) => received.push(owned(incoming)),
                Ok(None) => break,
                Err(violation) => {
                    let again = receiver.receive(&mut chunk, &mut inflater);
                    assert_eq!(again, Err(violation.clone()), "it stays");
                    return (received, Some(violation));
                }
            }
        }
        assert!(chunk.is_empty(), "all is taken");
        assert!(receiver.kept() <= 2 * max + 200, "{}", receiver.kept());
    }
    (received, None)
}

fn owned(incoming: Incoming<'_>) -> Incoming<'static> {
    match incoming {
        Incoming::Text(text) => Incoming::Text(Cow::Owned(text.into_owned())),
        Incoming::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes.into_owned())),
        Incoming::Ping(content) => Incoming::Ping(content),
        Incoming::Pong(content) => Incoming::Pong(content),
        Incoming::Close(closing) => Incoming::Close(closing),
    }
}

fn text(text: &str) -> Incoming<'static> {
    Incoming::Text(Cow::Owned(text.to_owned()))
}

fn violation(stream: &[u8]) -> Violation {
    let (received, violation) = receive(stream, stream.len(), 1000, None);
    assert_eq!(received, []);
    assert_eq!(receive(stream, 1, 1000, None), (Vec::new(), violation.clone()));
    violation.unwrap()
}

#[test]
fn the_examples_of_the_standard() {
    let hello = b"Hello";
    let stream = [
        frame(0x81, hello),
        frame(0x01, b"Hel"),
        frame(0x89, hello),
        frame(0x80, b"lo"),
        frame(0x8a, hello),
        frame(0x82, &[7; 256]),
        frame(0x82, &[7; 65536]),
        frame(0x88, &[3, 232, b'x']),
        frame(0x81, b"nothing comes after it"),
    ];
    let expected = vec![
        text("Hello"),
        Incoming::Ping(hello.to_vec()),
        text("Hello"),
        Incoming::Pong(hello.to_vec()),
        Incoming::Binary(Cow::Owned(vec![7; 256])),
        Incoming::Binary(Cow::Owned(vec![7; 65536])),
        Incoming::Close(Closing { code: code::NORMAL, reason: "x".to_owned() }),
    ];
    for size in [1, 2, 7, 1000, 1_000_000] {
        assert_eq!(receive(&stream.concat(), size, MAX, None), (expected.clone(), None), "{size}");
    }
}

#[test]
fn what_lies_in_one_piece_is_not_copied() {
    let stream = frame(0x82, b"bytes");
    let mut chunk = &stream[..];
    let mut receiver = Receiver::new(MAX, None);
    let incoming = receiver.receive(&mut chunk, &mut Inflater::default()).unwrap().unwrap();
    assert!(matches!(incoming, Incoming::Binary(Cow::Borrowed(b"bytes"))));
}

#[test]
fn what_the_standard_forbids() {
    for (stream, expected) in [
        (frame(0x83, b"x"), Violation::Opcode(3)),
        (frame(0x8f, b"x"), Violation::Opcode(15)),
        (frame(0xa1, b"x"), Violation::ReservedBits(0x20)),
        (frame(0x91, b"x"), Violation::ReservedBits(0x10)),
        // Compressed, though nobody has agreed to that.
        (frame(0xc1, b"x"), Violation::ReservedBits(0x40)),
        (vec![0x81, 0x81, 1, 2, 3, 4, 5], Violation::Masked),
        (frame(0x89, &[0; 126]), Violation::LongControl),
        (frame(0x09, b"x"), Violation::FragmentedControl),
        (frame(0x80, b"x"), Violation::Continuation),
        ([frame(0x01, b"x"), frame(0x81, b"x")].concat(), Violation::Interleaved),
        (frame(0x81, b"\xff\xfe"), Violation::Utf8),
        // A character that is cut at the end, half of a pair, and a form that is too long.
        (frame(0x81, b"a\xc3"), Violation::Utf8),
        (frame(0x81, b"\xed\xa0\x80"), Violation::Utf8),
        (frame(0x81, b"\xc0\x80"), Violation::Utf8),
        (frame(0x88, &[3]), Violation::CloseByte),
        (frame(0x88, &[3, 237]), Violation::CloseCode(1005)),
        (frame(0x88, &[3, 232, 255]), Violation::CloseReason),
        (vec![0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0], Violation::Length),
        (vec![0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], Violation::TooBig(1000)),
        (frame(0x82, &[0; 1001]), Violation::TooBig(1000)),
        ([frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat(), Violation::TooBig(1000)),
    ] {
        assert_eq!(violation(&stream), expected);
    }
}

#[test]
fn only_the_first_frame_of_a_message_says_that_it_is_compressed() {
    for stream in [[frame(0x01, b"a"), frame(0xc0, b"b")].concat(), frame(0xc9, b"")] {
        assert_eq!(receive(&stream, 100, MAX, ALONE).1, Some(Violation::ReservedBits(0x40)));
    }
    assert_eq!(receive(&frame(0x81, b"plain"), 100, MAX, ALONE).0, [text("plain")]);
    assert_eq!(receive(&frame(0xc1, b"\xff\xff\xff"), 100, MAX, ALONE).1, Some(Violation::Compression));
}

#[test]
fn the_reason_to_fail_has_a_code() {
    for (violation, code) in [
        (Violation::Utf8, 1007),
        (Violation::CloseReason, 1007),
        (Violation::TooBig(1), 1009),
        (Violation::Masked, 1002),
        (Violation::Compression, 1002),
    ] {
        assert_eq!(violation.code(), code);
    }
}

/// A message as a server may send it.
#[derive(Clone, Debug)]
struct Sent {
    content: String,
    is_text: bool,
    is_compressed: bool,
    /// The length of its frames.
    fragment: usize,
    ping: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let content = prop_oneof![".{0,40}", ".{120,130}", ".{20}".prop_map(|part| part.repeat(2000))];
    (content, any::<bool>(), any::<bool>(), 1..40_000_usize, any::<bool>()).prop_map(
        |(content, is_text, is_compressed, fragment, ping)| {
            let fragment = fragment.max(content.len() / 50 + 1);
            Sent { content, is_text, is_compressed, fragment, ping }
        },
    )
}

impl Sent {
    fn frames(&self, deflater: &mut Deflater) -> Vec<u8> {
        let content = self.content.as_bytes();
        let content = if self.is_compressed { deflater.deflate(content).to_vec() } else { content.to_vec() };
        let mut parts: Vec<&[u8]> = content.chunks(self.fragment).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut frames = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let kind = if i > 0 {
                0
            } else {
                (2 - u8::from(self.is_text)) | if self.is_compressed { 0x40 } else { 0 }
            };
            let last = if i + 1 == parts.len() { 0x80 } else { 0 };
            if self.ping {
                frames.extend(frame(0x89, b"between"));
            }
            frames.extend(frame(kind | last, part));
        }
        frames
    }

    fn message(&self) -> Incoming<'static> {
        match self.is_text {
            true => text(&self.content),
            false => Incoming::Binary(Cow::Owned(self.content.clone().into_bytes())),
        }
    }
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_messages(messages in prop::collection::vec(sent(), 0..6), size in 1..70_000_usize) {
        let mut deflater = Deflater::default();
        let stream: Vec<u8> = messages.iter().flat_map(|sent| sent.frames(&mut deflater)).collect();
        let expected: Vec<_> = messages.iter().map(Sent::message).collect();
        for size in [size, 1 << 20] {
            let (mut received, violation) = receive(&stream, size, 1 << 20, ALONE);
            received.retain(|incoming| !matches!(incoming, Incoming::Ping(_)));
            prop_assert_eq!(violation, None);
            prop_assert_eq!(&received, &expected);
        }
    }

    #[test]
    fn garbage_is_an_answer_however_it_is_cut(
        stream in prop::collection::vec(any::<u8>(), 0..400),
        size in 1..30_usize,
        max in 0..300_usize,
    ) {
        for compression in [None, ALONE, Some(Agreement { keeps_context: true })] {
            let whole = receive(&stream, stream.len().max(1), max, compression);
            prop_assert_eq!(receive(&stream, size, max, compression), whole);
        }
    }

    /// What a client sends is what a server sends, but for the mask.
    #[test]
    fn what_is_encoded_is_received(content in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let mut out = Vec::new();
        encode(Opcode::Binary, false, &content, [0; 4], &mut out);
        let (head, rest) = out.split_at(out.len() - content.len() - 4);
        let mut unmasked = head.to_vec();
        unmasked[1] &= 0x7f;
        unmasked.extend(&rest[4..]);
        prop_assert_eq!(receive(&unmasked, 1000, MAX, None), (vec![Incoming::Binary(Cow::Owned(content))], None));
    }
}
