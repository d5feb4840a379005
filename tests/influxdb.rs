//! `--out influxdb`: what arrives at real databases and at servers that are slow, refuse, die and come back; and what the test
//! says of the rest.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

#[path = "outputs/database.rs"]
mod database;
#[allow(dead_code, reason = "these servers need less than others")]
#[path = "protocols/installed.rs"]
mod installed;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use database::{Database, Manner};
use installed::Installed;
use senary_testkit::{Outcome, Program};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const PATIENCE: Duration = Duration::from_secs(20);

/// Values that a careless writer of the line protocol breaks on, as tags and as names of tags.
const ODD: &str = "
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
export const options = { vus: 3, iterations: 30, systemTags: ['scenario', 'vu', 'iter'] };
const hits = new Counter('hits'), lag = new Trend('lag', true), level = new Gauge('level'), ok = new Rate('ok');
const odd = ['', ' ', '\\\\', 'a\\\\', '\\n', '\\r\\n', 'a,b', 'a=b', '\"', '\\0', '\\t', '\\u2028', '💥', '\\\\,', '\\\\ ', '\\\\\\\\',
  'a'.repeat(5000), 'x\\\\=y', ' lead', 'trail ', '#c', '{}', '\\ud800'];
export default function () {
  odd.forEach((v, i) => {
    hits.add(1, { v, n: String(i) });
    hits.add(1, { [v || 'none']: 'k' + i });
  });
  [Infinity, -Infinity, 1e308, 5e-324, -5, 0, 1e21, 0.1].forEach((v) => lag.add(v));
  level.add(-0);
  hits.add(1, { time: 'now' });
  hits.add(1, { value: 'x', le: '5', url: 'http://x/\"\\\\' });
  for (let i = 0; i < 500; i++) ok.add(i % 2);
}";

/// What `ODD` adds up to, without what has no finite value.
const ODD_POINTS: [(&str, u64); 5] =
    [("hits", 30 * 48), ("lag", 30 * 6), ("level", 30), ("ok", 30 * 500), ("iterations", 30)];
const ODD_LOST: u64 = 30 * 2;

const HITS: &str = "
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
export const options = { vus: 1, iterations: 1, systemTags: [] };
const hits = new Counter('hits');
export default function () {
  for (let i = 0; i < 60; i++) { hits.add(1); sleep(0.05); }
}";

const THREE: &str = "
import { Counter } from 'k6/metrics';
const hits = new Counter('hits');
export default function () { for (let i = 0; i < 3; i++) hits.add(1); }";

/// A run that counts its own samples, in `all.json`.
fn program(script: &str, out: &str) -> Program {
    Program::script(BINARY, script).args(["--out", "json=all.json", "--out", out])
}

fn run(script: &str, out: &str) -> Outcome {
    let outcome = program(script, out).run();
    outcome.expect_code(0);
    outcome
}

/// How many samples a run had.
fn samples(outcome: &Outcome) -> u64 {
    outcome.file("all.json").lines().filter(|line| line.contains("\"type\":\"Point\"")).count() as u64
}

fn hits(body: &str) -> usize {
    body.lines().filter(|line| line.starts_with("hits")).count()
}

/// How many samples the end of the run says were lost; 0 if it says nothing.
fn lost(outcome: &Outcome) -> u64 {
    let lines = outcome.log_lines("is incomplete");
    let Some(line) = lines.first() else { return 0 };
    let count = line.split("is incomplete: ").nth(1).and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// One request over a connection of its own; the body of the answer.
fn ask(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a server");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}")).1.to_owned()
}

/// The number of points of each measurement.
fn counts(port: u16, db: &str) -> Value {
    let answer = ask(port, &format!("/query?db={db}&q=select%20count(value)%20from%20%2F.*%2F"));
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
    series.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), one["values"][0][1].clone())).collect()
}

