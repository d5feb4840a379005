//! TLS of one connection, where it is not as the options of the test have it.
//!
//! Configurations are kept: scripts connect with the same options again and again, and to make one costs more than a
//! handshake. Only connections of the same configuration resume each other's sessions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, Resumption};

use super::{ClientCertificate, Tls, TlsOptions, unusable};
use crate::error::NetError;
use crate::network::Address;

/// How many configurations are kept; VUs may have certificates of their own.
const MAX_KEPT: usize = 4096;
/// Server names per peer whose sessions are kept, as rustls counts them: eight tickets each.
const TICKETS: usize = 4 * 8;

/// How a connection is encrypted; by default as the options of the test say.
#[derive(Clone, Copy, Debug)]
pub struct Security<'a> {
    /// The name for SNI and for checking the certificate; the host of the connect if left out.
    pub servername: Option<&'a str>,
    pub overrides: &'a TlsOverrides,
    /// To go on with sessions of earlier connections. If left out, each costs the server what a new client does.
    pub sessions: Option<&'a Sessions>,
}

/// Settings of one socket that replace the options of the test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsOverrides {
    /// Protocols to offer (ALPN), in order.
    pub alpn: Vec<String>,
    /// Authorities to believe besides the system's: PEM.
    pub ca: Option<String>,
    /// The client's certificate, its key and the key's password: PEM.
    pub cert: Option<String>,
    pub key: Option<String>,
    pub password: Option<String>,
    pub insecure_skip_verify: Option<bool>,
    /// `tls1.2` or `tls1.3`.
    pub min_version: Option<String>,
    pub max_version: Option<String>,
}

impl TlsOverrides {
    /// Replaces none of the options of the test.
    pub const NONE: Self = Self {
        alpn: Vec::new(),
        ca: None,
        cert: None,
        key: None,
        password: None,
        insecure_skip_verify: None,
        min_version: None,
        max_version: None,
    };

    fn over(&self, options: &TlsOptions) -> Result<TlsOptions, NetError> {
        let client_certificates = match (&self.cert, &self.key) {
            (None, None) => options.client_certificates.clone(),
            (Some(cert), Some(key)) => {
                let (cert, key, password) = (cert.clone(), key.clone(), self.password.clone());
                vec![ClientCertificate { cert, key, password, domains: Vec::new() }]
            }
            _ => return Err(unusable("a client certificate needs both `cert` and `key`".to_owned())),
        };
        if let Some(wrong) = self.alpn.iter().find(|protocol| !(1..256).contains(&protocol.len())) {
            return Err(unusable(format!(
                "the name of an ALPN protocol has 1 to 255 bytes, not {}",
                wrong.len()
            )));
        }
        Ok(TlsOptions {
            insecure_skip_verify: self.insecure_skip_verify.unwrap_or(options.insecure_skip_verify),
            min_version: self.min_version.clone().or_else(|| options.min_version.clone()),
            max_version: self.max_version.clone().or_else(|| options.max_version.clone()),
            cipher_suites: options.cipher_suites.clone(),
            client_certificates,
            ca: self.ca.clone(),
            alpn: self.alpn.clone(),
        })
    }
}

impl Default for Security<'_> {
    fn default() -> Self {
        static NONE: TlsOverrides = TlsOverrides::NONE;
        Self { servername: None, overrides: &NONE, sessions: None }
    }
}

/// The sessions of a VU's connections, to be resumed.
#[derive(Debug, Default)]
pub struct Sessions(RefCell<HashMap<Address, Arc<ClientSessionMemoryCache>>>);

impl Sessions {
    /// The sessions with one peer; other peers would not know them.
    fn with(&self, peer: &Address) -> Resumption {
        let mut known = self.0.borrow_mut();
        let store = match known.get(peer) {
            Some(store) => store.clone(),
            None => {
                let store = Arc::new(ClientSessionMemoryCache::new(TICKETS));
                known.insert(peer.clone(), store.clone());
                store
            }
        };
        Resumption::store(store)
    }
}

/// The configurations for overrides that have been used.
#[derive(Debug, Default)]
pub(super) struct Variants(Mutex<HashMap<TlsOverrides, Arc<Tls>>>);

impl Tls {
    /// The configuration for a connection.
    pub(crate) fn config_for(
        &self,
        host: &str,
        security: &Security<'_>,
        peer: &Address,
    ) -> Result<Arc<ClientConfig>, NetError> {
        let config = match *security.overrides == TlsOverrides::NONE {
            true => self.config(host)?,
            false => self.variant(security.overrides)?.config(host)?,
        };
        let Some(sessions) = security.sessions else { return Ok(config) };
        let mut config = ClientConfig::clone(&config);
        config.resumption = sessions.with(peer);
        Ok(Arc::new(config))
    }

    fn variant(&self, overrides: &TlsOverrides) -> Result<Arc<Self>, NetError> {
        let kept = || self.variants.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().get(overrides) {
            return Ok(known.clone());
        }
        let options = overrides.over(&self.options)?;
        let made = Self::sharing(options, "client certificate", self.trust.clone())
            .map_err(|error| unusable(error.to_string()))?;
        let made = Arc::new(made);
        let mut kept = kept();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        // Another worker may have been faster; sessions are resumed under one of the two only.
        Ok(kept.entry(overrides.clone()).or_insert(made).clone())
    }
}
