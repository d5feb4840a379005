//! The bytes behind `ArrayBuffer`s, typed arrays and `DataView`s, whatever their offset and length.

use rquickjs::{ArrayBuffer, Ctx, Error, Object, Value, qjs};

/// Bytes of a live buffer. Valid until script runs again: script may detach or resize it.
pub struct ByteView<'js> {
    buffer: ArrayBuffer<'js>,
    offset: usize,
    length: usize,
}

impl ByteView<'_> {
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the view keeps the buffer alive, and callers use the slice before any script can run, as the
        // type's contract says; a detached buffer gives `None`.
        let whole = unsafe { self.buffer.as_bytes() }.unwrap_or_default();
        // A script may have made up a DataView's offset and length.
        let end = self.offset.saturating_add(self.length);
        whole.get(self.offset..end).unwrap_or_default()
    }
}

impl ByteView<'_> {
    /// Copies as many of the bytes into the buffer as fit, and returns their number.
    pub fn fill(&self, bytes: &[u8]) -> usize {
        let Some(raw) = self.buffer.as_raw() else { return 0 };
        let end = self.offset.saturating_add(self.length).min(raw.len());
        let count = bytes.len().min(end.saturating_sub(self.offset));
        // SAFETY: the engine's buffer has `raw.len()` bytes for as long as no script runs, offset and
        // count stay within them, and `bytes` is no memory of the engine.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                raw.as_ptr().cast::<u8>().add(self.offset.min(end)),
                count,
            )
        };
        count
    }
}

/// `None` for objects that are not binary data.
pub fn of_object<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Option<ByteView<'js>>> {
    // The bindings would leave an exception behind for every other object.
    // SAFETY: the value is alive; this only looks at its tag and class.
    let is_buffer = unsafe { qjs::JS_IsArrayBuffer(object.as_raw()) };
    if is_buffer && let Some(buffer) = ArrayBuffer::from_object(object.clone()) {
        let length = buffer.len();
        return Ok(Some(ByteView { buffer, offset: 0, length }));
    }
    let (mut offset, mut length) = (0, 0);
    // SAFETY: the value is alive; these only look at its tag and class.
    let (is_array, is_data_view) =
        unsafe { (qjs::JS_GetTypedArrayType(object.as_raw()) >= 0, qjs::JS_IsDataView(object.as_raw())) };
    let buffer: Object<'js> = if is_array {
        // SAFETY: the array is alive and of this entered context; the engine writes offset and length and gives
        // back a value we own (or an exception, told apart below).
        let buffer = unsafe {
            let (context, none) = (ctx.as_raw().as_ptr(), std::ptr::null_mut());
            let raw = qjs::JS_GetTypedArrayBuffer(context, object.as_raw(), &mut offset, &mut length, none);
            Value::from_raw(ctx.clone(), raw)
        };
        match buffer.into_object() {
            Some(buffer) => buffer,
            None => return Err(Error::Exception),
        }
    } else if is_data_view {
        (offset, length) = (object.get("byteOffset")?, object.get("byteLength")?);
        object.get("buffer")?
    } else {
        return Ok(None);
    };
    let (offset, length) = (offset as usize, length as usize);
    Ok(ArrayBuffer::from_object(buffer).map(|buffer| ByteView { buffer, offset, length }))
}

/// The bytes of a string (as UTF-8) or of binary data, copied; `None` for anything else.
pub fn of_value<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<Vec<u8>>> {
    if let Some(text) = value.as_string() {
        return text.to_string().map(|text| Some(text.into_bytes()));
    }
    match value.as_object() {
        Some(object) => Ok(of_object(ctx, object)?.map(|view| view.as_slice().to_vec())),
        None => Ok(None),
    }
}

