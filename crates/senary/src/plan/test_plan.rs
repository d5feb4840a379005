//! The plan of a test: everything decided before the first VU starts, with nothing left that could be wrong.

use std::time::Duration;

use senary_execution::{LoadPlan, Scenario, SegmentTuple};
use senary_js::settings::{HttpSettings, SystemTags};
use senary_metrics::engine::ThresholdPlan;
use senary_metrics::tags::system;
use senary_metrics::{Registry, TagSet};
use senary_output::{OutputSpec, STATE};
use senary_words::spelling::nearest;
use serde_json::{Map, Value};

use super::{LifecyclePlan, NetworkPlan, SummarySettings, http, keep, scenario, thresholds};
use crate::options::{Consolidated, Instance, Options, RunOptions, SystemTagSet, line_of, line_of_value};
use crate::settings::RuntimeSettings;

/// What requests call the program that makes them, unless the option `userAgent` says otherwise.
const DEFAULT_USER_AGENT: &str = concat!("Senary/", env!("CARGO_PKG_VERSION"));

/// What the options of a test are wrong about; exit code 104.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There were problems with the specified script configuration:{}", list(.problems))]
pub struct PlanError {
    pub problems: Vec<String>,
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n\t- {problem}")).collect()
}

/// What a plan has to know of the script.
#[derive(Clone, Copy, Debug)]
pub struct ScriptFacts<'a> {
    /// Names of the exported functions.
    pub exports: &'a [String],
    /// The metrics there are after the init code has run.
    pub registry: &'a Registry,
    /// As given on the command line.
    pub name: &'a str,
    /// To find the lines of options that are wrong.
    pub text: &'a str,
}

impl ScriptFacts<'_> {
    /// For the end of a message.
    pub(super) fn place(&self, line: Option<usize>) -> String {
        line.map(|line| format!(" ({}:{line})", self.name)).unwrap_or_default()
    }
}

/// A test, ready to run.
#[derive(Debug)]
pub struct TestPlan {
    /// The scenarios, and the segment of them that falls to this instance.
    pub load: LoadPlan,
    /// Which instance of the test this one is, if that was said by numbers.
    pub instance: Option<Instance>,
    /// The consolidated options as JSON, as `exec.test.options` shows them.
    pub options_json: String,
    /// The consolidated options by their names in scripts.
    pub options: Map<String, Value>,
    pub thresholds: ThresholdPlan,
    /// False with `--no-thresholds`: then sub-metrics are all they make.
    pub evaluate_thresholds: bool,
    pub run_tags: TagSet,
    pub system_tags: SystemTags,
    /// Names of the system tags that are on, sorted, without those that go to the metadata.
    pub indexed_system_tags: Vec<String>,
    pub lifecycle: LifecyclePlan,
    pub paused: bool,
    pub linger: bool,
    /// A generator that was the bottleneck is a failure.
    pub fail_on_saturation: bool,
    /// A run that proves nothing is a failure.
    pub strict: bool,
    pub min_iteration_duration: Duration,
    pub throw: bool,
    pub user_agent: String,
    pub http: HttpSettings,
    pub network: NetworkPlan,
    pub summary: SummarySettings,
    /// Whether the run is shown in a browser.
    pub dashboard: bool,
    /// `type[=argument]`, in the order given.
    pub outputs: Vec<String>,
    /// The experimental features that were asked for, known or not.
    pub features: Vec<String>,
    /// The config file's settings of outputs, by the outputs' names.
    pub output_settings: Map<String, Value>,
}

