//! A web server that an output sends to: its URL, headers, authorisation and TLS, and one POST at a time.

use std::fs;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use senary_web::{
    Bytes, Client, ClientCertificate, HeaderMap, Method, Proxies, Reply, StatusCode, TlsOptions, Uri,
};
use senary_words::duration::format_go;
use senary_words::percent;
use tokio::runtime::Runtime;

use crate::delivery::{Again, SendError};
use crate::output::OutputContext;
use crate::outputs::file::describe;

/// An error contains at most this many bytes of the answer's body.
const MAX_TOLD: usize = 512;

/// Where requests go, and what they have in common.
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
    /// Proxies come from the environment. A user and a password in the URL are sent, unless the headers have others.
    /// Fails if the TLS settings cannot be used, or if the system allows no more open files.
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
        mut headers: Vec<(String, String)>,
        tls: TlsOptions,
    ) -> Result<Self, String> {
        let is_authorized = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        headers.extend(user_of(&url).filter(|_| !is_authorized));
        let client = Client::with_tls(proxies, tls)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| error.to_string())?;
        Ok(Self { url, headers, client, runtime })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a POST with further headers, and returns the server's answer. The error says why there is none.
    pub fn post(
        &self,
        headers: &[(String, String)],
        body: &Bytes,
        within: Duration,
    ) -> Result<Answer, SendError> {
        self.post_to(&self.url, headers, body, within)
    }

    /// Calls the gRPC method that the URL names. Compressed messages use gzip.
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
    /// Whether the same request may succeed later: the server is overloaded, or does not work at the moment.
    pub fn again(&self) -> Again {
        let may_pass = self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED
            || self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::REQUEST_TIMEOUT;
        if may_pass { Again::Later(self.retry_after()) } else { Again::Never }
    }

    /// `Retry-After` in seconds. A date is ignored, because the clocks of two machines differ.
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

/// The header for the user and password in a URL.
fn user_of(url: &str) -> Option<(String, String)> {
    let url: Uri = url.parse().ok()?;
    let (user, _) = url.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let text = |part: &str| String::from_utf8_lossy(&percent::decoded(part)).into_owned();
    Some(basic(&text(user), &text(password)))
}

/// A client certificate from PEM files; `None` if neither file is named.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_a_url_is_sent() {
        let header = |url| user_of(url).map(|(_, value)| value);
        assert_eq!(header("http://me:s%40cret@h/x").unwrap(), basic("me", "s@cret").1);
        assert_eq!(header("http://me@h").unwrap(), basic("me", "").1);
        assert_eq!((header("http://h/a@b"), header("nonsense")), (None, None));
    }

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        let again = |status: u16, retry_after: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", retry_after.parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            Answer { status, headers, body: Bytes::new() }.again()
        };
        let in_seconds = |seconds| Again::Later(Some(Duration::from_secs(seconds)));
        assert_eq!((again(503, "7"), again(429, " 1 ")), (in_seconds(7), in_seconds(1)));
        assert_eq!(again(500, "Wed, 21 Oct 2026 07:28:00 GMT"), Again::Later(None));
        for status in [400, 401, 404, 501] {
            assert_eq!(again(status, "1"), Again::Never);
        }
    }
}
