//! `k6/http` against servers that behave badly: what the script sees, and that no request is missing in the figures.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(20);

/// What a server does with a request: the head, and how many came before it. `false` ends the connection.
type Answer = dyn Fn(&mut TcpStream, &str, usize) -> bool + Send + Sync;

/// A server on threads that end with their connections, and the number of requests it has had.
fn serve(
    answer: impl Fn(&mut TcpStream, &str, usize) -> bool + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (asked, answer) =
        (Arc::new(AtomicUsize::new(0)), Arc::<Answer>::from(Box::new(answer) as Box<Answer>));
    let of_server = asked.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let (asked, answer) = (of_server.clone(), answer.clone());
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(BOUND)).expect("a time limit");
                while let Some(head) = head(&mut stream) {
                    let before = asked.fetch_add(1, Ordering::Relaxed);
                    if !answer(&mut stream, &head, before) {
                        break;
                    }
                }
                // What still comes is read, so that nothing is reset.
                let _ = stream.shutdown(Shutdown::Write);
                while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
            });
        }
    });
    (port, asked)
}

/// The head of a request; none, if the client has ended the connection.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// The client may have gone, on purpose.
fn say(stream: &mut TcpStream, text: impl AsRef<[u8]>) -> bool {
    stream.write_all(text.as_ref()).is_ok()
}

/// The connection ends after it.
fn say_last(stream: &mut TcpStream, text: &str) -> bool {
    say(stream, text);
    false
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn ok(stream: &mut TcpStream) -> bool {
    say(stream, OK)
}

/// Runs iterations of a script that says what came of its requests.
fn run(port: u16, options: &str, body: &str) -> Outcome {
    let outcome = program(port, options, body).within(Duration::from_secs(60)).run();
    outcome.expect_code(0);
    outcome
}

fn program(port: u16, options: &str, body: &str) -> Program {
    let script = format!(
        r#"
import http from "k6/http"
export const options = {{ {options} }}
const url = `http://127.0.0.1:${{__ENV.PORT}}/`
const tell = (r) => console.log(r.status, r.error_code, r.error)
export default function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script).env("PORT", port).args(["--console-output", "log.txt"])
}

/// What came of one request for each bad answer; the server ends the connection after it.
fn told(answer: &'static str) -> String {
    let (port, _) = serve(move |stream, _, _| say_last(stream, answer));
    let outcome = run(port, "", "tell(http.get(url, { timeout: 5000 }))");
    outcome.expect_value("http_reqs", "count", 1.0).expect_value("http_req_failed", "passes", 1.0);
    outcome.file("log.txt").trim().to_owned()
}

#[test]
fn what_is_not_a_response_is_an_error_with_the_text_of_k6() {
    let broken = "net/http: HTTP/1.x transport connection broken: ";
    for (answer, text) in [
        ("", "0 1000 EOF".to_owned()),
        ("HTTP/1.1 200 OK\r\nContent-Le", "0 1000 unexpected EOF".to_owned()),
        ("220 mail.test ESMTP\r\n", format!("0 1000 {broken}malformed HTTP status code \"mail.test\"")),
        ("HTTP/1.1 2 OK\r\n\r\n", format!("0 1000 {broken}malformed HTTP status code \"2\"")),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
            format!(
                "0 1000 {broken}http: message cannot contain multiple Content-Length headers; got [\"1\" \"2\"]"
            ),
        ),
    ] {
        assert_eq!(told(answer), text, "{answer:?}");
    }
}

/// The head was good, so the status may be told; what matters is the error.
#[test]
fn a_body_that_is_not_as_announced_is_an_error() {
    for (answer, text) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "1000 unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "1000 invalid byte in chunk length"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc", "1000 malformed chunked encoding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "1000 unexpected EOF"),
    ] {
        let told = told(answer);
        assert!(told.ends_with(text), "{answer:?}: {told}");
    }
    let told = told("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\noops");
    assert!(told.contains(" 1701 "), "{told}");
}

