//! `--out state`: where a run writes what it adds up to, and how often. The binary makes the states and writes them; only the
//! settings are here.

use std::time::Duration;

use crate::output::{CreateError, OutputContext};
use crate::settings::{self, Set, Setting, SettingHelp, period, read, read_argument};

/// Where states go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTarget {
    /// A file, or a folder.
    pub path: String,
    /// How often a state is written while the run lasts.
    pub period: Duration,
}

const SETTINGS: &[Setting<StateTarget>] = &[
    Setting {
        key: "fileName",
        variables: &["K6_STATE_FILENAME"],
        default: "",
        meaning: "the file, or the folder in which the file has the name of the machine",
        set: Set::One(|target, text| {
            text.clone_into(&mut target.path);
            Ok(())
        }),
    },
    Setting {
        key: "period",
        variables: &["K6_STATE_PERIOD"],
        default: "10s",
        meaning: "how often the state is written while the test runs",
        set: Set::One(|target, text| period(text).map(|period| target.period = period)),
    },
];

pub(crate) fn settings() -> Vec<SettingHelp> {
    settings::help(SETTINGS)
}

impl StateTarget {
    /// Reads what follows the `=`, and the settings elsewhere.
    pub fn new(argument: Option<&str>, context: &OutputContext) -> Result<Self, CreateError> {
        let mut target = Self { path: String::new(), period: Duration::from_secs(10) };
        read(&mut target, SETTINGS, &["state"], context)?;
        read_argument(&mut target, SETTINGS, Some("fileName"), argument.unwrap_or_default())?;
        match target.path.as_str() {
            "" | "-" => Err("it needs a file or a folder: --out state=FILE".to_owned().into()),
            _ => Ok(target),
        }
    }
}
