//! A worker: one thread, one single-threaded runtime, the VUs pinned to it and the samples they record.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use senary_metrics::{
    CountedAs, Details, Epoch, FailureId, Failures, ProducerId, Recorder, SampleBatch, SeriesId, Timestamp,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::meter::WorkerMeter;
use crate::shutdown::Shutdown;
use crate::state::ExecutionState;

/// How often a worker delivers its samples.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Wall-clock stamps that never run backwards: one wall-clock reading, monotonic time added to it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_base: i64,
    base: Instant,
}

impl Clock {
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall_at_base: wall.as_nanos() as i64, base: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    pub fn at(&self, instant: Instant) -> Timestamp {
        Timestamp(self.wall_at_base + instant.saturating_duration_since(self.base).as_nanos() as i64)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Where workers deliver their batches. Called on the worker's thread, at most every 50 ms or every few
/// thousand samples; it must not block for long.
pub type BatchSink = Arc<dyn Fn(SampleBatch) + Send + Sync>;

/// What all parts of a run share.
#[derive(Clone)]
pub struct RunContext {
    pub clock: Clock,
    pub state: Arc<ExecutionState>,
    pub shutdown: Shutdown,
    /// Gets the samples.
    pub sink: BatchSink,
}

impl RunContext {
    /// A run that begins now.
    pub fn new(shutdown: Shutdown, sink: BatchSink) -> Self {
        Self { clock: Clock::new(), state: Arc::new(ExecutionState::new()), shutdown, sink }
    }
}

/// What a VU may use of the worker it lives on.
pub struct WorkerContext {
    pub clock: Clock,
    pub state: Arc<ExecutionState>,
    pub shutdown: Shutdown,
    /// What this worker counts of itself.
    pub meter: Arc<WorkerMeter>,
    producer: ProducerId,
    recorder: RefCell<Recorder>,
    /// What went wrong since the last delivery.
    failures: RefCell<Failures>,
    /// How the failures of a series are counted, of those that had some.
    failures_of_series: RefCell<Vec<Option<CountedAs>>>,
    /// The recorder's.
    epoch: Cell<Epoch>,
    sink: BatchSink,
}

/// A worker delivers at the latest when it holds this many samples.
const BATCH_SAMPLES: usize = 4096;

impl WorkerContext {
    pub fn new(producer: ProducerId, run: RunContext) -> Rc<Self> {
        Self::metered(producer, run, Arc::default())
    }

    /// As [`new`](Self::new), for a worker whose load is measured.
    pub(crate) fn metered(producer: ProducerId, run: RunContext, meter: Arc<WorkerMeter>) -> Rc<Self> {
        let RunContext { clock, state, shutdown, sink } = run;
        let recorder = RefCell::new(Recorder::new(producer));
        let epoch = Cell::new(Epoch::default());
        Rc::new(Self {
            clock,
            state,
            shutdown,
            meter,
            producer,
            recorder,
            failures: RefCell::default(),
            failures_of_series: RefCell::default(),
            epoch,
            sink,
        })
    }

    /// Tells this worker's counts from those of the others.
    pub fn index(&self) -> usize {
        self.producer.0 as usize
    }

    /// Runs `f` with the worker's recorder. `f` must not call back into scripts.
    pub fn record<R>(&self, f: impl FnOnce(&mut Recorder) -> R) -> R {
        let mut recorder = self.recorder.borrow_mut();
        let result = f(&mut recorder);
        if recorder.pending() >= BATCH_SAMPLES {
            let batch = recorder.take_batch();
            drop(recorder);
            if let Some(batch) = batch {
                (self.sink)(batch);
            }
        }
        result
    }

    /// Counts a failure that happened `count` times, at a time. The details are only computed for a failure that is new.
    pub fn fail(
        &self,
        count: u64,
        id: &FailureId<'_>,
        at: Timestamp,
        details: impl FnOnce() -> Details,
    ) -> CountedAs {
        let known = self.failures.borrow_mut().count_again(id, count, at);
        known.unwrap_or_else(|| {
            // Details may run script, which may fail, too.
            let details = details();
            self.failures.borrow_mut().add(id, count, at, details)
        })
    }

    /// Counts a failure with an id that every failure of the series has. After the first one, the id is not searched for.
    pub fn fail_in_series(
        &self,
        series: SeriesId,
        id: &FailureId<'_>,
        at: Timestamp,
        details: impl FnOnce() -> Details,
    ) {
        let index = series.0 as usize;
        let known = self.failures_of_series.borrow().get(index).copied().flatten();
        if let Some(known) = known {
            return self.failures.borrow_mut().count_as(known, 1, at);
        }
        let epoch = self.epoch();
        let counted_as = self.fail(1, id, at, details);
        if epoch != self.epoch() {
            return;
        }
        let mut of_series = self.failures_of_series.borrow_mut();
        if of_series.len() <= index {
            of_series.resize(index + 1, None);
        }
        of_series[index] = Some(counted_as);
    }

    /// Which ids of the recorder are good: those of other epochs it has forgotten. It changes in
    /// [`flush`](Self::flush) alone, which no VU's code is in the middle of.
    pub fn epoch(&self) -> Epoch {
        self.epoch.get()
    }

    /// Delivers what is recorded, every now and then, for as long as it is polled.
    pub async fn flush_regularly(&self) -> Infallible {
        let mut ticks = interval(FLUSH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = ticks.tick().await;
            self.meter.ticked(due.into_std(), FLUSH_EVERY);
            self.flush();
        }
    }

    /// Delivers what was recorded so far.
    pub fn flush(&self) {
        self.state.take_failures(&mut self.failures.borrow_mut());
        let mut recorder = self.recorder.borrow_mut();
        let batch = recorder.take_batch();
        recorder.forget_if_full();
        if self.epoch.replace(recorder.epoch()) != recorder.epoch() {
            self.failures_of_series.take();
        }
        drop(recorder);
        if let Some(batch) = batch {
            (self.sink)(batch);
        }
    }
}
