//! What people import: libraries as modules and as bundles, from files and from a server. They are not the public ones, but use the
//! same features of the language and the same calls: classes with private fields, chains of getters behind a `Proxy`, wrappers for
//! every loader, compiled templates, generators, symbols.

use senary_testkit::{Asked, Certificate, Outcome, Program, Reply, Site};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

const LIBRARIES: [(&str, &str); 7] = [
    ("client.js", include_str!("libraries/client.js")),
    ("assertions.js", include_str!("libraries/assertions.js")),
    ("utilities.js", include_str!("libraries/utilities.js")),
    ("summary.js", include_str!("libraries/summary.js")),
    ("expectations.js", include_str!("libraries/expectations.js")),
    ("report.js", include_str!("libraries/report.js")),
    ("tables.js", include_str!("libraries/tables.js")),
];

/// Serves the libraries, and the pages that scripts ask for.
fn site() -> Site {
    Site::start_tls(|asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let library = LIBRARIES.iter().find(|(name, _)| path == format!("/lib/{name}"));
        match (library, path) {
            (Some((_, text)), _) => Reply::page(200, &["Content-Type: application/javascript"], text),
            (None, "/page") => Reply::page(200, &["Content-Type: text/html"], "<p>a</p><p>b</p>"),
            (None, "/set") => Reply::page(200, &["Set-Cookie: session=s1; Path=/"], "{}"),
            (None, "/empty") => Reply::page(200, &[], ""),
            _ => echo(asked),
        }
    })
}

/// Says as JSON what was asked.
fn echo(asked: &Asked) -> Reply {
    let headers: serde_json::Map<_, _> =
        asked.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let body = serde_json::json!({
        "method": asked.method, "path": asked.path, "headers": headers, "body": asked.text()
    });
    Reply::page(200, &["Content-Type: application/json"], body.to_string())
}

/// Runs a script that imports from `LIB`, with the libraries as files beside it and from a server; `judge` gets the outcome and what
/// the script said.
fn run(script: &str, code: i32, judge: impl Fn(&Outcome, &str)) {
    let site = site();
    for library in ["./lib".to_owned(), format!("{}/lib", site.url)] {
        let script = script.replace("LIB/", &format!("{library}/"));
        let log = "const told = console.log; console.log = (...words) => told('>', ...words);";
        let outcome = program(&site, &format!("{log}\n{script}"))
            .args(["run", "--quiet", "--log-format=raw", "--summary-export=summary.json", "user.js"])
            .run();
        outcome.expect_code(code);
        let said: Vec<_> = outcome.stderr.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        judge(&outcome, &said.join("\n"));
    }
    assert!(site.asked().iter().any(|asked| asked.path.starts_with("/lib/")));
}

/// A script with the libraries beside it, and the site as `BASE`.
fn program(site: &Site, script: &str) -> Program {
    let mut program = Program::new(BINARY).file("user.js", script);
    for (name, text) in LIBRARIES {
        program = program.file(&format!("lib/{name}"), text);
    }
    program
        .file("users.csv", "\u{feff}name,age,on\r\nAnn,31,true\r\n\"Bob, \"\"B\"\"\",4.5,false\r\n\r\n")
        .file("ca.pem", Certificate::authority_pem())
        .env("SSL_CERT_FILE", "ca.pem")
        .env("BASE", &site.url)
}

