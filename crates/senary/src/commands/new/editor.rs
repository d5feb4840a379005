//! What an editor needs to complete and check scripts: the declarations of `api/`, and a configuration that includes
//! them. `senary new` puts both beside the script.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the declarations, beside the script.
const FOLDER: &str = ".senary/types";

/// The configuration for scripts in JavaScript; one for TypeScript in its place does as well.
const CONFIG: &str = "jsconfig.json";
const TYPESCRIPT_CONFIG: &str = "tsconfig.json";

const CONFIG_TEXT: &str = include_str!("templates/jsconfig.json");

/// The declarations by name.
const DECLARATIONS: &[(&str, &str)] = &[
    ("globals.d.ts", include_str!("../../../../../api/globals.d.ts")),
    ("index.d.ts", include_str!("../../../../../api/index.d.ts")),
    ("k6-crypto.d.ts", include_str!("../../../../../api/k6-crypto.d.ts")),
    ("k6-data.d.ts", include_str!("../../../../../api/k6-data.d.ts")),
    ("k6-encoding.d.ts", include_str!("../../../../../api/k6-encoding.d.ts")),
    ("k6-execution.d.ts", include_str!("../../../../../api/k6-execution.d.ts")),
    ("k6-experimental.d.ts", include_str!("../../../../../api/k6-experimental.d.ts")),
    ("k6-html.d.ts", include_str!("../../../../../api/k6-html.d.ts")),
    ("k6-http.d.ts", include_str!("../../../../../api/k6-http.d.ts")),
    ("k6-metrics.d.ts", include_str!("../../../../../api/k6-metrics.d.ts")),
    ("k6-options.d.ts", include_str!("../../../../../api/k6-options.d.ts")),
    ("k6-secrets.d.ts", include_str!("../../../../../api/k6-secrets.d.ts")),
    ("k6-timers.d.ts", include_str!("../../../../../api/k6-timers.d.ts")),
    ("k6-websockets.d.ts", include_str!("../../../../../api/k6-websockets.d.ts")),
    ("k6-ws.d.ts", include_str!("../../../../../api/k6-ws.d.ts")),
    ("k6-x-tcp.d.ts", include_str!("../../../../../api/k6-x-tcp.d.ts")),
    ("k6.d.ts", include_str!("../../../../../api/k6.d.ts")),
    ("senary-tcp.d.ts", include_str!("../../../../../api/senary-tcp.d.ts")),
];

/// Writes the files that do not exist yet. Existing files may have been edited, and stay. Returns what was written.
pub fn set_up(folder: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let types = folder.join(FOLDER);
    fs::create_dir_all(&types).map_err(|error| (types.clone(), error))?;
    let declarations = DECLARATIONS.iter().map(|(name, text)| (types.join(name), *text));
    let mut written: Vec<_> =
        declarations.map(|(path, text)| write_new(path, text)).collect::<Result<Vec<_>, _>>()?;
    if !folder.join(TYPESCRIPT_CONFIG).exists() {
        written.push(write_new(folder.join(CONFIG), CONFIG_TEXT)?);
    }
    Ok(written.into_iter().flatten().collect())
}

/// The path, if there was no such file.
fn write_new(path: PathBuf, text: &str) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    if path.exists() {
        return Ok(None);
    }
    match fs::write(&path, text) {
        Ok(()) => Ok(Some(path)),
        Err(error) => Err((path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join(CONFIG);
        fs::write(&config, "mine").unwrap();
        assert_eq!(set_up(folder.path()).unwrap().len(), DECLARATIONS.len());
        assert_eq!(fs::read_to_string(&config).unwrap(), "mine");
        assert_eq!(set_up(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_typescript_project_gets_no_other_configuration() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TYPESCRIPT_CONFIG), "{}").unwrap();
        set_up(folder.path()).unwrap();
        assert!(!folder.path().join(CONFIG).exists());
        assert!(folder.path().join(FOLDER).join("k6-x-tcp.d.ts").exists());
    }

    #[test]
    fn every_declaration_is_included() {
        let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api");
        let mut names: Vec<_> = fs::read_dir(api)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, DECLARATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
