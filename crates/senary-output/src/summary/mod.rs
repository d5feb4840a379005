//! The summary at the end of a run: its text, and the data for `handleSummary()` and `--summary-export`.
//!
//! `data` makes the JSON documents, `text` the default text, `save` writes what a script wants written. All of it is
//! made from the final [`Results`]; the binary decides when it is printed.

mod collation;
mod data;
mod failures;
mod group;
mod instances;
mod save;
mod text;
mod trend_stat;

use std::cmp::Ordering;

use senary_metrics::engine::ThresholdResult;
use senary_metrics::sink::Sink;
use senary_metrics::{MetricType, Results, ValueType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use failures::WhatWentWrong;
pub use instances::{InstanceRow, Instances};
pub use save::{SaveError, save};
pub use trend_stat::{TrendStat, TrendStatError};

use crate::number::TimeUnit;
use collation::compare;
use group::Group;

/// How a summary is made.
#[derive(Clone, Debug)]
pub struct SummaryOptions {
    /// Also every group and scenario on its own, and all metrics of HTTP. The engine must have been asked for
    /// the breakdown.
    pub full: bool,
    /// `summaryTrendStats`.
    pub trend_stats: Vec<TrendStat>,
    /// `summaryTimeUnit`.
    pub time_unit: Option<TimeUnit>,
    /// `--no-color`, which scripts can read.
    pub no_color: bool,
    /// Whether the text is coloured.
    pub colored: bool,
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
    /// What `setup()` returned, if there is one.
    pub setup_data: Option<Value>,
    /// The script's source text, for the new machine-readable summary.
    pub script: String,
    /// The version the new machine-readable summary is marked with.
    pub version: String,
    /// Remarks that put the figures in doubt. They are shown at the end of the text only.
    pub remarks: Vec<Remark>,
    /// Why the run fails with `--strict`; shown at the end of the text.
    pub objections: Vec<String>,
    /// The instances of the test, if there were several; shown at the end of the text.
    pub instances: Option<Instances>,
}

impl Default for SummaryOptions {
    fn default() -> Self {
        Self {
            full: false,
            trend_stats: TrendStat::defaults(),
            time_unit: None,
            no_color: false,
            colored: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            setup_data: None,
            script: String::new(),
            version: String::new(),
            remarks: Vec::new(),
            objections: Vec::new(),
            instances: None,
        }
    }
}

/// A remark that readers need to judge the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    pub text: String,
    /// What to do about it.
    pub advice: String,
}

/// The results of a run in the terms of summaries.
#[derive(Clone, Debug)]
pub struct Summary {
    options: SummaryOptions,
    metrics: Vec<Metric>,
    /// Checks and groups of the whole run.
    root: Group,
    /// Checks in order of appearance, without regard to groups.
    checks: Vec<CheckLine>,
    parts: Vec<Breakdown>,
    /// Seconds.
    duration: f64,
    wrong: WhatWentWrong,
}

/// A metric or sub-metric with its figures worked out.
#[derive(Clone, Debug)]
struct Metric {
    name: String,
    kind: MetricType,
    contains: ValueType,
    values: Values,
    thresholds: Vec<ThresholdResult>,
    /// For a sub-metric: its parent's name, and the text between the braces.
    parent: Option<(String, String)>,
}

#[derive(Clone, Debug)]
enum Values {
    Counter { count: f64, rate: f64 },
    Gauge { value: f64, min: f64, max: f64 },
    Rate { passes: u64, total: u64 },
    Trend { shown: Vec<(TrendStat, f64)>, all: Vec<(TrendStat, f64)> },
}

/// The result of one check.
#[derive(Clone, Debug)]
struct CheckLine {
    name: String,
    passes: u64,
    fails: u64,
}

/// A scenario, or a group within one.
#[derive(Clone, Debug)]
struct Breakdown {
    scenario: String,
    group: Option<String>,
    metrics: Vec<Metric>,
    checks: Vec<CheckLine>,
}

impl Summary {
    pub fn new(results: Results, options: SummaryOptions) -> Self {
        let Results { metrics, checks, groups, parts, duration } = results;
        let evaluate = |found: Vec<senary_metrics::engine::MetricResult>| -> Vec<Metric> {
            let found = found.into_iter().map(|metric| Metric::new(metric, &options.trend_stats, duration));
            let mut metrics: Vec<_> = found.collect();
            // Sub-metrics follow their parent, even if the brace would be sorted elsewhere.
            metrics.sort_by(Metric::compare);
            metrics
        };
        let lines = |wanted: &dyn Fn(&senary_metrics::engine::CheckResult) -> bool| {
            let mut lines: Vec<((&str, &str), CheckLine)> = Vec::new();
            for check in checks.iter().filter(|check| wanted(check)) {
                let key = (&*check.group, &*check.name);
                match lines.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, line)) => {
                        line.passes += check.passes;
                        line.fails += check.fails;
                    }
                    None => {
                        let (passes, fails) = (check.passes, check.fails);
                        lines.push((key, CheckLine { name: check.name.to_string(), passes, fails }));
                    }
                }
            }
            lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
        };
        let parts = parts.into_iter().map(|part| Breakdown {
            checks: lines(&|check| {
                check.scenario == part.scenario && part.group.as_ref().is_none_or(|g| *g == check.group)
            }),
            scenario: part.scenario.to_string(),
            group: part.group.map(|group| group.to_string()),
            metrics: evaluate(part.metrics),
        });
        Self {
            metrics: evaluate(metrics),
            root: Group::tree(&groups, &checks),
            parts: parts.collect(),
            checks: lines(&|_| true),
            duration,
            wrong: WhatWentWrong::default(),
            options,
        }
    }

    /// Adds further failures.
    pub fn note_failures(&mut self, failures: &senary_metrics::Failures) {
        self.wrong.failures.merge(failures);
    }

    /// The same summary with the failures of the run.
    pub fn with_failures(self, wrong: WhatWentWrong) -> Self {
        Self { wrong, ..self }
    }
}

