//! Scripts as people write them for k6: whole tests with scenarios and thresholds, libraries in every form they come
//! in, TypeScript, and the modules together.

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// Runs a script beside its libraries, with plain log lines.
fn run(name: &str, script: &str, files: &[(&str, &str)], args: &[&str]) -> Outcome {
    let program = files.iter().fold(Program::new(BINARY), |program, (name, text)| program.file(name, text));
    let program = program.file(name, script).args(["run", "--quiet", "--log-format=raw"]);
    program.args(args.iter().copied()).arg(name).run()
}

const USERS: (&str, &str) = ("users.csv", "username,password\nann,a1\nbob,b2\n");

/// A library as bundlers write it: for browsers, AMD and CommonJS.
const UMD: (&str, &str) = (
    "lib/papaparse.js",
    r#"!function(e,t){"function"==typeof define&&define.amd?define([],t):"object"==typeof module&&"undefined"!=typeof exports?module.exports=t():e.Papa=t()}(this,function(){"use strict";var f="undefined"!=typeof self?self:"undefined"!=typeof window?window:void 0!==f?f:{};return{parse:function(t,o){var r=t.trim().split(/\r?\n/).map(function(l){return l.split(",")}),h=o.header?r.shift():[];return{data:r.map(function(r){var x={};return h.forEach(function(k,i){x[k]=r[i]}),x})}}}});"#,
);

const SUMMARY: (&str, &str) = (
    "lib/summary.js",
    r#"
export function textSummary(data, { indent = " " } = {}) {
  const lines = Object.entries(data.metrics).map(([name, { type, contains, values, thresholds = {} }]) => {
    const marks = Object.values(thresholds).map(({ ok }) => (ok ? "✓" : "✗")).join("")
    return `${indent}${marks}${name} (${type}/${contains}): ${Object.keys(values).join()}`
  })
  const walk = ({ checks, groups }) => {
    for (const check of checks) lines.push(`${indent}${check.path} ${check.passes}/${check.fails}`)
    groups.forEach(walk)
  }
  walk(data.root_group)
  return `${lines.join("\n")}\n`
}
"#,
);

#[test]
fn a_test_with_everything_a_test_has() {
    let script = r#"
import { check, group, sleep, fail } from "k6"
import exec from "k6/execution"
import { Counter, Gauge, Rate, Trend } from "k6/metrics"
import { SharedArray } from "k6/data"
import { b64encode } from "k6/encoding"
import papaparse from "./lib/papaparse.js"
import { textSummary } from "./lib/summary.js"

const users = new SharedArray("users", () => papaparse.parse(open("./users.csv"), { header: true }).data)
const lag = new Trend("lag", true), hits = new Counter("hits"), level = new Gauge("level"), good = new Rate("good")

export const options = {
  scenarios: {
    ramp: {
      executor: "ramping-vus",
      startVUs: 1,
      stages: [{ duration: "300ms", target: 3 }, { duration: "200ms", target: 0 }],
      exec: "ramp",
      tags: { kind: "ramp" },
      env: { WHO: "ramp" },
    },
    rate: { executor: "constant-arrival-rate", rate: 20, duration: "1s", preAllocatedVUs: 20, exec: "rate" },
    once: { executor: "per-vu-iterations", vus: 2, iterations: 2, maxDuration: "5s", startTime: "100ms" },
  },
  thresholds: {
    checks: ["rate==1"],
    "lag{kind:ramp}": ["p(95)<200"],
    hits: [{ threshold: "count>1", abortOnFail: true, delayAbortEval: "1m" }],
    "checks{check:is known}": ["rate==1"],
    "group_duration{group:::outer::inner}": ["min>=10"],
    "iteration_duration{scenario:once}": ["min>=20"],
    "iterations{scenario:rate}": ["count==20"],
  },
  summaryTrendStats: ["avg", "p(99)", "count"],
  tags: { team: "a" },
}

export function setup() {
  return { token: b64encode("x"), when: new Date(0), nested: [1, { a: undefined, b: null }] }
}

export function ramp() {
  const user = users[exec.scenario.iterationInTest % users.length]
  lag.add(Math.random() * 10, { kind: "ramp" })
  hits.add(1), level.add(__VU), good.add(true)
  if (__ENV.WHO !== "ramp") fail("the scenario's environment")
  exec.vu.metrics.tags["custom"] = "x"
  group("outer", () => {
    check(user, { "is known": ({ username, password }) => username.length === 3 && password !== "" })
    group("inner", () => sleep(0.01))
  })
}

export function rate({ token, when, nested }) {
  check(nested, {
    "data is there": ([one, two]) => token === "eA==" && when === "1970-01-01T00:00:00.000Z" && one === 1 && !("a" in two),
  })
}

export default async function () {
  const { name, executor } = exec.scenario
  check(exec, { "knows itself": () => name === "once" && executor === "per-vu-iterations" && exec.test.options.tags.team === "a" })
  await new Promise((resolve) => setTimeout(resolve, 20))
}

export function teardown(data) { console.log("teardown", JSON.stringify(data)) }

export function handleSummary(data) {
  return { stdout: textSummary(data, { indent: "  " }), "summary.json": JSON.stringify(data) }
}
"#;
    let outcome = run("test.js", script, &[USERS, UMD, SUMMARY], &[]);
    outcome.expect_code(0);
    outcome.expect_text(
        r#"teardown {"token":"eA==","when":"1970-01-01T00:00:00.000Z","nested":[1,{"b":null}]}"#,
    );
    for line in [
        "  ✓checks (rate/default): rate,passes,fails",
        "  ✓lag{kind:ramp} (trend/time): avg,p(99),count",
        "  ✓hits (counter/default): count,rate",
        "  level (gauge/default): value,min,max",
        "  ✓iterations{scenario:rate} (counter/default): count,rate",
        "  ::data is there 20/0",
        "  ::knows itself 4/0",
        "  ::outer::is known ",
    ] {
        outcome.expect_text(line);
    }
    assert!(outcome.file("summary.json").contains("\"root_group\""));
}

