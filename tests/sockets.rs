//! `senary/tcp`: how sockets connect, how they end, TLS, and what is measured of them; from scripts against real servers.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;
use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server, serve};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const PATIENCE: Duration = Duration::from_secs(10);

/// A script whose iteration is `body`. `to` is where the server is.
fn program(port: u16, body: &str) -> Program {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
const to = {{ host: "127.0.0.1", port: __ENV.PORT }}
function thrown(call) {{ try {{ call(); return "nothing" }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} }}
async function caught(promise) {{ try {{ return await promise }} catch (e) {{ return `${{e.name}} ${{e.method}} ${{e.code}}` }} }}
async function connected(options, more) {{
  const socket = new Socket(options)
  await socket.connect({{ ...to, ...more }})
  return socket
}}
export default async function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script)
        .env("PORT", port)
        .args(["--console-output", "log.txt", "--summary-trend-stats", "count,min,max"])
        .within(Duration::from_secs(30))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

fn logged(server: &Server, body: &str) -> Vec<String> {
    lines(&program(server.port(), body).run())
}

#[test]
fn a_unix_socket_is_connected_to_by_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut got = [0; 5];
        stream.read_exact(&mut got).expect("a message");
        stream.write_all(&got).expect("an answer");
    });
    let body = r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  await socket.connect({ path: __ENV.SOCKET })
  console.log(await socket.request("four"), String(socket.remote_ip))
  socket.destroy()
  console.log(await caught(new Socket().connect({ path: __ENV.SOCKET + "-none" })))"#;
    let outcome = program(1, body).env("SOCKET", path.display()).run();
    server.join().expect("the server");
    let lines = lines(&outcome);
    assert_eq!(lines, ["four undefined", "TCPError connect ENOENT"]);
}

#[test]
fn a_connect_says_where_from_and_for_whom() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const options = { framing: "lines", encoding: "utf8" }
  const from = await connected(options, { localAddress: "127.0.0.3", family: 4 })
  console.log(from.local_ip)
  const header = { version: 1, source: "192.0.2.1:4000", destination: "192.0.2.2:80" }
  const proxied = await connected(options, { proxyProtocol: header })
  console.log(await proxied.read())
  const own = await connected(options, { proxyProtocol: 1 })
  console.log(await own.read() === `PROXY TCP4 127.0.0.1 127.0.0.1 ${own.local_port} ${__ENV.PORT}`)
  console.log(await caught(new Socket().connect({ ...to, family: 6 })))
  for (const socket of [from, proxied, own]) socket.destroy()"#,
    );
    assert_eq!(
        lines,
        ["127.0.0.3", "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80", "true", "TCPError connect EAFNOSUPPORT",]
    );
    assert_eq!(server.peers()[0].ip().to_string(), "127.0.0.3");
}

#[test]
fn options_that_cannot_be_meant_are_type_errors() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = new Socket()
  console.log(thrown(() => socket.connect({ ...to, timout: 5 })))
  console.log(thrown(() => socket.connect({ ...to, path: "/run/s" })))
  console.log(thrown(() => socket.connect({ ...to, family: 5 })))
  console.log(thrown(() => socket.connect({ ...to, localAddress: "here" })))
  console.log(thrown(() => socket.connect({ ...to, proxyProtocol: 3 })))
  console.log(thrown(() => socket.connect({ ...to, tls: { serverName: "a" } })))
  console.log(thrown(() => socket.connect({ ...to, tls: { minVersion: "1.2" } })))
  console.log(thrown(() => socket.connect({ ...to, tls: { cert: "PEM" } })))
  console.log(thrown(() => new Socket({ receiveBuffer: 0 })))"#,
    );
    let expected = [
        "connect() has no field \"timout\": did you mean \"timeout\"?",
        "connect() takes path or port, not both: path is a Unix socket",
        "family is 4 or 6, not 5",
        "localAddress is an IP address such as \"127.0.0.2\", not \"here\"",
        "proxyProtocol is 1, 2, or { version, source, destination } with a version of 1 or 2; the version given is 3",
        "tls has no field \"serverName\": did you mean \"servername\"?",
        "tls: minVersion is \"tls1.2\" or \"tls1.3\", not \"1.2\"",
        "tls: a client certificate needs both cert and key",
        "receiveBuffer is a number of bytes from 1 to 2147483647, not 0",
    ];
    assert_eq!(lines, expected.map(|text| format!("TypeError: {text}")));
}

