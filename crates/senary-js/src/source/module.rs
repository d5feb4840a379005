//! One script module of a test: its text, what its imports were found to be, and where its places come from.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::deep::{self, NoStack};
use super::source_map::SourceMap;
use super::specifier::{self, Specifier};
use super::syntax::{self, Import, Parsed, SyntaxError};
use super::{SourceError, bridge, loader};

/// One script module of a test.
#[derive(Debug)]
pub(crate) struct ModuleSource {
    pub url: String,
    pub parsed: Parsed,
    pub(super) linked: OnceLock<Linked>,
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
    pub(super) code: Option<String>,
    pub(super) requests: HashMap<String, Request>,
}

/// What a specifier means to the engine.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The module's name in the engine: a URL for ES modules, otherwise a [`bridge`](super::bridge) with the names wanted.
    pub engine_name: String,
    /// Whether a bridge must also offer every name its module has.
    pub star: bool,
}

#[derive(Debug)]
struct MapSource {
    json: Arc<[u8]>,
    parsed: OnceLock<Option<SourceMap>>,
}

impl ModuleSource {
    /// `map`: the source map that it names, as JSON.
    pub(super) fn new(url: &str, parsed: Parsed, map: Option<Arc<[u8]>>) -> Self {
        Self {
            url: url.to_owned(),
            parsed,
            linked: OnceLock::new(),
            map: map.map(|json| MapSource { json, parsed: OnceLock::new() }),
            bytecode: OnceLock::new(),
            lines: OnceLock::new(),
        }
    }

    /// An error, and the import it comes from.
    pub(super) fn importing(&self, import: &Import, error: SourceError) -> SourceError {
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
    pub(super) fn original(&self, line: u32, column: u32) -> (String, u32, u32) {
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
    pub(super) fn characters(&self, line: u32, column: u32) -> u32 {
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
    pub(super) fn column_in_text(&self, line: u32, column: u32) -> u32 {
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
    pub(super) fn is_bridge(&self) -> bool {
        bridge::is_bridge(&self.engine_name)
    }
}

impl MapSource {
    fn get(&self) -> Option<&SourceMap> {
        self.parsed.get_or_init(|| SourceMap::parse(&self.json).ok()).as_ref()
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

/// JavaScript first; TypeScript only where the reference tries it, a `.ts` file or standard input.
pub(super) fn parse(url: &str, text: &str) -> Result<Parsed, SourceError> {
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
