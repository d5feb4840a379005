//! `constant-arrival-rate` and `ramping-arrival-rate`: iterations start on time, whether others have ended or not.
//!
//! The VUs of the scenario wait in one place, [`IdleVus`]. The pacer, a thread that does nothing else, sleeps until
//! the next start is due and hands it to a VU of the worker that is the least busy. A start is dropped only if not
//! a single VU waits, on any worker; then another VU is made, in the background, if there may be one more.
//! (<https://grafana.com/docs/k6/latest/using-k6/scenarios/concepts/open-vs-closed/>)

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use senary_metrics::{Details, FailureId, FailureKind};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::scenario::{ActiveScenario, ActiveVu, Deadlines, Presence, ScenarioRun, count, start_vu};
use crate::pacer::Arrivals;
use crate::pool::VuLease;
use crate::progress::ScenarioState;
use crate::reporter::RunReporter;
use crate::segment::Striping;
use crate::vu::VuFactory;
use crate::workers::Workers;

/// Late starts follow at once, but not later than this after the regular end. Otherwise a rate that no machine can keep
/// up with would keep the test open until all iterations were done.
const LATEST_START: Duration = Duration::from_secs(1);

/// How often to check whether VUs that should become ready were lost instead.
const READY_CHECK: Duration = Duration::from_millis(50);

/// Takes the pre-allocated VUs and waits until all of them are ready.
pub(super) async fn prepare<F: VuFactory>(run: &ScenarioRun<F>, arrivals: Arrivals) -> ArrivalRate<F> {
    let share = run.active.state.share;
    let open = OpenDispatch(Arc::new(Dispatch {
        active: run.active.clone(),
        workers: run.workers.clone(),
        reporter: run.reporter.clone(),
        idle: IdleVus::new(run.workers.len()),
        unplanned: AtomicU64::new(share.max_vus - share.vus),
        growing: AtomicBool::new(false),
        warned: AtomicBool::new(false),
    }));
    for lease in run.take_vus().await {
        let (worker, dispatch) = (lease.worker, open.0.clone());
        run.start_vu(lease, async move |vu| dispatch.serve(vu, worker).await);
    }
    run.active.token.run_until_cancelled(open.0.idle.all_ready(&run.active.state)).await;
    ArrivalRate { open, arrivals }
}

/// An arrival rate whose VUs are ready.
pub(super) struct ArrivalRate<F: VuFactory> {
    open: OpenDispatch<F>,
    arrivals: Arrivals,
}

/// Sends the waiting VUs home on drop, whatever the reason.
struct OpenDispatch<F: VuFactory>(Arc<Dispatch<F>>);

impl<F: VuFactory> Drop for OpenDispatch<F> {
    fn drop(&mut self) {
        self.0.idle.close(&self.0.active.state);
    }
}

impl<F: VuFactory> ArrivalRate<F> {
    /// Starts iterations until the regular end, and waits for them.
    pub(super) async fn run(self, run: &mut ScenarioRun<F>, deadlines: Deadlines) {
        let token = &run.active.token;
        if let Some(present) = run.present.as_ref().map(mpsc::Sender::downgrade) {
            let numbering = run.active.numbering.clone();
            let until = deadlines.regular_end + LATEST_START;
            let schedule =
                Schedule { arrivals: self.arrivals, numbering, from: deadlines.started, until, next: 0 };
            if run.reporter.inline {
                token.run_until_cancelled(pace(schedule, &self.open.0, &present)).await;
            } else {
                pace_on_thread(schedule, self.open.0.clone(), present, token).await;
            }
        }
        token.run_until_cancelled(sleep_until(deadlines.regular_end)).await;
        drop(self.open);
        run.all_vus_ended().await;
    }
}

/// When the iterations of this process start.
#[derive(Clone)]
struct Schedule {
    arrivals: Arrivals,
    numbering: Striping,
    from: Instant,
    /// From here on nothing starts any more.
    until: Instant,
    next: u64,
}

impl Schedule {
    /// How many more starts there are.
    fn remaining(&self) -> u64 {
        let is_there = |n: u64| self.arrivals.time_of(self.numbering.global(n)).is_some();
        let (mut first, mut after) = (self.next, u64::MAX);
        while first < after {
            let middle = first + (after - first) / 2;
            match is_there(middle) {
                true => first = middle + 1,
                false => after = middle,
            }
        }
        first - self.next
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        let at = self.arrivals.time_of(self.numbering.global(self.next))?;
        self.next += 1;
        Some(self.from + at)
    }
}

/// Paces as a task, with the resolution of the runtime's timers and under its clock.
async fn pace<F: VuFactory>(
    mut schedule: Schedule,
    dispatch: &Arc<Dispatch<F>>,
    present: &mpsc::WeakSender<()>,
) {
    while let Some(due) = schedule.next() {
        sleep_until(due).await;
        if Instant::now() > schedule.until {
            return dispatch.drop_iterations(1 + schedule.remaining());
        }
        dispatch.start_iteration(due, present);
    }
}

