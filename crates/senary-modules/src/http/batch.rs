//! `http.batch()`: several requests at a time, no more than the options `batch` and `batchPerHost` allow.

use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::function::Rest;
use rquickjs::{Array, Coerced, Ctx, Object, Value};
use senary_js::{errors, hints, properties};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::calls;
use super::flight::{Answer, Flight};
use super::pending::Pending;
use super::request::{Arguments, BadRequest, Method};

/// One of the requests.
enum Entry<'js> {
    Flying(Rc<Flight>),
    Refused(Option<Value<'js>>, BadRequest),
}

pub fn batch<'js>(ctx: Ctx<'js>, arguments: Rest<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let vu = calls::vu_in_use(&ctx, "Using batch in the init context is not supported")?;
    let refuse = |text: &str| Err(errors::throw_go_error(&ctx, text));
    let requests = match &arguments.0[..] {
        [] => return refuse("no argument was provided to http.batch()"),
        [requests] => requests,
        _ => return refuse("http.batch() accepts only an array or an object of requests"),
    };
    let Some(object) = requests.as_object().filter(|object| !object.is_function()) else {
        return refuse(&format!(
            "invalid http.batch() argument type {}",
            senary_js::go_type::go_type(requests)
        ));
    };
    let mut entries = Vec::new();
    for entry in properties::entries(object) {
        let (key, value) = entry?;
        let arguments = read(&value)?;
        let entry = match calls::flight(&ctx, &vu, &arguments)? {
            Ok(flight) => Entry::Flying(flight),
            Err(bad) => Entry::Refused(arguments.params, bad),
        };
        entries.push((key, entry));
    }
    let flights: Vec<_> = entries
        .iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Flying(flight) => Some(flight.clone()),
            Entry::Refused(..) => None,
        })
        .collect();
    let mut answers = match flights.first().cloned() {
        Some(first) => Pending::wait(&ctx, &first, all(flights))?,
        None => Vec::new(),
    }
    .into_iter();
    let list = requests.as_array().map(|_| Array::new(ctx.clone())).transpose()?;
    let named = Object::new(ctx.clone())?;
    for (at, (key, entry)) in entries.into_iter().enumerate() {
        let response = match entry {
            Entry::Flying(flight) => {
                calls::finish(&ctx, &flight, answers.next().flatten().unwrap_or_default())?
            }
            Entry::Refused(params, bad) => calls::refused(&ctx, &vu, params.as_ref(), &bad)?,
        };
        match &list {
            Some(list) => list.set(at, response)?,
            None => named.set(key, response)?,
        }
    }
    Ok(list.map_or_else(|| named.into_value(), Array::into_value))
}

/// A request of a batch: a URL, `[method, url, body, params]`, or an object of these.
fn read<'js>(value: &Value<'js>) -> rquickjs::Result<Arguments<'js>> {
    let is_described = |object: &&Object<'js>| {
        ["method", "params"].iter().any(|name| object.contains_key(*name).unwrap_or(false))
    };
    if let Some(object) = value.as_object().filter(|_| !value.is_array()).filter(is_described) {
        hints::unknown_fields("a request of http.batch()", object, &["method", "url", "body", "params"])?;
    }
    let text = |method: Option<Value<'js>>| -> rquickjs::Result<Method> {
        let method = method.filter(|method| !method.is_undefined() && !method.is_null());
        let method = method.map(|method| method.get::<Coerced<String>>()).transpose()?;
        Ok(method.map_or("GET".into(), |method| method.0.into()))
    };
    if let Some(list) = value.as_array() {
        let part = |at: usize| -> rquickjs::Result<Option<Value<'js>>> {
            if at < list.len() { list.get(at).map(Some) } else { Ok(None) }
        };
        return Ok(Arguments { method: text(part(0)?)?, url: part(1)?, body: part(2)?, params: part(3)? });
    }
    let fields = value.as_object().filter(|object| object.contains_key("method").unwrap_or(false));
    match fields {
        Some(fields) => Ok(Arguments {
            method: text(Some(fields.get("method")?))?,
            url: Some(fields.get("url")?),
            body: Some(fields.get("body")?),
            params: Some(fields.get("params")?),
        }),
        None => Ok(Arguments {
            method: "GET".into(),
            url: Some(
                match value.as_object().filter(|object| object.contains_key("params").unwrap_or(false)) {
                    Some(object) => object.get("url")?,
                    None => value.clone(),
                },
            ),
            body: None,
            params: value.as_object().map(|object| object.get("params")).transpose()?,
        }),
    }
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
