//! Where log lines go, and the thread that takes them there.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use log::LevelFilter;
use senary_output::Writable;
use senary_words::spelling::nearest;

use super::backlog::Line;
use super::{LogError, loki, parse_level};
use crate::terminal::is_terminal;

/// What `--log-output` says.
#[derive(Debug)]
pub enum Destination {
    Stderr,
    Stdout,
    None,
    File { path: PathBuf, level: LevelFilter },
    Loki(Box<loki::Config>),
}

const OUTPUTS: [&str; 5] = ["stderr", "stdout", "none", "file", "loki"];

impl Destination {
    pub fn parse(text: &str) -> Result<Self, LogError> {
        match text.split_once('=').unwrap_or((text, "")) {
            ("stderr" | "", "") => Ok(Self::Stderr),
            ("stdout", "") => Ok(Self::Stdout),
            ("none", "") => Ok(Self::None),
            ("file", settings) if text.contains('=') => Self::parse_file(settings),
            ("loki", settings) => Ok(Self::Loki(Box::new(loki::Config::parse(settings)?))),
            (name, _) => {
                let meant = match nearest(name, OUTPUTS) {
                    Some(meant) if meant != name => format!(", did you mean {meant}?"),
                    _ => String::new(),
                };
                Err(LogError::UnsupportedOutput { text: text.to_owned(), meant })
            }
        }
    }

    /// `path[,level=warning]`.
    fn parse_file(settings: &str) -> Result<Self, LogError> {
        let mut parts = settings.split(',');
        let path = PathBuf::from(parts.next().unwrap_or_default());
        if path.as_os_str().is_empty() {
            return Err(LogError::NoPath);
        }
        let mut level = LevelFilter::Trace;
        for part in parts {
            match part.split_once('=').unwrap_or((part, "")) {
                ("level", name) => level = parse_level(name)?,
                (key, _) => return Err(LogError::UnknownFileSetting(key.to_owned())),
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
            Self::Stderr => is_terminal(&io::stderr()),
            Self::Stdout => is_terminal(&io::stdout()),
            _ => false,
        }
    }
}

/// An open destination.
pub enum OpenDestination {
    Stderr,
    Stdout,
    None,
    File { file: BufWriter<Writable>, has_failed: bool },
}

impl OpenDestination {
    pub fn file(file: impl Into<Writable>) -> Self {
        Self::File { file: BufWriter::new(file.into()), has_failed: false }
    }

    fn is_terminal(&self) -> bool {
        match self {
            Self::Stderr => is_terminal(&io::stderr()),
            Self::Stdout => is_terminal(&io::stdout()),
            Self::None | Self::File { .. } => false,
        }
    }

    /// A log that cannot be written is not worth ending a run for, and there is no log to tell it. Of a file that is full,
    /// whoever looks at standard error learns.
    fn write(&mut self, text: &[u8]) {
        let result = self.try_write(text);
        if let (Self::File { has_failed, .. }, Err(error)) = (self, result)
            && !std::mem::replace(has_failed, true)
        {
            let _ = writeln!(io::stderr(), "could not write to the log file, lines are lost: {error}");
        }
    }

    fn try_write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(text),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::None => Ok(()),
            Self::File { file, .. } => {
                file.write_all(text)?;
                file.flush()
            }
        }
    }
}

/// Which of the outputs a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Log,
    Console,
    /// Standard error, wherever the log goes.
    Stderr,
}

/// The messages to the writing thread.
pub enum Message {
    /// With its newline.
    Line(Channel, Line),
    /// Where lines of the console go from now on.
    Console(Box<OpenDestination>),
    /// Who writes to the terminal from now on.
    Terminal(Box<dyn Fn(&str) + Send>),
    /// Answered once everything before it is written.
    Flush(SyncSender<()>),
}

/// Writes lines until all senders are gone.
pub fn write(log: OpenDestination, messages: &Receiver<Message>) {
    let mut writer = Writer {
        log,
        console: OpenDestination::None,
        terminal: None,
        waiting: String::new(),
        waiting_for: Channel::Log,
    };
    loop {
        match messages.try_recv() {
            Ok(message) => writer.take(message),
            Err(TryRecvError::Disconnected) => return writer.write(),
            Err(TryRecvError::Empty) => {
                writer.write();
                match messages.recv() {
                    Ok(message) => writer.take(message),
                    Err(_) => return,
                }
            }
        }
    }
}

