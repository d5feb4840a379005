//! `shared-iterations`: a fixed number of iterations that the VUs race for.

use super::{ScenarioRun, count};
use crate::vu::VuFactory;

pub(super) async fn run<F: VuFactory>(run: &mut ScenarioRun<F>) {
    let share = run.active.state.share;
    let iterations = share.iterations.unwrap_or(0);
    for lease in run.take_vus().await {
        let active = run.active.clone();
        run.start_vu(lease, async move |vu| {
            while vu.may_start() {
                let number = active.next_iteration();
                if number >= iterations {
                    break;
                }
                vu.iterate(number).await;
            }
        });
    }
    run.all_vus_ended().await;
    // Numbers beyond the last were only asked for.
    let left = iterations.saturating_sub(count(&run.active.state.started_iterations.0));
    if left > 0 {
        run.control.record_dropped(&run.active.dropped, left);
    }
}
