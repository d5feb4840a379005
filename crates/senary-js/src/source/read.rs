//! Reading sources and other files: from disk, over the network, from standard input.

use std::path::Path;

use senary_web::Client;
use senary_words::percent;
use tokio_util::sync::CancellationToken;

use super::syntax::SyntaxError;
use super::{SourceError, input, remote, specifier, syntax};

/// Where a script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptSource {
    /// `file:///abs/path`, `https://...`, or `file:///dir/-` for standard input.
    pub url: String,
    pub text: String,
}

impl ScriptSource {
    /// Reads a script from a path or a URL, or from standard input for `-`.
    pub fn read(path: &str, cwd: &Path, web: &Client) -> Result<Self, SourceError> {
        let (url, bytes) = read_file(path, cwd, web)?;
        Self::new(url, &bytes)
    }

    /// A script of the bytes it is stored as.
    pub fn new(url: String, bytes: &[u8]) -> Result<Self, SourceError> {
        let text = text_of(&url, bytes)?.to_owned();
        Ok(Self { url, text })
    }
}

/// The URL of a file.
pub fn file_url(path: &Path) -> String {
    specifier::url_of(path)
}

/// What is at a path or a URL, or comes from standard input for `-`, and its URL.
pub fn read_file(path: &str, cwd: &Path, web: &Client) -> Result<(String, Vec<u8>), SourceError> {
    let not_found = |reason: std::io::Error| SourceError::unread(path, &reason);
    if path == "-" {
        Ok((specifier::url_of(&cwd.join("-")), input::read_stdin().map_err(not_found)?))
    } else if specifier::is_remote(path) {
        let url = percent::cleaned(path);
        let bytes = fetch(web, &url, path, &CancellationToken::new())?;
        Ok((url, bytes))
    } else if let Some((scheme, _)) = path.split_once("://").filter(|(scheme, _)| *scheme != "file") {
        Err(SourceError::Scheme(scheme.to_owned()))
    } else {
        let file = specifier::normalize(&cwd.join(specifier::named_path(path)));
        Ok((specifier::url_of(&file), input::read(&file).map_err(not_found)?))
    }
}

/// The text of a file other than a script: like [`std::fs::read_to_string`], but an error names the place of the first
/// character that is not UTF-8.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    let bytes = input::read(path)?;
    match utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(SyntaxError { line, column, message }) => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("line {line}:{column} {message}"),
        )),
    }
}

/// Text that must be UTF-8. Otherwise a script would silently send replacement characters.
pub(super) fn text_of<'b>(url: &str, bytes: &'b [u8]) -> Result<&'b str, SourceError> {
    utf8(bytes).map_err(|error| {
        let SyntaxError { line, column, message } = error;
        SourceError::Syntax { file: url.to_owned(), line, column, message }
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, SyntaxError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let (line, column) = syntax::place(&before, before.len());
        let message = "Invalid UTF-8 character (save the file as UTF-8)".to_owned();
        SyntaxError { line, column, message }
    })
}

pub(super) fn fetch(
    web: &Client,
    url: &str,
    specifier: &str,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, SourceError> {
    remote::fetch(web, url, cancel).map_err(|error| SourceError::Remote {
        specifier: specifier.to_owned(),
        url: url.to_owned(),
        reason: error.to_string(),
    })
}

/// What bundlers and Node.js find by a name without its extension, or by that of a folder.
pub(super) fn meant_instead(path: &Path, specifier: &str) -> String {
    let endings = [".js", ".ts", ".mjs", ".cjs", "/index.js", "/index.ts"];
    let exists = |ending: &&str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        Path::new(&name).is_file()
    };
    match endings.into_iter().find(exists) {
        Some(ending) => {
            let name = specifier.trim_end_matches('/');
            format!(
                ", but {:?} is there: names are taken as they are, with their extension",
                format!("{name}{ending}")
            )
        }
        None => String::new(),
    }
}
