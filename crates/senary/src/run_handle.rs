//! What the main line, the progress display, the dashboard and the REST API may know of a run and do to it.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use senary_execution::{ProgressWatch, RunContext, ScenarioProgress, StopReason};
use senary_js::{Lifecycle, LifecycleError, bundle};
use senary_metrics::{Results, Totals};
use senary_output::PipelineHandle;
use tokio_util::sync::CancellationToken;

use crate::command_error::{CommandError, LifecycleFunction};
use crate::gate::{Gate, PauseError};
use crate::plan::LifecyclePlan;
use crate::rest::{RunControl, Status};
use crate::run_events::{RunEvents, ThresholdState};
use crate::run_phase::RunPhase;

/// Where a run stands, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct RunProgress {
    pub phase: RunPhase,
    /// Since the start of the run; zero before it.
    pub elapsed: Duration,
    pub active_vus: u64,
    pub initialized_vus: u64,
    pub complete_iterations: u64,
    pub interrupted_iterations: u64,
    pub scenarios: Vec<ScenarioProgress>,
}

/// A run, seen from outside of it. It outlives the pipeline: with `--linger`, clients may still ask for results.
pub struct RunHandle {
    pub run: RunContext,
    pub lifecycle: Arc<Lifecycle>,
    /// How long its functions may take.
    limits: LifecyclePlan,
    /// What has happened in the run; [`RunHandle::progress`] has the figures.
    pub events: Arc<RunEvents>,
    pub watch: ProgressWatch,
    /// Where a run waits that was started with `--paused`.
    pub gate: Gate,
    /// Cancelled when the process is no longer to stay after the run (`--linger`).
    pub linger_over: CancellationToken,
    pipeline: PipelineHandle,
    /// Kept once the pipeline is gone.
    last_results: Mutex<Option<Results>>,
}

impl RunHandle {
    pub fn new(
        lifecycle: Lifecycle,
        limits: LifecyclePlan,
        gate: Gate,
        pipeline: PipelineHandle,
        events: Arc<RunEvents>,
        watch: ProgressWatch,
    ) -> Self {
        let (run, lifecycle) = (lifecycle.run.clone(), Arc::new(lifecycle));
        Self {
            run,
            lifecycle,
            limits,
            events,
            watch,
            gate,
            linger_over: CancellationToken::new(),
            pipeline,
            last_results: Mutex::default(),
        }
    }

    /// Where the run stands, for all who show it.
    pub fn progress(&self) -> RunProgress {
        let state = &self.run.state;
        RunProgress {
            phase: self.events.phase(),
            elapsed: state.run_duration(),
            active_vus: state.active_vus(),
            initialized_vus: state.initialized_vus(),
            complete_iterations: state.full_iterations(),
            interrupted_iterations: state.interrupted_iterations(),
            scenarios: self.watch.progress(),
        }
    }

    /// Tells that the run enters a phase.
    pub fn enter(&self, phase: RunPhase) {
        log::debug!("The run enters the phase {phase:?}");
        self.events.enter(phase, self.run.state.run_duration());
    }

    /// Judges the thresholds by what was measured so far, and reports how they stand. Nothing changes once the run is over.
    pub fn judge(&self) -> bool {
        let at = self.run.state.run_duration();
        let states = self.pipeline.query(move |engine| {
            let crossed = engine.evaluate(at.as_secs_f64());
            (engine.judgements().map(|judgement| ThresholdState::of(&judgement)).collect(), crossed)
        });
        let Some((states, crossed)) = states else {
            return self.results().metrics.iter().all(|m| m.thresholds.iter().all(|t| t.ok));
        };
        self.events.judged(states, at);
        crossed.metrics.is_empty()
    }

    /// What the samples so far add up to; `None` once the pipeline has finished.
    pub fn totals(&self) -> Option<Totals> {
        self.pipeline.query(|engine| engine.totals().clone())
    }

    pub fn keep(&self, results: &Results) {
        *self.last_results.lock().unwrap_or_else(PoisonError::into_inner) = Some(results.clone());
    }

    /// The token of a function that a client asked for: it ends with the run.
    fn interrupt(&self) -> CancellationToken {
        self.run.shutdown.token().child_token()
    }
}

impl RunControl for RunHandle {
    fn status(&self) -> Status {
        let progress = self.progress();
        Status {
            phase: progress.phase,
            paused: self.gate.is_paused(),
            vus: progress.active_vus,
            vus_max: progress.initialized_vus,
            stopped: self.run.shutdown.reason() == Some(&StopReason::RestApi),
            tainted: !self.judge(),
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
        // A client that starts tests does not know whether they have a `setup()`.
        let data = match self.lifecycle.bundle.has_export(bundle::SETUP) {
            true => {
                within(self.limits.setup_timeout, LifecycleFunction::Setup, &self.interrupt(), |token| {
                    self.lifecycle.setup(token)
                })?
            }
            false => None,
        };
        self.lifecycle.settings.setup_data.set(data);
        Ok(())
    }

    fn run_teardown(&self) -> Result<(), String> {
        if !self.lifecycle.bundle.has_export(bundle::TEARDOWN) {
            return Ok(());
        }
        // After a run that was ended early, too: what setup did is undone.
        let interrupt = match self.run.shutdown.token().is_cancelled() {
            true => CancellationToken::new(),
            false => self.interrupt(),
        };
        within(self.limits.teardown_timeout, LifecycleFunction::Teardown, &interrupt, |token| {
            self.lifecycle.teardown(token)
        })
    }

    fn end_linger(&self) {
        self.linger_over.cancel();
    }
}

/// Calls a function of the script that a client asked for, at most for as long as its option allows: the client may be gone, and
/// nothing else would end it.
fn within<R>(
    limit: Duration,
    function: LifecycleFunction,
    interrupt: &CancellationToken,
    call: impl FnOnce(&CancellationToken) -> Result<R, LifecycleError>,
) -> Result<R, String> {
    let (done, waiting) = channel::<()>();
    let (result, is_late) = thread::scope(|scope| {
        let watch = move || {
            let is_late = waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if is_late {
                interrupt.cancel();
            }
            is_late
        };
        let watching = thread::Builder::new().name(function.name().to_owned()).spawn_scoped(scope, watch);
        let watching = watching.map_err(|error| error.to_string())?;
        let result = call(interrupt);
        drop(done);
        // A watch that has panicked has ended nothing.
        Ok::<_, String>((result, watching.join().unwrap_or_default()))
    })?;
    result.map_err(|error| match is_late {
        true => CommandError::Timeout { function, limit }.to_string(),
        false => error.to_string(),
    })
}
