//! Script that keeps its worker busy: others go on, and it ends when its time is over, however long its single calls take.

use std::time::Duration;

use senary_testkit::{Outcome, Program, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Loops of ordinary calls that take milliseconds each.
const LOOPS: [(&str, &str); 12] = [
    (
        "parse",
        "const s = JSON.stringify(Array.from({ length: 50000 }, (_, i) => ({ i }))); for (;;) JSON.parse(s)",
    ),
    ("stringify", "const o = Array.from({ length: 50000 }, (_, i) => ({ i })); for (;;) JSON.stringify(o)"),
    ("md5", "const b = new Uint8Array(1 << 20); for (;;) crypto.md5(b.buffer, 'hex')"),
    ("sha256", "const b = new Uint8Array(20 << 20); for (;;) crypto.sha256(b.buffer, 'hex')"),
    (
        "hmac",
        "const b = new Uint8Array(20 << 20); for (;;) crypto.hmac('ripemd160', b.buffer, b.buffer, 'hex')",
    ),
    (
        "concat",
        "const b = new Uint8Array(1 << 24); for (;;) { const n = new Uint8Array(1 << 25); n.set(b); n.set(b, 1 << 24) }",
    ),
    ("decode", "const b = new Uint8Array(5 << 20).fill(65), d = new TextDecoder(); for (;;) d.decode(b)"),
    ("base64", "const b = new Uint8Array(5 << 20); for (;;) b64decode(b64encode(b))"),
    ("split", "const s = 'field,'.repeat(200000); for (;;) s.split(',')"),
    ("slice", "const a = Array.from({ length: 1000000 }, (_, i) => i); for (;;) a.slice().includes(-1)"),
    (
        "sort",
        "const a = Float64Array.from({ length: 500000 }, (_, i) => (i * 7919) % 500003); for (;;) a.slice().sort()",
    ),
    ("for of", "for (const i of new Array(1e6).fill(1)) JSON.parse('[' + '1,'.repeat(300000) + '1]')"),
];

/// Single calls that would take seconds, minutes or for ever.
const CALLS: [&str; 23] = [
    "'€'.repeat(4e6).indexOf('€'.repeat(1e6) + 'x'); '€'.repeat(2e6).split('€'.repeat(1e6) + 'x')",
    "'€'.repeat(4e6).lastIndexOf('x' + '€'.repeat(1e6))",
    "'a'.repeat(2e8).indexOf('a'.repeat(9e7) + 'b')",
    "'x'.repeat(3e8).replace(/x/g, '')",
    "Object.keys(new Proxy({}, { ownKeys: () => Array.from({ length: 1e6 }, (_, i) => 'k' + i) }))",
    "Array.from({ length: 3e6 }, Math.random).sort()",
    "new Function(Array.from({ length: 60000 }, (_, i) => `let a${i};a${i}++;`).join(''))",
    "new Function('class A{' + Array.from({ length: 60000 }, (_, i) => `#p${i}=1;`).join('') + '}')()",
    "Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 1)",
    "Object.assign({}, new Uint8Array(3e7))",
    "Object.keys('x'.repeat(3e7))",
    "new Float64Array(6e7).map((_, i) => (i * 7919) % 60000049).sort()",
    "'e\\u0301'.repeat(3e7).normalize('NFC')",
    "('a' + '\\u0315\\u0316'.repeat(5e6)).normalize('NFD')",
    "'x'.padEnd(2 ** 29, 'abc')",
    "atob('A'.repeat(6e8))",
    "crypto.randomBytes(9e8)",
    "'ab'.repeat(5e6).split('')",
    "(3n ** 600000n).toString(); (7n ** 370000n) ** 1n / 3n ** 300000n",
    "[...new Array(2e7).keys()].map(String)",
    "JSON.parse('[' + '1,'.repeat(2e7) + '1]')",
    "new Map(Array.from({ length: 3e6 }, (_, i) => [i, i]))",
    "new RegExp('[' + Array.from({ length: 90000 }, (_, i) => String.fromCodePoint(0x90000 - 2 * i)).join('') + ']', 'u')",
];

/// A script with a busy function beside one that counts its ticks; the busy one has one second and half a second's grace.
fn busy(body: &str) -> String {
    format!(
        r#"
import {{ sleep }} from "k6"
import crypto from "k6/crypto"
import {{ b64decode, b64encode }} from "k6/encoding"
import {{ Counter }} from "k6/metrics"
const ticks = new Counter("ticks")
export const options = {{
  scenarios: {{
    busy: {{ executor: "per-vu-iterations", vus: 2, iterations: 1, maxDuration: "1s", gracefulStop: "500ms" }},
    other: {{ executor: "constant-vus", vus: 1, duration: "1s", exec: "other" }},
  }},
}}
export function other() {{ sleep(0.005); ticks.add(1) }}
export default function () {{ console.log("here"); {body} }}"#
    )
}

fn cut_short(what: &str, body: &str) -> Outcome {
    let outcome = Program::script(BINARY, &busy(body)).args(["--workers", "1"]).within(BOUND).run();
    outcome.expect_code(0);
    // Of these, up to two are ended by the grace, after a second and a half.
    assert!(outcome.elapsed < Duration::from_secs(8), "{what} took {:?}", outcome.elapsed);
    let ticks = outcome.measured("ticks", "count");
    assert!(ticks >= 10.0, "the others went on {ticks} times beside {what}");
    outcome
}

#[test]
fn loops_of_long_calls_end_with_their_scenario() {
    for (name, body) in LOOPS {
        cut_short(name, body);
    }
}

#[test]
fn long_calls_let_others_go_on() {
    for call in CALLS {
        cut_short(call, call);
    }
}

/// Either signal, wherever the loop is.
#[test]
fn loops_of_long_calls_end_with_a_signal() {
    let parse = LOOPS[0].1;
    let places = [
        format!("export default function () {{ console.log('here'); {parse} }}"),
        format!("export function setup() {{ console.log('here'); {parse} }} export default () => {{}}"),
        format!("console.log('here'); {parse}; export default () => {{}}"),
        format!(
            "export default () => {{}}; export function handleSummary() {{ console.log('here'); {parse} }}"
        ),
    ];
    for (script, signal) in places.iter().zip([Signal::INT, Signal::TERM, Signal::INT, Signal::TERM]) {
        let mut running = Program::script(BINARY, script).within(BOUND).start();
        running.wait_for("here").signal(signal);
        let outcome = running.finish();
        outcome.expect_code(105);
        assert!(outcome.elapsed < Duration::from_secs(8), "{script} took {:?}", outcome.elapsed);
    }
}

#[test]
fn loops_of_long_calls_keep_to_the_timeouts_of_stages() {
    let parse = LOOPS[0].1;
    for (stage, code) in [("setup", 100), ("teardown", 101)] {
        let script = format!(
            "export const options = {{ {stage}Timeout: '1s' }}; export default () => {{}}; export function {stage}() {{ {parse} }}"
        );
        let outcome = Program::script(BINARY, &script).within(BOUND).run();
        outcome.expect_code(code).expect_text("timed out after 1 seconds");
        assert!(outcome.elapsed < Duration::from_secs(8), "{stage} took {:?}", outcome.elapsed);
    }
}

#[test]
fn a_call_has_any_number_of_arguments() {
    let script = r#"
export default function () {
  const big = Array.from({ length: 300000 }, (_, i) => i), list = []
  list.push(...big)
  function count() { return arguments.length + arguments[299999] }
  class Sum { constructor(...all) { this.n = all.length } }
  class Sub extends Sum {}
  console.log([
    Math.max(...big), list.length, String.fromCharCode.apply(null, new Uint8Array(300000).fill(65)).length,
    count(...big), ((...all) => all.length)(...big), new Sub(...big).n, Reflect.apply(Math.min, null, big),
    count.bind(null, 1)(...big), (function* () { yield arguments.length })(...big).next().value, [].concat(...big).length,
  ].join())
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0);
    let expected = "299999,300000,300000,599999,300000,300000,0,599999,300000,300000";
    outcome.expect_text(expected);
}

#[test]
fn recursion_goes_deep() {
    let script = r#"
export default function () {
  const down = (n) => (n === 0 ? 0 : 1 + down(n - 1))
  let nested = {}
  for (let i = 0; i < 8000; i++) nested = { a: nested }
  const text = JSON.stringify(nested)
  console.log(down(20000), text.length, JSON.stringify(JSON.parse(text)) === text, [[[[1]]]].flat(Infinity))
}
export function handleSummary() {
  const down = (n) => (n === 0 ? 0 : 1 + down(n - 1))
  console.log("summary", down(20000))
  return {}
}
"#;
    let outcome = Program::script(BINARY, script).within(BOUND).run();
    outcome.expect_code(0).expect_text("20000 48002 true [ 1 ]").expect_text("summary 20000");
}

/// The memory of a deep stack is given back when the script is done with it.
#[cfg(target_os = "linux")]
#[test]
fn a_deep_stack_does_not_stay() {
    let script = r#"
import { sleep } from "k6"
const down = (n) => 1 + down(n + 1)
export default function () {
  try { down(0) } catch (error) { console.log("caught", error.name) }
}
export function teardown() { sleep(0.1); console.log("done"); sleep(5) }
"#;
    let mut running = Program::script(BINARY, script).within(BOUND).start();
    running.wait_for("caught RangeError").wait_for("done");
    let (now, peak) = (running.resident_kib().unwrap_or_default(), running.peak_kib().unwrap_or_default());
    assert!(now + 16_000 < peak, "{now} KiB of {peak} KiB");
    running.signal(Signal::INT).signal(Signal::INT);
    running.finish();
}
