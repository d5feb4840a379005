//! The receiver at the other end: OTLP over HTTP with protobuf, or over gRPC.

use std::time::Duration;

use prost::Message;
use senary_web::{TlsOptions, check_headers};
use url::Url;

use super::config::{Config, Protocol};
use super::messages::{ExportResponse, Status};
use crate::delivery::{Again, Bytes, Receiver, SendError};
use crate::endpoint::{Answer, Endpoint, basic, client_certificate, read};
use crate::output::OutputContext;

const METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// The gRPC codes for requests that may succeed later: the server is overloaded or unavailable at the moment.
const PASSING: [u32; 3] = [RESOURCE_EXHAUSTED, ABORTED, UNAVAILABLE];
const RESOURCE_EXHAUSTED: u32 = 8;
const ABORTED: u32 = 10;
const UNAVAILABLE: u32 = 14;

/// Where requests go.
pub(super) struct Exporter {
    endpoint: Endpoint,
    protocol: Protocol,
    is_compressed: bool,
}

impl Exporter {
    /// Reads the files of certificates.
    pub(super) fn new(config: &Config, context: &OutputContext) -> Result<Self, String> {
        let protocol = config.protocol();
        let ca = if config.certificate.is_empty() { None } else { Some(read(&config.certificate)?) };
        let tls = TlsOptions {
            insecure_skip_verify: config.skip_verify,
            ca,
            client_certificates: client_certificate(&config.client_certificate, &config.client_key)?,
            alpn: vec![if protocol == Protocol::Grpc { "h2" } else { "http/1.1" }.to_owned()],
            ..TlsOptions::default()
        };
        let mut headers = config.headers.clone();
        let server = config.server();
        let url = match protocol {
            Protocol::Grpc => format!("{server}{METHOD}"),
            Protocol::Http => {
                headers.push(("Content-Type".to_owned(), "application/x-protobuf".to_owned()));
                if config.is_compressed {
                    headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
                }
                if !config.username.is_empty() || !config.password.is_empty() {
                    headers.push(basic(&config.username, &config.password));
                }
                format!("{server}/{}", config.path.trim_start_matches('/'))
            }
        };
        check_headers(&headers).map_err(|error| error.to_string())?;
        let url = Url::parse(&url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        let endpoint = Endpoint::new(url.into(), headers, tls, context)?;
        Ok(Self { endpoint, protocol, is_compressed: config.is_compressed })
    }

    fn post(&self, body: &Bytes, within: Duration) -> Result<Bytes, SendError> {
        let answer = self.endpoint.post(&[], body, within)?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let may_pass = matches!(answer.status.as_u16(), 429 | 502..=504);
        let again = if may_pass { answer.again() } else { Again::Never };
        Err(SendError { reason: told(&answer), again })
    }

    fn call(&self, message: &Bytes, within: Duration) -> Result<Bytes, SendError> {
        let reply = self.endpoint.call(message, self.is_compressed, within)?;
        if reply.code == 0 {
            return Ok(reply.message);
        }
        let again = if PASSING.contains(&reply.code) { Again::Later(None) } else { Again::Never };
        Err(SendError { reason: reply.to_string(), again })
    }
}

impl Receiver for Exporter {
    fn send(&self, body: &Bytes, within: Duration) -> Result<(), SendError> {
        let (answer, variable) = match self.protocol {
            Protocol::Http => (self.post(body, within), "K6_OTEL_HTTP_EXPORTER_INSECURE"),
            Protocol::Grpc => (self.call(body, within), "K6_OTEL_GRPC_EXPORTER_INSECURE"),
        };
        let answer = answer.map_err(|error| with_hint(error, variable))?;
        // A message that cannot be read is ignored.
        let refused = ExportResponse::decode(answer).ok().and_then(|response| response.partial_success);
        if let Some(refused) = refused.filter(|refused| refused.rejected_data_points > 0) {
            log::warn!(
                "the receiver of the opentelemetry output has refused {} points: {}",
                refused.rejected_data_points,
                refused.error_message
            );
        }
        Ok(())
    }

    fn report(&self, error: &SendError) {
        let level = if error.again == Again::Never { log::Level::Error } else { log::Level::Warn };
        log::log!(level, "failed to upload metrics: {}", error.reason);
    }
}

/// TLS is the default, but most receivers on the same machine do not use it.
fn with_hint(error: SendError, variable: &str) -> SendError {
    if !error.reason.starts_with("TLS with ") {
        return error;
    }
    let reason = format!("{}; {variable}=true sends without TLS", error.reason);
    SendError { reason, ..error }
}

/// The receiver's error text, as plain text or in a message.
fn told(answer: &Answer) -> String {
    let is_message = answer.headers.get("content-type").is_some_and(|kind| kind == "application/x-protobuf");
    let text = match Status::decode(answer.body.clone()) {
        Ok(status) if is_message => status.message,
        _ => answer.text(),
    };
    if text.is_empty() { answer.status.to_string() } else { format!("{}: {text}", answer.status) }
}
