//! A counter that every worker counts up without disturbing the others.

use std::sync::atomic::{AtomicU64, Ordering};

/// Cells of a tally. Workers beyond that share them.
pub(crate) const CELLS: usize = 16;

/// An atomic alone on its cache line (and the one the processor fetches with it).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded(pub(crate) AtomicU64);

/// A count kept in several cells.
#[derive(Debug, Default)]
pub struct Tally {
    cells: [Padded; CELLS],
}

impl Tally {
    /// Counts one more; `worker` is the index of the worker that counts.
    pub fn add_one(&self, worker: usize) {
        self.cells[worker % CELLS].0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn total(&self) -> u64 {
        self.cells.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }
}
