//! `--out influxdb`: one point per sample, to InfluxDB of version 1, or of version 2 if there is a token.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/influxdb/>)

mod config;
mod line;
mod server;

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use senary_metrics::{Registry, SampleBatch, SeriesMap};
use senary_words::duration::format_go;

use self::config::{Config, SETTINGS};
use self::line::{Fields, SeriesText, Times, metadata_fields};
use crate::delivery::{Bytes, Delivery, END_WITHIN, Settled, Terms};
use crate::ledger::Ledger;
use crate::output::{Backlog, CreateError, Output, OutputContext, Urgency};
use crate::settings::{SettingHelp, help};

/// A write has about so many bytes at most: servers take 25 MB.
const BODY: usize = 4 << 20;

/// How often the output looks whether points are due, unless they are due more often. Looking all the time is no use.
const TICK: Duration = Duration::from_millis(200);
const MIN_TICK: Duration = Duration::from_millis(10);

/// Each write that may be under way has a thread.
const MAX_WRITES: usize = 128;

const NOT_FINITE: &str = "the database has no value for infinity";

const NO_ROOM: &str = "the database took them slower than they came";

pub(crate) fn settings() -> Vec<SettingHelp> {
    help(SETTINGS)
}

/// With the argument of `--out influxdb=…`, a URL.
pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    let config = Config::consolidate(argument, context).map_err(|error| error.to_string())?;
    let terms =
        Terms { at_once: config.concurrent_writes.min(MAX_WRITES), timeout: END_WITHIN, ..Terms::default() };
    let delivery = if config.is_udp() {
        Delivery::start(Terms { at_once: 1, tries: 1, ..terms }, server::Udp::new(&config))
    } else {
        Delivery::start(terms, server::Server::new(&config)?)
    };
    // Each core has a worker, as a rule, and there are a few more who measure.
    let producers = (available_parallelism().map_or(1, Into::into) + 4_usize).next_power_of_two();
    Ok(Box::new(InfluxOutput {
        delivery: delivery.map_err(|error| error.to_string())?,
        ledger: Arc::default(),
        registry: context.registry.clone(),
        series: SeriesMap::default(),
        fields: config.fields(),
        times: Times::new(config.precision, producers),
        body: Vec::new(),
        points: 0,
        due: Instant::now() + config.push_interval,
        told_slow: config.push_interval,
        config,
    }))
}

struct InfluxOutput {
    config: Config,
    /// What is noted of each write is how many points it has.
    delivery: Delivery<u64>,
    ledger: Arc<Ledger>,
    registry: Registry,
    series: SeriesMap<SeriesText>,
    fields: Fields,
    times: Times,
    /// Points that are yet to be written.
    body: Vec<u8>,
    points: u64,
    /// When they are.
    due: Instant,
    /// How long the slowest write took that was warned of.
    told_slow: Duration,
}

impl InfluxOutput {
    fn learn(&mut self, batch: &SampleBatch) {
        let (registry, fields) = (&self.registry, &self.fields);
        self.series.learn(batch, |series| {
            let metric = registry.metric(series.metric);
            SeriesText::new(metric.as_ref().map_or("", |metric| &metric.name), series, fields)
        });
    }

    fn offer(&mut self) {
        if self.points == 0 {
            return;
        }
        let (body, points) = (std::mem::take(&mut self.body), std::mem::take(&mut self.points));
        self.body.reserve(body.len() + body.len() / 8);
        if let Err(points) = self.delivery.offer(Bytes::from(body), points) {
            self.ledger.lost(points, NO_ROOM);
        }
    }

    fn account(&mut self, settled: Vec<Settled<u64>>) {
        for Settled { note: points, result, took } in settled {
            match result {
                Ok(()) => self.ledger.arrived(points),
                Err(why) => {
                    let dropped = server::dropped(&why).unwrap_or(points).min(points);
                    self.ledger.arrived(points - dropped);
                    self.ledger.lost(dropped, &why);
                }
            }
            if took > self.told_slow {
                // One that is a little slower still is no news.
                self.told_slow = took * 2;
                log::warn!(
                    "The flush operation took higher than the expected set push interval. If you see this message multiple times then the setup or configuration need to be adjusted to achieve a sustainable rate: a write took {}, and one is due every {}",
                    format_go(took),
                    format_go(self.config.push_interval)
                );
            }
        }
    }
}

impl Output for InfluxOutput {
    fn description(&self) -> String {
        let version = if self.config.token.is_some() { 2 } else { 1 };
        format!("InfluxDBv{version} ({})", self.config.addr)
    }

    fn urgency(&self) -> Urgency {
        let backlog = Backlog::of(self.ledger.clone());
        Urgency::Drop(Backlog { period: self.config.push_interval.clamp(MIN_TICK, TICK), ..backlog })
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.learn(batch);
        let metadata: Vec<_> =
            batch.metadata.iter().map(|metadata| metadata_fields(metadata, &self.fields)).collect();
        let mut not_finite = 0;
        for (series, sample) in self.series.samples(batch) {
            let metadata = sample.metadata_index().and_then(|at| metadata.get(at)).map_or("", String::as_str);
            let (value, time) = (sample.value, sample.time);
            if series.push_point(&mut self.body, metadata, value, time, batch.producer, &self.times) {
                self.points += 1;
            } else {
                not_finite += 1;
            }
        }
        self.ledger.lost(not_finite, NOT_FINITE);
        if self.body.len() >= BODY {
            self.offer();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + self.config.push_interval;
            self.offer();
        }
        let settled = self.delivery.settled();
        self.account(settled);
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.offer();
        let settled = self.delivery.finish(Instant::now() + END_WITHIN);
        self.account(settled);
        Ok(())
    }
}
