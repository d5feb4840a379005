//! The TCP socket of scripts.
//!
//! One file per concern. Every socket: `class` (its methods and properties), `target` (the peer that a connect names),
//! `core` (its state), `io` (the wire), `send` (bytes on their way), `events` (what script is told), `clues` (what its peer
//! did), `metrics`. Of `senary/tcp` besides: `extended_class` and `extended` (its methods, its state), `socket_options` and
//! `connect_options`, `framing` and `patterns` (what the script gives), `inbound` (received bytes), `items` (what is taken out of
//! them), `delivery` (who gets a message), `encoding`, `request_calls`, `requests`, `replies` and `request_series`, `tls` and `start_tls`,
//! `half_close` (how it ends), `throttle`, `tcp_info` and `latency` (what is measured), `pump` and its parts.

pub mod class;
mod clues;
mod connect_options;
mod core;
mod delivery;
mod encoding;
mod events;
mod extended;
pub mod extended_class;
mod framing;
mod half_close;
mod inbound;
mod io;
mod items;
mod latency;
mod metrics;
mod patterns;
mod pump;
mod pump_flights;
mod pump_latency;
mod pump_message;
mod pump_options;
mod pump_outbound;
mod pump_result;
mod pump_run;
mod pump_schedule;
mod replies;
mod request_calls;
mod request_series;
mod requests;
mod send;
mod socket_options;
mod start_tls;
mod target;
mod tcp_info;
mod throttle;
mod tls;

use rquickjs::{Ctx, Object};
use senary_js::errors;
use senary_js::natives::NativeModule;
use senary_js::vu::core::vu_of;

pub use self::framing::of_json as framing_of_json;
use self::metrics::TcpMetrics;
use crate::connection::error;

/// `senary/tcp`.
pub const MODULE: NativeModule =
    NativeModule { opens_files: true, ..NativeModule::new("senary/tcp", exports) };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    install(ctx)?;
    let module = Object::new(ctx.clone())?;
    module.set("Socket", extended_class::constructor(ctx)?)?;
    Ok(module)
}

/// Makes a VU ready for sockets: registers their metrics, and the class of their errors.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    if TcpMetrics::of(ctx).is_some() {
        return Ok(());
    }
    TcpMetrics::install(ctx, &vu_of(ctx)?.registry)
        .map_err(|e| errors::throw_go_error(ctx, &e.to_string()))?;
    error::install(ctx)
}
