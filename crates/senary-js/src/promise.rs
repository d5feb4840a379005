//! Promises that native code settles: at once, or from outside of script.

use rquickjs::{Ctx, Persistent, Value, qjs};

use crate::errors;

unsafe extern "C" {
    fn JS_NewPendingPromise(ctx: *mut qjs::JSContext) -> qjs::JSValue;
    fn JS_SettlePromise(
        ctx: *mut qjs::JSContext,
        promise: qjs::JSValue,
        is_reject: bool,
        resolution: qjs::JSValue,
    );
}

/// Settles a promise from outside of script.
pub struct Resolvers {
    promise: Persistent<Value<'static>>,
}

impl Resolvers {
    /// The promise itself.
    pub fn promise<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        self.promise.clone().restore(ctx)
    }

    pub fn resolve<'js>(self, ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<()> {
        self.settle_with(ctx, false, &value)
    }

    pub fn reject<'js>(self, ctx: &Ctx<'js>, error: Value<'js>) -> rquickjs::Result<()> {
        self.settle_with(ctx, true, &error)
    }

    fn settle_with<'js>(self, ctx: &Ctx<'js>, is_reject: bool, value: &Value<'js>) -> rquickjs::Result<()> {
        let promise = self.promise.restore(ctx)?;
        // SAFETY: the context is alive and entered, the promise is one that `pending` made in it and that nothing else
        // settles; the engine takes references of its own.
        unsafe { JS_SettlePromise(ctx.as_raw().as_ptr(), promise.as_raw(), is_reject, value.as_raw()) };
        Ok(())
    }

    /// Resolves with a native result, or rejects with what it threw.
    pub fn settle<'js>(self, ctx: &Ctx<'js>, result: rquickjs::Result<Value<'js>>) -> rquickjs::Result<()> {
        match outcome(ctx, result)? {
            Ok(value) => self.resolve(ctx, value),
            Err(reason) => self.reject(ctx, reason),
        }
    }
}

/// A promise that other code will settle.
pub fn pending<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<(Value<'js>, Resolvers)> {
    // SAFETY: the context is alive and entered; the engine gives back a value we own, or an exception, told apart below.
    let promise = unsafe { Value::from_raw(ctx.clone(), JS_NewPendingPromise(ctx.as_raw().as_ptr())) };
    if promise.is_exception() {
        return Err(rquickjs::Error::Exception);
    }
    let resolvers = Resolvers { promise: Persistent::save(ctx, promise.clone()) };
    Ok((promise, resolvers))
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

/// A promise with the result of native code; it is rejected with what the code threw. An interruption is passed on.
pub fn of_result<'js>(ctx: &Ctx<'js>, result: rquickjs::Result<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    settled(ctx, outcome(ctx, result)?)
}

/// A native result as a value or a reason for rejection. Only an interruption stays an error.
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