/// Bytes that are written together, at most, but for the last line of them.
const TOGETHER: usize = 1 << 16;

/// The outputs, and lines for one of them that are written together.
struct Writer {
    log: OpenDestination,
    console: OpenDestination,
    terminal: Option<Box<dyn Fn(&str) + Send>>,
    waiting: String,
    waiting_for: Channel,
}

impl Writer {
    fn take(&mut self, message: Message) {
        let joins = matches!(&message, Message::Line(channel, _) if *channel == self.waiting_for);
        if !joins || self.waiting.len() > TOGETHER {
            self.write();
        }
        match message {
            Message::Line(channel, line) => {
                self.waiting_for = channel;
                self.waiting.push_str(&line.text);
            }
            Message::Console(output) => self.console = *output,
            Message::Terminal(write) => self.terminal = Some(write),
            Message::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    /// Writes the lines that wait.
    fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let output = match self.waiting_for {
            Channel::Log => &mut self.log,
            Channel::Console => &mut self.console,
            Channel::Stderr => &mut OpenDestination::Stderr,
        };
        match &self.terminal {
            Some(write) if output.is_terminal() => write(&self.waiting),
            _ => output.write(self.waiting.as_bytes()),
        }
        self.waiting.clear();
        // A line may have been as long as a script likes.
        self.waiting.shrink_to(2 * TOGETHER);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::super::backlog::Backlog;
    use std::fs::File;

    use super::*;

    #[test]
    fn targets() {
        let refused = |text: &str| Destination::parse(text).unwrap_err().to_string();
        assert!(matches!(Destination::parse("stderr"), Ok(Destination::Stderr)));
        assert!(matches!(Destination::parse("stdout"), Ok(Destination::Stdout)));
        assert!(matches!(Destination::parse("none"), Ok(Destination::None)));
        match Destination::parse("file=dir/k6.log,level=warning") {
            Ok(Destination::File { path, level }) => {
                assert_eq!((path.to_str(), level), (Some("dir/k6.log"), LevelFilter::Warn));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(refused("pigeon"), "unsupported log output 'pigeon'");
        assert_eq!(refused("file"), "unsupported log output 'file'");
        assert_eq!(refused("stdrr"), "unsupported log output 'stdrr', did you mean stderr?");
        assert_eq!(refused("fil=x.log"), "unsupported log output 'fil=x.log', did you mean file?");
        assert_eq!(refused("file=x,level=loud"), "not a valid log level: \"loud\"");
        assert_eq!(refused("file=x,size=1"), "unknown logfile config key size");
        assert_eq!(refused("file=x,size"), "unknown logfile config key size");
        assert_eq!(refused("file="), "filepath must not be empty");
        assert_eq!(refused("file=,level=info"), "filepath must not be empty");
        for level in ["fatal", "panic"] {
            let destination = Destination::parse(&format!("file=x,level={level}")).unwrap();
            assert_eq!(destination.level(), LevelFilter::Off, "nothing is ever logged as grave as {level}");
        }
    }

    /// Lines reach the output they were meant for, in their order, all of them before a flush is answered.
    #[test]
    fn lines_go_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        static BACKLOG: Backlog = Backlog::new(1000);
        let (sender, receiver) = sync_channel(10_000);
        let log = OpenDestination::file(File::create(path("log")).unwrap());
        let console = OpenDestination::file(File::create(path("console")).unwrap());
        let thread = std::thread::spawn(move || write(log, &receiver));
        sender.send(Message::Line(Channel::Log, BACKLOG.line("first\n".to_owned()))).unwrap();
        sender.send(Message::Console(Box::new(console))).unwrap();
        for n in 0..3000 {
            let channel = if n % 3 == 0 { Channel::Console } else { Channel::Log };
            sender.send(Message::Line(channel, BACKLOG.line(format!("{n}\n")))).unwrap();
        }
        let (done, is_done) = sync_channel(1);
        sender.send(Message::Flush(done)).unwrap();
        is_done.recv().unwrap();
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        let numbers = |is_console: bool| {
            (0..3000)
                .filter(move |n| (n % 3 == 0) == is_console)
                .map(|n| format!("{n}\n"))
                .collect::<String>()
        };
        assert_eq!(read("log"), format!("first\n{}", numbers(false)));
        assert_eq!(read("console"), numbers(true));
        drop(sender);
        thread.join().unwrap();
    }
}
