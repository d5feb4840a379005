//! The Socket against peers that behave well and badly: the order of events, the code of the error, counters that add
//! up, and no connection left open.

use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, FullBacklog, Outcome, Program, Server, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// How often a peer is met in a run.
const ROUNDS: u64 = 40;
/// The files the program may have open meanwhile: its own and a few more, so that nothing is left open by a round.
const OPEN_FILES: u64 = 48;

/// Connects, writes `SAY`, and logs everything that happens to the socket, in order. Ends when the connection does, or
/// once `ENOUGH` bytes have come.
const OBSERVE: &str = r#"
import { Socket } from "k6/x/tcp"

export const options = { vus: 1, iterations: Number(__ENV.ROUNDS) }

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
    observer().target(server)
}

fn observer() -> Program {
    let program = Program::script(BINARY, OBSERVE).env("ROUNDS", ROUNDS).within(BOUND);
    program.args(["--workers", "1", "--summary-trend-stats", "count"]).open_files(OPEN_FILES)
}

/// What happened in each round.
fn rounds(outcome: &Outcome) -> Vec<&str> {
    let rounds = outcome.log_lines("events: ").into_iter().map(|line| line.trim_start_matches("events: "));
    let rounds: Vec<&str> = rounds.collect();
    assert_eq!(rounds.len() as u64, ROUNDS, "{}", outcome.stderr);
    rounds
}

/// What happened in every round.
fn events(outcome: &Outcome) -> &str {
    let rounds = rounds(outcome);
    assert!(rounds.iter().all(|round| *round == rounds[0]), "{rounds:#?}");
    rounds[0]
}

/// Every attempt is a connection or a failed connect; each attempt and each connection has a time; both ends count the
/// same bytes; no connection is left open. Of the attempts, this many became connections; there were this many errors.
fn books_balance(outcome: &Outcome, server: &Server, connections: u64, errors: u64) {
    outcome.expect_code(0).expect_value("iterations", "count", ROUNDS as f64);
    counts(outcome, connections, errors);
    assert!(server.all_closed(BOUND), "a connection is still open");
    assert_eq!(server.accepted(), ROUNDS, "each attempt reached the peer");
    let written: f64 = outcome.log_lines("socket: ").iter().map(|line| bytes(line, "out")).sum();
    if outcome.value("tcp_tls_handshaking", "count").is_none() {
        outcome.expect_value("data_sent", "count", written);
        let read = outcome.log_lines("socket: ").iter().map(|line| bytes(line, "in")).sum();
        outcome.expect_value("data_received", "count", read);
        assert_eq!(server.bytes() as f64, written, "what was written has arrived");
    }
}

/// As [`books_balance`], as far as it is the program's own business.
fn counts(outcome: &Outcome, connections: u64, errors: u64) {
    outcome.expect_value("tcp_sockets", "count", connections as f64);
    outcome.expect_value("tcp_errors", "count", errors as f64);
    let failed = rounds(outcome).iter().filter(|round| round.contains("caught connect")).count() as u64;
    assert_eq!(connections + failed, ROUNDS, "attempts");
    outcome.expect_value("tcp_socket_connecting", "count", ROUNDS as f64);
    outcome.expect_value("tcp_socket_duration", "count", connections as f64);
    let states = format!("socket: {}, ", if failed == 0 { "destroyed" } else { "disconnected" });
    let expected = if failed == 0 { connections } else { failed };
    assert_eq!(outcome.log_lines(&states).len() as u64, expected, "{}", outcome.stderr);
}

/// The number before the word in `socket: destroyed, 5 out, 12 in, …`.
fn bytes(line: &str, word: &str) -> f64 {
    let part = line.split(", ").find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{word} in {line:?}"))
}

#[test]
fn echo() {
    let server = Server::start(Behaviour::Echo);
    let outcome = observe(&server).env("SAY", "hello").env("ENOUGH", 5).run();
    outcome.expect_text("socket: destroyed, 5 out, 5 in, hello");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    books_balance(&outcome, &server, ROUNDS, 0);
    outcome.expect_value("tcp_writes", "count", ROUNDS as f64).expect_value(
        "tcp_reads",
        "count",
        ROUNDS as f64,
    );
}

#[test]
fn half_close_by_the_peer() {
    let server = Server::start(Behaviour::HalfClose { reply: "that was all" });
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_text("socket: destroyed, 5 out, 12 in, that was all");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    books_balance(&outcome, &server, ROUNDS, 0);
}

#[test]
fn closed_at_accept() {
    let server = Server::start(Behaviour::Slam);
    let outcome = observe(&server).run();
    outcome.expect_text("socket: destroyed, 0 out, 0 in");
    assert_eq!(events(&outcome), "connect, connected, close");
    books_balance(&outcome, &server, ROUNDS, 0);
}

#[test]
fn reset_at_accept() {
    let server = Server::start(Behaviour::ResetAtAccept);
    let outcome = observe(&server).run();
    // The kernel may report it on the connect or on the first read: whichever looks first.
    let connected = rounds(&outcome).into_iter().filter(|round| match *round {
        "connect, connected, error read ECONNRESET, close" => true,
        "error connect ECONNRESET, caught connect ECONNRESET true" => false,
        other => panic!("{other}"),
    });
    books_balance(&outcome, &server, connected.count() as u64, ROUNDS);
}

