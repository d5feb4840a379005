//! Keys from outside, to outside, and new ones.

use super::algorithm::{Algorithm, Curve, Hash, KeyKind, Usage};
use super::der::{self, RsaPrivate, RsaPublic};
use super::error::{CryptoError, Name};
use super::jwk::{self, Jwk, decode, encode};
use super::key::{Details, Key, Material};
use super::libcrypto::{Kind, Pkey};
use super::operations::{clear_beyond, point, random_bits};

type Result<T> = std::result::Result<T, CryptoError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Raw,
    Spki,
    Pkcs8,
    Jwk,
}

impl Format {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "raw" => Self::Raw,
            "spki" => Self::Spki,
            "pkcs8" => Self::Pkcs8,
            "jwk" => Self::Jwk,
            _ => return None,
        })
    }
}

/// A key in some format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyData {
    Raw(Vec<u8>),
    Spki(Vec<u8>),
    Pkcs8(Vec<u8>),
    Jwk(Box<Jwk>),
}

/// What a key is to be. Lengths are in bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Aes(Algorithm),
    Hmac { hash: Hash, length: Option<u32> },
    Rsa { algorithm: Algorithm, hash: Hash },
    Ec { algorithm: Algorithm, curve: Curve },
    Pbkdf2,
}

impl KeyAlgorithm {
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Aes(algorithm) | Self::Rsa { algorithm, .. } | Self::Ec { algorithm, .. } => *algorithm,
            Self::Hmac { .. } => Algorithm::Hmac,
            Self::Pbkdf2 => Algorithm::Pbkdf2,
        }
    }
}

/// What the script wants to do with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    pub extractable: bool,
    pub usages: Vec<Usage>,
}

impl Purpose {
    fn check(&self, algorithm: Algorithm, kind: KeyKind) -> Result<()> {
        match self.usages.iter().find(|usage| !algorithm.usages(kind).contains(usage)) {
            Some(usage) => {
                let (algorithm, kind, usage) = (algorithm.name(), kind.name(), usage.name());
                Err(CryptoError::new(
                    Name::Syntax,
                    format!("a {kind} {algorithm} key cannot be used to {usage}"),
                ))
            }
            None => Ok(()),
        }
    }

    fn key(self, kind: KeyKind, algorithm: Algorithm, details: Details, material: Material) -> Result<Key> {
        let Self { extractable, usages } = self;
        Key { kind, extractable, algorithm, details, usages, material }.check_usages()
    }

    /// The part of a pair's purpose that one of its keys can serve; the public one is no secret.
    fn part(&self, algorithm: Algorithm, kind: KeyKind) -> Self {
        let can = algorithm.usages(kind);
        let usages = self.usages.iter().copied().filter(|usage| can.contains(usage)).collect();
        Self { extractable: self.extractable || kind == KeyKind::Public, usages }
    }
}

pub fn import(data: KeyData, target: &KeyAlgorithm, purpose: Purpose) -> Result<Key> {
    match target {
        KeyAlgorithm::Aes(algorithm) => import_aes(data, *algorithm, purpose),
        KeyAlgorithm::Hmac { hash, length } => import_hmac(data, *hash, *length, purpose),
        KeyAlgorithm::Rsa { algorithm, hash } => import_rsa(data, *algorithm, *hash, purpose),
        KeyAlgorithm::Ec { algorithm, curve } => import_ec(data, *algorithm, *curve, purpose),
        KeyAlgorithm::Pbkdf2 => import_pbkdf2(data, purpose),
    }
}

fn import_aes(data: KeyData, algorithm: Algorithm, purpose: Purpose) -> Result<Key> {
    purpose.check(algorithm, KeyKind::Secret)?;
    let (secret, jwk) = octets(data, &purpose)?;
    let details = Details::Aes {
        length: aes_length(secret.len() * 8)
            .ok_or_else(|| CryptoError::data("an AES key has 128, 192 or 256 bits"))?,
    };
    if let Some(jwk) = jwk {
        jwk.check_alg(algorithm, &details)?;
    }
    purpose.key(KeyKind::Secret, algorithm, details, Material::Secret(secret))
}

fn aes_length(bits: usize) -> Option<u32> {
    matches!(bits, 128 | 192 | 256).then_some(bits as u32)
}

