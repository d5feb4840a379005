//! Modules in one VU's engine: the resolver and loader of `import`, and `require()` beside them.
//!
//! ES modules are the engine's. CommonJS and native modules stand behind a *bridge* (`bridge`). So a name that is missing
//! is no error, a namespace shows no `default`, and modules of all kinds run in the order they are imported in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::sync::Arc;

use rquickjs::function::{Opt, This};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::object::{Accessor, Property};
use rquickjs::proxy::{ProxyHandler, ProxyProperty, ProxyReceiver, ProxyTarget};
use rquickjs::{Coerced, Ctx, Exception, Function, Module, Object, Persistent, Promise, Proxy, Value, qjs};
use senary_words::spelling::nearest;

use super::bridge::{Bridge, DEFAULT, bridge, is_bridge, with_all_names};
use super::frames::{self, Frame, Place};
use super::specifier::{self, Specifier, resolve};
use super::{ModuleSource, ModuleStore, SourceError, function_text, stack};
use crate::bytecode;
use crate::errors;
use crate::lazy::{self, Lazy};
use crate::native;
use crate::properties;
use crate::script_context;

/// Before a CommonJS module's text, on its first line so that line numbers stay right.
const COMMONJS_HEAD: &str = "(function (module, exports) {";
const COMMONJS_HEAD_BEFORE_SHEBANG: &str = "(function (module, exports) {//";
const COMMONJS_TAIL: &str = "\n})";

/// What stands before the text of a CommonJS module where it is compiled.
pub fn commonjs_head(text: &str) -> &'static str {
    // A first line for a Unix shell (`#!`) is not valid within a function.
    if text.starts_with("#!") { COMMONJS_HEAD_BEFORE_SHEBANG } else { COMMONJS_HEAD }
}

/// Stack levels that are looked at for the script that called a native.
const CALLER_LEVELS: isize = 32;

/// The modules a context has already, by name or URL.
pub struct Loaded {
    store: Arc<ModuleStore>,
    natives: RefCell<HashMap<String, Persistent<Object<'static>>>>,
    /// The `module` objects of CommonJS.
    commonjs: RefCell<HashMap<String, Persistent<Object<'static>>>>,
    /// Those of CommonJS whose code is running, outermost first.
    commonjs_running: RefCell<Vec<String>>,
    pub(super) namespaces: RefCell<HashMap<String, Persistent<Object<'static>>>>,
    /// Frames on the stack at each `require()` under way.
    requires: RefCell<Vec<usize>>,
}

crate::userdata!(Loaded);

/// Gives the context its modules.
pub fn install(ctx: &Ctx<'_>, store: &Arc<ModuleStore>) -> rquickjs::Result<()> {
    let loaded = Loaded {
        store: store.clone(),
        natives: RefCell::default(),
        commonjs: RefCell::default(),
        commonjs_running: RefCell::default(),
        namespaces: RefCell::default(),
        requires: RefCell::default(),
    };
    // Fails only while userdata is being read, which nobody does yet.
    let _ = ctx.store_userdata(loaded);
    stack::install(ctx)?;
    function_text::install(ctx)?;
    static REQUIRE: Lazy =
        Lazy::of(|ctx| Ok(Function::new(ctx.clone(), require)?.with_name("require")?.into_value()));
    lazy::global(ctx, "require", &REQUIRE)?;
    for name in ["module", "exports"] {
        let refuse = move |ctx: Ctx<'_>| Err::<(), _>(errors::throw_error(&ctx, &mixed_syntax(name)));
        let replace = move |value: Value<'_>| {
            value.ctx().globals().prop(name, Property::from(value.clone()).writable().configurable())
        };
        ctx.globals().prop(name, Accessor::new(refuse, replace).configurable())?;
    }
    Ok(())
}

/// CommonJS modules have both names as parameters; other modules do not have them.
fn mixed_syntax(name: &str) -> String {
    format!(
        "you are trying to access identifier {name:?}, this likely is due to mixing ECMAScript Modules (ESM) and CommonJS syntax. A script that uses import, export or a top-level await is an ES module: export values with `export`, and use `module` and `exports` only in files without those."
    )
}

/// Evaluates the entry. For a module the promise of its evaluation, for CommonJS nothing.
pub fn evaluate_entry<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<(Object<'js>, Option<Promise<'js>>)> {
    let store = store_of(ctx)?;
    let url = store.entry.url.clone();
    let source = store.module(&url, &url).map_err(|e| throw_source(ctx, &e))?;
    if !source.parsed.is_module {
        let exports = commonjs(ctx, &url)?.into_object();
        return Ok((exports.map_or_else(|| Object::new(ctx.clone()), Ok)?, None));
    }
    let (module, promise) = declare(ctx, &store, &source)?.eval()?;
    Ok((module.namespace()?, Some(promise)))
}

