//! `per-vu-iterations`: a fixed number of iterations for each VU.

use super::scenario::ScenarioRun;
use crate::vu::VuFactory;

pub(super) async fn run<F: VuFactory>(run: &mut ScenarioRun<F>, iterations: u64) {
    for lease in run.take_vus().await {
        let active = run.active.clone();
        run.start_vu(lease, async move |vu| {
            for done in 0..iterations {
                if !vu.may_start() {
                    vu.record_dropped(iterations - done);
                    break;
                }
                vu.iterate(active.next_iteration()).await;
            }
        });
    }
}