fn import_hmac(data: KeyData, hash: Hash, length: Option<u32>, purpose: Purpose) -> Result<Key> {
    purpose.check(Algorithm::Hmac, KeyKind::Secret)?;
    let (mut secret, jwk) = octets(data, &purpose)?;
    let bits = u32::try_from(secret.len() * 8).unwrap_or(u32::MAX);
    let length = length.unwrap_or(bits);
    if bits == 0 || length > bits || length <= bits - 8 {
        return Err(CryptoError::data("the key is empty, or does not have the length it should have"));
    }
    clear_beyond(&mut secret, length);
    let details = Details::Hmac { hash, length };
    if let Some(jwk) = jwk {
        jwk.check_alg(Algorithm::Hmac, &details)?;
    }
    purpose.key(KeyKind::Secret, Algorithm::Hmac, details, Material::Secret(secret))
}

fn import_pbkdf2(data: KeyData, purpose: Purpose) -> Result<Key> {
    purpose.check(Algorithm::Pbkdf2, KeyKind::Secret)?;
    let KeyData::Raw(secret) = data else { return Err(unsupported_format(Algorithm::Pbkdf2)) };
    if purpose.extractable {
        return Err(CryptoError::new(Name::Syntax, "a password must not be extractable"));
    }
    purpose.key(KeyKind::Secret, Algorithm::Pbkdf2, Details::None, Material::Secret(secret))
}

/// The bytes of a secret key, and the JWK they came in.
fn octets(data: KeyData, purpose: &Purpose) -> Result<(Vec<u8>, Option<Box<Jwk>>)> {
    match data {
        KeyData::Raw(secret) => Ok((secret, None)),
        KeyData::Jwk(jwk) => {
            jwk.check(jwk::OCTETS, &purpose.usages, purpose.extractable)?;
            Ok((decode("k", &jwk.k)?, Some(jwk)))
        }
        _ => Err(CryptoError::not_supported("a secret key has the format raw or jwk")),
    }
}

fn import_rsa(data: KeyData, algorithm: Algorithm, hash: Hash, purpose: Purpose) -> Result<Key> {
    let (kind, jwk, pkey) = match data {
        KeyData::Raw(_) => return Err(unsupported_format(algorithm)),
        KeyData::Spki(der) => (KeyKind::Public, None, Pkey::from_spki(&der)),
        KeyData::Pkcs8(der) => (KeyKind::Private, None, Pkey::from_pkcs8(&der)),
        KeyData::Jwk(jwk) => {
            jwk.check(jwk::RSA, &purpose.usages, purpose.extractable)?;
            let (n, e) = (decode("n", &jwk.n)?, decode("e", &jwk.e)?);
            if jwk.d.is_none() {
                (KeyKind::Public, Some(jwk), Pkey::from_spki(&RsaPublic { n, e }.to_spki()))
            } else {
                let private = RsaPrivate {
                    n,
                    e,
                    d: decode("d", &jwk.d)?,
                    p: decode("p", &jwk.p)?,
                    q: decode("q", &jwk.q)?,
                    dp: decode("dp", &jwk.dp)?,
                    dq: decode("dq", &jwk.dq)?,
                    qi: decode("qi", &jwk.qi)?,
                };
                (KeyKind::Private, Some(jwk), Pkey::from_pkcs8(&private.to_pkcs8()))
            }
        }
    };
    purpose.check(algorithm, kind)?;
    let pkey = pkey.ok().filter(|pkey| pkey.kind() == Some(Kind::Rsa));
    let pkey = pkey.ok_or_else(|| CryptoError::data("the data is no RSA key"))?;
    let details = rsa_details(&pkey, hash)?;
    if let Some(jwk) = jwk {
        jwk.check_alg(algorithm, &details)?;
    }
    purpose.key(kind, algorithm, details, Material::Pkey(pkey))
}

fn rsa_details(pkey: &Pkey, hash: Hash) -> Result<Details> {
    let public = rsa_public(pkey)?;
    let spare = public.n.first().map_or(0, |first| first.leading_zeros());
    let modulus_length = public.n.len() as u32 * 8 - spare;
    Ok(Details::Rsa { hash, modulus_length, exponent: public.e })
}

fn rsa_public(pkey: &Pkey) -> Result<RsaPublic> {
    let public = RsaPublic::from_spki(&pkey.to_spki()?);
    public.ok_or_else(|| CryptoError::operation("the RSA key cannot be read"))
}

