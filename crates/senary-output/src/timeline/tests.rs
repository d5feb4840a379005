use proptest::prelude::*;
use senary_metrics::{MetricId, ProducerId, Recorder};

use super::*;

fn shared() -> TimelineConfig {
    TimelineConfig { registry: Registry::new(), watched: WatchList::default(), by_scenario: true }
}

/// A time line of some samples: a metric, milliseconds since the start, a value, and a scenario each.
fn timeline_of(samples: &[(MetricId, u32, f64, u8)]) -> Timeline {
    let mut timeline = Timeline::new(shared());
    timeline.begin_at(|| Some(Timestamp(0)));
    let mut recorder = Recorder::new(ProducerId(0));
    for chunk in samples.chunks(7) {
        for (metric, at, value, scenario) in chunk {
            let tags = recorder.intern(&TagSet::new([("scenario", scenario.to_string())]));
            let series = recorder.series(*metric, tags);
            recorder.record(series, *value, Timestamp(i64::from(*at) * 1_000_000));
        }
        timeline.add(&recorder.take_batch().unwrap());
        timeline.settle();
    }
    timeline
}

/// What a reader finds in a file of it.
fn stored(timeline: &Timeline) -> Written {
    let written = timeline.written();
    Written::from_bytes(&written.to_bytes().unwrap()).unwrap().expect("this encoding")
}

/// The time line of a process that began so many milliseconds after another one.
fn begun_at(start: u32, samples: &[(MetricId, u32, f64, u8)]) -> Timeline {
    let mut timeline = Timeline::aligned(shared(), MAX_BYTES);
    let moment = |millis: u32| Timestamp(1_795_451_192_345_000_000 + i64::from(millis) * 1_000_000);
    timeline.begin_at(move || Some(moment(start)));
    let mut recorder = Recorder::new(ProducerId(0));
    for (metric, at, value, scenario) in samples {
        let tags = recorder.intern(&TagSet::new([("scenario", scenario.to_string())]));
        let series = recorder.series(*metric, tags);
        recorder.record(series, *value, moment(start + at));
        timeline.add(&recorder.take_batch().unwrap());
        timeline.settle();
    }
    timeline
}

fn samples(most: u32) -> impl Strategy<Value = Vec<(MetricId, u32, f64, u8)>> {
    let metrics = [builtin::ITERATIONS, builtin::ITERATION_DURATION, builtin::CHECKS, builtin::VUS];
    let metric = prop::sample::select(metrics.to_vec());
    // Whole numbers: their sums are the same in any order.
    let value = (0..5000_u32).prop_map(f64::from);
    prop::collection::vec((metric, 0..most, value, 0..2_u8), 1..300)
}

/// The intervals of every series, by its name. Of gauges the latest counts, and of the same moment the later one: that
/// depends on the order, so it is left out.
fn cells(timeline: &Timeline) -> std::collections::BTreeMap<String, Vec<(u32, Cell)>> {
    let plain = |cell: Cell| match cell {
        Cell::Gauge { min, max, .. } => Cell::Gauge { last: 0.0, at: Timestamp(0), min, max },
        other => other,
    };
    let of = |track: &Track| track.cells(0).into_iter().map(|(at, cell)| (at, plain(cell))).collect();
    timeline.tracks().iter().map(|track| (track.id.text(), of(track))).collect()
}

