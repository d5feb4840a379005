//! The head of a response: where it ends, and what it says. What is accepted, and the texts about the rest, are those of Go's net/http,
//! which the reference uses.

use std::borrow::Cow;

use memchr::memchr;
use senary_words::beginning;

use crate::http::error::HttpError;
use crate::http::exchange::{Head, Proto};
use crate::http::headers::Headers;

/// In bytes, as in Go. More is an error, so that a server that never ends a head does not fill memory.
pub(super) const MAX_HEAD: usize = 10 << 20;

/// In bytes: how much of a server's words goes into an error, which becomes a tag, too.
const LONGEST_REASON: usize = 1024;

/// The number of bytes that an error shows of an answer that is not HTTP.
const SHOWN: usize = 64;

/// Where the head ends, its empty line included; `searched` bytes are known to contain no end.
pub fn end(data: &[u8], searched: usize) -> Option<usize> {
    // The end may have begun in what was searched.
    let mut from = searched.saturating_sub(3);
    loop {
        let line_end = from + memchr(b'\n', &data[from..])?;
        match data[line_end + 1..] {
            [b'\n', ..] => return Some(line_end + 2),
            [b'\r', b'\n', ..] => return Some(line_end + 3),
            _ => from = line_end + 1,
        }
    }
}

/// Reads a whole head.
pub fn parse(head: &[u8]) -> Result<(Proto, Head), HttpError> {
    let (first, rest) = split_line(head);
    let (proto, status, reason) = status_line(first)?;
    Ok((proto, Head { status, reason, headers: fields(rest)? }))
}

/// Whether the first bytes of a connection can be those of a response. A server of another protocol may never end a line.
pub(super) fn check_beginning(data: &[u8]) -> Result<(), HttpError> {
    const VERSION: &[u8] = b"HTTP/";
    let is_response = data.starts_with(VERSION) || VERSION.starts_with(data);
    if is_response || memchr(b'\n', data).is_some() {
        return Ok(());
    }
    Err(broken(format!("malformed HTTP response {}", quoted(&data[..data.len().min(SHOWN)]))))
}

/// The protocol, the status, and the words behind it.
pub(super) fn status_line(line: &[u8]) -> Result<(Proto, u16, Cow<'static, str>), HttpError> {
    let malformed = |what: &str, text: &[u8]| broken(format!("malformed HTTP {what} {}", quoted(text)));
    let Some(space) = memchr(b' ', line) else { return Err(malformed("response", line)) };
    let (version, rest) = (&line[..space], line[space..].trim_ascii_start());
    let (code, reason) = match memchr(b' ', rest) {
        Some(space) => (&rest[..space], &rest[space + 1..]),
        None => (rest, &[][..]),
    };
    if code.len() != 3 || !code.iter().all(u8::is_ascii_digit) {
        return Err(malformed("status code", code));
    }
    let status = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let proto = match version {
        b"HTTP/1.1" => Proto::Http11,
        b"HTTP/1.0" => Proto::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major == b'0' {
                Proto::Http10
            } else {
                Proto::Http11
            }
        }
        _ => return Err(malformed("version", version)),
    };
    let reason = match reason {
        // Most responses have these words.
        b"OK" => Cow::Borrowed("OK"),
        other => String::from_utf8_lossy(other).into_owned().into(),
    };
    Ok((proto, status, reason))
}

