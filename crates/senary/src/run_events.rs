//! What happens in a run: its phases, the changes of its thresholds, and its end. The main line and the collector report it
//! here, and from here the progress display, the REST API, the dashboard and the report learn of it.
//!
//! All events are kept, because some readers come late. There are few of them: each phase comes once, and the number of
//! threshold changes is limited. Figures that change all the time are not events: `RunHandle::progress` returns them
//! together, and each reader asks for them as often as it needs them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use senary_execution::StopReason;
use senary_metrics::Judgement;

use crate::command_error::CommandError;
use crate::run_phase::RunPhase;

/// At most this many threshold changes are kept: a threshold that changes all the time would fill memory.
const MAX_CHANGES: usize = 10_000;

/// Exit codes of instances that somebody has ended: a client or the script, and a signal.
const ABORTED: [u8; 2] = [103, 108];
const INTERRUPTED: u8 = 105;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// The run has entered a phase.
    Phase(RunPhase),
    /// A threshold was judged for the first time, or differently from the last time.
    Threshold { metric: String, source: String, ok: bool },
    /// The run is over. It is the last event.
    Ended(RunEnd),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// `passed`, `finished` (there were no thresholds), `failed`, `interrupted` or `aborted`.
    pub state: &'static str,
    pub exit_code: u8,
    /// Why the run did not succeed.
    pub reason: Option<String>,
}

impl RunEnd {
    /// `has_thresholds`: without any, nothing decides whether a run has passed.
    pub fn new(verdict: &Result<(), CommandError>, has_thresholds: bool) -> Self {
        let state = match verdict {
            Ok(()) if has_thresholds => "passed",
            Ok(()) => "finished",
            Err(CommandError::Stopped(StopReason::Signal { .. })) => "interrupted",
            Err(CommandError::Stopped(StopReason::RestApi | StopReason::ScriptAborted { .. })) => "aborted",
            Err(CommandError::OfInstance { code, .. }) if ABORTED.contains(code) => "aborted",
            Err(CommandError::OfInstance { code, .. }) if *code == INTERRUPTED => "interrupted",
            Err(_) => "failed",
        };
        let reason = verdict.as_ref().err().map(ToString::to_string);
        Self { state, exit_code: verdict.as_ref().err().map_or(0, CommandError::code), reason }
    }
}

/// An event, and when it happened: since the start of the run, zero before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    pub at: Duration,
    pub event: RunEvent,
}

/// How a threshold stands at the moment.
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
    /// By metric and source: whether each held when it was judged last.
    held: FxHashMap<(String, String), bool>,
    subscribers: Vec<(usize, Sender<Happened>)>,
    /// How many there ever were.
    subscriptions: usize,
}

/// Keeps events coming. The receiver is closed when this is dropped.
pub struct Subscription {
    events: Arc<RunEvents>,
    number: usize,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.lock().subscribers.retain(|(number, _)| *number != self.number);
    }
}

impl Inner {
    fn add(&mut self, at: Duration, event: RunEvent) {
        let happened = Happened { at, event };
        // A receiver that is gone has a subscription that is about to be dropped.
        self.subscribers.iter().for_each(|(_, subscriber)| drop(subscriber.send(happened.clone())));
        self.happened.push(happened);
    }
}

impl RunEvents {
    /// All events, from the first one on, as they happen.
    pub fn subscribe(self: &Arc<Self>) -> (Subscription, Receiver<Happened>) {
        let (sender, receiver) = channel();
        let mut inner = self.lock();
        inner.happened.iter().for_each(|happened| drop(sender.send(happened.clone())));
        let number = inner.subscriptions;
        inner.subscriptions += 1;
        inner.subscribers.push((number, sender));
        (Subscription { events: self.clone(), number }, receiver)
    }

    pub fn enter(&self, phase: RunPhase, at: Duration) {
        let mut inner = self.lock();
        inner.phase = Some(phase);
        inner.add(at, RunEvent::Phase(phase));
    }

    /// The run is over.
    pub fn end(&self, end: RunEnd, at: Duration) {
        self.lock().add(at, RunEvent::Ended(end));
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
            if inner.held.get(&key) != Some(ok) && inner.happened.len() < MAX_CHANGES {
                inner.held.insert(key, *ok);
                inner
                    .add(at, RunEvent::Threshold { metric: metric.clone(), source: source.clone(), ok: *ok });
            }
        }
        inner.thresholds = thresholds;
    }

    /// How the run ended, once it has.
    pub fn ended(&self) -> Option<RunEnd> {
        self.lock().happened.iter().rev().find_map(|happened| match &happened.event {
            RunEvent::Ended(end) => Some(end.clone()),
            _ => None,
        })
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
    fn a_subscriber_gets_every_event_until_it_leaves() {
        let events = Arc::<RunEvents>::default();
        events.enter(RunPhase::Setup, Duration::ZERO);
        let (subscription, receiver) = events.subscribe();
        let (other, of_other) = events.subscribe();
        events.enter(RunPhase::Running, Duration::from_secs(1));
        drop(other);
        let verdict = Err(CommandError::Stopped(StopReason::RestApi));
        events.end(RunEnd::new(&verdict, true), Duration::from_secs(2));
        drop(subscription);
        events.enter(RunPhase::Ended, Duration::from_secs(3));
        let received: Vec<_> = receiver.iter().collect();
        assert_eq!(received, events.all()[..3]);
        assert!(matches!(&received[2].event, RunEvent::Ended(end) if end.state == "aborted"), "{received:?}");
        assert_eq!(of_other.iter().count(), 2);
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
