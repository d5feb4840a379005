//! Functions and classes for scripts. All functions refuse wrong arguments in the same way, with the function's name.

use std::ffi::c_int;

use rquickjs::function::{IntoJsFunc, ParamRequirement, Params};
use rquickjs::{Ctx, Error, Function, Object, Value, qjs};

use crate::errors;

/// A function for scripts; its refusals use the name it is given later.
pub fn function<'js, P, F>(ctx: &Ctx<'js>, call: F) -> rquickjs::Result<Function<'js>>
where
    P: 'js,
    F: IntoJsFunc<'js, P> + 'js,
{
    let length = F::param_requirements().min();
    Function::new(ctx.clone(), Checked(call))?.with_length(length)
}

/// Such a function with its name, as a value.
pub fn named<'js, P, F>(ctx: &Ctx<'js>, name: &str, call: F) -> rquickjs::Result<Value<'js>>
where
    P: 'js,
    F: IntoJsFunc<'js, P> + 'js,
{
    Ok(function(ctx, call)?.with_name(name)?.into_value())
}

/// A native function with its own texts for wrong arguments; also for functions without a name, such as getters.
pub struct Checked<F>(pub F);

/// Marks the parameters that are checked, to tell them from those of the function itself.
pub struct CheckedParams<P>(std::marker::PhantomData<P>);

impl<'js, P, F: IntoJsFunc<'js, P>> IntoJsFunc<'js, CheckedParams<P>> for Checked<F> {
    fn param_requirements() -> ParamRequirement {
        ParamRequirement::any()
    }

    fn call<'a>(&self, params: Params<'a, 'js>) -> rquickjs::Result<Value<'js>> {
        let (ctx, function) = (params.ctx().clone(), params.function());
        let checked = params.check_params(F::param_requirements());
        let refused = match checked.and_then(|()| self.0.call(params)) {
            Err(error @ (Error::FromJs { .. } | Error::MissingArgs { .. })) => error,
            other => return other,
        };
        // Script may have replaced the name, even by a getter that throws.
        let name = function.as_object().map(|function| function.get::<_, String>("name"));
        let name = name.and_then(|name| name.inspect_err(|_| drop(ctx.catch())).ok());
        let what = match name.unwrap_or_default() {
            name if name.is_empty() => "this".to_owned(),
            name => format!("{name}()"),
        };
        Err(errors::throw_type_error(&ctx, &refusal(&what, &refused)))
    }
}

fn refusal(what: &str, error: &Error) -> String {
    match error {
        Error::MissingArgs { expected: 1, .. } => format!("{what} needs an argument"),
        Error::MissingArgs { expected, given } => format!("{what} needs {expected} arguments, not {given}"),
        // Only classes are capitalized, and only `this` is of a class.
        Error::FromJs { from, to, .. } if to.starts_with(|c: char| c.is_ascii_uppercase()) => {
            format!("{what} belongs to a {to}, and cannot be used with {}", described(from))
        }
        Error::FromJs { from, to, .. } => format!("{what} needs {}, not {}", described(to), described(from)),
        other => other.to_string(),
    }
}

/// The name of an engine's type in terms of JavaScript.
pub fn described(kind: &str) -> String {
    match kind {
        "undefined" | "null" => kind.to_owned(),
        "bool" => "a boolean".to_owned(),
        "int" | "float" => "a number".to_owned(),
        kind if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}

unsafe extern "C" {
    fn JS_DefineBoundMethod(ctx: *mut qjs::JSContext, proto: qjs::JSValue, func: qjs::JSValue) -> c_int;
}

/// Adds a method to a prototype that scripts may pass on without its object: `setTimeout(socket.destroy, 100)`, `const
/// { write } = socket`.
pub fn bound_method<'js>(prototype: &Object<'js>, method: &Function<'js>) -> rquickjs::Result<()> {
    let ctx = prototype.ctx();
    // SAFETY: both are objects of this context, and alive; the engine takes references of its own.
    match unsafe { JS_DefineBoundMethod(ctx.as_raw().as_ptr(), prototype.as_raw(), method.as_raw()) } {
        0.. => Ok(()),
        _ => Err(Error::Exception),
    }
}

