//! `socket.pump()`: requests without script per message, against real servers; what both ends counted is compared.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// A script whose iterations have `body`, and which logs raw lines.
fn script(body: &str, options: &str) -> Program {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
import exec from "k6/execution"
export const options = {options}
async function caught(f) {{ try {{ return await f() }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} }}
async function connected(options) {{
  const socket = new Socket(options)
  await socket.connect({{ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: !!__ENV.TLS }})
  return socket
}}
function counts(result) {{ return [result.sent, result.received, result.failed].join(" ") }}
export default async function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script).within(Duration::from_secs(30))
}

/// The same, with what it logs in a file of its own.
fn logging(body: &str, options: &str) -> Program {
    script(body, options).args(["--console-output", "log.txt"])
}

fn run(server: &Server, body: &str) -> Outcome {
    logging(body, "{}").target(server).run()
}

/// Runs it, and gives back what it logged.
fn logged(server: &Server, body: &str) -> Vec<String> {
    let outcome = run(server, body);
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

/// Serves one connection on a thread of its own.
fn serve(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    port
}

#[test]
fn both_ends_count_the_same() {
    let server = Server::start(Behaviour::Echo);
    let outcome = run(
        &server,
        r#"
  const socket = await connected({ framing: "u32" })
  const one = await socket.pump({ message: "hello", count: 500, expect: { equals: "hello" } })
  const many = await socket.pump({ message: "hello", count: 5000, window: 16, expect: { contains: "ell" }, tags: { name: "hi" } })
  console.log(counts(one), counts(many), socket.bytes_written, socket.bytes_read)
  const { latency } = many
  console.log(latency.min > 0, latency.min <= latency.med, latency.med <= latency["p(90)"], latency["p(99)"] <= latency.max,
    latency.avg < latency.max, many.duration >= latency.max)
  socket.destroy()"#,
    );
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "500 500 0 5000 5000 0 49500 49500\ntrue true true true true true\n");
    assert_eq!(server.bytes(), 49_500);
    for (metric, key) in [
        ("tcp_reqs", "count"),
        ("tcp_msgs_sent", "count"),
        ("tcp_msgs_received", "count"),
        ("tcp_req_failed", "fails"),
    ] {
        outcome.expect_value(metric, key, 5500.0);
    }
    outcome.expect_value("tcp_req_failed", "passes", 0.0);
    outcome.expect_value("data_sent", "count", 49_500.0);
    // Several messages went out at a time.
    let writes = outcome.measured("tcp_writes", "count");
    assert!((501.0..4000.0).contains(&writes), "{writes} writes");
}

#[test]
fn no_more_are_under_way_than_the_window() {
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = most.clone();
    let port = serve(move |mut stream| {
        let mut buffer = [0; 4096];
        let mut answered = 0;
        while answered < 100 {
            // Whoever sends more than a window has the time to do so.
            thread::sleep(Duration::from_millis(5));
            let size = stream.read(&mut buffer).unwrap();
            seen.fetch_max(size / 4, std::sync::atomic::Ordering::SeqCst);
            stream.write_all(&buffer[..size]).unwrap();
            answered += size / 4;
        }
    });
    let body = r#"
  const socket = await connected({ framing: { fixed: 4 } })
  console.log(counts(await socket.pump({ message: "ping", count: 100, window: 7 })))
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "100 100 0\n");
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 7);
}

#[test]
fn an_open_loop_sends_as_many_each_time() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u16" })
  for (const rate of [1000, "60000/m"]) {
    const result = await socket.pump({ message: "tick", rate, duration: 400 })
    console.log(counts(result), result.duration >= 399 && result.duration < 3000)
  }
  const poisson = await socket.pump({ message: "tick", rate: 2000, arrival: "poisson", duration: "1s" })
  console.log(poisson.sent > 1700 && poisson.sent < 2300, poisson.received - poisson.sent, poisson.failed)
  console.log(counts(await socket.pump({ message: "tick", rate: 5000, count: 77 })))
  socket.destroy()"#,
    );
    assert_eq!(lines, ["400 400 0 true", "400 400 0 true", "true 0 0", "77 77 0"]);
}

