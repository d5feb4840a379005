//! Algorithms, hashes, curves and usages by their names, and the parameters scripts hand over with them.

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::bytes;

use super::error::{CryptoError, Name, Refusal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    RsaPkcs1,
    RsaPss,
    RsaOaep,
    Hmac,
    AesCtr,
    AesCbc,
    AesGcm,
    AesKw,
    Ecdsa,
    Ecdh,
    Pbkdf2,
}

impl Algorithm {
    const ALL: [Self; 11] = [
        Self::RsaPkcs1,
        Self::RsaPss,
        Self::RsaOaep,
        Self::Hmac,
        Self::AesCtr,
        Self::AesCbc,
        Self::AesGcm,
        Self::AesKw,
        Self::Ecdsa,
        Self::Ecdh,
        Self::Pbkdf2,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1 => "RSASSA-PKCS1-v1_5",
            Self::RsaPss => "RSA-PSS",
            Self::RsaOaep => "RSA-OAEP",
            Self::Hmac => "HMAC",
            Self::AesCtr => "AES-CTR",
            Self::AesCbc => "AES-CBC",
            Self::AesGcm => "AES-GCM",
            Self::AesKw => "AES-KW",
            Self::Ecdsa => "ECDSA",
            Self::Ecdh => "ECDH",
            Self::Pbkdf2 => "PBKDF2",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub fn is_aes(self) -> bool {
        matches!(self, Self::AesCtr | Self::AesCbc | Self::AesGcm | Self::AesKw)
    }

    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RsaPkcs1 | Self::RsaPss | Self::RsaOaep)
    }

    pub fn is_ec(self) -> bool {
        matches!(self, Self::Ecdsa | Self::Ecdh)
    }

    /// What a key of this algorithm may be used for.
    pub fn usages(self, kind: KeyKind) -> &'static [Usage] {
        match (self, kind) {
            (Self::AesCtr | Self::AesCbc | Self::AesGcm, KeyKind::Secret) => {
                &[Usage::Encrypt, Usage::Decrypt, Usage::WrapKey, Usage::UnwrapKey]
            }
            (Self::AesKw, KeyKind::Secret) => &[Usage::WrapKey, Usage::UnwrapKey],
            (Self::Hmac, KeyKind::Secret) => &[Usage::Sign, Usage::Verify],
            (Self::Pbkdf2, KeyKind::Secret) => &[Usage::DeriveKey, Usage::DeriveBits],
            (Self::RsaPkcs1 | Self::RsaPss | Self::Ecdsa, KeyKind::Public) => &[Usage::Verify],
            (Self::RsaPkcs1 | Self::RsaPss | Self::Ecdsa, KeyKind::Private) => &[Usage::Sign],
            (Self::RsaOaep, KeyKind::Public) => &[Usage::Encrypt, Usage::WrapKey],
            (Self::RsaOaep, KeyKind::Private) => &[Usage::Decrypt, Usage::UnwrapKey],
            (Self::Ecdh, KeyKind::Private) => &[Usage::DeriveKey, Usage::DeriveBits],
            _ => &[],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Secret,
    Public,
    Private,
}

impl KeyKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// Its digits in the names of JWK: 1, 256, …
    pub fn number(self) -> &'static str {
        &self.name()["SHA-".len()..]
    }

    /// In bytes.
    pub fn block(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// A name, or an object with one.
    pub fn of_value<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Self, Refusal> {
        let name = identifier(ctx, value)?;
        let found = Self::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(&name));
        Ok(found.ok_or_else(|| unsupported(&name))?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// What JSON Web Keys call signatures on the curve.
    pub fn jwk_signature(self) -> &'static str {
        match self {
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::P521 => "ES512",
        }
    }

    /// Bytes of a coordinate.
    pub fn length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Encrypt,
    Decrypt,
    Sign,
    Verify,
    DeriveKey,
    DeriveBits,
    WrapKey,
    UnwrapKey,
}

impl Usage {
    const ALL: [Self; 8] = [
        Self::Encrypt,
        Self::Decrypt,
        Self::Sign,
        Self::Verify,
        Self::DeriveKey,
        Self::DeriveBits,
        Self::WrapKey,
        Self::UnwrapKey,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::DeriveKey => "deriveKey",
            Self::DeriveBits => "deriveBits",
            Self::WrapKey => "wrapKey",
            Self::UnwrapKey => "unwrapKey",
        }
    }

    /// A list of usages, each once, in the script's order.
    pub fn list<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<Self>, Refusal> {
        let Some(list) = value.as_object().filter(|object| object.is_array() || object.as_proxy().is_some())
        else {
            return Err(missing("keyUsages must be an array").into());
        };
        let mut usages = Vec::new();
        for index in 0..list.get::<_, Coerced<f64>>("length")?.0.clamp(0.0, 1000.0) as u32 {
            let name = text(ctx, &list.get(index)?)?;
            let Some(usage) = Self::ALL.into_iter().find(|usage| usage.name() == name) else {
                return Err(missing(format!("{name:?} is no key usage")).into());
            };
            if !usages.contains(&usage) {
                usages.push(usage);
            }
        }
        Ok(usages)
    }
}

