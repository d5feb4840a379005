//! Several instances of a test, and one summary of all: `run --out state=FILE`, then `merge`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, Outcome, Program, Running, Server, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Forty iterations, whatever instances share them.
const SCRIPT: &str = r#"
import { check, group } from "k6"
import { Counter, Rate, Trend } from "k6/metrics"
import exec from "k6/execution"
const hits = new Counter("hits"), even = new Rate("even"), lag = new Trend("lag")
export const options = {
  scenarios: { all: { executor: "shared-iterations", vus: 4, iterations: 40 } },
  thresholds: { hits: ["count==40"], even: ["rate==0.5"], lag: ["p(50)==19.5", "max==39"], "hits{kind:rare}": ["count==4"] },
}
export default function () {
  const at = exec.scenario.iterationInTest
  group("outer", () => check(at, { "is small": (at) => at < 30 }))
  hits.add(1, { kind: at % 10 == 0 ? "rare" : "common" })
  even.add(at % 2 == 0)
  lag.add(at)
}
"#;

const QUARTERS: [&str; 4] = ["0:1/4", "1/4:1/2", "1/2:3/4", "3/4:1"];

/// Runs a part of a test and gives back its state.
fn state_of(script: &str, segment: &str, args: &[&str]) -> (Outcome, Vec<u8>) {
    let outcome = Program::script(BINARY, script)
        .args(["--execution-segment", segment, "--execution-segment-sequence", "0,1/4,1/2,3/4,1"])
        .args(["--out", "state=own.state"])
        .args(args.iter().copied())
        .within(BOUND)
        .run();
    let state = fs::read(outcome.path("own.state")).expect("a state");
    (outcome, state)
}

/// Merges states, which are files with numbers.
fn merge(states: &[Vec<u8>], args: &[&str]) -> Outcome {
    let mut program = Program::new(BINARY).arg("merge");
    for (at, state) in states.iter().enumerate() {
        program = program.file(&format!("{at}.state"), state).arg(format!("{at}.state"));
    }
    program.args(args.iter().copied()).args(["--summary-export", "summary.json"]).within(BOUND).run()
}

fn summary(of: &Outcome) -> serde_json::Value {
    serde_json::from_str(&of.file("summary.json")).expect("JSON")
}

#[test]
fn the_summary_of_four_instances_is_that_of_one() {
    let whole = Program::script(BINARY, SCRIPT).within(BOUND).run();
    whole.expect_code(0);
    let states: Vec<_> = QUARTERS.map(|segment| state_of(SCRIPT, segment, &[]).1).into();
    let mut reversed = states.clone();
    reversed.reverse();
    for states in [states, reversed] {
        let merged = merge(&states, &[]);
        merged.expect_code(0);
        let (one, all) = (summary(&whole), summary(&merged));
        for metric in ["hits{kind:rare}", "even", "lag", "checks"] {
            let without_rate = |of: &serde_json::Value| {
                let mut figures = of["metrics"][metric].clone();
                figures.as_object_mut().expect("a metric").remove("rate");
                figures
            };
            assert_eq!(without_rate(&one), without_rate(&all), "{metric}");
        }
        assert_eq!(one["root_group"], all["root_group"]);
        assert_eq!(all["metrics"]["hits"]["count"], 40);
        for segment in QUARTERS {
            assert!(
                merged.stdout.lines().any(|line| line.contains(segment) && line.contains(" 10 iterations "))
            );
        }
    }
}

#[test]
fn what_is_missing_is_refused_or_told() {
    let states: Vec<_> = QUARTERS[1..].iter().map(|segment| state_of(SCRIPT, segment, &[]).1).collect();
    let refused = merge(&states, &[]);
    refused.expect_code(255);
    assert!(
        refused.stdout.is_empty() && refused.stderr.contains("the segment 0:1/4 is not here"),
        "{}",
        refused.stderr
    );
    let partial = merge(&states, &["--partial"]);
    partial.expect_code(99).expect_text("the segment 0:1/4 is not here");
    assert_eq!(summary(&partial)["metrics"]["hits"]["count"], 30);
}

