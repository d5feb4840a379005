//! Features of TypeScript's namespaces that the transformer does not support: exported variables that change, and
//! blocks of one namespace that use each other's exports. Both are rewritten to forms that it supports.

use std::collections::HashMap;

use oxc::allocator::{Allocator, ArenaVec};
use oxc::ast::ast::*;
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{Visit, VisitMut, walk, walk_mut};
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SymbolId};
use oxc::span::{GetSpan, SourceType, Span};
use oxc::str::Ident;

/// What keeps a namespace from being translated, and where.
pub type Obstacle = (Span, String);

/// Rewrites the namespaces of a program. Returns whether anything was rewritten; then the scopes have to be computed
/// again.
pub fn lower<'a>(
    program: &mut Program<'a>,
    allocator: &'a Allocator,
    scoping: &Scoping,
) -> Result<bool, Obstacle> {
    let mut exports = Exports::default();
    exports.visit_program(program);
    if let Some(obstacle) = exports.obstacle {
        return Err(obstacle);
    }
    if exports.blocks.is_empty() {
        return Ok(false);
    }
    let mut lowering = Lowering {
        allocator,
        builder: AstBuilder::new(allocator),
        scoping,
        exports: exports.blocks,
        open: Vec::new(),
        obstacle: None,
    };
    lowering.visit_program(program);
    match lowering.obstacle {
        Some(obstacle) => Err(obstacle),
        None => Ok(true),
    }
}

/// The values that blocks of namespaces export: by the names that lead to a namespace, each with its block.
#[derive(Default)]
struct Exports<'a> {
    blocks: HashMap<String, Vec<(Ident<'a>, Span)>>,
    path: Vec<Ident<'a>>,
    obstacle: Option<Obstacle>,
}

impl<'a> Visit<'a> for Exports<'a> {
    fn visit_ts_namespace_declaration(&mut self, namespace: &TSNamespaceDeclaration<'a>) {
        if namespace.declare {
            return;
        }
        if let TSNamespaceDeclarationBody::TSNamespaceDeclaration(inner) = &namespace.body {
            // `namespace A.B {}`: A has a block of this size, and nothing in it but B.
            self.add(namespace, [inner.id.name]);
        }
        if let TSNamespaceDeclarationBody::TSModuleBlock(block) = &namespace.body {
            let declarations = block.body.iter().filter_map(|statement| match statement {
                Statement::ExportDeclaration(export) if !export.declaration.declare() => {
                    Some(&export.declaration)
                }
                _ => None,
            });
            let declarations: Vec<_> = declarations.collect();
            self.refuse_parts_of_enums(namespace, &declarations);
            self.add(namespace, declarations.iter().copied().flat_map(names_of));
        }
        self.path.push(namespace.id.name);
        walk::walk_ts_namespace_declaration_body(self, &namespace.body);
        self.path.pop();
    }
}

impl<'a> Exports<'a> {
    /// An enum whose other members stand in another block: the transformer makes a new one, without them.
    fn refuse_parts_of_enums(
        &mut self,
        namespace: &TSNamespaceDeclaration<'a>,
        declarations: &[&Declaration<'a>],
    ) {
        let known = self.blocks.get(&path_of(&self.path, namespace)).map(Vec::as_slice).unwrap_or_default();
        let block = namespace.body.span();
        for declaration in declarations {
            let Declaration::TSEnumDeclaration(part) = declaration else { continue };
            let name = part.id.name;
            if known.iter().any(|(known, other)| *known == name && *other != block) {
                let text = format!(
                    "the enum `{name}` has members in two blocks of the namespace `{}`: put them into one",
                    namespace.id.name
                );
                self.obstacle.get_or_insert((part.id.span, text));
            }
        }
    }

    fn add(&mut self, namespace: &TSNamespaceDeclaration<'a>, names: impl IntoIterator<Item = Ident<'a>>) {
        let block = namespace.body.span();
        let known = self.blocks.entry(path_of(&self.path, namespace)).or_default();
        known.extend(names.into_iter().map(|name| (name, block)));
    }
}

fn path_of(outside: &[Ident<'_>], namespace: &TSNamespaceDeclaration<'_>) -> String {
    let names: Vec<&str> = outside.iter().chain([&namespace.id.name]).map(|name| name.as_str()).collect();
    names.join(".")
}

/// The values a declaration declares.
fn names_of<'a>(declaration: &Declaration<'a>) -> Vec<Ident<'a>> {
    match declaration {
        Declaration::VariableDeclaration(variables) => {
            let patterns = variables.declarations.iter().map(|variable| &variable.id);
            patterns.flat_map(|pattern| pattern.get_binding_identifiers()).map(|id| id.name).collect()
        }
        declaration if declaration.is_type() => Vec::new(),
        declaration => declaration.id().map(|id| id.name).into_iter().collect(),
    }
}

