//! The document that the page is drawn from, and the report: the page with the document in it. The shape of the document
//! is in `docs/design/timeline.md`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use senary_metrics::{Failures, Results, Timestamp};
use senary_output::timeline::{Position, SharedTimeline, Timeline};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::facts::later;
use super::page::{Embedded, markup, page};
use super::recorder::Recorder;
use super::{figures, wrong};
use crate::run_events::{RunEnd, RunEvent, RunEvents};
use crate::run_phase::RunPhase;

/// The reference's events in a report, as its own reports have them.
const EVENTS_ID: &str = "data";
const EVENTS_TYPE: &str = "application/json; charset=utf-8; gzip; base64";
const DOCUMENT_ID: &str = "senary-data";
const DOCUMENT_TYPE: &str = "application/octet-stream";

/// What a report is about: the run of this process, or a test of many.
pub trait Subject: Send + Sync + 'static {
    /// How it stands at the moment. Once it is over, its results are exact.
    fn look(&self, is_over: bool) -> Look;

    /// What is known of it before it begins.
    fn facts(&self) -> Facts;

    /// The instances of the test, as rows of their table.
    fn instances(&self, timeline: &Timeline) -> Vec<Value>;

    fn events(&self) -> &RunEvents;

    /// Ends it early.
    fn stop(&self);
}

/// The test, the program and the machine.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The parts of `run` that do not change.
    pub run: Map<String, Value>,
    pub scenarios: Value,
}

/// How a test stands at a moment.
pub struct Look {
    pub phase: RunPhase,
    /// The start of the time axis: of the run, or of the first interval of many.
    pub started: Option<Timestamp>,
    /// From there until now, or until the end.
    pub length: f64,
    /// What rates are per second of.
    pub seconds: f64,
    pub failures: Failures,
    /// Exact, but only cheap once nothing is added up any more.
    pub results: Option<Results>,
    pub generator: Value,
    pub log: Value,
}

/// Everything a report is made of.
pub struct Report {
    pub subject: Arc<dyn Subject>,
    pub timeline: SharedTimeline,
    pub can_stop: bool,
    end: OnceLock<RunEnd>,
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

impl Report {
    pub fn new(subject: Arc<dyn Subject>, timeline: SharedTimeline, can_stop: bool) -> Self {
        let (end, is_over) = Default::default();
        Self { subject, timeline, can_stop, end, is_over }
    }

    /// Says how the run ended: from now on the documents are final.
    pub fn finish(&self, end: RunEnd) {
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
        let facts = self.subject.facts().run;
        let script = facts.get("script").and_then(Value::as_str).unwrap_or_default();
        let mut word = state(self.end.get()).to_owned();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let regions = markup(&document).unwrap_or_else(|error| {
            log::warn!(error = error.as_str(); "The report shows its figures only where scripts may run");
            HashMap::new()
        });
        page(Some(&format!("{word}: {script}")), &regions, &data)
    }

    /// Everything but the time line.
    fn head(&self, end: Option<&RunEnd>) -> Value {
        let (look, facts) = (self.subject.look(end.is_some()), self.subject.facts());
        let timeline = self.timeline.lock();
        let setup = setup_time(self.subject.events(), &look);
        let scenarios = match setup {
            Some(setup) => later(facts.scenarios, setup.as_secs_f64()),
            None => facts.scenarios,
        };
        let mut run = self.run(facts.run, end, &look, timeline.target());
        run["setup"] = setup.map_or(0.0, |setup| setup.as_secs_f64()).into();
        let Look { started, seconds, failures, results, generator, log, .. } = look;
        let events = self.subject.events();
        json!({
            "format": "senary-run",
            "version": 1,
            "run": run,
            "scenarios": scenarios,
            "thresholds": figures::thresholds(events),
            "generator": generator,
            "metrics": figures::metrics(&timeline, results, seconds),
            "checks": figures::checks(&timeline),
            "errors": wrong::errors(&failures, started, &timeline),
            "others": wrong::others(&failures, started),
            "instances": self.subject.instances(&timeline),
            "log": log,
            "events": figures::events(events),
        })
    }

    fn run(
        &self,
        mut run: Map<String, Value>,
        end: Option<&RunEnd>,
        look: &Look,
        target: Option<String>,
    ) -> Value {
        let phase = match look.phase {
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
            ("start", look.started.map(|at| at.0 / 1_000_000).into()),
            ("length", ((look.length * 1000.0).round() / 1000.0).into()),
            ("target", target.into()),
            ("exit_code", end.map(|end| end.exit_code).into()),
            ("reason", end.and_then(|end| end.reason.clone()).into()),
            ("error", wrong::worst(&look.failures)),
            ("can_stop", (self.can_stop && end.is_none()).into()),
            ("complete", end.is_some().into()),
        ] {
            run.insert(key.to_owned(), value);
        }
        run.into()
    }
}

/// How long `setup()` took, or has taken so far: scenarios begin after it. `None` if there is none.
fn setup_time(events: &RunEvents, look: &Look) -> Option<Duration> {
    let mut phases = events.all().into_iter().filter_map(|happened| match happened.event {
        RunEvent::Phase(phase) => Some((phase, happened.at)),
        _ => None,
    });
    phases.find(|(phase, _)| *phase == RunPhase::Setup)?;
    let begun = phases.find(|(phase, _)| *phase == RunPhase::Running);
    Some(begun.map_or(Duration::from_secs_f64(look.length.max(0.0)), |(_, at)| at))
}

fn state(end: Option<&RunEnd>) -> &'static str {
    end.map_or("running", |end| end.state)
}
