//! A test run: everything that is alive between its plan and its results, and the steps it goes through.
//!
//! `run` says when what happens; this says how. The scheduler, the pipeline and the stages are others' rooms.

use std::io::{Write, stdout};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use senary_execution::{
    Clock, ExecutionState, ProgressWatch, Saturation, Scheduler, SchedulerOptions, Shutdown, StopReason,
};
use senary_js::derived_options::DerivedOptions;
use senary_js::{Bundle, JsVuFactory, LifecycleError, Stages, VuSettings, bundle, settings::SetupData};
use senary_metrics::Engine;
use senary_metrics::engine::Crossed;
use senary_output::{Finished, Output, Pipeline, PipelineConfig};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::control::Control;
use crate::failure::{Failure, LifecycleFunction};
use crate::gate::Gate;
use crate::plan::TestPlan;
use crate::run_phase::{RunPhase, RunPhaseCell};
use crate::settings::SummaryMode;
use crate::{failures, saturation, script, verdict};

/// A run under way.
pub struct TestRun {
    pub plan: Arc<TestPlan>,
    pub bundle: Arc<Bundle>,
    pub stages: Arc<Stages>,
    pub state: Arc<ExecutionState>,
    pub shutdown: Shutdown,
    pub phase: Arc<RunPhaseCell>,
    /// Where a run waits that was started with `--paused`.
    gate: Arc<Gate>,
    pub control: Arc<Control>,
    scheduler: Scheduler<JsVuFactory>,
    pub pipeline: Pipeline,
    /// Whether scenarios were started.
    has_run: AtomicBool,
}

/// Producers of samples besides the workers: the scheduler's own comes right after them.
const PRODUCERS_OF_SCHEDULER: usize = 1;

impl TestRun {
    /// Starts outputs and workers; no VU is made yet.
    pub fn start(
        plan: TestPlan,
        bundle: Arc<Bundle>,
        outputs: Vec<Box<dyn Output>>,
        workers: usize,
        shutdown: Shutdown,
    ) -> Result<Self, Failure> {
        let (clock, state) = (Clock::new(), Arc::new(ExecutionState::new()));
        let engine = Engine::new(
            bundle.registry().clone(),
            &plan.thresholds,
            plan.evaluate_thresholds,
            plan.summary.mode == SummaryMode::Full,
        )
        .map_err(|e| Failure::Command(e.to_string()))?;
        let (elapsed, stop) = (state.clone(), shutdown.clone());
        let pipeline = Pipeline::start(PipelineConfig {
            engine,
            outputs,
            elapsed: Arc::new(move || elapsed.run_duration().as_secs_f64()),
            on_abort: Box::new(move |crossed| {
                stop.stop(StopReason::ThresholdsCrossed { metrics: crossed.metrics });
            }),
        })
        .map_err(Failure::system("starting the metrics pipeline"))?;
        let settings = Arc::new(VuSettings {
            run_tags: plan.run_tags.clone(),
            system_tags: plan.system_tags,
            dialer: plan.network.dialer.clone(),
            local_ips: plan.network.local_ips.clone(),
            options_json: plan.options_json.clone(),
            derived_options: Arc::new(DerivedOptions::new(&plan.options, bundle.options())),
            throw: plan.throw,
            setup_data: SetupData::default(),
        });
        let options = SchedulerOptions {
            workers,
            clock,
            state: state.clone(),
            shutdown: shutdown.clone(),
            sink: pipeline.sink(),
            held_up: pipeline.held_up(),
            run_tags: plan.run_tags.clone(),
            scenario_tag: plan.system_tags.scenario,
            vu_tag: plan.system_tags.vu,
            min_iteration_duration: plan.min_iteration_duration,
        };
        let factory = Arc::new(JsVuFactory::new(bundle.clone(), settings.clone()));
        let scheduler = Scheduler::new(plan.load.clone(), options, factory)
            .map_err(Failure::system("starting the workers"))?;
        let stages = Stages {
            bundle: bundle.clone(),
            settings,
            clock,
            state: state.clone(),
            shutdown: shutdown.clone(),
            sink: pipeline.sink(),
            next_producer: AtomicU32::new((workers + PRODUCERS_OF_SCHEDULER) as u32),
        };
        let first = plan.load.scenarios().first();
        let (executor, name) = first.map_or(("", ""), |s| (s.executor.type_name(), s.name.as_str()));
        let gate = Arc::new(Gate::new(plan.paused, executor, name));
        let (phase, stages) = (Arc::<RunPhaseCell>::default(), Arc::new(stages));
        let control = Control {
            stages: stages.clone(),
            state: state.clone(),
            shutdown: shutdown.clone(),
            phase: phase.clone(),
            gate: gate.clone(),
            pipeline: pipeline.handle(),
            last_results: Mutex::default(),
        };
        Ok(Self {
            plan: Arc::new(plan),
            bundle,
            stages,
            state,
            shutdown,
            phase,
            gate,
            control: Arc::new(control),
            scheduler,
            pipeline,
            has_run: AtomicBool::new(false),
        })
    }

