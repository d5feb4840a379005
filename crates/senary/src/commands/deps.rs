//! `senary deps`: what a script imports, and whether this program has all of it. No script code runs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use senary_execution::Shutdown;
use senary_js::LifecycleError;
use senary_js::source::{Dependencies, specifier};
use senary_modules::MODULES;
use serde::Serialize;

use crate::cli::DepsArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::script;
use crate::settings::{GlobalSettings, RuntimeSettings};
use crate::version::REFERENCE_VERSION;

/// The reference's name for what is not an extension.
const K6: &str = "k6";

/// Modules of extensions begin so.
const EXTENSION: &str = "k6/x/";

/// The list; names and order of its fields are the reference's.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Extensions, and k6 itself where a script asks for a version, each with its version constraint.
    build_dependencies: BTreeMap<String, String>,
    imports: BTreeSet<String>,
    /// Whether this program lacks an extension, or is not of the version that a script asks for.
    custom_build_required: bool,
    /// Modules of the reference itself that this program does not have; no build of it has them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    unsupported: BTreeSet<String>,
}

/// The list as text or JSON, with its newline.
pub fn run(args: &DepsArgs, global: &GlobalSettings, env: &Environment) -> Result<String, CommandError> {
    let runtime = RuntimeSettings::new(&args.script.runtime, env, false)?;
    let test = script::read(args.script.name(), runtime.source_type.as_deref(), &global.web)?;
    let store = test.into_store(&Shutdown::new());
    let dependencies = store.dependencies().map_err(|error| CommandError::Init {
        script: args.script.name().to_owned(),
        error: LifecycleError::Source { url: store.entry.url.clone(), error },
    })?;
    let report = Report::of(dependencies);
    Ok(if args.json.unwrap_or_default() {
        // Text alone cannot fail to be written.
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        report.text()
    })
}

impl Report {
    fn of(Dependencies { imports, directives }: Dependencies) -> Self {
        let extensions = imports.iter().filter(|name| name.starts_with(EXTENSION));
        let mut build_dependencies: BTreeMap<_, _> =
            extensions.map(|name| (name.clone(), "*".to_owned())).collect();
        let asked_for = directives.iter().filter_map(|directive| constraint(directive));
        build_dependencies.extend(asked_for.map(|(name, range)| (name.to_owned(), range.to_owned())));
        let natives = imports.iter().filter(|name| specifier::is_native(name) && MODULES.get(name).is_none());
        let unsupported = natives.filter(|name| !name.starts_with(EXTENSION)).cloned().collect();
        let mut extensions = build_dependencies.keys().filter(|name| *name != K6);
        let custom_build_required = extensions.any(|name| MODULES.get(name).is_none())
            || build_dependencies.get(K6).is_some_and(|range| !contains(range, REFERENCE_VERSION));
        Self { build_dependencies, imports, custom_build_required, unsupported }
    }

    fn text(&self) -> String {
        let dependency = |(name, range): (&String, &String)| format!("  {name}: {range}\n");
        let dependencies: String = self.build_dependencies.iter().map(dependency).collect();
        let dependencies =
            if dependencies.is_empty() { " (none)\n".to_owned() } else { format!("\n{dependencies}") };
        let imports: String = self.imports.iter().map(|name| format!("  {name}\n")).collect();
        let required = if self.custom_build_required { "yes" } else { "no" };
        let mut text = format!(
            "Build Dependencies:{dependencies}\nImports:\n{imports}\nCustom Build Required: {required}\n"
        );
        if !self.unsupported.is_empty() {
            let names = self.unsupported.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("Not Supported by Senary: {names}\n"));
        }
        text
    }
}

/// What `use k6 >= 1.2` or `use k6 with k6/x/faker >= 0.4` asks for, and which versions of it.
fn constraint(directive: &str) -> Option<(&str, &str)> {
    let rest = directive.trim().strip_prefix("use ")?.trim_start().strip_prefix(K6)?;
    let (name, range) = match rest.trim_start().strip_prefix("with ") {
        Some(extension) => {
            let extension = extension.trim_start();
            let end = extension.find([' ', '<', '>', '=', '^', '~', '!']).unwrap_or(extension.len());
            extension.split_at(end)
        }
        None => (K6, rest),
    };
    let range = range.trim();
    Some((name, if range.is_empty() { "*" } else { range }))
}

/// Whether a constraint allows a version: `>=1.2.0, <3`, `^1.2`, `~1.2`.
fn contains(range: &str, version: &str) -> bool {
    let version = numbers(version);
    range.split(',').map(str::trim).all(|comparison| {
        let text = comparison.trim_start_matches(['<', '>', '=', '!', '^', '~', ' ', 'v']);
        if text.is_empty() || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return true;
        }
        let bound = numbers(text);
        let order = version.cmp(&bound);
        let begins_alike = |parts: usize| order != Ordering::Less && version[..parts] == bound[..parts];
        match comparison[..comparison.len() - text.len()].trim_end_matches(['v', ' ']) {
            ">=" | "=>" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            "<=" | "=<" => order != Ordering::Greater,
            "<" => order == Ordering::Less,
            "!=" => order != Ordering::Equal,
            // The first number that is not 0 stays.
            "^" => begins_alike(bound.iter().position(|number| *number != 0).map_or(3, |at| at + 1)),
            "~" | "~>" => begins_alike(text.split('.').count().min(2)),
            _ => order == Ordering::Equal,
        }
    })
}

/// Major, minor and patch; missing parts are 0.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.trim().parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_ask_for_versions() {
        for (directive, expected) in [
            ("use strict", None),
            ("use k6 >= 1.2.0", Some(("k6", ">= 1.2.0"))),
            ("use k6>1", Some(("k6", ">1"))),
            ("use k6 with k6/x/faker >=0.4", Some(("k6/x/faker", ">=0.4"))),
            ("use k6 with k6/x/faker>0.4", Some(("k6/x/faker", ">0.4"))),
            ("use k6 with k6/x/faker", Some(("k6/x/faker", "*"))),
        ] {
            assert_eq!(constraint(directive), expected, "{directive}");
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (range, expected) in [
            ("*", true),
            (">=1.2.0", true),
            (">1.10, <3", true),
            (">= v2.2.0", true),
            ("=2.2.0", true),
            ("<2.2.0", false),
            (">2.2", false),
            (">=10", false),
            ("1.0.0", false),
            ("!=2.2.0", false),
            ("^2.1", true),
            ("^3", false),
            ("^1.9", false),
            ("~2.2", true),
            ("~2", true),
            ("~2.1", false),
        ] {
            assert_eq!(contains(range, "2.2.0"), expected, "{range}");
        }
    }
}
