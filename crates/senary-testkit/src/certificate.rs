//! The certificates servers show, right and wrong.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme};

/// What is right or wrong with a server's certificate, for a client that trusts [`Certificate::authority_pem`] and
/// asks for `localhost`, `127.0.0.1`, or `modules.test` that a proxy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Valid,
    Expired,
    /// Signed by the authority, but for another name.
    WrongName,
    /// Signed only by itself.
    SelfSigned,
    /// The same, and an authority besides, as `openssl req -x509` makes them: [`Certificate::own_authority_pem`].
    OwnAuthority,
    /// Has its name only in the Common Name field, where names stood before there was an extension for them.
    CommonName,
    /// For `localhost`, but for no address.
    NoAddress,
    /// A certificate of X.509 version 1, as `openssl x509 -req` makes them; its own authority: [`Certificate::version_1_pem`].
    Version1,
    /// Its key is an RSA key of 1024 bits; the server signs with zeros.
    ShortKey,
    /// Signed by the authority, but the server has another key.
    OthersKey,
}

/// The names by which clients address the servers of these tests.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "modules.test"];

/// With its key.
const VERSION_1: &str = include_str!("certificates/version1.pem");
const SHORT_KEY: &str = include_str!("certificates/short_key.pem");

impl Certificate {
    /// The authority behind all but the self-signed one; its PEM text, for `SSL_CERT_FILE`.
    pub fn authority_pem() -> String {
        authority().pem()
    }

    /// The certificate of [`Certificate::OwnAuthority`].
    pub fn own_authority_pem() -> String {
        own_authority().0.pem()
    }

    /// The certificate of [`Certificate::Version1`], and its key.
    pub fn version_1_pem() -> &'static str {
        VERSION_1
    }

    /// A certificate as [`Certificate::Valid`], and its key, as PEM texts, for servers that are programs of their own.
    pub fn server_pem() -> (String, String) {
        pem(&NAMES, |params, key| params.signed_by(key, authority()))
    }

    /// A certificate of the authority for a client, and its key, as PEM texts.
    pub fn client_pem() -> (String, String) {
        pem(&["client.test"], |params, key| params.signed_by(key, authority()))
    }

    /// A certificate that is signed only by itself.
    pub fn stranger_pem() -> (String, String) {
        pem(&["client.test"], |params, key| params.self_signed(key))
    }

    /// With `asking`, clients must show a certificate of the authority.
    pub(crate) fn server_config(self, asking: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asking {
            let mut roots = RootCertStore::empty();
            roots.add(authority().der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        // rustls's own method would refuse the bad certificates that servers show here.
        Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified_key()))))
    }

    fn certified_key(self) -> CertifiedKey {
        let read = |pem: &str| vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")];
        match self {
            Self::OwnAuthority => {
                let (certificate, key) = own_authority();
                return CertifiedKey::new(vec![certificate.der().clone()], signing_key(key));
            }
            Self::Version1 => {
                let key = PrivateKeyDer::from_pem_slice(VERSION_1.as_bytes()).expect("a key");
                return CertifiedKey::new(read(VERSION_1), load(key));
            }
            Self::ShortKey => return CertifiedKey::new(read(SHORT_KEY), Arc::new(Zeros)),
            _ => {}
        }
        let names = match self {
            Self::WrongName => &["somebody.else.test", "*.else.test"][..],
            Self::NoAddress => &["localhost"],
            Self::CommonName => &[],
            _ => &NAMES,
        };
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("names");
        if self == Self::CommonName {
            params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
        }
        if self == Self::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match self {
            Self::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, authority()),
        }
        .expect("a certificate");
        let key = match self {
            Self::OthersKey => KeyPair::generate().expect("a key"),
            _ => key,
        };
        CertifiedKey::new(vec![certificate.der().clone()], signing_key(&key))
    }
}

fn signing_key(key: &KeyPair) -> Arc<dyn SigningKey> {
    load(PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

fn load(key: PrivateKeyDer<'_>) -> Arc<dyn SigningKey> {
    rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a key")
}

/// Signs anything with zeros.
#[derive(Debug)]
struct Zeros;

impl SigningKey for Zeros {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Zeros))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for Zeros {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![0; 1024 / 8])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}

fn pem(
    names: &[&str],
    sign: impl FnOnce(CertificateParams, &KeyPair) -> Result<rcgen::Certificate, rcgen::Error>,
) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let params = CertificateParams::new(names).expect("names");
    (sign(params, &key).expect("a certificate").pem(), key.serialize_pem())
}

fn own_authority() -> &'static (rcgen::Certificate, KeyPair) {
    static CERTIFICATE: OnceLock<(rcgen::Certificate, KeyPair)> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate"), key)
    })
}

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, "Senary's test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
    })
}
