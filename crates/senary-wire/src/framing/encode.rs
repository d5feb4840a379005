//! What sending adds to a message, so that receiving takes it off again.

use bytes::BufMut;

use crate::framing::checked::{
    DelimiterKind, FieldPlace, Framing, HeadersKind, Kind, LengthKind, LinesKind, Start,
};
use crate::framing::delimiter::DelimiterState;
use crate::framing::description::{Escape, Notation};
use crate::framing::error::EncodeError;
use crate::framing::headers::{find_header, parse_count};
use crate::framing::length::{read_field, value_for};
use crate::framing::lines::LinesState;
use crate::framing::scan::Scan;
use crate::framing::view::View;

impl Framing {
    /// Writes the message as the receiver expects it. If that is impossible, nothing is written.
    pub fn encode(&self, message: &[u8], out: &mut impl BufMut) -> Result<(), EncodeError> {
        if let Some(adds) = self.adds {
            out.put_slice(message);
            out.put_slice(adds);
            return Ok(());
        }
        match &self.kind {
            Kind::Length(length) => self.encode_length(length, message, out),
            Kind::Delimiter(delimiter) => self.encode_delimiter(delimiter, message, out),
            Kind::Headers(headers) => self.encode_headers(headers, message, out),
            Kind::Lines(lines) => {
                self.put(&[message, line_end(lines, message)], out);
                Ok(())
            }
            Kind::Fixed(fixed) if message.len() != *fixed => {
                Err(EncodeError::WrongSize { size: message.len(), fixed: *fixed })
            }
            Kind::Fixed(_) | Kind::Pattern(_) | Kind::Idle(_) | Kind::Json | Kind::Resp => {
                self.put(&[message], out);
                Ok(())
            }
        }
    }

    /// A whole frame: magic, form, trailer.
    fn put(&self, parts: &[&[u8]], out: &mut impl BufMut) {
        out.put_slice(&self.magic);
        parts.iter().for_each(|part| out.put_slice(part));
        out.put_slice(&self.trailer);
    }

    fn encode_length(
        &self,
        length: &LengthKind,
        message: &[u8],
        out: &mut impl BufMut,
    ) -> Result<(), EncodeError> {
        if length.start == Start::Amqp && message.len() == 8 && message.starts_with(b"AMQP") {
            out.put_slice(message);
            return Ok(());
        }
        let (before, old, body) = if length.keep { split(length, message)? } else { (0, 0, message) };
        let value = value_for(length, body.len(), self.trailer.len());
        let value = u64::try_from(value).map_err(|_| EncodeError::TooShort {
            size: message.len(),
            least: message.len() + usize::try_from(-value).unwrap_or_default(),
        })?;
        let flags = &message[before..before + old];
        let field = write_field(&length.notation, value, flags)?;
        if length.keep {
            self.put(&[&message[..before], field.as_slice(), body], out);
            return Ok(());
        }
        match &length.place {
            FieldPlace::At(at) => {
                out.put_slice(&self.magic);
                out.put_bytes(0, *at);
                out.put_slice(field.as_slice());
                out.put_slice(body);
                out.put_slice(&self.trailer);
            }
            FieldPlace::After(needles) => self.put(&[needles.first(), field.as_slice(), body], out),
        }
        Ok(())
    }

    fn encode_delimiter(
        &self,
        delimiter: &DelimiterKind,
        message: &[u8],
        out: &mut impl BufMut,
    ) -> Result<(), EncodeError> {
        let end = delimiter.needles.first();
        // A message that keeps its delimiter may have it already.
        let plain = match message.strip_suffix(&end[..]) {
            Some(plain) if delimiter.keep => plain,
            _ => message,
        };
        let coded = match &delimiter.escape {
            Some(escape) => &stuff(escape, plain)?[..],
            None => plain,
        };
        check_delimiter(delimiter, coded, end)?;
        self.put(&[coded, end], out);
        Ok(())
    }

