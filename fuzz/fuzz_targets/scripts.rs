//! Scripts, as JavaScript and as TypeScript: read, translated, searched for imports and source maps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_js::source::{source_map, specifier, stack, syntax};

fuzz_target!(|code: &str| {
    for typescript in [false, true] {
        let Ok(parsed) = syntax::parse(code, typescript) else { continue };
        for import in &parsed.imports {
            for base in ["file:///dir/script.js", "https://host/dir/script.js"] {
                let _ = specifier::resolve(base, &import.specifier);
            }
            for (range, _) in &import.namespaces {
                assert!(parsed.code.get(range.clone()).is_some());
            }
        }
        if let Some(map) = &parsed.map {
            for (at, line) in parsed.code.lines().enumerate() {
                for column in 0..line.len().min(50) {
                    map.original(at as u32 + 1, column as u32);
                }
            }
        }
    }
    source_map::url_in(code).map(source_map::inline);
    stack::render("Error", code);
});
