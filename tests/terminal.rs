//! Runs on a terminal: what a person sees while they go on, after a resize and after they ended, read off a small
//! screen that understands what Senary sends.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use senary_testkit::Program;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(40);

/// Lines of characters, as a terminal shows them that breaks long ones anew when its width changes.
#[derive(Default)]
struct Screen {
    width: usize,
    lines: Vec<Vec<char>>,
    line: usize,
    column: usize,
    cursor_hidden: bool,
    /// What is left of an escape sequence that has not ended.
    pending: String,
    colors: usize,
    /// How often it was told something that is no text.
    controls: usize,
    /// How often it was fed the test's own [`MARK`].
    marks: usize,
}

/// Means nothing to a terminal.
const MARK: &str = "\x1b[z";

impl Screen {
    fn feed(&mut self, text: &str) {
        let text = std::mem::take(&mut self.pending) + text;
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            if first != '\x1b' {
                self.put(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
                self.pending = rest.to_owned();
                return;
            };
            self.control(&rest[1..=end]);
            rest = &rest[end + 1..];
        }
    }

    fn control(&mut self, sequence: &str) {
        self.controls += 1;
        match sequence {
            "[?25l" => self.cursor_hidden = true,
            "[?25h" => self.cursor_hidden = false,
            "[z" => self.marks += 1,
            "[K" => self.lines[self.line].truncate(self.column),
            "[J" => {
                self.lines[self.line].truncate(self.column);
                self.lines.truncate(self.line + 1);
            }
            _ if sequence.ends_with('m') => self.colors += 1,
            _ => match sequence.strip_prefix('[').and_then(|s| s.strip_suffix('A')?.parse().ok()) {
                Some(rows) => self.up(rows),
                None => panic!("no terminal was told {sequence:?}"),
            },
        }
    }

    fn up(&mut self, rows: usize) {
        for _ in 0..rows {
            if self.column >= self.width {
                self.column -= self.width;
            } else if self.line > 0 {
                self.line -= 1;
                self.column += self.lines[self.line].len().saturating_sub(1) / self.width * self.width;
            }
        }
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column -= self.column % self.width,
            '\n' => {
                self.line += 1;
                self.column = 0;
            }
            c => {
                let line = &mut self.lines[self.line];
                line.resize(line.len().max(self.column + 1), ' ');
                line[self.column] = c;
                self.column += 1;
            }
        }
        if self.line >= self.lines.len() {
            self.lines.push(Vec::new());
        }
    }

    fn text(&self) -> String {
        self.lines.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
    }
}

/// A program that has a terminal for itself.
struct OnTerminal {
    child: Child,
    terminal: OwnedFd,
    screen: Arc<Mutex<Screen>>,
    reader: std::thread::JoinHandle<()>,
    /// The reader stops after what it reads next.
    closing: Arc<AtomicBool>,
    folder: TempDir,
}

const COLUMNS: u16 = 110;

impl OnTerminal {
    fn start(arguments: &[&str], script: &str) -> Self {
        Self::start_as("xterm", arguments, script)
    }

