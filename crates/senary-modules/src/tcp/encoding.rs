//! The form in which script gets a message: bytes, or text in the socket's encoding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rquickjs::{Ctx, Value};

use senary_js::memory::{Chunk, Memory};
use std::rc::Rc;

use crate::connection::bytes::TextAs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    Hex,
    Base64,
}

impl Encoding {
    pub const ALL: [(&'static str, Self); 5] = [
        ("utf8", Self::Utf8),
        ("ascii", Self::Ascii),
        ("latin1", Self::Latin1),
        ("hex", Self::Hex),
        ("base64", Self::Base64),
    ];

    /// Which bytes stand for a text that is sent on a socket with this encoding. Hex and Base64 are for what is received.
    pub fn of_sent_text(encoding: Option<Self>) -> TextAs<'static> {
        match encoding {
            Some(Self::Latin1) => TextAs::Latin1,
            _ => TextAs::Utf8,
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, encoding)| *encoding)
    }
}

/// The script's own copy of a message.
pub fn value<'js>(
    ctx: &Ctx<'js>,
    memory: &Rc<Memory>,
    message: &[u8],
    encoding: Option<Encoding>,
) -> rquickjs::Result<Value<'js>> {
    let Some(encoding) = encoding else { return Chunk::copy_of(memory, message).into_uint8_array(ctx) };
    let text = match encoding {
        // ASCII is the same in all three, and the engine takes it as it is.
        Encoding::Utf8 | Encoding::Ascii | Encoding::Latin1 if message.is_ascii() => {
            String::from_utf8_lossy(message)
        }
        Encoding::Utf8 => String::from_utf8_lossy(message),
        Encoding::Ascii => message.iter().map(|byte| char::from(byte & 0x7f)).collect::<String>().into(),
        Encoding::Latin1 => message.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
        Encoding::Hex => {
            let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
            message.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>().into()
        }
        Encoding::Base64 => STANDARD.encode(message).into(),
    };
    rquickjs::String::from_str(ctx.clone(), &text).map(rquickjs::String::into_value)
}
