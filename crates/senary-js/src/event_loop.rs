//! The event loop of a VU: what waits to run, what keeps an iteration alive, and who wakes it.
//!
//! I/O never calls script: it queues an [`Event`] here and wakes the VU. Timers are kept by due time. Each event knows
//! itself what it does when its turn comes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rquickjs::{Ctx, Function, Persistent, Value};
use rustc_hash::FxHashMap;

use crate::live::{Live, LiveId};
use crate::promise::Resolvers;
use crate::residents::Residents;

/// Something whose turn comes on the VU's own stack.
pub enum Event {
    /// A live object has one more thing to report to script.
    Live(Rc<dyn Live>),
    Callback(Box<dyn for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<()>>),
}

/// A `setTimeout` or `setInterval` of the script.
pub struct Timer {
    pub callback: Persistent<Function<'static>>,
    pub arguments: Vec<Persistent<Value<'static>>>,
    /// `None`: it fires once.
    pub interval: Option<Duration>,
    /// It does not keep the iteration alive, and ends with it.
    pub in_background: bool,
}

#[derive(Default)]
pub struct EventLoop {
    queue: RefCell<VecDeque<Event>>,
    timers: RefCell<Timers>,
    /// Operations under way whose completion will queue an event, and the promises they settle.
    operations: RefCell<FxHashMap<u64, Resolvers>>,
    next_operation: Cell<u64>,
    /// What may still call script, and therefore holds the iteration open.
    live: RefCell<FxHashMap<LiveId, Rc<dyn Live>>>,
    next_live: Cell<u64>,
    /// What outlives iterations.
    pub residents: Residents,
    /// A run of script is under way: an iteration, or a function of the life cycle.
    is_running: Cell<bool>,
    /// Runs so far.
    runs: Cell<u64>,
    /// Events and timers so far.
    turns: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Default)]
struct Timers {
    next_id: u32,
    by_due: BTreeSet<(Instant, u32)>,
    by_id: FxHashMap<u32, (Instant, Timer)>,
    /// How many of them are in the background.
    in_background: usize,
}

impl Timers {
    fn insert(&mut self, id: u32, due: Instant, timer: Timer) {
        self.in_background += usize::from(timer.in_background);
        self.by_due.insert((due, id));
        self.by_id.insert(id, (due, timer));
    }

    fn remove(&mut self, id: u32) -> Option<Timer> {
        let (due, timer) = self.by_id.remove(&id)?;
        self.by_due.remove(&(due, id));
        self.in_background -= usize::from(timer.in_background);
        Some(timer)
    }
}

impl EventLoop {
    /// Queues an event and wakes the VU.
    pub fn push(&self, event: Event) {
        self.queue.borrow_mut().push_back(event);
        self.wake();
    }

    /// Queues an event without waking the VU: the caller lets the VU run, or knows that it will check its queue.
    pub fn push_quietly(&self, event: Event) {
        self.queue.borrow_mut().push_back(event);
    }

    pub fn pop(&self) -> Option<Event> {
        let event = self.queue.borrow_mut().pop_front()?;
        self.turns.set(self.turns.get() + 1);
        Some(event)
    }

    /// The number of the event or timer for which script is being called.
    pub fn turn(&self) -> u64 {
        self.turns.get()
    }

    /// Registers an operation whose completion will be an event, and keeps its promise until then.
    pub fn begin_operation(&self, promise: Resolvers) -> u64 {
        let id = self.next_operation.get();
        self.next_operation.set(id + 1);
        self.operations.borrow_mut().insert(id, promise);
        id
    }

    /// Returns the promise of an operation that is done; `None` if the iteration has ended in the meantime.
    pub fn end_operation(&self, id: u64) -> Option<Resolvers> {
        self.operations.borrow_mut().remove(&id)
    }

    /// A name for something live.
    pub fn new_live_id(&self) -> LiveId {
        let number = self.next_live.get();
        self.next_live.set(number + 1);
        LiveId::new(number)
    }

    /// The iteration lasts until this is released.
    pub fn hold(&self, id: LiveId, live: Rc<dyn Live>) {
        self.live.borrow_mut().insert(id, live);
    }

    /// The iteration need not wait for this any more.
    pub fn release(&self, id: LiveId) {
        self.live.borrow_mut().remove(&id);
    }

    /// A run of script begins. What has outlived the one before may go on.
    pub fn begin_run(&self) {
        self.is_running.set(true);
        self.runs.set(self.runs.get() + 1);
        self.residents.all().iter().for_each(|live| live.wake());
    }

    pub fn end_run(&self) {
        self.is_running.set(false);
        self.residents.all().iter().for_each(|live| live.run_ended());
    }

    /// The number of the run that is under way; `None` between two.
    pub fn run(&self) -> Option<u64> {
        self.is_running.get().then(|| self.runs.get())
    }

    /// The VU is back from a blocking call.
    pub fn wake_live(&self) {
        self.live.borrow().values().for_each(|live| live.wake());
        self.residents.all().iter().for_each(|live| live.wake());
    }

    /// What is live, in words.
    pub fn describe_live(&self) -> Vec<String> {
        let mut described: Vec<String> = self.live.borrow().values().map(|live| live.describe()).collect();
        described.extend(self.residents.busy().iter().map(|(_, live)| live.describe()));
        described.sort();
        described
    }

