//! What can go wrong between a script and a peer, one variant per thing a user can act on.
//!
//! Each error has the reference's text (scripts and people match on it) and a short code, as Node names them.

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;
use senary_words::io_text;

use crate::network::{Ends, Family, Network, Route};

#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("lookup {host}: no such host")]
    NoSuchHost { host: String },
    /// The name servers gave no answer, or none that says whether there is such a host.
    #[error("lookup {host}: {error}")]
    Lookup { host: String, code: &'static str, error: String },
    /// The name servers have not answered within the time that the connect may take.
    #[error("lookup {host}: i/o timeout")]
    LookupTimeout { host: String },
    /// The target is an address, but not of the requested family.
    #[error("dial tcp: address {host}: no suitable address found: it is not of {family}")]
    OtherFamily { host: String, family: Family },
    #[error("dial {network}: address {port}: invalid port")]
    InvalidPort { network: Network, port: i64 },
    #[error("IP ({ip}) is in a blacklisted range ({range})")]
    BlacklistedIp { ip: IpAddr, range: String },
    #[error("hostname ({host}) is in a blocked pattern ({pattern})")]
    BlockedHostname { host: String, pattern: String },
    #[error("dial {route}: connect: {}", io_text(.error))]
    Dial { route: Route, error: io::Error },
    #[error("dial {route}: i/o timeout")]
    DialTimeout { route: Route },
    /// The process or the system has as many files open as it may.
    #[error("{doing}: {}", io_text(.error))]
    OpenFiles { doing: String, error: io::Error },
    /// The process or the system has as many threads as it may.
    #[error("{doing}: cannot start a thread: {reason}")]
    Threads { doing: String, reason: String },
    /// Every local port is taken for this target, or there is no address to reach it from.
    #[error("dial {route}: connect: {}", io_text(.error))]
    LocalPorts { route: Route, error: io::Error },
    /// The source address is not this machine's, or of the other family.
    #[error("dial {route}: bind: {}", io_text(.error))]
    LocalIp { route: Route, error: io::Error },
    #[error("TLS handshake failed: {text}")]
    Tls { code: &'static str, text: String },
    /// The peer has ended TLS, and says why.
    #[error("remote error: tls: {text}")]
    TlsAlert { text: String },
    /// The peer sends something that TLS does not allow at this point.
    #[error("{text}")]
    TlsBroken { text: String },
    /// The peer has closed the connection, or something between has cut it off.
    #[error("unexpected EOF: the connection was closed in the middle of a TLS record")]
    TlsTruncated,
    #[error("read {ends}: read: {}", io_text(.error))]
    Read { ends: Ends, error: io::Error },
    #[error("write {ends}: write: {}", io_text(.error))]
    Write { ends: Ends, error: io::Error },
    /// This side has closed the connection before everything was written.
    #[error("{}use of closed network connection", write_between(.ends))]
    Closed { ends: Option<Ends> },
}

fn write_between(ends: &Option<Ends>) -> String {
    ends.as_ref().map_or_else(String::new, |ends| format!("write {ends}: "))
}

impl NetError {
    /// Whether this machine had nothing left to connect with: the generator's limit, and none of the peer's.
    pub fn is_exhaustion(&self) -> bool {
        matches!(self, Self::OpenFiles { .. } | Self::Threads { .. } | Self::LocalPorts { .. })
    }

    /// A code scripts may switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchHost { .. } => "ENOTFOUND",
            Self::InvalidPort { .. } => "ERR_SOCKET_BAD_PORT",
            Self::BlacklistedIp { .. } => "ERR_BLACKLISTED_IP",
            Self::BlockedHostname { .. } => "ERR_BLOCKED_HOSTNAME",
            Self::DialTimeout { .. } | Self::LookupTimeout { .. } => "ETIMEDOUT",
            Self::OtherFamily { .. } => "EAFNOSUPPORT",
            Self::LocalPorts { .. } => "EADDRNOTAVAIL",
            Self::Threads { .. } => "EAGAIN",
            Self::Lookup { code, .. } | Self::Tls { code, .. } => code,
            Self::TlsAlert { .. } => "ERR_TLS_ALERT",
            Self::TlsBroken { .. } => "EPROTO",
            Self::TlsTruncated => "ERR_TLS_TRUNCATED",
            Self::Closed { .. } => "EPIPE",
            Self::Dial { error, .. }
            | Self::OpenFiles { error, .. }
            | Self::LocalIp { error, .. }
            | Self::Read { error, .. }
            | Self::Write { error, .. } => io_code(error),
        }
    }
}

pub(crate) fn io_code(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    let known = Errno::from_io_error(error).and_then(|errno| CODES.iter().find(|(of, _)| *of == errno));
    match (known, error.kind()) {
        (Some((_, code)), _) => code,
        // These errors have no code from a system call.
        (None, Kind::ConnectionRefused) => "ECONNREFUSED",
        (None, Kind::ConnectionReset) => "ECONNRESET",
        (None, Kind::BrokenPipe) => "EPIPE",
        (None, Kind::TimedOut) => "ETIMEDOUT",
        (None, _) => "EIO",
    }
}

/// What the calls of a socket fail with.
const CODES: [(Errno, &str); 34] = [
    (Errno::ACCESS, "EACCES"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::ALREADY, "EALREADY"),
    (Errno::CONNABORTED, "ECONNABORTED"),
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::HOSTDOWN, "EHOSTDOWN"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::INVAL, "EINVAL"),
    (Errno::ISCONN, "EISCONN"),
    (Errno::LOOP, "ELOOP"),
    (Errno::MFILE, "EMFILE"),
    (Errno::MSGSIZE, "EMSGSIZE"),
    (Errno::NAMETOOLONG, "ENAMETOOLONG"),
    (Errno::NETDOWN, "ENETDOWN"),
    (Errno::NETRESET, "ENETRESET"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::NFILE, "ENFILE"),
    (Errno::NOBUFS, "ENOBUFS"),
    (Errno::NODEV, "ENODEV"),
    (Errno::NOENT, "ENOENT"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT"),
    (Errno::NOTCONN, "ENOTCONN"),
    (Errno::NOTDIR, "ENOTDIR"),
    (Errno::PERM, "EPERM"),
    (Errno::PIPE, "EPIPE"),
    (Errno::PROTO, "EPROTO"),
    (Errno::PROTONOSUPPORT, "EPROTONOSUPPORT"),
    (Errno::PROTOTYPE, "EPROTOTYPE"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_system_calls_have_the_kernels_names() {
        for (errno, code) in [
            (Errno::INVAL, "EINVAL"),
            (Errno::NOTDIR, "ENOTDIR"),
            (Errno::PERM, "EPERM"),
            (Errno::ACCESS, "EACCES"),
            (Errno::NOBUFS, "ENOBUFS"),
            (Errno::NAMETOOLONG, "ENAMETOOLONG"),
            (Errno::NETDOWN, "ENETDOWN"),
            (Errno::CONNREFUSED, "ECONNREFUSED"),
            (Errno::IO, "EIO"),
        ] {
            assert_eq!(io_code(&errno.into()), code);
        }
        assert_eq!(io_code(&io::ErrorKind::ConnectionRefused.into()), "ECONNREFUSED");
    }
}
