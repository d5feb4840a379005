//! `senary/tcp`: how requests are counted, which messages answer them, how many there may be, and what is sent for a text.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;
use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server, serve};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const PATIENCE: Duration = Duration::from_secs(10);

/// A script whose iteration is `body`, with options. `to` is where the server is.
fn program(port: u16, options: &str, body: &str) -> Program {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
export const options = {options}
const to = {{ host: "127.0.0.1", port: __ENV.PORT }}
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
        .args(["--console-output", "log.txt", "--log-format", "raw"])
        .args(["--summary-trend-stats", "count,min,max,med,p(99)"])
        .within(Duration::from_secs(60))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

/// Requests, those that failed, and those that did not.
fn counts(outcome: &Outcome) -> [f64; 3] {
    [("tcp_reqs", "count"), ("tcp_req_failed", "passes"), ("tcp_req_failed", "fails")]
        .map(|(metric, key)| outcome.value(metric, key).unwrap_or_default())
}

#[test]
fn a_request_that_cannot_be_sent_is_a_request() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(await socket.request("a"))
  socket.destroy()
  console.log(await caught(socket.request("b")))"#;
    let outcome = program(server.port(), "{}", body).run();
    assert_eq!(lines(&outcome), ["a", "TCPError request ENOTCONN"]);
    assert_eq!(counts(&outcome), [2.0, 1.0, 1.0]);
}

/// The peer takes nothing: most of the requests wait until their time is over.
#[test]
fn a_request_that_waits_too_long_to_be_sent_is_counted_once() {
    let server = Server::start(Behaviour::NeverReads);
    let body = r#"
  const socket = await connected({ framing: "u32", sendBuffer: 4096 })
  const big = new Uint8Array(1 << 20)
  const all = Array.from({ length: 8 }, () => caught(socket.request(big, { timeout: 100 })))
  console.log([...new Set(await Promise.all(all))].join())
  socket.destroy()"#;
    let outcome = program(server.port(), "{}", body).run();
    assert_eq!(lines(&outcome), ["TCPError request ETIMEDOUT"]);
    assert_eq!(counts(&outcome), [8.0, 8.0, 0.0]);
}

#[test]
fn requests_of_an_iteration_that_fails_have_failed() {
    let server = Server::start(Behaviour::Sink);
    let body = r#"
  const socket = await connected({ framing: "lines", scope: __ENV.SCOPE })
  for (let i = 0; i < 3; i++) socket.request(`${i}`)
  throw new Error("enough")"#;
    for scope in ["iteration", "vu"] {
        let options = r#"{ thresholds: { "tcp_req_failed{error_code:ERR_ABORTED}": ["rate==1"] } }"#;
        let outcome = program(server.port(), options, body).env("SCOPE", scope).run();
        outcome.expect_code(0).expect_text("enough");
        assert_eq!(counts(&outcome), [3.0, 3.0, 0.0], "{scope}");
        outcome.expect_value("tcp_req_failed{error_code:ERR_ABORTED}", "passes", 3.0);
    }
}

#[test]
fn requests_of_a_pump_that_is_cut_off_have_failed() {
    let server = Server::start(Behaviour::Sink);
    let body = r#"
  const socket = await connected({ framing: "lines" })
  socket.pump({ message: "m", window: 5, duration: 30000 }).then(() => console.log("never"))
  await new Promise((resolve) => setTimeout(resolve, 200))
  throw new Error("enough")"#;
    let outcome = program(server.port(), "{}", body).run();
    outcome.expect_code(0).expect_text("enough");
    assert_eq!(counts(&outcome), [5.0, 5.0, 0.0]);
}

/// A server that answers STARTTLS and, in the same segment, a request that has not been made yet.
#[test]
fn what_came_in_plain_text_answers_no_encrypted_request() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let address = server.address();
    let (port, proxy) = serve(move |mut client| {
        let mut line = [0; 9];
        client.read_exact(&mut line).expect("a line");
        client.write_all(b"go ahead\nforged\nhalf").expect("an answer");
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
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(await socket.request("STARTTLS"))
  await socket.startTls({ insecureSkipVerify: true })
  console.log(await socket.request("secret"))
  console.log(await socket.read(), await socket.read())
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    assert_eq!(lines(&outcome), ["go ahead", "secret", "forged half"]);
    proxy.join().expect("the proxy");
    assert_eq!(counts(&outcome), [2.0, 0.0, 2.0]);
}

#[test]
fn encrypting_may_take_so_long_and_no_longer() {
    let server = Server::start(Behaviour::Sink);
    let body = r#"
  const socket = await connected({})
  const begun = Date.now()
  console.log(await caught(socket.startTls({ timeout: "300ms" })), Date.now() - begun >= 300, Date.now() - begun < 10000)
  await socket.closed
  console.log(socket.ready_state)"#;
    let outcome = program(server.port(), "{}", body).run();
    assert_eq!(lines(&outcome), ["TCPError startTls ETIMEDOUT true true", "destroyed"]);
}

#[test]
fn a_text_goes_out_in_the_encoding_of_its_socket() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const latin1 = await connected({ framing: "u32", encoding: "latin1" })
  const text = "caf\u00e9 \u00ff\u0000"
  console.log((await latin1.request(text)) === text)
  console.log((await latin1.request("\u00e9\u00e9", { until: { equals: "\u00e9\u00e9" } })).length)
  console.log(await caught(latin1.send("\u20ac")))
  latin1.destroy()
  const utf8 = await connected({ framing: "u32" })
  console.log((await utf8.request("\u00e9")).join())
  utf8.destroy()"#;
    let outcome = program(server.port(), "{}", body).run();
    assert_eq!(lines(&outcome), ["true", "1", "TCPError write ERR_INVALID_ARG_VALUE", "195,169"]);
    let received: Vec<u8> = server.received().concat();
    assert_eq!(&received[..11], b"\0\0\0\x07caf\xe9 \xff\0");
}

