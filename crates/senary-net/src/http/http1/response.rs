//! A response as its bytes arrive. It needs no socket, so that any bytes can be tried on it.

use std::ops::ControlFlow;

use super::body::Framing;
use super::head::{self, MAX_HEAD, broken};
use crate::http::error::HttpError;
use crate::http::exchange::{Head, Proto};

/// Responses of status 1xx before the one that counts; as in Go.
const MAX_INFORMATIONAL: usize = 5;

/// In bytes: what is set aside for a body because of what the server says about its length. The rest is when it comes.
const MAX_TRUSTED: u64 = 256 * 1024;

/// What the reader has to know of the request.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// `HEAD`: the response has no body, whatever its head says.
    pub is_head: bool,
    /// Bodies are read, but not stored.
    pub discard: bool,
    /// In bytes: the longest body that is stored.
    pub max_body: usize,
    /// Whether the text of the head is kept.
    pub keep_text: bool,
}

#[derive(Debug)]
pub struct ResponseReader {
    expected: Expected,
    step: Step,
    /// The part of a head that came so far.
    pending: Vec<u8>,
    informational: usize,
    pub proto: Proto,
    pub head: Option<Head>,
    pub head_text: Option<String>,
    pub body: Vec<u8>,
    /// How many bytes belonged to the response.
    pub received: u64,
    /// Whether the server keeps the connection.
    pub keeps: bool,
}

#[derive(Debug)]
enum Step {
    Head,
    Body(Framing),
    Done,
}

