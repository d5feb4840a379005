//! `k6/x/tcp`: the `Socket` class, as documented.

use rquickjs::{Class, Ctx, Object};
use senary_js::natives::NativeModule;

use super::tcp::{self, class::SocketObject};

pub const MODULE: NativeModule = NativeModule { opens_files: true, ..NativeModule::new("k6/x/tcp", exports) };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    tcp::install(ctx)?;
    let module = Object::new(ctx.clone())?;
    Class::<SocketObject<'_>>::define(&module)?;
    Ok(module)
}
