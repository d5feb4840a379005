//! Sending to something that may be slow or down, such as a server. The waiting items are bounded, a thread sends one
//! batch per period, and the caller never waits. Losses are counted.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::Monitor;

/// At most this many different errors are reported; an answer of a server may have anything in it.
const MAX_REPORTED: usize = 10;

/// The sender, which lives on the pusher's thread.
pub trait Push: Send + 'static {
    type Item: Send + 'static;

    /// How much an item counts: against the limit, and when it is lost.
    fn weight(item: &Self::Item) -> u64;

    /// The part of an item without room that must be kept anyway, for example because later items depend on it. It has
    /// no weight.
    fn remainder(_dropped: Self::Item) -> Option<Self::Item> {
        None
    }

    /// Takes the items since the last time, in order; items of the weight `dropped` found no room. Returns how much of
    /// all this is lost for good, whether or not the rest can be sent.
    fn take(&mut self, items: Vec<Self::Item>, dropped: u64) -> u64;

    /// Sends what was taken and is not sent yet. It may be called again if it fails, but not after an error of the kind
    /// `InvalidData`: what was refused once is refused again.
    fn send(&mut self) -> io::Result<()>;

    /// Forgets what was taken: it is not sent any more.
    fn give_up(&mut self);

    /// Sends what has to come last. Nothing comes after this.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Reports an error. It is called once for each error, and for a few errors only.
    fn report(&mut self, error: &io::Error);
}

/// How a pusher sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often it sends.
    pub period: Duration,
    /// The greatest weight that may wait.
    pub limit: u64,
    /// How often it tries to send the same, and how long it waits before it tries again.
    pub tries: u32,
    pub pause: Duration,
}

/// Sends items on its own thread, until it is dropped.
pub struct Pusher<P: Push> {
    shared: Arc<Monitor<State<P::Item>>>,
    limit: u64,
}

struct State<T> {
    items: Vec<T>,
    /// The weight of the items, and the weight of those that found no room.
    waiting: u64,
    dropped: u64,
    /// The weight that is being sent, and the weight that did not arrive.
    under_way: u64,
    lost: u64,
    /// Pushes that were asked for, and those that were made.
    asked: u64,
    made: u64,
    /// Whether the last push that was asked for is the very last.
    closing: bool,
    /// The pusher is gone.
    abandoned: bool,
}

impl<T> State<T> {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            waiting: 0,
            dropped: 0,
            under_way: 0,
            lost: 0,
            asked: 0,
            made: 0,
            closing: false,
            abandoned: false,
        }
    }
}

impl<P: Push> Pusher<P> {
    /// Starts the thread. Fails only if the system gives none.
    pub fn start(thread: &str, pace: Pace, push: P) -> io::Result<Self> {
        let (shared, limit) = (Arc::new(Monitor::new(State::new())), pace.limit);
        let sender = Sender { shared: shared.clone(), pace, push, reported: Vec::new() };
        thread::Builder::new().name(thread.to_owned()).spawn(move || sender.run())?;
        Ok(Self { shared, limit })
    }

    /// Adds an item without waiting. False if there was no room for it.
    pub fn push(&self, item: P::Item) -> bool {
        let weight = P::weight(&item);
        let mut state = self.shared.lock();
        let has_room = state.waiting + weight <= self.limit;
        if has_room {
            state.waiting += weight;
            state.items.push(item);
        } else {
            state.dropped += weight;
            state.items.extend(P::remainder(item));
        }
        has_room
    }

    /// Sends at once what waits, and returns how much has not arrived so far. It waits until the deadline at most; what
    /// is still on its way then counts as lost.
    pub fn flush(&self, deadline: Instant) -> u64 {
        self.push_now(deadline, false)
    }

    /// As [`flush`](Self::flush), and ends the thread.
    pub fn close(self, deadline: Instant) -> u64 {
        self.push_now(deadline, true)
    }

    /// Lets the thread begin the last push, which [`close`](Self::close) waits for.
    pub fn begin_to_close(&self) {
        drop(self.ask(true));
    }

