//! `k6/crypto`: hashes, HMACs and random bytes.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-crypto/>)

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{EagerHash, KeyInit, Mac, SimpleHmac};
use rquickjs::function::{Opt, This};
use rquickjs::{ArrayBuffer, Class, Coerced, Ctx, Function, Object, Value};
use senary_js::give_way::{PIECE, give_way, in_pieces};
use senary_js::{errors, native, native_class};
use sha2::Digest;

use super::encoding::bytes_argument;

/// Random bytes a script may ask for at once: what an `ArrayBuffer` can hold.
const MAX_RANDOM: f64 = i32::MAX as f64;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    let add =
        |name: &str, function: rquickjs::Result<Function<'js>>| module.set(name, function?.with_name(name)?);
    for algorithm in Algorithm::ALL {
        let hash = move |ctx: Ctx<'js>, data: Opt<Value<'js>>, encoding: Opt<Coerced<String>>| {
            let mut state = algorithm.hash();
            in_pieces(&ctx, &bytes_argument(&ctx, data.0)?, |piece| state.update(piece))?;
            encode(&ctx, state.result(), encoding.0)
        };
        add(algorithm.name(), native::function(ctx, hash))?;
    }
    add("hmac", native::function(ctx, hmac))?;
    add("createHash", native::function(ctx, create_hash))?;
    add("createHMAC", native::function(ctx, create_hmac))?;
    add("hexEncode", native::function(ctx, hex_encode))?;
    add("randomBytes", native::function(ctx, random_bytes))?;
    Ok(module)
}

/// The hash functions scripts can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md4,
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Ripemd160,
}

/// A hash or HMAC under way. Its result can be read at any time, without ending it.
trait State {
    fn update(&mut self, data: &[u8]);
    fn result(&self) -> Vec<u8>;
}

struct Hash<D>(D);

impl<D: Digest + Clone> State for Hash<D> {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&self) -> Vec<u8> {
        self.0.clone().finalize().to_vec()
    }
}

struct Keyed<D: EagerHash>(SimpleHmac<D>);

impl<D: EagerHash + Digest + Clone> State for Keyed<D> {
    fn update(&mut self, data: &[u8]) {
        Mac::update(&mut self.0, data);
    }

    fn result(&self) -> Vec<u8> {
        self.0.clone().finalize().into_bytes().to_vec()
    }
}

impl Algorithm {
    const ALL: [Self; 9] = [
        Self::Md4,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha512_224,
        Self::Sha512_256,
        Self::Ripemd160,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Md4 => "md4",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sha512_224 => "sha512_224",
            Self::Sha512_256 => "sha512_256",
            Self::Ripemd160 => "ripemd160",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn hash(self) -> Box<dyn State> {
        fn new<D: Digest + Clone + 'static>() -> Box<dyn State> {
            Box::new(Hash(D::new()))
        }
        match self {
            Self::Md4 => new::<md4::Md4>(),
            Self::Md5 => new::<md5::Md5>(),
            Self::Sha1 => new::<sha1::Sha1>(),
            Self::Sha256 => new::<sha2::Sha256>(),
            Self::Sha384 => new::<sha2::Sha384>(),
            Self::Sha512 => new::<sha2::Sha512>(),
            Self::Sha512_224 => new::<sha2::Sha512_224>(),
            Self::Sha512_256 => new::<sha2::Sha512_256>(),
            Self::Ripemd160 => new::<ripemd::Ripemd160>(),
        }
    }

    fn hmac(self, key: &[u8]) -> Box<dyn State> {
        fn new<D: EagerHash + Digest + Clone + 'static>(key: &[u8]) -> Box<dyn State> {
            // Keys of any length are taken; the error exists for other kinds of MAC.
            match SimpleHmac::<D>::new_from_slice(key) {
                Ok(mac) => Box::new(Keyed(mac)),
                Err(_) => unreachable!("HMAC takes keys of any length"),
            }
        }
        match self {
            Self::Md4 => new::<md4::Md4>(key),
            Self::Md5 => new::<md5::Md5>(key),
            Self::Sha1 => new::<sha1::Sha1>(key),
            Self::Sha256 => new::<sha2::Sha256>(key),
            Self::Sha384 => new::<sha2::Sha384>(key),
            Self::Sha512 => new::<sha2::Sha512>(key),
            Self::Sha512_224 => new::<sha2::Sha512_224>(key),
            Self::Sha512_256 => new::<sha2::Sha512_256>(key),
            Self::Ripemd160 => new::<ripemd::Ripemd160>(key),
        }
    }
}

fn algorithm(ctx: &Ctx<'_>, name: Option<Coerced<String>>) -> rquickjs::Result<Algorithm> {
    let name = name.map(|name| name.0).unwrap_or_default();
    Algorithm::named(&name).ok_or_else(|| errors::throw_go_error(ctx, &format!("invalid algorithm: {name}")))
}

