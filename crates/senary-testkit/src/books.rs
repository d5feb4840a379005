//! The record of what a server received, for each connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of each connection's input is kept verbatim.
const KEPT: usize = 64 * 1024;

/// What a server received on all its connections.
pub(crate) struct Books {
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) resumed: AtomicU64,
    pages: Mutex<Vec<Page>>,
    /// The addresses from which the server itself connects; these connections are not recorded.
    own: Mutex<Vec<SocketAddr>>,
    /// It neither accepts nor reads nor writes any more once it has received this many bytes.
    pub(crate) freezes_after: AtomicU64,
}

/// What is kept of a connection.
pub(crate) struct Page {
    pub(crate) peer: SocketAddr,
    pub(crate) received: Vec<u8>,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            pages: Mutex::default(),
            own: Mutex::default(),
            freezes_after: AtomicU64::new(u64::MAX),
        }
    }
}

impl Books {
    pub(crate) fn is_frozen(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) >= self.freezes_after.load(Ordering::SeqCst)
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Vec<Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn own(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is a connection of the server's own, which it then has seen.
    pub(crate) fn is_own(&self, peer: SocketAddr) -> bool {
        let mut own = self.own();
        let others = own.len();
        own.retain(|own| *own != peer);
        own.len() < others
    }
}

/// A connection in the books, open until this is dropped.
pub(crate) struct Entry {
    books: Arc<Books>,
    index: usize,
}

impl Entry {
    pub(crate) fn new(books: Arc<Books>, peer: SocketAddr) -> Self {
        books.open.fetch_add(1, Ordering::SeqCst);
        books.accepted.fetch_add(1, Ordering::SeqCst);
        let index = {
            let mut pages = books.pages();
            pages.push(Page { peer, received: Vec::new() });
            pages.len() - 1
        };
        Self { books, index }
    }

    /// Returns while the server lives, and never once it is frozen.
    pub(crate) async fn thaws(&self) {
        if self.books.is_frozen() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn note(&self, data: &[u8]) {
        self.books.bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
        let kept = &mut self.books.pages()[self.index].received;
        let room = KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.books.open.fetch_sub(1, Ordering::SeqCst);
    }
}
