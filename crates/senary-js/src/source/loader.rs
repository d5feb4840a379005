//! Modules in one VU's engine: the resolver and loader of `import`, and `require()` beside them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Filter, Function, JsLifetime, Module, Object, Persistent, Promise, Value};

use super::specifier::{Specifier, resolve};
use super::{ModuleStore, SourceError};
use crate::errors;
use crate::modules::{self, phase::VuPhase};

/// Joins a native module's name and the names an importer wants that it does not have.
const MISSING: char = '#';

/// The modules a context has already: native exports, and what CommonJS modules exported.
pub struct Loaded {
    store: Arc<ModuleStore>,
    natives: RefCell<HashMap<String, Persistent<Object<'static>>>>,
    commonjs: RefCell<HashMap<String, Persistent<Object<'static>>>>,
}

// SAFETY: `Persistent` values are not bound to `'js`.
unsafe impl<'js> JsLifetime<'js> for Loaded {
    type Changed<'to> = Loaded;
}

/// Gives the context its modules.
pub fn install(ctx: &Ctx<'_>, store: &Arc<ModuleStore>) -> rquickjs::Result<()> {
    let loaded = Loaded { store: store.clone(), natives: RefCell::default(), commonjs: RefCell::default() };
    // Fails only while userdata is being read, which nobody does yet.
    let _ = ctx.store_userdata(loaded);
    let base = store.entry.url.clone();
    ctx.globals().set("require", require_function(ctx, base)?)
}

/// Evaluates the entry. For a module the promise of its evaluation, for CommonJS nothing.
pub fn evaluate_entry<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<(Object<'js>, Option<Promise<'js>>)> {
    let store = store_of(ctx)?;
    let url = store.entry.url.clone();
    let source = store.module(&url).map_err(|e| throw_source(ctx, &e))?;
    if !source.prepared.is_module {
        return Ok((commonjs(ctx, &url)?, None));
    }
    let (module, promise) = declare(ctx, &url, &source.prepared.code)?.eval()?;
    Ok((module.namespace()?, Some(promise)))
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
        match resolve(base, name).map_err(|e| throw_source(ctx, &e))? {
            Specifier::File(url) => Ok(url),
            Specifier::Native(name) => {
                // Importing a name a native module lacks gives undefined, as in the reference; the engine
                // would refuse to link, so such an importer gets a variant that has the name.
                let has = native(ctx, &name)?;
                let store = store_of(ctx)?;
                let importer = store.module(base).map_err(|e| throw_source(ctx, &e))?;
                let wanted = importer.prepared.imports.iter().filter(|(from, _)| *from == name);
                let mut missing: Vec<&str> = Vec::new();
                for wanted in wanted.flat_map(|(_, names)| names) {
                    if wanted != "default" && !has.contains_key(wanted.as_str())? {
                        missing.push(wanted);
                    }
                }
                missing.sort_unstable();
                missing.dedup();
                Ok(if missing.is_empty() { name } else { format!("{name}{MISSING}{}", missing.join(",")) })
            }
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
        if name == "k6" || name.starts_with("k6/") {
            let (native_name, missing) = name.split_once(MISSING).unwrap_or((name, ""));
            let exports = native(ctx, native_name)?;
            return wrap_exports(ctx, name, exports, missing.split(',').filter(|m| !m.is_empty()));
        }
        let store = store_of(ctx)?;
        let source = store.module(name).map_err(|e| throw_source(ctx, &e))?;
        if source.prepared.is_module {
            return declare(ctx, name, &source.prepared.code);
        }
        wrap_exports(ctx, name, commonjs(ctx, name)?, std::iter::empty())
    }
}

fn declare<'js>(ctx: &Ctx<'js>, url: &str, code: &str) -> rquickjs::Result<Module<'js, Declared>> {
    let module = Module::declare(ctx.clone(), url, code)?;
    let base = url.to_owned();
    let resolve_url = move |ctx: Ctx<'js>, specifier: String| match resolve(&base, &specifier) {
        Ok(Specifier::File(url) | Specifier::Native(url)) => Ok(url),
        Err(error) => Err(throw_source(&ctx, &error)),
    };
    module.meta()?.set("resolve", Function::new(ctx.clone(), resolve_url)?)?;
    Ok(module)
}

