//! Keeps a log readable when the same thing goes wrong again and again: of lines of one kind the first few are
//! written, then they are counted, and the count is written once a second and at the end.
//!
//! Lines are of one kind if they come from the same place in the program, at the same level, and differ in numbers
//! only. Places in a script count as different: stack traces have to be identical.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::Record;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::format::Entry;

/// Lines of a kind that are written before they are counted.
const FIRST: u64 = 10;
/// How often a count is written.
const PERIOD: Duration = Duration::from_secs(1);
/// Kinds that are told apart by their texts; beyond them the place in the program decides alone.
const MAX_KINDS: usize = 1_000;

/// What has been logged of each kind.
#[derive(Default)]
pub struct Flood {
    hashes: RandomState,
    kinds: Mutex<FxHashMap<Kind, Seen>>,
}

/// The hash of what lines of a kind have in common. The texts themselves are not kept: a thousand of them would have to be read
/// again for each line, and two that happen to have the same hash of 64 bits are less likely than a fault of the machine.
type Kind = u64;

struct Seen {
    /// Of how many kinds this was the last to be new.
    order: usize,
    lines: u64,
    /// Lines that neither were written nor are in a count that was.
    held_back: u64,
    counted: Instant,
    /// One of those that were held back, kept once per count: to keep the last one would cost a copy of each.
    example: Option<Entry>,
}

impl Flood {
    /// What to write instead of a line: itself, a count, or nothing.
    pub fn pass(&self, record: &Record<'_>, entry: Entry, now: Instant) -> Option<Entry> {
        let mut kind = self.kind(record, Some(&entry));
        let mut kinds = self.lock();
        if kinds.len() >= MAX_KINDS && !kinds.contains_key(&kind) {
            kind = self.kind(record, None);
        }
        let order = kinds.len();
        let new = || Seen { order, lines: 0, held_back: 0, counted: now, example: None };
        let seen = kinds.entry(kind).or_insert_with(new);
        seen.lines += 1;
        if seen.lines <= FIRST {
            seen.counted = now;
            return Some(entry);
        }
        seen.held_back += 1;
        if now.duration_since(seen.counted) >= PERIOD {
            return Some(seen.count(entry, now));
        }
        seen.example.get_or_insert(entry);
        None
    }

    /// The counts that are not written yet.
    pub fn rest(&self, now: Instant) -> Vec<Entry> {
        let mut kinds = self.lock();
        let mut left: Vec<&mut Seen> = kinds.values_mut().filter(|seen| seen.held_back > 0).collect();
        left.sort_by_key(|seen| seen.order);
        left.into_iter()
            .filter_map(|seen| Some((seen.example.take()?, seen)))
            .map(|(example, seen)| seen.count(example, now))
            .collect()
    }

    /// Of which kind a line is: by the place in the program and the level, and by the entry, if its text counts.
    fn kind(&self, record: &Record<'_>, entry: Option<&Entry>) -> Kind {
        let mut hasher = self.hashes.build_hasher();
        (record.file_static(), record.line(), record.level()).hash(&mut hasher);
        if let Some(entry) = entry {
            add_pattern(entry, &mut hasher);
        }
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Kind, Seen>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// A line that stands for those that were held back, one of which is the example.
    fn count(&mut self, mut entry: Entry, now: Instant) -> Entry {
        let count = std::mem::take(&mut self.held_back);
        self.counted = now;
        self.example = None;
        let example = entry.message.lines().next().unwrap_or_default();
        entry.message = format!("… and {} more like it (--log-all shows them): {example}", grouped(count));
        entry.fields.insert("more".to_owned(), count.into());
        entry.time = SystemTime::now();
        entry
    }
}

/// Hashes the text of an entry and its fields; numbers are all alike outside of a stack trace.
fn add_pattern(entry: &Entry, hasher: &mut impl Hasher) {
    let (head, trace) = entry.message.split_once('\n').unwrap_or((&entry.message, ""));
    add_without_numbers(head, hasher);
    trace.hash(hasher);
    for (name, value) in &entry.fields {
        name.hash(hasher);
        match value {
            Value::String(text) => add_without_numbers(text, hasher),
            other => add_without_numbers(&other.to_string(), hasher),
        }
    }
}

fn add_without_numbers(text: &str, hasher: &mut impl Hasher) {
    let mut rest = text.as_bytes();
    while let Some(number) = rest.iter().position(u8::is_ascii_digit) {
        hasher.write(&rest[..number]);
        hasher.write_u8(b'#');
        let end = rest[number..].iter().position(|byte| !byte.is_ascii_digit());
        rest = end.map_or(&[], |end| &rest[number + end..]);
    }
    hasher.write(rest);
    // No byte of a text is this one: it ends here.
    hasher.write_u8(0xff);
}

/// `142,097`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use log::Level;

    use super::*;

    fn entry(message: String) -> Entry {
        Entry { level: Level::Error, message, fields: BTreeMap::new(), time: SystemTime::now() }
    }

    fn passed(flood: &Flood, line: u32, message: String, now: Instant) -> Option<String> {
        let record = Record::builder().file_static(Some("a.rs")).line(Some(line)).level(Level::Error).build();
        flood.pass(&record, entry(message), now).map(|entry| entry.message)
    }

    #[test]
    fn a_flood_is_counted_once_a_second_and_at_the_end() {
        let (flood, start) = (Flood::default(), Instant::now());
        let mut written = Vec::new();
        for n in 0..3_500_u64 {
            let now = start + Duration::from_millis(n);
            written.extend(passed(&flood, 1, format!("could not dial 127.0.0.1:{n}\n\tat a.js:1:2"), now));
        }
        let rest: Vec<_> = flood.rest(start).into_iter().map(|entry| entry.message).collect();
        assert_eq!(written.len(), FIRST as usize + 3, "{written:?}");
        assert!(
            written[10].starts_with(
                "… and 1,000 more like it (--log-all shows them): could not dial 127.0.0.1:1009"
            ),
            "{}",
            written[10]
        );
        let count = |text: &String| text.split(' ').nth(2).unwrap().replace(',', "").parse::<u64>().unwrap();
        let counted: u64 = written[10..].iter().chain(&rest).map(count).sum();
        assert_eq!(counted + FIRST, 3_500);
        assert_eq!(flood.rest(start).len(), 0);
    }

    #[test]
    fn what_differs_is_told_apart() {
        let (flood, now) = (Flood::default(), Instant::now());
        for n in 0..FIRST {
            for (line, text) in
                [(1, "one"), (2, "one"), (1, "two"), (1, "one\n\tat a.js:1:2"), (1, "one\n\tat a.js:1:3")]
            {
                assert!(passed(&flood, line, text.to_owned(), now).is_some(), "{n} {line} {text}");
            }
        }
        assert_eq!(passed(&flood, 1, "one".to_owned(), now), None);
        assert!(passed(&flood, 3, "one".to_owned(), now).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (flood, now) = (Flood::default(), Instant::now());
        let words = (0..20_000_u32)
            .map(|n| n.to_string().chars().map(|c| (b'a' + c as u8 - b'0') as char).collect::<String>());
        let written = words.filter_map(|word| passed(&flood, 1, word, now)).count();
        assert!(flood.lock().len() <= MAX_KINDS + 1);
        assert_eq!(written, MAX_KINDS + FIRST as usize);
    }
}
