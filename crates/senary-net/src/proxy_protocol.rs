//! The PROXY protocol of HAProxy, versions 1 and 2: a header that tells a server which client a proxy forwards. The bytes only; the
//! dialler sends them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use crate::network::Address;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and the command PROXY.
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;
/// Bytes of a path of a Unix socket.
const PATH: usize = 108;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// The header to send first. Ends that are left out are those of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyProtocol {
    pub version: Version,
    pub source: Option<ProxyAddress>,
    pub destination: Option<ProxyAddress>,
}

/// An address with a port, or without: then the port is that of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyAddress {
    pub ip: IpAddr,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid address {0:?} for the PROXY protocol: use an IP address, with or without a port, as in 192.0.2.1:4000 or [2001:db8::1]:4000"
)]
pub struct InvalidProxyAddress(String);

impl FromStr for ProxyAddress {
    type Err = InvalidProxyAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let ip = bare.parse().map_err(|_| InvalidProxyAddress(text.to_owned()))?;
        Ok(Self { ip, port: None })
    }
}

impl ProxyProtocol {
    /// The header for a connection from `local` to `remote`.
    pub(crate) fn header(&self, local: &Address, remote: &Address) -> Vec<u8> {
        let source = self.source.map(|given| given.instead_of(local));
        let destination = self.destination.map(|given| given.instead_of(remote));
        header(self.version, source.as_ref().unwrap_or(local), destination.as_ref().unwrap_or(remote))
    }
}

impl ProxyAddress {
    fn instead_of(self, own: &Address) -> Address {
        let port = self.port.or_else(|| own.ip().map(|own| own.port())).unwrap_or(0);
        SocketAddr::new(self.ip, port).into()
    }
}

/// The bytes of a header.
fn header(version: Version, source: &Address, destination: &Address) -> Vec<u8> {
    match version {
        Version::V1 => version_1(source, destination),
        Version::V2 => version_2(source, destination),
    }
}

fn version_1(source: &Address, destination: &Address) -> Vec<u8> {
    let line = match between(source, destination) {
        Some((from, to)) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
        None => "PROXY UNKNOWN\r\n".to_owned(),
    };
    line.into_bytes()
}

fn version_2(source: &Address, destination: &Address) -> Vec<u8> {
    let mut addresses = Vec::new();
    let family = match (source, destination, between(source, destination)) {
        (.., Some((from, to))) => {
            for end in [from, to] {
                match end.ip() {
                    IpAddr::V4(ip) => addresses.extend(ip.octets()),
                    IpAddr::V6(ip) => addresses.extend(ip.octets()),
                }
            }
            addresses.extend(from.port().to_be_bytes());
            addresses.extend(to.port().to_be_bytes());
            if from.is_ipv4() { TCP4 } else { TCP6 }
        }
        (Address::Path(from), Address::Path(to), None) => {
            addresses.extend(path(from));
            addresses.extend(path(to));
            UNIX
        }
        _ => UNSPECIFIED,
    };
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXY, family]);
    // 216 at most.
    header.extend((addresses.len() as u16).to_be_bytes());
    header.extend(addresses);
    header
}

/// Both ends in one family; an address of IPv4 has a form in IPv6.
fn between(source: &Address, destination: &Address) -> Option<(SocketAddr, SocketAddr)> {
    let (from, to) = (source.ip()?, destination.ip()?);
    if from.is_ipv4() == to.is_ipv4() {
        return Some((from, to));
    }
    let v6 = |end: SocketAddr| {
        let ip: Ipv6Addr = match end.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        SocketAddr::new(ip.into(), end.port())
    };
    Some((v6(from), v6(to)))
}

