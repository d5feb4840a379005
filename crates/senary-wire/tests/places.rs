//! Numbers in messages, keys, what is waited for, and templates.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod common;

use bytes::Bytes;
use common::pattern;
use proptest::prelude::*;
use senary_wire::{
    Endian, Field, FieldError, Id, Key, Matcher, Patch, Template, TemplateError, Value, Values, Writing,
};

fn field(offset: usize, bytes: usize, endian: Endian) -> Field {
    Field { offset, bytes, endian }
}

#[test]
fn fields_have_an_order_of_bytes() {
    let mut message = *b"\x01\x02\x03\x04\x05\x06\x07\x08";
    assert_eq!(field(1, 2, Endian::Big).read(&message), Ok(0x0203));
    assert_eq!(field(1, 2, Endian::Little).read(&message), Ok(0x0302));
    assert_eq!(field(0, 8, Endian::Big).read(&message), Ok(0x0102_0304_0506_0708));
    assert_eq!(field(7, 1, Endian::Big).read(&message), Ok(8));
    field(2, 4, Endian::Big).write(&mut message, 0xaabb_ccdd).unwrap();
    assert_eq!(&message, b"\x01\x02\xaa\xbb\xcc\xdd\x07\x08");
    // A counter that has outgrown its place goes on with its lowest bytes.
    field(0, 2, Endian::Little).write(&mut message, 0x1_0003).unwrap();
    assert_eq!(message[..2], [3, 0]);
    assert_eq!(field(0, 2, Endian::Big).largest(), 0xffff);
    assert_eq!(field(0, 8, Endian::Big).largest(), u64::MAX);
    let outside = field(5, 4, Endian::Big);
    let error = FieldError { offset: 5, bytes: 4, size: 8 };
    assert_eq!(outside.read(&message), Err(error.clone()));
    assert_eq!(outside.write(&mut message, 1), Err(error.clone()));
    assert_eq!(error.to_string(), "the message has 8 bytes, too few for the 4 bytes at offset 5");
    assert!(field(usize::MAX, 4, Endian::Big).read(&message).is_err());
}

#[test]
fn keys_are_numbers_or_what_a_pattern_captures() {
    let number = Key::Field(field(2, 2, Endian::Big));
    assert_eq!(number.of(b"xx\0\x07"), Some(Id::Number(7)));
    assert_eq!(number.of(b"xx\0"), None);
    let group = Key::Pattern(pattern("id=([a-z]+);"));
    assert_eq!(group.of(b"\xff id=abc; x"), Some(Id::Text(b"abc"[..].into())));
    assert_eq!(group.of(b"id=;"), None);
    let whole = Key::Pattern(pattern("A[0-9]+"));
    assert_eq!(whole.of(b"OK A17 done"), Some(Id::Text(b"A17"[..].into())));
    // A group that takes no part stands aside for the match.
    let optional = Key::Pattern(pattern("A(x)?[0-9]"));
    assert_eq!(optional.of(b"A1"), Some(Id::Text(b"A1"[..].into())));
}

#[test]
fn matchers_look_at_an_offset_or_anywhere() {
    let equals = |offset, bytes| Matcher::Equals { offset, bytes: Bytes::from_static(bytes) };
    assert!(equals(0, b"+OK").matches(b"+OK\r\n"));
    assert!(equals(4, b"I").matches(b"\0\0\0\x05I"));
    for (offset, message) in [(0, &b"-OK"[..]), (1, b"+OK"), (0, b"+O"), (9, b"+OK")] {
        assert!(!equals(offset, b"+OK").matches(message));
    }
    assert!(Matcher::contains(b"END").matches(b"VALUE\r\nEND"));
    assert!(!Matcher::contains(b"END").matches(b"EN"));
}

fn written(patch: Patch, values: [u64; 4], random: u64) -> Vec<u8> {
    let template = Template::new(Bytes::from_static(b"<......>"), vec![patch]).unwrap();
    let [sequence, vu, iteration, time] = values;
    let mut out = b"before".to_vec();
    let mut random = || random;
    template.write(&mut Values { sequence, vu, iteration, time, random: &mut random }, &mut out);
    assert!(out.starts_with(b"before<") && out.ends_with(b">"));
    out[7..13].to_vec()
}

