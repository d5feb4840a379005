//! How runs end: signals in every phase, scripts that never would, and what is left open.

use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Reply, Server, Signal, Site};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(30);

/// Starts a script, waits until it has logged `at`, and sends a signal.
fn signalled(script: &str, at: &str, signal: Signal) -> Outcome {
    let mut running = Program::script(BINARY, script).within(BOUND).start();
    running.wait_for(at).signal(signal);
    running.finish()
}

fn in_good_order(outcome: &Outcome) {
    outcome.expect_code(105).expect_text("teardown ran").expect_text("TOTAL RESULTS");
    assert!(outcome.elapsed < Duration::from_secs(15), "it took {:?}", outcome.elapsed);
}

const TEARDOWN: &str = r#"
export function teardown() { console.log("teardown ran") }
"#;

#[test]
fn interrupted_in_sleep() {
    let script = r#"
import { sleep } from "k6"
export default function () { console.log("here"); sleep(3600) }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::INT));
}

#[test]
fn terminated_while_waiting() {
    let script = r#"
export default async function () { console.log("here"); await new Promise((r) => setTimeout(r, 3600e3)) }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::TERM));
}

/// The terminal goes away.
#[test]
fn hung_up_while_waiting() {
    let script = r#"
export default async function () { console.log("here"); await new Promise((r) => setTimeout(r, 3600e3)) }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::HUP));
}

#[test]
fn interrupted_in_an_endless_loop() {
    let script = r#"
export default function () { console.log("here"); for (;;) { try { for (;;) {} } catch {} } }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::INT));
}

#[test]
fn interrupted_in_an_endless_chain_of_promises() {
    let script = r#"
export default async function () { console.log("here"); for (;;) await null }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::INT));
}

#[test]
fn interrupted_in_a_loop_that_catches_its_sleep() {
    let script = r#"
import { sleep } from "k6"
export default function () { console.log("here"); for (;;) { try { sleep(3600) } catch {} finally { } } }
"#;
    in_good_order(&signalled(&format!("{script}{TEARDOWN}"), "here", Signal::INT));
}

#[test]
fn interrupted_in_the_init_context() {
    let script = r#"
console.log("here")
for (;;) {}
export default function () {}
"#;
    signalled(script, "here", Signal::INT).expect_code(105);
}

#[test]
fn interrupted_in_setup() {
    let script = r#"
import { sleep } from "k6"
export function setup() { console.log("here"); sleep(3600) }
export default function () { console.log("no iteration starts") }
"#;
    let outcome = signalled(script, "here", Signal::INT);
    outcome.expect_code(105);
    assert!(outcome.log_lines("no iteration starts").is_empty(), "{}", outcome.stderr);
}

#[test]
fn terminated_while_vus_are_made() {
    let script = r#"
export const options = { vus: 10000, duration: "1h" }
if (__VU > 0) console.log("made", __VU)
for (const until = Date.now() + 20; Date.now() < until; );
export default function () { console.log("no iteration starts") }
export function teardown() { console.log("nothing is undone that was not done") }
"#;
    let outcome = signalled(script, "made 3", Signal::TERM);
    outcome.expect_code(105);
    assert!(outcome.log_lines("no").is_empty(), "{}", outcome.stderr);
    assert!(outcome.elapsed < Duration::from_secs(15), "it took {:?}", outcome.elapsed);
}

#[test]
fn hung_up_while_paused() {
    let script = r#"
export default function () { console.log("no iteration starts") }
"#;
    let program = Program::new(BINARY).file("script.js", script).within(BOUND);
    let mut running = program.args(["run", "--paused", "--no-color", "script.js"]).start();
    running.wait_for("paused").signal(Signal::HUP);
    let outcome = running.finish();
    outcome.expect_code(105);
    assert!(outcome.log_lines("no iteration").is_empty(), "{}", outcome.stderr);
}

