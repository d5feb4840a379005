//! The part of a VU that native code may reach while script runs: its event loop, tags and counters.
//!
//! It holds no JavaScript context: natives own references to it, so it must not own them back.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use rquickjs::Ctx;
use senary_execution::{Activation, Iteration, VuId, WorkerContext};
use senary_metrics::{Details, FailureId, MetricId, Registry, SeriesId, TagSetId, Timestamp, builtin};
use tokio_util::sync::CancellationToken;

use crate::coroutine::{BlockGate, Blocked, Resume};
use crate::errors::{self, throw_uncatchable};
use crate::event_loop::EventLoop;
use crate::memory::Memory;
use crate::prefetch::extent;
use crate::script_context::CurrentContext;
use crate::settings::VuSettings;
use crate::slice_clock;
use crate::vu::VuEngine;
use crate::vu::evidence::Evidence;
use crate::vu::failures::Clue;
use crate::vu::tags::VuTags;

pub struct VuCore {
    pub id: VuId,
    pub worker: Rc<WorkerContext>,
    pub settings: Arc<VuSettings>,
    pub registry: Registry,
    /// `__ENV`, without what a scenario lays over it, and whether it is frozen.
    pub env: Arc<[(String, String)]>,
    pub freeze_env: bool,
    pub script_context: CurrentContext,
    pub events: EventLoop,
    pub gate: BlockGate,
    pub interrupt: Interrupt,
    first_looks: FirstLooks,
    pub tags: VuTags,
    pub activation: RefCell<Option<Arc<Activation>>>,
    pub iteration: Cell<Iteration>,
    /// Iterations this VU has begun, over all scenarios and in the present one.
    pub iterations_begun: Cell<u64>,
    pub iterations_in_scenario: Cell<u64>,
    pub data_sent: Cell<u64>,
    pub data_received: Cell<u64>,
    /// The last action of a peer in this iteration that may explain a failure.
    pub clue: Cell<Option<Clue>>,
    /// What this iteration has shown so far.
    pub evidence: Evidence,
    /// Warnings that were given already; they are given once per VU.
    warned: RefCell<Vec<String>>,
    /// Whether the script of this VU called `exec.test.abort()`.
    pub aborted: Cell<bool>,
    /// The series of the samples that every iteration records.
    iteration_series: KnownSeries,
    data_series: KnownSeries,
    pub(crate) engine: OnceCell<Weak<VuEngine>>,
    /// The memory that the script takes.
    pub memory: Rc<Memory>,
}

/// The VU's entry in the userdata of its context.
#[derive(Clone)]
pub struct VuHandle(pub Rc<VuCore>);

crate::userdata!(VuHandle);

/// The VU a context belongs to.
pub fn vu_of(ctx: &Ctx<'_>) -> rquickjs::Result<Rc<VuCore>> {
    match ctx.userdata::<VuHandle>() {
        Some(handle) => Ok(handle.0.clone()),
        None => Err(errors::throw_error(ctx, "this context belongs to no VU")),
    }
}

impl VuCore {
    pub fn new(
        id: VuId,
        worker: Rc<WorkerContext>,
        settings: Arc<VuSettings>,
        registry: Registry,
        env: Arc<[(String, String)]>,
        freeze_env: bool,
        interrupt: Interrupt,
        memory: Rc<Memory>,
    ) -> Rc<Self> {
        let tags = VuTags::new(&worker, &settings.run_tags, settings.system_tags);
        Rc::new(Self {
            id,
            worker,
            settings,
            registry,
            env,
            freeze_env,
            script_context: CurrentContext::new(),
            events: EventLoop::default(),
            gate: BlockGate::default(),
            interrupt,
            first_looks: FirstLooks::default(),
            tags,
            activation: RefCell::default(),
            iteration: Cell::new(Iteration { in_instance: 0, in_test: 0 }),
            iterations_begun: Cell::new(0),
            iterations_in_scenario: Cell::new(0),
            data_sent: Cell::new(0),
            data_received: Cell::new(0),
            clue: Cell::new(None),
            evidence: Evidence::default(),
            warned: RefCell::default(),
            aborted: Cell::new(false),
            iteration_series: Cell::new(None),
            data_series: Cell::new(None),
            engine: OnceCell::new(),
            memory,
        })
    }

    pub fn now(&self) -> Timestamp {
        self.worker.clock.now()
    }

    /// Records a value of a metric under the VU's present tags.
    pub fn record(&self, metric: MetricId, value: f64) {
        self.record_at(metric, value, self.now());
    }

    pub fn record_at(&self, metric: MetricId, value: f64, time: Timestamp) {
        let series = self.series(metric);
        self.record_series(series, value, time);
    }

    pub fn record_series(&self, series: SeriesId, value: f64, time: Timestamp) {
        match self.tags.metadata() {
            None => self.worker.record(|r| r.record(series, value, time)),
            Some(metadata) => self.worker.record(|r| r.record_with(series, value, time, &metadata)),
        }
    }

