//! What can go wrong between a script and a peer, one variant per thing a user can act on.
//!
//! Each error has the reference's text (scripts and people match on it) and a short code, as Node names them.

use std::io;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("lookup {host}: no such host")]
    NoSuchHost { host: String },
    #[error("lookup {host}: {error}")]
    Lookup { host: String, error: String },
    #[error("dial tcp: address {port}: invalid port")]
    InvalidPort { port: i64 },
    #[error("IP ({ip}) is in a blacklisted range ({range})")]
    BlacklistedIp { ip: IpAddr, range: String },
    #[error("hostname ({host}) is in a blocked pattern ({pattern})")]
    BlockedHostname { host: String, pattern: String },
    #[error("dial tcp {to}: {}", dial_text(.error))]
    Dial { to: SocketAddr, error: io::Error },
    #[error("dial tcp {to}: i/o timeout")]
    DialTimeout { to: SocketAddr },
    #[error("TLS handshake failed: {text}")]
    Tls { code: &'static str, text: String },
    #[error("read tcp {local}->{remote}: read: {}", io_text(.error))]
    Read { local: SocketAddr, remote: SocketAddr, error: io::Error },
    #[error("write tcp {local}->{remote}: write: {}", io_text(.error))]
    Write { local: SocketAddr, remote: SocketAddr, error: io::Error },
}

impl NetError {
    /// A code scripts may switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchHost { .. } => "ENOTFOUND",
            Self::Lookup { .. } => "EAI_FAIL",
            Self::InvalidPort { .. } => "ERR_SOCKET_BAD_PORT",
            Self::BlacklistedIp { .. } => "ERR_BLACKLISTED_IP",
            Self::BlockedHostname { .. } => "ERR_BLOCKED_HOSTNAME",
            Self::DialTimeout { .. } => "ETIMEDOUT",
            Self::Tls { code, .. } => code,
            Self::Dial { error, .. } | Self::Read { error, .. } | Self::Write { error, .. } => io_code(error),
        }
    }
}

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const EADDRNOTAVAIL: i32 = 99;

fn io_code(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match (error.raw_os_error(), error.kind()) {
        (Some(EMFILE), _) => "EMFILE",
        (Some(ENFILE), _) => "ENFILE",
        (_, Kind::ConnectionRefused) => "ECONNREFUSED",
        (_, Kind::ConnectionReset) => "ECONNRESET",
        (_, Kind::ConnectionAborted) => "ECONNABORTED",
        (_, Kind::BrokenPipe) => "EPIPE",
        (_, Kind::TimedOut) => "ETIMEDOUT",
        (_, Kind::AddrNotAvailable) => "EADDRNOTAVAIL",
        (_, Kind::AddrInUse) => "EADDRINUSE",
        (_, Kind::HostUnreachable) => "EHOSTUNREACH",
        (_, Kind::NetworkUnreachable) => "ENETUNREACH",
        (_, Kind::PermissionDenied) => "EACCES",
        _ => "EIO",
    }
}

/// The kernel's words as Go prints them: lower case, without the number.
fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn dial_text(error: &io::Error) -> String {
    let text = io_text(error);
    match error.raw_os_error() {
        Some(EMFILE | ENFILE) => {
            format!("socket: {text} (raise the limit of open files with `ulimit -n`, or use fewer sockets)")
        }
        Some(EADDRNOTAVAIL) => format!(
            "connect: {text} (out of local ports or addresses: use --local-ips, or fewer connections to one target)"
        ),
        _ => format!("connect: {text}"),
    }
}
