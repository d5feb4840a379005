//! Peers that claim too much, send garbage, or stop in the middle; scripts that describe or send what cannot be.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod common;

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{framing, named, pattern, receive};
use senary_wire::{
    Buffer, Delimiters, Description, DescriptionError, EncodeError, Escape, Form, FrameError, Framer,
    Framing, Headers, Length, Lines, Notation, Reason, Received, Size,
};

fn error(framing: &Rc<Framing>, stream: &'static [u8]) -> FrameError {
    receive(framing, [Bytes::from_static(stream)]).1.unwrap()
}

#[test]
fn what_a_peer_claims_is_not_allocated() {
    let claims = framing(Form::Length(Length::new(Notation::big(8))));
    let huge = error(&claims, b"\x80\0\0\0\0\0\0\0abc");
    assert_eq!(huge, FrameError::TooLarge { size: 1 << 63, max: 16 << 20, offset: 0 });
    assert_eq!(huge.code(), "ERR_FRAME_TOO_LARGE");
    assert_eq!(
        huge.to_string(),
        "the message at offset 0 has 9223372036854775808 bytes or more, and the limit is 16777216; raise `max` of the \
         framing if that is right"
    );
    assert!(matches!(error(&named("resp"), b"*9223372036854775807\r\n"), FrameError::TooLarge { .. }));
    assert!(matches!(error(&named("resp"), b"$9223372036854775807\r\n"), FrameError::TooLarge { .. }));
    assert!(matches!(
        error(&named("memcached"), b"VALUE a 0 99999999999999999999\r\n"),
        FrameError::TooLarge { .. }
    ));
    assert!(matches!(
        error(&named("lsp"), b"Content-Length: 99999999999999999999\r\n\r\n"),
        FrameError::TooLarge { .. }
    ));
    assert!(matches!(
        error(&named("ldap"), b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff"),
        FrameError::TooLarge { .. }
    ));
}

#[test]
fn the_limit_is_exact() {
    for (name, longest, too_long) in [
        ("lines", &b"12345678\r\n"[..], &b"123456789\n"[..]),
        ("u16", b"\0\x0812345678", b"\0\x09123456789"),
        ("mysql", b"\x04\0\0\x011234", b"\x05\0\0\x0112345"),
        ("resp", b"+12345\r\n", b"+123456\r\n"),
        ("json", b"[123456]", b"[1234567]"),
        ("json", b"12345678 ", b"123456789 "),
        ("json", b"12345678", b"123456789"),
        ("netstring", b"8:12345678,", b"9:123456789,"),
        ("smtp", b"220 1234\r\n", b"220 12345\r\n"),
        ("mllp", b"\x0b12345678\x1c\r", b"\x0b123456789\x1c\r"),
        ("lsp", b"Content-Length: 8\r\n\r\n12345678", b"Content-Length: 9\r\n\r\n123456789"),
    ] {
        let framing = Rc::new(Framing::named(name).unwrap().with_max(8));
        assert_eq!(common::messages(&framing, longest).len(), 1, "{name}");
        for size in [too_long.len(), 1] {
            let (received, error) = receive(&framing, too_long.chunks(size).map(Bytes::copy_from_slice));
            assert_eq!(received, [], "{name}");
            assert_eq!(error.unwrap().code(), "ERR_FRAME_TOO_LARGE", "{name}");
        }
    }
}

#[test]
fn a_message_without_end_is_given_up_at_the_limit() {
    let never: [Rc<Framing>; 6] = [
        Rc::new(Framing::named("lines").unwrap().with_max(10_000)),
        Rc::new(Framing::named("json").unwrap().with_max(10_000)),
        Rc::new(Framing::named("smtp").unwrap().with_max(10_000)),
        Rc::new(Framing::named("stomp").unwrap().with_max(10_000)),
        Rc::new(
            Framing::new(Description { max: 10_000, ..Description::new(Form::Pattern(pattern("never"))) })
                .unwrap(),
        ),
        Rc::new(
            Framing::new(Description { max: 10_000, ..Description::new(Form::Idle(Duration::from_secs(1))) })
                .unwrap(),
        ),
    ];
    for framing in never {
        let mut framer = Framer::new(framing);
        let chunk = Bytes::from_static(&[b'"'; 100]);
        framer.push(Bytes::from_static(b"["));
        let mut pushed = 1;
        let error = loop {
            framer.push(if pushed == 1 {
                Bytes::from_static(b"\"")
            } else {
                Bytes::from_static(&[b'x'; 100])
            });
            pushed += chunk.len();
            match framer.receive() {
                Ok(None) => assert!(pushed < 11_000, "the limit is 10,000"),
                other => break other.unwrap_err(),
            }
        };
        assert_eq!(error.code(), "ERR_FRAME_TOO_LARGE");
        // An error stays.
        framer.push(Bytes::from_static(b"\n"));
        assert_eq!(framer.receive(), Err(error));
    }
}

#[test]
fn garbage_is_named() {
    let invalid = |name: &str, stream| match error(&named(name), stream) {
        FrameError::Invalid { reason, at, .. } => (reason, at),
        other => panic!("{other:?}"),
    };
    assert_eq!(invalid("mllp", b"MSH"), (Reason::Magic(b'M', 0x0b), 0));
    assert_eq!(invalid("netstring", b"3:abc3:"), (Reason::Trailer(b'3', b','), 5));
    assert_eq!(invalid("netstring", b"3:abc,x"), (Reason::LengthDigit(b'x'), 6));
    assert_eq!(invalid("syslog", b"12345678901 "), (Reason::LengthTooLong, 10));
    assert_eq!(invalid("smpp", b"\0\0\0\x02"), (Reason::LengthNegative { value: 2, adjust: -4 }, 0));
    assert_eq!(invalid("mqtt", b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), (Reason::LengthTooLong, 10));
    assert_eq!(invalid("ldap", b"\x30\x80"), (Reason::LengthIndefinite, 1));
    assert_eq!(invalid("lsp", b"X: 1\r\n\r\n").0, Reason::HeaderMissing("Content-Length".to_owned()));
    assert_eq!(invalid("lsp", b"Content-Length: 0x1\r\n\r\n"), (Reason::HeaderValue("0x1".to_owned()), 16));
    assert_eq!(invalid("json", b"{} x"), (Reason::JsonByte(b'x'), 3));
    assert_eq!(invalid("json", b"[1}"), (Reason::JsonBracket(b'}'), 2));
    assert_eq!(invalid("json", b"nul1"), (Reason::JsonByte(b'1'), 3));
    assert_eq!(invalid("resp", b"HTTP/1.1"), (Reason::RespType(b'H'), 0));
    assert_eq!(invalid("resp", b"$x\r\n"), (Reason::RespNumber("x".to_owned()), 1));
    assert_eq!(invalid("resp", b"$2\r\nabcd"), (Reason::LineEnd, 6));
    assert_eq!(invalid("resp", b"+OK\n"), (Reason::LineEnd, 3));
    assert_eq!(invalid("resp", b"$?\r\n:1\r\n"), (Reason::RespChunk(b':'), 4));
    assert_eq!(invalid("memcached", b"VALUE a 0 1x\r\n"), (Reason::LengthDigit(b'x'), 11));
    assert_eq!(invalid("nats", b"MSG a 1 2\r\nhixx"), (Reason::LineEnd, 14));
    let nested: Vec<u8> = b"*1\r\n".repeat(1000);
    let (_, error) = receive(&named("resp"), [Bytes::from(nested)]);
    assert!(matches!(
        error,
        Some(FrameError::Invalid { reason: Reason::RespDepth(128), at: 512, offset: 0 })
    ));
    // Offsets count from the start of the stream.
    assert_eq!(invalid("amqp", b"\x08\0\0\0\0\0\0\xce\x08\0\0\0\0\0\0\0"), (Reason::Trailer(0, 0xce), 15));
}

#[test]
fn the_end_within_a_message_is_an_error() {
    let cut = error(&named("u32"), b"\0\0\0\x02hi\0\0\0\x05hel");
    assert_eq!(cut, FrameError::Truncated { received: 7, expected: Some(9), offset: 6 });
    assert_eq!(cut.code(), "ERR_FRAME_TRUNCATED");
    assert_eq!(cut.to_string(), "the connection ended after 7 of the 9 bytes of the message at offset 6");
    let cut = error(&named("lines"), b"a\nbc");
    assert_eq!(cut, FrameError::Truncated { received: 2, expected: None, offset: 2 });
    assert_eq!(
        cut.to_string(),
        "the connection ended after 2 bytes of the message at offset 2, before its end"
    );
    // Between messages it is none; white space and heart-beats are not a message.
    assert_eq!(receive(&named("json"), [Bytes::from_static(b"{} \r\n ")]).1, None);
    assert_eq!(receive(&named("stomp"), [Bytes::from_static(b"A\n\n\0\n\n")]).1, None);
    // A number has no end of its own.
    let (received, error) = receive(&named("json"), [Bytes::from_static(b"42")]);
    assert_eq!((received, error), (vec![Received::Message(Bytes::from_static(b"42"))], None));
}

#[test]
fn framing_changes_behind_the_last_message() {
    let mut framer = Framer::new(named("lines"));
    framer.push(Bytes::from_static(b"STARTTLS\n\0\x02"));
    framer.push(Bytes::from_static(b"hi\0\x01"));
    assert_eq!(framer.receive(), Ok(Some(Received::Message(Bytes::from_static(b"STARTTLS")))));
    // What has been looked at under the old framing is looked at again.
    assert_eq!(framer.receive(), Ok(None));
    framer.change(named("u16"));
    assert_eq!(framer.receive(), Ok(Some(Received::Message(Bytes::from_static(b"hi")))));
    assert_eq!(framer.receive(), Ok(None));
    assert_eq!(framer.rest(), b"\0\x01");
    let mut rest: Buffer = framer.into_rest();
    rest.push(Bytes::from_static(b"x"));
    let mut framer = Framer::from((named("u16"), rest));
    assert_eq!(framer.receive(), Ok(Some(Received::Message(Bytes::from_static(b"x")))));
}

#[test]
fn exactly_so_many_bytes_are_taken_across_chunks_and_messages() {
    let mut framer = Framer::new(named("u16"));
    framer.push(Bytes::from_static(b"\0\x03a"));
    assert_eq!(framer.receive(), Ok(None));
    assert_eq!(framer.take(4), None);
    framer.push(Bytes::from_static(b"bc\0\x01z"));
    assert_eq!(framer.take(5), Some(Bytes::from_static(b"\0\x03abc")));
    assert_eq!(framer.receive(), Ok(Some(Received::Message(Bytes::from_static(b"z")))));
    assert_eq!((framer.len(), framer.take(0)), (0, Some(Bytes::new())));
}

#[test]
fn a_message_within_a_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from([&b"\0\0\0\x08"[..], b"12345678", b"\0\0\0\x04abcd\0\0"].concat());
    let inside = chunk.as_ptr_range();
    let mut framer = Framer::new(named("u32"));
    framer.push(chunk.clone());
    for _ in 0..2 {
        let Ok(Some(Received::Message(message))) = framer.receive() else { panic!() };
        assert!(inside.contains(&message.as_ptr()));
    }
    // So is the one behind a message that was cut.
    assert_eq!(framer.receive(), Ok(None));
    let chunk = Bytes::from(b"\0\x01x\0\0\0\x02yz".to_vec());
    framer.push(chunk.clone());
    assert_eq!(framer.receive(), Ok(Some(Received::Message(Bytes::from_static(b"x")))));
    let Ok(Some(Received::Message(message))) = framer.receive() else { panic!() };
    assert!(chunk.as_ptr_range().contains(&message.as_ptr()));
}

