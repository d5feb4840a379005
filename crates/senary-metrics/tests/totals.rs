//! Totals add up: whatever samples are split over several engines, what these have added up together is what one engine has
//! that got them all.

use std::collections::BTreeMap;

use proptest::prelude::*;
use senary_metrics::engine::MetricResult;
use senary_metrics::threshold::ThresholdSpec;
use senary_metrics::totals::{MergeError, Totals};
use senary_metrics::{
    Engine, MetricType, ProducerId, Recorder, Registry, Results, Sink, TagSet, Timestamp, ValueType, builtin,
};

/// A sample, and which of the engines gets it.
#[derive(Clone, Debug)]
struct Measured {
    metric: usize,
    tags: Vec<(&'static str, &'static str)>,
    value: f64,
    engine: usize,
}

const METRICS: [(&str, MetricType); 4] = [
    ("a_counter", MetricType::Counter),
    ("a_gauge", MetricType::Gauge),
    ("a_rate", MetricType::Rate),
    ("a_trend", MetricType::Trend),
];

fn registry() -> Registry {
    let registry = Registry::new();
    for (name, kind) in METRICS {
        registry.get_or_register(name, kind, ValueType::Default).expect("it fits");
    }
    registry
}

fn engine(registry: &Registry) -> Engine {
    let spec = |source: &str| ThresholdSpec { source: source.to_owned(), ..ThresholdSpec::default() };
    let plan = vec![
        ("a_counter{kind:x}".to_owned(), vec![spec("count<10")]),
        ("a_trend".to_owned(), vec![spec("p(90)<5"), spec("avg<1")]),
        ("a_gauge".to_owned(), vec![spec("value>0")]),
        ("checks".to_owned(), vec![spec("rate>0.5")]),
    ];
    Engine::new(registry.clone(), &plan, true, true).expect("it fits")
}

fn measured() -> impl Strategy<Value = Measured> {
    let value = prop_oneof![Just(0.0), Just(1.0), -1e3..1e3, prop::num::f64::NORMAL, prop::num::f64::ANY];
    let kind = prop_oneof![Just(None), Just(Some("x")), Just(Some("y"))];
    let group = prop_oneof![Just(""), Just("::g"), Just("::g::h"), Just("::other")];
    let scenario = prop_oneof![Just("default"), Just("second")];
    let check = prop_oneof![Just("is up"), Just("is fast")];
    (0..METRICS.len() + 1, kind, group, scenario, check, value, 0usize..3).prop_map(
        |(metric, kind, group, scenario, check, value, engine)| {
            let mut tags = vec![("group", group), ("scenario", scenario)];
            tags.extend(kind.map(|kind| ("kind", kind)));
            if metric == METRICS.len() {
                tags.push(("check", check));
            }
            Measured { metric, tags, value, engine }
        },
    )
}

/// Lets an engine have those of the samples that it is to get, in two batches.
fn ingest(engine: &mut Engine, registry: &Registry, samples: &[Measured], wanted: impl Fn(usize) -> bool) {
    let mut recorder = Recorder::new(ProducerId(0));
    for (at, sample) in samples.iter().enumerate().filter(|(_, sample)| wanted(sample.engine)) {
        let metric = METRICS
            .get(sample.metric)
            .map_or(builtin::CHECKS, |(name, _)| registry.get(name).expect("it fits").id);
        let tags = recorder.intern(&TagSet::new(sample.tags.iter().copied()));
        let series = recorder.series(metric, tags);
        recorder.record(series, sample.value, Timestamp(at as i64));
        if at == samples.len() / 2 {
            engine.ingest(&recorder.take_batch().expect("it fits"));
        }
    }
    if let Some(batch) = recorder.take_batch() {
        engine.ingest(&batch);
    }
}

