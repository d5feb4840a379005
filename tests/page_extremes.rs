//! The report of runs that are out of the ordinary, in a real browser: what is shown stays right and on the page.

use std::time::Duration;

use senary_testkit::{Browser, Program, page_document};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);

/// A report on the disk, as long as a browser looks at it.
struct Report {
    address: String,
    html: String,
    _folder: tempfile::TempDir,
}

fn reported(script: &str, code: i32) -> Report {
    let outcome = Program::script(BINARY, script).args(["--report", "report.html"]).within(BOUND).run();
    outcome.expect_code(code);
    let html = outcome.file("report.html");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, &html).expect("a file");
    Report { address: format!("file://{}", file.display()), html, _folder: folder }
}

impl Report {
    fn open(&self, browser: &mut Browser, width: u32) {
        browser.window(width, 900, false);
        browser.open(&self.address);
        browser.wait_for("globalThis.Senary && Senary.page && Senary.page.model");
        browser.value("Senary.page.stack.drawAll()");
    }

    /// The figures of a trend by interval, as the document has them.
    fn by_interval(&self, metric: &str, figure: &str) -> Vec<Value> {
        let document = page_document(&self.html);
        let series = document["timeline"]["series"].as_array().expect("series");
        let whole = |each: &&Value| each["metric"] == metric && each["scope"].is_null();
        let found = series.iter().find(whole).expect("the series of the whole metric");
        let values = found["trend"][figure].as_array().expect("values");
        values.iter().filter(|value| !value.is_null()).cloned().collect()
    }
}

fn lines(browser: &mut Browser, selector: &str) -> Vec<String> {
    let found =
        browser.value(&format!("[...document.querySelectorAll({selector:?})].map((e) => e.textContent)"));
    serde_json::from_value(found).expect("texts")
}

/// Names, messages and values as long as they can be, one that turns the direction of writing, and thresholds that are
/// crossed when they are judged for the first time.
const LONG: &str = r#"
import { check, sleep } from "k6"
import { Counter, Gauge, Trend } from "k6/metrics"
const long = "_" + "x".repeat(110)
export const options = {
  scenarios: { ["scenario" + long]: { executor: "constant-vus", vus: 1, duration: "5s" } },
  thresholds: {
    ["count" + long + "{scenario:scenario" + long + "}"]: ["count>5"],
    crossed: ["value<1"],
    never: ["count>0"],
  },
}
const took = new Trend("took" + long, true), counted = new Counter("count" + long)
const crossed = new Gauge("crossed"), bytes = new Counter("bytes_in"), few = new Counter("few")
new Counter("never")
export default function () {
  took.add(7)
  counted.add(1)
  crossed.add(1e300)
  bytes.add(1234567)
  few.add(1e-9)
  check(1, { ["check" + long + long]: () => __ITER % 2 === 0 })
  console.log("\u202e turned around")
  sleep(0.1)
  throw new Error("thrown" + long + long)
}
"#;

#[test]
fn long_names_and_huge_values_stay_on_the_page() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(LONG, 99);
    for width in [1280, 390] {
        report.open(&mut browser, width);
        let wide = browser.value("document.documentElement.scrollWidth");
        assert_eq!(wide, json!(width), "the page scrolls sideways");
        // A figure of an axis that is cut off at its left is another figure.
        let cut = "[...document.querySelectorAll('.own svg text')].filter((e) => e.getBBox().x < 0).map((e) => e.textContent)";
        assert_eq!(browser.value(cut), json!([]));
    }
    report.open(&mut browser, 1280);
    let hidden = "[...document.querySelectorAll('.pair table td, table.errors td')].filter((e) => e.getBoundingClientRect().right > innerWidth).length";
    assert_eq!(browser.value(hidden), json!(0), "columns lie outside of the page");
    let axis = lines(&mut browser, "[data-own=bytes_in] svg text");
    assert!(axis[0].ends_with("M/s"), "{axis:?}");
    // What follows a line of the log is written in the direction of the page.
    assert!(lines(&mut browser, ".log bdi").iter().any(|line| line.contains("turned around")));
    assert!(lines(&mut browser, ".log .more").iter().any(|line| line.contains("more like this")));
    assert_eq!(browser.console, Vec::<String>::new());
}

