use senary_metrics::{ProducerId, Recorder, Timestamp};

use super::*;

struct Bench {
    registry: Registry,
    recorder: Recorder,
    streams: Streams,
}

impl Bench {
    fn new(temporality: Temporality, has_bounds: bool) -> Self {
        let registry = Registry::new();
        let kind = Kind { prefix: "p.".to_owned(), temporality, has_bounds };
        let streams = Streams::new(registry.clone(), kind);
        Self { registry, recorder: Recorder::new(ProducerId(0)), streams }
    }

    fn add(&mut self, name: &str, kind: MetricType, tags: &[(&str, &str)], value: f64, at: i64) -> u64 {
        let metric = self.registry.get_or_register(name, kind, ValueType::Default).unwrap();
        let tags = self.recorder.intern(&TagSet::new(tags.iter().copied()));
        let series = self.recorder.series(metric, tags);
        self.recorder.record(series, value, Timestamp(at));
        self.streams.add(&self.recorder.take_batch().unwrap())
    }

    fn export(&mut self, time: u64) -> Vec<Part> {
        let mut parts = Vec::new();
        self.streams.export(time, |part| parts.push(part));
        parts
    }

    /// The points of sums and gauges: name, attributes, value.
    fn numbers(&mut self) -> Vec<(String, String, f64)> {
        let metrics = self.export(now()).into_iter().flat_map(|part| part.metrics);
        metrics.flat_map(|metric| numbers(&metric)).collect()
    }
}

fn numbers(metric: &Metric) -> Vec<(String, String, f64)> {
    let points = match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => &sum.points,
        Data::Gauge(gauge) => &gauge.points,
        other => panic!("{other:?}"),
    };
    let attribute = |attribute: &KeyValue| {
        let value = attribute.value.clone().unwrap().value.unwrap();
        let Any::Text(value) = value else { return format!("{}={value:?}", attribute.key) };
        format!("{}={value}", attribute.key)
    };
    let row = |point: &NumberPoint| {
        let attributes = point.attributes.iter().map(attribute).collect::<Vec<_>>().join(",");
        let value = match point.value.unwrap() {
            Number::Double(value) => value,
            Number::Int(value) => value as f64,
        };
        (metric.name.clone(), attributes, value)
    };
    points.iter().map(row).collect()
}

fn row(name: &str, attributes: &str, value: f64) -> (String, String, f64) {
    (name.to_owned(), attributes.to_owned(), value)
}

#[test]
fn series_that_differ_in_nothing_that_is_sent_are_one() {
    let mut bench = Bench::new(Temporality::Cumulative, false);
    bench.add("hits", MetricType::Counter, &[("a", "1"), ("empty", "")], 1.0, 0);
    bench.add("hits", MetricType::Counter, &[("a", "1")], 2.0, 0);
    bench.add("ok", MetricType::Rate, &[("condition", "mine")], 1.0, 0);
    bench.add("ok", MetricType::Rate, &[], 0.0, 0);
    bench.add("ok", MetricType::Rate, &[], 0.5, 0);
    let expected = [
        row("p.hits", "a=1", 3.0),
        row("p.ok.total", "condition=nonzero", 2.0),
        row("p.ok.total", "condition=zero", 1.0),
    ];
    assert_eq!(bench.numbers(), expected);
    assert_eq!(bench.numbers(), expected, "totals stay");
}

#[test]
fn the_newest_value_of_a_gauge_is_that_of_the_latest_time() {
    let mut bench = Bench::new(Temporality::Cumulative, false);
    for (value, at) in [(1.0, 5), (2.0, 9), (3.0, 7)] {
        bench.add("level", MetricType::Gauge, &[], value, at);
    }
    assert_eq!(bench.numbers(), [row("p.level", "", 2.0)]);
}

#[test]
fn deltas_count_from_export_to_export() {
    let mut bench = Bench::new(Temporality::Delta, false);
    bench.add("hits", MetricType::Counter, &[], 2.0, 0);
    assert_eq!(bench.numbers(), [row("p.hits", "", 2.0)]);
    assert_eq!(bench.numbers(), []);
    bench.add("hits", MetricType::Counter, &[], 5.0, 0);
    let before = bench.streams.start;
    assert_eq!(bench.numbers(), [row("p.hits", "", 5.0)]);
    assert!(bench.streams.start > before);
}

#[test]
fn what_is_not_finite_is_left_out_and_told() {
    let mut bench = Bench::new(Temporality::Cumulative, false);
    assert_eq!(bench.add("hits", MetricType::Counter, &[], f64::INFINITY, 0), 1);
    assert_eq!(bench.add("hits", MetricType::Counter, &[], 1.0, 0), 0);
    assert_eq!(bench.numbers(), [row("p.hits", "", 1.0)]);
}

#[test]
fn samples_are_settled_once_however_often_their_totals_are_sent() {
    let mut bench = Bench::new(Temporality::Cumulative, false);
    bench.add("hits", MetricType::Counter, &[], 1.0, 0);
    let first = bench.export(1).remove(0);
    bench.add("hits", MetricType::Counter, &[], 1.0, 0);
    bench.add("hits", MetricType::Counter, &[("a", "b")], 1.0, 0);
    let second = bench.export(2).remove(0);
    assert_eq!(bench.streams.settle(&first.covered), 1);
    assert_eq!(bench.streams.unsettled(), 2);
    assert_eq!(bench.streams.settle(&second.covered), 2);
    assert_eq!((bench.streams.settle(&second.covered), bench.streams.unsettled()), (0, 0));
}

#[test]
fn series_without_end_take_no_memory_without_end_and_requests_stay_small() {
    let mut bench = Bench::new(Temporality::Cumulative, false);
    for n in 0..MAX_STREAMS + 10 {
        bench.add("hits", MetricType::Counter, &[("n", &n.to_string())], 1.0, 0);
    }
    let parts = bench.export(1);
    assert_eq!(parts.iter().map(|part| part.covered.len()).max(), Some(POINTS));
    assert_eq!(parts.iter().map(|part| part.covered.len()).sum::<usize>(), MAX_STREAMS + 1);
    let last = numbers(parts.last().unwrap().metrics.last().unwrap()).pop().unwrap();
    assert_eq!(last, row("p.hits", "otel.metric.overflow=Bool(true)", 10.0));
}

#[test]
fn trends_are_histograms() {
    for has_bounds in [false, true] {
        let mut bench = Bench::new(Temporality::Cumulative, has_bounds);
        for value in [1.0, -3.0, 0.0] {
            bench.add("lag", MetricType::Trend, &[], value, 0);
        }
        let part = bench.export(9).remove(0);
        let (count, sum, min, max, time) = match part.metrics[0].data.as_ref().unwrap() {
            Data::Histogram(histogram) if has_bounds => {
                let point = &histogram.points[0];
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
                (point.count, point.sum, point.min, point.max, point.time)
            }
            Data::Exponential(histogram) if !has_bounds => {
                let point = &histogram.points[0];
                assert_eq!(point.zero_count, 1);
                (point.count, point.sum, point.min, point.max, point.time)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((count, sum, min, max, time), (3, Some(-2.0), Some(-3.0), Some(1.0), 9));
    }
}