#[test]
fn a_connect_may_take_so_long_and_no_longer() {
    let server = Server::start(Behaviour::Sink);
    let lines = logged(
        &server,
        r#"
  const begun = Date.now()
  console.log(await caught(new Socket().connect({ ...to, tls: true, timeout: "200ms" })))
  const took = Date.now() - begun
  console.log(took >= 200 && took < 10_000)"#,
    );
    assert_eq!(lines, ["TCPError connect ETIMEDOUT", "true"]);
}

#[test]
fn the_send_buffer_is_as_small_as_it_is_asked_for() {
    let server = Server::start(Behaviour::NeverReads);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ sendBuffer: 8192 })
  const written = caught(socket.write(new Uint8Array(1_000_000)))
  console.log(socket.writable_length > 900_000)
  socket.destroy()
  console.log(await written)"#,
    );
    assert_eq!(lines, ["true", "TCPError write EPIPE"]);
}

/// In how many segments ten small writes arrive, while the peer acknowledges late.
#[cfg(target_os = "linux")]
fn segments_of_ten_writes(no_delay: &str) -> u32 {
    let (tell, told) = std::sync::mpsc::channel();
    let (port, server) = serve(move |mut stream| {
        senary_testkit::acknowledge_late(&stream);
        stream.write_all(b"go").expect("the script is there");
        stream.read_exact(&mut [0; 10]).expect("ten bytes");
        tell.send(senary_testkit::data_segments(&stream)).expect("a listener");
    });
    let body = r#"
  const socket = await connected({ noDelay: NO_DELAY })
  await socket.read(2)
  for (const digit of "0123456789") socket.write(digit)
  await socket.closed"#;
    program(port, &body.replace("NO_DELAY", no_delay)).run().expect_code(0);
    server.join().expect("the server");
    told.recv().expect("a number of segments")
}

#[test]
#[cfg(target_os = "linux")]
fn small_writes_wait_for_each_other_where_that_is_asked_for() {
    for (no_delay, together) in [("undefined", false), ("true", false), ("false", true)] {
        let segments = segments_of_ten_writes(no_delay);
        assert_eq!(segments < 8, together, "noDelay {no_delay}: {segments} segments");
    }
}

#[test]
fn our_side_ends_and_the_peer_goes_on() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ encoding: "utf8" })
  const end = socket.once("end")
  await socket.end("bye")
  console.log(socket.ready_state, await caught(socket.write("more")))
  console.log(await socket.read(3), await socket.read())
  await end
  await socket.closed
  console.log(socket.ready_state, await caught(socket.end()))
  const unread = await connected({})
  await unread.end("nobody reads the answer")
  await unread.closed
  console.log(unread.bytes_read)"#,
    );
    assert_eq!(lines, ["open TCPError write EPIPE", "bye null", "destroyed TCPError end ENOTCONN", "23"]);
}

#[test]
fn our_side_stays_open_where_that_is_asked_for() {
    let server = Server::start(Behaviour::HalfClose { reply: "that is all" });
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ encoding: "utf8", allowHalfOpen: true })
  await socket.write("first")
  console.log(await socket.read(11), await socket.read(), socket.ready_state)
  await socket.write(" and more")
  await socket.end(" to the end")
  await socket.closed
  const usual = await connected({ encoding: "utf8" })
  await usual.write("x")
  console.log(await usual.read(11), await usual.read(), await usual.closed, usual.ready_state)"#,
    );
    assert_eq!(lines, ["that is all null open", "that is all null undefined destroyed"]);
    assert_eq!(server.received()[0], b"first and more to the end");
}

