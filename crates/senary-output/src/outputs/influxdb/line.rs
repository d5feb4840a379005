//! The line protocol: `name,tag=text value=1,field="text" 1795451192939094099`, one point a line.
//!
//! What the protocol cannot express is changed as little as possible, so that no point is refused: a line break becomes
//! a space, a backslash at the end of a name or of a tag's value is left out, and a tag called `time` is called
//! `time_`.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;

use senary_metrics::{Metadata, ProducerId, Series, Timestamp};

/// The field that has the value of the sample.
const VALUE: &str = "value";

/// A tag of this name is refused by the database.
const TIME: &str = "time";

/// The type of a field that replaces a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Text,
    Int,
    Float,
    Bool,
}

/// The tags that are written as fields: they are not indexed, so they may have any number of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, FieldKind>);

impl Fields {
    /// Of entries `name` or `name:type`. The error is the reference's.
    pub(super) fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, kind) = entry.split_once(':').unwrap_or((entry, "string"));
            let kind = match kind {
                "string" => FieldKind::Text,
                "int" => FieldKind::Int,
                "float" => FieldKind::Float,
                "bool" => FieldKind::Bool,
                other => {
                    return Err(format!(
                        "an invalid type ({other}) is specified for an InfluxDB field ({name}): use string, int, float or bool"
                    ));
                }
            };
            fields.insert(name.to_owned(), kind);
        }
        Ok(Self(fields))
    }

    fn kind(&self, tag: &str) -> Option<FieldKind> {
        self.0.get(tag).copied().filter(|_| tag != VALUE)
    }
}

/// What times are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µs" | "μs" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    /// As `/write` of version 1 knows it: older servers take microseconds that are not called `u` for nanoseconds.
    pub(super) fn of_version_1(self) -> &'static str {
        match self {
            Self::Microseconds => "u",
            Self::Minutes => "m",
            Self::Hours => "h",
            other => other.of_version_2().unwrap_or_default(),
        }
    }

    /// As `/api/v2/write` knows it. `None` if it does not.
    pub(super) fn of_version_2(self) -> Option<&'static str> {
        Some(match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Minutes | Self::Hours => return None,
        })
    }

    fn nanos(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

/// Writes times so that no two points of a series have the same: the database would keep one of them.
///
/// Series are kept per worker, and several workers may have the same one. So each worker uses its own nanoseconds:
/// those whose remainder after division by the number of workers is the worker's number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    precision: Precision,
    workers: i64,
}

impl Times {
    /// For about this many workers; if there are more, two of them may use the same times.
    pub(super) fn new(precision: Precision, workers: usize) -> Self {
        Self { precision, workers: i64::try_from(workers).unwrap_or(1).max(1) }
    }

    /// With a coarser unit than nanoseconds, which is the user's choice, points may replace each other.
    fn of(&self, newest: &Cell<Newest>, worker: u32, time: i64) -> i64 {
        if self.precision != Precision::Nanoseconds {
            return time.div_euclid(self.precision.nanos());
        }
        let own = time - time.rem_euclid(self.workers) + i64::from(worker) % self.workers;
        let Newest { given, written } = newest.get();
        // Samples that come out of order have times that are still free, as a rule.
        let is_taken = given <= time && own <= written;
        let own = if is_taken { written.saturating_add(self.workers) } else { own };
        newest.set(Newest { given: time, written: own });
        own
    }
}

/// The newest point of a series: its time as measured, and as written.
#[derive(Clone, Copy)]
struct Newest {
    given: i64,
    written: i64,
}

/// The parts of a point that its series determines.
pub(super) struct SeriesText {
    /// `name,tag=text value=`
    head: Box<str>,
    /// `,field="text"`
    fields: Box<str>,
    newest: Cell<Newest>,
}

impl SeriesText {
    pub(super) fn new(name: &str, series: &Series, fields: &Fields) -> Self {
        let mut head = String::new();
        push_key(&mut head, name, &[',', ' ']);
        let mut own_fields = String::new();
        let mut written: Vec<Cow<str>> = Vec::new();
        for (key, value) in series.tags.iter() {
            let name = tag_name(key, |name| series.tags.get(name).is_some());
            if name.is_empty() || value.is_empty() {
                continue;
            }
            if let Some(kind) = fields.kind(key) {
                push_field(&mut own_fields, &name, kind, value);
                continue;
            }
            let value = value.trim_end_matches('\\');
            // Two names may have become the same; the database refuses a point with the same name twice.
            if value.is_empty() || written.contains(&name) {
                continue;
            }
            head.push(',');
            push_key(&mut head, &name, &[',', '=', ' ']);
            head.push('=');
            push_key(&mut head, value, &[',', '=', ' ']);
            written.push(name);
        }
        head.push_str(" value=");
        Self {
            head: head.into(),
            fields: own_fields.into(),
            newest: Cell::new(Newest { given: i64::MAX, written: i64::MIN }),
        }
    }

