//! TLS of outgoing connections: what the options ask for, turned into a rustls configuration. There is one per test,
//! but for client certificates that are for certain servers.
//!
//! Certificates are verified against the system's roots (`SSL_CERT_FILE`, `SSL_CERT_DIR` included) unless
//! `insecureSkipTLSVerify` says otherwise. Roots are read when the first TLS connection is made, not before.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::error::{NetError, io_code, io_text};
use crate::limits;
use crate::resolve::{ConfigError, HostPattern};

/// The TLS options of a test, as written.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    pub insecure_skip_verify: bool,
    /// `tls1.0` … `tls1.3`.
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    /// IANA names.
    pub cipher_suites: Vec<String>,
    pub client_certificates: Vec<ClientCertificate>,
}

/// An entry of `tlsAuth`; PEM texts.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub cert: String,
    pub key: String,
    pub password: Option<String>,
    /// Names of servers it is for, as in [`HostPattern`]; none: for all.
    pub domains: Vec<String>,
}

/// The validated options, and the configuration made of them on first use.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    identities: Vec<Arc<Identity>>,
    /// With the identities that are for all servers.
    config: OnceLock<Arc<ClientConfig>>,
}

/// A certificate to show to servers that ask for one, and its key.
#[derive(Debug)]
struct Identity {
    key: Arc<CertifiedKey>,
    /// Who signed it, and those above: names as DER.
    issuers: Vec<Vec<u8>>,
    domains: Vec<HostPattern>,
}

const VERSIONS: [&str; 4] = ["tls1.0", "tls1.1", "tls1.2", "tls1.3"];

/// Names the reference knows and rustls does not offer: accepted, as long as a usable one stands beside them.
const UNSUPPORTED_SUITES: [&str; 12] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
];

impl Tls {
    pub fn new(options: TlsOptions) -> Result<Self, ConfigError> {
        let mut provider = aws_lc_rs::default_provider();
        if !options.cipher_suites.is_empty() {
            let known: Vec<String> = provider.cipher_suites.iter().map(|s| suite_name(s.suite())).collect();
            for name in &options.cipher_suites {
                if !known.contains(name) && !UNSUPPORTED_SUITES.contains(&name.as_str()) {
                    return Err(ConfigError::CipherSuite(name.clone()));
                }
            }
            provider.cipher_suites.retain(|s| {
                // As in Go, the option does not limit TLS 1.3.
                matches!(s, rustls::SupportedCipherSuite::Tls13(_))
                    || options.cipher_suites.contains(&suite_name(s.suite()))
            });
        }
        let index = |name: &Option<String>, default: usize| match name {
            None => Ok(default),
            Some(name) => {
                VERSIONS.iter().position(|v| v == name).ok_or_else(|| ConfigError::TlsVersion(name.clone()))
            }
        };
        let (min, max) = (index(&options.min_version, 2)?, index(&options.max_version, 3)?);
        let mut versions = Vec::new();
        if min <= 3 && max >= 3 {
            versions.push(&rustls::version::TLS13);
        }
        if min <= 2 && max >= 2 {
            versions.push(&rustls::version::TLS12);
        }
        let has_tls12_suite =
            provider.cipher_suites.iter().any(|s| matches!(s, rustls::SupportedCipherSuite::Tls12(_)));
        if !has_tls12_suite {
            versions.retain(|v| **v != rustls::version::TLS12);
        }
        if versions.is_empty() {
            return Err(ConfigError::Tls(
                "the options tlsVersion and tlsCipherSuites leave nothing that Senary can speak: TLS 1.2 with an ECDHE AEAD cipher suite, or TLS 1.3".to_owned(),
            ));
        }
        let identities =
            options.client_certificates.iter().map(|pem| Identity::parse(pem, &provider).map(Arc::new));
        let identities = identities.collect::<Result<_, _>>()?;
        Ok(Self { options, provider: Arc::new(provider), versions, identities, config: OnceLock::new() })
    }

    /// The configuration for connections to a server.
    pub fn config(&self, host: &str) -> Result<Arc<ClientConfig>, NetError> {
        let config = match self.config.get() {
            Some(config) => config.clone(),
            // Not kept if it fails: the next connection may find a file more to open.
            None => {
                let config = Arc::new(self.build()?);
                self.config.get_or_init(|| config).clone()
            }
        };
        if self.identities.iter().all(|identity| identity.domains.is_empty()) {
            return Ok(config);
        }
        let lower = host.to_lowercase();
        let mut config = ClientConfig::clone(&config);
        config.client_auth_cert_resolver = self.identities_where(|domains| {
            domains.is_empty() || domains.iter().any(|domain| domain.matches(&lower))
        });
        Ok(Arc::new(config))
    }

