//! The settings of the output: what the SDKs of OpenTelemetry read, over it the configuration file, the variables of k6, and
//! what follows `--out opentelemetry=`.

use std::time::Duration;

use senary_words::percent::decoded_text;

use super::messages::Temporality;
use crate::output::OutputContext;
use crate::settings::{Set, Setting, boolean, period, read, read_argument};

/// Settings that cannot be used together, or for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SettingError {
    /// A single one that cannot be read.
    #[error("{0}")]
    Unreadable(String),
    #[error(
        "error validating OpenTelemetry output config: unsupported exporter protocol {0:?}, currently only \"grpc\" and \"http/protobuf\" are supported"
    )]
    Protocol(String),
    #[error(
        "error validating OpenTelemetry output config: {setting}: endpoint must only be host and port, no scheme: write HOST:PORT, not {endpoint:?}"
    )]
    Endpoint { setting: &'static str, endpoint: String },
    #[error("error validating OpenTelemetry output config: {0}")]
    Sdk(String),
}

/// Where metrics go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) service_name: String,
    pub(super) service_version: String,
    pub(super) prefix: String,
    pub(super) export_interval: Duration,
    /// `grpc` or `http/protobuf`, once it is checked.
    protocol: String,
    pub(super) headers: Vec<(String, String)>,
    http: Exporter,
    pub(super) path: String,
    pub(super) username: String,
    pub(super) password: String,
    grpc: Exporter,
    pub(super) skip_verify: bool,
    /// Files in PEM; nothing for none.
    pub(super) certificate: String,
    pub(super) client_certificate: String,
    pub(super) client_key: String,
    pub(super) resource: Vec<(String, String)>,
    pub(super) is_compressed: bool,
    pub(super) timeout: Duration,
    pub(super) temporality: Temporality,
    pub(super) has_bounds: bool,
}

/// One of the two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exporter {
    endpoint: String,
    is_insecure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

impl Default for Config {
    fn default() -> Self {
        let exporter = |endpoint: &str| Exporter { endpoint: endpoint.to_owned(), is_insecure: false };
        Self {
            service_name: "k6".to_owned(),
            service_version: env!("CARGO_PKG_VERSION").to_owned(),
            prefix: String::new(),
            export_interval: Duration::from_secs(10),
            protocol: GRPC.to_owned(),
            headers: Vec::new(),
            http: exporter("localhost:4318"),
            path: "/v1/metrics".to_owned(),
            username: String::new(),
            password: String::new(),
            grpc: exporter("localhost:4317"),
            skip_verify: false,
            certificate: String::new(),
            client_certificate: String::new(),
            client_key: String::new(),
            resource: Vec::new(),
            is_compressed: false,
            timeout: Duration::from_secs(10),
            temporality: Temporality::Cumulative,
            has_bounds: false,
        }
    }
}

const GRPC: &str = "grpc";
const HTTP: &str = "http/protobuf";

/// A setting that is any text.
macro_rules! text {
    ($key:literal, $variable:literal, $default:literal, $meaning:literal, $($field:ident).+) => {
        Setting {
            key: $key,
            variables: &[$variable],
            default: $default,
            meaning: $meaning,
            set: Set::One(|config: &mut Config, value| {
                value.clone_into(&mut config.$($field).+);
                Ok(())
            }),
        }
    };
}

/// A setting that is yes or no; no, if nothing is said.
macro_rules! switch {
    ($key:literal, $variable:literal, $meaning:literal, $($field:ident).+) => {
        Setting {
            key: $key,
            variables: &[$variable],
            default: "false",
            meaning: $meaning,
            set: Set::One(|config: &mut Config, value| {
                config.$($field).+ = boolean(value)?;
                Ok(())
            }),
        }
    };
}