    fn encode_headers(
        &self,
        headers: &HeadersKind,
        message: &[u8],
        out: &mut impl BufMut,
    ) -> Result<(), EncodeError> {
        let end: &[u8] = headers.end.as_ref().map_or(b"\r\n\r\n", |end| end.first());
        if !headers.keep {
            let length = format!("{}: {}", headers.name, message.len());
            let block = [length.as_bytes(), end].concat();
            check_block(headers, &block, message.len())?;
            self.put(&[&block, message], out);
            return Ok(());
        }
        let block = block_of(headers, message).ok_or(EncodeError::NoLength)?;
        let (block, body) = message.split_at(block);
        match (find_header(&headers.name, block), &headers.otherwise) {
            (Some((at, value)), _) => {
                let length = body.len().to_string();
                let block = [&block[..at], length.as_bytes(), &block[at + value.len()..]].concat();
                check_block(headers, &block, body.len())?;
                self.put(&[&block, body], out);
                Ok(())
            }
            (None, Some(otherwise)) => {
                let mut frame = Vec::with_capacity(message.len() + 16);
                otherwise.encode(body, &mut frame)?;
                out.put_slice(&self.magic);
                out.put_slice(block);
                out.put_slice(&frame);
                Ok(())
            }
            (None, None) => Err(EncodeError::NoLength),
        }
    }
}

/// A field as it is sent: 24 bytes hold the longest.
#[derive(Default)]
struct FieldBytes {
    bytes: [u8; 24],
    len: usize,
}

impl FieldBytes {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Cuts a message that has a place for its length: where the place is, how long, and what it counts.
fn split<'a>(length: &LengthKind, message: &'a [u8]) -> Result<(usize, usize, &'a [u8]), EncodeError> {
    let view = View { head: &[], new: message };
    let at = match &length.place {
        FieldPlace::At(_) if length.start == Start::Untyped && message.first() == Some(&0) => 0,
        FieldPlace::At(at) => *at,
        FieldPlace::After(needles) => {
            needles.find(view, 0).map(|hit| hit.end).ok_or(EncodeError::NoLength)?
        }
    };
    let size = match fixed_size(&length.notation) {
        Some(size) => size,
        // A length that may become longer or shorter can only replace an existing one.
        None if message.len() <= at => 0,
        None => match read_field(&length.notation, view, at) {
            Ok(Some(field)) => field.end - at,
            _ => return Err(EncodeError::NoLength),
        },
    };
    let least = at + size.max(1);
    if message.len() < least {
        return Err(EncodeError::TooShort { size: message.len(), least });
    }
    Ok((at, size, &message[at + size..]))
}

fn fixed_size(notation: &Notation) -> Option<usize> {
    match notation {
        Notation::Uint { bytes, .. }
        | Notation::Decimal { bytes }
        | Notation::Hex { bytes }
        | Notation::Bcd { bytes } => Some(*bytes as usize),
        Notation::DecimalUntil { .. } | Notation::HexUntil { .. } | Notation::Varint | Notation::Ber => None,
    }
}

