//! Secrets from a web server: one request per secret and test, not more per minute than the settings allow, and
//! repeated if it failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use senary_web::{Client, Method, StatusCode, WebError};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::SecretError;
use super::config::{KEY, UrlOptions};

/// The longest pause before a failed request is repeated.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

pub struct UrlSource {
    options: UrlOptions,
    web: Client,
    /// Secrets asked for. VUs that ask for the same one wait for the same request.
    secrets: Mutex<HashMap<String, Arc<OnceCell<Arc<str>>>>>,
    pace: Mutex<Pace>,
}

/// The number of requests that may be sent, and when it was computed: a token bucket of the size of the burst.
#[derive(Debug)]
struct Pace {
    available: f64,
    since: Instant,
}

/// Why a request did not give the secret.
enum FetchError {
    /// The next request may succeed.
    Again(String),
    Never(String),
}

impl UrlSource {
    pub fn new(options: UrlOptions, web: Client) -> Arc<Self> {
        let pace = Pace { available: f64::from(options.burst), since: Instant::now() };
        Arc::new(Self { options, web, secrets: Mutex::default(), pace: Mutex::new(pace) })
    }

    pub async fn get(&self, key: &str) -> Result<Arc<str>, SecretError> {
        let secret = {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.entry(key.to_owned()).or_default().clone()
        };
        secret.get_or_try_init(|| self.fetch(key)).await.cloned()
    }

    async fn fetch(&self, key: &str) -> Result<Arc<str>, SecretError> {
        let mut attempt = 0;
        loop {
            self.wait_for_turn().await;
            let request = tokio::time::timeout(self.options.timeout, self.request(key)).await;
            let reason = match request {
                Ok(Ok(secret)) => return Ok(secret.into()),
                Ok(Err(FetchError::Never(reason))) => return Err(failed(key, &reason)),
                Ok(Err(FetchError::Again(reason))) => reason,
                Err(_) => format!("no answer within {:?}", self.options.timeout),
            };
            if attempt == self.options.max_retries {
                return Err(failed(key, &reason));
            }
            let backoff = self.options.retry_backoff.saturating_mul(1 << attempt.min(16));
            tokio::time::sleep(backoff.min(MAX_BACKOFF)).await;
            attempt += 1;
        }
    }

    async fn wait_for_turn(&self) {
        loop {
            let wait = {
                let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
                pace.take(Instant::now(), self.options.requests_per_minute, self.options.burst)
            };
            match wait {
                None => return,
                Some(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    async fn request(&self, key: &str) -> Result<String, FetchError> {
        let url = self.options.template.replace(KEY, &escaped(key));
        let method = Method::from_bytes(self.options.method.as_bytes()).unwrap_or_default();
        let response = self.web.request(method, &url, &self.options.headers).await;
        let response = response.map_err(|error| match error {
            WebError::Url(_) | WebError::Header(_) => FetchError::Never(error.to_string()),
            _ => FetchError::Again(error.to_string()),
        })?;
        let status = response.status;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(FetchError::Again(format!("the server answered {status}")));
        }
        if !status.is_success() {
            return Err(FetchError::Never(format!("the server answered {status}")));
        }
        secret_in(&response.body, &self.options.response_path).map_err(FetchError::Never)
    }
}

impl Pace {
    /// Takes a token, or returns how long until there is one.
    fn take(&mut self, now: Instant, per_minute: u32, burst: u32) -> Option<Duration> {
        let per_second = f64::from(per_minute) / 60.0;
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * per_second;
        self.available = (self.available + gained).min(f64::from(burst));
        self.since = now;
        if self.available >= 1.0 {
            self.available -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.available) / per_second))
    }
}

fn failed(key: &str, reason: &str) -> SecretError {
    SecretError::Url(format!("could not get the secret {key:?}: {reason}"))
}

/// The secret in a response: at the end of the path, or all of it.
fn secret_in(body: &[u8], path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Ok(String::from_utf8_lossy(body).into_owned());
    }
    let json: Value = serde_json::from_slice(body).map_err(|e| format!("the response is no JSON: {e}"))?;
    let mut at = &json;
    for name in path.split('.') {
        let next = match at {
            Value::Array(elements) => name.parse::<usize>().ok().and_then(|index| elements.get(index)),
            _ => at.get(name),
        };
        at = next.ok_or_else(|| format!("the response has nothing at {path:?}"))?;
    }
    match at {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(at.to_string()),
        _ => Err(format!("the response has no text at {path:?}")),
    }
}

/// A secret's name as part of a URL's path.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use senary_testkit::web_server;

    use super::*;

    /// Where secrets are asked for.
    fn template(server: &str) -> String {
        format!("{server}/secrets/{{key}}")
    }

    fn source(template: String, path: &str) -> Arc<UrlSource> {
        let retry_backoff = Duration::from_millis(1);
        let options = UrlOptions {
            template,
            response_path: path.into(),
            retry_backoff,
            max_retries: 2,
            ..UrlOptions::default()
        };
        UrlSource::new(options, Client::default())
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn failures_are_repeated_and_secrets_kept() {
        let (url, thread) = web_server([
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n{\"data\":{\"value\":\"s1\"}}",
        ]);
        let source = source(template(&url), "data.value");
        block_on(async {
            let (first, second) = tokio::join!(source.get("a/b"), source.get("a/b"));
            assert_eq!((first.unwrap(), second.unwrap()), ("s1".into(), "s1".into()));
            assert_eq!(source.get("a/b").await.unwrap(), "s1".into());
        });
        let asked = thread.join().unwrap();
        assert!(asked.iter().all(|head| head.starts_with("GET /secrets/a%2Fb HTTP/1.1\r\n")), "{asked:?}");
    }

    #[test]
    fn refusals_are_final() {
        let (url, thread) = web_server(["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"]);
        let error = block_on(source(template(&url), "").get("x")).unwrap_err().to_string();
        assert_eq!(error, "could not get the secret \"x\": the server answered 404 Not Found");
        thread.join().unwrap();
    }

    #[test]
    fn secrets_are_found_in_responses() {
        assert_eq!(secret_in(b"raw\n", ""), Ok("raw\n".into()));
        assert_eq!(secret_in(br#"{"a":[{"b":5}]}"#, "a.0.b"), Ok("5".into()));
        assert!(secret_in(br#"{"a":{}}"#, "a").is_err());
        assert!(secret_in(br#"{"a":{}}"#, "a.b").is_err());
        assert!(secret_in(b"no", "a").is_err());
    }

    #[test]
    fn requests_are_paced() {
        let start = Instant::now();
        let mut pace = Pace { available: 2.0, since: start };
        assert_eq!(pace.take(start, 60, 2), None);
        assert_eq!(pace.take(start, 60, 2), None);
        assert_eq!(pace.take(start, 60, 2), Some(Duration::from_secs(1)));
        assert_eq!(pace.take(start + Duration::from_secs(1), 60, 2), None);
        // No more than the burst gathers.
        let later = start + Duration::from_secs(60);
        assert_eq!([pace.take(later, 60, 2), pace.take(later, 60, 2)], [None, None]);
        assert_eq!(pace.take(later, 60, 2), Some(Duration::from_secs(1)));
    }
}
