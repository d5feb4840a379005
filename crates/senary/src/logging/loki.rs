//! Log lines to a Loki server, a batch per push period, on a thread of its own. The run never waits for it: what is
//! above the limit of a period is counted and reported instead. What goes wrong is said elsewhere: each error once, and
//! at the end what was lost.
//! (<https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>)

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hyper::Uri;
use hyper::body::Bytes;
use log::{Level, LevelFilter};
use senary_output::push::{Pace, Push, Pusher};
use senary_web::{Client, Method};
use serde_json::{Map, Value, json};

use super::format::{Entry, plain};
use super::{LogError, level_name, parse_level};

/// How long one push may take.
const PUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// `loki[=url,key=value,…]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub url: String,
    pub push_period: Duration,
    /// Lines per period.
    pub limit: usize,
    /// Bytes of a message.
    pub max_size: usize,
    pub level: LevelFilter,
    /// Fields that become labels; `None` for all of them.
    pub allowed_labels: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    pub headers: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:3100/loki/api/v1/push".to_owned(),
            push_period: Duration::from_secs(1),
            limit: 100,
            max_size: 1024 * 1024,
            level: LevelFilter::Trace,
            allowed_labels: None,
            labels: BTreeMap::new(),
            headers: Vec::new(),
        }
    }
}

impl Config {
    pub fn parse(text: &str) -> Result<Self, LogError> {
        let mut config = Self::default();
        let parts = split_outside_brackets(text);
        for (at, part) in parts.iter().enumerate() {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let invalid = |reason: String| LogError::InvalidSetting {
                key: key.to_owned(),
                value: value.to_owned(),
                reason,
            };
            let number = || value.parse::<usize>().map_err(|e| invalid(e.to_string()));
            match key {
                _ if at == 0 && part.contains("://") => config.url.clone_from(part),
                "pushPeriod" => {
                    let nanos =
                        senary_words::duration::parse_go(value).map_err(|e| invalid(e.to_string()))?;
                    let period = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0);
                    config.push_period = Duration::from_nanos(
                        period.ok_or_else(|| invalid("it must be positive".to_owned()))?,
                    );
                }
                "limit" => config.limit = number()?,
                "msgMaxSize" => config.max_size = number()?,
                "level" => config.level = parse_level(value)?,
                "allowedLabels" => {
                    let list = value.trim_start_matches('[').trim_end_matches(']');
                    config.allowed_labels = Some(crate::options::split_list(list));
                }
                // Asks the reference to log how long its pushes take.
                "profile" => {}
                _ => match key.split_once('.') {
                    Some(("label", name)) => {
                        config.labels.insert(name.to_owned(), value.to_owned());
                    }
                    Some(("header", name)) => config.headers.push((name.to_owned(), value.to_owned())),
                    _ => return Err(LogError::UnknownLokiSetting(key.to_owned())),
                },
            }
        }
        match config.url.parse::<Uri>() {
            Ok(uri) if uri.host().is_some() => Ok(config),
            _ => Err(LogError::InvalidSetting {
                key: "loki".to_owned(),
                value: config.url,
                reason: "expected a URL".to_owned(),
            }),
        }
    }
}

fn split_outside_brackets(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut part, mut depth) = (String::new(), 0_usize);
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The receiver of errors.
type Fallback = Arc<dyn Fn(&Entry) + Send + Sync>;

/// Where lines wait for the next push.
pub struct Loki {
    pusher: Pusher<Sender>,
    fallback: Fallback,
    max_size: usize,
}

impl Loki {
    pub fn start(config: Config, web: Client, fallback: Fallback) -> io::Result<Self> {
        let max_size = config.max_size;
        let pace =
            Pace { period: config.push_period, limit: config.limit as u64, tries: 1, pause: Duration::ZERO };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sender = Sender { config, web, fallback: fallback.clone(), runtime, body: Bytes::new() };
        Ok(Self { pusher: Pusher::start("senary-loki", pace, sender)?, fallback, max_size })
    }

    pub fn push(&self, mut entry: Entry) {
        truncate(&mut entry.message, self.max_size);
        self.pusher.push(entry);
    }

    /// Pushes at once, and waits for it until the deadline. Says what was lost: this is the end.
    pub fn flush(&self, deadline: Instant) {
        let lost = self.pusher.flush(deadline);
        if lost > 0 {
            (self.fallback)(&complaint(format!("{lost} log messages did not reach Loki"), None));
        }
    }
}

/// An error of Loki as an entry of the log.
fn complaint(message: String, error: Option<String>) -> Entry {
    let fields = error.map(|error| ("error".to_owned(), Value::from(error))).into_iter().collect();
    Entry { level: Level::Error, message, fields, time: SystemTime::now() }
}

/// Sends lines to the server.
struct Sender {
    config: Config,
    web: Client,
    fallback: Fallback,
    runtime: tokio::runtime::Runtime,
    /// The lines that were taken last.
    body: Bytes,
}

impl Push for Sender {
    type Item = Entry;

    fn weight(_: &Entry) -> u64 {
        1
    }

    fn take(&mut self, lines: Vec<Entry>, dropped: u64) -> u64 {
        self.body = body(&self.config, &lines, dropped).to_string().into();
        // The server gets the number of dropped lines, so they are not lost silently.
        0
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.runtime.block_on(async {
            let push = post(&self.web, &self.config, self.body.clone());
            tokio::time::timeout(PUSH_TIMEOUT, push).await.unwrap_or_else(|_| Err("timed out".to_owned()))
        });
        sent.map_err(io::Error::other)
    }

    fn give_up(&mut self) {
        self.body.clear();
    }

