//! TLS of a socket of `senary/tcp`: its settings in place of the test's options, and the sessions that it may resume.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::{Ctx, Object, Value};
use senary_js::native::described;
use senary_js::{userdata, value_text};
use senary_net::{Security, Sessions, TlsOverrides};

use super::connect_options::{TIMEOUT, is_true};
use super::extended_class::duration;
use super::framing::{field, only_known, text, wrong};

const TLS_OPTIONS: [&str; 10] = [
    "servername",
    "alpn",
    "ca",
    "cert",
    "key",
    "password",
    "insecureSkipVerify",
    "minVersion",
    "maxVersion",
    "resume",
];

const VERSIONS: [&str; 2] = ["tls1.2", "tls1.3"];

/// How a connection is to be encrypted; by default as the options of the test say.
pub struct TlsSettings {
    /// For the handshake of `startTls()`; one of `connect()` is within the limit of that.
    pub timeout: Duration,
    servername: Option<String>,
    overrides: TlsOverrides,
    /// The sessions of the VU's earlier connections, if they are to be resumed.
    sessions: Option<Rc<Sessions>>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        let (servername, overrides, sessions) = (None, TlsOverrides::default(), None);
        Self { timeout: TIMEOUT, servername, overrides, sessions }
    }
}

impl TlsSettings {
    pub fn security(&self) -> Security<'_> {
        Security {
            servername: self.servername.as_deref(),
            overrides: &self.overrides,
            sessions: self.sessions.as_deref(),
        }
    }
}

/// The option `tls` of a connect: `true`, or options of its own; `None` for a plain connection.
pub fn of_connect<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<Box<TlsSettings>>> {
    match value.as_object() {
        Some(given) => settings(ctx, given).map(|settings| Some(Box::new(settings))),
        None => Ok(is_true(value)?.then(Box::default)),
    }
}

/// The options of `startTls()`: those of a connect, and how long it may take.
pub fn of_start_tls<'js>(ctx: &Ctx<'js>, given: &Object<'js>) -> rquickjs::Result<TlsSettings> {
    only_known(given, "startTls()", &[&TLS_OPTIONS, &["timeout"]])?;
    let mut settings = read(ctx, given)?;
    if let Some(timeout) = field(given, "timeout")? {
        settings.timeout = duration(ctx, "timeout", &timeout)?;
    }
    Ok(settings)
}

fn settings<'js>(ctx: &Ctx<'js>, given: &Object<'js>) -> rquickjs::Result<TlsSettings> {
    only_known(given, "tls", &[&TLS_OPTIONS])?;
    read(ctx, given)
}

fn read<'js>(ctx: &Ctx<'js>, given: &Object<'js>) -> rquickjs::Result<TlsSettings> {
    let pem = |name| field(given, name)?.map(|value| string(ctx, name, &value)).transpose();
    let overrides = TlsOverrides {
        alpn: field(given, "alpn")?.map_or(Ok(Vec::new()), |value| alpn(ctx, &value))?,
        ca: pem("ca")?,
        cert: pem("cert")?,
        key: pem("key")?,
        password: pem("password")?,
        insecure_skip_verify: field(given, "insecureSkipVerify")?.map(|v| is_true(&v)).transpose()?,
        min_version: version(ctx, given, "minVersion")?,
        max_version: version(ctx, given, "maxVersion")?,
    };
    if overrides.cert.is_some() != overrides.key.is_some() {
        return Err(wrong(ctx, "tls: a client certificate needs both cert and key"));
    }
    if overrides.password.is_some() && overrides.key.is_none() {
        return Err(wrong(
            ctx,
            "tls: password opens the key of a client certificate: give cert and key, too",
        ));
    }
    if let (Some(min), Some(max)) = (&overrides.min_version, &overrides.max_version)
        && min > max
    {
        return Err(wrong(ctx, "tls: minVersion is above maxVersion: no version is left"));
    }
    let resume = field(given, "resume")?.map_or(Ok(false), |value| is_true(&value))?;
    Ok(TlsSettings {
        timeout: TIMEOUT,
        servername: pem("servername")?,
        overrides,
        sessions: resume.then(|| sessions_of_vu(ctx)),
    })
}

fn string<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<String> {
    match value.is_string() {
        true => text(value),
        false => Err(wrong(ctx, &format!("tls: {name} is a text, not {}", described(value.type_name())))),
    }
}

fn alpn<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Vec<String>> {
    let Some(list) = value.as_array() else {
        let shown = value_text::shown(ctx, value);
        return Err(wrong(ctx, &format!("tls: alpn is a list such as [\"h2\"], not {shown}")));
    };
    let names = list.iter().map(|protocol| string(ctx, "each protocol of alpn", &protocol?));
    names
        .map(|name| match name? {
            name if (1..256).contains(&name.len()) => Ok(name),
            name => {
                let text =
                    format!("tls: the name of an ALPN protocol has 1 to 255 bytes, not {}", name.len());
                Err(wrong(ctx, &text))
            }
        })
        .collect()
}

fn version<'js>(ctx: &Ctx<'js>, given: &Object<'js>, name: &str) -> rquickjs::Result<Option<String>> {
    let Some(value) = field(given, name)? else { return Ok(None) };
    let version = text(&value)?;
    match VERSIONS.contains(&version.as_str()) {
        true => Ok(Some(version)),
        false => Err(wrong(ctx, &format!("tls: {name} is \"tls1.2\" or \"tls1.3\", not {version:?}"))),
    }
}

/// The sessions of a VU, kept in its context.
struct VuSessions(Rc<Sessions>);

userdata!(VuSessions);

fn sessions_of_vu(ctx: &Ctx<'_>) -> Rc<Sessions> {
    if let Some(known) = ctx.userdata::<VuSessions>() {
        return known.0.clone();
    }
    let sessions = Rc::<Sessions>::default();
    // Fails only while userdata is being read, which nobody does here.
    let _ = ctx.store_userdata(VuSessions(sessions.clone()));
    sessions
}
