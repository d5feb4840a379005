//! The response as script sees it: its fields, and what its methods return of the body.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rquickjs::function::{Opt, This};
use rquickjs::object::{Accessor, Property};
use rquickjs::{Array, ArrayBuffer, Class, Coerced, Ctx, Function, Object, Value};
use senary_js::{errors, native, native_class};
use serde_json::Value as Json;

use super::cookie::SetCookie;
use super::flight::{Answer, Sent};
use super::header;
use super::page;
use super::request::{Request, ResponseType};
use super::{constants, gjson};
use crate::go_url::Url;
use crate::html;

/// Longer texts are made when a script first looks at them.
const LAZY_FROM: usize = 16 << 10;

/// The value of a cookie's `expires` if the cookie has none: the zero of Go's times, in milliseconds.
const NO_EXPIRY: f64 = -62_135_596_800_000.0;

/// The property that keeps what `json()` has made.
const MADE: &str = "_json";

pub struct ResponseObject {
    body: Option<Bytes>,
    pub url: String,
    /// Parsed for selectors; `None` if it is not JSON.
    parsed: OnceCell<Option<Rc<Json>>>,
}

native_class!(ResponseObject, "Response", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    let add = |name: &str, method: rquickjs::Result<Function<'js>>| {
        prototype.prop(name, Property::from(method?.with_name(name)?).writable().configurable())
    };
    add("json", native::function(ctx, json))?;
    add("html", native::function(ctx, html))?;
    add("submitForm", native::function(ctx, page::submit_form))?;
    add("clickLink", native::function(ctx, page::click_link))?;
    Ok(prototype)
}

type This_<'js> = This<Class<'js, ResponseObject>>;

/// What script gets of a request that was made.
pub fn of_answer<'js>(ctx: &Ctx<'js>, request: &Request, answer: Answer) -> rquickjs::Result<Value<'js>> {
    let sent = sent(ctx, request, &answer.sent)?;
    make(ctx, answer, request.response_type, sent)
}

/// What script gets of a request that could not be made.
pub fn of_error<'js>(ctx: &Ctx<'js>, code: u16, text: &str) -> rquickjs::Result<Value<'js>> {
    let answer = Answer { error: text.to_owned(), error_code: code, ..Answer::default() };
    let request = Object::new(ctx.clone())?;
    for field in ["method", "url", "body"] {
        request.set(field, "")?;
    }
    request.set("headers", Object::new(ctx.clone())?)?;
    request.set("cookies", Object::new(ctx.clone())?)?;
    make(ctx, answer, ResponseType::Text, request)
}

fn make<'js>(
    ctx: &Ctx<'js>,
    answer: Answer,
    response_type: ResponseType,
    request: Object<'js>,
) -> rquickjs::Result<Value<'js>> {
    let data = ResponseObject { body: answer.body.clone(), url: answer.url.clone(), parsed: OnceCell::new() };
    let response = Class::instance(ctx.clone(), data)?;
    let (ip, port) =
        answer.remote.map_or_else(Default::default, |remote| (remote.ip().to_string(), remote.port()));
    response.set("remote_ip", ip)?;
    response.set("remote_port", port)?;
    response.set("url", answer.url.as_str())?;
    response.set("status", answer.status)?;
    response.set("status_text", answer.status_text.as_str())?;
    response.set("proto", answer.proto)?;
    response.set("headers", headers(ctx, &answer)?)?;
    response.set("cookies", cookies(ctx, &answer.cookies)?)?;
    match (answer.body.clone(), response_type) {
        (None, _) | (_, ResponseType::None) => response.set("body", Value::new_null(ctx.clone()))?,
        (Some(body), ResponseType::Binary) => {
            response.set("body", ArrayBuffer::new_copy(ctx.clone(), &body[..])?)?
        }
        (Some(body), ResponseType::Text) => text(&response, "body", body)?,
    }
    response.set("timings", timings(ctx, &answer)?)?;
    let tls = answer.tls.as_deref();
    response.set("tls_version", tls.map_or("", |tls| tls.version))?;
    response.set("tls_cipher_suite", tls.map_or("", |tls| tls.cipher.as_str()))?;
    response.set("ocsp", ocsp(ctx, tls.is_some())?)?;
    response.set("error", answer.error)?;
    response.set("error_code", answer.error_code)?;
    response.set("request", request)?;
    Ok(response.into_value())
}

