//! `TextEncoder` and `TextDecoder`, for UTF-8 and UTF-16.
//!
//! The reference knows no other encodings. The decoders follow <https://encoding.spec.whatwg.org/>.

use std::cell::RefCell;

use rquickjs::class::JsClass;
use rquickjs::function::{Constructor, Opt, This};
use rquickjs::object::Accessor;
use rquickjs::{Class, Coerced, Ctx, Object, TypedArray, Value};
use senary_js::give_way::{PIECE, give_way};
use senary_js::lazy::{self, Lazy};
use senary_js::native::{self, Checked};
use senary_js::{bytes, errors, native_class};

const TEXT_ENCODER: &str = "TextEncoder";
const TEXT_DECODER: &str = "TextDecoder";

/// Defines both globals.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static ENCODER: Lazy = Lazy::of(|ctx| constructor_of::<TextEncoder>(ctx));
    static DECODER: Lazy = Lazy::of(|ctx| constructor_of::<TextDecoder>(ctx));
    lazy::global(ctx, TEXT_ENCODER, &ENCODER)?;
    lazy::global(ctx, TEXT_DECODER, &DECODER)
}

fn constructor_of<'js, C: JsClass<'js>>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    match Class::<C>::create_constructor(ctx)? {
        Some(constructor) => Ok(constructor.into_value()),
        None => Ok(Value::new_undefined(ctx.clone())),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// By the labels of the encoding standard.
    fn labelled(label: &str) -> Option<Self> {
        let label =
            label.trim_matches(|c| matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ')).to_ascii_lowercase();
        Some(match label.as_str() {
            "utf-8" | "utf8" | "unicode-1-1-utf-8" | "unicode11utf8" | "unicode20utf8"
            | "x-unicode20utf8" => Self::Utf8,
            "utf-16le" | "utf-16" | "ucs-2" | "unicode" | "csunicode" | "iso-10646-ucs-2" | "unicodefeff" => {
                Self::Utf16Le
            }
            "utf-16be" | "unicodefffe" => Self::Utf16Be,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
        }
    }
}

/// A decoder between chunks.
#[derive(Debug)]
struct Decoder {
    encoding: Encoding,
    fatal: bool,
    ignore_bom: bool,
    /// The beginning of a character whose rest has not come yet.
    rest: Vec<u8>,
    /// Something was decoded since the stream began, so a byte order mark counts as a character now.
    begun: bool,
}

/// The input is not valid in the encoding, and the decoder is fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

impl Decoder {
    fn new(encoding: Encoding, fatal: bool, ignore_bom: bool) -> Self {
        Self { encoding, fatal, ignore_bom, rest: Vec::new(), begun: false }
    }

    /// Decodes a chunk; without `stream` it is the last one, and the decoder starts afresh.
    fn decode(&mut self, chunk: &[u8], stream: bool) -> Result<String, Malformed> {
        let mut input = std::mem::take(&mut self.rest);
        input.extend_from_slice(chunk);
        let mut text = String::with_capacity(input.len());
        let decoded = match self.encoding {
            Encoding::Utf8 => self.utf8(&input, stream, &mut text),
            Encoding::Utf16Le => self.utf16(&input, stream, u16::from_le_bytes, &mut text),
            Encoding::Utf16Be => self.utf16(&input, stream, u16::from_be_bytes, &mut text),
        };
        if !self.begun && !text.is_empty() {
            self.begun = true;
            if !self.ignore_bom && text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
        }
        if !stream || decoded.is_err() {
            self.begun = false;
            self.rest.clear();
        }
        decoded.map(|()| text)
    }

    fn utf8(&mut self, mut input: &[u8], stream: bool, text: &mut String) -> Result<(), Malformed> {
        loop {
            let error = match std::str::from_utf8(input) {
                Ok(valid) => {
                    text.push_str(valid);
                    return Ok(());
                }
                Err(error) => error,
            };
            let (valid, invalid) = input.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(valid));
            match error.error_len() {
                Some(length) => {
                    self.malformed(text)?;
                    input = &invalid[length..];
                }
                None if stream => {
                    self.rest = invalid.to_vec();
                    return Ok(());
                }
                None => return self.malformed(text),
            }
        }
    }

    fn utf16(
        &mut self,
        input: &[u8],
        stream: bool,
        unit: fn([u8; 2]) -> u16,
        text: &mut String,
    ) -> Result<(), Malformed> {
        let (pairs, odd) = input.as_chunks::<2>();
        let mut units = pairs.iter().map(|pair| unit(*pair)).peekable();
        while let Some(first) = units.next() {
            let is_high = (0xD800..0xDC00).contains(&first);
            match units.peek() {
                None if is_high && stream => {
                    self.rest = input[(pairs.len() - 1) * 2..].to_vec();
                    return Ok(());
                }
                // A high surrogate and half a unit are malformed together, once.
                None if is_high => return self.malformed(text),
                _ => {}
            }
            let mut pair = [first, 0];
            let second = units.next_if(|second| is_high && (0xDC00..0xE000).contains(second));
            pair[1] = second.unwrap_or_default();
            match char::decode_utf16(pair[..1 + usize::from(second.is_some())].iter().copied()).next() {
                Some(Ok(character)) => text.push(character),
                _ => self.malformed(text)?,
            }
        }
        match odd {
            [] => Ok(()),
            _ if stream => {
                self.rest = odd.to_vec();
                Ok(())
            }
            _ => self.malformed(text),
        }
    }

    fn malformed(&self, text: &mut String) -> Result<(), Malformed> {
        if self.fatal {
            return Err(Malformed);
        }
        text.push('\u{fffd}');
        Ok(())
    }
}

/// A `TextEncoder`; it has no state.
struct TextEncoder;

/// A `TextDecoder`.
pub struct TextDecoder(RefCell<Decoder>);

fn new_encoder(ctx: Ctx<'_>) -> rquickjs::Result<Class<'_, TextEncoder>> {
    Class::instance(ctx, TextEncoder)
}

/// Scripts use it without its encoder: `const { encode } = new TextEncoder()`.
fn encode<'js>(ctx: Ctx<'js>, input: Opt<Value<'js>>) -> rquickjs::Result<TypedArray<'js, u8>> {
    let text = match input.0.filter(|input| !input.is_undefined()) {
        Some(input) => input.get::<Coerced<String>>()?.0,
        None => String::new(),
    };
    TypedArray::new_copy(ctx, text)
}

/// Writes as many whole characters into an array as fit. Returns their number in UTF-16 units and in bytes.
fn encode_into<'js>(ctx: Ctx<'js>, input: Value<'js>, target: Value<'js>) -> rquickjs::Result<Object<'js>> {
    let text = input.get::<Coerced<String>>()?.0;
    let target = TypedArray::<u8>::from_value(target).ok();
    let view = target.map(|array| bytes::of_object(&ctx, array.as_object())).transpose()?.flatten();
    let Some(view) = view else {
        return Err(errors::throw_type_error(&ctx, "the target of encodeInto() must be a Uint8Array"));
    };
    let room = view.as_slice().len();
    let fits = |(at, character): &(usize, char)| at + character.len_utf8() <= room;
    let written: Vec<char> = text.char_indices().take_while(fits).map(|(_, character)| character).collect();
    let (read, length) = written.iter().fold((0, 0), |(units, bytes), character| {
        (units + character.len_utf16(), bytes + character.len_utf8())
    });
    view.fill(&text.as_bytes()[..length]);
    let result = Object::new(ctx.clone())?;
    result.set("read", read)?;
    result.set("written", length)?;
    Ok(result)
}