/// `flags` is the present value of the place; bits that do not belong to the length stay.
fn write_field(notation: &Notation, value: u64, flags: &[u8]) -> Result<FieldBytes, EncodeError> {
    let mut field = FieldBytes::default();
    let fits =
        |most: u64| if value > most { Err(EncodeError::TooLong { size: value, most }) } else { Ok(()) };
    match *notation {
        Notation::Uint { bytes, little, mask } => {
            let all = u64::MAX >> (64 - 8 * bytes);
            let mask = mask.unwrap_or(all);
            let shift = mask.trailing_zeros();
            fits(mask >> shift)?;
            let raw = (crate::framing::length::uint(flags, little) & !mask) | (value << shift);
            let (big, little_endian) = (raw.to_be_bytes(), raw.to_le_bytes());
            let bytes = bytes as usize;
            let written = if little { &little_endian[..bytes] } else { &big[8 - bytes..] };
            written.iter().for_each(|byte| field.push(*byte));
        }
        Notation::Decimal { bytes } => {
            fits(10_u64.pow(bytes as u32) - 1)?;
            let width = bytes as usize;
            format!("{value:0width$}").bytes().for_each(|byte| field.push(byte));
        }
        Notation::Hex { bytes } => {
            fits(u64::MAX >> (64 - 4 * bytes))?;
            let width = bytes as usize;
            format!("{value:0width$X}").bytes().for_each(|byte| field.push(byte));
        }
        Notation::Bcd { bytes } => {
            fits(10_u64.pow(2 * bytes as u32) - 1)?;
            let pair = |index: u32| (value / 100_u64.pow(index) % 100) as u8;
            (0..bytes as u32).rev().map(pair).for_each(|pair| field.push((pair / 10) << 4 | (pair % 10)));
        }
        Notation::DecimalUntil { until, max } => {
            fits(10_u64.checked_pow(max as u32).map_or(u64::MAX, |most| most - 1))?;
            value.to_string().bytes().chain([until]).for_each(|byte| field.push(byte));
        }
        Notation::HexUntil { until, max } => {
            fits(1_u64.checked_shl(4 * max as u32).map_or(u64::MAX, |most| most - 1))?;
            format!("{value:X}").bytes().chain([until]).for_each(|byte| field.push(byte));
        }
        Notation::Varint => {
            let mut rest = value;
            while rest >= 0x80 {
                field.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            field.push(rest as u8);
        }
        Notation::Ber if value < 0x80 => field.push(value as u8),
        Notation::Ber => {
            let skipped = value.leading_zeros() as usize / 8;
            field.push(0x80 | (8 - skipped) as u8);
            value.to_be_bytes()[skipped..].iter().for_each(|byte| field.push(*byte));
        }
    }
    Ok(field)
}

/// Byte stuffing.
fn stuff(escape: &Escape, plain: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut coded = Vec::with_capacity(plain.len() + plain.len() / 16);
    for (offset, byte) in plain.iter().enumerate() {
        match escape.code(*byte) {
            Some(code) => coded.extend([escape.byte, code]),
            None if *byte == escape.byte => return Err(EncodeError::NotInMap { byte: *byte, offset }),
            None => coded.push(*byte),
        }
    }
    Ok(coded)
}

/// The receiver has to find the delimiter where we put it, and not before.
fn check_delimiter(delimiter: &DelimiterKind, coded: &[u8], end: &[u8]) -> Result<(), EncodeError> {
    let mut state = DelimiterState::default();
    let refused = |offset: usize| Err(EncodeError::ContainsDelimiter { offset });
    match state.scan(delimiter, View { head: &[], new: coded }, usize::MAX) {
        Ok(Scan::End(found)) => return refused(found - state.found()),
        Ok(Scan::More { .. }) => {}
        Err(_) => return refused(coded.len()),
    }
    match state.scan(delimiter, View { head: coded, new: end }, usize::MAX) {
        Ok(Scan::End(found)) if found == coded.len() + end.len() && state.found() == end.len() => Ok(()),
        _ => refused(coded.len()),
    }
}

/// The line end to add after the message: nothing if the message ends with counted bytes and needs none, or exactly
/// the bytes that the count leaves room for.
fn line_end(lines: &LinesKind, message: &[u8]) -> &'static [u8] {
    let mut state = LinesState::default();
    match state.scan(lines, View { head: &[], new: message }, message.len()) {
        Ok(Scan::End(end)) if end == message.len() && state.ended_without_line_end() => b"",
        Ok(Scan::More { total: Some(total) }) if total == message.len() + 1 => b"\n",
        _ => b"\r\n",
    }
}

/// Where the header block of the message ends.
fn block_of(headers: &HeadersKind, message: &[u8]) -> Option<usize> {
    crate::framing::headers::block_end(headers, View { head: &[], new: message })
}

/// The receiver has to find the end of the block where it is, and in it the length that was written.
fn check_block(headers: &HeadersKind, block: &[u8], body: usize) -> Result<(), EncodeError> {
    let end = crate::framing::headers::block_end(headers, View { head: &[], new: block });
    let length = find_header(&headers.name, block).and_then(|(_, value)| parse_count(value));
    if end == Some(block.len()) && length == Some(body) {
        return Ok(());
    }
    Err(EncodeError::ContainsDelimiter { offset: end.unwrap_or(block.len()) })
}