/// A connection whose requests have keys begins with a log-in that has none.
#[test]
fn a_request_without_a_key_is_answered_in_order() {
    let (port, server) = serve(|stream| {
        let mut out = stream.try_clone().expect("a handle");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("login me"));
        out.write_all(b"welcome\n").expect("an answer");
        let (first, second) = (lines.next().expect("one"), lines.next().expect("another"));
        assert_eq!(lines.next().as_deref(), Some("status"));
        write!(out, "{second}\nfine\n{first}\n").expect("answers");
        assert_eq!(lines.next(), None);
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", correlate: { pattern: /^id=(\d+)/ } })
  console.log(await socket.request("login me", { inOrder: true }))
  const all = [socket.request("id=1 a"), socket.request("id=2 b"), socket.request("status", { inOrder: true })]
  console.log((await Promise.all(all)).join())
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    assert_eq!(lines(&outcome), ["welcome", "id=1 a,id=2 b,fine"]);
    server.join().expect("the server");
    outcome.expect_value("tcp_unmatched_messages", "count", 0.0);
}

#[test]
fn wrong_data_is_an_error_of_the_method_that_was_called() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = await connected({ framing: "lines" })
  console.log(await caught(socket.request([1])))
  console.log(await caught(socket.send([1])))
  socket.destroy()"#;
    let outcome = program(server.port(), "{}", body).run();
    let expected = ["TCPError request ERR_INVALID_ARG_TYPE", "TCPError write ERR_INVALID_ARG_TYPE"];
    assert_eq!(lines(&outcome), expected);
    outcome
        .expect_text("request() takes a string, an ArrayBuffer, a typed array or a DataView, not an array");
    outcome.expect_text("send() takes a string");
}

/// 100 connections with 1,000 requests each, all of them under way at once, answered in the reverse order.
#[test]
fn a_hundred_thousand_requests_under_way_find_their_replies() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let server = std::thread::spawn(move || {
        let serving: Vec<_> = (0..100)
            .map(|_| {
                let (mut stream, _) = listener.accept().expect("a connection");
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(50))).expect("a time limit");
                    let mut frames = vec![0_u8; 16 * 1000];
                    stream.read_exact(&mut frames).expect("all requests");
                    let reversed: Vec<u8> = frames.chunks_exact(16).rev().flatten().copied().collect();
                    stream.write_all(&reversed).expect("all replies");
                    let _ = stream.read(&mut [0; 1]);
                })
            })
            .collect();
        serving.into_iter().for_each(|one| one.join().expect("a connection's end"));
    });
    let body = r#"
  const sockets = await Promise.all(Array.from({ length: 10 }, () =>
    connected({ framing: { fixed: 16 }, correlate: { offset: 0, bytes: 4, auto: true } })))
  let wrong = 0
  await Promise.all(sockets.flatMap((socket, s) => Array.from({ length: 1000 }, async (_, i) => {
    const message = new Uint8Array(16)
    new DataView(message.buffer).setUint32(8, s * 1000 + i)
    const reply = await socket.request(message)
    if (new DataView(reply.buffer).getUint32(8) !== s * 1000 + i) wrong++
  })))
  if (wrong) console.log(wrong, "mixed up")
  for (const socket of sockets) socket.destroy()"#;
    let outcome = program(port, "{ vus: 10, iterations: 10 }", body).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "");
    assert_eq!(counts(&outcome), [100_000.0, 0.0, 100_000.0]);
    server.join().expect("the server");
}

/// A server on a Unix socket that sends lines back, until its one client goes.
fn unix_echo(path: &std::path::Path) -> JoinHandle<u64> {
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut back = stream.try_clone().expect("a handle");
        std::io::copy(&mut stream, &mut back).expect("an end in good order")
    })
}