struct Lowering<'a, 's> {
    allocator: &'a Allocator,
    builder: AstBuilder<'a>,
    scoping: &'s Scoping,
    exports: HashMap<String, Vec<(Ident<'a>, Span)>>,
    /// The namespaces around, outermost first.
    open: Vec<Open<'a>>,
    obstacle: Option<Obstacle>,
}

struct Open<'a> {
    name: Ident<'a>,
    symbol: Option<SymbolId>,
    block: Span,
    /// What other blocks of it export.
    elsewhere: Vec<Ident<'a>>,
}

impl<'a> VisitMut<'a> for Lowering<'a, '_> {
    fn visit_ts_namespace_declaration(&mut self, namespace: &mut TSNamespaceDeclaration<'a>) {
        if namespace.declare {
            return;
        }
        let outside: Vec<_> = self.open.iter().map(|open| open.name).collect();
        let block = namespace.body.span();
        let exports = self.exports.get(&path_of(&outside, namespace)).map(Vec::as_slice).unwrap_or_default();
        let elsewhere = exports.iter().filter(|(_, other)| *other != block).map(|(name, _)| *name).collect();
        let (name, symbol) = (namespace.id.name, namespace.id.symbol_id.get());
        self.open.push(Open { name, symbol, block, elsewhere });
        walk_mut::walk_ts_namespace_declaration_body(self, &mut namespace.body);
        if let TSNamespaceDeclarationBody::TSModuleBlock(block) = &mut namespace.body {
            let is_itself = namespace
                .scope_id
                .get()
                .is_some_and(|scope| self.scoping.find_binding(scope, name) == symbol);
            self.lower_variables(block, name, is_itself);
        }
        self.open.pop();
    }

    fn visit_expression(&mut self, expression: &mut Expression<'a>) {
        if let Expression::Identifier(id) = expression
            && let Some(namespace) = self.namespace_of(id)
        {
            *expression = Expression::StaticMemberExpression(self.member(namespace, id));
            return;
        }
        walk_mut::walk_expression(self, expression);
    }

    fn visit_simple_assignment_target(&mut self, target: &mut SimpleAssignmentTarget<'a>) {
        if let SimpleAssignmentTarget::AssignmentTargetIdentifier(id) = target
            && let Some(namespace) = self.namespace_of(id)
        {
            *target = SimpleAssignmentTarget::StaticMemberExpression(self.member(namespace, id));
            return;
        }
        walk_mut::walk_simple_assignment_target(self, target);
    }

    fn visit_object_property(&mut self, property: &mut ObjectProperty<'a>) {
        walk_mut::walk_object_property(self, property);
        property.shorthand &= matches!(property.value, Expression::Identifier(_));
    }

    /// `({ name } = object)`
    fn visit_assignment_target_property(&mut self, property: &mut AssignmentTargetProperty<'a>) {
        walk_mut::walk_assignment_target_property(self, property);
        let AssignmentTargetProperty::AssignmentTargetPropertyIdentifier(short) = property else { return };
        let Some(namespace) = self.namespace_of(&short.binding) else { return };
        let (span, id) = (short.span, &short.binding);
        let target = AssignmentTarget::StaticMemberExpression(self.member(namespace, id));
        let key = PropertyKey::new_static_identifier(id.span, id.name, &self.builder);
        let target = match short.init.take() {
            Some(init) => AssignmentTargetMaybeDefault::new_assignment_target_with_default(
                span,
                target,
                init,
                &self.builder,
            ),
            None => AssignmentTargetMaybeDefault::from(target),
        };
        *property = AssignmentTargetProperty::new_assignment_target_property_property(
            span,
            key,
            target,
            false,
            &self.builder,
        );
    }
}

