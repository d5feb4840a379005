//! Arrival rates, in virtual time (whose timers tick in milliseconds).

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test file uses its part of it.
mod fake;

use fake::{Bench, Fakes, ms, scenario, secs};
use senary_execution::{ExecutorConfig, Scenario, ScenarioStatus, Stage, StopReason};
use senary_metrics::builtin;

fn constant(rate: u64, duration: u64, pre_allocated_vus: u64, max_vus: u64) -> Scenario {
    let (time_unit, duration) = (secs(1), ms(duration));
    let executor =
        ExecutorConfig::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus, max_vus };
    scenario("rate", executor)
}

fn starts(bench: &Bench) -> Vec<u128> {
    bench.fakes.records().iter().map(|r| r.started.as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_constant_rate_starts_on_time_whatever_iterations_take() {
    let bench = Bench::new(vec![constant(20, 1000, 15, 15)], Fakes::of_length(ms(700)));
    let took = bench.run().await;
    assert_eq!(starts(&bench), (0..20).map(|n| n * 50).collect::<Vec<_>>());
    assert_eq!(bench.samples.sum(builtin::DROPPED_ITERATIONS), 0.0);
    assert!(took >= ms(1650) && took < ms(1660), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn it_lasts_as_long_as_it_was_told_to() {
    let bench = Bench::new(vec![constant(1, 1500, 1, 1)], Fakes::of_length(ms(10)));
    let took = bench.run().await;
    assert_eq!(starts(&bench), [0, 1000]);
    assert!(took >= ms(1500) && took < ms(1510), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_vus_take_turns() {
    let bench = Bench::new(vec![constant(10, 1000, 5, 5)], Fakes::of_length(ms(1)));
    bench.run().await;
    let vus: Vec<u64> = bench.fakes.records().iter().map(|r| r.vu.in_instance).collect();
    for vu in 1..=5 {
        let iterations = vus.iter().filter(|v| **v == vu).count();
        assert!((1..=3).contains(&iterations), "{vus:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_free_vu_iterations_are_dropped() {
    let bench = Bench::new(vec![constant(10, 2000, 1, 1)], Fakes::of_length(secs(3)));
    bench.run().await;
    assert_eq!((bench.state().full_iterations(), bench.samples.sum(builtin::DROPPED_ITERATIONS)), (1, 19.0));
    let dropped = bench.samples.of(builtin::DROPPED_ITERATIONS);
    assert_eq!(dropped.len(), 19);
    assert_eq!(dropped[0].tags.iter().collect::<Vec<_>>(), [("run", "1"), ("scenario", "rate")]);
}

#[tokio::test(start_paused = true)]
async fn dropped_iterations_have_no_numbers() {
    let bench = Bench::new(vec![constant(10, 1000, 1, 1)], Fakes::of_length(ms(150)));
    bench.run().await;
    let numbers: Vec<u64> = bench.fakes.records().iter().map(|r| r.iteration.in_test).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn vus_are_added_one_at_a_time_up_to_the_maximum() {
    // Each takes 250 ms to make, and every iteration outlasts the test.
    let fakes = Fakes::of_length(secs(10)).made_in(ms(250));
    let bench = Bench::new(vec![constant(10, 2000, 1, 4)], fakes);
    bench.run().await;
    assert_eq!(bench.state().initialized_vus(), 4);
    // The first is dropped at 100, whereupon a VU is made until 350; it starts at 400, and so on.
    assert_eq!(starts(&bench), [0, 400, 800, 1200]);
    assert_eq!(bench.samples.sum(builtin::DROPPED_ITERATIONS), 16.0);
}

#[tokio::test(start_paused = true)]
async fn a_vu_made_too_late_is_not_waited_for() {
    let fakes = Fakes::of_length(ms(150)).made_in(secs(5));
    let bench = Bench::new(vec![constant(10, 1000, 1, 2)], fakes);
    let took = bench.run().await;
    assert!(took < ms(1100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn later_scenarios_use_the_vus_that_were_added() {
    let mut later = constant(10, 1000, 1, 3);
    later.name = "later".to_owned();
    later.start_time = secs(60);
    let bench = Bench::new(vec![constant(10, 1000, 1, 3), later], Fakes::of_length(ms(290)));
    bench.run().await;
    assert_eq!(bench.state().initialized_vus(), 3);
    let most = bench.fakes.records().iter().filter(|r| r.scenario == "later").map(|r| r.vu.in_instance).max();
    assert_eq!(most, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_starts_what_is_below_its_line() {
    let stages = [(1000, 40), (1000, 40), (1000, 0)];
    let stages = stages.map(|(d, target)| Stage { duration: ms(d), target }).to_vec();
    let (time_unit, pre_allocated_vus) = (secs(1), 4);
    let executor = ExecutorConfig::RampingArrivalRate {
        start_rate: 0,
        time_unit,
        stages,
        pre_allocated_vus,
        max_vus: pre_allocated_vus,
    };
    let bench = Bench::new(vec![scenario("ramp", executor)], Fakes::of_length(ms(0)));
    bench.run().await;
    let starts = starts(&bench);
    assert_eq!(starts.len(), 80);
    let within = |from: u128, to: u128| starts.iter().filter(|t| (from + 1..=to).contains(t)).count();
    assert_eq!([within(0, 501), within(501, 1001), within(1001, 2001), within(2001, 3001)], [5, 15, 40, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_the_clock_and_the_iterations() {
    let bench = Bench::new(vec![constant(10, 60_000, 50, 50)], Fakes::of_length(secs(60)));
    let took = bench
        .run_with(async |_| {
            tokio::time::sleep(ms(450)).await;
            bench.options.run.shutdown.stop(StopReason::RestApi);
        })
        .await;
    assert!(took < ms(460), "{took:?}");
    assert_eq!((starts(&bench).len(), bench.state().interrupted_iterations()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn progress_tells_running_from_active_and_the_rate() {
    let bench = Bench::new(vec![constant(4, 2000, 3, 3)], Fakes::of_length(ms(400)));
    let mut seen = Vec::new();
    bench
        .run_with(async |scheduler| {
            for _ in 0..2 {
                tokio::time::sleep(ms(1300)).await;
                seen.extend(scheduler.progress());
            }
        })
        .await;
    assert_eq!((seen[0].running_vus, seen[0].active_vus, seen[0].rate), (2, 3, Some(4.0)));
    assert_eq!(seen[0].fraction, 0.65);
    assert_eq!((seen[1].running_vus, seen[1].active_vus, seen[1].status), (0, 3, ScenarioStatus::Done));
}
