//! Local times, in zones with and without daylight-saving time, and dates that are set to an invalid number.
//!
//! The zones are the system's. Without them two of the tests are skipped, but for CI, which installs them.

use std::collections::BTreeMap;

use senary_testkit::{Outcome, Program};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// What Node.js says of each zone and year; `dates/make.mjs` asks it.
const EXPECTED: &str = include_str!("dates/expected.json");
const TIMES: &str = include_str!("dates/times.mjs");

fn run(zone: &str, script: &str) -> Outcome {
    let program = Program::new(BINARY).env("TZ", zone).file("times.mjs", TIMES).file("script.js", script);
    program.args(["run", "--quiet", "--log-format=raw", "--summary-mode=disabled", "script.js"]).run()
}

/// Whether the system has time zones, as most have.
fn has_zones() -> bool {
    let has_zones = std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin").exists();
    let is_ci = std::env::var_os("CI").is_some();
    assert!(has_zones || !is_ci, "this test needs the time zones of the system (the package tzdata)");
    if !has_zones {
        eprintln!("not tested: the system has no time zones (the package tzdata)");
    }
    has_zones
}

#[test]
fn every_hour_is_what_it_is_elsewhere() {
    if !has_zones() {
        return;
    }
    let script = r#"
        import { times } from "./times.mjs"
        export default function () { console.log(JSON.stringify(times())) }
    "#;
    let expected: BTreeMap<String, Value> = serde_json::from_str(EXPECTED).expect("JSON");
    assert!(expected.len() > 10);
    for (zone, expected) in expected {
        let outcome = run(&zone, script);
        let line = outcome.log_lines("{").first().map(|line| (*line).to_owned()).unwrap_or_default();
        let found: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(found, expected, "{zone}");
    }
}

#[test]
fn skipped_and_doubled_times_are_those_of_ecma_262() {
    if !has_zones() {
        return;
    }
    let script = r#"
        export default function () {
          const iso = (...parts) => new Date(...parts).toISOString()
          console.log("exists", iso(2021, 2, 28, 1), iso(2021, 9, 31, 1))
          console.log("skipped", iso(2021, 2, 28, 2, 30), iso("2021-03-28T02:30:00"))
          console.log("doubled", iso(2021, 9, 31, 2, 30), new Date(2021, 9, 31, 2, 30).getTimezoneOffset())
          const set = new Date(2021, 2, 27, 2, 30)
          set.setDate(28)
          console.log("set", set.toISOString(), String(set))
          console.log("edges", Date.parse("+275760-09-13T01:00:00+01:00"), Date.parse("+275760-09-13T00:00:00-01:00"))
          console.log("local mean", iso(1880, 0, 1), new Date(1880, 0, 1).getTimezoneOffset())
        }
    "#;
    let outcome = run("Europe/Berlin", script);
    for line in [
        "exists 2021-03-28T00:00:00.000Z 2021-10-30T23:00:00.000Z",
        "skipped 2021-03-28T01:30:00.000Z 2021-03-28T01:30:00.000Z",
        "doubled 2021-10-31T00:30:00.000Z -120",
        "set 2021-03-28T01:30:00.000Z Sun Mar 28 2021 03:30:00 GMT+0200 (CEST)",
        "edges 8640000000000000 NaN",
        "local mean 1879-12-31T23:06:32.000Z -53",
    ] {
        assert_eq!(outcome.log_lines(line).len(), 1, "{line}\n{}", outcome.stderr);
    }
}

#[test]
fn a_date_that_is_set_to_no_number_is_invalid() {
    let script = r#"
        const units = ["Milliseconds", "Seconds", "Minutes", "Hours", "Date", "Month", "FullYear"]
        const setters = units.flatMap((unit) => [`set${unit}`, `setUTC${unit}`]).concat("setTime", "setYear")
        export default function () {
          let wrong = 0
          const expect = (what, ok) => { if (!ok) { wrong++; console.log("wrong:", what) } }
          for (const set of setters) {
            for (const value of [NaN, undefined, Infinity, -Infinity, "x", {}]) {
              const date = new Date(0)
              expect(set, Number.isNaN(date[set](value)) && Number.isNaN(date.getTime()))
              expect(`String after ${set}`, String(date) === "Invalid Date")
            }
            const none = new Date(0)
            expect(`${set}()`, Number.isNaN(none[set]()) && Number.isNaN(none.getTime()))
            const invalid = new Date(NaN)
            invalid[set](2001)
            expect(`${set} of an invalid date`, /FullYear|Year|Time/.test(set) !== Number.isNaN(invalid.getTime()))
          }
          for (const args of [[1, NaN], [1, 2, NaN], [1, 2, 3, NaN]]) {
            const date = new Date(0)
            date.setHours(...args)
            expect(`setHours(${args})`, Number.isNaN(date.getTime()))
          }
          // An invalid date is not touched, whatever its arguments do meanwhile.
          const meanwhile = new Date(NaN)
          meanwhile.setDate({ valueOf() { meanwhile.setTime(0); return 1 } })
          expect("set by an argument", meanwhile.getTime() === 0)
          console.log(`${setters.length} setters, ${wrong} wrong`)
        }
    "#;
    run("UTC", script).expect_text("16 setters, 0 wrong");
}
