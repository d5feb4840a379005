//! `--setup-data FILE`: `setup()` runs in the first instance of a test alone, and the others find in a file what it returned.
//!
//! The file may be there already, left by an earlier run, and nobody can know in which order instances start. So it says
//! which run it is of: the first instance claims it before anything else, and gives a sign of life every second until it has
//! ended. The others take what they see come, change or live on, and nothing that only lies there.
//!
//! Runs may overlap, and an instance cannot see which of them it is part of. But one run has each part of the test once. So
//! each instance that takes the data leaves a mark, and another one of the same part waits for a run of its own.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use senary_words::remedy::explained;
use serde::{Deserialize, Serialize};

use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::plan::TestPlan;

/// How often it is looked whether the file has something new.
const EVERY: Duration = Duration::from_millis(100);
/// How often the first instance gives a sign of life, and how long one that gives none is waited for.
const BEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(4);

/// What the file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetupFile {
    /// Each run has its own.
    run: String,
    /// The script, as states have it, and how the test is cut.
    script_hash: String,
    sequence: String,
    /// Signs of life so far.
    beat: u64,
    /// When the first instance had ended, in milliseconds since 1970.
    over: Option<u64>,
    /// `None` until `setup()` is over.
    outcome: Option<Outcome>,
}

impl SetupFile {
    fn is_run(name: &str) -> bool {
        name.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    /// What `setup()` returned, as JSON, if it returned something.
    Data(Option<String>),
    Error {
        code: u8,
        reason: String,
    },
}

/// The file, and which end of it this instance has.
pub struct SharedSetup(End);

enum End {
    First(Claim),
    Other(Waiting),
}

/// The first instance's hold on the file, until it is dropped.
struct Claim {
    path: PathBuf,
    file: Arc<Mutex<SetupFile>>,
    beats: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What another instance finds.
enum Found {
    /// `setup()` is not over.
    Nothing,
    /// What an earlier run has left.
    Old,
    /// What another instance of the same part has taken.
    Taken,
    Outcome(Outcome),
}

/// What another instance waits for.
struct Waiting {
    path: PathBuf,
    script_hash: String,
    sequence: String,
    /// Which part of the test this instance runs.
    part: String,
    /// What was there when this instance began, and when that was.
    before: Option<SetupFile>,
    begun: u64,
}

impl SharedSetup {
    /// `None` if nobody asks for it. `begun` is when this process did.
    pub async fn wanted(
        flag: Option<&str>,
        env: &Environment,
        plan: &TestPlan,
        begun: SystemTime,
        script_hash: impl FnOnce() -> String,
    ) -> Result<Option<Self>, CommandError> {
        let Some(path) = flag.or_else(|| env.get("SENARY_SETUP_DATA")).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let (path, script_hash) = (PathBuf::from(path), script_hash());
        let segment = plan.load.segment();
        let sequence = segment.sequence().to_string();
        if segment.segment().to_string().starts_with("0:") {
            let run = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
            let file = SetupFile { run, script_hash, sequence, beat: 0, over: None, outcome: None };
            return Ok(Some(Self(End::First(Claim::new(path, file).await?))));
        }
        let (part, before, begun) = (segment.segment().to_string(), read(&path)?, millis(begun));
        Ok(Some(Self(End::Other(Waiting { path, script_hash, sequence, part, before, begun }))))
    }

    /// Whether this is the instance that runs `setup()` and `teardown()`: the one whose segment begins at 0.
    pub fn is_first(&self) -> bool {
        matches!(self.0, End::First(_))
    }

    /// Tells the others what came of `setup()`: its data, as JSON, or its failure.
    pub fn publish(&self, outcome: Result<Option<&str>, &CommandError>) -> Result<(), CommandError> {
        let End::First(claim) = &self.0 else { return Ok(()) };
        let outcome = match outcome {
            Ok(data) => Outcome::Data(data.map(str::to_owned)),
            Err(failure) => Outcome::Error { code: failure.code(), reason: failure.to_string() },
        };
        claim.change(|file| file.outcome = Some(outcome)).map_err(|error| unwritten(&claim.path, &error))
    }

