//! A connection that counts the bytes on its wire, TLS overhead included.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::network::{Address, Ends};
use crate::transport::Transport;

/// Bytes that moved over the wire of a connection that are not accounted for yet. The caller of a connect keeps it:
/// a handshake that fails or is given up has moved bytes too.
#[derive(Debug, Default)]
pub struct WireBytes {
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl WireBytes {
    /// What was added since the last call: (sent, received).
    pub fn take(&self) -> (u64, u64) {
        (self.sent.take(), self.received.take())
    }

    pub(crate) fn add_sent(&self, n: usize) {
        self.sent.set(self.sent.get() + n as u64);
    }

    pub(crate) fn add_received(&self, n: usize) {
        self.received.set(self.received.get() + n as u64);
    }
}

/// A transport that counts.
pub(crate) struct Counted {
    pub(crate) transport: Transport,
    pub(crate) wire: Rc<WireBytes>,
    /// The last thing that failed was a write.
    failed_write: bool,
    /// The kernel may have something to read of which it will not speak again.
    is_unread: Cell<bool>,
}

impl Counted {
    pub(crate) fn new(transport: Transport, wire: Rc<WireBytes>) -> Self {
        Self { transport, wire, failed_write: false, is_unread: Cell::new(false) }
    }

    /// The call that failed and the two ends of the connection, in k6's words: `read tcp 127.0.0.1:5->127.0.0.1:6: read`.
    pub(crate) fn failed_at(&self, remote: &Address) -> String {
        let call = if self.failed_write { "write" } else { "read" };
        format!("{call} {}: {call}", self.ends(remote))
    }

    /// Both ends; this one is unspecified if the kernel does not know it any more.
    pub(crate) fn ends(&self, remote: &Address) -> Ends {
        let local = self.transport.local().unwrap_or_else(|_| match remote {
            Address::Ip(SocketAddr::V4(_)) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into(),
            Address::Ip(SocketAddr::V6(_)) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into(),
            Address::Path(_) => Address::Path(PathBuf::from("@")),
        });
        Ends { network: self.transport.network(), local, remote: remote.clone() }
    }

    /// Writes as much as the kernel takes now. No task is woken when it takes more.
    pub(crate) fn try_write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.transport.try_write(data);
        self.wrote(&written);
        written
    }

    pub(crate) fn try_write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.transport.try_write_vectored(data);
        self.wrote(&written);
        written
    }

    fn wrote(&mut self, written: &io::Result<usize>) {
        self.failed_write = written.is_err();
        self.wire.add_sent(*written.as_ref().unwrap_or(&0));
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        match self.is_unread.get().then(|| self.transport.read_now(buf)) {
            Some(Poll::Ready(read)) => {
                // The kernel may have more than there was room for.
                self.is_unread.set(buf.filled().len() - before == room);
                read?;
            }
            Some(Poll::Pending) | None => {
                self.is_unread.set(false);
                ready!(self.transport.poll_read(cx, buf))?;
            }
        }
        self.wire.add_received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// Ready when the peer has ended its side or the connection has failed, whatever is still unread. Takes nothing.
    pub(crate) fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (closed, forgotten) = self.transport.poll_read_closed(cx);
        self.is_unread.set(self.is_unread.get() || forgotten);
        closed
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.transport.poll_write(cx, data));
        self.wrote(&written);
        Poll::Ready(written)
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.transport.poll_write_vectored(cx, data));
        self.wrote(&written);
        Poll::Ready(written)
    }

    /// Takes unread data out of the kernel. If a connection is closed with unread data, the kernel resets it, and
    /// written data that has not been sent yet is lost.
    pub(crate) fn forget_unread(&self) {
        let mut scrap = [MaybeUninit::uninit(); 8 * 1024];
        let socket = self.transport.socket();
        // Bounded: a peer that sends without end gets its reset.
        for _ in 0..FORGOTTEN / scrap.len() {
            if !matches!(socket.recv(&mut scrap), Ok(1..)) {
                return;
            }
        }
    }
}

/// In bytes: more than a typical unread answer, and taken out in well under a millisecond.
const FORGOTTEN: usize = 256 * 1024;
