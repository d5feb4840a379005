//! The buffer of a worker that all its connections read into.

use std::cell::RefCell;

/// In bytes. One per worker: what a read returns is copied out at once. It is also the largest chunk.
const READ_BUFFER: usize = 63 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// Lends the buffer of this worker. What is called must not read by itself.
pub fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| f(buffer))
}
