//! Measures the generator itself: how late a worker's event loop is, how late iterations begin, and for how much of the
//! time workers and process are busy.
//!
//! Workers only count, on their own cache lines, where they do something anyway; everything else is read from
//! outside, once a second, by the caller of [`Meter::look`]. `saturation` judges what it means.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use senary_metrics::{Recorder, TagSet, Timestamp, builtin};

use crate::machine_memory::MachineMemory;
use crate::saturation::{Counts, Evidence, LATE_START, Saturation, Scheduled, Window, WorkerWindow};

/// Counts of one worker, written by it alone. All times are nanoseconds.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerMeter {
    base: Instant,
    /// When the loop is due next, since `base`.
    due: AtomicU64,
    /// The worst since the last look.
    lag: AtomicU64,
    start_lag: AtomicU64,
    starts: AtomicU64,
    late_starts: AtomicU64,
    connects: AtomicU64,
    exhausted: AtomicU64,
    stackless: AtomicU64,
    /// Time it let others have, since the thread began.
    given_away: AtomicU64,
    /// The system's file on the worker's thread.
    thread: OnceLock<PathBuf>,
}

impl Default for WorkerMeter {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            due: AtomicU64::new(u64::MAX),
            lag: AtomicU64::new(0),
            start_lag: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            late_starts: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
            stackless: AtomicU64::new(0),
            given_away: AtomicU64::new(0),
            thread: OnceLock::new(),
        }
    }
}

impl WorkerMeter {
    /// Called on the worker's thread: from now on the system is asked about it.
    pub(crate) fn adopt_thread(&self) {
        // `PID/task/TID`
        if let Ok(own) = std::fs::read_link("/proc/thread-self") {
            let _ = self.thread.set(PathBuf::from("/proc").join(own).join("schedstat"));
        }
    }

    /// The loop has come to something that was due at `due`, and will be again after `next`.
    pub(crate) fn ticked(&self, due: Instant, next: Duration) {
        let now = Instant::now();
        self.lag.fetch_max(nanos(now.saturating_duration_since(due)), Ordering::Relaxed);
        self.due.store(nanos(now + next - self.base), Ordering::Relaxed);
    }

