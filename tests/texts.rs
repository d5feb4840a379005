//! Texts and names that Rust cannot hold as they are: halves of surrogate pairs, zero bytes. Nothing of them is lost, and
//! nothing is taken for something else.

use std::time::Duration;

use senary_testkit::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn a_report_with_half_a_surrogate_pair_is_written_whole() {
    let script = r#"
export default function () {}
export function handleSummary() {
  const cut = JSON.parse('"\\ud83d"')
  return { "report.html": "r".repeat(100000) + cut + "</html>", ["name" + cut]: "x", stdout: `summary ${cut}\n` }
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0);
    assert_eq!(outcome.stdout, "summary \u{fffd}\n");
    assert_eq!(outcome.file("report.html"), "r".repeat(100_000) + "\u{fffd}</html>");
    assert_eq!(outcome.file("name\u{fffd}"), "x");
}

#[test]
fn errors_keep_their_text() {
    for (code, expected) in [
        (r"throw new Error('at byte 17: \ud83d')", "Error: at byte 17: \u{fffd}"),
        (r"throw 'thrown \udc00'", "thrown \u{fffd}"),
        (r"Promise.reject(new TypeError('r\ud800'))", "TypeError: r\u{fffd}"),
        (r"fail('f\ud83d')", "GoError: f\u{fffd}"),
        (r"console.log({ 'k\ud800': 'v\udfff' })", "{ k\u{fffd}: \"v\u{fffd}\" }"),
        (r"exec.test.abort('a\ud83d')", "test aborted: a\u{fffd}"),
        (r"exec.test.fail('a\ud83d')", "test marked as failed: a\u{fffd}"),
    ] {
        let script = format!(
            "import {{ fail }} from 'k6'; import exec from 'k6/execution'; export default function () {{ {code} }}"
        );
        let outcome = Program::script(BINARY, &script).arg("--log-format=raw").within(BOUND).run();
        outcome.expect_text(expected);
    }
}

/// Every native takes such a text where a text belongs.
#[test]
fn no_call_refuses_half_a_surrogate_pair() {
    let script = r#"
import { check, group } from "k6"
import { Counter } from "k6/metrics"
import { Socket } from "k6/x/tcp"
import { parseHTML } from "k6/html"
import crypto from "k6/crypto"
import encoding from "k6/encoding"
import exec from "k6/execution"
import { SharedArray } from "k6/data"
const s = "x\ud83d"
const hits = new Counter("hits")
const shared = new SharedArray(s, () => [s])
export const options = { tags: { run: s }, iterations: 1 }
export function setup() { return { [s]: [s] } }
export default async function (data) {
  const calls = {
    check: () => check(1, { [s]: true, a: true }, { t: s, [s]: "v" }),
    group: () => group(s, () => "in"),
    add: () => hits.add(1, { t: s, [s]: "v" }),
    tags: () => (exec.vu.metrics.tags[s] = s, exec.vu.metrics.metadata[s] = s, true),
    socket: () => new Socket({ tags: { t: s, [s]: s } }).on(s, () => 1),
    find: () => parseHTML(`<p a='${s}'>${s}</p>`).find(`p[a='${s}']`).size(),
    sha: () => crypto.md5(s, "hex") === crypto.md5("x\ufffd", "hex"),
    hmac: () => crypto.hmac("sha256", s, s, "hex").length,
    b64: () => encoding.b64encode(s),
    env: () => __ENV[s],
    data: () => data["x\ufffd"][0] === "x\ufffd",
    shared: () => shared[0] === s,
  }
  for (const name in calls) {
    try { console.log(`R ${name}: ${calls[name]()}`) } catch (error) { console.log(`R ${name} threw ${error}`) }
  }
  const refused = await new Socket().connect(1, s).catch((error) => error)
  console.log(`R connect: ${refused.code} ${refused.message}`)
  await import(s).catch((error) => console.log(`R import: ${error.name}`))
  console.log(`R options: ${exec.test.options.tags.run === "x\ufffd"}`)
}
"#;
    let outcome = Program::script(BINARY, script).arg("--log-format=raw").within(BOUND).run();
    outcome.expect_code(0);
    for line in [
        "check: true",
        "group: in",
        "add: true",
        "tags: true",
        "socket: undefined",
        "find: 1",
        "sha: true",
        "hmac: 64",
        "b64: eO+/vQ==",
        "env: undefined",
        "data: true",
        "shared: true",
        "import: GoError",
        "options: true",
    ] {
        outcome.expect_text(&format!("R {line}\n"));
    }
    outcome.expect_text("R connect: ENOTFOUND lookup x\u{fffd}: no such host");
}

