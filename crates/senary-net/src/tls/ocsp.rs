//! What a server says of its own certificate: the answer of the authority that it staples to the handshake (OCSP, RFC 6960).
//!
//! Whether a certificate is accepted does not depend on it. Go reads it without knowing who should have signed it, and so does this: the
//! signature has to be that of the certificate that the answer brings along, if there is one. Whether that one may speak for the
//! authority is not asked.

use std::cell::{Cell, RefCell};

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The state of a certificate. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ocsp {
    pub status: OcspStatus,
    /// When the authority signed this.
    pub produced_at: i64,
    /// Since when it has been true.
    pub this_update: i64,
    /// Until when there will be news.
    pub next_update: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspStatus {
    Good,
    Revoked {
        at: i64,
        /// A number of RFC 5280, section 5.3.1.
        reason: u8,
    },
    Unknown,
}

thread_local! {
    /// rustls shows it to what verifies certificates, which connections share. The connection takes it before another one has its turn.
    static STAPLED: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    /// What was read last, and what it says. A server staples the same answer for hours, and a signature takes as long as some requests.
    static LAST: RefCell<Option<(Box<[u8]>, Option<Ocsp>)>> = const { RefCell::new(None) };
}

/// Keeps what the server of the handshake under way has stapled.
pub(super) fn note(stapled: &[u8]) {
    if !stapled.is_empty() {
        STAPLED.set(Some(stapled.into()));
    }
}

/// What has been kept since the last call.
pub(super) fn take() -> Option<Box<[u8]>> {
    STAPLED.take()
}

const ENUMERATED: u8 = 0x0a;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const TIME: u8 = 0x18;
const SUCCESSFUL: &[u8] = &[0];
/// `id-pkix-ocsp-basic`.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// `rsaEncryption` and `sha1WithRSAEncryption`, each with its empty parameters. Old authorities sign so, and Go accepts it here.
const RSA: &[u8] = &[OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const RSA_SHA1: &[u8] = &[OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];

/// The number of a tag of the context; `0x20` if something is in it.
const fn context(number: u8, constructed: u8) -> u8 {
    0x80 | constructed | number
}

impl Ocsp {
    /// The same as `parse`, for what a server has stapled.
    pub(super) fn of_stapled(der: &[u8]) -> Option<Self> {
        LAST.with_borrow_mut(|last| match last {
            Some((known, says)) if **known == *der => *says,
            _ => last.insert((der.into(), Self::parse(der))).1,
        })
    }

    /// Returns `None` for bytes that are not an OCSP answer, a refusal to answer, an answer about several certificates, and an answer
    /// with a wrong signature. Go does the same.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut response = Reader(Reader(der).of(SEQUENCE)?);
        if response.of(ENUMERATED)? != SUCCESSFUL {
            return None;
        }
        let mut bytes = Reader(Reader(response.of(context(0, 0x20))?).of(SEQUENCE)?);
        if bytes.of(OID)? != BASIC {
            return None;
        }
        let mut basic = Reader(Reader(bytes.of(OCTETS)?).of(SEQUENCE)?);
        let signed = basic.0;
        let mut data = Reader(basic.of(SEQUENCE)?);
        let signed = &signed[..signed.len() - basic.0.len()];
        check_signature(signed, basic)?;
        // The version, and who has signed, by name or by key.
        data.optional(context(0, 0x20));
        data.any()?;
        let produced_at = time(data.of(TIME)?)?;
        let mut responses = Reader(data.of(SEQUENCE)?);
        let mut single = Reader(responses.of(SEQUENCE)?);
        if !responses.0.is_empty() {
            return None;
        }
        single.of(SEQUENCE)?;
        let status = match single.any()? {
            (GOOD, _) => OcspStatus::Good,
            (REVOKED, revoked) => revocation(revoked)?,
            (UNKNOWN, _) => OcspStatus::Unknown,
            _ => return None,
        };
        let this_update = time(single.of(TIME)?)?;
        let next_update = match single.optional(context(0, 0x20)) {
            Some(next) => Some(time(Reader(next).of(TIME)?)?),
            None => None,
        };
        Some(Self { status, produced_at, this_update, next_update })
    }
}

/// Checks the signature by the certificate that comes with it.
fn check_signature(signed: &[u8], mut rest: Reader<'_>) -> Option<()> {
    let (algorithm, signature) = (rest.of(SEQUENCE)?, bits(rest.of(BITS)?)?);
    let Some(certificates) = rest.optional(context(0, 0x20)) else { return Some(()) };
    let certificates = Reader(certificates).of(SEQUENCE)?;
    if certificates.is_empty() {
        return Some(());
    }
    let (_, signer) = x509_parser::parse_x509_certificate(certificates).ok()?;
    let mut key = Reader(Reader(signer.public_key().raw).of(SEQUENCE)?);
    let (kind, key) = (key.of(SEQUENCE)?, bits(key.of(BITS)?)?);
    if (kind, algorithm) == (RSA, RSA_SHA1) {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
        return key.verify(signed, signature).ok();
    }
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .filter(|known| *known.signature_alg_id() == *algorithm && *known.public_key_alg_id() == *kind)
        .find_map(|known| known.verify_signature(key, signed, signature).ok())
}

/// Whole bytes.
fn bits(value: &[u8]) -> Option<&[u8]> {
    value.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

const GOOD: u8 = context(0, 0);
const REVOKED: u8 = context(1, 0x20);
const UNKNOWN: u8 = context(2, 0);

fn revocation(der: &[u8]) -> Option<OcspStatus> {
    let mut revoked = Reader(der);
    let at = time(revoked.of(TIME)?)?;
    let reason = match revoked.optional(context(0, 0x20)) {
        Some(reason) => *Reader(reason).of(ENUMERATED)?.first()?,
        None => 0,
    };
    Some(OcspStatus::Revoked { at, reason })
}

/// Reads values of DER one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value with its tag.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, length, rest) = match self.0 {
            [tag, length @ ..=0x7f, rest @ ..] => (*tag, usize::from(*length), rest),
            [tag, 0x81, length, rest @ ..] => (*tag, usize::from(*length), rest),
            [tag, 0x82, high, low, rest @ ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest),
            // More than 64 KiB is no answer about a certificate.
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, which has to have this tag.
    fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// The next value if it has this tag.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.of(tag) } else { None }
    }
}

