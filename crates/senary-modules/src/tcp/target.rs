//! The peer that a script's `connect()` names.

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::hints;
use senary_js::native::described;

use crate::connection::error::{Method, SocketFailure};
use crate::connection::options::{self, Tags};

/// The peer to connect to.
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
    third: Option<Value<'js>>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    let Some(first) = first.filter(|first| !first.is_undefined()) else {
        let text = "the port is missing: connect(port, host) or connect({ port, host }) was given undefined (is an environment variable not set?)";
        return Ok(Err((wrong_type(text), Tags::new())));
    };
    let as_options = first.as_object().filter(|_| !first.is_array() && !first.is_function());
    if let Some(given) = as_options {
        tell_of_another_argument(ctx, second.as_ref(), "second");
        return with_options(ctx, given);
    }
    tell_of_another_argument(ctx, third.as_ref(), "third");
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

/// What stands behind a whole target has no effect, as in the reference.
fn tell_of_another_argument<'js>(ctx: &Ctx<'js>, argument: Option<&Value<'js>>, place: &str) {
    let is_given = argument.is_some_and(|argument| !argument.is_undefined() && !argument.is_null());
    if is_given && hints::is_due(ctx, &format!("connect() {place} argument")) {
        let hint = "everything can be said in one object: connect({ port, host, tls, tags })";
        log::warn!(hint = hint; "connect() has no {place} argument here, and ignores it");
    }
}

fn with_options<'js>(
    ctx: &Ctx<'js>,
    given: &Object<'js>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    hints::unknown_fields("connect()", given, &["port", "host", "tls", "tags"])?;
    let port: Value<'js> = given.get("port")?;
    let host: Value<'js> = given.get("host")?;
    let host = if host.is_undefined() || host.is_null() {
        DEFAULT_HOST.to_owned()
    } else {
        let host = host.get::<Coerced<String>>()?.0;
        if host.is_empty() { DEFAULT_HOST.to_owned() } else { host }
    };
    let tls = given.get::<_, Coerced<bool>>("tls")?.0;
    let tags = options::tags(ctx, given)?;
    if port.is_undefined() || port.is_null() {
        let what = if given.contains_key(PATH)? {
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
