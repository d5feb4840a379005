//! The report and the dashboard of a test that several processes run: one page over all of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use senary_testkit::{Behaviour, Browser, Outcome, Program, Running, Server, Signal, page_document};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);

const QUARTERS: [&str; 4] = ["0:1/4", "1/4:1/2", "1/2:3/4", "3/4:1"];

/// Forty requests per second, over all instances together. None is dropped, even if the machine stands still for a second.
const SCRIPT: &str = r#"
import { Socket } from "senary/tcp"
import { check } from "k6"
export const options = {
  scenarios: {
    orders: { executor: "constant-arrival-rate", rate: 40, duration: (__ENV.SECONDS || 4) + "s", preAllocatedVUs: 40 },
  },
  thresholds: { tcp_req_failed: ["rate<0.5"], iterations: ["count<100"], "tcp_req_duration{scenario:orders}": ["p(95)<5000"] },
}
const open = {}
export default async function () {
  if (!open.socket) {
    open.socket = new Socket({ framing: "lines", encoding: "utf8", scope: "vu" })
    await open.socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, timeout: "5s" })
    console.warn("connected")
  }
  const reply = await open.socket.request("ping", { timeout: "5s" })
  check(reply, { "the answer is the question": (text) => text === "ping" })
}
"#;

/// The instance that runs one of these segments of the test.
fn instance(segment: &str, all: &[&str], server: &Server, args: &[&str]) -> Program {
    let ends = all.iter().filter_map(|segment| segment.split(':').next_back());
    let sequence: Vec<_> = ["0"].into_iter().chain(ends).collect();
    Program::script(BINARY, SCRIPT)
        .target(server)
        .args(["--quiet", "--no-thresholds", "--execution-segment", segment])
        .args(["--execution-segment-sequence", &sequence.join(",")])
        .args(args.iter().copied())
        .within(BOUND)
}

/// Starts one of four instances whose states go to a folder that all share.
fn start(segment: &str, folder: &str, server: &Server, args: &[&str]) -> Running {
    let states = format!("state={folder}/,period=200ms");
    instance(segment, &QUARTERS, server, args).args(["--out", &states]).start()
}

/// An address that nobody else has: the whole of 127.0.0.0/8 is loopback.
fn free_address(number: u8) -> String {
    let [low, high, ..] = std::process::id().to_le_bytes();
    format!("127.{}.{low}.{number}:6565", 192 + (high & 63))
}

/// Starts instances that answer questions. Each has an address of its own; they are numbered from `first` on.
fn start_askable(first: u8, segments: &[&str], server: &Server, args: &[&str]) -> Vec<(Running, String)> {
    let start = |(number, segment): (u8, &&str)| {
        let address = free_address(number);
        let program = instance(segment, segments, server, args).args(["--linger", "--address", &address]);
        (program.start(), address)
    };
    (first..).zip(segments).map(start).collect()
}

fn merge(folder: &str, args: &[&str]) -> Outcome {
    let program = Program::new(BINARY).args(["merge", folder, "--report", "report.html"]);
    program.args(args.iter().copied()).within(BOUND).run()
}

fn series<'a>(document: &'a Value, id: &str) -> &'a Value {
    let all = document["timeline"]["series"].as_array().expect("series");
    all.iter().find(|series| series["id"] == id).unwrap_or_else(|| panic!("no series {id}"))
}

fn threshold<'a>(document: &'a Value, metric: &str) -> &'a Value {
    let all = document["thresholds"].as_array().expect("thresholds");
    all.iter().find(|threshold| threshold["metric"] == metric).expect("the threshold")
}

fn sum(column: &Value) -> u64 {
    column.as_array().expect("a column").iter().filter_map(Value::as_u64).sum()
}

/// What the first screen says, with plain spaces.
fn first_words(browser: &mut Browser) -> String {
    let words = browser.text("document.querySelector('[data-region=verdict]').innerText");
    words.replace(['\u{a0}', '\u{202f}'], " ")
}

