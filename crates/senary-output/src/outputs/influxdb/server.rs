//! The database at the other end: over HTTP in its version 1 or 2, or over UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use senary_web::{Proxies, TlsOptions, check_headers};
use senary_words::io_text;

use super::config::Config;
use crate::delivery::{Again, Bytes, Receiver, SendError};
use crate::endpoint::{Answer, Endpoint, basic};

/// An InfluxDB over HTTP.
pub(super) struct Server {
    endpoint: Endpoint,
    /// Where the database is made, and whether it has answered that. `None` in version 2, where buckets are made beforehand.
    creation: Option<Creation>,
}

struct Creation {
    url: String,
    is_done: Mutex<bool>,
}

impl Server {
    /// Proxies of the environment are not for the database.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let addr = &config.addr;
        let mut headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        let (url, creation) = match &config.token {
            Some(token) => {
                headers.push(("Authorization".to_owned(), format!("Token {token}")));
                (format!("{addr}/api/v2/write?{}", version_2(config)), None)
            }
            None => {
                if config.username.is_some() || config.password.is_some() {
                    let name = config.username.as_deref().unwrap_or_default();
                    headers.push(basic(name, config.password.as_deref().unwrap_or_default()));
                }
                let statement = encoded(&format!("CREATE DATABASE {}", identifier(&config.db)));
                let creation =
                    Creation { url: format!("{addr}/query?q={statement}"), is_done: Mutex::new(false) };
                (format!("{addr}/write?{}", version_1(config)), Some(creation))
            }
        };
        let tls = TlsOptions { insecure_skip_verify: config.insecure, ..TlsOptions::default() };
        check_headers(&headers).map_err(|error| error.to_string())?;
        let endpoint = Endpoint::through(Proxies::only(config.proxy.as_deref()), url, headers, tls)?;
        Ok(Self { endpoint, creation })
    }

    /// Makes the database, once. That it may not is no error: it may be there. Without an answer there is none to writes.
    fn prepare(&self, within: Duration) -> Result<(), SendError> {
        let Some(creation) = &self.creation else { return Ok(()) };
        // Other writes wait until it is there.
        let mut is_done = creation.is_done.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_done {
            return Ok(());
        }
        let answer = self.endpoint.post_to(&creation.url, &[], &Bytes::new(), within)?;
        *is_done = true;
        if !answer.status.is_success() {
            log::debug!("InfluxDB: the database could not be created: {}", told(&answer));
        }
        Ok(())
    }

    /// The database is not there, although it was, or could not be made.
    fn forget(&self) {
        if let Some(creation) = &self.creation {
            *creation.is_done.lock().unwrap_or_else(PoisonError::into_inner) = false;
        }
    }
}

impl Receiver for Server {
    fn send(&self, body: &Bytes, within: Duration) -> Result<(), SendError> {
        self.prepare(within)?;
        let answer = self.endpoint.post(&[], body, within)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let is_missing = answer.status.as_u16() == 404 && self.creation.is_some();
        if is_missing {
            self.forget();
        }
        let again = if is_missing { Again::Later(None) } else { answer.again() };
        Err(SendError { reason: told(&answer), again })
    }

    fn report(&self, error: &SendError) {
        log::error!(error = error.reason.as_str(); "InfluxDB: Couldn't write stats");
    }
}

/// The server's own words, or what its status says.
fn told(answer: &Answer) -> String {
    let text = answer.text();
    if text.is_empty() { answer.status.to_string() } else { format!("{}: {text}", answer.status) }
}

/// How many points of a write the database has left out, if it has taken the others: those that do not fit the type of a field,
/// or go beyond a limit.
pub(super) fn dropped(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("partial write: ")?.1.rsplit_once("dropped=")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|dropped| *dropped > 0)
}

fn version_1(config: &Config) -> String {
    format!(
        "consistency={}&db={}&precision={}&rp={}",
        encoded(&config.consistency),
        encoded(&config.db),
        config.precision.of_version_1(),
        encoded(&config.retention)
    )
}

fn version_2(config: &Config) -> String {
    let bucket = config.bucket.as_deref().unwrap_or(&config.db);
    let precision = config.precision.of_version_2().unwrap_or_default();
    format!("bucket={}&org={}&precision={precision}", encoded(bucket), encoded(&config.organization))
}

/// A name in the query language, in quotes if it needs them.
fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The value of a parameter of a URL.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An InfluxDB that takes datagrams. It never says what became of them.
pub(super) struct Udp {
    /// `HOST:PORT`, looked up for each write: the database may have moved.
    to: String,
    /// The most bytes of a datagram.
    size: usize,
}

