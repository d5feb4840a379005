//! Every script in `examples/` runs, and does what it says.

use std::path::PathBuf;
use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Reply, Server, Site, WebSocketPeer};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example(name: &str) -> String {
    let path = root().join("examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn program(name: &str) -> Program {
    Program::script(BINARY, &example(name))
}

/// Runs to the end, with every check and threshold holding and nothing in the log that looks like trouble.
fn succeed(program: Program) -> Outcome {
    let outcome = program.run();
    outcome.expect_code(0).expect_value("checks", "fails", 0.0);
    for trouble in ["Uncaught", "Error", "failed"] {
        assert!(!outcome.stderr.contains(trouble), "{}", outcome.stderr);
    }
    outcome
}

#[test]
fn minimal() {
    let server = Server::start(Behaviour::Echo);
    succeed(program("minimal.js").target(&server));
    let message = "Hello, server!";
    assert!(server.has_received(message.len() as u64, Duration::from_secs(10)));
    assert!(server.all_closed(Duration::from_secs(10)));
    assert_eq!(server.received(), [message.as_bytes().to_vec()]);
}

#[test]
fn http() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/login" => Reply::ok(r#"{"token":"t"}"#),
        "/products" => Reply::ok(r#"{"products":[{"id":1},{"id":2}]}"#),
        "/orders" => Reply::page(201, &[], &asked.body),
        _ => Reply::ok("<title>Shop</title>"),
    });
    let outcome = succeed(program("http.js").args(["-e", &format!("BASE_URL={}", site.url)]));
    // The login, and five requests of each iteration.
    outcome.expect_value("http_reqs", "count", 21.0).expect_value("http_req_failed", "passes", 0.0);
    let asked = site.asked();
    assert_eq!(asked[0].text(), "password=secret&user=ann");
    assert_eq!(asked.last().map(|asked| asked.header("authorization")), Some("Bearer t"));
}

#[test]
fn websocket() {
    talks_over_websocket("websocket.js", 1.0);
}

#[test]
fn websocket_blocking() {
    talks_over_websocket("websocket-blocking.js", 3.0);
}

fn talks_over_websocket(name: &str, messages: f64) {
    let server = Server::start(Behaviour::WebSocket(WebSocketPeer::Echo));
    let url = format!("ws://{}/", server.address());
    let outcome = succeed(program(name).env("WS_URL", url));
    outcome.expect_value("ws_msgs_received", "count", messages).expect_value("ws_sessions", "count", 1.0);
    assert!(server.all_closed(Duration::from_secs(10)));
}

#[test]
fn socket() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("socket.js").target(&server));
    outcome.expect_text("ready state: open").expect_text("received: Hello, server!");
    outcome.expect_value("tcp_sockets", "count", 1.0).expect_value("tcp_errors", "count", 0.0);
}

#[test]
fn socket_with_the_built_in_server() {
    let outcome = Program::script(BINARY, &example("socket.js")).arg("--with-echo").run();
    outcome.expect_code(0).expect_text("received: Hello, server!");
}

#[test]
fn binary_protocol() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("binary-protocol.js").target(&server));
    outcome.expect_value("checks", "passes", 21.0);
}

#[test]
fn shop() {
    let server = Server::start(Behaviour::Echo);
    // On a busy machine its limits of time may be missed; what it does is another matter.
    let outcome = program("shop.js").target(&server).env("DURATION", "2s").arg("--no-thresholds").run();
    outcome.expect_code(0).expect_value("checks", "fails", 0.0).expect_value("tcp_errors", "count", 0.0);
    assert!(outcome.measured("items_sold", "count") > 100.0, "{}", outcome.stdout);
}

#[test]
fn several_connections() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("several-connections.js").target(&server));
    outcome.expect_value("tcp_sockets", "count", 10.0).expect_value("checks", "passes", 1.0);
}

