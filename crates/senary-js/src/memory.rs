//! How much memory the script of one VU takes, and what it may take.
//!
//! The engine's allocator counts here, and so does native code that keeps bytes for a script: data that came for it,
//! writes the kernel has not taken. Past the limit a script is stopped, as soon as the engine looks: by an error that it
//! cannot catch, since a loop that did would never end. Until then a reserve lets the engine unwind, and native code that
//! cannot fail half-way; what would not even fit into that is refused.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;

use rquickjs::allocator::{Allocator, RustAllocator};
use rquickjs::{Ctx, Value, qjs};

/// Bytes a VU's script may take if nobody says otherwise.
pub const DEFAULT_LIMIT: usize = 1_000_000_000;

/// The reserve beyond the limit: this part of it, and this much at least.
const RESERVE_PART: usize = 8;
const LEAST_RESERVE: usize = 1 << 20;

/// The part of the limit that must be free after a collection, for a script to go on: with less, it would collect all
/// the time.
const FREE_PART: usize = 16;

/// The books of one VU.
pub struct Memory {
    limit: usize,
    used: Cell<usize>,
    /// Whether the script has to go, whatever is freed meanwhile.
    exhausted: Cell<bool>,
    engine: Cell<Option<NonNull<qjs::JSRuntime>>>,
}

impl Memory {
    /// `None` is the default limit, in bytes.
    pub fn new(limit: Option<usize>) -> Rc<Self> {
        Rc::new(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            used: Cell::new(0),
            exhausted: Cell::new(false),
            engine: Cell::new(None),
        })
    }

    /// The allocator for the VU's engine.
    pub fn allocator(self: &Rc<Self>) -> CountedAllocator {
        CountedAllocator { memory: self.clone(), inner: RustAllocator }
    }

    /// Tells which engine's garbage is in the way when memory gets scarce. It must outlive all calls of
    /// [`is_exhausted`](Self::is_exhausted), which are made from within it.
    pub fn belongs_to(&self, ctx: &Ctx<'_>) {
        // SAFETY: the context is alive; the call only reads a field.
        self.engine.set(NonNull::new(unsafe { qjs::JS_GetRuntime(ctx.as_raw().as_ptr()) }));
    }

    /// Whether the script has passed its limit and has to be stopped. Called while the engine is entered. Garbage does
    /// not count: should there be too little room, it is collected first.
    pub fn is_exhausted(&self) -> bool {
        if self.used.get() > self.limit && !self.exhausted.get() {
            if let Some(engine) = self.engine.get() {
                // SAFETY: the engine is alive, for it is entered. It collects at any allocation, so every caller is
                // ready for it.
                unsafe { qjs::JS_RunGC(engine.as_ptr()) };
            }
            self.exhausted.set(self.used.get() > self.limit - self.limit / FREE_PART);
        }
        self.exhausted.get()
    }

    pub fn limit(&self) -> Size {
        Size(self.limit)
    }

    /// Counts bytes that native code keeps for the script, for as long as the result lives.
    pub fn charge(self: &Rc<Self>, bytes: usize) -> Charge {
        self.add(bytes);
        Charge { memory: self.clone(), bytes }
    }

    /// Whether so much more may be taken; if not, it is over with the script.
    fn admits(&self, bytes: usize) -> bool {
        let most = self.limit.saturating_add((self.limit / RESERVE_PART).max(LEAST_RESERVE));
        let admitted = self.used.get().saturating_add(bytes) <= most;
        if !admitted {
            self.exhausted.set(true);
        }
        admitted
    }

    fn add(&self, bytes: usize) {
        self.used.set(self.used.get() + bytes);
    }

    fn subtract(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

/// Bytes that count until it is dropped.
pub struct Charge {
    memory: Rc<Memory>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.subtract(self.bytes);
    }
}

/// A size in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

