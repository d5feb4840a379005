//! A cookie jar: which cookies go with a request (RFC 6265, without a list of public suffixes, as in the reference).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::cookie::{self, SetCookie};
use crate::go_url::Url;

/// A jar keeps at most this many cookies, and drops the oldest. Browsers keep about 3000.
const MAX_COOKIES: usize = 10_000;

#[derive(Debug, Default)]
pub struct CookieJar {
    cookies: RefCell<VecDeque<Kept>>,
    /// How many were kept so far: the order in which cookies are made.
    made: Cell<u64>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Of what tells it from others, so that it is found quickly among thousands.
    hash: u64,
    name: String,
    value: String,
    domain: String,
    path: String,
    secure: bool,
    /// It is sent to that host only, and not to its subdomains.
    host_only: bool,
    /// Milliseconds since the epoch.
    expires: Option<i64>,
    made: u64,
}

/// The place that a cookie belongs to.
struct Place {
    domain: String,
    host_only: bool,
}

impl CookieJar {
    /// Names and values of the cookies for a URL, in the order in which they are sent.
    pub fn cookies_for(&self, url: &Url) -> Vec<(String, String)> {
        self.cookies_at(url, now())
    }

    /// The `Cookie` header for a URL, if there are cookies for it.
    pub fn header_for(&self, url: &Url) -> Option<String> {
        let pairs: Vec<String> =
            self.cookies_for(url).iter().map(|(name, value)| cookie::pair(name, value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Keeps what the `Set-Cookie` headers of a response say. Of more than a jar holds, the first would be dropped again.
    pub fn store<'a>(&self, url: &Url, headers: impl IntoIterator<Item = &'a str, IntoIter: Clone>) {
        let headers = headers.into_iter();
        let surplus = headers.clone().count().saturating_sub(MAX_COOKIES);
        for cookie in headers.skip(surplus).filter_map(SetCookie::parse) {
            self.set(url, cookie);
        }
    }

    /// Keeps, replaces or deletes a cookie. A cookie for another host is ignored.
    pub fn set(&self, url: &Url, cookie: SetCookie) {
        self.set_at(url, cookie, now());
    }

    /// Deletes the cookies for a URL.
    pub fn clear(&self, url: &Url) {
        let Some(request) = Request::of(url) else { return };
        self.cookies.borrow_mut().retain(|cookie| !request.takes(cookie));
    }

    /// Deletes the cookies of that name for a URL.
    pub fn delete(&self, url: &Url, name: &str) {
        let Some(request) = Request::of(url) else { return };
        self.cookies.borrow_mut().retain(|cookie| cookie.name != name || !request.takes(cookie));
    }

    fn cookies_at(&self, url: &Url, now: i64) -> Vec<(String, String)> {
        if self.cookies.borrow().is_empty() {
            return Vec::new();
        }
        let Some(request) = Request::of(url) else { return Vec::new() };
        self.cookies.borrow_mut().retain(|cookie| cookie.expires.is_none_or(|expires| expires > now));
        let cookies = self.cookies.borrow();
        let mut found: Vec<&Kept> = cookies.iter().filter(|cookie| request.takes(cookie)).collect();
        found.sort_by(|a, b| b.path.len().cmp(&a.path.len()).then(a.made.cmp(&b.made)));
        found.into_iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    fn set_at(&self, url: &Url, cookie: SetCookie, now: i64) {
        let Some(request) = Request::of(url) else { return };
        let Some(Place { domain, host_only }) = place(&request.host, &cookie.domain) else { return };
        let path = if cookie.path.starts_with('/') { cookie.path } else { folder_of(&request.path) };
        let expires = match cookie.max_age {
            0 => cookie.expires,
            seconds if seconds < 0 => Some(i64::MIN),
            seconds => Some(now.saturating_add(seconds.saturating_mul(1000))),
        };
        let mut cookies = self.cookies.borrow_mut();
        let hash = hash_of(&cookie.name, &domain, &path);
        let same = |kept: &Kept| {
            kept.hash == hash && kept.name == cookie.name && kept.domain == domain && kept.path == path
        };
        let known = cookies.iter().position(same);
        if expires.is_some_and(|expires| expires <= now) {
            known.map(|at| cookies.remove(at));
            return;
        }
        // A replaced cookie keeps its place in the order.
        let made = known.map_or_else(|| self.made.replace(self.made.get() + 1), |at| cookies[at].made);
        let kept = Kept {
            hash,
            name: cookie.name,
            value: cookie.value,
            domain,
            path,
            secure: cookie.secure,
            host_only,
            expires,
            made,
        };
        match known {
            Some(at) => cookies[at] = kept,
            None => cookies.push_back(kept),
        }
        if cookies.len() > MAX_COOKIES {
            cookies.pop_front();
        }
    }
}

/// The properties of a request that decide which cookies it carries.
struct Request {
    host: String,
    path: String,
    secure: bool,
}

impl Request {
    /// `None` for a URL of another scheme than HTTP and WebSocket: only these have cookies.
    fn of(url: &Url) -> Option<Self> {
        let secure = match url.scheme.as_str() {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return None,
        };
        let host = url.host_name().trim_end_matches('.').to_owned();
        let path = if url.path.is_empty() { "/".to_owned() } else { url.path.clone() };
        (!host.is_empty()).then_some(Self { host, path, secure })
    }

    fn takes(&self, cookie: &Kept) -> bool {
        let in_domain = match cookie.host_only {
            true => self.host == cookie.domain,
            false => self.host == cookie.domain || is_below(&self.host, &cookie.domain),
        };
        in_domain && (self.secure || !cookie.secure) && path_matches(&self.path, &cookie.path)
    }
}

fn hash_of(name: &str, domain: &str, path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, domain, path).hash(&mut hasher);
    hasher.finish()
}

fn path_matches(path: &str, of_cookie: &str) -> bool {
    path == of_cookie
        || path.strip_prefix(of_cookie).is_some_and(|rest| of_cookie.ends_with('/') || rest.starts_with('/'))
}

/// The path that a cookie without one has.
fn folder_of(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// `None`: a host may not set cookies for that domain.
fn place(host: &str, domain: &str) -> Option<Place> {
    if domain.is_empty() {
        return Some(Place { domain: host.to_owned(), host_only: true });
    }
    if host.parse::<IpAddr>().is_ok() {
        // An address has no subdomains.
        return (host == domain).then(|| Place { domain: host.to_owned(), host_only: true });
    }
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
    if domain.is_empty() || domain.starts_with('.') || domain.ends_with('.') {
        return None;
    }
    (host == domain || is_below(host, &domain)).then_some(Place { domain, host_only: false })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn sent(jar: &CookieJar, to: &str) -> String {
        jar.header_for(&url(to)).unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let jar = CookieJar::default();
        jar.store(
            &url("http://www.shop.test/a/b"),
            [
                "host=1",
                "domain=2; Domain=.shop.test; Path=/",
                "root=3; Path=/",
                "deep=4; Path=/a/b/c",
                "safe=5; Path=/; Secure",
                "foreign=6; Domain=other.test",
                "below=7; Domain=deep.www.shop.test",
            ],
        );
        for (to, cookies) in [
            ("http://www.shop.test/", "domain=2; root=3"),
            ("http://WWW.shop.test:81/a", "host=1; domain=2; root=3"),
            ("http://www.shop.test/ab", "domain=2; root=3"),
            ("http://www.shop.test/a/b/c/d", "deep=4; host=1; domain=2; root=3"),
            ("https://www.shop.test", "domain=2; root=3; safe=5"),
            ("http://shop.test/a", "domain=2"),
            ("http://x.shop.test/a", "domain=2"),
            ("http://notshop.test/a", ""),
            ("ftp://www.shop.test/", ""),
        ] {
            assert_eq!(sent(&jar, to), cookies, "{to}");
        }
    }

    #[test]
    fn addresses_have_no_subdomains() {
        let jar = CookieJar::default();
        jar.store(&url("http://127.0.0.1/"), ["a=1; Domain=127.0.0.1", "b=2; Domain=0.0.1", "c=3"]);
        assert_eq!(sent(&jar, "http://127.0.0.1:8080/"), "a=1; c=3");
        jar.store(&url("http://[::1]/"), ["d=4"]);
        assert_eq!(sent(&jar, "http://[::1]:8080/"), "d=4");
    }

    #[test]
    fn cookies_expire_and_are_replaced_and_deleted() {
        let jar = CookieJar::default();
        let page = url("http://h/");
        let set = |text: &str, at| jar.set_at(&page, SetCookie::parse(text).unwrap(), at);
        let names = |at| {
            let cookies = jar.cookies_at(&page, at);
            cookies.iter().map(|(name, value)| format!("{name}{value}")).collect::<Vec<_>>().join(" ")
        };
        set("a=1; Max-Age=10", 1000);
        set("b=1; Expires=Thu, 01 Jan 1970 00:00:05 GMT", 1000);
        set("c=1; Expires=Thu, 01 Jan 1970 00:00:01 GMT", 1000);
        set("d=1", 1000);
        assert_eq!(names(1000), "a1 b1 d1");
        set("a=2; Max-Age=10", 1000);
        assert_eq!(names(1000), "a2 b1 d1");
        assert_eq!(names(5000), "a2 d1");
        set("d=1; Max-Age=0", 5000);
        assert_eq!(names(5000), "a2");
        assert_eq!(names(11_000), "");
        set("e=1; Path=/x", 0);
        set("f=1", 0);
        jar.delete(&page, "f");
        jar.clear(&page);
        assert_eq!(sent(&jar, "http://h/x"), "e=1");
        jar.clear(&url("http://h/x/y"));
        assert_eq!(sent(&jar, "http://h/x"), "");
    }

    #[test]
    fn a_jar_does_not_grow_without_end() {
        let jar = CookieJar::default();
        let page = url("http://h/");
        for n in 0..MAX_COOKIES + 5 {
            jar.set(&page, SetCookie { name: format!("n{n}"), ..SetCookie::default() });
        }
        let kept = jar.cookies_for(&page);
        assert_eq!((kept.len(), kept[0].0.as_str()), (MAX_COOKIES, "n5"));
        let many: Vec<String> = (0..3 * MAX_COOKIES).map(|n| format!("m{n}=v")).collect();
        jar.store(&page, many.iter().map(String::as_str));
        let kept = jar.cookies_for(&page);
        assert_eq!((kept.len(), kept[0].0.as_str()), (MAX_COOKIES, "m20000"));
    }
}
