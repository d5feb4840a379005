//! Scripts of this program's own that make text out of text: without modules, timers and I/O, and without a VU.

use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt, Context, Function, Object, Runtime};

use crate::slice_clock;

/// In bytes. The calling thread's stack has to have room for it.
const STACK: usize = 512 << 10;

/// Runs the scripts, and then calls a function that one of them has put somewhere in an object of the global scope, such as
/// `["Senary", "regions", "still"]`.
///
/// # Errors
///
/// The text of what is thrown; also if it takes longer than `limit`, or more than `memory` bytes.
pub fn call<'a>(
    scripts: impl IntoIterator<Item = &'a str>,
    function: &[&str],
    argument: &str,
    limit: Duration,
    memory: usize,
) -> Result<String, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_max_stack_size(STACK);
    runtime.set_memory_limit(memory);
    let begun = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || {
        slice_clock::restart();
        begun.elapsed() > limit
    })));
    let context = Context::full(&runtime).map_err(|error| error.to_string())?;
    context.with(|ctx| {
        slice_clock::watch(&ctx);
        let _stretch = slice_clock::enter();
        let called = || {
            for script in scripts {
                ctx.eval::<(), _>(script)?;
            }
            let (name, path) = function.split_last().ok_or(rquickjs::Error::Unknown)?;
            let mut object: Object<'_> = ctx.globals();
            for part in path {
                object = object.get(*part)?;
            }
            object.get::<_, Function<'_>>(*name)?.call::<_, String>((argument,))
        };
        called().catch(&ctx).map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Duration = Duration::from_secs(20);
    const MEBIBYTES: usize = 64 << 20;

    #[test]
    fn text_becomes_text() {
        let scripts = ["globalThis.A = { b: {} }", "A.b.upper = (text) => text.toUpperCase()"];
        assert_eq!(call(scripts, &["A", "b", "upper"], "é", SECONDS, MEBIBYTES), Ok("É".to_owned()));
    }

    #[test]
    fn what_goes_wrong_is_told_and_ends() {
        let failed = |body: &str, limit| {
            let script = format!("globalThis.f = (text) => {{ {body} }}");
            call([script.as_str()], &["f"], "x", limit, MEBIBYTES).unwrap_err()
        };
        assert!(failed("throw new Error('no such thing')", SECONDS).contains("no such thing"));
        assert!(failed("for (;;) ;", Duration::from_millis(50)).contains("interrupted"));
        assert!(
            failed("const all = []; for (;;) all.push(new ArrayBuffer(1 << 20))", SECONDS).contains("memory")
        );
        assert!(failed("return f(text) + 1", SECONDS).contains("stack"));
        assert!(!call(["1"], &["f"], "x", SECONDS, MEBIBYTES).unwrap_err().is_empty());
    }
}
