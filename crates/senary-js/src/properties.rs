//! The properties of a script's objects, by the engine's own keys.
//!
//! Rust cannot hold every name as a string: script may put a zero byte or half of a surrogate pair into it. So values
//! are read by the engine's own key, and the name as text is only for people. The bindings' functions for names as
//! `String`s cut a name at its first zero byte; `clippy.toml` keeps them out of the crate.

// The one place that may ask the bindings for keys.
#![allow(clippy::disallowed_methods)]

use rquickjs::{Filter, Object, Value};

/// Names and values of an object's own enumerable properties, in its order. A value is read when its turn comes: a
/// getter is script.
pub fn entries<'js>(object: &Object<'js>) -> impl Iterator<Item = rquickjs::Result<(String, Value<'js>)>> {
    entries_of(object, Filter::new().string().enum_only())
}

/// As [`entries`], with the properties that cannot be enumerated.
pub fn all_entries<'js>(
    object: &Object<'js>,
) -> impl Iterator<Item = rquickjs::Result<(String, Value<'js>)>> {
    entries_of(object, Filter::new().string())
}

/// The names of an object's own enumerable properties.
pub fn names<'js>(object: &Object<'js>) -> impl Iterator<Item = rquickjs::Result<String>> {
    keys(object).map(|key| key?.to_string())
}

/// The same, as the engine has them.
pub fn keys<'js>(object: &Object<'js>) -> impl Iterator<Item = rquickjs::Result<rquickjs::String<'js>>> {
    object.own_keys(Filter::new().string().enum_only())
}

/// The values of all of an object's own properties.
pub fn values<'js>(object: &Object<'js>) -> impl Iterator<Item = rquickjs::Result<Value<'js>>> {
    object.own_values(Filter::new().string())
}

fn entries_of<'js>(
    object: &Object<'js>,
    filter: Filter,
) -> impl Iterator<Item = rquickjs::Result<(String, Value<'js>)>> {
    let of = object.clone();
    object.own_keys::<rquickjs::String<'js>>(filter).map(move |key| {
        let key = key?;
        Ok((key.to_string()?, of.get(key)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    #[test]
    fn every_name_has_its_own_value() {
        with_context(|ctx| {
            let object: Object<'_> = ctx
                .eval(
                    "({ 'a': 1, 'a\\0b': 2, 'a\\0c': 3, '\\0': 4, 'x\\ud800': 5, 'x\\udc00': 6, '\\ufffd': 7, 'é☃😀': 8, 7: 9 })",
                )
                .unwrap();
            let found: Vec<(String, i32)> = entries(&object)
                .map(|entry| entry.map(|(name, value)| (name, value.as_int().unwrap())).unwrap())
                .collect();
            let expected = [
                ("7", 9),
                ("a", 1),
                ("a\0b", 2),
                ("a\0c", 3),
                ("\0", 4),
                ("x\u{fffd}", 5),
                ("x\u{fffd}", 6),
                ("\u{fffd}", 7),
                ("é☃😀", 8),
            ];
            assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
            let names: Vec<String> = names(&object).map(Result::unwrap).collect();
            assert_eq!(names, expected.map(|(name, _)| name.to_owned()));
        });
    }

    #[test]
    fn values_are_read_in_turn() {
        with_context(|ctx| {
            let object: Object<'_> =
                ctx.eval("({ a: 1, get b() { throw 1 }, get c() { globalThis.seen = true } })").unwrap();
            let mut entries = entries(&object);
            assert_eq!(entries.next().unwrap().unwrap().0, "a");
            assert!(entries.next().unwrap().is_err());
            ctx.catch();
            assert!(!ctx.globals().contains_key("seen").unwrap());
        });
    }
}
