//! A scenario that runs, as its executor sees it: its deadlines, taking VUs for it, and a VU at work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::outcomes::Proof;
use crate::pool::VuLease;
use crate::progress::ScenarioState;
use crate::reporter::{DroppedIterations, RunReporter};
use crate::segment::Striping;
use crate::state::ExecutionState;
use crate::vu::{Activation, Ended, Iteration, IterationOutcome, Vu, VuFactory, VuId};
use crate::workers::{Worker, Workers};

/// A VU that should be free may be a little late: this is how often, and how long each time, to wait for it.
const TAKE_ATTEMPTS: u32 = 5;
const TAKE_PATIENCE: Duration = Duration::from_millis(400);

/// After this many iterations, or the time below, a VU gives way: the other tasks of its worker run, and the worker
/// looks at its sockets and timers. Otherwise iterations that never wait would keep all others from running.
const STREAK_ITERATIONS: u32 = 32;
const STREAK_TIME: Duration = Duration::from_micros(500);

/// A VU whose iteration the machine could not run waits for so long before the next: others may be done by then.
const NOTHING_TO_RUN_ON: Duration = Duration::from_millis(100);

/// The times of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(super) started: Instant,
    /// No iteration starts from here on.
    pub(super) regular_end: Instant,
    /// No iteration goes on from here on.
    pub(super) latest_end: Instant,
}

/// A scenario that runs, as its executor sees it.
pub(crate) struct ScenarioRun<F: VuFactory> {
    pub(crate) active: Arc<ActiveScenario>,
    pub(crate) workers: Arc<Workers<F>>,
    pub(crate) reporter: Arc<RunReporter>,
    /// Every VU at work holds a sender; the executor drops its own when it starts no more VUs.
    pub(super) present: Option<mpsc::Sender<()>>,
    departures: mpsc::Receiver<()>,
}

/// What a running scenario and its VUs share.
pub(crate) struct ActiveScenario {
    pub(crate) state: Arc<ScenarioState>,
    pub(crate) numbering: Striping,
    pub(crate) activation: Arc<Activation>,
    pub(crate) token: CancellationToken,
    pub(crate) deadlines: OnceLock<Deadlines>,
    pub(crate) min_iteration_duration: Duration,
    pub(crate) dropped: DroppedIterations,
}

impl<F: VuFactory> ScenarioRun<F> {
    pub(crate) fn new(
        active: Arc<ActiveScenario>,
        workers: Arc<Workers<F>>,
        reporter: Arc<RunReporter>,
    ) -> Self {
        let (present, departures) = mpsc::channel(1);
        Self { active, workers, reporter, present: Some(present), departures }
    }

