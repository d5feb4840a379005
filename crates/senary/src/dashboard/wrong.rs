//! Parts of the document: what went wrong.

use senary_metrics::failures::Occurrences;
use senary_metrics::{Failure, FailureKind, Failures, Timestamp};
use senary_output::timeline::{Cell, Part, Timeline, Track};
use serde_json::{Value, json};

/// What did not work, the most telling first.
pub fn errors(failures: &Failures, started: Option<Timestamp>, timeline: &Timeline) -> Value {
    let told = failures
        .by_weight()
        .into_iter()
        .filter(|failure| failure.occurrences.count > 0 && is_told(failure.kind));
    let told = told.map(|failure| {
        let series = series_of(failure, timeline);
        let mut row = json!({
            "kind": failure.kind,
            "code": failure.code,
            "method": failure.method,
            "message": message(failure),
            "place": place(&failure.place),
            "series": series,
            "shares": shares(failure, timeline),
            "remedy": remedy(failure.kind),
        });
        put(&mut row, &failure.occurrences, started);
        row
    });
    told.collect()
}

/// What was not kept apart, by kind.
pub fn others(failures: &Failures, started: Option<Timestamp>) -> Value {
    let others = failures.others().filter(|(kind, of)| of.count > 0 && is_told(*kind)).map(|(kind, of)| {
        let mut row = json!({ "kind": kind });
        put(&mut row, of, started);
        row
    });
    others.collect()
}

/// The error that says most of why a run failed: of the script, or of its setup.
pub fn worst(failures: &Failures) -> Value {
    let is_fatal = |kind| {
        matches!(
            kind,
            FailureKind::Setup
                | FailureKind::Exception
                | FailureKind::Rejection
                | FailureKind::Engine
                | FailureKind::Teardown
                | FailureKind::Stopped
        )
    };
    let worst = failures
        .by_weight()
        .into_iter()
        .find(|failure| failure.occurrences.count > 0 && is_fatal(failure.kind));
    worst.map_or(Value::Null, |failure| {
        json!({
            "message": message(failure),
            "place": place(&failure.place),
            "count": failure.occurrences.count,
            "kind": failure.kind,
        })
    })
}

/// Checks and thresholds have tables of their own.
fn is_told(kind: FailureKind) -> bool {
    !matches!(kind, FailureKind::Check | FailureKind::Threshold)
}

fn message(failure: &Failure) -> &str {
    if failure.text.is_empty() { &failure.name } else { &failure.text }
}

/// `orders.js:31:9`
fn place(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or(place)
}

fn remedy(kind: FailureKind) -> Option<&'static str> {
    match kind {
        FailureKind::Dropped => Some("raise maxVUs"),
        FailureKind::Interrupted => Some("raise gracefulStop"),
        FailureKind::Engine => Some("raise --vu-memory-limit, or let the script keep less"),
        _ => None,
    }
}

/// What counts the iterations that a kind of failure spoils.
fn metric_of(kind: FailureKind) -> Option<&'static str> {
    Some(match kind {
        FailureKind::Dropped => "dropped_iterations",
        FailureKind::Interrupted => "iterations_interrupted",
        FailureKind::Exception | FailureKind::Rejection | FailureKind::Engine | FailureKind::NeverSettled => {
            "iterations_failed"
        }
        _ => return None,
    })
}

/// The series that has the failures over time.
fn series_of(failure: &Failure, timeline: &Timeline) -> Option<String> {
    if failure.kind == FailureKind::Socket {
        let code = [("error_code".to_owned(), failure.code.clone())];
        let is_its_own = |track: &&Track| track.id.metric.ends_with("_errors") && track.id.tags == code;
        return timeline.tracks().iter().find(is_its_own).map(|track| track.id.text());
    }
    timeline.whole(metric_of(failure.kind)?).map(|track| track.id.text())
}

/// Which scenarios iterations that failed, or never began, fell to; of failures on sockets that is not known.
fn shares(failure: &Failure, timeline: &Timeline) -> Vec<Value> {
    let Some(metric) = metric_of(failure.kind) else { return Vec::new() };
    let is_part = |track: &&Track| track.id.metric == metric && track.id.part == Part::Scenario;
    let parts = timeline.tracks().iter().filter(is_part);
    let counted: Vec<_> = parts
        .filter_map(|track| match track.total()? {
            Cell::Counter { sum } => Some((&track.id.tags[0], sum)),
            _ => None,
        })
        .collect();
    let all: f64 = counted.iter().map(|(_, sum)| sum).sum();
    counted.iter().filter(|_| all > 0.0).map(|((key, value), sum)| json!([key, value, sum / all])).collect()
}

fn put(row: &mut Value, of: &Occurrences, started: Option<Timestamp>) {
    let since = |at: Timestamp| {
        let nanos = at.0.saturating_sub(started.map_or(at.0, |started| started.0)).max(0);
        (nanos / 1_000_000) as f64 / 1000.0
    };
    row["count"] = of.count.into();
    row["first"] = since(of.first).into();
    row["last"] = since(of.last).into();
}
