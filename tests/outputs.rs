//! Outputs that send, and receivers that are slow, away, or come back: the test goes on, and what was lost is told.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// Ten samples of its own a second, for three seconds.
const STEADY: &str = "import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
export const options = { vus: 1, iterations: 30, systemTags: [] };
const hits = new Counter('hits');
export default function () { hits.add(1); sleep(0.1); }";

/// A web server that answers every request with 204 and keeps the bodies, until it is stopped.
struct Sink {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    fn start(address: SocketAddr, bodies: Arc<Mutex<Vec<Vec<u8>>>>) -> Self {
        let listener = TcpListener::bind(address).expect("the port");
        let address = listener.local_addr().expect("an address");
        let (stop, kept) = (Arc::<AtomicBool>::default(), bodies.clone());
        let is_over = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(body) = stream.ok().and_then(|stream| answer(stream).ok()) {
                    kept.lock().unwrap().push(body);
                }
            }
        });
        Self { address, stop, bodies, thread: Some(thread) }
    }

    fn new() -> Self {
        Self::start(([127, 0, 0, 1], 0).into(), Arc::default())
    }

    /// The port is closed when this returns.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }

    /// Waits until so many requests have come.
    fn wait_for(&self, requests: usize) {
        let from = Instant::now();
        while self.received() < requests {
            assert!(from.elapsed() < Duration::from_secs(20), "{} requests have come", self.received());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn received(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(stream: TcpStream) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    Ok(body)
}

fn steady(output: &str) -> Program {
    Program::script(BINARY, STEADY).args(["--out", output, "--out", "json=samples.json"])
}

fn prometheus(address: SocketAddr) -> String {
    format!("prometheus-rw=url=http://{address}/api/v1/write,pushInterval=200ms")
}

/// How many samples the end of the run calls lost, and of how many.
fn told(outcome: &Outcome) -> (u64, u64) {
    let line =
        outcome.log_lines("is incomplete: ").first().copied().unwrap_or_else(|| outcome.fail("no loss"));
    let (_, rest) = line.split_once("is incomplete: ").expect("just found");
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok());
    (numbers.next().expect("a number"), numbers.next().expect("another"))
}

fn samples(outcome: &Outcome) -> u64 {
    outcome.file("samples.json").matches("\"type\":\"Point\"").count() as u64
}

#[test]
fn a_receiver_that_comes_back_gets_everything() {
    let mut sink = Sink::new();
    let (address, bodies) = (sink.address, sink.bodies.clone());
    let running = steady(&prometheus(address)).start();
    sink.wait_for(2);
    sink.stop();
    std::thread::sleep(Duration::from_millis(800));
    let back = Sink::start(address, bodies);
    let before = back.received();
    let outcome = running.finish();
    outcome.expect_code(0).expect_text("Failed to send the time series data to the endpoint");
    assert!(back.received() > before, "it got nothing after it was back");
    assert_eq!(outcome.log_lines("is incomplete"), [""; 0], "totals make up for what failed");
}

#[test]
fn a_receiver_that_stays_away_is_told_to_the_sample() {
    let mut sink = Sink::new();
    let running = steady(&prometheus(sink.address)).start();
    sink.wait_for(2);
    sink.stop();
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("hits", "count", 30.0).expect_text("onnection refused");
    let (lost, of) = told(&outcome);
    assert_eq!(of, samples(&outcome), "every sample that JSON has was given");
    assert!(lost > 0 && lost < of, "{lost} of {of}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = steady(&prometheus(nobody)).run();
    outcome.expect_code(0);
    let all = samples(&outcome);
    assert_eq!(told(&outcome), (all, all));
    assert_eq!(outcome.log_lines("Successful"), [""; 0], "no push was one");
}

#[test]
fn a_wrong_setting_is_named() {
    let settings = [
        (
            "csv=file.csv",
            "K6_CSV_SAVE_INTERVAL",
            "soon",
            "K6_CSV_SAVE_INTERVAL: time: invalid duration \"soon\"",
        ),
        ("csv=file.csv", "K6_CSV_TIME_FORMAT", "iso", "K6_CSV_TIME_FORMAT: iso is no time format"),
        ("csv=saveInterval=soon", "UNUSED", "", "saveInterval: time: invalid duration \"soon\""),
        ("statsd", "K6_STATSD_ADDR", "nowhere", "K6_STATSD_ADDR: nowhere: invalid socket address"),
        ("datadog", "K6_DATADOG_ADDR", "h:port", "K6_DATADOG_ADDR: h:port: invalid port value"),
        ("statsd=h:port", "K6_STATSD_ADDR", "127.0.0.1:8125", "addr: h:port: invalid port value"),
    ];
    for (output, variable, value, expected) in settings {
        let program = Program::script(BINARY, STEADY).args(["--out", output]);
        program.env(variable, value).run().expect_code(255).expect_text(expected);
    }
}

#[test]
fn two_outputs_do_not_share_a_file() {
    for other in ["csv=./both", "junit=both"] {
        let outcome = steady("json=both").args(["--out", other]).run();
        outcome.expect_code(255).expect_text("both: another output, or another run, writes to it");
    }
}

#[test]
fn a_receiver_that_never_answers_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut running = steady(&prometheus(silent.local_addr().unwrap())).start();
    std::thread::sleep(Duration::from_millis(2500));
    let resident = running.resident_kib().expect("it runs");
    assert!(resident < 300 * 1024, "{resident} KiB");
    running.wait_for("Failed to send");
    let outcome = running.finish();
    outcome.expect_code(0).expect_value("iterations", "count", 30.0);
    let duration = outcome.measured("iteration_duration", "max");
    assert!(duration < 1000.0, "an iteration took {duration} ms");
    assert!(outcome.elapsed < Duration::from_secs(25), "{:?}", outcome.elapsed);
    let all = samples(&outcome);
    assert_eq!(told(&outcome), (all, all));
}

#[test]
fn datagrams_reach_a_server_of_statsd() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let outcome = steady(&format!("statsd={},pushInterval=200ms", server.local_addr().unwrap())).run();
    outcome.expect_code(0);
    let (mut hits, mut bytes) = (0, [0; 65536]);
    while let Ok(length) = server.recv(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let counts = text.lines().filter_map(|line| line.strip_prefix("k6.hits:")?.strip_suffix("|c"));
        hits += counts.map(|count| count.parse::<u64>().expect("a whole number")).sum::<u64>();
    }
    assert_eq!(hits, 30);
    assert_eq!(outcome.log_lines("is incomplete"), [""; 0]);
}