/// Calls `f` with a string's UTF-8 bytes. They are copied only if the engine stores the string in another form.
pub fn with_utf8<'js, R>(
    ctx: &Ctx<'js>,
    value: &Value<'js>,
    f: impl FnOnce(&[u8]) -> R,
) -> rquickjs::Result<R> {
    let mut length = 0;
    // SAFETY: the context is alive; the pointer is checked, covers `length` bytes, and is freed below after its
    // last use. The text is the engine's copy, or is kept by it until then, whatever script does.
    unsafe {
        let context = ctx.as_raw().as_ptr();
        let text = qjs::JS_ToCStringLen(context, &mut length, value.as_raw());
        if text.is_null() {
            return Err(Error::Exception);
        }
        let result = f(std::slice::from_raw_parts(text.cast::<u8>(), length));
        qjs::JS_FreeCString(context, text);
        Ok(result)
    }
}

/// Whether it is a typed array of whole numbers.
pub fn is_array_of_whole_numbers(value: &Value<'_>) -> bool {
    // SAFETY: it only looks at the tag and the class of a live value.
    let kind = unsafe { qjs::JS_GetTypedArrayType(value.as_raw()) };
    // The kinds of floating-point numbers come last; -1 is no typed array.
    (0..qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_FLOAT16 as i32).contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    #[test]
    fn every_kind_of_binary_data() {
        with_context(|ctx| {
            ctx.eval::<(), _>("globalThis.b = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).buffer").unwrap();
            for (code, expected) in [
                ("b", Some(vec![0, 1, 2, 3, 4, 5, 6, 7])),
                ("new Uint8Array(b, 2, 3)", Some(vec![2, 3, 4])),
                ("new Uint16Array(b, 4)", Some(vec![4, 5, 6, 7])),
                ("new Float64Array(b)", Some(vec![0, 1, 2, 3, 4, 5, 6, 7])),
                ("new DataView(b, 6)", Some(vec![6, 7])),
                ("Object.defineProperty(new DataView(b), 'byteLength', { value: 4e9 })", Some(vec![])),
                ("Object.defineProperty(new Uint8Array(b, 7), 'byteOffset', { value: 0 })", Some(vec![7])),
                ("new Uint8Array(0)", Some(vec![])),
                ("[1, 2]", None),
                ("({ buffer: b, byteOffset: 0, byteLength: 2 })", None),
                ("'text'", Some(b"text".to_vec())),
                ("'a\\ud800b'", Some("a\u{fffd}b".as_bytes().to_vec())),
                ("5", None),
            ] {
                let value: Value<'_> = ctx.eval(code).unwrap();
                assert_eq!(of_value(ctx, &value).unwrap(), expected, "{code}");
                assert!(!ctx.has_exception(), "{code}");
            }
        });
    }

    #[test]
    fn views_are_filled_within_their_bounds() {
        with_context(|ctx| {
            ctx.eval::<(), _>("globalThis.b = new Uint8Array(6).buffer").unwrap();
            for (code, bytes, count) in [
                ("new Uint8Array(b, 1, 2)", &[1, 2, 3][..], 2),
                ("new DataView(b, 4)", &[9], 1),
                ("Object.defineProperty(new DataView(b), 'byteOffset', { value: 4e9 })", &[7], 0),
            ] {
                let value: Object<'_> = ctx.eval(code).unwrap();
                assert_eq!(of_object(ctx, &value).unwrap().unwrap().fill(bytes), count, "{code}");
            }
            let all: Value<'_> = ctx.eval("b").unwrap();
            assert_eq!(of_value(ctx, &all).unwrap(), Some(vec![0, 1, 2, 0, 9, 0]));
        });
    }

    #[test]
    fn a_detached_buffer_is_empty_or_refused() {
        with_context(|ctx| {
            let value: Value<'_> =
                ctx.eval("(() => { const a = new Uint8Array(4); a.buffer.transfer(); return a })()").unwrap();
            let bytes = of_value(ctx, &value);
            assert!(matches!(bytes, Ok(Some(bytes)) if bytes.is_empty()) || ctx.has_exception());
        });
    }
}
