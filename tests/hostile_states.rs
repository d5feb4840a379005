//! States that nobody has written by a run: each is refused, with words and little memory, by the built binary.

use std::fs;
use std::time::Duration;

use senary_testkit::{Outcome, Program, Signal};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Enough for any of these files, in KiB of addresses: far less than they claim to be.
const MEMORY: u64 = 1_500_000;

const START: usize = 15;
const HEAD: u8 = 1;
const TOTALS: u8 = 2;
const VALUES: u8 = 3;
const SCRIPT: u8 = 6;

const TEST: &str = r#"
import { Trend } from "k6/metrics"
const lag = new Trend("lag"), pause = new Trend("pause")
export const options = { vus: 2, iterations: 20 }
export default function () {
  for (let i = 0; i < 100; i++) {
    lag.add(i)
    pause.add(i / 7)
  }
}
"#;

/// A state, taken apart: of each section its kind and its content.
#[derive(Clone)]
struct Parts(Vec<(u8, Vec<u8>)>);

impl Parts {
    fn of_a_run(script: &str) -> Self {
        let outcome = Program::script(BINARY, script).args(["--out", "state=own.state"]).within(BOUND).run();
        let bytes = fs::read(outcome.expect_code(0).path("own.state")).expect("a state");
        let (mut rest, mut parts) = (&bytes[START..], Vec::new());
        while let Some((kind, length)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
            let (length, content) = length.split_at(8);
            let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
            parts.push((*kind, zstd::decode_all(&content[..length]).expect("a section")));
            rest = &content[length..];
        }
        Self(parts)
    }

    fn content(&mut self, kind: u8) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|(known, _)| *known == kind).expect("a section of this kind").1
    }

    fn with(&self, kind: u8, content: Vec<u8>) -> Vec<u8> {
        let mut parts = self.clone();
        *parts.content(kind) = content;
        parts.file()
    }

    fn with_json(&self, kind: u8, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut parts = self.clone();
        let mut json = serde_json::from_slice(parts.content(kind)).expect("JSON");
        change(&mut json);
        *parts.content(kind) = json.to_string().into_bytes();
        parts.file()
    }

    fn file(&self) -> Vec<u8> {
        let mut file = b"SENARY STATE\n\x01\x00".to_vec();
        for (kind, content) in &self.0 {
            let packed = zstd::encode_all(content.as_slice(), 1).expect("packed");
            file.push(*kind);
            file.extend((packed.len() as u64).to_le_bytes());
            file.extend(packed);
        }
        file.push(0);
        file.extend(4_u64.to_le_bytes());
        file.extend((self.0.len() as u32).to_le_bytes());
        file
    }
}

/// Merges a file, with as much memory as is allowed.
fn merge(file: Vec<u8>) -> Outcome {
    let command = format!("ulimit -v {MEMORY}; exec {BINARY} merge --partial --no-color bad.state");
    Program::new("/bin/sh").args(["-c", &command]).file("bad.state", file).within(BOUND).run()
}

fn expect_refused(file: Vec<u8>, told: &str) {
    let outcome = merge(file);
    let error = &outcome.stderr;
    assert!(error.contains(told) && error.contains("bad.state: "), "{told} in {error}");
    assert!(!error.contains("panic"), "{error}");
    outcome.expect_code(255);
}

/// The places of the values of a trend.
fn values<'a>(totals: &'a mut Value, metric: &str) -> &'a mut Value {
    let rows = totals["sums"].as_array_mut().expect("rows");
    let row =
        rows.iter_mut().find(|row| row["total"]["metric"] == metric && row["total"]["scope"] == "whole");
    &mut row.expect("a row of this metric")["values"]
}

#[test]
fn what_is_true_is_read() {
    let parts = Parts::of_a_run(TEST);
    merge(parts.file()).expect_code(0).expect_text("lag");
}

