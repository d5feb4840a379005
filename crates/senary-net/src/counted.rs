//! A TCP stream that counts the bytes on its wire, TLS overhead included.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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

/// A TCP stream that counts.
pub(crate) struct Counted {
    pub(crate) stream: TcpStream,
    pub(crate) wire: Rc<WireBytes>,
    /// The last thing that failed was a write.
    failed_write: bool,
}

impl Counted {
    pub(crate) fn new(stream: TcpStream, wire: Rc<WireBytes>) -> Self {
        Self { stream, wire, failed_write: false }
    }

    /// What failed, and between whom, in the reference's words: `read tcp 127.0.0.1:5->127.0.0.1:6: read`.
    pub(crate) fn failed_at(&self, remote: SocketAddr) -> String {
        let call = if self.failed_write { "write" } else { "read" };
        format!("{call} tcp {}->{remote}: {call}", self.local_addr(remote))
    }

    /// Unspecified if the kernel does not know it any more.
    pub(crate) fn local_addr(&self, remote: SocketAddr) -> SocketAddr {
        self.stream.local_addr().unwrap_or_else(|_| match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        })
    }

    /// Writes what the kernel takes now, and wakes nobody later.
    pub(crate) fn try_write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.stream.try_write_vectored(data);
        self.wrote(&written);
        written
    }

    fn wrote(&mut self, written: &io::Result<usize>) {
        self.failed_write = written.is_err();
        self.wire.add_sent(*written.as_ref().unwrap_or(&0));
    }

    /// Takes out of the kernel what nobody will read. A connection that is closed with unread data is reset, and what
    /// was written to it but not sent yet is lost.
    pub(crate) fn forget_unread(&self) {
        let mut scrap = [MaybeUninit::uninit(); 8 * 1024];
        let socket = SockRef::from(&self.stream);
        // Bounded: a peer that sends without end gets its reset.
        for _ in 0..FORGOTTEN / scrap.len() {
            if !matches!(socket.recv(&mut scrap), Ok(1..)) {
                return;
            }
        }
    }
}

/// In bytes: more than an answer nobody waited for, and taken out in well under a millisecond.
const FORGOTTEN: usize = 256 * 1024;

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.wire.add_received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, data));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