    /// An iteration of an arrival rate begins, so much later than it was due.
    pub(crate) fn started(&self, late: Duration) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.start_lag.fetch_max(nanos(late), Ordering::Relaxed);
        if late >= LATE_START {
            self.late_starts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connect was tried; it failed because this machine had no descriptor, port or address left, or not.
    pub fn connected(&self, exhausted: bool) {
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.exhausted.fetch_add(u64::from(exhausted), Ordering::Relaxed);
    }

    /// An iteration did not begin, or not go on, because this machine had no stack left for it.
    pub fn ran_out_of_stacks(&self) {
        self.stackless.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker had nothing to do and let other threads go first for so long.
    pub(crate) fn gave_way(&self, took: Duration) {
        self.given_away.fetch_add(nanos(took), Ordering::Relaxed);
    }

    fn take(&self) -> WorkerWindow {
        let now = nanos(self.base.elapsed());
        let pending = now.saturating_sub(self.due.load(Ordering::Relaxed));
        let take = |cell: &AtomicU64| cell.swap(0, Ordering::Relaxed);
        WorkerWindow {
            scheduled: None,
            lag: Duration::from_nanos(take(&self.lag).max(pending)),
            starts: take(&self.starts),
            late_starts: take(&self.late_starts),
            start_lag: Duration::from_nanos(take(&self.start_lag)),
        }
    }

    /// The kernel's CPU accounting of the thread, and the time that it yielded, since its start.
    fn times(&self) -> Option<Times> {
        let text = std::fs::read_to_string(self.thread.get()?).ok()?;
        let mut figures = text.split_whitespace().map(|figure| figure.parse().map(Duration::from_nanos));
        let given_away = Duration::from_nanos(self.given_away.load(Ordering::Relaxed));
        Some(Times { running: figures.next()?.ok()?, queued: figures.next()?.ok()?, given_away })
    }
}

/// Of a worker's thread; they only grow.
#[derive(Clone, Copy)]
struct Times {
    /// On a core.
    running: Duration,
    /// Ready to run, without one.
    queued: Duration,
    /// Part of the latter.
    given_away: Duration,
}

impl Times {
    fn since(self, before: Self) -> Scheduled {
        let given_away = self.given_away.saturating_sub(before.given_away);
        Scheduled {
            running: self.running.saturating_sub(before.running),
            queued: self.queued.saturating_sub(before.queued).saturating_sub(given_away),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// How long all workers together were held up by outputs so far.
pub type HeldUp = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Measures while scenarios run.
pub(crate) struct Meter {
    workers: Vec<Arc<WorkerMeter>>,
    held_up: HeldUp,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` while no scenario runs.
    last: Option<Look>,
    evidence: Evidence,
}

/// Figures that only grow, as they were at a moment.
struct Look {
    at: Instant,
    cpu: Duration,
    held_up: Duration,
    workers: Vec<Option<Times>>,
}

/// Windows are at least this long, because the caller looks every second, no matter when scenarios began.
const WINDOW: Duration = Duration::from_millis(950);
/// A last window that is shorter than this is not judged.
const MIN_LAST_WINDOW: Duration = Duration::from_millis(500);

impl Meter {
    pub(crate) fn new(workers: usize, held_up: HeldUp) -> Self {
        let workers = std::iter::repeat_with(Arc::<WorkerMeter>::default).take(workers).collect();
        Self { workers, held_up, state: Mutex::default() }
    }

    pub(crate) fn worker(&self, index: usize) -> Arc<WorkerMeter> {
        self.workers[index].clone()
    }

    /// Scenarios begin: what was before does not count.
    pub(crate) fn begin(&self) {
        self.workers.iter().for_each(|worker| {
            worker.take();
        });
        self.lock().last = Some(self.figures());
    }

    /// Takes the window since the last look into account; `None` if no scenario runs, or not for long enough yet.
    pub(crate) fn look(&self) -> Option<Window> {
        self.look_back(WINDOW)
    }

    fn look_back(&self, least: Duration) -> Option<Window> {
        let mut state = self.lock();
        let before = state.last.take_if(|last| last.at.elapsed() >= least)?;
        let now = self.figures();
        let window = self.window(&before, &now);
        state.evidence.add(&window);
        state.last = Some(now);
        Some(window)
    }

    /// The scenarios have ended. A last window that is short is not judged, but what was counted in it counts.
    pub(crate) fn end(&self) {
        self.look_back(MIN_LAST_WINDOW);
        let last = self.counted();
        let mut state = self.lock();
        state.evidence.add_counts(&last);
        state.last = None;
    }

    pub(crate) fn judge(&self) -> Saturation {
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        self.lock().evidence.judge(cores)
    }

    fn figures(&self) -> Look {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Look {
            at: Instant::now(),
            cpu: Duration::new(cpu.tv_sec.unsigned_abs(), cpu.tv_nsec.unsigned_abs() as u32),
            held_up: (self.held_up)(),
            workers: self.workers.iter().map(|worker| worker.times()).collect(),
        }
    }

    fn window(&self, before: &Look, now: &Look) -> Window {
        let workers = self.workers.iter().zip(before.workers.iter().zip(&now.workers));
        let workers = workers.map(|(worker, (before, now))| {
            let scheduled = before.zip(*now).map(|(before, now)| now.since(before));
            WorkerWindow { scheduled, ..worker.take() }
        });
        Window {
            length: now.at.saturating_duration_since(before.at),
            workers: workers.collect(),
            cpu: now.cpu.saturating_sub(before.cpu),
            held_up: now.held_up.saturating_sub(before.held_up),
            memory: MachineMemory::now(),
            counts: self.counted(),
        }
    }

    fn counted(&self) -> Counts {
        Counts {
            connects: self.count(|worker| &worker.connects),
            exhausted: self.count(|worker| &worker.exhausted),
            stackless: self.count(|worker| &worker.stackless),
        }
    }

    /// Takes what all workers counted.
    fn count(&self, cell: fn(&WorkerMeter) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| cell(worker).swap(0, Ordering::Relaxed)).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records a window as samples of the generator's own metrics.
pub(crate) fn record(window: &Window, recorder: &mut Recorder, tags: &TagSet, time: Timestamp) {
    let run = recorder.intern(tags);
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    for (index, worker) in window.workers.iter().enumerate() {
        let tags = recorder.derive(run, [("worker", index.to_string().as_str())].into_iter());
        let busy = worker.busy(window.length).map(|busy| busy * 1e2);
        let start_lag = (worker.starts > 0).then(|| milliseconds(worker.start_lag));
        for (metric, value) in [
            (builtin::SENARY_WORKER_BUSY, busy),
            (builtin::SENARY_WORKER_LAG, Some(milliseconds(worker.lag))),
            (builtin::SENARY_START_LAG, start_lag),
        ] {
            let Some(value) = value else { continue };
            let series = recorder.series(metric, tags);
            recorder.record(series, value, time);
        }
    }
    let cpu = window.cpu.as_secs_f64() / window.length.as_secs_f64().max(1e-9) * 1e2;
    for (metric, value) in [
        (builtin::SENARY_CPU, cpu),
        (builtin::SENARY_HELD_UP, milliseconds(window.held_up)),
        (builtin::SENARY_EXHAUSTED, (window.counts.exhausted + window.counts.stackless) as f64),
    ] {
        let series = recorder.series(metric, run);
        recorder.record(series, value, time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_was_given_away_is_idle_time() {
        let at = |running, queued, given_away| {
            let ms = Duration::from_millis;
            Times { running: ms(running), queued: ms(queued), given_away: ms(given_away) }
        };
        let scheduled = at(500, 700, 400).since(at(100, 200, 50));
        let (running, queued) = (Duration::from_millis(400), Duration::from_millis(150));
        assert_eq!(scheduled, Scheduled { running, queued });
        assert_eq!(at(500, 200, 400).since(at(100, 200, 50)).queued, Duration::ZERO);
    }

    #[test]
    fn a_busy_thread_is_seen_from_outside() {
        let meter = Meter::new(1, Arc::new(|| Duration::ZERO));
        let worker = meter.worker(0);
        let (ready, begin) = std::sync::mpsc::channel();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            worker.adopt_thread();
            worker.ticked(Instant::now(), Duration::from_millis(50));
            worker.started(Duration::from_millis(70));
            worker.connected(true);
            ready.send(()).unwrap();
            while !until.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        begin.recv().unwrap();
        // What was before the run is forgotten, but not that the loop is due.
        meter.begin();
        assert!(meter.look_back(Duration::MAX).is_none(), "it is too early");
        std::thread::sleep(WINDOW);
        let window = meter.look().unwrap();
        meter.end();
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        assert_eq!(window.workers[0].starts, 0);
        assert!(window.workers[0].lag >= Duration::from_millis(500), "{window:?}");
        // Without the system's figures there is nothing to compare.
        if let Some(busy) = window.workers[0].busy(window.length) {
            assert!(busy > 0.5, "{window:?}");
        }
        assert!(window.cpu > Duration::ZERO);
        assert!(meter.look().is_none(), "no scenario runs");
    }
}
