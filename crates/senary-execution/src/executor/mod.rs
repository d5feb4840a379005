//! The executors: each decides when iterations of its scenario start, in a file of its own. What they share is in
//! `scenario`: a scenario that runs, taking VUs for it, and a VU at work.
//!
//! Two deadlines hold for all of them. At the regular end no new iteration starts any more. At the latest end,
//! the graceful stop later, the scenario's token is cancelled, which interrupts what still runs; so does the end
//! of the whole run, at once.
//! (<https://grafana.com/docs/k6/latest/using-k6/scenarios/concepts/graceful-stop/>)

mod arrival_rate;
mod constant_vus;
mod per_vu_iterations;
mod ramping_vus;
mod scenario;
mod shared_iterations;

use tokio::time::sleep_until;

use crate::plan::ExecutorConfig;
use crate::vu::VuFactory;

pub(crate) use scenario::{ActiveScenario, ScenarioRun};

/// Runs one scenario, whose time has come, to its end.
pub(crate) async fn run<F: VuFactory>(mut run: ScenarioRun<F>) {
    let scenario = run.active.state.clone();
    let arrivals = match scenario.scenario.executor.arrivals() {
        Some(arrivals) => Some(arrival_rate::prepare(&run, arrivals).await),
        None => None,
    };
    // Only now does time begin to count: iterations are to start on time from the first.
    let deadlines = run.active.start_clock();
    let token = run.active.token.clone();
    let work = async {
        let executor = &scenario.scenario.executor;
        match executor {
            ExecutorConfig::SharedIterations { .. } => shared_iterations::run(&mut run).await,
            ExecutorConfig::PerVuIterations { iterations, .. } => {
                per_vu_iterations::run(&mut run, *iterations).await;
            }
            ExecutorConfig::ConstantVus { .. } => constant_vus::run(&mut run).await,
            ExecutorConfig::RampingVus { .. } => {
                if let Some(ramp) = executor.vu_ramp(&run.active.numbering) {
                    ramping_vus::run(&mut run, deadlines, ramp).await;
                }
            }
            ExecutorConfig::ConstantArrivalRate { .. } | ExecutorConfig::RampingArrivalRate { .. } => {
                if let Some(arrivals) = arrivals {
                    arrivals.run(&mut run, deadlines).await;
                }
            }
        }
        run.all_vus_ended().await;
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        () = &mut work => return,
        () = sleep_until(deadlines.latest_end) => token.cancel(),
    }
    work.await;
}
