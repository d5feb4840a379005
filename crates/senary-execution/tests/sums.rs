//! Every iteration that begins is counted once: as complete or as interrupted, whatever ends the run and when. In virtual
//! time.

#[allow(dead_code)] // Each test file uses its part of it.
mod fake;

use fake::{Bench, Fakes, ms, scenario, secs};
use proptest::prelude::*;
use senary_execution::{ExecutorConfig, Scenario, Stage, StopReason};
use tokio::time::sleep;

/// One scenario of each executor, a second long.
fn scenarios(graceful: u64) -> Vec<Scenario> {
    let stages = || vec![Stage { duration: ms(500), target: 8 }, Stage { duration: ms(500), target: 1 }];
    let executors = [
        ExecutorConfig::SharedIterations { vus: 3, iterations: 60, max_duration: secs(1) },
        ExecutorConfig::PerVuIterations { vus: 3, iterations: 20, max_duration: secs(1) },
        ExecutorConfig::ConstantVus { vus: 3, duration: secs(1) },
        ExecutorConfig::RampingVus { start_vus: 1, stages: stages(), graceful_ramp_down: ms(graceful) },
        ExecutorConfig::ConstantArrivalRate {
            rate: 50,
            time_unit: secs(1),
            duration: secs(1),
            pre_allocated_vus: 2,
            max_vus: 6,
        },
        ExecutorConfig::RampingArrivalRate {
            start_rate: 10,
            time_unit: secs(1),
            stages: vec![Stage { duration: secs(1), target: 80 }],
            pre_allocated_vus: 2,
            max_vus: 6,
        },
    ];
    let named = executors.into_iter().map(|executor| scenario(executor.type_name(), executor));
    named.map(|scenario| Scenario { graceful_stop: ms(graceful), ..scenario }).collect()
}

/// Runs the scenarios, stops the run after `stop`, and compares the books.
fn books_balance(scenarios: Vec<Scenario>, length: u64, stop: Option<u64>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    // Some take longer than others, and some no time.
    let fakes =
        Fakes::new(move |vu, _, iteration| ms(length * ((vu.in_instance + iteration.in_instance) % 4)));
    let bench = Bench::new(scenarios, fakes);
    runtime.expect("a runtime").block_on(async {
        let shutdown = bench.options.run.shutdown.clone();
        bench
            .run_with(async |_| {
                if let Some(stop) = stop {
                    sleep(ms(stop)).await;
                    shutdown.stop(StopReason::Signal { name: "interrupt" });
                }
            })
            .await
    });
    let (complete, interrupted) = (bench.state().full_iterations(), bench.state().interrupted_iterations());
    prop_assert_eq!(bench.fakes.begun(), complete + interrupted);
    prop_assert_eq!(bench.fakes.records().len() as u64, complete + interrupted, "none is dropped half way");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_begins_is_complete_or_interrupted(
        which in 0_usize..6,
        length in 1_u64..400,
        graceful in 0_u64..600,
        stop in prop::option::of(0_u64..1500),
    ) {
        let one = scenarios(graceful).remove(which);
        books_balance(vec![one], length, stop)?;
    }

    #[test]
    fn so_it_is_with_all_executors_at_once(
        length in 1_u64..400,
        graceful in 0_u64..600,
        stop in prop::option::of(0_u64..1500),
    ) {
        books_balance(scenarios(graceful), length, stop)?;
    }
}
