//! Where log lines go, and the thread that takes them there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use log::LevelFilter;

use super::{LogError, loki, parse_level, stderr_is_terminal, stdout_is_terminal};

/// What `--log-output` says.
#[derive(Debug)]
pub enum Target {
    Stderr,
    Stdout,
    None,
    File { path: PathBuf, level: LevelFilter },
    Loki(Box<loki::Config>),
}

impl Target {
    pub fn parse(text: &str) -> Result<Self, LogError> {
        match text.split_once('=').unwrap_or((text, "")) {
            ("stderr" | "", "") => Ok(Self::Stderr),
            ("stdout", "") => Ok(Self::Stdout),
            ("none", "") => Ok(Self::None),
            ("file", settings) if !settings.is_empty() => Self::parse_file(settings),
            ("loki", settings) => Ok(Self::Loki(Box::new(loki::Config::parse(settings)?))),
            _ => Err(LogError::UnsupportedOutput(text.to_owned())),
        }
    }

    /// `path[,level=warning]`.
    fn parse_file(settings: &str) -> Result<Self, LogError> {
        let mut parts = settings.split(',');
        let path = PathBuf::from(parts.next().unwrap_or_default());
        let mut level = LevelFilter::Trace;
        for part in parts {
            match part.split_once('=') {
                Some(("level", name)) => level = parse_level(name)?,
                _ => return Err(LogError::UnknownSetting { kind: "file", key: part.to_owned() }),
            }
        }
        Ok(Self::File { path, level })
    }

    /// What it takes at most.
    pub fn level(&self) -> LevelFilter {
        match self {
            Self::File { level, .. } => *level,
            Self::Loki(config) => config.level,
            _ => LevelFilter::Trace,
        }
    }

    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Stderr => stderr_is_terminal(),
            Self::Stdout => stdout_is_terminal(),
            _ => false,
        }
    }
}

/// An open destination.
pub enum Output {
    Stderr,
    Stdout,
    None,
    File(BufWriter<File>),
}

impl Output {
    pub fn file(file: File) -> Self {
        Self::File(BufWriter::new(file))
    }

    fn is_terminal(&self) -> bool {
        match self {
            Self::Stderr => stderr_is_terminal(),
            Self::Stdout => stdout_is_terminal(),
            Self::None | Self::File(_) => false,
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(text),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::None => Ok(()),
            Self::File(file) => {
                file.write_all(text)?;
                file.flush()
            }
        }
    }
}

/// Which of the two outputs a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Log,
    Console,
}

/// What the writing thread is told.
pub enum Message {
    /// With its newline.
    Line(Channel, String),
    /// Where lines of the console go from now on.
    Console(Box<Output>),
    /// Who writes to the terminal from now on.
    Terminal(Box<dyn Fn(&str) + Send>),
    /// Answered once everything before it is written.
    Flush(SyncSender<()>),
}

/// Writes lines until nobody can send any. Lines that wait are written together.
pub fn write(mut log: Output, messages: &Receiver<Message>) {
    let mut console = Output::None;
    let mut terminal: Option<Box<dyn Fn(&str) + Send>> = None;
    let mut waiting = String::new();
    let mut waiting_for = Channel::Log;
    let mut flush = |waiting: &mut String,
                     channel: Channel,
                     console: &mut Output,
                     terminal: &Option<Box<dyn Fn(&str) + Send>>| {
        if waiting.is_empty() {
            return;
        }
        let output = if channel == Channel::Log { &mut log } else { console };
        match terminal {
            Some(write) if output.is_terminal() => write(waiting),
            // There is no log to tell that the log cannot be written.
            _ => drop(output.write(waiting.as_bytes())),
        }
        waiting.clear();
    };
    loop {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => {
                flush(&mut waiting, waiting_for, &mut console, &terminal);
                match messages.recv() {
                    Ok(message) => message,
                    Err(_) => return,
                }
            }
            Err(TryRecvError::Disconnected) => {
                return flush(&mut waiting, waiting_for, &mut console, &terminal);
            }
        };
        if !matches!(&message, Message::Line(channel, _) if *channel == waiting_for)
            || waiting.len() > 1 << 16
        {
            flush(&mut waiting, waiting_for, &mut console, &terminal);
        }
        match message {
            Message::Line(channel, line) => {
                waiting_for = channel;
                waiting.push_str(&line);
            }
            Message::Console(output) => console = *output,
            Message::Terminal(write) => terminal = Some(write),
            Message::Flush(done) => drop(done.send(())),
        }
    }
}
