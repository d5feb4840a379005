//! The URL of a WebSocket, taken apart as the reference does it, whose words for what is wrong it has.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where a session is, and what to ask for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As the script has given it, without a password.
    pub url: String,
    pub is_secure: bool,
    /// Without brackets.
    pub host: String,
    pub port: i64,
    /// Host and port as they stand in the URL, for the header `Host`.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// For the header `Authorization`, if the URL names a user.
    pub credentials: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Neither `ws` nor `wss`.
    Scheme(String),
    Fragment(String),
    /// Why it is no URL at all.
    Malformed(String),
}

impl Address {
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let malformed = |why: &str| AddressError::Malformed(format!("parse {url:?}: {why}"));
        if url.chars().any(|letter| letter.is_ascii_control()) {
            return Err(malformed("net/url: invalid control character in URL"));
        }
        let (whole, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (scheme, rest) = match scheme_of(whole) {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if whole.starts_with(':') => return Err(malformed("missing protocol scheme")),
            None => (String::new(), whole),
        };
        let is_secure = match scheme.as_str() {
            "ws" => false,
            "wss" => true,
            _ => {
                if let Some(rest) = rest.strip_prefix("//") {
                    authority(rest).map_err(|why| malformed(&why))?;
                }
                return Err(AddressError::Scheme(scheme));
            }
        };
        let Some(rest) = rest.strip_prefix("//") else { return Err(malformed("no host in URL")) };
        let (user, host, port) = authority(rest).map_err(|why| malformed(&why))?;
        if !fragment.is_empty() {
            return Err(AddressError::Fragment(fragment.to_owned()));
        }
        if host.is_empty() {
            return Err(malformed("no host in URL"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let shown = &rest[rest[..end].rfind('@').map_or(0, |at| at + 1)..end];
        let path = &rest[end..];
        let slash = if path.starts_with('/') { "" } else { "/" };
        let port = match port {
            "" => {
                if is_secure {
                    443
                } else {
                    80
                }
            }
            // Digits; too many of them are no port either.
            digits => digits.parse().unwrap_or(i64::MAX),
        };
        Ok(Self {
            url: match user {
                Some(_) => format!("{scheme}://{shown}{path}"),
                None => whole.to_owned(),
            },
            is_secure,
            host: host.to_owned(),
            port,
            authority: shown.to_owned(),
            target: escaped(&format!("{slash}{path}")),
            credentials: user.map(|user| format!("Basic {}", STANDARD.encode(unescaped(user)))),
        })
    }

    /// The page that cookies of this session belong to.
    pub fn page(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
}

fn scheme_of(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// User, host and port of what follows `//`; or what is wrong with them.
fn authority(rest: &str) -> Result<(Option<&str>, &str, &str), String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (user, host) = match rest[..end].rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, &rest[..end]),
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((host, "")) => (host, ""),
            Some((host, behind)) => match behind.strip_prefix(':') {
                Some(port) => (host, port),
                None => return Err(format!("invalid port {behind:?} after host")),
            },
            None => return Err("missing ']' in host".to_owned()),
        },
        None => host.rsplit_once(':').unwrap_or((host, "")),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port \":{port}\" after host"));
    }
    match host.chars().find(|letter| " <>\"\\^`{|}".contains(*letter)) {
        Some(letter) => Err(format!("invalid character \"{letter}\" in host name")),
        None => Ok((user, host, port)),
    }
}

/// What cannot stand in a request line is written in percent; what is written so already stays.
fn escaped(target: &str) -> String {
    let mut escaped = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'`' | b'\\' | b'^' | b'{' | b'|' | b'}' | ..=0x1f | 0x7f.. => {
                // Writing to a text cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
            plain => escaped.push(plain.into()),
        }
    }
    escaped
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        let digit = |digit: &u8| (*digit as char).to_digit(16).map(|value| value as u8);
        match (byte, behind) {
            (b'%', [high, low, behind @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                bytes.push(digit(high).unwrap_or(0) << 4 | digit(low).unwrap_or(0));
                rest = behind;
            }
            _ => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, secure, host, port, authority, target) in [
            ("ws://h.test", false, "h.test", 80, "h.test", "/"),
            ("wss://H.test:8443/a?b=c", true, "H.test", 8443, "H.test:8443", "/a?b=c"),
            ("WS://[::1]:9/", false, "::1", 9, "[::1]:9", "/"),
            ("ws://h?q=1", false, "h", 80, "h", "/?q=1"),
            ("ws://h/a b/ü%20", false, "h", 80, "h", "/a%20b/%C3%BC%20"),
            ("ws://h:999999/", false, "h", 999_999, "h:999999", "/"),
            ("ws://h/#", false, "h", 80, "h", "/"),
        ] {
            let address = Address::parse(url).unwrap();
            let found =
                (address.is_secure, &*address.host, address.port, &*address.authority, &*address.target);
            assert_eq!(found, (secure, host, port, authority, target), "{url}");
        }
    }

    #[test]
    fn a_user_goes_into_a_header_and_not_into_tags() {
        let address = Address::parse("ws://us%40r:p:w@h:1/x").unwrap();
        assert_eq!((&*address.url, &*address.host), ("ws://h:1/x", "h"));
        assert_eq!(address.credentials, Some(format!("Basic {}", STANDARD.encode("us@r:p:w"))));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_reference() {
        let scheme = |scheme: &str| AddressError::Scheme(scheme.to_owned());
        let malformed = |url: &str, why: &str| AddressError::Malformed(format!("parse {url:?}: {why}"));
        for (url, expected) in [
            ("", scheme("")),
            ("/echo", scheme("")),
            ("HTTP://h/", scheme("http")),
            ("ws://h/#part", AddressError::Fragment("part".to_owned())),
            ("ws://127.0.0.1 /", malformed("ws://127.0.0.1 /", r#"invalid character " " in host name"#)),
            ("http://a b/", malformed("http://a b/", r#"invalid character " " in host name"#)),
            ("ws://h:port/", malformed("ws://h:port/", r#"invalid port ":port" after host"#)),
            ("ws://[::1/", malformed("ws://[::1/", "missing ']' in host")),
            (":x", malformed(":x", "missing protocol scheme")),
            ("ws:///x", malformed("ws:///x", "no host in URL")),
            ("ws://h/\n", malformed("ws://h/\n", "net/url: invalid control character in URL")),
        ] {
            assert_eq!(Address::parse(url), Err(expected), "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_not(url in "(wss?://)?.{0,20}") {
            if let Ok(address) = Address::parse(&url) {
                prop_assert!(address.target.starts_with('/'));
                prop_assert!(address.target.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
            }
        }
    }
}
