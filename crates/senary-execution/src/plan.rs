//! What a test's load is made of: validated scenarios, each with its executor.
//!
//! Plain data. Reading it from options, with all the errors users see, is the binary's business; executing it
//! is `scheduler`'s and `executor`'s. Parameters are those of the whole test: the share of one execution
//! segment is worked out by `segment`.
//! (<https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/>)

use std::time::Duration;

use senary_metrics::TagSet;

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

/// A piece of a ramp: the target is reached, in a straight line, at the end of the duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub duration: Duration,
    pub target: u64,
}

impl ExecutorConfig {
    /// The type as written in options.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::SharedIterations { .. } => "shared-iterations",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
        }
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
