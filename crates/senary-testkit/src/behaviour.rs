//! What a server does with a connection, good or bad.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection::{Connection, TlsEnd};
use crate::protocol;
use crate::websocket::WebSocketPeer;

/// How a server treats each connection. All but [`Behaviour::NeverReads`] read to the end, so that the bytes they
/// count are the bytes that were sent.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Sends back what it gets; closes when the peer has.
    Echo,
    /// Reads and never answers.
    Sink,
    /// Answers the first input, closes its sending side, and goes on reading.
    HalfClose {
        reply: &'static str,
    },
    /// Closes in good order right after accepting.
    Slam,
    ResetAtAccept,
    /// Resets after the first input. For a TLS client this is in the middle of the handshake.
    ResetAfterFirstByte,
    /// Answers the first input, then resets.
    ResetAfterReply {
        reply: &'static str,
    },
    /// Reads a byte, pauses, and so on; the kernel's receive buffer is small.
    SlowReader {
        pause: Duration,
    },
    /// Greets, pauses, then reads to the end; the kernel's receive buffer is small.
    ReadsLate {
        greeting: &'static str,
        pause: Duration,
    },
    /// Pauses, says something, then reads to the end; the kernel's receive buffer is small.
    SpeaksLate {
        words: &'static str,
        pause: Duration,
    },
    /// Accepts, then neither reads nor writes; the kernel's receive buffer is small.
    NeverReads,
    /// Answers the first input with bytes that are not TLS, then closes.
    Garbage,
    /// Sends chunks at an interval, waits for nothing, then closes.
    Chunks {
        chunks: &'static [&'static str],
        gap: Duration,
    },
    /// Sends this many bytes after the first input (without end: `u64::MAX`), byte `i` being `i % 251`; then closes.
    Sends {
        bytes: u64,
    },
    /// Over TLS: answers the first input with this many bytes, byte `i` being `i % 251`, and ends the connection in the same
    /// segment; then reads to the end.
    EndsTls {
        bytes: usize,
        end: TlsEnd,
    },
    /// A small subset of Redis' protocol: PING, ECHO, SET, GET, DEL, INCR, QUIT.
    Resp,
    /// Takes mail, with STARTTLS or without.
    Smtp,
    /// Frames of a 4-byte big-endian length and a payload; answers each with the payload reversed, in pieces.
    LengthPrefixed,
    /// PING, ECHO text, SET key value, GET key, QUIT: one a line.
    Lines,
    /// Takes the request of a WebSocket.
    WebSocket(WebSocketPeer),
    /// Answers each input with bytes that mean nothing in any protocol.
    Babbles,
    /// Passes everything on to a server there, and back.
    Relay(SocketAddr),
    /// Behaves so until it has sent this many bytes; then it closes its side in good order, and reads on.
    HangsUpAfter {
        behaviour: Box<Behaviour>,
        bytes: usize,
    },
    /// Behaves so for a time at most, then closes; with a reset if there is something it has not read.
    Briefly {
        behaviour: Box<Behaviour>,
        limit: Duration,
    },
}

/// Contains no line, length or code that a client could mistake for an answer.
const BABBLE: &[u8] = b"\xff\xfe!@#\x01\x02 what? \x7f\x80\xff\xff\xff";

const SMALL_BUFFER: usize = 4096;

impl Behaviour {
    /// The receive buffer the listener asks for, where the kernel's default would hide the behaviour.
    pub(crate) fn receive_buffer(&self) -> Option<usize> {
        match self {
            Self::SlowReader { .. } | Self::ReadsLate { .. } | Self::SpeaksLate { .. } | Self::NeverReads => {
                Some(SMALL_BUFFER)
            }
            Self::Briefly { behaviour, .. } | Self::HangsUpAfter { behaviour, .. } => {
                behaviour.receive_buffer()
            }
            _ => None,
        }
    }