#[test]
fn reset_after_the_first_byte() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_text("socket: destroyed, 5 out, 0 in");
    assert_eq!(events(&outcome), "connect, connected, written, error read ECONNRESET, close");
    books_balance(&outcome, &server, ROUNDS, ROUNDS);
}

#[test]
fn data_before_a_reset_is_delivered() {
    let server = Server::start(Behaviour::ResetAfterReply { reply: "last words" });
    let outcome = observe(&server).env("SAY", "hello").run();
    outcome.expect_text("10 in, last words");
    assert_eq!(events(&outcome), "connect, connected, written, data, error read ECONNRESET, close");
    books_balance(&outcome, &server, ROUNDS, ROUNDS);
}

#[test]
fn nobody_listens() {
    let server = Server::start(Behaviour::Sink);
    let (host, port) = (server.host(), server.port());
    drop(server);
    let outcome = observer().env("TCP_HOST", host).env("TCP_PORT", port).run();
    outcome.expect_code(0).expect_text("socket: disconnected, 0 out, 0 in");
    assert_eq!(events(&outcome), "error connect ECONNREFUSED, caught connect ECONNREFUSED true");
    counts(&outcome, 0, ROUNDS);
}

#[test]
fn reset_in_the_tls_handshake() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let outcome = observe(&server).env("TLS", 1).run();
    outcome.expect_text("socket: disconnected, 0 out, 0 in");
    assert_eq!(events(&outcome), "error connect ECONNRESET, caught connect ECONNRESET true");
    tls_books_balance(&outcome, &server, 0, ROUNDS);
    outcome.expect_value("data_sent", "count", server.bytes() as f64);
}

#[test]
fn cut_in_the_tls_handshake() {
    let server = Server::start(Behaviour::HalfClose { reply: "" });
    let outcome = observe(&server).env("TLS", 1).run();
    outcome.expect_text("socket: disconnected, 0 out, 0 in");
    let code = "ERR_TLS_HANDSHAKE_CUT";
    assert_eq!(events(&outcome), format!("error connect {code}, caught connect {code} true"));
    tls_books_balance(&outcome, &server, 0, ROUNDS);
}

#[test]
fn garbage_instead_of_tls() {
    let server = Server::start(Behaviour::Garbage);
    let outcome = observe(&server).env("TLS", 1).run();
    outcome.expect_text("socket: disconnected, 0 out, 0 in");
    assert_eq!(events(&outcome), "error connect ERR_TLS_NOT_TLS, caught connect ERR_TLS_NOT_TLS true");
    tls_books_balance(&outcome, &server, 0, ROUNDS);
    // What a handshake that fails has moved over the wire counts too.
    outcome.expect_value("data_sent", "count", server.bytes() as f64);
    let garbage = "this is no TLS, and never will be\r\n".len() as u64;
    outcome.expect_value("data_received", "count", (ROUNDS * garbage) as f64);
}

/// As [`books_balance`], with a time for each handshake, failed ones included.
fn tls_books_balance(outcome: &Outcome, server: &Server, connections: u64, errors: u64) {
    outcome.expect_value("tcp_tls_handshaking", "count", ROUNDS as f64);
    books_balance(outcome, server, connections, errors);
}

fn observe_tls(server: &Server) -> Program {
    let authority = Certificate::authority_pem();
    observe(server).env("TLS", 1).file("ca.pem", authority).env("SSL_CERT_FILE", "ca.pem")
}

#[test]
fn tls_with_a_trusted_certificate() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let outcome = observe_tls(&server).env("SAY", "hello").env("ENOUGH", 5).run();
    outcome.expect_text("5 out, 5 in, hello");
    assert_eq!(events(&outcome), "connect, connected, written, data, close");
    tls_books_balance(&outcome, &server, ROUNDS, 0);
    assert_eq!(server.bytes(), 5 * ROUNDS);
    for wire in ["data_sent", "data_received"] {
        assert!(outcome.measured(wire, "count") > 100.0 * ROUNDS as f64, "the bytes of TLS count");
    }
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
        assert_eq!(events(&outcome), format!("error connect {code}, caught connect {code} true"));
        tls_books_balance(&outcome, &server, 0, ROUNDS);
        assert_eq!(server.bytes(), 0, "nothing is said to somebody who is not trusted");

        let server = Server::start_tls(Behaviour::Echo, certificate);
        let trusting = observe(&server).env("TLS", 1).env("SAY", "hello").env("ENOUGH", 5);
        let outcome = trusting.env("K6_INSECURE_SKIP_TLS_VERIFY", "true").run();
        assert_eq!(events(&outcome), "connect, connected, written, data, close", "{certificate:?}");
        tls_books_balance(&outcome, &server, ROUNDS, 0);
    }
}

