//! `ramping-vus`: VUs that loop, as many as the stages say.
//!
//! A VU that is no longer wanted finishes its iteration, for which it has the graceful ramp down. If it is wanted
//! again by then, it simply goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::scenario::{Deadlines, ScenarioRun};
use crate::pacer::VuStep;
use crate::vu::VuFactory;

pub(super) async fn run<F: VuFactory>(
    run: &mut ScenarioRun<F>,
    deadlines: Deadlines,
    (steps, graceful_ramp_down): (Vec<VuStep>, Duration),
) {
    let token = run.active.token.clone();
    let mut ramp = Ramp { slots: Vec::new(), wanted: 0, graceful_ramp_down, hard_stops: VecDeque::new() };
    for step in steps {
        ramp.wait_until(deadlines.started + step.at, &token).await;
        ramp.follow(run, step.vus as usize).await;
    }
    ramp.wait_until(deadlines.regular_end, &token).await;
    tokio::select! {
        () = run.all_vus_ended() => {}
        () = ramp.finish() => run.all_vus_ended().await,
    }
}

/// The VUs of a ramp.
struct Ramp {
    /// By their place in the ramp; `None` if no VU was free.
    slots: Vec<Option<Arc<Slot>>>,
    /// The places below this are wanted at the moment.
    wanted: usize,
    graceful_ramp_down: Duration,
    /// VUs that are to be interrupted, in the order of time.
    hard_stops: VecDeque<HardStop>,
}

struct HardStop {
    at: Instant,
    slot: Arc<Slot>,
    /// Which of the slot's stops this is the end of.
    stop: u32,
}

impl Ramp {
    /// Waits, and interrupts the VUs whose time is up meanwhile.
    async fn wait_until(&mut self, until: Instant, token: &CancellationToken) {
        let waiting = async {
            while self.hard_stops.front().is_some_and(|stop| stop.at < until) {
                self.next_hard_stop().await;
            }
            sleep_until(until).await;
        };
        token.run_until_cancelled(waiting).await;
    }

    /// Interrupts those that are left, each at its time.
    async fn finish(&mut self) {
        while !self.hard_stops.is_empty() {
            self.next_hard_stop().await;
        }
    }

    async fn next_hard_stop(&mut self) {
        let Some(at) = self.hard_stops.front().map(|stop| stop.at) else { return };
        sleep_until(at).await;
        if let Some(HardStop { slot, stop, .. }) = self.hard_stops.pop_front() {
            slot.interrupt(stop);
        }
    }

    /// Goes to a number of VUs.
    async fn follow<F: VuFactory>(&mut self, run: &ScenarioRun<F>, wanted: usize) {
        if self.slots.len() < wanted {
            self.slots.resize(wanted, None);
        }
        for place in self.wanted..wanted {
            if self.slots[place].as_ref().is_some_and(|slot| slot.go_on()) {
                continue;
            }
            self.slots[place] = start(run).await;
            if self.slots[place].is_none() {
                break;
            }
        }
        let interrupted_at = Instant::now() + self.graceful_ramp_down;
        for slot in self.slots[wanted..].iter().take(self.wanted.saturating_sub(wanted)).flatten() {
            let stop = slot.stop();
            self.hard_stops.push_back(HardStop { at: interrupted_at, slot: slot.clone(), stop });
        }
        self.wanted = wanted;
    }
}

/// Puts one more VU to work.
async fn start<F: VuFactory>(run: &ScenarioRun<F>) -> Option<Arc<Slot>> {
    let lease = run.take_vu().await?;
    let slot = Arc::new(Slot::new(run.active.token.child_token()));
    let (active, own) = (run.active.clone(), slot.clone());
    run.start_vu_until(slot.interrupt.clone(), lease, async move |vu| {
        loop {
            while vu.may_start() && own.is_wanted() {
                vu.iterate(active.next_iteration()).await;
            }
            if own.end(vu.may_start()) {
                break;
            }
        }
    });
    Some(slot)
}

/// Looks for work: it starts iterations.
const WANTED: u8 = 0;
/// It finishes its iteration; until then it may be wanted again.
const STOPPING: u8 = 1;
/// The VU will not start another iteration, whatever happens.
const ENDED: u8 = 2;

/// The state that the ramp and one of its VUs share.
struct Slot {
    state: AtomicU8,
    /// Stops so far.
    stops: AtomicU32,
    interrupt: CancellationToken,
}

impl Slot {
    fn new(interrupt: CancellationToken) -> Self {
        Self { state: AtomicU8::new(WANTED), stops: AtomicU32::new(0), interrupt }
    }

    fn change(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    // The ramp's side.

    /// The VU is not wanted any more. Returns the number of this stop.
    fn stop(&self) -> u32 {
        let _ = self.change(WANTED, STOPPING);
        self.stops.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The VU is wanted again. False if it is too late for that.
    fn go_on(&self) -> bool {
        self.change(STOPPING, WANTED).is_ok()
    }

    /// Interrupts the VU, unless it was wanted again since that stop.
    fn interrupt(&self, stop: u32) {
        let same = self.stops.load(Ordering::Relaxed) == stop;
        if same && self.change(STOPPING, ENDED).is_ok() {
            self.interrupt.cancel();
        }
    }

    // The VU's side.

    fn is_wanted(&self) -> bool {
        self.state.load(Ordering::Acquire) == WANTED
    }

    /// Whether the VU is to end. If it may start iterations, it may have been wanted again just now.
    fn end(&self, may_start: bool) -> bool {
        if may_start {
            return self.change(STOPPING, ENDED) != Err(WANTED);
        }
        self.state.store(ENDED, Ordering::Release);
        true
    }
}