impl Udp {
    pub(super) fn new(config: &Config) -> Self {
        let to = config.addr.trim_start_matches("udp://").split('/').next().unwrap_or_default().to_owned();
        Self { to, size: config.payload_size }
    }

    /// How many points could not be sent, and why the last of them could not.
    fn send_all(&self, body: &[u8]) -> io::Result<Option<(usize, io::Error)>> {
        let unknown = || io::Error::other(format!("the name {} has no address", self.to));
        let to = self.to.to_socket_addrs()?.next().ok_or_else(unknown)?;
        let own = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(own)?;
        let mut failed = None;
        for datagram in datagrams(body, self.size) {
            if let Err(error) = socket.send_to(datagram, to) {
                let points = datagram.iter().filter(|byte| **byte == b'\n').count();
                let before = failed.map_or(0, |(points, _)| points);
                failed = Some((before + points, error));
            }
        }
        Ok(failed)
    }
}

impl Receiver for Udp {
    fn send(&self, body: &Bytes, _: Duration) -> Result<(), SendError> {
        match self.send_all(body) {
            Ok(None) => Ok(()),
            // The words that `dropped` reads.
            Ok(Some((points, error))) => {
                Err(SendError::final_(format!("partial write: {} dropped={points}", io_text(&error))))
            }
            Err(error) => Err(SendError::final_(io_text(&error))),
        }
    }

    fn report(&self, error: &SendError) {
        log::error!(error = error.reason.as_str(); "InfluxDB: Couldn't write stats");
    }
}

/// Whole lines, as many as fit; a line that is longer goes alone.
fn datagrams(mut body: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some(line) = body[end..].iter().position(|byte| *byte == b'\n') {
            if end > 0 && end + line + 1 > size {
                break;
            }
            end += line + 1;
        }
        let (datagram, rest) = body.split_at(end);
        body = rest;
        (!datagram.is_empty()).then_some(datagram)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_have_whole_lines() {
        let cut = |size| {
            let parts = datagrams(b"aa\nbb\na long one\nc\nd\n", size);
            parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(cut(6), ["aa\nbb\n", "a long one\n", "c\nd\n"]);
        assert_eq!(cut(1), ["aa\n", "bb\n", "a long one\n", "c\n", "d\n"]);
        assert_eq!(cut(100).len(), 1);
    }

    #[test]
    fn a_write_may_be_taken_in_part() {
        let refused =
            "400 Bad Request: {\"error\":\"partial write: field type conflict: dropped=1 dropped=12\"}";
        assert_eq!(dropped(refused), Some(12));
        assert_eq!(
            dropped("400 Bad Request: {\"error\":\"partial write: unable to parse 'x' dropped=0\"}"),
            None
        );
        assert_eq!(dropped("400 Bad Request: {\"error\":\"unable to parse 'x dropped=5'\"}"), None);
    }

    #[test]
    fn a_point_that_is_too_large_for_a_datagram_costs_no_other() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = format!("udp://{}", receiver.local_addr().unwrap());
        let udp = Udp::new(&Config { addr, ..Config::default() });
        let body = format!("a value=1 1\nb,t={} value=1 1\nc value=1 1\n", "x".repeat(70_000));
        let error = udp.send(&Bytes::from(body), Duration::from_secs(1)).unwrap_err();
        assert_eq!(dropped(&error.reason), Some(1), "{error}");
        let mut buffer = [0; 100];
        for line in ["a value=1 1\n", "c value=1 1\n"] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], line.as_bytes());
        }
    }

    #[test]
    fn names_of_databases_are_quoted_if_they_have_to_be() {
        assert_eq!(identifier("mydb"), "mydb");
        assert_eq!(identifier("my-db"), "\"my-db\"");
        assert_eq!(identifier("7\"\\"), "\"7\\\"\\\\\"");
    }

    #[test]
    fn requests_say_where_points_go() {
        let config = Config { db: "a b".to_owned(), retention: "week".to_owned(), ..Config::default() };
        assert_eq!(version_1(&config), "consistency=&db=a+b&precision=ns&rp=week");
        assert_eq!(version_2(&config), "bucket=a+b&org=&precision=ns");
        let config = Config { bucket: Some("b/c".to_owned()), organization: "o&o".to_owned(), ..config };
        assert_eq!(version_2(&config), "bucket=b%2Fc&org=o%26o&precision=ns");
    }
}
