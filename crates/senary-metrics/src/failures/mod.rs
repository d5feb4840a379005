//! What went wrong in a run: per kind of failure how often, when first and last, and one text and one place of it.
//!
//! This is a collection of its own beside samples. A producer counts failures here as they happen; what it has is
//! merged with what the others have, in any order, and the totals stay exact. Memory is bounded: each
//! [`FailureKind`] keeps a limited number of failures apart and counts the others together.

mod kind;

use std::collections::BTreeMap;
use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};
use serde::{Deserialize, Serialize};

use crate::sample::Timestamp;

pub use kind::FailureKind;

/// At most this many failures of a kind are kept apart.
pub const MAX_OF_A_KIND: usize = 100;

/// Longer texts, names and places are cut, in bytes.
pub const MAX_TEXT: usize = 400;

/// What tells one failure from another. Parts that say nothing are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureId<'a> {
    pub kind: FailureKind,
    /// The error's code: `ECONNREFUSED`.
    pub code: &'a str,
    /// The operation that failed: `connect`.
    pub method: &'a str,
    /// What failed: the name of a check, a scenario, an output; of an exception its message without numbers.
    pub name: &'a str,
    /// The place in the script, for failures that are told apart by it.
    pub place: &'a str,
}

impl<'a> FailureId<'a> {
    pub fn new(kind: FailureKind, name: &'a str) -> Self {
        Self { kind, code: "", method: "", name, place: "" }
    }

    /// The id without what is not kept of it.
    fn as_kept(&self) -> Self {
        let place = if self.kind.is_told_apart_by_place() { self.place } else { "" };
        Self {
            kind: self.kind,
            code: beginning(self.code),
            method: beginning(self.method),
            name: beginning(self.name),
            place: beginning(place),
        }
    }
}

/// What is kept of the first failure with an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub text: String,
    /// The place in the script; not used if the id has one.
    pub place: String,
}

impl Details {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), place: String::new() }
    }
}

/// How often something happened, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrences {
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Occurrences {
    fn new(count: u64, at: Timestamp) -> Self {
        Self { count, first: at, last: at }
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
            return;
        }
        if other.count == 0 {
            return;
        }
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// One failure of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub code: String,
    pub method: String,
    pub name: String,
    /// In words: of the first one.
    pub text: String,
    /// `file:///path/script.js:3:9`, of the first one, or empty.
    pub place: String,
    #[serde(flatten)]
    pub occurrences: Occurrences,
}

impl Failure {
    fn new(id: &FailureId<'_>, occurrences: Occurrences, details: Details) -> Self {
        let place = if id.place.is_empty() { &details.place } else { id.place };
        Self {
            kind: id.kind,
            code: id.code.to_owned(),
            method: id.method.to_owned(),
            name: id.name.to_owned(),
            text: cut(&details.text),
            place: beginning(place).to_owned(),
            occurrences,
        }
    }

    fn id(&self) -> FailureId<'_> {
        let place = if self.kind.is_told_apart_by_place() { self.place.as_str() } else { "" };
        FailureId { kind: self.kind, code: &self.code, method: &self.method, name: &self.name, place }
    }

    /// Takes in another failure with the same id. The words of the earlier one stay.
    fn merge(&mut self, other: &Self) {
        fn order(of: &Failure) -> (Timestamp, &str, &str) {
            (of.occurrences.first, &of.text, &of.place)
        }
        if order(other) < order(self) {
            self.text.clone_from(&other.text);
            self.place.clone_from(&other.place);
        }
        self.occurrences.merge(&other.occurrences);
    }
}

/// Where [`Failures`] count an id, for as long as they exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedAs {
    /// One that is kept apart, by its place among them.
    Known(u32),
    /// One of the others of its kind.
    Other(FailureKind),
}

/// The failures of a run, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Failures {
    known: Vec<Failure>,
    /// Where the failure is known whose id has a hash; of several with the same one, the first.
    places: FxHashMap<u64, usize>,
    /// The failures that are counted together, sorted by kind. There are few entries, and each is looked up often, so this is no map.
    others: Vec<(FailureKind, Occurrences)>,
}

impl Failures {
    /// Counts failures that happened at a time, if nothing need be kept of them any more: there were some with that id
    /// before, or no more of the kind are kept apart. Otherwise it is `None`, and [`add`](Self::add) is due.
    pub fn count_again(&mut self, id: &FailureId<'_>, count: u64, at: Timestamp) -> Option<CountedAs> {
        let id = id.as_kept();
        let counted_as = match self.position(&id) {
            Some(at) => CountedAs::Known(at as u32),
            None if self.has_room_for(id.kind) => return None,
            None => CountedAs::Other(id.kind),
        };
        self.count_as(counted_as, count, at);
        Some(counted_as)
    }

    /// Counts failures that happened at a time, like others with the same id before.
    pub fn count_as(&mut self, counted_as: CountedAs, count: u64, at: Timestamp) {
        let occurrences = Occurrences::new(count, at);
        match counted_as {
            CountedAs::Known(at) => self.known[at as usize].occurrences.merge(&occurrences),
            CountedAs::Other(kind) => self.add_other(kind, &occurrences),
        }
    }

