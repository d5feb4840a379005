//! What scripts hand to the Socket: tags, connect targets, data in all its forms.

use rquickjs::{Coerced, Ctx, Filter, Object, Value};

use super::error::{Method, TcpError};
use crate::errors;
use crate::modules::encoding::Form;

pub type Tags = Vec<(String, String)>;

/// The `tags` of an options object; values become text.
pub fn tags<'js>(ctx: &Ctx<'js>, options: &Object<'js>) -> rquickjs::Result<Tags> {
    let value: Value<'_> = options.get("tags")?;
    if value.is_undefined() || value.is_null() {
        return Ok(Tags::new());
    }
    let Some(object) = value.as_object().filter(|_| !value.is_function()) else {
        let text = crate::failure::to_text(ctx, &value);
        return Err(errors::throw_type_error(
            ctx,
            &format!("could not convert {text} to tags: an object with names and values is expected"),
        ));
    };
    let mut tags = Tags::new();
    for key in object.own_keys::<String>(Filter::new().string().enum_only()) {
        let key = key?;
        let value: Value<'_> = object.get(key.as_str())?;
        tags.push((key, tag_text(&value)?));
    }
    Ok(tags)
}

fn tag_text(value: &Value<'_>) -> rquickjs::Result<String> {
    if value.is_null() || value.is_undefined() {
        return Ok(String::new());
    }
    Ok(value.get::<Coerced<String>>()?.0)
}

/// Options that may be left out; anything but an object is refused.
pub fn options<'js>(
    ctx: &Ctx<'js>,
    value: Option<&Value<'js>>,
    wanted: &str,
) -> rquickjs::Result<Option<Object<'js>>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_undefined() || value.is_null() => Ok(None),
        Some(value) => match value.as_object() {
            Some(object) => Ok(Some(object.clone())),
            None => {
                let text = crate::failure::to_text(ctx, value);
                Err(errors::throw_type_error(ctx, &format!("could not convert {text} to {wanted}")))
            }
        },
    }
}

/// Whom to connect to.
pub struct ConnectTarget {
    pub port: i64,
    pub host: String,
    pub tls: bool,
    pub tags: Tags,
}

const DEFAULT_HOST: &str = "localhost";

/// `connect(port, host?)` or `connect({ port, host, tls, tags })`. The outer error is a script's exception, the
/// inner one a connect that failed before it began, with the tags it was to have.
pub fn connect_target<'js>(
    ctx: &Ctx<'js>,
    first: Option<Value<'js>>,
    second: Option<Value<'js>>,
) -> rquickjs::Result<Result<ConnectTarget, (TcpError, Tags)>> {
    let wrong = |tags| {
        let text = "invalid type: expected integer or object";
        Ok(Err((TcpError::new(Method::Connect, "ERR_INVALID_ARG_TYPE", text), tags)))
    };
    let Some(first) = first else { return wrong(Tags::new()) };
    let as_options = first.as_object().filter(|_| !first.is_array() && !first.is_function());
    let Some(options) = as_options else {
        let Some(port) = port_number(&first) else { return wrong(Tags::new()) };
        let host = match second {
            Some(host) if !host.is_undefined() && !host.is_null() => host.get::<Coerced<String>>()?.0,
            _ => DEFAULT_HOST.to_owned(),
        };
        return Ok(Ok(ConnectTarget { port, host, tls: false, tags: Tags::new() }));
    };
    let port: Value<'js> = options.get("port")?;
    let Some(port) = port_number(&port) else { return wrong(tags(ctx, options)?) };
    let host: Value<'js> = options.get("host")?;
    let host = if host.is_undefined() || host.is_null() {
        DEFAULT_HOST.to_owned()
    } else {
        let host = host.get::<Coerced<String>>()?.0;
        if host.is_empty() { DEFAULT_HOST.to_owned() } else { host }
    };
    let tls = options.get::<_, Coerced<bool>>("tls")?.0;
    Ok(Ok(ConnectTarget { port, host, tls, tags: tags(ctx, options)? }))
}

/// A whole number, or a text that JavaScript reads as a number; other texts count as port 0, which nobody listens on.
fn port_number(value: &Value<'_>) -> Option<i64> {
    if value.is_string() {
        let number = value.get::<Coerced<f64>>().map_or(f64::NAN, |number| number.0);
        // Beyond what an integer holds it is the nearest one, and 0 for what is no number.
        return Some(number as i64);
    }
    value.as_number().filter(|n| n.fract() == 0.0 && n.abs() < 1e15).map(|n| n as i64)
}

