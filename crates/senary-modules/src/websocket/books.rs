//! What a session records, and under which tags: those of the VU when the session began, and its own.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use senary_js::vu::core::VuCore;
use senary_metrics::registry::builtin;
use senary_metrics::{Details, FailureId, FailureKind, MetricId, SeriesId, TagSet, TagSetId};

use crate::connection::options::Tags;

/// What both modules measure.
const METRICS: [MetricId; 6] = [
    builtin::WS_SESSIONS,
    builtin::WS_CONNECTING,
    builtin::WS_SESSION_DURATION,
    builtin::WS_MSGS_SENT,
    builtin::WS_MSGS_RECEIVED,
    builtin::WS_PING,
];

pub struct SessionBooks {
    vu: Rc<VuCore>,
    tags: RefCell<TagSet>,
    /// The series under these tags, in the order of [`METRICS`], and the id that shows whether they are still known.
    known: Cell<Option<(TagSetId, [SeriesId; METRICS.len()])>>,
}

/// Whether the tags are those of `k6/websockets`: it has `name`, and an own `name` replaces the URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    Named,
    Plain,
}

impl SessionBooks {
    pub fn new(vu: Rc<VuCore>, url: &str, own: &Tags, naming: Naming) -> Self {
        let system = vu.settings.system_tags;
        let name = own.iter().rev().find(|(key, _)| key == "name").map(|(_, value)| value.as_str());
        let shown = match naming {
            Naming::Named => name.unwrap_or(url),
            Naming::Plain => url,
        };
        let mut tags = vu.tags.current();
        if system.url {
            tags = tags.with("url", shown);
        }
        if system.name && naming == Naming::Named {
            tags = tags.with("name", shown);
        }
        tags = tags.merged(own.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Self { vu, tags: RefCell::new(tags), known: Cell::new(None) }
    }

    /// The server has answered.
    pub fn answered(&self, status: u16, subprotocol: &str) {
        let system = self.vu.settings.system_tags;
        if system.status {
            self.add("status", &status.to_string());
        }
        if system.subproto {
            self.add("subproto", subprotocol);
        }
    }

    pub fn connected_to(&self, ip: Option<IpAddr>) {
        if let Some(ip) = ip.filter(|_| self.vu.settings.system_tags.ip) {
            self.add("ip", &ip.to_string());
        }
    }

    fn add(&self, key: &str, value: &str) {
        let tags = self.tags.borrow().with(key, value);
        self.tags.replace(tags);
        self.known.set(None);
    }

    pub fn record(&self, metric: MetricId, value: f64) {
        if let Some(at) = METRICS.iter().position(|known| *known == metric) {
            self.vu.record_series(self.series()[at], value, self.vu.now());
        }
    }

    pub fn count(&self, metric: MetricId) {
        self.record(metric, 1.0);
    }

    fn series(&self) -> [SeriesId; METRICS.len()] {
        if let Some((tags, series)) = self.known.get()
            && tags.is_of(self.vu.worker.epoch())
        {
            return series;
        }
        let (tags, series) = self.vu.worker.record(|recorder| {
            let tags = recorder.intern(&self.tags.borrow());
            (tags, METRICS.map(|metric| recorder.series(metric, tags)))
        });
        self.known.set(Some((tags, series)));
        series
    }

    /// Counts a failure among the run's.
    pub fn failed(&self, code: &str, method: &str, text: &str) {
        let id = FailureId { code, method, ..FailureId::new(FailureKind::WebSocket, "") };
        self.vu.fail(&id, || Details::text(text));
    }
}
