//! All series: their totals, and how much of these the server has.

use rustc_hash::{FxHashMap, FxHashSet};
use senary_metrics::sink::TrendSink;
use senary_metrics::{
    Metric, MetricId, MetricType, Registry, SampleBatch, SeriesMap, Sink, Timestamp, ValueType,
};

use super::config::{Config, TrendWindow};
use super::label::{Labels, labels, with_name};
use super::native::Native;
use super::stat::Stat;
use super::wire::{Family, Kind, WriteRequest};
use crate::ledger::Ledger;

/// Values of a trend that are kept exactly, for each series; further ones are known to a thousandth.
const EXACT_VALUES: usize = 4096;

/// At most this many series are kept, so that a test that keeps putting new values into its tags takes bounded memory.
const MAX_SERIES: usize = 100_000;

const TOO_MANY: &str = "there were more than 100000 different time series";

pub(super) struct Book {
    registry: Registry,
    how: How,
    series: Vec<Series>,
    known: FxHashMap<(MetricId, Labels), usize>,
    /// Where the series of each producer are; `None` for those that are too many.
    places: SeriesMap<Option<usize>>,
    /// The metrics that were seen, by their names in Prometheus.
    families: Vec<Family>,
    described: FxHashSet<MetricId>,
}

/// How trends are sent.
struct How {
    stats: Vec<Stat>,
    schema: Option<i8>,
    window: TrendWindow,
}

struct Series {
    metric: MetricType,
    contains: ValueType,
    labels: Labels,
    /// With all suffixes; one for each statistic.
    names: Vec<String>,
    value: Value,
    /// How many samples it has got, and how many of them have arrived.
    samples: u64,
    arrived: u64,
    newest: Timestamp,
    /// The time of the last push with it, in milliseconds.
    sent: Option<i64>,
}

enum Value {
    Sum(Sink),
    Trend(TrendSink),
    Native(Native),
}

/// The part of a series that a push contains.
#[derive(Debug)]
pub(super) struct Seen {
    series: usize,
    /// The number of its samples.
    samples: u64,
    /// The previous values of an interval's trend, in case the push fails.
    window: Option<TrendSink>,
}

impl Book {
    pub(super) fn new(config: &Config, registry: &Registry) -> Self {
        let how = How {
            stats: config.trend_stats.clone(),
            schema: config.native_histograms.then_some(config.schema),
            window: config.trend_window,
        };
        Self {
            registry: registry.clone(),
            how,
            series: Vec::new(),
            known: FxHashMap::default(),
            places: SeriesMap::default(),
            families: Vec::new(),
            described: FxHashSet::default(),
        }
    }

    pub(super) fn add(&mut self, batch: &SampleBatch, ledger: &Ledger) {
        let Self { registry, how, series, known, places, families, described } = self;
        places.learn(batch, |new| {
            let key = (new.metric, labels(&new.tags));
            if let Some(&place) = known.get(&key) {
                return Some(place);
            }
            let metric = registry.metric(new.metric).filter(|_| series.len() < MAX_SERIES)?;
            if described.insert(new.metric) {
                families.extend(families_of(&metric, how));
            }
            series.push(Series::new(&metric, key.1.clone(), how));
            known.insert(key, series.len() - 1);
            Some(series.len() - 1)
        });
        let mut too_many = 0;
        for (place, sample) in places.samples(batch) {
            match *place {
                Some(place) => series[place].add(sample.value, sample.time),
                None => too_many += 1,
            }
        }
        ledger.lost(too_many, TOO_MANY);
    }

    /// The metrics that were seen so far, by their names in Prometheus.
    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    /// The series that have samples the server has not got.
    pub(super) fn new_ones(&self) -> Vec<usize> {
        let is_new = |place: &usize| self.series[*place].samples > self.series[*place].arrived;
        (0..self.series.len()).filter(is_new).collect()
    }

    pub(super) fn sent_ones(&self) -> Vec<usize> {
        (0..self.series.len()).filter(|place| self.series[*place].sent.is_some()).collect()
    }

    /// How many samples the server has not got.
    pub(super) fn missing(&self) -> u64 {
        self.series.iter().map(|series| series.samples - series.arrived).sum()
    }

    /// Writes a series as it is now.
    pub(super) fn write(&mut self, place: usize, request: &mut WriteRequest) -> Seen {
        let series = &mut self.series[place];
        let newest = series.newest.0.div_euclid(1_000_000);
        // Two values of the same millisecond would be refused.
        let time = series.sent.map_or(newest, |sent| newest.max(sent + 1));
        series.sent = Some(time);
        let seconds = if series.contains == ValueType::Time { 1000.0 } else { 1.0 };
        let labels = &series.labels;
        match &mut series.value {
            Value::Sum(sink) => {
                let value = value_of(sink) / if series.metric == MetricType::Rate { 1.0 } else { seconds };
                request.value(&with_name(&series.names[0], labels), value, time);
            }
            Value::Trend(trend) => {
                for (stat, name) in self.how.stats.iter().zip(&series.names) {
                    let value = stat.of(trend) / if stat.has_unit() { seconds } else { 1.0 };
                    request.value(&with_name(name, labels), value, time);
                }
            }
            Value::Native(native) => {
                request.histogram(&with_name(&series.names[0], labels), native, time, false);
            }
        }
        Seen { series: place, samples: series.samples, window: series.begin_window(self.how.window) }
    }

