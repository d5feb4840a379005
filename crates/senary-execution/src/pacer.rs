//! When things are due, as pure functions of numbers and times: no clock is read here.
//!
//! The n-th iteration of an arrival rate starts when the area under the line of its rate reaches n. Areas are
//! exact integers, so that no rounding adds up over stages or over a week; only the time within one stage of a
//! ramp is a floating-point number.

use std::collections::VecDeque;
use std::time::Duration;

use crate::plan::Stage;
use crate::segment::Striping;

/// The starts of iterations of an arrival rate.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    Constant(ConstantRate),
    Ramping(RampingRate),
}

impl Arrivals {
    /// When the `n`-th iteration (from 0) of the whole test starts, from the start of the scenario; None when
    /// there are no more.
    pub fn time_of(&self, n: u64) -> Option<Duration> {
        match self {
            Self::Constant(rate) => rate.time_of(n),
            Self::Ramping(rate) => rate.time_of(n),
        }
    }

    /// Iterations per second of the whole test at a moment.
    pub fn rate_at(&self, elapsed: Duration) -> f64 {
        match self {
            Self::Constant(rate) => per_second(rate.rate as f64, rate.time_unit),
            Self::Ramping(rate) => rate.rate_at(elapsed),
        }
    }
}

/// `rate` iterations per `time_unit`, evenly spaced, the first at once.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantRate {
    pub rate: u64,
    pub time_unit: Duration,
    pub duration: Duration,
}

impl ConstantRate {
    /// None from the end of the duration on: a whole number of periods holds exactly as many iterations.
    pub fn time_of(&self, n: u64) -> Option<Duration> {
        let at =
            (u128::from(n).checked_mul(self.time_unit.as_nanos())?).checked_div(u128::from(self.rate))?;
        (at < self.duration.as_nanos()).then(|| nanos(at))
    }
}

/// A rate that follows straight lines from target to target.
#[derive(Clone, Debug, PartialEq)]
pub struct RampingRate {
    time_unit: Duration,
    pieces: Vec<Piece>,
}

/// One stage, with what came before it. Areas count halves of iterations times the nanoseconds of the time
/// unit: integers, whatever the stages.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    begins: Duration,
    duration: Duration,
    from: u64,
    to: u64,
    area_before: u128,
    area: u128,
}

impl RampingRate {
    pub fn new(start_rate: u64, time_unit: Duration, stages: &[Stage]) -> Self {
        let (mut begins, mut from, mut area_before) = (Duration::ZERO, start_rate, 0u128);
        let mut pieces = Vec::with_capacity(stages.len());
        for &Stage { duration, target: to } in stages {
            let area = duration.as_nanos().saturating_mul(u128::from(from) + u128::from(to));
            pieces.push(Piece { begins, duration, from, to, area_before, area });
            begins = begins.saturating_add(duration);
            area_before = area_before.saturating_add(area);
            from = to;
        }
        Self { time_unit, pieces }
    }

    /// The `n`-th iteration (from 0) starts when the area reaches `n + 1`: the line is followed from below.
    pub fn time_of(&self, n: u64) -> Option<Duration> {
        let due = (u128::from(n) + 1).checked_mul(self.time_unit.as_nanos())?.checked_mul(2)?;
        let at = self.pieces.partition_point(|p| p.area_before.saturating_add(p.area) < due);
        let piece = self.pieces.get(at)?;
        Some(piece.begins + piece.time_of(due - piece.area_before))
    }

    /// Iterations per second at a moment.
    pub fn rate_at(&self, elapsed: Duration) -> f64 {
        let at = self.pieces.partition_point(|p| p.begins + p.duration <= elapsed);
        let rate = match (self.pieces.get(at), self.pieces.last()) {
            (Some(piece), _) => {
                let way = (elapsed.saturating_sub(piece.begins)).as_secs_f64() / piece.duration.as_secs_f64();
                piece.from as f64 + (piece.to as f64 - piece.from as f64) * way
            }
            (None, Some(last)) => last.to as f64,
            (None, None) => 0.0,
        };
        per_second(rate, self.time_unit)
    }
}

