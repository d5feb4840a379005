//! A run whose service did not work says so: what went wrong, how often, where and when.

#[path = "evidence/examples.rs"]
mod examples;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Reply, Server, Signal, Site, WebSocketPeer};
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
    let peer = format!("{} has not answered for ", server.address());
    expect_first(&outcome, &["3 iterations were cut off", &peer, "(5 B sent, 0 B received)"]);
    assert!(section(&outcome)[1].contains("script.js:8:3"), "{}", outcome.stdout);
}

/// A server that answers the first message, and no other.
fn answers_once() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(BOUND)).expect("a time limit");
        stream.read_exact(&mut [0; 2]).expect("a message");
        stream.write_all(b"a\n").expect("a reader");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    address
}

#[test]
fn a_server_that_leaves_messages_unanswered_is_named() {
    for wait in ["socket.request('b')", "socket.send('b').then(() => socket.read())"] {
        let script = format!(
            r#"import {{ Socket }} from "senary/tcp"
export const options = {{ scenarios: {{ s: {{ executor: "constant-vus", vus: 1, duration: "1s", gracefulStop: "0s" }} }} }}
export default async function () {{
  const socket = new Socket({{ framing: "lines" }})
  await socket.connect(__ENV.PORT, "127.0.0.1")
  await socket.request("a")
  await {wait}
}}
"#
        );
        let address = answers_once();
        let outcome = Program::script(BINARY, &script).env("PORT", address.port()).within(BOUND).run();
        let peer = format!("{address} has not answered for ");
        expect_first(&outcome, &["1 iteration was cut off", &peer, "(4 B sent, 2 B received)"]);
        assert!(section(&outcome)[1].contains("script.js:7:3"), "{wait}: {}", outcome.stdout);
    }
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

/// Iterations that return, throw, never settle or take long. Each says so to the server, and counts its own end as the last
/// thing it does.
const MIXED: &str = r#"
import { Socket } from "k6/x/tcp"
import { Counter } from "k6/metrics"
const begun = new Counter("begun"), sent = new Counter("sent")
const returned = new Counter("returned"), threw = new Counter("threw"), unsettled = new Counter("unsettled")
export async function mixed() {
  begun.add(1)
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("b")
  sent.add(1)
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
  if (__ITER % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 3000))
  socket.destroy()
  await closed
  if (__ITER % 4 === 1) {
    threw.add(1)
    throw new Error("on purpose")
  }
  if (__ITER % 4 === 2) {
    unsettled.add(1)
    await new Promise(() => {})
  }
  returned.add(1)
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

const WORKERS: u64 = 2;

/// Runs it, to its end or to Ctrl+C so long after the server has heard of the first iteration. What is counted of how
/// iterations ended adds up to those that began, is what the script says, and what the server saw.
fn every_iteration_is_accounted_for(executor: &str, interrupted_after: Option<Duration>) {
    let server = Server::start(Behaviour::Sink);
    let options = format!(
        r#"export const options = {{ scenarios: {{ s: {{ exec: "mixed", gracefulStop: "100ms", {executor} }} }} }}"#
    );
    let script = format!("{MIXED}{options}{KEEP_DATA}");
    let program = Program::script(BINARY, &script).arg(format!("--workers={WORKERS}"));
    let mut running = program.target(&server).within(BOUND).start();
    if let Some(after) = interrupted_after {
        assert!(server.has_received(1, BOUND), "no iteration begins");
        std::thread::sleep(after);
        running.signal(Signal::INT);
    }
    let outcome = running.finish();
    if interrupted_after.is_some() && !outcome.path("data.json").exists() {
        // The signal came when the run was over, and has ended handleSummary(): its data are lost, the summary is not.
        outcome.expect_code(105).expect_text("iterations...");
        return;
    }
    let counted = |metric: &str| outcome.value(metric, "count").unwrap_or_default() as u64;
    let failures = failures(&outcome);
    let cut_off = count(&failures, "interrupted");
    let failed = count(&failures, "exception") + count(&failures, "rejection");
    let never_settled = count(&failures, "never_settled");
    let books = format!("{executor}, ended after {interrupted_after:?}: {failures:?}\n{}", outcome.stdout);
    assert_eq!(cut_off, counted("iterations_interrupted"), "{books}");
    assert_eq!(failed, counted("iterations_failed"), "{books}");
    assert_eq!(counted("iterations") + cut_off, counted("begun"), "{books}");
    // An iteration may be cut off between its last word and its end; each worker can be there with one.
    let last_word = counted("returned") + failed + never_settled + cut_off;
    assert!((counted("begun")..=counted("begun") + WORKERS).contains(&last_word), "{books}");
    assert!(counted("threw") >= failed && counted("unsettled") >= never_settled, "{books}");
    assert!(server.all_closed(BOUND));
    // Each has said one byte, unless it was cut off before it could, or before it could say so.
    let heard = server.bytes();
    assert!((counted("sent")..=counted("sent") + cut_off).contains(&heard), "{heard} heard, {books}");
}

#[test]
fn every_iteration_is_accounted_for_in_all_executors() {
    std::thread::scope(|scope| {
        for executor in EXECUTORS {
            scope.spawn(move || every_iteration_is_accounted_for(executor, None));
        }
    });
}

/// Ctrl+C comes at random: to repeat a failure, set `SEED` to what is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("a time").as_nanos() as u64;
        let seed = std::env::var("SEED").map_or(now, |seed| seed.parse().expect("a number"));
        println!("SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, below: u64) -> u64 {
        // Xorshift.
        for shift in [13, -7, 17] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        self.0 % below
    }
}

