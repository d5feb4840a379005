//! What a test's load is made of: validated scenarios, each with its executor.
//!
//! This is plain data. The binary reads it from options and reports errors; `scheduler` and `executor` carry it out.
//! Parameters are those of the whole test: a [`LoadPlan`] knows the share of one execution segment, and how many VUs it
//! takes for how long.
//! (<https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/>)

use std::time::Duration;

use senary_metrics::TagSet;

use crate::pacer::{Arrivals, ConstantRate, RampingRate, Stage, VuStep, reserved_vus, vu_steps};
use crate::segment::{SegmentTuple, Striping};

/// The name of the scenario that options without scenarios stand for, and of the function it runs.
pub const DEFAULT: &str = "default";

/// One scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub name: String,
    pub executor: ExecutorConfig,
    pub start_time: Duration,
    pub graceful_stop: Duration,
    /// The exported function to run.
    pub exec: String,
    /// Laid over `__ENV`.
    pub env: Vec<(String, String)>,
    /// The scenario's own tags.
    pub tags: TagSet,
}

/// Makes the enum of the executors' types and the table of their names of one list, so that neither misses a type.
macro_rules! executor_kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// A type of executor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ExecutorKind {
            $($kind,)*
        }

        impl ExecutorKind {
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The type as written in options.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

executor_kinds! {
    SharedIterations = "shared-iterations",
    PerVuIterations = "per-vu-iterations",
    ConstantVus = "constant-vus",
    RampingVus = "ramping-vus",
    ConstantArrivalRate = "constant-arrival-rate",
    RampingArrivalRate = "ramping-arrival-rate",
}

/// How a scenario starts iterations.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorConfig {
    SharedIterations {
        vus: u64,
        iterations: u64,
        max_duration: Duration,
    },
    PerVuIterations {
        vus: u64,
        iterations: u64,
        max_duration: Duration,
    },
    ConstantVus {
        vus: u64,
        duration: Duration,
    },
    RampingVus {
        start_vus: u64,
        stages: Vec<Stage>,
        graceful_ramp_down: Duration,
    },
    ConstantArrivalRate {
        rate: u64,
        time_unit: Duration,
        duration: Duration,
        pre_allocated_vus: u64,
        max_vus: u64,
    },
    RampingArrivalRate {
        start_rate: u64,
        time_unit: Duration,
        stages: Vec<Stage>,
        pre_allocated_vus: u64,
        max_vus: u64,
    },
}

impl ExecutorConfig {
    pub fn kind(&self) -> ExecutorKind {
        match self {
            Self::SharedIterations { .. } => ExecutorKind::SharedIterations,
            Self::PerVuIterations { .. } => ExecutorKind::PerVuIterations,
            Self::ConstantVus { .. } => ExecutorKind::ConstantVus,
            Self::RampingVus { .. } => ExecutorKind::RampingVus,
            Self::ConstantArrivalRate { .. } => ExecutorKind::ConstantArrivalRate,
            Self::RampingArrivalRate { .. } => ExecutorKind::RampingArrivalRate,
        }
    }

    /// The type as written in options.
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    /// How long new iterations may start.
    pub fn regular_duration(&self) -> Duration {
        match self {
            Self::SharedIterations { max_duration, .. } | Self::PerVuIterations { max_duration, .. } => {
                *max_duration
            }
            Self::ConstantVus { duration, .. } | Self::ConstantArrivalRate { duration, .. } => *duration,
            Self::RampingVus { stages, .. } | Self::RampingArrivalRate { stages, .. } => {
                stages.iter().map(|s| s.duration).sum()
            }
        }
    }
}

/// All scenarios of a test, and the segment of it that this process runs.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    scenarios: Vec<Scenario>,
    segment: SegmentTuple,
}

/// The share of one segment in a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// VUs it starts with, or, for a ramp of VUs, the most it has at a time.
    pub vus: u64,
    /// The most VUs it may come to; more than `vus` only for arrival rates.
    pub max_vus: u64,
    /// Iterations of all its VUs together, where their number is fixed.
    pub iterations: Option<u64>,
    /// The highest rate it comes to, in iterations per second.
    pub rate: Option<f64>,
    /// What part of the rate of the whole test it has, 0 to 1; for arrival rates.
    pub part: f64,
}

