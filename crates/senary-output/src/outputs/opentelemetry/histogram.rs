//! Histograms of a Trend: with buckets of a constant relative width (base-2 exponential), or with bounds that are given.

/// The most buckets for numbers of one sign, as in the SDKs.
const MAX_BUCKETS: i64 = 160;

/// The finest scale: 2^20 buckets from a number to its double.
const FINEST: i32 = 20;

/// The coarsest scale: one bucket for all numbers above 1, and one for all others.
const COARSEST: i32 = -10;

/// The bounds of the SDKs.
pub(super) const BOUNDS: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// Counts in the buckets between [`BOUNDS`]; a bound belongs to the bucket below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Explicit(pub(super) [u64; BOUNDS.len() + 1]);

impl Explicit {
    pub(super) fn add(&mut self, number: f64) {
        self.0[BOUNDS.partition_point(|bound| *bound < number)] += 1;
    }
}

/// Counts in buckets that are all as wide in relation to their numbers. Bucket `i` of scale `s` has what is above
/// `2^(i / 2^s)`, up to `2^((i + 1) / 2^s)`. The scale is as fine as the numbers seen so far allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exponential {
    pub(super) scale: i32,
    pub(super) zeros: u64,
    pub(super) positive: Counts,
    pub(super) negative: Counts,
}

/// The buckets of one sign, from the first that has something to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { scale: FINEST, zeros: 0, positive: Counts::default(), negative: Counts::default() }
    }
}

impl Exponential {
    /// Counts a number that is finite.
    pub(super) fn add(&mut self, number: f64) {
        let magnitude = number.abs();
        if magnitude == 0.0 {
            self.zeros += 1;
            return;
        }
        let mut index = index(magnitude, self.scale);
        let counts = if number > 0.0 { &self.positive } else { &self.negative };
        let coarser = counts.too_fine_by(index).min(self.scale - COARSEST);
        if coarser > 0 {
            self.scale -= coarser;
            self.positive.merge_by(coarser);
            self.negative.merge_by(coarser);
            index >>= coarser;
        }
        if number > 0.0 { self.positive.count(index) } else { self.negative.count(index) }
    }
}

impl Counts {
    /// By how much the scale has to become coarser, for a bucket to be added.
    fn too_fine_by(&self, index: i32) -> i32 {
        if self.counts.is_empty() {
            return 0;
        }
        let (first, last) = (i64::from(self.offset), i64::from(self.offset) + self.counts.len() as i64 - 1);
        let (mut first, mut last) = (first.min(i64::from(index)), last.max(i64::from(index)));
        let mut by = 0;
        while last - first >= MAX_BUCKETS {
            first >>= 1;
            last >>= 1;
            by += 1;
        }
        by
    }

    /// Merges `2^by` buckets into one.
    fn merge_by(&mut self, by: i32) {
        let Some(offset) = (!self.counts.is_empty()).then_some(self.offset >> by) else { return };
        let mut merged = Vec::with_capacity((self.counts.len() >> by) + 2);
        for (at, count) in (self.offset..).zip(&self.counts) {
            let place = ((at >> by) - offset) as usize;
            merged.resize(merged.len().max(place + 1), 0);
            merged[place] += count;
        }
        *self = Self { offset, counts: merged };
    }

    fn count(&mut self, index: i32) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        if index < self.offset {
            let more = (self.offset - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.offset = index;
        }
        let place = (index - self.offset) as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
    }
}

/// The bucket of a number above zero.
fn index(number: f64, scale: i32) -> i32 {
    let (fraction, exponent) = parts(number);
    if scale <= 0 {
        // A power of two is the upper bound of its bucket.
        let whole = if fraction == 1.0 { exponent - 1 } else { exponent };
        return whole >> -scale;
    }
    let parts = f64::from(1 << scale);
    if fraction == 1.0 {
        return (exponent << scale) - 1;
    }
    // The logarithm of the fraction alone has all its digits for the place within the octave.
    let within = (fraction.log2() * parts).ceil() as i32 - 1;
    (exponent << scale) + within.clamp(0, (1 << scale) - 1)
}