#[test]
fn a_pump_runs_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("echo.sock");
    let server = unix_echo(&path);
    let body = r#"
  const socket = new Socket({ framing: "lines" })
  await socket.connect({ path: __ENV.SOCKET })
  const { sent, received, failed } = await socket.pump({ message: "a line", window: 8, count: 1000, expect: { equals: "a line" } })
  console.log(sent, received, failed)
  socket.destroy()"#;
    let outcome = program(1, "{}", body).env("SOCKET", path.display()).run();
    assert_eq!(lines(&outcome), ["1000 1000 0"]);
    assert_eq!(server.join().expect("the server"), 7000);
    assert_eq!(counts(&outcome), [1000.0, 0.0, 1000.0]);
}

#[test]
fn each_iteration_pumps_on_the_connection_of_its_vu() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  if (!globalThis.socket) globalThis.socket = await connected({ scope: "vu", framing: "lines" })
  const { received } = await socket.pump({ message: "m", window: 4, count: 100 })
  console.log(received)"#;
    let outcome = program(server.port(), "{ vus: 2, iterations: 6 }", body).run();
    assert_eq!(lines(&outcome), ["100"; 6]);
    assert_eq!(counts(&outcome), [600.0, 0.0, 600.0]);
    assert!(server.accepted() <= 2, "{}", server.accepted());
    outcome.expect_value("tcp_sockets", "count", server.accepted() as f64);
}

/// The script that docs/protocols.md shows for it.
#[test]
fn a_script_logs_in_and_pumps() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let script = page.split("```javascript\n").nth(1).and_then(|rest| rest.split("```").next());
    let (port, server) = serve(|stream| {
        let mut out = stream.try_clone().expect("a handle");
        let mut commands = BufReader::new(stream).lines().map_while(Result::ok);
        assert_eq!(commands.next().as_deref(), Some("AUTH secret"));
        out.write_all(b"+OK\r\n").expect("an answer");
        for command in commands {
            assert_eq!(command, "PING");
            out.write_all(b"+PONG\r\n").expect("an answer");
        }
    });
    let outcome = Program::script(BINARY, script.expect("a script"))
        .env("TCP_PORT", port)
        .env("TCP_HOST", "127.0.0.1")
        .env("REDIS_PASSWORD", "secret")
        .args(["--iterations", "3"])
        .within(Duration::from_secs(30))
        .run();
    outcome.expect_code(0);
    assert_eq!(counts(&outcome), [3001.0, 0.0, 3001.0]);
    outcome.expect_value("tcp_sockets", "count", 1.0);
    server.join().expect("the server");
}

/// How many bytes a peer can send to a socket that nobody reads.
fn taken_unread(receive_buffer: usize) -> usize {
    let (tell, taken) = std::sync::mpsc::channel();
    let (port, server) = serve(move |mut stream| {
        stream.read_exact(&mut [0; 1]).expect("the script is ready");
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a time limit");
        let mut taken = 0;
        while let Ok(size @ 1..) = stream.write(&[7; 4096]) {
            taken += size;
        }
        tell.send(taken).expect("a listener");
        // Until the script has gone.
        let _ = stream.read(&mut [0; 1]);
    });
    let body = r#"
  const socket = await connected({ receiveBuffer: Number(__ENV.BUFFER) })
  socket.pause()
  await socket.write("r")
  await new Promise((resolve) => setTimeout(resolve, 1500))
  socket.destroy()"#;
    program(port, "{}", body).env("BUFFER", receive_buffer).run().expect_code(0);
    server.join().expect("the server");
    taken.recv().expect("a number of bytes")
}

#[test]
fn the_receive_buffer_is_as_large_as_it_is_asked_for() {
    let (small, large) = (taken_unread(4096), taken_unread(4 << 20));
    assert!(small + (1 << 20) < large, "{small} and {large}");
}

#[test]
fn a_name_of_the_abstract_namespace_is_connected_to() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("senary-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a socket");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut back = stream.try_clone().expect("a handle");
        std::io::copy(&mut stream, &mut back).expect("an end in good order")
    });
    let body = r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  await socket.connect({ path: "@" + __ENV.NAME })
  console.log(await socket.request("hello"))
  socket.destroy()"#;
    let outcome = program(1, "{}", body).env("NAME", name).run();
    assert_eq!(lines(&outcome), ["hello"]);
    assert_eq!(server.join().expect("the server"), 6);
}

#[test]
fn a_header_of_the_binary_proxy_protocol_comes_first() {
    let (port, server) = serve(|mut stream| {
        let mut header = [0; 28];
        stream.read_exact(&mut header).expect("a header");
        let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        expected.extend([192, 0, 2, 1, 198, 51, 100, 2, 0x04, 0xd2, 0, 80]);
        assert_eq!(header, expected[..]);
        let mut line = [0; 6];
        stream.read_exact(&mut line).expect("a line");
        stream.write_all(&line).expect("an answer");
        let _ = stream.read(&mut line);
    });
    let body = r#"
  const proxyProtocol = { version: 2, source: "192.0.2.1:1234", destination: "198.51.100.2:80" }
  const socket = await connected({ framing: "lines", encoding: "utf8" }, { proxyProtocol })
  console.log(await socket.request("hello"))
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    assert_eq!(lines(&outcome), ["hello"]);
    server.join().expect("the server");
}

