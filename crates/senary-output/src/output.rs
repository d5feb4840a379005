//! Outputs: what `--out` names. Each gets every sample of a run, batch by batch.

use std::io;

use senary_metrics::threshold::WatchList;
use senary_metrics::{Registry, SampleBatch};
use serde_json::Value;

use crate::outputs::push::Pace;

/// Someone who wants the samples themselves, not only what they add up to.
pub trait Output: Send {
    /// What the banner says, `json (results.json)`.
    fn description(&self) -> String;

    /// Whether the run waits for this output.
    fn urgency(&self) -> Urgency {
        Urgency::HoldUp
    }

    /// Takes the samples of a batch. The batches of one producer come in their order.
    fn add(&mut self, batch: &SampleBatch) -> io::Result<()>;

    /// Passes on what it holds back; called several times a second, or once per period of its pace. In an output that has
    /// a pace, what could not be passed on stays, and this may be called again for it; an error of the kind `InvalidData`
    /// says that this would be no use.
    fn flush(&mut self) -> io::Result<()>;

    /// Forgets what could not be passed on. Only outputs that have a pace are asked to.
    fn give_up(&mut self) {}

    /// Passes on everything; nothing comes after this.
    fn close(&mut self) -> io::Result<()>;
}

/// What happens when samples come faster than an output takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The collector waits for the output, and in the end the workers wait: no sample is lost. This is for what is always
    /// there and rarely slow, such as a disk. After its first error the output gets nothing more.
    HoldUp,
    /// Nobody waits: the output has a thread of its own and a bounded queue, and samples that find no room there are dropped
    /// and counted. This is for what may be slow or away, such as a server. The limit of the pace is in samples.
    Drop(Pace),
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
