//! What keys do: encrypt, sign, derive. Without JavaScript, so that long work can be done on another thread.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};

use super::algorithm::{Curve, Hash};
use super::der;
use super::error::CryptoError;
use super::key::Key;
use super::libcrypto::{self, Direction, Refused, Scheme};

type Result<T> = std::result::Result<T, CryptoError>;

impl From<Refused> for CryptoError {
    fn from(_: Refused) -> Self {
        Self::operation("the operation failed")
    }
}

pub fn digest(hash: Hash, data: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, data).as_ref().to_vec()
}

/// A cipher and its parameters, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cipher {
    Cbc {
        iv: [u8; 16],
    },
    /// `length`: bits of the counter that count; the others stay.
    Ctr {
        counter: [u8; 16],
        length: u32,
    },
    /// `tag`: its length in bytes.
    Gcm {
        iv: Vec<u8>,
        additional: Vec<u8>,
        tag: usize,
    },
    Oaep {
        label: Vec<u8>,
    },
}

impl Cipher {
    pub fn cbc(iv: Vec<u8>) -> Result<Self> {
        let iv = iv.try_into().map_err(|_| CryptoError::operation("iv must have 16 bytes"))?;
        Ok(Self::Cbc { iv })
    }

    pub fn ctr(counter: Vec<u8>, length: u32) -> Result<Self> {
        let counter = counter.try_into().map_err(|_| CryptoError::operation("counter must have 16 bytes"))?;
        if !(1..=128).contains(&length) {
            return Err(CryptoError::operation("length must be from 1 to 128"));
        }
        Ok(Self::Ctr { counter, length })
    }

    /// `tag_length` is in bits.
    pub fn gcm(iv: Vec<u8>, additional: Vec<u8>, tag_length: u32) -> Result<Self> {
        if iv.is_empty() {
            return Err(CryptoError::operation("iv must not be empty"));
        }
        if !matches!(tag_length, 32 | 64 | 96 | 104 | 112 | 120 | 128) {
            return Err(CryptoError::operation("tagLength must be 32, 64, 96, 104, 112, 120 or 128"));
        }
        Ok(Self::Gcm { iv, additional, tag: tag_length as usize / 8 })
    }

    pub fn run(&self, direction: Direction, key: &Key, data: &[u8]) -> Result<Vec<u8>> {
        match (self, direction) {
            (Self::Cbc { iv }, _) => Ok(libcrypto::aes_cbc(direction, key.secret()?, iv, data)?),
            (Self::Ctr { counter, length }, _) => aes_ctr(key.secret()?, *counter, *length, data),
            (Self::Gcm { iv, additional, tag }, Direction::Encrypt) => {
                Ok(libcrypto::aes_gcm_seal(key.secret()?, iv, additional, data, *tag)?)
            }
            (Self::Gcm { iv, additional, tag }, Direction::Decrypt) => {
                Ok(libcrypto::aes_gcm_open(key.secret()?, iv, additional, data, *tag)?)
            }
            (Self::Oaep { label }, _) => Ok(key.pkey()?.oaep(direction, key.hash()?, label, data)?),
        }
    }
}

/// AES-CTR with a counter of `length` bits, which starts again at zero within the block.
fn aes_ctr(key: &[u8], counter: [u8; 16], length: u32, data: &[u8]) -> Result<Vec<u8>> {
    let mask = u128::MAX >> (128 - length);
    let start = u128::from_be_bytes(counter);
    let blocks = data.len().div_ceil(16) as u128;
    if blocks.saturating_sub(1) > mask {
        return Err(CryptoError::operation("the counter is too short for so much data"));
    }
    // Blocks until the counter is back at zero.
    let ahead = (mask - (start & mask)).saturating_add(1);
    let (first, second) =
        data.split_at(usize::try_from(ahead.saturating_mul(16)).unwrap_or(usize::MAX).min(data.len()));
    let mut out = libcrypto::aes_ctr(key, &counter, first)?;
    if !second.is_empty() {
        out.extend(libcrypto::aes_ctr(key, &(start & !mask).to_be_bytes(), second)?);
    }
    Ok(out)
}

/// A way to sign and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Hmac,
    RsaPkcs1,
    RsaPss { salt_length: u32 },
    Ecdsa { hash: Hash },
}

