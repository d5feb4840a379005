//! Has a proxy connect to a server, after which it passes on what it does not understand.

use senary_net::http::{Proxy, Socks, Step};
use senary_words::io_text;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Transport, WebError};

/// In bytes: the limit for the answer of a proxy before it becomes a tunnel.
const MAX_HEAD: usize = 16 << 10;

/// Makes a connection to the proxy one to the server.
pub(crate) async fn open(
    stream: &mut Box<dyn Transport>,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), WebError> {
    let opened = match proxy.forwards() {
        true => connect(stream, proxy, host, port).await,
        false => socks(stream, proxy, host, port).await,
    };
    opened.map_err(|reason| WebError::Tunnel {
        proxy: format!("{}:{}", proxy.host, proxy.port),
        host: format!("{host}:{port}"),
        reason,
    })
}

async fn connect(
    stream: &mut Box<dyn Transport>,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut head = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    if let Some(authorization) = proxy.authorization() {
        head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    head.push_str("\r\n");
    write(stream, head.as_bytes()).await?;
    // Byte by byte: what follows the empty line is the server's.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == MAX_HEAD {
            return Err("its answer has no end".to_owned());
        }
        answer.push(stream.read_u8().await.map_err(|e| io_text(&e))?);
    }
    let first = String::from_utf8_lossy(&answer);
    let first = first.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some(status) if first.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') => {
            Ok(())
        }
        _ => Err(format!("it answered {first:?}")),
    }
}

async fn socks(stream: &mut Box<dyn Transport>, proxy: &Proxy, host: &str, port: u16) -> Result<(), String> {
    let mut socks = Socks::new(proxy, host, port).map_err(|e| e.to_string())?;
    let mut step = socks.begin();
    loop {
        let count = match step {
            Step::Ask(message, count) => {
                write(stream, &message).await?;
                count
            }
            Step::Read(count) => count,
            Step::Done => return Ok(()),
        };
        let mut answer = vec![0; count];
        stream.read_exact(&mut answer).await.map_err(|e| io_text(&e))?;
        step = socks.next(&answer).map_err(|e| e.to_string())?;
    }
}

async fn write(stream: &mut Box<dyn Transport>, data: &[u8]) -> Result<(), String> {
    stream.write_all(data).await.map_err(|e| io_text(&e))?;
    stream.flush().await.map_err(|e| io_text(&e))
}
