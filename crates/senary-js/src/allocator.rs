//! What happens when the system gives this process no more memory.
//!
//! In the JavaScript engine, a failed allocation becomes an error that ends the iteration. The rest of the program
//! cannot go on without the memory. There the standard library would abort and print only a number of bytes; this
//! module also says what the user can do.

use std::alloc::{GlobalAlloc, Layout, System};

/// The caller of an allocation of at least this size may be able to do without it, for example if it reads a large
/// file. So it gets the error and reports it itself.
const LARGE: usize = 64 << 20;

const MESSAGE: &str = "senary: out of memory: the system gives this process no more, and the run ends without a summary. \
    Use fewer VUs, let scripts keep less, or allow more memory (`ulimit -v`; MemoryMax= of systemd; --memory of docker)\n";

/// The same exit code as for other resources that the system refuses.
const EXIT_CODE: i32 = 255;

/// Standard error.
const STDERR: i32 = 2;

unsafe extern "C" {
    fn write(file: i32, bytes: *const u8, count: usize) -> isize;
    safe fn _exit(code: i32) -> !;
}

/// The system's allocator, for the whole program.
pub struct Allocator;

// SAFETY: every call is passed on to the system's allocator as it came, and so is what comes back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        checked(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[inline]
fn checked(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() && size < LARGE {
        end();
    }
    block
}

/// Allocates no memory, and calls nothing that might.
#[cold]
fn end() -> ! {
    // SAFETY: the text is as long as it says. Nobody is left to be told if it cannot be written.
    let _ = unsafe { write(STDERR, MESSAGE.as_ptr(), MESSAGE.len()) };
    _exit(EXIT_CODE)
}
