//! Scripts of several files: how they are found, linked, compiled once and loaded again by every VU.
//!
//! A script answers through its options; what it answers is compared after it was loaded from source and after
//! two VUs loaded it from bytecode.

// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use senary_execution::{RunContext, Shutdown, VuFactory, VuId, WorkerContext};
use senary_js::{Bundle, JsVuFactory, RuntimeOptions, ScriptSource, VuSettings};
use senary_metrics::{ProducerId, Registry};
use senary_modules::natives;
use senary_modules::secrets::Secrets;
use senary_web::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Files in a new directory; the first is the entry.
struct Files {
    directory: tempfile::TempDir,
    entry: String,
}

fn files(files: &[(&str, &str)]) -> Files {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Files { directory, entry: files[0].0.to_owned() }
}

impl Files {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The script's options, or the text of the error that ended its init code.
    fn load(&self) -> Result<Value, String> {
        let first = self.load_with(None)?;
        self.load_with(first.get("r"))
    }

    /// `expected`: what every VU must find too.
    fn load_with(&self, expected: Option<&Value>) -> Result<Value, String> {
        let mut source =
            ScriptSource::read(&self.entry, self.path(), &Client::default()).map_err(|e| e.to_string())?;
        let mut runtime =
            RuntimeOptions { natives: natives(Secrets::default()), ..RuntimeOptions::default() };
        if let Some(expected) = expected {
            runtime.env = [("EXPECTED".to_owned(), expected.to_string())].into();
            // The comment that names a source map stays the last.
            let end = source.text.rfind("\n//# sourceMappingURL=").unwrap_or(source.text.len());
            source.text.insert_str(end, CHECK);
        }
        let shutdown = Shutdown::new();
        let bundle = Bundle::load(source, runtime, Registry::new(), &shutdown);
        let bundle = Arc::new(bundle.map_err(|e| e.to_string())?);
        let settings = Arc::new(VuSettings::without_options().map_err(|e| e.to_string())?);
        let factory = JsVuFactory::new(bundle.clone(), settings);
        let run = RunContext::new(shutdown, Arc::new(|_| {}));
        let worker = WorkerContext::new(ProducerId(0), run);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            for vu in 1..=2 {
                let id = VuId { in_instance: vu, in_test: vu };
                factory.create(id, &worker, &CancellationToken::new()).await.map_err(|e| e.to_string())?;
            }
            Ok(bundle.options().clone())
        })
    }

    /// What the script exports as `options.r`.
    fn answer(&self) -> Value {
        self.load().unwrap_or_else(|error| panic!("{error}"))["r"].clone()
    }

    fn error(&self) -> String {
        self.load().unwrap_err()
    }
}

/// Appended to a script.
const CHECK: &str = "\n{ const { r } = typeof options === 'undefined' ? exports.options : options; if (JSON.stringify(r) !== JSON.stringify(JSON.parse(__ENV.EXPECTED))) throw new Error(`VU ${__VU} differs: ${JSON.stringify(r)}`); }";

fn answer(list: &[(&str, &str)]) -> Value {
    files(list).answer()
}

fn error(list: &[(&str, &str)]) -> String {
    files(list).error()
}

const END: &str = "\nexport default function () {}";

#[test]
fn es_modules_cycle_reexport_and_evaluate_once() {
    let r = answer(&[
        (
            "script.js",
            "import { one, renamed, tools, count } from './lib/index.js';\nimport d, * as all from './lib/index.js';\nimport { isEven } from './even.js';\nexport const options = { r: [one, renamed, tools.two, d, count, Object.keys(all).sort().join(), isEven(10), isEven(7)] };\nexport default () => {};",
        ),
        (
            "lib/index.js",
            "export * from './a.js';\nexport { three as renamed } from './b.js';\nexport * as tools from './a.js';\nexport { default } from './b.js';",
        ),
        (
            "lib/a.js",
            "globalThis.runs = (globalThis.runs ?? 0) + 1;\nexport const one = 1, two = 2, count = globalThis.runs;",
        ),
        ("lib/b.js", "export const three = 3;\nexport default 'b';"),
        (
            "even.js",
            "import { isOdd } from './odd.js';\nexport function isEven(n) { return n === 0 || isOdd(n - 1); }",
        ),
        (
            "odd.js",
            "import { isEven } from './even.js';\nexport function isOdd(n) { return n !== 0 && isEven(n - 1); }",
        ),
    ]);
    assert_eq!(r, json!([1, 3, 2, "b", 1, "count,default,one,renamed,tools,two", true, false]));
}

