//! Sums without rounding errors: whatever is added, in whatever order and split over however many sums, the result is
//! the double next to the true one.
//!
//! A sum is one long integer in units of the smallest double, in digits of 32 bits. It keeps only the digits that its
//! numbers touch. Whole numbers, which most are, are added to an ordinary integer beside it, in one step.

use crate::written::{Damaged, Number, WrittenSum};

/// Bits of a digit. A digit is kept in 64, so that it takes many additions before anything has to be carried.
const DIGIT: u32 = 32;
const DIGIT_MASK: i64 = (1 << DIGIT) - 1;

/// Additions after which digits are carried: by then none of them has overflowed.
const CARRY_AFTER: u32 = 1 << 30;

/// Bits behind the leading one.
const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;

/// 53 bits that begin anywhere in a digit.
const DIGITS_OF_A_NUMBER: usize = 3;

/// Whole numbers below this are exact as integers and as doubles.
const MAX_WHOLE: u64 = 1 << f64::MANTISSA_DIGITS;

/// More digits than any sum has: those of the largest double, and some that its carries make.
const MAX_DIGITS: usize = 80;

/// The exponent of the smallest double.
const SMALLEST: i32 = -1074;

/// By this the sum of doubles that is itself too large for one is made smaller.
const SHRINK: i32 = -64;

#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// The sum of whole numbers that were not too large. The rest is in the digits.
    whole: i64,
    /// From the lowest on. The highest one has the sign.
    digits: Vec<i64>,
    /// Which digit of the long integer the first one is.
    first: usize,
    /// Additions since digits were carried.
    pending: u32,
    /// The sum of what was not finite.
    beyond: f64,
}

impl Sum {
    pub fn add(&mut self, number: f64) {
        // Where there was a fraction there are more: then it is not worth asking.
        if !self.digits.is_empty() || !self.add_whole(number) {
            self.add_any(number);
        }
    }

    /// Adds a whole number. False if it is none, or too large.
    fn add_whole(&mut self, number: f64) -> bool {
        let whole = number as i64;
        if whole as f64 != number || whole.unsigned_abs() >= MAX_WHOLE {
            return false;
        }
        let sum = self.whole.checked_add(whole);
        self.whole = sum.unwrap_or(self.whole);
        sum.is_some()
    }

    fn add_any(&mut self, number: f64) {
        if !number.is_finite() {
            self.beyond += number;
            return;
        }
        let bits = number.to_bits();
        let exponent = (bits >> MANTISSA) as u32 & 0x7ff;
        let fraction = bits & ((1 << MANTISSA) - 1);
        // Subnormal numbers have no leading one, and the exponent of the smallest normal ones.
        let magnitude = if exponent == 0 { fraction } else { fraction | (1 << MANTISSA) };
        if magnitude == 0 {
            return;
        }
        let sign = if number.is_sign_negative() { -1 } else { 1 };
        self.add_at(exponent.saturating_sub(1), magnitude, sign);
    }

    /// Adds a magnitude of so many times two to the power of a position, in units of the smallest double.
    #[inline]
    fn add_at(&mut self, position: u32, magnitude: u64, sign: i64) {
        let mut shifted = u128::from(magnitude) << (position % DIGIT);
        let first = (position / DIGIT) as usize;
        let at = match first.checked_sub(self.first) {
            Some(at) if at + DIGITS_OF_A_NUMBER <= self.digits.len() => at,
            _ => self.reach(first, DIGITS_OF_A_NUMBER),
        };
        for digit in &mut self.digits[at..at + DIGITS_OF_A_NUMBER] {
            *digit += sign * i64::from(shifted as u32);
            shifted >>= DIGIT;
        }
        self.pending += 1;
        if self.pending == CARRY_AFTER {
            self.carry();
        }
    }

    /// Adds what another sum has added.
    pub fn merge(&mut self, other: &Self) {
        self.beyond += other.beyond;
        if let Some(whole) = self.whole.checked_add(other.whole) {
            self.whole = whole;
        } else {
            self.spill();
            self.whole = other.whole;
        }
        if other.digits.is_empty() {
            return;
        }
        let mut other = other.clone();
        other.carry();
        self.carry();
        let at = self.reach(other.first, other.digits.len());
        for (digit, more) in self.digits[at..].iter_mut().zip(&other.digits) {
            *digit += more;
        }
        self.pending += 1;
    }

