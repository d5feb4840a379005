//! Parts of the document: thresholds, metrics, checks, the generator.

use std::time::Duration;

use senary_execution::{Finding, Saturation};
use senary_metrics::{MetricType, Results, ValueType};
use senary_output::Remark;
use senary_output::timeline::{
    Cell, Part, Timeline, Track, curve_of_sink, curve_of_track, number, of_sink, of_track, put,
};
use serde_json::{Map, Value, json};

use super::machine::{MEMORY, OPEN_FILES, open_files_limit};
use crate::run_events::{RunEvent, RunEvents};

/// What counts as a request, the most telling first.
const REQUESTS: [&str; 4] = ["tcp_reqs", "http_reqs", "tcp_msgs_sent", "iterations"];
const DURATIONS: [&str; 4] =
    ["tcp_req_duration", "http_req_duration", "tcp_message_latency", "iteration_duration"];
const FAILED: [&str; 2] = ["tcp_req_failed", "http_req_failed"];

pub fn thresholds(events: &RunEvents) -> Value {
    let happened = events.all();
    let thresholds = events.thresholds().into_iter().map(|state| {
        let changes = happened.iter().filter_map(|happened| match &happened.event {
            RunEvent::Threshold { metric, source, ok }
                if *metric == state.metric && *source == state.source =>
            {
                Some(json!([seconds(happened.at), ok]))
            }
            _ => None,
        });
        json!({
            "metric": state.metric,
            "type": state.kind,
            "contains": state.contains,
            "source": state.source,
            "method": state.method,
            "operator": state.sign,
            "limit": state.limit,
            // It is compared with the limit: no digit is left out.
            "value": state.has_data.then_some(state.value),
            "ok": state.ok,
            "has_data": state.has_data,
            "abort": state.abort,
            "changes": changes.collect::<Vec<_>>(),
        })
    });
    thresholds.collect()
}

/// To the millisecond.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

/// What happened that charts mark.
pub fn events(events: &RunEvents) -> Value {
    let mut known = Vec::new();
    let mut marks = Vec::new();
    for happened in events.all() {
        let RunEvent::Threshold { metric, source, ok } = happened.event else { continue };
        let text = format!("{metric} {source}");
        // That a threshold holds at first is nothing that happened.
        if !ok || known.contains(&text) {
            let word = if ok { "held" } else { "crossed" };
            marks.push(json!({ "t": seconds(happened.at), "word": word, "text": text }));
        }
        known.push(text);
    }
    marks.into()
}

/// The table of all metrics. Those of results are exact; while there are none, and for parts of metrics, the time line's
/// histograms have to do.
pub fn metrics(timeline: &Timeline, results: Option<Results>, seconds: f64) -> Value {
    let mut exact = results.map(|results| results.metrics).unwrap_or_default();
    let mut metrics = Vec::new();
    // A table that changes each second has no use for hundreds of rows more.
    let values = if exact.is_empty() { Vec::new() } else { timeline.by_value() };
    for track in timeline.tracks().iter().chain(&values) {
        let mut row = description(track);
        let has_curve = track.nature.kind == MetricType::Trend
            && track.nature.contains == ValueType::Time
            && !track.nature.own
            && matches!(track.id.part, Part::Whole | Part::Submetric);
        let result = exact.iter_mut().find(|result| result.name == name_of(track));
        row.insert("exact".to_owned(), (result.is_some() || track.nature.kind != MetricType::Trend).into());
        match result {
            Some(result) => {
                let curve = has_curve.then(|| curve_of_sink(&mut result.sink)).flatten();
                put(&mut row, of_sink(&mut result.sink, seconds), curve);
            }
            None => {
                let curve = has_curve.then(|| curve_of_track(track)).flatten();
                put(&mut row, of_track(track, seconds), curve);
            }
        }
        metrics.push(Value::Object(row));
    }
    metrics.into()
}

/// `tcp_req_duration{scenario:orders}`, as options and summaries have it.
fn name_of(track: &Track) -> String {
    let tags: Vec<_> = track.id.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    match track.id.part {
        Part::Whole => track.id.metric.clone(),
        _ => format!("{}{{{}}}", track.id.metric, tags.join(",")),
    }
}

fn description(track: &Track) -> Map<String, Value> {
    let (is_whole, tags) = (track.id.part == Part::Whole, track.id.tags.iter());
    let tags: Map<_, _> = tags.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let kind = match track.id.part {
        Part::Whole => None,
        Part::Submetric => Some("submetric"),
        Part::Scenario => Some("scenario"),
        Part::Group => Some("group"),
        Part::Tag => Some("tag"),
        Part::Value => Some("value"),
    };
    let mut row = Map::new();
    for (key, value) in [
        ("name", name_of(track).into()),
        ("type", track.nature.kind.as_str().into()),
        ("contains", track.nature.contains.as_str().into()),
        ("custom", track.nature.custom.into()),
        ("own", track.nature.own.into()),
        ("parent", (!is_whole).then(|| track.id.metric.clone()).into()),
        ("kind", kind.into()),
        ("tags", (!is_whole).then_some(Value::Object(tags)).into()),
    ] {
        row.insert(key.to_owned(), value);
    }
    row
}

