//! The `params` of a request: every key that the reference knows. What it ignores without a word is ignored, too, and a
//! warning says so.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::{Class, Coerced, Ctx, Object, Value};
use senary_js::{go_type, hints, properties};
use senary_words::duration;

use super::compression;
use super::header;
use super::jar_class::JarObject;
use super::request::{Auth, NoRequest, Request, RequestCookie, ResponseType};
use super::statuses;
use crate::go_value;

pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest timeout (about 30 years); longer ones are cut.
const LONGEST: f64 = 1e9;

/// How warnings name what was given the params.
const CALL: &str = "a request of k6/http";

const KNOWN: [&str; 11] = [
    "headers",
    "tags",
    "cookies",
    "jar",
    "compression",
    "redirects",
    "auth",
    "timeout",
    "throw",
    "responseType",
    "responseCallback",
];

/// Reads the params into a request that has its defaults.
pub fn read<'js>(ctx: &Ctx<'js>, params: &Object<'js>, request: &mut Request) -> Result<(), NoRequest> {
    for entry in properties::entries(params) {
        let (key, value) = entry?;
        let is_nothing = value.is_null() || value.is_undefined();
        match key.as_str() {
            // The reference skips null and undefined for these four only. For all other params it converts them: a timeout of null is an error.
            "headers" | "cookies" | "jar" | "tags" if is_nothing => {}
            "responseCallback" if is_nothing => request.expected = None,
            "responseCallback" => {
                request.expected = statuses::callback_of(&value)
                    .map_err(|()| NoRequest::from("unsupported responseCallback".to_owned()))?;
            }
            "headers" => read_headers(ctx, &value, request)?,
            "cookies" => read_cookies(ctx, &value, request)?,
            "jar" => match value.as_object().and_then(Class::<JarObject>::from_object) {
                Some(jar) => request.jar = jar.borrow().jar(),
                None => hints::unusable_value(ctx, CALL, "jar", &value, "{ jar: new http.CookieJar() }"),
            },
            "compression" => read_compression(&text(&value)?, request)?,
            "redirects" => request.redirects = Some(whole(&value)?.clamp(0, i64::from(u32::MAX)) as u32),
            "tags" => read_tags(ctx, &value, request)?,
            "auth" => {
                request.auth = match text(&value)?.as_str() {
                    "digest" => Auth::Digest,
                    "ntlm" => Auth::Ntlm,
                    "basic" | "" => Auth::Basic,
                    _ if is_nothing => Auth::Basic,
                    _ => {
                        let instead = "\"basic\", \"digest\" or \"ntlm\"";
                        hints::unusable_value(ctx, CALL, "auth", &value, instead);
                        Auth::Basic
                    }
                }
            }
            "timeout" => request.timeout = read_timeout(&value)?,
            "throw" => request.throw = value.get::<Coerced<bool>>()?.0,
            "responseType" => {
                let name = text(&value)?;
                request.response_type = match name.as_str() {
                    "text" => ResponseType::Text,
                    "binary" => ResponseType::Binary,
                    "none" => ResponseType::None,
                    _ => return Err(format!("{name} does not belong to ResponseType values").into()),
                }
            }
            unknown => hints::unknown_field(ctx, CALL, unknown, &KNOWN),
        }
    }
    Ok(())
}

fn text(value: &Value<'_>) -> rquickjs::Result<String> {
    Ok(value.get::<Coerced<String>>()?.0)
}

fn whole(value: &Value<'_>) -> rquickjs::Result<i64> {
    Ok(value.get::<Coerced<f64>>()?.0 as i64)
}

fn read_headers<'js>(ctx: &Ctx<'js>, value: &Value<'js>, request: &mut Request) -> Result<(), NoRequest> {
    let Some(headers) = value.as_object() else {
        hints::unusable_value(ctx, CALL, "headers", value, "{ headers: { Accept: \"text/html\" } }");
        return Ok(());
    };
    for entry in properties::entries(headers) {
        let (name, value) = entry?;
        let value = text(&value)?;
        header::set(Rc::make_mut(&mut request.headers), &header::canonical(&name), value);
    }
    Ok(())
}

fn read_cookies<'js>(ctx: &Ctx<'js>, value: &Value<'js>, request: &mut Request) -> Result<(), NoRequest> {
    let Some(cookies) = value.as_object() else {
        hints::unusable_value(ctx, CALL, "cookies", value, "{ cookies: { user: \"ann\" } }");
        return Ok(());
    };
    for entry in properties::entries(cookies) {
        let (name, value) = entry?;
        if value.is_null() || value.is_undefined() {
            continue;
        }
        let cookie = match value.as_object().filter(|_| go_value::is_object(&value)) {
            Some(object) => described_cookie(ctx, name, object)?,
            None => RequestCookie { name, value: text(&value)?, replace: false },
        };
        request.cookies.push(cookie);
    }
    Ok(())
}

/// `{ value: "x", replace: true }`, in letters of any size. A cookie without a value has an empty one.
fn described_cookie<'js>(
    ctx: &Ctx<'js>,
    name: String,
    object: &Object<'js>,
) -> rquickjs::Result<RequestCookie> {
    const FIELDS: [&str; 2] = ["value", "replace"];
    let mut cookie = RequestCookie { name, value: String::new(), replace: false };
    for entry in properties::entries(object) {
        let (field, value) = entry?;
        match field.to_lowercase().as_str() {
            "value" => cookie.value = text(&value)?,
            "replace" => cookie.replace = value.get::<Coerced<bool>>()?.0,
            _ => hints::unknown_field(ctx, "a cookie of a request", &field, &FIELDS),
        }
    }
    Ok(cookie)
}

fn read_compression(names: &str, request: &mut Request) -> Result<(), NoRequest> {
    if names.trim().is_empty() {
        return Ok(());
    }
    request.compression = compression::parse_list(names).map_err(|name| {
        format!("unknown compression algorithm {name}, supported algorithms are [gzip deflate zstd br]")
    })?;
    Ok(())
}

fn read_tags<'js>(ctx: &Ctx<'js>, value: &Value<'js>, request: &mut Request) -> Result<(), NoRequest> {
    match crate::metrics::tags_of(ctx, value, String::new) {
        Ok(tags) => request.tags = tags,
        Err(rquickjs::Error::Exception) => {
            let thrown = ctx.catch();
            if thrown.is_uncatchable_error() {
                return Err(ctx.throw(thrown).into());
            }
            let text = thrown.as_exception().and_then(rquickjs::Exception::message).unwrap_or_default();
            return Err(format!("invalid HTTP request metric tags: {text}").into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn read_timeout(value: &Value<'_>) -> Result<Duration, NoRequest> {
    if let Some(text) = value.as_string() {
        let text = text.to_string()?;
        let nanos = duration::parse_extended(&text);
        let nanos = nanos.map_err(|error| format!("invalid timeout value: {error}"))?;
        return Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()));
    }
    match value.as_number() {
        Some(milliseconds) if !milliseconds.is_nan() => {
            Ok(Duration::from_secs_f64((milliseconds / 1e3).clamp(0.0, LONGEST)))
        }
        _ => {
            let kind = go_type::go_type(value);
            Err(format!("invalid timeout value: unable to use type {kind} as a duration value").into())
        }
    }
}
