//! `k6/encoding`: base64 in its four forms.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-encoding/>)

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Coerced, Ctx, Object, Value};
use senary_js::give_way::{PIECE, give_way, in_pieces};
use senary_js::go_type::go_type;
use senary_js::{bytes, errors, native};

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("b64encode", native::function(ctx, b64encode)?.with_name("b64encode")?)?;
    module.set("b64decode", native::function(ctx, b64decode)?.with_name("b64decode")?)?;
    Ok(module)
}

/// The alphabet and padding scripts name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Std,
    RawStd,
    Url,
    RawUrl,
}

impl Form {
    /// Names that mean nothing mean `std`, as in the reference.
    fn named(name: Option<Coerced<String>>) -> Self {
        match name.as_ref().map(|name| name.0.as_str()) {
            Some("rawstd") => Self::RawStd,
            Some("url") => Self::Url,
            Some("rawurl") => Self::RawUrl,
            _ => Self::Std,
        }
    }

    fn engine(self) -> &'static GeneralPurpose {
        const fn engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
            let padding =
                if padded { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
            let config = GeneralPurposeConfig::new()
                .with_encode_padding(padded)
                .with_decode_padding_mode(padding)
                .with_decode_allow_trailing_bits(true);
            GeneralPurpose::new(alphabet, config)
        }
        static STD: GeneralPurpose = engine(&alphabet::STANDARD, true);
        static RAW_STD: GeneralPurpose = engine(&alphabet::STANDARD, false);
        static URL: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
        static RAW_URL: GeneralPurpose = engine(&alphabet::URL_SAFE, false);
        match self {
            Self::Std => &STD,
            Self::RawStd => &RAW_STD,
            Self::Url => &URL,
            Self::RawUrl => &RAW_URL,
        }
    }

    /// Appends to a text that is given in pieces of whole groups.
    fn encode_to(self, bytes: &[u8], text: &mut String) {
        self.engine().encode_string(bytes, text);
    }

    /// Line breaks are skipped. The error is the position of the first wrong character in the given text.
    pub fn decode(self, text: &[u8]) -> Result<Vec<u8>, usize> {
        if let Ok(bytes) = self.engine().decode(text) {
            return Ok(bytes);
        }
        let digits: Vec<u8> = text.iter().copied().filter(|b| !is_line_break(*b)).collect();
        self.engine().decode(&digits).map_err(|_| self.first_wrong(text))
    }

    /// Where a text that cannot be decoded goes wrong.
    fn first_wrong(self, text: &[u8]) -> usize {
        let padded = matches!(self, Self::Std | Self::Url);
        let specials = if matches!(self, Self::Std | Self::RawStd) { b"+/" } else { b"-_" };
        // Of the group of four that is being read.
        let mut digits = 0;
        let mut rest = text.iter().copied().enumerate().filter(|(_, b)| !is_line_break(*b));
        while let Some((at, byte)) = rest.next() {
            if byte.is_ascii_alphanumeric() || specials.contains(&byte) {
                digits = (digits + 1) % 4;
            } else if byte != b'=' || !padded || digits < 2 {
                return at;
            } else {
                if digits == 2 {
                    match rest.next() {
                        None => return text.len(),
                        Some((_, b'=')) => {}
                        Some((wrong, _)) => return wrong - 1,
                    }
                }
                return rest.next().map_or(text.len(), |(garbage, _)| garbage);
            }
        }
        text.len() - digits
    }
}

fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn b64encode<'js>(
    ctx: Ctx<'js>,
    input: Opt<Value<'js>>,
    form: Opt<Coerced<String>>,
) -> rquickjs::Result<String> {
    let (form, mut text) = (Form::named(form.0), String::new());
    in_pieces(&ctx, &bytes_argument(&ctx, input.0)?, |piece| form.encode_to(piece, &mut text))?;
    Ok(text)
}

fn b64decode<'js>(
    ctx: Ctx<'js>,
    input: Opt<Coerced<String>>,
    form: Opt<Coerced<String>>,
    format: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let text = input.0.map(|text| text.0).unwrap_or_default();
    let form = Form::named(form.0);
    let decoded = match decode_in_pieces(&ctx, form, text.as_bytes())? {
        Some(decoded) => decoded,
        None => form
            .decode(text.as_bytes())
            .map_err(|at| errors::throw_go_error(&ctx, &format!("illegal base64 data at input byte {at}")))?,
    };
    if format.0.is_some_and(|format| format.0 == "s") {
        let text = String::from_utf8_lossy(&decoded);
        return Ok(rquickjs::String::from_str(ctx, &text)?.into_value());
    }
    Ok(ArrayBuffer::new_copy(ctx, decoded)?.into_value())
}

