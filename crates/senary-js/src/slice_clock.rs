//! The clock that tells busy script when its time with the worker is over.
//!
//! At every loop iteration, call and step of a long native, the engine checks whether it should stop. The check costs
//! no more than reading one byte of its worker. One thread for the whole process sets this byte: every few milliseconds
//! it looks at the workers, and sets the byte of each worker that it finds in the same stretch of script twice in a
//! row. So the limit is a time, however long a single step of the script takes, and short turns are never disturbed.
//!
//! While no script runs, the clock sleeps and wakes no thread.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use rquickjs::{Ctx, qjs};

unsafe extern "C" {
    fn JS_SetInterruptFlag(rt: *mut qjs::JSRuntime, flag: *mut u8);
}

/// How often the clock looks. A stretch of script that it finds twice has lasted for this long at least, and for twice as
/// long at most.
const TICK: Duration = Duration::from_millis(5);

/// After that many ticks without script the clock goes to sleep.
const QUIET_TICKS: u32 = 4;

/// The clock's thread runs one small loop.
const STACK_SIZE: usize = 64 * 1024;

/// What a worker and the clock know of each other.
#[repr(align(64))]
struct Worker {
    /// Counts up when script is entered and when it is left: odd while script runs.
    stretch: AtomicU32,
    /// Not zero if the engine has to check what to do.
    is_due: AtomicU8,
    is_taken: AtomicBool,
}

struct Clock {
    is_asleep: AtomicBool,
    thread: Mutex<Option<Thread>>,
    /// Entries are never freed, but used again once their thread has ended: there are as many as there ever were workers
    /// at a time.
    workers: Mutex<Vec<&'static Worker>>,
}

static CLOCK: Clock =
    Clock { is_asleep: AtomicBool::new(true), thread: Mutex::new(None), workers: Mutex::new(Vec::new()) };

/// The entry of a thread, for as long as the thread lives.
struct Registered(&'static Worker);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.is_due.store(0, Ordering::Relaxed);
        self.0.is_taken.store(false, Ordering::Release);
    }
}

thread_local! {
    static WORKER: Registered = Registered(register());
}

/// A stretch of script on this thread; it ends when this is dropped.
pub struct Stretch {
    /// `None`: it is part of another one.
    worker: Option<&'static Worker>,
}

/// Begins a stretch of script, and wakes the clock if it sleeps.
pub fn enter() -> Stretch {
    let worker = this_worker();
    let count = worker.stretch.load(Ordering::Relaxed);
    if count % 2 == 1 {
        return Stretch { worker: None };
    }
    worker.stretch.store(count.wrapping_add(1), Ordering::Relaxed);
    // A worker that reads an old `false` here stored its count before the clock's last look: see `doze`.
    if CLOCK.is_asleep.load(Ordering::Relaxed) {
        CLOCK.wake();
    }
    Stretch { worker: Some(worker) }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        if let Some(worker) = self.worker {
            let count = worker.stretch.load(Ordering::Relaxed);
            worker.stretch.store(count.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// Whether script of this thread has to check what to do, because it has had the worker for long.
pub fn is_due() -> bool {
    this_worker().is_due.load(Ordering::Relaxed) != 0
}

/// Lets script go on for another slice.
pub fn restart() {
    this_worker().is_due.store(0, Ordering::Relaxed);
}

/// Makes script of this thread check what to do at its next step.
pub fn hurry() {
    this_worker().is_due.store(1, Ordering::Relaxed);
}

/// Lets an engine of this thread call its interrupt handler when the clock says so.
pub fn watch(ctx: &Ctx<'_>) {
    let flag = this_worker().is_due.as_ptr();
    // SAFETY: the context is alive, so its engine is, too; the byte of a worker stays where it is for ever.
    unsafe { JS_SetInterruptFlag(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), flag) }
}

fn this_worker() -> &'static Worker {
    // A thread that is ending has no entry any more and nothing to check.
    static NOBODY: Worker = Worker::new();
    WORKER.try_with(|registered| registered.0).unwrap_or(&NOBODY)
}

fn register() -> &'static Worker {
    let mut workers = lock(&CLOCK.workers);
    let free = workers.iter().find(|worker| !worker.is_taken.swap(true, Ordering::Acquire));
    if let Some(worker) = free {
        return worker;
    }
    let worker: &'static Worker = Box::leak(Box::new(Worker::new()));
    worker.is_taken.store(true, Ordering::Relaxed);
    workers.push(worker);
    worker
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    const fn new() -> Self {
        Self { stretch: AtomicU32::new(0), is_due: AtomicU8::new(0), is_taken: AtomicBool::new(false) }
    }
}

