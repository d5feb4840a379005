//! The TCP socket of scripts.
//!
//! One file per concern: `class` (its methods and properties), `target` (the peer that a connect names), `core` (its
//! state), `io` (the wire), `events` (what script is told), `metrics`.

pub mod class;
mod core;
mod events;
mod io;
mod metrics;
mod target;

use rquickjs::Ctx;
use senary_js::errors;
use senary_js::vu::core::vu_of;

use self::metrics::TcpMetrics;
use crate::connection::error;

/// Makes a VU ready for sockets: registers their metrics, and the class of their errors.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    if TcpMetrics::of(ctx).is_some() {
        return Ok(());
    }
    TcpMetrics::install(ctx, &vu_of(ctx)?.registry)
        .map_err(|e| errors::throw_go_error(ctx, &e.to_string()))?;
    error::install(ctx)
}