    /// On a terminal that calls itself `term`.
    fn start_as(term: &str, arguments: &[&str], script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("script.js"), script).expect("a file");
        // Whoever inherited it would keep it open.
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).expect("access to it");
        unlockpt(&terminal).expect("access to it");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        let far_end =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its far end");
        let end = || far_end.try_clone().expect("a descriptor");
        let screen = Screen { width: COLUMNS.into(), lines: vec![Vec::new()], ..Screen::default() };
        let screen = Arc::new(Mutex::new(screen));
        resize(&terminal, COLUMNS);
        let child = Command::new(BINARY)
            .args(arguments)
            .arg("script.js")
            .current_dir(folder.path())
            .env_clear()
            .env("TERM", term)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the binary starts");
        drop(far_end);
        let closing = Arc::<AtomicBool>::default();
        let is_closing = closing.clone();
        let (mut from, to) = (File::from(terminal.try_clone().expect("a descriptor")), screen.clone());
        let reader = std::thread::spawn(move || {
            let (mut buffer, mut bytes) = (vec![0; 64 * 1024], Vec::new());
            // Reading fails once nobody has the far end any more.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..read]);
                let whole = std::str::from_utf8(&bytes).map_or_else(|e| e.valid_up_to(), str::len);
                let text: Vec<u8> = bytes.drain(..whole).collect();
                locked(&to).feed(&String::from_utf8(text).expect("what is valid"));
                if is_closing.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        Self { child, terminal, screen, reader, closing, folder }
    }

    /// Changes the width while the program rests and everything it wrote is on the screen: what it draws for the width
    /// that was, having asked for it, must not come after the change.
    fn resize(&self, columns: u16) {
        let name = ptsname(&self.terminal, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far_end = rustix::fs::open(name, flags, Mode::empty()).expect("its far end");
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < BOUND, "it never rests");
            let Some(rested) = self.rests() else { continue };
            let marks = locked(&self.screen).marks;
            rustix::io::write(&far_end, MARK.as_bytes()).expect("a terminal takes a mark");
            self.wait_until(|screen| screen.marks > marks);
            let mut screen = locked(&self.screen);
            if self.rests() == Some(rested) {
                resize(&self.terminal, columns);
                screen.width = columns.into();
                return;
            }
        }
    }

    /// How often its threads have begun to rest; `None` if one of them is about.
    fn rests(&self) -> Option<u64> {
        let threads =
            std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process is there");
        let mut switches = 0;
        for thread in threads.flatten() {
            // Of threads that have just ended nothing is left to read.
            let Ok(status) = std::fs::read_to_string(thread.path().join("status")) else { continue };
            let value =
                |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim();
            if !value("State:").starts_with('S') {
                return None;
            }
            switches += value("voluntary_ctxt_switches:").parse::<u64>().unwrap_or_default();
        }
        Some(switches)
    }

    fn wait_for(&self, text: &str) {
        self.wait_until(|screen| screen.text().contains(text));
    }

    fn wait_until(&self, holds: impl Fn(&Screen) -> bool) {
        let started = Instant::now();
        while !holds(&locked(&self.screen)) {
            assert!(
                started.elapsed() < BOUND,
                "what is waited for is not there:\n{}",
                locked(&self.screen).text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Stops the program between two frames: within one the cursor is hidden.
    fn stop_between_frames(&self) {
        for _ in 0..200 {
            self.signal(Signal::STOP);
            while rustix::io::ioctl_fionread(&self.terminal).expect("a terminal counts") > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(50));
            if !locked(&self.screen).cursor_hidden {
                return;
            }
            self.signal(Signal::CONT);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the cursor is never shown");
    }

    /// Waits for the end; the exit code and the screen as it is left.
    fn finish(mut self) -> (Option<i32>, Screen) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if started.elapsed() > BOUND => {
                    self.child.kill().ok();
                    panic!("it has not ended:\n{}", locked(&self.screen).text());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.reader.join().expect("the reader ends");
        (status.code(), std::mem::take(&mut *locked(&self.screen)))
    }
}

fn locked(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resize(terminal: impl AsFd, columns: u16) {
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// As the progress says, if it does. The line may be cut.
fn complete_iterations(text: &str) -> Option<usize> {
    let (_, progress) = text.split_once("running (")?;
    progress.split_once(" comp")?.0.rsplit(' ').next()?.parse().ok()
}

const TWO_SCENARIOS: &str = r#"
import { sleep } from "k6"
export const options = { scenarios: {
  first: { executor: "constant-vus", vus: 1, duration: "2s" },
  second_one: { executor: "shared-iterations", vus: 1, iterations: 8 },
} }
export default function () { sleep(0.25); console.log("said so") }
"#;

#[test]
fn bars_stay_below_the_log_and_then_stand_still() {
    let (code, screen) = OnTerminal::start(&["run"], TWO_SCENARIOS).finish();
    let text = screen.text();
    assert_eq!(code, Some(0), "{text}");
    assert!(!screen.cursor_hidden && screen.colors > 0);
    let full = "======================================";
    for line in [
        format!("first      ✓ [{full}] 1 VUs  2s\n"),
        format!("second_one ✓ [{full}] 1 VUs  00m02.0s/10m0s  8/8 shared iters\n"),
        "running (00m02.0s), 0/2 VUs".to_owned(),
    ] {
        // The time in the line may be a little later.
        let start: String = line.chars().take_while(|c| *c != '0').collect();
        assert_eq!(count(&text, &start), 1, "{start:?} in\n{text}");
    }
    assert_eq!(Some(count(&text, "said so")), complete_iterations(&text), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in\n{text}"));
    assert!(text.rfind("said so").is_some_and(|last| last < place("running (")), "{text}");
    assert!(place("scenarios: (100.00%)") < place("said so") && place("running (") < place("TOTAL RESULTS"));
}

#[test]
fn what_was_logged_last_stands_above_the_bars() {
    let script =
        r#"export default function () { for (let i = 1; i <= 3000; i++) console.log(`line ${i}.`) }"#;
    let (code, screen) = OnTerminal::start(&["run"], script).finish();
    let text = screen.text();
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in\n{text}"));
    assert_eq!((code, count(&text, "line ")), (Some(0), 3000), "{text}");
    assert!(place("line 3000.") < place("running ("), "{text}");
}

#[test]
fn a_terminal_that_changes_its_width_loses_nothing_and_gets_nothing_twice() {
    // Not by the clock: on a busy machine the run would be over before it was caught at rest three times.
    let endless =
        TWO_SCENARIOS.replace("2s", "1h").replace("iterations: 8", "iterations: 99999, maxDuration: '1h'");
    let run = OnTerminal::start(&["run"], &endless);
    for (complete, columns) in [(4, 60), (8, 40), (12, COLUMNS)] {
        run.wait_until(|screen| complete_iterations(&screen.text()) >= Some(complete));
        run.resize(columns);
    }
    run.signal(Signal::INT);
    let (code, screen) = run.finish();
    let text = screen.text();
    assert_eq!(code, Some(105), "{text}");
    for once in ["running (", "first      ✗ [", "second_one ✗ [", "TOTAL RESULTS"] {
        assert_eq!(count(&text, once), 1, "{once:?} in\n{text}");
    }
    assert_eq!(Some(count(&text, "said so")), complete_iterations(&text), "{text}");
}

#[test]
fn an_interrupted_run_leaves_a_clean_screen() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "1h" }
export default function () { sleep(3600) }
"#;
    let run = OnTerminal::start(&["run"], script);
    run.wait_for("2/2 VUs, 0 complete");
    run.signal(Signal::INT);
    let (code, screen) = run.finish();
    let text = screen.text();
    assert_eq!(code, Some(105), "{text}");
    assert!(!screen.cursor_hidden);
    assert_eq!((count(&text, "running ("), count(&text, "default ✗ [")), (1, 1), "{text}");
    assert!(text.contains("0 complete and 2 interrupted iterations"), "{text}");
}

#[test]
fn killed_between_two_frames_it_leaves_the_cursor() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 1, duration: "1h" }
export default function () { sleep(3600) }
"#;
    let run = OnTerminal::start(&["run"], script);
    run.wait_for("1/1 VUs, 0 complete");
    run.stop_between_frames();
    run.signal(Signal::KILL);
    let (_, screen) = run.finish();
    assert!(!screen.cursor_hidden && screen.text().contains("1/1 VUs"), "{}", screen.text());
}

#[test]
fn without_colours_and_without_a_word() {
    let script = "export default function () {}";
    let (code, screen) = OnTerminal::start(&["run", "--no-color"], script).finish();
    assert_eq!((code, screen.colors), (Some(0), 0), "{}", screen.text());
    assert!(screen.text().contains("default ✓ [==="), "{}", screen.text());
    let (code, screen) = OnTerminal::start(&["run", "--quiet", "--summary-mode=disabled"], script).finish();
    assert_eq!((code, screen.text().trim()), (Some(0), ""));
}

/// It knows neither colours nor how to move its cursor.
#[test]
fn a_dumb_terminal_is_written_to_like_a_file() {
    let script = r#"
export default function () { console.log("said so") }
export function handleSummary({ state }) { console.log(state.isStdOutTTY, state.isStdErrTTY) }
"#;
    let (code, screen) = OnTerminal::start_as("dumb", &["run"], script).finish();
    let text = screen.text();
    assert_eq!((code, screen.controls), (Some(0), 0), "{text}");
    for line in
        ["level=info msg=\"said so\" source=console", "level=info msg=\"false false\"", "default ✓ [ 100% ]"]
    {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
}

/// Off a terminal: blocks of lines, the last one after the summary.
#[test]
fn blocks_end_with_how_the_scenarios_ended() {
    let script = r#"
import { sleep } from "k6"
export const options = { scenarios: {
  late: { executor: "shared-iterations", vus: 1, iterations: 5, maxDuration: "1s", gracefulStop: "0s", exec: "late" },
  soon: { executor: "shared-iterations", vus: 1, iterations: 1 },
} }
export default function () {}
export function late() { sleep(60) }
export function teardown() { sleep(2.5) }
"#;
    let program = Program::new(BINARY).file("script.js", script).args(["run", "script.js"]).within(BOUND);
    let outcome = program.run();
    let text = &outcome.expect_code(0).stdout;
    let place = |what: &str| text.rfind(what).unwrap_or_else(|| panic!("no {what:?} in\n{text}"));
    let (teardown, summary, last) = (place("teardown()"), place("TOTAL RESULTS"), place("running ("));
    assert!(teardown < summary && summary < last, "{text}");
    for block in [&text[teardown..summary], &text[last..]] {
        assert!(block.contains("late ✗ [   0% ]") && block.contains("soon ✓ [ 100% ]"), "{block}");
    }
}

/// The window is closed. Without a controlling terminal nobody sends a signal about it: the run goes on.
#[test]
fn a_terminal_that_goes_away_does_not_take_the_run_with_it() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 2, duration: "3s" }
export default function () { sleep(0.1); console.log("said so") }
"#;
    let run = OnTerminal::start(&["run", "--summary-export=summary.json"], script);
    run.wait_until(|screen| complete_iterations(&screen.text()) >= Some(4));
    run.closing.store(true, Ordering::Relaxed);
    let OnTerminal { mut child, terminal, reader, folder, .. } = run;
    reader.join().expect("the reader ends");
    drop(terminal);
    let started = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None if started.elapsed() > BOUND => {
                child.kill().ok();
                panic!("it has not ended");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(status.code(), Some(0));
    let summary = std::fs::read_to_string(folder.path().join("summary.json")).expect("the summary");
    assert!(summary.contains("\"iterations\""), "{summary}");
}

/// What is behind the bar says at once whether anything works.
#[test]
fn a_dead_service_is_seen_in_the_first_second() {
    let script = r#"
import { Socket } from "k6/x/tcp"
export const options = { vus: 2, duration: "3s" }
export default async function () {
  try { await new Socket().connect(1, "127.0.0.1") } catch {}
  await new Promise((resolve) => setTimeout(resolve, 20))
}
"#;
    let run = OnTerminal::start(&["run"], script);
    run.wait_until(|screen| {
        let text = screen.text();
        let line = text.lines().find(|line| line.contains(" iterations/s, "));
        line.is_some_and(|line| {
            line.contains(" failures, p95 of iterations ") && !line.contains(", 0 failures")
        })
    });
    let (code, screen) = run.finish();
    let text = screen.text();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("WHAT WENT WRONG"), "{text}");
    assert!(!text.contains(" iterations/s, "), "the second line is gone with the load:\n{text}");
}
