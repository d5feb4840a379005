//! Where results go may be full, or gone: the run goes on, says what was lost, and keeps what can be kept.

use std::process::{Command, Stdio};
use std::time::Duration;

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

const SCRIPT: &str = r#"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = { iterations: 20 }
export default function () {
  for (let i = 0; i < (__ENV.SHORT ? 5 : 500); i++) hits.add(1)
  console.log("did", __ITER)
}
"#;

fn run(args: &[&str]) -> Outcome {
    let outcome = Program::script(BINARY, SCRIPT).args(args.iter().copied()).within(BOUND).run();
    outcome.expect_code(0).expect_value("hits", "count", 10_000.0).expect_text("TOTAL RESULTS");
    outcome
}

#[test]
fn a_disk_without_room_for_an_output() {
    for (output, named) in [("json=/dev/full", "json (/dev/full)"), ("csv=/dev/full", "csv (/dev/full)")] {
        // The other output gets everything.
        let outcome = run(&["--out", output, "--out", "json=samples.json"]);
        outcome.expect_text(&format!(
            "The output {named} failed and gets no more samples: no space left on device"
        ));
        outcome.expect_text(&format!("The output {named} is incomplete: up to "));
        let hits = r#"{"metric":"hits","type":"Point""#;
        assert_eq!(outcome.file("samples.json").matches(hits).count(), 10_000);
    }
}

#[test]
fn a_disk_without_room_for_the_log() {
    let outcome = run(&["--log-output=file=/dev/full"]);
    assert_eq!(outcome.log_lines("could not write to the log file").len(), 1, "{}", outcome.stderr);
    let outcome = run(&["--console-output=/dev/full"]);
    assert_eq!(outcome.log_lines("could not write to the log file").len(), 1, "{}", outcome.stderr);
}

#[test]
fn a_disk_without_room_for_the_summary() {
    let program = Program::new(BINARY).file("script.js", SCRIPT).within(BOUND);
    let outcome = program.args(["run", "--quiet", "--summary-export=/dev/full", "script.js"]).run();
    outcome.expect_code(0).expect_text("TOTAL RESULTS").expect_text("could not write to '/dev/full'");
}

/// The kernel's default for a process that passes its limit is to end it.
#[test]
fn a_limit_of_file_sizes_is_an_error_of_the_output() {
    let command = format!("ulimit -f 64; exec {BINARY} run --quiet --out json=samples.json script.js");
    let program = Program::new("/bin/sh").file("script.js", SCRIPT).within(BOUND);
    let outcome = program.args(["-c", &command]).run();
    outcome.expect_code(0).expect_text("The output json (samples.json) failed").expect_text("TOTAL RESULTS");
    // What was written before is whole, but for the last line.
    let text = outcome.file("samples.json");
    let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
    assert!(
        lines.len() > 50
            && lines
                .iter()
                .all(|line| line.starts_with('{') && line.ends_with("}}\n")
                    || line.contains(r#""type":"Metric""#)),
        "{} lines",
        lines.len()
    );
}

/// Standard output and standard error are pipes that nobody reads any more.
#[test]
fn nobody_reads_the_output() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("script.js"), SCRIPT).expect("a file");
    for args in [&["--out", "json"][..], &["--log-output=stdout"], &["--linger", "--address=127.0.0.1:0"]] {
        let mut child = Command::new(BINARY)
            .args(["run", "--summary-export=summary.json", "script.js"])
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        drop(child.stderr.take());
        let summary = folder.path().join("summary.json");
        let started = std::time::Instant::now();
        let mut is_told = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            let text = std::fs::read_to_string(&summary).unwrap_or_default();
            if args.contains(&"--linger") && !is_told && text.trim_end().ends_with('}') {
                // It lingers, or is about to.
                std::thread::sleep(Duration::from_millis(300));
                is_told = rustix::process::kill_process(
                    rustix::process::Pid::from_child(&child),
                    rustix::process::Signal::INT,
                )
                .is_ok();
            }
            if started.elapsed() > BOUND {
                child.kill().ok();
                panic!("it has not ended with {args:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0), "{args:?}");
        let text = std::fs::read_to_string(&summary).expect("the summary");
        let summary_json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(summary_json["metrics"]["hits"]["count"], 10_000, "{args:?}");
        std::fs::remove_file(summary).expect("it is there");
    }
}

/// A shell's command in the folder of the script.
fn shell(command: &str) -> Outcome {
    let program = Program::new("/bin/bash").file("script.js", SCRIPT).within(BOUND);
    program.args(["-c", command]).run()
}

/// Nobody reads them: what is written is little enough for the pipe, and nothing waits for a reader.
#[test]
fn outputs_may_be_fifos() {
    for flag in
        ["--out=json=f", "--out=csv=f", "--console-output=f", "--log-output=file=f", "--summary-export=f"]
    {
        let outcome =
            shell(&format!("mkfifo f; exec {BINARY} run --iterations 1 --env SHORT=1 {flag} script.js"));
        outcome.expect_code(0).expect_text("TOTAL RESULTS");
    }
    let read = shell(&format!("mkfifo f; cat f > copy & {BINARY} run --quiet --out json=f script.js; wait"));
    let hits = r#"{"metric":"hits","type":"Point""#;
    assert_eq!(read.expect_code(0).file("copy").matches(hits).count(), 10_000);
}

/// A reader that stops reading loses its lines, and the run its time, but not its summary.
#[test]
fn a_stuck_reader_does_not_take_the_summary() {
    let outcome = shell(&format!("mkfifo f; exec {BINARY} run --out json=f --console-output=f script.js"));
    outcome.expect_code(0).expect_text("TOTAL RESULTS").expect_text("hits.................: 10000 ");
    outcome.expect_text("nothing was read from it for 5 s");
}

/// The first signal ends a wait for somebody who writes.
#[test]
fn waiting_for_input_ends_at_the_first_signal() {
    for (name, run) in [
        ("script", "run f"),
        ("import", "run -e KIND=import ask.js"),
        ("open", "run open.js"),
        ("fs", "run fs.js"),
        ("standard input", "run - < f2"),
        ("config", "run --config f script.js"),
        ("secrets", "run --secret-source=file=f script.js"),
    ] {
        let files = [
            ("ask.js", r#"import "./f"; export default () => {}"#),
            ("open.js", r#"open("f"); export default () => {}"#),
            (
                "fs.js",
                r#"import { open } from "k6/experimental/fs"; await open("f"); export default () => {}"#,
            ),
        ];
        let program = Program::new("/bin/bash").file("script.js", SCRIPT).within(BOUND);
        let program = files.into_iter().fold(program, |program, (name, text)| program.file(name, text));
        // A FIFO that is open for writing says nothing and does not end.
        let command =
            format!("mkfifo f f2; exec 9<>f2; exec timeout --preserve-status -s INT -k 30 2 {BINARY} {run}");
        let outcome = program.args(["-c", &command]).run();
        println!("{name}: {}", outcome.stderr);
        outcome.expect_code(105);
    }
}

#[test]
fn input_may_come_from_a_command_and_has_to_end() {
    let outcome = shell(&format!("exec {BINARY} run <(sleep 0.2; cat script.js)"));
    outcome.expect_code(0).expect_text("hits.................: 10000 ");
    for run in
        ["run /dev/zero", "run --config /dev/zero script.js", "run --secret-source=file=/dev/zero script.js"]
    {
        let outcome = shell(&format!("exec {BINARY} {run}"));
        outcome.expect_text("it is not a regular file and has more than 256 MiB");
    }
}
