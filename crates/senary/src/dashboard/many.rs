//! A test of many instances, as a report is about it: made of their states.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use senary_metrics::{Failures, Results, Timestamp};
use senary_output::state::{Contribution, Head, Objection, Whole, names, own_series};
use senary_output::timeline::{SharedTimeline, Timeline};
use serde_json::{Map, Value, json};

use super::facts::later;
use super::figures;
use super::report::{Facts, Look, Report, Subject};
use crate::run_events::{RunEnd, RunEvents, ThresholdState};
use crate::run_phase::RunPhase;

/// Lines of all logs together that are shown.
const MAX_LINES: usize = 200;
/// Facts that are told only if they are the same for all instances.
const OF_MACHINES: [&str; 6] = ["os", "arch", "cores", "kernel", "workers", "version"];
/// The option that only says which part of the test an instance is.
const OF_INSTANCES: &str = "executionSegment";
const INSTANCE_ID: &str = "instance_id";

/// A test of many instances.
pub struct Many {
    events: RunEvents,
    standing: Mutex<Standing>,
    stop: Box<dyn Fn() + Send + Sync>,
}

/// How it stands.
#[derive(Clone)]
pub struct Standing {
    phase: RunPhase,
    started: Option<Timestamp>,
    length: f64,
    seconds: f64,
    failures: Failures,
    results: Results,
    generator: Value,
    instances: Vec<Value>,
    log: Value,
    facts: Facts,
}

/// What is known of an instance besides its state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contact {
    /// Nothing more is to come of it.
    pub is_lost: bool,
    /// How far its clock is ahead, in milliseconds.
    pub clock: Option<f64>,
}

impl Contact {
    /// Of an instance of which there is nothing but a last state.
    pub fn of_state(head: &Head) -> Self {
        Self { is_lost: !head.progress.is_final, clock: None }
    }
}

impl Many {
    pub fn new(standing: Standing, stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self { events: RunEvents::default(), standing: Mutex::new(standing), stop: Box::new(stop) }
    }

    /// How it stands now.
    pub fn stands(&self, standing: Standing) {
        *self.standing() = standing;
    }

    /// The thresholds were judged, by what is known now.
    pub fn judged(&self, judged: Vec<ThresholdState>) {
        let at = Duration::try_from_secs_f64(self.standing().length).unwrap_or_default();
        self.events.judged(judged, at);
    }

    /// The same events as a subject has.
    pub fn run_events(&self) -> &RunEvents {
        &self.events
    }

