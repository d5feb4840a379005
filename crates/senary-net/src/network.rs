//! Which network a connection is on, and how its ends are written: the words that errors of connections share.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Tcp,
    Unix,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        })
    }
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub fn has(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::Ipv4)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Ip(SocketAddr),
    /// A Unix socket; `@name` is in the abstract namespace, and `@` has no name.
    Path(PathBuf),
}

impl Address {
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Path(_) => None,
        }
    }

    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Path(path) => Some(path),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Where a connect goes: `tcp 127.0.0.2:0->10.0.0.1:80`, or the target alone if the source is the system's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub network: Network,
    pub from: Option<IpAddr>,
    pub to: Address,
}

impl Route {
    pub(crate) fn tcp(from: Option<IpAddr>, to: SocketAddr) -> Self {
        Self { network: Network::Tcp, from, to: to.into() }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, from, to } = self;
        match from {
            Some(ip) => write!(f, "{network} {}->{to}", SocketAddr::new(*ip, 0)),
            None => write!(f, "{network} {to}"),
        }
    }
}

/// Both ends of a connection: `tcp 127.0.0.1:5->127.0.0.1:6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    pub network: Network,
    pub local: Address,
    pub remote: Address,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, local, remote } = self;
        write!(f, "{network} {local}->{remote}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_written_as_the_reference_writes_them() {
        let tcp = |text: &str| Address::Ip(text.parse().unwrap());
        let path = |text: &str| Address::Path(text.into());
        let route = Route::tcp(None, "[::1]:80".parse().unwrap());
        assert_eq!(route.to_string(), "tcp [::1]:80");
        let route = Route::tcp(Some("127.0.0.2".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
        assert_eq!(route.to_string(), "tcp 127.0.0.2:0->10.0.0.1:80");
        let ends = Ends { network: Network::Tcp, local: tcp("127.0.0.1:5"), remote: tcp("127.0.0.1:6") };
        assert_eq!(ends.to_string(), "tcp 127.0.0.1:5->127.0.0.1:6");
        let ends = Ends { network: Network::Unix, local: path("@"), remote: path("/run/a.sock") };
        assert_eq!(ends.to_string(), "unix @->/run/a.sock");
    }
}
