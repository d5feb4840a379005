//! The data that scripts send: text in its encodings, and binary data in all its forms.

use rquickjs::{Ctx, Value};
use senary_js::native::described;
use senary_js::{bytes, hints};

use super::error::{Method, SocketFailure};
use crate::encoding::Form;

/// Calls `f` with the bytes a value stands for. Binary data ignores the encoding.
pub fn with_bytes<'js, R>(
    ctx: &Ctx<'js>,
    data: Option<&Value<'js>>,
    encoding: Option<&str>,
    f: impl FnOnce(&[u8]) -> R,
) -> rquickjs::Result<Result<R, SocketFailure>> {
    let wrong = || {
        tell_what_is_written(ctx, data);
        let text = "invalid type: String or ArrayBuffer expected";
        SocketFailure::new(Method::Write, "ERR_INVALID_ARG_TYPE", text)
    };
    let Some(data) = data else { return Ok(Err(wrong())) };
    if data.is_string() {
        return bytes::with_utf8(ctx, data, |text| match decode(text, encoding) {
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
            Ok(Err(SocketFailure::new(Method::Write, "ERR_INVALID_ARG_TYPE", text)))
        }
    }
}

/// The reference's text names two of the types; scripts match on it.
fn tell_what_is_written<'js>(ctx: &Ctx<'js>, data: Option<&Value<'js>>) {
    let kind = data.map_or("undefined", Value::type_name);
    if hints::is_due(ctx, &format!("write() {kind}")) {
        let hint = match kind {
            "array" => "new Uint8Array(numbers) makes bytes of an array of numbers",
            "object" => "JSON.stringify(value) makes a text of an object",
            _ => "String(value) makes a text of a value",
        };
        log::warn!(hint = hint; "write() takes a string, an ArrayBuffer, a typed array or a DataView, not {}", described(kind));
    }
}

/// `None`: the text's own bytes.
fn decode(text: &[u8], encoding: Option<&str>) -> Result<Option<Vec<u8>>, SocketFailure> {
    let name = encoding.unwrap_or_default();
    let error = |message: String| SocketFailure::new(Method::Write, "ERR_INVALID_ENCODING", message);
    match name.to_lowercase().as_str() {
        "" | "utf8" | "utf-8" | "ascii" => Ok(None),
        "base64" => base64(text, false).map(Some).map_err(error),
        "base64url" => base64(text, true).map(Some).map_err(error),
        "hex" => hex(text).map(Some).map_err(error),
        _ => Err(error(format!("unsupported encoding {name:?}"))),
    }
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
