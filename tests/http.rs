//! `k6/http` against real servers: what is sent, what script gets, what is measured, and servers that misbehave.

#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

use std::time::Duration;

use senary_testkit::{Asked, Outcome, Program, Reply, Site, Then};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// A script with `base` as the address of the site.
fn program(site: &Site, script: &str) -> Program {
    let script = format!(
        "import http from 'k6/http';\nconst base = __ENV.BASE, log = console.log;\nconsole.log = (...words) => log('>', ...words);\n{script}"
    );
    Program::script(BINARY, &script).args(["-e", &format!("BASE={}", site.url)])
}

/// Runs the body of a default function.
fn run(site: &Site, body: &str) -> Outcome {
    let outcome = program(site, &format!("export default async function () {{ {body} }}")).run();
    outcome.expect_code(0);
    outcome
}

fn echo(asked: &Asked) -> Reply {
    let headers: Vec<String> = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    Reply::ok(format!("{} {}\n{}\n\n{}", asked.method, asked.path, headers.join("\n"), asked.text()))
}

/// What the script said, in order.
fn said(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines().filter_map(|line| line.strip_prefix("> "));
    lines.collect::<Vec<_>>().join("|")
}

#[test]
fn a_request_is_measured_and_summed_up() {
    let site = Site::start(|_| Reply::ok("hello").after(Duration::from_millis(20)));
    let outcome = run(
        &site,
        "const r = http.get(`${base}/a`); console.log(r.status, r.body, r.timings.waiting >= 19, r.timings.duration >= r.timings.waiting)",
    );
    assert_eq!(said(&outcome), "200 hello true true");
    outcome.expect_value("http_reqs", "count", 1.0).expect_value("http_req_failed", "passes", 0.0);
    outcome.expect_text("{ expected_response:true }").expect_text("http_req_duration");
    assert_eq!(site.asked()[0].path, "/a");
}

#[test]
fn bodies_are_compressed_as_asked() {
    let site = Site::start(|asked| {
        let encoding = format!("Content-Encoding: {}", asked.header("content-encoding"));
        Reply::page(200, &[&encoding], &asked.body)
    });
    let outcome = run(
        &site,
        "for (const compression of ['gzip', 'deflate', 'br', 'zstd', 'gzip, br']) {
  const r = http.post(base, 'text '.repeat(1000), { compression });
  console.log(r.body === 'text '.repeat(1000), r.headers['Content-Encoding']);
}",
    );
    assert_eq!(said(&outcome), "true gzip|true deflate|true br|true zstd|true gzip, br");
    assert!(site.asked().iter().all(|asked| asked.body.len() < 200));
}

#[test]
fn redirects_take_along_what_they_may() {
    let other = Site::start(echo);
    let target = other.url.clone();
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/away" => {
            Reply::page(302, &[&format!("Location: {}/x", target.replace("127.0.0.1", "localhost"))], "")
        }
        "/here" => Reply::page(307, &["Location: there?a=1"], ""),
        "/loop" => Reply::page(302, &["Location: /loop"], ""),
        "/odd" => Reply::page(302, &["Location: http://a b/"], ""),
        _ => echo(asked),
    });
    let outcome = run(
        &site,
        "const headers = { Authorization: 'secret', 'X-Own': 'kept' };
http.post(`${base}/away`, 'body', { headers });
const here = http.post(`${base}/here`, 'body', { headers });
console.log(here.url === `${base}/there?a=1`, here.body.endsWith('body'), here.body.includes('authorization: secret'));
const loop = http.get(`${base}/loop`);
console.log(loop.status, loop.error_code);
const odd = http.get(`${base}/odd`);
console.log(odd.status, odd.error_code, odd.error.includes('failed to parse Location header'));",
    );
    assert_eq!(said(&outcome), "true true true|302 0|0 1000 true");
    outcome.expect_text("Stopped after 10 redirects and returned the redirection");
    let away = &other.asked()[0];
    assert_eq!(
        (away.method.as_str(), away.header("authorization"), away.header("x-own")),
        ("GET", "", "kept")
    );
    assert_eq!(away.header("referer"), format!("{}/away", site.url));
    assert_eq!(site.asked().iter().filter(|asked| asked.path == "/loop").count(), 11);
}

