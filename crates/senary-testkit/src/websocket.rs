//! A WebSocket server, from the handshake on: one that answers, and ones that do not behave.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::connection::Connection;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const EXTENSION: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

/// What a server does once it has taken the request.
#[derive(Clone, Debug)]
pub enum WebSocketPeer {
    /// Sends messages back, answers pings and closing frames.
    Echo,
    /// Says this right behind its answer, byte by byte as it stands here, then reads to the end.
    Says(Vec<u8>),
    /// Agrees to compress messages, and says this right behind its answer.
    Agrees(Vec<u8>),
    /// Says this right behind its answer, then closes its side in good order.
    SaysAndLeaves(Vec<u8>),
    /// Says this behind its answer again and again, and reads nothing.
    Floods(Vec<u8>),
    /// Answers with this in place of a handshake, then reads to the end.
    Answers(Vec<u8>),
    /// Answers with this a byte at a time, then reads to the end.
    Drips(Vec<u8>),
}

/// A frame as servers send it; `first` is its first byte.
pub fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match content.len() {
        short @ ..126 => frame.push(short as u8),
        medium @ ..65536 => {
            frame.push(126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(content);
    frame
}

impl WebSocketPeer {
    pub(crate) async fn serve(&self, mut c: Connection) -> io::Result<()> {
        let mut key = String::new();
        loop {
            let Some(line) = c.read_line().await? else { return Ok(()) };
            match line.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("sec-websocket-key") => {
                    value.clone_into(&mut key)
                }
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let digest = Sha1::new().chain_update(&key).chain_update(GUID).finalize();
        let extension = match self {
            Self::Agrees(_) => EXTENSION,
            _ => "",
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{extension}\r\n",
            STANDARD.encode(digest)
        );
        match self {
            Self::Echo => {
                c.write(answer.as_bytes()).await?;
                return echo(&mut c).await;
            }
            Self::Says(words) | Self::Agrees(words) => c.write(&[answer.as_bytes(), words].concat()).await?,
            Self::SaysAndLeaves(words) => {
                c.write(&[answer.as_bytes(), words].concat()).await?;
                c.close_sending().await?;
            }
            Self::Floods(words) => {
                c.write(answer.as_bytes()).await?;
                let many = words.repeat(64 * 1024 / words.len().max(1) + 1);
                loop {
                    c.write(&many).await?;
                }
            }
            Self::Answers(words) => c.write(words).await?,
            Self::Drips(words) => {
                for byte in words {
                    c.write(&[*byte]).await?;
                    tokio::task::yield_now().await;
                }
            }
        }
        c.read_to_end().await
    }
}

async fn echo(c: &mut Connection) -> io::Result<()> {
    loop {
        let Some(head) = c.read_exactly(2).await? else { return Ok(()) };
        let size = match head[1] & 0x7f {
            126 => c.read_exactly(2).await?,
            127 => c.read_exactly(8).await?,
            short => Some(vec![short]),
        };
        let Some(size) = size else { return Ok(()) };
        let length = size.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        let (Some(mask), Some(mut content)) = (c.read_exactly(4).await?, c.read_exactly(length).await?)
        else {
            return Ok(());
        };
        content.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        match head[0] & 0x0f {
            8 => {
                c.write(&frame(0x88, &content)).await?;
                c.close_sending().await?;
                return c.read_to_end().await;
            }
            9 => c.write(&frame(0x8a, &content)).await?,
            10 => {}
            kind => c.write(&frame(0x80 | kind, &content)).await?,
        }
    }
}
