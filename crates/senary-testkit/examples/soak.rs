//! A long run with everything in it that goes wrong, and the books at its end.
//!
//! ```text
//! cargo build --release
//! cargo run -p senary-testkit --example soak -- target/release/senary [MINUTES, 10 if left out]
//! ```
//!
//! Ends with `books balanced`, or panics with what does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, Certificate, FullBacklog, Outcome, Program, Server};

/// Around the scenarios: the quiet before, their grace, the quiet behind, and room for a slow machine.
const AROUND: u64 = 90;
/// Until then memory may grow as it likes: engines and buffers find their size.
const WARM_UP: u64 = 60;
/// How much memory may grow from a quarter of the run to its end: in percent, and in bytes for each value of a trend,
/// which is kept as it is, in total and by scenario, until there are a million.
const GROWTH_PERCENT: u64 = 3;
const GROWTH_PER_VALUE: u64 = 32;

/// Peers whose iterations are never cut off: what both ends count is the same to the last connection.
const STEADY: [&str; 13] = [
    "ECHO",
    "TLS",
    "PULL",
    "ENDLESS",
    "DEAF",
    "SLOW",
    "SLEEPY",
    "SINK",
    "RESET",
    "REPLY_RESET",
    "SLAM",
    "HALF_CLOSE",
    "CHUNKS",
];
/// Peers with which no TLS handshake ends well; each is reached all the same.
const TLS_FAULTS: [&str; 5] = ["EXPIRED", "WRONG_NAME", "SELF_SIGNED", "GARBAGE", "TLS_RESET"];
/// Peers that read everything, until the connection is closed in good order.
const READERS: [&str; 7] = ["ECHO", "TLS", "PULL", "SINK", "HALF_CLOSE", "CHUNKS", "SLAM"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("usage: soak BINARY [MINUTES]");
    let binary = Path::new(&binary).canonicalize().expect("the binary");
    let minutes: f64 = arguments.next().map_or(10.0, |text| text.parse().expect("a number of minutes"));
    let seconds = (minutes * 60.0).ceil() as u64;

    let servers = servers();
    let silent = FullBacklog::start();
    let mut ports: BTreeMap<&str, u16> =
        servers.iter().map(|(name, server)| (*name, server.port())).collect();
    ports.insert("SILENT", silent.address().port());
    ports.insert("NOBODY", Server::start(Behaviour::Sink).port());

    let mut program = Program::new(&binary.to_string_lossy())
        .file("soak.js", include_str!("soak.js"))
        .file("ca.pem", Certificate::authority_pem())
        .args(["run", "--log-format=raw", "--summary-export=summary.json", "soak.js"])
        .env("SSL_CERT_FILE", "ca.pem")
        .env("SECONDS", seconds)
        .env("PEERS", ports.keys().copied().collect::<Vec<_>>().join(","))
        .within(Duration::from_secs(seconds + AROUND));
    for (name, port) in &ports {
        program = program.env(&format!("{name}_PORT"), port);
    }

    let mut running = program.start();
    let dawn = running.wait_for("at dawn").descriptors().expect("it runs");
    let begun = Instant::now();
    let at = |share: f64| {
        let due = begun + Duration::from_secs_f64(seconds as f64 * share);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        running.resident_kib().expect("it runs")
    };
    let (early, late) = (at(0.25), at(0.98));
    let rest = running.wait_for("at rest").descriptors().expect("it runs");
    let open: Vec<_> =
        servers.iter().filter(|(_, server)| server.open() > 0).map(|(name, _)| *name).collect();
    let outcome = running.finish();

    outcome.expect_code(0);
    balance(&outcome, &servers);
    assert!(open.is_empty(), "connections to {open:?} are open at rest");
    assert!(rest <= dawn, "{dawn} descriptors were open at dawn, {rest} are at rest");
    let accepted: u64 = servers.values().map(Server::accepted).sum();
    let values = outcome.measured("iterations", "count") as u64 + 4 * accepted;
    let allowed = early * GROWTH_PERCENT / 100 + values * GROWTH_PER_VALUE / 1024;
    let is_warm = seconds / 4 >= WARM_UP;
    assert!(
        !is_warm || late <= early + allowed,
        "memory grew from {early} to {late} KiB, {allowed} KiB are allowed"
    );
    println!("{} iterations, {accepted} connections", outcome.measured("iterations", "count"));
    println!(
        "memory: {early} KiB at a quarter, {late} KiB at the end; descriptors: {dawn} at dawn, {rest} at rest"
    );
    println!("books balanced");
}