/// The number of the class of an object in the engine.
pub fn class_id(value: &Value<'_>) -> u32 {
    // SAFETY: it only looks at the tag and the class of a live value.
    unsafe { qjs::JS_GetClassID(value.as_raw()) }
}

/// Lets values of a type be kept in the userdata of a context.
///
/// The type has no lifetime, so it holds no JavaScript value that is bound to one; what it keeps of a script is
/// [`Persistent`](rquickjs::Persistent).
#[macro_export]
macro_rules! userdata {
    ($type:ty) => {
        // SAFETY: a type that is `'static` holds nothing that is bound to `'js`.
        unsafe impl<'js> ::rquickjs::JsLifetime<'js> for $type {
            type Changed<'to> = $type;
        }
        const _: fn() = || {
            fn is_static<T: 'static>() {}
            is_static::<$type>();
        };
    };
}

/// Makes a type without a lifetime a class of scripts: its name, what makes its prototype, and, if scripts can construct it,
/// what makes its constructor.
#[macro_export]
macro_rules! native_class {
    ($type:ty, $name:expr, $prototype:expr) => {
        $crate::native_class!($type, $name, $prototype, |_| Ok(None));
    };
    ($type:ty, $name:expr, $prototype:expr, $constructor:expr) => {
        $crate::userdata!($type);

        impl<'js> ::rquickjs::class::Trace<'js> for $type {
            fn trace<'a>(&self, _: ::rquickjs::class::Tracer<'a, 'js>) {}
        }

        impl<'js> ::rquickjs::class::JsClass<'js> for $type {
            const NAME: &'static str = $name;
            type Mutable = ::rquickjs::class::Readable;

            fn prototype(ctx: &::rquickjs::Ctx<'js>) -> ::rquickjs::Result<Option<::rquickjs::Object<'js>>> {
                let prototype: fn(&::rquickjs::Ctx<'js>) -> ::rquickjs::Result<::rquickjs::Object<'js>> =
                    $prototype;
                prototype(ctx).map(Some)
            }

            fn constructor(
                ctx: &::rquickjs::Ctx<'js>,
            ) -> ::rquickjs::Result<Option<::rquickjs::function::Constructor<'js>>> {
                let constructor: fn(
                    &::rquickjs::Ctx<'js>,
                )
                    -> ::rquickjs::Result<Option<::rquickjs::function::Constructor<'js>>> = $constructor;
                constructor(ctx)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use rquickjs::function::This;
    use rquickjs::object::Accessor;
    use rquickjs::{Class, Function};

    use super::*;
    use crate::testing::{run, with_context};

    struct Decoder;

    crate::native_class!(Decoder, "Decoder", |ctx| Object::new(ctx.clone()));

    fn set<'js, P: 'js>(ctx: &Ctx<'js>, name: &str, call: impl IntoJsFunc<'js, P> + 'js) {
        ctx.globals().set(name, function(ctx, call).unwrap().with_name(name).unwrap()).unwrap();
    }

    #[test]
    fn refusals_name_the_function_and_what_it_needs() {
        with_context(|ctx| {
            set(ctx, "two", |_: Value<'_>, _: Value<'_>| ());
            set(ctx, "each", |call: Function<'_>| call.call::<_, ()>(()));
            set(ctx, "decoded", |_: This<Class<'_, Decoder>>| ());
            let getter = Accessor::from(Checked(|_: This<Class<'_, Decoder>>| 1));
            ctx.globals().prop("encoding", getter).unwrap();
            for (code, expected) in [
                ("two(1)", "TypeError: two() needs 2 arguments, not 1"),
                ("each()", "TypeError: each() needs an argument"),
                ("each(5)", "TypeError: each() needs a function, not a number"),
                ("each(() => { throw new RangeError('mine') })", "RangeError: mine"),
                ("decoded()", "TypeError: decoded() belongs to a Decoder, and cannot be used with undefined"),
                (
                    "globalThis.encoding",
                    "TypeError: this belongs to a Decoder, and cannot be used with an object",
                ),
                (
                    "Object.defineProperty(two, 'name', { get() { throw 1 } }); two()",
                    "TypeError: this needs 2 arguments, not 0",
                ),
                ("return [two.length, each.name, each.length]", "2,each,1"),
            ] {
                assert_eq!(run(ctx, code), expected, "{code}");
            }
        });
    }
}
