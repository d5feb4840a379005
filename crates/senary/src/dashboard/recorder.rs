//! Tells the events of the reference's dashboard: once at the start, once a period, and at the end. What they say is in
//! `senary_output::period`, who reads them in `event_log`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use senary_output::period::{self, PeriodSums, Told};
use senary_words::io_text;
use serde_json::{Value, json};

use super::event_log::{EventLog, STOP};
use crate::run_events::RunEvents;

const SNAPSHOT: &str = "snapshot";
const CUMULATIVE: &str = "cumulative";
const THRESHOLD: &str = "threshold";
const CONFIG: &str = "config";

/// What the first events say of a test.
#[derive(Clone, Debug)]
pub struct TestFacts {
    /// As a URL.
    pub script: String,
    pub scenarios: Vec<String>,
    /// Metrics and the sources of their thresholds.
    pub thresholds: BTreeMap<String, Vec<String>>,
    pub tags: Vec<String>,
    /// How long the run may take.
    pub planned: Duration,
    pub period: Duration,
}

/// Tells the events of one run.
pub struct Recorder {
    pub log: Arc<EventLog>,
    facts: TestFacts,
    record: Mutex<Option<Record>>,
}

impl Recorder {
    /// Tells what is known before the run begins.
    pub fn new(facts: TestFacts, record: Option<Record>) -> Self {
        let recorder = Self { log: Arc::default(), facts, record: Mutex::new(record) };
        recorder.tell(CONFIG, &config());
        recorder.tell("param", &recorder.facts.param());
        recorder
    }

    pub fn period(&self) -> Duration {
        self.facts.period
    }

    /// The run begins.
    pub fn start(&self) {
        self.tell("metric", &PeriodSums::time_metric());
        self.tell("start", &json!([[now()]]));
    }

    /// A period is over, and the thresholds were judged.
    pub fn tick(&self, events: &RunEvents, told: &Told) {
        self.tell_totals(told);
        self.tell_failing(events);
        self.tell(SNAPSHOT, &told.snapshot);
    }

    /// The run is over: the last period is part of the totals only.
    pub fn stop(&self, events: &RunEvents, told: &Told) {
        self.tell_totals(told);
        self.tell_failing(events);
        self.tell(STOP, &json!([[now()]]));
        if let Some(record) = self.lock_record().take() {
            record.finish();
        }
    }

    /// The number of periods that were reported.
    pub fn periods(&self) -> usize {
        self.log.all().iter().filter(|event| event.kind == SNAPSHOT).count()
    }

    /// The events of a report, one to a line: the last totals are enough.
    pub fn report(&self) -> Vec<u8> {
        let events = self.log.all();
        let is_last_only = |kind: &str| kind == CUMULATIVE || kind == THRESHOLD;
        let mut lines: String =
            events.iter().filter(|event| !is_last_only(event.kind)).map(|event| event.line()).collect();
        for kind in [CUMULATIVE, THRESHOLD] {
            lines.extend(events.iter().rev().find(|event| event.kind == kind).map(|event| event.line()));
        }
        lines.into_bytes()
    }

    fn tell_totals(&self, told: &Told) {
        if let Some(new) = &told.metric {
            self.tell("metric", new);
        }
        self.tell(CUMULATIVE, &told.cumulative);
    }

    /// Names the thresholds that do not hold, if there are any.
    fn tell_failing(&self, events: &RunEvents) {
        let mut failing = BTreeMap::<_, Vec<_>>::new();
        for state in events.thresholds().into_iter().filter(|state| !state.ok) {
            failing.entry(state.metric).or_default().push(state.source);
        }
        if !failing.is_empty() {
            self.tell(THRESHOLD, &json!(failing));
        }
    }

    fn tell(&self, kind: &'static str, data: &Value) {
        self.log.push(kind, data);
        if kind != CONFIG
            && let Some(record) = &mut *self.lock_record()
        {
            record.write(&format!("{{\"event\":{},\"data\":{data}}}\n", json!(kind)));
        }
    }

    fn lock_record(&self) -> MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TestFacts {
    fn param(&self) -> Value {
        json!({
            "thresholds": self.thresholds,
            "scenarios": self.scenarios,
            "endOffset": self.planned.as_millis() as u64,
            "period": self.period.as_millis() as u64,
            "tags": self.tags,
            "scriptPath": self.script,
            "aggregates": period::aggregates(),
        })
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What viewers of these events are to show: the charts that every test has something for.
fn config() -> Value {
    let chart = |title: &str, series: &[(&str, &str)]| {
        let series: Vec<_> =
            series.iter().map(|(query, legend)| json!({ "query": query, "legend": legend })).collect();
        json!({ "title": title, "kind": "chart", "series": series })
    };
    let overview = [
        chart(
            "Iterations",
            &[
                ("iterations[?!tags && rate]", "iterations"),
                ("dropped_iterations[?!tags && rate]", "dropped"),
            ],
        ),
        chart("VUs", &[("vus[?!tags && value]", "VUs")]),
        chart(
            "Iteration duration",
            &[("iteration_duration[?!tags && avg]", "avg"), ("iteration_duration[?!tags && p(95)]", "p95")],
        ),
        chart(
            "Transfer",
            &[("data_sent[?!tags && rate]", "sent"), ("data_received[?!tags && rate]", "received")],
        ),
    ];
    json!({
        "title": "Senary",
        "tabs": [{ "title": "Overview", "id": "overview", "sections": [{ "panels": overview }] }],
    })
}

/// The file that the events go to as they come, one to a line.
pub struct Record {
    path: PathBuf,
    /// `None` once it has failed.
    writer: Option<Writer>,
}

enum Writer {
    Plain(File),
    Gzip(Box<GzEncoder<File>>),
}

impl Record {
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let is_gzip = path.extension().is_some_and(|end| end == "gz");
        let writer = match is_gzip {
            true => Writer::Gzip(Box::new(GzEncoder::new(file, Compression::default()))),
            false => Writer::Plain(file),
        };
        Ok(Self { path: path.to_owned(), writer: Some(writer) })
    }

    fn write(&mut self, line: &str) {
        let result = match &mut self.writer {
            Some(Writer::Plain(file)) => file.write_all(line.as_bytes()),
            Some(Writer::Gzip(gzip)) => gzip.write_all(line.as_bytes()),
            None => Ok(()),
        };
        self.note(result);
    }

    fn finish(mut self) {
        if let Some(Writer::Gzip(gzip)) = self.writer.take() {
            let result = gzip.finish().map(drop);
            self.note(result);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.writer = None;
            log::error!(
                "The record of the dashboard's events is incomplete: {}: {}",
                self.path.display(),
                io_text(&error)
            );
        }
    }
}
