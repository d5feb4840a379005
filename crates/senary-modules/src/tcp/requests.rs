//! Requests under way on a socket: how replies find them, and how long they took.

use std::collections::VecDeque;
use std::time::Instant;

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
    /// `None`: it is answered in its turn.
    pub key: Option<Id>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial {
    /// How many were made before.
    pub number: u64,
    slot: u32,
}

#[derive(Default)]
pub struct Requests {
    next: u64,
    /// The last number that the socket gave to a request (`auto`). A pump continues from it and stores its own last number here, so
    /// that a late reply is never taken for the reply to a later request.
    pub last_auto: u64,
    /// Each with its number. A slot is used again when its request is over.
    slots: Vec<Option<(u64, Pending)>>,
    free: Vec<u32>,
    /// In order. Some in the middle may have been withdrawn; the first and the last one have not.
    order: VecDeque<Serial>,
    by_key: FxHashMap<Id, Serial>,
    /// Those whose time is not over.
    under_way: usize,
}

impl Requests {
    /// Whether requests without a key wait: the next message answers the oldest of them.
    pub fn are_in_order(&self) -> bool {
        !self.order.is_empty()
    }

    /// Whether this socket has ever made one.
    pub fn were_made(&self) -> bool {
        self.next > 0
    }

    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// The number of the next request.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// A request that is answered in its turn, or by its key. `None` if another request has that key.
    pub fn add(&mut self, request: Pending) -> Option<Serial> {
        let key = request.key.clone();
        if key.as_ref().is_some_and(|key| self.by_key.contains_key(key)) {
            return None;
        }
        let serial = self.insert(request);
        match key {
            None => self.order.push_back(serial),
            Some(key) => drop(self.by_key.insert(key, serial)),
        }
        self.under_way += 1;
        Some(serial)
    }

    /// The place of an answer in order that is still to come, to a request that has failed.
    pub fn add_late(&mut self, answer: Answer) {
        let now = Instant::now();
        let serial = self.insert(Pending {
            key: None,
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
        });
        self.order.push_back(serial);
    }