pub(super) const SETTINGS: &[Setting<Config>] = &[
    text!("exporterProtocol", "K6_OTEL_EXPORTER_PROTOCOL", "grpc", "grpc or http/protobuf", protocol),
    text!(
        "grpcExporterEndpoint",
        "K6_OTEL_GRPC_EXPORTER_ENDPOINT",
        "localhost:4317",
        "HOST:PORT of the receiver with grpc",
        grpc.endpoint
    ),
    switch!(
        "grpcExporterInsecure",
        "K6_OTEL_GRPC_EXPORTER_INSECURE",
        "whether grpc goes without TLS",
        grpc.is_insecure
    ),
    text!(
        "httpExporterEndpoint",
        "K6_OTEL_HTTP_EXPORTER_ENDPOINT",
        "localhost:4318",
        "HOST:PORT of the receiver with http/protobuf",
        http.endpoint
    ),
    text!(
        "httpExporterURLPath",
        "K6_OTEL_HTTP_EXPORTER_URL_PATH",
        "/v1/metrics",
        "the path of the request",
        path
    ),
    switch!(
        "httpExporterInsecure",
        "K6_OTEL_HTTP_EXPORTER_INSECURE",
        "whether http/protobuf goes without TLS",
        http.is_insecure
    ),
    text!("httpExporterUsername", "K6_OTEL_HTTP_EXPORTER_USERNAME", "", "the user of the request", username),
    text!("httpExporterPassword", "K6_OTEL_HTTP_EXPORTER_PASSWORD", "", "the user's password", password),
    Setting {
        key: "exportInterval",
        variables: &["K6_OTEL_EXPORT_INTERVAL"],
        default: "10s",
        meaning: "how often metrics are sent",
        set: Set::One(|config, value| {
            config.export_interval = period(value)?;
            Ok(())
        }),
    },
    Setting {
        key: "flushInterval",
        variables: &["K6_OTEL_FLUSH_INTERVAL"],
        default: "1s",
        meaning: "accepted for the sake of k6: samples are added up as they come",
        set: Set::One(|_, value| period(value).map(|_| ())),
    },
    text!("metricPrefix", "K6_OTEL_METRIC_PREFIX", "", "what the names of metrics begin with", prefix),
    text!(
        "serviceName",
        "K6_OTEL_SERVICE_NAME",
        "k6",
        "the attribute service.name of the resource",
        service_name
    ),
    text!(
        "serviceVersion",
        "K6_OTEL_SERVICE_VERSION",
        "the version of Senary",
        "the attribute service.version of the resource",
        service_version
    ),
    Setting {
        key: "headers",
        variables: &["K6_OTEL_HEADERS"],
        default: "",
        meaning: "further headers of requests, as NAME=VALUE,NAME=VALUE with % and two digits for special characters",
        set: Set::One(|config, value| {
            config.headers = pairs(value)?;
            Ok(())
        }),
    },
    text!(
        "tlsCertificate",
        "K6_OTEL_TLS_CERTIFICATE",
        "",
        "a file with authorities to trust, as PEM",
        certificate
    ),
    text!(
        "tlsClientCertificate",
        "K6_OTEL_TLS_CLIENT_CERTIFICATE",
        "",
        "a file with the certificate to show to the receiver, as PEM",
        client_certificate
    ),
    text!(
        "tlsClientKey",
        "K6_OTEL_TLS_CLIENT_KEY",
        "",
        "a file with the key of that certificate, as PEM",
        client_key
    ),
    switch!(
        "tlsInsecureSkipVerify",
        "K6_OTEL_TLS_INSECURE_SKIP_VERIFY",
        "whether any certificate of the receiver is taken",
        skip_verify
    ),
];

impl Config {
    pub(super) fn consolidate(argument: Option<&str>, context: &OutputContext) -> Result<Self, SettingError> {
        let mut config = Self::default();
        config.read_sdk(context).map_err(SettingError::Sdk)?;
        let names = ["opentelemetry", "experimental-opentelemetry"];
        read(&mut config, SETTINGS, &names, context).map_err(SettingError::Unreadable)?;
        let argument = argument.unwrap_or_default();
        read_argument(&mut config, SETTINGS, None, argument).map_err(SettingError::Unreadable)?;
        config.check()?;
        Ok(config)
    }

