//! Private keys as PEM, also those that a password protects as RFC 1423 has it: `openssl rsa -aes256 -traditional`.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::{Des, TdesEde3};
use md5::{Digest, Md5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

/// Why a key cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the key is no PEM: {0}")]
    NoPem(String),
    #[error("encrypted pkcs8 formatted key is not supported")]
    EncryptedPkcs8,
    #[error("the key is encrypted: say its password, as `password` beside `key`")]
    NoPassword,
    #[error("the password is not that of the key, or the key is damaged")]
    WrongPassword,
    #[error(
        "the key is encrypted with {0:?}, which is not supported: DES-CBC, DES-EDE3-CBC and AES-128-CBC, AES-192-CBC, AES-256-CBC are"
    )]
    Cipher(String),
}

pub(super) fn read(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, KeyError> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(KeyError::EncryptedPkcs8);
    }
    if !text.contains("DEK-Info:") {
        return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| KeyError::NoPem(e.to_string()));
    }
    let blocks = pem::parse_many(text).map_err(|e| KeyError::NoPem(e.to_string()))?;
    let encrypted = blocks.iter().find_map(|block| Some((block, block.headers().get("DEK-Info")?)));
    let (block, info) = encrypted.ok_or_else(|| KeyError::NoPem("no DEK-Info within a block".to_owned()))?;
    let password = password.filter(|password| !password.is_empty()).ok_or(KeyError::NoPassword)?;
    let der = decrypt(info, password.as_bytes(), block.contents().to_vec())?;
    Ok(match block.tag() {
        "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(der).into(),
        "EC PRIVATE KEY" => PrivateSec1KeyDer::from(der).into(),
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}

#[derive(Clone, Copy)]
enum Cipher {
    Des,
    TripleDes,
    Aes(&'static Algorithm, usize),
}

impl Cipher {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "DES-CBC" => Self::Des,
            "DES-EDE3-CBC" => Self::TripleDes,
            "AES-128-CBC" => Self::Aes(&AES_128, 16),
            "AES-192-CBC" => Self::Aes(&AES_192, 24),
            "AES-256-CBC" => Self::Aes(&AES_256, 32),
            _ => return None,
        })
    }

    /// In bytes.
    fn key_length(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::Aes(_, length) => length,
        }
    }

    /// In bytes; of the initialization vector, too.
    fn block_length(self) -> usize {
        match self {
            Self::Des | Self::TripleDes => 8,
            Self::Aes(..) => 16,
        }
    }

    /// In place; `None` if a length is not what it has to be.
    fn decrypt(self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Option<()> {
        match self {
            Self::Des => {
                cbc::Decryptor::<Des>::new_from_slices(key, iv)
                    .ok()?
                    .decrypt_padded::<NoPadding>(data)
                    .ok()?;
            }
            Self::TripleDes => {
                let cipher = cbc::Decryptor::<TdesEde3>::new_from_slices(key, iv).ok()?;
                cipher.decrypt_padded::<NoPadding>(data).ok()?;
            }
            Self::Aes(algorithm, _) => {
                let cipher = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
                let iv = <[u8; 16]>::try_from(iv).ok()?;
                cipher.decrypt(data, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?;
            }
        }
        Some(())
    }
}

/// `info` is `AES-128-CBC,` and the initialization vector in hexadecimal.
fn decrypt(info: &str, password: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let (name, iv) = info.split_once(',').unwrap_or((info, ""));
    let cipher = Cipher::named(name.trim()).ok_or_else(|| KeyError::Cipher(name.trim().to_owned()))?;
    let iv = bytes(iv.trim()).filter(|iv| iv.len() == cipher.block_length());
    let iv = iv.ok_or_else(|| KeyError::NoPem("DEK-Info has no initialization vector".to_owned()))?;
    let key = derive(password, &iv[..8], cipher.key_length());
    cipher.decrypt(&key, &iv, &mut data).ok_or(KeyError::WrongPassword)?;
    // RFC 1423 §1.1: as many bytes are added as fill a block, each of which says how many.
    let added = data.last().copied().map_or(0, usize::from);
    let rest = data.len().checked_sub(added).ok_or(KeyError::WrongPassword)?;
    let is_padding = (1..=cipher.block_length()).contains(&added)
        && data[rest..].iter().all(|byte| usize::from(*byte) == added)
        // A key is a SEQUENCE. The padding alone is right for one wrong password in 256.
        && data.first() == Some(&0x30);
    if !is_padding {
        return Err(KeyError::WrongPassword);
    }
    data.truncate(rest);
    Ok(data)
}

/// OpenSSL's way: digests of the one before, the password and the salt, until there is enough of them.
fn derive(password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
    let mut key = Vec::new();
    let mut last = Vec::new();
    while key.len() < length {
        last = Md5::new().chain_update(&last).chain_update(password).chain_update(salt).finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_opened_by_their_password() {
        let plain = read(include_str!("keys/plain.pem"), None).unwrap();
        for (cipher, pem) in [
            ("DES-CBC", include_str!("keys/des.pem")),
            ("DES-EDE3-CBC", include_str!("keys/des3.pem")),
            ("AES-128-CBC", include_str!("keys/aes128.pem")),
            ("AES-192-CBC", include_str!("keys/aes192.pem")),
            ("AES-256-CBC", include_str!("keys/aes256.pem")),
        ] {
            assert!(pem.contains(&format!("DEK-Info: {cipher},")), "{cipher}");
            assert_eq!(read(pem, Some("s3cret")).unwrap().secret_der(), plain.secret_der(), "{cipher}");
            assert_eq!(read(pem, Some("secret")).unwrap_err(), KeyError::WrongPassword, "{cipher}");
            for none in [None, Some("")] {
                assert_eq!(read(pem, none).unwrap_err(), KeyError::NoPassword, "{cipher}");
            }
        }
        let camellia = read(include_str!("keys/camellia128.pem"), Some("s3cret")).unwrap_err();
        assert_eq!(camellia, KeyError::Cipher("CAMELLIA-128-CBC".to_owned()));
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let good = include_str!("keys/aes128.pem");
        let (_, iv) = good.split_once("AES-128-CBC,").unwrap();
        let iv = iv.lines().next().unwrap();
        for wrong in ["", "00", "ü0", "zz", &iv[2..]] {
            let damaged = good.replace(iv, wrong);
            assert!(matches!(read(&damaged, Some("s3cret")), Err(KeyError::NoPem(_))), "{wrong:?}");
        }
        let cut: String = good
            .lines()
            .filter(|line| line.len() < 64 || line.contains(':'))
            .map(|l| l.to_owned() + "\n")
            .collect();
        assert!(read(&cut, Some("s3cret")).is_err());
        assert!(read("DEK-Info: AES-128-CBC,00", Some("s3cret")).is_err());
    }
}
