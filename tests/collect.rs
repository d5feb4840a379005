//! Several instances of a test, each with its REST API, and `collect`, which makes one test of them.
//! Each process has an address of its own on the loopback network, as each pod would.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Running, Server, Signal};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);

const QUARTERS: [&str; 4] = ["0:1/4", "1/4:1/2", "1/2:3/4", "3/4:1"];

/// Every iteration is a connection that the server counts.
const SCRIPT: &str = r#"
import tcp from "k6/x/tcp"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = {
  scenarios: { all: { executor: "shared-iterations", vus: 4, iterations: 40 } },
  thresholds: { hits: ["count==40"], iterations: ["count==40"] },
}
export default async function () {
  const socket = new tcp.Socket()
  await socket.connect(Number(__ENV.TCP_PORT), __ENV.TCP_HOST)
  socket.destroy()
  hits.add(1)
}
"#;

/// An address that nobody else has: the whole of 127.0.0.0/8 is loopback.
fn free_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{low}.{}:6565", 128 + (high & 63), u16::from(high >> 6) * 60 + u16::from(number))
}

/// One instance of a test, and where it is asked.
struct Instance {
    running: Running,
    address: String,
}

fn start(script: &str, segment: &str, args: &[&str], server: Option<&Server>) -> Instance {
    let address = free_address();
    let program = Program::script(BINARY, script)
        .args(["--execution-segment", segment, "--execution-segment-sequence", "0,1/4,1/2,3/4,1"])
        .args(["--no-thresholds", "--linger", "--address", &address])
        .args(args.iter().copied())
        .within(BOUND);
    let program = match server {
        Some(server) => program.target(server),
        None => program,
    };
    Instance { running: program.start(), address }
}

fn start_all(script: &str, args: &[&str], server: Option<&Server>) -> Vec<Instance> {
    QUARTERS.iter().map(|segment| start(script, segment, args, server)).collect()
}

fn collect(instances: &[Instance], args: &[&str]) -> Program {
    let addresses = instances.iter().map(|instance| instance.address.as_str());
    Program::new(BINARY)
        .arg("collect")
        .args(addresses)
        .args(args.iter().copied())
        .args(["--summary-export", "summary.json"])
        .within(BOUND)
}

fn metric(of: &Outcome, name: &str, value: &str) -> Value {
    let summary: Value = serde_json::from_str(&of.file("summary.json")).expect("JSON");
    summary["metrics"][name][value].clone()
}

#[test]
fn one_summary_of_running_instances_which_are_then_ended() {
    let server = Server::start(Behaviour::Echo);
    let instances = start_all(SCRIPT, &[], Some(&server));
    let collected = collect(&instances, &["--stop", "--out", "junit=junit.xml"]).run();
    collected.expect_code(0).expect_text("of 4 instances running");
    assert_eq!(server.accepted(), 40);
    assert_eq!(metric(&collected, "iterations", "count"), 40);
    assert_eq!(metric(&collected, "hits", "count"), 40);
    assert!(collected.file("junit.xml").contains("count==40"));
    for segment in QUARTERS {
        assert!(collected.stdout.lines().any(|line| line.contains(segment)), "{}", collected.stdout);
    }
    for instance in instances {
        instance.running.finish().expect_code(0);
    }
}

/// No instance crosses it alone; all run for a minute unless they are stopped.
const ABORTS: &str = r#"
import { sleep } from "k6"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = {
  scenarios: { all: { executor: "constant-vus", vus: 4, duration: "60s" } },
  thresholds: { hits: [{ threshold: "count<3", abortOnFail: true }] },
}
export default function () {
  hits.add(1)
  sleep(60)
}
"#;

#[test]
fn all_are_stopped_when_the_whole_crosses_a_threshold() {
    let instances = start_all(ABORTS, &[], None);
    let collected = collect(&instances, &["--stop"]).run();
    collected.expect_code(99).expect_text("all are stopped");
    assert!(collected.elapsed < Duration::from_secs(45), "{:?}", collected.elapsed);
    assert_eq!(metric(&collected, "hits", "count"), 4);
    for instance in instances {
        instance.running.finish().expect_code(103).expect_text("test run stopped from REST API");
    }
}