#[test]
fn cookies_are_those_of_the_iteration() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/set" => Reply::page(200, &["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/deep; HttpOnly"], ""),
        _ => Reply::ok(asked.header("cookie")),
    });
    let script = "export const options = { iterations: 2 };
export default function () {
  console.log(http.get(base).body + ';');
  const r = http.get(`${base}/set`);
  console.log(JSON.stringify(r.cookies.b[0]));
  console.log(http.get(`${base}/deep/er`).body, http.get(base, { cookies: { own: 'x', a: { value: 'y', replace: true } } }).body);
}";
    let outcome = program(&site, script).run();
    outcome.expect_code(0);
    let once = r#";|{"name":"b","value":"2","domain":"","path":"/deep","http_only":true,"secure":false,"max_age":0,"expires":-62135596800000}|b=2; a=1 own=x; a=y"#;
    assert_eq!(said(&outcome), format!("{once}|{once}"));
}

#[test]
fn connections_are_kept_and_reset_as_options_say() {
    for (options, connections) in
        [("{}", 1), ("{ noConnectionReuse: true }", 6), ("{ noVUConnectionReuse: true }", 2)]
    {
        let site = Site::start(|_| Reply::ok("x"));
        let script = format!(
            "export const options = Object.assign({options}, {{ iterations: 2 }});
export default function () {{ for (let i = 0; i < 3; i++) http.get(base) }}"
        );
        program(&site, &script).run().expect_code(0).expect_value("http_reqs", "count", 6.0);
        let last = site.asked().iter().map(|asked| asked.connection).max();
        assert_eq!(last, Some(connections - 1), "{options}");
    }
}

#[test]
fn a_server_that_misbehaves_is_an_error_with_a_code() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/nothing" => Reply::raw("", Then::Close),
        "/half" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Then::Close),
        "/no-http" => Reply::raw("SSH-2.0-OpenSSH_9.2\r\n", Then::Close),
        "/chunks" => {
            Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n", Then::Close)
        }
        "/gzip" => Reply::page(200, &["Content-Encoding: gzip"], "this is no gzip"),
        "/hang" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Then::Hang),
        "/long" => Reply::raw(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 22)), Then::Close),
        _ => Reply::ok("fine"),
    });
    let outcome = run(
        &site,
        "for (const path of ['nothing', 'half', 'no-http', 'chunks', 'gzip', 'hang', 'long', 'fine']) {
  const r = http.get(`${base}/${path}`, { timeout: 500 });
  console.log(path, r.status, r.error_code, r.error !== '');
}",
    );
    let said = said(&outcome);
    for (path, expected) in [
        ("nothing", "0 1000 true"),
        ("half", "0 1000 true"),
        ("no-http", "0 1000 true"),
        ("chunks", "0 1000 true"),
        ("gzip", "0 1701 true"),
        ("hang", "0 1050 true"),
        ("long", "0 1000 true"),
        ("fine", "200 0 false"),
    ] {
        assert!(said.contains(&format!("{path} {expected}")), "{path}: {said}");
    }
    outcome.expect_value("http_reqs", "count", 8.0).expect_value("http_req_failed", "passes", 7.0);
    outcome.expect_text("WHAT WENT WRONG");
}

#[test]
fn a_small_response_cannot_fill_the_memory() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/large" => Reply::ok(vec![b'x'; 40 << 20]),
        _ => Reply::page(200, &["Content-Encoding: gzip"], bomb()),
    });
    let script = "export default function () {
  for (const path of ['large', 'bomb']) { const r = http.get(`${base}/${path}`); console.log(r.status, r.error_code, r.body === null) }
}";
    let outcome = program(&site, script).args(["--vu-memory-limit", "32MB"]).run();
    outcome.expect_code(0);
    assert_eq!(said(&outcome), "0 1000 true|0 1701 true");
}

