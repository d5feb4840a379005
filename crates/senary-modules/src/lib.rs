//! The modules scripts import from `k6` and `k6/...`, and the globals every script has.
//!
//! The runtime (`senary-js`) knows none of them: the binary passes [`natives`] to it.
// A module that is missing in the table is dead code.
#![deny(dead_code)]

mod connection;
mod crypto;
mod crypto_x509;
mod data;
mod encoding;
mod execution;
mod experimental;
#[cfg(fuzzing)]
pub mod fuzzing;
mod go_url;
mod go_value;
mod html;
mod http;
mod k6;
mod metrics;
mod missing;
mod platform;
pub mod secrets;
mod tcp;
#[cfg(test)]
mod testing;
mod text_codec;
mod timers;
mod webcrypto;
mod websocket;
mod websockets;
mod ws;
mod x_tcp;

use rquickjs::Ctx;
use senary_js::natives::{NativeModule, NativeModules, Natives};

use self::data::SharedArrays;
use self::http::HttpShared;
use self::secrets::Secrets;
pub use self::tcp::framing_of_json;

/// All native modules. A new module is a folder or a file, and a line here.
static TABLE: &[NativeModule] = &[
    NativeModule::new("k6", k6::exports),
    NativeModule::new("k6/crypto", crypto::exports),
    NativeModule::new("k6/crypto/x509", crypto_x509::exports),
    NativeModule::new("k6/data", data::exports),
    NativeModule::new("k6/encoding", encoding::exports),
    NativeModule::new("k6/execution", execution::exports),
    NativeModule::new("k6/experimental/csv", experimental::csv::exports),
    NativeModule::new("k6/experimental/fs", experimental::fs::exports),
    NativeModule::new("k6/experimental/streams", experimental::streams::exports),
    NativeModule::new("k6/html", html::exports),
    http::MODULE,
    NativeModule::new("k6/metrics", metrics::exports),
    NativeModule::new("k6/secrets", secrets::exports),
    NativeModule::new("k6/timers", timers::exports),
    websockets::EXPERIMENTAL,
    websockets::MODULE,
    ws::MODULE,
    x_tcp::MODULE,
    tcp::MODULE,
];

/// What scripts can import.
pub static MODULES: NativeModules = NativeModules::new(TABLE, missing::why_missing);

/// The modules and globals of one test, which has these secrets.
pub fn natives(secrets: Secrets) -> Natives {
    let shared_arrays = SharedArrays::default();
    let http = HttpShared::default();
    Natives::new(MODULES, move |ctx| {
        shared_arrays.install(ctx);
        secrets.install(ctx);
        http.install(ctx);
        install_globals(ctx)
    })
}

fn install_globals(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    text_codec::install(ctx)?;
    webcrypto::install(ctx)?;
    platform::install(ctx)?;
    timers::install(ctx)
}
