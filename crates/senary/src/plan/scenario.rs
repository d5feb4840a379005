//! Judging one scenario: from what is written, with its defaults, to what can be executed, or all that is wrong
//! with it. The texts and their order are the reference's.

use std::time::Duration;

use senary_execution::{ExecutorConfig, Scenario, Stage};
use senary_metrics::TagSet;

use crate::options::{ExecutorOption, Nanos, ScenarioOption, StageOption};

const DEFAULT_GRACE: Nanos = Nanos::from_secs(30);
const DEFAULT_MAX_DURATION: Nanos = Nanos::from_secs(600);
const SECOND: Nanos = Nanos::from_secs(1);
/// Of iterations or VUs in a stage.
const MAX_TARGET: i64 = 100_000_000;

/// What is wrong with a scenario.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, text: impl Into<String>) {
        if !holds {
            self.0.push(text.into());
        }
    }

    /// The number, once it was checked not to be negative.
    fn count(&mut self, value: i64, holds: bool, text: impl Into<String>) -> u64 {
        self.check(holds, text);
        value.try_into().unwrap_or(0)
    }

    fn vus(&mut self, vus: Option<i64>) -> u64 {
        let vus = vus.unwrap_or(1);
        self.count(vus, vus > 0, "the number of VUs must be more than 0")
    }

    fn max_duration(&mut self, max: Option<Nanos>) -> Duration {
        let max = max.unwrap_or(DEFAULT_MAX_DURATION);
        self.check(max >= SECOND, format!("the maxDuration must be at least 1s, but is {max}"));
        max.duration()
    }

    fn duration(&mut self, duration: Option<Nanos>) -> Duration {
        match duration {
            None => self.0.push("the duration is unspecified".to_owned()),
            Some(d) if d < SECOND => self.0.push(format!(
                "the duration must be at least 1s, but is {d} (a number without a unit is milliseconds)"
            )),
            Some(_) => {}
        }
        duration.unwrap_or_default().duration()
    }

    fn time_unit(&mut self, unit: Option<Nanos>) -> Duration {
        let unit = unit.unwrap_or(SECOND);
        self.check(unit.0 > 0, "the timeUnit must be more than 0");
        unit.duration()
    }

    fn pre_allocated(&mut self, pre_allocated: Option<i64>, max: Option<i64>) -> (u64, u64) {
        match pre_allocated {
            None => self.0.push("the number of preAllocatedVUs isn't specified".to_owned()),
            Some(n) => self.check(n >= 0, "the number of preAllocatedVUs can't be negative"),
        }
        let pre_allocated = pre_allocated.unwrap_or(0);
        let max = max.unwrap_or(pre_allocated);
        self.check(max >= pre_allocated, "maxVUs can't be less than preAllocatedVUs");
        (pre_allocated.try_into().unwrap_or(0), max.try_into().unwrap_or(0))
    }

    fn stages(&mut self, stages: &[StageOption]) -> Vec<Stage> {
        self.check(!stages.is_empty(), "at least one stage has to be specified");
        let mut checked = Vec::with_capacity(stages.len());
        for (n, stage) in (1..).zip(stages) {
            match stage.duration {
                None => self.0.push(format!("stage {n} doesn't have a duration")),
                Some(d) => self.check(d.0 >= 0, format!("the duration for stage {n} can't be negative")),
            }
            match stage.target {
                None => self.0.push(format!("stage {n} doesn't have a target")),
                Some(t) if t < 0 => self.0.push(format!("the target for stage {n} can't be negative")),
                Some(t) => {
                    let text = format!("target for stage {n} exceeds max limit of {MAX_TARGET}");
                    self.check(t <= MAX_TARGET, text);
                }
            }
            checked.push(Stage {
                duration: stage.duration.unwrap_or_default().duration(),
                target: stage.target.unwrap_or(0).try_into().unwrap_or(0),
            });
        }
        checked
    }

    fn vu_ramp(
        &mut self,
        start_vus: Option<i64>,
        stages: &[StageOption],
        graceful_ramp_down: Option<Nanos>,
    ) -> ExecutorConfig {
        let start_vus = start_vus.unwrap_or(1);
        let checked = self.count(start_vus, start_vus >= 0, "the number of start VUs can't be negative");
        let text = format!("the number of start VUs exceeds max limit of {MAX_TARGET}");
        self.check(start_vus <= MAX_TARGET, text);
        self.check(
            start_vus > 0 || stages.iter().any(|stage| stage.target.is_some_and(|target| target > 0)),
            "either startVUs or one of the stages' target values must be greater than 0",
        );
        let stages = self.stages(stages);
        let grace = graceful_ramp_down.unwrap_or(DEFAULT_GRACE);
        self.check(grace.0 >= 0, "the gracefulRampDown timeout can't be negative");
        ExecutorConfig::RampingVus { start_vus: checked, stages, graceful_ramp_down: grace.duration() }
    }
}

