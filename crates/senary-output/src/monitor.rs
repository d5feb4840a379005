//! State that several threads share, and whose changes they wait for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A mutex and its condition variable. A thread that panics while it holds the lock does not take the others with it.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all threads that wait for a change.
    pub(crate) fn announce(&self) {
        self.changed.notify_all();
    }

    /// Waits as long as the condition holds.
    pub(crate) fn wait_while(&self, condition: impl FnMut(&mut T) -> bool) -> MutexGuard<'_, T> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the condition holds, until this moment at most.
    pub(crate) fn wait_while_until(
        &self,
        until: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'_, T> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.lock(), left, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_change_wakes_those_who_wait_for_it() {
        let monitor = Monitor::new(0);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| *monitor.wait_while(|count| *count < 2));
            let with_deadline =
                scope.spawn(|| *monitor.wait_while_until(Instant::now() + PATIENCE, |count| *count < 2));
            for _ in 0..2 {
                *monitor.lock() += 1;
                monitor.announce();
            }
            assert_eq!((waiting.join().unwrap(), with_deadline.join().unwrap()), (2, 2));
        });
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let (monitor, begin) = (Monitor::new(0), Instant::now());
        let until = begin + Duration::from_millis(20);
        assert_eq!(*monitor.wait_while_until(until, |count| *count == 0), 0);
        assert!(Instant::now() >= until);
        assert_eq!(*monitor.wait_while_until(begin, |count| *count == 0), 0, "a deadline in the past");
    }
}
