//! Several instances of a test, and one summary of all: `run --out state=FILE`, then `merge`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use senary_testkit::{Behaviour, Outcome, Program, Reply, Running, Server, Signal, Site};

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
        "(2.state) are the same state: give it once",
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

/// What a careless user names.
#[test]
fn what_is_no_file_is_told_apart() {
    let (_, state) = state_of(SCRIPT, "0:1/4", &["--no-thresholds"]);
    let merge = |command: &str| {
        let program = Program::new("/bin/sh").file("own.state", &state).file("notes.txt", "none");
        program.args(["-c", &command.replace("merge", &format!("{BINARY} merge"))]).within(BOUND).run()
    };
    for (command, told) in [
        ("mkfifo pipe.state; merge pipe.state", "pipe.state: it is a pipe or a device"),
        ("merge /dev/zero", "/dev/zero: it is a pipe or a device"),
        ("cat own.state | merge /dev/stdin", "/dev/stdin: it is a pipe or a device"),
        ("mkdir empty; merge empty", "empty: this folder has no states: files that end in .state"),
        ("mkdir empty; cp notes.txt empty; merge empty", "empty: this folder has no states"),
        ("merge ''", "without a name"),
        ("merge notes.txt", "notes.txt: it is no state of a run"),
        ("cp own.state copy.state; merge .", "are the same state: give it once"),
        // A file that is named twice is there once.
        ("mkdir sub.state; merge . own.state ./own.state", "the segment 1/4:1/2 is not here"),
    ] {
        let outcome = merge(command);
        outcome.expect_code(255);
        assert!(outcome.stderr.contains(told), "{command}: {}", outcome.stderr);
        assert_eq!(
            outcome.stderr.contains("the same state"),
            command.starts_with("cp"),
            "{}",
            outcome.stderr
        );
    }
    merge("mkdir sub.state; merge --partial --no-thresholds . own.state").expect_code(0);
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

/// What `--strict` holds against one process, it holds against the sum of several, in the same words.
#[test]
fn strict_holds_the_same_against_the_whole_as_against_one() {
    let unjudged = r#"
import http from "k6/http"
export const options = { strict: true, scenarios: { all: { executor: "shared-iterations", vus: 4, iterations: 40 } } }
export default function () { http.get(__ENV.URL, { responseCallback: null }) }
"#;
    let of_setup = unjudged.replace("export default function () {", "export function setup() {")
        + "export default function () {}";
    let site = Site::start(|_| Reply::page(500, &[], "no"));
    let broken = format!("URL={}/", site.url);
    let refused = "URL=http://127.0.0.1:1/".to_owned();
    for (script, url, objection) in [
        (unjudged, broken, "40 of 40: servers said that they failed (5xx)"),
        (&*of_setup, refused, "what setup() tried failed, and no iteration did anything that shows more"),
    ] {
        let whole = Program::script(BINARY, script).args(["-e", &url]).within(BOUND).run();
        whole.expect_code(121).expect_text(objection);
        let part = |segment: &&str| state_of(script, segment, &["-e", &url]).1;
        let states: Vec<_> = QUARTERS.iter().map(part).collect();
        merge(&states, &[]).expect_code(121).expect_text(objection);
    }
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
    let program = Program::new(BINARY).args(["merge", "0.state", "--partial", "--script", "none.js"]);
    let program = program.file("none.js", "export default function () {}").file("0.state", &states[0]);
    program.within(BOUND).run().expect_code(99).expect_text("none.js has no handleSummary()");
}

/// Instances that leave it to others to judge, and scripts that need more than `merge` has, are found out about when the test is over.
#[test]
fn what_is_wrong_with_the_script_costs_no_summary() {
    let script = SCRIPT.replace(
        "thresholds: {",
        "thresholds: { nothing: ['count>0'], 'hits{': ['count>0'], even: ['rate=>1'],",
    );
    let script = script.replace("hits: [\"count==40\"]", "hits: [\"count==40\", \"p(95)>1\"]");
    let states = QUARTERS.map(|segment| {
        let (run, state) = state_of(&script, segment, &["--no-thresholds"]);
        run.expect_code(0).expect_text(
            "A threshold cannot be judged, neither here nor when the instances are put together",
        );
        state
    });
    let merged = merge(&states, &[]);
    merged.expect_code(104).expect_text("✓ 'count==40'").expect_text("no metric name \\\"nothing\\\" found");
    merged.expect_text("unsupported aggregation method p on metric of type counter").expect_text("hits{");
    assert_eq!(summary(&merged)["metrics"]["hits"]["count"], 40);
    // Variables of the environment are in no state.
    let script = format!("{SCRIPT}{HANDLER}\nif (!__ENV.TARGET) throw new Error(\"no target\")");
    let states = QUARTERS.map(|segment| {
        let run = Program::script(BINARY, &script).env("TARGET", "x").args(["--instance-count", "4"]);
        let index = QUARTERS.iter().position(|of| *of == segment).expect("one of them").to_string();
        let run = run.args(["--out", "state=own.state", "--instance-index", &index]).within(BOUND).run();
        fs::read(run.path("own.state")).expect("a state")
    });
    let merged = merge(&states, &[]);
    merged.expect_code(107).expect_text("no target").expect_text("✓ 'count==40'");
    assert_eq!(summary(&merged)["metrics"]["hits"]["count"], 40);
    assert_eq!(merge(&states, &["-e", "TARGET=x"]).expect_code(0).stdout, "made by the script\n");
}

/// A state that is written can be read, whatever the script has made.
#[test]
fn setup_data_that_is_too_large_is_left_out() {
    let script = r#"
export const options = { scenarios: { all: { executor: "shared-iterations", vus: 1, iterations: 3 } } }
export function setup() { return "x".repeat(Number(__ENV.LENGTH)) }
export default function (data) { if (data.length != __ENV.LENGTH) throw new Error("not all of it") }
export function handleSummary({ metrics, setup_data }) {
  return { stdout: `${metrics.iterations.values.count} iterations, ${setup_data?.length} letters` }
}
"#;
    let of = |length| state_of(script, "0:1/4", &["-e", length]);
    let (run, small) = of("LENGTH=1000000");
    run.expect_code(0);
    assert_eq!(merge(&[small], &["--partial"]).expect_code(0).stdout, "3 iterations, 1000000 letters");
    let (run, large) = of("LENGTH=40000000");
    run.expect_code(0).expect_text("What setup() returned is 40 MB, which is too much for a state");
    let merged = merge(&[large], &["--partial"]);
    merged.expect_code(0).expect_text("handleSummary() gets no setup_data");
    assert_eq!(merged.stdout, "3 iterations, undefined letters");
}

/// Nobody knows how long a script takes for its summary, or whether the process outlives it.
#[test]
fn a_state_has_all_that_was_measured_before_the_summary_is_made() {
    const SUMMARY: &str = r#"
export function handleSummary({ metrics }) {
  while (__ENV.HANGS) if (!globalThis.told) globalThis.told = !console.log("it sums up")
  return { stdout: `${metrics.hits?.values.count} hits` }
}
"#;
    let program = Program::script(BINARY, &format!("{SCRIPT}{SUMMARY}")).env("HANGS", "yes");
    let program = program.args(["--out", "state=own.state"]).within(BOUND);
    let state = program.folder().join("own.state");
    let mut running = program.start();
    running.wait_for("it sums up");
    wait_until(|| {
        let written = fs::read(&state);
        written.is_ok_and(|state| merge(&[state], &["--partial"]).stdout == "40 hits")
    });
    running.signal(Signal::KILL);
    let _ = running.finish();
}

/// Four processes as the operator starts them, of which three are killed at moments that nobody has chosen: the first of them perhaps
/// before it has reported, the others when their states tell of iterations.
#[test]
fn instances_that_were_killed_have_left_their_last_state() {
    const SCRIPT: &str = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 8, duration: "8s" }
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 10))
}
"#;
    /// Into the eight seconds of the script, so that none is killed while it ends.
    const LONGEST: Duration = Duration::from_secs(6);
    let servers = QUARTERS.map(|_| Server::start(Behaviour::Echo));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    let chance = u64::from(std::process::id()) ^ u64::from(now.subsec_nanos());
    let moment = |victim: u32| {
        Duration::from_millis(chance.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(13 * victim) % 700)
    };
    let mut folders = Vec::new();
    let mut running: Vec<_> = QUARTERS
        .iter()
        .zip(&servers)
        .map(|(segment, server)| {
            let program = Program::script(BINARY, SCRIPT)
                .target(server)
                .args(["--quiet", "--execution-segment", segment])
                .args(["--execution-segment-sequence", "0,1/4,1/2,3/4,1"])
                .args(["--tag", "instance_id=1", "--out", "state=./,period=200ms"])
                .within(BOUND);
            folders.push(program.folder().to_owned());
            program.start()
        })
        .collect();
    for victim in 1..QUARTERS.len() {
        if victim > 1 {
            wait_until(|| servers[victim].accepted() > 0);
            let from = Instant::now();
            wait_until(|| from.elapsed() > LONGEST || has_told(&folders[victim]));
            if from.elapsed() > LONGEST {
                // On a busy machine states are written less often; and soon it will be over by itself.
                continue;
            }
        }
        std::thread::sleep(moment(victim as u32));
        running[victim].signal(Signal::KILL);
    }
    let outcomes: Vec<_> = running.into_iter().map(Running::finish).collect();
    outcomes[0].expect_code(0);
    let states: Vec<_> =
        folders.iter().map(|folder| state_in(folder).map(|path| fs::read(path).expect("a state"))).collect();
    let reported: Vec<_> = states.iter().flatten().cloned().collect();
    let refused = merge(&reported, &[]);
    refused.expect_code(255);
    let merged = merge(&reported, &["--partial"]);
    let told = summary(merged.expect_code(0));
    let mut sum = 0;
    for (at, (segment, server)) in QUARTERS.iter().zip(&servers).enumerate() {
        let row = told["instances"].as_array().unwrap().iter().find(|row| row["segment"] == **segment);
        let Some(row) = row else {
            assert!(at == 1 && states[at].is_none(), "{segment} has reported");
            let missing = format!("the segment {segment} is not here");
            assert!(
                refused.stderr.contains(&missing) && merged.stdout.contains(&missing),
                "{}",
                refused.stderr
            );
            continue;
        };
        let (iterations, accepted) = (row["iterations"].as_u64().unwrap(), server.accepted());
        let was_killed = outcomes[at].code().is_none();
        assert!(!was_killed || at > 0);
        if !was_killed {
            // Nobody has killed it, or it was over before that on a busy machine.
            assert_eq!(iterations, accepted, "{segment}");
        } else {
            assert!(
                iterations <= accepted && (iterations > 0 || at == 1),
                "{iterations} of {accepted} in {segment}"
            );
            // It may have been killed before its part began.
            let is_early = iterations == 0 && row["verdict"] == "has never begun its part";
            assert!(is_early || row["verdict"] == "has written no last state", "{row}");
        }
        sum += iterations;
    }
    let unfinished =
        (0..states.len()).filter(|at| states[*at].is_some() && outcomes[*at].code().is_none()).count();
    assert_eq!(refused.stderr.matches("has written no last state").count(), unfinished, "{}", refused.stderr);
    assert_eq!(told["metrics"]["iterations"]["count"], sum);
    // Without the state of one of them, its segment is missing.
    let merged = merge(&reported[..reported.len() - 1], &["--partial"]);
    merged.expect_code(0).expect_text("the segment 3/4:1 is not here");
}