/// Paces on a thread of its own. The kernel wakes it to within tens of microseconds, where the runtime's timers tick in
/// milliseconds; and VUs do not delay it. Late starts follow at once.
async fn pace_on_thread<F: VuFactory>(
    schedule: Schedule,
    dispatch: Arc<Dispatch<F>>,
    present: mpsc::WeakSender<()>,
    token: &CancellationToken,
) {
    let (ended, mut end) = oneshot::channel::<()>();
    let (stop, name) = (token.clone(), format!("pacer-{}", dispatch.active.state.labels().0));
    let (mut on_thread, at, from) = (schedule.clone(), dispatch.clone(), present.clone());
    let pacer = thread::Builder::new().name(name).spawn(move || {
        let _ended = ended;
        while let Some(due) = on_thread.next() {
            let now = loop {
                if stop.is_cancelled() {
                    return;
                }
                let now = Instant::now();
                match due.checked_duration_since(now) {
                    Some(early) if !early.is_zero() => thread::park_timeout(early),
                    _ => break now,
                }
            };
            if now > on_thread.until {
                return at.drop_iterations(1 + on_thread.remaining());
            }
            at.start_iteration(due, &from);
        }
    });
    match pacer.map(PacerThread) {
        Ok(pacer) => {
            if token.run_until_cancelled(&mut end).await.is_none() {
                drop(pacer);
                let _ = end.await;
            }
        }
        Err(error) => {
            let (scenario, executor) = dispatch.active.state.labels();
            log::warn!(executor, scenario; "Iterations may start late, because there is no thread to pace them ({error})");
            token.run_until_cancelled(pace(schedule, &dispatch, &present)).await;
        }
    }
}

/// Wakes the pacer on drop, so that it notices its end at once.
struct PacerThread(thread::JoinHandle<()>);

impl Drop for PacerThread {
    fn drop(&mut self) {
        self.0.thread().unpark();
    }
}

/// Where starts of iterations and idle VUs come together.
struct Dispatch<F: VuFactory> {
    active: Arc<ActiveScenario>,
    workers: Arc<Workers<F>>,
    reporter: Arc<RunReporter>,
    idle: IdleVus,
    /// VUs that may be added.
    unplanned: AtomicU64,
    /// Whether one is being made; never more than one at a time.
    growing: AtomicBool,
    warned: AtomicBool,
}

impl<F: VuFactory> Dispatch<F> {
    /// The life of a VU: it waits for its next iteration until there are no more.
    async fn serve(&self, vu: &mut ActiveVu<'_, F>, worker: usize) {
        self.idle.join(worker);
        while let Some(start) = self.idle.enter(worker, &self.active.state) {
            let Ok(Start { number, due }) = start.await else { break };
            if vu.interrupt.is_cancelled() {
                vu.record_dropped(1);
                break;
            }
            vu.now = Instant::now();
            vu.worker.context.meter.started(vu.now.saturating_duration_since(due));
            vu.iterate_once(number).await;
        }
    }

    /// An iteration is due.
    fn start_iteration(self: &Arc<Self>, due: Instant, present: &mpsc::WeakSender<()>) {
        if !self.idle.start_one(due, &self.active) {
            self.drop_iterations(1);
            self.grow(present);
        }
    }

    /// Iterations do not start, because no VU is free, or no time is left.
    fn drop_iterations(&self, count: u64) {
        self.reporter.record_dropped(&self.active.dropped, count);
    }

    /// Adds a VU, if one may be added and none is being added.
    fn grow(self: &Arc<Self>, present: &mpsc::WeakSender<()>) {
        if self.growing.load(Ordering::Acquire) {
            return;
        }
        let left = self.unplanned.load(Ordering::Relaxed);
        if left == 0 {
            if !self.warned.swap(true, Ordering::Relaxed) {
                let vus = count(&self.active.state.active_vus);
                let text = format!("Insufficient VUs, reached {vus} active VUs and cannot initialize more");
                self.active.warn(&text);
            }
            return;
        }
        if let Some(vu) = self.workers.claim_unplanned() {
            self.unplanned.store(left - 1, Ordering::Relaxed);
            self.growing.store(true, Ordering::Release);
            self.clone().make(vu, present.clone());
        } else if let Some(lease) = self.workers.pool.try_take() {
            // All allowed VUs were already made, for earlier scenarios.
            self.unplanned.store(left - 1, Ordering::Relaxed);
            self.join(lease, present);
        }
    }

