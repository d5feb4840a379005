//! `crypto.subtle`: arguments become a task, its outcome settles a promise.
//!
//! Everything a script can get wrong rejects the promise; nothing throws. Data is copied before a method returns,
//! as scripts may change it right after.

use std::num::NonZeroU32;

use rquickjs::function::{IntoJsFunc, Rest};
use rquickjs::{ArrayBuffer, Ctx, Object, Value};
use senary_js::native;
use senary_js::promise;
use senary_js::vu::core::VuHandle;
use senary_js::vu::work;

use super::algorithm::{Algorithm, Hash, KeyKind, Parameters, Usage, buffer, integer, text};
use super::background;
use super::error::{CryptoError, Name, Refusal};
use super::formats::{self, Format, Generated, Generation, KeyAlgorithm, KeyData, Purpose};
use super::jwk::Jwk;
use super::key::{CryptoKey, Key};
use super::libcrypto::Direction;
use super::operations::{self, Cipher, Derivation, Signing};

/// Bytes from which on symmetric work is done elsewhere: about a millisecond's.
const MUCH_DATA: usize = 1 << 20;

/// Rounds of PBKDF2 that take about as long.
const MANY_ITERATIONS: u32 = 2000;

/// Bits of an RSA modulus up to which a private operation does.
const LARGE_MODULUS: u32 = 2048;

/// Salt, tag and label of their own have defaults.
const DEFAULT_TAG_LENGTH: u32 = 128;

/// What a method is about to do.
struct Task {
    work: Box<dyn FnOnce() -> Result<Outcome, CryptoError> + Send>,
    /// It takes so long that other VUs would notice.
    is_long: bool,
}

enum Outcome {
    Bytes(Vec<u8>),
    Bool(bool),
    Key(Key),
    Pair { public: Key, private: Key },
    Jwk(Box<Jwk>),
}

impl Task {
    fn new(is_long: bool, work: impl FnOnce() -> Result<Outcome, CryptoError> + Send + 'static) -> Self {
        Self { work: Box::new(work), is_long }
    }
}

/// The arguments of a call; those left out are undefined.
struct Arguments<'a, 'js> {
    ctx: &'a Ctx<'js>,
    values: Vec<Value<'js>>,
}

impl<'js> Arguments<'_, 'js> {
    fn get(&self, index: usize) -> Value<'js> {
        self.values.get(index).cloned().unwrap_or_else(|| Value::new_undefined(self.ctx.clone()))
    }

    fn parameters(&self, index: usize) -> Result<Parameters<'js>, Refusal> {
        Parameters::of_value(self.ctx, &self.get(index))
    }

    fn bytes(&self, index: usize, name: &str) -> Result<Vec<u8>, Refusal> {
        buffer(self.ctx, &self.get(index), name)
    }

    fn key(&self, index: usize) -> Result<std::sync::Arc<Key>, Refusal> {
        CryptoKey::of_value(&self.get(index))
    }

    fn format(&self, index: usize) -> Result<Format, Refusal> {
        let name = text(self.ctx, &self.get(index))?;
        let format = Format::named(&name);
        Ok(format.ok_or_else(|| CryptoError::new(Name::Type, format!("{name:?} is no key format")))?)
    }

    /// `extractable` and `keyUsages`.
    fn purpose(&self, index: usize) -> Result<Purpose, Refusal> {
        let extractable = self.get(index).get::<rquickjs::Coerced<bool>>()?.0;
        Ok(Purpose { extractable, usages: Usage::list(self.ctx, &self.get(index + 1))? })
    }
}

type Begin = for<'a, 'js> fn(&Arguments<'a, 'js>) -> Result<Task, Refusal>;

/// The methods, and how many arguments they want.
const METHODS: [(&str, Begin); 12] = [
    ("decrypt", |arguments| crypt(arguments, Direction::Decrypt)),
    ("deriveBits", derive_bits),
    ("deriveKey", derive_key),
    ("digest", digest),
    ("encrypt", |arguments| crypt(arguments, Direction::Encrypt)),
    ("exportKey", export_key),
    ("generateKey", generate_key),
    ("importKey", import_key),
    ("sign", sign),
    ("unwrapKey", not_implemented),
    ("verify", verify),
    ("wrapKey", not_implemented),
];

