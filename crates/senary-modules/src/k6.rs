//! `k6`: `check`, `fail`, `group`, `sleep`, `randomSeed`.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6/>)

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::function::Opt;
use rquickjs::{Coerced, Ctx, Function, Object, Value};
use senary_js::errors;
use senary_js::hints;
use senary_js::lazy::{self, Lazy};
use senary_js::native;
use senary_js::properties;
use senary_js::source::stack;
use senary_js::vu::core::{VuCore, vu_of};
use senary_js::vu::tags::GROUP_SEPARATOR;
use senary_metrics::tags::system;
use senary_metrics::{Details, FailureId, FailureKind, SeriesId, builtin};

use crate::metrics::tags_of;

/// A longer sleep never ends (this is a century).
const MAX_SLEEP: f64 = 3e9;

/// Refusals of asynchronous functions, in the reference's words.
const ASYNC_CHECK: &str = "the built-in check() does not support async functions as arguments. Await the value first, or use the check() of the k6-utils library";
const ASYNC_GROUP: &str = "group() does not support async functions as arguments, please see https://grafana.com/docs/k6/latest/javascript-api/k6/group/ for more info";

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    for (name, function) in FUNCTIONS {
        lazy::property(&module, name, function)?;
    }
    Ok(module)
}

/// A script uses some of them.
static FUNCTIONS: &[(&str, Lazy)] = &[
    ("check", Lazy::of(|ctx| native::named(ctx, "check", check))),
    ("fail", Lazy::of(|ctx| native::named(ctx, "fail", fail))),
    ("group", Lazy::of(|ctx| native::named(ctx, "group", group))),
    ("sleep", Lazy::of(|ctx| native::named(ctx, "sleep", sleep))),
    ("randomSeed", Lazy::of(|ctx| native::named(ctx, "randomSeed", random_seed))),
];

fn check<'js>(
    ctx: Ctx<'js>,
    value: Opt<Value<'js>>,
    checks: Opt<Value<'js>>,
    tags: Opt<Value<'js>>,
) -> rquickjs::Result<bool> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "Using check() in the init context is not supported"));
    }
    let value = value.0.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    let Some(checks) = checks.0.filter(|c| !c.is_undefined() && !c.is_null()) else {
        return Err(errors::throw_go_error(&ctx, "no checks provided to `check`"));
    };
    let own = match tags.0.filter(|t| !t.is_undefined() && !t.is_null()) {
        Some(tags) if tags.is_object() => tags_of(&ctx, &tags, String::new)?,
        // A number has no properties, and a text has its characters.
        Some(plain) => {
            let object: Function<'js> = ctx.globals().get("Object")?;
            tags_of(&ctx, &object.call((plain,))?, String::new)?
        }
        None => Vec::new(),
    };
    let Some(checks) = checks.as_object() else { return Ok(true) };
    let now = vu.now();
    let mut all_passed = true;
    for check in properties::entries(checks) {
        let (name, condition) = check?;
        if name.contains(GROUP_SEPARATOR) {
            return Err(errors::throw_go_error(&ctx, "group and check names may not contain '::'"));
        }
        let outcome = evaluate(&condition, &value);
        if outcome.as_ref().is_ok_and(Value::is_promise) {
            return Err(errors::throw_go_error(&ctx, ASYNC_CHECK));
        }
        let outcome = outcome.and_then(|value| Ok(value.get::<Coerced<bool>>()?.0));
        let passed = matches!(outcome, Ok(true));
        let series = record_check(&vu, &name, &own, passed, now);
        if passed {
            vu.evidence.passed();
        } else {
            let details = || Details { text: vu.with_clue(""), place: stack::here(&ctx).unwrap_or_default() };
            let id = FailureId::new(FailureKind::Check, &name);
            // Without the tag of their name, checks of several names may be one series.
            let is_named = vu.settings.system_tags.check && own.iter().all(|(tag, _)| tag != system::CHECK);
            if is_named {
                vu.fail_in_series(series, &id, now, details);
            } else {
                vu.fail_at(&id, now, details);
            }
        }
        outcome?;
        all_passed &= passed;
    }
    Ok(all_passed)
}

