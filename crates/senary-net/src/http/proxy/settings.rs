//! Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as most programs read them.
//!
//! Names in capital letters come first. Requests to this machine never go through a proxy.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use senary_words::percent;

use crate::options::Cidr;

/// A setting that names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a usable proxy: write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT into HTTPS_PROXY or HTTP_PROXY"
)]
pub struct ProxyError(pub String);

/// The settings for proxies in the environment.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: Vec<Exception>,
    /// Whether requests to this machine go through a proxy, too.
    covers_here: bool,
}

/// A proxy, and how to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    pub host: String,
    pub port: u16,
    /// Who asks: a name and a password.
    pub credentials: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS5. The proxy looks names up, whether the URL says `socks5` or `socks5h`; as in Go.
    Socks,
}

/// An entry of `NO_PROXY`: what it names, and the port if it is about one only.
#[derive(Clone, Debug)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    All,
    Address(IpAddr),
    Range(Cidr),
    /// Names that end in a dot and this suffix; and the name itself, unless the user wrote the dot.
    Domain {
        suffix: String,
        itself: bool,
    },
}

impl Proxies {
    /// `get` gives variables of the environment.
    pub fn new<'e>(get: impl Fn(&str) -> Option<&'e str>) -> Self {
        let either = |name: &str| get(name).or_else(|| get(&name.to_lowercase()));
        let except = either("NO_PROXY").unwrap_or_default();
        Self {
            http: either("HTTP_PROXY").map(str::to_owned),
            https: either("HTTPS_PROXY").map(str::to_owned),
            except: except.split(',').filter_map(|entry| Exception::parse(entry.trim())).collect(),
            covers_here: false,
        }
    }

    /// Whether every request is made directly.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// One proxy, or none, for all requests whatever the environment says.
    pub fn only(proxy: Option<&str>) -> Self {
        let proxy = proxy.map(str::to_owned);
        Self { http: proxy.clone(), https: proxy, except: Vec::new(), covers_here: true }
    }

    /// The proxy between here and a server, if there is one.
    pub fn to(&self, secure: bool, host: &str, port: u16) -> Result<Option<Proxy>, ProxyError> {
        let host = host.trim_end_matches('.').to_lowercase();
        let address = host.parse::<IpAddr>().ok();
        let is_here = !self.covers_here
            && (host == "localhost" || address.is_some_and(|address| address.is_loopback()));
        if is_here || self.except.iter().any(|exception| exception.covers(&host, address, port)) {
            return Ok(None);
        }
        let proxy = if secure { &self.https } else { &self.http };
        proxy.as_deref().map(Proxy::parse).transpose()
    }
}

