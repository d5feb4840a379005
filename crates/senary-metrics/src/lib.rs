//! Metrics as data and arithmetic: what a metric is, how samples are gathered and added up, which
//! thresholds hold. No clock and no I/O: times come in as arguments, results go out as values.
//!
//! `metric`, `registry`, `tags` and `sample` are what producers see. Sinks, sub-metrics, thresholds and the
//! engine are one consumer of sample batches among others.

mod distribution;
pub mod engine;
pub mod failures;
pub mod group;
mod histogram;
pub mod metric;
pub mod registry;
pub mod results;
pub mod sample;
pub mod series_map;
pub mod sink;
pub mod submetric;
mod sum;
pub mod tags;
pub mod threshold;
pub mod totals;
pub mod trend_values;
mod written;

pub use engine::{Engine, Judgement, Notice, Results};
pub use failures::{CountedAs, Details, Failure, FailureId, FailureKind, Failures};
pub use metric::{Metric, MetricId, MetricType, ValueType};
pub use registry::{Registry, RegistryError, builtin};
pub use sample::{Metadata, ProducerId, Recorder, Sample, SampleBatch, Series, SeriesId, Timestamp};
pub use series_map::SeriesMap;
pub use sink::Sink;
pub use tags::{Epoch, TagSet, TagSetId};
pub use totals::{MergeError, Totals};
pub use written::Damaged;
