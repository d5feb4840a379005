//! The scheduler: makes the VUs of a plan on its workers, runs all scenarios, and tells how far they are.
//!
//! The caller is responsible for setup, teardown and the end of the run. It calls [`Scheduler::initialize`],
//! [`Scheduler::run`] and [`Scheduler::close`], one after the other.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use senary_metrics::tags::system;
use senary_metrics::{ProducerId, TagSet};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_local, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::executor::{self, ActiveScenario, ScenarioRun};
use crate::meter::{HeldUp, Meter};
use crate::outcomes::Outcomes;
use crate::plan::LoadPlan;
use crate::progress::{ScenarioProgress, ScenarioState};
use crate::reporter::{DroppedIterations, RunReporter};
use crate::saturation::Saturation;
use crate::segment::Striping;
use crate::vu::{Activation, VuFactory};
use crate::worker::{RunContext, WorkerContext};
use crate::workers::{WorkerSeat, WorkerThread, Workers};

/// What a scheduler needs besides the plan and the VUs.
#[derive(Clone)]
pub struct SchedulerOptions {
    /// Threads that run VUs; at least one.
    pub workers: usize,
    /// The sink gets the samples of all workers, and the scheduler's own.
    pub run: RunContext,
    /// How long the sink has kept the workers waiting so far.
    pub held_up: HeldUp,
    /// Tags of every sample.
    pub run_tags: TagSet,
    /// Whether the system tags `scenario` and `vu` are wanted.
    pub scenario_tag: bool,
    pub vu_tag: bool,
    /// The least time from the start of an iteration to that of the VU's next one.
    pub min_iteration_duration: Duration,
}

/// Runs a plan. Dropped without [`close`](Self::close), it ends everything without waiting for it.
pub struct Scheduler<F: VuFactory> {
    inner: Arc<Inner<F>>,
    workers: Vec<Running>,
}

/// A worker at work.
enum Running {
    Thread(WorkerThread),
    Task(tokio::task::JoinHandle<()>),
}

struct Inner<F: VuFactory> {
    plan: LoadPlan,
    options: SchedulerOptions,
    scenarios: Vec<Arc<ScenarioState>>,
    workers: Arc<Workers<F>>,
    reporter: Arc<RunReporter>,
    /// Cancelled when the run is to end, or the scheduler goes.
    end: CancellationToken,
    /// Cancelled when the scheduler goes; teardown comes before it.
    closed: CancellationToken,
}

impl<F: VuFactory> Scheduler<F> {
    /// Starts the worker threads. Their samples come from the producers `0..workers`, the scheduler's own from
    /// the producer `workers`.
    pub fn new(plan: LoadPlan, options: SchedulerOptions, factory: Arc<F>) -> io::Result<Self> {
        let (inner, seats) = Inner::new(plan, options, false);
        let mut scheduler = Self { inner, workers: Vec::new() };
        for seat in seats {
            let (context, striping) = (scheduler.inner.context(seat.index), scheduler.inner.striping());
            let meter = scheduler.inner.reporter.meter.worker(seat.index);
            let thread = seat.start(factory.clone(), striping, meter, context)?;
            scheduler.workers.push(Running::Thread(thread));
        }
        Ok(scheduler)
    }

    /// Like `new`, but the workers are tasks of the `LocalSet` that calls: everything is on one thread, and
    /// under the clock of its runtime.
    pub fn new_inline(plan: LoadPlan, options: SchedulerOptions, factory: Arc<F>) -> Self {
        let (inner, seats) = Inner::new(plan, options, true);
        let workers = seats.into_iter().map(|seat| {
            let (context, striping) = (inner.context(seat.index), inner.striping());
            Running::Task(spawn_local(seat.work(factory.clone(), striping, context())))
        });
        let workers = workers.collect();
        Self { inner, workers }
    }