/// Calls `f` with the bytes a value stands for. Binary data ignores the encoding.
pub fn with_bytes<'js, R>(
    ctx: &Ctx<'js>,
    data: Option<&Value<'js>>,
    encoding: Option<&str>,
    f: impl FnOnce(&[u8]) -> R,
) -> rquickjs::Result<Result<R, TcpError>> {
    let wrong = || {
        TcpError::new(Method::Write, "ERR_INVALID_ARG_TYPE", "invalid type: String or ArrayBuffer expected")
    };
    let Some(data) = data else { return Ok(Err(wrong())) };
    if data.is_string() {
        return with_utf8(ctx, data, |text| match decode(text, encoding) {
            Ok(None) => Ok(f(text)),
            Ok(Some(bytes)) => Ok(f(&bytes)),
            Err(error) => Err(error),
        });
    }
    let Some(object) = data.as_object() else { return Ok(Err(wrong())) };
    match crate::bytes::of_object(ctx, object) {
        // The bytes are used before any script can run again.
        Ok(Some(view)) => Ok(Ok(f(view.as_slice()))),
        Ok(None) => Ok(Err(wrong())),
        Err(_) => {
            let text = crate::failure::to_text(ctx, &ctx.catch());
            Ok(Err(TcpError::new(Method::Write, "ERR_INVALID_ARG_TYPE", text)))
        }
    }
}

/// Calls `f` with a string's UTF-8 bytes; lone surrogates become U+FFFD.
fn with_utf8<'js, R>(ctx: &Ctx<'js>, value: &Value<'js>, f: impl FnOnce(&[u8]) -> R) -> rquickjs::Result<R> {
    let mut length = 0;
    // SAFETY: the context is alive; the pointer is checked, covers `length` bytes, and is freed below after its
    // last use. The closure cannot run script: it only sees bytes.
    unsafe {
        let context = ctx.as_raw().as_ptr();
        let text = rquickjs::qjs::JS_ToCStringLen2(context, &mut length, value.as_raw(), false);
        if text.is_null() {
            return Err(rquickjs::Error::Exception);
        }
        let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length as usize);
        let result = match replace_surrogates(bytes) {
            None => f(bytes),
            Some(replaced) => f(&replaced),
        };
        rquickjs::qjs::JS_FreeCString(context, text);
        Ok(result)
    }
}

/// The engine writes a lone surrogate as three bytes ED A0..BF xx, which is no UTF-8.
fn replace_surrogates(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_surrogate = |at: usize| bytes[at] == 0xED && bytes.get(at + 1).is_some_and(|b| *b >= 0xA0);
    memchr::memchr_iter(0xED, bytes).find(|&at| is_surrogate(at))?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if is_surrogate(at) {
            out.extend_from_slice("\u{FFFD}".as_bytes());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Some(out)
}

/// `None`: the text's own bytes.
fn decode(text: &[u8], encoding: Option<&str>) -> Result<Option<Vec<u8>>, TcpError> {
    let name = encoding.unwrap_or_default();
    let error = |message: String| TcpError::new(Method::Write, "ERR_INVALID_ENCODING", message);
    match name.to_lowercase().as_str() {
        "" | "utf8" | "utf-8" | "ascii" => Ok(None),
        "base64" => base64(text, false).map(Some).map_err(error),
        "base64url" => base64(text, true).map(Some).map_err(error),
        "hex" => hex(text).map(Some).map_err(error),
        _ => Err(error(format!("unsupported encoding {name:?}"))),
    }
}

/// Padding is required in the standard alphabet and optional in the URL one; line breaks are skipped.
fn base64(text: &[u8], url: bool) -> Result<Vec<u8>, String> {
    let form = match (url, text.contains(&b'=')) {
        (false, _) => Form::Std,
        (true, true) => Form::Url,
        (true, false) => Form::RawUrl,
    };
    form.decode(text).map_err(|at| format!("illegal base64 data at input byte {at}"))
}

fn hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    if let Some(&bad) = text.iter().find(|b| digit(**b).is_none()) {
        let shown = if (bad as char).is_control() { String::new() } else { format!(" '{}'", bad as char) };
        return Err(format!("encoding/hex: invalid byte: U+{bad:04X}{shown}"));
    }
    if text.len() % 2 == 1 {
        return Err("encoding/hex: odd length hex string".to_owned());
    }
    Ok(text.chunks_exact(2).map(|p| digit(p[0]).unwrap_or(0) << 4 | digit(p[1]).unwrap_or(0)).collect())
}