    /// The double next to the sum; infinite only if the sum is beyond the largest one.
    pub fn value(&self) -> f64 {
        self.times_two_to(0)
    }

    /// The sum's share of each of `count`.
    pub fn mean(&self, count: u64) -> f64 {
        let sum = self.value();
        if sum.is_finite() || self.beyond != 0.0 {
            return sum / count as f64;
        }
        self.times_two_to(SHRINK) / count as f64 * two_to(-SHRINK)
    }

    fn times_two_to(&self, exponent: i32) -> f64 {
        // `!=` also where it is not a number.
        if self.beyond != 0.0 {
            return self.beyond;
        }
        let mut of = self.clone();
        of.spill();
        of.carry();
        let is_negative = of.digits.last().is_some_and(|highest| *highest < 0);
        if is_negative {
            of.digits.iter_mut().for_each(|digit| *digit = -*digit);
            of.carry();
        }
        let Some(highest) = of.digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        // Three digits have more bits than a double; of the lower ones it counts only whether there is something.
        let digit = |below: usize| highest.checked_sub(below).map_or(0, |at| of.digits[at] as u128);
        let rest = of.digits[..highest.saturating_sub(2)].iter().any(|digit| *digit != 0);
        let leading = digit(0) << (2 * DIGIT) | digit(1) << DIGIT | digit(2) | u128::from(rest);
        let position = (of.first + highest) as i32 - 2;
        let magnitude = scaled(leading as f64, position * DIGIT as i32 + SMALLEST + exponent);
        if is_negative { -magnitude } else { magnitude }
    }

    /// Moves the whole numbers into the digits.
    fn spill(&mut self) {
        let whole = std::mem::take(&mut self.whole);
        if whole != 0 {
            self.add_at(SMALLEST.unsigned_abs(), whole.unsigned_abs(), whole.signum());
        }
    }

    pub(crate) fn written(&self) -> WrittenSum {
        let mut of = self.clone();
        of.spill();
        of.carry();
        WrittenSum { first: of.first, digits: of.digits, beyond: Number(of.beyond) }
    }

    pub(crate) fn read(written: WrittenSum) -> Result<Self, Damaged> {
        let WrittenSum { first, digits, beyond: Number(beyond) } = written;
        let end = first.checked_add(digits.len()).ok_or(Damaged::Sum)?;
        let in_range = digits.split_last().is_none_or(|(highest, lower)| {
            i32::try_from(*highest).is_ok() && lower.iter().all(|digit| (0..=DIGIT_MASK).contains(digit))
        });
        if end > MAX_DIGITS || !in_range {
            return Err(Damaged::Sum);
        }
        Ok(Self { whole: 0, digits, first, pending: 0, beyond })
    }

    /// Makes room for some digits, and returns where the first of them is.
    #[cold]
    fn reach(&mut self, first: usize, count: usize) -> usize {
        if self.digits.is_empty() {
            self.first = first;
        }
        if first < self.first {
            self.digits.splice(0..0, std::iter::repeat_n(0, self.first - first));
            self.first = first;
        }
        let at = first - self.first;
        if self.digits.len() < at + count {
            self.digits.resize(at + count, 0);
        }
        at
    }

    /// Brings all digits into 32 bits again; the highest one has a sign.
    fn carry(&mut self) {
        self.pending = 0;
        let Some((highest, lower)) = self.digits.split_last_mut() else { return };
        let mut carried = 0;
        for digit in lower {
            let full = *digit + carried;
            carried = full >> DIGIT;
            *digit = full & DIGIT_MASK;
        }
        *highest += carried;
        if i32::try_from(*highest).is_err() {
            let above = *highest >> DIGIT;
            *highest &= DIGIT_MASK;
            self.digits.push(above);
        }
    }
}

/// In two steps, neither of which leaves the range of doubles before the result does.
fn scaled(number: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    number * two_to(half) * two_to(exponent - half)
}

