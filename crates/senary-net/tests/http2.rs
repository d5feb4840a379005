//! The HTTP client over HTTP/2, against servers that behave well and badly.
#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod support;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::support::http::{client, in_time, request, run};
use senary_net::http::{
    HttpClient, HttpFailure, HttpOptions, HttpRequest, HttpResponse, Proto, ResponseBody,
};

type Server = Connection<TlsStream<TcpStream>, Bytes>;
type Stream = (Request<RecvStream>, SendResponse<Bytes>);

fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let mut config = config.unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves all connections on tasks of the test's own runtime, and counts them; `act` is told how many came before.
async fn serve<F: Future<Output = ()> + 'static>(
    act: impl Fn(Server, usize) -> F + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counted = Arc::new(AtomicUsize::new(0));
    let (acceptor, of_server) = (acceptor(&["h2"]), counted.clone());
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = of_server.fetch_add(1, Ordering::Relaxed);
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let connection = h2::server::Builder::new().max_concurrent_streams(100).handshake(stream).await;
            let Ok(connection) = connection else { continue };
            tokio::task::spawn_local(act(connection, number));
        }
    });
    (address, counted)
}

/// Serves the streams of a connection until it ends.
async fn streams(mut connection: Server, mut act: impl FnMut(Stream)) {
    while let Some(Ok(stream)) = connection.accept().await {
        act(stream);
    }
}

fn answer((request, mut response): Stream, body: impl Into<Bytes>) {
    let head = Response::builder().header("x-method", request.method().as_str()).body(()).unwrap();
    // The client may have gone, on purpose.
    if let Ok(mut stream) = response.send_response(head, false) {
        let _ = stream.send_data(body.into(), true);
    }
}

fn get(to: SocketAddr) -> HttpRequest {
    request("GET", "https", "127.0.0.1", to.port().into())
}

/// Sends so many requests at the same time.
async fn send_all(
    client: Rc<HttpClient>,
    request: &HttpRequest,
    count: usize,
) -> Vec<Result<HttpResponse, HttpFailure>> {
    let sent = (0..count).map(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::task::spawn_local(async move { client.send(&request).await })
    });
    let sent: Vec<_> = sent.collect();
    let mut outcomes = Vec::new();
    for outcome in sent {
        outcomes.push(outcome.await.unwrap());
    }
    outcomes
}

fn usual() -> Rc<HttpClient> {
    Rc::new(client(HttpOptions::default()))
}

#[test]
fn many_requests_share_a_connection() {
    run(async {
        let (to, counted) = serve(|connection, _| async move {
            streams(connection, |stream| answer(stream, "hello")).await;
        })
        .await;
        let client = Rc::new(client(HttpOptions { keep_heads: true, ..HttpOptions::default() }));
        // Those that come together wait for the first connect.
        for (response, reused) in send_all(client.clone(), &get(to), 100)
            .await
            .into_iter()
            .zip([false].into_iter().chain([true].repeat(99)))
        {
            let response = response.unwrap();
            assert_eq!(
                (response.head.status, &*response.head.reason, &response.body[..]),
                (200, "OK", &b"hello"[..])
            );
            assert_eq!(response.head.headers.get("X-Method"), Some("GET"));
            let exchange = response.exchange;
            assert_eq!((exchange.proto, exchange.reused), (Some(Proto::Http2), reused));
            assert_eq!(exchange.tls.unwrap().alpn.as_deref(), Some("h2"));
            assert_eq!(exchange.timings.tls_handshaking > Duration::ZERO, !reused);
            assert!(exchange.request_head.unwrap().starts_with("GET / HTTP/2.0\r\nHost: 127.0.0.1:"));
        }
        for _ in 0..30 {
            for response in send_all(client.clone(), &get(to), 100).await {
                assert_eq!(response.unwrap().body, "hello");
            }
        }
        assert_eq!(counted.load(Ordering::Relaxed), 1);
    });
}

