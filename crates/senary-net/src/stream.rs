//! A connected socket, plain or TLS, with one way to read and one to write.
//!
//! Nothing here waits: reads and writes either move bytes now or register the caller's waker. Bytes on the wire
//! are counted, TLS overhead included.

use std::cell::Cell;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustls::AlertDescription;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::error::NetError;
use crate::{farewell, tls};

/// A peer that says something has read what it answers: that many bytes are taken for it, or as many as it says.
const ANSWERED: usize = 16 * 1024;

/// The reference's, for the silence before the first probe and between two.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub struct Stream {
    inner: Inner,
    remote: SocketAddr,
    /// What was written, in bytes, and not answered yet as far as one can tell.
    unanswered: usize,
}

enum Inner {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

impl Stream {
    pub(crate) fn plain(stream: Counted, remote: SocketAddr) -> Self {
        Self { inner: Inner::Plain(stream), remote, unanswered: 0 }
    }

    pub(crate) fn tls(stream: TlsStream<Counted>, remote: SocketAddr) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), remote, unanswered: 0 }
    }

    /// Asked of the kernel: most connections live and die without anybody wanting to know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.counted().stream.local_addr()
    }

    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Reads what is there; 0 means the peer has closed its side.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        let mut buf = ReadBuf::new(buffer);
        let read = match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buf),
        };
        Poll::Ready(match ready!(read) {
            Ok(()) => {
                let read = buf.filled().len();
                self.unanswered = match read {
                    // Nothing more can come that would reset the connection.
                    0 => 0,
                    read => self.unanswered.saturating_sub(read.max(ANSWERED)),
                };
                Ok(read)
            }
            // A peer that closes TLS without saying goodbye has closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(tls::ended(&error).unwrap_or_else(|| {
                let (local, remote) = self.ends();
                NetError::Read { local, remote, error }
            })),
        })
    }

    /// Writes what the kernel takes now, without waiting. How many bytes were taken, and whether all of them are on
    /// their way: TLS may hold back some, which [`poll_flush`](Self::poll_flush) sends.
    pub fn try_write(&mut self, data: &[u8]) -> Result<(usize, bool), NetError> {
        let written = match &mut self.inner {
            Inner::Plain(counted) => match counted.stream.try_write(data) {
                Ok(n) => {
                    counted.wire.add_sent(n);
                    Ok((n, true))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, true)),
                Err(error) => Err(error),
            },
            Inner::Tls(stream) => try_write_tls(Pin::new(stream.as_mut()), data),
        };
        if let Ok((n, _)) = &written {
            self.unanswered += n;
        }
        written.map_err(|error| self.write_error(error))
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let written = match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, data),
        };
        let written = ready!(written);
        self.unanswered += written.as_ref().unwrap_or(&0);
        Poll::Ready(written.map_err(|error| self.write_error(error)))
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let flushed = match &mut self.inner {
            Inner::Plain(_) => return Poll::Ready(Ok(())),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        };
        Poll::Ready(ready!(flushed).map_err(|error| self.write_error(error)))
    }

    /// Has the kernel probe the peer whenever nothing has moved for half a minute. That costs three system calls, for
    /// which short connections have no use: it is the caller's to say when one is no longer young.
    pub fn keep_alive(&self) -> io::Result<()> {
        let probes = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&self.counted().stream).set_tcp_keepalive(&probes)
    }

    /// Ends the connection without holding up the caller. What was written arrives, if the peer takes it within a moment.
    pub fn close(mut self) {
        if let Inner::Tls(stream) = &mut self.inner {
            let mut cx = Context::from_waker(Waker::noop());
            // As much of the goodbye as the kernel takes at once.
            let _ = Pin::new(stream.as_mut()).poll_shutdown(&mut cx);
        }
        self.counted().forget_unread();
        if self.unanswered == 0 {
            return;
        }
        match self.inner {
            Inner::Plain(counted) => farewell::say(counted.stream, None),
            Inner::Tls(stream) => {
                let (counted, tls) = stream.into_inner();
                farewell::say(counted.stream, tls.wants_write().then(|| Box::new(tls)));
            }
        }
    }

    fn counted(&self) -> &Counted {
        match &self.inner {
            Inner::Plain(counted) => counted,
            Inner::Tls(stream) => stream.get_ref().0,
        }
    }

    fn write_error(&self, error: io::Error) -> NetError {
        let (local, remote) = self.ends();
        NetError::Write { local, remote, error }
    }

    /// Both ends, for the text of an error.
    fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.counted().local_addr(self.remote), self.remote)
    }
}

/// As much as the kernel takes at once. A failure is told if it is the first that happens; otherwise the next call
/// meets it again.
fn try_write_tls(mut stream: Pin<&mut TlsStream<Counted>>, data: &[u8]) -> io::Result<(usize, bool)> {
    // Nobody is woken: whoever is left with something asks again, with a waker.
    let mut cx = Context::from_waker(Waker::noop());
    let mut taken = 0;
    while taken < data.len() {
        match stream.as_mut().poll_write(&mut cx, &data[taken..]) {
            Poll::Ready(Ok(n)) if n > 0 => taken += n,
            Poll::Ready(Err(error)) if taken == 0 => return Err(error),
            _ => return Ok((taken, false)),
        }
    }
    Ok((taken, matches!(stream.poll_flush(&mut cx), Poll::Ready(Ok(())))))
}

/// Bytes that moved over the wire of a connection and that nobody has taken into account yet. Whoever connects keeps it:
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

    fn add_sent(&self, n: usize) {
        self.sent.set(self.sent.get() + n as u64);
    }

    fn add_received(&self, n: usize) {
        self.received.set(self.received.get() + n as u64);
    }
}

/// A TCP stream that counts.
pub(crate) struct Counted {
    stream: TcpStream,
    wire: Rc<WireBytes>,
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
    fn local_addr(&self, remote: SocketAddr) -> SocketAddr {
        self.stream.local_addr().unwrap_or_else(|_| match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        })
    }

    /// The alert that is the next thing to read, if it is not encrypted yet, as in a handshake of TLS 1.2.
    pub(crate) fn unread_alert(&self) -> Option<AlertDescription> {
        let mut record = [0; 7];
        let read = SockRef::from(&self.stream).deref().read(&mut record).ok()?;
        self.wire.add_received(read);
        // RFC 5246 §6.2.1 and §7.2: type 21, version, length, level, description.
        match record {
            [21, 3, _, 0, 2, _, description] if read == record.len() => Some(description.into()),
            _ => None,
        }
    }

    /// Takes out of the kernel what nobody will read. A connection that is closed with unread data is reset, and what
    /// was written to it but not sent yet is lost.
    fn forget_unread(&self) {
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
        self.failed_write = written.is_err();
        self.wire.add_sent(*written.as_ref().unwrap_or(&0));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
