//! What an exchange records: the metrics of HTTP, under the tags that were set when the script made the request.

use senary_js::settings::SystemTags;
use senary_js::vu::core::VuCore;
use senary_metrics::{Metadata, TagSet, builtin};
use senary_net::http::HttpTimings;

use super::constants::OCSP_UNKNOWN;
use super::request::Request;
use crate::go_url::Url;

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
        Self { method: entry.method.to_owned(), code: code.to_string(), text }
    }
}

/// What is known of an exchange when it is over.
pub struct Entry<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    /// 0 without a response.
    pub status: u16,
    pub proto: &'a str,
    pub tls_version: &'a str,
    pub ip: String,
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

    pub fn record(&self, vu: &VuCore, entry: &Entry<'_>) {
        let url = entry.url.masked();
        // A given name replaces the URL, too, so that there are few series.
        let named = self.tags.get("name").unwrap_or(&url);
        let (status, code) = (entry.status.to_string(), entry.error_code.to_string());
        let system = vu.settings.system_tags;
        let own = own_tags(system, entry, named, &status, &code);
        let own = own.iter().flatten().copied();
        let now = vu.now();
        vu.worker.record(|recorder| {
            let base = recorder.intern(&self.tags);
            let tags = recorder.derive(base, own);
            let mut record = |metric, value| {
                let series = recorder.series(metric, tags);
                match &self.metadata {
                    None => recorder.record(series, value, now),
                    Some(metadata) => recorder.record_with(series, value, now, metadata),
                }
            };
            record(builtin::HTTP_REQS, 1.0);
            for (metric, duration) in durations(&entry.timings) {
                record(metric, duration.as_secs_f64() * 1e3);
            }
            if let Some(expected) = entry.expected {
                record(builtin::HTTP_REQ_FAILED, f64::from(u8::from(!expected)));
            }
        });
    }
}

fn durations(timings: &HttpTimings) -> [(senary_metrics::MetricId, std::time::Duration); 7] {
    [
        (builtin::HTTP_REQ_DURATION, timings.duration()),
        (builtin::HTTP_REQ_BLOCKED, timings.blocked),
        (builtin::HTTP_REQ_CONNECTING, timings.connecting),
        (builtin::HTTP_REQ_TLS_HANDSHAKING, timings.tls_handshaking),
        (builtin::HTTP_REQ_SENDING, timings.sending),
        (builtin::HTTP_REQ_WAITING, timings.waiting),
        (builtin::HTTP_REQ_RECEIVING, timings.receiving),
    ]
}

fn own_tags<'a>(
    system: SystemTags,
    entry: &'a Entry<'a>,
    named: &'a str,
    status: &'a str,
    code: &'a str,
) -> [Option<(&'static str, &'a str)>; 11] {
    let tag = |is_on: bool, key, value: &'a str| (is_on && !value.is_empty()).then_some((key, value));
    let expected = entry.expected.map_or("", |expected| if expected { "true" } else { "false" });
    [
        tag(system.method, "method", entry.method),
        tag(system.url, "url", named),
        tag(system.name, "name", named),
        system.status.then_some(("status", status)),
        tag(system.proto, "proto", entry.proto),
        tag(system.tls_version, "tls_version", entry.tls_version),
        tag(system.ocsp_status, "ocsp_status", if entry.tls_version.is_empty() { "" } else { OCSP_UNKNOWN }),
        tag(system.ip, "ip", &entry.ip),
        tag(system.error, "error", entry.error),
        tag(system.error_code && entry.error_code != 0, "error_code", code),
        tag(system.expected_response, "expected_response", expected),
    ]
}