    fn ask(&self, closing: bool) -> MutexGuard<'_, State<P::Item>> {
        let mut state = self.shared.lock();
        // After the last push the thread does nothing more.
        if !state.closing {
            state.asked += 1;
            state.closing = closing;
            self.shared.announce();
        }
        state
    }

    fn push_now(&self, deadline: Instant, closing: bool) -> u64 {
        let wanted = self.ask(closing).asked;
        let state = self.shared.wait_while_until(deadline, |state| state.made < wanted);
        state.lost + state.under_way + state.waiting + state.dropped
    }
}

impl<P: Push> Drop for Pusher<P> {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.announce();
    }
}

/// What runs on the thread.
struct Sender<P: Push> {
    shared: Arc<Monitor<State<P::Item>>>,
    pace: Pace,
    push: P,
    /// The errors that were reported.
    reported: Vec<String>,
}

/// What is due.
struct Due<T> {
    items: Vec<T>,
    dropped: u64,
    all: u64,
    /// The number of the push that was asked for last.
    asked: u64,
    closing: bool,
}

impl<P: Push> Sender<P> {
    fn run(mut self) {
        while let Some(due) = self.next() {
            let lost = if due.all > 0 || !due.items.is_empty() {
                self.push_all(due.items, due.dropped, due.all)
            } else {
                0
            };
            if due.closing
                && let Err(error) = self.push.close()
            {
                self.report(&error);
            }
            let mut state = self.shared.lock();
            state.under_way = 0;
            state.lost += lost;
            state.made = due.asked;
            self.shared.announce();
            if due.closing {
                return;
            }
        }
    }

    /// Waits until a push is due. `None` if the pusher is gone.
    fn next(&self) -> Option<Due<P::Item>> {
        let at = Instant::now() + self.pace.period;
        let nothing_is_asked = |state: &mut State<_>| !state.abandoned && state.asked <= state.made;
        let mut state = self.shared.wait_while_until(at, nothing_is_asked);
        if state.abandoned {
            return None;
        }
        let items = std::mem::take(&mut state.items);
        let dropped = std::mem::take(&mut state.dropped);
        let all = std::mem::take(&mut state.waiting) + dropped;
        state.under_way = all;
        Some(Due { items, dropped, all, asked: state.asked, closing: state.closing })
    }

    /// Sends these items, and returns how much of them is lost.
    fn push_all(&mut self, items: Vec<P::Item>, dropped: u64, all: u64) -> u64 {
        let lost = self.push.take(items, dropped);
        if self.has_sent() {
            return lost;
        }
        self.push.give_up();
        all
    }

    fn has_sent(&mut self) -> bool {
        for attempt in 1.. {
            let Err(error) = self.push.send() else { return true };
            self.report(&error);
            let may_pass = error.kind() != io::ErrorKind::InvalidData;
            if !may_pass || attempt >= self.pace.tries || !self.has_paused() {
                break;
            }
        }
        false
    }

    /// Waits before another try. False if the pusher is gone.
    fn has_paused(&self) -> bool {
        let until = Instant::now() + self.pace.pause;
        !self.shared.wait_while_until(until, |state| !state.abandoned).abandoned
    }

