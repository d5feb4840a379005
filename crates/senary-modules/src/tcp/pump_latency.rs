//! How long the requests of a pump took, for its result. Thousands of pumps may run at once: what one keeps is small.
//!
//! Up to a bound every time is kept. Beyond it, times are counted in buckets, each narrower than a 256th of its values.
//! The run's own metrics have every time.

/// At most this many times are kept exactly (16 KB).
const EXACT: usize = 2048;

/// Further times are gathered (2 KB) and counted in groups of this size: counting each one immediately would wait for
/// memory every time.
const AT_ONCE: usize = 256;

/// Bits behind the leading one that tell buckets apart.
const BITS: u32 = 7;
const BUCKETS: usize = 1 << BITS;

/// The buckets of one power of two (1 KB).
type Page = Box<[u64; BUCKETS]>;

/// Times in nanoseconds.
pub struct Latencies {
    count: u64,
    sum: u128,
    least: u64,
    most: u64,
    /// Those that are in no bucket yet: all, up to the bound.
    latest: Vec<u64>,
    /// By exponent, from the smallest that a bucket is kept for; those below it have no fraction.
    pages: Vec<Option<Page>>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { count: 0, sum: 0, least: u64::MAX, most: 0, latest: Vec::new(), pages: Vec::new() }
    }
}

impl Latencies {
    pub fn add(&mut self, time: u64) {
        self.count += 1;
        self.sum += u128::from(time);
        self.least = self.least.min(time);
        self.most = self.most.max(time);
        let room = if self.pages.is_empty() { EXACT } else { AT_ONCE };
        if self.latest.len() >= room {
            self.fold();
        }
        self.latest.push(time);
    }

    /// Counts the latest times.
    #[cold]
    fn fold(&mut self) {
        let times = std::mem::replace(&mut self.latest, Vec::with_capacity(AT_ONCE));
        times.iter().for_each(|time| count(&mut self.pages, *time));
    }

    pub fn min(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.least as f64 }
    }

    pub fn max(&self) -> f64 {
        self.most as f64
    }

    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The times at these percentiles (0 to 100), which rise: linear interpolation at rank p·(n−1). 0 without any.
    pub fn percentiles<const N: usize>(&mut self, percentiles: [f64; N]) -> [f64; N] {
        if self.count == 0 {
            return [0.0; N];
        }
        if self.pages.is_empty() {
            self.latest.sort_unstable();
        } else {
            self.fold();
        }
        percentiles.map(|percentile| {
            let rank = percentile / 100.0 * (self.count - 1) as f64;
            let (below, above) = (self.at(rank.floor() as u64), self.at(rank.ceil() as u64));
            below + (above - below) * rank.fract()
        })
    }

    /// The time at a rank, counted from 0 for the smallest.
    fn at(&self, rank: u64) -> f64 {
        if rank == 0 {
            return self.least as f64;
        }
        if rank + 1 >= self.count {
            return self.most as f64;
        }
        if self.pages.is_empty() {
            return self.latest.get(rank as usize).copied().unwrap_or_default() as f64;
        }
        let mut below = 0;
        for (page, buckets) in self.pages.iter().enumerate() {
            for (bucket, count) in buckets.iter().flat_map(|buckets| buckets.iter()).enumerate() {
                below += count;
                if rank < below {
                    return middle(page, bucket).clamp(self.least as f64, self.most as f64);
                }
            }
        }
        self.most as f64
    }
}

fn count(pages: &mut Vec<Option<Page>>, time: u64) {
    let (page, bucket) = place(time);
    if pages.len() <= page {
        pages.resize(page + 1, None);
    }
    pages[page].get_or_insert_with(|| Box::new([0; BUCKETS]))[bucket] += 1;
}

/// Page 0 has the times below `BUCKETS`, each in a bucket of its own.
fn place(time: u64) -> (usize, usize) {
    let exponent = (time | 1).ilog2();
    match exponent.checked_sub(BITS) {
        None => (0, time as usize),
        Some(shift) => (shift as usize + 1, (time >> shift) as usize - BUCKETS),
    }
}

fn middle(page: usize, bucket: usize) -> f64 {
    match page.checked_sub(1) {
        None => bucket as f64,
        Some(shift) => {
            let width = (1_u64 << shift) as f64;
            (bucket + BUCKETS) as f64 * width + (width - 1.0) / 2.0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_times_are_exact() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.min(), latencies.avg(), latencies.percentiles([50.0])), (0.0, 0.0, [0.0]));
        for time in [4, 1, 3, 2] {
            latencies.add(time);
        }
        assert_eq!((latencies.min(), latencies.max(), latencies.avg()), (1.0, 4.0, 2.5));
        assert_eq!(latencies.percentiles([0.0, 50.0, 100.0]), [1.0, 2.5, 4.0]);
    }

    #[test]
    fn many_times_take_little_room() {
        let mut latencies = Latencies::default();
        for time in 0..1_000_000_u64 {
            latencies.add(20_000 + time * 1000);
        }
        let pages = latencies.pages.iter().flatten().count() * size_of::<[u64; BUCKETS]>();
        let room = latencies.pages.capacity() * 8 + pages + latencies.latest.capacity() * 8;
        assert!(room < 24_000, "{room}");
        assert_eq!((latencies.min(), latencies.max()), (20_000.0, 1_000_019_000.0));
    }

    proptest! {
        #[test]
        fn beyond_the_bound_a_time_is_off_by_little(times in prop::collection::vec(0..u64::MAX / 2, 2..60)) {
            let mut latencies = Latencies::default();
            let mut sorted: Vec<u64> = times.iter().copied().cycle().take(EXACT * 2).collect();
            sorted.iter().for_each(|time| latencies.add(*time));
            sorted.sort_unstable();
            latencies.fold();
            for rank in [0, 1, EXACT, EXACT * 2 - 2, EXACT * 2 - 1] {
                let (exact, found) = (sorted[rank] as f64, latencies.at(rank as u64));
                prop_assert!((found - exact).abs() <= exact / 256.0, "{found} for {exact}");
            }
        }
    }
}
