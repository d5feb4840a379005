//! `k6/http`: requests and their responses.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-http/>)
//!
//! `calls` and `batch` are what scripts call. A `request` is read from their arguments (`params`, `form`, `file`), makes a
//! `flight` (`redirect`, `auth`, `compression`, cookies of the `jar`), which the HTTP client of `senary-net` carries out and `books`
//! records, and comes back as a `response` (`gjson`, `page`). `state` is what is kept for each VU.

mod auth;
mod batch;
mod books;
mod calls;
mod compression;
mod constants;
mod cookie;
mod debug;
mod destination;
mod file;
mod flight;
mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod gjson;
mod header;
pub mod jar;
pub mod jar_class;
mod json_error;
mod pace;
mod page;
mod params;
mod pending;
mod redirect;
mod request;
mod response;
pub mod state;
mod statuses;
mod url_template;

use rquickjs::function::Opt;
use rquickjs::{Class, Ctx, Function, Object, Value};
use senary_js::natives::NativeModule;
use senary_js::{errors, native};

use self::jar_class::JarObject;
use self::state::HttpState;

pub use self::state::HttpShared;

pub const MODULE: NativeModule = NativeModule { opens_files: true, ..NativeModule::new("k6/http", exports) };

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    calls::install(ctx, &module)?;
    let add =
        |name: &str, function: rquickjs::Result<Function<'js>>| module.set(name, function?.with_name(name)?);
    add("batch", native::function(ctx, batch::batch))?;
    add("url", native::function(ctx, url_template::url))?;
    add("file", native::function(ctx, file::file))?;
    add("cookieJar", native::function(ctx, jar_class::cookie_jar))?;
    add("expectedStatuses", native::function(ctx, statuses::expected_statuses))?;
    add("setResponseCallback", native::function(ctx, set_response_callback))?;
    Class::<JarObject>::define(&module)?;
    for (name, value) in constants::ALL {
        module.set(name, value)?;
    }
    Ok(module)
}

fn set_response_callback<'js>(ctx: Ctx<'js>, callback: Opt<Value<'js>>) -> rquickjs::Result<()> {
    // Nothing at all is taken for null, as in the reference.
    let callback = callback.0.unwrap_or_else(|| Value::new_null(ctx.clone()));
    match statuses::callback_of(&callback) {
        Ok(expected) => {
            HttpState::of(&ctx)?.set_callback(expected);
            Ok(())
        }
        Err(()) => Err(errors::throw_go_error(&ctx, "unsupported responseCallback")),
    }
}