fn new_decoder<'js>(
    ctx: Ctx<'js>,
    label: Opt<Value<'js>>,
    options: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, TextDecoder>> {
    let label = match label.0.filter(|label| !label.is_undefined()) {
        Some(label) => label.get::<Coerced<String>>()?.0,
        None => Encoding::Utf8.name().to_owned(),
    };
    let Some(encoding) = Encoding::labelled(&label) else {
        return Err(errors::throw_range_error(&ctx, &format!("unsupported encoding: {label}")));
    };
    let fatal = flag(options.0.as_ref(), "fatal")?;
    let ignore_bom = flag(options.0.as_ref(), "ignoreBOM")?;
    Class::instance(ctx, TextDecoder(RefCell::new(Decoder::new(encoding, fatal, ignore_bom))))
}

fn decode<'js>(
    ctx: Ctx<'js>,
    this: This<Class<'js, TextDecoder>>,
    input: Opt<Value<'js>>,
    options: Opt<Value<'js>>,
) -> rquickjs::Result<String> {
    let stream = flag(options.0.as_ref(), "stream")?;
    let input = input.0.filter(|input| !input.is_undefined());
    let view = match &input {
        None => None,
        Some(value) => {
            match value.as_object().map(|object| bytes::of_object(&ctx, object)).transpose()?.flatten() {
                Some(view) => Some(view),
                None => {
                    let text = "the input of decode() must be an ArrayBuffer or a view of one";
                    return Err(errors::throw_type_error(&ctx, text));
                }
            }
        }
    };
    let malformed = |Malformed| errors::throw_type_error(&ctx, "unable to decode text; malformed input");
    let decoder = this.0.borrow();
    let mut input = view.as_ref().map_or(&[][..], |view| view.as_slice());
    let mut text = String::new();
    while input.len() > PIECE {
        let (piece, rest) = input.split_at(PIECE);
        text.push_str(&decoder.0.borrow_mut().decode(piece, true).map_err(malformed)?);
        input = rest;
        give_way(&ctx)?;
    }
    text.push_str(&decoder.0.borrow_mut().decode(input, stream).map_err(malformed)?);
    Ok(text)
}