    fn insert(&mut self, request: Pending) -> Serial {
        let number = self.next;
        self.next += 1;
        let filled = Some((number, request));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = filled;
                slot
            }
            None => {
                self.slots.push(filled);
                (self.slots.len() - 1) as u32
            }
        };
        Serial { number, slot }
    }

    fn remove(&mut self, serial: Serial) -> Option<Pending> {
        self.get_mut(serial)?;
        let (_, pending) = self.slots.get_mut(serial.slot as usize)?.take()?;
        self.free.push(serial.slot);
        Some(pending)
    }

    fn is_known(&self, serial: Serial) -> bool {
        matches!(self.slots.get(serial.slot as usize), Some(Some((number, _))) if *number == serial.number)
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
        let pending = self.remove(serial)?;
        self.under_way -= usize::from(pending.promise.is_some());
        match &pending.key {
            Some(key) => drop(self.by_key.remove(key)),
            // Only at the ends: those behind a withdrawn one keep their places.
            None => {
                while self.order.back().is_some_and(|last| !self.is_known(*last)) {
                    self.order.pop_back();
                }
                self.trim_front();
            }
        }
        Some(pending)
    }

    fn trim_front(&mut self) {
        while self.order.front().is_some_and(|first| !self.is_known(*first)) {
            self.order.pop_front();
        }
    }

    pub fn get_mut(&mut self, serial: Serial) -> Option<&mut Pending> {
        match self.slots.get_mut(serial.slot as usize) {
            Some(Some((number, pending))) if *number == serial.number => Some(pending),
            _ => None,
        }
    }

    /// The request that a message answers: the one with its key, or else the oldest of those without one.
    pub fn of(&self, key: Option<&Id>) -> Option<Serial> {
        let by_key = key.and_then(|key| self.by_key.get(key));
        by_key.or_else(|| self.order.front()).copied()
    }

    /// Whether a request without a key waits whose `until` is a function, which only script can call.
    pub fn need_script(&self) -> bool {
        let mut in_order = self.slots.iter().flatten().filter(|(_, pending)| pending.key.is_none());
        in_order.any(|(_, pending)| matches!(pending.answer, Answer::UntilFunction(_)))
    }

    /// Gives a message to the oldest request without a key, whose time is over; false if no such request waits.
    pub fn take_late(&mut self, message: &[u8]) -> bool {
        let Some(serial) = self.order.front().copied() else { return false };
        let Some(pending) = self.get_mut(serial) else { return false };
        if pending.answer.ends_with(message).unwrap_or(true) {
            self.complete(serial);
        }
        true
    }

    /// Takes out a request that is answered.
    pub fn complete(&mut self, serial: Serial) -> Option<Pending> {
        let pending = self.remove(serial)?;
        match &pending.key {
            Some(key) => drop(self.by_key.remove(key)),
            None => self.trim_front(),
        }
        self.under_way -= usize::from(pending.promise.is_some());
        Some(pending)
    }

    /// The earliest moment at which the time of one is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.under_way == 0 {
            return None;
        }
        let waiting = self.slots.iter().flatten().filter(|(_, pending)| pending.promise.is_some());
        waiting.map(|(_, pending)| pending.deadline).min()
    }

    /// Requests whose time is over. Requests in order keep their place, because a late reply belongs to them and not to
    /// the next one.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut over = Vec::new();
        for (slot, (number, pending)) in
            self.slots.iter_mut().enumerate().filter_map(|(slot, of)| Some((slot, of.as_mut()?)))
        {
            if pending.promise.is_none() || pending.deadline > now {
                continue;
            }
            pending.replies.clear();
            let serial = Serial { number: *number, slot: slot as u32 };
            let (promise, tags, called) =
                (pending.promise.take(), std::mem::take(&mut pending.tags), pending.called.take());
            let was_sent = pending.sent.is_some();
            let allowed = pending.deadline - pending.due;
            over.extend(
                promise.map(|promise| (serial, Expired { promise, tags, called, allowed, was_sent })),
            );
        }
        self.under_way -= over.len();
        over.sort_unstable_by_key(|(serial, _)| serial.number);
        for (serial, _) in &over {
            let has_key = self.get_mut(*serial).is_some_and(|pending| pending.key.is_some());
            if has_key && let Some(Pending { key: Some(key), .. }) = self.remove(*serial) {
                self.by_key.remove(&key);
            }
        }
        over.into_iter().map(|(_, expired)| expired).collect()
    }

    /// Nothing waits any more for the replies to the requests under way. Requests in order keep their place, because a
    /// late reply belongs to them and not to the next one. Returns what they held, to be counted and dropped.
    pub fn let_go(&mut self) -> Vec<LetGo> {
        self.under_way = 0;
        self.by_key.clear();
        let mut let_go = Vec::new();
        for (slot, of) in self.slots.iter_mut().enumerate() {
            let Some((_, pending)) = of else { continue };
            let_go.extend(LetGo::take_from(pending));
            if pending.key.is_some() {
                *of = None;
                self.free.push(slot as u32);
            }
        }
        let_go
    }

    /// The same, and no reply will come.
    pub fn let_all_go(&mut self) -> Vec<LetGo> {
        self.take_all().iter_mut().filter_map(LetGo::take_from).collect()
    }

    /// All that are left, in their order; the connection is gone.
    pub fn take_all(&mut self) -> Vec<Pending> {
        self.order.clear();
        self.by_key.clear();
        self.free.clear();
        self.under_way = 0;
        let mut all: Vec<_> = std::mem::take(&mut self.slots).into_iter().flatten().collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, pending)| pending).collect()
    }
}

/// What is left of a request that is no longer waited for.
pub struct LetGo {
    pub tags: Tags,
    pub was_sent: bool,
    /// To be dropped when nothing of the socket is borrowed.
    _held: (Option<Resolvers>, Vec<Persistent<Value<'static>>>),
}

impl LetGo {
    /// `None` if its time was over before.
    fn take_from(pending: &mut Pending) -> Option<Self> {
        let promise = pending.promise.take()?;
        let (tags, replies) = (std::mem::take(&mut pending.tags), std::mem::take(&mut pending.replies));
        Some(Self { tags, was_sent: pending.sent.is_some(), _held: (Some(promise), replies) })
    }
}

/// A request whose time is over.
pub struct Expired {
    pub promise: Resolvers,
    pub tags: Tags,
    pub called: Option<CallSite>,
    pub allowed: std::time::Duration,
    /// Whether its last byte was handed to the kernel.
    pub was_sent: bool,
}

impl Answer {
    /// Whether this message is the last one, where native code can say so.
    pub fn ends_with(&mut self, message: &[u8]) -> Option<bool> {
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
