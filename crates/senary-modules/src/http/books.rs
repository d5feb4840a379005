//! What an exchange records: the metrics of HTTP, under the tags that were set when the script made the request.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use senary_js::settings::SystemTags;
use senary_js::vu::core::VuCore;
use senary_metrics::{Epoch, Metadata, MetricId, SeriesId, TagSet, builtin};
use senary_net::http::HttpTimings;

use super::destination::Destination;
use super::request::{Method, Request};

/// The tags that a request begins with.
#[derive(Clone)]
pub struct Tags {
    tags: TagSet,
    metadata: Option<Metadata>,
}

/// A failed request, as it is counted among the failures of the run.
#[derive(Debug)]
pub struct Unexpected {
    pub method: String,
    pub code: String,
    pub text: String,
}

impl Unexpected {
    pub fn of(entry: &Entry<'_>) -> Self {
        let url = entry.url.masked();
        let code = if entry.error_code == 0 { entry.status } else { entry.error_code };
        let text = match entry.error {
            "" => format!("{url} was answered with status {}", entry.status),
            error => format!("{url}: {error}"),
        };
        Self { method: entry.method.to_string(), code: code.to_string(), text }
    }
}

/// What is known of an exchange when it is over.
pub struct Entry<'a> {
    pub method: &'a Method,
    pub url: &'a Rc<Destination>,
    /// 0 without a response.
    pub status: u16,
    pub proto: &'static str,
    pub tls_version: &'static str,
    /// Empty without TLS, as is the version.
    pub ocsp_status: &'static str,
    pub ip: Option<IpAddr>,
    pub error: &'a str,
    pub error_code: u16,
    /// Whether the response was expected; `None` if the script wants no judgement.
    pub expected: Option<bool>,
    pub timings: HttpTimings,
}

