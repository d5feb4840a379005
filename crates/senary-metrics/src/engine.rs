//! The metrics engine: says where samples are added up, and evaluates thresholds on what they have added up to.
//!
//! It is one more consumer of sample batches. Where a sample goes is worked out once per series; after that
//! adding one is an index and an addition. It has no clock: callers say how long the run has lasted. The sums themselves
//! are `totals`, `results` is what the summary shows of them.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::metric::{Metric, MetricType};
use crate::registry::{Registry, builtin};
pub use crate::results::{CheckResult, Crossed, MetricResult, Part, Results, ThresholdResult};
use crate::sample::{SampleBatch, Series};
use crate::series_map::SeriesMap;
use crate::sink::Sink;
use crate::submetric::{Selector, SelectorError};
use crate::tags::system;
pub use crate::threshold::ThresholdPlan;
use crate::threshold::{Expression, ExpressionError, ThresholdSpec, supported_methods};
use crate::totals::{MAX_NAMES, MergeError, PartId, Scope, Slot, Totals};

/// Above this many time series, tests and outputs slow down. A warning says so, and again at every doubling.
const SUGGESTED_SERIES: usize = 100_000;

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

struct Watched {
    selector: Selector,
    name: String,
    metric: Metric,
    slot: Slot,
    thresholds: Vec<Watch>,
}

/// A threshold, and how it stands.
#[derive(Clone, Copy)]
pub struct Judgement<'a> {
    /// The metric as the options name it: with the braces, for a sub-metric.
    pub name: &'a str,
    pub metric: &'a Metric,
    pub expression: &'a Expression,
    pub result: &'a ThresholdResult,
}

struct Watch {
    expression: Expression,
    result: ThresholdResult,
}

struct Route {
    slots: Box<[Slot]>,
    check: Option<u32>,
}

