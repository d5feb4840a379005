//! What the reference's Kubernetes operator does with it: packs a test, asks what it needs, starts one process per
//! execution segment, paused, probes them, lets them go with one PATCH each, and may stop them with another.
//! Each process has an address of its own on the loopback network, as each pod would.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use senary_testkit::{Outcome, Program, Running, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(40);

/// Every iteration says which one it is, by numbers that hold for the whole test.
const SCRIPT: &str = r#"
import exec from "k6/execution"
import { greeting } from "./lib/words.js"

const table = JSON.parse(open("./table.json"))

export const options = {
  scenarios: {
    shared: { executor: "shared-iterations", vus: 9, iterations: 101 },
    each: { executor: "per-vu-iterations", vus: 7, iterations: 3 },
    rate: { executor: "constant-arrival-rate", rate: 20, duration: "2s", preAllocatedVUs: 40 },
  },
  thresholds: { iterations: ["count>0"] },
}

export default function () {
  const number = exec.scenario.name === "each" ? `VU ${exec.vu.idInTest}` : exec.scenario.iterationInTest
  console.log(`${greeting} ${__ENV.WHO} ${table.n}: ${exec.scenario.name} ${number}`)
}
"#;

/// One instance of a test, and where it is asked.
struct Instance {
    running: Running,
    address: String,
}

