//! The pages of docs/reference and the tables of modules, compared with the program, in both directions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use senary_testkit::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

type Names = BTreeSet<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn page(name: &str) -> String {
    text(&format!("docs/reference/{name}"))
}

/// All sources of the program below a folder, without their unit tests.
fn sources(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the repository is complete") {
            let path = entry.expect("the repository is complete").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("the repository is complete");
                texts.push(
                    text.split("#[cfg(test)]\nmod tests {")
                        .next()
                        .expect("the repository is complete")
                        .to_owned(),
                );
            }
        }
    }
    texts
}

/// What stands between two marks, as far as it begins with `prefix` and has nothing but what `is_part` allows.
fn between(text: &str, mark: char, prefix: &str, is_part: impl Fn(char) -> bool) -> Names {
    let parts = text.split(mark).filter(|part| part.starts_with(prefix) && part.chars().all(&is_part));
    parts.map(str::to_owned).collect()
}

fn is_variable(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// All words of a text that begin with `prefix`.
fn words(text: &str, prefix: &str, is_part: impl Fn(char) -> bool) -> Names {
    text.split(|c| !is_part(c)).filter(|word| word.starts_with(prefix)).map(str::to_owned).collect()
}

#[track_caller]
fn same(what: &str, program: &Names, page: &Names) {
    let undocumented: Vec<_> = program.difference(page).collect();
    let unknown: Vec<_> = page.difference(program).collect();
    assert!(
        undocumented.is_empty() && unknown.is_empty(),
        "{what}: not on the page {undocumented:?}, not in the program {unknown:?}"
    );
}

#[test]
fn flags() {
    let mut program = Names::new();
    for command in ["run", "archive", "new", "merge", "collect"] {
        let help = Program::new(BINARY).args([command, "--help"]).run().stdout;
        program.extend(
            words(&help, "--", |c| c.is_ascii_lowercase() || c == '-').into_iter().filter(|f| f.len() > 2),
        );
    }
    for archive in ["--archive-out", "--exclude-env-vars"] {
        assert!(program.remove(archive), "{archive}");
    }
    let text = page("options.md") + &page("command-line.md");
    same(
        "flags",
        &program,
        &words(&text, "--", |c| c.is_ascii_lowercase() || c == '-')
            .into_iter()
            .filter(|f| !f.ends_with("---") && f.len() > 2)
            .collect(),
    );
}

#[test]
fn flags_of_tcp() {
    let of = |command| {
        let help = Program::new(BINARY).args([command, "--help"]).run().stdout;
        let flag =
            |line: &str| Some(line.trim_start().split_once("--")?.1.split([' ', ',']).next()?.to_owned());
        help.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(flag).collect::<Names>()
    };
    let own: Names = of("tcp").difference(&of("run")).map(|flag| format!("--{flag}")).collect();
    let page = page("tcp.md");
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    let mut documented = Names::new();
    for row in rows {
        documented.extend(
            row.split('|')
                .nth(1)
                .unwrap()
                .split('`')
                .filter(|part| part.starts_with("--"))
                .map(str::to_owned),
        );
    }
    // The same flags as in `run`, with a meaning of their own.
    let shared = Names::from(["--duration".to_owned()]);
    same("flags of senary tcp", &own.union(&shared).cloned().collect(), &documented);
}

#[test]
fn options() {
    let mut program = Names::new();
    for source in sources("crates/senary/src/options") {
        let Some((_, table)) = source.split_once("\n    Options:\n") else { continue };
        let rows = table.split("\n}").next().unwrap().lines();
        program.extend(rows.filter_map(|row| Some(row.split_once("= \"")?.1.split('"').next()?.to_owned())));
    }
    assert!(program.len() > 30, "{program:?}");
    let page = page("options.md");
    let rows = page.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `shared"));
    let names = rows.filter_map(|row| row.split('`').nth(1)).filter(|name| !name.contains('-'));
    same("options", &program, &names.map(str::to_owned).collect());
}

#[test]
fn executors() {
    let scenario =
        "export const options = { scenarios: { a: { executor: 'none' } } }; export default function () {}";
    let error = Program::script(BINARY, scenario).run().stderr;
    for name in [
        "shared-iterations",
        "per-vu-iterations",
        "constant-vus",
        "ramping-vus",
        "constant-arrival-rate",
        "ramping-arrival-rate",
    ] {
        assert!(page("options.md").contains(&format!("| `{name}` |")), "{name}");
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn environment_variables() {
    let mut program = Names::new();
    for folder in
        ["crates/senary/src", "crates/senary-output/src", "crates/senary-js/src", "crates/senary-modules/src"]
    {
        for source in sources(folder) {
            program.extend(between(&source, '"', "K6_", is_variable));
            program.extend(between(&source, '"', "SENARY_", is_variable));
        }
    }
    assert!(program.len() > 50, "{program:?}");
    let pages = ["options.md", "command-line.md", "outputs.md", "dashboard.md"].map(page).concat();
    let mut documented = words(&pages, "K6_", is_variable);
    documented.extend(words(&pages, "SENARY_", is_variable));
    // An example of what the prefix makes.
    documented.remove("K6_SECRET_SOURCE_URL_URL_TEMPLATE");
    same("environment variables", &program, &documented);
}

#[test]
fn keys_of_the_configuration_file() {
    let page = page("command-line.md");
    let mut known = 0;
    for source in sources("crates/senary/src/options") {
        let keys = match source.split_once("\n    RunOptions:\n") {
            Some((_, table)) => table.split("\n}").next().unwrap().split(" = \"").skip(1),
            None if source.contains("pub struct ConfigFile") => source.split("fields.take(\"").skip(1),
            None => continue,
        };
        for key in keys.map(|rest| rest.split('"').next().unwrap()) {
            assert!(page.contains(&format!("`{key}`")), "{key} is not on the page");
            known += 1;
        }
    }
    assert!(known > 5, "{known} keys found");
}

#[test]
fn exit_codes() {
    let mut program = Names::from(["0".to_owned()]);
    for source in sources("crates/senary/src") {
        for name in ["pub fn code(&self) -> u8", "pub fn exit_code(&self) -> u8"] {
            let Some((_, body)) = source.split_once(name) else { continue };
            let body = body.split("\n    }\n").next().unwrap();
            let code = body.lines().map(|line| line.split("//").next().unwrap()).collect::<String>();
            let numbers = code.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 2);
            program.extend(numbers.filter(|word| word.parse::<u8>().is_ok()).map(str::to_owned));
        }
    }
    assert!(program.len() > 10, "{program:?}");
    let page = page("exit-codes.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    same("exit codes", &program, &rows.map(|code| code.to_string()).collect());
}

#[test]
fn routes() {
    let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '/';
    let mut program = Names::new();
    for source in sources("crates/senary/src/rest") {
        let paths = between(&source, '"', "/", is_path);
        program.extend(
            paths
                .into_iter()
                .filter(|path| (path.starts_with("/v1/") && path != "/v1/") || path == "/metrics"),
        );
    }
    let page = page("rest-api.md");
    let rows = page.lines().filter(|line| line.starts_with("| `/"));
    let documented =
        rows.filter_map(|row| row.split('`').nth(1)).map(|path| path.split('{').next().unwrap().to_owned());
    same("routes", &program, &documented.collect());
}

#[test]
fn outputs() {
    let page = page("outputs.md");
    let of_page = page
        .lines()
        .skip_while(|line| !line.starts_with("| type"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names = of_page.filter_map(|row| row.split('|').nth(1));
    let documented: Names = names
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(!documented.is_empty());
    // What is documented can be made; the others that k6 has cannot.
    let known = [
        "cloud",
        "csv",
        "experimental-opentelemetry",
        "experimental-prometheus-rw",
        "influxdb",
        "json",
        "opentelemetry",
        "statsd",
        "web-dashboard",
    ];
    for name in known.iter().copied().chain(documented.iter().map(String::as_str)) {
        // It has no file of its own.
        let output = if name == "state" { "state=own.state" } else { name };
        let outcome = Program::script(BINARY, "export default function () {}").args(["--out", output]).run();
        assert_eq!(outcome.code() == Some(0), documented.contains(name), "{name}: {}", outcome.stderr);
    }
}

#[test]
fn globals() {
    let names = page("globals.md");
    let rows = names.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let documented: Names = rows
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let list: Vec<_> = documented.iter().collect();
    // Of the language itself are all that a bare engine has; the page has the others.
    let script = format!(
        "const documented = {list:?};
const init = documented.filter((name) => !(name in globalThis));
export default function () {{
  console.log('missing:', init.filter((name) => !(name in globalThis)).join());
  const language = /^(Infinity|NaN|undefined|globalThis|Object|Function|Array|Number|Boolean|String|Symbol|BigInt|Math|JSON|Reflect|Proxy|Promise|Date|RegExp|Map|Set|Weak\\w+|FinalizationRegistry|\\w*Error|\\w*Array|\\w*ArrayBuffer|\\w*DisposableStack|DataView|Atomics|Iterator|parse\\w+|is(NaN|Finite)|(en|de)codeURI(Component)?|escape|unescape|eval|InternalError)$/;
  const more = Object.getOwnPropertyNames(globalThis).filter((name) => !language.test(name) && !documented.includes(name));
  console.log('undocumented:', more.join());
}}"
    );
    let outcome = Program::script(BINARY, &script).run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("missing:"), ["missing: "]);
    assert_eq!(outcome.log_lines("undocumented:"), ["undocumented: "]);
}

/// The modules that the program's sources name, without those that k6 has removed.
fn modules(table: &str, end: &str) -> Names {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-';
    let mut names = Names::new();
    for source in sources("crates/senary-modules/src") {
        for text in source.split(table).skip(1) {
            names.extend(between(
                text.split(end).next().expect("the repository is complete"),
                '"',
                "k6",
                is_name,
            ));
        }
    }
    names
}

#[test]
fn modules_of_k6() {
    let mut there = modules("static TABLE:", "];");
    // Their rows of the table stand in their own files.
    for name in ["k6/experimental/websockets", "k6/http", "k6/websockets", "k6/ws", "k6/x/tcp"] {
        there.insert(name.to_owned());
    }
    let not_yet = modules("const NOT_HERE:", "];");
    assert!(there.len() > 10 && !not_yet.is_empty(), "{there:?} {not_yet:?}");
    let readme = text("README.md");
    let row = |name: &str| -> Names {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row");
        between(row, '`', "k6", |_| true)
    };
    let mut of_readme = row("available");
    // Types only; there is nothing to import.
    assert!(of_readme.remove("k6/options"));
    same("modules in README.md", &there, &of_readme);
    same("missing modules in README.md", &not_yet, &row("not yet"));

    let differences = text("docs/differences.md");
    let (_, table) = differences.split_once("| module of k6 |").expect("the table");
    let rows = table.lines().filter(|line| line.starts_with("| `k6"));
    let (yes, no): (Vec<_>, Vec<_>) = rows.partition(|row| row.ends_with("| available |"));
    let names = |rows: Vec<&str>| {
        rows.iter().filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect::<Names>()
    };
    same("modules in docs/differences.md", &there, &names(yes));
    same("missing modules in docs/differences.md", &not_yet, &names(no));
    for name in there {
        Program::script(BINARY, &format!("import '{name}'; export default function () {{}}"))
            .args(["--secret-source", "mock=a=b"])
            .run()
            .expect_code(0);
    }
}

#[test]
fn every_page_is_linked() {
    let index = page("README.md");
    for entry in std::fs::read_dir(root().join("docs/reference")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name}");
    }
}
