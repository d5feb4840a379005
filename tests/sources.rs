//! Sources of all kinds: how they are named in stack traces, in which encoding they come, what of TypeScript and of
//! CommonJS there is.

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn run(name: &str, files: &[(&str, &str)]) -> Outcome {
    let program = files.iter().fold(Program::new(BINARY), |program, (name, text)| program.file(name, text));
    program.args(["run", "--quiet", "--log-format=raw", "--summary-mode=disabled", name]).run()
}

/// The text of a run's log, without the folder it was in.
fn log_of(name: &str, files: &[(&str, &str)]) -> String {
    let program = files.iter().fold(Program::new(BINARY), |program, (name, text)| program.file(name, text));
    let program = program.args(["run", "--quiet", "--log-format=raw", "--summary-mode=disabled", name]);
    let folder = format!("file://{}/", program.folder().display());
    program.run().stderr.replace(&folder, "")
}

#[test]
fn odd_names_keep_every_frame() {
    for name in [
        "test (1).js",
        "a b.js",
        "(x).js",
        "ü.js",
        "100%.js",
        "a%20b.js",
        "q?#.js",
        "x (native).js",
        "a\nb.js",
    ] {
        let script = "import { f } from './Project (x86)/lib.js'\nexport default function () { f() }\n";
        let files = [
            (name, script),
            ("Project (x86)/lib.js", "export const f = () => { throw new Error('where?') }"),
        ];
        let log = log_of(name, &files);
        let url = match name {
            "test (1).js" => "test%20%281%29.js",
            "a b.js" => "a%20b.js",
            "(x).js" => "%28x%29.js",
            "ü.js" => "%C3%BC.js",
            "100%.js" => "100%25.js",
            "a%20b.js" => "a%2520b.js",
            "q?#.js" => "q%3F%23.js",
            "x (native).js" => "x%20%28native%29.js",
            _ => "a%0Ab.js",
        };
        let lib = "\tat f (Project%20%28x86%29/lib.js:1:36)\n";
        let expected = format!("Error: where?\n{lib}\tat default ({url}:2:30)\n");
        assert!(log.contains(&expected), "{name:?}: {log}");
    }
}

#[test]
fn functions_of_odd_names_keep_their_frames() {
    let script = r#"
const odd = { ["a (file:///x.js:1:1)"]() { throw new Error("odd") }, ["b\n    c"](f) { f() }, ["at native"](f) { f() } }
export default function () {
  try { odd["b\n    c"](() => odd["at native"](() => odd["a (file:///x.js:1:1)"]())) } catch (e) { console.log(e.stack) }
}"#;
    let log = log_of("script.js", &[("script.js", script)]);
    for frame in [
        "at a (file:///x.js:1:1) (script.js:2:",
        "at at native (script.js:2:",
        "at b c (script.js:2:",
        "at default (script.js:4:",
    ] {
        assert!(log.contains(frame), "{frame}: {log}");
    }
}

