//! What comes of a run: the figures of metrics, checks, groups and thresholds, as the engine has added them up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::metric::{MetricType, ValueType};
use crate::sink::Sink;
use crate::threshold::ThresholdSpec;

/// Thresholds that do not hold at an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    /// Selectors of the metrics, sorted.
    pub metrics: Vec<String>,
    /// Whether one of them asks to end the run now.
    pub abort: bool,
}

/// One threshold and how it stands.
#[derive(Clone, Debug)]
pub struct ThresholdResult {
    pub spec: ThresholdSpec,
    pub ok: bool,
    /// Whether anything was measured that it could judge.
    pub has_data: bool,
    /// The aggregation as written, and its value at the last evaluation.
    pub method: String,
    pub value: f64,
}

/// A metric, or a sub-metric, and what came of it.
#[derive(Clone, Debug)]
pub struct MetricResult {
    /// With the braces, for a sub-metric.
    pub name: String,
    pub kind: MetricType,
    pub contains: ValueType,
    pub sink: Sink,
    pub thresholds: Vec<ThresholdResult>,
    /// For a sub-metric: its parent's name, and the text between the braces.
    pub parent: Option<(String, String)>,
}

/// A check within its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    #[serde(with = "crate::written::text")]
    pub name: Arc<str>,
    #[serde(with = "crate::written::text")]
    pub group: Arc<str>,
    #[serde(with = "crate::written::text")]
    pub scenario: Arc<str>,
    pub passes: u64,
    pub fails: u64,
}

/// The samples of one scenario alone, or of one group within it (without those of groups inside); only made
/// when asked for.
#[derive(Clone, Debug)]
pub struct Part {
    /// Empty for samples outside of scenarios, as those of setup and teardown are.
    pub scenario: Arc<str>,
    /// The path of a group; `None` for the scenario as a whole.
    pub group: Option<Arc<str>>,
    pub metrics: Vec<MetricResult>,
}

/// Everything a summary is made of.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub metrics: Vec<MetricResult>,
    /// In order of first appearance; one entry per group, scenario and name.
    pub checks: Vec<CheckResult>,
    /// Paths of groups (`::outer::inner`), in order of first appearance.
    pub groups: Vec<Arc<str>>,
    /// In order of first appearance; empty unless the engine was asked for a breakdown.
    pub parts: Vec<Part>,
    /// Seconds.
    pub duration: f64,
}
