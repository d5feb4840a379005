//! `crypto`: WebCrypto, as far as the reference has it. (<https://www.w3.org/TR/WebCryptoAPI/>)
//!
//! `subtle` turns arguments into tasks; `formats` and `operations` do them without JavaScript; `libcrypto` is the library.

pub(crate) mod algorithm;
mod background;
mod der;
mod error;
pub(crate) mod formats;
pub(crate) mod jwk;
mod key;
mod libcrypto;
mod operations;
mod subtle;
#[cfg(test)]
mod tests;

use rquickjs::function::{Constructor, Opt, This};
use rquickjs::{Ctx, Function, Object, TypedArray, Value};
use senary_js::lazy::{self, Lazy};
use senary_js::{bytes, native};

use self::error::{CryptoError, Name};
use self::key::{CRYPTO_KEY, CryptoKey};
use super::crypto::hex;

/// Bytes `getRandomValues` fills at once, by its specification.
const MAX_RANDOM: usize = 65536;

/// Defines the `crypto` global.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static CRYPTO: Lazy = Lazy::of(crypto);
    lazy::global(ctx, "crypto", &CRYPTO)
}

fn crypto<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    static SUBTLE: Lazy = Lazy::of(subtle::object);
    static KEY: Lazy = Lazy::of(CryptoKey::constructor);
    let crypto = Object::new(ctx.clone())?;
    let random_values = native::function(ctx, get_random_values)?.with_name("getRandomValues")?;
    crypto.set("getRandomValues", random_values)?;
    crypto.set("randomUUID", native::function(ctx, random_uuid)?.with_name("randomUUID")?)?;
    lazy::property(&crypto, "subtle", &SUBTLE)?;
    lazy::property(&crypto, CRYPTO_KEY, &KEY)?;
    Ok(crypto.into_value())
}

/// Fills an array of whole numbers with random ones, and gives it back.
fn get_random_values<'js>(ctx: Ctx<'js>, array: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let array = array.0.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    let Some(object) = array.as_object().filter(|array| bytes::is_array_of_whole_numbers(array)) else {
        let text = "getRandomValues() needs a typed array of whole numbers";
        return Err(CryptoError::new(Name::TypeMismatch, text).throw(&ctx));
    };
    let length: usize = object.get("byteLength")?;
    if length > MAX_RANDOM {
        let text = format!("getRandomValues() fills at most {MAX_RANDOM} bytes");
        return Err(CryptoError::new(Name::QuotaExceeded, text).throw(&ctx));
    }
    let mut random = vec![0; length];
    libcrypto::random(&mut random).map_err(|refused| CryptoError::from(refused).throw(&ctx))?;
    // The engine writes: it knows whether the buffer is detached, resized or immutable.
    let place = (object.get::<_, Value<'js>>("buffer")?, object.get::<_, Value<'js>>("byteOffset")?, length);
    let view: Object<'js> = ctx.globals().get::<_, Constructor<'js>>("Uint8Array")?.construct(place)?;
    let set: Function<'js> = view.get("set")?;
    set.call::<_, ()>((This(view), TypedArray::<u8>::new(ctx.clone(), random)?))?;
    Ok(array)
}

/// A random UUID, of version 4.
fn random_uuid(ctx: Ctx<'_>) -> rquickjs::Result<String> {
    let mut bytes = [0u8; 16];
    libcrypto::random(&mut bytes).map_err(|refused| CryptoError::from(refused).throw(&ctx))?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex = hex(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
