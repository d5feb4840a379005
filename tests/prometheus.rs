//! `--out prometheus-rw` against the real databases that the system has, and the queries of the dashboards in docs/grafana.

#[allow(dead_code, reason = "not every server needs data that is prepared")]
#[path = "protocols/installed.rs"]
mod installed;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use installed::{Installed, Running};
use senary_testkit::{Outcome, Program};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const PATIENCE: Duration = Duration::from_secs(20);

/// Times of one millisecond to one second, in no order.
const LAGS: &str = "import { Counter, Trend } from 'k6/metrics';
export const options = { vus: 2, iterations: 20, summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'count'] };
const lag = new Trend('lag', true), hits = new Counter('hits');
export default function () {
  for (let i = 0; i < 500; i++) {
    lag.add(1 + (i * 7919 + __ITER * 31) % 1000);
    hits.add(1);
  }
}";

fn prometheus() -> Option<Running> {
    let server = Installed::find("prometheus", "prometheus")?;
    let (config, data) = (server.file("prometheus.yml", "{}"), server.path("data"));
    Some(server.start("Server is ready", |port| {
        vec![
            format!("--config.file={config}"),
            format!("--storage.tsdb.path={data}"),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".to_owned(),
            "--enable-feature=native-histograms".to_owned(),
        ]
    }))
}

fn run(script: &str, port: u16, settings: &str, args: &[&str]) -> Outcome {
    let output = format!("prometheus-rw=http://127.0.0.1:{port}/api/v1/write,pushInterval=500ms{settings}");
    let program = Program::script(BINARY, script).args(["--out", &output]).args(args.iter().copied());
    let outcome = program.run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("incomplete"), [""; 0], "{}", outcome.stderr);
    assert_eq!(outcome.log_lines("Failed to send"), [""; 0], "{}", outcome.stderr);
    outcome
}

/// What a database answers to a query: each series' labels and value.
fn query(port: u16, query: &str) -> Vec<(Value, f64)> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!("GET /api/v1/query?query={encoded} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{query}: {e}: {answer}"));
    assert_eq!(body["status"], "success", "{query}: {body}");
    let series = body["data"]["result"].as_array().expect("a list").iter();
    let value = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse().ok());
    series.map(|series| (series["metric"].clone(), value(series).unwrap_or(f64::NAN))).collect()
}

fn value(port: u16, text: &str) -> f64 {
    match &query(port, text)[..] {
        [(_, value)] => *value,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn quantiles_of_native_histograms_are_those_of_the_summary() {
    let Some(server) = prometheus() else { return };
    // Half the width of a bucket, and what lies between two values of the test.
    for (schema, error) in [(3, 0.046), (8, 0.003)] {
        let settings = format!(",nativeHistogramSchema={schema}");
        let tag = format!("schema={schema}");
        let args = ["--features", "native-histograms", "--tag", &tag];
        let outcome = run(LAGS, server.port, &settings, &args);
        for (quantile, stat) in [("0.5", "p(50)"), ("0.95", "p(95)"), ("0.99", "p(99)")] {
            let text = format!("histogram_quantile({quantile}, k6_lag_seconds{{schema='{schema}'}})");
            let (there, here) = (value(server.port, &text), outcome.measured("lag", stat) / 1000.0);
            assert!((there / here - 1.0).abs() < error, "{text}: {there}, and {here} in the summary");
        }
        let count = value(server.port, &format!("histogram_count(k6_lag_seconds{{schema='{schema}'}})"));
        assert_eq!(count, 10_000.0);
    }
}

#[test]
fn statistics_and_totals_are_those_of_the_summary() {
    let Some(server) = prometheus() else { return };
    for run_number in ["1", "2"] {
        let tag = format!("run={run_number}");
        let settings = ",trendStats=p(95),count,sum,max";
        let outcome = run(LAGS, server.port, settings, &["--tag", &tag]);
        let of = |name: &str| value(server.port, &format!("{name}{{run='{run_number}'}}"));
        assert_eq!((of("k6_hits_total"), of("k6_lag_count"), of("k6_lag_max")), (10_000.0, 10_000.0, 1.0));
        let (there, here) = (of("k6_lag_p95"), outcome.measured("lag", "p(95)") / 1000.0);
        assert!((there / here - 1.0).abs() < 0.002, "{there}, and {here} in the summary");
    }
    // The second run is apart from the first.
    assert_eq!(query(server.port, "k6_hits_total").len(), 2);
    assert_eq!(value(server.port, "sum(k6_hits_total)"), 20_000.0);
}

#[test]
fn victoria_metrics_takes_the_same() {
    let Some(server) = Installed::find("victoria-metrics", "victoria-metrics") else { return };
    let data = server.path("data");
    let server = server.start("starting http server at", |port| {
        vec![
            format!("-storageDataPath={data}"),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-search.latencyOffset=0s".to_owned(),
        ]
    });
    run(LAGS, server.port, ",trendStats=max", &["--tag", "my-tag=ü"]);
    let from = std::time::Instant::now();
    // It makes new series visible a moment later.
    let hits = loop {
        let hits = query(server.port, "sum(last_over_time(k6_hits_total{my_tag='ü'}[5m]))");
        if !hits.is_empty() || from.elapsed() > PATIENCE {
            break hits;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(hits.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [10_000.0]);
}

/// The queries of a dashboard, with the titles of their panels.
fn queries(dashboard: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/grafana").join(dashboard);
    let text = std::fs::read_to_string(path).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().expect("a title").to_owned();
        for target in list(&panel["targets"]) {
            let query = target["expr"].as_str().expect("a query");
            queries.push((title.clone(), query.replace("$testid", ".*").replace("$__rate_interval", "1m")));
        }
    }
    queries
}

#[test]
fn the_dashboards_ask_for_what_is_there() {
    let Some(server) = prometheus() else { return };
    let script = "import { check } from 'k6';
import { Socket } from 'senary/tcp';
export const options = {
  scenarios: { load: { executor: 'constant-arrival-rate', rate: 20, timeUnit: '1s', duration: '4s', preAllocatedVUs: 3 } },
};
export default async function () {
  const socket = new Socket({ framing: 'u32', encoding: 'utf8' });
  await socket.connect({ host: __ENV.TCP_HOST, port: __ENV.TCP_PORT });
  check(await socket.request('hello'), { 'it answers': (answer) => answer === 'hello' });
  socket.destroy();
}";
    for (dashboard, settings, features) in [
        ("tcp.json", ",trendStats=p(50),p(95),p(99),max", &[][..]),
        ("tcp-native-histograms.json", "", &["--features", "native-histograms"][..]),
    ] {
        let args = [&["--with-echo", "--tag", "testid=a"][..], features].concat();
        run(script, server.port, settings, &args);
        let queries = queries(dashboard);
        assert!(queries.len() > 20);
        for (title, text) in queries {
            let has_data = !query(server.port, &text).is_empty();
            // Nothing of this kind happens in a test that goes well.
            let happens =
                !["errors", "dropped", "failed_total", "interrupted"].iter().any(|word| text.contains(word));
            assert!(has_data || !happens, "{dashboard}, {title}: no data for {text}");
        }
    }
}
