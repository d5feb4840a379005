//! What a run says about itself: iterations that failed or were cut short, and thresholds that nothing was measured for.

use std::time::Duration;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use senary_testkit::{Behaviour, Program, Reply, Server, Site, Then, WebSocketPeer};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// One iteration of each kind of end, and two that are still asleep when their time is over.
const ENDS: &str = r#"
import { sleep } from "k6"
export const options = {
  scenarios: {
    ends: { executor: "per-vu-iterations", vus: 1, iterations: 4, exec: "ends" },
    sleepers: { executor: "per-vu-iterations", vus: 2, iterations: 1, maxDuration: "1s", gracefulStop: "0s", exec: "sleeper" },
  },
}
export async function ends() {
  if (__ITER == 0) throw new Error("thrown")
  if (__ITER == 1) Promise.reject(new Error("rejected"))
  if (__ITER == 2) setTimeout(() => { throw new Error("in a timer") }, 1)
}
export function sleeper() {
  sleep(60)
}
"#;

#[test]
fn iterations_that_fail_or_are_cut_short_are_counted() {
    let outcome = Program::script(BINARY, ENDS)
        .args(["--out", "json=samples.json", "--out", "csv=samples.csv"])
        .within(BOUND)
        .run();
    outcome.expect_code(0).expect_value("iterations", "count", 4.0);
    outcome.expect_value("iterations_failed", "count", 3.0);
    outcome.expect_value("iterations_interrupted", "count", 2.0);
    let (json, csv) = (outcome.file("samples.json"), outcome.file("samples.csv"));
    for (metric, scenario, times) in
        [("iterations_failed", "ends", 3), ("iterations_interrupted", "sleepers", 2)]
    {
        let point = format!(r#"{{"metric":"{metric}","type":"Point""#);
        let tag = format!(r#""scenario":"{scenario}""#);
        let points = json.lines().filter(|line| line.starts_with(&point) && line.contains(&tag));
        assert_eq!(points.count(), times, "{metric} in {json}");
        assert_eq!(csv.lines().filter(|line| line.starts_with(&format!("{metric},"))).count(), times);
    }
    // The default text is the reference's, as long as no threshold asks for more.
    assert!(!outcome.stdout.contains("iterations_"), "{}", outcome.stdout);
    let thresholds =
        r#"{"iterations_failed": ["count<9"], "iterations_interrupted{scenario:sleepers}": ["count<9"]}"#;
    let outcome = Program::script(BINARY, ENDS).env("K6_THRESHOLDS", thresholds).within(BOUND).run();
    outcome.expect_code(0).expect_text("\n    iterations_failed.........: 3");
    outcome
        .expect_text("\n    iterations_interrupted....: 2")
        .expect_text("\n      { scenario:sleepers }...: 2");
}

#[test]
fn without_failures_their_metrics_are_there_only_for_a_threshold() {
    let script = "export default function () {}";
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    assert_eq!(outcome.value("iterations_failed", "count"), None);
    assert_eq!(outcome.value("iterations_interrupted", "count"), None);
    let thresholds =
        r#"{"iterations_failed": ["count<1"], "iterations_interrupted{scenario:default}": ["count<1"]}"#;
    let outcome = Program::script(BINARY, script).env("K6_THRESHOLDS", thresholds).within(BOUND).run();
    outcome.expect_code(0).expect_text("✓ 'count<1' count=0");
    outcome.expect_value("iterations_failed", "count", 0.0);
    let failing = "export default function () { throw new Error('always') }";
    let outcome = Program::script(BINARY, failing).env("K6_THRESHOLDS", thresholds).within(BOUND).run();
    outcome.expect_code(99).expect_text("✗ 'count<1' count=1").expect_value("iterations", "count", 1.0);
}

/// Thresholds on one metric of each type that is never measured, and on a part of one that is.
const UNMEASURED: &str = r#"
import { Counter, Gauge, Rate, Trend } from "k6/metrics"
const hits = new Counter("hits"), lag = new Trend("lag", true)
new Gauge("level"), new Rate("good"), new Trend("other")
export const options = {
  thresholds: {
    hits: ["count<1"], lag: ["p(95)<50"], "lag{kind:a}": ["avg<1"], level: ["value<1"], good: ["rate>0.9"], checks: ["rate>0.9"],
  },
}
export default function () { lag.add(1) }
"#;

#[test]
fn thresholds_without_data_are_not_shown_as_passed() {
    let outcome = Program::script(BINARY, UNMEASURED).within(BOUND).run();
    outcome
        .expect_code(0)
        .expect_text("    lag\n    ✓ 'p(95)<50' p(95)=1ms\n\n      {kind:a}\n      ○ 'avg<1' no data");
    outcome.expect_text("checks\n    ○ 'rate>0.9' no data").expect_text("good\n    ○ 'rate>0.9' no data");
    // A count of nothing is 0, if something ran that could have counted.
    outcome.expect_text("level\n    ○ 'value<1' no data").expect_text("hits\n    ✓ 'count<1' count=0");
    let warnings = outcome.log_lines("Nothing was measured for the thresholds on");
    assert_eq!(warnings.len(), 1, "{}", outcome.stderr);
    assert!(warnings[0].contains("'checks', 'good', 'lag{kind:a}', 'level'"), "{}", warnings[0]);
    assert!(!outcome.stdout.contains("STRICT"), "{}", outcome.stdout);
    // What scripts read stays the reference's.
    let summary: serde_json::Value = serde_json::from_str(&outcome.file("summary.json")).expect("a summary");
    assert_eq!(summary["metrics"]["good"]["thresholds"]["rate>0.9"], false, "it was not crossed");
}

#[test]
fn strict_makes_a_failure_of_thresholds_without_data() {
    let thresholds = "nothing was measured for the thresholds on 'checks', 'good', 'lag{kind:a}', 'level'";
    let proves_nothing = |program: Program| {
        let outcome = program.within(BOUND).run();
        outcome.expect_code(121).expect_text(&format!("STRICT \n\n    ✗ {thresholds}\n"));
        outcome.expect_text(&format!("this run proves nothing (--strict): {thresholds}"));
    };
    proves_nothing(Program::script(BINARY, UNMEASURED).arg("--strict"));
    proves_nothing(Program::script(BINARY, UNMEASURED).env("SENARY_STRICT", "true"));
    let config = Program::script(BINARY, UNMEASURED).file("config.json", r#"{"strict": true}"#);
    proves_nothing(config.args(["--config", "config.json"]));
    let script = UNMEASURED.replace("thresholds: {", "strict: true, thresholds: {");
    proves_nothing(Program::script(BINARY, &script));
    Program::script(BINARY, &script).arg("--strict=false").within(BOUND).run().expect_code(0);
}

#[test]
fn strict_makes_a_failure_of_runs_without_a_completed_iteration() {
    let strict = |script: &str, code: i32, text: &str| {
        let outcome = Program::script(BINARY, script).arg("--strict").within(BOUND).run();
        outcome.expect_code(code).expect_text(text);
    };
    strict(
        "export default function () { throw new Error('always') }",
        121,
        "✗ every iteration failed, 1 of 1",
    );
    let asleep = r#"
import { sleep } from "k6"
export const options = { scenarios: { s: { executor: "constant-vus", vus: 2, duration: "1s", gracefulStop: "0s" } } }
export default function () { sleep(60) }
"#;
    strict(asleep, 121, "✗ no iteration was completed, 2 cut short");
    let half = "export const options = { iterations: 2 }\nexport default function () { if (__ITER) throw new Error('once') }";
    strict(half, 0, "TOTAL RESULTS");
    // What is worse has its own exit code.
    let crossed = "export const options = { thresholds: { iterations_failed: ['count<1'] } }\n\
        export default function () { throw new Error('always') }";
    strict(crossed, 99, "✗ every iteration failed, 1 of 1");
}

/// Three users who ask once in a tenth of a second, with no time limit: nothing of the script fails if the service stops
/// answering. The silence lasts for more than five times as long as the machine may have stood still before.
const PATIENT: &str = r#"
import { Socket } from "k6/x/tcp"
import { check } from "k6"
export const options = {
  scenarios: { s: { executor: "constant-vus", vus: 3, duration: "6s", gracefulStop: "100ms" } },
  thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] },
}
export default async function () {
  const socket = new Socket()
  const answer = new Promise((resolve) => socket.on("data", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("ten bytes.")
  check(await answer, { answered: (a) => a.length === 10 })
  socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 100))
}
"#;

#[test]
fn strict_makes_a_failure_of_a_service_that_stops_answering() {
    let server = Server::start(Behaviour::Echo);
    let healthy = Program::script(BINARY, PATIENT).arg("--strict").target(&server).within(BOUND).run();
    healthy.expect_code(0);
    let server = Server::start(Behaviour::Echo);
    server.freezes_after(200);
    let outcome = Program::script(BINARY, PATIENT).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("3 iterations were cut off").expect_text("has not answered for ");
    let server = Server::start(Behaviour::Echo);
    server.freezes_after(200);
    let outcome = Program::script(BINARY, PATIENT).arg("--strict").target(&server).within(BOUND).run();
    outcome.expect_code(121).expect_text("✗ nothing succeeded any more in the last ");
    outcome.expect_text("of the scenario 's'");
}

#[test]
fn strict_looks_at_each_scenario_and_at_failures_that_are_caught() {
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { scenarios: {
  works: { executor: "per-vu-iterations", vus: 1, iterations: 5, exec: "works" },
  refused: { executor: "per-vu-iterations", vus: 1, iterations: 5, exec: "refused" },
} }
export function works() {}
export async function refused() { await new Socket().connect(1, "127.0.0.1").catch(() => {}) }
"#;
    Program::script(BINARY, script).within(BOUND).run().expect_code(0);
    let outcome = Program::script(BINARY, script).arg("--strict").within(BOUND).run();
    outcome.expect_code(121).expect_text("✗ every iteration of the scenario 'refused' failed, 5 of 5");
}

/// What is long, one-way, or cut off by design is no proof that anything is broken.
#[test]
fn strict_lets_healthy_runs_be() {
    let (server, echo) = (Server::start(Behaviour::Sink), Server::start(Behaviour::Echo));
    let script = r#"
import { Socket } from "k6/x/tcp"
import { Socket as Extended } from "senary/tcp"
import { check, sleep } from "k6"
const forever = { executor: "constant-vus", vus: 2, duration: "3s", gracefulStop: "0s" }
export const options = { scenarios: {
  quick: { ...forever, exec: "quick" },
  sleepers: { executor: "per-vu-iterations", vus: 2, iterations: 3, maxDuration: "3s", gracefulStop: "0s", exec: "sleepers" },
  oneway: { ...forever, exec: "oneway" },
  flaky: { ...forever, exec: "flaky" },
  upload: { ...forever, exec: "upload" },
  onpurpose: { ...forever, exec: "onpurpose" },
} }
export function quick() { sleep(0.01) }
// Quick at first, then in the middle of something when their time is over.
export function sleepers() { sleep([0.01, 0.01, 60][__ITER]) }
// To a collector of figures, which never answers.
export async function oneway() {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  for (let n = 0; n < 5; n++) {
    await socket.write("figure 1\n")
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  socket.destroy()
}
// The peer goes without a word, as it is told that nothing more comes.
export async function upload() {
  const socket = new Extended()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.send("figure 1\n")
  await socket.end()
  await socket.closed
  sleep(0.02)
}
// A failure that is asked for, beside a service that answers.
export async function onpurpose() {
  const socket = new Extended()
  await socket.connect(__ENV.ECHO, __ENV.TCP_HOST)
  await socket.send("ping")
  await socket.read()
  socket.destroy()
  const code = await new Socket().connect(1, __ENV.TCP_HOST).catch((error) => error.code)
  check(code, { "the other port is closed": (code) => code === "ECONNREFUSED" })
  sleep(0.02)
}
export function flaky() {
  sleep(0.02)
  if (Math.random() < 0.3) throw new Error("now and then")
}
"#;
    let program = Program::script(BINARY, script).arg("--strict").target(&server).env("ECHO", echo.port());
    program.within(BOUND).run().expect_code(0);
}

/// Has a script in which each iteration does this, and that is strict, meet a service.
fn strict_with(service: SocketAddr, options: &str, body: &str) -> Program {
    let script = format!(
        r#"import http from "k6/http"
import ws from "k6/ws"
import {{ Socket }} from "k6/x/tcp"
import {{ Socket as Extended }} from "senary/tcp"
import {{ check, sleep }} from "k6"
export const options = {{ strict: true, {options} }}
const [host, port] = [__ENV.HOST, __ENV.PORT], base = `http://${{host}}:${{port}}/`
const closing = (socket) => new Promise((resolve) => socket.on("close", resolve))
export default async function () {{ {body} }}"#
    );
    let program = Program::script(BINARY, &script).arg("--log-output=none");
    program.env("HOST", service.ip()).env("PORT", service.port()).within(BOUND)
}

fn site(answer: impl Fn() -> Reply + Send + Sync + 'static) -> SocketAddr {
    let site = Site::start(move |_| answer());
    let (_, address) = site.url.split_once("://").expect("a URL");
    address.parse().expect("an address")
}

const FOR_A_WHILE: &str =
    "scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '12s', gracefulStop: '0s' } }";

/// Nothing of these scripts limits the time, and nothing of them fails: each waits for an answer in its own way.
#[test]
fn strict_sees_a_frozen_service_whatever_the_script_waits_with() {
    let good = site(|| Reply::ok("x"));
    let patient = "const s = new Socket(); const closed = closing(s); s.on('data', () => s.destroy());
        await s.connect(port, host); await s.write('x'.repeat(100)); await closed; sleep(0.02)";
    let impatient = patient.replace(
        "await closed",
        "const limit = setTimeout(() => s.destroy(), 300); await closed; clearTimeout(limit)",
    );
    let idle = impatient
        .replace("const limit = setTimeout(() => s.destroy(), 300)", "s.on('timeout', () => s.destroy())");
    let idle = idle
        .replace("clearTimeout(limit)", "")
        .replace("await s.connect", "s.setTimeout(300); await s.connect");
    let web = || Behaviour::Relay(good);
    let cases = [
        ("http.get(base); sleep(0.02)", web()),
        ("http.batch([base, base]); sleep(0.02)", web()),
        ("await http.asyncRequest('GET', base); sleep(0.02)", web()),
        ("http.get(base, { timeout: 300 }); sleep(0.02)", web()),
        (
            "ws.connect(base.replace('http', 'ws'), (s) => { s.on('open', () => s.send('x')); s.on('message', () => s.close()) })",
            Behaviour::WebSocket(WebSocketPeer::Echo),
        ),
        (patient, Behaviour::Echo),
        (impatient.as_str(), Behaviour::Echo),
        (idle.as_str(), Behaviour::Echo),
    ];
    std::thread::scope(|scope| {
        for (body, behaviour) in cases {
            scope.spawn(move || {
                let server = Server::start(behaviour);
                server.freezes_after(4000);
                let outcome = strict_with(server.address(), FOR_A_WHILE, body).run();
                if outcome.code() != Some(121)
                    || !outcome.stdout.contains("nothing succeeded any more in the last ")
                {
                    outcome.fail(body);
                }
            });
        }
    });
}

/// Checks that pass with a server that is dead, and connections that end without a word, are no evidence.
#[test]
fn strict_is_not_taken_in_by_what_a_dead_service_does_well() {
    let gone = Server::start(Behaviour::Sink).address();
    let fast = "check(http.get(base), { 'it is fast': (r) => r.timings.duration < 5000 })";
    let slam = "const s = new Socket(); const closed = closing(s); s.on('error', () => {});
        await s.connect(port, host); await s.write('x').catch(() => {}); await closed";
    let mute = Server::start(Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 0 });
    let slamming = Server::start(Behaviour::Slam);
    let read = "const s = new Extended(); await s.connect(port, host); await s.send('x'); await s.read(); s.destroy()";
    for (body, service) in [
        (fast, gone),
        (fast, site(|| Reply::page(500, &[], "no"))),
        ("await new Socket().connect(port, host).catch(() => check(1, { caught: true }))", gone),
        (slam, slamming.address()),
        (slam, mute.address()),
        (read, mute.address()),
    ] {
        let outcome = strict_with(service, "iterations: 5", body).run();
        if outcome.code() != Some(121) || !outcome.stdout.contains("every iteration failed, 5 of 5") {
            outcome.fail(body);
        }
    }
    let answers = AtomicUsize::new(0);
    let dies = site(move || match answers.fetch_add(1, Ordering::SeqCst) {
        0..10 => Reply::ok("x").after(Duration::from_millis(1)),
        _ => Reply::raw("", Then::Close),
    });
    let outcome = strict_with(dies, "iterations: 1000", "http.get(base)").run();
    outcome.expect_code(121).expect_text("nothing succeeded any more in the last ");
}

fn expect_objection(body: &str, service: SocketAddr, objection: &str) {
    let outcome = strict_with(service, "iterations: 5", body).run();
    if outcome.code() != Some(121) || !outcome.stdout.contains(objection) {
        outcome.fail(&format!("{body}: {objection}"));
    }
}

#[test]
fn strict_does_not_take_errors_of_a_server_for_success_where_nothing_judges_them() {
    let (broken, sound) = (site(|| Reply::page(500, &[], "no")), site(|| Reply::ok("x")));
    let unjudged = "http.get(base, { responseCallback: null })";
    let why = "every iteration failed, 5 of 5: servers said that they failed (5xx)";
    expect_objection(unjudged, broken, why);
    let async_unjudged = "await http.asyncRequest('GET', base, null, { responseCallback: null })";
    expect_objection(async_unjudged, broken, why);
    let mixed = format!("{unjudged}; http.get(__ENV.SOUND, {{ responseCallback: null }})");
    let tested = format!("check({unjudged}, {{ 'it is broken': (r) => r.status === 500 }})");
    let expected = "http.get(base, { responseCallback: http.expectedStatuses(500) })";
    for (body, service) in
        [(unjudged, sound), (mixed.as_str(), broken), (tested.as_str(), broken), (expected, broken)]
    {
        let program = strict_with(service, "iterations: 5", body).env("SOUND", format!("http://{sound}/"));
        program.run().expect_code(0);
    }
}

#[test]
fn strict_sees_that_a_service_never_answers_a_script_that_listens() {
    let server = Server::start(Behaviour::Sink);
    let silent = server.address();
    for (class, word) in [("Socket", "data"), ("Extended", "data")] {
        let only_sends = format!(
            "const s = new {class}(); await s.connect(port, host); await s.write('x'); sleep(0.05); s.destroy()"
        );
        let only_sends = only_sends.replace("s.write", if class == "Socket" { "s.write" } else { "s.send" });
        let listens =
            only_sends.replace("await s.connect", &format!("s.on('{word}', () => {{}}); await s.connect"));
        let why =
            "every iteration failed, 5 of 5: the script sent something and listened, and nothing ever came";
        expect_objection(&listens, silent, why);
        let counts = format!("{listens}; check(s, {{ 'all is sent': (s) => s.bytes_written === 1 }})");
        // A protocol in which nobody answers; one that the script judges itself; one whose server has nothing to say yet.
        let subscribes = listens.replace("await s.write('x');", "").replace("await s.send('x');", "");
        for body in [only_sends, counts, subscribes] {
            strict_with(silent, "iterations: 5", &body).run().expect_code(0);
        }
    }
}

/// Each VU has one connection, and stops working once that is gone.
#[test]
fn strict_sees_iterations_that_do_nothing_because_their_connection_is_gone() {
    let kept = r#"
import { Socket } from "senary/tcp"
import { sleep } from "k6"
export const options = { strict: true, vus: 2, duration: "4s" }
let socket, gone = false
export default async function () {
  sleep(0.02)
  if (gone) return
  if (!socket) {
    socket = new Socket({ framing: "lines", scope: "vu" })
    socket.on("close", () => { gone = true })
    await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  }
  await socket.request("hello").catch(() => {})
}
"#;
    let run =
        |script: &str, server: &Server| Program::script(BINARY, script).target(server).within(BOUND).run();
    let hangs_up =
        || Server::start(Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 60 });
    let outcome = run(kept, &hangs_up());
    outcome.expect_code(121).expect_text("nothing succeeded any more in the last ");
    outcome.expect_text("iterations did nothing more once the connection that they share was gone");
    run(kept, &Server::start(Behaviour::Echo)).expect_code(0);
    // A script that has finished its work may stop, and a script that connects again goes on.
    let rests = kept.replace("if (gone) return", "if (__ITER > 9) return");
    run(&rests, &Server::start(Behaviour::Echo)).expect_code(0);
    let again = kept.replace("if (gone) return", "if (gone) { gone = false; socket = null }");
    run(&again, &hangs_up()).expect_code(0);
}

