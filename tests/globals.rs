//! The globals that libraries need and k6 does not have, as scripts of a run see them.

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn run(script: &str) -> Outcome {
    Program::script(BINARY, script).run()
}

#[test]
fn the_time_origin_is_a_time_of_day() {
    let script = "export default function () {
  const off = Date.now() - (performance.timeOrigin + performance.now());
  console.log(Math.abs(off) < 1000 ? 'right' : `off by ${off}`);
}";
    run(script).expect_code(0).expect_text("right");
}

/// A limit that was not reached must not hold the iteration, and one that is reached must be told.
#[test]
fn the_timeout_of_a_signal_does_not_hold_an_iteration() {
    let script = "
export const options = { iterations: 3 };
export default async function () {
  AbortSignal.timeout(3600e3).addEventListener('abort', () => console.log('never'));
  const signal = AbortSignal.timeout(20);
  const reason = await new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason.name));
    setTimeout(() => {}, 100);
  });
  console.log(reason, AbortSignal.any([signal]).aborted);
}";
    let outcome = run(script);
    outcome.expect_code(0).expect_value("iterations", "count", 3.0);
    assert_eq!(outcome.log_lines("TimeoutError true").len(), 3);
    assert!(outcome.log_lines("never").is_empty() && outcome.log_lines("stopped").is_empty());
}

#[test]
fn an_exception_of_a_listener_is_told() {
    let script = "export default function () {
  const target = new EventTarget();
  target.addEventListener('a', () => { throw new Error('of the first') });
  target.addEventListener('a', () => console.log('second called'));
  target.dispatchEvent(new Event('a'));
}";
    run(script).expect_text("second called").expect_text("of the first");
}

/// What polyfills and libraries do: look, define, replace; in every virtual user for itself.
#[test]
fn polyfills_and_replacements_work() {
    let script = "
export const options = { vus: 2, iterations: 4 };
if (typeof URL === 'undefined') globalThis.URL = 'polyfill';
Object.defineProperty(globalThis, 'URLSearchParams', { value: 'mine', writable: true, configurable: true });
globalThis.AbortController = class {};
delete globalThis.Event;
export default function () {
  console.log(typeof URL, URLSearchParams, typeof new AbortController().signal, typeof Event, typeof EventTarget);
}";
    let outcome = run(script);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("function mine undefined undefined function").len(), 4);
}

/// The parts of the language that dayjs, luxon and date-fns-tz work with.
#[test]
fn what_libraries_for_dates_do() {
    let script = "
const offset = (date, timeZone) => {
  const parts = new Intl.DateTimeFormat('en-US', { hour12: false, timeZone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', era: 'short' }).formatToParts(date);
  const of = (type) => parts.find((part) => part.type === type).value;
  return (Date.UTC(of('year'), of('month') - 1, of('day'), of('hour') % 24, of('minute'), of('second')) - date) / 6e4;
};
export default function () {
  const [winter, summer] = [Date.UTC(2024, 0, 15), Date.UTC(2024, 6, 15)];
  console.log(offset(winter, 'Europe/Berlin'), offset(summer, 'Europe/Berlin'), offset(winter, 'Asia/Kolkata'), offset(summer, 'America/New_York'));
  const target = new Date(summer).toLocaleString('en-US', { timeZone: 'Asia/Tokyo' });
  console.log(target, new Date(target).getHours(), Intl.DateTimeFormat().resolvedOptions().timeZone);
}";
    let outcome = Program::script(BINARY, script).env("TZ", "America/New_York").run();
    outcome.expect_code(0).expect_text("60 120 330 -240");
    outcome.expect_text("7/15/2024, 9:00:00 AM 9 America/New_York");
}

/// In an image of a container there may be no time zones.
#[test]
fn time_zones_are_in_the_binary() {
    let script = "export default function () {
  console.log(new Date(0).toLocaleString('en-GB', { timeZone: 'Asia/Tokyo' }));
}";
    let outcome = Program::script(BINARY, script).env("TZDIR", "/nowhere").run();
    outcome.expect_code(0).expect_text("01/01/1970, 09:00:00");
}
