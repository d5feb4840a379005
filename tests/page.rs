//! The report and the dashboard in a real browser: what people see of a run, and what they can do with it.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use senary_testkit::{Behaviour, Browser, Outcome, Program, Server, page_document};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);
/// What the page may weigh without its data.
const HEAVIEST: usize = 250_000;

/// Requests of two scenarios, one of which fails for a while; checks in a group, metrics of each type, thresholds that
/// hold, are crossed and see nothing.
const SCRIPT: &str = r#"
import { Socket } from "senary/tcp"
import { check, group, sleep } from "k6"
import exec from "k6/execution"
import { Counter, Gauge, Rate, Trend } from "k6/metrics"

const length = Number(__ENV.SECONDS || 4)
export const options = {
  scenarios: {
    orders: { executor: "constant-arrival-rate", rate: 40, duration: length + "s", preAllocatedVUs: 10, gracefulStop: "1s" },
    logins: { executor: "constant-vus", vus: 1, duration: length + "s", exec: "login", gracefulStop: "1s" },
  },
  thresholds: {
    tcp_req_failed: ["rate<0.5"],
    orders_lost: ["count<3"],
    "tcp_req_duration{scenario:orders}": ["p(95)<5000"],
    never_sampled: ["max<1"],
  },
}
const lost = new Counter("orders_lost"), size = new Trend("order_size"), depth = new Gauge("queue_depth")
const hits = new Rate("cache_hits"), took = new Trend("order_took", true)
new Trend("never_sampled")
const place = { host: __ENV.TCP_HOST, port: __ENV.TCP_PORT, timeout: "5s" }

async function ask(text) {
  const socket = new Socket({ framing: "u32", encoding: "utf8" })
  try {
    await socket.connect(place)
    return await socket.request(text, { timeout: "5s" })
  } finally {
    socket.destroy()
  }
}
export default async function () {
  const second = exec.instance.currentTestRunDuration / 1000
  const reply = await ask("order " + exec.scenario.iterationInTest)
  group("shop", () => check(reply, { "reply arrived": (r) => r.startsWith("order"), "is rare": () => __ITER % 7 !== 3 }))
  if (second > 1.5 && second < 2.5) lost.add(1)
  size.add(10 + (__ITER % 5))
  depth.add(__ITER)
  hits.add(__ITER % 4 !== 0)
  took.add(1 + (__ITER % 3))
}
export async function login() {
  const socket = new Socket({ framing: "u32", encoding: "utf8" })
  await socket.connect(place)
  await socket.request("hello", { timeout: "5s" })
  sleep(1.5) // a connection that is open whenever somebody looks
  socket.destroy()
}
"#;

fn program(server: &Server, seconds: u32) -> Program {
    Program::script(BINARY, SCRIPT).target(server).env("SECONDS", seconds).within(BOUND)
}

/// A run with a report of the name `report.html`.
fn reported(seconds: u32) -> Outcome {
    let server = Server::start(Behaviour::Echo);
    let outcome = program(&server, seconds).args(["--report", "report.html", "-e", "TOKEN=hunter2"]).run();
    outcome.expect_code(99);
    outcome
}

fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

/// Opens a report, and waits until it is drawn.
fn open(browser: &mut Browser, file: &Path) {
    browser.open(&address(file));
    browser.wait_for(
        "globalThis.Senary && Senary.page && Senary.page.model && document.querySelector('.uplot')",
    );
    browser.value("Senary.page.stack.drawAll()");
}

/// A report kept while its browser looks at it.
struct Kept {
    html: String,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn keep(html: &str) -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, html).expect("a file");
    Kept { html: html.to_owned(), file, _folder: folder }
}

const DATA: &str = r#"<script id="senary-data" type="application/octet-stream">"#;

/// The page without its data, and the data as they stand in it.
fn parts(html: &str) -> (String, &str) {
    let (before, rest) = html.split_once(DATA).expect("the data are in the page");
    let (data, after) = rest.split_once("</script>").expect("the element ends");
    (format!("{before}{after}"), data)
}