/// Latency counts from the time at which a request was due, whatever held it up.
#[test]
fn a_standstill_shows_though_nothing_could_be_sent() {
    const STANDSTILL: Duration = Duration::from_millis(200);
    let port = serve(move |mut stream| {
        let mut buffer = [0; 65536];
        let (begun, mut has_stood) = (Instant::now(), false);
        while let Ok(size @ 1..) = stream.read(&mut buffer) {
            if !has_stood && begun.elapsed() > Duration::from_millis(500) {
                has_stood = true;
                thread::sleep(STANDSTILL);
            }
            stream.write_all(&buffer[..size]).unwrap();
        }
    });
    // One at a time is under way: the others wait for it unsent.
    let body = r#"
  const socket = await connected({ framing: { fixed: 8 } })
  console.log(counts(await socket.pump({ message: "standing", rate: 500, window: 1, duration: "1500ms" })))
  socket.destroy()"#;
    let outcome = logging(body, r#"{ summaryTrendStats: ["med", "p(99)", "max"] }"#)
        .env("TCP_HOST", "127.0.0.1")
        .env("TCP_PORT", port)
        .run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "750 750 0\n");
    let duration = outcome.measured("tcp_req_duration", "p(99)");
    assert!(duration > 150.0, "p(99) of tcp_req_duration is {duration} ms");
    let waiting = outcome.measured("tcp_req_waiting", "p(99)");
    assert!(waiting < 100.0, "p(99) of tcp_req_waiting is {waiting} ms");
    let blocked = outcome.measured("tcp_req_blocked", "p(99)");
    assert!(blocked > 150.0, "p(99) of tcp_req_blocked is {blocked} ms");
}

#[test]
fn templates_and_several_messages_go_out_in_turn() {
    let server = Server::start(Behaviour::Echo);
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "lines" })
  const template = {
    data: "n=### v=#### i=## t=############# r=##",
    patches: [
      { offset: 2, bytes: 3, value: "sequence", as: "decimal" },
      { offset: 8, bytes: 4, value: "vu", as: "hex" },
      { offset: 15, bytes: 2, value: "iteration", as: "decimal" },
      { offset: 20, bytes: 13, value: "time", as: "decimal" },
      { offset: 36, bytes: 2, value: { from: 42, to: 43 }, as: "decimal" },
    ],
  }
  console.log(counts(await socket.pump({ message: ["first", template, new Uint8Array([65, 66])], count: 6, expect: { offset: 1, equals: "" } })))
  socket.destroy()"#,
    );
    assert_eq!(lines, ["6 6 0"]);
    let received = String::from_utf8(server.received().concat()).unwrap();
    let lines: Vec<&str> = received.lines().collect();
    assert_eq!((lines[0], lines[2], lines[3], lines[5]), ("first", "AB", "first", "AB"));
    for (line, sequence) in [(lines[1], "n=001"), (lines[4], "n=004")] {
        let parts: Vec<&str> = line.split(' ').collect();
        assert_eq!(parts[..3], [sequence, "v=0001", "i=00"], "{line}");
        let time: u128 = parts[3][2..].parse().unwrap();
        assert!((before..before + 60_000).contains(&time), "{line}");
        assert!(["r=42", "r=43"].contains(&parts[4]), "{line}");
    }
}

#[test]
fn replies_find_their_requests_by_number() {
    // Answers pairs the wrong way round.
    let port = serve(|mut stream| {
        let mut pair = [0; 16];
        while stream.read_exact(&mut pair).is_ok() {
            let (first, second) = pair.split_at(8);
            stream.write_all(&[second, first].concat()).unwrap();
        }
    });
    let body = r#"
  const auto = await connected({ framing: { fixed: 8 }, correlate: { offset: 4, bytes: 1, auto: true } })
  // More than there are numbers: they come round.
  console.log(counts(await auto.pump({ message: "message.", count: 2000, window: 8, timeout: 5000 })))
  auto.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "2000 2000 0\n");
    outcome.expect_value("tcp_req_failed", "passes", 0.0);
    assert_eq!(outcome.value("tcp_unmatched_messages", "count"), None);
}

