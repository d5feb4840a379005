//! The distribution of a trend: every value, up to a bound, and beyond it a histogram.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::written::{Damaged, Number, WrittenValues};

/// Values of a block. A clone copies one block at most and shares the others. A block is large enough for the allocator to
/// give it back to the system when it is freed; small ones would stay with the process when a trend becomes a histogram.
const BLOCK: usize = 32768;

#[derive(Clone, Debug)]
pub(crate) enum Distribution {
    Exact(Values),
    Beyond(Box<Histogram>),
}

/// Values in no order. Those that were there when a percentile was last asked for are sorted.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    sorted: Arc<Vec<f64>>,
    /// What came since, in blocks, and how many values all of these are.
    blocks: Vec<Arc<Vec<f64>>>,
    sealed: usize,
    /// What came last, and how many values it may come to.
    last: Vec<f64>,
    limit: usize,
    most: usize,
}

impl Distribution {
    /// Keeps up to `most` values exactly.
    pub(crate) fn exact_up_to(most: usize) -> Self {
        let (sorted, blocks, last) = (Arc::default(), Vec::new(), Vec::new());
        Self::Exact(Values { sorted, blocks, sealed: 0, last, limit: BLOCK.min(most), most })
    }

    pub(crate) fn add(&mut self, value: f64) {
        match self {
            Self::Beyond(histogram) => histogram.add(value),
            Self::Exact(values) if values.last.len() < values.limit => values.last.push(value),
            Self::Exact(values) => {
                let has_room = values.seal();
                match self {
                    Self::Exact(values) if has_room => values.last.push(value),
                    _ => self.go_beyond().add(value),
                }
            }
        }
    }

    /// Adds the values of another distribution. The smaller bound holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Exact(values), Self::Exact(more)) if values.has_room_for(more) => values.merge(more),
            (this, Self::Exact(more)) => {
                let histogram = this.go_beyond();
                more.all().for_each(|value| histogram.add(value));
            }
            (this, Self::Beyond(more)) => this.go_beyond().merge(more),
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Exact(values) => values.count() as u64,
            Self::Beyond(histogram) => histogram.count(),
        }
    }

    /// About how much memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Exact(values) => values.count() * size_of::<f64>(),
            Self::Beyond(histogram) => histogram.bytes(),
        }
    }

    /// The value at a rank, counted from 0 for the smallest. The rank must be below the number of values.
    pub(crate) fn at(&mut self, rank: u64) -> f64 {
        match self {
            Self::Exact(values) => values.sorted()[rank as usize],
            Self::Beyond(histogram) => histogram.at(rank),
        }
    }

    pub(crate) fn written(&self) -> WrittenValues {
        match self {
            Self::Exact(values) => {
                WrittenValues::Exact { most: values.most, values: values.all().map(Number).collect() }
            }
            Self::Beyond(histogram) => {
                WrittenValues::Buckets(histogram.buckets().map(|(at, count)| (Number(at), count)).collect())
            }
        }
    }

    pub(crate) fn read(written: WrittenValues) -> Result<Self, Damaged> {
        match written {
            WrittenValues::Exact { most, values } => {
                let mut read = Self::exact_up_to(most);
                values.iter().for_each(|Number(value)| read.add(*value));
                Ok(read)
            }
            WrittenValues::Buckets(buckets) => {
                Self::of_buckets(buckets.into_iter().map(|(Number(at), count)| (at, count)))
            }
        }
    }

    /// All values, sorted; `None` if they are no longer known exactly.
    pub(crate) fn sorted(&mut self) -> Option<&[f64]> {
        match self {
            Self::Exact(values) => Some(values.sorted()),
            Self::Beyond(_) => None,
        }
    }

    /// A distribution of values that are sorted already.
    pub(crate) fn of_sorted(values: Vec<f64>, most: usize) -> Result<Self, Damaged> {
        let is_sorted = values.is_sorted_by(|a, b| a.total_cmp(b).is_le());
        if values.len() > most || !is_sorted {
            return Err(Damaged::Trend);
        }
        let (sealed, blocks, last) = (values.len(), Vec::new(), Vec::new());
        let limit = BLOCK.min(most - sealed);
        Ok(Self::Exact(Values { sorted: Arc::new(values), blocks, sealed, last, limit, most }))
    }

    /// A distribution of buckets: a number in each, the one nearest to zero, and how many numbers there are.
    pub(crate) fn of_buckets(buckets: impl IntoIterator<Item = (f64, u64)>) -> Result<Self, Damaged> {
        let mut read = Self::Beyond(Box::default());
        read.add_buckets(buckets)?;
        Ok(read)
    }

    /// Adds the numbers of buckets; from then on there is only a histogram.
    pub(crate) fn add_buckets(
        &mut self,
        buckets: impl IntoIterator<Item = (f64, u64)>,
    ) -> Result<(), Damaged> {
        let histogram = self.go_beyond();
        let fits = buckets.into_iter().all(|(at, count)| histogram.add_bucket(at, count));
        if fits { Ok(()) } else { Err(Damaged::Trend) }
    }

    /// The buckets that a histogram of the values has, from the lowest on.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        match self {
            Self::Beyond(histogram) => sorted_buckets(histogram),
            Self::Exact(values) => {
                let mut histogram = Histogram::default();
                values.all().for_each(|value| histogram.add(value));
                sorted_buckets(&histogram)
            }
        }
    }

    /// Moves exact values into a histogram.
    fn go_beyond(&mut self) -> &mut Histogram {
        if let Self::Exact(values) = self {
            let mut histogram = Box::<Histogram>::default();
            values.all().for_each(|value| histogram.add(value));
            *self = Self::Beyond(histogram);
        }
        match self {
            Self::Beyond(histogram) => histogram,
            Self::Exact(_) => unreachable!("they were just moved"),
        }
    }
}

