//! The requests of a pump that are under way, and which of them a message answers.
//!
//! They stand in the order in which they were made, which is the order of their deadlines. Nothing is allocated for one of
//! them once there is room for as many as are under way. Times are in nanoseconds since the pump began.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::pump_options::Reply;
use super::requests::{Answer, Requests};

/// At most this many are kept, including answered ones in between. Further requests wait, which shows in their
/// latencies.
const MOST: usize = 1 << 18;

/// A time that has not come.
pub const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub due: u64,
    pub sent: u64,
    /// When the first byte of its answer came.
    pub first: u64,
    key: u64,
    /// How many messages are still to answer it, where they are counted. 0: it is over.
    left: u64,
}

/// What a message is.
pub enum Answers {
    /// The last message of the answer to this one.
    All(Flight),
    /// Part of an answer that goes on.
    Some,
    /// It answers nothing, or a request whose time is over.
    Nothing,
}

pub struct Flights {
    reply: Reply,
    has_keys: bool,
    all: VecDeque<Flight>,
    /// The serial number of the first of `all`.
    base: u64,
    by_key: FxHashMap<u64, u64>,
    /// Those that are not over.
    under_way: usize,
    /// Answers to requests whose time is over, which come before all others; how many messages the first of them still has.
    late: u64,
    late_left: u64,
}

impl Flights {
    pub fn new(reply: Reply, has_keys: bool) -> Self {
        let (all, by_key) = (VecDeque::new(), FxHashMap::default());
        Self { reply, has_keys, all, base: 0, by_key, under_way: 0, late: 0, late_left: 0 }
    }

    pub fn under_way(&self) -> usize {
        self.under_way
    }

    pub fn has_room(&self) -> bool {
        self.all.len() < MOST
    }

    pub fn has_key(&self, key: u64) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Answers that are still to come to failed requests do not belong to later requests.
    pub fn hand_over_late(&self, requests: &mut Requests) {
        for index in 0..self.late {
            requests.add_late(match &self.reply {
                Reply::Until(matcher) => Answer::Until(matcher.clone()),
                Reply::None | Reply::Messages(_) if index == 0 => Answer::Replies(self.late_left),
                Reply::None => Answer::Replies(1),
                Reply::Messages(count) => Answer::Replies(*count),
            });
        }
    }

    /// The last `count` requests that failed were never sent, so no reply to them will come.
    pub fn never_sent(&mut self, count: u64) {
        if !self.has_keys {
            self.late = self.late.saturating_sub(count);
        }
    }

    /// Its serial number.
    pub fn add(&mut self, due: u64, key: u64) -> u64 {
        let serial = self.base + self.all.len() as u64;
        let left = messages(&self.reply);
        self.all.push_back(Flight { due, sent: NEVER, first: NEVER, key, left });
        self.under_way += 1;
        if self.has_keys {
            self.by_key.insert(key, serial);
        }
        serial
    }

    /// Its last byte was handed to the kernel.
    pub fn sent(&mut self, serial: u64, now: u64) {
        if let Some(flight) = serial.checked_sub(self.base).and_then(|at| self.all.get_mut(at as usize)) {
            flight.sent = now;
        }
    }

    /// A message has come, its first byte at `first`. `key` is `None` where it has none.
    pub fn message(&mut self, key: Option<u64>, message: &[u8], first: u64) -> Answers {
        let serial = match (self.has_keys, key) {
            (true, Some(key)) => match self.by_key.get(&key) {
                Some(serial) => *serial,
                None => return Answers::Nothing,
            },
            (true, None) => return Answers::Nothing,
            (false, _) => {
                if self.is_late(message) {
                    return Answers::Nothing;
                }
                self.base
            }
        };
        let Some(flight) = self.all.get_mut((serial - self.base) as usize) else { return Answers::Nothing };
        flight.first = flight.first.min(first);
        let is_last = match &self.reply {
            Reply::Until(matcher) => matcher.matches(message),
            Reply::None | Reply::Messages(_) => {
                flight.left -= 1;
                flight.left == 0
            }
        };
        if !is_last {
            return Answers::Some;
        }
        flight.left = 0;
        let flight = *flight;
        self.forget(flight);
        Answers::All(flight)
    }

