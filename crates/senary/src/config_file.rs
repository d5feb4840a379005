//! The JSON config file: the lowest layer of options, and what only `run` takes.

use std::path::{Path, PathBuf};

use senary_js::source::io_text;
use serde_json::{Map, Value};

use crate::environment::Environment;
use crate::options::{ByteSize, Invalid, OptionValue, Options, Unknown};

/// What a config file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigFile {
    pub options: Options,
    pub out: Option<Vec<String>>,
    pub linger: Option<bool>,
    pub features: Option<Vec<String>>,
    pub fail_on_saturation: Option<bool>,
    pub vu_memory_limit: Option<ByteSize>,
    /// Settings of outputs, by the outputs' names.
    pub collectors: Map<String, Value>,
    pub unknown: Unknown,
}

/// Where the file is, and whether somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigPath {
    /// It must be there.
    Given(PathBuf),
    /// It may be there.
    Default(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("could not read the configuration file {path:?}: {}", io_text(.reason))]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("the configuration file {path:?} is no JSON object: {reason}")]
    NotJson { path: PathBuf, reason: String },
    #[error("the configuration file {path:?} has an error: {reason}")]
    Invalid { path: PathBuf, reason: Invalid },
}

impl std::fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Given(path) | Self::Default(path)) = self;
        write!(f, "{}", path.display())
    }
}

impl ConfigPath {
    /// The flag, the variable, or the reference's default place.
    pub fn find(flag: Option<&str>, env: &Environment) -> Option<Self> {
        if let Some(path) = flag.or_else(|| env.get("K6_CONFIG")) {
            return Some(Self::Given(path.into()));
        }
        let home = || env.get("HOME").map(|home| Path::new(home).join(".config"));
        let folder = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
        Some(Self::Default(folder.join("k6").join("config.json")))
    }
}

impl ConfigFile {
    pub fn read(path: &ConfigPath) -> Result<Self, ConfigFileError> {
        let (path, must_be_there) = match path {
            ConfigPath::Given(path) => (path.clone(), true),
            ConfigPath::Default(path) => (path.clone(), false),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => {
                log::debug!("reading the configuration file {}", path.display());
                text
            }
            Err(reason) if must_be_there => return Err(ConfigFileError::Unreadable { path, reason }),
            Err(reason) => {
                log::debug!("there is no configuration file {}: {reason}", path.display());
                return Ok(Self::default());
            }
        };
        let not_json = |reason: String| ConfigFileError::NotJson { path: path.clone(), reason };
        let value: Value = serde_json::from_str(&text).map_err(|e| not_json(e.to_string()))?;
        let Value::Object(object) = value else { return Err(not_json("it is something else".to_owned())) };
        Self::decode(object).map_err(|reason| ConfigFileError::Invalid { path, reason })
    }

    /// What the object of a file says.
    pub fn decode(mut object: Map<String, Value>) -> Result<Self, Invalid> {
        let mut unknown = Unknown::new();
        let out = take::<Vec<String>>(&mut object, "out", &mut unknown)?;
        let linger = take::<bool>(&mut object, "linger", &mut unknown)?;
        let fail_on_saturation = take::<bool>(&mut object, "failOnSaturation", &mut unknown)?;
        let vu_memory_limit = take::<ByteSize>(&mut object, "vuMemoryLimit", &mut unknown)?;
        let features = match object.remove("features") {
            None | Some(Value::Null) => None,
            Some(Value::String(list)) => Vec::parse(&list)?,
            Some(list) => Vec::decode(&list, &mut unknown).map_err(|e| e.within("features"))?,
        };
        let collectors = match object.remove("collectors") {
            Some(Value::Object(collectors)) => collectors,
            _ => Map::new(),
        };
        // Known, and of no use here: nothing is reported, uploaded or shown in a browser.
        for ignored in ["noUsageReport", "noArchiveUpload", "webDashboard", "secretSource"] {
            object.remove(ignored);
        }
        let options = Options::decode(&Value::Object(object), &mut unknown)?;
        Ok(Self { options, out, linger, features, fail_on_saturation, vu_memory_limit, collectors, unknown })
    }
}

fn take<T: OptionValue>(
    object: &mut Map<String, Value>,
    key: &str,
    unknown: &mut Unknown,
) -> Result<Option<T>, Invalid> {
    match object.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::decode(&value, unknown).map_err(|e| e.within(key)),
    }
}
