use super::*;
use crate::metric::MetricId;
use crate::metric::ValueType;
use crate::sample::{ProducerId, Recorder, Timestamp};
use crate::tags::TagSet;
use crate::totals::OTHER_CHECKS;

fn spec(source: &str) -> ThresholdSpec {
    ThresholdSpec { source: source.into(), abort_on_fail: false, delay_abort_eval: 0 }
}

#[test]
fn samples_reach_metric_and_submetric() {
    let registry = Registry::new();
    let hits = registry.get_or_register("hits", MetricType::Counter, ValueType::Default).unwrap();
    let plan = vec![
        ("hits{kind:a}".to_owned(), vec![spec("count==3")]),
        ("hits".to_owned(), vec![spec("count>100")]),
        ("checks".to_owned(), vec![spec("rate>0.9")]),
    ];
    let mut engine = Engine::new(registry, &plan, true, false).unwrap();
    let mut recorder = Recorder::new(ProducerId(0));
    let a = recorder.intern(&TagSet::new([("kind", "a")]));
    let b = recorder.intern(&TagSet::new([("kind", "b")]));
    for (tags, value) in [(a, 1.0), (b, 10.0), (a, 2.0)] {
        let series = recorder.series(hits, tags);
        recorder.record(series, value, Timestamp(0));
    }
    engine.ingest(&recorder.take_batch().unwrap());
    let crossed = engine.finish(1.0);
    assert_eq!(crossed.metrics, ["hits"]);
    let results = engine.results(1.0);
    let value = |name: &str| match &results.metrics.iter().find(|m| m.name == name).unwrap().sink {
        Sink::Counter(s) => s.value(),
        _ => unreachable!(),
    };
    assert_eq!((value("hits"), value("hits{kind:a}")), (13.0, 3.0));
}

#[test]
fn a_breakdown_tells_scenarios_and_their_groups_apart() {
    let sums = |breakdown| {
        let mut engine = Engine::new(Registry::new(), &Vec::new(), true, breakdown).unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        for (scenario, group, value) in [("a", "", 1.0), ("b", "::g", 10.0), ("a", "::g", 100.0)] {
            let tags = TagSet::new([("scenario", scenario), ("group", group)]);
            let tags = recorder.intern(&tags);
            let series = recorder.series(builtin::DATA_SENT, tags);
            recorder.record(series, value, Timestamp(0));
        }
        engine.ingest(&recorder.take_batch().unwrap());
        let sum = |metrics: &[MetricResult]| match &metrics[0].sink {
            Sink::Counter(sink) => sink.value(),
            _ => unreachable!(),
        };
        let results = engine.results(1.0);
        let parts = results.parts.iter().map(|part| {
            (part.scenario.to_string(), part.group.as_deref().map(str::to_owned), sum(&part.metrics))
        });
        (sum(&results.metrics), parts.collect::<Vec<_>>())
    };
    let part =
        |scenario: &str, group: Option<&str>, sum| (scenario.to_owned(), group.map(str::to_owned), sum);
    assert_eq!(sums(false), (111.0, vec![]));
    assert_eq!(
        sums(true),
        (
            111.0,
            vec![
                part("a", None, 101.0),
                part("b", None, 10.0),
                part("b", Some("::g"), 10.0),
                part("a", Some("::g"), 100.0),
            ]
        )
    );
}

#[test]
fn names_without_end_are_counted_together() {
    let mut engine = Engine::new(Registry::new(), &Vec::new(), true, true).unwrap();
    let mut recorder = Recorder::new(ProducerId(0));
    for n in 0..3 * MAX_NAMES {
        let (group, check) = (format!("::outer::{n}"), format!("check {n}"));
        let tags = TagSet::new([("group", group.as_str()), ("check", check.as_str()), ("scenario", "s")]);
        let tags = recorder.intern(&tags);
        let series = recorder.series(builtin::CHECKS, tags);
        recorder.record(series, (n % 2) as f64, Timestamp(0));
        engine.ingest(&recorder.take_batch().unwrap());
        recorder.forget_if_full();
    }
    let notices = engine.take_notices();
    assert_eq!(notices, [Notice::Groups(MAX_NAMES), Notice::Checks(MAX_NAMES)]);
    let results = engine.results(1.0);
    assert_eq!((results.groups.len(), results.parts.len()), (MAX_NAMES, MAX_NAMES));
    // All of them are somewhere.
    let passes: u64 = results.checks.iter().map(|check| check.passes).sum();
    let fails: u64 = results.checks.iter().map(|check| check.fails).sum();
    assert_eq!((passes, fails), (15_000, 15_000));
    let last = results.checks.last().unwrap();
    assert_eq!((&*last.name, last.passes + last.fails), (OTHER_CHECKS, 20_000));
}