/// In milliseconds since 1970.
fn time(text: &[u8]) -> Option<i64> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 0x80)?;
    let der = [&[TIME, length], text].concat();
    let (_, time) = ASN1Time::from_der(&der).ok()?;
    time.timestamp().checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value of DER that is shorter than 64 KiB.
    fn der(tag: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        let head = match length {
            ..0x80 => vec![tag, length as u8],
            0x80..0x100 => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [head, value.to_vec()].concat()
    }

    fn single(status: Vec<u8>) -> Vec<u8> {
        let next = der(context(0, 0x20), &der(TIME, b"20300102000000Z"));
        der(SEQUENCE, &[der(SEQUENCE, &[7; 200]), status, der(TIME, b"19700101000001Z"), next].concat())
    }

    fn response(singles: &[Vec<u8>]) -> Vec<u8> {
        let by = der(context(2, 0x20), &der(OCTETS, &[1; 20]));
        let data = [by, der(TIME, b"20200101000000Z"), der(SEQUENCE, &singles.concat())].concat();
        let basic = der(SEQUENCE, &[der(SEQUENCE, &data), der(SEQUENCE, &[]), der(3, &[0; 300])].concat());
        let bytes = der(SEQUENCE, &[der(OID, BASIC), der(OCTETS, &basic)].concat());
        der(SEQUENCE, &[der(ENUMERATED, SUCCESSFUL), der(context(0, 0x20), &bytes)].concat())
    }

    #[test]
    fn an_answer_is_read() {
        let good = single(der(GOOD, &[]));
        let mut ocsp = Ocsp {
            status: OcspStatus::Good,
            produced_at: 1_577_836_800_000,
            this_update: 1000,
            next_update: Some(1_893_542_400_000),
        };
        assert_eq!(Ocsp::parse(&response(std::slice::from_ref(&good))), Some(ocsp));
        let reason = der(context(0, 0x20), &der(ENUMERATED, &[1]));
        let revoked = der(REVOKED, &[der(TIME, b"19700101000002Z"), reason].concat());
        ocsp.status = OcspStatus::Revoked { at: 2000, reason: 1 };
        assert_eq!(Ocsp::parse(&response(&[single(revoked)])), Some(ocsp));
        assert_eq!(Ocsp::parse(&response(&[good.clone(), good])), None);
        // "Try later."
        assert_eq!(Ocsp::parse(&der(SEQUENCE, &der(ENUMERATED, &[3]))), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_not(at in 0..400usize, byte: u8, cut in 0..400usize) {
            let mut bytes = response(&[single(der(UNKNOWN, &[]))]);
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            let _ = Ocsp::parse(&bytes[..cut.min(last)]);
            let _ = Ocsp::parse(&bytes);
        }
    }
}