#[test]
fn groups_that_are_cut_off_have_no_duration() {
    let script = r#"
import { group, sleep } from "k6"
export const options = {
  scenarios: { a: { executor: "constant-vus", vus: 2, duration: "1s", gracefulStop: "0s" } },
  thresholds: { group_duration: ["max==0"] }, // of nothing

}
export default function () { group("long", () => sleep(60)) }
"#;
    run("test.js", script, &[], &[]).expect_code(0).expect_text("○ 'max==0' no data");
}

#[test]
fn typescript_with_what_typescript_has() {
    let client = (
        "lib/client.ts",
        r#"
export enum Kind { A = "a", B = "b" }
export const describe = (kind: Kind): string => `kind ${kind}`
export class Client { constructor(private host = "h") {} get = () => this.host }
export type Handler<T> = (value: T) => void
export default "default of client"
"#,
    );
    let script = r#"
import { check, type JSONValue } from "k6"
import type { Options } from "k6/options"
import name, { Kind, describe as text, Client, type Handler } from "./lib/client.ts"

enum Level { Low = 1, High = Low << 2 }
const enum Fast { A, B }
declare const __ENV: Record<string, string>
abstract class Base<T> {
  protected constructor(public readonly name: string, private items: T[] = []) {}
  abstract run(): T | undefined
  get first() { return this.items?.[0] }
}
class Impl extends Base<number> {
  static #count = 0
  declare tag: string
  constructor() { super("impl", [1, 2]); Impl.#count++ }
  run() { return this.first! satisfies number }
  static get count() { return Impl.#count }
}
namespace Util { export const twice = (n: number) => n * 2; export namespace Deep { export const x = 1 } }
function over(a: string): string
function over(a: number): number
function over(a: any) { return a }

export const options: Options = { vus: 1, iterations: 2 }

export default (): void => {
  const impl = new Impl()
  const show: Handler<unknown[]> = (values) => console.log(values.join(" "))
  check(impl.run(), { "is one": (v: number | undefined): v is number => v === 1 })
  show([Level.High, Level[1], Fast.B, impl.name, Util.twice(2), Util.Deep.x, over(3), <any>"cast", text(Kind.A), new Client().get(), name])
}
"#;
    let outcome = run("test.ts", script, &[client], &[]);
    outcome.expect_code(0);
    assert_eq!(
        outcome.log_lines("4 Low 1 impl 4 1 3 cast kind a h default of client").len(),
        2,
        "{}",
        outcome.stderr
    );
    outcome.expect_text("checks_succeeded...: 100.00% 2 out of 2");
}

#[test]
fn commonjs_and_what_it_requires() {
    let library = ("lib/cjs.js", "exports.add = (a, b) => a + b; exports.self = module.exports === exports");
    let script = r#"
const { check } = require("k6")
const lib = require("./lib/cjs.js")
exports.options = { iterations: 1 }
exports.default = async function () { console.log(lib.add(1, 2), lib.self, check(1, { one: (v) => v === 1 })) }
"#;
    run("test.js", script, &[library], &[]).expect_code(0).expect_text("3 true true");
}

/// `import` and `require()` in a circle: what each takes of the other is there when virtual users run.
#[test]
fn circles_of_both_kinds_of_modules_close() {
    let require = ("c.js", "const e = require('./test.js'); exports.get = () => e.v");
    let script = r#"
import { get } from "./c.js"
export const v = "V"
export default function () { setTimeout(() => console.log("timer", get()), 1); console.log("call", get()) }
"#;
    let outcome = run("test.js", script, &[require], &[]);
    outcome.expect_code(0);
    assert_eq!(
        outcome.log_lines("call V").len() + outcome.log_lines("timer V").len(),
        2,
        "{}",
        outcome.stderr
    );

    let import = (
        "m.js",
        "import * as e from './test.js'; import { v } from './test.js'; export const get = () => v + e.v",
    );
    let script = r#"
const m = require("./m.js")
exports.v = "V"
exports.default = function () { console.log("got", m.get()) }
"#;
    run("test.js", script, &[import], &[]).expect_code(0).expect_text("got VV");
}

#[test]
fn the_modules_together() {
    let script = r#"
import { open as openFile, SeekMode } from "k6/experimental/fs"
import csv from "k6/experimental/csv"
import { ReadableStream } from "k6/experimental/streams"
import secrets from "k6/secrets"
import { setTimeout as later } from "k6/timers"
import encoding from "k6/encoding"
import { createHMAC, randomBytes } from "k6/crypto"
import { parseHTML } from "k6/html"
import { vu } from "k6/execution"

const file = await openFile("./users.csv")
const rows = await csv.parse(file, { delimiter: ",", skipFirstLine: true })
export const options = { vus: 1, iterations: 2 }

export default async function () {
  const stream = new ReadableStream({
    start(controller) { for (const part of ["a", "b"]) controller.enqueue(part); controller.close() },
  })
  const [reader, parts] = [stream.getReader(), []]
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
  }
  await new Promise((resolve) => later(resolve, 1))
  const { crypto } = globalThis
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"])
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode("hi"))
  const opened = new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed))
  const hmac = createHMAC("sha1", "k")
  hmac.update("x")
  console.log([
    rows[vu.iterationInScenario].join("/"), rows.length, parts.join(""), (await secrets.get("k")).length, opened,
    encoding.b64decode("aGk=", "std", "s"), hmac.digest("hex").length, randomBytes(4).byteLength,
    parseHTML("<a href='/x'>t</a>").find("a").attr("href"), (await file.stat()).name.endsWith("users.csv"), SeekMode.Start,
  ].join(" "))
}
"#;
    let outcome = run("test.js", script, &[USERS], &["--secret-source", "mock=k=sss"]);
    outcome.expect_code(0);
    outcome
        .expect_text("ann/a1 2 ab 3 hi hi 40 4 /x true 0")
        .expect_text("bob/b2 2 ab 3 hi hi 40 4 /x true 0");
}

