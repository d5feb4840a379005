//! Native histograms: sparse buckets whose bounds are powers of two with a fraction of the schema's fineness.
//! (<https://prometheus.io/docs/specs/native_histograms/>)

use std::collections::BTreeMap;

/// Values up to this are zeros.
pub(super) const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);

/// The coarsest and the finest schema that a setting may name.
pub(super) const SCHEMAS: std::ops::RangeInclusive<i8> = -4..=8;

/// A cumulative histogram.
#[derive(Clone, Debug)]
pub(super) struct Native {
    schema: i8,
    count: u64,
    sum: f64,
    zeros: u64,
    positive: Buckets,
    negative: Buckets,
}

/// How many values fell into each bucket. Bucket `i` ends at, and includes, `2^(i / 2^schema)`.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(BTreeMap<i32, u64>);

/// Buckets as a message has them: runs of neighbours (the distance to the run before, and how many there are), and for each
/// bucket the difference of its count to that of the one before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    pub spans: Vec<(i32, u32)>,
    pub deltas: Vec<i64>,
}

impl Native {
    pub(super) fn new(schema: i8) -> Self {
        let (positive, negative) = (Buckets::default(), Buckets::default());
        Self { schema, count: 0, sum: 0.0, zeros: 0, positive, negative }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        // NaN belongs to no bucket, and no bucket ends beyond the largest number.
        if value.is_nan() || value.abs() <= ZERO_THRESHOLD {
            self.zeros += 1;
        } else {
            let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
            *side.0.entry(bucket(value.abs().min(f64::MAX), self.schema)).or_default() += 1;
        }
    }

    pub(super) fn schema(&self) -> i8 {
        self.schema
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn zeros(&self) -> u64 {
        self.zeros
    }

    pub(super) fn positive(&self) -> &Buckets {
        &self.positive
    }

    pub(super) fn negative(&self) -> &Buckets {
        &self.negative
    }
}

impl Buckets {
    pub(super) fn spans(&self) -> Spans {
        let mut out = Spans::default();
        let (mut next, mut before) = (0, 0_i64);
        for (&at, &count) in &self.0 {
            match out.spans.last_mut() {
                Some((_, length)) if at == next => *length += 1,
                _ => out.spans.push((at - next, 1)),
            }
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            out.deltas.push(count - before);
            (next, before) = (at + 1, count);
        }
        out
    }
}

/// The bucket of a positive, finite number: the first whose bound is not below it. Bounds are compared, not logarithms, so
/// that a number that is a bound is never rounded into the next bucket.
fn bucket(value: f64, schema: i8) -> i32 {
    let (fraction, exponent) = parts(value);
    if schema <= 0 {
        // The bound itself belongs to the bucket.
        let exponent = if fraction == 0.5 { exponent - 1 } else { exponent };
        let width = 1 << -schema;
        return exponent.div_euclid(width) + i32::from(exponent.rem_euclid(width) > 0);
    }
    let parts = 1_i32 << schema;
    let bound = |at: i32| (f64::from(at) / f64::from(parts)).exp2() / 2.0;
    // A first guess, off by one at most.
    let mut at = ((fraction * 2.0).log2() * f64::from(parts)).ceil() as i32;
    while at > 0 && bound(at - 1) >= fraction {
        at -= 1;
    }
    while bound(at) < fraction {
        at += 1;
    }
    at + (exponent - 1) * parts
}

/// A fraction from 0.5 to 1, and the exponent of two it has to be multiplied with.
fn parts(value: f64) -> (f64, i32) {
    // Every number above the zero threshold is a normal one.
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_of_the_default_schema() {
        for (value, at) in [(1.0, 0), (1.04, 1), (2.0, 8), (1000.0, 80), (0.001, -79), (3.0, 13), (0.5, -8)] {
            assert_eq!(bucket(value, 3), at, "{value}");
        }
        for (value, schema, at) in
            [(1.0, 0, 0), (1.5, 0, 1), (2.0, 0, 1), (4.0, -1, 1), (4.1, -1, 2), (0.25, -2, 0), (0.01, -2, -1)]
        {
            assert_eq!(bucket(value, schema), at, "{value} {schema}");
        }
    }

    #[test]
    fn spans_of_buckets() {
        let mut histogram = Native::new(3);
        [0.0, -0.0, 1.0, 1.0, 1.04, 2.0, 1000.0, -2.0, f64::NAN].into_iter().for_each(|v| histogram.add(v));
        assert_eq!((histogram.count(), histogram.zeros()), (9, 3));
        let spans = vec![(0, 2), (6, 1), (71, 1)];
        assert_eq!(histogram.positive().spans(), Spans { spans, deltas: vec![2, -1, 0, 0] });
        assert_eq!(histogram.negative().spans(), Spans { spans: vec![(8, 1)], deltas: vec![1] });
        histogram.add(f64::INFINITY);
        assert_eq!(histogram.positive().spans().spans.len(), 4);
    }

    proptest! {
        #[test]
        fn a_number_lies_between_the_bounds_of_its_bucket(value in 1e-30_f64..1e30, schema in -4_i8..=8) {
            let at = bucket(value, schema);
            let bound = |at: i32| (f64::from(at) * 2_f64.powi(-i32::from(schema))).exp2();
            // The bounds as computed here are off by a few units in the last place.
            prop_assert!(value <= bound(at) * (1.0 + 1e-12) && value > bound(at - 1) * (1.0 - 1e-12));
        }

        #[test]
        fn powers_of_two_end_their_buckets(exponent in -100_i32..100, schema in 0_i8..=8) {
            prop_assert_eq!(bucket(2_f64.powi(exponent), schema), exponent << schema);
        }
    }
}
