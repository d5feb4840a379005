//! A server on a free loopback port, on a thread of its own, that keeps books of what it was sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::behaviour::Behaviour;
use crate::certificate::Certificate;
use crate::connection::Connection;

const BACKLOG: i32 = 16 * 1024;
/// How much of each connection's input is kept verbatim.
const KEPT: usize = 64 * 1024;

/// Dropping it closes all its connections.
pub struct Server {
    address: SocketAddr,
    books: Arc<Books>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(crate) struct Books {
    accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    bytes: AtomicU64,
    received: Mutex<Vec<Vec<u8>>>,
}

impl Books {
    pub(crate) fn begin(&self) -> usize {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.push(Vec::new());
        received.len() - 1
    }

    pub(crate) fn note(&self, connection: usize, data: &[u8]) {
        self.bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut received[connection];
        let room = KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
    }
}

impl Server {
    pub fn start(behaviour: Behaviour) -> Self {
        Self::listen(behaviour, None)
    }

    /// The same behind TLS.
    pub fn start_tls(behaviour: Behaviour, certificate: Certificate) -> Self {
        Self::listen(behaviour, Some(TlsAcceptor::from(certificate.server_config())))
    }

    fn listen(behaviour: Behaviour, tls: Option<TlsAcceptor>) -> Self {
        let socket =
            Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).expect("a socket");
        if let Some(size) = behaviour.receive_buffer() {
            socket.set_recv_buffer_size(size).expect("a receive buffer");
        }
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        socket.listen(BACKLOG).expect("listening");
        let listener: std::net::TcpListener = socket.into();
        let address = listener.local_addr().expect("an address");
        let books = Arc::new(Books::default());
        let (stop, stopped) = oneshot::channel();
        let shared = books.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, Arc::new(behaviour), tls, shared) => {}
                }
            });
        });
        Self { address, books, stop: Some(stop), thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections it has seen, a finished TLS handshake included where it speaks TLS.
    pub fn accepted(&self) -> u64 {
        self.books.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open at this moment.
    pub fn open(&self) -> u64 {
        self.books.open.load(Ordering::SeqCst)
    }

    /// Bytes received on all connections.
    pub fn bytes(&self) -> u64 {
        self.books.bytes.load(Ordering::SeqCst)
    }

    /// What each connection sent, in the order they were accepted; the first 64 KiB of it.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.books.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no connection is open; whether that happened in time.
    pub fn all_closed(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.open() > 0 {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have panicked; joining tells.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the test server panicked");
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    behaviour: Arc<Behaviour>,
    tls: Option<TlsAcceptor>,
    books: Arc<Books>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        // Out of descriptors, most likely: the test that does this closes some.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        let (behaviour, tls, books) = (behaviour.clone(), tls.clone(), books.clone());
        tokio::task::spawn_local(async move {
            let connection = match tls {
                None => Connection::plain(stream, books),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Connection::tls(stream, books),
                    // A client that does not like the certificate; its own books tell.
                    Err(_) => return,
                },
            };
            // Peers break connections; that is what the tests are about.
            behaviour.serve(connection).await.ok();
        });
    }
}
