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
  for (let i = 0; i < 500; i++) hits.add(1)
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