impl Share {
    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.max_vus > 0 && self.iterations != Some(0)
    }
}

impl LoadPlan {
    /// The scenarios are put in the order in which they start.
    pub fn new(mut scenarios: Vec<Scenario>, segment: SegmentTuple) -> Self {
        scenarios.sort_by(|a, b| (a.start_time, &a.name).cmp(&(b.start_time, &b.name)));
        Self { scenarios, segment }
    }

    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    pub fn segment(&self) -> &SegmentTuple {
        &self.segment
    }

    /// This segment's share of one scenario.
    pub fn share(&self, scenario: &Scenario) -> Share {
        scenario.executor.share(&self.segment)
    }

    /// VUs to make before the start: the most that are certainly needed at the same time.
    pub fn planned_vus(&self) -> u64 {
        self.most_at_a_time(|n| n.planned)
    }

    /// The most VUs there may be: those of `planned_vus`, and what arrival rates may add.
    pub fn max_vus(&self) -> u64 {
        self.most_at_a_time(|n| n.planned + n.unplanned)
    }

    /// The longest the load of this segment may last, from the start of the first scenario's clock until the last VU
    /// is free.
    pub fn max_duration(&self) -> Duration {
        let ends = self.scenarios.iter().filter_map(|scenario| scenario.free_again(&self.segment));
        ends.max().unwrap_or_default()
    }

    fn most_at_a_time(&self, of: impl Fn(Need) -> u64) -> u64 {
        let mut steps: Vec<(Duration, usize, Need)> = Vec::new();
        for (index, scenario) in self.scenarios.iter().enumerate() {
            let needs = scenario.needs(&self.segment).into_iter();
            steps.extend(needs.map(|(at, need)| (scenario.start_time.saturating_add(at), index, need)));
        }
        // The sort is stable: of several steps of one scenario at the same time the last counts.
        steps.sort_by_key(|(at, ..)| *at);
        let mut present = vec![Need::default(); self.scenarios.len()];
        let mut most = 0;
        for together in steps.chunk_by(|a, b| a.0 == b.0) {
            together.iter().for_each(|(_, index, need)| present[*index] = *need);
            most = most.max(present.iter().map(|n| of(*n)).sum());
        }
        most
    }
}

/// VUs a scenario needs from some time on.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    planned: u64,
    unplanned: u64,
}

impl Scenario {
    /// When its last VU is free again, from the start of the first scenario's clock; `None` if it gets no VU at all.
    fn free_again(&self, segment: &SegmentTuple) -> Option<Duration> {
        let needs = self.needs(segment);
        let last = needs.iter().rposition(|(_, need)| need.planned + need.unplanned > 0)?;
        let end = needs.get(last + 1).map_or_else(|| self.longest(), |(at, _)| *at);
        Some(self.start_time.saturating_add(end))
    }

    fn longest(&self) -> Duration {
        self.executor.regular_duration().saturating_add(self.graceful_stop)
    }

    /// How many VUs it needs, from its own start on.
    fn needs(&self, segment: &SegmentTuple) -> Vec<(Duration, Need)> {
        let share = self.executor.share(segment);
        if let Some((steps, graceful_ramp_down)) = self.executor.vu_ramp(segment.striping()) {
            let reserved = reserved_vus(&steps, graceful_ramp_down, self.longest());
            return reserved.iter().map(|s| (s.at, Need { planned: s.vus, unplanned: 0 })).collect();
        }
        let need = Need { planned: share.vus, unplanned: share.max_vus - share.vus };
        vec![(Duration::ZERO, need), (self.longest(), Need::default())]
    }
}