#[test]
fn a_client_class_with_defaults_and_transforms() {
    let script = r#"
import Session, { Get, Post } from "LIB/client.js"
const session = new Session({ baseURL: __ENV.BASE, headers: { "X-Default": "d" }, timeout: 5000 })
session.addHeader("X-Token", 7).onResponse((r) => (r.headers["Content-Type"] === "application/json" && r.body ? r.json() : r))
session.tags = { client: "yes" }
export const options = { thresholds: { "http_reqs{client:yes}": ["count==11"], client_waiting: ["max>=0"] } }
export default async function () {
  const got = session.get("/a?b=1")
  console.log(got.method, got.path, got.headers["x-default"], got.headers["x-token"])
  session.clearHeader("X-Token")
  const post = session.post("/form", { x: 1, y: "ü" }, { headers: { "X-Default": "other" } })
  console.log(post.body, post.headers["content-type"], post.headers["x-default"], post.headers["x-token"])
  for (const verb of ["put", "patch", "delete"]) console.log(session[verb]("/v", JSON.stringify([verb])).body)
  console.log(session.head("/empty").status, session.options("/o").method)
  const [page, other] = session.batch([Get("/page"), Post("/b", "text", { tags: { name: "b" } })])
  console.log(page.html("p").size(), page.html().find("p").last().text(), other.body)
  session.request("get", "/set")
  console.log((await session.asyncRequest("get", "/cookies")).headers.cookie, Session.made, String(session))
}"#;
    run(script, 0, |outcome, said| {
        let expected = "GET /a?b=1 d 7
x=1&y=%C3%BC application/x-www-form-urlencoded other undefined
[\"put\"]\n[\"patch\"]\n[\"delete\"]
200 OPTIONS
2 b text
session=s1 1 [object Session]";
        assert_eq!(said, expected);
        outcome.expect_value("http_reqs", "count", 11.0);
    });
}

#[test]
fn chains_of_words_behind_a_proxy() {
    let script = r#"
import { describe, expect } from "LIB/assertions.js"
import { describe as same, AssertionError } from "LIB/assertions.js"
import http from "k6/http"
export const options = { thresholds: { "checks{kind:assertion}": ["rate==0.6"] } }
export default function () {
  console.log(describe("holds", () => {
    const r = http.get(`${__ENV.BASE}/x`)
    expect(r.status, "status").to.equal(200)
    expect(r).to.have.validJsonBody()
    expect(r.json()).to.have.property("path", "/x")
    expect({ a: [1, new Map([["k", new Set([1])]])], d: new Date(5) }).to.deep.equal({ a: [1, new Map([["k", new Set([1])]])], d: new Date(5) })
    expect([]).to.not.equal([])
    expect("text").to.be.a("string")
  }))
  console.log(describe("fails", () => expect(http.get(`${__ENV.BASE}/x`).status, "status").to.be.above(300)))
  console.log(same("holds, too", (k6) => {
    expect(typeof k6.check).to.equal("function")
    expect(new Uint8Array([1, 2]).buffer).to.not.deep.equal(new Uint8Array([1, 3]).buffer)
    expect(() => { throw new RangeError("r") }).to.throw(RangeError)
    expect(10n).to.be.a("bigint")
    expect(/x/).to.not.be.a("object")
  }))
  try { expect(1).to.be.eqaul(1) } catch (e) { console.log(e.message) }
  try { expect([1n]).to.equal(2) } catch (e) {
    console.log(e instanceof AssertionError, e instanceof Error, e.name, e.message, e.expected)
  }
  console.log(describe("negated", () => expect(1).to.not.equal(1)), describe("last", () => {}))
}"#;
    run(script, 0, |outcome, said| {
        let expected = "true\nfalse\ntrue
Invalid assertion property: eqaul. Did you mean \"equal\"?
true true AssertionError expected [\"1\"] to equal 2 2
false true";
        assert_eq!(said, expected);
        outcome
            .expect_text("assertion failed in default: status: expected 200 to be above 300 at user.js:17");
        outcome.expect_value("checks", "passes", 3.0).expect_value("checks", "fails", 2.0);
    });
}

#[test]
fn functions_around_a_test() {
    let script = r#"
import * as utilities from "LIB/utilities.js"
import exec from "k6/execution"
import http from "k6/http"
const { uuidv4, randomIntBetween, randomItem, randomString, findBetween, bellCurve, parseDuration } = utilities
const stages = [...bellCurve(10, 10, 4)]
export const options = {
  scenarios: { shaped: { executor: "ramping-vus", startVUs: 1, stages: [{ duration: "100ms", target: 1 }, { duration: "1h", target: 3 }], gracefulStop: "0s" } },
  thresholds: { "iterations{stage:0}": ["count>0"], "http_reqs{stage:1}": ["count>0"] },
}
export default function () {
  const stage = utilities.tagWithStage()
  const response = http.get(`${__ENV.BASE}/x`)
  if (stage === 0 || exec.vu.idInTest !== 1) return
  console.log(stages.map((stage) => stage.target).join(), stages[0].duration)
  console.log([uuidv4(), uuidv4(true)].every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)))
  const [n, item, text] = [randomIntBetween(5, 6), randomItem([1, 2]), randomString(8, "ab")]
  console.log(n >= 5 && n <= 6, [1, 2].includes(item), /^[ab]{8}$/.test(text))
  console.log(findBetween("<b>x</b><b>y</b>", "<b>", "</b>"), findBetween("<b>x</b><b>y</b>", "<b>", "</b>", true).join("+"), findBetween("", "a", "b"))
  console.log(parseDuration("1d2h3m4.5s6ms"), utilities.profile(), Object.keys(utilities).length)
  console.log(utilities.checkStatus({ response, expected: [200, 201] }), utilities.checkStatus({ response, expected: 404 }))
  utilities.checkStatus({ response, expected: 404, failOnError: true })
}"#;
    // The test ends itself, because of a wrong status.
    run(script, 108, |outcome, said| {
        outcome.expect_text("wrong status");
        let expected =
            "1,5,10,10,5,1,0 3s\ntrue\ntrue true true\nx x+y null\n93784506 ramp-up 11\ntrue false";
        assert_eq!(said, expected);
        assert!(outcome.value("http_reqs{stage:1}", "count") > Some(0.0));
    });
}

