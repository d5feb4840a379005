//! Which outputs `--out` can name, and how each is made.

use std::fmt;

use senary_words::spelling::nearest;

use crate::output::{CreateError, Output, OutputContext};
use crate::outputs::{csv, influxdb, json, junit, opentelemetry, prometheus, state, statsd};
use crate::settings::SettingHelp;

/// Makes an output from what follows the `=`.
type Create = fn(Option<&str>, &OutputContext) -> Result<Box<dyn Output>, CreateError>;

/// An output that Senary has.
struct Entry {
    name: &'static str,
    aliases: &'static [Alias],
    /// Whether its server takes what several processes send for one series, unless a tag tells them apart.
    joins_instances: bool,
    /// What follows the `=`, as help shows it.
    argument: &'static str,
    about: &'static str,
    settings: fn() -> Vec<SettingHelp>,
    create: Create,
}

/// Another name of an output.
struct Alias {
    name: &'static str,
    /// The warning for users of this name.
    warning: Option<&'static str>,
}

/// All outputs that Senary has.
const AVAILABLE: &[Entry] = &[
    Entry {
        name: "csv",
        aliases: &[],
        joins_instances: false,
        argument: "FILE[.gz]",
        about: "one row per sample in a CSV file",
        settings: csv::settings,
        create: csv::create,
    },
    Entry {
        name: "datadog",
        aliases: &[],
        joins_instances: false,
        argument: "HOST:PORT[,KEY=VALUE,…]",
        about: "values with tags to an agent of Datadog, as datagrams",
        settings: statsd::datadog_settings,
        create: statsd::create_datadog,
    },
    Entry {
        name: "experimental-prometheus-rw",
        aliases: &[Alias { name: "prometheus-rw", warning: None }],
        joins_instances: true,
        argument: "[URL,]KEY=VALUE,…",
        about: "totals of every series to a server of Prometheus, by remote write",
        settings: prometheus::settings,
        create: prometheus::create,
    },
    Entry {
        name: "influxdb",
        aliases: &[Alias { name: "xk6-influxdb", warning: None }],
        joins_instances: true,
        argument: "http://USER:PASSWORD@HOST:PORT/DATABASE?SETTING=VALUE",
        about: "one point per sample to InfluxDB, of version 1 or, with a token, of version 2",
        settings: influxdb::settings,
        create: influxdb::create,
    },
    Entry {
        name: "json",
        aliases: &[],
        joins_instances: false,
        argument: "FILE[.gz]",
        about: "one JSON object per sample and line, in a file or on standard output",
        settings: Vec::new,
        create: json::create,
    },
    Entry {
        name: "opentelemetry",
        aliases: &[Alias {
            name: "experimental-opentelemetry",
            warning: Some(
                "The output experimental-opentelemetry is called opentelemetry now; the old name will go away",
            ),
        }],
        joins_instances: false,
        argument: "SETTING=VALUE,SETTING=VALUE",
        about: "totals of every time series to whatever takes OTLP, over gRPC or HTTP",
        settings: opentelemetry::settings,
        create: opentelemetry::create,
    },
    Entry {
        name: "junit",
        aliases: &[],
        joins_instances: false,
        argument: "FILE",
        about: "thresholds and checks as test cases in XML, written at the end",
        settings: junit::settings,
        create: junit::create,
    },
    Entry {
        name: STATE,
        aliases: &[],
        joins_instances: false,
        argument: "FILE",
        about: "what the run adds up to, for `senary merge`: written every ten seconds, and at the end",
        settings: state::settings,
        create: |_, _| Err(CreateError::Unusable("a state is no output of samples".to_owned())),
    },
    Entry {
        name: "statsd",
        aliases: &[Alias { name: "output-statsd", warning: None }],
        joins_instances: false,
        argument: "HOST:PORT[,KEY=VALUE,…]",
        about: "values to a server of StatsD, as datagrams",
        settings: statsd::statsd_settings,
        create: statsd::create_statsd,
    },
    Entry {
        name: "web-dashboard",
        aliases: &[],
        joins_instances: false,
        argument: "SETTING=VALUE&SETTING=VALUE",
        about: "the run in a browser while it goes on",
        settings: dashboard_settings,
        create: |_, _| Err(CreateError::Unusable("the dashboard is no output of samples".to_owned())),
    },
];

/// The output that takes no samples, but what they add up to: the binary makes it.
pub const STATE: &str = "state";

/// The binary makes the dashboard, because it takes samples in another way. Only its name and its settings are in this
/// table.
const DASHBOARD_SETTINGS: [(&str, &[&str], &str, &str); 8] = [
    ("host", &["K6_WEB_DASHBOARD_HOST"], "127.0.0.1", "the address to listen on"),
    ("port", &["K6_WEB_DASHBOARD_PORT"], "5665", "the port; 0 for any, -1 for no server"),
    ("period", &["K6_WEB_DASHBOARD_PERIOD"], "", "how often events are told [1s, or 10s for long tests]"),
    ("tags", &["K6_WEB_DASHBOARD_TAGS"], "group", "tags whose values are told apart"),
    (
        "export",
        &["K6_WEB_DASHBOARD_EXPORT", "K6_WEB_DASHBOARD_REPORT"],
        "",
        "the file that the page is written to at the end",
    ),
    ("record", &["K6_WEB_DASHBOARD_RECORD"], "", "the file that the events are written to"),
    ("open", &["K6_WEB_DASHBOARD_OPEN"], "false", "whether a browser is opened"),
    ("origin", &["K6_WEB_DASHBOARD_ORIGIN"], "", "origins of web pages elsewhere that may read the events"),
];

