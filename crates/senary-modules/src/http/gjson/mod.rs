//! Values in JSON by path, in the syntax of GJSON (<https://github.com/tidwall/gjson/blob/master/SYNTAX.md>): the
//! selectors of `response.json()`.

mod modifier;
mod path;
mod query;

use serde_json::{Map, Number, Value};

use self::path::{Link, Step};

/// Paths nested deeper than this find nothing.
const DEEPEST: usize = 64;

/// The value that the path leads to, if it exists.
pub fn get(json: &Value, path: &str) -> Option<Value> {
    find(json, path, 0)
}

fn find(json: &Value, path: &str, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let (step, link, rest) = path::first(path)?;
    let found = match step {
        Step::Key(key) => child(json, &key)?.clone(),
        Step::Pattern(pattern) => {
            let object = json.as_object()?;
            object.iter().find(|(key, _)| query::matches(key, &pattern)).map(|(_, value)| value.clone())?
        }
        Step::Each if link == Link::Dot => {
            return each(json.as_array()?.iter(), rest, depth);
        }
        Step::Each => Value::from(json.as_array()?.len()),
        Step::First(query) => {
            let elements = json.as_array()?;
            elements.iter().find(|element| query.holds(element, depth)).cloned()?
        }
        Step::All(query) => {
            let matching = json.as_array()?.iter().filter(|element| query.holds(element, depth));
            match link {
                Link::Dot => return each(matching, rest, depth),
                _ => Value::Array(matching.cloned().collect()),
            }
        }
        Step::Modifier { name, argument } => modifier::apply(&name, &argument, json)?,
        Step::Literal(text) => serde_json::from_str(&text).ok()?,
        Step::List(paths) => {
            let found = paths.iter().filter_map(|(_, path)| find(json, path, depth + 1));
            Value::Array(found.collect())
        }
        Step::Fields(paths) => {
            let found = paths.into_iter().filter_map(|(name, path)| {
                let name = name.unwrap_or_else(|| path::last_name(&path));
                Some((name, find(json, &path, depth + 1)?))
            });
            Value::Object(found.collect::<Map<_, _>>())
        }
    };
    match link {
        Link::End => Some(found),
        Link::Dot | Link::Pipe => find(&found, rest, depth + 1),
    }
}

/// What the rest of a path finds in each of the elements, up to a pipe, behind which it goes on with all of them.
fn each<'a>(elements: impl Iterator<Item = &'a Value>, rest: &str, depth: usize) -> Option<Value> {
    let (of_each, behind) = path::split_at_pipe(rest);
    let found = Value::Array(elements.filter_map(|element| find(element, of_each, depth + 1)).collect());
    match behind {
        Some(behind) => find(&found, behind, depth + 1),
        None => Some(found),
    }
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

    use super::*;

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

    proptest! {
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