#[test]
fn what_setup_hands_on_must_be_json() {
    for (value, expected) in [
        ("{ client: { send: () => 1 } }", "json: unsupported type: function (in \"send\")"),
        ("[0, { ratio: 0 / 0 }]", "json: unsupported value: NaN (in \"ratio\")"),
        ("-1 / 0", "json: unsupported value: -Infinity"),
    ] {
        let script = format!(
            "export function setup() {{ return {value} }}\nexport default function () {{ console.log('ran') }}"
        );
        let outcome = run("test.js", &script, &[], &[]);
        outcome.expect_code(255);
        let errors = outcome.log_lines("error marshaling setup() data to JSON: ");
        assert!(errors.len() == 1 && errors[0].ends_with(expected), "{value}: {errors:?}");
        assert!(outcome.log_lines("ran").is_empty(), "{value}");
    }
}

#[test]
fn setup_hands_on_what_is_nested_deeply() {
    let script = r#"
export function setup() { let o = {}; for (let i = 0; i < 10000; i++) o = { a: [o] }; return o }
export default function (data) { let n = 0; while (data.a) { data = data.a[0]; n++ } console.log("levels", n) }
"#;
    run("test.js", script, &[], &[]).expect_code(0).expect_text("levels 10000");
}

/// JSON has no infinity; a row stays one that any reader of JSON takes.
#[test]
fn infinite_samples_are_null_in_json() {
    let script = r#"
import { Gauge, Trend } from "k6/metrics"
const level = new Gauge("level"), took = new Trend("took")
export default function () {
  level.add(-Infinity)
  for (const value of [1, Infinity]) took.add(value)
}
"#;
    let flags = ["--out", "json=rows.json", "--summary-export", "summary.json"];
    let outcome = run("test.js", script, &[], &flags);
    outcome.expect_code(0);
    let rows = outcome.file("rows.json");
    let rows: Vec<serde_json::Value> =
        rows.lines().map(|row| serde_json::from_str(row).expect("a row of JSON")).collect();
    let values = |metric: &str| -> Vec<_> {
        let points = rows.iter().filter(|row| row["type"] == "Point" && row["metric"] == metric);
        points.map(|row| row["data"]["value"].to_string()).collect()
    };
    assert_eq!(values("level"), ["null"]);
    assert_eq!(values("took"), ["1", "null"]);
    serde_json::from_str::<serde_json::Value>(&outcome.file("summary.json")).expect("JSON");
}

