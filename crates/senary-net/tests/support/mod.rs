//! What the tests of this crate share: a client on a runtime of its own, and peers that do what a test says.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod http;

use std::future::poll_fn;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use senary_net::{
    DialOptions, DialProgress, Dialer, DnsConfig, NetError, Resolver, Security, Stream, Target, Tls,
    TlsOptions, TlsOverrides, WireBytes,
};

pub const BOUND: Duration = Duration::from_secs(30);

/// Runs a client to its end, within bounds.
pub fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, client).await }).expect("the client ends in time")
}

/// Accepts one connection, on a thread.
pub fn peer<T: Send + 'static>(
    act: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        act(stream)
    });
    (address, thread)
}

pub fn dialer() -> Dialer {
    let resolver = Resolver::new(&[], &[], &[], DnsConfig::default()).unwrap();
    Dialer { resolver: Arc::new(resolver), tls: Tls::new(TlsOptions::default()).unwrap() }
}

pub async fn dial(to: SocketAddr, options: &DialOptions<'_>) -> Result<Stream, NetError> {
    dial_with(&dialer(), to, options).await
}

pub async fn dial_with(
    dialer: &Dialer,
    to: SocketAddr,
    options: &DialOptions<'_>,
) -> Result<Stream, NetError> {
    let host = to.ip().to_string();
    let target = Target::Host { host: &host, port: to.port().into() };
    dialer.dial(target, options, &Rc::new(WireBytes::default()), &DialProgress::default()).await
}

pub async fn read(stream: &mut Stream) -> Result<Vec<u8>, NetError> {
    let mut buffer = vec![0; 64 * 1024];
    let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
    buffer.truncate(read);
    Ok(buffer)
}

pub async fn read_to_end(stream: &mut Stream) -> Result<Vec<u8>, NetError> {
    let mut all = Vec::new();
    loop {
        match read(stream).await?.as_slice() {
            [] => return Ok(all),
            data => all.extend(data),
        }
    }
}

pub async fn write_all(stream: &mut Stream, mut data: &[u8]) -> Result<(), NetError> {
    while !data.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, data)).await?;
        data = &data[written..];
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

pub async fn shutdown_write(stream: &mut Stream) -> Result<(), NetError> {
    poll_fn(|cx| stream.poll_shutdown_write(cx)).await
}

pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// An authority, and servers with certificates of it.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority.test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a client needs to believe it.
    pub fn trusted(&self) -> TlsOverrides {
        TlsOverrides { ca: Some(self.pem()), ..TlsOverrides::default() }
    }

    /// A certificate and its key, both as PEM.
    pub fn certificate(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    pub fn server(&self, name: &str) -> Server {
        let versions = rustls::ALL_VERSIONS.to_vec();
        Server {
            authority: self.0.der().to_vec(),
            certificate: self.certificate(name),
            versions,
            asking: false,
        }
    }
}

/// How a server speaks TLS.
pub struct Server {
    pub authority: Vec<u8>,
    pub certificate: (rcgen::Certificate, KeyPair),
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// Whether clients have to show a certificate of the authority.
    pub asking: bool,
}

impl Server {
    pub fn der(&self) -> Vec<u8> {
        self.certificate.0.der().to_vec()
    }

    pub fn config(&self) -> ServerConfig {
        let (certificate, key) = &self.certificate;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(&self.versions).unwrap();
        let builder = if self.asking {
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.clone().into()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// A connection to a client that speaks TLS; it reads and writes as `rustls` does.
pub type TlsPeer = rustls::StreamOwned<ServerConnection, TcpStream>;

/// Makes the handshake.
pub fn accept(config: &Arc<ServerConfig>, tcp: TcpStream) -> io::Result<TlsPeer> {
    let mut peer = TlsPeer::new(ServerConnection::new(config.clone()).map_err(io::Error::other)?, tcp);
    while peer.conn.is_handshaking() {
        peer.conn.complete_io(&mut peer.sock)?;
    }
    Ok(peer)
}

pub fn secured<'a>(servername: &'a str, overrides: &'a TlsOverrides) -> DialOptions<'a> {
    let security = Security { servername: Some(servername), overrides, sessions: None };
    DialOptions { tls: Some(security), ..DialOptions::default() }
}

pub fn exactly(stream: &mut impl Read, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    stream.read_exact(&mut data).unwrap();
    data
}
