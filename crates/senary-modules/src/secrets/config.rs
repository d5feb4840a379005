//! What `--secret-source` says: `type=settings`, settings between commas.
//!
//! Every type takes `name=NAME` and `default`. Invalid settings are reported before anything runs.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use senary_js::source::{input, read_text};
use senary_words::io_text;
use serde_json::Value;

const FILE: &str = "file";
const MOCK: &str = "mock";
const URL: &str = "url";
const CLOUD: &str = "cloud";

/// Settings every type takes.
const NAME: &str = "name=";
const DEFAULT: &str = "default";

/// The placeholder for a secret's name in a URL.
pub const KEY: &str = "{key}";

const ENV: &str = "K6_SECRET_SOURCE_URL_";
const ENV_HEADER: &str = "K6_SECRET_SOURCE_URL_HEADER_";
const HEADERS: &str = "headers.";

/// Why a `--secret-source` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("--secret-source {0:?}: there is no secret source of that type; file, mock and url are known")]
    UnknownType(String),
    #[error("--secret-source cloud can only be used by runs in the cloud")]
    Cloud,
    #[error("two secret sources are called {0:?}; give each a name of its own with name=NAME")]
    SameName(String),
    #[error("two secret sources are marked as default")]
    TwoDefaults,
    #[error("--secret-source {source_type}: {setting:?} is not a setting of that type")]
    UnknownSetting { source_type: &'static str, setting: String },
    #[error("--secret-source {source_type}: invalid value {value:?} for {setting}: {reason}")]
    Value { source_type: &'static str, setting: String, value: String, reason: String },
    #[error("--secret-source file: a path is needed, as in file=secrets.txt")]
    NoPath,
    #[error("--secret-source {source_type}: cannot read {path:?}: {reason}")]
    File { source_type: &'static str, path: String, reason: String },
    #[error("--secret-source file: line {line} of {path:?} is not KEY=VALUE")]
    Line { path: String, line: usize },
    #[error("--secret-source mock: {0:?} is not KEY=VALUE")]
    Mock(String),
    #[error(
        "--secret-source url: urlTemplate is needed, as in url=urlTemplate=https://secrets.example.com/{{key}}"
    )]
    NoTemplate,
}

/// One source as configured.
#[derive(Debug, PartialEq)]
pub struct SourceConfig {
    pub name: String,
    pub is_default: bool,
    pub kind: Kind,
}

#[derive(Debug, PartialEq)]
pub enum Kind {
    Known(HashMap<String, String>),
    Url(UrlOptions),
}

/// Settings of a `url` source.
#[derive(Clone, Debug, PartialEq)]
pub struct UrlOptions {
    /// With [`KEY`] where the secret's name goes.
    pub template: String,
    pub method: String,
    pub headers: Vec<(String, String)>,
    /// Names between dots that lead to the secret in a JSON response; empty: the response is the secret.
    pub response_path: String,
    pub timeout: Duration,
    pub requests_per_minute: u32,
    pub burst: u32,
    pub max_retries: u32,
    pub retry_backoff: Duration,
}

