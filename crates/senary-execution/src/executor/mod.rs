//! The executors: each decides when iterations of its scenario start. What they share is here: a scenario that
//! runs, taking VUs for it, and a VU at work.
//!
//! Two deadlines hold for all of them. At the regular end no new iteration starts any more. At the latest end,
//! the graceful stop later, the scenario's token is cancelled, which interrupts what still runs; so does the end
//! of the whole run, at once.
//! (<https://grafana.com/docs/k6/latest/using-k6/scenarios/concepts/graceful-stop/>)

mod constant_vus;
mod per_vu_iterations;
mod shared_iterations;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use senary_metrics::{Metadata, Recorder, TagSet, Timestamp, builtin};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::crew::{Crew, Worker};
use crate::plan::ExecutorConfig;
use crate::pool::VuLease;
use crate::progress::ScenarioState;
use crate::scheduler::Control;
use crate::segment::Striping;
use crate::state::ExecutionState;
use crate::vu::{Activation, Iteration, IterationOutcome, Vu, VuFactory, VuId};

/// A VU that ought to be free may be a little late; this often, and this long each time, it is waited for.
const TAKE_ATTEMPTS: u32 = 5;
const TAKE_PATIENCE: Duration = Duration::from_millis(400);

/// After so many iterations, or so much time, a VU lets the other tasks of its worker run, and the worker look
/// at its sockets and timers: iterations that never wait would otherwise keep everybody else out.
const STREAK_ITERATIONS: u32 = 32;
const STREAK_TIME: Duration = Duration::from_micros(500);

/// Runs one scenario, whose time has come, to its end.
pub(crate) async fn run<F: VuFactory>(mut run: ScenarioRun<F>) {
    let (token, latest_end) = (run.active.token.clone(), run.active.latest_end);
    let scenario = async {
        let scenario = run.active.state.clone();
        match &scenario.scenario.executor {
            ExecutorConfig::SharedIterations { .. } => shared_iterations::run(&mut run).await,
            ExecutorConfig::PerVuIterations { iterations, .. } => {
                per_vu_iterations::run(&mut run, *iterations).await;
            }
            ExecutorConfig::ConstantVus { .. } => constant_vus::run(&mut run).await,
            _ => {}
        }
        run.all_vus_ended().await;
    };
    let mut scenario = std::pin::pin!(scenario);
    tokio::select! {
        biased;
        () = &mut scenario => return,
        () = sleep_until(latest_end) => token.cancel(),
    }
    scenario.await;
}

/// A scenario that runs, as its executor sees it.
pub(crate) struct ScenarioRun<F: VuFactory> {
    pub(crate) active: Arc<ActiveScenario>,
    pub(crate) crew: Arc<Crew<F>>,
    pub(crate) control: Arc<Control>,
    /// Every VU at work holds the sender; the executor gives its own up when it starts no more.
    present: Option<mpsc::Sender<()>>,
    departures: mpsc::Receiver<()>,
}

/// What a running scenario and its VUs share.
pub(crate) struct ActiveScenario {
    pub(crate) state: Arc<ScenarioState>,
    pub(crate) numbering: Striping,
    pub(crate) activation: Arc<Activation>,
    pub(crate) token: CancellationToken,
    pub(crate) started: Instant,
    pub(crate) regular_end: Instant,
    pub(crate) latest_end: Instant,
    pub(crate) min_iteration_duration: Duration,
    pub(crate) dropped: DroppedIterations,
}

impl<F: VuFactory> ScenarioRun<F> {
    pub(crate) fn new(active: Arc<ActiveScenario>, crew: Arc<Crew<F>>, control: Arc<Control>) -> Self {
        let (present, departures) = mpsc::channel(1);
        Self { active, crew, control, present: Some(present), departures }
    }

    /// Takes a free VU. None if the scenario is interrupted, or if there is none for too long.
    async fn take_vu(&self) -> Option<VuLease> {
        for _ in 0..TAKE_ATTEMPTS {
            let taken = timeout(TAKE_PATIENCE, self.crew.pool.take());
            match self.active.token.run_until_cancelled(taken).await {
                None => return None,
                Some(Ok(lease)) => return Some(lease),
                Some(Err(_)) => self.active.warn("Could not get a VU from the buffer for 400ms"),
            }
        }
        let (name, executor) = self.active.state.labels();
        log::error!(executor, scenario = name; "Not enough VUs are free; the scenario goes on with fewer");
        None
    }