proptest! {
    #[test]
    fn merged_intervals_are_those_of_twice_the_length(samples in samples(60_000), folds in 1..5_u32) {
        let mut merged = timeline_of(&samples);
        (0..folds).for_each(|_| merged.fold());
        let mut longer = Timeline::new(shared());
        longer.step <<= folds;
        longer.begin_at(|| Some(Timestamp(0)));
        let mut recorder = Recorder::new(ProducerId(0));
        for (metric, at, value, scenario) in &samples {
            let tags = recorder.intern(&TagSet::new([("scenario", scenario.to_string())]));
            let series = recorder.series(*metric, tags);
            recorder.record(series, *value, Timestamp(i64::from(*at) * 1_000_000));
        }
        longer.add(&recorder.take_batch().unwrap());
        prop_assert_eq!(cells(&merged), cells(&longer));
        prop_assert_eq!((merged.step(), merged.intervals()), (longer.step(), longer.intervals()));
    }

    #[test]
    fn counts_add_up(samples in samples(90_000_000)) {
        let timeline = timeline_of(&samples);
        prop_assert!(timeline.intervals() <= MAX_INTERVALS);
        for (metric, name) in [(builtin::ITERATIONS, "iterations"), (builtin::ITERATION_DURATION, "iteration_duration"), (builtin::CHECKS, "checks")] {
            let values: Vec<f64> = samples.iter().filter(|s| s.0 == metric).map(|s| s.2).collect();
            let Some(track) = timeline.whole(name) else {
                prop_assert!(values.is_empty());
                continue;
            };
            let parts = timeline.tracks().iter().filter(|t| t.id.metric == name && t.id.part == Part::Scenario);
            let parts: f64 = parts.flat_map(|t| t.cells(0)).map(|(_, cell)| amount(&cell)).sum();
            let intervals: f64 = track.cells(0).iter().map(|(_, cell)| amount(cell)).sum();
            let total = amount(&track.total().unwrap());
            let expected = if metric == builtin::CHECKS { values.len() as f64 } else { values.iter().sum() };
            prop_assert_eq!((intervals, total, parts), (expected, expected, expected), "{}", name);
        }
    }

    #[test]
    fn two_parts_of_a_run_add_up_to_the_run(samples in samples(120_000), at in 0..300_usize) {
        let (left, right) = samples.split_at(at.min(samples.len()));
        let mut sum = timeline_of(left);
        sum.add_written(stored(&timeline_of(right)), None);
        prop_assert_eq!(cells(&sum), cells(&timeline_of(&samples)));
    }

    #[test]
    fn processes_that_begin_one_after_another_add_up(
        processes in prop::collection::vec((0..40_000_u32, samples(20_000)), 1..5),
        longer in prop::sample::select(vec![1, 1, 400]),
    ) {
        let processes: Vec<_> = processes.into_iter().map(|(start, mut samples)| {
            // A gauge of all is not the latest value, and has a test of its own.
            samples.retain(|sample| sample.0 != builtin::VUS);
            samples.iter_mut().for_each(|sample| sample.1 *= longer);
            (start, samples)
        }).collect();
        let mut together = Timeline::of_many();
        let member = Member { name: "", own: &[], without_tag: None, may_change: false };
        for (start, samples) in &processes {
            together.add_instance(stored(&begun_at(*start, samples)), member);
        }
        let with_samples = processes.iter().filter(|(_, samples)| !samples.is_empty());
        let first = with_samples.map(|(start, _)| *start).min().unwrap_or_default();
        let all: Vec<_> = processes.iter().flat_map(|(start, samples)| {
            samples.iter().map(move |(m, at, value, s)| (*m, (start + at).saturating_sub(first), *value, *s))
        }).collect();
        let mut one = begun_at(first, &all);
        while one.step < together.step {
            one.fold();
        }
        prop_assert_eq!(cells(&together), cells(&one));
        prop_assert_eq!((together.base, together.intervals), (one.base, one.intervals));
        prop_assert!(together.intervals <= MAX_INTERVALS);
    }

    #[test]
    fn what_is_damaged_is_refused_or_harmless(samples in samples(60_000), at: usize, byte: u8, cut: usize) {
        let mut bytes = begun_at(0, &samples).written().to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(1 + cut % (2 * bytes.len()));
        if let Ok(Some(written)) = Written::from_bytes(&bytes) {
            let mut together = begun_at(5_000, &samples);
            together.add_instance(written, Member { name: "b", own: &["iterations"], without_tag: None, may_change: false });
            SharedTimeline::of(together).json(None).unwrap();
        }
    }

    #[test]
    fn a_reader_that_takes_what_is_new_has_it_all(samples in samples(20_000), at in 0..300_usize) {
        let (early, late) = samples.split_at(at.min(samples.len() - 1));
        // Later samples come later.
        let late: Vec<_> = late.iter().map(|(m, t, v, s)| (*m, t + 20_000, *v, *s)).collect();
        let line = SharedTimeline(Arc::new(Mutex::new(timeline_of(early))));
        let first = line.json(None).unwrap();
        let mut known: serde_json::Value = serde_json::from_slice(&first.json).unwrap();
        let mut recorder = Recorder::new(ProducerId(1));
        for (metric, at, value, scenario) in &late {
            let tags = recorder.intern(&TagSet::new([("scenario", scenario.to_string())]));
            let series = recorder.series(*metric, tags);
            recorder.record(series, *value, Timestamp(i64::from(*at) * 1_000_000));
        }
        line.lock().add(&recorder.take_batch().unwrap());
        let tail = line.json(Some(first.position)).unwrap();
        apply(&mut known, &serde_json::from_slice(&tail.json).unwrap());
        let whole: serde_json::Value = serde_json::from_slice(&line.json(None).unwrap().json).unwrap();
        prop_assert_eq!(&known["series"], &whole["series"]);
    }
}

