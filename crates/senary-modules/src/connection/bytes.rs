//! The data that scripts send: text in its encodings, and binary data in all its forms.

use rquickjs::{Ctx, Value};
use senary_js::native::described;
use senary_js::{bytes, hints};

use super::error::{Method, SocketFailure};
use crate::encoding::Form;

/// The method of a socket that was given data.
#[derive(Clone, Copy)]
pub struct Caller {
    /// `write()`.
    pub name: &'static str,
    /// The method that its errors name.
    pub method: Method,
}

/// Which bytes stand for a text.
#[derive(Clone, Copy, Default)]
pub enum TextAs<'a> {
    #[default]
    Utf8,
    /// One byte for each character up to U+00FF.
    Latin1,
    /// The bytes that the text encodes, in an encoding that the script names.
    Named(&'a str),
}

/// Calls `f` with the bytes a value stands for. Binary data ignores the encoding.
pub fn with_bytes<'js, R>(
    ctx: &Ctx<'js>,
    data: Option<&Value<'js>>,
    text_as: TextAs<'_>,
    caller: Caller,
    f: impl FnOnce(&[u8]) -> R,
) -> rquickjs::Result<Result<R, SocketFailure>> {
    let wrong = || {
        tell_what_is_written(ctx, data, caller.name);
        let text = "invalid type: String or ArrayBuffer expected";
        SocketFailure::new(caller.method, "ERR_INVALID_ARG_TYPE", text)
    };
    let Some(data) = data else { return Ok(Err(wrong())) };
    if data.is_string() {
        return bytes::with_utf8(ctx, data, |text| match decode(text, text_as, caller.method) {
            Ok(None) => Ok(f(text)),
            Ok(Some(bytes)) => Ok(f(&bytes)),
            Err(error) => Err(error),
        });
    }
    let Some(object) = data.as_object() else { return Ok(Err(wrong())) };
    match bytes::of_object(ctx, object) {
        // The bytes are used before any script can run again.
        Ok(Some(view)) => Ok(Ok(f(view.as_slice()))),
        Ok(None) => Ok(Err(wrong())),
        Err(_) => {
            let text = senary_js::value_text::to_text(ctx, &ctx.catch());
            Ok(Err(SocketFailure::new(caller.method, "ERR_INVALID_ARG_TYPE", text)))
        }
    }
}

/// The reference's text names two of the types; scripts match on it.
fn tell_what_is_written<'js>(ctx: &Ctx<'js>, data: Option<&Value<'js>>, caller: &str) {
    let kind = data.map_or("undefined", Value::type_name);
    if hints::is_due(ctx, &format!("{caller} {kind}")) {
        let hint = match kind {
            "array" => "new Uint8Array(numbers) makes bytes of an array of numbers",
            "object" => "JSON.stringify(value) makes a text of an object",
            _ => "String(value) makes a text of a value",
        };
        log::warn!(hint = hint; "{caller} takes a string, an ArrayBuffer, a typed array or a DataView, not {}", described(kind));
    }
}

/// `None`: the text's own bytes.
fn decode(text: &[u8], text_as: TextAs<'_>, method: Method) -> Result<Option<Vec<u8>>, SocketFailure> {
    let name = match text_as {
        TextAs::Utf8 => return Ok(None),
        TextAs::Latin1 => {
            return latin1(text).map_err(|character| {
                let message = not_latin1(character);
                SocketFailure::new(method, "ERR_INVALID_ARG_VALUE", message)
            });
        }
        TextAs::Named(name) => name,
    };
    let error = |message: String| SocketFailure::new(method, "ERR_INVALID_ENCODING", message);
    match name.to_lowercase().as_str() {
        "" | "utf8" | "utf-8" | "ascii" => Ok(None),
        "base64" => base64(text, false).map(Some).map_err(error),
        "base64url" => base64(text, true).map(Some).map_err(error),
        "hex" => hex(text).map(Some).map_err(error),
        _ => Err(error(format!("unsupported encoding {name:?}"))),
    }
}

/// Why a character cannot be sent.
pub fn not_latin1(character: char) -> String {
    format!("{character:?} is not in Latin-1, the encoding of this socket: send bytes instead")
}

/// Encodes a text as Latin-1. `None` means that its own bytes are already right. The error is the character that Latin-1 does
/// not have.
pub fn latin1(text: &[u8]) -> Result<Option<Vec<u8>>, char> {
    if text.is_ascii() {
        return Ok(None);
    }
    let byte = |character: char| u8::try_from(u32::from(character)).map_err(|_| character);
    String::from_utf8_lossy(text).chars().map(byte).collect::<Result<_, _>>().map(Some)
}

/// Padding is required in the standard alphabet and optional in the URL one; line breaks are skipped.
fn base64(text: &[u8], url: bool) -> Result<Vec<u8>, String> {
    let form = match (url, text.contains(&b'=')) {
        (false, _) => Form::Std,
        (true, true) => Form::Url,
        (true, false) => Form::RawUrl,
    };
    form.decode(text).map_err(|at| format!("illegal base64 data at input byte {at}"))
}

fn hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    if let Some(&bad) = text.iter().find(|b| digit(**b).is_none()) {
        let shown = if (bad as char).is_control() { String::new() } else { format!(" '{}'", bad as char) };
        return Err(format!("encoding/hex: invalid byte: U+{bad:04X}{shown}"));
    }
    if text.len() % 2 == 1 {
        return Err("encoding/hex: odd length hex string".to_owned());
    }
    Ok(text.chunks_exact(2).map(|p| digit(p[0]).unwrap_or(0) << 4 | digit(p[1]).unwrap_or(0)).collect())
}
