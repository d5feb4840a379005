//! What a log line looks like. The forms are the reference's: `time="…" level=info msg=… key=value`, the same
//! coloured and shorter on a terminal, JSON, or the message alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use log::{Level, Record, kv};
use senary_words::spelling::nearest;
use serde_json::Value;

use super::{LogError, level_name};

/// Something that was logged.
#[derive(Clone, Debug)]
pub struct Entry {
    pub level: Level,
    pub message: String,
    pub fields: BTreeMap<String, Value>,
    pub time: SystemTime,
}

impl Entry {
    pub fn of(record: &Record<'_>) -> Self {
        let mut fields = Fields(BTreeMap::new());
        // The visitor never fails.
        let _ = record.key_values().visit(&mut fields);
        Self {
            level: record.level(),
            message: record.args().to_string(),
            fields: fields.0,
            time: SystemTime::now(),
        }
    }

    /// Changes all texts for which there is something else.
    pub fn replace(&mut self, other: impl Fn(&str) -> Option<String>) {
        if let Some(message) = other(&self.message) {
            self.message = message;
        }
        for value in self.fields.values_mut() {
            if let Value::String(text) = value
                && let Some(changed) = other(text)
            {
                *text = changed;
            }
        }
    }
}

struct Fields(BTreeMap<String, Value>);

impl<'kvs> kv::VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let json = if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            Value::String(value.to_string())
        };
        self.0.insert(key.as_str().to_owned(), json);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    /// Coloured text, with seconds since the start for the time.
    Terminal,
    Json,
    Raw,
}

impl Format {
    /// A name that is nearly one of those there are is a typo. Any other is text, as it is in the reference.
    pub fn parse(name: Option<&str>, no_color: bool, is_terminal: bool) -> Result<Self, LogError> {
        Ok(match name {
            Some("json") => Self::Json,
            Some("raw") => Self::Raw,
            Some(name)
                if name != "text"
                    && let Some(meant) = nearest(name, ["json", "raw", "text"]) =>
            {
                return Err(LogError::Format { name: name.to_owned(), meant: meant.to_owned() });
            }
            _ if is_terminal && !no_color => Self::Terminal,
            _ => Self::Text,
        })
    }

    pub fn off_terminal(self) -> Self {
        if self == Self::Terminal { Self::Text } else { self }
    }

    /// The line, with its newline. `elapsed` is since the start of the log; the zone is only asked for if it is shown.
    pub fn line<'z>(self, entry: &Entry, elapsed: Duration, zone: impl FnOnce() -> &'z TimeZone) -> String {
        let mut line = match self {
            Self::Text => text(entry, zone()),
            Self::Terminal => terminal(entry, elapsed),
            Self::Json => json(entry, zone()),
            Self::Raw => entry.message.clone(),
        };
        line.push('\n');
        line
    }
}

fn text(entry: &Entry, zone: &TimeZone) -> String {
    let mut line = format!("time=\"{}\" level={}", rfc3339(entry.time, zone), level_name(entry.level));
    if !entry.message.is_empty() {
        line.push_str(" msg=");
        push_value(&mut line, &entry.message);
    }
    for (key, value) in &entry.fields {
        line.push(' ');
        line.push_str(&free_key(key));
        line.push('=');
        push_value(&mut line, &plain(value));
    }
    line
}

fn terminal(entry: &Entry, elapsed: Duration) -> String {
    let colour = match entry.level {
        Level::Error => 31,
        Level::Warn => 33,
        Level::Info => 36,
        Level::Debug | Level::Trace => 37,
    };
    let level = &level_name(entry.level).to_uppercase()[..4];
    let message = entry.message.strip_suffix('\n').unwrap_or(&entry.message);
    let seconds = elapsed.as_secs();
    let mut line = format!("\x1b[{colour}m{level}\x1b[0m[{seconds:04}] {message:<44} ");
    for (key, value) in &entry.fields {
        // Writing to a String cannot fail.
        let _ = write!(line, " \x1b[{colour}m{}\x1b[0m=", free_key(key));
        push_value(&mut line, &plain(value));
    }
    line
}

fn json(entry: &Entry, zone: &TimeZone) -> String {
    let mut object: BTreeMap<String, Value> =
        entry.fields.iter().map(|(key, value)| (free_key(key), value.clone())).collect();
    object.insert("level".into(), level_name(entry.level).into());
    object.insert("msg".into(), entry.message.as_str().into());
    object.insert("time".into(), rfc3339(entry.time, zone).into());
    escaped(&serde_json::to_string(&object).unwrap_or_default())
}

