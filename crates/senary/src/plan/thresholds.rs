//! Judges thresholds apart from the rest of a plan.

use senary_metrics::engine::ThresholdPlan;

use super::test_plan::{PlanError, ScriptFacts, check_thresholds};
use crate::options::Options;

/// Whether all thresholds of some options are ones that a run could judge: above all, on metrics that there are.
pub fn judge_thresholds(options: &Options, script: &ScriptFacts<'_>) -> Result<(), PlanError> {
    let thresholds: ThresholdPlan = options.thresholds.clone().unwrap_or_default().into_iter().collect();
    let mut problems = Vec::new();
    check_thresholds(&thresholds, script, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(PlanError { problems }) }
}
