//! The response as script sees it: its fields, and what its methods return of the body.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use rquickjs::function::{Opt, This};
use rquickjs::object::Property;
use rquickjs::{Array, ArrayBuffer, Class, Coerced, Ctx, Function, Object, Value};
use senary_js::lazy::{self, Lazy};
use senary_js::memory::{self, Charge};
use senary_js::model::{Field, Model};
use senary_js::vu::core::VuCore;
use senary_js::{errors, native, native_class};
use senary_net::{OcspStatus, TlsInfo};
use serde_json::Value as Json;

use super::constants;
use super::cookie::SetCookie;
use super::flight::{Answer, Flight};
use super::gjson::{self, Ended, Search};
use super::header;
use super::json_error;
use super::page;
use super::request::ResponseType;
use crate::go_url::Url;
use crate::html;

/// The value of a cookie's `expires` if the cookie has none: the zero of Go's times, in milliseconds.
const NO_EXPIRY: f64 = -62_135_596_800_000.0;

/// The property that keeps what `json()` has made.
const MADE: &str = "_json";

/// Roughly, in bytes: what a response takes besides its body and its headers.
const OVERHEAD: usize = 1024;

/// A response. Most of its properties are made of it when a script first looks at them.
#[derive(Default)]
pub struct ResponseObject {
    answer: Answer,
    /// What it answers; `None` if the request could not be made.
    flight: Option<Rc<Flight>>,
    /// Parsed for selectors; `None` if it is not JSON.
    parsed: OnceCell<Option<Parsed>>,
    /// What is kept here counts as the script's memory, until the script has a copy of its own.
    charge: Cell<Option<Charge>>,
}

struct Parsed {
    json: Json,
    _charge: Option<Charge>,
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

/// The properties of a response, in their order. Those that are `None` here are set at once: a number needs no memory.
static FIELDS: [(&str, Option<Lazy>); 16] = {
    const fn made(make: lazy::MakeOf) -> Option<Lazy> {
        Some(Lazy::of_object(make))
    }
    [
        (
            "remote_ip",
            made(|this| text(this, |of| of.answer.remote.map_or_else(String::new, |at| at.ip().to_string()))),
        ),
        ("remote_port", None),
        ("url", made(|this| text(this, |of| of.answer.url.to_string()))),
        ("status", None),
        ("status_text", made(|this| text(this, |of| of.answer.status_text()))),
        ("proto", made(|this| text(this, |of| of.answer.proto.to_owned()))),
        ("headers", made(|this| of(this, |of| headers(this.ctx(), &of.answer)))),
        ("cookies", made(|this| of(this, |of| cookies(this.ctx(), &of.answer)))),
        ("body", made(|this| of(this, |of| body(this.ctx(), of)))),
        ("timings", made(|this| of(this, |of| timings(this.ctx(), &of.answer)))),
        ("tls_version", made(|this| text(this, |of| of.tls(|tls| tls.version)))),
        ("tls_cipher_suite", made(|this| text(this, |of| of.tls(|tls| &tls.cipher)))),
        ("ocsp", made(|this| of(this, |of| ocsp(this.ctx(), of.answer.tls.as_deref())))),
        ("error", made(|this| text(this, |of| of.answer.error.clone()))),
        ("error_code", None),
        ("request", made(|this| of(this, |of| request(this.ctx(), of)))),
    ]
};

/// Where in the list the numbers are.
const PORT: usize = 1;
const STATUS: usize = 3;
const ERROR_CODE: usize = 14;

static RESPONSE: Model = Model::new(|ctx| {
    let object = Class::instance(ctx.clone(), ResponseObject::default())?.into_inner();
    for (name, value) in &FIELDS {
        match value {
            Some(value) => lazy::property(&object, name, value)?,
            None => object.set(*name, 0)?,
        }
    }
    Ok(object)
});

/// Makes a property of a response.
fn of<'js>(
    object: &Object<'js>,
    make: impl FnOnce(&ResponseObject) -> rquickjs::Result<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    match Class::<ResponseObject>::from_object(object) {
        Some(response) => make(&response.borrow()),
        None => Ok(Value::new_undefined(object.ctx().clone())),
    }
}

fn text<'js>(
    object: &Object<'js>,
    make: impl FnOnce(&ResponseObject) -> String,
) -> rquickjs::Result<Value<'js>> {
    of(object, |response| js_text(object.ctx(), &make(response)))
}

fn js_text<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Value<'js>> {
    Ok(rquickjs::String::from_str(ctx.clone(), text)?.into_value())
}

/// What script gets of a request that was made.
pub fn of_answer<'js>(ctx: &Ctx<'js>, flight: &Rc<Flight>, answer: Answer) -> rquickjs::Result<Value<'js>> {
    let size = OVERHEAD + answer.headers.size() + answer.body.as_ref().map_or(0, Bytes::len);
    let charge = Cell::new(Some(flight.vu.memory.charge(size)));
    make(ctx, ResponseObject { answer, flight: Some(flight.clone()), charge, ..ResponseObject::default() })
}

