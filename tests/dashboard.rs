//! The dashboard and the report: the page's data are those of the run, live and in the file, and who watches is served.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use senary_testkit::{Program, Running, Signal, page_data, page_document};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Two scenarios; checks, groups, metrics of its own, a crossed threshold, exceptions.
const SCRIPT: &str = r#"
import { check, group, sleep } from "k6"
import { Counter, Gauge, Rate, Trend } from "k6/metrics"
export const options = {
  scenarios: {
    quick: { executor: "constant-arrival-rate", rate: 50, duration: "2500ms", preAllocatedVUs: 5, gracefulStop: "1s" },
    slow: { executor: "per-vu-iterations", vus: 2, iterations: 5, exec: "slow" },
  },
  thresholds: {
    placed: ["count<10", "count>1"],
    "took{scenario:slow}": ["p(95)<100000"],
    never: ["max<1"],
  },
  tags: { release: "42" },
}
const placed = new Counter("placed"), took = new Trend("took", true), level = new Gauge("level"), hit = new Rate("hit")
new Trend("never")
export default function () {
  placed.add(2)
  group("shop", () => check(null, { "is there": () => true, "is rare": () => __ITER % 10 == 0 }))
  took.add(5 + __ITER % 3)
  hit.add(__ITER % 4 == 0)
  level.add(__ITER)
  if (__ITER == 3) throw new Error("out of stock")
}
export function slow() {
  took.add(250)
  sleep(0.3)
}
"#;

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let found = list.as_array().expect("a list").iter().find(|entry| entry[key] == name);
    found.unwrap_or_else(|| panic!("no {key} {name:?} in {list:#}"))
}

fn sum(column: &Value) -> f64 {
    column.as_array().expect("a column").iter().filter_map(Value::as_f64).sum()
}

fn series<'a>(document: &'a Value, id: &str) -> &'a Value {
    named(&document["timeline"]["series"], "id", id)
}

