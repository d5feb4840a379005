//! What a pump has done: what it records while it runs, and what its promise resolves with.
//!
//! Times are samples of their own. What is only counted is added up, and recorded a few times per second.

use rquickjs::{Ctx, Object, Value};
use senary_metrics::{SeriesId, TagSetId, Timestamp};

use super::core::SocketCore;
use super::delivery::ABORTED;
use super::metrics::MessageMetrics;
use super::pump_flights::{Flight, NEVER};
use super::pump_latency::Latencies;
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::Tags;

/// Between two recordings of what is counted, in nanoseconds.
const RECORD_EVERY: u64 = 20_000_000;

/// The code of a reply that `expect` refuses.
const UNEXPECTED: &str = "ERR_UNEXPECTED_REPLY";

pub struct Tally {
    tags: Tags,
    called: Option<CallSite>,
    metrics: MessageMetrics,
    series: Option<KnownSeries>,
    counted: Counted,
    recorded_at: u64,
    sent: u64,
    received: u64,
    failed: u64,
    latency: Latencies,
}

/// Not recorded yet.
#[derive(Default)]
struct Counted {
    requests: u64,
    sent: u64,
    received: u64,
    unmatched: u64,
    reads: u64,
    writes: u64,
}

/// The series of the times, and the VU's tags they were looked up under.
struct KnownSeries {
    under: TagSetId,
    duration: SeriesId,
    blocked: SeriesId,
    waiting: SeriesId,
    failed: SeriesId,
    /// `tcp_req_failed` by error code.
    failures: Vec<(&'static str, SeriesId)>,
}

impl Tally {
    pub fn new(metrics: MessageMetrics, tags: Tags, called: Option<CallSite>) -> Self {
        Self {
            tags,
            called,
            metrics,
            series: None,
            counted: Counted::default(),
            recorded_at: 0,
            sent: 0,
            received: 0,
            failed: 0,
            latency: Latencies::default(),
        }
    }

    pub fn read(&mut self) {
        self.counted.reads += 1;
    }

    pub fn wrote(&mut self) {
        self.counted.writes += 1;
    }

    pub fn message(&mut self) {
        self.counted.received += 1;
    }

    /// A request is due, and is made or fails.
    pub fn made(&mut self) {
        self.counted.requests += 1;
    }

    pub fn unmatched(&mut self) {
        self.counted.unmatched += 1;
    }

    /// A message came where none is waited for.
    pub fn unasked(&mut self) {
        self.received += 1;
    }

    /// The last byte of a request was handed to the kernel.
    pub fn sent(&mut self, socket: &SocketCore, due: u64, now: u64, at: Timestamp) {
        self.sent += 1;
        self.counted.sent += 1;
        let blocked = self.series(socket).blocked;
        socket.vu.record_series(blocked, milliseconds(now.saturating_sub(due)), at);
    }

    /// A request was answered, by what it wanted or by something else.
    pub fn answered(
        &mut self,
        socket: &SocketCore,
        flight: &Flight,
        now: u64,
        at: Timestamp,
        is_expected: bool,
    ) {
        self.received += 1;
        let duration = now.saturating_sub(flight.due);
        self.latency.add(duration);
        let waiting = (flight.sent != NEVER).then(|| milliseconds(flight.first.saturating_sub(flight.sent)));
        let known = self.series(socket);
        let (of_duration, of_waiting, failed) = (known.duration, known.waiting, known.failed);
        let failed = is_expected.then_some(failed);
        let values = [
            (Some(of_duration), milliseconds(duration)),
            (waiting.map(|_| of_waiting), waiting.unwrap_or_default()),
            (failed, 0.0),
        ];
        let metadata = socket.vu.tags.metadata();
        socket.vu.worker.record(|recorder| {
            for (series, value) in values {
                match (series, &metadata) {
                    (Some(series), None) => recorder.record(series, value, at),
                    (Some(series), Some(metadata)) => recorder.record_with(series, value, at, metadata),
                    (None, _) => {}
                }
            }
        });
        if !is_expected {
            self.failed(socket, UNEXPECTED, "the reply is not what expect says", at);
        }
    }