/// The server takes 100 at a time; as in Go, more of them need more connections.
#[test]
fn more_requests_than_a_connection_takes_have_more_connections() {
    run(async {
        let held = Rc::new(RefCell::new(Vec::new()));
        let (to, counted) = serve(move |connection, _| {
            let held = held.clone();
            streams(connection, move |stream| {
                // Nothing is answered until everything was asked.
                held.borrow_mut().push(stream);
                if held.borrow().len() == 1000 {
                    held.borrow_mut().drain(..).for_each(|stream| answer(stream, "x"));
                }
            })
        })
        .await;
        for response in send_all(usual(), &get(to), 1000).await {
            response.unwrap();
        }
        assert_eq!(counted.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn bodies_go_both_ways() {
    run(async {
        let (to, _) = serve(|connection, _| async move {
            streams(connection, |(request, response)| {
                tokio::task::spawn_local(async move {
                    let (parts, mut body) = request.into_parts();
                    let mut all = Vec::new();
                    while let Some(part) = body.data().await {
                        let part = part.unwrap();
                        all.extend_from_slice(&part);
                        body.flow_control().release_capacity(part.len()).unwrap();
                    }
                    assert_eq!(parts.headers["content-length"], all.len().to_string());
                    assert!(!parts.headers.contains_key("connection") && parts.headers["x-own"] == "v");
                    answer((Request::from_parts(parts, body), response), all);
                });
            })
            .await;
        })
        .await;
        let client = usual();
        let body: Bytes = (0..600_000u32).map(|i| i as u8).collect::<Vec<u8>>().into();
        let headers = [("Connection", "close"), ("X-Own", "v"), ("Host", "other.test")].into_iter();
        let headers = Rc::new(headers.collect());
        let post = HttpRequest { method: "POST".into(), body: Some(body.clone()), headers, ..get(to) };
        let response = client.send(&post).await.unwrap();
        assert!(response.body == body, "the body comes back");
        assert!(response.exchange.sent > 600_000 && response.exchange.received > 600_000);
        let discarded = HttpRequest { response_body: ResponseBody::Discard, max_body: 10, ..post.clone() };
        assert!(client.send(&discarded).await.unwrap().body.is_empty());
        let failure = client.send(&HttpRequest { max_body: 400_000, ..post }).await.unwrap_err();
        assert!(failure.error.text().contains("longer than 400000 bytes"), "{}", failure.error);
    });
}

/// The code and the short text of what comes of a request, and how many connections it took.
fn outcome(act: impl Fn(Stream, usize) + Copy + 'static) -> (u16, String, usize) {
    run(async move {
        let (to, counted) = serve(move |connection, number| async move {
            streams(connection, |stream| act(stream, number)).await;
        })
        .await;
        let outcome = usual().send(&in_time(get(to), Duration::from_secs(2))).await;
        let connections = counted.load(Ordering::Relaxed);
        match outcome {
            Ok(response) => (response.head.status, String::new(), connections),
            Err(failure) => (failure.error.code(), failure.error.text(), connections),
        }
    })
}

#[test]
fn streams_that_the_server_resets_have_codes() {
    let text = |name: &str| format!("http2: stream error with http2 ErrCode {name}");
    let of = outcome(|(_, mut response), _| response.send_reset(Reason::INTERNAL_ERROR));
    assert_eq!(of, (1633, text("INTERNAL_ERROR"), 1));
    let of = outcome(|(_, mut response), _| response.send_reset(Reason::from(99)));
    assert_eq!(of, (1630, text("unknown error code 0x63"), 1));
    // In the middle of the body.
    let of = outcome(|(_, mut response), _| {
        let mut stream = response.send_response(Response::new(()), false).unwrap();
        stream.send_data("some".into(), false).unwrap();
        stream.send_reset(Reason::CANCEL);
    });
    assert_eq!(of, (1639, text("CANCEL"), 1));
    // A refused stream was not looked at: it is sent again, at once and then after a second.
    let refused = std::cell::Cell::new(0);
    let refused: &'static std::cell::Cell<i32> = Box::leak(Box::new(refused));
    let of = outcome(move |(request, mut response), _| {
        refused.set(refused.get() + 1);
        match refused.get() {
            1 | 2 => response.send_reset(Reason::REFUSED_STREAM),
            _ => answer((request, response), ""),
        }
    });
    assert_eq!((of, refused.get()), ((200, String::new(), 1), 3));
}

#[test]
fn requests_that_a_server_did_not_process_before_it_went_are_sent_again() {
    run(async {
        // Each connection answers ten requests and announces its end meanwhile.
        let (to, counted) = serve(|mut connection, _| async move {
            let mut served = 0;
            while let Some(Ok(stream)) = connection.accept().await {
                answer(stream, "x");
                served += 1;
                if served == 10 {
                    connection.graceful_shutdown();
                }
            }
        })
        .await;
        let client = usual();
        for _ in 0..20 {
            for response in send_all(client.clone(), &get(to), 7).await {
                response.unwrap();
            }
        }
        assert!(counted.load(Ordering::Relaxed) > 5);
    });
}

#[test]
fn a_connection_that_ends_with_goaway_has_its_code() {
    run(async {
        let (to, _) = serve(|mut connection, _| async move {
            let stream = connection.accept().await;
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
            drop(stream);
        })
        .await;
        let failure = usual().send(&get(to)).await.unwrap_err();
        assert_eq!(
            (failure.error.code(), failure.error.text().as_str()),
            (1622, "http2: received GoAway with http2 ErrCode ENHANCE_YOUR_CALM")
        );
        // One that is only closed has no code of HTTP/2.
        let (to, _) = serve(|mut connection, _| async move { drop(connection.accept().await) }).await;
        let failure = usual().send(&get(to)).await.unwrap_err();
        assert!(matches!(failure.error.code(), 1000 | 1201 | 1220), "{}", failure.error);
    });
}

#[test]
fn a_server_without_http2_is_spoken_to_in_http1() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let acceptor = acceptor(&["http/1.1"]);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    let mut scrap = [0; 4096];
                    while stream.read(&mut scrap).await.is_ok_and(|read| read > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await.unwrap();
                    }
                });
            }
        });
        let client = usual();
        for round in 0..3 {
            for response in send_all(client.clone(), &get(to), 5).await {
                let exchange = response.unwrap().exchange;
                assert_eq!((exchange.proto, exchange.reused), (Some(Proto::Http11), round > 0));
                assert_eq!(exchange.tls.unwrap().alpn.as_deref(), Some("http/1.1"));
            }
        }
        let without = self::client(HttpOptions { http2: false, ..HttpOptions::default() });
        let exchange = without.send(&get(to)).await.unwrap().exchange;
        assert_eq!((exchange.proto, exchange.tls.unwrap().alpn.clone()), (Some(Proto::Http11), None));
    });
}