    /// Writes a point, and the fields that its metadata make. False if the database has no such values.
    pub(super) fn push_point(
        &self,
        out: &mut Vec<u8>,
        metadata: &str,
        value: f64,
        time: Timestamp,
        worker: ProducerId,
        times: &Times,
    ) -> bool {
        if !value.is_finite() {
            return false;
        }
        out.extend_from_slice(self.head.as_bytes());
        push_float(out, value);
        out.extend_from_slice(self.fields.as_bytes());
        out.extend_from_slice(metadata.as_bytes());
        out.push(b' ');
        let time = times.of(&self.newest, worker.0, time.0);
        out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        out.push(b'\n');
        true
    }
}

/// The fields that the metadata of a sample make, `,vu=1i`.
pub(super) fn metadata_fields(metadata: &Metadata, fields: &Fields) -> String {
    let mut text = String::new();
    for (key, value) in metadata.iter() {
        if let Some(kind) = fields.kind(key).filter(|_| !value.is_empty()) {
            let name = tag_name(key, |_| false);
            if !name.is_empty() {
                push_field(&mut text, &name, kind, value);
            }
        }
    }
    text
}

/// A name the database takes.
fn tag_name<'a>(key: &'a str, is_taken: impl Fn(&str) -> bool) -> Cow<'a, str> {
    match key.trim_end_matches('\\') {
        TIME if is_taken("time_") => "".into(),
        TIME => "time_".into(),
        name => name.into(),
    }
}

fn push_field(out: &mut String, name: &str, kind: FieldKind, value: &str) {
    out.push(',');
    push_key(out, name, &[',', '=', ' ']);
    out.push('=');
    let number = match kind {
        FieldKind::Int => value.parse::<i64>().ok().map(|number| format!("{number}i")),
        FieldKind::Float => value.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| {
            let mut text = Vec::new();
            push_float(&mut text, number);
            String::from_utf8_lossy(&text).into_owned()
        }),
        FieldKind::Bool => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some("false".to_owned()),
            _ => None,
        },
        FieldKind::Text => None,
    };
    match number {
        Some(number) => out.push_str(&number),
        None => {
            out.push('"');
            for char in value.chars() {
                if matches!(char, '"' | '\\') {
                    out.push('\\');
                }
                out.push(unbroken(char));
            }
            out.push('"');
        }
    }
}

/// The name of a metric or a tag, or the value of a tag.
fn push_key(out: &mut String, text: &str, special: &[char]) {
    for char in text.chars().map(unbroken) {
        if special.contains(&char) {
            out.push('\\');
        }
        out.push(char);
    }
}

fn unbroken(char: char) -> char {
    if matches!(char, '\n' | '\r') { ' ' } else { char }
}