/// What script gets of a request that could not be made.
pub fn of_error<'js>(ctx: &Ctx<'js>, code: u16, text: &str) -> rquickjs::Result<Value<'js>> {
    let answer = Answer { error: text.to_owned(), error_code: code, ..Answer::default() };
    make(ctx, ResponseObject { answer, ..ResponseObject::default() })
}

fn make<'js>(ctx: &Ctx<'js>, response: ResponseObject) -> rquickjs::Result<Value<'js>> {
    let number = |number: u16| Field::Int(i32::from(number));
    let Answer { status, error_code, remote, .. } = &response.answer;
    let port = number(remote.map_or(0, |remote| remote.port()));
    let (status, error_code) = (number(*status), number(*error_code));
    let object = Class::instance(ctx.clone(), response)?.into_inner();
    // The others are made when they are needed.
    let mut values = [const { Field::OfModel }; FIELDS.len()];
    (values[PORT], values[STATUS], values[ERROR_CODE]) = (port, status, error_code);
    RESPONSE.fill(&object, values)?;
    Ok(object.into_value())
}

fn body<'js>(ctx: &Ctx<'js>, response: &ResponseObject) -> rquickjs::Result<Value<'js>> {
    let response_type = response.flight.as_ref().map(|flight| flight.request.response_type);
    let value = match (&response.answer.body, response_type.unwrap_or_default()) {
        (None, _) | (_, ResponseType::None) => Value::new_null(ctx.clone()),
        (Some(body), ResponseType::Binary) => ArrayBuffer::new_copy(ctx.clone(), &body[..])?.into_value(),
        (Some(body), ResponseType::Text) => js_text(ctx, &String::from_utf8_lossy(body))?,
    };
    response.charge.take();
    Ok(value)
}

/// The headers by their usual names, those of one name together; without those about how the body was sent.
fn headers<'js>(ctx: &Ctx<'js>, answer: &Answer) -> rquickjs::Result<Value<'js>> {
    let is_chunked = answer.headers.contains("transfer-encoding");
    let mut joined: Vec<(String, Cow<'_, str>)> = Vec::with_capacity(answer.headers.len());
    // A server may send hundreds of thousands of them.
    let mut places: HashMap<String, usize> = HashMap::new();
    for (name, value) in answer.headers.iter() {
        let name = header::canonical(name);
        match name.as_str() {
            "Transfer-Encoding" | "Trailer" => continue,
            "Content-Length" if is_chunked => continue,
            _ => {}
        }
        match places.get(&name) {
            Some(at) => {
                let known = joined[*at].1.to_mut();
                known.push_str(", ");
                known.push_str(value);
            }
            None => {
                places.insert(name.clone(), joined.len());
                joined.push((name, value.into()));
            }
        }
    }
    let object = Object::new(ctx.clone())?;
    for (name, value) in &joined {
        object.set(name.as_str(), &**value)?;
    }
    Ok(object.into_value())
}

fn cookies<'js>(ctx: &Ctx<'js>, answer: &Answer) -> rquickjs::Result<Value<'js>> {
    let by_name = Object::new(ctx.clone())?;
    for cookie in answer.headers.all("set-cookie").filter_map(SetCookie::parse) {
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
    Ok(by_name.into_value())
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

static TIMINGS: Model = Model::new(|ctx| {
    let timings = Object::new(ctx.clone())?;
    for name in [
        "duration",
        "blocked",
        "looking_up",
        "connecting",
        "tls_handshaking",
        "sending",
        "waiting",
        "receiving",
    ] {
        timings.set(name, 0)?;
    }
    Ok(timings)
});

fn timings<'js>(ctx: &Ctx<'js>, answer: &Answer) -> rquickjs::Result<Value<'js>> {
    let of = &answer.timings;
    let steps = [
        of.duration(),
        of.blocked,
        of.looking_up,
        of.connecting,
        of.tls_handshaking,
        of.sending,
        of.waiting,
        of.receiving,
    ];
    let milliseconds = steps.map(|duration| Field::Float(duration.as_secs_f64() * 1e3));
    TIMINGS.object(ctx, milliseconds).map(Object::into_value)
}

fn ocsp<'js>(ctx: &Ctx<'js>, tls: Option<&TlsInfo>) -> rquickjs::Result<Value<'js>> {
    let stapled = tls.and_then(|tls| tls.ocsp);
    let (revoked_at, reason) = match stapled.map(|stapled| stapled.status) {
        Some(OcspStatus::Revoked { at, reason }) => (at, constants::ocsp_reason(reason)),
        _ => (0, ""),
    };
    let ocsp = Object::new(ctx.clone())?;
    for (name, time) in [
        ("produced_at", stapled.map_or(0, |stapled| stapled.produced_at)),
        ("this_update", stapled.map_or(0, |stapled| stapled.this_update)),
        ("next_update", stapled.and_then(|stapled| stapled.next_update).unwrap_or(0)),
        ("revoked_at", revoked_at),
    ] {
        ocsp.set(name, time as f64)?;
    }
    ocsp.set("revocation_reason", reason)?;
    ocsp.set("status", tls.map_or("", constants::ocsp_status))?;
    Ok(ocsp.into_value())
}

