//! The certificates of `tlsAuth`: read when the test starts, and chosen from when a server asks for one.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{ClientCertificate, private_key};
use crate::options::{ConfigError, HostPattern};

/// A certificate to show to servers that ask for one, and its key.
#[derive(Debug)]
pub(super) struct Identity {
    key: Arc<CertifiedKey>,
    /// The names of its issuer and of the authorities above, as DER.
    issuers: Vec<Vec<u8>>,
    pub(super) domains: Vec<HostPattern>,
}

impl Identity {
    /// `option` is where it was given, for errors.
    pub(super) fn parse(
        pem: &ClientCertificate,
        option: &str,
        provider: &CryptoProvider,
    ) -> Result<Self, ConfigError> {
        let error = |text: String| ConfigError::Tls(format!("{option}: {text}"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.cert.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| error(format!("the certificate is no PEM: {e}")))?;
        let key = private_key::read(&pem.key, pem.password.as_deref()).map_err(|e| error(e.to_string()))?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| {
            error("the key cannot be used: it is damaged, or of a kind that is not supported (RSA needs 2048 bits)".to_owned())
        })?;
        let mut issuers = Vec::new();
        for der in &chain {
            let (_, certificate) = x509_parser::parse_x509_certificate(der)
                .map_err(|e| error(format!("the certificate cannot be read: {e}")))?;
            // The first is the client's own.
            if issuers.is_empty()
                && let Some(public) = key.public_key()
                && let Ok((_, public)) = SubjectPublicKeyInfo::from_der(&public)
                && public.subject_public_key != certificate.public_key().subject_public_key
            {
                return Err(error("the key is not the certificate's".to_owned()));
            }
            issuers.push(certificate.issuer().as_raw().to_vec());
        }
        if chain.is_empty() {
            return Err(error("the certificate is no PEM".to_owned()));
        }
        let domains = pem.domains.iter();
        let domains = domains
            .map(|text| HostPattern::parse(text).ok_or_else(|| ConfigError::TlsDomain(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, key)), issuers, domains })
    }

    fn is_signed_by_any(&self, authorities: &[&[u8]]) -> bool {
        authorities.is_empty() || self.issuers.iter().any(|issuer| authorities.contains(&issuer.as_slice()))
    }
}

/// Certificates to choose from once a server has said what it accepts: the first that suits it is shown.
#[derive(Debug)]
pub(super) struct Identities(pub(super) Vec<Arc<Identity>>);

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
