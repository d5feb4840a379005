//! TLS as a client of servers that are what servers under test are: with certificates that nobody would show in public, and
//! keys that are a user's own.

use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server, TlsEnd};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Connects to `HOST`, has a word echoed and logs it, or the error.
const GREET: &str = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const answered = new Promise((resolve) => socket.on("data", (data) => resolve(String.fromCharCode(...data))))
  try {
    await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.HOST, tls: true })
    await socket.write("hello")
    console.log("echoed", await answered)
  } catch (error) {
    console.log(`${error.code}: ${error.message}`)
  }
  socket.destroy()
}
"#;

fn greet(server: &Server, host: &str) -> Program {
    Program::script(BINARY, GREET).target(server).env("HOST", host).within(BOUND)
}

/// With the certificate that a server shows trusted by itself.
fn greet_trusting(server: &Server, host: &str, pem: &str) -> Outcome {
    greet(server, host).file("trusted.pem", pem).env("SSL_CERT_FILE", "trusted.pem").run()
}

fn expect_refused(outcome: &Outcome, code: &str, text: &str) {
    let verify = "TLS handshake failed: tls: failed to verify certificate: x509";
    outcome.expect_code(0).expect_text(&format!("{code}: {verify}: {text}"));
    outcome.expect_value("tcp_errors", "count", 1.0);
}

/// What a server of many new clients has to do is the handshake, so every connection makes one.
#[test]
fn no_session_is_resumed() {
    for version in ["tls1.2", "tls1.3"] {
        let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
        let program = greet(&server, "localhost").env("K6_TLS_VERSION", version);
        let outcome = program.args(["--insecure-skip-tls-verify", "--iterations", "5"]).run();
        outcome.expect_code(0).expect_text("echoed hello").expect_value("tcp_sockets", "count", 5.0);
        assert_eq!((server.accepted(), server.resumed()), (5, 0), "{version}");
    }
}