unsafe extern "C" {
    fn JS_HasModuleRun(ctx: *mut qjs::JSContext, name: *const c_char) -> bool;
}

pub struct ScriptResolver;
pub struct ScriptLoader;

impl Resolver for ScriptResolver {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        let store = store_of(ctx)?;
        let importer = store.known_module(base);
        if let Some(request) = importer.as_ref().and_then(|importer| importer.request(name)) {
            return if request.star {
                with_all_names(ctx, &request.engine_name)
            } else {
                Ok(request.engine_name.clone())
            };
        }
        // `import()`, or `require()` of an ES module.
        let target = resolve(base, name).map_err(|e| throw_source(ctx, &e))?;
        match target.url() {
            Some(url) if store.module(url, name).map_err(|e| throw_source(ctx, &e))?.parsed.is_module => {
                Ok(url.to_owned())
            }
            _ => with_all_names(ctx, &bridge(&target, &[DEFAULT])),
        }
    }
}

impl Loader for ScriptLoader {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<Module<'js, Declared>> {
        if is_bridge(name) {
            return Module::declare_def::<Bridge, _>(ctx.clone(), name);
        }
        let store = store_of(ctx)?;
        let source = store.module(name, name).map_err(|e| throw_source(ctx, &e))?;
        declare(ctx, &store, &source)
    }
}

/// Declares an ES module; its imports are resolved and declared on the way.
fn declare<'js>(
    ctx: &Ctx<'js>,
    store: &ModuleStore,
    source: &ModuleSource,
) -> rquickjs::Result<Module<'js, Declared>> {
    store.link(source).map_err(|e| throw_source(ctx, &e))?;
    if !store.is_locked() {
        warn_of_missing_names(ctx, source)?;
    }
    let module = bytecode::declare(ctx, &source.url, source.code(), &source.bytecode)
        .map_err(|e| placed(ctx, store, e))?;
    if source.parsed.uses_import_meta {
        let base = source.url.clone();
        let resolve_url = move |ctx: Ctx<'js>, specifier: Coerced<String>| match resolve(&base, &specifier.0)
        {
            Ok(Specifier::File(url) | Specifier::Remote(url) | Specifier::Native(url)) => Ok(url),
            Err(error) => Err(throw_source(&ctx, &error)),
        };
        module.meta()?.set("resolve", native::function(ctx, resolve_url)?.with_name("resolve")?)?;
    }
    Ok(module)
}

/// In the reference, importing a name that a native module does not have is not an error; the name is undefined. The
/// error that follows later does not name the import.
fn warn_of_missing_names(ctx: &Ctx<'_>, source: &ModuleSource) -> rquickjs::Result<()> {
    for import in source.parsed.imports.iter().filter(|import| specifier::is_native(&import.specifier)) {
        let exports = native(ctx, &import.specifier)?;
        for place in import.names.iter().filter(|place| place.name != DEFAULT) {
            if exports.contains_key(place.name.as_str())? {
                continue;
            }
            let known = properties::names(&exports);
            let known = known.filter_map(Result::ok).filter(|name| name != DEFAULT).collect::<Vec<_>>();
            let hint = match nearest(&place.name, known.iter().map(String::as_str)) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("it has {}", known.join(", ")),
            };
            let (url, line, column) = source.original(place.line, place.column);
            let at = format!("{url}:{line}:{column}");
            log::warn!(hint = hint.as_str(), line = at.as_str(); "{:?} has no export named {:?}", import.specifier, place.name);
        }
    }
    Ok(())
}

/// A syntax error that only the engine found, with its place in front, as in all others.
fn placed(ctx: &Ctx<'_>, store: &ModuleStore, error: rquickjs::Error) -> rquickjs::Error {
    if !matches!(error, rquickjs::Error::Exception) {
        return error;
    }
    let thrown = ctx.catch();
    let Some(exception) = thrown.as_object().and_then(|o| Exception::from_object(o.clone())) else {
        return ctx.throw(thrown);
    };
    // Where a script does not compile, the innermost frame is a place without a function.
    let first = stack::raw(ctx, &thrown).and_then(|text| text.lines().next().map(str::to_owned));
    let frame = first.filter(|line| !line.ends_with(')')).and_then(|line| frames::parse(&line).next());
    match (frame.map(|frame| frame.place), exception.message()) {
        (Some(Place::Script { url, line, column }), Some(message)) => {
            throw_source(ctx, &store.syntax_error(&url, (line, column), message))
        }
        _ => ctx.throw(thrown),
    }
}

/// What a native module or a CommonJS one offers.
pub(super) fn value_of<'js>(ctx: &Ctx<'js>, target: &str) -> rquickjs::Result<Value<'js>> {
    if specifier::is_native(target) { Ok(native(ctx, target)?.into_value()) } else { commonjs(ctx, target) }
}