#[test]
fn the_report_has_all_of_the_run() {
    let outcome = Program::script(BINARY, SCRIPT)
        .args(["--report", "report.html", "-e", "TOKEN=abc"])
        .within(BOUND)
        .run();
    outcome.expect_code(99);
    let page = outcome.file("report.html");
    assert!(page.to_lowercase().starts_with("<!doctype html"));
    assert!(page.contains("<title>Failed: script.js</title>") && !page.contains("id=\"data\""));
    let document = page_document(&page);
    let run = &document["run"];
    assert_eq!(
        (&run["state"], &run["exit_code"], &run["complete"]),
        (&json!("failed"), &json!(99), &json!(true))
    );
    assert_eq!((&run["script"], &run["tags"]), (&json!("script.js"), &json!({"release": "42"})));
    assert!(run["command"].as_str().unwrap().contains("TOKEN=••••"), "{run}");
    assert!(run["reason"].as_str().unwrap().contains("'placed'"), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("out of stock"), "{run}");

    let iterations = outcome.measured("iterations", "count");
    let whole = series(&document, "iterations");
    assert_eq!(sum(&whole["counter"]["sum"]), iterations);
    let parts = ["quick", "slow"]
        .map(|name| sum(&series(&document, &format!("iterations{{scenario={name}}}"))["counter"]["sum"]));
    assert_eq!((parts[0] + parts[1], parts[1]), (iterations, 10.0));
    let table = &document["metrics"];
    assert_eq!(named(table, "name", "placed")["counter"]["count"], outcome.measured("placed", "count"));
    // The table tells apart the values of every tag, whether a chart does or not.
    let tagged = named(table, "name", "placed{release:42}");
    assert_eq!(
        (&tagged["kind"], tagged["counter"]["count"].as_f64()),
        (&json!("value"), outcome.value("placed", "count"))
    );
    let threw = named(&document["errors"], "kind", "exception");
    assert_eq!(threw["shares"], json!([["scenario", "quick", 1.0]]));
    let took = named(table, "name", "took");
    assert_eq!(
        (&took["custom"], &took["exact"], &took["contains"]),
        (&json!(true), &json!(true), &json!("time"))
    );
    assert_eq!(took["trend"]["max"], 250);
    assert!(took["trend"]["curve"].as_array().unwrap().len() > 3, "{took:#}");
    assert_eq!(named(table, "name", "took{scenario:slow}")["kind"], "submetric");
    let slow = series(&document, "took{scenario=slow}");
    assert_eq!(sum(&slow["trend"]["count"]), 10.0);
    assert_eq!(named(&document["checks"], "name", "is there")["fails"], 0);
    let rare = named(&document["checks"], "name", "is rare");
    assert_eq!(
        sum(&series(&document, rare["series"].as_str().unwrap())["rate"]["passes"]),
        rare["passes"].as_f64().unwrap()
    );

    let intervals = document["timeline"]["intervals"].as_u64().unwrap() as usize;
    assert!((3..8).contains(&intervals), "{intervals}");
    for series in document["timeline"]["series"].as_array().unwrap() {
        let columns = series[series["type"].as_str().unwrap()].as_object().unwrap();
        assert!(columns.values().all(|column| column.as_array().unwrap().len() == intervals), "{series:#}");
    }
    let histogram: f64 = series(&document, "took")["hist"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_array)
        .flat_map(|counts| counts.iter().skip(1).step_by(2).filter_map(Value::as_f64))
        .sum();
    assert_eq!(histogram, took["trend"]["count"].as_f64().unwrap());

    let crossed = named(&document["thresholds"], "source", "count<10");
    assert_eq!(
        (&crossed["ok"], &crossed["limit"], &crossed["operator"]),
        (&json!(false), &json!(10.0), &json!("<"))
    );
    assert!(!crossed["changes"].as_array().unwrap().is_empty(), "{crossed}");
    assert_eq!(named(&document["thresholds"], "metric", "never")["value"], Value::Null);
    let thrown = named(&document["errors"], "kind", "exception");
    assert!(thrown["place"].as_str().unwrap().starts_with("script.js:"), "{thrown}");
    assert!(thrown["count"].as_u64().unwrap() >= 1 && thrown["first"].as_f64().unwrap() < 4.0);
    let quick = named(&document["scenarios"], "name", "quick");
    assert_eq!((&quick["open"], &quick["plan"]), (&json!(true), &json!([[0.0, 50.0], [2.5, 50.0]])));
    assert!(
        document["log"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["text"].as_str().unwrap().contains("out of stock"))
    );
    assert!(["ok", "partly", "limit"].contains(&document["generator"]["verdict"].as_str().unwrap()));
    assert!(document["instances"][0]["memory"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn a_report_that_cannot_be_written_says_so() {
    let run = |path: &str| {
        let program = Program::script(BINARY, "export default function () {}");
        program.args(["--report", path]).within(BOUND).run()
    };
    // What can be known before the run does not wait for its end.
    run("no/such/report.html").expect_code(255).expect_text("there is no folder no/such");
    run(".").expect_code(255).expect_text("is a folder: give the name of a file in it");
    let outcome = run("/dev/full");
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("The report could not be written").len(), 1, "{}", outcome.stderr);
}

#[test]
fn the_shortest_run_has_a_report() {
    let script = "export default function () {}";
    let program = Program::script(BINARY, script).env("K6_WEB_DASHBOARD", "true");
    let program = program.env("K6_WEB_DASHBOARD_EXPORT", "export.html").env("K6_WEB_DASHBOARD_PORT", "-1");
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    let page = outcome.file("export.html");
    assert_eq!(page_document(&page)["run"]["state"], "finished");
    let events = String::from_utf8(page_data(&page, "data")).unwrap();
    assert!(events.starts_with(r#"{"event":"config","data":{"title""#), "{events}");
}

/// A run with a dashboard on a port of its own.
struct Watched {
    running: Running,
    address: String,
}

impl Watched {
    fn start(script: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let program = Program::script(BINARY, script).env("K6_WEB_DASHBOARD_PORT", address.port());
        let running = program.args(["--dashboard"]).within(BOUND).start();
        Self { running, address: address.to_string() }
    }

    fn connect(&self) -> TcpStream {
        let started = Instant::now();
        loop {
            match TcpStream::connect(&self.address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(BOUND)).expect("a timeout");
                    return stream;
                }
                Err(_) if started.elapsed() < BOUND => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => panic!("{}: {error}", self.address),
            }
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let host =
            if headers.contains("host:") { String::new() } else { format!("host: {}\r\n", self.address) };
        write!(stream, "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\n\r\n")
            .expect("it is sent");
        BufReader::new(stream)
    }

    fn answer(&self, method: &str, path: &str, headers: &str) -> String {
        let mut text = String::new();
        self.ask(method, path, headers).read_to_string(&mut text).expect("an answer");
        text
    }
}

/// The data of the next event. The stream is chunked; the lines of its lengths are no `data:`.
fn next_event(stream: &mut impl BufRead) -> Value {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).expect("a line") > 0, "the stream has ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).expect("the data are JSON");
        }
    }
}

