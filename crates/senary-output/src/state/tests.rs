use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use senary_metrics::engine::ThresholdPlan;
use senary_metrics::threshold::ThresholdSpec;
use senary_metrics::trend_values::EXACT_VALUES;
use senary_metrics::{
    Details, Engine, FailureId, FailureKind, Failures, MetricType, ProducerId, Recorder, Registry, Results,
    Sink, TagSet, Timestamp, ValueType,
};

use super::*;

/// The metrics of the test, which any two registries have under different numbers.
const METRICS: [(&str, MetricType); 4] = [
    ("hits", MetricType::Counter),
    ("level", MetricType::Gauge),
    ("good", MetricType::Rate),
    ("lag", MetricType::Trend),
];
const TAGS: [&[(&str, &str)]; 4] = [
    &[],
    &[("kind", "a"), ("scenario", "one")],
    &[("kind", "b"), ("group", "::outer::inner"), ("scenario", "two")],
    &[("check", "is ok"), ("group", "::outer")],
];

static THRESHOLDS: LazyLock<ThresholdPlan> = LazyLock::new(|| {
    let spec = |source: &str| ThresholdSpec { source: source.to_owned(), ..ThresholdSpec::default() };
    [
        ("hits", vec!["count>3", "rate<1"]),
        ("level", vec!["value<5"]),
        ("good", vec!["rate>0.5"]),
        ("lag", vec!["p(95)<100", "avg<3", "med>0", "max<1000"]),
        ("lag{kind:a}", vec!["p(99.9)<50"]),
        ("checks", vec!["rate==1"]),
    ]
    .into_iter()
    .map(|(name, sources)| (name.to_owned(), sources.into_iter().map(spec).collect()))
    .collect()
});

/// A sample: which metric (the last one is of checks), which tags, the value. Its time is its place in the list.
type Drawn = (usize, usize, f64);

/// What values may take, in bytes.
const MEMORY: u64 = 1 << 30;

fn registry() -> Registry {
    let registry = Registry::new();
    for (name, kind) in METRICS {
        registry.declare(name, kind, ValueType::Default).unwrap();
    }
    registry
}

fn engine_of(samples: &[(usize, Drawn)]) -> Engine {
    let registry = registry();
    let mut engine = Engine::new(registry.clone(), &THRESHOLDS, true, true).unwrap();
    let mut recorder = Recorder::new(ProducerId(0));
    for (at, (metric, tags, value)) in samples {
        let name = METRICS.get(*metric).map_or("checks", |(name, _)| name);
        let tags = recorder.intern(&TagSet::new(TAGS[*tags].iter().copied()));
        let series = recorder.series(registry.get(name).unwrap().id, tags);
        recorder.record(series, *value, Timestamp(*at as i64));
    }
    if let Some(batch) = recorder.take_batch() {
        engine.ingest(&batch);
    }
    engine
}

fn head(at: usize, of: usize) -> Head {
    let sequence: Vec<_> = (0..=of).map(|point| format!("{point}/{of}")).collect();
    Head {
        instance: Instance {
            id: at.to_string(),
            name: format!("host-{at}"),
            segment: format!("{at}/{of}:{}/{of}", at + 1),
            sequence: sequence.join(","),
            program: String::new(),
        },
        test: TestFacts {
            hash: "one".to_owned(),
            thresholds: THRESHOLDS.clone(),
            evaluate_thresholds: true,
            metrics: Declared::all(&registry()),
            has_parts: true,
            ..TestFacts::default()
        },
        progress: Progress {
            is_final: true,
            started: Some(Timestamp(0)),
            seconds: 10.0,
            has_run: true,
            ..Progress::default()
        },
    }
}

fn failures(at: usize) -> Failures {
    let mut failures = Failures::default();
    failures.add(
        &FailureId::new(FailureKind::Exception, "same"),
        2,
        Timestamp(at as i64),
        Details::text("x"),
    );
    failures
}

