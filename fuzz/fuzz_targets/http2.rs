//! What a server of HTTP/2 may send: every request has an outcome when the server has ended, nothing is held that is not allowed, and what
//! may be sent again has no response. The first byte says what is asked for, the second is the size of the pieces, the third the limit of
//! the body. The rest is what the server sends, as it is or, if the first byte says so, as short frames: type, flags, stream, size of the
//! content, content.
#![no_main]

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use senary_net::http::{Answered, Headers, HttpRequest, HttpTarget, ResponseBody, Spoken, ask};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().build().expect("a runtime without sockets and timers"));
}

/// The frames of a server, the first of them its settings: without those nothing else is read.
fn frames(mut written: &[u8]) -> Vec<u8> {
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    while let [kind, flags, stream, size, rest @ ..] = written {
        let (content, rest) = rest.split_at(usize::from(*size).min(rest.len()));
        frames.extend([0, 0, content.len() as u8, kind % 12, *flags, 0, 0, 0, *stream]);
        frames.extend(content);
        written = rest;
    }
    frames
}

fn request(asked: u8, max_body: usize) -> HttpRequest {
    let (method, body) = match asked & 3 {
        0 => ("GET", None),
        1 => ("HEAD", None),
        2 => ("POST", Some(Bytes::from_static(b"a short body"))),
        // It does not fit into the window that a stream begins with.
        _ => ("PUT", Some(Bytes::from(vec![7; 100_000]))),
    };
    HttpRequest {
        method: method.into(),
        target: Rc::new(HttpTarget {
            secure: true,
            host: "server.test".to_owned(),
            port: 443,
            path: "/".to_owned(),
            authority: "server.test".to_owned(),
        }),
        headers: Rc::new([("User-Agent", "fuzzed/1")].into_iter().collect::<Headers>()),
        body,
        deadline: None,
        response_body: if asked & 4 == 0 { ResponseBody::Keep } else { ResponseBody::Discard },
        max_body,
        connection: None,
    }
}

/// What holds for every outcome.
fn check(answered: &Answered, request: &HttpRequest, sent: usize) {
    match &answered.outcome {
        Ok((head, body)) => {
            assert!((200..1000).contains(&head.status), "{}", head.status);
            let kept = if request.response_body == ResponseBody::Keep { request.max_body } else { 0 };
            assert!(body.len() <= kept.min(sent));
            let announced = head.headers.get("Content-Length").and_then(|length| length.parse().ok());
            if let (Some(length), ResponseBody::Keep, true) = (
                announced,
                request.response_body,
                request.method != "HEAD" && !matches!(head.status, 204 | 304),
            ) {
                assert_eq!(body.len(), length, "a body is as long as its head says");
            }
            assert!(answered.exchange.response_head.is_some());
        }
        Err(error) => {
            assert!((1000..1700).contains(&error.code()), "{}", error.code());
            assert!(!error.text().is_empty() && !error.to_string().is_empty());
            assert!(
                !(answered.unprocessed && answered.head.is_some()),
                "a response to what was not processed"
            );
        }
    }
}

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let ([asked, size, max], stream) = input;
    let framed;
    let stream = if asked & 8 == 0 {
        stream
    } else {
        framed = frames(stream);
        &framed
    };
    let count = usize::from(asked >> 4 & 3) + 1;
    let given_up = (asked & 64 != 0).then_some(0);
    let requests: Vec<_> =
        (0..count).map(|at| request(asked.wrapping_add(at as u8), usize::from(max) * 16)).collect();
    for size in [usize::MAX, usize::from(size).max(1)] {
        let server = Spoken::new(stream, size);
        let answered = RUNTIME.with_borrow(|runtime| {
            LocalSet::new().block_on(runtime, ask(server, requests.clone(), given_up))
        });
        let Ok(answered) = answered else { continue };
        let first = count - answered.len();
        assert!(first <= usize::from(given_up.is_some()), "every request has an outcome");
        for (answered, request) in answered.iter().zip(&requests[first..]) {
            check(answered, request, stream.len());
        }
    }
});