/// The head of an answer, in small letters.
fn first_lines(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while stream.read_line(&mut head).expect("a line") > 2 {}
    head.to_ascii_lowercase()
}

const STEADY: &str = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "4s" }
export default function () { sleep(0.1) }
"#;

#[test]
fn a_page_is_told_what_is_new_and_at_the_end_everything() {
    // The one iteration lasts until the page has got tails, however slow the machine is.
    const PATIENT: &str = r#"
import { Socket } from "k6/x/tcp"
export const options = { scenarios: { s: { executor: "shared-iterations", vus: 1, iterations: 1, maxDuration: "55s" } } }
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(PORT, "127.0.0.1")
  await closed
}
"#;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let watched = Watched::start(&PATIENT.replace("PORT", &port.to_string()));
    let (peer, _) = listener.accept().expect("the script connects");
    let mut peer = Some(peer);
    let mut live = watched.ask("GET", "/live", "");
    let first = next_event(&mut live);
    assert_eq!((&first["run"]["state"], &first["run"]["can_stop"]), (&json!("running"), &json!(true)));
    assert_eq!(first["timeline"]["from"], 0);
    let mut tails = 0;
    let last = loop {
        let next = next_event(&mut live);
        if next["run"]["complete"] == true {
            break next;
        }
        assert_eq!(next["run"]["state"], "running");
        // The last intervals are sent again each time, so a short run has nothing that is not new.
        tails += u32::from(next["timeline"]["from"].as_u64().unwrap() > 0);
        if tails == 2 {
            drop(peer.take());
        }
    };
    assert!(tails >= 2, "only whole documents came");
    assert_eq!((&last["timeline"]["from"], &last["run"]["state"]), (&json!(0), &json!("finished")));
    let all = sum(&series(&last, "iterations")["counter"]["sum"]);
    assert_eq!(named(&last["metrics"], "name", "iterations")["counter"]["count"], all);
    // Somebody watches: the process stays.
    let report = watched.answer("GET", "/report", "");
    assert!(report.starts_with("HTTP/1.1 200 OK"), "{report}");
    drop(live);
    let outcome = watched.running.finish();
    outcome.expect_code(0);
    assert_eq!(outcome.measured("iterations", "count"), all);
}

/// Each of them comes to the end of the run at another moment, and all are told the same.
#[test]
fn the_last_document_is_a_whole_one_whenever_it_is_made() {
    let watched = Watched::start(&STEADY.replace("4s", "5s"));
    let read = |delay: u64| {
        std::thread::sleep(Duration::from_millis(delay));
        let mut live = watched.ask("GET", "/live", "");
        loop {
            let next = next_event(&mut live);
            if next["run"]["complete"] == true {
                assert_eq!(next["timeline"]["from"], 0);
                assert!(next["metrics"].as_array().unwrap().iter().any(|row| row["exact"] == true));
                break named(&next["metrics"], "name", "iterations")["counter"]["count"].as_f64();
            }
        }
    };
    let counted: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..20).map(|n| scope.spawn(move || read(n * 50))).collect();
        readers.into_iter().map(|reader| reader.join().expect("it is told")).collect()
    });
    let outcome = watched.running.finish();
    assert!(
        counted.iter().all(|count| *count == Some(outcome.measured("iterations", "count"))),
        "{counted:?}"
    );
}