impl Metric {
    fn new(result: senary_metrics::engine::MetricResult, stats: &[TrendStat], duration: f64) -> Self {
        let values = match result.sink {
            Sink::Counter(sink) => {
                let count = sink.value();
                Values::Counter { count, rate: if duration > 0.0 { count / duration } else { 0.0 } }
            }
            Sink::Gauge(sink) => Values::Gauge { value: sink.value, min: sink.min, max: sink.max },
            Sink::Rate(sink) => Values::Rate { passes: sink.trues, total: sink.total },
            Sink::Trend(mut sink) => {
                let mut evaluate = |stat: &TrendStat| (stat.clone(), stat.of(&mut sink));
                let shown: Vec<_> = stats.iter().map(&mut evaluate).collect();
                let mut all: Vec<_> = TrendStat::defaults().iter().map(&mut evaluate).collect();
                for figure in &shown {
                    if !all.iter().any(|(known, _)| known == &figure.0) {
                        all.push(figure.clone());
                    }
                }
                Values::Trend { shown, all }
            }
        };
        Self {
            name: result.name,
            kind: result.kind,
            contains: result.contains,
            values,
            thresholds: result.thresholds,
            parent: result.parent,
        }
    }

    /// For a sub-metric its parent's.
    fn base_name(&self) -> &str {
        self.parent.as_ref().map_or(&self.name, |(parent, _)| parent)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let (own, others) = (self.sort_key(), other.sort_key());
        compare(own.0, others.0).then_with(|| compare(&own.1, &others.1))
    }

    /// The metric's name, and which part of it this is.
    fn sort_key(&self) -> (&str, String) {
        match &self.parent {
            Some((parent, suffix)) => (parent, format!("{{{suffix}}}")),
            None => (&self.name, String::new()),
        }
    }
}

/// Passed checks and all checks, if there were any or a threshold asks for them.
fn all_checks(metrics: &[Metric]) -> Option<(u64, u64)> {
    metrics.iter().find_map(|metric| match metric.values {
        Values::Rate { passes, total } if metric.name == "checks" => Some((passes, total)),
        _ => None,
    })
}

#[cfg(test)]
pub(crate) mod testing {
    //! Results to make summaries of.

    use senary_metrics::engine::ThresholdPlan;
    use senary_metrics::threshold::ThresholdSpec;
    use senary_metrics::{
        Engine, MetricType, ProducerId, Recorder, Registry, Results, TagSet, Timestamp, ValueType,
    };

    pub struct Run {
        pub registry: Registry,
        recorder: Recorder,
    }

    impl Run {
        pub fn new() -> Self {
            Self { registry: Registry::new(), recorder: Recorder::new(ProducerId(0)) }
        }

        pub fn metric(&self, name: &str, kind: MetricType, contains: ValueType) {
            self.registry.get_or_register(name, kind, contains).unwrap();
        }

        pub fn add(&mut self, metric: &str, tags: &[(&str, &str)], values: &[f64]) {
            let metric = self.registry.get(metric).unwrap().id;
            let tags = self.recorder.intern(&TagSet::new(tags.iter().copied()));
            let series = self.recorder.series(metric, tags);
            for &value in values {
                self.recorder.record(series, value, Timestamp(0));
            }
        }

        /// Results after ten seconds.
        pub fn results(mut self, thresholds: &[(&str, &[&str])]) -> Results {
            let spec = |source: &&str| ThresholdSpec {
                source: (*source).to_owned(),
                abort_on_fail: false,
                delay_abort_eval: 0,
            };
            let plan: ThresholdPlan = thresholds
                .iter()
                .map(|(name, sources)| ((*name).to_owned(), sources.iter().map(spec).collect()))
                .collect();
            let mut engine = Engine::new(self.registry, &plan, true, true).unwrap();
            if let Some(batch) = self.recorder.take_batch() {
                engine.ingest(&batch);
            }
            engine.finish(10.0);
            engine.results(10.0)
        }
    }
}
