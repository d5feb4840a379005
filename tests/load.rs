//! Many virtual users, many sockets, many failures: none of them lost, none of them in each other's way.

use std::time::Duration;

use senary_testkit::{Behaviour, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(120);

/// As many as wanted, or as fit twice (both ends are in one process) into the limit of open files.
fn sockets(wanted: u64) -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of open files");
    // "unlimited", if it is no number.
    let hard = line.split_whitespace().nth(4).and_then(|hard| hard.parse().ok()).unwrap_or(u64::MAX);
    wanted.min(hard.saturating_sub(200) / 2)
}

#[test]
fn a_thousand_users_sleep_side_by_side_on_one_worker() {
    let script = r#"
import { sleep } from "k6"
export const options = { scenarios: { s: { executor: "per-vu-iterations", vus: 1000, iterations: 1 } } }
export default function () {
  sleep(1)
}
"#;
    let outcome = Program::script(BINARY, script).args(["--workers", "1"]).within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 1000.0);
    let (fastest, slowest) =
        (outcome.measured("iteration_duration", "min"), outcome.measured("iteration_duration", "max"));
    assert!(fastest >= 1000.0, "one slept only {fastest} ms");
    // One after the other they would take a thousand seconds.
    assert!(slowest < 20_000.0, "one took {slowest} ms");
}

/// Round trips of one VU, while others of its worker sleep all the time: it is done before they are.
#[test]
fn a_sleeping_user_delays_nobody() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export const options = {
  scenarios: {
    sleepers: { executor: "per-vu-iterations", vus: 100, iterations: 1, exec: "sleeper" },
    talker: { executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "talker" },
  },
}
export function sleeper() {
  sleep(10)
  console.log("awake")
}
export async function talker() {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let trips = 0
  socket.on("data", () => (++trips < 200 ? socket.write("x") : socket.destroy()))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
  await closed
  console.log("round trips", trips)
}
"#;
    let program = Program::script(BINARY, script).target(&server).args(["--workers", "1"]);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    assert_eq!(outcome.stderr.lines().next(), Some("round trips 200"), "{}", outcome.stderr);
    assert_eq!(outcome.log_lines("awake").len(), 100);
}

#[test]
fn ten_thousand_resets() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 50, iterations: 10000 }
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("error", () => {})
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
  await closed
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0);
    for metric in ["iterations", "tcp_sockets", "tcp_errors"] {
        outcome.expect_value(metric, "count", 10_000.0);
    }
    assert!(server.all_closed(BOUND));
    assert_eq!((server.accepted(), server.bytes()), (10_000, 10_000));
    assert_eq!(outcome.stderr, "", "what is handled is not logged");
}

#[test]
fn thousands_of_sockets_in_one_user() {
    let n = sockets(5000);
    let script = r#"
import { Socket } from "k6/x/tcp"
const N = Number(__ENV.N)
export default async function () {
  const all = Array.from({ length: N }, () => new Socket())
  await Promise.all(all.map((socket) => socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)))
  console.log("open at once:", all.filter((socket) => socket.connected).length)
  let right = 0
  await Promise.all(all.map((socket, n) => new Promise((resolve) => {
    socket.on("data", (data) => {
      if (String.fromCharCode(...data) === `socket ${n}`) right++
      socket.destroy()
    })
    socket.on("close", resolve)
    socket.write(`socket ${n}`)
  })))
  console.log("right answers:", right)
}
"#;
    let program = Program::script(BINARY, script).arg("--with-echo").env("N", n);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    outcome.expect_text(&format!("open at once: {n}")).expect_text(&format!("right answers: {n}"));
    outcome.expect_value("tcp_errors", "count", 0.0).expect_value("tcp_sockets", "count", n as f64);
}

#[test]
fn thousands_of_users_with_a_socket_each() {
    let n = sockets(5000);
    let script = r#"
import { Socket } from "k6/x/tcp"
import { Counter } from "k6/metrics"
const right = new Counter("right")
export const options = {
  scenarios: { s: { executor: "per-vu-iterations", vus: Number(__ENV.N), iterations: 1, maxDuration: "60s" } },
}
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let answer = ""
  socket.on("data", (data) => {
    answer += String.fromCharCode(...data)
    if (answer.length === 11) setTimeout(() => socket.destroy(), 1000)
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write(`VU ${String(__VU).padStart(8, "0")}`)
  await closed
  right.add(Number(answer === `VU ${String(__VU).padStart(8, "0")}`))
}
"#;
    let program = Program::script(BINARY, script).arg("--with-echo").env("N", n);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_value("tcp_errors", "count", 0.0);
    outcome.expect_value("iterations", "count", n as f64).expect_value("right", "count", n as f64);
}

/// Each iteration leaves its sockets behind and throws.
#[test]
fn thousands_of_leaked_sockets() {
    let n = sockets(2000);
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: 5 }
export default async function () {
  const all = Array.from({ length: Number(__ENV.N) }, () => new Socket())
  await Promise.all(all.map((socket) => socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)))
  all.forEach((socket) => socket.write("left behind"))
  throw new Error("gone")
}
"#;
    let program = Program::script(BINARY, script).target(&server).env("N", n).within(BOUND);
    let outcome = program.run();
    outcome.expect_code(0).expect_value("iterations", "count", 5.0);
    outcome.expect_value("tcp_sockets", "count", 5.0 * n as f64).expect_value("tcp_errors", "count", 0.0);
    assert_eq!(outcome.log_lines("gone").len(), 5, "{}", outcome.stderr);
    assert!(server.all_closed(BOUND), "{} connections are open", server.open());
    assert_eq!(server.accepted(), 5 * n);
}

/// Its starts would follow each other for as long as there are any left: for weeks, here.
#[test]
fn a_rate_that_cannot_be_kept_up_with_ends() {
    let rate = 1e12;
    let script = format!(
        "const rate = {{ executor: 'constant-arrival-rate', rate: {rate}, duration: '1s', preAllocatedVUs: 1 }}
        export const options = {{ scenarios: {{ rate }} }}
        export default function () {{}}"
    );
    let outcome = Program::script(BINARY, &script).within(BOUND).run();
    outcome.expect_code(0);
    let [ran, dropped] = ["iterations", "dropped_iterations"].map(|metric| outcome.measured(metric, "count"));
    assert!(ran > 0.0 && ran + dropped == rate, "{ran} and {dropped}");
}
