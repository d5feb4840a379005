//! Frames whose length stands in them.

use crate::framing::checked::{FieldPlace, LengthKind, MAX_PREFIX, Start};
use crate::framing::description::Notation;
use crate::framing::error::{Fault, Reason};
use crate::framing::scan::{Content, MORE, Message, Scan, within};
use crate::framing::view::View;

/// What a header of the protocol's version starts with; four bytes of version follow.
const AMQP: &[u8] = b"AMQP";
const AMQP_HEADER: usize = 8;

#[derive(Default)]
pub struct LengthState {
    /// Where a length that follows certain bytes starts, once these have arrived.
    found_at: Option<usize>,
    known: Option<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    field_end: usize,
    total: usize,
    empty: bool,
}

/// A length field: what it says, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthField {
    pub value: u64,
    pub end: usize,
}

impl LengthState {
    /// `trailer` is the size of the trailer that follows the form. `polls` says whether a zero may be a frame although
    /// lengths count themselves.
    pub fn scan(
        &mut self,
        length: &LengthKind,
        trailer: usize,
        polls: bool,
        view: View<'_>,
        max: usize,
    ) -> Result<Scan, Fault> {
        let known = match self.known {
            Some(known) => known,
            None => match self.read(length, trailer, polls, view, max)? {
                Some(known) => *self.known.insert(known),
                None => return Ok(MORE),
            },
        };
        Ok(if view.len() >= known.total {
            Scan::End(known.total)
        } else {
            Scan::More { total: Some(known.total) }
        })
    }

    fn read(
        &mut self,
        length: &LengthKind,
        trailer: usize,
        polls: bool,
        view: View<'_>,
        max: usize,
    ) -> Result<Option<Known>, Fault> {
        let untyped = length.start == Start::Untyped && view.get(0) == Some(0);
        if length.start == Start::Amqp
            && (0..view.len().min(4)).all(|at| view.get(at) == AMQP.get(at).copied())
        {
            let version = Known { field_end: 0, total: AMQP_HEADER, empty: false };
            return Ok((view.len() >= AMQP.len()).then_some(version));
        }
        let at = match &length.place {
            FieldPlace::At(_) if untyped => 0,
            FieldPlace::At(at) => *at,
            FieldPlace::After(needles) => {
                if self.found_at.is_none() {
                    self.found_at = needles.find(view, 0).map(|hit| hit.end);
                }
                let Some(at) = self.found_at else { return Ok(None) };
                at
            }
        };
        let Some(field) = read_field(&length.notation, view, at)? else { return Ok(None) };
        let follow = following(length, field.value, trailer);
        let follow = match u64::try_from(follow) {
            Ok(follow) => follow,
            Err(_) if polls && field.value == 0 => 0,
            Err(_) => {
                let adjust = length.adjust.unwrap_or_default();
                return Err(Fault::Invalid {
                    at,
                    reason: Reason::LengthNegative { value: field.value, adjust },
                });
            }
        };
        let kept = if length.keep { field.end as u64 } else { 0 };
        let size = follow.saturating_add(kept);
        if size > max as u64 {
            return Err(Fault::TooLarge { size });
        }
        within(field.end - kept as usize, MAX_PREFIX)?;
        let total = field.end + follow as usize;
        Ok(Some(Known { field_end: field.end, total, empty: field.value == 0 || follow == 0 }))
    }

    /// Whether the frame is the header of the protocol's version, not an ordinary one.
    pub fn is_version(&self) -> bool {
        self.known.is_some_and(|known| known.field_end == 0)
    }

    pub fn carve(&self, length: &LengthKind, form: &[u8]) -> Content {
        let (field_end, empty) = self.known.map_or((0, false), |known| (known.field_end, known.empty));
        let start = if length.keep { 0 } else { field_end };
        Content { message: Message::Part(start..form.len()), empty }
    }
}

/// How many bytes are between the field and the trailer.
fn following(length: &LengthKind, value: u64, trailer: usize) -> i128 {
    match length.adjust {
        None => i128::from(value),
        Some(adjust) => i128::from(value) + i128::from(adjust) - trailer as i128,
    }
}

/// The value of the field if this many bytes stand between it and the trailer. The inverse of `following`.
pub fn value_for(length: &LengthKind, follow: usize, trailer: usize) -> i128 {
    match length.adjust {
        None => follow as i128,
        Some(adjust) => (follow + trailer) as i128 - i128::from(adjust),
    }
}

