//! The settings of the output.

use std::time::Duration;

use super::native::SCHEMAS;
use super::stat::Stat;
use crate::output::OutputContext;
use crate::settings::{self, Set, Setting, boolean, colon_pairs, list, period, read, read_argument};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub username: String,
    pub password: String,
    pub bearer_token: String,
    pub insecure_skip_tls_verify: bool,
    /// As [`senary_web::TlsOptions`] has it.
    pub tls_minimum_version: String,
    pub client_certificate: String,
    pub client_certificate_key: String,
    pub push_interval: Duration,
    pub trend_stats: Vec<Stat>,
    pub trend_window: TrendWindow,
    pub native_histograms: bool,
    pub schema: i8,
    pub stale_markers: bool,
    pub sigv4_region: String,
    pub sigv4_access_key: String,
    pub sigv4_secret_key: String,
}

/// Which samples the values of trends cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrendWindow {
    /// All samples since the start of the test.
    Test,
    /// The samples since the last push.
    Interval,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "http://localhost:9090/api/v1/write".to_owned(),
            headers: Vec::new(),
            username: String::new(),
            password: String::new(),
            bearer_token: String::new(),
            insecure_skip_tls_verify: false,
            tls_minimum_version: "tls1.3".to_owned(),
            client_certificate: String::new(),
            client_certificate_key: String::new(),
            push_interval: Duration::from_secs(5),
            trend_stats: Stat::parse("p(99)").into_iter().collect(),
            trend_window: TrendWindow::Test,
            native_histograms: false,
            schema: 3,
            stale_markers: false,
            sigv4_region: String::new(),
            sigv4_access_key: String::new(),
            sigv4_secret_key: String::new(),
        }
    }
}

/// The feature that turns trends into native histograms.
const NATIVE_HISTOGRAMS: &str = "native-histograms";

impl Config {
    pub(super) fn consolidate(argument: Option<&str>, context: &OutputContext) -> Result<Self, String> {
        let native_histograms = context.features.iter().any(|feature| feature == NATIVE_HISTOGRAMS);
        let mut config = Self { native_histograms, ..Self::default() };
        read(&mut config, SETTINGS, &super::NAMES, context)?;
        read_argument(&mut config, SETTINGS, Some("url"), argument.unwrap_or_default())?;
        match config.url.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => Ok(config),
            _ => Err(format!("url: {:?} is no address: write http://HOST:PORT/api/v1/write", config.url)),
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}

/// A row whose value is kept as it is.
const fn text(
    key: &'static str,
    variables: &'static [&'static str],
    meaning: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
) -> Setting<Config> {
    Setting { key, variables, default: "", meaning, set: Set::One(set) }
}

/// Sets a text.
macro_rules! keep {
    ($field:ident) => {
        |config: &mut Config, value: &str| {
            value.clone_into(&mut config.$field);
            Ok(())
        }
    };
}

/// Sets what a parser makes of a text.
macro_rules! parse {
    ($field:ident, $parse:expr) => {
        |config: &mut Config, value: &str| $parse(value).map(|value| config.$field = value)
    };
}

pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        key: "url",
        variables: &["K6_PROMETHEUS_RW_SERVER_URL"],
        default: "http://localhost:9090/api/v1/write",
        meaning: "where series are written to",
        set: Set::One(keep!(url)),
    },
    Setting {
        key: "pushInterval",
        variables: &["K6_PROMETHEUS_RW_PUSH_INTERVAL"],
        default: "5s",
        meaning: "how often they are",
        set: Set::One(parse!(push_interval, period)),
    },
    Setting {
        key: "trendStats",
        variables: &["K6_PROMETHEUS_RW_TREND_STATS"],
        default: "p(99)",
        meaning: "the statistics of trends, each a series: count, sum, min, max, avg, med, p(N)",
        set: Set::One(parse!(trend_stats, stats)),
    },
    Setting {
        key: "trendWindow",
        variables: &["K6_PROMETHEUS_RW_TREND_WINDOW"],
        default: "test",
        meaning: "what these are about: all samples since the start of the test, or those of one push (interval)",
        set: Set::One(parse!(trend_window, window)),
    },
    Setting {
        key: "trendAsNativeHistogram",
        variables: &["K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM"],
        default: "false",
        meaning: "trends become native histograms; --features native-histograms does the same",
        set: Set::One(parse!(native_histograms, boolean)),
    },
    Setting {
        key: "nativeHistogramSchema",
        variables: &["K6_PROMETHEUS_RW_NATIVE_HISTOGRAM_SCHEMA"],
        default: "3",
        meaning: "how fine they are, from -4 to 8: a bucket is 2^(2^-schema) times as wide as the one before",
        set: Set::One(parse!(schema, schema)),
    },
    Setting {
        key: "staleMarkers",
        variables: &["K6_PROMETHEUS_RW_STALE_MARKERS"],
        default: "false",
        meaning: "every series is ended with the test",
        set: Set::One(parse!(stale_markers, boolean)),
    },
    text("username", &["K6_PROMETHEUS_RW_USERNAME"], "the user for Basic authentication", keep!(username)),
    text("password", &["K6_PROMETHEUS_RW_PASSWORD"], "the password for it", keep!(password)),
    text(
        "bearerToken",
        &["K6_PROMETHEUS_RW_BEARER_TOKEN"],
        "a token, which goes before user and password",
        keep!(bearer_token),
    ),
    Setting {
        key: "headers",
        variables: &["K6_PROMETHEUS_RW_HEADERS_"],
        default: "",
        meaning: "a further header",
        set: Set::Map(|config, name, value| {
            config.header(name, value);
            Ok(())
        }),
    },
    text(
        "httpHeaders",
        &["K6_PROMETHEUS_RW_HTTP_HEADERS"],
        "further headers, as name:value,name:value",
        |config, value| {
            colon_pairs(value)?.iter().for_each(|(name, value)| config.header(name, value));
            Ok(())
        },
    ),
    Setting {
        key: "insecureSkipTLSVerify",
        variables: &["K6_PROMETHEUS_RW_INSECURE_SKIP_TLS_VERIFY"],
        default: "false",
        meaning: "the server's certificate is not verified",
        set: Set::One(parse!(insecure_skip_tls_verify, boolean)),
    },
    Setting {
        key: "tlsMinimumVersion",
        variables: &["K6_PROMETHEUS_RW_TLS_MINIMUM_VERSION", "K6_PROMETHEUS_RW_TLS_MIN_VERSION"],
        default: "1.3",
        meaning: "the oldest version of TLS, 1.2 or 1.3",
        set: Set::One(parse!(tls_minimum_version, tls_version)),
    },
    text(
        "clientCertificate",
        &["K6_PROMETHEUS_RW_CLIENT_CERTIFICATE"],
        "a file with a client certificate in PEM",
        keep!(client_certificate),
    ),
    text(
        "clientCertificateKey",
        &["K6_PROMETHEUS_RW_CLIENT_CERTIFICATE_KEY"],
        "the file with its key",
        keep!(client_certificate_key),
    ),
    text(
        "sigV4Region",
        &["K6_PROMETHEUS_RW_SIGV4_REGION"],
        "requests are signed as AWS wants it: the region",
        keep!(sigv4_region),
    ),
    text(
        "sigV4AccessKey",
        &["K6_PROMETHEUS_RW_SIGV4_ACCESS_KEY"],
        "the access key for it",
        keep!(sigv4_access_key),
    ),
    text(
        "sigV4SecretKey",
        &["K6_PROMETHEUS_RW_SIGV4_SECRET_KEY"],
        "the secret key for it",
        keep!(sigv4_secret_key),
    ),
];

