//! Which outputs `--out` can name, and how each is made.

use std::fmt;

use senary_words::spelling::nearest;

use crate::output::{Output, OutputContext};
use crate::outputs::{csv, json};

/// Makes an output from what follows the `=`; the error is a reason in words.
type Create = fn(Option<&str>, &OutputContext) -> Result<Box<dyn Output>, String>;

/// What is here.
const AVAILABLE: [(&str, Create); 2] = [("csv", csv::create), ("json", json::create)];

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

/// What the reference has removed, and says so.
const REMOVED: [&str; 3] = ["datadog", "kafka", "statsd"];

/// Why an output cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    #[error("invalid output type '{0}', available types are: {list}{hint}", list = available().collect::<Vec<_>>().join(", "), hint = hint(.0))]
    UnknownType(String),
    #[error("could not create the '{kind}' output: {reason}")]
    NotCreated { kind: &'static str, reason: String },
}

fn available() -> impl Iterator<Item = &'static str> {
    AVAILABLE.iter().map(|(name, _)| *name)
}

fn hint(name: &str) -> String {
    nearest(name, available()).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// An output as asked for: `json`, `json=results.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    kind: &'static str,
    argument: Option<String>,
}

impl OutputSpec {
    /// Reads an argument of `--out`.
    pub fn parse(text: &str) -> Result<Self, OutputError> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument.to_owned())),
            None => (text, None),
        };
        let kind = available().chain(REMOVED).chain(NOT_YET).find(|known| *known == name);
        let kind = kind.ok_or_else(|| OutputError::UnknownType(name.to_owned()))?;
        Ok(Self { kind, argument })
    }

    /// Makes the output; files are created here.
    pub fn create(&self, context: &OutputContext) -> Result<Box<dyn Output>, OutputError> {
        let kind = self.kind;
        let output = match AVAILABLE.iter().find(|(name, _)| *name == kind) {
            Some((_, create)) => create(self.argument.as_deref(), context),
            None if REMOVED.contains(&kind) => {
                Err("it was removed from k6, and Senary does not have it either".to_owned())
            }
            None => Err("Senary does not have it yet".to_owned()),
        };
        output.map_err(|reason| OutputError::NotCreated { kind, reason })
    }
}

impl fmt::Display for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        self.argument.iter().try_for_each(|argument| write!(f, "={argument}"))
    }
}

#[cfg(test)]
mod tests {
    use senary_metrics::Registry;
    use senary_metrics::threshold::WatchList;

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
        let (registry, watched) = (Registry::new(), WatchList::default());
        let context = OutputContext::of(&registry, &watched);
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
