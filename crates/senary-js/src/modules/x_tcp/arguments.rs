//! What scripts hand to the Socket: tags, connect targets, data in all its forms.

use rquickjs::{Coerced, Ctx, Object, Value};

use super::error::{Method, SocketFailure};
use crate::errors;
use crate::modules::encoding::Form;
use crate::native::described;
use crate::{hints, properties};

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
    for entry in properties::entries(object) {
        let (key, value) = entry?;
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

/// A connect that is refused before it begins, and the tags it was to have.
pub type Refusal = (SocketFailure, Tags);

/// `connect(port, host?)` or `connect({ port, host, tls, tags })`. The outer error is a script's exception.
pub fn connect_target<'js>(
    ctx: &Ctx<'js>,
    first: Option<Value<'js>>,
    second: Option<Value<'js>>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    let Some(first) = first.filter(|first| !first.is_undefined()) else {
        let text = "the port is missing: connect(port, host) or connect({ port, host }) was given undefined (is an environment variable not set?)";
        return Ok(Err((wrong_type(text), Tags::new())));
    };
    let as_options = first.as_object().filter(|_| !first.is_array() && !first.is_function());
    if let Some(options) = as_options {
        return with_options(ctx, options);
    }
    // The reference's text, for everything that is neither.
    let is_port = first.is_string() || first.as_number().is_some_and(|n| n.fract() == 0.0 || !n.is_finite());
    if !is_port {
        return Ok(Err((wrong_type("invalid type: expected integer or object"), Tags::new())));
    }
    let port = match port_number(&first)? {
        Ok(port) => port,
        Err(failure) => return Ok(Err((failure, Tags::new()))),
    };
    let host = match second {
        Some(host) if !host.is_undefined() && !host.is_null() => host.get::<Coerced<String>>()?.0,
        _ => DEFAULT_HOST.to_owned(),
    };
    Ok(Ok(ConnectTarget { port, host, tls: false, tags: Tags::new() }))
}

fn with_options<'js>(
    ctx: &Ctx<'js>,
    options: &Object<'js>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    hints::unknown_fields("connect()", options, &["port", "host", "tls", "tags", PATH])?;
    let port: Value<'js> = options.get("port")?;
    let host: Value<'js> = options.get("host")?;
    let host = if host.is_undefined() || host.is_null() {
        DEFAULT_HOST.to_owned()
    } else {
        let host = host.get::<Coerced<String>>()?.0;
        if host.is_empty() { DEFAULT_HOST.to_owned() } else { host }
    };
    let tls = options.get::<_, Coerced<bool>>("tls")?.0;
    let tags = tags(ctx, options)?;
    if port.is_undefined() || port.is_null() {
        let what = if options.contains_key(PATH)? {
            "; it cannot connect to a Unix socket by its path"
        } else {
            " (is an environment variable not set?)"
        };
        let text = format!(
            "the port is missing: connect({{ port, host }}) was given {} for it{what}",
            port.type_name()
        );
        return Ok(Err((wrong_type(text), tags)));
    }
    Ok(match port_number(&port)? {
        Ok(port) => Ok(ConnectTarget { port, host, tls, tags }),
        Err(failure) => Err((failure, tags)),
    })
}

/// Where other libraries have Unix sockets.
const PATH: &str = "path";

fn wrong_type(text: impl Into<String>) -> SocketFailure {
    SocketFailure::new(Method::Connect, "ERR_INVALID_ARG_TYPE", text)
}

/// A whole number, or a text that JavaScript reads as one. Whether it is a port is for the dialler to say, but no other
/// text may stand for one: an address in its place would be dialled as port 0.
fn port_number(value: &Value<'_>) -> rquickjs::Result<Result<i64, SocketFailure>> {
    if !value.is_string() && !value.is_number() {
        let text = format!("invalid type: expected integer for port, not {}", described(value.type_name()));
        return Ok(Err(wrong_type(text)));
    }
    let text = value.get::<Coerced<String>>()?.0;
    let number = value.get::<Coerced<f64>>().map_or(f64::NAN, |number| number.0);
    // An empty text is 0 to JavaScript.
    if number.fract() == 0.0 && number.abs() < 1e15 && !text.trim().is_empty() {
        return Ok(Ok(number as i64));
    }
    let shown = if value.is_string() { format!("{text:?}") } else { text };
    let text = format!("dial tcp: address {shown}: invalid port: a port is a whole number from 1 to 65535");
    Ok(Err(SocketFailure::new(Method::Connect, "ERR_SOCKET_BAD_PORT", text)))
}

/// Calls `f` with the bytes a value stands for. Binary data ignores the encoding.
pub fn with_bytes<'js, R>(
    ctx: &Ctx<'js>,
    data: Option<&Value<'js>>,
    encoding: Option<&str>,
    f: impl FnOnce(&[u8]) -> R,
) -> rquickjs::Result<Result<R, SocketFailure>> {
    let wrong = || {
        tell_what_is_written(ctx, data);
        let text = "invalid type: String or ArrayBuffer expected";
        SocketFailure::new(Method::Write, "ERR_INVALID_ARG_TYPE", text)
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
            Ok(Err(SocketFailure::new(Method::Write, "ERR_INVALID_ARG_TYPE", text)))
        }
    }
}

/// The reference's text names two of the types; scripts match on it.
fn tell_what_is_written<'js>(ctx: &Ctx<'js>, data: Option<&Value<'js>>) {
    let kind = data.map_or("undefined", Value::type_name);
    if hints::is_due(ctx, &format!("write() {kind}")) {
        let hint = match kind {
            "array" => "new Uint8Array(numbers) makes bytes of an array of numbers",
            "object" => "JSON.stringify(value) makes a text of an object",
            _ => "String(value) makes a text of a value",
        };
        log::warn!(hint = hint; "write() takes a string, an ArrayBuffer, a typed array or a DataView, not {}", described(kind));
    }
}

/// Calls `f` with a string's UTF-8 bytes, without copying them where the engine has them so.
fn with_utf8<'js, R>(ctx: &Ctx<'js>, value: &Value<'js>, f: impl FnOnce(&[u8]) -> R) -> rquickjs::Result<R> {
    let mut length = 0;
    // SAFETY: the context is alive; the pointer is checked, covers `length` bytes, and is freed below after its
    // last use. The closure cannot run script: it only sees bytes.
    unsafe {
        let context = ctx.as_raw().as_ptr();
        let text = rquickjs::qjs::JS_ToCStringLen(context, &mut length, value.as_raw());
        if text.is_null() {
            return Err(rquickjs::Error::Exception);
        }
        let result = f(std::slice::from_raw_parts(text.cast::<u8>(), length));
        rquickjs::qjs::JS_FreeCString(context, text);
        Ok(result)
    }
}

/// `None`: the text's own bytes.
fn decode(text: &[u8], encoding: Option<&str>) -> Result<Option<Vec<u8>>, SocketFailure> {
    let name = encoding.unwrap_or_default();
    let error = |message: String| SocketFailure::new(Method::Write, "ERR_INVALID_ENCODING", message);
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
