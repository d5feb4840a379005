//! `setTimeout`, `setInterval` and their clearing, as globals and as `k6/timers`.
//!
//! Ids count from 1 per VU; a timer keeps its iteration alive until it fired or was cleared.

use std::time::{Duration, Instant};

use rquickjs::function::{Opt, Rest};
use rquickjs::{Coerced, Ctx, Function, Object, Persistent, Value};
use senary_js::errors;
use senary_js::event_loop::Timer;
use senary_js::hints;
use senary_js::lazy::{self, Lazy};
use senary_js::native;
use senary_js::vu::core::vu_of;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    for (name, function) in FUNCTIONS {
        lazy::property(&module, name, function)?;
    }
    Ok(module)
}

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    FUNCTIONS.iter().try_for_each(|(name, function)| lazy::global(ctx, name, function))
}

/// Many scripts use none of them.
static FUNCTIONS: &[(&str, Lazy)] = &[
    ("setTimeout", Lazy::of(|ctx| native::named(ctx, "setTimeout", set_timeout))),
    ("setInterval", Lazy::of(|ctx| native::named(ctx, "setInterval", set_interval))),
    ("clearTimeout", Lazy::of(|ctx| native::named(ctx, "clearTimeout", clear))),
    ("clearInterval", Lazy::of(|ctx| native::named(ctx, "clearInterval", clear))),
];

fn set_timeout<'js>(
    ctx: Ctx<'js>,
    callback: Opt<Value<'js>>,
    delay: Opt<Value<'js>>,
    arguments: Rest<Value<'js>>,
) -> rquickjs::Result<u32> {
    add(&ctx, "setTimeout", callback.0, delay.0, arguments.0, false)
}

fn set_interval<'js>(
    ctx: Ctx<'js>,
    callback: Opt<Value<'js>>,
    delay: Opt<Value<'js>>,
    arguments: Rest<Value<'js>>,
) -> rquickjs::Result<u32> {
    add(&ctx, "setInterval", callback.0, delay.0, arguments.0, true)
}

fn add<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    callback: Option<Value<'js>>,
    delay: Option<Value<'js>>,
    arguments: Vec<Value<'js>>,
    repeat: bool,
) -> rquickjs::Result<u32> {
    let Some(callback) = callback.and_then(|c| c.as_function().cloned()) else {
        return Err(errors::throw_type_error(ctx, &format!("{name}'s callback isn't a callable function")));
    };
    let given = delay;
    let delay = given.as_ref().map(|d| d.get::<Coerced<f64>>()).transpose()?.map_or(0.0, |d| d.0);
    if delay.is_nan()
        && let Some(given) = &given
    {
        let instead = format!("milliseconds, as in {name}(callback, 500)");
        hints::no_number(ctx, &format!("{name}()"), given, "it does not wait", &instead);
    }
    // NaN and negative delays count as 0; longer delays than a century are cut to it.
    let delay = Duration::from_secs_f64((delay.max(0.0) / 1e3).min(3e9));
    let timer = Timer {
        callback: Persistent::save(ctx, callback),
        arguments: arguments.into_iter().map(|a| Persistent::save(ctx, a)).collect(),
        interval: repeat.then_some(delay),
        in_background: false,
    };
    Ok(vu_of(ctx)?.events.add_timer(Instant::now() + delay, timer))
}

/// Calls back after the delay if the iteration has not ended by then. It does not keep the iteration alive.
pub fn in_background<'js>(ctx: &Ctx<'js>, callback: Function<'js>, delay: Duration) -> rquickjs::Result<()> {
    let callback = Persistent::save(ctx, callback);
    let timer = Timer { callback, arguments: Vec::new(), interval: None, in_background: true };
    vu_of(ctx)?.events.add_timer(Instant::now() + delay, timer);
    Ok(())
}

fn clear<'js>(ctx: Ctx<'js>, id: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let id = id.0.and_then(|id| id.as_number());
    if let Some(id) = id.filter(|id| *id >= 1.0 && *id <= f64::from(u32::MAX)) {
        vu_of(&ctx)?.events.clear_timer(id as u32);
    }
    Ok(())
}
