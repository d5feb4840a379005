//! A run of many samples over the same series, and whether memory stays what it was.
//!
//! ```text
//! cargo build --release
//! cargo run -p senary-testkit --example flat -- target/release/senary [MILLIONS OF SAMPLES, 20 if left out]
//! ```
//!
//! Ends with `memory is flat`, or panics with what it grew to.

use std::path::Path;
use std::time::Duration;

use senary_testkit::Program;

const SAMPLES_PER_ITERATION: u64 = 1000;
/// How much memory may grow from a quarter of the samples to the last one: in percent, and in KiB.
const GROWTH_PERCENT: u64 = 3;
/// What samples on their way take at one moment and not at another.
const UNDER_WAY: u64 = 2 * 1024;
const BOUND: Duration = Duration::from_secs(2 * 60 * 60);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("usage: flat BINARY [MILLIONS]");
    let binary = Path::new(&binary).canonicalize().expect("the binary");
    let millions: u64 = arguments.next().map_or(20, |text| text.parse().expect("a number of millions"));
    let iterations = millions * 1_000_000 / SAMPLES_PER_ITERATION;

    let mut running = Program::script(&binary.to_string_lossy(), include_str!("flat.js"))
        .env("ITERATIONS", iterations)
        .env("EARLY", iterations / 4)
        .within(BOUND)
        .start();
    let early = running.wait_for("the early ones are done").resident_kib().expect("it runs");
    let late = running.wait_for("all are done").resident_kib().expect("it runs");
    let outcome = running.finish();

    outcome.expect_code(0).expect_value("iterations", "count", iterations as f64);
    for (metric, per_iteration) in [("hits", 64), ("checks", 62)] {
        let key = if metric == "checks" { "passes" } else { "count" };
        let fails = outcome.value(metric, "fails").unwrap_or_default();
        let counted = outcome.measured(metric, key) + fails;
        assert_eq!(counted, (iterations * per_iteration) as f64, "{metric}");
    }
    println!("{millions} million samples in {:?}", outcome.elapsed);
    println!("memory: {early} KiB at a quarter, {late} KiB at the end");
    let allowed = early * GROWTH_PERCENT / 100 + UNDER_WAY;
    assert!(late <= early + allowed, "memory grew from {early} to {late} KiB");
    println!("memory is flat");
}