fn flag(options: Option<&Value<'_>>, name: &str) -> rquickjs::Result<bool> {
    match options.and_then(Value::as_object) {
        Some(options) => Ok(options.get::<_, Coerced<bool>>(name)?.0),
        None => Ok(false),
    }
}

native_class!(TextEncoder, TEXT_ENCODER, encoder_prototype, encoder_constructor);

fn encoder_prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let proto = Object::new(ctx.clone())?;
    proto.set("encode", native::function(ctx, encode)?.with_name("encode")?)?;
    proto.set("encodeInto", native::function(ctx, encode_into)?.with_name("encodeInto")?)?;
    let encoding = |_: This<Class<'js, TextEncoder>>| Encoding::Utf8.name();
    proto.prop("encoding", Accessor::from(Checked(encoding)).enumerable().configurable())?;
    Ok(proto)
}

fn encoder_constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
    let constructor = Constructor::new_class::<TextEncoder, _, _>(ctx.clone(), new_encoder)?;
    constructor.set_name(TEXT_ENCODER)?;
    Ok(Some(constructor))
}

native_class!(TextDecoder, TEXT_DECODER, decoder_prototype, decoder_constructor);

fn decoder_prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    type This_<'js> = This<Class<'js, TextDecoder>>;
    let proto = Object::new(ctx.clone())?;
    proto.set("decode", native::function(ctx, decode)?.with_name("decode")?)?;
    let encoding = |this: This_<'js>| this.0.borrow().0.borrow().encoding.name();
    proto.prop("encoding", Accessor::from(Checked(encoding)).enumerable().configurable())?;
    let fatal = |this: This_<'js>| this.0.borrow().0.borrow().fatal;
    proto.prop("fatal", Accessor::from(Checked(fatal)).enumerable().configurable())?;
    let ignore_bom = |this: This_<'js>| this.0.borrow().0.borrow().ignore_bom;
    proto.prop("ignoreBOM", Accessor::from(Checked(ignore_bom)).enumerable().configurable())?;
    Ok(proto)
}

