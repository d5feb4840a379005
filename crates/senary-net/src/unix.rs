//! Connecting to Unix sockets: a path, or a name in Linux's abstract namespace.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use crate::dial_options::DialOptions;
use crate::error::NetError;
use crate::limits;
use crate::network::{Address, Network, Route};

/// How long to wait for a server whose queue is full, at first and at most: the system does not report when there is room.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(32);

pub(crate) async fn connect(path: &str, options: &DialOptions<'_>) -> Result<UnixStream, NetError> {
    let route = || route(path);
    let dial = |error| NetError::Dial { route: route(), error };
    let address = address(path).map_err(dial)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None).map_err(|error| {
        match limits::is_out_of_open_files(&error) {
            true => NetError::OpenFiles { doing: format!("dial {}: socket", route()), error },
            false => dial(error),
        }
    })?;
    options.apply_buffers(&socket).map_err(dial)?;
    match tokio::time::timeout(options.step_timeout(), handshake(&socket, &address)).await {
        Ok(connected) => connected.map_err(dial)?,
        Err(_) => return Err(NetError::DialTimeout { route: route() }),
    }
    UnixStream::from_std(socket.into()).map_err(dial)
}

pub(crate) fn route(path: &str) -> Route {
    Route { network: Network::Unix, from: None, to: Address::Path(path.into()) }
}

async fn handshake(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        match socket.connect(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn address(path: &str) -> io::Result<SockAddr> {
    // The kernel would take what comes before it for the path.
    if path.is_empty() || path.contains('\0') {
        return Err(Errno::INVAL.into());
    }
    // Too long is all that can be wrong with it here.
    let made = match path.strip_prefix('@').filter(|_| cfg!(target_os = "linux")) {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(Path::new(path)),
    };
    made.map_err(|_| Errno::NAMETOOLONG.into())
}
