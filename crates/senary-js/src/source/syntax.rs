//! What a source text is: an ES module or CommonJS, JavaScript or TypeScript; what it imports and what it exports.

use std::ops::Range;

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    AccessorProperty, Decorator, ImportDeclarationSpecifier, Program, Statement, StringLiteral,
};
use oxc::ast_visit::{Visit, walk};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::{ParseOptions, Parser};
use oxc::span::{GetSpan, SourceType, Span};
use oxc::syntax::module_record::{ExportExportName, ModuleRecord};

use super::source_map::SourceMap;
use super::typescript;

/// The export under which CommonJS and native modules offer themselves as a namespace object.
pub const NAMESPACE: &str = "__senary_namespace";

/// A source text that was read and understood, as JavaScript.
#[derive(Debug)]
pub struct Parsed {
    pub code: String,
    pub is_module: bool,
    pub uses_import_meta: bool,
    /// In the order of the text, one per specifier.
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
    /// What strings at its beginning ask for: `use strict`, `use k6 with k6/x/faker >= 0.4`.
    pub directives: Vec<String>,
    /// Back to TypeScript, if the text was that.
    pub map: Option<SourceMap>,
}

/// Everything imported or re-exported from one specifier.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Import {
    pub specifier: String,
    /// Where it is first written.
    pub line: u32,
    pub column: u32,
    pub names: Vec<Place>,
    /// Where the module is bound whole (`* as x`), and the text that binds [`NAMESPACE`] instead.
    pub namespaces: Vec<(Range<usize>, String)>,
    /// Whether everything is re-exported (`export * from`).
    pub star: bool,
}

/// A name and where it stands; lines and columns count from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    pub line: u32,
    pub column: u32,
}

/// A syntax error: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// Reads a script. `typescript`: types are stripped, enums and namespaces translated.
pub fn parse(code: &str, typescript: bool) -> Result<Parsed, SyntaxError> {
    if typescript {
        let (code, map) = typescript::translate(code)?;
        // Types are gone now, and imports that were only types with them.
        return Ok(Parsed { map, ..parse(&code, false)? });
    }
    // Only `import` and `export` tell a module; one that merely awaits at its top level is no valid script.
    match parse_javascript(code, SourceType::unambiguous()) {
        Err(error) => parse_javascript(code, SourceType::mjs()).map_err(|_| error),
        parsed => parsed,
    }
}

fn parse_javascript(code: &str, source_type: SourceType) -> Result<Parsed, SyntaxError> {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parsed = Parser::new(&allocator, code, source_type).with_options(options).parse();
    if parsed.panicked || !parsed.diagnostics.is_empty() {
        return Err(first_error(code, &parsed.diagnostics));
    }
    refuse_unsupported(code, &parsed.program)?;
    let record = &parsed.module_record;
    let uses_import_meta = !record.import_metas.is_empty();
    let is_module = record.has_module_syntax || uses_import_meta || source_type.is_module();
    Ok(Parsed {
        code: code.to_owned(),
        is_module,
        uses_import_meta,
        imports: imports(code, &parsed.program),
        exports: exports(record),
        directives: parsed.program.directives.iter().map(|d| d.directive.to_string()).collect(),
        map: None,
    })
}

