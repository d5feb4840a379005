//! The server that takes the writes: how requests are sent, and the texts for its answers.

use std::time::{Duration, SystemTime};

use senary_web::TlsOptions;

use super::config::Config;
use super::sigv4::Signer;
use crate::delivery::{Bytes, Receiver, SendError};
use crate::endpoint::{Endpoint, basic, client_certificate};
use crate::output::OutputContext;

/// The headers of every request.
const HEADERS: [(&str, &str); 4] = [
    ("User-Agent", concat!("senary/", env!("CARGO_PKG_VERSION"))),
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

pub(super) struct RemoteWrite {
    endpoint: Endpoint,
    signer: Option<Signer>,
}

impl RemoteWrite {
    pub(super) fn new(config: &Config, context: &OutputContext) -> Result<Self, String> {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut headers: Vec<_> = HEADERS.into_iter().map(pair).collect();
        headers.extend(config.headers.iter().map(|(name, value)| pair((name, value))));
        if !config.bearer_token.is_empty() {
            headers.push(pair(("Authorization", &format!("Bearer {}", config.bearer_token))));
        } else if !config.username.is_empty() || !config.password.is_empty() {
            headers.push(basic(&config.username, &config.password));
        }
        let tls = TlsOptions {
            insecure_skip_verify: config.insecure_skip_tls_verify,
            min_version: Some(config.tls_minimum_version.clone()),
            client_certificates: client_certificate(
                &config.client_certificate,
                &config.client_certificate_key,
            )?,
            ..TlsOptions::default()
        };
        let endpoint = Endpoint::new(config.url.clone(), headers, tls, context)?;
        Ok(Self { endpoint, signer: Signer::new(config)? })
    }
}

impl Receiver for RemoteWrite {
    fn send(&self, body: &Bytes, within: Duration) -> Result<(), SendError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let signed = self.signer.as_ref().map(|signer| signer.sign(body, now.as_secs())).unwrap_or_default();
        let answer = self
            .endpoint
            .post(&signed, body, within)
            .map_err(|error| SendError { reason: format!("HTTP POST request failed: {error}"), ..error })?;
        if answer.status.is_success() {
            return Ok(());
        }
        let (code, text) = (answer.status.as_u16(), answer.text());
        let told = if text.is_empty() { text } else { format!(": {text}") };
        let reason = format!("got status code: {code} instead expected a 2xx successful status code{told}");
        Err(SendError { reason, again: answer.again() })
    }

    fn report(&self, error: &SendError) {
        log::error!(error = error.reason.as_str(); "Failed to send the time series data to the endpoint");
    }
}
