//! The modifiers of paths: `@reverse` and others.

use serde_json::{Map, Value};

use super::number;

/// The result of a modifier; `None` if there is no such modifier, or it has no result for the value.
pub fn apply(name: &str, argument: &str, json: &Value) -> Option<Value> {
    Some(match name {
        "this" | "ugly" | "pretty" | "valid" => json.clone(),
        "reverse" => reversed(json),
        "keys" => match json {
            Value::Object(object) => object.keys().map(|key| Value::from(key.as_str())).collect(),
            Value::Array(elements) => vec![Value::Null; elements.len()].into(),
            _ => Value::Array(Vec::new()),
        },
        "values" => match json {
            Value::Object(object) => object.values().cloned().collect(),
            Value::Array(_) => json.clone(),
            other => Value::Array(vec![other.clone()]),
        },
        "flatten" => flattened(json, argument.replace(' ', "").contains("\"deep\":true")),
        "join" => joined(json),
        "tostr" => Value::from(json.to_string()),
        "fromstr" => serde_json::from_str(json.as_str()?).ok()?,
        "group" => grouped(json),
        "dig" => Value::Array(dug(json, argument)),
        "num" => number(json.as_str()?.parse().ok()?),
        _ => return None,
    })
}

fn reversed(json: &Value) -> Value {
    match json {
        Value::Array(elements) => elements.iter().rev().cloned().collect(),
        Value::Object(object) => {
            let fields = object.iter().rev().map(|(key, value)| (key.clone(), value.clone()));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn flattened(json: &Value, is_deep: bool) -> Value {
    let Value::Array(elements) = json else { return json.clone() };
    let mut flat = Vec::new();
    for element in elements {
        match element {
            Value::Array(_) if is_deep => match flattened(element, true) {
                Value::Array(inner) => flat.extend(inner),
                other => flat.push(other),
            },
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Value::Array(flat)
}

/// One object of several.
fn joined(json: &Value) -> Value {
    let Value::Array(elements) = json else { return json.clone() };
    let fields = elements.iter().filter_map(Value::as_object).flatten();
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// An array of objects of an object of arrays.
fn grouped(json: &Value) -> Value {
    let mut rows: Vec<Map<String, Value>> = Vec::new();
    for (key, values) in json.as_object().into_iter().flatten() {
        for (at, value) in values.as_array().into_iter().flatten().enumerate() {
            if rows.len() <= at {
                rows.resize_with(at + 1, Map::new);
            }
            rows[at].insert(key.clone(), value.clone());
        }
    }
    rows.into_iter().map(Value::Object).collect()
}

/// The values of that name, at whatever depth.
fn dug(json: &Value, name: &str) -> Vec<Value> {
    let (mut found, mut left) = (Vec::new(), vec![json]);
    while let Some(value) = left.pop() {
        match value {
            Value::Object(object) => {
                found.extend(object.get(name).cloned());
                left.extend(object.values().rev());
            }
            Value::Array(elements) => left.extend(elements.iter().rev()),
            _ => {}
        }
    }
    found
}
