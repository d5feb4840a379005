//! `SSLKEYLOGFILE`: the secrets of TLS sessions, for programs that decrypt what was captured.
//!
//! It is written by workers, which must not stand still for it: a FIFO without a reader is not waited for, and lines that a FIFO
//! or a device does not take at once are left out. A failure is logged once.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::KeyLog;

use senary_words::io_text;

const VARIABLE: &str = "SSLKEYLOGFILE";

/// Where the secrets go; without the variable, nowhere. The file is opened once, however many configurations there are.
pub(super) fn of_environment() -> Option<Arc<dyn KeyLog>> {
    static OPENED: OnceLock<Option<Arc<SecretsFile>>> = OnceLock::new();
    let open = || {
        let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty())?;
        SecretsFile::open(&path).map(Arc::new)
    };
    OPENED.get_or_init(open).clone().map(|file| file as Arc<dyn KeyLog>)
}

struct SecretsFile {
    path: PathBuf,
    file: File,
    complained: AtomicBool,
}

impl SecretsFile {
    /// `None` if it cannot be opened; this function logs that.
    fn open(path: &OsStr) -> Option<Self> {
        let path = PathBuf::from(path);
        match open(&path) {
            Ok(file) => Some(Self { path, file, complained: AtomicBool::new(false) }),
            Err(error) => {
                log::warn!(
                    "{VARIABLE} names {:?}, which cannot be opened ({}): no secrets are written",
                    path.display(),
                    io_text(&error)
                );
                None
            }
        }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        match (&self.file).write(line.as_bytes())? {
            written if written == line.len() => Ok(()),
            // A regular file takes a line whole, unless the disk is full.
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let kind = path.metadata().map(|metadata| metadata.file_type());
    let mut options = File::options();
    // Opened for reading, too, a FIFO does not wait for a reader.
    options.append(true).create(true).read(kind.as_ref().is_ok_and(FileTypeExt::is_fifo)).mode(0o600);
    let file = options.open(path)?;
    if kind.is_ok_and(|kind| !kind.is_file()) {
        rustix::io::ioctl_fionbio(&file, true)?;
    }
    Ok(file)
}

impl KeyLog for SecretsFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", Hex(client_random), Hex(secret));
        let Err(error) = self.write(&line) else { return };
        if !self.complained.swap(true, Ordering::Relaxed) {
            let text = io_text(&error);
            log::warn!(
                "{VARIABLE} names {:?}, which does not take all secrets ({text}): some are missing in it",
                self.path.display()
            );
        }
    }
}

impl fmt::Debug for SecretsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
