//! TLS of one connection that is not as the options of the test have it, what is known of it afterwards, and TLS that begins
//! in the middle of a connection.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use senary_net::{
    DialOptions, DialProgress, Dialer, NetError, Security, Sessions, Stream, Tls, TlsInfo, TlsOptions,
    TlsOverrides,
};
use support::{
    Authority, Server, accept, dial, dial_with, dialer, exactly, peer, read, run, secured, write_all,
};

/// What a server has seen of a client.
#[derive(Debug)]
struct Seen {
    sni: Option<String>,
    certificates: usize,
}

/// Greets each client that makes it through the handshake.
fn greet(config: rustls::ServerConfig, clients: usize) -> (SocketAddr, JoinHandle<Vec<Option<Seen>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    let thread = std::thread::spawn(move || {
        let serve = |_| {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_read_timeout(Some(support::BOUND)).unwrap();
            let mut peer = accept(&config, tcp).ok()?;
            peer.write_all(b"hi").ok()?;
            // Until the client has gone; how it does is not the point.
            let _ = peer.read(&mut [0]);
            let certificates = peer.conn.peer_certificates().map_or(0, <[_]>::len);
            Some(Seen { sni: peer.conn.server_name().map(str::to_owned), certificates })
        };
        (0..clients).map(serve).collect()
    });
    (address, thread)
}

async fn greeted(dialer: &Dialer, to: SocketAddr, options: &DialOptions<'_>) -> Result<TlsInfo, NetError> {
    let mut stream = dial_with(dialer, to, options).await?;
    assert_eq!(read(&mut stream).await?, b"hi");
    Ok(stream.tls_info().expect("TLS"))
}

fn connect(
    server: &Server,
    name: &str,
    overrides: &TlsOverrides,
) -> (Result<TlsInfo, NetError>, Option<Seen>) {
    connect_to(server.config(), name, overrides)
}

fn connect_to(
    config: rustls::ServerConfig,
    name: &str,
    overrides: &TlsOverrides,
) -> (Result<TlsInfo, NetError>, Option<Seen>) {
    let (address, thread) = greet(config, 1);
    let outcome = run(greeted(&dialer(), address, &secured(name, overrides)));
    if outcome.as_ref().is_err_and(|error| error.code() == "ERR_TLS_CONFIG") {
        // It has not even called.
        drop(std::net::TcpStream::connect(address));
    }
    (outcome, thread.join().unwrap().pop().unwrap())
}

fn code(outcome: Result<TlsInfo, NetError>) -> &'static str {
    outcome.expect_err("a failed connect").code()
}

#[test]
fn a_server_may_have_another_name_than_the_host() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let (info, seen) = connect(&server, "name.test", &authority.trusted());
    assert_eq!(seen.unwrap().sni.as_deref(), Some("name.test"));
    info.unwrap();
    assert_eq!(code(connect(&server, "127.0.0.1", &authority.trusted()).0), "ERR_TLS_CERT_ALTNAME_INVALID");
}

#[test]
fn an_authority_can_be_brought_along() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let with = |ca: &str| TlsOverrides { ca: Some(ca.to_owned()), ..TlsOverrides::default() };
    assert_eq!(code(connect(&server, "name.test", &TlsOverrides::NONE).0), "ERR_TLS_CERT_UNKNOWN_AUTHORITY");
    let other = with(&Authority::new().pem());
    assert_eq!(code(connect(&server, "name.test", &other).0), "ERR_TLS_CERT_UNKNOWN_AUTHORITY");
    let both = with(&(Authority::new().pem() + &authority.pem()));
    connect(&server, "name.test", &both).0.unwrap();
    for wrong in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert_eq!(code(connect(&server, "name.test", &with(wrong)).0), "ERR_TLS_CONFIG", "{wrong}");
    }
    let anybody = TlsOverrides { insecure_skip_verify: Some(true), ..TlsOverrides::default() };
    connect(&server, "name.test", &anybody).0.unwrap();
}

#[test]
fn a_socket_may_insist_where_the_test_does_not() {
    let authority = Authority::new();
    let (address, server) = greet(authority.server("name.test").config(), 2);
    let options = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
    let dialer = Dialer { tls: Tls::new(options).unwrap(), ..dialer() };
    run(async {
        greeted(&dialer, address, &secured("name.test", &TlsOverrides::NONE)).await.unwrap();
        let strict = TlsOverrides { insecure_skip_verify: Some(false), ..TlsOverrides::default() };
        let refused = greeted(&dialer, address, &secured("name.test", &strict)).await;
        assert_eq!(code(refused), "ERR_TLS_CERT_UNKNOWN_AUTHORITY");
    });
    server.join().unwrap();
}

