//! What a SOCKS5 proxy is told and what it answers (RFC 1928, RFC 1929), without a socket.

use std::fmt;
use std::net::IpAddr;

use super::settings::Proxy;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Why the proxy has made no connection, in the words of Go's client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    #[error("FQDN too long")]
    LongName,
    #[error("invalid username/password")]
    Credentials,
    #[error("unexpected protocol version {0}")]
    Version(u8),
    #[error("no acceptable authentication methods")]
    NoMethod,
    #[error("unsupported authentication method {0}")]
    Method(u8),
    #[error("username/password authentication failed")]
    Refused,
    #[error("unknown address type {0}")]
    AddressType(u8),
    #[error("unknown error {}", Reply(*.0))]
    Failed(u8),
}

/// The proxy's answer to a request, if it is not success.
struct Reply(u8);

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            1 => "general SOCKS server failure",
            2 => "connection not allowed by ruleset",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "TTL expired",
            7 => "command not supported",
            8 => "address type not supported",
            code => return write!(f, "unknown code: {code}"),
        };
        f.write_str(words)
    }
}

/// What to do next with the connection to the proxy.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this, then read so many bytes.
    Ask(Vec<u8>, usize),
    Read(usize),
    /// From here on, the connection is one to the server.
    Done,
}

/// A connection that is being made.
#[derive(Debug)]
pub struct Socks {
    state: State,
    request: Vec<u8>,
    /// The message with name and password; empty without them.
    credentials: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Method,
    Credentials,
    Reply,
    /// The proxy says from where it connects, which nobody needs to know.
    NameLength,
    Address,
}

impl Socks {
    /// The proxy looks the name up.
    pub fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, SocksError> {
        let mut request = vec![VERSION, CONNECT, 0];
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => {
                request.push(IPV4);
                request.extend(ip.octets());
            }
            Ok(IpAddr::V6(ip)) => {
                request.push(IPV6);
                request.extend(ip.octets());
            }
            Err(_) => {
                request.push(NAME);
                push_short(&mut request, host.as_bytes()).ok_or(SocksError::LongName)?;
            }
        }
        request.extend(port.to_be_bytes());
        let mut credentials = Vec::new();
        if let Some((user, password)) = &proxy.credentials {
            credentials.push(1);
            let pushed = (!user.is_empty())
                .then(|| push_short(&mut credentials, user))
                .flatten()
                .and_then(|()| push_short(&mut credentials, password));
            pushed.ok_or(SocksError::Credentials)?;
        }
        Ok(Self { state: State::Method, request, credentials })
    }

    /// What comes first.
    pub fn begin(&self) -> Step {
        let methods: &[u8] =
            if self.credentials.is_empty() { &[NO_AUTHENTICATION] } else { &[NO_AUTHENTICATION, PASSWORD] };
        Step::Ask([&[VERSION, methods.len() as u8], methods].concat(), 2)
    }

    /// What comes after the bytes that were to be read.
    pub fn next(&mut self, read: &[u8]) -> Result<Step, SocksError> {
        match (self.state, read) {
            (State::Method, [VERSION, NO_AUTHENTICATION]) => Ok(self.ask()),
            (State::Method, [VERSION, PASSWORD]) if !self.credentials.is_empty() => {
                self.state = State::Credentials;
                Ok(Step::Ask(std::mem::take(&mut self.credentials), 2))
            }
            (State::Method, [VERSION, 0xff]) => Err(SocksError::NoMethod),
            (State::Method, [VERSION, method]) => Err(SocksError::Method(*method)),
            (State::Credentials, [1, 0]) => Ok(self.ask()),
            (State::Credentials, [1, _]) => Err(SocksError::Refused),
            (State::Reply, [VERSION, 0, _, kind]) => match *kind {
                IPV4 => Ok(self.read(State::Address, 4 + 2)),
                IPV6 => Ok(self.read(State::Address, 16 + 2)),
                NAME => Ok(self.read(State::NameLength, 1)),
                other => Err(SocksError::AddressType(other)),
            },
            (State::Reply, [VERSION, code, ..]) => Err(SocksError::Failed(*code)),
            (State::NameLength, [length]) => Ok(self.read(State::Address, usize::from(*length) + 2)),
            (State::Address, _) => Ok(Step::Done),
            (_, read) => Err(SocksError::Version(read.first().copied().unwrap_or_default())),
        }
    }

    fn ask(&mut self) -> Step {
        self.state = State::Reply;
        Step::Ask(std::mem::take(&mut self.request), 4)
    }

    fn read(&mut self, state: State, count: usize) -> Step {
        self.state = state;
        Step::Read(count)
    }
}

