//! What the iterations of a scenario prove: how many succeeded, how many failed, and whether anything succeeded to the
//! end.
//!
//! Workers note the end of each iteration on cells of their own; the main thread reads them when the scenario is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::tally::{CELLS, Writers};

/// The end of a scenario was silent if nothing succeeded in it for this long at least, or more failed in it than ever
/// succeeded,
const MIN_SILENCE: Duration = Duration::from_secs(2);
/// and if it took this many times the longest gap between two successes before.
const TIMES_AS_LONG: u32 = 5;

/// What the end of an iteration says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Success,
    /// A success in which a peer said something on a connection of the iteration's own.
    Dialogue,
    /// Nothing failed, and no peer said anything on connections that the script made and left. Where peers never do, this is a
    /// success; where they did before, they have stopped.
    Monologue,
    /// Nothing failed, and it had to do with no peer and no check.
    Idle,
    Failure,
    /// Its only answers were those of a server that says that it has failed, and nothing in the script says whether that is
    /// expected.
    Refused,
    /// It sent something, listened for what comes, and left before anything came.
    Ignored,
    /// It did nothing, as the connection that it should have used is lost.
    Stranded,
    /// It was cut off while it waited for a peer that owed it something.
    Unanswered,
    /// It was cut off in the middle of something else.
    Nothing,
}

impl Proof {
    /// Whether what was tried has failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::Refused | Self::Ignored | Self::Stranded)
    }
}

/// The outcomes of the iterations of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub succeeded: u64,
    /// As many of them had to do with no peer and no check.
    pub idle: u64,
    pub failed: u64,
    /// As many of them have failed without a failure that is reported elsewhere.
    pub unnoticed: Unnoticed,
    /// How long nothing succeeded at the scenario's end, if that is remarkable: iterations failed in that time, or were cut
    /// off or left without an answer.
    pub silence: Option<Duration>,
}

/// Iterations in which nothing failed that the script has noticed, by what they show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unnoticed {
    pub refused: u64,
    pub ignored: u64,
    pub stranded: u64,
}

/// What one worker has noted. Times are nanoseconds since the base, and 0 if there is none.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    successes: Series,
    monologues: Series,
    /// Whether there was a dialogue among the successes.
    has_dialogues: AtomicBool,
    idle: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    ignored: AtomicU64,
    stranded: AtomicU64,
    last_failure: AtomicU64,
    /// Failures since the last success.
    failed_since: AtomicU64,
}

/// Iterations that one worker took for successes.
#[derive(Debug, Default)]
struct Series {
    count: AtomicU64,
    last: AtomicU64,
    longest_gap: AtomicU64,
}

