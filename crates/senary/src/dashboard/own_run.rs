//! The run of this process, as a report is about it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use senary_execution::{Saturation, StopReason};
use senary_output::timeline::Timeline;
use serde_json::{Value, json};

use super::figures;
use super::report::{Facts, Look, Subject};
use crate::logging::recent;
use crate::rest::RunControl;
use crate::run_events::RunEvents;
use crate::run_handle::RunHandle;
use crate::saturation;

pub struct OwnRun {
    pub handle: Arc<RunHandle>,
    facts: Facts,
    over: OnceLock<(Saturation, Vec<String>)>,
}

impl OwnRun {
    pub fn new(handle: Arc<RunHandle>, facts: Facts) -> Self {
        Self { handle, facts, over: OnceLock::new() }
    }

    /// The run is over; `lost` is what outputs lost, in words.
    pub fn finish(&self, saturation: Saturation, lost: Vec<String>) {
        let _ = self.over.set((saturation, lost));
    }

    fn generator(&self) -> Value {
        let so_far;
        let (saturation, lost) = match self.over.get() {
            Some((saturation, lost)) => (saturation, lost.as_slice()),
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

impl Subject for OwnRun {
    fn look(&self, is_over: bool) -> Look {
        let (state, clock) = (&self.handle.run.state, &self.handle.run.clock);
        let length = state.run_duration().as_secs_f64();
        Look {
            phase: self.handle.events.phase(),
            started: state.started().map(|started| clock.at(started)),
            length,
            seconds: length,
            failures: state.failures(),
            results: is_over.then(|| self.handle.results()),
            generator: self.generator(),
            log: self.log(),
        }
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn instances(&self, timeline: &Timeline) -> Vec<Value> {
        vec![figures::instance(timeline, &self.facts.run)]
    }

    fn events(&self) -> &RunEvents {
        &self.handle.events
    }

    fn stop(&self) {
        self.handle.run.shutdown.stop(StopReason::RestApi);
    }
}