    /// Whether a message that comes in order answers a request whose time is over.
    fn is_late(&mut self, message: &[u8]) -> bool {
        if self.late == 0 {
            return false;
        }
        let is_last = match &self.reply {
            Reply::Until(matcher) => matcher.matches(message),
            Reply::None | Reply::Messages(_) => {
                self.late_left -= 1;
                self.late_left == 0
            }
        };
        if is_last {
            self.late -= 1;
            self.late_left = messages(&self.reply);
        }
        true
    }

    /// When the oldest one was due.
    pub fn oldest(&self) -> Option<u64> {
        self.all.front().map(|flight| flight.due)
    }

    /// Takes out the oldest one, which fails. Its answer may still come, if it was sent.
    pub fn fail_oldest(&mut self) -> Option<Flight> {
        let mut flight = *self.all.front()?;
        if !self.has_keys {
            if self.late == 0 {
                self.late_left = flight.left;
            }
            self.late += 1;
        }
        if let Some(first) = self.all.front_mut() {
            first.left = 0;
        }
        self.forget(flight);
        flight.left = 0;
        Some(flight)
    }

    /// It is over; those at the front that are over go.
    fn forget(&mut self, flight: Flight) {
        self.under_way -= 1;
        if self.has_keys {
            self.by_key.remove(&flight.key);
        }
        while self.all.front().is_some_and(|flight| flight.left == 0) {
            self.all.pop_front();
            self.base += 1;
        }
    }
}

fn messages(reply: &Reply) -> u64 {
    match reply {
        Reply::Messages(count) => *count,
        Reply::None | Reply::Until(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use senary_wire::Matcher;

    use super::*;

    fn due(answers: Answers) -> Option<u64> {
        match answers {
            Answers::All(flight) => Some(flight.due),
            Answers::Some => Some(NEVER),
            Answers::Nothing => None,
        }
    }

    #[test]
    fn a_late_answer_is_not_the_next_ones() {
        let mut flights = Flights::new(Reply::Messages(2), false);
        flights.add(1, 0);
        flights.add(2, 0);
        flights.add(3, 0);
        assert_eq!(due(flights.message(None, b"1a", 5)), Some(NEVER));
        assert_eq!(flights.fail_oldest().map(|flight| flight.due), Some(1));
        assert_eq!(flights.fail_oldest().map(|flight| flight.due), Some(2));
        for late in ["1b", "2a", "2b"] {
            assert_eq!(due(flights.message(None, late.as_bytes(), 6)), None, "{late}");
        }
        assert_eq!((flights.late, flights.under_way()), (0, 1));
        assert_eq!(due(flights.message(None, b"3a", 7)), Some(NEVER));
        assert_eq!(due(flights.message(None, b"3b", 8)), Some(3));
        assert_eq!(due(flights.message(None, b"more", 9)), None);
    }

    #[test]
    fn keys_find_their_requests_in_any_order() {
        let until = Matcher::Equals { offset: 0, bytes: "end".into() };
        let mut flights = Flights::new(Reply::Until(until), true);
        let serials: Vec<u64> = (0..4).map(|key| flights.add(key, 10 + key)).collect();
        flights.sent(serials[2], 7);
        assert_eq!(due(flights.message(Some(12), b"go on", 8)), Some(NEVER));
        let Answers::All(flight) = flights.message(Some(12), b"end", 9) else { panic!("it is answered") };
        assert_eq!((flight.due, flight.sent, flight.first), (2, 7, 8));
        assert_eq!(due(flights.message(Some(12), b"end", 9)), None, "it is answered already");
        assert_eq!(flights.fail_oldest().map(|flight| flight.due), Some(0));
        assert_eq!(due(flights.message(Some(10), b"end", 9)), None, "its time is over");
        assert_eq!(due(flights.message(Some(13), b"end", 9)), Some(3));
        assert_eq!((flights.oldest(), flights.under_way(), flights.late), (Some(1), 1, 0));
        assert_eq!(due(flights.message(Some(11), b"end", 9)), Some(1));
        assert_eq!(flights.oldest(), None);
        flights.sent(serials[0], 9);
    }
}
