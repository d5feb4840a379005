//! The cryptographic library, aws-lc, behind safe functions. Nothing else here calls it directly.
//!
//! `aws-lc-rs` wraps the same library, but only in the combinations TLS needs: scripts also ask for salts,
//! tags, nonces, moduli and pairs of curve and hash of their own choice.
// Calls of a library in C, each with its argument.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::{NonNull, null, null_mut};

use aws_lc_sys as lc;

use super::algorithm::{Curve, Hash};

/// The library said no. Its reasons are of no use to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

type Result<T> = std::result::Result<T, Refused>;

fn check(result: c_int) -> Result<()> {
    if result == 1 {
        return Ok(());
    }
    // SAFETY: it empties this thread's queue of errors.
    unsafe { lc::ERR_clear_error() };
    Err(Refused)
}

/// An object of the library, freed with its owner.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes what a function of the library returned; null says it failed.
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, free }),
            None => check(0).and(Err(Refused)),
        }
    }

    fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` got the pointer from the library with the function that frees it, and nobody else does.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// Fills a buffer with random bytes.
pub fn random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|_| Refused)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Encrypt,
    Decrypt,
}

/// AES in a mode of operation, under way.
struct Cipher {
    context: Owned<lc::EVP_CIPHER_CTX>,
}

impl Cipher {
    fn new(cipher: *const lc::EVP_CIPHER, direction: Direction) -> Result<Self> {
        let encrypt = c_int::from(direction == Direction::Encrypt);
        // SAFETY: the context is fresh, `cipher` is a static of the library, and null leaves key and IV open.
        unsafe {
            let context = Owned::new(lc::EVP_CIPHER_CTX_new(), lc::EVP_CIPHER_CTX_free)?;
            check(lc::EVP_CipherInit_ex(context.as_ptr(), cipher, null_mut(), null(), null(), encrypt))?;
            Ok(Self { context })
        }
    }

    /// `key` and `iv` must have the lengths the cipher was set up for.
    fn set(&mut self, key: &[u8], iv: &[u8]) -> Result<()> {
        // SAFETY: the lengths are the caller's duty, which both callers see to; -1 keeps the direction.
        unsafe {
            let (key, iv) = (key.as_ptr(), iv.as_ptr());
            check(lc::EVP_CipherInit_ex(self.context.as_ptr(), null(), null_mut(), key, iv, -1))
        }
    }

    fn control(&mut self, command: c_int, argument: usize, data: *mut u8) -> Result<()> {
        let argument = c_int::try_from(argument).map_err(|_| Refused)?;
        // SAFETY: the commands used here read or write at most `argument` bytes at `data`.
        check(unsafe { lc::EVP_CIPHER_CTX_ctrl(self.context.as_ptr(), command, argument, data.cast()) })
    }

    /// Authenticates data that is not encrypted.
    fn update_additional(&mut self, data: &[u8]) -> Result<()> {
        let length = c_int::try_from(data.len()).map_err(|_| Refused)?;
        let mut written = 0;
        // SAFETY: without an output the library only reads `data`.
        check(unsafe {
            lc::EVP_CipherUpdate(self.context.as_ptr(), null_mut(), &mut written, data.as_ptr(), length)
        })
    }

    fn finish(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let length = c_int::try_from(data.len()).map_err(|_| Refused)?;
        // A block more than the input: padding.
        let mut out = vec![0u8; data.len() + 16];
        let (mut written, mut rest) = (0, 0);
        // SAFETY: an update writes at most `length` plus a block, less than a block of which is left to the end;
        // `out` has room for both together.
        unsafe {
            let context = self.context.as_ptr();
            check(lc::EVP_CipherUpdate(context, out.as_mut_ptr(), &mut written, data.as_ptr(), length))?;
            let end = out.as_mut_ptr().add(usize::try_from(written).map_err(|_| Refused)?);
            check(lc::EVP_CipherFinal_ex(context, end, &mut rest))?;
        }
        out.truncate(usize::try_from(written + rest).map_err(|_| Refused)?);
        Ok(out)
    }
}

/// AES-CBC with PKCS#7 padding.
pub fn aes_cbc(direction: Direction, key: &[u8], iv: &[u8; 16], data: &[u8]) -> Result<Vec<u8>> {
    // SAFETY: each only returns a static.
    let cipher = unsafe {
        match key.len() {
            16 => lc::EVP_aes_128_cbc(),
            24 => lc::EVP_aes_192_cbc(),
            32 => lc::EVP_aes_256_cbc(),
            _ => return Err(Refused),
        }
    };
    let mut cipher = Cipher::new(cipher, direction)?;
    cipher.set(key, iv)?;
    cipher.finish(data)
}

/// AES-CTR; the counter is all 128 bits of the block. Both directions are the same.
pub fn aes_ctr(key: &[u8], counter: &[u8; 16], data: &[u8]) -> Result<Vec<u8>> {
    // SAFETY: each only returns a static.
    let cipher = unsafe {
        match key.len() {
            16 => lc::EVP_aes_128_ctr(),
            24 => lc::EVP_aes_192_ctr(),
            32 => lc::EVP_aes_256_ctr(),
            _ => return Err(Refused),
        }
    };
    let mut cipher = Cipher::new(cipher, Direction::Encrypt)?;
    cipher.set(key, counter)?;
    cipher.finish(data)
}

fn aes_gcm(direction: Direction, key: &[u8], iv: &[u8], additional: &[u8]) -> Result<Cipher> {
    // SAFETY: each only returns a static.
    let cipher = unsafe {
        match key.len() {
            16 => lc::EVP_aes_128_gcm(),
            24 => lc::EVP_aes_192_gcm(),
            32 => lc::EVP_aes_256_gcm(),
            _ => return Err(Refused),
        }
    };
    let mut cipher = Cipher::new(cipher, direction)?;
    cipher.control(lc::EVP_CTRL_AEAD_SET_IVLEN, iv.len(), null_mut())?;
    cipher.set(key, iv)?;
    cipher.update_additional(additional)?;
    Ok(cipher)
}

/// AES-GCM; the tag, of at most 16 bytes, comes last.
pub fn aes_gcm_seal(key: &[u8], iv: &[u8], additional: &[u8], data: &[u8], tag: usize) -> Result<Vec<u8>> {
    let mut cipher = aes_gcm(Direction::Encrypt, key, iv, additional)?;
    let mut out = cipher.finish(data)?;
    let mut bytes = [0u8; 16];
    let bytes = bytes.get_mut(..tag).ok_or(Refused)?;
    cipher.control(lc::EVP_CTRL_AEAD_GET_TAG, tag, bytes.as_mut_ptr())?;
    out.extend_from_slice(bytes);
    Ok(out)
}

/// Undoes [`aes_gcm_seal`]; refuses what was changed.
pub fn aes_gcm_open(key: &[u8], iv: &[u8], additional: &[u8], data: &[u8], tag: usize) -> Result<Vec<u8>> {
    let (data, tag) = data.split_at(data.len().checked_sub(tag).ok_or(Refused)?);
    let mut tag = tag.to_vec();
    let mut cipher = aes_gcm(Direction::Decrypt, key, iv, additional)?;
    cipher.control(lc::EVP_CTRL_AEAD_SET_TAG, tag.len(), tag.as_mut_ptr())?;
    cipher.finish(data)
}

/// An RSA or elliptic-curve key, public or private.
pub struct Pkey(Owned<lc::EVP_PKEY>);

// SAFETY: the library counts references to a key atomically, and a key that is only used, as here, may be used by
// several threads at once.
unsafe impl Send for Pkey {}
// SAFETY: as above.
unsafe impl Sync for Pkey {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa,
    Ec,
}

/// How a signature is made, beside its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSA-PSS, with its salt's length in bytes.
    Pss(u32),
    /// ECDSA, as DER.
    Ecdsa,
}

impl Pkey {
    /// `exponent` is big-endian.
    pub fn generate_rsa(bits: u32, exponent: &[u8]) -> Result<Self> {
        let bits = c_int::try_from(bits).map_err(|_| Refused)?;
        // SAFETY: the context lives until the end; on success it owns the exponent, which is kept from being freed.
        unsafe {
            let context =
                Owned::new(lc::EVP_PKEY_CTX_new_id(lc::EVP_PKEY_RSA, null_mut()), lc::EVP_PKEY_CTX_free)?;
            check(lc::EVP_PKEY_keygen_init(context.as_ptr()))?;
            check(lc::EVP_PKEY_CTX_set_rsa_keygen_bits(context.as_ptr(), bits))?;
            let exponent = lc::BN_bin2bn(exponent.as_ptr(), exponent.len(), null_mut());
            let exponent = Owned::new(exponent, lc::BN_free)?;
            check(lc::EVP_PKEY_CTX_set_rsa_keygen_pubexp(context.as_ptr(), exponent.as_ptr()))?;
            std::mem::forget(exponent);
            Self::generate(&context)
        }
    }

    pub fn generate_ec(curve: Curve) -> Result<Self> {
        let curve = match curve {
            Curve::P256 => lc::NID_X9_62_prime256v1,
            Curve::P384 => lc::NID_secp384r1,
            Curve::P521 => lc::NID_secp521r1,
        };
        // SAFETY: the context lives until the end.
        unsafe {
            let context =
                Owned::new(lc::EVP_PKEY_CTX_new_id(lc::EVP_PKEY_EC, null_mut()), lc::EVP_PKEY_CTX_free)?;
            check(lc::EVP_PKEY_keygen_init(context.as_ptr()))?;
            check(lc::EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.as_ptr(), curve))?;
            Self::generate(&context)
        }
    }

    fn generate(context: &Owned<lc::EVP_PKEY_CTX>) -> Result<Self> {
        let mut key = null_mut();
        // SAFETY: the context is set up for generation; on success `key` is a new key of the caller's.
        check(unsafe { lc::EVP_PKEY_keygen(context.as_ptr(), &mut key) })?;
        Ok(Self(Owned::new(key, lc::EVP_PKEY_free)?))
    }

    /// Reads a public key from a `SubjectPublicKeyInfo`.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        Self::parse(der, lc::EVP_parse_public_key)
    }

    /// Reads a private key from a `PrivateKeyInfo`, and checks it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        Self::parse(der, lc::EVP_parse_private_key)
    }

    fn parse(der: &[u8], parse: unsafe extern "C" fn(*mut lc::CBS) -> *mut lc::EVP_PKEY) -> Result<Self> {
        let mut input = lc::CBS { data: der.as_ptr(), len: der.len() };
        // SAFETY: the input lives throughout; the library moves its start to what is left.
        let key = Owned::new(unsafe { parse(&mut input) }, lc::EVP_PKEY_free)?;
        if input.len == 0 { Ok(Self(key)) } else { Err(Refused) }
    }

    /// The public part as a `SubjectPublicKeyInfo`.
    pub fn to_spki(&self) -> Result<Vec<u8>> {
        self.marshal(lc::EVP_marshal_public_key)
    }

    /// The private key as a `PrivateKeyInfo`.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>> {
        self.marshal(lc::EVP_marshal_private_key)
    }

    fn marshal(
        &self,
        marshal: unsafe extern "C" fn(*mut lc::CBB, *const lc::EVP_PKEY) -> c_int,
    ) -> Result<Vec<u8>> {
        // SAFETY: a zeroed builder may always be cleaned up, also after it was finished; what it gives out is
        // copied and freed.
        unsafe {
            let mut builder = std::mem::zeroed::<lc::CBB>();
            let (mut data, mut length) = (null_mut(), 0);
            let built = check(lc::CBB_init(&mut builder, 0))
                .and_then(|()| check(marshal(&mut builder, self.0.as_ptr())))
                .and_then(|()| check(lc::CBB_finish(&mut builder, &mut data, &mut length)));
            lc::CBB_cleanup(&mut builder);
            built?;
            let bytes = std::slice::from_raw_parts(data, length).to_vec();
            lc::OPENSSL_free(data.cast());
            Ok(bytes)
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        // SAFETY: it only reads the key.
        match unsafe { lc::EVP_PKEY_id(self.0.as_ptr()) } {
            lc::EVP_PKEY_RSA => Some(Kind::Rsa),
            lc::EVP_PKEY_EC => Some(Kind::Ec),
            _ => None,
        }
    }

    pub fn sign(&self, scheme: Scheme, hash: Hash, data: &[u8]) -> Result<Vec<u8>> {
        // SAFETY: the contexts live until the end; the buffer has the length the library asked for.
        unsafe {
            let context = Owned::new(lc::EVP_MD_CTX_new(), lc::EVP_MD_CTX_free)?;
            let mut parameters = null_mut();
            let (md, key) = (digest(hash), self.0.as_ptr());
            check(lc::EVP_DigestSignInit(context.as_ptr(), &mut parameters, md, null_mut(), key))?;
            set_scheme(parameters, scheme, hash)?;
            let mut length = 0;
            let (input, size) = (data.as_ptr(), data.len());
            check(lc::EVP_DigestSign(context.as_ptr(), null_mut(), &mut length, input, size))?;
            let mut signature = vec![0u8; length];
            check(lc::EVP_DigestSign(context.as_ptr(), signature.as_mut_ptr(), &mut length, input, size))?;
            signature.truncate(length);
            Ok(signature)
        }
    }

    /// Whether the signature is right; whatever is wrong with it, it is wrong.
    pub fn verify(&self, scheme: Scheme, hash: Hash, signature: &[u8], data: &[u8]) -> Result<bool> {
        // SAFETY: the contexts live until the end; the library only reads.
        unsafe {
            let context = Owned::new(lc::EVP_MD_CTX_new(), lc::EVP_MD_CTX_free)?;
            let mut parameters = null_mut();
            let (md, key) = (digest(hash), self.0.as_ptr());
            check(lc::EVP_DigestVerifyInit(context.as_ptr(), &mut parameters, md, null_mut(), key))?;
            set_scheme(parameters, scheme, hash)?;
            let result = lc::EVP_DigestVerify(
                context.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                data.as_ptr(),
                data.len(),
            );
            Ok(check(result).is_ok())
        }
    }

    /// RSA-OAEP, with the same hash for the mask.
    pub fn oaep(&self, direction: Direction, hash: Hash, label: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let context = self.context()?;
        let (init, run) = match direction {
            Direction::Encrypt => (lc::EVP_PKEY_encrypt_init as Init, lc::EVP_PKEY_encrypt as Run),
            Direction::Decrypt => (lc::EVP_PKEY_decrypt_init as Init, lc::EVP_PKEY_decrypt as Run),
        };
        // SAFETY: the context lives until the end; the buffer has the length the library asked for.
        unsafe {
            check(init(context.as_ptr()))?;
            set_oaep(context.as_ptr(), hash, label)?;
            let mut length = 0;
            check(run(context.as_ptr(), null_mut(), &mut length, data.as_ptr(), data.len()))?;
            let mut out = vec![0u8; length];
            check(run(context.as_ptr(), out.as_mut_ptr(), &mut length, data.as_ptr(), data.len()))?;
            out.truncate(length);
            Ok(out)
        }
    }

    /// The secret this private key and that public key share by ECDH.
    pub fn agree(&self, public: &Pkey) -> Result<Vec<u8>> {
        let context = self.context()?;
        // SAFETY: the context lives until the end, and holds a reference to the peer's key; the buffer has the
        // length the library asked for.
        unsafe {
            check(lc::EVP_PKEY_derive_init(context.as_ptr()))?;
            check(lc::EVP_PKEY_derive_set_peer(context.as_ptr(), public.0.as_ptr()))?;
            let mut length = 0;
            check(lc::EVP_PKEY_derive(context.as_ptr(), null_mut(), &mut length))?;
            let mut secret = vec![0u8; length];
            check(lc::EVP_PKEY_derive(context.as_ptr(), secret.as_mut_ptr(), &mut length))?;
            secret.truncate(length);
            Ok(secret)
        }
    }

    fn context(&self) -> Result<Owned<lc::EVP_PKEY_CTX>> {
        // SAFETY: the context holds a reference of its own to the key.
        let context = unsafe { lc::EVP_PKEY_CTX_new(self.0.as_ptr(), null_mut()) };
        Owned::new(context, lc::EVP_PKEY_CTX_free)
    }
}

type Init = unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX) -> c_int;
type Run = unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX, *mut u8, *mut usize, *const u8, usize) -> c_int;

/// # Safety
/// The context must be alive, and set up to sign or verify.
unsafe fn set_scheme(context: *mut lc::EVP_PKEY_CTX, scheme: Scheme, hash: Hash) -> Result<()> {
    // SAFETY: the caller's.
    unsafe {
        match scheme {
            Scheme::Ecdsa => Ok(()),
            Scheme::Pkcs1 => check(lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_PADDING)),
            Scheme::Pss(salt) => {
                let salt = c_int::try_from(salt).map_err(|_| Refused)?;
                check(lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_PSS_PADDING))?;
                check(lc::EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt))?;
                check(lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest(hash)))
            }
        }
    }
}

/// # Safety
/// The context must be alive, and set up to encrypt or decrypt.
unsafe fn set_oaep(context: *mut lc::EVP_PKEY_CTX, hash: Hash, label: &[u8]) -> Result<()> {
    // SAFETY: the caller's. The label is copied into memory of the library, which the context owns if it takes it.
    unsafe {
        check(lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_OAEP_PADDING))?;
        check(lc::EVP_PKEY_CTX_set_rsa_oaep_md(context, digest(hash)))?;
        check(lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest(hash)))?;
        if label.is_empty() {
            return Ok(());
        }
        let copy = NonNull::new(lc::OPENSSL_malloc(label.len()).cast::<u8>()).ok_or(Refused)?;
        copy.as_ptr().copy_from_nonoverlapping(label.as_ptr(), label.len());
        check(lc::EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy.as_ptr(), label.len()))
            .inspect_err(|_| lc::OPENSSL_free(copy.as_ptr().cast()))
    }
}

fn digest(hash: Hash) -> *const lc::EVP_MD {
    // SAFETY: each only returns a static.
    unsafe {
        match hash {
            Hash::Sha1 => lc::EVP_sha1(),
            Hash::Sha256 => lc::EVP_sha256(),
            Hash::Sha384 => lc::EVP_sha384(),
            Hash::Sha512 => lc::EVP_sha512(),
        }
    }
}
