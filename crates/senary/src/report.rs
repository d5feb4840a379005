//! The summary at the end: `handleSummary()` or the default text, and `--summary-export`.
//! (<https://grafana.com/docs/k6/latest/results-output/end-of-test/custom-summary/>)

use std::io::{stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use senary_js::bundle::HANDLE_SUMMARY;
use senary_js::lifecycle::SummaryFiles;
use senary_js::{Lifecycle, LifecycleError};
use senary_metrics::{Results, Timestamp};
use senary_output::{Instances, Remark, Summary, SummaryOptions, WhatWentWrong, save};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::command_error::{CommandError, LifecycleFunction};
use crate::plan::SummarySettings;
use crate::settings::SummaryMode;
use crate::terminal::is_terminal;
use crate::test_run::{Ended, run_lifecycle};
use crate::{failures, saturation, verdict};

/// Whether this process has reported on a run.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// Whether a run was reported on, so that its user knows how it ended.
pub fn was_written() -> bool {
    WRITTEN.load(Ordering::Relaxed)
}

/// What a summary says besides results, and who else may make it.
pub struct Closing {
    pub settings: SummarySettings,
    /// The script's functions, and how long `handleSummary()` may take; `None` if there is no such function.
    pub handler: Option<(Arc<Lifecycle>, Duration)>,
    pub setup_data: Option<Value>,
    /// The script's source text.
    pub script: String,
    pub no_color: bool,
    /// What speaks against the figures, and what `--strict` holds against them.
    pub remarks: Vec<Remark>,
    pub objections: Vec<String>,
    /// The instances of the test, if it is made of several.
    pub instances: Option<Instances>,
    /// When the test was over.
    pub now: Timestamp,
}

impl Closing {
    /// Of a run of this process.
    pub fn of_run(ended: &Ended, script: String, no_color: bool) -> Self {
        let lifecycle = &ended.handle.lifecycle;
        let handles_summary = lifecycle.bundle.exports_anything_as(HANDLE_SUMMARY);
        let setup_data = lifecycle.settings.setup_data.get();
        Self {
            settings: ended.plan.summary.clone(),
            handler: handles_summary
                .then(|| (lifecycle.clone(), ended.plan.lifecycle.handle_summary_timeout)),
            setup_data: setup_data.and_then(|json| serde_json::from_str(&json).ok()),
            script,
            no_color,
            remarks: saturation::remarks(&ended.saturation),
            objections: ended.objections.clone(),
            instances: None,
            now: ended.handle.run.clock.now(),
        }
    }

    fn options(&self) -> SummaryOptions {
        let settings = &self.settings;
        let stdout_is_terminal = is_terminal(&stdout());
        SummaryOptions {
            full: settings.mode == SummaryMode::Full,
            trend_stats: settings.trend_stats.clone(),
            time_unit: settings.time_unit,
            no_color: self.no_color,
            colored: stdout_is_terminal && !self.no_color,
            stdout_is_terminal,
            stderr_is_terminal: is_terminal(&stderr()),
            setup_data: self.setup_data.clone(),
            script: self.script.clone(),
            version: crate::version::REFERENCE_VERSION.to_owned(),
            remarks: self.remarks.clone(),
            objections: self.objections.clone(),
            instances: self.instances.clone(),
        }
    }
}

/// Writes the summary. What goes wrong with it is logged and changes nothing about how the run ended; but a
/// signal that ends `handleSummary()` ends the run.
pub async fn write(
    closing: &Closing,
    results: Results,
    wrong: WhatWentWrong,
    signalled: &CancellationToken,
) -> Result<(), CommandError> {
    let settings = &closing.settings;
    let mut summary = Summary::new(results, closing.options()).with_failures(wrong);
    let data = if settings.new_machine_readable { summary.machine_readable() } else { summary.legacy_json() };
    let (mut is_default, mut outcome) = (true, Ok(()));
    let files = match custom(closing, data.to_string(), signalled).await {
        Ok(Some(files)) => {
            is_default = false;
            files
        }
        Ok(None) => default_files(settings, &summary),
        Err(failure @ CommandError::Stopped(_)) if signalled.is_cancelled() => {
            outcome = Err(failure);
            default_files(settings, &summary)
        }
        Err(failure) => {
            log_failure(&failure);
            let function = LifecycleFunction::HandleSummary;
            summary.note_failures(&failures::of_lifecycle(function, &failure, closing.now));
            default_files(settings, &summary)
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
        saturation::warn(&closing.remarks);
    }
    // Logged lines come before what they lead up to, where both go to one screen.
    crate::logging::flush_lines();
    if let Err(error) = save(&contents, &mut stdout().lock(), &mut stderr().lock()) {
        log_unhandled(&error.to_string());
    }
    WRITTEN.store(true, Ordering::Relaxed);
    outcome
}

/// An exception names its place itself. For an invalid return value, the message has to say what failed.
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
    closing: &Closing,
    data: String,
    signalled: &CancellationToken,
) -> Result<Option<SummaryFiles>, CommandError> {
    let Some((lifecycle, limit)) = &closing.handler else { return Ok(None) };
    // A run that was ended by a signal still has a summary; then only a second one ends that.
    let interrupt = if signalled.is_cancelled() { CancellationToken::new() } else { signalled.child_token() };
    run_lifecycle(
        lifecycle,
        LifecycleFunction::HandleSummary,
        *limit,
        interrupt,
        move |lifecycle, interrupt| lifecycle.handle_summary(&data, interrupt),
    )
    .await
}

fn default_files(settings: &SummarySettings, summary: &Summary) -> SummaryFiles {
    match settings.mode {
        SummaryMode::Disabled => SummaryFiles::new(),
        SummaryMode::Compact | SummaryMode::Full => {
            vec![("stdout".to_owned(), summary.text().into_bytes())]
        }
    }
}

/// Tells of a run in which nothing was done, or nothing that thresholds could be judged by.
pub fn warn_of_nothing_done(ended: &Ended, results: &Results) {
    if !ended.has_run {
        // The reason has already been reported.
        return;
    }
    let state = &ended.handle.run.state;
    warn_of_no_iterations(state.full_iterations(), state.interrupted_iterations());
    verdict::warn_of_missing(results);
}

/// Tells of a test that has run, and of whose iterations none was completed.
pub fn warn_of_no_iterations(full: u64, interrupted: u64) {
    const NOTHING: &str = "No script iterations fully finished, consider making the test duration longer";
    match (full, interrupted) {
        (0, 0) => log::warn!("{NOTHING}"),
        (0, _) => {
            // Mostly it is none of the duration's fault.
            let hint = "an iteration lasts until its sockets are closed (destroy()) and its timers have run";
            log::warn!(hint = hint; "{NOTHING}");
        }
        _ => {}
    }
}