#[test]
fn a_threshold_ends_the_test_after_its_delay() {
    let delayed = ABORTS.replace("abortOnFail: true", r#"abortOnFail: true, delayAbortEval: "6s""#);
    let instances = start_all(&delayed, &[], None);
    let collected = collect(&instances, &["--stop"]).run();
    collected.expect_code(99).expect_text("all are stopped");
    for instance in instances {
        // It was crossed from the first second on, and the test went on until the delay was over.
        let outcome = instance.running.finish();
        outcome.expect_code(103);
        assert!(outcome.elapsed > Duration::from_secs(6), "{:?}", outcome.elapsed);
    }
}

#[test]
fn a_summary_of_the_script_is_made_once_and_ended_if_it_hangs() {
    let script = |handler: &str| {
        let hangs = r#"handleSummaryTimeout: "1s", scenarios"#;
        format!("{}{handler}", SCRIPT.replace("scenarios", hangs))
    };
    let server = Server::start(Behaviour::Echo);
    let told = r#"
export function handleSummary(data) {
  return { "told.json": JSON.stringify([data.metrics.hits.values.count, data.instances.length]) }
}"#;
    let instances = start_all(&script(told), &[], Some(&server));
    let collected = collect(&instances, &["--stop"]).run();
    collected.expect_code(0);
    assert_eq!(collected.file("told.json"), "[40,4]");
    for instance in instances {
        instance.running.finish();
    }
    let instances =
        start_all(&script("\nexport function handleSummary() { while (true) {} }"), &[], Some(&server));
    let collected = collect(&instances, &["--stop"]).run();
    collected.expect_code(0).expect_text("handleSummary() execution timed out after 1 seconds");
    assert!(collected.stdout.contains("█ TOTAL RESULTS"), "the usual summary takes its place");
    for instance in instances {
        instance.running.finish();
    }
}

#[test]
fn an_instance_that_hangs_is_named() {
    let script = ABORTS
        .replace("abortOnFail: true", "abortOnFail: false")
        .replace("60s", "5s")
        .replace("sleep(60)", "sleep(1)");
    let mut instances = start_all(&script, &[], None);
    let mut collecting =
        collect(&instances, &["--retry-for", "2s", "--partial", "--report", "report.html"]).start();
    collecting.wait_for("4 of 4 instances running");
    // It is there, and its port answers no more.
    instances[1].running.signal(Signal::STOP);
    let collected = collecting.finish();
    let lost = instances[1].address.clone();
    collected
        .expect_code(99)
        .expect_text(&format!("{lost} is lost"))
        .expect_text("has written no last state");
    assert!(collected.path("report.html").exists());
    instances[1].running.signal(Signal::KILL);
    for (at, mut instance) in instances.into_iter().enumerate() {
        if at != 1 {
            instance.running.signal(Signal::INT);
        }
        instance.running.finish();
    }
}

#[test]
fn an_instance_that_is_killed_is_named() {
    let script = ABORTS
        .replace("abortOnFail: true", "abortOnFail: false")
        .replace("60s", "6s")
        .replace("sleep(60)", "sleep(1)");
    let mut instances = start_all(&script, &[], None);
    let mut collecting = collect(&instances, &["--retry-for", "2s"]).start();
    collecting.wait_for("4 of 4 instances running");
    instances[2].running.signal(Signal::KILL);
    let lost = instances[2].address.clone();
    let refused = collecting.finish();
    refused.expect_code(255).expect_text(&format!("{lost} is lost")).expect_text("has written no last state");
    assert!(!refused.stdout.contains("█ TOTAL RESULTS"));
    // What the others have is there to be collected again.
    let partial = collect(&instances, &["--retry-for", "1s", "--partial", "--stop"]).run();
    partial.expect_code(99).expect_text(&lost).expect_text("the segment 1/2:3/4 is not here");
    for (at, instance) in instances.into_iter().enumerate().filter(|(at, _)| *at != 2) {
        assert_eq!(instance.running.finish().code(), Some(0), "{at}");
    }
}

#[test]
fn setup_and_teardown_run_once() {
    let script = r#"
import exec from "k6/execution"
export const options = { scenarios: { all: { executor: "shared-iterations", vus: 4, iterations: 8 } } }
export function setup() {
  console.log("sets up")
  return { token: 12345.25 }
}
export default function (data) {
  console.log(`uses ${data.token}`)
}
export function teardown(data) {
  console.log(`tears down ${data.token}`)
}
"#;
    let once = ["--paused", "--no-setup", "--no-teardown", "--log-format=raw"];
    let instances = start_all(script, &once, None);
    let collected = collect(&instances, &["--start", "--stop"]).run();
    collected.expect_code(0);
    assert_eq!(metric(&collected, "iterations", "count"), 8);
    let outcomes: Vec<_> = instances.into_iter().map(|instance| instance.running.finish()).collect();
    let lines = |text: &str| outcomes.iter().map(|outcome| outcome.log_lines(text).len()).collect::<Vec<_>>();
    assert_eq!(lines("sets up"), [1, 0, 0, 0]);
    assert_eq!(lines("tears down 12345.25"), [1, 0, 0, 0]);
    assert_eq!(lines("uses 12345.25"), [2, 2, 2, 2]);
}

#[test]
fn what_would_set_up_twice_is_refused() {
    let script = "export function setup() { return 1 }\nexport default function () {}";
    let paused = [start(script, "0:1", &["--execution-segment-sequence=0,1", "--paused"], None)];
    let refused = collect(&paused, &["--start", "--stop"]).run();
    refused.expect_code(255).expect_text("runs setup() and teardown() itself");
    let [paused] = paused;
    assert_eq!(paused.running.finish().code(), Some(103));
}

#[test]
fn ctrl_c_ends_with_what_was_collected() {
    let script = ABORTS.replace("abortOnFail: true", "abortOnFail: false");
    let instances = start_all(&script, &[], None);
    let mut collecting = collect(&instances, &["--stop"]).start();
    collecting.wait_for("4 of 4 instances running").signal(Signal::INT);
    let collected = collecting.finish();
    collected.expect_code(105).expect_text("'interrupt' signal");
    assert_eq!(metric(&collected, "hits", "count"), 4);
    for instance in instances {
        instance.running.finish().expect_code(103);
    }
}

#[test]
fn what_is_at_no_instance_is_told_apart() {
    let collect = |addresses: &[&str]| {
        let program = Program::new(BINARY).arg("collect").args(addresses.iter().copied());
        program.args(["--retry-for", "1s"]).within(BOUND).run()
    };
    let nobody = free_address();
    for (addresses, text) in [
        (&[][..], "accepts 1 arg(s), received 0: the addresses of instances"),
        (&["a:1", "http://A:1/"], "a:1 is given twice"),
        (&["https://host:1"], "is not the address of a REST API: give HOST:PORT"),
        (&[nobody.as_str()], "start the instance with --address 0.0.0.0:6565 --linger"),
    ] {
        let outcome = collect(addresses);
        outcome.expect_code(255).expect_text(text);
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    }
    let other = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno";
    let (url, thread) = senary_testkit::web_server([other]);
    collect(&[&url]).expect_code(255).expect_text("it is an older Senary, or another program");
    assert!(thread.join().expect("a server")[0].starts_with("GET /v1/state HTTP/1.1\r\n"));
}

#[test]
fn instances_that_are_not_one_test_are_refused_at_once() {
    let script = ABORTS.replace("abortOnFail: true", "abortOnFail: false");
    let instances = [start(&script, "0:1/4", &[], None), start(&script, "0:1/4", &[], None)];
    let refused = collect(&instances, &[]).run();
    refused.expect_code(255).expect_text("overlap").expect_text("the segment 3/4:1 is not here");
    assert!(refused.elapsed < Duration::from_secs(40), "it does not wait for their end");
}

/// Stands before an instance, and answers in its place that it has no state at the moment, the second time and the third.
fn busy_at_times(instance: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, instance) = (listener.local_addr().expect("an address").to_string(), instance.to_owned());
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let mut client = client.expect("a client");
            let mut head =
                BufReader::new(&client).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let first = head.next().expect("a request");
            let rest = head.count();
            assert!(first.starts_with("GET /v1/state") && rest > 0, "{first}");
            if [1, 2].contains(&number) {
                let body = r#"{"errors":[{"status":"503","title":"No state","detail":"ask again"}]}"#;
                let head =
                    format!("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: {}", body.len());
                client.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("an answer");
                continue;
            }
            let mut asked = TcpStream::connect(&instance).expect("an instance");
            let request = format!("GET /v1/state HTTP/1.1\r\nhost: {instance}\r\nconnection: close\r\n\r\n");
            asked.write_all(request.as_bytes()).expect("a request");
            std::io::copy(&mut asked, &mut client).expect("a state");
        }
    });
    address
}

