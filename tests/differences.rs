//! What docs/differences.md says and no other test shows: where Senary does something else than k6 on purpose.

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn run(script: &str, args: &[&str]) -> Outcome {
    Program::script(BINARY, script).args(args.iter().copied()).run()
}

/// Calls everything the modules and globals offer without arguments, as functions and with `new`.
#[test]
fn a_missing_argument_never_crashes() {
    let script = "
import * as k6 from 'k6';
import * as crypto from 'k6/crypto';
import * as x509 from 'k6/crypto/x509';
import * as data from 'k6/data';
import * as encoding from 'k6/encoding';
import * as execution from 'k6/execution';
import * as csv from 'k6/experimental/csv';
import * as fs from 'k6/experimental/fs';
import * as streams from 'k6/experimental/streams';
import * as html from 'k6/html';
import * as http from 'k6/http';
import * as metrics from 'k6/metrics';
import * as secrets from 'k6/secrets';
import * as timers from 'k6/timers';
import * as ws from 'k6/ws';
import * as websockets from 'k6/websockets';
import * as tcp from 'k6/x/tcp';
const modules = { http, ws, websockets, k6, x509, data, encoding, csv, fs, streams, html, metrics, secrets, timers, tcp };
let calls = 0;
const settled = [];
const attempt = (call) => {
  calls++;
  try {
    const result = call();
    if (result instanceof Promise) settled.push(result.then(() => {}, () => {}));
    return result;
  } catch (error) { if (!(error instanceof Error)) throw error }
};
const everything = (object, depth) => {
  for (const name of Object.getOwnPropertyNames(object)) {
    if (['constructor', 'abort', 'fail'].includes(name)) continue;
    const value = attempt(() => object[name]);
    if (typeof value === 'function') {
      for (const result of [attempt(() => object[name]()), attempt(() => new value())]) {
        if (depth > 0 && Object(result) === result) everything(Object.getPrototypeOf(result) === Object.prototype ? result : Object.getPrototypeOf(result), depth - 1);
      }
    } else if (depth > 0 && Object(value) === value) everything(value, depth - 1);
  }
};
export default async function () {
  for (const module of Object.values(modules)) everything(module, 2);
  everything(crypto, 1);
  everything(execution.default, 1);
  everything(globalThis.crypto, 1), everything(globalThis.crypto.subtle, 1);
  everything(console, 0);
  for (const name of ['TextEncoder', 'TextDecoder', 'setTimeout', 'setInterval', 'clearTimeout', 'open', 'require']) {
    attempt(() => globalThis[name]()), attempt(() => new globalThis[name]());
  }
  const socket = new tcp.Socket();
  for (const name of ['connect', 'write', 'on', 'setTimeout', 'destroy']) attempt(() => socket[name]());
  await Promise.all(settled);
  console.log('called', calls > 200 ? 'many' : calls);
}";
    run(script, &[]).expect_code(0).expect_text("called many").expect_value("iterations", "count", 1.0);
}

#[test]
fn metrics_are_filed_by_whose_they_are() {
    let script = "
import { Counter } from 'k6/metrics';
const names = ['checks_of_mine', 'group_duration_of_mine', 'http_req_blocked_x', 'vus_of_mine', 'iterations_of_mine', 'data_sent_of_mine', 'ws_of_mine'];
const counters = names.map((name) => new Counter(name));
export default function () { counters.forEach((counter) => counter.add(1)) }";
    let outcome = run(script, &[]);
    outcome.expect_code(0);
    let (_, text) = outcome.stdout.split_once("    CUSTOM\n").expect("metrics of the script");
    let custom = text.split("\n\n").next().expect("a section");
    assert_eq!(custom.lines().count(), 7, "{custom}");
}

#[test]
fn a_summary_that_is_turned_off_still_writes_files() {
    let script = "
export default function () {}
export const handleSummary = (data) => ({ 'mine.txt': `iterations: ${data.metrics.iterations.values.count}` });";
    let outcome = run(script, &["--summary-mode=disabled"]);
    outcome.expect_code(0).expect_value("iterations", "count", 1.0);
    assert_eq!((outcome.file("mine.txt").as_str(), outcome.stdout.as_str()), ("iterations: 1", ""));
    let outcome = run("export default function () {}", &["--summary-mode=disabled"]);
    outcome.expect_code(0).expect_value("iterations", "count", 1.0);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn statistics_that_were_asked_for_are_in_the_new_summary() {
    let script = "
import { Trend } from 'k6/metrics';
const lag = new Trend('lag', true);
export const options = { summaryTrendStats: ['p(99.9)', 'count'] };
export default function () { for (let i = 0; i <= 1000; i++) lag.add(i) }
export const handleSummary = (data) => {
  const { values } = data.results.metrics.find((metric) => metric.name === 'lag');
  return { stdout: `${JSON.stringify(values)}\\n` };
};";
    let outcome = Program::new(BINARY).file("s.js", script);
    let outcome = outcome.args(["run", "--quiet", "--new-machine-readable-summary", "s.js"]).run();
    outcome
        .expect_code(0)
        .expect_text("\"p95\":950")
        .expect_text("\"p99.9\":999")
        .expect_text("\"count\":1001");
}

#[test]
fn where_a_test_was_aborted_is_told() {
    let script = "
import exec from 'k6/execution';
const enough = () =>
  exec.test.abort('enough');
export default function () { enough() }";
    let outcome = run(script, &[]);
    outcome
        .expect_code(108)
        .expect_text("test aborted: enough at enough (file:///")
        .expect_text("script.js:4:");
}

#[test]
fn there_are_more_globals_and_import_is_one_of_them() {
    let script = "
import './lib.js';
const { md5 } = await import('k6/crypto');
export default async function () {
  const { text } = await import('./lib.js');
  const { b64encode } = await import('k6/encoding');
  const late = await import('./late.js').catch((error) => error.message);
  console.log(md5('x', 'hex').length, text, b64encode('a'), late);
  console.log([atob, btoa, queueMicrotask, DOMException].map((global) => typeof global).join(), typeof performance.now());
}";
    let program = Program::script(BINARY, script).file("lib.js", "export const text = 'lib'");
    let outcome = program.file("late.js", "export {}").run();
    outcome.expect_code(0).expect_text("32 lib YQ== the module").expect_text("was not previously resolved");
    outcome.expect_text("function,function,function,function number");
}
