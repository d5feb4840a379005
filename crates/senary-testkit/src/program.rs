//! The built binary as a user runs it: arguments, environment, files, standard input and signals in; exit code,
//! output and written files out. A run that does not end in time is ended, and panics.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use tempfile::TempDir;

const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);
/// A prefix for a command: a user with no other process runs it.
const UNPRIVILEGED: &str = "setpriv --reuid 54321 --regid 54321 --clear-groups --";
const SUMMARY: &str = "summary.json";

/// A run to be started. It gets a folder of its own, and none of the environment variables that Senary would read.
pub struct Program {
    command: Command,
    folder: TempDir,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(binary);
        command.current_dir(folder.path()).env_clear();
        for kept in ["PATH", "LANG", "LLVM_PROFILE_FILE", "ASAN_OPTIONS"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        Self { command, folder, stdin: Vec::new(), limit: DEFAULT_LIMIT }
    }

    /// `run` of a script, quiet, with plain log lines and its summary kept for [`Outcome::value`].
    pub fn script(binary: &str, script: &str) -> Self {
        Self::new(binary).file("script.js", script).args(["run", "--quiet", "--log-format=raw"]).args([
            "--summary-export",
            SUMMARY,
            "script.js",
        ])
    }

    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.command.env(name, value.to_string());
        self
    }

    /// Sets the script's target in the variables that the examples read.
    pub fn target(self, server: &crate::Server) -> Self {
        self.env("TCP_HOST", server.host()).env("TCP_PORT", server.port())
    }

    /// A file in the folder of the run.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder");
        }
        std::fs::write(path, text).expect("a file");
        self
    }

    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// How long the program may take; by default a minute.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Lets a shell start it: `shell` is what that runs, `"$@"` in it being the command.
    pub fn under(mut self, shell: &str) -> Self {
        let mut outer = Command::new("/bin/sh");
        outer.args(["-c", shell, "sh"]).arg(self.command.get_program()).args(self.command.get_args());
        outer.env_clear().envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        outer.current_dir(self.folder.path());
        self.command = outer;
        self
    }

    /// Allows the program to have at most this many files open; the limit cannot be raised.
    pub fn open_files(self, limit: u64) -> Self {
        self.under(&format!(r#"ulimit -n {limit} && exec "$@""#))
    }

    /// Runs the program as a user to whom limits apply; they do not apply to root. `None` if root cannot find one that may read the
    /// binary.
    pub fn unprivileged(self) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(self);
        }
        let may = Command::new("/bin/sh")
            .args(["-c", &format!(r#"{UNPRIVILEGED} test -x "$1""#), "sh"])
            .arg(self.command.get_program())
            .current_dir("/")
            .status();
        let under = format!(r#"chmod 777 . && exec {UNPRIVILEGED} "$@""#);
        may.is_ok_and(|status| status.success()).then(|| self.under(&under))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary starts");
        let stdout = Collected::start(child.stdout.take().expect("a pipe"));
        let stderr = Collected::start(child.stderr.take().expect("a pipe"));
        let mut stdin = child.stdin.take().expect("a pipe");
        let text = self.stdin;
        // On a thread: a program that does not read must not stop the test. It may well end before it has read all.
        std::thread::spawn(move || stdin.write_all(&text).ok());
        let started = Instant::now();
        Running { child, stdout, stderr, started, limit: self.limit, folder: Some(self.folder) }
    }
}

/// A pipe read to its end by a thread, with what came so far.
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collected {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = text.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
            }
        });
        Self { text, thread: Some(thread) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn whole(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        self.so_far()
    }
}

/// A run under way; dropping it ends it.
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    started: Instant,
    limit: Duration,
    folder: Option<TempDir>,
}

