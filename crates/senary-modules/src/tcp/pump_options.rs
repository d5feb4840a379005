//! What a script gives to `pump()`, read and checked before anything is sent.

use std::time::Duration;

use bytes::Bytes;
use rquickjs::{Ctx, Object, Value};
use senary_js::value_text;
use senary_wire::{Matcher, Patch, Template, Writing};

use super::extended_class::{duration, matcher};
use super::framing::{self, field, only_known, options_of, text, whole, wrong};
use super::request_calls::REQUEST_TIMEOUT;
use crate::connection::bytes::TextAs;
use crate::connection::options::{self, Tags};

pub struct PumpOptions {
    /// Sent in turn; there is one at least.
    pub messages: Vec<Template>,
    /// How many requests are under way at most. `None`: an open loop that does not look.
    pub window: Option<u64>,
    pub rate: Option<Rate>,
    pub count: Option<u64>,
    pub duration: Option<Duration>,
    pub reply: Reply,
    pub expect: Option<Matcher>,
    pub timeout: Duration,
    pub tags: Tags,
}

/// The open loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub arrival: Arrival,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    Uniform,
    Poisson,
}

/// What answers a request.
#[derive(Clone, Debug)]
pub enum Reply {
    None,
    /// So many messages.
    Messages(u64),
    /// Messages up to one that matches.
    Until(Matcher),
}

const FIELDS: [&str; 10] =
    ["message", "window", "rate", "arrival", "count", "duration", "reply", "expect", "timeout", "tags"];

const VALUES: [(&str, senary_wire::Value); 5] = [
    ("sequence", senary_wire::Value::Sequence),
    ("vu", senary_wire::Value::Vu),
    ("iteration", senary_wire::Value::Iteration),
    ("time", senary_wire::Value::Time),
    ("random", senary_wire::Value::Random),
];

const WRITINGS: [(&str, Writing); 4] = [
    ("binary", Writing::Binary),
    ("little", Writing::Little),
    ("decimal", Writing::Decimal),
    ("hex", Writing::Hex),
];

impl PumpOptions {
    /// Texts in them are texts of the socket.
    pub fn of<'js>(
        ctx: &Ctx<'js>,
        text_as: TextAs<'_>,
        given: Option<&Value<'js>>,
    ) -> rquickjs::Result<Self> {
        let Some(given) = options_of(ctx, "pump()", "{ message: \"ping\", count: 1000 }", given)? else {
            return Err(wrong(ctx, "pump() takes options: pump({ message: \"ping\", count: 1000 })"));
        };
        only_known(&given, "pump()", &[&FIELDS])?;
        let rate = rate(ctx, &given)?;
        let reply = reply(ctx, text_as, &given)?;
        let (window, expect) = (number(ctx, &given, "window")?, field(&given, "expect")?);
        if window == Some(0) {
            return Err(wrong(ctx, "window is at least 1: so many requests are under way at once"));
        }
        if matches!(reply, Reply::None) && (window.is_some() || expect.is_some()) {
            let text = "reply: \"none\" waits for nothing: window and expect have no meaning with it";
            return Err(wrong(ctx, text));
        }
        let expect = expect.map(|expect| matcher(ctx, "expect", text_as, &expect)).transpose()?;
        let of = |name| field(&given, name)?.map(|value| duration(ctx, name, &value)).transpose();
        let (timeout, duration) = (of("timeout")?, of("duration")?);
        let count = number(ctx, &given, "count")?;
        if count.is_none() && duration.is_none() {
            return Err(wrong(ctx, "pump() ends after a count or a duration: give it one of them"));
        }
        Ok(Self {
            messages: messages(ctx, text_as, &given)?,
            window: if rate.is_none() && window.is_none() { Some(1) } else { window },
            rate,
            count,
            duration,
            reply,
            expect,
            timeout: timeout.unwrap_or(REQUEST_TIMEOUT),
            tags: options::tags(ctx, &given)?,
        })
    }
}

fn number<'js>(ctx: &Ctx<'js>, given: &Object<'js>, name: &str) -> rquickjs::Result<Option<u64>> {
    field(given, name)?.map(|value| whole(ctx, name, &value)).transpose()
}

fn rate<'js>(ctx: &Ctx<'js>, given: &Object<'js>) -> rquickjs::Result<Option<Rate>> {
    let arrival = match field(given, "arrival")? {
        None => None,
        Some(value) => Some(match text(&value)?.as_str() {
            "uniform" => Arrival::Uniform,
            "poisson" => Arrival::Poisson,
            other => {
                let text = format!("arrival is \"uniform\" or \"poisson\", not {other:?}");
                return Err(wrong(ctx, &text));
            }
        }),
    };
    match (field(given, "rate")?, arrival) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(wrong(ctx, "arrival belongs to an open loop: give it a rate, too")),
        (Some(value), arrival) => {
            let per_second = per_second(ctx, &value)?;
            Ok(Some(Rate { per_second, arrival: arrival.unwrap_or(Arrival::Uniform) }))
        }
    }
}