    /// A request has failed.
    #[cold]
    pub fn failed(&mut self, socket: &SocketCore, code: &'static str, text: &str, at: Timestamp) {
        self.failed += 1;
        let series = self.failure_series(socket, code);
        socket.vu.record_series(series, 1.0, at);
        let failure = SocketFailure::new(Method::Request, code, text).called_at(self.called.clone());
        if code == UNEXPECTED {
            // The socket has done its part.
            socket.books.add_to_failures(&failure, at, || socket.peer_behind_failure());
        } else {
            socket.failed(failure, &self.tags);
        }
    }

    /// Counts requests as failed that had no answer when the iteration ended abnormally.
    pub fn abandoned(&mut self, socket: &SocketCore, requests: usize) {
        if requests > 0 {
            let (series, now) = (self.failure_series(socket, ABORTED), socket.vu.now());
            (0..requests).for_each(|_| socket.vu.record_series(series, 1.0, now));
        }
    }

    /// Records what was counted, if it is time.
    pub fn record_now_and_then(&mut self, socket: &SocketCore, now: u64) {
        if now.saturating_sub(self.recorded_at) >= RECORD_EVERY {
            self.recorded_at = now;
            self.record(socket);
        }
    }

    /// Records what was counted.
    pub fn record(&mut self, socket: &SocketCore) {
        let Counted { requests, sent, received, unmatched, reads, writes } =
            std::mem::take(&mut self.counted);
        let metrics = self.metrics;
        if requests > 0 {
            socket.books.under(&self.tags).record(metrics.requests, requests as f64);
        }
        let is_framed = socket.extended.as_ref().is_some_and(|extended| extended.is_framed.get());
        let messages = if is_framed { [sent, received] } else { [0, 0] };
        let own = [
            (metrics.sent, messages[0]),
            (metrics.received, messages[1]),
            (metrics.unmatched, unmatched),
            (socket.metrics.reads, reads),
            (socket.metrics.writes, writes),
        ];
        for (metric, count) in own.into_iter().filter(|(_, count)| *count > 0) {
            socket.books.record(metric, count as f64);
        }
    }

    fn series(&mut self, socket: &SocketCore) -> &KnownSeries {
        let under = socket.vu.tags.id();
        if self.series.as_ref().is_some_and(|known| known.under != under) {
            self.series = None;
        }
        let (metrics, tags) = (self.metrics, &self.tags);
        self.series.get_or_insert_with(|| {
            let of = |metric| socket.books.series(metric, None, tags);
            KnownSeries {
                under,
                duration: of(metrics.duration),
                blocked: of(metrics.blocked),
                waiting: of(metrics.waiting),
                failed: of(metrics.failed),
                failures: Vec::new(),
            }
        })
    }

    fn failure_series(&mut self, socket: &SocketCore, code: &'static str) -> SeriesId {
        let known = self.series(socket).failures.iter().find(|(known, _)| *known == code);
        if let Some((_, series)) = known {
            return *series;
        }
        let series = socket.books.series(self.metrics.failed, Some(code), &self.tags);
        if let Some(known) = &mut self.series {
            known.failures.push((code, series));
        }
        series
    }

    /// `PumpResult`.
    pub fn result<'js>(&mut self, ctx: &Ctx<'js>, duration: u64) -> rquickjs::Result<Value<'js>> {
        let result = Object::new(ctx.clone())?;
        result.set("sent", self.sent as f64)?;
        result.set("received", self.received as f64)?;
        result.set("failed", self.failed as f64)?;
        result.set("duration", milliseconds(duration))?;
        let latency = Object::new(ctx.clone())?;
        let [med, p90, p95, p99] = self.latency.percentiles([50.0, 90.0, 95.0, 99.0]);
        let values = [
            ("min", self.latency.min()),
            ("avg", self.latency.avg()),
            ("med", med),
            ("max", self.latency.max()),
            ("p(90)", p90),
            ("p(95)", p95),
            ("p(99)", p99),
        ];
        for (name, nanoseconds) in values {
            latency.set(name, nanoseconds / 1e6)?;
        }
        result.set("latency", latency)?;
        Ok(result.into_value())
    }
}

/// As metrics of times have them.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