#[test]
fn a_certificate_that_is_itself_trusted_is_believed_whatever_it_is_for() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::OwnAuthority);
    let own = Certificate::own_authority_pem();
    for host in ["localhost", "127.0.0.1"] {
        greet_trusting(&server, host, &own).expect_code(0).expect_text("echoed hello");
    }
    let strange = greet_trusting(&server, "localhost", &Certificate::authority_pem());
    expect_refused(&strange, "ERR_TLS_CERT_UNKNOWN_AUTHORITY", "certificate signed by unknown authority");
    // It is believed, but not to be somebody else.
    let program = greet(&server, "other.test").env("K6_HOSTS", "other.test=127.0.0.1");
    let outcome = program.file("trusted.pem", &own).env("SSL_CERT_FILE", "trusted.pem").run();
    let text = "certificate is valid for localhost, not other.test";
    expect_refused(&outcome, "ERR_TLS_CERT_ALTNAME_INVALID", text);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_full() {
    const NAME: &str = "ERR_TLS_CERT_ALTNAME_INVALID";
    for (certificate, host, code, text) in [
        (
            Certificate::WrongName,
            "localhost",
            NAME,
            "certificate is valid for somebody.else.test, *.else.test, not localhost",
        ),
        (
            Certificate::NoAddress,
            "127.0.0.1",
            NAME,
            "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        ),
        (
            Certificate::CommonName,
            "localhost",
            NAME,
            "certificate relies on legacy Common Name field, use SANs instead",
        ),
        (
            Certificate::CommonName,
            "127.0.0.1",
            NAME,
            "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        ),
        (
            Certificate::Expired,
            "localhost",
            "ERR_TLS_CERT_EXPIRED",
            "certificate has expired or is not yet valid: current time 20",
        ),
        (
            Certificate::ShortKey,
            "localhost",
            "ERR_TLS_CERT_INVALID",
            "server sent certificate containing RSA key smaller than 2048 bits: 1024 bits",
        ),
    ] {
        let server = Server::start_tls(Behaviour::Echo, certificate);
        let outcome = greet_trusting(&server, host, &Certificate::authority_pem());
        expect_refused(&outcome, code, text);
        if certificate == Certificate::Expired {
            outcome.expect_text("Z is after 2002-01-01T00:00:00Z");
        }
        assert_eq!(server.bytes(), 0, "nothing is said to somebody who is not trusted");
    }
    let server = Server::start_tls(Behaviour::Echo, Certificate::Version1);
    let outcome = greet_trusting(&server, "localhost", Certificate::version_1_pem());
    expect_refused(&outcome, NAME, "certificate relies on legacy Common Name field, use SANs instead");
}

/// `insecureSkipTLSVerify` is there for servers with certificates that are none.
#[test]
fn any_certificate_will_do_where_none_is_verified() {
    for certificate in [
        Certificate::Version1,
        Certificate::ShortKey,
        Certificate::CommonName,
        Certificate::OwnAuthority,
        Certificate::Expired,
    ] {
        for version in ["tls1.2", "tls1.3"] {
            let server = Server::start_tls(Behaviour::Echo, certificate);
            let program = greet(&server, "127.0.0.1").env("K6_TLS_VERSION", version);
            let outcome = program.arg("--insecure-skip-tls-verify").run();
            outcome.expect_code(0).expect_text("echoed hello").expect_value("tcp_errors", "count", 0.0);
        }
    }
}

#[test]
fn a_server_has_to_have_the_key_of_its_certificate() {
    for (version, skip) in [("tls1.2", false), ("tls1.3", false), ("tls1.2", true), ("tls1.3", true)] {
        let server = Server::start_tls(Behaviour::Echo, Certificate::OthersKey);
        let program = greet(&server, "localhost").env("K6_TLS_VERSION", version);
        let program = program.file("ca.pem", Certificate::authority_pem()).env("SSL_CERT_FILE", "ca.pem");
        let outcome = program.env("K6_INSECURE_SKIP_TLS_VERIFY", skip).run();
        let text =
            "ERR_TLS_HANDSHAKE: TLS handshake failed: tls: invalid signature by the server certificate";
        outcome.expect_code(0).expect_text(text);
        assert_eq!(server.bytes(), 0);
    }
}

#[test]
fn a_reset_in_the_handshake_says_between_whom() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let outcome = greet(&server, "127.0.0.1").run();
    outcome.expect_code(0).expect_text("ECONNRESET: TLS handshake failed: read tcp 127.0.0.1:");
    outcome.expect_text(&format!("->127.0.0.1:{}: read: connection reset by peer", server.port()));
}

/// Both spellings of ChaCha20, and all that the reference knows beside something that can be spoken.
#[test]
fn cipher_suites_have_the_references_names() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    for suites in [
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    ] {
        let program = greet(&server, "localhost").env("K6_TLS_CIPHER_SUITES", suites);
        let program = program.env("K6_TLS_VERSION", "tls1.2").arg("--insecure-skip-tls-verify");
        program.run().expect_code(0).expect_text("echoed hello");
    }
}

/// A key with a password, and a certificate that webpki would not read.
#[test]
fn the_password_of_a_key_opens_it() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let key = include_str!("../crates/senary-net/src/tls/keys/aes256.pem");
    let cert = include_str!("../crates/senary-net/src/tls/keys/certificate.pem");
    let start = |password: &str| {
        let auth = format!("{{ cert: open('cert.pem'), key: open('key.pem'){password} }}");
        let options =
            format!("export const options = {{ insecureSkipTLSVerify: true, tlsAuth: [{auth}] }}\n");
        let program = Program::script(BINARY, &format!("{options}{GREET}")).target(&server);
        program.file("cert.pem", cert).file("key.pem", key).env("HOST", "localhost").within(BOUND).run()
    };
    start(", password: 's3cret'").expect_code(0).expect_text("echoed hello");
    let wrong = start(", password: 'secret'");
    wrong.expect_text("tlsAuth: the password is not that of the key, or the key is damaged");
    assert_ne!(wrong.code(), Some(0));
    let none = start("");
    none.expect_text("tlsAuth: the key is encrypted: say its password, as `password` beside `key`");
    assert_ne!(none.code(), Some(0));
}