/// What it measured last would be lost if it was taken for dead while it adds that up.
#[test]
fn an_instance_that_adds_up_its_last_samples_is_not_lost() {
    const RUNS: &str = "import { sleep } from 'k6'; export default function () { sleep(0.1) }";
    let mut all = [start(RUNS, "0:1/4", &["--vus", "4", "--duration", "5s"], None)];
    // The time for questions is short, so none is asked before there is somebody.
    while TcpStream::connect(&all[0].address).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    let busy = busy_at_times(&all[0].address);
    let own = std::mem::replace(&mut all[0].address, busy);
    let collected = collect(&all, &["--partial", "--retry-for", "1s"]).run();
    collected.expect_code(0);
    assert!(!collected.stderr.contains("is lost"), "{}", collected.stderr);
    assert!(!collected.stdout.contains("has written no last state"), "{}", collected.stdout);
    all[0].address = own;
    collect(&all, &["--partial", "--stop"]).run().expect_code(0);
    let [instance] = all;
    instance.running.finish().expect_code(0);
}

/// The client that asked for them may be gone, so the instance itself ends what takes too long.
#[test]
fn setup_and_teardown_that_never_end_are_ended() {
    // What else is wrong does not hide it.
    for (function, threshold, code) in
        [("setup", "count>0", 100), ("teardown", "count>0", 101), ("teardown", "count<0", 99)]
    {
        let script = format!(
            "export const options = {{ {function}Timeout: '1s', thresholds: {{ iterations: ['{threshold}'] }} }}
            export default function () {{}}
            export function {function}() {{ while (true) {{}} }}"
        );
        let args = ["--paused", "--no-setup", "--no-teardown", "--iterations", "4", "--vus", "4"];
        let instances = start_all(&script, &args, None);
        let collected = collect(&instances, &["--start", "--stop"]).run();
        collected.expect_code(code).expect_text(&format!("{function}() execution timed out after 1 seconds"));
        for instance in instances {
            instance.running.finish();
        }
    }
}

