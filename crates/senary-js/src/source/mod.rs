//! Script sources: what a specifier names, where its text comes from, and how it becomes a module.
//!
//! A [`ModuleStore`] is shared by all VUs of a test. The first VU loads; afterwards the store is locked and serves
//! what it has: sources, files that were opened, and the bytecode every module was compiled to. Rules and texts
//! follow the reference (<https://grafana.com/docs/k6/latest/using-k6/modules/>).

mod bridge;
pub mod call_site;
mod callee;
pub mod compact;
mod deep;
mod error;
pub mod files;
pub mod frames;
pub(crate) mod function_text;
pub mod input;
pub mod loader;
mod module;
mod namespaces;
mod read;
mod remote;
pub mod source_map;
pub mod specifier;
pub mod stack;
pub mod syntax;
mod typescript;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use senary_web::Client;
use senary_words::io_text;
use tokio_util::sync::CancellationToken;

pub use self::error::SourceError;
pub(crate) use self::module::ModuleSource;
use self::module::{Linked, Request, parse};
pub use self::read::{ScriptSource, file_url, read_file, read_text};
use self::read::{fetch, meant_instead, text_of};
use self::specifier::Specifier;
use self::syntax::{Import, NAMESPACE};
use crate::natives::NativeModules;

/// What a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// URLs of scripts, the entry among them, and names of native modules.
    pub imports: BTreeSet<String>,
    /// What strings at the beginnings of the scripts ask for, `use strict` and the like.
    pub directives: Vec<String>,
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

impl ModuleStore {
    /// Whether a word stands in the script, or in anything it loaded.
    pub fn mentions(&self, word: &str) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut texts = contents.values().map(|text| &**text).chain([self.entry.text.as_bytes()]);
        texts.any(|text| memchr::memmem::find(text, word.as_bytes()).is_some())
    }

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

    /// From now on only what was loaded before is available.
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
        let module = ModuleSource::new(url, parsed, map);
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

    /// Finds everything that a module imports and checks that it exists. The engine's own error for a missing name has
    /// neither the place nor the specifier.
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
                    Request { engine_name: bridge::bridge(&target, &names), star: import.star }
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

    /// The source map that a script names. A script runs even if its source map cannot be read.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exported {
    Yes,
    No,
    /// It depends on what a CommonJS or native module offers when it runs.
    Unknown,
}
