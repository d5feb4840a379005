//! Whether the generator itself was the bottleneck: arithmetic on what was measured of it, second by second.
//!
//! `meter` provides the figures, and the binary writes what users read about them. The limits and their reasons are in
//! `docs/design/saturation.md`.

use std::time::Duration;

use crate::machine_memory::MachineMemory;

/// A worker whose idle share falls below 10 % is overloaded: events wait for their turn.
pub const BUSY: f64 = 0.9;
/// An event loop that is this late distorts what it measures, if the worker had work for half of the time.
pub const LATE_LOOP: Duration = Duration::from_millis(100);
const LATE_LOOP_BUSY: f64 = 0.5;
/// A worker that ran for less than this had almost nothing to do; waits for a core are then no evidence.
const AT_WORK: f64 = 0.1;
/// An iteration of an arrival rate that begins later than this was not started at its rate.
pub const LATE_START: Duration = Duration::from_millis(50);
/// The share of late starts that makes a window count, and how many starts it takes to speak of a share.
const LATE_STARTS: f64 = 0.1;
const MANY_STARTS: u64 = 10;
/// The share of their time that workers may be held up by outputs.
const HELD_UP: f64 = 0.1;
/// The share of connects that may fail because this machine had nothing left to connect with.
const EXHAUSTED: f64 = 0.01;
/// The share of the machine's memory, or the container's, below which the system takes pages away that are in use.
const SCARCE_MEMORY: f64 = 0.02;
/// Evidence counts if it fills a fifth of the run and at least three windows, or ten seconds in a row.
const SUSTAINED_SHARE: f64 = 0.2;
const MIN_WINDOWS: u32 = 3;
const ON_END: Duration = Duration::from_secs(10);
/// More time in the queue for a core than on one, while the process had less than this share of all cores: others
/// have them.
const OWN_SHARE: f64 = 0.7;

/// What a worker did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerWindow {
    /// Time on a core, and time it needed one and had none; `None` where the system does not tell.
    pub scheduled: Option<Scheduled>,
    /// How late its event loop was at the worst.
    pub lag: Duration,
    /// Iterations of arrival rates it began, how many of them late, and how late at the worst.
    pub starts: u64,
    pub late_starts: u64,
    pub start_lag: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    pub running: Duration,
    pub queued: Duration,
}

/// What was measured between two looks, about a second apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub length: Duration,
    pub workers: Vec<WorkerWindow>,
    /// CPU time of the whole process.
    pub cpu: Duration,
    /// Time that all workers together were held up by outputs.
    pub held_up: Duration,
    /// At its end; `None` where the system does not tell.
    pub memory: Option<MachineMemory>,
    pub counts: Counts,
}

/// The attempts, and those that failed because this machine had run out of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connects: u64,
    /// Connects that failed because descriptors, threads, ports or addresses were used up.
    pub exhausted: u64,
    /// Iterations that did not begin, or were cut short, because stacks were used up.
    pub stackless: u64,
}

impl WorkerWindow {
    /// The share of the window in which the worker had something to do, 0 to 1.
    pub fn busy(&self, window: Duration) -> Option<f64> {
        let scheduled = self.scheduled?;
        let busy = (scheduled.running + scheduled.queued).as_secs_f64() / window.as_secs_f64().max(1e-9);
        Some(busy.min(1.0))
    }

    /// The kernel counts time in the queue when it is over, which may be a window later: judged are two at a time.
    fn is_saturated(&self, length: Duration, before: Option<(&Self, Duration)>) -> bool {
        let is_late = self.lag >= LATE_LOOP;
        let both = match before {
            Some((before, earlier)) => self.scheduled.zip(before.scheduled).map(|(now, before)| {
                let (running, queued) = (now.running + before.running, now.queued + before.queued);
                (running, queued, length + earlier)
            }),
            None => self.scheduled.map(|now| (now.running, now.queued, length)),
        };
        let Some((running, queued, length)) = both else { return is_late };
        let share = |of: Duration| of.as_secs_f64() / length.as_secs_f64().max(1e-9);
        let (busy, is_at_work) = (share(running + queued), share(running) >= AT_WORK);
        (busy >= BUSY && (is_at_work || is_late)) || (busy >= LATE_LOOP_BUSY && is_at_work && is_late)
    }
}

/// One way in which the generator held the test back.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Workers had no time to spare for `during`; up to `worst` of them at once, `of` in all.
    Workers { during: Duration, worst: usize, of: usize, lag: Duration, starved: bool },
    /// Iterations of arrival rates began late.
    LateStarts { during: Duration, late: u64, starts: u64, lag: Duration },
    /// Outputs held the workers up.
    Outputs { during: Duration, held_up: Duration },
    /// Memory was nearly used up; the least that was left.
    Memory { during: Duration, least: MachineMemory },
    /// Connects failed because descriptors, threads, ports or addresses were used up.
    Exhausted { failed: u64, connects: u64 },
    /// Iterations did not run, or did not finish, because no stack was left.
    Stackless { iterations: u64 },
}