#[test]
fn a_reset_reaches_the_peer() {
    let (port, server) = serve(|mut stream| {
        stream.read_exact(&mut [0]).expect("a byte");
        let error = stream.read(&mut [0]).expect_err("a reset, and not the end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
    let body = r#"
  const socket = await connected({})
  await socket.write("x")
  socket.reset()
  await socket.closed
  console.log(socket.ready_state)"#;
    assert_eq!(lines(&program(port, body).run()), ["destroyed"]);
    server.join().expect("the server was reset");
}

/// Answers a line in plain text, then hands the connection to a server that speaks TLS.
fn starts_tls(server: &Server) -> (u16, JoinHandle<()>) {
    let address = server.address();
    serve(move |mut client| {
        let mut line = [0; 9];
        client.read_exact(&mut line).expect("a line");
        assert_eq!(&line, b"STARTTLS\n");
        client.write_all(b"go ahead\n").expect("an answer");
        let mut behind = TcpStream::connect(address).expect("the server behind");
        let (mut from, mut to) =
            (client.try_clone().expect("a handle"), behind.try_clone().expect("a handle"));
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut behind, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Write);
        up.join().expect("the other direction");
    })
}

#[test]
fn an_open_connection_is_encrypted() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let (port, proxy) = starts_tls(&server);
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(String(socket.tls), await socket.request("STARTTLS"))
  const secured = socket.startTls({ ca: open("ca.pem"), servername: "localhost" })
  // Written before the handshake is through, and sent behind it.
  const early = socket.request("early")
  await secured
  console.log(await early, await socket.request("secret"))
  const { version, resumed, peer } = socket.tls
  console.log(version, resumed, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/.test(peer.fingerprint256))
  console.log(await caught(socket.startTls()))
  socket.destroy()"#
        .replace("open(\"ca.pem\")", "__ENV.CA");
    let outcome = program(port, &body).env("CA", Certificate::authority_pem()).run();
    assert_eq!(
        lines(&outcome),
        ["undefined go ahead", "early secret", "tls1.3 false true", "TCPError startTls ERR_TLS_ALREADY"]
    );
    outcome.expect_value("tcp_tls_handshaking", "count", 1.0);
    proxy.join().expect("the proxy");
    assert_eq!(server.received()[0], b"early\nsecret\n");
}

#[test]
fn a_handshake_that_fails_ends_the_connection() {
    let server = Server::start(Behaviour::Garbage);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({})
  console.log(await caught(socket.startTls()))
  await socket.closed
  console.log(socket.ready_state)"#,
    );
    assert!(lines[0].starts_with("TCPError startTls "), "{lines:?}");
    assert_eq!(lines[1], "destroyed");
}

#[test]
fn sessions_are_resumed_where_that_is_asked_for() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let body = r#"
  for (const resume of [false, false, true, true]) {
    const tls = { insecureSkipVerify: true, alpn: [], resume }
    const socket = await connected({ encoding: "utf8" }, { tls })
    await socket.write("x")
    await socket.read(1)
    console.log(socket.tls.resumed)
    socket.destroy()
    await socket.closed
  }"#;
    let outcome = program(server.port(), body).run();
    assert_eq!(lines(&outcome), ["false", "false", "false", "true"]);
    assert_eq!(server.resumed(), 1);
}

#[test]
fn a_slow_client_reads_and_writes_no_faster_than_it_may() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({})
  socket.throttle({ write: 20_000 })
  let begun = Date.now()
  await socket.write(new Uint8Array(10_000))
  console.log("written", Date.now() - begun >= 400)
  socket.throttle({ read: 20_000, write: 0 })
  begun = Date.now()
  await socket.read(10_000)
  console.log("read", Date.now() - begun >= 400)
  socket.throttle({ read: 0 })
  await socket.write(new Uint8Array(1_000_000))
  await socket.read(1_000_000)
  console.log(thrown(() => socket.throttle({ reads: 1 })))
  socket.destroy()"#,
    );
    assert_eq!(
        lines,
        ["written true", "read true", "TypeError: throttle() has no field \"reads\": did you mean \"read\"?"]
    );
}

#[test]
fn tcp_says_what_it_has_measured() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = new Socket({ framing: "u32", tcpInfo: "20ms" })
  console.log(String(socket.tcpInfo()))
  await socket.connect(to.port, to.host)
  await socket.request("x")
  const { rtt, rttVariance, minRtt, retransmits, unacked, congestionWindow, deliveryRate } = socket.tcpInfo()
  console.log(rtt > 0, rttVariance > 0, minRtt > 0, retransmits >= 0, unacked >= 0, congestionWindow > 0, deliveryRate >= 0)
  await new Promise((resolve) => setTimeout(resolve, 200))
  socket.destroy()
  const end = await connected({ tcpInfo: true }, {})
  end.destroy()
  const never = await connected({ tcpInfo: false }, {})
  never.destroy()
  console.log(thrown(() => new Socket({ tcpInfo: 0 })))"#;
    let outcome = program(server.port(), body).run();
    assert_eq!(
        lines(&outcome),
        [
            "undefined",
            "true true true true true true true",
            "TypeError: tcpInfo is true, or a time of more than 0"
        ]
    );
    for metric in ["tcp_rtt", "tcp_rtt_variance", "tcp_min_rtt", "tcp_congestion_window"] {
        assert!(outcome.measured(metric, "max") > 0.0, "{metric}");
    }
    assert!(outcome.measured("tcp_delivery_rate", "max") >= 0.0);
    assert!(outcome.value("tcp_retransmits", "count").is_some(), "counted, if only as 0");
}

