//! Framings as scripts give them to a socket: a name, a description, a function, or one for each direction.

use std::rc::Rc;
use std::time::Duration;

use ::bytes::Bytes;
use rquickjs::{CatchResultExt, CaughtError, Coerced, Context, Ctx, Function, Object, Runtime, Value};
use senary_wire::{
    Delimiters, Description, Empty, Escape, Form, Framing, Header, Headers, Length, Lines, Notation, Pattern,
    Place, Size, names,
};

use super::patterns::ScriptPattern;
use crate::connection::bytes::{TextAs, latin1, not_latin1};
use senary_js::native::described;
use senary_js::{bytes, errors, properties, value_text};
use senary_words::spelling::nearest;

/// Where messages end, for each direction.
pub struct Framings<'js> {
    pub receive: Receive<'js>,
    /// What `send()` adds; `None` if a function splits the stream into messages.
    pub send: Option<Rc<Framing>>,
}

pub enum Receive<'js> {
    Framed(Rc<Framing>),
    /// It gets all received bytes, and returns the length of the first message.
    Function(Function<'js>),
}

const DIRECTIONS: [&str; 2] = ["receive", "send"];
const COMMON: [&str; 4] = ["max", "magic", "trailer", "empty"];

/// Each form by the field that tells it from the others, and the other fields it has.
const FORMS: [(&str, &[&str]); 7] = [
    ("delimiter", &["start", "keep", "escape"]),
    ("end", &[]),
    ("fixed", &[]),
    ("length", &["header"]),
    ("headers", &["otherwise", "header"]),
    ("line", &[]),
    ("idle", &[]),
];

/// `undefined` and `null`: no framing.
pub fn given<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<Framings<'js>>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let both = value.as_object().filter(|_| !value.is_function());
    if let Some(both) = both
        && (both.contains_key(DIRECTIONS[0])? || both.contains_key(DIRECTIONS[1])?)
    {
        only_known(both, "framing", &[&DIRECTIONS])?;
        let receive: Value<'js> = both.get(DIRECTIONS[0])?;
        let send: Value<'js> = both.get(DIRECTIONS[1])?;
        let (Some(receive), Some(send)) = (one(ctx, &receive)?, one(ctx, &send)?) else {
            return Err(wrong(ctx, "framing: receive and send belong together: give a framing for each"));
        };
        return Ok(Some(Framings { receive: receive.receive, send: send.send }));
    }
    one(ctx, value)
}

/// Reads a description in JSON, for callers that have no script. Returns the framing in which messages are sent.
pub fn of_json(description: &str) -> Result<Rc<Framing>, String> {
    let context = Runtime::new().and_then(|runtime| Context::full(&runtime)).map_err(|e| e.to_string())?;
    context.with(|ctx| {
        let framing = ctx.json_parse(description).and_then(|value| given(&ctx, &value));
        match framing.catch(&ctx) {
            Ok(Some(Framings { send: Some(framing), .. })) => Ok(framing),
            Ok(_) => Err("it describes nothing".to_owned()),
            Err(CaughtError::Exception(exception)) => {
                let text = exception.message().unwrap_or_default();
                Err(text.strip_prefix("framing: ").map_or(text.clone(), str::to_owned))
            }
            Err(error) => Err(error.to_string()),
        }
    })
}

/// A framing for both directions.
fn one<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<Framings<'js>>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    if let Some(function) = value.as_function() {
        return Ok(Some(Framings { receive: Receive::Function(function.clone()), send: None }));
    }
    let framing = match (value.as_string(), value.as_object()) {
        (Some(name), _) => named(ctx, &name.to_string()?)?,
        (_, Some(object)) => checked(ctx, description(ctx, object)?)?,
        _ => {
            let text = value_text::shown(ctx, value);
            let what = "a framing is a name such as \"u32\", a description such as { delimiter: \"\\n\" }, or a function";
            return Err(wrong(ctx, &format!("{what}, not {text}")));
        }
    };
    let framing = Rc::new(framing);
    Ok(Some(Framings { receive: Receive::Framed(framing.clone()), send: Some(framing) }))
}

fn named(ctx: &Ctx<'_>, name: &str) -> rquickjs::Result<Framing> {
    Framing::named(name).map_err(|error| {
        let meant = nearest(name, names::all()).map(|near| format!("; did you mean {near:?}?"));
        wrong(ctx, &format!("{error}{}", meant.unwrap_or_default()))
    })
}