/// What the parser knows and the engine does not.
pub(super) fn refuse_unsupported(code: &str, program: &Program<'_>) -> Result<(), SyntaxError> {
    let mut unsupported = Unsupported::default();
    unsupported.visit_program(program);
    match unsupported.first {
        Some((span, message)) => Err(error_at(code, span, message)),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Unsupported {
    first: Option<(Span, &'static str)>,
}

impl<'a> Visit<'a> for Unsupported {
    fn visit_decorator(&mut self, decorator: &Decorator<'a>) {
        let message = "decorators are not supported; call the function on the class or method yourself, or compile the script to ES2022 first";
        self.first.get_or_insert((decorator.span, message));
    }

    fn visit_accessor_property(&mut self, property: &AccessorProperty<'a>) {
        let message = "`accessor` fields are not supported; write a getter and a setter, or compile the script to ES2022 first";
        self.first.get_or_insert((property.span, message));
        walk::walk_accessor_property(self, property);
    }
}

pub(super) fn error_at(code: &str, span: Span, message: &str) -> SyntaxError {
    let (line, column) = place(code, span.start as usize);
    SyntaxError { line, column, message: message.to_owned() }
}

fn imports(code: &str, program: &Program<'_>) -> Vec<Import> {
    let mut imports = Imports { code, found: Vec::new() };
    for statement in &program.body {
        match statement {
            Statement::ImportDeclaration(import) => {
                let from = imports.from(&import.source);
                for specifier in import.specifiers.iter().flatten() {
                    match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(s) => {
                            imports.name(from, &s.imported.name(), s.imported.span());
                        }
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => {
                            imports.name(from, "default", s.span)
                        }
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => {
                            let text = format!("{{ {NAMESPACE} as {} }}", s.local.name);
                            imports.found[from].namespaces.push((range(s.span), text));
                        }
                    }
                }
            }
            Statement::ExportFromDeclaration(export) => {
                let from = imports.from(&export.source);
                for specifier in &export.specifiers {
                    imports.name(from, &specifier.local.name(), specifier.local.span());
                }
            }
            Statement::ExportAllDeclaration(export) => {
                let from = imports.from(&export.source);
                match &export.exported {
                    Some(name) => {
                        let name = &code[range(name.span())];
                        let until = export.source.span.start as usize;
                        let text = format!("export {{ {NAMESPACE} as {name} }} from ");
                        imports.found[from].namespaces.push((export.span.start as usize..until, text));
                    }
                    None => imports.found[from].star = true,
                }
            }
            _ => {}
        }
    }
    imports.found
}

struct Imports<'a> {
    code: &'a str,
    found: Vec<Import>,
}

impl Imports<'_> {
    fn from(&mut self, source: &StringLiteral<'_>) -> usize {
        let specifier = source.value.as_str();
        match self.found.iter().position(|known| known.specifier == specifier) {
            Some(at) => at,
            None => {
                let (line, column) = place(self.code, source.span.start as usize);
                self.found.push(Import {
                    specifier: specifier.to_owned(),
                    line,
                    column,
                    ..Import::default()
                });
                self.found.len() - 1
            }
        }
    }

    fn name(&mut self, from: usize, name: &str, span: Span) {
        let (line, column) = place(self.code, span.start as usize);
        self.found[from].names.push(Place { name: name.to_owned(), line, column });
    }
}

/// Names exported here, declared here or not; what `export *` adds is not among them.
fn exports(record: &ModuleRecord<'_>) -> Vec<String> {
    let entries = record.local_export_entries.iter().chain(&record.indirect_export_entries);
    entries
        .filter_map(|entry| match &entry.export_name {
            ExportExportName::Name(name) => Some(name.name.to_string()),
            ExportExportName::Default(_) => Some("default".to_owned()),
            ExportExportName::Null => None,
        })
        .collect()
}

fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// The reference's words for the commonest error; otherwise the parser's own, which say what was expected.
pub(super) fn first_error(code: &str, errors: &[OxcDiagnostic]) -> SyntaxError {
    let Some(error) = errors.first() else {
        return SyntaxError { line: 1, column: 1, message: "the script cannot be parsed".to_owned() };
    };
    let (offset, length) =
        error.labels.first().map_or((0, 0), |label| (label.offset() as usize, label.len() as usize));
    let (line, column) = place(code, offset);
    let token = code.get(offset..offset + length).filter(|t| !t.is_empty() && !t.contains('\n'));
    let mut message = match (token, error.message.as_ref()) {
        (Some(token), "Unexpected token") => format!("Unexpected token {token}"),
        (Some(token), text) if text.starts_with("Expected ") => {
            let expected = text.split(" but found ").next().unwrap_or(text);
            format!("Unexpected token {token} ({expected})")
        }
        (None, text) if offset >= code.trim_end().len() && text.starts_with("Expected ") => {
            format!("Unexpected end of input ({text})")
        }
        (_, text) => text.to_owned(),
    };
    if errors.len() > 1 {
        message.push_str(&format!(" (and {} more errors)", errors.len() - 1));
    }
    SyntaxError { line, column, message }
}

