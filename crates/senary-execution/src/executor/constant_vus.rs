//! `constant-vus`: a fixed number of VUs that loop for some time.

use super::scenario::ScenarioRun;
use crate::vu::VuFactory;

pub(super) async fn run<F: VuFactory>(run: &mut ScenarioRun<F>) {
    for lease in run.take_vus().await {
        let active = run.active.clone();
        run.start_vu(lease, async move |vu| {
            while vu.may_start() {
                vu.iterate(active.next_iteration()).await;
            }
        });
    }
}