#[test]
fn es_modules_import_commonjs() {
    let r = answer(&[
        (
            "script.js",
            "import cjs, { add, absent } from './cjs.js';\nimport * as ns from './cjs.js';\nimport Single from './single.js';\nconst again = require('./cjs.js');\nconst esm = require('./esm.js');\nexport const options = { r: [typeof cjs, add(1, 2), absent === undefined, Object.keys(ns).join(), ns.default === undefined, again === cjs, new Single(4).v, esm.value, esm.default, esm.__esModule === undefined] };\nexport default () => {};",
        ),
        ("cjs.js", "exports.add = (a, b) => a + b;"),
        ("single.js", "module.exports = class Single { constructor(v) { this.v = v; } };"),
        ("esm.js", "export const value = 'v';\nexport default 'd';"),
    ]);
    assert_eq!(r, json!(["object", 3, true, "add", true, true, 4, "v", "d", true]));
}

#[test]
fn commonjs_scripts_require_everything() {
    let r = answer(&[
        (
            "script.js",
            "#!/usr/bin/env senary\nconst tools = require('./lib/tools.js');\nconst { check } = require('k6');\nconst esm = require('./esm.js');\nexports.options = { r: [tools.add(2, 3), typeof check, esm.value, require === globalThis.require, typeof module, tools.same] };\nexports.default = function () {};\nif (false) return;",
        ),
        (
            "lib/tools.js",
            "exports.same = require('./other.js').tools === exports;\nexports.add = (a, b) => a + b;",
        ),
        ("lib/other.js", "exports.tools = require('./tools.js');"),
        ("esm.js", "import { one } from './one.js';\nexport const value = await Promise.resolve(one);"),
        ("one.js", "export const one = 1;"),
    ]);
    assert_eq!(r, json!([5, "function", 1, true, "object", true]));
}

#[test]
fn modules_of_all_kinds_run_in_the_order_they_are_imported() {
    let r = answer(&[
        (
            "script.js",
            "import './first.js';\nimport './second.cjs.js';\nimport './third.js';\nexport const options = { r: globalThis.order.join() };\nexport default () => {};",
        ),
        ("first.js", "globalThis.order = ['first'];\nexport {};"),
        ("second.cjs.js", "globalThis.order.push('second'); require('./required.js');"),
        ("required.js", "globalThis.order.push('required');\nexport {};"),
        ("third.js", "globalThis.order.push('third');\nexport {};"),
    ]);
    assert_eq!(r, "first,second,required,third");
}

#[test]
fn everything_of_commonjs_can_be_reexported() {
    let r = answer(&[
        (
            "script.js",
            "import { a, b } from './all.js';\nexport const options = { r: [a, b] };\nexport default () => {};",
        ),
        ("all.js", "export * from './cjs.js';"),
        ("cjs.js", "module.exports = { a: 1, b: 2 };"),
    ]);
    assert_eq!(r, json!([1, 2]));
}

#[test]
fn import_and_require_may_form_a_cycle() {
    let script = (
        "script.js",
        "import { b } from './b.cjs.js';\nexport const name = 'entry';\nlet early;\ntry { b.early(); } catch (e) { early = e.name; }\nexport const options = { r: early };\nexport default () => {};",
    );
    let r = answer(&[
        script,
        (
            "b.cjs.js",
            "const script = require('./script.js');\nexports.b = { early: () => script.name, late: () => script.name };",
        ),
    ]);
    assert_eq!(r, "ReferenceError");

    // The module that waits for the caller can be used once it has run.
    let r = answer(&[
        (
            "script.js",
            "import { a } from './a.js';\nimport cjs from './b.cjs.js';\nexport const options = { r: [a, cjs.late()] };\nexport default () => {};",
        ),
        ("a.js", "import './b.cjs.js';\nexport const a = 'a';"),
        ("b.cjs.js", "const a = require('./a.js');\nexports.late = () => a.a;"),
    ]);
    assert_eq!(r, json!(["a", "a"]));
}

