//! The body of an answer that is not the start of a session: read for people to see why, up to a limit.

use super::handshake::Response;

/// The most that is kept of a body, in bytes.
const MAX: usize = 64 << 10;
/// The longest line before a chunk.
const MAX_LINE: usize = 1024;

/// A body on its way.
#[derive(Debug)]
pub struct Body {
    rest: Rest,
    content: Vec<u8>,
    is_done: bool,
}

/// How it is known where the body ends.
#[derive(Debug)]
enum Rest {
    Known(u64),
    UntilEnd,
    /// A line that says how long the next chunk is.
    Line(Vec<u8>),
    /// Of a chunk, with the line break behind it.
    Chunk(u64),
}

impl Body {
    pub fn of(response: &Response) -> Self {
        let is_chunked = response.joined("Transfer-Encoding").to_ascii_lowercase().contains("chunked");
        let length = response.header("Content-Length").and_then(|length| length.trim().parse().ok());
        let rest = match (response.status, is_chunked, length) {
            (101 | 204 | 304, ..) => Rest::Known(0),
            (_, true, _) => Rest::Line(Vec::new()),
            (_, false, Some(length)) => Rest::Known(length),
            (_, false, None) => Rest::UntilEnd,
        };
        let is_done = matches!(rest, Rest::Known(0));
        Self { rest, content: Vec::new(), is_done }
    }

    /// Whether nothing more is needed: it is whole, too long, or not what it says it is.
    pub fn is_done(&self) -> bool {
        self.is_done || self.content.len() >= MAX
    }

    /// Takes received bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_done() {
            match &mut self.rest {
                Rest::UntilEnd => {
                    let (content, _) = bytes.split_at(bytes.len().min(MAX - self.content.len()));
                    self.content.extend_from_slice(content);
                    return;
                }
                Rest::Known(left) => {
                    let here = (*left).min(bytes.len() as u64) as usize;
                    *left -= here as u64;
                    self.is_done = *left == 0;
                    let kept = here.min(MAX - self.content.len());
                    self.content.extend_from_slice(&bytes[..kept]);
                    bytes = &bytes[here..];
                }
                Rest::Chunk(left) => {
                    let here = (*left).min(bytes.len() as u64) as usize;
                    // The last two are the line break.
                    let content = (*left).saturating_sub(2).min(here as u64) as usize;
                    *left -= here as u64;
                    if *left == 0 {
                        self.rest = Rest::Line(Vec::new());
                    }
                    let kept = content.min(MAX - self.content.len());
                    self.content.extend_from_slice(&bytes[..kept]);
                    bytes = &bytes[here..];
                }
                Rest::Line(line) => {
                    let (byte, rest) = (bytes[0], &bytes[1..]);
                    bytes = rest;
                    if byte != b'\n' && line.len() < MAX_LINE {
                        line.push(byte);
                        continue;
                    }
                    match chunk_size(line) {
                        Some(size @ 1..) => self.rest = Rest::Chunk(size.saturating_add(2)),
                        _ => self.is_done = true,
                    }
                }
            }
        }
    }

    /// What has come of it.
    pub fn into_text(self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let size = text.split(';').next().unwrap_or_default();
    u64::from_str_radix(size.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(headers: &[(&str, &str)]) -> Response {
        let own = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Response { status: 404, headers: own.collect() }
    }

    fn read(response: &Response, bytes: &[u8], size: usize) -> (String, bool) {
        let mut body = Body::of(response);
        bytes.chunks(size).for_each(|chunk| body.push(chunk));
        let is_done = body.is_done();
        (body.into_text(), is_done)
    }

    #[test]
    fn bodies_end_where_they_say() {
        let chunked = response(&[("Transfer-Encoding", "chunked")]);
        let known = response(&[("Content-Length", "5")]);
        for size in [1, 3, 100] {
            assert_eq!(read(&known, b"hello world", size), ("hello".to_owned(), true));
            assert_eq!(read(&known, b"hell", size), ("hell".to_owned(), false));
            let chunks = b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
            assert_eq!(read(&chunked, chunks, size), ("hello world".to_owned(), true));
            assert_eq!(read(&chunked, b"5\r\nhello\r\nno size\r\n", size), ("hello".to_owned(), true));
            assert_eq!(read(&response(&[]), b"until the end", size), ("until the end".to_owned(), false));
        }
    }

    #[test]
    fn a_body_without_end_is_cut() {
        for headers in [&[][..], &[("Content-Length", "99999999999")]] {
            let (text, is_done) = read(&response(headers), &vec![b'x'; 3 * MAX], 1000);
            assert_eq!((text.len(), is_done), (MAX, true));
        }
        let chunk = [b"fffffff\r\n".to_vec(), vec![b'x'; 2 * MAX]].concat();
        let (text, is_done) = read(&response(&[("Transfer-Encoding", "chunked")]), &chunk, 1000);
        assert_eq!((text.len(), is_done), (MAX, true));
    }

    proptest! {
        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..50_usize) {
            let chunked = response(&[("Transfer-Encoding", "chunked")]);
            prop_assert_eq!(read(&chunked, &bytes, size), read(&chunked, &bytes, 200));
        }
    }
}
