//! Module specifiers: pure text in, what they name out.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use senary_words::percent;

use super::SourceError;

/// Scheme of modules fetched over the network, the only one.
const HTTPS: &str = "https://";
const FILE: &str = "file://";

/// Hosts that scripts used to name without a scheme, and what to write instead.
const BARE_HOSTS: [(&str, &str); 2] = [
    (
        "cdnjs.com/libraries/",
        "the full address of the library's file, such as https://cdnjs.cloudflare.com/ajax/libs/NAME/VERSION/FILE.js",
    ),
    (
        "github.com/",
        "the address of the raw file, such as https://raw.githubusercontent.com/OWNER/REPOSITORY/REVISION/PATH",
    ),
];

/// What a specifier names. Its URLs are escaped: they have neither blanks nor parentheses that a stack trace could
/// be misread by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Specifier {
    /// `k6`, `k6/...`: part of Senary.
    Native(String),
    /// The URL of a file: `file:///...`.
    File(String),
    /// The URL of a module on a web server: `https://...`.
    Remote(String),
}

impl Specifier {
    /// The URL of a script module; `None` for native ones.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Native(_) => None,
            Self::File(url) | Self::Remote(url) => Some(url),
        }
    }
}

/// Resolves a specifier written in the module `base` (a URL).
pub fn resolve(base: &str, specifier: &str) -> Result<Specifier, SourceError> {
    if specifier.contains('\0') {
        return Err(SourceError::ZeroByte(specifier.to_owned()));
    }
    if is_native(specifier) {
        return Ok(Specifier::Native(specifier.to_owned()));
    }
    if specifier.starts_with(FILE) {
        if is_remote(base) {
            return Err(SourceError::OriginNotAllowed {
                origin: base.to_owned(),
                file: specifier.to_owned(),
            });
        }
        return Ok(Specifier::File(url_of(&normalize(&path_of(specifier)))));
    }
    if specifier.starts_with(HTTPS) {
        return Ok(Specifier::Remote(percent::cleaned(specifier)));
    }
    if specifier.starts_with('/') || specifier.starts_with("./") || specifier.starts_with("../") {
        if is_remote(base) {
            return Ok(Specifier::Remote(join_remote(base, &percent::cleaned(specifier))));
        }
        return Ok(Specifier::File(url_of(&normalize(&directory_of(base).join(path_of(specifier))))));
    }
    if let Some((scheme, _)) = specifier.split_once("://") {
        return Err(SourceError::Scheme(scheme.to_owned()));
    }
    match BARE_HOSTS.iter().find(|(host, _)| specifier.starts_with(host)) {
        Some((_, instead)) => Err(SourceError::BareHost { specifier: specifier.to_owned(), instead }),
        None => Err(SourceError::Unrecognised(specifier.to_owned())),
    }
}

pub fn is_native(specifier: &str) -> bool {
    specifier == "k6" || specifier.starts_with("k6/") || specifier.starts_with("senary/")
}

pub fn is_remote(url: &str) -> bool {
    url.starts_with(HTTPS)
}

/// Whether a name in a stack trace is that of a script rather than of native code.
pub fn is_script(name: &str) -> bool {
    name.starts_with(FILE) || is_remote(name)
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
    format!("{FILE}{}", percent::encoded(path.as_os_str().as_bytes()))
}

/// The path that a URL of a file, or a path in a URL, stands for.
pub fn path_of(url: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(percent::decoded(url.strip_prefix(FILE).unwrap_or(url))))
}

/// What a user or a script calls a file by: a path as it is, or a URL.
pub fn named_path(name: &str) -> PathBuf {
    if name.starts_with(FILE) { path_of(name) } else { PathBuf::from(name) }
}

/// The directory a file's relative specifiers start at.
pub fn directory_of(url: &str) -> PathBuf {
    path_of(url).parent().unwrap_or(Path::new("/")).to_owned()
}

