//! Modules from web servers, and secrets: what reaches over the network before and while a script runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use senary_testkit::{Behaviour, Certificate, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// A server that answers any request with a module.
const MODULE: Behaviour = Behaviour::HalfClose {
    reply: "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nexport const hello = (name) => 'hello ' + name",
};

fn script(server: &Server) -> String {
    format!(
        "import {{ hello }} from 'https://localhost:{}/lib/hello.js';\nexport const options = {{ vus: 3, iterations: 3 }};\nexport default () => console.log(hello('you'));",
        server.port()
    )
}

/// Runs a script that imports from the server, in a folder that has the certificate to trust.
fn program(script: &str) -> Program {
    let program = Program::new(BINARY).file("s.js", script).file("ca.pem", Certificate::authority_pem());
    let authority = program.folder().join("ca.pem").display().to_string();
    program.env("SSL_CERT_FILE", authority)
}

#[test]
fn modules_come_from_web_servers_once() {
    let server = Server::start_tls(MODULE, Certificate::Valid);
    let outcome = program(&script(&server)).args(["run", "--quiet", "s.js"]).run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("hello you").len(), 3);
    assert_eq!(server.accepted(), 1);
    let asked = server.received();
    assert!(asked[0].starts_with(b"GET /lib/hello.js?_k6=1 HTTP/1.1\r\n"), "{asked:?}");
}

#[test]
fn archives_hold_modules_of_web_servers() {
    let server = Server::start_tls(MODULE, Certificate::Valid);
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.tar").display().to_string();
    program(&script(&server)).args(["archive", "s.js", "-O", &archive]).run().expect_code(0);
    drop(server);
    let outcome = Program::new(BINARY).args(["run", "--quiet", &archive]).run();
    outcome.expect_code(0).expect_text("hello you");
}

/// A proxy that leads to one server whatever it is asked for, if it is asked with a password. It lives as long as the
/// test, and keeps what it was asked.
fn proxy(server: SocketAddr) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let book = asked.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A client that breaks off is its own affair.
            serve(client, server, &book).ok();
        }
    });
    (port, asked)
}

fn serve(mut client: TcpStream, server: SocketAddr, book: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let is_known = head.contains("Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n");
    book.lock().expect("no panic").push(head);
    if !is_known {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let server = TcpStream::connect(server)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || pass_on(from, to));
    std::thread::spawn(move || pass_on(server, client));
    Ok(())
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(std::net::Shutdown::Write).ok();
}

#[test]
fn modules_come_through_a_proxy() {
    let server = Server::start_tls(MODULE, Certificate::Valid);
    let (port, asked) = proxy(server.address());
    let script = "import { hello } from 'https://modules.test/lib/hello.js';
        export default () => console.log(hello('you'));";
    let run =
        |proxy: String| program(script).env("HTTPS_PROXY", proxy).args(["run", "--quiet", "s.js"]).run();
    run(format!("http://user:word@127.0.0.1:{port}")).expect_code(0).expect_text("hello you");
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with("CONNECT modules.test:443 HTTP/1.1\r\n"), "{first}");
    assert!(server.received()[0].starts_with(b"GET /lib/hello.js?_k6=1 HTTP/1.1\r\nhost: modules.test\r\n"));

    let outcome = run(format!("127.0.0.1:{port}"));
    outcome.expect_code(107).expect_text("couldn't be retrieved from the resolved url");
    outcome.expect_text(&format!("the proxy 127.0.0.1:{port} does not connect to modules.test:443"));
    outcome.expect_text("407 Proxy Authentication Required");
    run("ftp://127.0.0.1:1".into()).expect_code(107).expect_text("or socks5://HOST:PORT into HTTPS_PROXY");
    assert_eq!((server.accepted(), asked.lock().unwrap().len()), (1, 2));
}

#[test]
fn a_module_that_cannot_be_had_ends_the_start() {
    let server = Server::start_tls(MODULE, Certificate::SelfSigned);
    let url = format!("https://localhost:{}/lib/hello.js", server.port());
    let outcome = program(&script(&server)).args(["run", "--quiet", "s.js"]).run();
    outcome.expect_code(107);
    outcome.expect_text(&format!("couldn't be retrieved from the resolved url \\\"{url}\\\""));
    outcome.expect_text("TLS with localhost failed");
    outcome.expect_text("tls: failed to verify certificate: x509: certificate signed by unknown authority");
}

#[test]
fn secrets_come_from_web_servers_and_stay_out_of_the_log() {
    let reply = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"data\":{\"value\":\"s3cr3t-1\"}}";
    let server = Server::start(Behaviour::HalfClose { reply });
    let script = "import secrets from 'k6/secrets';
        export const options = { vus: 2, iterations: 4 };
        export default async () => { const s = await secrets.get('the key'); console.log('it is', s, s.length) };";
    let source = format!(
        "url=urlTemplate=http://127.0.0.1:{}/v1/{{key}},responsePath=data.value,headers.X-Token=t",
        server.port()
    );
    let outcome = Program::new(BINARY)
        .file("s.js", script)
        .args(["run", "--quiet", "--secret-source", &source, "s.js"])
        .run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("it is ***SECRET_REDACTED*** 8").len(), 4, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("s3cr3t"));
    let asked = server.received();
    let asked: Vec<_> = asked.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("GET /v1/the%20key HTTP/1.1\r\n") && asked[0].contains("x-token: t"),
        "{asked:?}"
    );
}

#[test]
fn bad_secret_sources_end_the_start() {
    for source in ["vault=x", "file", "file=missing", "url=urlTemplate=http://h/", "cloud"] {
        let outcome = Program::new(BINARY)
            .file("s.js", "export default () => {}")
            .args(["run", "--quiet", "--secret-source", source, "s.js"])
            .run();
        outcome.expect_code(104).expect_text("--secret-source");
    }
}

#[test]
fn values_that_are_true_count_as_one() {
    let script = r#"
        import { Counter } from "k6/metrics"
        const sum = new Counter("sum")
        export default function () {
          for (const value of [10n, [], {}, true, "3", [4], "", false, 0, -1]) sum.add(value)
        }
    "#;
    let outcome = Program::script(BINARY, script).run();
    // An object without a number of its own is none.
    outcome
        .expect_code(0)
        .expect_value("sum", "count", 18.0)
        .expect_text("'[object Object]' is an invalid value");
}
