//! Connecting: resolve, TCP handshake, TLS handshake, each step timed on its own.
//!
//! To cancel a connect, drop its future. The [`DialProgress`] keeps the times of the steps that were taken, even if a later step
//! fails or the connect is given up.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use crate::counted::{Counted, WireBytes};
use crate::dial_options::DialOptions;
use crate::error::NetError;
use crate::network::{Address, Family, Network, Route};
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::{self, Security, Tls, TlsStream};
use crate::transport::Transport;
use crate::{limits, name, tcp, unix};

/// The host of a Unix socket: the name in its certificate and in SNI.
const LOCALHOST: &str = "localhost";

/// Everything that a connect needs; shared by all VUs.
#[derive(Debug)]
pub struct Dialer {
    pub resolver: Arc<Resolver>,
    pub tls: Tls,
}

/// The target of a connect, as the script gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    Host {
        host: &'a str,
        port: i64,
    },
    /// A Unix socket; `@name` in the abstract namespace.
    Path(&'a str),
}

/// How long the steps of a connect took; `None` for steps that were not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub resolving: Option<Duration>,
    pub connecting: Option<Duration>,
    pub tls_handshaking: Option<Duration>,
}

/// How far a connect has got.
#[derive(Debug, Default)]
pub struct DialProgress {
    timings: Cell<Timings>,
    /// The step that is being taken, and since when.
    step: Cell<Option<(Step, Instant)>>,
    to: Cell<Option<SocketAddr>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve,
    Connect,
    Handshake,
}

impl DialProgress {
    /// Timings of the steps so far; a step under way counts up to this moment.
    pub fn timings(&self) -> Timings {
        let mut timings = self.timings.get();
        if let Some((step, since)) = self.step.get() {
            let of_step = match step {
                Step::Resolve => &mut timings.resolving,
                Step::Connect => &mut timings.connecting,
                Step::Handshake => &mut timings.tls_handshaking,
            };
            *of_step = Some(since.elapsed());
        }
        timings
    }

    /// What the connect is waiting for, in words, and for how long so far.
    pub fn waits_for(&self) -> Option<(&'static str, Duration)> {
        let (step, since) = self.step.get()?;
        let what = match step {
            Step::Resolve => "the name server",
            Step::Connect => "the TCP handshake",
            Step::Handshake => "the TLS handshake",
        };
        Some((what, since.elapsed()))
    }

    /// The host's address, once it is known.
    pub fn ip(&self) -> Option<IpAddr> {
        self.to.get().map(|to| to.ip())
    }

    /// The error of a connect that has taken longer than it may.
    fn timed_out(&self, target: Target<'_>, options: &DialOptions<'_>) -> NetError {
        let step = self.step.get().map(|(step, _)| step);
        self.end();
        match (step, target, self.to.get()) {
            (Some(Step::Handshake), ..) => handshake_timeout(),
            (_, Target::Path(path), _) => NetError::DialTimeout { route: unix::route(path) },
            (_, Target::Host { .. }, Some(to)) => {
                NetError::DialTimeout { route: Route::tcp(options.local_ip, to) }
            }
            (_, Target::Host { host, .. }, None) => NetError::LookupTimeout { host: host.to_owned() },
        }
    }

    fn begin(&self, step: Step) {
        self.step.set(Some((step, Instant::now())));
    }

    fn end(&self) {
        self.timings.set(self.timings());
        self.step.set(None);
    }
}

impl Dialer {
    /// Connects. What moves over the wire is added to `wire`, from the first byte of a handshake on.
    pub async fn dial(
        &self,
        target: Target<'_>,
        options: &DialOptions<'_>,
        wire: &Rc<WireBytes>,
        progress: &DialProgress,
    ) -> Result<Stream, NetError> {
        let connected = match options.timeout {
            None => self.connect(target, options, wire, progress).await,
            Some(limit) => {
                let connect = self.connect(target, options, wire, progress);
                let connected = Box::pin(tokio::time::timeout(limit, connect)).await;
                connected.unwrap_or_else(|_| Err(progress.timed_out(target, options)))
            }
        };
        connected.inspect_err(limits::advise)
    }

    /// Encrypts an open connection (STARTTLS). `read_ahead` are the bytes that the caller has read after the end of the plain text;
    /// they count as the peer's first bytes of TLS.
    pub async fn secure(
        &self,
        stream: Stream,
        read_ahead: &[u8],
        host: &str,
        security: &Security<'_>,
        progress: &DialProgress,
    ) -> Result<Stream, NetError> {
        let options = DialOptions { tls: Some(*security), ..DialOptions::default() };
        self.handshake(stream.into_plain()?, read_ahead, host, security, &options, progress)
            .await
            .inspect_err(limits::advise)
    }