#[test]
fn a_time_in_a_message_gives_its_latency() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const message = (ms, bytes) => {
    const view = new DataView(new ArrayBuffer(8))
    view.setBigUint64(0, BigInt(ms))
    return new Uint8Array(view.buffer, 8 - bytes)
  }
  for (const bytes of [8, 4]) {
    const latency = { offset: 0, bytes, unit: "ms" }
    const socket = await connected({ framing: "u16", latency })
    await socket.request(message(Date.now() - 5_000, bytes))
    await socket.request("!")
    if (bytes === 8) await socket.request(message(Date.now() + 60_000, bytes))
    socket.destroy()
  }
  console.log(thrown(() => new Socket({ latency: { offset: 0, bytes: 8 } })))"#;
    let outcome = program(server.port(), body).run();
    assert_eq!(lines(&outcome), ["TypeError: latency.unit is \"ms\", \"us\" or \"ns\""]);
    outcome.expect_text("The time in a message is later than its arrival");
    let [least, most] = ["min", "max"].map(|key| outcome.measured("tcp_message_latency", key));
    assert!(least >= 5_000.0 && most < 15_000.0, "{least} to {most}");
}

/// Five iterations of one VU with a socket that outlives them.
fn one_socket(server: &Server, body: &str) -> Outcome {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
let socket
async function open() {{
  socket = new Socket({{ scope: "vu", framing: "lines", encoding: "utf8" }})
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
}}
export default async function () {{
  if (__ITER === 0) await open()
{body}
}}"#
    );
    Program::script(BINARY, &script)
        .target(server)
        .args(["--iterations", "5", "--console-output", "log.txt", "--summary-trend-stats", "count,min,max"])
        .within(Duration::from_secs(30))
        .run()
}

#[test]
fn a_socket_of_the_vu_outlives_iterations_and_their_failures() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  if (__ITER === 2) {
    socket.request("nobody waits for it")
    throw new Error("this iteration fails")
  }
  console.log(__ITER, socket.ready_state, await socket.request(`${__ITER}`))
  if (__ITER === 3) console.log("late", await socket.read())
  // Held by what is asked for, and not by the socket.
  if (__ITER === 4) socket.read().then((line) => console.log("read", line))
  if (__ITER === 4) await socket.send("last")"#;
    let outcome = one_socket(&server, body);
    let expected = ["0 open 0", "1 open 1", "3 open 3", "late nobody waits for it", "4 open 4", "read last"];
    assert_eq!(lines(&outcome), expected);
    assert_eq!(server.accepted(), 1);
    assert!(server.all_closed(PATIENCE), "closed when the VU ends");
    outcome.expect_value("iterations", "count", 5.0);
    outcome.expect_value("tcp_sockets", "count", 1.0);
    outcome.expect_value("tcp_socket_duration", "count", 1.0);
    // The late reply, and what came without a request.
    outcome.expect_value("tcp_unmatched_messages", "count", 2.0);
    outcome.expect_value("data_received", "count", server.bytes() as f64);
}

#[test]
fn a_socket_of_the_vu_is_not_read_between_iterations() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  if (__ITER === 0) socket.on("message", (line) => console.log(__ITER, "heard", line))
  if (__ITER < 2) return socket.send(`sent in ${__ITER}`)
  if (__ITER === 2) await new Promise((resolve) => setTimeout(resolve, 300))
  if (__ITER === 3) socket.destroy()
  if (__ITER === 4) console.log(socket.ready_state)"#;
    let outcome = one_socket(&server, body);
    let lines = lines(&outcome);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].ends_with("heard sent in 0") && lines[1].ends_with("heard sent in 1"), "{lines:?}");
    assert_eq!(lines[2], "destroyed");
    outcome.expect_value("tcp_socket_duration", "count", 1.0);
}

