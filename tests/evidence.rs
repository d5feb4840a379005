//! A run whose service did not work says so: what went wrong, how often, where and when.

use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Server, Signal};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);
const TITLE: &str = "    WHAT WENT WRONG\n";

/// The lines of the section, without the empty ones.
fn section(outcome: &Outcome) -> Vec<&str> {
    let Some((_, section)) = outcome.stdout.split_once(TITLE) else { return Vec::new() };
    section.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|l| !l.is_empty()).collect()
}

/// The first line of the section has all of these words.
fn expect_first(outcome: &Outcome, words: &[&str]) {
    let lines = section(outcome);
    let first = lines.first().copied().unwrap_or_default();
    assert!(words.iter().all(|word| first.contains(word)), "{words:?} in {first:?}\n{}", outcome.stdout);
}

fn failures(outcome: &Outcome) -> Vec<Value> {
    let summary: Value = serde_json::from_str(&outcome.file("data.json")).expect("the summary has it");
    summary["failures"].as_array().cloned().unwrap_or_default()
}

/// How many failures of a kind the summary's data has.
fn count(failures: &[Value], kind: &str) -> u64 {
    failures
        .iter()
        .filter(|f| f["kind"] == kind)
        .map(|f| f["count"].as_u64().expect("the summary has it"))
        .sum()
}

const KEEP_DATA: &str = r#"
export function handleSummary(data) { return { "data.json": JSON.stringify(data) } }
"#;

const REFUSED: &str = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 2, iterations: 6 }
export default async function () {
  const socket = new Socket()
  try { await socket.connect(1, "127.0.0.1") } catch {}
}
"#;

#[test]
fn a_refused_connect_is_named_though_the_script_catches_it() {
    let outcome = Program::script(BINARY, REFUSED).within(BOUND).run();
    outcome.expect_code(0);
    expect_first(&outcome, &["connect failed 6 times with ECONNREFUSED", "connection refused"]);
    assert!(section(&outcome)[1].contains("first after "), "{}", outcome.stdout);

    let outcome = Program::script(BINARY, &format!("{REFUSED}{KEEP_DATA}")).within(BOUND).run();
    let failures = failures(&outcome);
    let only = &failures[0];
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(
        (&only["kind"], &only["code"], &only["method"]),
        (&"socket".into(), &"ECONNREFUSED".into(), &"connect".into())
    );
    assert!(only["first"].as_str().unwrap() <= only["last"].as_str().unwrap(), "{only}");
    let export: Value = {
        let machine =
            Program::script(BINARY, REFUSED).arg("--new-machine-readable-summary").within(BOUND).run();
        serde_json::from_str(&machine.file("summary.json")).unwrap()
    };
    assert_eq!(export["failures"][0]["count"], 6, "{export}");
}

#[test]
fn where_nothing_went_wrong_nothing_is_said() {
    let outcome = Program::script(BINARY, "export default function () {}").run();
    outcome.expect_code(0);
    assert!(!outcome.stdout.contains(TITLE), "{}", outcome.stdout);
    let outcome = Program::script(BINARY, REFUSED).arg("--summary-mode=disabled").within(BOUND).run();
    assert!(!outcome.stdout.contains(TITLE), "{}", outcome.stdout);
}

#[test]
fn an_answer_that_never_comes_is_told_apart_from_a_result() {
    let server = Server::start(Behaviour::HalfClose { reply: "220 hi\r\n" });
    let script = r#"import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const answer = new Promise((resolve) => socket.on("data", (data) => { if (data.length > 100) resolve(data) }))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
  await answer
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 1.0);
    let closed = format!("{} closed the connection (1 B sent, 8 B received)", server.address());
    expect_first(&outcome, &["1 iteration never got what it awaited", &closed]);
    assert!(section(&outcome)[1].contains("script.js:7:3"), "{}", outcome.stdout);
}

