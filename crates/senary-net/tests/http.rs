//! The HTTP client over HTTP/1.1, against servers that behave well and badly.
#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use self::support::http::{
    Act, Peer, answering, client, client_with, get, in_time, request, run, send, serve,
};
use senary_net::http::{HttpOptions, HttpRequest, Proto, Proxies, ResponseBody};

fn act(act: impl FnOnce(Peer) + Send + 'static) -> Act {
    Box::new(act)
}

#[test]
fn a_connection_is_kept_and_each_step_is_timed() {
    let (to, server) = serve(vec![act(|mut peer| {
        let first = peer.request();
        assert!(first.starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"), "{first}");
        std::thread::sleep(Duration::from_millis(50));
        peer.say("HTTP/1.1 200 Fine\r\nX-a: 1\r\nx-A: 2\r\nContent-Length: 6\r\n\r\nabc");
        std::thread::sleep(Duration::from_millis(30));
        peer.say("def");
        let second = peer.request();
        peer.ok("more");
        assert_eq!(first, second);
        assert_eq!(peer.request(), "", "the client closes at its end");
    })]);
    run(async {
        let client = client(HttpOptions::default());
        let first = client.send(&get(to)).await.unwrap();
        assert_eq!((first.head.status, &*first.head.reason, &first.body[..]), (200, "Fine", &b"abcdef"[..]));
        assert_eq!(first.head.headers.all("X-A").collect::<Vec<_>>(), ["1", "2"]);
        let of_first = first.exchange;
        assert_eq!((of_first.reused, of_first.proto), (false, Some(Proto::Http11)));
        assert_eq!(of_first.remote.unwrap().ip(), Some(to));
        let timings = of_first.timings;
        assert!(timings.connecting > Duration::ZERO && timings.blocked >= timings.connecting);
        // How the pauses of the server are seen depends on when this side runs; their sum does not.
        assert!(timings.waiting > Duration::ZERO && timings.receiving > Duration::ZERO);
        assert!(timings.duration() >= Duration::from_millis(80), "{timings:?}");
        assert_eq!(timings.duration(), timings.sending + timings.waiting + timings.receiving);
        let wire = client.wire().take();
        assert_eq!(wire, (of_first.sent, of_first.received));
        let second = client.send(&get(to)).await.unwrap();
        assert_eq!((&second.body[..], second.exchange.reused), (&b"more"[..], true));
        assert_eq!(second.exchange.connection, of_first.connection);
        assert_eq!(second.exchange.timings.connecting, Duration::ZERO);
        client.close_idle();
    });
    server.join().unwrap();
}

#[test]
fn a_connection_that_the_server_has_ended_is_not_used_again() {
    let one = |body: &'static str| {
        act(move |mut peer| {
            peer.request();
            peer.ok(body);
        })
    };
    let (to, server) = serve(vec![one("a"), one("b")]);
    run(async {
        let client = client(HttpOptions::default());
        assert_eq!(client.send(&get(to)).await.unwrap().body, "a");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = client.send(&request("POST", "http", "127.0.0.1", to.port().into())).await.unwrap();
        assert_eq!((&second.body[..], second.exchange.reused), (&b"b"[..], false));
    });
    server.join().unwrap();
}

/// What a server may have processed already is sent again only if that does no harm.
#[test]
fn a_kept_connection_that_ends_at_the_next_request_is_replaced() {
    let hangs_up = || {
        act(|mut peer| {
            peer.request();
            peer.ok("kept");
            peer.request();
        })
    };
    let (to, server) = serve(vec![
        hangs_up(),
        act(|mut peer| {
            assert!(peer.request().starts_with("GET "));
            peer.ok("again");
            assert!(peer.request().starts_with("POST "));
        }),
    ]);
    run(async {
        let client = client(HttpOptions::default());
        assert_eq!(client.send(&get(to)).await.unwrap().body, "kept");
        assert_eq!(client.send(&get(to)).await.unwrap().body, "again");
        let failure = client.send(&request("POST", "http", "127.0.0.1", to.port().into())).await.unwrap_err();
        assert_eq!((failure.error.code(), failure.error.text().as_str()), (1000, "EOF"));
    });
    server.join().unwrap();
    // A new connection is not tried twice.
    let (to, server) = serve(vec![act(|mut peer| drop(peer.request()))]);
    assert_eq!(send(&get(to)).unwrap_err().error.text(), "EOF");
    server.join().unwrap();
}

#[test]
fn a_connection_of_a_certain_request_can_be_asked_for() {
    let keeps = |name: &'static str| {
        act(move |mut peer| {
            std::thread::spawn(move || {
                while !peer.request().is_empty() {
                    peer.ok(name);
                }
            });
        })
    };
    let (to, _) = serve(vec![keeps("a"), keeps("b")]);
    run(async {
        let client = client(HttpOptions::default());
        let (a, b) = (get(to), get(to));
        let (a, b) = tokio::join!(client.send(&a), client.send(&b));
        for wanted in [a.unwrap(), b.unwrap()] {
            for _ in 0..2 {
                let again = HttpRequest { connection: wanted.exchange.connection, ..get(to) };
                assert_eq!(client.send(&again).await.unwrap().body, wanted.body);
            }
        }
    });
}

