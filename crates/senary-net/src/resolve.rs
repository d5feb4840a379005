//! From a name to an address: the `hosts` option, block lists, and a cache over what `lookup` finds.
//!
//! Follows <https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/#dns>: one address per dial, chosen
//! by `select` and `policy`, kept for `ttl` whatever the record says.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::NetError;
use crate::limits;
use crate::lookup::{LookupError, Lookups};
use crate::name::{self, literal};
use crate::network::Family;
use crate::options::{Cidr, ConfigError, DnsConfig, DnsPolicy, DnsSelect, HostPattern};

/// An entry of the `hosts` option.
#[derive(Clone, Debug)]
struct HostEntry {
    pattern: HostPattern,
    ip: IpAddr,
    port: Option<u16>,
}

/// Everything that decides which address a name stands for.
#[derive(Debug)]
pub struct Resolver {
    hosts: Vec<HostEntry>,
    blocked: Vec<HostPattern>,
    blacklist: Vec<Cidr>,
    dns: DnsConfig,
    lookups: Arc<Lookups>,
    cache: Mutex<HashMap<String, (Instant, Arc<[IpAddr]>)>>,
    turn: AtomicUsize,
}

impl Resolver {
    /// `hosts` maps `name[:port]` to `ip[:port]`.
    pub fn new(
        hosts: &[(String, String)],
        blocked: &[String],
        blacklist: &[String],
        dns: DnsConfig,
    ) -> Result<Self, ConfigError> {
        let mut entries = Vec::new();
        for (name, address) in hosts {
            let pattern = HostPattern::parse(name).ok_or_else(|| ConfigError::HostPattern(name.clone()))?;
            let (ip, port) = match address.parse::<SocketAddr>() {
                Ok(address) => (address.ip(), Some(address.port())),
                Err(_) => (address.parse().map_err(|_| ConfigError::HostAddress(address.clone()))?, None),
            };
            entries.push(HostEntry { pattern, ip, port });
        }
        // The most precise entry wins: plain names before wildcards, longer before shorter.
        entries.sort_by_key(|e| (e.pattern.is_suffix, std::cmp::Reverse(e.pattern.name.len())));
        let blocked = blocked
            .iter()
            .map(|text| HostPattern::parse(text).ok_or_else(|| ConfigError::HostnamePattern(text.clone())))
            .collect::<Result<_, _>>()?;
        let blacklist = blacklist.iter().map(|text| Cidr::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            hosts: entries,
            blocked,
            blacklist,
            dns,
            lookups: Lookups::new(),
            cache: Mutex::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// The address to dial for a name and a port, of a family if only that will do. Only a name the system must look up takes time.
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
        family: Option<Family>,
    ) -> Result<SocketAddr, NetError> {
        let normal = name::normal(host);
        let literal = literal(host);
        if literal.is_none()
            && let Some(pattern) = self.blocked.iter().find(|p| p.matches(&normal))
        {
            return Err(NetError::BlockedHostname { host: host.to_owned(), pattern: pattern.text.clone() });
        }
        let with_port = name::normal_with_port(host, port);
        let mapped = self.hosts.iter().find(|e| e.pattern.matches(&with_port) || e.pattern.matches(&normal));
        let (ip, port) = match (mapped, literal) {
            (Some(entry), _) => (entry.ip, entry.port.unwrap_or(port)),
            (None, Some((ip, _))) => (ip, port),
            (None, None) => (self.look_up(host, family).await?, port),
        };
        let mut address = SocketAddr::new(peer_of(ip), port);
        if let Some(family) = family.filter(|family| !family.has(address.ip())) {
            return Err(NetError::OtherFamily { host: host.to_owned(), family });
        }
        if let (None, Some((_, Some(zone))), SocketAddr::V6(v6)) = (mapped, literal, &mut address) {
            v6.set_scope_id(interface(ip, zone));
        }
        match self.blacklist.iter().find(|range| range.contains(address.ip())) {
            Some(range) => Err(NetError::BlacklistedIp { ip: address.ip(), range: range.to_string() }),
            None => Ok(address),
        }
    }

    async fn look_up(&self, host: &str, family: Option<Family>) -> Result<IpAddr, NetError> {
        let name = name::absolute_or_not(host);
        if !is_dns_name(&name) {
            return Err(NetError::NoSuchHost { host: host.to_owned() });
        }
        if let Some((since, ips)) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&name)
            && since.elapsed() < self.dns.ttl
        {
            return self.choose(host, ips, family);
        }
        let ips = self.lookups.look_up(&name).await.map_err(|error| lookup_error(error, host))?;
        let chosen = self.choose(host, &ips, family);
        if !self.dns.ttl.is_zero() {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.insert(name, (Instant::now(), ips));
        }
        chosen
    }

