//! A running output: how it gets its samples, and its losses.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use senary_metrics::{Results, SampleBatch};
use senary_words::io_text;

use crate::delivery::END_WITHIN;
use crate::ledger::{Ledger, Losses};
use crate::output::{Output, Urgency};
use crate::outputs::push::{Pace, Push, Pusher};

/// How long the end of a run waits for an output that has its own thread: a moment longer than the output may take
/// itself.
const CLOSE_WITHIN: Duration = END_WITHIN.saturating_add(Duration::from_secs(1));

/// The reason for samples that have neither arrived nor failed.
const UNSETTLED: &str = "they had not been sent when the time for that was over";

const NO_ROOM: &str = "they came faster than the output could take them";

/// An output, its way, and its losses.
pub(crate) struct OutputSlot {
    description: String,
    way: Way,
    lost: u64,
}

enum Way {
    /// On the collector's thread: the run waits for it.
    Direct {
        /// `None` once it has failed.
        output: Option<Box<dyn Output>>,
        /// Samples that it took and may not have passed on yet.
        pending: u64,
    },
    /// On a thread of its own: samples that come faster than it takes them are dropped.
    Pushed {
        /// `None` once it is closed.
        pusher: Option<Pusher<PushedOutput>>,
        ledger: Arc<Ledger>,
        /// Samples it was given, including those that found no room.
        given: u64,
        has_dropped: bool,
    },
}

impl OutputSlot {
    /// Fails only if the output needs a thread and the system gives none.
    pub(crate) fn new(output: Box<dyn Output>) -> io::Result<Self> {
        let description = output.description();
        let way = match output.urgency() {
            Urgency::HoldUp => Way::Direct { output: Some(output), pending: 0 },
            Urgency::Drop(backlog) => {
                let pushed = PushedOutput { description: description.clone(), output };
                let (period, limit, ledger) = (backlog.period, backlog.room, backlog.ledger);
                let pace = Pace { period, limit, tries: 1, pause: Duration::ZERO };
                let pusher = Some(Pusher::start("push-output", pace, pushed)?);
                Way::Pushed { pusher, ledger, given: 0, has_dropped: false }
            }
        };
        Ok(Self { description, way, lost: 0 })
    }

    pub(crate) fn add(&mut self, batch: &Arc<SampleBatch>) {
        let samples = batch.samples.len() as u64;
        match &mut self.way {
            Way::Direct { output: Some(output), pending } => {
                *pending += samples;
                let result = output.add(batch);
                self.note(result);
            }
            Way::Pushed { pusher: Some(pusher), ledger, given, has_dropped } => {
                *given += samples;
                if pusher.push(Arc::clone(batch).into()) {
                    return;
                }
                ledger.lost(samples, NO_ROOM);
                if !std::mem::replace(has_dropped, true) {
                    log::warn!(
                        "The output {} cannot keep up with the samples: those that find no room are dropped",
                        self.description
                    );
                }
            }
            Way::Direct { output: None, .. } | Way::Pushed { pusher: None, .. } => self.lost += samples,
        }
    }

    /// Lets an output pass on what it has buffered. An output with its own thread does so when its period is over.
    pub(crate) fn flush(&mut self) {
        if let Way::Direct { output: Some(output), pending } = &mut self.way {
            let result = output.flush();
            if result.is_ok() {
                *pending = 0;
            }
            self.note(result);
        }
    }

    /// Gives the output the results of the run.
    pub(crate) fn conclude(&mut self, results: &Arc<Results>) {
        match &mut self.way {
            Way::Direct { output: Some(output), .. } => output.conclude(results),
            Way::Pushed { pusher: Some(pusher), .. } => {
                pusher.push(Handed::Results(results.clone()));
            }
            Way::Direct { output: None, .. } | Way::Pushed { pusher: None, .. } => {}
        }
    }

    /// Lets an output that has a thread begin to close, so that several do so at the same time.
    pub(crate) fn begin_to_close(&self) {
        if let Way::Pushed { pusher: Some(pusher), .. } = &self.way {
            pusher.begin_to_close();
        }
    }

    pub(crate) fn close(&mut self) {
        match &mut self.way {
            Way::Direct { output: Some(output), .. } => {
                let result = output.close();
                self.note(result);
            }
            // The ledger has its losses, too, with the reasons.
            Way::Pushed { pusher, .. } => {
                pusher.take().map(|pusher| pusher.close(Instant::now() + CLOSE_WITHIN));
            }
            Way::Direct { output: None, .. } => {}
        }
    }

    /// After its first error an output on the collector's thread gets nothing more.
    fn note(&mut self, result: io::Result<()>) {
        let (Err(error), Way::Direct { output, pending }) = (result, &mut self.way) else { return };
        *output = None;
        self.lost += std::mem::take(pending);
        log::error!("The output {} failed and gets no more samples: {}", self.description, io_text(&error));
    }

    /// The message at the end of the run.
    pub(crate) fn verdict(&self) -> Option<String> {
        let name = &self.description;
        match &self.way {
            Way::Direct { output, .. } => (output.is_none() || self.lost > 0)
                .then(|| format!("The output {name} is incomplete: up to {} samples were lost", self.lost)),
            Way::Pushed { ledger, given, .. } => {
                let losses = ledger.losses(*given, UNSETTLED);
                (losses != Losses::default()).then(|| {
                    let (sum, reasons) = (losses.sum(), losses.reasons());
                    let were = if sum == 1 { "sample was" } else { "samples were" };
                    format!("The output {name} is incomplete: {sum} of {given} {were} lost ({reasons})")
                })
            }
        }
    }
}

/// An output on a thread of its own.
struct PushedOutput {
    description: String,
    output: Box<dyn Output>,
}

/// The items that such an output gets.
enum Handed {
    Samples(Arc<SampleBatch>),
    Results(Arc<Results>),
}

impl From<Arc<SampleBatch>> for Handed {
    fn from(batch: Arc<SampleBatch>) -> Self {
        Self::Samples(batch)
    }
}

impl Push for PushedOutput {
    type Item = Handed;

    fn weight(handed: &Handed) -> u64 {
        match handed {
            Handed::Samples(batch) => batch.samples.len() as u64,
            Handed::Results(_) => 0,
        }
    }

    /// Later batches have samples of the series that this one defines.
    fn remainder(dropped: Handed) -> Option<Handed> {
        match dropped {
            Handed::Samples(batch) => batch.definitions().map(|rest| Arc::new(rest).into()),
            Handed::Results(_) => None,
        }
    }

    fn take(&mut self, handed: Vec<Handed>, dropped: u64) -> u64 {
        for handed in handed {
            match handed {
                Handed::Samples(batch) => {
                    if let Err(error) = self.output.add(&batch) {
                        self.report(&error);
                    }
                }
                Handed::Results(results) => self.output.conclude(&results),
            }
        }
        dropped
    }

    fn send(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn give_up(&mut self) {}

    fn close(&mut self) -> io::Result<()> {
        self.output.close()
    }

    fn report(&mut self, error: &io::Error) {
        log::error!("The output {} could not pass on samples: {}", self.description, io_text(error));
    }
}
