//! A web server that an output sends to: its URL, headers, authorisation and TLS, and one POST at a time.

use std::fs;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use senary_web::{
    Bytes, Client, ClientCertificate, HeaderMap, Method, Proxies, Reply, StatusCode, TlsOptions,
};
use senary_words::duration::format_go;
use tokio::runtime::Runtime;

use crate::delivery::{Again, SendError};
use crate::output::OutputContext;
use crate::outputs::file::describe;

/// Of the body of an answer, an error has so many bytes.
const MAX_TOLD: usize = 512;

/// Where requests go, and what all of them have.
pub struct Endpoint {
    url: String,
    headers: Vec<(String, String)>,
    client: Client,
    runtime: Runtime,
}

/// What a server answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Endpoint {
    /// Fails only if the system gives no more files. Proxies come from the environment.
    pub fn new(
        url: String,
        headers: Vec<(String, String)>,
        tls: TlsOptions,
        context: &OutputContext,
    ) -> Result<Self, String> {
        Self::through(Proxies::new(|name| context.variable(name)), url, headers, tls)
    }

    /// The same with proxies from elsewhere.
    pub fn through(
        proxies: Proxies,
        url: String,
        headers: Vec<(String, String)>,
        tls: TlsOptions,
    ) -> Result<Self, String> {
        let client = Client::with_tls(proxies, tls)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| error.to_string())?;
        Ok(Self { url, headers, client, runtime })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a POST with further headers, and gives back what the server said. The error says why it said nothing.
    pub fn post(
        &self,
        headers: &[(String, String)],
        body: &Bytes,
        within: Duration,
    ) -> Result<Answer, SendError> {
        self.post_to(&self.url, headers, body, within)
    }

    /// Calls the method of gRPC that the URL names. A message that is compressed is so with gzip.
    pub fn call(&self, message: &Bytes, is_compressed: bool, within: Duration) -> Result<Reply, SendError> {
        let called = async {
            let calling = self.client.call(&self.url, &self.headers, message, is_compressed);
            tokio::time::timeout(within, calling).await
        };
        match self.runtime.block_on(called) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(SendError::passing(error.to_string())),
            Err(_) => Err(SendError::passing(format!("no answer within {}", format_go(within)))),
        }
    }

    /// The same, to another URL of the same server.
    pub fn post_to(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &Bytes,
        within: Duration,
    ) -> Result<Answer, SendError> {
        let headers: Vec<_> = self.headers.iter().chain(headers).cloned().collect();
        let sent = async {
            let sending = self.client.send(Method::POST, url, &headers, body.clone());
            tokio::time::timeout(within, sending).await
        };
        match self.runtime.block_on(sent) {
            Ok(Ok(response)) => {
                Ok(Answer { status: response.status, headers: response.headers, body: response.body })
            }
            Ok(Err(error)) => Err(SendError::passing(error.to_string())),
            Err(_) => Err(SendError::passing(format!("no answer within {}", format_go(within)))),
        }
    }
}

impl Answer {
    /// Whether the same may be taken later, should this be no success: where the server has too much to do, or does not work
    /// at the moment.
    pub fn again(&self) -> Again {
        let may_pass = self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED
            || self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::REQUEST_TIMEOUT;
        if may_pass { Again::Later(self.retry_after()) } else { Again::Never }
    }

    /// `Retry-After` in seconds. A date is as good as none: the clocks of two machines differ.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get("retry-after")?.to_str().ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// The beginning of the body as text on one line.
    pub fn text(&self) -> String {
        let body = &self.body[..self.body.len().min(MAX_TOLD)];
        String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The header for a user and a password.
pub fn basic(user: &str, password: &str) -> (String, String) {
    ("Authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// A client certificate of files in PEM; none, if neither is named.
pub fn client_certificate(cert: &str, key: &str) -> Result<Vec<ClientCertificate>, String> {
    match (cert, key) {
        ("", "") => Ok(Vec::new()),
        ("", _) | (_, "") => {
            Err("a client certificate needs two files: the certificate and its key".to_owned())
        }
        (cert, key) => {
            let (cert, key) = (read(cert)?, read(key)?);
            Ok(vec![ClientCertificate { cert, key, password: None, domains: Vec::new() }])
        }
    }
}

/// A file in PEM.
pub fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| describe(path, &error))
}