/// The judgement on a run; `findings` is empty if its figures can be trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saturation {
    /// How long was looked.
    pub watched: Duration,
    pub findings: Vec<Finding>,
}

/// Adds windows up.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    watched: Duration,
    before: Option<Window>,
    workers: Sustained,
    worst: usize,
    of: usize,
    lag: Duration,
    queued: Duration,
    running: Duration,
    cpu: Duration,
    late: Sustained,
    late_starts: u64,
    starts: u64,
    start_lag: Duration,
    outputs: Sustained,
    held_up: Duration,
    scarce_memory: Sustained,
    least_memory: Option<MachineMemory>,
    counts: Counts,
}

/// How long something was the case, in total and at a stretch.
#[derive(Debug, Default)]
struct Sustained {
    windows: u32,
    total: Duration,
    stretch: Duration,
    longest: Duration,
}

impl Sustained {
    fn add(&mut self, length: Duration, is_so: bool) {
        self.stretch = if is_so { self.stretch + length } else { Duration::ZERO };
        self.longest = self.longest.max(self.stretch);
        if is_so {
            self.windows += 1;
            self.total += length;
        }
    }

    fn is_enough(&self, of: Duration) -> bool {
        let share = self.total.as_secs_f64() >= of.as_secs_f64() * SUSTAINED_SHARE;
        self.windows >= MIN_WINDOWS && (share || self.longest >= ON_END)
    }
}

impl Evidence {
    pub(crate) fn add(&mut self, window: &Window) {
        let length = window.length;
        self.watched += length;
        self.of = window.workers.len();
        let before =
            |worker: usize| self.before.as_ref().and_then(|w| Some((w.workers.get(worker)?, w.length)));
        let workers = window.workers.iter().enumerate();
        let saturated: Vec<_> =
            workers.filter(|(at, w)| w.is_saturated(length, before(*at))).map(|(_, w)| w).collect();
        self.workers.add(length, !saturated.is_empty());
        self.worst = self.worst.max(saturated.len());
        if !saturated.is_empty() {
            self.cpu += window.cpu;
        }
        for worker in saturated {
            self.lag = self.lag.max(worker.lag);
            let scheduled = worker.scheduled.unwrap_or_default();
            self.running += scheduled.running;
            self.queued += scheduled.queued;
        }
        let starts: u64 = window.workers.iter().map(|w| w.starts).sum();
        let late: u64 = window.workers.iter().map(|w| w.late_starts).sum();
        let is_late = starts >= MANY_STARTS && late as f64 >= starts as f64 * LATE_STARTS;
        self.late.add(length, is_late);
        if is_late {
            self.late_starts += late;
            self.starts += starts;
            let worst = window.workers.iter().map(|w| w.start_lag).max();
            self.start_lag = self.start_lag.max(worst.unwrap_or_default());
        }
        let allowed = length.as_secs_f64() * window.workers.len() as f64 * HELD_UP;
        let is_held_up = !window.held_up.is_zero() && window.held_up.as_secs_f64() >= allowed;
        self.outputs.add(length, is_held_up);
        if is_held_up {
            self.held_up += window.held_up;
        }
        self.add_memory(length, window.memory);
        self.add_counts(&window.counts);
        self.before = Some(window.clone());
    }

    fn add_memory(&mut self, length: Duration, memory: Option<MachineMemory>) {
        let scarce = memory.filter(|m| (m.available as f64) < m.total as f64 * SCARCE_MEMORY);
        self.scarce_memory.add(length, scarce.is_some());
        let least = self.least_memory.into_iter().chain(scarce).min_by_key(|memory| memory.available);
        self.least_memory = least;
    }

    pub(crate) fn add_counts(&mut self, counts: &Counts) {
        self.counts.connects += counts.connects;
        self.counts.exhausted += counts.exhausted;
        self.counts.stackless += counts.stackless;
    }

