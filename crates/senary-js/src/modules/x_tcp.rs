//! `k6/x/tcp`: the `Socket` class, as documented.

use rquickjs::{Class, Ctx, Object};

use super::NativeModule;
use super::tcp::{self, class::SocketObject};

pub const MODULE: NativeModule = NativeModule { name: "k6/x/tcp", exports, opens_files: true };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    tcp::install(ctx)?;
    let module = Object::new(ctx.clone())?;
    Class::<SocketObject<'_>>::define(&module)?;
    Ok(module)
}
