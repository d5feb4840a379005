//! The metrics engine: adds up samples per metric and sub-metric, counts checks, evaluates thresholds.
//!
//! It is one more consumer of sample batches. Where a sample goes is worked out once per series; after that
//! adding one is an index and an addition. It has no clock: callers say how long the run has lasted.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::group;
use crate::metric::{Metric, MetricId, MetricType};
use crate::registry::{Registry, builtin};
pub use crate::results::{CheckResult, Crossed, MetricResult, Part, Results, ThresholdResult};
use crate::sample::{SampleBatch, Series};
use crate::series_map::SeriesMap;
use crate::sink::Sink;
use crate::submetric::{Selector, SelectorError};
use crate::tags::system;
pub use crate::threshold::ThresholdPlan;
use crate::threshold::{Expression, ExpressionError, ThresholdSpec, supported_methods};

/// Above this many time series tests and outputs slow down; users are told, again at every doubling.
const SUGGESTED_SERIES: usize = 100_000;

/// So many checks, and so many groups, are kept apart. Names with a number in them would fill memory, and no summary.
pub const MOST_NAMES: usize = 10_000;

/// What stands for all further checks.
const OTHER_CHECKS: &str = "(other checks)";

/// Something users should know about the names and tags they chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// There are so many time series.
    Series(usize),
    /// Checks after the first so many are counted together.
    Checks(usize),
    /// Groups after the first so many are not listed.
    Groups(usize),
}

/// Why the thresholds of a test cannot be evaluated. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    #[error("unable to validate threshold expressions; reason: {0}")]
    Selector(#[from] SelectorError),
    #[error("{0}")]
    Expression(#[from] ExpressionError),
    #[error("invalid threshold defined on {metric}; reason: no metric name {name:?} found")]
    UnknownMetric { metric: String, name: String },
    #[error(
        "invalid threshold {source:?} applied on metric {metric}; reason: unsupported aggregation method {method} on metric of type {kind}. supported aggregation methods for this metric are: {supported}",
        source = .expression
    )]
    UnsupportedMethod {
        expression: String,
        metric: String,
        method: String,
        kind: MetricType,
        supported: String,
    },
}

struct Slot {
    owner: Owner,
    sink: Sink,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Metric(MetricId),
    /// Index into `watched`.
    Selector(usize),
    /// Index into `parts`.
    Part(usize, MetricId),
}

struct Watched {
    selector: Selector,
    name: String,
    metric: Metric,
    slot: usize,
    thresholds: Vec<Watch>,
}

struct Watch {
    expression: Expression,
    result: ThresholdResult,
}

struct Route {
    slots: Box<[u32]>,
    check: Option<u32>,
}

/// A scenario, or a group within it.
type PartOf = (Arc<str>, Option<Arc<str>>);

pub struct Engine {
    registry: Registry,
    slots: Vec<Slot>,
    slot_of: FxHashMap<Owner, usize>,
    watched: Vec<Watched>,
    routes: SeriesMap<Route>,
    checks: Vec<CheckResult>,
    /// By name, group and scenario.
    check_of: FxHashMap<[Arc<str>; 3], u32>,
    groups: Vec<Arc<str>>,
    known_groups: FxHashSet<Arc<str>>,
    /// Scenario and group, where a breakdown was asked for.
    parts: Option<Vec<PartOf>>,
    part_of: FxHashMap<PartOf, usize>,
    notices: Vec<Notice>,
    noticed: FxHashSet<Notice>,
    series_count: usize,
    series_warned: usize,
}

impl Engine {
    /// Validates the thresholds against the registered metrics. `validate` is false with `--no-thresholds`:
    /// the sub-metrics are still added up, but nothing is parsed or evaluated. With `breakdown`, groups and
    /// scenarios are also added up on their own.
    pub fn new(
        registry: Registry,
        plan: &ThresholdPlan,
        validate: bool,
        breakdown: bool,
    ) -> Result<Self, ThresholdError> {
        let mut engine = Self {
            registry,
            slots: Vec::new(),
            slot_of: FxHashMap::default(),
            watched: Vec::new(),
            routes: SeriesMap::default(),
            checks: Vec::new(),
            check_of: FxHashMap::default(),
            groups: Vec::new(),
            known_groups: FxHashSet::default(),
            parts: breakdown.then(Vec::new),
            part_of: FxHashMap::default(),
            notices: Vec::new(),
            noticed: FxHashSet::default(),
            series_count: 0,
            series_warned: SUGGESTED_SERIES / 2,
        };
        for (text, specs) in plan {
            match engine.watch(text, specs, validate) {
                Err(_) if !validate => {}
                other => other?,
            }
        }
        Ok(engine)
    }

    pub fn ingest(&mut self, batch: &SampleBatch) {
        let mut routes = std::mem::take(&mut self.routes);
        routes.learn(batch, |series| self.route(series));
        for (route, sample) in routes.samples(batch) {
            for &slot in &route.slots {
                self.slots[slot as usize].sink.add(sample.value);
            }
            if let Some(check) = route.check {
                let check = &mut self.checks[check as usize];
                if sample.value == 0.0 { check.fails += 1 } else { check.passes += 1 }
            }
        }
        self.routes = routes;
    }

