//! A connected socket, plain or TLS, with one way to read and one to write.
//!
//! Nothing here waits: reads and writes either move bytes now or register the caller's waker. Bytes on the wire
//! are counted, TLS overhead included.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use socket2::TcpKeepalive;
use tokio::io::ReadBuf;

use crate::counted::Counted;
use crate::error::NetError;
use crate::network::{Address, Ends, Network};
use crate::tcp::TcpInfo;
use crate::tls::{TlsInfo, TlsStream};
use crate::transport::Transport;
use crate::{lingering, tls};

/// When a peer sends something, it has read the request: at least this many written bytes count as answered, or as many as it sends.
const ANSWERED: usize = 16 * 1024;

/// k6's value, for the silence before the first probe and between two probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub struct Stream {
    inner: Inner,
    remote: Address,
    /// How many written bytes have not been answered yet, as far as that can be known.
    unanswered: usize,
    /// This side has ended: nothing more may be written.
    write_ended: bool,
}

enum Inner {
    Plain(Counted),
    Tls(Box<TlsStream>),
}

impl Stream {
    pub(crate) fn plain(stream: Counted, remote: Address) -> Self {
        Self { inner: Inner::Plain(stream), remote, unanswered: 0, write_ended: false }
    }

    pub(crate) fn tls(stream: TlsStream, remote: Address) -> Self {
        Self { inner: Inner::Tls(Box::new(stream)), remote, unanswered: 0, write_ended: false }
    }

    /// The connection below, in order to encrypt it.
    pub(crate) fn into_plain(self) -> Result<(Counted, Address), NetError> {
        match self.inner {
            Inner::Plain(counted) => Ok((counted, self.remote)),
            Inner::Tls(_) => Err(NetError::Tls {
                code: "ERR_TLS_ALREADY",
                text: "the connection is encrypted already".to_owned(),
            }),
        }
    }

    /// The connection as what carries another one, in order to encrypt that.
    pub(crate) fn into_tunnel(self) -> (Counted, Address) {
        let counted = match self.inner {
            Inner::Plain(counted) => counted,
            // The connection below counts what goes over the wire.
            Inner::Tls(stream) => Counted::new(Transport::Tunnel(stream), Rc::default()),
        };
        (counted, self.remote)
    }

    /// Asks the kernel each time, because most connections never need it.
    pub fn local(&self) -> io::Result<Address> {
        self.counted().transport.local()
    }

    pub fn remote(&self) -> &Address {
        &self.remote
    }

    /// Both ends, for the text of an error.
    pub fn ends(&self) -> Ends {
        self.counted().ends(&self.remote)
    }