/// 64 MiB of zeros, compressed: one member after the other.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&vec![0; 64 << 20]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_under_way_ends_with_its_iteration() {
    let site = Site::start(|_| Reply::ok("x").after(Duration::from_secs(50)));
    for body in [
        "http.get(base)",
        "http.batch([base, base, base])",
        "http.asyncRequest('GET', base)",
        "await Promise.all([http.asyncRequest('GET', base), http.asyncRequest('GET', base)])",
    ] {
        let script = format!(
            "export const options = {{ scenarios: {{ a: {{ executor: 'constant-vus', vus: 1, duration: '1s', gracefulStop: '0s' }} }} }};
export default async function () {{ {body} }}"
        );
        let outcome = program(&site, &script).run();
        outcome.expect_code(0).expect_value("iterations_interrupted", "count", 1.0);
        outcome.expect_text("has no response after");
    }
    let script =
        "export default async function () { http.asyncRequest('GET', base); throw new Error('enough') }";
    program(&site, script).run().expect_code(0).expect_text("enough");
}

#[test]
fn batches_keep_to_their_limits_and_order() {
    let site = Site::start(|asked| Reply::ok(&asked.path).after(Duration::from_millis(50)));
    let outcome = run(
        &site,
        "const urls = Array.from({ length: 10 }, (_, i) => `${base}/${i}`);
const begun = Date.now();
console.log(http.batch(urls).map((r) => r.body).join());
const took = Date.now() - begun;
console.log(took >= 98);
const named = http.batch({ a: `${base}/a`, b: { method: 'POST', url: `${base}/b`, body: 'x' } });
console.log(named.a.body, named.b.request.method);
const { c } = http.batch({ c: 'http://a b/' });
console.log(c.status, c.error_code);
for (const bad of [() => http.batch(), () => http.batch(5), () => http.batch([], [])]) {
  try { bad(); console.log('none') } catch (e) { console.log(e.message) }
}",
    );
    assert_eq!(
        said(&outcome),
        "/0,/1,/2,/3,/4,/5,/6,/7,/8,/9|true|/a POST|0 1020|no argument was provided to http.batch()|invalid http.batch() argument type int64|http.batch() accepts only an array or an object of requests"
    );
}

#[test]
fn requests_of_a_script_run_beside_its_own_code() {
    let site = Site::start(|asked| Reply::ok(&asked.path).after(Duration::from_millis(100)));
    let outcome = run(
        &site,
        "const order = [];
const slow = http.asyncRequest('GET', `${base}/slow`).then((r) => order.push(r.body));
setTimeout(() => order.push('timer'), 10);
await slow;
order.push(http.get(`${base}/after`).body);
console.log(order.join());
const bad = await http.asyncRequest('GET', 'http://a b/');
console.log(bad.status, bad.error_code);
await http.asyncRequest('GET', 'http://a b/', null, { throw: true }).catch((e) => console.log(e.name, e.message));",
    );
    assert_eq!(
        said(&outcome),
        r#"timer,/slow,/after|0 1020|GoError invalid URL: parse "http://a b/": invalid character " " in host name"#
    );
}

