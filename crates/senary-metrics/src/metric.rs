//! What a metric is: its name, how its samples are aggregated and what its values mean.
//!
//! Names and types follow <https://grafana.com/docs/k6/latest/using-k6/metrics/>. Which samples a metric
//! received is the engine's business, where they come from the recorder's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Dense number of a metric within one [`Registry`](crate::Registry); an index, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub u32);

/// How the samples of a metric add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    Counter,
    Gauge,
    Rate,
    Trend,
}

impl MetricType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Trend => "trend",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the values of a metric mean. `Time` is milliseconds, `Data` is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    Default,
    Time,
    Data,
}

impl ValueType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Time => "time",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A registered metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    pub id: MetricId,
    pub name: Arc<str>,
    pub kind: MetricType,
    pub contains: ValueType,
    /// The script has declared it, and neither the program nor a module has before.
    pub custom: bool,
}

/// Whether a script may give a metric this name: up to 128 ASCII letters, digits or underscores, starting
/// with a letter or an underscore.
pub fn is_valid_name(name: &str) -> bool {
    // The reference accepts 2 to 129 characters; scripts that work there must work here.
    let bytes = name.as_bytes();
    (2..=129).contains(&bytes.len())
        && (bytes[0].is_ascii_alphabetic() || bytes[0] == b'_')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}