/// The run was over already; its results are shown.
#[test]
fn interrupted_in_handle_summary() {
    let script = r#"
import { sleep } from "k6"
export default function () {}
export function handleSummary() { console.log("here"); for (;;) { try { sleep(3600) } catch {} } }
"#;
    let outcome = signalled(script, "here", Signal::INT);
    outcome.expect_code(105).expect_text("TOTAL RESULTS");
    assert!(outcome.elapsed < Duration::from_secs(15), "it took {:?}", outcome.elapsed);
}

#[test]
fn the_second_signal_ends_handle_summary_too() {
    let script = r#"
import { sleep } from "k6"
export default function () { console.log("here"); sleep(3600) }
export function handleSummary() { console.log("summing up"); sleep(3600) }
"#;
    let mut running = Program::script(BINARY, script).within(BOUND).start();
    running.wait_for("here").signal(Signal::INT);
    running.wait_for("summing up").signal(Signal::TERM);
    running.finish().expect_code(105);
}

/// There is nothing left to lose: it is the regular end.
#[test]
fn a_lingering_run_is_let_go_by_any_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let program = Program::new(BINARY).file("script.js", "export default function () {}").within(BOUND);
        let mut running = program.args(["run", "--linger", "script.js"]).start();
        running.wait_for("--linger was enabled").signal(signal);
        running.finish().expect_code(0).expect_text("TOTAL RESULTS");
    }
}

#[test]
fn a_quiet_run_lingers_without_a_word() {
    let program = Program::script(BINARY, "export default function () {}").arg("--linger").within(BOUND);
    let mut running = program.start();
    running.wait_for("TOTAL RESULTS").signal(Signal::INT);
    let outcome = running.finish();
    outcome.expect_code(0);
    assert!(!outcome.stdout.contains("linger"), "{}", outcome.stdout);
}

