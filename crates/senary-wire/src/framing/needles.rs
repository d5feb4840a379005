//! A search for the first of several short byte strings, across chunks, that looks at each byte once.

use bytes::Bytes;

use crate::framing::view::View;

#[derive(Clone, Debug)]
pub struct Needles {
    list: Vec<Bytes>,
    lasts: Lasts,
    longest: usize,
}

/// The bytes that strings of the list end with: a match is looked for by its last byte, because what is before it has
/// come already, wherever the chunks were cut.
#[derive(Clone, Debug)]
enum Lasts {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
    Many(Box<[bool; 256]>),
}

/// A match: where it ends, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub end: usize,
    pub len: usize,
}

impl Needles {
    /// The strings are not empty, and there is one at least.
    pub fn new(list: Vec<Bytes>) -> Self {
        let mut lasts: Vec<u8> = list.iter().filter_map(|needle| needle.last().copied()).collect();
        lasts.sort_unstable();
        lasts.dedup();
        let longest = list.iter().map(Bytes::len).max().unwrap_or_default();
        let lasts = match lasts[..] {
            [one] => Lasts::One(one),
            [one, two] => Lasts::Two(one, two),
            [one, two, three] => Lasts::Three(one, two, three),
            _ => {
                let mut table = Box::new([false; 256]);
                lasts.iter().for_each(|byte| table[usize::from(*byte)] = true);
                Lasts::Many(table)
            }
        };
        Self { list, lasts, longest }
    }

    pub fn first(&self) -> &Bytes {
        &self.list[0]
    }

    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The match that ends first among the new bytes, the longest of those that end there; none starts before
    /// `barrier`.
    pub fn find(&self, view: View<'_>, barrier: usize) -> Option<Hit> {
        let mut from = 0;
        while let Some(at) = self.last_byte(&view.new[from..]) {
            from += at + 1;
            if let Some(hit) = self.ending_at(view, view.seen() + from, barrier) {
                return Some(hit);
            }
        }
        None
    }

    /// The longest match that ends exactly there.
    pub fn ending_at(&self, view: View<'_>, end: usize, barrier: usize) -> Option<Hit> {
        let fits = |needle: &&Bytes| barrier + needle.len() <= end && view.ends_with(end, needle);
        let len = self.list.iter().filter(fits).map(Bytes::len).max()?;
        Some(Hit { end, len })
    }

    /// Whether one of the strings has these bytes in it.
    pub fn contain(&self, bytes: &[u8]) -> bool {
        self.list.iter().any(|needle| needle.windows(bytes.len()).any(|part| part == bytes))
    }

    fn last_byte(&self, bytes: &[u8]) -> Option<usize> {
        match &self.lasts {
            Lasts::One(one) => memchr::memchr(*one, bytes),
            Lasts::Two(one, two) => memchr::memchr2(*one, *two, bytes),
            Lasts::Three(one, two, three) => memchr::memchr3(*one, *two, *three, bytes),
            Lasts::Many(table) => bytes.iter().position(|byte| table[usize::from(*byte)]),
        }
    }
}
