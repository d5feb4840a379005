//! The totals of every time series, and the messages they make. Totals count from the start of the test (cumulative), or from
//! the export before (delta).

use std::time::{SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use senary_metrics::{MetricId, MetricType, Registry, SampleBatch, SeriesMap, TagSet, ValueType};

use super::histogram::{BOUNDS, Counts, Explicit, Exponential};
use super::messages::{
    Any, AnyValue, Buckets, Data, ExponentialHistogram, ExponentialPoint, Gauge, Histogram, HistogramPoint,
    KeyValue, Metric, Number, NumberPoint, Sum, Temporality, text,
};

/// Series beyond this number are added up in one per metric, which has an attribute that says so. So a test that keeps
/// putting new values into its tags does not take more and more memory.
const MAX_STREAMS: usize = 50_000;

/// The attribute of that series, as the specification of the SDKs names it.
const OVERFLOW: &str = "otel.metric.overflow";

/// The attribute that tells the two counts of a Rate apart.
const CONDITION: &str = "condition";

/// The greatest number of points in a request: collectors accept 4 MB.
const POINTS: usize = 2_000;

/// Everything that was counted.
pub(super) struct Streams {
    registry: Registry,
    kind: Kind,
    series: SeriesMap<usize>,
    places: FxHashMap<(MetricId, Option<TagSet>), usize>,
    streams: Vec<Stream>,
    /// The streams of each metric, by its id.
    by_metric: Vec<Vec<usize>>,
    has_overflown: bool,
    /// Since when totals count, in nanoseconds: the start of the test, or the export before.
    start: u64,
}

/// How totals are kept and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What names of metrics begin with.
    pub(super) prefix: String,
    pub(super) temporality: Temporality,
    /// Whether histograms have bounds that are given.
    pub(super) has_bounds: bool,
}

/// One time series.
struct Stream {
    attributes: Vec<KeyValue>,
    total: Total,
    /// Samples that are in the total, from the start of the test.
    samples: u64,
    /// How many of them were in the last export, and for how many the outcome is known.
    exported: u64,
    settled: u64,
}

enum Total {
    Counter(f64),
    Gauge { value: f64, time: i64 },
    Rate { zero: i64, nonzero: i64 },
    Trend { spread: Spread, buckets: Explicit },
    ExponentialTrend { spread: Spread, buckets: Exponential },
}

#[derive(Clone, Copy)]
struct Spread {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

/// Metrics for one request, and which samples are in them: streams, each with the number of its samples so far.
#[derive(Default)]
pub(super) struct Part {
    pub(super) metrics: Vec<Metric>,
    pub(super) covered: Vec<(usize, u64)>,
}

impl Streams {
    pub(super) fn new(registry: Registry, kind: Kind) -> Self {
        Self {
            registry,
            kind,
            series: SeriesMap::default(),
            places: FxHashMap::default(),
            streams: Vec::new(),
            by_metric: Vec::new(),
            has_overflown: false,
            start: now(),
        }
    }

    /// Adds the samples of a batch up. The answer is how many were left out, because they are not finite.
    pub(super) fn add(&mut self, batch: &SampleBatch) -> u64 {
        // A series map cannot lend itself and the streams to the same closure.
        let mut map = std::mem::take(&mut self.series);
        map.learn(batch, |series| self.place(series.metric, &series.tags));
        let mut left_out = 0;
        for (place, sample) in map.samples(batch) {
            let Some(stream) = self.streams.get_mut(*place).filter(|_| sample.value.is_finite()) else {
                left_out += 1;
                continue;
            };
            stream.samples += 1;
            stream.total.add(sample.value, sample.time.0);
        }
        self.series = map;
        left_out
    }

