//! Script sources: what a specifier names, where its text comes from, and how it becomes a module.
//!
//! A [`ModuleStore`] is shared by all VUs of a test. The first VU loads; afterwards the store is locked and serves
//! what it has: sources, files that were opened, and the bytecode every module was compiled to. Rules and texts
//! follow the reference (<https://grafana.com/docs/k6/latest/using-k6/modules/>).

mod callee;
mod deep;
pub mod files;
pub mod frames;
pub(crate) mod function_text;
pub mod input;
pub mod loader;
mod namespaces;
mod remote;
pub mod source_map;
pub mod specifier;
pub mod stack;
pub mod syntax;
mod typescript;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use senary_web::Client;
use senary_words::{io_text, percent, remedy};
use tokio_util::sync::CancellationToken;

use self::deep::NoStack;
use self::source_map::SourceMap;
use self::specifier::Specifier;
use self::syntax::{Import, NAMESPACE, Parsed, SyntaxError};
use crate::natives::NativeModules;

/// Where a script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptSource {
    /// `file:///abs/path`, `https://...`, or `file:///dir/-` for standard input.
    pub url: String,
    pub text: String,
}

/// Why a source cannot be had or used. The texts are the reference's where people match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "The moduleSpecifier {specifier:?} couldn't be found on local disk. Make sure that you've specified the right path to the file. It could not be read: {reason}. If Senary runs in a container, mount the directory of the script and its modules into it (-v /local/path/:/inside/path) and use the path inside, see https://grafana.com/docs/k6/latest/using-k6/modules/#using-local-modules-with-docker."
    )]
    NotFound { specifier: String, reason: String },
    /// The machine has run out of something, and the source may be as good as any.
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

/// What a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// URLs of scripts, the entry among them, and names of native modules.
    pub imports: BTreeSet<String>,
    /// What strings at the beginnings of the scripts ask for, `use strict` and the like.
    pub directives: Vec<String>,
}

/// One script module of a test.
#[derive(Debug)]
pub(crate) struct ModuleSource {
    pub url: String,
    pub parsed: Parsed,
    linked: OnceLock<Linked>,
    map: Option<MapSource>,
    /// What the first VU compiled it to.
    pub bytecode: OnceLock<Arc<[u8]>>,
    /// Where its lines start; `None` if it is all ASCII, so that bytes are characters.
    lines: OnceLock<Option<Vec<usize>>>,
}

/// A module after its imports were found: what of them the engine must be told.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// The text to compile, if it differs from the parsed one.
    code: Option<String>,
    requests: HashMap<String, Request>,
}

/// What a specifier means to the engine.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The module's name in the engine: a URL for ES modules, otherwise a [`bridge`](loader) with the names wanted.
    pub engine_name: String,
    /// Whether a bridge must also offer every name its module has.
    pub star: bool,
}

#[derive(Debug)]
struct MapSource {
    json: Arc<[u8]>,
    parsed: OnceLock<Option<SourceMap>>,
}

/// The sources and files of one test.
pub struct ModuleStore {
    pub entry: ScriptSource,
    /// What the entry, and what it imports, may import besides scripts.
    pub(crate) natives: NativeModules,
    modules: Mutex<HashMap<String, Arc<ModuleSource>>>,
    /// Everything that was read, by URL.
    contents: Mutex<BTreeMap<String, Arc<[u8]>>>,
    /// Whether what is not among the contents may be looked for elsewhere.
    closed: bool,
    /// URLs of files that were looked for and not found.
    missing: Mutex<BTreeMap<String, std::io::ErrorKind>>,
    locked: AtomicBool,
    web: Client,
    cancel: CancellationToken,
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

/// What must be UTF-8. Replaced characters would be sent by a script without anybody noticing.
fn text_of<'b>(url: &str, bytes: &'b [u8]) -> Result<&'b str, SourceError> {
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

impl ModuleStore {
    /// Whether a word stands in the script, or in anything it loaded.
    pub fn mentions(&self, word: &str) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut texts = contents.values().map(|text| &**text).chain([self.entry.text.as_bytes()]);
        texts.any(|text| memchr::memmem::find(text, word.as_bytes()).is_some())
    }
}

