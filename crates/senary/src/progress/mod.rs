//! The progress of a run: bars redrawn in place on a terminal, plain blocks of lines elsewhere.
//!
//! A thread of its own takes a [`Snapshot`] at regular intervals and shows it, so that nothing waits for a slow terminal. Bars
//! are redrawn when something happens in the run, too. `senary-execution` defines what the figures mean, `text` how they read,
//! and [`Terminal`] how frames reach the screen.

mod text;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use senary_execution::ScenarioProgress;

use crate::run_events::{Happened, RunEvents, Subscription};
use crate::terminal::Terminal;
use text::Style;

/// Where a run stands, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub headline: Headline,
    pub scenarios: Vec<ScenarioProgress>,
    /// The name of what is measured in each, where the script measures something.
    pub measured: Vec<Option<String>>,
}

/// What the first line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Headline {
    /// Preparing something: `Starting outputs`.
    Preparing(&'static str),
    /// VUs are being made.
    InitializingVus { initialized: u64, planned: u64 },
    /// Before the load: `paused`, `setup()`.
    Stage(&'static str),
    /// After the load: it stays in sight.
    Teardown,
    /// The load is on, or is over.
    Running(Running),
}

/// Figures of the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub elapsed: Duration,
    /// The longest the load may last.
    pub max_duration: Duration,
    pub active_vus: u64,
    pub initialized_vus: u64,
    /// The most VUs there may be.
    pub max_vus: u64,
    pub complete_iterations: u64,
    pub interrupted_iterations: u64,
}

/// How progress is shown.
#[derive(Clone)]
pub enum Display {
    /// Not at all: `--quiet`.
    None,
    /// In blocks, one after the other.
    Plain,
    /// As bars that move.
    Bars { terminal: Arc<Terminal>, color: bool },
}

impl Display {
    fn interval(&self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Plain => Some(Duration::from_secs(1)),
            Self::Bars { .. } => Some(Duration::from_millis(100)),
        }
    }

    fn show(&self, snapshot: &Snapshot) {
        match self {
            Self::None => {}
            Self::Plain => {
                let block = format!("\n{}\n", text::lines(snapshot, Style::Percent).join("\n"));
                let mut stdout = io::stdout().lock();
                // Whoever closed our output does not want to read about it.
                let _ = stdout.write_all(block.as_bytes()).and_then(|()| stdout.flush());
            }
            Self::Bars { terminal, color } => terminal.draw(|size| {
                let style = Style::Bars { columns: size.columns, rows: size.rows, color: *color };
                let mut lines = vec![String::new()];
                lines.extend(text::lines(snapshot, style));
                text::shorten(lines, size.rows)
            }),
        }
    }

    /// What was shown last stays.
    fn leave(&self) {
        if let Self::Bars { terminal, .. } = self {
            terminal.release();
        }
    }
}

/// The display at work. Dropping it shows how the run stands a last time, and leaves that on the screen.
pub struct Progress(Option<Work>);

struct Work {
    /// Dropping it ends the thread.
    subscription: Subscription,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Shows what `snapshot` returns: at regular intervals, and bars also when something has happened.
    pub fn start(
        display: Display,
        events: &Arc<RunEvents>,
        snapshot: impl Fn() -> Snapshot + Send + 'static,
    ) -> io::Result<Self> {
        let Some(interval) = display.interval() else { return Ok(Self(None)) };
        let (subscription, happened) = events.subscribe();
        let at_once = matches!(display, Display::Bars { .. });
        let thread = thread::Builder::new().name("progress".into()).spawn(move || {
            while is_due(&happened, interval, at_once) {
                display.show(&snapshot());
            }
            display.show(&snapshot());
            display.leave();
        })?;
        Ok(Self(Some(Work { subscription, thread })))
    }
}

/// Waits for the end of the interval or, if wanted, for the next event. False if the display is to end.
fn is_due(happened: &Receiver<Happened>, interval: Duration, at_once: bool) -> bool {
    let due = Instant::now() + interval;
    loop {
        match happened.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(_) if at_once => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Work { subscription, thread }) = self.0.take() {
            drop(subscription);
            // A display that failed is not worth failing for.
            let _ = thread.join();
        }
    }
}