    /// Counts failures that happened at a time.
    pub fn add(&mut self, id: &FailureId<'_>, count: u64, at: Timestamp, details: Details) -> CountedAs {
        self.count_again(id, count, at).unwrap_or_else(|| {
            let id = id.as_kept();
            self.keep(Failure::new(&id, Occurrences::new(count, at), details));
            CountedAs::Known(self.known.len() as u32 - 1)
        })
    }

    /// Takes in the failures of another part of the run.
    pub fn merge(&mut self, other: &Self) {
        for failure in other.known.iter().filter(|failure| failure.occurrences.count > 0) {
            match self.position(&failure.id()) {
                Some(at) => self.known[at].merge(failure),
                None if self.has_room_for(failure.kind) => self.keep(failure.clone()),
                None => self.add_other(failure.kind, &failure.occurrences),
            }
        }
        for (kind, occurrences) in other.others().filter(|(_, occurrences)| occurrences.count > 0) {
            self.add_other(kind, occurrences);
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        let known = self.known.iter().map(|failure| &failure.occurrences);
        known.chain(self.others.iter().map(|(_, others)| others)).all(|occurrences| occurrences.count == 0)
    }

    /// Starts to count at zero again, after this was [merged](Self::merge) into another. Which failures there are stays known,
    /// with their words, so that they need not be found again: VUs read the clock at different moments, so what is counted from
    /// now on may be earlier than what was merged, and then its words are shown.
    pub fn count_anew(&mut self) {
        self.known.iter_mut().for_each(|failure| failure.occurrences.count = 0);
        self.others.iter_mut().for_each(|(_, occurrences)| occurrences.count = 0);
    }

    /// How many failures of a kind there were.
    pub fn count(&self, kind: FailureKind) -> u64 {
        let known = self.known.iter().filter(|failure| failure.kind == kind);
        let known: u64 = known.map(|failure| failure.occurrences.count).sum();
        known + self.others().find(|(other, _)| *other == kind).map_or(0, |(_, others)| others.count)
    }

    /// The failures that are kept apart, the most telling first: by kind, and within a kind the most frequent, then the
    /// earliest.
    pub fn by_weight(&self) -> Vec<&Failure> {
        let mut sorted: Vec<_> = self.known.iter().collect();
        sorted.sort_by(|a, b| {
            let weight = |of: &Failure| (of.kind, u64::MAX - of.occurrences.count, of.occurrences.first);
            weight(a).cmp(&weight(b)).then_with(|| a.id().cmp(&b.id()))
        });
        sorted
    }

    /// Failures that are not kept apart, by kind.
    pub fn others(&self) -> impl Iterator<Item = (FailureKind, &Occurrences)> {
        self.others.iter().map(|(kind, occurrences)| (*kind, occurrences))
    }

    fn position(&self, id: &FailureId<'_>) -> Option<usize> {
        let first = *self.places.get(&hash_of(id))?;
        if self.known[first].id() == *id {
            return Some(first);
        }
        // Another has the same hash, which hardly ever happens.
        self.known.iter().position(|failure| failure.id() == *id)
    }

    fn has_room_for(&self, kind: FailureKind) -> bool {
        let of_the_kind = || self.known.iter().filter(|failure| failure.kind == kind).count();
        // Once some were too many, all that are new are.
        !self.others().any(|(other, _)| other == kind) && of_the_kind() < MAX_OF_A_KIND
    }

    fn keep(&mut self, failure: Failure) {
        self.places.entry(hash_of(&failure.id())).or_insert(self.known.len());
        self.known.push(failure);
    }

    fn add_other(&mut self, kind: FailureKind, occurrences: &Occurrences) {
        match self.others.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, known)) => known.merge(occurrences),
            None => {
                let place = self.others.partition_point(|(other, _)| *other < kind);
                self.others.insert(place, (kind, *occurrences));
            }
        }
    }
}

/// How failures are written to a file.
#[derive(Serialize, Deserialize)]
struct Written {
    known: Vec<Failure>,
    #[serde(default)]
    others: BTreeMap<FailureKind, Occurrences>,
}

impl From<Failures> for Written {
    fn from(failures: Failures) -> Self {
        Self { known: failures.known, others: failures.others.into_iter().collect() }
    }
}

impl From<Written> for Failures {
    fn from(written: Written) -> Self {
        let mut failures = Self::default();
        let others = written.others.into_iter().collect();
        failures.merge(&Self { known: written.known, places: FxHashMap::default(), others });
        failures
    }
}

/// Most parts of an id are empty, and a check that fails costs little beside this.
fn hash_of(id: &FailureId<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(id.kind as u8);
    for (at, part) in [id.code, id.method, id.name, id.place].into_iter().enumerate() {
        if !part.is_empty() {
            hasher.write(part.as_bytes());
            hasher.write_u8(at as u8);
        }
    }
    hasher.finish()
}

fn cut(text: &str) -> String {
    let kept = beginning(text);
    if kept.len() < text.len() { format!("{kept}…") } else { text.to_owned() }
}

/// As much of a text as is kept.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// The message of an exception without what differs each time: numbers, and words with digits in them, as ids are.
pub fn shape(message: &str) -> String {
    let message = beginning(message);
    let mut shape = String::with_capacity(message.len());
    for piece in message.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let (word, end) = piece.split_at(piece.trim_end_matches(|c: char| !c.is_alphanumeric()).len());
        shape.push_str(if word.contains(|c: char| c.is_numeric()) { "#" } else { word });
        shape.push_str(end);
    }
    shape
}

#[cfg(test)]
mod tests;