/// The checks, each with the series that it is on the time line.
pub fn checks(timeline: &Timeline) -> Value {
    let of = timeline.tracks().iter().filter(|track| track.id.metric == "checks");
    let of = of.filter_map(|track| {
        let tag = |key| track.id.tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let (check, Some(Cell::Rate { passes, total })) = (tag("check")?, track.total()) else { return None };
        Some(json!({
            "group": tag("group").unwrap_or_default(),
            "name": check,
            "passes": passes,
            "fails": total.saturating_sub(passes),
            "series": track.id.text(),
        }))
    });
    of.collect()
}

pub fn generator(saturation: &Saturation, remarks: &[Remark], lost: &[String]) -> Value {
    let verdict = match (saturation.watched.as_secs_f64(), saturation.findings.as_slice()) {
        (0.0, []) => "unknown",
        (_, []) => "ok",
        // It was so for half of the run, or more.
        (watched, findings)
            if findings.iter().any(|finding| during(finding).unwrap_or(watched) * 2.0 >= watched) =>
        {
            "limit"
        }
        _ => "partly",
    };
    let findings = saturation.findings.iter().zip(remarks).map(|(finding, remark)| {
        json!({
            "kind": kind(finding),
            "text": remark.text,
            "advice": remark.advice,
            "during": during(finding),
        })
    });
    json!({
        "verdict": verdict,
        "watched": saturation.watched.as_secs_f64(),
        "findings": findings.collect::<Vec<_>>(),
        "limits": limits(),
        "lost": lost,
    })
}

/// Where the verdict on the generator changes, in milliseconds and shares.
pub fn limits() -> Value {
    json!({
        "busy": senary_execution::saturation::BUSY,
        "loop_lag": senary_execution::saturation::LATE_LOOP.as_secs_f64() * 1000.0,
        "start_lag": senary_execution::saturation::LATE_START.as_secs_f64() * 1000.0,
    })
}

fn kind(finding: &Finding) -> &'static str {
    match finding {
        Finding::Workers { .. } => "workers",
        Finding::LateStarts { .. } => "late_starts",
        Finding::Outputs { .. } => "outputs",
        Finding::Memory { .. } => "memory",
        Finding::Exhausted { .. } => "exhausted",
        Finding::Stackless { .. } => "stackless",
    }
}

/// For how many seconds it was so, where that is known.
fn during(finding: &Finding) -> Option<f64> {
    match finding {
        Finding::Workers { during, .. }
        | Finding::LateStarts { during, .. }
        | Finding::Outputs { during, .. }
        | Finding::Memory { during, .. } => Some(during.as_secs_f64()),
        Finding::Exhausted { .. } | Finding::Stackless { .. } => None,
    }
}

/// This process, as a row of the table of instances.
pub fn instance(timeline: &Timeline, facts: &Map<String, Value>) -> Value {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| Some((timeline.whole(name)?, timeline.whole(name)?.total()?)))
    };
    let trend = |names: &[&str], figure: &str| {
        let (track, _) = first(names)?;
        of_track(track, 0.0).map(|(_, totals)| totals[figure].clone())
    };
    let gauge = |name: &str| match timeline.whole(name)?.total()? {
        Cell::Gauge { max, .. } => Some(number(max)),
        _ => None,
    };
    let requests = first(&REQUESTS);
    let failed = first(&FAILED).and_then(|(_, total)| match total {
        Cell::Rate { passes, total } if total > 0 => Some(passes as f64 / total as f64),
        _ => None,
    });
    let busiest = trend(&["senary_worker_busy"], "max").and_then(|busy| busy.as_f64());
    let iterations = match timeline.whole("iterations").and_then(Track::total) {
        Some(Cell::Counter { sum }) => Some(number(sum)),
        _ => None,
    };
    json!({
        "name": facts.get("host"),
        "segment": null,
        "state": "ok",
        "lost": null,
        "requests": requests.as_ref().and_then(|(_, total)| match total {
            Cell::Counter { sum } => Some(number(*sum)),
            _ => None,
        }),
        "iterations": iterations,
        "vus": gauge("vus"),
        "p50": trend(&DURATIONS, "p50"),
        "p99": trend(&DURATIONS, "p99"),
        "failed": failed,
        "cpu": busiest.map(|busy| busy / 100.0),
        "lag": trend(&["senary_start_lag", "senary_worker_lag"], "max"),
        "open_files": gauge(OPEN_FILES),
        "open_files_limit": open_files_limit(),
        "memory": gauge(MEMORY),
        "clock": null,
        "series": requests.map(|(track, _)| track.id.text()),
    })
}

/// Sockets that were opened and have not been closed.
pub fn open_sockets(timeline: &Timeline) -> Option<f64> {
    let Cell::Counter { sum: opened } = timeline.whole("tcp_sockets")?.total()? else { return None };
    let closed = timeline.whole("tcp_socket_duration").and_then(Track::total);
    let closed = match closed {
        Some(Cell::Trend(spread)) => spread.count as f64,
        _ => 0.0,
    };
    Some((opened - closed).max(0.0))
}