/// The server says whose certificates it accepts; of several, the first that is for it and suits is shown.
#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let server = Server::start_mutual_tls(Behaviour::Echo);
    let (cert, key) = Certificate::client_pem();
    let (strange_cert, strange_key) = Certificate::stranger_pem();
    let run = |entries: &str| {
        let script = format!(
            r#"
import {{ Socket }} from "k6/x/tcp"
const own = {{ cert: open("own.pem"), key: open("own.key") }}
const strange = {{ cert: open("strange.pem"), key: open("strange.key") }}
export const options = {{ tlsAuth: {entries} }}
export default async function () {{
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("data", (data) => {{ console.log("echoed", data.length); socket.destroy() }})
  socket.on("error", (error) => console.log("failed", error.method))
  try {{
    await socket.connect({{ port: __ENV.TCP_PORT, host: "localhost", tls: true }})
    await socket.write("hello")
    await closed
  }} catch (error) {{ console.log("caught", error.code) }}
}}
"#
        );
        let program = Program::script(BINARY, &script).file("ca.pem", Certificate::authority_pem());
        let authority = program.folder().join("ca.pem").display().to_string();
        let program = program.file("own.pem", &cert).file("own.key", &key);
        let program = program.file("strange.pem", &strange_cert).file("strange.key", &strange_key);
        program.env("SSL_CERT_FILE", authority).env("TCP_PORT", server.port()).run()
    };
    for shown in [
        "[own]",
        "[strange, own]",
        "[{ ...own, domains: ['other.test'] }, { ...own, domains: ['localhost', '*.test'] }]",
    ] {
        run(shown).expect_code(0).expect_text("echoed 5").expect_value("tcp_errors", "count", 0.0);
    }
    let accepted = server.bytes();
    for not_shown in ["[]", "[strange]", "[{ ...own, domains: ['other.test'] }]"] {
        let outcome = run(not_shown);
        outcome.expect_code(0);
        assert!(outcome.measured("tcp_errors", "count") >= 1.0, "{}", outcome.stderr);
    }
    assert_eq!(server.bytes(), accepted, "nothing is heard of somebody who shows nothing");
}

/// A server of TLS 1.3 judges the client's certificate when the client is through with its handshake already.
#[test]
fn a_server_that_ends_tls_says_why() {
    let server = Server::start_mutual_tls(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { tlsVersion: __ENV.TLS_VERSION }
export default async function () {
  const socket = new Socket()
  const log = []
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  for (const name of ["connect", "data"]) socket.on(name, () => log.push(name))
  socket.on("error", (error) => log.push(`${error.method}, ${error.code}: ${error.message}`))
  await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: true }).then(() => closed, () => {})
  console.log("events:", log.join("; "))
}
"#;
    for (version, events) in [
        ("tls1.3", "connect; read, ERR_TLS_ALERT: remote error: tls: certificate required; close"),
        ("tls1.2", "connect, ERR_TLS_ALERT: TLS handshake failed: remote error: tls: certificate required"),
    ] {
        let program = Program::script(BINARY, script).target(&server).env("TLS_VERSION", version);
        let program = program.args(["--insecure-skip-tls-verify", "--summary-trend-stats", "count"]);
        let outcome = program.within(BOUND).run();
        outcome.expect_code(0).expect_text(&format!("events: {events}"));
        outcome.expect_value("tcp_errors", "count", 1.0).expect_value("tcp_tls_handshaking", "count", 1.0);
    }
    assert!(server.all_closed(BOUND));
}

#[test]
fn closed_between_chunks() {
    let chunks = Behaviour::Chunks { chunks: &["one ", "two ", "thr"], gap: Duration::from_millis(5) };
    let server = Server::start(chunks);
    let outcome = observe(&server).run();
    assert_eq!(outcome.log_lines("11 in, one two thr").len() as u64, ROUNDS, "{}", outcome.stderr);
    assert_eq!(events(&outcome), "connect, connected, data, close");
    books_balance(&outcome, &server, ROUNDS, 0);
}

/// What was written before `destroy()` is the kernel's to deliver, however long the peer takes to read it.
#[test]
fn a_reader_of_one_byte_a_second_gets_them_all() {
    let server = Server::start(Behaviour::SlowReader { pause: Duration::from_secs(1) });
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const log = []
  for (const name of ["connect", "error", "close"]) socket.on(name, () => log.push(name))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const writes = ["a", "b", "c"].map((letter) => socket.write(letter).then(() => log.push(letter)))
  socket.destroy()
  await Promise.all(writes)
  setTimeout(() => console.log("events:", log.join(" "), socket.bytes_written), 1)
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("events: connect a b c close 3");
    outcome.expect_value("tcp_sockets", "count", 1.0).expect_value("tcp_errors", "count", 0.0);
    outcome.expect_value("data_sent", "count", 3.0).expect_value("tcp_writes", "count", 3.0);
    assert!(server.all_closed(BOUND));
    assert_eq!(server.received(), [b"abc".to_vec()]);
}

/// A connection that is closed with unread data is reset by the kernel, which then drops what it has not sent yet.
#[test]
fn what_was_written_arrives_though_something_is_unread() {
    let server =
        Server::start(Behaviour::ReadsLate { greeting: "welcome", pause: Duration::from_millis(300) });
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  sleep(0.1) // meanwhile the greeting has come, and nobody reads it
  await socket.write(new Uint8Array(1 << 20))
  socket.destroy()
  await closed
  console.log("read", socket.bytes_read, "written", socket.bytes_written)
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text(" written 1048576");
    assert!(server.all_closed(BOUND));
    assert_eq!(server.bytes(), 1 << 20);
}

