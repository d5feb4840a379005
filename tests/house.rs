//! What ARCHITECTURE.md says of the house, compared with the house.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The product's sources, without unit tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_test = ["senary-testkit", "tests", "testing.rs"].iter().any(|test| path.ends_with(test));
            if is_test {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                found.push((path, product));
            }
        }
    }
    assert!(found.len() > 100, "only {} sources were found", found.len());
    found
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