#[test]
fn states_that_do_not_belong_together_are_named() {
    let (_, first) = state_of(SCRIPT, "0:1/4", &["--no-thresholds"]);
    let (_, again) = state_of(SCRIPT, "0:1/4", &["--no-thresholds"]);
    let (_, other_script) = state_of(&format!("{SCRIPT}// other"), "1/4:1/2", &["--no-thresholds"]);
    let (_, other_options) = state_of(SCRIPT, "1/2:3/4", &["--no-thresholds", "--no-connection-reuse"]);
    let outcome = merge(&[first.clone(), again, first, other_script, other_options], &[]);
    outcome.expect_code(255);
    for told in [
        "(2.state) is an older state of",
        "overlap: 0:1/4 and 0:1/4",
        "has run another script than",
        "has run with other options than",
        "noConnectionReuse",
        "the segment 3/4:1 is not here",
    ] {
        assert!(outcome.stderr.contains(told), "{told} in {}", outcome.stderr);
    }
}

#[test]
fn two_runs_of_the_whole_are_not_parts_of_one() {
    let whole = || {
        let outcome = Program::script(BINARY, SCRIPT).args(["--out", "state=own.state"]).within(BOUND).run();
        fs::read(outcome.path("own.state")).expect("a state")
    };
    let states = [whole(), whole()];
    let refused = merge(&states, &[]);
    refused.expect_code(255);
    assert!(refused.stderr.contains("are both the whole test"), "{}", refused.stderr);
    let partial = merge(&states, &["--partial", "--no-thresholds"]);
    assert_eq!(summary(partial.expect_code(0))["metrics"]["hits"]["count"], 80);
}

#[test]
fn files_that_are_no_states_are_told_apart() {
    let (_, state) = state_of(SCRIPT, "0:1/4", &[]);
    let mut newer = state.clone();
    newer[13] = 200;
    let mut damaged = state.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].iter_mut().for_each(|byte| *byte ^= 0x55);
    let cut = state[..state.len() - 10].to_vec();
    for (file, told) in [
        (Vec::new(), "it is empty"),
        (SCRIPT.as_bytes().to_vec(), "it is no state of a run"),
        (newer, "version 200"),
        (cut, "its end is missing"),
        (damaged, "0.state: it"),
    ] {
        let outcome = merge(&[file], &["--partial"]);
        outcome.expect_code(255);
        assert!(outcome.stderr.contains(told), "{told} in {}", outcome.stderr);
    }
    let absent = Program::new(BINARY).args(["merge", "nowhere.state"]).within(BOUND).run();
    absent.expect_code(255);
    assert!(absent.stderr.contains("nowhere.state: no such file or directory"), "{}", absent.stderr);
}