    /// Records several values of one moment.
    pub fn record_all(&self, samples: &[(SeriesId, f64)], time: Timestamp) {
        let metadata = self.tags.metadata();
        self.worker.record(|recorder| match &metadata {
            None => samples.iter().for_each(|(series, value)| recorder.record(*series, *value, time)),
            Some(metadata) => samples
                .iter()
                .for_each(|(series, value)| recorder.record_with(*series, *value, time, metadata)),
        });
    }

    /// The series of a metric under the VU's present tags.
    pub fn series(&self, metric: MetricId) -> SeriesId {
        let under = self.tags.id();
        self.worker.record(|r| r.series(metric, under))
    }

    /// The series of a metric under the VU's present tags and some of its own, which win.
    pub fn series_with<'a>(
        &self,
        metric: MetricId,
        tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> SeriesId {
        let under = self.tags.id();
        self.worker.record(|r| {
            let tags = r.derive(under, tags);
            r.series(metric, tags)
        })
    }

    /// Records the bytes moved since the last call; at the end of every function of the script that ran.
    pub fn record_data(&self, time: Timestamp) {
        self.record_all(&self.take_data(), time);
    }

    /// Records an iteration that ran to its end, and how long it took in milliseconds.
    pub(crate) fn record_iteration(&self, milliseconds: f64, has_failed: bool, time: Timestamp) {
        let of = [builtin::ITERATION_DURATION, builtin::ITERATIONS];
        let [length, count] = self.known_series(&self.iteration_series, of);
        let ([sent, received], length, count) = (self.take_data(), (length, milliseconds), (count, 1.0));
        if has_failed {
            let failed = (self.series(builtin::ITERATIONS_FAILED), 1.0);
            self.record_all(&[length, count, failed, sent, received], time);
        } else {
            self.record_all(&[length, count, sent, received], time);
        }
    }

    fn take_data(&self) -> [(SeriesId, f64); 2] {
        let of = [builtin::DATA_SENT, builtin::DATA_RECEIVED];
        let [sent, received] = self.known_series(&self.data_series, of);
        [(sent, self.data_sent.take() as f64), (received, self.data_received.take() as f64)]
    }

    /// The series of these metrics, looked up only if the VU's tags are not those of the last time.
    fn known_series(&self, known: &KnownSeries, of: [MetricId; 2]) -> [SeriesId; 2] {
        let under = self.tags.id();
        match known.get() {
            Some((tags, series)) if tags == under => series,
            _ => {
                let series = of.map(|metric| self.series(metric));
                known.set(Some((under, series)));
                series
            }
        }
    }

    /// Counts a failure of this moment. The details are only computed for a failure that is new.
    pub fn fail(&self, id: &FailureId<'_>, details: impl FnOnce() -> Details) {
        self.fail_at(id, self.now(), details);
    }

    /// The same at a time that is known already.
    pub fn fail_at(&self, id: &FailureId<'_>, at: Timestamp, details: impl FnOnce() -> Details) {
        self.count_failure();
        self.worker.fail(1, id, at, details);
    }

    /// The same for a failure with an id that every failure of the series has.
    pub fn fail_in_series(
        &self,
        series: SeriesId,
        id: &FailureId<'_>,
        at: Timestamp,
        details: impl FnOnce() -> Details,
    ) {
        self.count_failure();
        self.worker.fail_in_series(series, id, at, details);
    }

    fn count_failure(&self) {
        self.evidence.failed();
        if let Some(activation) = &*self.activation.borrow() {
            activation.failures.add_one(self.worker.index());
        }
    }

    /// Notes a time, in milliseconds, that the script has measured with a metric of its own.
    pub fn measured(&self, metric: MetricId, milliseconds: f64) {
        if let Some(activation) = &*self.activation.borrow() {
            activation.measured.note_metric(self.worker.index(), metric, milliseconds);
        }
    }

    /// Script begins now.
    pub(crate) fn begin_script(&self) {
        self.first_looks.begin();
    }

    /// Forgets what is known of the last iteration.
    pub fn begin_iteration(&self) {
        self.clue.set(None);
        self.evidence.begin();
    }

    /// Whether a warning is to be logged: only the first time.
    pub fn warn_once(&self, about: &str) -> bool {
        let mut warned = self.warned.borrow_mut();
        let is_new = !warned.iter().any(|known| known == about);
        if is_new {
            warned.push(about.to_owned());
        }
        is_new
    }

    /// Blocks this VU alone until `until`; an interruption throws what no script can catch.
    pub fn block_until(&self, ctx: &Ctx<'_>, until: Instant) -> rquickjs::Result<()> {
        self.block(ctx, Blocked::Until(until))
    }