    fn report(&mut self, error: &io::Error) {
        let message = format!("could not send the log to {}", self.config.url);
        (self.fallback)(&complaint(message, Some(error.to_string())));
    }
}

/// The lines as streams: one for each set of labels.
fn body(config: &Config, lines: &[Entry], dropped: u64) -> Value {
    let mut streams: BTreeMap<BTreeMap<String, String>, Vec<Value>> = BTreeMap::new();
    for entry in lines {
        let mut labels = config.labels.clone();
        let mut text: String = entry.message.clone();
        let level = ("level".to_owned(), Value::from(level_name(entry.level)));
        for (key, value) in entry.fields.iter().map(|(k, v)| (k.clone(), v.clone())).chain([level]) {
            let allowed = config.allowed_labels.as_ref().is_none_or(|allowed| allowed.contains(&key));
            if allowed {
                labels.insert(key, plain(&value));
            } else {
                text.push_str(&format!(" {key}={}", plain(&value)));
            }
        }
        truncate(&mut text, config.max_size);
        streams.entry(labels).or_default().push(json!([nanos(entry.time), text]));
    }
    if dropped > 0 {
        let mut labels = config.labels.clone();
        labels.insert("level".to_owned(), "warning".to_owned());
        let text = format!(
            "{dropped} log messages were dropped because they were above the limit of {} per {:?}",
            config.limit, config.push_period
        );
        streams.entry(labels).or_default().push(json!([nanos(SystemTime::now()), text]));
    }
    let streams: Vec<_> = streams
        .into_iter()
        .map(|(labels, values)| {
            let labels: Map<_, _> = labels.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
            json!({"stream": labels, "values": values})
        })
        .collect();
    json!({ "streams": streams })
}

/// Cuts a text to so many bytes, between characters.
fn truncate(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// What a server may say of a push that it refuses, in bytes. More of it says nothing that the status does not.
const MAX_ANSWER: usize = 64 << 10;

/// Sends lines; if they did not arrive, why.
async fn post(web: &Client, config: &Config, body: Bytes) -> Result<(), String> {
    let content_type = ("Content-Type".to_owned(), "application/json".to_owned());
    let headers: Vec<_> = [content_type].into_iter().chain(config.headers.iter().cloned()).collect();
    let response = web.send(Method::POST, &config.url, &headers, body).await.map_err(|e| e.reason())?;
    if response.status.is_success() {
        return Ok(());
    }
    let text = Some(&response.body[..]).filter(|text| text.len() <= MAX_ANSWER).unwrap_or_default();
    Err(format!("{}: {}", response.status, String::from_utf8_lossy(text)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;

    fn entry(level: Level, message: &str, fields: &[(&str, &str)]) -> Entry {
        Entry {
            level,
            message: message.to_owned(),
            fields: fields.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect(),
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_001),
        }
    }

    #[test]
    fn settings() {
        let text = "http://127.0.0.1:1/push,pushPeriod=2s,limit=5,msgMaxSize=9,level=error,allowedLabels=[a,b],label.x=y,header.X-Scope=t=1,profile";
        let config = Config::parse(text).unwrap();
        let expected = Config {
            url: "http://127.0.0.1:1/push".to_owned(),
            push_period: Duration::from_secs(2),
            limit: 5,
            max_size: 9,
            level: LevelFilter::Error,
            allowed_labels: Some(vec!["a".to_owned(), "b".to_owned()]),
            labels: BTreeMap::from([("x".to_owned(), "y".to_owned())]),
            headers: vec![("X-Scope".to_owned(), "t=1".to_owned())],
        };
        assert_eq!(config, expected);
        assert_eq!(Config::parse("").unwrap(), Config::default());
        for text in ["nonsense=1", "limit=x", "pushPeriod=0s", "level=loud", "http://,limit=1"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lines_are_gathered_by_labels() {
        let config = Config::parse("allowedLabels=[level,source],label.app=senary,msgMaxSize=12").unwrap();
        let lines = [
            entry(Level::Info, "one", &[("source", "console"), ("n", "1")]),
            entry(Level::Info, "a longer message", &[("source", "console")]),
            entry(Level::Error, "three", &[]),
        ];
        let body = body(&config, &lines, 0);
        let expected = json!({"streams": [
            {"stream": {"app": "senary", "level": "error"}, "values": [["1500000001", "three"]]},
            {"stream": {"app": "senary", "level": "info", "source": "console"},
                "values": [["1500000001", "one n=1"], ["1500000001", "a longer mes"]]},
        ]});
        assert_eq!(body, expected);
    }

    /// A flush sends what waits without waiting for the period; what was above the limit is counted.
    #[test]
    fn a_flush_pushes_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/loki/api/v1/push", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            (head, serde_json::from_slice::<Value>(&body).unwrap())
        });
        let config = Config::parse(&format!("{url},pushPeriod=1h,limit=2,header.X-Scope-OrgID=me")).unwrap();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let heard = complaints.clone();
        let hear = move |entry: &Entry| heard.lock().unwrap().push(entry.message.clone());
        let loki = Loki::start(config, Client::default(), Arc::new(hear)).unwrap();
        for n in 0..5 {
            loki.push(entry(Level::Info, &format!("line {n}"), &[]));
        }
        loki.flush(Instant::now() + Duration::from_secs(20));
        let (head, body) = server.join().unwrap();
        assert!(head.starts_with("POST /loki/api/v1/push HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("x-scope-orgid: me"), "{head}");
        assert_eq!(body["streams"][0]["values"][1][1], "line 1");
        let dropped = body["streams"][1]["values"][0][1].as_str().unwrap();
        assert!(dropped.starts_with("3 log messages were dropped"), "{dropped}");
        assert_eq!(*complaints.lock().unwrap(), [""; 0]);
    }
}
