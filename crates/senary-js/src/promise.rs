//! Promises that native code settles: at once, or from outside of script.

use rquickjs::{Ctx, Function, Persistent, Value};

use crate::errors;

/// Settles a promise from outside of script.
pub struct Resolvers {
    pub resolve: Persistent<Function<'static>>,
    pub reject: Persistent<Function<'static>>,
}

impl Resolvers {
    pub fn resolve<'js>(self, ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<()> {
        self.resolve.restore(ctx)?.call((value,))
    }

    pub fn reject<'js>(self, ctx: &Ctx<'js>, error: Value<'js>) -> rquickjs::Result<()> {
        self.reject.restore(ctx)?.call((error,))
    }

    /// Resolves with a native result, or rejects with what it threw.
    pub fn settle<'js>(self, ctx: &Ctx<'js>, result: rquickjs::Result<Value<'js>>) -> rquickjs::Result<()> {
        match outcome(ctx, result)? {
            Ok(value) => self.resolve(ctx, value),
            Err(reason) => self.reject(ctx, reason),
        }
    }
}

/// A promise that somebody else will settle.
pub fn pending<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<(Value<'js>, Resolvers)> {
    let (promise, resolve, reject) = ctx.promise()?;
    let resolvers =
        Resolvers { resolve: Persistent::save(ctx, resolve), reject: Persistent::save(ctx, reject) };
    Ok((promise.into_value(), resolvers))
}

/// A promise that is settled already; cheaper than one with resolvers.
pub fn settled<'js>(ctx: &Ctx<'js>, outcome: Result<Value<'js>, Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let (is_reject, value) = match outcome {
        Ok(value) => (false, value),
        Err(error) => (true, error),
    };
    // SAFETY: the context is alive and entered; the engine takes its own reference to the value and gives back
    // a value we own (or an exception, told apart below).
    let promise = unsafe {
        let raw = rquickjs::qjs::JS_NewSettledPromise(ctx.as_raw().as_ptr(), is_reject, value.as_raw());
        Value::from_raw(ctx.clone(), raw)
    };
    if promise.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(promise) }
}

/// The promise of what native code did just now: rejected with what it threw. An interruption goes on.
pub fn of_result<'js>(ctx: &Ctx<'js>, result: rquickjs::Result<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    settled(ctx, outcome(ctx, result)?)
}

/// A native result as a value or a reason. Only an interruption stays an error.
fn outcome<'js>(
    ctx: &Ctx<'js>,
    result: rquickjs::Result<Value<'js>>,
) -> rquickjs::Result<Result<Value<'js>, Value<'js>>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(rquickjs::Error::Exception) => {
            let reason = ctx.catch();
            if reason.is_uncatchable_error() { Err(ctx.throw(reason)) } else { Ok(Err(reason)) }
        }
        Err(error) => Ok(Err(errors::new_error(ctx, "TypeError", &error.to_string())?)),
    }
}