/// Waits for a state that an instance has written after some moment; a busy disk may take long for each of them.
fn wait_for_state_after(folder: &Path, ending: &str, moment: SystemTime) {
    for _ in 0..600 {
        let entries = fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
        let mut states = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(ending));
        let is_there = states
            .any(|state| state.metadata().and_then(|of| of.modified()).is_ok_and(|written| written > moment));
        if is_there {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no state ends in {ending}");
}

/// Opens a report, and waits until it is drawn.
fn open(browser: &mut Browser, html: &str, folder: &tempfile::TempDir) {
    let file = folder.path().join("report.html");
    fs::write(&file, html).expect("a file");
    browser.open(&format!("file://{}", file.display()));
    browser.wait_for(
        "globalThis.Senary && Senary.page && Senary.page.model && document.querySelector('.uplot')",
    );
    browser.value("Senary.page.stack.drawAll()");
}

#[test]
fn the_report_of_four_instances_is_one() {
    let server = Server::start(Behaviour::Echo);
    let folder = tempfile::tempdir().expect("a folder");
    let states = folder.path().to_str().expect("a path of text");
    let running: Vec<_> = QUARTERS.iter().map(|segment| start(segment, states, &server, &[])).collect();
    for instance in running {
        instance.finish().expect_code(0);
    }
    let merged = merge(states, &[]);
    merged.expect_code(99);
    let html = merged.file("report.html");
    let told = page_document(&html);
    assert_eq!((&told["run"]["state"], &told["run"]["exit_code"]), (&json!("failed"), &json!(99)));
    assert_eq!(
        told["scenarios"][0]["words"].as_str().map(|words| words.starts_with("40.00 iterations/s")),
        Some(true)
    );
    // What each second has adds up to what the whole run has, of all and of each.
    let iterations = series(&told, "iterations");
    let metric = |name: &str| {
        told["metrics"]
            .as_array()
            .expect("metrics")
            .iter()
            .find(|metric| metric["name"] == name)
            .expect("it")
            .clone()
    };
    let count = metric("iterations")["counter"]["count"].as_u64().expect("a count");
    assert!((159..=161).contains(&count), "{count}");
    assert_eq!(sum(&iterations["counter"]["sum"]), count);
    assert_eq!(sum(&series(&told, "tcp_req_duration{scenario=orders}")["trend"]["count"]), count);
    let users = series(&told, "vus")["gauge"]["last"].as_array().expect("a column").clone();
    assert!(
        users.iter().any(|users| users == &json!(40)),
        "the users of all are counted together: {users:?}"
    );
    let rows = told["instances"].as_array().expect("instances");
    let segments: Vec<_> = rows.iter().map(|row| row["segment"].as_str().expect("a segment")).collect();
    assert_eq!(segments, QUARTERS);
    for row in rows {
        assert_eq!((&row["state"], &row["iterations"]), (&json!("ok"), &row["requests"]));
        let own = series(&told, row["series"].as_str().expect("a series"));
        assert_eq!(json!(sum(&own["counter"]["sum"])), row["requests"]);
        assert!(row["memory"].as_u64() > Some(1_000_000), "{row}");
    }
    let log = told["log"].as_array().expect("a log");
    assert!(
        log.iter().any(|line| line["text"].as_str().is_some_and(|text| text.contains("(0:1/4): connected")))
    );
    let threshold = threshold(&told, "iterations");
    assert_eq!((&threshold["ok"], threshold["value"].as_f64()), (&json!(false), Some(count as f64)));

    let Some(mut browser) = Browser::start() else { return };
    browser.window(1280, 900, false);
    open(&mut browser, &html, &folder);
    assert_eq!(browser.text("document.title"), "Failed: script.js");
    assert!(first_words(&mut browser).contains("4 instances"));
    let table = browser.text("document.querySelector('[data-region=generator]').innerText");
    for segment in QUARTERS {
        assert!(table.contains(segment), "{table}");
    }
    assert!(table.contains("4 instances; figures are merged without loss"), "{table}");
    assert_eq!(browser.value("document.querySelectorAll('.instances tbody tr svg.spark').length"), json!(4));
    let words = browser.text("document.body.innerText");
    for nonsense in ["undefined", "NaN", "[object", "Infinity"] {
        assert!(!words.contains(nonsense), "{nonsense} in {words}");
    }
    assert_eq!(browser.value("document.documentElement.scrollWidth"), json!(1280));
    assert_eq!(browser.console, Vec::<String>::new());
}

#[test]
fn who_was_lost_and_who_never_came_is_said_on_the_page() {
    let server = Server::start(Behaviour::Echo);
    let folder = tempfile::tempdir().expect("a folder");
    let states = folder.path().to_str().expect("a path of text");
    let long = ["-e", "SECONDS=60"];
    let mut victim = start(QUARTERS[1], states, &server, &long);
    let others: Vec<_> =
        [QUARTERS[0], QUARTERS[2]].iter().map(|segment| start(segment, states, &server, &[])).collect();
    for instance in others {
        instance.finish().expect_code(0);
    }
    victim.wait_for("connected");
    wait_for_state_after(folder.path(), "1_4_1_2.state", SystemTime::now());
    victim.signal(Signal::KILL);
    victim.finish();
    let refused = merge(states, &[]);
    refused.expect_code(255);
    assert!(!refused.path("report.html").exists(), "there is no report of what is no test");
    let merged = Program::new(BINARY)
        .args(["merge", states, "--partial"])
        .env("K6_WEB_DASHBOARD", "true")
        .env("K6_WEB_DASHBOARD_EXPORT", "exported.html")
        .within(BOUND)
        .run();
    merged.expect_code(99);
    let html = merged.file("exported.html");
    let told = page_document(&html);
    let states: Vec<_> =
        told["instances"].as_array().expect("rows").iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["ok", "lost", "ok", "silent"]);
    let Some(mut browser) = Browser::start() else { return };
    browser.window(1280, 900, false);
    open(&mut browser, &html, &folder);
    let first = first_words(&mut browser);
    assert!(
        first.contains("was lost at 0:") && first.contains("1 instance never reported: 3/4:1"),
        "{first}"
    );
    assert_eq!(browser.console, Vec::<String>::new());
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[test]
fn one_dashboard_shows_instances_that_run() {
    let server = Server::start(Behaviour::Echo);
    let mut instances = start_askable(1, &QUARTERS, &server, &["-e", "SECONDS=14"]);
    let port = free_port();
    let mut collecting = Program::new(BINARY)
        .arg("collect")
        .args(instances.iter().map(|(_, address)| address.as_str()))
        .args(["--dashboard", "--report", "report.html", "--partial", "--retry-for", "1s", "--stop"])
        .env("K6_WEB_DASHBOARD_PORT", port)
        .within(BOUND)
        .start();
    collecting.wait_for(&format!("web dashboard: http://127.0.0.1:{port}"));
    collecting.wait_for("4 of 4 instances running");
    let page = format!("http://127.0.0.1:{port}");
    let Some(mut browser) = Browser::start() else {
        for (running, _) in &mut instances {
            running.signal(Signal::KILL);
        }
        return;
    };
    browser.window(1280, 900, false);
    browser.open(&format!("{page}/ui/"));
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model && Senary.page.model.n >= 2");
    assert_eq!(browser.text("document.title"), "Running: script.js");
    assert!(first_words(&mut browser).contains("All 4 instances report."));
    // The threshold is crossed by all together, and by none of them.
    browser.wait_for("document.querySelector('.thresholds .state.crossed')");
    let rate = "Math.max(...Senary.page.model.perSecond(Senary.page.model.series('iterations')))";
    browser.wait_for(&format!("{rate} > 30"));
    let rows =
        "[...document.querySelectorAll('.instances .state')].map((state) => state.innerText.trim()).join()";
    assert_eq!(browser.text(rows), "reporting,reporting,reporting,reporting");
    instances[3].0.signal(Signal::KILL);
    browser.wait_for(&format!("({rows}).includes('lost at')"));
    browser.wait_for("Senary.page.doc.run.state !== 'running'");
    browser.wait_for("document.title === 'Failed: script.js'");
    assert_eq!(browser.console, Vec::<String>::new());
    browser.open("about:blank");
    let collected = collecting.finish();
    collected.expect_code(99);
    // The report knows when the threshold was crossed, and ends where the page did.
    let told = page_document(&collected.file("report.html"));
    let crossed = threshold(&told, "iterations");
    assert_eq!(crossed["ok"], json!(false));
    assert!(crossed["changes"].as_array().is_some_and(|changes| changes.len() > 1), "{crossed}");
    let states: Vec<_> =
        told["instances"].as_array().expect("rows").iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["ok", "ok", "ok", "lost"]);
    assert!(told["instances"][0]["clock"].is_number(), "both have one clock");
    for (running, _) in instances {
        running.finish();
    }
}