/// An algorithm and what else the script said of it.
pub struct Parameters<'js> {
    pub algorithm: Algorithm,
    object: Option<Object<'js>>,
}

impl<'js> Parameters<'js> {
    /// A name, or an object with one.
    pub fn of_value(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Self, Refusal> {
        let name = identifier(ctx, value)?;
        let algorithm = Algorithm::named(&name).ok_or_else(|| unsupported(&name))?;
        Ok(Self { algorithm, object: if value.is_string() { None } else { value.as_object().cloned() } })
    }

    /// A member that is there.
    pub fn get(&self, name: &str) -> Result<Option<Value<'js>>, Refusal> {
        match &self.object {
            Some(object) => {
                Ok(object.get::<_, Option<Value<'js>>>(name)?.filter(|value| !value.is_undefined()))
            }
            None => Ok(None),
        }
    }

    pub fn required(&self, name: &str) -> Result<Value<'js>, Refusal> {
        let value = self.get(name)?;
        Ok(value.ok_or_else(|| missing(format!("{} needs the parameter {name}", self.algorithm.name())))?)
    }

    /// Binary data.
    pub fn bytes(&self, ctx: &Ctx<'js>, name: &str) -> Result<Vec<u8>, Refusal> {
        buffer(ctx, &self.required(name)?, name)
    }

    pub fn optional_bytes(&self, ctx: &Ctx<'js>, name: &str) -> Result<Vec<u8>, Refusal> {
        match self.get(name)? {
            Some(value) => buffer(ctx, &value, name),
            None => Ok(Vec::new()),
        }
    }

    pub fn number(&self, name: &str) -> Result<u32, Refusal> {
        integer(&self.required(name)?, name)
    }

    pub fn optional_number(&self, name: &str) -> Result<Option<u32>, Refusal> {
        self.get(name)?.map(|value| integer(&value, name)).transpose()
    }

    pub fn hash(&self, ctx: &Ctx<'js>) -> Result<Hash, Refusal> {
        Hash::of_value(ctx, &self.required("hash")?)
    }

    pub fn curve(&self, ctx: &Ctx<'js>) -> Result<Curve, Refusal> {
        let name = text(ctx, &self.required("namedCurve")?)?;
        let curve = Curve::named(&name);
        Ok(curve.ok_or_else(|| CryptoError::not_supported(format!("the curve {name:?} is not supported")))?)
    }
}

/// Binary data of any kind, copied.
pub fn buffer<'js>(ctx: &Ctx<'js>, value: &Value<'js>, name: &str) -> Result<Vec<u8>, Refusal> {
    let view = value.as_object().map(|object| bytes::of_object(ctx, object)).transpose()?.flatten();
    match view {
        Some(view) => Ok(view.as_slice().to_vec()),
        None => Err(missing(format!("{name} must be an ArrayBuffer, a typed array or a DataView")).into()),
    }
}

/// A whole number from 0 to 2³² − 1; text that says one will do.
pub fn integer(value: &Value<'_>, name: &str) -> Result<u32, Refusal> {
    let number = value.get::<Coerced<f64>>()?.0.trunc();
    if (0.0..=f64::from(u32::MAX)).contains(&number) {
        return Ok(number as u32);
    }
    Err(missing(format!("{name} must be a number from 0 to {}", u32::MAX)).into())
}

/// The text of a value that must be a string.
pub fn text<'js>(_: &Ctx<'js>, value: &Value<'js>) -> Result<String, Refusal> {
    match value.as_string() {
        Some(text) => Ok(text.to_string()?),
        None => Err(missing(format!("a string is expected, not {}", value.type_name())).into()),
    }
}

fn identifier<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<String, Refusal> {
    let name = match value.as_object() {
        _ if value.is_string() => value.clone(),
        Some(object) => object.get("name")?,
        None => return Err(missing("an algorithm must be a name or an object with a name").into()),
    };
    if name.is_undefined() {
        return Err(missing("an algorithm must have a name").into());
    }
    text(ctx, &name)
}

fn missing(message: impl Into<std::borrow::Cow<'static, str>>) -> CryptoError {
    CryptoError::new(Name::Type, message)
}

fn unsupported(name: &str) -> CryptoError {
    CryptoError::not_supported(format!("the algorithm {name:?} is not supported"))
}
