//! What is true of all executors: how VUs are made, shared and numbered, and how a run ends.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test file uses its part of it.
mod fake;

use std::collections::BTreeSet;

use fake::{Bench, Fakes, MakeError, ms, scenario, secs};
use senary_execution::{ExecutorConfig, LoadPlan, Scenario, ScenarioStatus, SegmentTuple, Stage, StopReason};
use senary_metrics::builtin;
use tokio::task::LocalSet;

fn per_vu(name: &str, vus: u64, iterations: u64, max_duration: u64) -> Scenario {
    scenario(name, ExecutorConfig::PerVuIterations { vus, iterations, max_duration: ms(max_duration) })
}

fn starting(mut scenario: Scenario, start_time: u64, graceful_stop: u64) -> Scenario {
    scenario.start_time = ms(start_time);
    scenario.graceful_stop = ms(graceful_stop);
    scenario
}

fn every_executor() -> Vec<Scenario> {
    let stages = |list: &[(u64, u64)]| -> Vec<Stage> {
        list.iter().map(|(d, target)| Stage { duration: ms(*d), target: *target }).collect()
    };
    let executors = [
        ExecutorConfig::SharedIterations { vus: 5, iterations: 40, max_duration: secs(10) },
        ExecutorConfig::PerVuIterations { vus: 4, iterations: 3, max_duration: secs(10) },
        ExecutorConfig::ConstantVus { vus: 7, duration: secs(2) },
        ExecutorConfig::RampingVus {
            start_vus: 1,
            stages: stages(&[(1000, 6), (500, 2), (500, 5)]),
            graceful_ramp_down: ms(100),
        },
        ExecutorConfig::ConstantArrivalRate {
            rate: 25,
            time_unit: secs(1),
            duration: secs(2),
            pre_allocated_vus: 6,
            max_vus: 9,
        },
        ExecutorConfig::RampingArrivalRate {
            start_rate: 10,
            time_unit: secs(1),
            stages: stages(&[(1000, 50), (1000, 0)]),
            pre_allocated_vus: 9,
            max_vus: 9,
        },
    ];
    executors.into_iter().map(|e| scenario(e.type_name(), e)).collect()
}

#[tokio::test(start_paused = true)]
async fn scenarios_start_at_their_time() {
    let plan = vec![
        starting(per_vu("third", 1, 1, 1000), 1000, 0),
        starting(per_vu("first", 1, 1, 1000), 0, 0),
        starting(per_vu("second", 1, 1, 1000), 500, 0),
    ];
    let bench = Bench::new(plan, Fakes::of_length(ms(1)));
    let mut waiting = None;
    bench
        .run_with(async |scheduler| {
            tokio::time::sleep(ms(700)).await;
            waiting = Some(scheduler.progress());
        })
        .await;
    let seen: Vec<(String, u128)> =
        bench.fakes.records().iter().map(|r| (r.scenario.clone(), r.started.as_millis())).collect();
    assert_eq!(seen, [("first".into(), 0), ("second".into(), 500), ("third".into(), 1000)]);
    let states: Vec<_> = waiting.unwrap().into_iter().map(|p| (p.name, p.status)).collect();
    let expected = [
        ("first".to_owned(), ScenarioStatus::Done),
        ("second".to_owned(), ScenarioStatus::Done),
        ("third".to_owned(), ScenarioStatus::Waiting),
    ];
    assert_eq!(states, expected);
}

