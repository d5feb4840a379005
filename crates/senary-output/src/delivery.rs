//! Delivery to a receiver that may be slow, down, or refuse data. The waiting data is bounded, separate threads send
//! it, and what may succeed later is tried again, with growing pauses and not before the receiver allows it.
//!
//! The caller never waits. It asks now and then what has been settled, so that it can send again what did not arrive,
//! or count it as lost.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use senary_web::Bytes;

use crate::monitor::Monitor;

/// At most this many different errors are reported; an answer of a server may have anything in it.
const MAX_REPORTED: usize = 10;

/// How long the end of a run waits for an output that sends to a server.
pub const END_WITHIN: Duration = Duration::from_secs(10);

/// Sends bodies to the other end.
pub trait Receiver: Send + Sync + 'static {
    /// Sends a body, in this time at most. It runs on a thread of the delivery and may wait.
    fn send(&self, body: &Bytes, within: Duration) -> Result<(), SendError>;

    /// Reports an error. It is called once for each reason, and for a few reasons only.
    fn report(&self, error: &SendError);
}

/// Why something was not delivered this time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    pub reason: String,
    pub again: Again,
}

/// Whether sending the same again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would be refused again.
    Never,
    /// It may succeed, after this pause if the receiver has named one.
    Later(Option<Duration>),
}

impl SendError {
    pub fn final_(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::Never }
    }

    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::Later(None) }
    }
}

/// The settings of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The name of its threads, and their number, which is also the greatest number of bodies under way at once.
    pub thread: &'static str,
    pub at_once: usize,
    /// The number of bytes that may wait. A single body may be larger.
    pub room: usize,
    /// How long sending one body may take.
    pub timeout: Duration,
    /// How often the same is sent at most.
    pub tries: u32,
    /// The pause before the second try; each further one is twice as long, up to the longest.
    pub pause: Duration,
    pub longest_pause: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            thread: "send-output",
            at_once: 1,
            room: 32 << 20,
            timeout: Duration::from_secs(5),
            tries: 4,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// A delivery that has ended, and its outcome.
#[derive(Debug)]
pub struct Settled<T> {
    /// The note that the sender gave with it.
    pub note: T,
    /// The error is why it was lost.
    pub result: Result<(), String>,
    /// From the first attempt to the last.
    pub took: Duration,
}

/// Delivers bodies in the order in which they were given, until it is dropped.
pub struct Delivery<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    terms: Terms,
    receiver: Box<dyn Receiver>,
    state: Monitor<State<T>>,
}

struct State<T> {
    waiting: VecDeque<(Bytes, T)>,
    /// Bytes that wait.
    bytes: usize,
    under_way: usize,
    settled: Vec<Settled<T>>,
    /// The reasons that were reported.
    reported: Vec<String>,
    /// When everything has to be over, once that is known.
    deadline: Option<Instant>,
    /// The sender is gone.
    abandoned: bool,
}

impl<T: Send + 'static> Delivery<T> {
    /// Starts the threads. Fails only if the system gives none.
    pub fn start(terms: Terms, receiver: impl Receiver) -> io::Result<Self> {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            under_way: 0,
            settled: Vec::new(),
            reported: Vec::new(),
            deadline: None,
            abandoned: false,
        };
        let threads = terms.at_once.max(1);
        let shared = Arc::new(Shared { terms, receiver: Box::new(receiver), state: Monitor::new(state) });
        let delivery = Self { shared };
        for _ in 0..threads {
            let shared = delivery.shared.clone();
            thread::Builder::new().name(shared.terms.thread.to_owned()).spawn(move || shared.run())?;
        }
        Ok(delivery)
    }

    /// Gives a body to be delivered, without waiting. If there is no room, returns the note.
    pub fn offer(&self, body: Bytes, note: T) -> Result<(), T> {
        let mut state = self.shared.state.lock();
        if state.bytes > 0 && state.bytes + body.len() > self.shared.terms.room {
            return Err(note);
        }
        state.bytes += body.len();
        state.waiting.push_back((body, note));
        self.shared.state.announce();
        Ok(())
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.shared.state.lock().is_idle()
    }

    /// What has been settled since the last call.
    pub fn settled(&self) -> Vec<Settled<T>> {
        std::mem::take(&mut self.shared.state.lock().settled)
    }

    /// Waits until everything is settled, until the deadline at most, and returns what was settled since the last call.
    /// What is missing by then has to be counted as lost.
    pub fn finish(&self, deadline: Instant) -> Vec<Settled<T>> {
        let shared = &self.shared.state;
        shared.lock().deadline = Some(deadline);
        shared.announce();
        let mut state = shared.wait_while_until(deadline, |state| !state.is_idle());
        std::mem::take(&mut state.settled)
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        self.shared.state.lock().abandoned = true;
        self.shared.state.announce();
    }
}

impl<T> State<T> {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }
}

impl<T> Shared<T> {
    /// The work of a thread.
    fn run(&self) {
        while let Some((body, note)) = self.next() {
            let from = Instant::now();
            let result = self.deliver(&body);
            let mut state = self.state.lock();
            state.under_way -= 1;
            state.settled.push(Settled { note, result, took: from.elapsed() });
            self.state.announce();
        }
    }

    /// Waits for something to deliver. `None` if the sender is gone.
    fn next(&self) -> Option<(Bytes, T)> {
        let mut state = self.state.wait_while(|state| !state.abandoned && state.waiting.is_empty());
        if state.abandoned {
            return None;
        }
        let (body, note) = state.waiting.pop_front()?;
        state.bytes -= body.len();
        state.under_way += 1;
        Some((body, note))
    }