/// A reader who allows no scripts sees the same verdict, figures and tables; only charts need one.
#[test]
fn figures_are_on_the_page_without_a_script() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(LONG, 99);
    let regions = [
        "bar",
        "verdict",
        "tiles",
        "thresholds",
        "errors",
        "checks",
        "metrics",
        "generator",
        "setup",
        "footer",
    ];
    let read = |browser: &mut Browser| {
        regions.map(|name| browser.text(&format!("document.querySelector('[data-region={name}]').innerText")))
    };
    report.open(&mut browser, 1280);
    let drawn = read(&mut browser);
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&report.address);
    assert_eq!(browser.value("typeof Senary"), json!("undefined"));
    let still = read(&mut browser);
    assert_eq!(still, drawn);
    assert!(still[1].starts_with("Failed"), "{}", still[1]);
    let told = browser.text("document.querySelector('noscript').innerText");
    assert!(
        told.starts_with("The charts, and all figures of a test that still runs, are drawn by a script"),
        "{told}"
    );
}

#[test]
fn paper_has_room_for_every_column() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(SIXTY, 0);
    // A4 upright, less its margins.
    report.open(&mut browser, 704);
    browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    let beyond = "[...document.querySelectorAll('table')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.innerText)";
    assert_eq!(browser.value(beyond), json!([]));
}

#[test]
fn a_threshold_says_nothing_of_the_time_before_it_was_judged() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(LONG, 99);
    report.open(&mut browser, 1280);
    let row = |name: &str| {
        format!(
            "[...document.querySelectorAll('.thresholds tbody tr')].find((e) => e.querySelector('code').textContent.startsWith({name:?}))"
        )
    };
    let crossed = row("crossed ");
    assert_eq!(
        browser.value(&format!("{crossed}.querySelectorAll('.timeline [stroke=\"var(--ok)\"]').length")),
        json!(0)
    );
    assert_eq!(browser.value(&format!("{crossed}.querySelectorAll('.timeline rect').length")), json!(1));
    let since = browser.text(&format!("{crossed}.lastElementChild.textContent"));
    assert!(since.starts_with("since 0:0"), "{since:?}");
    // A crossed threshold has not used 0 % of its limit, nor a share that has an exponent.
    let shares = browser.text(&format!("{}.innerText + {crossed}.innerText", row("never ")));
    assert!(!shares.contains("0\u{a0}%\t") && shares.matches("over\u{a0}").count() <= 2, "{shares:?}");
    let used = browser.value(&format!(
        "[{}, {crossed}].map((e) => e.querySelector('.share + td').textContent)",
        row("never ")
    ));
    let used: Vec<String> = serde_json::from_value(used).expect("texts");
    assert!(used.iter().all(|text| text.starts_with("over 999")), "{used:?}");
}

/// A target that refuses every connection: requests of HTTP take 0 ms then. Beside them times of which half are 0.
const ZEROS: &str = r#"
import http from "k6/http"
import { sleep } from "k6"
import { Trend } from "k6/metrics"
export const options = { vus: 1, duration: "4s" }
const mixed = new Trend("mixed", true)
export default function () {
  http.get("http://127.0.0.1:1/")
  for (const value of [0, 0, 0, 50]) mixed.add(value)
  sleep(0.05)
}
"#;

