//! Reading input that may not be a regular file: a FIFO, such as a shell makes for `<(command)`, a device, or standard
//! input. Such input may never begin or never end. So waiting for it ends at the first signal, and its size is limited.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// At most this many bytes are read from a FIFO or a device.
const LIMIT: u64 = 256 << 20;
/// How often a wait looks for a signal.
const LOOK: Duration = Duration::from_millis(20);

/// A signal has come.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// A wait has ended because of the signal.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Ends all waits for input, now and later.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether something was not read because of [`interrupt`].
pub fn was_given_up() -> bool {
    GIVEN_UP.load(Ordering::Relaxed)
}

/// What is in a file.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return fs::read(path);
    }
    let path = path.to_owned();
    wait_for(move || limited(fs::File::open(path)?))
}

/// All of standard input.
pub fn read_stdin() -> io::Result<Vec<u8>> {
    wait_for(|| limited(io::stdin().lock()))
}

fn limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is not a regular file and has more than 256 MiB; save what it gives to a file first",
        ));
    }
    Ok(bytes)
}

/// Reads on a separate thread, which is abandoned if a signal comes first.
fn wait_for(read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) -> io::Result<Vec<u8>> {
    let (sender, receiver) = channel();
    let run = move || {
        // The reader may have stopped waiting.
        let _ = sender.send(read());
    };
    thread::Builder::new().name("input".to_owned()).spawn(run)?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(bytes) => return bytes,
            Err(RecvTimeoutError::Timeout) if !INTERRUPTED.load(Ordering::Relaxed) => {}
            Err(_) => {
                GIVEN_UP.store(true, Ordering::Relaxed);
                return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted by a signal"));
            }
        }
    }
}
