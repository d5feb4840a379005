//! Connecting: resolve, TCP handshake, TLS handshake, each step timed on its own.
//!
//! Cancelling is dropping the future. The [`Attempt`] has the times of the steps that were taken, also when a later one
//! fails or the whole is given up.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use crate::counted::{Counted, WireBytes};
use crate::error::NetError;
use crate::network::{Address, Network};
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::{self, Tls, TlsStream};
use crate::transport::Transport;
use crate::{limits, name, tcp, unix};

/// The reference's fixed limit for the TCP handshake.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The host of a Unix socket: whom its certificate is for, and what SNI says.
const LOCALHOST: &str = "localhost";

/// What is needed to connect; shared by all VUs.
#[derive(Debug)]
pub struct Dialer {
    pub resolver: Arc<Resolver>,
    pub tls: Tls,
}

/// Where to connect to, as the script says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    Host {
        host: &'a str,
        port: i64,
    },
    /// A Unix socket; `@name` in the abstract namespace.
    Path(&'a str),
}

/// How to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialOptions {
    pub tls: bool,
    /// The source address; the system's choice if left out.
    pub local_ip: Option<IpAddr>,
}

/// How long the steps of a connect took; `None` for steps that were not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub resolving: Option<Duration>,
    pub connecting: Option<Duration>,
    pub tls_handshaking: Option<Duration>,
}

/// How far a connect is.
#[derive(Debug, Default)]
pub struct Attempt {
    timings: Cell<Timings>,
    /// The step that is being taken, and since when.
    step: Cell<Option<(Step, Instant)>>,
    ip: Cell<Option<IpAddr>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve,
    Connect,
    Handshake,
}

impl Attempt {
    /// Of the steps taken until now; one that is being taken has lasted until now.
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

    /// The host's address, once it is known.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip.get()
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
        options: &DialOptions,
        wire: &Rc<WireBytes>,
        attempt: &Attempt,
    ) -> Result<Stream, NetError> {
        self.connect(target, options, wire, attempt).await.inspect_err(limits::advise)
    }

    async fn connect(
        &self,
        target: Target<'_>,
        options: &DialOptions,
        wire: &Rc<WireBytes>,
        attempt: &Attempt,
    ) -> Result<Stream, NetError> {
        let (transport, remote, host) = match target {
            Target::Host { host, port } => {
                let to = self.resolve(host, port, attempt).await?;
                attempt.begin(Step::Connect);
                let connected = tcp::connect(to, options.local_ip).await;
                attempt.end();
                (Transport::Tcp(connected?), Address::Ip(to), host)
            }
            Target::Path(path) => {
                attempt.begin(Step::Connect);
                // In a box: what most connects have no use for is no part of their future.
                let connected = Box::pin(unix::connect(path)).await;
                attempt.end();
                (Transport::Unix(connected?), Address::Path(path.into()), LOCALHOST)
            }
        };
        let stream = Stream::plain(Counted::new(transport, wire.clone()), remote);
        if !options.tls {
            return Ok(stream);
        }
        Box::pin(self.secure(stream, host, attempt)).await
    }

    async fn resolve(&self, host: &str, port: i64, attempt: &Attempt) -> Result<SocketAddr, NetError> {
        let port = u16::try_from(port).map_err(|_| NetError::InvalidPort { network: Network::Tcp, port })?;
        attempt.begin(Step::Resolve);
        let resolved = self.resolver.resolve(host, port).await;
        attempt.end();
        let to = resolved?;
        attempt.ip.set(Some(to.ip()));
        Ok(to)
    }

    /// Makes the TLS handshake with a host on an open connection.
    async fn secure(&self, stream: Stream, host: &str, attempt: &Attempt) -> Result<Stream, NetError> {
        let config = self.tls.config(host)?;
        let name = server_name(host)?;
        let (counted, remote) = stream.into_plain()?;
        attempt.begin(Step::Handshake);
        let handshake =
            tokio::time::timeout(CONNECT_TIMEOUT, TlsStream::connect(config, name, counted)).await;
        attempt.end();
        match handshake {
            Ok(Ok(stream)) => Ok(Stream::tls(stream, remote)),
            Ok(Err((error, counted))) => {
                Err(tls::handshake_error(&error, host, || counted.failed_at(&remote)))
            }
            Err(_) => Err(NetError::Tls { code: "ETIMEDOUT", text: "i/o timeout".to_owned() }),
        }
    }
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