/// A number of requests per second, or per unit of time: `"6000/m"`.
fn per_second<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<f64> {
    let rate = if value.is_string() {
        let given = text(value)?;
        given.split_once('/').and_then(|(number, unit)| {
            let seconds = match unit.trim() {
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            number.trim().parse::<f64>().ok().map(|number| number / seconds)
        })
    } else {
        value.as_number()
    };
    match rate.filter(|rate| rate.is_finite() && *rate > 0.0) {
        Some(rate) => Ok(rate),
        None => {
            let shown = value_text::shown(ctx, value);
            let text = "rate is a number of requests per second above 0, or a text such as \"6000/m\"";
            Err(wrong(ctx, &format!("{text}, not {shown}")))
        }
    }
}

fn reply<'js>(ctx: &Ctx<'js>, text_as: TextAs<'_>, given: &Object<'js>) -> rquickjs::Result<Reply> {
    let Some(value) = field(given, "reply")? else { return Ok(Reply::Messages(1)) };
    if value.is_string() && text(&value)? == "none" {
        return Ok(Reply::None);
    }
    let what = "reply is \"none\", { replies: 2 } or { until: { equals: data } }";
    let Some(object) = value.as_object().filter(|_| !value.is_function()) else {
        return Err(wrong(ctx, what));
    };
    only_known(object, "reply", &[&["replies", "until"]])?;
    match (number(ctx, object, "replies")?, field(object, "until")?) {
        (Some(0), None) => Err(wrong(ctx, "replies is at least 1; reply: \"none\" waits for none")),
        (Some(replies), None) => Ok(Reply::Messages(replies)),
        (None, Some(until)) => Ok(Reply::Until(matcher(ctx, "reply.until", text_as, &until)?)),
        _ => Err(wrong(ctx, what)),
    }
}

fn messages<'js>(
    ctx: &Ctx<'js>,
    text_as: TextAs<'_>,
    given: &Object<'js>,
) -> rquickjs::Result<Vec<Template>> {
    let Some(value) = field(given, "message")? else {
        return Err(wrong(ctx, "pump() needs a message: a text, binary data, or { data, patches }"));
    };
    let Some(list) = value.as_array() else { return Ok(vec![message(ctx, text_as, &value)?]) };
    let messages: Vec<Template> = list
        .iter::<Value<'js>>()
        .map(|value| message(ctx, text_as, &value?))
        .collect::<rquickjs::Result<_>>()?;
    if messages.is_empty() {
        return Err(wrong(ctx, "message is an empty list: pump() needs one message at least"));
    }
    Ok(messages)
}

fn message<'js>(ctx: &Ctx<'js>, text_as: TextAs<'_>, value: &Value<'js>) -> rquickjs::Result<Template> {
    let template = match value.as_object() {
        Some(object) if object.contains_key("data")? => object,
        _ => return plain(ctx, framing::data_as(ctx, "message", text_as, value)?),
    };
    only_known(template, "message", &[&["data", "patches"]])?;
    let data = framing::data_as(ctx, "message.data", text_as, &template.get("data")?)?;
    let Some(patches) = field(template, "patches")? else { return plain(ctx, data) };
    let Some(patches) = patches.as_array() else {
        return Err(wrong(ctx, "message.patches is a list of { offset, bytes, value }"));
    };
    let patches =
        patches.iter::<Value<'js>>().map(|value| patch(ctx, &value?)).collect::<rquickjs::Result<_>>()?;
    Template::new(data, patches).map_err(|error| wrong(ctx, &format!("message.patches: {error}")))
}

fn plain(ctx: &Ctx<'_>, data: Bytes) -> rquickjs::Result<Template> {
    Template::new(data, Vec::new()).map_err(|error| wrong(ctx, &error.to_string()))
}

fn patch<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Patch> {
    let Some(patch) = value.as_object() else {
        return Err(wrong(ctx, "a patch is { offset, bytes, value }, and as, if it is not binary"));
    };
    only_known(patch, "message.patches", &[&["offset", "bytes", "value", "as"]])?;
    let offset = whole(ctx, "offset", &patch.get("offset")?)? as usize;
    let bytes = whole(ctx, "bytes", &patch.get("bytes")?)? as usize;
    let writing = match field(patch, "as")? {
        None => Writing::default(),
        Some(value) => one_of(ctx, "as", &text(&value)?, &WRITINGS)?,
    };
    let value: Value<'js> = patch.get("value")?;
    let value = match value.as_object() {
        None => one_of(ctx, "value", &text(&value)?, &VALUES)?,
        Some(range) => {
            only_known(range, "value", &[&["from", "to"]])?;
            let from = whole(ctx, "from", &range.get("from")?)?;
            senary_wire::Value::Range { from, to: whole(ctx, "to", &range.get("to")?)? }
        }
    };
    Ok(Patch { offset, bytes, value, writing })
}

fn one_of<T: Clone>(ctx: &Ctx<'_>, name: &str, given: &str, known: &[(&str, T)]) -> rquickjs::Result<T> {
    match known.iter().find(|(known, _)| *known == given) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let known: Vec<String> = known.iter().map(|(known, _)| format!("{known:?}")).collect();
            Err(wrong(ctx, &format!("{name} is one of {}, not {given:?}", known.join(", "))))
        }
    }
}