#[test]
fn the_end_of_an_instance_counts_for_the_whole() {
    let script = SCRIPT.replace("const at =", "if (__ENV.FAIL) exec.test.abort(`enough`)\n  const at =");
    let mut states: Vec<_> = QUARTERS[1..].iter().map(|segment| state_of(&script, segment, &[]).1).collect();
    let (outcome, aborted) = state_of(&script, "0:1/4", &["-e", "FAIL=1"]);
    outcome.expect_code(108);
    states.push(aborted);
    let merged = merge(&states, &["--out", "junit=junit.xml"]);
    merged.expect_code(108).expect_text("test aborted: enough");
    assert!(merged.file("junit.xml").contains(r#"<testcase classname="hits" name="count==40">"#));
}

#[test]
fn a_state_that_cannot_be_written_is_an_error_at_once() {
    let outcome =
        Program::script(BINARY, SCRIPT).args(["--out", "state=nowhere/own.state"]).within(BOUND).run();
    outcome.expect_code(255);
    assert!(
        outcome.stderr.contains(
            "could not create the 'state' output: open nowhere/own.state: no such file or directory"
        ),
        "{}",
        outcome.stderr
    );
    let outcome = Program::script(BINARY, SCRIPT).args(["--out", "state"]).within(BOUND).run();
    outcome.expect_code(255);
    assert!(outcome.stderr.contains("--out state=FILE"), "{}", outcome.stderr);
}

/// A script that says in a file of its own what it was given.
const HANDLER: &str = r#"
export function handleSummary(data) {
  const told = { hits: data.metrics.hits.values.count, instances: data.instances.map((of) => of.iterations), who: __ENV.WHO }
  return { stdout: "made by the script\n", "told.json": JSON.stringify(told) }
}
"#;

#[test]
fn handle_summary_is_called_once_with_the_whole() {
    let script = format!("{SCRIPT}{HANDLER}");
    let states = QUARTERS.map(|segment| state_of(&script, segment, &["-e", "WHO=me"]).1);
    let merged = merge(&states, &[]);
    merged.expect_code(0);
    assert_eq!(merged.stdout, "made by the script\n");
    let expected = r#"{"hits":40,"instances":[10,10,10,10],"who":"me"}"#;
    assert_eq!(merged.file("told.json"), expected);
    // A script that had none can be given one afterwards.
    let states = QUARTERS.map(|segment| state_of(SCRIPT, segment, &[]).1);
    let mut program = Program::new(BINARY).args(["merge", ".", "--script", "later.js", "-e", "WHO=you"]);
    program = program.file("later.js", format!("export default function () {{}}{HANDLER}"));
    for (at, state) in states.iter().enumerate() {
        program = program.file(&format!("{at}.state"), state);
    }
    let merged = program.within(BOUND).run();
    merged.expect_code(0);
    assert_eq!(merged.file("told.json"), expected.replace("me", "you"));
}

#[test]
fn instances_that_were_killed_have_left_their_last_state() {
    const SCRIPT: &str = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 8, duration: "4s" }
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 10))
}
"#;
    let servers = QUARTERS.map(|_| Server::start(Behaviour::Echo));
    let from = Instant::now();
    let mut running: Vec<_> = QUARTERS
        .iter()
        .zip(&servers)
        .map(|(segment, server)| {
            Program::script(BINARY, SCRIPT)
                .target(server)
                // As the operator starts them.
                .args(["--quiet", "--execution-segment", segment])
                .args(["--execution-segment-sequence", "0,1/4,1/2,3/4,1"])
                .args(["--tag", "instance_id=1", "--out", "state=./,period=200ms"])
                .within(BOUND)
                .start()
        })
        .collect();
    // At moments that nobody has chosen, but late enough for a state after the start.
    let chance = u64::from(std::process::id()) ^ from.elapsed().as_nanos() as u64;
    let mut at = Duration::from_millis(1200);
    for (victim, process) in running.iter_mut().enumerate().skip(1) {
        at += Duration::from_millis(chance.rotate_left(7 * victim as u32) % 700);
        std::thread::sleep(at.saturating_sub(from.elapsed()));
        process.signal(Signal::KILL);
    }
    let outcomes: Vec<_> = running.into_iter().map(Running::finish).collect();
    outcomes[0].expect_code(0);
    let states: Vec<_> = outcomes.iter().map(|outcome| state_in(outcome.path(""))).collect();
    let refused = merge(&states, &[]);
    refused.expect_code(255);
    assert_eq!(refused.stderr.matches("has written no last state").count(), 3, "{}", refused.stderr);
    let merged = merge(&states, &["--partial"]);
    let told = summary(merged.expect_code(0));
    let mut sum = 0;
    for (at, (segment, server)) in QUARTERS.iter().zip(&servers).enumerate() {
        let row =
            told["instances"].as_array().unwrap().iter().find(|row| row["segment"] == **segment).unwrap();
        let (iterations, accepted) = (row["iterations"].as_u64().unwrap(), server.accepted());
        if at == 0 {
            assert_eq!(iterations, accepted, "nobody has killed this one");
        } else {
            assert!(0 < iterations && iterations <= accepted, "{iterations} of {accepted} in {segment}");
            assert_eq!(row["verdict"], "has written no last state");
        }
        sum += iterations;
    }
    assert_eq!(told["metrics"]["iterations"]["count"], sum);
    // Without the state of one of them, its segment is missing.
    let merged = merge(&states[..3], &["--partial"]);
    merged.expect_code(0).expect_text("the segment 3/4:1 is not here");
}

/// The only state in a folder.
fn state_in(folder: PathBuf) -> Vec<u8> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "state")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    fs::read(&found[0]).expect("a state")
}