#[test]
fn a_summary_as_text_and_as_xml() {
    let script = r#"
import { textSummary, jUnit } from "LIB/summary.js"
import summary from "LIB/summary.js"
import { check, group } from "k6"
import http from "k6/http"
export const options = {
  thresholds: { http_reqs: ["count==1", "count<1"], "http_req_duration{expected_response:true}": ["p(95)<60000"], checks: ["rate>0.4"] },
  summaryTrendStats: ["avg", "p(99.9)", "count"],
}
export default function () {
  group("grüße", () => check(http.get(`${__ENV.BASE}/x`), { "ok": (r) => r.status === 200, "is <odd>": () => false }))
}
export function handleSummary(data) {
  return {
    stdout: textSummary(data, { indent: "->", enableColors: false }) + "\n" + textSummary(data, { indent: " ", summaryTimeUnit: "us" }),
    "junit.xml": jUnit(data, { name: "a & b" }),
    stderr: "> " + (summary.textSummary === textSummary) + " " + summary.humanizeValue(1500, { type: "trend", contains: "time" }) + "\n",
  }
}"#;
    run(script, 99, |outcome, said| {
        assert_eq!(said, "true 1.50s");
        let text = &outcome.stdout;
        for line in [
            "->    █ grüße\n",
            "->      ✓ ok\n",
            "->      ✗ is <odd>\n->       ↳  0% — ✓ 0 / ✗ 1\n",
            "->✓ checks......................................: fails=1 passes=1 rate=50.00%\n",
            "->✗ http_reqs...................................: count=1 rate=",
            "->✓ http_req_duration{expected_response:true}...: avg=",
            "\u{1b}[31m       ✗ is <odd>\u{1b}[0m",
            "p(99.9)=\u{1b}[36m",
            "µs",
        ] {
            assert!(text.contains(line), "{line:?}: {text}");
        }
        let xml = outcome.file("junit.xml");
        for part in [
            r#"<testsuites tests="4" failures="1">"#,
            r#"<testsuite name="a &amp; b">"#,
            r#"<testcase name="http_reqs - count&lt;1"><failure"#,
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
    });
}

#[test]
fn expectations_that_are_soft_awaited_and_extended() {
    let script = r#"
import { expect, ExpectationError } from "LIB/expectations.js"
import exec from "k6/execution"
import http from "k6/http"
export const options = { thresholds: { "expectations_failed{matcher:toBe}": ["count==6"], "http_reqs{failed:soft}": ["count==1"] } }
export default async function () {
  const r = http.get(`${__ENV.BASE}/x`)
  expect(r.status).toBe(200)
  expect(r.json()).toHaveProperty("headers.host")
  expect({ id: 7, list: [1, { deep: true }], text: "t" }).toEqual({ id: expect.any(Number), list: [1, { deep: true }], text: expect.any(String) })
  expect(0.1 + 0.2).toBeCloseTo(0.3)
  expect(new Uint8Array([1, 2])).toEqual(new Uint8Array([1, 2]))
  expect([1, 2]).not.toContain(3)
  expect.soft(r.status).toBe(404)
  http.get(`${__ENV.BASE}/y`)
  try { expect(1).not.toBe(1) } catch (e) {
    console.log(e instanceof ExpectationError, e.name, e.message, e.cause.received)
  }
  let polls = 0
  await expect(() => ++polls).eventually.toBe(5)
  console.log(polls)
  expect.extend({ toBeEven: (n) => n % 2 === 0 })
  expect(4).toBeEven()
  const quick = expect.configure({ timeout: 20, interval: 5 })
  console.log(JSON.stringify(quick.config))
  await quick(async () => null).eventually.toHaveLength(1).catch((e) => console.log(e.constructor.name))
}"#;
    run(script, 0, |outcome, said| {
        let expected = "true ExpectationError expect(received).not.toBe(1): received 1, at user.js:17 1
5
{\"soft\":false,\"colorize\":true,\"timeout\":20,\"interval\":5}
TypeError";
        assert_eq!(said, expected);
        outcome.expect_text("expect(received).toBe(404): received 200, at user.js:15");
    });
}

#[test]
fn a_report_from_compiled_templates() {
    let script = r#"
import { htmlReport, environment } from "LIB/report.js"
import { check } from "k6"
import http from "k6/http"
export const options = { thresholds: { http_reqs: ["count==2"] } }
export default function () {
  check(http.get(`${__ENV.BASE}/x`), { "is 200": (r) => r.status === 200, "is not": () => false })
}
export function handleSummary(data) {
  return { "page.html": htmlReport(data, { title: "<mine>" }), "environment.txt": environment() }
}"#;
    run(script, 99, |outcome, _| {
        let page = outcome.file("page.html");
        assert!(page.starts_with("<!doctype html><title>&lt;mine&gt;</title>"), "{page}");
        assert!(page.contains("<p>checks 1/2, thresholds failed 1</p>"), "{page}");
        let row = page.lines().find(|line| line.contains("<th>http_req_duration</th>")).expect("a row");
        assert_eq!((row.matches("<td>").count(), row.matches("<td>-").count()), (2, 0), "{page}");
        assert_eq!(outcome.file("environment.txt"), "undefined,undefined,k6,false");
    });
}

#[test]
fn tables_from_files() {
    let script = r#"
import Tables from "LIB/tables.js"
import { SharedArray } from "k6/data"
const text = open("./users.csv")
const users = new SharedArray("users", () => Tables.parse(text, { header: true, dynamicTyping: true, skipEmptyLines: true }).data)
const module = require("LIB/tables.js")
export default function () {
  console.log(users.length, users.map((user) => `${user.name}/${user.age}/${user.on}`).join(" "))
  console.log(JSON.stringify(Tables.parse("a;b\n1;\"x;\"\"y\"\"\"\n", {}).data), Tables === module, Tables.WORKERS_SUPPORTED)
  const seen = []
  const result = Tables.parse("n\n1\n2\n3\n", { header: true, step: (row, parser) => { seen.push(row.data.n); if (seen.length === 2) parser.abort() } })
  console.log(seen.join(), result.meta.aborted)
  console.log(JSON.stringify(Tables.unparse([{ a: 1, b: 'say "x"' }, { a: null, b: " y" }])))
}"#;
    run(script, 0, |_, said| {
        let expected = r#"2 Ann/31/true Bob, "B"/4.5/false
[["a","b"],["1","x;\"y\""]] true false
1,2 true
"a,b\r\n1,\"say \"\"x\"\"\"\r\n,\" y\"""#;
        assert_eq!(said, expected);
    });
}

/// An archive has the modules that came from the server in it.
#[test]
fn an_archive_keeps_what_was_served() {
    let site = site();
    let script = format!(
        "import {{ uuidv4 }} from '{0}/lib/utilities.js'\nimport Tables from '{0}/lib/tables.js'
export default function () {{ console.log(uuidv4().length, Tables.parse('a,b').data[0].length) }}",
        site.url
    );
    let made = program(&site, &script).args(["archive", "-O", "test.tar", "user.js"]).run();
    made.expect_code(0);
    let asked = site.asked().len();
    let copy = made.bytes("test.tar");
    let outcome = Program::new(BINARY).file("test.tar", copy).args(["run", "-q", "test.tar"]).run();
    outcome.expect_code(0).expect_text("36 2");
    assert_eq!(site.asked().len(), asked, "nothing was downloaded again");
}
