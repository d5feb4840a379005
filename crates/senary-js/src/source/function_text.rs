//! `Function.prototype.toString` for functions that were loaded from bytecode.
//!
//! The engine keeps the text of every function in every VU, and that of nested ones again in each they are nested
//! in; it is most of what a large script costs. Bytecode is therefore without it, and the text is cut out of the
//! process's one copy of the source by the place that the engine still knows.

use std::ops::Range;

use oxc::allocator::Allocator;
use oxc::ast::AstKind;
use oxc::ast::ast::MethodDefinitionKind;
use oxc::parser::{ParseOptions, Parser};
use oxc::semantic::SemanticBuilder;
use oxc::span::{GetSpan, SourceType};
use rquickjs::function::This;
use rquickjs::object::Property;
use rquickjs::{Ctx, Function, IntoJs, JsLifetime, Object, Persistent, Value};
use rustc_hash::FxHashMap;

use super::loader::store_of;

/// How the engine's text of a function without a text ends.
const NATIVE: &str = "[native code]\n}";

/// The engine's own `toString`.
struct EngineText(Persistent<Function<'static>>);

// SAFETY: `Persistent` values are not bound to `'js`.
unsafe impl<'js> JsLifetime<'js> for EngineText {
    type Changed<'to> = EngineText;
}

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let function: Object<'_> = ctx.globals().get("Function")?;
    let prototype: Object<'_> = function.get("prototype")?;
    let engine: Function<'_> = prototype.get("toString")?;
    // Fails only while userdata is being read, which nobody does yet.
    let _ = ctx.store_userdata(EngineText(Persistent::save(ctx, engine)));
    let text = Function::new(ctx.clone(), text)?.with_name("toString")?;
    prototype.prop("toString", Property::from(text).writable().configurable())
}

fn text<'js>(ctx: Ctx<'js>, this: This<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let engine = ctx.userdata::<EngineText>().map(|engine| engine.0.clone());
    let Some(engine) = engine else { return Ok(Value::new_undefined(ctx)) };
    let text: String = engine.restore(&ctx)?.call((This(this.0.clone()),))?;
    if text.ends_with(NATIVE)
        && let Some(function) = this.0.as_function()
        && let Some(found) = text_in_source(&ctx, function)?
    {
        return found.into_js(&ctx);
    }
    text.into_js(&ctx)
}

fn text_in_source<'js>(ctx: &Ctx<'js>, function: &Function<'js>) -> rquickjs::Result<Option<String>> {
    let url: Value<'js> = function.get("fileName")?;
    let place: (Value<'js>, Value<'js>) = (function.get("lineNumber")?, function.get("columnNumber")?);
    let (Some(url), Some(line), Some(column)) = (url.as_string(), place.0.as_int(), place.1.as_int()) else {
        return Ok(None);
    };
    let module = store_of(ctx)?.known_module(&url.to_string()?);
    let text = module.as_ref().and_then(|module| module.function_text(line as u32, column as u32));
    Ok(text.map(str::to_owned))
}

/// Where the functions of a script are, by the line and column (in bytes) the engine knows them by.
#[derive(Debug, Default)]
pub struct FunctionTexts {
    by_place: FxHashMap<(u32, u32), Range<usize>>,
}

impl FunctionTexts {
    pub fn of(code: &str) -> Self {
        let mut by_start = starts(code);
        // The innermost of those that start at one place is the last: what encloses it was met before.
        by_start.sort_by_key(|(start, _)| *start);
        let mut by_place = FxHashMap::default();
        let (mut line, mut column, mut at) = (1_u32, 1_u32, 0);
        for (start, range) in by_start {
            let before = code.get(at..start).unwrap_or_default();
            match before.rfind('\n') {
                Some(newline) => {
                    line += before.matches('\n').count() as u32;
                    column = (before.len() - newline) as u32;
                }
                None => column += before.len() as u32,
            }
            at = start;
            by_place.insert((line, column), range);
        }
        Self { by_place }
    }

    pub fn range(&self, line: u32, column: u32) -> Option<Range<usize>> {
        self.by_place.get(&(line, column)).cloned()
    }
}

/// The offset the engine knows each function by, and the range of its text. That offset is where the text starts,
/// but for members of classes, where it is the name, and for classes themselves, where it is the constructor or, if
/// they have none, the closing brace.
fn starts(code: &str) -> Vec<(usize, Range<usize>)> {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parse = |source_type| Parser::new(&allocator, code, source_type).with_options(options).parse();
    let mut parsed = parse(SourceType::unambiguous());
    if !parsed.diagnostics.is_empty() {
        parsed = parse(SourceType::mjs());
    }
    let semantic = SemanticBuilder::new().with_build_nodes(true).build(&parsed.program).semantic;
    let mut starts = Vec::new();
    for node in semantic.nodes().iter() {
        let span = node.kind().span();
        let (start, end) = (span.start as usize, span.end as usize);
        match node.kind() {
            AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) => starts.push((start, start..end)),
            AstKind::ObjectProperty(property)
                if property.method || property.kind != oxc::ast::ast::PropertyKind::Init =>
            {
                starts.push((start, start..end));
            }
            AstKind::MethodDefinition(method) if method.kind != MethodDefinitionKind::Constructor => {
                let name = method.key.span().start as usize;
                let name = if method.computed { code[..name].rfind('[').unwrap_or(name) } else { name };
                let start = if method.r#static { after_static(code, start) } else { start };
                starts.push((name, start..end));
            }
            AstKind::Class(class) => {
                let constructor = class.body.body.iter().find_map(|element| match element {
                    oxc::ast::ast::ClassElement::MethodDefinition(method)
                        if method.kind == MethodDefinitionKind::Constructor =>
                    {
                        Some(method.span.start as usize)
                    }
                    _ => None,
                });
                starts.push((constructor.unwrap_or(end - 1), start..end));
            }
            _ => {}
        }
    }
    starts
}

/// The text of a static method starts behind that word, and behind comments between.
fn after_static(code: &str, start: usize) -> usize {
    let mut rest = code[start..].strip_prefix("static").unwrap_or(&code[start..]);
    loop {
        rest = rest.trim_start();
        let comment = if rest.starts_with("/*") {
            rest.find("*/").map(|at| at + 2)
        } else if rest.starts_with("//") {
            rest.find('\n')
        } else {
            None
        };
        match comment {
            Some(length) => rest = &rest[length..],
            None => return code.len() - rest.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(code: &str, line: u32, column: u32) -> Option<&str> {
        FunctionTexts::of(code).range(line, column).map(|range| &code[range])
    }

    #[test]
    fn functions_are_found() {
        let code = "export default function () {\n  return () => 1; }";
        assert_eq!(text(code, 1, 16), Some("function () {\n  return () => 1; }"));
        assert_eq!(text(code, 2, 10), Some("() => 1"));
        assert_eq!(text(code, 2, 9), None);
        let code = "class A { static /* b */ async c() {} }";
        assert_eq!(text(code, 1, 32), Some("async c() {}"));
        assert_eq!(text("/*☃*/ () => 1", 1, 9), Some("() => 1"));
        assert_eq!(text(code, 1, 39), Some(code));
        assert_eq!(text("await x; f(async () => {})", 1, 12), Some("async () => {}"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(code in "[ -~\n☃]{0,60}") {
            FunctionTexts::of(&code);
        }
    }
}