/// How much a cell counts.
fn amount(cell: &Cell) -> f64 {
    match cell {
        Cell::Counter { sum } => *sum,
        Cell::Rate { total, .. } => *total as f64,
        Cell::Trend(spread) => spread.sum,
        Cell::Gauge { .. } => 0.0,
    }
}

/// What a page does with a tail.
fn apply(known: &mut serde_json::Value, tail: &serde_json::Value) {
    let series = known["series"].as_array_mut().unwrap();
    for (at, new) in tail["series"].as_array().unwrap().iter().enumerate() {
        let mut new = new.clone();
        if let Some(from) = new.as_object_mut().unwrap().remove("from") {
            assert_eq!((from, at), (serde_json::json!(0), series.len()));
            series.push(new);
            continue;
        }
        let (own, from) = (&mut series[at], tail["from"].as_u64().unwrap() as usize);
        assert_eq!(own["id"], new["id"]);
        let kind = new["type"].as_str().unwrap().to_owned();
        for (name, column) in new[&kind].as_object().unwrap() {
            let all = own[&kind][name].as_array_mut().unwrap();
            all.truncate(from);
            all.extend(column.as_array().unwrap().iter().cloned());
        }
        if let Some(data) = new.pointer("/hist/data") {
            let all = own["hist"]["data"].as_array_mut().unwrap();
            all.truncate(from / new["hist"]["every"].as_u64().unwrap() as usize);
            all.extend(data.as_array().unwrap().iter().cloned());
        }
    }
}

#[test]
fn a_week_takes_bounded_memory() {
    let mut timeline = Timeline::new(shared());
    timeline.begin_at(|| Some(Timestamp(0)));
    let mut recorder = Recorder::new(ProducerId(0));
    const WEEK: i64 = 7 * 24 * 3600;
    for second in (0..WEEK).step_by(20) {
        for scenario in 0..3 {
            let tags = recorder.intern(&TagSet::new([("scenario", scenario.to_string())]));
            let series = recorder.series(builtin::ITERATION_DURATION, tags);
            let value = (second % 997) as f64 + 0.1;
            recorder.record(series, value, Timestamp(second * SECOND));
        }
        if second % 1000 == 0 {
            timeline.add(&recorder.take_batch().unwrap());
            timeline.settle();
        }
    }
    timeline.add(&recorder.take_batch().unwrap());
    timeline.settle();
    assert_eq!((timeline.step(), timeline.intervals()), (256.0, (WEEK / 256 + 1) as u32));
    let bytes: usize = timeline.tracks().iter().map(Track::bytes).sum();
    assert!(bytes <= MAX_BYTES, "{bytes}");
}

