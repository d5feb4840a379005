//! What holds for every framing: any split of the bytes gives the same messages, receiving takes off what sending adds,
//! and garbage is an answer, never a panic and never more memory than allowed.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use common::{pattern, receive, receive_from};
use proptest::prelude::*;
use senary_wire::{
    Delimiters, Description, Empty, Escape, Form, FrameError, Framer, Framing, Header, Headers, Length,
    Lines, Notation, Place, Received, names,
};

const MAX: usize = 2000;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 1..4).prop_map(Bytes::from)
}

fn notation() -> impl Strategy<Value = Notation> {
    let until = prop_oneof![Just(b':'), Just(b' '), Just(1)];
    prop_oneof![
        (1..=8_u64, any::<bool>()).prop_map(|(bytes, little)| Notation::Uint { bytes, little, mask: None }),
        any::<bool>().prop_map(|little| Notation::Uint { bytes: 2, little, mask: Some(0x0ff0) }),
        (1..=8_u64).prop_map(|bytes| Notation::Decimal { bytes }),
        (1..=8_u64).prop_map(|bytes| Notation::Hex { bytes }),
        (1..=8_u64).prop_map(|bytes| Notation::Bcd { bytes }),
        until.clone().prop_map(|until| Notation::DecimalUntil { until, max: 6 }),
        until.prop_map(|until| Notation::HexUntil { until, max: 6 }),
        Just(Notation::Varint),
        Just(Notation::Ber),
    ]
}

fn length() -> impl Strategy<Value = Form> {
    let at = prop_oneof![
        Just(None),
        (0..20_u64).prop_map(|at| Some(Place::At(at))),
        bytes().prop_map(|bytes| Some(Place::After(bytes))),
    ];
    let header = prop_oneof![Just(None), Just(Some(Header::Strip)), Just(Some(Header::Keep))];
    (at, notation(), prop::option::of(-5..5_i64), header)
        .prop_map(|(at, notation, adjust, header)| Form::Length(Length { at, notation, adjust, header }))
}

fn delimiters() -> impl Strategy<Value = Form> {
    let escape =
        (any::<u8>(), prop::collection::btree_map(any::<u8>(), any::<u8>(), 1..4)).prop_map(|(byte, map)| {
            // A code for the escape byte itself, as every protocol with byte stuffing has it.
            let coded = (byte.wrapping_add(1), byte);
            let others = map.into_iter().filter(|(code, plain)| *code != coded.0 && *plain != byte);
            let mut map: Vec<(u8, u8)> = others.collect();
            map.dedup_by_key(|(_, plain)| *plain);
            Escape { byte, map: [vec![coded], map].concat() }
        });
    let start = prop_oneof![Just(Bytes::new()), bytes()];
    (prop::collection::vec(bytes(), 1..5), start, any::<bool>(), prop::option::of(escape)).prop_map(
        |(delimiters, start, keep, escape)| Form::Delimiter(Delimiters { delimiters, start, keep, escape }),
    )
}

fn form() -> impl Strategy<Value = Form> {
    let headers =
        (any::<bool>(), prop::option::of(bytes()), any::<u8>()).prop_map(|(keep, end, otherwise)| {
            let otherwise = match otherwise % 3 {
                0 => None,
                1 => Some(Box::new(Description::new(Form::Fixed(0)))),
                _ => {
                    let nul =
                        Delimiters { delimiters: vec![Bytes::from_static(b"\0")], ..Delimiters::default() };
                    Some(Box::new(Description::new(Form::Delimiter(nul))))
                }
            };
            let header = Some(if keep { Header::Keep } else { Header::Strip });
            Form::Headers(Headers { end, otherwise, header, ..Headers::new("length") })
        });
    let lines = (0..3_i64, any::<bool>()).prop_map(|(adjust, until)| {
        let until = until.then(|| pattern("^END"));
        Form::Lines(Lines { count: Some(pattern(r"(\d+)$")), adjust, until })
    });
    prop_oneof![
        4 => length(),
        4 => delimiters(),
        1 => (1..50_u64).prop_map(Form::Fixed),
        1 => headers,
        1 => lines,
        1 => Just(Form::Pattern(pattern(r"\x0110=\d{3}\x01|;|(?m)^\d{3} "))),
        1 => Just(Form::Idle(Duration::from_millis(10))),
    ]
}

