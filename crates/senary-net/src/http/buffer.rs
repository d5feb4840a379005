//! The buffer that connections read into: one per worker, because what was read is taken out of it at once.
//!
//! It is larger than a record of TLS, so that no record has to be taken from the kernel in small pieces.

use std::cell::RefCell;

/// In bytes.
const SIZE: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SIZE]);
}

/// Lends the buffer. What is called must not do the same.
pub(super) fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| f(buffer))
}