#[test]
fn urls_of_files_are_escaped_everywhere() {
    let script = r#"
import data from "./lib%20(1)/c.cjs"
const text = open(import.meta.resolve("./lib (1)/100% text.txt"))
export default function () {
  console.log(import.meta.resolve("./lib (1)/c.cjs").replace(/.*\//, ""), import.meta.resolve("./a b.js").slice(-8))
  console.log(text, data.text, data.inner())
}"#;
    let cjs = r#"exports.text = open("../lib (1)/100% text.txt"); exports.inner = () => new Error("e").stack.split("\n").length"#;
    let files = [("a b.js", script), ("lib (1)/c.cjs", cjs), ("lib (1)/100% text.txt", "read")];
    let log = log_of("a b.js", &files);
    assert!(log.contains("c.cjs a%20b.js\n") && log.contains("read read 4\n"), "{log}");
}

#[test]
fn thrown_values_are_where_they_are_thrown() {
    for (script, thrown, called) in [
        ("const r=()=>{!function(o){throw\"cool\"}()};export default r", "1:27", "1:39"),
        ("export default()=>{(o=>{throw{a:1}})(1)}", "1:25", "1:37"),
        ("const f=x=>x;function g(){throw f(1)}export default()=>{g()}", "1:27", "1:57"),
        ("function g() {\n  throw   (\n    1\n  )\n}\nexport default () => { g() }", "2:3", "6:24"),
        ("const o={m(){if(1)throw o.m.name}};export default()=>{o.m()}", "1:19", "1:57"),
        ("const h=()=>()=>{throw 1};export default()=>{h()()}", "1:18", "1:49"),
    ] {
        let log = log_of("script.js", &[("script.js", script)]);
        let frames: Vec<_> = log.lines().filter(|line| line.starts_with("\tat ")).collect();
        assert!(frames.len() >= 2, "{script}: {log}");
        assert!(frames[0].contains(&format!("script.js:{thrown}")), "{script}: {log}");
        assert!(frames[1].contains(&format!("script.js:{called}")), "{script}: {log}");
    }
}

/// A source map as minifiers write it: the function at `function`, the statement at `throw`, the call at `(`.
#[test]
fn minified_places_are_found_in_a_source_map() {
    // Generated columns (from 0) 14, 26 and 46 come from lines 1, 2 and 5, columns 0, 4 and 2.
    let map = r#"{"version":3,"sources":["test1.ts"],"names":[],"mappings":"cAAA,YACI,oBAGF"}"#;
    let script = "const r=()=>{!function(o){throw\"cool is cool\"}()};export default r\n//# sourceMappingURL=script.js.map\n";
    let log = log_of("script.js", &[("script.js", script), ("script.js.map", map)]);
    assert!(log.contains("cool is cool\n\tat test1.ts:2:5\n\tat r (test1.ts:5:3)\n"), "{log}");
}

#[test]
fn what_is_no_utf_8_is_refused_with_its_place() {
    let latin1: &[u8] = b"// saved by an old editor\nexport default function () { console.log('caf\xe9') }\n";
    let good = |import: &str| format!("import {import:?}\nexport default function () {{}}\n");
    let refused = |program: Program, at: &str| {
        let outcome = program.run();
        outcome.expect_code(107).expect_text(&format!("{at} Invalid UTF-8 character"));
    };
    let run = || Program::new(BINARY).args(["run", "--quiet", "--log-format=raw"]);
    for name in ["s.js", "s.ts"] {
        refused(run().file(name, latin1).arg(name), &format!("{name}: Line 2:46"));
        refused(
            run().file(name, latin1).file("main.js", good(&format!("./{name}"))).arg("main.js"),
            &format!("{name}: Line 2:46"),
        );
        refused(Program::new(BINARY).file(name, latin1).args(["archive", name]), "Line 2:46");
    }
    refused(run().stdin(latin1).arg("-"), "/-: Line 2:46");
    let utf16 = [0xff, 0xfe, b'e', 0, b'x', 0];
    refused(run().file("s.js", utf16).arg("s.js"), "Line 1:1");
    let required = "module.exports.default = require('./s.js')";
    refused(run().file("s.js", latin1).file("main.js", required).arg("main.js"), "s.js: Line 2:46");

    let script = "export default function () {}\n";
    let config = b"{\n  \"tags\": {\"a\": \"\xe9\"}\n}";
    let program = run().file("script.js", script).file("c.json", config).args(["-c", "c.json", "script.js"]);
    let outcome = program.run();
    outcome.expect_text("line 2:18 Invalid UTF-8 character");
    assert_ne!(outcome.code(), Some(0));
}

#[test]
fn what_the_engine_does_not_know_is_said_plainly() {
    for (name, script, at) in [
        (
            "s.ts",
            "const logged = (f: any, c: any) => f\nclass C {\n  @logged m(): void {}\n}\n",
            "Line 3:3 decorators",
        ),
        ("s.js", "const d = (c) => c\n@d class C {}\n", "Line 2:1 decorators"),
        ("s.js", "class C { accessor port = 7 }\n", "Line 1:11 `accessor` fields"),
    ] {
        let script = format!("{script}export default function () {{}}\n");
        run(name, &[(name, &script)]).expect_code(107).expect_text(&format!("{at} are not supported; "));
    }
}

#[test]
fn namespaces_export_variables() {
    let script = r#"
export namespace Q {
  export let a = 1, b: number
  export let { x, y: [z] } = { x: 2, y: [3] }
  export var v = 4
  export function inc(a = 10) { Q.a++; v += a; return a }
  export namespace In { export let deep = a + 1; export const up = () => ++deep }
  b = 5
}
export namespace Q {
  inc()
  export const seen = [a, b, x, z, v].join()
  a += 10; ({ x, y: z = 7 } = { x: a } as any); [b] = [6]; v++
  export const object = { a, b: b }
  export const local = ((a: number) => a)(99)
  for (a of [a, 50]);
}
namespace A.B.C { export let n = 1 }
namespace A.B { export const m = C.n + 1 }
namespace A.B.C { n++; export const read = () => n }
class K { static s = 1 } namespace K { export let more = K.s + 1 }
export default function () {
  Q.a++; Q.In.deep = 7; A.B.C.n = 9
  console.log(JSON.stringify(Q), Q.In.up(), A.B.m, A.B.C.read(), K.more, Object.keys(A.B.C).join())
}"#;
    let log = log_of("s.ts", &[("s.ts", script)]);
    let expected = r#"{"a":51,"b":6,"x":12,"z":7,"v":15,"In":{"deep":7},"seen":"2,5,2,3,14","object":{"a":12,"b":6},"local":99} 8 2 9 2 n,read"#;
    assert!(log.contains(expected), "{log}");
    let hidden = "namespace Q { export let a = 1 }\nnamespace Q { export const f = (Q: number) => a + Q }\nexport default function () {}";
    run("s.ts", &[("s.ts", hidden)])
        .expect_code(107)
        .expect_text("Line 2:47 `a` is exported by a namespace `Q`");
}

#[test]
fn enums_of_namespaces_are_used_by_other_blocks() {
    let script = r#"
namespace A { export enum E { X = 1, Y } export const enum C { P = "p" } export class K { v = 3 } }
namespace A { export const f = () => [E.Y, E[1], C.P, new K().v].join() }
namespace A.B { export enum E { Z = 9 } export const g = () => [E.Z, C.P].join() }
enum Top { A = 1 } enum Top { B = A + 1 } namespace Top { export const all = () => [Top.A, Top.B].join() }
export default function () { console.log(A.f(), A.B.g(), Top.all()) }"#;
    let log = log_of("s.ts", &[("s.ts", script)]);
    assert!(log.contains("2,X,p,3 9,p 1,2\n"), "{log}");
    let parts = "namespace N { export enum E { A = 1 } }\nnamespace N { export enum E { B = A + 1 } }\nexport default function () {}";
    run("s.ts", &[("s.ts", parts)]).expect_code(107).expect_text(
        "Line 2:27 the enum `E` has members in two blocks of the namespace `N`: put them into one",
    );
}

#[test]
fn typescript_of_all_kinds_runs() {
    let script = r#"
import k6 = require("k6"); import lib = require("./lib.ts"); import type Gone = require("./gone")
import { type T, value } from "./values.ts"
enum Plain { X = 1, Y, Z = "z" } const enum Const { A = 1 << 3, B = A | 1 } declare enum Ambient { N } enum Plain { W = X + 9 }
abstract class Base { constructor(readonly a: number, private b = 2, public c?: string) {} abstract m(): void; get sum() { return this.a + this.b } }
class Derived extends Base implements I { declare z: number; x!: number; static s = 1; #p = 3; override m(): void {}; static { Derived.s++ } get p() { return this.#p } [key: string]: any }
interface I { m(): void } declare global { var g: number } declare module "m" { export const y: number } declare namespace Outside { let a: number }
function over(a: string): string; function over(a: number): number; function over(a: any) { return a }
const satisfied = { a: 1 } satisfies Record<string, number>, generic = <U,>(x: U) => x, as1 = <number>satisfied.a!
namespace N { export namespace M { export const v = 5 } } import M = N.M
class Resource { [Symbol.dispose]() { console.log("disposed") } }
function th(this: Date, ...rest: unknown[]): asserts rest is [] {}
export type { T }; export { Plain as Renamed }
export default function () {
  { using r = new Resource() }
  const d = new Derived(1)
  console.log(typeof k6.check, lib.name, value, Plain.W, Plain[2], Const.B, d.sum, d.p, Derived.s, "z" in d, over(4), generic(as1), M.v)
}"#;
    let values = "export type T = number; export const value: T = 8";
    let lib = "function f() { return 1 }\nnamespace f { export const g = 1 }\nexport = f\n";
    let log = log_of("s.ts", &[("s.ts", script), ("values.ts", values), ("lib.ts", lib)]);
    assert!(log.contains("disposed\nfunction f 8 10 Y 9 3 3 2 false 4 1 5\n"), "{log}");
}

#[test]
fn a_namespace_of_commonjs_has_a_default_where_one_is_set() {
    let script = r#"
import * as set from "./set.js"; import * as unset from "./unset.js"; import value from "./unset.js"
export default function () {
  console.log(Object.keys(set).sort().join(), "default" in set, set.default)
  console.log(Object.keys(unset).join(), "default" in unset, unset.default, value.a)
}"#;
    let set = r#"Object.defineProperty(exports, "__esModule", { value: true }); exports.a = 1; exports.default = 9;"#;
    let log = log_of("s.js", &[("s.js", script), ("set.js", set), ("unset.js", "exports.a = 1")]);
    assert!(log.contains("a,default true 9\na false undefined 1\n"), "{log}");
}

#[test]
fn commonjs_is_strict() {
    let library = r#"
exports.this = (function () { return this })() === undefined
exports.sloppy = Function("return this")() === globalThis
exports.assign = () => { undeclared = 1 }"#;
    let script = r#"
import lib from "./lib.js"
export default function () {
  let thrown
  try { lib.assign() } catch (e) { thrown = String(e) }
  console.log(lib.this, lib.sloppy, thrown)
}"#;
    let log = log_of("s.js", &[("s.js", script), ("lib.js", library)]);
    assert!(log.contains("true true ReferenceError: undeclared is not defined\n"), "{log}");
}

/// As the reference stores a script that opens itself, and as other programs write the same files.
#[test]
fn archives_of_other_programs_run() {
    use tar::{Builder, EntryType, Header};
    let script = "const self = open('./main.js')\nconst long = open('./' + 'long/'.repeat(40) + 'x.txt')\nimport { lib } from './lib.js'\nexport const options = { iterations: 1 }\nexport default function () { console.log(self.length, long, lib) }\n";
    let metadata = r#"{"type":"js","options":{},"filename":"file:///pro%20j/main.js","pwd":"file:///pro%20j/","k6version":"2.2.0"}"#;
    let long = format!("file/pro j/{}x.txt", "long/".repeat(40));
    let files = [
        ("metadata.json", EntryType::Regular, metadata),
        ("data", EntryType::Regular, script),
        ("file/", EntryType::Directory, ""),
        ("file/pro j/main.js", EntryType::Link, "data"),
        ("file/pro j/lib.js", EntryType::Symlink, "src/lib.js"),
        ("file/pro j/src/lib.js", EntryType::Regular, "export const lib = 'linked'"),
        (&long, EntryType::Regular, "a long name"),
    ];
    let add = |tar: &mut Builder<Vec<u8>>, (name, kind, content): (&str, EntryType, &str)| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        if kind.is_file() || kind.is_dir() {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).expect("an entry");
        } else {
            header.set_size(0);
            tar.append_link(&mut header, name, content).expect("a link");
        }
    };
    for backwards in [false, true] {
        let mut tar = Builder::new(Vec::new());
        match backwards {
            false => files.into_iter().for_each(|file| add(&mut tar, file)),
            true => files.into_iter().rev().for_each(|file| add(&mut tar, file)),
        }
        let tar = tar.into_inner().expect("an archive");
        let program = Program::new(BINARY).file("a.tar", &tar);
        let outcome = program.args(["run", "--quiet", "--log-format=raw", "a.tar"]).run();
        outcome.expect_code(0).expect_text(&format!("{} a long name linked", script.len()));
    }
    let mut tar = Builder::new(Vec::new());
    files[..2].iter().for_each(|file| add(&mut tar, *file));
    add(&mut tar, ("file/pro j/main.js", EntryType::Link, "gone"));
    let program = Program::new(BINARY).file("a.tar", tar.into_inner().expect("an archive"));
    let outcome = program.args(["run", "--quiet", "a.tar"]).run();
    outcome.expect_text("is a link to \\\"gone\\\", which is not in it");
}

/// The same with the programs of the system.
#[test]
fn archives_that_tar_packed_again_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let script = "const self = open('./script.js')\nexport default function () { console.log('itself', self.length) }\n";
    Program::new(BINARY)
        .file("script.js", script)
        .args(["archive", "-O"])
        .arg(path("a.tar"))
        .arg("script.js")
        .run();
    for format in ["gnu", "pax", "ustar", "v7"] {
        let shell = format!(
            "rm -rf x && mkdir x && tar -xf a.tar -C x && f=$(cd x && find file -name script.js) && ln -f x/data \"x/$f\" && tar --format={format} -cf b.tar -C x ."
        );
        let packed =
            std::process::Command::new("sh").args(["-c", &shell]).current_dir(folder.path()).status();
        assert!(packed.is_ok_and(|status| status.success()), "{format}");
        let outcome =
            Program::new(BINARY).args(["run", "--quiet", "--log-format=raw"]).arg(path("b.tar")).run();
        outcome.expect_code(0).expect_text(&format!("itself {}", script.len()));
    }
}