/// A text property of an object; a long text is only made when the script reads it.
fn text<'js>(object: &Object<'js>, name: &'static str, bytes: Bytes) -> rquickjs::Result<()> {
    if bytes.len() < LAZY_FROM {
        return object.set(name, String::from_utf8_lossy(&bytes).as_ref());
    }
    let get = move |this: This<Object<'js>>| -> rquickjs::Result<Value<'js>> {
        let text = rquickjs::String::from_str(this.ctx().clone(), &String::from_utf8_lossy(&bytes))?;
        this.0.prop(name, Property::from(text.clone()).writable().enumerable().configurable())?;
        Ok(text.into_value())
    };
    let set = move |this: This<Object<'js>>, value: Value<'js>| {
        this.0.prop(name, Property::from(value).writable().enumerable().configurable())
    };
    object.prop(name, Accessor::new(get, set).enumerable().configurable())
}

/// The headers by their usual names, those of one name together; without those about how the body was sent.
fn headers<'js>(ctx: &Ctx<'js>, answer: &Answer) -> rquickjs::Result<Object<'js>> {
    let is_chunked = answer.headers.contains("transfer-encoding");
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in answer.headers.iter() {
        let name = header::canonical(name);
        match name.as_str() {
            "Transfer-Encoding" | "Trailer" => continue,
            "Content-Length" if is_chunked => continue,
            _ => {}
        }
        match joined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.push_str(", ");
                known.push_str(value);
            }
            None => joined.push((name, value.to_owned())),
        }
    }
    let object = Object::new(ctx.clone())?;
    for (name, value) in joined {
        object.set(name, value)?;
    }
    Ok(object)
}

fn cookies<'js>(ctx: &Ctx<'js>, cookies: &[SetCookie]) -> rquickjs::Result<Object<'js>> {
    let by_name = Object::new(ctx.clone())?;
    for cookie in cookies {
        let object = Object::new(ctx.clone())?;
        object.set("name", cookie.name.as_str())?;
        object.set("value", cookie.value.as_str())?;
        object.set("domain", cookie.domain.as_str())?;
        object.set("path", cookie.path.as_str())?;
        object.set("http_only", cookie.http_only)?;
        object.set("secure", cookie.secure)?;
        object.set("max_age", cookie.max_age as f64)?;
        object.set("expires", cookie.expires.map_or(NO_EXPIRY, |ms| ms as f64))?;
        add_to_list(ctx, &by_name, &cookie.name, object.into_value())?;
    }
    Ok(by_name)
}

fn add_to_list<'js>(
    ctx: &Ctx<'js>,
    lists: &Object<'js>,
    name: &str,
    value: Value<'js>,
) -> rquickjs::Result<()> {
    match lists.get::<_, Option<Array<'js>>>(name)? {
        Some(list) => list.set(list.len(), value),
        None => {
            let list = Array::new(ctx.clone())?;
            list.set(0, value)?;
            lists.set(name, list)
        }
    }
}

fn timings<'js>(ctx: &Ctx<'js>, answer: &Answer) -> rquickjs::Result<Object<'js>> {
    let of = &answer.timings;
    let timings = Object::new(ctx.clone())?;
    for (name, duration) in [
        ("duration", of.duration()),
        ("blocked", of.blocked),
        ("looking_up", of.looking_up),
        ("connecting", of.connecting),
        ("tls_handshaking", of.tls_handshaking),
        ("sending", of.sending),
        ("waiting", of.waiting),
        ("receiving", of.receiving),
    ] {
        timings.set(name, milliseconds(duration))?;
    }
    Ok(timings)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn ocsp<'js>(ctx: &Ctx<'js>, is_secure: bool) -> rquickjs::Result<Object<'js>> {
    let ocsp = Object::new(ctx.clone())?;
    for time in ["produced_at", "this_update", "next_update", "revoked_at"] {
        ocsp.set(time, 0)?;
    }
    ocsp.set("revocation_reason", "")?;
    ocsp.set("status", if is_secure { constants::OCSP_UNKNOWN } else { "" })?;
    Ok(ocsp)
}

