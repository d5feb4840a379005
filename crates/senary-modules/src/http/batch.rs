//! `http.batch()`: several requests at a time, no more than the options `batch` and `batchPerHost` allow.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::function::Rest;
use rquickjs::{Array, Class, Ctx, Object, Value};
use senary_js::vu::core::VuCore;
use senary_js::{errors, hints, properties};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::calls;
use super::flight::{Answer, Flight};
use super::pending::Pending;
use super::request::{Arguments, BadRequest, Method};
use super::response;
use super::url_template::UrlTemplate;
use crate::go_value;

const GET: &str = "GET";

pub fn batch<'js>(ctx: Ctx<'js>, arguments: Rest<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let vu = calls::vu_in_use(&ctx, "Using batch in the init context is not supported")?;
    let refuse = |text: &str| Err(errors::throw_go_error(&ctx, text));
    let requests = match &arguments.0[..] {
        [] => return refuse("no argument was provided to http.batch()"),
        [requests] => requests,
        _ => return refuse("http.batch() accepts only an array or an object of requests"),
    };
    let Some(object) = requests.as_object().filter(|_| requests.is_array() || go_value::is_object(requests))
    else {
        return refuse(&format!(
            "invalid http.batch() argument type {}",
            senary_js::go_type::go_type(requests)
        ));
    };
    let mut flights = Vec::new();
    let mut keys = Vec::new();
    for entry in properties::entries(object) {
        let (key, value) = entry?;
        let flight = match read(&key, &value)? {
            Ok(arguments) => calls::flight(&ctx, &vu, &arguments)?,
            Err(text) => Err(BadRequest { code: 0, text }),
        };
        match flight {
            Ok(flight) => flights.push(flight),
            Err(bad) => return refused(&ctx, &vu, requests, keys, (key, bad)),
        }
        keys.push(key);
    }
    let answers = match flights.first().cloned() {
        Some(first) => Pending::wait(&ctx, &first, all(flights.clone()))?,
        None => Vec::new(),
    };
    let list = requests.as_array().map(|_| Array::new(ctx.clone())).transpose()?;
    let named = Object::new(ctx.clone())?;
    for (at, ((key, flight), answer)) in keys.into_iter().zip(&flights).zip(answers).enumerate() {
        let response = calls::finish(&ctx, flight, answer.unwrap_or_default())?;
        match &list {
            Some(list) => list.set(at, response)?,
            None => named.set(key, response)?,
        }
    }
    Ok(list.map_or_else(|| named.into_value(), Array::into_value))
}

/// The result of a batch with a request that cannot be made. Then no request is made: requests before the wrong one have empty
/// responses, and requests after it have none.
fn refused<'js>(
    ctx: &Ctx<'js>,
    vu: &VuCore,
    requests: &Value<'js>,
    before: Vec<String>,
    (key, bad): (String, BadRequest),
) -> rquickjs::Result<Value<'js>> {
    if vu.settings.throw {
        return Err(errors::throw_go_error(ctx, &bad.text));
    }
    log::warn!(error = bad.text.as_str(); "A batch request failed");
    let empty = || response::of_error(ctx, 0, "");
    let response = response::of_error(ctx, bad.code, &bad.text)?;
    let Some(list) = requests.as_array() else {
        let named = Object::new(ctx.clone())?;
        for key in before {
            named.set(key, empty()?)?;
        }
        named.set(key, response)?;
        return Ok(named.into_value());
    };
    let all = Array::new(ctx.clone())?;
    for at in 0..list.len() {
        let value = match at.cmp(&before.len()) {
            Ordering::Less => empty()?,
            Ordering::Equal => response.clone(),
            Ordering::Greater => Value::new_null(ctx.clone()),
        };
        all.set(at, value)?;
    }
    Ok(all.into_value())
}

/// A request of a batch: a URL, `[method, url, body, params]`, or an object of these. The error says what is wrong with it.
fn read<'js>(key: &str, value: &Value<'js>) -> rquickjs::Result<Result<Arguments<'js>, String>> {
    if let Some(list) = value.as_array() {
        if list.len() < 2 {
            return Ok(Err(format!("invalid batch request '{}'", go_value::typed(value)?)));
        }
        let method: Value<'js> = list.get(0)?;
        let Some(method) = method.as_string().cloned() else { return Ok(Err(no_method(&method)?)) };
        let part = |at: usize| -> rquickjs::Result<Option<Value<'js>>> {
            if at < list.len() { list.get(at).map(Some) } else { Ok(None) }
        };
        let method = Method::Owned(method.to_string()?);
        return Ok(Ok(Arguments { method, url: part(1)?, body: part(2)?, params: part(3)? }));
    }
    match value.as_object().filter(|object| is_described(object)) {
        Some(object) => read_described(key, object),
        None => Ok(Ok(Arguments { method: GET.into(), url: Some(value.clone()), body: None, params: None })),
    }
}

/// Whether an object has the parts of a request, and is not a URL itself.
fn is_described<'js>(object: &Object<'js>) -> bool {
    let is_url = Class::<UrlTemplate>::from_object(object).is_some()
        || !has(object, "url") && object.get::<_, Value<'js>>("href").is_ok_and(|href| href.is_string());
    go_value::is_object(object.as_value()) && !is_url
}

fn has(object: &Object<'_>, name: &str) -> bool {
    object.contains_key(name).unwrap_or(false)
}

fn read_described<'js>(key: &str, object: &Object<'js>) -> rquickjs::Result<Result<Arguments<'js>, String>> {
    hints::unknown_fields("a request of http.batch()", object, &["method", "url", "body", "params"])?;
    if !has(object, "url") {
        return Ok(Err(format!("batch request {key} doesn't have a url key")));
    }
    let mut method = Method::Borrowed(GET);
    let mut body = object.get("body")?;
    if has(object, "method") {
        let given: Value<'js> = object.get("method")?;
        let Some(given) = given.as_string() else { return Ok(Err(no_method(&given)?)) };
        method = given.to_string()?.to_uppercase().into();
        if matches!(&*method, GET | "HEAD") {
            body = None;
        }
    }
    let (url, params) = (object.get("url")?, object.get("params")?);
    Ok(Ok(Arguments { method, url: Some(url), body, params: Some(params) }))
}

fn no_method(value: &Value<'_>) -> rquickjs::Result<String> {
    Ok(format!("invalid method type '{}'", go_value::typed(value)?))
}

/// Makes all requests; `None` for a request that never ended, which would be a bug.
async fn all(flights: Vec<Rc<Flight>>) -> Vec<Option<Answer>> {
    let Some(http) = flights.first().map(|flight| flight.vu.settings.http.clone()) else { return Vec::new() };
    let limit =
        |limit: usize| Rc::new(Semaphore::new(if limit == 0 { Semaphore::MAX_PERMITS } else { limit }));
    let in_all = limit(http.batch);
    let mut per_host: HashMap<String, Rc<Semaphore>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut answers: Vec<Option<Answer>> = flights.iter().map(|_| None).collect();
    for (at, flight) in flights.into_iter().enumerate() {
        let host =
            per_host.entry(flight.request.url.authority()).or_insert_with(|| limit(http.batch_per_host));
        let (host, in_all) = (host.clone(), in_all.clone());
        // Dropping the set cancels all requests.
        tasks.spawn_local(async move {
            // These semaphores are never closed.
            let _host = host.acquire().await;
            let _in_all = in_all.acquire().await;
            (at, flight.fly().await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((at, answer)) = done {
            answers[at] = Some(answer);
        }
    }
    answers
}
