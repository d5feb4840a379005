//! Error messages for texts that are not JSON, with the place of the error, in Go's words: the reference shows those to scripts.

/// Go reads no deeper.
const DEEPEST: usize = 10_000;

const VALUE: &str = "looking for beginning of value";
const KEY: &str = "looking for beginning of object key string";

/// The first error, and how many bytes were read, including the wrong one.
#[derive(Debug, PartialEq, Eq)]
struct SyntaxError {
    read: usize,
    text: String,
}

type Checked = Result<(), SyntaxError>;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The message about a text that is not JSON; `None` if it is.
pub fn describe(text: &[u8]) -> Option<String> {
    let error = check(text).err()?;
    let (line, character) = place(text, error.read);
    Some(format!(
        "cannot parse json due to an error at line {line}, character {character} , error: {}",
        error.text
    ))
}

/// The line and the character in it, as the reference counts them: it looks at the character behind the wrong one, and
/// a line break is the first character of the line that it begins.
fn place(text: &[u8], read: usize) -> (usize, usize) {
    let text = String::from_utf8_lossy(text);
    let (mut line, mut character) = (1, 0);
    for (at, c) in text.char_indices() {
        if c == '\n' {
            line += 1;
            character = 0;
        }
        character += 1;
        if at == read {
            break;
        }
    }
    (line, character)
}

fn check(text: &[u8]) -> Checked {
    let mut reader = Reader { bytes: text, at: 0 };
    // What each open bracket is, so that depth takes no stack.
    let mut open: Vec<u8> = Vec::new();
    loop {
        reader.skip_blanks();
        match reader.next()? {
            bracket @ (b'{' | b'[') => {
                open.push(bracket);
                if open.len() > DEEPEST {
                    return Err(SyntaxError { read: reader.at, text: "exceeded max depth".to_owned() });
                }
                reader.skip_blanks();
                let closing = if bracket == b'{' { b'}' } else { b']' };
                if reader.peek() != Some(closing) {
                    if bracket == b'{' {
                        reader.key()?;
                    }
                    continue;
                }
            }
            b'"' => reader.string()?,
            b'-' => reader.number_after_minus()?,
            digit @ b'0'..=b'9' => reader.number(digit)?,
            b't' => reader.literal("true")?,
            b'f' => reader.literal("false")?,
            b'n' => reader.literal("null")?,
            _ => return Err(reader.wrong(VALUE)),
        }
        // A value has ended, and with it perhaps those around it.
        loop {
            reader.skip_blanks();
            let Some(bracket) = open.last().copied() else {
                return match reader.peek() {
                    None => Ok(()),
                    Some(_) => {
                        reader.at += 1;
                        Err(reader.wrong("after top-level value"))
                    }
                };
            };
            let is_object = bracket == b'{';
            let context = if is_object { "after object key:value pair" } else { "after array element" };
            match reader.next()? {
                b',' => {
                    reader.skip_blanks();
                    if is_object {
                        reader.key()?;
                    }
                    break;
                }
                b'}' if is_object => drop(open.pop()),
                b']' if !is_object => drop(open.pop()),
                _ => return Err(reader.wrong(context)),
            }
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte. There must be one.
    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek().ok_or_else(|| SyntaxError {
            read: self.bytes.len(),
            text: "unexpected end of JSON input".to_owned(),
        })?;
        self.at += 1;
        Ok(byte)
    }

    /// The error for the last byte read, which is not allowed there.
    fn wrong(&self, context: &str) -> SyntaxError {
        let byte = self.at.checked_sub(1).and_then(|at| self.bytes.get(at)).copied().unwrap_or_default();
        SyntaxError { read: self.at, text: format!("invalid character {} {context}", quoted(byte)) }
    }

    fn expect(&mut self, is_right: impl Fn(u8) -> bool, context: &str) -> Checked {
        if is_right(self.next()?) { Ok(()) } else { Err(self.wrong(context)) }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn key(&mut self) -> Checked {
        self.expect(|byte| byte == b'"', KEY)?;
        self.string()?;
        self.skip_blanks();
        self.expect(|byte| byte == b':', "after object key")
    }

    fn string(&mut self) -> Checked {
        const CONTEXT: &str = "in string literal";
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let context = "in \\u hexadecimal character escape";
                            self.expect(|byte| byte.is_ascii_hexdigit(), context)?;
                        }
                    }
                    _ => return Err(self.wrong("in string escape code")),
                },
                0..0x20 => return Err(self.wrong(CONTEXT)),
                _ => {}
            }
        }
    }

    fn number_after_minus(&mut self) -> Checked {
        const CONTEXT: &str = "in numeric literal";
        match self.next()? {
            digit @ b'0'..=b'9' => self.number(digit),
            _ => Err(self.wrong(CONTEXT)),
        }
    }

    fn number(&mut self, first: u8) -> Checked {
        if first != b'0' {
            self.skip_digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.expect(|byte| byte.is_ascii_digit(), "after decimal point in numeric literal")?;
            self.skip_digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.expect(|byte| byte.is_ascii_digit(), "in exponent of numeric literal")?;
            self.skip_digits();
        }
        Ok(())
    }

    /// Reads the rest of a word (`true`, `false`, `null`) after its first letter.
    fn literal(&mut self, word: &str) -> Checked {
        for expected in word.bytes().skip(1) {
            let context = format!("in literal {word} (expecting '{}')", char::from(expected));
            self.expect(|byte| byte == expected, &context)?;
        }
        Ok(())
    }
}