    /// How long the test has lasted.
    pub fn seconds(&self) -> f64 {
        self.standing().seconds
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The report of a test that is over, made of the last states of its instances.
pub fn report_of_whole(
    standing: Standing,
    timeline: Timeline,
    judged: Vec<ThresholdState>,
    end: RunEnd,
) -> Report {
    let many = Many::new(standing, || ());
    many.judged(judged);
    let report = Report::new(Arc::new(many), SharedTimeline::of(timeline), false);
    report.finish(end);
    report
}

impl Subject for Many {
    fn look(&self, is_over: bool) -> Look {
        let Standing { phase, started, length, seconds, failures, results, generator, log, .. } =
            self.standing().clone();
        let results = is_over.then_some(results);
        Look { phase, started, length, seconds, failures, results, generator, log }
    }

    fn facts(&self) -> Facts {
        self.standing().facts.clone()
    }

    fn instances(&self, _: &Timeline) -> Vec<Value> {
        self.standing().instances.clone()
    }

    fn events(&self) -> &RunEvents {
        &self.events
    }

    fn stop(&self) {
        (self.stop)();
    }
}

impl Standing {
    /// Whether an instance has started.
    pub fn has_begun(&self) -> bool {
        self.started.is_some()
    }

    /// How long the test has lasted.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    pub fn new(
        whole: &Whole,
        results: Results,
        timeline: &Timeline,
        objections: &[Objection],
        phase: RunPhase,
        contact: impl Fn(&Head) -> Contact,
    ) -> Self {
        // The first interval begins at a whole second, a moment before the first instance.
        let started = [timeline.base(), whole.started].into_iter().flatten().min();
        let since = |time: Timestamp| started.map_or(0.0, |started| seconds_between(started, time));
        let heads: Vec<_> = whole.instances.iter().map(|instance| &instance.head).collect();
        let names = names(&heads);
        let rows = whole.instances.iter().zip(&names);
        let mut instances: Vec<_> =
            rows.map(|(of, name)| row(of, name, contact(&of.head), timeline, since)).collect();
        instances.extend(objections.iter().filter_map(silent));
        Self {
            phase,
            started,
            length: whole.started.map_or(0.0, since) + whole.seconds,
            seconds: whole.seconds,
            failures: whole.failures.clone(),
            results,
            generator: generator(&heads, &names),
            instances,
            log: log(&heads, &names, since),
            facts: facts(&heads, started.zip(whole.started).map_or(0.0, |(t0, at)| seconds_between(t0, at))),
        }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let millis = to.0.saturating_sub(from.0) / 1_000_000;
    (millis as f64 / 1000.0).max(0.0)
}

/// An instance in the table.
fn row(
    of: &Contribution,
    name: &str,
    contact: Contact,
    timeline: &Timeline,
    since: impl Fn(Timestamp) -> f64,
) -> Value {
    let (head, progress) = (&of.head, &of.head.progress);
    let mut row = match progress.row.clone() {
        Value::Object(row) => row,
        _ => Map::new(),
    };
    let lost = contact.is_lost.then(|| since(progress.written));
    let end = progress.end.as_ref().and_then(|end| end.reason.lines().next());
    let note = match end {
        Some(reason) => Some(reason),
        None if lost.is_some() => (!progress.has_run).then_some("never began"),
        None => (!progress.generator.remarks.is_empty()).then_some("was the bottleneck"),
    };
    let series = own_series(head, name);
    let is_drawn = |series: &String| timeline.tracks().iter().any(|track| track.id.text() == *series);
    for (key, value) in [
        ("name", head.instance.name.as_str().into()),
        ("segment", head.instance.segment.as_str().into()),
        ("state", if lost.is_some() { "lost" } else { "ok" }.into()),
        ("lost", lost.into()),
        ("note", note.into()),
        ("iterations", of.iterations.into()),
        ("clock", contact.clock.into()),
        ("series", series.filter(is_drawn).into()),
    ] {
        row.insert(key.to_owned(), value);
    }
    row.into()
}

/// An instance of which nothing is known but its segment.
fn silent(objection: &Objection) -> Option<Value> {
    let Objection::Missing(segment) = objection else { return None };
    Some(json!({ "name": "unknown", "segment": segment, "state": "silent" }))
}

/// Whether the generators held the test back: those that did are named.
fn generator(heads: &[&Head], names: &[String]) -> Value {
    let documents: Vec<_> = heads.iter().map(|head| &head.progress.generator.document).collect();
    let count = |verdict: &str| documents.iter().filter(|document| document["verdict"] == verdict).count();
    let (limits, doubts) = (count("limit"), count("limit") + count("partly"));
    let verdict = match () {
        () if limits * 2 >= heads.len().max(1) => "limit",
        () if doubts > 0 => "partly",
        () if count("unknown") == heads.len() => "unknown",
        () => "ok",
    };
    let mut findings = Vec::new();
    let mut lost = Vec::new();
    for (head, name) in heads.iter().zip(names) {
        let own = head.progress.generator.document["findings"].as_array();
        findings.extend(own.into_iter().flatten().cloned().map(|mut finding| {
            finding["text"] = format!("{name}: {}", finding["text"].as_str().unwrap_or_default()).into();
            finding
        }));
        lost.extend(head.progress.lost.iter().map(|text| format!("{name}: {text}")));
    }
    let watched = documents.iter().filter_map(|document| document["watched"].as_f64()).fold(0.0, f64::max);
    json!({
        "verdict": verdict, "watched": watched, "findings": findings, "limits": figures::limits(), "lost": lost,
    })
}

/// The last lines of all logs, in the order of their times.
fn log(heads: &[&Head], names: &[String], since: impl Fn(Timestamp) -> f64) -> Value {
    let of = |(head, name): (&&Head, &String)| {
        let name = name.clone();
        head.progress.log.clone().into_iter().map(move |line| (line, name.clone()))
    };
    let mut lines: Vec<_> = heads.iter().zip(names).flat_map(of).collect();
    lines.sort_by_key(|(line, _)| line.time);
    let late = lines.split_off(lines.len().saturating_sub(MAX_LINES));
    let line = |(line, name): &(senary_output::state::LogLine, String)| {
        json!({
            "t": since(line.time), "level": line.level, "text": format!("{name}: {}", line.text), "more": line.more,
        })
    };
    late.iter().map(line).collect()
}

/// What is known of the test before it begins. The time axis begins `lead` seconds before its first instance.
fn facts(heads: &[&Head], lead: f64) -> Facts {
    let Some(first) = heads.first() else { return Facts::default() };
    let mut facts = first.test.facts.clone();
    for name in OF_MACHINES {
        if heads.iter().any(|head| head.test.facts.get(name) != facts.get(name)) {
            facts.insert(name.to_owned(), Value::Null);
        }
    }
    if let Some(Value::Array(options)) = facts.get_mut("options") {
        options.retain(|option| option[0] != OF_INSTANCES);
    }
    if let Some(Value::Object(tags)) = facts.get_mut("tags") {
        tags.remove(INSTANCE_ID);
    }
    let mut hosts: Vec<_> = heads.iter().map(|head| head.instance.name.as_str()).collect();
    hosts.dedup();
    facts.insert("script".to_owned(), first.test.script.as_str().into());
    facts.insert("host".to_owned(), hosts.join(", ").into());
    facts.insert("lead".to_owned(), lead.into());
    Facts { run: facts, scenarios: later(first.test.scenarios.clone(), lead) }
}
