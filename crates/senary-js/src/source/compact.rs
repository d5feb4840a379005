//! Scripts of this program's own, for a page: without comments and without spaces that mean nothing, and with short names for what is
//! seen only inside a function.

use oxc::allocator::Allocator;
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::mangler::{Mangler, ManglerReturn};
use oxc::parser::Parser;
use oxc::span::SourceType;

/// The same script in fewer bytes. One that cannot be parsed stays as it is: whatever runs it says what is wrong.
pub fn compact(script: &str) -> String {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, script, SourceType::script()).parse();
    if parsed.panicked || !parsed.diagnostics.is_empty() {
        return script.to_owned();
    }
    let ManglerReturn { scoping, class_private_mappings } = Mangler::new().build(&parsed.program);
    Codegen::new()
        .with_options(CodegenOptions::minify())
        .with_scoping(Some(scoping))
        .with_private_member_mappings(Some(class_private_mappings))
        .build(&parsed.program)
        .code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_left_out() {
        let script = "// Adds.\nconst add = (one, two) => {\n  return one + +two // It may be a text.\n}\nconst text = `a  ${ add(1, 2) }`\n";
        assert_eq!(compact(script), "const add=(e,t)=>{return e+ +t};const text=`a  ${add(1,2)}`;");
        assert_eq!(compact("const = 1"), "const = 1");
    }
}
