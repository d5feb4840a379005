//! What the report says of a run before it begins: the test, its load, the program and the machine.

use std::fs;

use senary_execution::{ExecutorConfig, LoadPlan, Scenario, SegmentTuple, Share, Stage};
use senary_words::percent;
use serde_json::{Map, Value, json};

use crate::banner;
use crate::plan::TestPlan;

/// Replaces what other people should not read.
const HIDDEN: &str = "••••";

/// The part of `run` that does not change; `url` is where the script was found.
pub fn of_run(url: &str, plan: &TestPlan, workers: usize) -> Map<String, Value> {
    let longest = plan.load.max_duration().as_secs_f64();
    let graceful =
        plan.load.scenarios().iter().map(|scenario| scenario.graceful_stop).max().unwrap_or_default();
    let planned = plan.load.scenarios().iter().map(|s| s.start_time + s.executor.regular_duration()).max();
    let tags: Map<_, _> = plan.run_tags.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let facts = json!({
        "script": percent::decoded_text(url.rsplit('/').next().unwrap_or(url)),
        "planned": planned.map_or(longest, |planned| planned.as_secs_f64()),
        "graceful": graceful.as_secs_f64(),
        "command": command(std::env::args()),
        "version": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": kernel_file("osrelease"),
        "host": kernel_file("hostname"),
        "workers": workers,
        "tags": tags,
        "options": options(plan),
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

fn kernel_file(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok().map(|text| text.trim().to_owned())
}

/// The command line, without the values of what may be secret.
fn command(args: impl Iterator<Item = String>) -> String {
    let (mut words, mut is_secret) = (Vec::new(), false);
    for (at, arg) in args.enumerate() {
        let word = match (at, is_secret) {
            (0, _) => arg.rsplit('/').next().unwrap_or(&arg).to_owned(),
            (_, true) => without_value(&arg),
            (_, false) => match arg.split_once('=') {
                Some((flag, value)) if has_secret(flag) => format!("{flag}={}", without_value(value)),
                _ if arg.starts_with("-e") && !arg.starts_with("--") && arg.len() > 2 => {
                    format!("-e{}", without_value(&arg[2..]))
                }
                _ => arg.clone(),
            },
        };
        is_secret = at > 0 && !is_secret && has_secret(&arg);
        words.push(if word.contains([' ', '"', '$']) { format!("'{word}'") } else { word });
    }
    words.join(" ")
}

/// Flags whose values are variables, secrets or addresses with passwords in them.
fn has_secret(flag: &str) -> bool {
    ["-e", "--env", "--secret-source", "-o", "--out", "--log-output"].contains(&flag)
}

/// `NAME=VALUE` without the value; what follows the `=` of an output may have a password in it, too.
fn without_value(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => pair.to_owned(),
    }
}

/// Options that say how the test treats its target, with their values in words.
fn options(plan: &TestPlan) -> Value {
    const TOLD: [&str; 13] = [
        "setupTimeout",
        "teardownTimeout",
        "minIterationDuration",
        "executionSegment",
        "noConnectionReuse",
        "noVUConnectionReuse",
        "insecureSkipTLSVerify",
        "tlsVersion",
        "hosts",
        "blockHostnames",
        "blacklistIPs",
        "dns",
        "rps",
    ];
    let told = TOLD.iter().filter_map(|name| {
        let words = words(plan.options.get(*name)?)?;
        Some(json!([name, words]))
    });
    told.collect()
}

/// A value as people read it; `None` if it says nothing.
fn words(value: &Value) -> Option<String> {
    let words = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(words).collect::<Vec<_>>().join(", "),
        Value::Object(of) => {
            let words = of.iter().filter_map(|(key, value)| Some(format!("{key} {}", words(value)?)));
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    (!words.is_empty()).then_some(words)
}

/// The scenarios, and the load that each is to make.
pub fn of_scenarios(load: &LoadPlan) -> Value {
    load.scenarios().iter().map(|scenario| of_scenario(scenario, &load.share(scenario))).collect()
}

/// The scenarios as all instances of the test run them together.
pub fn of_whole_scenarios(load: &LoadPlan) -> Value {
    of_scenarios(&LoadPlan::new(load.scenarios().to_vec(), SegmentTuple::full()))
}

/// The scenarios, which begin that much later on the time axis.
pub fn later(mut scenarios: Value, lead: f64) -> Value {
    let put_off = |value: &mut Value| {
        if let Some(at) = value.as_f64() {
            *value = ((at + lead) * 1000.0).round().into();
            *value = (value.as_f64().unwrap_or_default() / 1000.0).into();
        }
    };
    for scenario in scenarios.as_array_mut().into_iter().flatten() {
        put_off(&mut scenario["start"]);
        put_off(&mut scenario["end"]);
        let corners = scenario["plan"].as_array_mut();
        corners.into_iter().flatten().for_each(|corner| put_off(&mut corner[0]));
    }
    scenarios
}

fn of_scenario(scenario: &Scenario, share: &Share) -> Value {
    let start = scenario.start_time.as_secs_f64();
    let length = scenario.executor.regular_duration().as_secs_f64();
    let (is_open, unit, corners) = load_of(scenario, share);
    let plan: Vec<_> = corners.iter().map(|(at, value)| json!([start + at, value])).collect();
    json!({
        "name": scenario.name,
        "executor": scenario.executor.type_name(),
        "words": banner::describe(scenario, share),
        "open": is_open,
        "start": start,
        "end": start + length,
        "graceful": scenario.graceful_stop.as_secs_f64(),
        "max_vus": share.max_vus,
        "unit": unit,
        "plan": plan,
    })
}

/// Whether iterations start without waiting for others, in what the load is counted, and the corners of its line.
fn load_of(scenario: &Scenario, share: &Share) -> (bool, &'static str, Vec<(f64, f64)>) {
    let length = scenario.executor.regular_duration().as_secs_f64();
    let flat = |value: f64| vec![(0.0, value), (length, value)];
    match &scenario.executor {
        ExecutorConfig::SharedIterations { .. } | ExecutorConfig::PerVuIterations { .. } => {
            (false, "iterations", Vec::new())
        }
        ExecutorConfig::ConstantVus { .. } => (false, "VUs", flat(share.vus as f64)),
        ExecutorConfig::RampingVus { start_vus, stages, .. } => {
            let most = stages.iter().map(|stage| stage.target).chain([*start_vus]).max().unwrap_or_default();
            // The share of this process, as near as whole VUs come to it.
            let part = if most == 0 { 0.0 } else { share.vus as f64 / most as f64 };
            (false, "VUs", corners(*start_vus, stages, part))
        }
        ExecutorConfig::ConstantArrivalRate { .. } => {
            (true, "iterations/s", flat(share.rate.unwrap_or_default()))
        }
        ExecutorConfig::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
            let per_second = share.part / time_unit.as_secs_f64().max(1e-9);
            (true, "iterations/s", corners(*start_rate, stages, per_second))
        }
    }
}

fn corners(start: u64, stages: &[Stage], factor: f64) -> Vec<(f64, f64)> {
    let mut corners = vec![(0.0, start as f64 * factor)];
    let mut at = 0.0;
    for stage in stages {
        at += stage.duration.as_secs_f64();
        corners.push((at, stage.target as f64 * factor));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_in_words() {
        let dns = json!({"ttl": null, "select": "random", "policy": null});
        assert_eq!(words(&dns).as_deref(), Some("select random"));
        assert_eq!(words(&json!({"ttl": null})), None);
        assert_eq!(words(&json!(["a", 1, true])).as_deref(), Some("a, 1, true"));
    }

    #[test]
    fn secrets_are_not_in_the_command() {
        let words = "/usr/bin/senary run -e TOKEN=abc --env=PASSWORD=def -eX=ghi -o influxdb=http://u:p@h --tag a=b my.js";
        let told = command(words.split(' ').map(str::to_owned));
        assert_eq!(
            told,
            "senary run -e TOKEN=•••• --env=PASSWORD=•••• -eX=•••• -o influxdb=•••• --tag a=b my.js"
        );
    }
}