    pub(crate) async fn serve(&self, mut c: Connection) -> io::Result<()> {
        match self {
            Self::Echo => {
                while let Some(data) = c.read().await? {
                    c.write(&data).await?;
                }
                c.close_sending().await
            }
            Self::Sink => c.read_to_end().await,
            Self::HalfClose { reply } => {
                c.read().await?;
                c.write(reply.as_bytes()).await?;
                c.close_sending().await?;
                c.read_to_end().await
            }
            Self::Slam => c.close_sending().await,
            Self::ResetAtAccept => c.reset(),
            Self::ResetAfterFirstByte => {
                c.read().await?;
                c.reset()
            }
            Self::ResetAfterReply { reply } => {
                c.read().await?;
                c.write(reply.as_bytes()).await?;
                c.reset()
            }
            Self::SlowReader { pause } => {
                while c.read_up_to(1).await?.is_some() {
                    tokio::time::sleep(*pause).await;
                }
                Ok(())
            }
            Self::ReadsLate { greeting, pause } => {
                c.write(greeting.as_bytes()).await?;
                tokio::time::sleep(*pause).await;
                c.read_to_end().await
            }
            Self::SpeaksLate { words, pause } => {
                tokio::time::sleep(*pause).await;
                c.write(words.as_bytes()).await?;
                c.read_to_end().await
            }
            Self::NeverReads => std::future::pending().await,
            Self::Garbage => {
                c.read().await?;
                c.write(b"this is no TLS, and never will be\r\n").await?;
                c.close_sending().await?;
                c.read_to_end().await
            }
            Self::Chunks { chunks, gap } => {
                for chunk in *chunks {
                    c.write(chunk.as_bytes()).await?;
                    tokio::time::sleep(*gap).await;
                }
                c.close_sending().await?;
                c.read_to_end().await
            }
            Self::Sends { bytes } => send(&mut c, *bytes).await,
            Self::EndsTls { bytes, end } => {
                c.read().await?;
                let answer: Vec<u8> = (0..*bytes).map(|i| (i % PERIOD) as u8).collect();
                c.write_and_end(&answer, *end).await?;
                c.read_to_end().await
            }
            Self::Resp => protocol::resp(&mut c).await,
            Self::Smtp => protocol::smtp(&mut c).await,
            Self::LengthPrefixed => protocol::length_prefixed(&mut c).await,
            Self::Lines => protocol::lines(&mut c).await,
            Self::WebSocket(peer) => peer.serve(c).await,
            Self::Babbles => {
                while c.read().await?.is_some() {
                    c.write(BABBLE).await?;
                }
                c.close_sending().await
            }
            Self::Relay(to) => relay(&mut c, *to).await,
            Self::HangsUpAfter { behaviour, bytes } => {
                c.sends_at_most(*bytes);
                Box::pin(behaviour.serve(c)).await
            }
            Self::Briefly { behaviour, limit } => {
                tokio::time::timeout(*limit, Box::pin(behaviour.serve(c))).await?
            }
        }
    }
}

async fn relay(c: &mut Connection, to: SocketAddr) -> io::Result<()> {
    let mut behind = TcpStream::connect(to).await?;
    behind.set_nodelay(true)?;
    let (mut answer, mut is_asking) = (vec![0; RELAYED], true);
    loop {
        tokio::select! {
            asked = c.read(), if is_asking => match asked? {
                Some(asked) => behind.write_all(&asked).await?,
                None => {
                    is_asking = false;
                    behind.shutdown().await?;
                }
            },
            answered = behind.read(&mut answer) => match answered? {
                0 => {
                    // If it is frozen, not even the end is passed on.
                    c.write(&[]).await?;
                    c.close_sending().await?;
                    return c.read_to_end().await;
                }
                length => c.write(&answer[..length]).await?,
            },
        }
    }
}

const RELAYED: usize = 64 * 1024;

const PERIOD: usize = 251;

async fn send(c: &mut Connection, bytes: u64) -> io::Result<()> {
    c.read().await?;
    // Whole periods, so that every block begins where the pattern does.
    let block: Vec<u8> = (0..PERIOD * 256).map(|i| (i % PERIOD) as u8).collect();
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        c.write(&block[..now]).await?;
        left -= now as u64;
    }
    c.close_sending().await?;
    c.read_to_end().await
}