#[test]
fn native_modules_have_the_shapes_scripts_know() {
    let r = answer(&[(
        "script.js",
        "import k6, { check, nothing } from 'k6';\nimport * as all from 'k6';\nimport exec, { missing } from 'k6/execution';\nimport * as execution from 'k6/execution';\nexport const options = { r: [k6.check === check, nothing, missing === undefined, Object.keys(all).sort().join(), 'default' in all, require('k6') === k6, Object.keys(execution).sort().join(), execution.default === exec] };\nexport default () => {};",
    )]);
    assert_eq!(
        r,
        json!([
            true,
            null,
            true,
            "check,fail,group,randomSeed,sleep",
            false,
            true,
            "instance,scenario,test,vu",
            true
        ])
    );
}

#[test]
fn typescript_runs_and_is_seen_in_stack_traces() {
    let r = answer(&[
        (
            "script.ts",
            "import type { Options } from 'k6/options';\nimport { area, type Shape } from './shapes.ts';\nenum Level { Low, Mid = 5 }\nnamespace Geo { export const origin = { x: 0 }; }\nclass Bird {\n  constructor(public readonly name: string, private legs = 2) {}\n\n  song(): never {\n    throw new Error(this.name as string);\n  }\n}\nlet stack: string = '';\ntry { new Bird('robin').song(); } catch (e) { stack = e.stack; }\nexport const options: Options = { r: [area(<Shape>{ w: 2, h: 3 }), Level.Mid, Geo.origin.x, stack] } as any;\nexport default function (): void {}",
        ),
        (
            "shapes.ts",
            "export type Shape = { w: number; h: number };\nexport function area(s: Shape): number { return s.w * s.h; }",
        ),
    ]);
    assert_eq!(r[0], 6);
    assert_eq!(r[1], 5);
    let stack = r[3].as_str().unwrap();
    assert!(stack.starts_with("Error: robin\n\tat song (file:///"), "{stack}");
    assert!(stack.contains("/script.ts:9:") && stack.contains("/script.ts:13:"), "{stack}");
}