/// A path as it stands in the header: filled up with zeros; in the abstract namespace it begins with one.
fn path(path: &Path) -> [u8; PATH] {
    let mut field = [0; PATH];
    let bytes = path.as_os_str().as_bytes();
    let length = bytes.len().min(PATH);
    field[..length].copy_from_slice(&bytes[..length]);
    if field[0] == b'@' {
        field[0] = 0;
    }
    field
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server reads: the ends, and how long the header was.
    fn parse(bytes: &[u8]) -> Option<(Option<(SocketAddr, SocketAddr)>, usize)> {
        if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let body = rest.get(4..4 + length)?;
            let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
            let ends = match (rest[0], rest[1]) {
                (0x21, 0x11) => {
                    let ip = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&body[at..at + 4]).unwrap());
                    Some((SocketAddr::new(ip(0), port(8)), SocketAddr::new(ip(4), port(10))))
                }
                (0x21, 0x21) => {
                    let ip = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&body[at..at + 16]).unwrap());
                    Some((SocketAddr::new(ip(0), port(32)), SocketAddr::new(ip(16), port(34))))
                }
                (0x21, _) => None,
                _ => return None,
            };
            return Some((ends, 16 + length));
        }
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let words: Vec<_> = line.strip_prefix("PROXY ")?.split(' ').collect();
        let ends = match words[..] {
            ["TCP4" | "TCP6", from, to, source, destination] => {
                let end = |ip: &str, port: &str| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?));
                Some((end(from, source)?, end(to, destination)?))
            }
            ["UNKNOWN"] => None,
            _ => return None,
        };
        Some((ends, end + 2))
    }

    fn any_address() -> impl Strategy<Value = SocketAddr> {
        (
            prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)],
            any::<u16>(),
        )
            .prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    proptest! {
        #[test]
        fn a_server_reads_what_was_put_in(from in any_address(), to in any_address(), data in any::<Vec<u8>>()) {
            for version in [Version::V1, Version::V2] {
                let mut wire = header(version, &from.into(), &to.into());
                let length = wire.len();
                // A server of version 1 reads at most 107 bytes.
                prop_assert!(version == Version::V2 || length <= 107);
                wire.extend(&data);
                let (ends, read) = parse(&wire).unwrap();
                let (source, destination) = ends.unwrap();
                prop_assert_eq!(read, length);
                prop_assert_eq!(source.is_ipv4(), destination.is_ipv4());
                let plain = |end: SocketAddr| (end.ip().to_canonical(), end.port());
                prop_assert_eq!((plain(source), plain(destination)), (plain(from), plain(to)));
            }
        }

        #[test]
        fn addresses_are_read_with_and_without_a_port(address in any_address()) {
            let with: ProxyAddress = address.to_string().parse().unwrap();
            let without: ProxyAddress = address.ip().to_string().parse().unwrap();
            prop_assert_eq!(with, ProxyAddress { ip: address.ip(), port: Some(address.port()) });
            prop_assert_eq!(without, ProxyAddress { ip: address.ip(), port: None });
            let own = Address::Ip("127.0.0.1:7".parse().unwrap());
            prop_assert_eq!(with.instead_of(&own), Address::Ip(address));
            prop_assert_eq!(without.instead_of(&own), Address::Ip(SocketAddr::new(address.ip(), 7)));
        }
    }

    /// The examples of the specification, and addresses that are not IP addresses.
    #[test]
    fn headers_are_those_of_the_specification() {
        let ip = |text: &str| Address::Ip(text.parse().unwrap());
        let path = |text: &str| Address::Path(text.into());
        let (a, b) = (ip("192.168.0.1:56324"), ip("192.168.0.11:443"));
        assert_eq!(header(Version::V1, &a, &b), b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend([192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 0x01, 0xbb]);
        assert_eq!(header(Version::V2, &a, &b), v2);
        let mixed = header(Version::V1, &a, &ip("[2001:db8::1]:80"));
        assert_eq!(mixed, b"PROXY TCP6 ::ffff:192.168.0.1 2001:db8::1 56324 80\r\n");
        assert_eq!(header(Version::V1, &path("@"), &path("/run/a")), b"PROXY UNKNOWN\r\n");
        assert_eq!(header(Version::V2, &a, &path("/run/a")), b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0");
        let unix = header(Version::V2, &path("@name"), &path("/run/a"));
        assert_eq!((unix.len(), &unix[12..16]), (16 + 216, &b"\x21\x31\0\xd8"[..]));
        assert_eq!((&unix[16..22], &unix[124..131]), (&b"\0name\0"[..], &b"/run/a\0"[..]));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "host", "1.2.3", "1.2.3.4:", "1.2.3.4:70000", "[::1", "::1]", "[1.2.3.4]x"] {
            assert!(wrong.parse::<ProxyAddress>().is_err(), "{wrong}");
        }
        let bracketed: ProxyAddress = "[::1]".parse().unwrap();
        assert_eq!(bracketed, ProxyAddress { ip: Ipv6Addr::LOCALHOST.into(), port: None });
    }
}
