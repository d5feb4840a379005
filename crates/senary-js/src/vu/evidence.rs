//! What an iteration shows of the service that it tests: what failed in it, whether a check passed, whether a peer said
//! anything, and whether it had to do with any peer at all.

use std::cell::Cell;

use senary_execution::Proof;

/// Holds what the running iteration has shown.
#[derive(Debug, Default)]
pub struct Evidence {
    has_failed: Cell<bool>,
    has_passed: Cell<bool>,
    has_heard: Cell<bool>,
    had_a_dialogue: Cell<bool>,
    was_hung_up: Cell<bool>,
    was_unheard: Cell<bool>,
    was_ignored: Cell<bool>,
    was_refused: Cell<bool>,
    has_spoken: Cell<bool>,
    /// A connection that outlives iterations was lost, and nothing has come from any peer since. This outlives iterations, too.
    has_lost: Cell<bool>,
}

impl Evidence {
    /// Forgets what is known of the last iteration.
    pub fn begin(&self) {
        let all = [&self.has_failed, &self.has_passed, &self.has_heard];
        let of_connections = [&self.had_a_dialogue, &self.was_hung_up, &self.was_unheard, &self.was_ignored];
        let of_exchanges = [&self.was_refused, &self.has_spoken];
        all.into_iter().chain(of_connections).chain(of_exchanges).for_each(|shown| shown.set(false));
    }

    /// Something failed.
    pub fn failed(&self) {
        self.has_failed.set(true);
    }

    /// A check passed.
    pub fn passed(&self) {
        self.has_passed.set(true);
    }

    /// A peer said something, as far as it can be told what the script asked for.
    pub fn heard(&self) {
        self.has_heard.set(true);
        self.has_lost.set(false);
    }

    /// A server answered that it has failed, and the script does not say whether that is what it expects.
    pub fn refused(&self) {
        self.was_refused.set(true);
    }

    /// The script has sent something.
    pub fn spoke(&self) {
        self.has_spoken.set(true);
    }

    /// There is a new connection.
    pub fn connected(&self) {
        self.has_spoken.set(true);
        self.has_lost.set(false);
    }

    /// A connection that should have served later iterations, too, is gone, and the script has not closed it.
    pub fn lost(&self) {
        self.has_lost.set(true);
    }

    /// A peer has closed a connection. `received` is the number of bytes that it sent before.
    pub fn hung_up(&self, received: u64) {
        self.left(received, false);
        if received == 0 {
            self.was_hung_up.set(true);
        }
    }

    /// The script has closed a connection. `received` is the number of bytes that the peer sent before; `asked` is whether the
    /// script has sent something, and listened for what comes.
    pub fn left(&self, received: u64, asked: bool) {
        let is_dialogue = if received > 0 { &self.had_a_dialogue } else { &self.was_unheard };
        is_dialogue.set(true);
        if received == 0 && asked {
            self.was_ignored.set(true);
        }
    }

    /// What the end of an iteration that threw nothing, and got what it awaited, says. A check may pass because a dead service is
    /// quick to refuse, so it makes up for a failure only where something was answered.
    pub fn proof(&self) -> Proof {
        let (has_passed, had_a_dialogue) = (self.has_passed.get(), self.had_a_dialogue.get());
        let has_failed = self.has_failed.get() && !(has_passed && self.has_heard.get());
        if has_failed || self.was_hung_up.get() && !has_passed {
            Proof::Failure
        } else if had_a_dialogue {
            Proof::Dialogue
        } else if has_passed || self.has_heard.get() {
            Proof::Success
        } else if self.was_refused.get() {
            Proof::Refused
        } else if self.was_ignored.get() {
            Proof::Ignored
        } else if self.was_unheard.get() {
            Proof::Monologue
        } else if self.has_spoken.get() {
            Proof::Success
        } else if self.has_lost.get() {
            Proof::Stranded
        } else {
            Proof::Idle
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(of: impl Fn(&Evidence)) -> Proof {
        let evidence = Evidence::default();
        of(&evidence);
        let proof = evidence.proof();
        evidence.begin();
        assert_eq!(evidence.proof(), Proof::Idle, "nothing is left of it");
        proof
    }

    #[test]
    fn a_check_makes_up_for_a_failure_where_something_was_answered() {
        let fails = |e: &Evidence| e.failed();
        assert_eq!(proof(|_| {}), Proof::Idle);
        assert_eq!(proof(Evidence::passed), Proof::Success);
        assert_eq!(proof(Evidence::spoke), Proof::Success);
        assert_eq!(proof(fails), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.heard()).0), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.passed()).0), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.passed(), e.heard()).0), Proof::Success);
    }

    #[test]
    fn a_peer_that_says_nothing_is_told_from_one_that_answers() {
        assert_eq!(proof(|e| e.left(7, true)), Proof::Dialogue);
        for (asked, unheard) in [(false, Proof::Monologue), (true, Proof::Ignored)] {
            let left = |e: &Evidence| e.left(0, asked);
            assert_eq!(proof(left), unheard);
            assert_eq!(proof(|e| (left(e), e.left(7, asked)).0), Proof::Dialogue, "one of them answers");
            assert_eq!(proof(|e| (left(e), e.passed()).0), Proof::Success);
            assert_eq!(proof(|e| (left(e), e.heard()).0), Proof::Success);
        }
        assert_eq!(proof(|e| e.hung_up(7)), Proof::Dialogue);
        assert_eq!(proof(|e| e.hung_up(0)), Proof::Failure);
        assert_eq!(proof(|e| (e.hung_up(0), e.passed()).0), Proof::Success);
    }

    #[test]
    fn answers_that_nobody_judges_are_no_success_if_the_server_says_that_it_failed() {
        assert_eq!(proof(Evidence::refused), Proof::Refused);
        assert_eq!(proof(|e| (e.refused(), e.heard()).0), Proof::Success, "another one was in order");
        assert_eq!(proof(|e| (e.refused(), e.passed()).0), Proof::Success, "the script looks at them");
    }

    #[test]
    fn who_does_nothing_once_the_connection_is_lost_is_stranded() {
        let evidence = Evidence::default();
        evidence.lost();
        evidence.begin();
        assert_eq!(evidence.proof(), Proof::Stranded);
        evidence.spoke();
        assert_eq!(evidence.proof(), Proof::Success, "it goes on with another connection");
        evidence.begin();
        evidence.connected();
        evidence.begin();
        assert_eq!(evidence.proof(), Proof::Idle, "it has a new one");
    }
}
