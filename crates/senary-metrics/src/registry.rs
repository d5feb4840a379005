//! The metrics of a test: built-in ones, the ones modules add, the ones scripts declare.
//!
//! Metrics are registered while scripts initialise, so this is the only place of the metrics pipeline with
//! a lock; recording a sample needs only the [`MetricId`].

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use crate::metric::{Metric, MetricId, MetricType, ValueType, is_valid_name};

/// The metrics every test has. Their ids are fixed: [`Registry::new`] registers them in this order.
pub mod builtin {
    use super::{MetricId, MetricType, ValueType};

    pub const VUS: MetricId = MetricId(0);
    pub const VUS_MAX: MetricId = MetricId(1);
    pub const ITERATIONS: MetricId = MetricId(2);
    pub const ITERATION_DURATION: MetricId = MetricId(3);
    pub const DROPPED_ITERATIONS: MetricId = MetricId(4);
    pub const CHECKS: MetricId = MetricId(5);
    pub const GROUP_DURATION: MetricId = MetricId(6);
    pub const DATA_SENT: MetricId = MetricId(7);
    pub const DATA_RECEIVED: MetricId = MetricId(8);
    pub const HTTP_REQS: MetricId = MetricId(9);
    pub const HTTP_REQ_FAILED: MetricId = MetricId(10);
    pub const HTTP_REQ_DURATION: MetricId = MetricId(11);
    pub const HTTP_REQ_BLOCKED: MetricId = MetricId(12);
    pub const HTTP_REQ_CONNECTING: MetricId = MetricId(13);
    pub const HTTP_REQ_TLS_HANDSHAKING: MetricId = MetricId(14);
    pub const HTTP_REQ_SENDING: MetricId = MetricId(15);
    pub const HTTP_REQ_WAITING: MetricId = MetricId(16);
    pub const HTTP_REQ_RECEIVING: MetricId = MetricId(17);

    pub const WS_SESSIONS: MetricId = MetricId(18);
    pub const WS_MSGS_SENT: MetricId = MetricId(19);
    pub const WS_MSGS_RECEIVED: MetricId = MetricId(20);
    pub const WS_PING: MetricId = MetricId(21);
    pub const WS_SESSION_DURATION: MetricId = MetricId(22);
    pub const WS_CONNECTING: MetricId = MetricId(23);

    // What Senary counts beyond the reference, and only where it happens.
    /// Iterations that ended by an exception or an unhandled rejection. They count as `iterations`, too.
    pub const ITERATIONS_FAILED: MetricId = MetricId(ADDED);
    /// Iterations that were cut short from outside. They do not count as `iterations`.
    pub const ITERATIONS_INTERRUPTED: MetricId = MetricId(ADDED + 1);

    // What the generator measures of itself, after everything else.
    /// Percent of its time in which a worker had something to do.
    pub const SENARY_WORKER_BUSY: MetricId = MetricId(OWN);
    /// How late a worker's event loop was at the worst.
    pub const SENARY_WORKER_LAG: MetricId = MetricId(OWN + 1);
    /// How late an iteration of an arrival rate began at the worst.
    pub const SENARY_START_LAG: MetricId = MetricId(OWN + 2);
    /// CPU time of the process, in percent of one core.
    pub const SENARY_CPU: MetricId = MetricId(OWN + 3);
    /// Time that workers were held up by outputs.
    pub const SENARY_HELD_UP: MetricId = MetricId(OWN + 4);
    /// Connects that failed because this machine had no descriptor, port or address left.
    pub const SENARY_EXHAUSTED: MetricId = MetricId(OWN + 5);

    /// The first of those about the generator.
    const OWN: u32 = ALL.len() as u32 - 6;
    /// The first of those that the reference does not have.
    const ADDED: u32 = OWN - 2;

    /// The sub-metric that every test has without asking for it: the durations of requests that were answered as expected.
    pub const EXPECTED_DURATIONS: &str = "http_req_duration{expected_response:true}";

    /// Whether a metric is about the generator and not about the test: outputs and thresholds have it, summaries
    /// only if a threshold names it.
    pub fn is_own(metric: MetricId) -> bool {
        (OWN..OWN + 6).contains(&metric.0)
    }

    use MetricType::{Counter, Gauge, Rate, Trend};
    use ValueType::{Data, Default, Time};

    pub(super) const ALL: &[(&str, MetricType, ValueType)] = &[
        ("vus", Gauge, Default),
        ("vus_max", Gauge, Default),
        ("iterations", Counter, Default),
        ("iteration_duration", Trend, Time),
        ("dropped_iterations", Counter, Default),
        ("checks", Rate, Default),
        ("group_duration", Trend, Time),
        ("data_sent", Counter, Data),
        ("data_received", Counter, Data),
        // Defined for scripts and thresholds that name them.
        ("http_reqs", Counter, Default),
        ("http_req_failed", Rate, Default),
        ("http_req_duration", Trend, Time),
        ("http_req_blocked", Trend, Time),
        ("http_req_connecting", Trend, Time),
        ("http_req_tls_handshaking", Trend, Time),
        ("http_req_sending", Trend, Time),
        ("http_req_waiting", Trend, Time),
        ("http_req_receiving", Trend, Time),
        ("ws_sessions", Counter, Default),
        ("ws_msgs_sent", Counter, Default),
        ("ws_msgs_received", Counter, Default),
        ("ws_ping", Trend, Time),
        ("ws_session_duration", Trend, Time),
        ("ws_connecting", Trend, Time),
        ("grpc_req_duration", Trend, Time),
        ("iterations_failed", Counter, Default),
        ("iterations_interrupted", Counter, Default),
        ("senary_worker_busy", Trend, Default),
        ("senary_worker_lag", Trend, Time),
        ("senary_start_lag", Trend, Time),
        ("senary_cpu", Trend, Default),
        ("senary_held_up", Counter, Time),
        ("senary_exhausted", Counter, Default),
    ];
}