    fn report(&mut self, error: &io::Error) {
        let text = error.to_string();
        if !self.reported.contains(&text) && self.reported.len() < MAX_REPORTED {
            self.reported.push(text);
            self.push.report(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender as Channel, channel};

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3600);

    const PATIENCE: Duration = Duration::from_secs(20);

    fn soon() -> Instant {
        Instant::now() + PATIENCE
    }

    /// Sends texts of their own length, as it is told to.
    struct Wire {
        taken: Vec<&'static str>,
        /// What happens at each attempt; it succeeds where nothing is said.
        outcomes: Receiver<Option<io::ErrorKind>>,
        events: Channel<String>,
    }

    impl Wire {
        fn tell(&self, event: String) {
            let _ = self.events.send(event);
        }
    }

    impl Push for Wire {
        type Item = &'static str;

        fn weight(item: &&'static str) -> u64 {
            if item.starts_with('+') { 0 } else { item.len() as u64 }
        }

        fn remainder(dropped: &'static str) -> Option<&'static str> {
            (dropped == "defines").then_some("+defines")
        }

        fn take(&mut self, items: Vec<&'static str>, dropped: u64) -> u64 {
            self.taken.extend(items);
            dropped
        }

        fn send(&mut self) -> io::Result<()> {
            match self.outcomes.recv().ok().flatten() {
                Some(kind) => Err(kind.into()),
                None => {
                    self.tell(format!("sent {}", self.taken.join(" ")));
                    self.taken.clear();
                    Ok(())
                }
            }
        }

        fn give_up(&mut self) {
            self.tell(format!("gave up {}", self.taken.join(" ")));
            self.taken.clear();
        }

        fn close(&mut self) -> io::Result<()> {
            self.tell("closed".to_owned());
            Ok(())
        }

        fn report(&mut self, error: &io::Error) {
            self.tell(format!("error {:?}", error.kind()));
        }
    }

    type Started = (Pusher<Wire>, Channel<Option<io::ErrorKind>>, Receiver<String>);

    fn start(period: Duration, limit: u64, tries: u32, pause: Duration) -> Started {
        let (outcome, outcomes) = channel();
        let (events, heard) = channel();
        let pace = Pace { period, limit, tries, pause };
        let wire = Wire { taken: Vec::new(), outcomes, events };
        (Pusher::start("push-test", pace, wire).unwrap(), outcome, heard)
    }

    #[test]
    fn what_waits_is_sent_every_period() {
        let (pusher, outcomes, heard) = start(Duration::from_millis(20), 100, 1, AN_HOUR);
        for item in ["a", "b"] {
            assert!(pusher.push(item));
            outcomes.send(None).unwrap();
            assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), format!("sent {item}"));
        }
        assert_eq!(pusher.close(soon()), 0);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["closed"]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_leaves_what_others_build_on() {
        let (pusher, outcomes, heard) = start(AN_HOUR, 5, 1, AN_HOUR);
        assert!(pusher.push("four"));
        assert!(!pusher.push("two") && !pusher.push("defines"));
        assert!(pusher.push("1"), "what is smaller still fits");
        outcomes.send(None).unwrap();
        assert_eq!(pusher.flush(soon()), 10, "dropped for good");
        assert!(pusher.push("later"), "there is room again");
        outcomes.send(None).unwrap();
        assert_eq!(pusher.close(soon()), 10);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["sent four +defines 1", "sent later", "closed"]);
    }

    #[test]
    fn it_tries_again_but_not_for_ever_and_not_where_it_was_refused() {
        let (pusher, outcomes, heard) = start(AN_HOUR, 100, 3, Duration::from_millis(1));
        let away = Some(io::ErrorKind::ConnectionRefused);
        for outcome in [away, away, None] {
            outcomes.send(outcome).unwrap();
        }
        pusher.push("again");
        assert_eq!(pusher.flush(soon()), 0);
        for outcome in [away, away, away] {
            outcomes.send(outcome).unwrap();
        }
        pusher.push("vain");
        assert_eq!(pusher.flush(soon()), 4);
        outcomes.send(Some(io::ErrorKind::InvalidData)).unwrap();
        pusher.push("refused");
        assert_eq!(pusher.close(soon()), 11);
        let expected = [
            "error ConnectionRefused",
            "sent again",
            "gave up vain",
            "error InvalidData",
            "gave up refused",
            "closed",
        ];
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nobody_waits_longer_than_the_deadline() {
        let (pusher, outcomes, heard) = start(AN_HOUR, 100, 1, AN_HOUR);
        pusher.push("stuck");
        assert_eq!(pusher.close(Instant::now() + Duration::from_millis(50)), 5);
        // Once it can be sent after all, that does no harm.
        outcomes.send(None).unwrap();
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["sent stuck", "closed"]);
    }

    #[test]
    fn a_pusher_that_is_dropped_sends_nothing_more() {
        let (pusher, outcomes, heard) = start(AN_HOUR, 100, 2, AN_HOUR);
        pusher.push("x");
        outcomes.send(Some(io::ErrorKind::TimedOut)).unwrap();
        assert_eq!(pusher.flush(Instant::now()), 1);
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "error TimedOut");
        drop(pusher);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["gave up x"]);
    }
}
