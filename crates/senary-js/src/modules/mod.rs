//! The modules scripts import from `k6` and `k6/...`, and the globals every script has.

mod connection;
pub mod crypto;
pub mod crypto_x509;
pub mod data;
pub mod encoding;
pub mod execution;
pub(crate) mod experimental;
mod html;
pub mod k6;
pub mod metrics;
mod missing;
mod platform;
pub mod secrets;
mod tcp;
pub mod text_codec;
pub mod timers;
pub mod webcrypto;
mod x_tcp;

use rquickjs::{Ctx, Object};

pub use missing::why_missing;

/// Builds a module's exports in a context.
pub type Exports = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>;

/// A module that scripts import by its name and that is part of the program.
pub struct NativeModule {
    pub name: &'static str,
    pub exports: Exports,
    /// Scripts hold files of the operating system open by it: connections count as such.
    pub opens_files: bool,
}

/// All native modules. A new module is a folder or a file, and a line here.
static MODULES: &[NativeModule] = &[
    plain("k6", k6::exports),
    plain("k6/crypto", crypto::exports),
    plain("k6/crypto/x509", crypto_x509::exports),
    plain("k6/data", data::exports),
    plain("k6/encoding", encoding::exports),
    plain("k6/execution", execution::exports),
    plain("k6/experimental/csv", experimental::csv::exports),
    plain("k6/experimental/fs", experimental::fs::exports),
    plain("k6/experimental/streams", experimental::streams::exports),
    plain("k6/html", html::exports),
    plain("k6/metrics", metrics::exports),
    plain("k6/secrets", secrets::exports),
    plain("k6/timers", timers::exports),
    x_tcp::MODULE,
];

const fn plain(name: &'static str, exports: Exports) -> NativeModule {
    NativeModule { name, exports, opens_files: false }
}

/// The native module of that name.
pub fn native(name: &str) -> Option<&'static NativeModule> {
    MODULES.iter().find(|module| module.name == name)
}

/// Defines the globals of a context.
pub fn install_globals(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    crate::globals::install_go_error(ctx)?;
    crate::console::install(ctx)?;
    text_codec::install(ctx)?;
    webcrypto::install(ctx)?;
    platform::install(ctx)?;
    timers::install(ctx)
}
