//! Whether the variables that name trusted certificates name any: a typo in one would make every TLS handshake fail,
//! and no message of a handshake would mention the variable.

use std::path::{Path, PathBuf};

use senary_js::source::input;
use senary_net::tls;
use senary_words::io_text;

use crate::environment::Environment;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// How a certificate begins in a PEM file.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Warns of each variable that adds no certificate.
pub fn warn_of_nothing_trusted(env: &Environment) {
    for problem in problems(env) {
        log::warn!("{problem}: TLS connections trust no certificate of it");
    }
}

fn problems(env: &Environment) -> Vec<String> {
    let mut problems = Vec::new();
    match env.raw(FILE) {
        None => {}
        Some("") => problems.push(format!("the environment variable {FILE} is empty")),
        Some(path) => problems.extend(file_problem(Path::new(path))),
    }
    let folders = env.raw(FOLDERS).map(|folders| std::env::split_paths(folders).collect::<Vec<_>>());
    problems.extend(folders.iter().flatten().filter_map(folder_problem));
    problems
}

fn file_problem(path: &Path) -> Option<String> {
    let shown = path.display();
    match input::read(path) {
        Err(error) => Some(format!("{FILE} names {shown:?}, which cannot be read ({})", io_text(&error))),
        Ok(bytes) if !bytes.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE) => {
            Some(format!("{FILE} names {shown:?}, which has no certificate in it"))
        }
        Ok(bytes) => {
            // A FIFO, as a shell makes them of `<(command)`, says this once.
            if !path.is_file() {
                tls::trust(bytes);
            }
            None
        }
    }
}

fn folder_problem(path: &PathBuf) -> Option<String> {
    let error = std::fs::read_dir(path).err()?;
    Some(format!("{FOLDERS} names {:?}, which cannot be read ({})", path.display(), io_text(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_name_nothing_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("empty.pem"), "").unwrap();
        std::fs::write(path("ca.pem"), "text\n-----BEGIN CERTIFICATE-----\nMII\n").unwrap();
        let found = |name: &str, value: &str| problems(&[(name, value)].into_iter().collect());
        assert_eq!(problems(&Environment::default()), [""; 0]);
        assert_eq!(found(FILE, &path("ca.pem")), [""; 0]);
        assert_eq!(found(FOLDERS, &folder.path().display().to_string()), [""; 0]);
        for (name, value, expected) in [
            (FILE, String::new(), "is empty"),
            (FILE, path("typo.pem"), "no such file or directory"),
            (FILE, path("empty.pem"), "no certificate in it"),
            (FOLDERS, path("typo"), "no such file or directory"),
        ] {
            let problems = found(name, &value);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{name}={value}: {problems:?}");
        }
    }
}
