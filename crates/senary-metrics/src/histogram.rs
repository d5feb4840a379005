//! A histogram of any floating-point numbers, from the smallest to the largest, positive and negative.
//!
//! A bucket holds the numbers that agree in their sign, their exponent and the first ten bits behind the leading one, and
//! stands for the smallest of them. So it is narrower than a thousandth of every number in it, and exact where they are all
//! the same. Two histograms add up to the one that all their numbers together would have made.

/// Bits behind the leading one that tell buckets apart.
const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;

/// Bits behind the leading one.
const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;

/// Every exponent there is, infinity's and those of subnormal numbers included, and one for none.
const PAGES: usize = (1 << (63 - MANTISSA)) + MANTISSA as usize;

/// A subnormal number times this is a normal one.
const LIFT_BITS: u32 = 64;
const LIFT: f64 = (1_u128 << LIFT_BITS) as f64;

/// The buckets of one exponent.
type Page = Box<[Bucket; BUCKETS]>;

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    negative: Magnitudes,
    zeros: u64,
    positive: Magnitudes,
}

/// The numbers of one sign.
#[derive(Clone, Debug, Default)]
struct Magnitudes {
    /// By exponent; none at all before there is a number.
    pages: Vec<Option<Page>>,
    count: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    count: u64,
    /// The smallest magnitude in it. Next to zero, where numbers of both signs are interpolated, it must be exact.
    least: f64,
}

impl Histogram {
    pub fn add(&mut self, number: f64) {
        if number == 0.0 {
            self.zeros += 1;
        } else if number.is_sign_negative() {
            self.negative.add(-number);
        } else {
            self.positive.add(number);
        }
    }

    /// The number at a rank, counted from 0 for the smallest.
    pub fn at(&self, rank: u64) -> f64 {
        let negatives = self.negative.count;
        if rank < negatives {
            -self.negative.at(negatives - 1 - rank)
        } else if rank - negatives < self.zeros {
            0.0
        } else {
            self.positive.at(rank - negatives - self.zeros)
        }
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.negative.count.saturating_add(self.zeros).saturating_add(self.positive.count)
    }

    /// The number of each bucket that is nearest to zero, and how many numbers are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let negative = self.negative.buckets().map(|bucket| (-bucket.least, bucket.count));
        let positive = self.positive.buckets().map(|bucket| (bucket.least, bucket.count));
        negative.chain((self.zeros > 0).then_some((0.0, self.zeros))).chain(positive)
    }

    /// Adds a bucket of another histogram. False if that makes too many numbers.
    pub fn add_bucket(&mut self, number: f64, count: u64) -> bool {
        let fits = self.count().checked_add(count).is_some();
        if !fits || count == 0 {
            return fits;
        }
        if number == 0.0 {
            self.zeros += count;
        } else if number.is_sign_negative() {
            self.negative.add_many(-number, count);
        } else {
            self.positive.add_many(number, count);
        }
        true
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.negative.bytes() + self.positive.bytes()
    }

    /// Adds the numbers of another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.negative.merge(&other.negative);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.positive.merge(&other.positive);
    }
}

impl Magnitudes {
    fn add(&mut self, magnitude: f64) {
        self.add_many(magnitude, 1);
    }

    fn add_many(&mut self, magnitude: f64, count: u64) {
        self.count += count;
        let (page, bucket) = place(magnitude);
        self.page(page)[bucket].add(count, magnitude);
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.pages.iter().flatten().flat_map(|page| page.iter()).filter(|bucket| bucket.count > 0)
    }

    fn bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        size_of_val(&*self.pages) + pages * size_of::<[Bucket; BUCKETS]>()
    }

    fn at(&self, rank: u64) -> f64 {
        let mut below = 0;
        let found = self.buckets().find(|bucket| {
            below += bucket.count;
            rank < below
        });
        found.map_or(0.0, |bucket| bucket.least)
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        for (exponent, page) in other.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            let own = self.page(exponent).iter_mut();
            own.zip(page.iter()).for_each(|(bucket, more)| bucket.add(more.count, more.least));
        }
    }

    fn page(&mut self, exponent: usize) -> &mut Page {
        if self.pages.is_empty() {
            self.pages.resize(PAGES, None);
        }
        self.pages[exponent].get_or_insert_with(|| Box::new([Bucket::default(); BUCKETS]))
    }
}

impl Bucket {
    fn add(&mut self, count: u64, least: f64) {
        if count > 0 && (self.count == 0 || least.total_cmp(&self.least).is_lt()) {
            self.least = least;
        }
        self.count = self.count.saturating_add(count);
    }
}

/// Where a magnitude above zero is counted. Places are in the order of the magnitudes.
fn place(magnitude: f64) -> (usize, usize) {
    let is_subnormal = magnitude < f64::MIN_POSITIVE;
    let bits = if is_subnormal { magnitude * LIFT } else { magnitude }.to_bits();
    let exponent = (bits >> MANTISSA) as usize + MANTISSA as usize;
    let page = if is_subnormal { exponent - LIFT_BITS as usize } else { exponent };
    (page, (bits >> (MANTISSA - BITS)) as usize % BUCKETS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_in_order_over_all_magnitudes() {
        let mut last = (0, 0);
        let numbers = [f64::from_bits(1), f64::MIN_POSITIVE.next_down(), f64::MIN_POSITIVE, 1.0, f64::MAX];
        for number in numbers.into_iter().chain([f64::INFINITY]) {
            let place = place(number);
            assert!(place > last, "{number:e}");
            last = place;
        }
        assert_eq!(last.0 + 1, PAGES);
    }

    #[test]
    fn equal_numbers_are_kept_exactly() {
        let mut histogram = Histogram::default();
        for number in [200.3, 200.3, -1.7e15, 200.3, 5e-324, -1.7e15] {
            histogram.add(number);
        }
        let numbers: Vec<_> = (0..6).map(|rank| histogram.at(rank)).collect();
        assert_eq!(numbers, [-1.7e15, -1.7e15, 5e-324, 200.3, 200.3, 200.3]);
    }

    proptest! {
        #[test]
        fn numbers_a_thousandth_apart_are_told_apart(
            number in prop::num::f64::POSITIVE | prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL
        ) {
            let larger = number * 1.001;
            prop_assert!(larger == number || place(larger) > place(number), "{number:e}");
        }

        #[test]
        fn histograms_add_up(numbers in prop::collection::vec(prop::num::f64::ANY, 1..60), at in 0usize..60) {
            let of = |numbers: &[f64]| {
                let mut histogram = Histogram::default();
                numbers.iter().for_each(|number| histogram.add(*number));
                histogram
            };
            let (left, right) = numbers.split_at(at.min(numbers.len()));
            let (whole, mut sum) = (of(&numbers), of(left));
            sum.merge(&of(right));
            for rank in 0..numbers.len() as u64 {
                prop_assert_eq!(sum.at(rank).to_bits(), whole.at(rank).to_bits());
            }
        }
    }
}