#[test]
fn protocols_are_offered_in_order() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let offering = |protocols: &[&str]| TlsOverrides {
        alpn: protocols.iter().map(|name| (*name).to_owned()).collect(),
        ..authority.trusted()
    };
    let speaking = |protocols: &[&str]| {
        let mut config = server.config();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    };
    let agreed = |spoken: &[&str], offered: &[&str]| {
        connect_to(speaking(spoken), "name.test", &offering(offered)).0.map(|info| info.alpn)
    };
    assert_eq!(agreed(&["b", "c"], &["a", "b", "c"]).unwrap().as_deref(), Some("b"));
    assert_eq!(agreed(&[], &["a"]).unwrap(), None);
    assert_eq!(agreed(&["b"], &[]).unwrap(), None);
    let error = agreed(&["b"], &["a"]).unwrap_err();
    assert_eq!(error.code(), "ERR_TLS_ALERT", "{error}");
    for wrong in [String::new(), "x".repeat(256)] {
        assert_eq!(agreed(&["b"], &[&wrong]).unwrap_err().code(), "ERR_TLS_CONFIG");
    }
}

#[test]
fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let server = Server { asking: true, ..authority.server("name.test") };
    let (certificate, key) = authority.certificate("client.test");
    let own =
        TlsOverrides { cert: Some(certificate.pem()), key: Some(key.serialize_pem()), ..authority.trusted() };
    let (info, seen) = connect(&server, "name.test", &own);
    info.unwrap();
    assert_eq!(seen.unwrap().certificates, 1);
    assert_eq!(code(connect(&server, "name.test", &authority.trusted()).0), "ERR_TLS_ALERT");
    let half = TlsOverrides { key: None, ..own.clone() };
    let (error, _) = connect(&server, "name.test", &half);
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("ERR_TLS_CONFIG", "TLS handshake failed: a client certificate needs both `cert` and `key`")
    );
    let (_, others) = authority.certificate("other.test");
    let mixed = TlsOverrides { key: Some(others.serialize_pem()), ..own };
    let error = connect(&server, "name.test", &mixed).0.unwrap_err();
    assert!(error.to_string().ends_with("client certificate: the key is not the certificate's"), "{error}");
}

#[test]
fn a_password_opens_the_key() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let with = |password: Option<&str>| TlsOverrides {
        cert: Some(include_str!("../src/tls/keys/certificate.pem").to_owned()),
        key: Some(include_str!("../src/tls/keys/aes128.pem").to_owned()),
        password: password.map(str::to_owned),
        ..authority.trusted()
    };
    connect(&server, "name.test", &with(Some("s3cret"))).0.unwrap();
    for wrong in [None, Some("wrong")] {
        assert_eq!(code(connect(&server, "name.test", &with(wrong)).0), "ERR_TLS_CONFIG", "{wrong:?}");
    }
}

#[test]
fn versions_can_be_limited() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let between = |min: Option<&str>, max: Option<&str>| TlsOverrides {
        min_version: min.map(str::to_owned),
        max_version: max.map(str::to_owned),
        ..authority.trusted()
    };
    let version = |limits: (Option<&str>, Option<&str>)| {
        connect(&server, "name.test", &between(limits.0, limits.1)).0.map(|info| info.version)
    };
    assert_eq!(version((None, None)).unwrap(), "tls1.3");
    assert_eq!(version((None, Some("tls1.2"))).unwrap(), "tls1.2");
    assert_eq!(version((Some("tls1.3"), None)).unwrap(), "tls1.3");
    assert_eq!(version((Some("tls1.3"), Some("tls1.2"))).unwrap_err().code(), "ERR_TLS_CONFIG");
    assert_eq!(version((Some("1.3"), None)).unwrap_err().code(), "ERR_TLS_CONFIG");
    let old = Server { versions: vec![&rustls::version::TLS12], ..authority.server("name.test") };
    assert_eq!(code(connect(&old, "name.test", &between(Some("tls1.3"), None)).0), "ERR_TLS_ALERT");
}