#[test]
fn a_peer_that_hangs_up_on_a_socket_of_the_vu_is_noticed_when_it_is_used() {
    let server = Server::start(Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 2 });
    let body = r#"
  if (__ITER > 0 && socket.ready_state !== "open") await open()
  try {
    console.log(__ITER, await socket.request("x", { timeout: 5000 }))
  } catch (e) {
    console.log(__ITER, e.code)
    await socket.closed
  }"#;
    let outcome = one_socket(&server, body);
    let lines = lines(&outcome);
    assert_eq!(lines.iter().filter(|line| line.ends_with(" x")).count(), 3, "{lines:?}");
    assert_eq!(server.accepted(), 3);
    assert!(server.all_closed(PATIENCE));
    outcome.expect_value("tcp_socket_duration", "count", 3.0);
}

/// The name on the certificate is the host's, or the one that is given for it.
#[test]
fn the_certificate_is_checked_against_the_name() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let other = Server::start_tls(Behaviour::Echo, Certificate::WrongName);
    let body = r#"
  const { CA: ca, OTHER: port } = __ENV
  const greet = async (more) => {
    const socket = await connected({ framing: "lines", encoding: "utf8" }, more)
    const reply = await socket.request("hello")
    socket.destroy()
    return reply
  }
  console.log(await greet({ host: "localhost", tls: { ca } }))
  console.log(await caught(greet({ host: "localhost", tls: true })))
  console.log(await caught(greet({ host: "localhost", port, tls: { ca } })))
  console.log(await greet({ host: "localhost", port, tls: { ca, servername: "somebody.else.test" } }))
  console.log(await greet({ host: "localhost", port, tls: { insecureSkipVerify: true } }))"#;
    let run = |skip: &str| {
        let program = program(server.port(), body).env("CA", Certificate::authority_pem());
        program.env("OTHER", other.port()).env("K6_INSECURE_SKIP_TLS_VERIFY", skip).run()
    };
    let [unknown, named] =
        ["UNKNOWN_AUTHORITY", "ALTNAME_INVALID"].map(|code| format!("TCPError connect ERR_TLS_CERT_{code}"));
    assert_eq!(lines(&run("false")), ["hello", &unknown, &named, "hello", "hello"]);
    assert_eq!(lines(&run("true")), ["hello"; 5]);
    // What the socket says holds in place of what the options of the test say.
    let insisting = r#"console.log(await caught(connected({}, { tls: { insecureSkipVerify: false } })))"#;
    let outcome = program(server.port(), insisting).env("K6_INSECURE_SKIP_TLS_VERIFY", "true").run();
    assert_eq!(lines(&outcome), [unknown]);
}

#[test]
fn protocols_and_versions_of_tls_are_the_sockets_own() {
    let server = Server::start_tls_for(Behaviour::Echo, &["two", "three"]);
    let body = r#"
  const of = async (tls) => {
    const socket = await connected({}, { tls: { insecureSkipVerify: true, ...tls } })
    const { version, alpn } = socket.tls
    socket.destroy()
    return `${version} ${alpn}`
  }
  console.log(await of({}), await of({ alpn: [] }))
  console.log(await of({ alpn: ["one", "two"] }), await of({ alpn: ["three", "two"] }))
  console.log(await caught(of({ alpn: ["one"] })))
  console.log(await of({ minVersion: "tls1.3" }), await of({ maxVersion: "tls1.2" }), await of({ minVersion: "tls1.2", maxVersion: "tls1.3" }))
  console.log(thrown(() => new Socket().connect({ ...to, tls: { minVersion: "tls1.3", maxVersion: "tls1.2" } })))
  console.log(thrown(() => new Socket().connect({ ...to, tls: { alpn: ["h2", ""] } })))
  console.log(thrown(() => new Socket().connect({ ...to, tls: { password: "alone" } })))
  console.log(thrown(() => new Socket().connect({ ...to, tls: { ca: 5 } })))"#;
    let run = |version: &str| program(server.port(), body).env("K6_TLS_VERSION", version).run();
    let expected = [
        "tls1.3 undefined tls1.3 undefined",
        "tls1.3 two tls1.3 two",
        "TCPError connect ERR_TLS_ALERT",
        "tls1.3 undefined tls1.2 undefined tls1.3 undefined",
        "TypeError: tls: minVersion is above maxVersion: no version is left",
        "TypeError: tls: the name of an ALPN protocol has 1 to 255 bytes, not 0",
        "TypeError: tls: password opens the key of a client certificate: give cert and key, too",
        "TypeError: tls: ca is a text, not a number",
    ];
    assert_eq!(lines(&run("")), expected);
}