    fn identities_where(&self, are_for: impl Fn(&[HostPattern]) -> bool) -> Arc<Identities> {
        let chosen = self.identities.iter().filter(|identity| are_for(&identity.domains));
        Arc::new(Identities(chosen.cloned().collect()))
    }

    fn build(&self) -> Result<ClientConfig, NetError> {
        let failed = |text: String| NetError::Tls { code: "ERR_TLS_CONFIG", text };
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions)
            .map_err(|e| failed(e.to_string()))?;
        let builder = if self.options.insecure_skip_verify {
            let verifier = Arc::new(NoVerification { provider: self.provider.clone() });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(system_roots()?)
        };
        let mut config = builder.with_client_cert_resolver(self.identities_where(<[_]>::is_empty));
        config.key_log = Arc::new(rustls::KeyLogFile::new());
        Ok(config)
    }
}

fn system_roots() -> Result<RootCertStore, NetError> {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        // Others, like a missing file, leave roots out that may not be needed.
        if let rustls_native_certs::ErrorKind::Io { inner, path } = error.kind
            && limits::is_out_of_open_files(&inner)
        {
            return Err(NetError::OpenFiles { doing: format!("open {}", path.display()), error: inner });
        }
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(roots)
}

impl Identity {
    fn parse(pem: &ClientCertificate, provider: &CryptoProvider) -> Result<Self, ConfigError> {
        let error = |text: String| ConfigError::Tls(format!("tlsAuth: {text}"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.cert.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| error(format!("the certificate is no PEM: {e}")))?;
        if chain.is_empty() {
            return Err(error("the certificate is no PEM".to_owned()));
        }
        if pem.key.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(error("encrypted pkcs8 formatted key is not supported".to_owned()));
        }
        if pem.key.contains("DEK-Info:") {
            return Err(error(
                "the key is encrypted, which is not supported: decrypt it first, e.g. with `openssl pkey -in key.pem`".to_owned(),
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes())
            .map_err(|e| error(format!("the key is no PEM: {e}")))?;
        let issuers = chain.iter().map(|der| match x509_parser::parse_x509_certificate(der) {
            Ok((_, certificate)) => Ok(certificate.issuer().as_raw().to_vec()),
            Err(e) => Err(error(format!("the certificate cannot be read: {e}"))),
        });
        let issuers = issuers.collect::<Result<_, _>>()?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|e| error(format!("the certificate and the key cannot be used: {e}")))?;
        let domains = pem.domains.iter();
        let domains = domains
            .map(|text| HostPattern::parse(text).ok_or_else(|| ConfigError::TlsDomain(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { key: Arc::new(key), issuers, domains })
    }

    fn is_signed_by_any(&self, authorities: &[&[u8]]) -> bool {
        authorities.is_empty() || self.issuers.iter().any(|issuer| authorities.contains(&issuer.as_slice()))
    }
}

/// Certificates to choose from once a server has said what it accepts: the first that suits it is shown.
#[derive(Debug)]
struct Identities(Vec<Arc<Identity>>);

impl ResolvesClientCert for Identities {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let suits = |identity: &&Arc<Identity>| {
            identity.is_signed_by_any(authorities) && identity.key.key.choose_scheme(schemes).is_some()
        };
        self.0.iter().find(suits).map(|identity| identity.key.clone())
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// `TLS13_AES_…` is rustls's name for what everybody else calls `TLS_AES_…`.
fn suite_name(suite: rustls::CipherSuite) -> String {
    suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1)
}

/// The text and code of a failed handshake.
pub(crate) fn handshake_error(error: io::Error, host: &str) -> NetError {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (code, text) = match found {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            let (code, text) = certificate_error(reason, host);
            (code, format!("tls: failed to verify certificate: x509: {text}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            ("ERR_TLS_NOT_TLS", "tls: first record does not look like a TLS handshake".to_owned())
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            ("ERR_TLS_ALERT", format!("remote error: tls: {}", alert_text(*alert)))
        }
        Some(other) => ("ERR_TLS_HANDSHAKE", format!("tls: {other}")),
        None if error.kind() == io::ErrorKind::UnexpectedEof => ("ECONNRESET", "EOF".to_owned()),
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            ("ECONNRESET", "read: connection reset by peer".to_owned())
        }
        None if error.raw_os_error().is_some() => (io_code(&error), io_text(&error)),
        None => ("ERR_TLS_HANDSHAKE", error.to_string()),
    };
    NetError::Tls { code, text }
}

/// What the peer says of the end of TLS, if that is what happened to a connection that was open already. With TLS 1.3 a
/// server looks at the client's certificate only then.
pub(crate) fn alert(error: &io::Error) -> Option<NetError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(NetError::TlsAlert { text: alert_text(*alert) }),
        _ => None,
    }
}

/// An alert in the reference's words.
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
        A::MissingExtension => "missing extension",
        A::UnsupportedExtension => "unsupported extension",
        A::UnrecognisedName => "unrecognized name",
        A::CertificateRequired => "certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("alert({})", u8::from(other)),
    };
    text.to_owned()
}