    /// Encrypts what goes through a tunnel; the connection that the proxy is spoken to over may be encrypted already.
    pub(crate) async fn secure_tunnel(
        &self,
        stream: Stream,
        read_ahead: &[u8],
        host: &str,
        security: &Security<'_>,
        progress: &DialProgress,
    ) -> Result<Stream, NetError> {
        let options = DialOptions { tls: Some(*security), ..DialOptions::default() };
        let secured =
            self.handshake(stream.into_tunnel(), read_ahead, host, security, &options, progress).await;
        secured.inspect_err(limits::advise)
    }

    async fn connect(
        &self,
        target: Target<'_>,
        options: &DialOptions<'_>,
        wire: &Rc<WireBytes>,
        progress: &DialProgress,
    ) -> Result<Stream, NetError> {
        let (transport, remote, host) = match target {
            Target::Host { host, port } => {
                let to = self.resolve(host, port, options.family, progress).await?;
                progress.begin(Step::Connect);
                let connected = tcp::connect(to, options).await;
                progress.end();
                (Transport::Tcp(connected?), Address::Ip(to), host)
            }
            Target::Path(path) => {
                progress.begin(Step::Connect);
                // Boxed, so that it does not make the future of every other connect larger.
                let connected = Box::pin(unix::connect(path, options)).await;
                progress.end();
                (Transport::Unix(connected?), Address::Path(path.into()), LOCALHOST)
            }
        };
        let mut stream = Stream::plain(Counted::new(transport, wire.clone()), remote);
        if let Some(proxy_protocol) = &options.proxy_protocol {
            let ends = stream.ends();
            let header = proxy_protocol.header(&ends.local, &ends.remote);
            Box::pin(stream.write_all(&header)).await?;
        }
        match &options.tls {
            None => Ok(stream),
            Some(security) => {
                let plain = stream.into_plain()?;
                Box::pin(self.handshake(plain, &[], host, security, options, progress)).await
            }
        }
    }

    async fn resolve(
        &self,
        host: &str,
        port: i64,
        family: Option<Family>,
        progress: &DialProgress,
    ) -> Result<SocketAddr, NetError> {
        let port = u16::try_from(port).map_err(|_| NetError::InvalidPort { network: Network::Tcp, port })?;
        progress.begin(Step::Resolve);
        let resolved = self.resolver.resolve(host, port, family).await;
        progress.end();
        let to = resolved?;
        progress.to.set(Some(to));
        Ok(to)
    }

    /// Makes the TLS handshake with a host on an open connection.
    async fn handshake(
        &self,
        (counted, remote): (Counted, Address),
        read_ahead: &[u8],
        host: &str,
        security: &Security<'_>,
        options: &DialOptions<'_>,
        progress: &DialProgress,
    ) -> Result<Stream, NetError> {
        let host = security.servername.unwrap_or(host);
        let config = self.tls.config_for(host, security, &remote)?;
        let name = server_name(host)?;
        let handshake = TlsStream::connect(config, name, counted, read_ahead);
        progress.begin(Step::Handshake);
        let handshake = tokio::time::timeout(options.step_timeout(), handshake).await;
        progress.end();
        match handshake {
            Ok(Ok(stream)) => Ok(Stream::tls(stream, remote)),
            Ok(Err((error, counted))) => {
                Err(tls::handshake_error(&error, host, || counted.failed_at(&remote)))
            }
            Err(_) => Err(handshake_timeout()),
        }
    }
}

fn handshake_timeout() -> NetError {
    NetError::Tls { code: "ETIMEDOUT", text: "i/o timeout".to_owned() }
}

/// SNI carries names only: an address is verified, but not sent.
fn server_name(host: &str) -> Result<ServerName<'static>, NetError> {
    let name = name::normal(host);
    // The zone of an address is this machine's business.
    let name = name.split('%').next().unwrap_or_default();
    ServerName::try_from(name.to_owned()).map_err(|_| NetError::Tls {
        code: "ERR_TLS_SERVER_NAME",
        text: format!("tls: invalid server name {host:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_says_which_step_took_too_long() {
        let host = Target::Host { host: "host.test", port: 7 };
        let options = DialOptions::default();
        let timed_out = |step, to: Option<&str>, target| {
            let progress = DialProgress::default();
            progress.to.set(to.map(|to| to.parse().unwrap()));
            progress.begin(step);
            let error = progress.timed_out(target, &options);
            assert_eq!(error.code(), "ETIMEDOUT");
            (error.to_string(), progress.timings().resolving.is_some())
        };
        let to = Some("127.0.0.1:7");
        for (step, to, target, text) in [
            (Step::Resolve, None, host, "lookup host.test: i/o timeout"),
            (Step::Connect, to, host, "dial tcp 127.0.0.1:7: i/o timeout"),
            (Step::Handshake, to, host, "TLS handshake failed: i/o timeout"),
            (Step::Connect, None, Target::Path("/a"), "dial unix /a: i/o timeout"),
        ] {
            let resolving = matches!(step, Step::Resolve);
            assert_eq!(timed_out(step, to, target), (text.to_owned(), resolving));
        }
    }
}
