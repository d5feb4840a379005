//! What `connect()` of `senary/tcp` takes besides what is documented for `k6/x/tcp`: Unix sockets, the source, the family,
//! a time limit, TLS of its own, the PROXY protocol.

use std::net::IpAddr;
use std::time::Duration;

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::value_text;
use senary_net::proxy_protocol::{ProxyAddress, Version};
use senary_net::{Family, ProxyProtocol};

use super::extended_class::duration;
use super::framing::{field, only_known, text, wrong};
use super::target::{self, ConnectTarget, DEFAULT_HOST, Peer, Refusal};
use super::tls;
use crate::connection::options;

/// For the look-up, TCP and TLS together; also for TLS alone.
pub const TIMEOUT: Duration = Duration::from_secs(30);

const CONNECT_OPTIONS: [&str; 9] =
    ["port", "host", "path", "timeout", "localAddress", "family", "tls", "proxyProtocol", "tags"];

/// `connect(port, host?)` or `connect(options)`. The outer error is a script's exception.
pub fn connect_target<'js>(
    ctx: &Ctx<'js>,
    first: Option<Value<'js>>,
    second: Option<Value<'js>>,
    third: Option<Value<'js>>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    let given = first.as_ref().and_then(Value::as_object);
    let made = match given.filter(|given| !given.is_array() && !given.is_function()) {
        Some(given) => {
            target::tell_of_another_argument(ctx, second.as_ref(), "second");
            with_options(ctx, given)?
        }
        None => target::connect_target(ctx, first, second, third)?,
    };
    Ok(made.map(|mut target| {
        target.timeout.get_or_insert(TIMEOUT);
        target
    }))
}

fn with_options<'js>(
    ctx: &Ctx<'js>,
    given: &Object<'js>,
) -> rquickjs::Result<Result<ConnectTarget, Refusal>> {
    only_known(given, "connect()", &[&CONNECT_OPTIONS])?;
    let tags = options::tags(ctx, given)?;
    let path = field(given, "path")?;
    let peer = match path {
        Some(path) => Peer::Path(unix_path(ctx, given, &path)?),
        None => {
            let port = match target::port_of(given)? {
                Ok(port) => port,
                Err(failure) => return Ok(Err((failure, tags))),
            };
            let host = field(given, "host")?.map(|host| text(&host)).transpose()?.unwrap_or_default();
            let host = if host.is_empty() { DEFAULT_HOST.to_owned() } else { host };
            Peer::Host { host, port }
        }
    };
    let mut target = ConnectTarget::plain(peer, tags);
    target.timeout = field(given, "timeout")?.map(|value| duration(ctx, "timeout", &value)).transpose()?;
    target.local_ip =
        field(given, "localAddress")?.map(|value| ip(ctx, "localAddress", &value)).transpose()?;
    target.family = field(given, "family")?.map(|value| family(ctx, &value)).transpose()?;
    target.tls = field(given, "tls")?.map_or(Ok(None), |value| tls::of_connect(ctx, &value))?;
    target.proxy_protocol =
        field(given, "proxyProtocol")?.map(|value| proxy_protocol(ctx, &value)).transpose()?;
    Ok(Ok(target))
}

/// A path has no port, no address and no family. If both are given, one of them is a mistake.
fn unix_path<'js>(ctx: &Ctx<'js>, given: &Object<'js>, path: &Value<'js>) -> rquickjs::Result<String> {
    for other in ["port", "host", "localAddress", "family"] {
        if field(given, other)?.is_some() {
            return Err(wrong(
                ctx,
                &format!("connect() takes path or {other}, not both: path is a Unix socket"),
            ));
        }
    }
    match text(path)? {
        given if path.is_string() && !given.is_empty() => Ok(given),
        _ => {
            let shown = value_text::shown(ctx, path);
            Err(wrong(ctx, &format!("path is a text such as \"/run/app.sock\" or \"@name\", not {shown}")))
        }
    }
}

fn ip<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<IpAddr> {
    let given = text(value)?;
    let parsed = given.parse::<IpAddr>();
    parsed.map_err(|_| wrong(ctx, &format!("{name} is an IP address such as \"127.0.0.2\", not {given:?}")))
}

fn family<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Family> {
    match value.as_number() {
        Some(4.0) => Ok(Family::Ipv4),
        Some(6.0) => Ok(Family::Ipv6),
        _ => {
            let shown = value_text::shown(ctx, value);
            Err(wrong(ctx, &format!("family is 4 or 6, not {shown}")))
        }
    }
}

fn proxy_protocol<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<ProxyProtocol> {
    let Some(given) = value.as_object() else {
        return Ok(ProxyProtocol { version: version(ctx, value)?, source: None, destination: None });
    };
    only_known(given, "proxyProtocol", &[&["version", "source", "destination"]])?;
    let address = |name| match field(given, name)? {
        None => Ok(None),
        Some(value) => {
            let address = text(&value)?.parse::<ProxyAddress>();
            address.map(Some).map_err(|error| wrong(ctx, &format!("proxyProtocol.{name}: {error}")))
        }
    };
    let version = version(ctx, &given.get("version")?)?;
    Ok(ProxyProtocol { version, source: address("source")?, destination: address("destination")? })
}

fn version<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Version> {
    match value.as_number() {
        Some(1.0) => Ok(Version::V1),
        Some(2.0) => Ok(Version::V2),
        _ => {
            let what = "proxyProtocol is 1, 2, or { version, source, destination } with a version of 1 or 2";
            let shown = value_text::shown(ctx, value);
            Err(wrong(ctx, &format!("{what}; the version given is {shown}")))
        }
    }
}

/// Whether a value stands for `true`, as the options of the documented socket are read.
pub fn is_true(value: &Value<'_>) -> rquickjs::Result<bool> {
    Ok(value.get::<Coerced<bool>>()?.0)
}
