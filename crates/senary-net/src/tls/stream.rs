//! TLS of one connection: rustls, driven over a connection that counts.
//!
//! Data that the peer sent before an error is read first: the error waits until all decrypted data has been read.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::ReadBuf;

use super::info::TlsInfo;
use super::ocsp;
use super::record::Records;
use crate::counted::Counted;
use crate::transport::{Transport, Tunnel};

/// The most that one system call takes from the kernel, in bytes.
const MAX_RECEIVED: usize = 32 * 1024;
/// The same during a handshake: data that comes right behind it has to fit into rustls's buffer.
const MAX_IN_HANDSHAKE: usize = 4 * 1024;

thread_local! {
    /// Received bytes on their way to rustls. One per worker, because rustls copies it at once.
    static RECEIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(crate) struct TlsStream {
    counted: Counted,
    session: ClientConnection,
    records: Records,
    /// What the server has stapled to the handshake.
    stapled: Option<Box<[u8]>>,
    /// Why nothing more will come. `Ok`: the peer has closed its side.
    end: Option<io::Result<()>>,
}

impl TlsStream {
    /// Makes the handshake; `read_ahead` has been received already. If that fails, the connection comes back with the error.
    pub(crate) async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        counted: Counted,
        read_ahead: &[u8],
    ) -> Result<Self, (io::Error, Counted)> {
        let session = match ClientConnection::new(config, name) {
            Ok(session) => session,
            Err(error) => return Err((io::Error::other(error), counted)),
        };
        let mut stream = Self { counted, session, records: Records::default(), stapled: None, end: None };
        stream.decrypt(read_ahead, &mut ReadBuf::new(&mut []));
        stream.stapled = ocsp::take();
        match std::future::poll_fn(|cx| stream.poll_handshake(cx)).await {
            Ok(()) => Ok(stream),
            Err(error) => Err((error, stream.counted)),
        }
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let sent = self.send(Some(cx));
            if !self.session.is_handshaking() {
                return match sent {
                    Ok(true) => Poll::Ready(Ok(())),
                    Ok(false) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                };
            }
            if let Some(end) = self.end.take() {
                let error = end.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                // A peer that has gone is noticed by a write before a read sees the alert that says why.
                return Poll::Ready(Err(if is_tls(&error) { error } else { sent.err().unwrap_or(error) }));
            }
            let received = self.poll_receive(cx, MAX_IN_HANDSHAKE, &mut ReadBuf::new(&mut []));
            self.stapled = ocsp::take().or(self.stapled.take());
            match (received, sent) {
                (Poll::Ready(()), _) => {}
                (Poll::Pending, Ok(_)) => return Poll::Pending,
                (Poll::Pending, Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Reads the data that is there; reads nothing if the peer has closed its side.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, data: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            self.take_decrypted(data);
            if !data.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = &mut self.end {
                return Poll::Ready(std::mem::replace(end, Ok(())));
            }
            // Together with an incomplete record, received bytes decrypt to at most the same number of bytes.
            let limit = data.remaining().saturating_sub(self.records.incomplete());
            ready!(self.poll_receive(cx, limit, data));
        }
    }

    /// Takes at most `limit` bytes from the kernel and decrypts them.
    fn poll_receive(&mut self, cx: &mut Context<'_>, limit: usize, data: &mut ReadBuf<'_>) -> Poll<()> {
        // Taken out meanwhile: the connection below may be one of TLS, too.
        let mut received = RECEIVED.take();
        received.resize(MAX_RECEIVED, 0);
        let polled = self.receive(cx, &mut received[..limit.clamp(1, MAX_RECEIVED)], data);
        RECEIVED.set(received);
        polled
    }

    fn receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], data: &mut ReadBuf<'_>) -> Poll<()> {
        let mut received = ReadBuf::new(buffer);
        match ready!(self.counted.poll_read(cx, &mut received)) {
            Ok(()) if received.filled().is_empty() => self.end = Some(self.records.end()),
            Ok(()) => {
                self.decrypt(received.filled(), data);
                // Key updates are answered, and errors are sent to the peer. If that fails, the next write fails again.
                let _ = self.send(Some(cx));
            }
            Err(error) => self.end = Some(Err(error)),
        }
        Poll::Ready(())
    }

    fn decrypt(&mut self, mut received: &[u8], data: &mut ReadBuf<'_>) {
        self.records.note(received);
        while !received.is_empty() && self.end.is_none() {
            let processed = self.session.read_tls(&mut received).and_then(|_| {
                self.session.process_new_packets().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
            });
            self.take_decrypted(data);
            match processed {
                Ok(state) if state.peer_has_closed() => self.end = Some(Ok(())),
                Ok(_) => {}
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    fn take_decrypted(&mut self, data: &mut ReadBuf<'_>) {
        // The reader's errors say that nothing is there, and why is known here already.
        let taken = self.session.reader().read(data.initialize_unfilled()).unwrap_or(0);
        data.advance(taken);
    }

    /// Encrypts and writes what the kernel takes now. How many bytes were taken, and whether all of them are on their
    /// way. With a context, its task is woken as soon as more can be written.
    pub(crate) fn write(
        &mut self,
        mut cx: Option<&mut Context<'_>>,
        data: &[u8],
    ) -> io::Result<(usize, bool)> {
        let mut taken = 0;
        loop {
            let before = taken;
            taken += self.session.writer().write(&data[taken..])?;
            match self.send(cx.as_deref_mut()) {
                Ok(true) if taken < data.len() => {}
                Ok(all) => return Ok((taken, all)),
                // The next call meets it again.
                Err(_) if before > 0 => return Ok((before, false)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The same for several pieces, which share records and system calls. The kernel may not take all of them.
    pub(crate) fn write_vectored(
        &mut self,
        mut cx: Option<&mut Context<'_>>,
        data: &[IoSlice<'_>],
    ) -> io::Result<(usize, bool)> {
        let is_empty = data.iter().all(|piece| piece.is_empty());
        loop {
            let taken = self.session.writer().write_vectored(data)?;
            match self.send(cx.as_deref_mut())? {
                // There was no room for it, and now there is.
                true if taken == 0 && !is_empty => {}
                all => return Ok((taken, all)),
            }
        }
    }

    /// Writes what was encrypted. Whether the kernel took all of it.
    pub(crate) fn send(&mut self, mut cx: Option<&mut Context<'_>>) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire { counted: &mut self.counted, cx: cx.as_deref_mut() }) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Tells the peer that nothing more will come, and ends this side of the connection.
    pub(crate) fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Once: rustls remembers it.
        self.session.send_close_notify();
        match self.send(Some(cx)) {
            Ok(true) => Poll::Ready(self.counted.transport.shutdown_write()),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    pub(crate) fn info(&self) -> TlsInfo {
        TlsInfo::of(&self.session, self.stapled.as_deref())
    }

    /// Tells the peer that nothing more will come, if the kernel takes that now.
    pub(crate) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        // No caller is left that a failure could be reported to.
        let _ = self.send(None);
    }

    /// Whether something was encrypted that the kernel has not taken yet.
    pub(crate) fn holds_back(&self) -> bool {
        self.session.wants_write()
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.counted
    }

    pub(crate) fn into_parts(self) -> (Counted, ClientConnection) {
        (self.counted, self.session)
    }
}

impl Tunnel for TlsStream {
    fn transport(&self) -> &Transport {
        &self.counted.transport
    }

    fn transport_mut(&mut self) -> &mut Transport {
        &mut self.counted.transport
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A read meets the same error.
        let _ = self.send(Some(cx));
        self.poll_read(cx, buf)
    }

    fn write(&mut self, cx: Option<&mut Context<'_>>, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.write_vectored(cx, data)? {
            (0, false) => Err(io::ErrorKind::WouldBlock.into()),
            (taken, _) => Ok(taken),
        }
    }

    fn say_goodbye(&mut self) {
        self.say_goodbye();
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The writing side of a connection for rustls.
struct Wire<'a, 'b, 'c> {
    counted: &'a mut Counted,
    cx: Option<&'b mut Context<'c>>,
}

impl Write for Wire<'_, '_, '_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(data)])
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.cx {
            None => self.counted.try_write_vectored(data),
            Some(cx) => match self.counted.poll_write_vectored(cx, data) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