impl ResponseReader {
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            step: Step::Head,
            pending: Vec::new(),
            informational: 0,
            proto: Proto::Http11,
            head: None,
            head_text: None,
            body: Vec::new(),
            received: 0,
            keeps: false,
        }
    }

    /// Reads bytes; once the response is done, what is left of them does not belong to it.
    pub fn read(&mut self, mut data: &[u8]) -> Result<ControlFlow<usize>, HttpError> {
        while !data.is_empty() {
            let taken = match &mut self.step {
                Step::Head => self.read_head(data)?,
                Step::Body(_) => self.read_body(data)?,
                Step::Done => break,
            };
            self.received += taken as u64;
            data = &data[taken..];
        }
        Ok(match self.step {
            Step::Done => ControlFlow::Break(data.len()),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The server has ended the connection; whether the response was complete then.
    pub fn end(&mut self) -> Result<(), HttpError> {
        match &self.step {
            Step::Done => Ok(()),
            Step::Body(Framing::UntilEnd) => {
                self.step = Step::Done;
                Ok(())
            }
            Step::Head => Err(HttpError::Ended { in_response: self.received > 0 }),
            Step::Body(_) => Err(HttpError::Ended { in_response: true }),
        }
    }

    /// Most heads come in one piece, and are not copied.
    fn read_head(&mut self, data: &[u8]) -> Result<usize, HttpError> {
        let before = self.pending.len();
        if before == 0
            && let Some(end) = head::end(data, 0)
        {
            self.begin(&data[..end])?;
            return Ok(end);
        }
        self.pending.extend_from_slice(data);
        match head::end(&self.pending, before) {
            Some(end) => {
                let pending = std::mem::take(&mut self.pending);
                self.begin(&pending[..end])?;
                Ok(end - before)
            }
            None => {
                self.check_unfinished(before)?;
                Ok(data.len())
            }
        }
    }

    /// Bytes that do not begin like HTTP are an error at once, because their end may never come.
    fn check_unfinished(&self, before: usize) -> Result<(), HttpError> {
        if self.pending.len() > MAX_HEAD {
            return Err(too_long());
        }
        if before == 0 {
            head::check_beginning(&self.pending)?;
        }
        let has_line = |data: &[u8]| memchr::memchr(b'\n', data).is_some();
        if !has_line(&self.pending[..before]) && has_line(&self.pending[before..]) {
            head::status_line(head::split_line(&self.pending).0)?;
        }
        Ok(())
    }

    fn begin(&mut self, text: &[u8]) -> Result<(), HttpError> {
        if text.len() > MAX_HEAD {
            return Err(too_long());
        }
        let (proto, head) = head::parse(text)?;
        if matches!(head.status, 100..=199) && head.status != 101 {
            self.informational += 1;
            if self.informational > MAX_INFORMATIONAL {
                return Err(broken("net/http: too many 1xx informational responses"));
            }
            return Ok(());
        }
        let (framing, keeps) = Framing::of(&head, proto, self.expected.is_head)?;
        // After 101 another protocol is spoken.
        self.keeps = keeps && head.status != 101;
        self.proto = proto;
        if self.expected.keep_text {
            self.head_text = Some(String::from_utf8_lossy(text).into_owned());
        }
        if let (Framing::Length(length), false) = (&framing, self.expected.discard) {
            self.body.reserve_exact((*length).min(MAX_TRUSTED) as usize);
        }
        self.step = if matches!(framing, Framing::Length(0)) { Step::Done } else { Step::Body(framing) };
        self.head = Some(head);
        Ok(())
    }

    fn read_body(&mut self, data: &[u8]) -> Result<usize, HttpError> {
        let Step::Body(framing) = &mut self.step else { return Ok(0) };
        let (taken, part, done) = match framing {
            Framing::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                *left -= taken as u64;
                (taken, &data[..taken], *left == 0)
            }
            Framing::Chunked(chunked) => {
                let (taken, part) = chunked.read(data)?;
                (taken, part, chunked.is_done())
            }
            Framing::UntilEnd => (data.len(), data, false),
        };
        if !self.expected.discard {
            if part.len() > self.expected.max_body.saturating_sub(self.body.len()) {
                return Err(body_too_long(self.expected.max_body));
            }
            self.body.extend_from_slice(part);
        }
        if done {
            self.step = Step::Done;
        }
        Ok(taken)
    }
}

fn too_long() -> HttpError {
    broken(format!("net/http: server response headers exceeded {MAX_HEAD} bytes; aborted"))
}

/// A body that is longer than what is stored.
pub fn body_too_long(limit: usize) -> HttpError {
    HttpError::Response(format!(
        "the body of the response is longer than {limit} bytes; set responseType to 'none', or discardResponseBodies, if it is not needed"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPECTED: Expected = Expected { is_head: false, discard: false, max_body: 1000, keep_text: false };

    /// Reads pieces of the given size, then the end: status, body, how many bytes follow, whether the connection is kept.
    fn read(data: &[u8], piece: usize, expected: Expected) -> Result<(u16, Vec<u8>, usize, bool), String> {
        let mut reader = ResponseReader::new(expected);
        let (mut left, mut at) = (0, 0);
        for part in data.chunks(piece) {
            at += part.len();
            if let ControlFlow::Break(unread) = reader.read(part).map_err(|error| error.to_string())? {
                left = unread + data.len() - at;
                break;
            }
        }
        reader.end().map_err(|error| error.to_string())?;
        assert_eq!(reader.received as usize + left, data.len());
        Ok((reader.head.unwrap().status, reader.body, left, reader.keeps))
    }

    #[test]
    fn a_response_is_the_same_however_it_arrives() {
        for (text, status, body, left, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP", 200, "ab", 4, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: a, Close\r\n\r\nab", 200, "ab", 0, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nx", 200, "a", 1, true),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", 200, "1\r\n", 0, false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, "", 0, true),
            ("HTTP/1.1 200 OK\n\nuntil the end", 200, "until the end", 0, false),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                204,
                "",
                0,
                true,
            ),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", 0, true),
            ("HTTP/1.1 101 Switching\r\n\r\n", 101, "", 0, false),
        ] {
            for piece in 1..=text.len() {
                let wanted = (status, body.as_bytes().to_vec(), left, keeps);
                assert_eq!(read(text.as_bytes(), piece, EXPECTED).unwrap(), wanted, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_body_is_as_long_as_the_request_allows() {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000));
        let error = read(text.as_bytes(), 100, EXPECTED).unwrap_err();
        assert!(error.contains("longer than 1000 bytes"), "{error}");
        let discarded = read(text.as_bytes(), 100, Expected { discard: true, ..EXPECTED }).unwrap();
        assert_eq!(discarded, (200, Vec::new(), 0, true));
        let of_head = "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n";
        let head = read(of_head.as_bytes(), 7, Expected { is_head: true, ..EXPECTED }).unwrap();
        assert_eq!(head, (200, Vec::new(), 0, true));
    }

    #[test]
    fn lies_are_told_in_the_words_of_the_reference() {
        let prefix = "net/http: HTTP/1.x transport connection broken: ";
        for (text, error) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "unexpected EOF".to_owned()),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\n",
                format!("{prefix}bad Content-Length \"18446744073709551617\""),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", format!("{prefix}bad Content-Length \"+5\"")),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                format!(
                    "{prefix}http: message cannot contain multiple Content-Length headers; got [\"1\" \"2\"]"
                ),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                format!("{prefix}unsupported transfer encoding: \"gzip\""),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na", "unexpected EOF".to_owned()),
            ("HTTP/1.1 200", "unexpected EOF".to_owned()),
            ("", "EOF".to_owned()),
        ] {
            for piece in [1, 1000] {
                assert_eq!(read(text.as_bytes(), piece, EXPECTED).unwrap_err(), error, "{text:?}");
            }
        }
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(2 << 20));
        let error = read(endless.as_bytes(), 60_000, EXPECTED).unwrap_err();
        assert_eq!(
            error,
            format!("{prefix}net/http: server response headers exceeded 10485760 bytes; aborted")
        );
        // The end of bytes that are not HTTP is not waited for.
        let mut reader = ResponseReader::new(EXPECTED);
        assert!(reader.read(b"HT").is_ok());
        assert!(reader.read(b"ML, or so\r\n").is_err());
        assert!(ResponseReader::new(EXPECTED).read(b"220 mail.test ESM").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(data in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..50usize) {
            let _ = read(&data, piece, EXPECTED);
        }
    }
}
