//! Where the body of a response ends, and whether the connection can be used again after it.

use super::chunked::Chunked;
use super::head::broken;
use crate::http::error::HttpError;
use crate::http::exchange::{Head, Proto};
use crate::http::headers::Headers;

/// How the end of a body is known.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    /// It ends with the connection.
    UntilEnd,
}

impl Framing {
    /// The framing of a response, and whether the server keeps the connection.
    pub(super) fn of(head: &Head, proto: Proto, is_head: bool) -> Result<(Self, bool), HttpError> {
        let headers = &head.headers;
        let chunked = proto != Proto::Http10 && is_chunked(headers)?;
        let length = content_length(headers)?;
        let keeps = match proto {
            Proto::Http10 => has_token(headers, "keep-alive") && !has_token(headers, "close"),
            _ => !has_token(headers, "close"),
        };
        Ok(match (chunked, length) {
            _ if is_head || matches!(head.status, 100..200 | 204 | 304) => (Self::Length(0), keeps),
            (true, _) => (Self::Chunked(Chunked::default()), keeps),
            (false, Some(length)) => (Self::Length(length), keeps),
            (false, None) => (Self::UntilEnd, false),
        })
    }
}

fn is_chunked(headers: &Headers) -> Result<bool, HttpError> {
    let mut encodings = headers.all("Transfer-Encoding");
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(false),
        (Some(one), None) if one.eq_ignore_ascii_case("chunked") => Ok(true),
        (Some(one), None) => Err(broken(format!("unsupported transfer encoding: {one:?}"))),
        (Some(_), Some(_)) => {
            Err(broken(format!("too many transfer encodings: {}", listed(headers.all("Transfer-Encoding")))))
        }
    }
}

fn content_length(headers: &Headers) -> Result<Option<u64>, HttpError> {
    let mut lengths = headers.all("Content-Length");
    let Some(first) = lengths.next() else { return Ok(None) };
    if lengths.any(|other| other.trim() != first.trim()) {
        let all = listed(headers.all("Content-Length"));
        return Err(broken(format!(
            "http: message cannot contain multiple Content-Length headers; got {all}"
        )));
    }
    let digits = first.trim();
    let length = digits.parse::<i64>().ok().filter(|_| digits.bytes().all(|c| c.is_ascii_digit()));
    match length {
        Some(length) => Ok(Some(length.unsigned_abs())),
        None => Err(broken(format!("bad Content-Length {first:?}"))),
    }
}

/// Whether `Connection` has a token.
pub(super) fn has_token(headers: &Headers, token: &str) -> bool {
    headers
        .all("Connection")
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// As Go writes a list of texts.
fn listed<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: Vec<String> = values.map(|value| format!("{value:?}")).collect();
    format!("[{}]", values.join(" "))
}
