//! For unit tests: a bare engine for natives that need no VU.

use rquickjs::{Context, Ctx, Runtime};
use senary_js::globals;

/// Tests run on the stacks of their threads.
const STACK_SIZE: usize = 900_000;

/// Runs `test` in a fresh context with the error classes every script has.
pub fn with_context(test: impl for<'js> FnOnce(&Ctx<'js>)) {
    let runtime = Runtime::new().unwrap();
    runtime.set_max_stack_size(STACK_SIZE);
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| {
        globals::install_go_error(&ctx).unwrap();
        test(&ctx);
    });
}

/// What `code`, the body of a function, returns, as text; `name: message` if it throws.
pub fn run(ctx: &Ctx<'_>, code: &str) -> String {
    let body = format!(
        "(() => {{ try {{ return String((() => {{ {code} }})()) }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} }})()"
    );
    ctx.eval::<String, _>(body).unwrap()
}

/// The same for the body of an async function, with its promise jobs run to their end.
pub fn run_async(ctx: &Ctx<'_>, code: &str) -> String {
    let body = format!("(async () => {{ {code} }})().then(String, (e) => `${{e.name}}: ${{e.message}}`)");
    let promise: rquickjs::Promise<'_> = ctx.eval(body).unwrap();
    while ctx.execute_pending_job() {}
    promise.result::<String>().unwrap().unwrap()
}