#[test]
fn memory_that_is_used_up_makes_intervals_longer() {
    let mut timeline = Timeline { max_bytes: 20_000, ..Timeline::new(shared()) };
    let mut recorder = Recorder::new(ProducerId(0));
    let tags = recorder.intern(&TagSet::default());
    let series = recorder.series(builtin::ITERATION_DURATION, tags);
    for second in 0..1000 {
        recorder.record(series, second as f64, Timestamp(second * SECOND));
        timeline.add(&recorder.take_batch().unwrap());
        timeline.settle();
    }
    assert!(timeline.step() > 1.0);
    assert!(timeline.tracks()[0].bytes() <= 20_000);
    assert_eq!(amount(&timeline.tracks()[0].total().unwrap()), 499_500.0);
}

#[test]
fn series_are_capped_and_counted() {
    let mut timeline = Timeline::new(shared());
    let mut recorder = Recorder::new(ProducerId(0));
    for group in 0..2 * MAX_SERIES {
        let tags = recorder.intern(&TagSet::new([("group", format!("::{group}"))]));
        let series = recorder.series(builtin::GROUP_DURATION, tags);
        recorder.record(series, 1.0, Timestamp(0));
    }
    timeline.add(&recorder.take_batch().unwrap());
    assert_eq!(timeline.tracks().len(), MAX_SERIES);
    assert_eq!(timeline.left_out() as usize, 2 * MAX_SERIES + 1 - MAX_SERIES);
    assert_eq!(amount(&timeline.whole("group_duration").unwrap().total().unwrap()), 2.0 * MAX_SERIES as f64);
}

#[test]
fn parts_of_metrics_are_told_apart() {
    let plan = vec![("checks{check:a}".to_owned(), Vec::new())];
    let config = TimelineConfig { watched: WatchList::new(&plan, true), by_scenario: false, ..shared() };
    let mut timeline = Timeline::new(config);
    let mut recorder = Recorder::new(ProducerId(0));
    let mut record = |metric, tags: &[(&str, &str)]| {
        let tags = recorder.intern(&TagSet::new(tags.iter().copied()));
        let series = recorder.series(metric, tags);
        recorder.record(series, 1.0, Timestamp(0));
    };
    record(builtin::CHECKS, &[("check", "a"), ("group", ""), ("scenario", "s")]);
    record(builtin::CHECKS, &[("check", "b"), ("group", "::g"), ("scenario", "s")]);
    record(builtin::GROUP_DURATION, &[("group", "::g")]);
    record(builtin::SENARY_WORKER_BUSY, &[("worker", "1")]);
    record(builtin::ITERATIONS, &[("error_code", "EPIPE"), ("scenario", "s")]);
    timeline.add(&recorder.take_batch().unwrap());
    let names: Vec<_> = timeline.tracks().iter().map(|track| track.id.text()).collect();
    let expected = [
        "checks",
        "checks{check=a}",
        "checks{check=b,group=::g}",
        "group_duration",
        "group_duration{group=::g}",
        "senary_worker_busy",
        "senary_worker_busy{worker=1}",
        "iterations",
        "iterations{error_code=EPIPE}",
    ];
    assert_eq!(names, expected);
}

#[test]
fn numbers_have_six_digits() {
    for (value, text) in [
        (0.1234567, "0.123457"),
        (1234.56789, "1234.57"),
        (1e9 + 0.5, "1000000000.5"),
        (3.0, "3"),
        (-0.00012345678, "-0.000123457"),
    ] {
        assert_eq!(number(value).to_string(), text);
    }
    assert_eq!(number(f64::INFINITY), serde_json::Value::Null);
}

