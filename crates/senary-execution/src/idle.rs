//! How a worker idles when nothing is left to do: it lets other threads go first, and sleeps if there is still nothing.
//!
//! The kernel charges for every sleep, to the sleeper and to the thread that wakes it. A worker that goes to sleep between two
//! messages that are some microseconds apart, because threads outnumber cores, pays that for each of them; one that stays
//! runnable finds several when its turn comes again (the yielding step of idle strategies such as Aeron's). What speaks
//! against yielding is a core on which another process computes: a sleeper is let in at once there, one that yields has to wait.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::meter::WorkerMeter;

/// A worker that sleeps for longer at a time has no reason to stay runnable.
const SHORT_SLEEP: Duration = Duration::from_micros(100);
/// Threads that wait for each other give way sooner than that; who does not, computes.
const LONG_YIELD: Duration = Duration::from_millis(2);
/// How many times as long nothing is yielded after a long yield, so that they cost a twentieth of the time at most.
const PATIENCE: u32 = 20;

thread_local! {
    static IDLE: Cell<Option<Idle>> = const { Cell::new(None) };
}

/// To be called before the thread sleeps. Having nothing to do, it has no use for the time it gives away: that counts as
/// idle.
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
