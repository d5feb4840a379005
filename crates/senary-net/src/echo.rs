//! The built-in echo server: sends back what it gets, on a thread of its own.
//!
//! It is what examples and first steps talk to, so it must never be what a measurement measures: one buffer for
//! all plain connections, a read and a write per message, nothing else.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::runtime_thread::runtime_thread;

const BUFFER: usize = 256 * 1024;

/// A running echo server; dropping it closes all its connections.
pub struct EchoServer {
    address: SocketAddr,
    certificate_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    /// Listens on `address`, with TLS under a self-signed certificate for `localhost` if asked to.
    pub fn start(address: SocketAddr, tls: bool) -> io::Result<Self> {
        let (acceptor, certificate_pem) = match tls {
            true => {
                let (acceptor, pem) = self_signed()?;
                (Some(acceptor), Some(pem))
            }
            false => (None, None),
        };
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM.nonblocking().cloexec(),
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(16 * 1024)?;
        let listener: std::net::TcpListener = socket.into();
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = runtime_thread("senary-echo", move |runtime| {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, acceptor) => {}
                }
            });
        })?;
        Ok(Self { address, certificate_pem, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust (`SSL_CERT_FILE`), if it speaks TLS.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate_pem.as_deref()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then there is no receiver.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long a client may take for its handshake.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(30);

async fn serve(listener: std::net::TcpListener, acceptor: Option<tokio_rustls::TlsAcceptor>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let buffer = Rc::new(RefCell::new(vec![0; BUFFER]));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, small answers would wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                let (buffer, acceptor) = (buffer.clone(), acceptor.clone());
                tokio::task::spawn_local(async move {
                    // A broken connection concerns only its peer.
                    let _ = match acceptor {
                        None => echo_plain(stream, &buffer).await,
                        Some(acceptor) => echo_tls(acceptor, stream).await,
                    };
                });
            }
            // Out of descriptors, most likely: others close sooner or later.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn echo_plain(mut stream: TcpStream, buffer: &RefCell<Vec<u8>>) -> io::Result<()> {
    loop {
        stream.readable().await?;
        let rest = {
            let mut buffer = buffer.borrow_mut();
            let read = match stream.try_read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                break;
            }
            let written = match stream.try_write(&buffer[..read]) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            buffer[written..read].to_vec()
        };
        if !rest.is_empty() {
            stream.write_all(&rest).await?;
        }
    }
    stream.shutdown().await
}

async fn echo_tls(acceptor: tokio_rustls::TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

fn self_signed() -> io::Result<(tokio_rustls::TlsAcceptor, String)> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|b| b.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    Ok((tokio_rustls::TlsAcceptor::from(Arc::new(config)), made.cert.pem()))
}