/// The same of what the peer sends once the socket is destroyed: its end says so at once, the connection lasts until the
/// peer has everything.
#[test]
fn what_was_written_arrives_though_the_peer_speaks_afterwards() {
    let behaviour = Behaviour::SpeaksLate { words: "250 OK", pause: Duration::from_millis(200) };
    let plain = Server::start(behaviour.clone());
    let tls = Server::start_tls(behaviour, Certificate::Valid);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: 3 }
export default async function () {
  for (const [port, tls] of [[__ENV.TCP_PORT, false], [__ENV.TLS_PORT, true]]) {
    const socket = new Socket()
    const closed = new Promise((resolve) => socket.on("close", resolve))
    await socket.connect({ port, host: "127.0.0.1", tls })
    await socket.write(new Uint8Array(300_000))
    socket.destroy()
    await closed
    console.log("closed", socket.ready_state, socket.bytes_written)
  }
}
"#;
    let program = Program::script(BINARY, script).target(&plain).env("TLS_PORT", tls.port());
    let program = program.args(["--insecure-skip-tls-verify", "--summary-trend-stats", "count"]);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_text("closed destroyed 300000").expect_value("tcp_errors", "count", 0.0);
    outcome.expect_value("tcp_socket_duration", "count", 6.0);
    assert!(plain.all_closed(BOUND) && tls.all_closed(BOUND));
    assert_eq!((plain.bytes(), tls.bytes()), (900_000, 900_000));
}

/// However many peers do not close, connections to them are given up.
#[test]
fn few_connections_wait_for_their_peers_and_not_for_long() {
    let server = Server::start(Behaviour::NeverReads);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: 200 }
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("hello")
  socket.destroy()
}
"#;
    let program = Program::script(BINARY, script).target(&server).open_files(OPEN_FILES);
    let outcome = program.args(["--summary-trend-stats", "count"]).within(BOUND).run();
    outcome.expect_code(0).expect_value("tcp_errors", "count", 0.0);
    outcome.expect_value("tcp_sockets", "count", 200.0).expect_value("tcp_socket_duration", "count", 200.0);
}

/// Writes that are not awaited and then `destroy()`: TLS does as plain TCP does.
#[test]
fn a_last_word_over_tls_arrives() {
    let server = Server::start_tls(Behaviour::Sink, Certificate::Valid);
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const log = []
  for (const name of ["connect", "error", "close"]) socket.on(name, () => log.push(name))
  await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: true })
  const writes = ["QUIT", "\r\n"].map((text) => socket.write(text).then(() => log.push("written")))
  socket.destroy()
  await Promise.all(writes)
  setTimeout(() => console.log("events:", log.join(" "), socket.bytes_written), 1)
}
"#;
    let program = Program::script(BINARY, script).target(&server).arg("--insecure-skip-tls-verify");
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_text("events: connect written written close 6");
    assert!(server.all_closed(BOUND));
    assert_eq!(server.received(), [b"QUIT\r\n".to_vec()]);
}

/// A large write over TLS, more than the kernel and TLS hold, with others behind it: whole and in order.
#[test]
fn large_writes_over_tls_arrive_in_order() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let script = r#"
import { Socket } from "k6/x/tcp"
const SIZE = 20e6 + 3
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let [back, wrong] = [0, 0]
  socket.on("data", (data) => {
    for (const at of [0, data.length - 1]) if (data[at] !== (back + at) % 251) wrong++
    back += data.length
    if (back === SIZE) socket.destroy()
  })
  await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: true })
  const bytes = new Uint8Array(SIZE).map((_, at) => at % 251)
  for (const [from, to] of [[0, 5], [5, 10e6], [10e6, 10e6 + 1], [10e6 + 1, SIZE]]) socket.write(bytes.subarray(from, to))
  bytes.fill(255)
  await closed
  console.log("back", back, "wrong", wrong, "written", socket.bytes_written)
}
"#;
    let program = Program::script(BINARY, script).target(&server).arg("--insecure-skip-tls-verify");
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0).expect_text("back 20000003 wrong 0 written 20000003");
    outcome.expect_value("tcp_errors", "count", 0.0).expect_value("tcp_writes", "count", 4.0);
}

