//! How far each scenario is: figures that may be read at any time, from any thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use senary_metrics::MetricId;
use tokio::time::Instant;

use crate::live::{RecentRate, RecentTimes};
use crate::outcomes::OutcomeMeter;
use crate::pacer::Arrivals;
use crate::plan::{ExecutorKind, Scenario, Share};
use crate::tally::{Padded, Tally};

/// What the progress display shows of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioProgress {
    pub name: String,
    pub executor: ExecutorKind,
    pub status: ScenarioStatus,
    /// How far it is, 0 to 1: by iterations where their number is fixed, by time otherwise.
    pub fraction: f64,
    /// Since its start; it stands still at the end.
    pub elapsed: Duration,
    /// How long new iterations may start.
    pub duration: Duration,
    /// Until its start, while it waits.
    pub starts_in: Duration,
    /// VUs it has at the moment; for arrival rates, all it ever came to.
    pub active_vus: u64,
    /// VUs in the middle of an iteration. Known for arrival rates; otherwise all.
    pub running_vus: u64,
    /// The share of this process.
    pub share: Share,
    /// Iterations that ran to their end.
    pub iterations: u64,
    /// The number of failures so far.
    pub failures: u64,
    /// Iterations per second that ran to their end in the last second.
    pub done_rate: f64,
    /// The 95th percentile of the times that were measured last, in milliseconds, and by which metric of the script: without
    /// any, it is how long iterations took.
    pub p95: Option<(f64, Option<MetricId>)>,
    /// Iterations of each VU, where it is fixed.
    pub iterations_per_vu: Option<u64>,
    /// Iterations per second that start at the moment, for arrival rates.
    pub rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioStatus {
    /// Its start time has not come.
    Waiting,
    Running,
    /// No iteration starts any more; some have not ended.
    Stopping,
    Done,
    /// The run ended before the scenario did, or its time before its iterations.
    Interrupted,
}

/// The figures of one scenario.
#[derive(Debug)]
pub(crate) struct ScenarioState {
    pub(crate) scenario: Scenario,
    pub(crate) share: Share,
    pub(crate) started_iterations: Padded,
    pub(crate) done_iterations: Tally,
    pub(crate) outcomes: OutcomeMeter,
    /// What went wrong so far.
    pub(crate) failures: Arc<Tally>,
    /// How long its last iterations took, and what the script measured in them.
    pub(crate) lengths: RecentTimes,
    pub(crate) measured: Arc<RecentTimes>,
    done_rate: RecentRate,
    pub(crate) active_vus: AtomicU64,
    /// VUs it has had so far.
    joined_vus: AtomicU64,
    /// VUs of an arrival rate that wait for their next iteration.
    pub(crate) idle_vus: AtomicU64,
    arrivals: Option<Arrivals>,
    due: OnceLock<Instant>,
    started: OnceLock<Instant>,
    ended: OnceLock<Duration>,
    interrupted: AtomicBool,
}

impl ScenarioState {
    pub(crate) fn new(scenario: Scenario, share: Share) -> Self {
        Self {
            share,
            started_iterations: Padded::default(),
            done_iterations: Tally::default(),
            outcomes: OutcomeMeter::new(),
            failures: Arc::default(),
            lengths: RecentTimes::default(),
            measured: Arc::default(),
            done_rate: RecentRate::default(),
            active_vus: AtomicU64::new(0),
            joined_vus: AtomicU64::new(0),
            idle_vus: AtomicU64::new(0),
            arrivals: scenario.executor.arrivals(),
            due: OnceLock::new(),
            started: OnceLock::new(),
            ended: OnceLock::new(),
            interrupted: AtomicBool::new(false),
            scenario,
        }
    }

    /// The scenario's name, and its executor's type.
    pub(crate) fn labels(&self) -> (&str, &'static str) {
        (&self.scenario.name, self.scenario.executor.type_name())
    }

    /// The run has started; this scenario will at `due`.
    pub(crate) fn mark_due(&self, due: Instant) {
        let _ = self.due.set(due);
    }

    pub(crate) fn mark_started(&self, now: Instant) {
        let _ = self.started.set(now);
    }

    pub(crate) fn mark_ended(&self, interrupted: bool) {
        let elapsed = self.started.get().map_or(Duration::ZERO, Instant::elapsed);
        let _ = self.ended.set(elapsed);
        self.interrupted.store(interrupted, Ordering::Relaxed);
    }

    pub(crate) fn vu_joined(&self) {
        self.active_vus.fetch_add(1, Ordering::Relaxed);
        self.joined_vus.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn vu_left(&self) {
        self.active_vus.fetch_sub(1, Ordering::Relaxed);
    }

    /// How far it is, 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        match self.share.iterations {
            Some(0) => 1.0,
            Some(all) => (self.done_iterations.total() as f64 / all as f64).min(1.0),
            None => {
                let all = self.scenario.executor.regular_duration().as_secs_f64();
                if all > 0.0 { (self.elapsed().as_secs_f64() / all).min(1.0) } else { 1.0 }
            }
        }
    }

    fn elapsed(&self) -> Duration {
        match self.ended.get() {
            Some(elapsed) => *elapsed,
            None => self.started.get().map_or(Duration::ZERO, Instant::elapsed),
        }
    }

    /// Whether iterations that it should have run to their end are missing.
    fn is_unfinished(&self) -> bool {
        self.share.iterations.is_some() && self.fraction() < 1.0
    }

    fn status(&self) -> ScenarioStatus {
        match (self.started.get(), self.ended.get()) {
            (_, Some(_)) if self.interrupted.load(Ordering::Relaxed) || self.is_unfinished() => {
                ScenarioStatus::Interrupted
            }
            (_, Some(_)) => ScenarioStatus::Done,
            (None, None) => ScenarioStatus::Waiting,
            (Some(started), None) => {
                let over = started.elapsed() >= self.scenario.executor.regular_duration();
                if over { ScenarioStatus::Stopping } else { ScenarioStatus::Running }
            }
        }
    }

    pub(crate) fn progress(&self) -> ScenarioProgress {
        let active_vus = self.active_vus.load(Ordering::Relaxed);
        let elapsed = self.elapsed();
        ScenarioProgress {
            name: self.scenario.name.clone(),
            executor: self.scenario.executor.kind(),
            status: self.status(),
            fraction: if self.started.get().is_some() { self.fraction() } else { 0.0 },
            elapsed,
            duration: self.scenario.executor.regular_duration(),
            starts_in: match self.due.get() {
                Some(due) => due.saturating_duration_since(Instant::now()),
                None => self.scenario.start_time,
            },
            active_vus: match self.arrivals {
                // Nobody leaves before the end.
                Some(_) => self.joined_vus.load(Ordering::Relaxed),
                None => active_vus,
            },
            running_vus: active_vus.saturating_sub(self.idle_vus.load(Ordering::Relaxed)),
            share: self.share,
            iterations: self.done_iterations.total(),
            failures: self.failures.total(),
            done_rate: self.started.get().map_or(0.0, |started| {
                self.done_rate.per_second(*started, Instant::now(), self.done_iterations.total())
            }),
            p95: match self.measured.p95() {
                Some(p95) => Some((p95, self.measured.metric())),
                None => self.lengths.p95().map(|p95| (p95, None)),
            },
            iterations_per_vu: self.scenario.executor.iterations_per_vu(),
            rate: self.arrivals.as_ref().map(|a| a.rate_at(elapsed) * self.share.part),
        }
    }
}
