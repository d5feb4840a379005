//! The states of all instances, added up to what one process would have had.

use std::io::{Read, Seek};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use senary_metrics::sink::GaugeSink;
use senary_metrics::totals::Scope;
use senary_metrics::{Failures, MergeError, Registry, RegistryError, Sink, Timestamp, Totals, builtin};

use super::head::Head;
use super::read::{Budget, StateError, StateReader};
use super::trends;

/// What a test adds up to.
#[derive(Debug)]
pub struct Whole {
    pub totals: Totals,
    pub failures: Failures,
    /// The metrics that the instances have declared.
    pub registry: Registry,
    /// When the first instance started, if one did.
    pub started: Option<Timestamp>,
    /// From the start of the first to the end of the last, in seconds.
    pub seconds: f64,
    /// Those that it is made of, in order.
    pub instances: Vec<Contribution>,
}

/// What an instance has done.
#[derive(Clone, Debug)]
pub struct Contribution {
    pub head: Head,
    pub iterations: u64,
    /// How often something went wrong.
    pub failures: u64,
}

/// Why states cannot be added up.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// The state at an index cannot be read.
    #[error("{error}")]
    State { at: usize, error: StateError },
    #[error("{error}")]
    Merge { at: usize, error: MergeError },
    #[error("{error}")]
    Registry { at: usize, error: RegistryError },
}

/// Gauges of what every instance has its own of: those of a whole test are the sums of the instances', not the latest value.
const OWN_GAUGES: [&str; 2] = ["vus", "vus_max"];

/// Adds up states, in their order. Trends keep their values as long as one process would have kept them; all of them
/// together may take some bytes of memory.
pub fn whole<R: Read + Seek + Send>(
    states: &mut [&mut StateReader<R>],
    memory: u64,
) -> Result<Whole, WholeError> {
    let (mut totals, mut failures) = (Totals::default(), Failures::default());
    let registry = Registry::new();
    let mut instances = Vec::new();
    let mut own_gauges = FxHashMap::default();
    for (at, state) in states.iter_mut().enumerate() {
        let unread = |error| WholeError::State { at, error };
        let of_state = state.outline().map_err(unread)?;
        totals.merge(&of_state).map_err(|error| WholeError::Merge { at, error })?;
        add_own_gauges(&of_state, &mut own_gauges);
        let of_instance = state.failures().map_err(unread)?;
        failures.merge(&of_instance);
        instances.push(Contribution {
            head: state.head.clone(),
            iterations: iterations(&of_state),
            failures: count(&of_instance),
        });
        for metric in &state.head.test.metrics {
            metric.register(&registry).map_err(|error| WholeError::Registry { at, error })?;
        }
        check_types(&of_state, &registry).map_err(|error| WholeError::Merge { at, error })?;
    }
    trends::fill(&mut totals, states, &Budget::new(memory))
        .map_err(|(at, error)| WholeError::State { at, error })?;
    for ((metric, scope), gauge) in own_gauges {
        if let Some(slot) = totals.find(&metric, scope) {
            *totals.sink_mut(slot) = Sink::Gauge(gauge);
        }
    }
    let (started, seconds) = span(&instances);
    Ok(Whole { totals, failures, registry, started, seconds, instances })
}

/// Whether sums are of the types that their metrics were declared with.
fn check_types(totals: &Totals, registry: &Registry) -> Result<(), MergeError> {
    for total in totals.sums() {
        let Some(metric) = registry.get(&total.metric) else { continue };
        let (existing, other) = (metric.kind, total.sink.kind());
        if existing != other {
            return Err(MergeError::OtherType { name: total.metric.to_string(), existing, other });
        }
    }
    Ok(())
}

fn add_own_gauges(totals: &Totals, sums: &mut FxHashMap<(Arc<str>, Scope), GaugeSink>) {
    for total in totals.sums().iter().filter(|total| OWN_GAUGES.contains(&&*total.metric)) {
        if let Sink::Gauge(gauge) = &total.sink {
            sums.entry((total.metric.clone(), total.scope.clone())).or_default().add_beside(gauge);
        }
    }
}

/// Iterations that were completed.
fn iterations(totals: &Totals) -> u64 {
    let name = Registry::new().metric(builtin::ITERATIONS).map(|metric| metric.name);
    let slot = name.and_then(|name| totals.find(&name, Scope::Whole));
    match slot.map(|slot| totals.sink(slot)) {
        Some(Sink::Counter(counter)) => counter.value() as u64,
        _ => 0,
    }
}

fn count(failures: &Failures) -> u64 {
    let known = failures.by_weight().into_iter().map(|failure| failure.occurrences.count);
    let others = failures.others().map(|(_, occurrences)| occurrences.count);
    known.chain(others).fold(0, u64::saturating_add)
}

/// When the first began, and how long it took until the last had ended.
fn span(instances: &[Contribution]) -> (Option<Timestamp>, f64) {
    let progress = || instances.iter().map(|instance| &instance.head.progress);
    let started = progress().filter_map(|progress| progress.started).min();
    let ends = progress().filter_map(|progress| {
        let began_after = progress.started?.0.saturating_sub(started?.0);
        Some(began_after as f64 / 1e9 + progress.seconds)
    });
    (started, ends.fold(0.0, f64::max))
}
