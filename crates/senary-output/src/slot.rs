//! An output at work: how it gets its samples, and what became of it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use senary_metrics::SampleBatch;
use senary_words::io_text;

use crate::output::{Output, Urgency};
use crate::outputs::push::{Push, Pusher};

/// How long the end of a run waits for an output that has a thread of its own.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// An output, its way, and its losses.
pub(crate) struct OutputSlot {
    description: String,
    way: Way,
    lost: u64,
}

enum Way {
    /// On the collector's thread: whatever it waits for holds up the run.
    Direct {
        /// `None` once it has failed.
        output: Option<Box<dyn Output>>,
        /// Samples it took but has not yet been seen to pass on.
        pending: u64,
    },
    /// On a thread of its own: samples that come faster than it takes them are dropped.
    Pushed {
        /// `None` once it is closed.
        pusher: Option<Pusher<PushedOutput>>,
        has_dropped: bool,
    },
}

impl OutputSlot {
    /// Fails only if the output needs a thread and the system gives none.
    pub(crate) fn new(output: Box<dyn Output>) -> io::Result<Self> {
        let description = output.description();
        let way = match output.urgency() {
            Urgency::HoldUp => Way::Direct { output: Some(output), pending: 0 },
            Urgency::Drop(pace) => {
                let pushed = PushedOutput { description: description.clone(), output };
                Way::Pushed { pusher: Some(Pusher::start("push-output", pace, pushed)?), has_dropped: false }
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
            Way::Pushed { pusher: Some(pusher), has_dropped } => {
                if !pusher.push(batch.clone()) && !std::mem::replace(has_dropped, true) {
                    log::warn!(
                        "The output {} cannot keep up with the samples: those that find no room are dropped",
                        self.description
                    );
                }
            }
            Way::Direct { output: None, .. } | Way::Pushed { pusher: None, .. } => self.lost += samples,
        }
    }

    /// Lets an output pass on what it holds back. One that has a thread does so when its period is over.
    pub(crate) fn flush(&mut self) {
        if let Way::Direct { output: Some(output), pending } = &mut self.way {
            let result = output.flush();
            if result.is_ok() {
                *pending = 0;
            }
            self.note(result);
        }
    }

    pub(crate) fn close(&mut self) {
        match &mut self.way {
            Way::Direct { output: Some(output), .. } => {
                let result = output.close();
                self.note(result);
            }
            Way::Pushed { pusher, .. } => {
                let lost = pusher.take().map(|pusher| pusher.close(Instant::now() + CLOSE_WITHIN));
                self.lost += lost.unwrap_or(0);
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

    /// What is to be said at the end.
    pub(crate) fn verdict(&self) -> Option<String> {
        let failed = matches!(self.way, Way::Direct { output: None, .. });
        (failed || self.lost > 0).then(|| {
            format!("The output {} is incomplete: up to {} samples were lost", self.description, self.lost)
        })
    }
}

/// An output on a thread of its own.
struct PushedOutput {
    description: String,
    output: Box<dyn Output>,
}

impl Push for PushedOutput {
    type Item = Arc<SampleBatch>;

    fn weight(batch: &Arc<SampleBatch>) -> u64 {
        batch.samples.len() as u64
    }

    /// Later batches have samples of the series that this one defines.
    fn remainder(dropped: Arc<SampleBatch>) -> Option<Arc<SampleBatch>> {
        dropped.definitions().map(Arc::new)
    }

    fn take(&mut self, batches: Vec<Arc<SampleBatch>>, dropped: u64) -> u64 {
        let mut lost = dropped;
        for batch in batches {
            if let Err(error) = self.output.add(&batch) {
                self.report(&error);
                lost += Self::weight(&batch);
            }
        }
        lost
    }

    fn send(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn give_up(&mut self) {
        self.output.give_up();
    }

    fn close(&mut self) -> io::Result<()> {
        self.output.close()
    }

    fn report(&mut self, error: &io::Error) {
        log::error!("The output {} could not pass on samples: {}", self.description, io_text(error));
    }
}
