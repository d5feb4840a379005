//! The texts of script values in forms and messages. The reference converts such values to Go's and prints them with `%v` or
//! `%#v`, and so does this module.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rquickjs::{Array, Function, Object, Type, Value};
use senary_js::{bytes, go_type, properties, value_text};

/// How deep values may be nested. What is deeper is left out, such as a value that contains itself; the reference
/// dies of one.
const DEEPEST: usize = 32;

const LIST: &str = "[]interface {}";
const PAIRS: &str = "[][2]interface {}";
const OBJECT: &str = "map[string]interface {}";

/// Which of the two formats is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `map[a:1]`, as `%v` has it.
    Plain,
    /// `map[string]interface {}{"a":1}`, as `%#v` has it.
    Typed,
}

/// `%v`: `map[a:1 b:[x y]]`.
pub fn plain(value: &Value<'_>) -> rquickjs::Result<String> {
    let mut out = String::new();
    write_value(&mut out, value, Style::Plain, 0)?;
    Ok(out)
}

/// `%#v`: `[]interface {}{"GET"}`.
pub fn typed(value: &Value<'_>) -> rquickjs::Result<String> {
    let mut out = String::new();
    write_value(&mut out, value, Style::Typed, 0)?;
    Ok(out)
}

/// Whether the reference converts a value to a map, and not to a list, a date or something else.
pub fn is_object(value: &Value<'_>) -> bool {
    go_type::go_type(value) == OBJECT
}

/// The elements of an array or a set, which the reference converts to lists.
pub fn list_of<'js>(value: &Value<'js>) -> rquickjs::Result<Option<Array<'js>>> {
    match value.as_array() {
        Some(array) => Ok(Some(array.clone())),
        None if go_type::go_type(value) == LIST => array_from(value).map(Some),
        None => Ok(None),
    }
}

fn write_value(out: &mut String, value: &Value<'_>, style: Style, depth: usize) -> rquickjs::Result<()> {
    match value.type_of() {
        Type::Uninitialized | Type::Undefined | Type::Null => {
            out.push_str(if style == Style::Typed && depth > 0 { "interface {}(nil)" } else { "<nil>" });
        }
        Type::Bool => out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" }),
        Type::Int | Type::Float => {
            let number = value.as_number().unwrap_or_default();
            let is_whole =
                go_type::go_type(value) == "int64" && !(number == 0.0 && number.is_sign_negative());
            out.push_str(&if is_whole { (number as i64).to_string() } else { float(number) });
        }
        Type::String => {
            let text = value_text::to_text(value.ctx(), value);
            out.push_str(&if style == Style::Typed { format!("{text:?}") } else { text });
        }
        Type::BigInt | Type::Symbol | Type::Function | Type::Constructor => {
            out.push_str(&value_text::to_text(value.ctx(), value));
        }
        _ if depth >= DEEPEST => out.push_str("..."),
        _ => match value.as_object() {
            Some(object) => write_object(out, object, style, depth)?,
            None => out.push_str(&value_text::to_text(value.ctx(), value)),
        },
    }
    Ok(())
}

fn write_object(out: &mut String, object: &Object<'_>, style: Style, depth: usize) -> rquickjs::Result<()> {
    let kind = go_type::go_type(object.as_value());
    if kind == "time.Time" {
        out.push_str(&date(object)?);
        return Ok(());
    }
    if let Some(elements) = elements(object, kind)? {
        let (opening, between, closing) = match style {
            Style::Plain => ("[".to_owned(), " ", "]"),
            Style::Typed => (format!("{kind}{{"), ", ", "}"),
        };
        out.push_str(&opening);
        for (at, element) in elements.iter::<Value<'_>>().enumerate() {
            if at > 0 {
                out.push_str(between);
            }
            write_value(out, &element?, style, depth + 1)?;
        }
        out.push_str(closing);
        return Ok(());
    }
    if kind != OBJECT || bytes::of_object(object.ctx(), object)?.is_some() {
        out.push_str(&value_text::to_text(object.ctx(), object.as_value()));
        return Ok(());
    }
    let mut entries = properties::entries(object).collect::<rquickjs::Result<Vec<_>>>()?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.push_str(if style == Style::Typed { "map[string]interface {}{" } else { "map[" });
    for (at, (name, value)) in entries.iter().enumerate() {
        let between = if at == 0 {
            ""
        } else if style == Style::Typed {
            ", "
        } else {
            " "
        };
        let _ = match style {
            Style::Plain => write!(out, "{between}{name}:"),
            Style::Typed => write!(out, "{between}{name:?}:"),
        };
        write_value(out, value, style, depth + 1)?;
    }
    out.push(if style == Style::Typed { '}' } else { ']' });
    Ok(())
}

/// The elements of lists: of arrays, sets, maps, and of typed arrays, which are lists of numbers.
fn elements<'js>(object: &Object<'js>, kind: &str) -> rquickjs::Result<Option<Array<'js>>> {
    let is_list = kind == LIST || kind == PAIRS;
    let is_typed_array = !is_list
        && bytes::of_object(object.ctx(), object)?.is_some()
        && object.get::<_, Value<'js>>("length")?.is_number();
    if is_list || is_typed_array { array_from(object.as_value()).map(Some) } else { Ok(None) }
}

fn array_from<'js>(value: &Value<'js>) -> rquickjs::Result<Array<'js>> {
    if let Some(array) = value.as_array() {
        return Ok(array.clone());
    }
    let array: Object<'js> = value.ctx().globals().get("Array")?;
    array.get::<_, Function<'js>>("from")?.call((value.clone(),))
}

/// The shortest text of a number that is not whole: `1.5`, `1.2345675e+06`. Go writes an exponent from a million on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn date(object: &Object<'_>) -> rquickjs::Result<String> {
    let milliseconds: f64 =
        object.get::<_, Function<'_>>("getTime")?.call((rquickjs::function::This(object.clone()),))?;
    if milliseconds.is_nan() {
        return Ok("<nil>".to_owned());
    }
    let time = Timestamp::from_millisecond(milliseconds as i64).unwrap_or_default();
    let zone = TimeZone::system();
    let info = zone.to_offset_info(time);
    let (seconds, name) = (info.offset().seconds(), info.abbreviation());
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let local = info.offset().to_datetime(time).strftime("%Y-%m-%d %H:%M:%S%.f").to_string();
    Ok(format!("{local} {sign}{:02}{:02} {name}", minutes / 60, minutes % 60))
}