impl Signing {
    pub fn sign(self, key: &Key, data: &[u8]) -> Result<Vec<u8>> {
        let pkey = match self {
            Self::Hmac => return Ok(hmac::sign(&hmac_key(key)?, data).as_ref().to_vec()),
            _ => key.pkey()?,
        };
        let (scheme, hash) = self.scheme(key)?;
        let signature = pkey.sign(scheme, hash, data)?;
        match scheme {
            Scheme::Ecdsa => Ok(der::signature_to_fixed(key.curve()?, &signature).ok_or(Refused)?),
            _ => Ok(signature),
        }
    }

    pub fn verify(self, key: &Key, signature: &[u8], data: &[u8]) -> Result<bool> {
        let pkey = match self {
            Self::Hmac => return Ok(hmac::verify(&hmac_key(key)?, data, signature).is_ok()),
            _ => key.pkey()?,
        };
        let (scheme, hash) = self.scheme(key)?;
        if scheme == Scheme::Ecdsa {
            return match der::signature_from_fixed(key.curve()?, signature) {
                Some(signature) => Ok(pkey.verify(scheme, hash, &signature, data)?),
                None => Ok(false),
            };
        }
        Ok(pkey.verify(scheme, hash, signature, data)?)
    }

    fn scheme(self, key: &Key) -> Result<(Scheme, Hash)> {
        Ok(match self {
            Self::Ecdsa { hash } => (Scheme::Ecdsa, hash),
            Self::RsaPss { salt_length } => (Scheme::Pss(salt_length), key.hash()?),
            Self::RsaPkcs1 | Self::Hmac => (Scheme::Pkcs1, key.hash()?),
        })
    }
}

fn hmac_key(key: &Key) -> Result<hmac::Key> {
    let algorithm = match key.hash()? {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    Ok(hmac::Key::new(algorithm, key.secret()?))
}

/// Where derived bits come from.
pub enum Derivation {
    Ecdh { public: std::sync::Arc<Key> },
    Pbkdf2 { hash: Hash, salt: Vec<u8>, iterations: NonZeroU32 },
}

/// Bits that may be derived at once: more is a mistake.
const MAX_DERIVED: u32 = 8 << 20;

impl Derivation {
    /// `length` is in bits; `None` for all there are.
    pub fn bits(&self, key: &Key, length: Option<u32>) -> Result<Vec<u8>> {
        match self {
            Self::Ecdh { public } => {
                let secret = key.pkey()?.agree(public.pkey()?)?;
                let Some(length) = length else { return Ok(secret) };
                let mut bits = match secret.get(..length.div_ceil(8) as usize) {
                    Some(bits) => bits.to_vec(),
                    None => return Err(CryptoError::operation("the shared secret has fewer bits")),
                };
                clear_beyond(&mut bits, length);
                Ok(bits)
            }
            Self::Pbkdf2 { hash, salt, iterations } => {
                let length =
                    length.filter(|length| *length > 0 && *length % 8 == 0 && *length <= MAX_DERIVED);
                let Some(length) = length else {
                    return Err(CryptoError::operation("length must be a multiple of 8, and not zero"));
                };
                let algorithm = match hash {
                    Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
                    Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
                    Hash::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
                    Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
                };
                let mut bits = vec![0; length as usize / 8];
                pbkdf2::derive(algorithm, *iterations, salt, key.secret()?, &mut bits);
                Ok(bits)
            }
        }
    }
}

/// Clears the bits of the last byte beyond a length in bits.
pub fn clear_beyond(bytes: &mut [u8], length: u32) {
    if let (Some(last), used @ 1..) = (bytes.last_mut(), length % 8) {
        *last &= 0xFF << (8 - used);
    }
}

/// The secret of a new key: so many random bits.
pub fn random_bits(length: u32) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length.div_ceil(8) as usize];
    libcrypto::random(&mut bytes)?;
    clear_beyond(&mut bytes, length);
    Ok(bytes)
}

/// The point of a public key: 4, then both coordinates.
pub fn point(key: &Key) -> Result<(Curve, Vec<u8>)> {
    Ok(der::ec_from_spki(&key.pkey()?.to_spki()?).ok_or(Refused)?)
}
