//! What is said at the end: `handleSummary()` or the default text, and `--summary-export`.
//! (<https://grafana.com/docs/k6/latest/results-output/end-of-test/custom-summary/>)

use std::io::{stderr, stdout};

use senary_js::LifecycleError;
use senary_js::bundle::HANDLE_SUMMARY;
use senary_js::lifecycle::SummaryFiles;
use senary_metrics::Results;
use senary_output::{Summary, SummaryOptions, WhatWentWrong, save};
use tokio_util::sync::CancellationToken;

use crate::command_error::{CommandError, LifecycleFunction};
use crate::settings::SummaryMode;
use crate::terminal::is_terminal;
use crate::test_run::{Ended, run_lifecycle};
use crate::{failures, saturation, verdict};

/// Writes the summary. What goes wrong with it is logged and changes nothing about how the run ended; but a
/// signal that ends `handleSummary()` ends the run.
pub async fn write(
    ended: &Ended,
    results: Results,
    wrong: WhatWentWrong,
    script: String,
    no_color: bool,
    signalled: &CancellationToken,
) -> Result<(), CommandError> {
    let settings = &ended.plan.summary;
    let mut summary = Summary::new(results, options(ended, script, no_color)).with_failures(wrong);
    let data = if settings.new_machine_readable { summary.machine_readable() } else { summary.legacy_json() };
    let (mut is_default, mut outcome) = (true, Ok(()));
    let files = match custom(ended, data.to_string(), signalled).await {
        Ok(Some(files)) => {
            is_default = false;
            files
        }
        Ok(None) => default_files(ended, &summary),
        Err(failure @ CommandError::Stopped(_)) if signalled.is_cancelled() => {
            outcome = Err(failure);
            default_files(ended, &summary)
        }
        Err(failure) => {
            log_failure(&failure);
            let now = ended.handle.run.clock.now();
            summary.note_failures(&failures::of_lifecycle(LifecycleFunction::HandleSummary, &failure, now));
            default_files(ended, &summary)
        }
    };
    let mut contents = files;
    if let Some(path) = &settings.export {
        let export = if settings.new_machine_readable {
            summary.machine_readable_export()
        } else {
            summary.export_json()
        };
        contents.push((path.clone(), export));
    }
    if !is_default || settings.mode == SummaryMode::Disabled {
        // The text that would have said it is not shown.
        saturation::warn(&ended.saturation);
    }
    // Logged lines come before what they lead up to, where both go to one screen.
    crate::logging::flush_lines();
    if let Err(error) = save(&contents, &mut stdout().lock(), &mut stderr().lock()) {
        log_unhandled(&error.to_string());
    }
    outcome
}

/// What a script throws says itself where it went wrong; of what it returns somebody has to.
fn log_failure(failure: &CommandError) {
    match failure {
        CommandError::Lifecycle(
            LifecycleError::SummaryNotAFunction
            | LifecycleError::SummaryNeverSettled
            | LifecycleError::SummaryNoMap
            | LifecycleError::SummaryValue { .. },
        ) => log_unhandled(&failure.to_string()),
        _ => failure.log(),
    }
}

fn log_unhandled(error: &str) {
    log::error!(error = error; "failed to handle the end-of-test summary");
}

/// What the script's `handleSummary()` wants written, if it has one and that returns something.
async fn custom(
    ended: &Ended,
    data: String,
    signalled: &CancellationToken,
) -> Result<Option<SummaryFiles>, CommandError> {
    if !ended.handle.lifecycle.bundle.exports_anything_as(HANDLE_SUMMARY) {
        return Ok(None);
    }
    let limit = ended.plan.lifecycle.handle_summary_timeout;
    // A run that was ended by a signal still has a summary; then only a second one ends that.
    let interrupt = if signalled.is_cancelled() { CancellationToken::new() } else { signalled.child_token() };
    run_lifecycle(
        &ended.handle,
        LifecycleFunction::HandleSummary,
        limit,
        interrupt,
        move |lifecycle, interrupt| lifecycle.handle_summary(&data, interrupt),
    )
    .await
}

fn default_files(ended: &Ended, summary: &Summary) -> SummaryFiles {
    match ended.plan.summary.mode {
        SummaryMode::Disabled => SummaryFiles::new(),
        SummaryMode::Compact | SummaryMode::Full => {
            vec![("stdout".to_owned(), summary.text().into_bytes())]
        }
    }
}

fn options(ended: &Ended, script: String, no_color: bool) -> SummaryOptions {
    let settings = &ended.plan.summary;
    let stdout_is_terminal = is_terminal(&stdout());
    let setup_data = ended.handle.lifecycle.settings.setup_data.get();
    SummaryOptions {
        full: settings.mode == SummaryMode::Full,
        trend_stats: settings.trend_stats.clone(),
        time_unit: settings.time_unit,
        no_color,
        colored: stdout_is_terminal && !no_color,
        stdout_is_terminal,
        stderr_is_terminal: is_terminal(&stderr()),
        setup_data: setup_data.and_then(|json| serde_json::from_str(&json).ok()),
        script,
        version: crate::version::REFERENCE_VERSION.to_owned(),
        remarks: saturation::remarks(&ended.saturation),
        objections: ended.objections.clone(),
    }
}

/// Tells of a run in which nothing was done, or nothing that thresholds could be judged by.
pub fn warn_of_nothing_done(ended: &Ended, results: &Results) {
    if !ended.has_run {
        // There is a reason, and it has been told.
        return;
    }
    const NOTHING: &str = "No script iterations fully finished, consider making the test duration longer";
    match (ended.handle.run.state.full_iterations(), ended.handle.run.state.interrupted_iterations()) {
        (0, 0) => log::warn!("{NOTHING}"),
        (0, _) => {
            // Mostly it is none of the duration's fault.
            let hint = "an iteration lasts until its sockets are closed (destroy()) and its timers have run";
            log::warn!(hint = hint; "{NOTHING}");
        }
        _ => {}
    }
    verdict::warn_of_missing(results);
}