impl Clock {
    /// Wakes the clock's thread, or starts it the first time. Should that fail, the next stretch tries again.
    #[cold]
    fn wake(&'static self) {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let clock = thread::Builder::new().name("slice-clock".to_owned()).stack_size(STACK_SIZE);
            *thread = clock.spawn(|| self.run()).ok().map(|handle| handle.thread().clone());
        }
        if let Some(thread) = &*thread {
            self.is_asleep.store(false, Ordering::Relaxed);
            thread.unpark();
        }
    }

    fn run(&self) {
        let mut seen = Vec::new();
        let mut quiet = 0;
        loop {
            thread::sleep(TICK);
            quiet = if self.tick(&mut seen) { 0 } else { quiet + 1 };
            if quiet >= QUIET_TICKS {
                self.doze(&mut seen);
                quiet = 0;
            }
        }
    }

    /// Looks at every worker; whether any of them has run script since the last look.
    fn tick(&self, seen: &mut Vec<u32>) -> bool {
        let mut is_busy = false;
        let workers = lock(&self.workers);
        seen.resize(workers.len(), 0);
        for (worker, seen) in workers.iter().zip(seen) {
            let stretch = worker.stretch.load(Ordering::Relaxed);
            let is_same = stretch == std::mem::replace(seen, stretch);
            if stretch % 2 == 1 && is_same {
                worker.is_due.store(1, Ordering::Relaxed);
            }
            is_busy |= stretch % 2 == 1 || !is_same;
        }
        is_busy
    }

    /// Sleeps until script is entered. A worker that entered it just before the clock said so may not have seen that; it
    /// is found by one more look, a tick later, when its store has long arrived.
    fn doze(&self, seen: &mut Vec<u32>) {
        self.is_asleep.store(true, Ordering::Relaxed);
        thread::park_timeout(TICK);
        if self.tick(seen) {
            self.is_asleep.store(false, Ordering::Relaxed);
        }
        while self.is_asleep.load(Ordering::Relaxed) {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn wait_until_due() -> Duration {
        let started = Instant::now();
        while !is_due() {
            assert!(started.elapsed() < Duration::from_secs(10), "the clock stands still");
            std::hint::spin_loop();
        }
        started.elapsed()
    }

    #[test]
    fn a_long_stretch_is_told_and_told_again() {
        for _ in 0..3 {
            let _stretch = enter();
            restart();
            assert!(wait_until_due() > Duration::from_millis(1));
            restart();
            wait_until_due();
        }
    }

    #[test]
    fn it_wakes_up_after_a_rest() {
        for _ in 0..3 {
            thread::sleep(TICK * (QUIET_TICKS + 3));
            let _stretch = enter();
            restart();
            wait_until_due();
        }
    }

    #[test]
    fn short_stretches_are_left_alone() {
        restart();
        let started = Instant::now();
        let mut longest = Duration::ZERO;
        while started.elapsed() < TICK * 10 {
            let entered = Instant::now();
            drop(enter());
            longest = longest.max(entered.elapsed());
        }
        // The machine may have held this very thread up in the middle of one.
        assert!(!is_due() || longest > TICK);
    }

    #[test]
    fn a_stretch_within_another_does_not_end_it() {
        let outer = enter();
        drop(enter());
        restart();
        wait_until_due();
        drop(outer);
        assert_eq!(this_worker().stretch.load(Ordering::Relaxed) % 2, 0);
    }
}