fn with_document(html: &str, document: &Value) -> String {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(document.to_string().as_bytes()).expect("memory");
    let data = STANDARD.encode(packed.finish().expect("memory"));
    html.replace(parts(html).1, &data)
}

/// Everything the design asks for, by what the page calls it.
const CHARTS: [&str; 11] = [
    "rate",
    "failures",
    "latency",
    "heat",
    "due",
    "open",
    "connecting",
    "vus",
    "throughput",
    "generator",
    "lateness",
];

#[test]
fn a_report_opens_from_disk_and_asks_for_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let kept = keep(&outcome.file("report.html"));
    assert!(!kept.html.contains("hunter2"), "secrets stay out of the report");
    let (page, _) = parts(&kept.html);
    assert!(page.len() < HEAVIEST, "the page weighs {} bytes without its data", page.len());
    for (width, is_dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.window(width, 900, is_dark);
        open(&mut browser, &kept.file);
        assert_eq!(browser.console, Vec::<String>::new());
        assert_eq!(browser.requests, [address(&kept.file)]);
        assert_eq!(
            browser.value("document.documentElement.scrollWidth"),
            json!(width),
            "the page scrolls sideways"
        );
        let theme = browser.text("document.documentElement.dataset.theme");
        assert_eq!(theme, if is_dark { "dark" } else { "light" });
        assert_eq!(browser.text("document.title"), "Failed: script.js");
        let words = browser.text("document.body.innerText");
        for nonsense in ["undefined", "NaN", "[object", "Infinity"] {
            assert!(!words.contains(nonsense), "{nonsense} in {words}");
        }
    }
}

#[test]
fn a_report_has_every_panel() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 900, false);
    open(&mut browser, &kept.file);
    for chart in CHARTS {
        let drawn = format!(
            "document.querySelector('[data-chart={chart}] .plot').textContent.length + document.querySelectorAll('[data-chart={chart}] canvas').length"
        );
        assert!(browser.value(&drawn).as_f64().is_some_and(|size| size > 0.0), "the chart {chart} is empty");
    }
    assert_eq!(browser.value("document.querySelectorAll('.tile').length"), json!(8));
    assert_eq!(browser.text("[...document.querySelectorAll('.tile')].filter((tile) => tile.innerText.includes('not measured')).map((tile) => tile.innerText).join()"), "");
    for section in ["timeline", "latency", "errors", "checks", "own", "metrics", "generator", "setup"] {
        let text = browser.text(&format!("document.getElementById('{section}').innerText"));
        assert!(text.len() > 20, "the section {section} says only {text:?}");
    }
    let own = browser.text("[...document.querySelectorAll('.own')].map((own) => own.dataset.own + ' ' + own.querySelectorAll('svg path, svg rect').length).join()");
    for metric in ["orders_lost", "order_size", "queue_depth", "cache_hits", "order_took"] {
        assert!(own.contains(metric), "{metric} is not drawn: {own}");
    }
    assert!(!own.contains(" 0"), "a metric is drawn empty: {own}");
    let checks = browser.text("document.getElementById('checks').innerText");
    assert!(checks.contains("shop") && checks.contains("is rare"), "{checks}");
    assert!(browser.value("document.querySelectorAll('.curve svg .mark').length").as_i64() > Some(1));
    assert!(browser.text("document.getElementById('setup').innerText").contains("constant-arrival-rate"));
}

