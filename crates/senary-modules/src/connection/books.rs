//! What a connection records, and under which tags.
//!
//! The series that a connection has recorded to are kept, so that counting a message needs no look-up.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use senary_js::vu::core::VuCore;
use senary_metrics::{Details, FailureId, FailureKind, MetricId, SeriesId, TagSetId, Timestamp};

use super::error::{CallSite, SocketFailure};
use super::options::Tags;

/// The peer, as it is named in tags.
struct Endpoint {
    host: String,
    /// A Unix socket has none, and its path is the host.
    port: Option<String>,
    ip: Option<String>,
}

impl Endpoint {
    fn tags(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let ip = self.ip.as_deref().map(|ip| ("ip", ip));
        let port = self.port.as_deref().map(|port| ("port", port));
        [("host", self.host.as_str())].into_iter().chain(port).chain(ip)
    }

    /// Whether a text says which peer it is about: by its address and port, or by its name where the address is not known.
    fn is_named_in(&self, text: &str) -> bool {
        match (&self.ip, &self.port) {
            (Some(ip), Some(port)) if ip.contains(':') => text.contains(&format!("[{ip}]:{port}")),
            (Some(ip), Some(port)) => text.contains(&format!("{ip}:{port}")),
            _ => text.contains(&self.host),
        }
    }
}

/// A series that the connection has recorded to, and the VU's tags it was looked up under.
struct KnownSeries {
    under: TagSetId,
    metric: MetricId,
    /// All tags of the series: the VU's and the connection's.
    tags: TagSetId,
    series: SeriesId,
}

pub struct SocketBooks {
    vu: Rc<VuCore>,
    /// The tag `proto`.
    protocol: &'static str,
    constructor_tags: Tags,
    connect_tags: RefCell<Tags>,
    endpoint: RefCell<Option<Endpoint>>,
    /// Emptied when the connection's own tags change.
    known_series: RefCell<Vec<KnownSeries>>,
}

impl SocketBooks {
    pub fn new(vu: Rc<VuCore>, protocol: &'static str, constructor_tags: Tags) -> Self {
        Self {
            vu,
            protocol,
            constructor_tags,
            connect_tags: RefCell::default(),
            endpoint: RefCell::default(),
            known_series: RefCell::default(),
        }
    }

    /// A connect to this endpoint begins, with tags of its own.
    pub fn begin(&self, tags: Tags, host: String, port: Option<String>) {
        self.connect_tags.replace(tags);
        self.endpoint.replace(Some(Endpoint { host, port, ip: None }));
        self.known_series.borrow_mut().clear();
    }

    /// The host's address, once it is known.
    pub fn resolved(&self, ip: IpAddr) {
        if let Some(endpoint) = &mut *self.endpoint.borrow_mut() {
            endpoint.ip = Some(ip.to_string());
        }
        self.known_series.borrow_mut().clear();
    }

    /// The host and the port of the connect, for people to read.
    pub fn target(&self) -> Option<String> {
        let endpoint = self.endpoint.borrow();
        endpoint.as_ref().map(|to| match &to.port {
            None => to.host.clone(),
            Some(port) if to.host.contains(':') && !to.host.starts_with('[') => {
                format!("[{}]:{port}", to.host)
            }
            Some(port) => format!("{}:{port}", to.host),
        })
    }

    /// The same, with the host's address where the host is a name: `localhost:80 (127.0.0.1)`.
    pub fn target_and_address(&self) -> Option<String> {
        let target = self.target()?;
        let endpoint = self.endpoint.borrow();
        let ip = endpoint.as_ref().and_then(|to| to.ip.as_ref().filter(|ip| **ip != to.host));
        Some(ip.map_or_else(|| target.clone(), |ip| format!("{target} ({ip})")))
    }

    /// Whether that is the address the connection goes to.
    pub fn is_to(&self, address: SocketAddr) -> bool {
        let endpoint = self.endpoint.borrow();
        endpoint.as_ref().is_some_and(|to| {
            to.ip.as_ref().is_some_and(|ip| *ip == address.ip().to_string())
                && to.port.as_ref().is_some_and(|port| *port == address.port().to_string())
        })
    }

    /// The name that a certificate has to have; for a Unix socket, this machine's.
    pub fn host(&self) -> Option<String> {
        let endpoint = self.endpoint.borrow();
        endpoint.as_ref().map(|to| match to.port {
            Some(_) => to.host.clone(),
            None => "localhost".to_owned(),
        })
    }

    /// Gives back when that was.
    pub fn count(&self, metric: MetricId) -> Timestamp {
        self.record(metric, 1.0)
    }

    /// Counts something under tags of its own on top of the connection's. Returns the time.
    pub fn count_with(&self, metric: MetricId, tags: &Tags) -> Timestamp {
        if tags.is_empty() {
            return self.count(metric);
        }
        self.record_under(metric, 1.0, self.tags_with(&[], tags))
    }

    /// Gives back when that was.
    pub fn record(&self, metric: MetricId, value: f64) -> Timestamp {
        self.record_series(self.own_series(metric), value)
    }