fn written(at: usize, of: usize, samples: &[(usize, Drawn)]) -> Vec<u8> {
    let (head, totals, failures) = (head(at, of), engine_of(samples).into_totals(), failures(at));
    State { head, totals, failures, timeline: None, script: None }.write(Vec::new()).unwrap()
}

fn read(bytes: &[u8]) -> Result<StateReader<Cursor<&[u8]>>, StateError> {
    StateReader::open(Cursor::new(bytes))
}

/// The results of the states of all instances.
fn merged(states: &[Vec<u8>]) -> (Results, Vec<String>) {
    let mut readers: Vec<_> = states.iter().map(|bytes| read(bytes).unwrap()).collect();
    let heads: Vec<_> = readers.iter().map(|reader| (String::new(), &reader.head)).collect();
    assert_eq!(belonging(&heads).objections, []);
    let whole = whole(&mut readers.iter_mut().collect::<Vec<_>>(), MEMORY).unwrap();
    assert_eq!(whole.failures.count(FailureKind::Exception), 2 * states.len() as u64);
    let mut engine = Engine::new(whole.registry.clone(), &THRESHOLDS, true, true).unwrap();
    engine.merge(&whole.totals).unwrap();
    let crossed = engine.finish(whole.seconds);
    (engine.results(whole.seconds), crossed.metrics)
}

/// What a sink says, to the last bit.
fn figures(sink: &Sink) -> Vec<u64> {
    let bits = |figures: &[f64]| figures.iter().map(|figure| figure.to_bits()).collect::<Vec<_>>();
    match sink {
        Sink::Counter(of) => [vec![of.samples], bits(&[of.value()])].concat(),
        Sink::Gauge(of) => [vec![of.samples], bits(&[of.value, of.min, of.max])].concat(),
        Sink::Rate(of) => vec![of.trues, of.total],
        Sink::Trend(of) => {
            let mut of = of.clone();
            let found: Vec<_> = [0.0, 1.0, 50.0, 90.0, 95.0, 99.9, 100.0]
                .iter()
                .map(|percent| of.percentile(*percent))
                .collect();
            [vec![of.count()], bits(&[of.sum(), of.avg(), of.min(), of.max()]), bits(&found)].concat()
        }
    }
}

/// Everything that results say, in an order of its own: which process has seen a check first is chance.
fn told(results: &Results) -> Vec<String> {
    let metric = |place: &str, metric: &senary_metrics::engine::MetricResult| {
        let thresholds: Vec<_> = metric
            .thresholds
            .iter()
            .map(|threshold| {
                (threshold.spec.source.clone(), threshold.ok, threshold.has_data, threshold.value.to_bits())
            })
            .collect();
        format!("{place} {} {:?} {thresholds:?}", metric.name, figures(&metric.sink))
    };
    let mut told: Vec<_> = results.metrics.iter().map(|of| metric("", of)).collect();
    for part in &results.parts {
        told.extend(part.metrics.iter().map(|of| metric(&format!("{}/{:?}", part.scenario, part.group), of)));
    }
    told.extend(results.checks.iter().map(|check| format!("{check:?}")));
    told.extend(results.groups.iter().map(ToString::to_string));
    told.sort_unstable();
    told
}

