//! Connects: directly, to a proxy that forwards requests, or through a tunnel that a proxy makes.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use super::error::HttpError;
use super::exchange::Head;
use super::http1;
use super::pool::Way;
use super::proxy::{Proxies, Proxy};
use super::request::HttpTarget;
use crate::counted::WireBytes;
use crate::dial::{DialProgress, Dialer, Target};
use crate::dial_options::DialOptions;
use crate::stream::Stream;
use crate::tls::{Security, TlsOverrides};

/// In bytes: the longest answer of a proxy that makes a tunnel.
const MAX_ANSWER: usize = 16 * 1024;

/// What is offered to servers that may speak HTTP/2.
static WITH_HTTP2: LazyLock<TlsOverrides> = LazyLock::new(|| TlsOverrides {
    alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
    ..TlsOverrides::NONE
});

/// How a target is reached.
pub(super) struct Path<'a> {
    target: &'a HttpTarget,
    proxy: Option<Proxy>,
}

impl<'a> Path<'a> {
    pub(super) fn to(target: &'a HttpTarget, proxies: &Proxies) -> Result<Self, HttpError> {
        let proxy = match proxies.is_empty() {
            true => None,
            false => {
                // A port that does not exist is told by the dial.
                let port = u16::try_from(target.port).unwrap_or_default();
                proxies.to(target.secure, &target.host, port)?
            }
        };
        Ok(Self { target, proxy })
    }

    /// What its connections are kept for.
    pub(super) fn way(&self) -> Way<'_> {
        let HttpTarget { secure, host, port, .. } = self.target;
        match &self.proxy {
            Some(proxy) if !secure => {
                Way { secure: false, proxied: true, host: &proxy.host, port: i64::from(proxy.port) }
            }
            _ => Way { secure: *secure, proxied: false, host, port: *port },
        }
    }

    /// If requests go to a proxy that forwards them: what it is told of who asks.
    pub(super) fn proxied(&self) -> Option<Option<Rc<str>>> {
        let proxy = self.proxy.as_ref().filter(|_| !self.target.secure)?;
        Some(proxy.authorization.as_deref().map(Rc::from))
    }

    pub(super) async fn dial(
        &self,
        dialer: &Dialer,
        local_ip: Option<IpAddr>,
        http2: bool,
        wire: &Rc<WireBytes>,
        progress: &DialProgress,
    ) -> Result<Stream, HttpError> {
        let overrides = if http2 { &WITH_HTTP2 } else { Security::default().overrides };
        let security = self.target.secure.then(|| Security { overrides, ..Security::default() });
        let plain = DialOptions { local_ip, ..DialOptions::default() };
        let HttpTarget { host, port, .. } = self.target;
        let Some(proxy) = &self.proxy else {
            let options = DialOptions { tls: security, ..plain };
            return Ok(dialer.dial(Target::Host { host, port: *port }, &options, wire, progress).await?);
        };
        let to_proxy = Target::Host { host: &proxy.host, port: i64::from(proxy.port) };
        let mut stream = dialer.dial(to_proxy, &plain, wire, progress).await?;
        let Some(security) = security else { return Ok(stream) };
        let read_ahead = tunnel(&mut stream, proxy, self.target).await?;
        Ok(dialer.secure(stream, &read_ahead, host, &security, progress).await?)
    }
}

/// Has the proxy connect to the target; gives back what came behind its answer.
async fn tunnel(stream: &mut Stream, proxy: &Proxy, target: &HttpTarget) -> Result<Vec<u8>, HttpError> {
    let HttpTarget { host, port, .. } = target;
    let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut head = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    if let Some(authorization) = &proxy.authorization {
        head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let (mut answer, mut searched) = (Vec::new(), 0);
    let end = loop {
        if let Some(end) = http1::end_of_head(&answer, searched) {
            break end;
        }
        if answer.len() > MAX_ANSWER {
            return Err(HttpError::Tunnel(format!(
                "the proxy answered CONNECT with more than {MAX_ANSWER} bytes"
            )));
        }
        searched = answer.len();
        let mut buffer = [0; 1024];
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await? {
            0 => return Err(HttpError::Ended { in_response: !answer.is_empty() }),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    };
    let (_, Head { status, reason, .. }) = http1::parse_head(&answer[..end])?;
    if status != 200 {
        // The reference gives the words of the proxy alone.
        return Err(HttpError::Tunnel(if reason.is_empty() {
            status.to_string()
        } else {
            reason.into_owned()
        }));
    }
    Ok(answer.split_off(end))
}
