//! The Socket against peers that behave well and badly: the order of events, the code of the error, counters that add
//! up, and no connection left open.

use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, FullBacklog, Outcome, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(20);

/// Connects, writes `SAY`, and logs everything that happens to the socket, in order. Ends when the connection does, or
/// once `ENOUGH` bytes have come.
const OBSERVE: &str = r#"
import { Socket } from "k6/x/tcp"

export default async function () {
  const socket = new Socket({ tags: { service: "observed" } })
  const log = []
  let received = ""
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  socket.on("connect", () => log.push("connect"))
  socket.on("data", (data) => {
    if (received === "") log.push("data")
    received += String.fromCharCode(...data)
    if (received.length >= Number(__ENV.ENOUGH || Infinity)) socket.destroy()
  })
  socket.on("error", (error) => log.push(`error ${error.method} ${error.code}`))
  try {
    await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: __ENV.TLS === "1" })
    log.push("connected")
    if (__ENV.SAY) {
      await socket.write(__ENV.SAY)
      log.push("written")
    }
    await closed
  } catch (error) {
    log.push(`caught ${error.method} ${error.code} ${error instanceof Error}`)
  }
  console.log(`events: ${log.join(", ")}`)
  console.log(`socket: ${socket.ready_state}, ${socket.bytes_written} out, ${socket.bytes_read} in, ${received}`)
}
"#;

fn observe(server: &Server) -> Program {
    Program::script(BINARY, OBSERVE).target(server).within(BOUND)
}

fn events(outcome: &Outcome) -> &str {
    match outcome.log_lines("events: ").as_slice() {
        [line] => line.trim_start_matches("events: "),
        _ => outcome.fail("one line of events expected"),
    }
}

/// `attempts` = connections + failed connects, each connection has a duration, and the server saw what was written.
fn books_balance(outcome: &Outcome, server: &Server, sockets: f64, errors: f64) {
    outcome.expect_value("tcp_sockets", "count", sockets).expect_value("tcp_errors", "count", errors);
    assert!(server.all_closed(BOUND), "a connection is still open");
    let durations = outcome.value("tcp_socket_duration", "max").is_some();
    assert_eq!(durations, sockets > 0.0, "every connection has a duration");
}

#[test]
fn echo() {
    let server = Server::start(Behaviour::Echo);
    let outcome = observe(&server).env("SAY", "hello").env("ENOUGH", 5).run();
    outcome.expect_code(0).expect_text("socket: destroyed, 5 out, 5 in, hello");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    books_balance(&outcome, &server, 1.0, 0.0);
    assert_eq!(server.bytes(), 5);
    outcome.expect_value("data_sent", "count", 5.0).expect_value("data_received", "count", 5.0);
    outcome.expect_value("tcp_writes", "count", 1.0).expect_value("tcp_reads", "count", 1.0);
}

#[test]
fn half_close_by_the_peer() {
    let server = Server::start(Behaviour::HalfClose { reply: "that was all" });
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_code(0).expect_text("socket: destroyed, 5 out, 12 in, that was all");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    books_balance(&outcome, &server, 1.0, 0.0);
}

#[test]
fn closed_at_accept() {
    let server = Server::start(Behaviour::Slam);
    let outcome = observe(&server).run();
    outcome.expect_code(0);
    assert_eq!(events(&outcome), "connect, connected, close");
    books_balance(&outcome, &server, 1.0, 0.0);
}

#[test]
fn reset_at_accept() {
    let server = Server::start(Behaviour::ResetAtAccept);
    let outcome = observe(&server).run();
    outcome.expect_code(0);
    // The kernel may report it on the connect or on the first read: whichever looks first.
    let sockets = match events(&outcome) {
        "connect, connected, error read ECONNRESET, close" => 1.0,
        "error connect ECONNRESET, caught connect ECONNRESET true" => 0.0,
        other => panic!("{other}"),
    };
    books_balance(&outcome, &server, sockets, 1.0);
}

