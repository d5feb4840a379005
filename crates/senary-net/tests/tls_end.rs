//! The end of TLS, and what came before it, against a server that decides which bytes go into one segment.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use senary_net::{
    DialOptions, DialProgress, Dialer, DnsConfig, NetError, Resolver, Security, Stream, Target, Tls,
    TlsOptions, WireBytes,
};

const BOUND: Duration = Duration::from_secs(30);
/// As large as the buffer of a socket's reader.
const BUFFER: usize = 63 * 1024;
/// Has the header of a record, and cannot be decrypted.
const GARBAGE: [u8; 15] = *b"\x17\x03\x03\x00\x0anot sealed";

/// What the server does once it has a connection.
type Act = Box<dyn FnOnce(&mut Peer) -> io::Result<()> + Send>;

struct Peer {
    tcp: TcpStream,
    tls: ServerConnection,
}

impl Peer {
    /// Reads once, and takes it in.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.tls.read_tls(&mut self.tcp)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let mut data = vec![0; state.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut data)?;
        Ok(data)
    }

    /// What is ready to be sent.
    fn sealed(&mut self) -> io::Result<Vec<u8>> {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire)?;
        }
        Ok(wire)
    }

    /// What has come right behind the handshake.
    fn handshake(&mut self) -> io::Result<Vec<u8>> {
        let mut heard = Vec::new();
        while self.tls.is_handshaking() {
            heard = self.read()?;
            let wire = self.sealed()?;
            self.tcp.write_all(&wire)?;
        }
        Ok(heard)
    }

    fn seal(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        self.tls.writer().write_all(data)?;
        self.sealed()
    }

    fn read_to_end(&mut self) {
        while self.tcp.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    }
}

fn serve(act: Act) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a connection over loopback");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a connection over loopback");
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a connection over loopback");
    config.send_half_rtt_data = true;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a connection over loopback");
    let address = listener.local_addr().expect("a connection over loopback");
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept()?;
        tcp.set_read_timeout(Some(BOUND))?;
        let mut tls = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        tls.set_buffer_limit(None);
        let mut peer = Peer { tcp, tls };
        act(&mut peer)?;
        peer.tcp.shutdown(Shutdown::Write)?;
        peer.read_to_end();
        Ok(())
    });
    (address, thread)
}

async fn dial(to: SocketAddr) -> Result<Stream, NetError> {
    let resolver = Resolver::new(&[], &[], &[], DnsConfig::default()).expect("a connection over loopback");
    let tls = Tls::new(TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() })
        .expect("a connection over loopback");
    let dialer = Dialer { resolver: Arc::new(resolver), tls };
    let host = to.ip().to_string();
    let target = Target::Host { host: &host, port: to.port().into() };
    let options = DialOptions { tls: Some(Security::default()), ..DialOptions::default() };
    dialer.dial(target, &options, &Rc::new(WireBytes::default()), &DialProgress::default()).await
}

