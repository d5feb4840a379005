//! When a VU that asked to be woken at a certain time is woken: the timers behind `sleep()`, `setTimeout` and
//! `setInterval`, to within [`SLACK`] of what was asked for.
//!
//! tokio's timers tick in whole milliseconds, rounded up: `sleep(0.001)` would take up to 2 ms. VUs that are due at any
//! time within a millisecond would all wake up at its end and delay each other, and these delays would look like
//! latencies of the target. Here the timers of a thread are kept by due time, and one task waits for the earliest with
//! a timer of the kernel. Deadlines that may be late by a millisecond (idle timeouts, the ends of scenarios) stay with
//! tokio.

use std::cell::RefCell;
use std::collections::btree_map::{BTreeMap, Entry};
use std::future::poll_fn;
use std::mem;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

/// A timer may fire this much too late, so that many timers do not each cost a wake-up of the worker. The kernel has
/// the same tolerance for the timers of any process.
const SLACK: Duration = Duration::from_micros(50);

thread_local! {
    static TIMERS: RefCell<Timers> = RefCell::default();
}

/// The timers of one thread.
#[derive(Default)]
struct Timers {
    next_id: u64,
    by_due: BTreeMap<(Instant, u64), Waker>,
    watch: Watch,
}

/// The task that waits for the earliest timer.
#[derive(Default)]
enum Watch {
    #[default]
    None,
    /// Spawned, and about to look which timer is the earliest.
    Looking,
    Waiting(Waker),
}

/// Begins to watch the timers of this thread, if that has not happened yet. It is called when a VU is made, so that the
/// kernel's timer exists before the VU's script can use up all descriptors. Needs a `LocalSet` around it.
pub(crate) fn watch() {
    let begins = TIMERS.with_borrow_mut(|timers| {
        let is_watched = !matches!(timers.watch, Watch::None);
        if !is_watched {
            timers.watch = Watch::Looking;
        }
        !is_watched
    });
    if begins {
        tokio::task::spawn_local(watch_timers(EndOfWatch));
    }
}

/// Completes at `due` or up to a [`SLACK`] later, never before. Needs a `LocalSet` around it.
pub fn sleep_until(due: Instant) -> Sleep {
    Sleep { due, id: None }
}

/// See [`sleep_until`].
pub struct Sleep {
    due: Instant,
    /// Which of the thread's timers this is, once it is one.
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.due <= Instant::now() {
            return Poll::Ready(());
        }
        watch();
        let watcher = TIMERS.with_borrow_mut(|timers| {
            let id = *self.id.get_or_insert_with(|| {
                timers.next_id += 1;
                timers.next_id
            });
            match timers.by_due.entry((self.due, id)) {
                Entry::Occupied(mut known) => known.get_mut().clone_from(cx.waker()),
                Entry::Vacant(new) => drop(new.insert(cx.waker().clone())),
            }
            // One that is not the earliest will be found when the earliest has fired.
            let is_earliest =
                timers.by_due.first_key_value().is_some_and(|(first, _)| *first == (self.due, id));
            is_earliest.then(|| mem::replace(&mut timers.watch, Watch::Looking))
        });
        if let Some(Watch::Waiting(waker)) = watcher {
            waker.wake();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // A worker that ends takes its timers first.
            let _ = TIMERS.try_with(|timers| timers.borrow_mut().by_due.remove(&(self.due, id)));
        }
    }
}

/// Wakes the timers that are due, as long as the thread's runtime lives.
async fn watch_timers(_end: EndOfWatch) {
    let mut alarm = Alarm::new();
    let mut not_before = Instant::now();
    poll_fn(|cx| -> Poll<()> {
        loop {
            let now = Instant::now();
            while let Some(waker) = take_due(now) {
                not_before = now + SLACK;
                waker.wake();
            }
            let earliest = TIMERS.with_borrow_mut(|timers| {
                timers.watch = Watch::Waiting(cx.waker().clone());
                timers.by_due.first_key_value().map(|((due, _), _)| *due)
            });
            let Some(earliest) = earliest else { return Poll::Pending };
            ready!(alarm.poll_until(earliest.max(not_before), cx));
        }
    })
    .await;
}

fn take_due(now: Instant) -> Option<Waker> {
    TIMERS.with_borrow_mut(|timers| {
        let earliest = timers.by_due.first_entry()?;
        (earliest.key().0 <= now).then(|| earliest.remove())
    })
}

/// Lets the next runtime of this thread have a watch of its own, also when this one ends before its watch has begun.
struct EndOfWatch;

impl Drop for EndOfWatch {
    fn drop(&mut self) {
        let _ = TIMERS.try_with(|timers| timers.borrow_mut().watch = Watch::None);
    }
}