    /// Counts a failure and returns it; every failure of a connection is counted here, once. `peer` is the text about the
    /// peer for a failure that does not name it.
    pub fn failed(
        &self,
        errors: MetricId,
        failure: SocketFailure,
        tags: &Tags,
        peer: impl FnOnce() -> String,
    ) -> SocketFailure {
        // Unlike others, the series is not kept: a failure costs far more than this look-up.
        let now = self.record_under(errors, 1.0, self.tags_with(&failure.tags(), tags));
        self.add_to_failures(&failure, now, peer);
        failure
    }

    /// The series of a metric under the VU's present tags, the connection's, those of a call, and the code of a failure: for
    /// a caller that records much under the same ones.
    pub fn series(&self, metric: MetricId, error_code: Option<&'static str>, tags: &Tags) -> SeriesId {
        let kind = error_code.map(|code| ("error_code", code));
        let tags = self.tags_with(kind.as_slice(), tags);
        self.vu.worker.record(|r| r.series(metric, tags))
    }

    /// Counts a failure among the run's.
    pub fn add_to_failures(&self, failure: &SocketFailure, at: Timestamp, peer: impl FnOnce() -> String) {
        let id = FailureId {
            code: failure.code,
            method: failure.method.as_str(),
            ..FailureId::new(FailureKind::Socket, "")
        };
        self.vu.fail_at(&id, at, || Details {
            text: self.with_peer(failure, peer),
            place: failure.called.as_ref().and_then(CallSite::place).unwrap_or_default(),
        });
    }

    /// The text of a failure. It names the peer, unless the script itself is wrong.
    fn with_peer(&self, failure: &SocketFailure, peer: impl FnOnce() -> String) -> String {
        let text = format!("{}{}", failure.message, failure.peer);
        let endpoint = self.endpoint.borrow();
        let Some(endpoint) = endpoint.as_ref().filter(|_| !failure.is_of_arguments()) else { return text };
        if endpoint.is_named_in(&text) { text } else { text + &peer() }
    }

    /// For several metrics under the same tags of a call.
    pub fn under(&self, tags: &Tags) -> Under<'_> {
        Under { books: self, tags: (!tags.is_empty()).then(|| self.tags_with(&[], tags)) }
    }

    /// The same for metrics that count failures: the code is a tag.
    pub fn under_failure(&self, failure: &SocketFailure, tags: &Tags) -> Under<'_> {
        Under { books: self, tags: Some(self.tags_with(&[("error_code", failure.code)], tags)) }
    }

    /// As [`record`](Self::record), at a time that is known.
    pub fn record_at(&self, metric: MetricId, value: f64, time: Timestamp) {
        self.vu.record_series(self.own_series(metric), value, time);
    }

    fn record_under(&self, metric: MetricId, value: f64, tags: TagSetId) -> Timestamp {
        self.record_series(self.vu.worker.record(|r| r.series(metric, tags)), value)
    }

    fn record_series(&self, series: SeriesId, value: f64) -> Timestamp {
        let now = self.vu.now();
        self.vu.record_series(series, value, now);
        now
    }

    /// The series of a metric under the VU's present tags and the connection's own.
    fn own_series(&self, metric: MetricId) -> SeriesId {
        let under = self.vu.tags.id();
        let mut known = self.known_series.borrow_mut();
        let mut tags = None;
        for of in known.iter().filter(|of| of.under == under) {
            if of.metric == metric {
                return of.series;
            }
            tags = Some(of.tags);
        }
        known.retain(|of| of.under.is_of(self.vu.worker.epoch()));
        let tags = tags.unwrap_or_else(|| self.tags_with(&[], &Vec::new()));
        let series = self.vu.worker.record(|r| r.series(metric, tags));
        known.push(KnownSeries { under, metric, tags, series });
        series
    }

    /// The tags of the VU, of what is counted, of the constructor, of the connect, of the endpoint and of the call.
    /// Later ones win.
    fn tags_with(&self, kind: &[(&'static str, &'static str)], tags: &Tags) -> TagSetId {
        let (connect, endpoint) = (self.connect_tags.borrow(), self.endpoint.borrow());
        let endpoint = endpoint.iter().flat_map(Endpoint::tags);
        let own = kind.iter().copied().chain(pairs(&self.constructor_tags)).chain(pairs(&connect));
        let own = own.chain([("proto", self.protocol)]).chain(endpoint).chain(pairs(tags));
        let under = self.vu.tags.id();
        self.vu.worker.record(|r| r.derive(under, own))
    }
}

/// Records under tags that were put together once.
pub struct Under<'a> {
    books: &'a SocketBooks,
    /// `None`: the connection's own.
    tags: Option<TagSetId>,
}

impl Under<'_> {
    pub fn record(&self, metric: MetricId, value: f64) {
        match self.tags {
            None => self.books.record(metric, value),
            Some(tags) => self.books.record_under(metric, value, tags),
        };
    }
}

fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> + Clone {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// As metrics of times have them.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
