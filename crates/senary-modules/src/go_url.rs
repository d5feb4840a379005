//! URLs of requests: read as the reference reads them, kept as they are written, and escaped only where a request
//! could not be sent otherwise.

use std::fmt;

use senary_net::http::HttpTarget;
use senary_words::percent::decoded_text;

/// What takes the place of a user and a password in tags.
const MASK: &str = "****";

/// Why a text is not a URL. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse {url:?}: {reason}")]
pub struct UrlError {
    url: String,
    reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    pub user: Option<User>,
    /// As it is written, with the brackets of an IPv6 address.
    pub host: String,
    pub port: Option<String>,
    has_authority: bool,
    /// Escaped.
    pub path: String,
    pub query: Option<String>,
    pub fragment: Option<String>,
}

/// Decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Option<String>,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        parse(text).map_err(|reason| UrlError { url: text.to_owned(), reason })
    }

    /// The host and the port, as the `Host` header has them.
    pub fn authority(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Without brackets, and in lower case.
    pub fn host_name(&self) -> String {
        self.host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
    }

    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// Where a request to this URL is sent, or why it cannot be sent.
    pub fn target(&self) -> Result<HttpTarget, String> {
        let secure = match self.scheme.as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        if self.host.is_empty() {
            return Err("http: no Host in request URL".to_owned());
        }
        let port = match self.port.as_deref() {
            None | Some("") => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(digits) => digits.parse().unwrap_or(i64::MAX),
        };
        let host = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(HttpTarget { secure, host, port, path: self.request_path(), authority: self.authority() })
    }

    /// The path and the query as they are sent.
    pub fn request_path(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// The URL for tags, without user and password.
    pub fn masked(&self) -> String {
        let Some(user) = &self.user else { return self.to_string() };
        let mask = User { name: MASK.to_owned(), password: user.password.as_ref().map(|_| MASK.to_owned()) };
        Self { user: Some(mask), ..self.clone() }.to_string()
    }

    /// As other servers may see it: without the user, the password and the fragment.
    pub fn without_user(&self) -> String {
        Self { user: None, fragment: None, ..self.clone() }.to_string()
    }

    /// Whether the part after the scheme is not a path: `mailto:a@b`.
    fn is_opaque(&self) -> bool {
        !self.scheme.is_empty() && !self.has_authority && !self.path.is_empty() && !self.path.starts_with('/')
    }

    /// The URL that a reference in a document of this URL means (RFC 3986, section 5.2).
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let mut to = Self::parse(reference)?;
        if to.is_opaque() {
            return Ok(to);
        }
        if !to.scheme.is_empty() {
            to.path = without_dots(&to.path);
            return Ok(to);
        }
        to.scheme.clone_from(&self.scheme);
        if to.has_authority {
            to.path = without_dots(&to.path);
            return Ok(to);
        }
        to.user.clone_from(&self.user);
        to.host.clone_from(&self.host);
        to.port.clone_from(&self.port);
        to.has_authority = self.has_authority;
        if to.path.is_empty() {
            to.path.clone_from(&self.path);
            if to.query.is_none() {
                to.query.clone_from(&self.query);
            }
        } else if to.path.starts_with('/') {
            to.path = without_dots(&to.path);
        } else {
            // An opaque URL has no path, so there is no folder to start from.
            let folders = self.path.rfind('/').filter(|_| !self.is_opaque());
            let folder = folders.map_or("/", |at| &self.path[..=at]);
            to.path = without_dots(&format!("{folder}{}", to.path));
        }
        Ok(to)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.has_authority {
            f.write_str("//")?;
            if let Some(user) = &self.user {
                f.write_str(&escape(&user.name, user_byte))?;
                if let Some(password) = &user.password {
                    write!(f, ":{}", escape(password, user_byte))?;
                }
                f.write_str("@")?;
            }
            f.write_str(&self.authority())?;
        } else if !self.scheme.is_empty() && self.path.starts_with("//") {
            // Without this, the first part of the path would be read as a host (RFC 3986, section 3.3).
            f.write_str("/.")?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        match &self.fragment {
            Some(fragment) => write!(f, "#{fragment}"),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> Result<Url, String> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (text, fragment) = split(text, '#');
    let (scheme, rest) = scheme_of(text)?;
    let (rest, query) = split(rest, '?');
    let mut url = Url {
        scheme: scheme.to_ascii_lowercase(),
        query: query.map(|query| escape(query, query_byte)),
        fragment: fragment.filter(|fragment| !fragment.is_empty()).map(|f| escape(f, query_byte)),
        ..Url::default()
    };
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.path = escape(rest, query_byte);
            return Ok(url);
        }
        let first = rest.split('/').next().unwrap_or_default();
        if first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') || !url.scheme.is_empty() => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            url.has_authority = true;
            read_authority(&mut url, authority)?;
            path
        }
        _ => rest,
    };
    check_escapes(path)?;
    url.path = escape(path, path_byte);
    Ok(url)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The scheme, and what stands behind its colon.
fn scheme_of(text: &str) -> Result<(&str, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn read_authority(url: &mut Url, authority: &str) -> Result<(), String> {
    let host = match authority.rsplit_once('@') {
        None => authority,
        Some((user, host)) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
            if !user.chars().all(allowed) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            check_escapes(user)?;
            let (name, password) = split(user, ':');
            url.user = Some(User { name: decoded_text(name), password: password.map(decoded_text) });
            host
        }
    };
    let end = match host.strip_prefix('[') {
        Some(_) => host.find(']').ok_or("missing ']' in host")? + 1,
        None => host.rfind(':').unwrap_or(host.len()),
    };
    let (host, port) = host.split_at(end);
    url.port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.to_owned()),
        None if port.is_empty() => None,
        _ => return Err(format!("invalid port {port:?} after host")),
    };
    check_escapes(host)?;
    // Only what is not ASCII may be escaped in a name; the zone of an IPv6 address is behind an escaped percent sign.
    if let Some(at) = host.match_indices('%').map(|(at, _)| at).find(|at| {
        let escape = &host.as_bytes()[*at..];
        !escape.starts_with(b"%25") && escape.get(1).is_some_and(|digit| (b'0'..=b'7').contains(digit))
    }) && !host.starts_with('[')
    {
        return Err(format!("invalid URL escape {:?}", &host[at..at + 3]));
    }
    if let Some(odd) = host.chars().find(|c| c.is_ascii() && !host_char(*c)) {
        return Err(format!("invalid character {:?} in host name", odd.to_string()));
    }
    url.host = host.to_owned();
    Ok(())
}