/// The configuration of a database that listens on two ports and writes into its folder.
fn configuration(folder: &str, port: u16, udp: u16) -> String {
    format!(
        "reporting-disabled = true
bind-address = \"127.0.0.1:0\"
[meta]
dir = \"{folder}/meta\"
[data]
dir = \"{folder}/data\"
wal-dir = \"{folder}/wal\"
[http]
bind-address = \"127.0.0.1:{port}\"
log-enabled = false
[[udp]]
enabled = true
bind-address = \"127.0.0.1:{udp}\"
database = \"datagrams\"
batch-timeout = \"50ms\"
[monitor]
store-enabled = false
"
    )
}

/// A real InfluxDB, and the port where it takes datagrams.
fn influxd() -> Option<(installed::Running, u16)> {
    let server = Installed::find("influxd", "influxdb")?;
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let udp = free.local_addr().expect("an address").port();
    drop(free);
    let folder = server.path("");
    let conf = server.path("influxdb.conf");
    let running = server.start("Listening on HTTP", |port| {
        std::fs::write(&conf, configuration(&folder, port, udp)).expect("a file");
        vec!["-config".to_owned(), conf.clone()]
    });
    Some((running, udp))
}

#[test]
fn every_point_arrives_at_a_real_database_however_odd_its_tags() {
    let Some((server, udp)) = influxd() else { return };
    let outcome = run(ODD, &format!("influxdb=http://127.0.0.1:{}/odd-db", server.port));
    assert_eq!(lost(&outcome), ODD_LOST, "{}", outcome.stderr);
    outcome.expect_text("the database has no value for infinity");
    let arrived = counts(server.port, "odd-db");
    for (name, count) in ODD_POINTS {
        assert_eq!(arrived[name], count, "{name}: {arrived}");
    }
    let fields = ask(server.port, "/query?db=odd-db&q=show%20field%20keys%20from%20hits");
    for field in ["\"vu\",\"string\"", "\"iter\",\"string\"", "\"url\",\"string\"", "\"value\",\"float\""] {
        assert!(fields.contains(field), "{fields}");
    }
    let outcome = run(THREE, &format!("influxdb=udp://127.0.0.1:{udp}"));
    assert_eq!(lost(&outcome), 0);
    let deadline = Instant::now() + PATIENCE;
    while counts(server.port, "datagrams")["hits"] != 3 {
        assert!(Instant::now() < deadline, "{}", counts(server.port, "datagrams"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn points_that_a_database_leaves_out_of_a_write_are_told_to_the_sample() {
    let Some((server, _)) = influxd() else { return };
    let mixed = "
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
const hits = new Counter('hits');
export default function () {
  hits.add(1, { n: '5' });
  sleep(1);
  hits.add(1, { n: 'five' });
  hits.add(1, { n: 'six' });
  hits.add(1, { m: '6' });
}";
    let out = format!("influxdb=http://127.0.0.1:{}/db?tagsAsFields=n:int&pushInterval=100ms", server.port);
    let outcome = run(mixed, &out);
    assert_eq!(lost(&outcome), 2, "{}", outcome.stderr);
    outcome.expect_text("field type conflict");
    assert_eq!(counts(server.port, "db")["hits"], 2);
}

#[test]
fn times_are_the_same_in_every_unit() {
    let Some((server, _)) = influxd() else { return };
    for unit in ["ns", "u", "us", "ms", "s"] {
        run(THREE, &format!("influxdb=http://127.0.0.1:{}/db_{unit}?precision={unit}", server.port));
        let recent = "select%20count(value)%20from%20hits%20where%20time%20%3E%20now()%20-%201h%20and%20time%20%3C%20now()%20%2B%201h";
        let recent = ask(server.port, &format!("/query?db=db_{unit}&q={recent}"));
        assert!(recent.contains("\"hits\""), "{unit}: {recent}");
    }
}

#[test]
fn another_database_takes_the_same_protocol() {
    let Some(server) = Installed::find("victoria-metrics", "victoria-metrics") else { return };
    let data = server.path("data");
    let server = server.start("started", |port| {
        vec![format!("-httpListenAddr=127.0.0.1:{port}"), format!("-storageDataPath={data}")]
    });
    let outcome = run(HITS, &format!("influxdb=http://127.0.0.1:{}/any", server.port));
    assert_eq!(lost(&outcome), 0, "{}", outcome.stderr);
    let deadline = Instant::now() + PATIENCE;
    loop {
        ask(server.port, "/internal/force_flush");
        let lines = ask(server.port, "/api/v1/export?match%5B%5D=hits_value");
        let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let count: usize = values.map(|line| line["values"].as_array().map_or(0, Vec::len)).sum();
        if count == 60 {
            return;
        }
        assert!(Instant::now() < deadline && count < 60, "{count}: {lines}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_database_that_dies_and_comes_back_costs_what_the_end_says() {
    let first = Database::start(Manner::default());
    let port = first.port;
    let out = format!("influxdb=http://127.0.0.1:{port}/db?pushInterval=100ms");
    let running = program(HITS, &out).start();
    let deadline = Instant::now() + PATIENCE;
    while hits(&first.taken("/write")) < 5 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = first.requests();
    drop(first);
    std::thread::sleep(Duration::from_millis(600));
    let second = Database::on(port, Manner::default());
    let outcome = running.finish();
    outcome.expect_code(0);
    let after = second.taken("/write");
    assert!(hits(&after) > 5, "{after}");
    assert!(second.requests().iter().any(|request| request.target.starts_with("/write")));
    let arrived = before.iter().filter(|request| request.target.starts_with("/write"));
    let arrived = arrived.map(|request| request.body.lines().count()).sum::<usize>() + after.lines().count();
    // What was under way when it died may have been taken without an answer, and is sent again.
    let (arrived, all) = (arrived as u64 + lost(&outcome), samples(&outcome));
    assert!((all..=all + 20).contains(&arrived), "{arrived} of {all}: {}", outcome.stderr);
}

#[test]
fn what_is_refused_is_lost_and_told_to_the_sample() {
    let database = Database::start(Manner { statuses: vec![200, 204, 400, 204], ..Manner::default() });
    let out = format!("influxdb=http://127.0.0.1:{}/db?pushInterval=100ms", database.port);
    let outcome = run(HITS, &out);
    let requests = database.requests();
    assert_eq!(requests[0].target, "/query?q=CREATE+DATABASE+db");
    let refused: u64 =
        requests.iter().filter(|r| r.status == 400).map(|r| r.body.lines().count() as u64).sum();
    assert!(refused > 0);
    assert_eq!(lost(&outcome), refused, "{}", outcome.stderr);
    assert_eq!(database.taken("/write").lines().count() as u64 + refused, samples(&outcome));
    outcome.expect_text("Couldn't write stats").expect_text("400 Bad Request");
}

#[test]
fn what_a_busy_database_refuses_is_sent_again_when_it_says() {
    let manner = Manner { statuses: vec![204, 503, 204], headers: "Retry-After: 1\r\n", ..Manner::default() };
    let database = Database::start(manner);
    let outcome = run(THREE, &format!("influxdb=http://127.0.0.1:{}/db", database.port));
    assert_eq!(lost(&outcome), 0, "{}", outcome.stderr);
    assert_eq!(hits(&database.taken("/write")), 3);
    let statuses: Vec<_> = database.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [204, 503, 204]);
}

#[test]
fn without_a_database_everything_is_lost_and_the_exit_code_is_that_of_the_test() {
    let gone = Database::start(Manner::default());
    let out = format!("influxdb=http://127.0.0.1:{}/db", gone.port);
    drop(gone);
    let outcome = run(THREE, &out);
    assert_eq!(lost(&outcome), samples(&outcome), "{}", outcome.stderr);
    outcome.expect_text("connection refused");
    let failing =
        "export const options = { thresholds: { iterations: ['count>5'] } }; export default function () {}";
    program(failing, &out).run().expect_code(99);
}

#[test]
fn a_database_that_never_answers_holds_up_the_end_for_a_while_only_and_takes_no_memory() {
    let stuck = Database::start(Manner { delay: Duration::from_secs(60), ..Manner::default() });
    let flood = "
import { Counter } from 'k6/metrics';
export const options = { vus: 2, duration: '5s' };
const hits = new Counter('hits');
export default function () {
  for (let i = 0; i < 1000; i++) hits.add(1, { tag: 'a value of some length, so that a point takes many bytes'.repeat(40) });
}";
    let out = format!("influxdb=http://127.0.0.1:{}/db?pushInterval=100ms", stuck.port);
    let from = Instant::now();
    // The samples themselves would fill a disk.
    let running = Program::script(BINARY, flood).args(["--out", &out]).start();
    std::thread::sleep(Duration::from_millis(5500));
    let peak = running.peak_kib().unwrap_or(0);
    let outcome = running.finish();
    outcome.expect_code(0);
    assert!(from.elapsed() < Duration::from_secs(25), "{:?}", from.elapsed());
    assert!(peak < 400_000, "{peak} KiB");
    let all = outcome.value("hits", "count").expect("hits");
    let lost = lost(&outcome) as f64;
    assert!(all > 20_000.0 && lost >= all, "{lost} of {all}: {}", outcome.stderr);
    outcome.expect_text("the database took them slower than they came");
}

#[test]
fn with_a_token_it_is_version_2() {
    let database = Database::start(Manner::default());
    let out = format!("xk6-influxdb=http://127.0.0.1:{}", database.port);
    let outcome = program(THREE, &out)
        .env("K6_INFLUXDB_TOKEN", "t0ken")
        .env("K6_INFLUXDB_ORGANIZATION", "my org")
        .env("K6_INFLUXDB_BUCKET", "tests/one")
        .env("K6_INFLUXDB_PRECISION", "ms")
        .run();
    outcome.expect_code(0);
    let requests = database.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].target, "/api/v2/write?bucket=tests%2Fone&org=my+org&precision=ms");
    assert_eq!(requests[0].header("authorization"), Some("Token t0ken"));
    assert_eq!(hits(&requests[0].body), 3);
}

#[test]
fn a_proxy_is_asked_for_everything() {
    let proxy = Database::start(Manner::default());
    let outcome = program(THREE, "influxdb=http://database.invalid:8086/pre/db")
        .env("K6_INFLUXDB_PROXY", format!("http://127.0.0.1:{}", proxy.port))
        .run();
    outcome.expect_code(0);
    let targets: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0], "http://database.invalid:8086/pre/query?q=CREATE+DATABASE+db");
    assert!(targets[1].starts_with("http://database.invalid:8086/pre/write?"), "{targets:?}");
    assert_eq!(lost(&outcome), 0);
}

#[test]
fn wrong_settings_stop_the_test_before_it_starts() {
    for (out, text) in [
        ("influxdb=http://h/db?retries=3", "unknown query parameter: retries"),
        ("influxdb=ftp://h/db", "Unsupported protocol scheme: ftp"),
        (
            "influxdb=localhost",
            "\"localhost\" is not an address of InfluxDB: write http://HOST:PORT/DATABASE",
        ),
        ("influxdb=http://h/db?precision=fortnight", "\"fortnight\" is not a precision"),
        ("influxdb=http://h/db?concurrentWrites=0", "influxdb's ConcurrentWrites must be a positive number"),
        ("influxdb=dv=x", "there is no setting \"dv\": did you mean db?"),
    ] {
        let outcome = program(THREE, out).run();
        outcome.expect_code(255).expect_text("could not create the 'influxdb' output").expect_text(text);
    }
}

#[test]
fn a_short_run_and_a_long_interval_lose_nothing() {
    let database = Database::start(Manner::default());
    let out = format!("influxdb=http://127.0.0.1:{}/db?pushInterval=1h", database.port);
    let outcome = run(THREE, &out);
    assert_eq!(database.taken("/write").lines().count() as u64, samples(&outcome));
    assert_eq!(lost(&outcome), 0);
}
