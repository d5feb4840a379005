//! What was changed in the engine, by itself: `docs/design/engine.md`.
// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use rquickjs::{Context, Ctx, Function, Runtime, Value};

/// Bytes an engine may take for the tests of what happens when memory is out.
const LITTLE_MEMORY: usize = 8 << 20;

fn with_engine(limit: Option<usize>, test: impl for<'js> FnOnce(&Ctx<'js>)) {
    let runtime = Runtime::new().unwrap();
    runtime.set_max_stack_size(900_000);
    let context = Context::full(&runtime).unwrap();
    if let Some(limit) = limit {
        runtime.set_memory_limit(limit);
    }
    context.with(|ctx| test(&ctx));
}

/// What the body of a function returns, as text.
fn run(ctx: &Ctx<'_>, body: &str) -> String {
    ctx.eval::<String, _>(format!("String((() => {{ {body} }})())")).unwrap()
}

/// Compared with the plain way to search, over texts of few characters, in which a needle nearly occurs all the time.
#[test]
fn texts_are_found_where_they_are() {
    let body = r#"
      let seed = 1
      const random = (n) => (seed = (seed * 48271) % 2147483647) % n
      const text = (length, letters) => Array.from({ length }, () => letters[random(letters.length)]).join("")
      const periodic = (length, letters) => { const p = text(1 + random(4), letters); return p.repeat(1 + length / p.length).slice(0, length) }
      const at = (s, n, i) => { for (let k = 0; k < n.length; k++) if (s[i + k] !== n[k]) return false; return true }
      const first = (s, n, from) => { for (let i = from; i + n.length <= s.length; i++) if (at(s, n, i)) return i; return -1 }
      const last = (s, n, from) => { for (let i = Math.min(from, s.length - n.length); i >= 0; i--) if (at(s, n, i)) return i; return -1 }
      const wrong = []
      for (let round = 0; round < 6000; round++) {
        const letters = ["ab", "aé€", "€x", "a"][random(4)], make = random(2) ? text : periodic
        const s = make(random(200), letters), n = random(3) ? s.slice(random(s.length + 1)).slice(0, random(60)) : make(random(60), letters)
        const from = random(s.length + 1)
        const found = [s.indexOf(n, from), s.lastIndexOf(n, from), s.includes(n), s.split(n).join(n) === s]
        const right = [first(s, n, from), last(s, n, from), first(s, n, 0) >= 0, true]
        if (String(found) !== String(right)) wrong.push(JSON.stringify([s, n, from, found, right]))
      }
      return wrong.length + " " + wrong.slice(0, 3)
    "#;
    with_engine(None, |ctx| assert_eq!(run(ctx, body), "0 "));
}

/// Marks of one class keep their order, those of others are sorted, in runs of any length.
#[test]
fn long_runs_of_marks_are_sorted_by_class() {
    let body = r#"
      const of = (marks) => ("a" + marks + "b").normalize("NFD")
      const sorted = [1, 5, 31, 32, 33, 34, 500].map((n) => of("\u0315\u0316\u0300".repeat(n)) === "a" + "\u0316".repeat(n) + "\u0300\u0315".split("").sort((x, y) => (x === "\u0300" ? -1 : 1)).map((m) => m.repeat(n)).join("") + "b")
      return [sorted.join(), "e\u0301".repeat(100000).normalize() === "é".repeat(100000)].join()
    "#;
    // U+0316 is of class 220, U+0300 of 230, U+0315 of 232.
    with_engine(None, |ctx| {
        assert_eq!(run(ctx, body), "true,true,true,true,true,true,true,true");
    });
}

#[test]
fn keys_of_a_proxy_are_checked() {
    with_engine(None, |ctx| {
        for (body, expected) in [
            ("return Reflect.ownKeys(new Proxy({}, { ownKeys: () => ['b', 'a', '1'] }))", "b,a,1"),
            (
                "try { Reflect.ownKeys(new Proxy({}, { ownKeys: () => ['b', 'a', 'b'] })) } catch (e) { return e.message }",
                "proxy: duplicate property",
            ),
            (
                "try { Reflect.ownKeys(new Proxy(Object.freeze({ x: 1 }), { ownKeys: () => ['y'] })) } catch (e) { return e.message }",
                "proxy: target property must be present in proxy ownKeys",
            ),
            (
                "try { Reflect.ownKeys(new Proxy(Object.freeze({ x: 1 }), { ownKeys: () => ['x', 'y'] })) } catch (e) { return e.message }",
                "proxy: property not present in target were returned by non extensible proxy",
            ),
            (
                "const k = Array.from({ length: 200000 }, (_, i) => 'k' + i); return Reflect.ownKeys(new Proxy({}, { ownKeys: () => k })).length",
                "200000",
            ),
        ] {
            assert_eq!(run(ctx, body), expected, "{body}");
        }
    });
}

