//! Executors whose VUs loop: shared-iterations, per-vu-iterations, constant-vus. In virtual time.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test file uses its part of it.
mod fake;

use std::collections::BTreeSet;

use fake::{Bench, Fakes, ms, scenario, secs};
use senary_execution::{ExecutorConfig, IterationOutcome, Scenario, ScenarioStatus, StopReason};
use senary_metrics::builtin;

fn shared(vus: u64, iterations: u64, max_duration: u64) -> Scenario {
    scenario("s", ExecutorConfig::SharedIterations { vus, iterations, max_duration: ms(max_duration) })
}

fn per_vu(vus: u64, iterations: u64, max_duration: u64) -> Scenario {
    scenario("p", ExecutorConfig::PerVuIterations { vus, iterations, max_duration: ms(max_duration) })
}

fn constant(vus: u64, duration: u64) -> Scenario {
    scenario("c", ExecutorConfig::ConstantVus { vus, duration: ms(duration) })
}

#[tokio::test(start_paused = true)]
async fn shared_iterations_are_done_once_each() {
    let bench = Bench::new(vec![shared(4, 10, 10_000)], Fakes::of_length(ms(10)));
    bench.run().await;
    let mut numbers: Vec<u64> = bench.fakes.records().iter().map(|r| r.iteration.in_test).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(bench.state().full_iterations(), 10);
    assert_eq!(bench.samples.sum(builtin::DROPPED_ITERATIONS), 0.0);
}

#[tokio::test(start_paused = true)]
async fn shared_iterations_race_so_a_fast_vu_does_more() {
    let fakes = Fakes::new(|vu, _, _| if vu.in_instance == 1 { ms(10) } else { ms(100) });
    let bench = Bench::new(vec![shared(2, 22, 10_000)], fakes);
    bench.run().await;
    let fast = bench.fakes.records().iter().filter(|r| r.vu.in_instance == 1).count();
    assert_eq!(fast, 20);
}

