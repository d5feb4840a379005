//! Keys and signatures between DER, as the library has them, and the bare numbers of JWK and WebCrypto.
//!
//! Only the few shapes needed are known: <https://www.rfc-editor.org/rfc/rfc8017>,
//! <https://www.rfc-editor.org/rfc/rfc5915>, <https://www.rfc-editor.org/rfc/rfc5280>. Numbers are big-endian
//! without leading zeros unless a length is given.

use super::algorithm::Curve;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: [u8; 2] = [0x05, 0x00];
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The optional public key in an `ECPrivateKey`.
const EC_PUBLIC: u8 = 0xA1;

const OID_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x23];

/// The numbers of an RSA public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublic {
    pub n: Vec<u8>,
    pub e: Vec<u8>,
}

/// The numbers of an RSA private key, in the order of `RSAPrivateKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPrivate {
    pub n: Vec<u8>,
    pub e: Vec<u8>,
    pub d: Vec<u8>,
    pub p: Vec<u8>,
    pub q: Vec<u8>,
    pub dp: Vec<u8>,
    pub dq: Vec<u8>,
    pub qi: Vec<u8>,
}

impl RsaPublic {
    pub fn to_spki(&self) -> Vec<u8> {
        spki(&rsa_algorithm(), &sequence(&[integer(&self.n), integer(&self.e)]))
    }

    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let (algorithm, key) = read_spki(der)?;
        (algorithm.object_id == OID_RSA).then_some(())?;
        let mut numbers = Reader(Reader(key).take(SEQUENCE)?);
        Some(Self { n: numbers.number()?, e: numbers.number()? })
    }
}

impl RsaPrivate {
    pub fn to_pkcs8(&self) -> Vec<u8> {
        let numbers = [&self.n, &self.e, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        let mut members = vec![integer(&[])];
        members.extend(numbers.into_iter().map(|number| integer(number)));
        pkcs8(&rsa_algorithm(), &sequence(&members))
    }

    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let (algorithm, key) = read_pkcs8(der)?;
        (algorithm.object_id == OID_RSA).then_some(())?;
        let mut numbers = Reader(Reader(key).take(SEQUENCE)?);
        numbers.number()?;
        let mut next = || numbers.number();
        Some(Self {
            n: next()?,
            e: next()?,
            d: next()?,
            p: next()?,
            q: next()?,
            dp: next()?,
            dq: next()?,
            qi: next()?,
        })
    }
}

/// A point on a curve: 4, then both coordinates.
pub fn ec_to_spki(curve: Curve, point: &[u8]) -> Vec<u8> {
    spki(&ec_algorithm(curve), point)
}

/// The curve and the point.
pub fn ec_from_spki(der: &[u8]) -> Option<(Curve, Vec<u8>)> {
    let (algorithm, point) = read_spki(der)?;
    Some((algorithm.curve()?, point.to_vec()))
}

/// `d` and the coordinates of the point have the curve's length.
pub fn ec_to_pkcs8(curve: Curve, d: &[u8], point: &[u8]) -> Vec<u8> {
    let public = tlv(EC_PUBLIC, &bit_string(point));
    let key = sequence(&[integer(&[1]), tlv(OCTET_STRING, d), public]);
    pkcs8(&ec_algorithm(curve), &key)
}

/// The curve and `d`.
pub fn ec_from_pkcs8(der: &[u8]) -> Option<(Curve, Vec<u8>)> {
    let (algorithm, key) = read_pkcs8(der)?;
    let mut members = Reader(Reader(key).take(SEQUENCE)?);
    members.number()?;
    Some((algorithm.curve()?, members.take(OCTET_STRING)?.to_vec()))
}

/// An ECDSA signature as WebCrypto has it: `r` and `s`, each in the curve's length.
pub fn signature_to_fixed(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    let mut numbers = Reader(Reader(der).take(SEQUENCE)?);
    let (r, s) = (numbers.number()?, numbers.number()?);
    let mut fixed = padded(&r, curve.length())?;
    fixed.extend(padded(&s, curve.length())?);
    Some(fixed)
}

pub fn signature_from_fixed(curve: Curve, fixed: &[u8]) -> Option<Vec<u8>> {
    if fixed.len() != 2 * curve.length() {
        return None;
    }
    let (r, s) = fixed.split_at(curve.length());
    Some(sequence(&[integer(r), integer(s)]))
}

/// A number in a length; `None` if it is longer.
pub fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let number = trimmed(number);
    let mut bytes = vec![0; length.checked_sub(number.len())?];
    bytes.extend_from_slice(number);
    Some(bytes)
}

