//! How far the instances are, in one line.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use senary_words::duration::format_go;

use super::all::All;
use crate::terminal::is_terminal;

/// How often a line is written that does not take the place of the one before.
const EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    started: Instant,
    /// When a line was written last, and how many instances ran then.
    last: Option<(Instant, usize)>,
}

impl Progress {
    pub fn new(is_quiet: bool) -> Self {
        Self { is_quiet, is_terminal: is_terminal(&stdout()), started: Instant::now(), last: None }
    }

    pub fn show(&mut self, all: &All) {
        let running =
            all.iter().filter(|instance| instance.last().is_some() && !instance.is_settled()).count();
        let is_due = self.last.is_none_or(|(at, then)| at.elapsed() >= EVERY || then != running);
        if self.is_quiet || !(is_due || self.is_terminal) {
            return;
        }
        self.last = Some((Instant::now(), running));
        let line = self.line(all, running);
        // A reader that closed our output does not want to read about it.
        let _ = match self.is_terminal {
            true => write!(stdout(), "\r\x1b[K{line}").and_then(|()| stdout().flush()),
            false => writeln!(stdout(), "{line}"),
        };
    }

    /// Leaves the last line where it is.
    pub fn end(&mut self) {
        if self.is_terminal && self.last.take().is_some() {
            let _ = writeln!(stdout());
        }
    }

    fn line(&self, all: &All, running: usize) -> String {
        let (mut count, mut iterations, mut failures, mut lost) = (0, 0u64, 0u64, 0);
        for instance in all.iter() {
            count += 1;
            lost += usize::from(instance.is_lost());
            if let Some(known) = instance.last() {
                iterations = iterations.saturating_add(known.head.progress.full_iterations);
                failures = failures.saturating_add(known.failures);
            }
        }
        let lost = if lost > 0 { format!(", {lost} lost") } else { String::new() };
        let time = format_go(Duration::from_secs(self.started.elapsed().as_secs()));
        format!(
            "[{time}] {running} of {count} instances running{lost}, {iterations} iterations, {failures} failures"
        )
    }
}