impl Piece {
    /// When, from the beginning of the stage, `area` of it has been covered; `area` is more than 0.
    ///
    /// With the rate going from `a` to `b` in the time `d`, twice the area after `x` is `2ax + (b-a)x²/d`. This
    /// is the solution of it that stays exact when `a` and `b` are close, or equal.
    fn time_of(&self, area: u128) -> Duration {
        let (a, b, d) = (self.from as f64, self.to as f64, self.duration.as_nanos() as f64);
        let area = area as f64;
        let root = (a * a + area * (b - a) / d).max(0.0).sqrt();
        Duration::from_nanos((area / (a + root)) as u64).min(self.duration)
    }
}

fn per_second(rate: f64, time_unit: Duration) -> f64 {
    rate / time_unit.as_secs_f64()
}

/// The number of VUs changes to `vus` at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VuStep {
    pub at: Duration,
    pub vus: u64,
}

/// How many VUs of one segment loop, step by step: they follow the line, on the way up from below and on the
/// way down from above.
pub fn vu_steps(start_vus: u64, stages: &[Stage], striping: &Striping) -> Vec<VuStep> {
    let mut steps = vec![VuStep { at: Duration::ZERO, vus: striping.scale(start_vus) }];
    let mut push = |at: Duration, vus: u64| match steps.last_mut() {
        Some(last) if last.vus == vus => {}
        Some(last) if last.at == at => last.vus = vus,
        _ => steps.push(VuStep { at, vus }),
    };
    let (mut begins, mut from) = (Duration::ZERO, start_vus);
    for &Stage { duration, target: to } in stages {
        let (own_from, own_to) = (striping.scale(from), striping.scale(to));
        let reached = |number: u64| {
            let way = duration.as_nanos().saturating_mul(u128::from(from.abs_diff(number)));
            begins.saturating_add(nanos(way / u128::from(from.abs_diff(to).max(1))))
        };
        if duration.is_zero() {
            push(begins, own_to);
        } else if from < to {
            // The VU with the place n in the whole test is there once the whole test has n + 1.
            (own_from..own_to).for_each(|own| push(reached(striping.global(own) + 1), own + 1));
        } else {
            (own_to..own_from).rev().for_each(|own| push(reached(striping.global(own)), own));
        }
        begins = begins.saturating_add(duration);
        from = to;
    }
    steps
}

/// How many VUs have to be kept for a ramp: one that is no longer wanted may need `graceful_ramp_down` to finish
/// its iteration, and may be wanted again meanwhile. At `end` all are free.
pub fn reserved_vus(steps: &[VuStep], graceful_ramp_down: Duration, end: Duration) -> Vec<VuStep> {
    let mut reserved: Vec<VuStep> = Vec::new();
    let mut push = |at: Duration, vus: u64| match reserved.last_mut() {
        Some(last) if last.vus == vus => {}
        Some(last) if last.at == at => last.vus = vus,
        _ => reserved.push(VuStep { at, vus }),
    };
    // The numbers that count at a moment are those of the last `graceful_ramp_down`. Of them only such are kept
    // that no later one exceeds, so the first is the largest. Each goes `graceful_ramp_down` after its end.
    let mut window: VecDeque<(Duration, u64)> = VecDeque::new();
    for (at, step) in steps.iter().enumerate() {
        while let Some(&(until, _)) = window.front().filter(|(until, _)| *until <= step.at) {
            window.pop_front();
            // At the step's own time the step decides.
            if let Some(&(_, vus)) = window.front().filter(|_| until < step.at) {
                push(until, vus);
            }
        }
        while window.back().is_some_and(|(_, vus)| *vus <= step.vus) {
            window.pop_back();
        }
        let until = steps.get(at + 1).map_or(end, |next| next.at.saturating_add(graceful_ramp_down));
        window.push_back((until.min(end), step.vus));
        if let Some(&(_, vus)) = window.front() {
            push(step.at, vus);
        }
    }
    while let Some((until, _)) = window.pop_front() {
        push(until, window.front().map_or(0, |(_, vus)| *vus));
    }
    reserved
}

fn nanos(n: u128) -> Duration {
    u64::try_from(n).map_or(Duration::from_nanos(u64::MAX), Duration::from_nanos)
}
