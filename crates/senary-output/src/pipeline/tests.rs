use std::sync::Mutex;
use std::sync::mpsc::channel;

use senary_metrics::sink::Sink;
use senary_metrics::threshold::ThresholdSpec;
use senary_metrics::{ProducerId, Recorder, Registry, SeriesMap, TagSet, Timestamp, builtin};

use super::*;
use crate::ledger::Ledger;
use crate::output::{Backlog, Urgency};

/// Keeps the number of samples it got; fails or waits as told.
#[derive(Default)]
struct Probe {
    /// If it has one, it has a thread of its own.
    backlog: Option<Backlog>,
    got: Arc<Mutex<u64>>,
    names: SeriesMap<Option<String>>,
    /// The names of series it got samples of.
    seen: Arc<Mutex<Vec<String>>>,
    closed: Arc<Mutex<bool>>,
    /// Fails when it has got this many.
    fails_at: Option<u64>,
    /// Waits for a word before each batch.
    gate: Option<Receiver<()>>,
}

impl Output for Probe {
    fn description(&self) -> String {
        "probe (test)".to_owned()
    }

    fn urgency(&self) -> Urgency {
        self.backlog.clone().map_or(Urgency::HoldUp, Urgency::Drop)
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.names.learn(batch, |series| series.tags.get("name").map(str::to_owned));
        let names = self.names.samples(batch).filter_map(|(name, _)| name.clone());
        self.seen.lock().unwrap().extend(names);
        if let Some(gate) = &self.gate {
            // Once nobody is at the gate it is open.
            let _ = gate.recv();
        }
        let mut got = self.got.lock().unwrap();
        *got += batch.samples.len() as u64;
        if let Some(backlog) = &self.backlog {
            backlog.ledger.arrived(batch.samples.len() as u64);
        }
        match self.fails_at {
            Some(limit) if *got >= limit => Err(io::Error::other("No space left")),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        *self.closed.lock().unwrap() = true;
        Ok(())
    }
}

struct Worker(Recorder);

impl Worker {
    fn new() -> Self {
        Self(Recorder::new(ProducerId(0)))
    }

