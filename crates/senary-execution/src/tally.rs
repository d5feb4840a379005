//! A counter that every worker counts up without disturbing the others.

use std::sync::atomic::{AtomicU64, Ordering};

/// Cells of a tally. All workers beyond that share the last one.
pub(crate) const CELLS: usize = 16;

/// An atomic alone on its cache line (and the one the processor fetches with it).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded(pub(crate) AtomicU64);

/// Who writes to a cell, besides those who only read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    One,
    Several,
}

impl Writers {
    /// The cell of a worker, by the worker's index, and who writes to it.
    pub(crate) fn of(worker: usize) -> (usize, Self) {
        const SHARED: usize = CELLS - 1;
        if worker < SHARED { (worker, Self::One) } else { (SHARED, Self::Several) }
    }

    /// Puts another value in the place of the one that is there, and returns that one. Where nobody else writes, this takes
    /// a plain store: a locked instruction costs twenty times as much, and an iteration makes several updates.
    pub(crate) fn update(self, value: &AtomicU64, new: impl Fn(u64) -> u64) -> u64 {
        match self {
            Self::One => {
                let old = value.load(Ordering::Relaxed);
                value.store(new(old), Ordering::Relaxed);
                old
            }
            Self::Several => value
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(new(old)))
                .unwrap_or_else(|old| old),
        }
    }
}

/// A count kept in several cells.
#[derive(Debug, Default)]
pub struct Tally {
    cells: [Padded; CELLS],
}

impl Tally {
    /// Counts one more; `worker` is the index of the worker that counts, on its thread.
    pub fn add_one(&self, worker: usize) {
        let (cell, writers) = Writers::of(worker);
        writers.update(&self.cells[cell].0, |count| count + 1);
    }

    pub fn total(&self) -> u64 {
        self.cells.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_there_are_more_workers_than_cells() {
        const EACH: u64 = 10_000;
        const WORKERS: usize = CELLS * 2;
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let tally = &tally;
                scope.spawn(move || (0..EACH).for_each(|_| tally.add_one(worker)));
            }
        });
        assert_eq!(tally.total(), EACH * WORKERS as u64);
    }

    #[test]
    fn only_the_last_cell_has_several_writers() {
        assert_eq!(Writers::of(0), (0, Writers::One));
        assert_eq!(Writers::of(CELLS - 2), (CELLS - 2, Writers::One));
        for worker in [CELLS - 1, CELLS, CELLS * 3] {
            assert_eq!(Writers::of(worker), (CELLS - 1, Writers::Several));
        }
    }
}
