//! The certificates that connections of a test trust: the system's roots (`SSL_CERT_FILE`, `SSL_CERT_DIR` included), read when the first TLS
//! connection is made and shared by all configurations, and the authorities a socket brings along.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::CertificateResult;

use super::server_certificate::Verification;
use super::unusable;
use crate::error::NetError;
use crate::limits;

#[derive(Debug, Default)]
pub(super) struct Trust {
    roots: OnceLock<Vec<CertificateDer<'static>>>,
    /// The verifier of most connections.
    by_system: OnceLock<Arc<Verification>>,
}

impl Trust {
    /// Trusts the system's roots, and the certificates of `ca`, which is PEM.
    pub(super) fn verifier(
        &self,
        ca: Option<&str>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
        if let Some(ca) = ca {
            let mut roots = certificates(ca)?;
            roots.extend(self.roots()?.iter().cloned());
            return Ok(Arc::new(Verification::by_roots(roots, provider.clone())));
        }
        if let Some(known) = self.by_system.get() {
            return Ok(known.clone());
        }
        let made = Arc::new(Verification::by_roots(self.roots()?.to_vec(), provider.clone()));
        Ok(self.by_system.get_or_init(|| made).clone())
    }

    fn roots(&self) -> Result<&[CertificateDer<'static>], NetError> {
        if let Some(known) = self.roots.get() {
            return Ok(known);
        }
        // Not kept if it fails: the next connection may find a file more to open.
        let roots = system_roots()?;
        Ok(self.roots.get_or_init(|| roots))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(unusable("the CA has no certificate: give the PEM text of one or more".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(format!("the CA is not PEM: {error}"))),
    }
}

/// What `SSL_CERT_FILE` names, if it can be read only once.
static TRUSTED: OnceLock<Vec<u8>> = OnceLock::new();

/// Believes these certificates, in PEM, in the place of those in the file that `SSL_CERT_FILE` names. Only the first call of a
/// process counts, and only before the first connection.
pub fn trust(pem: Vec<u8>) {
    TRUSTED.get_or_init(|| pem);
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, NetError> {
    let (found, mut roots) = match TRUSTED.get() {
        None => (rustls_native_certs::load_native_certs(), Vec::new()),
        Some(pem) => (certificates_in_folders(), CertificateDer::pem_slice_iter(pem).flatten().collect()),
    };
    for error in found.errors {
        // Others, like a missing file, leave roots out that may not be needed.
        if let rustls_native_certs::ErrorKind::Io { inner, path } = error.kind
            && limits::is_out_of_open_files(&inner)
        {
            return Err(NetError::OpenFiles { doing: format!("open {}", path.display()), error: inner });
        }
    }
    roots.extend(found.certs);
    Ok(roots)
}

fn certificates_in_folders() -> CertificateResult {
    let mut all = CertificateResult::default();
    let folders = std::env::var_os("SSL_CERT_DIR").unwrap_or_default();
    for folder in std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
        let found = rustls_native_certs::load_certs_from_paths(None, Some(&folder));
        all.certs.extend(found.certs);
        all.errors.extend(found.errors);
    }
    all
}