    /// Blocks this VU alone until `work` is done, and returns its result. An interruption drops the work, and throws
    /// what no script can catch.
    pub fn block_on<T: 'static>(
        &self,
        ctx: &Ctx<'_>,
        work: impl Future<Output = T> + 'static,
    ) -> rquickjs::Result<T> {
        let outcome: Rc<Cell<Option<T>>> = Rc::default();
        let done = outcome.clone();
        self.block(ctx, Blocked::On(Box::pin(async move { done.set(Some(work.await)) })))?;
        outcome.take().ok_or_else(|| throw_uncatchable(ctx, "interrupted"))
    }

    fn block(&self, ctx: &Ctx<'_>, blocked: Blocked) -> rquickjs::Result<()> {
        if self.interrupt.is_raised() {
            return Err(throw_uncatchable(ctx, "interrupted"));
        }
        match self.gate.block(blocked) {
            Some(Resume::Continue) => Ok(()),
            Some(Resume::Cancel) => Err(throw_uncatchable(ctx, "interrupted")),
            None => Err(errors::throw_error(ctx, "this code cannot block")),
        }
    }

    /// Whether script must stop: asked by the engine, and by natives that take long, whenever the worker's clock says so.
    /// Script that has had the worker for 10 ms gives it back here, so that other VUs go on.
    pub fn must_stop(&self) -> bool {
        if !slice_clock::is_due() {
            return false;
        }
        if self.memory.is_exhausted() {
            return true;
        }
        let has_begun = self.first_looks.are_over();
        let must_stop = self.interrupt.is_raised() || {
            slice_clock::restart();
            self.gate.block(Blocked::Until(Instant::now())) == Some(Resume::Cancel)
        };
        if !must_stop {
            return false;
        }
        // The clock's byte stays set, because a native may swallow the error.
        slice_clock::hurry();
        has_begun
    }

    /// For natives that take long: gives the worker back if it is time, and throws if script must stop.
    pub fn give_way(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        if self.must_stop() { Err(throw_uncatchable(ctx, "interrupted")) } else { Ok(()) }
    }

    /// Lets script of this VU handle what was queued, now, if it is waiting; for the tasks of I/O.
    pub fn run_from_io(&self) {
        if let Some(vu) = self.upgraded() {
            vu.run_from_io();
        }
    }

    /// Whether script of this VU is suspended in a blocking call: nothing is read for it meanwhile.
    pub fn is_blocked(&self) -> bool {
        self.upgraded().is_some_and(|vu| vu.is_blocked())
    }

    /// The addresses that handling an event touches.
    pub fn extents(&self) -> [Range<usize>; 2] {
        [extent(self), extent(self.engine.get().map_or(std::ptr::null(), Weak::as_ptr))]
    }

    fn upgraded(&self) -> Option<Rc<VuEngine>> {
        self.engine.get().and_then(Weak::upgrade)
    }

    /// `__ENV` and `exec` read the scenario from here.
    pub fn activation(&self) -> Option<Arc<Activation>> {
        self.activation.borrow().clone()
    }
}

/// The series of two metrics under certain tags.
type KnownSeries = Cell<Option<(TagSetId, [SeriesId; 2])>>;

/// Whether script of a VU must stop.
#[derive(Clone, Default)]
pub struct Interrupt {
    inner: Rc<InterruptInner>,
}

#[derive(Default)]
struct InterruptInner {
    token: RefCell<Option<CancellationToken>>,
    raised: Cell<bool>,
}

/// Lets script that begins run its first line, with which it may count the iteration: on a busy machine its time may be over
/// before that. The first ten looks at whether to stop do not stop it: these are its first ten calls if its time is over,
/// and its first ten slices if it is not.
#[derive(Default)]
struct FirstLooks(Cell<u8>);

impl FirstLooks {
    fn begin(&self) {
        self.0.set(10);
    }

    /// Counts a look, and says whether the script may be stopped at it.
    fn are_over(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

impl Interrupt {
    pub fn watch(&self, token: &CancellationToken) {
        self.inner.raised.set(false);
        let mut watched = self.inner.token.borrow_mut();
        // The token is the same from one iteration to the next, and a copy of it takes its lock.
        if watched.as_ref() != Some(token) {
            *watched = Some(token.clone());
        }
    }

    /// Stops script of this VU whatever the token says.
    pub fn raise(&self) {
        self.inner.raised.set(true);
    }

    pub fn is_raised(&self) -> bool {
        self.inner.raised.get()
            || self.inner.token.borrow().as_ref().is_some_and(CancellationToken::is_cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_looks_at_a_script_let_it_go_on() {
        let looks = FirstLooks::default();
        assert!(looks.are_over(), "nothing has begun");
        for _ in 0..2 {
            looks.begin();
            let stopped = (0..12).filter(|_| looks.are_over()).count();
            assert_eq!(stopped, 2);
        }
    }
}
