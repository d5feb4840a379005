//! `shared-iterations`: a fixed number of iterations that the VUs race for.

use super::scenario::{ScenarioRun, count};
use crate::vu::VuFactory;

pub(super) async fn run<F: VuFactory>(run: &mut ScenarioRun<F>) {
    let share = run.active.state.share;
    let iterations = share.iterations.unwrap_or(0);
    // There are at least as many iterations as VUs. Each VU is given its first one before any starts, so that one
    // whose worker is a moment late is not left without; then they race.
    let vus: Vec<_> =
        run.take_vus().await.into_iter().map(|lease| (lease, run.active.next_iteration())).collect();
    for (lease, mut number) in vus {
        let active = run.active.clone();
        run.start_vu(lease, async move |vu| {
            while number < iterations {
                if !vu.may_start() {
                    active.give_back_iteration();
                    break;
                }
                vu.iterate(number).await;
                number = active.next_iteration();
            }
        });
    }
    run.all_vus_ended().await;
    // Numbers beyond the last were requested and not used.
    let left = iterations.saturating_sub(count(&run.active.state.started_iterations.0));
    if left > 0 {
        run.reporter.record_dropped(&run.active.dropped, left);
    }
}
