//! Properties that cost nothing until a script touches them: each is an accessor that replaces itself with its value.

use rquickjs::function::This;
use rquickjs::object::{Accessor, Property};
use rquickjs::{Ctx, Object, Value};

use crate::native::Checked;

/// Makes the value of a property.
pub type Make = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Value<'js>>;

/// Defines a global that is made when it is first read; assigning to it replaces it, as with any global.
pub fn global<'js>(ctx: &Ctx<'js>, name: &'static str, make: Make) -> rquickjs::Result<()> {
    property(&ctx.globals(), name, make)
}

/// Defines such a property of an object.
pub fn property<'js>(object: &Object<'js>, name: &'static str, make: Make) -> rquickjs::Result<()> {
    let get = move |ctx: Ctx<'js>, owner: This<Object<'js>>| {
        let value = make(&ctx)?;
        settle(&owner, name, value.clone())?;
        Ok::<_, rquickjs::Error>(value)
    };
    let set = move |owner: This<Object<'js>>, value: Value<'js>| settle(&owner, name, value);
    object.prop(name, Accessor::new(Checked(get), Checked(set)).configurable().enumerable())
}

fn settle<'js>(owner: &Object<'js>, name: &str, value: Value<'js>) -> rquickjs::Result<()> {
    owner.prop(name, Property::from(value).writable().configurable().enumerable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, with_context};

    fn make<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        ctx.eval("globalThis.made = (globalThis.made || 0) + 1; ({})")
    }

    #[test]
    fn is_made_once_and_only_when_read() {
        with_context(|ctx| {
            global(ctx, "lazy", make).unwrap();
            assert_eq!(run(ctx, "return typeof made"), "undefined");
            assert_eq!(run(ctx, "return (lazy === lazy) + typeof lazy + made"), "trueobject1");
        });
    }

    #[test]
    fn can_be_replaced_before_it_is_made() {
        with_context(|ctx| {
            global(ctx, "lazy", make).unwrap();
            assert_eq!(run(ctx, "lazy = 5; return lazy + typeof made"), "5undefined");
        });
    }

    #[test]
    fn costs_little_until_it_is_made() {
        let runtime = rquickjs::Runtime::new().unwrap();
        let context = rquickjs::Context::full(&runtime).unwrap();
        let before = runtime.memory_usage().malloc_size;
        context.with(|ctx| {
            for name in ["a", "b", "c", "d"] {
                global(&ctx, name, make).unwrap();
            }
        });
        let each = (runtime.memory_usage().malloc_size - before) / 4;
        assert!(each < 1024, "{each} bytes each");
    }
}
