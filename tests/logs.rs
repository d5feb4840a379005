//! Where log lines go, and that none is lost on the way.

use senary_testkit::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

const MANY: &str = "
export default function () {
  for (let n = 0; n < 20000; n++) console.log('line ' + n + '.');
}";

fn expected() -> String {
    (0..20_000).map(|n| format!("line {n}.\n")).collect()
}

#[test]
fn a_file_has_every_line_at_the_end() {
    let program = Program::script(BINARY, MANY);
    let outcome = program.args(["--log-format=raw", "--log-output=file=run.log"]).run();
    outcome.expect_code(0);
    assert!(outcome.file("run.log") == expected());
}

#[test]
fn the_console_has_a_file_of_its_own() {
    let script = format!("console.log('init');\n{MANY}");
    let program = Program::script(BINARY, &script);
    let outcome = program.args(["--log-format=raw", "--console-output=console.txt"]).run();
    outcome.expect_code(0);
    let text = outcome.file("console.txt");
    assert!(text.starts_with("init\n") && text.contains(&expected()));
    assert!(outcome.log_lines("line ").is_empty());
}

#[test]
fn an_exception_is_logged_before_the_process_ends() {
    let outcome = Program::script(BINARY, "throw new Error('early')").run();
    outcome.expect_code(107);
    assert_eq!(outcome.log_lines("early").len(), 1);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_an_error() {
    let program = Program::script(BINARY, "export default function () {}");
    let outcome = program.args(["--log-output=file=no/such/folder/run.log"]).run();
    outcome.expect_code(255);
    assert_eq!(outcome.log_lines("no/such/folder/run.log").len(), 1);
}

#[test]
fn a_log_server_that_is_away_holds_nobody_up() {
    // Nobody listens on port 1.
    let program = Program::script(BINARY, MANY);
    let outcome = program.args(["--log-output=loki=http://127.0.0.1:1/push"]).run();
    outcome.expect_code(0).expect_text("could not send the log");
}
