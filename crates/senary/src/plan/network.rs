//! How the sockets of a test connect: what names stand for, which addresses are allowed, and TLS.

use std::sync::Arc;

use senary_net::{ClientCertificate, Dialer, LocalIps, Resolver, Tls, TlsOptions};

use super::{PlanError, keep};
use crate::options::Options;

/// What sockets of all VUs share.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    pub dialer: Arc<Dialer>,
    pub local_ips: Option<LocalIps>,
}

impl NetworkPlan {
    pub(super) fn new(options: &Options, problems: &mut Vec<String>) -> Option<Self> {
        let resolver = keep(resolver(options), problems);
        let tls = keep(Tls::new(tls_options(options)), problems);
        let local_ips = options.local_ips.as_deref().map(LocalIps::parse);
        let local_ips = local_ips.and_then(|ips| keep(ips, problems));
        Some(Self { dialer: Arc::new(Dialer { resolver: Arc::new(resolver?), tls: tls? }), local_ips })
    }
}

/// Judges the options that are wrong or right on their own, whatever else is set and whatever the script exports.
pub fn judge_values(options: &Options) -> Result<(), PlanError> {
    let mut problems = Vec::new();
    NetworkPlan::new(options, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(PlanError { problems }) }
}

fn resolver(options: &Options) -> Result<Resolver, String> {
    let dns = options.dns.clone().unwrap_or_default().config().map_err(|e| e.to_string())?;
    let hosts: Vec<_> = options.hosts.clone().unwrap_or_default().0.into_iter().collect();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    Resolver::new(&hosts, &list(&options.block_hostnames), &list(&options.blacklist_ips), dns)
        .map_err(|e| e.to_string())
}

fn tls_options(options: &Options) -> TlsOptions {
    let versions = options.tls_version.clone().unwrap_or_default();
    let certificates = options.tls_auth.clone().unwrap_or_default();
    TlsOptions {
        insecure_skip_verify: options.insecure_skip_tls_verify.unwrap_or_default(),
        min_version: Some(versions.min).filter(|version| !version.is_empty()),
        max_version: Some(versions.max).filter(|version| !version.is_empty()),
        cipher_suites: options.tls_cipher_suites.clone().unwrap_or_default(),
        client_certificates: certificates
            .into_iter()
            .map(|auth| ClientCertificate {
                cert: auth.cert,
                key: auth.key,
                password: auth.password,
                domains: auth.domains.unwrap_or_default(),
            })
            .collect(),
        ..TlsOptions::default()
    }
}
