//! `rps`: how many requests all VUs together may make in a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the next request may begin. Requests that may not begin yet are due one after the other.
#[derive(Debug, Default)]
pub struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Takes a turn, and returns when it is. 0 means no limit.
    pub fn turn(&self, per_second: u32, now: Instant) -> Instant {
        if per_second == 0 {
            return now;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + Duration::from_secs(1) / per_second);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_apart_and_do_not_gather() {
        let pace = Pace::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        assert_eq!(pace.turn(10, begin), begin);
        assert_eq!(pace.turn(10, begin), after(100));
        assert_eq!(pace.turn(10, after(50)), after(200));
        assert_eq!(pace.turn(10, after(1000)), after(1000));
        assert_eq!(pace.turn(10, after(1000)), after(1100));
        assert_eq!(pace.turn(0, begin), begin);
    }
}