#[tokio::test(start_paused = true)]
async fn scenarios_in_sequence_share_vus() {
    let plan =
        vec![starting(per_vu("early", 2, 2, 1000), 0, 0), starting(per_vu("later", 2, 2, 1000), 1300, 0)];
    let bench = Bench::new(plan, Fakes::of_length(ms(10)));
    bench.run().await;
    assert_eq!(bench.state().initialized_vus(), 2);
    let mut activations = bench.fakes.activations();
    activations.sort();
    let expected = [(1, "early"), (1, "later"), (2, "early"), (2, "later")];
    assert_eq!(activations, expected.map(|(vu, name)| (vu, name.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn scenarios_at_the_same_time_have_their_own_vus() {
    let plan = vec![per_vu("left", 2, 1, 1000), per_vu("right", 3, 1, 1000)];
    let bench = Bench::new(plan, Fakes::of_length(ms(300)));
    bench.run().await;
    let of = |name: &str| -> BTreeSet<u64> {
        bench.fakes.records().iter().filter(|r| r.scenario == name).map(|r| r.vu.in_test).collect()
    };
    assert_eq!(of("left").len() + of("right").len(), 5);
    assert_eq!(of("left").union(&of("right")).copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_comes_back_late_is_waited_for() {
    // The first scenario's VU may be used until 1000, when the second wants it at the same moment.
    let plan =
        vec![starting(per_vu("early", 1, 9, 1000), 0, 0), starting(per_vu("later", 1, 1, 1000), 1000, 0)];
    let bench = Bench::new(plan, Fakes::of_length(ms(300)));
    bench.run().await;
    assert_eq!(bench.state().initialized_vus(), 1);
    assert_eq!(bench.fakes.records().iter().filter(|r| r.scenario == "later").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn vus_are_made_by_all_workers_at_once() {
    let mut bench = Bench::new(vec![per_vu("p", 9, 1, 1000)], Fakes::of_length(ms(1)).made_in(ms(100)));
    bench.options.workers = 3;
    LocalSet::new()
        .run_until(async {
            let scheduler = bench.inline();
            let begun = tokio::time::Instant::now();
            let (made, halfway) = tokio::join!(scheduler.initialize(), async {
                tokio::time::sleep(ms(150)).await;
                bench.state().initialized_vus()
            });
            made.unwrap();
            assert_eq!(halfway, 3);
            assert!(begun.elapsed() < ms(310), "{:?}", begun.elapsed());
            assert_eq!(bench.fakes.alive(), 9);
            scheduler.close().await;
            assert_eq!(bench.fakes.alive(), 0);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_vu_that_cannot_be_made_ends_the_making() {
    let fakes = Fakes::of_length(ms(1)).made_in(ms(10)).failing_at(5);
    let bench = Bench::new(vec![per_vu("p", 1000, 1, 1000)], fakes);
    LocalSet::new()
        .run_until(async {
            let scheduler = bench.inline();
            assert_eq!(scheduler.initialize().await, Err(MakeError(5)));
            assert!(bench.state().initialized_vus() < 8);
            scheduler.close().await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_making_without_an_error() {
    let bench = Bench::new(vec![per_vu("p", 1000, 1, 1000)], Fakes::of_length(ms(1)).made_in(ms(10)));
    LocalSet::new()
        .run_until(async {
            let scheduler = bench.inline();
            let (made, ()) = tokio::join!(scheduler.initialize(), async {
                tokio::time::sleep(ms(55)).await;
                bench.options.run.shutdown.stop(StopReason::Signal { name: "interrupt" });
            });
            made.unwrap();
            assert_eq!(bench.state().initialized_vus(), 10);
            scheduler.run().await;
            scheduler.close().await;
            assert!(bench.fakes.records().is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_vus_are_sampled_every_second_with_the_tags_of_the_run() {
    let bench = Bench::new(vec![per_vu("p", 3, 1, 10_000)], Fakes::of_length(ms(2300)));
    bench.run().await;
    for metric in [builtin::VUS, builtin::VUS_MAX] {
        let seen = bench.samples.of(metric);
        assert_eq!(seen.iter().map(|s| s.value).collect::<Vec<_>>(), [3.0, 3.0]);
        assert!(seen.iter().all(|s| s.tags.iter().eq([("run", "1")])));
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_run_has_no_such_samples() {
    let bench = Bench::new(vec![per_vu("p", 3, 1, 10_000)], Fakes::of_length(ms(900)));
    bench.run().await;
    assert!(bench.samples.of(builtin::VUS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn three_thirds_do_exactly_what_the_whole_does() {
    for scenario in every_executor() {
        // Deterministic lengths keep every VU free in time, so nothing is dropped.
        let run = async |segment: SegmentTuple| {
            let mut bench = Bench::new(vec![scenario.clone()], Fakes::of_length(ms(100)));
            bench.segment = segment;
            bench.run().await;
            bench
        };
        let whole = run(SegmentTuple::full()).await;
        let mut vus = Vec::new();
        let mut numbers = Vec::new();
        let mut dropped = 0.0;
        for segment in ["0:1/3", "1/3:2/3", "2/3:1"] {
            let segment = SegmentTuple::new(segment.parse().ok(), "0,1/3,2/3,1".parse().ok()).unwrap();
            let part = run(segment).await;
            let records = part.fakes.records();
            let own: BTreeSet<u64> = records.iter().map(|r| r.vu.in_test).collect();
            vus.extend(own);
            numbers.extend(records.iter().map(|r| r.iteration.in_test));
            dropped += part.samples.sum(builtin::DROPPED_ITERATIONS);
        }
        vus.sort_unstable();
        numbers.sort_unstable();
        let name = &scenario.name;
        assert!(vus.windows(2).all(|w| w[0] < w[1]), "{name}: a VU is in two segments: {vus:?}");
        let records = whole.fakes.records();
        let mut expected: Vec<u64> = records.iter().map(|r| r.iteration.in_test).collect();
        expected.sort_unstable();
        assert_eq!(numbers.len(), expected.len(), "{name}");
        // Where VUs and not a common plan decide how many there are, segments number their iterations by their
        // share of the line: without doubles, but not without gaps.
        let planned = ["shared-iterations", "constant-arrival-rate", "ramping-arrival-rate"];
        if planned.contains(&name.as_str()) {
            assert_eq!(numbers, expected, "{name}");
        } else {
            assert!(numbers.windows(2).all(|w| w[0] < w[1]), "{name}: {numbers:?}");
        }
        assert_eq!(dropped, whole.samples.sum(builtin::DROPPED_ITERATIONS), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_segment_without_work_does_nothing() {
    let mut bench = Bench::new(vec![per_vu("few", 2, 3, 10_000)], Fakes::of_length(ms(10)));
    bench.segment = SegmentTuple::new("3/4:1".parse().ok(), "0,1/4,1/2,3/4,1".parse().ok()).unwrap();
    let took = bench.run().await;
    assert!(took.is_zero() && bench.fakes.records().is_empty());
    assert_eq!(bench.plan().max_vus(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_every_executor_at_any_moment() {
    for at in [0, 1, 49, 100, 333, 1000, 1500, 1999, 2000, 2050] {
        let bench = Bench::new(every_executor(), Fakes::of_length(ms(170)));
        let took = bench
            .run_with(async |_| {
                tokio::time::sleep(ms(at)).await;
                bench.options.run.shutdown.stop(StopReason::Signal { name: "interrupt" });
            })
            .await;
        assert!(took <= ms(at + 10), "stopped at {at}, took {took:?}");
        let records = bench.fakes.records();
        let counted = bench.state().full_iterations() + bench.state().interrupted_iterations();
        assert_eq!(counted, records.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_run_ends_too() {
    let bench = Bench::new(every_executor(), Fakes::of_length(secs(60)));
    LocalSet::new()
        .run_until(async {
            let scheduler = bench.inline();
            scheduler.initialize().await.unwrap();
            let _ = tokio::time::timeout(ms(300), scheduler.run()).await;
            let begun = tokio::time::Instant::now();
            scheduler.close().await;
            assert!(begun.elapsed() < ms(10));
            assert_eq!((bench.fakes.alive(), bench.state().active_vus()), (0, 0));
        })
        .await;
}

#[test]
fn the_plan_counts_vus_and_time() {
    let stages = |list: &[(u64, u64)]| -> Vec<Stage> {
        list.iter().map(|(d, target)| Stage { duration: ms(*d), target: *target }).collect()
    };
    let rate = |rate, duration, pre, max| ExecutorConfig::ConstantArrivalRate {
        rate,
        time_unit: secs(1),
        duration: ms(duration),
        pre_allocated_vus: pre,
        max_vus: max,
    };
    let ramp = |start_vus, list: &[(u64, u64)], grace| ExecutorConfig::RampingVus {
        start_vus,
        stages: stages(list),
        graceful_ramp_down: ms(grace),
    };
    let constant = |vus, duration| ExecutorConfig::ConstantVus { vus, duration: ms(duration) };

    let a = starting(scenario("a", constant(7, 30_000)), 0, 5000);
    let b = starting(scenario("b", ramp(1, &[(10_000, 9)], 3000)), 20_000, 30_000);
    let c = starting(scenario("c", rate(5, 60_000, 2, 6)), 0, 30_000);
    let plan = LoadPlan::new(vec![c, b, a], SegmentTuple::full());
    assert_eq!((plan.planned_vus(), plan.max_vus(), plan.max_duration()), (18, 22, secs(90)));
    let names: Vec<&str> = plan.scenarios().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "b"]);

    // The one VU of `three` is free again by the time `two` wants its second.
    let two = starting(scenario("two", ramp(0, &[(1000, 2)], 1000)), 100, 2000);
    let three = starting(scenario("three", constant(1, 1000)), 0, 0);
    assert_eq!(LoadPlan::new(vec![two, three], SegmentTuple::full()).max_vus(), 2);
}

/// With threads and the real clock: every iteration is done once, VUs are spread, all ends.
#[tokio::test]
async fn it_works_on_threads() {
    let plan = vec![
        scenario(
            "shared",
            ExecutorConfig::SharedIterations { vus: 6, iterations: 5000, max_duration: secs(60) },
        ),
        per_vu("each", 4, 500, 60_000),
        scenario(
            "rate",
            ExecutorConfig::ConstantArrivalRate {
                rate: 1000,
                time_unit: secs(1),
                duration: ms(300),
                pre_allocated_vus: 4,
                max_vus: 8,
            },
        ),
    ];
    let bench = Bench::new(plan, Fakes::of_length(ms(0)));
    let scheduler = bench.threaded();
    scheduler.initialize().await.unwrap();
    bench.fakes.start_clock();
    scheduler.run().await;
    let progress = scheduler.progress();
    assert!(progress.iter().all(|p| p.status == ScenarioStatus::Done && p.running_vus == 0), "{progress:?}");
    scheduler.close().await;
    assert_eq!(bench.fakes.alive(), 0);
    let records = bench.fakes.records();
    let numbers = |name: &str| -> BTreeSet<u64> {
        records.iter().filter(|r| r.scenario == name).map(|r| r.iteration.in_test).collect()
    };
    assert_eq!(numbers("shared"), (0..5000).collect());
    assert_eq!(numbers("each"), (0..2000).collect());
    let dropped = bench.samples.sum(builtin::DROPPED_ITERATIONS) as usize;
    assert_eq!(numbers("rate").len() + dropped, 300);
}

/// Iterations that never wait keep neither the deadline nor the other VUs of their worker from their turn.
#[tokio::test]
async fn busy_vus_starve_nobody() {
    let mut bench = Bench::new(
        vec![scenario("busy", ExecutorConfig::ConstantVus { vus: 4, duration: ms(200) })],
        Fakes::of_length(ms(0)),
    );
    bench.options.workers = 1;
    let scheduler = bench.threaded();
    scheduler.initialize().await.unwrap();
    bench.fakes.start_clock();
    let begun = std::time::Instant::now();
    scheduler.run().await;
    assert!(begun.elapsed() < secs(5), "{:?}", begun.elapsed());
    scheduler.close().await;
    let vus: BTreeSet<u64> = bench.fakes.records().iter().map(|r| r.vu.in_instance).collect();
    assert_eq!(vus.len(), 4);
}

/// The same shutdown with threads, at moments that fall where they may.
#[tokio::test]
async fn a_shutdown_ends_threads_at_any_moment() {
    for at in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let fakes =
            Fakes::new(|vu, _, _| if vu.in_instance % 3 == 0 { secs(60) } else { ms(vu.in_instance % 2) });
        let bench = Bench::new(every_executor(), fakes);
        let scheduler = bench.threaded();
        scheduler.initialize().await.unwrap();
        let stop = async {
            tokio::time::sleep(ms(at)).await;
            bench.options.run.shutdown.stop(StopReason::Signal { name: "interrupt" });
        };
        let ended = async {
            tokio::join!(scheduler.run(), stop);
            scheduler.close().await;
        };
        tokio::time::timeout(secs(20), ended).await.expect("it ends");
        assert_eq!((bench.fakes.alive(), bench.state().active_vus()), (0, 0));
        let counted = bench.state().full_iterations() + bench.state().interrupted_iterations();
        assert_eq!(counted, bench.fakes.records().len() as u64);
    }
}