#[test]
fn strict_looks_at_setup_if_iterations_show_nothing() {
    let good = site(|| Reply::ok("x"));
    let script = |setup: &str, body: &str| {
        format!(
            "import http from 'k6/http'; import {{ check }} from 'k6'\nexport const options = {{ strict: true, iterations: 3 }}\n\
            export function setup() {{ {setup} }}\nexport default function () {{ {body} }}"
        )
    };
    let run = |setup: &str, body: &str| {
        let program = Program::script(BINARY, &script(setup, body)).env("GOOD", format!("http://{good}/"));
        program.within(BOUND).run()
    };
    let (refused, answered) = ("http.get('http://127.0.0.1:1/')", "http.get(__ENV.GOOD)");
    let why = "what setup() tried failed, and no iteration did anything that shows more";
    run(refused, "").expect_code(121).expect_text(why);
    run(refused, answered).expect_code(0);
    run(answered, "").expect_code(0);
    run("", "").expect_code(0);
    let tested = format!("check({answered}, {{ 'it is there': (r) => r.status === 200 }}); {refused}");
    run(&tested, "").expect_code(0);
}

#[test]
fn inspect_names_metrics_that_nothing_registers() {
    let script = r#"
import { Trend } from "k6/metrics"
new Trend("lag")
export const options = { thresholds: { lag: ["avg<1"], lagg: ["avg<1"], iterations: ["count>0"], tcp_errors: ["count<1"] } }
export default function () {}
"#;
    let inspect = |args: &[&str]| {
        let program = Program::new(BINARY).file("script.js", script).arg("inspect");
        program.args(args.iter().copied()).arg("script.js").within(BOUND).run()
    };
    inspect(&[]).expect_code(0);
    let outcome = inspect(&["--strict"]);
    outcome.expect_code(104).expect_text("lagg").expect_text("did you mean");
    outcome.expect_text("tcp_errors");
    let script = script.replace("lagg", "checks").replace("avg<1\"], iter", "rate>0.9\"], iter");
    let script = format!("import 'k6/x/tcp'\n{script}");
    let fine = Program::new(BINARY).file("script.js", &script).args(["inspect", "--strict", "script.js"]);
    fine.within(BOUND).run().expect_code(0);
}

