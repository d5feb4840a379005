//! What the states of an instance tell for the report of all: the run over time, the instance as a row, its last log lines.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, UNIX_EPOCH};

use senary_execution::Saturation;
use senary_metrics::threshold::WatchList;
use senary_metrics::{Registry, SampleBatch, Timestamp};
use senary_output::Output;
use senary_output::state::{Generator, LogLine};
use senary_output::timeline::{SharedTimeline, Timeline, TimelineConfig, Written};
use serde_json::{Map, Value};

use super::machine::{self, LOOK_EVERY, MachineLook};
use super::{facts, figures};
use crate::logging::recent;
use crate::plan::TestPlan;
use crate::run_handle::RunHandle;
use crate::saturation;
use crate::test_run::TestRun;

/// Bytes that the intervals may take, roughly: a state is written, or sent, again and again.
const MAX_BYTES: usize = 6 << 20;

/// A run that is watched for its states.
#[derive(Clone)]
pub struct ForStates {
    timeline: SharedTimeline,
    begun: Arc<OnceLock<Begun>>,
}

/// What is known once there is a run.
struct Begun {
    handle: Arc<RunHandle>,
    facts: Map<String, Value>,
    scenarios: Value,
}

impl ForStates {
    pub fn new(plan: &TestPlan, registry: &Registry) -> Self {
        let config = TimelineConfig {
            registry: registry.clone(),
            // They may be judged on the whole, if not here.
            watched: WatchList::new(&plan.thresholds, true),
            by_scenario: plan.load.scenarios().len() > 1,
        };
        recent::keep();
        let timeline = SharedTimeline::of(Timeline::aligned(config, MAX_BYTES));
        Self { timeline, begun: Arc::default() }
    }

    /// What takes the samples.
    pub fn output(&self) -> Box<dyn Output> {
        Box::new(Watcher {
            of: self.clone(),
            samples: self.timeline.output(),
            look: MachineLook::default(),
            last: None,
        })
    }

    /// The run is there, and will start; `url` is its script's.
    pub fn begin(&self, run: &TestRun, url: &str) {
        let (state, clock) = (run.handle.run.state.clone(), run.handle.run.clock);
        self.timeline.lock().begin_at(move || state.started().map(|started| clock.at(started)));
        let (facts, scenarios) =
            (facts::of_run(url, &run.plan, run.workers), facts::of_whole_scenarios(&run.plan.load));
        let _ = self.begun.set(Begun { handle: run.handle.clone(), facts, scenarios });
    }

    /// What does not change: the test, and its scenarios as all instances run them.
    pub fn facts(&self) -> (Map<String, Value>, Value) {
        let told = |begun: &Begun| (begun.facts.clone(), begun.scenarios.clone());
        self.begun.get().map(told).unwrap_or_default()
    }

    pub fn timeline(&self) -> Written {
        self.timeline.written()
    }

    /// This process, as a row of the table of instances.
    pub fn row(&self) -> Value {
        let none = Map::new();
        let facts = self.begun.get().map_or(&none, |begun| &begun.facts);
        figures::instance(&self.timeline.lock(), facts)
    }
}

/// Whether the generator held the test back, in words and as the report has it.
pub fn generator(saturation: &Saturation, lost: &[String]) -> Generator {
    let remarks = saturation::remarks(saturation);
    let document = figures::generator(saturation, &remarks, lost);
    Generator { remarks, document }
}

/// The last lines of the log.
pub fn log_lines() -> Vec<LogLine> {
    let lines = recent::lines().into_iter().map(|line| {
        let nanos = line.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let time = Timestamp(i64::try_from(nanos).unwrap_or(i64::MAX));
        LogLine { time, level: line.level.to_owned(), text: line.text, more: line.more }
    });
    lines.collect()
}

/// Takes the samples, and asks the machine now and then.
struct Watcher {
    of: ForStates,
    samples: Box<dyn Output>,
    look: MachineLook,
    last: Option<Instant>,
}

impl Output for Watcher {
    fn description(&self) -> String {
        self.samples.description()
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.samples.add(batch)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(Begun { handle, .. }) = self.of.begun.get()
            && handle.events.phase().is_running()
            && self.last.is_none_or(|last| last.elapsed() >= LOOK_EVERY)
        {
            self.last = Some(Instant::now());
            machine::note(&self.of.timeline, handle, &mut self.look);
        }
        self.samples.flush()
    }

    fn close(&mut self) -> io::Result<()> {
        self.samples.close()
    }
}
