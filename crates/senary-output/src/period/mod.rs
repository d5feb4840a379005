//! The figures of periods of some seconds, in the form of the reference's dashboard: an array of numbers per metric, in
//! the order of the metrics' names.
//! (<https://grafana.com/docs/k6/latest/results-output/web-dashboard/>)

mod many;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use senary_metrics::sink::{Sink, TrendSink};
use senary_metrics::{Metric, MetricType, Registry, SampleBatch, Series, SeriesMap, ValueType, builtin};
use serde_json::{Map, Value, json};

pub use many::PeriodsOfMany;

use crate::output::Output;

/// The greatest number of metrics and values of tags that have their own figures; more would overload every viewer.
const MAX_NAMES: usize = 1000;
/// Values of a trend that are kept exactly in a period, and since the start.
const EXACT_IN_PERIOD: usize = 1 << 16;
const EXACT: usize = 1 << 16;

/// The name of an event's time among the metrics.
const TIME: &str = "time";

/// The figures for each type of metric, in their order in events.
pub fn aggregates() -> Value {
    json!({
        "counter": ["count", "rate"],
        "gauge": ["value"],
        "rate": ["rate"],
        "trend": ["avg", "max", "med", "min", "p(90)", "p(95)", "p(99)"],
    })
}

/// The sums of the present period, and of all periods before it.
pub struct PeriodSums {
    registry: Registry,
    /// Tags whose values have their own figures.
    tags: Vec<String>,
    sums: Vec<Sums>,
    by_name: FxHashMap<String, u32>,
    routes: SeriesMap<Box<[u32]>>,
    /// How many of `sums` have been announced.
    told: usize,
}

struct Sums {
    name: String,
    metric: Metric,
    /// Since the period began, and until then.
    period: Sink,
    before: Sink,
}

/// The data of the events at the end of a period.
#[derive(Debug)]
pub struct Told {
    /// Metrics that have not been announced yet.
    pub metric: Option<Value>,
    /// Since the start of the run.
    pub cumulative: Value,
    /// In the period.
    pub snapshot: Value,
}

impl PeriodSums {
    pub fn new(registry: Registry, tags: Vec<String>) -> Self {
        let (sums, by_name, routes) = Default::default();
        Self { registry, tags, sums, by_name, routes, told: 0 }
    }

    /// The events before any sample: only the time is announced.
    pub fn time_metric() -> Value {
        json!({ TIME: description(MetricType::Gauge, ValueType::Time, false) })
    }

    pub fn add(&mut self, batch: &SampleBatch) {
        let mut routes = std::mem::take(&mut self.routes);
        routes.learn(batch, |series| self.route(series));
        for (route, sample) in routes.samples(batch) {
            for &at in route {
                self.sums[at as usize].period.add(sample.value, sample.time);
            }
        }
        self.routes = routes;
    }

    /// Ends the period. `now` is in milliseconds since 1970, the period and the time since the start in seconds.
    pub fn end(&mut self, now: i64, period: f64, elapsed: f64) -> Told {
        let new = self.sums[self.told..].iter().map(|sums| {
            let Metric { kind, contains, .. } = sums.metric;
            (sums.name.clone(), description(kind, contains, sums.metric.custom))
        });
        let new: Map<String, Value> = new.collect();
        self.told = self.sums.len();
        let mut names: Vec<_> = self.sums.iter_mut().collect();
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let at = names.partition_point(|sums| sums.name.as_str() < TIME);
        let (mut cumulative, mut snapshot) = (Vec::new(), Vec::new());
        for sums in names {
            let mut in_period = std::mem::replace(&mut sums.period, empty(sums.metric.kind, EXACT_IN_PERIOD));
            sums.before.merge(&in_period);
            snapshot.push(figures(&mut in_period, period));
            cumulative.push(figures(&mut sums.before, elapsed));
        }
        for list in [&mut cumulative, &mut snapshot] {
            list.insert(at, json!([now]));
        }
        Told {
            metric: (!new.is_empty()).then(|| new.into()),
            cumulative: cumulative.into(),
            snapshot: snapshot.into(),
        }
    }

    fn route(&mut self, series: &Series) -> Box<[u32]> {
        let Some(metric) = self.registry.metric(series.metric) else { return Box::default() };
        let is_added = [builtin::ITERATIONS_FAILED, builtin::ITERATIONS_INTERRUPTED].contains(&metric.id);
        if builtin::is_own(metric.id) || is_added {
            // Viewers of the reference's events know all there is.
            return Box::default();
        }
        let tagged = self.tags.iter().filter_map(|tag| {
            let value = series.tags.get(tag).filter(|value| !value.is_empty())?;
            Some(format!("{}{{{tag}:{value}}}", metric.name))
        });
        let names: Vec<_> = std::iter::once(metric.name.to_string()).chain(tagged).collect();
        names.into_iter().filter_map(|name| self.place(name, &metric)).collect()
    }

    fn place(&mut self, name: String, metric: &Metric) -> Option<u32> {
        if let Some(at) = self.by_name.get(&name) {
            return Some(*at);
        }
        if self.sums.len() >= MAX_NAMES {
            return None;
        }
        let at = self.sums.len() as u32;
        self.by_name.insert(name.clone(), at);
        let (period, before) = (empty(metric.kind, EXACT_IN_PERIOD), empty(metric.kind, EXACT));
        self.sums.push(Sums { name, metric: metric.clone(), period, before });
        Some(at)
    }
}

fn empty(kind: MetricType, exact: usize) -> Sink {
    match kind {
        MetricType::Trend => Sink::Trend(TrendSink::exact_up_to(exact)),
        _ => Sink::new(kind),
    }
}

