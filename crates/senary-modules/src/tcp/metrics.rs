//! The metrics of `k6/x/tcp`, and where a VU keeps them.

use rquickjs::{Ctx, JsLifetime};
use senary_metrics::{MetricId, MetricType, Registry, ValueType, registry::RegistryError};

/// The metrics of `k6/x/tcp`; registered when a script first imports the module.
#[derive(Clone, Copy, Debug)]
pub struct TcpMetrics {
    pub sockets: MetricId,
    pub resolving: MetricId,
    pub connecting: MetricId,
    pub tls_handshaking: MetricId,
    pub duration: MetricId,
    pub reads: MetricId,
    pub writes: MetricId,
    pub errors: MetricId,
    pub timeouts: MetricId,
    pub partial_writes: MetricId,
}

// SAFETY: it holds no JavaScript value.
unsafe impl<'js> JsLifetime<'js> for TcpMetrics {
    type Changed<'to> = TcpMetrics;
}

impl TcpMetrics {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let counter = |name| registry.get_or_register(name, MetricType::Counter, ValueType::Default);
        let time = |name| registry.get_or_register(name, MetricType::Trend, ValueType::Time);
        Ok(Self {
            sockets: counter("tcp_sockets")?,
            resolving: time("tcp_socket_resolving")?,
            connecting: time("tcp_socket_connecting")?,
            tls_handshaking: time("tcp_tls_handshaking")?,
            duration: time("tcp_socket_duration")?,
            reads: counter("tcp_reads")?,
            writes: counter("tcp_writes")?,
            errors: counter("tcp_errors")?,
            timeouts: counter("tcp_timeouts")?,
            partial_writes: counter("tcp_partial_writes")?,
        })
    }

    /// Registers the metrics, and keeps them with the VU.
    pub fn install(ctx: &Ctx<'_>, registry: &Registry) -> Result<(), RegistryError> {
        // Storing fails only while userdata is being read, which nobody does here.
        let _ = ctx.store_userdata(Self::register(registry)?);
        Ok(())
    }

    /// The metrics of the VU, if its script has loaded the module.
    pub fn of(ctx: &Ctx<'_>) -> Option<Self> {
        ctx.userdata::<Self>().map(|metrics| *metrics)
    }
}
