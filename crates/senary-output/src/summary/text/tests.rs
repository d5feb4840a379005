use senary_metrics::MetricType::{Counter, Gauge, Rate, Trend};
use senary_metrics::ValueType::{Default as Plain, Time};

use crate::TimeUnit;
use crate::summary::testing::Run;
use crate::summary::{Summary, SummaryOptions, TrendStat};

const NO_TAGS: &[(&str, &str)] = &[];

/// Trailing blanks are part of the text; `·` makes them visible in expectations.
fn visible(text: &str) -> String {
    text.lines()
        .map(|line| line.strip_suffix(' ').map_or(line.to_owned(), |l| format!("{l}·")) + "\n")
        .collect()
}

fn text(run: Run, thresholds: &[(&str, &[&str])], options: SummaryOptions) -> String {
    visible(&Summary::new(run.results(thresholds), options).text())
}

#[test]
fn compact() {
    let mut run = Run::new();
    run.metric("lag", Trend, Time);
    run.metric("hits", Counter, Plain);
    run.metric("flaky_share", Rate, Plain);
    run.metric("level", Gauge, Plain);
    run.add("checks", &[("check", "len is 5"), ("group", "")], &[1.0, 1.0, 1.0]);
    run.add("checks", &[("check", "flaky"), ("group", "::g")], &[1.0, 1.0, 0.0]);
    run.add("hits", &[("kind", "a")], &[60.0, 3.0]);
    run.add("hits", &[("kind", "b")], &[1.0]);
    run.add("lag", NO_TAGS, &[0.3925, 2.0, 1500.0]);
    run.add("lag", &[("kind", "a")], &[61_000.0]);
    run.add("flaky_share", NO_TAGS, &[1.0, 0.0, 0.0]);
    run.add("level", NO_TAGS, &[0.0, 12.5, 2.0]);
    run.add("group_duration", &[("group", "::g")], &[1.0]);
    run.add("iterations", NO_TAGS, &[1.0; 7]);
    run.add("vus", NO_TAGS, &[3.0, 1.0]);
    run.add("data_sent", NO_TAGS, &[4_900.0]);
    let thresholds: &[(&str, &[&str])] = &[
        ("lag{kind:a}", &["max<100"]),
        ("lag", &["p(99.9) < 10", "min>0"]),
        ("hits{kind:b}", &["count==1", "rate>1"]),
        ("flaky_share", &["rate<0.5"]),
    ];
    let expected = "
  █ THRESHOLDS·

    flaky_share
    ✓ 'rate<0.5' rate=33.33%

    hits{kind:b}
    ✓ 'count==1' count=1
    ✗ 'rate>1' rate=0.1/s

    lag
    ✗ 'p(99.9) < 10' p(99.9)=1m0s
    ✓ 'min>0' min=392.5µs

      {kind:a}
      ✗ 'max<100' max=1m1s


  █ TOTAL RESULTS·

    checks_total.......: 6      0.6/s
    checks_succeeded...: 83.33% 5 out of 6
    checks_failed......: 16.66% 1 out of 6

    ✓ len is 5
    ✗ flaky
      ↳  66% — ✓ 2 / ✗ 1

    CUSTOM
    flaky_share....: 33.33% 1 out of 3
    hits...........: 64     6.4/s
      { kind:b }...: 1      0.1/s
    lag............: avg=15.62s min=392.5µs med=751ms max=1m1s p(90)=43.15s p(95)=52.07s
      { kind:a }...: avg=1m1s   min=1m1s    med=1m1s  max=1m1s p(90)=1m1s   p(95)=1m1s ·
    level..........: 2      min=0      max=12.5

    EXECUTION
    iterations.....: 7      0.7/s
    vus............: 1      min=1      max=3

    NETWORK
    data_sent......: 4.9 kB 490 B/s




";
    assert_eq!(text(run, thresholds, SummaryOptions::default()), expected);
}

