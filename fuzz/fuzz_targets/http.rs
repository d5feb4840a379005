//! Responses of HTTP/1.1: however they are cut, the head, the body and the end are the same, and no more is held than
//! allowed. The fields of a response, read as what a server wants to be told of who asks. The same bytes as what a SOCKS proxy answers, and as what
//! a server staples to its certificate. The first byte says what was asked for, the second is the size of the pieces, the third the limit of
//! the body.
#![no_main]

use std::ops::ControlFlow;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use senary_net::http::auth::{Credentials, digest, ntlm};
use senary_net::Ocsp;
use senary_net::http::{Expected, Head, Proxies, ResponseReader, Socks, Step};

#[derive(Debug, PartialEq)]
struct Read {
    head: Option<Head>,
    body: Vec<u8>,
    received: u64,
    keeps: bool,
    error: Option<String>,
}

fn read(stream: &[u8], size: usize, expected: Expected) -> Read {
    let mut reader = ResponseReader::new(expected);
    let (mut error, mut done) = (None, false);
    for piece in stream.chunks(size) {
        match reader.read(piece) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(unread)) => {
                assert!(unread <= piece.len());
                done = true;
                break;
            }
            Err(failed) => {
                error = Some(failed.to_string());
                break;
            }
        }
        assert!(reader.body.len() <= expected.max_body);
    }
    if error.is_none() && !done {
        error = reader.end().err().map(|failed| failed.to_string());
    }
    assert!(reader.received <= stream.len() as u64);
    Read { head: reader.head, body: reader.body, received: reader.received, keeps: reader.keeps, error }
}

/// No proxy makes a client wait for ever, or do anything after it is done.
fn ask_proxy(mut answers: &[u8]) {
    let proxies = Proxies::only(Some("socks5://u:p@proxy.test"));
    let proxy = proxies.to(false, "server.test", 80).expect("a proxy").expect("a proxy");
    let mut socks = Socks::new(&proxy, "server.test", 80).expect("a short name");
    let mut step = socks.begin();
    for _ in 0..6 {
        let (Step::Ask(_, count) | Step::Read(count)) = step else { return };
        let Some((read, rest)) = answers.split_at_checked(count) else { return };
        answers = rest;
        match socks.next(read) {
            Ok(next) => step = next,
            Err(_) => return,
        }
    }
    assert_eq!(step, Step::Done);
}

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let ([asked, size, max], stream) = input;
    ask_proxy(stream);
    let _ = Ocsp::parse(stream);
    let expected = Expected {
        is_head: asked & 1 != 0,
        discard: asked & 2 != 0,
        max_body: usize::from(max) * 16,
        keep_text: asked & 4 != 0,
    };
    let (whole, pieces) = (read(stream, usize::MAX, expected), read(stream, usize::from(size).max(1), expected));
    // How much of a broken response was read depends on where it was cut.
    assert_eq!(whole.error, pieces.error);
    if whole.error.is_none() {
        assert_eq!(whole, pieces);
    }
    if let Some(head) = whole.head {
        let credentials = Credentials { user: "d\\u", password: "p" };
        let request = digest::Request { method: "GET", path: "/", body: b"" };
        let _ = digest::answer(head.headers.all("WWW-Authenticate"), credentials, request, "c", 1);
        let _ = ntlm::negotiate(head.headers.all("WWW-Authenticate"));
        let moment = ntlm::Moment { client_challenge: [1; 8], now: SystemTime::UNIX_EPOCH };
        let _ = ntlm::authenticate(head.headers.all("WWW-Authenticate"), credentials, moment);
    }
});
