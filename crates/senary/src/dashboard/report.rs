//! The document that the page is drawn from, and the report: the page with the document in it. The shape of the document
//! is in `docs/design/timeline.md`.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use senary_execution::Saturation;
use senary_metrics::{Failures, Timestamp};
use senary_output::timeline::{Position, SharedTimeline};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::page::{Embedded, page};
use super::recorder::Recorder;
use super::{figures, wrong};
use crate::logging::recent;
use crate::rest::RunControl;
use crate::run_events::RunEnd;
use crate::run_handle::RunHandle;
use crate::run_phase::RunPhase;
use crate::saturation;

/// The reference's events in a report, as its own reports have them.
const EVENTS_ID: &str = "data";
const EVENTS_TYPE: &str = "application/json; charset=utf-8; gzip; base64";
const DOCUMENT_ID: &str = "senary-data";
const DOCUMENT_TYPE: &str = "application/octet-stream";

/// Everything a report is made of.
pub struct Report {
    pub handle: Arc<RunHandle>,
    pub timeline: SharedTimeline,
    /// The parts of `run` that do not change, and the scenarios.
    pub facts: Map<String, Value>,
    pub scenarios: Value,
    pub can_stop: bool,
    end: OnceLock<End>,
    is_over: CancellationToken,
}

/// The document at a moment.
pub struct Document {
    pub json: Vec<u8>,
    /// Where the next one goes on.
    pub position: Position,
    /// Nothing comes after it: the run is over.
    pub is_last: bool,
}

/// How a run ended.
pub struct End {
    pub run: RunEnd,
    pub saturation: Saturation,
    /// What outputs lost, in words.
    pub lost: Vec<String>,
}

impl Report {
    pub fn new(
        handle: Arc<RunHandle>,
        timeline: SharedTimeline,
        (facts, scenarios): (Map<String, Value>, Value),
        can_stop: bool,
    ) -> Self {
        let (end, is_over) = Default::default();
        Self { handle, timeline, facts, scenarios, can_stop, end, is_over }
    }

    /// Says how the run ended: from now on the documents are final.
    pub fn finish(&self, end: End) {
        let _ = self.end.set(end);
        self.is_over.cancel();
    }

    /// Comes when the run is over.
    pub async fn over(&self) {
        self.is_over.cancelled().await;
    }

    /// The document; after a position with only what is new on the time line. The last one is always whole: only then are the
    /// totals exact.
    pub fn document(&self, since: Option<Position>) -> io::Result<Document> {
        // The run may end at any moment: all of the document is of before, or all of it of after.
        let end = self.end.get();
        let part = self.timeline.json(since.filter(|_| end.is_none()))?;
        let mut document = serde_json::to_vec(&self.head(end))?;
        // The object stays open for the time line.
        document.pop();
        document.extend_from_slice(b",\"timeline\":");
        document.extend_from_slice(&part.json);
        document.push(b'}');
        Ok(Document { json: document, position: part.position, is_last: end.is_some() })
    }

    /// The page with the document in it, and the reference's events if there are any.
    pub fn html(&self, recorder: Option<&Recorder>) -> io::Result<String> {
        let document = self.document(None)?.json;
        let events = recorder.map(Recorder::report);
        let mut data = Vec::new();
        if let Some(content) = &events {
            data.push(Embedded { id: EVENTS_ID, media_type: EVENTS_TYPE, content });
        }
        data.push(Embedded { id: DOCUMENT_ID, media_type: DOCUMENT_TYPE, content: &document });
        let script = self.facts.get("script").and_then(Value::as_str).unwrap_or_default();
        let mut word = state(self.end.get()).to_owned();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        page(Some(&format!("{word}: {script}")), &data)
    }

    /// Everything but the time line.
    fn head(&self, end: Option<&End>) -> Value {
        let handle = &self.handle;
        let length = handle.run.state.run_duration().as_secs_f64();
        // Exact, but only cheap once nothing is added up any more.
        let results = end.map(|_| handle.results());
        let failures = handle.run.state.failures();
        let started = handle.run.state.started().map(|started| handle.run.clock.at(started));
        let timeline = self.timeline.lock();
        json!({
            "format": "senary-run",
            "version": 1,
            "run": self.run(end, (length, timeline.target()), &failures, started),
            "scenarios": self.scenarios,
            "thresholds": figures::thresholds(&handle.events),
            "generator": self.generator(end),
            "metrics": figures::metrics(&timeline, results, length),
            "checks": figures::checks(&timeline),
            "errors": wrong::errors(&failures, started, &timeline),
            "others": wrong::others(&failures, started),
            "instances": [figures::instance(&timeline, &self.facts)],
            "log": self.log(),
            "events": figures::events(&handle.events),
        })
    }

    fn run(
        &self,
        end: Option<&End>,
        (length, target): (f64, Option<String>),
        failures: &Failures,
        started: Option<Timestamp>,
    ) -> Value {
        let mut run = self.facts.clone();
        let phase = match self.handle.events.phase() {
            RunPhase::Setup => "setup",
            RunPhase::Running => "running",
            RunPhase::Teardown => "teardown",
            RunPhase::Ended | RunPhase::Interrupted => "ended",
            RunPhase::Created
            | RunPhase::InitVus
            | RunPhase::InitDone
            | RunPhase::PausedBeforeRun
            | RunPhase::Started => "init",
        };
        for (key, value) in [
            ("state", state(end).into()),
            ("phase", phase.into()),
            ("start", started.map(|at| at.0 / 1_000_000).into()),
            ("length", ((length * 1000.0).round() / 1000.0).into()),
            ("target", target.into()),
            ("exit_code", end.map(|end| end.run.exit_code).into()),
            ("reason", end.and_then(|end| end.run.reason.clone()).into()),
            ("error", wrong::worst(failures)),
            ("can_stop", (self.can_stop && end.is_none()).into()),
            ("complete", end.is_some().into()),
        ] {
            run.insert(key.to_owned(), value);
        }
        run.into()
    }

    fn generator(&self, end: Option<&End>) -> Value {
        let so_far;
        let (saturation, lost) = match end {
            Some(end) => (&end.saturation, end.lost.as_slice()),
            None => {
                so_far = self.handle.watch.saturation();
                (&so_far, &[][..])
            }
        };
        figures::generator(saturation, &saturation::remarks(saturation), lost)
    }

    fn log(&self) -> Value {
        let start = self.handle.run.state.started().map(|started| {
            let at = self.handle.run.clock.at(started).0.max(0);
            SystemTime::UNIX_EPOCH + Duration::from_nanos(at as u64)
        });
        let lines = recent::lines().into_iter().map(|line| {
            // What was logged before the start has the time 0.
            let since = start.and_then(|start| line.time.duration_since(start).ok());
            let at = since.map_or(0.0, |since| (since.as_secs_f64() * 1000.0).round() / 1000.0);
            json!({ "t": at, "level": line.level, "text": line.text, "more": line.more })
        });
        lines.collect()
    }
}

fn state(end: Option<&End>) -> &'static str {
    end.map_or("running", |end| end.run.state)
}
