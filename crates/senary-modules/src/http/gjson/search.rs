//! What a search may take. Paths can be written that would go on for ever, or find more than any memory holds: a step
//! like `[@this,@this]` doubles what the step before it has found.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What a path has found: a part of the document, or something made of it.
pub type Found<'j> = Cow<'j, Value>;

/// Roughly, in bytes: what a field of an object takes besides its name and its value.
const FIELD: usize = 64;

/// Why a search was ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    TooLarge,
    Stopped,
}

/// One search, or the reading of the document before it. Once it has ended, every step of it finds nothing.
pub struct Search<'a> {
    /// Asked between the steps.
    may_go_on: &'a dyn Fn() -> bool,
    /// How many more bytes the search may use. Freed bytes are added again.
    room: Cell<usize>,
    ended: Cell<Option<Ended>>,
}

impl<'a> Search<'a> {
    pub fn new(room: usize, may_go_on: &'a dyn Fn() -> bool) -> Self {
        Self { may_go_on, room: Cell::new(room), ended: Cell::new(None) }
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    pub fn room(&self) -> usize {
        self.room.get()
    }

    /// Whether the search may make another step.
    pub fn goes_on(&self) -> bool {
        if self.ended.get().is_none() && !(self.may_go_on)() {
            self.ended.set(Some(Ended::Stopped));
        }
        self.ended.get().is_none()
    }

    /// Counts bytes that the search is about to use; `None` if there is no room for them.
    pub fn take(&self, bytes: usize) -> Option<()> {
        if !self.goes_on() {
            return None;
        }
        let left = self.room.get().checked_sub(bytes);
        match left {
            Some(left) => self.room.set(left),
            None => self.ended.set(Some(Ended::TooLarge)),
        }
        left.map(|_| ())
    }

    /// Counts bytes that the search has freed.
    pub fn give_back(&self, bytes: usize) {
        self.room.set(self.room.get().saturating_add(bytes));
    }

    /// Runs a step. If it finds nothing, the bytes that it used are freed.
    pub fn attempt<T>(&self, step: impl FnOnce() -> Option<T>) -> Option<T> {
        let before = self.room.get();
        let found = step();
        if found.is_none() {
            self.room.set(before);
        }
        found
    }

    /// A value that may be put into another, or outlive the document.
    pub fn own(&self, found: Found<'_>) -> Option<Value> {
        match found {
            Cow::Borrowed(value) => self.copy(value),
            Cow::Owned(value) => Some(value),
        }
    }

    pub fn copy(&self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::Array(elements) => {
                self.take(size_of::<Value>())?;
                Value::Array(elements.iter().map(|element| self.copy(element)).collect::<Option<_>>()?)
            }
            Value::Object(fields) => {
                self.take(size_of::<Value>())?;
                let fields = fields.iter().map(|(name, value)| Some((self.name(name)?, self.copy(value)?)));
                Value::Object(fields.collect::<Option<_>>()?)
            }
            Value::String(text) => self.string(text)?,
            Value::Null | Value::Bool(_) | Value::Number(_) => self.plain(value.clone())?,
        })
    }

    /// A null, boolean or number, counted.
    pub fn plain(&self, value: Value) -> Option<Value> {
        self.take(size_of::<Value>())?;
        Some(value)
    }

    /// The name of a field that is made.
    pub fn name(&self, name: &str) -> Option<String> {
        self.take(FIELD.saturating_add(name.len()))?;
        Some(name.to_owned())
    }

    /// A text as a value.
    pub fn string(&self, text: &str) -> Option<Value> {
        self.take(size_of::<Value>().saturating_add(text.len()))?;
        Some(Value::from(text))
    }

    /// The JSON of a value.
    pub fn text_of(&self, value: &Value) -> Option<String> {
        let mut written = Written { search: self, bytes: Vec::new() };
        serde_json::to_writer(&mut written, value).ok()?;
        String::from_utf8(written.bytes).ok()
    }

    /// The value of JSON; `None` if it is not JSON.
    pub fn read(&self, json: &[u8]) -> Option<Value> {
        self.attempt(|| {
            let mut reader = serde_json::Deserializer::from_slice(json);
            let value = Read(self).deserialize(&mut reader).ok()?;
            reader.end().ok()?;
            Some(value)
        })
    }
}

struct Written<'a> {
    search: &'a Search<'a>,
    bytes: Vec<u8>,
}

impl io::Write for Written<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.search.take(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a value as `serde_json` itself does, but counts what it takes.
#[derive(Clone, Copy)]
struct Read<'a>(&'a Search<'a>);

impl Read<'_> {
    fn simple<E: Error>(self, value: Value) -> Result<Value, E> {
        self.0.plain(value).ok_or_else(ended)
    }
}

/// Only tells the reader to end: what has happened is in the search.
fn ended<E: Error>() -> E {
    E::custom("the search has ended")
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.simple(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.simple(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.simple(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.simple(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.simple(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.0.string(text).ok_or_else(ended)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.0.take(size_of::<Value>()).ok_or_else(ended)?;
        let mut read = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            read.push(element);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.0.take(size_of::<Value>()).ok_or_else(ended)?;
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            let name = self.0.name(&name).ok_or_else(ended)?;
            read.insert(name, fields.next_value_seed(self)?);
        }
        Ok(Value::Object(read))
    }
}
