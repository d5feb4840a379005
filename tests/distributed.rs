//! One test run by several processes: instances that are told their numbers, and the walk through docs/distributed.md.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use senary_testkit::{Outcome, Program, Running};
use serde_json::Value;
use tempfile::TempDir;

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

/// The walk through docs/distributed.md: its commands, in a shell, in one folder. Its ssh and scp are stand-ins, for which each
/// machine is a folder.
struct Walk {
    page: String,
    folder: TempDir,
    port: u16,
}

const SSH: &str = r#"#!/bin/sh
if [ "$1" = -n ]; then shift; fi
cd "$MACHINES/$1" && shift && exec sh -c "$*"
"#;

const SCP: &str = r#"#!/bin/sh
place() { case $1 in *:*) echo "$MACHINES/${1%%:*}/${1#*:}" ;; *) echo "$1" ;; esac; }
shift
cp "$(place "$1")" "$(place "$2")"
"#;

impl Walk {
    fn new() -> Self {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/distributed.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        for name in ["bin", "generator1", "generator2", "generator3", "generator4"] {
            std::fs::create_dir(place(name)).expect("a folder");
        }
        symlink(BINARY, place("bin/senary")).expect("a link");
        for (name, script) in [("bin/ssh", SSH), ("bin/scp", SCP)] {
            std::fs::write(place(name), script).expect("a file");
            std::fs::set_permissions(place(name), Permissions::from_mode(0o755)).expect("a program");
        }
        // Nobody else takes it in the moment until the server listens.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let walk = Self { page, folder, port };
        std::fs::write(walk.folder.path().join("script.js"), walk.block("js")).expect("a file");
        walk
    }

    /// The text of the only block of code with this mark.
    fn block(&self, mark: &str) -> String {
        let blocks: Vec<&str> = self.page.split(&format!("```{mark}\n")).collect();
        assert_eq!(blocks.len(), 2, "{mark}");
        let block = blocks[1].split("```").next().expect("the block");
        // Each walk has an address of its own for its instances: the whole of 127.0.0.0/8 is loopback.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let host = format!("127.{}.{low}.{}:650", 64 + (high & 63), self.port % 250 + 1);
        block.replace("7000", &self.port.to_string()).replace("127.0.0.1:650", &host)
    }

    fn shell(&self, commands: &str) -> Program {
        let folder = self.folder.path().display();
        Program::new("/bin/sh")
            .within(BOUND)
            .args(["-c", &format!("cd '{folder}' && {commands}")])
            .env("PATH", format!("{folder}/bin:/usr/bin:/bin"))
            .env("MACHINES", folder)
            .env("DURATION", "2s")
            .env("K6_WEB_DASHBOARD_PORT", "0")
    }

    fn run(&self, mark: &str) -> Outcome {
        self.shell(&self.block(&format!("sh {mark}"))).run()
    }

    fn serve(&self) -> Running {
        let mut server = self.shell(&format!("exec {}", self.block("sh server"))).start();
        server.wait_for(&self.port.to_string());
        server
    }

    fn iterations(outcome: &Outcome) -> u64 {
        Self::count(outcome, "iterations..").unwrap_or_else(|| outcome.fail("no iterations in the summary"))
    }

    /// How many iterations were due. On a machine that stands still for a moment, some are dropped.
    fn due(outcome: &Outcome) -> u64 {
        Self::iterations(outcome) + Self::count(outcome, "dropped_iterations..").unwrap_or(0)
    }

    fn count(outcome: &Outcome, metric: &str) -> Option<u64> {
        // The last summary: instances that ran by ssh have printed theirs before.
        let (_, summary) = outcome.stdout.rsplit_once("TOTAL RESULTS")?;
        let line = summary.lines().find(|line| line.trim_start().starts_with(metric))?;
        line.split(": ").nth(1)?.split_whitespace().next()?.parse().ok()
    }
}

#[test]
fn the_page_on_plain_processes_can_be_followed() {
    let walk = Walk::new();
    let _server = walk.serve();
    walk.run("run").expect_code(0);
    let merged = walk.run("merge");
    merged.expect_code(0).expect_text("'rate==1' rate=100.00%");
    // 400 per second for two seconds; the very last start falls on the end.
    assert!((799..=801).contains(&Walk::due(&merged)), "{}", merged.stdout);
    for segment in ["0:1/4", "1/4:1/2", "1/2:3/4", "3/4:1"] {
        merged.expect_text(segment);
    }
    let summary = std::fs::read_to_string(walk.folder.path().join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["metrics"]["iterations"]["count"].as_u64(), Some(Walk::iterations(&merged)));

    walk.run("report").expect_code(0);
    let report = std::fs::read_to_string(walk.folder.path().join("report.html")).expect("a report");
    assert!(report.contains("<title>Passed: script.js</title>"));

    walk.run("lose").expect_code(0);
    let refused = walk.run("refuse");
    assert_ne!(refused.code(), Some(0));
    refused.expect_text("1/2:3/4").expect_text("--partial");
    let partial = walk.run("partial");
    partial.expect_code(0).expect_text("1/2:3/4");
    assert!((599..=601).contains(&Walk::due(&partial)), "{}", partial.stdout);
}

#[test]
fn the_page_on_running_instances_can_be_followed() {
    let walk = Walk::new();
    let _server = walk.serve();
    let collected = walk.run("collect");
    collected.expect_code(0).expect_text("'rate==1' rate=100.00%");
    assert!((799..=801).contains(&Walk::due(&collected)), "{}", collected.stdout);
    assert!(walk.folder.path().join("report.html").exists());
    let watched = walk
        .shell(&format!("export TCP_HOST=127.0.0.1 TCP_PORT={}; {}", walk.port, walk.block("sh dashboard")))
        .run();
    watched.expect_code(0).expect_text("web dashboard: http://127.0.0.1:");
    assert!((799..=801).contains(&Walk::due(&watched)), "{}", watched.stdout);
}

#[test]
fn the_page_on_setup_can_be_followed() {
    let walk = Walk::new();
    std::fs::write(walk.folder.path().join("setup.js"), walk.block("js setup")).expect("a file");
    for block in ["sh setup-data", "sh setup-data", "sh start"] {
        let outcome = walk.shell(&walk.block(block)).run();
        outcome.expect_code(0);
        let times = |text: &str| outcome.log_lines(text).len();
        assert_eq!([times("setup() runs"), times("teardown() runs")], [1, 1], "{block}: {}", outcome.stderr);
        assert!(Walk::iterations(&outcome) > 50, "{}", outcome.stdout);
        assert!(!outcome.stderr.contains("who has set me up"), "{}", outcome.stderr);
    }
}

#[test]
fn the_page_on_ssh_can_be_followed() {
    let walk = Walk::new();
    let _server = walk.serve();
    let merged = walk.run("ssh");
    merged.expect_code(0).expect_text("'rate==1' rate=100.00%");
    assert!((799..=801).contains(&Walk::due(&merged)), "{}", merged.stdout);
}

/// The script of the page is the one of the manifests.
#[test]
fn the_page_and_the_manifests_have_one_script() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/kubernetes/script.yaml");
    let manifest = std::fs::read_to_string(manifest).expect("the manifest");
    let walk = Walk::new();
    for line in walk.block("js").lines() {
        assert!(manifest.contains(line), "{line}");
    }
}
