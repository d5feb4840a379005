//! Stack traces as users of the reference know them: a tab, `at`, the function and where.

/// Joins an error's text with the engine's stack: `Error: x\n\tat fn (file:///p/s.js:1:34)\n`.
pub fn render(text: &str, stack: &str) -> String {
    let mut out = text.to_owned();
    for line in stack.lines() {
        let Some(frame) = line.trim().strip_prefix("at ") else { continue };
        out.push_str("\n\tat ");
        match frame.strip_suffix(" (native)") {
            Some(function) => {
                out.push_str(function);
                out.push_str(" (native)");
            }
            // A frame outside any function has a place only.
            None => out.push_str(frame.strip_prefix("<anonymous> ").unwrap_or(frame)),
        }
    }
    if out.len() > text.len() {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn frames_take_the_reference_shape() {
        let stack = "    at boom (file:///p/s.js:3:9)\n    at group (native)\n    at <anonymous> (file:///p/s.js:9:1)\n";
        assert_eq!(
            super::render("Error: x", stack),
            "Error: x\n\tat boom (file:///p/s.js:3:9)\n\tat group (native)\n\tat (file:///p/s.js:9:1)\n"
        );
        assert_eq!(super::render("plain", ""), "plain");
    }
}