    /// Makes the VUs, then setup, the scenarios, teardown. The first failure counts; what must still happen after
    /// it does.
    pub async fn execute(&self) -> Result<(), Failure> {
        self.enter(RunPhase::InitVus);
        let initialized = self.scheduler.initialize().await;
        initialized.map_err(|error| script::or_stopped(error, &self.shutdown))?;
        self.go_on()?;
        self.enter(RunPhase::InitDone);
        if self.gate.is_paused() {
            self.enter(RunPhase::PausedBeforeRun);
            self.shutdown.token().run_until_cancelled(self.gate.opened()).await;
            self.go_on()?;
        }
        self.enter(RunPhase::Started);
        self.state.mark_started();
        let set_up = self.set_up().await;
        let ran = match set_up {
            Ok(()) => {
                self.enter(RunPhase::Running);
                self.has_run.store(true, Ordering::Relaxed);
                self.scheduler.run().await;
                let torn_down = self.tear_down().await;
                self.go_on().and(torn_down)
            }
            Err(failure) => Err(failure),
        };
        self.state.mark_ended();
        self.enter(match &ran {
            Ok(()) => RunPhase::Ended,
            Err(_) => RunPhase::Interrupted,
        });
        ran
    }

    /// How far the scenarios are, for whoever shows it.
    pub fn watch(&self) -> ProgressWatch {
        self.scheduler.watch()
    }

    /// Closes workers and outputs; everything measured until now is in the results.
    pub async fn finish(self) -> (Ended, Finished) {
        let (saturation, outcomes) = (self.scheduler.saturation(), self.scheduler.outcomes());
        self.scheduler.close().await;
        let finished = self.pipeline.finish(self.state.run_duration().as_secs_f64());
        self.control.keep(&finished.results);
        let objections =
            if self.plan.strict { verdict::objections(&finished.results, &outcomes) } else { Vec::new() };
        let ended = Ended {
            has_run: self.has_run.into_inner(),
            objections,
            plan: self.plan,
            bundle: self.bundle,
            stages: self.stages,
            state: self.state,
            saturation,
            shutdown: self.shutdown,
        };
        (ended, finished)
    }

    async fn set_up(&self) -> Result<(), Failure> {
        if self.plan.lifecycle.no_setup || !self.bundle.has_export(bundle::SETUP) {
            return Ok(());
        }
        self.enter(RunPhase::Setup);
        let interrupt = self.shutdown.token().child_token();
        let limit = self.plan.lifecycle.setup_timeout;
        let data =
            run_lifecycle(&self.stages, LifecycleFunction::Setup, limit, interrupt, Stages::setup).await;
        let data = data.inspect_err(|failure| self.note(LifecycleFunction::Setup, failure))?;
        self.stages.settings.setup_data.set(data);
        Ok(())
    }

    /// Runs also after the run was ended early: whatever setup did is undone.
    async fn tear_down(&self) -> Result<(), Failure> {
        if self.plan.lifecycle.no_teardown || !self.bundle.has_export(bundle::TEARDOWN) {
            return Ok(());
        }
        self.enter(RunPhase::Teardown);
        let limit = self.plan.lifecycle.teardown_timeout;
        let token = CancellationToken::new();
        let done =
            run_lifecycle(&self.stages, LifecycleFunction::Teardown, limit, token, Stages::teardown).await;
        done.inspect_err(|failure| self.note(LifecycleFunction::Teardown, failure))
    }

