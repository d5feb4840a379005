//! How a connection is made: what a script may choose about it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use socket2::Socket;

use crate::network::Family;
use crate::proxy_protocol::ProxyProtocol;
use crate::tls::Security;

/// The reference's fixed limit for the TCP handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct DialOptions<'a> {
    /// `None`: plain.
    pub tls: Option<Security<'a>>,
    /// The source address; the system's choice if left out.
    pub local_ip: Option<IpAddr>,
    /// The only family to take an address of, whatever the `dns` option prefers.
    pub family: Option<Family>,
    /// The limit for the look-up, TCP and TLS together. If left out, TCP and TLS may take 30 seconds each.
    pub timeout: Option<Duration>,
    /// Whether small writes are sent at once.
    pub no_delay: bool,
    /// In bytes, as the kernel takes them.
    pub receive_buffer: Option<usize>,
    pub send_buffer: Option<usize>,
    /// What to send before anything else.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Default for DialOptions<'_> {
    fn default() -> Self {
        Self {
            tls: None,
            local_ip: None,
            family: None,
            timeout: None,
            no_delay: true,
            receive_buffer: None,
            send_buffer: None,
            proxy_protocol: None,
        }
    }
}

impl DialOptions<'_> {
    /// How long a step may take.
    pub(crate) fn step_timeout(&self) -> Duration {
        self.timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    /// To be set before the handshake, which tells the peer how much is received.
    pub(crate) fn apply_buffers(&self, socket: &Socket) -> io::Result<()> {
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        Ok(())
    }
}
