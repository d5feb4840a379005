//! Messages between delimiters, with byte stuffing where a protocol has it.

use crate::framing::checked::DelimiterKind;
use crate::framing::description::Escape;
use crate::framing::error::{Fault, Reason};
use crate::framing::needles::Hit;
use crate::framing::scan::{Content, MORE, Message, Scan, within};
use crate::framing::view::View;

#[derive(Default)]
pub struct DelimiterState {
    /// The last byte was the escape byte.
    escaped: bool,
    /// No delimiter starts before this position, because it would contain half of a coded byte.
    barrier: usize,
    /// How long the delimiter is that has ended the message.
    found: usize,
}

impl DelimiterState {
    pub fn scan(&mut self, delimiter: &DelimiterKind, view: View<'_>, max: usize) -> Result<Scan, Fault> {
        let hit = match &delimiter.escape {
            None => delimiter.needles.find(view, 0),
            Some(escape) => self.find_unescaped(delimiter, escape, view)?,
        };
        match hit {
            Some(hit) => {
                self.found = hit.len;
                within(hit.end - hit.len, max)?;
                Ok(Scan::End(hit.end))
            }
            None => Ok(MORE),
        }
    }

    fn find_unescaped(
        &mut self,
        delimiter: &DelimiterKind,
        escape: &Escape,
        view: View<'_>,
    ) -> Result<Option<Hit>, Fault> {
        for (index, byte) in view.new.iter().enumerate() {
            let end = view.seen() + index + 1;
            let coded = self.escaped && escape.plain(*byte).is_some();
            // A delimiter may start with the escape byte, as telnet's does, but not with a coded one.
            let shortest = if coded { 2 } else { 1 };
            let hit = delimiter.needles.ending_at(view, end, self.barrier);
            if let Some(hit) = hit.filter(|hit| hit.len >= shortest) {
                return Ok(Some(hit));
            }
            if coded {
                self.barrier = end;
            } else if self.escaped && !delimiter.needles.contain(&[escape.byte, *byte]) {
                return Err(Fault::Invalid { at: end - 1, reason: Reason::Escape(escape.byte, *byte) });
            }
            self.escaped = !self.escaped && *byte == escape.byte;
        }
        Ok(None)
    }

    /// How long the delimiter is that has ended the message.
    pub fn found(&self) -> usize {
        self.found
    }

    pub fn carve(&self, delimiter: &DelimiterKind, form: &[u8]) -> Result<Content, Fault> {
        let size = form.len() - self.found;
        let (coded, end) = form.split_at(size);
        let escape = delimiter.escape.as_ref().filter(|escape| coded.contains(&escape.byte));
        let message = match escape {
            Some(escape) => {
                let mut plain = escape.decode(coded)?;
                if delimiter.keep {
                    plain.extend_from_slice(end);
                }
                Message::Decoded(plain)
            }
            None => Message::Part(0..if delimiter.keep { form.len() } else { size }),
        };
        Ok(Content { message, empty: size == 0 })
    }
}

impl Escape {
    fn plain(&self, coded: u8) -> Option<u8> {
        self.map.iter().find(|(code, _)| *code == coded).map(|(_, plain)| *plain)
    }

    pub(crate) fn code(&self, plain: u8) -> Option<u8> {
        self.map.iter().find(|(_, byte)| *byte == plain).map(|(coded, _)| *coded)
    }

    fn decode(&self, coded: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut plain = Vec::with_capacity(coded.len());
        let mut bytes = coded.iter().enumerate();
        while let Some((_, byte)) = bytes.next() {
            if *byte != self.byte {
                plain.push(*byte);
                continue;
            }
            let at = coded.len();
            let Some((at, code)) = bytes.next() else {
                return Err(Fault::Invalid { at, reason: Reason::EscapeAtEnd(self.byte) });
            };
            let invalid = || Fault::Invalid { at, reason: Reason::Escape(self.byte, *code) };
            plain.push(self.plain(*code).ok_or_else(invalid)?);
        }
        Ok(plain)
    }
}