#[test]
fn every_iteration_is_accounted_for_when_the_run_is_interrupted() {
    const ROUNDS: usize = 4;
    let mut random = Random::new();
    for _ in 0..ROUNDS {
        std::thread::scope(|scope| {
            for executor in EXECUTORS {
                let after = Duration::from_micros(random.below(1_150_000));
                scope.spawn(move || every_iteration_is_accounted_for(executor, Some(after)));
            }
        });
    }
}

/// One exchange with the server for each iteration, and then an end of each kind; some take longer than the scenario has.
const EXCHANGES: [(&str, &str); 4] = [
    ("http.get(`${base}/${ms}`)", "http.get(`${base}/3000`)"),
    ("await http.asyncRequest('GET', `${base}/${ms}`)", "await http.asyncRequest('GET', `${base}/3000`)"),
    (
        "ws.connect(`ws://${host}/`, (s) => { s.on('open', () => s.send('x')); s.on('message', () => s.close()) })",
        "sleep(3)",
    ),
    (
        "const s = new WebSocket(`ws://${host}/`); await new Promise((ok, no) => { s.onopen = ok; s.onerror = no }); s.close()",
        "setTimeout(() => {}, 3000)",
    ),
];

const STOPS: [&str; 3] =
    ["", "if (exec.scenario.iterationInTest === 30) exec.test.abort('enough')", "threshold"];

/// Requests and sessions under way when the run ends, by Ctrl+C, by the script, by a threshold, or as planned.
fn exchanges_are_accounted_for(
    exchange: (&str, &str),
    executor: &str,
    stop: &str,
    interrupted_after: Option<Duration>,
) {
    let site = Site::start(|asked| {
        let milliseconds = asked.path.trim_start_matches('/').parse().unwrap_or_default();
        Reply::ok("x").after(Duration::from_millis(milliseconds))
    });
    let sessions = Server::start(Behaviour::WebSocket(WebSocketPeer::Echo));
    let is_http = exchange.0.contains("http.");
    let host = if is_http { site.url.replace("http://", "") } else { sessions.address().to_string() };
    let (first, long) = exchange;
    let (stop, thresholds) = match stop {
        "threshold" => ("", "thresholds: { begun: [{ threshold: 'count<1', abortOnFail: true }] },"),
        stop => (stop, ""),
    };
    let script = format!(
        r#"import http from "k6/http"
import ws from "k6/ws"
import {{ WebSocket }} from "k6/websockets"
import exec from "k6/execution"
import {{ sleep }} from "k6"
import {{ Counter }} from "k6/metrics"
const [begun, returned, unsettled] = ["begun", "returned", "unsettled"].map((name) => new Counter(name))
const host = __ENV.HOST, base = `http://${{host}}`
export async function mixed() {{
  begun.add(1)
  const ms = Math.floor(Math.random() * 40)
  {first}
  {stop}
  if (__ITER % 4 === 1) throw new Error("on purpose")
  if (__ITER % 4 === 2) {{ unsettled.add(1); await new Promise(() => {{}}) }}
  if (__ITER % 4 === 3) {{ {long} }}
  returned.add(1)
}}
export const options = {{ {thresholds} scenarios: {{ s: {{ exec: "mixed", gracefulStop: "100ms", {executor} }} }} }}
{KEEP_DATA}"#
    );
    let program = Program::script(BINARY, &script).arg(format!("--workers={WORKERS}")).env("HOST", host);
    let mut running = program.within(BOUND).start();
    if let Some(after) = interrupted_after {
        std::thread::sleep(after);
        running.signal(Signal::INT);
    }
    let outcome = running.finish();
    if !outcome.path("data.json").exists() {
        // The signal came before there was a test, or has ended handleSummary().
        assert!(interrupted_after.is_some(), "{}", outcome.stderr);
        return;
    }
    let counted = |metric: &str| outcome.value(metric, "count").unwrap_or_default() as u64;
    let failures = failures(&outcome);
    let cut_off = count(&failures, "interrupted");
    let books = format!(
        "{executor}, {stop:?}{thresholds}, ended after {interrupted_after:?}: {failures:?}\n{}",
        outcome.stdout
    );
    assert_eq!(cut_off, counted("iterations_interrupted"), "{books}");
    let failed = count(&failures, "exception") + count(&failures, "rejection");
    assert_eq!(failed, counted("iterations_failed"), "{books}");
    // Each worker can be between making ready and the script's first line with one.
    let (all, begun) = (counted("iterations") + cut_off, counted("begun"));
    assert!((begun..=begun + WORKERS).contains(&all), "{all} iterations, {books}");
    // An iteration that has ended had its exchange, and none had two but those that take long.
    let seen = if is_http { site.asked().len() as u64 } else { sessions.accepted() };
    assert!(counted("iterations") <= seen && seen <= begun * 2, "{seen} seen, {books}");
}

