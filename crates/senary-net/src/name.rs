//! The one form in which names of hosts are compared: what is blocked under one spelling is blocked under all.
//!
//! Small letters, no dot of the root, international names in their ASCII form, and addresses as the system prints them.

use std::borrow::Cow;
use std::net::IpAddr;

/// The normal form of a host, which may be a name, or an address with or without brackets.
pub(crate) fn normal(host: &str) -> String {
    if let Some((ip, zone)) = literal(host) {
        return match zone {
            Some(zone) => format!("{ip}%{zone}"),
            None => ip.to_string(),
        };
    }
    let ascii = to_ascii(host);
    ascii.strip_suffix('.').unwrap_or(&ascii).to_owned()
}

/// The normal form of `host:port`.
pub(crate) fn normal_with_port(host: &str, port: u16) -> String {
    let host = normal(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The normal form of a host that may have a port behind it.
pub(crate) fn normal_authority(text: &str) -> String {
    if literal(text).is_some() {
        return normal(text);
    }
    match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => normal_with_port(host, port),
        None => normal(text),
    }
}

/// The name to look up: a dot at the end is kept, because it keeps the system from trying other domains.
pub(crate) fn absolute_or_not(host: &str) -> String {
    to_ascii(host).into_owned()
}

/// An address, with or without brackets, and its zone: the interface of `fe80::1%eth0`.
pub(crate) fn literal(host: &str) -> Option<(IpAddr, Option<&str>)> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.split_once('%') {
        Some((ip, zone)) => Some((IpAddr::V6(ip.parse().ok()?), Some(zone))),
        None => Some((bare.parse().ok()?, None)),
    }
}

/// In small letters; `bücher.test` is `xn--bcher-kva.test`. An invalid name stays as it is.
fn to_ascii(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return name.to_ascii_lowercase().into();
    }
    idna::domain_to_ascii(name).map_or_else(|_| name.to_lowercase().into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (names, form) in [
            (
                &["localhost", "localhost.", "LOCALHOST.", "Localhost", "ｌocalhost", "localhost。"][..],
                "localhost",
            ),
            (
                &["bücher.test", "BÜCHER.test.", "xn--bcher-kva.test", "XN--BCHER-KVA.TEST"],
                "xn--bcher-kva.test",
            ),
            (&["::1", "[::1]", "0:0:0:0:0:0:0:1", "[0::1]"], "::1"),
            (&["FE80::1%eth0", "[fe80:0::1%eth0]"], "fe80::1%eth0"),
            (&["_srv.a_b.test"], "_srv.a_b.test"),
            (&["a..b"], "a..b"),
        ] {
            for name in names {
                assert_eq!(normal(name), form, "{name}");
            }
        }
        for name in ["a.test:80", "A.test.:80", "a.TEST:80"] {
            assert_eq!(normal_authority(name), "a.test:80");
        }
        for name in ["[::1]:80", "[0:0::1]:80"] {
            assert_eq!(normal_authority(name), normal_with_port("::1", 80), "{name}");
        }
        assert_eq!(
            (normal_authority("[::1]").as_str(), normal_authority("::1:80").as_str()),
            ("::1", "::1:80")
        );
        assert_eq!(
            (absolute_or_not("A.Test."), absolute_or_not("a.test")),
            ("a.test.".into(), "a.test".into())
        );
    }
}