#[test]
fn pages_of_others_are_refused() {
    let watched = Watched::start(STEADY);
    for header in
        ["origin: http://evil.example\r\n", "host: evil.example\r\n", "sec-fetch-site: cross-site\r\n"]
    {
        for path in ["/data", "/events", "/stop"] {
            let method = if path == "/stop" { "POST" } else { "GET" };
            let answer = watched.answer(method, path, header);
            assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{path} {header} {answer}");
        }
    }
    // Viewers of the events may be pages of this machine.
    let viewer = "origin: http://localhost:3000\r\nsec-fetch-site: cross-site\r\n";
    assert!(watched.answer("GET", "/data", viewer).starts_with("HTTP/1.1 403 Forbidden"));
    let events = first_lines(&mut watched.ask("GET", "/events", viewer));
    assert!(
        events.starts_with("http/1.1 200 ok") && events.contains("access-control-allow-origin: *"),
        "{events}"
    );
    let own = watched.answer("GET", "/ui/", &format!("origin: http://{}\r\n", watched.address));
    assert!(own.starts_with("HTTP/1.1 200 OK"), "{own}");
    watched.running.finish().expect_code(0);
}

#[test]
fn pages_that_the_user_names_may_read_the_events() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let port = address.rsplit(':').next().expect("a port");
    let out = format!("--out=web-dashboard=port={port}&origin=https://viewer.example");
    let running = Program::script(BINARY, STEADY).arg(out).within(BOUND).start();
    let watched = Watched { running, address };
    for (origin, answer) in
        [("https://viewer.example", "http/1.1 200"), ("https://evil.example", "http/1.1 403")]
    {
        let head = first_lines(&mut watched.ask("GET", "/events", &format!("origin: {origin}\r\n")));
        assert!(head.starts_with(answer), "{origin}: {head}");
    }
    watched.running.finish().expect_code(0);
}

#[test]
fn the_page_can_end_the_run() {
    let watched = Watched::start(&STEADY.replace("4s", "50s"));
    assert_eq!(next_event(&mut watched.ask("GET", "/live", ""))["run"]["complete"], false);
    assert!(watched.answer("GET", "/stop", "").starts_with("HTTP/1.1 405"));
    assert!(watched.answer("POST", "/stop", "").starts_with("HTTP/1.1 204"));
    watched.running.finish().expect_code(103);
}

#[test]
fn a_signal_ends_the_wait_for_those_who_watch() {
    let mut watched = Watched::start(&STEADY.replace("4s", "1s"));
    let mut live = watched.ask("GET", "/live", "");
    while next_event(&mut live)["run"]["complete"] != true {}
    watched.running.signal(Signal::INT);
    watched.running.finish().expect_code(0);
}

#[test]
fn a_taken_port_is_no_reason_to_stop() {
    // The whole of 127.0.0.0/8 is this machine; somebody may be at the usual address.
    let [low, high, ..] = std::process::id().to_le_bytes();
    let host = format!("127.{}.{low}.7", 64 + (high & 63));
    let _taken = TcpListener::bind(format!("{host}:5665")).expect("the port is free");
    let script = "export default function () {}";
    let program = Program::script(BINARY, script).env("K6_WEB_DASHBOARD_HOST", &host);
    let outcome = program.args(["--dashboard"]).within(BOUND).run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("instead of 5665").len(), 1, "{}", outcome.stderr);
    let program = Program::script(BINARY, script).env("K6_WEB_DASHBOARD_HOST", &host);
    let outcome = program.args(["--out", "web-dashboard=port=5665"]).within(BOUND).run();
    outcome.expect_code(255).expect_text("address already in use");
}
