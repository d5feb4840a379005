//! Decides whether a server's certificate is trusted, by Go's rules, on top of webpki's checks of chains and names.
//!
//! webpki reads only version 3 of X.509, does not accept an authority's certificate as a server's, and checks the chain
//! before the name. Servers under test have other certificates, too. So a certificate that is a root itself is trusted, whatever
//! its purpose, and if nothing is to be verified, any certificate with a key is accepted.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, ExtendedKeyPurpose, OtherError, RootCertStore,
    SignatureScheme,
};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::public_key::PublicKey;

use super::ocsp;

/// The shortest RSA keys, in bits, whose signatures the cryptographic library checks.
const MIN_RSA: usize = 2048;

/// Reasons for which only this module refuses a certificate.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Objection {
    #[error("certificate relies on legacy Common Name field, use SANs instead")]
    CommonName,
    #[error("server sent certificate containing RSA key smaller than {MIN_RSA} bits: {0} bits")]
    ShortKey(usize),
    #[error("invalid signature by the server certificate")]
    Signature,
}

impl From<Objection> for Error {
    fn from(objection: Objection) -> Self {
        let other = OtherError(Arc::new(objection));
        match objection {
            Objection::Signature => Self::Other(other),
            _ => CertificateError::Other(other).into(),
        }
    }
}

/// Verifies what a server shows.
#[derive(Debug)]
pub(super) struct Verification {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Which servers are trusted.
#[derive(Debug)]
enum Trust {
    /// Servers whose certificate leads to one of the roots.
    Roots {
        /// `None` if there are no roots.
        webpki: Option<Arc<WebPkiServerVerifier>>,
        /// The roots' certificates, as digests.
        digests: HashSet<Vec<u8>>,
    },
    /// `insecureSkipTLSVerify`: any server that answers, but its signatures still have to be right. Signatures that cannot
    /// be checked, because the key is short, are accepted: a certificate without an authority proves nothing anyway.
    Anyone,
}

impl Verification {
    /// A certificate that cannot be read does not count as a root.
    pub(super) fn by_roots(roots: Vec<CertificateDer<'_>>, provider: Arc<CryptoProvider>) -> Self {
        let digests = roots.iter().map(|root| digest_of(root)).collect();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let algorithms = provider.signature_verification_algorithms;
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build().ok();
        Self { trust: Trust::Roots { webpki, digests }, algorithms }
    }

    pub(super) fn of_anyone(provider: &CryptoProvider) -> Self {
        Self { trust: Trust::Anyone, algorithms: provider.signature_verification_algorithms }
    }

    /// Whether a signature that cannot be checked is accepted.
    fn needs_no_signature(&self, certificate: &[u8]) -> bool {
        matches!(self.trust, Trust::Anyone) && has_short_rsa(certificate)
    }
}

fn digest_of(certificate: &[u8]) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}

impl ServerCertVerifier for Verification {
    fn verify_server_cert(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        ocsp::note(stapled);
        let Trust::Roots { webpki, digests } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        if let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) {
            check_time(&certificate, now)?;
            check_name(der, &certificate, server)?;
            if let Some(bits) = short_rsa(&certificate) {
                return Err(Objection::ShortKey(bits).into());
            }
            if digests.contains(&digest_of(der)) {
                return check_purpose(&certificate).map(|()| ServerCertVerified::assertion());
            }
            if certificate.is_ca() && certificate.issuer() == certificate.subject() {
                return Err(CertificateError::UnknownIssuer.into());
            }
        }
        match webpki {
            Some(webpki) => webpki.verify_server_cert(der, intermediates, server, stapled, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.needs_no_signature(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.needs_no_signature(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies as rustls does, but with the key alone, so that the certificate may have any version.
fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(certificate)?;
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    let mapped = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let possible = mapped.map_or(&[][..], |(_, algorithms)| algorithms);
    // A scheme of TLS 1.2 leaves the curve open.
    let is_right = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, message, signature.signature()).is_ok()
    };
    match possible.iter().any(is_right) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(Objection::Signature.into()),
    }
}

fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(certificate)?;
    rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signature, algorithms).map_err(
        |error| match error {
            Error::InvalidCertificate(_) => Objection::Signature.into(),
            error => error,
        },
    )
}

fn public_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoDer<'_>, Error> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw))
}

/// The length of an RSA key that is shorter than what can be checked.
fn short_rsa(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()).filter(|bits| *bits < MIN_RSA),
        _ => None,
    }
}

fn has_short_rsa(certificate: &[u8]) -> bool {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.is_ok_and(|(_, certificate)| short_rsa(&certificate).is_some())
}

fn check_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    // Before 1970: long ago in any case.
    let unix = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    let validity = certificate.validity();
    let not_before = unix(validity.not_before.timestamp());
    let not_after = unix(validity.not_after.timestamp());
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(())
}

fn check_name(
    der: &CertificateDer<'_>,
    certificate: &X509Certificate<'_>,
    server: &ServerName<'_>,
) -> Result<(), Error> {
    let names = match certificate.subject_alternative_name() {
        Ok(names) => names.map(|extension| extension.value.general_names.as_slice()),
        Err(_) => return Err(CertificateError::BadEncoding.into()),
    };
    let Some(names) = names else {
        let mut common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        if common.any(|name| matches_host(name, &server.to_str())) {
            return Err(Objection::CommonName.into());
        }
        return Err(CertificateError::NotValidForNameContext {
            expected: server.to_owned(),
            presented: Vec::new(),
        }
        .into());
    };
    if verify_server_name(&ParsedCertificate::try_from(der)?, server).is_ok() {
        return Ok(());
    }
    let presented = names.iter().filter_map(|name| match (name, server) {
        (GeneralName::IPAddress(octets), ServerName::IpAddress(_)) => {
            address(octets).map(|ip| ip.to_string())
        }
        (GeneralName::DNSName(name), ServerName::DnsName(_)) => Some((*name).to_owned()),
        _ => None,
    });
    let presented = presented.collect();
    Err(CertificateError::NotValidForNameContext { expected: server.to_owned(), presented }.into())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Whether a common name, which may begin with `*.`, is that of a host.
fn matches_host(name: &str, host: &str) -> bool {
    let rest = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_ascii_lowercase());
    match name.strip_prefix("*.") {
        Some(domain) => rest(host) == Some(domain.to_ascii_lowercase()),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// The same check as in webpki, for a certificate that webpki does not see.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) if !usage.value.any && !usage.value.server_auth => {
            let required = ExtendedKeyPurpose::ServerAuth;
            Err(CertificateError::InvalidPurposeContext { required, presented: Vec::new() }.into())
        }
        Ok(_) => Ok(()),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}
