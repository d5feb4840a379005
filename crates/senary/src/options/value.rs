//! Values of options: how each type is read from JSON, from the text of an environment variable, and written.
//!
//! Readings are as lenient as the reference's: numbers may be text, durations may be milliseconds, names of
//! fields may differ in letter case.

use std::collections::BTreeMap;

use senary_words::duration;
use senary_words::size::{self, Size};
use serde_json::{Map, Value};

use super::remarks::Remarks;
use crate::environment::Environment;

/// Why a value is not what its option wants, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}", .path, if .path.is_empty() { "" } else { ": " })]
pub struct Invalid {
    /// `scenarios.a.vus`; empty for the value itself.
    pub path: String,
    pub reason: String,
}

impl Invalid {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    /// The same, seen from one level up.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}

/// A type an option can have.
pub trait OptionValue: Sized {
    /// From JSON that is not null. `None` if the value means "not set".
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid>;

    /// From an environment variable that is not empty; `None` if its text means "not set". JSON unless a type says
    /// otherwise.
    fn parse(text: &str, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let value = serde_json::from_str(text).map_err(|e| Invalid::new(format!("expected JSON: {e}")))?;
        Self::decode(&value, remarks)
    }

    fn encode(&self) -> Value;

    /// What holds if a lower layer has set the option, too: this one, unless a type says otherwise.
    #[must_use]
    fn over(self, below: Self) -> Self {
        drop(below);
        self
    }
}

/// An environment variable as an option; `None` if it is not set.
pub fn parse_variable<T: OptionValue>(
    env: &Environment,
    name: &str,
    remarks: &mut Remarks,
) -> Result<Option<T>, Invalid> {
    let Some(text) = env.get(name) else { return Ok(None) };
    remarks
        .within(name, |remarks| T::parse(text, remarks))
        .map_err(|e| Invalid::new(format!("invalid value {text:?} of the environment variable {name}: {e}")))
}

/// Signed nanoseconds, so that errors can show a negative duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i64);

impl Nanos {
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// Negative durations become zero.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.try_into().unwrap_or(0))
    }
}

impl std::fmt::Display for Nanos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&duration::format_nanos(self.0))
    }
}

/// A number of bytes: `256MB`, `1GiB`, or the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

/// An engine without a script takes a fifth of it.
const MIN_SIZE: usize = 1_000_000;

/// A size that a VU can live in.
pub fn parse_size(text: &str) -> Result<ByteSize, String> {
    match size::parse(text) {
        None => Err(format!("{text:?} is no size: expected a number and a unit, like 256MB or 1GiB")),
        Some(Size(..MIN_SIZE)) => Err(format!("{text:?} is too little: a VU takes 1MB at least")),
        Some(Size(bytes)) => Ok(ByteSize(bytes)),
    }
}

impl OptionValue for ByteSize {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(expected("a size like \"256MB\", or a number of bytes", value)),
        };
        Self::parse(&text, remarks)
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        parse_size(text).map(Some).map_err(Invalid::new)
    }

    fn encode(&self) -> Value {
        self.0.into()
    }
}

/// A variable with this text is as good as none.
const UNSET: &str = "null";

/// A value that is passed on unread.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw(pub Value);

pub fn expected(what: &str, value: &Value) -> Invalid {
    let mut found = value.to_string();
    if found.chars().count() > 60 {
        found = found.chars().take(57).chain("...".chars()).collect();
    }
    Invalid::new(format!("expected {what}, found {found}"))
}

fn not_whole(text: &str) -> String {
    format!("{text:?} is not a whole number")
}

fn too_large(text: &str) -> String {
    format!("{text:?} is a number beyond 64 bits")
}

/// A whole number in decimal digits.
pub fn parse_int(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_whole(text));
    }
    text.parse().map_err(|_| too_large(text))
}

/// A whole number as programs write them: `0x1f`, `0b11`, `0o17`, `017`, `1_000`.
pub fn parse_int_literal(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let (radix, prefix) = match digits.get(..2) {
        Some("0x" | "0X") => (16, 2),
        Some("0b" | "0B") => (2, 2),
        Some("0o" | "0O") => (8, 2),
        Some(_) if digits.starts_with('0') => (8, 1),
        _ => (10, 0),
    };
    let digits = &digits[prefix..];
    // An underscore stands between digits, or between the prefix and the first of them.
    let digits = digits.strip_prefix('_').filter(|_| prefix > 0).unwrap_or(digits);
    if digits.split('_').any(|group| group.is_empty() || !group.chars().all(|c| c.is_digit(radix))) {
        return Err(not_whole(text));
    }
    let number = i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix);
    number.map_err(|_| too_large(text))
}

/// A switch, in the spellings that Go takes.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// Go's grammar alone, as on the command line.
pub fn parse_go_duration(text: &str) -> Result<Nanos, String> {
    duration::parse_go(text).map(Nanos).map_err(|e| e.to_string())
}

impl OptionValue for bool {
    fn decode(value: &Value, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        value.as_bool().map(Some).ok_or_else(|| expected("true or false", value))
    }

