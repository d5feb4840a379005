//! Judging thresholds, one at a time.

use senary_metrics::engine::{Engine, ThresholdPlan};
use senary_metrics::submetric::Selector;
use senary_metrics::tags::system;

use super::{ScriptFacts, advice};
use crate::options::line_of_value;

/// One at a time, so that users hear of all that is wrong.
pub fn check(thresholds: &ThresholdPlan, script: &ScriptFacts<'_>, problems: &mut Vec<String>) {
    for (selector, specs) in thresholds {
        let before = problems.len();
        let each = specs.iter().map(|spec| vec![spec.clone()]);
        // Without any expression there still is a selector.
        let none = specs.is_empty().then(Vec::new);
        for specs in each.chain(none) {
            let source = specs.first().map_or("", |spec| spec.source.as_str()).to_owned();
            let plan = vec![(selector.clone(), specs)];
            if let Err(error) = Engine::new(script.registry.clone(), &plan, true, false) {
                let hint = advice::on_threshold(selector, &source, script.registry);
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                let keys = ["options", "thresholds", selector];
                let place = script.place(line_of_value(script.text, keys, &source));
                let problem = format!("{error}{hint}{place}");
                if !problems[before..].contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
}

/// Warns of thresholds that cannot be judged. The instances leave them to the merge, which finds that out only when the test is over.
pub fn warn_of_unjudged(thresholds: &ThresholdPlan, script: &ScriptFacts<'_>) {
    let mut problems = Vec::new();
    check(thresholds, script, &mut problems);
    for problem in problems {
        log::warn!(
            "A threshold cannot be judged, neither here nor when the instances are put together: {problem}"
        );
    }
}

/// Warns of thresholds on metadata, which never find a sample.
pub fn warn_of_metadata(thresholds: &ThresholdPlan) {
    for (name, _) in thresholds {
        let tags = Selector::parse(name).map(|selector| selector.tags).unwrap_or_default();
        for tag in [system::VU, system::ITER].into_iter().filter(|tag| tags.iter().any(|(key, _)| key == tag))
        {
            log::warn!(
                "The threshold on {name:?} will never see a sample: {tag:?} is non-indexable and selects none"
            );
        }
    }
}
