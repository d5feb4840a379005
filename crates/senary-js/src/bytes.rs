//! The bytes behind `ArrayBuffer`s, typed arrays and `DataView`s, whatever their offset and length.

use rquickjs::{ArrayBuffer, Ctx, Object};

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
