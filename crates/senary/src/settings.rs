//! Settings beside the options: those of the program, and those of how scripts are loaded and reported on. Flags
//! win over the environment; nothing else has a say.

use senary_output::output_variables;
use senary_web::{Client, Proxies};

use crate::cli::{GlobalFlags, RuntimeFlags};
use crate::environment::Environment;
use crate::options::{ConfigPath, Options, RunOptions, parse_bool};

/// An invalid value. The exit code is 255, unless the variant has another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("invalid compatibility mode {0:?}. Use: \"extended\", \"base\"")]
    CompatibilityMode(String),
    #[error("invalid summary mode {0:?}: use compact, full or disabled")]
    SummaryMode(String),
    #[error("invalid environment variable name '{0}'")]
    EnvName(String),
    #[error("env var '{name}' is not a valid boolean value: {reason}")]
    Switch { name: &'static str, reason: String },
}

/// What holds for every command.
#[derive(Clone, Debug)]
pub struct GlobalSettings {
    /// Where the REST API listens, if it does.
    pub address: Option<String>,
    /// Whether the address is from the command line; then it is an error if the server cannot listen there.
    pub address_from_flag: bool,
    pub config: Option<ConfigPath>,
    pub quiet: bool,
    pub no_color: bool,
    /// Somebody wants to look into the program while it runs.
    pub profiling: bool,
    pub log: crate::logging::Settings,
    /// `type=settings`, in the order given.
    pub secret_sources: Vec<String>,
    /// Reaches servers that have to do with a test but are not what is tested.
    pub web: Client,
}

impl GlobalSettings {
    pub fn new(flags: &GlobalFlags, env: &Environment) -> Self {
        let text = |flag: &Option<String>, name| flag.clone().or_else(|| env.get(name).map(str::to_owned));
        let secret_sources = match env.get("K6_SECRET_SOURCE") {
            Some(source) if flags.secret_source.is_empty() => vec![source.to_owned()],
            _ => flags.secret_source.clone(),
        };
        let no_color =
            flags.no_color.unwrap_or_else(|| env.get("K6_NO_COLOR").is_some() || env.has("NO_COLOR"));
        Self {
            address: text(&flags.address, "K6_ADDRESS").filter(|address| !address.is_empty()),
            address_from_flag: flags.address.as_ref().is_some_and(|address| !address.is_empty()),
            config: ConfigPath::find(flags.config.as_deref(), env),
            quiet: flags.quiet.unwrap_or_default(),
            no_color,
            profiling: flags.profiling_enabled.unwrap_or_else(|| env.has("K6_PROFILING_ENABLED")),
            log: crate::logging::Settings {
                output: text(&flags.log_output, "K6_LOG_OUTPUT"),
                format: text(&flags.log_format, "K6_LOG_FORMAT"),
                verbose: flags.verbose.unwrap_or_default(),
                no_color,
                all: flags.log_all.unwrap_or_else(|| env.get("K6_LOG_ALL").is_some_and(is_on)),
            },
            secret_sources,
            web: Client::new(Proxies::new(|name| env.get(name))),
        }
    }
}

/// Whether a variable turns something on; like `K6_NO_COLOR`, any text but a plain no does.
fn is_on(text: &str) -> bool {
    parse_bool(text).unwrap_or(true)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SummaryMode {
    #[default]
    Compact,
    Full,
    Disabled,
}

/// A test that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenTest {
    /// The text of a script that a command has written.
    Script(String),
    /// An archive, as a state has one.
    Archive(Vec<u8>),
}

/// How a script is loaded, and what becomes of its results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// A test that is not in the file that its name says.
    pub given: Option<GivenTest>,
    /// What the file is said to be.
    pub source_type: Option<String>,
    /// No `global` in scripts.
    pub base_compatibility: bool,
    /// `__ENV` as far as the command line and the environment say: later ones win.
    pub env: Vec<(String, String)>,
    /// Those of them that the command line says.
    pub given_env: Vec<(String, String)>,
    /// The feature `freeze-env`, which is not for flags and variables alone to say.
    pub freeze_env: bool,
    /// Bytes that the script of one VU may take; the config file has a say in it, too.
    pub memory_limit: Option<usize>,
    pub no_thresholds: bool,
    pub summary_mode: SummaryMode,
    pub summary_export: Option<String>,
    pub new_machine_readable_summary: bool,
}

