//! The present state of a scenario for the progress display: how fast it is, and the times that were measured last.
//!
//! Workers store a number each time; rates are computed when the progress asks for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use senary_metrics::MetricId;
use tokio::time::Instant;

use crate::tally::{CELLS, Writers};

/// Times of each worker that are kept.
const KEPT: usize = 64;
const NOTHING: u32 = u32::MAX;

/// The last times of a metric: the one that was the first to measure any, or no metric's.
#[derive(Debug)]
pub struct RecentTimes {
    metric: AtomicU32,
    cells: [Ring; CELLS],
}

/// Milliseconds as the bits of an `f32`.
#[derive(Debug)]
#[repr(align(128))]
struct Ring {
    next: AtomicU64,
    times: [AtomicU32; KEPT],
}

impl Default for Ring {
    fn default() -> Self {
        Self { next: AtomicU64::new(0), times: [const { AtomicU32::new(NOTHING) }; KEPT] }
    }
}

impl Default for RecentTimes {
    fn default() -> Self {
        Self { metric: AtomicU32::new(NOTHING), cells: Default::default() }
    }
}

impl RecentTimes {
    /// The script has measured a time, in milliseconds, with this metric. If it uses several metrics, the first one counts.
    pub fn note_metric(&self, worker: usize, metric: MetricId, milliseconds: f64) {
        let known = self.metric.load(Ordering::Relaxed);
        let claimed = known == NOTHING
            && self
                .metric
                .compare_exchange(NOTHING, metric.0, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|other| other == metric.0, |_| true);
        if known == metric.0 || claimed {
            self.note(worker, milliseconds);
        }
    }

    pub(crate) fn note(&self, worker: usize, milliseconds: f64) {
        let (cell, writers) = Writers::of(worker);
        let ring = &self.cells[cell];
        let next = writers.update(&ring.next, |next| next + 1) as usize;
        ring.times[next % KEPT].store((milliseconds as f32).to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn metric(&self) -> Option<MetricId> {
        let metric = self.metric.load(Ordering::Relaxed);
        (metric != NOTHING).then_some(MetricId(metric))
    }

    /// The 95th percentile, in milliseconds; `None` if nothing was measured.
    pub(crate) fn p95(&self) -> Option<f64> {
        let all = self.cells.iter().flat_map(|ring| &ring.times);
        let bits = all.map(|time| time.load(Ordering::Relaxed)).filter(|bits| *bits != NOTHING);
        let mut times: Vec<f32> = bits.map(f32::from_bits).filter(|time| !time.is_nan()).collect();
        times.sort_unstable_by(f32::total_cmp);
        let rank = (times.len() as f64 * 0.95).ceil() as usize;
        times.get(rank.checked_sub(1)?).map(|time| f64::from(*time))
    }
}

/// The time over which a rate is worked out.
const SPAN: Duration = Duration::from_secs(1);

/// Computes how fast a count grows, from its values at earlier looks.
#[derive(Debug, Default)]
pub(crate) struct RecentRate(Mutex<VecDeque<(Instant, u64)>>);

impl RecentRate {
    /// Per second, over the last second or since the count began.
    pub(crate) fn per_second(&self, since: Instant, now: Instant, count: u64) -> f64 {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push_back((now, count));
        // The oldest that is kept is a second old, or a little more.
        while looks.get(1).is_some_and(|(at, _)| now - *at >= SPAN) {
            looks.pop_front();
        }
        let (from, before) = match looks.front() {
            Some(&(at, count)) if now - at >= SPAN => (at, count),
            _ => (since, 0),
        };
        let span = (now - from).as_secs_f64();
        if span > 0.0 { count.saturating_sub(before) as f64 / span } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_times_of_the_first_metric_are_kept() {
        let (recent, [a, b]) = (RecentTimes::default(), [MetricId(7), MetricId(8)]);
        assert_eq!((recent.p95(), recent.metric()), (None, None));
        for worker in 0..2 {
            (0..1000).for_each(|_| recent.note_metric(worker, a, 1000.0));
            (1..=64).for_each(|time| recent.note_metric(worker, a, f64::from(time)));
        }
        recent.note_metric(0, b, 5e6);
        assert_eq!((recent.p95(), recent.metric()), (Some(61.0), Some(a)));
    }

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let (rate, start) = (RecentRate::default(), Instant::now());
        let at = |tenths: u32| start + Duration::from_millis(100) * tenths;
        assert_eq!(rate.per_second(start, at(0), 0), 0.0);
        assert_eq!(rate.per_second(start, at(5), 50), 100.0);
        for tenths in 6..=20 {
            rate.per_second(start, at(tenths), u64::from(tenths) * 10);
        }
        assert_eq!(rate.per_second(start, at(30), 200), 0.0, "it stands still");
        assert_eq!(rate.per_second(start, at(40), 300), 100.0);
    }
}
