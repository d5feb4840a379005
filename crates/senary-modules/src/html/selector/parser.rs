//! The grammar of selectors.

use std::cell::RefCell;

use regex_lite::Regex;

use super::{Chain, Compound, Condition, Expected, Nth, Relation, Relative, Selector};

/// At most this many compounds may depend on each other, by relation or nesting. Each takes some of the stack.
const DEEPEST: usize = 100;

/// `None` for a text that is not a selector.
pub fn parse(text: &str) -> Option<Selector> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let selector = parser.selector()?;
    (parser.at == text.len()).then_some(selector)
}

/// Reads a selector from the left; whatever it does not understand ends it.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// Compounds that the next one depends on.
    depth: usize,
}

impl Parser<'_> {
    fn selector(&mut self) -> Option<Selector> {
        let chains = self.list(Self::chain)?;
        Some(Selector(chains))
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let depth = self.depth;
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            items.push(item(self)?);
            self.depth = depth;
            if !self.eat(b',') {
                return Some(items);
            }
        }
    }

    fn chain(&mut self) -> Option<Chain> {
        let mut last = self.compound()?;
        let mut before = Vec::new();
        loop {
            let is_apart = self.skip_blanks();
            let relation = match self.peek() {
                None | Some(b',' | b')') => break,
                _ => match self.relation() {
                    Some(relation) => relation,
                    None if is_apart => Relation::Descendant,
                    None => return None,
                },
            };
            let next = self.compound()?;
            before.push((relation, std::mem::replace(&mut last, next)));
        }
        before.reverse();
        Some(Chain { last, before })
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match self.peek()? {
            b'>' => Relation::Child,
            b'+' => Relation::Next,
            b'~' => Relation::Later,
            _ => return None,
        };
        self.at += 1;
        self.skip_blanks();
        Some(relation)
    }

    fn compound(&mut self) -> Option<Compound> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut conditions = Vec::new();
        match self.peek()? {
            b'*' => self.at += 1,
            b'#' | b'.' | b'[' | b':' => {}
            _ => conditions.push(Condition::Tag(self.identifier()?)),
        }
        loop {
            let Some(first @ (b'#' | b'.' | b'[' | b':')) = self.peek() else {
                return Some(Compound(conditions));
            };
            self.at += 1;
            let attribute =
                |name: &str, value| Condition::Attribute { name: name.to_owned(), value, ignore_case: false };
            match first {
                b'#' => conditions.push(attribute("id", Expected::Equal(self.name()?))),
                b'.' => conditions.push(attribute("class", Expected::Word(self.identifier()?))),
                b'[' => conditions.push(self.attribute()?),
                _ => self.class(&mut conditions)?,
            }
        }
    }

    /// Reads what follows the bracket.
    fn attribute(&mut self) -> Option<Condition> {
        self.skip_blanks();
        let name = self.identifier()?.to_ascii_lowercase();
        self.skip_blanks();
        if self.eat(b']') {
            return Some(Condition::Attribute { name, value: Expected::Anything, ignore_case: false });
        }
        let operator = self.peek()?;
        if operator != b'=' {
            self.at += 1;
        }
        self.expect(b'=')?;
        self.skip_blanks();
        let (mut value, mut ignore_case) = (String::new(), false);
        let mut pattern = None;
        if operator == b'#' {
            pattern = Some(self.pattern()?);
        } else {
            value = self.text()?;
            self.skip_blanks();
            ignore_case = self.eat(b'i') || self.eat(b'I');
        }
        self.skip_blanks();
        self.expect(b']')?;
        if ignore_case {
            value = value.to_lowercase();
        }
        let value = match operator {
            b'=' => Expected::Equal(value),
            b'!' => Expected::NotEqual(value),
            b'~' => Expected::Word(value),
            b'|' => Expected::Dashed(value),
            b'^' => Expected::Prefix(value),
            b'$' => Expected::Suffix(value),
            b'*' => Expected::Part(value),
            b'#' => Expected::Pattern(pattern?),
            _ => return None,
        };
        Some(Condition::Attribute { name, value, ignore_case })
    }

    /// Reads what follows the colon.
    fn class(&mut self, conditions: &mut Vec<Condition>) -> Option<()> {
        let name = self.identifier()?.to_ascii_lowercase();
        let condition = match name.as_str() {
            "not" => Condition::Not(self.in_brackets(Self::selector)?),
            "is" | "where" => Condition::Is(self.in_brackets(Self::selector)?),
            "has" => self.has(Relation::Descendant)?,
            "haschild" => self.has(Relation::Child)?,
            "contains" | "containsown" => {
                let text = self.in_brackets(Self::text)?.to_lowercase();
                Condition::Text { own: name == "containsown", expected: Expected::Part(text) }
            }
            "matches" | "matchesown" => {
                let pattern = self.in_brackets(Self::pattern)?;
                Condition::Text { own: name == "matchesown", expected: Expected::Pattern(pattern) }
            }
            "nth-child" | "nth-last-child" | "nth-of-type" | "nth-last-of-type" => {
                let (a, b) = self.in_brackets(Self::nth)?;
                Nth::condition(a, b, name.starts_with("nth-last"), name.ends_with("type"))
            }
            "first-child" => Nth::condition(0, 1, false, false),
            "last-child" => Nth::condition(0, 1, true, false),
            "first-of-type" => Nth::condition(0, 1, false, true),
            "last-of-type" => Nth::condition(0, 1, true, true),
            "only-child" | "only-of-type" => {
                let of_type = name == "only-of-type";
                conditions.push(Nth::condition(0, 1, false, of_type));
                Nth::condition(0, 1, true, of_type)
            }
            "lang" => Condition::Lang(self.in_brackets(Self::text)?),
            "checked" => Condition::Checked,
            "disabled" => Condition::Disabled,
            "empty" => Condition::Empty,
            "enabled" => Condition::Enabled,
            "input" => Condition::Input,
            "link" | "any-link" => Condition::Link,
            "root" => Condition::Root,
            "visited" | "hover" | "active" | "focus" | "target" => Condition::Never,
            _ => return None,
        };
        conditions.push(condition);
        Some(())
    }

    fn has(&mut self, usual: Relation) -> Option<Condition> {
        let relative = |parser: &mut Self| {
            let relation = parser.relation().unwrap_or(usual);
            Some(Relative { relation, chain: parser.chain()?, below: RefCell::default() })
        };
        Some(Condition::Has(self.in_brackets(|parser| parser.list(relative))?))
    }

    fn in_brackets<T>(&mut self, inner: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        self.expect(b'(')?;
        self.skip_blanks();
        let inner = inner(self)?;
        self.skip_blanks();
        self.expect(b')')?;
        Some(inner)
    }

    /// `odd`, `even`, `an+b`: as (a, b).
    fn nth(&mut self) -> Option<(i64, i64)> {
        if matches!(self.peek()?, b'o' | b'O' | b'e' | b'E') {
            return match self.name()?.to_ascii_lowercase().as_str() {
                "odd" => Some((2, 1)),
                "even" => Some((2, 0)),
                _ => None,
            };
        }
        let sign = self.sign();
        let number = self.integer();
        if !(self.eat(b'n') || self.eat(b'N')) {
            return Some((0, sign.unwrap_or(1) * number?));
        }
        let a = sign.unwrap_or(1) * number.unwrap_or(1);
        self.skip_blanks();
        let b = match self.sign() {
            Some(sign) => {
                self.skip_blanks();
                sign * self.integer()?
            }
            None => 0,
        };
        Some((a, b))
    }

    fn sign(&mut self) -> Option<i64> {
        if self.eat(b'-') {
            return Some(-1);
        }
        self.eat(b'+').then_some(1)
    }

    fn integer(&mut self) -> Option<i64> {
        let rest = &self.text[self.at..];
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        self.at += digits.len();
        digits.parse::<i32>().ok().map(i64::from)
    }

    /// A pattern, up to the closing bracket that is not part of it.
    fn pattern(&mut self) -> Option<Regex> {
        let rest = &self.text[self.at..];
        let mut open = 0;
        let end = rest.bytes().position(|byte| {
            match byte {
                b'(' | b'[' => open += 1,
                b')' | b']' => open -= 1,
                _ => {}
            }
            open < 0
        })?;
        self.at += end;
        Regex::new(&rest[..end]).ok().filter(|_| end > 0)
    }

    /// A string in quotes, or an identifier.
    fn text(&mut self) -> Option<String> {
        match self.peek()? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                self.quoted(char::from(quote))
            }
            _ => self.identifier(),
        }
    }

    /// Reads what follows the first quote.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                character if character == quote => return Some(text),
                '\\' if self.eat(b'\r') => drop(self.eat(b'\n')),
                '\\' if self.eat(b'\n') || self.eat(b'\x0C') => {}
                '\\' => text.push(self.escape()?),
                '\r' | '\n' | '\x0C' => return None,
                character => text.push(character),
            }
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let hyphen = if self.eat(b'-') { "-" } else { "" };
        if self.peek().is_none_or(|byte| byte == b'-' || byte.is_ascii_digit()) {
            return None;
        }
        Some(format!("{hyphen}{}", self.name()?))
    }

    /// Like an identifier, but may begin with anything that may be in one.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while let Some(character) = self.text[self.at..].chars().next() {
            if character.is_ascii_alphanumeric() || matches!(character, '_' | '-') || !character.is_ascii() {
                self.at += character.len_utf8();
                name.push(character);
            } else if self.eat(b'\\') {
                name.push(self.escape()?);
            } else {
                break;
            }
        }
        (!name.is_empty()).then_some(name)
    }

    /// Reads what follows the backslash: up to six hexadecimal digits and a space, or any other character.
    fn escape(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let digits = rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if digits == 0 {
            return self.next().filter(|c| !matches!(c, '\r' | '\n' | '\x0C'));
        }
        self.at += digits;
        if self.eat(b'\r') {
            self.eat(b'\n');
        } else if matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\x0C')) {
            self.at += 1;
        }
        let code = u32::from_str_radix(&rest[..digits], 16).ok()?;
        Some(char::from_u32(code).filter(|c| *c != '\0').unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// Skips white space and comments, and returns whether there were any.
    fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            let blanks =
                rest.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'\x0C')).count();
            let comment = rest[blanks..].strip_prefix("/*").and_then(|comment| comment.find("*/"));
            self.at += blanks + comment.map_or(0, |length| length + 4);
            if comment.is_none() {
                return self.at > start;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.text[self.at..].chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// `byte` is ASCII.
    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }
}