impl RuntimeSettings {
    /// `include_system_env` is the default of that setting.
    pub fn new(
        flags: &RuntimeFlags,
        env: &Environment,
        include_system_env: bool,
    ) -> Result<Self, SettingsError> {
        let text = |flag: &Option<String>, name| flag.clone().or_else(|| env.get(name).map(str::to_owned));
        let switch = |flag: Option<bool>, name: &'static str, default| match (flag, env.raw(name)) {
            (Some(flag), _) => Ok(flag),
            (None, None) => Ok(default),
            (None, Some(value)) => parse_bool(value).map_err(|reason| SettingsError::Switch { name, reason }),
        };
        let base_compatibility = match text(&flags.compatibility_mode, "K6_COMPATIBILITY_MODE").as_deref() {
            None | Some("" | "extended") => false,
            Some("experimental_enhanced") => {
                log::warn!(
                    "the compatibility mode \"experimental_enhanced\" is deprecated: \"extended\", the default, does the same"
                );
                false
            }
            Some("base") => true,
            Some(other) => return Err(SettingsError::CompatibilityMode(other.to_owned())),
        };
        let summary_mode = match text(&flags.summary_mode, "K6_SUMMARY_MODE").as_deref() {
            None | Some("" | "compact") => SummaryMode::Compact,
            Some("full") => SummaryMode::Full,
            Some("disabled") => SummaryMode::Disabled,
            Some(other) => return Err(SettingsError::SummaryMode(other.to_owned())),
        };
        let traces = text(&flags.traces_output, "K6_TRACES_OUTPUT");
        if traces.is_some_and(|output| !output.is_empty() && output != "none") {
            log::warn!("--traces-output has no effect yet, traces are not collected");
        }
        let mut script_env = Vec::new();
        if switch(flags.include_system_env_vars, "K6_INCLUDE_SYSTEM_ENV_VARS", include_system_env)? {
            script_env.extend(env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let given_env = given_env(&flags.env)?;
        for (name, value) in &given_env {
            script_env.retain(|(known, _)| known != name);
            script_env.push((name.clone(), value.clone()));
        }
        Ok(Self {
            given_env,
            source_type: text(&flags.r#type, "K6_TYPE").filter(|name| !name.is_empty()),
            base_compatibility,
            env: script_env,
            no_thresholds: switch(flags.no_thresholds, "K6_NO_THRESHOLDS", false)?,
            summary_mode,
            summary_export: text(&flags.summary_export, "K6_SUMMARY_EXPORT").filter(|path| !path.is_empty()),
            new_machine_readable_summary: switch(
                flags.new_machine_readable_summary,
                "K6_NEW_MACHINE_READABLE_SUMMARY",
                false,
            )?,
            ..Self::default()
        })
    }
}

/// Variables that are neither options nor settings of outputs.
const OTHER_VARIABLES: [&str; 13] = [
    "K6_ADDRESS",
    "K6_COMPATIBILITY_MODE",
    "K6_CONFIG",
    "K6_INCLUDE_SYSTEM_ENV_VARS",
    "K6_LOG_FORMAT",
    "K6_LOG_OUTPUT",
    "K6_NEW_MACHINE_READABLE_SUMMARY",
    "K6_NO_COLOR",
    "K6_NO_THRESHOLDS",
    "K6_SECRET_SOURCE",
    "K6_SUMMARY_EXPORT",
    "K6_SUMMARY_MODE",
    "K6_TYPE",
];

/// The variables that the command line gives to the script.
fn given_env(pairs: &[String]) -> Result<Vec<(String, String)>, SettingsError> {
    let mut given = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !is_variable_name(name) {
            return Err(SettingsError::EnvName(name.to_owned()));
        }
        warn_of_an_option(name);
        given.push((name.to_owned(), value.to_owned()));
    }
    Ok(given)
}

/// `-e` is for the script only, but many users expect it to set options.
fn warn_of_an_option(name: &str) {
    let is_option = [Options::VARIABLES, RunOptions::VARIABLES, &OTHER_VARIABLES].concat().contains(&name);
    // Some variables of outputs end in a name that the user chooses.
    let is_of_an_output = |variable: &String| match variable.strip_suffix("_NAME") {
        Some(prefix) if name.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1) => true,
        _ => variable == name,
    };
    if is_option || output_variables().iter().any(is_of_an_output) {
        log::warn!(
            "-e {name}=… only sets __ENV.{name} of the script. To set the option, put the variable into the environment: {name}=… senary run …"
        );
    }
}

fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