impl TestPlan {
    /// Checks consolidated options; all errors are reported at once.
    pub fn new(
        consolidated: Consolidated,
        runtime: &RuntimeSettings,
        script: &ScriptFacts<'_>,
    ) -> Result<Self, PlanError> {
        let options = &consolidated.options;
        let mut problems = Vec::new();
        let scenarios = scenarios(options, script, &mut problems);
        let segment = keep(segment(options), &mut problems);
        let lifecycle = LifecyclePlan::new(options, &mut problems);
        let summary = SummarySettings::new(&consolidated, runtime);
        let thresholds = http::thresholds(options);
        if !runtime.no_thresholds {
            thresholds::check(&thresholds, script, &mut problems);
            thresholds::warn_of_metadata(&thresholds);
        } else if is_judged_later(&consolidated.run) {
            thresholds::warn_of_unjudged(&thresholds, script);
        }
        let network = NetworkPlan::new(options, &mut problems);
        let (Some(segment), Some(network), true) = (segment, network, problems.is_empty()) else {
            return Err(PlanError { problems });
        };
        let load = LoadPlan::new(scenarios, segment);
        log::debug!(
            "{} scenarios will take up to {} VUs and {:?}",
            load.scenarios().len(),
            load.max_vus(),
            load.max_duration()
        );
        let tags = options.system_tags.clone().unwrap_or_default();
        let run = consolidated.run;
        Ok(Self {
            load,
            instance: consolidated.instance,
            options_json: Value::from(options.to_script_json()).to_string(),
            options: options.to_json(),
            thresholds,
            evaluate_thresholds: !runtime.no_thresholds,
            run_tags: TagSet::new(options.tags.clone().unwrap_or_default()),
            system_tags: system_tags(&tags),
            indexed_system_tags: indexed(&tags),
            lifecycle,
            paused: options.paused.unwrap_or_default(),
            linger: run.linger.unwrap_or_default(),
            fail_on_saturation: run.fail_on_saturation.unwrap_or_default(),
            strict: options.strict.unwrap_or_default(),
            min_iteration_duration: options.min_iteration_duration.unwrap_or_default().duration(),
            throw: options.throw.unwrap_or_default(),
            http: http::settings(options),
            user_agent: options.user_agent.clone().unwrap_or_else(|| DEFAULT_USER_AGENT.to_owned()),
            network,
            summary,
            features: run.features.unwrap_or_default().0,
            dashboard: run.web_dashboard.unwrap_or_default(),
            outputs: run.out.unwrap_or_default().0,
            output_settings: consolidated.collectors,
        })
    }
}

/// Whether something else is to judge the thresholds: `senary merge`, or `senary collect`.
fn is_judged_later(run: &RunOptions) -> bool {
    let is_state = |output: &String| OutputSpec::parse(output).is_ok_and(|spec| spec.kind() == STATE);
    run.linger.unwrap_or_default() || run.out.iter().flat_map(|out| &out.0).any(is_state)
}

/// The names of the system tags that are tags of samples, and not their metadata.
fn indexed(tags: &SystemTagSet) -> Vec<String> {
    tags.iter().filter(|name| !system::is_metadata(name)).map(str::to_owned).collect()
}

/// The system tags that are put on samples.
fn system_tags(tags: &SystemTagSet) -> SystemTags {
    SystemTags {
        group: tags.has(system::GROUP),
        check: tags.has(system::CHECK),
        scenario: tags.has(system::SCENARIO),
        vu: tags.has(system::VU),
        iter: tags.has(system::ITER),
        error: tags.has("error"),
        error_code: tags.has("error_code"),
        expected_response: tags.has("expected_response"),
        ip: tags.has("ip"),
        method: tags.has("method"),
        name: tags.has("name"),
        ocsp_status: tags.has("ocsp_status"),
        proto: tags.has("proto"),
        service: tags.has("service"),
        status: tags.has("status"),
        subproto: tags.has("subproto"),
        tls_version: tags.has("tls_version"),
        url: tags.has("url"),
    }
}

