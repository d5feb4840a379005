//! Thresholds that were not checked at the start: instances that run with `--no-thresholds` leave them to the whole test.

use senary_metrics::Registry;
use senary_metrics::engine::{Engine, ThresholdPlan};

/// The thresholds that can be judged, and what is wrong with the others.
pub fn judgeable(thresholds: &ThresholdPlan, registry: &Registry) -> (ThresholdPlan, Vec<String>) {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for (selector, specs) in thresholds {
        let problem = |specs| {
            let plan = vec![(selector.clone(), specs)];
            Engine::new(registry.clone(), &plan, true, false).err().map(|error| error.to_string())
        };
        // Without any expression there still is a selector, and perhaps a sub-metric.
        if let Some(problem) = problem(Vec::new()) {
            wrong.push(problem);
            continue;
        }
        let (mut kept, mut problems) = (specs.clone(), Vec::new());
        kept.retain(|spec| match problem(vec![spec.clone()]) {
            Some(problem) => {
                problems.push(problem);
                false
            }
            None => true,
        });
        wrong.append(&mut problems);
        good.push((selector.clone(), kept));
    }
    (good, wrong)
}
