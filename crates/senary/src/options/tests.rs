//! Options from the outside: layers in, one set of options or one error out.

mod refusals;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    ConfigFile, ConfigPath, Consolidated, Features, OptionLayers, Options, OptionsError, Outputs, Remarks,
    ScriptOptions,
};
use crate::cli::{self, Command, RunArgs};
use crate::environment::Environment;

/// The layers of a test; what is not said is not set.
#[derive(Default)]
struct Case<'a> {
    file: Value,
    script: Value,
    env: &'a [(&'a str, &'a str)],
    args: &'a [&'a str],
}

impl Case<'_> {
    fn consolidate(&self) -> Result<Consolidated, OptionsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = if self.file.is_null() { "{}".to_owned() } else { self.file.to_string() };
        std::fs::write(&path, text).unwrap();
        let env: Environment = self.env.iter().copied().collect();
        let args = run_args(self.args);
        let layers = OptionLayers::read(args.layer()?, &env, Some(&ConfigPath::Given(path)))?;
        layers.consolidate(&ScriptOptions { name: "script.js", text: "", json: &self.script })
    }

    fn options(&self) -> Value {
        self.consolidate().unwrap().options.to_script_json().into()
    }

    fn warnings(&self) -> Vec<String> {
        self.consolidate().unwrap().notes.into_iter().map(|note| note.text).collect()
    }

    fn error(&self) -> String {
        self.consolidate().unwrap_err().to_string()
    }
}

fn run_args(args: &[&str]) -> RunArgs {
    let args = ["senary", "run", "script.js"].iter().chain(args).map(Into::into);
    match cli::parse(args).unwrap().command {
        Command::Run(args) => *args,
        other => panic!("{other:?}"),
    }
}

