//! What happens in a run, told in one place: the main line and the collector tell it; the progress display, the REST API,
//! the dashboard and the report read it.
//!
//! Events are kept, since some readers come late. There are few of them: a phase comes once, and changes of thresholds are
//! bounded.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use senary_metrics::Judgement;

use crate::run_phase::RunPhase;

/// Changes of thresholds that are kept; one that flickers would fill memory.
const MAX_CHANGES: usize = 10_000;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// The run has entered a phase.
    Phase(RunPhase),
    /// A threshold was judged for the first time, or differently from the last time.
    Threshold { metric: String, source: String, ok: bool },
}

/// An event, and when it happened: since the start of the run, zero before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    pub at: Duration,
    pub event: RunEvent,
}

/// How a threshold stands: what is told of it beside its changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdState {
    /// As the options name it.
    pub metric: String,
    pub source: String,
    /// `p(99)`, `<`, `200`
    pub method: String,
    pub sign: &'static str,
    pub limit: f64,
    pub kind: &'static str,
    pub contains: &'static str,
    pub abort: bool,
    pub value: f64,
    pub ok: bool,
    pub has_data: bool,
}

impl ThresholdState {
    pub fn of(judgement: &Judgement<'_>) -> Self {
        let (sign, limit) = judgement.expression.limit();
        let result = judgement.result;
        Self {
            metric: judgement.name.to_owned(),
            source: result.spec.source.clone(),
            method: result.method.clone(),
            sign,
            limit,
            kind: judgement.metric.kind.as_str(),
            contains: judgement.metric.contains.as_str(),
            abort: result.spec.abort_on_fail,
            value: result.value,
            ok: result.ok,
            has_data: result.has_data,
        }
    }
}

/// What has happened in one run so far.
#[derive(Debug, Default)]
pub struct RunEvents(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: Option<RunPhase>,
    happened: Vec<Happened>,
    thresholds: Vec<ThresholdState>,
    /// By metric and source: how each stood.
    stood: FxHashMap<(String, String), bool>,
}

impl RunEvents {
    pub fn enter(&self, phase: RunPhase, at: Duration) {
        let mut inner = self.lock();
        inner.phase = Some(phase);
        inner.happened.push(Happened { at, event: RunEvent::Phase(phase) });
    }

    /// The phase that the run is in.
    pub fn phase(&self) -> RunPhase {
        self.lock().phase.unwrap_or(RunPhase::Created)
    }

    /// Thresholds were judged. Those that saw no sample yet have not changed.
    pub fn judged(&self, thresholds: Vec<ThresholdState>, at: Duration) {
        let mut inner = self.lock();
        for ThresholdState { metric, source, ok, .. } in thresholds.iter().filter(|state| state.has_data) {
            let key = (metric.clone(), source.clone());
            if inner.stood.get(&key) != Some(ok) && inner.happened.len() < MAX_CHANGES {
                inner.stood.insert(key, *ok);
                let (metric, source) = (metric.clone(), source.clone());
                let event = RunEvent::Threshold { metric, source, ok: *ok };
                inner.happened.push(Happened { at, event });
            }
        }
        inner.thresholds = thresholds;
    }

    /// How the thresholds stood when they were judged last, in the order of the options.
    pub fn thresholds(&self) -> Vec<ThresholdState> {
        self.lock().thresholds.clone()
    }

    /// Everything that has happened, in order.
    pub fn all(&self) -> Vec<Happened> {
        self.lock().happened.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(source: &str, ok: bool, has_data: bool) -> ThresholdState {
        ThresholdState {
            metric: "hits".to_owned(),
            source: source.to_owned(),
            method: "count".to_owned(),
            sign: "<",
            limit: 1.0,
            kind: "counter",
            contains: "default",
            abort: false,
            value: 0.0,
            ok,
            has_data,
        }
    }

    #[test]
    fn the_last_phase_is_the_present_one() {
        let events = RunEvents::default();
        assert_eq!(events.phase(), RunPhase::Created);
        events.enter(RunPhase::Setup, Duration::ZERO);
        events.enter(RunPhase::Running, Duration::from_secs(3));
        assert_eq!(events.phase(), RunPhase::Running);
        let happened = events.all();
        assert_eq!(
            happened[1],
            Happened { at: Duration::from_secs(3), event: RunEvent::Phase(RunPhase::Running) }
        );
    }

    #[test]
    fn thresholds_are_told_when_they_change() {
        let events = RunEvents::default();
        let judge = |second, a, b| {
            events.judged(vec![state("a", a, true), state("b", b, second > 1)], Duration::from_secs(second));
        };
        judge(1, true, false);
        judge(2, true, false);
        judge(3, false, false);
        judge(4, false, true);
        judge(5, false, true);
        let told: Vec<_> = events
            .all()
            .into_iter()
            .map(|happened| match happened.event {
                RunEvent::Threshold { source, ok, .. } => (happened.at.as_secs(), source, ok),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [(1, "a", true), (2, "b", false), (3, "a", false), (4, "b", true)];
        assert_eq!(told, expected.map(|(at, source, ok)| (at, source.to_owned(), ok)));
        assert!(!events.thresholds()[0].ok);
    }
}
