//! One accepted connection: reading with the books kept, writing, and the ways to end it.

use std::io::{self, Write};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::books::Entry;
use crate::certificate::Certificate;

const READ_SIZE: usize = 64 * 1024;

/// Looks like a record of application data, and cannot be decrypted.
const NO_RECORD: [u8; 5 + 32] = {
    let mut record = [0x5a; 37];
    let header = [23, 3, 3, 0, 32];
    let mut i = 0;
    while i < header.len() {
        record[i] = header[i];
        i += 1;
    }
    record
};

/// How TLS ends, or does not, behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsEnd {
    /// With a `close_notify`, as it should.
    Goodbye,
    /// TCP ends between two records.
    Silent,
    /// TCP ends in the middle of a record.
    Cut,
    /// With a fatal alert: a bad record.
    Alert,
    /// With bytes that are not a TLS record.
    Garbage,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// It failed to become a TLS connection.
    Lost,
}

pub(crate) struct Connection {
    wire: Wire,
    entry: Entry,
    /// Read, but not asked for yet.
    ahead: Vec<u8>,
    /// How much more it sends before it hangs up.
    room: usize,
}

impl Connection {
    pub(crate) fn plain(stream: TcpStream, entry: Entry) -> Self {
        Self { wire: Wire::Plain(stream), entry, ahead: Vec::new(), room: usize::MAX }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, entry: Entry) -> Self {
        Self { wire: Wire::Tls(Box::new(stream)), entry, ahead: Vec::new(), room: usize::MAX }
    }

    /// Takes the handshake of a peer that has asked for TLS on the open connection.
    pub(crate) async fn start_tls(&mut self, certificate: Certificate) -> io::Result<()> {
        if !self.ahead.is_empty() {
            // Bytes from before the handshake could come from anyone, and must not count as encrypted.
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Wire::Plain(stream) = std::mem::replace(&mut self.wire, Wire::Lost) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let stream = TlsAcceptor::from(certificate.server_config(false)).accept(stream).await?;
        self.wire = Wire::Tls(Box::new(stream));
        Ok(())
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    /// What came; `None` when the peer has closed its side.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        self.read_up_to(READ_SIZE).await
    }

    /// Hangs up once it has sent this many bytes.
    pub(crate) fn sends_at_most(&mut self, bytes: usize) {
        self.room = bytes;
    }

    pub(crate) async fn read_up_to(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut data = vec![0; limit];
        self.entry.thaws().await;
        let read = match &mut self.wire {
            Wire::Plain(stream) => stream.read(&mut data).await?,
            Wire::Tls(stream) => stream.read(&mut data).await?,
            Wire::Lost => 0,
        };
        data.truncate(read);
        self.entry.note(&data);
        self.entry.thaws().await;
        Ok((read > 0).then_some(data))
    }

    pub(crate) async fn read_exactly(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.ahead.len() < length {
            match self.read_up_to(READ_SIZE).await? {
                Some(data) => self.ahead.extend(data),
                None => return Ok(None),
            }
        }
        let rest = self.ahead.split_off(length);
        Ok(Some(std::mem::replace(&mut self.ahead, rest)))
    }

    /// A line without its end.
    pub(crate) async fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.ahead[searched..].iter().position(|b| *b == b'\n') {
                let rest = self.ahead.split_off(searched + at + 1);
                let line = std::mem::replace(&mut self.ahead, rest);
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            searched = self.ahead.len();
            match self.read_up_to(READ_SIZE).await? {
                Some(data) => self.ahead.extend(data),
                None => return Ok(None),
            }
        }
    }

    pub(crate) async fn read_to_end(&mut self) -> io::Result<()> {
        while self.read().await?.is_some() {}
        Ok(())
    }

    pub(crate) async fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.entry.thaws().await;
        let now = data.len().min(self.room);
        self.room -= now;
        self.write_all(&data[..now]).await?;
        if now < data.len() {
            self.close_sending().await?;
            self.read_to_end().await?;
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    async fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(data).await,
            Wire::Tls(stream) => {
                stream.write_all(data).await?;
                stream.flush().await
            }
            Wire::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Over TLS: writes, and ends the connection, with one call of the system.
    pub(crate) async fn write_and_end(&mut self, data: &[u8], end: TlsEnd) -> io::Result<()> {
        let Wire::Tls(stream) = &mut self.wire else { return Err(io::ErrorKind::Unsupported.into()) };
        let (tcp, session) = stream.get_mut();
        session.set_buffer_limit(None);
        session.writer().write_all(data)?;
        match end {
            TlsEnd::Goodbye => session.send_close_notify(),
            TlsEnd::Alert => {
                // Bytes that are not a record make this side send an alert.
                session.read_tls(&mut &NO_RECORD[..])?;
                session.process_new_packets().expect_err("no record");
            }
            TlsEnd::Silent | TlsEnd::Cut | TlsEnd::Garbage => {}
        }
        let mut wire = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut wire)?;
        }
        match end {
            TlsEnd::Garbage => wire.extend(NO_RECORD),
            TlsEnd::Cut => {
                session.writer().write_all(&[b'x'; 1000])?;
                let whole = wire.len();
                session.write_tls(&mut wire)?;
                wire.truncate(whole + 500);
            }
            TlsEnd::Goodbye | TlsEnd::Silent | TlsEnd::Alert => {}
        }
        tcp.write_all(&wire).await?;
        tcp.shutdown().await
    }

    pub(crate) async fn close_sending(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.shutdown().await,
            Wire::Tls(stream) => stream.shutdown().await,
            Wire::Lost => Ok(()),
        }
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) -> io::Result<()> {
        let stream = match &self.wire {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.get_ref().0,
            Wire::Lost => return Ok(()),
        };
        SockRef::from(stream).set_linger(Some(Duration::ZERO))
    }
}