#[test]
fn tags_are_those_of_the_call() {
    let site = Site::start(|_| Reply::ok("x"));
    let script = "import { group } from 'k6';
import exec from 'k6/execution';
export const options = { systemTags: ['method', 'status', 'name', 'group', 'ip', 'vu'], tags: { run: 'r' } };
export default async function () {
  let p;
  exec.vu.tags.mine = 'v';
  group('g', () => { p = http.asyncRequest('GET', `${base}/in`, null, { tags: { own: 1 } }) });
  await p;
  http.get(http.url`${base}/${5}`);
}";
    let outcome = program(&site, script).args(["--out", "json=out.json"]).run();
    outcome.expect_code(0);
    let text = outcome.file("out.json");
    let point = |part: &str| {
        text.lines()
            .find(|line| line.contains("\"http_reqs\"") && line.contains("Point") && line.contains(part))
            .expect(part)
    };
    let inside = point("/in\"");
    for part in [
        r#""group":"::g""#,
        r#""own":"1""#,
        r#""mine":"v""#,
        r#""run":"r""#,
        r#""ip":"127.0.0.1""#,
        r#""vu":"1""#,
    ] {
        assert!(inside.contains(part), "{part}: {inside}");
    }
    assert!(!inside.contains("proto") && !inside.contains("scenario"), "{inside}");
    point(r#""name":"${}/${}""#);
}

#[test]
fn debugging_shows_heads_and_bodies() {
    let site = Site::start(|_| Reply::ok("the answer"));
    let script = "export default function () { http.post(`${base}/p`, 'the question') }";
    let heads = program(&site, script).args(["--http-debug"]).run();
    heads.expect_code(0).expect_text("POST /p HTTP/1.1");
    assert!(!heads.stderr.contains("the answer"), "{}", heads.stderr);
    let full = program(&site, script).args(["--http-debug=full"]).run();
    full.expect_text("the answer").expect_text("the question");
}

#[test]
fn failed_requests_throw_where_asked_to() {
    let site = Site::start(|_| Reply::raw("", Then::Close));
    let outcome = run(
        &site,
        "try { http.get(base, { throw: true }) } catch (e) { console.log(e.name, e.message.startsWith(`Get \"${base}\": `)) }
for (const params of [{ timeout: 'soon' }, { compression: 'zip' }, { responseType: 'x' }, { tags: { a: {} } }, { responseCallback: 1 }]) {
  console.log(http.get(base, params).error);
}
for (const body of [5, [1], () => 1]) console.log(http.post(base, body).error);
console.log(http.get(5).error, http.get().error);",
    );
    assert_eq!(
        said(&outcome),
        "GoError true|invalid timeout value: time: invalid duration \"soon\"|unknown compression algorithm zip, supported algorithms are [gzip deflate zstd br]|x does not belong to ResponseType values|invalid HTTP request metric tags: invalid value for metric tag 'a': only String, Boolean and Number types are accepted as a metric tag values|unsupported responseCallback|unknown request body type int64|unknown request body type []interface {}|unknown request body type func(sobek.FunctionCall) sobek.Value|invalid URL value 'int64' invalid URL value '<nil>'"
    );
}

#[test]
fn responses_are_read_in_many_ways() {
    let site = Site::start(|asked| match asked.path.split('?').next().unwrap_or_default() {
        "/json" => Reply::ok(r#"{"a":[{"n":1},{"n":2}],"big":12345678901,"t":"x"}"#),
        "/long" => Reply::ok("é".repeat(20_000)),
        "/bytes" => Reply::ok([0xff, 0x00]),
        _ => Reply::page(
            404,
            &["X-A: 1", "x-a: 2", "Content-Type: text/html"],
            "<a href='/json?q#f'>go</a><p>1<p>2",
        ),
    });
    let outcome = run(
        &site,
        "const r = http.get(`${base}/json`);
console.log(r.json('a.#.n').join(), r.json('a.#(n>1).n'), r.json('big'), r.json('none'), r.json() === r.json(), Object.keys(r).includes('_json'));
const long = http.get(`${base}/long`);
console.log(long.body.length, long.body === long.body, JSON.stringify(long).length > 20000, Object.keys(long).includes('body'));
long.body = 'mine'; console.log(long.body);
console.log(new Uint8Array(http.get(`${base}/bytes`, { responseType: 'binary' }).body).join(), http.get(`${base}/bytes`).body.length);
const page = http.get(`${base}/page`);
console.log(page.headers['X-A'], page.status_text, page.html('p').size(), page.clickLink().json('t'));
try { page.json() } catch (e) { console.log(e.message.startsWith('cannot parse json due to an error at line 1, character 2 , error:')) }
try { page.submitForm() } catch (e) { console.log(e.message) }",
    );
    let expected = format!(
        "1,2 2 12345678901 undefined true false|20000 true true true|mine|255,0 2|1, 2 404 Words 2 x|true|no form found for selector 'form' in response '{}/page'",
        site.url
    );
    assert_eq!(said(&outcome), expected);
    assert!(site.asked().iter().any(|asked| asked.path == "/json?q"));
}

#[test]
fn the_rate_of_requests_is_that_of_all_virtual_users() {
    let site = Site::start(|_| Reply::ok("x"));
    let script = "export const options = { vus: 4, iterations: 8, rps: 20 };
export default function () { http.get(base) }";
    let begun = std::time::Instant::now();
    program(&site, script).run().expect_code(0).expect_value("http_reqs", "count", 8.0);
    assert!(begun.elapsed() >= Duration::from_millis(350));
}

#[test]
fn a_connection_that_the_server_has_closed_is_made_anew() {
    let site = Site::start(|_| {
        let reply = Reply::ok("x");
        Reply { then: Then::Close, ..reply }
    });
    let script = "import { sleep } from 'k6';
export const options = { iterations: 5 };
export default function () { http.get(base); sleep(0.02); http.post(base, 'x') }";
    let outcome = program(&site, script).run();
    outcome.expect_code(0).expect_value("http_reqs", "count", 10.0).expect_value(
        "http_req_failed",
        "passes",
        0.0,
    );
}

/// What the warnings of a run say, each with its hint.
fn warned(outcome: &Outcome) -> Vec<String> {
    let warnings = outcome.stderr.lines().filter_map(|line| line.split_once("level=warning msg="));
    warnings.map(|(_, text)| text.replace("\\\"", "\"")).collect()
}

#[test]
fn arguments_that_are_not_understood_are_told_once() {
    let site = Site::start(|_| Reply::ok("<a href='/b'>b</a><form action='/c'></form>"));
    let script = r#"
export const options = { vus: 2, iterations: 6 };
export default async function () {
  http.get(base, { headerz: { A: '1' }, tags: { any: 'name' } });
  http.get(base, { headerz: undefined });
  http.post(base, 'body', { timeot: '1s' });
  await http.asyncRequest('GET', base, null, { response_type: 'none' });
  http.batch([{ method: 'GET', url: base, header: {}, params: {} }, ['GET', base, null, { cookie: {} }]]);
  http.get(base, null, { headers: { A: '1' } });
  http.get(base, { headers: 'A: 1', cookies: 'a=1', jar: {}, auth: 'bearer' });
  http.get(base, { cookies: { a: { value: '1', replaced: true } } });
  http.cookieJar().set(base, 'a', '1', { maxAge: 1 });
  const page = http.get(base);
  page.clickLink({ selektor: 'a' });
  page.submitForm({ field: {} });
}"#;
    let script = format!("import http from 'k6/http';\nconst base = __ENV.BASE;{script}");
    let program = Program::new(BINARY).file("script.js", &script).args(["run", "--quiet", "script.js"]);
    let outcome = program.args(["--summary-export", "summary.json"]).env("BASE", &site.url).run();
    // Each of them was made, as in the reference.
    outcome.expect_code(0).expect_value("http_reqs", "count", 6.0 * 12.0).expect_value(
        "http_req_failed",
        "passes",
        0.0,
    );
    let warned = warned(&outcome);
    for (what, hint) in [
        ("a request of k6/http has no option \"headerz\"", "did you mean \"headers\"?"),
        ("a request of k6/http has no option \"timeot\"", "did you mean \"timeout\"?"),
        ("a request of k6/http has no option \"response_type\"", "did you mean \"responseType\"?"),
        ("a request of k6/http has no option \"cookie\"", "did you mean \"cookies\"?"),
        ("a request of http.batch() has no option \"header\"", "its options are method, url, body, params"),
        ("http.get() has no third argument", "write http.get(url, params)"),
        ("was given \"A: 1\" for headers", "write { headers: {"),
        ("was given \"a=1\" for cookies", "write { cookies: {"),
        ("was given [object Object] for jar", "write { jar: new http.CookieJar() }"),
        ("was given \"bearer\" for auth", "\"digest\""),
        ("a cookie of a request has no option \"replaced\"", "did you mean \"replace\"?"),
        ("jar.set() has no option \"maxAge\"", "did you mean \"max_age\"?"),
        ("clickLink() has no option \"selektor\"", "did you mean \"selector\"?"),
        ("submitForm() has no option \"field\"", "did you mean \"fields\"?"),
    ] {
        let told = warned.iter().filter(|warning| warning.contains(what)).collect::<Vec<_>>();
        assert_eq!(told.len(), 1, "{what}: {}", outcome.stderr);
        assert!(told[0].contains(hint), "{hint} is not in {}", told[0]);
    }
    assert_eq!(warned.len(), 14, "{}", outcome.stderr);
}

#[test]
fn arguments_that_are_understood_are_not_warned_of() {
    let site = Site::start(|_| Reply::ok("x"));
    let outcome = run(
        &site,
        "http.get(base, { headers: {}, tags: {}, cookies: { a: 'b' }, jar: new http.CookieJar(), compression: '', redirects: 1,
           auth: '', timeout: 1000, throw: false, responseType: 'text', responseCallback: http.expectedStatuses(200) });
         http.get(base, null, undefined); http.post(base, 'x', null);
         http.batch([base, { url: base, params: { auth: 'basic' } }, http.url`${base}/x`]);
         http.cookieJar().set(base, 'a', '1', { domain: '', path: '/', expires: '', max_age: 1, secure: false, http_only: true });",
    );
    assert_eq!(warned(&outcome), Vec::<String>::new());
}

