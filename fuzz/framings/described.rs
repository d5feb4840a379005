//! Descriptions of framings made of arbitrary bytes, and streams under them.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use senary_wire::{
    Delimiters, Description, Empty, Escape, Form, Found, Framing, Header, Headers, Length, Lines, Notation,
    Pattern, Place, Size,
};

use crate::framings::check;

/// The forms of a description, by which each target is named.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Delimiter,
    Pattern,
    Fixed,
    Length,
    Headers,
    Line,
    Idle,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Delimiter, Self::Pattern, Self::Fixed, Self::Length, Self::Headers, Self::Line, Self::Idle];
}

/// A framing of this kind is described by the first bytes of the input; the others are a message and, turned around, a stream.
pub fn fuzz(kind: Kind, input: &[u8]) {
    let mut u = Unstructured::new(input);
    let (Ok(Some(description)), Ok(size)) = (description(kind, &mut u, 0), u.arbitrary::<u8>()) else {
        return;
    };
    let framing = match Framing::new(description) {
        Ok(framing) => Rc::new(framing),
        Err(error) => {
            assert!(error.to_string().contains('`'), "the reason names what to change");
            return;
        }
    };
    let message = u.take_rest();
    let mut sent = Vec::new();
    let encoded = framing.encode(message, &mut sent);
    assert!(encoded.is_ok() || sent.is_empty());
    let garbage: Vec<u8> = message.iter().rev().copied().collect();
    for stream in [&sent[..], &garbage, message] {
        check(&framing, stream, usize::from(size) + 1);
    }
}

fn bytes(u: &mut Unstructured<'_>) -> Result<Bytes> {
    Ok(Bytes::from(Vec::<u8>::arbitrary(u)?))
}

fn header(u: &mut Unstructured<'_>) -> Result<Option<Header>> {
    Ok(*u.choose(&[None, Some(Header::Strip), Some(Header::Keep)])?)
}

/// The number that a line ends with, or the lines that start so.
fn number(line: &[u8], _: usize) -> Option<Found> {
    let start = line.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    (start < line.len()).then(|| Found { start, end: line.len(), capture: None })
}

fn starts_with_e(line: &[u8], from: usize) -> Option<Found> {
    let at = line[from..].iter().position(|byte| *byte == b'E')?;
    Some(Found { start: from + at, end: from + at + 1, capture: None })
}

fn pattern(function: fn(&[u8], usize) -> Option<Found>) -> Rc<dyn Pattern> {
    Rc::new(function)
}

fn notation(u: &mut Unstructured<'_>) -> Result<Option<Notation>> {
    let written = *u.choose(&[
        None,
        Some("uint"),
        Some("decimal"),
        Some("hex"),
        Some("bcd"),
        Some("varint"),
        Some("ber"),
    ])?;
    let size = match u.arbitrary()? {
        0_u8 => None,
        1 => Some(Size::Until { until: u.arbitrary()?, max: u.arbitrary()? }),
        bytes => Some(Size::Bytes(u64::from(bytes))),
    };
    Ok(Notation::of(written, size, u.arbitrary()?, u.arbitrary()?).ok())
}

/// A form of this kind; `None` for what the script could not have written.
fn form(kind: Kind, u: &mut Unstructured<'_>, depth: usize) -> Result<Option<Form>> {
    Ok(Some(match kind {
        Kind::Delimiter => {
            let delimiters = Vec::<Vec<u8>>::arbitrary(u)?.into_iter().map(Bytes::from).collect();
            let escape = match u.arbitrary()? {
                true => Some(Escape { byte: u.arbitrary()?, map: u.arbitrary()? }),
                false => None,
            };
            Form::Delimiter(Delimiters { delimiters, start: bytes(u)?, keep: u.arbitrary()?, escape })
        }
        Kind::Pattern => Form::Pattern(pattern(starts_with_e)),
        Kind::Fixed => Form::Fixed(u.arbitrary()?),
        Kind::Length => {
            let Some(notation) = notation(u)? else { return Ok(None) };
            let at = match u.arbitrary::<u8>()? {
                0 => None,
                1 => Some(Place::After(bytes(u)?)),
                at => Some(Place::At(u64::from(at))),
            };
            Form::Length(Length { at, notation, adjust: u.arbitrary()?, header: header(u)? })
        }
        Kind::Headers => {
            let end = if u.arbitrary()? { Some(bytes(u)?) } else { None };
            let otherwise = match depth {
                0 => description(*u.choose(&Kind::ALL)?, u, depth + 1)?.map(Box::new),
                _ => None,
            };
            Form::Headers(Headers { end, length: u.arbitrary()?, otherwise, header: header(u)? })
        }
        Kind::Line => {
            let count = bool::arbitrary(u)?.then(|| pattern(number));
            let until = bool::arbitrary(u)?.then(|| pattern(starts_with_e));
            Form::Lines(Lines { count, adjust: u.arbitrary()?, until })
        }
        Kind::Idle => Form::Idle(Duration::from_millis(u.arbitrary()?)),
    }))
}

fn description(kind: Kind, u: &mut Unstructured<'_>, depth: usize) -> Result<Option<Description>> {
    let Some(form) = form(kind, u, depth)? else { return Ok(None) };
    let (magic, trailer) = (bytes(u)?, bytes(u)?);
    let max = u64::from(u.arbitrary::<u16>()?);
    let empty = *u.choose(&[Empty::Deliver, Empty::Skip, Empty::Echo])?;
    Ok(Some(Description { form, max, magic, trailer, empty }))
}
