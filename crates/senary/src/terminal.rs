//! A terminal with a live region at its bottom: lines that are redrawn in place, and ordinary text above them.
//!
//! Everything that reaches the terminal while the region is shown has to go through here, log lines too.
//! A frame is one write, and the cursor is hidden only inside of it: however the process ends, the terminal is
//! left as it was.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether something is a terminal that knows colours and how to move its cursor. One that calls itself dumb knows
/// neither: it is written to like a file.
pub fn is_terminal(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const ERASE_LINE_END: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// What fits on the screen, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// Where a terminal does not say how large it is.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// A terminal, shared by all who write to it.
pub struct Terminal {
    state: Mutex<State>,
    size: Box<dyn Fn() -> Size + Send + Sync>,
}

struct State {
    out: Box<dyn Write + Send>,
    /// The lines of the live region, as they were last drawn.
    shown: Vec<String>,
}

impl Terminal {
    /// Standard output, if it is a terminal.
    pub fn stdout() -> Option<Arc<Self>> {
        let stdout = io::stdout();
        is_terminal(&stdout).then(|| Arc::new(Self::new(Box::new(stdout), Box::new(stdout_size))))
    }

    fn new(out: Box<dyn Write + Send>, size: Box<dyn Fn() -> Size + Send + Sync>) -> Self {
        Self { state: Mutex::new(State { out, shown: Vec::new() }), size }
    }

    /// Whether what goes to standard error appears on the same screen.
    pub fn shows_stderr() -> bool {
        let device =
            |fd: io::Result<std::os::fd::OwnedFd>| Some(File::from(fd.ok()?).metadata().ok()?.rdev());
        let stdout = device(io::stdout().as_fd().try_clone_to_owned());
        stdout.is_some()
            && is_terminal(&io::stderr())
            && stdout == device(io::stderr().as_fd().try_clone_to_owned())
    }

    /// Redraws the live region. `frame` returns its lines, none wider than the given size.
    pub fn draw(&self, frame: impl FnOnce(Size) -> Vec<String>) {
        let size = (self.size)();
        // A line that fills its row leaves the cursor in a state terminals do not agree on.
        let room = Size { columns: size.columns.saturating_sub(1), rows: size.rows.saturating_sub(1) };
        let lines = frame(room);
        self.state().rewrite(size, "", lines);
    }

    /// Writes text, which should end with a newline, above the live region.
    pub fn print(&self, text: &str) {
        let size = (self.size)();
        let mut state = self.state();
        let lines = state.shown.clone();
        state.rewrite(size, text, lines);
    }

    /// Leaves the live region where it is: what follows is written below it.
    pub fn release(&self) {
        self.state().shown.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes back to the first line of the last frame and writes the text and the new frame over it.
    fn rewrite(&mut self, size: Size, above: &str, lines: Vec<String>) {
        let rows = rows(&self.shown, size.columns);
        let mut text = String::from(HIDE_CURSOR);
        if rows > 0 {
            text.push_str(&format!("\x1b[{rows}A"));
        }
        text.push('\r');
        if !above.is_empty() {
            text.push_str(ERASE_BELOW);
            text.push_str(above);
        }
        for line in &lines {
            text.push_str(line);
            text.push_str(ERASE_LINE_END);
            text.push('\n');
        }
        text.push_str(ERASE_BELOW);
        text.push_str(SHOW_CURSOR);
        self.shown = lines;
        // If the terminal is gone, nothing can be shown any more.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// The rows that lines take up now. Terminals wrap lines again when they become narrower.
fn rows(lines: &[String], columns: usize) -> usize {
    lines.iter().map(|line| width(line).div_ceil(columns.max(1)).max(1)).sum()
}

/// The columns a text takes up; colours take none.
pub fn width(text: &str) -> usize {
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            let was_escaped = escaped;
            escaped = *c == '\x1b' || (escaped && !c.is_ascii_alphabetic());
            !was_escaped && !escaped
        })
        .count()
}

fn stdout_size() -> Size {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// What was written, one entry per write.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<String>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal(columns: Arc<AtomicUsize>) -> (Terminal, Written) {
        let written = Written::default();
        let size = move || Size { columns: columns.load(Ordering::Relaxed), rows: 24 };
        (Terminal::new(Box::new(written.clone()), Box::new(size)), written)
    }

    fn take(written: &Written) -> String {
        let mut writes = written.0.lock().unwrap();
        assert_eq!(writes.len(), 1, "a frame is one write: {writes:?}");
        writes.remove(0).replace(HIDE_CURSOR, "<").replace(SHOW_CURSOR, ">").replace('\x1b', "^")
    }

    #[test]
    fn frames_are_drawn_over_each_other() {
        let (terminal, written) = terminal(Arc::new(AtomicUsize::new(80)));
        terminal.draw(|_| vec!["one".into(), "two".into()]);
        assert_eq!(take(&written), "<\rone^[K\ntwo^[K\n^[J>");
        terminal.draw(|size| {
            assert_eq!(size, Size { columns: 79, rows: 23 });
            vec!["three".into()]
        });
        assert_eq!(take(&written), "<^[2A\rthree^[K\n^[J>");
        terminal.print("log\n");
        assert_eq!(take(&written), "<^[1A\r^[Jlog\nthree^[K\n^[J>");
        terminal.release();
        terminal.print("end\n");
        assert_eq!(take(&written), "<\r^[Jend\n^[J>");
    }

    #[test]
    fn lines_that_a_narrower_terminal_broke_are_overwritten_whole() {
        let columns = Arc::new(AtomicUsize::new(20));
        let (terminal, written) = terminal(columns.clone());
        terminal.draw(|_| vec!["\x1b[32m123456789012345\x1b[0m".into(), "x".into()]);
        take(&written);
        columns.store(10, Ordering::Relaxed);
        terminal.draw(|_| vec!["x".into()]);
        assert_eq!(take(&written), "<^[3A\rx^[K\n^[J>");
    }

    #[test]
    fn colours_have_no_width() {
        assert_eq!(width("\x1b[1;32m✓\x1b[0m ok"), 4);
        assert_eq!(width(""), 0);
    }
}