fn import_ec(data: KeyData, algorithm: Algorithm, curve: Curve, purpose: Purpose) -> Result<Key> {
    let (kind, pkey) = match data {
        KeyData::Raw(point) => (KeyKind::Public, Pkey::from_spki(&der::ec_to_spki(curve, &point))),
        KeyData::Spki(der) => (KeyKind::Public, Pkey::from_spki(&der)),
        KeyData::Pkcs8(der) => (KeyKind::Private, Pkey::from_pkcs8(&der)),
        KeyData::Jwk(jwk) => {
            jwk.check(jwk::EC, &purpose.usages, purpose.extractable)?;
            if jwk.crv.as_deref() != Some(curve.name()) {
                return Err(CryptoError::data(format!("the JWK's crv must be {:?}", curve.name())));
            }
            let is_other = |alg: &str| algorithm == Algorithm::Ecdsa && alg != curve.jwk_signature();
            if jwk.alg.as_deref().is_some_and(is_other) {
                return Err(CryptoError::data(format!("the JWK's alg must be {:?}", curve.jwk_signature())));
            }
            let coordinate = |name, member: &Option<String>| match decode(name, member)? {
                number if number.len() == curve.length() => Ok(number),
                _ => Err(CryptoError::data(format!("the JWK's {name} does not have the curve's length"))),
            };
            let point = [vec![4], coordinate("x", &jwk.x)?, coordinate("y", &jwk.y)?].concat();
            if jwk.d.is_none() {
                (KeyKind::Public, Pkey::from_spki(&der::ec_to_spki(curve, &point)))
            } else {
                let d = coordinate("d", &jwk.d)?;
                (KeyKind::Private, Pkey::from_pkcs8(&der::ec_to_pkcs8(curve, &d, &point)))
            }
        }
    };
    purpose.check(algorithm, kind)?;
    let is_on_curve = |pkey: &Pkey| {
        let spki = pkey.to_spki().ok();
        spki.and_then(|spki| der::ec_from_spki(&spki)).is_some_and(|(found, _)| found == curve)
    };
    let pkey = pkey.ok().filter(|pkey| pkey.kind() == Some(Kind::Ec) && is_on_curve(pkey));
    let pkey = pkey.ok_or_else(|| CryptoError::data(format!("the data is no key on {}", curve.name())))?;
    purpose.key(kind, algorithm, Details::Ec { curve }, Material::Pkey(pkey))
}

pub fn export(format: Format, key: &Key) -> Result<KeyData> {
    if key.algorithm == Algorithm::Pbkdf2 {
        return Err(unsupported_format(key.algorithm));
    }
    if !key.extractable {
        return Err(CryptoError::invalid_access("the key is not extractable"));
    }
    match (format, &key.material, key.kind) {
        (Format::Raw, Material::Secret(secret), _) => Ok(KeyData::Raw(secret.clone())),
        (Format::Raw, Material::Pkey(_), KeyKind::Public) if key.algorithm.is_ec() => {
            Ok(KeyData::Raw(point(key)?.1))
        }
        (Format::Spki, Material::Pkey(pkey), KeyKind::Public) => Ok(KeyData::Spki(pkey.to_spki()?)),
        (Format::Pkcs8, Material::Pkey(pkey), KeyKind::Private) => Ok(KeyData::Pkcs8(pkey.to_pkcs8()?)),
        (Format::Jwk, ..) => Ok(KeyData::Jwk(Box::new(export_jwk(key)?))),
        (Format::Raw, Material::Pkey(_), _) if !key.algorithm.is_ec() => {
            Err(unsupported_format(key.algorithm))
        }
        (Format::Spki | Format::Pkcs8, Material::Secret(_), _) => Err(unsupported_format(key.algorithm)),
        _ => Err(CryptoError::invalid_access(format!("a {} key does not have that format", key.kind.name()))),
    }
}

fn export_jwk(key: &Key) -> Result<Jwk> {
    let pkey = match &key.material {
        Material::Secret(secret) => {
            return Ok(Jwk { k: encode(secret), ..Jwk::describing(key, jwk::OCTETS) });
        }
        Material::Pkey(pkey) => pkey,
    };
    let unreadable = || CryptoError::operation("the key cannot be read");
    let is_private = key.kind == KeyKind::Private;
    if key.algorithm.is_ec() {
        let (curve, point) = point(key)?;
        let (x, y) = point.get(1..).unwrap_or_default().split_at(curve.length());
        let d = match is_private {
            true => encode(&der::ec_from_pkcs8(&pkey.to_pkcs8()?).ok_or_else(unreadable)?.1),
            false => None,
        };
        let crv = Some(curve.name().to_owned());
        return Ok(Jwk { crv, x: encode(x), y: encode(y), d, ..Jwk::describing(key, jwk::EC) });
    }
    let public = rsa_public(pkey)?;
    let jwk = Jwk { n: encode(&public.n), e: encode(&public.e), ..Jwk::describing(key, jwk::RSA) };
    if !is_private {
        return Ok(jwk);
    }
    let private = RsaPrivate::from_pkcs8(&pkey.to_pkcs8()?).ok_or_else(unreadable)?;
    Ok(Jwk {
        d: encode(&private.d),
        p: encode(&private.p),
        q: encode(&private.q),
        dp: encode(&private.dp),
        dq: encode(&private.dq),
        qi: encode(&private.qi),
        ..jwk
    })
}