#[test]
fn the_values_of_every_tag_add_up_to_the_whole_and_merge() {
    let registry = Registry::new();
    let line = || {
        Timeline::new(TimelineConfig {
            registry: registry.clone(),
            watched: WatchList::default(),
            by_scenario: false,
        })
    };
    let recorded = |host: &str, values: &[f64]| {
        let (mut timeline, mut recorder) = (line(), Recorder::new(ProducerId(0)));
        for (at, value) in values.iter().enumerate() {
            let name = format!("url {at}");
            let tags = recorder.intern(&TagSet::new([("host", host), ("name", name.as_str())]));
            let series = recorder.series(builtin::DATA_SENT, tags);
            recorder.record(series, *value, Timestamp(at as i64));
        }
        timeline.add(&recorder.take_batch().unwrap());
        timeline
    };
    let mut both = recorded("a", &[1.0, 2.0, 4.0]);
    both.add_written(stored(&recorded("b", &[8.0; 30])), None);
    let totals: Vec<_> = both.by_value().iter().map(|part| (part.id.text(), part.total())).collect();
    let counter = |sum| Some(Cell::Counter { sum });
    // There are too many names to tell apart.
    assert_eq!(
        totals,
        [("data_sent{host=a}".to_owned(), counter(7.0)), ("data_sent{host=b}".to_owned(), counter(240.0))]
    );
    // All the same, each series is there.
    assert_eq!(both.series_sums().count(), 33);
}

#[test]
fn series_beyond_the_limit_cost_nothing_more() {
    let (mut timeline, mut recorder) = (
        Timeline::new(TimelineConfig {
            registry: Registry::new(),
            watched: WatchList::default(),
            by_scenario: false,
        }),
        Recorder::new(ProducerId(0)),
    );
    for n in 0..5_000 {
        let tags = recorder.intern(&TagSet::new([("name", n.to_string().as_str())]));
        let series = recorder.series(builtin::DATA_SENT, tags);
        recorder.record(series, 1.0, Timestamp(0));
    }
    timeline.add(&recorder.take_batch().unwrap());
    assert_eq!(timeline.series_sums().count(), 512);
    assert_eq!(timeline.whole("data_sent").unwrap().total(), Some(Cell::Counter { sum: 5_000.0 }));
}

#[test]
fn users_of_all_processes_are_counted_together() {
    let process = |counts: &[(u32, f64)], start| {
        let samples: Vec<_> = counts.iter().map(|(at, count)| (builtin::VUS, *at, *count, 0)).collect();
        stored(&begun_at(start, &samples))
    };
    let mut together = Timeline::of_many();
    // The second one begins two seconds later, and says nothing in its second second.
    let own = ["vus"];
    for (name, counts, start) in [
        ("a", vec![(100, 5.0), (1100, 6.0), (2100, 7.0), (3100, 8.0), (4100, 9.0)], 0),
        ("b", vec![(100, 10.0), (2100, 30.0)], 2000),
    ] {
        together.add_instance(
            process(&counts, start),
            Member { name, own: &own, without_tag: None, may_change: false },
        );
    }
    let lasts = |id: &str| {
        let track = together.tracks().iter().find(|track| track.id.text() == id).unwrap();
        let last = |(at, cell)| match cell {
            Cell::Gauge { last, .. } => (at, last),
            other => panic!("{other:?}"),
        };
        track.cells(0).into_iter().map(last).collect::<Vec<_>>()
    };
    assert_eq!(lasts("vus"), [(0, 5.0), (1, 6.0), (2, 17.0), (3, 18.0), (4, 39.0)]);
    assert_eq!(lasts("vus{instance=b}"), [(2, 10.0), (3, 10.0), (4, 30.0)]);
    assert_eq!(together.emptied().tracks().len(), together.tracks().len());
    assert!(together.emptied().tracks().iter().all(|track| track.total().is_none()));
}
