//! What carries the bytes of a connection, below the counting and below TLS.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::network::{Address, Network};

pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Another connection's TLS: behind a proxy that is spoken to over TLS.
    Tunnel(Box<dyn Tunnel>),
}

/// An encrypted connection that carries another one.
pub(crate) trait Tunnel {
    /// What carries this one.
    fn transport(&self) -> &Transport;
    fn transport_mut(&mut self) -> &mut Transport;
    /// Reads, and first writes what was held back: the answer that is waited for may depend on it.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
    /// Without a context, no task is woken when more can be written, and the error is `WouldBlock`.
    fn write(&mut self, cx: Option<&mut Context<'_>>, data: &[IoSlice<'_>]) -> io::Result<usize>;
    fn say_goodbye(&mut self);
}

impl Transport {
    pub(crate) fn network(&self) -> Network {
        match self {
            Self::Tcp(_) => Network::Tcp,
            Self::Unix(_) => Network::Unix,
            Self::Tunnel(tunnel) => tunnel.transport().network(),
        }
    }

    pub(crate) fn local(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(stream) => stream.local_addr().map(Address::Ip),
            Self::Unix(stream) => stream.local_addr().map(|address| name(&address.into())),
            Self::Tunnel(tunnel) => tunnel.transport().local(),
        }
    }

    /// For options, and for calls that tokio has no name for.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
            Self::Tunnel(tunnel) => tunnel.transport().socket(),
        }
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
            Self::Tunnel(tunnel) => Box::pin(tunnel.transport().ready(interest)).await,
        }
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
            // Only connections that linger are read like this.
            Self::Tunnel(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn try_write(&mut self, data: &[u8]) -> io::Result<usize> {
        if let Self::Tunnel(tunnel) = self {
            return tunnel.write(None, &[IoSlice::new(data)]);
        }
        self.try_io(Interest::WRITABLE, |socket| send(socket, data))
    }

    /// Makes a call that does not wait, if the socket was not found to have to.
    fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, || call(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || call(stream.as_fd())),
            // Its bytes do not come from a socket.
            Self::Tunnel(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn try_write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(data),
            Self::Unix(stream) => stream.try_write_vectored(data),
            Self::Tunnel(tunnel) => tunnel.write(None, data),
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(match self {
                Self::Tcp(stream) => stream.poll_read_ready(cx),
                Self::Unix(stream) => stream.poll_read_ready(cx),
                Self::Tunnel(tunnel) => return tunnel.poll_read(cx, buf),
            })?;
            let room = buf.initialize_unfilled();
            let size = room.len();
            let moved = self.move_some(Interest::READABLE, size, |socket| receive(socket, room));
            if let Poll::Ready(moved) = moved {
                buf.advance(moved?);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Ready when the peer has ended its side or the connection has failed, whatever is still unread. Takes nothing. True if the
    /// next read has to ask the kernel first: that something is unread was known and is forgotten, so that the task is woken by
    /// what comes next.
    pub(crate) fn poll_read_closed(&self, cx: &mut Context<'_>) -> (Poll<()>, bool) {
        let mut forgotten = false;
        loop {
            let ready = match self {
                Self::Tcp(stream) => stream.poll_read_ready(cx),
                Self::Unix(stream) => stream.poll_read_ready(cx),
                Self::Tunnel(_) => Poll::Pending,
            };
            if ready.is_pending() {
                return (Poll::Pending, forgotten);
            }
            if self.is_read_closed() {
                return (Poll::Ready(()), forgotten);
            }
            let forget: io::Result<()> =
                self.try_io(Interest::READABLE, |_| Err(io::ErrorKind::WouldBlock.into()));
            forgotten |= forget.is_err();
        }
    }

    fn is_read_closed(&self) -> bool {
        let ready = pin!(self.ready(Interest::READABLE));
        let known = ready.poll(&mut Context::from_waker(Waker::noop()));
        matches!(known, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Reads what the kernel has, whether or not it has said that there is something.
    pub(crate) fn read_now(&self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let received = match self {
            Self::Tcp(stream) => receive(stream.as_fd(), room),
            Self::Unix(stream) => receive(stream.as_fd(), room),
            Self::Tunnel(_) => return Poll::Pending,
        };
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            received => Poll::Ready(received.map(|size| buf.advance(size))),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Self::Tcp(stream) => stream.poll_write_ready(cx),
                Self::Unix(stream) => stream.poll_write_ready(cx),
                Self::Tunnel(tunnel) => return poll_tunnel(&mut **tunnel, cx, &[IoSlice::new(data)]),
            })?;
            let moved = self.move_some(Interest::WRITABLE, data.len(), |socket| send(socket, data));
            if moved.is_ready() {
                return moved;
            }
        }
    }

    /// Moves up to `size` bytes now. Where the kernel moves fewer there is no more to move, and the next call waits for the
    /// kernel to say so instead of asking it. Pending: nothing could be moved, and no waker is registered.
    fn move_some(
        &self,
        interest: Interest,
        size: usize,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut part = None;
        let moved = self.try_io(interest, |socket| {
            let moved = call(socket)?;
            if (1..size).contains(&moved) {
                part = Some(moved);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(moved)
        });
        match (moved, part) {
            (_, Some(part)) => Poll::Ready(Ok(part)),
            (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            (moved, None) => Poll::Ready(moved),
        }
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Tunnel(tunnel) => poll_tunnel(&mut **tunnel, cx, data),
        }
    }

    /// Ends this side of the connection; the peer may go on.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        if let Self::Tunnel(tunnel) = self {
            tunnel.say_goodbye();
            return tunnel.transport_mut().shutdown_write();
        }
        match self.socket().shutdown(Shutdown::Write) {
            // Both sides have ended already; if that was no good end, a read tells.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => ended,
        }
    }

    /// Leaves the thread's runtime, for that of another thread.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Self::Unix(stream) => Detached::Unix(stream.into_std()?),
            // Its end is not waited for.
            Self::Tunnel(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

fn poll_tunnel(
    tunnel: &mut dyn Tunnel,
    cx: &mut Context<'_>,
    data: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    match tunnel.write(Some(cx), data) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        written => Poll::Ready(written),
    }
}

// The C library's calls are points at which a thread may be cancelled, and pay four atomic operations for it.

fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (received, _) = retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::empty()))?;
    Ok(received)
}

fn send(socket: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::send(socket, data, NO_SIGNAL))?)
}

/// A peer that is gone is an error, and no signal.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// A transport between two runtimes.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    pub(crate) fn attach(self) -> io::Result<Transport> {
        Ok(match self {
            Self::Tcp(stream) => Transport::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Transport::Unix(UnixStream::from_std(stream)?),
        })
    }
}

fn name(address: &std::os::unix::net::SocketAddr) -> Address {
    if let Some(path) = address.as_pathname() {
        return Address::Path(path.to_owned());
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(address) {
        return Address::Path(PathBuf::from(format!("@{}", String::from_utf8_lossy(name))));
    }
    Address::Path(PathBuf::from("@"))
}