fn unsupported_format(algorithm: Algorithm) -> CryptoError {
    CryptoError::not_supported(format!("{} keys do not have that format", algorithm.name()))
}

/// What a new key is to be. Lengths are in bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generation {
    Aes {
        algorithm: Algorithm,
        length: u32,
    },
    /// Without a length, as long as a block of the hash.
    Hmac {
        hash: Hash,
        length: Option<u32>,
    },
    Rsa {
        algorithm: Algorithm,
        hash: Hash,
        modulus_length: u32,
        exponent: Vec<u8>,
    },
    Ec {
        algorithm: Algorithm,
        curve: Curve,
    },
}

pub enum Generated {
    Secret(Key),
    Pair { public: Key, private: Key },
}

/// Shorter moduli protect nothing; the library makes no longer ones.
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=16384;

/// The library makes moduli of a multiple of these bits, and would make a shorter one of others.
const RSA_STEP: u32 = 128;

/// Bits of an HMAC key: more is a mistake.
const MAX_HMAC_BITS: u32 = 8 << 20;

impl Generation {
    pub fn run(self, purpose: Purpose) -> Result<Generated> {
        match self {
            Self::Aes { algorithm, length } => {
                purpose.check(algorithm, KeyKind::Secret)?;
                let length = aes_length(length as usize)
                    .ok_or_else(|| CryptoError::operation("an AES key has 128, 192 or 256 bits"))?;
                let material = Material::Secret(random_bits(length)?);
                let key = purpose.key(KeyKind::Secret, algorithm, Details::Aes { length }, material)?;
                Ok(Generated::Secret(key))
            }
            Self::Hmac { hash, length } => {
                purpose.check(Algorithm::Hmac, KeyKind::Secret)?;
                let length = length.unwrap_or(hash.block() as u32 * 8);
                if !(1..=MAX_HMAC_BITS).contains(&length) {
                    return Err(CryptoError::operation("an HMAC key must have bits, and not too many"));
                }
                let material = Material::Secret(random_bits(length)?);
                let details = Details::Hmac { hash, length };
                Ok(Generated::Secret(purpose.key(KeyKind::Secret, Algorithm::Hmac, details, material)?))
            }
            Self::Rsa { algorithm, hash, modulus_length, exponent } => {
                Self::check_pair(algorithm, &purpose)?;
                let exponent = der::trimmed(&exponent);
                if !RSA_BITS.contains(&modulus_length) || modulus_length % RSA_STEP != 0 {
                    let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
                    return Err(CryptoError::operation(format!(
                        "modulusLength must be a multiple of {RSA_STEP} from {least} to {most}, not {modulus_length}"
                    )));
                }
                // Even numbers and one are no exponents; the library wants no more than 33 bits.
                let is_odd = exponent.last().is_some_and(|last| last & 1 == 1);
                if !is_odd || exponent == [1] {
                    return Err(CryptoError::operation("no RSA key has that publicExponent"));
                }
                let private = Pkey::generate_rsa(modulus_length, exponent)?;
                let details = rsa_details(&private, hash)?;
                Self::pair(algorithm, details, private, &purpose)
            }
            Self::Ec { algorithm, curve } => {
                Self::check_pair(algorithm, &purpose)?;
                Self::pair(algorithm, Details::Ec { curve }, Pkey::generate_ec(curve)?, &purpose)
            }
        }
    }

    /// Before the work is done: usages that neither key of a pair has, and a private key without any.
    fn check_pair(algorithm: Algorithm, purpose: &Purpose) -> Result<()> {
        let public = algorithm.usages(KeyKind::Public);
        let left = purpose.usages.iter().copied().filter(|usage| !public.contains(usage)).collect();
        Purpose { extractable: purpose.extractable, usages: left }.check(algorithm, KeyKind::Private)?;
        if purpose.part(algorithm, KeyKind::Private).usages.is_empty() {
            return Err(CryptoError::new(Name::Syntax, "a private key needs a usage"));
        }
        Ok(())
    }

    fn pair(algorithm: Algorithm, details: Details, private: Pkey, purpose: &Purpose) -> Result<Generated> {
        let public = Material::Pkey(Pkey::from_spki(&private.to_spki()?)?);
        let part = |kind| purpose.part(algorithm, kind);
        Ok(Generated::Pair {
            public: part(KeyKind::Public).key(KeyKind::Public, algorithm, details.clone(), public)?,
            private: part(KeyKind::Private).key(
                KeyKind::Private,
                algorithm,
                details,
                Material::Pkey(private),
            )?,
        })
    }
}