    /// How many live objects are not closed, and the traffic of the oldest of them.
    pub fn live_traffic(&self) -> (usize, Option<String>) {
        let live = self.live.borrow();
        let busy = self.residents.busy();
        let all = live.iter().map(|(id, live)| (*id, live)).chain(busy.iter().map(|(id, live)| (*id, live)));
        let open = all.filter(|(_, live)| !live.is_closed());
        let (count, oldest) = open.fold((0, None), |(count, oldest), (id, live)| match oldest {
            Some((first, _)) if first < id => (count + 1, oldest),
            _ => (count + 1, Some((id, live))),
        });
        (count, oldest.map(|(_, live)| live.traffic()))
    }

    /// Whether any live object waits for its peer.
    pub fn waits_for_peer(&self) -> bool {
        self.live.borrow().values().any(|live| live.waits_for_peer())
            || self.residents.busy().iter().any(|(_, live)| live.waits_for_peer())
    }

    /// Closes all live objects except those that outlive iterations. No script runs any more.
    pub fn abandon_live(&self) {
        // Taken out first: what is closed may look at the event loop.
        let live = std::mem::take(&mut *self.live.borrow_mut());
        live.into_values().for_each(|live| live.abandon());
        self.residents.all().iter().for_each(|live| live.cut_off());
    }

    /// Whether nothing is left that could run script: the iteration is over.
    pub fn is_done(&self) -> bool {
        let timers = self.timers.borrow();
        self.operations.borrow().is_empty()
            && self.live.borrow().is_empty()
            && !self.residents.are_busy()
            && self.queue.borrow().is_empty()
            && timers.by_id.len() == timers.in_background
    }

    /// Whether something could run right now.
    pub fn has_work(&self) -> bool {
        !self.queue.borrow().is_empty() || self.has_due_timer()
    }

    pub fn has_due_timer(&self) -> bool {
        self.next_due().is_some_and(|due| due <= Instant::now())
    }

    pub fn set_waker(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Adds a timer; ids count from 1.
    pub fn add_timer(&self, due: Instant, timer: Timer) -> u32 {
        let mut timers = self.timers.borrow_mut();
        timers.next_id += 1;
        let id = timers.next_id;
        timers.insert(id, due, timer);
        id
    }

    pub fn clear_timer(&self, id: u32) -> Option<Timer> {
        self.timers.borrow_mut().remove(id)
    }

    /// Drops the timers that do not keep an iteration alive.
    pub fn clear_background(&self) {
        let mut timers = self.timers.borrow_mut();
        if timers.in_background == 0 {
            return;
        }
        let ids: Vec<u32> =
            timers.by_id.iter().filter(|(_, (_, t))| t.in_background).map(|(id, _)| *id).collect();
        let dropped: Vec<_> = ids.into_iter().filter_map(|id| timers.remove(id)).collect();
        drop(timers);
        // Last: the end of a callback may look at the timers.
        drop(dropped);
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.timers.borrow().by_due.first().map(|(due, _)| *due)
    }

    /// Takes the callback of the earliest timer that is due, and re-arms it if it is an interval.
    pub fn take_due_timer(
        &self,
        now: Instant,
    ) -> Option<(Persistent<Function<'static>>, Vec<Persistent<Value<'static>>>)> {
        let mut timers = self.timers.borrow_mut();
        let &(due, id) = timers.by_due.first()?;
        if due > now {
            return None;
        }
        let timer = timers.remove(id)?;
        self.turns.set(self.turns.get() + 1);
        let call = (timer.callback.clone(), timer.arguments.clone());
        if let Some(interval) = timer.interval {
            let next = due_again(due, interval, now);
            timers.insert(id, next, timer);
        }
        Some(call)
    }

    /// Drops everything that is left, and returns the timers among it as (id, whether it is an interval).
    pub fn clear(&self) -> Vec<(u32, bool)> {
        self.clear_background();
        let mut timers = self.timers.borrow_mut();
        let mut stopped: Vec<_> =
            timers.by_id.drain().map(|(id, (_, t))| (id, t.interval.is_some())).collect();
        stopped.sort_unstable();
        timers.by_due.clear();
        drop(timers);
        // Taken out first: an event's destructor may look at the queue.
        let queued = std::mem::take(&mut *self.queue.borrow_mut());
        for event in queued {
            if let Event::Live(live) = event {
                live.discard();
            }
        }
        drop(std::mem::take(&mut *self.operations.borrow_mut()));
        stopped
    }
}

/// When an interval that was due at `due` is due next. It keeps the rate that the script asked for even if it is called
/// late, but calls that it missed by more than an interval are not made up for.
fn due_again(due: Instant, interval: Duration, now: Instant) -> Instant {
    if due + interval > now { due + interval } else { now + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_keeps_its_rate() {
        let (due, interval) = (Instant::now(), Duration::from_millis(10));
        for late in [0, 1, 4, 9] {
            assert_eq!(due_again(due, interval, due + Duration::from_millis(late)), due + interval);
        }
    }

    #[test]
    fn an_interval_does_not_make_up_for_what_it_missed() {
        let (due, interval) = (Instant::now(), Duration::from_millis(10));
        for late in [10, 25] {
            let now = due + Duration::from_millis(late);
            assert_eq!(due_again(due, interval, now), now + interval);
        }
        assert_eq!(due_again(due, Duration::ZERO, due), due);
    }
}