/// Line and column of an offset, both from 1, columns in UTF-16 units.
pub(super) fn place(code: &str, offset: usize) -> (u32, u32) {
    let before = code.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() as u32 + 1, before[line_start..].encode_utf16().count() as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(import: &Import) -> Vec<&str> {
        import.names.iter().map(|place| place.name.as_str()).collect()
    }

    #[test]
    fn modules_are_told_from_commonjs() {
        assert!(parse("import { a } from 'k6'", false).unwrap().is_module);
        assert!(parse("export {}", false).unwrap().is_module);
        assert!(parse("const x = await Promise.resolve(1);", false).unwrap().is_module);
        assert!(parse("console.log(import.meta.resolve('./x'))", false).unwrap().is_module);
        assert!(!parse("module.exports.default = function () {}", false).unwrap().is_module);
        assert!(!parse("if (x) return; with (y) z;", false).unwrap().is_module);
    }

    #[test]
    fn imports_are_listed_by_specifier() {
        let code = "import d, { a, b as c } from 'k6';\nexport { x } from './y.js';\nimport { e } from 'k6';\nexport * from './z.js';";
        let parsed = parse(code, false).unwrap();
        assert_eq!(
            parsed.imports.iter().map(|i| i.specifier.as_str()).collect::<Vec<_>>(),
            ["k6", "./y.js", "./z.js"]
        );
        assert_eq!(names(&parsed.imports[0]), ["default", "a", "b", "e"]);
        assert_eq!(parsed.imports[0].names[3], Place { name: "e".into(), line: 3, column: 10 });
        assert_eq!(names(&parsed.imports[1]), ["x"]);
        assert!(parsed.imports[2].star);
    }

    #[test]
    fn namespaces_can_be_bound_by_name() {
        let code = "import d, * as n from 'a';\nexport * as m from 'b';";
        let parsed = parse(code, false).unwrap();
        let mut edited = code.to_owned();
        for (range, text) in parsed.imports.iter().rev().flat_map(|i| &i.namespaces) {
            edited.replace_range(range.clone(), text);
        }
        assert_eq!(
            edited,
            "import d, { __senary_namespace as n } from 'a';\nexport { __senary_namespace as m } from 'b';"
        );
    }

    #[test]
    fn exports_are_listed() {
        let code = "export const a = 1, b = 2; export default class {}; export { c as d } from './x.js'; export * as e from './y.js'; export * from './z.js';";
        let mut exports = parse(code, false).unwrap().exports;
        exports.sort();
        assert_eq!(exports, ["a", "b", "d", "default", "e"]);
    }

    #[test]
    fn typescript_is_translated() {
        let code = "import type { T } from './types.ts';\nimport { u, type V } from './u.ts';\nenum A { X = 1 }\n\nexport default function (): number {\n  return u(A.X as number);\n}";
        let parsed = parse(code, true).unwrap();
        assert!(parsed.is_module);
        assert!(!parsed.code.contains(": number"), "{}", parsed.code);
        assert_eq!(parsed.imports.iter().map(|i| i.specifier.as_str()).collect::<Vec<_>>(), ["./u.ts"]);
        let line = parsed.code.lines().position(|line| line.contains("return u")).unwrap() as u32 + 1;
        let column = parsed.code.lines().nth(line as usize - 1).unwrap().find("return").unwrap() as u32 + 1;
        let (_, line, column) = parsed.map.unwrap().original(line, column).unwrap();
        assert_eq!((line, column), (6, 3));
    }

    #[test]
    fn errors_name_their_place_and_token() {
        let error = |code| parse(code, false).unwrap_err();
        assert_eq!(
            error("let a = 1;\nlet b = ;\n"),
            SyntaxError { line: 2, column: 9, message: "Unexpected token ;".into() }
        );
        let found = error("const fine = 1;\nconst x = {;\n");
        assert_eq!((found.line, found.column), (2, 12));
        assert!(found.message.starts_with("Unexpected token ;"), "{}", found.message);
        assert!(
            error("function f() {").message.starts_with("Unexpected end of input"),
            "{:?}",
            error("function f() {")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(code in "[ -~\n☃]{0,60}") {
            let _ = parse(&code, false);
            let _ = parse(&code, true);
        }
    }
}