/// The field that starts at `at`; `None` while it is not whole.
pub fn read_field(notation: &Notation, view: View<'_>, at: usize) -> Result<Option<LengthField>, Fault> {
    match *notation {
        Notation::Uint { bytes, little, mask } => {
            let Some(value) = fixed_uint(view, at, bytes as usize, little) else { return Ok(None) };
            let value = mask.map_or(value, |mask| (value & mask) >> mask.trailing_zeros());
            Ok(Some(LengthField { value, end: at + bytes as usize }))
        }
        Notation::Decimal { bytes } => digits(view, at, bytes as usize, 10),
        Notation::Hex { bytes } => digits(view, at, bytes as usize, 16),
        Notation::Bcd { bytes } => bcd(view, at, bytes as usize),
        Notation::DecimalUntil { until, max } => digits_until(view, at, until, max as usize, 10),
        Notation::HexUntil { until, max } => digits_until(view, at, until, max as usize, 16),
        Notation::Varint => varint(view, at),
        Notation::Ber => ber(view, at),
    }
}

/// A number of one to eight bytes. Most often eight can be read at once, whatever the size.
fn fixed_uint(view: View<'_>, at: usize, count: usize, little: bool) -> Option<u64> {
    let eight = at.checked_sub(view.seen()).and_then(|at| view.new.get(at..)?.first_chunk::<8>());
    match eight {
        Some(eight) if little => Some(u64::from_le_bytes(*eight) & (u64::MAX >> (64 - 8 * count))),
        Some(eight) => Some(u64::from_be_bytes(*eight) >> (64 - 8 * count)),
        None => fixed(view, at, count).map(|raw| uint(&raw[..count], little)),
    }
}

/// The bytes of a field, up to eight.
fn fixed(view: View<'_>, at: usize, count: usize) -> Option<[u8; 8]> {
    if view.len() < at + count {
        return None;
    }
    let mut raw = [0; 8];
    if let Some(slice) = at.checked_sub(view.head.len()).and_then(|at| view.new.get(at..at + count)) {
        raw[..count].copy_from_slice(slice);
    } else {
        raw[..count].iter_mut().enumerate().for_each(|(index, byte)| {
            *byte = view.get(at + index).unwrap_or_default();
        });
    }
    Some(raw)
}

/// An unsigned number of up to eight bytes.
pub fn uint(bytes: &[u8], little: bool) -> u64 {
    let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
}

fn digit(byte: u8, radix: u32, at: usize) -> Result<u64, Fault> {
    let invalid = Fault::Invalid { at, reason: Reason::LengthDigit(byte) };
    char::from(byte).to_digit(radix).map(u64::from).ok_or(invalid)
}

fn digits(view: View<'_>, at: usize, count: usize, radix: u32) -> Result<Option<LengthField>, Fault> {
    let mut value = 0_u64;
    // A byte that is not a digit is a fault at once, before the others have come.
    for index in at..at + count {
        let Some(byte) = view.get(index) else { return Ok(None) };
        value = value * u64::from(radix) + digit(byte, radix, index)?;
    }
    Ok(Some(LengthField { value, end: at + count }))
}

fn digits_until(
    view: View<'_>,
    at: usize,
    until: u8,
    max: usize,
    radix: u32,
) -> Result<Option<LengthField>, Fault> {
    let mut value = 0_u64;
    for index in at.. {
        let Some(byte) = view.get(index) else { return Ok(None) };
        if byte == until && index > at {
            return Ok(Some(LengthField { value, end: index + 1 }));
        }
        let digit = digit(byte, radix, index)?;
        if index - at == max {
            return Err(Fault::Invalid { at: index, reason: Reason::LengthTooLong });
        }
        value = value.saturating_mul(u64::from(radix)).saturating_add(digit);
    }
    Ok(None)
}

fn bcd(view: View<'_>, at: usize, count: usize) -> Result<Option<LengthField>, Fault> {
    let mut value = 0_u64;
    for index in at..at + count {
        let Some(byte) = view.get(index) else { return Ok(None) };
        if byte >> 4 > 9 || byte & 15 > 9 {
            return Err(Fault::Invalid { at: index, reason: Reason::LengthDigit(byte) });
        }
        value = value * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 15);
    }
    Ok(Some(LengthField { value, end: at + count }))
}

fn varint(view: View<'_>, at: usize) -> Result<Option<LengthField>, Fault> {
    let mut value = 0_u64;
    for index in 0..10 {
        let Some(byte) = view.get(at + index) else { return Ok(None) };
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            break;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Ok(Some(LengthField { value, end: at + index + 1 }));
        }
    }
    Err(Fault::Invalid { at: at + 9, reason: Reason::LengthTooLong })
}

fn ber(view: View<'_>, at: usize) -> Result<Option<LengthField>, Fault> {
    let Some(first) = view.get(at) else { return Ok(None) };
    let count = match first {
        0..0x80 => return Ok(Some(LengthField { value: u64::from(first), end: at + 1 })),
        0x80 => return Err(Fault::Invalid { at, reason: Reason::LengthIndefinite }),
        _ => usize::from(first & 0x7f),
    };
    if count > 8 {
        return Err(Fault::Invalid { at, reason: Reason::LengthTooLong });
    }
    let Some(raw) = fixed(view, at + 1, count) else { return Ok(None) };
    Ok(Some(LengthField { value: uint(&raw[..count], false), end: at + 1 + count }))
}
