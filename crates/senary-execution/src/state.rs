//! Figures of the run that scripts, the progress display and the REST API may read at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use senary_metrics::Failures;

use crate::tally::Tally;

/// Counters of one run, shared by all workers.
#[derive(Debug, Default)]
pub struct ExecutionState {
    started: OnceLock<Instant>,
    ended: OnceLock<Duration>,
    marked_failed: AtomicBool,
    setup_failed: AtomicBool,
    full_iterations: Tally,
    interrupted_iterations: Tally,
    active_vus: AtomicU64,
    initialized_vus: AtomicU64,
    /// Workers add to it what they gathered, every now and then.
    failures: Mutex<Failures>,
}

impl ExecutionState {
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks the start of the run: VUs are initialised, setup is next.
    pub fn mark_started(&self) {
        let _ = self.started.set(Instant::now());
    }

    /// When the run started, if it has.
    pub fn started(&self) -> Option<Instant> {
        self.started.get().copied()
    }

    pub fn mark_ended(&self) {
        let _ = self.ended.set(self.run_duration());
    }

    /// Time since the start of the run; it stands still once the run has ended.
    pub fn run_duration(&self) -> Duration {
        match self.ended.get() {
            Some(duration) => *duration,
            None => self.started.get().map_or(Duration::ZERO, Instant::elapsed),
        }
    }

    /// `exec.test.fail()`: the run goes on, but its exit code says that it failed.
    pub fn mark_failed(&self) {
        self.marked_failed.store(true, Ordering::Relaxed);
    }

    pub fn is_marked_failed(&self) -> bool {
        self.marked_failed.load(Ordering::Relaxed)
    }

    /// What `setup()` tried has failed, though it returned.
    pub fn note_failed_setup(&self) {
        self.setup_failed.store(true, Ordering::Relaxed);
    }

    pub fn has_setup_failed(&self) -> bool {
        self.setup_failed.load(Ordering::Relaxed)
    }

    pub fn full_iterations(&self) -> u64 {
        self.full_iterations.total()
    }

    pub fn interrupted_iterations(&self) -> u64 {
        self.interrupted_iterations.total()
    }

    pub fn active_vus(&self) -> u64 {
        self.active_vus.load(Ordering::Relaxed)
    }

    pub fn initialized_vus(&self) -> u64 {
        self.initialized_vus.load(Ordering::Relaxed)
    }

    /// The failures so far. Workers deliver their part with their samples.
    pub fn failures(&self) -> Failures {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in failures that a worker has gathered, so that the worker starts to count at zero again.
    pub fn take_failures(&self, gathered: &mut Failures) {
        if !gathered.is_empty() {
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).merge(gathered);
            gathered.count_anew();
        }
    }

    pub(crate) fn add_full_iteration(&self, worker: usize) {
        self.full_iterations.add_one(worker);
    }

    pub(crate) fn add_interrupted_iteration(&self, worker: usize) {
        self.interrupted_iterations.add_one(worker);
    }

    pub(crate) fn vu_initialized(&self) {
        self.initialized_vus.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn vu_activated(&self) {
        self.active_vus.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn vu_deactivated(&self) {
        self.active_vus.fetch_sub(1, Ordering::Relaxed);
    }
}
