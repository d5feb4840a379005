//! Objects of which scripts get many, all with the same properties. They are made after a model in one step: setting one property
//! after the other looks up each name, and each shape on the way.

use std::cell::RefCell;
use std::ffi::c_int;
use std::ptr;

use rquickjs::{Ctx, Error, JsLifetime, Object, Value, qjs};

/// Makes an object with the properties that all are to have, in their order, and with the same prototype. They are plain
/// values or made on first use ([`lazy`](crate::lazy)), and are only added, never changed or deleted.
pub type Make = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>;

/// What objects are made after; there is one in each context. Kept in a `static`.
pub struct Model {
    make: Make,
}

/// The value of a property.
pub enum Field<'a, 'js> {
    /// That of the model; if that one is made on first use, so is this one.
    OfModel,
    Int(i32),
    Float(f64),
    Text(&'a str),
    Value(Value<'js>),
}

unsafe extern "C" {
    fn JS_FillFromModel(
        ctx: *mut qjs::JSContext,
        object: qjs::JSValue,
        model: qjs::JSValue,
        count: c_int,
        values: *mut qjs::JSValue,
    ) -> c_int;
}

/// The models that were made in a context.
#[derive(Default)]
struct Made<'js>(RefCell<Vec<(*const Model, Object<'js>)>>);

// SAFETY: the lifetime is that of the objects, and of nothing else.
unsafe impl<'js> JsLifetime<'js> for Made<'js> {
    type Changed<'to> = Made<'to>;
}

impl Model {
    pub const fn new(make: Make) -> Self {
        Self { make }
    }

    /// A plain object of these values; there are as many as the model has properties.
    pub fn object<'js, const N: usize>(
        &'static self,
        ctx: &Ctx<'js>,
        values: [Field<'_, 'js>; N],
    ) -> rquickjs::Result<Object<'js>> {
        let object = Object::new(ctx.clone())?;
        self.fill(&object, values)?;
        Ok(object)
    }

    /// Gives these values to an object that has no properties yet.
    pub fn fill<'js, const N: usize>(
        &'static self,
        object: &Object<'js>,
        values: [Field<'_, 'js>; N],
    ) -> rquickjs::Result<()> {
        let ctx = object.ctx();
        let model = self.of(ctx)?;
        let mut raw = values.map(|value| value.into_raw(ctx));
        // SAFETY: both objects are of this context, and alive; there are as many values as the call is told, and it takes over
        // the reference to each of them, whatever comes of it.
        let filled = unsafe {
            let context = ctx.as_raw().as_ptr();
            JS_FillFromModel(context, object.as_raw(), model.as_raw(), N as c_int, raw.as_mut_ptr())
        };
        if filled < 0 { Err(Error::Exception) } else { Ok(()) }
    }

    fn of<'js>(&'static self, ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
        if let Some(made) = ctx.userdata::<Made<'js>>()
            && let Some((_, object)) = made.0.borrow().iter().find(|(model, _)| ptr::eq(*model, self))
        {
            return Ok(object.clone());
        }
        let object = (self.make)(ctx)?;
        if ctx.userdata::<Made<'js>>().is_none() {
            // Refused only while some of it is being read; then the model is made again when it is needed again.
            let _ = ctx.store_userdata(Made::default());
        }
        if let Some(made) = ctx.userdata::<Made<'js>>() {
            made.0.borrow_mut().push((self, object.clone()));
        }
        Ok(object)
    }
}

impl<'js> Field<'_, 'js> {
    /// A reference that is nobody's yet.
    fn into_raw(self, ctx: &Ctx<'js>) -> qjs::JSValue {
        let context = ctx.as_raw().as_ptr();
        match self {
            Self::OfModel => qjs::JS_UNINITIALIZED,
            Self::Int(value) => qjs::JS_MKVAL(qjs::JS_TAG_INT, value),
            Self::Float(value) => qjs::JS_NewFloat64(value),
            // SAFETY: the context is alive, and the text is copied. If there is no memory for it, the engine throws that, and
            // fills nothing.
            Self::Text(text) => unsafe {
                qjs::JS_NewStringLen(context, text.as_ptr().cast(), text.len() as _)
            },
            // SAFETY: the value is alive.
            Self::Value(value) => unsafe { qjs::JS_DupValue(context, value.as_raw()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lazy::{self, Lazy};
    use crate::testing::{run, with_context};

    static SUM: Lazy = Lazy::of_object(|object| {
        let ctx = object.ctx().clone();
        let sum = object.get::<_, i32>("a")? + object.get::<_, i32>("b")?;
        Ok(Value::new_int(ctx, sum))
    });

    static PAIR: Model = Model::new(|ctx| {
        let object = Object::new(ctx.clone())?;
        object.set("a", 0)?;
        object.set("b", 40)?;
        lazy::property(&object, "sum", &SUM)?;
        object.set("text", "")?;
        object.set("half", 0)?;
        Ok(object)
    });

    fn pair<'js>(ctx: &Ctx<'js>, a: i32) -> Object<'js> {
        let text = Field::Text("ü");
        PAIR.object(ctx, [Field::Int(a), Field::OfModel, Field::OfModel, text, Field::Float(0.5)]).unwrap()
    }

    #[test]
    fn objects_have_values_of_their_own_and_those_of_the_model() {
        with_context(|ctx| {
            ctx.globals().set("one", pair(ctx, 1)).unwrap();
            ctx.globals().set("two", pair(ctx, 2)).unwrap();
            let json = r#"{"a":1,"b":40,"sum":41,"text":"ü","half":0.5}"#;
            assert_eq!(run(ctx, "return JSON.stringify(one)"), json);
            assert_eq!(run(ctx, "two.a = 7; two.c = 5; delete two.b; two.b = 1; return two.sum"), "8");
            assert_eq!(run(ctx, "return JSON.stringify(one)"), json);
            assert_eq!(run(ctx, "return Object.keys(two).join()"), "a,sum,text,half,c,b");
            ctx.globals().set("three", pair(ctx, 3)).unwrap();
            assert_eq!(run(ctx, "three.sum = 'given'; return three.sum + three.b"), "given40");
            assert_eq!(run(ctx, "return { ...one }.sum + Object.values(one).length"), "46");
        });
    }

    #[test]
    fn only_what_is_like_the_model_is_filled() {
        with_context(|ctx| {
            let values =
                || [Field::Int(1), Field::Text("lost"), Field::OfModel, Field::OfModel, Field::OfModel];
            let used = pair(ctx, 1);
            assert!(PAIR.fill(&used, values()).is_err());
            ctx.catch();
            let other: Object<'_> = ctx.eval("Object.create(null)").unwrap();
            assert!(PAIR.fill(&other, values()).is_err());
            ctx.catch();
            assert!(PAIR.object(ctx, [Field::OfModel]).is_err());
            ctx.catch();
            // A value cannot take the place of one that is made on first use.
            let too_much = [Field::OfModel, Field::OfModel, Field::Int(1), Field::OfModel, Field::OfModel];
            assert!(PAIR.object(ctx, too_much).is_err());
            ctx.catch();
            assert_eq!(pair(ctx, 2).get::<_, i32>("sum").unwrap(), 42);
        });
    }
}
