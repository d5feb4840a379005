//! The bytes of a frame under way: the ones that have been scanned, and the new ones.

use std::borrow::Cow;
use std::ops::Range;

/// Positions count from the start of the frame, through `head` into `new`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Bytes that earlier calls have scanned.
    pub head: &'a [u8],
    pub new: &'a [u8],
}

impl<'a> View<'a> {
    pub fn len(&self) -> usize {
        self.head.len() + self.new.len()
    }

    /// The position of the first new byte.
    pub fn seen(&self) -> usize {
        self.head.len()
    }

    pub fn get(&self, at: usize) -> Option<u8> {
        match at.checked_sub(self.head.len()) {
            None => self.head.get(at).copied(),
            Some(at) => self.new.get(at).copied(),
        }
    }

    /// The first `count` bytes at most.
    pub fn clip(&self, count: usize) -> View<'a> {
        let new = self.new.len().min(count.saturating_sub(self.head.len()));
        View { head: self.head, new: &self.new[..new] }
    }

    /// What follows the first `count` bytes, as a frame of its own.
    pub fn skip(&self, count: usize) -> View<'a> {
        match count.checked_sub(self.head.len()) {
            None => View { head: &self.head[count..], new: self.new },
            Some(count) => View { head: &[], new: self.new.get(count..).unwrap_or_default() },
        }
    }

    /// Copies only what lies on both sides of the border. The range has to lie within the view.
    pub fn slice(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let border = self.head.len();
        if range.start >= border {
            return Cow::Borrowed(&self.new[range.start - border..range.end - border]);
        }
        if range.end <= border {
            return Cow::Borrowed(&self.head[range]);
        }
        Cow::Owned([&self.head[range.start..], &self.new[..range.end - border]].concat())
    }

    /// Whether the bytes before `end` are `bytes`.
    pub fn ends_with(&self, end: usize, bytes: &[u8]) -> bool {
        let Some(start) = end.checked_sub(bytes.len()) else { return false };
        if start >= self.head.len() {
            let border = self.head.len();
            return self.new.get(start - border..end - border) == Some(bytes);
        }
        (start..end).zip(bytes).all(|(at, byte)| self.get(at) == Some(*byte))
    }

    /// The first `byte` at or behind `from`, among the new bytes.
    pub fn find(&self, byte: u8, from: usize) -> Option<usize> {
        let start = from.saturating_sub(self.head.len());
        let rest = self.new.get(start..)?;
        memchr::memchr(byte, rest).map(|at| self.head.len() + start + at)
    }
}