    /// `cores`: how many the process may use.
    pub(crate) fn judge(&self, cores: usize) -> Saturation {
        let mut findings = Vec::new();
        if self.workers.is_enough(self.watched) {
            let all_cores = self.workers.total.as_secs_f64() * cores as f64;
            findings.push(Finding::Workers {
                during: self.workers.total,
                worst: self.worst,
                of: self.of,
                lag: self.lag,
                starved: self.queued >= self.running
                    && !self.queued.is_zero()
                    && self.cpu.as_secs_f64() < all_cores * OWN_SHARE,
            });
        }
        if self.late.is_enough(self.watched) {
            let (during, late, starts) = (self.late.total, self.late_starts, self.starts);
            findings.push(Finding::LateStarts { during, late, starts, lag: self.start_lag });
        }
        if self.outputs.is_enough(self.watched) {
            findings.push(Finding::Outputs { during: self.outputs.total, held_up: self.held_up });
        }
        if let Some(least) = self.least_memory.filter(|_| self.scarce_memory.is_enough(self.watched)) {
            findings.push(Finding::Memory { during: self.scarce_memory.total, least });
        }
        let Counts { connects, exhausted, stackless } = self.counts;
        if exhausted > 0 && exhausted as f64 >= connects as f64 * EXHAUSTED {
            findings.push(Finding::Exhausted { failed: exhausted, connects });
        }
        // Part of the requested load is missing, even if it is small.
        if stackless > 0 {
            findings.push(Finding::Stackless { iterations: stackless });
        }
        Saturation { watched: self.watched, findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn window(running: u32, queued: u32, lag: u32) -> Window {
        let scheduled = Some(Scheduled { running: running * MS, queued: queued * MS });
        let worker = WorkerWindow { scheduled, lag: lag * MS, ..WorkerWindow::default() };
        let idle = Some(Scheduled::default());
        let other = WorkerWindow { scheduled: idle, ..WorkerWindow::default() };
        Window { length: SECOND, workers: vec![worker, other], cpu: running * MS, ..Window::default() }
    }

    fn judge(windows: impl IntoIterator<Item = Window>) -> Vec<Finding> {
        let mut evidence = Evidence::default();
        windows.into_iter().for_each(|window| evidence.add(&window));
        evidence.judge(2).findings
    }

    fn repeat(window: &Window, times: usize) -> impl Iterator<Item = Window> {
        std::iter::repeat_n(window.clone(), times)
    }

    #[test]
    fn one_worker_without_idle_time_is_enough() {
        let lag = Duration::from_millis(40);
        assert_eq!(
            judge(repeat(&window(970, 10, 40), 5)),
            [Finding::Workers { during: 5 * SECOND, worst: 1, of: 2, lag, starved: false }]
        );
        assert_eq!(judge(repeat(&window(880, 0, 40), 60)), []);
    }

    #[test]
    fn a_worker_without_a_core_is_starved() {
        let [Finding::Workers { starved, .. }] = judge(repeat(&window(300, 690, 120), 5))[..] else {
            panic!("one finding")
        };
        assert!(starved);
        assert_eq!(judge(repeat(&window(50, 900, 20), 5)), [], "it had next to nothing to do");
    }

    #[test]
    fn time_in_the_queue_may_be_told_late() {
        let unequal = [window(450, 100, 20), window(450, 1000, 20)];
        assert_eq!(judge(unequal.iter().cycle().take(6).cloned()).len(), 1);
    }

    #[test]
    fn a_late_loop_counts_where_there_is_work() {
        assert_eq!(judge(repeat(&window(600, 0, 150), 4)).len(), 1);
        // A machine that wakes an idle worker late.
        assert_eq!(judge(repeat(&window(10, 700, 500), 60)), []);
    }

    #[test]
    fn evidence_has_to_be_sustained() {
        let (busy, idle) = (window(1000, 0, 10), window(100, 0, 1));
        let run = |bad, good| judge(repeat(&busy, bad).chain(repeat(&idle, good))).len();
        assert_eq!((run(2, 0), run(3, 0)), (0, 1), "three seconds at least");
        assert_eq!((run(5, 20), run(5, 21)), (1, 0), "a fifth of the run");
        assert_eq!((run(9, 1000), run(10, 1000)), (0, 1), "or ten seconds on end");
    }

    #[test]
    fn late_starts_are_told_apart_from_few() {
        let with = |starts, late_starts| {
            let mut window = window(100, 0, 1);
            window.workers[1] = WorkerWindow { starts, late_starts, start_lag: 80 * MS, ..window.workers[1] };
            judge(repeat(&window, 4)).len()
        };
        assert_eq!((with(100, 10), with(100, 9), with(9, 9)), (1, 0, 0));
    }

    #[test]
    fn outputs_hold_workers_up() {
        let with = |held_up: u32| judge(repeat(&Window { held_up: held_up * MS, ..window(1, 0, 0) }, 4));
        assert_eq!(with(199), []);
        assert_eq!(with(200), [Finding::Outputs { during: 4 * SECOND, held_up: 800 * MS }]);
    }

    #[test]
    fn a_machine_without_memory() {
        let with = |available| {
            let memory = Some(MachineMemory { available, total: 1000 });
            judge(repeat(&Window { memory, ..window(1, 0, 0) }, 4))
        };
        assert_eq!(with(20), []);
        let least = MachineMemory { available: 19, total: 1000 };
        assert_eq!(with(19), [Finding::Memory { during: 4 * SECOND, least }]);
    }

    #[test]
    fn a_machine_without_ports() {
        let with = |connects, exhausted| {
            let counts = Counts { connects, exhausted, stackless: 0 };
            judge([Window { counts, ..window(1, 0, 0) }]).len()
        };
        assert_eq!((with(1000, 0), with(1000, 9), with(1000, 10), with(1, 1)), (0, 0, 1, 1));
    }

    #[test]
    fn a_machine_without_stacks() {
        let counts = Counts { stackless: 1, ..Counts::default() };
        assert_eq!(judge([Window { counts, ..window(1, 0, 0) }]), [Finding::Stackless { iterations: 1 }]);
    }

    #[test]
    fn without_word_from_the_system_the_loop_speaks() {
        let mut late = window(0, 0, 150);
        late.workers[0].scheduled = None;
        assert_eq!(judge(repeat(&late, 4)).len(), 1);
    }
}