/// Why a metric could not be registered. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error(
        "Invalid metric name: '{0}'. Metric names must only include up to 128 ASCII letters, numbers, or underscores and start with a letter or an underscore."
    )]
    InvalidName(String),
    #[error("metric '{name}' already exists but with type {existing}, instead of {wanted}")]
    OtherType { name: String, existing: MetricType, wanted: MetricType },
    #[error("metric '{name}' already exists but with a value type {existing}, instead of {wanted}")]
    OtherValueType { name: String, existing: ValueType, wanted: ValueType },
}

/// All metrics of one test; clones share the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    metrics: Vec<Metric>,
    by_name: FxHashMap<Arc<str>, MetricId>,
}

impl Registry {
    /// A registry holding the built-in metrics.
    pub fn new() -> Self {
        let mut inner = Inner::default();
        for &(name, kind, contains) in builtin::ALL {
            inner.add(name, kind, contains, false);
        }
        Self { inner: Arc::new(RwLock::new(inner)) }
    }

    /// Registers a metric, or finds the one of that name if it is of the same type.
    pub fn get_or_register(
        &self,
        name: &str,
        kind: MetricType,
        contains: ValueType,
    ) -> Result<MetricId, RegistryError> {
        self.find_or_add(name, kind, contains, false)
    }

    /// The same for a metric that a script declares.
    pub fn declare(
        &self,
        name: &str,
        kind: MetricType,
        contains: ValueType,
    ) -> Result<MetricId, RegistryError> {
        self.find_or_add(name, kind, contains, true)
    }

    fn find_or_add(
        &self,
        name: &str,
        kind: MetricType,
        contains: ValueType,
        custom: bool,
    ) -> Result<MetricId, RegistryError> {
        if !is_valid_name(name) {
            return Err(RegistryError::InvalidName(name.to_owned()));
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Some(&id) = inner.by_name.get(name) else {
            return Ok(inner.add(name, kind, contains, custom));
        };
        let found = &inner.metrics[id.0 as usize];
        if found.kind != kind {
            let (name, existing) = (name.to_owned(), found.kind);
            return Err(RegistryError::OtherType { name, existing, wanted: kind });
        }
        if found.contains != contains {
            let (name, existing) = (name.to_owned(), found.contains);
            return Err(RegistryError::OtherValueType { name, existing, wanted: contains });
        }
        Ok(id)
    }

    /// The metric of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Metric> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.by_name.get(name).map(|id| inner.metrics[id.0 as usize].clone())
    }

    /// The metric of that id; `None` only for an id of another registry.
    pub fn metric(&self, id: MetricId) -> Option<Metric> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.metrics.get(id.0 as usize).cloned()
    }

    /// Every metric registered so far, in order of registration.
    pub fn all(&self) -> Vec<Metric> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).metrics.clone()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn add(&mut self, name: &str, kind: MetricType, contains: ValueType, custom: bool) -> MetricId {
        let id = MetricId(self.metrics.len() as u32);
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), id);
        self.metrics.push(Metric { id, name, kind, contains, custom });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_metrics_have_their_ids() {
        let registry = Registry::new();
        for (name, id) in [
            ("vus", builtin::VUS),
            ("data_received", builtin::DATA_RECEIVED),
            ("http_reqs", builtin::HTTP_REQS),
            ("http_req_failed", builtin::HTTP_REQ_FAILED),
            ("http_req_duration", builtin::HTTP_REQ_DURATION),
            ("http_req_blocked", builtin::HTTP_REQ_BLOCKED),
            ("http_req_connecting", builtin::HTTP_REQ_CONNECTING),
            ("http_req_tls_handshaking", builtin::HTTP_REQ_TLS_HANDSHAKING),
            ("http_req_sending", builtin::HTTP_REQ_SENDING),
            ("http_req_waiting", builtin::HTTP_REQ_WAITING),
            ("http_req_receiving", builtin::HTTP_REQ_RECEIVING),
            ("iterations_failed", builtin::ITERATIONS_FAILED),
            ("iterations_interrupted", builtin::ITERATIONS_INTERRUPTED),
            ("senary_worker_busy", builtin::SENARY_WORKER_BUSY),
            ("senary_worker_lag", builtin::SENARY_WORKER_LAG),
            ("senary_start_lag", builtin::SENARY_START_LAG),
            ("senary_cpu", builtin::SENARY_CPU),
            ("senary_held_up", builtin::SENARY_HELD_UP),
            ("senary_exhausted", builtin::SENARY_EXHAUSTED),
        ] {
            assert_eq!(registry.get(name).unwrap().id, id, "{name}");
        }
        for metric in registry.all() {
            assert_eq!(builtin::is_own(metric.id), metric.name.starts_with("senary_"), "{}", metric.name);
        }
    }
}
