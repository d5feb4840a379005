//! A histogram of the magnitudes of values. A bucket is at most a 32nd wide, so that a few hundred bytes hold the
//! distribution of an interval.
//!
//! These histograms are for charts; the summary's percentiles come from the sinks of `senary-metrics`, which are exact, or
//! nearly so, and take more memory.

use serde::{Deserialize, Serialize};

/// Buckets between a power of two and the next one.
pub const PER_OCTAVE: u16 = 32;
const PER_OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();

/// Values up to two to this power are in the first bucket, and so are those below zero.
pub const LOWEST: i32 = -20;
const OCTAVES: u16 = 64;
pub const BUCKETS: usize = OCTAVES as usize * PER_OCTAVE as usize;

/// Bits behind the leading one.
const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;

/// The bucket of a value.
pub fn bucket_of(value: f64) -> u16 {
    if value.is_nan() || value <= lower_limit(0) {
        return 0;
    }
    let bits = value.to_bits();
    let octave = (bits >> MANTISSA) as i32 - 1023 - LOWEST;
    let within = (bits >> (MANTISSA - PER_OCTAVE_BITS)) as u16 % PER_OCTAVE;
    match u16::try_from(octave) {
        Ok(octave) if octave < OCTAVES => octave * PER_OCTAVE + within,
        _ => BUCKETS as u16 - 1,
    }
}

/// The smallest value of a bucket.
pub fn lower_limit(bucket: u16) -> f64 {
    let octave = i32::from(bucket / PER_OCTAVE);
    2_f64.powi(LOWEST + octave) * (1.0 + f64::from(bucket % PER_OCTAVE) / f64::from(PER_OCTAVE))
}

/// The buckets that have values, in a few bytes each: how far a bucket is from the one before, and its count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Of counts by bucket.
    pub(super) fn of(counts: &[u32]) -> Self {
        let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(bucket, count)| (bucket as u16, u64::from(*count))).collect()
    }

    /// The buckets in order, and how many values are in each.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        let (mut rest, mut bucket) = (&self.0[..], 0_u64);
        std::iter::from_fn(move || {
            bucket += take_number(&mut rest)?;
            Some((bucket.min(BUCKETS as u64 - 1) as u16, take_number(&mut rest)?))
        })
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        let (mut own, mut more) = (self.iter().peekable(), other.iter().peekable());
        let merged: Self = std::iter::from_fn(|| match (own.peek().copied(), more.peek().copied()) {
            (Some((at, a)), Some((other, b))) if at == other => {
                own.next();
                more.next();
                Some((at, a.saturating_add(b)))
            }
            (Some((at, _)), Some((other, _))) if at > other => more.next(),
            (Some(_), _) => own.next(),
            (None, _) => more.next(),
        })
        .collect();
        drop(own);
        *self = merged;
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// The buckets have to come in order.
impl FromIterator<(u16, u64)> for Packed {
    fn from_iter<T: IntoIterator<Item = (u16, u64)>>(buckets: T) -> Self {
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (bucket, count) in buckets {
            push_number(&mut bytes, u64::from(bucket.saturating_sub(last)));
            push_number(&mut bytes, count);
            last = bucket;
        }
        Self(bytes.into())
    }
}

impl From<Packed> for Vec<(u16, u64)> {
    fn from(packed: Packed) -> Self {
        packed.iter().collect()
    }
}

impl From<Vec<(u16, u64)>> for Packed {
    fn from(mut buckets: Vec<(u16, u64)>) -> Self {
        buckets.sort_unstable();
        buckets.into_iter().filter(|(bucket, _)| usize::from(*bucket) < BUCKETS).collect()
    }
}

/// Seven bits a byte, the lowest first; the eighth bit says that there are more.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

/// Percentiles (0 to 100, rising) of the values in some buckets: interpolated within the bucket, and never outside of the
/// smallest and the largest value.
pub fn percentiles(
    buckets: impl Iterator<Item = (u16, u64)>,
    (count, min, max): (u64, f64, f64),
    wanted: &[f64],
) -> Vec<f64> {
    let mut found = vec![max; wanted.len()];
    let rank = |percent: f64| percent / 100.0 * count.saturating_sub(1) as f64;
    let (mut below, mut next) = (0u64, 0);
    for (bucket, here) in buckets {
        let above = below.saturating_add(here);
        while next < wanted.len() && rank(wanted[next]) < above as f64 {
            let share = (rank(wanted[next]) - below as f64 + 0.5) / here as f64;
            let lower = if bucket == 0 { min } else { lower_limit(bucket) };
            let upper = if usize::from(bucket) + 1 == BUCKETS { max } else { lower_limit(bucket + 1) };
            let (lower, upper) = (lower.max(min), upper.min(max));
            // Zeros lie in the lowest bucket with values that nobody tells from 0; between them nothing is to be interpolated.
            let upper = if bucket == 0 && min >= 0.0 { lower } else { upper };
            found[next] = (lower + (upper - lower) * share.clamp(0.0, 1.0)).clamp(min, max);
            next += 1;
        }
        below = above;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_all_magnitudes() {
        for value in [f64::NAN, f64::NEG_INFINITY, -5.0, 0.0, f64::MIN_POSITIVE, 2_f64.powi(LOWEST)] {
            assert_eq!(bucket_of(value), 0, "{value}");
        }
        assert_eq!(bucket_of(f64::MAX), BUCKETS as u16 - 1);
        assert_eq!(bucket_of(f64::INFINITY), BUCKETS as u16 - 1);
        assert_eq!(bucket_of(1.0), 20 * PER_OCTAVE);
    }

    proptest! {
        #[test]
        fn a_value_is_within_its_bucket(value in 1e-6_f64..1e12) {
            let bucket = bucket_of(value);
            prop_assert!(lower_limit(bucket) <= value && value < lower_limit(bucket + 1));
            prop_assert!(lower_limit(bucket + 1) / lower_limit(bucket) <= 1.0 + 1.0 / f64::from(PER_OCTAVE));
        }

        #[test]
        fn packed_buckets_come_back_and_add_up(
            left in prop::collection::btree_map(0..BUCKETS as u16, 1..u64::from(u32::MAX), 0..40),
            right in prop::collection::btree_map(0..BUCKETS as u16, 1..u64::from(u32::MAX), 0..40),
        ) {
            let packed: Packed = left.clone().into_iter().collect();
            prop_assert_eq!(packed.iter().collect::<std::collections::BTreeMap<_, _>>(), left.clone());
            let mut both = packed;
            both.merge(&right.clone().into_iter().collect());
            let mut expected = left;
            right.into_iter().for_each(|(bucket, count)| *expected.entry(bucket).or_default() += count);
            prop_assert_eq!(both.iter().collect::<std::collections::BTreeMap<_, _>>(), expected);
        }

        #[test]
        fn percentiles_are_right_to_a_bucket(mut values in prop::collection::vec(0.001_f64..1e6, 1..200)) {
            let mut counts = vec![0; BUCKETS];
            values.iter().for_each(|value| counts[usize::from(bucket_of(*value))] += 1);
            values.sort_by(f64::total_cmp);
            let (min, max) = (values[0], values[values.len() - 1]);
            let wanted = [0.0, 50.0, 90.0, 99.0, 100.0];
            let found = percentiles(Packed::of(&counts).iter(), (values.len() as u64, min, max), &wanted);
            for (percent, found) in wanted.into_iter().zip(found) {
                let rank = percent / 100.0 * (values.len() - 1) as f64;
                let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
                prop_assert!(found >= low * 0.968 && found <= high * 1.032, "p{}: {} not in {}..{}", percent, found, low, high);
            }
        }
    }
}
