//! What the REST API may ask of a run, and make it do.

use std::sync::{Arc, Mutex, PoisonError};

use senary_execution::{ExecutionState, Shutdown, StopReason};
use senary_js::{Stages, bundle};
use senary_metrics::Results;
use senary_output::PipelineHandle;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, PauseError};
use crate::rest::{RunControl, Status};
use crate::run_phase::RunPhaseCell;

/// A run, seen from the API. It outlives the pipeline: with `--linger` people still ask.
pub struct Control {
    pub stages: Arc<Stages>,
    pub state: Arc<ExecutionState>,
    pub shutdown: Shutdown,
    pub phase: Arc<RunPhaseCell>,
    pub gate: Arc<Gate>,
    pub pipeline: PipelineHandle,
    /// Kept once the pipeline is gone.
    pub last_results: Mutex<Option<Results>>,
}

impl Control {
    pub fn keep(&self, results: &Results) {
        *self.last_results.lock().unwrap_or_else(PoisonError::into_inner) = Some(results.clone());
    }
}

impl RunControl for Control {
    fn status(&self) -> Status {
        let elapsed = self.state.run_duration().as_secs_f64();
        let crossed = self.pipeline.query(move |engine| engine.evaluate(elapsed));
        Status {
            phase: self.phase.get(),
            paused: self.gate.is_paused(),
            vus: self.state.active_vus(),
            vus_max: self.state.initialized_vus(),
            stopped: self.shutdown.reason() == Some(&StopReason::RestApi),
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
        self.shutdown.stop(StopReason::RestApi);
    }

    fn results(&self) -> Results {
        self.pipeline.snapshot().unwrap_or_else(|| {
            self.last_results.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
        })
    }

    fn setup_data(&self) -> Option<String> {
        self.stages.settings.setup_data.get().map(|json| json.to_string())
    }

    fn set_setup_data(&self, json: Option<String>) {
        self.stages.settings.setup_data.set(json);
    }

    fn run_setup(&self) -> Result<(), String> {
        // Who starts tests does not know what is in them: nothing to do is done.
        let data = match self.stages.bundle.has_export(bundle::SETUP) {
            true => self.stages.setup(&self.interrupt()).map_err(|e| e.to_string())?,
            false => None,
        };
        self.stages.settings.setup_data.set(data);
        Ok(())
    }

    fn run_teardown(&self) -> Result<(), String> {
        if !self.stages.bundle.has_export(bundle::TEARDOWN) {
            return Ok(());
        }
        self.stages.teardown(&self.interrupt()).map_err(|e| e.to_string())
    }
}

impl Control {
    /// Stages that somebody asked for end with the run.
    fn interrupt(&self) -> CancellationToken {
        self.shutdown.token().child_token()
    }
}