#[test]
fn requests_and_sessions_are_accounted_for() {
    let mut random = Random::new();
    for (at, executor) in EXECUTORS.into_iter().enumerate() {
        std::thread::scope(|scope| {
            for exchange in EXCHANGES {
                let after = Duration::from_micros(random.below(1_400_000));
                scope.spawn(move || exchanges_are_accounted_for(exchange, executor, "", Some(after)));
                scope.spawn(move || {
                    exchanges_are_accounted_for(exchange, executor, STOPS[at % STOPS.len()], None)
                });
            }
        });
    }
}

/// Errors whose texts say nothing of the peer name it in the section: the script is gone too far, the peer speaks no TLS, its name
/// stands for an address.
#[test]
fn every_failure_of_a_socket_names_its_peer() {
    let hangs_up = Server::start(Behaviour::ResetAtAccept);
    let babbles = Server::start(Behaviour::Babbles);
    let silent = Server::start(Behaviour::Sink);
    let on = |what: &str| {
        format!(
            r#"import {{ Socket }} from "senary/tcp"
export default async function () {{
  const socket = new Socket({{ framing: "u32", encoding: "utf8" }})
  socket.on("error", () => {{}})
  try {{ {what} }} catch {{}}
  socket.destroy()
}}"#
        )
    };
    let connect = "await socket.connect({ host: __ENV.TCP_HOST, port: __ENV.TCP_PORT })";
    for (server, body, code) in [
        (&silent, format!("{connect}; socket.destroy(); await socket.write('x')"), "ENOTCONN"),
        (&silent, format!("{connect}; await socket.end(); await socket.write('x')"), "EPIPE"),
        (&silent, format!("{connect}; await socket.request('x', {{ timeout: 50 }})"), "ETIMEDOUT"),
        (
            &silent,
            format!("{connect}; setTimeout(() => socket.destroy(), 20); await socket.read()"),
            "ERR_SOCKET_CLOSED",
        ),
        (&hangs_up, format!("{connect}; await socket.read()"), "E"),
        (
            &babbles,
            "await socket.connect({ host: 'localhost', port: __ENV.TCP_PORT, tls: true })".to_owned(),
            "ERR_TLS_NOT_TLS",
        ),
    ] {
        let outcome = Program::script(BINARY, &on(&body)).target(server).within(BOUND).run();
        let peer = format!(":{}", server.address().port());
        expect_first(&outcome, &[code, &peer]);
    }
}

#[test]
fn handle_summary_that_fails_is_told_in_the_summary_that_takes_its_place() {
    for (body, why) in [
        ("throw new Error('no report today')", "no report today"),
        ("return new Promise(() => {})", "a promise that nothing is left to settle"),
    ] {
        let script = format!("export default function () {{}}; export function handleSummary() {{ {body} }}");
        let program = Program::script(BINARY, &script).arg("--new-machine-readable-summary");
        let outcome = program.within(BOUND).run();
        outcome.expect_code(0);
        expect_first(&outcome, &["handleSummary() failed: ", why]);
        let export: Value = serde_json::from_str(&outcome.file("summary.json")).expect("the summary is JSON");
        assert_eq!(export["failures"][0]["kind"], "handle_summary", "{export}");
    }
}

#[test]
fn places_are_those_of_the_script_as_it_was_written() {
    let script = r#"import { Socket } from "k6/x/tcp"

interface Target {
  port: number
}

type Unused = { port: string }

const target: Target = { port: 1 }

export default async function (): Promise<void> {
  try {
    await new Socket().connect(target.port, "127.0.0.1")
  } catch {}
}
"#;
    let program = Program::new(BINARY).file("script.ts", script).args(["run", "-q", "script.ts"]);
    let outcome = program.within(BOUND).run();
    expect_first(&outcome, &["connect failed once with ECONNREFUSED"]);
    assert!(section(&outcome)[1].contains("script.ts:13:24"), "{}", outcome.stdout);
}

/// What a peer sends may become the text of an exception, and the screen is not the peer's.
#[test]
fn texts_of_peers_cannot_command_the_terminal() {
    let script = r#"export default function () { throw new Error("bad reply \u001b[2J\u0007") }"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    expect_first(&outcome, &["1 iteration threw: Error: bad reply \u{fffd}[2J\u{fffd}"]);
}