impl Tags {
    /// The VU's tags, the request's own, and the name that it was given.
    pub fn of(vu: &VuCore, request: &Request) -> Self {
        let mut tags = vu.tags.current();
        if let Some(name) = &request.name {
            tags = tags.with("name", name);
        }
        if !request.tags.is_empty() {
            tags = tags.merged(request.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        }
        Self { tags, metadata: vu.tags.metadata() }
    }

    pub fn record(&self, vu: &VuCore, known: &KnownSeries, entry: &Entry<'_>) {
        let series = known.of(vu, self, entry);
        let now = vu.now();
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let timings = &entry.timings;
        let samples = [
            1.0,
            milliseconds(timings.duration()),
            milliseconds(timings.blocked),
            milliseconds(timings.connecting),
            milliseconds(timings.tls_handshaking),
            milliseconds(timings.sending),
            milliseconds(timings.waiting),
            milliseconds(timings.receiving),
            f64::from(u8::from(entry.expected == Some(false))),
        ];
        // Nobody says that a response failed if nobody says which are expected.
        let count = if entry.expected.is_some() { samples.len() } else { samples.len() - 1 };
        let samples = series.into_iter().zip(samples).take(count);
        vu.worker.record(|recorder| match &self.metadata {
            None => samples.for_each(|(series, value)| recorder.record(series, value, now)),
            Some(metadata) => {
                samples.for_each(|(series, value)| recorder.record_with(series, value, now, metadata));
            }
        });
    }

    /// The series that an exchange records to.
    fn series(&self, vu: &VuCore, entry: &Entry<'_>) -> Series {
        // A given name replaces the URL, too, so that there are few series.
        let named = self.tags.get("name").unwrap_or(entry.url.masked());
        let (status, code) = (entry.status.to_string(), entry.error_code.to_string());
        let ip = entry.ip.map_or_else(String::new, |ip| ip.to_string());
        let texts = Texts { named, status: &status, code: &code, ip: &ip };
        let own = own_tags(vu.settings.system_tags, entry, &texts);
        let own = own.iter().flatten().copied();
        vu.worker.record(|recorder| {
            let base = recorder.intern(&self.tags);
            let tags = recorder.derive(base, own);
            METRICS.map(|metric| recorder.series(metric, tags))
        })
    }
}

/// What each exchange is measured by; the last one only if somebody says which responses are expected.
const METRICS: [MetricId; 9] = [
    builtin::HTTP_REQS,
    builtin::HTTP_REQ_DURATION,
    builtin::HTTP_REQ_BLOCKED,
    builtin::HTTP_REQ_CONNECTING,
    builtin::HTTP_REQ_TLS_HANDSHAKING,
    builtin::HTTP_REQ_SENDING,
    builtin::HTTP_REQ_WAITING,
    builtin::HTTP_REQ_RECEIVING,
    builtin::HTTP_REQ_FAILED,
];

type Series = [SeriesId; METRICS.len()];

/// How many sets of series a VU keeps at hand. Those of other requests are looked up again.
const KEPT: usize = 4;

/// The series of the last requests of a VU that had no error: most are alike, and then nothing is looked up.
#[derive(Default)]
pub struct KnownSeries {
    known: RefCell<Vec<Known>>,
}

struct Known {
    epoch: Epoch,
    tags: TagSet,
    method: Method,
    /// `None` if the tags have a name in its place.
    url: Option<Rc<Destination>>,
    status: u16,
    proto: &'static str,
    tls_version: &'static str,
    ocsp_status: &'static str,
    ip: Option<IpAddr>,
    error_code: u16,
    expected: Option<bool>,
    series: Series,
}

impl KnownSeries {
    fn of(&self, vu: &VuCore, tags: &Tags, entry: &Entry<'_>) -> Series {
        if !entry.error.is_empty() {
            return tags.series(vu, entry);
        }
        let epoch = vu.worker.epoch();
        let mut known = self.known.borrow_mut();
        if let Some(found) = known.iter().find(|known| known.is_of(epoch, tags, entry)) {
            return found.series;
        }
        let series = tags.series(vu, entry);
        known.retain(|known| known.epoch == epoch);
        if known.len() == KEPT {
            known.remove(0);
        }
        known.push(Known {
            epoch,
            tags: tags.tags.clone(),
            method: entry.method.clone(),
            url: tags.tags.get("name").is_none().then(|| entry.url.clone()),
            status: entry.status,
            proto: entry.proto,
            tls_version: entry.tls_version,
            ocsp_status: entry.ocsp_status,
            ip: entry.ip,
            error_code: entry.error_code,
            expected: entry.expected,
            series,
        });
        series
    }
}

impl Known {
    fn is_of(&self, epoch: Epoch, tags: &Tags, entry: &Entry<'_>) -> bool {
        self.status == entry.status
            && self.error_code == entry.error_code
            && self.expected == entry.expected
            && self.epoch == epoch
            && self.ip == entry.ip
            && self
                .url
                .as_ref()
                .is_none_or(|url| Rc::ptr_eq(url, entry.url) || url.masked() == entry.url.masked())
            && self.method == *entry.method
            && self.proto == entry.proto
            && self.tls_version == entry.tls_version
            && self.ocsp_status == entry.ocsp_status
            && self.tags.is_same(&tags.tags)
    }
}

/// Values of tags that are made of numbers.
struct Texts<'a> {
    named: &'a str,
    status: &'a str,
    code: &'a str,
    ip: &'a str,
}

fn own_tags<'a>(
    system: SystemTags,
    entry: &'a Entry<'a>,
    texts: &Texts<'a>,
) -> [Option<(&'static str, &'a str)>; 11] {
    let tag = |is_on: bool, key, value: &'a str| (is_on && !value.is_empty()).then_some((key, value));
    let Texts { named, status, code, ip } = *texts;
    let expected = entry.expected.map_or("", |expected| if expected { "true" } else { "false" });
    [
        tag(system.method, "method", entry.method),
        tag(system.url, "url", named),
        tag(system.name, "name", named),
        system.status.then_some(("status", status)),
        tag(system.proto, "proto", entry.proto),
        tag(system.tls_version, "tls_version", entry.tls_version),
        tag(system.ocsp_status, "ocsp_status", entry.ocsp_status),
        tag(system.ip, "ip", ip),
        tag(system.error, "error", entry.error),
        tag(system.error_code && entry.error_code != 0, "error_code", code),
        tag(system.expected_response, "expected_response", expected),
    ]
}