#[test]
fn a_key_that_is_taken_waits() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: { fixed: 4 }, correlate: { offset: 0, bytes: 2 } })
  console.log(counts(await socket.pump({ message: ["aa..", "aa,,", "bb.."], count: 300, window: 10, expect: { contains: "" } })))
  console.log(await caught(() => socket.pump({ message: "a", count: 1 })))
  socket.destroy()"#,
    );
    assert_eq!(lines[0], "300 300 0");
    assert!(lines[1].starts_with("TypeError: message has no place for its key"), "{}", lines[1]);
}

#[test]
fn answers_of_several_messages_are_taken_as_a_whole() {
    let port = serve(|mut stream| {
        let mut line = [0; 2];
        while stream.read_exact(&mut line).is_ok() {
            stream.write_all(b"row\nrow\nend\n").unwrap();
        }
    });
    let body = r#"
  const socket = await connected({ framing: "lines" })
  const until = { message: "q", count: 30, window: 3, reply: { until: { equals: "end" } } }
  console.log(counts(await socket.pump(until)))
  console.log(counts(await socket.pump({ message: "q", count: 30, window: 3, reply: { replies: 3 }, expect: { equals: "end" } })))
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "30 30 0\n30 30 0\n");
    outcome.expect_value("tcp_msgs_received", "count", 180.0);
}

#[test]
fn unexpected_replies_fail_and_stop_nothing() {
    let server = Server::start(Behaviour::Echo);
    let outcome = run(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  console.log(counts(await socket.pump({ message: ["good", "bad"], count: 10, expect: { equals: "good" } })))
  socket.destroy()"#,
    );
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "10 10 5\n");
    outcome.expect_value("tcp_req_failed", "passes", 5.0).expect_value("tcp_req_failed", "fails", 5.0);
    outcome.expect_value("tcp_reqs", "count", 10.0);
}

