//! Sockets without scripts and without metrics: names to addresses, connecting, TLS, reading and writing.
//!
//! Everything returns timings and errors; the caller decides how they are counted.

mod counted;
pub mod dial;
mod dial_options;
pub mod echo;
pub mod error;
pub mod http;
pub mod limits;
pub mod lingering;
mod lookup;
mod name;
pub mod network;
mod options;
pub mod proxy_protocol;
pub mod resolve;
mod runtime_thread;
pub mod stream;
mod tcp;
pub mod tls;
mod transport;
mod unix;

pub use counted::WireBytes;
pub use dial::{DialProgress, Dialer, Target, Timings};
pub use dial_options::DialOptions;
pub use echo::EchoServer;
pub use error::NetError;
pub use network::{Address, Ends, Family, Network, Route};
pub use options::{Cidr, ConfigError, DnsConfig, DnsPolicy, DnsSelect, HostPattern, LocalIps};
pub use proxy_protocol::ProxyProtocol;
pub use resolve::Resolver;
pub use stream::Stream;
pub use tcp::TcpInfo;
pub use tls::{
    ClientCertificate, Ocsp, OcspStatus, PeerCertificate, Security, Sessions, Tls, TlsInfo, TlsOptions,
    TlsOverrides,
};