/// A write that fails at once, one that fails half way and one that never began: each failure has the tags of its write.
#[test]
fn failed_writes_have_their_tags() {
    let server = Server::start(Behaviour::NeverReads);
    let script = r#"
import { Socket } from "k6/x/tcp"
const count = (n) => [`count==${n}`]
export const options = {
  thresholds: {
    "tcp_writes{op:large}": count(1), "tcp_partial_writes{op:large}": count(1), "tcp_errors{op:large}": count(1),
    "tcp_writes{op:small}": count(1), "tcp_partial_writes{op:small}": count(0), "tcp_errors{op:small}": count(1),
    "tcp_writes{op:wrong}": count(0), "tcp_partial_writes{op:wrong}": count(0), "tcp_errors{op:wrong}": count(1),
    "tcp_errors{service:tagged}": count(3),
  },
}
export default async function () {
  const socket = new Socket({ tags: { service: "tagged" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const write = (data, op) => socket.write(data, { tags: { op } }).catch((error) => console.log(op, error.code))
  const writes = [write(new Uint8Array(16 << 20), "large"), write("behind it", "small"), write(5, "wrong")]
  setTimeout(() => socket.destroy(), 20)
  await Promise.all(writes)
  await closed
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("large EPIPE").expect_text("small EPIPE");
    outcome.expect_text("wrong ERR_INVALID_ARG_TYPE");
}

/// Methods are handed on as functions of their socket; a subclass or a script may put its own in their place.
#[test]
fn methods_know_their_socket() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
class Framed extends Socket { write(text) { return super.write(`<${text}>`) } }
async function talk(socket, say) {
  const { connect, on, write, destroy, setTimeout: silence } = socket
  let heard = ""
  on("data", (data) => { heard += String.fromCharCode(...data) })
  on("error", undefined)
  on("timeout", null)
  const closed = new Promise((resolve) => on("close", resolve))
  await connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  silence(60_000)
  await say(socket, write)
  while (heard.length < 5) await new Promise((resolve) => setTimeout(resolve, 1))
  setTimeout(destroy, 1)
  await closed
  return heard
}
export default async function () {
  console.log("plain:", await talk(new Socket(), async (_, write) => { ["a", "b", "c", "d"].forEach((c) => write(c)); await write("e") }))
  console.log("framed:", await talk(new Framed(), async (socket) => { await socket.write("abc") }))
  const own = new Socket()
  own.write = () => "own"
  const { write } = own
  console.log("own:", own.write(), write(), Object.keys(own).join())
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("plain: abcde").expect_text("framed: <abc>");
    outcome.expect_text("own: own own write").expect_value("tcp_errors", "count", 0.0);
}

/// Getters among the arguments are script: what they do to the socket counts.
#[test]
fn a_connect_within_a_connect() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const target = { port: __ENV.TCP_PORT, host: __ENV.TCP_HOST }
  const once = new Socket()
  let inner
  const outer = once.connect({ ...target, get tls() { inner = once.connect(target); return false } })
  console.log("twice:", await outer.catch((error) => error.code), await inner)
  once.destroy()
  const gone = new Socket()
  let closes = 0
  gone.on("close", () => closes++)
  const late = gone.connect({ ...target, get tls() { gone.destroy(); return false } })
  console.log("gone:", await late.catch((error) => error.code), gone.ready_state)
  await new Promise((resolve) => setTimeout(resolve, 20))
  console.log("closes:", closes)
  const view = new DataView(new ArrayBuffer(8))
  view.buffer.transfer()
  console.log("detached:", await once.write(view).catch((error) => error.code))
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome
        .expect_code(0)
        .expect_text("twice: EALREADY null")
        .expect_text("gone: ERR_SOCKET_CLOSED destroyed");
    outcome.expect_text("closes: 1").expect_text("detached: ERR_INVALID_ARG_TYPE").expect_value(
        "tcp_sockets",
        "count",
        1.0,
    );
    assert!(server.all_closed(BOUND));
}

/// Failures before there is a connection have the tags of their call, and `proto`.
#[test]
fn early_failures_have_their_tags() {
    let script = r#"
import { Socket } from "k6/x/tcp"
const once = ["count==1"]
export const options = { thresholds: { "tcp_errors{op:port,proto:TCP}": once, "tcp_errors{op:write,proto:TCP}": once } }
export default async function () {
  const socket = new Socket()
  await socket.connect({ port: true, tags: { op: "port" } }).catch((error) => console.log(error.code))
  await socket.write("x", { tags: { op: "write" } }).catch((error) => console.log(error.code))
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0).expect_text("ERR_INVALID_ARG_TYPE").expect_text("ENOTCONN");
}

/// What scripts hand over, in the forms they do, and the words for what is none of them.
#[test]
fn arguments_in_all_their_forms() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
const PORT = Number(__ENV.TCP_PORT)
const told = (label, promise) =>
  promise.then((value) => console.log(`${label}: ${value}`), (error) => console.log(`${label}: ${error.code}, ${error.message}`))
export default async function () {
  for (const port of [` ${PORT} `, `0x${PORT.toString(16)}`, `${PORT}.0`]) {
    const socket = new Socket()
    await told("port", socket.connect(port, "127.0.0.1").then(() => socket.remote_port === PORT))
    socket.destroy()
  }
  for (const host of ["0.0.0.0", "::ffff:127.0.0.1"]) {
    const socket = new Socket()
    await told(host, socket.connect(PORT, host).then(() => socket.remote_ip))
    socket.destroy()
  }
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(PORT, __ENV.TCP_HOST)
  const texts = [
    ["base64", "aGl="], ["base64", "aG\r\nk="], ["base64", "a"], ["base64", "YWI"], ["base64", "aG\n!k"], ["base64", "YQ==YQ=="],
    ["base64url", "-_8"], ["base64url", "-_8="], ["hex", "4A4b"], ["hex", "4'"], ["hex", "4\n"], ["hex", "abc"],
  ]
  for (const [encoding, text] of texts) {
    await told(`${encoding} ${JSON.stringify(text)}`, socket.write(text, { encoding }))
  }
  socket.destroy()
  await closed
  const error = await new Socket().connect(0, "127.0.0.1").catch((error) => error)
  console.log("error:", JSON.stringify(error))
  try { Socket.prototype.destroy.call({}) } catch (error) { console.log(`other: ${error.name}, ${error.message}`) }
  console.log("text:", error.error() === String(error))
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("port: true").len(), 3, "{}", outcome.stderr);
    for line in [
        "0.0.0.0: 127.0.0.1",
        "::ffff:127.0.0.1: 127.0.0.1",
        r#"base64 "aGl=": undefined"#,
        r#"base64 "aG\r\nk=": undefined"#,
        r#"base64 "a": ERR_INVALID_ENCODING, illegal base64 data at input byte 0"#,
        r#"base64 "YWI": ERR_INVALID_ENCODING, illegal base64 data at input byte 0"#,
        r#"base64 "aG\n!k": ERR_INVALID_ENCODING, illegal base64 data at input byte 3"#,
        r#"base64 "YQ==YQ==": ERR_INVALID_ENCODING, illegal base64 data at input byte 4"#,
        r#"base64url "-_8": undefined"#,
        r#"base64url "-_8=": undefined"#,
        r#"hex "4A4b": undefined"#,
        "hex \"4'\": ERR_INVALID_ENCODING, encoding/hex: invalid byte: U+0027 \u{27}\u{27}\u{27}",
        r#"hex "4\n": ERR_INVALID_ENCODING, encoding/hex: invalid byte: U+000A"#,
        r#"hex "abc": ERR_INVALID_ENCODING, encoding/hex: odd length hex string"#,
        r#"error: {"name":"TCPError","method":"connect","message":"dial tcp 127.0.0.1:0: connect: connection refused","code":"ECONNREFUSED"}"#,
        "other: TypeError, called on something that is no Socket",
        "text: true",
    ] {
        assert!(outcome.stderr.lines().any(|told| told == line), "{line}\n{}", outcome.stderr);
    }
    assert!(server.all_closed(BOUND));
    assert_eq!(server.received().last().unwrap(), b"hihi\xfb\xff\xfb\xffJK");
}

/// A block list is about the peer, however its address is written.
#[test]
fn a_blacklisted_address_in_other_clothes() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { blacklistIPs: ["127.0.0.0/8", "::1/128"] }
export default async function () {
  for (const host of ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "::ffff:7f00:1", "::", "[::]", "localhost"]) {
    await new Socket().connect(__ENV.TCP_PORT, host).catch((error) => console.log("refused", error.code))
  }
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 0.0);
    assert_eq!(outcome.log_lines("refused ERR_BLACKLISTED_IP").len(), 7, "{}", outcome.stderr);
    assert_eq!(server.accepted(), 0);
}

