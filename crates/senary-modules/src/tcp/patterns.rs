//! Regular expressions of the script, applied to received bytes by the engine itself. The bytes are read as Latin-1.
// The engine's own expressions, asked by raw calls; each has its argument.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ops::Range;
use std::ptr::NonNull;

use rquickjs::{Ctx, Persistent, Value, qjs};
use senary_wire::{Found, Pattern};

unsafe extern "C" {
    fn JS_FindInBytes(
        ctx: *mut qjs::JSContext,
        regexp: qjs::JSValue,
        bytes: *const u8,
        length: qjs::size_t,
        from: qjs::size_t,
        positions: *mut c_int,
    ) -> c_int;
}

/// A regular expression of a script. It is used only while a turn of the VU runs that it belongs to.
pub struct ScriptPattern {
    context: NonNull<qjs::JSContext>,
    regexp: Persistent<Value<'static>>,
}

impl ScriptPattern {
    /// `None` for what is not a regular expression.
    pub fn of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Option<Self> {
        // SAFETY: the call looks at the value's tag and class only.
        let is_regexp = unsafe { qjs::JS_IsRegExp(value.as_raw()) };
        is_regexp.then(|| Self { context: ctx.as_raw(), regexp: Persistent::save(ctx, value.clone()) })
    }
}

impl Pattern for ScriptPattern {
    fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        let mut positions = [-1; 4];
        // SAFETY: the context is the VU's, which is entered whenever one of its patterns is asked (see the type). The
        // engine reads `bytes` within their length and writes the four positions.
        let (ctx, found) = unsafe {
            let ctx = Ctx::from_raw(self.context);
            let regexp = self.regexp.clone().restore(&ctx).ok()?;
            let (length, from) = (bytes.len() as qjs::size_t, from as qjs::size_t);
            let raw = self.context.as_ptr();
            (
                ctx.clone(),
                JS_FindInBytes(raw, regexp.as_raw(), bytes.as_ptr(), length, from, positions.as_mut_ptr()),
            )
        };
        if found < 0 {
            // It was interrupted; the script stops at its next step.
            ctx.catch();
        }
        if found != 1 {
            return None;
        }
        let [start, end, capture_start, capture_end] = positions;
        let Range { start, end } = range(start, end)?;
        Some(Found { start, end, capture: range(capture_start, capture_end) })
    }
}

/// Positions as the engine gives them: -1 where a group took no part.
fn range(start: c_int, end: c_int) -> Option<Range<usize>> {
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}
