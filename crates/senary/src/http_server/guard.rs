//! Which clients may send requests: the user's programs, but no web page in the user's browser, unless the site offers it something.
//!
//! A browser sends what any page asks for to any address, this API's included. It says so in `Origin` and
//! `Sec-Fetch-Site`. A page whose own name resolves to this machine is recognised by `Host`, which has that name.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Ends of names that cannot be registered, so that no page on the Internet has one. Kubernetes, containers and local
/// networks use them for machines.
const LOCAL_ENDS: [&str; 5] = [".local", ".internal", ".localhost", ".home.arpa", ".lan"];

/// What a server accepts requests for.
#[derive(Debug)]
pub struct Guard {
    /// The host of `--address`, which may be a name.
    host: String,
    /// Other machines may ask.
    is_reachable: bool,
}

impl Guard {
    /// `address` is what the user gave, `bound` what it came to.
    pub fn new(address: &str, bound: SocketAddr) -> Self {
        Self { host: host_of(address), is_reachable: !bound.ip().is_loopback() }
    }

    /// Why a request is refused, if it is. `is_for_page` says which origins of other pages may have what is asked for.
    pub fn objection(&self, head: &Parts, is_for_page: impl Fn(&str) -> bool) -> Option<String> {
        let hosts =
            head.headers.get_all(HOST).iter().map(text).chain(head.uri.authority().map(|a| a.as_str()));
        for host in hosts {
            if !self.is_own(&host_of(host)) {
                return Some(format!(
                    "requests for the host {host:?} are refused: ask for an IP address, for localhost, or for the host that the server was given"
                ));
            }
        }
        foreign_page(&head.headers, is_for_page)
    }

    fn is_own(&self, host: &str) -> bool {
        let is_local_name = || !host.contains('.') || LOCAL_ENDS.iter().any(|end| host.ends_with(end));
        host.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host == self.host
            || self.is_reachable && is_local_name()
    }
}

fn foreign_page(headers: &HeaderMap, is_for_page: impl Fn(&str) -> bool) -> Option<String> {
    let own = headers.get(HOST).map(|host| format!("http://{}", text(host)));
    let is_own = |origin: &str| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(origin));
    let is_own_site = |site: &str| ["none", "same-origin"].contains(&site);
    let mut origins = headers.get_all(ORIGIN).iter().map(text).filter(|origin| !is_own(origin)).peekable();
    // The browser says that the page is a foreign one, which is known already.
    let is_welcome = origins.peek().is_some_and(|origin| is_for_page(origin));
    let origin = origins.find(|origin| !is_for_page(origin));
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().map(text).filter(|_| !is_welcome);
    let site = sites.find(|site| !is_own_site(site));
    let (name, value) = match (origin, site) {
        (Some(origin), _) => ("Origin", origin),
        (None, site) => ("Sec-Fetch-Site", site?),
    };
    Some(format!("requests that a web page sends are refused ({name}: {value})"))
}

/// A header that is not text equals no expected value.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}

/// The host of `host:port`, in small letters, without brackets and without the dot of the root.
fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn objection(guard: &Guard, uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.objection(&request.body(()).unwrap().into_parts().0, |_| false)
    }

    fn at(address: &str, bound: &str) -> Guard {
        Guard::new(address, bound.parse().unwrap())
    }

    #[test]
    fn names_that_a_page_may_have_are_refused() {
        let local = at("localhost:6565", "127.0.0.1:6565");
        let named = at("Load.Example.com:6565", "10.0.0.1:6565");
        let everywhere = at(":6565", "[::]:6565");
        let accepts = |guard: &Guard, host: &str| objection(guard, "/v1/status", &[("host", host)]).is_none();
        for host in ["127.0.0.1:6565", "10.1.2.3", "[::1]:6565", "[::1]", "localhost:6565", "LOCALHOST."] {
            assert!(accepts(&local, host) && accepts(&everywhere, host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:6565", "localhost.evil.example", "", "127.0.0.1.evil.example"]
        {
            assert!(!accepts(&local, host), "{host}");
        }
        assert!(!accepts(&everywhere, "evil.example:6565"));
        for host in ["runner-1.default.svc.cluster.local:6565", "runner:6565"] {
            assert!(accepts(&everywhere, host) && accepts(&named, host) && !accepts(&local, host), "{host}");
        }
        assert!(accepts(&named, "load.example.com:80") && !accepts(&named, "other.example.com"));
        assert!(objection(&local, "http://evil.example/v1/status", &[("host", "localhost")]).is_some());
        assert!(objection(&local, "/", &[("host", "localhost"), ("host", "evil.example")]).is_some());
        assert!(objection(&local, "/", &[]).is_none());
    }

    #[test]
    fn requests_of_foreign_pages_are_refused() {
        let guard = at("127.0.0.1:6565", "127.0.0.1:6565");
        let asked =
            |header: (&str, &str)| objection(&guard, "/v1/setup", &[("host", "127.0.0.1:6565"), header]);
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let objection = asked(header).unwrap();
            assert!(objection.ends_with(&format!(": {})", header.1)), "{objection}");
        }
        for header in [
            ("origin", "http://127.0.0.1:6565"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(asked(header), None, "{header:?}");
        }
    }

    #[test]
    fn pages_that_something_is_for_may_ask_for_it() {
        let guard = at("127.0.0.1:5665", "127.0.0.1:5665");
        let asked = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/events").header("host", "127.0.0.1:5665");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let head = request.body(()).unwrap().into_parts().0;
            guard.objection(&head, |origin| origin == "https://viewer.example")
        };
        let viewer = ("origin", "https://viewer.example");
        assert_eq!(asked(&[viewer]), None);
        assert_eq!(asked(&[viewer, ("sec-fetch-site", "cross-site")]), None);
        assert!(asked(&[viewer, ("origin", "https://evil.example")]).is_some());
        assert!(asked(&[("sec-fetch-site", "cross-site")]).is_some(), "it does not say which page it is");
        assert!(asked(&[viewer, ("host", "evil.example")]).is_some());
    }
}
