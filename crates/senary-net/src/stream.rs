//! A connected socket, plain or TLS, with one way to read and one to write.
//!
//! Nothing here waits: reads and writes either move bytes now or register the caller's waker. Bytes on the wire
//! are counted, TLS overhead included.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::error::NetError;

pub struct Stream {
    inner: Inner,
    local: SocketAddr,
    remote: SocketAddr,
}

enum Inner {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

impl Stream {
    pub(crate) fn plain(stream: TcpStream, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { inner: Inner::Plain(Counted { stream, sent: 0, received: 0 }), local, remote }
    }

    pub(crate) fn tls(stream: TlsStream<Counted>, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), local, remote }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Bytes moved over the wire since the last call: (sent, received).
    pub fn take_wire_bytes(&mut self) -> (u64, u64) {
        let counted = self.counted();
        (std::mem::take(&mut counted.sent), std::mem::take(&mut counted.received))
    }

    /// Reads what is there; 0 means the peer has closed its side.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        let mut buf = ReadBuf::new(buffer);
        let read = match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buf),
        };
        Poll::Ready(match ready!(read) {
            Ok(()) => Ok(buf.filled().len()),
            // A peer that closes TLS without saying goodbye has closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(NetError::Read { local: self.local, remote: self.remote, error }),
        })
    }

    /// Writes what the kernel takes now, without waiting and without registering anybody.
    pub fn try_write(&mut self, data: &[u8]) -> Result<usize, NetError> {
        let (local, remote) = (self.local, self.remote);
        let written = match &mut self.inner {
            Inner::Plain(counted) => match counted.stream.try_write(data) {
                Ok(n) => {
                    counted.sent += n as u64;
                    Ok(n)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                Err(error) => Err(error),
            },
            // TLS goes through the queue: a record has to be flushed to be sent.
            Inner::Tls(_) => Ok(0),
        };
        written.map_err(|error| NetError::Write { local, remote, error })
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let written = match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, data),
        };
        let (local, remote) = (self.local, self.remote);
        Poll::Ready(ready!(written).map_err(|error| NetError::Write { local, remote, error }))
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let flushed = match &mut self.inner {
            Inner::Plain(_) => return Poll::Ready(Ok(())),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        };
        let (local, remote) = (self.local, self.remote);
        Poll::Ready(ready!(flushed).map_err(|error| NetError::Write { local, remote, error }))
    }

    /// Says goodbye where the protocol has a word for it; dropping the stream closes it.
    pub fn say_goodbye(&mut self) {
        if let Inner::Tls(stream) = &mut self.inner {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            // As much as the kernel takes at once: a peer that does not read is not waited for.
            let _ = Pin::new(stream.as_mut()).poll_shutdown(&mut cx);
        }
    }

    fn counted(&mut self) -> &mut Counted {
        match &mut self.inner {
            Inner::Plain(counted) => counted,
            Inner::Tls(stream) => stream.get_mut().0,
        }
    }
}

/// A TCP stream that counts.
pub(crate) struct Counted {
    stream: TcpStream,
    sent: u64,
    received: u64,
}

impl Counted {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, sent: 0, received: 0 }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.received += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, data))?;
        self.sent += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