fn certificate_error(reason: &CertificateError, host: &str) -> (&'static str, String) {
    use CertificateError as E;
    match reason {
        E::UnknownIssuer => {
            ("ERR_TLS_CERT_UNKNOWN_AUTHORITY", "certificate signed by unknown authority".to_owned())
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            ("ERR_TLS_CERT_ALTNAME_INVALID", format!("certificate is not valid for {host}"))
        }
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            ("ERR_TLS_CERT_EXPIRED", "certificate has expired or is not yet valid".to_owned())
        }
        E::Revoked => ("ERR_TLS_CERT_REVOKED", "certificate is revoked".to_owned()),
        other => ("ERR_TLS_CERT_INVALID", format!("certificate is not valid: {other}")),
    }
}

/// `insecureSkipTLSVerify`: whoever answers is believed, but its signatures still have to be right.
#[derive(Debug)]
struct NoVerification {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn signed_by(authority: &CertifiedIssuer<'static, KeyPair>, domains: &[&str]) -> ClientCertificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client.test".to_owned()]).unwrap();
        let cert = params.signed_by(&key, authority).unwrap().pem();
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        ClientCertificate { cert, key: key.serialize_pem(), password: None, domains }
    }

    fn tls(client_certificates: Vec<ClientCertificate>) -> Result<Tls, ConfigError> {
        Tls::new(TlsOptions { insecure_skip_verify: true, client_certificates, ..TlsOptions::default() })
    }

    /// The issuer of what is shown to a server that accepts certificates of these authorities.
    fn shown(tls: &Tls, host: &str, accepted: &[&CertifiedIssuer<'static, KeyPair>]) -> Option<Vec<u8>> {
        let authorities: Vec<Vec<u8>> = accepted.iter().map(|a| subject(a.der())).collect();
        let authorities: Vec<&[u8]> = authorities.iter().map(Vec::as_slice).collect();
        let resolver = tls.config(host).unwrap().client_auth_cert_resolver.clone();
        let key = resolver.resolve(&authorities, &[SignatureScheme::ECDSA_NISTP256_SHA256])?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&key.cert[0]).unwrap();
        Some(certificate.issuer().as_raw().to_vec())
    }

    fn subject(der: &[u8]) -> Vec<u8> {
        x509_parser::parse_x509_certificate(der).unwrap().1.subject().as_raw().to_vec()
    }

    #[test]
    fn a_client_certificate_is_chosen_by_what_the_server_accepts() {
        let (a, b, c) = (authority("a"), authority("b"), authority("c"));
        let tls = tls(vec![signed_by(&a, &[]), signed_by(&b, &[])]).unwrap();
        assert_eq!(shown(&tls, "host.test", &[&b]), Some(subject(b.der())));
        assert_eq!(shown(&tls, "host.test", &[&c, &a]), Some(subject(a.der())));
        assert_eq!(shown(&tls, "host.test", &[]), Some(subject(a.der())));
        assert_eq!(shown(&tls, "host.test", &[&c]), None);
    }

    #[test]
    fn a_client_certificate_is_for_its_domains() {
        let (a, b, c) = (authority("a"), authority("b"), authority("c"));
        let all =
            vec![signed_by(&a, &["a.test", "*.a.test"]), signed_by(&b, &["b.test"]), signed_by(&c, &[])];
        let tls = tls(all).unwrap();
        for (host, issuer) in
            [("A.test", &a), ("x.a.test", &a), ("b.test", &b), ("x.b.test", &c), ("c.test", &c)]
        {
            assert_eq!(shown(&tls, host, &[]), Some(subject(issuer.der())), "{host}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let a = authority("a");
        let good = signed_by(&a, &[]);
        let other = signed_by(&a, &[]);
        let refused = |certificate: ClientCertificate| tls(vec![certificate]).unwrap_err().to_string();
        let mixed = refused(ClientCertificate { key: other.key, ..good.clone() });
        assert!(mixed.starts_with("tlsAuth: the certificate and the key cannot be used: "), "{mixed}");
        let domain = refused(ClientCertificate { domains: vec!["a b".to_owned()], ..good.clone() });
        assert_eq!(domain, "invalid domain 'a b' in tlsAuth");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".to_owned();
        let encrypted = refused(ClientCertificate { key: encrypted, ..good });
        assert_eq!(encrypted, "tlsAuth: encrypted pkcs8 formatted key is not supported");
    }
}