#[test]
fn reset_after_the_first_byte() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_code(0).expect_text("socket: destroyed, 5 out, 0 in");
    assert_eq!(events(&outcome), "connect, connected, written, error read ECONNRESET, close");
    books_balance(&outcome, &server, 1.0, 1.0);
}

#[test]
fn data_before_a_reset_is_delivered() {
    let server = Server::start(Behaviour::ResetAfterReply { reply: "last words" });
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_code(0).expect_text("10 in, last words");
    assert_eq!(events(&outcome), "connect, connected, written, data, error read ECONNRESET, close");
    books_balance(&outcome, &server, 1.0, 1.0);
}

#[test]
fn nobody_listens() {
    let server = Server::start(Behaviour::Sink);
    let (host, port) = (server.host(), server.port());
    drop(server);
    let outcome = Program::script(BINARY, OBSERVE).env("TCP_HOST", host).env("TCP_PORT", port).run();
    outcome.expect_code(0).expect_text("socket: disconnected, 0 out, 0 in");
    assert_eq!(events(&outcome), "error connect ECONNREFUSED, caught connect ECONNREFUSED true");
    outcome.expect_value("tcp_errors", "count", 1.0).expect_value("tcp_sockets", "count", 0.0);
    assert!(outcome.value("tcp_socket_connecting", "avg").is_some(), "the step that was taken has a time");
}

#[test]
fn reset_in_the_tls_handshake() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let outcome = observe(&server).env("TLS", 1).run();
    outcome.expect_code(0).expect_text("socket: disconnected, 0 out, 0 in");
    assert_eq!(events(&outcome), "error connect ECONNRESET, caught connect ECONNRESET true");
    outcome.expect_value("tcp_sockets", "count", 0.0).expect_value("tcp_errors", "count", 1.0);
    assert!(outcome.value("tcp_tls_handshaking", "max").is_some(), "the step that failed has a time");
    assert!(server.all_closed(BOUND));
}

#[test]
fn garbage_instead_of_tls() {
    let server = Server::start(Behaviour::Garbage);
    let outcome = observe(&server).env("TLS", 1).run();
    outcome.expect_code(0);
    assert_eq!(events(&outcome), "error connect ERR_TLS_NOT_TLS, caught connect ERR_TLS_NOT_TLS true");
    assert!(server.all_closed(BOUND));
}

fn observe_tls(server: &Server) -> Program {
    let authority = Certificate::authority_pem();
    observe(server).env("TLS", 1).file("ca.pem", authority).env("SSL_CERT_FILE", "ca.pem")
}

#[test]
fn tls_with_a_trusted_certificate() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let outcome = observe_tls(&server).env("SAY", "hello").env("ENOUGH", 5).run();
    outcome.expect_code(0).expect_text("5 out, 5 in, hello");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    books_balance(&outcome, &server, 1.0, 0.0);
    assert_eq!(server.bytes(), 5);
    assert!(outcome.measured("data_sent", "count") > 5.0, "the bytes of TLS count");
}

#[test]
fn tls_certificates_that_are_wrong() {
    for (certificate, code) in [
        (Certificate::Expired, "ERR_TLS_CERT_EXPIRED"),
        (Certificate::WrongName, "ERR_TLS_CERT_ALTNAME_INVALID"),
        (Certificate::SelfSigned, "ERR_TLS_CERT_UNKNOWN_AUTHORITY"),
    ] {
        let server = Server::start_tls(Behaviour::Echo, certificate);
        let outcome = observe_tls(&server).env("SAY", "hello").run();
        outcome.expect_code(0);
        assert_eq!(events(&outcome), format!("error connect {code}, caught connect {code} true"));
        outcome.expect_value("tcp_sockets", "count", 0.0).expect_value("tcp_errors", "count", 1.0);

        let trusting = observe(&server).env("TLS", 1).env("SAY", "hello").env("ENOUGH", 5);
        let outcome = trusting.arg("--insecure-skip-tls-verify").run();
        assert_eq!(events(&outcome), "connect, connected, written, data, close", "{certificate:?}");
    }
}