#[test]
fn templates_have_places_that_differ() {
    let patch = |value, writing| Patch { offset: 1, bytes: 6, value, writing };
    let values = [258, 3, 4, 5_000_000_000];
    assert_eq!(written(patch(Value::Sequence, Writing::Binary), values, 0), b"\0\0\0\0\x01\x02");
    assert_eq!(written(patch(Value::Sequence, Writing::Little), values, 0), b"\x02\x01\0\0\0\0");
    assert_eq!(written(patch(Value::Vu, Writing::Decimal), values, 0), b"000003");
    assert_eq!(written(patch(Value::Iteration, Writing::Hex), values, 0), b"000004");
    assert_eq!(written(patch(Value::Sequence, Writing::Hex), values, 0), b"000102");
    // The lowest digits stay.
    assert_eq!(written(patch(Value::Time, Writing::Decimal), values, 0), b"000000");
    assert_eq!(written(patch(Value::Random, Writing::Hex), values, 0x1234_5678), b"345678");
    let range = |from, to| patch(Value::Range { from, to }, Writing::Decimal);
    assert_eq!(written(range(10, 20), values, 0), b"000010");
    assert_eq!(written(range(10, 20), values, u64::MAX), b"000020");
    assert_eq!(written(range(7, 7), values, 12345), b"000007");
    // What the patches leave alone stays.
    let shorter = Patch { offset: 2, bytes: 2, value: Value::Vu, writing: Writing::Decimal };
    assert_eq!(written(shorter, values, 0), b".03...");
}

#[test]
fn templates_are_checked() {
    let refused = |patch| Template::new(Bytes::from_static(b"12345678"), vec![patch]).unwrap_err();
    let patch = Patch { offset: 6, bytes: 4, value: Value::Sequence, writing: Writing::Decimal };
    let outside = refused(patch.clone());
    assert_eq!(outside, TemplateError::Place(FieldError { offset: 6, bytes: 4, size: 8 }));
    assert_eq!(outside.to_string(), "`data` has 8 bytes, too few for a patch of 4 bytes at offset 6");
    assert_eq!(refused(Patch { bytes: 0, ..patch.clone() }), TemplateError::Bytes { most: 64 });
    let wide = Patch { bytes: 9, writing: Writing::Binary, ..patch.clone() };
    assert_eq!(refused(wide), TemplateError::Bytes { most: 8 });
    let range = Patch { bytes: 1, value: Value::Range { from: 2, to: 1 }, ..patch.clone() };
    assert_eq!(refused(range), TemplateError::Range { from: 2, to: 1 });
    for (writing, to) in
        [(Writing::Decimal, 100), (Writing::Hex, 256), (Writing::Binary, 65536), (Writing::Little, 65536)]
    {
        let of = |to| Patch { bytes: 2, value: Value::Range { from: 0, to }, writing, ..patch.clone() };
        assert_eq!(refused(of(to)), TemplateError::TooLarge { to, bytes: 2 });
        assert!(Template::new(Bytes::from_static(b"12345678"), vec![of(to - 1)]).is_ok());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        mut message in prop::collection::vec(any::<u8>(), 0..20),
        offset in 0..20_usize,
        bytes in prop::sample::select(vec![1_usize, 2, 4, 8]),
        little in any::<bool>(),
        value in any::<u64>(),
    ) {
        let field = field(offset, bytes, if little { Endian::Little } else { Endian::Big });
        let before = message.clone();
        if field.write(&mut message, value).is_ok() {
            prop_assert_eq!(field.read(&message), Ok(value & field.largest()));
            prop_assert_eq!(&message[..offset], &before[..offset]);
            prop_assert_eq!(&message[offset + bytes..], &before[offset + bytes..]);
        } else {
            prop_assert!(offset + bytes > message.len());
        }
    }

    #[test]
    fn a_range_is_kept(from in any::<u64>(), to in any::<u64>(), random in any::<u64>()) {
        let (from, to) = (from.min(to), from.max(to));
        let value = Value::Range { from, to };
        let patch = Patch { offset: 0, bytes: 8, value, writing: Writing::Binary };
        let template = Template::new(Bytes::from_static(&[0; 8]), vec![patch]).unwrap();
        let mut out = Vec::new();
        let mut source = || random;
        let mut values = Values { sequence: 0, vu: 0, iteration: 0, time: 0, random: &mut source };
        template.write(&mut values, &mut out);
        let drawn = u64::from_be_bytes(out.try_into().unwrap());
        prop_assert!((from..=to).contains(&drawn));
    }
}
