//! The peer that a script's `connect()` names.

use std::net::IpAddr;
use std::time::Duration;

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::hints;
use senary_js::native::described;
use senary_net::{DialOptions, Family, ProxyProtocol, Target};

use super::extended::Settings;
use super::tls::TlsSettings;
use crate::connection::error::{Method, SocketFailure};
use crate::connection::options::{self, Tags};

/// The peer to connect to, and how.
pub struct ConnectTarget {
    pub peer: Peer,
    /// `None`: plain.
    pub tls: Option<Box<TlsSettings>>,
    pub tags: Tags,
    /// The rest is given by sockets of `senary/tcp` only.
    pub timeout: Option<Duration>,
    pub local_ip: Option<IpAddr>,
    pub family: Option<Family>,
    pub proxy_protocol: Option<ProxyProtocol>,
}

pub enum Peer {
    Host {
        host: String,
        port: i64,
    },
    /// A Unix socket.
    Path(String),
}

impl Peer {
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::Host { host, port } => Target::Host { host, port: *port },
            Self::Path(path) => Target::Path(path),
        }
    }
}

impl ConnectTarget {
    /// As the options of the test say, and not encrypted.
    pub fn plain(peer: Peer, tags: Tags) -> Self {
        let (tls, timeout, local_ip, family, proxy_protocol) = (None, None, None, None, None);
        Self { peer, tls, tags, timeout, local_ip, family, proxy_protocol }
    }

    /// `settings` are those of a socket of `senary/tcp`; `local_ip` is the VU's address, where the script gives none.
    pub fn dial_options(&self, settings: Option<&Settings>, local_ip: Option<IpAddr>) -> DialOptions<'_> {
        let local_ip = match self.peer {
            Peer::Host { .. } => self.local_ip.or(local_ip),
            Peer::Path(_) => None,
        };
        DialOptions {
            tls: self.tls.as_ref().map(|tls| tls.security()),
            local_ip,
            family: self.family,
            timeout: self.timeout,
            no_delay: settings.is_none_or(|settings| settings.no_delay),
            receive_buffer: settings.and_then(|settings| settings.receive_buffer),
            send_buffer: settings.and_then(|settings| settings.send_buffer),
            proxy_protocol: self.proxy_protocol,
        }
    }
}

pub const DEFAULT_HOST: &str = "localhost";

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
    Ok(Ok(ConnectTarget::plain(Peer::Host { host, port }, Tags::new())))
}

/// Arguments after a complete target have no effect, as in the reference.
pub fn tell_of_another_argument<'js>(ctx: &Ctx<'js>, argument: Option<&Value<'js>>, place: &str) {
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
    let host: Value<'js> = given.get("host")?;
    let host = if host.is_undefined() || host.is_null() {
        DEFAULT_HOST.to_owned()
    } else {
        let host = host.get::<Coerced<String>>()?.0;
        if host.is_empty() { DEFAULT_HOST.to_owned() } else { host }
    };
    let tls = given.get::<_, Coerced<bool>>("tls")?.0;
    let tags = options::tags(ctx, given)?;
    Ok(match port_of(given)? {
        Ok(port) => {
            let mut target = ConnectTarget::plain(Peer::Host { host, port }, tags);
            target.tls = tls.then(Box::default);
            Ok(target)
        }
        Err(failure) => Err((failure, tags)),
    })
}

/// The port of an options object.
pub fn port_of(given: &Object<'_>) -> rquickjs::Result<Result<i64, SocketFailure>> {
    let port: Value<'_> = given.get("port")?;
    if !port.is_undefined() && !port.is_null() {
        return port_number(&port);
    }
    let what = if given.contains_key(PATH)? {
        "; a Unix socket is connected to by the Socket of \"senary/tcp\", with the same path"
    } else {
        " (is an environment variable not set?)"
    };
    let text =
        format!("the port is missing: connect({{ port, host }}) was given {} for it{what}", port.type_name());
    Ok(Err(wrong_type(text)))
}

/// Where other libraries have Unix sockets.
const PATH: &str = "path";

fn wrong_type(text: impl Into<String>) -> SocketFailure {
    SocketFailure::new(Method::Connect, "ERR_INVALID_ARG_TYPE", text)
}

/// A whole number, or a text that JavaScript reads as one. The dialler checks whether it is a valid port, but no other
/// text may be read as one: otherwise an address in its place would be dialled as port 0.
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
