//! The declarations in `api/` name what the modules have: nothing is missing, nothing is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use senary_testkit::{Behaviour, Program, Reply, Server, Site, WebSocketPeer};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// Types only; there is nothing to import.
const TYPES_ONLY: &str = "k6/options";

/// The values each `declare module` block exports, `default` included.
fn declared() -> BTreeMap<String, Vec<String>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../api");
    let mut modules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder api") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a text");
        let mut module = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("declare module \"") {
                module = name.split('"').next().unwrap_or_default().to_owned();
                modules.entry(module.clone()).or_default();
            } else if let Some(exported) = line.strip_prefix("  export ") {
                let mut words = exported.split(|c: char| !c.is_alphanumeric() && c != '_');
                let name = match words.next() {
                    Some("const" | "function" | "class") => words.next().unwrap_or_default(),
                    Some("default") => "default",
                    _ => continue,
                };
                modules.entry(module.clone()).or_default().push(name.to_owned());
            }
        }
    }
    modules.remove(TYPES_ONLY);
    modules
}

#[test]
fn modules_export_what_is_declared() {
    let modules = declared();
    assert!(modules.len() > 10, "{modules:?}");
    let imports: String = modules
        .keys()
        .enumerate()
        .map(|(n, name)| format!("import d{n}, * as m{n} from \"{name}\"\n"))
        .collect();
    let list: String = modules
        .iter()
        .enumerate()
        .map(|(n, (name, exports))| format!("  [\"{name}\", m{n}, d{n}, {exports:?}],\n"))
        .collect();
    let script = format!(
        r#"{imports}
export default function () {{
  for (const [name, module, standard, declared] of [
{list}  ]) {{
    // A module of names alone can be imported as a default, which its namespace does not show.
    const value = (key) => (key === "default" ? standard : module[key])
    const missing = declared.filter((key) => value(key) === undefined)
    const unknown = Object.keys(module).filter((key) => !declared.includes(key))
    if (missing.length || unknown.length) console.error(name, "lacks", missing, "and has", unknown)
  }}
  console.log("compared")
}}
"#
    );
    let outcome = Program::script(BINARY, &script).args(["--secret-source", "mock=a=b"]).run();
    outcome.expect_code(0).expect_text("compared");
    assert_eq!(outcome.log_lines("lacks"), Vec::<&str>::new());
}

/// The members of a class or an interface, in order of the alphabet; not those that belong to the class itself.
fn members(declarations: &str, head: &str) -> String {
    let (_, body) = declarations.split_once(&format!("{head} {{\n")).expect(head);
    let (body, _) = body.split_once("\n  }\n").expect("its end");
    let members = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        let line = line.strip_prefix("readonly ").unwrap_or(line);
        let name = line.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        let is_member = line[name.len()..].starts_with(['(', ':', '<', '?']) && !name.is_empty();
        is_member.then(|| name.to_owned())
    });
    let mut members: Vec<String> = members.collect();
    members.sort();
    members.dedup();
    members.join(",")
}

#[test]
fn the_socket_has_what_is_declared() {
    let declared = members(include_str!("../api/k6-x-tcp.d.ts"), "export class Socket");
    let script = r#"
import { Socket } from "k6/x/tcp"
export default function () {
  console.log("members", Object.getOwnPropertyNames(Socket.prototype).sort().join())
}
"#;
    let outcome = Program::script(BINARY, script).run();
    outcome.expect_code(0).expect_text(&format!("members {declared}"));
}

/// Finds all names of an object, its own and those of its class.
const NAMES: &str = r#"
const names = (object) => {
  const found = new Set()
  for (let at = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    Object.getOwnPropertyNames(at).forEach((name) => found.add(name))
  }
  return [...found].sort().join()
}
"#;

#[test]
fn responses_and_jars_have_what_is_declared() {
    let declarations = include_str!("../api/k6-http.d.ts");
    let site = Site::start(|_| Reply::page(200, &["Set-Cookie: a=b"], "[1]"));
    let script = format!(
        r#"import http from "k6/http"
{NAMES}
export default function () {{
  const response = http.get(__ENV.BASE)
  const tell = (what, object) => console.log(`${{what}}: ${{names(object)}}.`)
  tell("response", response)
  tell("timings", response.timings)
  tell("ocsp", response.ocsp)
  tell("cookie", response.cookies.a[0])
  tell("url", http.url`${{__ENV.BASE}}`)
  tell("file", http.file("data"))
  tell("jar", http.cookieJar())
}}"#
    );
    let outcome = Program::script(BINARY, &script).env("BASE", &site.url).run();
    outcome.expect_code(0);
    for (what, head, besides) in [
        ("response", "export interface Response<T extends ResponseType = \"text\">", ""),
        ("timings", "export interface Timings", ""),
        ("ocsp", "export interface Ocsp", ""),
        ("cookie", "export interface ResponseCookie", ""),
        ("url", "export interface HttpURL", ""),
        ("file", "export interface FileData", ""),
        ("jar", "export class CookieJar", "constructor,"),
    ] {
        let declared = members(declarations, head);
        let mut all: Vec<&str> = declared.split(',').chain(besides.split_terminator(',')).collect();
        all.sort_unstable();
        outcome.expect_text(&format!("{what}: {}.", all.join(",")));
    }
}

