//! What a server staples to its handshake (OCSP), against `openssl s_server`, if openssl is installed: scripts see it, and the tag
//! `ocsp_status` has it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use senary_testkit::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn openssl(folder: &Path, arguments: &str) -> bool {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An authority, a certificate of it with the serial number 7, and what the authority says of that; `None` without openssl. `key` is
/// what the authority signs with, `answer` how it answers.
fn authority(status: &str, key: &str, answer: &str) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    if !openssl(place, "version") {
        eprintln!("skipped: openssl is not installed");
        return None;
    }
    std::fs::write(place.join("names"), "subjectAltName=IP:127.0.0.1").expect("a file");
    std::fs::write(place.join("index"), format!("{status}\t07\tunknown\t/CN=server\n")).expect("a file");
    for step in [
        &*format!("req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 7 -extfile names -out server.pem -days 2",
        &format!(
            "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert server.pem -ndays 1 {answer} -respout answer"
        ),
    ] {
        assert!(openssl(place, step), "openssl {step}");
    }
    Some(folder)
}

/// A server that ends with the test.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(folder: &Path, arguments: &str) -> Self {
        let mut command = Command::new("openssl");
        let always = "s_server -accept 127.0.0.1:0 -cert server.pem -key server.key -www";
        command.current_dir(folder).args(always.split(' ')).args(arguments.split_whitespace());
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("ACCEPT ")?.rsplit(':').next()?.to_owned()));
        Self { process, port: port.expect("a server that listens") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const GOOD: &str = "V\t400101000000Z\t";
const SAID_GOOD: &str = r#"0 {"revocation_reason":"","status":"good"} 0 true true true"#;
const SAID_NOTHING: &str = r#"0 {"revocation_reason":"","status":"unknown"} 0 false false false"#;

/// Serves what is in the folder, and expects a script to see `said` of it, and metrics the tag.
fn expect(folder: &Path, arguments: &str, said: &str, tag: &str) {
    const SCRIPT: &str = "import http from 'k6/http'
export const options = { systemTags: ['ocsp_status', 'tls_version'] }
export default function () {
  const r = http.get(`https://127.0.0.1:${__ENV.PORT}/`)
  const { produced_at, this_update, next_update, revoked_at, ...rest } = r.ocsp
  const now = Date.now(), near = (time) => Math.abs(now - time) < 3600e3
  console.log('>', r.error_code, JSON.stringify(rest), revoked_at, near(produced_at), near(this_update), near(next_update - 86400e3))
}";
    let server = Server::start(folder, arguments);
    let authority = std::fs::read(folder.join("ca.pem")).expect("a certificate");
    let program = Program::script(BINARY, SCRIPT).file("ca.pem", authority).env("SSL_CERT_FILE", "ca.pem");
    let outcome = program.env("PORT", &server.port).args(["--out", "json=out.json"]).run();
    outcome.expect_code(0).expect_text(&format!("> {said}"));
    let tagged = format!(r#""ocsp_status":"{tag}""#);
    let json = outcome.file("out.json");
    assert!(json.lines().any(|line| line.contains("http_reqs") && line.contains(&tagged)), "{json}");
}

#[test]
fn scripts_see_what_a_server_staples() {
    let revoked = "R\t400101000000Z\t200101000000Z,keyCompromise";
    let said_revoked =
        r#"0 {"revocation_reason":"key_compromise","status":"revoked"} 1577836800000 true true true"#;
    for (status, arguments, said, tag) in [
        (GOOD, "-status_file answer", SAID_GOOD, "good"),
        (GOOD, "-status_file answer -tls1_2", SAID_GOOD, "good"),
        (revoked, "-status_file answer", said_revoked, "revoked"),
        (GOOD, "", SAID_NOTHING, "unknown"),
    ] {
        let Some(folder) = authority(status, EC, "-no_nonce") else { return };
        expect(folder.path(), arguments, said, tag);
    }
}

#[test]
fn signatures_of_stapled_answers_are_checked_as_far_as_certificates_come_with_them() {
    for (key, answer) in [("rsa:2048", "-rmd sha256"), ("rsa:2048", "-rmd sha1"), (EC, "-resp_no_certs")] {
        let Some(folder) = authority(GOOD, key, answer) else { return };
        expect(folder.path(), "-status_file answer", SAID_GOOD, "good");
    }
    let Some(folder) = authority(GOOD, EC, "-no_nonce") else { return };
    let place = folder.path().join("answer");
    let mut answer = std::fs::read(&place).expect("an answer");
    // Another second.
    let time = answer.windows(3).position(|part| part == [0x18, 15, b'2']).expect("a time");
    let digit = &mut answer[time + 15];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    std::fs::write(place, answer).expect("a file");
    expect(folder.path(), "-status_file answer", SAID_NOTHING, "unknown");
}