    fn batch(&mut self, samples: usize) -> SampleBatch {
        let tags = self.0.intern(&TagSet::default());
        let series = self.0.series(builtin::ITERATIONS, tags);
        (0..samples).for_each(|_| self.0.record(series, 1.0, Timestamp(0)));
        self.0.take_batch().unwrap()
    }
}

fn engine(threshold: Option<ThresholdSpec>) -> Engine {
    let plan = threshold.map(|spec| ("iterations".to_owned(), vec![spec])).into_iter().collect();
    Engine::new(Registry::new(), &plan, true, false).unwrap()
}

fn config(engine: Engine, outputs: Vec<Box<dyn Output>>) -> PipelineConfig {
    let (elapsed, on_abort) = (Arc::new(|| 5.0), Box::new(|_: Crossed| {}));
    PipelineConfig { engine, outputs, elapsed, on_abort, on_judged: Box::new(|_| {}) }
}

fn iterations(results: &Results) -> f64 {
    match &results.metrics[0].sink {
        Sink::Counter(sink) => sink.value(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_reach_the_engine_and_every_output() {
    let (first, second) = (Probe::default(), Probe::default());
    let (got, closed) =
        ([first.got.clone(), second.got.clone()], [first.closed.clone(), second.closed.clone()]);
    let pipeline = Pipeline::start(config(engine(None), vec![Box::new(first), Box::new(second)])).unwrap();
    let (sink, mut worker) = (pipeline.sink(), Worker::new());
    sink(worker.batch(3));
    let snapshot = pipeline.handle().snapshot().unwrap();
    assert_eq!((iterations(&snapshot), snapshot.duration), (3.0, 5.0));
    sink(worker.batch(4));
    let handle = pipeline.handle();
    let finished = pipeline.finish(7.0);
    assert_eq!((iterations(&finished.results), finished.results.duration), (7.0, 7.0));
    assert!(finished.output_errors.is_empty());
    for (got, closed) in got.iter().zip(closed) {
        assert_eq!(*got.lock().unwrap(), 7);
        assert!(*closed.lock().unwrap());
    }
    // A caller that still asks learns that it is over, and a late batch does no harm.
    assert!(handle.snapshot().is_none());
    sink(worker.batch(1));
}

#[test]
fn workers_wait_for_a_slow_output_and_nothing_is_lost() {
    let (open, gate) = channel();
    let probe = Probe { gate: Some(gate), ..Probe::default() };
    let got = probe.got.clone();
    let pipeline = Pipeline::start(config(engine(None), vec![Box::new(probe)])).unwrap();
    let sink = pipeline.sink();
    let batches = QUEUE + 20;
    let (done, progress) = channel();
    let worker = thread::spawn(move || {
        let mut worker = Worker::new();
        for at in 0..batches {
            sink(worker.batch(2));
            done.send(at).unwrap();
        }
    });
    // One batch is in the output's hands, the queue is full: the worker cannot go on.
    let mut delivered = 0;
    while progress.recv_timeout(Duration::from_millis(300)).is_ok() {
        delivered += 1;
    }
    assert!(delivered <= QUEUE + 1, "{delivered} batches were taken while none could be passed on");
    (0..batches).for_each(|_| open.send(()).unwrap());
    worker.join().unwrap();
    let finished = pipeline.finish(1.0);
    assert_eq!(*got.lock().unwrap(), 2 * batches as u64);
    assert_eq!(iterations(&finished.results), 2.0 * batches as f64);
}

#[test]
fn nobody_waits_for_an_output_that_has_a_thread() {
    let (open, gate) = channel();
    let backlog = Backlog { period: Duration::from_millis(1), room: 20, ledger: Arc::<Ledger>::default() };
    let probe = Probe { gate: Some(gate), backlog: Some(backlog), ..Probe::default() };
    let (got, seen) = (probe.got.clone(), probe.seen.clone());
    let pipeline = Pipeline::start(config(engine(None), vec![Box::new(probe)])).unwrap();
    let (sink, mut worker) = (pipeline.sink(), Worker::new());
    let mut named = |name: usize| {
        let tags = worker.0.intern(&TagSet::new([("name", name.to_string())]));
        let series = worker.0.series(builtin::ITERATIONS, tags);
        (0..10).for_each(|_| worker.0.record(series, 1.0, Timestamp(0)));
        worker.0.take_batch().unwrap()
    };
    // The output stands still, and yet all of these are taken: far more than every queue together holds.
    let batches = 4 * QUEUE;
    (0..batches).for_each(|name| sink(named(name)));
    drop(open);
    let (held_up, from) = (pipeline.held_up(), Instant::now());
    // Series that were defined by batches without room are known all the same.
    let finished = loop {
        sink(named(batches - 1));
        if seen.lock().unwrap().last() == Some(&(batches - 1).to_string()) {
            break pipeline.finish(1.0);
        }
        assert!(from.elapsed() < Duration::from_secs(20), "the output gets nothing more");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(held_up() < Duration::from_secs(5), "{:?}", held_up());
    let all = iterations(&finished.results) as u64;
    let lost = all - *got.lock().unwrap();
    assert!(lost >= 10 * (batches - QUEUE - 30) as u64, "{lost} of {all} samples were lost");
    assert_eq!(
        finished.output_errors,
        [format!(
            "The output probe (test) is incomplete: {lost} of {all} samples were lost (they came faster than the output could take them)"
        )]
    );
}

#[test]
fn an_output_that_fails_is_left_alone_and_its_losses_are_counted() {
    let (broken, whole) = (Probe { fails_at: Some(30), ..Probe::default() }, Probe::default());
    let (got, closed) = ([broken.got.clone(), whole.got.clone()], broken.closed.clone());
    let pipeline = Pipeline::start(config(engine(None), vec![Box::new(broken), Box::new(whole)])).unwrap();
    let (sink, mut worker) = (pipeline.sink(), Worker::new());
    (0..10).for_each(|_| sink(worker.batch(10)));
    let finished = pipeline.finish(1.0);
    assert_eq!(got.map(|got| *got.lock().unwrap()), [30, 100]);
    assert!(!*closed.lock().unwrap());
    assert_eq!(
        finished.output_errors,
        ["The output probe (test) is incomplete: up to 100 samples were lost"]
    );
    assert_eq!(iterations(&finished.results), 100.0);
}

#[test]
fn a_threshold_asks_once_to_end_the_run() {
    let spec = |delay_abort_eval| ThresholdSpec {
        source: "count<3".to_owned(),
        abort_on_fail: true,
        delay_abort_eval,
    };
    for (delay, aborts) in [(0, 1), (6_000_000_000, 0)] {
        let (say, aborted) = channel();
        let mut config = config(engine(Some(spec(delay))), Vec::new());
        config.on_abort = Box::new(move |crossed| say.send(crossed).unwrap());
        let mut collector = Collector {
            engine: config.engine,
            outputs: Vec::new(),
            elapsed: config.elapsed,
            on_abort: Some(config.on_abort),
            on_judged: config.on_judged,
        };
        collector.evaluate();
        collector.collect(&Arc::new(Worker::new().batch(3)));
        collector.evaluate();
        collector.evaluate();
        let finished = collector.finish(5.0);
        assert_eq!(finished.crossed.metrics, ["iterations"]);
        let asked: Vec<_> = aborted.iter().map(|crossed: Crossed| crossed.metrics).collect();
        assert_eq!(asked, vec![["iterations"]; aborts]);
    }
}
