//! From options to a test that can be run. This is the only place where options are judged.

mod advice;
mod http;
mod lifecycle;
mod network;
mod scenario;
mod summary;
mod test_plan;
mod thresholds;

pub use lifecycle::LifecyclePlan;
pub use network::{NetworkPlan, judge_values};
pub use summary::SummarySettings;
pub use test_plan::{PlanError, ScriptFacts, TestPlan};

/// The result, or another problem.
fn keep<T>(result: Result<T, impl ToString>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem.to_string())).ok()
}