#[test]
fn requests_without_a_reply_in_time_fail() {
    let server = Server::start(Behaviour::Sink);
    let begun = Instant::now();
    let outcome = run(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  const result = await socket.pump({ message: "void", count: 6, window: 2, timeout: 100 })
  console.log(counts(result), result.duration >= 300)
  socket.destroy()"#,
    );
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "6 0 6 true\n");
    outcome.expect_value("tcp_req_failed", "passes", 6.0);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_late_reply_is_not_that_of_a_later_request() {
    let port = serve(|mut stream| {
        let mut line = [0; 2];
        stream.read_exact(&mut line).unwrap();
        thread::sleep(Duration::from_millis(300));
        stream.write_all(&line).unwrap();
        while stream.read_exact(&mut line).is_ok() {
            stream.write_all(&line).unwrap();
        }
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(counts(await socket.pump({ message: "a", count: 1, timeout: 50 })))
  console.log(await socket.request("b"))
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "1 0 1\nb\n");
}

/// The replies to requests that timed out before the pump come first, and answer none of its requests.
#[test]
fn a_late_reply_to_a_request_is_not_the_pumps() {
    let serve_late = || {
        serve(|stream| {
            let mut out = stream.try_clone().unwrap();
            let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap();
            thread::sleep(Duration::from_secs(1));
            out.write_all(format!("{first}\n{first}!\n").as_bytes()).unwrap();
            lines.for_each(|line| out.write_all(format!("{line}\n{line}!\n").as_bytes()).unwrap());
        })
    };
    for (until, correlate) in [
        ("replies: 2", "undefined"),
        ("until: { contains: \"!\" }", "undefined"),
        ("replies: 2, inOrder: true", "{ offset: 0, bytes: 1 }"),
    ] {
        let body = format!(
            r#"
  const socket = await connected({{ framing: "lines", encoding: "utf8", correlate: {correlate} }})
  console.log(await caught(() => socket.request("slow", {{ timeout: 100, {until} }})))
  const pump = {{ message: "p", count: 3, reply: {{ replies: 2 }}, expect: {{ equals: "p!" }} }}
  console.log(counts(await socket.pump(pump)))
  console.log((await socket.request("after", {{ replies: 2, timeout: "5s" }})).join())
  socket.destroy()"#
        );
        let program = logging(&body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", serve_late());
        let outcome = program.run();
        outcome.expect_code(0).expect_value("tcp_unmatched_messages", "count", 2.0);
        let expected = "TCPError: no reply within 100ms\n3 3 0\nafter,after!\n";
        assert_eq!(outcome.file("log.txt"), expected, "{until}");
    }
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  await caught(() => socket.request("slow", { timeout: 100, until: (line) => line.endsWith("!") }))
  console.log(await caught(() => socket.pump({ message: "p", count: 1, reply: { replies: 2 } })))
  console.log(await socket.read(), await socket.read())
  console.log(counts(await socket.pump({ message: "p", count: 1, reply: { replies: 2 } })))
  socket.destroy()"#;
    let program = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", serve_late());
    let outcome = program.run();
    outcome.expect_code(0);
    let log = outcome.file("log.txt");
    assert!(log.starts_with("TypeError: pump() runs without script, and a request() whose"), "{log}");
    assert!(log.ends_with("slow slow!\n1 1 0\n"), "{log}");
}

/// Of requests that fail, only those that were sent can be answered late.
#[test]
fn requests_that_were_never_sent_have_no_late_reply() {
    let port = serve(|stream| {
        thread::sleep(Duration::from_secs(2));
        let mut out = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            out.write_all(format!("{}\n", &line[..5]).as_bytes()).unwrap();
        }
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", sendBuffer: 20_000 })
  const result = await socket.pump({ message: "p".repeat(500_000), rate: 100, duration: 300, timeout: 200 })
  console.log(result.received, result.failed > 20)
  let late = 0
  socket.on("message", (line) => { if (line === "ppppp") late++ })
  for (const text of ["after", "later"]) console.log(await socket.request(text, { timeout: "5s" }))
  console.log(late >= 1)
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "0 true\nafter\nlater\ntrue\n");
}

/// Pumps and requests of a socket share its numbers, so a late reply to one is not taken for the reply to another.
#[test]
fn numbers_go_on_from_pump_to_pump() {
    let port = serve(|mut stream| {
        let mut frame = [0; 5];
        let mut first = true;
        while stream.read_exact(&mut frame).is_ok() {
            thread::sleep(Duration::from_secs(u64::from(std::mem::take(&mut first))));
            stream.write_all(&frame).unwrap();
        }
    });
    let body = r#"
  const socket = await connected({ framing: { fixed: 5 }, encoding: "latin1", correlate: { offset: 0, bytes: 2, auto: true } })
  console.log(counts(await socket.pump({ message: "__one", count: 1, timeout: 50 })))
  console.log(counts(await socket.pump({ message: "__two", count: 1, expect: { contains: "two" } })))
  console.log(await socket.request("__six") === "\0\x03six")
  console.log(counts(await socket.pump({ message: "__ten", count: 1, expect: { equals: "\0\x04ten" } })))
  console.log(counts(await socket.pump({ message: "__non", count: 2, reply: "none" })))
  console.log(await socket.read() === "\0\x05non", await socket.read() === "\0\x06non")
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0).expect_value("tcp_unmatched_messages", "count", 3.0);
    assert_eq!(outcome.file("log.txt"), "1 0 1\n1 1 0\ntrue\n1 1 0\n2 0 0\ntrue true\n");
}

/// A socket of the VU survives an iteration that fails, and the iteration's pump does not.
#[test]
fn a_pump_ends_with_the_iteration_that_fails() {
    for correlate in ["undefined", "{ offset: 0, bytes: 2, auto: true }"] {
        let port = serve(|mut stream| {
            let mut frame = [0; 5];
            while stream.read_exact(&mut frame).is_ok() {
                thread::sleep(Duration::from_millis(20));
                stream.write_all(&frame).unwrap();
            }
        });
        let script = format!(
            r#"
import {{ Socket }} from "senary/tcp"
export const options = {{ iterations: 3, thresholds: {{ "tcp_req_failed{{error_code:ERR_ABORTED}}": ["rate==1"] }} }}
const socket = new Socket({{ framing: {{ fixed: 5 }}, encoding: "latin1", scope: "vu", correlate: {correlate} }})
export default async function () {{
  if (__ITER > 0) return console.log((await socket.request(`__no${{__ITER}}`, {{ timeout: "5s" }})).slice(2))
  await socket.connect(__ENV.TCP_PORT, "127.0.0.1")
  socket.pump({{ message: "__old", window: 4, duration: "30s" }}).then(() => console.log("never"))
  await new Promise((resolve) => setTimeout(resolve, 200))
  throw new Error("enough")
}}"#
        );
        let program = Program::script(BINARY, &script).env("TCP_PORT", port);
        let outcome = program
            .args(["--console-output", "log.txt", "--log-format", "raw"])
            .within(Duration::from_secs(30))
            .run();
        outcome.expect_code(0).expect_text("enough");
        assert_eq!(outcome.file("log.txt"), "no1\nno2\n", "{correlate}");
        outcome.expect_value("tcp_req_failed{error_code:ERR_ABORTED}", "passes", 4.0);
        outcome.expect_value("tcp_unmatched_messages", "count", 4.0);
    }
}

#[test]
fn without_replies_all_is_sent_that_the_peer_takes() {
    let server = Server::start(Behaviour::Sink);
    let lines = logged(
        &server,
        r#"
  const socket = await connected()
  console.log(counts(await socket.pump({ message: "x".repeat(100), count: 50000, reply: "none" })), socket.bytes_written)
  await socket.write("behind")
  socket.destroy()"#,
    );
    assert_eq!(lines, ["50000 0 0 5000000"]);
    assert!(server.has_received(5_000_006, Duration::from_secs(5)), "{}", server.bytes());
}

#[test]
fn what_a_server_says_unasked_does_not_stop_the_pump() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected()
  console.log(counts(await socket.pump({ message: "x".repeat(1000), count: 20000, reply: "none" })))
  socket.destroy()"#,
    );
    assert_eq!(lines, ["20000 0 0"]);
}