/// The fields up to an empty line.
pub(super) fn fields(mut rest: &[u8]) -> Result<Headers, HttpError> {
    let mut headers = Headers::with_capacity(rest.len());
    // The name that a continuation belongs to may be one that is left out.
    let mut skipped = false;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        let malformed = || broken(format!("malformed MIME header line: {}", String::from_utf8_lossy(line)));
        if !line.iter().all(|c| matches!(c, b'\t' | b' '..=b'~' | 0x80..)) {
            return Err(malformed());
        }
        if matches!(line[0], b' ' | b'\t') {
            if headers.is_empty() && !skipped {
                let line = String::from_utf8_lossy(line);
                return Err(broken(format!("malformed MIME header initial line: {line}")));
            }
            if !skipped {
                headers.extend_last(" ");
                headers.extend_last(&String::from_utf8_lossy(line.trim_ascii()));
            }
            continue;
        }
        let colon = memchr(b':', line).ok_or_else(malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !name.iter().all(|c| is_token(*c) || *c == b' ') {
            return Err(malformed());
        }
        skipped = name.is_empty();
        if !skipped {
            headers.push(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
        }
    }
    Ok(headers)
}

/// A line without its end, and what follows.
pub(super) fn split_line(data: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', data) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

/// A byte that names of fields and methods consist of.
pub(super) fn is_token(c: u8) -> bool {
    TOKEN[usize::from(c)]
}

/// Which bytes are those.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut c = 0;
    while c < table.len() {
        table[c] = (c as u8).is_ascii_alphanumeric();
        c += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// A response that breaks the connection, in the words of the reference.
pub(super) fn broken(reason: impl Into<Cow<'static, str>>) -> HttpError {
    let reason = reason.into();
    let reason = beginning(&reason, LONGEST_REASON);
    HttpError::Response(format!("net/http: HTTP/1.x transport connection broken: {reason}"))
}

/// Text of a server in quotation marks, with escapes for what cannot be printed, as Go writes it. It is cut off where it is long.
fn quoted(text: &[u8]) -> String {
    const LONGEST: usize = 256;
    let mut out = String::from("\"");
    for chunk in text[..text.len().min(LONGEST)].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_is_read_as_go_reads_it() {
        let text = b"HTTP/1.1 200  OK then\r\nA: 1\nb:  two \t\r\n folded\r\nA: 3\r\n: no name\r\nC D: 4\r\nE:\r\n\r\nbody";
        let end = end(text, 0).unwrap();
        assert_eq!(&text[end..], b"body");
        let (proto, head) = parse(&text[..end]).unwrap();
        assert_eq!((proto, head.status, &*head.reason), (Proto::Http11, 200, " OK then"));
        let fields: Vec<_> = head.headers.iter().collect();
        assert_eq!(fields, [("A", "1"), ("b", "two folded"), ("A", "3"), ("C D", "4"), ("E", "")]);
        assert_eq!(head.headers.all("a").collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn what_is_not_http_is_told_in_the_words_of_the_reference() {
        for (head, text) in [
            ("SSH-2.0-OpenSSH_9\r\n\r\n", "malformed HTTP response \"SSH-2.0-OpenSSH_9\""),
            ("\u{1}\"\r\n\r\n", "malformed HTTP response \"\\x01\\\"\""),
            ("HTTP/1.1 20 OK\n\n", "malformed HTTP status code \"20\""),
            ("HTTP/1.1 2x0 OK\n\n", "malformed HTTP status code \"2x0\""),
            ("HTTP/one 200 OK\n\n", "malformed HTTP version \"HTTP/one\""),
            ("HTTP/1.1 200 OK\nno colon\n\n", "malformed MIME header line: no colon"),
            ("HTTP/1.1 200 OK\na/b: c\n\n", "malformed MIME header line: a/b: c"),
            ("HTTP/1.1 200 OK\n folded\n\n", "malformed MIME header initial line:  folded"),
        ] {
            let error = parse(head.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("net/http: HTTP/1.x transport connection broken: {text}"));
        }
    }

    #[test]
    fn a_server_of_another_protocol_is_known_by_its_first_bytes() {
        for beginning in ["", "H", "HTTP", "HTTP/", "HTTP/1.1 2", "no\n"] {
            assert!(check_beginning(beginning.as_bytes()).is_ok(), "{beginning}");
        }
        let long = [b'x'; 1000];
        let shown = format!("malformed HTTP response \"{}\"", "x".repeat(SHOWN));
        for (beginning, text) in [
            (&b"220 ready"[..], "malformed HTTP response \"220 ready\""),
            (b"\x15\x03\x01\x00\x02\x02", "malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\""),
            (&long, &shown),
        ] {
            let error = check_beginning(beginning).unwrap_err().to_string();
            assert_eq!(error, format!("net/http: HTTP/1.x transport connection broken: {text}"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&data);
            let _ = check_beginning(&data);
            let _ = quoted(&data);
        }

        /// Wherever the pieces end, the end of a head is found where it is in the whole.
        #[test]
        fn an_end_is_found_across_pieces(text in "[a\r\n]{0,30}", cut in 0..30usize) {
            let data = text.as_bytes();
            let cut = cut.min(data.len());
            let whole = end(data, 0);
            let in_pieces = end(&data[..cut], 0).or_else(|| end(data, cut));
            prop_assert_eq!(whole, in_pieces);
        }
    }
}