/// The bytes of a text without line breaks; `None` for any other text, which has to be decoded in the slow way.
fn decode_in_pieces(ctx: &Ctx<'_>, form: Form, text: &[u8]) -> rquickjs::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut pieces = text.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let ends_early = pieces.peek().is_some() && piece.ends_with(b"=");
        if ends_early || form.engine().decode_vec(piece, &mut bytes).is_err() {
            return Ok(None);
        }
        give_way(ctx)?;
    }
    Ok(Some(bytes))
}

/// The bytes of an argument that must be a string or binary data.
pub fn bytes_argument<'js>(ctx: &Ctx<'js>, value: Option<Value<'js>>) -> rquickjs::Result<Vec<u8>> {
    let value = value.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    match bytes::of_value(ctx, &value)? {
        Some(bytes) => Ok(bytes),
        None => {
            let text = format!("invalid type {}, expected string, []byte or ArrayBuffer", go_type(&value));
            Err(errors::throw_go_error(ctx, &text))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{run, with_context};

    fn encode_all(form: Form, bytes: &[u8]) -> String {
        let mut text = String::new();
        form.encode_to(bytes, &mut text);
        text
    }

    const FORMS: [Form; 4] = [Form::Std, Form::RawStd, Form::Url, Form::RawUrl];

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes: Vec<u8>) {
            for form in FORMS {
                prop_assert_eq!(form.decode(encode_all(form, &bytes).as_bytes()), Ok(bytes.clone()));
            }
        }

        #[test]
        fn decoding_never_panics(text: String) {
            for form in FORMS {
                let _ = form.decode(text.as_bytes());
            }
        }
    }

    #[test]
    fn rfc_4648_vectors() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode_all(Form::Std, text.as_bytes()), encoded);
            assert_eq!(encode_all(Form::RawUrl, text.as_bytes()), encoded.trim_end_matches('='));
        }
        assert_eq!(encode_all(Form::Url, &[0xfb, 0xff]), "-_8=");
    }

    #[test]
    fn wrong_input_names_its_place() {
        for (form, text, at) in [
            (Form::Std, "YW#J", 2),
            (Form::Std, "YW\n#J", 3),
            (Form::Std, "YWJ", 0),
            (Form::Std, "YWJjZ", 4),
            (Form::Std, "YW=", 3),
            (Form::Std, "YW=J", 2),
            (Form::Std, "Y===", 1),
            (Form::Std, "YQ==YQ==", 4),
            (Form::Std, "-_8=", 0),
            (Form::RawStd, "YWI=", 3),
            (Form::RawUrl, "YWJjZ", 4),
            (Form::Url, "Pz8/", 3),
        ] {
            assert_eq!(form.decode(text.as_bytes()), Err(at), "{text}");
        }
        assert_eq!(Form::Std.decode(b"YW\r\nJj\n"), Ok(b"abc".to_vec()));
        assert_eq!(Form::Std.decode(b"aGl="), Ok(b"hi".to_vec()), "bits behind the last byte do not matter");
    }

    #[test]
    fn types_have_the_names_of_the_reference() {
        with_context(|ctx| {
            ctx.globals().set("encoding", exports(ctx).unwrap()).unwrap();
            for (value, name) in [
                ("", "<nil>"),
                ("null", "<nil>"),
                ("true", "bool"),
                ("5", "int64"),
                ("5e10", "int64"),
                ("1e300", "float64"),
                ("0.5", "float64"),
                ("[1]", "[]interface {}"),
                ("{}", "map[string]interface {}"),
                ("() => 1", "func(sobek.FunctionCall) sobek.Value"),
            ] {
                let expected =
                    format!("GoError: invalid type {name}, expected string, []byte or ArrayBuffer");
                assert_eq!(run(ctx, &format!("encoding.b64encode({value})")), expected, "{value}");
            }
        });
    }

    #[test]
    fn from_script() {
        with_context(|ctx| {
            ctx.globals().set("encoding", exports(ctx).unwrap()).unwrap();
            assert_eq!(run(ctx, "return encoding.b64encode('☃')"), "4piD");
            assert_eq!(
                run(ctx, "return encoding.b64encode(new Uint8Array([9, 1, 2, 9]).subarray(1, 3))"),
                "AQI="
            );
            assert_eq!(run(ctx, "return encoding.b64decode('4piD', 'std', 's')"), "☃");
            assert_eq!(run(ctx, "return encoding.b64decode('AQI=').byteLength"), "2");
            assert_eq!(run(ctx, "encoding.b64decode('###')"), "GoError: illegal base64 data at input byte 0");
            for argument in ["", "5", "null", "{}", "[1]", "Symbol()"] {
                let thrown = run(ctx, &format!("return encoding.b64encode({argument})"));
                assert!(thrown.starts_with("GoError: invalid type "), "{thrown}");
            }
        });
    }
}