/// Adds a text behind its length; `None` if it is too long for that.
fn push_short(message: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    message.push(u8::try_from(text.len()).ok()?);
    message.extend(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::settings::ProxyKind;
    use super::*;

    fn proxy(credentials: Option<(&str, &str)>) -> Proxy {
        let credentials = credentials.map(|(user, password)| (user.into(), password.into()));
        Proxy { kind: ProxyKind::Socks, host: "p.test".to_owned(), port: 1080, credentials }
    }

    #[test]
    fn names_are_the_proxys_business() {
        let mut socks = Socks::new(&proxy(None), "h.test", 0x1234).unwrap();
        assert_eq!(socks.begin(), Step::Ask(vec![5, 1, 0], 2));
        let request = b"\x05\x01\x00\x03\x06h.test\x12\x34".to_vec();
        assert_eq!(socks.next(&[5, 0]), Ok(Step::Ask(request, 4)));
        assert_eq!(socks.next(&[5, 0, 0, 3]), Ok(Step::Read(1)));
        assert_eq!(socks.next(&[4]), Ok(Step::Read(6)));
        assert_eq!(socks.next(b"name\0\0"), Ok(Step::Done));
    }

    #[test]
    fn a_user_is_named_if_the_proxy_asks() {
        let mut socks = Socks::new(&proxy(Some(("u", "pw"))), "::1", 80).unwrap();
        assert_eq!(socks.begin(), Step::Ask(vec![5, 2, 0, 2], 2));
        assert_eq!(socks.next(&[5, 2]), Ok(Step::Ask(b"\x01\x01u\x02pw".to_vec(), 2)));
        let mut request = vec![5, 1, 0, 4];
        request.extend([0; 15]);
        request.extend([1, 0, 80]);
        assert_eq!(socks.next(&[1, 0]), Ok(Step::Ask(request, 4)));
        assert_eq!(socks.next(&[5, 0, 0, 1]), Ok(Step::Read(6)));
    }

    #[test]
    fn what_a_proxy_refuses_has_words() {
        let next = |credentials, answers: &[&[u8]]| {
            let mut socks = Socks::new(&proxy(credentials), "10.0.0.1", 1).unwrap();
            let mut last = Ok(socks.begin());
            for answer in answers {
                last = socks.next(answer);
            }
            last.unwrap_err().to_string()
        };
        let user = Some(("u", "p"));
        assert_eq!(next(None, &[&[5, 0xff]]), "no acceptable authentication methods");
        assert_eq!(next(None, &[&[5, 2]]), "unsupported authentication method 2");
        assert_eq!(next(user, &[&[5, 2], &[1, 1]]), "username/password authentication failed");
        assert_eq!(next(None, &[&[5, 0], &[5, 5, 0, 1]]), "unknown error connection refused");
        assert_eq!(next(None, &[&[5, 0], &[5, 99, 0, 1]]), "unknown error unknown code: 99");
        assert_eq!(next(None, &[&[5, 0], &[5, 0, 0, 9]]), "unknown address type 9");
        assert_eq!(next(None, &[b"HT"]), "unexpected protocol version 72");
        let long = "x".repeat(256);
        assert_eq!(Socks::new(&proxy(None), &long, 1).unwrap_err(), SocksError::LongName);
        assert_eq!(Socks::new(&proxy(Some(("", "p"))), "h", 1).unwrap_err(), SocksError::Credentials);
    }

    proptest! {
        #[test]
        fn any_answer_comes_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut socks = Socks::new(&proxy(Some(("u", "p"))), "h.test", 1).unwrap();
            let (mut rest, mut step) = (&bytes[..], socks.begin());
            for _ in 0..10 {
                let (Step::Ask(_, count) | Step::Read(count)) = step else { return Ok(()) };
                let Some((read, behind)) = rest.split_at_checked(count) else { return Ok(()) };
                rest = behind;
                match socks.next(read) {
                    Ok(next) => step = next,
                    Err(_) => return Ok(()),
                }
            }
            prop_assert!(false, "no end");
        }
    }
}