fn dashboard_settings() -> Vec<SettingHelp> {
    let of = |(key, variables, default, meaning): (&str, &[&str], &'static str, &'static str)| SettingHelp {
        key: key.to_owned(),
        variables: variables.iter().map(|variable| (*variable).to_owned()).collect(),
        default,
        meaning,
    };
    DASHBOARD_SETTINGS.into_iter().map(of).collect()
}

/// Outputs of the reference that Senary does not have yet.
const NOT_YET: &[&str] = &["cloud"];

/// Outputs that the reference has removed.
const REMOVED: &[&str] = &["kafka"];

/// Why an output cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    #[error("invalid output type '{0}', available types are: {list}{hint}", list = available().join(", "), hint = hint(.0))]
    UnknownType(String),
    #[error("could not create the '{kind}' output: {reason}")]
    NotCreated { kind: &'static str, reason: String },
    #[error("could not create the '{kind}' output: {reason}")]
    InvalidSettings { kind: &'static str, reason: String },
}

impl Entry {
    /// Its name and its aliases.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().map(|alias| alias.name))
    }
}

fn available() -> Vec<&'static str> {
    let mut names: Vec<_> = AVAILABLE.iter().flat_map(Entry::names).collect();
    names.sort_unstable();
    names
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
        let absent = REMOVED.iter().chain(NOT_YET).copied();
        let kind = available().into_iter().chain(absent).find(|known| *known == name);
        let kind = kind.ok_or_else(|| OutputError::UnknownType(name.to_owned()))?;
        Ok(Self { kind, argument })
    }

    /// What kind of output it is.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What follows the `=`.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// Whether several processes with this output have to be told apart by a tag.
    pub fn joins_instances(&self) -> bool {
        let is_it = |entry: &&Entry| entry.names().any(|name| name == self.kind);
        AVAILABLE.iter().find(is_it).is_some_and(|entry| entry.joins_instances)
    }

    /// Makes the output; files are created here.
    pub fn create(&self, context: &OutputContext) -> Result<Box<dyn Output>, OutputError> {
        let kind = self.kind;
        let absent = |reason: &str| OutputError::NotCreated { kind, reason: reason.to_owned() };
        let Some(entry) = AVAILABLE.iter().find(|entry| entry.names().any(|name| name == kind)) else {
            return Err(absent(match REMOVED.contains(&kind) {
                true => "it was removed from k6, and Senary does not have it either",
                false => "Senary does not have it yet",
            }));
        };
        let alias = entry.aliases.iter().find(|alias| alias.name == kind);
        if let Some(warning) = alias.and_then(|alias| alias.warning) {
            log::warn!("{warning}");
        }
        (entry.create)(self.argument.as_deref(), context).map_err(|error| match error {
            CreateError::Invalid(reason) => OutputError::InvalidSettings { kind, reason },
            CreateError::Unusable(reason) => OutputError::NotCreated { kind, reason },
        })
    }
}

impl fmt::Display for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        self.argument.iter().try_for_each(|argument| write!(f, "={argument}"))
    }
}

/// What `--out help` says: every output with its settings.
pub fn outputs_help() -> String {
    let mut text = "Outputs, as --out NAME or --out NAME=ARGUMENT; several may be given.\n\nA setting has a name for `collectors` of the configuration file (and after the `=` as key=value,key=value),\nand a variable of the environment.\n".to_owned();
    for entry in AVAILABLE {
        text.push_str(&format!("\n{}={}\n  {}\n", entry.name, entry.argument, entry.about));
        let aliases: Vec<_> = entry.aliases.iter().map(|alias| alias.name).collect();
        if !aliases.is_empty() {
            text.push_str(&format!("  also called: {}\n", aliases.join(", ")));
        }
        for setting in (entry.settings)() {
            let default = match setting.default {
                "" => String::new(),
                default => format!(" (default: {default})"),
            };
            text.push_str(&format!("    {}\n        {}{default}\n", setting.key, setting.meaning));
            if !setting.variables.is_empty() {
                text.push_str(&format!("        {}\n", setting.variables.join(", ")));
            }
        }
    }
    text
}

/// The variables of the environment that outputs read; one that ends in `NAME` stands for all that begin like it.
pub fn output_variables() -> Vec<String> {
    AVAILABLE.iter().flat_map(|entry| (entry.settings)()).flat_map(|setting| setting.variables).collect()
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
            format!("invalid output type 'telegraph', available types are: {}", available().join(", "))
        );
    }

    #[test]
    fn a_typo_is_told_with_what_is_here() {
        let told = |text| OutputSpec::parse(text).unwrap_err().to_string();
        assert_eq!(
            told("jsn=x"),
            format!(
                "invalid output type 'jsn', available types are: {}; did you mean json?",
                available().join(", ")
            )
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
            OutputSpec::parse("cloud").unwrap().create(&context).err().unwrap().to_string(),
            "could not create the 'cloud' output: Senary does not have it yet"
        );
        assert_eq!(
            OutputSpec::parse("kafka").unwrap().create(&context).err().unwrap().to_string(),
            "could not create the 'kafka' output: it was removed from k6, and Senary does not have it either"
        );
    }
}