/// Against a peer that accepts and never reads, or reads a byte now and then: a write that does not fit waits, others
/// queue behind it, and `destroy()` rejects them all.
#[test]
fn a_peer_that_never_reads() {
    for behaviour in [Behaviour::NeverReads, Behaviour::SlowReader { pause: Duration::from_millis(20) }] {
        let server = Server::start(behaviour);
        let script = r#"
import { Socket } from "k6/x/tcp"
import { Counter } from "k6/metrics"
export const options = { iterations: 20 }
const written = new Counter("written")
export default async function () {
  const socket = new Socket()
  const log = []
  let words = 0
  socket.on("error", (error) => {
    log.push(`${error.method} ${error.code}`)
    words += /after \d+ bytes: write tcp 127.0.0.1:\d+->127.0.0.1:\d+: use of closed network connection$/.test(error.message)
  })
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const writes = [socket.write(new Uint8Array(16 << 20)), socket.write("behind it")]
  const settled = Promise.all(writes.map((write) => write.catch((error) => log.push(`caught ${error.code}`))))
  setTimeout(() => socket.destroy(), 20)
  await closed
  await settled
  written.add(socket.bytes_written)
  console.log("events:", log.join(", "), words, socket.bytes_written > 0 && socket.bytes_written < 16 << 20)
}
"#;
        let program = Program::script(BINARY, script).target(&server).within(BOUND).args(["--workers", "1"]);
        let outcome = program.open_files(OPEN_FILES - 20).run();
        outcome.expect_code(0);
        let events = "events: write EPIPE, write EPIPE, close, caught EPIPE, caught EPIPE 2 true";
        assert_eq!(outcome.log_lines(events).len(), 20, "{}", outcome.stderr);
        outcome.expect_value("tcp_sockets", "count", 20.0).expect_value("tcp_errors", "count", 40.0);
        outcome.expect_value("tcp_writes", "count", 40.0).expect_value("tcp_partial_writes", "count", 20.0);
        outcome.expect_value("data_sent", "count", outcome.measured("written", "count"));
    }
}

#[test]
fn a_handshake_that_is_never_answered() {
    let peer = FullBacklog::start();
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: Number(__ENV.ROUNDS) }
export default async function () {
  const socket = new Socket()
  const log = []
  for (const name of ["connect", "error", "close"]) socket.on(name, () => log.push(name))
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  const connecting = socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  log.push(socket.ready_state, socket.connected, socket.remote_ip)
  setTimeout(() => socket.destroy(), 20)
  await connecting.catch((error) => log.push(error.code))
  await closed
  console.log("events:", log.join(" "), socket.ready_state)
}
"#;
    let port = peer.address().port();
    let program = Program::script(BINARY, script).env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port);
    let program = program
        .env("ROUNDS", ROUNDS)
        .args(["--workers", "1", "--summary-trend-stats", "count,max"])
        .open_files(OPEN_FILES)
        .within(BOUND);
    let outcome = program.run();
    outcome.expect_code(0);
    let events = "events: opening false  error close ERR_SOCKET_CLOSED destroyed";
    assert_eq!(outcome.log_lines(events).len() as u64, ROUNDS, "{}", outcome.stderr);
    // Attempts that came to nothing count, whoever gave them up.
    outcome.expect_value("tcp_sockets", "count", 0.0).expect_value("tcp_errors", "count", ROUNDS as f64);
    // How long each has lasted until then; one of them was not held up by the machine.
    outcome.expect_value("tcp_socket_connecting", "count", ROUNDS as f64);
    assert!(outcome.measured("tcp_socket_connecting", "max") >= 19.0);
}