/// A path on the server `base` came from.
fn join_remote(base: &str, specifier: &str) -> String {
    let rest = base.strip_prefix(HTTPS).unwrap_or(base);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let base_path = format!("/{path}");
    let directory = Path::new(&base_path).parent().unwrap_or(Path::new("/"));
    let (specifier, query) = match specifier.find('?') {
        Some(at) => specifier.split_at(at),
        None => (specifier, ""),
    };
    format!("{HTTPS}{host}{}{query}", normalize(&directory.join(specifier)).display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files() {
        let file = |text: &str| Ok(Specifier::File(text.to_owned()));
        assert_eq!(resolve("file:///a/b/s.js", "./x.js"), file("file:///a/b/x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "../x.js"), file("file:///a/x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "../../../x.js"), file("file:///x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "/x.js"), file("file:///x.js"));
        assert_eq!(resolve("file:///a/b/s.js", "file:///c/./x.js"), file("file:///c/x.js"));
        assert_eq!(resolve("file:///a%20b/s.js", "./c%20(1) d.js"), file("file:///a%20b/c%20%281%29%20d.js"));
        assert_eq!(resolve("file:///s.js", "./100%.js"), file("file:///100%25.js"));
        assert_eq!(resolve("file:///s.js", "k6/x/tcp"), Ok(Specifier::Native("k6/x/tcp".into())));
    }

    #[test]
    fn what_is_no_file() {
        assert!(matches!(resolve("file:///s.js", "lodash"), Err(SourceError::Unrecognised(_))));
        assert!(matches!(resolve("file:///s.js", "k6lib"), Err(SourceError::Unrecognised(_))));
        assert!(matches!(resolve("file:///s.js", "http://x/y"), Err(SourceError::Scheme(s)) if s == "http"));
        assert!(matches!(resolve("file:///s.js", "github.com/a/b/c.js"), Err(SourceError::BareHost { .. })));
        assert!(matches!(
            resolve("file:///s.js", "cdnjs.com/libraries/x"),
            Err(SourceError::BareHost { .. })
        ));
    }

    #[test]
    fn modules_of_web_servers() {
        let remote = |text: &str| Ok(Specifier::Remote(text.to_owned()));
        let base = "https://jslib.k6.io/utils/1.4.0/index.js?x=../y";
        assert_eq!(resolve("file:///s.js", "https://h/a.js"), remote("https://h/a.js"));
        assert_eq!(resolve(base, "./b.js"), remote("https://jslib.k6.io/utils/1.4.0/b.js"));
        assert_eq!(resolve(base, "./b c.js"), remote("https://jslib.k6.io/utils/1.4.0/b%20c.js"));
        assert_eq!(resolve(base, "../b.js?v=1"), remote("https://jslib.k6.io/utils/b.js?v=1"));
        assert_eq!(resolve(base, "/b.js"), remote("https://jslib.k6.io/b.js"));
        assert_eq!(resolve("https://host", "./b.js"), remote("https://host/b.js"));
        assert!(matches!(resolve(base, "file:///etc/passwd"), Err(SourceError::OriginNotAllowed { .. })));
    }

    #[test]
    fn names_of_files() {
        assert_eq!(named_path("a%20b.js"), Path::new("a%20b.js"));
        assert_eq!(named_path("file:///a%20b.js"), Path::new("/a b.js"));
        assert_eq!(named_path("file:///100%.js"), Path::new("/100%.js"));
    }

    proptest! {
        #[test]
        fn paths_and_urls_are_one(path in "(/[^/\\x00]{1,8}){1,4}") {
            let url = url_of(Path::new(&path));
            prop_assert!(url.is_ascii() && !url.contains([' ', '(', '\n']), "{url}");
            prop_assert_eq!(path_of(&url), Path::new(&path));
        }

        #[test]
        fn any_specifier_is_answered(base in ".{0,20}", specifier in ".{0,30}") {
            let _ = resolve(&base, &specifier);
        }

        #[test]
        fn modules_of_a_server_stay_there(path in "(/[a-z.]{1,4}){0,4}", specifier in r"\.{0,2}(/[a-z.]{1,4}){1,4}") {
            if let Ok(Specifier::Remote(url)) = resolve(&format!("https://host{path}"), &specifier) {
                prop_assert!(url.starts_with("https://host/"), "{url}");
                prop_assert!(!url.contains("/../"), "{url}");
            }
        }
    }
}
