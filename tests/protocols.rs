//! The scripts of docs/protocols.md, each against the real server where the system has one, and against servers that are
//! silent or talk nonsense.

#[path = "protocols/devices.rs"]
mod devices;
#[path = "protocols/installed.rs"]
mod installed;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use installed::Installed;
use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const SCRIPTS: [&str; 10] =
    ["redis", "postgres", "mysql", "mqtt", "smtp", "memcached", "nats", "hl7", "iso8583", "modbus"];
const ITERATIONS: usize = 6;
const BOUND: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn script(name: &str) -> String {
    text(&format!("examples/protocols/{name}.js"))
}

fn program(name: &str, port: u16) -> Program {
    Program::script(BINARY, &script(name))
        .env("TCP_HOST", "127.0.0.1")
        .env("TCP_PORT", port)
        .env("DB_USER", "load")
        .env("DB_PASSWORD", "secret")
}

/// Several virtual users, several times: nothing fails, and each check holds each time.
fn succeed(program: Program, checks: usize) {
    let iterations = ITERATIONS.to_string();
    let outcome = program.args(["--vus", "2", "--iterations", &iterations]).run();
    outcome
        .expect_code(0)
        .expect_value("checks", "passes", (checks * ITERATIONS) as f64)
        .expect_value("checks", "fails", 0.0)
        .expect_value("tcp_unmatched_messages", "count", 0.0);
    for trouble in ["Uncaught", "WHAT WENT WRONG"] {
        assert!(!outcome.stderr.contains(trouble) && !outcome.stdout.contains(trouble), "{}", outcome.stderr);
    }
}

/// The first line that says what went wrong.
fn first_line(outcome: &Outcome) -> &str {
    let (_, section) = outcome.stdout.split_once("    WHAT WENT WRONG\n").unwrap_or_default();
    section.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// The run is red, and the first thing told is the cause: it has one of these words, and the address of the server.
fn expect_red(fault: &str, outcome: &Outcome, peer: SocketAddr, causes: &[&str]) {
    let first = first_line(outcome);
    let is_told = causes.iter().any(|cause| first.contains(cause)) && first.contains(&peer.to_string());
    if !matches!(outcome.code(), Some(99 | 121)) || !is_told {
        outcome.fail(&format!("a server that {fault}: one of {causes:?} and {peer} expected in {first:?}"));
    }
}

/// Meets the good server through others, of which one freezes in mid-run, and one hangs up in the middle of its first answer.
fn meet_its_bad_twins(port: u16, program: impl Fn(u16) -> Program) {
    let good = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let run = |server: &Server| program(server.port()).args(["--iterations", "4"]).within(BOUND).run();
    let twin = Server::start(Behaviour::Relay(good));
    run(&twin).expect_code(0);
    let half = twin.bytes() / 2;
    // One after the other: a broker throws out a client of the same name.
    let behaviour = Box::new(Behaviour::Relay(good));
    let mute = Server::start(Behaviour::HangsUpAfter { behaviour, bytes: 2 });
    expect_red("hangs up", &run(&mute), mute.address(), &["ended after 2", "closed"]);
    let frozen = Server::start(Behaviour::Relay(good));
    frozen.freezes_after(half);
    expect_red(
        "freezes in mid-run",
        &run(&frozen),
        frozen.address(),
        &["within 5", "within 10", "ETIMEDOUT"],
    );
}

fn strings<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).to_vec()
}

#[test]
fn redis() {
    let Some(server) = Installed::find("redis-server", "redis-server") else { return };
    let server = server.start("Ready to accept", |port| {
        strings(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
    });
    succeed(program("redis", server.port), 1);
    meet_its_bad_twins(server.port, |port| program("redis", port));
}

#[test]
fn memcached() {
    let Some(server) = Installed::find("memcached", "memcached") else { return };
    let server =
        server.start("", |port| strings(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0", "-m", "16"]));
    succeed(program("memcached", server.port), 3);
    meet_its_bad_twins(server.port, |port| program("memcached", port));
}

#[test]
fn nats() {
    let Some(server) = Installed::find("nats-server", "nats-server") else { return };
    let server =
        server.start("Server is ready", |port| strings(["-a", "127.0.0.1", "-p", &port.to_string()]));
    succeed(program("nats", server.port), 3);
    meet_its_bad_twins(server.port, |port| program("nats", port));
}

#[test]
fn mqtt() {
    let Some(server) = Installed::find("mosquitto", "mosquitto") else { return };
    let server = server.start("running", |port| strings(["-p", &port.to_string()]));
    succeed(program("mqtt", server.port), 2);
    meet_its_bad_twins(server.port, |port| program("mqtt", port));
}

#[test]
fn postgres() {
    let Some(server) = Installed::find("postgres", "postgresql") else { return };
    let data = server.path("data");
    let password = server.file("password.txt", "secret");
    server.prepare(
        "initdb",
        &["-D", &data, "-U", "load", "--pwfile", &password, "--auth-host=scram-sha-256", "--no-sync"],
    );
    let (certificate, key) = Certificate::server_pem();
    let (certificate, key) = (server.file("server.crt", &certificate), server.file("server.key", &key));
    // It takes no key that others may read, and none that is not its own.
    server.prepare("cp", &[&key, &format!("{data}/server.key")]);
    server.prepare("chmod", &["600", &format!("{data}/server.key")]);
    let server = server.start("ready to accept connections", |port| {
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={certificate}"),
            "unix_socket_directories=".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "fsync=off".to_owned(),
        ];
        let settings = settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]);
        ["-D".to_owned(), data.clone()].into_iter().chain(settings).collect()
    });
    let trusting = |program: Program| {
        program.file("ca.pem", Certificate::authority_pem()).env("SSL_CERT_FILE", "ca.pem")
    };
    succeed(trusting(program("postgres", server.port)), 4);
    meet_its_bad_twins(server.port, |port| trusting(program("postgres", port)));
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let unknown = program("postgres", server.port).run();
    expect_red("has an unknown certificate", &unknown, peer, &["ERR_TLS_CERT_UNKNOWN_AUTHORITY"]);
    let wrong = trusting(program("postgres", server.port)).env("DB_PASSWORD", "guess").run();
    wrong.expect_code(99).expect_text("✗ the login is accepted");
}

