//! The values of a trend apart from it: they are collected from several places, in any order, before the trend gets them.

use crate::distribution::Distribution;
use crate::written::Damaged;

/// Values a trend keeps exactly (8 MB); up to these its percentiles are the reference's to the last digit.
pub const EXACT_VALUES: usize = 1 << 20;

/// The values of a hollow trend, or some of them. Whatever the order in which they come together, the result is the same.
#[derive(Clone, Debug, Default)]
pub struct TrendValues {
    /// One list, and not blocks: what small blocks leave behind when they are sorted stays with the process.
    exact: Vec<f64>,
    /// All values, from when there are too many of them, or buckets.
    beyond: Option<Distribution>,
}

impl TrendValues {
    /// Adds values, which must be sorted.
    pub fn add(&mut self, sorted: &[f64]) -> Result<(), Damaged> {
        if !sorted.is_sorted_by(|a, b| a.total_cmp(b).is_le()) {
            return Err(Damaged::Trend);
        }
        if self.beyond.is_none() && self.exact.len() + sorted.len() <= EXACT_VALUES {
            self.exact.extend_from_slice(sorted);
        } else {
            let histogram = self.go_beyond();
            sorted.iter().for_each(|value| histogram.add(*value));
        }
        Ok(())
    }

    /// Adds the buckets that values fall into, as [`TrendSink::buckets`](crate::sink::TrendSink::buckets) gives them.
    pub fn add_buckets(&mut self, buckets: impl IntoIterator<Item = (f64, u64)>) -> Result<(), Damaged> {
        self.go_beyond().add_buckets(buckets)
    }

    pub fn merge(&mut self, other: Self) {
        if let Some(histogram) = &other.beyond {
            self.go_beyond().merge(histogram);
        } else if self.beyond.is_none() && self.exact.len() + other.exact.len() <= EXACT_VALUES {
            self.exact.extend_from_slice(&other.exact);
        } else {
            let histogram = self.go_beyond();
            other.exact.iter().for_each(|value| histogram.add(*value));
        }
    }

    /// About how much memory they take, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.exact) + self.beyond.as_ref().map_or(0, Distribution::bytes)
    }

    fn go_beyond(&mut self) -> &mut Distribution {
        let exact = std::mem::take(&mut self.exact);
        let histogram = self.beyond.get_or_insert_with(|| Distribution::exact_up_to(0));
        exact.iter().for_each(|value| histogram.add(*value));
        histogram
    }

    pub(crate) fn sorted(mut self) -> Result<Distribution, Damaged> {
        if let Some(histogram) = self.beyond {
            return Ok(histogram);
        }
        // Stable, because that takes advantage of what is sorted in itself, as the values of each state are.
        self.exact.sort_by(f64::total_cmp);
        self.exact.shrink_to_fit();
        Distribution::of_sorted(self.exact, EXACT_VALUES)
    }
}
