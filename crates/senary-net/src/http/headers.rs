//! The fields of a head, in their order.

use std::fmt;
use std::ops::Range;

/// Names and values, in one piece of memory. Names are compared without regard to case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: String,
    fields: Vec<Field>,
}

/// Where a field's name and value end in the text; the name begins where the value before it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Field {
    start: u32,
    name_end: u32,
    value_end: u32,
}

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    /// With room for the fields of a head of so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes.min(4096)), fields: Vec::with_capacity(8) }
    }

    /// Adds a field behind all others, whether there is one of that name or not.
    pub fn push(&mut self, name: &str, value: &str) {
        let start = self.end();
        self.text.push_str(name);
        let name_end = self.end();
        self.text.push_str(value);
        self.fields.push(Field { start, name_end, value_end: self.end() });
    }

    /// Adds to the value of the last field.
    pub(super) fn extend_last(&mut self, more: &str) {
        self.text.push_str(more);
        let end = self.end();
        if let Some(field) = self.fields.last_mut() {
            field.value_end = end;
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + Clone {
        self.fields
            .iter()
            .map(|field| (self.part(field.start..field.name_end), self.part(field.name_end..field.value_end)))
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All values of that name, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How many bytes the names and the values have together.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The readers of heads limit them to far less than 4 GiB; anything beyond is cut off.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    fn part(&self, range: Range<u32>) -> &str {
        self.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
