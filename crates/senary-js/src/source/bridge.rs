//! CommonJS and native modules as the engine sees them. The engine knows ES modules only, so each of the others is given to
//! it as an ES module that exports just the names its importer wants. The values are filled in when it is evaluated.

use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::object::Property;
use rquickjs::{Ctx, Object, Persistent, Value};

use super::loader::{value_of, with_loaded};
use super::specifier::{self, Specifier};
use super::syntax::NAMESPACE;
use crate::properties;

/// Separates a bridge's module and the names wanted of it; no name and no URL contains it.
const SEPARATOR: char = '\n';

pub(super) const DEFAULT: &str = "default";

/// The engine's name for a CommonJS or native module, as seen by an importer that wants these names from it.
pub fn bridge(target: &Specifier, names: &[&str]) -> String {
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let target = match target {
        Specifier::Native(name) => name,
        Specifier::File(url) | Specifier::Remote(url) => url,
    };
    let mut engine_name = target.clone();
    engine_name.push(SEPARATOR);
    engine_name.push_str(&wanted.join(&SEPARATOR.to_string()));
    engine_name
}

pub fn is_bridge(engine_name: &str) -> bool {
    engine_name.contains(SEPARATOR)
}

/// Adds every name the module has; a CommonJS module has to run for that, before its turn.
pub(super) fn with_all_names(ctx: &Ctx<'_>, engine_name: &str) -> rquickjs::Result<String> {
    let (target, names) = engine_name.split_once(SEPARATOR).unwrap_or((engine_name, ""));
    let value = value_of(ctx, target)?;
    let mut names: Vec<String> =
        names.split(SEPARATOR).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    if let Some(object) = value.as_object() {
        for name in properties::names(object) {
            let name = name?;
            // The engine's names of exports end at a zero byte; a namespace has these, too.
            if name != DEFAULT && !name.contains([SEPARATOR, '\0']) {
                names.push(name);
            }
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(bridge(&specifier_of(target), &names))
}

fn specifier_of(target: &str) -> Specifier {
    if specifier::is_native(target) {
        Specifier::Native(target.to_owned())
    } else {
        Specifier::File(target.to_owned())
    }
}

/// A module of the engine that hands out what another kind of module offers.
pub(super) struct Bridge;

impl ModuleDef for Bridge {
    fn declare(declarations: &Declarations<'_>) -> rquickjs::Result<()> {
        let engine_name: String = declarations.module().name()?;
        for name in engine_name.split(SEPARATOR).skip(1).filter(|name| !name.is_empty()) {
            declarations.declare(name)?;
        }
        Ok(())
    }

    fn evaluate<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> rquickjs::Result<()> {
        let engine_name: String = exports.module().name()?;
        let mut parts = engine_name.split(SEPARATOR);
        let target = parts.next().unwrap_or_default();
        let value = value_of(ctx, target)?;
        for name in parts.filter(|name| !name.is_empty()) {
            let exported = match name {
                NAMESPACE => namespace(ctx, target, &value)?.into_value(),
                _ => binding(ctx, target, &value, name)?,
            };
            exports.export(name, exported)?;
        }
        Ok(())
    }
}

/// The value of a name that is imported from a CommonJS or native module.
fn binding<'js>(
    ctx: &Ctx<'js>,
    target: &str,
    value: &Value<'js>,
    name: &str,
) -> rquickjs::Result<Value<'js>> {
    let object = value.as_object();
    match object {
        Some(object) if object.contains_key(name)? => object.get(name),
        _ if name == DEFAULT => Ok(value.clone()),
        // As the reference has it, for modules without a default of their own.
        Some(object) if specifier::is_native(target) && !object.contains_key(DEFAULT)? => {
            Ok(Value::new_null(ctx.clone()))
        }
        _ => Ok(Value::new_undefined(ctx.clone())),
    }
}

/// The object that `import * as x` returns: the same for all importers in the context.
fn namespace<'js>(ctx: &Ctx<'js>, target: &str, value: &Value<'js>) -> rquickjs::Result<Object<'js>> {
    if let Some(known) = with_loaded(ctx, |loaded| loaded.namespaces.borrow().get(target).cloned())? {
        return known.restore(ctx);
    }
    let namespace = Object::new(ctx.clone())?;
    namespace.set_prototype(None)?;
    let is_native = specifier::is_native(target);
    if let Some(object) = value.as_object() {
        for key in properties::keys(object) {
            let key = key?;
            if !is_native || key.to_string()? != DEFAULT {
                namespace.set(key.clone(), object.get::<_, Value<'js>>(key)?)?;
            }
        }
    }
    // As in the reference, a module with only named exports has a default that can be imported, but its namespace has
    // none.
    let has_default = value.as_object().map_or(Ok(false), |object| object.contains_key(DEFAULT))?;
    if is_native && has_default {
        namespace.prop(DEFAULT, Property::from(binding(ctx, target, value, DEFAULT)?))?;
    }
    let kept = Persistent::save(ctx, namespace.clone());
    with_loaded(ctx, |loaded| loaded.namespaces.borrow_mut().insert(target.to_owned(), kept))?;
    Ok(namespace)
}