/// The `subtle` object.
pub fn object<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    let subtle = Object::new(ctx.clone())?;
    for (name, begin) in METHODS {
        subtle.set(name, native::function(ctx, method(begin))?.with_name(name)?)?;
    }
    Ok(subtle.into_value())
}

fn method<'js>(begin: Begin) -> impl IntoJsFunc<'js, (Ctx<'js>, Rest<Value<'js>>)> {
    move |ctx: Ctx<'js>, values: Rest<Value<'js>>| {
        let refused = match begin(&Arguments { ctx: &ctx, values: values.0 }) {
            Ok(task) => return start(&ctx, task),
            Err(Refusal::Crypto(error)) => error.throw(&ctx),
            Err(Refusal::Script(error)) => error,
        };
        promise::of_result(&ctx, Err(refused))
    }
}

fn start<'js>(ctx: &Ctx<'js>, task: Task) -> rquickjs::Result<Value<'js>> {
    // Without a VU there is nobody to hold up.
    if !task.is_long || ctx.userdata::<VuHandle>().is_none() {
        return promise::of_result(ctx, to_value(ctx, (task.work)()));
    }
    work::promise(ctx, background::run(task.work), |ctx, outcome| {
        to_value(ctx, outcome.unwrap_or_else(|| Err(CryptoError::operation("the operation failed"))))
    })
}

fn to_value<'js>(ctx: &Ctx<'js>, outcome: Result<Outcome, CryptoError>) -> rquickjs::Result<Value<'js>> {
    Ok(match outcome.map_err(|error| error.throw(ctx))? {
        Outcome::Bytes(bytes) => ArrayBuffer::new_copy(ctx.clone(), bytes)?.into_value(),
        Outcome::Bool(bool) => Value::new_bool(ctx.clone(), bool),
        Outcome::Key(key) => CryptoKey::object(ctx, key)?,
        Outcome::Pair { public, private } => {
            let pair = Object::new(ctx.clone())?;
            pair.set("publicKey", CryptoKey::object(ctx, public)?)?;
            pair.set("privateKey", CryptoKey::object(ctx, private)?)?;
            pair.into_value()
        }
        Outcome::Jwk(jwk) => jwk.to_object(ctx)?.into_value(),
    })
}

fn not_implemented(_: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    Err(CryptoError::new(Name::NotImplemented, "not implemented").into())
}

/// `digest(algorithm, data)`
fn digest(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let hash = Hash::of_value(arguments.ctx, &arguments.get(0))?;
    let data = arguments.bytes(1, "data")?;
    Ok(Task::new(data.len() > MUCH_DATA, move || Ok(Outcome::Bytes(operations::digest(hash, &data)))))
}

/// `encrypt(algorithm, key, data)`, `decrypt(algorithm, key, data)`
fn crypt(arguments: &Arguments<'_, '_>, direction: Direction) -> Result<Task, Refusal> {
    let (ctx, parameters) = (arguments.ctx, arguments.parameters(0)?);
    let key = arguments.key(1)?;
    let data = arguments.bytes(2, "data")?;
    let cipher = match parameters.algorithm {
        Algorithm::AesCbc => Cipher::cbc(parameters.bytes(ctx, "iv")?)?,
        Algorithm::AesCtr => Cipher::ctr(parameters.bytes(ctx, "counter")?, parameters.number("length")?)?,
        Algorithm::AesGcm => {
            let additional = parameters.optional_bytes(ctx, "additionalData")?;
            let tag_length = parameters.optional_number("tagLength")?.unwrap_or(DEFAULT_TAG_LENGTH);
            Cipher::gcm(parameters.bytes(ctx, "iv")?, additional, tag_length)?
        }
        Algorithm::RsaOaep => Cipher::Oaep { label: parameters.optional_bytes(ctx, "label")? },
        other => return Err(cannot(other, "encrypt")),
    };
    key.allows(
        parameters.algorithm,
        match direction {
            Direction::Encrypt => Usage::Encrypt,
            Direction::Decrypt => Usage::Decrypt,
        },
    )?;
    let is_long = data.len() > MUCH_DATA || is_slow_private(&key);
    Ok(Task::new(is_long, move || Ok(Outcome::Bytes(cipher.run(direction, &key, &data)?))))
}