#[test]
fn options_and_tags() {
    let server = Server::start(Behaviour::Echo);
    succeed(program("options-and-tags.js").target(&server));
    assert_eq!(server.received(), vec![b"login\norder\x01\xff\x0a".to_vec(); 4]);
}

#[test]
fn state() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("state.js").target(&server));
    let connected = format!("open: {}", server.address());
    let expected = [
        "disconnected: no connection, 0 B out, 0 B in".to_owned(),
        "opening: no connection, 0 B out, 0 B in".to_owned(),
        format!("{connected}, 0 B out, 0 B in"),
        format!("{connected}, 4 B out, 4 B in"),
        "destroyed: no connection, 4 B out, 4 B in".to_owned(),
    ];
    assert_eq!(outcome.log_lines(" B in"), expected);
}

#[test]
fn timeout() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("timeout.js").target(&server));
    outcome.expect_value("tcp_timeouts", "count", 3.0).expect_value("checks", "passes", 5.0);
}

#[test]
fn tls() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let trusting =
        program("tls.js").file("ca.pem", Certificate::authority_pem()).env("SSL_CERT_FILE", "ca.pem");
    succeed(trusting.target(&server)).expect_value("checks", "passes", 2.0);
    succeed(program("tls.js").target(&server).arg("--insecure-skip-tls-verify"));

    let outcome = program("tls.js").target(&server).run();
    outcome
        .expect_code(99)
        .expect_text("ERR_TLS_CERT_UNKNOWN_AUTHORITY")
        .expect_value("checks", "fails", 1.0);
}

#[test]
fn load_test() {
    let server = Server::start(Behaviour::Echo);
    let outcome = succeed(program("load-test.js").target(&server).env("DURATION", "2s"));
    // One more or less starts at the very end. On a machine that stands still for a moment, some are dropped.
    let dropped = outcome.value("dropped_iterations", "count").unwrap_or(0.0);
    let due = outcome.measured("iterations", "count") + dropped;
    assert!((199.0..=201.0).contains(&due), "{due} iterations in 2 s at 100/s, {dropped} dropped");
    assert!(outcome.measured("round_trip", "p(95)") > 0.0);
}

#[test]
fn load_test_fails_when_nobody_answers() {
    let server = Server::start(Behaviour::ResetAtAccept);
    program("load-test.js").target(&server).env("DURATION", "2s").run().expect_code(99);
}

#[test]
fn redis() {
    let server = Server::start(Behaviour::Resp);
    succeed(program("redis.js").target(&server)).expect_value("checks", "passes", 1.0);
}

#[test]
fn smtp() {
    let server = Server::start(Behaviour::Smtp);
    succeed(program("smtp.js").target(&server)).expect_value("checks", "passes", 7.0);
}

#[test]
fn requests() {
    let server = Server::start(Behaviour::Echo);
    succeed(program("requests.js").target(&server)).expect_value("tcp_reqs", "count", 3.0);
    let silent = Server::start(Behaviour::Sink);
    program("requests.js").target(&silent).run().expect_code(121).expect_text("ETIMEDOUT");
}

/// All of them are tested above, short, and say how to run them.
#[test]
fn every_example_is_short_and_says_how_to_run_it() {
    let tests = include_str!("examples.rs");
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Those of protocols are tested in `protocols.rs`.
        if name == "protocols" {
            continue;
        }
        let text = example(&name);
        let test = name.trim_end_matches(".js").replace('-', "_");
        assert!(tests.contains(&format!("fn {test}()")), "{name} has no test");
        assert!(text.lines().count() < 70, "{name} is too long");
        let comment: Vec<&str> = text.lines().take_while(|line| line.starts_with("//")).collect();
        let how = format!("examples/{name}");
        assert!(comment.iter().any(|line| line.contains("senary run") && line.contains(&how)), "{name}");
    }
}

#[test]
fn the_readme_shows_the_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let text = example("socket.js");
    let script = text.split_once("\nimport").unwrap().1;
    assert!(
        readme.contains(&format!("```js\nimport{script}```")),
        "the script of the README is not examples/socket.js"
    );
}