/// What `JSON.stringify` makes nothing of is handed on as k6 does it.
#[test]
fn setup_hands_on_sets_maps_and_bytes() {
    let script = r#"
export function setup() {
  return { set: new Set([1, { a: new Set(["b"]) }]), map: new Map([["k", [2]]]), bytes: new Uint8Array([1, 2]), numbers: new Int16Array([-1, 300]), big: 3n }
}
export default function (data) { console.log(JSON.stringify(data)) }
"#;
    let outcome = run("test.js", script, &[], &[]);
    outcome.expect_code(0).expect_text(
        r#"{"set":[1,{"a":["b"]}],"map":[["k",[2]]],"bytes":"AQI=","numbers":[-1,300],"big":3}"#,
    );
}

#[test]
fn a_metric_is_a_name_and_a_function_to_add() {
    let script = r#"
import { Counter, Trend } from "k6/metrics"
const hits = new Counter("hits"), { add, name } = new Trend("lag")
export default function () {
  add(5)
  for (const value of [1, 2]) hits.add(value)
  console.log(name, hits, JSON.stringify(hits), Object.keys(hits).join(), hits instanceof Counter)
  try { hits.name = "other" } catch (error) { console.log(error.name) }
}
export function handleSummary({ metrics }) {
  return { stderr: `lag ${metrics.lag.values.max}, hits ${metrics.hits.values.count}\n` }
}
"#;
    let outcome = run("test.js", script, &[], &[]);
    outcome.expect_code(0).expect_text("lag 5, hits 3");
    let shown = r#"lag { name: "hits", add: [object Function] } {"name":"hits"} name,add true"#;
    assert_eq!(outcome.log_lines("lag {"), [shown]);
    assert_eq!(outcome.log_lines("TypeError"), ["TypeError"]);
}

#[test]
fn stack_traces_say_where_calls_begin() {
    let script = r#"import { check, group } from "k6"
export default function () {
  group(
    "outer",
    () => {
      check(1, {
        "is one": () => true,
        "throws": (value) => {
          throw new Error(
            "in a check",
          )
        },
      })
    },
  )
}
"#;
    let outcome = run("test.js", script, &[], &["--log-format=json"]);
    outcome.expect_code(0);
    let [line] = outcome.log_lines("in a check")[..] else { outcome.fail("not one error") };
    let lines: Vec<_> = line.split("test.js:").skip(1).filter_map(|place| place.split(':').next()).collect();
    assert_eq!(lines, ["9", "6", "3"], "{line}");
}

