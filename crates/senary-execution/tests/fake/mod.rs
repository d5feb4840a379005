//! VUs without a script: their iterations take a given time. What they did is kept for the tests to read.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use senary_execution::{
    Activation, BatchSink, Ended, ExecutionState, ExecutorConfig, Iteration, IterationOutcome, LoadPlan,
    Proof, RunContext, Scenario, Scheduler, SchedulerOptions, SegmentTuple, Shutdown, Vu, VuFactory, VuId,
    WorkerContext,
};
use senary_metrics::{Metadata, MetricId, SampleBatch, TagSet};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// One iteration, as its VU saw it. Times are since the start of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub vu: VuId,
    pub scenario: String,
    pub iteration: Iteration,
    pub started: Duration,
    pub ended: Duration,
    pub outcome: IterationOutcome,
}

/// How long iterations take.
type Length = Arc<dyn Fn(VuId, &str, Iteration) -> Duration + Send + Sync>;

/// Makes the VUs, and remembers.
pub struct Fakes {
    length: Length,
    make_takes: Duration,
    fails_at: Option<u64>,
    epoch: Mutex<Instant>,
    records: Mutex<Vec<Record>>,
    activations: Mutex<Vec<(u64, String)>>,
    alive: AtomicU64,
    begun: AtomicU64,
}

impl Fakes {
    pub fn new(length: impl Fn(VuId, &str, Iteration) -> Duration + Send + Sync + 'static) -> Self {
        Self {
            length: Arc::new(length),
            make_takes: Duration::ZERO,
            fails_at: None,
            epoch: Mutex::new(Instant::now()),
            records: Mutex::default(),
            activations: Mutex::default(),
            alive: AtomicU64::new(0),
            begun: AtomicU64::new(0),
        }
    }

    pub fn of_length(length: Duration) -> Self {
        Self::new(move |_, _, _| length)
    }

    pub fn made_in(mut self, make_takes: Duration) -> Self {
        self.make_takes = make_takes;
        self
    }

    /// Making the VU with this number fails.
    pub fn failing_at(mut self, vu: u64) -> Self {
        self.fails_at = Some(vu);
        self
    }

    /// All iterations that ended so far, in the order of their starts.
    pub fn records(&self) -> Vec<Record> {
        let mut records = self.records.lock().unwrap().clone();
        records.sort_by_key(|r| (r.started, r.iteration.in_instance));
        records
    }

    /// Which scenario took which VU, in order.
    pub fn activations(&self) -> Vec<(u64, String)> {
        self.activations.lock().unwrap().clone()
    }

    /// Iterations that have begun, whatever became of them.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    pub fn alive(&self) -> u64 {
        self.alive.load(Ordering::SeqCst)
    }

    pub fn start_clock(&self) {
        *self.epoch.lock().unwrap() = Instant::now();
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("VU {0} cannot be made")]
pub struct MakeError(pub u64);

pub struct FakeVu {
    id: VuId,
    fakes: Arc<Fakes>,
    activation: Option<Arc<Activation>>,
}

/// The factory; a handle on what all fakes share.
pub struct FakeFactory(pub Arc<Fakes>);

impl VuFactory for FakeFactory {
    type Vu = FakeVu;
    type Error = MakeError;

    async fn create(
        &self,
        id: VuId,
        _: &Rc<WorkerContext>,
        interrupt: &CancellationToken,
    ) -> Result<FakeVu, MakeError> {
        if interrupt.run_until_cancelled(sleep(self.0.make_takes)).await.is_none() {
            return Err(MakeError(id.in_instance));
        }
        if self.0.fails_at == Some(id.in_instance) {
            return Err(MakeError(id.in_instance));
        }
        self.0.alive.fetch_add(1, Ordering::SeqCst);
        Ok(FakeVu { id, fakes: self.0.clone(), activation: None })
    }
}

