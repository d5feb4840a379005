//! Failures of a socket as scripts and outputs see them: their order, their codes, their places, their tags.

use std::time::Duration;

use senary_testkit::{Behaviour, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn listeners_hear_of_every_failure_before_the_rejection() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
const PORT = Number(__ENV.TCP_PORT), HOST = __ENV.TCP_HOST
async function attempt(name, call, open) {
  const socket = new Socket(), log = []
  if (open) await socket.connect(PORT, HOST)
  const promise = call(socket).catch((error) => log.push(`rejection ${error.code}`))
  // A listener may come after the call.
  socket.on("error", (error) => log.push(`event ${error.code}`))
  await promise
  console.log(`R ${name}: ${log.join(", ")}`)
  if (socket.ready_state === "open") socket.destroy()
}
export default async function () {
  await attempt("refused", (s) => s.connect(1, "127.0.0.1"))
  await attempt("range", (s) => s.connect(70000, "127.0.0.1"))
  await attempt("missing", (s) => s.connect(undefined))
  await attempt("no port", (s) => s.connect({ host: HOST }))
  await attempt("text", (s) => s.connect("127.0.0.1:80"))
  await attempt("empty", (s) => s.connect(""))
  await attempt("early write", (s) => s.write("x"))
  await attempt("value", (s) => s.write([1, 2]), true)
  await attempt("encoding", (s) => s.write("x", { encoding: "rot13" }), true)
  await attempt("again", (s) => s.connect(PORT, HOST), true)
  await attempt("given up", (s) => { const promise = s.connect(PORT, HOST); s.destroy(); return promise })
  const gone = new Socket(), log = []
  for (const name of ["error", "close"]) gone.on(name, () => log.push(name))
  gone.destroy()
  await gone.write("x").catch((error) => log.push(error.code))
  await new Promise((resolve) => setTimeout(resolve, 20))
  console.log(`R gone: ${log.join(", ")}`)
}
"#;
    let program = Program::script(BINARY, script).arg("--log-format=raw").target(&server);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    for (name, code) in [
        ("refused", "ECONNREFUSED"),
        ("range", "ERR_SOCKET_BAD_PORT"),
        ("missing", "ERR_INVALID_ARG_TYPE"),
        ("no port", "ERR_INVALID_ARG_TYPE"),
        ("text", "ERR_SOCKET_BAD_PORT"),
        ("empty", "ERR_SOCKET_BAD_PORT"),
        ("early write", "ENOTCONN"),
        ("value", "ERR_INVALID_ARG_TYPE"),
        ("encoding", "ERR_INVALID_ENCODING"),
        ("again", "EISCONN"),
        ("given up", "ERR_SOCKET_CLOSED"),
    ] {
        outcome.expect_text(&format!("R {name}: event {code}, rejection {code}\n"));
    }
    // `close` is the last event there is.
    outcome.expect_text("R gone: ENOTCONN, close\n");
    outcome.expect_text("write() takes a string, an ArrayBuffer, a typed array or a DataView, not an array");
}

#[test]
fn a_listener_can_fail_the_test_where_nobody_catches_the_rejection() {
    let script = r#"
import exec from "k6/execution"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  socket.on("error", (error) => exec.test.fail(error.code))
  await socket.connect(__ENV.NOT_SET, "127.0.0.1")
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(110).expect_text("the port is missing");
}

#[test]
fn failures_are_counted_by_code_and_method() {
    let script = r#"
import { Socket } from "k6/x/tcp"
const once = ["count==1"]
export const options = { thresholds: {
  "tcp_errors{error_code:ECONNREFUSED,method:connect}": once,
  "tcp_errors{error_code:ERR_SOCKET_BAD_PORT,method:connect}": once,
  "tcp_errors{error_code:ERR_SOCKET_CLOSED,method:connect}": once,
  "tcp_errors{error_code:ENOTCONN,method:write}": once,
  "tcp_errors{error_code:ENOTCONN,method:mine}": once,
  "tcp_errors": ["count==5"],
} }
export default async function () {
  const quiet = () => {}
  await new Socket().connect(1, "127.0.0.1").catch(quiet)
  await new Socket().connect("x").catch(quiet)
  await new Socket().write("x").catch(quiet)
  await new Socket().write("x", { tags: { method: "mine" } }).catch(quiet)
  const socket = new Socket(), connecting = socket.connect(1, "127.0.0.1")
  socket.destroy()
  await connecting.catch(quiet)
}
"#;
    Program::script(BINARY, script).within(BOUND).run().expect_code(0);
}

#[test]
fn a_failed_connect_says_where_it_was_called() {
    let script = r#"import { Socket } from "k6/x/tcp"
async function login(socket) { await socket.connect(1, "127.0.0.1") }
export default async function () {
  await Promise.resolve()
  await login(new Socket())
}
"#;
    let outcome = Program::script(BINARY, script).arg("--log-format=raw").within(BOUND).run();
    outcome.expect_text("connection refused\n\tat login (file://").expect_text("script.js:2:");
}

#[test]
fn what_nobody_reads_is_warned_about_once() {
    let script = r#"
import { sleep } from "k6"
import { Socket } from "k6/x/tcp"
export const options = { vus: 3, iterations: 9 }
new Socket({ tgs: { a: 1 } })
export default async function () {
  const socket = new Socket()
  socket.setTimeout("5s")
  sleep("1s")
  await socket.connect({ port: 1, hots: "127.0.0.1", host: "127.0.0.1", timeout: 5 }).catch(() => {})
  await socket.connect(1, "127.0.0.1", { timeout: 5 }).catch(() => {})
  await socket.connect({ port: 1, host: "127.0.0.1" }, { tls: true }).catch(() => {})
  await socket.write("x", { encodng: "hex" }).catch(() => {})
}
"#;
    let outcome = Program::script(BINARY, script).arg("--log-format=json").within(BOUND).run();
    outcome.expect_code(0);
    for (call, hint) in [
        ("\"tgs\\\"", "tags"),
        ("\"hots\\\"", "host"),
        ("\"timeout\\\"", "its options are port, host, tls, tags"),
        ("no third argument", "connect({ port, host, tls, tags })"),
        ("no second argument", "connect({ port, host, tls, tags })"),
        ("\"encodng\\\"", "encoding"),
        ("setTimeout() was given", "milliseconds"),
        ("sleep() was given", "seconds"),
    ] {
        let lines = outcome.log_lines(call);
        assert_eq!(lines.len(), 1, "{call}\n{}", outcome.stderr);
        assert!(lines[0].contains(hint), "{hint} in {}", lines[0]);
    }
}
