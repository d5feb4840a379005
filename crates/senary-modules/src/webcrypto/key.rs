//! `CryptoKey`: a key and what it may be used for. Scripts see its properties, never its material.

use std::sync::Arc;

use rquickjs::function::Constructor;
use rquickjs::object::Property;
use rquickjs::{Class, Ctx, IntoJs, Object, TypedArray, Value};
use senary_js::{errors, native_class};

use super::algorithm::{Algorithm, Curve, Hash, KeyKind, Usage};
use super::error::{CryptoError, Name, Refusal};
use super::libcrypto::Pkey;

pub const CRYPTO_KEY: &str = "CryptoKey";

/// A key, wherever it is used.
pub struct Key {
    pub kind: KeyKind,
    pub extractable: bool,
    pub algorithm: Algorithm,
    pub details: Details,
    pub usages: Vec<Usage>,
    pub material: Material,
}

/// What else there is to say of a key's algorithm. Lengths are in bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    None,
    Aes { length: u32 },
    Hmac { hash: Hash, length: u32 },
    Rsa { hash: Hash, modulus_length: u32, exponent: Vec<u8> },
    Ec { curve: Curve },
}

pub enum Material {
    Secret(Vec<u8>),
    Pkey(Pkey),
}

impl Key {
    /// Whether the key may do this under that algorithm.
    pub fn allows(&self, algorithm: Algorithm, usage: Usage) -> Result<(), CryptoError> {
        if self.algorithm != algorithm {
            let text = format!("the key is one of {}, not {}", self.algorithm.name(), algorithm.name());
            return Err(CryptoError::invalid_access(text));
        }
        if !self.usages.contains(&usage) {
            let text = format!("the key must not be used to {}", usage.name());
            return Err(CryptoError::invalid_access(text));
        }
        Ok(())
    }

    /// The bytes of a secret key.
    pub fn secret(&self) -> Result<&[u8], CryptoError> {
        match &self.material {
            Material::Secret(bytes) => Ok(bytes),
            Material::Pkey(_) => Err(CryptoError::invalid_access("a secret key is needed")),
        }
    }

    pub fn pkey(&self) -> Result<&Pkey, CryptoError> {
        match &self.material {
            Material::Pkey(pkey) => Ok(pkey),
            Material::Secret(_) => Err(CryptoError::invalid_access("a key pair is needed")),
        }
    }

    pub fn hash(&self) -> Result<Hash, CryptoError> {
        match self.details {
            Details::Hmac { hash, .. } | Details::Rsa { hash, .. } => Ok(hash),
            _ => Err(CryptoError::invalid_access("the key has no hash")),
        }
    }

    pub fn curve(&self) -> Result<Curve, CryptoError> {
        match self.details {
            Details::Ec { curve } => Ok(curve),
            _ => Err(CryptoError::invalid_access("the key is on no curve")),
        }
    }

    /// Secret and private keys must be good for something.
    pub fn check_usages(self) -> Result<Self, CryptoError> {
        if self.kind != KeyKind::Public && self.usages.is_empty() {
            return Err(CryptoError::new(Name::Syntax, "a secret or private key needs a usage"));
        }
        Ok(self)
    }
}

/// The object scripts have.
pub struct CryptoKey(pub Arc<Key>);

impl CryptoKey {
    /// Makes the object; its properties are its own and fixed, as they are listed and logged in the reference.
    pub fn object<'js>(ctx: &Ctx<'js>, key: Key) -> rquickjs::Result<Value<'js>> {
        let key = Arc::new(key);
        let object = Class::instance(ctx.clone(), Self(key.clone()))?.into_inner();
        object.prop("type", Property::from(key.kind.name()).enumerable())?;
        object.prop("extractable", Property::from(key.extractable).enumerable())?;
        object.prop("algorithm", Property::from(algorithm_object(ctx, &key)?).enumerable())?;
        let usages: Vec<_> = key.usages.iter().map(|usage| usage.name()).collect();
        object.prop("usages", Property::from(usages.into_js(ctx)?).enumerable())?;
        Ok(object.into_value())
    }

    /// The key behind an argument.
    pub fn of_value(value: &Value<'_>) -> Result<Arc<Key>, Refusal> {
        match value.as_object().and_then(Class::<Self>::from_object) {
            Some(class) => Ok(class.borrow().0.clone()),
            None => Err(CryptoError::new(Name::Type, "a CryptoKey is expected").into()),
        }
    }

    /// The class scripts can compare with; keys are made by other means.
    pub fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let refuse = |ctx: Ctx<'js>| -> rquickjs::Result<Object<'js>> {
            Err(errors::throw_type_error(&ctx, "Illegal constructor"))
        };
        Ok(Constructor::new_class::<Self, _, _>(ctx.clone(), refuse)?.into_value())
    }
}

fn algorithm_object<'js>(ctx: &Ctx<'js>, key: &Key) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("name", key.algorithm.name())?;
    let set_hash = |hash: Hash| {
        let inner = Object::new(ctx.clone())?;
        inner.set("name", hash.name())?;
        object.set("hash", inner)
    };
    match &key.details {
        Details::None => {}
        Details::Aes { length } => object.set("length", *length)?,
        Details::Hmac { hash, length } => {
            set_hash(*hash)?;
            object.set("length", *length)?;
        }
        Details::Rsa { hash, modulus_length, exponent } => {
            object.set("modulusLength", *modulus_length)?;
            object.set("publicExponent", TypedArray::<u8>::new(ctx.clone(), exponent.clone())?)?;
            set_hash(*hash)?;
        }
        Details::Ec { curve } => object.set("namedCurve", curve.name())?,
    }
    Ok(object)
}

native_class!(CryptoKey, CRYPTO_KEY, |ctx| Object::new(ctx.clone()));