#[test]
fn full_shows_groups_of_the_default_scenario() {
    let mut run = Run::new();
    run.metric("lag", Trend, Time);
    let default = |group: &'static str| [("group", group), ("scenario", "default")];
    run.add("checks", &[("check", "prepared"), ("group", "::setup")], &[1.0]);
    for (name, group) in [("at the root", ""), ("in first", "::first"), ("in nested", "::first::nested")] {
        run.add("checks", &[("check", name), ("group", group), ("scenario", "default")], &[1.0]);
    }
    run.add("lag", &default("::first"), &[3.0]);
    run.add("lag", &default("::deep::er"), &[4.0]);
    run.add("lag", &default("::first::nested"), &[0.25]);
    run.add("group_duration", &default("::empty"), &[1.0]);
    run.add("group_duration", &default("::first::nested"), &[1.0]);
    run.add("group_duration", &default("::first"), &[1.0]);
    let options = SummaryOptions {
        full: true,
        trend_stats: vec![TrendStat::Max, TrendStat::Count],
        ..SummaryOptions::default()
    };
    let expected = "
  █ TOTAL RESULTS·

    checks_total.......: 4       0.4/s
    checks_succeeded...: 100.00% 4 out of 4
    checks_failed......: 0.00%   0 out of 4

    ✓ prepared
    ✓ at the root
    ✓ in first
    ✓ in nested

    CUSTOM
    lag...: max=4ms count=3


  █ GROUP: setup·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 100.00% 1 out of 1
    checks_failed......: 0.00%   0 out of 1

    ✓ prepared


  █ GROUP: first·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 100.00% 1 out of 1
    checks_failed......: 0.00%   0 out of 1

    ✓ in first

    CUSTOM
    lag...: max=3ms count=1

    ↳ GROUP: nested·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 100.00% 1 out of 1
      checks_failed......: 0.00%   0 out of 1

      ✓ in nested

      CUSTOM
      lag...: max=250µs count=1


  █ GROUP: deep·

    ↳ GROUP: er·

      CUSTOM
      lag...: max=4ms count=1




";
    assert_eq!(text(run, &[], options), expected);
}

#[test]
fn full_shows_named_scenarios_sorted_with_their_groups_inside() {
    let mut run = Run::new();
    for (scenario, group, passed) in [("b", "", 1.0), ("a", "::g", 0.0), ("b", "::g", 1.0)] {
        run.add("checks", &[("check", "same"), ("group", group), ("scenario", scenario)], &[passed]);
    }
    run.add("iterations", &[("group", ""), ("scenario", "a")], &[1.0; 20]);
    run.add("http_req_blocked", &[("group", ""), ("scenario", "b")], &[1.0]);
    let options =
        SummaryOptions { full: true, trend_stats: vec![TrendStat::Max], ..SummaryOptions::default() };
    let expected = "
  █ TOTAL RESULTS·

    checks_total.......: 3      0.3/s
    checks_succeeded...: 66.66% 2 out of 3
    checks_failed......: 33.33% 1 out of 3

    ✓ same
    ✗ same
      ↳  50% — ✓ 1 / ✗ 1

    HTTP
    http_req_blocked...: max=1ms

    EXECUTION
    iterations.........: 20 2/s


  █ SCENARIO: a·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 0.00%   0 out of 1
    checks_failed......: 100.00% 1 out of 1

    ✗ same
      ↳  0% — ✓ 0 / ✗ 1

    EXECUTION
    iterations...: 20 2/s

    ↳ GROUP: g·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 0.00%   0 out of 1
      checks_failed......: 100.00% 1 out of 1

      ✗ same
        ↳  0% — ✓ 0 / ✗ 1


  █ SCENARIO: b·

    checks_total.......: 2       0.2/s
    checks_succeeded...: 100.00% 2 out of 2
    checks_failed......: 0.00%   0 out of 2

    ✓ same
    ✓ same

    HTTP
    http_req_blocked...: max=1ms

    ↳ GROUP: g·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 100.00% 1 out of 1
      checks_failed......: 0.00%   0 out of 1

      ✓ same




";
    assert_eq!(text(run, &[], options), expected);
}

#[test]
fn a_name_that_only_begins_like_a_built_in_one_is_a_scripts_own() {
    let mut run = Run::new();
    let names = [
        "checks_mine",
        "data_sent_x",
        "group_duration_x",
        "http_req_blocked_x",
        "iterations_x",
        "vus_x",
        "ws_x",
    ];
    for name in names {
        run.metric(name, Counter, Plain);
        run.add(name, NO_TAGS, &[1.0]);
    }
    run.add("http_req_blocked", NO_TAGS, &[1.0]);
    run.add("ws_sessions", NO_TAGS, &[2.0]);
    let expected = "
  █ TOTAL RESULTS·

    CUSTOM
    checks_mine..........: 1 0.1/s
    data_sent_x..........: 1 0.1/s
    group_duration_x.....: 1 0.1/s
    http_req_blocked_x...: 1 0.1/s
    iterations_x.........: 1 0.1/s
    vus_x................: 1 0.1/s
    ws_x.................: 1 0.1/s

    WEBSOCKET
    ws_sessions..........: 2 0.2/s




";
    assert_eq!(text(run, &[], SummaryOptions::default()), expected);
}

