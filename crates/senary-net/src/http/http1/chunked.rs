//! The chunked encoding, one piece of bytes after the other. The limits and the texts are Go's.

use memchr::memchr;

use super::head;
use crate::http::error::HttpError;

/// In bytes: a line with the size of a chunk, its extensions included.
const MAX_LINE: usize = 4096;
/// What sizes and extensions may take beyond a usual share of the data.
const MAX_EXCESS: i64 = 16 * 1024;
/// In bytes: all fields behind the last chunk.
const MAX_TRAILER: usize = 64 * 1024;

/// A body on its way.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    step: Step,
    /// The part of a line, or of the trailer, that came so far.
    line: Vec<u8>,
    excess: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Size,
    /// So many bytes of the chunk are to come.
    Data(u64),
    /// The line break behind a chunk; whether its first byte came.
    Break(bool),
    Trailer,
    Done,
}

impl Chunked {
    /// Reads one part. Returns how many bytes it has, and which of them belong to the body.
    pub(super) fn read<'a>(&mut self, data: &'a [u8]) -> Result<(usize, &'a [u8]), HttpError> {
        match self.step {
            Step::Size => Ok((self.read_size(data)?, &[])),
            Step::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let left = left - taken as u64;
                self.step = if left == 0 { Step::Break(false) } else { Step::Data(left) };
                Ok((taken, &data[..taken]))
            }
            Step::Break(half) => match (half, data.first()) {
                (_, None) => Ok((0, &[])),
                (false, Some(b'\r')) => {
                    self.step = Step::Break(true);
                    Ok((1, &[]))
                }
                (true, Some(b'\n')) => {
                    self.step = Step::Size;
                    Ok((1, &[]))
                }
                _ => Err(malformed("malformed chunked encoding")),
            },
            Step::Trailer => Ok((self.read_trailer(data)?, &[])),
            Step::Done => Ok((0, &[])),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    fn read_size(&mut self, data: &[u8]) -> Result<usize, HttpError> {
        let end = memchr(b'\n', data).map(|end| end + 1);
        let taken = end.unwrap_or(data.len());
        if self.line.len() + taken > MAX_LINE {
            return Err(malformed("header line too long"));
        }
        if end.is_none() || !self.line.is_empty() {
            self.line.extend_from_slice(&data[..taken]);
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.begin_chunk(if line.is_empty() { &data[..taken] } else { &line })?;
        }
        Ok(taken)
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), HttpError> {
        let size = memchr(b';', line).map_or(line, |semicolon| &line[..semicolon]);
        let size = parse_size(size.trim_ascii_end())?;
        // Each chunk may have 16 bytes around it, and twice as many as it has data.
        let allowed = i64::try_from(size).unwrap_or(i64::MAX).saturating_mul(2).saturating_add(16);
        self.excess = (self.excess + line.len() as i64).saturating_sub(allowed).max(0);
        if self.excess > MAX_EXCESS {
            return Err(malformed("chunked encoding contains too much non-data"));
        }
        self.step = if size == 0 { Step::Trailer } else { Step::Data(size) };
        Ok(())
    }

    /// Fields behind the body are read and forgotten.
    fn read_trailer(&mut self, data: &[u8]) -> Result<usize, HttpError> {
        let before = self.line.len();
        self.line.extend_from_slice(&data[..data.len().min(MAX_TRAILER + 1)]);
        let end = match self.line.as_slice() {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            line => head::end(line, before),
        };
        match end {
            Some(end) => {
                head::fields(&self.line[..end])?;
                self.step = Step::Done;
                self.line = Vec::new();
                Ok(end - before)
            }
            None if self.line.len() > MAX_TRAILER => {
                Err(malformed("http: suspiciously long trailer after chunked body"))
            }
            None => Ok(data.len()),
        }
    }
}

fn parse_size(digits: &[u8]) -> Result<u64, HttpError> {
    if digits.is_empty() {
        return Err(malformed("empty hex number for chunk length"));
    }
    let mut size = 0;
    for (at, digit) in digits.iter().enumerate() {
        let Some(value) = char::from(*digit).to_digit(16) else {
            return Err(malformed("invalid byte in chunk length"));
        };
        if at == 16 {
            return Err(malformed("http chunk length too large"));
        }
        size = size << 4 | u64::from(value);
    }
    Ok(size)
}

fn malformed(text: &str) -> HttpError {
    HttpError::Response(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads pieces of the given size: the body and what follows it.
    fn read(data: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>, bool), String> {
        let (mut chunked, mut body, mut rest) = (Chunked::default(), Vec::new(), Vec::new());
        for mut piece in data.chunks(piece) {
            while !piece.is_empty() && !chunked.is_done() {
                let (taken, part) = chunked.read(piece).map_err(|error| error.to_string())?;
                assert!(taken > 0, "no progress");
                body.extend_from_slice(part);
                piece = &piece[taken..];
            }
            rest.extend_from_slice(piece);
        }
        Ok((body, rest, chunked.is_done()))
    }

    #[test]
    fn chunks_are_put_together_however_they_arrive() {
        let data = b"5\r\nhello\r\n7;ext=\"1\"\r\n, world\r\n000\r\nT: 1\r\nU: 2\r\n\r\nHTTP";
        for piece in 1..=data.len() {
            assert_eq!(read(data, piece).unwrap(), (b"hello, world".to_vec(), b"HTTP".to_vec(), true));
        }
        assert_eq!(read(b"0\r\n\r\n", 1).unwrap(), (Vec::new(), Vec::new(), true));
        assert_eq!(read(b"3\r\nabc", 9).unwrap(), (b"abc".to_vec(), Vec::new(), false));
    }

    #[test]
    fn broken_chunks_are_told_in_the_words_of_the_reference() {
        let long = format!("5;{}\r\n", "x".repeat(5000));
        let trailer = format!("0\r\n{}", "T: 1\r\n".repeat(20_000));
        let padded = format!("1;{}\r\na\r\n", "x".repeat(3000)).repeat(8);
        for (data, text) in [
            ("xyz\r\n", "invalid byte in chunk length"),
            ("-1\r\n", "invalid byte in chunk length"),
            ("\r\n", "empty hex number for chunk length"),
            ("10000000000000000\r\n", "http chunk length too large"),
            ("3\r\nabcd\r\n", "malformed chunked encoding"),
            (&long, "header line too long"),
            (&trailer, "http: suspiciously long trailer after chunked body"),
            (&padded, "chunked encoding contains too much non-data"),
        ] {
            assert_eq!(read(data.as_bytes(), 1000).unwrap_err(), text);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(data in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..50usize) {
            let _ = read(&data, piece);
        }

        #[test]
        fn what_is_encoded_comes_back(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..10),
            piece in 1..50usize,
        ) {
            let mut data = Vec::new();
            for chunk in &chunks {
                data.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                data.extend(chunk);
                data.extend(b"\r\n");
            }
            data.extend(b"0\r\n\r\n");
            prop_assert_eq!(read(&data, piece).unwrap(), (chunks.concat(), Vec::new(), true));
        }
    }
}