fn scenarios(options: &Options, script: &ScriptFacts<'_>, problems: &mut Vec<String>) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (name, option) in options.scenarios.iter().flatten() {
        let keys = ["options", "scenarios", name];
        match scenario::judge(name, option) {
            Ok(scenario) if script.exports.contains(&scenario.exec) => scenarios.push(scenario),
            Ok(scenario) => {
                let exec = scenario.exec;
                let meant = nearest(&exec, script.exports.iter().map(String::as_str));
                let hint = meant.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default();
                let place = script.place(line_of_value(script.text, keys, &exec));
                let problem = format!("executor {name}: function '{exec}' not found in exports");
                problems.push(format!("{problem}{hint}{place}"));
            }
            Err(faults) => {
                let place = script.place(line_of(script.text, keys));
                let faults = faults.join(", ");
                problems.push(format!("scenario {name} has configuration errors: {faults}{place}"));
            }
        }
    }
    scenarios
}

fn segment(options: &Options) -> Result<SegmentTuple, String> {
    let (segment, sequence) = (options.execution_segment, options.execution_segment_sequence.clone());
    SegmentTuple::new(segment, sequence).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use senary_execution::{ExecutorConfig, Stage};
    use senary_output::TimeUnit;
    use serde_json::json;

    use super::*;
    use crate::options::{OptionLayers, ScriptOptions};

    fn plan_with(script: &Value, runtime: &RuntimeSettings) -> Result<TestPlan, PlanError> {
        let options = ScriptOptions { name: "script.js", text: "", json: script };
        let consolidated = OptionLayers::default().consolidate(&options).unwrap();
        let exports = ["default", "other"].map(str::to_owned);
        let registry = Registry::new();
        TestPlan::new(
            consolidated,
            runtime,
            &ScriptFacts { exports: &exports, registry: &registry, name: "script.js", text: "" },
        )
    }

    fn plan(script: Value) -> TestPlan {
        plan_with(&script, &RuntimeSettings::default()).unwrap()
    }

    fn problems(script: Value) -> Vec<String> {
        plan_with(&script, &RuntimeSettings::default()).unwrap_err().problems
    }

    /// The faults of a single scenario.
    fn faults(scenario: Value) -> String {
        let [problem] = &problems(json!({"scenarios": {"a": scenario}}))[..] else {
            panic!("not one problem")
        };
        problem.strip_prefix("scenario a has configuration errors: ").unwrap().to_owned()
    }

    #[test]
    fn scenarios_get_their_defaults() {
        let executor =
            |scenario: Value| plan(json!({"scenarios": {"a": scenario}})).load.scenarios()[0].clone();
        let shared = executor(json!({"executor": "shared-iterations"}));
        let ten_minutes = Duration::from_secs(600);
        assert_eq!(
            shared.executor,
            ExecutorConfig::SharedIterations { vus: 1, iterations: 1, max_duration: ten_minutes }
        );
        assert_eq!((shared.start_time, shared.graceful_stop), (Duration::ZERO, Duration::from_secs(30)));
        assert_eq!(shared.exec, "default");
        let rate =
            json!({"executor": "constant-arrival-rate", "rate": 5, "duration": "2s", "preAllocatedVUs": 3});
        assert_eq!(
            executor(rate).executor,
            ExecutorConfig::ConstantArrivalRate {
                rate: 5,
                time_unit: Duration::from_secs(1),
                duration: Duration::from_secs(2),
                pre_allocated_vus: 3,
                max_vus: 3
            }
        );
        let ramp = json!({"executor": "ramping-vus", "stages": [{"duration": 0, "target": 2}]});
        assert_eq!(
            executor(ramp).executor,
            ExecutorConfig::RampingVus {
                start_vus: 1,
                stages: vec![Stage { duration: Duration::ZERO, target: 2 }],
                graceful_ramp_down: Duration::from_secs(30)
            }
        );
    }

    #[test]
    fn scenarios_are_judged() {
        for (scenario, text) in [
            (
                json!({"executor": "per-vu-iterations", "vus": 0, "iterations": -3, "maxDuration": "100ms", "startTime": "-1s", "exec": ""}),
                "exec value cannot be empty, the startTime can't be negative, the number of VUs must be more than 0, the number of iterations must be more than 0, the maxDuration must be at least 1s, but is 100ms",
            ),
            (
                json!({"executor": "shared-iterations", "vus": 4, "iterations": 2, "gracefulStop": "-2s"}),
                "the gracefulStop timeout can't be negative, the number of iterations (2) can't be less than the number of VUs (4)",
            ),
            (
                json!({"executor": "constant-vus", "vus": -1}),
                "the number of VUs must be more than 0, the duration is unspecified",
            ),
            (
                json!({"executor": "ramping-vus", "startVUs": 0, "stages": []}),
                "either startVUs or one of the stages' target values must be greater than 0, at least one stage has to be specified",
            ),
            (
                json!({"executor": "ramping-vus", "startVUs": -1, "stages": [{"target": 100_000_001}, {"duration": "-1s"}]}),
                "the number of start VUs can't be negative, stage 1 doesn't have a duration, target for stage 1 exceeds max limit of 100000000, the duration for stage 2 can't be negative, stage 2 doesn't have a target",
            ),
            (
                json!({"executor": "constant-arrival-rate", "rate": 0, "duration": "0s"}),
                "the iteration rate must be more than 0, the duration must be at least 1s, but is 0s (a number without a unit is milliseconds), the number of preAllocatedVUs isn't specified",
            ),
            (
                json!({"executor": "constant-arrival-rate", "preAllocatedVUs": -1, "maxVUs": 1}),
                "the iteration rate isn't specified, the duration is unspecified, the number of preAllocatedVUs can't be negative",
            ),
            (
                json!({"executor": "ramping-arrival-rate", "startRate": -1, "timeUnit": "0s", "preAllocatedVUs": 5, "maxVUs": 2, "stages": [{"duration": "1s", "target": -4}]}),
                "the startRate value can't be negative, the timeUnit must be more than 0, the target for stage 1 can't be negative, maxVUs can't be less than preAllocatedVUs",
            ),
        ] {
            assert_eq!(faults(scenario), text);
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = plan_with(
            &json!({
                "scenarios": {
                    "a b": {"executor": "per-vu-iterations"},
                    "c": {"executor": "per-vu-iterations", "exec": "nowhere"}
                },
                "executionSegment": "0:1/3",
                "executionSegmentSequence": "0,1/2,1",
                "setupTimeout": 0,
                "teardownTimeout": "-1s",
                "thresholds": {"iterations": ["count is big", "p(95)<200", "count>1"], "nope": ["count>0"], "iterations{a}": []},
                "hosts": {"a": "b"},
                "tlsVersion": "tls9",
            }),
            &RuntimeSettings::default(),
        );
        let expected = [
            "scenario a b has configuration errors: the scenario name should contain only numbers, latin letters, underscores, and dashes",
            "executor c: function 'nowhere' not found in exports",
            "provided segment 0:1/3 can't be found in sequence 0,1/2,1",
            "setupTimeout must be positive",
            "teardownTimeout must be positive",
            "failed parsing threshold expression \"count is big\"; reason: malformed threshold expression",
            "invalid threshold \"p(95)<200\" applied on metric iterations",
            "tag expression is malformed",
            "invalid threshold defined on nope; reason: no metric name \"nope\" found",
            "invalid IP address 'b' in the hosts option",
            "unknown TLS version 'tls9'",
        ];
        let text = error.unwrap_err().to_string();
        let mut lines = text.split("\n\t- ");
        assert_eq!(lines.next(), Some("There were problems with the specified script configuration:"));
        for (line, expected) in lines.by_ref().zip(expected) {
            assert!(line.contains(expected), "{line:?} is not {expected:?}");
        }
        assert_eq!(text.matches("\n\t- ").count(), expected.len());
    }

    #[test]
    fn without_thresholds_none_is_judged() {
        let script = json!({"thresholds": {"nope": ["nonsense"], "iterations{a:b}": ["count>0"]}});
        let runtime = RuntimeSettings { no_thresholds: true, ..RuntimeSettings::default() };
        let plan = plan_with(&script, &runtime).unwrap();
        assert!(!plan.evaluate_thresholds);
        assert_eq!(plan.thresholds.len(), 3);
    }

    #[test]
    fn options_end_up_where_they_act() {
        let plan = plan(json!({
            "tags": {"team": "a"}, "systemTags": ["vu", "scenario", "url"], "setupTimeout": "5s", "throw": true,
            "noSetup": true, "minIterationDuration": "1s", "summaryTimeUnit": "ms", "executionSegment": "1/2:1",
            "scenarios": {"b": {"executor": "per-vu-iterations", "exec": "other", "env": {"K": "v"}, "tags": {"t": "x"}},
                "a": {"executor": "per-vu-iterations", "startTime": "1s"}},
        }));
        assert_eq!(plan.run_tags.get("team"), Some("a"));
        assert!(plan.system_tags.vu && plan.system_tags.scenario && !plan.system_tags.group);
        assert_eq!(plan.indexed_system_tags, ["scenario", "url"]);
        let lifecycle = &plan.lifecycle;
        assert_eq!((lifecycle.setup_timeout.as_secs(), lifecycle.teardown_timeout.as_secs()), (5, 60));
        assert_eq!(lifecycle.handle_summary_timeout.as_secs(), 120);
        assert!(plan.throw && lifecycle.no_setup && !lifecycle.no_teardown);
        assert_eq!(plan.min_iteration_duration.as_secs(), 1);
        assert_eq!(plan.summary.time_unit, Some(TimeUnit::Milliseconds));
        assert_eq!(plan.load.segment().segment().to_string(), "1/2:1");
        let [b, a] = plan.load.scenarios() else { panic!("not two scenarios") };
        assert_eq!((b.name.as_str(), a.name.as_str()), ("b", "a"));
        assert_eq!(b.env, [("K".to_owned(), "v".to_owned())]);
        assert_eq!(b.tags.get("t"), Some("x"));
        let shown: Value = serde_json::from_str(&plan.options_json).unwrap();
        assert_eq!(shown["minIterationDuration"], "1s");
        assert_eq!(shown.get("vus"), None);
    }

    proptest! {
        /// Numbers of all sizes end in a plan or in problems.
        #[test]
        fn any_numbers_are_answered(
            kind in 0..6_usize,
            counts in prop::collection::vec(prop_oneof![any::<i64>(), -2..5_i64], 4),
            millis in prop::collection::vec(prop_oneof![-9e12..9e12, -2000.0..5000.0], 4),
        ) {
            let kinds = ["shared-iterations", "per-vu-iterations", "constant-vus", "ramping-vus",
                "constant-arrival-rate", "ramping-arrival-rate"];
            let ([a, b, c, d], [w, x, y, z]) = (&counts[..], &millis[..]) else { unreachable!() };
            let own = match kind {
                0 | 1 => json!({"vus": a, "iterations": b, "maxDuration": y}),
                2 => json!({"vus": a, "duration": y}),
                // Every VU of a ramp is a step of its own.
                3 => json!({"startVUs": a.min(&1000), "stages": [{"duration": y, "target": b.min(&1000)}],
                    "gracefulRampDown": z}),
                4 => json!({"rate": a, "duration": y, "preAllocatedVUs": b, "maxVUs": c, "timeUnit": z}),
                _ => json!({"startRate": a, "preAllocatedVUs": b, "maxVUs": c, "timeUnit": z,
                    "stages": [{"duration": y, "target": d}, {"duration": z, "target": a}]}),
            };
            let mut scenario = json!({"executor": kinds[kind], "startTime": w, "gracefulStop": x});
            scenario.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            let script = json!({"scenarios": {"a": scenario}});
            if let Ok(plan) = plan_with(&script, &RuntimeSettings::default()) {
                prop_assert!(plan.load.planned_vus() <= plan.load.max_vus());
            }
        }
    }
}
