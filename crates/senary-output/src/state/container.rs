//! The file as such: a line that says what it is, a version, then sections, each compressed and with its length before it,
//! and a last one that says how many there were. A reader can pass over sections that it does not need.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::read::StateError;

/// What a state begins with.
const MAGIC: &[u8; 13] = b"SENARY STATE\n";
/// Readers of a version cannot read later ones.
const VERSION: u16 = 1;

/// Of a section's header: its kind, and how many bytes follow.
const HEADER: usize = 9;
/// More sections than any state has.
const MAX_SECTIONS: usize = 1 << 20;
/// Fast, and not much larger than with more effort: values are packed before.
const LEVEL: i32 = 1;

/// What is in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    End = 0,
    Head = 1,
    Totals = 2,
    /// Packed values, or buckets, of trends.
    Values = 3,
    Failures = 4,
    Timeline = 5,
    /// An archive of the script.
    Script = 6,
    /// Something that a later program has added; it can be passed over.
    Other = 255,
}

impl Kind {
    fn of(byte: u8) -> Self {
        let known =
            [Self::End, Self::Head, Self::Totals, Self::Values, Self::Failures, Self::Timeline, Self::Script];
        known.into_iter().find(|kind| *kind as u8 == byte).unwrap_or(Self::Other)
    }

    /// Bytes that a section may come to when it is unpacked.
    fn limit(self) -> u64 {
        match self {
            Self::Head => 32 << 20,
            Self::Values | Self::Failures | Self::Timeline | Self::Script => 64 << 20,
            Self::End | Self::Totals | Self::Other => 256 << 20,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Head => "head",
            Self::Totals => "totals",
            Self::Values => "values",
            Self::Failures => "failures",
            Self::Timeline => "time line",
            Self::Script => "script",
            Self::Other => "unknown part",
        }
    }
}

/// Writes sections.
pub(super) struct Sections<W: Write> {
    out: W,
    count: u32,
}

impl<W: Write> Sections<W> {
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        Ok(Self { out, count: 0 })
    }

    /// Writes a section and gives back its number.
    pub(super) fn write(&mut self, kind: Kind, content: &[u8]) -> io::Result<u32> {
        // Readers refuse a larger section, and then it is too late to write another state.
        if content.len() as u64 > kind.limit() {
            let (part, megabytes) = (kind.name(), content.len() / 1_000_000);
            return Err(io::Error::other(format!(
                "its {part} is too large for a state, with {megabytes} MB"
            )));
        }
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.write_all(content)?;
        self.put(kind, &encoder.finish()?)
    }

    /// Writes the end.
    pub(super) fn end(mut self) -> io::Result<W> {
        let count = self.count;
        self.put(Kind::End, &count.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<u32> {
        self.out.write_all(&[kind as u8])?;
        self.out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.out.write_all(bytes)?;
        self.count += 1;
        Ok(self.count - 1)
    }
}

/// Where a section is.
#[derive(Clone, Copy, Debug)]
struct Section {
    kind: Kind,
    at: u64,
    length: u64,
}

/// The sections of a file that are there to be read.
pub(super) struct Contents<R> {
    from: R,
    sections: Vec<Section>,
}

impl<R: Read + Seek> Contents<R> {
    /// Looks where the sections are. A file that is cut off is found out here.
    pub(super) fn find(mut from: R) -> Result<Self, StateError> {
        let size = from.seek(SeekFrom::End(0))?;
        from.rewind()?;
        if size == 0 {
            return Err(StateError::Empty);
        }
        let mut start = [0; MAGIC.len() + 2];
        let is_state = size >= start.len() as u64 && {
            from.read_exact(&mut start)?;
            start.starts_with(MAGIC)
        };
        if !is_state {
            return Err(StateError::Foreign);
        }
        let version = u16::from_le_bytes([start[MAGIC.len()], start[MAGIC.len() + 1]]);
        if version != VERSION {
            return Err(StateError::OtherVersion { version, known: VERSION });
        }
        let mut sections = Vec::new();
        let mut at = start.len() as u64;
        loop {
            if sections.len() > MAX_SECTIONS {
                return Err(StateError::damaged("list of parts", "there are too many of them"));
            }
            let mut header = [0; HEADER];
            let body = at + HEADER as u64;
            if body > size {
                return Err(StateError::Truncated);
            }
            from.read_exact(&mut header)?;
            let length = u64::from_le_bytes(std::array::from_fn(|byte| header[byte + 1]));
            if length > size - body {
                return Err(StateError::Truncated);
            }
            let section = Section { kind: Kind::of(header[0]), at: body, length };
            if section.kind == Kind::End {
                let mut contents = Self { from, sections };
                contents.check_end(section)?;
                return Ok(contents);
            }
            sections.push(section);
            at = body + length;
            from.seek(SeekFrom::Start(at))?;
        }
    }

    fn check_end(&mut self, end: Section) -> Result<(), StateError> {
        let mut count = [0; 4];
        let is_there = end.length == count.len() as u64 && self.from.read_exact(&mut count).is_ok();
        match is_there && u32::from_le_bytes(count) as usize == self.sections.len() {
            true => Ok(()),
            false => Err(StateError::damaged("end", "it does not say how many parts there are")),
        }
    }

    /// The content of the section of a kind that there is one of.
    pub(super) fn only(&mut self, kind: Kind) -> Result<Option<Vec<u8>>, StateError> {
        let found = self.sections.iter().position(|section| section.kind == kind);
        found.map(|at| self.section(at as u32, kind)).transpose()
    }

    /// The content of the section with a number, which must be of a kind.
    pub(super) fn section(&mut self, number: u32, kind: Kind) -> Result<Vec<u8>, StateError> {
        let damaged = |reason: &str| StateError::damaged(kind.name(), reason);
        let section = self.sections.get(number as usize).filter(|section| section.kind == kind);
        let Some(&Section { at, length, .. }) = section else { return Err(damaged("it is not there")) };
        self.from.seek(SeekFrom::Start(at))?;
        let packed = (&mut self.from).take(length);
        let mut content = Vec::new();
        let unpacked = zstd::stream::read::Decoder::new(packed).and_then(|decoder| {
            let mut decoder = decoder.single_frame();
            (&mut decoder).take(kind.limit() + 1).read_to_end(&mut content)
        });
        match unpacked {
            Ok(_) if content.len() as u64 > kind.limit() => Err(damaged("it is too large")),
            Ok(_) => Ok(content),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }
}