/// A byte between quotes, as a character of that number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'\\' => "'\\\\'".to_owned(),
        0x07 => "'\\a'".to_owned(),
        0x08 => "'\\b'".to_owned(),
        0x0b => "'\\v'".to_owned(),
        0x0c => "'\\f'".to_owned(),
        b'\n' => "'\\n'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> String {
        check(text.as_bytes())
            .map_or_else(|error| format!("{} {}", error.read, error.text), |()| "fine".to_owned())
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, expected) in [
            ("", "0 unexpected end of JSON input"),
            ("  ", "2 unexpected end of JSON input"),
            ("<html>", "1 invalid character '<' looking for beginning of value"),
            (r#"{"a":1"#, "6 unexpected end of JSON input"),
            (r#"{a:1}"#, "2 invalid character 'a' looking for beginning of object key string"),
            (r#"{"a":1,}"#, "8 invalid character '}' looking for beginning of object key string"),
            (r#"{"a" 1}"#, "6 invalid character '1' after object key"),
            (r#"{"a":1 "b"}"#, "8 invalid character '\"' after object key:value pair"),
            ("[1 2]", "4 invalid character '2' after array element"),
            ("[1,]", "4 invalid character ']' looking for beginning of value"),
            ("[1}", "3 invalid character '}' after array element"),
            ("{} x", "4 invalid character 'x' after top-level value"),
            ("'a'", "1 invalid character '\\'' looking for beginning of value"),
            ("truth", "4 invalid character 't' in literal true (expecting 'e')"),
            ("nul", "3 unexpected end of JSON input"),
            ("-x", "2 invalid character 'x' in numeric literal"),
            ("01", "2 invalid character '1' after top-level value"),
            ("1.", "2 unexpected end of JSON input"),
            ("1.x", "3 invalid character 'x' after decimal point in numeric literal"),
            ("1e+x", "4 invalid character 'x' in exponent of numeric literal"),
            ("\"a\nb\"", "3 invalid character '\\n' in string literal"),
            (r#""\x""#, "3 invalid character 'x' in string escape code"),
            (r#""\u00g0""#, "6 invalid character 'g' in \\u hexadecimal character escape"),
            ("\u{feff}{}", "1 invalid character 'ï' looking for beginning of value"),
            (r#" {"a":[1,-2.5e+3,{}],"b":[],"c":"\u00e9\\"} "#, "fine"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
        let deep = "[".repeat(DEEPEST + 1);
        assert_eq!(said(&deep), "10001 exceeded max depth");
    }

    #[test]
    fn places_are_counted_as_in_the_reference() {
        let place = |text: &str| describe(text.as_bytes()).unwrap_or_default();
        assert_eq!(
            place("<html>"),
            "cannot parse json due to an error at line 1, character 2 , error: invalid character '<' looking for beginning of value"
        );
        assert!(
            place("{\n\t\"a\": 1,\n\t\"t\":testing\"\n}")
                .contains("line 3, character 9 , error: invalid character 'e' in literal true")
        );
        assert!(place("").contains("line 1, character 0 , error: unexpected end"));
    }

    proptest! {
        #[test]
        fn it_accepts_what_is_json(text in "[\\[\\]{}:,\"0-9.eE+a-z \\\\-]{0,12}") {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(check(text.as_bytes()).is_ok(), is_json, "{}", text);
        }
    }
}