/// A peer that takes nothing costs no memory for what is due, and what is due fails in time.
#[test]
fn a_peer_that_does_not_read_is_no_end_and_no_memory() {
    let server = Server::start(Behaviour::NeverReads);
    let mut running = script(
        r#"
  const socket = await connected({ framing: "u32" })
  const open = await socket.pump({ message: "x".repeat(1000), rate: 20000, duration: 1500, timeout: 300 })
  console.log(open.sent < 20000, open.received, open.failed)
  const closed = await socket.pump({ message: "x".repeat(1000), count: 100, timeout: 200 })
  console.log(closed.received, closed.failed <= 100)
  socket.destroy()"#,
        "{}",
    )
    .target(&server)
    .start();
    running.wait_for("true 0 30000");
    let peak = running.peak_kib().unwrap();
    let outcome = running.finish();
    outcome.expect_code(0).expect_text("0 true");
    assert!(peak < 200_000, "{peak} KiB");
}

#[test]
fn the_end_of_the_peer_is_the_end_of_the_pump() {
    let behaviour = Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 5 * 20 };
    let server = Server::start(behaviour);
    let outcome = run(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  const result = await socket.pump({ message: "mess", count: 1000, window: 2 })
  console.log(result.received, result.failed, result.sent < 30)
  await socket.closed
  console.log(socket.ready_state)"#,
    );
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "20 2 true\ndestroyed\n");
}

#[test]
fn destroy_ends_it() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  setTimeout(() => socket.destroy(), 100)
  const result = await socket.pump({ message: "mess", window: 3, duration: "1m" })
  console.log(result.received > 10, result.failed, result.sent - result.received)"#,
    );
    assert_eq!(lines, ["true 3 3"]);
}