    /// The variables of the SDKs. Where they have one for metrics alone, it wins over that for everything.
    fn read_sdk(&mut self, context: &OutputContext) -> Result<(), String> {
        let exporter = |name: &str| {
            let (metrics, all) =
                (format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), format!("OTEL_EXPORTER_OTLP_{name}"));
            let value = context.variable(&metrics).map(|value| (metrics, value));
            value.or_else(|| context.variable(&all).map(|value| (all, value)))
        };
        if let Some(value) = context.variable("OTEL_RESOURCE_ATTRIBUTES") {
            self.resource = pairs(value).map_err(|why| format!("OTEL_RESOURCE_ATTRIBUTES: {why}"))?;
        }
        let of_resource = self.resource.iter().find(|(key, _)| key == "service.name");
        if let Some(name) = context.variable("OTEL_SERVICE_NAME").or(of_resource.map(|(_, name)| &**name)) {
            self.service_name = name.to_owned();
        }
        if let Some((_, version)) = self.resource.iter().find(|(key, _)| key == "service.version") {
            self.service_version.clone_from(version);
        }
        if let Some((name, value)) = exporter("HEADERS") {
            self.headers = pairs(value).map_err(|why| format!("{name}: {why}"))?;
        }
        if let Some((name, value)) = exporter("COMPRESSION") {
            self.is_compressed = match value {
                "gzip" => true,
                "none" => false,
                other => return Err(format!("{name}: {other:?} is neither gzip nor none")),
            };
        }
        if let Some((name, value)) = exporter("TIMEOUT") {
            let millis = value.parse().ok().filter(|millis| *millis > 0);
            let millis =
                millis.ok_or_else(|| format!("{name}: {value:?} is not a number of milliseconds"))?;
            self.timeout = Duration::from_millis(millis);
        }
        for (name, field) in [
            ("CERTIFICATE", &mut self.certificate),
            ("CLIENT_CERTIFICATE", &mut self.client_certificate),
            ("CLIENT_KEY", &mut self.client_key),
        ] {
            if let Some((_, value)) = exporter(name) {
                value.clone_into(field);
            }
        }
        self.read_sdk_metrics(context)
    }

    /// What the SDKs have for metrics only. As they do, values they do not know are passed over, with a warning.
    fn read_sdk_metrics(&mut self, context: &OutputContext) -> Result<(), String> {
        let (name, known) =
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative, delta and lowmemory");
        if let Some(value) = context.variable(name) {
            match value.to_ascii_lowercase().as_str() {
                "cumulative" => self.temporality = Temporality::Cumulative,
                "delta" | "lowmemory" => self.temporality = Temporality::Delta,
                _ => log::warn!("{name} is {value:?}, which means nothing: there are {known}"),
            }
        }
        let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        let known = "base2_exponential_bucket_histogram and explicit_bucket_histogram";
        if let Some(value) = context.variable(name) {
            match value.to_ascii_lowercase().as_str() {
                "base2_exponential_bucket_histogram" => self.has_bounds = false,
                "explicit_bucket_histogram" => self.has_bounds = true,
                _ => log::warn!("{name} is {value:?}, which means nothing: there are {known}"),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), SettingError> {
        if self.protocol != GRPC && self.protocol != HTTP {
            return Err(SettingError::Protocol(self.protocol.clone()));
        }
        let (setting, endpoint) = match self.protocol() {
            Protocol::Grpc => ("grpcExporterEndpoint", &self.grpc.endpoint),
            Protocol::Http => ("httpExporterEndpoint", &self.http.endpoint),
        };
        if endpoint.is_empty() || endpoint.contains('/') {
            return Err(SettingError::Endpoint { setting, endpoint: endpoint.clone() });
        }
        Ok(())
    }

    pub(super) fn protocol(&self) -> Protocol {
        if self.protocol == HTTP { Protocol::Http } else { Protocol::Grpc }
    }

    /// `grpc, localhost:4317`
    pub(super) fn described(&self) -> String {
        format!("{}, {}", self.protocol, self.exporter().endpoint)
    }

    /// `https://localhost:4317`
    pub(super) fn server(&self) -> String {
        let Exporter { endpoint, is_insecure } = self.exporter();
        format!("{}://{endpoint}", if *is_insecure { "http" } else { "https" })
    }

    fn exporter(&self) -> &Exporter {
        match self.protocol() {
            Protocol::Grpc => &self.grpc,
            Protocol::Http => &self.http,
        }
    }
}

/// `name=value,name=value`; values have `%` and two digits for special characters.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((decoded_text(name.trim()), decoded_text(value.trim())))
        }
        _ => Err(format!("{part:?} is not NAME=VALUE")),
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use senary_metrics::Registry;
    use senary_metrics::threshold::WatchList;
    use serde_json::{Value, json};

    use super::*;

    fn of(argument: &str, env: &[(&str, &str)], file: &Value) -> Result<Config, SettingError> {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let collectors = Some(file);
        let context = OutputContext { env: &env, collectors, ..OutputContext::of(&registry, &watched) };
        Config::consolidate(Some(argument), &context)
    }

    #[test]
    fn later_layers_win() {
        let file = json!({"opentelemetry": {
            "exporterProtocol": "http/protobuf", "httpExporterEndpoint": "file:1", "httpExporterInsecure": true,
            "serviceName": "file", "metricPrefix": "file.", "headers": "a=1"
        }});
        let env = [
            ("OTEL_SERVICE_NAME", "sdk"),
            ("OTEL_RESOURCE_ATTRIBUTES", "env=ci,team=a%20b"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "b=2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("K6_OTEL_HTTP_EXPORTER_ENDPOINT", "env:2"),
        ];
        let config = of("metricPrefix=arg.,exportInterval=2s", &env, &file).unwrap();
        let expected = Config {
            service_name: "file".to_owned(),
            prefix: "arg.".to_owned(),
            protocol: "http/protobuf".to_owned(),
            headers: vec![("a".to_owned(), "1".to_owned())],
            http: Exporter { endpoint: "env:2".to_owned(), is_insecure: true },
            resource: vec![("env".to_owned(), "ci".to_owned()), ("team".to_owned(), "a b".to_owned())],
            timeout: Duration::from_millis(1500),
            export_interval: Duration::from_secs(2),
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert_eq!(config.described(), "http/protobuf, env:2");
        assert_eq!(config.server(), "http://env:2");
        assert_eq!(of("", &[], &Value::Null).unwrap().server(), "https://localhost:4317");
    }

    #[test]
    fn variables_of_the_sdks() {
        let env = [
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,service.version=7"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://not-this:1"),
        ];
        let config = of("", &env, &Value::Null).unwrap();
        assert_eq!((config.temporality, config.has_bounds), (Temporality::Delta, true));
        assert!(config.is_compressed);
        assert_eq!((&*config.service_name, &*config.service_version), ("shop", "7"));
        assert_eq!((&*config.certificate, &*config.server()), ("ca.pem", "https://localhost:4317"));
    }

    #[test]
    fn wrong_settings_say_what_is_right() {
        let refused = |argument: &str| of(argument, &[], &Value::Null).unwrap_err().to_string();
        assert_eq!(
            refused("exporterProtocol=thrift"),
            "error validating OpenTelemetry output config: unsupported exporter protocol \"thrift\", currently only \"grpc\" and \"http/protobuf\" are supported"
        );
        assert_eq!(
            of("", &[("K6_OTEL_GRPC_EXPORTER_ENDPOINT", "https://h:1")], &Value::Null)
                .unwrap_err()
                .to_string(),
            "error validating OpenTelemetry output config: grpcExporterEndpoint: endpoint must only be host and port, no scheme: write HOST:PORT, not \"https://h:1\""
        );
        assert_eq!(refused("exportInterval=soon"), "exportInterval: time: invalid duration \"soon\"");
        assert_eq!(refused("headers=x"), "headers: \"x\" is not NAME=VALUE");
        assert!(refused("serviceNam=x").contains("did you mean serviceName?"));
        let compression = [("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")];
        assert_eq!(
            of("", &compression, &Value::Null).unwrap_err().to_string(),
            "error validating OpenTelemetry output config: OTEL_EXPORTER_OTLP_COMPRESSION: \"zip\" is neither gzip nor none"
        );
    }
}
