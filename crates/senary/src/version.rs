//! `senary version`.

use serde_json::json;

/// The version of the reference whose scripts, options and formats these are.
pub const REFERENCE_VERSION: &str = "2.2.0";

/// One line, or a JSON object.
pub fn text(as_json: bool) -> String {
    let (version, os, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    if as_json {
        let object =
            json!({"version": format!("v{version}"), "os": os, "arch": arch, "k6": REFERENCE_VERSION});
        return format!("{object:#}\n");
    }
    format!("senary v{version} (k6 {REFERENCE_VERSION}, {os}/{arch})\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_or_json() {
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        let line = text(false);
        assert!(line.starts_with(&format!("senary {version} (")) && line.ends_with(")\n"), "{line}");
        let object: serde_json::Value = serde_json::from_str(&text(true)).unwrap();
        assert_eq!(object["version"], version);
        assert_eq!(object["os"], std::env::consts::OS);
    }
}
