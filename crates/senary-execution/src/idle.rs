//! How a worker idles when nothing is left to do: it lets other threads go first, and sleeps if there is still nothing.
//!
//! Every sleep costs CPU time, for the sleeping thread and for the one that wakes it. A worker that goes to sleep
//! between two messages that are some microseconds apart, because threads outnumber cores, pays that for each of them;
//! one that stays runnable finds several when its turn comes again (the yielding step of idle strategies such as
//! Aeron's). Yielding is bad on a core on which another process computes: there a sleeping thread gets the core as soon
//! as it wakes up, and one that yields has to wait.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::meter::WorkerMeter;

/// A worker that sleeps for longer at a time has no reason to stay runnable.
const SHORT_SLEEP: Duration = Duration::from_micros(100);
/// Threads that wait for each other yield sooner than this; a thread that does not is computing.
const LONG_YIELD: Duration = Duration::from_millis(2);
/// After a long yield, the thread does not yield for this many times as long, so that long yields cost at most a
/// twentieth of the time.
const PATIENCE: u32 = 20;

thread_local! {
    static IDLE: Cell<Option<Idle>> = const { Cell::new(None) };
}

/// To be called before the thread sleeps. The time that it yields counts as idle, because it had nothing to do.
pub(crate) fn before_sleep(meter: &WorkerMeter) {
    let mut now = Instant::now();
    let mut idle = IDLE.get().unwrap_or_else(|| Idle::new(now));
    if idle.yields(now) {
        std::thread::yield_now();
        let back = Instant::now();
        let took = back.saturating_duration_since(now);
        meter.gave_way(took);
        idle.yielded(took, back);
        now = back;
    }
    idle.asleep_since = now;
    IDLE.set(Some(idle));
}

/// To be called after it has slept.
pub(crate) fn after_sleep() {
    if let Some(mut idle) = IDLE.get() {
        idle.woken(Instant::now());
        IDLE.set(Some(idle));
    }
}

#[derive(Clone, Copy)]
struct Idle {
    asleep_since: Instant,
    last_sleep: Duration,
    /// Nothing is yielded before.
    not_before: Instant,
}

impl Idle {
    fn new(now: Instant) -> Self {
        Self { asleep_since: now, last_sleep: Duration::MAX, not_before: now }
    }

    fn yields(&self, now: Instant) -> bool {
        self.last_sleep < SHORT_SLEEP && now >= self.not_before
    }

    fn yielded(&mut self, took: Duration, now: Instant) {
        if took > LONG_YIELD {
            self.not_before = now + took * PATIENCE;
        }
    }

    fn woken(&mut self, now: Instant) {
        self.last_sleep = now.saturating_duration_since(self.asleep_since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_little_yields_first() {
        let start = Instant::now();
        let mut idle = Idle::new(start);
        assert!(!idle.yields(start), "it has not slept yet");
        idle.woken(start + Duration::from_micros(20));
        assert!(idle.yields(start + Duration::from_micros(30)));
        idle.asleep_since = start + Duration::from_micros(30);
        idle.woken(start + Duration::from_millis(5));
        assert!(!idle.yields(start + Duration::from_millis(5)), "it has slept well");
    }

    #[test]
    fn who_waited_long_for_its_turn_does_not_yield_for_some_time() {
        let start = Instant::now();
        let mut idle = Idle::new(start);
        idle.woken(start);
        let back = start + Duration::from_millis(4);
        idle.yielded(Duration::from_millis(1), back);
        assert!(idle.yields(back), "a short wait is none");
        idle.yielded(Duration::from_millis(4), back);
        assert!(!idle.yields(back + Duration::from_millis(79)));
        assert!(idle.yields(back + Duration::from_millis(80)));
    }
}
