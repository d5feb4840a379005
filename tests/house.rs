//! What ARCHITECTURE.md says of the house, compared with the house.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files of Rust in the crates.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 100, "only {} sources were found", found.len());
    found
}

/// The product's sources, without unit tests.
fn sources() -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| {
        path.iter().any(|part| {
            ["senary-testkit", "tests", "tests.rs", "testing.rs"].iter().any(|test| part == *test)
        })
    };
    let product = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source");
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
        (path, product)
    };
    files().into_iter().filter(|path| !is_test(path)).map(product).collect()
}

/// The first text in quotes, up to a hole of `format!`.
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('"')?;
    let (name, _) = rest.split_once('"')?;
    name.split('{').next()
}

#[test]
fn every_thread_stands_in_the_table_of_threads() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = page.split_once("## Threads").expect("a table of threads");
    let table = table.split("\n## ").next().unwrap();
    let mut named = BTreeSet::new();
    let mut nameless = Vec::new();
    for (path, text) in sources() {
        nameless.extend(text.contains("thread::spawn(").then(|| path.clone()));
        for (_, rest) in text.match_indices("thread::Builder::new()").map(|(at, _)| text.split_at(at)) {
            // The name may have been made in the line before.
            let call = rest.split(';').next().unwrap_or_default();
            named.extend(
                call.split_once(".name(")
                    .and_then(|(_, name)| quoted(name.split(')').next()?))
                    .map(str::to_owned),
            );
        }
    }
    assert!(named.len() > 8, "only these threads were found: {named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !table.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name the threads {missing:?}");
    assert!(nameless.is_empty(), "threads without a name are started in {nameless:?}");
}

/// All files of the repository but those that were built.
fn all_files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ["target", "vendor", "node_modules"].contains(&name.as_str()) || name.starts_with('.') {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.push(format!(
                    "/{}",
                    path.strip_prefix(root()).expect("a file of the repository").display()
                ));
            }
        }
    }
    found
}

#[test]
fn the_map_names_only_files_that_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    let files = all_files();
    // Every second piece is between backticks; `NAME` stands for what is to be added.
    let named =
        page.split('`').skip(1).step_by(2).filter(|name| !name.contains(' ') && !name.contains("NAME"));
    let named: BTreeSet<_> =
        named.filter(|name| [".rs", ".js", ".ts", ".md"].iter().any(|end| name.ends_with(end))).collect();
    assert!(named.len() > 50, "only these files are named: {named:?}");
    let missing: Vec<_> =
        named.iter().filter(|name| !files.iter().any(|file| file.ends_with(&format!("/{name}")))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:?}");
}

#[test]
fn a_protocol_is_named_in_its_own_file_and_the_table_of_modules_alone() {
    let elsewhere: Vec<_> = files()
        .into_iter()
        .filter(|path| {
            !path.ends_with("senary-modules/src/lib.rs") && !path.ends_with("senary-modules/src/x_tcp.rs")
        })
        .filter(|path| fs::read_to_string(path).expect("a source").contains("x_tcp"))
        .collect();
    assert!(elsewhere.is_empty(), "x_tcp is named in {elsewhere:?}");
}

/// A source that no other one declares is not compiled, so nothing would say that it was forgotten.
#[test]
fn every_source_is_part_of_its_crate() {
    let mut undeclared = Vec::new();
    for (name, modules, _) in crates() {
        for (module, file) in &modules {
            let Some((last, above)) = module.split_last() else { continue };
            if [Path::new("lib.rs"), Path::new("main.rs")].contains(&file.as_path()) {
                continue;
            }
            let folder = root().join("crates").join(&name).join("src");
            let declares = |file: &Path| {
                let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
                text.lines().any(|line| line.trim_end().ends_with(&format!("mod {last};")))
            };
            // The module above, or for the first floor the crate's library or its program.
            let is_declared = match modules.get(above).filter(|_| !above.is_empty()) {
                Some(parent) => declares(parent),
                None => declares(Path::new("lib.rs")) || declares(Path::new("main.rs")),
            };
            if !is_declared {
                undeclared.push(format!("{name}/{}", file.display()));
            }
        }
    }
    assert!(undeclared.is_empty(), "these files are not compiled: {undeclared:?}");
}

/// Modules of a crate, from its root, each with its file below `src`.
type Modules = BTreeMap<Vec<String>, PathBuf>;

