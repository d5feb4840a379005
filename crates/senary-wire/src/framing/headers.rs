//! Header blocks with the length of a body, as in HTTP, SIP, STOMP and the language server protocol.

use crate::framing::checked::{HeadersKind, MAX_PREFIX};
use crate::framing::error::{Fault, Reason};
use crate::framing::scan::{Content, MORE, Message, Scan, Scanner, within};
use crate::framing::view::View;

#[derive(Default)]
pub struct HeadersState {
    /// Where the block ends, once it has come.
    block: usize,
    body: Body,
}

#[derive(Default)]
enum Body {
    #[default]
    Unknown,
    Counted(usize),
    /// The block has no length: another framing takes over.
    Other(Box<Scanner>),
}

impl HeadersState {
    pub fn scan(&mut self, headers: &HeadersKind, view: View<'_>, max: usize) -> Result<Scan, Fault> {
        if matches!(self.body, Body::Unknown) {
            let Some(end) = block_end(headers, view) else {
                return still_in_block(headers, view, max);
            };
            self.block = end;
            let kept = if headers.keep { end } else { 0 };
            within(kept, max)?;
            if end - kept > MAX_PREFIX {
                return Err(too_long());
            }
            self.body = self.after_block(headers, &view.slice(0..end))?;
            if let Body::Counted(count) = self.body {
                within(kept.saturating_add(count), max)?;
            }
        }
        match (&mut self.body, &headers.otherwise) {
            (Body::Counted(count), _) => Ok(match self.block + *count {
                total if view.len() >= total => Scan::End(total),
                total => Scan::More { total: Some(total) },
            }),
            (Body::Other(scanner), Some(otherwise)) => {
                let scan = scanner.scan(otherwise, view.skip(self.block));
                Ok(match scan.map_err(|fault| fault.behind(self.block))? {
                    Scan::End(end) => Scan::End(self.block + end),
                    Scan::More { total } => Scan::More { total: total.map(|total| self.block + total) },
                })
            }
            _ => Ok(MORE),
        }
    }

    fn after_block(&self, headers: &HeadersKind, block: &[u8]) -> Result<Body, Fault> {
        match find_header(&headers.name, block) {
            Some((at, value)) => match parse_count(value) {
                Some(count) => Ok(Body::Counted(count)),
                None => {
                    let value = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
                    Err(Fault::Invalid { at, reason: Reason::HeaderValue(value) })
                }
            },
            None => match &headers.otherwise {
                Some(otherwise) => Ok(Body::Other(Box::new(Scanner::new(otherwise)))),
                None => {
                    let at = block.len().saturating_sub(1);
                    Err(Fault::Invalid { at, reason: Reason::HeaderMissing(headers.name.clone()) })
                }
            },
        }
    }

    pub fn is_other(&self) -> bool {
        matches!(self.body, Body::Other(_))
    }

    pub fn carve(&self, headers: &HeadersKind, form: &[u8]) -> Result<Content, Fault> {
        let (block, body) = form.split_at(self.block);
        let content = match (&self.body, &headers.otherwise) {
            (Body::Other(scanner), Some(otherwise)) => {
                scanner.carve(otherwise, body).map_err(|fault| fault.behind(self.block))?
            }
            _ => Content { message: Message::Part(0..body.len()), empty: body.is_empty() },
        };
        if !headers.keep {
            return Ok(Content { message: content.message.behind(self.block), ..content });
        }
        // Most often the body is right behind the block.
        let message = match content.message {
            Message::Part(part) if part.start == 0 => Message::Part(0..self.block + part.end),
            Message::Part(part) => Message::Decoded([block, &body[part]].concat()),
            Message::Decoded(decoded) => Message::Decoded([block, &decoded].concat()),
        };
        Ok(Content { message, empty: false })
    }
}

/// The block's end, where it is among the new bytes.
pub fn block_end(headers: &HeadersKind, view: View<'_>) -> Option<usize> {
    match &headers.end {
        Some(needles) => needles.find(view, 0).map(|hit| hit.end),
        None => {
            let mut from = view.seen();
            while let Some(line_end) = view.find(b'\n', from) {
                from = line_end + 1;
                if is_blank(view, line_end) {
                    return Some(from);
                }
            }
            None
        }
    }
}

/// Whether the line that this LF ends has nothing in it.
fn is_blank(view: View<'_>, line_end: usize) -> bool {
    let before = |count: usize| line_end.checked_sub(count).map(|at| view.get(at));
    match before(1) {
        None | Some(Some(b'\n')) => true,
        Some(Some(b'\r')) => matches!(before(2), None | Some(Some(b'\n'))),
        Some(_) => false,
    }
}

fn still_in_block(headers: &HeadersKind, view: View<'_>, max: usize) -> Result<Scan, Fault> {
    if headers.keep {
        within(view.len(), max)?;
    } else if view.len() > MAX_PREFIX {
        return Err(too_long());
    }
    Ok(MORE)
}

/// A block that is stripped from its message does not count for `max`, and has a limit of its own.
fn too_long() -> Fault {
    Fault::Invalid { at: MAX_PREFIX, reason: Reason::HeaderBlockTooLong }
}

/// The value of the first header line with that name, and where in the block it is.
pub fn find_header<'a>(name: &str, block: &'a [u8]) -> Option<(usize, &'a [u8])> {
    let mut start = 0;
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        if let Some(colon) = memchr::memchr(b':', line)
            && line[..colon].trim_ascii().eq_ignore_ascii_case(name.as_bytes())
        {
            let value = &line[colon + 1..];
            let blanks = value.len() - value.trim_ascii_start().len();
            return Some((start + colon + 1 + blanks, value.trim_ascii()));
        }
        start += line.len();
    }
    None
}

pub fn parse_count(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |count: usize, byte: &u8| count.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
    Some(value.iter().fold(0, digit))
}
