//! Module specifiers: pure text in, what they name out.

use std::path::{Component, Path, PathBuf};

use super::SourceError;

/// What a specifier names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Specifier {
    /// `k6`, `k6/...`: part of Senary.
    Native(String),
    /// The URL of a file.
    File(String),
}

/// Resolves a specifier written in the module `base` (a URL).
pub fn resolve(base: &str, specifier: &str) -> Result<Specifier, SourceError> {
    if specifier == "k6" || specifier.starts_with("k6/") {
        return Ok(Specifier::Native(specifier.to_owned()));
    }
    if let Some(path) = specifier.strip_prefix("file://") {
        return Ok(Specifier::File(url_of(&normalize(Path::new(path)))));
    }
    if specifier.starts_with('/') || specifier.starts_with("./") || specifier.starts_with("../") {
        let base = path_of(base);
        let directory = base.parent().unwrap_or(Path::new("/"));
        return Ok(Specifier::File(url_of(&normalize(&directory.join(specifier)))));
    }
    if let Some((scheme, _)) = specifier.split_once("://") {
        return Err(if scheme == "https" {
            SourceError::Remote { specifier: specifier.to_owned(), url: specifier.to_owned() }
        } else {
            SourceError::Scheme(scheme.to_owned())
        });
    }
    Err(SourceError::Unrecognised(specifier.to_owned()))
}

/// Removes `.` and `..` by text alone: links are not followed.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

pub fn url_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

pub fn path_of(url: &str) -> PathBuf {
    PathBuf::from(url.strip_prefix("file://").unwrap_or(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn specifiers() {
        let file = |text: &str| Ok(Specifier::File(text.to_owned()));
        assert_eq!(resolve("file:///a/b/s.js", "./x.js"), file("file:///a/b/x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "../x.js"), file("file:///a/x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "/x.js"), file("file:///x.js"));
        assert_eq!(resolve("file:///s.js", "k6/x/tcp"), Ok(Specifier::Native("k6/x/tcp".into())));
        assert!(matches!(resolve("file:///s.js", "lodash"), Err(SourceError::Unrecognised(_))));
        assert!(matches!(resolve("file:///s.js", "http://x/y"), Err(SourceError::Scheme(_))));
        assert!(matches!(resolve("file:///s.js", "https://x/y"), Err(SourceError::Remote { .. })));
    }

    proptest! {
        #[test]
        fn any_specifier_is_answered(base in ".{0,20}", specifier in ".{0,30}") {
            let _ = resolve(&base, &specifier);
        }
    }
}
