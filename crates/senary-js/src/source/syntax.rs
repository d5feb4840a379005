//! What a source text is: an ES module or CommonJS, JavaScript or TypeScript, and which names it imports.

use std::path::Path;

use oxc::allocator::Allocator;
use oxc::codegen::Codegen;
use oxc::parser::{Parser, ParserReturn};
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc::transformer::{TransformOptions, Transformer};

/// A source text, ready for the engine.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub code: String,
    pub is_module: bool,
    /// Names imported (or re-exported) from each specifier.
    pub imports: Vec<(String, Vec<String>)>,
}

/// A syntax error: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// Prepares a script. `typescript`: types are stripped, enums and namespaces translated.
pub fn prepare(code: &str, typescript: bool) -> Result<Prepared, SyntaxError> {
    if typescript {
        return prepare_typescript(code);
    }
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::unambiguous()).parse();
    if parsed.panicked || !parsed.diagnostics.is_empty() {
        return Err(first_error(code, &parsed));
    }
    let (is_module, imports) = facts(&parsed);
    Ok(Prepared { code: code.to_owned(), is_module, imports })
}

fn prepare_typescript(code: &str) -> Result<Prepared, SyntaxError> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::ts()).parse();
    if parsed.panicked || !parsed.diagnostics.is_empty() {
        return Err(first_error(code, &parsed));
    }
    let mut program = parsed.program;
    let scoping = SemanticBuilder::new().with_enum_eval(true).build(&program).semantic.into_scoping();
    let options = TransformOptions::from_target("esnext").unwrap_or_default();
    let transformed = Transformer::new(&allocator, Path::new("script.ts"), &options)
        .build_with_scoping(scoping, &mut program);
    if let Some(error) = transformed.diagnostics.first() {
        return Err(SyntaxError { line: 1, column: 1, message: error.message.to_string() });
    }
    let code = Codegen::new().build(&program).code;
    // Types are gone now, and imports that were only types with them.
    prepare(&code, false)
}

fn facts(parsed: &ParserReturn<'_>) -> (bool, Vec<(String, Vec<String>)>) {
    let record = &parsed.module_record;
    let mut imports: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |from: &str, name: Option<&str>| {
        let at = imports.iter().position(|(known, _)| known == from).unwrap_or_else(|| {
            imports.push((from.to_owned(), Vec::new()));
            imports.len() - 1
        });
        imports[at].1.extend(name.map(str::to_owned));
    };
    for entry in &record.import_entries {
        add(&entry.module_request.name, Some(import_name(&entry.import_name)));
    }
    for entry in &record.indirect_export_entries {
        if let Some(from) = &entry.module_request {
            add(&from.name, export_import_name(&entry.import_name));
        }
    }
    (record.has_module_syntax || parsed.program.source_type.is_module(), imports)
}

fn import_name<'a>(name: &'a oxc::syntax::module_record::ImportImportName<'_>) -> &'a str {
    use oxc::syntax::module_record::ImportImportName as Name;
    match name {
        Name::Name(name) => name.name.as_str(),
        Name::NamespaceObject | Name::Default(_) => "default",
    }
}

fn export_import_name<'a>(name: &'a oxc::syntax::module_record::ExportImportName<'_>) -> Option<&'a str> {
    match name {
        oxc::syntax::module_record::ExportImportName::Name(name) => Some(name.name.as_str()),
        _ => None,
    }
}

fn first_error(code: &str, parsed: &ParserReturn<'_>) -> SyntaxError {
    let Some(error) = parsed.diagnostics.first() else {
        return SyntaxError { line: 1, column: 1, message: "the script cannot be parsed".to_owned() };
    };
    let offset = error.labels.first().map_or(0, |label| label.offset() as usize);
    let before = code.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    SyntaxError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_from_commonjs() {
        let module = prepare("import { a, b as c } from 'k6';\nexport default () => a", false).unwrap();
        assert!(module.is_module);
        assert_eq!(module.imports, [("k6".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        assert!(!prepare("module.exports.default = function () {}", false).unwrap().is_module);
    }

    #[test]
    fn typescript_is_translated() {
        let prepared =
            prepare("enum A { X = 1 }\nexport default function (): number { return A.X as number }", true)
                .unwrap();
        assert!(prepared.is_module);
        assert!(!prepared.code.contains(": number"));
    }

    #[test]
    fn errors_name_their_place() {
        let error = prepare("let a = 1;\nlet b = ;\n", false).unwrap_err();
        assert_eq!((error.line, error.column), (2, 9));
    }
}