/// The exports of a native module; the same object for all importers in the context.
fn native<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Object<'js>> {
    if let Some(known) = with_loaded(ctx, |loaded| loaded.natives.borrow().get(name).cloned())? {
        return known.restore(ctx);
    }
    let natives = with_loaded(ctx, |loaded| loaded.store.natives)?;
    let exports = match natives.get(name) {
        Some(module) => (module.exports)(ctx)?,
        None => return Err(throw_source(ctx, &SourceError::NoNative(natives.why_missing(name)))),
    };
    let kept = Persistent::save(ctx, exports.clone());
    with_loaded(ctx, |loaded| loaded.natives.borrow_mut().insert(name.to_owned(), kept))?;
    Ok(exports)
}

/// Names of the native modules that the script of this context has imported so far.
pub fn natives_imported(ctx: &Ctx<'_>) -> rquickjs::Result<Vec<String>> {
    with_loaded(ctx, |loaded| loaded.natives.borrow().keys().cloned().collect())
}

/// Runs a CommonJS module once and returns its exports; in a cycle, what it has exported so far.
fn commonjs<'js>(ctx: &Ctx<'js>, url: &str) -> rquickjs::Result<Value<'js>> {
    if let Some(known) = with_loaded(ctx, |loaded| loaded.commonjs.borrow().get(url).cloned())? {
        return known.restore(ctx)?.get("exports");
    }
    let store = store_of(ctx)?;
    let source = store.module(url, url).map_err(|e| throw_source(ctx, &e))?;
    let text = source.code();
    let code = format!("{}{text}{COMMONJS_TAIL}", commonjs_head(text));
    let function =
        bytecode::evaluate_script(ctx, url, &code, &source.bytecode).map_err(|e| placed(ctx, &store, e))?;
    let module = Object::new(ctx.clone())?;
    let exports = Object::new(ctx.clone())?;
    module.set("exports", exports.clone())?;
    let kept = Persistent::save(ctx, module.clone());
    with_loaded(ctx, |loaded| loaded.commonjs.borrow_mut().insert(url.to_owned(), kept))?;
    if let Some(function) = function.as_function() {
        with_loaded(ctx, |loaded| loaded.commonjs_running.borrow_mut().push(url.to_owned()))?;
        let result = function.call::<_, Value<'js>>((This(exports.clone()), module.clone(), exports));
        with_loaded(ctx, |loaded| loaded.commonjs_running.borrow_mut().pop())?;
        if let Err(error) = result {
            // Its incomplete exports must not be taken for all of them.
            with_loaded(ctx, |loaded| loaded.commonjs.borrow_mut().remove(url))?;
            return Err(error);
        }
    }
    module.get("exports")
}

/// `require()`: relative to the script it is written in.
fn require<'js>(ctx: Ctx<'js>, specifier: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    if script_context::is_vu(&ctx) {
        return Err(errors::throw_go_error(&ctx, &only_in_init("require")));
    }
    let specifier = specifier.0.filter(|s| !s.is_undefined() && !s.is_null());
    let specifier =
        specifier.map(|s| s.get::<Coerced<String>>()).transpose()?.map(|s| s.0).unwrap_or_default();
    if specifier.is_empty() {
        return Err(errors::throw_go_error(&ctx, "require() can't be used with an empty specifier"));
    }
    let store = store_of(&ctx)?;
    let base = calling_script(&ctx).unwrap_or_else(|| store.entry.url.clone());
    let target = resolve(&base, &specifier).map_err(|e| throw_source(&ctx, &e))?;
    let Some(url) = target.url() else { return value_of(&ctx, &specifier) };
    let source = store.module(url, &specifier).map_err(|e| throw_source(&ctx, &e))?;
    let depth = frames::current(&ctx).len();
    with_loaded(&ctx, |loaded| loaded.requires.borrow_mut().push(depth))?;
    let result = if source.parsed.is_module { require_module(&ctx, url) } else { commonjs(&ctx, url) };
    with_loaded(&ctx, |loaded| loaded.requires.borrow_mut().pop())?;
    result
}

/// `require()` of an ES module: evaluated to its end on the spot, as far as that needs no event.
fn require_module<'js>(ctx: &Ctx<'js>, url: &str) -> rquickjs::Result<Value<'js>> {
    if waits_for_caller(ctx, url)? {
        return later(ctx, url);
    }
    let promise = Module::import(ctx, url)?;
    // The reason of the rejection is thrown below, so the event loop must not report it, too.
    let ignore = Function::new(ctx.clone(), || ())?;
    promise.catch()?.call::<_, Value<'js>>((This(promise.clone()), ignore))?;
    match promise.finish::<Value<'js>>() {
        Err(rquickjs::Error::WouldBlock) => Err(errors::throw_go_error(
            ctx,
            &format!("require() can't be used for {url}: its top-level await waits for an event; use import"),
        )),
        result => result,
    }
}

