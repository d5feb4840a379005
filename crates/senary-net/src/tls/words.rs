//! The texts for failed handshakes: k6's, which are Go's, wherever Go has one.

use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use senary_words::io_text;
use x509_parser::time::ASN1Time;

use super::server_certificate::Objection;
use crate::error::{NetError, io_code};

/// Names of a certificate that are listed, at most; as in Go.
const NAMES: usize = 100;

/// The hint for a peer that ends a handshake, as servers of other protocols do.
const SPEAKS_TLS: &str = "does it speak TLS on this port?";

/// A failed handshake with a host. `connection` names the failed call if TLS was not the cause: `read tcp 127.0.0.1:5->127.0.0.1:6: read`.
pub(crate) fn handshake_error(
    error: &io::Error,
    host: &str,
    connection: impl FnOnce() -> String,
) -> NetError {
    let (code, text) = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => tls_error(error, host),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            ("ERR_TLS_HANDSHAKE_CUT", format!("EOF: the peer closed the connection; {SPEAKS_TLS}"))
        }
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            (io_code(error), format!("{}: {}; {SPEAKS_TLS}", connection(), io_text(error)))
        }
        None if error.raw_os_error().is_some() => {
            (io_code(error), format!("{}: {}", connection(), io_text(error)))
        }
        None => ("ERR_TLS_HANDSHAKE", error.to_string()),
    };
    NetError::Tls { code, text }
}

/// The text of a failed handshake with a host, for callers that make the connection themselves.
pub fn handshake_text(error: &io::Error, host: &str) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => tls_error(error, host).1,
        None => error.to_string(),
    }
}

/// What the peer says of the end of TLS, if that is what happened to a connection that was open already. With TLS 1.3 a
/// server looks at the client's certificate only then. Or else, what is wrong with what it sent.
pub(crate) fn ended(error: &io::Error) -> Option<NetError> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Some(NetError::TlsTruncated);
    }
    match error.get_ref()?.downcast_ref()? {
        Error::AlertReceived(alert) => Some(NetError::TlsAlert { text: alert_text(*alert) }),
        Error::InvalidMessage(_) => {
            Some(NetError::TlsBroken { text: "local error: tls: error decoding message".to_owned() })
        }
        error => Some(NetError::TlsBroken { text: tls_error(error, "").1 }),
    }
}

/// The code and the text.
fn tls_error(error: &Error, host: &str) -> (&'static str, String) {
    let handshake = |text: String| ("ERR_TLS_HANDSHAKE", format!("tls: {text}"));
    match error {
        Error::InvalidCertificate(reason) => {
            let (code, text) = certificate_error(reason, host);
            (code, format!("tls: failed to verify certificate: x509: {text}"))
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => ("ERR_TLS_NOT_TLS", "tls: first record does not look like a TLS handshake".to_owned()),
        Error::InvalidMessage(what) => handshake(format!("error decoding message: {}", in_words(what))),
        Error::AlertReceived(alert) => {
            ("ERR_TLS_ALERT", format!("remote error: tls: {}", alert_text(*alert)))
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            ("ERR_TLS_HANDSHAKE", "local error: tls: unexpected message".to_owned())
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => handshake("server selected unsupported protocol version".to_owned()),
        Error::PeerIncompatible(what) => {
            handshake(format!("the server is not compatible: {}", in_words(what)))
        }
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite) => {
            handshake("server chose an unconfigured cipher suite".to_owned())
        }
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedKxGroup) => {
            handshake("server selected unsupported curve".to_owned())
        }
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCompression) => {
            handshake("server selected unsupported compression format".to_owned())
        }
        Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare) => {
            handshake("invalid server key share".to_owned())
        }
        Error::PeerMisbehaved(what) => handshake(format!("the server misbehaved: {}", in_words(what))),
        Error::NoCertificatesPresented => handshake("received empty certificates message".to_owned()),
        Error::DecryptError => ("ERR_TLS_HANDSHAKE", "local error: tls: bad record MAC".to_owned()),
        Error::PeerSentOversizedRecord => {
            ("ERR_TLS_HANDSHAKE", "local error: tls: record overflow".to_owned())
        }
        Error::General(text) => handshake(text.clone()),
        Error::Other(other) => handshake(other.0.to_string()),
        other => handshake(in_words(other)),
    }
}

/// The code, and the text behind `x509: `.
fn certificate_error(reason: &CertificateError, host: &str) -> (&'static str, String) {
    use CertificateError as E;
    const UNKNOWN: &str = "ERR_TLS_CERT_UNKNOWN_AUTHORITY";
    const NAME: &str = "ERR_TLS_CERT_ALTNAME_INVALID";
    const EXPIRED: &str = "ERR_TLS_CERT_EXPIRED";
    const INVALID: &str = "ERR_TLS_CERT_INVALID";
    let is_not_valid_now = |comparison: String| {
        let text = "certificate has expired or is not yet valid";
        (EXPIRED, if comparison.is_empty() { text.to_owned() } else { format!("{text}: {comparison}") })
    };
    match reason {
        // The signature is not, or cannot be, the authority's: another authority has the same name.
        E::UnknownIssuer | E::BadSignature | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            (UNKNOWN, "certificate signed by unknown authority".to_owned())
        }
        E::NotValidForNameContext { expected, presented } => (NAME, wrong_name(expected, presented, host)),
        E::NotValidForName => (NAME, format!("certificate is not valid for {host}")),
        E::ExpiredContext { time, not_after } => {
            is_not_valid_now(format!("current time {} is after {}", at(*time), at(*not_after)))
        }
        E::NotValidYetContext { time, not_before } => {
            is_not_valid_now(format!("current time {} is before {}", at(*time), at(*not_before)))
        }
        E::Expired | E::NotValidYet => is_not_valid_now(String::new()),
        E::Revoked => ("ERR_TLS_CERT_REVOKED", "certificate is revoked".to_owned()),
        E::BadEncoding => (INVALID, "malformed certificate".to_owned()),
        E::UnhandledCriticalExtension => (INVALID, "unhandled critical extension".to_owned()),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            (INVALID, "certificate specifies an incompatible key usage".to_owned())
        }
        E::UnsupportedSignatureAlgorithmContext { .. } => {
            (INVALID, "cannot verify signature: algorithm unimplemented".to_owned())
        }
        E::Other(other) => match other.0.downcast_ref::<Objection>() {
            Some(objection @ Objection::CommonName) => (NAME, objection.to_string()),
            Some(objection) => (INVALID, objection.to_string()),
            None => (INVALID, format!("certificate is not valid: {}", in_words(&other.0))),
        },
        other => (INVALID, format!("certificate is not valid: {}", in_words(other))),
    }
}