#[test]
fn a_zero_byte_in_a_name_is_part_of_the_name() {
    let script = r#"
import { check, group } from "k6"
import { Counter } from "k6/metrics"
import exec from "k6/execution"
import file from "k6/experimental/fs"
const hits = new Counter("hits")
let opened = ""
try { open("data\0.txt") } catch (error) { opened = error.message }
export default async function () {
  console.log(`R first ${check(1, { "a\0b": () => true })}`)
  console.log(`R second ${check(1, { ab: () => true, "ab\0x": () => false })}`)
  console.log(`R tag ${check(1, { t: true }, { "k\0z": "v" })} ${hits.add(1, { "k\0": "v" })}`)
  exec.vu.metrics.tags["q\0r"] = "s"
  console.log(`R vu ${JSON.stringify(exec.vu.metrics.tags["q\0r"])} ${exec.vu.metrics.tags.q}`)
  group("g\0h", () => {})
  console.log(`R open ${opened}`)
  await import("k6\0/x").catch((error) => console.log(`R import ${error.message}`))
}
export function handleSummary(data) {
  const checks = data.root_group.checks.map((c) => [c.name, c.passes, c.fails])
  return { stdout: JSON.stringify([checks, data.root_group.groups.map((g) => g.name)]) + "\n", "re\0port": "x", "report": "whole" }
}
"#;
    let outcome = Program::script(BINARY, script).arg("--log-format=raw").within(BOUND).run();
    outcome.expect_code(0);
    for line in [
        "first true",
        "second false",
        "tag true true",
        "vu \"s\" undefined",
        "open no file and no module has a zero byte",
        "import the name of the module",
    ] {
        outcome.expect_text(&format!("R {line}"));
    }
    let summary = r#"[[["a\u0000b",1,0],["ab",1,0],["ab\u0000x",0,1],["t",1,0]],["g\u0000h"]]"#;
    assert_eq!(outcome.stdout.trim_end(), summary);
    assert_eq!(outcome.file("report"), "whole");
    outcome.expect_text("failed to handle the end-of-test summary");
}

#[test]
fn options_that_json_cannot_carry_are_an_error() {
    let deep = "export const options = { tags: JSON.parse('['.repeat(200) + ']'.repeat(200)) }; export default function () {}";
    let outcome = Program::script(BINARY, deep).within(BOUND).run();
    assert_ne!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome.expect_text("error parsing script options");
}

#[test]
fn the_group_tag_says_which_group_a_script_is_in() {
    let script = r#"
import exec from "k6/execution"
import { check, group } from "k6"
import { Counter } from "k6/metrics"
const hits = new Counter("hits")
export const options = { systemTags: ["group", "iter"] }
export function setup() { hits.add(1, { at: "setup" }) }
export default function () {
  group("", () => { check(1, { c: true }); hits.add(1, { at: "nameless" }) })
  exec.vu.tags.group = "zz"
  hits.add(1, { at: "before" })
  group("g", () => hits.add(1, { at: "in" }))
  hits.add(1, { at: "after" })
}
"#;
    let outcome = Program::script(BINARY, script).args(["--out", "json=samples.json"]).within(BOUND).run();
    outcome.expect_code(0);
    let samples = outcome.file("samples.json");
    let has = |metric: &str, tags: &str| {
        let found = samples.lines().any(|line| {
            line.contains(&format!(r#"{{"metric":"{metric}","type":"Point""#)) && line.contains(tags)
        });
        assert!(found, "{metric} {tags} in {samples}");
    };
    has("hits", r#""tags":{"at":"setup","group":"::setup"},"metadata":{"iter":"0"}"#);
    has("hits", r#""tags":{"at":"nameless","group":""}"#);
    has("hits", r#""tags":{"at":"before","group":"zz"}"#);
    has("hits", r#""tags":{"at":"in","group":"zz::g"}"#);
    has("hits", r#""tags":{"at":"after","group":"zz"}"#);
    has("iteration_duration", r#""tags":{"group":"zz"}"#);
}