/// A result in the encoding the script asked for.
fn encode<'js>(
    ctx: &Ctx<'js>,
    result: Vec<u8>,
    encoding: Option<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let encoding = encoding.map(|encoding| encoding.0).unwrap_or_default();
    let text = match encoding.as_str() {
        "hex" => hex(&result),
        "base64" => STANDARD.encode(&result),
        "base64url" => URL_SAFE.encode(&result),
        "base64rawurl" => URL_SAFE_NO_PAD.encode(&result),
        "binary" => return Ok(ArrayBuffer::new_copy(ctx.clone(), result)?.into_value()),
        _ => return Err(errors::throw_go_error(ctx, &format!("invalid output encoding: {encoding}"))),
    };
    Ok(rquickjs::String::from_str(ctx.clone(), &text)?.into_value())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

fn hmac<'js>(
    ctx: Ctx<'js>,
    name: Opt<Coerced<String>>,
    key: Opt<Value<'js>>,
    data: Opt<Value<'js>>,
    encoding: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let mut state = keyed(&ctx, algorithm(&ctx, name.0)?, key.0)?;
    in_pieces(&ctx, &bytes_argument(&ctx, data.0)?, |piece| state.update(piece))?;
    encode(&ctx, state.result(), encoding.0)
}

/// An HMAC that has its key. Of a long one the hash is the key, by definition.
fn keyed<'js>(
    ctx: &Ctx<'js>,
    algorithm: Algorithm,
    key: Option<Value<'js>>,
) -> rquickjs::Result<Box<dyn State>> {
    let key = bytes_argument(ctx, key)?;
    if key.len() <= PIECE {
        return Ok(algorithm.hmac(&key));
    }
    let mut hash = algorithm.hash();
    in_pieces(ctx, &key, |piece| hash.update(piece))?;
    Ok(algorithm.hmac(&hash.result()))
}

fn create_hash<'js>(ctx: Ctx<'js>, name: Opt<Coerced<String>>) -> rquickjs::Result<Class<'js, Hasher>> {
    let state = algorithm(&ctx, name.0)?.hash();
    Class::instance(ctx, Hasher(RefCell::new(state)))
}

fn create_hmac<'js>(
    ctx: Ctx<'js>,
    name: Opt<Coerced<String>>,
    key: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, Hasher>> {
    let state = keyed(&ctx, algorithm(&ctx, name.0)?, key.0)?;
    Class::instance(ctx, Hasher(RefCell::new(state)))
}

fn hex_encode<'js>(ctx: Ctx<'js>, data: Opt<Value<'js>>) -> rquickjs::Result<String> {
    let mut text = String::new();
    in_pieces(&ctx, &bytes_argument(&ctx, data.0)?, |piece| text.push_str(&hex(piece)))?;
    Ok(text)
}

fn random_bytes<'js>(ctx: Ctx<'js>, size: Opt<Coerced<f64>>) -> rquickjs::Result<ArrayBuffer<'js>> {
    let size = size.0.map_or(f64::NAN, |size| size.0);
    if !(1.0..=MAX_RANDOM).contains(&size) {
        return Err(errors::throw_go_error(&ctx, "invalid size"));
    }
    let mut bytes = Vec::new();
    let (size, failed) = (size as usize, |what: &str| errors::throw_range_error(&ctx, what));
    bytes.try_reserve_exact(size).map_err(|_| failed("not enough memory"))?;
    while bytes.len() < size {
        let begin = bytes.len();
        bytes.resize(size.min(begin + PIECE), 0u8);
        getrandom::fill(&mut bytes[begin..]).map_err(|_| failed("no random numbers can be had"))?;
        give_way(&ctx)?;
    }
    ArrayBuffer::new_copy(ctx, bytes)
}

/// What `createHash` and `createHMAC` return.
struct Hasher(RefCell<Box<dyn State>>);

fn update<'js>(ctx: Ctx<'js>, this: This<Class<'js, Hasher>>, data: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let data = bytes_argument(&ctx, data.0)?;
    in_pieces(&ctx, &data, |piece| this.0.borrow().0.borrow_mut().update(piece))
}

fn digest<'js>(
    ctx: Ctx<'js>,
    this: This<Class<'js, Hasher>>,
    encoding: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let result = this.0.borrow().0.borrow().result();
    encode(&ctx, result, encoding.0)
}

