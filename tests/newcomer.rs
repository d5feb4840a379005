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
    let script = outcome.file("script.js").replace("\"5s\"", "\"1s\"");
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
    outcome.expect_code(104).expect_text("no metric name");
    outcome.expect_text("tcp_eror");
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
    outcome.expect_text("constant-vus, ramping-vus");
}

#[test]
fn a_typo_in_a_flag() {
    let outcome = Program::new(BINARY).args(["run", "--vu", "3", "script.js"]).run();
    outcome.expect_code(255).expect_text("unknown flag: --vu").expect_text("--vus");
}

#[test]
fn a_typo_in_a_module() {
    let outcome = run("import { Socket } from \"k6/x/tpc\"\nexport default function () {}\n");
    outcome.expect_code(107).expect_text("k6/x/tpc").expect_text("check the name");
}

#[test]
fn a_file_that_is_not_there() {
    let outcome = Program::new(BINARY).args(["run", "nowhere.js"]).run();
    outcome.expect_code(255).expect_text("nowhere.js").expect_text("couldn't be found on local disk");

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