#[test]
fn an_instance_that_never_began_is_told() {
    let script = "export default function () {}";
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let part = |segment: &str, name: &str| {
        Program::script(BINARY, script)
            .args(["--quiet", "--execution-segment", segment, "--execution-segment-sequence", "0,1/2,1"])
            .args(["--vus", "2", "--iterations", "4", "--out", &format!("state={}", file(name).display())])
            .within(BOUND)
    };
    part("0:1/2", "done.state").run().expect_code(0);
    let mut waiting = part("1/2:1", "early.state").arg("--paused").start();
    let from = Instant::now();
    while !file("early.state").exists() {
        assert!(from.elapsed() < BOUND, "no state");
        std::thread::sleep(Duration::from_millis(50));
    }
    waiting.signal(Signal::KILL);
    waiting.finish();
    let states = ["done.state", "early.state"].map(|name| fs::read(file(name)).expect("a state"));
    let merged = merge(&states, &["--partial"]);
    let told = summary(merged.expect_code(0));
    let verdicts: Vec<_> =
        told["instances"].as_array().unwrap().iter().map(|row| row["verdict"].clone()).collect();
    assert_eq!(verdicts, ["ok", "has never begun its part"]);
    // Nothing was done at all.
    let merged = merge(&states[1..], &["--partial"]);
    assert!(!merged.expect_code(0).stderr.contains("No script iterations"), "{}", merged.stderr);
    let endless = r#"
export const options = { scenarios: { all: { executor: "constant-vus", vus: 1, duration: "1s", gracefulStop: "0s" } } }
export default function () { while (true) {} }
"#;
    let nothing = Program::script(BINARY, endless).args(["--out", "state=own.state"]).within(BOUND).run();
    let merged = merge(&[fs::read(nothing.path("own.state")).expect("a state")], &[]);
    merged.expect_text("No script iterations fully finished");
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let from = Instant::now();
    while !holds() {
        assert!(from.elapsed() < BOUND, "it never comes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the state in a folder has iterations.
fn has_told(folder: &Path) -> bool {
    let state = state_in(folder).and_then(|path| fs::read(path).ok());
    let told = state.map(|state| summary(&merge(&[state], &["--partial"])));
    told.is_some_and(|told| told["metrics"]["iterations"]["count"].as_u64() > Some(0))
}

/// The only state in a folder, if there is one.
fn state_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "state")).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().next()
}