/// What was sent.
fn request<'js>(ctx: &Ctx<'js>, response: &ResponseObject) -> rquickjs::Result<Value<'js>> {
    let made = response.flight.as_ref().map(|flight| &flight.request);
    let object = Object::new(ctx.clone())?;
    object.set("method", made.map_or("", |request| &request.method))?;
    object.set("url", made.map_or("", |request| request.url.text()))?;
    let headers = Object::new(ctx.clone())?;
    for (name, value) in response.answer.sent.headers.iter() {
        headers.set(name.as_str(), vec![value.as_str()])?;
    }
    object.set("headers", headers)?;
    object.set("body", String::from_utf8_lossy(made.map_or(&[], |request| &request.body)).as_ref())?;
    let cookies = Object::new(ctx.clone())?;
    for cookie in &response.answer.sent.cookies {
        let entry = Object::new(ctx.clone())?;
        entry.set("name", cookie.name.as_str())?;
        entry.set("value", cookie.value.as_str())?;
        entry.set("replace", cookie.replace)?;
        add_to_list(ctx, &cookies, &cookie.name, entry.into_value())?;
    }
    object.set("cookies", cookies)?;
    Ok(object.into_value())
}

impl ResponseObject {
    fn body(&self, ctx: &Ctx<'_>, into: &str) -> rquickjs::Result<Bytes> {
        self.answer.body.clone().ok_or_else(|| {
            let text = format!(
                "the body is null so we can't transform it to {into} - this likely was because of a request error getting the response"
            );
            errors::throw_go_error(ctx, &text)
        })
    }

    fn tls<'a>(&'a self, part: impl FnOnce(&'a TlsInfo) -> &'a str) -> String {
        self.answer.tls.as_deref().map_or_else(String::new, |tls| part(tls).to_owned())
    }

    fn vu(&self) -> Option<&Rc<VuCore>> {
        self.flight.as_ref().map(|flight| &flight.vu)
    }

    /// The body; `None` if it is not JSON, or the search has ended.
    fn parsed(&self, search: &Search<'_>, body: &[u8]) -> Option<&Json> {
        if self.parsed.get().is_none() {
            let before = search.room();
            let json = search.read(body);
            if search.ended().is_some() {
                return None;
            }
            let size = before.saturating_sub(search.room());
            let _charge = self.vu().map(|vu| vu.memory.charge(size));
            // From here on it counts as the script's.
            search.give_back(size);
            let _ = self.parsed.set(json.map(|json| Parsed { json, _charge }));
        }
        self.parsed.get()?.as_ref().map(|parsed| &parsed.json)
    }

    /// The JSON of what a selector finds in the body.
    fn selected(&self, search: &Search<'_>, body: &[u8], selector: &str) -> Option<String> {
        let found = gjson::get(search, self.parsed(search, body)?, selector)?;
        search.text_of(&found)
    }

    /// The URL of the document, for the links in it.
    pub fn join(&self, ctx: &Ctx<'_>, reference: &str) -> rquickjs::Result<String> {
        let joined = Url::parse(&self.answer.url).and_then(|url| url.join(reference));
        joined.map(|url| url.to_string()).map_err(|error| errors::throw_go_error(ctx, &error.to_string()))
    }
}

fn json<'js>(ctx: Ctx<'js>, this: This_<'js>, selector: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let body = this.0.borrow().body(&ctx, "JSON")?;
    let Some(selector) = selector.0 else { return whole_json(&ctx, &this.0, &body) };
    // A selector that is given, but is nothing, selects nothing, as in the reference.
    if selector.is_undefined() || selector.is_null() {
        return Ok(Value::new_undefined(ctx));
    }
    let selector = selector.get::<Coerced<String>>()?.0;
    let vu = this.0.borrow().vu().cloned();
    let room = vu.as_ref().map_or(memory::DEFAULT_LIMIT, |vu| vu.memory.limit().0);
    let may_go_on = || vu.as_ref().is_none_or(|vu| !vu.must_stop());
    let search = Search::new(room, &may_go_on);
    let found = this.0.borrow().selected(&search, &body, &selector);
    match (search.ended(), found) {
        (Some(Ended::Stopped), _) => Err(errors::throw_uncatchable(&ctx, "interrupted")),
        (Some(Ended::TooLarge), _) => {
            let text = "json(): the selector takes more memory than --vu-memory-limit allows";
            Err(errors::throw_range_error(&ctx, text))
        }
        (None, Some(json)) => ctx.json_parse(json),
        (None, None) => Ok(Value::new_undefined(ctx)),
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
            let text =
                json_error::describe(body).unwrap_or_else(|| senary_js::value_text::to_text(ctx, &thrown));
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
