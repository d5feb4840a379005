//! What a socket knows of its peer that may explain a failure, and what it shows of the service.

use senary_js::vu::failures::{Clue, ClueEvent, NOTABLE_WAIT, to_hundredths};
use senary_words::duration::format_go;

use super::core::{SocketCore, State};
use super::extended::Extended;

impl SocketCore {
    /// The peer, to go behind the text of a failure that does not name it.
    pub fn peer_behind_failure(&self) -> String {
        let open = self.behind_failure(false);
        if !open.is_empty() {
            return open;
        }
        match self.vu.clue.get().filter(|clue| self.books.is_to(clue.peer)) {
            Some(clue) => format!("; before it, {clue}"),
            None => self.books.target_and_address().map_or_else(String::new, |target| format!(": {target}")),
        }
    }

    /// Whether the socket waits for its peer: for an answer, or for the connection itself.
    pub fn waits_for_peer(&self) -> bool {
        self.state() == State::Opening || self.is_owed()
    }

    /// Whether the peer owes an answer. What has come may have answered other requests than those under way.
    fn is_owed(&self) -> bool {
        let has_requests = |extended: &Extended| extended.requests.borrow().under_way() > 0;
        self.owed.is_owed() || self.extended.as_deref().is_some_and(has_requests)
    }

    /// The clue that the peer has owed an answer for some time.
    fn unanswered(&self) -> Option<ClueEvent> {
        let quiet = self.owed.quiet(self.vu.now());
        (self.is_owed() && quiet >= NOTABLE_WAIT).then_some(ClueEvent::Unanswered(quiet))
    }

    /// What the peer has done, as an addition to the text of a failure; empty if there is no connection any more. If
    /// the peer owes a reply, the text says so even if it has sent something else.
    pub fn behind_failure(&self, owes: bool) -> String {
        let quiet = self.owed.quiet(self.vu.now());
        let unanswered = (owes && quiet >= NOTABLE_WAIT).then_some(ClueEvent::Unanswered(quiet));
        let clue = self.clue(unanswered.or_else(|| self.unanswered()).unwrap_or(ClueEvent::Open));
        let unfinished = if owes { self.unfinished() } else { String::new() };
        clue.map_or_else(String::new, |clue| format!(": {clue}{unfinished}"))
    }

    /// What has come and is no whole message, as the end of a sentence: the first sign of a wrong framing.
    fn unfinished(&self) -> String {
        let inbound = self.extended.as_deref().and_then(|extended| extended.inbound.try_borrow().ok());
        match inbound.map_or(0, |inbound| inbound.len()) {
            0 => String::new(),
            count => format!("; {count} B of what has come are no whole message: is the framing right?"),
        }
    }

    /// Notes what the peer did, which may explain a later failure.
    pub fn note(&self, event: ClueEvent) {
        if let Some(clue) = self.clue(event) {
            self.vu.clue.set(Some(clue));
        }
    }

    /// Notes that the connection is gone, and not because the script closed it.
    pub fn note_loss(&self) {
        if self.outlives_iterations() {
            self.vu.evidence.lost();
        }
    }

    /// Notes the state of the connection when the script closes it. A clue about an earlier peer is more useful than a
    /// connection that was in order.
    pub fn note_leave(&self) {
        if self.is_open() {
            let asked = self.bytes_written.get() > 0 && self.hears.get();
            self.vu.evidence.left(self.bytes_read.get(), asked);
        }
        let before = self.vu.clue.get();
        match self.unanswered() {
            Some(event) => self.note(event),
            None if before.is_none_or(|clue| matches!(clue.event, ClueEvent::Left(_))) => {
                self.note(ClueEvent::Left(self.owed.quiet(self.vu.now())));
            }
            None => {}
        }
    }

    fn clue(&self, event: ClueEvent) -> Option<Clue> {
        // It is borrowed already where reading or writing has just failed.
        let peer = self.stream.try_borrow().ok()?.as_ref()?.remote().ip()?;
        let (sent, received) = (self.bytes_written.get(), self.bytes_read.get());
        Some(Clue { peer, sent, received, event })
    }

    /// The state of a socket that holds an iteration, in words.
    pub fn traffic(&self) -> String {
        match self.clue(self.unanswered().unwrap_or(ClueEvent::Open)) {
            Some(clue) => clue.to_string(),
            None => match self.books.target() {
                // A Unix socket has no address to show.
                Some(target) if self.is_open() => format!("connected to {target}"),
                Some(target) => format!("connecting to {target}{}", self.attempt_waits_for()),
                None => self.state().as_str().to_owned(),
            },
        }
    }

    /// What the connect under way waits for, as the end of a sentence.
    pub fn attempt_waits_for(&self) -> String {
        let attempt = self.attempt.borrow();
        let waits = attempt.as_ref().and_then(|attempt| attempt.waits_for());
        waits.map_or_else(String::new, |(what, wait)| {
            format!(": it waited for {what} for {}", format_go(to_hundredths(wait)))
        })
    }

    /// Counts bytes that the system has taken.
    pub fn note_written(&self, bytes: u64) {
        self.bytes_written.set(self.bytes_written.get() + bytes);
        self.vu.evidence.spoke();
    }
}