/// In the largest unit that leaves a whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            ("GiB", 1 << 30),
            ("GB", 1_000_000_000),
            ("MiB", 1 << 20),
            ("MB", 1_000_000),
            ("KiB", 1 << 10),
            ("KB", 1_000),
        ];
        let whole = units.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// The engine's allocator: the process's own, and the books. The engine takes small blocks from pages of its own, so
/// it is asked for pages and large blocks only.
pub struct CountedAllocator {
    memory: Rc<Memory>,
    inner: RustAllocator,
}

impl CountedAllocator {
    fn count(&self, block: *mut u8) -> *mut u8 {
        if !block.is_null() {
            // SAFETY: the block is one the inner allocator just gave out.
            self.memory.add(unsafe { RustAllocator::usable_size(block) });
        }
        block
    }
}

// SAFETY: the inner allocator keeps the contract; whatever it gives out and takes back is passed on as it is.
unsafe impl Allocator for CountedAllocator {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.memory.admits(size) {
            return std::ptr::null_mut();
        }
        let block = self.inner.alloc(size);
        self.count(block)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !self.memory.admits(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        let block = self.inner.calloc(count, size);
        self.count(block)
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the engine gives back a block it got here, once.
        unsafe {
            self.memory.subtract(RustAllocator::usable_size(block));
            self.inner.dealloc(block);
        }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the engine hands over a block it got here; it stays as it is if no larger one can be had.
        let (before, moved) = unsafe {
            let before = RustAllocator::usable_size(block);
            if size > before && !self.memory.admits(size - before) {
                return std::ptr::null_mut();
            }
            (before, self.inner.realloc(block, size))
        };
        if !moved.is_null() {
            self.memory.subtract(before);
        }
        self.count(moved)
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: as the caller promises.
        unsafe { RustAllocator::usable_size(block) }
    }
}

/// Bytes that came for a script and become a `Uint8Array` of its own. They count from the start: a script that keeps
/// all it receives is stopped by its limit like any other.
pub struct Chunk {
    bytes: NonNull<u8>,
}

/// Before the bytes, in the same block: handing them to the engine costs no second one.
#[repr(C)]
struct Header {
    memory: *const Memory,
    length: usize,
}

impl Chunk {
    pub fn copy_of(memory: &Rc<Memory>, bytes: &[u8]) -> Self {
        let layout = layout(bytes.len());
        memory.add(layout.size());
        let header = Header { memory: Rc::into_raw(memory.clone()), length: bytes.len() };
        // SAFETY: the layout is not empty; the block has room for the header, and behind it for the bytes.
        unsafe {
            let Some(block) = NonNull::new(std::alloc::alloc(layout)) else { handle_alloc_error(layout) };
            block.cast::<Header>().write(header);
            let start = block.add(size_of::<Header>());
            start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            Self { bytes: start }
        }
    }

    /// A fresh array that takes over the bytes. The bindings' own way looks up the constructor and calls it, which costs
    /// several times as much per message.
    pub fn into_uint8_array<'js>(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let bytes = self.bytes.as_ptr();
        std::mem::forget(self);
        // SAFETY: the context is alive and entered; the bytes belong to the array from here on, which gives them back
        // through `resize`. Only where memory is out and no array is made may they be lost, never freed twice.
        let array = unsafe {
            let length = header(bytes).read().length;
            let context = ctx.as_raw().as_ptr();
            let raw =
                qjs::JS_NewUint8Array(context, bytes, length as _, Some(resize), std::ptr::null_mut(), false);
            Value::from_raw(ctx.clone(), raw)
        };
        if array.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(array) }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: nobody else has the bytes.
        unsafe { free(self.bytes.as_ptr()) }
    }
}

fn layout(length: usize) -> Layout {
    let size = size_of::<Header>().saturating_add(length);
    match Layout::from_size_align(size, align_of::<Header>()) {
        Ok(layout) => layout,
        Err(_) => unreachable!("a chunk is no larger than the buffer it is read into"),
    }
}