fn description(kind: MetricType, contains: ValueType, custom: bool) -> Value {
    let mut description = json!({ "type": kind.as_str() });
    if contains != ValueType::Default {
        description["contains"] = contains.as_str().into();
    }
    if custom {
        description["custom"] = true.into();
    }
    description
}

/// The figures of a sink; none without samples.
fn figures(sink: &mut Sink, seconds: f64) -> Value {
    if sink.is_empty() {
        return json!([]);
    }
    let figures = match sink {
        Sink::Counter(counter) => {
            let rate = if seconds > 0.0 { counter.value() / seconds } else { 0.0 };
            vec![counter.value(), rate]
        }
        Sink::Gauge(gauge) => vec![gauge.value],
        Sink::Rate(rate) => vec![rate.rate()],
        Sink::Trend(trend) => {
            let mut figures = vec![trend.avg(), trend.max(), trend.percentile(50.0), trend.min()];
            figures.extend([90.0, 95.0, 99.0].map(|percent| trend.percentile(percent)));
            figures
        }
    };
    figures.into_iter().map(cut).collect()
}

/// A number of five digits, cut and not rounded; a whole part that has more is kept.
fn cut(value: f64) -> Value {
    const DIGITS: i32 = 5;
    if !value.is_finite() {
        return Value::Null;
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 + 1 };
    let decimals = (DIGITS - magnitude).max(0);
    // Beyond this the scale is not a finite number, and the value is almost zero.
    let scale = 10_f64.powi(decimals.min(300));
    let mut cut = (value * scale).trunc() / scale;
    // 1.1 times a power of ten may be a little less than what it is written as.
    let next = ((value * scale).trunc() + value.signum()) / scale;
    if next == value {
        cut = value;
    }
    match cut.fract() == 0.0 && cut.abs() < 9e15 {
        true => Value::from(cut as i64),
        false => serde_json::Number::from_f64(cut).map_or(Value::Null, Value::Number),
    }
}

/// Sums that are written by the collector and read by others.
#[derive(Clone)]
pub struct SharedSums(Arc<Mutex<PeriodSums>>);

impl SharedSums {
    pub fn new(registry: Registry, tags: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(PeriodSums::new(registry, tags))))
    }

    /// The output that gets samples from the pipeline.
    pub fn output(&self) -> Box<dyn Output> {
        Box::new(PeriodOutput(self.clone()))
    }

    /// While it is held, the collector waits.
    pub fn lock(&self) -> MutexGuard<'_, PeriodSums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct PeriodOutput(SharedSums);

impl Output for PeriodOutput {
    fn description(&self) -> String {
        "events of the dashboard".to_owned()
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.0.lock().add(batch);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use senary_metrics::{ProducerId, Recorder, TagSet, Timestamp};

    use super::*;

    #[test]
    fn numbers_are_cut() {
        let cases = [
            (0.123_456_789, "0.12345"),
            (1_234_567.891, "1234567"),
            (95.5, "95.5"),
            (2.0 / 3.0, "0.66666"),
            (0.0, "0"),
            (-1.999_999, "-1.9999"),
            (0.07, "0.07"),
            (1.1, "1.1"),
            (4.35, "4.35"),
            (1e300, "1e+300"),
        ];
        for (value, text) in cases {
            assert_eq!(cut(value).to_string(), text, "{value}");
        }
        assert_eq!(cut(f64::INFINITY), Value::Null);
        assert!(cut(5e-324).is_number());
    }

    #[test]
    fn periods_are_told_apart_and_added_up() {
        let registry = Registry::new();
        let hits = registry.declare("hits", MetricType::Counter, ValueType::Default).unwrap();
        let lag = registry.declare("lag", MetricType::Trend, ValueType::Time).unwrap();
        let mut sums = PeriodSums::new(registry, vec!["group".to_owned()]);
        let mut recorder = Recorder::new(ProducerId(0));
        let mut batch = |samples: &[(senary_metrics::MetricId, &str, f64)]| {
            for (metric, group, value) in samples {
                let tags = recorder.intern(&TagSet::new([("group", *group)]));
                let series = recorder.series(*metric, tags);
                recorder.record(series, *value, Timestamp(0));
            }
            recorder.take_batch().unwrap()
        };
        sums.add(&batch(&[(hits, "", 3.0), (hits, "::g", 4.0), (builtin::SENARY_CPU, "", 1.0)]));
        let told = sums.end(1_795_451_192_000, 1.0, 1.0);
        assert_eq!(
            told.metric.unwrap(),
            json!({"hits": {"type": "counter", "custom": true}, "hits{group:::g}": {"type": "counter", "custom": true}})
        );
        assert_eq!(told.snapshot, json!([[7, 7], [4, 4], [1_795_451_192_000_i64]]));
        sums.add(&batch(&[(hits, "", 1.0), (lag, "", 10.0), (lag, "", 20.0)]));
        let told = sums.end(1_795_451_193_000, 1.0, 2.0);
        assert_eq!(
            told.metric.unwrap(),
            json!({"lag": {"type": "trend", "contains": "time", "custom": true}})
        );
        let trend = json!([15, 20, 15, 10, 19, 19.5, 19.9]);
        assert_eq!(told.snapshot, json!([[1, 1], [], trend, [1_795_451_193_000_i64]]));
        assert_eq!(told.cumulative, json!([[8, 4], [4, 2], trend, [1_795_451_193_000_i64]]));
        let told = sums.end(1_795_451_194_000, 1.0, 3.0);
        assert!(told.metric.is_none());
        assert_eq!(told.snapshot, json!([[], [], [], [1_795_451_194_000_i64]]));
    }
}