/// `presented` are the names of the kind that is asked for.
fn wrong_name(expected: &ServerName<'_>, presented: &[String], host: &str) -> String {
    let is_address = matches!(expected, ServerName::IpAddress(_));
    match presented.len() {
        0 if is_address => {
            format!("cannot validate certificate for {host} because it doesn't contain any IP SANs")
        }
        0 => format!("certificate is not valid for any names, but wanted to match {host}"),
        1..=NAMES => format!("certificate is valid for {}, not {host}", presented.join(", ")),
        more => format!("certificate is valid for {more} names, but none matched {host}"),
    }
}

fn at(time: UnixTime) -> String {
    rfc3339(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// Seconds since 1970 as a time in UTC.
pub(super) fn rfc3339(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds).map(|time| time.to_datetime()) {
        Ok(at) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ),
        Err(_) => format!("{seconds} s"),
    }
}

/// The name of a variant, as words: `SelectedUnofferedPsk` is "selected unoffered psk". For the many errors that
/// only the server's author can act on.
fn in_words(variant: &impl std::fmt::Debug) -> String {
    let name = format!("{variant:?}");
    let mut words = String::new();
    for c in name.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// An alert in k6's words.
fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::UnexpectedMessage => "unexpected message",
        A::BadRecordMac => "bad record MAC",
        A::RecordOverflow => "record overflow",
        A::HandshakeFailure => "handshake failure",
        A::BadCertificate => "bad certificate",
        A::UnsupportedCertificate => "unsupported certificate",
        A::CertificateRevoked => "revoked certificate",
        A::CertificateExpired => "expired certificate",
        A::CertificateUnknown => "unknown certificate",
        A::IllegalParameter => "illegal parameter",
        A::UnknownCA => "unknown certificate authority",
        A::AccessDenied => "access denied",
        A::DecodeError => "error decoding message",
        A::DecryptError => "error decrypting message",
        A::ProtocolVersion => "protocol version not supported",
        A::InsufficientSecurity => "insufficient security level",
        A::InternalError => "internal error",
        A::InappropriateFallback => "inappropriate fallback",
        A::UserCanceled => "user canceled",
        A::NoRenegotiation => "no renegotiation",
        A::MissingExtension => "missing extension",
        A::UnsupportedExtension => "unsupported extension",
        A::UnrecognisedName => "unrecognized name",
        A::CertificateRequired => "certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("alert({})", u8::from(other)),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ContentType, HandshakeType, OtherError};

    use super::*;

    /// Texts for scripts and people contain no Rust syntax, whatever rustls returns.
    #[test]
    fn no_error_is_printed_as_rust_writes_it() {
        let other = || OtherError(Arc::new(io::Error::other("in words")));
        let certificate = |error: CertificateError| Error::InvalidCertificate(error);
        let errors = [
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::ApplicationData,
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Finished,
            },
            Error::InvalidMessage(InvalidMessage::MissingData("ServerHello")),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedPsk),
            Error::AlertReceived(AlertDescription::Unknown(200)),
            Error::FailedToGetRandomBytes,
            Error::PeerSentOversizedRecord,
            Error::BadMaxFragmentSize,
            Error::Other(other()),
            certificate(CertificateError::BadEncoding),
            certificate(CertificateError::Expired),
            certificate(CertificateError::UnknownRevocationStatus),
            certificate(CertificateError::InvalidOcspResponse),
            certificate(CertificateError::BadSignature),
            certificate(CertificateError::ApplicationVerificationFailure),
            certificate(CertificateError::Other(other())),
            certificate(CertificateError::Other(OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity)))),
        ];
        for error in errors {
            let (code, text) = tls_error(&error, "host.test");
            assert!(code.starts_with("ERR_TLS_"), "{code}");
            let is_camel_case = |word: &str| {
                let upper = word.chars().filter(|c| c.is_uppercase()).count();
                upper > 1 && word.chars().any(char::is_lowercase)
            };
            let rust = text.contains(['{', '[']) || text.contains("::") || text.split(' ').any(is_camel_case);
            assert!(!rust && !text.ends_with(": "), "{text}");
        }
        let misbehaved = Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedPsk);
        assert_eq!(tls_error(&misbehaved, "").1, "tls: the server misbehaved: selected unoffered psk");
    }

    #[test]
    fn many_names_are_counted() {
        let expected = ServerName::try_from("host.test").unwrap();
        let names = |n: usize| (0..n).map(|i| format!("{i}.test")).collect::<Vec<_>>();
        let wrong = |n| wrong_name(&expected, &names(n), "host.test");
        assert_eq!(wrong(0), "certificate is not valid for any names, but wanted to match host.test");
        assert_eq!(wrong(2), "certificate is valid for 0.test, 1.test, not host.test");
        assert_eq!(wrong(101), "certificate is valid for 101 names, but none matched host.test");
    }
}
