//! `k6/websockets`: the `WebSocket` of browsers on the event loop, and `Blob`.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-websockets/>)
//!
//! `class` (what scripts call), `options` (what they give to the constructor), `core` (the socket, and what it tells),
//! `listeners` (who is told), `blob`.

mod blob;
mod class;
mod core;
mod listeners;
mod options;

use rquickjs::{Class, Ctx, Object};
use senary_js::natives::NativeModule;

use self::blob::Blob;

pub const MODULE: NativeModule =
    NativeModule { opens_files: true, ..NativeModule::new("k6/websockets", exports) };

/// The same under the name it had before.
pub const EXPERIMENTAL: NativeModule =
    NativeModule { opens_files: true, ..NativeModule::new("k6/experimental/websockets", experimental) };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("WebSocket", class::constructor(ctx)?)?;
    Class::<Blob>::define(&module)?;
    Ok(module)
}

fn experimental<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    if senary_js::hints::is_due(ctx, "k6/experimental/websockets") {
        log::warn!(
            "k6/experimental/websockets is deprecated and will be removed in a future release. Please use k6/websockets instead."
        );
    }
    exports(ctx)
}