#[test]
fn sessions_are_resumed_if_asked_for() {
    let authority = Authority::new();
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let server = Server { versions: versions.to_vec(), ..authority.server("name.test") };
        let (address, thread) = greet(server.config(), 6);
        let dialer = dialer();
        let (trusted, sessions) = (authority.trusted(), Sessions::default());
        let resumed = async |overrides: &TlsOverrides, sessions: Option<&Sessions>| {
            let security = Security { servername: Some("name.test"), overrides, sessions };
            let options = DialOptions { tls: Some(security), ..DialOptions::default() };
            let info = greeted(&dialer, address, &options).await.unwrap();
            assert!(info.peer.is_some_and(|peer| peer.subject.contains("name.test")));
            info.resumed
        };
        run(async {
            assert!(!resumed(&trusted, Some(&sessions)).await);
            assert!(resumed(&trusted, Some(&sessions)).await);
            assert!(resumed(&trusted, Some(&sessions)).await, "again and again");
            assert!(!resumed(&trusted, Some(&Sessions::default())).await, "those of another VU");
            assert!(!resumed(&trusted, None).await);
            // What was not verified is not taken for verified, and the other way round.
            let anybody = TlsOverrides { insecure_skip_verify: Some(true), ..TlsOverrides::default() };
            assert!(!resumed(&anybody, Some(&sessions)).await);
        });
        thread.join().unwrap();
    }
}

#[test]
fn what_a_handshake_came_to_can_be_read() {
    let authority = Authority::new();
    let server = authority.server("name.test");
    let info = connect(&server, "name.test", &authority.trusted()).0.unwrap();
    assert_eq!((info.version, info.resumed), ("tls1.3", false));
    assert!(info.cipher.starts_with("TLS_") && info.cipher.contains("_SHA"), "{}", info.cipher);
    let peer = info.peer.unwrap();
    assert!(peer.subject.contains("CN=name.test"), "{}", peer.subject);
    assert!(peer.issuer.contains("CN=authority.test"), "{}", peer.issuer);
    assert!(peer.not_before < peer.not_after && peer.not_after.ends_with('Z'), "{peer:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &server.der());
    let hex: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(peer.fingerprint256, hex.join(":"));
}

async fn secure(stream: Stream, read_ahead: &[u8], overrides: &TlsOverrides) -> Result<Stream, NetError> {
    let security = Security { servername: None, overrides, sessions: None };
    dialer().secure(stream, read_ahead, "name.test", &security, &DialProgress::default()).await
}

#[test]
fn an_open_connection_can_be_encrypted() {
    let authority = Authority::new();
    let config = Arc::new(authority.server("name.test").config());
    let (address, server) = peer(move |mut tcp| {
        tcp.write_all(b"220 ready\r\n").unwrap();
        assert_eq!(exactly(&mut tcp, 10), b"STARTTLS\r\n");
        tcp.write_all(b"OK\r\n").unwrap();
        let mut peer = accept(&config, tcp).unwrap();
        assert_eq!(exactly(&mut peer, 4), b"EHLO");
        peer.write_all(b"250").unwrap();
    });
    run(async {
        let mut stream = dial(address, &DialOptions::default()).await.unwrap();
        assert_eq!((stream.tls_info(), read(&mut stream).await.unwrap()), (None, b"220 ready\r\n".to_vec()));
        write_all(&mut stream, b"STARTTLS\r\n").await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), b"OK\r\n");
        let mut stream = secure(stream, &[], &authority.trusted()).await.unwrap();
        assert!(stream.tls_info().is_some());
        write_all(&mut stream, b"EHLO").await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), b"250");
        let again = secure(stream, &[], &authority.trusted()).await;
        assert_eq!(again.err().unwrap().code(), "ERR_TLS_ALREADY");
    });
    server.join().unwrap();
}

/// What stands behind the answer to STARTTLS is not encrypted, so somebody between may have put it there.
#[test]
fn what_was_read_too_far_is_not_taken_for_plain_text() {
    const ANSWER: &[u8] = b"OK\r\nand more in the clear";
    let (address, server) = peer(|mut tcp| {
        tcp.write_all(ANSWER).unwrap();
        // The client's hello, and why it hangs up.
        let mut heard = Vec::new();
        tcp.read_to_end(&mut heard).unwrap();
        heard
    });
    run(async {
        let mut stream = dial(address, &DialOptions::default()).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < ANSWER.len() {
            heard.extend(read(&mut stream).await.unwrap());
        }
        let error = secure(stream, &heard[4..], &TlsOverrides::NONE).await.err().unwrap();
        assert_eq!(error.code(), "ERR_TLS_NOT_TLS", "{error}");
    });
    assert_eq!(server.join().unwrap().first(), Some(&22), "a record of a handshake");
}
