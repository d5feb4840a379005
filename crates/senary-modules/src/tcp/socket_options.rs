//! The options of a `Socket` of `senary/tcp`, as its constructor takes them.

use std::rc::Rc;

use rquickjs::{Coerced, Ctx, Function, Object, Value};
use senary_wire::{Endian, Field, Key};

use super::connect_options::is_true;
use super::encoding::Encoding;
use super::extended::Settings;
use super::framing::{self, field, only_known, options_of, text, whole, wrong};
use super::latency::Latency;
use super::patterns::ScriptPattern;
use super::requests::{Correlation, KeyOf};
use super::tcp_info::Asks;
use crate::connection::options::{self, Tags};

const SOCKET_OPTIONS: [&str; 11] = [
    "tags",
    "framing",
    "encoding",
    "correlate",
    "latency",
    "allowHalfOpen",
    "scope",
    "tcpInfo",
    "noDelay",
    "receiveBuffer",
    "sendBuffer",
];

/// What the constructor was given.
#[derive(Default)]
pub struct SocketOptions<'js> {
    pub tags: Tags,
    pub settings: Settings,
    pub framing: Option<Value<'js>>,
    pub keys: KeyFunctions<'js>,
}

pub fn given<'js>(ctx: &Ctx<'js>, value: Option<&Value<'js>>) -> rquickjs::Result<SocketOptions<'js>> {
    let mut options = SocketOptions::default();
    let Some(given) = options_of(ctx, "Socket()", "{ framing: \"u32\" }", value)? else { return Ok(options) };
    only_known(&given, "Socket()", &[&SOCKET_OPTIONS])?;
    options.tags = options::tags(ctx, &given)?;
    options.framing = field(&given, "framing")?;
    let settings = &mut options.settings;
    settings.encoding = encoding(ctx, &given)?;
    settings.allow_half_open = given.get::<_, Coerced<bool>>("allowHalfOpen")?.0;
    settings.no_delay = field(&given, "noDelay")?.map_or(Ok(true), |value| is_true(&value))?;
    settings.latency = field(&given, "latency")?.map(|value| Latency::of(ctx, &value)).transpose()?;
    settings.outlives_iterations = match field(&given, "scope")?.map(|scope| text(&scope)).transpose()? {
        None => false,
        Some(scope) if scope == "iteration" => false,
        Some(scope) if scope == "vu" => true,
        Some(scope) => {
            return Err(wrong(ctx, &format!("scope is \"iteration\" or \"vu\", not {scope:?}")));
        }
    };
    settings.tcp_info = field(&given, "tcpInfo")?.map_or(Ok(Asks::Never), |value| Asks::of(ctx, &value))?;
    settings.receive_buffer = buffer(ctx, &given, "receiveBuffer")?;
    settings.send_buffer = buffer(ctx, &given, "sendBuffer")?;
    if let Some(correlate) = field(&given, "correlate")? {
        (settings.correlation, options.keys) = correlation(ctx, &correlate)?;
    }
    Ok(options)
}

/// The size of a buffer of the system, which accepts no larger number.
fn buffer<'js>(ctx: &Ctx<'js>, given: &Object<'js>, name: &str) -> rquickjs::Result<Option<usize>> {
    let Some(value) = field(given, name)? else { return Ok(None) };
    let bytes = whole(ctx, name, &value)?;
    match i32::try_from(bytes) {
        Ok(1..) => Ok(Some(bytes as usize)),
        _ => Err(wrong(ctx, &format!("{name} is a number of bytes from 1 to {}, not {bytes}", i32::MAX))),
    }
}

fn encoding(ctx: &Ctx<'_>, given: &Object<'_>) -> rquickjs::Result<Option<Encoding>> {
    let Some(name) = field(given, "encoding")? else { return Ok(None) };
    let name = text(&name)?;
    match Encoding::parse(&name) {
        Some(encoding) => Ok(Some(encoding)),
        None => {
            let known = Encoding::ALL.map(|(name, _)| format!("{name:?}")).join(", ");
            Err(wrong(ctx, &format!("encoding is one of {known}, not {name:?}")))
        }
    }
}

