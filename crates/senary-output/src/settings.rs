//! The settings of an output: one table says what they are called in the configuration file, in the environment and after
//! `=`, what they mean, and how they are read.
//!
//! The configuration file comes first, the environment wins over it, and what follows `=` wins over both.

use std::time::Duration;

use senary_words::duration::parse_extended;
use senary_words::spelling::nearest;
use serde_json::Value;

use crate::output::OutputContext;

/// A setting of an output whose configuration is a `C`.
pub struct Setting<C: 'static> {
    /// Its name after `=` and in `collectors` of the configuration file, where capitals make no difference.
    pub key: &'static str,
    /// Its environment variables. The first that is set wins. Those of a map are prefixes: what follows is the entry's name.
    pub variables: &'static [&'static str],
    /// The default, as text.
    pub default: &'static str,
    pub meaning: &'static str,
    pub set: Set<C>,
}

/// How a setting is read. The error is a reason in words, without the setting's name.
pub enum Set<C: 'static> {
    One(fn(&mut C, &str) -> Result<(), String>),
    /// Entries with names: an object in the configuration file, `key.NAME=value` after `=`.
    Map(fn(&mut C, &str, &str) -> Result<(), String>),
}

/// A setting as `--out help` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingHelp {
    pub key: String,
    pub variables: Vec<String>,
    pub default: &'static str,
    pub meaning: &'static str,
}

/// The settings of a table, for `--out help`.
pub fn help<C>(table: &[Setting<C>]) -> Vec<SettingHelp> {
    let of = |setting: &Setting<C>| {
        let (suffix, name) = match setting.set {
            Set::One(_) => ("", ""),
            Set::Map(_) => (".NAME", "NAME"),
        };
        SettingHelp {
            key: format!("{}{suffix}", setting.key),
            variables: setting.variables.iter().map(|variable| format!("{variable}{name}")).collect(),
            default: setting.default,
            meaning: setting.meaning,
        }
    };
    table.iter().map(of).collect()
}

/// Reads the settings in the configuration file and the environment. `names` are the names that `collectors` may use;
/// all of them are read, the first one last.
pub fn read<C>(
    config: &mut C,
    table: &[Setting<C>],
    names: &[&str],
    context: &OutputContext,
) -> Result<(), String> {
    for name in names.iter().rev() {
        let collector = context.collectors.and_then(|collectors| collectors.get(name));
        for (key, value) in collector.and_then(Value::as_object).into_iter().flatten() {
            // The reference ignores unknown keys, too.
            let known = table.iter().find(|setting| setting.key.eq_ignore_ascii_case(key));
            if let Some(setting) = known.filter(|_| !value.is_null()) {
                set_json(config, setting, value).map_err(|why| format!("collectors.{name}.{key}: {why}"))?;
            }
        }
    }
    for setting in table {
        for variable in setting.variables.iter().rev() {
            set_variable(config, setting, variable, context)?;
        }
    }
    Ok(())
}

fn set_variable<C>(
    config: &mut C,
    setting: &Setting<C>,
    variable: &str,
    context: &OutputContext,
) -> Result<(), String> {
    match setting.set {
        Set::One(set) => match context.variable(variable) {
            Some(value) => set(config, value).map_err(|why| format!("{variable}: {why}")),
            None => Ok(()),
        },
        Set::Map(set) => context.env.iter().try_for_each(|(name, value)| {
            match name.strip_prefix(variable).filter(|entry| !entry.is_empty()) {
                Some(entry) => set(config, entry, value).map_err(|why| format!("{name}: {why}")),
                None => Ok(()),
            }
        }),
    }
}

fn set_json<C>(config: &mut C, setting: &Setting<C>, value: &Value) -> Result<(), String> {
    match (&setting.set, value) {
        (Set::One(set), value) => set(config, &text(value)?),
        (Set::Map(set), Value::Object(entries)) => {
            entries.iter().try_for_each(|(name, value)| set(config, name, &text(value)?))
        }
        (Set::Map(_), _) => Err("an object is needed: {\"name\": \"value\"}".to_owned()),
    }
}

