//! Options of the network, as users write them: which names and addresses they mean, and how names are resolved.

use std::net::IpAddr;
use std::time::Duration;

use crate::name;

/// Why a network option is malformed. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to parse CIDR '{0}': invalid CIDR address: {0}")]
    Cidr(String),
    #[error("invalid hostname pattern '{0}'")]
    HostnamePattern(String),
    #[error("invalid host pattern '{0}'")]
    HostPattern(String),
    #[error("invalid IP address '{0}' in the hosts option")]
    HostAddress(String),
    #[error("invalid DNS TTL: {0}")]
    DnsTtl(String),
    #[error("{0} does not belong to DNSSelect values; use first, random or roundRobin")]
    DnsSelect(String),
    #[error("{0} does not belong to DNSPolicy values; use preferIPv4, preferIPv6, onlyIPv4, onlyIPv6 or any")]
    DnsPolicy(String),
    #[error("unknown TLS version '{0}'")]
    TlsVersion(String),
    #[error("unknown cipher suite '{0}'")]
    CipherSuite(String),
    #[error("invalid domain '{0}' in tlsAuth")]
    TlsDomain(String),
    #[error("{0}")]
    Tls(String),
    #[error("invalid local IPs '{0}': use addresses, ranges (a-b) or CIDRs, separated by commas")]
    LocalIps(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnsSelect {
    First,
    RoundRobin,
    #[default]
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnsPolicy {
    #[default]
    PreferIpv4,
    PreferIpv6,
    OnlyIpv4,
    OnlyIpv6,
    Any,
}

/// The `dns` option; `ttl` zero means no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    pub ttl: Duration,
    pub select: DnsSelect,
    pub policy: DnsPolicy,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(300), select: DnsSelect::default(), policy: DnsPolicy::default() }
    }
}

impl std::str::FromStr for DnsSelect {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "first" => Ok(Self::First),
            "roundRobin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            _ => Err(ConfigError::DnsSelect(text.to_owned())),
        }
    }
}

impl std::str::FromStr for DnsPolicy {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "preferIPv4" => Ok(Self::PreferIpv4),
            "preferIPv6" => Ok(Self::PreferIpv6),
            "onlyIPv4" => Ok(Self::OnlyIpv4),
            "onlyIPv6" => Ok(Self::OnlyIpv6),
            "any" => Ok(Self::Any),
            _ => Err(ConfigError::DnsPolicy(text.to_owned())),
        }
    }
}

/// Names may begin with `*` or `*.`; how a name is spelled does not matter.
#[derive(Clone, Debug)]
pub struct HostPattern {
    pub(crate) text: String,
    pub(crate) is_suffix: bool,
    /// In its normal form, without the asterisk.
    pub(crate) name: String,
}

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        let (is_suffix, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let valid = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        (!text.is_empty() && rest.chars().all(valid)).then(|| Self {
            text: text.to_owned(),
            is_suffix,
            name: name::normal_authority(rest),
        })
    }

    /// Whether it is for a host in its normal form.
    pub(crate) fn matches(&self, normal: &str) -> bool {
        if self.is_suffix { normal.ends_with(&self.name) } else { self.name == normal }
    }
}

/// A range of addresses in CIDR notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = || ConfigError::Cidr(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits: u8 = bits.parse().map_err(|_| error())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if bits > width {
            return Err(error());
        }
        Ok(Self { address: masked(address, bits), bits })
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4() && masked(ip, self.bits) == self.address
    }

    /// The first address that may be a host's, and how many there are, at most 2⁶⁴ − 1: in IPv4, the first and the
    /// last address of more than two are the network's own and its broadcast.
    fn hosts(&self) -> (IpAddr, u64) {
        let width = if self.address.is_ipv4() { 32 } else { 128u32 };
        let size = 1u64.checked_shl(width - u32::from(self.bits)).unwrap_or(u64::MAX);
        match self.address {
            IpAddr::V4(ip) if size > 2 => (IpAddr::V4((u32::from(ip) + 1).into()), size - 2),
            address => (address, size),
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            IpAddr::V6((u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).into())
        }
    }
}

/// Source addresses for outgoing connections, spread over VUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalIps {
    ranges: Vec<(IpAddr, u64)>,
}

impl LocalIps {
    /// Addresses, ranges `a-b` and CIDRs, separated by commas. What is named twice is taken twice as often.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = || ConfigError::LocalIps(text.to_owned());
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part.contains('/') {
                ranges.push(Cidr::parse(part).map_err(|_| error())?.hosts());
            } else if let Some((first, last)) = part.split_once('-') {
                let first: IpAddr = first.trim().parse().map_err(|_| error())?;
                let last: IpAddr = last.trim().parse().map_err(|_| error())?;
                let (a, b) = (number(first), number(last));
                if first.is_ipv4() != last.is_ipv4() || b < a {
                    return Err(error());
                }
                ranges.push((first, u64::try_from(b - a).unwrap_or(u64::MAX).saturating_add(1)));
            } else {
                ranges.push((part.parse().map_err(|_| error())?, 1));
            }
        }
        Ok(Self { ranges })
    }

    /// The address of a VU, counted from 1; VUs take the addresses in turn.
    pub fn of_vu(&self, vu: u64) -> Option<IpAddr> {
        let total = self.ranges.iter().fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        let mut at = vu.saturating_sub(1).checked_rem(total)?;
        for &(first, count) in &self.ranges {
            if at < count {
                return Some(match first {
                    IpAddr::V4(ip) => IpAddr::V4(u32::from(ip).wrapping_add(at as u32).into()),
                    IpAddr::V6(ip) => IpAddr::V6(u128::from(ip).wrapping_add(u128::from(at)).into()),
                });
            }
            at -= count;
        }
        None
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ips_are_taken_in_turn() {
        let of = |text: &str, vus: std::ops::RangeInclusive<u64>| {
            let ips = LocalIps::parse(text).unwrap();
            vus.map(|vu| ips.of_vu(vu).unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            of("127.0.0.5-127.0.0.6, 10.0.0.1", 1..=4),
            ["127.0.0.5", "127.0.0.6", "10.0.0.1", "127.0.0.5"]
        );
        // The network's own address and its broadcast address are left out, unless there are no others.
        assert_eq!(of("10.0.0.9/30", 1..=3), ["10.0.0.9", "10.0.0.10", "10.0.0.9"]);
        assert_eq!(of("10.0.0.8/31", 1..=3), ["10.0.0.8", "10.0.0.9", "10.0.0.8"]);
        assert_eq!(of("10.0.0.8/32,10.0.0.8", 1..=2), ["10.0.0.8", "10.0.0.8"]);
        assert_eq!(of("0.0.0.0/0", u64::from(u32::MAX)..=u64::from(u32::MAX)), ["0.0.0.1"]);
        assert_eq!(of("fd00::/126", 1..=5), ["fd00::", "fd00::1", "fd00::2", "fd00::3", "fd00::"]);
        for wrong in
            ["127.0.0.9-127.0.0.1", "", "127.0.0.1,", "10.0.0.0/33", "10.0.0.1-::1", "10.0.0.1-", "host"]
        {
            assert_eq!(LocalIps::parse(wrong), Err(ConfigError::LocalIps(wrong.to_owned())));
        }
    }
}