/// Whatever never ends: a time limit or a limit of size ends it, and little memory is taken until then.
#[test]
fn what_never_ends_is_bounded() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, first, more, text) in [
        (
            "fields of a head",
            "HTTP/1.1 200 OK\r\n",
            "A: bbbbbbbb\r\n",
            "net/http: server response headers exceeded 10485760 bytes; aborted",
        ),
        ("a line of a head", "HTTP/1.1 200 OK\r\nA: ", "bbbbbbbb", "1000 net/http: "),
        ("early hints", "", "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", "0 10"),
        ("a body", "HTTP/1.1 200 OK\r\n\r\n", "0123456789", "0 1050 request timeout"),
        ("chunks", CHUNKED, "5\r\nabcde\r\n", "0 1050 request timeout"),
        ("the size of a chunk", CHUNKED, "0", "0 1000 "),
        (
            "what is behind the size of a chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
            ";a=b",
            "0 1000 ",
        ),
        ("a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n", "0 1000 "),
    ] {
        let (port, _) = serve(move |stream, _, _| {
            let block = more.repeat(1000);
            let _ = say(stream, first);
            while say(stream, &block) {}
            false
        });
        let (told, peak) =
            told_with_peak(port, "discardResponseBodies: true", "http.get(url, { timeout: 1000 })");
        assert!(told.contains(text), "{what}: {told}");
        assert!(peak > 1000 && peak < 160_000, "{what}: {peak} KiB");
    }
}

/// The announced length is believed as far as memory costs nothing.
#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    for length in ["4000000000", "9223372036854775807", "99999999999999999999", "-1", "1e3", ""] {
        let (port, _) = serve(move |stream, _, _| {
            say_last(stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nshort"))
        });
        let (told, peak) = told_with_peak(port, "", "http.get(url, { timeout: 5000 })");
        assert!(told.contains("0 1000 "), "{length:?}: {told}");
        assert!(peak > 1000 && peak < 160_000, "{length:?}: {peak} KiB");
    }
}

#[test]
fn broken_compression_is_an_error_of_its_own() {
    let whole: [(&str, &[u8]); 4] = [
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0"),
        ("deflate", b"x\x9c\xcbH\xcd\xc9\xc9\x07\0\x06,\x02\x15"),
        ("br", b"\x0b\x02\x80hello\x03"),
        ("zstd", b"(\xb5/\xfd \x05)\0\0hello"),
    ];
    for (encoding, body) in whole {
        for (what, sent) in [
            ("whole", body.to_vec()),
            ("cut", body[..body.len() - 3].to_vec()),
            ("changed", [&body[..2], &[0xff; 4], &body[6..]].concat()),
            ("none at all", b"oops".to_vec()),
        ] {
            // Brotli has no checksum: what was changed may be something else.
            if (encoding, what) == ("br", "changed") {
                continue;
            }
            let (port, _) = serve(move |stream, _, _| {
                let length = sent.len();
                say(
                    stream,
                    format!(
                        "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {length}\r\n\r\n"
                    ),
                );
                say(stream, &sent)
            });
            let outcome =
                run(port, "", "const r = http.get(url); console.log(r.status, r.error_code, r.body)");
            let told = outcome.file("log.txt");
            match what {
                "whole" => assert_eq!(told, "200 0 hello\n", "{encoding}"),
                _ => assert!(told.contains(" 1701 "), "{encoding} {what}: {told}"),
            }
            outcome.expect_value("http_reqs", "count", 1.0);
        }
    }
}

/// What came of one request, and the most memory that the program has had, in KiB.
fn told_with_peak(port: u16, options: &str, call: &str) -> (String, u64) {
    let running = program(port, options, &format!("tell({call})")).start();
    let (begun, mut peak) = (std::time::Instant::now(), 0);
    while let Some(kib) = running.peak_kib()
        && begun.elapsed() < BOUND
    {
        peak = peak.max(kib);
        std::thread::sleep(Duration::from_millis(5));
    }
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("http_reqs", "count", 1.0).expect_value(
        "http_req_failed",
        "passes",
        1.0,
    );
    (outcome.file("log.txt").trim().to_owned(), peak)
}

#[test]
fn a_server_that_says_nothing_more_costs_the_timeout_and_no_more() {
    let (port, _) = serve(|stream, _, before| {
        // Nothing, a part of a head, a part of a body.
        let part = ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"][before % 3];
        let _ = say(stream, part);
        while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        false
    });
    let outcome = run(port, "iterations: 6", "tell(http.get(url, { timeout: 200 }))");
    for line in outcome.file("log.txt").lines() {
        assert!(line.ends_with(" 1050 request timeout"), "{line}");
    }
    outcome.expect_value("http_reqs", "count", 6.0).expect_value("iterations", "count", 6.0);
    assert!(outcome.measured("http_req_duration", "min") >= 100.0, "{}", outcome.stdout);
}