#[test]
fn a_socket_has_a_client_certificate_of_its_own() {
    let server = Server::start_mutual_tls(Behaviour::Echo);
    let body = r#"
  const { CA: ca, CERT: cert, KEY: key } = __ENV
  const socket = await connected({ framing: "lines", encoding: "utf8" }, { tls: { ca, cert, key, servername: "localhost" } })
  console.log(await socket.request("who am I"), socket.tls.version)
  socket.destroy()
  const without = new Socket({ framing: "lines" })
  const refused = async () => {
    await without.connect({ ...to, tls: { ca, servername: "localhost" } })
    await without.request("nobody", { timeout: "5s" })
  }
  console.log((await caught(refused())).startsWith("TCPError"))
  without.destroy()"#;
    let (certificate, key) = Certificate::client_pem();
    let outcome = program(server.port(), "{}", body)
        .env("CA", Certificate::authority_pem())
        .env("CERT", certificate)
        .env("KEY", key)
        .run();
    assert_eq!(lines(&outcome), ["who am I tls1.3", "true"]);
}

/// A peer that sends something else than frames ends its connection, and nothing besides.
#[test]
fn frames_that_cannot_be_end_their_connection_alone() {
    for (first, framing, code) in [
        (&b"\x80\0\0\0\0\0\0\0"[..], "{ length: { bytes: 8 } }", "ERR_FRAME_TOO_LARGE"),
        (b"no digits:", "\"netstring\"", "ERR_FRAME_INVALID"),
        (b"\0\0\0\x09half", "\"u32\"", "ERR_FRAME_TRUNCATED"),
    ] {
        let (port, server) = serve(move |mut stream| {
            stream.write_all(first).expect("something");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0; 16]);
        });
        let body = format!(
            r#"
  const socket = await connected({{ framing: {framing} }})
  console.log(await caught(socket.read()))
  await socket.closed
  console.log("the run goes on")"#
        );
        let outcome = program(port, "{}", &body).run();
        assert_eq!(lines(&outcome), [&format!("TCPError read {code}"), "the run goes on"]);
        server.join().expect("the server");
    }
}