/// The fields of a form are what Go prints for the values, also where they are nested, and only texts and objects are bodies.
#[test]
fn forms_hold_values_as_go_prints_them() {
    let site = Site::start(echo);
    let script = "const sent = (body) => { const r = http.post(base, body); return r.error || r.body.split('\\n\\n').slice(1).join() };
console.log(decodeURIComponent(sent({ o: { b: 2, a: { n: null } }, l: [1, [2, 'x'], { k: true }], n: null, u: undefined })));
console.log(decodeURIComponent(sent({ f: 1234567.5, g: 1e-7, h: 1e6, i: -0, j: NaN, k: 1e21, s: new Set([1, 2]), m: new Map([['a', 1]]), t: new Date(1500) })));
console.log(sent(new Date(0)), sent(new Set([1])), sent(new Map()), sent([1]));
const file = http.file('data', 'f.txt');
console.log(JSON.stringify(sent({ file, list: [1, 2], o: { a: 1 } }).match(/name=\"(list|o)\"\\r\\n\\r\\n.*/g)));";
    let script = format!("export default function () {{ {script} }}");
    let outcome = program(&site, &script).env("TZ", "UTC").run();
    outcome.expect_code(0);
    assert_eq!(
        said(&outcome),
        [
            "l=1&l=[2+x]&l=map[k:true]&n=<nil>&o=map[a:map[n:<nil>]+b:2]&u=<nil>",
            "f=1.2345675e+06&g=1e-07&h=1000000&i=-0&j=NaN&k=1e+21&m=[[a+1]]&s=1&s=2&t=1970-01-01+00:00:01.5++0000+UTC",
            "unknown request body type time.Time unknown request body type []interface {} unknown request body type [][2]interface {} unknown request body type []interface {}",
            r#"["name=\"list\"\r\n\r\n[1 2]","name=\"o\"\r\n\r\nmap[a:1]"]"#,
        ]
        .join("|")
    );
}

/// Of most params null and undefined are values like any other, which the reference converts or refuses.
#[test]
fn params_that_are_nothing_are_read_as_in_the_reference() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/away" => Reply::page(302, &["Location: /"], ""),
        "/none" => Reply::page(404, &[], ""),
        _ => Reply::ok(asked.header("cookie")),
    });
    let outcome = run(
        &site,
        "const tell = (path, params) => { const r = http.get(base + path, params); console.log(r.error || r.status) };
for (const nothing of [null, undefined]) {
  tell('', { timeout: nothing }); tell('', { responseType: nothing }); tell('', { compression: nothing });
  tell('/away', { redirects: nothing }); tell('/none', { responseCallback: nothing });
  tell('', { headers: nothing, cookies: nothing, jar: nothing, tags: nothing, auth: nothing, throw: nothing });
}
console.log(http.get(base, { cookies: { a: { Value: 1 }, b: { replace: true }, c: [2], d: null, e: 3 } }).body);
const jar = http.cookieJar();
jar.set(base, 'n', null, { Path: '/p', expires: '' });
console.log(http.get(base + '/p').body, JSON.stringify(jar.cookiesForURL(base)));",
    );
    let each = |nothing: &str| {
        format!(
            "invalid timeout value: unable to use type <nil> as a duration value|{nothing} does not belong to ResponseType values|unknown compression algorithm {nothing}, supported algorithms are [gzip deflate zstd br]|302|404|200"
        )
    };
    assert_eq!(said(&outcome), format!("{}|{}|a=1; b=; c=2; e=3|n= {{}}", each("null"), each("undefined")));
    // Without a callback, no response counts as failed.
    outcome.expect_value("http_req_failed", "passes", 0.0);
}

