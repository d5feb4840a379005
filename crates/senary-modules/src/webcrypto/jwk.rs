//! JSON Web Keys: <https://www.rfc-editor.org/rfc/rfc7517>, <https://www.rfc-editor.org/rfc/rfc7518>.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rquickjs::{Coerced, Ctx, Object, Value};

use super::algorithm::{Algorithm, Hash, Usage, text};
use super::error::{CryptoError, Refusal};
use super::key::{Details, Key};

/// The members that mean something here; numbers are base64url.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwk {
    pub kty: Option<String>,
    pub usage: Option<String>,
    pub key_ops: Option<Vec<String>>,
    pub alg: Option<String>,
    pub ext: Option<bool>,
    pub k: Option<String>,
    pub crv: Option<String>,
    pub x: Option<String>,
    pub y: Option<String>,
    pub n: Option<String>,
    pub e: Option<String>,
    pub d: Option<String>,
    pub p: Option<String>,
    pub q: Option<String>,
    pub dp: Option<String>,
    pub dq: Option<String>,
    pub qi: Option<String>,
}

pub const OCTETS: &str = "oct";
pub const RSA: &str = "RSA";
pub const EC: &str = "EC";

impl Jwk {
    /// A JWK for a key, still without its numbers.
    pub fn describing(key: &Key, kty: &str) -> Self {
        Self {
            kty: Some(kty.to_owned()),
            key_ops: Some(key.usages.iter().map(|usage| usage.name().to_owned()).collect()),
            alg: alg(key.algorithm, &key.details),
            ext: Some(key.extractable),
            ..Self::default()
        }
    }

    pub fn of_object<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Result<Self, Refusal> {
        let member = |name: &str| -> Result<Option<String>, Refusal> {
            match object.get::<_, Option<Value<'js>>>(name)?.filter(|value| !value.is_undefined()) {
                Some(value) => Ok(Some(text(ctx, &value)?)),
                None => Ok(None),
            }
        };
        let key_ops = match object.get::<_, Option<Object<'js>>>("key_ops")? {
            Some(list) => {
                let length = list.get::<_, Coerced<f64>>("length")?.0.clamp(0.0, 1000.0) as u32;
                let names = (0..length).map(|index| text(ctx, &list.get(index)?));
                Some(names.collect::<Result<_, Refusal>>()?)
            }
            None => None,
        };
        let ext = object.get::<_, Option<Value<'js>>>("ext")?.filter(|ext| !ext.is_undefined());
        Ok(Self {
            kty: member("kty")?,
            usage: member("use")?,
            key_ops,
            alg: member("alg")?,
            ext: ext.map(|ext| ext.get::<Coerced<bool>>()).transpose()?.map(|ext| ext.0),
            k: member("k")?,
            crv: member("crv")?,
            x: member("x")?,
            y: member("y")?,
            n: member("n")?,
            e: member("e")?,
            d: member("d")?,
            p: member("p")?,
            q: member("q")?,
            dp: member("dp")?,
            dq: member("dq")?,
            qi: member("qi")?,
        })
    }

    pub fn to_object<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
        let object = Object::new(ctx.clone())?;
        let members = [
            ("kty", &self.kty),
            ("use", &self.usage),
            ("alg", &self.alg),
            ("k", &self.k),
            ("crv", &self.crv),
            ("x", &self.x),
            ("y", &self.y),
            ("n", &self.n),
            ("e", &self.e),
            ("d", &self.d),
            ("p", &self.p),
            ("q", &self.q),
            ("dp", &self.dp),
            ("dq", &self.dq),
            ("qi", &self.qi),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                object.set(name, value.as_str())?;
            }
        }
        if let Some(key_ops) = &self.key_ops {
            object.set("key_ops", key_ops.clone())?;
        }
        if let Some(ext) = self.ext {
            object.set("ext", ext)?;
        }
        Ok(object)
    }

    /// Whether the JWK is of that type and lets itself be used as asked.
    pub fn check(&self, kty: &str, usages: &[Usage], extractable: bool) -> Result<(), CryptoError> {
        if self.kty.as_deref() != Some(kty) {
            return Err(CryptoError::data(format!("the JWK's kty must be {kty:?}")));
        }
        let signs = usages.iter().any(|usage| matches!(usage, Usage::Sign | Usage::Verify));
        let expected = if signs { "sig" } else { "enc" };
        if !usages.is_empty() && self.usage.as_deref().is_some_and(|usage| usage != expected) {
            return Err(CryptoError::data(format!("the JWK's use must be {expected:?}")));
        }
        if let Some(ops) = &self.key_ops
            && !usages.iter().all(|usage| ops.iter().any(|op| op == usage.name()))
        {
            return Err(CryptoError::data("the JWK's key_ops do not allow the usages"));
        }
        if self.ext == Some(false) && extractable {
            return Err(CryptoError::data("the JWK must not be extractable"));
        }
        Ok(())
    }

    /// Whether the JWK, if it names an algorithm, names that of the key.
    pub fn check_alg(&self, algorithm: Algorithm, details: &Details) -> Result<(), CryptoError> {
        match (&self.alg, alg(algorithm, details)) {
            (Some(named), Some(expected)) if *named != expected => {
                Err(CryptoError::data(format!("the JWK's alg must be {expected:?}")))
            }
            _ => Ok(()),
        }
    }
}

/// Decodes a member that must be there.
pub fn decode(name: &str, member: &Option<String>) -> Result<Vec<u8>, CryptoError> {
    let decoded = member.as_deref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    decoded.ok_or_else(|| CryptoError::data(format!("the JWK's {name} must be base64url")))
}

pub fn encode(bytes: &[u8]) -> Option<String> {
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The name of an algorithm in JWK, where it has one.
fn alg(algorithm: Algorithm, details: &Details) -> Option<String> {
    let with_hash = |prefix: &str, hash: Hash| Some(format!("{prefix}{}", hash.number()));
    match (algorithm, details) {
        (_, Details::Aes { length }) => {
            Some(format!("A{length}{}", algorithm.name().trim_start_matches("AES-")))
        }
        (_, Details::Hmac { hash, .. }) => with_hash("HS", *hash),
        (Algorithm::RsaPkcs1, Details::Rsa { hash, .. }) => with_hash("RS", *hash),
        (Algorithm::RsaPss, Details::Rsa { hash, .. }) => with_hash("PS", *hash),
        (Algorithm::RsaOaep, Details::Rsa { hash: Hash::Sha1, .. }) => Some("RSA-OAEP".to_owned()),
        (Algorithm::RsaOaep, Details::Rsa { hash, .. }) => with_hash("RSA-OAEP-", *hash),
        _ => None,
    }
}
