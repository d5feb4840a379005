//! `k6/encoding`: base64 in its four forms.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-encoding/>)

use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};
use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Coerced, Ctx, Function, Object, Value};

use crate::{bytes, errors};

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("b64encode", Function::new(ctx.clone(), b64encode)?.with_name("b64encode")?)?;
    module.set("b64decode", Function::new(ctx.clone(), b64decode)?.with_name("b64decode")?)?;
    Ok(module)
}

/// The alphabet and padding scripts name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
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

    fn encode(self, bytes: &[u8]) -> String {
        self.engine().encode(bytes)
    }

    /// Line breaks are skipped. The error is the position of what is wrong.
    fn decode(self, text: &str) -> Result<Vec<u8>, usize> {
        let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
        self.engine().decode(&digits).map_err(|error| match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(length) => length / 4 * 4,
            DecodeError::InvalidPadding => digits.len(),
        })
    }
}

fn b64encode<'js>(
    ctx: Ctx<'js>,
    input: Opt<Value<'js>>,
    form: Opt<Coerced<String>>,
) -> rquickjs::Result<String> {
    Ok(Form::named(form.0).encode(&bytes_argument(&ctx, input.0)?))
}

fn b64decode<'js>(
    ctx: Ctx<'js>,
    input: Opt<Coerced<rquickjs::String<'js>>>,
    form: Opt<Coerced<String>>,
    format: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let text = input.0.map(|text| bytes::text_of(&text.0)).transpose()?.unwrap_or_default();
    let decoded = Form::named(form.0)
        .decode(&text)
        .map_err(|at| errors::throw_go_error(&ctx, &format!("illegal base64 data at input byte {at}")))?;
    if format.0.is_some_and(|format| format.0 == "s") {
        let text = String::from_utf8_lossy(&decoded);
        return Ok(rquickjs::String::from_str(ctx, &text)?.into_value());
    }
    Ok(ArrayBuffer::new_copy(ctx, decoded)?.into_value())
}

/// The bytes of an argument that must be a string or binary data.
pub fn bytes_argument<'js>(ctx: &Ctx<'js>, value: Option<Value<'js>>) -> rquickjs::Result<Vec<u8>> {
    let value = value.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    match bytes::of_value(ctx, &value)? {
        Some(bytes) => Ok(bytes),
        None => {
            let text = format!("invalid type {}, expected string, []byte or ArrayBuffer", value.type_name());
            Err(errors::throw_go_error(ctx, &text))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{run, with_context};

    const FORMS: [Form; 4] = [Form::Std, Form::RawStd, Form::Url, Form::RawUrl];

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes: Vec<u8>) {
            for form in FORMS {
                prop_assert_eq!(form.decode(&form.encode(&bytes)), Ok(bytes.clone()));
            }
        }

        #[test]
        fn decoding_never_panics(text: String) {
            for form in FORMS {
                let _ = form.decode(&text);
            }
        }
    }

    #[test]
    fn rfc_4648_vectors() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(Form::Std.encode(text.as_bytes()), encoded);
            assert_eq!(Form::RawUrl.encode(text.as_bytes()), encoded.trim_end_matches('='));
        }
        assert_eq!(Form::Url.encode(&[0xfb, 0xff]), "-_8=");
    }

    #[test]
    fn wrong_input_names_its_place() {
        assert_eq!(Form::Std.decode("YW#J"), Err(2));
        assert!(Form::Std.decode("YWJ").is_err());
        assert!(Form::RawStd.decode("YWI=").is_err());
        assert_eq!(Form::Std.decode("YW\r\nJj\n"), Ok(b"abc".to_vec()));
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