#[test]
fn a_verdict_is_said_in_words_and_colours() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 720, false);
    open(&mut browser, &kept.file);
    assert_eq!(
        browser.text("document.querySelector('h1').innerText.split('\\n').join(' ').trim()"),
        "Failed 2 of 4 thresholds held, 1 saw no data"
    );
    assert!(browser.text("document.querySelector('.sentence').innerText").contains("orders_lost"));
    let states = browser.text(
        "[...document.querySelectorAll('.thresholds .state')].map((state) => state.innerText.trim()).join()",
    );
    assert_eq!(states, "crossed,no data,held,held");
    let colour = "getComputedStyle(document.querySelector('.thresholds .state.crossed')).color";
    assert_eq!(browser.text(colour), "rgb(184, 50, 28)");
    // The first screen answers both questions.
    let bottom = browser.value("document.querySelector('.thresholds').getBoundingClientRect().bottom");
    assert!(bottom.as_f64().is_some_and(|bottom| bottom < 720.0), "{bottom}");
    let answer = browser.text("document.querySelector('.finding b').innerText");
    assert!(
        ["Yes, the generator kept up.", "Only in part.", "No, the generator was the limit."]
            .contains(&answer.as_str()),
        "{answer}"
    );
}

#[test]
fn a_chart_gives_its_data_as_csv() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 900, false);
    open(&mut browser, &kept.file);
    browser.value("navigator.clipboard.writeText = async (text) => { globalThis.copied = text }");
    for chart in CHARTS {
        let press = format!(
            "globalThis.copied = ''; document.querySelector('[data-chart={chart}] [data-chart-action=copy]').click()"
        );
        browser.value(&press);
        browser.wait_for("globalThis.copied");
        let csv = browser.text("globalThis.copied");
        assert!(csv.starts_with("seconds,") && csv.lines().count() > 3, "{chart}: {csv}");
    }
    let press = "globalThis.copied = ''; document.querySelector('[data-chart=rate] [data-chart-action=copy]').click()";
    browser.value(press);
    browser.wait_for("globalThis.copied");
    let csv = browser.text("globalThis.copied");
    let column = csv
        .lines()
        .next()
        .unwrap_or_default()
        .split(',')
        .position(|name| name == "iterations")
        .expect("a column");
    let rates = csv.lines().skip(1).filter_map(|line| line.split(',').nth(column)?.parse::<f64>().ok());
    // What is drawn per second adds up to what the summary counts, but for the rest of the last second.
    let (drawn, counted) = (rates.sum::<f64>(), outcome.measured("iterations", "count"));
    assert!((drawn - counted).abs() <= counted * 0.3, "{drawn} drawn, {counted} counted");
}

#[test]
fn the_table_of_metrics_sorts_and_filters() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 900, false);
    open(&mut browser, &kept.file);
    let names = "[...document.querySelectorAll('#metrics .scroll td:first-child')].map((cell) => cell.innerText.trim()).join(' ')";
    browser.value("document.querySelector('[data-sort=\"trend:name\"]').click()");
    let first = browser.text(names);
    browser.value("document.querySelector('[data-sort=\"trend:name\"]').click()");
    let second = browser.text(names);
    assert!(first != second && first.starts_with("group_duration"), "{first} / {second}");
    assert_eq!(
        browser.text("document.querySelector('th[aria-sort]').getAttribute('aria-sort')"),
        "descending"
    );
    browser.value("const field = document.querySelector('[data-filter]'); field.value = 'scenario:orders'; field.dispatchEvent(new Event('input', { bubbles: true }))");
    let found = browser.text(names);
    assert!(
        found.contains("scenario:orders")
            && !found.contains("scenario:logins")
            && !found.contains("group_duration "),
        "{found}"
    );
    // The address keeps the view: the same link shows the same.
    let link = browser.text("location.href");
    browser.open(&link);
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model");
    assert_eq!(browser.text(names), found);
}