/// Neither the handshake of TCP nor that of TLS is waited for longer than thirty seconds.
#[test]
fn handshakes_that_are_never_answered_time_out() {
    let (silent, mute) = (FullBacklog::start(), Server::start(Behaviour::Sink));
    let script = r#"
import { Socket } from "k6/x/tcp"
async function attempt(port, tls) {
  const socket = new Socket()
  const log = []
  for (const name of ["connect", "error", "close"]) socket.on(name, () => log.push(name))
  const started = Date.now()
  await socket.connect({ port, host: "127.0.0.1", tls }).catch((error) => log.push(error.code, error.message))
  console.log("events:", log.join(" "), socket.ready_state, Date.now() - started >= 30000)
}
export default async function () {
  await Promise.all([attempt(__ENV.SILENT, false), attempt(__ENV.MUTE, true)])
}
"#;
    let port = silent.address().port();
    let program = Program::script(BINARY, script).env("SILENT", port).env("MUTE", mute.port());
    let outcome = program.args(["--summary-trend-stats", "count,min"]).within(2 * BOUND).run();
    outcome.expect_code(0);
    outcome.expect_text(&format!(
        "events: error ETIMEDOUT dial tcp 127.0.0.1:{port}: i/o timeout disconnected true"
    ));
    outcome.expect_text("events: error ETIMEDOUT TLS handshake failed: i/o timeout disconnected true");
    outcome.expect_value("tcp_sockets", "count", 0.0).expect_value("tcp_errors", "count", 2.0);
    outcome.expect_value("tcp_socket_connecting", "count", 2.0);
    outcome.expect_value("tcp_tls_handshaking", "count", 1.0);
    assert!(outcome.measured("tcp_tls_handshaking", "min") >= 30_000.0);
    assert!(mute.all_closed(BOUND));
    outcome.expect_value("data_sent", "count", mute.bytes() as f64);
}

/// Peers that would hold an iteration for ever: each ends with its scenario, and everything it did is in the books.
#[test]
fn no_peer_outlasts_the_graceful_stop() {
    let script = r#"
import { Socket } from "k6/x/tcp"
const peer = (name) => ({
  executor: "constant-vus", vus: 2, duration: "3s", gracefulStop: "500ms", exec: "meet", env: { PEER: name },
})
export const options = {
  scenarios: {
    silent: peer("SILENT"), mute: peer("MUTE"), sink: peer("SINK"), deaf: peer("DEAF"), slow: peer("SLOW"),
    endless: peer("ENDLESS"), echo: peer("ECHO"),
  },
}
export async function meet() {
  const peer = __ENV.PEER
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("data", (data) => { if (peer === "ECHO") socket.write(data) })
  await socket.connect({ port: __ENV[peer], host: "127.0.0.1", tls: peer === "MUTE" })
  await socket.write(peer === "DEAF" || peer === "SLOW" ? new Uint8Array(16 << 20) : "hello")
  await closed
}
"#;
    let silent = FullBacklog::start();
    let pause = Duration::from_millis(20);
    let servers = [
        ("MUTE", Server::start(Behaviour::Sink)),
        ("SINK", Server::start(Behaviour::Sink)),
        ("DEAF", Server::start(Behaviour::NeverReads)),
        ("SLOW", Server::start(Behaviour::SlowReader { pause })),
        ("ENDLESS", Server::start(Behaviour::Sends { bytes: u64::MAX })),
        ("ECHO", Server::start(Behaviour::Echo)),
    ];
    let mut program = Program::script(BINARY, script).env("SILENT", silent.address().port()).within(BOUND);
    for (name, server) in &servers {
        program = program.env(name, server.port());
    }
    let outcome = program.args(["--summary-trend-stats", "count"]).run();
    outcome.expect_code(0).expect_value("iterations", "count", 0.0).expect_value("tcp_errors", "count", 0.0);
    assert_eq!(
        outcome.stderr,
        "No script iterations fully finished, consider making the test duration longer\n"
    );
    // The peers that answer neither handshake have no connections.
    outcome.expect_value("tcp_sockets", "count", 10.0).expect_value("tcp_socket_duration", "count", 10.0);
    outcome.expect_value("tcp_partial_writes", "count", 4.0);
    for (name, server) in &servers {
        // A peer that never reads does not see the end either.
        assert!(*name == "DEAF" || *name == "SLOW" || server.all_closed(BOUND), "{name}");
        assert_eq!(server.accepted(), 2, "{name}");
    }
}

