//! `--setup-data FILE`: `setup()` runs in the first instance of a test alone, and the others find in a file what it returned.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use senary_words::remedy::explained;
use serde_json::{Value, json};

use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::plan::TestPlan;

/// How often it is looked whether the file is there.
const EVERY: Duration = Duration::from_millis(100);

/// The file, and which end of it this instance has.
pub struct SharedSetup {
    path: PathBuf,
    is_first: bool,
}

impl SharedSetup {
    /// `None` if nobody asks for it. A file that the first instance finds is an error: others would take it for that of this run.
    pub fn wanted(
        flag: Option<&str>,
        env: &Environment,
        plan: &TestPlan,
    ) -> Result<Option<Self>, CommandError> {
        let Some(path) = flag.or_else(|| env.get("SENARY_SETUP_DATA")).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let is_first = plan.load.segment().segment().to_string().starts_with("0:");
        let shared = Self { path: path.into(), is_first };
        if is_first && shared.path.exists() {
            return Err(CommandError::Command(format!(
                "--setup-data: {path} is there already, perhaps of an earlier run: remove it, or give every run a file of its own"
            )));
        }
        Ok(Some(shared))
    }

    /// Whether this is the instance that runs `setup()` and `teardown()`: the one whose segment begins at 0.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Tells the others what came of `setup()`: its data, as JSON, or its failure.
    pub fn publish(&self, outcome: Result<Option<&str>, &CommandError>) -> Result<(), CommandError> {
        let text = match outcome {
            Ok(Some(data)) => format!(r#"{{"data":{data}}}"#),
            Ok(None) => "{}".to_owned(),
            Err(failure) => {
                json!({"error": {"code": failure.code(), "reason": failure.to_string()}}).to_string()
            }
        };
        self.write(&text).map_err(|error| {
            let (path, reason) = (self.path.display(), explained(&error));
            CommandError::Command(format!("--setup-data: {path} cannot be written: {reason}"))
        })
    }

    /// Waits for what `publish` writes.
    pub async fn wait(&self, limit: Duration) -> Result<Option<String>, CommandError> {
        let path = || self.path.display().to_string();
        let from = Instant::now();
        loop {
            match fs::read_to_string(&self.path) {
                Ok(text) => return read(&text).ok_or_else(|| CommandError::SetupDataUnreadable(path()))?,
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let reason = explained(&error);
                    let text = format!("--setup-data: {} cannot be read: {reason}", path());
                    return Err(CommandError::Command(text));
                }
                Err(_) if from.elapsed() >= limit => {
                    return Err(CommandError::NoSetupData { path: path(), limit });
                }
                Err(_) => tokio::time::sleep(EVERY).await,
            }
        }
    }

    /// In one piece: nobody reads half of it.
    fn write(&self, text: &str) -> io::Result<()> {
        let mut part = self.path.clone().into_os_string();
        part.push(".part");
        let mut file = File::create(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&part, &self.path)
    }
}

/// The data, or the failure; `None` if it is neither.
fn read(text: &str) -> Option<Result<Option<String>, CommandError>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let document = document.as_object()?;
    if let Some(error) = document.get("error") {
        let code = u8::try_from(error["code"].as_u64()?).ok()?;
        let (instance, reason) = ("the first instance".to_owned(), error["reason"].as_str()?.to_owned());
        return Some(Err(CommandError::OfInstance { instance, code, reason }));
    }
    match document.get("data") {
        None if document.is_empty() => Some(Ok(None)),
        None => None,
        Some(data) => Some(Ok(Some(data.to_string()))),
    }
}