/// Names that would be scripts, had they got into the markup as they are.
#[test]
fn names_from_outside_never_become_scripts() {
    const SCRIPT: &str = r#"
import { check, group, sleep } from "k6"
import { Counter, Trend } from "k6/metrics"
import { Socket } from "k6/x/tcp"
const evil = "</script><script>hit('script')</script><img src=x onerror=hit('image')><svg onload=hit('svg')>\"'`<!--"
export const options = {
  iterations: 3,
  tags: { [evil.replace(/[^a-z]/g, "")]: evil, release: evil },
  thresholds: { shared: ["count>1000"] },
}
const own = new Counter("shared"), took = new Trend("took", true)
export default async function () {
  sleep(0.8)
  own.add(1, { name: evil, [evil]: evil })
  took.add(5, { [evil]: evil })
  group(evil, () => check(1, { [evil]: () => false }))
  console.warn(evil)
  try { await new Socket({ tags: { name: evil } }).connect(1, "127.0.0.1") } catch {}
  throw new Error(evil)
}
"#;
    let Some(mut browser) = Browser::start() else { return };
    let program = Program::script(BINARY, SCRIPT).args(["--report", "report.html"]).within(BOUND);
    let outcome = program.args(["--tag", "who=</script><img src=x onerror=hit('tag')>"]).run();
    let kept = keep(&outcome.file("report.html"));
    for begin in ["<img src=x", "<svg onload", "<script>hit", "</script><script>"] {
        assert_eq!(kept.html.matches(begin).count(), 0, "a name is in the page as it is: {begin}");
    }
    // The markup that is in the file already, before the page's script replaces it.
    let foreign = "document.querySelectorAll('img, svg[onload], [onerror], [onload]').length";
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&address(&kept.file));
    assert!(browser.text("document.body.innerText").contains("onerror=hit"), "the names are shown as text");
    assert_eq!(browser.value(foreign), json!(0));
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": false }));
    browser.open(&address(&kept.file));
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model");
    browser.value("Senary.page.stack && Senary.page.stack.drawAll()");
    // All that is folded, and the rows of all tags.
    browser.value("document.querySelectorAll('[data-unfold]').forEach((button) => button.click())");
    browser.value("const field = document.querySelector('[data-filter]'); field.value = 'hit'; field.dispatchEvent(new Event('input', { bubbles: true }))");
    let rows = browser.text("document.querySelector('#metrics').textContent");
    assert!(rows.contains("onerror=hit"), "the table has no row of these tags: {rows}");
    let text = browser.value("document.body.textContent");
    assert!(text.as_str().is_some_and(|text| text.contains("onerror=hit")), "the names are shown as text");
    assert_eq!(browser.value(foreign), json!(0));
    assert!(browser.console.iter().all(|line| !line.contains("hit")), "{:?}", browser.console);
    assert_eq!(browser.requests.len(), 1, "{:?}", browser.requests);
}

#[test]
fn pointer_and_keys_move_one_cursor_through_all_charts() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(8);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 900, false);
    open(&mut browser, &kept.file);
    browser.value("document.getElementById('timeline').scrollIntoView()");
    let place = browser.value("(() => { const box = document.querySelector('[data-chart=rate] .u-over').getBoundingClientRect(); return [box.left, box.top, box.width, box.height] })()");
    let [left, top, width, height] = [0, 1, 2, 3].map(|i| place[i].as_f64().expect("a number"));
    let when = "document.querySelector('.strip .when').textContent";
    assert_eq!(browser.text(when), "steady phase");
    let label = "document.querySelector('[data-chart=latency] .label b').textContent";
    browser.point(left + width * 0.3, top + height / 2.0);
    browser.point(left + width * 0.31, top + height / 2.0);
    browser.wait_for(&format!("{when}.startsWith('at 0:0')"));
    assert_ne!(browser.text(label), "–");
    browser.point(5.0, 5.0);
    browser.wait_for(&format!("{when} === 'steady phase'"));
    browser.value("document.querySelector('[data-chart=rate] .plot').focus()");
    for (key, expected) in [("Home", "at 0:00"), ("ArrowRight", "at 0:01"), ("ArrowLeft", "at 0:00")] {
        browser.key(key);
        browser.wait_for(&format!("{when} === '{expected}'"));
    }
    browser.key("Escape");
    browser.drag(left + width * 0.2, left + width * 0.8, top + height / 2.0);
    browser.wait_for("location.hash.includes('zoom=')");
    browser.key("Escape");
    browser.wait_for("!location.hash.includes('zoom=')");
    assert_eq!(browser.console, Vec::<String>::new());
}

