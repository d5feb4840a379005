//! Script sources: what a specifier names, where its text comes from, and how it becomes a module.
//!
//! A [`ModuleStore`] is shared by all VUs of a test. The first VU loads from disk; afterwards the store is locked
//! and serves what it has. Rules and texts follow the reference
//! (<https://grafana.com/docs/k6/latest/using-k6/modules/>).

pub mod files;
pub mod loader;
pub mod specifier;
pub mod stack;
pub mod syntax;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use syntax::Prepared;

/// Where a script comes from.
#[derive(Clone, Debug)]
pub struct ScriptSource {
    /// `file:///abs/path`, or `file:///dir/-` for standard input.
    pub url: String,
    pub text: String,
}

/// Why a source cannot be had or used. The texts are the reference's where people match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be found on local disk. Make sure that you've specified the right path to the file: {reason}"
    )]
    NotFound { specifier: String, reason: String },
    #[error("The moduleSpecifier {0:?} couldn't be recognised as something k6 supports.")]
    Unrecognised(String),
    #[error("only supported schemes for imports are file and https, URL has `{0}`")]
    Scheme(String),
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be retrieved from the resolved url {url:?}. Error : \"Senary does not fetch modules over the network; download the file and import it by its path\""
    )]
    Remote { specifier: String, url: String },
    #[error(
        "unknown modules [{0:?}] were tried to be loaded, but couldn't - this likely means automatic extension resolution is required or a custom k6 binary with the required extensions"
    )]
    UnknownModule(String),
    #[error("the module {0:?} was not previously resolved during initialization (__VU==0)")]
    NotPreloaded(String),
    #[error(
        "open() can't be used with files that weren't previously opened during initialization (__VU==0), path: {0:?}"
    )]
    NotOpened(String),
    #[error("open() can't be used with an empty filename")]
    EmptyPath,
    #[error("SyntaxError: {file}: Line {line}:{column} {message}")]
    Syntax { file: String, line: usize, column: usize, message: String },
}

/// A module's text, prepared for the engine.
#[derive(Debug)]
pub struct ModuleSource {
    pub url: String,
    pub prepared: Prepared,
}

/// The sources and files of one test.
#[derive(Debug)]
pub struct ModuleStore {
    pub entry: ScriptSource,
    modules: Mutex<HashMap<String, Arc<ModuleSource>>>,
    files: Mutex<HashMap<PathBuf, Arc<[u8]>>>,
    locked: AtomicBool,
}

impl ScriptSource {
    /// Reads a script from a path, or from standard input for `-`.
    pub fn read(path: &str, cwd: &Path) -> Result<Self, SourceError> {
        let not_found = |reason: std::io::Error| SourceError::NotFound {
            specifier: path.to_owned(),
            reason: reason.to_string(),
        };
        let (file, bytes) = if path == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map_err(not_found)?;
            (cwd.join("-"), bytes)
        } else if path.contains("://") && !path.starts_with("file://") {
            return Err(SourceError::Remote { specifier: path.to_owned(), url: path.to_owned() });
        } else {
            let file = specifier::normalize(&cwd.join(path.strip_prefix("file://").unwrap_or(path)));
            let bytes = std::fs::read(&file).map_err(not_found)?;
            (file, bytes)
        };
        Ok(Self { url: specifier::url_of(&file), text: String::from_utf8_lossy(&bytes).into_owned() })
    }
}

impl ModuleStore {
    pub fn new(entry: ScriptSource) -> Arc<Self> {
        Arc::new(Self {
            entry,
            modules: Mutex::default(),
            files: Mutex::default(),
            locked: AtomicBool::new(false),
        })
    }

    /// From now on only what was loaded before can be had.
    pub fn lock(&self) {
        self.locked.store(true, Ordering::Release);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Acquire)
    }

    /// The prepared module behind a URL.
    pub(crate) fn module(&self, url: &str) -> Result<Arc<ModuleSource>, SourceError> {
        if let Some(module) = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(module.clone());
        }
        if self.is_locked() {
            return Err(SourceError::NotPreloaded(url.to_owned()));
        }
        let text = if url == self.entry.url {
            self.entry.text.clone()
        } else {
            let path = specifier::path_of(url);
            let bytes = self.read(&path).map_err(|reason| SourceError::NotFound {
                specifier: path.display().to_string(),
                reason: reason.to_string(),
            })?;
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let prepared = self.prepare(url, &text)?;
        let module = Arc::new(ModuleSource { url: url.to_owned(), prepared });
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.insert(url.to_owned(), module.clone());
        Ok(module)
    }

    /// A file's bytes; kept, so that every VU sees the same.
    pub(crate) fn read(&self, path: &Path) -> std::io::Result<Arc<[u8]>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = files.get(path) {
            return Ok(bytes.clone());
        }
        let bytes: Arc<[u8]> = std::fs::read(path)?.into();
        files.insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }

    pub(crate) fn is_known_file(&self, path: &Path) -> bool {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }

    /// JavaScript first; TypeScript only where the reference tries it, a `.ts` file or standard input.
    fn prepare(&self, url: &str, text: &str) -> Result<Prepared, SourceError> {
        let may_be_typescript = url.ends_with(".ts") || url.ends_with("/-");
        let error = match syntax::prepare(text, false) {
            Ok(prepared) => return Ok(prepared),
            Err(error) if !may_be_typescript => error,
            Err(_) => match syntax::prepare(text, true) {
                Ok(prepared) => return Ok(prepared),
                Err(error) => error,
            },
        };
        let (line, column) = (error.line, error.column);
        Err(SourceError::Syntax { file: url.to_owned(), line, column, message: error.message })
    }
}
