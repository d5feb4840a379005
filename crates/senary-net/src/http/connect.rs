//! How a server is reached: directly, by a proxy that forwards requests, or through a tunnel that a proxy makes.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use super::error::HttpError;
use super::pool::Way;
use super::proxy::{Proxies, Proxy, dial_proxy, dial_through};
use super::request::HttpTarget;
use crate::counted::WireBytes;
use crate::dial::{DialProgress, Dialer, Target};
use crate::dial_options::DialOptions;
use crate::stream::Stream;
use crate::tls::{Security, TlsOverrides};

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
                // The dial reports an invalid port.
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
            Some(proxy) if !secure && proxy.forwards() => {
                Way { secure: false, proxied: true, host: &proxy.host, port: i64::from(proxy.port) }
            }
            _ => Way { secure: *secure, proxied: false, host, port: *port },
        }
    }

    /// The credentials for a proxy that forwards the requests.
    pub(super) fn proxied(&self) -> Option<Option<Rc<str>>> {
        let proxy = self.proxy.as_ref().filter(|proxy| !self.target.secure && proxy.forwards())?;
        Some(proxy.authorization().map(Rc::from))
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
        let HttpTarget { host, port, .. } = self.target;
        match &self.proxy {
            None => {
                let options = DialOptions { tls: security, local_ip, ..DialOptions::default() };
                Ok(dialer.dial(Target::Host { host, port: *port }, &options, wire, progress).await?)
            }
            Some(proxy) if security.is_none() && proxy.forwards() => {
                Ok(dial_proxy(dialer, proxy, local_ip, wire, progress).await?)
            }
            Some(proxy) => {
                let to = (host.as_str(), *port);
                let dialled = dial_through(dialer, proxy, to, security.as_ref(), local_ip, wire, progress);
                // A server that speaks before it is asked has no answer to a request.
                let (stream, _) = Box::pin(dialled).await?;
                Ok(stream)
            }
        }
    }
}
