//! What leaves a script as JSON: its options, and what `setup()` hands on.
//!
//! `JSON.stringify` leaves functions out and turns `NaN` into null. A test that runs with less than was written is
//! worse than an error, so both are refused, as the reference does; in options, more is ([`Gaps`]). A `BigInt` is a
//! number; sets, maps and arrays of numbers are lists, bytes are base64: `JSON.stringify` would leave nothing of them. Half
//! of a surrogate pair becomes U+FFFD, as in all text that leaves a script: other readers of JSON refuse the whole text
//! for its escape.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rquickjs::function::This;
use rquickjs::{Coerced, Ctx, Function, IntoJs, Object, Type, Value, qjs};

use crate::bytes;
use crate::errors;
use crate::failure::ScriptFailure;

/// Why a value is not handed on. The texts are the reference's, and then the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("json: unsupported type: function{}", place(.key))]
    Function { key: String },
    #[error("json: unsupported type: symbol{}", place(.key))]
    Symbol { key: String },
    /// `NaN`, an infinity, or an invalid date.
    #[error("json: unsupported value: {value}{}", place(.key))]
    Number { value: &'static str, key: String },
    #[error("it is nested too deeply")]
    TooDeep,
    /// A getter or a `toJSON` that threw, a cycle.
    #[error("{0}")]
    Script(ScriptFailure),
}

/// What the engine says where a stack ends.
const OVERFLOW: &str = "RangeError: Maximum call stack size exceeded";

fn place(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" (in {key:?})") }
}

/// What becomes of what `JSON.stringify` leaves out or empties without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// An `undefined` is null, so that its name is not lost; symbols and invalid dates are refused.
    Told,
    /// As `JSON.stringify` does it.
    Silent,
}

/// The value as JSON; `None` for `undefined`.
pub fn of<'js>(ctx: &Ctx<'js>, value: Value<'js>, gaps: Gaps) -> Result<Option<String>, JsonError> {
    if value.is_undefined() {
        return Ok(None);
    }
    let refused: Rc<RefCell<Option<JsonError>>> = Rc::default();
    let refuse = refused.clone();
    let check = move |this: This<Object<'js>>, key: Value<'js>, value: Value<'js>| {
        let ctx = value.ctx().clone();
        let value = plain(&ctx, value, gaps)?;
        let Some(error) = refusal(&ctx, &this.0, key, &value, gaps)? else { return Ok(value) };
        let thrown = errors::throw_type_error(&ctx, &error.to_string());
        refuse.replace(Some(error));
        Err(thrown)
    };
    let json = Function::new(ctx.clone(), check)
        .and_then(|check| ctx.json_stringify_replacer(value, check))
        .and_then(|json| json.map(|json| json.to_string()).transpose())
        .map(|json| json.map(well_formed));
    json.map_err(|error| {
        let failure = ScriptFailure::from_error(ctx, error);
        refused.take().unwrap_or_else(|| match failure.to_string().starts_with(OVERFLOW) {
            true => JsonError::TooDeep,
            false => JsonError::Script(failure),
        })
    })
}

/// Why a value cannot be handed on, if it cannot. `holder[key]` is what the script has there.
fn refusal<'js>(
    ctx: &Ctx<'js>,
    holder: &Object<'js>,
    key: Value<'js>,
    value: &Value<'js>,
    gaps: Gaps,
) -> rquickjs::Result<Option<JsonError>> {
    let name = || key.get::<Coerced<String>>().map(|name| name.0);
    if value.is_function() {
        return Ok(Some(JsonError::Function { key: name()? }));
    }
    if let Some(number) = value.as_float().filter(|number| !number.is_finite()) {
        let value = match number {
            _ if number.is_nan() => "NaN",
            _ if number > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        return Ok(Some(JsonError::Number { value, key: name()? }));
    }
    if gaps == Gaps::Silent {
        return Ok(None);
    }
    if value.is_symbol() {
        return Ok(Some(JsonError::Symbol { key: name()? }));
    }
    // The engine writes an invalid date as null.
    let is_date = || -> rquickjs::Result<bool> {
        let held: Value<'js> = holder.get(key.clone())?;
        held.as_object().map_or(Ok(false), |held| is_a(ctx, held, "Date"))
    };
    if value.is_null() && is_date()? {
        return Ok(Some(JsonError::Number { value: "Invalid Date", key: name()? }));
    }
    Ok(None)
}

/// Whether the object is of that class of the language.
fn is_a<'js>(ctx: &Ctx<'js>, object: &Object<'js>, class: &str) -> rquickjs::Result<bool> {
    let class: Object<'js> = ctx.globals().get(class)?;
    let is_a = object.is_instance_of(class);
    // Too little stack to look, for one, is no answer.
    if ctx.has_exception() { Err(rquickjs::Error::Exception) } else { Ok(is_a) }
}

