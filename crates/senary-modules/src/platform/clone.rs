//! `structuredClone()`: what kind of object a value is, which only the engine knows for sure.

use rquickjs::{Ctx, Object, Value};
use senary_js::native;
use senary_js::snippet::Part;

pub(super) static PART: Part = Part::new("structuredClone", include_str!("clone.js"), natives);

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("kindOf", native::function(ctx, kind_of)?)?;
    Ok(natives)
}

fn kind_of(value: Value<'_>) -> u32 {
    native::class_id(&value)
}
