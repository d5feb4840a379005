//! What went wrong in a run, put together: what was counted while it ran, and what its results say.

use senary_execution::RunContext;
use senary_metrics::{Details, FailureId, FailureKind, Failures, Results, Timestamp};
use senary_output::state::Whole;
use senary_output::{Finished, WhatWentWrong};

use crate::command_error::{CommandError, LifecycleFunction};

/// The failures of a run that has ended.
pub fn of_run(run: &RunContext, finished: &Finished) -> WhatWentWrong {
    let mut failures = counted(run, &finished.output_errors);
    add_thresholds(&mut failures, &finished.results, run.clock.now());
    let started = run.state.started().map(|started| run.clock.at(started));
    WhatWentWrong { failures, started, folder: folder() }
}

/// What was counted in a run, and what its outputs lost; how its thresholds stand is not in it.
pub fn counted(run: &RunContext, output_errors: &[String]) -> Failures {
    let mut failures = run.state.failures();
    for error in output_errors {
        failures.add(&FailureId::new(FailureKind::Output, error), 1, run.clock.now(), Details::text(error));
    }
    failures
}

/// The failures of the instances of a test, and the thresholds of the whole.
pub fn of_whole(whole: &Whole, results: &Results, now: Timestamp) -> WhatWentWrong {
    let mut failures = whole.failures.clone();
    add_thresholds(&mut failures, results, now);
    WhatWentWrong { failures, started: whole.started, folder: folder() }
}

/// `setup()`, `teardown()` or `handleSummary()` failed.
pub fn of_lifecycle(function: LifecycleFunction, failure: &CommandError, now: Timestamp) -> Failures {
    let kind = match function {
        LifecycleFunction::Setup => FailureKind::Setup,
        LifecycleFunction::Teardown => FailureKind::Teardown,
        LifecycleFunction::HandleSummary => FailureKind::HandleSummary,
    };
    let mut failures = Failures::default();
    let text = failure.to_string();
    let message = text.lines().next().unwrap_or_default();
    failures.add(&FailureId::new(kind, ""), 1, now, Details::text(message));
    failures
}

fn add_thresholds(failures: &mut Failures, results: &Results, now: Timestamp) {
    for metric in &results.metrics {
        for threshold in metric.thresholds.iter().filter(|threshold| !threshold.ok || !threshold.has_data) {
            let name = format!("{}: {}", metric.name, threshold.spec.source);
            let text = match threshold.has_data {
                true => format!("was crossed: {} was {}", threshold.method, threshold.value),
                false => "had nothing to judge: nothing was measured for it".to_owned(),
            };
            failures.add(&FailureId::new(FailureKind::Threshold, &name), 1, now, Details::text(text));
        }
    }
}

/// Where places of the script are shown from.
fn folder() -> String {
    std::env::current_dir().map(|folder| format!("file://{}/", folder.display())).unwrap_or_default()
}
