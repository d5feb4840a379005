//! What an iteration shows of the service that it tests: what failed in it, whether a check passed, and whether a peer said
//! anything.

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
}

impl Evidence {
    /// Forgets what is known of the last iteration.
    pub fn begin(&self) {
        let all = [&self.has_failed, &self.has_passed, &self.has_heard];
        let of_connections = [&self.had_a_dialogue, &self.was_hung_up, &self.was_unheard];
        all.into_iter().chain(of_connections).for_each(|shown| shown.set(false));
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
    }

    /// A peer has closed a connection. `received` is the number of bytes that it sent before.
    pub fn hung_up(&self, received: u64) {
        self.left(received);
        if received == 0 {
            self.was_hung_up.set(true);
        }
    }

    /// The script has closed a connection. `received` is the number of bytes that the peer sent before.
    pub fn left(&self, received: u64) {
        let is_dialogue = if received > 0 { &self.had_a_dialogue } else { &self.was_unheard };
        is_dialogue.set(true);
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
        } else if self.was_unheard.get() && !has_passed && !self.has_heard.get() {
            Proof::Monologue
        } else {
            Proof::Success
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
        assert_eq!(evidence.proof(), Proof::Success, "nothing is left of it");
        proof
    }

    #[test]
    fn a_check_makes_up_for_a_failure_where_something_was_answered() {
        let fails = |e: &Evidence| e.failed();
        assert_eq!(proof(|_| {}), Proof::Success);
        assert_eq!(proof(fails), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.heard()).0), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.passed()).0), Proof::Failure);
        assert_eq!(proof(|e| (e.failed(), e.passed(), e.heard()).0), Proof::Success);
    }

    #[test]
    fn a_peer_that_says_nothing_is_told_from_one_that_answers() {
        assert_eq!(proof(|e| e.left(7)), Proof::Dialogue);
        assert_eq!(proof(|e| e.left(0)), Proof::Monologue);
        assert_eq!(proof(|e| (e.left(0), e.left(7)).0), Proof::Dialogue, "one of them answers");
        assert_eq!(proof(|e| (e.left(0), e.passed()).0), Proof::Success);
        assert_eq!(proof(|e| (e.left(0), e.heard()).0), Proof::Success);
        assert_eq!(proof(|e| e.hung_up(7)), Proof::Dialogue);
        assert_eq!(proof(|e| e.hung_up(0)), Proof::Failure);
        assert_eq!(proof(|e| (e.hung_up(0), e.passed()).0), Proof::Success);
    }
}