#[test]
fn mysql() {
    let Some(server) = Installed::find("mariadbd", "mariadb-server") else { return };
    let (data, socket) = (server.path("data"), server.path("socket"));
    let folder = format!("--datadir={data}");
    let root = "--auth-root-authentication-method=normal";
    server.prepare("mariadb-install-db", &["--no-defaults", &folder, root, "--skip-test-db"]);
    let users = server.file("users.sql", "CREATE USER 'load'@'%' IDENTIFIED BY 'secret';\n");
    let server = server.start("ready for connections", |port| {
        vec![
            "--no-defaults".to_owned(),
            folder.clone(),
            format!("--socket={socket}"),
            format!("--pid-file={data}/pid"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--skip-name-resolve".to_owned(),
            format!("--init-file={users}"),
        ]
    });
    succeed(program("mysql", server.port), 2);
    meet_its_bad_twins(server.port, |port| program("mysql", port));
    let wrong = program("mysql", server.port).env("DB_PASSWORD", "guess").run();
    wrong.expect_code(99).expect_text("✗ the login is accepted");
}

#[test]
fn smtp() {
    let server = Server::start(Behaviour::Smtp);
    let trusting = |port| {
        program("smtp", port).file("ca.pem", Certificate::authority_pem()).env("SSL_CERT_FILE", "ca.pem")
    };
    succeed(trusting(server.port()), 9);
    meet_its_bad_twins(server.port(), trusting);
    let unknown = program("smtp", server.port()).run();
    expect_red("has an unknown certificate", &unknown, server.address(), &["ERR_TLS_CERT_UNKNOWN_AUTHORITY"]);
}

#[test]
fn hl7() {
    let port = devices::serve(devices::take_block, devices::acknowledge);
    succeed(program("hl7", port), 1);
    meet_its_bad_twins(port, |port| program("hl7", port));
}

#[test]
fn iso8583() {
    let port = devices::serve(devices::take_sized, devices::approve);
    succeed(program("iso8583", port), 2);
    meet_its_bad_twins(port, |port| program("iso8583", port));
}

#[test]
fn modbus() {
    let port = devices::serve(devices::take_unit, devices::registers);
    succeed(program("modbus", port), 1);
    meet_its_bad_twins(port, |port| program("modbus", port));
}

/// No script takes a server for a good one that is not there, is silent, says the same to everything, talks nonsense, or wants
/// TLS from the first byte.
#[test]
fn servers_that_are_no_good_are_not_taken_for_good_ones() {
    let bad = [Behaviour::Sink, Behaviour::Echo, Behaviour::Babbles, Behaviour::Slam];
    let mut servers: Vec<_> = bad.into_iter().map(Server::start).collect();
    servers.push(Server::start_tls(Behaviour::Sink, Certificate::Valid));
    let mut peers: Vec<_> = servers.iter().map(Server::address).collect();
    let gone = Server::start(Behaviour::Sink);
    peers.push(gone.address());
    drop(gone);
    for peers in peers.chunks(2) {
        // At once: most of them wait.
        let pairs = SCRIPTS.iter().flat_map(|name| peers.iter().map(move |peer| (name, *peer)));
        let runs: Vec<_> = pairs
            .map(|(name, peer)| (name, peer, program(name, peer.port()).within(BOUND).start()))
            .collect();
        for (name, peer, run) in runs {
            let outcome = run.finish();
            // What an echo is taken for depends on the protocol.
            expect_red(
                &format!("{name} does not know"),
                &outcome,
                peer,
                &["failed", "threw", "rejected", "cut off"],
            );
        }
    }
}

#[test]
fn the_page_shows_the_scripts() {
    let page = text("docs/protocols.md");
    let blocks: Vec<&str> =
        page.split("```js\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let scripts = SCRIPTS.map(script);
    assert_eq!(
        blocks, scripts,
        "docs/protocols.md does not show the scripts of examples/protocols as they are"
    );
    for entry in std::fs::read_dir(root().join("examples/protocols")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(SCRIPTS.contains(&name.trim_end_matches(".js")), "{name} is neither tested nor on the page");
    }
}

#[test]
fn the_scripts_are_short_and_say_how_to_run_them() {
    let scripts = SCRIPTS.map(|name| (name, script(name)));
    let lines = |text: &str| text.lines().count();
    for (name, text) in &scripts {
        assert!(lines(text) < 40, "{name} has {} lines", lines(text));
        assert!(text.contains(&format!("senary run examples/protocols/{name}.js")), "{name}");
        assert!(text.contains("strict: true"), "{name}");
    }
    assert!(scripts.iter().filter(|(_, text)| lines(text) < 25).count() > scripts.len() / 2);
}
