//! The way of samples: from the workers through a bounded queue to one collector thread, which adds them up,
//! hands them to the outputs and watches the thresholds.
//!
//! When the collector cannot keep up, the queue fills and workers wait: samples are never dropped in silence.
//! How long they waited is said at the end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use senary_metrics::engine::Crossed;
use senary_metrics::{Engine, Notice, Results, SampleBatch, Totals};

use crate::output::Output;
use crate::slot::OutputSlot;

/// Messages the queue holds. A batch has a few thousand samples at most, 32 bytes each.
const QUEUE: usize = 64;
const FLUSH_EVERY: Duration = Duration::from_millis(200);
const EVALUATE_EVERY: Duration = Duration::from_secs(2);
/// Shorter waits of workers are not worth a word.
const NOTABLE_WAIT: Duration = Duration::from_secs(1);

/// What a pipeline is made of.
pub struct PipelineConfig {
    pub engine: Engine,
    pub outputs: Vec<Box<dyn Output>>,
    /// How long the run has lasted, in seconds.
    pub elapsed: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// Called once, on the collector's thread, when a threshold asks to end the run.
    pub on_abort: Box<dyn FnOnce(Crossed) + Send>,
    /// Called on the collector's thread whenever thresholds were evaluated.
    pub on_judged: OnJudged,
}

/// Learns how the thresholds of an engine stand.
pub type OnJudged = Box<dyn FnMut(&Engine) + Send>;

/// A running collector.
pub struct Pipeline {
    queue: Queue,
    elapsed: Arc<dyn Fn() -> f64 + Send + Sync>,
    collector: JoinHandle<Option<Finished>>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    pub results: Results,
    /// What the results were made of.
    pub totals: Arc<Totals>,
    /// By the evaluation at the end.
    pub crossed: Crossed,
    /// What outputs lost, in words; all of it has been logged.
    pub output_errors: Vec<String>,
}

enum Message {
    Batch(SampleBatch),
    Query(Box<dyn FnOnce(&mut Engine) + Send>),
    Finish { elapsed: f64 },
}

impl Pipeline {
    /// Starts the collector. Fails only if the system gives too few threads.
    pub fn start(config: PipelineConfig) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let elapsed = config.elapsed.clone();
        let collector = Collector {
            engine: config.engine,
            outputs: config.outputs.into_iter().map(OutputSlot::new).collect::<io::Result<_>>()?,
            elapsed: config.elapsed,
            on_abort: Some(config.on_abort),
            on_judged: config.on_judged,
        };
        let collector =
            thread::Builder::new().name("collector".to_owned()).spawn(move || collector.run(&receiver))?;
        Ok(Self { queue: Queue { sender, waited: Arc::default() }, elapsed, collector })
    }

    /// Where workers deliver their batches. Waits while the queue is full.
    pub fn sink(&self) -> Arc<dyn Fn(SampleBatch) + Send + Sync> {
        let queue = self.queue.clone();
        Arc::new(move |batch| queue.push(Message::Batch(batch)))
    }

    /// How long all workers together have waited for the collector so far, to be asked at any time.
    pub fn held_up(&self) -> Arc<dyn Fn() -> Duration + Send + Sync> {
        let waited = self.queue.waited.clone();
        Arc::new(move || Duration::from_nanos(waited.load(Ordering::Relaxed)))
    }

    /// For those who ask during the run and do not own the pipeline.
    pub fn handle(&self) -> PipelineHandle {
        PipelineHandle { queue: self.queue.clone(), elapsed: self.elapsed.clone() }
    }

    /// Takes in what was delivered so far, evaluates the thresholds for good and closes the outputs. `elapsed`
    /// is the duration of the run in seconds.
    pub fn finish(self, elapsed: f64) -> Finished {
        self.queue.push(Message::Finish { elapsed });
        let waited = Duration::from_nanos(self.queue.waited.load(Ordering::Relaxed));
        let finished = match self.collector.join() {
            Ok(Some(finished)) => finished,
            // It only ends without results when every sender is gone, and one was here until now.
            Ok(None) => unreachable!("the collector outlives its queue"),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if waited >= NOTABLE_WAIT {
            log::warn!(
                "The outputs could not keep up with the samples: workers were held back for {:.1}s in total",
                waited.as_secs_f64()
            );
        }
        finished
    }
}

