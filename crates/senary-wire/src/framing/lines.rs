//! Lines, and counted bytes behind some of them: memcached, NATS, IMAP, replies of SMTP.

use crate::framing::checked::LinesKind;
use crate::framing::error::{Fault, Reason};
use crate::framing::pattern::{Found, Pattern};
use crate::framing::scan::{Content, MORE, Message, Scan};
use crate::framing::view::View;

#[derive(Default)]
pub struct LinesState {
    /// Where the line under way starts, or the one behind the counted bytes.
    line: usize,
    /// Counted bytes are under way, up to `line`.
    counting: bool,
    /// The message ends with the counted bytes.
    last: bool,
    /// How many bytes behind the message's content are its line end.
    end: usize,
}

impl LinesState {
    pub fn scan(&mut self, lines: &LinesKind, view: View<'_>, max: usize) -> Result<Scan, Fault> {
        loop {
            if self.counting {
                if view.len() < self.line {
                    return Ok(Scan::More { total: self.last.then_some(self.line) });
                }
                self.counting = false;
                if lines.strict && !view.ends_with(self.line, b"\r\n") {
                    return Err(Fault::Invalid { at: self.line - 1, reason: Reason::LineEnd });
                }
                if self.last {
                    let line_ends = self.line - lines.adjust.clamp(0, 2).min(self.line as i64) as usize;
                    self.end = line_end(view, line_ends, self.line);
                    return Ok(Scan::End(self.line));
                }
            }
            let Some(lf) = view.find(b'\n', self.line.max(view.seen())) else { return Ok(MORE) };
            let next = lf + 1;
            let end = line_end(view, self.line, next);
            let line = view.slice(self.line..next - end);
            let last = lines.until.as_ref().is_none_or(|until| until.find(&line, 0).is_some());
            let count = match &lines.count {
                Some(pattern) => {
                    count(pattern.as_ref(), &line, lines.adjust).map_err(|fault| fault.behind(self.line))?
                }
                None => None,
            };
            match count {
                Some(count) => {
                    let counted = (next as u64).saturating_add(count);
                    if counted > (max as u64).saturating_add(2) {
                        return Err(Fault::TooLarge { size: counted });
                    }
                    self.line = counted as usize;
                    self.counting = true;
                    self.last = last;
                }
                None if last => {
                    self.end = end;
                    return Ok(Scan::End(next));
                }
                None => self.line = next,
            }
        }
    }

    pub fn carve(&self, lines: &LinesKind, form: &[u8]) -> Content {
        let size = form.len() - self.end;
        let end = if lines.keep_end { form.len() } else { size };
        Content { message: Message::Part(0..end), empty: size == 0 }
    }

    /// Whether counted bytes without a line end have ended the message.
    pub fn ended_without_line_end(&self) -> bool {
        self.end == 0
    }
}

/// How many of the bytes from `start` to `end` are the line end behind the others.
fn line_end(view: View<'_>, start: usize, end: usize) -> usize {
    if end <= start || view.get(end - 1) != Some(b'\n') {
        return 0;
    }
    if end - start > 1 && view.get(end - 2) == Some(b'\r') { 2 } else { 1 }
}

/// How many bytes follow the line, where it says so.
fn count(pattern: &dyn Pattern, line: &[u8], adjust: i64) -> Result<Option<u64>, Fault> {
    let Some(found) = pattern.find(line, 0) else { return Ok(None) };
    let digits = found.captured(line);
    let at = found.capture.as_ref().map_or(found.start, |capture| capture.start);
    if digits.is_empty() {
        return Err(Fault::Invalid { at, reason: Reason::LengthDigit(b' ') });
    }
    let mut value = 0_u64;
    for (index, byte) in digits.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return Err(Fault::Invalid { at: at + index, reason: Reason::LengthDigit(*byte) });
        }
        value = value.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    }
    match u64::try_from(i128::from(value) + i128::from(adjust)) {
        Ok(count) => Ok(Some(count)),
        Err(_) if value == u64::MAX => Ok(Some(value)),
        Err(_) => Err(Fault::Invalid { at, reason: Reason::LengthNegative { value, adjust } }),
    }
}

/// The last line of a reply of SMTP or FTP: three digits and a blank, or nothing.
pub fn ends_reply(line: &[u8], _from: usize) -> Option<Found> {
    let ends = line.len() >= 3
        && line[..3].iter().all(u8::is_ascii_digit)
        && matches!(line.get(3), None | Some(b' '));
    ends.then_some(Found { start: 0, end: line.len().min(4), capture: None })
}

/// memcached: `VALUE key flags bytes [cas]`, and `VA bytes flags…` of the meta commands.
pub fn memcached_count(line: &[u8], _from: usize) -> Option<Found> {
    let mut words = words(line);
    let word = match words.next()?.1 {
        b"VALUE" => words.nth(2)?,
        b"VA" => words.next()?,
        _ => return None,
    };
    Some(captured(line, word))
}

/// memcached: what goes on has more lines, up to `END`.
pub fn memcached_ends(line: &[u8], _from: usize) -> Option<Found> {
    let goes_on = [&b"VALUE "[..], b"STAT ", b"ITEM "].iter().any(|start| line.starts_with(start));
    (!goes_on).then_some(Found { start: 0, end: line.len(), capture: None })
}

/// NATS: the last number of a line that a payload follows.
pub fn nats_count(line: &[u8], _from: usize) -> Option<Found> {
    let mut words = words(line);
    let operation = words.next()?.1;
    let counted =
        [&b"MSG"[..], b"HMSG", b"PUB", b"HPUB"].iter().any(|name| operation.eq_ignore_ascii_case(name));
    if counted { words.last().map(|word| captured(line, word)) } else { None }
}

/// The words of a line, and where each starts.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter_map(move |word| {
        let at = start;
        start += word.len() + 1;
        (!word.is_empty()).then_some((at, word))
    })
}

fn captured(line: &[u8], (at, word): (usize, &[u8])) -> Found {
    Found { start: 0, end: line.len(), capture: Some(at..at + word.len()) }
}
