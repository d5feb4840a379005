//! `k6/http` over HTTP/2: nginx with thousands of streams, and servers that do what they must not. No request is missing in the figures,
//! whatever ends when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use senary_testkit::http2::{
    Asked, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Reply, SETTINGS, Site, fields, frame,
    goaway, page, reset,
};
use senary_testkit::{Certificate, Nginx, Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// RFC 9113, section 7.
const PROTOCOL_ERROR: u32 = 1;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn program(base: &str, options: &str, body: &str) -> Program {
    let script = format!(
        r#"
import {{ sleep }} from "k6"
import http from "k6/http"
export const options = {{ {options} }}
const base = __ENV.BASE
const tell = (r) => console.log(r.proto, r.status, r.error_code, r.error)
export default function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script)
        .file("ca.pem", Certificate::authority_pem())
        .env("SSL_CERT_FILE", "ca.pem")
        .env("BASE", base)
        .args(["--console-output", "log.txt"])
}

fn run(base: &str, options: &str, body: &str) -> Outcome {
    let outcome = program(base, options, body).within(Duration::from_secs(90)).run();
    outcome.expect_code(0);
    outcome
}

/// Counts what came of the requests, and throws for what must not come.
const COUNTS: &str = r#"
  for (const r of http.batch(Array(50).fill(`${base}/hello`))) {
    if (r.error === "") {
      if (r.proto !== "HTTP/2.0" || r.status !== 200 || r.body !== "hello") throw new Error(`${r.proto} ${r.status} ${r.body}`)
    } else {
      console.log(r.error_code, r.error)
    }
  }"#;

#[test]
fn thousands_of_streams_reach_nginx() {
    let Some(nginx) = Nginx::start(1_000_000) else { return };
    let base = format!("https://{}", nginx.address());
    let outcome = run(&base, "vus: 4, iterations: 120, batch: 50, batchPerHost: 50", COUNTS);
    outcome.expect_value("http_reqs", "count", 6000.0).expect_value("http_req_failed", "passes", 0.0);
    outcome.expect_value("iterations", "count", 120.0);
    assert_eq!((outcome.file("log.txt").as_str(), nginx.answered("HTTP/2.0", 6000)), ("", 6000));
}

/// nginx ends its connections with GOAWAY, after few requests and because it is told to.
#[test]
fn nothing_is_lost_when_nginx_sends_its_clients_away() {
    let Some(nginx) = Nginx::start(37) else { return };
    let base = format!("https://{}", nginx.address());
    let ends = Arc::new(AtomicBool::new(false));
    let outcome = std::thread::scope(|scope| {
        let (nginx, until) = (&nginx, ends.clone());
        scope.spawn(move || {
            while !until.load(Ordering::Relaxed) {
                nginx.reload().expect("nginx runs");
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let outcome = program(&base, "vus: 4, iterations: 80, batch: 50, batchPerHost: 50", COUNTS)
            .within(Duration::from_secs(90))
            .run();
        ends.store(true, Ordering::Relaxed);
        outcome
    });
    outcome.expect_code(0).expect_value("http_reqs", "count", 4000.0);
    outcome.expect_value("iterations", "count", 80.0);
    let failed = outcome.file("log.txt").lines().count();
    outcome.expect_value("http_req_failed", "passes", failed as f64);
    // Each request with an answer was answered by nginx; one that it answered may have failed on the way.
    assert!(nginx.answered("HTTP/2.0", 4000 - failed) >= 4000 - failed, "{failed} failed");
    assert!(failed < 40, "{}", outcome.file("log.txt"));
}

#[test]
fn a_body_that_comes_slowly_from_nginx_is_whole() {
    let Some(nginx) = Nginx::start(1000) else { return };
    let base = format!("https://{}", nginx.address());
    let body = r#"
  const both = http.batch([`${base}/slow`, `${base}/big`])
  console.log(both.map((r) => `${r.proto} ${r.status} ${r.body.length} ${r.timings.receiving > 50}`).join())"#;
    let outcome = run(&base, "", body);
    let told = outcome.file("log.txt");
    assert!(told.starts_with("HTTP/2.0 200 20000 true,HTTP/2.0 200 300000 "), "{told}");
}

fn ok(asked: Asked) -> Reply {
    Reply::Says(page(asked.id, &[], b"hello"))
}

/// The server resets streams before, within and after their answers, refuses some, sends its clients away in order and at once, and ends
/// connections without a word, while eight VUs have many requests under way. Each request has an outcome, and each is in the figures.
#[test]
fn no_request_is_lost_whatever_ends_when() {
    let answered = Arc::new(AtomicUsize::new(0));
    let by_server = answered.clone();
    let site = Site::start(move |asked| {
        let Asked { id, before, .. } = asked;
        let head = frame(HEADERS, END_HEADERS, id, &fields(&[]));
        let part = [head.clone(), frame(DATA, 0, id, b"hel")].concat();
        let whole = page(id, &[], b"hello");
        match before % 97 {
            1 => Reply::Says(reset(id, INTERNAL_ERROR)),
            7 => Reply::Says([part, reset(id, CANCEL)].concat()),
            13 => Reply::Says(reset(id, REFUSED_STREAM)),
            19 => Reply::SaysAndLeaves(goaway(id.saturating_sub(2), 0)),
            29 => Reply::SaysAndLeaves(goaway(id, ENHANCE_YOUR_CALM)),
            37 => Reply::SaysAndLeaves(part),
            43 => Reply::SaysAndLeaves(Vec::new()),
            // The answer has come; what follows must not undo it.
            53 => {
                by_server.fetch_add(1, Ordering::Relaxed);
                Reply::SaysAndLeaves([whole, goaway(id, 0)].concat())
            }
            61 => {
                by_server.fetch_add(1, Ordering::Relaxed);
                Reply::Says([whole, reset(id, 0)].concat())
            }
            _ => {
                by_server.fetch_add(1, Ordering::Relaxed);
                Reply::Says(whole)
            }
        }
    });
    let body = r#"
  const codes = [1000, 1220, 1611, 1622, 1633, 1639]
  for (const r of http.batch(Array(20).fill(`${base}/`))) {
    if (r.error !== "" && !codes.includes(r.error_code)) throw new Error(`${r.error_code} ${r.error}`)
    if (r.error === "" && r.body !== "hello") throw new Error(r.body)
    console.log(r.error === "" ? "good" : `failed ${r.error_code}`)
  }"#;
    let outcome = run(&site.url, "vus: 8, iterations: 100, batch: 20, batchPerHost: 20", body);
    outcome.expect_value("iterations", "count", 100.0).expect_value("http_reqs", "count", 2000.0);
    let log = outcome.file("log.txt");
    let (good, failed) = (log.matches("good\n").count(), log.matches("failed ").count());
    assert_eq!(good + failed, 2000);
    assert!(good > 1000 && failed > 60, "{good} good, {failed} failed");
    for code in ["1633", "1639", "1622"] {
        assert!(log.contains(&format!("failed {code}\n")), "no {code}");
    }
    outcome.expect_value("http_req_failed", "passes", failed as f64);
    // What has come was sent. Some requests were on their way when their connection ended, so the server has not seen all.
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered >= good && site.streams() > answered, "{answered} of {}", site.streams());
}

/// What came of one request.
fn told(site: &Site, options: &str, call: &str) -> String {
    let outcome = program(&site.url, options, &format!("tell({call})")).run();
    outcome.expect_code(0).expect_value("http_reqs", "count", 1.0);
    outcome.expect_value("http_req_failed", "passes", 1.0).expect_value("iterations", "count", 1.0);
    outcome.file("log.txt").trim().to_owned()
}

const GET: &str = "http.get(base, { timeout: 3000 })";

#[test]
fn what_a_server_must_not_say_is_an_error() {
    type Bad = fn(Asked) -> Reply;
    let rows: [(Bad, &str); 11] = [
        // It lies about the length, both ways.
        (|asked| Reply::Says(page(asked.id, &[("content-length", "10")], b"short")), " 1000 unexpected EOF"),
        (
            |asked| Reply::Says(page(asked.id, &[("content-length", "2")], b"too long")),
            " 1000 net/http: server replied with more than declared Content-Length; truncated",
        ),
        // Its compression is broken.
        (|asked| Reply::Says(page(asked.id, &[("content-encoding", "gzip")], b"oops")), " 1701 "),
        (|asked| Reply::Says(page(asked.id, &[("content-encoding", "br")], b"oops")), " 1701 "),
        // No head can be made of it.
        (
            |asked| Reply::Says(frame(HEADERS, END_HEADERS | END_STREAM, asked.id, &[0xff; 9])),
            " 1652 http2: connection error with http2 ErrCode PROTOCOL_ERROR",
        ),
        // A body without a head, a frame that is too long, what is not HTTP/2, a stream that nobody has begun.
        (|asked| Reply::Says(frame(DATA, END_STREAM, asked.id, b"hello")), " 165"),
        (|asked| Reply::Says(frame(DATA, 0, asked.id, &[0; 17_000])), " 1657 "),
        (|_| Reply::SaysAndLeaves(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()), " 1657 "),
        (|asked| Reply::Says(page(asked.id + 2, &[], b"hello")), " 165"),
        // It goes.
        (|asked| Reply::SaysAndLeaves(goaway(asked.id, PROTOCOL_ERROR)), " 1612 "),
        (|_| Reply::SaysAndLeaves(Vec::new()), " 1000 "),
    ];
    for (at, (bad, text)) in rows.into_iter().enumerate() {
        let site = Site::start(bad);
        let told = told(&site, "", GET);
        assert!(told.contains(text), "row {at}: {told}");
    }
}

#[test]
fn what_never_ends_costs_no_more_than_the_timeout_and_little_memory() {
    type Bad = fn(Asked) -> Reply;
    let rows: [(&str, Bad, &str); 7] = [
        ("a body", |asked| Reply::SaysWithoutEnd(head(asked), frame(DATA, 0, asked.id, b"x")), " 1050 "),
        // Faster than the client allows.
        (
            "a torrent",
            |asked| Reply::SaysWithoutEnd(head(asked), frame(DATA, 0, asked.id, &[0; 8000])),
            " 1634 ",
        ),
        (
            "a head",
            |asked| {
                let more = frame(CONTINUATION, 0, asked.id, &fields(&[("x-more", "0123456789")])[1..]);
                Reply::SaysWithoutEnd(frame(HEADERS, 0, asked.id, &fields(&[])), more)
            },
            "",
        ),
        ("early hints", |asked| Reply::SaysWithoutEnd(Vec::new(), hints(asked.id)), ""),
        ("pings", |_| Reply::SaysWithoutEnd(Vec::new(), frame(PING, 0, 0, &[7; 8])), ""),
        ("settings", |_| Reply::SaysWithoutEnd(Vec::new(), frame(SETTINGS, 0, 0, &[])), ""),
        ("nothing", |_| Reply::Says(Vec::new()), " 1050 request timeout"),
    ];
    for (what, bad, text) in rows {
        let site = Site::start(bad);
        let options = "discardResponseBodies: true";
        let begun = Instant::now();
        let running =
            program(&site.url, options, "tell(http.get(base, { timeout: 1000 })); console.log('over')")
                .start();
        let mut peak = 0;
        while begun.elapsed() < Duration::from_secs(30) {
            match running.peak_kib() {
                Some(kib) => peak = peak.max(kib),
                None => break,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let outcome = running.finish();
        outcome.expect_code(0).expect_value("http_reqs", "count", 1.0);
        outcome.expect_value("http_req_failed", "passes", 1.0).expect_value("iterations", "count", 1.0);
        let told = outcome.file("log.txt");
        assert!(told.contains(text) && told.ends_with("over\n"), "{what}: {told}");
        assert!(peak > 1000 && peak < 160_000, "{what}: {peak} KiB");
    }
}

/// The head of a response whose body is still to come.
fn head(asked: Asked) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, asked.id, &fields(&[]))
}

/// A head with status 103, which another one follows.
fn hints(stream: u32) -> Vec<u8> {
    let mut block = vec![0x08, 3];
    block.extend(b"103");
    frame(HEADERS, END_HEADERS, stream, &block)
}

#[test]
fn a_slow_server_is_a_server() {
    let site = Site::start(|asked| Reply::Drips(page(asked.id, &[("x-slow", "yes")], b"hello")));
    let outcome = run(&site.url, "iterations: 3", "const r = http.get(base); console.log(r.status, r.body)");
    assert_eq!((outcome.file("log.txt"), site.connections()), ("200 hello\n".repeat(3), 1));
}

#[test]
fn a_server_that_takes_no_body_costs_the_timeout() {
    // Its windows are of size 0.
    let site = Site::with_settings(&[(4, 0)], |_| Reply::Says(Vec::new()));
    let told = told(&site, "", "http.post(base, 'x'.repeat(1000), { timeout: 1000 })");
    assert!(told.ends_with(" 1050 request timeout"), "{told}");
}

#[test]
fn redirects_in_a_circle_end_over_http2_too() {
    let site = Site::start(|asked| {
        let mut block = vec![0x08, 3];
        block.extend(b"302");
        block.extend(&fields(&[("location", "/again")])[1..]);
        Reply::Says(frame(HEADERS, END_HEADERS | END_STREAM, asked.id, &block))
    });
    let outcome = run(&site.url, "", "tell(http.get(base))");
    outcome.expect_value("http_reqs", "count", 11.0);
    assert_eq!((outcome.file("log.txt").as_str(), site.streams()), ("HTTP/2.0 302 0 \n", 11));
}

/// A server that answers before it has the whole body, and takes no more of it, has answered. So has one that answers to `HEAD` with a body.
#[test]
fn an_early_answer_is_an_answer() {
    type Early = fn(Asked) -> Reply;
    let rows: [Early; 4] = [
        |asked| Reply::SaysAndBreaks(page(asked.id, &[], b"no more")),
        |asked| Reply::SaysAndBreaks([page(asked.id, &[], b"no more"), goaway(asked.id, 0)].concat()),
        |asked| Reply::SaysAndLeaves(page(asked.id, &[], b"no more")),
        |asked| Reply::Says([page(asked.id, &[], b"no more"), reset(asked.id, 0)].concat()),
    ];
    for (at, early) in rows.into_iter().enumerate() {
        let site = Site::start(early);
        let body = "const r = http.post(base, 'x'.repeat(1000000)); console.log(r.status, r.body, r.error)";
        // A request that is sent while the server leaves is lost, so none is sent over a connection that had one.
        let outcome = run(&site.url, "iterations: 10, noConnectionReuse: true", body);
        outcome.expect_value("http_reqs", "count", 10.0).expect_value("http_req_failed", "passes", 0.0);
        assert_eq!(outcome.file("log.txt"), "200 no more \n".repeat(10), "row {at}");
    }
    let site = Site::start(ok);
    let outcome = run(&site.url, "", "tell(http.head(base))");
    assert_eq!(outcome.file("log.txt"), "HTTP/2.0 200 0 \n");
}

/// A server that ends a connection in between, without a word, costs no request.
#[test]
fn a_connection_that_has_ended_is_not_used_again() {
    type Leaving = fn(Asked) -> Reply;
    let rows: [Leaving; 2] = [
        |asked| Reply::SaysAndLeaves(page(asked.id, &[], b"bye")),
        |asked| Reply::SaysAndBreaks(page(asked.id, &[], b"bye")),
    ];
    for (at, leaving) in rows.into_iter().enumerate() {
        let site = Site::start(leaving);
        let body = "const r = http.get(base); console.log(r.status, r.body, r.error); sleep(0.5)";
        let outcome = run(&site.url, "iterations: 5", body);
        outcome.expect_value("http_reqs", "count", 5.0).expect_value("http_req_failed", "passes", 0.0);
        assert_eq!(outcome.file("log.txt"), "200 bye \n".repeat(5), "row {at}");
        assert_eq!(site.connections(), 5, "row {at}");
    }
}

/// More requests than the server takes at a time have more connections.
#[test]
fn the_limit_of_the_server_is_kept() {
    // It takes 10 at a time.
    let site = Site::with_settings(&[(3, 10)], ok);
    let body = "for (const r of http.batch(Array(60).fill(base))) console.log(r.body)";
    let outcome = run(&site.url, "iterations: 5, batch: 60, batchPerHost: 60", body);
    outcome.expect_value("http_reqs", "count", 300.0).expect_value("http_req_failed", "passes", 0.0);
    assert_eq!((outcome.file("log.txt"), site.streams()), ("hello\n".repeat(300), 300));
}
