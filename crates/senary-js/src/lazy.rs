//! Properties whose value is made when a script first looks at it. Until then such a property takes no memory of its
//! own, so a virtual user that never uses a global does not pay for it.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rquickjs::{Ctx, Error, Object, Value, qjs};

use crate::errors;

/// Makes the value of a property.
pub type Make = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Value<'js>>;

/// Makes the value of a property out of the object that has it.
pub type MakeOf = for<'js> fn(&Object<'js>) -> rquickjs::Result<Value<'js>>;

/// A value that is made when it is first looked at. The engine keeps its address, so it is a `static`.
#[repr(C)]
pub struct Lazy {
    /// What the engine calls; it must come first.
    engine: qjs::JSLazyValue,
    maker: Maker,
}

enum Maker {
    Alone(Make),
    OfObject(MakeOf),
}

impl Lazy {
    pub const fn of(make: Make) -> Self {
        Self::by(Maker::Alone(make))
    }

    /// For a property of many objects, whose values differ.
    pub const fn of_object(make: MakeOf) -> Self {
        Self::by(Maker::OfObject(make))
    }

    const fn by(maker: Maker) -> Self {
        Self { engine: qjs::JSLazyValue { make: Some(make_value) }, maker }
    }
}

/// Defines a global that is made when it is first read; assigning to it replaces it, as with any global.
pub fn global(ctx: &Ctx<'_>, name: &str, value: &'static Lazy) -> rquickjs::Result<()> {
    property(&ctx.globals(), name, value)
}

/// Defines such a property of an object; enumerable, as the globals of the web are.
pub fn property(object: &Object<'_>, name: &str, value: &'static Lazy) -> rquickjs::Result<()> {
    define(object, name, value, qjs::JS_PROP_C_W_E)
}

/// Defines such a property of an object; not enumerable, as what the language itself has.
pub fn hidden(object: &Object<'_>, name: &str, value: &'static Lazy) -> rquickjs::Result<()> {
    define(object, name, value, qjs::JS_PROP_CONFIGURABLE | qjs::JS_PROP_WRITABLE)
}

fn define(object: &Object<'_>, name: &str, value: &'static Lazy, flags: u32) -> rquickjs::Result<()> {
    let ctx = object.ctx();
    let flags = flags as c_int;
    // SAFETY: the object belongs to this entered context and outlives the call; the name is copied; the value lives for
    // ever, and the engine reads nothing of it but its first field, which has the layout it expects.
    let defined = unsafe {
        let context = ctx.as_raw().as_ptr();
        let name = qjs::JS_NewAtomLen(context, name.as_ptr().cast(), name.len() as _);
        let defined =
            qjs::JS_DefineLazyProperty(context, object.as_raw(), name, &raw const value.engine, flags);
        qjs::JS_FreeAtom(context, name);
        defined
    };
    if defined < 0 { Err(Error::Exception) } else { Ok(()) }
}

