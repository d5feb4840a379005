//! `k6/experimental/fs`: files, read in parts. All VUs share one copy of a file's bytes; each has its own position.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-experimental/fs/>)

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use rquickjs::function::{Opt, This};
use rquickjs::object::Accessor;
use rquickjs::{Class, Coerced, Ctx, IntoJs, Object, Value};
use senary_js::source::files;
use senary_js::{bytes, errors, native, native_class, promise};

/// Values of `SeekMode`.
const MODES: [(&str, u32); 3] = [("Start", 0), ("Current", 1), ("End", 2)];

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("open", native::function(ctx, open)?.with_name("open")?)?;
    let modes = Object::new(ctx.clone())?;
    for (name, value) in MODES {
        modes.set(name, value)?;
    }
    module.set("SeekMode", modes)?;
    Ok(module)
}

/// An open file of one VU.
pub struct File {
    path: String,
    data: Arc<[u8]>,
    position: Cell<usize>,
}

impl File {
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn data(&self) -> &Arc<[u8]> {
        &self.data
    }
}

fn open<'js>(ctx: Ctx<'js>, path: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let opened = open_now(&ctx, path.0);
    promise::of_result(&ctx, opened)
}

fn open_now<'js>(ctx: &Ctx<'js>, path: Option<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let Some(path) = path.filter(|path| !path.is_undefined() && !path.is_null()) else {
        return Err(errors::throw_type_error(ctx, "open() failed; reason: path cannot be null or undefined"));
    };
    let (path, data) = files::read(ctx, "fs.open", &path.get::<Coerced<String>>()?.0)?;
    let file = File { path: path.display().to_string(), data, position: Cell::new(0) };
    Ok(Class::instance(ctx.clone(), file)?.into_value())
}

type ThisFile<'js> = This<Class<'js, File>>;

fn stat<'js>(ctx: Ctx<'js>, this: ThisFile<'js>) -> rquickjs::Result<Value<'js>> {
    let file = this.0.borrow();
    let info = Object::new(ctx.clone())?;
    let name = Path::new(&file.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    info.set("name", name)?;
    info.set("size", file.data.len() as f64)?;
    promise::settled(&ctx, Ok(info.into_value()))
}

fn read<'js>(ctx: Ctx<'js>, this: ThisFile<'js>, into: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let read = read_now(&ctx, &this.0.borrow(), into.0);
    promise::of_result(&ctx, read)
}

fn read_now<'js>(ctx: &Ctx<'js>, file: &File, into: Option<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let view = match into.as_ref().and_then(Value::as_object) {
        Some(object) if !object.is_array_buffer() => bytes::of_object(ctx, object)?,
        _ => None,
    };
    let Some(view) = view else {
        return Err(errors::throw_type_error(
            ctx,
            "read() failed; reason: into argument must be a Uint8Array",
        ));
    };
    let rest = file.data.get(file.position.get()..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(Value::new_null(ctx.clone()));
    }
    let read = view.fill(rest);
    file.position.set(file.position.get() + read);
    (read as f64).into_js(ctx)
}

fn seek<'js>(
    ctx: Ctx<'js>,
    this: ThisFile<'js>,
    offset: Opt<Value<'js>>,
    mode: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let moved = seek_now(&ctx, &this.0.borrow(), offset.0, mode.0);
    promise::of_result(&ctx, moved)
}

fn seek_now<'js>(
    ctx: &Ctx<'js>,
    file: &File,
    offset: Option<Value<'js>>,
    mode: Option<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let whole = |value: Option<Value<'js>>| value?.as_number().filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
    let Some(offset) = whole(offset) else {
        return Err(errors::throw_type_error(
            ctx,
            "seek() failed; reason: offset argument must be an integer",
        ));
    };
    let size = file.data.len() as i64;
    let from = match whole(mode) {
        Some(0.0) => 0,
        Some(1.0) => file.position.get() as i64,
        // As in the reference, the end is the last byte.
        Some(2.0) => size - 1,
        _ => {
            let text = "seek() failed; reason: whence argument must be one of SeekMode's values";
            return Err(errors::throw_type_error(ctx, text));
        }
    };
    let target = from + offset as i64;
    if !(0..=size).contains(&target) {
        let text =
            format!("seek() failed; reason: offset {target} is outside of the file, which has {size} bytes");
        return Err(errors::throw_range_error(ctx, &text));
    }
    file.position.set(target as usize);
    (target as f64).into_js(ctx)
}

// Only `open()` makes files.
native_class!(File, "File", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    prototype.set("stat", native::function(ctx, stat)?.with_name("stat")?)?;
    prototype.set("read", native::function(ctx, read)?.with_name("read")?)?;
    prototype.set("seek", native::function(ctx, seek)?.with_name("seek")?)?;
    prototype
        .prop("path", Accessor::from(|this: ThisFile<'js>| this.0.borrow().path.clone()).enumerable())?;
    Ok(prototype)
}
