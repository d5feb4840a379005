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

use self::metrics::TcpMetrics;
use crate::errors;
use crate::modules::connection::error;
use crate::vu::core::vu_of;

/// Makes a VU ready for sockets: registers their metrics, and the class of their errors.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    if TcpMetrics::of(ctx).is_some() {
        return Ok(());
    }
    TcpMetrics::install(ctx, &vu_of(ctx)?.registry)
        .map_err(|e| errors::throw_go_error(ctx, &e.to_string()))?;
    error::install(ctx)
}