#[test]
fn what_failed_before_the_scenarios_is_said_once() {
    for setup in ["throw new Error('no')", "exec.test.abort('no')"] {
        let script = format!(
            "import exec from 'k6/execution'\nexport const options = {{ thresholds: {{ checks: ['rate>0.9'] }} }}\n\
            export function setup() {{ {setup} }}\nexport default function () {{}}"
        );
        let outcome = Program::script(BINARY, &script).within(BOUND).run();
        for warning in ["No script iterations", "Nothing was measured"] {
            assert!(outcome.log_lines(warning).is_empty(), "{}", outcome.stderr);
        }
    }
}

#[test]
fn what_an_abort_leaves_undone_was_not_dropped() {
    for executor in [
        "executor: 'per-vu-iterations', vus: 2, iterations: 3",
        "executor: 'shared-iterations', vus: 2, iterations: 30",
        "executor: 'constant-arrival-rate', rate: 1000, duration: '5s', preAllocatedVUs: 5",
    ] {
        let script = format!(
            "import exec from 'k6/execution'\nexport const options = {{ scenarios: {{ a: {{ {executor} }} }} }}\n\
            export default function () {{ exec.test.abort('enough') }}"
        );
        let outcome = Program::script(BINARY, &script).within(BOUND).run();
        outcome.expect_code(108);
        assert_eq!(outcome.value("dropped_iterations", "count"), None, "{executor}");
    }
}

#[test]
fn the_old_export_has_what_setup_returned() {
    let script = "export function setup() { return { a: [1, 'x'] } }\nexport default function () {}";
    let export = Program::script(BINARY, script).within(BOUND).run().file("summary.json");
    let export: serde_json::Value = serde_json::from_str(&export).expect("an export");
    assert_eq!(export["setup_data"], serde_json::json!({ "a": [1, "x"] }));
}

#[test]
fn an_empty_object_of_handle_summary_prints_nothing() {
    let script = "export default function () {}\nexport function handleSummary() { return {} }";
    let program = Program::new(BINARY).file("script.js", script).args(["run", "--quiet", "script.js"]);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn an_abort_is_no_failure_of_its_iteration() {
    let script = r#"
import exec from "k6/execution"
export default function () { exec.test.abort("enough") }
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(108).expect_value("iterations", "count", 1.0);
    assert_eq!(outcome.value("iterations_failed", "count"), None);
}