/// The scenario, or its faults.
pub fn judge(name: &str, option: &ScenarioOption) -> Result<Scenario, Vec<String>> {
    let mut faults = Faults::default();
    let name_is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    faults.check(
        !name.is_empty() && name.chars().all(name_is_plain),
        "the scenario name should contain only numbers, latin letters, underscores, and dashes",
    );
    let exec = option.exec.as_deref().unwrap_or(senary_execution::plan::DEFAULT);
    faults.check(!exec.is_empty(), "exec value cannot be empty");
    let start_time = option.start_time.unwrap_or_default();
    faults.check(start_time.0 >= 0, "the startTime can't be negative");
    let graceful_stop = option.graceful_stop.unwrap_or(DEFAULT_GRACE);
    faults.check(graceful_stop.0 >= 0, "the gracefulStop timeout can't be negative");
    let executor = judge_executor(&option.executor, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    let pairs = |map: &Option<std::collections::BTreeMap<String, String>>| {
        map.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    Ok(Scenario {
        name: name.to_owned(),
        executor,
        start_time: start_time.duration(),
        graceful_stop: graceful_stop.duration(),
        exec: exec.to_owned(),
        env: pairs(&option.env),
        tags: TagSet::new(pairs(&option.tags)),
    })
}

fn judge_executor(option: &ExecutorOption, faults: &mut Faults) -> ExecutorConfig {
    match option {
        ExecutorOption::SharedIterations { vus, iterations, max_duration } => {
            let iterations = iterations.unwrap_or(1);
            let (vus, written) = (faults.vus(*vus), vus.unwrap_or(1));
            let text = format!(
                "the number of iterations ({iterations}) can't be less than the number of VUs ({written})"
            );
            let iterations = faults.count(iterations, iterations >= written, text);
            let max_duration = faults.max_duration(*max_duration);
            ExecutorConfig::SharedIterations { vus, iterations, max_duration }
        }
        ExecutorOption::PerVuIterations { vus, iterations, max_duration } => {
            let vus = faults.vus(*vus);
            let iterations = iterations.unwrap_or(1);
            let text = "the number of iterations must be more than 0";
            let iterations = faults.count(iterations, iterations > 0, text);
            let max_duration = faults.max_duration(*max_duration);
            ExecutorConfig::PerVuIterations { vus, iterations, max_duration }
        }
        ExecutorOption::ConstantVus { vus, duration } => {
            let vus = faults.vus(*vus);
            ExecutorConfig::ConstantVus { vus, duration: faults.duration(*duration) }
        }
        ExecutorOption::RampingVus { start_vus, stages, graceful_ramp_down } => {
            faults.vu_ramp(*start_vus, stages.as_deref().unwrap_or_default(), *graceful_ramp_down)
        }
        ExecutorOption::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus, max_vus } => {
            match rate {
                None => faults.0.push("the iteration rate isn't specified".to_owned()),
                Some(rate) => faults.check(*rate > 0, "the iteration rate must be more than 0"),
            }
            let time_unit = faults.time_unit(*time_unit);
            let duration = faults.duration(*duration);
            let (pre_allocated_vus, max_vus) = faults.pre_allocated(*pre_allocated_vus, *max_vus);
            let rate = rate.unwrap_or(0).try_into().unwrap_or(0);
            ExecutorConfig::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus, max_vus }
        }
        ExecutorOption::RampingArrivalRate { start_rate, time_unit, stages, pre_allocated_vus, max_vus } => {
            let start_rate = start_rate.unwrap_or(0);
            let start_rate =
                faults.count(start_rate, start_rate >= 0, "the startRate value can't be negative");
            let time_unit = faults.time_unit(*time_unit);
            let stages = faults.stages(stages.as_deref().unwrap_or_default());
            let (pre_allocated_vus, max_vus) = faults.pre_allocated(*pre_allocated_vus, *max_vus);
            ExecutorConfig::RampingArrivalRate { start_rate, time_unit, stages, pre_allocated_vus, max_vus }
        }
    }
}