impl Instance {
    /// Starts `run` the way a pod does. `number` tells the instances of all tests in this file apart.
    fn start(number: u8, arguments: &[&str], script: &Path) -> Self {
        // The whole of 127.0.0.0/8 is loopback: nobody else is there, whatever ports are in use.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let address =
            format!("127.{}.{low}.{}:6565", 64 + (high & 63), u16::from(high >> 6) * 60 + u16::from(number));
        let script = script.to_str().expect("a path of text");
        let program = Program::new(BINARY).within(BOUND).args(["run", "--quiet"]);
        let program = program.args(arguments.iter().copied()).arg(script).arg(format!("--address={address}"));
        let tags = format!("instance_id={number}");
        let program =
            program.args(["--paused", "--tag", &tags, "--tag", "testrun_name=t", "--log-format=raw"]);
        let instance = Self { running: program.start(), address };
        instance.wait_until("it answers and is paused", |status| status["paused"] == true);
        instance
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(BOUND)).ok()?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}", self.address);
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn status(&self) -> Option<Value> {
        let (code, body) = self.ask("GET", "/v1/status", "")?;
        assert_eq!(code, 200, "{body}");
        let document: Value = serde_json::from_str(&body).expect("the status is JSON");
        Some(document["data"]["attributes"].clone())
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        while !self.status().is_some_and(|status| holds(&status)) {
            assert!(started.elapsed() < BOUND, "{what}: {:?}", self.status());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The operator's PATCH; gives back the attributes of the answer.
    fn patch(&self, attributes: Value) -> Value {
        let body = json!({"data": {"attributes": attributes, "id": "default", "type": "status"}}).to_string();
        let (code, body) = self.ask("PATCH", "/v1/status", &body).expect("an answer");
        assert_eq!(code, 200, "{body}");
        let document: Value = serde_json::from_str(&body).expect("the status is JSON");
        document["data"]["attributes"].clone()
    }

    fn let_go(&self) {
        let status = self.patch(json!({"paused": false, "stopped": false}));
        assert_eq!((&status["paused"], &status["stopped"]), (&json!(false), &json!(false)));
    }

    fn finish(self) -> Outcome {
        self.running.finish()
    }
}

/// Packs the script; the archive lives as long as the folder.
fn archive() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.archived.tar");
    let packed = Program::new(BINARY)
        .file("script.js", SCRIPT)
        .file("lib/words.js", "export const greeting = 'hello'")
        .file("table.json", r#"{"n": 21}"#)
        .args(["archive", "script.js", "-e", "WHO=operator", "-O", path.to_str().expect("a path of text")])
        .run();
    packed.expect_code(0);
    assert_eq!((packed.stdout.as_str(), packed.stderr.as_str()), ("", ""));
    (folder, path)
}

/// What the iterations of a scenario said, sorted.
fn said<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, scenario: &str) -> Vec<String> {
    let prefix = format!("hello operator 21: {scenario} ");
    let mut lines: Vec<String> = outcomes
        .into_iter()
        .flat_map(|outcome| outcome.stderr.lines().filter_map(|line| line.strip_prefix(&prefix)))
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn four_instances_run_exactly_one_test() {
    let (_folder, path) = archive();
    let path_text = path.to_str().expect("a path of text");

    let inspected = Program::new(BINARY).args(["inspect", "--execution-requirements", path_text]).run();
    inspected.expect_code(0);
    assert_eq!(inspected.stderr, "");
    let requirements: Value = serde_json::from_str(&inspected.stdout).expect("nothing but JSON");
    assert_eq!(requirements["maxVUs"], 56);
    assert_eq!(requirements["totalDuration"], "10m30s");
    assert_eq!(requirements["thresholds"]["iterations"], json!(["count>0"]));

    let instances: Vec<Instance> = (1u8..=4)
        .map(|n| {
            let segment = format!("--execution-segment={}/4:{n}/4", n - 1);
            Instance::start(n, &[&segment, "--execution-segment-sequence=0,1/4,2/4,3/4,1"], &path)
        })
        .collect();
    for instance in &instances {
        // Everything is made, nothing has begun.
        instance.wait_until("it is ready", |status| status["status"] == 4);
        let status = instance.status().expect("an answer");
        assert_eq!((&status["running"], &status["vus"]), (&json!(false), &json!(0)));
    }
    instances.iter().for_each(Instance::let_go);
    let parts: Vec<Outcome> = instances.into_iter().map(Instance::finish).collect();
    parts.iter().for_each(|part| {
        part.expect_code(0);
    });

    let whole =
        Program::new(BINARY).within(BOUND).args(["run", "--quiet", "--log-format=raw", path_text]).run();
    whole.expect_code(0);
    for (scenario, iterations) in [("shared", 101), ("each", 21)] {
        let together = said(&parts, scenario);
        assert_eq!(together.len(), iterations, "{scenario}");
        assert_eq!(together, said([&whole], scenario), "{scenario}");
    }
    // The very last start of a rate falls on its end, and may or may not happen; others have their place.
    let starts = said(&parts, "rate");
    let numbers: BTreeSet<u64> = starts.iter().map(|n| n.parse().expect("a number")).collect();
    assert_eq!(numbers.len(), starts.len(), "no start happens twice: {starts:?}");
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "none is missing: {starts:?}");
    assert!((40..=41).contains(&numbers.len()), "{starts:?}");
    // Everybody had a part of it.
    assert!(parts.iter().all(|part| !said([part], "shared").is_empty()));
}

#[test]
fn a_running_test_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.js");
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "1h" }
export default function () { sleep(3600) }
export function teardown() { console.log("teardown ran") }
"#;
    std::fs::write(&path, script).expect("a file");
    let instance = Instance::start(11, &[], &path);
    instance.let_go();
    instance.wait_until("it runs", |status| status["running"] == true && status["vus"] == 2);
    assert_eq!(instance.patch(json!({"stopped": true}))["stopped"], true);
    let stopped = instance.finish();
    stopped.expect_code(103).expect_text("test run stopped from REST API").expect_text("teardown ran");
}

#[test]
fn a_paused_test_is_stopped_too() {
    let (_folder, path) = archive();
    let instance = Instance::start(12, &[], &path);
    instance.patch(json!({"paused": true, "stopped": true}));
    let stopped = instance.finish();
    stopped.expect_code(103);
    assert!(said([&stopped], "shared").is_empty());
}

