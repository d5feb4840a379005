//! The log: one implementation behind the `log` crate, for the program and for the consoles of scripts.
//!
//! Whoever logs formats the line; a thread of its own writes it, in order, so that a slow terminal or file holds
//! nobody up before its queue is full, and then nothing is dropped. Key-values are the reference's fields. What a
//! script's console prints comes under the target `console`.

mod backlog;
mod destination;
mod flood;
mod format;
mod loki;
pub mod recent;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use log::{Level, LevelFilter, Log, Metadata, Record};
use senary_output::Writable;
use senary_web::Client;
use senary_words::remedy::explained;

use backlog::Backlog;
use destination::{Channel, Destination, Message, OpenDestination};
use flood::Flood;
use format::{Entry, Format};

use crate::terminal::is_terminal;

#[cfg(fuzzing)]
pub use destination::Destination as LogDestination;

/// The target of what scripts print.
pub const CONSOLE: &str = "console";

/// What stands in the place of a secret.
const REDACTED: &str = "***SECRET_REDACTED***";
/// How long the end of the program waits for lines to be written.
const DRAIN: Duration = Duration::from_secs(5);
/// How much of that is left for lines that are written here, once Loki was waited for.
const LAST_LINES: Duration = Duration::from_millis(500);
/// Lines that may wait to be written.
const QUEUE: usize = 8192;
/// And their bytes.
static BACKLOG: Backlog = Backlog::new(16 << 20);

/// How to log, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `stderr`, `stdout`, `none`, `file=…` or `loki…`.
    pub output: Option<String>,
    /// `json`, `raw`; anything else is text.
    pub format: Option<String>,
    pub verbose: bool,
    pub no_color: bool,
    /// Nothing is counted instead of written.
    pub all: bool,
}

/// Why there is no log. The texts are the reference's; exit code 255.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("unsupported log output '{text}'{meant}")]
    UnsupportedOutput { text: String, meant: String },
    #[error("unsupported log format {name:?}, the formats are text, json and raw; did you mean {meant}?")]
    Format { name: String, meant: String },
    #[error("not a valid log level: {0:?}")]
    Level(String),
    #[error("unknown logfile config key {0}")]
    UnknownFileSetting(String),
    #[error("unknown log loki setting {0:?}")]
    UnknownLokiSetting(String),
    #[error("filepath must not be empty")]
    NoPath,
    #[error("provided directory '{}' does not exist", .0.display())]
    NoFolder(PathBuf),
    #[error("invalid value {value:?} of the log setting {key}: {reason}")]
    InvalidSetting { key: String, value: String, reason: String },
    #[error("could not open the log file {path:?}: {}", explained(.reason))]
    File { path: PathBuf, reason: io::Error },
    #[error("could not start the log: {}", explained(.0))]
    Start(io::Error),
}

/// The one log of the process.
struct Logger {
    format: Format,
    /// The level of what is logged, and the level of the output; a separate file for the console gets everything.
    level: LevelFilter,
    output_level: LevelFilter,
    /// Whether the log goes anywhere; the report has the last lines all the same.
    is_written: bool,
    /// Set once it is known; until then the console's lines go to the log.
    console_file: AtomicBool,
    sender: SyncSender<Message>,
    loki: Option<loki::Loki>,
    /// Unless everything is written.
    flood: Option<Flood>,
    started: Instant,
    /// How lines look on standard error, if the log goes where nobody who waits for the command sees it.
    on_stderr: Option<Format>,
    /// Whether they are written there, too.
    is_repeated: AtomicBool,
}

/// The zone that lines have their times in. To find it takes a walk through the system's list of zones, and most runs
/// log nothing that has a time of day.
static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

static LOGGER: OnceLock<Logger> = OnceLock::new();
static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());
static ANY_SECRETS: AtomicBool = AtomicBool::new(false);