impl Values {
    fn count(&self) -> usize {
        self.sealed + self.last.len()
    }

    /// Makes a block of the last values. False if there may be no more.
    #[cold]
    fn seal(&mut self) -> bool {
        let full = std::mem::replace(&mut self.last, Vec::with_capacity(BLOCK));
        self.sealed += full.len();
        self.blocks.push(Arc::new(full));
        self.limit = BLOCK.min(self.most - self.sealed);
        self.limit > 0
    }

    fn has_room_for(&self, more: &Self) -> bool {
        self.count() + more.count() <= self.most.min(more.most)
    }

    fn merge(&mut self, more: &Self) {
        let most = self.most.min(more.most);
        if self.count() == 0 {
            // What is sorted there is sorted here, and in memory once.
            self.clone_from(more);
        } else {
            let last = (!more.last.is_empty()).then(|| Arc::new(more.last.clone()));
            let sorted = (!more.sorted.is_empty()).then(|| more.sorted.clone());
            self.blocks.extend(sorted.into_iter().chain(more.blocks.iter().cloned()).chain(last));
            self.sealed += more.count();
        }
        self.most = most;
        self.limit = BLOCK.min(most - self.sealed);
    }

    fn all(&self) -> impl Iterator<Item = f64> {
        let blocks = [&self.sorted].into_iter().chain(&self.blocks);
        blocks.flat_map(|block| block.iter()).chain(&self.last).copied()
    }

    /// Sorts what came since the last time into what was sorted then.
    fn sorted(&mut self) -> &[f64] {
        if self.sorted.len() < self.count() {
            let mut new = Vec::with_capacity(self.count() - self.sorted.len());
            self.blocks.drain(..).for_each(|block| new.extend_from_slice(&block));
            new.append(&mut self.last);
            // Stable, because that takes advantage of blocks that are sorted in themselves, as those of other processes are.
            new.sort_by(f64::total_cmp);
            let values = merged(Arc::unwrap_or_clone(std::mem::take(&mut self.sorted)), new);
            self.sealed = values.len();
            self.limit = BLOCK.min(self.most - self.sealed);
            self.sorted = Arc::new(values);
        }
        &self.sorted
    }
}

/// The buckets of a histogram in the order of their numbers.
fn sorted_buckets(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut buckets: Vec<_> = histogram.buckets().collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets
}

/// Two sorted lists as one. The larger one stays in its place, so that this takes no memory beyond the result.
fn merged(mut values: Vec<f64>, new: Vec<f64>) -> Vec<f64> {
    if values.is_empty() {
        return new;
    }
    let (mut left, mut right) = (values.len(), new.len());
    values.reserve_exact(right);
    values.resize(left + right, 0.0);
    // From the largest down: what is written never catches up with what is still to be read.
    for at in (0..values.len()).rev() {
        if right == 0 {
            break;
        }
        if left > 0 && values[left - 1].total_cmp(&new[right - 1]).is_gt() {
            left -= 1;
            values[at] = values[left];
        } else {
            right -= 1;
            values[at] = new[right];
        }
    }
    values
}