/// A sum in figures; bits, so that not-a-number is equal to itself.
fn figures(metric: &MetricResult) -> Vec<u64> {
    let figures = match &metric.sink {
        Sink::Counter(s) => vec![s.value(), s.samples as f64],
        Sink::Gauge(s) => vec![s.value, s.min, s.max, s.samples as f64],
        Sink::Rate(s) => vec![s.trues as f64, s.total as f64],
        Sink::Trend(s) => {
            let mut s = s.clone();
            let mut figures = vec![s.count() as f64, s.avg(), s.min(), s.max()];
            figures.extend([0.0, 12.5, 50.0, 90.0, 99.0, 100.0].map(|p| s.percentile(p)));
            figures
        }
    };
    // All that are not a number are one, and zeros of both signs are equal.
    figures
        .into_iter()
        .map(|figure| if figure.is_nan() { f64::NAN.to_bits() } else { (figure + 0.0).to_bits() })
        .collect()
}

type Everything = BTreeMap<String, Vec<u64>>;

/// All that is in results, whatever its order.
fn everything(results: &Results) -> Everything {
    let mut all = Everything::new();
    for metric in &results.metrics {
        all.insert(metric.name.clone(), figures(metric));
        for threshold in &metric.thresholds {
            let name = format!("{} {}", metric.name, threshold.spec.source);
            all.insert(name, vec![threshold.ok.into(), threshold.has_data.into()]);
        }
    }
    for check in &results.checks {
        let name = format!("check {} {} {}", check.group, check.scenario, check.name);
        all.insert(name, vec![check.passes, check.fails]);
    }
    for group in &results.groups {
        all.insert(format!("group {group}"), Vec::new());
    }
    for part in &results.parts {
        for metric in &part.metrics {
            all.insert(format!("part {} {:?} {}", part.scenario, part.group, metric.name), figures(metric));
        }
    }
    all
}

fn written_and_read(totals: &Totals) -> Totals {
    serde_json::from_str(&serde_json::to_string(totals).expect("it fits")).expect("it fits")
}

proptest! {
    #[test]
    fn what_is_split_adds_up_to_the_whole(samples in prop::collection::vec(measured(), 0..120)) {
        let registry = registry();
        let (mut whole, mut merged) = (engine(&registry), engine(&registry));
        ingest(&mut whole, &registry, &samples, |_| true);
        for part in 0..3 {
            let mut engine = engine(&registry);
            ingest(&mut engine, &registry, &samples, |of| of == part);
            merged.merge(&written_and_read(engine.totals())).unwrap();
        }
        prop_assert_eq!(whole.finish(2.0), merged.finish(2.0));
        prop_assert_eq!(everything(&whole.results(2.0)), everything(&merged.results(2.0)));
    }

    #[test]
    fn parts_that_follow_each_other_keep_the_order_of_appearance(
        samples in prop::collection::vec(measured(), 0..60), at in 0usize..60
    ) {
        let (registry, at) = (registry(), at.min(samples.len()));
        let (mut whole, mut merged) = (engine(&registry), engine(&registry));
        ingest(&mut whole, &registry, &samples, |_| true);
        for samples in [&samples[..at], &samples[at..]] {
            let mut engine = engine(&registry);
            ingest(&mut engine, &registry, samples, |_| true);
            merged.merge(&written_and_read(engine.totals())).unwrap();
        }
        let order = |engine: &Engine| {
            let Results { checks, groups, parts, .. } = engine.results(1.0);
            let parts: Vec<_> = parts.into_iter().map(|part| (part.scenario, part.group)).collect();
            (checks, groups, parts)
        };
        prop_assert_eq!(order(&whole), order(&merged));
    }
}