#[test]
fn closed_between_chunks() {
    let chunks = Behaviour::Chunks { chunks: &["one ", "two ", "thr"], gap: Duration::from_millis(20) };
    let server = Server::start(chunks);
    let outcome = observe(&server).run();
    outcome.expect_code(0).expect_text("11 in, one two thr");
    assert_eq!(events(&outcome), "connect, connected, data, close");
    books_balance(&outcome, &server, 1.0, 0.0);
}

#[test]
fn a_reader_of_one_byte_at_a_time_gets_them_all() {
    let server = Server::start(Behaviour::SlowReader { pause: Duration::from_millis(20) });
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  for (const letter of "abcdefghij") socket.write(letter)
  socket.destroy()
}
"#;
    Program::script(BINARY, script).target(&server).run().expect_code(0);
    assert!(server.all_closed(BOUND));
    assert_eq!(server.received(), [b"abcdefghij".to_vec()]);
}

/// Against a peer that accepts and never reads: a write that does not fit waits, others queue behind it, and
/// `destroy()` rejects them all.
#[test]
fn a_peer_that_never_reads() {
    let server = Server::start(Behaviour::NeverReads);
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let errors = 0
  socket.on("error", () => errors++)
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const writes = [socket.write(new Uint8Array(32 << 20)), socket.write("behind it")]
  const outcome = Promise.allSettled(writes)
  setTimeout(() => socket.destroy(), 100)
  await closed
  for (const { status, reason } of await outcome) console.log(status, reason.method, reason.code)
  console.log("errors", errors, socket.bytes_written > 0, socket.bytes_written < 32 << 20)
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("errors 2 true true");
    assert_eq!(outcome.log_lines("rejected write EPIPE").len(), 2, "{}", outcome.stderr);
    outcome.expect_value("tcp_partial_writes", "count", 1.0).expect_value("tcp_errors", "count", 2.0);
    outcome.expect_value("tcp_writes", "count", 2.0);
}

#[test]
fn a_handshake_that_is_never_answered() {
    let peer = FullBacklog::start();
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const connecting = socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  console.log("at once:", socket.ready_state, socket.connected, socket.remote_ip)
  setTimeout(() => socket.destroy(), 100)
  await connecting.catch((error) => console.log("rejected:", error.code))
  await closed
  console.log("then:", socket.ready_state)
}
"#;
    let port = peer.address().port();
    let program = Program::script(BINARY, script).env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_text("at once: opening false undefined");
    outcome.expect_text("rejected: ERR_SOCKET_CLOSED").expect_text("then: destroyed");
    assert!(outcome.elapsed < Duration::from_secs(10));
}

#[test]
fn a_connect_under_way_ends_with_the_scenario() {
    let peer = FullBacklog::start();
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = {
  scenarios: { s: { executor: "constant-vus", vus: 3, duration: "1s", gracefulStop: "500ms" } },
}
export default async function () {
  await new Socket().connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
}
"#;
    let port = peer.address().port();
    let program = Program::script(BINARY, script).env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_value("iterations", "count", 0.0);
    assert!(outcome.elapsed < Duration::from_secs(10));
}

