use proptest::prelude::*;
use senary_execution::Share;

use super::*;
use crate::terminal;

fn scenario(name: &str, executor: ExecutorKind, fraction: f64, seconds: f64, whole: u64) -> ScenarioProgress {
    ScenarioProgress {
        name: name.to_owned(),
        executor,
        status: ScenarioStatus::Running,
        fraction,
        elapsed: Duration::from_secs_f64(seconds),
        duration: Duration::from_secs(whole),
        starts_in: Duration::ZERO,
        active_vus: 2,
        running_vus: 1,
        share: Share { vus: 2, max_vus: 2, iterations: None, rate: None, part: 1.0 },
        iterations: 0,
        failures: 0,
        done_rate: 0.0,
        p95: None,
        iterations_per_vu: None,
        rate: None,
    }
}

fn running(scenarios: Vec<ScenarioProgress>) -> Snapshot {
    let headline = Headline::Running(Running {
        elapsed: Duration::from_millis(1049),
        max_duration: Duration::from_secs(630),
        active_vus: 7,
        initialized_vus: 13,
        max_vus: 13,
        complete_iterations: 13,
        interrupted_iterations: 0,
    });
    Snapshot { headline, scenarios, measured: Vec::new() }
}

fn every_kind() -> Snapshot {
    let mut car = scenario("car", ExecutorKind::ConstantArrivalRate, 0.334, 1.0, 3);
    (car.rate, car.share.rate) = (Some(5.0), Some(5.0));
    let cv = scenario("cv", ExecutorKind::ConstantVus, 0.334, 1.0, 3);
    let mut pvi = scenario("pvi", ExecutorKind::PerVuIterations, 0.6667, 1.0, 600);
    (pvi.share.vus, pvi.share.iterations, pvi.iterations, pvi.iterations_per_vu) = (1, Some(3), 2, Some(3));
    let mut rar = scenario("rar", ExecutorKind::RampingArrivalRate, 0.334, 1.0, 3);
    (rar.rate, rar.share.rate) = (Some(3.98), Some(10.0));
    let mut rv = scenario("rv", ExecutorKind::RampingVus, 0.334, 1.0, 3);
    (rv.active_vus, rv.share.max_vus) = (1, 3);
    let mut si = scenario("si", ExecutorKind::SharedIterations, 0.8, 1.0, 600);
    (si.share.iterations, si.iterations) = (Some(5), 4);
    let mut late = scenario("late", ExecutorKind::ConstantVus, 0.0, 0.0, 3);
    (late.status, late.starts_in) = (ScenarioStatus::Waiting, Duration::from_secs(1));
    running(vec![car, cv, pvi, rar, rv, si, late])
}

#[test]
fn every_executor_off_a_terminal() {
    let expected = "\
running (00m01.0s), 07/13 VUs, 13 complete and 0 interrupted iterations
car    [  33% ] 1/2 VUs  1.0s/3s         5.00 iters/s
cv     [  33% ] 2 VUs    1.0s/3s
pvi    [  67% ] 1 VUs    00m01.0s/10m0s  2/3 iters, 3 per VU
rar    [  33% ] 1/2 VUs  1.0s/3s         03.98 iters/s
rv     [  33% ] 1/3 VUs  1.0s/3.0s
si     [  80% ] 2 VUs    00m01.0s/10m0s  4/5 shared iters
late • [   0% ] waiting  1.0s";
    assert_eq!(lines(&every_kind(), Style::Percent).join("\n"), expected);
}

#[test]
fn bars_on_a_terminal() {
    let mut snapshot = every_kind();
    snapshot.scenarios.truncate(2);
    snapshot.scenarios[1].status = ScenarioStatus::Done;
    snapshot.scenarios[1].fraction = 1.0;
    snapshot.scenarios[1].elapsed = Duration::from_millis(3004);
    let lines = lines(&snapshot, Style::Bars { columns: 100, rows: 1, color: false });
    assert_eq!(lines[1], "car    [============>-------------------------] 1/2 VUs  1.0s/3s  5.00 iters/s");
    assert_eq!(lines[2], "cv   ✓ [======================================] 2 VUs    3s");
}