fn push_float(out: &mut Vec<u8>, value: f64) {
    // Writing to memory cannot fail.
    if value.fract() == 0.0 && value.abs() < 1e15 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if (1e-5..1e21).contains(&value.abs()) {
        let _ = write!(out, "{value}");
    } else {
        let _ = write!(out, "{value:e}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use senary_metrics::{MetricId, TagSet};

    use super::*;

    fn series(tags: &[(&str, &str)]) -> Series {
        Series { metric: MetricId(0), tags: TagSet::new(tags.iter().copied()) }
    }

    fn point(tags: &[(&str, &str)], fields: &str, value: f64) -> String {
        let fields = Fields::parse(fields.split(',')).unwrap();
        let mut out = Vec::new();
        let text = SeriesText::new("hits", &series(tags), &fields);
        let times = Times::new(Precision::Nanoseconds, 1);
        text.push_point(&mut out, "", value, Timestamp(7), ProducerId(0), &times);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_and_values_are_escaped() {
        assert_eq!(
            point(&[("a b", "x y,z=1"), ("empty", ""), ("quote", "\"q\""), ("ünï", "ö")], "", 0.5),
            "hits,a\\ b=x\\ y\\,z\\=1,quote=\"q\",ünï=ö value=0.5 7\n"
        );
        assert_eq!(
            point(&[("a", "one\ntwo\r"), ("c", "C:\\"), ("d\\", "\\,"), ("e", "\\\\")], "", 1.0),
            "hits,a=one\\ two\\ ,c=C:,d=\\\\, value=1 7\n"
        );
        assert_eq!(point(&[("time", "5"), ("k", "v")], "", 1.0), "hits,k=v,time_=5 value=1 7\n");
        assert_eq!(point(&[("time", "5"), ("time_", "6")], "", 1.0), "hits,time_=6 value=1 7\n");
        assert_eq!(point(&[("a", "1"), ("a\\", "2"), ("", "x")], "", 1.0), "hits,a=1 value=1 7\n");
    }

    #[test]
    fn fields_have_types_and_what_cannot_be_read_is_text() {
        let tags = [("b", "true"), ("f", "1.5"), ("n", "5"), ("s", "a \"b\" \\ c\nd")];
        assert_eq!(
            point(&tags, "n:int,f:float,b:bool,s", 1.0),
            "hits value=1,b=true,f=1.5,n=5i,s=\"a \\\"b\\\" \\\\ c d\" 7\n"
        );
        assert_eq!(
            point(
                &[("b", "maybe"), ("f", "inf"), ("n", "99999999999999999999"), ("x", "")],
                "n:int,f:float,b:bool,x",
                1.0
            ),
            "hits value=1,b=\"maybe\",f=\"inf\",n=\"99999999999999999999\" 7\n"
        );
        assert_eq!(point(&[("value", "5")], "value", 1.0), "hits,value=5 value=1 7\n");
        assert_eq!(
            Fields::parse(["vu:integer"]).unwrap_err(),
            "an invalid type (integer) is specified for an InfluxDB field (vu): use string, int, float or bool"
        );
    }

    #[test]
    fn metadata_makes_the_fields_that_were_asked_for() {
        let metadata: Metadata = Arc::new([("iter".into(), "0".into()), ("vu".into(), "1".into())]);
        let fields = |text: &str| metadata_fields(&metadata, &Fields::parse(text.split(',')).unwrap());
        assert_eq!(fields("vu:int,url"), ",vu=1i");
        assert_eq!(fields("vu,iter"), ",iter=\"0\",vu=\"1\"");
        assert_eq!(fields("url"), "");
    }

    #[test]
    fn numbers_are_short_and_exact_and_infinity_is_none() {
        let value = |value| point(&[], "", value);
        assert_eq!(value(-1.5), "hits value=-1.5 7\n");
        assert_eq!(value(1e21), "hits value=1e21 7\n");
        assert_eq!(value(5e-324), "hits value=5e-324 7\n");
        assert_eq!(value(-0.0), "hits value=0 7\n");
        for none in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(value(none), "");
        }
    }

    /// The times that points of one series get.
    fn times(precision: Precision, workers: usize, worker: u32, given: &[i64]) -> Vec<i64> {
        let text = SeriesText::new("hits", &series(&[]), &Fields::default());
        let times = Times::new(precision, workers);
        let mut out = Vec::new();
        for time in given {
            assert!(text.push_point(&mut out, "", 1.0, Timestamp(*time), ProducerId(worker), &times));
        }
        let out = String::from_utf8(out).unwrap();
        out.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn two_points_of_one_series_never_have_the_same_nanosecond() {
        let given = [5_000_000, 5_000_000, 5_000_001, 9_000_000, 7_000_000, -1];
        let apart = [5_000_000, 5_000_001, 5_000_002, 9_000_000, 7_000_000, -1];
        assert_eq!(times(Precision::Nanoseconds, 1, 0, &given), apart);
        assert_eq!(times(Precision::Milliseconds, 1, 0, &given), [5, 5, 5, 9, 7, -1]);
        let many = times(Precision::Nanoseconds, 4, 6, &[100; 2000]);
        assert!(many.is_sorted_by(|a, b| a < b) && many.iter().all(|time| time % 4 == 2), "{many:?}");
        assert_eq!(many[..2], [102, 106]);
    }

    #[test]
    fn precisions() {
        let all = ["ns", "u", "us", "ms", "s", "m", "h", ""].map(|text| Precision::parse(text).unwrap());
        assert_eq!(all.map(Precision::of_version_1), ["ns", "u", "u", "ms", "s", "m", "h", "ns"]);
        assert_eq!(
            all.map(Precision::of_version_2)[1..6],
            [Some("us"), Some("us"), Some("ms"), Some("s"), None]
        );
        assert_eq!(Precision::parse("fortnight"), None);
    }

    /// The tags of a line, read as the database reads them.
    fn tags_of(line: &str) -> Vec<(String, String)> {
        let mut parts = vec![String::new()];
        let mut chars = line.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\\' if matches!(chars.peek(), Some(',' | '=' | ' ')) => {
                    parts.last_mut().unwrap().extend(chars.next());
                }
                ' ' => break,
                ',' | '=' => parts.push(String::new()),
                other => parts.last_mut().unwrap().push(other),
            }
        }
        parts[1..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }

    proptest! {
        #[test]
        fn any_tag_stays_one_tag_of_one_line(name in ".{0,8}", value in ".{0,12}") {
            let line = point(&[("first", "1"), (&name, &value), ("zz", "2")], "", 1.0);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.ends_with(" value=1 7\n"));
            let mut expected = vec![("first".to_owned(), "1".to_owned()), ("zz".to_owned(), "2".to_owned())];
            let plain = |text: &str| text.trim_end_matches('\\').replace(['\n', '\r'], " ");
            if !plain(&name).is_empty() && !plain(&value).is_empty() {
                expected.push((plain(&name), plain(&value)));
            }
            expected.sort();
            let mut tags = tags_of(&line);
            tags.sort();
            prop_assert_eq!(tags, expected);
        }
    }
}
