//! Requests under way on a socket: how replies find them, and how long they took.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rquickjs::{Function, Persistent, Value};
use rustc_hash::FxHashMap;
use senary_wire::{Field, Id, Key, Matcher};

use crate::connection::error::CallSite;
use crate::connection::options::Tags;
use senary_js::promise::Resolvers;

/// How replies find their requests.
#[derive(Clone, Default)]
pub enum Correlation {
    /// The oldest request is answered first.
    #[default]
    InOrder,
    ByKey {
        request: KeyOf,
        reply: KeyOf,
    },
    /// The socket writes a number of its own into each request.
    Auto {
        request: Field,
        reply: Field,
    },
}

#[derive(Clone)]
pub enum KeyOf {
    Place(Key),
    /// A function of the script's, which the socket's object keeps.
    Function,
}

/// How a request knows that it is answered.
pub enum Answer {
    /// By so many messages.
    Replies(u64),
    /// By the message that matches, and those before it.
    Until(Matcher),
    UntilFunction(Persistent<Function<'static>>),
}

/// A request that was made.
pub struct Pending {
    pub due: Instant,
    /// When its last byte was handed to the kernel.
    pub sent: Option<Instant>,
    /// When the first byte of its first reply came.
    pub first_byte: Option<Instant>,
    pub deadline: Instant,
    /// `None`: its time is over, and it is here for its late reply alone.
    pub promise: Option<Resolvers>,
    pub answer: Answer,
    /// It resolves with all messages, in a list.
    pub as_list: bool,
    pub replies: Vec<Persistent<Value<'static>>>,
    pub tags: Tags,
    pub called: Option<CallSite>,
}

/// Names a request of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(u64);

#[derive(Default)]
pub struct Requests {
    next: u64,
    last_auto: u64,
    pending: FxHashMap<Serial, Pending>,
    /// In order.
    order: VecDeque<Serial>,
    by_key: FxHashMap<Id, Serial>,
    /// Those whose time is not over.
    under_way: usize,
}

impl Requests {
    /// Whether this socket has ever made one.
    pub fn were_made(&self) -> bool {
        self.next > 0
    }

    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// A request that is answered in its turn, or by its key. `None` if another request has that key.
    pub fn add(&mut self, key: Option<Id>, request: Pending) -> Option<Serial> {
        let serial = Serial(self.next);
        match key {
            None => self.order.push_back(serial),
            Some(key) => {
                if self.by_key.contains_key(&key) {
                    return None;
                }
                self.by_key.insert(key, serial);
            }
        }
        self.next += 1;
        self.under_way += 1;
        self.pending.insert(serial, request);
        Some(serial)
    }

    /// The place of an answer in order that is still to come, to a request that has failed.
    pub fn add_late(&mut self, answer: Answer) {
        let now = Instant::now();
        let pending = Pending {
            due: now,
            sent: None,
            first_byte: None,
            deadline: now,
            promise: None,
            answer,
            as_list: false,
            replies: Vec::new(),
            tags: Tags::new(),
            called: None,
        };
        let serial = Serial(self.next);
        self.next += 1;
        self.order.push_back(serial);
        self.pending.insert(serial, pending);
    }

    /// A number that no request under way has, and that fits its place. It is never 0: MQTT and others do not allow that.
    pub fn new_number(&mut self, largest: u64) -> Option<u64> {
        for _ in 0..=self.by_key.len() {
            let number = if self.last_auto >= largest { 1 } else { self.last_auto + 1 };
            self.last_auto = number;
            if !self.by_key.contains_key(&Id::Number(number)) {
                return Some(number);
            }
        }
        None
    }

    /// Takes back a request that could not be sent.
    pub fn withdraw(&mut self, serial: Serial) -> Option<Pending> {
        let pending = self.pending.remove(&serial)?;
        self.under_way -= usize::from(pending.promise.is_some());
        self.order.retain(|known| *known != serial);
        self.by_key.retain(|_, known| *known != serial);
        Some(pending)
    }

    pub fn get_mut(&mut self, serial: Serial) -> Option<&mut Pending> {
        self.pending.get_mut(&serial)
    }

    /// The request that a message answers: the oldest, or the one with its key.
    pub fn of(&self, key: Option<&Id>) -> Option<Serial> {
        match key {
            Some(key) => self.by_key.get(key).copied(),
            None => self.order.front().copied(),
        }
    }

    /// Takes out a request that is answered.
    pub fn complete(&mut self, serial: Serial, key: Option<&Id>) -> Option<Pending> {
        let pending = self.pending.remove(&serial)?;
        match key {
            Some(key) => drop(self.by_key.remove(key)),
            None => drop(self.order.pop_front()),
        }
        self.under_way -= usize::from(pending.promise.is_some());
        Some(pending)
    }

    /// The earliest moment at which the time of one is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.pending.values().filter(|pending| pending.promise.is_some());
        waiting.map(|pending| pending.deadline).min()
    }

    /// Requests whose time is over. In order they keep their place, for a late reply is theirs and not the next one's.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let is_over = |pending: &Pending| pending.promise.is_some() && pending.deadline <= now;
        let mut over: Vec<Serial> =
            self.pending.iter().filter(|(_, pending)| is_over(pending)).map(|(serial, _)| *serial).collect();
        over.sort_unstable_by_key(|serial| serial.0);
        self.under_way -= over.len();
        let expired = over.iter().filter_map(|serial| {
            let pending = self.pending.get_mut(serial)?;
            pending.replies.clear();
            let promise = pending.promise.take()?;
            let (tags, called) = (std::mem::take(&mut pending.tags), pending.called.take());
            Some(Expired { promise, tags, called, allowed: pending.deadline - pending.due })
        });
        let expired = expired.collect();
        if self.order.is_empty() {
            over.iter().for_each(|serial| drop(self.pending.remove(serial)));
            self.by_key.retain(|_, serial| self.pending.contains_key(serial));
        }
        expired
    }

    /// Nobody waits any more for the replies to those under way. In order they keep their place, for a late reply is theirs
    /// and not the next one's. What they held is given back, to be dropped.
    pub fn let_go(&mut self) -> Vec<Pending> {
        self.under_way = 0;
        if self.order.is_empty() {
            return self.take_all();
        }
        for pending in self.pending.values_mut() {
            pending.replies.clear();
            pending.promise = None;
        }
        Vec::new()
    }

    /// All that are left, in their order; the connection is gone.
    pub fn take_all(&mut self) -> Vec<Pending> {
        self.order.clear();
        self.by_key.clear();
        self.under_way = 0;
        let mut all: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        all.sort_unstable_by_key(|(serial, _)| serial.0);
        all.into_iter().map(|(_, pending)| pending).collect()
    }
}

/// A request whose time is over.
pub struct Expired {
    pub promise: Resolvers,
    pub tags: Tags,
    pub called: Option<CallSite>,
    pub allowed: std::time::Duration,
}

impl Answer {
    /// Whether this message is the last one, where native code can say so.
    pub fn ends_with(&mut self, message: &Bytes) -> Option<bool> {
        match self {
            Self::Replies(left) => {
                *left = left.saturating_sub(1);
                Some(*left == 0)
            }
            Self::Until(matcher) => Some(matcher.matches(message)),
            Self::UntilFunction(_) => None,
        }
    }
}
