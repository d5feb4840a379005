//! Descriptions are checked once, here; all other code may rely on that.

use bytes::Bytes;

use crate::framing::checked::{
    DelimiterKind, FieldPlace, Framing, HeadersKind, Kind, LengthKind, LinesKind, Start,
};
use crate::framing::description::{
    Delimiters, Description, Escape, Form, Header, Headers, Length, Lines, Notation, Place,
};
use crate::framing::error::DescriptionError as Error;
use crate::framing::needles::Needles;

/// The largest `max`: larger messages could not be handed to a script.
const MAX_MESSAGE: u64 = 2 << 30;
const MAX_PART: usize = 64 << 10;
const MAX_DELIMITER: usize = 256;
const MAX_DIGITS: u64 = 20;

pub fn check(description: Description) -> Result<Framing, Error> {
    let Description { form, max, mut magic, trailer, empty } = description;
    if max == 0 || max > MAX_MESSAGE {
        return Err(Error::Max);
    }
    for (name, part) in [("magic", &magic), ("trailer", &trailer)] {
        if part.len() > MAX_PART {
            return Err(Error::TooManyBytes(name));
        }
    }
    let max = max as usize;
    let kind = match form {
        Form::Delimiter(delimiters) => {
            // What a message has to start with is the same, whichever name it goes by.
            magic = Bytes::from([&magic[..], &delimiters.start[..]].concat());
            Kind::Delimiter(delimiter(delimiters)?)
        }
        Form::Pattern(pattern) => Kind::Pattern(pattern),
        Form::Fixed(size) if size == 0 || size > max as u64 => return Err(Error::Fixed { max }),
        Form::Fixed(size) => Kind::Fixed(size as usize),
        Form::Length(description) => Kind::Length(length(description, magic.len() as u64)?),
        Form::Headers(description) => Kind::Headers(headers(description, max)?),
        Form::Lines(Lines { count, adjust, until }) => {
            Kind::Lines(LinesKind { count, adjust, until, keep_end: false, strict: false })
        }
        Form::Idle(silence) if silence.is_zero() => return Err(Error::Idle),
        Form::Idle(silence) => Kind::Idle(silence),
    };
    Ok(Framing { kind, max, magic, trailer, empty, between: b"", adds: None })
}

fn delimiter(description: Delimiters) -> Result<DelimiterKind, Error> {
    let Delimiters { delimiters, start, keep, escape } = description;
    if delimiters.is_empty() {
        return Err(Error::NoDelimiter);
    }
    if delimiters.iter().any(Bytes::is_empty) {
        return Err(Error::EmptyDelimiter);
    }
    if delimiters.iter().any(|one| one.len() > MAX_DELIMITER) {
        return Err(Error::DelimiterTooLong);
    }
    if start.len() > MAX_PART {
        return Err(Error::TooManyBytes("start"));
    }
    if let Some(Escape { map, .. }) = &escape {
        let once = |pick: fn(&(u8, u8)) -> u8| {
            let mut bytes: Vec<u8> = map.iter().map(pick).collect();
            bytes.sort_unstable();
            bytes.windows(2).all(|pair| pair[0] != pair[1])
        };
        if map.is_empty() || !once(|(coded, _)| *coded) || !once(|(_, plain)| *plain) {
            return Err(Error::EscapeMap);
        }
    }
    Ok(DelimiterKind { needles: Needles::new(delimiters), keep, escape })
}

fn length(description: Length, magic: u64) -> Result<LengthKind, Error> {
    let Length { at, notation, adjust, header } = description;
    check_notation(&notation)?;
    let first = matches!(at, None | Some(Place::At(0)));
    let place = match at {
        None | Some(Place::At(0)) => FieldPlace::At(0),
        Some(Place::At(at)) if at >= MAX_PART as u64 => return Err(Error::LengthAt),
        Some(Place::At(at)) => {
            FieldPlace::At(at.checked_sub(magic).ok_or(Error::LengthAtWithinMagic)? as usize)
        }
        Some(Place::After(bytes)) if bytes.is_empty() || bytes.len() > MAX_DELIMITER => {
            return Err(Error::LengthAfter);
        }
        Some(Place::After(bytes)) => FieldPlace::After(Needles::new(vec![bytes])),
    };
    let keep = header.map_or(!first, |header| header == Header::Keep);
    Ok(LengthKind { place, notation, adjust, keep, start: Start::Ordinary })
}

fn check_notation(notation: &Notation) -> Result<(), Error> {
    match notation {
        Notation::Uint { bytes, .. }
        | Notation::Decimal { bytes }
        | Notation::Hex { bytes }
        | Notation::Bcd { bytes }
            if !(1..=8).contains(bytes) =>
        {
            Err(Error::LengthBytes)
        }
        Notation::Uint { bytes, mask: Some(mask), .. } => {
            let row = mask.checked_shr(mask.trailing_zeros()).unwrap_or_default();
            let in_a_row = row != 0 && row & row.wrapping_add(1) == 0;
            let inside = *bytes == 8 || mask >> (8 * bytes) == 0;
            if in_a_row && inside { Ok(()) } else { Err(Error::LengthMask) }
        }
        Notation::DecimalUntil { max, .. } | Notation::HexUntil { max, .. }
            if !(1..=MAX_DIGITS).contains(max) =>
        {
            Err(Error::LengthUntilMax)
        }
        Notation::DecimalUntil { until, .. } if until.is_ascii_digit() => Err(Error::LengthUntil),
        Notation::HexUntil { until, .. } if until.is_ascii_hexdigit() => Err(Error::LengthUntil),
        _ => Ok(()),
    }
}

fn headers(description: Headers, max: usize) -> Result<HeadersKind, Error> {
    let Headers { end, length, otherwise, header } = description;
    let name = length.trim().to_owned();
    if name.is_empty() || name.contains([':', '\r', '\n']) {
        return Err(Error::HeaderName);
    }
    if end.as_ref().is_some_and(|end| end.is_empty() || end.len() > MAX_DELIMITER) {
        return Err(Error::HeaderEnd);
    }
    let otherwise = otherwise.map(|other| check_otherwise(*other, max)).transpose()?;
    Ok(HeadersKind {
        end: end.map(|end| Needles::new(vec![end])),
        name,
        otherwise: otherwise.map(Box::new),
        keep: header == Some(Header::Keep),
    })
}

fn check_otherwise(mut other: Description, max: usize) -> Result<Framing, Error> {
    other.max = other.max.min(max as u64);
    match other.form {
        Form::Headers(_) | Form::Idle(_) => Err(Error::Otherwise),
        // Nothing follows: what a header block without a length often means.
        Form::Fixed(0) => {
            other.form = Form::Fixed(1);
            Ok(Framing { kind: Kind::Fixed(0), ..check(other)? })
        }
        _ => check(other),
    }
}
