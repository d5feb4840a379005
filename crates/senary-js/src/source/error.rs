//! Why a source cannot be had or used.

use senary_words::{io_text, remedy};

/// Why a source cannot be read or used. The texts are the reference's where people match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be found on local disk. Make sure that you've specified the right path to the file. It could not be read: {reason}. If Senary runs in a container, mount the directory of the script and its modules into it (-v /local/path/:/inside/path) and use the path inside, see https://grafana.com/docs/k6/latest/using-k6/modules/#using-local-modules-with-docker."
    )]
    NotFound { specifier: String, reason: String },
    /// The machine has run out of something; nothing may be wrong with the source.
    #[error("{specifier:?} cannot be {doing}: {reason}")]
    System { doing: &'static str, specifier: String, reason: String },
    #[error(
        "The moduleSpecifier {0:?} couldn't be recognised as something k6 supports. A file begins with ./, ../ or /, a module of a web server with https://; a package of npm has to be bundled into a file first."
    )]
    Unrecognised(String),
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be recognised as something k6 supports. It names a web site without a scheme; write {instead}."
    )]
    BareHost { specifier: String, instead: &'static str },
    #[error("only supported schemes for imports are file and https, URL has `{0}`")]
    Scheme(String),
    #[error("origin ({origin}) not allowed to load local file: {file}")]
    OriginNotAllowed { origin: String, file: String },
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be retrieved from the resolved url {url:?}. Error : {reason:?}"
    )]
    Remote { specifier: String, url: String, reason: String },
    #[error("{0}")]
    NoNative(String),
    /// One of the others, and the `import` it comes from.
    #[error("{error} (imported at {at})")]
    Imported { error: Box<SourceError>, at: String },
    #[error("the module {0:?} was not previously resolved during initialization (__VU==0)")]
    NotPreloaded(String),
    #[error(
        "open() can't be used with files that weren't previously opened during initialization (__VU==0), path: {0:?}"
    )]
    NotOpened(String),
    #[error("open() can't be used with an empty filename")]
    EmptyPath,
    #[error("no file and no module has a zero byte (\\0) in its name: {0:?}")]
    ZeroByte(String),
    #[error("SyntaxError: {file}: Line {line}:{column} {message}")]
    Syntax { file: String, line: u32, column: u32, message: String },
}

impl SourceError {
    /// A file that could not be read.
    pub(super) fn unread(specifier: &str, error: &std::io::Error) -> Self {
        let specifier = specifier.to_owned();
        match remedy::remedy(error) {
            Some(remedy) => {
                Self::System { doing: "read", specifier, reason: format!("{}: {remedy}", io_text(error)) }
            }
            None => Self::NotFound { specifier, reason: io_text(error) },
        }
    }
}
