//! `ramping-vus`, in virtual time.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test file uses its part of it.
mod fake;

use std::time::Duration;

use fake::{Bench, Fakes, ms, scenario, secs};
use senary_execution::{ExecutorConfig, Scenario, Stage, StopReason};

fn ramp(start_vus: u64, stages: &[(u64, u64)], graceful_ramp_down: u64, graceful_stop: u64) -> Scenario {
    let stages = stages.iter().map(|(d, target)| Stage { duration: ms(*d), target: *target }).collect();
    let graceful_ramp_down = ms(graceful_ramp_down);
    let mut scenario = scenario("ramp", ExecutorConfig::RampingVus { start_vus, stages, graceful_ramp_down });
    scenario.graceful_stop = ms(graceful_stop);
    scenario
}

/// The number of active VUs at these times (which must not be those of a step).
async fn active_at(bench: &Bench, times: &[u64]) -> (Vec<u64>, Duration) {
    let mut seen = Vec::new();
    let took = bench
        .run_with(async |_| {
            let begun = tokio::time::Instant::now();
            for time in times {
                tokio::time::sleep_until(begun + ms(*time)).await;
                seen.push(bench.state().active_vus());
            }
        })
        .await;
    (seen, took)
}

#[tokio::test(start_paused = true)]
async fn vus_follow_plateaus() {
    let plan = ramp(0, &[(0, 2), (1000, 2), (0, 4), (1000, 4), (0, 1), (1000, 1)], 0, 0);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(50)));
    let (seen, took) = active_at(&bench, &[500, 1500, 2500]).await;
    assert_eq!(seen, [2, 4, 1]);
    assert!(took >= secs(3) && took < ms(3010), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn vus_follow_slopes() {
    let bench = Bench::new(vec![ramp(0, &[(1000, 4), (1000, 0)], 0, 0)], Fakes::of_length(ms(10)));
    let (seen, _) = active_at(&bench, &[200, 300, 600, 900, 1100, 1300, 1600, 1900]).await;
    assert_eq!(seen, [0, 1, 2, 3, 4, 3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn without_grace_a_vu_is_interrupted_when_it_is_taken_away() {
    let plan = ramp(3, &[(500, 3), (0, 0), (500, 0)], 0, 0);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(800)));
    let took = bench.run().await;
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (0, 3));
    assert!(bench.fakes.records().iter().all(|r| r.ended >= ms(500) && r.ended < ms(510)));
    assert!(took >= ms(1000) && took < ms(1010), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn with_grace_it_finishes_its_iteration() {
    let plan = ramp(3, &[(500, 3), (0, 0), (500, 0)], 3000, 3000);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(800)));
    bench.run().await;
    assert_eq!((bench.state().full_iterations(), bench.state().interrupted_iterations()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_grace_ends() {
    let plan = ramp(1, &[(500, 1), (0, 0), (2000, 0)], 400, 3000);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(1200)));
    bench.run().await;
    let record = bench.fakes.records().remove(0);
    assert_eq!(bench.state().interrupted_iterations(), 1);
    assert!(record.ended >= ms(900) && record.ended < ms(910), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_a_late_ramp_down_goes_on_after_the_regular_end() {
    let plan = ramp(1, &[(500, 1), (0, 0), (100, 0)], 700, 3000);
    let bench = Bench::new(vec![plan], Fakes::of_length(secs(60)));
    let took = bench.run().await;
    assert!(took >= ms(1200) && took < ms(1210), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_graceful_stop_caps_the_grace() {
    let plan = ramp(1, &[(500, 1), (0, 0), (100, 0)], 30_000, 300);
    let bench = Bench::new(vec![plan], Fakes::of_length(secs(60)));
    let took = bench.run().await;
    assert!(took >= ms(900) && took < ms(910), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_is_wanted_again_in_time_goes_on() {
    let plan = ramp(1, &[(500, 1), (0, 0), (300, 0), (0, 1), (1000, 1)], 5000, 0);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(900)));
    bench.run().await;
    // One VU, activated once: its first iteration ends at 900, when it is wanted again, and the second is cut.
    assert_eq!(bench.fakes.activations(), [(1, "ramp".to_owned())]);
    let starts: Vec<u128> = bench.fakes.records().iter().map(|r| r.started.as_millis()).collect();
    assert_eq!(starts, [0, 900]);
}

#[tokio::test(start_paused = true)]
async fn an_old_grace_does_not_end_a_vu_that_was_wanted_again() {
    // Taken away at 500 (until 1500), wanted again at 800, taken away at 1000 (until 2000).
    let plan = ramp(1, &[(500, 1), (0, 0), (300, 0), (0, 1), (200, 1), (0, 0), (2000, 0)], 1000, 0);
    let bench = Bench::new(vec![plan], Fakes::of_length(secs(60)));
    bench.run().await;
    let record = bench.fakes.records().remove(0);
    assert!(record.ended >= ms(2000) && record.ended < ms(2010), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vu_that_has_left_is_replaced() {
    let plan = ramp(1, &[(500, 1), (0, 0), (500, 0), (0, 1), (500, 1)], 5000, 0);
    let bench = Bench::new(vec![plan], Fakes::of_length(ms(100)));
    let (seen, _) = active_at(&bench, &[250, 750, 1250]).await;
    assert_eq!(seen, [1, 0, 1]);
    assert_eq!(bench.state().initialized_vus(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_ramp_at_once() {
    let plan = ramp(0, &[(10_000, 100)], 30_000, 30_000);
    let bench = Bench::new(vec![plan], Fakes::of_length(secs(60)));
    let took = bench
        .run_with(async |_| {
            tokio::time::sleep(ms(2550)).await;
            bench.options.run.shutdown.stop(StopReason::RestApi);
        })
        .await;
    assert!(took < ms(2560), "{took:?}");
    assert_eq!(bench.state().interrupted_iterations(), 25);
}