/// A server that says why it ends the connection, and then ends it badly, is heard.
#[test]
fn what_came_before_the_end_of_tls_is_delivered_first() {
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  const log = []
  let bytes = 0
  let right = true
  const closed = new Promise((resolve) => socket.on("close", () => { log.push("close"); resolve() }))
  socket.on("data", (data) => {
    if (bytes === 0) log.push("data")
    data.forEach((byte, i) => { right = right && byte === (bytes + i) % 251 })
    bytes += data.length
  })
  socket.on("error", (error) => log.push(`${error.code}: ${error.message}`))
  await socket.connect({ port: __ENV.TCP_PORT, host: __ENV.TCP_HOST, tls: true })
  await socket.write("hello")
  await closed
  console.log(`${bytes} bytes, ${right}: ${log.join("; ")}`)
}
"#;
    let bad_record = "local error: tls: bad record MAC";
    for (end, error) in [
        (TlsEnd::Goodbye, None),
        (TlsEnd::Silent, None),
        (
            TlsEnd::Cut,
            Some(
                "ERR_TLS_TRUNCATED: unexpected EOF: the connection was closed in the middle of a TLS record",
            ),
        ),
        (TlsEnd::Alert, Some("ERR_TLS_ALERT: remote error: tls: bad record MAC")),
        (TlsEnd::Garbage, Some(&format!("EPROTO: {bad_record}") as &str)),
    ] {
        let error_event = error.map(|error| format!("{error}; ")).unwrap_or_default();
        for version in ["tls1.2", "tls1.3"] {
            for bytes in [5, 16 * 1024, 327_680] {
                let server = Server::start_tls(Behaviour::EndsTls { bytes, end }, Certificate::Valid);
                let program = Program::script(BINARY, script).target(&server).within(BOUND);
                let program = program.env("K6_TLS_VERSION", version);
                let outcome = program.args(["--insecure-skip-tls-verify", "--iterations", "5"]).run();
                outcome.expect_code(0);
                let expected = format!("{bytes} bytes, true: data; {error_event}close");
                let lines = outcome.log_lines(&expected);
                assert_eq!(lines.len(), 5, "{end:?} {version}: {expected}\n{}", outcome.stderr);
                outcome.expect_value("tcp_errors", "count", if error.is_some() { 5.0 } else { 0.0 });
            }
        }
    }
}

/// A shell's `<(command)` can be read once, and nobody waits for it a second time.
#[test]
fn trusted_certificates_may_come_from_a_command() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let program =
        Program::new("/bin/bash").file("script.js", GREET).file("ca.pem", Certificate::authority_pem());
    let command = format!("SSL_CERT_FILE=<(cat ca.pem) {BINARY} run script.js");
    let outcome = program.target(&server).env("HOST", "localhost").within(BOUND).args(["-c", &command]).run();
    outcome.expect_code(0).expect_text("echoed hello");
}

/// `SSLKEYLOGFILE` in all its forms; none of them holds a worker up.
#[test]
fn secrets_of_sessions_are_written_without_waiting() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let with = |key_log: &str, before: &str| {
        let program = Program::new("/bin/bash").file("script.js", GREET).env("SSLKEYLOGFILE", key_log);
        let command =
            format!("{before} exec {BINARY} run --iterations 3 --insecure-skip-tls-verify script.js");
        let outcome =
            program.target(&server).env("HOST", "localhost").within(BOUND).args(["-c", &command]).run();
        outcome.expect_code(0);
        assert_eq!(outcome.log_lines("echoed hello").len(), 3, "{key_log}: {}", outcome.stderr);
        outcome
    };
    let file = with("keys.txt", "").file("keys.txt");
    assert_eq!(file.matches("CLIENT_TRAFFIC_SECRET_0 ").count(), 3, "{file}");
    let is_hex = |text: &str| text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for line in file.lines() {
        let words: Vec<_> = line.split(' ').collect();
        assert!(words.len() == 3 && is_hex(words[1]) && is_hex(words[2]), "{line}");
    }
    // Nobody reads it.
    assert_eq!(with("fifo", "mkfifo fifo;").log_lines("SSLKEYLOGFILE"), [""; 0]);
    for (key_log, text) in [
        ("/nowhere/keys.txt", "which cannot be opened (no such file or directory)"),
        ("/dev/full", "which does not take all secrets (no space left on device)"),
    ] {
        let outcome = with(key_log, "");
        let lines = outcome.log_lines("SSLKEYLOGFILE");
        assert!(lines.len() == 1 && lines[0].contains(text), "{lines:?}");
    }
}