/// A script that reads slowly is felt by its peer: what waits is not more than the largest message, and what the kernel holds.
#[test]
fn frames_that_come_faster_than_they_are_read_wait_at_the_peer() {
    let (tell, sent) = std::sync::mpsc::channel();
    let (port, server) = serve(move |mut stream| {
        let frame = [&[0, 0, 3, 232][..], &[7; 1000]].concat();
        let mut sent = 0;
        while stream.write_all(&frame).is_ok() {
            sent += frame.len();
        }
        tell.send(sent).expect("a listener");
    });
    let body = r#"
  const socket = await connected({ framing: { length: { bytes: 4 }, max: "64KiB" }, receiveBuffer: 65536 })
  for (let i = 0; i < 100; i++) {
    if ((await socket.read()).length !== 1000) console.log("wrong")
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    assert_eq!(lines(&outcome), [""; 0]);
    server.join().expect("the server");
    let sent = sent.recv().expect("a number of bytes");
    // The kernel's own buffers at both ends are several megabytes at most.
    assert!(sent < 16 << 20, "{sent} bytes");
}

/// Keys stand at different places of request and reply, as in MongoDB and Kafka; the peer answers the wrong way round.
#[test]
fn keys_may_stand_elsewhere_in_the_reply() {
    let places = [
        "{ request: { offset: 4, bytes: 4 }, reply: { offset: 8, bytes: 4, endian: \"big\" } }",
        "{ request: { pattern: /^.{4}(.{4})/s }, reply: { pattern: /^.{8}(.{4})/s } }",
        "{ request: (m) => m.slice(4, 8), reply: (m) => m.slice(8, 12) }",
        "{ offset: 4, bytes: 4, auto: true, reply: { offset: 8, bytes: 4 } }",
        "{ offset: 4, bytes: 4, endian: \"little\", auto: true, reply: { offset: 8, bytes: 4, endian: \"little\" } }",
        "{ offset: 7, bytes: 1, auto: true, reply: { offset: 11, bytes: 1 } }",
        "{ offset: 6, bytes: 2, auto: true, reply: { offset: 10, bytes: 2 } }",
        "{ offset: 0, bytes: 8, auto: true, reply: { offset: 4, bytes: 8 } }",
    ];
    for correlate in places {
        let (port, server) = serve(|mut stream| {
            let mut frames = [0; 16 * 8];
            while stream.read_exact(&mut frames).is_ok() {
                for frame in frames.chunks_exact(16).rev() {
                    // What stood from the beginning on stands four bytes later.
                    let reply = [&[0; 4], &frame[..8], &frame[12..]].concat();
                    stream.write_all(&reply).expect("a reply");
                }
            }
        });
        let body = r#"
  const socket = await connected({ framing: { fixed: 16 }, encoding: "latin1", correlate: CORRELATE })
  for (let round = 0; round < 40; round++) {
    const replies = await Promise.all(Array.from({ length: 8 }, (_, i) => socket.request(`....${String(round * 8 + i).padStart(4, "0")}....${"abcdefgh"[i].repeat(4)}`)))
    if (replies.map((reply) => reply[12]).join("") !== "abcdefgh") console.log(round, replies.join())
  }
  socket.destroy()"#;
        let outcome = program(port, "{}", &body.replace("CORRELATE", correlate)).run();
        assert_eq!(lines(&outcome), [""; 0], "{correlate}");
        assert_eq!(counts(&outcome), [320.0, 0.0, 320.0], "{correlate}");
        server.join().expect("the server");
    }
}

/// What a function gives back is the same key as what a place has or a pattern captures in the other message.
#[test]
fn each_side_may_have_its_key_in_a_way_of_its_own() {
    let ways = [
        ("{ pattern: /id=(\\S+)/ }", "(m) => m.slice(5)"),
        ("(m) => m.slice(5)", "{ pattern: /id=(\\S+)/ }"),
        ("(m) => m.charCodeAt(0)", "{ offset: 0, bytes: 1 }"),
        ("{ offset: 0, bytes: 1 }", "(m) => m.charCodeAt(0)"),
        ("(m) => BigInt(m.charCodeAt(0))", "{ offset: 0, bytes: 1 }"),
    ];
    for (request, reply) in ways {
        for encoding in ["utf8", "latin1"] {
            let (port, server) = serve(|stream| {
                let mut out = stream.try_clone().expect("a handle");
                let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
                while let (Some(one), Some(two)) = (lines.next(), lines.next()) {
                    out.write_all(&[&two[..], b"\n", &one, b"\n"].concat()).expect("two replies");
                }
            });
            let body = format!(
                r#"
  const socket = await connected({{ framing: "lines", encoding: "{encoding}", correlate: {{ request: {request}, reply: {reply} }} }})
  const requests = ["A id=é1", "B id=ü2"].map((text) => caught(socket.request(text, {{ timeout: "5s" }})))
  console.log((await Promise.all(requests)).join())
  socket.destroy()"#
            );
            let outcome = program(port, "{}", &body).run();
            assert_eq!(lines(&outcome), ["A id=é1,B id=ü2"], "{request} and {reply} in {encoding}");
            server.join().expect("the server");
        }
    }
}

/// A peer may answer before it has read all of a request, which is a request like any other.
#[test]
fn a_request_that_is_answered_before_it_is_sent_is_counted() {
    let server =
        Server::start(Behaviour::SpeaksLate { words: "too long\n", pause: Duration::from_millis(200) });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", sendBuffer: 20_000 })
  console.log(await caught(socket.request("x".repeat(20_000_000), { timeout: "20s" })), socket.writable_length > 0)
  socket.destroy()"#;
    let outcome = program(server.port(), "{}", body).run();
    assert_eq!(lines(&outcome), ["too long true"]);
    assert_eq!(counts(&outcome), [1.0, 0.0, 1.0]);
}

/// Times are numbers, or texts as the options of a test have them; no time at all is no time, and `Infinity` has no end.
#[test]
fn times_are_written_as_in_options() {
    let server = Server::start(Behaviour::Sink);
    let body = r#"
  const socket = await connected({ framing: "lines" })
  for (const timeout of [50, "50", "50ms", "0.05s", "0d50ms", 0, "0"])
    console.log(timeout, await caught(socket.request("x", { timeout })), await caught(socket.read({ timeout })))
  const endless = [Infinity, "1d", "1d2h", 1e300, 1e9].map((timeout) => caught(socket.request("x", { timeout })))
  console.log(await Promise.race([...endless, new Promise((resolve) => setTimeout(resolve, 100, "they wait"))]))
  for (const timeout of [-1, "-1s", NaN, "soon", "", true, {}])
    try { socket.request("x", { timeout }) } catch (e) { console.log(e.message) }
  socket.destroy()
  const other = await connected({ tcpInfo: "1d" }, { timeout: Infinity })
  const result = other.pump({ message: "x", reply: "none", rate: 1000, duration: Infinity, timeout: "1d" })
  setTimeout(() => other.destroy(), 100)
  console.log((await result).sent > 0)"#;
    let outcome = program(server.port(), "{}", body).run();
    let timed_out = |timeout: &str| format!("{timeout} TCPError request ETIMEDOUT TCPError read ETIMEDOUT");
    let mut expected: Vec<String> = ["50", "50", "50ms", "0.05s", "0d50ms", "0", "0"].map(timed_out).to_vec();
    expected.push("they wait".to_owned());
    let refused = |given| format!("timeout is a time: milliseconds, or a text such as \"1.5s\", not {given}");
    expected.extend(["-1", "\"-1s\"", "NaN", "\"soon\"", "\"\"", "true", "[object Object]"].map(refused));
    expected.push("true".to_owned());
    assert_eq!(lines(&outcome), expected);
}

/// Numbers begin with 1, go round, are never 0, and none is used twice at a time.
#[test]
fn numbers_of_the_sockets_own_go_round() {
    let server = Server::start(Behaviour::Sink);
    let body = r#"
  const socket = await connected({ framing: { fixed: 1 }, correlate: { offset: 0, bytes: 1, auto: true } })
  const all = Array.from({ length: 255 }, () => caught(socket.request("\0", { timeout: 300 })))
  console.log(await caught(socket.request("\0")))
  console.log([...new Set(await Promise.all(all))].join())
  console.log(await caught(socket.request("\0", { timeout: 1 })), await caught(socket.request("", { timeout: 1 })))
  socket.destroy()"#;
    let outcome = program(server.port(), "{}", body).run();
    let expected = [
        "TCPError request ERR_INVALID_ARG_VALUE",
        "TCPError request ETIMEDOUT",
        "TCPError request ETIMEDOUT TCPError request ERR_INVALID_ARG_VALUE",
    ];
    assert_eq!(lines(&outcome), expected);
    assert!(server.has_received(256, PATIENCE));
    let received = server.received().concat();
    assert_eq!(received[..255], (1..=255).collect::<Vec<u8>>()[..]);
    assert_ne!(received[255], 0, "and from the beginning again");
}

#[test]
fn a_message_that_answers_nothing_is_heard_read_and_counted() {
    let (port, server) = serve(|stream| {
        let mut out = stream.try_clone().expect("a handle");
        out.write_all(b"hello\n").expect("a greeting");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            write!(out, "push 1\n{line}\npush 2\n").expect("an answer");
        }
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", correlate: { pattern: /^id=(\d+)/ } })
  console.log(await socket.read())
  console.log(await socket.request("id=1"), await socket.read(), await socket.read())
  const heard = []
  socket.on("message", (line) => heard.push(line))
  console.log(await socket.request("id=2"), await socket.once("message"), heard.join())
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    assert_eq!(lines(&outcome), ["hello", "id=1 push 1 push 2", "id=2 push 2 push 1,push 2"]);
    server.join().expect("the server");
    // The greeting came before the socket made its first request.
    outcome.expect_value("tcp_unmatched_messages", "count", 4.0);
    outcome.expect_value("tcp_msgs_received", "count", 7.0);
    outcome.expect_value("tcp_msgs_sent", "count", 2.0);
}

/// Several messages answer: so many, or up to one that an offset, a part or a function knows.
#[test]
fn answers_end_where_they_say() {
    let (port, server) = serve(|stream| {
        let mut out = stream.try_clone().expect("a handle");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            write!(out, "1 {line}\n2 {line}\nend {line}\n").expect("an answer");
        }
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  const untils = [{ until: { equals: "end a" } }, { until: { offset: 1, equals: "nd a" } }, { until: { contains: "nd" } },
    { until: (line) => line.startsWith("end") }, { replies: 3 }]
  for (const until of untils) console.log((await socket.request("a", until)).join())
  const all = await Promise.all([socket.request("b", { replies: 3 }), socket.request("c", { until: { contains: "end" } })])
  console.log(all.map((lines) => lines.join()).join(" | "))
  socket.destroy()"#;
    let outcome = program(port, "{}", body).run();
    let mut expected = vec!["1 a,2 a,end a"; 5];
    expected.push("1 b,2 b,end b | 1 c,2 c,end c");
    assert_eq!(lines(&outcome), expected);
    server.join().expect("the server");
    assert_eq!(counts(&outcome), [7.0, 0.0, 7.0]);
    outcome.expect_value("tcp_msgs_received", "count", 21.0);
}

/// `tcp_req_duration` is what held it up and what the peer took, and counts under the request's own name.
#[test]
fn what_holds_a_request_up_is_part_of_its_duration_and_not_of_its_waiting() {
    let server = Server::start(Behaviour::Echo);
    let options = r#"{ thresholds: {
      "tcp_req_duration{name:slow}": ["min>=300"], "tcp_req_blocked{name:slow}": ["min>=300"], "tcp_req_waiting{name:slow}": ["max<200"],
      "tcp_req_blocked{name:fast}": ["max<200"], "tcp_reqs{name:fast}": ["count==3"], "tcp_reqs{name:slow,kind:a}": ["count==1"],
      "tcp_reqs{of:socket}": ["count==4"], "tcp_req_failed{name:slow}": ["rate==0"] } }"#;
    let body = r#"
  const socket = await connected({ framing: "u32", tags: { of: "socket" } })
  for (let i = 0; i < 3; i++) await socket.request("quick", { tags: { name: "fast" } })
  socket.throttle({ write: 10_000 })
  await socket.request(new Uint8Array(4_000), { tags: { name: "slow", kind: "a" } })
  socket.destroy()"#;
    program(server.port(), options, body).run().expect_code(0);
}

/// Each way to fail has its code, in `tcp_req_failed` too.
#[test]
fn failed_requests_say_why() {
    let codes = [
        ("ETIMEDOUT", Behaviour::Sink, "await caught(socket.request(\"x\", { timeout: \"50ms\" }))"),
        (
            "ERR_SOCKET_CLOSED",
            Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 0 },
            "await caught(socket.request(\"x\"))",
        ),
        (
            "ERR_SOCKET_CLOSED",
            Behaviour::Sink,
            "const r = caught(socket.request(\"x\")); socket.destroy(); await r",
        ),
        ("ERR_SOCKET_CLOSED", Behaviour::ResetAfterFirstByte, "await caught(socket.request(\"x\"))"),
        ("ERR_FRAME_TOO_LARGE", Behaviour::Babbles, "await caught(socket.request(\"x\"))"),
        (
            "ERR_UNEXPECTED_REPLY",
            Behaviour::Echo,
            "await socket.pump({ message: \"x\", count: 1, expect: { equals: \"y\" } })",
        ),
        ("ERR_ABORTED", Behaviour::Sink, "socket.request(\"x\"); throw new Error(\"on purpose\")"),
    ];
    for (code, behaviour, call) in codes {
        let server = Server::start(behaviour);
        let threshold = format!("tcp_req_failed{{error_code:{code}}}");
        let options = format!("{{ thresholds: {{ '{threshold}': ['rate==1'] }} }}");
        let body =
            format!("  const socket = await connected({{ framing: \"u32\" }})\n  {call}\n  socket.destroy()");
        let outcome = program(server.port(), &options, &body).run();
        outcome.expect_code(0);
        outcome.expect_value(&threshold, "passes", 1.0);
        assert_eq!(counts(&outcome), [1.0, 1.0, 0.0], "{code}: {call}");
    }
}