/// A number without leading zeros.
pub fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn rsa_algorithm() -> Vec<u8> {
    sequence(&[tlv(OBJECT_ID, OID_RSA), NULL.to_vec()])
}

fn ec_algorithm(curve: Curve) -> Vec<u8> {
    let curve = match curve {
        Curve::P256 => OID_P256,
        Curve::P384 => OID_P384,
        Curve::P521 => OID_P521,
    };
    sequence(&[tlv(OBJECT_ID, OID_EC), tlv(OBJECT_ID, curve)])
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[algorithm.to_vec(), bit_string(key)])
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[integer(&[]), algorithm.to_vec(), tlv(OCTET_STRING, key)])
}

fn sequence(members: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &members.concat())
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(bytes);
    tlv(BIT_STRING, &content)
}

/// A number without a sign; nothing is zero.
fn integer(number: &[u8]) -> Vec<u8> {
    let number = trimmed(number);
    let mut content = Vec::with_capacity(number.len() + 1);
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(number);
    tlv(INTEGER, &content)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => {
            let length = long.to_be_bytes();
            let length = trimmed(&length);
            out.push(0x80 | length.len() as u8);
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

struct AlgorithmId<'a> {
    object_id: &'a [u8],
    parameters: &'a [u8],
}

impl AlgorithmId<'_> {
    fn curve(&self) -> Option<Curve> {
        (self.object_id == OID_EC).then_some(())?;
        match Reader(self.parameters).take(OBJECT_ID)? {
            OID_P256 => Some(Curve::P256),
            OID_P384 => Some(Curve::P384),
            OID_P521 => Some(Curve::P521),
            _ => None,
        }
    }
}

fn read_spki(der: &[u8]) -> Option<(AlgorithmId<'_>, &[u8])> {
    let mut members = Reader(Reader(der).take(SEQUENCE)?);
    let algorithm = members.algorithm()?;
    match members.take(BIT_STRING)? {
        [0, key @ ..] => Some((algorithm, key)),
        _ => None,
    }
}

fn read_pkcs8(der: &[u8]) -> Option<(AlgorithmId<'_>, &[u8])> {
    let mut members = Reader(Reader(der).take(SEQUENCE)?);
    members.number()?;
    Some((members.algorithm()?, members.take(OCTET_STRING)?))
}

/// What is left of a DER text.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next element, which must have that tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, length, rest @ ..] = self.0 else { return None };
        (*first == tag).then_some(())?;
        let (length, rest) = match *length {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let (length, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
                let length = padded(length, size_of::<usize>())?;
                (usize::from_be_bytes(length.try_into().ok()?), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    fn number(&mut self) -> Option<Vec<u8>> {
        Some(trimmed(self.take(INTEGER)?).to_vec())
    }

    fn algorithm(&mut self) -> Option<AlgorithmId<'a>> {
        let mut members = Reader(self.take(SEQUENCE)?);
        let object_id = members.take(OBJECT_ID)?;
        Some(AlgorithmId { object_id, parameters: members.0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 1..300).prop_map(|bytes| trimmed(&bytes).to_vec())
    }

    proptest! {
        #[test]
        fn rsa_keys_come_back(numbers in proptest::array::uniform8(number())) {
            let [n, e, d, p, q, dp, dq, qi] = numbers;
            let public = RsaPublic { n: n.clone(), e: e.clone() };
            prop_assert_eq!(RsaPublic::from_spki(&public.to_spki()), Some(public));
            let private = RsaPrivate { n, e, d, p, q, dp, dq, qi };
            prop_assert_eq!(RsaPrivate::from_pkcs8(&private.to_pkcs8()), Some(private));
        }

        #[test]
        fn ec_keys_and_signatures_come_back(bytes in proptest::collection::vec(any::<u8>(), 132)) {
            for curve in [Curve::P256, Curve::P384, Curve::P521] {
                let fixed = &bytes[..2 * curve.length()];
                let point = [&[4], fixed].concat();
                prop_assert_eq!(ec_from_spki(&ec_to_spki(curve, &point)), Some((curve, point.clone())));
                let d = &fixed[..curve.length()];
                prop_assert_eq!(ec_from_pkcs8(&ec_to_pkcs8(curve, d, &point)), Some((curve, d.to_vec())));
                let der = signature_from_fixed(curve, fixed).unwrap();
                prop_assert_eq!(signature_to_fixed(curve, &der), Some(fixed.to_vec()));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = (RsaPublic::from_spki(&bytes), RsaPrivate::from_pkcs8(&bytes));
            let _ = (ec_from_spki(&bytes), ec_from_pkcs8(&bytes), signature_to_fixed(Curve::P256, &bytes));
        }
    }
}