impl Drop for FakeVu {
    fn drop(&mut self) {
        self.fakes.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Vu for FakeVu {
    fn activate(&mut self, activation: &Arc<Activation>) {
        self.fakes.activations.lock().unwrap().push((self.id.in_instance, activation.scenario.clone()));
        self.activation = Some(activation.clone());
    }

    async fn run_iteration(
        &mut self,
        iteration: Iteration,
        _: Instant,
        interrupt: &CancellationToken,
    ) -> Ended {
        self.fakes.begun.fetch_add(1, Ordering::SeqCst);
        let scenario = self.activation.as_ref().expect("activated").scenario.clone();
        let epoch = *self.fakes.epoch.lock().unwrap();
        let started = epoch.elapsed();
        let length = (self.fakes.length)(self.id, &scenario, iteration);
        let outcome = if length.is_zero() {
            IterationOutcome::Complete { proof: Proof::Success }
        } else {
            match interrupt.run_until_cancelled(sleep(length)).await {
                Some(()) => IterationOutcome::Complete { proof: Proof::Success },
                None => IterationOutcome::Interrupted { unanswered: false },
            }
        };
        let ended = epoch.elapsed();
        let record = Record { vu: self.id, scenario, iteration, started, ended, outcome };
        self.fakes.records.lock().unwrap().push(record);
        Ended { outcome, at: Instant::now() }
    }
}

/// A sample, put together again.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub metric: MetricId,
    pub tags: TagSet,
    pub value: f64,
    pub metadata: Option<Metadata>,
}

/// Reads batches as an output would.
#[derive(Clone, Default)]
pub struct Samples(Arc<Mutex<(BTreeMap<u32, Vec<(MetricId, TagSet)>>, Vec<Seen>)>>);

impl Samples {
    pub fn sink(&self) -> BatchSink {
        let this = self.clone();
        Arc::new(move |batch| this.take(&batch))
    }

    fn take(&self, batch: &SampleBatch) {
        let mut guard = self.0.lock().unwrap();
        let (series, seen) = &mut *guard;
        let series = series.entry(batch.producer.0).or_default();
        if batch.restarts {
            series.clear();
        }
        series.extend(batch.new_series.iter().map(|s| (s.metric, s.tags.clone())));
        for sample in &batch.samples {
            let (metric, tags) = series[sample.series.0 as usize].clone();
            let metadata = batch.metadata_of(sample).cloned();
            seen.push(Seen { metric, tags, value: sample.value, metadata });
        }
    }

    pub fn of(&self, metric: MetricId) -> Vec<Seen> {
        self.0.lock().unwrap().1.iter().filter(|s| s.metric == metric).cloned().collect()
    }

    pub fn sum(&self, metric: MetricId) -> f64 {
        self.of(metric).iter().map(|s| s.value).sum()
    }
}

/// A run of some scenarios with fake VUs.
pub struct Bench {
    pub scenarios: Vec<Scenario>,
    pub segment: SegmentTuple,
    pub options: SchedulerOptions,
    pub samples: Samples,
    pub fakes: Arc<Fakes>,
}

impl Bench {
    pub fn new(scenarios: Vec<Scenario>, fakes: Fakes) -> Self {
        let samples = Samples::default();
        let options = SchedulerOptions {
            workers: 2,
            run: RunContext::new(Shutdown::new(), samples.sink()),
            held_up: Arc::new(|| Duration::ZERO),
            run_tags: TagSet::new([("run", "1")]),
            scenario_tag: true,
            vu_tag: false,
            min_iteration_duration: Duration::ZERO,
        };
        Self { scenarios, segment: SegmentTuple::full(), options, samples, fakes: Arc::new(fakes) }
    }

    pub fn plan(&self) -> LoadPlan {
        LoadPlan::new(self.scenarios.clone(), self.segment.clone())
    }

    pub fn state(&self) -> &ExecutionState {
        &self.options.run.state
    }

    /// A scheduler on this thread. Needs a `LocalSet`.
    pub fn inline(&self) -> Scheduler<FakeFactory> {
        Scheduler::new_inline(self.plan(), self.options.clone(), Arc::new(FakeFactory(self.fakes.clone())))
    }

    pub fn threaded(&self) -> Scheduler<FakeFactory> {
        Scheduler::new(self.plan(), self.options.clone(), Arc::new(FakeFactory(self.fakes.clone()))).unwrap()
    }

    /// Initialises, runs and closes, in virtual time; gives back how long the run took.
    pub async fn run(&self) -> Duration {
        self.run_with(async |_| {}).await
    }

    /// The same, with something going on beside the run.
    pub async fn run_with(&self, beside: impl AsyncFnOnce(&Scheduler<FakeFactory>)) -> Duration {
        LocalSet::new()
            .run_until(async {
                let scheduler = self.inline();
                scheduler.initialize().await.unwrap();
                self.options.run.state.mark_started();
                self.fakes.start_clock();
                let begun = Instant::now();
                let ended = async {
                    scheduler.run().await;
                    begun.elapsed()
                };
                let (took, ()) = tokio::join!(ended, beside(&scheduler));
                scheduler.close().await;
                assert_eq!(self.fakes.alive(), 0, "every VU is dropped in the end");
                assert_eq!(self.state().active_vus(), 0, "nobody is left active");
                took
            })
            .await
    }
}

pub fn scenario(name: &str, executor: ExecutorConfig) -> Scenario {
    Scenario {
        name: name.to_owned(),
        executor,
        start_time: Duration::ZERO,
        graceful_stop: Duration::from_secs(30),
        exec: "default".to_owned(),
        env: Vec::new(),
        tags: TagSet::default(),
    }
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
