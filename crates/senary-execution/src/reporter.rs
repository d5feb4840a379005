//! The samples that the scheduler records itself: the numbers of VUs, the measurements of the generator, and iterations
//! that never started.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use senary_metrics::tags::system;
use senary_metrics::{
    Details, FailureId, FailureKind, Failures, Metadata, ProducerId, Recorder, TagSet, Timestamp, builtin,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::meter::{self, Meter};
use crate::plan::Scenario;
use crate::state::ExecutionState;
use crate::vu::VuId;
use crate::worker::{BatchSink, Clock, FLUSH_EVERY, RunContext};

/// How often `vus`, `vus_max` and what the generator measures of itself are sampled.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

/// The scheduler's own samples, and what its parts need to record them.
pub(crate) struct RunReporter {
    pub(crate) state: Arc<ExecutionState>,
    pub(crate) clock: Clock,
    recorder: Mutex<Recorder>,
    /// What went wrong since the last delivery.
    failures: Mutex<Failures>,
    sink: BatchSink,
    pub(crate) meter: Arc<Meter>,
    run_tags: TagSet,
    /// Cancelled when the run is to end.
    pub(crate) end: CancellationToken,
    /// Whether the workers are tasks of the caller's own runtime, whose clock then holds for everything.
    pub(crate) inline: bool,
}

impl RunReporter {
    /// The samples come from `producer`; `end` is cancelled when the run is to end.
    pub(crate) fn new(
        producer: ProducerId,
        run: RunContext,
        meter: Meter,
        run_tags: TagSet,
        end: CancellationToken,
        inline: bool,
    ) -> Self {
        let (recorder, failures) = (Mutex::new(Recorder::new(producer)), Mutex::default());
        let RunContext { clock, state, sink, .. } = run;
        Self { state, clock, recorder, failures, sink, meter: Arc::new(meter), run_tags, end, inline }
    }

    pub(crate) fn record_dropped(&self, dropped: &DroppedIterations, count: u64) {
        self.record(|recorder, clock| dropped.record(recorder, clock.now(), count, None));
        if let Some(id) = dropped.id() {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.add(&id, count, self.clock.now(), dropped.details());
        }
    }

    fn record_gauges(&self) {
        let (active, initialized) = (self.state.active_vus(), self.state.initialized_vus());
        self.record(|recorder, clock| {
            let (tags, now) = (recorder.intern(&self.run_tags), clock.now());
            for (metric, value) in [(builtin::VUS, active), (builtin::VUS_MAX, initialized)] {
                let series = recorder.series(metric, tags);
                recorder.record(series, value as f64, now);
            }
        });
    }

    /// Records what the generator has measured of itself.
    fn record_generator(&self) {
        if let Some(window) = self.meter.look() {
            self.record(|recorder, clock| meter::record(&window, recorder, &self.run_tags, clock.now()));
        }
    }

    /// Samples the numbers of VUs every second, and delivers the scheduler's samples, until it is closed.
    pub(crate) async fn report(self: Arc<Self>, closed: CancellationToken) {
        let now = Instant::now();
        let mut gauges = interval_at(now + GAUGES_EVERY, GAUGES_EVERY);
        let mut flushes = interval_at(now + FLUSH_EVERY, FLUSH_EVERY);
        gauges.set_missed_tick_behavior(MissedTickBehavior::Skip);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                _ = gauges.tick() => {
                    self.record_gauges();
                    self.record_generator();
                }
                _ = flushes.tick() => self.flush(),
            }
        }
    }

    fn record(&self, f: impl FnOnce(&mut Recorder, &Clock)) {
        f(&mut self.recorder.lock().unwrap_or_else(PoisonError::into_inner), &self.clock);
    }

    /// Delivers what was recorded. The lock is held during the delivery, because batches must arrive in order.
    pub(crate) fn flush(&self) {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = recorder.take_batch() {
            (self.sink)(batch);
        }
        recorder.forget_if_full();
        drop(recorder);
        self.state.take_failures(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The metric of iterations that were due and never started.
#[derive(Clone, Debug)]
pub(crate) struct DroppedIterations {
    scenario: String,
    /// Why an iteration of this scenario may not start.
    why: &'static str,
    tags: TagSet,
    /// Whether samples that belong to one VU name it.
    name_vu: bool,
    /// The end of the whole run. Iterations that an abort leaves undone do not count as dropped.
    end: CancellationToken,
}

impl DroppedIterations {
    pub(crate) fn new(scenario: &Scenario, tags: TagSet, name_vu: bool, end: CancellationToken) -> Self {
        let why = match scenario.executor.arrivals() {
            Some(_) => "no VU was free for them",
            None => "the scenario's time was over before they could start",
        };
        Self { scenario: scenario.name.clone(), why, tags, name_vu, end }
    }

    /// What they are among the failures of a run; `None` once the run is to end.
    pub(crate) fn id(&self) -> Option<FailureId<'_>> {
        (!self.end.is_cancelled()).then(|| FailureId::new(FailureKind::Dropped, &self.scenario))
    }

    pub(crate) fn details(&self) -> Details {
        Details::text(self.why)
    }

    pub(crate) fn record(&self, recorder: &mut Recorder, time: Timestamp, count: u64, vu: Option<VuId>) {
        if self.end.is_cancelled() {
            return;
        }
        let tags = recorder.intern(&self.tags);
        let series = recorder.series(builtin::DROPPED_ITERATIONS, tags);
        match vu.filter(|_| self.name_vu) {
            None => recorder.record(series, count as f64, time),
            Some(vu) => {
                let metadata: Metadata = [(system::VU.into(), vu.in_test.to_string().into())].into();
                recorder.record_with(series, count as f64, time, &metadata);
            }
        }
    }
}