impl Series {
    fn note(&self, writers: Writers, begun: u64, ended: u64) {
        writers.update(&self.count, |count| count + 1);
        let before = writers.update(&self.last, |_| ended);
        let since = if before == 0 { begun } else { begun.min(before) };
        writers.update(&self.longest_gap, |longest| longest.max(ended.saturating_sub(since)));
    }
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
        let (cell, writers) = Writers::of(worker);
        let cell = &self.cells[cell];
        let (begun, ended) = (self.nanos(begun), self.nanos(ended));
        match proof {
            Proof::Nothing => {}
            Proof::Success | Proof::Dialogue | Proof::Idle => {
                cell.successes.note(writers, begun, ended);
                match proof {
                    Proof::Dialogue => cell.has_dialogues.store(true, Ordering::Relaxed),
                    Proof::Idle => _ = writers.update(&cell.idle, |idle| idle + 1),
                    _ => {}
                }
                cell.failed_since.store(0, Ordering::Relaxed);
            }
            Proof::Monologue => {
                cell.monologues.note(writers, begun, ended);
                cell.failed_since.store(0, Ordering::Relaxed);
            }
            Proof::Failure | Proof::Unanswered | Proof::Refused | Proof::Ignored | Proof::Stranded => {
                let why = match proof {
                    Proof::Refused => Some(&cell.refused),
                    Proof::Ignored => Some(&cell.ignored),
                    Proof::Stranded => Some(&cell.stranded),
                    _ => None,
                };
                why.inspect(|count| _ = writers.update(count, |count| count + 1));
                let one = u64::from(proof.is_failure());
                writers.update(&cell.failed, |failed| failed + one);
                writers.update(&cell.failed_since, |failed| failed + one);
                writers.update(&cell.last_failure, |last| last.max(ended));
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
        let sum = |of| all(of).sum::<u64>();
        let (mut succeeded, mut failed) = (sum(|cell| &cell.successes.count), sum(|cell| &cell.failed));
        let mut last_success = latest(|cell| &cell.successes.last);
        let mut last_failure = latest(|cell| &cell.last_failure);
        // One worker sees larger gaps between successes than there are, which is on the safe side.
        let mut usual = latest(|cell| &cell.successes.longest_gap);
        let (monologues, last_monologue) =
            (sum(|cell| &cell.monologues.count), latest(|cell| &cell.monologues.last));
        if self.cells.iter().any(|cell| cell.has_dialogues.load(Ordering::Relaxed)) {
            failed += monologues;
            last_failure = last_failure.max(last_monologue);
        } else {
            succeeded += monologues;
            last_success = last_success.max(last_monologue);
            usual = usual.max(latest(|cell| &cell.monologues.longest_gap));
        }
        let silence = Duration::from_nanos(last_failure.saturating_sub(last_success));
        let is_long = silence >= MIN_SILENCE || sum(|cell| &cell.failed_since) > succeeded;
        let is_remarkable =
            is_long && !silence.is_zero() && silence >= Duration::from_nanos(usual) * TIMES_AS_LONG;
        Outcomes {
            succeeded,
            idle: sum(|cell| &cell.idle),
            failed,
            unnoticed: Unnoticed {
                refused: sum(|cell| &cell.refused),
                ignored: sum(|cell| &cell.ignored),
                stranded: sum(|cell| &cell.stranded),
            },
            silence: (succeeded > 0 && is_remarkable).then_some(silence),
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
    fn a_service_that_dies_quickly_is_seen() {
        let quick = |failures| after(50, &vec![(10, Proof::Failure); failures]);
        assert_eq!(quick(50), None, "as many have succeeded");
        assert_eq!(quick(51), Some(Duration::from_millis(510)), "longer than five usual gaps");
        let meter = OutcomeMeter::new();
        let at = |ms| meter.base + Duration::from_millis(ms);
        for n in 0..50 {
            meter.note(0, at(n * 100), at(n * 100 + 100), Proof::Success);
            meter.note(1, at(n * 100), at(n * 100 + 50), Proof::Failure);
            meter.note(1, at(n * 100 + 50), at(n * 100 + 101), Proof::Failure);
        }
        assert_eq!(meter.outcomes().silence, None, "the other worker has hardly stopped");
    }

    #[test]
    fn nothing_heard_is_a_failure_where_something_was_heard_before() {
        let second = Duration::from_secs(1);
        let unheard = [(1000, Proof::Monologue), (1000, Proof::Monologue)];
        assert_eq!(after(50, &unheard), None, "nobody ever answers on these connections");
        let after_dialogue = |rest: &[(u64, Proof)]| {
            outcomes(std::iter::repeat_n((100, Proof::Dialogue), 50).chain(rest.iter().copied()))
        };
        let frozen = after_dialogue(&unheard);
        assert_eq!((frozen.succeeded, frozen.failed, frozen.silence), (50, 2, Some(2 * second)));
        assert_eq!(
            after_dialogue(&[(1000, Proof::Monologue), (900, Proof::Monologue)]).silence,
            None,
            "a hiccup"
        );
        assert_eq!(after_dialogue(&[(5000, Proof::Monologue), (1, Proof::Success)]).silence, None);
        let one_way = outcomes([(100, Proof::Monologue), (100, Proof::Monologue)]);
        assert_eq!((one_way.succeeded, one_way.failed, one_way.silence), (2, 0, None));
        let dead = outcomes([(100, Proof::Monologue), (2000, Proof::Failure)]);
        assert_eq!(dead.silence, Some(2 * second), "a one-way service can stop, too");
    }

    #[test]
    fn failures_that_no_script_notices_are_told_apart() {
        let all = outcomes([
            (10, Proof::Idle),
            (10, Proof::Failure),
            (10, Proof::Refused),
            (10, Proof::Ignored),
            (10, Proof::Ignored),
            (10, Proof::Stranded),
            (10, Proof::Unanswered),
        ]);
        assert_eq!((all.succeeded, all.idle, all.failed), (1, 1, 5));
        assert_eq!(all.unnoticed, Unnoticed { refused: 1, ignored: 2, stranded: 1 });
        let second = Duration::from_secs(1);
        assert_eq!(after(50, &[(3000, Proof::Stranded)]), Some(3 * second), "nobody asks any more");
        assert_eq!(after(50, &[(3000, Proof::Idle)]), None, "nobody wants to ask");
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
        fn a_success_ends_every_silence(lengths in prop::collection::vec((0_u64..100_000, 0_usize..10), 0..50)) {
            let proofs = [
                Proof::Success, Proof::Dialogue, Proof::Monologue, Proof::Failure, Proof::Unanswered, Proof::Nothing,
                Proof::Idle, Proof::Refused, Proof::Ignored, Proof::Stranded,
            ];
            let iterations = lengths.into_iter().map(|(length, proof)| (length, proofs[proof]));
            prop_assert_eq!(outcomes(iterations.chain([(1, Proof::Success)])).silence, None);
        }
    }
}
