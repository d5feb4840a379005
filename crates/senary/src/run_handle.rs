//! What all that has to do with a run may know of it and do to it: the main line, the display, and the REST API.

use std::sync::{Mutex, PoisonError};

use senary_execution::{RunContext, StopReason};
use senary_js::{Lifecycle, bundle};
use senary_metrics::Results;
use senary_output::PipelineHandle;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, PauseError};
use crate::rest::{RunControl, Status};
use crate::run_phase::RunPhaseCell;

/// A run, seen from outside of it. It outlives the pipeline: with `--linger` people still ask.
pub struct RunHandle {
    pub run: RunContext,
    pub lifecycle: Lifecycle,
    pub phase: RunPhaseCell,
    /// Where a run waits that was started with `--paused`.
    pub gate: Gate,
    pipeline: PipelineHandle,
    /// Kept once the pipeline is gone.
    last_results: Mutex<Option<Results>>,
}

impl RunHandle {
    pub fn new(lifecycle: Lifecycle, gate: Gate, pipeline: PipelineHandle) -> Self {
        let (run, phase) = (lifecycle.run.clone(), RunPhaseCell::default());
        Self { run, lifecycle, phase, gate, pipeline, last_results: Mutex::default() }
    }

    pub fn keep(&self, results: &Results) {
        *self.last_results.lock().unwrap_or_else(PoisonError::into_inner) = Some(results.clone());
    }

    /// A token for a function that somebody asked for: it ends with the run.
    fn interrupt(&self) -> CancellationToken {
        self.run.shutdown.token().child_token()
    }
}

impl RunControl for RunHandle {
    fn status(&self) -> Status {
        let elapsed = self.run.state.run_duration().as_secs_f64();
        let crossed = self.pipeline.query(move |engine| engine.evaluate(elapsed));
        Status {
            phase: self.phase.get(),
            paused: self.gate.is_paused(),
            vus: self.run.state.active_vus(),
            vus_max: self.run.state.initialized_vus(),
            stopped: self.run.shutdown.reason() == Some(&StopReason::RestApi),
            tainted: match crossed {
                Some(crossed) => !crossed.metrics.is_empty(),
                None => self.results().metrics.iter().any(|m| m.thresholds.iter().any(|t| !t.ok)),
            },
        }
    }

    fn set_paused(&self, paused: bool) -> Result<(), PauseError> {
        self.gate.set_paused(paused)
    }

    fn stop(&self) {
        self.run.shutdown.stop(StopReason::RestApi);
    }

    fn results(&self) -> Results {
        self.pipeline.snapshot().unwrap_or_else(|| {
            self.last_results.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
        })
    }

    fn setup_data(&self) -> Option<String> {
        self.lifecycle.settings.setup_data.get().map(|json| json.to_string())
    }

    fn set_setup_data(&self, json: Option<String>) {
        self.lifecycle.settings.setup_data.set(json);
    }

    fn run_setup(&self) -> Result<(), String> {
        // Who starts tests does not know what is in them: nothing to do is done.
        let data = match self.lifecycle.bundle.has_export(bundle::SETUP) {
            true => self.lifecycle.setup(&self.interrupt()).map_err(|e| e.to_string())?,
            false => None,
        };
        self.lifecycle.settings.setup_data.set(data);
        Ok(())
    }

    fn run_teardown(&self) -> Result<(), String> {
        if !self.lifecycle.bundle.has_export(bundle::TEARDOWN) {
            return Ok(());
        }
        self.lifecycle.teardown(&self.interrupt()).map_err(|e| e.to_string())
    }
}