/// What stands for a value of the engine's own kinds: a number for a `BigInt` and a boxed number.
fn plain<'js>(ctx: &Ctx<'js>, value: Value<'js>, gaps: Gaps) -> rquickjs::Result<Value<'js>> {
    match value.type_of() {
        Type::Undefined if gaps == Gaps::Told => Ok(Value::new_null(ctx.clone())),
        Type::BigInt => {
            let digits = value.get::<Coerced<String>>()?.0;
            Ok(Value::new_number(ctx.clone(), digits.parse().unwrap_or(f64::NAN)))
        }
        Type::Object if value.as_object().map_or(Ok(false), |object| is_a(ctx, object, "Number"))? => {
            Ok(Value::new_number(ctx.clone(), value.get::<Coerced<f64>>()?.0))
        }
        Type::Object => list_or_bytes(ctx, value),
        _ => Ok(value),
    }
}

/// What stands for an object of the engine's own kinds: `Set` and `Map` as lists, bytes as base64.
fn list_or_bytes<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<Value<'js>> {
    let raw = value.as_raw();
    // SAFETY: the value is alive; these only look at its tag and class.
    let (is_list, array) =
        unsafe { (qjs::JS_IsSet(raw) || qjs::JS_IsMap(raw), qjs::JS_GetTypedArrayType(raw)) };
    const BYTES: [i32; 2] = [
        qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8 as i32,
        qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8C as i32,
    ];
    if BYTES.contains(&array) {
        let object = value.as_object().map(|object| bytes::of_object(ctx, object)).transpose()?.flatten();
        let text = object.map(|view| STANDARD.encode(view.as_slice())).unwrap_or_default();
        return text.into_js(ctx);
    }
    if is_list || array >= 0 {
        let array: Object<'js> = ctx.globals().get("Array")?;
        return array.get::<_, Function<'js>>("from")?.call((value,));
    }
    Ok(value)
}

/// JSON of the engine's with U+FFFD in the place of lone surrogates, the only code units that it writes as `\ud…`.
fn well_formed(json: String) -> String {
    let is_lone = |at: usize| match json.as_bytes().get(at + 1..at + 4) {
        Some([b'u', b'd', digit]) => matches!(digit, b'8' | b'9' | b'a'..=b'f'),
        _ => false,
    };
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(next) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        let escape = at + next;
        at = escape + 2;
        if is_lone(escape) {
            at = escape + 6;
            out.push_str(&json[copied..escape]);
            out.push('\u{fffd}');
            copied = at;
        }
    }
    if copied == 0 {
        return json;
    }
    out.push_str(&json[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use rquickjs::Value;

    use crate::testing::with_context;

    #[test]
    fn what_no_stack_is_enough_for_is_refused_by_name() {
        with_context(|ctx| {
            let code = "let o = {}; for (let i = 0; i < 50_000; i++) o = { a: o }; o";
            let value: Value<'_> = ctx.eval(code).unwrap();
            let error = super::of(ctx, value, super::Gaps::Told).unwrap_err();
            assert_eq!(error, super::JsonError::TooDeep, "{error}");
        });
    }

    #[test]
    fn lone_surrogates_are_replaced_and_nothing_else_is() {
        with_context(|ctx| {
            for (code, expected) in [
                (r"'a\ud83d'", "\"a\u{fffd}\""),
                (r"'\udc00\ud800x'", "\"\u{fffd}\u{fffd}x\""),
                (r"({ 'k\ud800': ['\udfff'] })", "{\"k\u{fffd}\":[\"\u{fffd}\"]}"),
                // Whole pairs, and texts that only look like escapes.
                (r"'\ud83d\ude00'", "\"\u{1f600}\""),
                (r"'\\ud83d'", r#""\\ud83d""#),
                (r"'\\\ud83d'", "\"\\\\\u{fffd}\""),
                (r"'\ud7ff\ue000\n\0'", "\"\u{d7ff}\u{e000}\\n\\u0000\""),
            ] {
                let value: Value<'_> = ctx.eval(code).unwrap();
                let json = super::of(ctx, value, super::Gaps::Silent).unwrap().unwrap();
                assert_eq!(json, expected, "{code}");
                serde_json::from_str::<serde_json::Value>(&json).unwrap();
            }
        });
    }
}
