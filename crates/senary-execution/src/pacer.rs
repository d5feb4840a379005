//! When things are due, as pure functions of numbers and times: no clock is read here.
//!
//! The n-th iteration of an arrival rate starts when the area under the line of its rate reaches n. Areas are
//! exact integers, so that no rounding adds up over stages or over a week; only the time within one stage of a
//! ramp is a floating-point number.

use std::collections::VecDeque;
use std::time::Duration;

use crate::segment::Striping;

/// A piece of a ramp: the target is reached, in a straight line, at the end of the duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub duration: Duration,
    pub target: u64,
}

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
    // Of steps up at one time the last counts; a step down after them leaves the peak, which has to be there.
    let mut push = |at: Duration, vus: u64| match steps.last_mut() {
        Some(last) if last.vus == vus => {}
        Some(last) if last.at == at && last.vus < vus => last.vus = vus,
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
    let mut push = |at: Duration, vus: u64, after_peak: bool| match reserved.last_mut() {
        Some(last) if last.vus == vus => {}
        Some(last) if last.at == at && !after_peak => last.vus = vus,
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
                push(until, vus, false);
            }
        }
        while window.back().is_some_and(|(_, vus)| *vus <= step.vus) {
            window.pop_back();
        }
        let until = steps.get(at + 1).map_or(end, |next| next.at.saturating_add(graceful_ramp_down));
        window.push_back((until.min(end), step.vus));
        if let Some(&(_, vus)) = window.front() {
            push(step.at, vus, at > 0 && steps[at - 1].at == step.at);
        }
    }
    while let Some((until, _)) = window.pop_front() {
        push(until, window.front().map_or(0, |(_, vus)| *vus), false);
    }
    reserved
}