fn servers() -> BTreeMap<&'static str, Server> {
    let reply = "last words";
    let gap = Duration::from_millis(20);
    let pause = Duration::from_secs(1);
    // What nobody reads the kernel keeps, after the end of the socket too: not for ever, with so many of them.
    let briefly =
        |behaviour| Behaviour::Briefly { behaviour: Box::new(behaviour), limit: Duration::from_secs(5) };
    let plain = [
        ("ECHO", Behaviour::Echo),
        ("CUT", Behaviour::Echo),
        ("SLEEPY", Behaviour::Echo),
        ("PULL", Behaviour::Sends { bytes: 5_000_000 }),
        ("ENDLESS", Behaviour::Sends { bytes: u64::MAX }),
        ("DEAF", briefly(Behaviour::NeverReads)),
        ("SLOW", briefly(Behaviour::SlowReader { pause })),
        ("SINK", Behaviour::Sink),
        ("MUTE", Behaviour::Sink),
        ("RESET", Behaviour::ResetAfterFirstByte),
        ("RESET_AT_ONCE", Behaviour::ResetAtAccept),
        ("TLS_RESET", Behaviour::ResetAfterFirstByte),
        ("REPLY_RESET", Behaviour::ResetAfterReply { reply }),
        ("SLAM", Behaviour::Slam),
        ("GARBAGE", Behaviour::Garbage),
        ("HALF_CLOSE", Behaviour::HalfClose { reply }),
        ("CHUNKS", Behaviour::Chunks { chunks: &["last", " words"], gap }),
    ];
    let tls = [
        ("TLS", Certificate::Valid),
        ("EXPIRED", Certificate::Expired),
        ("WRONG_NAME", Certificate::WrongName),
        ("SELF_SIGNED", Certificate::SelfSigned),
    ];
    let plain = plain.into_iter().map(|(name, behaviour)| (name, Server::start(behaviour)));
    let tls =
        tls.into_iter().map(|(name, certificate)| (name, Server::start_tls(Behaviour::Echo, certificate)));
    plain.chain(tls).collect()
}

fn balance(outcome: &Outcome, servers: &BTreeMap<&str, Server>) {
    let count = |metric: &str| outcome.value(metric, "count").unwrap_or_default();
    assert_eq!(
        count("started"),
        count("iterations") + interrupted(outcome),
        "iterations: started = completed + interrupted"
    );
    let of = |metric: &str, peer: &str| count(&format!("{metric}{{peer:{peer}}}"));
    for peer in STEADY.iter().chain(&TLS_FAULTS).chain(&["RESET_AT_ONCE", "MUTE", "SILENT", "NOBODY"]) {
        let ends = of("tcp_sockets", peer) + of("failed", peer) + of("given_up", peer);
        assert_eq!(of("attempts", peer), ends, "{peer}: attempts = connections + failed + given up");
        assert!(ends > 0.0, "{peer} was met");
    }
    for peer in STEADY {
        assert_eq!(
            of("tcp_sockets", peer),
            servers[peer].accepted() as f64,
            "{peer}: connections, at both ends"
        );
    }
    for peer in TLS_FAULTS {
        assert_eq!(of("failed", peer), servers[peer].accepted() as f64, "{peer}: connections, at both ends");
    }
    for peer in READERS {
        assert_eq!(of("written", peer), servers[peer].bytes() as f64, "{peer}: bytes, at both ends");
    }
    // An attempt that is cut off may be a connection for the peer, and none yet for the script.
    let cut = servers["CUT"].accepted() as f64;
    assert!(
        of("tcp_sockets", "CUT") <= cut && cut <= of("attempts", "CUT"),
        "CUT: connections, at both ends"
    );

    let on_wire = |metric: &str, scenario: &str| count(&format!("{metric}{{scenario:{scenario}}}"));
    for (scenario, peers) in [("echo", &["ECHO"][..]), ("leaks", &["SINK"]), ("deaf", &["DEAF", "SLOW"])] {
        let written: f64 = peers.iter().map(|peer| of("written", peer)).sum();
        assert_eq!(on_wire("data_sent", scenario), written, "{scenario}: bytes written = bytes on the wire");
    }
    for (scenario, peer) in [("echo", "ECHO"), ("endless", "ENDLESS"), ("pull", "PULL")] {
        assert_eq!(
            on_wire("data_received", scenario),
            of("read", peer),
            "{scenario}: bytes on the wire = bytes read"
        );
    }
    assert_eq!(of("read", "PULL"), 5e6 * of("tcp_sockets", "PULL"), "all that the peer sent was read");
}

/// From the last line of the progress: `… 12 complete and 3 interrupted iterations`.
fn interrupted(outcome: &Outcome) -> f64 {
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    let at = words.windows(2).rposition(|pair| pair == ["interrupted", "iterations"]);
    let number = at.and_then(|at| words.get(at.checked_sub(1)?)).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| outcome.fail("no line of progress"))
}
