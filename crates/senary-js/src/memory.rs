//! How much memory the script of one VU takes, and what it may take.
//!
//! The engine counts what it allocates. Native code that keeps bytes for a script counts them here: received data, and
//! writes that the system has not taken. A script that exceeds the limit is stopped at the engine's next check, by an
//! error that it cannot catch, because a loop that caught it would never end. Until then a reserve beyond the limit
//! lets the engine unwind, and native code finish what cannot fail half-way. Allocations that do not fit into the
//! reserve are refused.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::rc::Rc;

use rquickjs::{Ctx, Value, qjs};
use senary_words::size::Size;

use crate::errors::throw_uncatchable;

unsafe extern "C" {
    fn JS_GetMemoryUse(rt: *mut qjs::JSRuntime, refused: *mut bool) -> qjs::size_t;
}

/// The default limit of a VU's script, in bytes.
pub const DEFAULT_LIMIT: usize = 1_000_000_000;

/// The reserve beyond the limit: this part of it, and this much at least.
const RESERVE_PART: usize = 8;
const MIN_RESERVE: usize = 1 << 20;

/// The part of the limit that must be free after a garbage collection for a script to go on. With less, it would
/// collect all the time.
const FREE_PART: usize = 16;

/// The memory account of one VU.
pub struct Memory {
    limit: usize,
    /// Bytes that native code keeps.
    native: Cell<usize>,
    /// Whether the script has to stop, even if memory is freed in the meantime.
    exhausted: Cell<bool>,
    engine: Cell<Option<NonNull<qjs::JSRuntime>>>,
}