#[test]
fn zeros_are_shown_as_zeros() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(ZEROS, 0);
    let medians = report.by_interval("mixed", "p50");
    assert!(medians.len() > 1 && medians.iter().all(|value| *value == json!(0)), "{medians:?}");
    report.open(&mut browser, 1280);
    let labels = lines(&mut browser, "[data-chart=latency] .label");
    assert!(labels.iter().any(|label| label == "p50 0\u{a0}ms"), "{labels:?}");
    assert!(
        browser.text("document.querySelector('[data-chart=latency] .unit').textContent").contains("linear")
    );
    assert_eq!(
        browser.value("Boolean(document.querySelector('[data-chart=heat]:not([hidden])'))"),
        json!(false)
    );
    assert!(
        browser
            .text("document.querySelector('#latency').textContent")
            .contains("All of them took 0\u{a0}ms.")
    );
    // All failures have the same code, so the table shows when they happened.
    let when = browser.text("document.querySelector('.errors .when').textContent");
    assert!(when.contains("peak "), "{when:?}");
    let joined = "(() => { const sum = new Senary.histogram.Sum(Senary.page.model.buckets); sum.add([0, 9]); sum.bound(0, 50); return sum.percentile(0.5) })()";
    assert_eq!(browser.value(joined), json!(0));
}

/// Sixty values from 1 to 60, and nothing else that is a time of the target.
const SIXTY: &str = r#"
import { sleep } from "k6"
import { Trend } from "k6/metrics"
export const options = { vus: 1, iterations: 60 }
const took = new Trend("took", true)
export default function () {
  took.add(__ITER + 1)
  sleep(0.05)
}
"#;

#[test]
fn figures_agree_and_none_is_made_up() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(SIXTY, 0);
    report.open(&mut browser, 1280);
    // Of sixty values only six lie beyond p90: too few for a mark. The median is that of the table.
    assert_eq!(lines(&mut browser, ".curve .mark"), ["30.5\u{a0}ms"]);
    let cells = "(name) => [...[...document.querySelectorAll('.metrics tbody tr')].find((e) => e.querySelector('code').textContent === name).cells].map((e) => e.textContent)";
    let took: Vec<String> =
        serde_json::from_value(browser.value(&format!("({cells})('took')"))).expect("cells");
    assert_eq!(took[3], "30.5\u{a0}ms");
    // Where a script makes no requests, iterations are not called so; their times are those of the table.
    let heads = lines(&mut browser, ".instances th");
    assert!(heads.contains(&"Iterations".to_owned()) && !heads.contains(&"Requests".to_owned()), "{heads:?}");
    let table = browser.value(&format!("({cells})('iteration_duration')"));
    let row = browser.value(
        "[...document.querySelectorAll('.instances td.n')].slice(1, 3).map((e) => e.lastChild.textContent)",
    );
    assert_eq!(row, json!([table[3], table[6]]), "p50 and p99");
}

/// Scenarios begin after `setup()`, which takes some of the time that the axis shows.
const PREPARED: &str = r#"
import { sleep } from "k6"
export const options = {
  scenarios: { planned: { executor: "constant-arrival-rate", rate: 20, duration: "4s", preAllocatedVUs: 10 } },
}
export function setup() {
  sleep(3)
}
export default function () {}
"#;

#[test]
fn the_plan_of_a_run_begins_after_its_setup() {
    let Some(mut browser) = Browser::start() else { return };
    let report = reported(PREPARED, 0);
    report.open(&mut browser, 1280);
    let phases = browser.value("Senary.page.model.phases.map((phase) => phase.name)");
    assert_eq!(phases[0], json!("setup"));
    assert_eq!(phases[1], json!("steady"));
    let begins = browser.value("Senary.page.model.scenarios[0].start").as_f64().unwrap_or_default();
    assert!(begins >= 3.0, "the scenario began at {begins} s");
    assert_eq!(browser.value("Senary.page.model.planned(1)"), json!(null), "planned while setup ran");
    // The steady phase has none of the seconds in which nothing could run.
    let rate = "Math.min(...Senary.page.model.steady()) >= 3";
    assert_eq!(browser.value(rate), json!(true));
}