#[test]
fn garbage_ends_it_with_an_error() {
    let server = Server::start(Behaviour::Babbles);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u32" })
  socket.on("error", (e) => console.log(e.code))
  const result = await socket.pump({ message: "mess", window: 3, count: 3 })
  console.log(counts(result))"#,
    );
    assert_eq!(lines, ["ERR_FRAME_TOO_LARGE", "3 0 3"]);
}

#[test]
fn a_signal_keeps_what_was_measured() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = await connected({ framing: "u8" })
  console.error("it runs")
  await socket.pump({ message: "mess", rate: 200, duration: "10m" })"#;
    let mut running = script(body, "{}").target(&server).start();
    assert!(server.has_received(5 * 60, Duration::from_secs(20)));
    running.signal(Signal::INT);
    let outcome = running.finish();
    outcome.expect_code(105);
    let answered = outcome.measured("tcp_req_failed", "fails");
    let sent = outcome.measured("tcp_reqs", "count");
    assert!(answered >= 55.0 && sent >= answered, "{answered} answered, {sent} sent");
    assert_eq!(sent, (server.bytes() / 5) as f64);
}

#[test]
fn pumps_of_one_worker_have_the_same_share() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = await connected({ framing: "u8" })
  const result = await socket.pump({ message: "mess", window: exec.vu.idInTest === 1 ? 500 : 1, duration: 1500 })
  console.log(exec.vu.idInTest, result.received)
  socket.destroy()"#;
    let options = r#"{ scenarios: { s: { executor: "per-vu-iterations", vus: 8, iterations: 1 } } }"#;
    let outcome = logging(body, options).target(&server).args(["--workers", "1"]).run();
    outcome.expect_code(0);
    let log = outcome.file("log.txt");
    let mut others: Vec<u64> = log
        .lines()
        .filter(|line| !line.starts_with("1 "))
        .map(|line| line.split_once(' ').unwrap().1.parse().unwrap())
        .collect();
    others.sort_unstable();
    assert_eq!(others.len(), 7, "{log}");
    assert!(others[0] > 20 && others[0] * 2 >= others[3], "{log}");
}

#[test]
fn it_runs_over_tls() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let body = r#"
  const socket = await connected({ framing: "u32" })
  console.log(counts(await socket.pump({ message: "secret", count: 3000, window: 16, expect: { equals: "secret" } })))
  socket.destroy()"#;
    let outcome = logging(body, "{ insecureSkipTLSVerify: true }").target(&server).env("TLS", "yes").run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "3000 3000 0\n");
    assert_eq!(server.bytes(), 30_000);
}

#[test]
fn a_pump_has_its_socket_to_itself() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  const pumping = socket.pump({ message: "a", count: 2, rate: 20 })
  for (const f of [() => socket.send("b"), () => socket.read(), () => socket.request("b"), () => socket.write("b"),
    () => socket.pump({ message: "a", count: 1 }), () => { socket.framing = "lines" }])
    console.log(await caught(f))
  console.log(counts(await pumping))
  console.log((await socket.request("b")).length)
  socket.destroy()
  console.log(await caught(() => socket.pump({ message: "a", count: 1 })))"#,
    );
    for (line, what) in
        lines.iter().zip(["send()", "read()", "request()", "write()", "another pump()", "another framing"])
    {
        assert_eq!(
            *line,
            format!("TypeError: {what} while pump() runs on this socket: await the pump's promise first")
        );
    }
    assert_eq!(lines[6..], ["2 2 0", "1", "TCPError: no active connection"]);
}

