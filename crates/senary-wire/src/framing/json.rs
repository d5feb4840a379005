//! Where a JSON value ends. Brackets and strings are followed, and nothing else is checked: that is the reader's.

use crate::framing::error::{Fault, Reason};
use crate::framing::scan::{MORE, Scan};
use crate::framing::view::View;

/// White space between values.
pub const BETWEEN: &[u8] = b" \t\r\n";

#[derive(Default)]
pub struct JsonState {
    inside: Inside,
    brackets: Brackets,
}

#[derive(Default)]
enum Inside {
    /// Before the first byte.
    #[default]
    Start,
    /// In an object or an array, between strings.
    Structure,
    Text,
    /// In a string, behind a backslash.
    Escape,
    /// A number that is the whole value: only what follows says that it is over.
    Number,
    /// What is still to come of `true`, `false` or `null` as the whole value.
    Literal(&'static [u8]),
}

/// The open brackets, a bit each, so that deep nesting takes no more memory than its text.
#[derive(Default)]
struct Brackets {
    depth: usize,
    /// Set for braces.
    bits: Vec<u64>,
}

impl JsonState {
    pub fn scan(&mut self, view: View<'_>) -> Result<Scan, Fault> {
        let mut at = view.seen();
        while at < view.len() {
            if let Some(end) = self.step(&mut at, view)? {
                return Ok(Scan::End(end));
            }
        }
        Ok(MORE)
    }

    /// Goes on by a byte, or by many that change nothing. Gives back the value's end.
    fn step(&mut self, at: &mut usize, view: View<'_>) -> Result<Option<usize>, Fault> {
        let rest = &view.new[*at - view.seen()..];
        let byte = rest[0];
        match &mut self.inside {
            Inside::Start => {
                self.inside =
                    start(byte).ok_or(Fault::Invalid { at: *at, reason: Reason::JsonByte(byte) })?;
                if let b'{' | b'[' = byte {
                    self.brackets.open(byte);
                }
                *at += 1;
            }
            Inside::Structure => return self.structure(at, rest),
            Inside::Text => match memchr::memchr2(b'"', b'\\', rest) {
                Some(stop) => {
                    *at += stop + 1;
                    if rest[stop] == b'\\' {
                        self.inside = Inside::Escape;
                    } else if self.brackets.depth == 0 {
                        return Ok(Some(*at));
                    } else {
                        self.inside = Inside::Structure;
                    }
                }
                None => *at += rest.len(),
            },
            Inside::Escape => {
                self.inside = Inside::Text;
                *at += 1;
            }
            Inside::Number => {
                if !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
                    return Ok(Some(*at));
                }
                *at += 1;
            }
            Inside::Literal(expected) => {
                if expected.first() != Some(&byte) {
                    return Err(Fault::Invalid { at: *at, reason: Reason::JsonByte(byte) });
                }
                *at += 1;
                *expected = &expected[1..];
                if expected.is_empty() {
                    return Ok(Some(*at));
                }
            }
        }
        Ok(None)
    }

    /// Goes on to the next bracket or string.
    fn structure(&mut self, at: &mut usize, rest: &[u8]) -> Result<Option<usize>, Fault> {
        let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'));
        *at += stop.map_or(rest.len(), |stop| stop + 1);
        match stop.map(|stop| rest[stop]) {
            None => {}
            Some(b'"') => self.inside = Inside::Text,
            Some(open @ (b'{' | b'[')) => self.brackets.open(open),
            Some(close) if self.brackets.close(close) => {
                return Ok((self.brackets.depth == 0).then_some(*at));
            }
            Some(close) => return Err(Fault::Invalid { at: *at - 1, reason: Reason::JsonBracket(close) }),
        }
        Ok(None)
    }

    /// Whether the end of the stream ends the value, too.
    pub fn ends_here(&self) -> bool {
        matches!(self.inside, Inside::Number)
    }
}

fn start(byte: u8) -> Option<Inside> {
    Some(match byte {
        b'{' | b'[' => Inside::Structure,
        b'"' => Inside::Text,
        b'-' | b'0'..=b'9' => Inside::Number,
        b't' => Inside::Literal(b"rue"),
        b'f' => Inside::Literal(b"alse"),
        b'n' => Inside::Literal(b"ull"),
        _ => return None,
    })
}

impl Brackets {
    fn open(&mut self, bracket: u8) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        let brace = u64::from(bracket == b'{');
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (brace << bit);
        self.depth += 1;
    }

    /// Whether the bracket closes the innermost one; there is one while the value is under way.
    fn close(&mut self, bracket: u8) -> bool {
        self.depth -= 1;
        let brace = (self.bits[self.depth / 64] >> (self.depth % 64)) & 1 == 1;
        brace == (bracket == b'}')
    }
}
