//! Parts of the document: what went wrong.

use senary_metrics::failures::Occurrences;
use senary_metrics::{Failure, FailureKind, Failures, Timestamp};
use senary_output::timeline::{Cell, Timeline};
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

/// The series that has the failures over time.
fn series_of(failure: &Failure, timeline: &Timeline) -> Option<String> {
    let id = match failure.kind {
        FailureKind::Socket => {
            let of = |track: &&senary_output::timeline::Track| {
                track.id.metric.ends_with("_errors")
                    && track.id.tags == [("error_code".to_owned(), failure.code.clone())]
            };
            return timeline.tracks().iter().find(of).map(|track| track.id.text());
        }
        FailureKind::Dropped => "dropped_iterations",
        FailureKind::Interrupted => "iterations_interrupted",
        FailureKind::Exception | FailureKind::Rejection | FailureKind::Engine | FailureKind::NeverSettled => {
            "iterations_failed"
        }
        _ => return None,
    };
    timeline.whole(id).map(|track| track.id.text())
}

/// Which scenarios dropped iterations fell to; of other failures that is not known.
fn shares(failure: &Failure, timeline: &Timeline) -> Vec<Value> {
    let metric = match failure.kind {
        FailureKind::Dropped => "dropped_iterations",
        _ => return Vec::new(),
    };
    let parts =
        timeline.tracks().iter().filter(|track| track.id.metric == metric && track.id.tags.len() == 1);
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
