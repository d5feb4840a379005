//! Experimental features: what `--features` may name, and `senary features`, which lists them.

use serde::Serialize;

/// A feature that is off unless it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    #[serde(rename = "feature")]
    pub name: &'static str,
    pub lifecycle: &'static str,
    pub description: &'static str,
}

pub const FREEZE_ENV: Feature = experimental("freeze-env", "Scripts cannot write to __ENV");
pub const MERGE_RUN_TAGS: Feature = experimental(
    "merge-run-tags",
    "Tags of the script, the environment and the command line are merged by name",
);
pub const NATIVE_HISTOGRAMS: Feature =
    experimental("native-histograms", "Trends are native histograms in Prometheus");

/// All of them, by name.
pub const FEATURES: [Feature; 3] = [FREEZE_ENV, MERGE_RUN_TAGS, NATIVE_HISTOGRAMS];

const fn experimental(name: &'static str, description: &'static str) -> Feature {
    Feature { name, lifecycle: "experimental", description }
}

/// The list, as a table or as JSON.
pub fn list(as_json: bool) -> String {
    if as_json {
        // Text alone cannot fail to be written.
        return serde_json::to_string_pretty(&FEATURES).unwrap_or_default() + "\n";
    }
    let heading = Feature { name: "FEATURE", lifecycle: "LIFECYCLE", description: "DESCRIPTION" };
    let rows = || [heading].into_iter().chain(FEATURES);
    let width = |of: fn(&Feature) -> usize| rows().map(|feature| of(&feature)).max().unwrap_or_default() + 3;
    let (name, lifecycle) = (width(|f| f.name.len()), width(|f| f.lifecycle.len()));
    rows().map(|f| format!("{:name$}{:lifecycle$}{}\n", f.name, f.lifecycle, f.description)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let table = list(false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "FEATURE             LIFECYCLE      DESCRIPTION");
        assert!(lines[1].starts_with("freeze-env          experimental   Scripts"), "{table}");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn the_list_as_json() {
        let list: serde_json::Value = serde_json::from_str(&list(true)).unwrap();
        assert_eq!(list[1]["feature"], "merge-run-tags");
        assert_eq!(list[1]["lifecycle"], "experimental");
        assert!(list[1]["description"].is_string());
    }
}