/// The time in a message is the peer's or a template's, in any unit and by either clock.
#[test]
fn latency_is_measured_by_either_clock_and_in_any_unit() {
    for (unit, factor) in [("ms", 1_u128), ("us", 1_000), ("ns", 1_000_000)] {
        let (port, server) = serve(move |mut stream| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            let sent = (now.as_millis() - 3_000) * factor;
            let frame = [&[8][..], &(sent as u64).to_le_bytes()].concat();
            stream.write_all(&frame).expect("a message");
            let _ = stream.read(&mut [0; 1]);
        });
        let body = format!(
            r#"
  const socket = await connected({{ framing: "u8", latency: {{ offset: 0, bytes: 8, endian: "little", unit: "{unit}", clock: "wall" }} }})
  await socket.read()
  socket.destroy()"#
        );
        let outcome = program(port, "{}", &body).run();
        outcome.expect_code(0).expect_value("tcp_message_latency", "count", 1.0);
        let latency = outcome.measured("tcp_message_latency", "max");
        assert!((2_999.0..20_000.0).contains(&latency), "{unit}: {latency} ms");
        server.join().expect("the server");
        let echo = Server::start(Behaviour::Echo);
        let body = format!(
            r#"
  const socket = await connected({{ framing: "u8", latency: {{ offset: 2, bytes: 8, unit: "{unit}", clock: "monotonic" }} }})
  await socket.pump({{ message: {{ data: "to______--", patches: [{{ offset: 2, bytes: 8, value: "time" }}] }}, count: 20, window: 2 }})
  socket.destroy()"#
        );
        let outcome = program(echo.port(), "{}", &body).run();
        outcome.expect_code(0).expect_value("tcp_message_latency", "count", 20.0);
        let latency = outcome.measured("tcp_message_latency", "max");
        assert!((0.0..20_000.0).contains(&latency), "{unit}: {latency} ms");
    }
}

