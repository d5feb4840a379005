//! A peer whose handshakes are never answered: a listener that accepts nothing and whose backlog is full.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// More than the kernel queues for a backlog of zero, whatever it rounds that up to.
const FILLERS: usize = 8;

/// An address that swallows every SYN.
pub struct FullBacklog {
    address: SocketAddr,
    /// Held: closing any of them would make room.
    _sockets: Vec<Socket>,
}

impl FullBacklog {
    pub fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        listener.listen(0).expect("listening");
        let address = listener.local_addr().expect("an address").as_socket().expect("an IP address");
        let mut sockets = vec![listener];
        for _ in 0..FILLERS {
            let filler =
                Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).expect("a socket");
            // Under way is all that is wanted: the first ones fill the queue, the others keep knocking.
            let _ = filler.connect(&address.into());
            sockets.push(filler);
        }
        Self { address, _sockets: sockets }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