    /// What users should know, once: the number of time series whenever it passes the suggested limit or doubles, and
    /// which names are too many. Series that a recorder forgot and then met again are counted again.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        if self.series_count >= self.series_warned * 2 {
            self.series_warned = self.series_count;
            self.notices.push(Notice::Series(self.series_count));
        }
        std::mem::take(&mut self.notices)
    }

    /// Evaluates the thresholds while the run goes on: metrics without samples are left alone.
    pub fn evaluate(&mut self, elapsed: f64) -> Crossed {
        self.check_thresholds(elapsed, false)
    }

    /// Evaluates the thresholds at the end, when metrics without samples count as 0.
    pub fn finish(&mut self, elapsed: f64) -> Crossed {
        self.check_thresholds(elapsed, true)
    }

    /// What came of the run so far. Metrics without samples, and those about the generator itself, are in it only if
    /// a threshold names them or a part of them.
    pub fn results(&mut self, elapsed: f64) -> Results {
        let mut metrics = Vec::new();
        for metric in self.registry.all() {
            let watched: Vec<_> = self.watched.iter().filter(|w| w.metric.id == metric.id).collect();
            let thresholds: Vec<_> = watched
                .iter()
                .filter(|w| w.selector.suffix.is_none())
                .flat_map(|w| w.thresholds.iter().map(|t| t.result.clone()))
                .collect();
            let sink = self.slot_of.get(&Owner::Metric(metric.id)).map(|&slot| self.slots[slot].sink.clone());
            let sink = sink.unwrap_or_else(|| Sink::new(metric.kind));
            let is_shown = !sink.is_empty() && !builtin::is_own(metric.id);
            if is_shown || !watched.is_empty() {
                metrics.push(MetricResult {
                    name: metric.name.to_string(),
                    kind: metric.kind,
                    contains: metric.contains,
                    sink,
                    thresholds,
                    parent: None,
                });
            }
            for sub in watched {
                let Some(suffix) = &sub.selector.suffix else { continue };
                metrics.push(MetricResult {
                    name: sub.name.clone(),
                    kind: metric.kind,
                    contains: metric.contains,
                    sink: self.slots[sub.slot].sink.clone(),
                    thresholds: sub.thresholds.iter().map(|t| t.result.clone()).collect(),
                    parent: Some((metric.name.to_string(), suffix.clone())),
                });
            }
        }
        Results {
            metrics,
            checks: self.checks.clone(),
            groups: self.groups.clone(),
            parts: self.parts(),
            duration: elapsed,
        }
    }

    fn watch(&mut self, text: &str, specs: &[ThresholdSpec], validate: bool) -> Result<(), ThresholdError> {
        let selector = Selector::parse(text)?;
        let Some(metric) = self.registry.get(&selector.metric) else {
            let (metric, name) = (text.to_owned(), selector.metric);
            return Err(ThresholdError::UnknownMetric { metric, name });
        };
        let mut thresholds = Vec::new();
        for spec in specs.iter().filter(|_| validate) {
            let expression = Expression::parse(&spec.source)?;
            if !expression.aggregation.is_supported_by(metric.kind) {
                return Err(ThresholdError::UnsupportedMethod {
                    expression: spec.source.clone(),
                    metric: text.to_owned(),
                    method: expression.aggregation.to_string(),
                    kind: metric.kind,
                    supported: supported_methods(metric.kind).join(", "),
                });
            }
            let method = expression.method.clone();
            let result =
                ThresholdResult { spec: spec.clone(), ok: true, has_data: false, method, value: 0.0 };
            thresholds.push(Watch { expression, result });
        }
        let owner = match selector.suffix {
            None => Owner::Metric(metric.id),
            Some(_) => Owner::Selector(self.watched.len()),
        };
        let slot = self.slot(owner, metric.kind);
        self.watched.push(Watched { name: selector.name(), selector, metric, slot, thresholds });
        Ok(())
    }

    fn slot(&mut self, owner: Owner, kind: MetricType) -> usize {
        let next = self.slots.len();
        let slot = *self.slot_of.entry(owner.clone()).or_insert(next);
        if slot == next {
            self.slots.push(Slot { owner, sink: Sink::new(kind) });
        }
        slot
    }

    /// Works out where the samples of a new series go.
    fn route(&mut self, series: &Series) -> Route {
        self.series_count += 1;
        let Some(metric) = self.registry.metric(series.metric) else {
            return Route { slots: Box::default(), check: None };
        };
        let mut slots = vec![self.slot(Owner::Metric(metric.id), metric.kind) as u32];
        for watched in &self.watched {
            if watched.metric.id == metric.id
                && watched.selector.suffix.is_some()
                && watched.selector.matches(&series.tags)
            {
                slots.push(watched.slot as u32);
            }
        }
        if builtin::is_own(metric.id) {
            self.series_count -= 1;
            return Route { slots: slots.into(), check: None };
        }
        let group = series.tags.get(system::GROUP).unwrap_or("");
        if !group.is_empty() && (metric.id == builtin::GROUP_DURATION || metric.id == builtin::CHECKS) {
            self.add_group(group);
        }
        let scenario = series.tags.get(system::SCENARIO).unwrap_or("");
        let in_group = (!group.is_empty()).then_some(Some(group));
        for group in [None].into_iter().chain(in_group) {
            if let Some(part) = self.part(scenario, group) {
                slots.push(self.slot(Owner::Part(part, metric.id), metric.kind) as u32);
            }
        }
        let check = (metric.id == builtin::CHECKS).then(|| series.tags.get(system::CHECK)).flatten();
        let check = check.map(|name| self.check(name, group, scenario));
        Route { slots: slots.into(), check }
    }

    /// The number of a part; `None` if no breakdown was asked for, or if it is one too many.
    fn part(&mut self, scenario: &str, group: Option<&str>) -> Option<usize> {
        let parts = self.parts.as_mut()?;
        let key = (scenario.into(), group.map(Into::into));
        if let Some(&known) = self.part_of.get(&key) {
            return Some(known);
        }
        if parts.len() >= MOST_NAMES {
            return None;
        }
        parts.push(key.clone());
        self.part_of.insert(key, parts.len() - 1);
        Some(parts.len() - 1)
    }

    fn add_group(&mut self, path: &str) {
        // Parents first: `::a::b` makes `::a` appear too.
        for (_, path) in group::steps(path) {
            if self.known_groups.contains(path) {
                continue;
            }
            if self.groups.len() >= MOST_NAMES {
                self.notice_once(Notice::Groups(MOST_NAMES));
                return;
            }
            let group: Arc<str> = path.into();
            self.known_groups.insert(group.clone());
            self.groups.push(group);
        }
    }

    fn check(&mut self, name: &str, group: &str, scenario: &str) -> u32 {
        let key = [name, group, scenario].map(Arc::from);
        if let Some(&known) = self.check_of.get(&key) {
            return known;
        }
        if self.checks.len() >= MOST_NAMES && name != OTHER_CHECKS {
            self.notice_once(Notice::Checks(MOST_NAMES));
            // One for each scenario: scenarios are few.
            return self.check(OTHER_CHECKS, "", scenario);
        }
        let at = self.checks.len() as u32;
        let [name, group, scenario] = key.clone();
        self.checks.push(CheckResult { name, group, scenario, passes: 0, fails: 0 });
        self.check_of.insert(key, at);
        at
    }

    fn notice_once(&mut self, notice: Notice) {
        if self.noticed.insert(notice) {
            self.notices.push(notice);
        }
    }

    fn check_thresholds(&mut self, elapsed: f64, with_empty: bool) -> Crossed {
        let mut crossed = Crossed::default();
        let has_run = self.has_run();
        for watched in &mut self.watched {
            let sink = &mut self.slots[watched.slot].sink;
            if sink.is_empty() && !with_empty {
                continue;
            }
            // A count of nothing is 0, where something ran that could have counted. A share of nothing is nothing.
            let has_data = !sink.is_empty() || (has_run && matches!(sink, Sink::Counter(_)));
            let empty_rate = sink.is_empty() && matches!(sink, Sink::Rate(_));
            let mut failed = false;
            for watch in &mut watched.thresholds {
                let (holds, value) = watch.expression.evaluate(sink, elapsed);
                // A rate without samples has nothing to fail by.
                watch.result.ok = holds || empty_rate;
                watch.result.value = value;
                watch.result.has_data = has_data;
                failed |= !watch.result.ok;
                let spec = &watch.result.spec;
                let delayed = (elapsed * 1e9) as i64 <= spec.delay_abort_eval && spec.delay_abort_eval > 0;
                crossed.abort |= !watch.result.ok && spec.abort_on_fail && !delayed;
            }
            if failed {
                crossed.metrics.push(watched.name.clone());
            }
        }
        crossed.metrics.sort_unstable();
        crossed
    }

    /// Whether an iteration has ended.
    fn has_run(&self) -> bool {
        let iterations = self.slot_of.get(&Owner::Metric(builtin::ITERATIONS));
        iterations.is_some_and(|&slot| !self.slots[slot].sink.is_empty())
    }

    fn parts(&self) -> Vec<Part> {
        let known = self.parts.iter().flatten();
        let mut parts: Vec<_> = known
            .map(|(scenario, group)| Part {
                scenario: scenario.clone(),
                group: group.clone(),
                metrics: Vec::new(),
            })
            .collect();
        for slot in &self.slots {
            let Owner::Part(part, id) = slot.owner else { continue };
            let Some(metric) = self.registry.metric(id) else { continue };
            parts[part].metrics.push(MetricResult {
                name: metric.name.to_string(),
                kind: metric.kind,
                contains: metric.contains,
                sink: slot.sink.clone(),
                thresholds: Vec::new(),
                parent: None,
            });
        }
        parts
    }
}

#[cfg(test)]
mod tests;
