//! One test run by several processes.

use std::time::Duration;

use senary_testkit::{Outcome, Program, Running};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Every iteration says which one it is, by numbers that hold for the whole test.
const SCRIPT: &str = r#"
import exec from "k6/execution"
export const options = {
  scenarios: {
    shared: { executor: "shared-iterations", vus: 9, iterations: 103 },
    each: { executor: "per-vu-iterations", vus: 10, iterations: 3 },
  },
}
export default function () {
  const { name, iterationInTest } = exec.scenario
  console.log(`did: ${name} ${name === "each" ? `${exec.vu.idInTest} ${exec.vu.iterationInScenario}` : iterationInTest}`)
}
"#;

fn run() -> Program {
    Program::new(BINARY).within(BOUND).file("script.js", SCRIPT).args(["run", "--quiet", "--log-format=raw"])
}

/// Which iterations were run, sorted.
fn did<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<&'a str> {
    let lines = outcomes.into_iter().flat_map(|outcome| outcome.expect_code(0).log_lines("did: "));
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines
}

#[test]
fn instances_run_one_test_together() {
    let whole = run().arg("script.js").run();
    for count in [1, 4] {
        // By flags, by variables, and by both.
        let instance = |index: u32| match index % 3 {
            0 => run().arg(format!("--instance-index={index}")).arg(format!("--instance-count={count}")),
            1 => run().env("SENARY_INSTANCE_INDEX", index).env("SENARY_INSTANCE_COUNT", count),
            _ => run().arg(format!("--instance-index={index}")).env("SENARY_INSTANCE_COUNT", count),
        };
        let running: Vec<Running> =
            (0..count).map(|index| instance(index).arg("script.js").start()).collect();
        let parts: Vec<Outcome> = running.into_iter().map(Running::finish).collect();
        assert_eq!(did(&parts), did([&whole]), "{count} instances");
        assert!(parts.iter().all(|part| !did([part]).is_empty()));
    }
}

/// What the script sees, and what is written of each sample.
#[test]
fn an_instance_is_a_segment_and_a_tag() {
    let script = r#"
import exec from "k6/execution"
export default function () {
  const { executionSegment, executionSegmentSequence, tags } = exec.test.options
  console.log("runs:", executionSegment, executionSegmentSequence, JSON.stringify(tags))
}
"#;
    let run = |arguments: &[&str]| {
        let program =
            Program::new(BINARY).file("script.js", script).args(["run", "--quiet", "--log-format=raw"]);
        let program = program.args(["--vus=3", "--iterations=3", "--instance-index=1", "--instance-count=3"]);
        let outcome =
            program.args(["--out=json=samples.json", "script.js"]).args(arguments.iter().copied()).run();
        outcome.expect_code(0);
        outcome
    };
    let tags = |outcome: &Outcome| -> Vec<String> {
        let lines: Vec<Value> = outcome
            .file("samples.json")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let points = lines.iter().filter(|line| line["type"] == "Point" && line["metric"] == "iterations");
        points.map(|point| point["data"]["tags"]["instance_id"].to_string()).collect()
    };
    let outcome = run(&[]);
    outcome.expect_text(r#"runs: 1/3:2/3 0,1/3,2/3,1 {"instance_id":"1"}"#);
    assert_eq!(tags(&outcome), [r#""1""#]);
    // A tag of the user's own wins; others stay.
    let outcome = run(&["--tag", "instance_id=frankfurt", "--tag", "a=b"]);
    outcome.expect_text(r#"{"a":"b","instance_id":"frankfurt"}"#);
    assert_eq!(tags(&outcome), [r#""frankfurt""#]);
}

#[test]
fn numbers_of_no_instance_are_refused() {
    for (arguments, code, text) in [
        (
            &["--instance-index=4", "--instance-count=4"][..],
            104,
            "from 0 to 3 with 4 instances, but is 4: the first",
        ),
        (&["--instance-index=-1", "--instance-count=4"], 104, "from 0 to 3 with 4 instances, but is -1"),
        (&["--instance-index=0", "--instance-count=0"], 104, "must be a number from 1 to 10000, but is 0"),
        (&["--instance-index=0", "--instance-count=1000000"], 104, "must be a number from 1 to 10000"),
        (&["--instance-index=0"], 104, "without --instance-count (SENARY_INSTANCE_COUNT)"),
        (&["--instance-count=4"], 104, "which of the 4 instances this is, too, from 0 to 3"),
        (&["--instance-index=first", "--instance-count=2"], 255, r#""first" is not a whole number"#),
        (
            &["--instance-index=0", "--instance-count=2", "--execution-segment=0:1/2"],
            104,
            "executionSegment (--execution-segment) is set, too: leave out one of the two",
        ),
        (
            &["--instance-index=0", "--instance-count=2", "--execution-segment-sequence=0,1/2,1"],
            104,
            "executionSegmentSequence (--execution-segment-sequence) is set, too",
        ),
    ] {
        let outcome = run().args(arguments.iter().copied()).arg("script.js").run();
        outcome.expect_code(code).expect_text(text);
        assert!(outcome.log_lines("did:").is_empty(), "{arguments:?}");
    }
    let of_script = "export const options = { executionSegment: '0:1/2' }; export default function () {}";
    let numbers = ["--instance-index=0", "--instance-count=2"];
    let outcome = Program::script(BINARY, of_script).args(numbers).run();
    outcome.expect_code(104).expect_text("executionSegment (--execution-segment) is set, too");
    let outcome =
        run().env("SENARY_INSTANCE_INDEX", "x").env("SENARY_INSTANCE_COUNT", 2).arg("script.js").run();
    outcome.expect_code(104).expect_text("SENARY_INSTANCE_INDEX");
    // A variable that is set to nothing is not set.
    let outcome =
        run().env("SENARY_INSTANCE_INDEX", "").env("SENARY_INSTANCE_COUNT", "").arg("script.js").run();
    assert_eq!(did([&outcome]).len(), 133);
}

/// Whoever packs a test, packs the whole of it, and may give `archive` what is meant for `run`.
#[test]
fn an_archive_is_of_the_whole_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.tar");
    let packed = Program::new(BINARY)
        .file("script.js", SCRIPT)
        .env("SENARY_INSTANCE_INDEX", 0)
        .env("SENARY_INSTANCE_COUNT", 2)
        .args(["archive", "script.js", "-O"])
        .arg(&path)
        .args(["--report", "report.html", "--instance-count=3"])
        .args([
            "--workers=1",
            "--features",
            "freeze-env",
            "--dashboard",
            "-o",
            "json=samples.json",
            "--linger",
        ])
        .run();
    packed.expect_code(0);
    assert_eq!((packed.stdout.as_str(), packed.stderr.as_str()), ("", ""));
    let help = Program::new(BINARY).args(["archive", "--help"]).run();
    assert!(!help.stdout.contains("--report"), "{}", help.stdout);
    let archive = path.to_str().expect("a path of text");
    let outcome = Program::new(BINARY).args(["run", "--quiet", "--log-format=raw", archive]).run();
    assert_eq!(did([&outcome]).len(), 133);
}