fn checked(ctx: &Ctx<'_>, description: Description) -> rquickjs::Result<Framing> {
    Framing::new(description).map_err(|e| wrong(ctx, &e.to_string()))
}

fn description<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Description> {
    let mut forms = Vec::new();
    for form in &FORMS {
        if object.contains_key(form.0)? {
            forms.push(form);
        }
    }
    let [(name, fields)] = forms[..] else {
        let known = FORMS.map(|(name, _)| name).join(", ");
        let found = match forms.len() {
            0 => "none".to_owned(),
            _ => forms.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and "),
        };
        return Err(wrong(ctx, &format!("a framing has exactly one of {known}; this one has {found}")));
    };
    only_known(object, "framing", &[&[*name], fields, &COMMON])?;
    let value: Value<'js> = object.get(*name)?;
    let form = match *name {
        "delimiter" => Form::Delimiter(delimiters(ctx, object, &value)?),
        "end" => Form::Pattern(pattern(ctx, "end", &value)?),
        "fixed" => Form::Fixed(whole(ctx, "fixed", &value)?),
        "length" => Form::Length(length(ctx, object, &part(ctx, "length", &value)?)?),
        "headers" => Form::Headers(headers(ctx, object, &part(ctx, "headers", &value)?)?),
        "line" => Form::Lines(lines(ctx, &part(ctx, "line", &value)?)?),
        _ => Form::Idle(Duration::from_millis(whole(ctx, "idle", &value)?)),
    };
    let mut description = Description::new(form);
    if let Some(max) = field(object, "max")? {
        description.max = size(ctx, "max", &max)?;
    }
    description.magic = optional_data(ctx, object, "magic")?;
    description.trailer = optional_data(ctx, object, "trailer")?;
    if let Some(empty) = field(object, "empty")? {
        description.empty = match text(&empty)?.as_str() {
            "deliver" => Empty::Deliver,
            "skip" => Empty::Skip,
            "echo" => Empty::Echo,
            other => {
                let what = format!("framing: empty is \"deliver\", \"skip\" or \"echo\", not {other:?}");
                return Err(wrong(ctx, &what));
            }
        };
    }
    Ok(description)
}

fn delimiters<'js>(ctx: &Ctx<'js>, object: &Object<'js>, value: &Value<'js>) -> rquickjs::Result<Delimiters> {
    let delimiters = match value.as_array() {
        None => vec![data(ctx, "delimiter", value)?],
        Some(list) => {
            list.iter().map(|value| data(ctx, "delimiter", &value?)).collect::<rquickjs::Result<_>>()?
        }
    };
    let escape = match field(object, "escape")? {
        None => None,
        Some(value) => Some(escape(ctx, &part(ctx, "escape", &value)?)?),
    };
    let start = optional_data(ctx, object, "start")?;
    let keep = object.get::<_, Coerced<bool>>("keep")?.0;
    Ok(Delimiters { delimiters, start, keep, escape })
}

fn escape<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Escape> {
    only_known(object, "framing.escape", &[&["byte", "map"]])?;
    let map: Value<'js> = object.get("map")?;
    let Some(map) = map.as_array() else {
        return Err(wrong(ctx, "framing: escape.map is a list of pairs [coded, plain]"));
    };
    let mut pairs = Vec::new();
    for pair in map.iter::<Value<'js>>() {
        let pair = pair?;
        let Some(pair) = pair.as_array().filter(|pair| pair.len() == 2) else {
            return Err(wrong(ctx, "framing: escape.map is a list of pairs [coded, plain]"));
        };
        let coded = byte(ctx, "escape.map", &pair.get(0)?)?;
        pairs.push((coded, byte(ctx, "escape.map", &pair.get(1)?)?));
    }
    Ok(Escape { byte: byte(ctx, "escape.byte", &object.get("byte")?)?, map: pairs })
}