fn sent<'js>(ctx: &Ctx<'js>, request: &Request, sent: &Sent) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("method", request.method.as_str())?;
    object.set("url", request.url.to_string())?;
    let headers = Object::new(ctx.clone())?;
    for (name, value) in &sent.headers {
        headers.set(name.as_str(), vec![value.as_str()])?;
    }
    object.set("headers", headers)?;
    text(&object, "body", request.body.clone())?;
    let cookies = Object::new(ctx.clone())?;
    for cookie in &sent.cookies {
        let entry = Object::new(ctx.clone())?;
        entry.set("name", cookie.name.as_str())?;
        entry.set("value", cookie.value.as_str())?;
        entry.set("replace", cookie.replace)?;
        add_to_list(ctx, &cookies, &cookie.name, entry.into_value())?;
    }
    object.set("cookies", cookies)?;
    Ok(object)
}

impl ResponseObject {
    fn body(&self, ctx: &Ctx<'_>, into: &str) -> rquickjs::Result<Bytes> {
        self.body.clone().ok_or_else(|| {
            let text = format!(
                "the body is null so we can't transform it to {into} - this likely was because of a request error getting the response"
            );
            errors::throw_go_error(ctx, &text)
        })
    }

    fn parsed(&self, body: &[u8]) -> Option<Rc<Json>> {
        self.parsed.get_or_init(|| serde_json::from_slice(body).ok().map(Rc::new)).clone()
    }

    /// The URL of the document, for the links in it.
    pub fn join(&self, ctx: &Ctx<'_>, reference: &str) -> rquickjs::Result<String> {
        let joined = Url::parse(&self.url).and_then(|url| url.join(reference));
        joined.map(|url| url.to_string()).map_err(|error| errors::throw_go_error(ctx, &error.to_string()))
    }
}

fn json<'js>(ctx: Ctx<'js>, this: This_<'js>, selector: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let selector = selector.0.filter(|selector| !selector.is_undefined() && !selector.is_null());
    let body = this.0.borrow().body(&ctx, "JSON")?;
    let Some(selector) = selector else { return whole_json(&ctx, &this.0, &body) };
    let selector = selector.get::<Coerced<String>>()?.0;
    let found = this.0.borrow().parsed(&body).and_then(|json| gjson::get(&json, &selector));
    match found {
        Some(value) => ctx.json_parse(value.to_string()),
        None => Ok(Value::new_undefined(ctx)),
    }
}

fn whole_json<'js>(
    ctx: &Ctx<'js>,
    response: &Class<'js, ResponseObject>,
    body: &Bytes,
) -> rquickjs::Result<Value<'js>> {
    if response.contains_key(MADE)? {
        return response.get(MADE);
    }
    match ctx.json_parse(&body[..]) {
        Ok(value) => {
            response.prop(MADE, Property::from(value.clone()).configurable())?;
            Ok(value)
        }
        Err(rquickjs::Error::Exception) => {
            let thrown = ctx.catch();
            if thrown.is_uncatchable_error() {
                return Err(ctx.throw(thrown));
            }
            let text = match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
                Err(error) => format!(
                    "cannot parse json due to an error at line {}, character {} , error: {error}",
                    error.line(),
                    error.column()
                ),
                Ok(_) => senary_js::value_text::to_text(ctx, &thrown),
            };
            Err(errors::throw_go_error(ctx, &text))
        }
        Err(error) => Err(error),
    }
}

fn html<'js>(ctx: Ctx<'js>, this: This_<'js>, selector: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    document(&ctx, &this.0, selector.0)
}

/// The document in a response, or what a selector finds in it.
pub fn document<'js>(
    ctx: &Ctx<'js>,
    response: &Class<'js, ResponseObject>,
    selector: Option<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let body = response.borrow().body(ctx, "HTML")?;
    let selection = html::selection(ctx, &String::from_utf8_lossy(&body), "html()")?;
    match selector.filter(|selector| !selector.is_undefined() && !selector.is_null()) {
        None => Ok(selection),
        Some(selector) => {
            let object = selection.get::<Object<'js>>()?;
            object.get::<_, Function<'js>>("find")?.call((This(object), selector))
        }
    }
}