#[test]
fn a_producer_that_starts_over_is_understood() {
    let registry = Registry::new();
    let plan = vec![("iterations{odd:true}".to_owned(), vec![spec("count>0")])];
    let mut engine = Engine::new(registry, &plan, true, false).unwrap();
    let mut recorder = Recorder::new(ProducerId(0));
    for n in 0..120_000 {
        let odd = if n % 2 == 1 { "true" } else { "false" };
        let tags = recorder.intern(&TagSet::new([("id", n.to_string().as_str()), ("odd", odd)]));
        let series = recorder.series(builtin::ITERATIONS, tags);
        recorder.record(series, 1.0, Timestamp(0));
        if n % 1000 == 0 {
            engine.ingest(&recorder.take_batch().unwrap());
            recorder.forget_if_full();
        }
    }
    engine.ingest(&recorder.take_batch().unwrap());
    assert_eq!(engine.take_notices(), [Notice::Series(120_000)]);
    assert!(engine.routes.series() < 60_000, "{}", engine.routes.series());
    let sums: Vec<f64> = engine
        .results(1.0)
        .metrics
        .iter()
        .map(|metric| match &metric.sink {
            Sink::Counter(sink) => sink.value(),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(sums, [120_000.0, 60_000.0]);
}

#[test]
fn thresholds_say_whether_they_had_anything_to_judge() {
    let registry = Registry::new();
    for (name, kind) in [
        ("hits", MetricType::Counter),
        ("lag", MetricType::Trend),
        ("good", MetricType::Rate),
        ("level", MetricType::Gauge),
    ] {
        registry.get_or_register(name, kind, ValueType::Default).unwrap();
    }
    let plan: ThresholdPlan = [
        ("hits", "count<5"),
        ("lag", "avg<5"),
        ("lag{kind:a}", "avg>5"),
        ("good", "rate>0.9"),
        ("level", "value<5"),
    ]
    .map(|(name, source)| (name.to_owned(), vec![spec(source)]))
    .into();
    let judged = |metrics: &[MetricId]| {
        let mut engine = Engine::new(registry.clone(), &plan, true, false).unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        for metric in metrics {
            let tags = recorder.intern(&TagSet::default());
            let series = recorder.series(*metric, tags);
            recorder.record(series, 1.0, Timestamp(0));
        }
        if let Some(batch) = recorder.take_batch() {
            engine.ingest(&batch);
        }
        engine.finish(1.0);
        let with_data = |metric: &MetricResult| metric.thresholds.iter().any(|t| t.has_data);
        let results = engine.results(1.0);
        results.metrics.iter().filter(|m| with_data(m)).map(|m| m.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(judged(&[]), [""; 0]);
    assert_eq!(judged(&[builtin::ITERATIONS]), ["hits"], "a count of nothing is 0");
    let lag = registry.get("lag").unwrap().id;
    assert_eq!(judged(&[lag]), ["lag"]);
}

#[test]
fn a_part_that_is_watched_brings_its_metric_along() {
    let plan =
        vec![("checks{a:1}".to_owned(), vec![spec("rate>0.9")]), ("group_duration".to_owned(), Vec::new())];
    let mut engine = Engine::new(Registry::new(), &plan, true, false).unwrap();
    engine.finish(1.0);
    let names: Vec<_> = engine.results(1.0).metrics.into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["checks", "checks{a:1}", "group_duration"]);
}

#[test]
fn thresholds_are_refused_before_the_run() {
    let refuse = |metric: &str, source: &str| {
        let plan = vec![(metric.to_owned(), vec![spec(source)])];
        Engine::new(Registry::new(), &plan, true, false).err().unwrap().to_string()
    };
    assert_eq!(
        refuse("nope", "count>1"),
        "invalid threshold defined on nope; reason: no metric name \"nope\" found"
    );
    assert_eq!(
        refuse("iterations", "p(95)>100"),
        "invalid threshold \"p(95)>100\" applied on metric iterations; reason: unsupported aggregation method p on metric of type counter. supported aggregation methods for this metric are: count, rate"
    );
}