fn length<'js>(ctx: &Ctx<'js>, outer: &Object<'js>, object: &Object<'js>) -> rquickjs::Result<Length> {
    only_known(object, "framing.length", &[&["at", "bytes", "as", "endian", "mask", "adjust"]])?;
    let size = match field(object, "bytes")? {
        None => None,
        Some(value) if value.is_number() => Some(Size::Bytes(whole(ctx, "length.bytes", &value)?)),
        Some(value) => {
            let digits = part(ctx, "length.bytes", &value)?;
            only_known(&digits, "framing.length.bytes", &[&["until", "max"]])?;
            let max = field(&digits, "max")?;
            let max = max.map(|max| whole(ctx, "length.bytes.max", &max)).transpose()?;
            let until: Value<'js> = digits.get("until")?;
            // A byte may be given as a text of one character, too.
            let until = match until.is_string() {
                false => byte(ctx, "length.bytes.until", &until)?,
                true => match data(ctx, "length.bytes.until", &until)?[..] {
                    [one] => one,
                    _ => return Err(wrong(ctx, "framing: length.bytes.until is one byte")),
                },
            };
            Some(Size::Until { until, max })
        }
    };
    let written = field(object, "as")?.map(|value| text(&value)).transpose()?;
    let little = match field(object, "endian")? {
        None => false,
        Some(value) => is_little(ctx, "framing: length.endian", &value)?,
    };
    let mask = field(object, "mask")?.map(|mask| whole(ctx, "length.mask", &mask)).transpose()?;
    let notation = Notation::of(written.as_deref(), size, little, mask);
    let adjust = field(object, "adjust")?.map(|adjust| integer(ctx, "length.adjust", &adjust)).transpose()?;
    let at = match field(object, "at")? {
        None => None,
        Some(value) if value.is_number() => Some(Place::At(whole(ctx, "length.at", &value)?)),
        Some(value) => {
            let place = part(ctx, "length.at", &value)?;
            only_known(&place, "framing.length.at", &[&["after"]])?;
            Some(Place::After(data(ctx, "length.at.after", &place.get("after")?)?))
        }
    };
    let header = header(ctx, outer)?;
    Ok(Length { at, notation: notation.map_err(|e| wrong(ctx, &e.to_string()))?, adjust, header })
}

fn header(ctx: &Ctx<'_>, object: &Object<'_>) -> rquickjs::Result<Option<Header>> {
    let Some(value) = field(object, "header")? else { return Ok(None) };
    match text(&value)?.as_str() {
        "strip" => Ok(Some(Header::Strip)),
        "keep" => Ok(Some(Header::Keep)),
        other => Err(wrong(ctx, &format!("framing: header is \"strip\" or \"keep\", not {other:?}"))),
    }
}

fn headers<'js>(ctx: &Ctx<'js>, outer: &Object<'js>, object: &Object<'js>) -> rquickjs::Result<Headers> {
    only_known(object, "framing.headers", &[&["end", "length"]])?;
    let end = field(object, "end")?.map(|end| data(ctx, "headers.end", &end)).transpose()?;
    let Some(name) = field(object, "length")? else {
        return Err(wrong(ctx, "framing: headers.length is the name of the header with the body's length"));
    };
    let otherwise = match field(outer, "otherwise")? {
        None => None,
        Some(value) => Some(Box::new(description(ctx, &part(ctx, "otherwise", &value)?)?)),
    };
    Ok(Headers { end, length: text(&name)?, otherwise, header: header(ctx, outer)? })
}

fn lines<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Lines> {
    only_known(object, "framing.line", &[&["count", "adjust", "until"]])?;
    let of = |name| field(object, name);
    Ok(Lines {
        count: of("count")?.map(|value| pattern(ctx, "line.count", &value)).transpose()?,
        adjust: of("adjust")?.map(|value| integer(ctx, "line.adjust", &value)).transpose()?.unwrap_or(0),
        until: of("until")?.map(|value| pattern(ctx, "line.until", &value)).transpose()?,
    })
}

fn pattern<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<Rc<dyn Pattern>> {
    match ScriptPattern::of(ctx, value) {
        Some(pattern) => Ok(Rc::new(pattern)),
        None => Err(wrong(ctx, &format!("framing: {name} is a regular expression, such as /\\r\\n$/"))),
    }
}

// ---- Values ----------------------------------------------------------------------------------------------------------

/// A field that is set; `undefined` and `null` do not count.
pub fn field<'js>(object: &Object<'js>, name: &str) -> rquickjs::Result<Option<Value<'js>>> {
    let value: Value<'js> = object.get(name)?;
    Ok(Some(value).filter(|value| !value.is_undefined() && !value.is_null()))
}

/// Text as UTF-8, or binary data.
pub fn data<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<Bytes> {
    match bytes::of_value(ctx, value)? {
        Some(bytes) => Ok(Bytes::from(bytes)),
        None => {
            Err(wrong(ctx, &format!("{name} is a text or binary data, not {}", described(value.type_name()))))
        }
    }
}

