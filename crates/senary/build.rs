//! How the program is linked, and the files of the page in `web/`, which are in the binary.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// What is part of the page; the folder has tests, and words of its own, too.
const PARTS: [&str; 3] = ["html", "css", "js"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ZIGBUILD_TARGET");
    // Code the compiler knows to be cold (panics, errors) is kept together, instead of between what runs: pages of it
    // are not mapped then. Linkers that do not know the option leave it at that, but zig (packaging/build-binary.sh) ends.
    let is_linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if is_linux && !env::var("RUSTC_LINKER").is_ok_and(|linker| linker.contains("zig")) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    }
    embed_page();
}

fn embed_page() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where this is");
    let web = Path::new(&root).join("../../web");
    println!("cargo::rerun-if-changed={}", web.display());
    let mut names = Vec::new();
    gather(&web, &web, &mut names);
    names.sort();
    let mut table = String::from("const FILES: &[(&str, &str)] = &[\n");
    for name in names {
        let path = web.join(&name);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // What is not ours stays as it is, and so does the frame, whose comments say where data go.
        let is_own = !name.starts_with("vendor/") && !name.ends_with(".html");
        let text = if is_own { slim(&text) } else { text };
        writeln!(table, "    ({name:?}, {text:?}),").expect("writing to a string does not fail");
    }
    table.push_str("];\n");
    let out = env::var("OUT_DIR").expect("cargo says where results go");
    fs::write(Path::new(&out).join("web.rs"), table).expect("results can be written");
}

/// Scripts and styles without indentation and without lines that are only comments. No string of the page spans lines.
fn slim(text: &str) -> String {
    let mut slim = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        if is_comment || line.starts_with("/*") {
            is_comment = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            slim.push_str(line);
            slim.push('\n');
        }
    }
    slim
}

/// The paths of the parts in a folder, and in the folders in it that are no tests.
fn gather(folder: &Path, root: &Path, names: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let is_test = entry.file_name() == "tests" || entry.file_name() == "node_modules";
        if path.is_dir() && !is_test {
            gather(&path, root, names);
        } else if path.extension().is_some_and(|end| PARTS.iter().any(|part| end == *part)) {
            let name = path.strip_prefix(root).expect("it is in there");
            names.push(name.display().to_string().replace('\\', "/"));
        }
    }
}