impl Default for UrlOptions {
    fn default() -> Self {
        Self {
            template: String::new(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            response_path: String::new(),
            timeout: Duration::from_secs(30),
            requests_per_minute: 300,
            burst: 10,
            max_retries: 3,
            retry_backoff: Duration::from_secs(1),
        }
    }
}

/// Settings of `url` sources by the names of their environment variables.
const URL_SETTINGS: [(&str, &str); 8] = [
    ("urlTemplate", "URL_TEMPLATE"),
    ("method", "METHOD"),
    ("responsePath", "RESPONSE_PATH"),
    ("timeout", "TIMEOUT"),
    ("requestsPerMinuteLimit", "REQUESTS_PER_MINUTE_LIMIT"),
    ("requestsBurst", "REQUESTS_BURST"),
    ("maxRetries", "MAX_RETRIES"),
    ("retryBackoff", "RETRY_BACKOFF"),
];

/// What the environment says about `url` sources: setting and value.
#[derive(Debug, Default)]
pub struct UrlEnvironment(Vec<(String, String)>);

impl UrlEnvironment {
    pub fn new<'e>(
        get: impl Fn(&str) -> Option<&'e str>,
        all: impl Iterator<Item = (&'e str, &'e str)>,
    ) -> Self {
        let settings = URL_SETTINGS.iter().filter_map(|(setting, variable)| {
            Some(((*setting).to_owned(), get(&format!("{ENV}{variable}"))?.to_owned()))
        });
        let headers = all.filter_map(|(variable, value)| {
            // A variable's name has no hyphens, a header's no underscores.
            let header = variable.strip_prefix(ENV_HEADER)?.replace('_', "-");
            Some((format!("{HEADERS}{header}"), value.to_owned()))
        });
        Self(settings.chain(headers).collect())
    }
}

/// Reads one `--secret-source`, and the file it names.
pub fn parse(flag: &str, env: &UrlEnvironment, cwd: &Path) -> Result<SourceConfig, ConfigError> {
    // Both `mock=default,…` and `mock,default,…` are in k6's documentation.
    let (source_type, settings) = flag.split_once(['=', ',']).unwrap_or((flag, ""));
    let mut name = source_type.to_owned();
    let mut is_default = false;
    let mut own = Vec::new();
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        match setting.strip_prefix(NAME) {
            Some(given) => given.clone_into(&mut name),
            None if setting == DEFAULT => is_default = true,
            None => own.push(setting),
        }
    }
    let kind = match source_type {
        FILE => Kind::Known(file(&own, cwd)?),
        MOCK => Kind::Known(mock(&own)?),
        URL => Kind::Url(url(&own, env, cwd)?),
        CLOUD => return Err(ConfigError::Cloud),
        other => return Err(ConfigError::UnknownType(other.to_owned())),
    };
    Ok(SourceConfig { name, is_default, kind })
}

fn file(settings: &[&str], cwd: &Path) -> Result<HashMap<String, String>, ConfigError> {
    // Commas in the path were read as ends of settings.
    let path = settings.join(",");
    let path = path.strip_prefix("filename=").unwrap_or(&path);
    if path.is_empty() {
        return Err(ConfigError::NoPath);
    }
    let text = read_text(&cwd.join(path)).map_err(|e| ConfigError::File {
        source_type: FILE,
        path: path.to_owned(),
        reason: io_text(&e),
    })?;
    lines(&text).map_err(|line| ConfigError::Line { path: path.to_owned(), line })
}

/// Reads `KEY=VALUE` lines; the number of the first line that is something else.
pub fn lines(text: &str) -> Result<HashMap<String, String>, usize> {
    let mut secrets = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(number + 1)?;
        secrets.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(secrets)
}

fn mock(settings: &[&str]) -> Result<HashMap<String, String>, ConfigError> {
    settings
        .iter()
        .map(|setting| match setting.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(ConfigError::Mock((*setting).to_owned())),
        })
        .collect()
}

/// Later settings win: defaults, the environment, a file, the flag itself.
fn url(settings: &[&str], env: &UrlEnvironment, cwd: &Path) -> Result<UrlOptions, ConfigError> {
    let mut options = UrlOptions::default();
    for (setting, value) in &env.0 {
        set(&mut options, setting, value)?;
    }
    let mut inline = Vec::new();
    for setting in settings {
        match setting.split_once('=') {
            Some(("config", path)) => from_file(&mut options, path, cwd)?,
            Some(pair) => inline.push(pair),
            None => return Err(unknown(setting)),
        }
    }
    for (setting, value) in inline {
        set(&mut options, setting, value)?;
    }
    if options.template.is_empty() {
        return Err(ConfigError::NoTemplate);
    }
    if !options.template.contains(KEY) {
        return Err(invalid("urlTemplate", &options.template, "it must contain {key}"));
    }
    Ok(options)
}