/// As nohup starts it: whoever does that does not want it to end with the terminal.
#[test]
fn an_ignored_hangup_stays_ignored() {
    let script = r#"
import { sleep } from "k6"
export default function () { console.log("here"); sleep(1); console.log("it went on") }
"#;
    let program = Program::script(BINARY, script).under(r#"trap "" HUP && exec "$@""#).within(BOUND);
    let mut running = program.start();
    running.wait_for("here").signal(Signal::HUP);
    running.finish().expect_code(0).expect_text("it went on");
}

/// The run is over: only what the script says of it itself still counts.
#[test]
fn abort_in_handle_summary_changes_nothing() {
    let ending = |call: &str| {
        let script = format!(
            "import exec from 'k6/execution'
export default function () {{}}
export function handleSummary() {{ exec.test.{call}('says no'); return {{ stdout: 'mine' }} }}"
        );
        Program::script(BINARY, &script).within(BOUND).run()
    };
    let aborted = ending("abort");
    aborted.expect_code(0).expect_text("TOTAL RESULTS");
    assert_eq!(aborted.log_lines("test aborted: says no").len(), 1, "{}", aborted.stderr);
    ending("fail").expect_code(110).expect_text("mine");
}

#[test]
fn the_second_interrupt_ends_teardown_too() {
    let script = r#"
import { sleep } from "k6"
export default function () { console.log("here"); sleep(3600) }
export function teardown() { console.log("in teardown"); sleep(3600) }
"#;
    let mut running = Program::script(BINARY, script).within(BOUND).start();
    running.wait_for("here").signal(Signal::INT);
    running.wait_for("in teardown").signal(Signal::INT);
    running.finish().expect_code(105);
}

/// Whoever reads the output, or the log, has stopped reading: sooner or later everything waits for that.
#[test]
fn the_second_signal_ends_a_run_that_waits_for_its_reader() {
    let script = r#"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = { vus: 2, duration: "1h" }
export default function () {
  for (let i = 0; i < 1000; i++) hits.add(1)
  console.log(`hits ${"!".repeat(1000)}`)
}
"#;
    for (redirected, flags) in [(">&4", ["--out", "json"].as_slice()), ("2>&4", &[])] {
        let shell = format!(r#"mkfifo unread && exec 4<> unread && exec "$@" {redirected}"#);
        let program = Program::new(BINARY).file("script.js", script).args(["run", "--no-color", "script.js"]);
        let mut running = program.args(flags.iter().copied()).under(&shell).within(BOUND).start();
        // In the log of the first, in the output of the second.
        running.wait_for(if flags.is_empty() { "running (" } else { "hits !" });
        // It may not stand still yet, and ends then, too.
        std::thread::sleep(Duration::from_secs(2));
        running.signal(Signal::INT).signal(Signal::TERM);
        running.finish().expect_code(105);
    }
}

/// Sockets are closed, and recorded, before teardown begins.
#[test]
fn interrupted_with_open_sockets() {
    let server = Server::start(Behaviour::Sink);
    // Teardown lasts for as long as this holds its connection.
    let gate = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 5, duration: "1h" }
export default async function () {
  const sockets = [new Socket(), new Socket()]
  await Promise.all(sockets.map((socket) => socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)))
  sockets[0].on("close", () => console.log("no handler runs any more"))
  console.log(`ready ${__VU}`)
}
export async function teardown() {
  const socket = new Socket()
  await socket.connect(__ENV.GATE, __ENV.TCP_HOST)
  console.log("in teardown")
}
"#;
    let program = Program::script(BINARY, script).target(&server).env("GATE", gate.port()).within(BOUND);
    let mut running = program.start();
    for vu in 1..=5 {
        running.wait_for(&format!("ready {vu}"));
    }
    assert!(server.comes_to(10, BOUND), "{} connections are open", server.open());
    running.signal(Signal::INT);
    running.wait_for("in teardown");
    assert!(server.all_closed(BOUND / 2), "{} connections are open", server.open());
    drop(gate);
    let outcome = running.finish();
    outcome.expect_code(105).expect_text("TOTAL RESULTS").expect_value("tcp_sockets", "count", 11.0);
    assert!(outcome.value("tcp_socket_duration", "min").is_some(), "durations are recorded");
    assert!(outcome.log_lines("no handler runs").is_empty(), "{}", outcome.stderr);
}

/// A scenario of one second and half a second's grace, of a script that would never end.
fn cut_short(body: &str) -> Outcome {
    let script = format!(
        r#"
import {{ sleep }} from "k6"
export const options = {{
  scenarios: {{
    stuck: {{ executor: "per-vu-iterations", vus: 2, iterations: 1, maxDuration: "1s", gracefulStop: "500ms" }},
    other: {{ executor: "constant-vus", vus: 1, duration: "1s", exec: "other" }},
  }},
}}
export function other() {{ sleep(0.01) }}
{body}"#
    );
    let outcome = Program::script(BINARY, &script).within(BOUND).run();
    outcome.expect_code(0);
    assert!(outcome.elapsed < Duration::from_secs(15), "it took {:?}", outcome.elapsed);
    assert!(outcome.measured("iterations", "count") >= 2.0, "the others went on");
    outcome
}

#[test]
fn an_endless_loop_ends_with_its_scenario() {
    cut_short("export default function () { for (;;) {} }");
}

#[test]
fn an_endless_chain_of_promises_ends_with_its_scenario() {
    cut_short("export default async function () { for (;;) await null }");
}

/// What the engine does itself in one call ends with its scenario, too.
#[test]
fn endless_builtins_end_with_their_scenario() {
    for call in [
        "new Array(2 ** 32 - 1).join()",
        "new Array(2 ** 32 - 1).reverse()",
        "new Array(2 ** 32 - 1).indexOf(1)",
        "[].concat({ length: 2 ** 32 - 1, [Symbol.isConcatSpreadable]: true })",
        "/(a+)+b/.test('a'.repeat(50))",
        "'a'.repeat(1e7).includes('a'.repeat(1e6) + 'b'); for (;;) {}",
        "'a'.repeat(1e7).indexOf('a'.repeat(1e6) + 'b'); for (;;) {}",
    ] {
        cut_short(&format!("export default function () {{ {call} }}"));
    }
}

