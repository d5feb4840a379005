//! Outputs: what `--out` names. Each gets every sample of a run, batch by batch, on the collector's thread.

use std::fmt;
use std::io;

use senary_metrics::{Engine, SampleBatch};
use senary_words::spelling::nearest;
use serde_json::Value;

use crate::outputs::csv::{CsvConfig, CsvOutput};
use crate::outputs::json::JsonOutput;

/// Someone who wants the samples themselves, not only what they add up to.
///
/// After the first error an output gets nothing more.
pub trait Output: Send {
    /// The type as `--out` names it.
    fn kind(&self) -> &'static str;

    /// What the banner says, `json (results.json)`.
    fn description(&self) -> String;

    /// Takes the samples of a batch. The batches of one producer come in their order.
    fn add(&mut self, batch: &SampleBatch, engine: &Engine) -> io::Result<()>;

    /// Passes on what it holds back; called several times a second.
    fn flush(&mut self) -> io::Result<()>;

    /// Passes on everything; nothing comes after this.
    fn close(&mut self) -> io::Result<()>;
}

/// An output as asked for: `json`, `json=results.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    kind: Kind,
    argument: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Csv,
    /// One that the reference has.
    Missing(&'static str),
    /// One that the reference once had.
    Removed(&'static str),
}

/// What the reference has removed, and says so.
const REMOVED: [&str; 3] = ["datadog", "kafka", "statsd"];

/// What is here.
const AVAILABLE: [(&str, Kind); 2] = [("csv", Kind::Csv), ("json", Kind::Json)];

/// What the reference has beside them.
const NOT_YET: [&str; 7] = [
    "cloud",
    "experimental-opentelemetry",
    "experimental-prometheus-rw",
    "influxdb",
    "opentelemetry",
    "statsd",
    "web-dashboard",
];

/// Why an output cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    #[error("invalid output type '{0}', available types are: {list}{hint}", list = available().join(", "), hint = hint(.0))]
    UnknownType(String),
    #[error("could not create the '{kind}' output: {reason}")]
    NotCreated { kind: &'static str, reason: String },
}

fn available() -> Vec<&'static str> {
    AVAILABLE.iter().map(|(name, _)| *name).collect()
}

fn hint(name: &str) -> String {
    nearest(name, available()).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// What outputs are configured by besides their argument.
pub struct OutputContext<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// `collectors` of the configuration file.
    pub collectors: Option<&'a Value>,
    /// The system tags that are on.
    pub system_tags: &'a [String],
}

impl OutputSpec {
    /// Reads an argument of `--out`.
    pub fn parse(text: &str) -> Result<Self, OutputError> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument.to_owned())),
            None => (text, None),
        };
        let among = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
        let available = AVAILABLE.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let removed = || among(&REMOVED).map(Kind::Removed);
        let missing = || among(&NOT_YET).map(Kind::Missing);
        let kind = available.or_else(removed).or_else(missing);
        let kind = kind.ok_or_else(|| OutputError::UnknownType(name.to_owned()))?;
        Ok(Self { kind, argument })
    }

    /// Makes the output; files are created here.
    pub fn create(&self, context: &OutputContext) -> Result<Box<dyn Output>, OutputError> {
        let not_created = |kind| move |reason: String| OutputError::NotCreated { kind, reason };
        match self.kind {
            Kind::Json => JsonOutput::create(self.argument.as_deref())
                .map(|output| Box::new(output) as Box<dyn Output>)
                .map_err(not_created("json")),
            Kind::Csv => CsvConfig::consolidate(self.argument.as_deref(), context)
                .and_then(|config| CsvOutput::create(&config, context.system_tags))
                .map(|output| Box::new(output) as Box<dyn Output>)
                .map_err(not_created("csv")),
            Kind::Missing(kind) => Err(not_created(kind)("Senary does not have it yet".to_owned())),
            Kind::Removed(kind) => Err(not_created(kind)(
                "it was removed from k6, and Senary does not have it either".to_owned(),
            )),
        }
    }
}

impl fmt::Display for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Json => "json",
            Kind::Csv => "csv",
            Kind::Missing(name) | Kind::Removed(name) => name,
        })?;
        self.argument.iter().try_for_each(|argument| write!(f, "={argument}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        for text in ["json", "json=", "json=-", "json=a=b.json", "csv=fileName=x", "influxdb=http://x"] {
            assert_eq!(OutputSpec::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            OutputSpec::parse("telegraph=x").unwrap_err().to_string(),
            "invalid output type 'telegraph', available types are: csv, json"
        );
    }

    #[test]
    fn a_typo_is_told_with_what_is_here() {
        let told = |text| OutputSpec::parse(text).unwrap_err().to_string();
        assert_eq!(
            told("jsn=x"),
            "invalid output type 'jsn', available types are: csv, json; did you mean json?"
        );
    }

    #[test]
    fn outputs_that_cannot_be_created_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/out").display().to_string();
        let context = OutputContext { env: &|_| None, collectors: None, system_tags: &[] };
        for kind in ["json", "csv"] {
            let spec = OutputSpec::parse(&format!("{kind}={path}")).unwrap();
            assert_eq!(
                spec.create(&context).err().unwrap().to_string(),
                format!("could not create the '{kind}' output: open {path}: no such file or directory")
            );
        }
        assert_eq!(
            OutputSpec::parse("influxdb").unwrap().create(&context).err().unwrap().to_string(),
            "could not create the 'influxdb' output: Senary does not have it yet"
        );
        for kind in ["kafka", "datadog", "statsd"] {
            assert_eq!(
                OutputSpec::parse(kind).unwrap().create(&context).err().unwrap().to_string(),
                format!(
                    "could not create the '{kind}' output: it was removed from k6, and Senary does not have it either"
                )
            );
        }
    }
}