fn host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]<>\"%".contains(c)
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            let end = text.char_indices().map(|(i, _)| i).filter(|i| *i >= at).nth(3).unwrap_or(text.len());
            return Err(format!("invalid URL escape {:?}", &text[at..end]));
        }
    }
    Ok(())
}

fn path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*%[]".contains(&byte)
}

fn query_byte(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) && !b"\"<>".contains(&byte)
}

fn user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,;=*!'()".contains(&byte)
}

/// The bytes that may not stand there, as `%XX`.
fn escape(text: &str, is_allowed: fn(u8) -> bool) -> String {
    if text.bytes().all(is_allowed) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            byte if is_allowed(byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A path without `.` and `..`.
fn without_dots(path: &str) -> String {
    if !path.split('/').any(|part| part == "." || part == "..") {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for part in path.split('/').skip(usize::from(path.starts_with('/'))) {
        ends_in_folder = part == "." || part == "..";
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if ends_in_folder && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_kept_as_they_are_written() {
        for url in [
            "",
            "no-scheme",
            "http://",
            "http://host",
            "http://host/",
            "https://u:p@host.test:81/a/b?c=d&e=%20#f",
            "http://[::1]:80/x",
            "http://host/a%2Fb?q=%zz",
            "mailto:a@b",
            "/path?query",
            "http://host?q",
        ] {
            assert_eq!(Url::parse(url).unwrap().to_string(), url);
        }
        let escaped = [
            ("http://h/a b", "http://h/a%20b"),
            ("http://h/ü?ü=<a>", "http://h/%C3%BC?%C3%BC=%3Ca%3E"),
            ("HTTP://h/", "http://h/"),
        ];
        for (url, sent) in escaped {
            assert_eq!(Url::parse(url).unwrap().to_string(), sent);
        }
    }

    #[test]
    fn what_is_no_url_is_told_in_the_references_words() {
        for (url, reason) in [
            ("http://bad host/", "invalid character \" \" in host name"),
            ("::not a url::", "missing protocol scheme"),
            ("a:b", ""),
            ("1:b/c", "first path segment in URL cannot contain colon"),
            ("http://h:x/", "invalid port \":x\" after host"),
            ("http://h/%zz", "invalid URL escape \"%zz\""),
            ("http://h/%z", "invalid URL escape \"%z\""),
            ("http://%zz/", "invalid URL escape \"%zz\""),
            ("http://a%20b/", "invalid URL escape \"%20\""),
            ("http://a%41b/", "invalid URL escape \"%41\""),
            ("http://%C3%A9.test/", ""),
            ("http://[fe80::1%25eth0]/", ""),
            ("http://a b@h/", "net/url: invalid userinfo"),
            ("http://[::1/", "missing ']' in host"),
            ("http://h/\n", "net/url: invalid control character in URL"),
        ] {
            match Url::parse(url) {
                Ok(_) => assert_eq!(reason, "", "{url}"),
                Err(error) => assert_eq!(error.to_string(), format!("parse {url:?}: {reason}")),
            }
        }
    }

    #[test]
    fn references_are_resolved() {
        let base = Url::parse("http://u:p@h:81/a/b/c?q#f").unwrap();
        for (reference, url) in [
            ("", "http://u:p@h:81/a/b/c?q"),
            ("?x", "http://u:p@h:81/a/b/c?x"),
            ("d", "http://u:p@h:81/a/b/d"),
            ("../d?y", "http://u:p@h:81/a/d?y"),
            ("./", "http://u:p@h:81/a/b/"),
            ("../../../..", "http://u:p@h:81/"),
            ("/d/./e", "http://u:p@h:81/d/e"),
            ("//other/x", "http://other/x"),
            ("https://other:1/x/../y", "https://other:1/y"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), url, "{reference}");
        }
        assert_eq!(Url::parse("http://h").unwrap().join("x").unwrap().to_string(), "http://h/x");
    }

    /// Nobody is asked for them, but they are written down and read again.
    #[test]
    fn references_without_hosts_are_resolved() {
        for (base, reference, url) in [
            ("https:%/u:secret@h/a", "../x", "https:/x"),
            ("mailto:a/b", "", "mailto:a/b"),
            ("mailto:a/b", "?x", "mailto:a/b?x"),
            ("http://h/a", "mailto:a/../b", "mailto:a/../b"),
            ("http://h/a", "http:/a/..//other/x", "http:/.//other/x"),
            ("http:/a", "/b/..//other/x", "http:/.//other/x"),
            ("http://h/a", "/b/..//other/x", "http://h//other/x"),
        ] {
            let joined = Url::parse(base).unwrap().join(reference).unwrap();
            assert_eq!(joined.to_string(), url, "{reference} in {base}");
            let read = Url::parse(url).unwrap();
            assert_eq!(read.to_string(), url);
            assert_eq!(read.host, joined.host);
        }
    }

    #[test]
    fn passwords_do_not_get_into_tags() {
        assert_eq!(Url::parse("http://u:p@h/").unwrap().masked(), "http://****:****@h/");
        assert_eq!(Url::parse("http://u@h/").unwrap().masked(), "http://****@h/");
        assert_eq!(Url::parse("http://h/").unwrap().masked(), "http://h/");
    }

    #[test]
    fn targets_are_what_the_client_needs() {
        let target = Url::parse("https://[::1]/").unwrap().target().unwrap();
        assert_eq!((target.host.as_str(), target.port, target.authority.as_str()), ("::1", 443, "[::1]"));
        let target = Url::parse("http://H.test:99999?a").unwrap().target().unwrap();
        assert_eq!((target.port, target.path.as_str()), (99999, "/?a"));
        let refused = |url| Url::parse(url).unwrap().target().unwrap_err();
        assert_eq!(refused("ftp://h/"), "unsupported protocol scheme \"ftp\"");
        assert_eq!(refused(""), "unsupported protocol scheme \"\"");
        assert_eq!(refused("http://"), "http: no Host in request URL");
    }
}
