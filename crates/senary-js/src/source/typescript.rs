//! TypeScript becomes JavaScript: types are stripped, enums and namespaces translated, nothing is checked.

use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::Program;
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::SourceType;
use oxc::transformer::{TransformOptions, Transformer};

use super::namespaces;
use super::source_map::SourceMap;
use super::syntax::{SyntaxError, error_at, first_error, refuse_unsupported};

/// The name in source maps, which nobody sees.
const FILE: &str = "script.ts";

/// What the transformer says about `import x = require()` and `export =` beside ES modules. It translates them all
/// the same, to `require()` and `module.exports`, which there are.
const HARMLESS: [&str; 2] = ["1202", "1203"];

/// The JavaScript of a script, and the way back.
pub fn translate(code: &str) -> Result<(String, Option<SourceMap>), SyntaxError> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::ts()).parse();
    if parsed.panicked || !parsed.diagnostics.is_empty() {
        return Err(first_error(code, &parsed.diagnostics));
    }
    let mut program = parsed.program;
    refuse_unsupported(code, &program)?;
    let mut scoping = scoping_of(&program);
    if namespaces::lower(&mut program, &allocator, &scoping)
        .map_err(|(span, message)| error_at(code, span, &message))?
    {
        scoping = scoping_of(&program);
    }
    let options = TransformOptions::from_target("esnext").unwrap_or_default();
    let transformed =
        Transformer::new(&allocator, Path::new(FILE), &options).build_with_scoping(scoping, &mut program);
    let errors: Vec<_> = transformed.diagnostics.into_iter().filter(|error| !is_harmless(error)).collect();
    if !errors.is_empty() {
        return Err(first_error(code, &errors));
    }
    let options = CodegenOptions {
        comments: CommentOptions::disabled(),
        source_map_path: Some(Path::new(FILE).to_owned()),
        ..CodegenOptions::default()
    };
    let generated = Codegen::new().with_options(options).with_source_text(code).build(&program);
    let map = generated.map.and_then(|map| SourceMap::parse(map.to_json_string().as_bytes()).ok());
    Ok((generated.code, map))
}

fn scoping_of(program: &Program<'_>) -> Scoping {
    SemanticBuilder::new().with_enum_eval(true).build(program).semantic.into_scoping()
}

fn is_harmless(error: &OxcDiagnostic) -> bool {
    error.code.number.as_deref().is_some_and(|number| HARMLESS.contains(&number))
}