/// The key of a socket's client certificate may be protected.
#[test]
fn the_key_of_a_socket_is_opened_by_its_password() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let body = r#"
  const { KEY: key, CERT: cert } = __ENV
  const greet = async (password) => {
    const socket = await connected({ framing: "lines", encoding: "utf8" }, { tls: { key, cert, password, insecureSkipVerify: true } })
    const reply = await socket.request("opened")
    socket.destroy()
    return reply
  }
  console.log(await greet("s3cret"))
  const refused = async (password) => { try { return await greet(password) } catch (e) { return e.message } }
  console.log(await refused("guess"))
  console.log(await refused(undefined))"#;
    let outcome = program(server.port(), body)
        .env("KEY", include_str!("../crates/senary-net/src/tls/keys/aes256.pem"))
        .env("CERT", include_str!("../crates/senary-net/src/tls/keys/certificate.pem"))
        .run();
    let lines = lines(&outcome);
    assert_eq!(lines[0], "opened");
    assert!(lines[1].contains("the password is not that of the key"), "{lines:?}");
    assert!(lines[2].contains("the key is encrypted"), "{lines:?}");
}

/// Where from, under which tags, and with what the documented forms have.
#[test]
fn the_forms_of_connect_and_their_defaults() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const { port } = to
  const targets = [[port], [Number(port), "localhost"], [port, null], [{ port }], [{ port: Number(port), host: "" }],
    [{ ...to, timeout: "1m", family: 4, tls: false, tags: { of: "connect" } }]]
  for (const target of targets) {
    const socket = new Socket({ framing: "lines", encoding: "utf8", tags: { of: "socket" } })
    console.log(await socket.connect(...target), await socket.request("hello"), socket.local_ip)
    socket.destroy()
  }
  const own = new Socket()
  await own.connect({ ...to, localAddress: "127.0.0.7" })
  console.log(own.local_ip)
  own.destroy()
  console.log(await caught(new Socket().connect({ ...to, localAddress: "::1" })), await caught(new Socket().connect({})))
  console.log(await caught(new Socket().connect({ ...to, localAddress: "192.0.2.1" })))"#;
    let options = ["--local-ips", "127.0.0.5", "--tag", "all=one"];
    let outcome = program(server.port(), body).args(options).run();
    let mut expected = vec!["null hello 127.0.0.5"; 6];
    expected.extend([
        "127.0.0.7",
        "TCPError connect EAFNOSUPPORT TCPError connect ERR_INVALID_ARG_TYPE",
        "TCPError connect EADDRNOTAVAIL",
    ]);
    assert_eq!(lines(&outcome), expected);
}

/// Over a Unix socket there is nothing to ask TCP, and the certificate needs a name.
#[test]
fn a_unix_socket_may_be_encrypted_and_announced() {
    let behind = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("a socket");
    let address = behind.address();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a connection");
        let mut header = [0; 15];
        client.read_exact(&mut header).expect("a header");
        assert_eq!(&header, b"PROXY UNKNOWN\r\n");
        let mut behind = TcpStream::connect(address).expect("the server behind");
        let (mut from, mut to) =
            (client.try_clone().expect("a handle"), behind.try_clone().expect("a handle"));
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut behind, &mut client);
        up.join().expect("the other direction");
    });
    let body = r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  await socket.connect({ path: __ENV.SOCKET, proxyProtocol: 1, tls: { ca: __ENV.CA, servername: "localhost" } })
  console.log(await socket.request("secret"), String(socket.tcpInfo()), socket.tls.version)
  socket.destroy()"#;
    let outcome =
        program(1, body).env("SOCKET", path.display()).env("CA", Certificate::authority_pem()).run();
    assert_eq!(lines(&outcome), ["secret undefined tls1.3"]);
    server.join().expect("the server");
}
