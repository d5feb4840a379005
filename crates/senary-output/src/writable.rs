//! Files of any kind that are written to. A FIFO or a device may never accept data, and the run must not hang because
//! of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a write to a file that is not regular may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Only their owner may read log files.
const LOG_MODE: u32 = 0o600;

/// An open file.
pub enum Writable {
    Regular(File),
    Other(Patient),
}

impl Writable {
    /// Creates a file, or replaces what is in it.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), File::options().write(true).create(true).truncate(true))
    }

    /// The same for a file that nothing else may write to at the same time: what two outputs, or two runs, write to one file is
    /// neither's, and what was in it is lost.
    pub fn create_alone(path: impl AsRef<Path>) -> io::Result<Self> {
        let created = Self::open(path.as_ref(), File::options().write(true).create(true).truncate(false))?;
        if let Self::Regular(file) = &created {
            // A file system without locks is no reason to write nothing.
            if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
                return Err(io::Error::other("another output, or another run, writes to it"));
            }
            file.set_len(0)?;
        }
        Ok(created)
    }

    /// Creates a file that only its owner may read, or appends to the one that is there.
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), File::options().append(true).create(true).mode(LOG_MODE))
    }

    fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Self> {
        let kind = path.metadata().map(|metadata| metadata.file_type());
        match kind {
            Ok(kind) if !kind.is_file() && !kind.is_dir() => {
                // Opened for reading, too, a FIFO does not wait for a reader.
                options.read(kind.is_fifo() && !is_inherited(path));
                Ok(Self::Other(Patient::new(options.open(path)?)?))
            }
            _ => options.open(path).map(Self::Regular),
        }
    }
}

/// A pipe that was open when the process started has its reader already; the kernel tells when that reader is gone.
fn is_inherited(path: &Path) -> bool {
    ["/dev/fd", "/dev/stdout", "/dev/stderr", "/proc/self/fd"].iter().any(|given| path.starts_with(given))
}

impl From<File> for Writable {
    fn from(file: File) -> Self {
        Self::Regular(file)
    }
}

impl Write for Writable {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Regular(file) => file.write(data),
            Self::Other(file) => file.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Regular(file) => file.flush(),
            // Nothing is buffered.
            Self::Other(_) => Ok(()),
        }
    }
}

/// A file with its own writing thread, so that it can be abandoned.
pub struct Patient {
    to_write: Sender<Vec<u8>>,
    written: Receiver<io::Result<()>>,
    gave_up: bool,
}

impl Patient {
    fn new(mut file: File) -> io::Result<Self> {
        let (to_write, data) = channel::<Vec<u8>>();
        let (outcome, written) = channel();
        let write = move || {
            while let Ok(data) = data.recv() {
                if outcome.send(file.write_all(&data)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("slow-file".to_owned()).spawn(write)?;
        Ok(Self { to_write, written, gave_up: false })
    }

    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let stuck = || io::Error::new(io::ErrorKind::TimedOut, "nothing was read from it for 5 s");
        // The thread may still be writing earlier data.
        if self.gave_up || self.to_write.send(data.to_vec()).is_err() {
            return Err(stuck());
        }
        match self.written.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome.map(|()| data.len()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.gave_up = true;
                Err(stuck())
            }
        }
    }
}
