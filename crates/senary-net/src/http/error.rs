//! Why a request has no response: the reference's codes, and its two texts: one for metrics, that is the same for all errors of a kind,
//! and one for the log, with addresses and names in it.

use std::io;

use rustix::io::Errno;
use senary_words::io_text;

use super::proxy::{ProxyError, TunnelError};
use crate::error::NetError;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The deadline has passed.
    #[error("request timeout")]
    Timeout,
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The setting for a proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The proxy does not connect to the server.
    #[error("{0}")]
    Tunnel(TunnelError),
    /// The request cannot be written.
    #[error("{0}")]
    Request(String),
    /// The server has ended the connection before the response was complete.
    #[error("{}", if *.in_response { "unexpected EOF" } else { "EOF" })]
    Ended {
        /// Whether a part of the response had come.
        in_response: bool,
    },
    /// What the server sends is not HTTP, or more than is taken.
    #[error("{0}")]
    Response(String),
    #[error("{}", .0.long())]
    Http2(Http2Error),
}

/// An error of HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Error {
    pub origin: Origin,
    /// RFC 9113, section 7.
    pub code: u32,
    /// The stream, if it is about one.
    pub stream: u32,
    /// What the server added to a GOAWAY.
    pub debug: String,
}

/// What an error of HTTP/2 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server has ended the connection with GOAWAY.
    GoAway,
    /// The server has ended the stream with RST_STREAM, or this client has, because of what came on it.
    Stream { from_server: bool },
    /// This client has ended the connection, because of what came on it.
    Connection,
}

impl From<TunnelError> for HttpError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Net(error) => Self::Net(error),
            other => Self::Tunnel(other),
        }
    }
}

impl HttpError {
    /// The reference's `error_code`.
    pub fn code(&self) -> u16 {
        match self {
            Self::Timeout => 1050,
            Self::Net(error) => net(error).0,
            Self::Http2(error) => error.error_code(),
            Self::Proxy(_) | Self::Tunnel(_) | Self::Request(_) | Self::Ended { .. } | Self::Response(_) => {
                1000
            }
        }
    }

    /// The reference's `error`, of the response and as a tag: no ports and addresses are in it, so that there are few. The long text, for
    /// the log, is what this type displays; the reference writes `Get "URL": ` in front of it.
    pub fn text(&self) -> String {
        match self {
            Self::Net(error) => net(error).1,
            Self::Http2(error) => error.short(),
            other => other.to_string(),
        }
    }
}

/// The code and the short text.
fn net(error: &NetError) -> (u16, String) {
    let own = |code, text: &str| (code, text.to_owned());
    match error {
        NetError::NoSuchHost { .. } => own(1101, "lookup: no such host"),
        NetError::Lookup { error, .. } => (1100, format!("lookup: {error}")),
        NetError::LookupTimeout { .. } => own(1100, "lookup: i/o timeout"),
        NetError::BlacklistedIp { .. } => own(1110, "ip is blacklisted"),
        NetError::BlockedHostname { .. } => own(1111, "hostname is blocked"),
        NetError::OtherFamily { .. } => (1210, error.to_string()),
        NetError::InvalidPort { .. } => own(1210, "dial: invalid port"),
        NetError::DialTimeout { .. } => own(1211, "dial: i/o timeout"),
        NetError::Dial { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused => {
            own(1212, "dial: connection refused")
        }
        NetError::Dial { error, .. }
        | NetError::LocalPorts { error, .. }
        | NetError::LocalIp { error, .. } => unknown(1213, "dial", error),
        NetError::OpenFiles { error, .. } => unknown(1213, "dial", error),
        NetError::Threads { .. } => (1100, error.to_string()),
        NetError::Read { error, .. } => of_call("read", error),
        NetError::Write { error, .. } => of_call("write", error),
        NetError::Tls { code: "ERR_TLS_CERT_UNKNOWN_AUTHORITY", .. } => own(1310, "x509: unknown authority"),
        NetError::Tls { code: "ERR_TLS_CERT_ALTNAME_INVALID", .. } => {
            own(1311, "x509: certificate doesn't match hostname")
        }
        NetError::Tls { code: "ECONNRESET", .. } => own(1220, "read: connection reset by peer"),
        NetError::Tls { text, .. } | NetError::TlsAlert { text } | NetError::TlsBroken { text } => {
            (1300, text.clone())
        }
        NetError::TlsTruncated | NetError::Closed { .. } => (1000, error.to_string()),
    }
}

fn of_call(call: &str, error: &io::Error) -> (u16, String) {
    match Errno::from_io_error(error) {
        Some(Errno::CONNRESET) => (1220, format!("{call}: connection reset by peer")),
        Some(Errno::PIPE) => (1201, format!("{call}: broken pipe")),
        Some(_) => unknown(1202, call, error),
        None => (1200, format!("{call}: {}", io_text(error))),
    }
}

fn unknown(code: u16, call: &str, error: &io::Error) -> (u16, String) {
    let text = io_text(error);
    match error.raw_os_error() {
        Some(errno) => {
            let system = std::env::consts::OS;
            (code, format!("{call}: unknown errno `{errno}` on {system} with message `{text}`"))
        }
        None => (code, format!("{call}: {text}")),
    }
}

impl Http2Error {
    fn error_code(&self) -> u16 {
        // The reference has room for 19 codes of each kind, and RFC 9113 defines 14.
        let specific = u16::try_from(self.code).ok().filter(|code| *code < 14);
        let general = match self.origin {
            Origin::GoAway => 1610,
            Origin::Stream { .. } => 1630,
            Origin::Connection => 1650,
        };
        specific.map_or(general, |code| general + 1 + code)
    }

    fn short(&self) -> String {
        let name = self.name();
        match self.origin {
            Origin::GoAway => format!("http2: received GoAway with http2 ErrCode {name}"),
            Origin::Stream { .. } => format!("http2: stream error with http2 ErrCode {name}"),
            Origin::Connection => format!("http2: connection error with http2 ErrCode {name}"),
        }
    }

    fn long(&self) -> String {
        let (name, stream) = (self.name(), self.stream);
        match self.origin {
            Origin::GoAway => format!(
                "http2: server sent GOAWAY and closed the connection; LastStreamID={stream}, ErrCode={name}, debug={:?}",
                self.debug
            ),
            Origin::Stream { from_server: true } => {
                format!("stream error: stream ID {stream}; {name}; received from peer")
            }
            Origin::Stream { from_server: false } => format!("stream error: stream ID {stream}; {name}"),
            Origin::Connection => format!("connection error: {name}"),
        }
    }

    fn name(&self) -> String {
        let name = NAMES.get(usize::try_from(self.code).unwrap_or(usize::MAX));
        name.map_or_else(|| format!("unknown error code 0x{:x}", self.code), |name| (*name).to_owned())
    }
}

/// The codes of RFC 9113, section 7, by their numbers.
const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