native_class!(Hasher, "Hasher", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let proto = Object::new(ctx.clone())?;
    proto.set("update", native::function(ctx, update)?.with_name("update")?)?;
    proto.set("digest", native::function(ctx, digest)?.with_name("digest")?)?;
    Ok(proto)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{run, with_context};

    fn hash(algorithm: Algorithm, data: &[u8]) -> String {
        let mut state = algorithm.hash();
        state.update(data);
        hex(&state.result())
    }

    fn mac(algorithm: Algorithm, key: &[u8], data: &[u8]) -> String {
        let mut state = algorithm.hmac(key);
        state.update(data);
        hex(&state.result())
    }

    /// RFC 1320, RFC 1321, FIPS 180-4, and the RIPEMD-160 paper.
    #[test]
    fn hashes_of_abc() {
        for (algorithm, expected) in [
            (Algorithm::Md4, "a448017aaf21d8525fc10ae87aa6729d"),
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Algorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (Algorithm::Sha512_224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
            (Algorithm::Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
            (Algorithm::Ripemd160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        ] {
            assert_eq!(hash(algorithm, b"abc"), expected, "{algorithm:?}");
        }
    }

    /// RFC 2202 and RFC 4231, also with keys longer than a block.
    #[test]
    fn hmac_vectors() {
        let jefe = (b"Jefe".as_slice(), b"what do ya want for nothing?".as_slice());
        assert_eq!(mac(Algorithm::Md5, jefe.0, jefe.1), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(mac(Algorithm::Sha1, jefe.0, jefe.1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            mac(Algorithm::Sha256, jefe.0, jefe.1),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = (&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            mac(Algorithm::Sha256, long.0, long.1),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    proptest! {
        #[test]
        fn pieces_hash_like_the_whole(pieces: Vec<Vec<u8>>) {
            for algorithm in Algorithm::ALL {
                for make in [Algorithm::hash, |algorithm: Algorithm| algorithm.hmac(b"key")] {
                    let (mut pieced, mut whole) = (make(algorithm), make(algorithm));
                    for piece in &pieces {
                        pieced.update(piece);
                        // Looking at the result in between changes nothing.
                        pieced.result();
                    }
                    whole.update(&pieces.concat());
                    prop_assert_eq!(pieced.result(), whole.result());
                }
            }
        }
    }

    #[test]
    fn from_script() {
        with_context(|ctx| {
            ctx.globals().set("c", exports(ctx).unwrap()).unwrap();
            assert_eq!(
                run(ctx, "return c.sha1('abc', 'base64url') + c.sha1('abc', 'base64rawurl')"),
                "qZk-NkcGgWq6PiVxeFDCbJzQ2J0=qZk-NkcGgWq6PiVxeFDCbJzQ2J0"
            );
            assert_eq!(
                run(
                    ctx,
                    "const b = c.sha256('abc', 'binary'); return b instanceof ArrayBuffer && new Uint8Array(b)[0]"
                ),
                "186"
            );
            assert_eq!(
                run(
                    ctx,
                    "const h = c.createHash('md5'); h.update('a'); h.update('bc'); const first = h.digest('hex'); return first === h.digest('hex') && first"
                ),
                "900150983cd24fb0d6963f7d28e17f72"
            );
            assert_eq!(
                run(
                    ctx,
                    "const h = c.createHMAC('sha1', 'key'); h.update('message'); return h.digest('hex') === c.hmac('sha1', new Uint8Array([107, 101, 121]).buffer, 'message', 'hex')"
                ),
                "true"
            );
            assert_eq!(
                run(ctx, "return c.hexEncode('abc') + c.hexEncode(new Uint8Array([0, 255]).buffer)"),
                "61626300ff"
            );
            assert_eq!(run(ctx, "return c.randomBytes(16).byteLength"), "16");
            assert_eq!(
                run(
                    ctx,
                    "return new Set(Array.from({ length: 50 }, () => c.hexEncode(c.randomBytes(8)))).size"
                ),
                "50"
            );
            for (code, message) in [
                ("c.md5('x', 'weird')", "GoError: invalid output encoding: weird"),
                ("c.md5('x')", "GoError: invalid output encoding: "),
                ("c.hmac('weird', 'k', 'm', 'hex')", "GoError: invalid algorithm: weird"),
                ("c.createHash()", "GoError: invalid algorithm: "),
                ("c.randomBytes(-1)", "GoError: invalid size"),
                ("c.randomBytes(0)", "GoError: invalid size"),
                ("c.randomBytes()", "GoError: invalid size"),
                ("c.randomBytes(1e300)", "GoError: invalid size"),
            ] {
                assert_eq!(run(ctx, code), message, "{code}");
            }
            for code in
                ["c.md5(5, 'hex')", "c.md5()", "c.hmac('md5')", "c.createHMAC('md5')", "c.hexEncode({})"]
            {
                assert!(run(ctx, code).starts_with("GoError: invalid type "), "{code}");
            }
        });
    }
}
