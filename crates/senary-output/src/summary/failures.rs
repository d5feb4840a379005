//! The section `WHAT WENT WRONG`, and `failures` in the summary's data.
//!
//! The most likely cause comes first, so that the first line explains a failed run.

use jiff::Timestamp as Time;
use senary_metrics::failures::Occurrences;
use senary_metrics::{Failure, FailureKind, Failures, Timestamp};
use serde_json::{Value, json};

use super::instances::without_controls;
use crate::number;

/// The text shows at most this many failures; the data has all of them.
const MAX_SHOWN: usize = 20;

/// What went wrong in a run, and when the run began.
#[derive(Clone, Debug, Default)]
pub struct WhatWentWrong {
    pub failures: Failures,
    pub started: Option<Timestamp>,
    /// Places are shown from here on: `file:///home/me/`.
    pub folder: String,
}

/// One failure, as the text shows it.
pub(super) struct Told {
    pub what: String,
    /// Where and when.
    pub circumstances: String,
}

impl WhatWentWrong {
    /// The failures, with the most likely cause first, and how many are not shown.
    pub(super) fn told(&self) -> Vec<Told> {
        let sorted = self.failures.by_weight();
        let shown = sorted.iter().take(MAX_SHOWN).map(|failure| Told {
            // Texts of exceptions may have a peer's bytes in them, which must not be able to command the terminal.
            what: without_controls(&headline(failure)),
            circumstances: self.circumstances(&failure.place, &failure.occurrences),
        });
        let mut told: Vec<_> = shown.collect();
        if let Some(hidden) = sorted.get(MAX_SHOWN..).filter(|hidden| !hidden.is_empty()) {
            let count: u64 = hidden.iter().map(|failure| failure.occurrences.count).sum();
            told.push(Told {
                what: format!("{} more, of {} kinds", times(count, "failure"), hidden.len()),
                circumstances: "the summary's data has all of them (handleSummary, --summary-export)"
                    .to_owned(),
            });
        }
        told.extend(self.failures.others().map(|(kind, occurrences)| Told {
            what: format!("{} more that are not kept apart", times(occurrences.count, noun(kind))),
            circumstances: self.circumstances("", occurrences),
        }));
        told
    }

    fn circumstances(&self, place: &str, of: &Occurrences) -> String {
        let place = place.strip_prefix(&self.folder).filter(|_| !self.folder.is_empty()).unwrap_or(place);
        let place = place.strip_prefix("file://").unwrap_or(place);
        let at = if place.is_empty() { String::new() } else { format!("at {place}, ") };
        let (first, last) = (self.since_start(of.first), self.since_start(of.last));
        match of.count {
            1 => format!("{at}after {first}"),
            _ => format!("{at}first after {first}, last after {last}"),
        }
    }

    fn since_start(&self, at: Timestamp) -> String {
        let nanos = at.0.saturating_sub(self.started.map_or(at.0, |started| started.0)).max(0);
        // Differences of a microsecond do not matter here.
        number::duration((nanos / 1_000_000) as f64)
    }

    /// As `failures` of the summary's data.
    pub(super) fn json(&self) -> Value {
        let sorted = self.failures.by_weight();
        let known = sorted.iter().map(|failure| {
            let mut entry = json!({ "kind": failure.kind });
            let parts = [
                ("code", &failure.code),
                ("method", &failure.method),
                ("name", &failure.name),
                ("text", &failure.text),
                ("place", &failure.place),
            ];
            for (key, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
                entry[key] = part.as_str().into();
            }
            with_occurrences(entry, &failure.occurrences)
        });
        let others = self.failures.others().map(|(kind, occurrences)| {
            let text = "others of this kind, which are not kept apart";
            with_occurrences(json!({ "kind": kind, "text": text }), occurrences)
        });
        known.chain(others).collect()
    }
}

fn with_occurrences(mut entry: Value, of: &Occurrences) -> Value {
    entry["count"] = of.count.into();
    entry["first"] = rfc3339(of.first).into();
    entry["last"] = rfc3339(of.last).into();
    entry
}

/// In UTC, to the millisecond.
fn rfc3339(time: Timestamp) -> String {
    Time::from_millisecond(time.0.div_euclid(1_000_000)).map(|time| format!("{time:.3}")).unwrap_or_default()
}

fn headline(failure: &Failure) -> String {
    let Failure { kind, code, method, name, text, .. } = failure;
    let count = failure.occurrences.count;
    let iterations = |did: &str| format!("{} {did}", times(count, "iteration"));
    match kind {
        FailureKind::Setup => format!("setup() failed: {text}"),
        FailureKind::Teardown => format!("teardown() failed: {text}"),
        FailureKind::HandleSummary => format!("handleSummary() failed: {text}"),
        FailureKind::Socket | FailureKind::Http => {
            format!("{method} failed {} with {code}: {text}", often(count))
        }
        FailureKind::WebSocket => {
            format!("{method} of a WebSocket failed {} with {code}: {text}", often(count))
        }
        FailureKind::Exception => format!("{}: {text}", iterations("threw")),
        FailureKind::Rejection => format!("{}: {text}", iterations("left a rejected promise")),
        FailureKind::Engine => format!("{}: {text}", iterations("could not go on")),
        FailureKind::NeverSettled if name.is_empty() => {
            format!(
                "{}: {text}",
                iterations(&format!("never got what {} awaited", if count == 1 { "it" } else { "they" }))
            )
        }
        FailureKind::NeverSettled => format!("{name}() never got what it awaited: {text}"),
        FailureKind::Interrupted if text.is_empty() => {
            format!("{}: {name}", iterations(&format!("{} cut off", were(count))))
        }
        FailureKind::Interrupted => {
            format!("{}: {text} when {name}", iterations(&format!("{} cut off", were(count))))
        }
        FailureKind::Vu => format!("{} could not be made: {text}", times(count, "virtual user")),
        FailureKind::Check if text.is_empty() => format!("the check \"{name}\" failed {}", often(count)),
        FailureKind::Check => format!("the check \"{name}\" failed {}: {text}", often(count)),
        FailureKind::Stopped => text.clone(),
        FailureKind::Dropped => {
            format!("{} of the scenario {name} {} dropped: {text}", times(count, "iteration"), were(count))
        }
        FailureKind::Threshold => format!("the threshold '{name}' {text}"),
        FailureKind::Output => format!("the output {name} is incomplete: {text}"),
    }
}

fn noun(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Socket => "failed socket operation",
        FailureKind::Http => "failed request",
        FailureKind::WebSocket => "failure of a WebSocket",
        FailureKind::Exception => "exception",
        FailureKind::Rejection => "rejection",
        FailureKind::Check => "failed check",
        _ => "failure",
    }
}

fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

fn times(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn often(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
