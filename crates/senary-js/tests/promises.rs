//! Promises and `await`, which the engine has ways of its own for: `docs/design/engine.md`.
// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use rquickjs::{Context, Ctx, Function, Runtime};

/// Runs a script and all jobs that it leaves behind.
fn run(test: impl for<'js> FnOnce(&Ctx<'js>)) {
    let runtime = Runtime::new().unwrap();
    runtime.set_max_stack_size(900_000);
    Context::full(&runtime).unwrap().with(|ctx| test(&ctx));
}

fn finish(ctx: &Ctx<'_>, script: &str, result: &str) -> String {
    ctx.eval::<(), _>(script).unwrap();
    while ctx.execute_pending_job() {}
    ctx.eval(result).unwrap()
}

/// The expected order is that of another engine, which gave it for the same script.
#[test]
fn jobs_have_their_turns_in_the_order_of_the_language() {
    run(|ctx| assert_eq!(finish(ctx, ORDER, "log.join('\\n') + '\\n'"), IN_ORDER));
}

/// With a collection at every step: what waits for each other in a circle is freed, and nothing else.
#[test]
fn functions_that_wait_for_each_other_are_collected() {
    run(|ctx| {
        let gc = Function::new(ctx.clone(), |ctx: Ctx<'_>| ctx.run_gc()).unwrap();
        ctx.globals().set("gc", gc).unwrap();
        assert_eq!(finish(ctx, CIRCLES, "done.join()"), CIRCLES_DONE);
    });
}

#[test]
fn promises_and_bytes_may_be_given_properties() {
    let script = r#"
      const kept = []
      for (let n = 0; n < 9; n++) {
        const all = [Promise.resolve(n), new Uint8Array(3), new ArrayBuffer(2)]
        for (const one of all) for (let i = 0; i < n; i++) one["p" + i] = i
        for (const one of all) delete one.p1
        kept.push(all)
      }
      globalThis.seen = kept.map((all) => all.map((one) => Object.keys(one).filter((k) => isNaN(k)).join("")).join()).join(";")
    "#;
    let rows: Vec<String> = (0..9)
        .map(|n| (0..n).filter(|i| *i != 1).map(|i| format!("p{i}")).collect::<String>())
        .map(|keys| [keys.as_str(); 3].join(","))
        .collect();
    run(|ctx| assert_eq!(finish(ctx, script, "seen"), rows.join(";")));
}

const CIRCLES: &str = r##"
const done = []
let held = []
async function waits(promise, name) {
  const own = { name }
  own.self = () => own
  try { await promise; return own } catch (e) { throw e } finally { held.push(name) }
}
for (let i = 0; i < 50; i++) {
  let settle
  const promise = new Promise((resolve) => { settle = resolve })
  promise.waits = waits(promise, "never")
  promise.settle = settle
}
gc()
for (let i = 0; i < 20; i++) {
  const o = {}
  o.a = (async () => { await new Promise((resolve) => { o.resolve = resolve }) })()
  o.b = (async () => { await o.a })()
  o.c = (async () => { for await (const x of (async function* () { yield 1; await o.b })()) held.push(x) })()
}
gc()
;(async () => {
  for (let i = 0; i < 20; i++) {
    let resolve, reject
    const promise = new Promise((yes, no) => { resolve = yes; reject = no })
    const all = [waits(promise, "x"), promise.then((v) => held.push(v)), waits(promise, "y")]
    gc()
    if (i % 2) resolve("t"); else reject("f")
    gc()
    await Promise.allSettled(all)
    gc()
  }
  done.push(held.length, held.filter((one) => one === 1).length, held.filter((one) => one === "t").length, held.filter((one) => one === "never").length)
})()
"##;

const CIRCLES_DONE: &str = "70,20,10,0";

const ORDER: &str = r##"
const log = [], note = (what) => void log.push(what)
async function plain() { note("plain 1"); await null; note("plain 2"); await undefined; note("plain 3"); return "plain" }
async function promised() {
  note("promised 1 " + await Promise.resolve(5))
  try { await Promise.reject(new Error("no")) } catch (e) { note("promised 2 " + e.message) }
  return Promise.resolve("promised")
}
async function thenable() { note("thenable " + await { then(resolve) { note("then"); resolve("value") } }); throw new Error("thrown") }
plain().then(note); promised().then(note); thenable().catch((e) => note("caught " + e.message))
const own = (async () => { await 0; return own })()
own.catch((e) => note(e.name))
let ticks = Promise.resolve()
for (let n = 1; n < 12; n++) ticks = ticks.then(() => note("tick " + n))
class Sub extends Promise {}
;(async () => note("subclass " + (await Sub.resolve(7))))()
const odd = Promise.resolve(1); odd.constructor = Object
;(async () => note("odd " + (await odd)))()
const mine = Promise.resolve(2); mine.then = () => note("never called")
;(async () => note("mine " + (await mine)))()
Promise.resolve({ get then() { throw new Error("getter") } }).catch((e) => note(e.message))
Promise.reject({ then() { note("never") } }).catch((e) => note("as it is " + typeof e))
let settle, refuse
const later = new Promise((resolve) => { settle = resolve }), never = new Promise((_, reject) => { refuse = reject })
later.then((v) => note("first " + v)); (async () => note("second " + (await later)))(); later.then((v) => note("third " + v))
;(async () => { await later; throw "fourth" })().catch(note); later.finally(() => note("fifth"))
never.then(note, (e) => note("a " + e)); (async () => { try { await never } catch (e) { note("b " + e) } })(); never.catch((e) => note("c " + e))
plain().then(() => { settle("later"); note("settled"); refuse("never") })
async function* three() { yield 1; yield await Promise.resolve(2); try { yield 3 } finally { note("finally") } }
;(async () => {
  for await (const n of three()) { note("of three " + n); if (n === 3) break }
  for await (const s of [Promise.resolve("x"), "y"]) note(s)
})()
async function deep(n) { return n === 0 ? 0 : 1 + await deep(n - 1) }
deep(300).then((n) => note("deep " + n))
Promise.all([1, plain(), later]).then((v) => note("all " + v)); Promise.race([later, new Promise(() => {})]).then(note)
Promise.any([never, later]).then((v) => note("any " + v)); Promise.allSettled([never, 1]).then((v) => note(JSON.stringify(v)))
"##;

const IN_ORDER: &str = r#"plain 1
plain 1
plain 1
plain 2
promised 1 5
then
tick 1
mine 2
getter
as it is object
plain 2
plain 2
plain 3
promised 2 no
thenable value
TypeError
tick 2
plain 3
of three 1
plain 3
plain
caught thrown
tick 3
subclass 7
odd 1
settled
tick 4
first later
second later
third later
fifth
a never
b never
c never
promised
tick 5
fourth
all 1,plain,later
later
any later
[{"status":"rejected","reason":"never"},{"status":"fulfilled","value":1}]
of three 2
tick 6
tick 7
of three 3
tick 8
finally
tick 9
tick 10
tick 11
x
y
deep 300
"#;
