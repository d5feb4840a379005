//! `Blob`: bytes that do not change, and their type. What is cut out of one shares its bytes.
//! (<https://w3c.github.io/FileAPI/#blob-section>)

use std::rc::Rc;

use rquickjs::function::{Constructor, Opt, This};
use rquickjs::object::Accessor;
use rquickjs::{Class, Coerced, Ctx, Function, Object, Value};
use senary_js::memory::{Chunk, Memory};
use senary_js::native::Checked;
use senary_js::vu::core::vu_of;
use senary_js::{bytes, errors, native, native_class, promise};

use crate::experimental::streams;

pub struct Blob {
    data: Rc<Chunk>,
    begin: usize,
    end: usize,
    kind: String,
}

native_class!(Blob, "Blob", prototype, constructor);

type ThisBlob<'js> = This<Class<'js, Blob>>;

impl Blob {
    /// All of the bytes that have come.
    pub fn of(data: Chunk) -> Self {
        Self { begin: 0, end: data.len(), data: Rc::new(data), kind: String::new() }
    }

    pub fn bytes(&self) -> &[u8] {
        self.data.as_slice().get(self.begin..self.end).unwrap_or_default()
    }

    pub fn into_value<'js>(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        Ok(Class::instance(ctx.clone(), self)?.into_value())
    }

    /// The part between two positions; negative ones count from the end.
    fn part(&self, begin: Option<f64>, end: Option<f64>, kind: String) -> Self {
        let size = self.end - self.begin;
        let position = |at: f64| match at.trunc() {
            from_end if from_end < 0.0 => (size as f64 + from_end).max(0.0) as usize,
            at => (at as usize).min(size),
        };
        let begin = begin.map_or(0, position);
        let end = end.map_or(size, position).max(begin);
        Self { data: self.data.clone(), begin: self.begin + begin, end: self.begin + end, kind }
    }
}

fn construct<'js>(
    ctx: Ctx<'js>,
    parts: Opt<Value<'js>>,
    options: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, Blob>> {
    let given = |value: Option<Value<'js>>| value.filter(|value| !value.is_undefined() && !value.is_null());
    let mut data = Vec::new();
    if let Some(parts) = given(parts.0) {
        let Some(parts) = parts.as_array() else {
            return Err(errors::throw_type_error(&ctx, "the parts of a Blob must be an array"));
        };
        for part in parts.iter::<Value<'js>>() {
            add(&ctx, &part?, &mut data)?;
        }
    }
    let kind = match given(options.0).as_ref().and_then(Value::as_object) {
        Some(options) => match given(options.get("type")?) {
            Some(kind) => kind.get::<Coerced<String>>()?.0,
            None => String::new(),
        },
        None => String::new(),
    };
    let memory = vu_of(&ctx)?.memory.clone();
    let blob = Blob { kind, ..Blob::of(Chunk::copy_of(&memory, &data)) };
    Class::instance(ctx, blob)
}

fn add<'js>(ctx: &Ctx<'js>, part: &Value<'js>, data: &mut Vec<u8>) -> rquickjs::Result<()> {
    if let Ok(blob) = Class::<Blob>::from_value(part) {
        data.extend_from_slice(blob.borrow().bytes());
        return Ok(());
    }
    if let Some(object) = part.as_object()
        && let Some(view) = bytes::of_object(ctx, object)?
    {
        data.extend_from_slice(view.as_slice());
        return Ok(());
    }
    // Everything else is its text, as the standard has it.
    let text = part.get::<Coerced<String>>()?.0;
    data.extend_from_slice(text.as_bytes());
    Ok(())
}

fn copy(ctx: &Ctx<'_>, blob: &Blob) -> rquickjs::Result<Chunk> {
    let memory: Rc<Memory> = vu_of(ctx)?.memory.clone();
    Ok(Chunk::copy_of(&memory, blob.bytes()))
}

fn text<'js>(ctx: Ctx<'js>, this: ThisBlob<'js>) -> rquickjs::Result<Value<'js>> {
    let text = String::from_utf8_lossy(this.0.borrow().bytes()).into_owned();
    let text = rquickjs::String::from_str(ctx.clone(), &text).map(rquickjs::String::into_value);
    promise::of_result(&ctx, text)
}

fn array_buffer<'js>(ctx: Ctx<'js>, this: ThisBlob<'js>) -> rquickjs::Result<Value<'js>> {
    let buffer = copy(&ctx, &this.0.borrow()).and_then(|chunk| chunk.into_array_buffer(&ctx));
    promise::of_result(&ctx, buffer)
}

fn byte_array<'js>(ctx: Ctx<'js>, this: ThisBlob<'js>) -> rquickjs::Result<Value<'js>> {
    let array = copy(&ctx, &this.0.borrow()).and_then(|chunk| chunk.into_uint8_array(&ctx));
    promise::of_result(&ctx, array)
}

fn slice<'js>(
    ctx: Ctx<'js>,
    this: ThisBlob<'js>,
    begin: Opt<Value<'js>>,
    end: Opt<Value<'js>>,
    kind: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, Blob>> {
    let number = |value: Option<Value<'js>>| match value {
        Some(value) if !value.is_undefined() => {
            let number = value.get::<Coerced<f64>>()?.0;
            Ok(Some(if number.is_nan() { 0.0 } else { number }))
        }
        _ => Ok::<_, rquickjs::Error>(None),
    };
    let (begin, end) = (number(begin.0)?, number(end.0)?);
    let kind = match kind.0 {
        Some(kind) if !kind.is_undefined() => kind.get::<Coerced<String>>()?.0,
        _ => String::new(),
    };
    let part = this.0.borrow().part(begin, end, kind);
    Class::instance(ctx, part)
}

/// A stream of all its bytes, in one chunk.
fn stream<'js>(ctx: Ctx<'js>, this: ThisBlob<'js>) -> rquickjs::Result<Value<'js>> {
    let chunk = copy(&ctx, &this.0.borrow())?.into_uint8_array(&ctx)?;
    let source = Object::new(ctx.clone())?;
    let start = move |controller: Object<'js>| -> rquickjs::Result<()> {
        let length: f64 = chunk.get::<Object<'js>>()?.get("length")?;
        if length > 0.0 {
            let enqueue: Function<'js> = controller.get("enqueue")?;
            enqueue.call::<_, ()>((This(controller.clone()), chunk.clone()))?;
        }
        let close: Function<'js> = controller.get("close")?;
        close.call((This(controller),))
    };
    source.set("start", Function::new(ctx.clone(), start)?)?;
    let class: Constructor<'js> = streams::exports(&ctx)?.get("ReadableStream")?;
    class.construct((source,))
}

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    let method = |name: &str, function: rquickjs::Result<Function<'js>>| {
        prototype.set(name, function?.with_name(name)?)
    };
    method("text", native::function(ctx, text))?;
    method("arrayBuffer", native::function(ctx, array_buffer))?;
    method("bytes", native::function(ctx, byte_array))?;
    method("slice", native::function(ctx, slice))?;
    method("stream", native::function(ctx, stream))?;
    let size = Checked(|this: ThisBlob<'js>| this.0.borrow().bytes().len() as f64);
    prototype.prop("size", Accessor::from(size).enumerable())?;
    let kind = Checked(|this: ThisBlob<'js>| this.0.borrow().kind.clone());
    prototype.prop("type", Accessor::from(kind).enumerable())?;
    Ok(prototype)
}

fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
    Constructor::new_class::<Blob, _, _>(ctx.clone(), construct).map(Some)
}