#[test]
fn sockets_of_websockets_have_what_is_declared() {
    let server = Server::start(Behaviour::WebSocket(WebSocketPeer::Echo));
    let script = format!(
        r#"import ws from "k6/ws"
import {{ WebSocket, Blob }} from "k6/websockets"
{NAMES}
const tell = (what, object) => console.log(`${{what}}: ${{names(object)}}.`)
export default function () {{
  const url = `ws://${{__ENV.TCP_HOST}}:${{__ENV.TCP_PORT}}/`
  const response = ws.connect(url, (socket) => {{
    tell("blocking", socket)
    socket.close()
  }})
  tell("answer", response)
  const socket = new WebSocket(url)
  tell("socket", socket)
  tell("blob", new Blob())
  socket.onopen = (event) => {{
    tell("event", event)
    socket.send("x")
  }}
  socket.onmessage = (event) => {{
    tell("message", event)
    socket.close()
  }}
  socket.onclose = (event) => tell("close", event)
}}"#
    );
    let outcome = Program::script(BINARY, &script).target(&server).run();
    outcome.expect_code(0);
    let (blocking, events) = (include_str!("../api/k6-ws.d.ts"), include_str!("../api/k6-websockets.d.ts"));
    let of_event = members(events, "interface WebSocketEvent");
    for (what, declarations, head, besides) in [
        ("blocking", blocking, "interface Socket", ""),
        ("answer", blocking, "interface Response", ""),
        ("socket", events, "export class WebSocket", ""),
        ("blob", events, "export class Blob", ""),
        ("event", events, "interface WebSocketEvent", ""),
        ("message", events, "interface MessageEvent extends WebSocketEvent", &*of_event),
        ("close", events, "interface CloseEvent extends WebSocketEvent", &*of_event),
    ] {
        let declared = members(declarations, head);
        let mut all: Vec<&str> = declared.split(',').chain(besides.split_terminator(',')).collect();
        all.sort_unstable();
        outcome.expect_text(&format!("{what}: {}.", all.join(",")));
    }
}

/// The compiler of TypeScript, as the system or `.ci/run` has installed it.
fn tsc() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let known = [PathBuf::from("tsc"), root.join("target/typescript/node_modules/.bin/tsc")];
    let found = known.into_iter().find(|tsc| Command::new(tsc).arg("--version").output().is_ok());
    if found.is_none() {
        eprintln!("skipped: tsc is not installed (npm install --prefix target/typescript typescript)");
    }
    found
}

fn expect_compiled(tsc: &Path, project: &str, folder: &Path) {
    let compiled = Command::new(tsc).args(["-p", project]).current_dir(folder).output().expect("tsc runs");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
}

/// Where TypeScript's compiler is installed, it accepts what `senary new` writes, and the examples.
#[test]
fn a_new_project_passes_the_compiler_of_typescript() {
    let Some(tsc) = tsc() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for template in ["minimal", "protocol"] {
        let file = path(&format!("{template}.js"));
        Program::new(BINARY).args(["new", "--types", "--template", template, &file]).run().expect_code(0);
    }
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for example in std::fs::read_dir(examples).expect("the examples") {
        let example = example.expect("a file");
        if example.path().is_file() {
            std::fs::copy(example.path(), folder.path().join(example.file_name())).expect("a copy");
        }
    }
    let typed = "import { check } from \"k6\"\ncheck(5, { a: (v) => v.toFixed() === \"5\", b: true })\n";
    std::fs::write(path("typed.ts"), typed).expect("a file");
    expect_compiled(&tsc, "jsconfig.json", folder.path());
}

/// And a script that uses every name of `senary/tcp`, strictly. `declared.rs` sees to it that it does.
#[test]
fn every_name_passes_the_compiler_of_typescript() {
    let Some(tsc) = tsc() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let api = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../api");
    for declaration in std::fs::read_dir(api).expect("the folder api") {
        let declaration = declaration.expect("a file");
        std::fs::copy(declaration.path(), folder.path().join(declaration.file_name())).expect("a copy");
    }
    std::fs::write(folder.path().join("names.ts"), include_str!("declared/names.ts")).expect("a file");
    let options = r#"{ "compilerOptions": { "strict": true, "noEmit": true, "target": "es2022", "module": "es2022",
        "moduleResolution": "bundler", "lib": ["es2022"], "types": [] }, "include": ["*.ts"] }"#;
    std::fs::write(folder.path().join("tsconfig.json"), options).expect("a file");
    expect_compiled(&tsc, "tsconfig.json", folder.path());
}
