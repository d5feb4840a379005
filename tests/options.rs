//! Options and the command line from the outside: what wins, what is refused, and what users are told to do.

use senary_testkit::{Outcome, Program, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn run(script: &str, args: &[&str]) -> Outcome {
    Program::script(BINARY, script).args(args.iter().copied()).run()
}

#[test]
fn a_typo_in_an_option_is_named_with_its_line() {
    let script =
        "export const options = {\n  iterations: 1,\n  treshold: {},\n};\nexport default function () {}\n";
    let outcome = run(script, &["--log-format=text"]);
    outcome.expect_code(0);
    let [line] = outcome.log_lines("unknown fields")[..] else { outcome.fail("not one warning") };
    for part in ["treshold", ".js:3", "did you mean", "thresholds"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    let script = "export const options = {\n  vus: 1,\n  duration: 'ten seconds',\n};\nexport default function () {}\n";
    let outcome = run(script, &[]);
    outcome.expect_code(104);
    let [line] = outcome.log_lines("could not initialize")[..] else { outcome.fail("not one error") };
    for part in ["(line 3)", "options.duration", "time: invalid duration"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn variables_the_reference_cannot_read() {
    let script = "
import { Socket } from 'k6/x/tcp';
import exec from 'k6/execution';
export default function () {
  console.log(JSON.stringify([exec.test.options.hosts, exec.test.options.tlsCipherSuites]));
}";
    let outcome = Program::script(BINARY, script)
        .env("K6_HOSTS", "svc.test=127.0.0.1,other.test:80=127.0.0.2:8080")
        .env("K6_THRESHOLDS", r#"{"iterations": ["count>5"]}"#)
        .env("K6_TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
        .run();
    outcome.expect_code(99);
    let shown = outcome.log_lines("svc.test");
    assert!(shown[0].contains("127.0.0.2:8080") && shown[0].contains("TLS_ECDHE_RSA"), "{shown:?}");
}

#[test]
fn requirements_need_no_vus() {
    let script = "export default function () {}";
    let program = Program::new(BINARY).file("script.js", script).env("K6_ITERATIONS", "5");
    let outcome = program.args(["inspect", "--execution-requirements", "script.js"]).run();
    outcome.expect_code(0).expect_text("\"maxVUs\": 1").expect_text("\"totalDuration\": \"10m30s\"");
}

#[test]
fn every_timeout_must_be_positive() {
    let script = "
export const options = { setupTimeout: 0, teardownTimeout: '-1s' };
export default function () {}";
    let outcome = run(script, &["--log-format=text"]);
    outcome.expect_code(104);
    let [line] = outcome.log_lines("There were problems")[..] else { outcome.fail("not one error") };
    assert!(
        line.contains("setupTimeout must be positive") && line.contains("teardownTimeout must be positive")
    );
}

#[test]
fn the_environment_of_scripts_can_be_frozen() {
    let script = "
export default function () {
  try { __ENV.A = 'changed' } catch (e) { console.log('refused', e.name) }
  console.log('A is', __ENV.A);
}";
    run(script, &["-e", "A=1"]).expect_code(0).expect_text("A is changed");
    let frozen = run(script, &["-e", "A=1", "--features", "freeze-env"]);
    frozen.expect_code(0).expect_text("refused TypeError").expect_text("A is 1");
}

#[test]
fn the_default_config_file_is_found() {
    let script = "
import exec from 'k6/execution';
export default function () { console.log('agent', exec.test.options.userAgent) }";
    let program = Program::script(BINARY, script).file("k6/config.json", r#"{"userAgent": "from-file"}"#);
    let folder = program.folder().display().to_string();
    program.env("XDG_CONFIG_HOME", folder).run().expect_code(0).expect_text("agent from-file");
}

#[test]
fn the_echo_server_is_handed_to_the_script() {
    let script = "
import { Socket } from 'k6/x/tcp';
export default async function () {
  const socket = new Socket();
  const echoed = new Promise((resolve) => socket.on('data', (data) => resolve(String.fromCharCode(...data))));
  await socket.connect(Number(__ENV.TCP_PORT), __ENV.TCP_HOST);
  await socket.write('hello');
  console.log('echoed', await echoed);
  socket.destroy();
}";
    run(script, &["--with-echo"]).expect_code(0).expect_text("echoed hello");
}

#[test]
fn the_echo_server_runs_alone_until_interrupted() {
    let mut running = Program::new(BINARY).args(["echo", "--listen", "127.0.0.1:0"]).start();
    running.wait_for("127.0.0.1:").signal(Signal::INT);
    running.finish().expect_code(0);
}

#[test]
fn options_that_json_cannot_say_are_refused() {
    for (options, expected) in [
        ("{ vus: () => 2 }", "json: unsupported type: function (in \\\"vus\\\")"),
        ("() => ({ vus: 2 })", "json: unsupported type: function"),
        ("{ vus: Number(undefined) }", "json: unsupported value: NaN (in \\\"vus\\\")"),
        ("{ stages: [{ duration: '1s', target: 1 / 0 }] }", "json: unsupported value: Infinity"),
    ] {
        let script = format!("export const options = {options};\nexport default function () {{}}\n");
        let outcome = run(&script, &["--log-format=json"]);
        outcome.expect_code(104);
        let errors = outcome.log_lines("error parsing script options: ");
        assert!(errors.len() == 1 && errors[0].contains(expected), "{options}: {errors:?}");
    }
}

#[test]
fn a_threshold_no_sample_can_meet_is_warned_of() {
    let script = "
export const options = { thresholds: { 'iterations{vu:1,scenario:default}': ['count>=0'] } };
export default function () {}";
    let warned = |args: &[&str]| {
        let outcome = run(script, args);
        outcome.expect_code(0).log_lines("\"vu\" is non-indexable").len()
    };
    assert_eq!((warned(&[]), warned(&["--no-thresholds"])), (1, 0));
}

#[test]
fn what_cannot_be_read_or_written_is_said_in_words() {
    for args in [
        &["--config", "nowhere/config.json"][..],
        &["--console-output", "nowhere/console"],
        &["--out", "json=nowhere/samples"],
        &["--secret-source", "file=nowhere/secrets"],
    ] {
        let outcome = run("export default function () {}", args);
        let errors = outcome.log_lines("nowhere/");
        assert!(
            errors.len() == 1
                && errors[0].contains(": no such file or directory")
                && !errors[0].contains("os error"),
            "{args:?}: {errors:?}"
        );
    }
}

#[test]
fn flags_and_variables_are_judged_before_the_script_is_read() {
    let refused = |program: Program, code, text: &str| {
        let outcome = program.args(["--log-format=raw"]).run();
        outcome.expect_code(code);
        assert_eq!(outcome.log_lines(text).len(), 1, "{text}: {}", outcome.stderr);
    };
    let program = || Program::script(BINARY, "throw new Error('it ran')");
    let not_boolean = "env var 'K6_NO_THRESHOLDS' is not a valid boolean value: ";
    for (name, value, code, text) in [
        ("K6_NO_THRESHOLDS", "", 255, &*format!("{not_boolean}\"\" is neither true nor false")),
        ("K6_NO_THRESHOLDS", "banana", 255, &format!("{not_boolean}\"banana\" is neither true nor false")),
        ("K6_PAUSED", "0", 104, "of the environment variable K6_PAUSED: expected true or false"),
        ("K6_NO_USAGE_REPORT", "banana", 104, "K6_NO_USAGE_REPORT: expected true or false"),
    ] {
        refused(program().env(name, value), code, text);
    }
    for (args, text) in [
        (["-s", "5:1"], "error for stage 0: time: missing unit in duration \"5\""),
        (["--block-hostnames", "a*b"], "invalid hostname pattern 'a*b'"),
        (["--workers", "0"], "give a number from 1"),
        (["---vus", "2"], "bad flag syntax: ---vus"),
    ] {
        refused(program().args(args), 255, text);
    }
    refused(program().args(["--type", "wasm"]), 255, "unknown or unspecified test type 'wasm' for 'file:///");
}

#[test]
fn outputs_that_are_gone_say_so() {
    let program = || Program::script(BINARY, "export default function () {}").args(["--log-format=raw"]);
    let outcome = program().args(["-o", "kafka"]).run();
    outcome.expect_code(255).expect_text("could not create the 'kafka' output: it was removed");
    program().env("K6_OUT", ",").run().expect_code(255).expect_text("invalid output type ''");
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let script = "export default function () {}";
    let program = Program::script(BINARY, script)
        .args(["--profiling-enabled", "--traces-output", "otel"])
        .args(["--compatibility-mode", "experimental_enhanced", "--log-format=raw"]);
    let outcome = program.run();
    outcome.expect_code(0);
    for text in [
        "--profiling-enabled has no effect",
        "--traces-output has no effect",
        "\"experimental_enhanced\" is deprecated",
    ] {
        assert_eq!(outcome.log_lines(text).len(), 1, "{text}: {}", outcome.stderr);
    }
}

#[test]
fn big_integers_are_numbers_in_options() {
    let script = "
import exec from 'k6/execution';
export const options = { vus: 2n, iterations: 5n };
export default function () { console.log('of', exec.test.options.scenarios.default.iterations) }";
    let outcome = run(script, &["--log-format=raw"]);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("of 5").len(), 5);
}

#[test]
fn samples_may_go_without_system_tags() {
    let script = "
export const options = { systemTags: ['nosuch'] };
export default function () {}";
    let outcome = run(script, &["--out", "json=samples.json"]);
    outcome.expect_code(0);
    let samples = outcome.file("samples.json");
    let points = samples.lines().filter(|line| line.contains("\"type\":\"Point\""));
    let tagged: Vec<_> = points.filter(|line| line.contains("scenario") || line.contains("group")).collect();
    assert!(samples.contains("iterations") && tagged.is_empty(), "{tagged:?}");
    assert_eq!(outcome.log_lines("there is no system tag").len(), 1, "{}", outcome.stderr);
    let outcome = run("export default function () {}", &["--system-tags", "protoo,url"]);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("did you mean proto?").len(), 1, "{}", outcome.stderr);
}

#[test]
fn a_summary_may_go_without_statistics() {
    let outcome = run("export default function () {}", &["--summary-trend-stats", ""]);
    outcome.expect_code(0).expect_text("iteration_duration");
    assert!(!outcome.stdout.contains("avg="), "{}", outcome.stdout);
}

/// What a script leaves undefined is a typo in a variable more often than not: it is an error where k6 has one, and
/// a warning where k6 goes on with less than was written.
#[test]
fn nothing_that_is_null_or_undefined_is_lost_without_a_word() {
    let metric = "import { Trend } from 'k6/metrics';\nconst answer = new Trend('answer');\n";
    let with = |options: &str| {
        let script = format!("{metric}export const options = {options};\nexport default () => answer.add(1)");
        run(&script, &["--quiet"])
    };
    for (options, code, text) in [
        ("{ scenarios: { main: undefined } }", 104, "scenario 'main' doesn't have a specified executor"),
        (
            "{ scenarios: { main: {}.x, b: { executor: 'shared-iterations' } } }",
            104,
            "scenario 'main' doesn't have a specified executor",
        ),
        ("{ scenarios: { a: { executor: 'constant-vus', durtion: undefined } } }", 104, "durtion"),
        (
            "{ scenarios: { a: { executor: 'ramping-vus', stages: [undefined] } } }",
            104,
            "stage 1 doesn't have a duration",
        ),
        ("{ thresholds: { answer: [undefined] } }", 104, "malformed threshold expression"),
        ("{ thresholds: { answer: ['avg<500', null] } }", 104, "malformed threshold expression"),
        ("{ thresholds: { answer: [{ threshold: undefined }] } }", 104, "malformed threshold expression"),
        ("{ summaryTrendStats: ['avg', null] }", 255, "invalid trend stat"),
        ("{ tlsCipherSuites: [undefined] }", 104, "unknown cipher suite"),
        ("{ tlsAuth: [null] }", 104, "There were problems"),
        ("{ blacklistIPs: [null] }", 104, "CIDR"),
        ("{ blockHostnames: [null] }", 104, "invalid hostname pattern"),
        ("{ hosts: { 'a.test': undefined } }", 104, "hosts"),
        ("{ iterations: NaN }", 104, "NaN (in"),
        ("{ iterations: new Number(NaN) }", 104, "NaN (in"),
        ("{ cloud: { a: [1, Infinity] } }", 104, "Infinity (in"),
        ("{ tags: { a: Symbol('x') } }", 104, "symbol (in"),
        ("{ thresholds: { answer: [() => 1] } }", 104, "function (in"),
        ("{ tags: { a: new Date(NaN) } }", 104, "Invalid Date (in"),
        ("{ duration: new Date(0) }", 104, "duration"),
        // From here on k6 goes on.
        ("{ thresholds: { answer: undefined } }", 0, "options.thresholds.answer is null or undefined"),
        ("{ tags: { a: undefined } }", 0, "options.tags.a is null or undefined"),
        ("{ systemTags: [null, 'group'] }", 0, "options.systemTags.0 is null or undefined"),
        (
            "{ stages: [{ duration: '1ms', target: 0 }, null, { duration: '1ms', target: 1 }] }",
            0,
            "stage 2 of the \"script\" level has no duration and is left out",
        ),
        (
            "{ scenarios: { a: { executor: 'shared-iterations', env: { A: undefined } } } }",
            0,
            "options.scenarios.a.env.A is null or undefined",
        ),
        ("{ vsu: undefined }", 0, "unknown field"),
    ] {
        let outcome = with(options);
        outcome.expect_code(code);
        assert!(!outcome.log_lines(text).is_empty(), "{options}: no {text:?} in\n{}", outcome.stderr);
    }
    // What is not set is not set, and there is nothing to say about it.
    let outcome = with("{ vus: undefined, duration: null, stages: null, dns: { ttl: null }, hosts: null }");
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("null"), [""; 0]);
}

#[test]
fn nulls_in_files_and_variables_are_told_too() {
    let script = "export default function () {}";
    let program =
        |file: &str| Program::script(BINARY, script).file("c.json", file).args(["--config", "c.json"]);
    program(r#"{"thresholds": {"checks": [null]}}"#)
        .run()
        .expect_code(104)
        .expect_text("malformed threshold");
    program(r#"{"scenarios": {"a": null}}"#).run().expect_code(104).expect_text("specified executor");
    let outcome = program(r#"{"tags": {"team": null}, "lingr": true}"#).arg("--log-format=json").run();
    outcome
        .expect_code(0)
        .expect_text("tags.team is null or undefined")
        .expect_text("did you mean \\\"linger\\\"?");
    let variable = |value: &str| Program::script(BINARY, script).env("K6_THRESHOLDS", value).run();
    variable(r#"{"checks": [null]}"#).expect_code(104).expect_text("malformed threshold");
    let outcome = variable(r#"{"checks": null}"#);
    outcome.expect_code(0).expect_text("K6_THRESHOLDS.checks is null or undefined");
}

#[test]
fn a_typo_inside_a_threshold_is_told_what_a_threshold_has() {
    let script = "export const options = { thresholds: {\n  checks: [{ threshhold: 'rate>0' }],\n} };\nexport default () => {}";
    let outcome = run(script, &["--log-format=json"]);
    outcome.expect_code(104);
    let [line] = outcome.log_lines("unknown fields")[..] else { outcome.fail("not one warning") };
    assert!(line.contains("did you mean \\\"threshold\\\"?") && line.contains(".js:2"), "{line}");
}

#[test]
fn options_that_cannot_be_read_are_an_error() {
    let deep = "let cloud = {}; for (let i = 0; i < 200; i++) cloud = { cloud };";
    let script = format!("{deep}\nexport const options = {{ cloud, vus: 3 }};\nexport default () => {{}}");
    run(&script, &[]).expect_code(104).expect_text("recursion limit exceeded");
}

#[test]
fn a_test_may_have_no_system_tags_at_all() {
    let script = "
import { check, group } from 'k6';
export const options = { systemTags: [] };
export default () => { check(1, { a: true }); group('g', () => {}); };
export function handleSummary({ root_group }) {
  console.log('listed', root_group.checks.length, root_group.groups.length);
  return {};
}";
    run(script, &[]).expect_code(0).expect_text("listed 0 0");
    let archived = Program::new(BINARY).file("s.js", script).args(["archive", "-O", "a.tar", "s.js"]).run();
    let archive = archived.expect_code(0).file("a.tar");
    let again = Program::new(BINARY).args(["run", "-"]).stdin(archive).run();
    again.expect_code(0).expect_text("listed 0 0");
}

#[test]
fn how_long_names_hold_is_judged_alike_everywhere() {
    let script = |options: &str| format!("export const options = {options};\nexport default () => {{}}");
    run(&script("{ dns: { ttl: 'x' } }"), &[]).expect_code(255).expect_text("invalid DNS TTL: x");
    run(&script("{ dns: { ttl: 5 } }"), &[]).expect_code(104).expect_text("options.dns.ttl");
    run(&script("{ dns: { select: 'x' } }"), &[]).expect_code(104);
    run(&script("{}"), &["--dns", "ttl=x"]).expect_code(255).expect_text("invalid DNS TTL: x");
    let variable = Program::script(BINARY, &script("{}")).env("K6_DNS", "ttl=x").run();
    variable.expect_code(255).expect_text("invalid DNS TTL: x");
}

#[test]
fn inspect_judges_what_run_judges() {
    for options in [
        "{ blockHostnames: ['a.*'] }",
        "{ hosts: { 'a.*': '127.0.0.1' } }",
        "{ tlsVersion: 'x' }",
        "{ tlsCipherSuites: ['x'] }",
        "{ scenarios: { a: undefined } }",
    ] {
        let script = format!("export const options = {options};\nexport default () => {{}}");
        for command in ["inspect", "run"] {
            let program = Program::new(BINARY).file("s.js", script.as_str()).args([command, "s.js"]);
            program.run().expect_code(104);
        }
    }
    let script = "export const options = { thresholds: { 'checks{a:}': [] } };\nexport default () => {}";
    run(script, &[]).expect_code(104).expect_text("tag expression is malformed");
    let script = "export const options = { vus: 2, iterations: 4 };\nexport default () => {}";
    let outcome = Program::new(BINARY).file("s.js", script).args(["inspect", "s.js"]).run();
    outcome.expect_code(0).expect_text("\"iterations\": 4").expect_text("\"scenarios\": null");
}

#[test]
fn what_does_not_run_takes_no_time() {
    let duration = |options: &str| {
        let script = format!("export const options = {options};\nexport default () => {{}}");
        let program = Program::new(BINARY).file("s.js", script);
        let outcome = program.args(["inspect", "--execution-requirements", "s.js"]).run();
        let json: serde_json::Value = serde_json::from_str(&outcome.expect_code(0).stdout).expect("JSON");
        json["totalDuration"].as_str().expect("a duration").to_owned()
    };
    assert_eq!(duration("{ executionSegment: '1/4' }"), "0s");
    let ramp = |grace: &str, end: u32| {
        duration(&format!(
            "{{ scenarios: {{ a: {{ executor: 'ramping-vus', gracefulRampDown: {grace},
                stages: [{{ duration: '2s', target: 3 }}, {{ duration: '2s', target: {end} }}] }} }} }}"
        ))
    };
    assert_eq!(ramp("'5s'", 0), "9s");
    assert_eq!(ramp("'0s'", 0), "4s");
    assert_eq!(ramp("'5s'", 1), "34s");
}

#[test]
fn the_plan_of_a_segment_says_what_runs() {
    let script = "
export const options = { scenarios: {
  rate: { executor: 'constant-arrival-rate', rate: 7, duration: '1s', preAllocatedVUs: 3, maxVUs: 5 },
  ramp: { executor: 'ramping-vus', stages: [{ target: 1, duration: '1s' }], gracefulRampDown: '0s' },
} };
export default function () {}";
    let segment = ["--execution-segment", "1/3:2/3", "--execution-segment-sequence", "0,1/3,2/3,1"];
    let program = Program::new(BINARY).file("script.js", script).args(["run", "script.js"]);
    let outcome = program.args(segment).run();
    outcome.expect_code(0).expect_text("rate: 2.80 iterations/s for 1s").expect_text("gracefulRampDown: 0s");
}

#[test]
fn a_paused_test_says_how_it_can_be_started() {
    let mut running = Program::script(BINARY, "export default () => {}").arg("--paused").start();
    running.wait_for("the test is paused, and nothing can start it");
    running.signal(Signal::INT);
    running.finish().expect_code(105);
}

#[test]
fn trusted_certificates_that_are_not_there_are_told() {
    let program = Program::script(BINARY, "export default () => {}").env("SSL_CERT_FILE", "/no/such.pem");
    program.run().expect_code(0).expect_text("SSL_CERT_FILE names \"/no/such.pem\"");
}

#[test]
fn more_workers_than_cores_can_use_are_refused() {
    run("export default () => {}", &["--workers", "100000"]).expect_code(255).expect_text("give at most");
}

#[test]
fn too_few_files_to_start_are_told_in_words() {
    for limit in 6..=20 {
        let outcome = Program::script(BINARY, "export default () => {}").open_files(limit).run();
        assert!(!outcome.stderr.contains("panicked"), "{limit}: {}", outcome.stderr);
        assert!(matches!(outcome.code(), Some(0..=100 | 102..=120 | 255)), "{limit}: {:?}", outcome.code());
    }
}