/// After the test it would be too late: `--stop` lets the instances go, and what they have measured with them.
#[test]
fn what_is_wrong_is_said_before_the_test_is_over_and_nothing_is_lost() {
    let script = ABORTS.replace("duration: \"60s\"", "duration: \"1s\", gracefulStop: \"0s\"");
    let script = script.replace("thresholds: {", "thresholds: { nothing: [\"count>0\"],");
    let instances = start_all(&script, &[], None);
    for (args, code, text) in [
        (&["--out", "junit=missing/junit.xml"][..], 255, "open missing/junit.xml: no such file"),
        (&["--out", "json=all.json"], 255, "of the outputs, merge has junit alone"),
        (&["--summary-trend-stats", "p(101)"], 255, "invalid percentile trend stat value"),
        (&["--summary-time-unit", "h"], 255, "invalid summary time unit 'h'"),
        (&["--script", "missing.js"], 255, "missing.js"),
        (&[], 104, "invalid threshold defined on nothing"),
    ] {
        let refused = collect(&instances, args).args(["--stop"]).run();
        refused.expect_code(code).expect_text(text);
    }
    let collected = collect(&instances, &["--stop", "--no-thresholds"]).run();
    collected.expect_code(0);
    assert_eq!(metric(&collected, "hits", "count"), 4);
    for instance in instances {
        let ended = instance.running.finish();
        ended.expect_code(0).expect_text("A threshold cannot be judged, neither here nor");
    }
}

/// Instances that share a folder, and no REST API.
fn with_setup_data(script: &str, segment: &str, file: &str) -> Program {
    Program::script(BINARY, script)
        .args(["--execution-segment", segment, "--execution-segment-sequence", "0,1/2,1"])
        .args(["--setup-data", file, "--log-format=raw"])
        .within(BOUND)
}

