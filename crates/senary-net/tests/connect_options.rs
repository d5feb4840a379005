//! What a connect can be told besides its target.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use senary_net::proxy_protocol::Version;
use senary_net::{
    DialOptions, DialProgress, DnsConfig, Family, ProxyProtocol, Resolver, Security, Target, WireBytes,
};
use socket2::{Domain, Socket, Type};
use support::{BOUND, dial, dial_with, dialer, exactly, peer, read_to_end, run};

#[test]
fn the_source_address_can_be_chosen() {
    let (address, server) = peer(|stream| stream.peer_addr().unwrap().ip());
    let options =
        DialOptions { local_ip: Some(Ipv4Addr::new(127, 0, 0, 7).into()), ..DialOptions::default() };
    let stream = run(dial(address, &options)).unwrap();
    assert_eq!(server.join().unwrap(), Ipv4Addr::new(127, 0, 0, 7));
    assert_eq!(stream.ends().network.to_string(), "tcp");
}

#[test]
fn a_family_is_insisted_on() {
    let hosts = [("six.test".to_owned(), "::1".to_owned()), ("four.test".to_owned(), "127.0.0.1".to_owned())];
    let resolver = Resolver::new(&hosts, &[], &[], DnsConfig::default()).unwrap();
    run(async {
        for (host, family, expected) in [
            ("four.test", Some(Family::Ipv4), Ok("127.0.0.1:7")),
            ("six.test", Some(Family::Ipv6), Ok("[::1]:7")),
            ("six.test", None, Ok("[::1]:7")),
            ("127.0.0.1", Some(Family::Ipv6), Err("EAFNOSUPPORT")),
            ("::1", Some(Family::Ipv4), Err("EAFNOSUPPORT")),
            ("six.test", Some(Family::Ipv4), Err("EAFNOSUPPORT")),
        ] {
            let resolved = resolver.resolve(host, 7, family).await;
            let resolved = resolved.map(|to| to.to_string()).map_err(|error| error.code());
            assert_eq!(resolved, expected.map(str::to_owned), "{host}");
        }
    });
}

#[test]
fn a_proxy_header_comes_first() {
    for version in [Version::V1, Version::V2] {
        for tls in [false, true] {
            let (address, server) = peer(move |mut stream| {
                let header = match version {
                    Version::V1 => {
                        let mut line = Vec::new();
                        while !line.ends_with(b"\r\n") {
                            line.extend(exactly(&mut stream, 1));
                        }
                        line
                    }
                    Version::V2 => exactly(&mut stream, 28),
                };
                let next = if tls { exactly(&mut stream, 1) } else { Vec::new() };
                (header, next, stream.peer_addr().unwrap())
            });
            let proxy_protocol = ProxyProtocol { version, source: None, destination: None };
            let options = DialOptions {
                tls: tls.then(Security::default),
                proxy_protocol: Some(proxy_protocol),
                ..DialOptions::default()
            };
            let wire = Rc::new(WireBytes::default());
            let host = address.ip().to_string();
            let target = Target::Host { host: &host, port: address.port().into() };
            let dialed = run(async {
                let dialed = dialer().dial(target, &options, &wire, &DialProgress::default()).await;
                // The server has closed it.
                dialed.map(drop).is_ok()
            });
            assert_eq!(dialed, !tls);
            let (header, next, from) = server.join().unwrap();
            assert_eq!(next, if tls { vec![22] } else { vec![] }, "a record of a TLS handshake");
            let expected = match version {
                Version::V1 => {
                    format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), address.port())
                        .into_bytes()
                }
                Version::V2 => {
                    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01".to_vec();
                    expected.extend(from.port().to_be_bytes());
                    expected.extend(address.port().to_be_bytes());
                    expected
                }
            };
            assert_eq!(header, expected);
            assert!(tls || wire.take() == (header.len() as u64, 0), "the header counts");
        }
    }
}

#[test]
fn a_proxy_header_speaks_for_somebody_else() {
    let (address, server) = peer(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let proxy_protocol = ProxyProtocol {
        version: Version::V1,
        source: Some("192.0.2.1:4000".parse().unwrap()),
        destination: Some("192.0.2.2".parse().unwrap()),
    };
    let options = DialOptions { proxy_protocol: Some(proxy_protocol), ..DialOptions::default() };
    drop(run(dial(address, &options)).unwrap());
    let expected = format!("PROXY TCP4 192.0.2.1 192.0.2.2 4000 {}\r\n", address.port());
    assert_eq!(server.join().unwrap(), expected.as_bytes());
}

/// A listener that answers nobody any more: its queue is full.
fn deaf() -> (Socket, SocketAddr, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 10, "a queue without room for one");
    }
    (listener, address, held)
}

#[test]
fn a_time_limit_holds_for_all_steps_together() {
    let limit = Duration::from_millis(200);
    let (_listener, address, _held) = deaf();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap();
    run(async {
        let dialer = dialer();
        for (to, tls) in [(address, false), (silent_address, true)] {
            let attempt = DialProgress::default();
            let options = DialOptions {
                timeout: Some(limit),
                tls: tls.then(Security::default),
                ..DialOptions::default()
            };
            let host = to.ip().to_string();
            let target = Target::Host { host: &host, port: to.port().into() };
            let wire = Rc::new(WireBytes::default());
            let dialed = dialer.dial(target, &options, &wire, &attempt).await;
            let error = dialed.err().unwrap();
            let text = match tls {
                false => format!("dial tcp {to}: i/o timeout"),
                true => "TLS handshake failed: i/o timeout".to_owned(),
            };
            assert_eq!((error.code(), error.to_string()), ("ETIMEDOUT", text));
            let timings = attempt.timings();
            let total = timings.connecting.unwrap() + timings.tls_handshaking.unwrap_or_default();
            assert_eq!(timings.tls_handshaking.is_some(), tls);
            assert!(total >= limit / 2 && total < BOUND, "{timings:?}");
        }
    });
}

#[test]
fn what_is_in_time_is_not_cut_off_later() {
    let (address, server) = peer(|stream| {
        std::thread::sleep(Duration::from_millis(300));
        std::io::Write::write_all(&mut &stream, b"late").unwrap();
    });
    let options = DialOptions {
        timeout: Some(Duration::from_millis(250)),
        no_delay: false,
        receive_buffer: Some(8 * 1024),
        send_buffer: Some(8 * 1024),
        ..DialOptions::default()
    };
    run(async {
        let dialer = Arc::new(dialer());
        let mut stream = dial_with(&dialer, address, &options).await.unwrap();
        assert_eq!(read_to_end(&mut stream).await.unwrap(), b"late");
    });
    server.join().unwrap();
}