#[tokio::test(start_paused = true)]
async fn shared_iterations_past_the_deadline_are_dropped_in_one_sample() {
    let mut scenario = shared(2, 20, 1000);
    scenario.graceful_stop = secs(2);
    let bench = Bench::new(vec![scenario], Fakes::of_length(ms(400)));
    let took = bench.run().await;
    assert_eq!(bench.state().full_iterations(), 6);
    let dropped = bench.samples.of(builtin::DROPPED_ITERATIONS);
    assert_eq!(dropped.iter().map(|s| s.value).collect::<Vec<_>>(), [14.0]);
    let tags: Vec<_> = dropped[0].tags.iter().collect();
    assert_eq!(tags, [("run", "1"), ("scenario", "s")]);
    assert!(took >= ms(1200) && took < ms(1250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn per_vu_iterations_are_the_same_for_each_vu() {
    let bench = Bench::new(vec![per_vu(3, 4, 10_000)], Fakes::of_length(ms(10)));
    bench.run().await;
    for vu in 1..=3 {
        assert_eq!(bench.fakes.records().iter().filter(|r| r.vu.in_instance == vu).count(), 4);
    }
}

#[tokio::test]
async fn a_fast_vu_is_not_used_twice() {
    for _ in 0..20 {
        let bench = Bench::new(vec![per_vu(9, 1, 10_000)], Fakes::of_length(ms(0)));
        let scheduler = bench.threaded();
        scheduler.initialize().await.unwrap();
        scheduler.run().await;
        scheduler.close().await;
        let vus: BTreeSet<u64> = bench.fakes.records().iter().map(|r| r.vu.in_instance).collect();
        assert_eq!(vus.len(), 9);
    }
}

#[tokio::test(start_paused = true)]
async fn per_vu_iterations_past_the_deadline_are_dropped_for_each_vu() {
    let mut scenario = per_vu(2, 5, 1000);
    scenario.graceful_stop = secs(0);
    let mut bench = Bench::new(vec![scenario], Fakes::of_length(ms(700)));
    bench.options.vu_tag = true;
    let took = bench.run().await;
    assert!(took >= ms(1000) && took < ms(1050), "{took:?}");
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (2, 2));
    let dropped = bench.samples.of(builtin::DROPPED_ITERATIONS);
    assert_eq!(dropped.iter().map(|s| s.value).collect::<Vec<_>>(), [3.0, 3.0]);
    let mut vus: Vec<String> =
        dropped.iter().map(|s| s.metadata.as_ref().unwrap()[0].1.to_string()).collect();
    vus.sort();
    assert_eq!(vus, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn constant_vus_finish_within_the_graceful_stop() {
    let bench = Bench::new(vec![constant(2, 1000)], Fakes::of_length(ms(400)));
    let took = bench.run().await;
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (6, 0));
    assert!(took >= ms(1200) && took < ms(1250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn constant_vus_are_interrupted_after_the_graceful_stop() {
    let mut scenario = constant(2, 1000);
    scenario.graceful_stop = ms(100);
    let bench = Bench::new(vec![scenario], Fakes::of_length(ms(700)));
    let took = bench.run().await;
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (2, 2));
    assert!(took >= ms(1100) && took < ms(1150), "{took:?}");
    let last = bench.fakes.records().pop().unwrap();
    assert_eq!(last.outcome, IterationOutcome::Interrupted { unanswered: false });
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_interrupts_at_once_in_spite_of_the_graceful_stop() {
    let bench = Bench::new(vec![constant(3, 10_000)], Fakes::of_length(secs(60)));
    let took = bench
        .run_with(async |_| {
            tokio::time::sleep(ms(500)).await;
            bench.options.run.shutdown.stop(StopReason::RestApi);
        })
        .await;
    assert!(took >= ms(500) && took < ms(520), "{took:?}");
    assert_eq!(bench.state().interrupted_iterations(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_iteration_may_be_stretched() {
    let mut bench = Bench::new(vec![per_vu(1, 3, 10_000)], Fakes::of_length(ms(50)));
    bench.options.min_iteration_duration = ms(200);
    let took = bench.run().await;
    let starts: Vec<u128> = bench.fakes.records().iter().map(|r| r.started.as_millis()).collect();
    assert_eq!(starts, [0, 200, 400]);
    assert!(took >= ms(600) && took < ms(620), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_wait_after_a_short_iteration_is_interrupted() {
    let mut bench = Bench::new(vec![constant(1, 60_000)], Fakes::of_length(ms(50)));
    bench.options.min_iteration_duration = secs(3600);
    let took = bench
        .run_with(async |_| {
            tokio::time::sleep(ms(500)).await;
            bench.options.run.shutdown.stop(StopReason::RestApi);
        })
        .await;
    assert!(took < ms(520), "{took:?}");
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn progress_tells_waiting_running_stopping_and_done() {
    let mut late = constant(1, 1000);
    late.start_time = ms(500);
    let bench = Bench::new(vec![late], Fakes::of_length(ms(800)));
    let mut seen = Vec::new();
    bench
        .run_with(async |scheduler| {
            for _ in 0..22 {
                let p = scheduler.progress().remove(0);
                seen.push((
                    p.status,
                    (p.fraction * 100.0).round() as u64,
                    p.active_vus,
                    p.starts_in.as_millis(),
                ));
                tokio::time::sleep(ms(100)).await;
            }
            seen.push((scheduler.progress()[0].status, 100, 0, 0));
        })
        .await;
    assert_eq!(seen[1], (ScenarioStatus::Waiting, 0, 0, 400));
    assert_eq!(seen[10], (ScenarioStatus::Running, 50, 1, 0));
    assert_eq!(seen[18], (ScenarioStatus::Stopping, 100, 1, 0));
    assert_eq!(seen[22].0, ScenarioStatus::Done);
}
