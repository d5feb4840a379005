//! TLS of outgoing connections: turns the options into a rustls configuration. There is one per test, except where client
//! certificates are only for certain servers.
//!
//! Certificates are verified against what `trust` believes, unless `insecureSkipTLSVerify` says otherwise.

mod client_certificate;
mod info;
mod key_exchange;
mod key_log;
mod ocsp;
mod private_key;
mod record;
mod security;
mod server_certificate;
mod stream;
mod trust;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, ClientConfig, SupportedCipherSuite};

use self::client_certificate::{Identities, Identity};
pub use self::info::{PeerCertificate, TlsInfo};
pub use self::ocsp::{Ocsp, OcspStatus};
use self::security::Variants;
pub use self::security::{Security, Sessions, TlsOverrides};
use self::server_certificate::Verification;
pub(crate) use self::stream::TlsStream;
use self::trust::Trust;
pub use self::trust::trust;
pub use self::words::handshake_text;
pub(crate) use self::words::{ended, handshake_error};
use crate::error::NetError;
use crate::name;
use crate::options::{ConfigError, HostPattern};

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
    /// Authorities to trust in addition to the system's, as PEM.
    pub ca: Option<String>,
    /// Protocols to offer (ALPN), in order.
    pub alpn: Vec<String>,
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
    /// Identities that servers have been offered together, by their places.
    choices: Mutex<HashMap<Vec<usize>, Arc<Identities>>>,
    trust: Arc<Trust>,
    variants: Variants,
}

const VERSIONS: [&str; 4] = ["tls1.0", "tls1.1", "tls1.2", "tls1.3"];

/// Names that k6 knows but rustls does not offer. They are accepted if the list also has a usable name.
const UNSUPPORTED_SUITES: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
];

impl Tls {
    pub fn new(options: TlsOptions) -> Result<Self, ConfigError> {
        Self::sharing(options, "tlsAuth", Arc::default())
    }