#[test]
fn a_second_line_says_how_a_scenario_does() {
    let mut snapshot = every_kind();
    snapshot.scenarios.truncate(2);
    (snapshot.scenarios[0].done_rate, snapshot.scenarios[0].failures) = (97.31, 1);
    snapshot.scenarios[0].p95 = Some((12.34, Some(senary_metrics::MetricId(0))));
    snapshot.scenarios[1].p95 = Some((1234.0, None));
    snapshot.measured = vec![Some("answered".to_owned()), None];
    let at = |columns, rows| lines(&snapshot, Style::Bars { columns, rows, color: false });
    let shown = at(80, 6);
    assert_eq!(shown.len(), 5, "{shown:?}");
    assert_eq!(shown[2], "       97.3 iterations/s, 1 failure, p95 of answered 12.3ms");
    assert_eq!(shown[4], "       0.0 iterations/s, 0 failures, p95 of iterations 1.23s");
    assert_eq!((at(79, 6).len(), at(80, 5).len()), (3, 3), "only where there is room for all");
    snapshot.scenarios[1].status = ScenarioStatus::Done;
    assert_eq!(lines(&snapshot, Style::Bars { columns: 80, rows: 6, color: false }).len(), 4);
}

#[test]
fn colour_goes_with_the_state() {
    let mut snapshot = every_kind();
    snapshot.scenarios.truncate(1);
    snapshot.scenarios[0].status = ScenarioStatus::Interrupted;
    let lines = lines(&snapshot, Style::Bars { columns: 100, rows: 1, color: true });
    assert!(
        lines[1].starts_with("car  \x1b[31m✗ [===") && lines[1].contains("-]\x1b[0m 1/2 VUs"),
        "{}",
        lines[1]
    );
}

#[test]
fn narrow_terminals_lose_the_bar_then_columns() {
    let mut snapshot = every_kind();
    snapshot.scenarios.truncate(1);
    let at = |columns| lines(&snapshot, Style::Bars { columns, rows: 1, color: true })[1].clone();
    assert_eq!(at(60), "car  \x1b[36m  [  33% ]\x1b[0m 1/2 VUs  1.0s/3s  5.00 iters/s");
    assert_eq!(at(20), "car  \x1b[36m  [  33% ]\x1b[0m 1/2 ");
    assert_eq!(at(10), "car    [  ");
}

#[test]
fn before_and_after_the_load() {
    let waiting = scenario("default", ExecutorKind::ConstantVus, 0.0, 0.0, 3);
    let text = |headline| {
        lines(&Snapshot { headline, scenarios: vec![waiting.clone()], measured: Vec::new() }, Style::Percent)
            .join("\n")
    };
    let vus = Headline::InitializingVus { initialized: 1, planned: 2 };
    assert_eq!(text(vus), "Init      [  50% ] 1/2 VUs initialized\ndefault   [   0% ]");
    assert_eq!(
        text(Headline::Preparing("Starting outputs")),
        "Init      [   0% ] Starting outputs\ndefault   [   0% ]"
    );
    assert_eq!(text(Headline::Stage("setup()")), "Run       [ 100% ] setup()\ndefault   [   0% ]");
    let mut over = scenario("default", ExecutorKind::ConstantVus, 1.0, 3.0, 3);
    over.status = ScenarioStatus::Done;
    let teardown = Snapshot { headline: Headline::Teardown, scenarios: vec![over], measured: Vec::new() };
    let expected = "Run       [ 100% ] teardown()\ndefault ✓ [ 100% ] 2 VUs  3s";
    assert_eq!(lines(&teardown, Style::Percent).join("\n"), expected);
}

#[test]
fn durations_are_as_long_as_the_longest() {
    let of = |ms, longest| fixed(Duration::from_millis(ms), Duration::from_secs(longest));
    assert_eq!(of(1099, 3), "1.0s");
    assert_eq!(of(1000, 10), "01.0s");
    assert_eq!(of(59_999, 60), "0m59.9s");
    assert_eq!(of(61_000, 5400), "0h01m01.0s");
    assert_eq!(of(90_000_000, 864_000), "01d01h00m00.0s");
}

#[test]
fn long_names_are_cut() {
    assert_eq!(short_name(&"x".repeat(31)), format!("{}…", "x".repeat(29)));
    assert_eq!(short_name(&"x".repeat(30)), "x".repeat(30));
}

#[test]
fn what_does_not_fit_is_counted() {
    let lines = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>();
    assert_eq!(shorten(lines(3), 3), lines(3));
    assert_eq!(shorten(lines(4), 3), ["1", "2", "… 2 more"]);
}

proptest! {
    #[test]
    fn lines_never_exceed_the_terminal(columns in 0usize..200, fraction in -1.0f64..2.0, rows in 0usize..40, color: bool) {
        let mut snapshot = every_kind();
        snapshot.scenarios[0].fraction = fraction;
        for line in lines(&snapshot, Style::Bars { columns, rows, color }) {
            prop_assert!(terminal::width(&line) <= columns);
        }
    }
}
