//! The stacks that scripts run on: much room that costs nothing until it is used, and is given back afterwards.
//!
//! A stack is a range of addresses; only its touched pages take memory, two or three of them for ordinary script. So there
//! may be room for tens of thousands of frames, as recursive scripts need, while a virtual user takes no more. Script
//! that went deep has its pages given back when it is done.

use std::cell::RefCell;
use std::io;
use std::ptr::null_mut;

use corosensei::stack::{Stack, StackPointer};
use rquickjs::qjs;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

unsafe extern "C" {
    fn JS_SetShallowStackSize(rt: *mut qjs::JSRuntime, size: qjs::size_t);
    fn JS_TakeStackIsDeep(rt: *mut qjs::JSRuntime) -> bool;
}

/// Frames are larger under the sanitizer.
const SCALE: usize = if cfg!(feature = "sanitizer") { 4 } else { 1 };

/// Virtual sizes. About 45,000 JavaScript frames fit into the first. Where the system has no such range of addresses left
/// (`ulimit -v`), the second has to do.
const SIZES: [usize; 2] = [(32 << 20) * SCALE, (1 << 20) * SCALE];

/// The addresses that a VU which waits in the middle of script needs at least.
pub const STACK_SIZE: usize = SIZES[1];

/// What the engine must leave of a stack to native code called from the deepest frame.
const NATIVE_RESERVE: usize = (96 << 10) * SCALE;

/// Script that takes no more leaves its pages to the next one.
const SHALLOW: usize = 256 << 10;

/// Stacks kept per worker for reuse; more exist while more VUs are blocked.
const POOLED_STACKS: usize = 64;

thread_local! {
    // A resource of the worker, not of any VU.
    static STACKS: RefCell<Vec<ScriptStack>> = const { RefCell::new(Vec::new()) };
}

/// A stack of the pool, or a new one.
pub fn take() -> io::Result<ScriptStack> {
    match STACKS.with_borrow_mut(Vec::pop) {
        Some(stack) => Ok(stack),
        None => ScriptStack::new(SIZES[0]).or_else(|_| ScriptStack::new(SIZES[1])),
    }
}

/// Puts a stack into the pool, without the memory of its deep part.
pub fn give_back(stack: ScriptStack, is_deep: bool) {
    STACKS.with_borrow_mut(|stacks| {
        if stacks.len() < POOLED_STACKS {
            if is_deep {
                stack.forget_deep_part();
            }
            stacks.push(stack);
        }
    });
}

/// Runs native code that may call script on a stack of the pool. It tells whether it went deep.
pub fn run<R>(body: impl FnOnce(Room) -> (R, bool)) -> R {
    // Where there is no room for a stack, the iterations say so; the thread's own has a little.
    let Ok(mut stack) = take() else { return body(Room(NATIVE_RESERVE)).0 };
    let room = stack.room();
    let (result, is_deep) = corosensei::on_stack(&mut stack, || body(room));
    give_back(stack, is_deep);
    result
}

/// Runs native code on a stack of the pool if that has so much room, and gives it back undone if not.
pub fn run_within<R, F: FnOnce() -> R>(room: usize, body: F) -> Result<R, F> {
    let mut stack = match take() {
        Ok(stack) if stack.room().0 >= room => stack,
        _ => return Err(body),
    };
    let result = corosensei::on_stack(&mut stack, body);
    give_back(stack, true);
    Ok(result)
}

/// Bytes of a stack that an engine may use.
#[derive(Clone, Copy, Debug)]
pub struct Room(usize);

/// Tells an engine which stack it is on, and how much of it its script may use. Without it every call would fail as a
/// stack overflow.
///
/// # Safety
/// The runtime is alive, and used by nobody else meanwhile; the stack that this is called on has the room.
pub unsafe fn enter(runtime: *mut qjs::JSRuntime, room: Room) {
    unsafe {
        qjs::JS_SetMaxStackSize(runtime, room.0 as _);
        JS_SetShallowStackSize(runtime, SHALLOW as _);
        qjs::JS_UpdateStackTop(runtime);
    }
}

/// Whether script of this engine went deep since the last call.
///
/// # Safety
/// The runtime is alive, and used by nobody else meanwhile.
pub unsafe fn take_is_deep(runtime: *mut qjs::JSRuntime) -> bool {
    unsafe { JS_TakeStackIsDeep(runtime) }
}

/// Addresses for one stack, with a page below them that nothing may touch.
pub struct ScriptStack {
    start: *mut u8,
    length: usize,
}

impl ScriptStack {
    fn new(size: usize) -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let length = size + guard;
        // SAFETY: a fresh mapping that nobody knows of yet, at an address of the kernel's choice.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                null_mut(),
                length,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        let stack = Self { start: start.cast(), length };
        // SAFETY: what lies behind the guard is within the mapping.
        unsafe {
            let usable = stack.start.add(guard).cast();
            rustix::mm::mprotect(usable, size, MprotectFlags::READ | MprotectFlags::WRITE)?;
            // Where huge pages are used for everything, a stack would begin with one of two megabytes. A kernel that has
            // none refuses.
            #[cfg(target_os = "linux")]
            let _ = rustix::mm::madvise(usable, size, Advice::LinuxNoHugepage);
        }
        Ok(stack)
    }

    pub fn room(&self) -> Room {
        Room(self.length - rustix::param::page_size() - NATIVE_RESERVE)
    }

    /// Gives the memory of the deep part back to the system; the addresses stay.
    fn forget_deep_part(&self) {
        let guard = rustix::param::page_size();
        // The part that stays is larger by what native code may use below the engine's own limit.
        let deep = self.length - guard - 2 * SHALLOW;
        // SAFETY: the range is within the mapping, and nothing runs on the stack. The system may refuse; then the memory
        // stays with the stack.
        unsafe {
            let _ = rustix::mm::madvise(self.start.add(guard).cast(), deep, DISCARD);
        }
    }
}

/// On Linux, the pages are gone at once; elsewhere they may be taken.
#[cfg(target_os = "linux")]
const DISCARD: Advice = Advice::LinuxDontNeed;
#[cfg(not(target_os = "linux"))]
const DISCARD: Advice = Advice::DontNeed;

impl Drop for ScriptStack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this stack's own, and nothing runs on it.
        let unmapped = unsafe { rustix::mm::munmap(self.start.cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

// SAFETY: base and limit are the two ends of one mapping that lives as long as the stack, aligned to pages, and its lowest
// page is a guard.
unsafe impl Stack for ScriptStack {
    fn base(&self) -> StackPointer {
        pointer(self.start as usize + self.length)
    }

    fn limit(&self) -> StackPointer {
        pointer(self.start as usize)
    }
}

fn pointer(address: usize) -> StackPointer {
    match StackPointer::new(address) {
        Some(pointer) => pointer,
        None => unreachable!("no mapping begins at address zero"),
    }
}
