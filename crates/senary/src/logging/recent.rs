//! The last lines of the log, for the report and the dashboard. Nothing is kept unless one of them is wanted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use super::format::Entry;
use super::level_name;

/// Different lines that are kept.
const MAX_LINES: usize = 50;
/// Longer texts are cut, in bytes.
const MAX_TEXT: usize = 1000;

static IS_KEPT: AtomicBool = AtomicBool::new(false);
static LINES: Mutex<VecDeque<RecentLine>> = Mutex::new(VecDeque::new());

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentLine {
    /// When it was logged last.
    pub time: SystemTime,
    pub level: &'static str,
    pub text: String,
    /// How many more of the same text there were.
    pub more: u64,
}

/// From now on the last lines are kept.
pub fn keep() {
    IS_KEPT.store(true, Ordering::Relaxed);
}

pub(super) fn is_kept() -> bool {
    IS_KEPT.load(Ordering::Relaxed)
}

/// The last lines, the oldest first.
pub fn lines() -> Vec<RecentLine> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

pub(super) fn note(entry: &Entry) {
    if is_kept() {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut lines, entry);
    }
}

fn add(lines: &mut VecDeque<RecentLine>, entry: &Entry) {
    let text = text_of(entry);
    let level = level_name(entry.level);
    if let Some(same) = lines.iter_mut().find(|line| line.text == text && line.level == level) {
        same.more += 1;
        same.time = entry.time;
        return;
    }
    if lines.len() >= MAX_LINES {
        lines.pop_front();
    }
    lines.push_back(RecentLine { time: entry.time, level, text, more: 0 });
}

/// The message, and the fields behind it.
fn text_of(entry: &Entry) -> String {
    let mut text = entry.message.clone();
    for (key, value) in entry.fields.iter().filter(|(key, _)| *key != "source") {
        let value = value.as_str().map_or_else(|| Value::to_string(value), str::to_owned);
        text.push_str(&format!(" {key}={value}"));
    }
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn entry(message: &str) -> Entry {
        let fields = [("hint".to_owned(), "a hint".into()), ("n".to_owned(), 3.into())].into();
        Entry { level: Level::Warn, message: message.to_owned(), fields, time: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn equal_lines_are_one_and_old_ones_go() {
        let mut lines = VecDeque::new();
        for n in 0..60 {
            add(&mut lines, &entry(&format!("line {n}")));
            add(&mut lines, &entry("always the same"));
        }
        assert_eq!(lines.len(), MAX_LINES);
        let same: Vec<_> = lines.iter().filter(|line| line.text.starts_with("always")).collect();
        assert!(same.len() <= 2 && same.iter().all(|line| line.more > 0), "{same:?}");
        assert_eq!(lines.back().unwrap().level, "warning");
        assert!(lines.iter().any(|line| line.text == "line 59 hint=a hint n=3"));
    }

    #[test]
    fn long_lines_are_cut_between_letters() {
        let mut lines = VecDeque::new();
        add(&mut lines, &entry(&"ä".repeat(2000)));
        assert_eq!(lines[0].text.len(), MAX_TEXT);
    }
}
