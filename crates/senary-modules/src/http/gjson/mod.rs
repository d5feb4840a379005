//! Values in JSON by path, in the syntax of GJSON (<https://github.com/tidwall/gjson/blob/master/SYNTAX.md>): the
//! selectors of `response.json()`.

mod modifier;
mod path;
mod query;
mod search;

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde_json::{Map, Number, Value};

use self::path::{Link, Step};

pub use self::search::{Ended, Found, Search};

/// Paths nested deeper than this find nothing.
const DEEPEST: usize = 64;

/// The value at the path, if there is one and the search was not ended early.
pub fn get<'j>(search: &Search<'_>, json: &'j Value, path: &str) -> Option<Found<'j>> {
    find(search, json, path, 0).filter(|_| search.ended().is_none())
}

/// A value that a step has made. The rest of the path needs only this value, so the values that it was made of are freed.
struct Made<'p> {
    value: Value,
    /// In bytes.
    size: usize,
    rest: &'p str,
    depth: usize,
}

enum Reached<'j, 'p> {
    End(Found<'j>),
    Made(Made<'p>),
}

fn find<'j>(search: &Search<'_>, json: &'j Value, path: &str, depth: usize) -> Option<Found<'j>> {
    search.attempt(|| {
        let mut made = match go(search, json, path, depth)? {
            Reached::End(found) => return Some(found),
            Reached::Made(made) => made,
        };
        loop {
            let next = match go(search, &made.value, made.rest, made.depth)? {
                Reached::End(found) => ControlFlow::Break(search.own(found)?),
                Reached::Made(next) => ControlFlow::Continue(next),
            };
            search.give_back(made.size);
            match next {
                ControlFlow::Break(found) => return Some(Cow::Owned(found)),
                ControlFlow::Continue(next) => made = next,
            }
        }
    })
}

/// Follows a path as long as its steps lead to parts of the document.
fn go<'j, 'p>(
    search: &Search<'_>,
    mut json: &'j Value,
    mut path: &'p str,
    mut depth: usize,
) -> Option<Reached<'j, 'p>> {
    loop {
        if depth > DEEPEST || !search.goes_on() {
            return None;
        }
        let before = search.room();
        let (step, link, rest) = path::first(path)?;
        let (found, rest) = match step {
            Step::Each if link == Link::Dot => each(search, json.as_array()?.iter(), rest, depth)?,
            Step::All(query) if link == Link::Dot => {
                let matching = json.as_array()?.iter().filter(|element| query.holds(search, element, depth));
                each(search, matching, rest, depth)?
            }
            step => (one_step(search, json, step, depth)?, (link != Link::End).then_some(rest)),
        };
        depth += 1;
        match (found, rest) {
            (found, None) => return Some(Reached::End(found)),
            (Cow::Borrowed(found), Some(rest)) => (json, path) = (found, rest),
            (Cow::Owned(value), Some(rest)) => {
                let size = before.saturating_sub(search.room());
                return Some(Reached::Made(Made { value, size, rest, depth }));
            }
        }
    }
}

/// What one step finds.
fn one_step<'j>(search: &Search<'_>, json: &'j Value, step: Step, depth: usize) -> Option<Found<'j>> {
    let found = match step {
        Step::Key(key) => return child(json, &key).map(Cow::Borrowed),
        Step::Pattern(pattern) => {
            let mut fields = json.as_object()?.iter();
            let (_, value) = fields.find(|(key, _)| query::matches(search, key, &pattern))?;
            return Some(Cow::Borrowed(value));
        }
        Step::First(query) => {
            let mut elements = json.as_array()?.iter();
            return elements.find(|element| query.holds(search, element, depth)).map(Cow::Borrowed);
        }
        Step::Modifier { name, argument } => return modifier::apply(search, &name, &argument, json),
        Step::Each => search.plain(json.as_array()?.len().into())?,
        Step::All(query) => {
            let matching = json.as_array()?.iter().filter(|element| query.holds(search, element, depth));
            list(search, matching.map(Cow::Borrowed))?
        }
        Step::Literal(text) => search.read(text.as_bytes())?,
        Step::List(paths) => {
            list(search, paths.iter().filter_map(|(_, path)| find(search, json, path, depth + 1)))?
        }
        Step::Fields(paths) => {
            search.take(size_of::<Value>())?;
            let mut fields = Map::new();
            for (name, path) in paths {
                let Some(found) = find(search, json, &path, depth + 1) else { continue };
                let name = search.name(&name.unwrap_or_else(|| path::last_name(&path)))?;
                fields.insert(name, search.own(found)?);
            }
            Value::Object(fields)
        }
    };
    Some(Cow::Owned(found))
}

fn list<'j>(search: &Search<'_>, elements: impl Iterator<Item = Found<'j>>) -> Option<Value> {
    search.take(size_of::<Value>())?;
    elements.map(|element| search.own(element)).collect::<Option<_>>().map(Value::Array)
}

/// Applies the path up to the next pipe to each element. Also returns the path after the pipe, which applies to all results together.
fn each<'j, 'p>(
    search: &Search<'_>,
    elements: impl Iterator<Item = &'j Value>,
    rest: &'p str,
    depth: usize,
) -> Option<(Found<'j>, Option<&'p str>)> {
    let (of_each, behind) = path::split_at_pipe(rest);
    let found = elements.filter_map(|element| find(search, element, of_each, depth + 1));
    Some((Cow::Owned(list(search, found)?), behind))
}

fn child<'a>(json: &'a Value, key: &str) -> Option<&'a Value> {
    match json {
        Value::Object(object) => object.get(key),
        Value::Array(elements) => elements.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A number of JSON.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use std::cell::Cell;

    use super::*;

    /// What a search without limits finds.
    fn get(json: &Value, path: &str) -> Option<Value> {
        let search = Search::new(usize::MAX, &|| true);
        let found = super::get(&search, json, path).and_then(|found| search.own(found));
        assert_eq!(search.ended(), None);
        found
    }

    fn document() -> Value {
        json!({
            "name": {"first": "Tom", "last": "Anderson"},
            "age": 37,
            "children": ["Sara", "Alex", "Jack"],
            "fav.movie": "Deer Hunter",
            "friends": [
                {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"]},
                {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"], "ok": true},
                {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"], "ok": false}
            ],
            "empty": [],
            "text": "{\"a\":1}"
        })
    }

    #[test]
    fn paths_find_what_the_syntax_says() {
        for (path, expected) in [
            ("name.last", json!("Anderson")),
            ("age", json!(37)),
            ("children", json!(["Sara", "Alex", "Jack"])),
            ("children.#", json!(3)),
            ("children.1", json!("Alex")),
            ("child*.2", json!("Jack")),
            ("c?ildren.0", json!("Sara")),
            ("fav\\.movie", json!("Deer Hunter")),
            ("friends.#.first", json!(["Dale", "Roger", "Jane"])),
            ("friends.1.last", json!("Craig")),
            ("friends.#(last==\"Murphy\").first", json!("Dale")),
            ("friends.#(last==\"Murphy\")#.first", json!(["Dale", "Jane"])),
            ("friends.#(age>45)#.last", json!(["Craig", "Murphy"])),
            ("friends.#(first%\"D*\").last", json!("Murphy")),
            ("friends.#(first!%\"D*\").last", json!("Craig")),
            ("friends.#(nets.#(==\"fb\"))#.first", json!(["Dale", "Roger"])),
            ("friends.#(ok==true).first", json!("Roger")),
            ("friends.#(ok)#.first", json!(["Roger", "Jane"])),
            ("friends.#(age>=100)#.first", json!([])),
            ("friends.#[age<=44].first", json!("Dale")),
            ("children.#(!%\"*a*\")", json!("Alex")),
            ("children.#(!=\"Sara\")#", json!(["Alex", "Jack"])),
            ("friends.#.nets.#", json!([3, 2, 2])),
            ("friends.#.nets.0", json!(["ig", "fb", "ig"])),
            ("friends.#.first|0", json!("Dale")),
            ("friends|1|first", json!("Roger")),
            ("friends.#(last==\"Murphy\")#|#", json!(2)),
            ("friends.#(last==\"Murphy\")#|0.age", json!(44)),
            ("empty.#", json!(0)),
            ("empty.#.x", json!([])),
            ("children|@reverse", json!(["Jack", "Alex", "Sara"])),
            ("children.@reverse.0", json!("Jack")),
            ("name.@keys", json!(["first", "last"])),
            ("name.@values", json!(["Tom", "Anderson"])),
            ("text.@fromstr.a", json!(1)),
            ("name.@tostr", json!("{\"first\":\"Tom\",\"last\":\"Anderson\"}")),
            ("friends.#.nets|@flatten|#", json!(7)),
            ("@this.age", json!(37)),
            ("{age,name.first}", json!({"age": 37, "first": "Tom"})),
            ("{\"n\":age,name}.n", json!(37)),
            ("[age,name.last,nothing]", json!([37, "Anderson"])),
            ("name.{first,\"x\":!\"y\"}", json!({"first": "Tom", "x": "y"})),
        ] {
            assert_eq!(get(&document(), path), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "",
            "nothing",
            "name.x",
            "age.x",
            "children.9",
            "children.x",
            "children.-1",
            "name.#",
            "friends.#(age>100).first",
            "friends.#(",
            "friends.#(age>1",
            "{age",
            "@nothing",
            "age.@fromstr.x",
            "name..first",
            ".",
        ] {
            assert_eq!(get(&document(), path), None, "{path}");
        }
        assert_eq!(get(&document(), &"@this.".repeat(1000)), None);
        assert_eq!(get(&document(), &"[".repeat(100_000)), None);
    }

    /// Runs a search that may use `room` bytes and `steps` steps. Returns why it ended early, and what it found.
    fn bounded(room: usize, steps: usize, json: &Value, path: &str) -> (Option<Ended>, Option<Value>) {
        let left = Cell::new(steps);
        let may_go_on = || left.replace(left.get().saturating_sub(1)) > 0;
        let search = Search::new(room, &may_go_on);
        let found = super::get(&search, json, path).map(Cow::into_owned);
        (search.ended(), found)
    }

    #[test]
    fn no_search_finds_more_than_there_is_room_for() {
        let long = Value::from("\"".repeat(1000));
        for (json, path) in [
            (json!(1), "[@this,@this]|".repeat(60) + "@this"),
            (json!(1), "{\"a\":@this,\"b\":@this}.".repeat(60) + "a"),
            (json!([1]), "[@this,@this].@flatten.".repeat(31) + "#"),
            (json!({"a": 1}), "[@this,@this].".repeat(30) + "@tostr"),
            (long.clone(), "@tostr.".repeat(60) + "@tostr"),
            (long, "[@tostr,@tostr].@tostr.".repeat(20) + "@this"),
        ] {
            assert_eq!(bounded(1_000_000, usize::MAX, &json, &path), (Some(Ended::TooLarge), None), "{path}");
        }
    }

    /// Values of earlier steps do not count, and neither do values that only a condition has looked at.
    #[test]
    fn what_is_dropped_does_not_count() {
        let rows = Value::Array((0..1000).map(|n| json!({"n": n, "all": [n, n, n]})).collect());
        for (path, expected) in [
            ("[@this]|0.".repeat(30) + "999.n", json!(999)),
            ("#(all.#(>=0)#|[0,1,2].1==999).n".to_owned(), json!(999)),
            ("@reverse|".repeat(60) + "0.n", json!(0)),
            ("@tostr|@fromstr|".repeat(30) + "#", json!(1000)),
            ("[[[#.all|#(999,0).x,@reverse|@nothing]]]|0.0.#".to_owned(), json!(0)),
        ] {
            // Once, and once more while the next step makes its own of it.
            assert_eq!(bounded(1_800_000, usize::MAX, &rows, &path), (None, Some(expected)), "{path}");
        }
        let search = Search::new(10_000, &|| true);
        for _ in 0..1000 {
            assert_eq!(super::get(&search, &json!([1, 2]), "[@this,@this]|@reverse|nothing"), None);
        }
        assert_eq!((search.ended(), search.room()), (None, 10_000));
    }

    #[test]
    fn searches_stop_when_they_are_told_to() {
        let ones = Value::Array(vec![json!("aaaaaaaaaaaa"); 1000]);
        for path in
            ["#.@this.@this", "#(==b)", "#(%*a*a*b)", "#(%*a*a*b)#|#", "[@this,@this]|@tostr", "@reverse"]
        {
            for steps in [0, 1, 500] {
                assert_eq!(bounded(usize::MAX, steps, &ones, path), (Some(Ended::Stopped), None), "{path}");
            }
        }
    }

    proptest! {
        /// What counts its memory reads the same values.
        #[test]
        fn json_is_read_as_usual(
            json in r#"(\[|\]|\{|\}|,|:|"a"|"a":|"\\u00e9"|"é\n"|-1|0|1\.5e3|1e999|18446744073709551615|-0\.0|null|true|x| ){0,9}"#,
        ) {
            let search = Search::new(usize::MAX, &|| true);
            for json in [format!("[{json}]"), format!("{{{json}}}"), json] {
                prop_assert_eq!(search.read(json.as_bytes()), serde_json::from_str(&json).ok());
            }
        }

        #[test]
        fn no_path_is_too_odd(path in r#"[a-z.#|@(){}\[\]"=<>!%*?\\~: 0-9]{0,40}"#) {
            let _ = get(&document(), &path);
        }

        #[test]
        fn keys_lead_to_their_values(key in "[a-z]{1,8}", value in any::<i32>()) {
            let mut object = Map::new();
            object.insert(key.clone(), value.into());
            prop_assert_eq!(get(&Value::Object(object), &key), Some(value.into()));
        }
    }
}