fn signing<'js>(ctx: &Ctx<'js>, parameters: &Parameters<'js>) -> Result<Signing, Refusal> {
    Ok(match parameters.algorithm {
        Algorithm::Hmac => Signing::Hmac,
        Algorithm::RsaPkcs1 => Signing::RsaPkcs1,
        Algorithm::RsaPss => Signing::RsaPss { salt_length: parameters.number("saltLength")? },
        Algorithm::Ecdsa => Signing::Ecdsa { hash: parameters.hash(ctx)? },
        other => return Err(cannot(other, "sign")),
    })
}

/// `sign(algorithm, key, data)`
fn sign(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let parameters = arguments.parameters(0)?;
    let key = arguments.key(1)?;
    let data = arguments.bytes(2, "data")?;
    let signing = signing(arguments.ctx, &parameters)?;
    key.allows(parameters.algorithm, Usage::Sign)?;
    let is_long = data.len() > MUCH_DATA || is_slow_private(&key);
    Ok(Task::new(is_long, move || Ok(Outcome::Bytes(signing.sign(&key, &data)?))))
}

/// `verify(algorithm, key, signature, data)`
fn verify(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let parameters = arguments.parameters(0)?;
    let key = arguments.key(1)?;
    let signature = arguments.bytes(2, "signature")?;
    let data = arguments.bytes(3, "data")?;
    let signing = signing(arguments.ctx, &parameters)?;
    key.allows(parameters.algorithm, Usage::Verify)?;
    let is_long = data.len() > MUCH_DATA;
    Ok(Task::new(is_long, move || Ok(Outcome::Bool(signing.verify(&key, &signature, &data)?))))
}

fn is_slow_private(key: &Key) -> bool {
    use super::key::Details;
    key.kind == KeyKind::Private
        && matches!(key.details, Details::Rsa { modulus_length, .. } if modulus_length > LARGE_MODULUS)
}

/// `generateKey(algorithm, extractable, keyUsages)`
fn generate_key(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let (ctx, parameters) = (arguments.ctx, arguments.parameters(0)?);
    let algorithm = parameters.algorithm;
    let generation = if algorithm.is_aes() {
        Generation::Aes { algorithm, length: parameters.number("length")? }
    } else if algorithm.is_rsa() {
        Generation::Rsa {
            algorithm,
            hash: parameters.hash(ctx)?,
            modulus_length: parameters.number("modulusLength")?,
            exponent: parameters.bytes(ctx, "publicExponent")?,
        }
    } else if algorithm.is_ec() {
        Generation::Ec { algorithm, curve: parameters.curve(ctx)? }
    } else if algorithm == Algorithm::Hmac {
        Generation::Hmac { hash: parameters.hash(ctx)?, length: parameters.optional_number("length")? }
    } else {
        return Err(cannot(algorithm, "generate a key"));
    };
    let purpose = arguments.purpose(1)?;
    Ok(Task::new(algorithm.is_rsa(), move || {
        Ok(match generation.run(purpose)? {
            Generated::Secret(key) => Outcome::Key(key),
            Generated::Pair { public, private } => Outcome::Pair { public, private },
        })
    }))
}

/// What an imported or derived key is to be.
fn target<'js>(ctx: &Ctx<'js>, parameters: &Parameters<'js>) -> Result<KeyAlgorithm, Refusal> {
    let algorithm = parameters.algorithm;
    Ok(if algorithm.is_aes() {
        KeyAlgorithm::Aes(algorithm)
    } else if algorithm.is_rsa() {
        KeyAlgorithm::Rsa { algorithm, hash: parameters.hash(ctx)? }
    } else if algorithm.is_ec() {
        KeyAlgorithm::Ec { algorithm, curve: parameters.curve(ctx)? }
    } else if algorithm == Algorithm::Hmac {
        KeyAlgorithm::Hmac { hash: parameters.hash(ctx)?, length: parameters.optional_number("length")? }
    } else {
        KeyAlgorithm::Pbkdf2
    })
}

