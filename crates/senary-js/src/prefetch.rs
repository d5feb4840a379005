//! Loads the memory that handling a message will touch into the cache, while the kernel copies the message.
//!
//! If a thousand VUs take turns, the memory of the engine and the VU is no longer in the cache when the next message of
//! a VU arrives, and handling it waits for one cache line after another. The addresses hardly change from message to
//! message. So they are noted once, and fetched in parallel before each read. `docs/performance.md` has the figure.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};

use rquickjs::{Ctx, Value, qjs};

/// Lines of the engine noted at most; a handler with a few variables needs about sixty, an async function about a hundred.
const MAX_LINES: usize = 160;

/// After this many messages of a connection it is worth noting what they touch.
const WORTHWHILE: u8 = 16;

const LINE: usize = 64;

unsafe extern "C" {
    fn JS_GetHotAddresses(
        ctx: *mut qjs::JSContext,
        func: qjs::JSValue,
        obj: qjs::JSValue,
        method: *const c_char,
        addresses: *mut *mut c_void,
        max: c_int,
    ) -> c_int;
    fn JS_Prefetch(base: *const c_void, offsets: *const u32, count: c_int);
}

/// What the messages of one connection touch, once there were some.
#[derive(Default)]
pub struct HotLines {
    messages: Cell<u8>,
    /// In cache lines from the lowest address, which comes first.
    noted: RefCell<(usize, Box<[u32]>)>,
}

impl HotLines {
    /// Whether it is time to [note](Self::note); true once.
    pub fn count_message(&self) -> bool {
        let seen = self.messages.get();
        self.messages.set(seen.saturating_add(1));
        seen == WORTHWHILE
    }

    /// Notes what is touched by a call of `handler` that gets new bytes and calls a method of `object`, and the
    /// addresses of these native values. `handler` may also be the promise that an async function waits for.
    pub fn note<'js>(
        &self,
        ctx: &Ctx<'js>,
        handler: &Value<'js>,
        (object, method): (&Value<'js>, &CStr),
        natives: &[std::ops::Range<usize>],
    ) {
        let mut engine: Vec<*mut c_void> = Vec::with_capacity(MAX_LINES);
        // SAFETY: context and values are alive; the engine writes at most `MAX_LINES` addresses into the vector's
        // capacity, and tells how many.
        unsafe {
            let (context, max) = (ctx.as_raw().as_ptr(), MAX_LINES as c_int);
            let (func, obj) = (handler.as_raw(), object.as_raw());
            let count = JS_GetHotAddresses(context, func, obj, method.as_ptr(), engine.as_mut_ptr(), max);
            engine.set_len(count as usize);
        }
        let mut lines: Vec<usize> = engine.iter().map(|address| address.addr() / LINE).collect();
        lines.extend(natives.iter().flat_map(|range| range.start / LINE..range.end.div_ceil(LINE)));
        let first = lines.iter().copied().min().unwrap_or_default();
        // What lies out of reach is left out: no heap is that far away.
        let offsets = lines.iter().filter_map(|line| u32::try_from(line - first).ok());
        self.noted.replace((first, offsets.collect()));
    }

    pub fn prefetch(&self) {
        let noted = self.noted.borrow();
        let base = std::ptr::without_provenance(noted.0 * LINE);
        // SAFETY: the engine reads the list only; prefetching an address has no effect that can be seen, whether
        // or not anything is there.
        unsafe { JS_Prefetch(base, noted.1.as_ptr(), noted.1.len() as c_int) }
    }
}

/// The addresses a value takes.
pub fn extent<T>(of: *const T) -> std::ops::Range<usize> {
    of.addr()..of.addr() + size_of::<T>()
}