/// SAFETY: `bytes` are those of a `Chunk`.
unsafe fn header(bytes: *mut u8) -> *mut Header {
    unsafe { bytes.sub(size_of::<Header>()).cast() }
}

/// SAFETY: `bytes` are those of a `Chunk`, and not used any more.
unsafe fn free(bytes: *mut u8) {
    unsafe {
        let Header { memory, length } = header(bytes).read();
        let layout = layout(length);
        Rc::from_raw(memory).subtract(layout.size());
        std::alloc::dealloc(header(bytes).cast(), layout);
    }
}

/// Frees the bytes of an array (size 0); refuses to resize them, which scripts see as an error.
unsafe extern "C" fn resize(
    _: *mut qjs::JSRuntime,
    _: *mut c_void,
    bytes: *mut c_void,
    size: qjs::size_t,
) -> *mut c_void {
    if size == 0 {
        // SAFETY: the engine calls this once, with what `into_uint8_array` gave it.
        unsafe { free(bytes.cast()) };
    }
    std::ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use rquickjs::{Context, Runtime};

    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = Memory::new(None);
        let runtime = Runtime::new_with_alloc(memory.allocator()).unwrap();
        let context = Context::full(&runtime).unwrap();
        let before = memory.used.get();
        assert!((10_000..2_000_000).contains(&before), "{before} bytes");
        context.with(|ctx| {
            let chunk = Chunk::copy_of(&memory, &[7; 100_000]);
            assert!(memory.used.get() >= before + 100_000);
            ctx.globals().set("chunk", chunk.into_uint8_array(&ctx).unwrap()).unwrap();
            drop(Chunk::copy_of(&memory, &[1; 5]));
            let charge = memory.charge(1_000);
            ctx.eval::<(), _>(
                "globalThis.big = new Array(50000).fill(0); big.length = 10; big = 'x'.repeat(1e5)",
            )
            .unwrap();
            drop(charge);
            let last: u8 = ctx.eval("chunk.at(-1)").unwrap();
            assert_eq!(last, 7);
            ctx.eval::<(), _>("delete globalThis.chunk; delete globalThis.big").unwrap();
        });
        drop(context);
        drop(runtime);
        assert_eq!((memory.used.get(), Rc::strong_count(&memory)), (0, 1));
    }

    #[test]
    fn garbage_does_not_count() {
        let memory = Memory::new(Some(20_000_000));
        let runtime = Runtime::new_with_alloc(memory.allocator()).unwrap();
        // Nothing is collected unless somebody asks.
        runtime.set_gc_threshold(usize::MAX);
        Context::full(&runtime).unwrap().with(|ctx| {
            memory.belongs_to(&ctx);
            let cycle = "{ const a = [new Uint8Array(20500000)]; a.push(a) }";
            ctx.eval::<(), _>(cycle).unwrap();
            assert!(memory.used.get() > memory.limit && !memory.is_exhausted());
            ctx.eval::<(), _>("globalThis.kept = new Uint8Array(20500000)").unwrap();
            assert!(memory.is_exhausted());
            // It stays so: the script may be on its way out.
            ctx.eval::<(), _>("kept = null").unwrap();
            assert!(memory.used.get() < memory.limit && memory.is_exhausted());
        });
    }

    #[test]
    fn what_fits_nowhere_is_refused() {
        let memory = Memory::new(Some(5_000_000));
        let runtime = Runtime::new_with_alloc(memory.allocator()).unwrap();
        Context::full(&runtime).unwrap().with(|ctx| {
            assert!(ctx.eval::<(), _>("new Uint8Array(1e9)").is_err());
            assert!(memory.is_exhausted());
        });
    }

    #[test]
    fn sizes_in_words() {
        for (bytes, text) in [(256_000_000, "256MB"), (1 << 30, "1GiB"), (1 << 25, "32MiB"), (1_234, "1234B")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