/// A value of the configuration file in the form that it would have in the environment.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(values) => Ok(values.iter().map(text).collect::<Result<Vec<_>, _>>()?.join(",")),
        Value::Object(_) => Err("a text, a number or a list is needed, no object".to_owned()),
        other => Ok(other.to_string()),
    }
}

/// Reads `key=value,key=value`. A part without a key belongs to the value before it, so lists need no brackets, but may
/// have them. A first part without a key, or one that is a URL, is the value of `first`.
pub fn read_argument<C>(
    config: &mut C,
    table: &[Setting<C>],
    first: Option<&str>,
    argument: &str,
) -> Result<(), String> {
    for (key, value) in pairs(first, argument)? {
        set_key(config, table, &key, &value)?;
    }
    Ok(())
}

/// Sets one setting by its name after `=`.
pub fn set_key<C>(config: &mut C, table: &[Setting<C>], key: &str, value: &str) -> Result<(), String> {
    for setting in table {
        let done = match setting.set {
            Set::One(set) if setting.key.eq_ignore_ascii_case(key) => set(config, value),
            Set::Map(set) => {
                let Some((map, name)) = key.split_once('.') else { continue };
                if !setting.key.eq_ignore_ascii_case(map) || name.is_empty() {
                    continue;
                }
                set(config, name, value)
            }
            Set::One(_) => continue,
        };
        return done.map_err(|why| format!("{key}: {why}"));
    }
    let known = || table.iter().map(|setting| setting.key);
    let hint = nearest(key, known()).map_or_else(
        || format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        |key| format!("did you mean {key}?"),
    );
    Err(format!("there is no setting {key:?}: {hint}"))
}

fn pairs(first: Option<&str>, argument: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in split_outside_brackets(argument) {
        let key = part.split_once('=').filter(|(key, _)| is_key(key));
        match (key, pairs.last_mut(), first) {
            (Some((key, value)), ..) => {
                pairs.push((key.trim().to_owned(), without_brackets(value.trim()).to_owned()));
            }
            (None, Some((_, value)), _) => {
                value.push(',');
                value.push_str(part.trim());
            }
            (None, None, Some(first)) => pairs.push((first.to_owned(), part.trim().to_owned())),
            (None, None, None) => return Err(format!("{part:?} is no setting: write key=value")),
        }
    }
    Ok(pairs)
}

/// A URL may have a `=` of its own.
fn is_key(text: &str) -> bool {
    !text.contains("://")
}

fn without_brackets(value: &str) -> &str {
    let inside = |open, close| value.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    inside('[', ']').or_else(|| inside('{', '}')).unwrap_or(value)
}

fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let parts = text.split(move |c| {
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty())
}

/// A duration in the grammar of options: `5s`, `1d2h`, or a number of milliseconds. It has to be longer than zero.
pub fn period(text: &str) -> Result<Duration, String> {
    let nanos = parse_extended(text).map_err(|error| error.to_string())?;
    let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0);
    nanos.map(Duration::from_nanos).ok_or_else(|| format!("{text} is not longer than nothing"))
}

/// The spellings of yes and no that Go accepts.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!("strconv.ParseBool: parsing {other:?}: invalid syntax")),
    }
}

/// A whole number.
pub fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// The parts of a list, without spaces around them.
pub fn list(text: &str) -> Vec<String> {
    let parts = split_outside_brackets(text).map(|part| part.trim().to_owned());
    parts.collect()
}