/// Starts the log; `web` reaches a log server. Only the first call of a process counts.
pub fn init(settings: &Settings, web: &Client) -> Result<(), LogError> {
    let level = if settings.verbose { LevelFilter::Debug } else { LevelFilter::Info };
    let destination = Destination::parse(settings.output.as_deref().unwrap_or("stderr"))?;
    let output_level = level.min(destination.level());
    let is_written = !matches!(destination, Destination::None);
    let is_seen = matches!(destination, Destination::Stderr | Destination::Stdout);
    let stderr_format =
        Format::parse(settings.format.as_deref(), settings.no_color, is_terminal(&io::stderr()))?;
    let (sender, receiver) = sync_channel(QUEUE);
    let started = Instant::now();
    let mut format = Format::parse(settings.format.as_deref(), settings.no_color, destination.is_terminal())?;
    let mut loki = None;
    let output = match destination {
        Destination::Stderr => OpenDestination::Stderr,
        Destination::Stdout => OpenDestination::Stdout,
        Destination::None => OpenDestination::None,
        Destination::File { path, .. } => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.exists()) {
                return Err(LogError::NoFolder(folder.to_owned()));
            }
            OpenDestination::file(open(&path)?)
        }
        Destination::Loki(config) => {
            // Errors of Loki go to standard error.
            let sender = sender.clone();
            let say = move |entry: &Entry| {
                let line = stderr_format.line(entry, started.elapsed(), || &ZONE);
                let _ = sender.send(Message::Line(Channel::Log, BACKLOG.line(line)));
            };
            format = Format::Raw;
            loki = Some(loki::Loki::start(*config, web.clone(), Arc::new(say)).map_err(LogError::Start)?);
            OpenDestination::Stderr
        }
    };
    std::thread::Builder::new()
        .name("senary-log".into())
        .spawn(move || destination::write(output, &receiver))
        .map_err(LogError::Start)?;
    let logger = Logger {
        format,
        level,
        output_level,
        is_written,
        console_file: AtomicBool::new(false),
        sender,
        loki,
        flood: (!settings.all).then(Flood::default),
        started,
        on_stderr: (!is_seen).then_some(stderr_format),
        is_repeated: AtomicBool::new(false),
    };
    let logger = LOGGER.get_or_init(|| logger);
    log::set_max_level(level);
    // Set already, if this is not the first call.
    let _ = log::set_logger(logger);
    Ok(())
}

/// Whether there is a log that anything can be written to.
pub fn is_started() -> bool {
    LOGGER.get().is_some()
}

/// From now on everything that is logged is also written to standard error, unless the log goes to the terminal anyway. This is
/// for errors that end a command before it has done its work. A user who has turned the log off would not see them otherwise.
pub fn repeat_on_stderr() {
    if let Some(logger) = LOGGER.get() {
        logger.is_repeated.store(true, Ordering::Release);
    }
}

/// From now on what scripts print goes to this file and nowhere else.
pub fn console_to(path: &Path) -> Result<(), LogError> {
    let file = open(path)?;
    if let Some(logger) = LOGGER.get() {
        // Fails only if the writing thread is gone; then no log is left to speak of.
        let _ = logger.sender.send(Message::Console(Box::new(OpenDestination::file(file))));
        logger.console_file.store(true, Ordering::Release);
    }
    Ok(())
}

/// From now on a text never appears in the log.
pub fn redact(secret: &str) {
    if secret.is_empty() {
        return;
    }
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if !secrets.iter().any(|known| known == secret) {
        secrets.push(secret.to_owned());
        // Longer ones first, so that none shows around a shorter one inside it.
        secrets.sort_by_key(|known| std::cmp::Reverse(known.len()));
        ANY_SECRETS.store(true, Ordering::Release);
    }
}

/// From now on, lines for a terminal are passed to the code that draws on it. Each ends with a newline.
pub fn terminal_through(write: impl Fn(&str) + Send + 'static) {
    if let Some(logger) = LOGGER.get() {
        let _ = logger.sender.send(Message::Terminal(Box::new(write)));
    }
}

/// Waits until everything logged so far is written, but not for ever. To be called before the process ends.
pub fn flush() {
    let deadline = Instant::now() + DRAIN;
    write_counts();
    if let Some(loki) = LOGGER.get().and_then(|logger| logger.loki.as_ref()) {
        // What it has to complain of is written below.
        loki.flush(deadline - LAST_LINES);
    }
    flush_lines_until(deadline);
}

/// As [`flush`], for what is written on this machine: it does not wait for a server.
pub fn flush_lines() {
    write_counts();
    flush_lines_until(Instant::now() + DRAIN);
}

/// Writes how many lines were held back, as far as that is not written yet.
fn write_counts() {
    let Some(logger) = LOGGER.get() else { return };
    let counts = logger.flood.iter().flat_map(|flood| flood.rest(Instant::now()));
    counts.for_each(|count| logger.write(count, Channel::Log));
}