/// Whoever stops it may want to know what came of it: only a signal ends a lingering process.
#[test]
fn a_stopped_test_lingers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.js");
    let script = "import { sleep } from 'k6'\nexport default function () { sleep(Number(__ENV.SECONDS)) }";
    std::fs::write(&path, script).expect("a file");
    for (number, seconds, phase, code) in [(13, "3600", 10, 103), (14, "0", 9, 0)] {
        let mut instance = Instance::start(number, &["--linger", "-e", &format!("SECONDS={seconds}")], &path);
        instance.let_go();
        let is_before = phase == 10;
        if is_before {
            instance.wait_until("it runs", |status| status["vus"] == 1);
        } else {
            instance.wait_until("it is over", |status| status["status"] == 9);
        }
        assert_eq!(instance.patch(json!({"stopped": true}))["stopped"], true);
        instance.wait_until("it is over", |status| status["status"] == phase);
        // Time to end, if it did.
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(instance.status().expect("it still answers")["stopped"], true);
        instance.running.signal(Signal::INT);
        instance.finish().expect_code(code);
    }
}

#[test]
fn setup_runs_once_for_all_instances() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.js");
    let script = r#"
export const options = { vus: 2, iterations: 2 }
export function setup() { console.log("setup ran"); return { token: `${__ENV.WHO} set this up` } }
export default function (data) { console.log(data.token) }
export function teardown(data) { console.log(`teardown: ${data.token}`) }
"#;
    std::fs::write(&path, script).expect("a file");
    let start = |number, who: &str| {
        let who = format!("WHO={who}");
        Instance::start(number, &["--no-setup", "--no-teardown", "--linger", "-e", &who], &path)
    };
    let (first, second) = (start(21, "first"), start(22, "second"));
    let (code, answer) = first.ask("POST", "/v1/setup", "").expect("an answer");
    assert_eq!(code, 200, "{answer}");
    let document: Value = serde_json::from_str(&answer).expect("JSON");
    let data = document["data"]["attributes"]["data"].to_string();
    let (code, answer_of_put) = second.ask("PUT", "/v1/setup", &data).expect("an answer");
    assert_eq!((code, answer_of_put), (200, answer));

    first.let_go();
    second.let_go();
    for instance in [&first, &second] {
        instance.wait_until("it is over", |status| status["status"] == 9 && status["running"] == false);
    }
    assert_eq!(first.ask("POST", "/v1/teardown", "").expect("an answer").0, 200);
    let outcomes = [first, second].map(|mut instance| {
        instance.running.signal(Signal::INT);
        instance.finish()
    });
    for outcome in &outcomes {
        outcome.expect_code(0);
        assert_eq!(
            outcome.log_lines("first set this up").iter().filter(|l| !l.contains("teardown")).count(),
            2
        );
    }
    let [first, second] = outcomes;
    assert_eq!((first.log_lines("setup ran").len(), second.log_lines("setup ran").len()), (1, 0));
    first.expect_text("teardown: first set this up");
    assert!(second.log_lines("teardown").is_empty());
}

#[test]
fn a_test_without_setup_is_asked_for_it_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.js");
    std::fs::write(&path, "export default function (data) { console.log(`given ${data}`) }").expect("a file");
    let instance = Instance::start(23, &["--no-setup", "--no-teardown", "--linger"], &path);
    let (code, answer) = instance.ask("POST", "/v1/setup", "").expect("an answer");
    assert_eq!((code, &*answer), (200, r#"{"data":{"type":"setupData","id":"default","attributes":{}}}"#));
    instance.let_go();
    instance.wait_until("it is over", |status| status["status"] == 9 && status["running"] == false);
    assert_eq!(instance.ask("POST", "/v1/teardown", "").expect("an answer"), (200, String::new()));
    let mut instance = instance;
    instance.running.signal(Signal::INT);
    let outcome = instance.finish();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("given").first(), Some(&"given undefined"));
}