fn from_file(options: &mut UrlOptions, path: &str, cwd: &Path) -> Result<(), ConfigError> {
    let unreadable = |reason: String| ConfigError::File { source_type: URL, path: path.to_owned(), reason };
    let bytes = input::read(cwd.join(path)).map_err(|e| unreadable(io_text(&e)))?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
    let Value::Object(settings) = json else { return Err(unreadable("it is not a JSON object".to_owned())) };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (setting, value) in &settings {
        match (setting.as_str(), value) {
            ("headers", Value::Object(headers)) => {
                for (header, value) in headers {
                    set(options, &format!("{HEADERS}{header}"), &text(value))?;
                }
            }
            (setting, value) => set(options, setting, &text(value))?,
        }
    }
    Ok(())
}

fn set(options: &mut UrlOptions, setting: &str, value: &str) -> Result<(), ConfigError> {
    let count = || value.parse::<u32>().map_err(|e| invalid(setting, value, &e.to_string()));
    let positive = || {
        count().and_then(|n| if n == 0 { Err(invalid(setting, value, "it must be positive")) } else { Ok(n) })
    };
    let time =
        || duration(value).ok_or_else(|| invalid(setting, value, "it is no duration such as 30s or 500ms"));
    match setting {
        "urlTemplate" => value.clone_into(&mut options.template),
        "method" => {
            senary_web::Method::from_bytes(value.as_bytes())
                .map_err(|e| invalid(setting, value, &e.to_string()))?;
            value.clone_into(&mut options.method);
        }
        "responsePath" => value.clone_into(&mut options.response_path),
        "timeout" => options.timeout = time()?,
        "requestsPerMinuteLimit" => options.requests_per_minute = positive()?,
        "requestsBurst" => options.burst = positive()?,
        "maxRetries" => options.max_retries = count()?,
        "retryBackoff" => options.retry_backoff = time()?,
        other => {
            let Some(header) = other.strip_prefix(HEADERS) else { return Err(unknown(other)) };
            options.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(header));
            options.headers.push((header.to_owned(), value.to_owned()));
        }
    }
    Ok(())
}

fn unknown(setting: &str) -> ConfigError {
    ConfigError::UnknownSetting { source_type: URL, setting: setting.to_owned() }
}

fn invalid(setting: &str, value: &str, reason: &str) -> ConfigError {
    ConfigError::Value {
        source_type: URL,
        setting: setting.to_owned(),
        value: value.to_owned(),
        reason: reason.to_owned(),
    }
}

