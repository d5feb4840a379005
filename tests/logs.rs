//! Where log lines go, and that none is lost on the way.

use std::time::Duration;

use senary_testkit::{Behaviour, Program, Server, Signal};

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
    let script = format!("console.log('init');\n{MANY}\nexport const setup = () => console.log('set up');");
    let program = Program::script(BINARY, &script);
    let outcome = program.args(["--log-format=raw", "--console-output=console.txt"]).run();
    outcome.expect_code(0);
    let text = outcome.file("console.txt");
    assert!(text.starts_with("set up\n") && text.contains(&expected()));
    assert!(outcome.log_lines("line ").is_empty() && outcome.log_lines("set up").is_empty());
    // What init code says stands in the log, each time it runs.
    assert!(!text.contains("init") && outcome.log_lines("init").len() > 1);
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
    assert_eq!(outcome.log_lines("provided directory 'no/such/folder' does not exist").len(), 1);
}

/// Nothing is ever logged that is graver than an error.
#[test]
fn a_log_of_the_gravest_lines_stays_empty() {
    for level in ["fatal", "panic"] {
        let program = Program::script(BINARY, "export default function () { throw new Error('no') }");
        let outcome = program.arg(format!("--log-output=file=run.log,level={level}")).run();
        outcome.expect_code(0);
        assert_eq!(outcome.file("run.log"), "");
    }
}

#[test]
fn the_level_of_the_log_is_not_the_consoles() {
    let program = Program::script(BINARY, "export default function () { console.log('said so') }");
    let outcome =
        program.args(["--log-output=file=run.log,level=error", "--console-output=console.txt"]).run();
    outcome.expect_code(0);
    assert_eq!((&*outcome.file("run.log"), &*outcome.file("console.txt")), ("", "said so\n"));
}

#[test]
fn a_log_server_that_is_away_holds_nobody_up() {
    // Nobody listens on port 1.
    let program = Program::new(BINARY).file("script.js", MANY).args(["run", "--quiet", "script.js"]);
    let outcome = program.args(["--log-format=json", "--log-output=loki=http://127.0.0.1:1/push"]).run();
    outcome.expect_code(0);
    let lines = outcome.stderr.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        assert_eq!(line["level"], "error", "{line}");
        format!("{} {}", line["msg"], line["error"])
    });
    let expected = [
        r#""could not send the log to http://127.0.0.1:1/push" "connection refused""#,
        r#""20000 log messages did not reach Loki" null"#,
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

/// A proxy may see what is not encrypted, and has to know for whom it is.
#[test]
fn a_log_server_is_reached_through_a_proxy() {
    let proxy = Server::start(Behaviour::HalfClose { reply: "HTTP/1.1 204 No Content\r\n\r\n" });
    let program = Program::script(BINARY, "export default function () { console.log('said so') }");
    let program = program.env("HTTP_PROXY", format!("http://{}", proxy.address()));
    let outcome = program.arg("--log-output=loki=http://logs.test/push,header.X-Scope-OrgID=me").run();
    outcome.expect_code(0);
    let asked = String::from_utf8_lossy(&proxy.received()[0]).into_owned();
    assert!(asked.starts_with("POST http://logs.test/push HTTP/1.1\r\n"), "{asked}");
    for line in
        ["host: logs.test\r\n", "content-type: application/json\r\n", "x-scope-orgid: me\r\n", "said so"]
    {
        assert!(asked.contains(line), "{line:?} is not in {asked}");
    }
}

/// A log server that takes everything and answers nothing.
#[test]
fn a_log_server_without_answers_holds_the_end_up_for_a_while_or_until_a_signal() {
    let server = Server::start(Behaviour::Sink);
    let run = || {
        let program = Program::script(BINARY, "export default function () { console.log('said so') }");
        program.arg(format!("--log-output=loki=http://{}/push", server.address())).start()
    };
    let outcome = run().finish();
    outcome.expect_code(0).expect_text("1 log messages did not reach Loki");
    // A push may take ten seconds.
    assert!(outcome.elapsed < Duration::from_secs(9), "it took {:?}", outcome.elapsed);

    let mut running = run();
    running.wait_for("TOTAL RESULTS");
    // Between the summary and the end of the run a signal would be the first of two.
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::INT);
    let outcome = running.finish();
    outcome.expect_code(0);
    assert_eq!(outcome.stderr, "", "nobody waited until it was clear what is lost");
}