/// The crates of the workspace, and the sources of each without unit tests and comments.
fn crates() -> Vec<(String, Modules, BTreeMap<PathBuf, String>)> {
    let mut by_crate: BTreeMap<String, (Modules, BTreeMap<PathBuf, String>)> = BTreeMap::new();
    for (path, text) in sources() {
        let inside = path.strip_prefix(root().join("crates")).expect("a source of a crate").to_owned();
        let mut names = inside.iter().map(|name| name.to_str().expect("plain names"));
        let name = names.next().expect("a crate");
        if names.next() != Some("src") {
            continue;
        }
        let file: PathBuf = names.collect();
        let mut module: Vec<String> = file
            .with_extension("")
            .iter()
            .map(|name| name.to_str().expect("there is a first part").to_owned())
            .collect();
        module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        let (modules, texts) = by_crate.entry(name.to_owned()).or_default();
        let code = text
            .lines()
            .map(|line| line.split("//").next().expect("there is a first part"))
            .collect::<Vec<_>>()
            .join("\n");
        modules.insert(module, file.clone());
        texts.insert(file, code);
    }
    by_crate.into_iter().map(|(name, (modules, texts))| (name, modules, texts)).collect()
}

/// The paths that `a::{b, c::{d, e}}` stands for.
fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        return paths
            .push(format!("{before}{}", tree.split(" as ").next().expect("there is a first part").trim()));
    };
    let (mut depth, mut part) = (0, String::new());
    for c in rest.rsplit_once('}').map_or(rest, |(body, _)| body).chars() {
        match c {
            ',' if depth == 0 => {
                expand(&format!("{before}{}", head.trim()), &std::mem::take(&mut part), paths)
            }
            _ => part.push(c),
        }
        depth += i32::from(c == '{') - i32::from(c == '}');
    }
    if !part.trim().is_empty() {
        expand(&format!("{before}{}", head.trim()), &part, paths);
    }
}

/// What a source names of its own crate: in declarations, and in the middle of its code.
fn named_paths(text: &str) -> Vec<String> {
    let (mut paths, mut rest) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let declared = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let Some(tree) = declared.strip_prefix("use ") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().expect("the end of a declaration"));
        }
        expand("", tree.split(';').next().expect("there is a first part"), &mut paths);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = rest.split(|c| !is_part(c));
    paths.extend(words.filter(|word| word.contains("::")).map(|word| word.trim_matches(':').to_owned()));
    paths
}