    /// Makes all planned VUs, on all workers at once. Ends at the first error, and at a shutdown (then without
    /// an error, but also without all VUs). `ExecutionState::initialized_vus` tells how far it is.
    pub async fn initialize(&self) -> Result<(), F::Error> {
        let inner = &self.inner;
        tokio::spawn(inner.reporter.clone().report(inner.closed.clone()));
        let stop = inner.end.child_token();
        let (planned, workers) = (inner.plan.planned_vus(), inner.workers.len());
        let (made, mut outcomes) = mpsc::unbounded_channel();
        for first in 1..=(workers as u64).min(planned) {
            let (made, stop, pool) = (made.clone(), stop.clone(), inner.workers.pool.clone());
            inner.workers.post(inner.workers.pool.home(first), move |worker| {
                let on = worker.clone();
                worker.spawn(async move {
                    for vu in (first..=planned).step_by(workers) {
                        if stop.is_cancelled() {
                            break;
                        }
                        let outcome = on.create(vu, &stop).await;
                        if outcome.is_ok() {
                            drop(pool.add(vu));
                        }
                        let _ = made.send(outcome);
                        // Jobs, the flush and the end of the run get their turn.
                        yield_now().await;
                    }
                });
            });
        }
        drop(made);
        let mut result = Ok(());
        while let Some(outcome) = outcomes.recv().await {
            // After a shutdown, errors only say that VUs were interrupted.
            if outcome.is_err() && result.is_ok() && !inner.end.is_cancelled() {
                result = outcome;
                stop.cancel();
            }
        }
        result
    }

    /// Runs all scenarios to their end, or until the shutdown, which interrupts them.
    pub async fn run(&self) {
        let begun = Instant::now();
        let mut scenarios = JoinSet::new();
        for state in self.inner.scenarios.iter().filter(|s| s.share.has_work()) {
            state.mark_due(begun + state.scenario.start_time);
            scenarios.spawn(self.inner.clone().run_scenario(state.clone(), begun));
        }
        // If the caller stops waiting, the scenarios end, too.
        let abandoned = self.inner.end.clone().drop_guard();
        let reporter = &self.inner.reporter;
        reporter.meter.begin();
        while scenarios.join_next().await.is_some() {}
        reporter.meter.end();
        abandoned.disarm();
    }

    /// Whether the generator held the run back so far.
    pub fn saturation(&self) -> Saturation {
        self.inner.reporter.meter.judge()
    }

    /// The outcomes of the iterations of each scenario that had any, with its name.
    pub fn outcomes(&self) -> Vec<(String, Outcomes)> {
        self.watch().outcomes()
    }

    /// How far each scenario is, in the order in which they start; those that leave nothing to do for this
    /// segment are left out.
    pub fn progress(&self) -> Vec<ScenarioProgress> {
        self.watch().progress()
    }

    /// A handle on the scheduler's progress that may go anywhere.
    pub fn watch(&self) -> ProgressWatch {
        ProgressWatch {
            scenarios: self.inner.scenarios.clone().into(),
            meter: self.inner.reporter.meter.clone(),
        }
    }

    /// Ends what still runs, drops the VUs, delivers the last samples and joins the threads.
    pub async fn close(mut self) {
        self.inner.close();
        for worker in std::mem::take(&mut self.workers) {
            match worker {
                // A worker that panicked has said so.
                Running::Task(task) => drop(task.await),
                Running::Thread(thread) => thread.join().await,
            }
        }
        self.inner.reporter.flush();
    }
}

impl<F: VuFactory> Drop for Scheduler<F> {
    fn drop(&mut self) {
        self.inner.close();
    }
}

/// Reads how far a run is.
#[derive(Clone)]
pub struct ProgressWatch {
    scenarios: Arc<[Arc<ScenarioState>]>,
    meter: Arc<Meter>,
}

impl ProgressWatch {
    pub fn progress(&self) -> Vec<ScenarioProgress> {
        self.scenarios.iter().filter(|s| s.share.has_work()).map(|s| s.progress()).collect()
    }