/// What viewers of k6's dashboard are told, by an address.
fn events(url: &str) -> Vec<(String, Value)> {
    let rest = url.strip_prefix("http://").expect("HTTP");
    let mut stream = TcpStream::connect(rest).expect("the dashboard");
    write!(stream, "GET /events HTTP/1.1\r\nhost: {rest}\r\n\r\n").expect("a request");
    let (mut told, mut data) = (Vec::new(), Value::Null);
    for line in BufReader::new(stream).lines() {
        let line = line.expect("a line");
        if let Some(json) = line.strip_prefix("data: ") {
            data = serde_json::from_str(json).expect("JSON");
        } else if let Some(kind) = line.strip_prefix("event: ") {
            told.push((kind.to_owned(), data.take()));
            if kind == "stop" {
                break;
            }
        }
    }
    told
}

#[test]
fn viewers_get_the_events_of_all_instances() {
    let server = Server::start(Behaviour::Echo);
    let instances = start_askable(11, &["0:1/2", "1/2:1"], &server, &[]);
    let port = free_port();
    let mut collecting = Program::new(BINARY)
        .arg("collect")
        .args(instances.iter().map(|(_, address)| address.as_str()))
        .args(["--dashboard", "--stop"])
        .env("K6_WEB_DASHBOARD_PORT", port)
        .within(BOUND)
        .start();
    collecting.wait_for("instances running");
    let told = events(&format!("http://127.0.0.1:{port}"));
    collecting.finish().expect_code(99);
    let of =
        |kind: &str| told.iter().filter(|(name, _)| name == kind).map(|(_, data)| data).collect::<Vec<_>>();
    assert_eq!(told[1].0, "param");
    assert_eq!(told[1].1["scenarios"], json!(["orders"]));
    let mut names: Vec<String> =
        of("metric").iter().flat_map(|data| data.as_object().expect("metrics").keys().cloned()).collect();
    names.sort_unstable();
    let at = names.iter().position(|name| name == "iterations").expect("iterations");
    let last = of("cumulative").last().expect("totals")[at].clone();
    assert!(last[0].as_u64().is_some_and(|count| (159..=161).contains(&count)), "{last}");
    // No iteration is in two periods.
    let snapshots = of("snapshot");
    let told: u64 = snapshots.iter().filter_map(|data| data.get(at)?.get(0)?.as_u64()).sum();
    assert!(!snapshots.is_empty() && told <= 161, "{snapshots:?}");
    for (running, _) in instances {
        running.finish();
    }
}
