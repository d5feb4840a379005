//! The parts of responses that are read as texts, each on its own: cookies, redirects, challenges, encodings of bodies, and JSON under a
//! selector. The first byte says which part it is, the second is a limit or a status. What follows has two parts, of which the first is a
//! line: the URL, the encoding or the selector.
#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use senary_modules::fuzzing::{base64, http};
use senary_net::http::auth::{Credentials, digest, ntlm};

const CREDENTIALS: Credentials<'_> = Credentials { user: "domain\\user", password: "password" };

/// An answer does not break the head of the request that it goes into.
fn check(answer: Option<String>) {
    if let Some(answer) = answer {
        assert!(!answer.contains(['\r', '\n', '\0']), "{answer:?}");
    }
}

fn challenges(first: &str, second: &[u8]) {
    let text = String::from_utf8_lossy(second);
    // A field has no line breaks.
    let text = text.replace(['\r', '\n', '\0'], " ");
    let request = digest::Request { method: "GET", path: "/a?b", body: b"body" };
    check(digest::answer([first, &*text], CREDENTIALS, request, "nonce", 1));
    let moment = ntlm::Moment { client_challenge: [1; 8], now: SystemTime::UNIX_EPOCH };
    for token in [first.to_owned(), format!("NTLM {}", base64(second))] {
        let _ = ntlm::negotiate([&*token]);
        let _ = ntlm::authenticate([&*token], CREDENTIALS, moment);
    }
}

fuzz_target!(|input: ([u8; 2], &[u8])| {
    let ([part, number], rest) = input;
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (first, second) = (&rest[..at], rest.get(at + 1..).unwrap_or_default());
    let first = String::from_utf8_lossy(first).replace(['\r', '\0'], " ");
    let text = String::from_utf8_lossy(second);
    match part % 5 {
        0 => http::cookie(&first, &text),
        1 => http::redirect(&first, &text, 300 + u16::from(number % 10)),
        2 => http::body(&first, second, usize::from(number) << 8),
        3 => http::selector(&first, second),
        _ => challenges(&first, second),
    }
});