/// Asks a running pipeline.
#[derive(Clone)]
pub struct PipelineHandle {
    queue: Queue,
    elapsed: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl PipelineHandle {
    /// Asks the engine something, once it has added up what was delivered before. `None` once the pipeline has finished.
    pub fn query<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, answer) = sync_channel(1);
        self.queue.push(Message::Query(Box::new(move |engine| {
            // The caller may have stopped waiting.
            let _ = reply.send(question(engine));
        })));
        answer.recv().ok()
    }

    /// What came of the run so far, without its parts. The collector only hands out what it has: figures are worked out by
    /// the caller.
    pub fn snapshot(&self) -> Option<Results> {
        let elapsed = (self.elapsed)();
        self.query(move |engine| engine.overview(elapsed))
    }
}

/// The workers' end of the queue.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<Message>,
    /// Nanoseconds that all senders together spent waiting.
    waited: Arc<AtomicU64>,
}

impl Queue {
    fn push(&self, message: Message) {
        let message = match self.sender.try_send(message) {
            Ok(()) => return,
            Err(TrySendError::Full(message)) => message,
            Err(TrySendError::Disconnected(message)) => return lost(&message),
        };
        let from = Instant::now();
        if let Err(error) = self.sender.send(message) {
            lost(&error.0);
        }
        self.waited.fetch_add(from.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

fn lost(message: &Message) {
    if let Message::Batch(batch) = message {
        log::warn!("{} samples came after the end of the run and are in no result", batch.samples.len());
    }
}

/// What runs on the collector's thread.
struct Collector {
    engine: Engine,
    outputs: Vec<OutputSlot>,
    elapsed: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// `None` once called.
    on_abort: Option<Box<dyn FnOnce(Crossed) + Send>>,
    on_judged: OnJudged,
}

impl Collector {
    /// Until it is told to finish, or nobody is left who could tell it.
    fn run(mut self, queue: &Receiver<Message>) -> Option<Finished> {
        let mut flush_at = Instant::now() + FLUSH_EVERY;
        let mut evaluate_at = Instant::now() + EVALUATE_EVERY;
        loop {
            match queue.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
                Ok(Message::Batch(batch)) => self.collect(&Arc::new(batch)),
                Ok(Message::Query(question)) => question(&mut self.engine),
                Ok(Message::Finish { elapsed }) => return Some(self.finish(elapsed)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.outputs.iter().for_each(OutputSlot::begin_to_close);
                    self.outputs.iter_mut().for_each(OutputSlot::close);
                    return None;
                }
            }
            let now = Instant::now();
            if now >= flush_at {
                flush_at = now + FLUSH_EVERY;
                self.outputs.iter_mut().for_each(OutputSlot::flush);
            }
            if now >= evaluate_at {
                evaluate_at = now + EVALUATE_EVERY;
                self.evaluate();
            }
        }
    }

    fn collect(&mut self, batch: &Arc<SampleBatch>) {
        self.engine.ingest(batch);
        for notice in self.engine.take_notices() {
            match notice {
                Notice::Series(count) => log::warn!(
                    "The test has generated metrics with {count} unique time series, which is higher than the suggested limit of 100000 and could cause high memory usage. Consider not using high-cardinality values, such as unique ids, as metric tags"
                ),
                Notice::Checks(most) => log::warn!(
                    "The test has more than {most} checks of different names: all others are counted together. Consider not using unique ids in names of checks"
                ),
                Notice::Groups(most) => log::warn!(
                    "The test has more than {most} groups: the others are not listed. Consider not using unique ids in names of groups"
                ),
            }
        }
        for output in &mut self.outputs {
            output.add(batch);
        }
    }

    fn evaluate(&mut self) {
        let crossed = self.engine.evaluate((self.elapsed)());
        (self.on_judged)(&self.engine);
        if crossed.abort
            && let Some(on_abort) = self.on_abort.take()
        {
            on_abort(crossed);
        }
    }

    fn finish(mut self, elapsed: f64) -> Finished {
        let crossed = self.engine.finish(elapsed);
        (self.on_judged)(&self.engine);
        let results = Arc::new(self.engine.results(elapsed));
        self.outputs.iter_mut().for_each(|output| output.conclude(&results));
        self.outputs.iter().for_each(OutputSlot::begin_to_close);
        self.outputs.iter_mut().for_each(OutputSlot::close);
        let output_errors: Vec<_> = self.outputs.iter().filter_map(OutputSlot::verdict).collect();
        for error in &output_errors {
            log::error!("{error}");
        }
        let totals = Arc::new(self.engine.into_totals());
        Finished { results: Arc::unwrap_or_clone(results), totals, crossed, output_errors }
    }
}

#[cfg(test)]
mod tests;