/// A fraction from 1 up to 2, and the power of two that it is to be multiplied with.
fn parts(number: f64) -> (f64, i32) {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: i32 = 1023;
    let (number, lifted) =
        if number < f64::MIN_POSITIVE { (number * (1_u64 << 54) as f64, 54) } else { (number, 0) };
    let bits = number.to_bits();
    let exponent = (bits >> MANTISSA) as i32 - BIAS;
    let fraction = f64::from_bits(bits & ((1 << MANTISSA) - 1) | 1.0_f64.to_bits());
    (fraction, exponent - lifted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[f64]) -> Exponential {
        let mut histogram = Exponential::default();
        numbers.iter().for_each(|number| histogram.add(*number));
        histogram
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below() {
        let mut explicit = Explicit::default();
        for number in [0.0, 1.0, 5.0, 7.0, 30.0, 30.0, 99.5, 100.0, 20_000.0, -4.0] {
            explicit.add(number);
        }
        assert_eq!(explicit.0, [2, 2, 1, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(index(1.0, 0), -1);
        assert_eq!(index(2.0, 0), 0);
        assert_eq!(index(2.0, 3), 7);
        assert_eq!(index(2.0_f64.next_up(), 3), 8);
        assert_eq!((index(1.5, -1), index(4.0, -1), index(5.0, -1)), (0, 0, 1));
        assert_eq!((index(0.25, -1), index(0.3, -1)), (-2, -1));
    }

    #[test]
    fn the_scale_is_as_fine_as_the_numbers_allow() {
        assert_eq!(of(&[3.0]).scale, FINEST);
        assert_eq!(of(&[1.0, 1.5, 2.0, 30.0, 1000.0, 20_000.0]).scale, 3);
        let all = of(&[f64::from_bits(1), 1.0, f64::MAX]);
        assert!(all.scale < -3 && all.positive.counts.iter().sum::<u64>() == 3, "{all:?}");
    }

    #[test]
    fn zeros_and_both_signs_are_counted() {
        let histogram = of(&[0.0, -0.0, -1.0, 4.0, -100.0, 4.0]);
        assert_eq!(histogram.zeros, 2);
        assert_eq!(histogram.positive.counts, [2]);
        assert_eq!(histogram.negative.counts.iter().sum::<u64>(), 2);
    }

    /// The logarithm to the base two of the bounds of a bucket.
    fn bounds(index: i32, scale: i32) -> (f64, f64) {
        let width = 2.0_f64.powi(-scale);
        (f64::from(index) * width, (f64::from(index) + 1.0) * width)
    }

    proptest! {
        #[test]
        fn every_number_is_in_its_bucket(
            number in prop::num::f64::POSITIVE | prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL,
            scale in COARSEST..=FINEST,
        ) {
            let (above, upto) = bounds(index(number, scale), scale);
            let log = number.log2();
            let slack = 1e-12 * log.abs().max(1.0);
            prop_assert!(above - slack <= log && log <= upto + slack, "{above} {log} {upto}");
        }

        #[test]
        fn nothing_is_lost_however_numbers_spread(numbers in prop::collection::vec(-1e9..1e9, 1..300)) {
            let histogram = of(&numbers);
            for (counts, sign) in [(&histogram.positive, 1.0), (&histogram.negative, -1.0)] {
                let mine: Vec<_> = numbers.iter().map(|n: &f64| n * sign).filter(|n| *n > 0.0).collect();
                prop_assert!(counts.counts.len() as i64 <= MAX_BUCKETS);
                prop_assert_eq!(counts.counts.iter().sum::<u64>(), mine.len() as u64);
                for (at, count) in (counts.offset..).zip(&counts.counts) {
                    let here = mine.iter().filter(|n| index(**n, histogram.scale) == at).count();
                    prop_assert_eq!(*count, here as u64);
                }
            }
        }
    }
}