    /// Takes a free VU. None if the scenario is interrupted, or if there is none for too long.
    pub(super) async fn take_vu(&self) -> Option<VuLease> {
        for _ in 0..TAKE_ATTEMPTS {
            let taken = timeout(TAKE_PATIENCE, self.workers.pool.take());
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

    /// Takes all VUs of the scenario's share. All are taken before the first one starts, because it might be free again
    /// before the last is taken.
    pub(super) async fn take_vus(&self) -> Vec<VuLease> {
        let mut leases = Vec::new();
        for _ in 0..self.active.state.share.vus {
            let Some(lease) = self.take_vu().await else { break };
            leases.push(lease);
        }
        leases
    }

    /// Puts a VU to work.
    pub(super) fn start_vu(
        &self,
        lease: VuLease,
        work: impl AsyncFnOnce(&mut ActiveVu<'_, F>) + Send + 'static,
    ) {
        self.start_vu_until(self.active.token.child_token(), lease, work);
    }

    /// Puts a VU to work that the token interrupts. Each VU has its own token, because one that many VUs check all the
    /// time would be a bottleneck.
    pub(super) fn start_vu_until(
        &self,
        interrupt: CancellationToken,
        lease: VuLease,
        work: impl AsyncFnOnce(&mut ActiveVu<'_, F>) + Send + 'static,
    ) {
        let Some(present) = self.present.clone() else { return };
        let presence = Presence::new(&self.active.state, self.reporter.state.clone(), present);
        start_vu(&self.workers, self.active.clone(), interrupt, lease, presence, work);
    }

    /// Waits for the end of all VUs that were started.
    pub(super) async fn all_vus_ended(&mut self) {
        self.present = None;
        let _ = self.departures.recv().await;
    }
}

pub(super) fn start_vu<F: VuFactory>(
    workers: &Workers<F>,
    active: Arc<ActiveScenario>,
    interrupt: CancellationToken,
    lease: VuLease,
    presence: Presence,
    work: impl AsyncFnOnce(&mut ActiveVu<'_, F>) + Send + 'static,
) {
    workers.post(lease.worker, move |worker| {
        let on = worker.clone();
        worker.spawn(async move {
            let id = on.id_of(lease.vu);
            let used = on.with_vu(&lease, async |vu| {
                vu.activate(&active.activation);
                work(&mut ActiveVu::new(vu, id, &on, &active, interrupt)).await;
            });
            if used.await.is_none() {
                active.warn(&format!("VU {} was lost in an earlier failure", lease.vu));
            }
            // The VU is back; now others may have it, and only then it does not count any more.
            drop(lease);
            drop(presence);
        });
    });
}

impl ActiveScenario {
    /// Starts the scenario's clock.
    pub(super) fn start_clock(&self) -> Deadlines {
        let (started, scenario) = (Instant::now(), &self.state.scenario);
        let regular_end = started + scenario.executor.regular_duration();
        let latest_end = regular_end + scenario.graceful_stop;
        self.state.mark_started(started);
        *self.deadlines.get_or_init(|| Deadlines { started, regular_end, latest_end })
    }

    /// The number of the next iteration to start, within this process.
    pub(super) fn next_iteration(&self) -> u64 {
        self.state.started_iterations.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts an iteration as not started. To be called only when no other will start, because its number would be
    /// given twice.
    pub(super) fn give_back_iteration(&self) {
        self.state.started_iterations.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn warn(&self, text: &str) {
        let (scenario, executor) = self.state.labels();
        log::warn!(executor, scenario; "{text}");
    }
}

/// Counts a VU as active for as long as it lives.
pub(super) struct Presence {
    run: Arc<ExecutionState>,
    scenario: Arc<ScenarioState>,
    _present: mpsc::Sender<()>,
}

impl Presence {
    pub(super) fn new(
        scenario: &Arc<ScenarioState>,
        run: Arc<ExecutionState>,
        present: mpsc::Sender<()>,
    ) -> Self {
        run.vu_activated();
        scenario.vu_joined();
        Self { run, scenario: scenario.clone(), _present: present }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.run.vu_deactivated();
        self.scenario.vu_left();
    }
}

/// A VU at work for a scenario, on its worker.
pub(super) struct ActiveVu<'a, F: VuFactory> {
    vu: &'a mut F::Vu,
    id: VuId,
    pub(super) worker: &'a Worker<F>,
    scenario: &'a ActiveScenario,
    pub(super) interrupt: CancellationToken,
    regular_end: Option<Instant>,
    /// The time at the end of the last iteration, or of what followed it.
    pub(super) now: Instant,
    rested: Instant,
    streak: u32,
}

impl<'a, F: VuFactory> ActiveVu<'a, F> {
    fn new(
        vu: &'a mut F::Vu,
        id: VuId,
        worker: &'a Worker<F>,
        scenario: &'a ActiveScenario,
        interrupt: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        // An arrival rate puts its VUs to work before its clock starts; they do not ask.
        let regular_end = scenario.deadlines.get().map(|d| d.regular_end);
        Self { vu, id, worker, scenario, interrupt, regular_end, now, rested: now, streak: 0 }
    }

    /// Whether a new iteration may start.
    pub(super) fn may_start(&self) -> bool {
        self.regular_end.is_none_or(|end| self.now < end) && !self.interrupt.is_cancelled()
    }

    /// Runs the iteration with this number, and then, now and then, lets others run.
    pub(super) async fn iterate(&mut self, number: u64) {
        self.iterate_once(number).await;
        self.rest().await;
    }

    /// Runs the iteration with this number, and waits until the next one may follow.
    pub(super) async fn iterate_once(&mut self, number: u64) {
        let begun = self.now;
        let iteration = Iteration { in_instance: number, in_test: self.scenario.numbering.global(number) };
        let Ended { outcome, at } = self.vu.run_iteration(iteration, begun, &self.interrupt).await;
        self.now = at;
        let (run, worker) = (&self.worker.context.state, self.worker.context.index());
        self.note(begun, outcome);
        match outcome {
            IterationOutcome::Complete { .. } => {
                run.add_full_iteration(worker);
                self.scenario.state.done_iterations.add_one(worker);
                self.pad(begun).await;
            }
            IterationOutcome::Interrupted { .. } => run.add_interrupted_iteration(worker),
            IterationOutcome::NotBegun if self.interrupt.is_cancelled() => {
                let share = &self.scenario.state.share;
                if share.iterations.is_some() || share.rate.is_some() {
                    self.record_dropped(1);
                }
            }
            IterationOutcome::NotBegun => {
                self.record_dropped(1);
                self.wait(NOTHING_TO_RUN_ON).await;
            }
        }
    }

    /// Notes what the end of an iteration proves, and how long it took.
    fn note(&self, begun: Instant, outcome: IterationOutcome) {
        let proof = match outcome {
            IterationOutcome::Complete { proof } => proof,
            IterationOutcome::Interrupted { unanswered: true } => Proof::Unanswered,
            IterationOutcome::Interrupted { unanswered: false } => Proof::Nothing,
            IterationOutcome::NotBegun => return,
        };
        let (state, worker) = (&self.scenario.state, self.worker.context.index());
        state.outcomes.note(worker, begun, self.now, proof);
        if matches!(outcome, IterationOutcome::Complete { .. }) {
            state.lengths.note(worker, (self.now - begun).as_secs_f64() * 1e3);
        }
    }

    /// Stretches an iteration to the least time it has to take.
    async fn pad(&mut self, begun: Instant) {
        let least = self.scenario.min_iteration_duration;
        if !least.is_zero() && self.now - begun < least {
            self.wait(least - (self.now - begun)).await;
        }
    }

    async fn wait(&mut self, time: Duration) {
        self.interrupt.run_until_cancelled(sleep_until(self.now + time)).await;
        self.now = Instant::now();
    }

    /// Lets others run if this VU kept its worker long enough.
    async fn rest(&mut self) {
        self.streak += 1;
        if self.streak >= STREAK_ITERATIONS || self.now - self.rested >= STREAK_TIME {
            yield_now().await;
            self.now = Instant::now();
            self.rested = self.now;
            self.streak = 0;
        }
    }

    /// Records iterations that this VU will not start, although it should.
    pub(super) fn record_dropped(&self, iterations: u64) {
        let time = self.worker.context.clock.now();
        let dropped = &self.scenario.dropped;
        self.worker.context.record(|recorder| dropped.record(recorder, time, iterations, Some(self.id)));
        if let Some(id) = dropped.id() {
            self.worker.context.fail(iterations, &id, time, || dropped.details());
        }
    }
}

/// Reads a counter that only grows.
pub(super) fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