#[test]
fn a_trend_of_many_values_is_what_one_process_would_have_had() {
    let registry = registry();
    let trend = registry.get("a_trend").unwrap().id;
    let count = senary_metrics::trend_values::EXACT_VALUES / 2 + 1000;
    let ingest_half = |engine: &mut Engine, offset: usize| {
        let mut recorder = Recorder::new(ProducerId(offset as u32));
        let tags = recorder.intern(&TagSet::default());
        let series = recorder.series(trend, tags);
        for at in 0..count {
            recorder.record(series, ((at * 7919 + offset) % 100_003) as f64 / 7.0, Timestamp(at as i64));
        }
        engine.ingest(&recorder.take_batch().unwrap());
    };
    let (mut whole, mut merged) = (engine(&registry), engine(&registry));
    for offset in 0..2 {
        ingest_half(&mut whole, offset);
        let mut half = engine(&registry);
        ingest_half(&mut half, offset);
        merged.merge(&written_and_read(half.totals())).unwrap();
    }
    assert_eq!(everything(&whole.results(1.0)), everything(&merged.results(1.0)));
}

#[test]
fn what_does_not_fit_together_changes_nothing() {
    let of = |kind, contains, value| {
        let registry = Registry::new();
        let id = registry.get_or_register("mine", kind, contains).unwrap();
        let mut engine = Engine::new(registry, &Vec::new(), true, false).unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        let tags = recorder.intern(&TagSet::default());
        for metric in [builtin::ITERATIONS, id] {
            let series = recorder.series(metric, tags);
            recorder.record(series, value, Timestamp(0));
        }
        engine.ingest(&recorder.take_batch().unwrap());
        engine
    };
    let mut counter = of(MetricType::Counter, ValueType::Default, 1.0);
    let before = everything(&counter.results(1.0));
    let (name, kinds) = ("mine".to_owned(), (MetricType::Counter, MetricType::Trend));
    assert_eq!(
        counter.merge(of(MetricType::Trend, ValueType::Default, 2.0).totals()),
        Err(MergeError::OtherType { name: name.clone(), existing: kinds.0, other: kinds.1 })
    );
    assert_eq!(
        counter.merge(of(MetricType::Counter, ValueType::Time, 2.0).totals()),
        Err(MergeError::OtherValueType { name, existing: ValueType::Default, other: ValueType::Time })
    );
    assert_eq!(everything(&counter.results(1.0)), before);
    assert_eq!(counter.merge(of(MetricType::Counter, ValueType::Default, 2.0).totals()), Ok(()));
    assert_ne!(everything(&counter.results(1.0)), before);
}

#[test]
fn damaged_files_are_refused() {
    let sum = |sink: &str| {
        format!(
            r#"{{"sums":[{{"metric":"m","contains":"default","scope":"whole","sink":{sink}}}],"checks":[],"groups":[],"parts":[]}}"#
        )
    };
    let read = |text: &str| serde_json::from_str::<Totals>(text).map_err(|error| error.to_string());
    assert!(read(&sum(r#"{"type":"rate","trues":1,"total":2}"#)).is_ok());
    for (sink, why) in [
        (r#"{"type":"rate","trues":3,"total":2}"#, "more hits than samples"),
        (
            r#"{"type":"counter","sum":{"first":9999,"digits":[1],"beyond":0.0},"samples":1}"#,
            "out of their range",
        ),
        (
            r#"{"type":"trend","sum":{"first":0,"digits":[],"beyond":0.0},"min":0.0,"max":0.0,"values":{"buckets":[[1.0,18446744073709551615],[2.0,1]]}}"#,
            "more values than it can keep",
        ),
    ] {
        let error = read(&sum(sink)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let twice = sum(r#"{"type":"rate","trues":1,"total":2}"#);
    let other = r#","sink":{"type":"gauge","value":1.0,"min":1.0,"max":1.0,"samples":1,"time":0}},"#;
    let first = format!(r#"{{"sums":[{{"metric":"m","contains":"default","scope":"whole"{other}"#);
    let error = read(&twice.replace(r#"{"sums":["#, &first)).unwrap_err();
    assert!(error.contains("'m' is a gauge here and a rate there"), "{error}");
}