/// `name:value,name:value`
pub fn colon_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| match part.split_once(':') {
        Some((name, value)) if !value.contains(':') => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("{part:?} is no name and value with one colon between them")),
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use senary_metrics::Registry;
    use senary_metrics::threshold::WatchList;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Config {
        url: String,
        every: Duration,
        stats: Vec<String>,
        headers: BTreeMap<String, String>,
    }

    const TABLE: &[Setting<Config>] = &[
        Setting {
            key: "url",
            variables: &["T_URL"],
            default: "",
            meaning: "where to",
            set: Set::One(|config, text| {
                text.clone_into(&mut config.url);
                Ok(())
            }),
        },
        Setting {
            key: "pushInterval",
            variables: &["T_EVERY", "T_OLD_EVERY"],
            default: "1s",
            meaning: "how often",
            set: Set::One(|config, text| period(text).map(|every| config.every = every)),
        },
        Setting {
            key: "stats",
            variables: &["T_STATS"],
            default: "",
            meaning: "which",
            set: Set::One(|config, text| {
                config.stats = list(text);
                Ok(())
            }),
        },
        Setting {
            key: "headers",
            variables: &["T_HEADERS_"],
            default: "",
            meaning: "more",
            set: Set::Map(|config, name, value| {
                config.headers.insert(name.to_owned(), value.to_owned());
                Ok(())
            }),
        },
    ];

    fn given(file: Value, env: &[(&str, &str)], argument: &str) -> Result<Config, String> {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let context =
            OutputContext { env: &env, collectors: Some(&file), ..OutputContext::of(&registry, &watched) };
        let mut config = Config::default();
        read(&mut config, TABLE, &["out", "old-out"], &context)?;
        read_argument(&mut config, TABLE, Some("url"), argument)?;
        Ok(config)
    }

    #[test]
    fn the_argument_wins_over_the_environment_and_that_over_the_file() {
        let file = json!({
            "out": { "URL": "file", "pushInterval": 1500, "stats": ["a", "b"], "headers": { "X": "1" }, "unknown": {} },
            "old-out": { "url": "older", "stats": null },
        });
        let env = [
            ("T_OLD_EVERY", "3s"),
            ("T_EVERY", "2s"),
            ("T_HEADERS_X-B", "2"),
            ("T_STATS", ""),
            ("T_HEADERS_", ""),
        ];
        let config = given(file.clone(), &env, "").unwrap();
        assert_eq!(config.url, "file");
        assert_eq!(
            (config.every, config.stats),
            (Duration::from_secs(2), vec!["a".to_owned(), "b".to_owned()])
        );
        let headers: Vec<_> = config.headers.into_iter().collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(headers, [pair("X", "1"), pair("X-B", "2")]);
        let config = given(
            file,
            &env,
            "http://h/?a=b,stats=p(9,5),med,headers.X=3,pushinterval=100,stats=[x,y],url=http://[::1]:9/?q=a,b",
        )
        .unwrap();
        assert_eq!((&*config.url, &*config.headers["X"]), ("http://[::1]:9/?q=a,b", "3"));
        assert_eq!(
            (config.every, config.stats),
            (Duration::from_millis(100), vec!["x".to_owned(), "y".to_owned()])
        );
    }

    #[test]
    fn an_error_names_the_setting_where_it_was_given() {
        let none = Value::Null;
        for (file, env, argument, error) in [
            (
                json!({"out": {"pushInterval": "x"}}),
                &[][..],
                "",
                "collectors.out.pushInterval: time: invalid duration \"x\"",
            ),
            (
                json!({"out": {"headers": 1}}),
                &[],
                "",
                "collectors.out.headers: an object is needed: {\"name\": \"value\"}",
            ),
            (none.clone(), &[("T_EVERY", "soon")], "", "T_EVERY: time: invalid duration \"soon\""),
            (none.clone(), &[("T_EVERY", "-1s")], "", "T_EVERY: -1s is not longer than nothing"),
            (none.clone(), &[], "u,pushInterval=5", ""),
            (none.clone(), &[], "urk=5", "there is no setting \"urk\": did you mean url?"),
            (
                none,
                &[],
                "retries=5",
                "there is no setting \"retries\": there are url, pushInterval, stats, headers",
            ),
        ] {
            let result =
                given(file, env, argument).map(|_| ()).map_or_else(|error| error, |()| String::new());
            assert_eq!(result, error);
        }
    }

    #[test]
    fn small_parsers() {
        assert_eq!((boolean("t"), boolean("False")), (Ok(true), Ok(false)));
        assert_eq!(boolean("yes").unwrap_err(), "strconv.ParseBool: parsing \"yes\": invalid syntax");
        assert_eq!(whole("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(colon_pairs("X-One:1,X-Two: two,").unwrap(), [pair("X-One", "1"), pair("X-Two", "two")]);
        assert!(colon_pairs("X:http://h").is_err() && colon_pairs("X").is_err());
    }

    proptest! {
        #[test]
        fn any_argument_is_answered(text in "\\PC{0,40}|[a-z=,.:/\\[\\](){}]{0,40}") {
            let _ = given(Value::Null, &[], &text);
        }
    }
}