/// Functions of the script's that find the key of a request and of a reply.
type KeyFunctions<'js> = (Option<Function<'js>>, Option<Function<'js>>);

fn correlation<'js>(
    ctx: &Ctx<'js>,
    value: &Value<'js>,
) -> rquickjs::Result<(Correlation, KeyFunctions<'js>)> {
    if let Some(object) = value.as_object().filter(|_| !value.is_function()) {
        if object.contains_key("request")? || object.contains_key("reply")? && !object.contains_key("auto")? {
            if object.contains_key("offset")? {
                let text = "correlate: a reply beside an offset belongs to auto: true, by which the socket writes numbers of its own; \
                            for keys that stand in the messages give { request: { offset, bytes }, reply: { offset, bytes } }";
                return Err(wrong(ctx, text));
            }
            only_known(object, "correlate", &[&["request", "reply"]])?;
            let (request, request_key) = key(ctx, &object.get("request")?)?;
            let (reply, reply_key) = key(ctx, &object.get("reply")?)?;
            return Ok((Correlation::ByKey { request, reply }, (request_key, reply_key)));
        }
        if object.get::<_, Coerced<bool>>("auto")?.0 {
            only_known(object, "correlate", &[&["offset", "bytes", "endian", "auto", "reply"]])?;
            let request = place(ctx, object)?;
            let reply = match field(object, "reply")? {
                None => request,
                Some(reply) => match reply.as_object() {
                    Some(reply) => {
                        only_known(reply, "correlate.reply", &[&["offset", "bytes", "endian"]])?;
                        place(ctx, reply)?
                    }
                    None => {
                        return Err(wrong(ctx, "correlate.reply is a place such as { offset: 0, bytes: 4 }"));
                    }
                },
            };
            return Ok((Correlation::Auto { request, reply }, (None, None)));
        }
    }
    let (both, function) = key(ctx, value)?;
    Ok((Correlation::ByKey { request: both.clone(), reply: both }, (function.clone(), function)))
}

fn key<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<(KeyOf, Option<Function<'js>>)> {
    if let Some(function) = value.as_function() {
        return Ok((KeyOf::Function, Some(function.clone())));
    }
    let what =
        "a key is a place such as { offset: 0, bytes: 4 }, { pattern: /…/ }, or a function of the message";
    let Some(object) = value.as_object() else { return Err(wrong(ctx, what)) };
    if let Some(pattern) = field(object, "pattern")? {
        only_known(object, "correlate", &[&["pattern"]])?;
        return match ScriptPattern::of(ctx, &pattern) {
            Some(pattern) => Ok((KeyOf::Place(Key::Pattern(Rc::new(pattern))), None)),
            None => Err(wrong(ctx, "correlate.pattern is a regular expression")),
        };
    }
    only_known(object, "correlate", &[&["offset", "bytes", "endian"]])?;
    Ok((KeyOf::Place(Key::Field(place(ctx, object)?)), None))
}

/// A number in a message.
pub fn place<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Field> {
    let (Some(offset), Some(bytes)) = (field(object, "offset")?, field(object, "bytes")?) else {
        return Err(wrong(
            ctx,
            "a place in a message has an offset and bytes, as in { offset: 0, bytes: 4 }",
        ));
    };
    let offset = whole(ctx, "offset", &offset)? as usize;
    let bytes = whole(ctx, "bytes", &bytes)? as usize;
    if ![1, 2, 4, 8].contains(&bytes) {
        return Err(wrong(ctx, &format!("bytes is 1, 2, 4 or 8, not {bytes}")));
    }
    let endian = match field(object, "endian")? {
        Some(value) if framing::is_little(ctx, "endian", &value)? => Endian::Little,
        _ => Endian::Big,
    };
    Ok(Field { offset, bytes, endian })
}
