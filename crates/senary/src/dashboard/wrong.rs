//! Parts of the document: what went wrong.

use std::collections::{BTreeMap, BTreeSet};

use senary_metrics::failures::Occurrences;
use senary_metrics::{Failure, FailureKind, Failures, Timestamp};
use senary_output::timeline::{Cell, SeriesSum, Timeline, Track};
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

/// Shares that are told of a failure.
const SHARES: usize = 3;
/// Tags that say what the failure is, and not where it happened.
const TAGS_OF_FAILURES: [&str; 6] = ["error_code", "method", "error", "status", "expected_response", "ip"];
/// Tags that tell more than others, in this order.
const TELLING_TAGS: [&str; 3] = ["scenario", "group", "name"];

/// Which values of tags most of a failure fell to: `[tag, value, share]`. Tags that all of the run has alike say nothing.
fn shares(failure: &Failure, timeline: &Timeline) -> Vec<Value> {
    let mut sums: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    let mut anywhere: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let all: Vec<_> = timeline.series_sums().collect();
    let mut total = 0.0;
    for series in &all {
        for (key, value) in series.tags {
            anywhere.entry(key).or_default().insert(value);
        }
        let Some(count) = count_of(failure, series) else { continue };
        total += count;
        for (key, value) in series.tags.iter().filter(|(key, _)| !TAGS_OF_FAILURES.contains(&key.as_str())) {
            *sums.entry(key).or_default().entry(value).or_default() += count;
        }
    }
    let is_telling = |key: &str| anywhere.get(key).is_some_and(|values| values.len() > 1);
    let mut tags: Vec<_> = sums.into_iter().filter(|(key, _)| is_telling(key) && total > 0.0).collect();
    tags.sort_by_key(|(key, _)| TELLING_TAGS.iter().position(|tag| tag == key).unwrap_or(TELLING_TAGS.len()));
    let mut told: Vec<(&str, &str, f64)> = Vec::new();
    for (key, values) in tags {
        for (value, count) in values {
            let share = count / total;
            // Another tag that goes with one that is told says nothing new.
            let is_echo = told.iter().any(|(other, _, known)| *other != key && (known - share).abs() < 1e-9);
            if !value.is_empty() && !is_echo {
                told.push((key, value, share));
            }
        }
    }
    told.sort_by(|a, b| b.2.total_cmp(&a.2));
    told.truncate(SHARES);
    told.iter().map(|(key, value, share)| json!([key, value, share])).collect()
}

/// How much of a failure a time series counts, if it counts it at all.
fn count_of(failure: &Failure, series: &SeriesSum<'_>) -> Option<f64> {
    let is = |key: &str, value: &str| series.tags.get(key).is_some_and(|own| own == value);
    let counts = match failure.kind {
        FailureKind::Socket if series.metric == "http_reqs" => {
            (is("error_code", &failure.code) || is("status", &failure.code)) && is("method", &failure.method)
        }
        FailureKind::Socket => {
            series.metric.ends_with("_errors")
                && is("error_code", &failure.code)
                && (is("method", &failure.method) || !series.tags.contains_key("method"))
        }
        kind => metric_of(kind).is_some_and(|metric| metric == series.metric),
    };
    match series.cell {
        Cell::Counter { sum } if counts => Some(sum),
        _ => None,
    }
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
