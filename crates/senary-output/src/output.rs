//! Outputs: what `--out` names. Each gets every sample of a run, batch by batch.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use senary_metrics::threshold::WatchList;
use senary_metrics::{Registry, Results, SampleBatch};
use serde_json::Value;

use crate::ledger::Ledger;

/// A consumer of the samples themselves, not only of their totals.
pub trait Output: Send {
    /// The description in the banner: `json (results.json)`.
    fn description(&self) -> String;

    /// Whether the run waits for this output.
    fn urgency(&self) -> Urgency {
        Urgency::HoldUp
    }

    /// Takes the samples of a batch. The batches of one producer come in their order.
    fn add(&mut self, batch: &SampleBatch) -> io::Result<()>;

    /// Passes on what it has buffered. It is called several times a second.
    fn flush(&mut self) -> io::Result<()>;

    /// Gets the results of the run. It is called once, before [`close`](Self::close).
    fn conclude(&mut self, _results: &Results) {}

    /// Passes on everything; nothing comes after this.
    fn close(&mut self) -> io::Result<()>;
}

/// What happens when samples come faster than an output takes them.
#[derive(Clone, Debug)]
pub enum Urgency {
    /// The collector waits for the output, and in the end the workers wait: no sample is lost. This is for destinations
    /// that are always available and rarely slow, such as a disk. After its first error the output gets nothing more.
    HoldUp,
    /// Nothing waits for the output: it has its own thread and a bounded queue, and samples that find no room are
    /// dropped and counted. This is for destinations that may be slow or down, such as a server. The output should give
    /// what it sends to a [`Delivery`](crate::delivery::Delivery), so that it can go on taking samples while a server
    /// makes it wait.
    Drop(Backlog),
}

/// The queue of an output that has its own thread.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// How often the output is flushed, and how many samples may wait for that.
    pub period: Duration,
    pub room: u64,
    /// Where the output counts what has arrived and what is lost.
    pub ledger: Arc<Ledger>,
}

impl Backlog {
    /// Settings for an output that takes samples as fast as they come, whether or not they arrive. It is late only if
    /// the machine is overloaded.
    pub fn of(ledger: Arc<Ledger>) -> Self {
        Self { period: Duration::from_millis(200), room: 1_000_000, ledger }
    }
}

/// Why an output cannot be made, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// Its settings are not valid together, for those outputs where the reference gives this an exit code of its own.
    Invalid(String),
    Unusable(String),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(reason) | Self::Unusable(reason)) = self;
        f.write_str(reason)
    }
}

impl From<String> for CreateError {
    fn from(reason: String) -> Self {
        Self::Unusable(reason)
    }
}

/// What outputs get in addition to their argument when they are made.
#[derive(Clone, Copy)]
pub struct OutputContext<'a> {
    /// The environment variables.
    pub env: &'a BTreeMap<String, String>,
    /// `collectors` of the configuration file.
    pub collectors: Option<&'a Value>,
    /// The experimental features that are on.
    pub features: &'a [String],
    /// The system tags that are on.
    pub system_tags: &'a [String],
    /// The metrics that samples belong to.
    pub registry: &'a Registry,
    /// The thresholds and sub-metrics of these metrics.
    pub watched: &'a WatchList,
}

impl<'a> OutputContext<'a> {
    /// An environment variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&'a str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

#[cfg(test)]
impl<'a> OutputContext<'a> {
    /// A context without environment variables and configuration.
    pub(crate) fn of(registry: &'a Registry, watched: &'a WatchList) -> Self {
        Self { env: &NO_VARIABLES, collectors: None, features: &[], system_tags: &[], registry, watched }
    }
}
