//! Connecting: resolve, TCP handshake, TLS handshake, each step timed on its own.
//!
//! Cancelling is dropping the future. The [`Attempt`] has the times of the steps that were taken, also when a later one
//! fails or the whole is given up.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::counted::{Counted, WireBytes};
use crate::error::{NetError, Route};
use crate::local_ports::{self, Window};
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::{self, Tls, TlsStream};
use crate::{limits, name};

/// The reference's fixed limit for the TCP handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many windows of local ports are tried before the kernel looks through all.
const PORT_WINDOWS: usize = 3;

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
        let connected = connect_tcp(to, target.local_ip).await;
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

async fn connect_tcp(to: SocketAddr, from: Option<IpAddr>) -> Result<TcpStream, NetError> {
    let route = Route { from, to };
    for _ in 0..PORT_WINDOWS {
        let Some(window) = local_ports::next() else { break };
        match connect_from(route, Some(window)).await {
            // Nothing is free there.
            Err(NetError::LocalPorts { .. }) => {}
            outcome => return outcome,
        }
    }
    connect_from(route, None).await
}

/// Connects from a local port within `ports`; `None`: from any.
async fn connect_from(route: Route, ports: Option<Window>) -> Result<TcpStream, NetError> {
    let dial = |error| NetError::Dial { route, error };
    let socket = open_socket(route)?;
    let ports = ports.filter(|ports| ports.apply(&socket));
    match tokio::time::timeout(CONNECT_TIMEOUT, handshake(socket, route.to)).await {
        Ok(Ok(stream)) => {
            // Linux connects a socket to itself if it happens to pick the target's port; nobody listens there.
            let may_be_itself = ports.is_none_or(|ports| ports.contains(route.to.port()));
            if may_be_itself && stream.local_addr().map_err(dial)? == route.to {
                return Err(dial(io::ErrorKind::ConnectionRefused.into()));
            }
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(NetError::LocalPorts { route, error })
        }
        Ok(Err(error)) => Err(dial(error)),
        Err(_) => Err(NetError::DialTimeout { route }),
    }
}

/// What `TcpSocket::connect` does, but the outcome is asked for only where the readiness has not told it already.
async fn handshake(socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
        _ => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    if stream.ready(Interest::WRITABLE).await?.is_write_closed()
        && let Some(error) = stream.take_error()?
    {
        return Err(error);
    }
    Ok(stream)
}

fn open_socket(route: Route) -> Result<Socket, NetError> {
    let domain = Domain::for_address(route.to);
    let socket =
        Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP)).map_err(|error| {
            match limits::is_out_of_open_files(&error) {
                true => NetError::OpenFiles { doing: format!("dial tcp {route}: socket"), error },
                false => NetError::Dial { route, error },
            }
        })?;
    let dial = |error| NetError::Dial { route, error };
    socket.set_tcp_nodelay(true).map_err(dial)?;
    if let Some(ip) = route.from {
        bind(&socket, ip, route)?;
    }
    Ok(socket)
}

/// Binds to a source address, and leaves the port to the connect: the kernel then knows the target, and gives a port
/// that is taken for another one once more.
fn bind(socket: &Socket, ip: IpAddr, route: Route) -> Result<(), NetError> {
    if ip.is_ipv4() != route.to.is_ipv4() {
        return Err(NetError::LocalIp { route, error: Errno::AFNOSUPPORT.into() });
    }
    // Systems that do not know it reserve the port at once: fewer connections, otherwise the same.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true);
    socket.bind(&SocketAddr::new(ip, 0).into()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => NetError::LocalPorts { route, error },
        _ => NetError::LocalIp { route, error },
    })
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
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn where_no_port_of_a_window_is_free_another_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let route = Route { from: None, to: listener.local_addr().unwrap() };
        let window = local_ports::next().unwrap();
        let probe = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if !window.apply(&probe) {
            return;
        }
        let mut held = Vec::new();
        let error = loop {
            assert!(held.len() <= 32, "more connections than the window has ports");
            match connect_from(route, Some(window)).await {
                Ok(connection) => held.push(connection),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, NetError::LocalPorts { .. }), "{error}");
        assert!(!held.is_empty());
        connect_tcp(route.to, None).await.unwrap();
    }
}
