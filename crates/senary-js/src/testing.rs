//! For unit tests: a bare engine for natives that need no VU, and a web server that answers as it is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use rquickjs::{Context, Ctx, Runtime};

use crate::errors;

/// Tests run on the stacks of their threads.
const STACK_SIZE: usize = 900_000;

/// Runs `test` in a fresh context with the error classes every script has.
pub fn with_context(test: impl for<'js> FnOnce(&Ctx<'js>)) {
    let runtime = Runtime::new().unwrap();
    runtime.set_max_stack_size(STACK_SIZE);
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| {
        errors::install(&ctx).unwrap();
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

/// Answers each connection in turn with the text given. Its address, as `http://…`, and what it was asked: the heads of
/// the requests.
pub fn web_server<'a>(answers: impl IntoIterator<Item = &'a str>) -> (String, JoinHandle<Vec<String>>) {
    let answers: Vec<String> = answers.into_iter().map(str::to_owned).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        };
        answers.into_iter().map(answer).collect()
    });
    (url, thread)
}