fn two_to(exponent: i32) -> f64 {
    2_f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(numbers: &[f64]) -> Sum {
        let mut sum = Sum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        sum
    }

    #[test]
    fn small_numbers_are_not_lost_beside_large_ones() {
        let large = 2_f64.powi(53);
        assert_eq!(sum(&[large, 1.0, 1.0]).value(), large + 2.0);
        assert_eq!(sum(&[1e300, 1e-300, -1e300]).value(), 1e-300);
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_eq!(sum(&[-0.1; 10]).value(), -1.0);
        assert_eq!(Sum::default().value(), 0.0);
    }

    #[test]
    fn a_mean_exists_where_a_sum_does_not() {
        let of = sum(&[f64::MAX; 3]);
        assert_eq!((of.value(), of.mean(3)), (f64::INFINITY, f64::MAX));
        let of = sum(&[-1e308; 1000]);
        assert_eq!((of.value(), of.mean(1000)), (f64::NEG_INFINITY, -1e308));
        assert_eq!(sum(&[1.0, f64::INFINITY]).mean(2), f64::INFINITY);
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).value().is_nan());
        assert!(sum(&[f64::NAN, 1.0]).mean(2).is_nan());
    }

    #[test]
    fn digits_are_carried_in_time() {
        let mut of = Sum { pending: CARRY_AFTER - 1, ..sum(&[-3.5]) };
        of.digits.iter_mut().for_each(|digit| *digit -= 1 << 61);
        let before = of.value();
        of.add(1.5);
        assert!(of.pending == 0 && of.digits[0] <= DIGIT_MASK, "{of:?}");
        assert_eq!(of.value(), before + 1.5);
        let digits = of.digits.len();
        for _ in 0..10 {
            of.carry();
        }
        assert_eq!(of.digits.len(), digits, "a number below zero does not grow by itself");
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO
    }

    #[test]
    fn whole_numbers_add_up_beyond_what_an_integer_holds() {
        let most = (MAX_WHOLE - 1) as f64;
        let mut of = sum(&[most; 2000]);
        assert!(!of.digits.is_empty(), "these are too many for an integer");
        assert_eq!(of.value(), (i128::from(MAX_WHOLE - 1) * 2000) as f64);
        of.merge(&of.clone());
        assert_eq!(of.value(), (i128::from(MAX_WHOLE - 1) * 4000) as f64);
        assert_eq!(sum(&[i64::MAX as f64, -1.0, 0.5]).value(), i64::MAX as f64);
        assert_eq!(sum(&[-0.0, 2.0, -2.0]).value(), 0.0);
    }

    #[test]
    fn what_is_no_sum_is_refused() {
        for (first, digits) in [(usize::MAX, vec![1]), (79, vec![0, 1]), (0, vec![-1, 1]), (0, vec![1 << 31])]
        {
            let written = WrittenSum { first, digits, beyond: Number(0.0) };
            assert_eq!(Sum::read(written).err(), Some(Damaged::Sum));
        }
    }

    proptest! {
        #[test]
        fn two_numbers_make_what_the_processor_says(a in finite(), b in finite()) {
            prop_assert_eq!(sum(&[a, b]).value(), a + b);
        }

        #[test]
        fn what_cancels_leaves_no_trace(others in prop::collection::vec(finite(), 0..20), a in finite(), b in finite()) {
            let mut numbers = others.clone();
            numbers.extend([a, b]);
            numbers.extend(others.iter().map(|number| -number));
            prop_assert_eq!(sum(&numbers).value(), a + b);
        }

        #[test]
        fn integers_add_up(numbers in prop::collection::vec(-(1_i64 << 53)..1 << 53, 0..50)) {
            let exact: i128 = numbers.iter().map(|n| i128::from(*n)).sum();
            let of: Vec<f64> = numbers.iter().map(|n| *n as f64).collect();
            prop_assert_eq!(sum(&of).value(), exact as f64);
        }

        #[test]
        fn a_sum_is_read_as_it_was_written(numbers in prop::collection::vec(finite(), 0..40), more in finite()) {
            let mut whole = sum(&numbers);
            let mut read = Sum::read(whole.written()).unwrap();
            prop_assert_eq!(read.value(), whole.value());
            for of in [&mut whole, &mut read] {
                of.add(more);
            }
            prop_assert_eq!(read.value(), whole.value());
        }

        #[test]
        fn sums_merge_into_the_sum_of_all(mut numbers in prop::collection::vec(finite(), 1..40), at in 0usize..40) {
            let whole = sum(&numbers);
            numbers.reverse();
            let (left, right) = numbers.split_at(at.min(numbers.len()));
            let mut merged = sum(left);
            merged.merge(&sum(right));
            prop_assert_eq!(merged.value(), whole.value());
            prop_assert_eq!(merged.mean(7), whole.mean(7));
        }
    }
}