#[test]
fn a_peer_that_sends_a_gigabyte_without_end() {
    let server = Server::start(Behaviour::Sends { bytes: u64::MAX });
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const log = []
  for (const name of ["connect", "error"]) socket.on(name, () => log.push(name))
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  let bytes = 0
  let wrong = 0
  socket.on("data", (data) => {
    if (data[0] !== bytes % 251) wrong++
    bytes += data.length
    if (bytes >= 1 << 30) socket.destroy()
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("go")
  await closed
  console.log("bytes", bytes, bytes === socket.bytes_read, bytes >= 1 << 30, "wrong", wrong, log.join(" "))
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(2 * BOUND).run();
    outcome.expect_code(0).expect_text("true true wrong 0 connect close");
    let line = outcome.log_lines("bytes ")[0];
    let bytes: f64 = line.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    outcome.expect_value("data_received", "count", bytes).expect_value("data_sent", "count", 2.0);
    outcome.expect_value("tcp_sockets", "count", 1.0).expect_value("tcp_errors", "count", 0.0);
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
  sleep(5)
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

/// Short connections have no use for probes; one that lives has its peer probed when nothing moves.
#[test]
#[cfg(target_os = "linux")]
fn a_connection_that_lives_is_kept_alive() {
    let server = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  console.log("connected")
  sleep(3600)
}
"#;
    let mut running = Program::script(BINARY, script).target(&server).within(BOUND).start();
    running.wait_for("connected");
    assert!(server.comes_to(1, BOUND));
    let from = server.peers()[0].port();
    // The first probe would be due after thirty seconds of silence.
    let started = std::time::Instant::now();
    while !has_keepalive_timer(from) {
        assert!(started.elapsed() < Duration::from_secs(30), "nobody keeps it alive");
        std::thread::sleep(Duration::from_millis(100));
    }
    running.signal(Signal::INT);
    running.finish().expect_code(105);
}

/// Whether the kernel will probe the peer of a connection from this port (proc_net_tcp: the kind of timer, and when it
/// goes off, in hundredths of a second).
#[cfg(target_os = "linux")]
fn has_keepalive_timer(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
    let own = format!(":{port:04X}");
    let row = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let mut timers = row.filter(|row| row.len() > 5 && row[1].ends_with(&own)).map(|row| row[5].to_owned());
    timers.any(|timer| match timer.split_once(':') {
        Some(("02", due)) => u64::from_str_radix(due, 16).is_ok_and(|due| (1..=3000).contains(&due)),
        _ => false,
    })
}

/// However much has come meanwhile, a chunk can be handed to a function byte by byte, as scripts do.
#[test]
fn chunks_can_be_spread() {
    let server = Server::start(Behaviour::Sends { bytes: 4 << 20 });
    let script = r#"
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const bytes = []
  let text = ""
  socket.on("data", (data) => {
    text += String.fromCharCode(...data)
    bytes.push(...data)
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("go")
  sleep(0.2) // what comes meanwhile waits in the kernel
  await closed
  console.log("text", text.length, "bytes", bytes.length, "last", bytes.at(-1), text.charCodeAt(text.length - 1))
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    let last = ((4 << 20) - 1) % 251;
    outcome.expect_code(0).expect_text(&format!("text 4194304 bytes 4194304 last {last} {last}"));
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
    // The run lasts for as long as this holds its connection.
    let gate = Server::start(Behaviour::Sink);
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = {
  scenarios: {
    throws: { executor: "per-vu-iterations", vus: 2, iterations: 10, exec: "throws" },
    rejects: { executor: "per-vu-iterations", vus: 2, iterations: 10, exec: "rejects" },
    cut: { executor: "per-vu-iterations", vus: 2, iterations: 1, maxDuration: "1s", gracefulStop: "0s", exec: "cut" },
    gate: { executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "gate" },
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
  console.log("to be cut")
}
export async function gate() {
  await new Socket().connect(__ENV.GATE, __ENV.TCP_HOST)
}
"#;
    let program = Program::script(BINARY, script).target(&server).env("GATE", gate.port());
    let mut running = program.args(["--summary-trend-stats", "count"]).within(BOUND).start();
    running.wait_for("to be cut");
    let opened = 20 + 40 + 4;
    let deadline = std::time::Instant::now() + BOUND;
    while server.accepted() < opened && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.all_closed(BOUND / 2), "{} connections are open", server.open());
    assert!(running.descriptors().is_some(), "the run goes on");
    drop(gate);
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("tcp_sockets", "count", opened as f64 + 1.0);
    outcome.expect_value("tcp_socket_duration", "count", opened as f64 + 1.0);
    assert_eq!((server.accepted(), server.bytes()), (opened, opened));
}

/// More than any buffer of the kernel holds, changed as soon as `write` has returned, and while it is on its way.
#[test]
fn a_write_of_a_hundred_megabytes() {
    let server = Server::start(Behaviour::Echo);
    let script = r#"
import { Socket } from "k6/x/tcp"
const SIZE = 100e6
export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const bytes = new Uint8Array(SIZE).fill(1)
  let [back, changed] = [0, false]
  socket.on("data", (data) => {
    back += data.length
    changed ||= data.includes(2)
    bytes[back - 1] = 2
    if (back === SIZE) socket.destroy()
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  const written = socket.write(bytes)
  bytes.fill(2)
  await written
  await closed
  console.log("back", back, "changed", changed, "written", socket.bytes_written)
}
"#;
    let outcome = Program::script(BINARY, script).target(&server).within(BOUND).run();
    outcome.expect_code(0).expect_text("back 100000000 changed false written 100000000");
    assert_eq!(server.bytes(), 100_000_000);
}
