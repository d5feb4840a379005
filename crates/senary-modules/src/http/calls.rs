//! The calls that make one request: `get()` and its like, `request()`, `asyncRequest()`.

use std::rc::Rc;

use rquickjs::function::{Opt, Rest};
use rquickjs::{Coerced, Ctx, Function, Object, Value};
use senary_js::source::stack;
use senary_js::vu::core::{VuCore, vu_of};
use senary_js::{errors, hints, native, promise};
use senary_metrics::{Details, FailureId, FailureKind};

use super::books::Tags;
use super::flight::{Answer, Flight};
use super::pending::Pending;
use super::request::{Arguments, BadRequest, NoRequest, Request};
use super::response;
use super::state::HttpState;

const IN_INIT: &str = "Making http requests in the init context is not supported";

/// The functions named after methods, and whether each takes a body.
const METHODS: [(&str, &str, bool); 7] = [
    ("get", "GET", false),
    ("head", "HEAD", false),
    ("post", "POST", true),
    ("put", "PUT", true),
    ("patch", "PATCH", true),
    ("del", "DELETE", true),
    ("options", "OPTIONS", true),
];

pub fn install<'js>(ctx: &Ctx<'js>, module: &Object<'js>) -> rquickjs::Result<()> {
    for (name, method, has_body) in METHODS {
        let call = move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| {
            let mut arguments = arguments.0.into_iter();
            let url = arguments.next();
            let body = if has_body { arguments.next() } else { None };
            let params = arguments.next();
            if arguments.next().is_some_and(|more| !more.is_undefined() && !more.is_null()) {
                tell_of_another_argument(&ctx, name, has_body);
            }
            perform(&ctx, &Arguments { method: method.into(), url, body, params })
        };
        module.set(name, native::function(ctx, call)?.with_name(name)?)?;
    }
    let add =
        |name: &str, function: rquickjs::Result<Function<'js>>| module.set(name, function?.with_name(name)?);
    add("request", native::function(ctx, request))?;
    add("asyncRequest", native::function(ctx, async_request))
}

/// An argument after the params has no effect, as in the reference.
fn tell_of_another_argument(ctx: &Ctx<'_>, name: &str, has_body: bool) {
    let (place, all) = if has_body { ("fourth", "url, body, params") } else { ("third", "url, params") };
    if hints::is_due(ctx, &format!("http.{name}() {place} argument")) {
        let hint = format!("write http.{name}({all})");
        log::warn!(hint = hint.as_str(); "http.{name}() has no {place} argument, and ignores it");
    }
}

pub fn request<'js>(
    ctx: Ctx<'js>,
    method: Opt<Value<'js>>,
    url: Opt<Value<'js>>,
    body: Opt<Value<'js>>,
    params: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    perform(&ctx, &arguments(method.0, url.0, body.0, params.0)?)
}

fn async_request<'js>(
    ctx: Ctx<'js>,
    method: Opt<Value<'js>>,
    url: Opt<Value<'js>>,
    body: Opt<Value<'js>>,
    params: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let vu = vu_in_use(&ctx, IN_INIT)?;
    let arguments = arguments(method.0, url.0, body.0, params.0)?;
    match flight(&ctx, &vu, &arguments)? {
        Ok(flight) => {
            let (promise, resolvers) = promise::pending(&ctx)?;
            Pending::start(flight, resolvers);
            Ok(promise)
        }
        Err(bad) => {
            let outcome = refused(&ctx, &vu, arguments.params.as_ref(), &bad);
            promise::of_result(&ctx, outcome)
        }
    }
}

fn arguments<'js>(
    method: Option<Value<'js>>,
    url: Option<Value<'js>>,
    body: Option<Value<'js>>,
    params: Option<Value<'js>>,
) -> rquickjs::Result<Arguments<'js>> {
    let method = method.filter(|method| !method.is_undefined() && !method.is_null());
    let method = method.map(|method| method.get::<Coerced<String>>()).transpose()?;
    // An empty method is a GET, as in Go's client.
    let method = method.map(|method| method.0).filter(|method| !method.is_empty());
    let method = method.map_or("GET".into(), Into::into);
    Ok(Arguments { method, url, body, params })
}

/// Makes a request, and waits for its response. Only this VU waits.
pub fn perform<'js>(ctx: &Ctx<'js>, arguments: &Arguments<'js>) -> rquickjs::Result<Value<'js>> {
    let vu = vu_in_use(ctx, IN_INIT)?;
    match flight(ctx, &vu, arguments)? {
        Ok(flight) => {
            let answer = Pending::wait(ctx, &flight, flight.clone().fly())?;
            finish(ctx, &flight, answer)
        }
        Err(bad) => refused(ctx, &vu, arguments.params.as_ref(), &bad),
    }
}

/// The VU, in whose code requests may be made.
pub fn vu_in_use(ctx: &Ctx<'_>, refusal: &str) -> rquickjs::Result<Rc<VuCore>> {
    let vu = vu_of(ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(ctx, refusal));
    }
    Ok(vu)
}

/// A request that can be made, or what is wrong about it.
pub fn flight<'js>(
    ctx: &Ctx<'js>,
    vu: &Rc<VuCore>,
    arguments: &Arguments<'js>,
) -> rquickjs::Result<Result<Rc<Flight>, BadRequest>> {
    let state = HttpState::of(ctx)?;
    match Request::read(ctx, &state, arguments) {
        Ok(request) => {
            let tags = Tags::of(vu, &request);
            Ok(Ok(Flight::new(vu.clone(), state, request, tags)))
        }
        Err(NoRequest::Bad(bad)) => Ok(Err(bad)),
        Err(NoRequest::Script(error)) => Err(error),
    }
}

/// A request that could not be made is a response without a status, or thrown.
pub fn refused<'js>(
    ctx: &Ctx<'js>,
    vu: &VuCore,
    params: Option<&Value<'js>>,
    bad: &BadRequest,
) -> rquickjs::Result<Value<'js>> {
    let own = params.and_then(Value::as_object).map(|params| params.get::<_, Option<bool>>("throw"));
    let throws = own.transpose().unwrap_or_default().flatten().unwrap_or(vu.settings.throw);
    if throws {
        return Err(errors::throw_go_error(ctx, &bad.text));
    }
    log::warn!(error = bad.text.as_str(); "Request Failed");
    response::of_error(ctx, bad.code, &bad.text)
}

/// The result that script gets of a request: its response, or an exception.
pub fn finish<'js>(ctx: &Ctx<'js>, flight: &Rc<Flight>, answer: Answer) -> rquickjs::Result<Value<'js>> {
    let unexpected = flight.unexpected.take();
    if unexpected.is_empty() && answer.failure.is_none() {
        // Without a response callback nothing is unexpected, not even this.
        let is_refusal = flight.request.expected.is_none() && answer.status >= 500;
        if is_refusal { flight.vu.evidence.refused() } else { flight.vu.evidence.heard() }
    }
    for unexpected in unexpected {
        let id = FailureId {
            code: &unexpected.code,
            method: &unexpected.method,
            ..FailureId::new(FailureKind::Http, "")
        };
        flight
            .vu
            .fail(&id, || Details { text: unexpected.text, place: stack::here(ctx).unwrap_or_default() });
    }
    if let Some(failure) = &answer.failure {
        if flight.request.throw {
            return Err(errors::throw_go_error(ctx, failure));
        }
        log::warn!(error = failure.as_str(); "Request Failed");
    }
    response::of_answer(ctx, flight, answer)
}
