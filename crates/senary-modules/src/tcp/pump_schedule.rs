//! When requests are due. Times are in nanoseconds since the pump began.
//!
//! What is due and cannot be sent yet is no list: the next one's time follows from how many there were.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use senary_metrics::Timestamp;

use super::pump_options::{Arrival, PumpOptions, Rate};

pub struct Schedule {
    /// `None`: a closed loop, in which a request is due as soon as there is room for it.
    rate: Option<Rate>,
    count: u64,
    /// Nothing is due from here on.
    end: u64,
    made: u64,
    /// Of the open loop.
    next: f64,
    /// Requests of the open loop are due at multiples of `step`, counted from the time `phase` before the pump began.
    step: u64,
    phase: u64,
    pub random: Random,
}

impl Schedule {
    /// `begun`: when the pump began, by a clock that all pumps have in common.
    pub fn new(options: &PumpOptions, begun: Timestamp, random: Random) -> Self {
        let step = options.rate.map_or(1, step_of);
        Self {
            rate: options.rate,
            step,
            phase: begun.0 as u64 % step,
            count: options.count.unwrap_or(u64::MAX),
            end: options.duration.map_or(u64::MAX, nanoseconds),
            made: 0,
            next: 0.0,
            random,
        }
    }

    /// When the next request is due; `None` where there is none any more.
    pub fn next(&self, now: u64) -> Option<u64> {
        let due = if self.rate.is_some() { self.next as u64 } else { now };
        let is_one = self.made < self.count && due < self.end;
        is_one.then(|| if self.rate.is_some() { self.at_a_step(due) } else { due })
    }

    /// Rounds a time up to the next step.
    fn at_a_step(&self, due: u64) -> u64 {
        due.saturating_add(self.phase).div_ceil(self.step).saturating_mul(self.step) - self.phase
    }

    /// When the next request is due, if that is known beforehand.
    pub fn alarm(&self) -> Option<u64> {
        self.rate.and_then(|_| self.next(0))
    }

    /// The next one was made.
    pub fn advance(&mut self) {
        self.made += 1;
        match self.rate {
            None => {}
            // Not step by step, so that nothing adds up however long it takes.
            Some(Rate { per_second, arrival: Arrival::Uniform }) => {
                self.next = self.made as f64 * (1e9 / per_second);
            }
            Some(Rate { per_second, arrival: Arrival::Poisson }) => {
                self.next += -(1.0 - self.random.fraction()).ln() * 1e9 / per_second;
            }
        }
    }
}

/// Due times are rounded up to the next step, so that a worker with many pumps does not wake for each message. A step is at most
/// this long, and at most a tenth of the gap between two messages. Latencies count from the rounded time.
const LONGEST_STEP: f64 = 250_000.0;

fn step_of(rate: Rate) -> u64 {
    (1e8 / rate.per_second).clamp(1.0, LONGEST_STEP) as u64
}

pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// SplitMix64 (public domain, Sebastiano Vigna): for messages and gaps, not for secrets.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, without it.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule whose due times are not rounded.
    fn schedule(rate: Option<Rate>, count: u64, end: u64) -> Schedule {
        Schedule { rate, count, end, made: 0, next: 0.0, step: 1, phase: 0, random: Random(7) }
    }

    fn all(mut schedule: Schedule) -> Vec<u64> {
        std::iter::from_fn(|| {
            let due = schedule.next(u64::MAX)?;
            schedule.advance();
            Some(due)
        })
        .collect()
    }

    #[test]
    fn equal_gaps_do_not_drift() {
        let rate = Rate { per_second: 3.0, arrival: Arrival::Uniform };
        let due = all(schedule(Some(rate), u64::MAX, 100_000_000_000));
        assert_eq!(due.len(), 300);
        assert_eq!(due[..4], [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(due[297], 99_000_000_000);
        assert_eq!(all(schedule(Some(rate), 5, u64::MAX)).len(), 5);
    }

    #[test]
    fn gaps_of_a_poisson_process_are_exponential() {
        let rate = Rate { per_second: 1000.0, arrival: Arrival::Poisson };
        let due = all(schedule(Some(rate), 100_000, u64::MAX));
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.98..1.02).contains(&mean) && (0.95..1.05).contains(&variance), "{mean} {variance}");
        let longer = gaps.iter().filter(|gap| **gap > 1.0).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0_f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn pumps_that_began_at_different_times_are_due_at_the_same_steps() {
        for (per_second, step) in [(0.5, 250_000), (400.0, 250_000), (4000.0, 25_000), (1e9, 1)] {
            for (arrival, begun) in
                [(Arrival::Uniform, 7), (Arrival::Uniform, 1_111_111), (Arrival::Poisson, 99)]
            {
                let rate = Rate { per_second, arrival };
                assert_eq!(step_of(rate), step);
                let mut exact = schedule(Some(rate), u64::MAX, u64::MAX);
                let mut moved =
                    Schedule { step, phase: begun % step, ..schedule(Some(rate), u64::MAX, u64::MAX) };
                for _ in 0..100 {
                    let (due, wanted) = (moved.next(0).unwrap(), exact.next(0).unwrap());
                    assert_eq!((due + begun) % step, 0, "{per_second}/s");
                    assert!(
                        (wanted..wanted + step).contains(&due),
                        "{per_second}/s: {due} instead of {wanted}"
                    );
                    moved.advance();
                    exact.advance();
                }
            }
        }
    }

    #[test]
    fn a_closed_loop_is_due_until_it_ends() {
        let mut closed = schedule(None, 2, 50);
        assert_eq!((closed.next(7), closed.next(50), closed.alarm()), (Some(7), None, None));
        closed.advance();
        closed.advance();
        assert_eq!(closed.next(8), None);
    }
}
