//! What a script may take: memory without end, sockets by the thousand, writes nobody reads. It fails by itself; others,
//! and its own next iterations, go on.

use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Reply, Server, Signal, Site};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);
const PASSED: &str = "the script passed the memory limit of 32MB per VU";

/// A connected socket, for scripts.
const CONNECTED: &str = "const connected = async () => {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  return socket
}";

fn limited(script: &str) -> Program {
    Program::script(BINARY, script).args(["--vu-memory-limit", "32MB"]).within(BOUND)
}

/// Three iterations each of two VUs; in its second one, the first VU does what takes more and more.
fn greedy(doing: &str) -> Program {
    let script = format!(
        r#"
import {{ Socket }} from "k6/x/tcp"
import * as html from "k6/html"
export const options = {{ scenarios: {{ s: {{ executor: "per-vu-iterations", vus: 2, iterations: 3, maxDuration: "60s" }} }} }}
const kept = []
{CONNECTED}
export default async function () {{
  if (__VU === 1 && __ITER === 1) {{
    {doing}
    console.log("it went on")
  }}
  console.log(`VU ${{__VU}} did ${{__ITER}}, ${{kept.length}} kept`)
}}"#
    );
    limited(&script)
}

fn fails_once(outcome: &Outcome) {
    outcome.expect_code(0).expect_value("iterations", "count", 6.0);
    let lines = outcome.log_lines(PASSED);
    assert!(lines.len() == 1 && lines[0].contains("--vu-memory-limit"), "{}", outcome.stderr);
    assert!(outcome.log_lines("it went on").is_empty(), "{}", outcome.stderr);
    // The VU that failed starts over: what it kept is gone.
    for done in ["VU 1 did 0", "VU 1 did 2, 0 kept", "VU 2 did 0", "VU 2 did 1", "VU 2 did 2"] {
        outcome.expect_text(done);
    }
}

#[test]
fn a_heap_that_grows_without_end_fails_the_iteration() {
    fails_once(&greedy("for (;;) kept.push(new Array(100).fill(0))").run());
}

#[test]
fn an_out_of_memory_error_cannot_be_caught_for_ever() {
    for doing in [
        "for (;;) { try { for (;;) kept.push({}) } catch {} finally { kept.push(1) } }",
        "for (;;) { try { await (async () => { for (;;) kept.push('x'.repeat(1e5) + kept.length) })() } catch {} }",
        "for (;;) { try { kept.push(new Uint8Array(1e9)) } catch {} }",
        "const more = () => Promise.resolve().then(() => kept.push(new Array(1e5).fill(0))).catch(() => {}).then(more); await more()",
    ] {
        fails_once(&greedy(doing).run());
    }
}

#[test]
fn strings_and_buffers_count() {
    for doing in [
        "for (;;) kept.push('x'.repeat(1e5))",
        "for (;;) kept.push(new Uint8Array(1e5))",
        "for (;;) kept.push(new TextEncoder().encode('x'.repeat(1e5)))",
        "JSON.parse('[' + '[1,2,3,4,5,6,7,8,9],'.repeat(1e6) + '0]')",
    ] {
        fails_once(&greedy(doing).run());
    }
}

#[test]
fn data_that_a_script_keeps_counts() {
    let server = Server::start(Behaviour::Sends { bytes: u64::MAX });
    let doing = r#"
    const socket = await connected()
    socket.on("data", (data) => kept.push(data))
    await socket.write("go")
    await new Promise(() => {})"#;
    fails_once(&greedy(doing).target(&server).run());
    assert!(server.all_closed(BOUND));
}

#[test]
fn documents_and_selections_count() {
    for doing in [
        "for (;;) kept.push(html.parseHTML('<p class=x>y</p>'.repeat(1e4)))",
        "let all = html.parseHTML('<p>'.repeat(10)).find('p'); for (;;) all = all.first()",
        "const all = html.parseHTML('<p>'.repeat(1e3)).find('p'); for (;;) kept.push(all.add('p'))",
    ] {
        fails_once(&greedy(doing).run());
    }
    let refused = r#"
import { parseHTML } from "k6/html"
const attempt = (f) => { try { return f() } catch (error) { return String(error) } }
export default function () {
  console.log(attempt(() => parseHTML("<p>".repeat(3e5)).find("p").size()))
  console.log(attempt(() => parseHTML("<div>".repeat(5e3) + "x".repeat(1e5)).find("div").text().length))
}
"#;
    let outcome = limited(refused).run();
    outcome.expect_code(0).expect_value("iterations", "count", 1.0);
    outcome.expect_text("RangeError: the HTML document is larger than --vu-memory-limit allows");
    outcome.expect_text("RangeError: text(): there is too much of it");
}

