//! Whether the results of a run are any evidence: what was measured at all, and for which thresholds nothing was.

use senary_metrics::Results;
use senary_metrics::sink::Sink;

/// What `--strict` holds against a run.
pub fn objections(results: &Results) -> Vec<String> {
    let completed = counted(results, "iterations");
    let failed = counted(results, "iterations_failed");
    let interrupted = counted(results, "iterations_interrupted");
    let mut objections = Vec::new();
    if completed == 0.0 {
        let cut_short = if interrupted > 0.0 { format!(", {interrupted} cut short") } else { String::new() };
        objections.push(format!("no iteration was completed{cut_short}"));
    } else if failed >= completed {
        objections.push(format!("every iteration failed, {failed} of {completed}"));
    }
    let names = without_data(results);
    if !names.is_empty() {
        objections.push(format!("nothing was measured for the thresholds on {}", quoted(&names)));
    }
    objections
}

/// Warns of thresholds that there was nothing to judge by.
pub fn warn_of_missing(results: &Results) {
    let names = without_data(results);
    if !names.is_empty() {
        let hint = "--strict makes this a failure";
        log::warn!(hint; "Nothing was measured for the thresholds on {}: nobody knows whether they hold", quoted(&names));
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
