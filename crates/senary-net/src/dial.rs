//! Connecting: resolve, TCP handshake, TLS handshake, each step timed on its own.
//!
//! Cancelling is dropping the future. The [`Attempt`] has the times of the steps that were taken, also when a later one
//! fails or the whole is given up.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use crate::counted::{Counted, WireBytes};
use crate::error::NetError;
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::{self, Tls, TlsStream};
use crate::{limits, name, tcp};

/// The reference's fixed limit for the TCP handshake.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What is needed to connect; shared by all VUs.
#[derive(Debug)]
pub struct Dialer {
    pub resolver: Arc<Resolver>,
    pub tls: Tls,
}

/// Whom to connect to, as the script says it.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub host: &'a str,
    pub port: i64,
    pub tls: bool,
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
        target: &Target<'_>,
        wire: &Rc<WireBytes>,
        attempt: &Attempt,
    ) -> Result<Stream, NetError> {
        self.connect(target, wire, attempt).await.inspect_err(limits::advise)
    }

    async fn connect(
        &self,
        target: &Target<'_>,
        wire: &Rc<WireBytes>,
        attempt: &Attempt,
    ) -> Result<Stream, NetError> {
        let port = u16::try_from(target.port).map_err(|_| NetError::InvalidPort { port: target.port })?;
        attempt.begin(Step::Resolve);
        let resolved = self.resolver.resolve(target.host, port).await;
        attempt.end();
        let to = resolved?;
        attempt.ip.set(Some(to.ip()));

        attempt.begin(Step::Connect);
        let connected = tcp::connect(to, target.local_ip).await;
        attempt.end();
        let stream = Counted::new(connected?, wire.clone());
        if !target.tls {
            return Ok(Stream::plain(stream, to));
        }

        let config = self.tls.config(target.host)?;
        let name = server_name(target.host)?;
        attempt.begin(Step::Handshake);
        let handshake = tokio::time::timeout(CONNECT_TIMEOUT, TlsStream::connect(config, name, stream)).await;
        attempt.end();
        match handshake {
            Ok(Ok(stream)) => Ok(Stream::tls(stream, to)),
            Ok(Err((error, stream))) => {
                Err(tls::handshake_error(&error, target.host, || stream.failed_at(to)))
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