    /// Counts what became of a lifecycle function among what went wrong; the end of the whole run is not counted here.
    fn note(&self, function: LifecycleFunction, failure: &Failure) {
        if !matches!(failure, Failure::Stopped(_)) {
            let mut failures = failures::of_lifecycle(function, failure, self.stages.clock.now());
            self.state.take_failures(&mut failures);
        }
    }

    fn enter(&self, phase: RunPhase) {
        log::debug!("The run enters the phase {phase:?}");
        self.phase.set(phase);
    }

    fn go_on(&self) -> Result<(), Failure> {
        match self.shutdown.reason() {
            Some(reason) => Err(Failure::Stopped(reason.clone())),
            None => Ok(()),
        }
    }
}

/// What is left of a run for its summary.
pub struct Ended {
    pub plan: Arc<TestPlan>,
    pub bundle: Arc<Bundle>,
    pub stages: Arc<Stages>,
    pub state: Arc<ExecutionState>,
    /// Whether scenarios were started.
    pub has_run: bool,
    /// Whether the generator held the run back.
    pub saturation: Saturation,
    /// What makes the run a failure with `--strict`.
    pub objections: Vec<String>,
    pub shutdown: Shutdown,
}

impl Ended {
    /// With `--linger`, stays until a signal has come: whoever stops the run over the REST API may ask for its figures.
    pub async fn linger(&self, signalled: &CancellationToken, quiet: bool) {
        if !self.plan.linger {
            return;
        }
        if !quiet && !signalled.is_cancelled() {
            // Whoever closed our output does not want to read about it.
            let _ = writeln!(
                stdout(),
                "The test is done, but --linger was enabled, so Senary is waiting for Ctrl+C to end..."
            );
        }
        signalled.cancelled().await;
    }

    /// How the run ended: what went wrong first counts, then what the script said, then whether the figures can be
    /// trusted (if that matters), then the thresholds, which are judged by these figures, then whether there were figures
    /// (if that matters).
    pub fn verdict(&self, outcome: Result<(), Failure>, crossed: Crossed) -> Result<(), Failure> {
        outcome?;
        if self.state.is_marked_failed() {
            return Err(Failure::MarkedFailed);
        }
        let crossed = if crossed.metrics.is_empty() {
            Ok(())
        } else {
            Err(Failure::ThresholdsCrossed(crossed.metrics))
        };
        if self.plan.fail_on_saturation && !self.saturation.findings.is_empty() {
            // It is not lost that they were.
            if let Err(failure) = &crossed {
                failure.log();
            }
            let remarks = saturation::remarks(&self.saturation).into_iter().map(|remark| remark.text);
            return Err(Failure::Saturated(remarks.collect()));
        }
        crossed?;
        if self.objections.is_empty() { Ok(()) } else { Err(Failure::ProvesNothing(self.objections.clone())) }
    }
}

/// Runs a function of the script on a thread of its own, at most for as long as its option allows.
pub async fn run_lifecycle<R: Send + 'static>(
    stages: &Arc<Stages>,
    function: LifecycleFunction,
    limit: Duration,
    interrupt: CancellationToken,
    call: impl FnOnce(&Stages, &CancellationToken) -> Result<R, LifecycleError> + Send + 'static,
) -> Result<R, Failure> {
    let (on, token) = (stages.clone(), interrupt.clone());
    let running = Background::start(function.name(), move || call(&on, &token));
    let mut running = running.map_err(Failure::system(function.name()))?;
    let (outcome, timed_out) = tokio::select! {
        outcome = running.outcome() => (outcome, false),
        () = tokio::time::sleep(limit) => {
            interrupt.cancel();
            (running.outcome().await, true)
        }
    };
    match outcome {
        Ok(Err(LifecycleError::Script(senary_js::ScriptFailure::Interrupted))) if timed_out => {
            Err(Failure::Timeout { function, limit })
        }
        Ok(result) => result.map_err(|error| script::or_stopped(error, &stages.shutdown)),
        Err(panicked) => Err(Failure::System { doing: function.name(), reason: panicked.to_string() }),
    }
}