#[test]
fn a_silent_server_is_named_when_iterations_are_cut_off() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"import { Socket } from "k6/x/tcp"
export const options = { scenarios: { s: { executor: "constant-vus", vus: 3, duration: "1s", gracefulStop: "0s" } } }
export default async function () {
  const socket = new Socket()
  const answer = new Promise((resolve) => socket.on("data", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("hello")
  await answer
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    let peer = format!("connected to {} (5 B sent, 0 B received)", server.address());
    expect_first(&outcome, &["3 iterations were cut off", &peer]);
    assert!(section(&outcome)[1].contains("script.js:8:3"), "{}", outcome.stdout);
}

#[test]
fn exceptions_are_told_apart_by_place_and_not_by_numbers() {
    let script = r#"import { check } from "k6"
export const options = { iterations: 10, thresholds: { checks: ["rate>0.9"] } }
export default async function () {
  check(1, { "is two": (n) => n === 2 })
  if (__ITER % 5 === 0) throw new Error(`no user ${__ITER}`)
  if (__ITER % 5 === 1) await Promise.reject(new Error("not today"))
}
"#;
    let outcome = Program::script(BINARY, &format!("{script}{KEEP_DATA}")).within(BOUND).run();
    outcome.expect_code(99);
    let failures = failures(&outcome);
    assert_eq!(
        (count(&failures, "exception") + count(&failures, "rejection"), count(&failures, "check")),
        (4, 10)
    );
    assert_eq!(count(&failures, "threshold"), 1);
    let thrown =
        failures.iter().find(|f| f["text"] == "Error: no user 0").unwrap_or_else(|| panic!("{failures:?}"));
    assert_eq!(thrown["count"], 2);
    assert!(thrown["place"].as_str().unwrap().contains("script.js:5:"), "{thrown}");
    let check = failures.iter().find(|f| f["kind"] == "check").unwrap();
    assert_eq!(check["name"], "is two");
    assert!(check["place"].as_str().unwrap().contains("script.js:4:3"), "{check}");
}

#[test]
fn setup_that_fails_is_the_first_thing_told() {
    let script = r#"
export function setup() { throw new Error("no database") }
export default function () {}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(107);
    expect_first(&outcome, &["setup() failed: ", "no database"]);
}

/// Iterations that return, throw, never settle or take long, each of which says so and to the server before anything
/// else.
const MIXED: &str = r#"
import { Socket } from "k6/x/tcp"
import { Counter } from "k6/metrics"
const begun = new Counter("begun")
export async function mixed() {
  begun.add(1)
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("b")
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
  if (__ITER % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 3000))
  socket.destroy()
  await closed
  if (__ITER % 4 === 1) throw new Error("on purpose")
  if (__ITER % 4 === 2) await new Promise(() => {})
}
"#;

const EXECUTORS: [&str; 6] = [
    r#"executor: "constant-vus", vus: 8, duration: "1s""#,
    r#"executor: "ramping-vus", startVUs: 1, stages: [{ target: 8, duration: "500ms" }, { target: 0, duration: "500ms" }], gracefulRampDown: "100ms""#,
    r#"executor: "shared-iterations", vus: 8, iterations: 200, maxDuration: "1s""#,
    r#"executor: "per-vu-iterations", vus: 8, iterations: 25, maxDuration: "1s""#,
    r#"executor: "constant-arrival-rate", rate: 100, duration: "1s", preAllocatedVUs: 8, maxVUs: 12"#,
    r#"executor: "ramping-arrival-rate", startRate: 10, stages: [{ target: 150, duration: "1s" }], preAllocatedVUs: 8"#,
];

fn every_iteration_is_accounted_for(executor: &str, interrupted_after: Option<Duration>) {
    let server = Server::start(Behaviour::Sink);
    let options = format!(
        r#"export const options = {{ scenarios: {{ s: {{ exec: "mixed", gracefulStop: "100ms", {executor} }} }} }}"#
    );
    let script = format!("{MIXED}{options}{KEEP_DATA}");
    let mut running = Program::script(BINARY, &script).target(&server).within(BOUND).start();
    if let Some(after) = interrupted_after {
        std::thread::sleep(after);
        running.signal(Signal::INT);
    }
    let outcome = running.finish();
    if interrupted_after.is_some() && outcome.value("begun", "count").is_none() {
        // The signal came before the first iteration.
        return;
    }
    let counted = |metric: &str| outcome.value(metric, "count").unwrap_or_default() as u64;
    let failures = failures(&outcome);
    let cut_off = count(&failures, "interrupted");
    let thrown = count(&failures, "exception") + count(&failures, "rejection");
    assert_eq!(cut_off, counted("iterations_interrupted"), "{executor}: {failures:?}");
    assert_eq!(thrown, counted("iterations_failed"), "{executor}: {failures:?}");
    let returned = counted("iterations") - thrown - count(&failures, "never_settled");
    let all = returned + thrown + count(&failures, "never_settled") + cut_off;
    assert_eq!(all, counted("begun"), "{executor}: {failures:?}");
    assert!(server.all_closed(BOUND));
    // Each has said one byte, unless it was cut off before it could.
    let heard = server.bytes();
    assert!(heard <= all && heard + cut_off >= all, "{executor}: {heard} of {all}, {cut_off} cut off");
}

#[test]
fn every_iteration_is_accounted_for_in_all_executors() {
    std::thread::scope(|scope| {
        for executor in EXECUTORS {
            scope.spawn(move || every_iteration_is_accounted_for(executor, None));
        }
    });
}

#[test]
fn every_iteration_is_accounted_for_when_the_run_is_interrupted() {
    std::thread::scope(|scope| {
        for (at, executor) in EXECUTORS.iter().enumerate() {
            let after = Duration::from_millis(350 + 97 * at as u64);
            scope.spawn(move || every_iteration_is_accounted_for(executor, Some(after)));
        }
    });
}
