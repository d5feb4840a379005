//! Whether and since when a connection waits for its peer: this may explain a later failure.
//!
//! The times are those of samples that are recorded anyway, so handling a message reads no further clock.

use std::cell::Cell;
use std::time::Duration;

use senary_metrics::Timestamp;

/// The peer owes an answer from the connect on, and from the first write after it has sent something.
pub struct Owed {
    is_owed: Cell<bool>,
    has_asked: Cell<bool>,
    /// When the wait for the peer began: with the connect, the last data, or the first write after them.
    since: Cell<Timestamp>,
}

impl Default for Owed {
    fn default() -> Self {
        Self { is_owed: Cell::new(false), has_asked: Cell::new(false), since: Cell::new(Timestamp(0)) }
    }
}

impl Owed {
    /// The connection is made.
    pub fn connected(&self, at: Timestamp) {
        self.is_owed.set(true);
        self.since.set(at);
    }

    /// Something was written.
    pub fn asked(&self, at: Timestamp) {
        // The first write counts as a question, even if the peer was to speak first and has not done so.
        if !self.is_owed.replace(true) || !self.has_asked.replace(true) {
            self.since.set(at);
        }
    }

    /// Something has come.
    pub fn answered(&self, at: Timestamp) {
        self.is_owed.set(false);
        self.since.set(at);
    }

    pub fn is_owed(&self) -> bool {
        self.is_owed.get()
    }

    /// How long the wait has lasted, whether something is owed or not.
    pub fn quiet(&self, now: Timestamp) -> Duration {
        Duration::from_nanos((now.0 - self.since.get().0).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_begins_with_what_is_not_answered_yet() {
        let (owed, at, ns) = (Owed::default(), Timestamp, Duration::from_nanos);
        owed.connected(at(10));
        assert_eq!((owed.is_owed(), owed.quiet(at(15))), (true, ns(5)), "a peer may have to speak first");
        owed.asked(at(20));
        owed.asked(at(30));
        assert_eq!((owed.is_owed(), owed.quiet(at(50))), (true, ns(30)), "since the first of both");
        owed.answered(at(60));
        assert_eq!((owed.is_owed(), owed.quiet(at(61))), (false, ns(1)));
        owed.asked(at(70));
        assert_eq!((owed.is_owed(), owed.quiet(at(90))), (true, ns(20)));
    }
}