    /// The stream of a series; a new one, if it is new.
    fn place(&mut self, id: MetricId, tags: &TagSet) -> usize {
        let metric = self.registry.metric(id);
        let kind = metric.as_ref().map_or(MetricType::Counter, |metric| metric.kind);
        let is_rate = kind == MetricType::Rate;
        let is_attribute =
            |key: &str, value: &str| !key.is_empty() && !value.is_empty() && (!is_rate || key != CONDITION);
        let attributes = TagSet::new(tags.iter().filter(|(key, value)| is_attribute(key, value)));
        let mut key = (id, Some(attributes));
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        if self.streams.len() >= MAX_STREAMS {
            if !std::mem::replace(&mut self.has_overflown, true) {
                log::warn!(
                    "The test has more than {MAX_STREAMS} time series: the opentelemetry output adds up further ones in one per metric, with the attribute {OVERFLOW}"
                );
            }
            key.1 = None;
            if let Some(place) = self.places.get(&key) {
                return *place;
            }
        }
        let attributes = match &key.1 {
            Some(tags) => tags.iter().map(|(key, value)| text(key, value)).collect(),
            None => vec![KeyValue {
                key: OVERFLOW.to_owned(),
                value: Some(AnyValue { value: Some(Any::Bool(true)) }),
            }],
        };
        let place = self.streams.len();
        let total = Total::new(kind, self.kind.has_bounds);
        self.streams.push(Stream { attributes, total, samples: 0, exported: 0, settled: 0 });
        self.places.insert(key, place);
        let metric = id.0 as usize;
        if self.by_metric.len() <= metric {
            self.by_metric.resize_with(metric + 1, Vec::new);
        }
        self.by_metric[metric].push(place);
        place
    }

    /// Gives what is to be sent at a time, in parts that are not too large. Totals that count from export to export
    /// start again.
    pub(super) fn export(&mut self, time: u64, mut give: impl FnMut(Part)) {
        let is_delta = self.kind.temporality == Temporality::Delta;
        let mut part = Part::default();
        for (id, places) in (0..).zip(&self.by_metric) {
            let Some(metric) = self.registry.metric(MetricId(id)) else { continue };
            let shape = Shape { kind: metric.kind, temporality: self.kind.temporality };
            let is_rate = metric.kind == MetricType::Rate;
            let name = format!("{}{}{}", self.kind.prefix, metric.name, if is_rate { ".total" } else { "" });
            let unit = match metric.contains {
                ValueType::Time => "ms",
                ValueType::Data => "By",
                ValueType::Default => "",
            };
            let mut data = None;
            for place in places {
                let stream = &mut self.streams[*place];
                let has_news = stream.samples > stream.exported;
                if stream.samples == 0 || is_delta && !has_news {
                    continue;
                }
                if part.covered.len() >= POINTS {
                    part.push(&name, unit, data.take());
                    give(std::mem::take(&mut part));
                }
                let points = data.get_or_insert_with(|| shape.data(self.kind.has_bounds));
                stream.push_points(points, self.start, time);
                part.covered.push((*place, stream.samples));
                stream.exported = stream.samples;
                if is_delta {
                    stream.total = Total::new(metric.kind, self.kind.has_bounds);
                }
            }
            part.push(&name, unit, data);
        }
        if !part.covered.is_empty() {
            give(part);
        }
        if is_delta {
            self.start = time;
        }
    }

    /// Marks the samples of a part as settled, and returns how many of them were not settled before.
    pub(super) fn settle(&mut self, covered: &[(usize, u64)]) -> u64 {
        let mut news = 0;
        for (place, samples) in covered {
            let stream = &mut self.streams[*place];
            news += samples.saturating_sub(stream.settled);
            stream.settled = stream.settled.max(*samples);
        }
        news
    }

    /// Whether a part that did not arrive is made up for by a later one.
    pub(super) fn is_cumulative(&self) -> bool {
        self.kind.temporality == Temporality::Cumulative
    }

