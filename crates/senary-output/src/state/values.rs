//! The values of trends, packed: sorted, as the steps from each to the next.
//!
//! Most values are durations that were measured in whole nanoseconds and are kept as milliseconds. Where every value of a
//! trend comes from a whole number in such a way, the steps are those between these numbers, which are small. Otherwise they
//! are steps between the bits of the doubles, in the order of the doubles.

use std::time::Duration;

/// Whole numbers below this are exact as doubles.
const MAX_WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// More buckets than a histogram can have.
const MAX_BUCKETS: usize = 1 << 23;

/// How values come from whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// From the bits of a double.
    Bits = 0,
    Whole = 1,
    /// Milliseconds of a duration of whole nanoseconds.
    Nanoseconds = 2,
    /// The same, worked out in one step.
    Millionths = 3,
}

impl Form {
    const ALL: [Self; 4] = [Self::Whole, Self::Nanoseconds, Self::Millionths, Self::Bits];

    fn value(self, key: u64) -> f64 {
        match self {
            Self::Bits => double_of(key),
            Self::Whole => key as f64,
            Self::Nanoseconds => Duration::from_nanos(key).as_secs_f64() * 1e3,
            Self::Millionths => key as f64 / 1e6,
        }
    }

    /// The whole number that a value comes from; `None` if there is none that gives exactly this value.
    fn key(self, value: f64) -> Option<u64> {
        let scaled = match self {
            Self::Bits => return Some(key_of(value)),
            Self::Whole => value,
            Self::Nanoseconds | Self::Millionths => value * 1e6,
        };
        let key = (0.0..MAX_WHOLE).contains(&scaled).then(|| scaled.round() as u64)?;
        (self.value(key).to_bits() == value.to_bits()).then_some(key)
    }
}

/// A number for each double, in the order of the doubles.
fn key_of(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_sign_negative() { !bits } else { bits | 1 << 63 }
}

fn double_of(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Packs values, which must be sorted.
pub(super) fn pack(values: &[f64], into: &mut Vec<u8>) {
    let form = Form::ALL.into_iter().find(|form| values.iter().all(|value| form.key(*value).is_some()));
    let form = form.unwrap_or(Form::Bits);
    into.push(form as u8);
    push_number(into, values.len() as u64);
    let mut last = 0;
    for value in values {
        let key = form.key(*value).unwrap_or(last);
        push_number(into, key.saturating_sub(last));
        last = key;
    }
}

/// Takes up to `most` values from the front of the packed bytes. Returns `None` if they are damaged.
pub(super) fn unpack(packed: &mut &[u8], most: usize) -> Option<Vec<f64>> {
    let (form, rest) = packed.split_first()?;
    *packed = rest;
    let form = Form::ALL.into_iter().find(|known| *known as u8 == *form)?;
    let count = take_number(packed)?;
    // Each value takes a byte at least.
    if count > packed.len().min(most) as u64 {
        return None;
    }
    let mut values = Vec::with_capacity(count as usize);
    let mut key: u64 = 0;
    for _ in 0..count {
        key = key.checked_add(take_number(packed)?)?;
        values.push(form.value(key));
    }
    Some(values)
}

/// Packs buckets of a histogram: of each a number in it, and how many there are. They must be in the order of the numbers.
pub(super) fn pack_buckets(buckets: &[(f64, u64)], into: &mut Vec<u8>) {
    let numbers: Vec<_> = buckets.iter().map(|(number, _)| *number).collect();
    pack(&numbers, into);
    buckets.iter().for_each(|(_, count)| push_number(into, *count));
}

pub(super) fn unpack_buckets(packed: &mut &[u8]) -> Option<Vec<(f64, u64)>> {
    let numbers = unpack(packed, MAX_BUCKETS)?;
    numbers.into_iter().map(|number| Some((number, take_number(packed)?))).collect()
}

/// Seven bits a byte, the lowest first; the eighth bit says that there are more.
fn push_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(values, &mut bytes);
        bytes
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn durations_take_little() {
        let of = |value: fn(u64) -> f64| {
            let values: Vec<_> = (0..1000).map(|at| value(1_000_000 + at * 90)).collect();
            packed(&values).len()
        };
        let lengths = [
            of(|at| at as f64),
            of(|at| Duration::from_nanos(at).as_secs_f64() * 1e3),
            of(|at| at as f64 / 1e6),
        ];
        assert!(lengths.iter().all(|length| *length < 1010), "{lengths:?}");
    }

    #[test]
    fn a_lie_about_the_count_takes_no_memory() {
        let mut lie = vec![Form::Whole as u8];
        push_number(&mut lie, u64::MAX);
        assert_eq!(unpack(&mut lie.as_slice(), usize::MAX), None);
    }

    proptest! {
        #[test]
        fn any_values_come_back_to_the_last_bit(mut values in prop::collection::vec(any::<u64>(), 0..60), scale in 0usize..4) {
            let mut values: Vec<_> = values.drain(..).map(|bits| match scale {
                0 => f64::from_bits(bits),
                1 => (bits >> 12) as f64,
                2 => Duration::from_nanos(bits >> 12).as_secs_f64() * 1e3,
                _ => (bits >> 12) as f64 / 1e6,
            }).collect();
            values.sort_by(f64::total_cmp);
            let bytes = packed(&values);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(unpack(&mut rest, usize::MAX).map(|read| bits(&read)), Some(bits(&values)));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (unpack(&mut bytes.as_slice(), usize::MAX), unpack_buckets(&mut bytes.as_slice()));
        }
    }
}
