//! When iterations happen: scenarios, executors, pacing, workers and the scheduler over them.
//!
//! This crate knows neither JavaScript nor sockets: a VU is a trait. It decides about times and rates, not about what
//! an iteration does.

mod executor;
mod idle;
mod live;
mod machine_memory;
mod meter;
mod outcomes;
pub mod pacer;
pub mod plan;
mod pool;
pub mod progress;
mod reporter;
pub mod saturation;
pub mod scheduler;
pub mod segment;
pub mod shutdown;
pub mod state;
mod tally;
pub mod vu;
pub mod worker;
mod workers;

pub use live::RecentTimes;
pub use machine_memory::MachineMemory;
pub use meter::{HeldUp, WorkerMeter};
pub use outcomes::{Outcomes, Proof, Unnoticed};
pub use pacer::Stage;
pub use plan::{ExecutorConfig, ExecutorKind, LoadPlan, Scenario, Share};
pub use progress::{ScenarioProgress, ScenarioStatus};
pub use saturation::{Finding, Saturation};
pub use scheduler::{ProgressWatch, Scheduler, SchedulerOptions};
pub use segment::{Segment, SegmentError, SegmentSequence, SegmentTuple, Striping};
pub use shutdown::{Shutdown, StopReason};
pub use state::ExecutionState;
pub use tally::Tally;
pub use vu::{Activation, Ended, Iteration, IterationOutcome, Vu, VuFactory, VuId};
pub use worker::{BatchSink, Clock, RunContext, WorkerContext};