/// Each element has the text of all that are in it.
#[test]
fn an_endless_search_in_html_ends_with_its_scenario() {
    for search in [
        "find(':contains(x)')",
        "find('div').not(':matches(x$)')",
        "find('div').has(':contains(y)')",
        "find('div:has(:contains(y))')",
        "find(':contains(y) div')",
        "find('div').last().closest(':contains(y)')",
    ] {
        cut_short(&format!(
            "import {{ parseHTML }} from 'k6/html'
const page = parseHTML('<div>'.repeat(9000) + 'a'.repeat(2e6) + 'x');
export default function () {{ page.{search} }}"
        ));
    }
}

/// The path is read again for each element, and a pattern is tried at each character of a text.
#[test]
fn an_endless_search_in_json_ends_with_its_scenario() {
    let ones = Site::start(|_| Reply::ok(format!("[{}1]", "1,".repeat(100_000))));
    let text = Site::start(|_| Reply::ok(format!("[{:?}]", "a".repeat(1_000_000))));
    for (site, path) in [(&ones, "'#.' + 'a'.repeat(1e6)"), (&text, "'#(%\"*' + 'a'.repeat(5e5) + 'b\")'")] {
        cut_short(&format!(
            "import http from 'k6/http'
export default function () {{ http.get('{}').json({path}) }}",
            site.url
        ));
    }
}

#[test]
fn endless_timers_end_with_their_scenario() {
    cut_short(
        "export default function () { setInterval(() => {}, 1); setTimeout(function again() { setTimeout(again, 0) }, 0) }",
    );
}

#[test]
fn a_promise_that_nothing_settles_ends_the_iteration() {
    let script = "export default async function () { console.log('waiting'); await new Promise(() => {}); console.log('never') }";
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0).expect_text("waiting").expect_value("iterations", "count", 1.0);
    assert!(outcome.log_lines("never").is_empty());
}

/// Nobody writes such a script, and no such script may end the process without a word.
#[test]
fn scripts_nested_deeply_are_refused_or_run() {
    for (open, inner, close) in
        [("(", "1", ")"), ("[", "", "]"), ("{", "", "}"), ("!", "1", ""), ("a=>", "1", "")]
    {
        for levels in [500, 50_000, 1 << 20] {
            let nested = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
            let script = format!("export default function () {{ console.log('it ran') }}\n{nested}\n");
            let outcome = Program::script(BINARY, &script).within(BOUND).run();
            match outcome.code() {
                Some(0) => outcome.expect_text("it ran"),
                // Some of it fits on the stack, and takes more memory than a VU may have.
                Some(107) if outcome.stderr.contains("memory limit") => &outcome,
                Some(107) if levels < 1 << 20 => outcome.expect_text("Maximum call stack size exceeded"),
                Some(107) => outcome.expect_text("SyntaxError").expect_text("it is nested too deeply"),
                _ => outcome.fail("it was neither refused nor run"),
            };
        }
    }
}

/// What is read twice, as TypeScript, and what is read again to show a function.
#[test]
fn functions_nested_deeply_have_a_text() {
    let nested = format!("{}1{}", "(() => ".repeat(500), ")".repeat(500));
    let script =
        format!("const f: unknown = {nested}\nexport default (): void => console.log(String(f).length)\n");
    let program = Program::new(BINARY).file("script.ts", script).within(BOUND);
    program.args(["run", "--quiet", "--log-format=raw", "script.ts"]).run().expect_code(0);
}

