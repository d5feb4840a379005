//! What the iterations of a scenario prove: how many succeeded, how many failed, and whether anything succeeded to the
//! end.
//!
//! Workers note the end of each iteration on cells of their own; the main thread reads them when the scenario is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::tally::CELLS;

/// The end of a scenario was silent if nothing succeeded in it for this long at least,
const MIN_SILENCE: Duration = Duration::from_secs(2);
/// and for this many times the longest gap between two successes before.
const TIMES_AS_LONG: u32 = 5;

/// What the end of an iteration says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Success,
    Failure,
    /// It was cut off while it waited for a peer that owed it something.
    Unanswered,
    /// It was cut off in the middle of something else.
    Nothing,
}

/// The outcomes of the iterations of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub succeeded: u64,
    pub failed: u64,
    /// How long nothing succeeded at the scenario's end, if that is remarkable: iterations failed in that time, or were cut
    /// off without an answer.
    pub silence: Option<Duration>,
}

/// What one worker has noted. Times are nanoseconds since the base, and 0 if there is none.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last_success: AtomicU64,
    last_failure: AtomicU64,
    longest_gap: AtomicU64,
}

/// Keeps count.
#[derive(Debug)]
pub(crate) struct OutcomeMeter {
    base: Instant,
    cells: [Cell; CELLS],
}

impl OutcomeMeter {
    pub(crate) fn new() -> Self {
        Self { base: Instant::now(), cells: Default::default() }
    }

    /// An iteration is over that began at a time.
    pub(crate) fn note(&self, worker: usize, begun: Instant, ended: Instant, proof: Proof) {
        let cell = &self.cells[worker % CELLS];
        let (begun, ended) = (self.nanos(begun), self.nanos(ended));
        match proof {
            Proof::Nothing => {}
            Proof::Success => {
                cell.succeeded.fetch_add(1, Ordering::Relaxed);
                let before = cell.last_success.swap(ended, Ordering::Relaxed);
                let since = if before == 0 { begun } else { begun.min(before) };
                cell.longest_gap.fetch_max(ended.saturating_sub(since), Ordering::Relaxed);
            }
            Proof::Failure | Proof::Unanswered => {
                cell.failed.fetch_add(u64::from(proof == Proof::Failure), Ordering::Relaxed);
                cell.last_failure.fetch_max(ended, Ordering::Relaxed);
            }
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_nanos() as u64 + 1
    }

    /// What came of it so far.
    pub(crate) fn outcomes(&self) -> Outcomes {
        let all = |of: fn(&Cell) -> &AtomicU64| self.cells.iter().map(move |c| of(c).load(Ordering::Relaxed));
        let latest = |of| all(of).max().unwrap_or_default();
        let succeeded = all(|cell| &cell.succeeded).sum();
        let silence = latest(|cell| &cell.last_failure).saturating_sub(latest(|cell| &cell.last_success));
        let silence = Duration::from_nanos(silence);
        // One worker sees larger gaps between successes than there are, which is on the safe side.
        let usual = Duration::from_nanos(latest(|cell| &cell.longest_gap));
        let is_remarkable = succeeded > 0 && silence >= MIN_SILENCE.max(usual * TIMES_AS_LONG);
        Outcomes {
            succeeded,
            failed: all(|cell| &cell.failed).sum(),
            silence: is_remarkable.then_some(silence),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Iterations of one worker after the other, each with its length in milliseconds.
    fn outcomes(iterations: impl IntoIterator<Item = (u64, Proof)>) -> Outcomes {
        let meter = OutcomeMeter::new();
        let mut now = meter.base;
        for (length, proof) in iterations {
            let begun = now;
            now += Duration::from_millis(length);
            meter.note(0, begun, now, proof);
        }
        meter.outcomes()
    }

    fn after(successes: usize, rest: &[(u64, Proof)]) -> Option<Duration> {
        outcomes(std::iter::repeat_n((100, Proof::Success), successes).chain(rest.iter().copied())).silence
    }

    #[test]
    fn a_service_that_stops_answering_is_seen() {
        let second = Duration::from_secs(1);
        assert_eq!(after(50, &[(5000, Proof::Failure)]), Some(5 * second));
        assert_eq!(after(50, &[(1000, Proof::Failure), (1000, Proof::Unanswered)]), Some(2 * second));
        assert_eq!(after(50, &[(1999, Proof::Failure)]), None, "a hiccup");
        assert_eq!(after(50, &[(5000, Proof::Nothing)]), None, "it did not wait for an answer");
        assert_eq!(after(50, &[(5000, Proof::Failure), (1, Proof::Success)]), None, "it recovered");
        assert_eq!(after(0, &[(5000, Proof::Failure)]), None, "that nothing ever worked is another matter");
    }

    #[test]
    fn what_takes_long_anyway_may_take_long() {
        let slow = |last| outcomes([(1000, Proof::Success), (last, Proof::Failure)]).silence.is_some();
        assert_eq!((slow(4999), slow(5000)), (false, true));
    }

    #[test]
    fn workers_are_seen_together() {
        let meter = OutcomeMeter::new();
        let at = |ms| meter.base + Duration::from_millis(ms);
        for n in 0..50 {
            meter.note(0, at(n * 100), at(n * 100 + 100), Proof::Success);
        }
        meter.note(1, at(100), at(4000), Proof::Failure);
        assert_eq!(meter.outcomes().silence, None, "the other one goes on");
        assert_eq!((meter.outcomes().succeeded, meter.outcomes().failed), (50, 1));
    }

    proptest! {
        /// Whatever the iterations are like, a scenario whose last one succeeds is not silent at its end.
        #[test]
        fn a_success_ends_every_silence(lengths in prop::collection::vec((0_u64..100_000, 0_usize..4), 0..50)) {
            let proofs = [Proof::Success, Proof::Failure, Proof::Unanswered, Proof::Nothing];
            let iterations = lengths.into_iter().map(|(length, proof)| (length, proofs[proof]));
            prop_assert_eq!(outcomes(iterations.chain([(1, Proof::Success)])).silence, None);
        }
    }
}
