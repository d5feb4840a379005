//! `Event`, `CustomEvent`, `EventTarget`, `AbortController` and `AbortSignal`: what they need of the virtual user.

use std::time::Duration;

use rquickjs::{Ctx, Function, Object};
use senary_js::native;
use senary_js::snippet::Part;

use crate::timers;

pub(super) static PART: Part = Part::new("events", include_str!("events.js"), natives);

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("background", native::function(ctx, background)?)?;
    natives.set("now", now(ctx)?)?;
    Ok(natives)
}

/// Calls back after some milliseconds if the iteration has not ended by then. It does not keep the iteration alive.
fn background<'js>(ctx: Ctx<'js>, callback: Function<'js>, milliseconds: f64) -> rquickjs::Result<()> {
    // Longer delays than a century are cut to it.
    timers::in_background(&ctx, callback, Duration::from_secs_f64((milliseconds / 1e3).clamp(0.0, 3e9)))
}

/// The engine's clock: milliseconds since the virtual user was made. A script may have replaced `performance`.
fn now<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Function<'js>> {
    let made = std::time::Instant::now();
    native::function(ctx, move || made.elapsed().as_secs_f64() * 1e3)
}