/// The same on a socket with an encoding, where a text stands for other bytes than in a description.
pub fn data_as<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    text_as: TextAs<'_>,
    value: &Value<'js>,
) -> rquickjs::Result<Bytes> {
    let bytes = data(ctx, name, value)?;
    if !matches!(text_as, TextAs::Latin1) || !value.is_string() {
        return Ok(bytes);
    }
    match latin1(&bytes) {
        Ok(None) => Ok(bytes),
        Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
        Err(character) => Err(wrong(ctx, &format!("{name}: {}", not_latin1(character)))),
    }
}

pub fn is_little(ctx: &Ctx<'_>, name: &str, value: &Value<'_>) -> rquickjs::Result<bool> {
    match text(value)?.as_str() {
        "big" => Ok(false),
        "little" => Ok(true),
        other => Err(wrong(ctx, &format!("{name} is \"big\" or \"little\", not {other:?}"))),
    }
}

/// A whole number of at least 0.
pub fn whole<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<u64> {
    match value.as_number().filter(|number| number.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(number)) {
        Some(number) => Ok(number as u64),
        None => {
            let text = value_text::shown(ctx, value);
            Err(wrong(ctx, &format!("{name} is a whole number of at least 0, not {text}")))
        }
    }
}

/// `Number.MAX_SAFE_INTEGER`.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Bytes, or a text with a unit.
fn size<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<u64> {
    if !value.is_string() {
        return whole(ctx, name, value);
    }
    let given = text(value)?;
    match senary_words::size::parse(&given) {
        Some(size) => Ok(size.0 as u64),
        None => Err(wrong(ctx, &format!("{name} is a size such as 65536 or \"64KiB\", not {given:?}"))),
    }
}

fn byte<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<u8> {
    let number = whole(ctx, name, value)?;
    u8::try_from(number).map_err(|_| wrong(ctx, &format!("{name} is a byte, 0 to 255, not {number}")))
}

fn integer<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<i64> {
    match value.as_number().filter(|number| number.fract() == 0.0 && number.abs() <= MAX_WHOLE) {
        Some(number) => Ok(number as i64),
        None => {
            let text = value_text::shown(ctx, value);
            Err(wrong(ctx, &format!("{name} is a whole number, not {text}")))
        }
    }
}

pub fn text(value: &Value<'_>) -> rquickjs::Result<String> {
    Ok(value.get::<Coerced<String>>()?.0)
}

fn part<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<Object<'js>> {
    match plain_object(value) {
        Some(object) => Ok(object.clone()),
        None => Err(wrong(ctx, &format!("{name} is an object, not {}", value_text::shown(ctx, value)))),
    }
}

/// Returns the value as an object, unless it is a list or a function.
pub fn plain_object<'a, 'js>(value: &'a Value<'js>) -> Option<&'a Object<'js>> {
    value.as_object().filter(|_| !value.is_array() && !value.is_function())
}

/// The options of a call, which may be left out; anything else is refused, with an example.
pub fn options_of<'js>(
    ctx: &Ctx<'js>,
    call: &str,
    example: &str,
    value: Option<&Value<'js>>,
) -> rquickjs::Result<Option<Object<'js>>> {
    let Some(value) = value.filter(|value| !value.is_undefined() && !value.is_null()) else {
        return Ok(None);
    };
    match plain_object(value) {
        Some(object) => Ok(Some(object.clone())),
        None => {
            let shown = value_text::shown(ctx, value);
            Err(wrong(ctx, &format!("{call} takes options such as {example}, not {shown}")))
        }
    }
}

fn optional_data<'js>(ctx: &Ctx<'js>, object: &Object<'js>, name: &str) -> rquickjs::Result<Bytes> {
    field(object, name)?.map_or(Ok(Bytes::new()), |value| data(ctx, name, &value))
}

/// Refuses unknown fields: a misspelt one would silently define another protocol.
pub fn only_known(object: &Object<'_>, of: &str, known: &[&[&str]]) -> rquickjs::Result<()> {
    for name in properties::names(object) {
        let name = name?;
        if known.iter().any(|known| known.contains(&name.as_str())) {
            continue;
        }
        let known: Vec<&str> = known.iter().flat_map(|known| known.iter().copied()).collect();
        let hint = match senary_words::spelling::nearest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it has {}", known.join(", ")),
        };
        return Err(wrong(object.ctx(), &format!("{of} has no field {name:?}: {hint}")));
    }
    Ok(())
}

pub fn wrong(ctx: &Ctx<'_>, message: &str) -> rquickjs::Error {
    errors::throw_type_error(ctx, message)
}
