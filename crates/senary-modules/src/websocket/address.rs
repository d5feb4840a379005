//! The URL of a WebSocket: what a session needs of it, and what is wrong with it in the words of the reference.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use senary_words::percent::decoded_text;

use crate::go_url::{Url, User};

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
    /// Why it is not a URL.
    Malformed(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|error| AddressError::Malformed(error.to_string()))?;
        let is_secure = match url.scheme.as_str() {
            "ws" => false,
            "wss" => true,
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        if let Some(fragment) = url.fragment {
            return Err(AddressError::Fragment(decoded_text(&fragment)));
        }
        if url.host.is_empty() {
            return Err(AddressError::Malformed(format!("parse {text:?}: no host in URL")));
        }
        let port = match url.port.as_deref() {
            None | Some("") if is_secure => 443,
            None | Some("") => 80,
            // Digits; too many of them are no port either.
            Some(digits) => digits.parse().unwrap_or(i64::MAX),
        };
        Ok(Self {
            url: match &url.user {
                Some(_) => url.without_user(),
                None => text.trim_end_matches('#').to_owned(),
            },
            is_secure,
            host: url.host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: url.authority(),
            target: url.request_path(),
            credentials: url.user.as_ref().map(basic),
        })
    }

    /// The page that cookies of this session belong to.
    pub fn page(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
}

/// The value of the header `Authorization` for a user.
fn basic(user: &User) -> String {
    let password = user.password.as_deref().unwrap_or_default();
    format!("Basic {}", STANDARD.encode(format!("{}:{password}", user.name)))
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
            ("ws://h/a?b={c}|d", false, "h", 80, "h", "/a?b={c}|d"),
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
        let address = Address::parse("ws://user@h/").unwrap();
        assert_eq!(address.credentials, Some(format!("Basic {}", STANDARD.encode("user:"))));
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
            ("ws:x", malformed("ws:x", "no host in URL")),
            ("ws://h/%zz", malformed("ws://h/%zz", r#"invalid URL escape "%zz""#)),
            ("ws://a b@h/", malformed("ws://a b@h/", "net/url: invalid userinfo")),
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