fn decoder_constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
    let constructor = Constructor::new_class::<TextDecoder, _, _>(ctx.clone(), new_decoder)?;
    constructor.set_name(TEXT_DECODER)?;
    Ok(Some(constructor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{run, with_context};

    fn decoder(encoding: Encoding) -> Decoder {
        Decoder::new(encoding, false, true)
    }

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    proptest! {
        #[test]
        fn chunks_decode_like_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..64), cuts: Vec<prop::sample::Index>) {
            for encoding in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
                let whole = decoder(encoding).decode(&bytes, false).unwrap();
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                cuts.sort_unstable();
                let (mut chunked, mut text, mut from) = (decoder(encoding), String::new(), 0);
                for cut in cuts {
                    text += &chunked.decode(&bytes[from..cut], true).unwrap();
                    from = cut;
                }
                text += &chunked.decode(&bytes[from..], false).unwrap();
                prop_assert_eq!(text, whole);
            }
        }

        #[test]
        fn text_survives(text: String) {
            prop_assert_eq!(decoder(Encoding::Utf8).decode(text.as_bytes(), false).unwrap(), text.clone());
            prop_assert_eq!(decoder(Encoding::Utf16Le).decode(&utf16(&text, u16::to_le_bytes), false).unwrap(), text.clone());
            prop_assert_eq!(decoder(Encoding::Utf16Be).decode(&utf16(&text, u16::to_be_bytes), false).unwrap(), text);
        }

        #[test]
        fn utf8_replaces_like_the_standard_library(bytes: Vec<u8>) {
            let expected = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(decoder(Encoding::Utf8).decode(&bytes, false).unwrap(), expected);
        }
    }

    #[test]
    fn utf16_with_lone_surrogates_and_half_units() {
        let mut decoder = decoder(Encoding::Utf16Le);
        assert_eq!(decoder.decode(&[0x00, 0xD8, 0x41, 0x00], false).unwrap(), "\u{fffd}A");
        assert_eq!(decoder.decode(&[0x00, 0xDC, 0x41, 0x00], false).unwrap(), "\u{fffd}A");
        assert_eq!(decoder.decode(&[0x41, 0x00, 0x42], false).unwrap(), "A\u{fffd}");
        assert_eq!(decoder.decode(&[0x3D, 0xD8], true).unwrap(), "");
        assert_eq!(decoder.decode(&[0x00, 0xDE], false).unwrap(), "😀");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_once() {
        let mut decoder = Decoder::new(Encoding::Utf8, false, false);
        assert_eq!(decoder.decode(&[0xEF, 0xBB], true).unwrap(), "");
        assert_eq!(decoder.decode(&[0xBF, b'a'], true).unwrap(), "a");
        assert_eq!(decoder.decode(&[0xEF, 0xBB, 0xBF], false).unwrap(), "\u{feff}");
        assert_eq!(decoder.decode(&[0xEF, 0xBB, 0xBF, b'b'], false).unwrap(), "b");
    }

    #[test]
    fn from_script() {
        with_context(|ctx| {
            install(ctx).unwrap();
            assert_eq!(
                run(ctx, "const { encode } = new TextEncoder(); return encode('aé☃😀\\ud800')"),
                "97,195,169,226,152,131,240,159,152,128,239,191,189"
            );
            assert_eq!(
                run(
                    ctx,
                    "return new TextEncoder().encode() instanceof Uint8Array && new TextEncoder() instanceof TextEncoder"
                ),
                "true"
            );
            assert_eq!(
                run(
                    ctx,
                    "const e = new TextEncoder(); return e.encoding + e.encode(5) + e.encode(undefined).length"
                ),
                "utf-8530"
            );
            assert_eq!(
                run(ctx, "return new TextDecoder('latin1')"),
                "RangeError: unsupported encoding: latin1"
            );
            assert_eq!(run(ctx, "return new TextDecoder(' UTF-16 ').encoding"), "utf-16le");
            assert_eq!(
                run(
                    ctx,
                    "const d = new TextDecoder(undefined, { fatal: true }); return [d.encoding, d.fatal, d.ignoreBOM, d.decode()]"
                ),
                "utf-8,true,false,"
            );
            assert!(
                run(ctx, "return new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255]))")
                    .starts_with("TypeError")
            );
            let into = "const a = new Uint8Array(8), { read, written } = new TextEncoder().encodeInto";
            assert_eq!(
                run(ctx, &format!("{into}('aé😀é', a.subarray(1)); return [read, written, a]")),
                "4,7,0,97,195,169,240,159,152,128"
            );
            assert_eq!(
                run(ctx, &format!("{into}('éé\\ud800', a.subarray(0, 5)); return [read, written]")),
                "2,4"
            );
            assert!(run(ctx, "return new TextEncoder().encodeInto('a', [])").starts_with("TypeError"));
            for input in ["'text'", "null", "{}", "5"] {
                assert!(
                    run(ctx, &format!("return new TextDecoder().decode({input})")).starts_with("TypeError")
                );
            }
            assert_eq!(
                run(
                    ctx,
                    "return new TextDecoder().decode(new DataView(new Uint8Array([9, 97, 98]).buffer, 1))"
                ),
                "ab"
            );
            assert!(run(ctx, "return TextDecoder.prototype.decode.call({})").contains("Error"));
        });
    }
}