/// 16 MiB in single bytes take as long per byte as 1 MiB: nothing is looked at twice.
#[test]
fn long_messages_in_single_bytes_take_linear_time() {
    let time = |framing: &Rc<Framing>, start: &'static [u8], size: usize, end: &'static [u8]| {
        let started = Instant::now();
        let mut framer = Framer::new(framing.clone());
        framer.push(Bytes::from_static(start));
        for _ in 0..size {
            framer.push(Bytes::from_static(b"x"));
            assert_eq!(framer.receive(), Ok(None));
        }
        framer.push(Bytes::from_static(end));
        assert!(matches!(framer.receive(), Ok(Some(Received::Message(message))) if message.len() >= size));
        started.elapsed()
    };
    let several = Delimiters {
        delimiters: vec![Bytes::from_static(b"\r\n.\r\n"), Bytes::from_static(b"xy")],
        ..Delimiters::default()
    };
    let several = framing(Form::Delimiter(several));
    for (framing, start, end) in [
        (named("lines"), &b""[..], &b"\n"[..]),
        (named("json"), b"[\"", b"\"]"),
        (several, b"", b"\r\n.\r\n"),
        (named("memcached"), b"", b"\r\n"),
        (named("resp"), b"+", b"\r\n"),
    ] {
        let small = time(&framing, start, 50_000, end).max(Duration::from_millis(2));
        let large = time(&framing, start, 800_000, end);
        // Sixteen times the bytes; were they looked at again, it would be 256 times the time.
        assert!(large < small * 80, "{small:?} for 50,000 bytes, {large:?} for 800,000");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_and_nothing_is_written() {
    let refused = |framing: &Framing, message: &[u8]| {
        let mut out = Vec::new();
        let error = framing.encode(message, &mut out).unwrap_err();
        assert!(out.is_empty(), "{out:?}");
        error
    };
    let too_long = refused(&named("u8"), &[0; 256]);
    assert_eq!(too_long, EncodeError::TooLong { size: 256, most: 255 });
    assert_eq!(too_long.to_string(), "the length to send is 256, and the framing's field holds 255 at most");
    assert_eq!(refused(&named("lines"), b"a\nb"), EncodeError::ContainsDelimiter { offset: 1 });
    assert_eq!(refused(&named("lines"), b"a\r"), EncodeError::ContainsDelimiter { offset: 2 });
    assert_eq!(refused(&named("mysql"), b"ab"), EncodeError::TooShort { size: 2, least: 3 });
    assert_eq!(refused(&named("mqtt"), b"\x30\x80"), EncodeError::NoLength);
    assert_eq!(refused(&framing(Form::Fixed(4)), b"abc"), EncodeError::WrongSize { size: 3, fixed: 4 });
    let two_more = framing(Form::Length(Length::new(Notation::big(2)).adjust(2)));
    assert_eq!(refused(&two_more, b"a"), EncodeError::TooShort { size: 1, least: 2 });
    let hex = framing(Form::Length(Length::new(Notation::Hex { bytes: 1 })));
    assert_eq!(refused(&hex, &[0; 16]), EncodeError::TooLong { size: 16, most: 15 });
    let escape = Some(Escape { byte: 0xdb, map: vec![(0xdc, 0xc0)] });
    let delimiters = vec![Bytes::from_static(b"\xc0")];
    let slip = framing(Form::Delimiter(Delimiters { delimiters, escape, ..Delimiters::default() }));
    assert_eq!(refused(&slip, b"a\xdb"), EncodeError::NotInMap { byte: 0xdb, offset: 1 });
}

/// The end of a block may also be in the name of its header, or in the length.
#[test]
fn blocks_that_would_end_too_early_are_refused() {
    for (end, message, is_fine) in
        [("3", "abc", false), ("3", "ab", false), (": ", "ab", false), ("\n", "ab", true)]
    {
        let headers = Headers { end: Some(Bytes::from(end)), ..Headers::new("length") };
        let framing = Rc::new(Framing::new(Description::new(Form::Headers(headers))).expect("a framing"));
        let mut out = Vec::new();
        let encoded = framing.encode(message.as_bytes(), &mut out);
        assert_eq!(encoded.is_ok(), is_fine, "{end:?} {message}: {encoded:?}");
        if is_fine {
            assert_eq!(common::messages(&framing, &out), [message.as_bytes()]);
        } else {
            assert!(out.is_empty());
        }
    }
}

#[test]
fn descriptions_are_checked() {
    let refused = |form| Framing::new(Description::new(form)).err().unwrap();
    let delimiters = |list: &[&'static [u8]]| Delimiters {
        delimiters: list.iter().map(|one| Bytes::from_static(one)).collect(),
        ..Delimiters::default()
    };
    assert_eq!(refused(Form::Delimiter(delimiters(&[]))), DescriptionError::NoDelimiter);
    assert_eq!(refused(Form::Delimiter(delimiters(&[b""]))), DescriptionError::EmptyDelimiter);
    assert_eq!(refused(Form::Delimiter(delimiters(&[&[7; 257]]))), DescriptionError::DelimiterTooLong);
    let twice = Escape { byte: 1, map: vec![(2, 3), (4, 3)] };
    let escaped = Delimiters { escape: Some(twice), ..delimiters(&[b";"]) };
    assert_eq!(refused(Form::Delimiter(escaped)), DescriptionError::EscapeMap);
    assert_eq!(refused(Form::Fixed(0)), DescriptionError::Fixed { max: 16 << 20 });
    assert_eq!(refused(Form::Idle(Duration::ZERO)), DescriptionError::Idle);
    let length = |notation| refused(Form::Length(Length::new(notation)));
    assert_eq!(length(Notation::big(9)), DescriptionError::LengthBytes);
    assert_eq!(length(Notation::Bcd { bytes: 0 }), DescriptionError::LengthBytes);
    assert_eq!(length(Notation::DecimalUntil { until: b'5', max: 3 }), DescriptionError::LengthUntil);
    assert_eq!(length(Notation::HexUntil { until: b'a', max: 3 }), DescriptionError::LengthUntil);
    assert_eq!(length(Notation::DecimalUntil { until: b':', max: 21 }), DescriptionError::LengthUntilMax);
    for mask in [0, 0b101, 0x1_0000] {
        let notation = Notation::Uint { bytes: 2, little: false, mask: Some(mask) };
        assert_eq!(length(notation), DescriptionError::LengthMask);
    }
    let far = Length::new(Notation::big(2)).at(1 << 16);
    assert_eq!(refused(Form::Length(far)), DescriptionError::LengthAt);
    assert_eq!(
        refused(Form::Length(Length::new(Notation::big(2)).after(b""))),
        DescriptionError::LengthAfter
    );
    let within = Description {
        magic: Bytes::from_static(b"abcd"),
        ..Description::new(Form::Length(Length::new(Notation::big(2)).at(3)))
    };
    assert_eq!(Framing::new(within).err(), Some(DescriptionError::LengthAtWithinMagic));
    assert_eq!(refused(Form::Headers(Headers::new(" "))), DescriptionError::HeaderName);
    let idle = Some(Box::new(Description::new(Form::Idle(Duration::from_secs(1)))));
    let otherwise = Headers { otherwise: idle, ..Headers::new("n") };
    assert_eq!(refused(Form::Headers(otherwise)), DescriptionError::Otherwise);
    let max = Description { max: 0, ..Description::new(Form::Lines(Lines::default())) };
    assert_eq!(Framing::new(max).err(), Some(DescriptionError::Max));
    let unknown = Framing::named("postgre").err().unwrap().to_string();
    assert!(
        unknown
            .starts_with("there is no framing \"postgre\"; those with a name are lines, crlf, nul, json, u8")
    );
}

#[test]
fn notations_are_put_together() {
    let bytes = |bytes| Some(Size::Bytes(bytes));
    let until = |max| Some(Size::Until { until: b':', max });
    let of = |written, size| Notation::of(written, size, false, None);
    assert_eq!(of(None, bytes(4)), Ok(Notation::big(4)));
    assert_eq!(Notation::of(Some("uint"), bytes(4), true, None), Ok(Notation::little(4)));
    assert_eq!(of(Some("bcd"), bytes(2)), Ok(Notation::Bcd { bytes: 2 }));
    assert_eq!(of(None, until(None)), Ok(Notation::DecimalUntil { until: b':', max: 10 }));
    assert_eq!(of(Some("hex"), until(Some(3))), Ok(Notation::HexUntil { until: b':', max: 3 }));
    assert_eq!(of(Some("ber"), None), Ok(Notation::Ber));
    assert_eq!(of(Some("ber"), bytes(1)), Err(DescriptionError::LengthBytesNotNeeded));
    assert_eq!(of(Some("uint"), until(None)), Err(DescriptionError::LengthDigits));
    assert_eq!(of(None, None), Err(DescriptionError::LengthBytes));
    assert_eq!(of(Some("octal"), bytes(1)), Err(DescriptionError::LengthAs("octal".to_owned())));
    let mask = Notation::of(Some("decimal"), bytes(4), false, Some(1));
    assert_eq!(mask, Err(DescriptionError::LengthMaskNotUint));
}
