//! `Function.prototype.toString` for functions that were loaded from bytecode.
//!
//! The engine keeps the text of every function in every VU, and that of nested ones again in each they are nested
//! in; it is most of what a large script costs. Bytecode is therefore without it, and the text is cut out of the
//! process's one copy of the source by the offsets that the engine keeps instead.

use std::ffi::c_int;

use rquickjs::function::This;
use rquickjs::object::Property;
use rquickjs::{Ctx, Function, IntoJs, Object, Persistent, Value, qjs};

use super::loader::store_of;

/// The engine's own `toString`.
struct EngineText(Persistent<Function<'static>>);

crate::userdata!(EngineText);

unsafe extern "C" {
    fn JS_GetFunctionSource(
        ctx: *mut qjs::JSContext,
        function: qjs::JSValue,
        start: *mut c_int,
        length: *mut c_int,
    ) -> qjs::JSValue;
}

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let function: Object<'_> = ctx.globals().get("Function")?;
    let prototype: Object<'_> = function.get("prototype")?;
    let engine: Function<'_> = prototype.get("toString")?;
    // Fails only while userdata is being read, which nobody does yet.
    let _ = ctx.store_userdata(EngineText(Persistent::save(ctx, engine)));
    let text = Function::new(ctx.clone(), text)?.with_name("toString")?;
    prototype.prop("toString", Property::from(text).writable().configurable())
}

fn text<'js>(ctx: Ctx<'js>, this: This<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    if let Some(found) = text_in_source(&ctx, &this.0)? {
        return found.into_js(&ctx);
    }
    match ctx.userdata::<EngineText>().map(|engine| engine.0.clone()) {
        Some(engine) => engine.restore(&ctx)?.call((This(this.0),)),
        None => Ok(Value::new_undefined(ctx)),
    }
}

fn text_in_source<'js>(ctx: &Ctx<'js>, function: &Value<'js>) -> rquickjs::Result<Option<String>> {
    let (mut start, mut length) = (0, 0);
    // SAFETY: the value is one of this context, and only looked at, whatever it is; what comes back is ours.
    let url = unsafe {
        let url = JS_GetFunctionSource(ctx.as_raw().as_ptr(), function.as_raw(), &mut start, &mut length);
        Value::from_raw(ctx.clone(), url)
    };
    let Some(url) = url.as_string() else { return Ok(None) };
    let module = store_of(ctx)?.known_module(&url.to_string()?);
    let text = module.as_ref().and_then(|module| module.compiled_text(start as usize, length as usize));
    Ok(text.map(str::to_owned))
}