    /// Writes that a series has ended.
    pub(super) fn write_stale(&mut self, place: usize, time: i64, request: &mut WriteRequest) {
        let series = &mut self.series[place];
        let time = series.sent.map_or(time, |sent| time.max(sent + 1));
        series.sent = Some(time);
        for name in &series.names {
            let labels = with_name(name, &series.labels);
            match &series.value {
                Value::Native(native) => request.histogram(&labels, native, time, true),
                Value::Sum(_) | Value::Trend(_) => request.stale(&labels, time),
            }
        }
    }

    /// The push has arrived. How many samples have arrived with it.
    pub(super) fn arrived(&mut self, seen: Seen) -> u64 {
        let series = &mut self.series[seen.series];
        let more = seen.samples.saturating_sub(series.arrived);
        series.arrived += more;
        more
    }

    /// The push has not arrived: the next one has all of it.
    pub(super) fn failed(&mut self, seen: Seen) {
        if let (Some(window), Value::Trend(trend)) = (seen.window, &mut self.series[seen.series].value) {
            trend.merge(&window);
        }
    }
}

impl Series {
    fn new(metric: &Metric, labels: Labels, how: &How) -> Self {
        let value = match (metric.kind, how.schema) {
            (MetricType::Trend, Some(schema)) => Value::Native(Native::new(schema)),
            (MetricType::Trend, None) => Value::Trend(TrendSink::exact_up_to(EXACT_VALUES)),
            (kind, _) => Value::Sum(Sink::new(kind)),
        };
        Self {
            metric: metric.kind,
            contains: metric.contains,
            labels,
            names: names(metric, how),
            value,
            samples: 0,
            arrived: 0,
            newest: Timestamp(i64::MIN),
            sent: None,
        }
    }

    fn add(&mut self, value: f64, time: Timestamp) {
        self.samples += 1;
        self.newest = self.newest.max(time);
        match &mut self.value {
            Value::Sum(sink) => sink.add(value, time),
            Value::Trend(trend) => trend.add(value),
            Value::Native(native) if self.contains == ValueType::Time => native.add(value / 1000.0),
            Value::Native(native) => native.add(value),
        }
    }

    /// Starts the next interval, if that is what values are of; what was in the last one comes back.
    fn begin_window(&mut self, window: TrendWindow) -> Option<TrendSink> {
        match &mut self.value {
            Value::Trend(trend) if window == TrendWindow::Interval => {
                Some(std::mem::replace(trend, TrendSink::exact_up_to(EXACT_VALUES)))
            }
            _ => None,
        }
    }
}

fn value_of(sink: &Sink) -> f64 {
    match sink {
        Sink::Counter(counter) => counter.value(),
        Sink::Gauge(gauge) => gauge.value,
        Sink::Rate(rate) => rate.rate(),
        Sink::Trend(trend) => trend.avg(),
    }
}

/// What the series of a metric are called.
fn names(metric: &Metric, how: &How) -> Vec<String> {
    let name = &metric.name;
    match metric.kind {
        MetricType::Counter => vec![format!("k6_{name}_total")],
        MetricType::Gauge => vec![format!("k6_{name}")],
        MetricType::Rate => vec![format!("k6_{name}_rate")],
        MetricType::Trend if how.schema.is_some() => vec![match metric.contains {
            ValueType::Time => format!("k6_{name}_seconds"),
            ValueType::Data => format!("k6_{name}_bytes"),
            ValueType::Default => format!("k6_{name}"),
        }],
        MetricType::Trend => how.stats.iter().map(|stat| format!("k6_{name}_{}", stat.suffix())).collect(),
    }
}

fn families_of(metric: &Metric, how: &How) -> Vec<Family> {
    let kind = match metric.kind {
        MetricType::Counter => Kind::Counter,
        MetricType::Trend if how.schema.is_some() => Kind::Histogram,
        MetricType::Gauge | MetricType::Rate | MetricType::Trend => Kind::Gauge,
    };
    let unit = match metric.contains {
        _ if metric.kind == MetricType::Rate => "",
        ValueType::Time => "seconds",
        ValueType::Data => "bytes",
        ValueType::Default => "",
    };
    names(metric, how).into_iter().map(|name| Family { name, kind, unit }).collect()
}