    /// Puts a VU to work.
    fn start_vu(&self, lease: VuLease, work: impl AsyncFnOnce(&mut ActiveVu<'_, F>) + Send + 'static) {
        let Some(present) = self.present.clone() else { return };
        let presence = Presence::new(&self.active.state, self.control.state.clone(), present);
        start_vu(&self.crew, self.active.clone(), lease, presence, work);
    }

    /// Waits for the end of all VUs that were started.
    async fn all_vus_ended(&mut self) {
        self.present = None;
        let _ = self.departures.recv().await;
    }
}

fn start_vu<F: VuFactory>(
    crew: &Crew<F>,
    active: Arc<ActiveScenario>,
    lease: VuLease,
    presence: Presence,
    work: impl AsyncFnOnce(&mut ActiveVu<'_, F>) + Send + 'static,
) {
    crew.post(lease.worker, move |worker| {
        let on = worker.clone();
        worker.spawn(async move {
            let id = on.id_of(lease.vu);
            on.with_vu(&lease, async |vu| {
                vu.activate(&active.activation);
                work(&mut ActiveVu::new(vu, id, &on, &active)).await;
            })
            .await;
            // The VU is back; now others may have it, and only then it does not count any more.
            drop(lease);
            drop(presence);
        });
    });
}

impl ActiveScenario {
    /// The number of the next iteration to start, within this process.
    fn next_iteration(&self) -> u64 {
        self.state.started_iterations.0.fetch_add(1, Ordering::Relaxed)
    }

    fn warn(&self, text: &str) {
        let (scenario, executor) = self.state.labels();
        log::warn!(executor, scenario; "{text}");
    }
}

/// Counts a VU as active for as long as it lives.
struct Presence {
    run: Arc<ExecutionState>,
    scenario: Arc<ScenarioState>,
    _present: mpsc::Sender<()>,
}

impl Presence {
    fn new(scenario: &Arc<ScenarioState>, run: Arc<ExecutionState>, present: mpsc::Sender<()>) -> Self {
        run.vu_activated();
        scenario.active_vus.fetch_add(1, Ordering::Relaxed);
        Self { run, scenario: scenario.clone(), _present: present }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.run.vu_deactivated();
        self.scenario.active_vus.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A VU at work for a scenario, on its worker.
struct ActiveVu<'a, F: VuFactory> {
    vu: &'a mut F::Vu,
    id: VuId,
    worker: &'a Worker<F>,
    scenario: &'a ActiveScenario,
    /// A token of its own: one that many VUs asked all the time would be a bottleneck.
    interrupt: CancellationToken,
    /// The time at the end of the last iteration, or of what followed it.
    now: Instant,
    rested: Instant,
    streak: u32,
}

impl<'a, F: VuFactory> ActiveVu<'a, F> {
    fn new(vu: &'a mut F::Vu, id: VuId, worker: &'a Worker<F>, scenario: &'a ActiveScenario) -> Self {
        let interrupt = scenario.token.child_token();
        let now = Instant::now();
        Self { vu, id, worker, scenario, interrupt, now, rested: now, streak: 0 }
    }

    /// Whether a new iteration may start.
    fn may_start(&self) -> bool {
        self.now < self.scenario.regular_end && !self.interrupt.is_cancelled()
    }

    /// Runs the iteration with this number, and waits until the next one may follow.
    async fn iterate(&mut self, number: u64) {
        let begun = self.now;
        let iteration = Iteration { in_instance: number, in_test: self.scenario.numbering.global(number) };
        let outcome = self.vu.run_iteration(iteration, &self.interrupt).await;
        self.now = Instant::now();
        let (run, worker) = (&self.worker.context.state, self.worker.context.index());
        match outcome {
            IterationOutcome::Complete => {
                run.add_full_iteration(worker);
                self.scenario.state.done_iterations.add_one(worker);
                self.pad(begun).await;
            }
            IterationOutcome::Interrupted => run.add_interrupted_iteration(worker),
        }
        self.rest().await;
    }

    /// Stretches an iteration to the least time it has to take.
    async fn pad(&mut self, begun: Instant) {
        let least = self.scenario.min_iteration_duration;
        if !least.is_zero() && self.now - begun < least {
            self.interrupt.run_until_cancelled(sleep_until(begun + least)).await;
            self.now = Instant::now();
        }
    }

    /// Lets others run, now and then.
    async fn rest(&mut self) {
        self.streak += 1;
        if self.streak >= STREAK_ITERATIONS || self.now - self.rested >= STREAK_TIME {
            yield_now().await;
            self.now = Instant::now();
            self.rested = self.now;
            self.streak = 0;
        }
    }

    /// Records iterations this VU was to do and will not start.
    fn record_dropped(&self, iterations: u64) {
        let time = self.worker.context.clock.now();
        let dropped = &self.scenario.dropped;
        self.worker.context.record(|recorder| dropped.record(recorder, time, iterations, Some(self.id)));
    }
}

/// The metric of iterations that were due and never started.
#[derive(Clone, Debug)]
pub(crate) struct DroppedIterations {
    pub(crate) tags: TagSet,
    /// Whether samples that belong to one VU name it.
    pub(crate) name_vu: bool,
}

impl DroppedIterations {
    pub(crate) fn record(&self, recorder: &mut Recorder, time: Timestamp, count: u64, vu: Option<VuId>) {
        let tags = recorder.intern(&self.tags);
        let series = recorder.series(builtin::DROPPED_ITERATIONS, tags);
        match vu.filter(|_| self.name_vu) {
            None => recorder.record(series, count as f64, time),
            Some(vu) => {
                let metadata: Metadata = [("vu".into(), vu.in_test.to_string().into())].into();
                recorder.record_with(series, count as f64, time, &metadata);
            }
        }
    }
}

/// Reads a counter that only grows.
fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