#[test]
fn a_batch_takes_every_form_of_a_request() {
    let site = Site::start(echo);
    let outcome = run(
        &site,
        "const heads = (requests) => Object.values(http.batch(requests)).map((r) => r.body.split('\\n')[0] + r.body.split('\\n\\n')[1]).join();
console.log(heads([base, http.url`${base}/t`, { url: `${base}/u`, body: 'b' }, { url: `${base}/p`, params: { headers: { a: 1 } } }]));
console.log(heads({ a: ['PUT', `${base}/l`, 'x'], b: { method: 'post', url: `${base}/o`, body: { k: 1 } }, c: { method: 'get', url: base, body: 'dropped' } }));
const errors = (requests) => JSON.stringify(Object.entries(http.batch(requests)).map(([key, r]) => [key, r && r.error]));
console.log(errors([base, ['GET'], base]));
console.log(errors({ a: base, b: { method: 'GET' } }));
console.log(errors([{ url: base, method: 5 }]), errors([[null, base]]), errors([5]), errors([base, '::']));
try { http.batch(new Set()) } catch (e) { console.log(e.message) }",
    );
    assert_eq!(
        said(&outcome),
        [
            "GET /,GET /t,GET /ub,GET /p",
            "PUT /lx,POST /ok=1,GET /",
            r#"[["0",""],["1","invalid batch request '[]interface {}{\"GET\"}'"],["2",null]]"#,
            r#"[["a",""],["b","batch request b doesn't have a url key"]]"#,
            r#"[["0","invalid method type '5'"]] [["0","invalid method type '<nil>'"]] [["0","invalid URL value 'int64'"]] [["0",""],["1","invalid URL: parse \"::\": missing protocol scheme"]]"#,
            "invalid http.batch() argument type []interface {}",
        ]
        .join("|")
    );
    outcome.expect_text("A batch request failed");
    // If one request of a batch cannot be made, none is made.
    assert_eq!(site.asked().len(), 7);
    let script = "export const options = { throw: true };
export default function () { try { http.batch([base, '::']) } catch (e) { console.log(e.message) } }";
    let outcome = program(&site, script).run();
    assert_eq!(said(&outcome), r#"invalid URL: parse "::": missing protocol scheme"#);
}

#[test]
fn what_is_wrong_with_a_response_is_said_in_the_words_of_go() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/html" => Reply::ok("<html></html>"),
        "/broken" => Reply::ok("{\n\t\"a\": 1,\n\t\"t\":testing\"\n}"),
        "/cut" => Reply::ok("{\"a\": [1"),
        "/odd" => Reply::page(302, &["Location: http://%zz"], ""),
        "/gzip" => Reply::page(200, &["Content-Encoding: gzip"], "this is not compressed"),
        "/deflate" => Reply::page(200, &["Content-Encoding: deflate"], "this is not compressed"),
        "/short" => Reply::page(200, &["Content-Encoding: gzip"], "no"),
        _ => Reply::ok("{}"),
    });
    let outcome = run(
        &site,
        "for (const path of ['/html', '/broken', '/cut']) try { http.get(base + path).json() } catch (e) { console.log(e.message) }
for (const path of ['/odd', '/gzip', '/deflate', '/short']) console.log(http.get(base + path).error);
console.log(http.get('http://%zz/').error, http.request('', base).status, http.request(null, base).request.method);
console.log(http.get(base).json(undefined), JSON.stringify(http.get(base).json()));",
    );
    assert_eq!(
        said(&outcome),
        [
            "cannot parse json due to an error at line 1, character 2 , error: invalid character '<' looking for beginning of value",
            "cannot parse json due to an error at line 3, character 9 , error: invalid character 'e' in literal true (expecting 'r')",
            "cannot parse json due to an error at line 1, character 8 , error: unexpected end of JSON input",
            r#"failed to parse Location header "http://%zz": parse "http://%zz": invalid URL escape "%zz""#,
            "error decompressing response body (gzip: invalid header)",
            "error decompressing response body (zlib: invalid header)",
            "error decompressing response body (unexpected EOF)",
            r#"invalid URL: parse "http://%zz/": invalid URL escape "%zz" 200 GET"#,
            "undefined {}",
        ]
        .join("|")
    );
}
