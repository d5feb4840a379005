//! The modifiers of paths: `@reverse` and others.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::number;
use super::search::{Found, Search};

/// The result of a modifier; `None` if there is no such modifier, or it has no result for the value.
pub fn apply<'j>(search: &Search<'_>, name: &str, argument: &str, json: &'j Value) -> Option<Found<'j>> {
    let made = match (name, json) {
        ("this" | "ugly" | "pretty" | "valid", _) | ("values", Value::Array(_)) => {
            return Some(Cow::Borrowed(json));
        }
        ("reverse", _) => reversed(search, json)?,
        ("keys", Value::Object(fields)) => array(search, fields.keys(), |name| search.string(name))?,
        ("keys", Value::Array(elements)) => array(search, elements, |_| search.plain(Value::Null))?,
        ("keys", _) => array(search, [], |()| None)?,
        ("values", Value::Object(fields)) => array(search, fields.values(), |value| search.copy(value))?,
        ("values", _) => array(search, [json], |value| search.copy(value))?,
        ("flatten", _) => flattened(search, json, argument.replace(' ', "").contains("\"deep\":true"))?,
        ("join", _) => joined(search, json)?,
        ("tostr", _) => {
            search.take(size_of::<Value>())?;
            Value::from(search.text_of(json)?)
        }
        ("fromstr", _) => search.read(json.as_str()?.as_bytes())?,
        ("group", _) => grouped(search, json)?,
        ("dig", _) => dug(search, json, argument)?,
        ("num", _) => search.plain(number(json.as_str()?.parse().ok()?))?,
        _ => return None,
    };
    Some(Cow::Owned(made))
}

fn array<T>(
    search: &Search<'_>,
    elements: impl IntoIterator<Item = T>,
    make: impl FnMut(T) -> Option<Value>,
) -> Option<Value> {
    search.take(size_of::<Value>())?;
    elements.into_iter().map(make).collect::<Option<_>>().map(Value::Array)
}

fn object<'j>(search: &Search<'_>, fields: impl Iterator<Item = (&'j String, &'j Value)>) -> Option<Value> {
    search.take(size_of::<Value>())?;
    let fields = fields.map(|(name, value)| Some((search.name(name)?, search.copy(value)?)));
    fields.collect::<Option<_>>().map(Value::Object)
}

fn reversed(search: &Search<'_>, json: &Value) -> Option<Value> {
    match json {
        Value::Array(elements) => array(search, elements.iter().rev(), |element| search.copy(element)),
        Value::Object(fields) => object(search, fields.iter().rev()),
        other => search.copy(other),
    }
}

fn flattened(search: &Search<'_>, json: &Value, is_deep: bool) -> Option<Value> {
    let Value::Array(elements) = json else { return search.copy(json) };
    search.take(size_of::<Value>())?;
    let mut flat = Vec::new();
    for element in elements {
        match element {
            Value::Array(_) if is_deep => match flattened(search, element, true)? {
                Value::Array(inner) => flat.extend(inner),
                other => flat.push(other),
            },
            Value::Array(inner) => {
                for element in inner {
                    flat.push(search.copy(element)?);
                }
            }
            other => flat.push(search.copy(other)?),
        }
    }
    Some(Value::Array(flat))
}

/// One object of several.
fn joined(search: &Search<'_>, json: &Value) -> Option<Value> {
    let Value::Array(elements) = json else { return search.copy(json) };
    object(search, elements.iter().filter_map(Value::as_object).flatten())
}

/// An array of objects of an object of arrays.
fn grouped(search: &Search<'_>, json: &Value) -> Option<Value> {
    search.take(size_of::<Value>())?;
    let mut rows: Vec<Map<String, Value>> = Vec::new();
    for (name, values) in json.as_object().into_iter().flatten() {
        for (at, value) in values.as_array().into_iter().flatten().enumerate() {
            if rows.len() <= at {
                search.take(size_of::<Value>())?;
                rows.push(Map::new());
            }
            rows[at].insert(search.name(name)?, search.copy(value)?);
        }
    }
    Some(rows.into_iter().map(Value::Object).collect())
}

/// The values of that name, at whatever depth.
fn dug(search: &Search<'_>, json: &Value, name: &str) -> Option<Value> {
    search.take(size_of::<Value>())?;
    let (mut found, mut left) = (Vec::new(), vec![json]);
    while let Some(value) = left.pop().filter(|_| search.goes_on()) {
        match value {
            Value::Object(object) => {
                if let Some(value) = object.get(name) {
                    found.push(search.copy(value)?);
                }
                left.extend(object.values().rev());
            }
            Value::Array(elements) => left.extend(elements.iter().rev()),
            _ => {}
        }
    }
    Some(Value::Array(found))
}