/// For every option: its key, a value in the config file, the script, the environment (with the variable's name),
/// and a flag; null or empty where the layer cannot say it. The last column is what wins.
#[test]
fn each_layer_wins_over_those_below() {
    let rows: &[(&str, Value, Value, (&str, &str), &[&str])] = &[
        ("paused", json!(false), json!(true), ("K6_PAUSED", "false"), &["--paused"]),
        ("noSetup", json!(true), json!(false), ("K6_NO_SETUP", "true"), &["--no-setup=false"]),
        ("noTeardown", json!(true), json!(false), ("K6_NO_TEARDOWN", "true"), &["--no-teardown=false"]),
        ("setupTimeout", json!("1s"), json!(2000), ("K6_SETUP_TIMEOUT", "3s"), &[]),
        ("teardownTimeout", json!("1s"), json!("2s"), ("K6_TEARDOWN_TIMEOUT", "3000"), &[]),
        ("handleSummaryTimeout", json!("1s"), json!("2s"), ("K6_HANDLE_SUMMARY_TIMEOUT", "3s"), &[]),
        ("rps", json!(1), json!("2"), ("K6_RPS", "3"), &["--rps", "4"]),
        ("maxRedirects", json!(1), json!(2), ("K6_MAX_REDIRECTS", "3"), &["--max-redirects=4"]),
        ("batch", json!(1), json!(2), ("K6_BATCH", "3"), &["--batch", "4"]),
        ("batchPerHost", json!(1), json!(2), ("K6_BATCH_PER_HOST", "3"), &["--batch-per-host", "4"]),
        ("userAgent", json!("a"), json!("b"), ("K6_USER_AGENT", "c"), &["--user-agent", "d"]),
        ("httpDebug", json!("a"), json!("b"), ("K6_HTTP_DEBUG", "c"), &["--http-debug"]),
        ("throw", json!(true), json!(false), ("K6_THROW", "true"), &["-w=false"]),
        ("strict", json!(true), json!(false), ("SENARY_STRICT", "true"), &["--strict=false"]),
        (
            "insecureSkipTLSVerify",
            json!(true),
            json!(false),
            ("K6_INSECURE_SKIP_TLS_VERIFY", "true"),
            &["--insecure-skip-tls-verify=false"],
        ),
        (
            "noConnectionReuse",
            json!(true),
            json!(false),
            ("K6_NO_CONNECTION_REUSE", "true"),
            &["--no-connection-reuse=false"],
        ),
        (
            "noVUConnectionReuse",
            json!(true),
            json!(false),
            ("K6_NO_VU_CONNECTION_REUSE", "true"),
            &["--no-vu-connection-reuse=false"],
        ),
        (
            "discardResponseBodies",
            json!(true),
            json!(false),
            ("K6_DISCARD_RESPONSE_BODIES", "true"),
            &["--discard-response-bodies=false"],
        ),
        ("noCookiesReset", json!(true), json!(false), ("K6_NO_COOKIES_RESET", "true"), &[]),
        (
            "minIterationDuration",
            json!("1s"),
            json!("2s"),
            ("K6_MIN_ITERATION_DURATION", "3s"),
            &["--min-iteration-duration", "4s"],
        ),
        ("tags", json!({"a": "1"}), json!({"b": "2"}), ("K6_TAGS", "c:3,d:x:y"), &["--tag", "e=5"]),
        (
            "thresholds",
            json!({"a": ["count>1"]}),
            json!({"b": []}),
            ("K6_THRESHOLDS", r#"{"checks":["rate>0.5"]}"#),
            &[],
        ),
        (
            "hosts",
            json!({"a": "1.1.1.1"}),
            json!({"b": "1.1.1.1:1"}),
            ("K6_HOSTS", "c.test:80=2.2.2.2:8080,d.test=2.2.2.2"),
            &[],
        ),
        (
            "blacklistIPs",
            json!(["1.0.0.0/8"]),
            json!(["2.0.0.0/8"]),
            ("K6_BLACKLIST_IPS", "3.0.0.0/8"),
            &["--blacklist-ip", "4.0.0.0/8,5.0.0.0/8"],
        ),
        (
            "blockHostnames",
            json!(["a"]),
            json!(["b"]),
            ("K6_BLOCK_HOSTNAMES", "c,*.d"),
            &["--block-hostnames", "e", "--block-hostnames", "f"],
        ),
        (
            "summaryTrendStats",
            json!(["avg"]),
            json!(["min"]),
            ("K6_SUMMARY_TREND_STATS", "max,p(99.9)"),
            &["--summary-trend-stats", "count"],
        ),
        (
            "summaryTimeUnit",
            json!("s"),
            json!("ms"),
            ("K6_SUMMARY_TIME_UNIT", "us"),
            &["--summary-time-unit", "s"],
        ),
        (
            "systemTags",
            json!(["url"]),
            json!(["vu", "iter"]),
            ("K6_SYSTEM_TAGS", "group,nonsense,check"),
            &["--system-tags", "scenario"],
        ),
        (
            "tlsCipherSuites",
            json!(["a"]),
            json!(["b"]),
            ("K6_TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            &[],
        ),
        ("tlsVersion", json!("tls1.2"), json!({"min": "tls1.2"}), ("K6_TLS_VERSION", "tls1.3"), &[]),
        ("metricSamplesBufferSize", json!(1), json!(2), ("K6_METRIC_SAMPLES_BUFFER_SIZE", "3"), &[]),
        ("executionSegment", json!("0:1/2"), json!("1/2:1"), ("", ""), &["--execution-segment", "25%"]),
        (
            "executionSegmentSequence",
            json!("0,1"),
            json!("0,1/2,1"),
            ("", ""),
            &["--execution-segment-sequence", "0,1/4,1"],
        ),
        ("consoleOutput", Value::Null, Value::Null, ("K6_CONSOLE_OUTPUT", "a"), &["--console-output", "b"]),
        ("localIPs", Value::Null, Value::Null, ("K6_LOCAL_IPS", "127.0.0.1"), &["--local-ips", "127.0.0.2"]),
    ];
    for (key, file, script, (variable, text), flag) in rows {
        let layer = |value: &Value| if value.is_null() { Value::Null } else { json!({(*key): value}) };
        let (file, script) = (layer(file), layer(script));
        let env = [(*variable, *text)];
        let steps = [
            Case { file: file.clone(), ..Case::default() },
            Case { file: file.clone(), script: script.clone(), ..Case::default() },
            Case { file: file.clone(), script: script.clone(), env: &env, args: &[] },
            Case { file: file.clone(), script: script.clone(), env: &env, args: flag },
        ];
        let seen: Vec<Value> = steps.iter().map(|case| case.options()[*key].clone()).collect();
        let says = [!file.is_null(), !script.is_null(), !text.is_empty(), !flag.is_empty()];
        for (at, says) in says.into_iter().enumerate().filter(|(at, _)| *at > 0) {
            assert_eq!(seen[at] != seen[at - 1], says, "{key}: layer {at} of {seen:?}");
        }
    }
}

#[test]
fn values_keep_what_they_mean() {
    let of = |key: &str, value: Value| {
        Case { script: json!({(key): value}), ..Case::default() }.options()[key].clone()
    };
    assert_eq!(of("setupTimeout", json!("1d2h")), "26h0m0s");
    assert_eq!(of("setupTimeout", json!(1500)), "1.5s");
    assert_eq!(of("setupTimeout", json!("10")), "10ms");
    assert_eq!(of("batch", json!("7")), 7);
    assert_eq!(of("batch", json!("")), Value::Null);
    assert_eq!(of("tags", json!({"b": "1", "a": null})), json!({"a": "", "b": "1"}));
    assert_eq!(of("tlsVersion", json!("tls1.2")), json!({"min": "tls1.2", "max": "tls1.2"}));
    assert_eq!(of("dns", json!({"ttl": "0"})), json!({"ttl": "0", "select": null, "policy": null}));
    assert_eq!(
        of("thresholds", json!({"a": ["count>0", {"threshold": "rate>1", "abortOnFail": true}]})),
        json!({"a": ["count>0", {"threshold": "rate>1", "abortOnFail": true, "delayAbortEval": null}]})
    );
    assert_eq!(of("systemTags", json!([])), json!([]));
    let other_case = Case { script: json!({"USERAGENT": "x"}), ..Case::default() };
    assert_eq!(other_case.options()["userAgent"], "x");
}

#[test]
fn dns_is_laid_over_part_by_part() {
    let case = Case {
        file: json!({"dns": {"ttl": "1m"}}),
        script: json!({"dns": {"select": "first", "policy": "any"}}),
        env: &[("K6_DNS", "policy=onlyIPv4")],
        args: &[],
    };
    assert_eq!(case.options()["dns"], json!({"ttl": "1m", "select": "first", "policy": "onlyIPv4"}));
}

#[test]
fn shortcuts_become_scenarios() {
    let scenario = |script: Value, args: &[&str]| {
        let scenarios = Case { script, args, ..Case::default() }.options()["scenarios"].clone();
        assert_eq!(scenarios.as_object().unwrap().len(), 1);
        let mut scenario = scenarios["default"].clone();
        scenario.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        scenario
    };
    let per_vu = json!({"executor": "per-vu-iterations"});
    assert_eq!(scenario(json!({}), &[]), per_vu);
    assert_eq!(scenario(json!({"stages": []}), &[]), per_vu);
    assert_eq!(scenario(json!({"scenarios": {}}), &[]), per_vu);
    assert_eq!(
        scenario(json!({"vus": 2, "iterations": 4, "duration": "7s"}), &[]),
        json!({"executor": "shared-iterations", "vus": 2, "iterations": 4, "maxDuration": "7s"})
    );
    assert_eq!(
        scenario(json!({"duration": 1000}), &[]),
        json!({"executor": "constant-vus", "duration": "1s"})
    );
    assert_eq!(
        scenario(json!({"vus": 3, "stages": [{"duration": "1s", "target": 5}, {"target": 9}]}), &[]),
        json!({"executor": "ramping-vus", "startVUs": 3, "stages": [{"duration": "1s", "target": 5}]})
    );
    assert_eq!(
        scenario(json!({"iterations": 9}), &["-u", "3"]),
        json!({"executor": "shared-iterations", "vus": 3, "iterations": 9})
    );
    assert_eq!(
        scenario(json!({"iterations": 9}), &["-s", "1s:2,3s:4", "-s", "5s:0"])["stages"],
        json!([
            {"duration": "1s", "target": 2}, {"duration": "3s", "target": 4}, {"duration": "5s", "target": 0}
        ])
    );
}

#[test]
fn whoever_speaks_of_execution_speaks_of_all_of_it() {
    let scenarios = json!({"scenarios": {"a": {"executor": "per-vu-iterations"}}});
    let by_flag = Case { script: scenarios.clone(), args: &["-i", "2"], ..Case::default() };
    assert_eq!(by_flag.warnings(), ["\"cli\" level configuration overrode scenarios configuration entirely"]);
    assert_eq!(by_flag.options()["scenarios"]["default"]["iterations"], 2);
    let by_script = Case { file: scenarios.clone(), script: json!({"duration": "1s"}), ..Case::default() };
    assert_eq!(
        by_script.warnings(),
        ["\"script\" level configuration overrode scenarios configuration entirely"]
    );
    let by_env = Case { script: scenarios.clone(), env: &[("K6_DURATION", "1s")], ..Case::default() };
    assert_eq!(by_env.warnings(), ["\"env\" level configuration overrode scenarios configuration entirely"]);
    let vus = Case { script: scenarios.clone(), args: &["-u", "3"], ..Case::default() };
    assert_eq!(vus.warnings(), ["`vus=3` overrides scenarios configuration"]);
    // None are some, too, if they were set; a script's win over a file's.
    for lower in [scenarios.clone(), json!({"scenarios": {}})] {
        let by_scenarios = Case { file: lower, script: scenarios.clone(), ..Case::default() };
        assert_eq!(
            by_scenarios.warnings(),
            ["\"script\" level configuration overrode scenarios configuration entirely"]
        );
        assert!(by_scenarios.options()["scenarios"]["a"].is_object());
    }
    // Lower ones are gone, so there is nothing to conflict with.
    let stages =
        Case { script: json!({"duration": "1s", "iterations": 3}), args: &["-s", "1s:1"], ..Case::default() };
    assert_eq!(stages.options()["scenarios"]["default"]["executor"], "ramping-vus");
}

#[test]
fn conflicts_within_a_layer_are_refused() {
    let error = |script: Value| Case { script, ..Case::default() }.error();
    let stages = json!([{"duration": "1s", "target": 1}]);
    let scenarios = json!({"a": {"executor": "per-vu-iterations"}});
    for (script, a, b) in [
        (json!({"iterations": 1, "stages": stages}), "iterations", "stages"),
        (json!({"iterations": 1, "scenarios": scenarios}), "iterations", "scenarios"),
        (json!({"duration": "1s", "stages": stages}), "duration", "stages"),
        (json!({"duration": "1s", "scenarios": scenarios}), "duration", "scenarios"),
        (json!({"stages": stages, "scenarios": scenarios}), "stages", "scenarios"),
        (json!({"iterations": 1, "scenarios": {}}), "iterations", "scenarios"),
        (json!({"duration": "1s", "scenarios": {}}), "duration", "scenarios"),
        (json!({"stages": stages, "scenarios": {}}), "stages", "scenarios"),
    ] {
        assert_eq!(error(script), format!("using `{a}` and `{b}` options simultaneously is not allowed"));
    }
    assert_eq!(error(json!({"duration": 0})), "`duration` option should be more than 0");
}

#[test]
fn stages_without_a_duration_are_none() {
    let warning =
        "`stages` was explicitly set to an empty value, running the script with 1 iteration in 1 VU";
    let stages = json!({"stages": [{"target": 1}]});
    for case in [
        Case { script: stages.clone(), ..Case::default() },
        Case { file: stages.clone(), ..Case::default() },
        Case { script: json!({"duration": "1s"}), env: &[("K6_STAGES", ":5")], ..Case::default() },
        Case { script: json!({"duration": "1s"}), args: &["-s", ""], ..Case::default() },
    ] {
        let warnings = case.warnings();
        let (last, others) = warnings.split_last().expect("a warning");
        assert_eq!(last, warning);
        assert!(others.iter().all(|other| other.contains("has no duration and is left out")), "{others:?}");
        assert_eq!(case.options()["scenarios"]["default"]["executor"], "per-vu-iterations");
    }
    let beside = Case { script: json!({"iterations": 1, "stages": [{"target": 1}]}), ..Case::default() };
    assert_eq!(beside.options()["scenarios"]["default"]["executor"], "shared-iterations");
    let quoted = Case { args: &["-s", r#""1s:1","2s:0""#], ..Case::default() };
    assert_eq!(
        quoted.options()["scenarios"]["default"]["stages"],
        json!([{"duration": "1s", "target": 1}, {"duration": "2s", "target": 0}])
    );
    // Targets are decimal everywhere.
    let octal = Case { args: &["-s", "1s:010"], ..Case::default() };
    assert_eq!(octal.options()["scenarios"]["default"]["stages"][0]["target"], 10);
}

#[test]
fn lists_may_be_given_empty() {
    let of = |key: &str, script: Value, args: &[&str]| {
        Case { script: json!({ (key): script }), args, ..Case::default() }.options()[key].clone()
    };
    assert_eq!(of("summaryTrendStats", json!(["avg"]), &["--summary-trend-stats", ""]), json!([]));
    assert_eq!(of("systemTags", json!(["nosuch"]), &[]), json!([]));
    assert_eq!(of("systemTags", json!(["vu"]), &["--system-tags", "nosuch"]), json!([]));
    assert_eq!(of("systemTags", json!(["vu"]), &["--system-tags", ""]), json!([]));
    assert_eq!(of("systemTags", json!([]), &[]), json!([]));
    assert_eq!(of("systemTags", json!([]), &["--system-tags", " vu,iter"]), json!(["iter"]));
    assert_eq!(of("tags", json!({"a": "b"}), &[]), json!({"a": "b"}));
    let tags = Case { file: json!({"tags": {"a": "b"}}), script: json!({"tags": {}}), ..Case::default() };
    assert_eq!(tags.options()["tags"], json!({"a": "b"}));
    assert_eq!(Case { args: &["--local-ips", ""], ..Case::default() }.options()["localIPs"], Value::Null);
}

#[test]
fn segments_are_written_as_fractions() {
    let of = |script: Value, args: &[&str]| {
        let options = Case { script, args, ..Case::default() }.options();
        [options["executionSegment"].clone(), options["executionSegmentSequence"].clone()]
    };
    let script = json!({"executionSegment": "50%", "executionSegmentSequence": "0,0.5,1"});
    assert_eq!(of(script, &[]), ["0:1/2", "0,1/2,1"]);
    let args = ["--execution-segment", "0.25:2/4", "--execution-segment-sequence", "0,25%,0.5,1"];
    assert_eq!(of(json!({}), &args), ["1/4:1/2", "0,1/4,1/2,1"]);
    // Nothing is the whole test, and no sequence.
    let args = ["--execution-segment", "", "--execution-segment-sequence", ""];
    assert_eq!(of(json!({"executionSegment": "50%"}), &args), [json!("0:1"), Value::Null]);
    let error = Case { script: json!({"executionSegment": "1:0"}), ..Case::default() }.error();
    assert!(
        error.contains("options.executionSegment: segment start(1.00) must be less than its end"),
        "{error}"
    );
}

#[test]
fn variables_are_read_as_json_has_them() {
    for (name, text, expected) in [
        ("K6_PAUSED", "true", Ok(json!(true))),
        ("K6_PAUSED", "false", Ok(json!(false))),
        ("K6_PAUSED", "null", Ok(Value::Null)),
        ("K6_PAUSED", "", Ok(Value::Null)),
        ("K6_PAUSED", "0", Err("expected true or false")),
        ("K6_PAUSED", "1", Err("expected true or false")),
        ("K6_PAUSED", "T", Err("expected true or false")),
        ("K6_PAUSED", "TRUE", Err("expected true or false")),
        ("K6_RPS", "null", Ok(Value::Null)),
        ("K6_RPS", "10", Ok(json!(10))),
        ("K6_RPS", "0x3", Err("\"0x3\" is not a whole number")),
        ("K6_LINGER", "0", Err("expected true or false")),
        ("K6_WEB_DASHBOARD", "1", Err("expected true or false")),
        ("K6_NO_USAGE_REPORT", "banana", Err("expected true or false")),
    ] {
        let case = Case { env: &[(name, text)], ..Case::default() };
        let key = if name == "K6_PAUSED" { "paused" } else { "rps" };
        match expected {
            Ok(value) => assert_eq!(case.options()[key], value, "{name}={text}"),
            Err(reason) => {
                let error = case.consolidate().unwrap_err();
                assert_eq!(error.exit_code(), 104);
                let expected = format!("invalid value {text:?} of the environment variable {name}: {reason}");
                assert_eq!(error.to_string(), expected);
            }
        }
    }
    let auth = r#"[{"cert": "c", "key": "k"}]"#;
    for name in ["K6_TLS_AUTH", "K6_TLSAUTH"] {
        let case = Case { env: &[(name, auth)], ..Case::default() };
        assert_eq!(case.options()["tlsAuth"][0]["cert"], "c", "{name}");
    }
}

#[test]
fn a_config_file_says_more_than_options() {
    let file = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&ConfigPath::Given(path)).map_err(|e| e.to_string())
    };
    assert_eq!(file("null"), Ok(ConfigFile::default()));
    let read =
        file(r#"{"OUT": ["json"], "Linger": true, "FEATURES": "freeze-env", "Collectors": {"csv": {}}}"#);
    let read = read.unwrap();
    assert_eq!((read.run.out, read.run.linger), (Some(Outputs(vec!["json".to_owned()])), Some(true)));
    assert_eq!(read.run.features, Some(Features(vec!["freeze-env".to_owned()])));
    assert!(read.collectors.contains_key("csv") && read.remarks.is_empty());
    assert_eq!(file(r#"{"LINGER": true, "linger": null}"#).unwrap().run.linger, None);
    for (text, expected) in [
        (r#"{"noUsageReport": 5}"#, "noUsageReport: expected true or false, found 5"),
        (r#"{"webDashboard": "x"}"#, "webDashboard: expected true or false, found \"x\""),
        (r#"{"collectors": 5}"#, "collectors: expected an object with the settings of each output, found 5"),
        ("[]", "is not a JSON object"),
    ] {
        let error = file(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn features_decide_over_tags() {
    let case = |env: &[(&str, &str)], args: &[&str]| {
        let script = json!({"tags": {"a": "script", "b": "script"}});
        Case { script, env, args, ..Case::default() }.options()["tags"].clone()
    };
    assert_eq!(case(&[], &["--tag", "b=cli"]), json!({"b": "cli"}));
    assert_eq!(
        case(&[("K6_FEATURES", "merge-run-tags")], &["--tag", "b=cli"]),
        json!({"a": "script", "b": "cli", "k6_feature_merge_run_tags": "true"})
    );
    assert_eq!(
        case(&[("K6_FEATURES", "merge-run-tags")], &["--tag", "b=cli", "--features", "freeze-env"]),
        json!({"b": "cli", "k6_feature_freeze_env": "true"})
    );
    assert_eq!(
        case(&[], &["--tag", "b=cli", "--features", "freeze-env", "--features", "merge-run-tags"]),
        json!({
            "a": "script", "b": "cli",
            "k6_feature_freeze_env": "true", "k6_feature_merge_run_tags": "true"
        })
    );
    let unknown = Case { args: &["--features", "time-travel"], ..Case::default() }.consolidate().unwrap();
    assert_eq!(unknown.notes[0].text, "Unknown feature flag");
    assert_eq!(unknown.notes[0].level, log::Level::Error);
}
