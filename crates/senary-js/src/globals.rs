//! The globals that belong to a VU: `__VU`, `__ITER`, `__ENV`, `global`; and the class of the errors of native code.
//!
//! `__ENV` is made when a script first looks at it: most VUs of most tests never do after init, and the system's
//! environment is large.

use rquickjs::object::Property;
use rquickjs::{Ctx, Object, Value};

use crate::errors::GO_ERROR;
use crate::frozen::freeze_object;
use crate::lazy::{self, Lazy};
use crate::snippet::Snippet;
use crate::vu::core::{VuCore, vu_of};

pub const VU: &str = "__VU";
pub const ITER: &str = "__ITER";
pub const ENV: &str = "__ENV";

/// `base_compatibility`: without `global`.
pub fn install(ctx: &Ctx<'_>, vu: &VuCore, base_compatibility: bool) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    globals.set(VU, vu.id.in_instance as f64)?;
    if !base_compatibility {
        globals.prop("global", Property::from(globals.clone()).writable().configurable())?;
    }
    reset_env(ctx)
}

/// Defines the class `GoError`; it is made when it is first needed.
pub fn install_go_error(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static CLASS: Snippet = Snippet::new(
        GO_ERROR,
        "(class GoError extends Error {
  static { Object.defineProperty(this.prototype, 'name', { value: 'GoError', writable: true, configurable: true }) }
})",
    );
    static LAZY: Lazy = Lazy::of(|ctx| CLASS.evaluate(ctx));
    lazy::global(ctx, GO_ERROR, &LAZY)
}

/// Makes a new `__ENV` at its next use, without what the script stored in it or another scenario added.
pub fn reset_env(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static LAZY: Lazy = Lazy::of(env);
    lazy::global(ctx, ENV, &LAZY)
}

fn env<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    let vu = vu_of(ctx)?;
    let env = Object::new(ctx.clone())?;
    for (name, value) in vu.env.iter() {
        env.set(name.as_str(), value.as_str())?;
    }
    if let Some(activation) = vu.activation() {
        for (name, value) in &activation.env {
            env.set(name.as_str(), value.as_str())?;
        }
    }
    if vu.freeze_env {
        freeze_object(ctx, &env)?;
    }
    Ok(env.into_value())
}
