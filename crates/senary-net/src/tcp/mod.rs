//! What only TCP has: its handshake and the ports it goes out from.

mod dial;
mod info;
mod local_ports;

pub(crate) use dial::connect;
pub use info::TcpInfo;