/// Whether evaluating an ES module now would need one that waits for the code that is running. The engine must not be
/// asked to do that, because it has no state for it.
fn waits_for_caller(ctx: &Ctx<'_>, url: &str) -> rquickjs::Result<bool> {
    if has_run(ctx, url)? {
        return Ok(false);
    }
    let frames = frames::current(ctx);
    let mut running = running_modules(ctx, &frames)?;
    for at in (0..running.len()).rev() {
        // Its code is on the stack, but that may be a function that is called later.
        if has_run(ctx, running[at])? {
            running.remove(at);
        }
    }
    store_of(ctx)?.reaches(url, &running).map_err(|e| throw_source(ctx, &e))
}

/// Whether the code of a script module has run, at least as far as its first top-level await.
fn has_run(ctx: &Ctx<'_>, url: &str) -> rquickjs::Result<bool> {
    let commonjs = with_loaded(ctx, |loaded| {
        loaded.commonjs.borrow().contains_key(url)
            && !loaded.commonjs_running.borrow().iter().any(|running| running == url)
    })?;
    let name = CString::new(url)?;
    // SAFETY: the name ends in a zero byte and outlives the call.
    Ok(commonjs || unsafe { JS_HasModuleRun(ctx.as_raw().as_ptr(), name.as_ptr()) })
}

/// The modules whose own code is running, innermost first.
pub(super) fn running_modules<'f>(ctx: &Ctx<'_>, frames: &'f [Frame]) -> rquickjs::Result<Vec<&'f str>> {
    with_loaded(ctx, |loaded| frames::running_modules(frames, &loaded.requires.borrow()))
}

/// Stands for an ES module that waits for the caller: its exports can be had when it has been evaluated.
fn later<'js>(ctx: &Ctx<'js>, url: &str) -> rquickjs::Result<Value<'js>> {
    let url = url.to_owned();
    let get = move |target: ProxyTarget<'js>, key: ProxyProperty<'js>, _: ProxyReceiver<'js>| {
        let ctx = target.0.ctx();
        if waits_for_caller(ctx, &url)? {
            let text = format!(
                "exports of {url} cannot be used before it has run: import and require() form a cycle"
            );
            return Err(errors::throw_class(ctx, "ReferenceError", &text));
        }
        let namespace = require_module(ctx, &url)?;
        match namespace.as_object() {
            Some(namespace) => namespace.get::<_, Value<'js>>(key.0),
            None => Ok(Value::new_undefined(ctx.clone())),
        }
    };
    let handler = ProxyHandler::new(ctx.clone())?.with_getter(get)?;
    let proxy = Proxy::new(ctx.clone(), Object::new(ctx.clone())?, handler)?;
    rquickjs::IntoJs::into_js(proxy, ctx)
}

/// The innermost script that is running.
fn calling_script(ctx: &Ctx<'_>) -> Option<String> {
    (0..CALLER_LEVELS)
        .filter_map(|level| ctx.script_or_module_name(level)?.to_js_string().ok()?.to_string().ok())
        .find(|name| specifier::is_script(name))
}

/// The text for natives that belong to the init context.
pub fn only_in_init(name: &str) -> String {
    format!(
        "the {name:?} function is only available in the init stage (i.e. the global scope), see https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/ for more information"
    )
}

pub fn store_of(ctx: &Ctx<'_>) -> rquickjs::Result<Arc<ModuleStore>> {
    with_loaded(ctx, |loaded| loaded.store.clone())
}

/// The same, in a context that may have no modules.
pub(super) fn known_store(ctx: &Ctx<'_>) -> Option<Arc<ModuleStore>> {
    ctx.userdata::<Loaded>().map(|loaded| loaded.store.clone())
}

pub(super) fn with_loaded<R>(ctx: &Ctx<'_>, f: impl FnOnce(&Loaded) -> R) -> rquickjs::Result<R> {
    match ctx.userdata::<Loaded>() {
        Some(loaded) => Ok(f(&loaded)),
        None => Err(errors::throw_error(ctx, "this context has no modules")),
    }
}

pub(super) fn throw_source(ctx: &Ctx<'_>, error: &SourceError) -> rquickjs::Error {
    match error {
        SourceError::Syntax { .. } => {
            let text = error.to_string();
            errors::throw_class(ctx, "SyntaxError", text.strip_prefix("SyntaxError: ").unwrap_or(&text))
        }
        _ => errors::throw_go_error(ctx, &error.to_string()),
    }
}
