//! `--out opentelemetry`: what arrives at a receiver that is made of other people's code, and what the test says of the rest.

#[allow(dead_code, reason = "tests of other outputs look at more of a request")]
#[path = "outputs/database.rs"]
mod database;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use database::{Database, Manner};
use senary_testkit::{Outcome, Program, Signal};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const PATIENCE: Duration = Duration::from_secs(40);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A receiver in Python.
struct Receiver {
    child: Child,
    http: u16,
    grpc: u16,
    file: PathBuf,
    folder: Option<TempDir>,
}

impl Receiver {
    /// `None`, and a line on standard error, if there is no Python with the packages.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("requests.jsonl");
        let mut receiver = Self::on(file, &[])?;
        receiver.folder = Some(folder);
        Some(receiver)
    }

    fn on(file: PathBuf, ports: &[u16]) -> Option<Self> {
        // `.ci/run` makes the first.
        let pythons = [root().join("target/python/bin/python"), "python3".into()];
        let has_packages = |python: &PathBuf| {
            let imports = "import grpc, opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc";
            Command::new(python)
                .args(["-c", imports])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        };
        let Some(python) = pythons.into_iter().find(has_packages) else {
            eprintln!(
                "skipped: no Python with opentelemetry-proto and grpcio in target/python (python3 -m venv target/python; target/python/bin/pip install opentelemetry-proto grpcio)"
            );
            return None;
        };
        let mut child = Command::new(python)
            .arg(root().join("tests/outputs/otlp_receiver.py"))
            .arg(&file)
            .args(ports.iter().map(u16::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its ports");
        let mut ports = line.split_whitespace().map(|port| port.parse().expect("a port"));
        let (http, grpc) = (ports.next().expect("a port"), ports.next().expect("a port"));
        Some(Self { child, http, grpc, file, folder: None })
    }

    /// Dies, and leaves its ports and what it has written down.
    fn die(mut self) -> (PathBuf, [u16; 2], TempDir) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
        let (file, ports) = (self.file.clone(), [self.http, self.grpc]);
        (file, ports, self.folder.take().expect("the first one has it"))
    }

    fn wait_for(&self, requests: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.requests().len() < requests {
            assert!(Instant::now() < deadline, "{}", self.requests().len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        // A line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn over_http(script: &str, receiver: u16) -> Program {
    Program::script(BINARY, script)
        .args(["--out", "json=all.json", "--out", "opentelemetry"])
        .env("K6_OTEL_EXPORTER_PROTOCOL", "http/protobuf")
        .env("K6_OTEL_HTTP_EXPORTER_ENDPOINT", format!("127.0.0.1:{receiver}"))
        .env("K6_OTEL_HTTP_EXPORTER_INSECURE", "true")
}

fn over_grpc(script: &str, receiver: u16) -> Program {
    Program::script(BINARY, script)
        .args(["--out", "json=all.json", "--out", "opentelemetry"])
        .env("K6_OTEL_GRPC_EXPORTER_ENDPOINT", format!("127.0.0.1:{receiver}"))
        .env("K6_OTEL_GRPC_EXPORTER_INSECURE", "true")
}

fn metrics(request: &Value) -> Vec<Value> {
    let all = request["request"]["resourceMetrics"].as_array().cloned().unwrap_or_default();
    let scopes = all.iter().flat_map(|one| one["scopeMetrics"].as_array().cloned().unwrap_or_default());
    scopes.flat_map(|scope| scope["metrics"].as_array().cloned().unwrap_or_default()).collect()
}

/// The points of a metric in a request.
fn points(request: &Value, name: &str) -> Vec<Value> {
    let all = metrics(request).into_iter().filter(|metric| metric["name"] == name);
    all.flat_map(|metric| {
        let kinds = ["sum", "gauge", "histogram", "exponentialHistogram"];
        let data = kinds.iter().find_map(|kind| metric.get(kind)).unwrap_or_else(|| panic!("{metric}"));
        data["dataPoints"].as_array().cloned().unwrap_or_default()
    })
    .collect()
}

/// A number of the JSON of protobuf, where large whole ones are texts and zero is left out.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number")),
        Value::Null => 0.0,
        other => other.as_f64().unwrap_or_else(|| panic!("{other} is not a number")),
    }
}

fn value(point: &Value) -> f64 {
    number(
        point
            .get("asDouble")
            .or_else(|| point.get("asInt"))
            .or_else(|| point.get("count"))
            .unwrap_or(&Value::Null),
    )
}

/// The sum of a metric over its points.
fn sum(request: &Value, name: &str) -> f64 {
    points(request, name).iter().map(value).sum()
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    let all = of["attributes"].as_array().cloned().unwrap_or_default();
    let pair = |one: &Value| {
        let value = one["value"]["stringValue"].as_str().unwrap_or_else(|| panic!("{one}"));
        (one["key"].as_str().expect("a key").to_owned(), value.to_owned())
    };
    all.iter().map(pair).collect()
}

fn samples(outcome: &Outcome, name: &str) -> Vec<f64> {
    let all = outcome.file("all.json");
    let lines = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let own = lines.filter(|line| line["type"] == "Point" && (name.is_empty() || line["metric"] == name));
    own.map(|line| line["data"]["value"].as_f64().unwrap_or(f64::NAN)).collect()
}

fn lost(outcome: &Outcome) -> u64 {
    let lines = outcome.log_lines("is incomplete");
    let Some(line) = lines.first() else { return 0 };
    let count = line.split("is incomplete: ").nth(1).and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

const EVERYTHING: &str = "
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
export const options = { vus: 3, iterations: 60, systemTags: ['scenario', 'vu'], tags: { run: 'r 1' } };
const hits = new Counter('hits'), level = new Gauge('level'), ok = new Rate('ok'), lag = new Trend('lag', true);
const odd = ['', ' ', '\\n', 'ünï', '💥', '\\0', 'x'.repeat(5000), '\\ud800'];
export default function () {
  odd.forEach((v, i) => hits.add(1, { v, n: String(i), condition: 'mine', '': 'x' }));
  ok.add(1, { condition: 'mine' }); ok.add(0);
  level.add(__ITER); level.add(Infinity);
  for (let i = 1; i <= 50; i++) lag.add(Math.exp(i / 5));
  [0, -5, Infinity, 1e308, 5e-324].forEach((v) => lag.add(v, { odd: 'yes' }));
}";

/// The value below which a part of the values is, by the buckets of an exponential histogram.
fn quantile(point: &Value, part: f64) -> f64 {
    let scale = number(&point["scale"]) as i32;
    let base = 2.0_f64.powf(2.0_f64.powi(-scale));
    let mut rest = part * number(&point["count"]) - number(&point["zeroCount"]);
    let positive = &point["positive"];
    let offset = number(&positive["offset"]) as i32;
    for (index, count) in (offset..).zip(positive["bucketCounts"].as_array().expect("buckets")) {
        rest -= number(count);
        if rest <= 0.0 {
            return base.powf(f64::from(index) + 0.5);
        }
    }
    panic!("{point}")
}

#[test]
fn everything_arrives_over_both_protocols_compressed_or_not() {
    let Some(receiver) = Receiver::start() else { return };
    for (is_grpc, compression) in [(false, "none"), (false, "gzip"), (true, "none"), (true, "gzip")] {
        let program =
            if is_grpc { over_grpc(EVERYTHING, receiver.grpc) } else { over_http(EVERYTHING, receiver.http) };
        let outcome = program
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .env("K6_OTEL_HEADERS", "x-one=a%20b")
            .env("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb")
            .run();
        outcome.expect_code(0);
        let last = receiver.requests().pop().expect("a request");
        assert_eq!(last["headers"]["x-one"], "a b");
        let way = if is_grpc { "grpc" } else { "http /v1/metrics" };
        assert_eq!(last["way"], way);
        let resource = attributes(&last["request"]["resourceMetrics"][0]["resource"]);
        assert_eq!((&*resource["service.name"], &*resource["team"]), ("k6", "a,b"));
        assert_eq!(sum(&last, "hits"), 60.0 * 8.0);
        assert_eq!(points(&last, "hits").len(), 8);
        for point in points(&last, "hits") {
            let attributes = attributes(&point);
            assert_eq!((&*attributes["run"], &*attributes["condition"]), ("r 1", "mine"));
            assert!(!attributes.contains_key("") && !attributes.contains_key("vu"), "{attributes:?}");
        }
        let rate: Vec<_> = points(&last, "ok.total")
            .iter()
            .map(|p| (attributes(p)["condition"].clone(), value(p)))
            .collect();
        assert_eq!(rate, [("nonzero".to_owned(), 60.0), ("zero".to_owned(), 60.0)]);
        // Three samples of each iteration are infinite.
        assert_eq!(lost(&outcome), 60 * 2, "{}", outcome.stderr);
        let lag: Vec<_> =
            points(&last, "lag").into_iter().filter(|p| !attributes(p).contains_key("odd")).collect();
        assert_eq!((lag.len(), value(&lag[0])), (1, 60.0 * 50.0));
        for (part, exact) in [(0.5, 5.0_f64.exp()), (0.9, 9.0_f64.exp()), (0.99, 10.0_f64.exp())] {
            let told = quantile(&lag[0], part);
            assert!((told / exact - 1.0).abs() < 0.05, "{part}: {told} and {exact}");
        }
    }
}

const TICKS: &str = "
import { sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';
export const options = { vus: 2, iterations: 2, systemTags: [] };
const hits = new Counter('hits'), lag = new Trend('lag', true);
export default function () {
  for (let i = 0; i < 60; i++) { hits.add(1); lag.add(i); sleep(0.05); }
}";

#[test]
fn deltas_add_up_and_touch_each_other() {
    let Some(receiver) = Receiver::start() else { return };
    let outcome = over_http(TICKS, receiver.http)
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .env("K6_OTEL_EXPORT_INTERVAL", "300ms")
        .run();
    outcome.expect_code(0);
    let requests = receiver.requests();
    assert!(requests.len() > 4, "{}", requests.len());
    assert_eq!(requests.iter().map(|request| sum(request, "hits")).sum::<f64>(), 120.0);
    assert_eq!(requests.iter().map(|request| sum(request, "lag")).sum::<f64>(), 120.0);
    let spans: Vec<_> = requests.iter().flat_map(|request| points(request, "hits")).collect();
    for pair in spans.windows(2) {
        assert_eq!(pair[0]["timeUnixNano"], pair[1]["startTimeUnixNano"]);
    }
    assert_eq!(lost(&outcome), 0);
    assert_eq!(metrics(&requests[0])[0]["sum"]["aggregationTemporality"], "AGGREGATION_TEMPORALITY_DELTA");
}

#[test]
fn a_receiver_that_dies_and_comes_back_gets_everything_in_the_end() {
    for is_grpc in [false, true] {
        let Some(receiver) = Receiver::start() else { return };
        // It is ended once the receiver is back, however long that takes.
        let script = TICKS.replace("i < 60", "i < 1200");
        let program =
            if is_grpc { over_grpc(&script, receiver.grpc) } else { over_http(&script, receiver.http) };
        let mut running = program.env("K6_OTEL_EXPORT_INTERVAL", "200ms").start();
        receiver.wait_for(3);
        let (file, ports, _folder) = receiver.die();
        std::thread::sleep(Duration::from_millis(700));
        let receiver = Receiver::on(file, &ports).expect("it was there");
        receiver.wait_for(receiver.requests().len() + 1);
        running.signal(Signal::INT);
        let outcome = running.finish();
        outcome.expect_code(105).expect_text("failed to upload metrics");
        assert_eq!(lost(&outcome), 0, "{}", outcome.stderr);
        let totals: Vec<_> = receiver.requests().iter().map(|request| sum(request, "hits")).collect();
        assert!(totals.is_sorted(), "{totals:?}");
        assert_eq!(totals.last().copied(), Some(samples(&outcome, "hits").len() as f64));
    }
}

#[test]
fn deltas_that_did_not_arrive_are_told_to_the_sample() {
    // Each export is refused, but the first.
    let receiver = Database::start(Manner { statuses: vec![200, 400], ..Manner::default() });
    let outcome = over_http(TICKS, receiver.port)
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .env("K6_OTEL_EXPORT_INTERVAL", "1s")
        .run();
    outcome.expect_code(0);
    let all = samples(&outcome, "").len() as u64;
    let lost = lost(&outcome);
    assert!(lost > 100 && lost < all, "{lost} of {all}: {}", outcome.stderr);
    outcome.expect_text("400");
    assert!(receiver.requests().len() >= 3);
}

#[test]
fn without_a_receiver_everything_is_lost_and_the_exit_code_is_that_of_the_test() {
    let gone = Database::start(Manner::default());
    let port = gone.port;
    drop(gone);
    for program in [over_http(TICKS, port), over_grpc(TICKS, port)] {
        let outcome = program.run();
        outcome.expect_code(0).expect_text("failed to upload metrics").expect_text("connection refused");
        assert_eq!(lost(&outcome), samples(&outcome, "").len() as u64, "{}", outcome.stderr);
    }
    // What it says is no HTTP/2.
    let other = Database::start(Manner::default());
    let outcome = over_grpc(TICKS, other.port).env("OTEL_EXPORTER_OTLP_TIMEOUT", "500").run();
    outcome.expect_code(0);
    assert_eq!(lost(&outcome), samples(&outcome, "").len() as u64, "{}", outcome.stderr);
}

#[test]
fn a_receiver_that_never_answers_holds_up_the_end_for_a_while_only() {
    let stuck = Database::start(Manner { delay: Duration::from_secs(60), ..Manner::default() });
    let from = Instant::now();
    let outcome = over_http(TICKS, stuck.port).env("K6_OTEL_EXPORT_INTERVAL", "100ms").run();
    outcome.expect_code(0);
    assert!(from.elapsed() < Duration::from_secs(25), "{:?}", from.elapsed());
    assert_eq!(lost(&outcome), samples(&outcome, "").len() as u64, "{}", outcome.stderr);
}

#[test]
fn words_of_the_receiver_reach_the_user() {
    let Some(receiver) = Receiver::start() else { return };
    let refused = over_grpc(TICKS, receiver.grpc).env("K6_OTEL_HEADERS", "x-refuse=1").run();
    refused.expect_code(0).expect_text("code = InvalidArgument desc = not like this: ünï");
    assert_eq!(lost(&refused), samples(&refused, "").len() as u64);
    let partly = over_grpc(TICKS, receiver.grpc).env("K6_OTEL_HEADERS", "x-partly=1").run();
    partly.expect_code(0).expect_text("has refused 7 points: too old");
    let without_tls = over_grpc(TICKS, receiver.grpc).env("K6_OTEL_GRPC_EXPORTER_INSECURE", "false").run();
    without_tls.expect_code(0).expect_text("K6_OTEL_GRPC_EXPORTER_INSECURE=true sends without TLS");
}

#[test]
fn many_series_come_in_requests_that_collectors_take() {
    let Some(receiver) = Receiver::start() else { return };
    let script = "
import { Counter, Trend } from 'k6/metrics';
export const options = { vus: 1, iterations: 1, systemTags: [] };
const hits = new Counter('hits'), lag = new Trend('lag', true);
export default function () {
  for (let i = 0; i < 5000; i++) { hits.add(1, { n: String(i) }); lag.add(i, { n: String(i) }); }
}";
    let outcome = over_grpc(script, receiver.grpc).run();
    outcome.expect_code(0);
    assert_eq!(lost(&outcome), 0, "{}", outcome.stderr);
    let requests = receiver.requests();
    assert!(requests.len() >= 5, "{}", requests.len());
    assert_eq!(requests.iter().map(|request| points(request, "hits").len()).sum::<usize>(), 5000);
    assert_eq!(requests.iter().map(|request| points(request, "lag").len()).sum::<usize>(), 5000);
}

#[test]
fn wrong_settings_stop_the_test_before_it_starts() {
    for (out, code, text) in [
        ("opentelemetry=exporterProtocol=thrift", 104, "unsupported exporter protocol \"thrift\""),
        (
            "opentelemetry=grpcExporterEndpoint=http://h:1",
            104,
            "endpoint must only be host and port, no scheme",
        ),
        ("opentelemetry=exportInterval=soon", 255, "exportInterval: time: invalid duration \"soon\""),
        ("opentelemetry=headers=a name=x", 255, "a name is not a valid header"),
        ("opentelemetry=grpcExporterEndpoint=h:99999", 255, "is not a URL: invalid port number"),
        ("opentelemetry=headers=x", 255, "headers: \"x\" is not NAME=VALUE"),
        ("opentelemetry=tlsCertificate=no-such.pem", 255, "open no-such.pem: no such file or directory"),
        ("opentelemetry=tlsClientKey=no-such.pem", 255, "a client certificate needs two files"),
        ("opentelemetry=serviceNam=x", 255, "did you mean serviceName?"),
    ] {
        let outcome = Program::script(BINARY, TICKS).args(["--out", out]).run();
        outcome
            .expect_code(code)
            .expect_text("could not create the 'opentelemetry' output")
            .expect_text(text);
    }
}