#[test]
fn setup_runs_once_with_shared_storage() {
    let script = r#"
export const options = { scenarios: { all: { executor: "shared-iterations", vus: 2, iterations: 4 } }, setupTimeout: "20s" }
export function setup() {
  console.log("sets up")
  if (__ENV.FAILS) throw new Error("no service")
  return { token: 12345.25 }
}
export default function (data) {
  console.log(`uses ${data.token}`)
}
export function teardown(data) {
  console.log(`tears down ${data.token}`)
}
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("a path of text").to_owned();
    let second = with_setup_data(script, "1/2:1", &file("data.json")).start();
    let first = with_setup_data(script, "0:1/2", &file("data.json")).run();
    let second = second.finish();
    for (outcome, own) in [(&first, 1), (&second, 0)] {
        outcome.expect_code(0);
        let lines =
            ["sets up", "tears down 12345.25", "uses 12345.25"].map(|text| outcome.log_lines(text).len());
        assert_eq!(lines, [own, own, 2]);
    }
    // In the next run nobody takes the data of this one, also if the first instance comes last.
    let changed = script.replace("12345.25", "67890.5");
    let run_again = |script: &str| {
        let second = with_setup_data(script, "1/2:1", &file("data.json")).start();
        let first = with_setup_data(script, "0:1/2", &file("data.json")).run();
        (first, second.finish())
    };
    for (first, second) in [run_again(script), run_again(&changed)] {
        first.expect_code(0);
        second.expect_code(0);
        assert_eq!([first.log_lines("sets up").len(), second.log_lines("sets up").len()], [1, 0]);
        assert_eq!([first.log_lines("uses ").len(), second.log_lines("uses ").len()], [2, 2]);
    }

    let second = with_setup_data(script, "1/2:1", &file("failed.json")).start();
    let first = with_setup_data(script, "0:1/2", &file("failed.json")).args(["-e", "FAILS=1"]).run();
    first.expect_code(107).expect_text("no service");
    let second = second.finish();
    second.expect_code(107).expect_text("the first instance: ").expect_text("no service");

    let hurried = script.replace("20s", "1s");
    let alone = with_setup_data(&hurried, "1/2:1", &file("never.json")).run();
    alone.expect_code(100).expect_text("has left nothing in");
    assert_eq!(alone.log_lines("uses").len(), 0);
    let alone = with_setup_data(&hurried, "1/2:1", &file("data.json")).run();
    alone.expect_code(100).expect_text("but for what an earlier run has left");
    assert_eq!(alone.log_lines("uses").len(), 0);
    // A file of another kind is left as it is.
    let other = file("notes.txt");
    std::fs::write(&other, "my notes").expect("a file");
    with_setup_data(script, "0:1/2", &other).run().expect_code(255).expect_text("no file of --setup-data");
    assert_eq!(std::fs::read_to_string(&other).expect("a file"), "my notes");
}

#[test]
fn a_file_of_setup_data_is_held_while_its_run_lasts() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "30s" }
export function setup() {
  console.log("sets up")
  return 1
}
export default function () {
  sleep(1)
}
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.json").to_str().expect("a path of text").to_owned();
    let mut first = with_setup_data(script, "0:1/2", &file).start();
    first.wait_for("sets up");
    let other = with_setup_data(script, "0:1/2", &file).run();
    other.expect_code(255).expect_text("another run uses");
    let other = with_setup_data(&format!("{script}// other"), "1/2:1", &file).run();
    other.expect_code(255).expect_text("of a run of another script");
    // An instance that comes late is part of the run all the same.
    let mut late = with_setup_data(script, "1/2:1", &file).args(["--duration", "1s"]).start();
    first.signal(Signal::KILL);
    first.finish();
    // It has died without a word; the next run takes its place after a while.
    let next = with_setup_data(script, "0:1/2", &file).args(["--duration", "1s"]).run();
    assert_eq!(next.log_lines("sets up").len(), 1);
    next.expect_code(0);
    late.signal(Signal::TERM);
    late.finish();
}

#[test]
fn no_instance_takes_the_setup_data_of_a_run_that_has_its_part() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "40s" }
console.log("begins")
export function setup() {
  return __ENV.RUN
}
export default function (run) {
  console.log(`belongs to ${run}`)
  sleep(1)
}
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.json").to_str().expect("a path of text").to_owned();
    let of_run = |run: &str, segment: &str| {
        with_setup_data(script, segment, &file).args(["-e", &format!("RUN={run}")])
    };
    let earlier = ["0:1/2", "1/2:1"].map(|segment| {
        let mut instance = of_run("the earlier run", segment).start();
        instance.wait_for("belongs to the earlier run");
        instance
    });
    let hurried = of_run("no run", "1/2:1").env("K6_SETUP_TIMEOUT", "6s").run();
    hurried.expect_code(100).expect_text("another instance runs 1/2:1").expect_text("files of their own");
    assert_eq!(hurried.log_lines("belongs to").len(), 0);
    // The earlier run ends when an instance of the next one is there already.
    let mut second = of_run("the next run", "1/2:1").args(["--duration", "1s"]).start();
    second.wait_for("begins");
    for mut instance in earlier {
        instance.signal(Signal::TERM);
        instance.finish();
    }
    let first = of_run("the next run", "0:1/2").args(["--duration", "1s"]).run();
    for outcome in [first, second.finish()] {
        outcome.expect_code(0);
        let lines = ["belongs to the next run", "belongs to the earlier run"]
            .map(|text| outcome.log_lines(text).len());
        assert!(lines[0] > 0 && lines[1] == 0, "{}", outcome.stderr);
    }
    let marks = std::fs::read_dir(folder.path().join("data.json.taken")).expect("a folder");
    assert_eq!(marks.count(), 1, "what earlier runs have left is removed");
}