/// What the watch waits with.
enum Alarm {
    /// A timer of the kernel, and what it is set to.
    #[cfg(target_os = "linux")]
    Kernel(AsyncFd<OwnedFd>, Option<Instant>),
    /// Without such a timer (the process may have run out of descriptors), waits are exact to the millisecond.
    Ticks(Pin<Box<tokio::time::Sleep>>),
}

impl Alarm {
    #[cfg(target_os = "linux")]
    fn new() -> Self {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC);
        // SAFETY: the `AsyncFd` owns the timer's descriptor, which an `OwnedFd` keeps open, and the same, for life.
        let registered =
            timer.ok().and_then(|t| unsafe { AsyncFd::register_with_interest(t, Interest::READABLE) }.ok());
        registered.map_or_else(Self::ticks, |timer| Self::Kernel(timer, None))
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> Self {
        Self::ticks()
    }

    fn ticks() -> Self {
        Self::Ticks(Box::pin(tokio::time::sleep(Duration::ZERO)))
    }

    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(fd, set_to) => {
                if *set_to != Some(due) {
                    // If it has fired, it was for the time before. This forgets it, so that only the new time counts.
                    if let Poll::Ready(Ok(mut expired)) = fd.poll_read_ready(cx) {
                        expired.clear_ready();
                    }
                    if set(fd.get_ref(), due).is_err() {
                        *self = Self::ticks();
                        return self.poll_until(due, cx);
                    }
                    *set_to = Some(due);
                }
                // The timer is never read: setting it again clears its state.
                if let Ok(mut expired) = ready!(fd.poll_read_ready(cx)) {
                    expired.clear_ready();
                }
                *set_to = None;
                Poll::Ready(())
            }
            Self::Ticks(sleep) => {
                sleep.as_mut().reset(due.into());
                sleep.as_mut().poll(cx)
            }
        }
    }
}

/// Sets the kernel's timer to the time that is left, because an `Instant` has no absolute time.
#[cfg(target_os = "linux")]
fn set(timer: &OwnedFd, due: Instant) -> rustix::io::Result<()> {
    // Zero would switch the timer off.
    let left = due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
    let it_value = Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    fn on_a_worker<R>(work: impl Future<Output = R>) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, work)
    }

    #[test]
    fn a_timer_never_fires_early() {
        on_a_worker(async {
            let delays = [3000, 200, 1700, 0, 1650, 201, 9000];
            let sleepers = delays.map(|delay| {
                let due = Instant::now() + Duration::from_micros(delay);
                spawn_local(async move {
                    sleep_until(due).await;
                    assert!(Instant::now() >= due);
                })
            });
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
        });
    }

    #[test]
    fn who_is_due_first_is_woken_first() {
        on_a_worker(async {
            let begun = Instant::now() + Duration::from_secs(3600);
            let mut sleeps =
                [3, 1, 4, 2].map(|seconds| Box::pin(sleep_until(begun + Duration::from_secs(seconds))));
            poll_fn(|cx| {
                assert!(sleeps.iter_mut().all(|sleep| sleep.as_mut().poll(cx).is_pending()));
                Poll::Ready(())
            })
            .await;
            assert!(take_due(begun).is_none());
            let due =
                |timers: &RefCell<Timers>| timers.borrow().by_due.keys().map(|key| key.0).collect::<Vec<_>>();
            for left in [3, 2, 1, 0] {
                let earliest = TIMERS.with(due)[0];
                assert!(take_due(earliest).is_some());
                let later = TIMERS.with(due);
                assert!(later.len() == left && later.iter().all(|due| *due > earliest));
            }
        });
    }

    #[test]
    fn a_timer_that_is_given_up_leaves_nothing_behind() {
        on_a_worker(async {
            let far = Instant::now() + Duration::from_secs(3600);
            assert!(tokio::time::timeout(Duration::from_millis(5), sleep_until(far)).await.is_err());
            assert!(TIMERS.with_borrow(|timers| timers.by_due.is_empty()));
            sleep_until(Instant::now() + Duration::from_millis(1)).await;
        });
    }

    #[test]
    fn a_thread_may_have_one_runtime_after_another() {
        for _ in 0..3 {
            on_a_worker(sleep_until(Instant::now() + Duration::from_millis(1)));
            on_a_worker(async { watch() });
        }
    }

    #[test]
    fn without_a_timer_of_the_kernel_ticks_do() {
        on_a_worker(async {
            let mut alarm = Alarm::ticks();
            let due = Instant::now() + Duration::from_millis(3);
            poll_fn(|cx| alarm.poll_until(due, cx)).await;
            assert!(Instant::now() >= due);
        });
    }
}