#[test]
fn a_peer_that_sends_without_end() {
    let server = Server::start(Behaviour::Sends { bytes: u64::MAX });
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let bytes = 0
  let wrong = 0
  socket.on("data", (data) => {
    if (data[0] !== bytes % 251) wrong++
    bytes += data.length
    if (bytes >= 256 << 20) socket.destroy()
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("go")
  await closed
  console.log("bytes", bytes === socket.bytes_read, bytes >= 256 << 20, "wrong", wrong)
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("bytes true true wrong 0");
    assert!(server.all_closed(BOUND));
}

/// While a VU sleeps its sockets are not read: the peer is held up, and memory does not grow.
#[test]
fn a_sleeping_reader_holds_the_peer_up() {
    let server = Server::start(Behaviour::Sends { bytes: u64::MAX });
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export default async function () {
  const socket = new Socket()
  socket.on("data", () => {})
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("go")
  console.log("asleep")
  sleep(1)
  console.log("awake", socket.bytes_read < 1 << 20)
  socket.destroy()
}
"#;
    let mut running = Program::script(BINARY, script).target(&server).within(BOUND).start();
    running.wait_for("asleep");
    let before = running.resident_kib().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let after = running.resident_kib().unwrap();
    running.finish().expect_code(0).expect_text("awake true");
    assert!(after < before + 8 * 1024, "memory grew from {before} to {after} KiB");
}

#[test]
fn frames_in_pieces_are_put_together() {
    let server = Server::start(Behaviour::LengthPrefixed);
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const frame = (text) => [0, 0, 0, text.length, ...text.split("").map((c) => c.charCodeAt(0))]
  const bytes = []
  socket.on("data", (data) => {
    bytes.push(...data)
    if (bytes.length === 13) socket.destroy()
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write(new Uint8Array([...frame("abc"), ...frame("xy")]))
  await closed
  console.log("frames", bytes.join())
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("frames 0,0,0,3,99,98,97,0,0,0,2,121,120");
}

/// Un-awaited writes of every size, from one VU and several sockets, arrive whole and in order.
#[test]
fn writes_arrive_in_order() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 2, iterations: 4 }
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const line = new Uint8Array(5000)
  let last
  for (let n = 0; n < 200; n++) {
    const size = 1 + ((n * 37) % 4999)
    line.fill(97 + (n % 26))
    last = socket.write(line.subarray(0, size))
    line.fill(0) // the bytes were copied at the call
  }
  await last
  socket.destroy()
  await closed
}
"#;
    Program::script(BINARY, script).target(&server).within(BOUND).run().expect_code(0);
    assert!(server.all_closed(BOUND));
    let sizes = (0..200_usize).map(|n| (1 + (n * 37) % 4999, b'a' + (n % 26) as u8));
    let expected: Vec<u8> = sizes.flat_map(|(size, letter)| std::iter::repeat_n(letter, size)).collect();
    assert_eq!(server.bytes(), 4 * expected.len() as u64);
    for received in server.received() {
        assert!(received[..] == expected[..received.len()], "out of order");
    }
}

/// Iterations that throw, that leave sockets open and that are interrupted: nothing stays open while the run goes on.
#[test]
fn no_connection_outlives_its_iteration() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export const options = {
  scenarios: {
    throws: { executor: "per-vu-iterations", vus: 2, iterations: 10, exec: "throws" },
    rejects: { executor: "per-vu-iterations", vus: 2, iterations: 10, exec: "rejects" },
    cut: { executor: "per-vu-iterations", vus: 2, iterations: 1, maxDuration: "1s", gracefulStop: "0s", exec: "cut" },
    after: { executor: "per-vu-iterations", vus: 1, iterations: 1, startTime: "2s", exec: "after" },
  },
}
async function open() {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
}
export async function throws() {
  await open()
  throw new Error("on purpose")
}
export async function rejects() {
  await Promise.all([open(), open()])
  Promise.reject(new Error("on purpose"))
}
export async function cut() {
  await open()
  await open()
}
export function after() {
  console.log("all others are over")
  sleep(1)
}
"#;
    let mut running = Program::script(BINARY, script).target(&server).within(BOUND).start();
    running.wait_for("all others are over");
    assert!(server.all_closed(Duration::from_millis(900)), "{} connections are open", server.open());
    let outcome = running.finish();
    outcome.expect_code(0);
    let opened = 20.0 + 40.0 + 4.0;
    outcome.expect_value("tcp_sockets", "count", opened);
    assert_eq!(server.accepted(), opened as u64);
    assert_eq!(server.bytes(), opened as u64);
}
