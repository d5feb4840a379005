//! Whether the results of a run are any evidence: what was measured at all, and for which thresholds nothing was.

use std::time::Duration;

use senary_execution::{Outcomes, Unnoticed};
use senary_metrics::Results;
use senary_metrics::sink::Sink;
use senary_output::state::{ScenarioOutcome, Whole};

/// What `--strict` holds against a run, with what came of each scenario. A check that never passed is proof that something does
/// not work. `setup_failed` is whether what `setup()` tried has failed, though it returned.
pub fn objections(results: &Results, scenarios: &[(String, Outcomes)], setup_failed: bool) -> Vec<String> {
    let completed = counted(results, "iterations");
    let interrupted = counted(results, "iterations_interrupted");
    let mut objections = Vec::new();
    if completed == 0.0 {
        let cut_short = if interrupted > 0.0 { format!(", {interrupted} cut short") } else { String::new() };
        objections.push(format!("no iteration was completed{cut_short}"));
    } else if scenarios.iter().all(|(_, outcomes)| outcomes.succeeded == 0) {
        let why = why_unnoticed(scenarios.iter().map(|(_, outcomes)| outcomes));
        objections.push(format!("every iteration failed, {completed} of {completed}{why}"));
    } else {
        objections.extend(scenarios.iter().filter_map(objection));
        if setup_failed && scenarios.iter().all(|(_, outcomes)| outcomes.succeeded == outcomes.idle) {
            objections
                .push("what setup() tried failed, and no iteration did anything that shows more".to_owned());
        }
    }
    let mut never_passed: Vec<_> = results.checks.iter().map(|check| &*check.name).collect();
    let passes = |name: &str| results.checks.iter().any(|check| &*check.name == name && check.passes > 0);
    never_passed.retain(|name| !passes(name));
    never_passed.sort_unstable();
    never_passed.dedup();
    if !never_passed.is_empty() {
        objections.push(format!("nothing passed the checks {}", quoted(&never_passed)));
    }
    let names = without_data(results);
    if !names.is_empty() {
        objections.push(format!("nothing was measured for the thresholds on {}", quoted(&names)));
    }
    objections
}

/// The objections to a scenario if another one succeeded.
fn objection((name, outcomes): &(String, Outcomes)) -> Option<String> {
    if outcomes.succeeded == 0 && outcomes.failed > 0 {
        let why = why_unnoticed([outcomes]);
        return Some(format!(
            "every iteration of the scenario '{name}' failed, {0} of {0}{why}",
            outcomes.failed
        ));
    }
    let silence = outcomes.silence?.as_secs_f64();
    let decimals = if silence < 1.0 { 3 } else { 1 };
    let why = why_unnoticed([outcomes]);
    Some(format!(
        "nothing succeeded any more in the last {silence:.decimals$}s of the scenario '{name}'{why}"
    ))
}

/// Why iterations failed, and what to do, where no failure that the section above lists says it: as the end of a sentence.
fn why_unnoticed<'a>(scenarios: impl IntoIterator<Item = &'a Outcomes>) -> &'static str {
    let mut sum = Outcomes::default();
    scenarios.into_iter().for_each(|outcomes| add(&mut sum, outcomes));
    let Outcomes { failed, unnoticed, .. } = sum;
    if unnoticed.stranded > 0 {
        ": iterations did nothing more once the connection that they share was gone; let them connect again, or throw"
    } else if failed > 0 && failed == unnoticed.refused {
        ": servers said that they failed (5xx), and nothing in the script judges that; let a check do it, or leave the response callback on"
    } else if failed > 0 && failed == unnoticed.ignored {
        ": the script sent something and listened, and nothing ever came; if nothing has to come, let a check say what is right"
    } else {
        ""
    }
}

/// What came of the scenarios of a test on all its instances. Only what is silent on all of them is silent.
pub fn whole_outcomes(whole: &Whole) -> Vec<(String, Outcomes)> {
    let mut outcomes: Vec<(String, Outcomes)> = Vec::new();
    for of in whole.instances.iter().flat_map(|instance| &instance.head.progress.outcomes) {
        let part = outcome(of);
        match outcomes.iter_mut().find(|(name, _)| *name == of.scenario) {
            Some((_, sum)) => add(sum, &part),
            None => outcomes.push((of.scenario.clone(), part)),
        }
    }
    outcomes
}

/// Whether what `setup()` tried has failed on an instance.
pub fn has_setup_failed(whole: &Whole) -> bool {
    whole.instances.iter().any(|instance| instance.head.progress.setup_failed)
}

fn outcome(of: &ScenarioOutcome) -> Outcomes {
    Outcomes {
        succeeded: of.succeeded,
        idle: of.idle,
        failed: of.failed,
        unnoticed: Unnoticed { refused: of.refused, ignored: of.ignored, stranded: of.stranded },
        // An invalid number comes from a damaged file.
        silence: of.silence.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    }
}

fn add(sum: &mut Outcomes, part: &Outcomes) {
    let counts = [
        (&mut sum.succeeded, part.succeeded),
        (&mut sum.idle, part.idle),
        (&mut sum.failed, part.failed),
        (&mut sum.unnoticed.refused, part.unnoticed.refused),
        (&mut sum.unnoticed.ignored, part.unnoticed.ignored),
        (&mut sum.unnoticed.stranded, part.unnoticed.stranded),
    ];
    for (sum, part) in counts {
        *sum = sum.saturating_add(part);
    }
    sum.silence = sum.silence.zip(part.silence).map(|(a, b)| a.min(b));
}

/// Warns of thresholds that there was nothing to judge by.
pub fn warn_of_missing(results: &Results) {
    let names = without_data(results);
    if !names.is_empty() {
        let hint = "--strict makes this a failure";
        log::warn!(hint; "Nothing was measured for the thresholds on {}: it is unknown whether they hold", quoted(&names));
    }
}

/// Metrics with thresholds that had nothing to judge.
fn without_data(results: &Results) -> Vec<&str> {
    let metrics = results.metrics.iter().filter(|metric| metric.thresholds.iter().any(|t| !t.has_data));
    let mut names: Vec<_> = metrics.map(|metric| metric.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

fn counted(results: &Results, name: &str) -> f64 {
    let metric = results.metrics.iter().find(|metric| metric.name == name);
    match metric.map(|metric| &metric.sink) {
        Some(Sink::Counter(sink)) => sink.value(),
        _ => 0.0,
    }
}