impl fmt::Debug for Proxy {
    // Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

impl Proxy {
    /// The value of `Proxy-Authorization`.
    pub fn authorization(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode([&user[..], b":", password].concat())))
    }

    /// Whether requests to plain servers go to the proxy itself, which forwards them.
    pub fn forwards(&self) -> bool {
        self.kind != ProxyKind::Socks
    }

    /// `http://user:password@host:port`; all but the host may be left out.
    fn parse(text: &str) -> Result<Self, ProxyError> {
        let bad = || ProxyError(text.to_owned());
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url: Uri = url.parse().map_err(|_| bad())?;
        let scheme = url.scheme_str().map(str::to_ascii_lowercase);
        let (kind, usual_port) = match scheme.as_deref() {
            Some("http") => (ProxyKind::Http, 80),
            Some("https") => (ProxyKind::Https, 443),
            Some("socks5" | "socks5h") => (ProxyKind::Socks, 1080),
            _ => return Err(bad()),
        };
        let authority = url.authority().ok_or_else(bad)?;
        let credentials = authority.as_str().rsplit_once('@').map(|(user, _)| {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            (percent::decoded(user), percent::decoded(password))
        });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self { kind, host, port: authority.port_u16().unwrap_or(usual_port), credentials })
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.to_lowercase();
        if entry == "*" {
            return Some(Self { hosts: Hosts::All, port: None });
        }
        if let Ok(range) = Cidr::parse(&entry) {
            return Some(Self { hosts: Hosts::Range(range), port: None });
        }
        if let Ok(address) = entry.trim_matches(['[', ']']).parse() {
            return Some(Self { hosts: Hosts::Address(address), port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Some(Self { hosts: Hosts::Address(address), port });
        }
        let domain = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let (suffix, itself) = match domain.starts_with('.') {
            true => (domain.to_owned(), false),
            false => (format!(".{domain}"), true),
        };
        (suffix.len() > 1).then_some(Self { hosts: Hosts::Domain { suffix, itself }, port })
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
            && match &self.hosts {
                Hosts::All => true,
                Hosts::Address(own) => address == Some(*own),
                Hosts::Range(range) => address.is_some_and(|address| range.contains(address)),
                Hosts::Domain { suffix, itself } => {
                    host.ends_with(suffix) || (*itself && host == &suffix[1..])
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(variables: &[(&str, &'static str)]) -> Proxies {
        Proxies::new(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    #[test]
    fn each_scheme_has_its_own() {
        let proxies =
            proxies(&[("HTTPS_PROXY", "http://u:p%40s%23s@secure.test:3128/"), ("http_proxy", "plain.test")]);
        let secure = proxies.to(true, "host.test", 443).unwrap().unwrap();
        assert_eq!((secure.host.as_str(), secure.port), ("secure.test", 3128));
        assert_eq!(secure.authorization().unwrap(), format!("Basic {}", STANDARD.encode("u:p@s#s")));
        let plain = proxies.to(false, "host.test", 80).unwrap().unwrap();
        let expected =
            Proxy { kind: ProxyKind::Http, host: "plain.test".into(), port: 80, credentials: None };
        assert_eq!(plain, expected);
        assert_eq!(Proxies::default().to(true, "host.test", 443).unwrap(), None);
    }

    #[test]
    fn each_kind_has_its_usual_port() {
        for (url, kind, port) in [
            ("p.test", ProxyKind::Http, 80),
            ("https://p.test", ProxyKind::Https, 443),
            ("socks5://p.test/", ProxyKind::Socks, 1080),
            ("SOCKS5H://u@p.test:9", ProxyKind::Socks, 9),
        ] {
            let proxy = proxies(&[("HTTP_PROXY", url)]).to(false, "host.test", 80).unwrap().unwrap();
            assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (kind, "p.test", port), "{url}");
        }
    }

    #[test]
    fn exceptions_are_asked_directly() {
        let no_proxy = "one.test, .two.test,*.three.test,10.0.0.0/8,192.168.1.1,[fd00::1]:8443,four.test:81";
        let proxies = proxies(&[("HTTPS_PROXY", "p.test"), ("NO_PROXY", no_proxy)]);
        let direct = |host: &str, port| proxies.to(true, host, port).unwrap().is_none();
        for host in
            ["one.test", "a.one.test", "ONE.test.", "a.two.test", "b.a.three.test", "10.1.2.3", "192.168.1.1"]
        {
            assert!(direct(host, 443), "{host}");
        }
        for host in ["none.test", "two.test", "three.test", "11.0.0.1", "192.168.1.2", "fd00::1", "four.test"]
        {
            assert!(!direct(host, 443), "{host}");
        }
        assert!(direct("fd00::1", 8443) && direct("a.four.test", 81));
        for here in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert!(direct(here, 443), "{here}");
        }
        let none = self::proxies(&[("HTTPS_PROXY", "p.test"), ("no_proxy", "*")]);
        assert_eq!(none.to(true, "host.test", 443).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(proxy in "\\PC{0,30}", except in "[a-z0-9.:,*/\\[\\] -]{0,40}", host in "\\PC{0,20}") {
            let (http, except) = (Some(proxy), except.split(',').filter_map(Exception::parse).collect());
            let _ = Proxies { http, https: None, except, covers_here: false }.to(false, &host, 80);
        }
    }

    #[test]
    fn what_is_no_proxy_is_told() {
        for bad in ["socks4://p.test", "ftp://p.test", "http://", "http://a b", "socks5://"] {
            let error = proxies(&[("HTTPS_PROXY", bad)]).to(true, "host.test", 443).unwrap_err();
            assert_eq!(error, ProxyError(bad.to_owned()));
        }
    }
}