pub struct Engine {
    registry: Registry,
    totals: Totals,
    watched: Vec<Watched>,
    routes: SeriesMap<Route>,
    /// Whether parts of the run are added up on their own.
    breakdown: bool,
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
            totals: Totals::default(),
            watched: Vec::new(),
            routes: SeriesMap::default(),
            breakdown,
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
                self.totals.add(slot, sample.value, sample.time);
            }
            if let Some(check) = route.check {
                self.totals.count_check(check, sample.value != 0.0);
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

    /// How the thresholds stood when they were last evaluated, in the order of the options.
    pub fn judgements(&self) -> impl Iterator<Item = Judgement<'_>> {
        self.watched.iter().flat_map(|watched| {
            let metric = &watched.metric;
            watched.thresholds.iter().map(move |watch| Judgement {
                name: &watched.name,
                metric,
                expression: &watch.expression,
                result: &watch.result,
            })
        })
    }

    /// What the samples so far add up to.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The same, once nothing is added any more.
    pub fn into_totals(self) -> Totals {
        self.totals
    }

    /// Adds what another process, or another part of the run, has added up.
    pub fn merge(&mut self, other: &Totals) -> Result<(), MergeError> {
        self.totals.merge(other)
    }

    /// What came of the run so far. Metrics without samples, and those about the generator itself, are in it only if
    /// a threshold names them or a part of them.
    pub fn results(&self, elapsed: f64) -> Results {
        Results { parts: self.parts(), ..self.overview(elapsed) }
    }

    /// The results without the parts of the run: there may be thousands of these.
    pub fn overview(&self, elapsed: f64) -> Results {
        let mut metrics = Vec::new();
        for metric in self.registry.all() {
            let slot = self.totals.find(&metric.name, Scope::Whole);
            let sink = slot.map_or_else(|| Sink::new(metric.kind), |slot| self.totals.sink(slot).clone());
            let is_asked_for = |watched: &Watched| {
                !sink.is_empty()
                    || !watched.thresholds.is_empty()
                    || watched.name != builtin::EXPECTED_DURATIONS
            };
            let watched = self.watched.iter().filter(|w| w.metric.id == metric.id);
            let watched: Vec<_> = watched.filter(|w| is_asked_for(w)).collect();
            let thresholds: Vec<_> = watched
                .iter()
                .filter(|w| w.selector.suffix.is_none())
                .flat_map(|w| w.thresholds.iter().map(|t| t.result.clone()))
                .collect();
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
                    sink: self.totals.sink(sub.slot).clone(),
                    thresholds: sub.thresholds.iter().map(|t| t.result.clone()).collect(),
                    parent: Some((metric.name.to_string(), suffix.clone())),
                });
            }
        }
        Results {
            metrics,
            checks: self.totals.checks().to_vec(),
            groups: self.totals.groups().to_vec(),
            parts: Vec::new(),
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
        let scope = match &selector.suffix {
            None => Scope::Whole,
            Some(suffix) => Scope::Selector(suffix.as_str().into()),
        };
        let slot = self.totals.slot(&metric, scope);
        self.watched.push(Watched { name: selector.name(), selector, metric, slot, thresholds });
        Ok(())
    }

    /// Works out where the samples of a new series go.
    fn route(&mut self, series: &Series) -> Route {
        self.series_count += 1;
        let Some(metric) = self.registry.metric(series.metric) else {
            return Route { slots: Box::default(), check: None };
        };
        let mut slots = vec![self.totals.slot(&metric, Scope::Whole)];
        for watched in &self.watched {
            // Two ways to write one selector have one sum.
            if watched.metric.id == metric.id
                && watched.selector.suffix.is_some()
                && watched.selector.matches(&series.tags)
                && !slots.contains(&watched.slot)
            {
                slots.push(watched.slot);
            }
        }
        if builtin::is_own(metric.id) {
            self.series_count -= 1;
            return Route { slots: slots.into(), check: None };
        }
        let group = series.tags.get(system::GROUP).unwrap_or("");
        let names_groups = metric.id == builtin::GROUP_DURATION || metric.id == builtin::CHECKS;
        if !group.is_empty() && names_groups && !self.totals.add_group(group) {
            self.notice_once(Notice::Groups(MAX_NAMES));
        }
        let scenario = series.tags.get(system::SCENARIO).unwrap_or("");
        if self.breakdown {
            let in_group = (!group.is_empty()).then_some(Some(group));
            for group in [None].into_iter().chain(in_group) {
                let part = PartId { scenario: scenario.into(), group: group.map(Into::into) };
                if self.totals.add_part(&part) {
                    slots.push(self.totals.slot(&metric, Scope::Part(part)));
                }
            }
        }
        let check = (metric.id == builtin::CHECKS).then(|| series.tags.get(system::CHECK)).flatten();
        let check = check.map(|name| {
            let (check, is_its_own) = self.totals.check(name, group, scenario);
            if !is_its_own {
                self.notice_once(Notice::Checks(MAX_NAMES));
            }
            check
        });
        Route { slots: slots.into(), check }
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
            let sink = self.totals.sink_mut(watched.slot);
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
        self.registry.metric(builtin::ITERATIONS).is_some_and(|iterations| {
            let slot = self.totals.find(&iterations.name, Scope::Whole);
            slot.is_some_and(|slot| !self.totals.sink(slot).is_empty())
        })
    }

    fn parts(&self) -> Vec<Part> {
        let mut metrics: FxHashMap<&PartId, Vec<MetricResult>> = FxHashMap::default();
        for total in self.totals.sums() {
            let Scope::Part(part) = &total.scope else { continue };
            metrics.entry(part).or_default().push(MetricResult {
                name: total.metric.to_string(),
                kind: total.sink.kind(),
                contains: total.contains,
                sink: total.sink.clone(),
                thresholds: Vec::new(),
                parent: None,
            });
        }
        let parts = self.totals.parts().iter().map(|part| Part {
            scenario: part.scenario.clone(),
            group: part.group.clone(),
            metrics: metrics.remove(part).unwrap_or_default(),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests;