    /// How many samples are in no export that has been settled.
    pub(super) fn unsettled(&self) -> u64 {
        self.streams.iter().map(|stream| stream.samples - stream.settled).sum()
    }
}

impl Part {
    fn push(&mut self, name: &str, unit: &str, data: Option<Data>) {
        if data.is_some() {
            self.metrics.push(Metric { name: name.to_owned(), unit: unit.to_owned(), data });
        }
    }
}

/// The kind of message of a metric.
struct Shape {
    kind: MetricType,
    temporality: Temporality,
}

impl Shape {
    fn data(&self, has_bounds: bool) -> Data {
        let temporality = self.temporality as i32;
        match self.kind {
            MetricType::Counter | MetricType::Rate => {
                Data::Sum(Sum { points: Vec::new(), temporality, is_monotonic: true })
            }
            MetricType::Gauge => Data::Gauge(Gauge { points: Vec::new() }),
            MetricType::Trend if has_bounds => Data::Histogram(Histogram { points: Vec::new(), temporality }),
            MetricType::Trend => Data::Exponential(ExponentialHistogram { points: Vec::new(), temporality }),
        }
    }
}

impl Stream {
    fn push_points(&self, data: &mut Data, start: u64, time: u64) {
        let number = |value, attributes| NumberPoint { attributes, start, time, value: Some(value) };
        match (data, &self.total) {
            (Data::Sum(sum), Total::Counter(value)) => {
                sum.points.push(number(Number::Double(*value), self.attributes.clone()));
            }
            (Data::Gauge(gauge), Total::Gauge { value, .. }) => {
                gauge.points.push(number(Number::Double(*value), self.attributes.clone()));
            }
            (Data::Sum(sum), Total::Rate { zero, nonzero }) => {
                for (condition, count) in [("nonzero", *nonzero), ("zero", *zero)] {
                    if count > 0 {
                        let mut attributes = self.attributes.clone();
                        attributes.push(text(CONDITION, condition));
                        sum.points.push(number(Number::Int(count), attributes));
                    }
                }
            }
            (Data::Histogram(histogram), Total::Trend { spread, buckets }) => {
                histogram.points.push(HistogramPoint {
                    attributes: self.attributes.clone(),
                    start,
                    time,
                    count: spread.count,
                    sum: Some(spread.sum),
                    bucket_counts: buckets.0.to_vec(),
                    explicit_bounds: BOUNDS.to_vec(),
                    min: Some(spread.min),
                    max: Some(spread.max),
                });
            }
            (Data::Exponential(histogram), Total::ExponentialTrend { spread, buckets }) => {
                let message = |counts: &Counts| {
                    Some(Buckets { offset: counts.offset, bucket_counts: counts.counts.clone() })
                };
                histogram.points.push(ExponentialPoint {
                    attributes: self.attributes.clone(),
                    start,
                    time,
                    count: spread.count,
                    sum: Some(spread.sum),
                    scale: buckets.scale,
                    zero_count: buckets.zeros,
                    positive: message(&buckets.positive),
                    negative: message(&buckets.negative),
                    min: Some(spread.min),
                    max: Some(spread.max),
                });
            }
            // The type of a metric decides on both.
            _ => {}
        }
    }
}

impl Total {
    fn new(kind: MetricType, has_bounds: bool) -> Self {
        let spread = Spread { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        match kind {
            MetricType::Counter => Self::Counter(0.0),
            MetricType::Gauge => Self::Gauge { value: 0.0, time: i64::MIN },
            MetricType::Rate => Self::Rate { zero: 0, nonzero: 0 },
            MetricType::Trend if has_bounds => Self::Trend { spread, buckets: Explicit::default() },
            MetricType::Trend => Self::ExponentialTrend { spread, buckets: Exponential::default() },
        }
    }

    fn add(&mut self, number: f64, at: i64) {
        match self {
            Self::Counter(sum) => *sum += number,
            // Batches of several workers come in any order.
            Self::Gauge { value, time } if at >= *time => (*value, *time) = (number, at),
            Self::Gauge { .. } => {}
            Self::Rate { zero, .. } if number == 0.0 => *zero += 1,
            Self::Rate { nonzero, .. } => *nonzero += 1,
            Self::Trend { spread, buckets } => {
                spread.add(number);
                buckets.add(number);
            }
            Self::ExponentialTrend { spread, buckets } => {
                spread.add(number);
                buckets.add(number);
            }
        }
    }
}

impl Spread {
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }
}

/// The time in nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