/// JSON as the reference writes it: a line is one line to every reader, and harmless in a web page. These signs
/// occur only within strings.
fn escaped(json: &str) -> String {
    const SIGNS: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
    let mut out = String::with_capacity(json.len());
    for piece in json.split_inclusive(SIGNS) {
        match piece.chars().next_back().filter(|c| SIGNS.contains(c)) {
            Some(sign) => {
                out.push_str(piece.strip_suffix(sign).unwrap_or(piece));
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", sign as u32);
            }
            None => out.push_str(piece),
        }
    }
    out
}

/// Names the line has already are set apart.
fn free_key(key: &str) -> String {
    match key {
        "time" | "level" | "msg" => format!("fields.{key}"),
        _ => key.to_owned(),
    }
}

/// A field's value as text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value, quoted if it has anything but letters, digits and a few signs.
fn push_value(line: &mut String, value: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if value.chars().all(is_plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' => line.write_str("\\\""),
            '\\' => line.write_str("\\\\"),
            '\n' => line.write_str("\\n"),
            '\r' => line.write_str("\\r"),
            '\t' => line.write_str("\\t"),
            '\x07' => line.write_str("\\a"),
            '\x08' => line.write_str("\\b"),
            '\x0b' => line.write_str("\\v"),
            '\x0c' => line.write_str("\\f"),
            c if c.is_ascii_control() => write!(line, "\\x{:02x}", c as u32),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => write!(line, "\\u{:04x}", c as u32),
            c => line.write_char(c),
        };
    }
    line.push('"');
}

/// Whole seconds, in a zone: `2026-11-23T16:27:24+01:00`, with `Z` for no offset.
fn rfc3339(time: SystemTime, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::try_from(time).unwrap_or_default();
    let offset = zone.to_offset(instant);
    let local = offset.to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S");
    match offset.seconds() / 60 {
        0 => format!("{local}Z"),
        minutes => {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{local}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static UTC: TimeZone = TimeZone::UTC;

    fn entry(level: Level, message: &str, fields: &[(&str, Value)]) -> Entry {
        Entry {
            level,
            message: message.to_owned(),
            fields: fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_451_244),
        }
    }

    #[test]
    fn text_quotes_what_needs_it() {
        let line = |message: &str, fields: &[(&str, Value)]| {
            let line = Format::Text.line(&entry(Level::Warn, message, fields), Duration::ZERO, || &UTC);
            line.strip_prefix("time=\"2026-11-23T16:27:24Z\" level=warning").unwrap().to_owned()
        };
        assert_eq!(line("oneword", &[("source", "console".into())]), " msg=oneword source=console\n");
        assert_eq!(line("", &[("b", 5.into()), ("a", "x y".into())]), " a=\"x y\" b=5\n");
        assert_eq!(line("a \"b\"\n\u{1b}☃\u{a0}", &[]), " msg=\"a \\\"b\\\"\\n\\x1b☃\\u00a0\"\n");
        assert_eq!(line("5", &[("level", "x".into()), ("e", "".into())]), " msg=5 e= fields.level=x\n");
    }

    #[test]
    fn json_keeps_numbers_and_sorts_keys() {
        let entry = entry(Level::Error, "two\nlines", &[("n", 5.into()), ("time", "x".into())]);
        let line = Format::Json.line(&entry, Duration::ZERO, || &UTC);
        let expected = "{\"fields.time\":\"x\",\"level\":\"error\",\"msg\":\"two\\nlines\",\"n\":5,\"time\":\"2026-11-23T16:27:24Z\"}\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn json_stays_on_one_line() {
        let line =
            Format::Json.line(&entry(Level::Info, "a\u{2028}b<&>\u{2029}", &[]), Duration::ZERO, || &UTC);
        assert!(line.contains(r#""msg":"a\u2028b\u003c\u0026\u003e\u2029""#), "{line}");
    }

    #[test]
    fn a_terminal_gets_colours_and_seconds() {
        let entry = entry(Level::Info, "hello", &[("source", "console".into())]);
        let line = Format::Terminal.line(&entry, Duration::from_millis(12_900), || &UTC);
        let expected = format!("\x1b[36mINFO\x1b[0m[0012] {:<44}  \x1b[36msource\x1b[0m=console\n", "hello");
        assert_eq!(line, expected);
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let at =
            |seconds, zone: &TimeZone| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), zone);
        assert_eq!(at(0, &TimeZone::UTC), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399, &TimeZone::fixed(jiff::tz::offset(1))), "2000-02-29T00:59:59+01:00");
    }
}