    fn deliver(&self, body: &Bytes) -> Result<(), String> {
        let mut pause = self.terms.pause;
        for attempt in 1.. {
            let within = self.time_left().min(self.terms.timeout);
            if within.is_zero() {
                return Err("the end of the test left no time to send it".to_owned());
            }
            let Err(error) = self.receiver.send(body, within) else { return Ok(()) };
            self.report(&error);
            let Again::Later(asked) = error.again else { return Err(error.reason) };
            if attempt >= self.terms.tries || !self.has_paused(asked.unwrap_or(pause).max(pause)) {
                return Err(error.reason);
            }
            pause = (pause * 2).min(self.terms.longest_pause);
        }
        unreachable!("attempts have no last number")
    }

    fn time_left(&self) -> Duration {
        let deadline = self.state.lock().deadline;
        deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits before another try. False if that would be too late, or if the sender is gone.
    fn has_paused(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let is_futile =
            |state: &State<T>| state.abandoned || state.deadline.is_some_and(|deadline| deadline <= until);
        !is_futile(&self.state.wait_while_until(until, |state| !is_futile(state)))
    }

    fn report(&self, error: &SendError) {
        let mut state = self.state.lock();
        if !state.reported.contains(&error.reason) && state.reported.len() < MAX_REPORTED {
            state.reported.push(error.reason.clone());
            drop(state);
            self.receiver.report(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver as Incoming, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Answers as it is told to, and tells what it was sent.
    struct Scripted {
        answers: Mutex<Incoming<Result<(), SendError>>>,
        events: Mutex<Sender<String>>,
    }

    impl Scripted {
        fn tell(&self, event: String) {
            let _ = self.events.lock().unwrap().send(event);
        }
    }

    impl Receiver for Scripted {
        fn send(&self, body: &Bytes, _: Duration) -> Result<(), SendError> {
            let answer = self.answers.lock().unwrap().recv().unwrap_or(Ok(()));
            self.tell(format!("{} {}", String::from_utf8_lossy(body), answer.is_ok()));
            answer
        }

        fn report(&self, error: &SendError) {
            self.tell(format!("report {error}"));
        }
    }

    type Started = (Delivery<u32>, Sender<Result<(), SendError>>, Incoming<String>);

    fn start(terms: Terms) -> Started {
        let (answer, answers) = channel();
        let (events, heard) = channel();
        let receiver = Scripted { answers: Mutex::new(answers), events: Mutex::new(events) };
        (Delivery::start(terms, receiver).unwrap(), answer, heard)
    }

    fn quick() -> Terms {
        Terms { pause: Duration::from_millis(1), tries: 3, ..Terms::default() }
    }

    fn results(settled: Vec<Settled<u32>>) -> Vec<(u32, Result<(), String>)> {
        settled.into_iter().map(|settled| (settled.note, settled.result)).collect()
    }

    #[test]
    fn what_may_pass_is_sent_again_and_what_was_refused_is_not() {
        let (delivery, answers, heard) = start(quick());
        for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
            delivery.offer(Bytes::from(text), number as u32).unwrap();
        }
        let away = || Err(SendError::passing("away"));
        for answer in [away(), Ok(()), Err(SendError::final_("bad")), away(), away(), away()] {
            answers.send(answer).unwrap();
        }
        let settled = results(delivery.finish(Instant::now() + PATIENCE));
        assert_eq!(settled, [(0, Ok(())), (1, Err("bad".to_owned())), (2, Err("away".to_owned()))]);
        assert!(delivery.is_idle());
        drop(delivery);
        let expected = [
            "one false",
            "report away",
            "one true",
            "two false",
            "report bad",
            "three false",
            "three false",
            "three false",
        ];
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn there_is_no_room_without_end_but_always_for_one() {
        let (delivery, answers, heard) = start(Terms { room: 5, ..quick() });
        delivery.offer(Bytes::from("first"), 0).unwrap();
        // It is under way and takes no room any more.
        while !delivery.shared.state.lock().waiting.is_empty() {
            thread::yield_now();
        }
        delivery.offer(Bytes::from("a large one"), 1).unwrap();
        assert_eq!(delivery.offer(Bytes::from("x"), 2), Err(2));
        drop(answers);
        assert_eq!(results(delivery.finish(Instant::now() + PATIENCE)), [(0, Ok(())), (1, Ok(()))]);
        drop(delivery);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["first true", "a large one true"]);
    }

    #[test]
    fn the_end_waits_neither_for_the_receiver_nor_for_a_pause_beyond_it() {
        let (delivery, answers, _heard) = start(quick());
        delivery.offer(Bytes::from("stuck"), 0).unwrap();
        assert!(delivery.finish(Instant::now() + Duration::from_millis(50)).is_empty());
        drop((delivery, answers));
        let (delivery, answers, _heard) = start(quick());
        let in_an_hour = Again::Later(Some(Duration::from_secs(3600)));
        answers.send(Err(SendError { reason: "busy".to_owned(), again: in_an_hour })).unwrap();
        delivery.offer(Bytes::from("later"), 0).unwrap();
        let from = Instant::now();
        assert_eq!(
            results(delivery.finish(from + PATIENCE)),
            [(0, Err("busy".to_owned()))],
            "an hour is beyond the deadline"
        );
        assert!(from.elapsed() < PATIENCE / 2);
    }

    #[test]
    fn several_are_under_way_at_once() {
        let (delivery, answers, _heard) = start(Terms { at_once: 3, ..quick() });
        (0..3).for_each(|n| delivery.offer(Bytes::from("x"), n).unwrap());
        let from = Instant::now();
        while delivery.shared.state.lock().under_way < 3 {
            assert!(from.elapsed() < PATIENCE);
            thread::yield_now();
        }
        drop(answers);
        assert_eq!(delivery.finish(Instant::now() + PATIENCE).len(), 3);
    }
}
