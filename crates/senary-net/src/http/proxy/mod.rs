//! Proxies: which one the environment names for a request, and connections through one.

mod settings;
mod socks;
mod tunnel;

pub use self::settings::{Proxies, Proxy, ProxyError, ProxyKind};
pub use self::socks::{Socks, SocksError, Step};
pub(super) use self::tunnel::dial_proxy;
pub use self::tunnel::{TunnelError, dial_through};