    /// `tls_auth` is where client certificates come from, for errors.
    fn sharing(options: TlsOptions, tls_auth: &str, trust: Arc<Trust>) -> Result<Self, ConfigError> {
        let mut provider = key_exchange::provider();
        if !options.cipher_suites.is_empty() {
            for name in &options.cipher_suites {
                if !provider.cipher_suites.iter().any(|suite| is_named(suite.suite(), name))
                    && !UNSUPPORTED_SUITES.contains(&name.as_str())
                {
                    return Err(ConfigError::CipherSuite(name.clone()));
                }
            }
            provider.cipher_suites.retain(|suite| {
                // As in Go, the option does not limit TLS 1.3.
                matches!(suite, SupportedCipherSuite::Tls13(_))
                    || options.cipher_suites.iter().any(|name| is_named(suite.suite(), name))
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
            provider.cipher_suites.iter().any(|s| matches!(s, SupportedCipherSuite::Tls12(_)));
        if !has_tls12_suite {
            versions.retain(|v| **v != rustls::version::TLS12);
        }
        if versions.is_empty() {
            return Err(ConfigError::Tls(
                "the allowed TLS versions and cipher suites leave nothing that Senary can speak: TLS 1.2 with an ECDHE AEAD cipher suite, or TLS 1.3".to_owned(),
            ));
        }
        let identities = options
            .client_certificates
            .iter()
            .map(|pem| Identity::parse(pem, tls_auth, &provider).map(Arc::new));
        let identities = identities.collect::<Result<Vec<_>, _>>()?;
        if !identities.is_empty() {
            key_exchange::seed();
        }
        Ok(Self {
            options,
            provider: Arc::new(provider),
            versions,
            identities,
            config: OnceLock::new(),
            choices: Mutex::default(),
            trust,
            variants: Variants::default(),
        })
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
        let normal = name::normal(host);
        let mut config = ClientConfig::clone(&config);
        config.client_auth_cert_resolver = self.identities_where(|domains| {
            domains.is_empty() || domains.iter().any(|domain| domain.matches(&normal))
        });
        Ok(Arc::new(config))
    }

    /// The same choice is the same object: only connections that share it resume each other's sessions.
    fn identities_where(&self, are_for: impl Fn(&[HostPattern]) -> bool) -> Arc<Identities> {
        let places = self.identities.iter().enumerate().filter(|(_, identity)| are_for(&identity.domains));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        let mut choices = self.choices.lock().unwrap_or_else(PoisonError::into_inner);
        let made = |places: &Vec<usize>| {
            Arc::new(Identities(places.iter().map(|place| self.identities[*place].clone()).collect()))
        };
        choices.entry(places).or_insert_with_key(made).clone()
    }

    fn build(&self) -> Result<ClientConfig, NetError> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions)
            .map_err(|e| unusable(e.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self.options.insecure_skip_verify {
            true => Arc::new(Verification::of_anyone(&self.provider)),
            false => self.trust.verifier(self.options.ca.as_deref(), &self.provider)?,
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = builder.with_client_cert_resolver(self.identities_where(<[_]>::is_empty));
        // Each connection costs the server as much as a new client; k6 keeps no sessions either.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = self.options.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        if let Some(key_log) = key_log::of_environment() {
            config.key_log = key_log;
        }
        Ok(config)
    }
}

fn unusable(text: String) -> NetError {
    NetError::Tls { code: "ERR_TLS_CONFIG", text }
}

/// `TLS13_AES_…` is rustls's name for the suite that is usually called `TLS_AES_…`, and `…_SHA256` may be left out where it is
/// not the name of a choice.
fn is_named(suite: CipherSuite, name: &str) -> bool {
    let known = suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1);
    known == name
        || known
            .strip_suffix("_POLY1305_SHA256")
            .is_some_and(|stem| name.strip_suffix("_POLY1305") == Some(stem))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::SignatureScheme;

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
            let resolver = || tls.config(host).unwrap().client_auth_cert_resolver.clone();
            assert!(Arc::ptr_eq(&resolver(), &resolver()), "no session of {host} could be resumed");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let a = authority("a");
        let good = signed_by(&a, &[]);
        let other = signed_by(&a, &[]);
        let refused = |certificate: ClientCertificate| tls(vec![certificate]).unwrap_err().to_string();
        let mixed = refused(ClientCertificate { key: other.key, ..good.clone() });
        assert_eq!(mixed, "tlsAuth: the key is not the certificate's");
        let domain = refused(ClientCertificate { domains: vec!["a b".to_owned()], ..good.clone() });
        assert_eq!(domain, "invalid domain 'a b' in tlsAuth");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".to_owned();
        let encrypted = refused(ClientCertificate { key: encrypted, ..good });
        assert_eq!(encrypted, "tlsAuth: encrypted pkcs8 formatted key is not supported");
    }
    /// A certificate of version 1, which `openssl x509 -req` makes, is the user's own to show.
    #[test]
    fn a_client_certificate_may_be_of_any_version() {
        let cert = include_str!("keys/certificate.pem").to_owned();
        let key = include_str!("keys/plain.pem").to_owned();
        let own = ClientCertificate { cert, key, password: None, domains: Vec::new() };
        assert!(shown(&tls(vec![own]).unwrap(), "host.test", &[]).is_some());
    }

    /// Go's `tls.CipherSuites()` and `tls.InsecureCipherSuites()`, and two names without the hash.
    #[test]
    fn all_cipher_suites_of_the_reference_have_a_name_here() {
        let mut names =
            vec!["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
        names.extend(UNSUPPORTED_SUITES);
        let spoken = [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ];
        let offered = |names: &[&str]| {
            let cipher_suites = names.iter().map(|name| (*name).to_owned()).collect();
            let tls = Tls::new(TlsOptions { cipher_suites, ..TlsOptions::default() })?;
            let suites = tls.provider.cipher_suites.iter();
            Ok::<_, ConfigError>(
                suites.filter(|suite| matches!(suite, SupportedCipherSuite::Tls12(_))).count(),
            )
        };
        for name in names {
            assert_eq!(offered(&[name]), Ok(0), "{name}");
        }
        for name in spoken {
            assert_eq!(offered(&[name]), Ok(1), "{name}");
        }
        for wrong in ["TLS_ECDHE_RSA_WITH_AES_128_GCM", "TLS_AES_128_GCM", "", "tls_aes_128_gcm_sha256"] {
            assert_eq!(offered(&[wrong]), Err(ConfigError::CipherSuite(wrong.to_owned())));
        }
    }
}
