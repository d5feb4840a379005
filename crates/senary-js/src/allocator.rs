//! What happens when the system gives this process no more memory.
//!
//! The engine makes an error of it, which ends an iteration. The rest of the program cannot go on without what it asked
//! for: the standard library would abort, with a number of bytes and a core dump. This says what to do instead.

use std::alloc::{GlobalAlloc, Layout, System};

/// Allocations from this size on may be those of a caller that can do without, such as one that reads a large file; it is
/// told, and has its own words for that.
const LARGE: usize = 64 << 20;

const MESSAGE: &str = "senary: out of memory: the system gives this process no more, and the run ends without a summary. \
    Use fewer VUs, let scripts keep less, or allow more memory (`ulimit -v`; MemoryMax= of systemd; --memory of docker)\n";

/// As for other things that the system refuses.
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

/// Takes no memory, and runs nothing that might.
#[cold]
fn end() -> ! {
    // SAFETY: the text is as long as it says. Nobody is left to be told if it cannot be written.
    let _ = unsafe { write(STDERR, MESSAGE.as_ptr(), MESSAGE.len()) };
    _exit(EXIT_CODE)
}
