//! Outputs: what `--out` names. Each gets every sample of a run, batch by batch, on the collector's thread.

use std::io;

use senary_metrics::threshold::WatchList;
use senary_metrics::{Registry, SampleBatch};
use serde_json::Value;

/// Someone who wants the samples themselves, not only what they add up to.
///
/// After the first error an output gets nothing more.
pub trait Output: Send {
    /// What the banner says, `json (results.json)`.
    fn description(&self) -> String;

    /// Takes the samples of a batch. The batches of one producer come in their order.
    fn add(&mut self, batch: &SampleBatch) -> io::Result<()>;

    /// Passes on what it holds back; called several times a second.
    fn flush(&mut self) -> io::Result<()>;

    /// Passes on everything; nothing comes after this.
    fn close(&mut self) -> io::Result<()>;
}

/// What outputs get besides their argument when they are made.
#[derive(Clone, Copy)]
pub struct OutputContext<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// `collectors` of the configuration file.
    pub collectors: Option<&'a Value>,
    /// The system tags that are on.
    pub system_tags: &'a [String],
    /// The metrics that samples belong to.
    pub registry: &'a Registry,
    /// The thresholds and sub-metrics of these metrics.
    pub watched: &'a WatchList,
}

#[cfg(test)]
impl<'a> OutputContext<'a> {
    /// Neither environment nor configuration.
    pub(crate) fn of(registry: &'a Registry, watched: &'a WatchList) -> Self {
        Self { env: &|_| None, collectors: None, system_tags: &[], registry, watched }
    }
}