    /// Stricter than flags: these are the texts of JSON.
    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        match text {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            UNSET => Ok(None),
            _ => Err(Invalid::new("expected true or false")),
        }
    }

    fn encode(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for i64 {
    fn decode(value: &Value, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        match value {
            Value::Number(n) => n.as_i64().map(Some).ok_or_else(|| expected("a whole number", value)),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => parse_int(text).map(Some).map_err(Invalid::new),
            _ => Err(expected("a whole number", value)),
        }
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        if text == UNSET {
            return Ok(None);
        }
        parse_int(text).map(Some).map_err(Invalid::new)
    }

    fn encode(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for String {
    fn decode(value: &Value, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        value.as_str().map(|s| Some(s.to_owned())).ok_or_else(|| expected("text", value))
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(text.to_owned()))
    }

    fn encode(&self) -> Value {
        self.as_str().into()
    }
}

impl OptionValue for Nanos {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        match value {
            Value::String(text) => Self::parse(text, remarks),
            Value::Number(n) => n
                .as_f64()
                .and_then(duration::from_millis)
                .map(|n| Some(Self(n)))
                .ok_or_else(|| expected("a duration", value)),
            _ => Err(expected("a duration like \"1m30s\", or milliseconds", value)),
        }
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        duration::parse_extended(text).map(|n| Some(Self(n))).map_err(|e| Invalid::new(e.to_string()))
    }

    fn encode(&self) -> Value {
        self.to_string().into()
    }
}

impl OptionValue for Raw {
    fn decode(value: &Value, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(Self(value.clone())))
    }

    fn encode(&self) -> Value {
        self.0.clone()
    }
}

impl OptionValue for Vec<String> {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        decode_list(value, remarks, "a list of texts", EMPTY_TEXT).map(Some)
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(split_list(text)))
    }

    fn encode(&self) -> Value {
        self.as_slice().into()
    }
}

impl OptionValue for BTreeMap<String, String> {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let object = value.as_object().ok_or_else(|| expected("an object of texts", value))?;
        let mut map = Self::new();
        for (key, value) in object {
            let text = remarks.within(key, |remarks| decode_or_null(value, remarks, EMPTY_TEXT));
            map.insert(key.clone(), text.map_err(|e| e.within(key))?);
        }
        Ok(Some(map))
    }

    /// `name:value,name:value`.
    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let pair = |pair: &str| match pair.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Invalid::new(format!("expected name:value, found {pair:?}"))),
        };
        text.split(',').map(pair).collect::<Result<_, _>>().map(Some)
    }

    fn encode(&self) -> Value {
        self.iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// What becomes of a null where a text is expected.
const EMPTY_TEXT: &str = "it is read as an empty text";

/// A list of values of one type. A null in it has the `effect`.
pub fn decode_list<T: OptionValue + Default>(
    value: &Value,
    remarks: &mut Remarks,
    what: &str,
    effect: &'static str,
) -> Result<Vec<T>, Invalid> {
    let items = value.as_array().ok_or_else(|| expected(what, value))?;
    let mut list = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let at = at.to_string();
        let item = remarks.within(&at, |remarks| decode_or_null(item, remarks, effect));
        list.push(item.map_err(|e| e.within(&at))?);
    }
    Ok(list)
}

/// As in Go, a null is the empty value; whether that is enough is checked with the other options.
fn decode_or_null<T: OptionValue + Default>(
    value: &Value,
    remarks: &mut Remarks,
    effect: &'static str,
) -> Result<T, Invalid> {
    if value.is_null() {
        remarks.null(effect);
        return Ok(T::default());
    }
    T::decode(value, remarks).map(Option::unwrap_or_default)
}

/// The values of a flag that takes lists and may be repeated: CSV, so that a value in quotes may have commas. Given as
/// the empty text alone, it is an empty list.
pub fn split_csv(texts: &[String]) -> Vec<String> {
    let mut values = Vec::new();
    for text in texts {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        // One line, and text that is UTF-8 already: there is nothing to fail.
        let line = reader.records().next().and_then(Result::ok).unwrap_or_default();
        values.extend(line.iter().map(str::to_owned));
    }
    values
}

/// The parts of a comma-separated text, without blanks around them.
pub fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The fields of a JSON object, taken one after the other.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    taken: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub fn of(value: &'a Value, what: &str) -> Result<Self, Invalid> {
        let object = value.as_object().ok_or_else(|| expected(what, value))?;
        Ok(Self { object, known: Vec::new(), taken: Vec::new() })
    }

    /// The field of that name, or of that name in another letter case. As in Go, null is as good as no field.
    pub fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        let exact = self.object.get_key_value(name);
        let (key, value) =
            exact.or_else(|| self.object.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)))?;
        self.taken.push(key);
        Some(value).filter(|value| !value.is_null())
    }

    pub fn take<T: OptionValue>(
        &mut self,
        name: &'static str,
        remarks: &mut Remarks,
    ) -> Result<Option<T>, Invalid> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => {
                remarks.within(name, |remarks| T::decode(value, remarks)).map_err(|e| e.within(name))
            }
        }
    }

    /// Names that were not taken.
    pub fn rest(&self) -> impl Iterator<Item = &'a str> {
        let others = self.object.keys().map(String::as_str);
        others.filter(|key| !self.taken.iter().any(|taken| taken.eq_ignore_ascii_case(key)))
    }

    /// The names that were asked for.
    pub fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Notes the names that were not taken as unknown.
    pub fn leave_rest(&self, remarks: &mut Remarks) {
        self.rest().for_each(|name| remarks.unknown(name, &self.known));
    }
}
