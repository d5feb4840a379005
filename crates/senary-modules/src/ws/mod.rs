//! `k6/ws`: sessions that block the VU until they are over.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-ws/>)
//!
//! `connect` (the one function), `socket` (what it hands to script, and who listens), `conversation` (what wakes it).

mod connect;
mod conversation;
mod socket;

use rquickjs::{Ctx, Object};
use senary_js::native;
use senary_js::natives::NativeModule;

pub const MODULE: NativeModule = NativeModule { opens_files: true, ..NativeModule::new("k6/ws", exports) };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("connect", native::function(ctx, connect::connect)?.with_name("connect")?)?;
    Ok(module)
}