/// `1m30s`, `500ms`, `1.5h`.
fn duration(text: &str) -> Option<Duration> {
    senary_words::duration::parse_go(text)
        .ok()
        .and_then(|nanos| nanos.try_into().ok())
        .map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(flag: &str) -> Result<SourceConfig, ConfigError> {
        parse(flag, &UrlEnvironment::default(), Path::new("/nowhere"))
    }

    fn url_options(flag: &str) -> UrlOptions {
        match parsed(flag).unwrap().kind {
            Kind::Url(options) => options,
            Kind::Known(_) => panic!("{flag}"),
        }
    }

    #[test]
    fn sources_have_types_names_and_a_default() {
        let source = parsed("mock=name=a,default,k=v").unwrap();
        assert_eq!((source.name.as_str(), source.is_default), ("a", true));
        assert_eq!(source.kind, Kind::Known(HashMap::from([("k".into(), "v".into())])));
        assert_eq!(parsed("mock,name=a,default,k=v"), parsed("mock=name=a,default,k=v"));
        assert_eq!(parsed("mock").unwrap().name, "mock");
        assert_eq!(parsed("vault=x").err(), Some(ConfigError::UnknownType("vault".into())));
        assert_eq!(parsed("cloud").err(), Some(ConfigError::Cloud));
        assert_eq!(parsed("mock=k").err(), Some(ConfigError::Mock("k".into())));
    }

    #[test]
    fn files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a,b"), "token=s3cr3t\n\n other = x=y \n").unwrap();
        std::fs::write(directory.path().join("bad"), "a=1\nnonsense\n").unwrap();
        let read = |flag: &str| parse(flag, &UrlEnvironment::default(), directory.path());
        let expected = HashMap::from([("token".into(), "s3cr3t".into()), ("other".into(), "x=y".into())]);
        assert_eq!(read("file=a,b").unwrap().kind, Kind::Known(expected.clone()));
        let named = read("file=name=n,filename=a,b").unwrap();
        assert_eq!((named.name.as_str(), named.kind), ("n", Kind::Known(expected)));
        assert_eq!(read("file=bad").err(), Some(ConfigError::Line { path: "bad".into(), line: 2 }));
        assert_eq!(read("file").err(), Some(ConfigError::NoPath));
        assert!(
            matches!(read("file=missing").err(), Some(ConfigError::File { reason, .. }) if reason == "no such file or directory")
        );
    }

    #[test]
    fn url_settings_overrule_each_other_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let json = r#"{"urlTemplate":"http://f/{key}","headers":{"X-A":"file","X-B":"file"},"maxRetries":7,"timeout":"5s"}"#;
        std::fs::write(directory.path().join("c.json"), json).unwrap();
        let variables = [
            ("K6_SECRET_SOURCE_URL_URL_TEMPLATE", "http://e/{key}"),
            ("K6_SECRET_SOURCE_URL_HEADER_X_A", "env"),
            ("K6_SECRET_SOURCE_URL_REQUESTS_BURST", "3"),
        ];
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let env = UrlEnvironment::new(get, variables.into_iter());
        let options = |flag: &str| match parse(flag, &env, directory.path()).unwrap().kind {
            Kind::Url(options) => options,
            Kind::Known(_) => panic!("{flag}"),
        };
        let from_env = options("url");
        assert_eq!((from_env.template.as_str(), from_env.burst), ("http://e/{key}", 3));
        assert_eq!(from_env.headers, [("X-A".into(), "env".into())]);
        let all = options("url=timeout=1m30s,config=c.json,headers.x-b=flag,responsePath=a.b");
        assert_eq!(all.template, "http://f/{key}");
        assert_eq!(all.headers, [("X-A".into(), "file".into()), ("x-b".into(), "flag".into())]);
        assert_eq!((all.max_retries, all.timeout, all.burst), (7, Duration::from_secs(90), 3));
        assert_eq!(all.response_path, "a.b");
    }

    #[test]
    fn bad_url_settings_are_told() {
        assert_eq!(url_options("url=urlTemplate=http://h/{key}").method, "GET");
        assert_eq!(parsed("url").err(), Some(ConfigError::NoTemplate));
        let reason =
            |flag: &str| parsed(&format!("url=urlTemplate=http://h/{{key}},{flag}")).unwrap_err().to_string();
        assert!(reason("timeout=soon").contains("no duration"));
        assert!(reason("requestsBurst=0").contains("positive"));
        assert!(reason("maxRetries=x").contains("invalid value \"x\" for maxRetries"));
        assert!(reason("nonsense=1").contains("\"nonsense\" is not a setting"));
        assert!(reason("config=missing.json").contains("no such file"));
        assert!(parsed("url=urlTemplate=http://h/").unwrap_err().to_string().contains("must contain {key}"));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "5", "s", "1x", "1.2.3s", "-1s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_flag_is_answered(flag in "(url|mock|file|x)?=?[ -~]{0,30}") {
            let _ = parsed(&flag);
        }

        #[test]
        fn any_duration_is_answered(text in "[0-9.a-zµ]{0,12}") {
            let _ = duration(&text);
        }

        #[test]
        fn lines_survive(pairs in proptest::collection::hash_map("[a-z]{1,5}", "[a-z=]{0,5}", 0..5)) {
            let text: String = pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            prop_assert_eq!(lines(&text), Ok(pairs));
        }
    }
}