fn evaluate<'js>(condition: &Value<'js>, value: &Value<'js>) -> rquickjs::Result<Value<'js>> {
    match condition.as_function() {
        Some(function) => function.call((value.clone(),)),
        None => Ok(condition.clone()),
    }
}

fn record_check(
    vu: &VuCore,
    name: &str,
    own: &[(String, String)],
    passed: bool,
    now: senary_metrics::Timestamp,
) -> SeriesId {
    let check = vu.settings.system_tags.check.then_some((system::CHECK, name));
    let tags = check.into_iter().chain(own.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let series = vu.series_with(builtin::CHECKS, tags);
    vu.record_series(series, f64::from(u8::from(passed)), now);
    series
}

/// Without a message, or with null or undefined, the message is empty, as in the reference.
fn fail(ctx: Ctx<'_>, message: Opt<Value<'_>>) -> rquickjs::Result<()> {
    let message = message.0.filter(|message| !message.is_null() && !message.is_undefined());
    let message = message.map(|message| message.get::<Coerced<String>>()).transpose()?;
    Err(errors::throw_go_error(&ctx, &message.map_or_else(String::new, |message| message.0)))
}

fn group<'js>(
    ctx: Ctx<'js>,
    name: Opt<Coerced<String>>,
    body: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "Using group() in the init context is not supported"));
    }
    let Some(body) = body.0.and_then(|b| b.as_function().cloned()) else {
        return Err(errors::throw_go_error(&ctx, "group() requires a callback as a second argument"));
    };
    if is_async(&ctx, &body)? {
        return Err(errors::throw_go_error(&ctx, ASYNC_GROUP));
    }
    let name = name.0.map(|n| n.0).unwrap_or_default();
    if name.contains(GROUP_SEPARATOR) {
        return Err(errors::throw_go_error(&ctx, "group and check names may not contain '::'"));
    }
    let is_tagged = vu.settings.system_tags.group;
    let outer = is_tagged.then(|| vu.tags.enter_group(&vu.worker, &name));
    let started = Instant::now();
    let result = body.call::<_, Value<'js>>(());
    // The duration of a call that was cut off would be too short.
    if !vu.interrupt.is_raised() {
        vu.record(builtin::GROUP_DURATION, started.elapsed().as_secs_f64() * 1e3);
    }
    if let Some(outer) = outer {
        vu.tags.leave_group(&vu.worker, outer.as_deref());
    }
    result
}

fn is_async<'js>(ctx: &Ctx<'js>, function: &Function<'js>) -> rquickjs::Result<bool> {
    let constructor: Object<'js> = function.get("constructor")?;
    let name: Value<'js> = constructor.get("name")?;
    Ok(senary_js::value_text::to_text(ctx, &name) == "AsyncFunction")
}

fn sleep<'js>(ctx: Ctx<'js>, seconds: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let number = seconds.0.as_ref().map(|s| s.get::<Coerced<f64>>()).transpose()?.map_or(f64::NAN, |s| s.0);
    let vu = vu_of(&ctx)?;
    if number.is_nan()
        && let Some(given) = &seconds.0
    {
        hints::no_number(&ctx, "sleep()", given, "it does not sleep", "seconds, as in sleep(0.5)");
    }
    if number.is_nan() || number <= 0.0 {
        return Ok(());
    }
    vu.block_until(&ctx, Instant::now() + Duration::from_secs_f64(number.min(MAX_SLEEP)))
}

/// Makes `Math.random()` of this VU repeat itself: the same seed gives the same numbers.
fn random_seed<'js>(ctx: Ctx<'js>, seed: Opt<Coerced<f64>>) -> rquickjs::Result<()> {
    let seed = seed.0.map_or(0.0, |s| s.0);
    let state = Rc::new(Cell::new(seed as i64 as u64));
    let random = move || {
        // SplitMix64 (public domain, Sebastiano Vigna).
        let next = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(next);
        let mut z = next;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let math: Object<'js> = ctx.globals().get("Math")?;
    math.set("random", native::function(&ctx, random)?.with_name("random")?)
}