impl Running {
    /// Waits until the program has written `text` to standard output or standard error.
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        while !self.stdout.so_far().contains(text) && !self.stderr.so_far().contains(text) {
            if self.child.try_wait().expect("a child").is_some() {
                // What it wrote last may still be in the pipes.
                if self.stdout.whole().contains(text) || self.stderr.whole().contains(text) {
                    break;
                }
                self.fail(&format!("it ended without writing {text:?}"));
            }
            self.check_limit(&format!("it has not written {text:?}"));
            std::thread::sleep(POLL);
        }
        self
    }

    pub fn signal(&mut self, signal: Signal) -> &mut Self {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process is there");
        self
    }

    /// Allows the program to start no further thread. This has no effect for root: see [`Program::unprivileged`].
    pub fn no_more_threads(&mut self) -> &mut Self {
        // Its user may lower its limits; even root may not everywhere.
        let prefix = if rustix::process::geteuid().is_root() { UNPRIVILEGED } else { "" };
        let limit = format!("{prefix} prlimit --nproc=1:1 --pid {}", self.child.id());
        let status = Command::new("/bin/sh").args(["-c", &limit]).status().expect("a shell");
        assert!(status.success(), "{limit}: {status}");
        self
    }

    /// Descriptors it has open; `None` once it is gone.
    pub fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?.count())
    }

    /// How many of its open files are kernel timers.
    pub fn timers(&self) -> Option<usize> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?;
        // Files that are closed in the meantime do not count.
        let links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        Some(links.filter(|link| link.as_os_str() == "anon_inode:[timerfd]").count())
    }

    /// Its resident memory in KiB; `None` once it is gone.
    pub fn resident_kib(&self) -> Option<u64> {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory it had so far, in KiB; `None` once it is gone.
    pub fn peak_kib(&self) -> Option<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    pub fn finish(mut self) -> Outcome {
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None => self.check_limit("it has not ended"),
            }
            std::thread::sleep(POLL);
        };
        let elapsed = self.started.elapsed();
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        let folder = self.folder.take().expect("taken only here");
        Outcome { status, stdout, stderr, elapsed, folder }
    }

    fn check_limit(&mut self, what: &str) {
        if self.started.elapsed() > self.limit {
            self.fail(&format!("after {:?} {what}", self.limit));
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        self.child.kill().ok();
        self.child.wait().ok();
        panic!("{what}\n--- stdout\n{}\n--- stderr\n{}", self.stdout.whole(), self.stderr.whole());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after `finish`.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The outcome of a run.
pub struct Outcome {
    status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    folder: TempDir,
}

impl Outcome {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics with all output unless this is how it ended.
    pub fn expect_code(&self, code: i32) -> &Self {
        if self.code() != Some(code) {
            self.fail(&format!(
                "exit code {code} expected, it was {:?} ({:?})",
                self.code(),
                self.status.signal()
            ));
        }
        self
    }

    /// Panics with all output unless standard output or standard error holds the text.
    pub fn expect_text(&self, text: &str) -> &Self {
        if !self.stdout.contains(text) && !self.stderr.contains(text) {
            self.fail(&format!("{text:?} expected in the output"));
        }
        self
    }

    /// Panics with all output unless the metric's value is exactly this; metrics without samples count as 0.
    pub fn expect_value(&self, metric: &str, key: &str, expected: f64) -> &Self {
        let value = self.value(metric, key).unwrap_or(0.0);
        if value != expected {
            self.fail(&format!("{metric} {key} should be {expected}, it is {value}"));
        }
        self
    }

    /// A value of a metric in the summary a [`Program::script`] exports.
    pub fn value(&self, metric: &str, key: &str) -> Option<f64> {
        let summary: serde_json::Value =
            serde_json::from_str(&self.file(SUMMARY)).expect("the summary is JSON");
        summary["metrics"][metric][key].as_f64()
    }

    /// As [`Outcome::value`]; panics with all output if there is none.
    pub fn measured(&self, metric: &str, key: &str) -> f64 {
        self.value(metric, key).unwrap_or_else(|| self.fail(&format!("no {key} of {metric} in the summary")))
    }

    /// The lines of standard error that contain the text.
    pub fn log_lines(&self, text: &str) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.contains(text)).collect()
    }

    /// A file in the folder of the run.
    pub fn file(&self, name: &str) -> String {
        match std::fs::read_to_string(self.folder.path().join(name)) {
            Ok(text) => text,
            Err(error) => self.fail(&format!("{name}: {error}")),
        }
    }

    /// Where a file of the run is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same for one that is not text.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name))
            .unwrap_or_else(|error| self.fail(&format!("{name}: {error}")))
    }

    pub fn fail(&self, what: &str) -> ! {
        panic!("{what}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
    }
}
