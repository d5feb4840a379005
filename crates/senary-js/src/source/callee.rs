//! The expression that a call calls, as it is written: the engine only says that it is not a function.

/// The name at a byte of a text, and the names that lead to it: `socket.conect` for its second part. `None` if the call
/// calls something other than a name.
pub fn at(code: &str, byte: usize) -> Option<&str> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '#');
    let name = code.get(byte..)?;
    let length = name.find(|c| !is_name(c)).unwrap_or(name.len());
    let is_called = name[length..].trim_start().starts_with(['(', '`']);
    if length == 0 || !is_called {
        return None;
    }
    let path = code[..byte].trim_end_matches(|c| is_name(c) || c == '.').len();
    // Dots may be left of a spread, of `?.`, or of a call in the middle of a chain.
    Some(code[path..byte + length].trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn names_are_found() {
        for (code, part, expected) in [
            ("foo();", "foo", Some("foo")),
            ("x = a.b.c (1)", "c", Some("a.b.c")),
            ("f(1).go(2)", "go", Some("go")),
            ("o?.go()", "go", Some("go")),
            ("[...all.go()]", "go", Some("all.go")),
            ("this.#go()", "#go", Some("this.#go")),
            ("é.$go``", "$go", Some("é.$go")),
            ("o\n  .go()", "go", Some("go")),
            ("o['go']()", "o", None),
            ("(void 0)()", "(", None),
            ("go", "go", None),
        ] {
            assert_eq!(super::at(code, code.find(part).unwrap()), expected, "{code}");
        }
    }

    proptest! {
        #[test]
        fn any_place_is_answered(code in "\\PC{0,40}", byte in 0_usize..60) {
            super::at(&code, byte);
        }
    }
}
