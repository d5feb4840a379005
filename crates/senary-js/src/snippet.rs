//! JavaScript that is part of the program, for what is easier to write in the language than with its engine's API.
//!
//! It is compiled once per process and evaluated once in each context that needs it.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use rquickjs::{Ctx, Function, JsLifetime, Object, Value};

use crate::bytecode;

/// A script of the program's own, kept in a `static`.
pub struct Snippet {
    /// What stack traces call the script.
    name: &'static str,
    code: &'static str,
    bytecode: OnceLock<Arc<[u8]>>,
}

impl Snippet {
    pub const fn new(name: &'static str, code: &'static str) -> Self {
        Self { name, code, bytecode: OnceLock::new() }
    }

    /// Runs it, and gives back its completion value.
    pub fn evaluate<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        bytecode::evaluate_script(ctx, self.name, self.code, &self.bytecode)
    }
}

/// A script that makes one value out of the natives it is given: a function, or an object of what belongs together.
pub struct Part {
    snippet: Snippet,
    natives: for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>,
}

/// The parts that were made in a context.
#[derive(Default)]
struct Made<'js>(RefCell<Vec<(&'static str, Value<'js>)>>);

// SAFETY: the lifetime is that of the values, and of nothing else.
unsafe impl<'js> JsLifetime<'js> for Made<'js> {
    type Changed<'to> = Made<'to>;
}

impl Part {
    pub const fn new(
        name: &'static str,
        code: &'static str,
        natives: for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>,
    ) -> Self {
        Self { snippet: Snippet::new(name, code), natives }
    }

    /// What the script makes; it runs once in each context.
    pub fn value<'js>(&'static self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        if let Some(value) = self.known(ctx) {
            return Ok(value);
        }
        let make = self.snippet.evaluate(ctx)?;
        let value: Value<'js> = make.get::<Function<'js>>()?.call(((self.natives)(ctx)?,))?;
        if ctx.userdata::<Made<'js>>().is_none() {
            // Refused only while some of it is being read; then the part is made again when it is needed again.
            let _ = ctx.store_userdata(Made::default());
        }
        if let Some(made) = ctx.userdata::<Made<'js>>() {
            made.0.borrow_mut().push((self.snippet.name, value.clone()));
        }
        Ok(value)
    }

    fn known<'js>(&self, ctx: &Ctx<'js>) -> Option<Value<'js>> {
        let made = ctx.userdata::<Made<'js>>()?;
        made.0.borrow().iter().find(|(name, _)| *name == self.snippet.name).map(|(_, value)| value.clone())
    }

    /// One of the things that the script makes.
    pub fn member<'js>(&'static self, ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Value<'js>> {
        self.value(ctx)?.get::<Object<'js>>()?.get(name)
    }
}
