//! `structuredClone()`: what kind of object a value is, which only the engine knows for sure.

use rquickjs::{Ctx, Object, Value, qjs};
use senary_js::native;
use senary_js::snippet::Part;

pub(super) static PART: Part = Part::new("structuredClone", include_str!("clone.js"), natives);

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("kindOf", native::function(ctx, kind_of)?)?;
    Ok(natives)
}

/// The number of the class of an object in the engine.
fn kind_of(value: Value<'_>) -> u32 {
    // SAFETY: it only looks at the tag and the class of a live value.
    unsafe { qjs::JS_GetClassID(value.as_raw()) }
}
