//! `open()`: files as text or bytes, in the init context only.

use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Coerced, Ctx, Function, IntoJs, Value};

use super::loader::{only_in_init, store_of, throw_source};
use super::{SourceError, specifier};
use crate::errors;
use crate::modules::phase::VuPhase;

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    ctx.globals().set("open", Function::new(ctx.clone(), open)?.with_name("open")?)
}

/// Relative paths start at the directory of the entry script.
fn open<'js>(
    ctx: Ctx<'js>,
    path: Opt<Coerced<String>>,
    mode: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    if ctx.userdata::<VuPhase>().is_some_and(|phase| !phase.is_init()) {
        return Err(errors::throw_go_error(&ctx, &only_in_init("open")));
    }
    let path = path.0.map(|p| p.0).unwrap_or_default();
    if path.is_empty() {
        return Err(throw_source(&ctx, &SourceError::EmptyPath));
    }
    let store = store_of(&ctx)?;
    let entry = specifier::path_of(&store.entry.url);
    let directory = entry.parent().unwrap_or(std::path::Path::new("/"));
    let file = specifier::normalize(&directory.join(path.strip_prefix("file://").unwrap_or(&path)));
    if store.is_locked() && !store.is_known_file(&file) {
        return Err(throw_source(&ctx, &SourceError::NotOpened(path)));
    }
    let bytes = match store.read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = format!("open {}: no such file or directory", file.display());
            return Err(errors::throw_go_error(&ctx, &text));
        }
        Err(error) => return Err(errors::throw_go_error(&ctx, &format!("open {}: {error}", file.display()))),
    };
    let binary = mode.0.and_then(|m| m.get::<Coerced<String>>().ok()).is_some_and(|m| m.0 == "b");
    if binary {
        return Ok(ArrayBuffer::new_copy(ctx, &bytes[..])?.into_value());
    }
    String::from_utf8_lossy(&bytes).into_js(&ctx)
}
