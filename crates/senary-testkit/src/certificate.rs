//! The certificates servers show, right and wrong.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What is right or wrong with a server's certificate, for a client that trusts [`Certificate::authority_pem`] and
/// asks for `localhost`, `127.0.0.1`, or `modules.test` that a proxy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Valid,
    Expired,
    /// Signed by the authority, but for somebody else.
    WrongName,
    /// Signed by nobody but itself.
    SelfSigned,
}

impl Certificate {
    /// The authority behind all but the self-signed one; its PEM text, for `SSL_CERT_FILE`.
    pub fn authority_pem() -> String {
        authority().pem()
    }

    /// A certificate of the authority for a client, and its key, as PEM texts.
    pub fn client_pem() -> (String, String) {
        client_pem(|params, key| params.signed_by(key, authority()))
    }

    /// One of nobody's but its own.
    pub fn stranger_pem() -> (String, String) {
        client_pem(|params, key| params.self_signed(key))
    }

    /// With `asking`, clients must show a certificate of the authority.
    pub(crate) fn server_config(self, asking: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let names = match self {
            Self::WrongName => vec!["somebody.else.test".to_owned()],
            _ => ["localhost", "127.0.0.1", "modules.test"].map(str::to_owned).to_vec(),
        };
        let mut params = CertificateParams::new(names).expect("names");
        if self == Self::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let certificate = match self {
            Self::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, authority()),
        }
        .expect("a certificate");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
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
        Arc::new(builder.with_single_cert(chain, key).expect("a TLS configuration"))
    }
}

fn client_pem(
    sign: impl FnOnce(CertificateParams, &KeyPair) -> Result<rcgen::Certificate, rcgen::Error>,
) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["client.test".to_owned()]).expect("a name");
    (sign(params, &key).expect("a certificate").pem(), key.serialize_pem())
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