fn flush_lines_until(deadline: Instant) {
    let Some(logger) = LOGGER.get() else { return };
    let (done, is_done) = sync_channel(1);
    if logger.sender.send(Message::Flush(done)).is_ok() {
        let _ = is_done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Logger {
    /// How the lines are to look that are also written to standard error, if they are.
    fn repeated(&self) -> Option<Format> {
        self.on_stderr.filter(|_| self.is_repeated.load(Ordering::Acquire))
    }

    fn goes_to_console_file(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == CONSOLE && self.console_file.load(Ordering::Acquire)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Not what crates of others have to tell each other.
        let is_ours = metadata.target() == CONSOLE || metadata.target().starts_with(env!("CARGO_PKG_NAME"));
        let is_for_all = self.goes_to_console_file(metadata) || self.repeated().is_some();
        let most = if is_for_all { self.level } else { self.output_level };
        is_ours && metadata.level() <= most
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let goes_to_console_file = self.goes_to_console_file(record.metadata());
        let repeated = self.repeated();
        if !self.is_written && !goes_to_console_file && repeated.is_none() && !recent::is_kept() {
            return;
        }
        let mut entry = Entry::of(record);
        if ANY_SECRETS.load(Ordering::Acquire) {
            let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
            entry.replace(|text| hide(text, &secrets));
        }
        if goes_to_console_file {
            // The file has no other source.
            entry.fields.remove("source");
            return self.write(entry, Channel::Console);
        }
        // Before lines are counted instead of written: here they are counted, too.
        recent::note(&entry);
        if let Some(format) = repeated {
            self.send(format, &entry, Channel::Stderr);
        }
        if !self.is_written || record.level() > self.output_level {
            return;
        }
        // Everything a script prints is printed, and debug messages are never counted.
        let may_be_counted = record.target() != CONSOLE && record.level() <= Level::Info;
        let entry = match &self.flood {
            Some(flood) if may_be_counted => flood.pass(record, entry, Instant::now()),
            _ => Some(entry),
        };
        if let Some(entry) = entry {
            self.write(entry, Channel::Log);
        }
    }

    fn flush(&self) {
        flush();
    }
}

impl Logger {
    /// Hands a line to the thread that writes it, or to Loki.
    fn write(&self, entry: Entry, channel: Channel) {
        if let (Channel::Log, Some(loki)) = (channel, &self.loki) {
            return loki.push(entry);
        }
        let format = match channel {
            Channel::Console => self.format.off_terminal(),
            _ => self.format,
        };
        self.send(format, &entry, channel);
    }

    fn send(&self, format: Format, entry: &Entry, channel: Channel) {
        let line = format.line(entry, self.started.elapsed(), || &ZONE);
        // This fails only if the writing thread is gone; then nothing can be logged any more.
        let _ = self.sender.send(Message::Line(channel, BACKLOG.line(line)));
    }
}

fn hide(text: &str, secrets: &[String]) -> Option<String> {
    let mut hidden = None;
    for secret in secrets {
        let current = hidden.as_deref().unwrap_or(text);
        if current.contains(secret.as_str()) {
            hidden = Some(current.replace(secret.as_str(), REDACTED));
        }
    }
    hidden
}

fn open(path: &Path) -> Result<Writable, LogError> {
    Writable::append(path).map_err(|reason| LogError::File { path: path.to_owned(), reason })
}

/// The level of that name, as the reference's settings call it.
fn parse_level(name: &str) -> Result<LevelFilter, LogError> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::Trace,
        "debug" => LevelFilter::Debug,
        "info" => LevelFilter::Info,
        "warn" | "warning" => LevelFilter::Warn,
        "error" => LevelFilter::Error,
        // Graver than anything that is logged here.
        "fatal" | "panic" => LevelFilter::Off,
        _ => return Err(LogError::Level(name.to_owned())),
    })
}

/// The reference's names of levels.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let secrets = ["a secret inside".to_owned(), "secret".to_owned()];
        assert_eq!(hide("nothing", &secrets), None);
        let hidden = hide("a secret inside, and secret twice: secret", &secrets).unwrap();
        assert_eq!(hidden, format!("{REDACTED}, and {REDACTED} twice: {REDACTED}"));
    }
}