impl SourceError {
    /// A file that could not be read.
    fn unread(specifier: &str, error: &std::io::Error) -> Self {
        let specifier = specifier.to_owned();
        match remedy::remedy(error) {
            Some(remedy) => {
                Self::System { doing: "read", specifier, reason: format!("{}: {remedy}", io_text(error)) }
            }
            None => Self::NotFound { specifier, reason: io_text(error) },
        }
    }
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

impl ModuleStore {
    /// A store that reads from disk and over the network until it is locked; cancelling ends a download under way.
    pub fn new(
        entry: ScriptSource,
        natives: NativeModules,
        web: Client,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Self::with(entry, natives, BTreeMap::new(), false, web, cancel)
    }

    /// A store of what an archive holds, by URL, and of nothing else.
    pub fn of_archive(
        entry: ScriptSource,
        natives: NativeModules,
        contents: BTreeMap<String, Arc<[u8]>>,
    ) -> Arc<Self> {
        Self::with(entry, natives, contents, true, Client::default(), CancellationToken::new())
    }

    fn with(
        entry: ScriptSource,
        natives: NativeModules,
        contents: BTreeMap<String, Arc<[u8]>>,
        closed: bool,
        web: Client,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            entry,
            natives,
            modules: Mutex::default(),
            contents: Mutex::new(contents),
            closed,
            missing: Mutex::default(),
            locked: AtomicBool::new(false),
            web,
            cancel,
        })
    }

    /// From now on only what was loaded before can be had.
    pub fn lock(&self) {
        self.locked.store(true, Ordering::Release);
    }

    /// Everything that was loaded so far but the entry itself: modules, opened files, source maps, by URL.
    pub fn contents(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.contents_now().clone()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Acquire)
    }

    pub(crate) fn known_module(&self, url: &str) -> Option<Arc<ModuleSource>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    /// The module behind a URL that some module calls `specifier`.
    pub(crate) fn module(&self, url: &str, specifier: &str) -> Result<Arc<ModuleSource>, SourceError> {
        if let Some(module) = self.known_module(url) {
            return Ok(module);
        }
        if self.is_locked() {
            return Err(SourceError::NotPreloaded(specifier.to_owned()));
        }
        let text = if url == self.entry.url { self.entry.text.clone() } else { self.text(url, specifier)? };
        let parsed = parse(url, &text)?;
        let map = if parsed.map.is_none() { self.map_of(url, &parsed.code) } else { None };
        let module = ModuleSource {
            url: url.to_owned(),
            parsed,
            linked: OnceLock::new(),
            map: map.map(|json| MapSource { json, parsed: OnceLock::new() }),
            bytecode: OnceLock::new(),
            lines: OnceLock::new(),
        };
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(modules.entry(url.to_owned()).or_insert(Arc::new(module)).clone())
    }

    /// Finds everything the entry imports, and what that imports.
    pub(crate) fn link_entry(&self) -> Result<(), SourceError> {
        let mut linked = vec![self.entry.url.clone()];
        let mut at = 0;
        while let Some(url) = linked.get(at).cloned() {
            let module = self.module(&url, &url)?;
            for request in self.link(&module)?.requests.values() {
                let is_script = specifier::is_script(&request.engine_name);
                if is_script && !request.is_bridge() && !linked.contains(&request.engine_name) {
                    linked.push(request.engine_name.clone());
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// Finds everything a module imports and checks that it is there. The engine's own words for a name that is
    /// missing would name neither the place nor the specifier.
    pub(crate) fn link<'m>(&self, module: &'m ModuleSource) -> Result<&'m Linked, SourceError> {
        if let Some(linked) = module.linked.get() {
            return Ok(linked);
        }
        let mut linked = Linked::default();
        let mut edits = Vec::new();
        for import in &module.parsed.imports {
            let (target, is_module) = self.target(module, import)?;
            let request = match target.url() {
                Some(url) if is_module => {
                    for place in &import.names {
                        if self.exports(url, &place.name, &mut Vec::new())? == Exported::No {
                            let message = format!(
                                "The requested module {:?} does not provide an export named {:?}",
                                import.specifier, place.name
                            );
                            let (file, line, column) = module.original(place.line, place.column);
                            return Err(SourceError::Syntax { file, line, column, message });
                        }
                    }
                    Request { engine_name: url.to_owned(), star: false }
                }
                _ => {
                    let mut names: Vec<&str> = import.names.iter().map(|place| place.name.as_str()).collect();
                    if !import.namespaces.is_empty() {
                        names.push(NAMESPACE);
                        edits.extend(&import.namespaces);
                    }
                    Request { engine_name: loader::bridge(&target, &names), star: import.star }
                }
            };
            linked.requests.insert(import.specifier.clone(), request);
        }
        if !edits.is_empty() {
            let mut code = module.parsed.code.clone();
            edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
            for (range, text) in edits {
                code.replace_range(range.clone(), text);
            }
            linked.code = Some(code);
        }
        Ok(module.linked.get_or_init(|| linked))
    }

    /// What an import names, and whether that is an ES module.
    fn target(&self, module: &ModuleSource, import: &Import) -> Result<(Specifier, bool), SourceError> {
        let find = || {
            let target = specifier::resolve(&module.url, &import.specifier)?;
            let is_module = match (&target, target.url()) {
                (Specifier::Native(name), _) if self.natives.get(name).is_none() => {
                    return Err(SourceError::NoNative(self.natives.why_missing(name)));
                }
                (_, Some(url)) => self.module(url, &import.specifier)?.parsed.is_module,
                _ => false,
            };
            Ok((target, is_module))
        };
        find().map_err(|error| module.importing(import, error))
    }

    /// What the entry is made of as far as `import` and `export` tell, without running or requiring any of it.
    pub fn dependencies(&self) -> Result<Dependencies, SourceError> {
        let entry = self.entry.url.clone();
        let mut found = Dependencies { imports: BTreeSet::from([entry.clone()]), directives: Vec::new() };
        let mut open = vec![entry];
        while let Some(url) = open.pop() {
            let module = self.module(&url, &url)?;
            found.directives.extend(module.parsed.directives.iter().cloned());
            for import in &module.parsed.imports {
                let find = || {
                    let target = specifier::resolve(&url, &import.specifier)?;
                    if let Some(url) = target.url() {
                        self.module(url, &import.specifier)?;
                    }
                    Ok(target)
                };
                match find().map_err(|error| module.importing(import, error))? {
                    Specifier::Native(name) => {
                        found.imports.insert(name);
                    }
                    Specifier::File(url) | Specifier::Remote(url) => {
                        if found.imports.insert(url.clone()) {
                            open.push(url);
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether importing a module means importing one of `targets`, be it itself.
    pub(crate) fn reaches(&self, url: &str, targets: &[&str]) -> Result<bool, SourceError> {
        let mut seen = vec![url.to_owned()];
        let mut at = 0;
        while let Some(url) = seen.get(at).cloned() {
            if targets.contains(&url.as_str()) {
                return Ok(true);
            }
            let module = self.module(&url, &url)?;
            for import in &module.parsed.imports {
                if let Some(next) = specifier::resolve(&url, &import.specifier)?.url()
                    && !seen.iter().any(|known| known == next)
                {
                    self.module(next, &import.specifier)?;
                    seen.push(next.to_owned());
                }
            }
            at += 1;
        }
        Ok(false)
    }

    /// Where a place in a compiled module comes from, for people to read.
    pub(crate) fn original_place(&self, url: &str, line: u32, column: u32) -> (String, u32, u32) {
        let Some(module) = self.known_module(url) else { return (url.to_owned(), line, column) };
        module.original(line, module.characters(line, module.column_in_text(line, column)))
    }

    /// What a call in a compiled module calls, if that is a name: `socket.conect`.
    pub(crate) fn callee(&self, url: &str, line: u32, column: u32) -> Option<String> {
        let module = self.known_module(url)?;
        let code = module.code();
        let mut breaks = memchr::memchr_iter(b'\n', code.as_bytes());
        let start = match line.checked_sub(2) {
            None => 0,
            Some(before) => breaks.nth(before as usize)? + 1,
        };
        let column = module.column_in_text(line, column).saturating_sub(1);
        callee::at(code, start + column as usize).map(str::to_owned)
    }

    /// A file's bytes; kept, so that every VU sees the same.
    pub(crate) fn read(&self, path: &Path) -> std::io::Result<Arc<[u8]>> {
        let url = specifier::url_of(path);
        if let Some(bytes) = self.contents_now().get(&url) {
            return Ok(bytes.clone());
        }
        if self.closed {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_locked() {
            return Err(missing.get(&url).copied().unwrap_or(std::io::ErrorKind::NotFound).into());
        }
        let bytes = input::read(path).inspect_err(|error| {
            missing.insert(url.clone(), error.kind());
        })?;
        let bytes: Arc<[u8]> = bytes.into();
        Ok(self.contents_now().entry(url).or_insert(bytes).clone())
    }

    /// Whether a file was looked for before the store was locked, found or not.
    pub(crate) fn is_known_file(&self, path: &Path) -> bool {
        let url = specifier::url_of(path);
        self.contents_now().contains_key(&url)
            || self.missing.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&url)
    }

    /// An error at a place of a module as it was compiled.
    pub(crate) fn syntax_error(&self, url: &str, (line, column): (u32, u32), message: String) -> SourceError {
        let (file, line, column) = self.original_place(url, line, column);
        SourceError::Syntax { file, line, column, message }
    }

    fn contents_now(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, url: &str, specifier: &str) -> Result<String, SourceError> {
        if specifier::is_remote(url) {
            let known = self.contents_now().get(url).cloned();
            let bytes = match known {
                Some(bytes) => bytes,
                None if self.closed => {
                    let reason = "the archive does not contain it".to_owned();
                    return Err(SourceError::Remote {
                        specifier: specifier.to_owned(),
                        url: url.to_owned(),
                        reason,
                    });
                }
                None => {
                    let bytes: Arc<[u8]> = fetch(&self.web, url, specifier, &self.cancel)?.into();
                    self.contents_now().insert(url.to_owned(), bytes.clone());
                    bytes
                }
            };
            return text_of(url, &bytes).map(str::to_owned);
        }
        let path = specifier::path_of(url);
        let bytes = self.read(&path).map_err(|reason| match SourceError::unread(specifier, &reason) {
            SourceError::NotFound { specifier, reason } => {
                SourceError::NotFound { reason: reason + &meant_instead(&path, &specifier), specifier }
            }
            error => error,
        })?;
        text_of(url, &bytes).map(str::to_owned)
    }

    /// The source map a script names. That one cannot be had is no reason not to run.
    fn map_of(&self, url: &str, code: &str) -> Option<Arc<[u8]>> {
        let named = source_map::url_in(code)?;
        let warn = |reason: String| log::warn!("Couldn't load source map for {url}: {reason}");
        if let Some(inline) = source_map::inline(named) {
            return inline.map_err(|e| warn(e.to_string())).ok().map(Into::into);
        }
        let relative = if named.contains("://") || named.starts_with('/') {
            named.to_owned()
        } else {
            format!("./{named}")
        };
        match specifier::resolve(url, &relative) {
            Ok(Specifier::File(map)) => {
                self.read(&specifier::path_of(&map)).map_err(|e| warn(io_text(&e))).ok()
            }
            Ok(Specifier::Remote(map)) => {
                if let Some(known) = self.contents_now().get(&map) {
                    return Some(known.clone());
                }
                let bytes: Arc<[u8]> =
                    fetch(&self.web, &map, named, &self.cancel).map_err(|e| warn(e.to_string())).ok()?.into();
                self.contents_now().insert(map, bytes.clone());
                Some(bytes)
            }
            Ok(Specifier::Native(_)) => None,
            Err(error) => {
                warn(error.to_string());
                None
            }
        }
    }

    /// Whether an ES module exports a name. `through`: modules already being asked for it.
    fn exports(&self, url: &str, name: &str, through: &mut Vec<String>) -> Result<Exported, SourceError> {
        if through.iter().any(|known| known == url) {
            return Ok(Exported::No);
        }
        through.push(url.to_owned());
        let module = self.module(url, url)?;
        if !module.parsed.is_module {
            return Ok(Exported::Unknown);
        }
        // Whether what it re-exports is there is checked when the module itself is linked, and named by its place.
        if module.parsed.exports.iter().any(|export| export == name) {
            return Ok(Exported::Yes);
        }
        let mut unknown = false;
        if name != "default" {
            for import in module.parsed.imports.iter().filter(|import| import.star) {
                let answer = match specifier::resolve(url, &import.specifier)?.url() {
                    Some(url) => {
                        self.module(url, &import.specifier)?;
                        self.exports(url, name, through)?
                    }
                    None => Exported::Unknown,
                };
                match answer {
                    Exported::Yes => return Ok(Exported::Yes),
                    Exported::Unknown => unknown = true,
                    Exported::No => {}
                }
            }
        }
        Ok(if unknown { Exported::Unknown } else { Exported::No })
    }
}

impl ModuleSource {
    /// An error, and the import it comes from.
    fn importing(&self, import: &Import, error: SourceError) -> SourceError {
        if matches!(error, SourceError::Syntax { .. }) {
            // It names a place of its own.
            return error;
        }
        let (file, line, column) = self.original(import.line, import.column);
        SourceError::Imported { error: Box::new(error), at: format!("{file}:{line}:{column}") }
    }

    /// The text to compile.
    pub(crate) fn code(&self) -> &str {
        self.linked.get().and_then(|linked| linked.code.as_deref()).unwrap_or(&self.parsed.code)
    }

    /// A part of what the engine compiled, by the bytes of it.
    pub(crate) fn compiled_text(&self, start: usize, length: usize) -> Option<&str> {
        let head = if self.parsed.is_module { 0 } else { loader::commonjs_head(self.code()).len() };
        let start = start.checked_sub(head)?;
        self.code().get(start..start + length)
    }

    /// Where a place in the text comes from, if a source map or the translation of TypeScript tells.
    fn original(&self, line: u32, column: u32) -> (String, u32, u32) {
        if let Some(map) = &self.parsed.map {
            let (line, column) = map.original(line, column).map_or((line, column), |(_, l, c)| (l, c));
            return (self.url.clone(), line, column);
        }
        let map = self.map.as_ref().and_then(MapSource::get);
        match map.and_then(|map| map.original(line, column)) {
            Some((source, line, column)) => (place_of_source(&self.url, source), line, column),
            None => (self.url.clone(), line, column),
        }
    }

    /// A column in UTF-16 units, as editors and source maps count, of one in bytes, as the engine does.
    fn characters(&self, line: u32, column: u32) -> u32 {
        let code = self.code();
        let lines = self.lines.get_or_init(|| {
            let starts =
                std::iter::once(0).chain(memchr::memchr_iter(b'\n', code.as_bytes()).map(|at| at + 1));
            (!code.is_ascii()).then(|| starts.collect())
        });
        let start = lines.as_ref().and_then(|lines| lines.get(line.saturating_sub(1) as usize));
        match start.and_then(|start| code.get(*start..start + column.saturating_sub(1) as usize)) {
            Some(before) => before.encode_utf16().count() as u32 + 1,
            None => column,
        }
    }

    /// The column in the text of a column in what was compiled: a CommonJS module has something in front.
    fn column_in_text(&self, line: u32, column: u32) -> u32 {
        match (line, self.parsed.is_module) {
            (1, false) => column.saturating_sub(loader::commonjs_head(self.code()).len() as u32).max(1),
            _ => column,
        }
    }

    pub(crate) fn request(&self, specifier: &str) -> Option<&Request> {
        self.linked.get()?.requests.get(specifier)
    }
}

impl Request {
    fn is_bridge(&self) -> bool {
        loader::is_bridge(&self.engine_name)
    }
}

impl MapSource {
    fn get(&self) -> Option<&SourceMap> {
        self.parsed.get_or_init(|| SourceMap::parse(&self.json).ok()).as_ref()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exported {
    Yes,
    No,
    /// It depends on what a CommonJS or native module offers when it runs.
    Unknown,
}

/// JavaScript first; TypeScript only where the reference tries it, a `.ts` file or standard input.
fn parse(url: &str, text: &str) -> Result<Parsed, SourceError> {
    let path = url.split('?').next().unwrap_or(url);
    let may_be_typescript = path.ends_with(".ts") || path.ends_with("/-");
    let parsed = deep::with_stack(text, || match syntax::parse(text, false) {
        Err(mut error) if !may_be_typescript => {
            if syntax::parse(text, true).is_ok() {
                error.message.push_str(" (this is TypeScript: the name of such a file must end in .ts)");
            } else if path.ends_with(".json") {
                error.message.push_str(" (JSON is no module: read it by JSON.parse(open(...)))");
            }
            Err(error)
        }
        Err(_) => syntax::parse(text, true),
        parsed => parsed,
    });
    let too_deep = || SyntaxError { line: 1, column: 1, message: "it is nested too deeply".to_owned() };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(NoStack::TooDeep) => Err(too_deep()),
        Err(NoStack::NoThread(reason)) => {
            return Err(SourceError::System { doing: "parsed", specifier: url.to_owned(), reason });
        }
    };
    parsed.map_err(|error| {
        let SyntaxError { line, column, message } = error;
        SourceError::Syntax { file: url.to_owned(), line, column, message }
    })
}

fn fetch(
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
fn meant_instead(path: &Path, specifier: &str) -> String {
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

/// The source of a map, relative to the script it belongs to.
fn place_of_source(url: &str, source: &str) -> String {
    if source.contains("://") {
        return source.to_owned();
    }
    let relative = if source.starts_with('/') { source.to_owned() } else { format!("./{source}") };
    match specifier::resolve(url, &relative) {
        Ok(Specifier::File(url) | Specifier::Remote(url)) => url,
        _ => source.to_owned(),
    }
}