/// `importKey(format, keyData, algorithm, extractable, keyUsages)`
fn import_key(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let (ctx, format) = (arguments.ctx, arguments.format(0)?);
    let parameters = arguments.parameters(2)?;
    let target = target(ctx, &parameters)?;
    let purpose = arguments.purpose(3)?;
    let data = match format {
        Format::Raw => KeyData::Raw(arguments.bytes(1, "keyData")?),
        Format::Spki => KeyData::Spki(arguments.bytes(1, "keyData")?),
        Format::Pkcs8 => KeyData::Pkcs8(arguments.bytes(1, "keyData")?),
        Format::Jwk => match arguments.get(1).as_object() {
            Some(object) => KeyData::Jwk(Box::new(Jwk::of_object(ctx, object)?)),
            None => return Err(CryptoError::new(Name::Type, "keyData must be a JWK object").into()),
        },
    };
    Ok(Task::new(false, move || Ok(Outcome::Key(formats::import(data, &target, purpose)?))))
}

/// `exportKey(format, key)`
fn export_key(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let format = arguments.format(0)?;
    let key = arguments.key(1)?;
    Ok(Task::new(false, move || {
        Ok(match formats::export(format, &key)? {
            KeyData::Raw(bytes) | KeyData::Spki(bytes) | KeyData::Pkcs8(bytes) => Outcome::Bytes(bytes),
            KeyData::Jwk(jwk) => Outcome::Jwk(jwk),
        })
    }))
}

/// Where bits come from, and whether that takes long.
fn derivation<'js>(
    ctx: &Ctx<'js>,
    parameters: &Parameters<'js>,
    key: &Key,
) -> Result<(Derivation, bool), Refusal> {
    match parameters.algorithm {
        Algorithm::Ecdh => {
            let public = CryptoKey::of_value(&parameters.required("public")?)?;
            if public.kind != KeyKind::Public
                || public.algorithm != Algorithm::Ecdh
                || public.details != key.details
            {
                let text = "public must be a public ECDH key on the curve of the private one";
                return Err(CryptoError::invalid_access(text).into());
            }
            Ok((Derivation::Ecdh { public }, false))
        }
        Algorithm::Pbkdf2 => {
            let iterations = parameters.number("iterations")?;
            let Some(iterations) = NonZeroU32::new(iterations) else {
                return Err(CryptoError::operation("iterations must not be zero").into());
            };
            let (hash, salt) = (parameters.hash(ctx)?, parameters.bytes(ctx, "salt")?);
            Ok((Derivation::Pbkdf2 { hash, salt, iterations }, iterations.get() > MANY_ITERATIONS))
        }
        other => Err(cannot(other, "derive")),
    }
}

/// `deriveBits(algorithm, baseKey, length)`
fn derive_bits(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let parameters = arguments.parameters(0)?;
    let key = arguments.key(1)?;
    let length = arguments.get(2);
    let length = match length.is_null() || length.is_undefined() {
        true => None,
        false => Some(integer(&length, "length")?),
    };
    key.allows(parameters.algorithm, Usage::DeriveBits)?;
    let (derivation, is_long) = derivation(arguments.ctx, &parameters, &key)?;
    Ok(Task::new(is_long, move || Ok(Outcome::Bytes(derivation.bits(&key, length)?))))
}

/// `deriveKey(algorithm, baseKey, derivedKeyType, extractable, keyUsages)`
fn derive_key(arguments: &Arguments<'_, '_>) -> Result<Task, Refusal> {
    let (ctx, parameters) = (arguments.ctx, arguments.parameters(0)?);
    let key = arguments.key(1)?;
    let derived = arguments.parameters(2)?;
    let purpose = arguments.purpose(3)?;
    key.allows(parameters.algorithm, Usage::DeriveKey)?;
    let target = target(ctx, &derived)?;
    let length = match &target {
        KeyAlgorithm::Aes(_) => Some(derived.number("length")?),
        KeyAlgorithm::Hmac { hash, length } => Some(length.unwrap_or(hash.block() as u32 * 8)),
        KeyAlgorithm::Pbkdf2 => None,
        other => return Err(cannot(other.algorithm(), "be derived")),
    };
    let (derivation, is_long) = derivation(ctx, &parameters, &key)?;
    Ok(Task::new(is_long, move || {
        let bits = derivation.bits(&key, length)?;
        Ok(Outcome::Key(formats::import(KeyData::Raw(bits), &target, purpose)?))
    }))
}

fn cannot(algorithm: Algorithm, what: &str) -> Refusal {
    CryptoError::not_supported(format!("{} cannot {what}", algorithm.name())).into()
}