    /// Makes a VU in the background. If the scenario ends before, later ones may use it.
    fn make(self: Arc<Self>, vu: u64, present: mpsc::WeakSender<()>) {
        let (workers, home) = (self.workers.clone(), self.workers.pool.home(vu));
        workers.post(home, move |worker| {
            let on = worker.clone();
            worker.spawn(async move {
                let made = on.create(vu, &self.reporter.end).await;
                match made {
                    Ok(()) => self.join(self.workers.pool.add(vu), &present),
                    Err(_) if self.reporter.end.is_cancelled() => {}
                    Err(error) => {
                        let id = FailureId::new(FailureKind::Vu, "");
                        on.context.fail(1, &id, on.context.clock.now(), || Details::text(error.to_string()));
                        let (scenario, executor) = self.active.state.labels();
                        log::error!(executor, scenario; "Could not initialize VU {vu}: {error}");
                    }
                }
                self.growing.store(false, Ordering::Release);
            });
        });
    }

    /// Lets a further VU wait for iterations, unless all others have gone already.
    fn join(self: &Arc<Self>, lease: VuLease, present: &mpsc::WeakSender<()>) {
        let Some(present) = present.upgrade() else { return };
        let presence = Presence::new(&self.active.state, self.reporter.state.clone(), present);
        let (dispatch, worker, interrupt) = (self.clone(), lease.worker, self.active.token.child_token());
        start_vu(&self.workers, self.active.clone(), interrupt, lease, presence, async move |vu| {
            dispatch.serve(vu, worker).await;
        });
    }
}

/// An iteration that a VU is to begin: its number, and when it was due.
struct Start {
    number: u64,
    due: Instant,
}

/// The VUs of a scenario that wait for an iteration. Each has left a sender for its start; when the sender is dropped,
/// the VU is released.
struct IdleVus {
    waiting: Mutex<Waiting>,
    entered: Notify,
}

struct Waiting {
    workers: Vec<WaitingOn>,
    /// The worker after the one that got the last iteration.
    next: usize,
    closed: bool,
}

/// The VUs of one worker.
#[derive(Default)]
struct WaitingOn {
    /// The waiting VUs; the one that has waited the longest comes first.
    vus: VecDeque<oneshot::Sender<Start>>,
    /// All that have joined.
    members: usize,
}

impl WaitingOn {
    fn busy(&self) -> usize {
        self.members.saturating_sub(self.vus.len())
    }
}

impl IdleVus {
    fn new(workers: usize) -> Self {
        let workers = std::iter::repeat_with(WaitingOn::default).take(workers).collect();
        Self { waiting: Mutex::new(Waiting { workers, next: 0, closed: false }), entered: Notify::new() }
    }

    /// One more VU of a worker is going to wait here, again and again.
    fn join(&self, worker: usize) {
        self.lock().workers[worker].members += 1;
    }

    /// Lets a VU wait. It gets its next iteration, or learns that there are no more.
    fn enter(&self, worker: usize, scenario: &ScenarioState) -> Option<oneshot::Receiver<Start>> {
        let (sender, number) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.closed {
            return None;
        }
        waiting.workers[worker].vus.push_back(sender);
        scenario.idle_vus.fetch_add(1, Ordering::Relaxed);
        drop(waiting);
        self.entered.notify_one();
        Some(number)
    }

    /// Gives the next iteration to a VU. False if none waits.
    fn start_one(&self, due: Instant, active: &ActiveScenario) -> bool {
        let mut number = None;
        while let Some(vu) = self.take() {
            active.state.idle_vus.fetch_sub(1, Ordering::Relaxed);
            let number = *number.get_or_insert_with(|| active.next_iteration());
            // It fails only if the VU no longer exists.
            if vu.send(Start { number, due }).is_ok() {
                return true;
            }
        }
        false
    }

    /// A VU of the worker that has the fewest busy ones. Workers that are equal take turns.
    fn take(&self) -> Option<oneshot::Sender<Start>> {
        let mut waiting = self.lock();
        let (all, next) = (waiting.workers.len(), waiting.next);
        let in_turn = (0..all).map(|i| (next + i) % all);
        let with_idle = in_turn.filter(|w| !waiting.workers[*w].vus.is_empty());
        let worker = with_idle.min_by_key(|w| waiting.workers[*w].busy())?;
        waiting.next = worker + 1;
        waiting.workers[worker].vus.pop_front()
    }

    /// Waits until all VUs of the scenario wait.
    async fn all_ready(&self, scenario: &ScenarioState) {
        while count(&scenario.idle_vus) < count(&scenario.active_vus) {
            // Arriving VUs wake this task; lost VUs do not.
            let _ = timeout(READY_CHECK, self.entered.notified()).await;
        }
    }

    /// Sends home all VUs, at once or when their iteration has ended.
    fn close(&self, scenario: &ScenarioState) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.workers.iter_mut().for_each(|worker| worker.vus.clear());
        scenario.idle_vus.store(0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
