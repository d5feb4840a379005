//! When the steps of an exchange ended.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::exchange::HttpTimings;
use crate::dial::DialProgress;

/// The stamps of one exchange. A step that is under way counts up to the moment that is asked for.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) begun: Instant,
    marks: Cell<Marks>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    connected: Option<Instant>,
    written: Option<Instant>,
    answered: Option<Instant>,
    ended: Option<Instant>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { begun: Instant::now(), marks: Cell::default() }
    }

    /// There is a connection. If it was of no use, another one follows, and what came of the first is forgotten.
    pub(super) fn connected(&self) {
        self.marks.set(Marks { connected: Some(Instant::now()), ..Marks::default() });
    }

    /// The request has been written, all of it.
    pub(super) fn written(&self) {
        let marks = self.marks.get();
        if marks.written.is_none() {
            self.marks.set(Marks { written: Some(Instant::now()), ..marks });
        }
    }

    /// The first byte of the response is there.
    pub(super) fn answered(&self) {
        let marks = self.marks.get();
        if marks.answered.is_none() {
            self.marks.set(Marks { answered: Some(Instant::now()), ..marks });
        }
    }

    pub(super) fn ended(&self) {
        self.marks.set(Marks { ended: Some(Instant::now()), ..self.marks.get() });
    }

    pub(super) fn timings(&self, dialled: Option<&DialProgress>) -> HttpTimings {
        let marks = self.marks.get();
        let end = marks.ended.unwrap_or_else(Instant::now);
        let dialled = dialled.map(DialProgress::timings).unwrap_or_default();
        let connected = marks.connected.unwrap_or(end);
        // A server may answer before it has the whole request.
        let answered = marks.answered.unwrap_or(end);
        let written = marks.written.unwrap_or(answered).min(answered);
        let or_none = |step: Option<Duration>| step.unwrap_or_default();
        HttpTimings {
            blocked: connected.saturating_duration_since(self.begun),
            looking_up: or_none(dialled.resolving),
            connecting: or_none(dialled.connecting),
            tls_handshaking: or_none(dialled.tls_handshaking),
            sending: written.saturating_duration_since(connected),
            waiting: answered.saturating_duration_since(written),
            receiving: end.saturating_duration_since(answered),
        }
    }
}