#[test]
fn endless_recursion_is_an_exception() {
    let script = r#"
export const options = { iterations: 3 }
const down = (n) => 1 + down(n + 1)
export default function () {
  try { down(0) } catch (error) { console.log("caught", error.name) }
  down(0)
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 3.0);
    assert_eq!(outcome.log_lines("caught RangeError").len(), 3, "{}", outcome.stderr);
}

#[test]
fn a_handler_that_throws_ends_its_iteration_only() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: 3 }
export default async function () {
  const socket = new Socket()
  socket.on("data", () => { throw new Error("in a handler") })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 3.0).expect_value("tcp_sockets", "count", 3.0);
    assert_eq!(outcome.log_lines("in a handler").len(), 3, "{}", outcome.stderr);
    assert!(server.all_closed(BOUND));
}

/// More connections than the program may have files open, one after the other.
#[test]
fn descriptors_do_not_leak() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 10, iterations: 1000 }
export default async function () {
  const socket = new Socket()
  socket.on("error", () => {})
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
  await closed
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).open_files(100).within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 1000.0);
    outcome.expect_value("tcp_sockets", "count", 1000.0).expect_value("tcp_errors", "count", 1000.0);
}

/// What a stage records is seen while it lasts.
#[test]
fn a_threshold_that_is_crossed_in_setup_ends_it() {
    let script = r#"
import { Counter } from "k6/metrics"
const errors = new Counter("errors")
export const options = { thresholds: { errors: [{ threshold: "count<1", abortOnFail: true }] } }
export async function setup() { errors.add(1); await new Promise((r) => setTimeout(r, 100_000)) }
export default function () { console.log("ran") }
"#;
    let outcome = Program::new(BINARY).file("s.js", script).args(["run", "--quiet", "s.js"]).run();
    outcome.expect_code(99).expect_text("stopping test prematurely");
    assert_eq!(outcome.log_lines("ran").len(), 0, "{}", outcome.stderr);
}

/// What setup() waits for is a socket that the script forgot, and not a longer time.
#[test]
fn a_socket_that_setup_leaves_open_is_named() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { setupTimeout: "1s" }
export async function setup() { await new Socket().connect(__ENV.TCP_PORT, __ENV.TCP_HOST) }
export default function () {}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(100).expect_text("setup() execution timed out after 1 seconds");
    outcome.expect_text(&format!("a socket to {} is still open", server.address()));
}

/// From the first instruction to the last: what there is of a summary is shown, unless the script never was loaded.
#[test]
fn a_signal_may_come_at_any_moment() {
    let script = r#"
import { sleep } from "k6"
export const options = { scenarios: {
  some: { executor: "per-vu-iterations", vus: 50, iterations: 2, maxDuration: "1m" },
  more: { executor: "constant-arrival-rate", rate: 50, duration: "1s", preAllocatedVUs: 10 },
} }
const busy = (ms) => { for (const from = Date.now(); Date.now() - from < ms; ); }
busy(50)
console.log("loaded")
export function setup() { busy(50); sleep(0.05) }
export default function () { sleep(0.05) }
export function teardown() { busy(50); sleep(0.05) }
export function handleSummary(data) { busy(50); return { stdout: `SUMMARY of ${Object.keys(data.metrics).length}\n` } }
"#;
    for milliseconds in (0..1600).step_by(100) {
        let signal = [Signal::INT, Signal::TERM, Signal::HUP][milliseconds as usize / 100 % 3];
        let mut running = Program::script(BINARY, script).args(["--workers", "8"]).within(BOUND).start();
        if milliseconds > 0 {
            running.wait_for("loaded");
        }
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.signal(signal);
        let outcome = running.finish();
        // A signal may come before anybody waits for it.
        let is_over = matches!(outcome.code(), Some(0 | 105));
        let has_summary = ["SUMMARY of", "TOTAL RESULTS"].iter().any(|text| outcome.stdout.contains(text));
        assert!(
            milliseconds == 0 || is_over && has_summary,
            "{milliseconds} ms: {:?}\n{}",
            outcome.code(),
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    }
}