/// Called by the engine when a script looks at a property for the first time.
unsafe extern "C" fn make_value(
    raw: *mut qjs::JSContext,
    value: *const qjs::JSLazyValue,
    object: qjs::JSValue,
) -> qjs::JSValue {
    // SAFETY: the engine calls with a live, entered context, and with the address that `define` gave it: the first
    // field of a `Lazy` that lives for ever, whose layout is C's.
    let (ctx, maker) = unsafe {
        let Some(raw) = std::ptr::NonNull::new(raw) else { return qjs::JS_UNDEFINED };
        (Ctx::from_raw(raw), &(*value.cast::<Lazy>()).maker)
    };
    // A panic must not cross the engine.
    let made = catch_unwind(AssertUnwindSafe(|| match maker {
        Maker::Alone(make) => make(&ctx),
        // SAFETY: the object is alive; it lives on for as long as the reference that is taken here.
        Maker::OfObject(make) => {
            let object =
                unsafe { Value::from_raw(ctx.clone(), qjs::JS_DupValue(ctx.as_raw().as_ptr(), object)) };
            make(&object.get()?)
        }
    }));
    let error = match made {
        // SAFETY: the engine takes over the reference that is handed out here.
        Ok(Ok(value)) => return unsafe { qjs::JS_DupValue(ctx.as_raw().as_ptr(), value.as_raw()) },
        Ok(Err(error)) => error,
        Err(_) => errors::throw_error(&ctx, "a value could not be made"),
    };
    if !matches!(error, Error::Exception) {
        errors::throw_error(&ctx, &error.to_string());
    }
    qjs::JS_EXCEPTION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, with_context};

    static LAZY: Lazy = Lazy::of(make);

    fn make<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        ctx.eval("globalThis.made = (globalThis.made || 0) + 1; ({})")
    }

    #[test]
    fn is_made_once_and_only_when_read() {
        with_context(|ctx| {
            global(ctx, "lazy", &LAZY).unwrap();
            assert_eq!(run(ctx, "return typeof made"), "undefined");
            assert_eq!(run(ctx, "return (lazy === lazy) + typeof lazy + made"), "trueobject1");
        });
    }

    #[test]
    fn can_be_replaced_and_defined_again() {
        with_context(|ctx| {
            global(ctx, "lazy", &LAZY).unwrap();
            assert_eq!(run(ctx, "lazy = 5; return lazy"), "5");
            global(ctx, "lazy", &LAZY).unwrap();
            assert_eq!(run(ctx, "return typeof lazy"), "object");
            assert_eq!(run(ctx, "delete globalThis.lazy; return typeof lazy"), "undefined");
            run(ctx, "Object.defineProperty(globalThis, 'lazy', { value: 1 })");
            assert!(global(ctx, "lazy", &LAZY).is_err());
            ctx.catch();
        });
    }

    #[test]
    fn looks_like_any_property() {
        with_context(|ctx| {
            global(ctx, "lazy", &LAZY).unwrap();
            let shape = "const { value, ...rest } = Object.getOwnPropertyDescriptor(globalThis, 'lazy'); return typeof value + JSON.stringify(rest)";
            assert_eq!(run(ctx, shape), r#"object{"writable":true,"enumerable":true,"configurable":true}"#);
        });
    }

    /// The object may have got more properties meanwhile, or the property itself another value.
    #[test]
    fn making_may_change_the_object() {
        static BUSY: Lazy =
            Lazy::of(|ctx| ctx.eval("for (let i = 0; i < 500; i++) globalThis[`g${i}`] = i; 'made'"));
        static ITSELF: Lazy = Lazy::of(|ctx| ctx.eval("globalThis.itself = 'by hand'; 'made'"));
        static GONE: Lazy = Lazy::of(|ctx| ctx.eval("delete globalThis.gone; 'made'"));
        with_context(|ctx| {
            global(ctx, "busy", &BUSY).unwrap();
            assert_eq!(run(ctx, "return busy + g0 + g499"), "made0499");
            global(ctx, "gone", &GONE).unwrap();
            assert_eq!(run(ctx, "return typeof gone"), "undefined");
            global(ctx, "itself", &ITSELF).unwrap();
            assert!(run(ctx, "return itself").contains("rror"));
        });
    }

    #[test]
    fn what_could_not_be_made_is_asked_for_again() {
        static FAILS: Lazy = Lazy::of(|ctx| {
            ctx.eval("globalThis.tries = (globalThis.tries ?? 0) + 1; if (tries < 3) throw new RangeError('not yet'); 'made'")
        });
        static PANICS: Lazy = Lazy::of(|_| panic!("on purpose"));
        with_context(|ctx| {
            global(ctx, "fails", &FAILS).unwrap();
            assert_eq!(run(ctx, "return fails"), "RangeError: not yet");
            assert_eq!(run(ctx, "return fails"), "RangeError: not yet");
            assert_eq!(run(ctx, "return fails + tries"), "made3");
            global(ctx, "panics", &PANICS).unwrap();
            assert_eq!(run(ctx, "return panics"), "Error: a value could not be made");
        });
    }

    #[test]
    fn costs_nothing_until_it_is_made() {
        let runtime = rquickjs::Runtime::new().unwrap();
        let context = rquickjs::Context::full(&runtime).unwrap();
        let fill = |lazily: bool| {
            context.with(|ctx| {
                for name in 0..64 {
                    let name = format!("p{name}");
                    let defined =
                        if lazily { global(&ctx, &name, &LAZY) } else { ctx.globals().set(name, 1) };
                    defined.unwrap();
                }
            });
            runtime.memory_usage().malloc_size
        };
        // In the place of a property that was there already it takes nothing at all.
        let before = fill(false);
        assert!(fill(true) <= before + 64);
    }
}