#[test]
fn options_that_cannot_be_are_told_with_what_to_do() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  const message = "a", count = 1
  for (const options of [undefined, { message }, { count }, { message: [], count }, { message, count, windw: 1 }, { message, count, window: 0 },
    { message, count, rate: 0 }, { message, count, rate: "10/y" }, { message, count, arrival: "poisson" },
    { message, count, rate: 1, arrival: "even" }, { message, count, reply: "nothing" }, { message, count, reply: { replies: 0 } },
    { message, count, reply: "none", window: 2 }, { message, count, expect: () => true },
    { message: { data: "a", patches: [{ offset: 1, bytes: 1, value: "vu" }] }, count },
    { message: { data: "a", patches: [{ offset: 0, bytes: 1, value: "vuu" }] }, count },
    { message: "x".repeat(300), count }])
    console.log(await caught(() => socket.pump(options)))
  const pattern = await connected({ framing: { end: /x/ } })
  console.log(await caught(() => pattern.pump({ message, count })))
  const key = await connected({ framing: "u8", correlate: (m) => m })
  console.log(await caught(() => key.pump({ message, count })))
  const none = await connected()
  console.log(await caught(() => none.pump({ message, count })))
  for (const s of [socket, pattern, key, none]) s.destroy()"#,
    );
    let wanted = [
        "takes options",
        "a count or a duration",
        "needs a message",
        "empty list",
        "did you mean \"window\"?",
        "window is at least 1",
        "above 0",
        "\"6000/m\", not \"10/y\"",
        "give it a rate",
        "not \"even\"",
        "reply is \"none\"",
        "replies is at least 1",
        "have no meaning",
        "expect is",
        "patches",
        "not \"vuu\"",
        "message:",
        "without patterns",
        "correlate by a place",
        "needs a framing",
    ];
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.starts_with("TypeError: ") && line.contains(wanted), "{line:?} has no {wanted:?}");
    }
}

/// Places of every size and kind, padded on the left; what has no room loses its first digits.
#[test]
fn places_are_written_in_every_way() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u16", encoding: "latin1" })
  const heard = async (data, patches, count = 1) => {
    await socket.pump({ message: { data, patches }, count, reply: "none" })
    const all = []
    while (all.length < count) all.push(await socket.read())
    return all
  }
  const hex = (text) => [...text].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("")
  const sequence = (as, bytes, count) => heard(".".repeat(bytes + 2), [{ offset: 1, bytes, value: "sequence", as }], count)
  console.log((await sequence("decimal", 3, 12)).at(-1), (await sequence("decimal", 1, 12)).at(-1))
  console.log((await sequence("hex", 4, 12)).at(-1), (await sequence("hex", 1, 18)).at(-1))
  console.log(hex((await sequence(undefined, 2, 259)).at(-1)), hex((await sequence("binary", 8, 2)).at(-1)), hex((await sequence("little", 2, 259)).at(-1)), hex((await sequence("binary", 1, 258)).at(-1)))
  const [{ length }] = await heard("__________", [{ offset: 0, bytes: 2, value: "vu", as: "decimal" }, { offset: 8, bytes: 2, value: "iteration" }])
  console.log(length)
  const dice = (await heard(".", [{ offset: 0, bytes: 1, value: { from: 1, to: 6 }, as: "decimal" }], 600)).join("")
  console.log([..."0123456789"].filter((side) => dice.includes(side)).join(""))
  const random = await heard("________", [{ offset: 0, bytes: 8, value: "random" }], 50)
  console.log(new Set(random).size)
  const all = await heard("_______________", [{ offset: 0, bytes: 13, value: "time", as: "decimal" }])
  console.log(Math.abs(Number(all[0].slice(0, 13)) - Date.now()) < 20_000, all[0].slice(13))
  socket.destroy()"#,
    );
    assert_eq!(
        lines,
        [
            ".011. .1.",
            ".000b. .1.",
            "2e01022e 2e00000000000000012e 2e02012e 2e012e",
            "10",
            "123456",
            "50",
            "true __"
        ]
    );
}

