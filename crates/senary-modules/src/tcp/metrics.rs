//! The metrics of sockets, and where a VU keeps them.

use rquickjs::Ctx;
use senary_js::userdata;
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

userdata!(TcpMetrics);

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

/// The metrics that `senary/tcp` adds; registered when a script first imports it.
#[derive(Clone, Copy, Debug)]
pub struct MessageMetrics {
    pub requests: MetricId,
    pub duration: MetricId,
    pub blocked: MetricId,
    pub waiting: MetricId,
    pub failed: MetricId,
    pub sent: MetricId,
    pub received: MetricId,
    pub unmatched: MetricId,
    pub latency: MetricId,
    /// What TCP has measured.
    pub rtt: MetricId,
    pub rtt_variance: MetricId,
    pub min_rtt: MetricId,
    pub retransmits: MetricId,
    pub congestion_window: MetricId,
    pub delivery_rate: MetricId,
}

userdata!(MessageMetrics);

impl MessageMetrics {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let counter = |name| registry.get_or_register(name, MetricType::Counter, ValueType::Default);
        let trend = |name, of| registry.get_or_register(name, MetricType::Trend, of);
        let time = |name| trend(name, ValueType::Time);
        Ok(Self {
            requests: counter("tcp_reqs")?,
            duration: time("tcp_req_duration")?,
            blocked: time("tcp_req_blocked")?,
            waiting: time("tcp_req_waiting")?,
            failed: registry.get_or_register("tcp_req_failed", MetricType::Rate, ValueType::Default)?,
            sent: counter("tcp_msgs_sent")?,
            received: counter("tcp_msgs_received")?,
            unmatched: counter("tcp_unmatched_messages")?,
            latency: time("tcp_message_latency")?,
            rtt: time("tcp_rtt")?,
            rtt_variance: time("tcp_rtt_variance")?,
            min_rtt: time("tcp_min_rtt")?,
            retransmits: counter("tcp_retransmits")?,
            congestion_window: trend("tcp_congestion_window", ValueType::Default)?,
            delivery_rate: trend("tcp_delivery_rate", ValueType::Data)?,
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