impl Memory {
    /// `None` is the default limit, in bytes.
    pub fn new(limit: Option<usize>) -> Rc<Self> {
        Rc::new(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            native: Cell::new(0),
            exhausted: Cell::new(false),
            engine: Cell::new(None),
        })
    }

    /// Sets the engine whose memory is counted, and limits it. It must outlive all calls of
    /// [`is_exhausted`](Self::is_exhausted), which are made from within it.
    pub fn belongs_to(&self, ctx: &Ctx<'_>) {
        let most = self.limit.saturating_add((self.limit / RESERVE_PART).max(MIN_RESERVE));
        // SAFETY: the context is alive; the calls read and write a field.
        let engine = unsafe {
            let engine = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
            qjs::JS_SetMemoryLimit(engine, most as _);
            engine
        };
        self.engine.set(NonNull::new(engine));
    }

    /// Whether the script has passed its limit and has to be stopped. Called while the engine is entered. Garbage does
    /// not count: if there is too little room, it is collected first.
    pub fn is_exhausted(&self) -> bool {
        if self.exhausted.get() {
            return true;
        }
        let Some(engine) = self.engine.get() else { return false };
        let (used, refused) = self.used(engine);
        if !refused && used <= self.limit {
            return false;
        }
        // SAFETY: the engine is alive, for it is entered. It collects at any allocation, so every caller is ready
        // for it.
        unsafe { qjs::JS_RunGC(engine.as_ptr()) };
        self.exhausted.set(refused || self.used(engine).0 > self.limit - self.limit / FREE_PART);
        self.exhausted.get()
    }

    /// Stops a script that has passed its limit, by an error that it cannot catch. For native code that keeps much at a
    /// time: the engine looks only every few milliseconds.
    pub fn check(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        if self.is_exhausted() { Err(throw_uncatchable(ctx, "out of memory")) } else { Ok(()) }
    }

    /// Bytes in use, and whether more were refused.
    fn used(&self, engine: NonNull<qjs::JSRuntime>) -> (usize, bool) {
        let mut refused = false;
        // SAFETY: the engine is alive, as `belongs_to` promises; the call reads two fields.
        let by_engine = unsafe { JS_GetMemoryUse(engine.as_ptr(), &mut refused) };
        (self.native.get() + by_engine as usize, refused)
    }

    pub fn limit(&self) -> Size {
        Size(self.limit)
    }

    /// Counts bytes that native code keeps for the script, for as long as the result lives.
    pub fn charge(self: &Rc<Self>, bytes: usize) -> Charge {
        self.add(bytes);
        Charge { memory: self.clone(), bytes }
    }

    fn add(&self, bytes: usize) {
        self.native.set(self.native.get() + bytes);
    }

    fn subtract(&self, bytes: usize) {
        self.native.set(self.native.get().saturating_sub(bytes));
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

    pub fn len(&self) -> usize {
        // SAFETY: the bytes are those of a chunk, and alive.
        unsafe { header(self.bytes.as_ptr()).read().length }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: as many bytes as the header says belong to the chunk, and nobody else has them.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len()) }
    }

    /// A fresh `ArrayBuffer` that takes over the bytes.
    pub fn into_array_buffer<'js>(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let (bytes, length) = (self.bytes.as_ptr(), self.len());
        std::mem::forget(self);
        // SAFETY: as in `into_uint8_array`. No greatest length means that the length is fixed.
        let buffer = unsafe {
            let (context, none) = (ctx.as_raw().as_ptr(), std::ptr::null_mut());
            let raw = qjs::JS_NewArrayBuffer(context, bytes, length as _, 0, Some(resize), none, false);
            Value::from_raw(ctx.clone(), raw)
        };
        if buffer.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(buffer) }
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
        Err(_) => unreachable!("a chunk is no larger than what is in memory already"),
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

    fn used(memory: &Memory) -> usize {
        memory.used(memory.engine.get().unwrap()).0
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = Memory::new(None);
        let runtime = Runtime::new().unwrap();
        let context = Context::full(&runtime).unwrap();
        context.with(|ctx| {
            memory.belongs_to(&ctx);
            let before = used(&memory);
            assert!((10_000..2_000_000).contains(&before), "{before} bytes");
            let chunk = Chunk::copy_of(&memory, &[7; 100_000]);
            assert!(used(&memory) >= before + 100_000);
            ctx.globals().set("chunk", chunk.into_uint8_array(&ctx).unwrap()).unwrap();
            drop(Chunk::copy_of(&memory, &[1; 5]));
            let charge = memory.charge(1_000);
            ctx.eval::<(), _>(
                "globalThis.big = new Array(50000).fill(0); big.length = 10; big = 'x'.repeat(1e5)",
            )
            .unwrap();
            assert!(used(&memory) >= before + 200_000);
            drop(charge);
            let last: u8 = ctx.eval("chunk.at(-1)").unwrap();
            assert_eq!(last, 7);
            ctx.eval::<(), _>("delete globalThis.chunk; delete globalThis.big").unwrap();
            assert!(used(&memory) < before + 50_000);
        });
        drop(context);
        drop(runtime);
        assert_eq!((memory.native.get(), Rc::strong_count(&memory)), (0, 1));
    }

    /// A chunk's bytes are not the engine's, which copies them where it would make its own larger or smaller.
    #[test]
    fn chunks_can_be_transferred() {
        let memory = Memory::new(None);
        let runtime = Runtime::new().unwrap();
        Context::full(&runtime).unwrap().with(|ctx| {
            memory.belongs_to(&ctx);
            for (length, expected) in [("10", "5,0:10"), ("2", "5:2"), ("", "5:5"), ("0", ":0"), ("5", "5:5")] {
                ctx.globals().set("chunk", Chunk::copy_of(&memory, &[5; 5]).into_uint8_array(&ctx).unwrap()).unwrap();
                let code = format!(
                    "const b = new Uint8Array(chunk.buffer.transfer({length})); \
                     [...new Set(b)].join() + ':' + b.length + (chunk.length === 0 && chunk.buffer.detached ? '' : '!')"
                );
                let found: String = ctx.eval(format!("{{ {code} }}")).unwrap();
                assert_eq!(found, expected, "{length}");
            }
        });
        drop(runtime);
        assert_eq!(memory.native.get(), 0);
    }

    #[test]
    fn garbage_does_not_count() {
        let memory = Memory::new(Some(20_000_000));
        let runtime = Runtime::new().unwrap();
        // The collector runs only when it is asked to.
        runtime.set_gc_threshold(usize::MAX);
        Context::full(&runtime).unwrap().with(|ctx| {
            memory.belongs_to(&ctx);
            let cycle = "{ const a = [new Uint8Array(20500000)]; a.push(a) }";
            ctx.eval::<(), _>(cycle).unwrap();
            assert!(used(&memory) > memory.limit && !memory.is_exhausted());
            ctx.eval::<(), _>("globalThis.kept = new Uint8Array(20500000)").unwrap();
            assert!(memory.is_exhausted());
            // The state stays, because the script may be in the middle of ending.
            ctx.eval::<(), _>("kept = null").unwrap();
            assert!(used(&memory) < memory.limit && memory.is_exhausted());
        });
    }

    #[test]
    fn what_fits_nowhere_is_refused() {
        let memory = Memory::new(Some(5_000_000));
        let runtime = Runtime::new().unwrap();
        Context::full(&runtime).unwrap().with(|ctx| {
            memory.belongs_to(&ctx);
            assert!(ctx.eval::<(), _>("new Uint8Array(1e9)").is_err());
            assert!(memory.is_exhausted());
        });
    }

    #[test]
    fn engines_of_a_thread_are_counted_one_by_one() {
        let engines: Vec<_> = (0..3).map(|_| Context::full(&Runtime::new().unwrap()).unwrap()).collect();
        let books: Vec<_> = engines.iter().map(|_| Memory::new(Some(20_000_000))).collect();
        for (context, memory) in engines.iter().zip(&books) {
            context.with(|ctx| memory.belongs_to(&ctx));
        }
        // All VUs share the names, no matter which VU comes first, and small blocks lie beside those of others.
        let grow =
            "globalThis.kept = []; for (let i = 0; i < 20000; i++) kept.push({ ['name' + i]: i, b: [i] })";
        let before: Vec<_> = books.iter().map(|memory| used(memory)).collect();
        engines[0].with(|ctx| ctx.eval::<(), _>(grow).unwrap());
        engines[2].with(|ctx| ctx.eval::<(), _>(grow).unwrap());
        assert!(used(&books[0]) > before[0] + 2_000_000 && used(&books[2]) > before[2] + 2_000_000);
        assert_eq!(used(&books[1]), before[1]);
        engines[0].with(|ctx| ctx.eval::<(), _>("kept = null").unwrap());
        engines[2].with(|ctx| {
            let all: bool = ctx.eval("kept.every((o, i) => o['name' + i] === i && o.b[0] === i)").unwrap();
            assert!(all);
        });
        drop(engines);
    }
}