/// A document as long as `intervals`, by repeating what it has, with at least `series` series.
fn stretched(mut document: Value, intervals: usize, series: usize) -> Value {
    let list = document["timeline"]["series"].as_array_mut().expect("a list");
    for each in list.iter_mut() {
        let kind = each["type"].as_str().expect("a type").to_owned();
        let columns = each[&kind].as_object_mut().expect("columns").values_mut();
        let mut lists: Vec<&mut Value> = columns.collect();
        for column in &mut lists {
            repeat(column, intervals);
        }
        if each.get("hist").is_some() {
            each["hist"]["every"] = json!(1);
            repeat(&mut each["hist"]["data"], intervals);
        }
    }
    let copies: Vec<Value> = list.iter().cycle().take(series.saturating_sub(list.len())).cloned().collect();
    for (i, mut copy) in copies.into_iter().enumerate() {
        copy["id"] = json!(format!("copy {i}"));
        copy["metric"] = copy["id"].clone();
        list.push(copy);
    }
    document["timeline"]["intervals"] = json!(intervals);
    document["run"]["length"] =
        json!(intervals as f64 * document["timeline"]["step"].as_f64().expect("a number"));
    document
}

fn repeat(column: &mut Value, length: usize) {
    let values = column.as_array_mut().expect("a column");
    if !values.is_empty() {
        *values = values.iter().cycle().take(length).cloned().collect();
    }
}

#[test]
fn three_thousand_points_of_fifty_series_open_fast() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome = reported(4);
    let html = outcome.file("report.html");
    let long = stretched(page_document(&html), 3000, 50);
    let kept = keep(&with_document(&html, &long));
    browser.window(1280, 900, false);
    // Alone it takes less than a second. The bound is generous, because other tests run at the same time.
    open(&mut browser, &kept.file);
    browser.value("Senary.page.take(Senary.page.doc)");
    let drawn = browser.value("(() => { const begin = performance.now(); for (const region of document.querySelectorAll('[data-region]')) region.markup = null; Senary.page.take(Senary.page.doc); Senary.page.stack.drawAll(); return performance.now() - begin })()");
    assert!(drawn.as_f64().is_some_and(|ms| ms < 3000.0), "drawing it took {drawn} ms");
    assert_eq!(browser.value("Senary.page.model.n"), json!(3000));
    // At most one point per pixel.
    let points = browser.value("Senary.page.stack.win.xs.length");
    assert!(points.as_u64().is_some_and(|points| points <= 824), "{points} points");
    assert_eq!(browser.console, Vec::<String>::new());
}

#[test]
fn a_run_too_short_for_charts_says_so() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome =
        Program::script(BINARY, "export default function () {}").args(["--report", "report.html"]).run();
    outcome.expect_code(0);
    let kept = keep(&outcome.file("report.html"));
    browser.window(1280, 900, false);
    browser.open(&address(&kept.file));
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model");
    assert_eq!(browser.text("document.title"), "Finished: script.js");
    assert!(
        browser.text("document.querySelector('[data-stack]').innerText").contains("too short for charts")
    );
    assert!(
        browser
            .text("document.querySelector('[data-region=thresholds]').innerText")
            .contains("No thresholds were set")
    );
    assert_eq!(browser.console, Vec::<String>::new());
}

