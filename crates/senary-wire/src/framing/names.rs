//! The well-known framings: a row each.

use std::rc::Rc;

use bytes::Bytes;

use crate::framing::checked::{Framing, Kind, LinesKind, Start};
use crate::framing::description::{Delimiters, Description, Form, Header, Headers, Length, Notation};
use crate::framing::error::DescriptionError;
use crate::framing::lines::{ends_reply, memcached_count, memcached_ends, nats_count};
use crate::framing::pattern::Found;
use crate::framing::{DEFAULT_MAX, json};

/// A name, and what it is made of.
type Row = (&'static str, fn() -> Made);
type Made = Result<Framing, DescriptionError>;
/// A pattern of our own, as a function.
type Native = fn(&[u8], usize) -> Option<Found>;

use Header::Keep;

const ROWS: [Row; 36] = [
    ("lines", || delimiters(&[b"\n", b"\r\n"])),
    ("crlf", || delimiters(&[b"\r\n"])),
    ("nul", || delimiters(&[b"\0"])),
    ("json", || Ok(Framing { between: json::BETWEEN, adds: Some(b"\n"), ..named(Kind::Json) })),
    ("u8", || length(Length::new(Notation::big(1)))),
    ("u16", || length(Length::new(Notation::big(2)))),
    ("u16le", || length(Length::new(Notation::little(2)))),
    ("u32", || length(Length::new(Notation::big(4)))),
    ("u32le", || length(Length::new(Notation::little(4)))),
    ("varint", || length(Length::new(Notation::Varint))),
    ("resp", || Ok(Framing { adds: Some(b""), ..named(Kind::Resp) })),
    ("smtp", || lines(b"\r\n", None, Some(ends_reply), false)),
    ("memcached", || lines(b"\r\n", Some(memcached_count), Some(memcached_ends), false)),
    ("nats", || lines(b"", Some(nats_count), None, true)),
    ("stomp", stomp),
    ("fix", || adding(b"", length(Length::new(until(1)).after(b"\x019=").adjust(7)))),
    ("mllp", || {
        let block = Delimiters { start: Bytes::from_static(b"\x0b"), ..one_delimiter(b"\x1c\r") };
        Framing::new(Description::new(Form::Delimiter(block)))
    }),
    ("lsp", || Framing::new(Description::new(Form::Headers(Headers::new("Content-Length"))))),
    ("netstring", || {
        let trailer = Bytes::from_static(b",");
        Framing::new(Description { trailer, ..Description::new(Form::Length(Length::new(until(b':')))) })
    }),
    ("syslog", || length(Length::new(until(b' ')))),
    ("postgres", || starting(Start::Untyped, length(Length::new(Notation::big(4)).at(1).adjust(-4)))),
    ("mysql", || length(Length::new(Notation::little(3)).adjust(1).header(Keep))),
    ("mongodb", || length(Length::new(Notation::little(4)).adjust(-4).header(Keep))),
    ("cassandra", || length(Length::new(Notation::big(4)).at(5))),
    ("mqtt", || length(Length::new(Notation::Varint).at(1))),
    ("amqp", || {
        let form = Form::Length(Length::new(Notation::big(4)).at(3));
        let trailer = Bytes::from_static(b"\xce");
        starting(Start::Amqp, Framing::new(Description { trailer, ..Description::new(form) }))
    }),
    ("amqp1", || starting(Start::Amqp, length(Length::new(Notation::big(4)).adjust(-4).header(Keep)))),
    ("smpp", || length(Length::new(Notation::big(4)).adjust(-4).header(Keep))),
    ("kafka", || length(Length::new(Notation::big(4)))),
    ("thrift", || length(Length::new(Notation::big(4)))),
    ("iso8583", || length(Length::new(Notation::big(2)))),
    ("dns", || length(Length::new(Notation::big(2)))),
    ("modbus", || length(Length::new(Notation::big(2)).at(4))),
    ("diameter", || length(Length::new(Notation::big(3)).at(1).adjust(-4))),
    ("ldap", || adding(b"", length(Length::new(Notation::Ber).at(1)))),
    ("tpkt", || length(Length::new(Notation::big(2)).at(2).adjust(-4))),
];

/// The names, in the order of the declaration.
pub fn all() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(name, _)| *name)
}

pub fn find(name: &str) -> Result<Framing, DescriptionError> {
    match ROWS.iter().find(|(row, _)| *row == name) {
        Some((_, make)) => make(),
        None => Err(DescriptionError::UnknownName(name.to_owned())),
    }
}

fn named(kind: Kind) -> Framing {
    Framing {
        kind,
        max: DEFAULT_MAX,
        magic: Bytes::new(),
        trailer: Bytes::new(),
        empty: Default::default(),
        between: b"",
        adds: None,
    }
}

fn one_delimiter(delimiter: &'static [u8]) -> Delimiters {
    Delimiters { delimiters: vec![Bytes::from_static(delimiter)], ..Delimiters::default() }
}

fn delimiters(list: &[&'static [u8]]) -> Made {
    let delimiters = list.iter().map(|one| Bytes::from_static(one)).collect();
    Framing::new(Description::new(Form::Delimiter(Delimiters { delimiters, ..Delimiters::default() })))
}

fn length(length: Length) -> Made {
    Framing::new(Description::new(Form::Length(length)))
}

/// Digits up to a byte.
fn until(until: u8) -> Notation {
    Notation::DecimalUntil { until, max: 10 }
}

fn adding(adds: &'static [u8], framing: Made) -> Made {
    Ok(Framing { adds: Some(adds), ..framing? })
}

fn starting(start: Start, framing: Made) -> Made {
    let mut framing = framing?;
    if let Kind::Length(length) = &mut framing.kind {
        length.start = start;
    }
    Ok(framing)
}

fn lines(adds: &'static [u8], count: Option<Native>, until: Option<Native>, keep_end: bool) -> Made {
    let pattern = |native: Native| Rc::new(native) as Rc<dyn crate::framing::Pattern>;
    let (count, until) = (count.map(pattern), until.map(pattern));
    let lines = LinesKind { count, adjust: 2, until, keep_end, strict: true };
    Ok(Framing { adds: Some(adds), ..named(Kind::Lines(lines)) })
}

fn stomp() -> Made {
    let otherwise = Description::new(Form::Delimiter(one_delimiter(b"\0")));
    let headers = Headers {
        otherwise: Some(Box::new(otherwise)),
        header: Some(Keep),
        ..Headers::new("content-length")
    };
    let trailer = Bytes::from_static(b"\0");
    let framing = Framing::new(Description { trailer, ..Description::new(Form::Headers(headers)) })?;
    // Newlines between frames are heart-beats.
    Ok(Framing { between: b"\r\n", adds: Some(b"\0"), ..framing })
}