fn stats(text: &str) -> Result<Vec<Stat>, String> {
    list(text).iter().map(|stat| Stat::parse(stat)).collect()
}

fn window(text: &str) -> Result<TrendWindow, String> {
    match text {
        "test" => Ok(TrendWindow::Test),
        "interval" => Ok(TrendWindow::Interval),
        other => Err(format!("{other:?} is neither test nor interval")),
    }
}

fn schema(text: &str) -> Result<i8, String> {
    let number = settings::whole(text)?;
    let schema = i8::try_from(number).ok().filter(|schema| SCHEMAS.contains(schema));
    schema.ok_or_else(|| format!("{number} is no schema: it is a whole number from -4 to 8"))
}

/// `1.2`, `tls1.2`
fn tls_version(text: &str) -> Result<String, String> {
    match text.strip_prefix("tls").unwrap_or(text) {
        version @ ("1.0" | "1.1" | "1.2" | "1.3") => Ok(format!("tls{version}")),
        _ => Err(format!("{text:?} is no version of TLS: write 1.2 or 1.3")),
    }
}

#[cfg(test)]
mod tests {
    use senary_metrics::Registry;
    use senary_metrics::threshold::WatchList;
    use serde_json::{Value, json};

    use super::*;

    fn given(file: Value, env: &[(&str, &str)], argument: Option<&str>) -> Result<Config, String> {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let of = OutputContext::of(&registry, &watched);
        let context = OutputContext { env: &env, collectors: Some(&file), ..of };
        Config::consolidate(argument, &context)
    }

    #[test]
    fn settings_of_all_places() {
        assert_eq!(given(Value::Null, &[], None).unwrap(), Config::default());
        let file = json!({ "prometheus-rw": { "trendStats": ["min"], "headers": { "X-A": "1" }, "staleMarkers": true } });
        let env = [
            ("K6_PROMETHEUS_RW_HEADERS_x-a", "2"),
            ("K6_PROMETHEUS_RW_HTTP_HEADERS", "X-B: 3"),
            ("K6_PROMETHEUS_RW_TLS_MIN_VERSION", "tls1.2"),
        ];
        let argument =
            "url=https://h/w,trendStats=count,p(99.9),nativeHistogramSchema=8,trendWindow=interval";
        let config = given(file, &env, Some(argument)).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = Config {
            url: "https://h/w".to_owned(),
            headers: vec![pair("x-a", "2"), pair("X-B", "3")],
            tls_minimum_version: "tls1.2".to_owned(),
            trend_stats: vec![Stat::parse("count").unwrap(), Stat::parse("p(99.9)").unwrap()],
            trend_window: TrendWindow::Interval,
            schema: 8,
            stale_markers: true,
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (argument, error) in [
            ("ftp://h", "url: \"ftp://h\" is no address: write http://HOST:PORT/api/v1/write"),
            (
                "nativeHistogramSchema=9",
                "nativeHistogramSchema: 9 is no schema: it is a whole number from -4 to 8",
            ),
            ("tlsMinimumVersion=2", "tlsMinimumVersion: \"2\" is no version of TLS: write 1.2 or 1.3"),
            ("trendWindow=x", "trendWindow: \"x\" is neither test nor interval"),
            (
                "trendStats=p(101)",
                "trendStats: invalid percentile trend stat value 'p(101)', provide a number between 0 and 100",
            ),
        ] {
            assert_eq!(given(Value::Null, &[], Some(argument)).unwrap_err(), error);
        }
    }
}