fn described() -> impl Strategy<Value = Framing> {
    let part = || prop_oneof![3 => Just(Bytes::new()), 1 => bytes()];
    let empty = prop_oneof![Just(Empty::Deliver), Just(Empty::Skip), Just(Empty::Echo)];
    (form(), part(), part(), empty).prop_filter_map("is no framing", |(form, magic, trailer, empty)| {
        Framing::new(Description { form, max: MAX as u64, magic, trailer, empty }).ok()
    })
}

fn any_framing() -> impl Strategy<Value = Rc<Framing>> {
    let all: Vec<&str> = names::all().collect();
    let named = prop::sample::select(all).prop_map(|name| Framing::named(name).unwrap().with_max(MAX));
    prop_oneof![named, described()].prop_map(Rc::new)
}

/// Bytes that look like something to many framings.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..6),
        4 => prop::collection::vec(prop_oneof![Just(0), Just(1), Just(2), Just(5), Just(0x30), Just(0x7e)], 1..8),
        2 => prop::sample::select(vec![
            "\r\n", "\n\n", "VALUE a 0 3\r\nabc\r\nEND\r\n", "MSG a 1 2\r\nhi\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n",
            "$?\r\n;1\r\nx\r\n;0\r\n", "*?\r\n", ".\r\n", "|1\r\n", "{\"a\":[", "]}", "\"x\\\"\"", "12 ", "true", "250-a\r\n",
            "250 b\r\n", "Content-Length: 3\r\n\r\nabc", "content-length:2\n\nhi\0", "CONNECTED\n\n\0", "9=5\x01",
            "8=FIX\x019=2\x01ab10=001\x01", "\x0bMSH\x1c\r", "3:abc,", "4 abcd", "AMQP\0\0\x09\x01", "length: 4\r\n\r\n",
            "a 3\r\nxyz\r\n", "END\r\n", "0003abc", ";",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// The stream, cut at such places.
fn cut(stream: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.push(0);
    places.push(stream.len());
    places.sort_unstable();
    places.windows(2).map(|ends| Bytes::copy_from_slice(&stream[ends[0]..ends[1]])).collect()
}

/// Errors of one stream, whatever the chunks: how much of a message that is too long had come may differ.
fn kind(error: Option<FrameError>) -> Option<FrameError> {
    match error {
        Some(FrameError::TooLarge { max, offset, .. }) => Some(FrameError::TooLarge { size: 0, max, offset }),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same(
        framing in any_framing(),
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (whole, error) = receive(&framing, [Bytes::copy_from_slice(&stream)]);
        let (split, split_error) = receive(&framing, cut(&stream, &cuts));
        prop_assert_eq!(&split, &whole);
        prop_assert_eq!(kind(split_error), kind(error.clone()));
        let (single, single_error) = receive(&framing, stream.chunks(1).map(Bytes::copy_from_slice));
        prop_assert_eq!(&single, &whole);
        prop_assert_eq!(kind(single_error), kind(error.clone()));
        let (borrowed, borrowed_error) = receive_from(&framing, cut(&stream, &cuts));
        prop_assert_eq!(borrowed, whole);
        prop_assert_eq!(kind(borrowed_error), kind(error));
    }

    #[test]
    fn receiving_takes_off_what_sending_adds(
        framing in any_framing(),
        messages in prop::collection::vec(stream(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        // A silence ends what was sent together.
        if framing.idle().is_some() {
            return Ok(());
        }
        // Patterns and names that add nothing leave it to the script to send whole messages.
        let sent: Vec<Vec<u8>> = messages.iter().filter_map(|message| {
            let mut out = Vec::new();
            framing.encode(message, &mut out).ok().map(|()| out)
        }).collect();
        for frame in &sent {
            let alone = receive(&framing, [Bytes::copy_from_slice(frame)]);
            // What was sent is one message, or it is refused; then it is sent again as it was received.
            let ([Received::Message(message)], None) = (&alone.0[..], &alone.1) else { continue };
            let mut again = Vec::new();
            prop_assert_eq!(framing.encode(message, &mut again), Ok(()));
            let (received, error) = receive(&framing, cut(&[&again[..], &again].concat(), &cuts));
            prop_assert_eq!(error, None);
            let message = Received::Message(message.clone());
            prop_assert_eq!(received, vec![message.clone(), message]);
        }
    }

    /// Where sending adds all there is, each message that is not refused comes out as it went in.
    #[test]
    fn sent_messages_come_out_as_they_went_in(
        form in prop_oneof![length(), delimiters()],
        parts in (prop_oneof![Just(Bytes::new()), bytes()], prop_oneof![Just(Bytes::new()), bytes()]),
        message in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let keeps = match &form {
            Form::Length(Length { header: Some(header), .. }) => *header == Header::Keep,
            Form::Length(length) => !matches!(length.at, None | Some(Place::At(0))),
            Form::Delimiter(delimiters) => delimiters.keep,
            _ => false,
        };
        let (magic, trailer) = parts;
        let description = Description { magic, trailer, ..Description::new(form) };
        let Ok(framing) = Framing::new(description).map(Rc::new) else { return Ok(()) };
        let mut sent = Vec::new();
        if framing.encode(&message, &mut sent).is_err() {
            return Ok(());
        }
        let (received, error) = receive(&framing, cut(&sent, &cuts));
        prop_assert_eq!(error, None);
        prop_assert_eq!(received.len(), 1);
        if !keeps {
            prop_assert_eq!(received, vec![Received::Message(Bytes::from(message))]);
        }
    }

    #[test]
    fn garbage_takes_no_more_memory_than_allowed(framing in any_framing(), seed in any::<u64>(), size in 1..700_usize) {
        let mut framer = Framer::new(framing);
        let mut random = seed | 1;
        for _ in 0..40 {
            let chunk: Vec<u8> = (0..size).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 56) as u8
            }).collect();
            framer.push(Bytes::from(chunk));
            while let Ok(Some(_)) = framer.receive() {}
            if framer.receive().is_err() {
                break;
            }
            // The block of headers that are no part of a message has a limit of its own.
            prop_assert!(framer.len() <= MAX + size + (64 << 10), "{} bytes are held", framer.len());
        }
    }
}

/// What `send()` adds, for each name that adds all there is to add: any message comes out as it went in.
#[test]
fn any_message_goes_through_the_names_that_frame_it() {
    let runner = RefCell::new(proptest::test_runner::TestRunner::default());
    for name in [
        "u8",
        "u16",
        "u16le",
        "u32",
        "u32le",
        "varint",
        "netstring",
        "syslog",
        "lsp",
        "kafka",
        "thrift",
        "dns",
        "iso8583",
    ] {
        let framing = common::named(name);
        let messages = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5);
        runner
            .borrow_mut()
            .run(&messages, |messages| {
                let stream: Vec<u8> =
                    messages.iter().flat_map(|message| common::encode(&framing, message)).collect();
                prop_assert_eq!(common::messages(&framing, &stream), messages);
                Ok(())
            })
            .unwrap();
    }
}

/// The same where the message may not have the delimiter in it.
#[test]
fn any_line_goes_through_delimiters() {
    let mut runner = proptest::test_runner::TestRunner::default();
    for (name, bytes) in [
        ("lines", "[^\n\r]{0,40}"),
        ("crlf", "[^\r\n]{0,40}"),
        ("nul", "[^\0]{0,40}"),
        ("mllp", "[^\x1c]{0,40}"),
    ] {
        let framing = common::named(name);
        runner
            .run(&prop::collection::vec(bytes, 1..5), |messages| {
                let stream: Vec<u8> = messages
                    .iter()
                    .flat_map(|message| common::encode(&framing, message.as_bytes()))
                    .collect();
                prop_assert_eq!(common::messages(&framing, &stream), messages);
                Ok(())
            })
            .unwrap();
    }
}

/// And with byte stuffing any message at all.
#[test]
fn any_message_goes_through_byte_stuffing() {
    let escape = Escape { byte: 0x7d, map: vec![(2, 0x7e), (1, 0x7d)] };
    let delimiter = Bytes::from_static(b"\x7e");
    let form = Delimiters {
        start: delimiter.clone(),
        delimiters: vec![delimiter],
        keep: false,
        escape: Some(escape),
    };
    let framing = common::framing(Form::Delimiter(form));
    let byte = prop_oneof![any::<u8>(), Just(0x7e), Just(0x7d), Just(1), Just(2)];
    proptest!(|(message in prop::collection::vec(byte, 0..60))| {
        let stream = common::encode(&framing, &message);
        prop_assert_eq!(common::messages(&framing, &stream), [message]);
    });
}
