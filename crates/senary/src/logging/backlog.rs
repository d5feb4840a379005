//! How much of the log waits to be written: lines may be as long as a script likes, so it is their bytes that are
//! limited. Beyond the limit, logging waits until some are written.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that wait, and who waits for them to become fewer.
pub struct Backlog {
    most: usize,
    bytes: Mutex<usize>,
    fewer: Condvar,
}

/// A line on its way. Its bytes count until it is dropped.
pub struct Line {
    pub text: String,
    backlog: &'static Backlog,
    bytes: usize,
}

impl Backlog {
    /// `most`: bytes that may wait.
    pub const fn new(most: usize) -> Self {
        Self { most, bytes: Mutex::new(0), fewer: Condvar::new() }
    }

    /// Lets a line wait, once there is room for it. One that is larger than all the room waits alone.
    pub fn line(&'static self, text: String) -> Line {
        let bytes = text.len();
        let is_full = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > self.most;
        let waited = self.fewer.wait_while(self.lock(), is_full);
        *waited.unwrap_or_else(PoisonError::into_inner) += bytes;
        Line { text, backlog: self, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        *self.backlog.lock() -= self.bytes;
        self.backlog.fewer.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    #[test]
    fn bytes_that_wait_are_limited() {
        static BACKLOG: Backlog = Backlog::new(100);
        let (sender, receiver) = sync_channel(1000);
        let thread = thread::spawn(move || {
            for length in [0, 1, 99, 1000, 7, 1000].repeat(50) {
                sender.send(BACKLOG.line("x".repeat(length))).unwrap();
            }
        });
        let mut lines = 0;
        while let Ok(line) = receiver.recv() {
            let waiting = *BACKLOG.lock();
            assert!(waiting <= 100 || waiting == line.bytes, "{waiting} bytes wait");
            lines += 1;
        }
        thread.join().unwrap();
        assert_eq!((lines, *BACKLOG.lock()), (300, 0));
    }
}