    fn choose(&self, host: &str, ips: &[IpAddr], family: Option<Family>) -> Result<IpAddr, NetError> {
        let of = |v4: bool| ips.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect::<Vec<_>>();
        let first_non_empty = |a: Vec<IpAddr>, b: Vec<IpAddr>| if a.is_empty() { b } else { a };
        let policy = match family {
            None => self.dns.policy,
            Some(Family::Ipv4) => DnsPolicy::OnlyIpv4,
            Some(Family::Ipv6) => DnsPolicy::OnlyIpv6,
        };
        let candidates = match policy {
            DnsPolicy::PreferIpv4 => first_non_empty(of(true), of(false)),
            DnsPolicy::PreferIpv6 => first_non_empty(of(false), of(true)),
            DnsPolicy::OnlyIpv4 => of(true),
            DnsPolicy::OnlyIpv6 => of(false),
            DnsPolicy::Any => ips.to_vec(),
        };
        if candidates.is_empty() {
            return Err(NetError::NoSuchHost { host: host.to_owned() });
        }
        let turn = match self.dns.select {
            DnsSelect::First => 0,
            DnsSelect::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed),
            // Any spread will do; a Weyl sequence needs no generator.
            DnsSelect::Random => {
                self.turn.fetch_add(0x9E37_79B9_7F4A_7C15_u64 as usize, Ordering::Relaxed) >> 16
            }
        };
        Ok(candidates[turn % candidates.len()])
    }
}

fn lookup_error(error: LookupError, host: &str) -> NetError {
    let (host, doing) = (host.to_owned(), format!("lookup {host}"));
    match (error, limits::out_of_open_files()) {
        (LookupError::NoThread(reason), _) => NetError::Threads { doing, reason },
        // The system's resolver does not say that it could open no socket.
        (_, Some(error)) => NetError::OpenFiles { doing, error },
        (LookupError::NotFound, None) => NetError::NoSuchHost { host },
        (LookupError::Temporary(error), None) => NetError::Lookup { host, code: "EAI_AGAIN", error },
        (LookupError::Failed(error), None) => NetError::Lookup { host, code: "EAI_FAIL", error },
    }
}

/// Whom the kernel connects to: the unspecified address means this machine, and an IPv4 address written as an IPv6 one
/// is still that. Block lists are about the peer.
fn peer_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// The number of an interface. 0 if it does not exist; no connect succeeds with that number.
fn interface(ip: IpAddr, zone: &str) -> u32 {
    if let Ok(number) = zone.parse() {
        return number;
    }
    // For an address, the system does not ask a name server.
    let mut found = (format!("{ip}%{zone}"), 0).to_socket_addrs().into_iter().flatten();
    found
        .find_map(|address| if let SocketAddr::V6(v6) = address { Some(v6.scope_id()) } else { None })
        .unwrap_or(0)
}

/// Go's idea of a name, which is RFC 1035's with underscores and leading digits.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label) && !is_number(name)
}

