//! From options to a test that can be run. This is the only place where options are judged.

mod advice;
mod scenario;
mod summary;
mod test_plan;

pub use summary::{check_time_unit, check_trend_stat};
pub use test_plan::{PlanError, ScriptFacts, SummarySettings, TestPlan, judge_values};