#[test]
fn connections_are_closed_when_they_are_not_to_be_kept() {
    let closing = || {
        act(|mut peer| {
            let head = peer.request();
            peer.ok(if head.contains("\r\nConnection: close\r\n") { "closes" } else { "keeps" });
            assert_eq!(peer.request(), "");
        })
    };
    let (to, server) = serve(vec![closing(), closing(), closing(), closing()]);
    run(async {
        let single = client(HttpOptions { no_connection_reuse: true, ..HttpOptions::default() });
        for _ in 0..2 {
            assert_eq!(single.send(&get(to)).await.unwrap().body, "closes");
        }
        let keeping = client(HttpOptions::default());
        for _ in 0..2 {
            assert_eq!(keeping.send(&get(to)).await.unwrap().body, "keeps");
            keeping.close_idle();
        }
    });
    server.join().unwrap();
}

#[test]
fn a_response_may_come_byte_by_byte() {
    let (to, server) = serve(vec![act(|mut peer| {
        peer.request();
        peer.0.set_nodelay(true).unwrap();
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" {
            peer.say([*byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!peer.request().is_empty(), "the connection is kept");
        peer.ok("");
    })]);
    run(async {
        let client = client(HttpOptions::default());
        assert_eq!(client.send(&get(to)).await.unwrap().body, "abc");
        client.send(&get(to)).await.unwrap();
    });
    server.join().unwrap();
}

#[test]
fn bad_responses_have_the_codes_and_texts_of_the_reference() {
    let broken = "net/http: HTTP/1.x transport connection broken: ";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (answer, text, status) in [
        (String::new(), "EOF".to_owned(), None),
        ("HTTP/1.1 200 OK\r\nContent".to_owned(), "unexpected EOF".to_owned(), None),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_owned(),
            "unexpected EOF".to_owned(),
            Some(200),
        ),
        ("SSH-2.0-x\r\n".to_owned(), format!("{broken}malformed HTTP response \"SSH-2.0-x\""), None),
        (format!("{chunked}zz\r\n"), "invalid byte in chunk length".to_owned(), Some(200)),
        (format!("{chunked}2\r\nabc\r\n"), "malformed chunked encoding".to_owned(), Some(200)),
        (format!("{chunked}5\r\nab"), "unexpected EOF".to_owned(), Some(200)),
        (
            "HTTP/1.1 200 OK\r\nbad\r\n\r\n".to_owned(),
            format!("{broken}malformed MIME header line: bad"),
            None,
        ),
    ] {
        let failure = send(&get(answering(answer.clone()))).unwrap_err();
        assert_eq!((failure.error.code(), failure.error.text()), (1000, text), "{answer:?}");
        assert_eq!(failure.head.map(|head| head.status), status, "{answer:?}");
        assert!(failure.exchange.remote.is_some());
    }
}

/// Without an end, but not without bounds.
#[test]
fn endless_heads_and_bodies_end_in_an_error() {
    let endless = |first: &'static str, more: &'static str| {
        serve(vec![act(move |mut peer| {
            peer.request();
            peer.say(first);
            let block = more.repeat(1000);
            while peer.say(&block) {}
        })])
    };
    let (to, server) = endless("HTTP/1.1 200 OK\r\n", "A: bbbbbbbbbbbbbbbb\r\n");
    let failure = send(&get(to)).unwrap_err();
    assert!(failure.error.text().contains("exceeded 10485760 bytes"), "{}", failure.error);
    server.join().unwrap();
    for first in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"]
    {
        let (to, server) = endless(first, "0123456789");
        let failure = send(&HttpRequest { max_body: 1 << 20, ..get(to) }).unwrap_err();
        assert!(failure.error.text().contains("longer than 1048576 bytes"), "{}", failure.error);
        server.join().unwrap();
        let (to, server) = endless(first, "0123456789");
        let discarded = HttpRequest { response_body: ResponseBody::Discard, max_body: 1 << 20, ..get(to) };
        let failure = send(&in_time(discarded, Duration::from_millis(200))).unwrap_err();
        assert_eq!(failure.error.code(), 1050);
        assert!(failure.exchange.received > 1 << 20);
        server.join().unwrap();
    }
}

