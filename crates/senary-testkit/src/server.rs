//! A server on a free loopback port, on its own thread, that counts what it receives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::behaviour::Behaviour;
use crate::books::{Books, Entry};
use crate::certificate::Certificate;
use crate::connection::Connection;

const BACKLOG: i32 = 16 * 1024;
/// How long dropping a server may take.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// Dropping it closes all its connections.
pub struct Server {
    address: SocketAddr,
    books: Arc<Books>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(behaviour: Behaviour) -> Self {
        Self::listen(behaviour, None)
    }

    /// The same behind TLS.
    pub fn start_tls(behaviour: Behaviour, certificate: Certificate) -> Self {
        Self::listen(behaviour, Some(TlsAcceptor::from(certificate.server_config(false))))
    }

    /// The same behind TLS, for clients that offer one of these protocols (ALPN) or none.
    pub fn start_tls_for(behaviour: Behaviour, protocols: &[&str]) -> Self {
        let mut config = rustls::ServerConfig::clone(&Certificate::Valid.server_config(false));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::listen(behaviour, Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// The same behind TLS that asks clients for a certificate of [`Certificate::authority_pem`].
    pub fn start_mutual_tls(behaviour: Behaviour) -> Self {
        Self::listen(behaviour, Some(TlsAcceptor::from(Certificate::Valid.server_config(true))))
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

    /// Makes the server stop once it has received this many bytes, as `kill -STOP` stops a process: its connections stay, the kernel
    /// goes on making new ones, and nothing is read or answered any more.
    pub fn freezes_after(&self, bytes: u64) {
        self.books.freezes_after.store(bytes, Ordering::SeqCst);
    }

    /// Connections it has accepted; where it speaks TLS, also those whose handshake failed.
    pub fn accepted(&self) -> u64 {
        self.books.accepted.load(Ordering::SeqCst)
    }

    /// TLS sessions that were resumed from an earlier connection.
    pub fn resumed(&self) -> u64 {
        self.books.resumed.load(Ordering::SeqCst)
    }

    /// Connections that are open at this moment.
    pub fn open(&self) -> u64 {
        self.books.open.load(Ordering::SeqCst)
    }

    /// Bytes received on all connections, without those of TLS itself where it speaks that.
    pub fn bytes(&self) -> u64 {
        self.books.bytes.load(Ordering::SeqCst)
    }

    /// What each connection sent, in the order they were accepted; the first 64 KiB of it.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.books.pages().iter().map(|page| page.received.clone()).collect()
    }

    /// Where each connection came from, in the order they were accepted.
    pub fn peers(&self) -> Vec<SocketAddr> {
        self.books.pages().iter().map(|page| page.peer).collect()
    }

    /// Waits until it has received as many bytes; whether that happened in time. For a script that ends without an answer:
    /// the kernel may have its connection before the server has.
    pub fn has_received(&self, bytes: u64, within: Duration) -> bool {
        wait_until(within, || self.bytes() >= bytes)
    }

    /// Waits until no connection is open, of those the kernel has made so far; whether that happened in time.
    pub fn all_closed(&self, within: Duration) -> bool {
        self.catches_up(within) && self.comes_to(0, within)
    }

    /// Waits until the server has accepted all connected clients: the kernel may hold the connection of a client that has
    /// already gone, and that the server has not accepted yet.
    fn catches_up(&self, within: Duration) -> bool {
        // Connections are accepted in the order in which they were made.
        let last = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        last.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let from = last.local_addr().ok().and_then(|from| from.as_socket()).expect("its address");
        self.books.own().push(from);
        last.connect_timeout(&self.address.into(), within).is_ok()
            && wait_until(within, || !self.books.own().contains(&from))
    }

    /// Waits until this many connections are open; whether that happened in time.
    pub fn comes_to(&self, open: u64, within: Duration) -> bool {
        wait_until(within, || self.open() == open)
    }
}

fn wait_until(within: Duration, holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections it has not accepted yet would be reset instead of closed.
        if !std::thread::panicking() && !self.books.is_frozen() {
            self.catches_up(CATCHING_UP);
        }
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
    let mut frozen = Vec::new();
    loop {
        // Out of descriptors, most likely: the test that does this closes some.
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        if books.is_frozen() {
            // In the program, connections that the server has not accepted look the same.
            frozen.push(stream);
            continue;
        }
        if books.is_own(peer) {
            continue;
        }
        stream.set_nodelay(true).ok();
        let books = books.clone();
        let (behaviour, tls, entry) = (behaviour.clone(), tls.clone(), Entry::new(books.clone(), peer));
        tokio::task::spawn_local(async move {
            let connection = match tls {
                None => Connection::plain(stream, entry),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => {
                        if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                            books.resumed.fetch_add(1, Ordering::SeqCst);
                        }
                        Connection::tls(stream, entry)
                    }
                    // A client that does not like the certificate; its own books tell.
                    Err(_) => return,
                },
            };
            // Peers break connections; that is what the tests are about.
            behaviour.serve(connection).await.ok();
        });
    }
}
