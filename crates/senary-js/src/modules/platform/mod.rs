//! What browsers and Node have besides the language and the reference does not: `URL`, events, `structuredClone()`,
//! `Intl`. It is written in JavaScript where nothing in it is native.
//!
//! A script that uses none of it does not pay for it: each global is made when it is first looked at.

mod clone;
mod events;
mod intl;
mod url;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use rquickjs::{Ctx, Function, JsLifetime, Object, Value};

use super::lazy::{self, Lazy};
use crate::bytecode;

/// Defines the globals.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    for (name, value) in GLOBALS {
        lazy::global(ctx, name, value)?;
    }
    intl::install(ctx)
}

/// The globals by name. What belongs together comes out of one part, so that all of it knows each other.
static GLOBALS: &[(&str, Lazy)] = &[
    ("AbortController", Lazy::of(|ctx| events::PART.member(ctx, "AbortController"))),
    ("AbortSignal", Lazy::of(|ctx| events::PART.member(ctx, "AbortSignal"))),
    ("CustomEvent", Lazy::of(|ctx| events::PART.member(ctx, "CustomEvent"))),
    ("Event", Lazy::of(|ctx| events::PART.member(ctx, "Event"))),
    ("EventTarget", Lazy::of(|ctx| events::PART.member(ctx, "EventTarget"))),
    ("URL", Lazy::of(|ctx| url::PART.member(ctx, "URL"))),
    ("URLSearchParams", Lazy::of(|ctx| url::PART.member(ctx, "URLSearchParams"))),
    ("structuredClone", Lazy::of(|ctx| clone::PART.value(ctx))),
];

/// A script that makes one value out of the natives it is given: a function, or an object of what belongs together.
struct Part {
    /// What stack traces call the script.
    name: &'static str,
    code: &'static str,
    natives: for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>,
    bytecode: OnceLock<Arc<[u8]>>,
}

/// The parts that were made in a context.
#[derive(Default)]
struct Made<'js>(RefCell<Vec<(&'static str, Value<'js>)>>);

// SAFETY: the lifetime is that of the values, and of nothing else.
unsafe impl<'js> JsLifetime<'js> for Made<'js> {
    type Changed<'to> = Made<'to>;
}

impl Part {
    const fn new(
        name: &'static str,
        code: &'static str,
        natives: for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>,
    ) -> Self {
        Self { name, code, natives, bytecode: OnceLock::new() }
    }

    /// What the script makes; it runs once in each context.
    fn value<'js>(&'static self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        if let Some(value) = self.known(ctx) {
            return Ok(value);
        }
        let make = bytecode::evaluate_script(ctx, self.name, self.code, &self.bytecode)?;
        let value: Value<'js> = make.get::<Function<'js>>()?.call(((self.natives)(ctx)?,))?;
        if ctx.userdata::<Made<'js>>().is_none() {
            // Refused only while some of it is being read; then the part is made again when it is needed again.
            let _ = ctx.store_userdata(Made::default());
        }
        if let Some(made) = ctx.userdata::<Made<'js>>() {
            made.0.borrow_mut().push((self.name, value.clone()));
        }
        Ok(value)
    }

    fn known<'js>(&self, ctx: &Ctx<'js>) -> Option<Value<'js>> {
        let made = ctx.userdata::<Made<'js>>()?;
        made.0.borrow().iter().find(|(name, _)| *name == self.name).map(|(_, value)| value.clone())
    }

    /// One of the things that the script makes.
    fn member<'js>(&'static self, ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Value<'js>> {
        self.value(ctx)?.get::<Object<'js>>()?.get(name)
    }
}

#[cfg(test)]
mod tests;