#[test]
fn lengths_that_lie_are_refused() {
    let parts = Parts::of_a_run(TEST);
    let mut long = parts.file();
    long[START + 1..START + 9].fill(0xff);
    expect_refused(long, "its end is missing");
    let mut short = parts.file();
    short[START + 1..START + 9].copy_from_slice(&1_u64.to_le_bytes());
    expect_refused(short, "bad.state: it");
    let mut count = parts.file();
    let end = count.len() - 4;
    count[end..].fill(0xff);
    expect_refused(count, "in its end: it does not say how many parts there are");
    let mut nothing = parts.file();
    nothing.truncate(START);
    expect_refused(nothing, "its end is missing");
    let none = Parts(Vec::new());
    expect_refused(none.file(), "in its head: it is not there");
    // A content that was cut, with a length that is true.
    let cut = zstd::encode_all(&[b' '; 5000][..], 1).expect("packed");
    let mut file = b"SENARY STATE\n\x01\x00\x01".to_vec();
    file.extend((cut.len() as u64 - 3).to_le_bytes());
    file.extend(&cut[..cut.len() - 3]);
    file.extend([0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    expect_refused(file, "in its head");
}

#[test]
fn what_unpacks_to_very_much_is_refused() {
    let parts = Parts::of_a_run(TEST);
    for (kind, megabytes, name) in [(HEAD, 40, "head"), (TOTALS, 300, "totals"), (VALUES, 80, "values")] {
        let file = parts.with(kind, vec![b' '; megabytes << 20]);
        assert!(file.len() < 100_000, "{}", file.len());
        expect_refused(file, &format!("in its {name}: it is too large"));
    }
}

#[test]
fn values_that_are_not_there_are_refused() {
    let parts = Parts::of_a_run(TEST);
    for (told, change) in [
        ("they are beyond the end", (|lag| lag["exact"]["at"] = json!(u32::MAX)) as fn(&mut Value)),
        ("they are beyond the end", |lag| lag["exact"]["length"] = json!(u32::MAX)),
        ("some are missing", |lag| lag["exact"]["length"] = json!(0)),
        ("some are missing", |lag| lag["exact"]["length"] = json!(9)),
        ("in its values: it is not there", |lag| lag["exact"]["section"] = json!(999)),
        // That of the head.
        ("in its values: it is not there", |lag| lag["exact"]["section"] = json!(0)),
        ("some are missing", |lag| lag["count"] = json!(1)),
        ("some are missing", |lag| lag["count"] = json!(u64::MAX)),
        ("some are missing", |lag| *lag = json!({ "count": 5, "exact": null, "buckets": null })),
        ("in its totals", |lag| lag["count"] = json!(-1)),
        // What is packed as values is no list of buckets.
        ("some are missing", |lag| {
            let place = lag["exact"].take();
            lag["buckets"] = place;
        }),
    ] {
        expect_refused(parts.with_json(TOTALS, |totals| change(values(totals, "lag"))), told);
    }
    let shared = parts.with_json(TOTALS, |totals| {
        let place = values(totals, "lag")["exact"].clone();
        values(totals, "pause")["exact"] = place;
    });
    expect_refused(shared, "two trends share them");
    let garbage = parts.with(VALUES, vec![0xff; 100_000]);
    expect_refused(garbage, "in its values");
}

#[test]
fn figures_that_cannot_be_are_refused() {
    let parts = Parts::of_a_run(TEST);
    let of = |metric: &'static str, sink: Value| {
        parts.with_json(TOTALS, |totals| {
            let rows = totals["sums"].as_array_mut().expect("rows");
            let row = rows.iter_mut().find(|row| row["total"]["metric"] == metric).expect("a row");
            row["total"]["sink"] = sink;
            row["values"] = Value::Null;
        })
    };
    let sum = json!({ "first": 0, "digits": [-1, -1, i64::MAX], "beyond": 0 });
    expect_refused(
        of("iterations", json!({ "type": "counter", "sum": sum, "samples": 1 })),
        "out of their range",
    );
    let sum = json!({ "first": usize::MAX, "digits": [1], "beyond": 0 });
    expect_refused(
        of("iterations", json!({ "type": "counter", "sum": sum, "samples": 1 })),
        "out of their range",
    );
    expect_refused(
        of("iterations", json!({ "type": "rate", "trues": 2, "total": 1 })),
        "more hits than samples",
    );
    // Another type than the rest of the file says.
    expect_refused(
        of("lag", json!({ "type": "rate", "trues": 1, "total": 1 })),
        "the metric 'lag' is a trend here and a rate there",
    );
    expect_refused(parts.with(TOTALS, b"[]".to_vec()), "in its totals");
    expect_refused(parts.with(HEAD, b"{}".to_vec()), "in its head: missing field");
    let mut deep = "{\"instance\":".repeat(100_000);
    deep.push('1');
    expect_refused(parts.with(HEAD, deep.into_bytes()), "in its head: ");
}

/// Whatever a head says, it does not crash the program.
#[test]
fn heads_that_cannot_be_are_answered() {
    let parts = Parts::of_a_run(TEST);
    for (path, value) in [
        ("/progress/seconds", json!(-1e308)),
        ("/progress/seconds", json!(1e308)),
        ("/progress/started", json!(i64::MIN)),
        ("/progress/started", json!(i64::MAX)),
        ("/progress/written", json!(i64::MIN)),
        ("/progress/full_iterations", json!(u64::MAX)),
        ("/instance/segment", json!("1/0:99999999999999999999")),
        ("/instance/segment", json!("")),
        ("/instance/sequence", json!("1/0,,x,18446744073709551615/18446744073709551615")),
        ("/instance/name", json!("n".repeat(100_000))),
        ("/test/options", json!({ "summaryTrendStats": ["p(1e999)"], "summaryTimeUnit": 5 })),
        ("/test/thresholds", json!([["lag", [{ "source": "p(95)<", "abort_on_fail": true }]]])),
        ("/test/metrics", json!([{ "name": "", "kind": "trend", "contains": "default" }])),
    ] {
        let file = parts.with_json(HEAD, |head| *head.pointer_mut(path).expect(path) = value.clone());
        let outcome = merge(file);
        assert!(!outcome.stderr.contains("panic"), "{path} {value}: {}", outcome.stderr);
        assert!(matches!(outcome.code(), Some(0 | 255)), "{path} {value}: {:?}", outcome.code());
    }
}

#[test]
fn names_cannot_command_the_terminal() {
    let parts = Parts::of_a_run(TEST);
    let file = parts.with_json(HEAD, |head| {
        head["instance"]["name"] = json!(format!("a\u{1b}[2J\0\r{}", "long".repeat(100)));
        head["progress"]["end"] = json!({ "code": 0, "reason": "\u{1b}]0;title\u{7}" });
        head["progress"]["is_final"] = json!(false);
    });
    let outcome = merge(file);
    let text = [outcome.stdout.as_str(), &outcome.stderr].concat();
    assert!(!text.contains(['\u{1b}', '\0', '\r', '\u{7}']), "{text:?}");
    outcome.expect_text("a\u{fffd}[2J\u{fffd}\u{fffd}long");
}

#[test]
fn a_script_that_is_none_is_refused() {
    let mut parts =
        Parts::of_a_run(&format!("{TEST}export function handleSummary() {{ return {{ stdout: 'mine' }} }}"));
    merge(parts.file()).expect_code(0).expect_text("mine");
    parts.content(SCRIPT).truncate(1000);
    let outcome = merge(parts.file());
    assert_ne!(outcome.code(), Some(0));
    assert!(!outcome.stderr.contains("panic") && !outcome.stderr.is_empty(), "{}", outcome.stderr);
}

/// A state takes the place of what was there; a pipe, or a device that others need, must stay, and nobody may wait for a pipe.
#[test]
fn what_is_no_file_keeps_its_place() {
    let run = |command: &str| {
        let program = Program::new("/bin/sh").file("test.js", "export default function () {}");
        program.args(["-c", &command.replace("run", &format!("{BINARY} run --quiet"))]).within(BOUND).run()
    };
    let refused = run("mkfifo there; run --out state=there test.js; code=$?; test -p there && exit $code");
    refused.expect_code(255).expect_text("open there: it is a pipe or a device");
    let refused = run("mkfifo there; run --setup-data there test.js; code=$?; test -p there && exit $code");
    refused.expect_code(255).expect_text("there is there, and no file of --setup-data");
    // A link stays one, and the state is where it points to.
    let written = run(
        "mkdir far; touch far/own.state; ln -s far/own.state near; run --out state=near test.js && test -L near -a -s far/own.state",
    );
    written.expect_code(0);
}

#[test]
fn a_script_that_never_ends_is_ended_by_a_signal() {
    let state = Parts::of_a_run(TEST).file();
    for args in [["merge", "a.state"], ["collect", "127.0.0.1:1"]] {
        let program =
            Program::new(BINARY).args(args).args(["--script", "endless.js"]).file("a.state", &state);
        let program = program.file("endless.js", "console.log('it begins')\nwhile (true) {}").within(BOUND);
        let mut running = program.start();
        running.wait_for("it begins").signal(Signal::INT);
        running.finish().expect_code(105);
    }
}
