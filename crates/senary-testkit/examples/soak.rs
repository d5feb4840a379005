//! A long run with everything in it that goes wrong, and the books at its end.
//!
//! ```text
//! cargo build --release
//! cargo run -p senary-testkit --example soak -- target/release/senary [MINUTES, 10 if left out]
//! ```
//!
//! Ends with `books balanced`, or panics with what does not.

use std::path::Path;
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server};

/// Behind the scenarios: their grace, and the pause before the descriptors are counted.
const AFTERMATH: u64 = 60;
/// Until then memory may grow as it likes: engines and buffers find their size.
const WARM_UP: u64 = 60;
/// How much memory may grow from a quarter of the run to its end: in percent, and in bytes for each value of a trend,
/// which is kept as it is, in total and by scenario, until there are a million.
const GROWTH_PERCENT: u64 = 3;
const GROWTH_PER_VALUE: u64 = 32;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("usage: soak BINARY [MINUTES]");
    let binary = Path::new(&binary).canonicalize().expect("the binary");
    let minutes: f64 = arguments.next().map_or(10.0, |text| text.parse().expect("a number of minutes"));
    let seconds = (minutes * 60.0).ceil() as u64;

    let gap = Duration::from_millis(20);
    let plain = [
        ("ECHO", Server::start(Behaviour::Echo)),
        ("PULL", Server::start(Behaviour::Sends { bytes: 5_000_000 })),
        ("SINK", Server::start(Behaviour::Sink)),
        ("RESET", Server::start(Behaviour::ResetAfterFirstByte)),
        ("REPLY_RESET", Server::start(Behaviour::ResetAfterReply { reply: "last words" })),
        ("SLAM", Server::start(Behaviour::Slam)),
        ("HALF_CLOSE", Server::start(Behaviour::HalfClose { reply: "last words" })),
        ("CHUNKS", Server::start(Behaviour::Chunks { chunks: &["last", " words"], gap })),
        ("TLS", Server::start_tls(Behaviour::Echo, Certificate::Valid)),
    ];
    let nobody = Server::start(Behaviour::Sink).port();

    let mut program = Program::new(&binary.to_string_lossy())
        .file("soak.js", include_str!("soak.js"))
        .file("ca.pem", Certificate::authority_pem())
        .args(["run", "--log-format=raw", "--summary-export=summary.json", "soak.js"])
        .env("SSL_CERT_FILE", "ca.pem")
        .env("DURATION", format!("{seconds}s"))
        .env("SECONDS", seconds)
        .env("NOBODY_PORT", nobody)
        .within(Duration::from_secs(seconds + AFTERMATH));
    for (name, server) in &plain {
        program = program.env(&format!("{name}_PORT"), server.port());
    }

    let begun = Instant::now();
    let mut running = program.start();
    let at = |share: f64| {
        let due = begun + Duration::from_secs_f64(seconds as f64 * share);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        running.resident_kib().expect("it runs")
    };
    let (early, late) = (at(0.25), at(0.98));
    running.wait_for("at rest");
    let open: Vec<_> = plain.iter().filter(|(_, server)| server.open() > 0).map(|(name, _)| *name).collect();
    let descriptors = running.descriptors().expect("it runs");
    let outcome = running.finish();

    let accepted: u64 = plain.iter().map(|(_, server)| server.accepted()).sum();
    let sink = plain.iter().find(|(name, _)| *name == "SINK").map_or(0, |(_, server)| server.bytes());
    outcome.expect_code(0);
    balance(&outcome, accepted, sink);
    assert!(open.is_empty(), "connections to {open:?} are open at rest");
    let values = outcome.measured("iterations", "count") as u64 + 4 * accepted;
    let allowed = early * GROWTH_PERCENT / 100 + values * GROWTH_PER_VALUE / 1024;
    let is_warm = seconds / 4 >= WARM_UP;
    assert!(
        !is_warm || late <= early + allowed,
        "memory grew from {early} to {late} KiB, {allowed} KiB are allowed"
    );
    println!("{} iterations, {accepted} connections", outcome.measured("iterations", "count"));
    println!("memory: {early} KiB at a quarter, {late} KiB at the end; {descriptors} descriptors at rest");
    println!("books balanced");
}

fn balance(outcome: &Outcome, accepted: u64, sink: u64) {
    let count = |metric| outcome.measured(metric, "count");
    let interrupted = interrupted(outcome);
    assert_eq!(count("started"), count("iterations") + interrupted, "started = completed + interrupted");
    assert_eq!(count("attempts"), count("tcp_sockets") + count("failed_connects"), "attempts");
    assert_eq!(count("tcp_sockets"), accepted as f64, "both ends count the same connections");
    // Sinks are left open by iterations that throw: what was written arrived all the same.
    assert_eq!(sink % "left behind".len() as u64, 0, "writes to sinks arrive whole");
}

/// From the last line of the progress: `… 12 complete and 3 interrupted iterations`.
fn interrupted(outcome: &Outcome) -> f64 {
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    let at = words.windows(2).rposition(|pair| pair == ["interrupted", "iterations"]);
    let number = at.and_then(|at| words.get(at.checked_sub(1)?)).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| outcome.fail("no line of progress"))
}