fn compare(samples: &[(usize, Drawn)], owners: &[usize], of: usize) {
    let mut whole = engine_of(samples);
    let crossed = whole.finish(10.0).metrics;
    let own = |at: usize| {
        let own = samples.iter().zip(owners).filter(|(_, owner)| **owner % of == at);
        own.map(|(sample, _)| *sample).collect::<Vec<_>>()
    };
    let states: Vec<_> = (0..of).map(|at| written(at, of, &own(at))).collect();
    let (results, crossed_together) = merged(&states);
    assert_eq!(told(&results), told(&whole.results(10.0)));
    assert_eq!(crossed_together, crossed);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        (0..5_u32).prop_map(f64::from),
        (0..20_000_000_u64).prop_map(|nanos| std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e3),
        -1e3..1e3,
        prop::num::f64::NORMAL | prop::num::f64::ZERO,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_samples_comes_to_what_one_process_has(
        samples in prop::collection::vec(((0..=METRICS.len(), 0..TAGS.len(), value()), 0..8_usize), 0..120),
        of in 1..8_usize,
    ) {
        let owners: Vec<_> = samples.iter().map(|(_, owner)| *owner).collect();
        let samples: Vec<_> = samples.into_iter().map(|(sample, _)| sample).enumerate().collect();
        compare(&samples, &owners, of);
    }

    #[test]
    fn a_damaged_state_is_refused_or_read(at: usize, byte: u8, length: usize) {
        let samples: Vec<_> = (0..40).map(|at| (at, (at % 5, at % 4, at as f64))).collect();
        let mut bytes = written(0, 1, &samples);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(1 + length % (2 * bytes.len()));
        if let Ok(mut reader) = read(&bytes) {
            let _ = (whole(&mut [&mut reader], MEMORY), reader.failures(), reader.timeline());
        }
    }
}

#[test]
fn beyond_the_bound_the_histogram_is_that_of_one_process() {
    let count = EXACT_VALUES + EXACT_VALUES / 4;
    let value =
        |at: usize| std::time::Duration::from_nanos((at as u64 * 7919) % 90_000_000).as_secs_f64() * 1e3;
    let samples: Vec<_> = (0..count).map(|at| (at, (3, at % 2, value(at)))).collect();
    // Each of them alone keeps its values.
    let owners: Vec<_> = (0..count).map(|at| at % 3).collect();
    compare(&samples, &owners, 3);
    let mut whole = engine_of(&samples);
    whole.finish(10.0);
    let mut sorted: Vec<_> = (0..count).map(value).collect();
    sorted.sort_by(f64::total_cmp);
    let results = whole.results(10.0);
    let Sink::Trend(mut lag) =
        results.metrics.iter().find(|metric| metric.name == "lag").unwrap().sink.clone()
    else {
        panic!("no trend")
    };
    for percent in [50.0, 95.0, 99.9] {
        let exact = sorted[(percent / 100.0 * (count - 1) as f64) as usize];
        let found = lag.percentile(percent);
        assert!((found - exact).abs() <= exact / 1000.0, "p({percent}) is {found} instead of {exact}");
    }
}

#[test]
fn users_of_all_instances_are_counted_together() {
    let vus = |count: f64| {
        let registry = registry();
        let mut engine = Engine::new(registry.clone(), &THRESHOLDS, true, false).unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        let tags = recorder.intern(&TagSet::default());
        let series = recorder.series(registry.get("vus").unwrap().id, tags);
        recorder.record(series, 1.0, Timestamp(0));
        recorder.record(series, count, Timestamp(1));
        engine.ingest(&recorder.take_batch().unwrap());
        engine.into_totals()
    };
    let state = |at: usize, totals| {
        let state = State { head: head(at, 2), totals, failures: failures(at), timeline: None, script: None };
        state.write(Vec::new()).unwrap()
    };
    let (results, _) = merged(&[state(0, vus(5.0)), state(1, vus(7.0))]);
    let Sink::Gauge(vus) = &results.metrics.iter().find(|metric| metric.name == "vus").unwrap().sink else {
        panic!("no gauge")
    };
    assert_eq!((vus.value, vus.min, vus.max), (12.0, 2.0, 12.0));
}

#[test]
fn what_is_not_a_state_is_told_apart() {
    let bytes = written(0, 1, &[]);
    assert!(matches!(read(&[]).err(), Some(StateError::Empty)));
    assert!(matches!(read(b"{}").err(), Some(StateError::Foreign)));
    assert!(matches!(read(&bytes[..bytes.len() - 1]).err(), Some(StateError::Truncated)));
    let mut newer = bytes.clone();
    newer[13] = 9;
    assert!(matches!(read(&newer).err(), Some(StateError::OtherVersion { version: 9, .. })));
}
