//! Errors on their way into a script: each names its JavaScript class here and nowhere else.
//!
//! Native code returns `Err(throw_…(&ctx, text))`; the pending exception travels with it. How an uncaught one
//! is logged is decided by the event loop.

use rquickjs::{Ctx, Error, Exception, Object, Value, function::Constructor};

/// The class of errors raised by native code, as scripts of the reference know it (`e.name === "GoError"`).
pub const GO_ERROR: &str = "GoError";

/// Defines the `GoError` global.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    ctx.eval::<(), _>(
        "Object.defineProperty(globalThis, 'GoError', { configurable: true, writable: true, value: class GoError extends Error {} });
         Object.defineProperty(GoError.prototype, 'name', { value: 'GoError', configurable: true, writable: true });",
    )
}

/// An error of native code that has no better class.
pub fn throw_go_error(ctx: &Ctx<'_>, message: &str) -> Error {
    throw_class(ctx, GO_ERROR, message)
}

pub fn throw_error(ctx: &Ctx<'_>, message: &str) -> Error {
    throw_class(ctx, "Error", message)
}

pub fn throw_type_error(ctx: &Ctx<'_>, message: &str) -> Error {
    throw_class(ctx, "TypeError", message)
}

pub fn throw_range_error(ctx: &Ctx<'_>, message: &str) -> Error {
    throw_class(ctx, "RangeError", message)
}

/// Throws `new globalThis[class](message)`; a script that removed the class gets a plain `Error`.
pub fn throw_class(ctx: &Ctx<'_>, class: &str, message: &str) -> Error {
    match new_error(ctx, class, message) {
        Ok(value) => ctx.throw(value),
        Err(error) => error,
    }
}

/// Makes an error object without throwing it, for rejections.
pub fn new_error<'js>(ctx: &Ctx<'js>, class: &str, message: &str) -> rquickjs::Result<Value<'js>> {
    match ctx.globals().get::<_, Constructor<'js>>(class) {
        Ok(constructor) => Ok(constructor.construct::<_, Object<'js>>((message,))?.into_value()),
        Err(_) => {
            ctx.catch();
            Ok(Exception::from_message(ctx.clone(), message)?.into_value())
        }
    }
}