/// A module that exports the properties of an object.
fn wrap_exports<'js, 'a>(
    ctx: &Ctx<'js>,
    name: &str,
    exports: Object<'js>,
    missing: impl Iterator<Item = &'a str>,
) -> rquickjs::Result<Module<'js, Declared>> {
    let mut code =
        String::from("const m = import.meta.exports;\nexport default ('default' in m ? m.default : m);\n");
    for key in exports.own_keys::<String>(Filter::new().string()) {
        let key = key?;
        if key != "default" && is_identifier(&key) {
            code.push_str(&format!("const _{key} = m.{key};\nexport {{ _{key} as {key} }};\n"));
        }
    }
    for name in missing.filter(|name| is_identifier(name)) {
        code.push_str(&format!("const _{name} = undefined;\nexport {{ _{name} as {name} }};\n"));
    }
    let module = Module::declare(ctx.clone(), name, code)?;
    module.meta()?.set("exports", exports)?;
    Ok(module)
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// The exports of a native module; the same object for everybody in the context.
fn native<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Object<'js>> {
    let known = with_loaded(ctx, |loaded| loaded.natives.borrow().get(name).cloned())?;
    if let Some(known) = known {
        return known.restore(ctx);
    }
    let Some(exports) = modules::exports_of(name) else {
        return Err(throw_source(ctx, &SourceError::UnknownModule(name.to_owned())));
    };
    let exports = exports(ctx)?;
    let kept = Persistent::save(ctx, exports.clone());
    with_loaded(ctx, |loaded| loaded.natives.borrow_mut().insert(name.to_owned(), kept))?;
    Ok(exports)
}

/// Runs a CommonJS module once; its exports so far, in a cycle.
fn commonjs<'js>(ctx: &Ctx<'js>, url: &str) -> rquickjs::Result<Object<'js>> {
    let known = with_loaded(ctx, |loaded| loaded.commonjs.borrow().get(url).cloned())?;
    let module: Object<'js> = match known {
        Some(module) => module.restore(ctx)?,
        None => {
            let module = Object::new(ctx.clone())?;
            module.set("exports", Object::new(ctx.clone())?)?;
            let kept = Persistent::save(ctx, module.clone());
            with_loaded(ctx, |loaded| loaded.commonjs.borrow_mut().insert(url.to_owned(), kept))?;
            let source = store_of(ctx)?.module(url).map_err(|e| throw_source(ctx, &e))?;
            // On one line with the script's first, so that line numbers stay right.
            let code = format!("(function (module, exports, require) {{{}\n}})", source.prepared.code);
            let mut options = rquickjs::context::EvalOptions::default();
            options.strict = false;
            options.filename = Some(url.to_owned());
            let function: Function<'js> = ctx.eval_with_options(code, options)?;
            let exports: Value<'js> = module.get("exports")?;
            let this = rquickjs::function::This(exports.clone());
            let require = require_function(ctx, url.to_owned())?;
            function.call::<_, Value<'js>>((this, module.clone(), exports, require))?;
            module
        }
    };
    let exports: Value<'js> = module.get("exports")?;
    match exports.into_object() {
        Some(exports) => Ok(exports),
        None => {
            let wrapped = Object::new(ctx.clone())?;
            wrapped.set("default", module.get::<_, Value<'js>>("exports")?)?;
            Ok(wrapped)
        }
    }
}

fn require_function<'js>(ctx: &Ctx<'js>, base: String) -> rquickjs::Result<Function<'js>> {
    let require = move |ctx: Ctx<'js>, specifier: rquickjs::function::Opt<rquickjs::Coerced<String>>| {
        let specifier = specifier.0.map(|s| s.0).unwrap_or_default();
        if ctx.userdata::<VuPhase>().is_some_and(|phase| !phase.is_init()) {
            return Err(errors::throw_go_error(&ctx, &only_in_init("require")));
        }
        if specifier.is_empty() {
            return Err(errors::throw_go_error(&ctx, "require() can't be used with an empty specifier"));
        }
        match resolve(&base, &specifier).map_err(|e| throw_source(&ctx, &e))? {
            Specifier::Native(name) => native(&ctx, &name),
            Specifier::File(url) => {
                let source = store_of(&ctx)?.module(&url).map_err(|e| throw_source(&ctx, &e))?;
                if source.prepared.is_module { require_module(&ctx, &url) } else { commonjs(&ctx, &url) }
            }
        }
    };
    Function::new(ctx.clone(), require)?.with_name("require")
}

/// `require()` of an ES module: evaluated to its end on the spot.
fn require_module<'js>(ctx: &Ctx<'js>, url: &str) -> rquickjs::Result<Object<'js>> {
    let promise = Module::import(ctx, url)?;
    promise.finish::<Object<'js>>()
}

/// The text for natives that belong to the init context.
pub fn only_in_init(name: &str) -> String {
    format!(
        "the {name:?} function is only available in the init stage (i.e. the global scope), see https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/ for more information"
    )
}

pub(super) fn store_of(ctx: &Ctx<'_>) -> rquickjs::Result<Arc<ModuleStore>> {
    with_loaded(ctx, |loaded| loaded.store.clone())
}

fn with_loaded<R>(ctx: &Ctx<'_>, f: impl FnOnce(&Loaded) -> R) -> rquickjs::Result<R> {
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