/// Expressions of the page, and what people are to read; `_` stands for the spaces that do not break.
const NUMBERS: [(&str, &str); 26] = [
    ("time(0.803)", "803_µs"),
    ("time(48.6)", "48.6_ms"),
    ("time(999.7)", "1.00_s"),
    ("time(125000)", "2_min_05_s"),
    ("time(null)", "–"),
    ("time(0)", "0_ms"),
    ("moment(206)", "3:26"),
    ("moment(3806)", "1:03:26"),
    ("moment(187800)", "2_d_04:10"),
    ("span(310)", "5_min_10_s"),
    ("percent(0.0203)", "2.03_%"),
    ("percent(0.9904)", "99.0_%"),
    // Never rounded across a limit: neither to all, nor to the limit of a threshold from either side.
    ("percent(0.99998)", "99.998_%"),
    ("percent(0.00998, 0.01)", "0.998_%"),
    ("percent(0.0100001, 0.01)", "1.00001_%"),
    ("percent(0)", "0_%"),
    ("percent(1)", "100_%"),
    ("count(173388)", "173_388"),
    ("count(null)", "–"),
    ("rate(4.369)", "4.37"),
    ("bytes(71400000)", "71.4_MB"),
    ("bytes(999999)", "1.00_MB"),
    ("short(347000)", "347_k"),
    ("axis(2500000)", "2.5M"),
    ("axisTime(100000)", "100_s"),
    ("digits(9.996)", "10.0"),
];

/// Updates of a running test add to what is there, or take its place.
const MERGED: &str = r#"JSON.stringify((() => {
  const series = (id, sum, from) => ({ id, type: "counter", counter: { sum }, ...(from === undefined ? {} : { from }) })
  const document = (from, list) => ({ run: {}, timeline: { from, series: list } })
  const first = document(0, [series("a", [1, 2, 3]), series("b", [7, 7, 7])])
  const second = Senary.live.merge(first, document(2, [series("a", [4, 5]), series("b", [8]), series("c", [9, 9, 9, 9], 0)]))
  const third = Senary.live.merge(second, document(0, [series("a", [3, 9])]))
  return [second, third].map((each) => each.timeline.series.map(({ id, counter }) => id + counter.sum.join("")))
})())"#;

#[test]
fn numbers_and_updates_are_what_they_should_be() {
    let Some(mut browser) = Browser::start() else { return };
    let outcome =
        Program::script(BINARY, "export default function () {}").args(["--report", "report.html"]).run();
    let kept = keep(&outcome.file("report.html"));
    browser.open(&address(&kept.file));
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model");
    for (expression, expected) in NUMBERS {
        let text = browser.text(&format!("Senary.format.{expression}"));
        assert_eq!(text.replace(['\u{a0}', '\u{202f}'], "_"), expected, "{expression}");
    }
    assert_eq!(browser.text(MERGED), r#"[["a1245","b778","c9999"],["a39"]]"#);
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[test]
fn the_dashboard_moves_and_turns_red() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(Behaviour::Echo);
    let port = free_port();
    let mut running = Program::new(BINARY)
        .file("script.js", SCRIPT)
        .target(&server)
        .env("SECONDS", 12)
        .env("K6_WEB_DASHBOARD_PORT", port)
        .within(BOUND)
        .args(["run", "--dashboard", "script.js"])
        .start();
    running.wait_for(&format!("127.0.0.1:{port}"));
    browser.window(1280, 900, false);
    browser.open(&format!("http://127.0.0.1:{port}/ui/"));
    browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model && Senary.page.model.n >= 2");
    assert!(browser.text("document.title").starts_with("Running: "));
    let count = "document.querySelector('.tile .context').innerText + document.querySelectorAll('.tile')[1].querySelector('.context').innerText";
    let before = browser.text(count);
    browser.wait_for(&format!("({count}) !== {before:?}"));
    browser.wait_for("document.querySelector('.thresholds .state.crossed')");
    assert!(browser.text("document.querySelector('h1 .bad').innerText").contains("is crossed"));
    browser.wait_for("document.querySelector('.uplot')");
    browser.wait_for("Senary.page.doc.run.state !== 'running'");
    browser.wait_for("document.title.startsWith('Failed: ')");
    assert!(browser.value("document.querySelector('[data-region=running]').hidden") == json!(true));
    let elsewhere: Vec<_> =
        browser.requests.iter().filter(|url| !url.contains(&format!("127.0.0.1:{port}/"))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(browser.console, Vec::<String>::new());
    // Who looks at it keeps the process; with the page gone it ends.
    browser.open("about:blank");
    running.finish().expect_code(99);
}