#[test]
fn whatever_is_thrown_is_said_to_be_somewhere() {
    let script = r#"
const values = ["no token", 404, null, { code: 7 }]
const thrower = (value) => {
  throw value
}
export const options = { iterations: 7 }
export default function () {
  if (__ITER < values.length) thrower(values[__ITER])
  // What was thrown before, and caught, is somewhere else.
  try { thrower("first") } catch (error) {}
  (async () => { throw "elsewhere" })().catch(() => {})
  if (__ITER === 4) throw "again"
  if (__ITER === 5) [1].forEach(() => { throw undefined })
  if (__ITER === 6) Promise.reject("rejected")
}
"#;
    let outcome = run("test.js", script, &[], &["--log-format=json"]);
    outcome.expect_code(0);
    let messages: Vec<String> = outcome
        .log_lines("\"level\":\"error\"")
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["msg"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [
        ("no token\n\tat thrower (file://", "test.js:4:"),
        ("404\n\tat thrower (file://", "test.js:8:"),
        ("null\n\tat thrower (file://", "test.js:8:"),
        ("[object Object]\n\tat thrower (file://", "test.js:8:"),
        ("again\n\tat default (file://", "test.js:12:"),
        ("undefined\n\tat file://", "test.js:13:"),
        ("Uncaught (in promise) rejected", ""),
    ];
    assert_eq!(messages.len(), expected.len(), "{messages:?}");
    for (message, (begin, place)) in messages.iter().zip(expected) {
        assert!(
            message.starts_with(begin) && message.contains(place),
            "{message:?} is not {begin:?} {place:?}"
        );
    }
    assert_eq!(messages[6], expected[6].0);

    let outcome = run("test.js", "export default function () {}\nthrow 'no data'", &[], &[]);
    outcome.expect_code(107).expect_text("no data\n\tat file://").expect_text("test.js:2:");
}

/// What a script reads of its own options in iterations is what it runs with, whoever has set it.
#[test]
fn scripts_see_the_options_they_run_with() {
    let script = r#"
export const options = { vus: 1, iterations: 1, tags: { a: "1" }, summaryTrendStats: ["avg"] }
export function setup() { console.log("setup", options.vus, JSON.stringify(options.tags)) }
export default function () {
  const { default: scenario } = options.scenarios
  console.log("run", options.vus, JSON.stringify(options.tags), options.summaryTrendStats[0], scenario.executor)
  options.tags.own = "kept"
  options.summaryTrendStats = "replaced"
  console.log(options.tags.own, options.summaryTrendStats, Object.keys(options).includes("thresholds"))
}
"#;
    let outcome =
        run("test.js", script, &[], &["-u", "2", "-i", "2", "--tag", "q=2", "--summary-trend-stats", "med"]);
    outcome.expect_code(0).expect_text("setup 2 {\"q\":\"2\"}");
    assert_eq!(outcome.log_lines("run 2 {\"q\":\"2\"} med shared-iterations").len(), 2, "{}", outcome.stderr);
    assert_eq!(outcome.log_lines("kept replaced false").len(), 2, "{}", outcome.stderr);
    // Nothing can be written onto these.
    for frozen in ["Object.freeze({ iterations: 1 })", "null", "undefined"] {
        let script = format!("export const options = {frozen}\nexport default function () {{}}");
        run("test.js", &script, &[], &["-i", "2"]).expect_code(0);
    }
}

#[test]
fn tags_and_metrics_are_objects_like_others() {
    let script = r#"
import exec from "k6/execution"
import { Counter, Trend } from "k6/metrics"
const hits = new Counter("hits")
class Twice extends Trend { both(value) { this.add(value); this.add(value) } }
const twice = new Twice("twice")
export const options = { thresholds: { twice: ["avg==1"] } }
const outcome = (f) => { try { f(); return "done" } catch (e) { return e.name } }
export default function () {
  const { tags } = exec.vu
  console.log(`${tags}`, tags.hasOwnProperty("scenario"), tags.constructor === Object, "toString" in tags, tags == "x")
  Object.defineProperty(tags, "defined", { value: "1" })
  console.log(tags.defined, delete tags.defined, tags.defined)
  console.log(outcome(() => (tags[Symbol("s")] = "v")), outcome(() => (exec.vu = 1)), outcome(() => (exec.vu.metrics.tags = {})))
  console.log(hits instanceof Trend, hits instanceof Counter, hits.constructor.name, twice instanceof Twice, twice instanceof Trend)
  twice.both(1);
  [1, 2].forEach(twice.add)
  console.log("plain:", twice.add(0.5, true), twice.add(0.5, "ab"))
}
"#;
    let outcome = run("test.js", script, &[], &[]);
    outcome
        .expect_code(0)
        .expect_text("[object Object] true true true false")
        .expect_text("1 true undefined");
    outcome
        .expect_text("TypeError TypeError TypeError")
        .expect_text("false true Counter true true")
        .expect_text("plain: true true");
}

#[test]
fn what_a_rejection_says_of_its_stack_is_logged() {
    let script = r#"
export const options = { iterations: 2 }
export default function () {
  if (__ITER === 0) Promise.reject({ message: "m", stack: "where it was" })
  else Promise.reject(Object.assign(new Error("x"), { stack: "Error: x, seen by a library" }))
}
"#;
    let outcome = run("test.js", script, &[], &[]);
    outcome
        .expect_text("Uncaught (in promise) where it was")
        .expect_text("Uncaught (in promise) Error: x, seen by a library");
}

#[test]
fn a_top_level_await_without_end_is_told() {
    let script = "await new Promise(() => {})\nexport default function () {}";
    run("test.js", script, &[], &[]).expect_code(107).expect_text("a top-level await of the script waits");
}

#[test]
fn tags_of_a_check_may_be_anything() {
    let script = "
import { check } from 'k6';
export default function () {
  for (const tags of [5, true, 'ab', Symbol('s'), [], { own: 1 }]) check(1, { [typeof tags]: true }, tags);
}";
    let outcome = run("test.js", script, &[], &["--out", "json=out.json"]);
    outcome.expect_code(0).expect_text("checks_succeeded...: 100.00% 6 out of 6");
    let samples = outcome.file("out.json");
    let tags = |check: &str| {
        let line = samples
            .lines()
            .rev()
            .find(|line| line.contains(&format!("\"check\":\"{check}\"")))
            .expect("a sample");
        let sample: serde_json::Value = serde_json::from_str(line).expect("JSON");
        sample["data"]["tags"].as_object().expect("tags").clone()
    };
    assert_eq!(tags("number").len(), tags("boolean").len());
    assert_eq!(tags("string").len(), tags("number").len() + 2);
    assert_eq!((&tags("string")["0"], &tags("string")["1"]), (&"a".into(), &"b".into()));
    assert_eq!(tags("object")["own"], "1");
}

/// What the first pass over the init code could not open, the later ones cannot, for the same reason.
#[test]
fn what_cannot_be_opened_cannot_be_later() {
    let script = "
import { open as openFile } from 'k6/experimental/fs';
const reasons = [];
for (const path of ['.', './none.txt']) {
  try { open(path) } catch (error) { reasons.push(error.message) }
  await openFile(path).catch((error) => reasons.push(error.message));
}
if (__VU > 0) try { open('./users.csv') } catch (error) { reasons.push(error.message) }
export default function () { reasons.forEach((reason) => console.log(reason)) }";
    let outcome = run("test.js", script, &[USERS], &[]);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines(r#"open() can't be used with directories, path: ".""#).len(), 2);
    assert_eq!(outcome.log_lines("none.txt: no such file or directory").len(), 2);
    outcome.expect_text(r#"weren't previously opened during initialization (__VU==0), path: "./users.csv""#);
}

#[test]
fn csv_files_are_read_in_the_init_context() {
    let script = "
import { open as openFile } from 'k6/experimental/fs';
import csv from 'k6/experimental/csv';
const file = await openFile('./users.csv');
const broken = await openFile('./broken.csv');
await csv.parse(broken).catch((error) => console.log('broken', error.message));
const parser = new csv.Parser(broken);
export default async function () {
  console.log('first', (await parser.next()).value.join());
  await parser.next().catch((error) => console.log('second', error.message));
  await csv.parse(file).catch((error) => console.log('parse', error.message));
  try { new csv.Parser(file) } catch (error) { console.log('parser', error.message) }
}";
    let outcome = run("test.js", script, &[USERS, ("broken.csv", "a,b\n\"c,d\ne")], &[]);
    outcome.expect_code(0).expect_text("first a,b");
    for (line, reason) in [
        ("broken", r#"record on line 2: extraneous or missing " in quoted-field"#),
        ("second", r#"record on line 2: extraneous or missing " in quoted-field"#),
        ("parse", r#"the "csv.parse" function is only available in the init stage"#),
        ("parser", r#"the "csv.Parser" function is only available in the init stage"#),
    ] {
        let logged = outcome.log_lines(&format!("{line} "));
        assert!(logged.iter().any(|logged| logged.contains(reason)), "{line}: {logged:?}");
    }
}

#[test]
fn a_module_resolves_what_it_is_given() {
    let script = "
let reason;
try { import.meta.resolve() } catch (error) { reason = String(error) }
export default () => console.log(reason)";
    run("test.js", script, &[], &[]).expect_code(0).expect_text("TypeError: resolve() needs an argument");
}

/// One line each, with its reason, in the reference's words.
#[test]
fn a_summary_that_cannot_be_handled_is_said_once() {
    let run = |body: &str| {
        let script = format!("export default function () {{}}\nexport function handleSummary() {{ {body} }}");
        let program = Program::new(BINARY).file("script.js", &script).args(["run", "--quiet", "script.js"]);
        let outcome = program.run();
        outcome.expect_code(0).expect_text("TOTAL RESULTS");
        assert_eq!(outcome.log_lines("level=error").len(), 1, "{}", outcome.stderr);
        outcome
    };
    let thrown = run("throw new Error('broken report')");
    thrown.expect_text("msg=\"Error: broken report").expect_text("hint=\"script exception\"");
    let no_map = run("return [1]");
    no_map.expect_text(
        "msg=\"failed to handle the end-of-test summary\" error=\"handleSummary() should return a map with string keys\"",
    );
    for (value, kind) in [
        ("5", "int64"),
        ("2 / 2", "int64"),
        ("1.5", "float64"),
        ("true", "bool"),
        ("[1]", "[]interface {}"),
        ("{ a: 1 }", "map[string]interface {}"),
        ("null", "<nil>"),
        ("new Date()", "time.Time"),
        ("() => 1", "func(sobek.FunctionCall) sobek.Value"),
    ] {
        let refused = run(&format!("return {{ stdout: {value} }}"));
        refused.expect_text(&format!(
            "msg=\"failed to handle the end-of-test summary\" error=\"error handling summary object stdout: invalid type {kind}, it needs to be a string or ArrayBuffer\""
        ));
    }
}

/// Dates as text, as scripts know them from k6: with the zone's name, and of 24 hours.
#[test]
fn dates_have_their_zone_and_24_hours() {
    let script = r#"
export default function () {
  const date = new Date(1704459600000)
  console.log(`${date} | ${date.toTimeString()} | ${date.toLocaleString()} | ${date.toLocaleTimeString()}`)
  console.log("again:", Date.parse(String(date)) === +date, new Date(NaN).toString())
}
"#;
    let zones =
        [("UTC", "13:00:00 GMT+0000 (UTC)", "13:00:00"), ("EST5EDT", "08:00:00 GMT-0500 (EST)", "08:00:00")];
    for (zone, time, local) in zones {
        let program = Program::script(BINARY, script).env("TZ", zone).args(["--log-format=raw"]);
        let text = format!("Fri Jan 05 2024 {time} | {time} | 01/05/2024, {local} | {local}");
        program.run().expect_code(0).expect_text(&text).expect_text("again: true Invalid Date");
    }
}

/// Without a message, neither the text `undefined` nor `null` gets into the error.
#[test]
fn fail_without_a_message_has_none() {
    let script = "
import { fail } from 'k6'
export default function () {
  for (const given of [[], [undefined], [null], [''], ['no'], [5]])
    try { fail(...given) } catch (e) { console.log(JSON.stringify(e.message)) }
}
";
    let outcome = run("s.js", script, &[], &["--console-output=said.txt"]);
    assert_eq!(outcome.expect_code(0).file("said.txt"), "\"\"\n\"\"\n\"\"\n\"\"\n\"no\"\n\"5\"\n");
}