async fn read(stream: &mut Stream, size: usize) -> Result<Vec<u8>, NetError> {
    let mut buffer = vec![0; size];
    let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Everything up to the end, and how it ended.
async fn read_to_end(stream: &mut Stream, size: usize) -> (Vec<u8>, Result<(), NetError>) {
    let mut all = Vec::new();
    loop {
        match read(stream, size).await {
            Ok(data) if data.is_empty() => return (all, Ok(())),
            Ok(data) => all.extend(data),
            Err(error) => return (all, Err(error)),
        }
    }
}

fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a connection over loopback");
    runtime.block_on(async { tokio::time::timeout(BOUND, client).await }).expect("the client ends in time")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// A server of TLS 1.3 may speak before it has heard that the client is through with the handshake.
#[test]
fn data_in_the_last_flight_of_a_handshake_arrives_though_garbage_follows() {
    let (address, server) = serve(Box::new(|peer| {
        peer.tls.writer().write_all(b"go away")?;
        while peer.tls.is_handshaking() {
            peer.read()?;
            let mut wire = peer.sealed()?;
            if wire.is_empty() {
                continue;
            }
            wire.extend(GARBAGE);
            peer.tcp.write_all(&wire)?;
            return Ok(());
        }
        Ok(())
    }));
    let (said, end) = run(async {
        read_to_end(&mut dial(address).await.expect("a connection over loopback"), BUFFER).await
    });
    assert_eq!(
        (String::from_utf8(said).expect("a connection over loopback").as_str(), end.unwrap_err().code()),
        ("go away", "EPROTO")
    );
    server.join().expect("a connection over loopback").expect("a connection over loopback");
}

#[test]
fn garbage_within_a_handshake_fails_the_connect() {
    let (address, server) = serve(Box::new(|peer| {
        peer.read()?;
        peer.tcp.write_all(&GARBAGE)
    }));
    let error = run(dial(address)).err().expect("a failed connect");
    assert!(matches!(error, NetError::Tls { .. }), "{error}");
    server.join().expect("a connection over loopback").expect("a connection over loopback");
}

/// Wherever the wire is cut, what came in whole records is read, and the end is right between records only.
#[test]
fn an_answer_can_be_cut_anywhere() {
    for cut in [0, 1, 4, 5, 6, 500, 999] {
        let (address, server) = serve(Box::new(move |peer| {
            peer.handshake()?;
            let mut wire = peer.seal(b"whole")?;
            let rest = peer.seal(&pattern(1000))?;
            wire.extend(&rest[..cut]);
            peer.tcp.write_all(&wire)
        }));
        let (said, end) = run(async {
            read_to_end(&mut dial(address).await.expect("a connection over loopback"), BUFFER).await
        });
        assert_eq!(said, b"whole", "{cut}");
        assert_eq!(
            end.map_err(|error| error.code()),
            if cut == 0 { Ok(()) } else { Err("ERR_TLS_TRUNCATED") }
        );
        server.join().expect("a connection over loopback").expect("a connection over loopback");
    }
}

/// Readers with small buffers get it in small pieces, and everything in order.
#[test]
fn any_buffer_will_do() {
    for size in [1, 100, 4096, 20_000, BUFFER] {
        let length = if size == 1 { 40_000 } else { 500_000 };
        let (address, server) = serve(Box::new(move |peer| {
            peer.handshake()?;
            let mut wire = peer.seal(&pattern(length))?;
            wire.extend(GARBAGE);
            peer.tcp.write_all(&wire)
        }));
        let (said, end) = run(async {
            read_to_end(&mut dial(address).await.expect("a connection over loopback"), size).await
        });
        assert!(said == pattern(length), "{size}: {} bytes", said.len());
        assert_eq!(end.unwrap_err().code(), "EPROTO", "{size}");
        server.join().expect("a connection over loopback").expect("a connection over loopback");
    }
}

/// A server that changes its keys, and asks the client to change its own, goes on as before.
#[test]
fn keys_may_change_at_any_time() {
    let (address, server) = serve(Box::new(|peer| {
        peer.handshake()?;
        for round in 0..3 {
            peer.tls.refresh_traffic_keys().map_err(io::Error::other)?;
            let wire = peer.seal(format!("key {round};").as_bytes())?;
            peer.tcp.write_all(&wire)?;
            let mut heard = Vec::new();
            while heard.is_empty() {
                heard = peer.read()?;
            }
            assert_eq!(heard, b"next");
        }
        Ok(())
    }));
    run(async {
        let mut stream = dial(address).await.expect("a connection over loopback");
        for round in 0..3 {
            assert_eq!(
                read(&mut stream, BUFFER).await.expect("a connection over loopback"),
                format!("key {round};").as_bytes()
            );
            assert_eq!(stream.try_write(b"next").expect("a connection over loopback"), (4, true));
        }
        assert!(read_to_end(&mut stream, BUFFER).await.1.is_ok());
    });
    server.join().expect("a connection over loopback").expect("a connection over loopback");
}

/// What was written before the peer ended TLS has been sent, and the peer is told why nothing more is read.
#[test]
fn what_was_written_before_an_error_arrives() {
    let (address, server) = serve(Box::new(|peer| {
        let mut heard = peer.handshake()?;
        while heard.len() < 5 {
            heard.extend(peer.read()?);
        }
        assert_eq!(heard, b"hello");
        peer.tcp.write_all(&GARBAGE)?;
        let error = loop {
            match peer.read() {
                Ok(data) => assert!(data.is_empty()),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
        Ok(())
    }));
    run(async {
        let mut stream = dial(address).await.expect("a connection over loopback");
        assert_eq!(stream.try_write(b"hello").expect("a connection over loopback"), (5, true));
        assert_eq!(read_to_end(&mut stream, BUFFER).await.1.unwrap_err().code(), "EPROTO");
    });
    server.join().expect("a connection over loopback").expect("a connection over loopback");
}