/// Each step finds twice as much as the one before.
#[test]
fn what_selectors_find_in_json_counts() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/long" => Reply::ok(format!("[{}0]", "0,".repeat(500_000))),
        _ => Reply::ok(r#"{"a":[1]}"#),
    });
    let script = r##"
import http from "k6/http"
const attempt = (f) => { try { return f() } catch (error) { return String(error) } }
export default function () {
  const small = http.get(__ENV.BASE), long = http.get(__ENV.BASE + "/long")
  console.log("twice", attempt(() => small.json("[@this,@this]|".repeat(60) + "#")))
  console.log("text", attempt(() => small.json("[@this,@this].@tostr.".repeat(30) + "a")))
  console.log("long", attempt(() => long.json("#")))
  console.log("after that", small.json("a.0"), long.json().length)
}
"##;
    let outcome = limited(script).args(["-e", &format!("BASE={}", site.url)]).run();
    outcome.expect_code(0).expect_value("iterations", "count", 1.0);
    for what in ["twice", "text", "long"] {
        outcome.expect_text(&format!(
            "{what} RangeError: json(): the selector takes more memory than --vu-memory-limit allows"
        ));
    }
    outcome.expect_text("after that 1 500001");
}

#[test]
fn writes_that_nobody_takes_count() {
    let server = Server::start(Behaviour::NeverReads);
    let doing = "const socket = await connected(); for (;;) socket.write(new Uint8Array(1e6))";
    fails_once(&greedy(doing).target(&server).run());
}

/// The engine looks now and then; a call that takes a lot must not wait for that.
#[test]
fn calls_that_take_a_lot_are_stopped_at_once() {
    let server = Server::start(Behaviour::NeverReads);
    for doing in [
        "const socket = await connected(); for (;;) socket.write(new Uint8Array(1e6))",
        "for (;;) kept.push(html.parseHTML('<p class=x>y</p>'.repeat(1e4)))",
    ] {
        let script = format!(
            r#"
import {{ sleep }} from "k6"
import * as html from "k6/html"
import {{ Socket }} from "k6/x/tcp"
export const options = {{ iterations: 2 }}
const kept = []
{CONNECTED}
export default async function () {{
  if (__ITER === 0) {{ {doing} }}
  console.log("at rest")
  sleep(1)
}}"#
        );
        let mut running = limited(&script).target(&server).start();
        let peak = running.wait_for("at rest").peak_kib().expect("it runs");
        running.finish().expect_code(0).expect_text(PASSED);
        assert!(peak < 200_000, "{doing}: {peak} KiB");
    }
}

/// Whoever reads the log has stopped reading.
#[test]
fn a_log_that_nobody_reads_takes_no_memory_without_end() {
    let script = "export default function () { for (;;) console.log('x'.repeat(1e6)) }";
    let program = Program::new(BINARY).file("script.js", script).args(["run", "--duration=1h", "script.js"]);
    let shell = r#"mkfifo unread && exec 4<> unread && exec "$@" 2>&4"#;
    let mut running = program.under(shell).within(BOUND).start();
    running.wait_for("running (");
    std::thread::sleep(Duration::from_secs(2));
    let peak = running.peak_kib().expect("it runs");
    running.signal(Signal::INT).signal(Signal::TERM);
    running.finish().expect_code(105);
    assert!(peak < 150_000, "{peak} KiB");
}

#[test]
fn what_a_failed_iteration_held_is_free_again() {
    let script = r#"
import { sleep } from "k6"
export const options = { scenarios: { s: { executor: "per-vu-iterations", vus: 1, iterations: 21, maxDuration: "60s" } } }
const kept = []
export default function () {
  if (__ITER < 20) for (;;) kept.push(new Array(100).fill(0))
  console.log("at rest")
  sleep(1)
}
"#;
    let mut running = limited(script).arg("--log-all").start();
    let resident = running.wait_for("at rest").resident_kib().expect("it runs");
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("iterations", "count", 21.0);
    assert_eq!(outcome.log_lines(PASSED).len(), 20, "{}", outcome.stderr);
    // Two of the twenty at most.
    assert!(resident < 130_000, "{resident} KiB");
}

