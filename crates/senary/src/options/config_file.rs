//! The JSON config file: the lowest layer of options, and what only `run` takes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use senary_js::source::read_text;
use senary_words::remedy::explained;
use serde_json::{Map, Value};

use super::Options;
use super::remarks::Remarks;
use super::run_options::RunOptions;
use super::value::{Fields, Invalid};
use crate::environment::Environment;

/// What a config file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigFile {
    pub options: Options,
    pub run: RunOptions,
    /// Settings of outputs, by the outputs' names.
    pub collectors: Map<String, Value>,
    pub remarks: Remarks,
}

/// Where the file is, and whether the user asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigPath {
    /// It must be there.
    Given(PathBuf),
    /// It may be there.
    Default(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("could not read the configuration file {path:?}: {}", explained(.reason))]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("the configuration file {path:?} is not a JSON object: {reason}")]
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
    /// The flag, the variable, or the reference's default place. A user who names that default place asks for nothing else.
    pub fn find(flag: Option<&str>, env: &Environment) -> Option<Self> {
        let home = || env.get("HOME").map(|home| Path::new(home).join(".config"));
        let folder = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
        let default = folder.map(|folder| folder.join("k6").join("config.json"));
        match flag.or_else(|| env.get("K6_CONFIG")).map(PathBuf::from) {
            Some(path) if default.as_ref() != Some(&path) => Some(Self::Given(path)),
            _ => default.map(Self::Default),
        }
    }
}

impl ConfigFile {
    pub fn read(path: &ConfigPath) -> Result<Self, ConfigFileError> {
        let (path, must_be_there) = match path {
            ConfigPath::Given(path) => (path.clone(), true),
            ConfigPath::Default(path) => (path.clone(), false),
        };
        let text = match read_text(&path) {
            Ok(text) => {
                log::debug!("reading the configuration file {}", path.display());
                text
            }
            Err(reason) if !must_be_there && reason.kind() == ErrorKind::NotFound => {
                log::debug!("there is no configuration file {}", path.display());
                return Ok(Self::default());
            }
            Err(reason) => return Err(ConfigFileError::Unreadable { path, reason }),
        };
        let not_json = |reason: String| ConfigFileError::NotJson { path: path.clone(), reason };
        let value: Value = serde_json::from_str(&text).map_err(|e| not_json(e.to_string()))?;
        let object = match value {
            Value::Object(object) => object,
            Value::Null => Map::new(),
            _ => return Err(not_json("it is something else".to_owned())),
        };
        Self::decode(object).map_err(|reason| ConfigFileError::Invalid { path, reason })
    }

    /// What the object of a file says.
    pub fn decode(object: Map<String, Value>) -> Result<Self, Invalid> {
        let mut remarks = Remarks::default();
        let object = Value::Object(object);
        let mut fields = Fields::of(&object, "an object of options")?;
        let run = RunOptions::take_fields(&mut fields, &mut remarks)?;
        let collectors = match fields.get("collectors") {
            None => Map::new(),
            Some(Value::Object(collectors)) => collectors.clone(),
            Some(other) => {
                let reason = format!("expected an object with the settings of each output, found {other}");
                return Err(Invalid::new(reason).within("collectors"));
            }
        };
        // Known, and of no use here: nothing is uploaded.
        let _: Option<bool> = fields.take("noArchiveUpload", &mut remarks)?;
        fields.get("secretSource");
        // Here it is not a script's option without effect.
        let options = Options { features: None, ..Options::take_all(&mut fields, &mut remarks)? };
        Ok(Self { options, run, collectors, remarks })
    }
}