/// Texts that only the C library accepts as an IPv4 address: `127.1`, `0x7f000001`, `2130706433`.
fn is_number(name: &str) -> bool {
    let is_part = |part: &str| match part.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|c| c.is_ascii_hexdigit()),
        None => part.bytes().all(|c| c.is_ascii_digit()),
    };
    name.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn resolver(hosts: &[(&str, &str)], blocked: &[&str], blacklist: &[&str]) -> Arc<Resolver> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let hosts: Vec<_> = hosts.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Arc::new(Resolver::new(&hosts, &own(blocked), &own(blacklist), DnsConfig::default()).unwrap())
    }

    #[tokio::test]
    async fn hosts_map_names_and_ports() {
        let resolver = resolver(
            &[("a.test", "127.0.0.2"), ("*.wild.test", "127.0.0.3"), ("b.test:6000", "127.0.0.4:7")],
            &[],
            &[],
        );
        let resolve = async |host: &str, port| resolver.resolve(host, port, None).await.unwrap().to_string();
        assert_eq!(resolve("A.TEST", 80).await, "127.0.0.2:80");
        assert_eq!(resolve("x.wild.test", 80).await, "127.0.0.3:80");
        assert_eq!(resolve("b.test", 6000).await, "127.0.0.4:7");
        assert_eq!(resolve("::1", 1).await, "[::1]:1");
    }

    #[tokio::test]
    async fn block_lists_hold() {
        let resolver = resolver(&[("a.test", "127.0.0.2")], &["*.bad.test"], &["127.0.0.0/8"]);
        let error = async |host: &str| resolver.resolve(host, 1, None).await.unwrap_err().to_string();
        assert_eq!(error("x.bad.test").await, "hostname (x.bad.test) is in a blocked pattern (*.bad.test)");
        assert_eq!(error("a.test").await, "IP (127.0.0.2) is in a blacklisted range (127.0.0.0/8)");
        assert_eq!(error("not..valid").await, "lookup not..valid: no such host");
    }

    /// A name is blocked, and found among the hosts, however it is spelled on either side.
    #[tokio::test]
    async fn the_spelling_of_a_name_does_not_matter() {
        for pattern in ["bücher.test", "BÜCHER.test.", "xn--bcher-kva.test", "*.test", "*.TEST."] {
            let (blocking, mapping) =
                (resolver(&[], &[pattern], &[]), resolver(&[(pattern, "127.0.0.9")], &[], &[]));
            let with_port = resolver(&[(&format!("{pattern}:7"), "127.0.0.9:8")], &[], &[]);
            for host in ["bücher.test", "Bücher.Test.", "xn--bcher-kva.test", "XN--BCHER-KVA.test."] {
                let error = blocking.resolve(host, 7, None).await.unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("hostname ({host}) is in a blocked pattern ({pattern})")
                );
                assert_eq!(
                    mapping.resolve(host, 7, None).await.unwrap().to_string(),
                    "127.0.0.9:7",
                    "{pattern} {host}"
                );
                assert_eq!(
                    with_port.resolve(host, 7, None).await.unwrap().to_string(),
                    "127.0.0.9:8",
                    "{pattern} {host}"
                );
            }
        }
        let hosts = resolver(&[("[::2]:80", "127.0.0.2"), ("0:0::3", "127.0.0.3")], &["LocalHost."], &[]);
        for (host, address) in
            [("::2", "127.0.0.2:80"), ("[0::2]", "127.0.0.2:80"), ("[::3]", "127.0.0.3:80")]
        {
            assert_eq!(hosts.resolve(host, 80, None).await.unwrap().to_string(), address);
        }
        for host in ["localhost", "localhost.", "LOCALHOST.", "ｌocalhost"] {
            assert_eq!(
                hosts.resolve(host, 1, None).await.unwrap_err().code(),
                "ERR_BLOCKED_HOSTNAME",
                "{host}"
            );
        }
    }

    /// The C library takes numbers for addresses, and looks no name up in `/etc/hosts` that ends in a dot.
    #[tokio::test]
    async fn names_are_what_go_takes_for_names() {
        let resolver = resolver(&[], &[], &[]);
        for number in
            ["127", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.2.3.4.5", "127.1."]
        {
            let error = resolver.resolve(number, 1, None).await.unwrap_err();
            assert_eq!(
                (error.code(), error.to_string()),
                ("ENOTFOUND", format!("lookup {number}: no such host"))
            );
        }
        for wrong in ["a b", "-a.test", "a-", "a..test", "", ".", "ü ü.test", "a/b", "127.0.0.1%lo"] {
            assert_eq!(resolver.resolve(wrong, 1, None).await.unwrap_err().code(), "ENOTFOUND", "{wrong}");
        }
        for name in ["localhost", "localhost.", "LocalHost."] {
            assert!(resolver.resolve(name, 1, None).await.unwrap().ip().is_loopback(), "{name}");
        }
        assert!(is_dns_name("_srv.3com.test") && is_dns_name("x0x7f.1") && is_dns_name("a-b."));
    }

    #[tokio::test]
    async fn an_address_keeps_its_zone() {
        let resolver = resolver(&[], &[], &["fe80::2/128"]);
        for (host, address) in [
            ("fe80::1%7", "[fe80::1%7]:80"),
            ("[fe80::1%7]", "[fe80::1%7]:80"),
            ("fe80::1", "[fe80::1]:80"),
            ("fe80::1%there is none", "[fe80::1]:80"),
        ] {
            assert_eq!(resolver.resolve(host, 80, None).await.unwrap().to_string(), address);
        }
        assert_eq!(resolver.resolve("fe80::2%7", 80, None).await.unwrap_err().code(), "ERR_BLACKLISTED_IP");
        #[cfg(target_os = "linux")]
        assert_eq!(resolver.resolve("fe80::1%lo", 80, None).await.unwrap().to_string(), "[fe80::1%1]:80");
    }
}
