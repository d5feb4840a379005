//! Where the randomness of a handshake comes from: the system, call by call.
//!
//! The cryptographic library has a generator of its own, which measures the jitter of the processor to seed itself. It does
//! so in the first handshake of a process, for some 30 ms, while a worker and all its VUs wait. What rustls draws and the
//! keys of the usual key exchanges therefore come from the system's generator, which is no worse and always ready.
//! Post-quantum key exchange, which a server has to ask for, and signatures with a client's key still use the library's;
//! for the latter it is seeded before the test starts.

use ::aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
    aws_lc_rs,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// rustls's defaults, with the system's randomness.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.secure_random = &System;
    for group in &mut provider.kx_groups {
        if let Some(same) = GROUPS.iter().find(|same| same.name == group.name()) {
            *group = same;
        }
    }
    provider
}

/// Has the library's own generator ready, for who will use it: signatures with a client's key do.
#[expect(clippy::disallowed_methods, reason = "it takes its time before the test starts")]
pub(super) fn seed() {
    // Without randomness the signature fails, and says so.
    let _ = ::aws_lc_rs::rand::fill(&mut [0]);
}

#[derive(Debug)]
struct System;

impl SecureRandom for System {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(buffer).map_err(|_| GetRandomFailed)
    }
}

#[derive(Debug)]
struct Group {
    name: NamedGroup,
    algorithm: &'static Algorithm,
    /// The length of a private key, in bytes.
    length: usize,
}

static GROUPS: [Group; 3] = [
    Group { name: NamedGroup::X25519, algorithm: &agreement::X25519, length: 32 },
    Group { name: NamedGroup::secp256r1, algorithm: &agreement::ECDH_P256, length: 32 },
    Group { name: NamedGroup::secp384r1, algorithm: &agreement::ECDH_P384, length: 48 },
];

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 48];
        let secret = &mut secret[..self.length];
        // A number above the curve's order is not a valid key; that is one in four thousand million.
        for _ in 0..8 {
            getrandom::fill(secret).map_err(|_| Error::FailedToGetRandomBytes)?;
            let Ok(private) = PrivateKey::from_private_key(self.algorithm, secret) else { continue };
            let public = private.compute_public_key().map_err(|_| GetRandomFailed)?.as_ref().to_vec();
            return Ok(Box::new(Exchange { name: self.name, algorithm: self.algorithm, private, public }));
        }
        Err(Error::FailedToGetRandomBytes)
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

struct Exchange {
    name: NamedGroup,
    algorithm: &'static Algorithm,
    private: PrivateKey,
    public: Vec<u8>,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        // RFC 8446 §4.2.8.2: points of a curve are sent uncompressed.
        if self.name != NamedGroup::X25519 && peer.first() != Some(&4) {
            return Err(invalid());
        }
        let peer = UnparsedPublicKey::new(self.algorithm, peer);
        agreement::agree(&self.private, peer, invalid(), |secret| Ok(SharedSecret::from(secret)))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}
