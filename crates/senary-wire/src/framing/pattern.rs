//! Patterns: regular expressions of the script, over bytes read as Latin-1.

use std::fmt;
use std::ops::Range;

use crate::framing::error::Fault;
use crate::framing::scan::{MORE, Scan};
use crate::framing::view::View;

/// How many bytes before the new ones are searched again when more arrive. A match that starts earlier is not found.
pub const LOOK_BACK: usize = 1024;

/// A regular expression. Only the script's own engine knows what its patterns mean, so the caller brings it.
pub trait Pattern {
    /// The first match in `bytes` that starts at `from` or behind it. What is before `from` is there for `^` and
    /// look-behind.
    fn find(&self, bytes: &[u8], from: usize) -> Option<Found>;
}

/// A match, in positions of the bytes that were searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub start: usize,
    pub end: usize,
    /// The first group, where the pattern has one and it took part.
    pub capture: Option<Range<usize>>,
}

impl fmt::Debug for dyn Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

impl<F: Fn(&[u8], usize) -> Option<Found>> Pattern for F {
    fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        self(bytes, from)
    }
}

impl Found {
    /// What the pattern captures: its first group, or all that matches. Empty if the caller's engine returned an impossible range.
    pub(crate) fn captured<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.capture.clone().unwrap_or(self.start..self.end)).unwrap_or_default()
    }
}

pub struct PatternState;

impl PatternState {
    pub fn scan(&mut self, pattern: &dyn Pattern, view: View<'_>) -> Result<Scan, Fault> {
        let from = view.seen().saturating_sub(LOOK_BACK);
        // One byte more, so that `^` does not match at the start of the searched part.
        let before = from.min(1);
        let bytes = view.slice(from - before..view.len());
        // A message has at least one byte, or there would be no end of messages.
        let found = pattern.find(&bytes, before).filter(|found| from - before + found.end > 0);
        Ok(match found.map(|found| (from - before + found.end).max(view.seen())) {
            Some(end) if end <= view.len() => Scan::End(end),
            _ => MORE,
        })
    }
}
