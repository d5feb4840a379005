//! What a handshake has come to, for people and scripts to read.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};

use super::ocsp::Ocsp;
use super::words::rfc3339;

/// TLS of an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `tls1.2` or `tls1.3`.
    pub version: &'static str,
    /// The cipher suite, by its IANA name.
    pub cipher: String,
    /// The protocol that was agreed on (ALPN).
    pub alpn: Option<String>,
    /// Whether it went on with an earlier session.
    pub resumed: bool,
    /// The server's certificate.
    pub peer: Option<PeerCertificate>,
    /// What the server has stapled about it.
    pub ocsp: Option<Ocsp>,
}

/// A certificate; what cannot be read of it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Names, as in `C=DE, O=Example, CN=example.test`.
    pub subject: String,
    pub issuer: String,
    /// Times of RFC 3339, in UTC.
    pub not_before: String,
    pub not_after: String,
    /// SHA-256 of all of it: `AB:CD:…`.
    pub fingerprint256: String,
}

impl TlsInfo {
    pub(super) fn of(session: &ClientConnection, stapled: Option<&[u8]>) -> Self {
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let alpn = session.alpn_protocol();
        Self {
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "tls1.2",
                _ => "tls1.3",
            },
            cipher: suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1),
            alpn: alpn.map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            peer: session.peer_certificates().and_then(|chain| Some(PeerCertificate::of(chain.first()?))),
            ocsp: stapled.and_then(Ocsp::of_stapled),
        }
    }
}

impl PeerCertificate {
    fn of(der: &[u8]) -> Self {
        let fingerprint256 = colons(digest(&SHA256, der).as_ref());
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) else {
            return Self { fingerprint256, ..Self::default() };
        };
        let validity = certificate.validity();
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            not_before: rfc3339(validity.not_before.timestamp()),
            not_after: rfc3339(validity.not_after.timestamp()),
            fingerprint256,
        }
    }
}

/// Bytes in hexadecimal, as fingerprints are written.
fn colons(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let separator = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_colons() {
        assert_eq!(
            (colons(&[]), colons(&[0xab]), colons(&[1, 0xff, 0])),
            (String::new(), "AB".into(), "01:FF:00".into())
        );
    }
}