/// Far more than the limit in total, never more than it at a time.
#[test]
fn garbage_does_not_count() {
    let server = Server::start(Behaviour::Sends { bytes: 200_000_000 });
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  for (let i = 0; i < 300; i++) {
    const cycle = [new Uint8Array(1e6)]
    cycle.push(cycle)
  }
  const socket = new Socket()
  let bytes = 0
  socket.on("data", (data) => {
    bytes += data.length
    const cycle = [data]
    cycle.push(cycle)
  })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("go")
  await closed
  console.log("received", bytes)
}
"#;
    let outcome = limited(script).target(&server).run();
    outcome.expect_code(0).expect_text("received 200000000");
    assert!(outcome.log_lines("memory limit").is_empty(), "{}", outcome.stderr);
}

#[test]
fn functions_that_run_once_have_the_limit_too() {
    let grow = "const all = []; for (;;) all.push(new Array(100).fill(0))";
    for script in [
        format!("{grow}; export default function () {{}}"),
        format!("export function setup() {{ {grow} }} export default function () {{}}"),
    ] {
        limited(&script).run().expect_code(107).expect_text(PASSED);
    }
}

#[test]
fn the_limit_can_be_said_anywhere() {
    let script = "export default function () { const all = []; for (;;) all.push(new Array(100).fill(0)) }";
    let said = |program: Program, limit: &str| {
        let outcome = program.within(BOUND).run();
        outcome.expect_code(0).expect_text(&format!("memory limit of {limit} per VU"));
    };
    let config = |limit: &str| format!(r#"{{"vuMemoryLimit": {limit}}}"#);
    let program = || Program::script(BINARY, script).args(["--config", "config.json"]);
    said(program().file("config.json", config("16000000")), "16MB");
    said(program().file("config.json", config(r#""8MiB""#)), "8MiB");
    said(program().file("config.json", config(r#""8MB""#)).env("K6_VU_MEMORY_LIMIT", "24mb"), "24MB");
    let flag =
        program().file("config.json", "{}").env("K6_VU_MEMORY_LIMIT", "24MB").arg("--vu-memory-limit=12MB");
    said(flag, "12MB");
    for (wrong, why) in [("much", "is no size"), ("10", "is too little"), ("-5MB", "is no size")] {
        let outcome = Program::script(BINARY, script).args([&*format!("--vu-memory-limit={wrong}")]).run();
        outcome.expect_code(255).expect_text(why);
    }
}

/// The small version of the testkit's example `flat`.
#[test]
fn samples_over_the_same_series_keep_memory_flat() {
    let script = include_str!("../crates/senary-testkit/examples/flat.js");
    let (iterations, early) = (9_000, 4_500);
    let program = Program::script(BINARY, script).env("ITERATIONS", iterations).env("EARLY", early);
    let mut running = program.within(BOUND).start();
    let early = running.wait_for("the early ones are done").resident_kib().expect("it runs");
    let late = running.wait_for("all are done").resident_kib().expect("it runs");
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("hits", "count", f64::from(iterations * 64));
    assert!(late <= early + early * 3 / 100 + 2 * 1024, "memory grew from {early} to {late} KiB");
}

/// Ever new values of a tag, ever new names of checks and groups: nothing of it stays, and every figure is right.
#[test]
fn tags_without_end_take_no_memory_without_end() {
    let script = r#"
import { check, group, sleep } from "k6"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = { iterations: 300, thresholds: { "hits{odd:yes}": ["count==150000"], checks: ["rate==0.5"] } }
export default function () {
  for (let i = 0; i < 1000; i++) {
    const id = __ITER * 1000 + i
    hits.add(1, { id, odd: id % 2 ? "yes" : "no" })
    if (i % 10 === 0) group(`group ${id}`, () => check(id, { [`id ${id}`]: (v) => v % 20 === 0 }))
  }
  if (__ITER === 149) console.log("half is done")
  if (__ITER === 299) {
    console.log("all are done")
    sleep(1)
  }
}
"#;
    let program =
        Program::script(BINARY, script).args(["--workers=1", "--out", "csv=/dev/null"]).within(BOUND);
    let mut running = program.start();
    let half = running.wait_for("half is done").resident_kib().expect("it runs");
    let end = running.wait_for("all are done").resident_kib().expect("it runs");
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("hits", "count", 300_000.0);
    outcome.expect_value("checks", "passes", 15_000.0).expect_value("checks", "fails", 15_000.0);
    for warning in
        ["higher than the suggested limit of 100000", "more than 10000 checks", "more than 10000 groups"]
    {
        outcome.expect_text(warning);
    }
    assert!(end < half + 40 * 1024, "memory grew from {half} to {end} KiB");
}
