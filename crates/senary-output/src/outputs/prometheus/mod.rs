//! `--out experimental-prometheus-rw`: totals of every series, written to a server of Prometheus by its remote write protocol
//! 1.0. (<https://grafana.com/docs/k6/latest/results-output/real-time/prometheus-remote-write/>)
//!
//! Every push has the series that got samples since they last arrived. Their values count from the start of the test,
//! so nothing is lost with a push that fails: the next one contains everything. `series` adds up, `config` says where
//! to and how, `wire` writes the messages, and this file decides what is sent when.

mod config;
mod label;
mod native;
mod receiver;
mod series;
mod sigv4;
mod stat;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use senary_metrics::SampleBatch;

use self::config::Config;
use self::receiver::RemoteWrite;
use self::series::{Book, Seen};
use self::wire::WriteRequest;

use crate::delivery::{Delivery, END_WITHIN, Settled, Terms};
use crate::ledger::Ledger;
use crate::output::{Backlog, CreateError, Output, OutputContext, Urgency};
use crate::settings::SettingHelp;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The greatest number of time series in a request: servers limit the size of requests.
const SERIES_PER_REQUEST: usize = 2_000;

/// How often the types and units of metrics are sent again.
const METADATA_EVERY: Duration = Duration::from_secs(60);

/// The names under which the configuration file may have settings.
pub(crate) const NAMES: [&str; 2] = ["experimental-prometheus-rw", "prometheus-rw"];

/// For `--out help`.
pub(crate) fn settings() -> Vec<SettingHelp> {
    crate::settings::help(config::SETTINGS)
}

pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    let config = Config::consolidate(argument, context)?;
    let receiver = RemoteWrite::new(&config, context)?;
    let terms = Terms { timeout: TIMEOUT, ..Terms::default() };
    let delivery = Delivery::start(terms, receiver).map_err(|error| error.to_string())?;
    Ok(Box::new(Prometheus {
        book: Book::new(&config, context.registry),
        described_as: format!("Prometheus remote write ({})", without_user(&config.url)),
        push_interval: config.push_interval,
        stale_markers: config.stale_markers,
        delivery,
        ledger: Arc::default(),
        pushed: Instant::now(),
        metadata: Metadata { told: 0, at: Instant::now() },
        last_error: String::new(),
        said_slow: false,
    }))
}

/// A URL in a form that may be shown: without the password before its host.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host_ends = rest.find('/').unwrap_or(rest.len());
    let from = rest[..host_ends].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[from..])
}

struct Prometheus {
    book: Book,
    described_as: String,
    push_interval: Duration,
    stale_markers: bool,
    /// A body, and what has arrived once it has.
    delivery: Delivery<Vec<Seen>>,
    ledger: Arc<Ledger>,
    pushed: Instant,
    metadata: Metadata,
    /// Why a push failed last.
    last_error: String,
    said_slow: bool,
}

/// The metrics whose types were sent to the server, and when.
struct Metadata {
    told: usize,
    at: Instant,
}

impl Output for Prometheus {
    fn description(&self) -> String {
        self.described_as.clone()
    }

    fn urgency(&self) -> Urgency {
        let period = (self.push_interval / 5).clamp(Duration::from_millis(10), Duration::from_millis(200));
        Urgency::Drop(Backlog { period, ..Backlog::of(self.ledger.clone()) })
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.book.add(batch, &self.ledger);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let settled = self.delivery.settled();
        self.settle(settled);
        // While a server makes a push wait there is no other: what comes in the meantime is in the next one.
        if self.pushed.elapsed() >= self.push_interval && self.delivery.is_idle() {
            self.push();
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let end = Instant::now() + END_WITHIN;
        let settled = self.delivery.finish(Instant::now() + END_WITHIN / 2);
        self.settle(settled);
        self.push();
        let settled = self.delivery.finish(end);
        self.settle(settled);
        if self.stale_markers {
            self.mark_stale(end);
        }
        let why = if self.last_error.is_empty() {
            "no push with them had arrived when the time for that was over"
        } else {
            &self.last_error
        };
        self.ledger.lost(self.book.missing(), why);
        Ok(())
    }
}

impl Prometheus {
    /// Gives everything new to the delivery.
    fn push(&mut self) {
        self.pushed = Instant::now();
        let (mut request, mut seen) = (WriteRequest::default(), Vec::new());
        let is_told = self.metadata.told == self.book.families().len();
        if !is_told || self.metadata.at.elapsed() >= METADATA_EVERY {
            self.metadata = Metadata { told: self.book.families().len(), at: Instant::now() };
            self.book.families().iter().for_each(|family| request.metadata(family));
        }
        for series in self.book.new_ones() {
            seen.push(self.book.write(series, &mut request));
            if request.series() >= SERIES_PER_REQUEST {
                self.offer(std::mem::take(&mut request), std::mem::take(&mut seen));
            }
        }
        if !seen.is_empty() {
            self.offer(request, seen);
        }
    }

    fn offer(&mut self, request: WriteRequest, seen: Vec<Seen>) {
        if let Err(seen) = self.delivery.offer(request.compressed().into(), seen) {
            "there were more series than one push may hold".clone_into(&mut self.last_error);
            seen.into_iter().for_each(|seen| self.book.failed(seen));
        }
    }

    fn settle(&mut self, settled: Vec<Settled<Vec<Seen>>>) {
        for Settled { note, result, took } in settled {
            match result {
                Ok(()) => {
                    self.warn_if_slow(took);
                    let arrived = note.into_iter().map(|seen| self.book.arrived(seen)).sum();
                    self.ledger.arrived(arrived);
                }
                Err(error) => {
                    self.last_error = error;
                    note.into_iter().for_each(|seen| self.book.failed(seen));
                }
            }
        }
    }

    fn warn_if_slow(&mut self, took: Duration) {
        if took > self.push_interval && !std::mem::replace(&mut self.said_slow, true) {
            log::warn!(
                "Successful flushed time series to remote write endpoint but it took {} while flush period is {}. Pushes come less often, and each has everything so far",
                senary_words::duration::format_go(Duration::from_millis(took.as_millis() as u64)),
                senary_words::duration::format_go(self.push_interval)
            );
        }
    }

    /// Ends every series that was ever sent, so that graphs end where the test did.
    fn mark_stale(&mut self, end: Instant) {
        let mut request = WriteRequest::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX - 1);
        for series in self.book.sent_ones() {
            self.book.write_stale(series, now + 1, &mut request);
            if request.series() >= SERIES_PER_REQUEST {
                self.offer(std::mem::take(&mut request), Vec::new());
            }
        }
        if request.series() > 0 {
            self.offer(request, Vec::new());
        }
        if self.delivery.finish(end).iter().any(|settled| settled.result.is_err()) {
            log::error!(
                "Failed to send the time series data to the endpoint: marking time series as stale failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("http://h:9090/api", "http://h:9090/api"),
            ("https://me:s@cret@h/a@b", "https://h/a@b"),
            ("http://me@h", "http://h"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}
