//! A test run: everything that is alive between its plan and its results, and the steps it goes through.
//!
//! `run` says when what happens; this says how. The scheduler, the pipeline and the script's
//! functions are others' rooms.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use senary_execution::{
    Clock, ExecutionState, RunContext, Saturation, Scheduler, SchedulerOptions, Shutdown, StopReason,
};
use senary_js::derived_options::DerivedOptions;
use senary_js::{Bundle, JsVuFactory, Lifecycle, LifecycleError, VuSettings, bundle, settings::SetupData};
use senary_metrics::engine::Crossed;
use senary_metrics::{Engine, Registry};
use senary_output::{Finished, Output, Pipeline, PipelineConfig};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::command_error::{CommandError, LifecycleFunction};
use crate::gate::Gate;
use crate::plan::TestPlan;
use crate::run_events::{RunEnd, RunEvents, ThresholdState};
use crate::run_handle::RunHandle;
use crate::run_phase::RunPhase;
use crate::settings::SummaryMode;
use crate::shared_setup::SharedSetup;
use crate::{failures, saturation, script, verdict};

/// A run under way.
pub struct TestRun {
    pub plan: Arc<TestPlan>,
    pub handle: Arc<RunHandle>,
    /// Threads that run VUs.
    pub workers: usize,
    scheduler: Scheduler<JsVuFactory>,
    pipeline: Pipeline,
    /// Whether `setup()` runs in one instance for all.
    pub shared_setup: Option<SharedSetup>,
    /// Whether scenarios were started.
    has_run: AtomicBool,
}

/// The scheduler is a producer of samples, too: the one after the last worker. The functions of the lifecycle follow it.
const PRODUCERS_OF_SCHEDULER: usize = 1;

impl TestRun {
    /// Starts outputs and workers; no VU is made yet.
    pub fn start(
        plan: TestPlan,
        bundle: Arc<Bundle>,
        outputs: Vec<Box<dyn Output>>,
        workers: usize,
        shutdown: Shutdown,
    ) -> Result<Self, CommandError> {
        let state = Arc::new(ExecutionState::new());
        let events = Arc::<RunEvents>::default();
        let told = (state.clone(), events.clone());
        let pipeline = start_pipeline(&plan, bundle.registry(), outputs, told, shutdown.clone())?;
        let run = RunContext { clock: Clock::new(), state, shutdown, sink: pipeline.sink() };
        let settings = Arc::new(vu_settings(&plan, &bundle));
        let options = SchedulerOptions {
            workers,
            run: run.clone(),
            held_up: pipeline.held_up(),
            run_tags: plan.run_tags.clone(),
            scenario_tag: plan.system_tags.scenario,
            vu_tag: plan.system_tags.vu,
            min_iteration_duration: plan.min_iteration_duration,
        };
        let factory = Arc::new(JsVuFactory::new(bundle.clone(), settings.clone()));
        let scheduler = Scheduler::new(plan.load.clone(), options, factory)
            .map_err(CommandError::system("starting the workers"))?;
        let next_producer = AtomicU32::new((workers + PRODUCERS_OF_SCHEDULER) as u32);
        let lifecycle = Lifecycle { bundle, settings, run, next_producer };
        let first = plan.load.scenarios().first();
        let (executor, name) = first.map_or(("", ""), |s| (s.executor.type_name(), s.name.as_str()));
        let gate = Gate::new(plan.paused, executor, name);
        let (pipe, watch) = (pipeline.handle(), scheduler.watch());
        let handle = Arc::new(RunHandle::new(lifecycle, plan.lifecycle, gate, pipe, events, watch));
        let (plan, has_run) = (Arc::new(plan), AtomicBool::new(false));
        Ok(Self { plan, handle, workers, scheduler, pipeline, shared_setup: None, has_run })
    }

    /// Makes the VUs, then setup, the scenarios, teardown. The first failure counts; what must still happen after
    /// it does.
    pub async fn execute(&self) -> Result<(), CommandError> {
        self.enter(RunPhase::InitVus);
        let initialized = self.scheduler.initialize().await;
        initialized.map_err(|error| script::or_stopped(error, &self.handle.run.shutdown))?;
        self.go_on()?;
        self.enter(RunPhase::InitDone);
        if self.handle.gate.is_paused() {
            self.enter(RunPhase::PausedBeforeRun);
            self.handle.run.shutdown.token().run_until_cancelled(self.handle.gate.opened()).await;
            self.go_on()?;
        }
        self.handle.run.state.mark_started();
        self.enter(RunPhase::Started);
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
        self.handle.run.state.mark_ended();
        self.enter(match &ran {
            Ok(()) => RunPhase::Ended,
            Err(_) => RunPhase::Interrupted,
        });
        ran
    }