    /// Whether the generator has held the run back so far.
    pub fn saturation(&self) -> Saturation {
        self.meter.judge()
    }

    /// What came of the iterations of each scenario that had any, with its name.
    pub fn outcomes(&self) -> Vec<(String, Outcomes)> {
        let of = |state: &Arc<ScenarioState>| (state.scenario.name.clone(), state.outcomes.outcomes());
        self.scenarios.iter().map(of).filter(|(_, outcomes)| *outcomes != Outcomes::default()).collect()
    }
}

impl<F: VuFactory> Inner<F> {
    fn new(plan: LoadPlan, options: SchedulerOptions, inline: bool) -> (Arc<Self>, Vec<WorkerSeat<F>>) {
        let count = options.workers.max(1);
        let planned = plan.planned_vus();
        let (workers, seats) = Workers::new(count, planned, plan.max_vus().saturating_sub(planned));
        let scenarios = plan.scenarios().iter().map(|scenario| {
            let share = plan.share(scenario);
            Arc::new(ScenarioState::new(scenario.clone(), share))
        });
        let end = options.run.shutdown.token().child_token();
        let reporter = RunReporter::new(
            ProducerId(count as u32),
            options.run.clone(),
            Meter::new(count, options.held_up.clone()),
            options.run_tags.clone(),
            end.clone(),
            inline,
        );
        let inner = Self {
            scenarios: scenarios.collect(),
            workers: Arc::new(workers),
            reporter: Arc::new(reporter),
            end,
            closed: CancellationToken::new(),
            plan,
            options,
        };
        (Arc::new(inner), seats)
    }

    /// Makes the context of a worker, on its thread.
    fn context(&self, worker: usize) -> impl FnOnce() -> Rc<WorkerContext> + Send + use<F> {
        let run = self.options.run.clone();
        let (producer, meter) = (ProducerId(worker as u32), self.reporter.meter.worker(worker));
        move || WorkerContext::metered(producer, run, meter)
    }

    fn striping(&self) -> Striping {
        self.plan.segment().striping().clone()
    }

    async fn run_scenario(self: Arc<Self>, state: Arc<ScenarioState>, begun: Instant) {
        let due = begun + state.scenario.start_time;
        let numbering = state.scenario.executor.numbering(self.plan.segment());
        if let (Some(()), Some(numbering)) = (self.end.run_until_cancelled(sleep_until(due)).await, numbering)
        {
            let active = self.activate(&state, numbering);
            executor::run(ScenarioRun::new(active, self.workers.clone(), self.reporter.clone())).await;
        }
        state.mark_ended(self.end.is_cancelled());
    }

    /// Puts together what the scenario's VUs have to know.
    fn activate(&self, state: &Arc<ScenarioState>, numbering: Striping) -> Arc<ActiveScenario> {
        let (scenario, options) = (&state.scenario, &self.options);
        let progress = state.clone();
        let activation = Activation {
            scenario: scenario.name.clone(),
            executor: scenario.executor.type_name(),
            exec: scenario.exec.clone(),
            env: scenario.env.clone(),
            tags: scenario.tags.clone(),
            started: options.run.state.run_duration(),
            started_unix_ms: options.run.clock.now().0 / 1_000_000,
            failures: state.failures.clone(),
            measured: state.measured.clone(),
            progress: Arc::new(move || progress.fraction()),
        };
        let mut tags = options.run_tags.merged(scenario.tags.iter());
        if options.scenario_tag {
            tags = tags.with(system::SCENARIO, &scenario.name);
        }
        let dropped = DroppedIterations::new(scenario, tags, options.vu_tag, self.end.clone());
        Arc::new(ActiveScenario {
            state: state.clone(),
            numbering,
            activation: Arc::new(activation),
            token: self.end.child_token(),
            deadlines: OnceLock::new(),
            min_iteration_duration: options.min_iteration_duration,
            dropped,
        })
    }

    fn close(&self) {
        self.end.cancel();
        self.closed.cancel();
        self.workers.close();
    }
}