#[test]
fn a_deadline_covers_every_step() {
    let limit = Duration::from_millis(100);
    let waits = |answer: &'static str| {
        serve(vec![act(move |mut peer| {
            peer.request();
            peer.say(answer);
            peer.request();
        })])
    };
    for answer in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"] {
        let (to, server) = waits(answer);
        let began = Instant::now();
        let failure = send(&in_time(get(to), limit)).unwrap_err();
        assert!(began.elapsed() >= limit);
        assert_eq!((failure.error.code(), failure.error.text().as_str()), (1050, "request timeout"));
        let timings = failure.exchange.timings;
        let step = if answer.is_empty() { timings.waiting } else { timings.receiving };
        assert!(step > limit / 2, "{timings:?}");
        server.join().unwrap();
    }
    // The handshake of TLS is never answered.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().into();
    let failure = send(&in_time(request("GET", "https", "127.0.0.1", port), limit)).unwrap_err();
    assert_eq!(failure.error.code(), 1050);
    assert!(failure.exchange.timings.tls_handshaking > limit / 2, "{:?}", failure.exchange.timings);
    assert_eq!(failure.exchange.timings.duration(), Duration::ZERO);
}

#[test]
fn connects_that_fail_have_codes() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let code = |request: HttpRequest| {
        let failure = send(&request).unwrap_err();
        assert_eq!(failure.exchange.timings.duration(), Duration::ZERO);
        (failure.error.code(), failure.error.text())
    };
    assert_eq!(code(get(free)), (1212, "dial: connection refused".to_owned()));
    assert_eq!(code(request("GET", "http", "127.0.0.1", 99_999)).0, 1210);
    assert_eq!(code(request("GET", "http", "a.blocked.test", 80)), (1111, "hostname is blocked".to_owned()));
    assert_eq!(code(request("GET", "http", "not..a.name", 80)), (1101, "lookup: no such host".to_owned()));
    let (to, _) = serve(vec![act(|mut peer| {
        peer.request();
        peer.reset();
    })]);
    let failure = send(&get(to)).unwrap_err();
    assert_eq!(
        (failure.error.code(), failure.error.text().as_str()),
        (1220, "read: connection reset by peer")
    );
    assert!(failure.error.to_string().contains("read: connection reset by peer"), "{}", failure.error);
}

#[test]
fn a_server_may_answer_before_it_has_the_request() {
    let size = 20 << 20;
    let mut early = get(answering("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"));
    early.method = "POST".into();
    early.body = Some(vec![b'x'; size].into());
    let response = send(&early).unwrap();
    assert_eq!((response.head.status, &response.body[..]), (413, &b"no"[..]));
    let (to, server) = serve(vec![act(move |mut peer| {
        assert!(peer.request().contains(&format!("Content-Length: {size}\r\n")));
        peer.0.read_exact(&mut vec![0; size]).unwrap();
        peer.ok("all of it");
    })]);
    let whole = HttpRequest { method: "PUT".into(), body: early.body, ..get(to) };
    let response = send(&whole).unwrap();
    assert_eq!(response.body, "all of it");
    assert!(response.exchange.sent > size as u64 && response.exchange.timings.sending > Duration::ZERO);
    server.join().unwrap();
}

#[test]
fn a_given_up_request_closes_its_connection() {
    let (to, server) = serve(vec![
        act(|mut peer| {
            peer.request();
            assert_eq!(peer.request(), "", "nothing more comes");
        }),
        act(|mut peer| {
            peer.request();
            peer.ok("new");
        }),
    ]);
    run(async {
        let client = client(HttpOptions::default());
        let given_up = get(to);
        assert!(tokio::time::timeout(Duration::from_millis(50), client.send(&given_up)).await.is_err());
        assert_eq!(client.send(&get(to)).await.unwrap().body, "new");
    });
    server.join().unwrap();
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let (proxy, server) = serve(vec![
        act(|mut peer| {
            let head = peer.request();
            assert!(head.starts_with("GET http://one.test:80/ HTTP/1.1\r\nHost: one.test:80\r\n"), "{head}");
            assert!(head.contains("Proxy-Authorization: Basic dTpw\r\n"), "{head}");
            peer.ok("forwarded");
            assert!(peer.request().starts_with("GET http://two.test:80/ "));
            peer.ok("over the same connection");
            peer.0.flush().unwrap();
        }),
        act(|mut peer| {
            assert!(peer.request().starts_with("CONNECT one.test:443 HTTP/1.1\r\nHost: one.test:443\r\n"));
            peer.say("HTTP/1.1 403 Not you\r\n\r\n");
        }),
    ]);
    let url = format!("http://u:p@{proxy}");
    let proxies = Proxies::new(|name| matches!(name, "HTTP_PROXY" | "HTTPS_PROXY").then_some(url.as_str()));
    run(async {
        let client = client_with(HttpOptions { proxies, ..HttpOptions::default() }, &[]);
        assert_eq!(client.send(&request("GET", "http", "one.test", 80)).await.unwrap().body, "forwarded");
        let second = client.send(&request("GET", "http", "two.test", 80)).await.unwrap();
        assert_eq!(second.body, "over the same connection");
        let failure = client.send(&request("GET", "https", "one.test", 443)).await.unwrap_err();
        assert_eq!((failure.error.code(), failure.error.text().as_str()), (1000, "Not you"));
    });
    server.join().unwrap();
}
