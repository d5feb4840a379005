//! Settings that all VUs of a test share and none may change. They are decided before the first VU starts.

use std::sync::{Arc, PoisonError, RwLock};

use senary_metrics::TagSet;
use senary_net::http::Proxies;
use senary_net::{ConfigError, Dialer, DnsConfig, LocalIps, Resolver, Tls, TlsOptions};

use crate::derived_options::DerivedOptions;

/// Which system tags samples have. Samples of `senary/tcp` and `k6/x/tcp` always have theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemTags {
    pub group: bool,
    pub check: bool,
    pub scenario: bool,
    /// `vu` and `iter` go to the metadata of samples.
    pub vu: bool,
    pub iter: bool,
    // What HTTP and WebSocket samples carry.
    pub error: bool,
    pub error_code: bool,
    pub expected_response: bool,
    pub ip: bool,
    pub method: bool,
    pub name: bool,
    pub ocsp_status: bool,
    pub proto: bool,
    pub service: bool,
    pub status: bool,
    pub subproto: bool,
    pub tls_version: bool,
    pub url: bool,
}

impl Default for SystemTags {
    fn default() -> Self {
        Self {
            group: true,
            check: true,
            scenario: true,
            vu: false,
            iter: false,
            error: true,
            error_code: true,
            expected_response: true,
            ip: false,
            method: true,
            name: true,
            ocsp_status: false,
            proto: true,
            service: true,
            status: true,
            subproto: true,
            tls_version: true,
            url: true,
        }
    }
}

/// What the options say about HTTP requests. It is plain data; the module decides what to do with it.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// How many redirects are followed; `None` if the options do not say.
    pub max_redirects: Option<u32>,
    /// Requests of a batch at a time, in all and per host.
    pub batch: usize,
    pub batch_per_host: usize,
    /// Requests of all VUs in a second; 0 is no limit.
    pub rps: u32,
    pub debug: HttpDebug,
    pub no_connection_reuse: bool,
    pub no_vu_connection_reuse: bool,
    pub no_cookies_reset: bool,
    pub discard_response_bodies: bool,
    /// The proxies that the environment names.
    pub proxies: Proxies,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_redirects: None,
            batch: 20,
            batch_per_host: 6,
            rps: 0,
            debug: HttpDebug::Off,
            no_connection_reuse: false,
            no_vu_connection_reuse: false,
            no_cookies_reset: false,
            discard_response_bodies: false,
            proxies: Proxies::default(),
        }
    }
}

/// Which parts of requests and responses are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpDebug {
    #[default]
    Off,
    Heads,
    /// With their bodies.
    Full,
}

/// Everything a VU needs to know of the test it belongs to.
pub struct VuSettings {
    pub run_tags: TagSet,
    pub system_tags: SystemTags,
    pub dialer: Arc<Dialer>,
    /// Source addresses from `--local-ips`, spread over VUs.
    pub local_ips: Option<LocalIps>,
    /// The consolidated options as JSON, as `exec.test.options` shows them.
    pub options_json: String,
    /// The options that differ from those the script exported.
    pub derived_options: Arc<DerivedOptions>,
    /// `throw`: warnings become exceptions.
    pub throw: bool,
    /// `userAgent`: how requests name the program that makes them.
    pub user_agent: String,
    pub http: HttpSettings,
    pub setup_data: SetupData,
}

impl VuSettings {
    /// The settings of a test without any options. Fails if TLS cannot be set up.
    pub fn without_options() -> Result<Self, ConfigError> {
        let resolver = Resolver::new(&[], &[], &[], DnsConfig::default())?;
        let dialer = Dialer { resolver: Arc::new(resolver), tls: Tls::new(TlsOptions::default())? };
        Ok(Self {
            run_tags: TagSet::default(),
            system_tags: SystemTags::default(),
            dialer: Arc::new(dialer),
            local_ips: None,
            options_json: "{}".to_owned(),
            derived_options: Arc::default(),
            throw: false,
            user_agent: String::new(),
            http: HttpSettings::default(),
            setup_data: SetupData::default(),
        })
    }
}

/// What `setup()` returned, as JSON. It is set before the first iteration; a VU parses it at its first one and
/// then keeps its own copy.
#[derive(Debug, Default)]
pub struct SetupData {
    json: RwLock<Option<Arc<str>>>,
}

impl SetupData {
    pub fn get(&self) -> Option<Arc<str>> {
        self.json.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, json: Option<String>) {
        *self.json.write().unwrap_or_else(PoisonError::into_inner) = json.map(Arc::from);
    }
}