    /// Closes workers and outputs; everything measured until now is in the results.
    pub async fn finish(self) -> (Ended, Finished) {
        let (saturation, outcomes) = (self.scheduler.saturation(), self.scheduler.outcomes());
        self.scheduler.close().await;
        let finished = self.pipeline.finish(self.handle.run.state.run_duration().as_secs_f64());
        self.handle.keep(&finished.results);
        let setup_failed = self.handle.run.state.has_setup_failed();
        let objections = match self.plan.strict {
            true => verdict::objections(&finished.results, &outcomes, setup_failed),
            false => Vec::new(),
        };
        let ended = Ended {
            has_run: self.has_run.into_inner(),
            objections,
            plan: self.plan,
            handle: self.handle,
            saturation,
        };
        (ended, finished)
    }

    async fn set_up(&self) -> Result<(), CommandError> {
        if self.plan.lifecycle.no_setup || !self.handle.lifecycle.bundle.has_export(bundle::SETUP) {
            return Ok(());
        }
        self.enter(RunPhase::Setup);
        let data = match &self.shared_setup {
            Some(shared) if !shared.is_first() => {
                let waiting = shared.wait(self.plan.lifecycle.setup_timeout);
                match self.handle.run.shutdown.token().run_until_cancelled(waiting).await {
                    Some(data) => data,
                    None => return self.go_on(),
                }
            }
            Some(shared) => {
                let data = self.run_setup().await;
                let published = shared.publish(data.as_ref().map(Option::as_deref));
                data.and_then(|data| published.map(|()| data))
            }
            None => self.run_setup().await,
        };
        let data = data.inspect_err(|failure| self.note(LifecycleFunction::Setup, failure))?;
        self.handle.lifecycle.settings.setup_data.set(data);
        Ok(())
    }

    async fn run_setup(&self) -> Result<Option<String>, CommandError> {
        let interrupt = self.handle.run.shutdown.token().child_token();
        let limit = self.plan.lifecycle.setup_timeout;
        run_lifecycle(&self.handle.lifecycle, LifecycleFunction::Setup, limit, interrupt, Lifecycle::setup)
            .await
    }

    /// Runs also after the run was ended early: whatever setup did is undone.
    async fn tear_down(&self) -> Result<(), CommandError> {
        if self.plan.lifecycle.no_teardown || !self.handle.lifecycle.bundle.has_export(bundle::TEARDOWN) {
            return Ok(());
        }
        if self.shared_setup.as_ref().is_some_and(|shared| !shared.is_first()) {
            return Ok(());
        }
        self.enter(RunPhase::Teardown);
        let limit = self.plan.lifecycle.teardown_timeout;
        let token = CancellationToken::new();
        let lifecycle = &self.handle.lifecycle;
        let done =
            run_lifecycle(lifecycle, LifecycleFunction::Teardown, limit, token, Lifecycle::teardown).await;
        done.inspect_err(|failure| self.note(LifecycleFunction::Teardown, failure))
    }

    /// Counts what became of a lifecycle function among what went wrong; the end of the whole run is not counted here.
    fn note(&self, function: LifecycleFunction, failure: &CommandError) {
        if !matches!(failure, CommandError::Stopped(_)) {
            let mut failures = failures::of_lifecycle(function, failure, self.handle.run.clock.now());
            self.handle.run.state.take_failures(&mut failures);
        }
    }

    fn enter(&self, phase: RunPhase) {
        self.handle.enter(phase);
    }

    fn go_on(&self) -> Result<(), CommandError> {
        match self.handle.run.shutdown.reason() {
            Some(reason) => Err(CommandError::Stopped(reason.clone())),
            None => Ok(()),
        }
    }
}

/// Starts what adds samples up and hands them to outputs. Thresholds that are to end the run do so over `shutdown`.
fn start_pipeline(
    plan: &TestPlan,
    registry: &Registry,
    outputs: Vec<Box<dyn Output>>,
    (state, events): (Arc<ExecutionState>, Arc<RunEvents>),
    shutdown: Shutdown,
) -> Result<Pipeline, CommandError> {
    let is_full = plan.summary.mode == SummaryMode::Full;
    let engine = Engine::new(registry.clone(), &plan.thresholds, plan.evaluate_thresholds, is_full)
        .map_err(|e| CommandError::Command(e.to_string()))?;
    let of_run = state.clone();
    let elapsed = Arc::new(move || of_run.run_duration().as_secs_f64());
    let on_judged = Box::new(move |engine: &Engine| {
        let states = engine.judgements().map(|judgement| ThresholdState::of(&judgement)).collect();
        events.judged(states, state.run_duration());
    });
    let on_abort = Box::new(move |crossed: Crossed| {
        shutdown.stop(StopReason::ThresholdsCrossed { metrics: crossed.metrics });
    });
    Pipeline::start(PipelineConfig { engine, outputs, elapsed, on_abort, on_judged })
        .map_err(CommandError::system("starting the metrics pipeline"))
}