#[test]
fn one_unit_for_all_durations() {
    let mut run = Run::new();
    run.metric("lag", Trend, Time);
    run.metric("lag_without_samples", Trend, Time);
    run.add("lag", NO_TAGS, &[1500.0, 12.5]);
    let options = SummaryOptions { time_unit: Some(TimeUnit::Seconds), ..SummaryOptions::default() };
    let thresholds: &[(&str, &[&str])] =
        &[("lag", &["avg<1"]), ("lag{never:seen}", &["max<1"]), ("lag_without_samples", &["med<1", "min>1"])];
    let expected = "
  █ THRESHOLDS·

    lag
    ✗ 'avg<1' avg=0.76s

      {never:seen}
      ○ 'max<1' no data

    lag_without_samples
    ○ 'med<1' no data
    ✗ 'min>1' no data


  █ TOTAL RESULTS·

    CUSTOM
    lag...................: avg=0.76s min=0.01s med=0.76s max=1.50s p(90)=1.35s p(95)=1.43s
      { never:seen }......: avg=0.00s min=0.00s med=0.00s max=0.00s p(90)=0.00s p(95)=0.00s
    lag_without_samples...: avg=0.00s min=0.00s med=0.00s max=0.00s p(90)=0.00s p(95)=0.00s




";
    assert_eq!(text(run, thresholds, options), expected);
}

#[test]
fn names_are_sorted_as_readers_expect() {
    let mut run = Run::new();
    for name in ["zeta", "Alpha", "beta", "_under", "alpha2", "alpha_b", "alphaB"] {
        run.metric(name, Counter, Plain);
        run.add(name, &[("k", "1"), ("K", "1"), ("k_b", "1")], &[1.0]);
    }
    let thresholds: &[(&str, &[&str])] = &[
        ("beta{k:1}", &["count>0"]),
        ("beta{K:1}", &["count>0"]),
        ("beta{k:10}", &["count>=0"]),
        ("beta{k_b:1}", &["count>0"]),
        ("zeta", &["count>0"]),
        ("Alpha", &["count>0"]),
    ];
    let expected = "
  █ THRESHOLDS·

    Alpha
    ✓ 'count>0' count=1

    beta{k_b:1}
    ✓ 'count>0' count=1

    beta{k:1}
    ✓ 'count>0' count=1

    beta{K:1}
    ✓ 'count>0' count=1

    beta{k:10}
    ○ 'count>=0' no data

    zeta
    ✓ 'count>0' count=1


  █ TOTAL RESULTS·

    CUSTOM
    _under........: 1 0.1/s
    Alpha.........: 1 0.1/s
    alpha_b.......: 1 0.1/s
    alpha2........: 1 0.1/s
    alphaB........: 1 0.1/s
    beta..........: 1 0.1/s
      { k_b:1 }...: 1 0.1/s
      { k:1 }.....: 1 0.1/s
      { K:1 }.....: 1 0.1/s
      { k:10 }....: 0 0/s
    zeta..........: 1 0.1/s




";
    assert_eq!(text(run, thresholds, SummaryOptions::default()), expected);
}

#[test]
fn what_a_threshold_watches_is_listed_though_it_was_never_measured() {
    let run = Run::new();
    run.metric("lag", Trend, Time);
    let options = SummaryOptions {
        trend_stats: vec![TrendStat::Max],
        objections: vec!["no iteration was completed".to_owned()],
        ..SummaryOptions::default()
    };
    let thresholds: &[(&str, &[&str])] = &[("lag{kind:a}", &["max<1"]), ("checks", &["rate>0.9"])];
    let expected = "
  █ THRESHOLDS·

    checks
    ○ 'rate>0.9' no data

    lag{kind:a}
    ○ 'max<1' no data


  █ TOTAL RESULTS·

    checks_total.......: 0     0/s
    checks_succeeded...: 0.00% 0 out of 0
    checks_failed......: 0.00% 0 out of 0

    CUSTOM
    lag............: max=0s
      { kind:a }...: max=0s


  █ STRICT·

    ✗ no iteration was completed




";
    assert_eq!(text(run, thresholds, options), expected);
}

#[test]
fn colours_change_nothing_but_colours() {
    let make = || {
        let mut run = Run::new();
        run.add("checks", &[("check", "c"), ("group", "::g"), ("scenario", "s")], &[1.0, 0.0]);
        run.add("iteration_duration", NO_TAGS, &[1.0]);
        run.add("vus", NO_TAGS, &[1.0]);
        run.results(&[("checks", &["rate>0.9"])])
    };
    let plain = Summary::new(make(), SummaryOptions { full: true, ..SummaryOptions::default() }).text();
    let options = SummaryOptions { full: true, colored: true, ..SummaryOptions::default() };
    let colored = Summary::new(make(), options).text();
    assert!(colored.contains("\u{1b}[31m✗\u{1b}[0m 'rate>0.9' \u{1b}[36mrate=50.00%\u{1b}[0m"), "{colored}");
    let mut stripped = String::new();
    let mut rest = &*colored;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}