impl<'a> Lowering<'a, '_> {
    /// The namespace whose other block exports what a name stands for here.
    fn namespace_of(&mut self, id: &IdentifierReference<'a>) -> Option<Ident<'a>> {
        if self.open.iter().all(|open| open.elsewhere.is_empty()) {
            return None;
        }
        let reference = self.scoping.get_reference(id.reference_id.get()?);
        let declared = reference.symbol_id().map(|symbol| self.scoping.symbol_span(symbol));
        for open in self.open.iter().rev() {
            if declared.is_some_and(|span| open.block.contains_inclusive(span)) {
                return None;
            }
            if open.elsewhere.contains(&id.name) {
                if self.scoping.find_binding(reference.scope_id(), open.name) != open.symbol {
                    self.obstacle.get_or_insert_with(|| (id.span, hidden(&id.name, &open.name)));
                }
                return Some(open.name);
            }
        }
        None
    }

    fn member(
        &self,
        namespace: Ident<'a>,
        id: &IdentifierReference<'a>,
    ) -> oxc::allocator::ArenaBox<'a, StaticMemberExpression<'a>> {
        let object = Expression::new_identifier(id.span, namespace, &self.builder);
        let property = IdentifierName::new(id.span, id.name, &self.builder);
        StaticMemberExpression::boxed(id.span, object, property, false, &self.builder)
    }

    /// `export let a = 1` becomes a variable of the block that the namespace has an accessor for.
    fn lower_variables(&mut self, block: &mut TSModuleBlock<'a>, namespace: Ident<'a>, is_itself: bool) {
        let is_lowered = |statement: &Statement<'_>| match statement {
            Statement::ExportDeclaration(export) => is_lowered_export(export),
            _ => false,
        };
        if !block.body.iter().any(is_lowered) {
            return;
        }
        let statements = std::mem::replace(&mut block.body, ArenaVec::new_in(&self.builder));
        for statement in statements {
            match statement {
                Statement::ExportDeclaration(export) if is_lowered_export(&export) => {
                    let span = export.span;
                    let names = names_of(&export.declaration);
                    block.body.push(Statement::from(export.unbox().declaration));
                    for name in names {
                        if !is_itself {
                            self.obstacle.get_or_insert_with(|| (span, hidden(&name, &namespace)));
                        }
                        block.body.extend(self.accessor(&namespace, &name, span));
                    }
                }
                statement => block.body.push(statement),
            }
        }
    }

    fn accessor(&self, namespace: &str, name: &str, span: Span) -> ArenaVec<'a, Statement<'a>> {
        let code = format!(
            "Object.defineProperty({namespace}, \"{name}\", {{ get: () => {name}, set: (_{name}) => {{ {name} = _{name} }}, enumerable: true, configurable: true }});"
        );
        let code = self.allocator.alloc_str(&code);
        let mut program = Parser::new(self.allocator, code, SourceType::mjs()).parse().program;
        // Wherever it is looked for, it comes from there.
        At(span).visit_program(&mut program);
        program.body
    }
}

fn is_lowered_export(export: &ExportDeclaration<'_>) -> bool {
    matches!(&export.declaration, Declaration::VariableDeclaration(v) if !v.kind.is_const() && !v.declare)
}

fn hidden(name: &str, namespace: &str) -> String {
    format!(
        "`{name}` is exported by a namespace `{namespace}`, but something else is called `{namespace}` here; give that another name"
    )
}

/// Gives everything the same place.
struct At(Span);

impl VisitMut<'_> for At {
    fn visit_span(&mut self, span: &mut Span) {
        *span = self.0;
    }
}
