//! How failures of an iteration are counted: what it threw, what it still awaited when nothing was left that could
//! settle it, what it was doing when it was cut off.
//!
//! A failure often follows from something a peer did, which the script notices only as silence. So the last such action
//! is kept as a [`Clue`], and reported with the failure.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use senary_metrics::failures::shape;
use senary_metrics::{Details, FailureId, FailureKind};
use senary_words::duration::format_go;

use super::VuEngine;
use super::core::VuCore;
use crate::failure::ScriptFailure;

/// What a peer did that may explain a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clue {
    pub peer: SocketAddr,
    pub sent: u64,
    pub received: u64,
    pub event: ClueEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClueEvent {
    /// It closed the connection.
    Closed,
    /// It has not answered for so long, and may still do so, or could until the script closed the connection.
    Unanswered(Duration),
    /// It sent nothing for so long that a time limit of the script passed.
    Silent(Duration),
    /// The connection is open.
    Open,
    /// The script closed the connection. The peer owed no answer, but had sent nothing for so long.
    Left(Duration),
}

impl fmt::Display for Clue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, sent, received, event } = self;
        match event {
            ClueEvent::Closed => write!(f, "{peer} closed the connection")?,
            ClueEvent::Unanswered(wait) => {
                write!(f, "{peer} has not answered for {}", format_go(to_hundredths(*wait)))?;
            }
            ClueEvent::Silent(limit) => write!(f, "{peer} sent nothing for {}ms", limit.as_millis())?,
            ClueEvent::Open => write!(f, "connected to {peer}")?,
            ClueEvent::Left(quiet) => {
                write!(f, "the script closed the connection to {peer}")?;
                if *quiet >= NOTABLE_WAIT {
                    write!(f, " that had been silent for {}", format_go(to_hundredths(*quiet)))?;
                }
            }
        }
        write!(f, " ({sent} B sent, {received} B received)")
    }
}

/// Shorter waits for a peer are not mentioned.
pub const NOTABLE_WAIT: Duration = Duration::from_millis(10);

/// To the hundredth of a second, as people count.
pub fn to_hundredths(duration: Duration) -> Duration {
    Duration::from_millis((duration.as_millis() as u64 + 5) / 10 * 10)
}

/// Counts why an iteration did not run to its end.
pub(crate) fn failed(vu: &VuEngine, failure: &ScriptFailure) {
    let core = &vu.core;
    let (kind, text) = match failure {
        ScriptFailure::NoStack { has_begun: false, .. } => return not_begun(core, failure),
        ScriptFailure::Exception(text) => (FailureKind::Exception, text.clone()),
        ScriptFailure::Rejection(text) => (FailureKind::Rejection, text.clone()),
        ScriptFailure::OutOfMemory { .. } | ScriptFailure::NoStack { .. } | ScriptFailure::NeverEvaluated => {
            (FailureKind::Engine, failure.to_string())
        }
        ScriptFailure::Interrupted => return interrupted(vu),
        ScriptFailure::NotBegun => return,
    };
    let (message, place) = message_and_place(&text);
    let name = shape(message);
    let id = FailureId { place, ..FailureId::new(kind, &name) };
    core.fail(&id, || Details::text(core.with_clue(message)));
}

/// Logs why an iteration that could not begin is dropped. The executor counts it.
fn not_begun(core: &VuCore, failure: &ScriptFailure) {
    if let Some(activation) = core.activation() {
        let id = FailureId::new(FailureKind::Dropped, &activation.scenario);
        core.worker.fail(0, &id, core.now(), || Details::text(failure.to_string()));
    }
}

/// Counts an iteration that is over, if its function still awaits something that nothing can settle any more; whether it
/// has settled.
pub(crate) fn ended(vu: &VuEngine) -> bool {
    has_settled(vu, "")
}

/// The same for a function that runs once per test.
pub(crate) fn has_settled(vu: &VuEngine, function: &str) -> bool {
    let Some(place) = vu.still_awaits() else { return true };
    let text = "nothing is left that could settle what it awaits";
    let id = FailureId { place: &place, ..FailureId::new(FailureKind::NeverSettled, function) };
    vu.core.fail(&id, || Details::text(vu.core.with_clue(text)));
    false
}

/// Counts an iteration that is cut off; its sockets and timers are still there.
fn interrupted(vu: &VuEngine) {
    let core = &vu.core;
    if core.aborted.get() {
        // The script ended the run itself, which is reported separately.
        return;
    }
    let why = match core.worker.shutdown.reason() {
        Some(_) => "the run was ended",
        None => "the time of the scenario was over, and so was its gracefulStop or gracefulRampDown",
    };
    let place = vu.still_awaits().unwrap_or_default();
    let id = FailureId { place: &place, ..FailureId::new(FailureKind::Interrupted, why) };
    core.fail(&id, || Details::text(what_it_waited_for(core).unwrap_or_default()));
}

fn what_it_waited_for(core: &VuCore) -> Option<String> {
    let (count, oldest) = core.events.live_traffic();
    if let Some(oldest) = oldest {
        let others = match count - 1 {
            0 => String::new(),
            1 => " and one other".to_owned(),
            n => format!(" and {n} others"),
        };
        return Some(format!("waiting for a socket, {oldest}{others}"));
    }
    core.events.next_due().map(|_| "waiting for a timer".to_owned())
}

/// The first line of an error's text, and the innermost place of the script in its stack.
fn message_and_place(text: &str) -> (&str, &str) {
    let mut frames = text.split("\n\tat ");
    let message = frames.next().unwrap_or_default().lines().next().unwrap_or_default();
    let place = frames.find_map(|frame| {
        let frame = frame.trim_end();
        let place =
            frame.strip_suffix(')').and_then(|f| f.rsplit_once('(')).map_or(frame, |(_, place)| place);
        place.contains(':').then_some(place)
    });
    (message, place.unwrap_or_default())
}

impl VuCore {
    /// A text, and what a peer did before.
    pub fn with_clue(&self, text: &str) -> String {
        let Some(clue) = self.what_a_peer_did() else { return text.to_owned() };
        if text.is_empty() { clue } else { format!("{text}; {clue}") }
    }

    /// What may explain a failure of this moment. The state of an open connection explains more than another connection
    /// that the script has closed.
    fn what_a_peer_did(&self) -> Option<String> {
        let clue = self.clue.get();
        let live = match clue {
            None | Some(Clue { event: ClueEvent::Left(_), .. }) => self.events.live_traffic().1,
            Some(_) => None,
        };
        live.map(|live| format!("at that moment, {live}")).or_else(|| Some(format!("before it, {}", clue?)))
    }
}

#[cfg(test)]
mod tests {
    use super::message_and_place;

    #[test]
    fn the_innermost_place_of_the_script_is_found() {
        let cases = [
            ("Error: x\n\tat f (file:///p/s.js:1:34)\n\tat file:///p/s.js:9:1\n", "file:///p/s.js:1:34"),
            ("Error: x\n\tat map (native)\n\tat file:///p/s (1).js:9:1\n", "file:///p/s (1).js:9:1"),
            ("Error: x\n\tat native\n\tat f (file:///p/s.js:2:1)\n", "file:///p/s.js:2:1"),
            ("Error: x\nmore\n", ""),
        ];
        for (text, place) in cases {
            assert_eq!(message_and_place(text), ("Error: x", place), "{text}");
        }
    }
}
