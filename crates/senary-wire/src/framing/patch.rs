//! Templates: messages with places that differ each time they are sent.

use std::ops::Range;

use bytes::Bytes;

use crate::framing::error::{FieldError, TemplateError};

/// The longest place of digits; a number of 64 bits has 20 of them at most.
const MAX_TEXT: usize = 64;

/// A template that has been checked.
#[derive(Clone, Debug)]
pub struct Template {
    data: Bytes,
    patches: Vec<Patch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub offset: usize,
    pub bytes: usize,
    pub value: Value,
    pub writing: Writing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Sequence,
    Vu,
    Iteration,
    Time,
    /// Any number that fits the place.
    Random,
    /// A random number from the first to the second, both included.
    Range {
        from: u64,
        to: u64,
    },
}

/// How a number is written. It is padded on the left with zeros; of one that is too long, the lowest digits stay, so that a
/// counter starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writing {
    #[default]
    Binary,
    Little,
    Decimal,
    Hex,
}

/// What the values are for one message.
pub struct Values<'a> {
    /// Counts the messages of a pump.
    pub sequence: u64,
    pub vu: u64,
    pub iteration: u64,
    /// In the unit that the caller has chosen.
    pub time: u64,
    /// 64 random bits each.
    pub random: &'a mut dyn FnMut() -> u64,
}

impl Template {
    pub fn new(data: Bytes, patches: Vec<Patch>) -> Result<Self, TemplateError> {
        for patch in &patches {
            patch.check(data.len())?;
        }
        Ok(Self { data, patches })
    }

    /// The template's bytes, without what differs.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Whether all its messages are the same.
    pub fn is_constant(&self) -> bool {
        self.patches.is_empty()
    }

    /// Appends a message.
    pub fn write(&self, values: &mut Values<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.data);
        for patch in &self.patches {
            let place = patch.place();
            patch.write(&mut out[start + place.start..start + place.end], values);
        }
    }
}

impl Patch {
    fn check(&self, size: usize) -> Result<(), TemplateError> {
        let most = match self.writing {
            Writing::Binary | Writing::Little => 8,
            Writing::Decimal | Writing::Hex => MAX_TEXT,
        };
        if self.bytes == 0 || self.bytes > most {
            return Err(TemplateError::Bytes { most });
        }
        if self.offset.checked_add(self.bytes).is_none_or(|end| end > size) {
            let place = FieldError { offset: self.offset, bytes: self.bytes, size };
            return Err(TemplateError::Place(place));
        }
        match self.value {
            Value::Range { from, to } if from > to => Err(TemplateError::Range { from, to }),
            Value::Range { to, .. } if to > self.largest() => {
                Err(TemplateError::TooLarge { to, bytes: self.bytes })
            }
            _ => Ok(()),
        }
    }

    /// The largest number that fits the place.
    fn largest(&self) -> u64 {
        let radix: u64 = match self.writing {
            Writing::Binary | Writing::Little => 256,
            Writing::Decimal => 10,
            Writing::Hex => 16,
        };
        let count = u32::try_from(self.bytes).ok().and_then(|digits| radix.checked_pow(digits));
        count.map_or(u64::MAX, |count| count - 1)
    }

    fn place(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes
    }

    fn write(&self, place: &mut [u8], values: &mut Values<'_>) {
        let value = match self.value {
            Value::Sequence => values.sequence,
            Value::Vu => values.vu,
            Value::Iteration => values.iteration,
            Value::Time => values.time,
            Value::Random => (values.random)(),
            Value::Range { from, to } => within(from, to, values.random),
        };
        match self.writing {
            Writing::Binary => {
                place.iter_mut().rev().zip(value.to_le_bytes()).for_each(|(place, byte)| *place = byte);
            }
            Writing::Little => {
                place.iter_mut().zip(value.to_le_bytes()).for_each(|(place, byte)| *place = byte);
            }
            Writing::Decimal => digits(place, value, 10),
            Writing::Hex => digits(place, value, 16),
        }
    }
}

fn digits(place: &mut [u8], mut value: u64, radix: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value % radix) as usize];
        value /= radix;
    }
}

/// Each number as likely as the others, to one part in 2^64 of their count.
fn within(from: u64, to: u64, random: &mut dyn FnMut() -> u64) -> u64 {
    let count = u128::from(to - from) + 1;
    from + ((u128::from(random()) * count) >> 64) as u64
}
