//! A newcomer's path: a first script, and the first mistakes. Each message says where, and what to do.

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn run(script: &str) -> Outcome {
    Program::new(BINARY).file("script.js", script).args(["run", "--quiet", "script.js"]).run()
}

#[test]
fn a_first_script_is_written_and_runs() {
    let outcome = Program::new(BINARY).args(["new", "--template", "protocol"]).run();
    outcome.expect_code(0).expect_text("New script created: script.js");
    // How soon the answer is there is this machine's affair.
    let script = outcome.file("script.js").replace("\"5s\"", "\"1s\"").replace("p(95)<100", "p(95)<60000");
    let outcome = Program::script(BINARY, &script).arg("--with-echo").run();
    outcome.expect_code(0).expect_value("checks", "fails", 0.0).expect_value("tcp_errors", "count", 0.0);

    let again = Program::new(BINARY).file("script.js", script).args(["new"]).run();
    again.expect_code(255).expect_text("already exists").expect_text("--force");
}

#[test]
fn a_threshold_that_fails() {
    let outcome = run(r#"
export const options = { thresholds: { iterations: ["count>5"] } }
export default function () {}
"#);
    outcome.expect_code(99).expect_text("✗ 'count>5' count=1");
    outcome.expect_text("thresholds on metrics 'iterations' have been crossed");
}

#[test]
fn a_threshold_on_a_metric_that_is_not_there() {
    let outcome = run(r#"
export const options = { thresholds: { tcp_eror: ["count<1"] } }
export default function () {}
"#);
    outcome
        .expect_code(104)
        .expect_text("no metric name \\\"tcp_eror\\\" found")
        .expect_text("(script.js:2)");
    outcome.expect_text("the modules it imports");
}

#[test]
fn typos_in_thresholds() {
    let outcome = run(r#"
import { Trend } from "k6/metrics"
const latency = new Trend("my_latency", true)
export const options = {
  thresholds: {
    my_latancy: ["p(95)<500"],
    my_latency: [
      "p95<500",
      "p(95)<500ms",
    ],
    iterations: ["cuont>5", "count=>5", "all"],
    "checks{kind:a": ["rate>0.9"],
  },
}
export default function () {}
"#);
    outcome.expect_code(104);
    for (problem, advice) in [
        ("no metric name \\\"my_latancy\\\" found", "did you mean \\\"my_latency\\\"? (script.js:6)"),
        ("\\\"p95<500\\\"", "percentiles are written p(95) (script.js:8)"),
        ("\\\"p(95)<500ms\\\"", "times are in milliseconds (script.js:9)"),
        ("\\\"cuont>5\\\"", "did you mean \\\"count>5\\\"? (script.js:11)"),
        ("\\\"count=>5\\\"", "comparisons are written <, <=, >, >=, ==, != (script.js:11)"),
        ("\\\"all\\\"", "as in \\\"count<5\\\" (script.js:11)"),
        ("unmatched opening/close curly brace", "NAME{TAG:VALUE,TAG:VALUE} (script.js:12)"),
    ] {
        outcome.expect_text(problem).expect_text(advice);
    }
}

#[test]
fn a_typo_in_an_option() {
    let outcome = run("export const options = { vus: 1, iteratons: 3 }\nexport default function () {}\n");
    outcome.expect_code(0).expect_text("iteratons").expect_text("script.js:1");
    outcome.expect_text("did you mean").expect_text("iterations");
}

#[test]
fn a_typo_in_an_executor() {
    let outcome = run(r#"
export const options = { scenarios: { a: { executor: "constant-vu", duration: "1s" } } }
export default function () {}
"#);
    outcome
        .expect_code(104)
        .expect_text("options.scenarios.a")
        .expect_text("unknown executor type 'constant-vu'");
    outcome.expect_text("constant-vus, ramping-vus").expect_text("did you mean constant-vus?");
}

#[test]
fn typos_in_scenarios() {
    let outcome = run(r#"
export const options = {
  scenarios: {
    a: {
      executor: "ramping-vus",
      stages: [
        { duration: "5s", taget: 3 },
      ],
    },
  },
}
export default function () {}
"#);
    outcome
        .expect_code(104)
        .expect_text("(line 6): options.scenarios.a.stages: json: unknown field \\\"taget\\\"");
    outcome.expect_text("a stage has duration, target");

    let outcome = run(r#"
export const options = {
  scenarios: {
    a: { executor: "constant-vus", vus: 2 },
    b: {
      executor: "shared-iterations",
      exec: "defualt",
    },
    c: { executor: "constant-vus", duration: "5" },
  },
}
export default function () {}
"#);
    outcome.expect_code(104);
    outcome.expect_text("scenario a has configuration errors: the duration is unspecified (script.js:4)");
    outcome.expect_text("function 'defualt' not found in exports; did you mean 'default'? (script.js:7)");
    outcome.expect_text("but is 5ms (a number without a unit is milliseconds) (script.js:9)");
}

#[test]
fn a_typo_in_a_flag() {
    let outcome = Program::new(BINARY).args(["run", "--vu", "3", "script.js"]).run();
    outcome.expect_code(255).expect_text("unknown flag: --vu").expect_text("--vus");
}

#[test]
fn an_argument_where_there_are_flags_only() {
    let outcome = Program::new(BINARY).args(["echo", "0.0.0.0:7000"]).run();
    outcome.expect_code(255).expect_text("unexpected argument \\\"0.0.0.0:7000\\\"");
    outcome.expect_text("did you mean --listen 0.0.0.0:7000?");
    // These two have always passed arguments over.
    for command in ["version", "features"] {
        Program::new(BINARY).args([command, "now"]).run().expect_code(0);
    }
}

#[test]
fn a_typo_in_a_command() {
    let outcome = Program::new(BINARY).args(["rnu", "script.js"]).run();
    outcome.expect_code(255).expect_text("unknown command \\\"rnu\\\"").expect_text("did you mean run?");
    let outcome = Program::new(BINARY).args(["script.js"]).run();
    outcome.expect_code(255).expect_text("did you mean senary run script.js?");
}

#[test]
fn a_typo_in_the_config_file() {
    let program =
        Program::new(BINARY).file("s.js", "export default function () {}").file("c.json", "{\"vsu\": 2}");
    let outcome = program.args(["run", "--quiet", "--config", "c.json", "s.js"]).run();
    outcome.expect_code(0).expect_text("file=c.json").expect_text("did you mean \\\"vus\\\"?");
}

#[test]
fn a_typo_in_a_module() {
    let outcome = run("import { Socket } from \"k6/x/tpc\"\nexport default function () {}\n");
    outcome
        .expect_code(107)
        .expect_text("k6/x/tpc")
        .expect_text("check the name")
        .expect_text("script.js:1:24");

    let outcome = run("import _ from \"lodash\"\nexport default function () {}\n");
    outcome.expect_code(107).expect_text("has to be bundled").expect_text("script.js:1:15");
}

#[test]
fn a_typo_in_what_is_imported() {
    let script = "import { sleep,\n  chek } from \"k6\"\nexport const options = { vus: 3, iterations: 3 }
export default function () { chek(1, {}) }\n";
    let outcome = run(script);
    outcome.expect_code(0).expect_text("TypeError: chek is not a function");
    let [warning] = outcome.log_lines("has no export")[..] else { outcome.fail("not one warning") };
    for part in
        ["\\\"k6\\\" has no export named \\\"chek\\\"", "did you mean \\\"check\\\"?", "script.js:2:3"]
    {
        assert!(warning.contains(part), "{part} is not in {warning}");
    }
}

#[test]
fn a_typo_in_an_event() {
    let script = "import { Socket } from \"k6/x/tcp\"
export default function () { new Socket().on(\"dta\", () => {}) }\n";
    let outcome = run(script);
    outcome.expect_code(0).expect_text("Unknown event type").expect_text("event=dta");
    outcome.expect_text("connect, data, close, error, timeout");
}

#[test]
fn a_script_without_a_default_function() {
    run("function main() {}\n")
        .expect_code(255)
        .expect_text("no exported functions in script; what virtual users do");
}

#[test]
fn a_file_that_is_not_there() {
    let outcome = Program::new(BINARY).args(["run", "nowhere.js"]).run();
    outcome.expect_code(255).expect_text("nowhere.js").expect_text("couldn't be found on local disk");

    let outcome = Program::new(BINARY).args(["run", "http://localhost/x.js"]).run();
    outcome
        .expect_code(255)
        .expect_text("only supported schemes for imports are file and https, URL has `http`");

    let outcome = run("import { x } from \"./nowhere.js\"\nexport default function () {}\n");
    outcome.expect_code(107).expect_text("./nowhere.js").expect_text("couldn't be found on local disk");

    let outcome = run("const data = open(\"data.csv\")\nexport default function () {}\n");
    outcome.expect_code(107).expect_text("data.csv").expect_text("script.js:1");
}

#[test]
fn an_error_of_syntax() {
    let outcome = run("export default function () {\n  const x = ;\n}\n");
    outcome.expect_code(107).expect_text("SyntaxError").expect_text("script.js: Line 2:13");
}

#[test]
fn an_exception() {
    let outcome = run("export default function () {\n  undefinedFunction()\n}\n");
    outcome.expect_code(0).expect_text("ReferenceError").expect_text("script.js:2");
}

#[test]
fn nobody_listens() {
    let outcome = run(r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  await new Socket().connect(1, "127.0.0.1")
}
"#);
    outcome.expect_code(0).expect_text("dial tcp 127.0.0.1:1: connect: connection refused");
}

#[test]
fn a_socket_that_nobody_destroys() {
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { scenarios: { a: { executor: "constant-vus", vus: 1, duration: "1s", gracefulStop: "0s" } } }
export default async function () { await new Socket().connect(__ENV.TCP_PORT, __ENV.TCP_HOST) }
"#;
    let outcome = Program::script(BINARY, script).args(["--with-echo", "--log-format=text"]).run();
    outcome.expect_code(0).expect_text("No script iterations fully finished");
    outcome.expect_text("an iteration lasts until its sockets are closed (destroy())");
}

#[test]
fn a_typo_in_a_method() {
    let calls = [
        ("new Socket().conect(1)", "conect"),
        ("const socket = new Socket(); socket.wriet('x')", "socket.wriet"),
        ("const log = { to: {} }; log.to.file?.name, log.to.flie`x`", "log.to.flie"),
        ("console.info(1), console.inof(1)", "console.inof"),
    ];
    for (call, callee) in calls {
        let script = format!(
            "import {{ Socket }} from \"k6/x/tcp\"\nexport default function () {{ const é = 1; {call} }}\n"
        );
        let outcome = run(&script);
        outcome
            .expect_code(0)
            .expect_text(&format!("TypeError: {callee} is not a function\\n\\tat default ("));
    }
    // Neither what script catches nor what has a map loses it.
    let outcome = Program::new(BINARY)
        .file(
            "test.ts",
            "interface A { b: string }\nexport default function () {\n  const all: any = {}\n  try { all.go() } catch (e) { console.log((e as Error).stack!.split('\\n')[0]) }\n  Promise.resolve().then(() => all.run())\n}",
        )
        .args(["run", "--quiet", "test.ts"])
        .run();
    outcome
        .expect_code(0)
        .expect_text("TypeError: all.go is not a function")
        .expect_text("Uncaught (in promise) TypeError: all.run is not a function\\n\\tat file://")
        .expect_text("test.ts:5:");
}