#[test]
fn datagrams_over_a_unix_socket_that_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dsd.socket");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let running = steady(&format!("datadog=unix://{},pushInterval=200ms", path.display())).start();
    let mut bytes = [0; 65536];
    let length = loop {
        match server.recv(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => break received.unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    assert!(text.starts_with("k6.") && text.contains("|c"), "{text}");
    std::fs::remove_file(&path).unwrap();
    drop(server);
    let outcome = running.finish();
    outcome.expect_code(0).expect_text("no such file or directory");
    let (lost, of) = told(&outcome);
    assert!(lost > 0 && lost < of && of == samples(&outcome), "{lost} of {of}");
}

#[test]
fn build_servers_get_thresholds_and_checks() {
    let script = "import { check } from 'k6';
export const options = { iterations: 2, thresholds: { iterations: ['count<2', 'count<5'], 'vus{no:one}': ['value<1'] } };
export default function () { check(__ITER, { 'is <first>': (n) => n === 0, fine: () => true }); }";
    let outcome = Program::script(BINARY, script).args(["--out", "junit=results.xml"]).run();
    outcome.expect_code(99);
    let xml = outcome.file("results.xml");
    for part in [
        "<testsuites name=\"k6\" tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"1\"",
        "<testcase classname=\"iterations\" name=\"count&lt;2\">\n      <failure message=\"count is 2\"/>",
        "<testcase classname=\"iterations\" name=\"count&lt;5\"/>",
        "<skipped message=\"there was nothing to judge: no data\"/>",
        "<testcase classname=\"default\" name=\"fine\"/>",
        "name=\"is &lt;first&gt;\">\n      <failure message=\"1 of 2 failed, 1 passed\"/>",
    ] {
        assert!(xml.contains(part), "{part} expected in {xml}");
    }
}

#[test]
fn help_lists_outputs_and_their_settings() {
    let outcome = Program::new(BINARY).args(["run", "--out", "help"]).run();
    outcome.expect_code(0);
    for text in
        ["experimental-prometheus-rw", "also called: output-statsd", "K6_JUNIT_FILENAME", "pushInterval"]
    {
        assert!(outcome.stdout.contains(text), "{text} expected in {}", outcome.stdout);
    }
}

#[test]
fn a_variable_of_the_script_that_is_an_option_is_warned_of() {
    let run = |pair: &str| Program::script(BINARY, "export default function () {}").args(["-e", pair]).run();
    for name in
        ["K6_VUS", "K6_OUT", "K6_PROMETHEUS_RW_SERVER_URL", "K6_PROMETHEUS_RW_HEADERS_X", "K6_LOG_OUTPUT"]
    {
        let outcome = run(&format!("{name}=1"));
        outcome.expect_code(0).expect_text(&format!("-e {name}=… only sets __ENV.{name}"));
    }
    for name in ["MY_VAR", "K6_VUSES", "K6_MINE"] {
        assert_eq!(run(&format!("{name}=1")).log_lines("only sets"), [""; 0], "{name}");
    }
}

#[test]
fn instances_that_a_server_could_not_tell_apart_are_warned() {
    let segment = ["--execution-segment=0:1/2", "--execution-segment-sequence=0,1/2,1"];
    let script = "export default function () {}; export const options = { tags: { release: '42' } }";
    let warnings = |arguments: &[&str]| {
        let out = "experimental-prometheus-rw=http://127.0.0.1:1/api/v1/write";
        let program = Program::script(BINARY, script).args(["--out", out]).args(arguments.iter().copied());
        let outcome = program.within(Duration::from_secs(60)).run();
        outcome
            .log_lines("runs a segment of the test and sends its results to experimental-prometheus-rw")
            .len()
    };
    let of = |more: &[&'static str]| [&segment[..], more].concat();
    assert_eq!(warnings(&of(&[])), 1);
    assert_eq!(warnings(&of(&["--tag", "instance_id=0"])), 0);
    assert_eq!(warnings(&["--instance-index=0", "--instance-count=2"]), 0);
    assert_eq!(warnings(&[]), 0);
}