/// Functions of many names know them by a table.
#[test]
fn many_names_are_told_apart() {
    with_engine(None, |ctx| {
        let body = r##"
          const names = Array.from({ length: 3000 }, (_, i) => i)
          const lets = new Function(names.map((i) => `let a${i} = ${i};`).join("") + "{ let a5 = 'inner'; var t = a5 } return [a5, t, a2999]")
          const fields = new Function("return class { " + names.map((i) => `#p${i} = ${i};`).join("") + " get last() { return this.#p2999 } }")()
          const refused = (code) => { try { new Function(code); return "none" } catch (e) { return e.name } }
          const many = names.map((i) => `let a${i};`).join("")
          return [lets(), new fields().last, refused(many + "let a7"), refused(many + "var a7"), refused(many + "{ var a7 }"), refused(many + "{ let a7 }"),
            refused("class A { " + names.map((i) => `#p${i};`).join("") + "#p7 }"), refused("var b;" + many + "let b")].join()
        "##;
        assert_eq!(
            run(ctx, body),
            "5,inner,2999,2999,SyntaxError,SyntaxError,SyntaxError,none,SyntaxError,SyntaxError"
        );
    });
}

/// A script that catches what is thrown then gets an error, whatever ran out of memory.
#[test]
fn what_is_thrown_when_memory_is_out_is_an_error() {
    for call in [
        "'x'.repeat(4e6).normalize('NFKD')",
        "'x'.repeat(2e6).localeCompare('é'.repeat(2e6))",
        "'ab'.repeat(1e6).split('b')",
        "'x'.repeat(1e9)",
        "new Uint8Array(1e8)",
        "Array.from({ length: 1e7 }, (_, i) => ({ i }))",
        "new Map(Array.from({ length: 1e6 }, (_, i) => [i, i]))",
        "JSON.parse('[' + '{},'.repeat(1e6) + '1]')",
        "JSON.stringify(Array.from({ length: 1e5 }, () => 'x'.repeat(100)))",
        "'abc'.repeat(1e6).replace(/b/g, 'xyz')",
        "[...'x'.repeat(2e6)]",
        "/(x)(y)?/.exec('x'.repeat(1e6).replace(/x/g, '€€€'))",
        "new RegExp('(a|b)'.repeat(1e6))",
        "let o = {}; for (let i = 0; ; i++) o['key' + i] = i",
        "let a = []; for (;;) a.push(Symbol('some text ' + a.length))",
        "let a = []; for (;;) a.push(new Promise(() => {}), (function* () {})(), new Date(), /x/)",
        "let s = 'x'; for (;;) s += s + 'y'",
        "let a = []; for (let i = 0; ; i++) a.push(new Function('return ' + i))",
        "let n = 3n; const a = []; for (;;) { n *= 3n; a.push(n) }",
        "Math.max(...new Array(1e6).fill(1).flatMap((x) => [x, x]))",
        "structure = new Array(1e6).fill(1).sort().toSorted().toSpliced(1, 1).with(0, 1)",
        "new Float64Array(new Array(9e5).fill(1))",
        "encodeURIComponent('€'.repeat(1e6)); escape('€'.repeat(1e6))",
        "const a = []; for (;;) a.push((async () => { await null })())",
        "const a = []; for (;;) a.push(new Proxy({}, {}), new WeakMap([[{}, 1]]), new (class { #x = 1 })())",
    ] {
        with_engine(Some(LITTLE_MEMORY), |ctx| {
            let body = format!(
                "let structure; let thrown = ['nothing']; try {{ {call} }} catch (e) {{ thrown[0] = e }} \
                 return thrown[0] instanceof Error || thrown[0] === 'nothing' ? 'right' : typeof thrown[0]"
            );
            // The little that is left may not do for the answer, which is an error again.
            match ctx.eval::<rquickjs::String<'_>, _>(format!("(() => {{ {body} }})()")) {
                Ok(text) => assert_eq!(text.to_string().unwrap(), "right", "{call}"),
                Err(_) => assert!(ctx.catch().is_error(), "{call}"),
            }
        });
    }
}