impl ExecutorConfig {
    fn share(&self, segment: &SegmentTuple) -> Share {
        match self {
            Self::SharedIterations { vus, iterations, .. } => {
                let own = segment.resegmented(*vus).map_or(0, |s| s.scale(*iterations));
                Share::of_vus(segment.scale(*vus), Some(own))
            }
            Self::PerVuIterations { vus, iterations, .. } => {
                let vus = segment.scale(*vus);
                Share::of_vus(vus, Some(vus.saturating_mul(*iterations)))
            }
            Self::ConstantVus { vus, .. } => Share::of_vus(segment.scale(*vus), None),
            Self::RampingVus { start_vus, stages, .. } => {
                let most = stages.iter().map(|s| s.target).fold(*start_vus, u64::max);
                Share::of_vus(segment.scale(most), None)
            }
            Self::ConstantArrivalRate { pre_allocated_vus, max_vus, .. }
            | Self::RampingArrivalRate { pre_allocated_vus, max_vus, .. } => {
                let vus = segment.scale(*pre_allocated_vus);
                let own = segment.scale(*max_vus);
                // Iterations are divided as the VUs are: each segment gets the same share of the rate.
                let part = if *max_vus == 0 { 0.0 } else { own as f64 / *max_vus as f64 };
                Share {
                    vus,
                    max_vus: own.max(vus),
                    iterations: None,
                    rate: self.top_rate().map(|rate| rate * part),
                    part,
                }
            }
        }
    }

    /// The highest rate of the whole test, in iterations per second.
    fn top_rate(&self) -> Option<f64> {
        let (rate, time_unit) = match self {
            Self::ConstantArrivalRate { rate, time_unit, .. } => (*rate, *time_unit),
            Self::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
                (stages.iter().map(|s| s.target).fold(*start_rate, u64::max), *time_unit)
            }
            Self::SharedIterations { .. }
            | Self::PerVuIterations { .. }
            | Self::ConstantVus { .. }
            | Self::RampingVus { .. } => return None,
        };
        Some(rate as f64 / time_unit.as_secs_f64())
    }

    /// How the iterations that fall to a segment are numbered within the whole test.
    pub(crate) fn numbering(&self, segment: &SegmentTuple) -> Option<Striping> {
        match self {
            Self::SharedIterations { vus: whole, .. }
            | Self::ConstantArrivalRate { max_vus: whole, .. }
            | Self::RampingArrivalRate { max_vus: whole, .. } => segment.resegmented(*whole),
            Self::PerVuIterations { .. } | Self::ConstantVus { .. } | Self::RampingVus { .. } => {
                Some(segment.striping().clone())
            }
        }
    }

    /// The starts of iterations of the whole test, for arrival rates.
    pub(crate) fn arrivals(&self) -> Option<Arrivals> {
        match self {
            Self::ConstantArrivalRate { rate, time_unit, duration, .. } => {
                let (rate, time_unit, duration) = (*rate, *time_unit, *duration);
                Some(Arrivals::Constant(ConstantRate { rate, time_unit, duration }))
            }
            Self::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
                Some(Arrivals::Ramping(RampingRate::new(*start_rate, *time_unit, stages)))
            }
            Self::SharedIterations { .. }
            | Self::PerVuIterations { .. }
            | Self::ConstantVus { .. }
            | Self::RampingVus { .. } => None,
        }
    }

    /// The steps of a ramp of VUs, and how long a VU that is taken away may go on.
    pub(crate) fn vu_ramp(&self, striping: &Striping) -> Option<(Vec<VuStep>, Duration)> {
        match self {
            Self::RampingVus { start_vus, stages, graceful_ramp_down } => {
                Some((vu_steps(*start_vus, stages, striping), *graceful_ramp_down))
            }
            Self::SharedIterations { .. }
            | Self::PerVuIterations { .. }
            | Self::ConstantVus { .. }
            | Self::ConstantArrivalRate { .. }
            | Self::RampingArrivalRate { .. } => None,
        }
    }

    /// Iterations of each VU, where it is fixed.
    pub(crate) fn iterations_per_vu(&self) -> Option<u64> {
        match self {
            Self::PerVuIterations { iterations, .. } => Some(*iterations),
            Self::SharedIterations { .. }
            | Self::ConstantVus { .. }
            | Self::RampingVus { .. }
            | Self::ConstantArrivalRate { .. }
            | Self::RampingArrivalRate { .. } => None,
        }
    }
}

impl Share {
    fn of_vus(vus: u64, iterations: Option<u64>) -> Self {
        Self { vus, max_vus: vus, iterations, rate: None, part: 1.0 }
    }
}
