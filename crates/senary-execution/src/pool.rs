//! Which VUs are free. A VU belongs to no scenario: whoever needs one takes it and gives it back.
//!
//! Only numbers are kept here. The VUs themselves stay on their workers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct VuPool {
    workers: Mutex<Vec<Occupancy>>,
    freed: Notify,
}

/// The VUs of one worker.
#[derive(Clone, Debug, Default)]
struct Occupancy {
    free: BTreeSet<u64>,
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
        Arc::new(Self { workers: Mutex::new(vec![Occupancy::default(); workers]), freed: Notify::new() })
    }

    /// The worker that `vu` lives on: they go around, so that any run of numbers is spread evenly.
    pub(crate) fn home(&self, vu: u64) -> usize {
        (vu.saturating_sub(1) % self.lock().len() as u64) as usize
    }

    /// Adds a VU that was made; it is taken.
    pub(crate) fn add(self: &Arc<Self>, vu: u64) -> VuLease {
        let worker = self.home(vu);
        self.lock()[worker].taken += 1;
        VuLease { vu, worker, pool: self.clone() }
    }

    /// Takes a free VU: of the workers that have one, from the least busy; there, the lowest.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<VuLease> {
        let mut workers = self.lock();
        let with_free = workers.iter_mut().enumerate().filter(|(_, w)| !w.free.is_empty());
        let (worker, occupancy) = with_free.min_by_key(|(_, w)| (w.taken, w.free.first().copied()))?;
        let vu = occupancy.free.pop_first()?;
        occupancy.taken += 1;
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

    fn lock(&self) -> MutexGuard<'_, Vec<Occupancy>> {
        // Every state in between is a valid one.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VuLease {
    fn drop(&mut self) {
        let occupancy = &mut self.pool.lock()[self.worker];
        occupancy.taken -= 1;
        occupancy.free.insert(self.vu);
        self.pool.freed.notify_one();
    }
}