/// Classes that are made on first use, and how to make an object of each.
const LAZY_CLASSES: [(&str, &str); 23] = [
    ("RegExp", "/a/"),
    ("Map", "new Map([[1, 2]])"),
    ("Set", "new Set([1])"),
    ("WeakMap", "new WeakMap()"),
    ("WeakSet", "new WeakSet()"),
    ("SharedArrayBuffer", "new SharedArrayBuffer(8)"),
    ("Uint8ClampedArray", "new Uint8ClampedArray(1)"),
    ("Int8Array", "new Int8Array(1)"),
    ("Int16Array", "new Int16Array(1)"),
    ("Uint16Array", "new Uint16Array(1)"),
    ("Int32Array", "new Int32Array(1)"),
    ("Uint32Array", "new Uint32Array(1)"),
    ("BigInt64Array", "new BigInt64Array(1)"),
    ("BigUint64Array", "new BigUint64Array(1)"),
    ("Float16Array", "new Float16Array(1)"),
    ("Float32Array", "new Float32Array(1)"),
    ("Float64Array", "new Float64Array(1)"),
    ("DataView", "new DataView(new ArrayBuffer(1))"),
    ("DisposableStack", "new DisposableStack()"),
    ("AsyncDisposableStack", "new AsyncDisposableStack()"),
    ("WeakRef", "new WeakRef({})"),
    ("FinalizationRegistry", "new FinalizationRegistry(() => {})"),
    ("DOMException", "(() => { try { atob('*') } catch (e) { return e } })()"),
];

#[test]
fn a_class_made_on_first_use_is_like_any_other() {
    for (name, made) in LAZY_CLASSES {
        // Whatever of it is looked at first.
        let about = [
            format!("const made = {made}; return made instanceof {name} && made.constructor === {name}"),
            format!("const made = {name}.prototype; return Object.getPrototypeOf({made}) === made"),
            format!("return {name}.name === '{name}' && {name} === globalThis.{name}"),
            format!(
                "const p = Object.getOwnPropertyDescriptor(globalThis, '{name}'); return p.value === {name} && p.writable && !p.enumerable && p.configurable"
            ),
            format!("class Own extends {name} {{}} return Object.getPrototypeOf(Own) === {name}"),
        ];
        for body in about {
            with_engine(None, |ctx| assert_eq!(run(ctx, &body), "true", "{body}"));
        }
    }
}

#[test]
fn native_code_makes_the_classes_that_it_needs() {
    for (body, expected) in [
        ("delete globalThis.RegExp; return /a(b)/.exec('ab')[1] + 'abab'.replace(/b/g, 'c')", "bacac"),
        ("delete globalThis.RegExp; return 'ab'.match('b').index + [...'aa'.matchAll('a')].length", "3"),
        (
            "const name = 'DOMException'; globalThis[name] = 5; try { atob('*') } catch (e) { return e.name }",
            "InvalidCharacterError",
        ),
        (
            "return JSON.stringify(Object.groupBy([1, 2, 3], (n) => n % 2 ? 'odd' : 'even'))",
            r#"{"odd":[1,3],"even":[2]}"#,
        ),
        (
            "const none = new Proxy(function () {}, { get: (of, key) => key === 'prototype' ? 1 : of[key] }); return Reflect.construct(Map, [], none) instanceof Map",
            "true",
        ),
        ("return Object.getPrototypeOf(Int8Array) === Object.getPrototypeOf(Uint8Array)", "true"),
        ("return [...new Map([[1, 2]]).entries()] + [...new Set([3])].join()", "1,23"),
        ("using it = { [Symbol.dispose]() {} }; return typeof it", "object"),
    ] {
        with_engine(None, |ctx| assert_eq!(run(ctx, body), expected, "{body}"));
    }
}

#[test]
fn a_class_that_is_not_used_takes_no_memory() {
    let runtime = Runtime::new().unwrap();
    let context = Context::full(&runtime).unwrap();
    let before = runtime.memory_usage().malloc_size;
    context.with(|ctx| {
        for (name, _) in LAZY_CLASSES {
            assert_eq!(run(&ctx, &format!("return typeof {name}")), "function");
        }
    });
    let made = runtime.memory_usage().malloc_size - before;
    assert!(made > 15_000, "{made} bytes for all of them");
}

/// Memory may run out while a class is made; it is asked for again, and nothing of the first attempt is left.
#[test]
fn a_class_that_could_not_be_made_is_made_later() {
    let runtime = Runtime::new().unwrap();
    let context = Context::full(&runtime).unwrap();
    for (name, made) in LAZY_CLASSES {
        let function = format!("globalThis.make = () => {made}");
        context.with(|ctx| ctx.eval::<(), _>(format!("{function}; undefined")).unwrap());
        let used = runtime.memory_usage().malloc_size as usize;
        for more in (0..4000).step_by(40) {
            runtime.set_memory_limit(used + more);
            context.with(|ctx| {
                let made = ctx.globals().get::<_, Function<'_>>("make").and_then(|make| make.call(()));
                if made.map(|_: Value<'_>| ()).is_err() {
                    ctx.catch();
                }
            });
        }
        runtime.set_memory_limit(0);
        let body =
            format!("const made = make(); return made instanceof {name} && made.constructor === {name}");
        context.with(|ctx| assert_eq!(run(&ctx, &body), "true", "{name}"));
    }
}