/// What all VUs have to know of the test.
pub fn vu_settings(plan: &TestPlan, bundle: &Bundle) -> VuSettings {
    VuSettings {
        run_tags: plan.run_tags.clone(),
        system_tags: plan.system_tags,
        dialer: plan.network.dialer.clone(),
        local_ips: plan.network.local_ips.clone(),
        options_json: plan.options_json.clone(),
        derived_options: Arc::new(DerivedOptions::new(&plan.options, bundle.options())),
        throw: plan.throw,
        user_agent: plan.user_agent.clone(),
        http: plan.http.clone(),
        setup_data: SetupData::default(),
    }
}

/// The parts of a run that its summary needs.
pub struct Ended {
    pub plan: Arc<TestPlan>,
    pub handle: Arc<RunHandle>,
    /// Whether scenarios were started.
    pub has_run: bool,
    /// Whether the generator held the run back.
    pub saturation: Saturation,
    /// What makes the run a failure with `--strict`.
    pub objections: Vec<String>,
}

impl Ended {
    /// With `--linger`, stays until a signal has come, or a client says that nobody will ask any more: one that stops the run
    /// over the REST API may ask for its figures.
    pub async fn linger(&self, signalled: &CancellationToken, quiet: bool) {
        if !self.plan.linger {
            return;
        }
        if !quiet && !signalled.is_cancelled() && !self.handle.linger_over.is_cancelled() {
            // A reader that closed our output does not want to read about it.
            let _ = writeln!(
                stdout(),
                "The test is done, but --linger was enabled, so Senary is waiting for Ctrl+C to end..."
            );
        }
        tokio::select! {
            () = signalled.cancelled() => {}
            () = self.handle.linger_over.cancelled() => {}
        }
    }

    /// How the run ended; this is also reported as its last event.
    pub fn verdict(&self, outcome: Result<(), CommandError>, crossed: Crossed) -> Result<(), CommandError> {
        let verdict = self.judge(outcome, crossed);
        let events = &self.handle.events;
        let end = RunEnd::new(&verdict, !events.thresholds().is_empty());
        events.end(end, self.handle.run.state.run_duration());
        verdict
    }

    /// An error of the run counts first, then what the script said, then whether the figures can be trusted (if that
    /// matters), then the thresholds, which are judged by these figures, then whether there were figures (if that matters).
    fn judge(&self, outcome: Result<(), CommandError>, crossed: Crossed) -> Result<(), CommandError> {
        outcome?;
        if self.handle.run.state.is_marked_failed() {
            return Err(CommandError::MarkedFailed);
        }
        let crossed = if crossed.metrics.is_empty() {
            Ok(())
        } else {
            Err(CommandError::ThresholdsCrossed(crossed.metrics))
        };
        if self.plan.fail_on_saturation && !self.saturation.findings.is_empty() {
            // It is not lost that they were.
            if let Err(failure) = &crossed {
                failure.log();
            }
            let remarks = saturation::remarks(&self.saturation).into_iter().map(|remark| remark.text);
            return Err(CommandError::Saturated(remarks.collect()));
        }
        crossed?;
        if self.objections.is_empty() {
            Ok(())
        } else {
            Err(CommandError::ProvesNothing(self.objections.clone()))
        }
    }
}

/// Runs a function of the script on a thread of its own, at most for as long as its option allows.
pub async fn run_lifecycle<R: Send + 'static>(
    lifecycle: &Arc<Lifecycle>,
    function: LifecycleFunction,
    limit: Duration,
    interrupt: CancellationToken,
    call: impl FnOnce(&Lifecycle, &CancellationToken) -> Result<R, LifecycleError> + Send + 'static,
) -> Result<R, CommandError> {
    let (on, token) = (lifecycle.clone(), interrupt.clone());
    let running = Background::start(function.name(), move || call(&on, &token));
    let mut running = running.map_err(CommandError::system(function.name()))?;
    let (outcome, timed_out) = tokio::select! {
        outcome = running.outcome() => (outcome, false),
        () = tokio::time::sleep(limit) => {
            interrupt.cancel();
            (running.outcome().await, true)
        }
    };
    match outcome {
        Ok(Err(LifecycleError::Script(senary_js::ScriptFailure::Interrupted))) if timed_out => {
            Err(CommandError::Timeout { function, limit })
        }
        Ok(result) => result.map_err(|error| script::or_stopped(error, &lifecycle.run.shutdown)),
        Err(panicked) => Err(CommandError::System { doing: function.name(), reason: panicked.to_string() }),
    }
}