    /// Reads what is there; 0 means the peer has closed its side. Over TLS it may do so without a `close_notify`,
    /// but not in the middle of a record.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, NetError>> {
        let mut buf = ReadBuf::new(buffer);
        let read = match &mut self.inner {
            Inner::Plain(counted) => counted.poll_read(cx, &mut buf),
            Inner::Tls(stream) => stream.poll_read(cx, &mut buf),
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
            Err(error) => {
                Err(tls::ended(&error).unwrap_or_else(|| NetError::Read { ends: self.ends(), error }))
            }
        })
    }

    /// Ready when the peer has ended its side or the connection has failed. Takes nothing: what is unread can be read then, and
    /// behind it how it ended.
    pub fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.counted().poll_read_closed(cx)
    }

    /// Writes what the kernel takes now, without waiting. How many bytes were taken, and whether all of them are on
    /// their way: TLS may hold back some, which [`poll_flush`](Self::poll_flush) sends.
    pub fn try_write(&mut self, data: &[u8]) -> Result<(usize, bool), NetError> {
        let written = match &mut self.inner {
            Inner::Plain(counted) => match counted.try_write(data) {
                Ok(n) => Ok((n, true)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, true)),
                Err(error) => Err(error),
            },
            Inner::Tls(_) if self.write_ended => Err(Errno::PIPE.into()),
            Inner::Tls(stream) => stream.write(None, data),
        };
        if let Ok((n, _)) = &written {
            self.unanswered += n;
        }
        written.map_err(|error| self.write_error(error))
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let written = match &mut self.inner {
            Inner::Plain(counted) => ready!(counted.poll_write(cx, data)),
            Inner::Tls(_) if self.write_ended => Err(Errno::PIPE.into()),
            Inner::Tls(stream) => match stream.write(Some(cx), data) {
                Ok((0, false)) => return Poll::Pending,
                written => written.map(|(n, _)| n),
            },
        };
        self.unanswered += written.as_ref().unwrap_or(&0);
        Poll::Ready(written.map_err(|error| self.write_error(error)))
    }

    /// As [`try_write`](Self::try_write), for several messages at once: one system call, and over TLS as few records as they
    /// fit into.
    pub fn try_write_vectored(&mut self, data: &[IoSlice<'_>]) -> Result<(usize, bool), NetError> {
        let written = match &mut self.inner {
            Inner::Plain(counted) => match counted.try_write_vectored(data) {
                Ok(n) => Ok((n, true)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, true)),
                Err(error) => Err(error),
            },
            Inner::Tls(_) if self.write_ended => Err(Errno::PIPE.into()),
            Inner::Tls(stream) => stream.write_vectored(None, data),
        };
        if let Ok((n, _)) = &written {
            self.unanswered += n;
        }
        written.map_err(|error| self.write_error(error))
    }

    /// As [`poll_write`](Self::poll_write), for several messages at once.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize, NetError>> {
        let written = match &mut self.inner {
            Inner::Plain(counted) => ready!(counted.poll_write_vectored(cx, data)),
            Inner::Tls(_) if self.write_ended => Err(Errno::PIPE.into()),
            Inner::Tls(stream) => match stream.write_vectored(Some(cx), data) {
                Ok((0, false)) => return Poll::Pending,
                written => written.map(|(n, _)| n),
            },
        };
        self.unanswered += written.as_ref().unwrap_or(&0);
        Poll::Ready(written.map_err(|error| self.write_error(error)))
    }

    pub(crate) async fn write_all(&mut self, mut data: &[u8]) -> Result<(), NetError> {
        while !data.is_empty() {
            let written = poll_fn(|cx| self.poll_write(cx, data)).await?;
            data = &data[written..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Ends this side of the connection (FIN; over TLS after `close_notify`), behind everything that was written. The peer may
    /// go on, and is read as before.
    pub fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.write_ended = true;
        let ended = match &mut self.inner {
            Inner::Plain(counted) => counted.transport.shutdown_write(),
            Inner::Tls(stream) => ready!(stream.poll_shutdown_write(cx)),
        };
        Poll::Ready(ended.map_err(|error| self.write_error(error)))
    }

    /// How it is encrypted, if it is.
    pub fn tls_info(&self) -> Option<TlsInfo> {
        match &self.inner {
            Inner::Plain(_) => None,
            Inner::Tls(stream) => Some(stream.info()),
        }
    }

    /// What TCP has measured until now; `None` for Unix sockets, and where the system does not tell.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        TcpInfo::of(&self.counted().transport)
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let flushed = match &mut self.inner {
            Inner::Plain(_) => return Poll::Ready(Ok(())),
            Inner::Tls(stream) => stream.send(Some(cx)),
        };
        match flushed {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(self.write_error(error))),
        }
    }

    /// Has TCP probe the peer whenever nothing has moved for half a minute. That costs three system calls, which
    /// a short connection does not need, so the caller decides when it is worth them. A Unix socket needs no probes.
    pub fn keep_alive(&self) -> io::Result<()> {
        if self.counted().transport.network() == Network::Unix {
            return Ok(());
        }
        let probes = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        self.counted().transport.socket().set_tcp_keepalive(&probes)
    }

    /// Ends the connection at once with a TCP reset (RST). Written data that was not sent yet is lost.
    pub fn reset(self) {
        // A socket that cannot be reset is closed.
        let _ = self.counted().transport.socket().set_linger(Some(Duration::ZERO));
    }

    /// Ends the connection without delaying the caller. Written data still arrives if the peer takes it within a moment.
    pub fn close(mut self) {
        if let Inner::Tls(stream) = &mut self.inner {
            stream.say_goodbye();
        }
        self.counted().forget_unread();
        if self.unanswered == 0 || self.is_delivered() {
            return;
        }
        match self.inner {
            Inner::Plain(counted) => lingering::close(counted.transport, None),
            Inner::Tls(stream) => {
                let (counted, tls) = stream.into_parts();
                lingering::close(counted.transport, tls.wants_write().then(|| Box::new(tls)));
            }
        }
    }

    /// Whether the peer has everything already: what is written to a Unix socket is in its queue, and stays there.
    fn is_delivered(&self) -> bool {
        let held_back = matches!(&self.inner, Inner::Tls(stream) if stream.holds_back());
        self.counted().transport.network() == Network::Unix && !held_back
    }

    fn counted(&self) -> &Counted {
        match &self.inner {
            Inner::Plain(counted) => counted,
            Inner::Tls(stream) => stream.counted(),
        }
    }

    fn write_error(&self, error: io::Error) -> NetError {
        NetError::Write { ends: self.ends(), error }
    }
}
