//! What the executors need of a virtual user, and what they pass to it. This crate does not know the implementations:
//! the script engine, and fakes in tests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use senary_metrics::TagSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::live::RecentTimes;
use crate::outcomes::Proof;
use crate::tally::Tally;
use crate::worker::WorkerContext;

/// The two numbers of a VU, both from 1. They differ when a test is split into execution segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VuId {
    pub in_instance: u64,
    pub in_test: u64,
}

/// Makes VUs. The only thing of a VU that crosses threads.
pub trait VuFactory: Send + Sync + 'static {
    type Vu: Vu;
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes one VU on the worker it will stay on: for a script, its init code runs here.
    fn create(
        &self,
        id: VuId,
        worker: &Rc<WorkerContext>,
        interrupt: &CancellationToken,
    ) -> impl Future<Output = Result<Self::Vu, Self::Error>>;

    /// Takes a VU back at the end of the run, on its worker.
    fn retire(&self, vu: Self::Vu) {
        drop(vu);
    }
}

/// A virtual user. It lives and dies on one worker.
pub trait Vu: 'static {
    /// Prepares the VU for the iterations of a scenario; what an earlier scenario left is discarded.
    fn activate(&mut self, activation: &Arc<Activation>);

    /// Runs one iteration to its end, and records its samples (`iterations`, `iteration_duration` and the
    /// byte counts among them), none if it cannot begin. When `interrupt` is cancelled it must end at once, with
    /// [`IterationOutcome::Interrupted`]. `begun` is the present time, so that the clock need not be read again.
    fn run_iteration(
        &mut self,
        iteration: Iteration,
        begun: Instant,
        interrupt: &CancellationToken,
    ) -> impl Future<Output = Ended>;
}

/// The end of an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub outcome: IterationOutcome,
    /// When nothing of it was left to be done.
    pub at: Instant,
}

/// How an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IterationOutcome {
    /// The function ran to its end, by returning or by throwing.
    Complete { proof: Proof },
    /// It was cut short and does not count. It may have been waiting for a peer.
    Interrupted { unanswered: bool },
    /// Nothing of it ran, because the machine had run out of something that it needs, or because it was to be cut off before it
    /// could do anything.
    NotBegun,
}

/// The numbers of an iteration within its scenario, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iteration {
    /// Among all iterations this process starts for the scenario.
    pub in_instance: u64,
    /// Among all iterations of the scenario in the whole test, over all execution segments.
    pub in_test: u64,
}

/// What a VU gets when a scenario takes it.
pub struct Activation {
    pub scenario: String,
    /// The executor's type, as written in the options.
    pub executor: &'static str,
    /// The exported function to run.
    pub exec: String,
    /// Laid over `__ENV`.
    pub env: Vec<(String, String)>,
    /// The scenario's own tags, which go on top of the test's.
    pub tags: TagSet,
    /// When the scenario started, as time since the start of the test run.
    pub started: Duration,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_unix_ms: i64,
    /// What went wrong in it so far.
    pub failures: Arc<Tally>,
    /// The last times that the script measured in it with a metric of its own.
    pub measured: Arc<RecentTimes>,
    /// How far the scenario is, 0 to 1.
    pub progress: Arc<dyn Fn() -> f64 + Send + Sync>,
}
