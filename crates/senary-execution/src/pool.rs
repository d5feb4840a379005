//! Which VUs are free. A VU belongs to no scenario: an executor that needs one takes it and gives it back.
//!
//! Only numbers are kept here. The VUs themselves stay on their workers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct VuPool {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    workers: Vec<Occupancy>,
    /// The worker after the one whose VU was taken last.
    next: usize,
}

/// The VUs of one worker.
#[derive(Clone, Debug, Default)]
struct Occupancy {
    /// Those that are free; the one that has been for the longest comes first.
    free: VecDeque<u64>,
    taken: u64,
}

/// A VU taken from the pool; it is given back on drop.
#[derive(Debug)]
pub(crate) struct VuLease {
    /// The VU's number in this process, from 1.
    pub(crate) vu: u64,
    pub(crate) worker: usize,
    pool: Arc<VuPool>,
}

impl VuPool {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        let state = State { workers: vec![Occupancy::default(); workers], next: 0 };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new() })
    }

    /// The worker that `vu` lives on: they go around, so that any run of numbers is spread evenly.
    pub(crate) fn home(&self, vu: u64) -> usize {
        (vu.saturating_sub(1) % self.lock().workers.len() as u64) as usize
    }

    /// Adds a VU that was made; it is taken.
    pub(crate) fn add(self: &Arc<Self>, vu: u64) -> VuLease {
        let worker = self.home(vu);
        self.lock().workers[worker].taken += 1;
        VuLease { vu, worker, pool: self.clone() }
    }

    /// Takes the VU that has been free for the longest, from the least busy of the workers that have one.
    /// Workers that are equally busy take turns.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<VuLease> {
        let mut state = self.lock();
        let (all, next) = (state.workers.len(), state.next);
        let in_turn = (0..all).map(|i| (next + i) % all);
        let with_free = in_turn.filter(|w| !state.workers[*w].free.is_empty());
        let worker = with_free.min_by_key(|w| state.workers[*w].taken)?;
        state.next = worker + 1;
        let vu = state.workers[worker].free.pop_front()?;
        state.workers[worker].taken += 1;
        Some(VuLease { vu, worker, pool: self.clone() })
    }

    /// Waits for a free VU.
    pub(crate) async fn take(self: &Arc<Self>) -> VuLease {
        loop {
            let freed = self.freed.notified();
            if let Some(lease) = self.try_take() {
                return lease;
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every state in between is a valid one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VuLease {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let occupancy = &mut state.workers[self.worker];
        occupancy.taken -= 1;
        occupancy.free.push_back(self.vu);
        drop(state);
        self.pool.freed.notify_one();
    }
}
