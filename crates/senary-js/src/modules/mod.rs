//! The modules scripts import from `k6` and `k6/...`, and the globals every script has.

pub mod crypto;
pub mod crypto_x509;
pub mod data;
pub mod encoding;
pub mod execution;
pub(crate) mod experimental;
pub(crate) mod frozen;
mod html;
pub mod k6;
pub mod lazy;
pub mod metrics;
mod missing;
pub mod phase;
pub mod secrets;
pub mod text_codec;
pub mod timers;
pub mod webcrypto;
pub mod x_tcp;

use rquickjs::{Ctx, Object};

pub use missing::why_missing;

/// Builds a module's exports in a context.
pub type Exports = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>;

/// The native module of that name.
pub fn exports_of(name: &str) -> Option<Exports> {
    Some(match name {
        "k6" => k6::exports,
        "k6/crypto" => crypto::exports,
        "k6/crypto/x509" => crypto_x509::exports,
        "k6/data" => data::exports,
        "k6/encoding" => encoding::exports,
        "k6/execution" => execution::exports,
        "k6/experimental/csv" => experimental::csv::exports,
        "k6/experimental/fs" => experimental::fs::exports,
        "k6/experimental/streams" => experimental::streams::exports,
        "k6/html" => html::exports,
        "k6/metrics" => metrics::exports,
        "k6/secrets" => secrets::exports,
        "k6/timers" => timers::exports,
        x_tcp::NAME => x_tcp::exports,
        _ => return None,
    })
}

/// Defines the globals of a context.
pub fn install_globals(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    crate::errors::install(ctx)?;
    crate::console::install(ctx)?;
    text_codec::install(ctx)?;
    webcrypto::install(ctx)?;
    timers::install(ctx)
}
