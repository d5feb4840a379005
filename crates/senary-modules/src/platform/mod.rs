//! Globals that browsers and Node have and the reference does not: `URL`, events, `structuredClone()`, `Intl`. What
//! needs no native code is written in JavaScript.
//!
//! A script that uses none of it does not pay for it: each global is made when it is first looked at.

mod clone;
mod events;
mod intl;
mod url;

use rquickjs::Ctx;
use senary_js::lazy::{self, Lazy};

/// Defines the globals.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    for (name, value) in GLOBALS {
        lazy::global(ctx, name, value)?;
    }
    intl::install(ctx)
}

/// The globals by name. Globals that belong together come from one part, so that they can use each other.
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

#[cfg(test)]
mod tests;