/// One at a time where nothing else is said; and a window bounds an open loop, too.
#[test]
fn the_window_is_one_and_an_open_loop_has_none() {
    // Answers when nothing has come for some time, and notes how much it had then.
    let most_of = |options: &str| {
        let (tell, told) = std::sync::mpsc::channel();
        let port = serve(move |mut stream| {
            stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
            let (mut buffer, mut most) = ([0; 4096], 0);
            loop {
                let mut had = 0;
                loop {
                    match stream.read(&mut buffer[had..]) {
                        Ok(0) => {
                            tell.send(most).unwrap();
                            return;
                        }
                        Ok(size) => had += size,
                        Err(_) => break,
                    }
                }
                most = most.max(had / 4);
                stream.write_all(&buffer[..had]).unwrap();
            }
        });
        let body = format!(
            r#"
  const socket = await connected({{ framing: {{ fixed: 4 }} }})
  console.log(counts(await socket.pump({{ message: "ping", {options} }})))
  socket.destroy()"#
        );
        let outcome = logging(&body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
        outcome.expect_code(0);
        (told.recv().unwrap(), outcome.file("log.txt"))
    };
    assert_eq!(most_of("count: 4"), (1, "4 4 0\n".to_owned()));
    assert_eq!(most_of("count: 10, rate: 1000"), (10, "10 10 0\n".to_owned()));
    assert_eq!(most_of("count: 10, rate: 1000, window: 5"), (5, "10 10 0\n".to_owned()));
    assert_eq!(most_of("count: 3, duration: \"1m\""), (1, "3 3 0\n".to_owned()));
}

/// Both ends: whichever comes first. None of either is nothing.
#[test]
fn it_ends_after_a_count_or_a_time() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const socket = await connected({ framing: "u8" })
  const message = "m"
  console.log(counts(await socket.pump({ message, rate: 100, count: 1000, duration: 200 })))
  console.log(counts(await socket.pump({ message, rate: "6000/m", arrival: "uniform", count: 7, duration: "1m" })))
  for (const nothing of [{ count: 0 }, { duration: 0 }, { rate: 10, duration: 0 }, { count: 0, reply: "none" }]) {
    const result = await socket.pump({ message, ...nothing })
    console.log(counts(result), JSON.stringify(result.latency))
  }
  const closed = await socket.pump({ message, duration: "300ms", window: 2 })
  console.log(closed.sent > 10, closed.received - closed.sent, closed.failed, closed.duration >= 299 && closed.duration < 3000)
  socket.destroy()"#,
    );
    let nothing = r#"0 0 0 {"min":0,"avg":0,"med":0,"max":0,"p(90)":0,"p(95)":0,"p(99)":0}"#;
    assert_eq!(lines, ["20 20 0", "7 7 0", nothing, nothing, nothing, nothing, "true 0 0 true"]);
}

/// The iteration goes on meanwhile.
#[test]
fn script_runs_beside_it() {
    let server = Server::start(Behaviour::Echo);
    let lines = logged(
        &server,
        r#"
  const [one, other] = [await connected({ framing: "u8" }), await connected({ framing: "u8", encoding: "utf8" })]
  let is_over = false
  const pumping = one.pump({ message: "m", rate: 1000, duration: 500 }).then((result) => { is_over = true; return result })
  let beside = 0
  while (!is_over) {
    await other.request("beside")
    await new Promise((resolve) => setTimeout(resolve, 10))
    beside++
  }
  console.log(counts(await pumping), beside > 5)
  one.destroy()
  other.destroy()"#,
    );
    assert_eq!(lines, ["500 500 0 true"]);
}

/// `expect` is of the last message of an answer; frames without content go back from the pump as well.
#[test]
fn the_last_message_is_what_is_expected() {
    let port = serve(|mut stream| {
        let mut request = [0; 3];
        while stream.read_exact(&mut request).is_ok() {
            stream.write_all(b"\0\0\0\x02ab\0\x02cd").unwrap();
            let mut echo = [0; 2];
            stream.read_exact(&mut echo).unwrap();
            assert_eq!(echo, [0, 0]);
        }
    });
    let body = r#"
  const socket = await connected({ framing: { length: { bytes: 2 }, empty: "echo" } })
  const of = (expect) => socket.pump({ message: "q", count: 5, reply: { replies: 2 }, expect })
  for (const expect of [{ equals: "cd" }, { equals: "ab" }, { offset: 1, equals: "d" }, { contains: "b" }]) console.log(counts(await of(expect)))
  socket.destroy()"#;
    let outcome = logging(body, "{}").env("TCP_HOST", "127.0.0.1").env("TCP_PORT", port).run();
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "5 5 0\n5 5 5\n5 5 0\n5 5 5\n");
    outcome.expect_value("tcp_req_failed", "passes", 10.0);
}
