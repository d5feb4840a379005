//! Connections through a proxy: it connects to the server, and passes on what it does not understand.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;

use memchr::memmem;

use super::settings::{Proxy, ProxyKind};
use super::socks::{Socks, SocksError, Step};
use crate::counted::WireBytes;
use crate::dial::{DialProgress, Dialer, Target};
use crate::dial_options::DialOptions;
use crate::error::NetError;
use crate::network::Network;
use crate::stream::Stream;
use crate::tls::Security;

/// In bytes: the longest answer of a proxy that makes a tunnel.
const MAX_ANSWER: usize = 16 * 1024;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The proxy, or the server behind it, cannot be reached, or the connection broke.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The proxy does not connect to the server: its own words.
    #[error("{0}")]
    Refused(String),
    #[error("socks connect tcp {proxy}->{server}: {error}")]
    Socks { proxy: String, server: String, error: SocksError },
    /// The proxy has ended the connection before its answer was complete.
    #[error("{}", if *.in_answer { "unexpected EOF" } else { "EOF" })]
    Ended { in_answer: bool },
    #[error("the proxy answered CONNECT with more than {MAX_ANSWER} bytes")]
    Endless,
    /// The answer is not HTTP.
    #[error("{0}")]
    Answer(String),
}

/// Connects to a proxy, over TLS if it is one that is spoken to like this.
pub async fn dial_proxy(
    dialer: &Dialer,
    proxy: &Proxy,
    local_ip: Option<IpAddr>,
    wire: &Rc<WireBytes>,
    progress: &DialProgress,
) -> Result<Stream, NetError> {
    let tls = matches!(proxy.kind, ProxyKind::Https).then(Security::default);
    let options = DialOptions { tls, local_ip, ..DialOptions::default() };
    let target = Target::Host { host: &proxy.host, port: i64::from(proxy.port) };
    dialer.dial(target, &options, wire, progress).await
}

/// Connects to a server through a proxy. With `security`, the handshake is made with the server; without, what has come behind the
/// proxy's answer is given back, too.
pub async fn dial_through(
    dialer: &Dialer,
    proxy: &Proxy,
    (host, port): (&str, i64),
    security: Option<&Security<'_>>,
    local_ip: Option<IpAddr>,
    wire: &Rc<WireBytes>,
    progress: &DialProgress,
) -> Result<(Stream, Vec<u8>), TunnelError> {
    let mut stream = dial_proxy(dialer, proxy, local_ip, wire, progress).await?;
    let read_ahead = match proxy.kind {
        ProxyKind::Http | ProxyKind::Https => connect(&mut stream, proxy, host, port).await?,
        ProxyKind::Socks => {
            socks(&mut stream, proxy, host, port).await?;
            Vec::new()
        }
    };
    match security {
        None => Ok((stream, read_ahead)),
        Some(security) => {
            let secured = dialer.secure_tunnel(stream, &read_ahead, host, security, progress).await;
            Ok((secured?, Vec::new()))
        }
    }
}

/// Has a proxy of HTTP connect to the server; gives back what came behind its answer.
async fn connect(stream: &mut Stream, proxy: &Proxy, host: &str, port: i64) -> Result<Vec<u8>, TunnelError> {
    let server = server(host, port);
    let mut head = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    if let Some(authorization) = proxy.authorization() {
        head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    let end = loop {
        if let Some(end) = memmem::find(&answer, b"\r\n\r\n") {
            break end + 4;
        }
        if answer.len() > MAX_ANSWER {
            return Err(TunnelError::Endless);
        }
        let mut buffer = [0; 1024];
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await? {
            0 => return Err(TunnelError::Ended { in_answer: !answer.is_empty() }),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    };
    match status_line(&answer[..end])? {
        (200, _) => Ok(answer.split_off(end)),
        // The reference gives the words of the proxy alone.
        (status, "") => Err(TunnelError::Refused(status.to_string())),
        (_, words) => Err(TunnelError::Refused(words.to_owned())),
    }
}

/// The status of an answer, and the words behind it.
fn status_line(head: &[u8]) -> Result<(u16, &str), TunnelError> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let parts = std::str::from_utf8(line).ok().and_then(|line| {
        let (version, rest) = line.split_once(' ')?;
        let (code, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_status = version.starts_with("HTTP/1.") && code.len() == 3;
        Some((code.parse().ok().filter(|_| is_status)?, words))
    });
    let malformed = || format!("malformed HTTP response {:?}", String::from_utf8_lossy(line));
    parts.ok_or_else(|| TunnelError::Answer(malformed()))
}

/// Has a SOCKS proxy connect to the server.
async fn socks(stream: &mut Stream, proxy: &Proxy, host: &str, port: i64) -> Result<(), TunnelError> {
    let failed = |error| TunnelError::Socks {
        proxy: server(&proxy.host, proxy.port.into()),
        server: server(host, port),
        error,
    };
    let number = u16::try_from(port).map_err(|_| NetError::InvalidPort { network: Network::Tcp, port })?;
    let mut socks = Socks::new(proxy, host, number).map_err(failed)?;
    let mut step = socks.begin();
    loop {
        let count = match step {
            Step::Ask(message, count) => {
                stream.write_all(&message).await?;
                count
            }
            Step::Read(count) => count,
            Step::Done => return Ok(()),
        };
        // The longest answer has a name in it.
        let mut answer = [0; u8::MAX as usize + 2];
        let mut filled = 0;
        while filled < count {
            match poll_fn(|cx| stream.poll_read(cx, &mut answer[filled..count])).await? {
                0 => return Err(TunnelError::Ended { in_answer: filled > 0 }),
                read => filled += read,
            }
        }
        step = socks.next(&answer[..count]).map_err(failed)?;
    }
}

fn server(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
