//! TLS of outgoing connections: what the options ask for, turned into one rustls configuration per test.
//!
//! Certificates are verified against the system's roots (`SSL_CERT_FILE`, `SSL_CERT_DIR` included) unless
//! `insecureSkipTLSVerify` says otherwise. Roots are read when the first TLS connection is made, not before.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::NetError;
use crate::limits;
use crate::resolve::ConfigError;

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
}

/// The validated options, and the configuration made of them on first use.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    config: OnceLock<Arc<ClientConfig>>,
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
        let identity = options.client_certificates.first().map(parse_identity).transpose()?;
        Ok(Self { options, provider: Arc::new(provider), versions, identity, config: OnceLock::new() })
    }

    pub fn config(&self) -> Result<Arc<ClientConfig>, NetError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        // Not kept if it fails: the next connection may find a file more to open.
        let config = Arc::new(self.build()?);
        Ok(self.config.get_or_init(|| config).clone())
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
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|e| failed(format!("tlsAuth: {e}")))?,
        };
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

fn parse_identity(
    pem: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConfigError> {
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
    Ok((chain, key))
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
            ("ERR_TLS_ALERT", format!("remote error: tls: {alert:?}"))
        }
        Some(other) => ("ERR_TLS_HANDSHAKE", format!("tls: {other}")),
        None if error.kind() == io::ErrorKind::UnexpectedEof => ("ECONNRESET", "EOF".to_owned()),
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            ("ECONNRESET", "read: connection reset by peer".to_owned())
        }
        None => ("ERR_TLS_HANDSHAKE", error.to_string()),
    };
    NetError::Tls { code, text }
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
