//! Errors that native code throws into a script. Only this module names their JavaScript classes.
//!
//! Native code returns `Err(throw_…(&ctx, text))`; the pending exception travels with it. The event loop decides how an
//! uncaught one is logged.

use rquickjs::{Ctx, Error, Exception, Object, Value, function::Constructor, qjs};

/// The class of errors raised by native code, as scripts of the reference know it (`e.name === "GoError"`).
pub const GO_ERROR: &str = "GoError";

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

/// Throws an error that skips every `catch` and `finally` of the script.
pub fn throw_uncatchable(ctx: &Ctx<'_>, message: &str) -> Error {
    match Exception::from_message(ctx.clone(), message) {
        Ok(exception) => {
            let value = exception.into_object().into_value();
            // SAFETY: the value is a live error object of this very context.
            unsafe { qjs::JS_SetUncatchableError(ctx.as_raw().as_ptr(), value.as_raw()) };
            ctx.throw(value)
        }
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

#[cfg(test)]
mod tests {
    use crate::testing::{run, with_context};

    #[test]
    fn native_errors_are_go_errors() {
        with_context(|ctx| {
            let thrown = super::new_error(ctx, super::GO_ERROR, "no").unwrap();
            ctx.globals().set("e", thrown).unwrap();
            let shape = "return [e.name, e.message, e instanceof GoError, e instanceof Error, String(e), Object.keys(e).length, typeof e.stack]";
            assert_eq!(run(ctx, shape), "GoError,no,true,true,GoError: no,0,string");
        });
    }

    #[test]
    fn a_script_may_remove_the_class() {
        with_context(|ctx| {
            run(ctx, "delete globalThis.GoError");
            ctx.globals().set("e", super::new_error(ctx, super::GO_ERROR, "no").unwrap()).unwrap();
            assert_eq!(run(ctx, "return e instanceof Error && e.message"), "no");
        });
    }
}
