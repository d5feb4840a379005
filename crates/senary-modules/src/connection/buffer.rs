//! The buffer of a worker that all its connections read into.

use std::cell::RefCell;

/// The size in bytes, which is also that of the largest chunk. One buffer per worker is enough, because the bytes of a
/// read are copied out at once.
const READ_BUFFER: usize = 63 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// Lends the buffer of this worker to a function, which must not call this function itself.
pub fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| f(buffer))
}
