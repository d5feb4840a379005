//! The bytes behind `ArrayBuffer`s, typed arrays and `DataView`s, whatever their offset and length, and the
//! UTF-8 of strings.

use rquickjs::{ArrayBuffer, Ctx, Object, Value};

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
        whole.get(self.offset..self.offset + self.length).unwrap_or_default()
    }
}

/// `None` for objects that are no binary data.
pub fn of_object<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Option<ByteView<'js>>> {
    if let Some(buffer) = ArrayBuffer::from_object(object.clone()) {
        let length = buffer.len();
        return Ok(Some(ByteView { buffer, offset: 0, length }));
    }
    if !is_view(ctx, object)? {
        return Ok(None);
    }
    let buffer: Object<'js> = object.get("buffer")?;
    let Some(buffer) = ArrayBuffer::from_object(buffer) else { return Ok(None) };
    let (offset, length) = (object.get::<_, usize>("byteOffset")?, object.get::<_, usize>("byteLength")?);
    Ok(Some(ByteView { buffer, offset, length }))
}

fn is_view<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<bool> {
    let array_buffer: Object<'js> = ctx.globals().get("ArrayBuffer")?;
    let is_view: rquickjs::Function<'js> = array_buffer.get("isView")?;
    is_view.call((object.clone(),))
}

/// A string as UTF-8. Script may hold lone surrogates, which are no Unicode: each becomes U+FFFD.
pub fn text_of(string: &rquickjs::String<'_>) -> rquickjs::Result<String> {
    let text = string.clone().to_cstring()?;
    // SAFETY: the engine guarantees `len` readable bytes for as long as `text` lives.
    let bytes = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), text.len()) };
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    // A lone surrogate comes as the three bytes ED A0..BF xx; U+FFFD has three as well.
    let mut bytes = bytes.to_vec();
    for i in 0..bytes.len().saturating_sub(2) {
        if bytes[i] == 0xED && bytes[i + 1] >= 0xA0 {
            bytes[i..i + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a string (as UTF-8) or of binary data, copied; `None` for anything else.
pub fn of_value<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<Vec<u8>>> {
    if let Some(text) = value.as_string() {
        return text_of(text).map(|text| Some(text.into_bytes()));
    }
    match value.as_object() {
        Some(object) => Ok(of_object(ctx, object)?.map(|view| view.as_slice().to_vec())),
        None => Ok(None),
    }
}