/// The module that a path leads to, seen from another one.
fn resolved(here: &[String], path: &str, modules: &Modules) -> Option<Vec<String>> {
    let mut names = path.split("::").map(str::trim).peekable();
    let mut base = here.to_vec();
    match names.peek().copied()? {
        "crate" => {
            names.next();
            base.clear();
        }
        "super" | "self" => {
            while let Some(name) = names.next_if(|name| ["super", "self"].contains(name)) {
                base.pop_if(|_| name == "super");
            }
        }
        child if modules.contains_key(&[here, &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    base.extend(names.map(str::to_owned));
    while !base.is_empty() && !modules.contains_key(&base) {
        base.pop();
    }
    (!base.is_empty() && base != here).then_some(base)
}

/// A room is a folder, or a file of a crate's own floor.
fn room(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(file)
}

/// Files that a file imports, and what those import.
fn reached<'e>(from: &'e PathBuf, edges: &'e BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> BTreeSet<&'e PathBuf> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(edges[file].iter().filter(|file| seen.insert(*file)));
    }
    seen
}

#[test]
fn no_imports_run_in_a_circle_from_room_to_room() {
    let (mut circles, mut imports) = (Vec::new(), 0);
    for (name, modules, texts) in crates() {
        let named = |module: &Vec<String>, file: &PathBuf| -> BTreeSet<PathBuf> {
            let paths = named_paths(&texts[file]);
            paths
                .iter()
                .filter_map(|path| Some(modules[&resolved(module, path, &modules)?].clone()))
                .collect()
        };
        let edges: BTreeMap<_, _> =
            modules.iter().map(|(module, file)| (file.clone(), named(module, file))).collect();
        imports += edges.values().map(BTreeSet::len).sum::<usize>();
        let all: BTreeMap<_, _> = edges.keys().map(|file| (file, reached(file, &edges))).collect();
        for (file, reached) in &all {
            let circle: BTreeSet<_> = reached.iter().filter(|other| all[**other].contains(file)).collect();
            let rooms: BTreeSet<_> = circle.iter().map(|file| room(file)).collect();
            if rooms.len() > 1 {
                let member = |file: &&&PathBuf| format!("{name}/{}", file.display());
                circles.push((member(&file), circle.iter().map(member).collect::<Vec<_>>()));
            }
        }
    }
    assert!(imports > 500, "only {imports} imports were found");
    assert!(circles.is_empty(), "these files import each other in a circle between rooms: {circles:#?}");
}

/// Lines of a function, and of a file with its unit tests.
/// The lint can be relaxed anywhere, so this finds who has done so.
#[test]
fn unsafe_code_stands_where_the_page_about_it_says() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("the page");
    let (_, section) = page.split_once("\n## Unsafe code\n").expect("a section about it");
    let section = section.split("\n## ").next().expect("a first part");
    let table =
        section.lines().filter(|line| line.starts_with("| `")).filter_map(|row| row.split('|').nth(1));
    let named: BTreeSet<_> =
        table.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let relaxes = |text: &str| text.contains("allow(unsafe_code)") || text.contains("expect(unsafe_code");
    let relaxing = sources().into_iter().filter(|(_, text)| relaxes(text)).map(|(path, _)| path);
    let relaxing: Vec<_> = relaxing
        .map(|path| path.strip_prefix(root().join("crates")).expect("a source").display().to_string())
        .filter(|path| path != "senary-js/src/lib.rs")
        .collect();
    let of_modules = relaxing.iter().filter_map(|path| path.strip_prefix("senary-modules/src/"));
    assert_eq!(of_modules.clone().count(), relaxing.len(), "another crate uses unsafe code: {relaxing:?}");
    assert_eq!(of_modules.map(str::to_owned).collect::<BTreeSet<_>>(), named, "docs/reliability.md");
    let words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let said = format!("{} files of", words[relaxing.len()]);
    for page in ["docs/reliability.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Cargo.toml"] {
        let text = fs::read_to_string(root().join(page)).expect("a page");
        assert!(text.contains(&said), "{page} does not say {said:?}");
    }
}

const MAX_FUNCTION: usize = 60;
const MAX_FILE: usize = 500;
/// Tables are as long as what stands in them.
const TABLES: &[&str] = &["senary-modules/src/html/element.rs: prototype"];

/// The functions of a source with their lengths in lines.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_word = |word: &str| {
        ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""].contains(&word)
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, name)) = line.split_once("fn ") else { continue };
        let name = name.split(['(', '<']).next().expect("there is a first part");
        // The end of its head says whether there is a body.
        let head = lines[at..].iter().position(|line| line.ends_with(['{', ';', '}']));
        if !before.split_whitespace().all(is_word) || head.is_none_or(|head| !lines[at + head].ends_with('{'))
        {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        found.extend(lines[at..].iter().position(|line| *line == end).map(|length| (name, length + 1)));
    }
    found
}

#[test]
fn no_function_is_too_long() {
    let mut too_long = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let path = path.strip_prefix(root().join("crates")).unwrap().display().to_string();
        for (name, length) in functions(&text) {
            seen += 1;
            if length > MAX_FUNCTION {
                too_long.push((format!("{path}: {name}"), length));
            }
        }
    }
    assert!(seen > 1000, "only {seen} functions were found");
    let new: Vec<_> = too_long.iter().filter(|(what, _)| !TABLES.contains(&what.as_str())).collect();
    assert!(new.is_empty(), "functions longer than {MAX_FUNCTION} lines: {new:#?}");
    for known in TABLES {
        let is_too_long = too_long.iter().any(|(what, _)| what == known);
        assert!(is_too_long, "{known} is not too long any more: strike it from the list");
    }
}

#[test]
fn no_file_is_too_long() {
    let files = files().into_iter().filter(|path| path.iter().any(|part| part == "src"));
    let lengths: Vec<_> = files
        .map(|path| {
            (path.display().to_string(), fs::read_to_string(&path).expect("a source").lines().count())
        })
        .collect();
    let too_long: Vec<_> = lengths.iter().filter(|(_, length)| *length > MAX_FILE).collect();
    assert!(too_long.is_empty(), "files longer than {MAX_FILE} lines, with their unit tests: {too_long:#?}");
}
