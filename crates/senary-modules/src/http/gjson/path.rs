//! The parts of a path.

use super::query::Query;

/// One part of a path.
#[derive(Debug)]
pub enum Step {
    Key(String),
    /// A name with `*` or `?`.
    Pattern(String),
    /// `#`: the number of elements, or each of them.
    Each,
    /// `#(…)`
    First(Query),
    /// `#(…)#`
    All(Query),
    /// `@name:argument`
    Modifier {
        name: String,
        argument: String,
    },
    /// `!"text"`
    Literal(String),
    /// `[path,path]`
    List(Vec<(Option<String>, String)>),
    /// `{path,"name":path}`
    Fields(Vec<(Option<String>, String)>),
}

/// What stands between two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    End,
    Dot,
    Pipe,
}

/// The first part of a path, and the rest. `None` if the path is empty or broken.
pub fn first(path: &str) -> Option<(Step, Link, &str)> {
    let (step, behind) = match path.as_bytes().first()? {
        b'@' => modifier(path)?,
        b'!' => {
            let end = 1 + end_of(&path[1..], b".|");
            (Step::Literal(path[1..end].to_owned()), &path[end..])
        }
        b'[' | b'{' => several(path)?,
        b'#' if matches!(path.as_bytes().get(1), Some(b'(' | b'[')) => query(path)?,
        b'#' if matches!(path.as_bytes().get(1), None | Some(b'.' | b'|')) => (Step::Each, &path[1..]),
        _ => name(path)?,
    };
    let (link, rest) = match behind.as_bytes().first() {
        None => (Link::End, ""),
        Some(b'.') => (Link::Dot, &behind[1..]),
        Some(b'|') => (Link::Pipe, &behind[1..]),
        Some(_) => return None,
    };
    Some((step, link, rest))
}

/// Splits a path at its first pipe that is not within something else.
pub fn split_at_pipe(path: &str) -> (&str, Option<&str>) {
    match end_of(path, b"|") {
        end if end < path.len() => (&path[..end], Some(&path[end + 1..])),
        _ => (path, None),
    }
}

/// The name that a field of `{…}` gets from its path.
pub fn last_name(path: &str) -> String {
    let last = path.rsplit(['.', '|']).next().unwrap_or_default();
    if last.is_empty() || last.starts_with(['@', '#', '!']) { "_".to_owned() } else { last.to_owned() }
}

fn name(path: &str) -> Option<(Step, &str)> {
    let (mut name, mut is_pattern, mut end) = (String::new(), false, path.len());
    let mut chars = path.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                if let Some((_, escaped)) = chars.next() {
                    if is_pattern {
                        name.push('\\');
                    }
                    name.push(escaped);
                }
            }
            '.' | '|' => {
                end = at;
                break;
            }
            c => {
                is_pattern |= c == '*' || c == '?';
                name.push(c);
            }
        }
    }
    if end == 0 {
        return None;
    }
    Some((if is_pattern { Step::Pattern(name) } else { Step::Key(name) }, &path[end..]))
}

fn modifier(path: &str) -> Option<(Step, &str)> {
    let end = path[1..].find(['.', '|', ':']).map_or(path.len(), |at| at + 1);
    let (name, rest) = (path[1..end].to_owned(), &path[end..]);
    let Some(rest) = rest.strip_prefix(':') else {
        return Some((Step::Modifier { name, argument: String::new() }, rest));
    };
    let end = end_of(rest, b".|");
    Some((Step::Modifier { name, argument: rest[..end].to_owned() }, &rest[end..]))
}

fn several(path: &str) -> Option<(Step, &str)> {
    let end = closing(path)?;
    let (inside, rest) = (&path[1..end], &path[end + 1..]);
    let mut paths = Vec::new();
    let mut left = inside;
    while !left.is_empty() {
        let end = end_of(left, b",");
        paths.push(named(left[..end].trim()));
        left = left.get(end + 1..).unwrap_or_default();
    }
    let step = if path.starts_with('[') { Step::List(paths) } else { Step::Fields(paths) };
    Some((step, rest))
}

/// A path, and the name before it, if there is one.
fn named(text: &str) -> (Option<String>, String) {
    let end = end_of(text, b":");
    if text.starts_with('@') || end == text.len() {
        return (None, text.to_owned());
    }
    let name = text[..end].trim();
    let name = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
    (Some(name), text[end + 1..].trim().to_owned())
}

fn query(path: &str) -> Option<(Step, &str)> {
    let end = 1 + closing(&path[1..])?;
    let query = Query::parse(&path[2..end]);
    let rest = &path[end + 1..];
    Some(match rest.strip_prefix('#') {
        Some(rest) => (Step::All(query), rest),
        None => (Step::First(query), rest),
    })
}

/// Where the bracket at the beginning is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut scan = Scan::default();
    for (at, byte) in text.bytes().enumerate() {
        if scan.is_within_text(byte) {
            continue;
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The position of the first of these bytes outside of brackets and quotes; the length if there is none.
pub fn end_of(text: &str, ends: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut scan = Scan::default();
    for (at, byte) in text.bytes().enumerate() {
        if scan.is_within_text(byte) {
            continue;
        }
        match byte {
            byte if depth == 0 && ends.contains(&byte) => return at,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Tells what is within quotes, or escaped.
#[derive(Default)]
struct Scan {
    in_quotes: bool,
    is_escaped: bool,
}

impl Scan {
    fn is_within_text(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return true;
        }
        match byte {
            b'\\' => self.is_escaped = true,
            b'"' => self.in_quotes = !self.in_quotes,
            _ => return self.in_quotes,
        }
        true
    }
}