#[test]
fn source_maps_are_followed() {
    // Line 2, column 3 of the generated code comes from line 10, column 5 of the source.
    let map = r#"{"version":3,"sources":["../src/origin.ts"],"names":[],"mappings":";EASI"}"#;
    let script = |url: &str| {
        format!(
            "const f = () => {{\n  throw new Error('x');\n}};\nlet stack;\ntry {{ f() }} catch (e) {{ stack = e.stack }}\nexport const options = {{ r: stack }};\nexport default () => {{}};\n//# sourceMappingURL={url}\n"
        )
    };
    let stack = answer(&[("dist/script.js", &script("script.js.map")), ("dist/script.js.map", map)]);
    let stack = stack.as_str().unwrap();
    assert!(stack.contains("/src/origin.ts:10:5"), "{stack}");
    assert!(stack.contains("/dist/script.js:5:"), "{stack}");

    let inline = format!("data:application/json;base64,{}", base64(map));
    let stack = answer(&[("dist/script.js", &script(&inline))]);
    assert!(stack.as_str().unwrap().contains("/src/origin.ts:10:5"), "{stack}");

    let stack = answer(&[("dist/script.js", &script("missing.map"))]);
    assert!(stack.as_str().unwrap().contains("/dist/script.js:2:"), "{stack}");
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn stack_traces_have_the_reference_shape() {
    let r = answer(&[
        (
            "script.js",
            "import { fail } from 'k6';\nfunction stackOf(f) { try { f() } catch (e) { return e.stack } }\nfunction boom() { throw new TypeError('no'); }\nexport const options = { r: [stackOf(boom), stackOf(() => fail('native')), stackOf(require('./cjs.js').f), stackOf(def)] };\nimport def from './default.js';\nexport default () => {};",
        ),
        ("cjs.js", "exports.f = function inCommonJs() { throw new Error('cjs') };"),
        ("default.js", "export default function () { throw new Error('d'); }"),
    ]);
    let stack = |n: usize| r[n].as_str().unwrap().to_owned();
    assert!(stack(0).starts_with("TypeError: no\n\tat boom (file:///"), "{}", stack(0));
    assert!(stack(0).contains("/script.js:3:") && stack(0).ends_with('\n'), "{}", stack(0));
    assert!(stack(0).contains("\n\tat stackOf (file:///"), "{}", stack(0));
    assert!(stack(0).lines().last().unwrap().starts_with("\tat file:///"), "{}", stack(0));
    assert!(stack(1).starts_with("GoError: native\n\tat file:///"), "{}", stack(1));
    assert!(stack(2).contains("\n\tat inCommonJs (file:///"), "{}", stack(2));
    assert!(stack(3).contains("\n\tat default (file:///"), "{}", stack(3));
}

#[test]
fn columns_count_characters_of_the_file() {
    let script = "import a from './a.js';\nimport b from './b.js';\nimport c from './c.js';\nimport d from './d.cjs.js';\nconst column = (f) => { try { f() } catch (e) { return e.stack.split('js:')[1].match(/:([0-9]+)/)[1] } };\nexport const options = { r: [a, b, c, d].map(column) };\nexport default () => {};";
    let r = answer(&[
        ("script.js", script),
        ("a.js", "// x\n /*x*/ export default function f() { throw new Error('x'); }"),
        ("b.js", "// ☃\n /*☃*/ export default function f() { throw new Error('x'); }"),
        ("c.js", " /*☃*/ export default function f() { throw new Error('x'); }"),
        ("d.cjs.js", " /*☃*/ exports.default= function (){ throw new Error('x'); }"),
    ]);
    assert_eq!(r, json!([r[0], r[0], r[0], r[0]]));
}

/// What the engine itself answers, when it has compiled the source, is what every VU must answer.
#[test]
fn functions_know_their_text() {
    let script = r#"
function named(a, b) { return a + b; }
const s = '☃é😀'; const arrow = async (x) => x * 2; const arr2 = y => y; const arr3 = async z => z;
const fe = function (q) {}; const fe2 = async function* ge() {};
class Dog { static #n = 1; bark() { return 'w' } get tail() { return 1 } static async *walk() {} static /* c */ s() {}
  constructor(x) { this.x = x } fld = () => 1; #priv() {} p() { return this.#priv } static static() {} static { this.block = () => 2 } }
class Cat extends Dog { }
const Anon = class { m() {} };
const o = { method(q) { return q }, get g() { return 1 }, ['com' + 'puted']() {}, async am() {}, *gen() {},
  f: function () {}, a: () => {}, async *[Symbol.iterator]() {}, 'str'() {}, 12() {}, set g(v) {}, async() {}, get() {} };
const g = Object.getOwnPropertyDescriptor(o, 'g');
const d = new Dog();
const nested = () => (a) => function inner() { return class { x() {} } };
const all = [named, arrow, arr2, arr3, fe, fe2, Dog, Dog.prototype.bark, Object.getOwnPropertyDescriptor(Dog.prototype, 'tail').get,
  Dog.walk, Dog.s, Dog.static, Dog.block, d.fld, d.p(), Cat, Anon, Anon.prototype.m, o.method, g.get, g.set, o.computed, o.am, o.gen, o.f, o.a,
  o[Symbol.iterator], o.str, o[12], o.async, o.get, nested, nested(), nested()(), nested()()(), Math.max, open, named.bind(null)];
const m=(a,b)=>a+b;all.push(m,[()=>4][0],{'q r'(){}}['q r'],{['c'+1](){}}.c1,{*g(){}}.g,{1(){}}[1],class A {},class {},class extends Array{});
all.push(...[1].map(()=>(x)=>x),class{static{all.push(()=>9)}},class Q{static x(){}}.x,class Q{get x(){return 1}},class Q{['x'](){}}.prototype.x);
export const options = { r: all.map(String) };
export default function () {}
"#;
    let r = answer(&[("script.js", script)]);
    assert_eq!(r[0], "function named(a, b) { return a + b; }");
    assert_eq!(r[35], "function max() {\n    [native code]\n}");
    assert_eq!(r[38], "(a,b)=>a+b");
    let commonjs = script
        .replace("export const options", "exports.options")
        .replace("export default", "exports.default =");
    assert_eq!(answer(&[("script.js", commonjs.trim_start())]), r);
}

#[test]
fn files_are_opened_beside_the_running_module() {
    let r = answer(&[
        (
            "script.js",
            "import { text, deep } from './lib/reader.js';\nimport { load } from './lib/helper.js';\nimport { where } from './lib/where.js';\nconst here = import.meta.resolve('./data.txt');\nexport const options = { r: [text, deep, load('./data.txt'), open(here), where.endsWith('/lib/data.txt'), open('./snow.bin'), new Uint8Array(open('./snow.bin', 'b')).join()] };\nexport default () => {};",
        ),
        ("data.txt", "beside the script"),
        ("snow.bin", "☃"),
        ("lib/data.txt", "beside the helper"),
        ("lib/note.txt", "note"),
        ("lib/reader.js", "export { deep } from './deep/inner.js';\nexport const text = open('./note.txt');"),
        (
            "lib/deep/inner.js",
            "export const deep = open('../note.txt') + open('./own.txt') + require('./r.js');",
        ),
        ("lib/deep/own.txt", "own"),
        ("lib/deep/r.js", "module.exports = open('./own.txt').length;"),
        ("lib/helper.js", "export function load(name) { return open(name); }"),
        ("lib/where.js", "export const where = import.meta.resolve('./data.txt');"),
    ]);
    assert_eq!(
        r,
        json!(["note", "noteown3", "beside the script", "beside the script", true, "☃", "226,152,131"])
    );
}

#[test]
fn bytes_that_are_no_utf8_become_replacement_characters() {
    let files = files(&[(
        "script.js",
        "export const options = { r: [open('bad.txt'), open('bad.txt', 'b').byteLength] };\nexport default () => {};",
    )]);
    std::fs::write(files.path().join("bad.txt"), b"a\xffb").unwrap();
    assert_eq!(files.answer(), json!(["a\u{fffd}b", 3]));
}

#[test]
fn what_cannot_be_opened_says_so() {
    let open = |path: &str| error(&[("script.js", &format!("const data = open({path:?});{END}"))]);
    assert!(open("").contains("open() can't be used with an empty filename"));
    let missing = open("./missing.csv");
    assert!(missing.contains("missing.csv: no such file or directory"), "{missing}");
    assert!(missing.contains("\n\tat file:///") && missing.contains("script.js:1:"), "{missing}");
    let caught = "let text;\ntry { open('./missing.csv') } catch (e) { text = e.message }\nexport const options = { r: text };\nexport default () => {};";
    let text = answer(&[("script.js", caught)]);
    assert!(text.as_str().unwrap().ends_with("missing.csv: no such file or directory"), "{text}");
    assert!(open("/").contains("open() can't be used with directories"), "{}", open("/"));
}

#[test]
fn vus_open_and_import_only_what_the_first_did() {
    let later = |code: &str| {
        error(&[
            ("script.js", &format!("if (__VU > 1) {{ {code} }}{END}")),
            ("late.txt", "x"),
            ("late.js", "exports.x = 1;"),
        ])
    };
    let text = later("open('./late.txt')");
    assert!(text.contains(r#"open() can't be used with files that weren't previously opened during initialization (__VU==0), path: "./late.txt""#), "{text}");
    assert!(text.contains("VU #2"), "{text}");
    let text = later("require('./late.js')");
    assert!(
        text.contains(
            r#"the module "./late.js" was not previously resolved during initialization (__VU==0)"#
        ),
        "{text}"
    );
}

#[test]
fn what_cannot_be_imported_says_so() {
    let import = |specifier: &str| error(&[("script.js", &format!("import {specifier:?};{END}"))]);
    let has = |specifier: &str, text: &str| {
        let found = import(specifier);
        assert!(found.contains(text), "{specifier}: {found}");
        assert!(found.contains("(imported at file:///") && found.ends_with("/script.js:1:8)"), "{found}");
    };
    let helpers = ("lib/helpers.ts", "export const x: number = 1;");
    let index = ("pack/index.js", "exports.x = 1;");
    let data = ("d.json", "{ \"a\": 1 }");
    for (import, hint) in [
        ("./lib/helpers", "but \"./lib/helpers.ts\" is there: names are taken as they are"),
        ("./pack", "but \"./pack/index.js\" is there"),
        ("./d.json", "JSON is no module: read it by JSON.parse(open(...))"),
    ] {
        let script = format!("import x from '{import}';\nexport default () => x;");
        let text = error(&[("script.js", &script), helpers, index, data]);
        assert!(text.contains(hint), "{text}");
    }
    has("./not-there.js", r#"The moduleSpecifier "./not-there.js" couldn't be found on local disk"#);
    has("lodash", r#"The moduleSpecifier "lodash" couldn't be recognised as something k6 supports."#);
    has("http://h/x.js", "only supported schemes for imports are file and https, URL has `http`");
    has("k6/nonsense", r#"unknown module "k6/nonsense": Senary has no such module"#);
    has("k6/net/grpc", "Senary does not have it; call the service through its HTTP gateway");
    has("k6/experimental/redis", "has been removed");
    has(
        "https://127.0.0.1:1/x.js",
        r#"The moduleSpecifier "https://127.0.0.1:1/x.js" couldn't be retrieved from the resolved url "https://127.0.0.1:1/x.js". Error : "cannot connect to"#,
    );
}

#[test]
fn syntax_errors_name_file_and_place() {
    let text = error(&[("script.js", "export default function () {\n  let a = 1;\n  let b = ;\n}\n")]);
    assert!(text.contains("script.js: Line 3:11 Unexpected token ;"), "{text}");
    let text = error(&[
        ("script.js", "import './lib/broken.js';\nexport default () => {};"),
        ("lib/broken.js", "const fine = 1;\nconst x = {;\n"),
    ]);
    assert!(text.contains("lib/broken.js: Line 2:12 Unexpected token ;"), "{text}");
    let text = error(&[("script.js", "export default () => {};\nlet a;\nlet a;")]);
    assert!(text.contains("SyntaxError: file:///") && text.contains("script.js: Line 3:"), "{text}");
    let text = error(&[("script.js", "export default function () {\n  const a: number = 5;\n}")]);
    assert!(text.contains("script.js: Line 2:") && text.contains("must end in .ts"), "{text}");
    let text = error(&[("script.js", "exports.default = () => {}; let a; let a;")]);
    assert!(text.contains("script.js: Line 1:"), "{text}");
    let text = error(&[("script.ts", "export default function (): void {\n  const a: = 5;\n}\n")]);
    assert!(text.contains("script.ts: Line 2:12"), "{text}");
    let text = error(&[
        ("script.js", "import { present,\n  absent } from './lib.js';\nexport default () => {};"),
        ("lib.js", "export const present = 1;\nexport * from './more.js';"),
        ("more.js", "export const more = 1;"),
    ]);
    assert!(text.contains("SyntaxError") && text.contains("script.js: Line 2:3"), "{text}");
    assert!(
        text.contains(r#"The requested module "./lib.js" does not provide an export named "absent""#),
        "{text}"
    );
}

#[test]
fn reading_a_binding_of_a_cycle_too_early_throws() {
    let text = error(&[
        ("script.js", "import { a } from './a.js';\nexport default () => a;"),
        ("a.js", "import { b } from './b.js';\nexport const a = 'a' + b;"),
        ("b.js", "import { a } from './a.js';\nexport const b = 'b' + a;"),
    ]);
    assert!(text.contains("ReferenceError") && text.contains("b.js:2:"), "{text}");
}

#[test]
fn es_modules_have_no_module_object() {
    for name in ["module", "exports"] {
        let text = error(&[("script.js", &format!("{name}.x = 1;{END}"))]);
        assert!(
            text.contains(&format!(
                "you are trying to access identifier {name:?}, this likely is due to mixing"
            )),
            "{text}"
        );
    }
    let r = answer(&[(
        "script.js",
        "globalThis.module = 5;\nexport const options = { r: module };\nexport default () => {};",
    )]);
    assert_eq!(r, 5);
}

#[test]
fn exceptions_of_modules_are_thrown_to_who_requires_them() {
    let r = answer(&[
        (
            "script.js",
            "let got = [];\nfor (const name of ['./bad.js', './bad.cjs.js', './bad.js', './bad.cjs.js']) { try { require(name) } catch (e) { got.push(e.message) } }\nexport const options = { r: got };\nexport default () => {};",
        ),
        ("bad.js", "export const x = 1;\nthrow new Error('esm');"),
        ("bad.cjs.js", "exports.half = 1;\nthrow new Error('cjs');"),
    ]);
    assert_eq!(r, json!(["esm", "cjs", "esm", "cjs"]));
}

#[test]
fn files_are_read_in_parts() {
    let script = "import { open as fsOpen, SeekMode } from 'k6/experimental/fs';
const file = await fsOpen('./data.txt');
const r = [];
const failure = async (p) => { try { await p; return 'no error' } catch (e) { return e.name } };
r.push((await file.stat()).name, (await file.stat()).size, file.path.endsWith('/data.txt'));
const buffer = new Uint8Array(4);
for (let n; (n = await file.read(buffer)) !== null; ) r.push(String.fromCharCode(...buffer.subarray(0, n)));
r.push(await file.seek(2, SeekMode.Start), await file.read(buffer.subarray(1, 3)), String.fromCharCode(...buffer));
r.push(await file.seek(1, SeekMode.Current), await file.seek(-3, SeekMode.End), await file.seek(10, 0), await file.read(buffer));
r.push(await failure(file.seek(11, 0)), await failure(file.seek(-1, 0)), await failure(file.seek('x', 0)), await failure(file.seek(0, 7)));
r.push(await failure(file.read()), await failure(file.read([])), await failure(fsOpen()), await failure(fsOpen('./missing')));
export const options = { r };
export default () => {};";
    let r = answer(&[("script.js", script), ("data.txt", "0123456789")]);
    let (type_error, range_error) = ("TypeError", "RangeError");
    assert_eq!(
        r,
        json!([
            "data.txt",
            10,
            true,
            "0123",
            "4567",
            "89",
            2,
            2,
            "8237",
            5,
            6,
            10,
            null,
            range_error,
            range_error,
            type_error,
            type_error,
            type_error,
            type_error,
            type_error,
            "GoError"
        ])
    );
}

#[test]
fn csv_is_shared_or_read_row_by_row() {
    let script = "import { open as fsOpen } from 'k6/experimental/fs';
import csv, { Parser } from 'k6/experimental/csv';
const file = await fsOpen('./people.csv');
const rows = await csv.parse(file, { skipFirstLine: true });
const objects = await csv.parse(file, { asObjects: true });
const r = [Array.isArray(rows), rows.length, rows[1].join('|'), objects[0], Object.isFrozen(objects[0])];
const parser = new Parser(file, { delimiter: ';' });
for (let row; !(row = await parser.next()).done; ) r.push(row.value);
const failure = async (f) => { try { await f(); return 'no error' } catch (e) { return e.name } };
r.push(await failure(() => csv.parse('people.csv')), await failure(() => new Parser(file, { delimiter: '--' })), await failure(() => csv.parse(file, { fromLine: 2, toLine: 1 })));
export const options = { r };
export default () => {};";
    let r = answer(&[("script.js", script), ("people.csv", "name,age\nann,31\nbob,\"2,2\"\n")]);
    assert_eq!(
        r,
        json!([
            true, 2, "bob|2,2", { "name": "ann", "age": "31" }, true, ["name,age"], ["ann,31"], ["bob,\"2,2\""], "TypeError",
            "TypeError", "TypeError"
        ])
    );
}
