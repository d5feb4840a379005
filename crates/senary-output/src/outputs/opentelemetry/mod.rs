//! `--out opentelemetry`: the totals of every time series, for every receiver of OTLP.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/opentelemetry/>)

mod config;
mod export;
mod histogram;
mod messages;
mod streams;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use senary_metrics::SampleBatch;

use self::config::{Config, SETTINGS, SettingError};
use self::export::Exporter;
use self::messages::{ExportRequest, Metric, Resource, ResourceMetrics, Scope, ScopeMetrics, text};
use self::streams::{Kind, Streams, now};
use crate::delivery::{Bytes, Delivery, END_WITHIN, Settled, Terms};
use crate::ledger::Ledger;
use crate::output::{Backlog, CreateError, Output, OutputContext, Urgency};
use crate::settings::{SettingHelp, help};

/// How often the output takes in samples, unless it sends more often. More often would only cost time.
const TICK: Duration = Duration::from_millis(200);
const MIN_TICK: Duration = Duration::from_millis(10);

const NOT_FINITE: &str = "infinity cannot be added up";

pub(crate) fn settings() -> Vec<SettingHelp> {
    help(SETTINGS)
}

/// With the argument of `--out opentelemetry=…`.
pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    let config = Config::consolidate(argument, context).map_err(|error| match error {
        SettingError::Unreadable(reason) => CreateError::Unusable(reason),
        other => CreateError::Invalid(other.to_string()),
    })?;
    let exporter = Exporter::new(&config, context)?;
    // An export begins when the one before is over, so what waits is bounded by the number of series.
    let terms = Terms { timeout: config.timeout, room: usize::MAX, ..Terms::default() };
    let delivery = Delivery::start(terms, exporter).map_err(|error| error.to_string())?;
    let kind = Kind {
        prefix: config.prefix.clone(),
        temporality: config.temporality,
        has_bounds: config.has_bounds,
    };
    Ok(Box::new(OtelOutput {
        delivery,
        ledger: Arc::default(),
        streams: Streams::new(context.registry.clone(), kind),
        resource: resource(&config),
        due: Instant::now() + config.export_interval,
        config,
    }))
}

struct OtelOutput {
    config: Config,
    /// The note of each request says which samples it contains.
    delivery: Delivery<Vec<(usize, u64)>>,
    ledger: Arc<Ledger>,
    streams: Streams,
    resource: Resource,
    /// When the next export is.
    due: Instant,
}

impl OtelOutput {
    /// Sends all there is.
    fn export(&mut self) {
        let mut refused = Vec::new();
        self.streams.export(now(), |part| {
            let body = encode(&self.resource, part.metrics, self.config.is_compressed);
            refused.extend(self.delivery.offer(body, part.covered).err());
        });
        for covered in refused {
            self.fail(&covered, "there was no room for them");
        }
    }

    /// Takes in the outcomes of requests, and returns the error of the last one that did not arrive.
    fn account(&mut self, settled: Vec<Settled<Vec<(usize, u64)>>>) -> Option<String> {
        let mut failure = None;
        for Settled { note: covered, result, .. } in settled {
            match result {
                Ok(()) => self.ledger.arrived(self.streams.settle(&covered)),
                Err(why) => {
                    self.fail(&covered, &why);
                    failure = Some(why);
                }
            }
        }
        failure
    }

    /// Totals that count from the start are sent again; those that count from export to export are lost.
    fn fail(&mut self, covered: &[(usize, u64)], why: &str) {
        if !self.streams.is_cumulative() {
            self.ledger.lost(self.streams.settle(covered), why);
        }
    }
}

impl Output for OtelOutput {
    fn description(&self) -> String {
        format!("opentelemetry ({})", self.config.described())
    }

    fn urgency(&self) -> Urgency {
        let backlog = Backlog::of(self.ledger.clone());
        Urgency::Drop(Backlog { period: self.config.export_interval.clamp(MIN_TICK, TICK), ..backlog })
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        let left_out = self.streams.add(batch);
        self.ledger.lost(left_out, NOT_FINITE);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let settled = self.delivery.settled();
        self.account(settled);
        let now = Instant::now();
        // While an export is under way, totals go on: the next one has them, too.
        if now >= self.due && self.delivery.is_idle() {
            self.due = (self.due + self.config.export_interval).max(now);
            self.export();
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + END_WITHIN;
        self.export();
        let settled = self.delivery.finish(deadline);
        let failure = self.account(settled);
        // Of totals that count from the start, a later request may have made up for one that failed.
        let missing = self.streams.unsettled();
        let Some(why) = failure.filter(|_| missing > 0 || !self.streams.is_cumulative()) else {
            return Ok(());
        };
        log::error!(
            error:% = format_args!("failed to upload metrics: {why}");
            "can't shutdown OpenTelemetry metric provider"
        );
        if self.streams.is_cumulative() {
            self.ledger.lost(missing, &why);
        }
        Ok(())
    }
}

/// The resource that the metrics describe: the service, and what the SDKs add.
fn resource(config: &Config) -> Resource {
    let mut attributes = vec![
        text("service.name", &config.service_name),
        text("service.version", &config.service_version),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.name", "senary"),
        text("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    for (key, value) in &config.resource {
        if attributes.iter().all(|known| known.key != *key) {
            attributes.push(text(key, value));
        }
    }
    Resource { attributes }
}

fn encode(resource: &Resource, metrics: Vec<Metric>, is_compressed: bool) -> Bytes {
    let scope = Some(Scope { name: "k6".to_owned(), version: String::new() });
    let scope_metrics = vec![ScopeMetrics { scope, metrics }];
    let resource_metrics = vec![ResourceMetrics { resource: Some(resource.clone()), scope_metrics }];
    let body = ExportRequest { resource_metrics }.encode_to_vec();
    if !is_compressed {
        return body.into();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(&body);
    encoder.finish().unwrap_or_default().into()
}
