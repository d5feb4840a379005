//! Real servers, as the system has them installed: each is started on a free port of 127.0.0.1, with its files in a
//! temporary folder, by a user without rights, and stopped when it is dropped.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use senary_testkit::Signal;
use tempfile::TempDir;

const STARTING: Duration = Duration::from_secs(60);
const STOPPING: Duration = Duration::from_secs(10);
/// A user that every system has, and a group.
const NOBODY: &str = "65534";
const POLL: Duration = Duration::from_millis(20);

/// A program that is installed, and a folder for its files, which may be written to by the user who runs it.
pub struct Installed {
    program: PathBuf,
    pub folder: TempDir,
}

impl Installed {
    /// `None`, and a line on standard error, if the system does not have it.
    pub fn find(name: &str, package: &str) -> Option<Self> {
        let Some((program, _)) = find(name).zip(find("setpriv")) else {
            eprintln!("skipped: {name} is not installed (apt-get install {package})");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("a folder of ours");
        Some(Self { program, folder })
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a plain name").to_owned()
    }

    /// A file that everybody may read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("a file of ours");
        path
    }

    /// Runs a program that stands beside this one, such as the one that makes its data, to the end.
    pub fn prepare(&self, name: &str, arguments: &[&str]) {
        // Not beside a link to it.
        let beside = self.program.canonicalize().expect("it is there").with_file_name(name);
        let program = if beside.exists() { beside } else { find(name).expect("it is part of the package") };
        let output = self.command(&program).args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it with these arguments for a port. It is ready when it accepts connections and has said `ready`.
    pub fn start(self, ready: &str, arguments: impl Fn(u16) -> Vec<String>) -> Running {
        let log = self.folder.path().join("log.txt");
        // Somebody else may take a port that was free a moment ago.
        for _ in 0..3 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let port = free.local_addr().expect("its address").port();
            drop(free);
            let file = File::create(&log).expect("a file");
            let mut command = self.command(&self.program);
            command.args(arguments(port)).stdin(Stdio::null());
            command.stdout(file.try_clone().expect("a file")).stderr(file);
            let mut child = command.spawn().expect("it starts");
            if is_ready(&mut child, port, &log, ready) {
                return Running { child, port, _installed: self };
            }
        }
        panic!("{}: {}", self.program.display(), std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// It ends with the test, even if that is killed. Several of these servers refuse to be run by root.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        }
        command.arg("--").arg(program).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }
}

/// A server under way.
pub struct Running {
    child: Child,
    pub port: u16,
    _installed: Installed,
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM).ok();
        let deadline = Instant::now() + STOPPING;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// False if it has ended instead, most likely because it did not get its port.
fn is_ready(child: &mut Child, port: u16, log: &Path, ready: &str) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + STARTING;
    while Instant::now() < deadline {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        let has_said = std::fs::read_to_string(log).is_ok_and(|text| text.contains(ready));
        if has_said && TcpStream::connect_timeout(&address, POLL).is_ok() {
            return true;
        }
        std::thread::sleep(POLL);
    }
    child.kill().ok();
    child.wait().ok();
    panic!("it is not ready after {STARTING:?}: {}", std::fs::read_to_string(log).unwrap_or_default());
}

/// Where Debian has servers: not all of these folders are in the path of every user.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/bin", "/usr/sbin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}
