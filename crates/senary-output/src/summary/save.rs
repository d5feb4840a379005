//! Writing what `handleSummary()` returned: to standard output, standard error, and files.

use std::io::{self, Write};

use crate::writable::Writable;

/// What could not be written; everything else was. The text is the reference's.
#[derive(Debug, thiserror::Error)]
#[error("Could not save some summary information:{}", .0.iter().map(|e| format!("\n\t- {e}")).collect::<String>())]
pub struct SaveError(pub Vec<String>);

/// Writes each content to its target: `stdout`, `stderr`, or else a file of that path, which is replaced. If one fails,
/// the others are still written.
pub fn save(
    contents: &[(String, Vec<u8>)],
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), SaveError> {
    let mut failures = Vec::new();
    for (target, bytes) in contents {
        let failed = |doing: &str, error: io::Error| {
            format!("could not {doing} '{target}': {}", crate::outputs::file::describe(target, &error))
        };
        let written = match &**target {
            "stdout" => print(stdout, bytes),
            "stderr" => print(stderr, bytes),
            path => match Writable::create(path) {
                Ok(mut file) => file.write_all(bytes),
                Err(error) => {
                    failures.push(failed("open", error));
                    continue;
                }
            },
        };
        if let Err(error) = written {
            failures.push(failed("write to", error));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(SaveError(failures)) }
}

fn print(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_failure_does_not_keep_the_others_from_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("a"), "something longer that was there before").unwrap();
        let contents = [
            ("stdout".to_owned(), b"out".to_vec()),
            (path("no/such/b"), b"b".to_vec()),
            (path("a"), vec![0, 255]),
            ("stderr".to_owned(), b"err".to_vec()),
        ];
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let error = save(&contents, &mut stdout, &mut stderr).unwrap_err();
        let missing = path("no/such/b");
        assert_eq!(
            error.to_string(),
            format!(
                "Could not save some summary information:\n\t- could not open '{missing}': open {missing}: no such file or directory"
            )
        );
        assert_eq!((&*stdout, &*stderr), (&b"out"[..], &b"err"[..]));
        assert_eq!(fs::read(path("a")).unwrap(), [0, 255]);
    }
}