/// A connection of the VU that has ended tells so in the iteration after one that failed, too.
#[test]
fn a_socket_of_the_vu_that_is_closed_says_so() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  if (!globalThis.socket) {
    globalThis.socket = await connected({ framing: "lines", encoding: "utf8", scope: "vu" })
    globalThis.closed = socket.closed
    console.log(await socket.request("a"))
    socket.destroy()
    throw new Error("on purpose")
  }
  console.log(await socket.closed, socket.ready_state)"#;
    let outcome = program(server.port(), "{ iterations: 2 }", body).run();
    assert_eq!(lines(&outcome), ["a", "undefined destroyed"]);
}

/// 100 connections, an open loop of 20,000/s over half of them, and a server that stands still for a moment.
#[test]
fn an_open_loop_over_fifty_connections_shows_a_standstill() {
    const STANDSTILL: Duration = Duration::from_millis(200);
    let sent = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let begun = std::time::Instant::now();
        let still = std::sync::Arc::new(std::sync::RwLock::new(()));
        let stopping = still.clone();
        let server = std::thread::spawn(move || {
            let serving: Vec<_> = (0..50)
                .map(|_| {
                    let (mut stream, _) = listener.accept().expect("a connection");
                    let still = still.clone();
                    std::thread::spawn(move || {
                        let mut buffer = [0; 16384];
                        while let Ok(size @ 1..) = stream.read(&mut buffer) {
                            drop(still.read());
                            if stream.write_all(&buffer[..size]).is_err() {
                                break;
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()));
            let stands = stopping.write();
            std::thread::sleep(STANDSTILL);
            drop(stands);
            serving.into_iter().for_each(|one| one.join().expect("a connection's end"));
        });
        let options = r#"{ scenarios: { s: { executor: "per-vu-iterations", vus: 50, iterations: 1 } } }"#;
        let body = r#"
  const socket = await connected({ framing: { fixed: 8 } })
  const { sent, failed } = await socket.pump({ message: "standing", rate: RATE, window: 1, duration: "4s" })
  if (sent !== RATE * 4 || failed) console.log(sent, failed)
  socket.destroy()"#;
        let rate = if cfg!(debug_assertions) { "40" } else { "400" };
        let outcome = program(port, options, &body.replace("RATE", rate)).run();
        server.join().expect("the server");
        assert_eq!(lines(&outcome), [""; 0]);
        outcome
    };
    let (first, second) = (sent(), sent());
    assert_eq!(counts(&first), counts(&second));
    let duration = first.measured("tcp_req_duration", "p(99)");
    assert!(duration > 100.0, "p(99) of tcp_req_duration is {duration} ms");
    let waiting = first.measured("tcp_req_waiting", "med");
    assert!(waiting < 50.0, "the median of tcp_req_waiting is {waiting} ms");
}

/// A hundred peers claim the longest messages and send a part of each, or frames without end that nobody takes: what a peer says costs
/// nothing, and what it sends no more than `max` on each socket.
#[test]
fn hostile_peers_cost_no_more_memory_than_allowed() {
    for (first, forever, framing, first_read) in [
        (&b"\x00\xff\xff\xffpart of it"[..], false, "{ length: { bytes: 4 } }", "TCPError read ETIMEDOUT"),
        (b"\0\0\0\x04four", true, "{ length: { bytes: 4 }, max: \"64KiB\" }", "102,111,117,114"),
        (
            b"no end of it",
            true,
            "{ delimiter: \"\\n\", max: \"64KiB\" }",
            "TCPError read ERR_FRAME_TOO_LARGE",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let server = std::thread::spawn(move || {
            let serving: Vec<_> = (0..100)
                .map(|_| {
                    let (mut stream, _) = listener.accept().expect("a connection");
                    std::thread::spawn(move || {
                        let many = first.repeat(4096);
                        let mut sent = stream.write_all(first);
                        while forever && sent.is_ok() {
                            sent = stream.write_all(&many);
                        }
                        let _ = stream.read(&mut [0; 1]);
                    })
                })
                .collect();
            serving.into_iter().for_each(|one| one.join().expect("a connection's end"));
        });
        let body = r#"
  const sockets = await Promise.all(Array.from({ length: 100 }, () => connected({ framing: FRAMING, receiveBuffer: 65536 })))
  const first = await Promise.all(sockets.map((socket) => caught(socket.read({ timeout: WAIT })).then(String)))
  console.log([...new Set(first)].join())
  const told = new Socket()
  await told.connect({ host: to.host, port: __ENV.TOLD })
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (const socket of [told, ...sockets]) socket.destroy()"#;
        let told = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let told_port = told.local_addr().expect("its address").port();
        let body = body.replace("FRAMING", framing).replace("WAIT", if forever { "20_000" } else { "1_000" });
        let running = program(port, "{}", &body).env("TOLD", told_port).start();
        told.accept().expect("the script has read");
        let peak = running.peak_kib().expect("Linux");
        let outcome = running.finish();
        assert_eq!(lines(&outcome), [first_read]);
        server.join().expect("the server");
        assert!(peak < 250_000, "{framing}: {peak} KiB");
    }
}

/// Of many connections that one process pumps, each has its share.
#[test]
fn hundreds_of_pumps_are_fair() {
    let server = Server::start(Behaviour::Echo);
    let options = r#"{ scenarios: { s: { executor: "per-vu-iterations", vus: 25, iterations: 1 } } }"#;
    let body = r#"
  const sockets = await Promise.all(Array.from({ length: 20 }, () => connected({ framing: { fixed: 16 } })))
  const results = await Promise.all(sockets.map((socket) => socket.pump({ message: "sixteen bytes...", window: 1, duration: "6s" })))
  for (const { received, failed } of results) console.log(received, failed)
  for (const socket of sockets) socket.destroy()"#;
    let outcome = program(server.port(), options, body).run();
    let lines = lines(&outcome);
    let mut received: Vec<u64> = lines
        .iter()
        .map(|line| line.strip_suffix(" 0").expect("none failed").parse().expect("a number"))
        .collect();
    received.sort_unstable();
    assert_eq!(received.len(), 500);
    let (least, median) = (received[0], received[250]);
    assert!(least > 10 && least * 2 >= median, "{least} of {median}");
}