/// A failure in every iteration: a few lines of each kind, and then their number.
#[test]
fn a_failure_that_repeats_is_counted() {
    let script = "
export const options = { scenarios: { default: { executor: 'shared-iterations', vus: 2, iterations: 3000 } } };
export default function () {
  if (__ITER % 2) throw new Error('odd ' + __ITER);
  throw new Error('even ' + __ITER);
}";
    for format in ["text", "json"] {
        let outcome = Program::script(BINARY, script).args(["--quiet", "--log-format", format]).run();
        outcome.expect_code(0);
        // How many of them are odd depends on how two VUs share them.
        let mut failed = 0;
        for kind in ["odd", "even"] {
            let lines = outcome.log_lines(&format!("Error: {kind} "));
            let counted = |line: &&&str| line.contains("more like it");
            let held_back: u64 = lines.iter().filter(counted).map(|line| number_in(line)).sum();
            let written = lines.iter().filter(|line| !counted(line)).count() as u64;
            assert!(written == 10 && held_back > 1000, "{kind}: {written} and {held_back}");
            failed += written + held_back;
        }
        assert_eq!(failed, 3000);
    }
    let all = Program::script(BINARY, script).args(["--quiet", "--log-format=text", "--log-all"]).run();
    assert_eq!(all.log_lines("Error: odd ").len() + all.log_lines("Error: even ").len(), 3000);
}

/// The number in `… and 1,490 more like it`.
fn number_in(line: &str) -> u64 {
    let (_, rest) = line.split_once("… and ").expect("a count");
    let (number, _) = rest.split_once(' ').expect("a number");
    number.replace(',', "").parse().expect("a number")
}

#[test]
fn a_log_format_with_a_typo_is_refused() {
    let outcome = Program::script(BINARY, "export default () => {}").args(["--log-format", "jsn"]).run();
    outcome.expect_code(255).expect_text("did you mean json?");
}

/// A user who turns the log off, or sends it to a file, still has to learn why a command did nothing.
#[test]
fn what_keeps_a_command_from_its_work_is_seen_wherever_the_log_goes() {
    const NO_CODE: &str = "export default function () {}";
    let cases: [(&[&str], i32, &str); 14] = [
        (&["run", "--no-such-flag", "script.js"], 255, "unknown flag: --no-such-flag"),
        (&["run", "--vus=many", "script.js"], 255, "is not a whole number"),
        (&["run", "--out", "nowhere", "script.js"], 255, "invalid output type 'nowhere'"),
        (&["run", "--config=none.json", "script.js"], 104, "none.json"),
        (&["run", "--vus=0", "script.js"], 104, "the number of VUs must be more than 0"),
        (&["run"], 255, "accepts 1 arg(s), received 0"),
        (&["run", "missing.js"], 255, "missing.js"),
        (&["run", "broken.js"], 107, "SyntaxError"),
        (&["run", "aborts.js"], 108, "no target is given"),
        (&["run", "setup.js"], 107, "no database"),
        (&["inspect", "missing.js"], 255, "missing.js"),
        (&["tcp", "127.0.0.1:1"], 255, "there is nothing to send"),
        (&["merge", "missing.json"], 255, "missing.json"),
        (&["walk"], 255, "unknown command"),
    ];
    for (args, code, text) in cases {
        for output in ["none", "file=run.log,level=fatal", "file=run.log", "loki=http://127.0.0.1:1/push"] {
            let program = Program::new(BINARY)
                .file("script.js", NO_CODE)
                .file("broken.js", "export default function ( {}")
                .file(
                    "aborts.js",
                    format!(
                        "import exec from 'k6/execution'; exec.test.abort('no target is given'); {NO_CODE}"
                    ),
                )
                .file(
                    "setup.js",
                    format!("export function setup() {{ throw new Error('no database') }}; {NO_CODE}"),
                );
            let outcome = program.args(args.iter().copied()).env("K6_LOG_OUTPUT", output).run();
            outcome.expect_code(code);
            assert_eq!(outcome.log_lines(text).len(), 1, "{args:?} {output}: {}", outcome.stderr);
            let flag = ["--log-output", output];
            let given = Program::new(BINARY).args(args.iter().copied()).args(flag).run();
            assert!(given.code() != Some(0) && given.stderr.contains("level=error"), "{args:?} {output}");
            if output == "file=run.log" {
                assert!(outcome.file("run.log").contains(text), "the file has it, too");
            }
        }
    }
}

/// What a run has shown stands in its summary.
#[test]
fn results_are_not_told_on_standard_error_where_the_log_is_off() {
    for (options, code) in [
        ("thresholds: { iterations: ['count>5'] }", 99),
        ("thresholds: { checks: ['rate>0.5'] }, strict: true", 121),
    ] {
        let script = format!("export const options = {{ {options} }}; export default function () {{}}");
        let outcome = Program::script(BINARY, &script).arg("--log-output=none").run();
        outcome.expect_code(code);
        assert_eq!(outcome.stderr, "");
    }
    let script = "import exec from 'k6/execution'; export default function () { exec.test.abort('enough') }";
    let outcome = Program::script(BINARY, script).arg("--log-output=none").run();
    outcome.expect_code(108);
    assert_eq!(outcome.stderr, "");
}