/// Byte by byte, an answer is the same answer.
#[test]
fn a_slow_answer_is_an_answer() {
    let (port, _) = serve(|stream, _, _| {
        let _ = stream.set_nodelay(true);
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        answer.bytes().all(|byte| {
            std::thread::sleep(Duration::from_millis(1));
            say(stream, [byte])
        })
    });
    let outcome = run(port, "iterations: 2", "const r = http.get(url); console.log(r.status, r.body)");
    assert_eq!(outcome.file("log.txt"), "200 abc\n200 abc\n");
}

/// The server ends its connections before an answer, within one, and after one, while eight VUs use them. Each request of the
/// script has an outcome, and each outcome is in the figures.
#[test]
fn no_request_is_lost_when_connections_end_at_any_moment() {
    let (port, asked) = serve(|stream, _, before| match before % 7 {
        0 => false,
        1 => say_last(stream, "HTTP/1.1 200 OK\r\nContent-Le"),
        2 => say_last(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
        3 => say_last(stream, OK),
        _ => ok(stream),
    });
    let body = r#"
  const r = http.get(url)
  if (r.status !== 200 && r.error_code !== 1000 && r.error_code !== 1220) throw new Error(`${r.status} ${r.error}`)
  console.log(r.error === "" ? "good" : "failed")"#;
    let outcome = run(port, "vus: 8, iterations: 400", body);
    outcome.expect_value("iterations", "count", 400.0).expect_value("http_reqs", "count", 400.0);
    let log = outcome.file("log.txt");
    let (good, failed) = (log.matches("good\n").count(), log.matches("failed\n").count());
    assert_eq!(good + failed, 400);
    assert!(good > 200 && failed > 50, "{good} good, {failed} failed");
    outcome.expect_value("http_req_failed", "passes", failed as f64);
    // Requests over connections that ended were sent again.
    assert!(asked.load(Ordering::Relaxed) >= 400);
}

/// Nothing is sent then, not even over a kept connection to a server that would answer in no time.
#[test]
fn a_timeout_of_nothing_is_over_at_once() {
    let (port, asked) = serve(|stream, _, _| ok(stream));
    let outcome =
        run(port, "", "for (const timeout of ['1s', 0, '0s', -1]) tell(http.get(url, { timeout }))");
    outcome.expect_value("http_reqs", "count", 4.0).expect_value("http_req_failed", "passes", 3.0);
    let told = format!("200 0 \n{}", "0 1050 request timeout\n".repeat(3));
    assert_eq!((outcome.file("log.txt"), asked.load(Ordering::Relaxed)), (told, 1));
}

#[test]
fn redirects_in_a_circle_end() {
    let (port, asked) =
        serve(|stream, _, _| say(stream, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"));
    let outcome = run(port, "", "tell(http.get(url))");
    outcome.expect_value("http_reqs", "count", 11.0);
    assert_eq!(asked.load(Ordering::Relaxed), 11);
}

/// Heads that are as long as they may be: as many fields, cookies and wrong lines as fit into them.
#[test]
fn a_head_full_of_small_parts_holds_nobody_up() {
    let (port, _) = serve(|stream, head, _| {
        let line = |n: usize| match head {
            _ if head.starts_with("GET /cookies") => format!("Set-Cookie:c{n}=v\r\n"),
            _ => format!("a{n}:\r\n"),
        };
        let end = match head {
            _ if head.starts_with("GET /wrong") => format!("no colon {}\r\n\r\n", "x".repeat(1 << 20)),
            _ if head.starts_with("GET /lost") => {
                format!("Location: http://a b/{}\r\n\r\n", "x".repeat(1 << 20))
            }
            _ => "Content-Length: 0\r\n\r\n".to_owned(),
        };
        let status = if head.starts_with("GET /lost") { "302 Found" } else { "200 OK" };
        let lines: String = (0..60_000).map(line).collect();
        say(stream, format!("HTTP/1.1 {status}\r\n{lines}{end}"));
        false
    });
    let body = r#"
  const many = http.get(url + "fields")
  console.log(many.status, Object.keys(many.headers).length)
  console.log(http.get(url + "cookies").status, Object.keys(http.cookieJar().cookiesForURL(url)).length)
  const [wrong, lost] = [http.get(url + "wrong"), http.get(url + "lost")]
  console.log(wrong.error_code, wrong.error.length < 1200, wrong.error.slice(48, 90))
  console.log(lost.error_code, lost.error.length < 1200, lost.error.slice(0, 32))"#;
    let outcome = run(port, "", body);
    let told = outcome.file("log.txt");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["200 60001", "200 10000"]);
    assert_eq!(lines[2], "1000 true malformed MIME header line: no colon xxxxx");
    assert_eq!(lines[3], "1000 true failed to parse Location header ");
}
