//! The search for the end of a frame, byte by byte as they come: each is looked at once, however they are cut.

use std::ops::Range;

use crate::framing::checked::{Framing, Kind};
use crate::framing::delimiter::DelimiterState;
use crate::framing::error::{Fault, Reason};
use crate::framing::headers::HeadersState;
use crate::framing::json::JsonState;
use crate::framing::length::LengthState;
use crate::framing::lines::LinesState;
use crate::framing::pattern::PatternState;
use crate::framing::resp::RespState;
use crate::framing::view::View;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// All bytes belong to the frame, which goes on; up to this position, where that is known.
    More { total: Option<usize> },
    /// The frame ends here. Except for patterns, that is not before the first new byte.
    End(usize),
}

pub const MORE: Scan = Scan::More { total: None };

/// What a frame holds.
pub struct Content {
    pub message: Message,
    /// A poll or a keep-alive: nothing but framing.
    pub empty: bool,
}

pub enum Message {
    /// The bytes of the frame from here to there.
    Part(Range<usize>),
    /// The frame has the message in another form.
    Decoded(Vec<u8>),
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Part(part) => part.len(),
            Self::Decoded(bytes) => bytes.len(),
        }
    }

    /// The same, where `count` bytes are in front of the frame.
    pub fn behind(self, count: usize) -> Self {
        match self {
            Self::Part(part) => Self::Part(part.start + count..part.end + count),
            Self::Decoded(_) => self,
        }
    }
}

/// One frame under way: magic, form, trailer.
pub struct Scanner {
    state: State,
    /// Where the form ends and the trailer begins, once that is known. From the start of the form.
    form_end: Option<usize>,
}

enum State {
    Delimiter(DelimiterState),
    Pattern(PatternState),
    Fixed,
    Length(LengthState),
    Headers(HeadersState),
    Lines(LinesState),
    Idle,
    Json(JsonState),
    Resp(RespState),
}

impl Scanner {
    pub fn new(framing: &Framing) -> Self {
        Self { state: State::new(&framing.kind), form_end: None }
    }

    /// Prepares for the next frame.
    pub fn restart(&mut self) {
        self.form_end = None;
        match &mut self.state {
            State::Delimiter(state) => *state = DelimiterState::default(),
            State::Length(state) => *state = LengthState::default(),
            State::Headers(state) => *state = HeadersState::default(),
            State::Lines(state) => *state = LinesState::default(),
            State::Json(state) => *state = JsonState::default(),
            State::Resp(state) => *state = RespState::default(),
            State::Pattern(_) | State::Fixed | State::Idle => {}
        }
    }

    pub fn scan(&mut self, framing: &Framing, view: View<'_>) -> Result<Scan, Fault> {
        let magic = framing.magic.len();
        if view.seen() < magic {
            expect(view, 0, &framing.magic, Reason::Magic)?;
            if view.len() < magic {
                return Ok(MORE);
            }
        }
        let form_end = match self.form_end {
            Some(end) => end,
            None => match self.scan_form(framing, view.skip(magic)).map_err(|fault| fault.behind(magic))? {
                Scan::More { total } => {
                    let more = magic + self.trailer(framing).len();
                    return Ok(Scan::More { total: total.map(|total| total + more) });
                }
                Scan::End(end) => end,
            },
        };
        self.form_end = Some(form_end);
        let trailer = self.trailer(framing);
        let end = magic + form_end + trailer.len();
        if !trailer.is_empty() {
            expect(view, magic + form_end, trailer, Reason::Trailer)?;
        }
        Ok(if view.len() < end { Scan::More { total: Some(end) } } else { Scan::End(end) })
    }

