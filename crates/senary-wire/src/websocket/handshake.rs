//! The texts of the opening handshake: the request, the head of the answer, and whether it is the right one.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The most that the head of an answer may take, in bytes, and in lines.
pub const MAX_HEAD: usize = 64 << 10;
const MAX_LINES: usize = 256;

/// The begin of what servers of TLS answer to plain text.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// What the standard adds to the key of a request.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why an answer opens no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    #[error("malformed HTTP response: {0}")]
    Malformed(String),
    #[error("malformed HTTP response: the server speaks TLS, so the address begins with wss://")]
    Encrypted,
    #[error("malformed HTTP response: its head is longer than {MAX_HEAD} bytes")]
    TooLong,
    /// Another status, or headers that belong to no WebSocket. The text is k6's.
    #[error("websocket: bad handshake")]
    Refused,
    #[error("websocket: the server has agreed to an extension that was not offered: {0}")]
    Extension(String),
}

/// The request that asks a server for a session.
pub struct Request<'a> {
    /// Path and query.
    pub target: &'a str,
    pub host: &'a str,
    /// None is sent if it is empty.
    pub user_agent: &'a str,
    pub key: &'a str,
    /// All others, with names in their canonical form.
    pub headers: &'a [(String, String)],
}

impl Request<'_> {
    /// The request as it is sent. Line breaks in values become blanks, so that a value cannot become a header.
    pub fn text(&self) -> String {
        let own = [
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self.key),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
        ];
        let others = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers: Vec<(&str, &str)> = own.into_iter().chain(others).collect();
        headers.sort_by_key(|(name, _)| *name);
        let agent = (!self.user_agent.is_empty()).then_some(("User-Agent", self.user_agent));
        let first = [("Host", self.host)].into_iter().chain(agent);
        let mut text = format!("GET {} HTTP/1.1\r\n", self.target);
        for (name, value) in first.chain(headers) {
            let value = value.replace(['\r', '\n'], " ");
            // Writing to a text cannot fail.
            let _ = write!(text, "{name}: {}\r\n", value.trim());
        }
        text.push_str("\r\n");
        text
    }
}

/// The head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// In the order they came, with names in their canonical form.
    pub headers: Vec<(String, String)>,
}

impl Response {
    /// The head of the answer and its size, once all of it is there. Answers that only announce another are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HandshakeError> {
        if bytes.starts_with(&TLS_ALERT) {
            return Err(HandshakeError::Encrypted);
        }
        let mut begin = 0;
        loop {
            let Some((response, size)) = Self::parse_one(&bytes[begin..])? else {
                return if bytes.len() < MAX_HEAD { Ok(None) } else { Err(HandshakeError::TooLong) };
            };
            begin += size;
            if response.status == 101 || response.status >= 200 {
                return Ok(Some((response, begin)));
            }
        }
    }

    fn parse_one(bytes: &[u8]) -> Result<Option<(Self, usize)>, HandshakeError> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
        let mut response = httparse::Response::new(&mut lines);
        let parsed = response.parse(bytes).map_err(|error| HandshakeError::Malformed(error.to_string()))?;
        let httparse::Status::Complete(size) = parsed else { return Ok(None) };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = response.headers.iter().map(|of| (canonical(of.name), text(of.value))).collect();
        Ok(Some((Self { status: response.code.unwrap_or_default(), headers }, size)))
    }

    /// The first header of that canonical name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of a name as one.
    pub fn joined(&self, name: &str) -> String {
        self.values(name).collect::<Vec<_>>().join(", ")
    }

    /// Whether it opens the session that was asked for with this key.
    pub fn check(&self, key: &str) -> Result<(), HandshakeError> {
        let has = |name: &str, wanted: &str| {
            self.values(name)
                .flat_map(|value| value.split(','))
                .any(|token| token.trim().eq_ignore_ascii_case(wanted))
        };
        let is_session = self.status == 101
            && has("Upgrade", "websocket")
            && has("Connection", "Upgrade")
            && self.header("Sec-Websocket-Accept") == Some(accept_for(key).as_str());
        if is_session { Ok(()) } else { Err(HandshakeError::Refused) }
    }
}

/// What a server has to answer to the key of a request.
pub fn accept_for(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// The name of a header as Go writes it: `Sec-Websocket-Accept`. Text that is not a name stays as it is.
pub fn canonical(name: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut at_begin = true;
    let letters = name.chars().map(|letter| {
        let shown = if at_begin { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        at_begin = letter == '-';
        shown
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept_for(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (response, size) = Response::parse(format!("{ANSWER}more").as_bytes()).unwrap().unwrap();
        assert_eq!((size, response.check(KEY)), (ANSWER.len(), Ok(())));
        assert_eq!(response.header("Upgrade"), Some("WebSocket"));
        assert_eq!(response.check("another"), Err(HandshakeError::Refused));
    }

    #[test]
    fn a_request_is_written_as_the_reference_writes_it() {
        let headers = [("X-Own", "a\r\nHost: evil"), ("Cookie", "k=v")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut request =
            Request { target: "/a?b=c", host: "h:1", user_agent: "t", key: KEY, headers: &headers };
        let rest = format!(
            "Connection: Upgrade\r\nCookie: k=v\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nX-Own: a  Host: evil\r\n\r\n"
        );
        assert_eq!(request.text(), format!("GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nUser-Agent: t\r\n{rest}"));
        request.user_agent = "";
        assert_eq!(request.text(), format!("GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n{rest}"));
    }

    #[test]
    fn answers_that_open_no_session() {
        for (from, to) in [
            ("101 Switching", "200 Switching"),
            ("upgrade: WebSocket", "upgrade: other"),
            ("Connection: keep-alive, upgrade", "Connection: close"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "wrong"),
        ] {
            let answer = ANSWER.replace(from, to);
            let (response, _) = Response::parse(answer.as_bytes()).unwrap().unwrap();
            assert_eq!(response.check(KEY), Err(HandshakeError::Refused), "{to}");
        }
    }

    #[test]
    fn an_answer_may_be_announced() {
        let answer = format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{ANSWER}");
        let (response, size) = Response::parse(answer.as_bytes()).unwrap().unwrap();
        assert_eq!((response.status, size), (101, answer.len()));
    }

    #[test]
    fn heads_without_end_are_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(Response::parse(long.as_bytes()), Err(HandshakeError::TooLong));
        let many = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(300));
        assert!(matches!(Response::parse(many.as_bytes()), Err(HandshakeError::Malformed(_))));
        assert!(matches!(Response::parse(b"SSH-2.0-OpenSSH\r\n"), Err(HandshakeError::Malformed(_))));
    }

    #[test]
    fn names_of_headers_have_one_form() {
        for (name, form) in [
            ("sec-websocket-accept", "Sec-Websocket-Accept"),
            ("X-OWN", "X-Own"),
            ("a b", "a b"),
            ("-x", "-X"),
            ("", ""),
        ] {
            assert_eq!(canonical(name), form);
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_an_answer_is_waited_for(at in 0..ANSWER.len()) {
            prop_assert_eq!(Response::parse(&ANSWER.as_bytes()[..at]), Ok(None));
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let garbled = [ANSWER.as_bytes(), &bytes].concat();
            let _ = Response::parse(&bytes);
            prop_assert!(Response::parse(&garbled).is_ok());
        }
    }
}
