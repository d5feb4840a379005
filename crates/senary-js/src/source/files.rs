//! `open()`: files as text or bytes, in the init context only.

use std::path::PathBuf;
use std::sync::Arc;

use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Coerced, Ctx, Function, IntoJs, Value};
use senary_words::io_text;

use super::frames::{self, Frame};
use super::loader::{only_in_init, running_modules, store_of, throw_source};
use super::{SourceError, specifier};
use crate::errors;
use crate::lazy::{self, Lazy};
use crate::script_context;

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static OPEN: Lazy = Lazy::of(|ctx| Ok(Function::new(ctx.clone(), open)?.with_name("open")?.into_value()));
    lazy::global(ctx, "open", &OPEN)
}

fn open<'js>(ctx: Ctx<'js>, path: Opt<Value<'js>>, mode: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let path = path.0.filter(|p| !p.is_undefined() && !p.is_null());
    let path = path.map(|p| p.get::<Coerced<String>>()).transpose()?.map(|p| p.0).unwrap_or_default();
    let (_, bytes) = read(&ctx, "open", &path)?;
    let binary = mode.0.and_then(|m| m.get::<Coerced<String>>().ok()).is_some_and(|m| m.0 == "b");
    if binary {
        return Ok(ArrayBuffer::new_copy(ctx, &bytes[..])?.into_value());
    }
    String::from_utf8_lossy(&bytes).into_js(&ctx)
}

/// Reads a file a script names; gives back where it is, too. `function`: the name of the function that the script
/// called.
pub fn read(ctx: &Ctx<'_>, function: &str, path: &str) -> rquickjs::Result<(PathBuf, Arc<[u8]>)> {
    if script_context::is_vu(ctx) {
        return Err(errors::throw_go_error(ctx, &only_in_init(function)));
    }
    if path.is_empty() {
        return Err(throw_source(ctx, &SourceError::EmptyPath));
    }
    if path.contains('\0') {
        return Err(throw_source(ctx, &SourceError::ZeroByte(path.to_owned())));
    }
    let store = store_of(ctx)?;
    let file = specifier::normalize(&directory(ctx, path)?.join(specifier::named_path(path)));
    if store.is_locked() && !store.is_known_file(&file) {
        return Err(throw_source(ctx, &SourceError::NotOpened(path.to_owned())));
    }
    let bytes = store.read(&file).map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::IsADirectory => {
                format!("open() can't be used with directories, path: {path:?}")
            }
            _ => format!("open {}: {}", file.display(), io_text(&error)),
        };
        errors::throw_go_error(ctx, &text)
    })?;
    Ok((file, bytes))
}

/// Relative paths start at the directory of the module whose own code is running, which need not be the one `open()` is
/// written in: a function of another module may call it. This surprises users, so there is a warning.
fn directory(ctx: &Ctx<'_>, path: &str) -> rquickjs::Result<PathBuf> {
    let store = store_of(ctx)?;
    let frames = frames::current(ctx);
    let running = running_modules(ctx, &frames)?;
    let directory = specifier::directory_of(running.first().copied().unwrap_or(&store.entry.url));
    let written_in = frames.iter().find_map(Frame::url).map(specifier::directory_of);
    let is_relative = !path.starts_with('/') && !path.contains("://");
    if let Some(written_in) =
        written_in.filter(|other| is_relative && *other != directory && !store.is_locked())
    {
        log::warn!(
            "open() was used and is currently relative to \"{}\", the directory of the module being run, not to \"{}\", where the call is written. This may change; open(import.meta.resolve({path:?})) names the file beside the module it is written in.",
            specifier::url_of(&directory),
            specifier::url_of(&written_in),
        );
    }
    Ok(directory)
}