fn nanos(n: u128) -> Duration {
    u64::try_from(n).map_or(Duration::from_nanos(u64::MAX), Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{SegmentSequence, SegmentTuple};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn stages(list: &[(u64, u64)]) -> Vec<Stage> {
        list.iter().map(|(duration, target)| Stage { duration: ms(*duration), target: *target }).collect()
    }

    fn steps(list: &[(u64, u64)]) -> Vec<VuStep> {
        list.iter().map(|(at, vus)| VuStep { at: ms(*at), vus: *vus }).collect()
    }

    fn constant(rate: u64, time_unit: u64, duration: u64) -> ConstantRate {
        ConstantRate { rate, time_unit: ms(time_unit), duration: ms(duration) }
    }

    fn count_of(time_of: impl Fn(u64) -> Option<Duration>) -> u64 {
        (0..).take_while(|n| time_of(*n).is_some()).count() as u64
    }

    #[test]
    fn a_constant_rate_is_even_and_begins_at_once() {
        let times: Vec<_> = (0..12).map(|n| constant(10, 1000, 1000).time_of(n)).collect();
        let expected: Vec<_> = (0..10).map(|n| Some(ms(n * 100))).chain([None, None]).collect();
        assert_eq!(times, expected);
        assert_eq!(constant(60, 60_000, 2500).time_of(2), Some(ms(2000)));
        assert_eq!(constant(3, 2000, 1000).time_of(1), Some(Duration::from_nanos(666_666_666)));
        assert_eq!(constant(1, 1000, 1000).time_of(u64::MAX), None);
    }

    #[test]
    fn a_ramp_starts_as_many_iterations_as_there_is_area_below_it() {
        let ramp = RampingRate::new(0, ms(1000), &stages(&[(1000, 40), (1000, 40), (1000, 0)]));
        assert_eq!(count_of(|n| ramp.time_of(n)), 80);
        assert_eq!(ramp.time_of(19), Some(ms(1000)));
        assert_eq!(ramp.time_of(20), Some(ms(1025)));
        assert_eq!(ramp.time_of(59), Some(ms(2000)));
        assert_eq!(ramp.time_of(79), Some(ms(3000)));
        // 20t² = 5
        assert_eq!(ramp.time_of(4), Some(ms(500)));
        assert_eq!([0, 500, 1500, 2250, 9000].map(|t| ramp.rate_at(ms(t))), [0.0, 20.0, 40.0, 30.0, 0.0]);
    }

    #[test]
    fn areas_carry_over_from_stage_to_stage() {
        // 0.5 + 0.3 + 0.3 iterations: the first is due in the third stage, after two thirds of it.
        let ramp = RampingRate::new(1, ms(1000), &stages(&[(500, 1), (300, 1), (300, 1)]));
        assert_eq!(ramp.time_of(0), Some(ms(1000)));
        assert_eq!(ramp.time_of(1), None);
    }

    #[test]
    fn stages_without_time_jump() {
        let ramp = RampingRate::new(0, ms(1000), &stages(&[(0, 10), (1000, 10), (0, 0), (1000, 0)]));
        assert_eq!(ramp.time_of(0), Some(ms(100)));
        assert_eq!(count_of(|n| ramp.time_of(n)), 10);
        assert_eq!(ramp.rate_at(ms(0)), 10.0);
        assert_eq!(RampingRate::new(5, ms(1000), &[]).time_of(0), None);
    }

    #[test]
    fn vus_follow_the_line() {
        let plan =
            stages(&[(2000, 6), (5000, 1), (4000, 5), (4000, 1), (3000, 4), (2000, 4), (0, 1), (3000, 1)]);
        let expected = [
            (0, 4),
            (1000, 5),
            (2000, 6),
            (3000, 5),
            (4000, 4),
            (5000, 3),
            (6000, 2),
            (7000, 1),
            (8000, 2),
            (9000, 3),
            (10_000, 4),
            (11_000, 5),
            (12_000, 4),
            (13_000, 3),
            (14_000, 2),
            (15_000, 1),
            (16_000, 2),
            (17_000, 3),
            (18_000, 4),
            (20_000, 1),
        ];
        let raw = vu_steps(4, &plan, &Striping::everything());
        assert_eq!(raw, steps(&expected));

        let reserved = reserved_vus(&raw, ms(2500), ms(26_000));
        let expected = [
            (0, 4),
            (1000, 5),
            (2000, 6),
            (5500, 5),
            (6500, 4),
            (7500, 3),
            (8500, 2),
            (9000, 3),
            (10_000, 4),
            (11_000, 5),
            (14_500, 4),
            (15_500, 3),
            (16_500, 2),
            (17_000, 3),
            (18_000, 4),
            (22_500, 1),
            (26_000, 0),
        ];
        assert_eq!(reserved, steps(&expected));
    }

    #[test]
    fn without_grace_only_the_wanted_are_reserved() {
        let raw = steps(&[(0, 2), (1000, 1), (2000, 3)]);
        let expected = steps(&[(0, 2), (1000, 1), (2000, 3), (4000, 0)]);
        assert_eq!(reserved_vus(&raw, Duration::ZERO, ms(4000)), expected);
        assert_eq!(reserved_vus(&steps(&[(0, 0)]), ms(5), ms(4000)), steps(&[(0, 0)]));
    }

    /// A peak that is left the moment it is reached needs its VUs all the same, with and without grace.
    #[test]
    fn a_peak_without_duration_is_reserved() {
        let stage = |duration, target| Stage { duration: ms(duration), target };
        let plan = [stage(2000, 5), stage(0, 1), stage(1000, 1)];
        let raw = vu_steps(0, &plan, &Striping::everything());
        assert_eq!(raw[raw.len() - 2..], steps(&[(2000, 5), (2000, 1)]));
        for grace in [0, 100, 30_000] {
            let most = reserved_vus(&raw, ms(grace), ms(3000)).iter().map(|step| step.vus).max();
            assert_eq!(most, Some(5), "{grace}");
        }
    }

    #[test]
    fn the_end_comes_before_a_longer_grace() {
        let raw = steps(&[(0, 5), (1000, 2), (2000, 0)]);
        assert_eq!(reserved_vus(&raw, ms(30_000), ms(3000)), steps(&[(0, 5), (3000, 0)]));
    }

    #[test]
    fn every_segment_follows_its_own_part_of_the_line() {
        let plan = stages(&[(0, 4), (1000, 4), (0, 10), (1000, 10)]);
        let third = SegmentTuple::new("0:1/3".parse().ok(), "0,1/3,2/3,1".parse().ok()).unwrap();
        assert_eq!(vu_steps(0, &plan, third.striping()), steps(&[(0, 2), (1000, 4)]));
    }

    fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
        proptest::collection::vec((0u64..3000, 0u64..200), 1..6).prop_map(|list| stages(&list))
    }

    fn thirds() -> Vec<SegmentTuple> {
        let sequence: SegmentSequence = "0,1/3,2/3,1".parse().unwrap();
        let segments = ["0:1/3", "1/3:2/3", "2/3:1"];
        let part = |s: &str| SegmentTuple::new(s.parse().ok(), Some(sequence.clone())).unwrap();
        segments.into_iter().map(part).collect()
    }

    fn at(steps: &[VuStep], time: Duration) -> u64 {
        steps.iter().take_while(|s| s.at <= time).last().map_or(0, |s| s.vus)
    }

    proptest! {
        #[test]
        fn ramps_hold_their_area_in_order(start in 0u64..200, plan in any_stages(), unit in 1u64..5000) {
            let ramp = RampingRate::new(start, ms(unit), &plan);
            let mut doubled = 0u128;
            let mut from = start;
            for stage in &plan {
                doubled += stage.duration.as_millis() * u128::from(from + stage.target);
                from = stage.target;
            }
            let area = (doubled / (2 * u128::from(unit))) as u64;
            prop_assert_eq!(ramp.time_of(area), None);
            let total: Duration = plan.iter().map(|s| s.duration).sum();
            let mut last = Duration::ZERO;
            for n in 0..area.min(5000) {
                let time = ramp.time_of(n).unwrap();
                prop_assert!(time >= last && time <= total);
                last = time;
            }
        }

        #[test]
        fn each_start_of_a_ramp_is_where_the_area_says(start in 0u64..200, plan in any_stages(), n in 0u64..500) {
            let ramp = RampingRate::new(start, ms(1000), &plan);
            if let Some(time) = ramp.time_of(n) {
                // The area up to there, summed up the simple way.
                let (mut area, mut begins, mut from) = (0.0, 0.0, start as f64);
                for stage in &plan {
                    let (d, to) = (stage.duration.as_secs_f64(), stage.target as f64);
                    let x = (time.as_secs_f64() - begins).clamp(0.0, d);
                    if d > 0.0 {
                        area += from * x + (to - from) * x * x / (2.0 * d);
                    }
                    (begins, from) = (begins + d, to);
                }
                prop_assert!((area - (n + 1) as f64).abs() < 1e-3, "{area} at {time:?}");
            }
        }

        #[test]
        fn a_constant_rate_fits_its_duration(rate in 1u64..2000, unit in 1u64..5000, duration in 1u64..5000) {
            let pace = constant(rate, unit, duration);
            let count = count_of(|n| pace.time_of(n));
            prop_assert_eq!(count, (rate * duration).div_ceil(unit));
        }

        #[test]
        fn no_number_overflows(rate in 1u64.., unit in 1u64.., n in any::<u64>(), target in any::<u64>()) {
            let (time_unit, duration) = (Duration::from_nanos(unit), Duration::from_nanos(u64::MAX));
            ConstantRate { rate, time_unit, duration }.time_of(n);
            let ramp = RampingRate::new(rate, time_unit, &[Stage { duration, target }, Stage { duration, target: n }]);
            ramp.time_of(n);
            ramp.rate_at(Duration::from_nanos(n));
        }

        #[test]
        fn vus_of_all_segments_add_up_at_any_time(start in 0u64..50, plan in any_stages(), time in 0u64..9000) {
            let whole = at(&vu_steps(start, &plan, &Striping::everything()), ms(time));
            let parts = thirds().iter().map(|t| at(&vu_steps(start, &plan, t.striping()), ms(time))).sum::<u64>();
            prop_assert_eq!(parts, whole);
        }

        #[test]
        fn reserved_covers_what_the_grace_holds_back(
            start in 0u64..50,
            plan in any_stages(),
            grace in 0u64..3000,
            time in 0u64..12_000,
        ) {
            let raw = vu_steps(start, &plan, &Striping::everything());
            let regular: Duration = plan.iter().map(|s| s.duration).sum();
            let end = regular + ms(1000);
            let reserved = reserved_vus(&raw, ms(grace), end);
            prop_assert!(reserved.windows(2).all(|w| w[0].at < w[1].at || (w[0].at == w[1].at && w[0].vus > w[1].vus)));
            prop_assert_eq!(at(&reserved, end), 0);
            let time = ms(time);
            if time < end {
                // The most that were wanted within the grace before; a step ends exactly at its successor.
                let since = time.saturating_sub(ms(grace));
                let within = raw.iter().filter(|s| s.at > since && s.at <= time).map(|s| s.vus);
                let expected = within.chain([at(&raw, since)]).max().unwrap();
                // At the very end of a grace the VUs are free already.
                prop_assume!(grace == 0 || raw.iter().all(|s| s.at + ms(grace) != time));
                prop_assert_eq!(at(&reserved, time), expected);
            }
        }
    }
}