    /// Waits for what `publish` tells.
    pub async fn wait(&self, limit: Duration) -> Result<Option<String>, CommandError> {
        let End::Other(waiting) = &self.0 else { return Ok(None) };
        let from = Instant::now();
        loop {
            let found = waiting.look()?;
            if let Found::Outcome(outcome) = found {
                return match outcome {
                    Outcome::Data(data) => Ok(data),
                    Outcome::Error { code, reason } => Err(CommandError::OfInstance {
                        instance: "the first instance".to_owned(),
                        code,
                        reason,
                    }),
                };
            }
            if from.elapsed() >= limit {
                return Err(waiting.given_up(&found, limit));
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Waiting {
    fn look(&self) -> Result<Found, CommandError> {
        let Some(file) = read(&self.path)? else { return Ok(Found::Nothing) };
        if !self.is_of_this_run(&file) {
            return Ok(Found::Old);
        }
        let run = file.run.clone();
        let Some(outcome) = self.outcome(file)? else { return Ok(Found::Nothing) };
        let taken = Marks::beside(&self.path).leave(&run, &self.part);
        if !taken.map_err(|error| unwritten(&self.path, &error))? {
            return Ok(Found::Taken);
        }
        // The next run removes the marks of this one when it has the file: the mark was the first if the file is still the same.
        let is_still_there = read(&self.path)?.is_some_and(|now| now.run == run);
        Ok(if is_still_there { Found::Outcome(outcome) } else { Found::Nothing })
    }

    fn given_up(&self, found: &Found, limit: Duration) -> CommandError {
        let path = self.path.display().to_string();
        match found {
            Found::Taken => CommandError::SetupDataTaken { path, part: self.part.clone(), limit },
            _ => CommandError::NoSetupData { path, limit, is_old: matches!(found, Found::Old) },
        }
    }

    /// Whether the file is of the run that this instance is part of: it came or changed while this one was there, or was still
    /// held then.
    fn is_of_this_run(&self, file: &SetupFile) -> bool {
        self.before.as_ref() != Some(file) || file.over.is_some_and(|over| over >= self.begun)
    }

    /// What came of `setup()`, once that is over.
    fn outcome(&self, file: SetupFile) -> Result<Option<Outcome>, CommandError> {
        let other = match () {
            () if file.script_hash != self.script_hash => "script, or of another version of it",
            () if file.sequence != self.sequence => "division of the test",
            () => return Ok(file.outcome),
        };
        Err(CommandError::Command(format!(
            "--setup-data: {} is of a run of another {other}: give the instances of every test a file of their own",
            self.path.display()
        )))
    }
}

impl Claim {
    /// Takes the file, whatever an earlier run has left in it. One that another run still holds is an error.
    async fn new(path: PathBuf, file: SetupFile) -> Result<Self, CommandError> {
        let before = read(&path)?;
        let (from, mut is_held) =
            (Instant::now(), before.as_ref().is_some_and(|before| before.over.is_none()));
        while is_held && from.elapsed() < SILENCE {
            tokio::time::sleep(EVERY).await;
            let now = read(&path)?;
            if now.as_ref().is_some_and(|now| now.over.is_none()) && now != before {
                return Err(CommandError::Command(format!(
                    "--setup-data: another run uses {} now: give every run a file of its own",
                    path.display()
                )));
            }
            is_held = now.is_some_and(|now| now.over.is_none());
        }
        let mut claim = Self { path, file: Arc::new(Mutex::new(file)), beats: None };
        claim.change(|_| ()).map_err(|error| unwritten(&claim.path, &error))?;
        claim.beats = Some(claim.beat()?);
        let run = claim.file.lock().unwrap_or_else(PoisonError::into_inner).run.clone();
        let removed = Marks::beside(&claim.path).keep_only(&run);
        removed.map_err(|error| unwritten(&claim.path, &error))?;
        Ok(claim)
    }

    fn beat(&self) -> Result<(Sender<()>, JoinHandle<()>), CommandError> {
        let (end, ended) = channel::<()>();
        let (path, file) = (self.path.clone(), self.file.clone());
        let beats = move || {
            let mut has_failed = false;
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                let written = change(&path, &file, |file| file.beat += 1);
                if let Err(error) = written
                    && !std::mem::replace(&mut has_failed, true)
                {
                    log::warn!("{}", unwritten(&path, &error));
                }
            }
        };
        let thread = thread::Builder::new().name("setup-data".to_owned()).spawn(beats);
        Ok((end, thread.map_err(CommandError::system("holding the file of --setup-data"))?))
    }

    fn change(&self, how: impl FnOnce(&mut SetupFile)) -> io::Result<()> {
        change(&self.path, &self.file, how)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some((end, thread)) = self.beats.take() else { return };
        drop(end);
        // A thread that has panicked has said so.
        let _ = thread.join();
        let over = Some(millis(SystemTime::now()));
        if let Err(error) = self.change(|file| file.over = over) {
            log::warn!("{}", unwritten(&self.path, &error));
        }
    }
}

/// Which parts of a run have its data: an empty file for each, in a folder beside the file.
struct Marks(PathBuf);

impl Marks {
    fn beside(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push(".taken");
        Self(folder.into())
    }

    /// `false` if another instance has left the mark of this part.
    fn leave(&self, run: &str, part: &str) -> io::Result<bool> {
        fs::create_dir_all(&self.0)?;
        match File::create_new(self.0.join(format!("{run}-{}", part.replace(['/', ':'], "_")))) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what earlier runs have left.
    fn keep_only(&self, run: &str) -> io::Result<()> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&format!("{run}-")) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Changes the file in one piece: nobody reads half of it.
fn change(path: &Path, file: &Mutex<SetupFile>, how: impl FnOnce(&mut SetupFile)) -> io::Result<()> {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    how(&mut file);
    let text = serde_json::to_vec(&*file)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut out = File::create(&part)?;
    out.write_all(&text)?;
    out.sync_data()?;
    fs::rename(&part, path)
}

/// What the file says; `None` if it is not there.
fn read(path: &Path) -> Result<Option<SetupFile>, CommandError> {
    // Nobody may ever write to a pipe.
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return Err(CommandError::SetupDataUnreadable(path.display().to_string()));
    }
    match fs::read(path) {
        Ok(text) => match serde_json::from_slice::<SetupFile>(&text) {
            // The name of a run becomes part of the name of a file.
            Ok(file) if SetupFile::is_run(&file.run) => Ok(Some(file)),
            _ => Err(CommandError::SetupDataUnreadable(path.display().to_string())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let (path, reason) = (path.display(), explained(&error));
            Err(CommandError::Command(format!("--setup-data: {path} cannot be read: {reason}")))
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> CommandError {
    let (path, reason) = (path.display(), explained(error));
    CommandError::Command(format!("--setup-data: {path} cannot be written: {reason}"))
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
