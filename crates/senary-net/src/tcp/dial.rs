//! The TCP handshake: which socket, from which local address and port, and what became of it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::local_ports::{self, Window};
use crate::dial_options::DialOptions;
use crate::error::NetError;
use crate::limits;
use crate::network::Route;

/// How many windows of local ports are tried before the kernel looks through all.
const PORT_WINDOWS: usize = 3;

pub(crate) async fn connect(to: SocketAddr, options: &DialOptions<'_>) -> Result<TcpStream, NetError> {
    for _ in 0..PORT_WINDOWS {
        let Some(window) = local_ports::next() else { break };
        match connect_from(to, options, Some(window)).await {
            // No port of this window is free.
            Err(NetError::LocalPorts { .. }) => {}
            outcome => return outcome,
        }
    }
    connect_from(to, options, None).await
}

/// Connects from a local port within `ports`; `None`: from any.
async fn connect_from(
    to: SocketAddr,
    options: &DialOptions<'_>,
    ports: Option<Window>,
) -> Result<TcpStream, NetError> {
    let route = || Route::tcp(options.local_ip, to);
    let dial = |error| NetError::Dial { route: route(), error };
    let socket = open_socket(to, options)?;
    let ports = ports.filter(|ports| ports.apply(&socket));
    match tokio::time::timeout(options.step_timeout(), handshake(socket, to)).await {
        Ok(Ok(stream)) => {
            // Linux connects a socket to itself if it happens to pick the target's port; nothing listens there.
            let may_be_itself = ports.is_none_or(|ports| ports.contains(to.port()));
            if may_be_itself && stream.local_addr().map_err(dial)? == to {
                return Err(dial(io::ErrorKind::ConnectionRefused.into()));
            }
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(NetError::LocalPorts { route: route(), error })
        }
        Ok(Err(error)) => Err(dial(error)),
        Err(_) => Err(NetError::DialTimeout { route: route() }),
    }
}

/// Does the same as `TcpSocket::connect`, but asks the kernel for the outcome only if the readiness does not show it.
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

fn open_socket(to: SocketAddr, options: &DialOptions<'_>) -> Result<Socket, NetError> {
    let route = || Route::tcp(options.local_ip, to);
    let domain = Domain::for_address(to);
    let socket =
        Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP)).map_err(|error| {
            match limits::is_out_of_open_files(&error) {
                true => NetError::OpenFiles { doing: format!("dial {}: socket", route()), error },
                false => NetError::Dial { route: route(), error },
            }
        })?;
    let dial = |error| NetError::Dial { route: route(), error };
    if options.no_delay {
        socket.set_tcp_nodelay(true).map_err(dial)?;
    }
    options.apply_buffers(&socket).map_err(dial)?;
    if let Some(ip) = options.local_ip {
        bind(&socket, ip, to)?;
    }
    Ok(socket)
}

/// Binds to a source address, and leaves the port to the connect: the kernel then knows the target, and may give a
/// port that is already used for another target.
fn bind(socket: &Socket, ip: IpAddr, to: SocketAddr) -> Result<(), NetError> {
    let route = || Route::tcp(Some(ip), to);
    if ip.is_ipv4() != to.is_ipv4() {
        return Err(NetError::LocalIp { route: route(), error: Errno::AFNOSUPPORT.into() });
    }
    // Systems that do not know it reserve the port at once: fewer connections, otherwise the same.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true);
    socket.bind(&SocketAddr::new(ip, 0).into()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => NetError::LocalPorts { route: route(), error },
        _ => NetError::LocalIp { route: route(), error },
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn where_no_port_of_a_window_is_free_another_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let window = local_ports::next().unwrap();
        let probe = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if !window.apply(&probe) {
            return;
        }
        let mut held = Vec::new();
        let error = loop {
            assert!(held.len() <= 32, "more connections than the window has ports");
            match connect_from(to, &DialOptions::default(), Some(window)).await {
                Ok(connection) => held.push(connection),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, NetError::LocalPorts { .. }), "{error}");
        assert!(!held.is_empty());
        connect(to, &DialOptions::default()).await.unwrap();
    }

    #[tokio::test]
    async fn options_of_a_socket_are_set() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let usual = connect(to, &DialOptions::default()).await.unwrap();
        let usual = SockRef::from(&usual);
        assert!(usual.tcp_nodelay().unwrap());
        let options = DialOptions {
            no_delay: false,
            receive_buffer: Some(20_000),
            send_buffer: Some(30_000),
            ..DialOptions::default()
        };
        let asked = connect(to, &options).await.unwrap();
        let asked = SockRef::from(&asked);
        let (receive, send) = (asked.recv_buffer_size().unwrap(), asked.send_buffer_size().unwrap());
        assert!(!asked.tcp_nodelay().unwrap());
        // Linux takes twice as much, for its own books.
        assert!(
            (20_000..=40_000).contains(&receive) && (30_000..=60_000).contains(&send),
            "{receive}, {send}"
        );
        assert_ne!(receive, usual.recv_buffer_size().unwrap());
    }
}
