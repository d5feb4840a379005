//! Where a value of Redis's protocol ends: RESP2, and RESP3 with its maps, attributes and streamed values.

use crate::framing::error::{Fault, Reason};
use crate::framing::scan::{MORE, Scan};
use crate::framing::view::View;

/// Levels of nesting that are followed. Redis itself nests a handful.
const DEEPEST: usize = 128;
/// The shortest value, CR LF included: what an element takes at least.
const SHORTEST: u64 = 3;

#[derive(Default)]
pub struct RespState {
    /// Where the line under way starts, or the end of the string under way.
    at: usize,
    /// A string of counted bytes is under way, up to `at`.
    counting: bool,
    levels: Vec<Level>,
}

/// An open aggregate, and how many values it still waits for.
enum Level {
    Values(u64),
    /// An attribute does not count as a value: the value that it belongs to comes behind it.
    Attribute(u64),
    /// Values up to a `.`.
    Streamed,
    /// A string in chunks, up to one without bytes.
    Chunks,
}

impl RespState {
    pub fn scan(&mut self, view: View<'_>, max: usize) -> Result<Scan, Fault> {
        loop {
            if self.counting {
                if view.len() < self.at {
                    let last = self.levels.is_empty();
                    return Ok(Scan::More { total: last.then_some(self.at) });
                }
                if !view.ends_with(self.at, b"\r\n") {
                    return Err(Fault::Invalid { at: self.at - 2, reason: Reason::LineEnd });
                }
                self.counting = false;
                if self.value_ends() {
                    return Ok(Scan::End(self.at));
                }
            }
            if let Some(kind) = view.get(self.at) {
                self.check_kind(kind)?;
            }
            let Some(lf) = view.find(b'\n', self.at.max(view.seen())) else { return Ok(MORE) };
            if lf < self.at + 2 || view.get(lf - 1) != Some(b'\r') {
                return Err(Fault::Invalid { at: lf, reason: Reason::LineEnd });
            }
            let line = view.slice(self.at..lf - 1);
            let ended = self.line(&line, lf + 1, max)?;
            self.at = if self.counting { self.at } else { lf + 1 };
            if ended {
                return Ok(Scan::End(self.at));
            }
        }
    }

    fn check_kind(&self, kind: u8) -> Result<(), Fault> {
        let (at, chunks) = (self.at, matches!(self.levels.last(), Some(Level::Chunks)));
        let streamed = matches!(self.levels.last(), Some(Level::Streamed));
        match kind {
            b';' if chunks => Ok(()),
            _ if chunks => Err(Fault::Invalid { at, reason: Reason::RespChunk(kind) }),
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' | b'$' | b'!' | b'=' => Ok(()),
            b'*' | b'~' | b'>' | b'%' | b'|' => Ok(()),
            b'.' if streamed => Ok(()),
            _ => Err(Fault::Invalid { at, reason: Reason::RespType(kind) }),
        }
    }

    /// A whole line, `next` being where the one behind it starts. Whether the message ends with it.
    fn line(&mut self, line: &[u8], next: usize, max: usize) -> Result<bool, Fault> {
        let text = &line[1..];
        match line[0] {
            b'$' | b'!' | b'=' | b';' => self.string(line[0], text, next, max),
            b'*' | b'~' | b'>' => self.aggregate(text, 1, next, max),
            b'%' => self.aggregate(text, 2, next, max),
            b'|' => {
                let pairs = self.number(text)?.unwrap_or_default();
                let values = self.bounded(pairs.saturating_mul(2), next, max)?;
                if values > 0 {
                    self.open(Level::Attribute(values))?;
                }
                Ok(false)
            }
            b'.' => {
                self.levels.pop();
                Ok(self.value_ends())
            }
            _ => Ok(self.value_ends()),
        }
    }

    fn string(&mut self, kind: u8, text: &[u8], next: usize, max: usize) -> Result<bool, Fault> {
        if kind == b'$' && text == b"?" {
            self.open(Level::Chunks)?;
            return Ok(false);
        }
        match self.number(text)? {
            None => Ok(self.value_ends()),
            Some(0) if kind == b';' => {
                self.levels.pop();
                Ok(self.value_ends())
            }
            Some(count) => {
                let end = (next as u64).saturating_add(count).saturating_add(2);
                if end > max as u64 {
                    return Err(Fault::TooLarge { size: end });
                }
                self.at = end as usize;
                self.counting = true;
                Ok(false)
            }
        }
    }

    fn aggregate(&mut self, text: &[u8], each: u64, next: usize, max: usize) -> Result<bool, Fault> {
        if text == b"?" {
            self.open(Level::Streamed)?;
            return Ok(false);
        }
        match self.number(text)?.map(|count| count.saturating_mul(each)) {
            None | Some(0) => Ok(self.value_ends()),
            Some(values) => {
                let values = self.bounded(values, next, max)?;
                self.open(Level::Values(values))?;
                Ok(false)
            }
        }
    }

    /// Refuses what could not end within `max` even if each value were as short as can be.
    fn bounded(&self, values: u64, next: usize, max: usize) -> Result<u64, Fault> {
        let size = values.saturating_mul(SHORTEST).saturating_add(next as u64);
        if size > max as u64 { Err(Fault::TooLarge { size }) } else { Ok(values) }
    }

    fn open(&mut self, level: Level) -> Result<(), Fault> {
        if self.levels.len() == DEEPEST {
            return Err(Fault::Invalid { at: self.at, reason: Reason::RespDepth(DEEPEST) });
        }
        self.levels.push(level);
        Ok(())
    }

    /// A value has ended. Whether the message has, too.
    fn value_ends(&mut self) -> bool {
        loop {
            match self.levels.last_mut() {
                None => return true,
                Some(Level::Streamed | Level::Chunks) => return false,
                Some(Level::Values(left)) => {
                    *left -= 1;
                    if *left > 0 {
                        return false;
                    }
                    // The aggregate is a value, too.
                    self.levels.pop();
                }
                Some(Level::Attribute(left)) => {
                    *left -= 1;
                    if *left == 0 {
                        self.levels.pop();
                    }
                    return false;
                }
            }
        }
    }

    /// A count; `None` for -1, which is how RESP2 writes null.
    fn number(&self, text: &[u8]) -> Result<Option<u64>, Fault> {
        if text == b"-1" {
            return Ok(None);
        }
        let invalid = || {
            let text = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            Fault::Invalid { at: self.at + 1, reason: Reason::RespNumber(text) }
        };
        if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
            return Err(invalid());
        }
        Ok(Some(text.iter().fold(0, |count, byte| count * 10 + u64::from(byte - b'0'))))
    }
}
