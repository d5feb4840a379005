//! The declarations in `api/` name what the modules have: nothing is missing, nothing is left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use senary_testkit::Program;

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

#[test]
fn the_socket_has_what_is_declared() {
    let text = include_str!("../api/k6-x-tcp.d.ts");
    let class = text.split_once("export class Socket {").expect("the class").1;
    let class = class.split_once("\n  }\n").expect("its end").0;
    let members = class.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        let line = line.strip_prefix("readonly ").unwrap_or(line);
        let name = line.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        line[name.len()..]
            .starts_with(['(', ':', '<'])
            .then(|| name.to_owned())
            .filter(|name| !name.is_empty())
    });
    let mut declared: Vec<String> = members.collect();
    declared.sort();
    declared.dedup();
    let script = r#"
import { Socket } from "k6/x/tcp"
export default function () {
  console.log("members", Object.getOwnPropertyNames(Socket.prototype).sort().join())
}
"#;
    let outcome = Program::script(BINARY, script).run();
    outcome.expect_code(0).expect_text(&format!("members {}", declared.join(",")));
}

/// Where TypeScript's compiler is installed, it accepts what `senary new` writes, and the examples.
#[test]
fn a_new_project_passes_the_compiler_of_typescript() {
    if std::process::Command::new("tsc").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for template in ["minimal", "protocol"] {
        let file = path(&format!("{template}.js"));
        Program::new(BINARY).args(["new", "--types", "--template", template, &file]).run().expect_code(0);
    }
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for example in std::fs::read_dir(examples).expect("the examples") {
        let example = example.expect("a file");
        std::fs::copy(example.path(), folder.path().join(example.file_name())).expect("a copy");
    }
    let typed = "import { check } from \"k6\"\ncheck(5, { a: (v) => v.toFixed() === \"5\", b: true })\n";
    std::fs::write(path("typed.ts"), typed).expect("a file");
    let compiled = std::process::Command::new("tsc")
        .args(["-p", "jsconfig.json"])
        .current_dir(folder.path())
        .output()
        .expect("tsc runs");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
}