    fn scan_form(&mut self, framing: &Framing, view: View<'_>) -> Result<Scan, Fault> {
        let max = framing.max;
        // Bytes beyond the limit are not examined, so that a message that is too long gives the same error however it is
        // cut.
        let (whole, limit) = (view.len(), framing.kind.limit(max));
        let view = view.clip(limit);
        let scan = match (&mut self.state, &framing.kind) {
            (State::Length(state), Kind::Length(length)) => {
                state.scan(length, framing.trailer.len(), framing.tolerates_polls(), view, max)
            }
            (State::Delimiter(state), Kind::Delimiter(delimiter)) => state.scan(delimiter, view, max),
            (State::Lines(state), Kind::Lines(lines)) => state.scan(lines, view, max),
            (State::Resp(state), Kind::Resp) => state.scan(view, max),
            (State::Json(state), Kind::Json) => state.scan(view),
            (State::Headers(state), Kind::Headers(headers)) => state.scan(headers, view, max),
            (State::Pattern(state), Kind::Pattern(pattern)) => state.scan(pattern.as_ref(), view),
            (State::Fixed, Kind::Fixed(size)) => Ok(match *size {
                size if view.len() >= size => Scan::End(size),
                size => Scan::More { total: Some(size) },
            }),
            (State::Idle, Kind::Idle(_)) => Ok(MORE),
            _ => unreachable!("the state was made for this kind"),
        }?;
        match scan {
            Scan::More { .. } => within(whole, limit).map(|()| scan),
            Scan::End(_) => Ok(scan),
        }
    }

    /// What is behind the form. Nothing, where a header block had no length and another framing has taken over, and behind
    /// the header of a protocol's version.
    fn trailer<'a>(&self, framing: &'a Framing) -> &'a [u8] {
        match &self.state {
            State::Headers(state) if state.is_other() => &[],
            State::Length(state) if state.is_version() => &[],
            _ => &framing.trailer,
        }
    }

    /// The message in a whole frame.
    pub fn carve(&self, framing: &Framing, frame: &[u8]) -> Result<Content, Fault> {
        let magic = framing.magic.len();
        let form = &frame[magic..frame.len() - self.trailer(framing).len()];
        let content = match (&self.state, &framing.kind) {
            (State::Length(state), Kind::Length(length)) => state.carve(length, form),
            (State::Delimiter(state), Kind::Delimiter(delimiter)) => state.carve(delimiter, form)?,
            (State::Lines(state), Kind::Lines(lines)) => state.carve(lines, form),
            (State::Headers(state), Kind::Headers(headers)) => state.carve(headers, form)?,
            _ => Content { message: Message::Part(0..form.len()), empty: form.is_empty() },
        };
        within(content.message.len(), framing.max)?;
        Ok(Content { message: content.message.behind(magic), ..content })
    }

    /// The message that the end of the stream, or a silence, ends.
    pub fn ends_here(&self, frame: &[u8]) -> bool {
        match &self.state {
            State::Idle => !frame.is_empty(),
            State::Json(state) => state.ends_here(),
            _ => false,
        }
    }
}

impl State {
    fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Delimiter(_) => Self::Delimiter(DelimiterState::default()),
            Kind::Pattern(_) => Self::Pattern(PatternState),
            Kind::Fixed(_) => Self::Fixed,
            Kind::Length(_) => Self::Length(LengthState::default()),
            Kind::Headers(_) => Self::Headers(HeadersState::default()),
            Kind::Lines(_) => Self::Lines(LinesState::default()),
            Kind::Idle(_) => Self::Idle,
            Kind::Json => Self::Json(JsonState::default()),
            Kind::Resp => Self::Resp(RespState::default()),
        }
    }
}

/// Refuses what is longer than `most`.
pub fn within(size: usize, most: usize) -> Result<(), Fault> {
    if size > most { Err(Fault::TooLarge { size: size as u64 }) } else { Ok(()) }
}

/// Compares the part of `bytes` that has arrived; a difference is an error at once, not only when all bytes have arrived.
fn expect(view: View<'_>, at: usize, bytes: &[u8], reason: fn(u8, u8) -> Reason) -> Result<(), Fault> {
    for (index, expected) in bytes.iter().enumerate() {
        match view.get(at + index) {
            Some(found) if found != *expected => {
                return Err(Fault::Invalid { at: at + index, reason: reason(found, *expected) });
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}
