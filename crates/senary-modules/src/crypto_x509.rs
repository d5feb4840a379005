//! `k6/crypto/x509`: what a certificate says.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-crypto/>)
//!
//! Names of signature algorithms and of fields are the reference's. Numbers longer than a script's are `BigInt`s.

use std::net::{Ipv4Addr, Ipv6Addr};

use rquickjs::function::Opt;
use rquickjs::{Ctx, Function, Object, Value};
use senary_js::errors;
use senary_js::native;
use sha1::{Digest, Sha1};
use x509_parser::asn1_rs::Oid;
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::crypto::hex;
use super::encoding::bytes_argument;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    let add = |name: &str, describe: Describe| {
        let function = move |ctx: Ctx<'js>, pem: Opt<Value<'js>>| with_certificate(&ctx, pem.0, describe);
        module.set(name, native::function(ctx, function)?.with_name(name)?)
    };
    add("parse", |ctx, certificate, der| Ok(parsed(ctx, certificate, der)?.into_value()))?;
    add("getAltNames", |ctx, certificate, _| strings(ctx, alt_names(certificate)))?;
    add("getIssuer", |ctx, certificate, _| Ok(name(ctx, certificate.issuer(), ISSUER_FIELDS)?.into_value()))?;
    add("getSubject", |ctx, certificate, _| Ok(subject(ctx, certificate.subject())?.into_value()))?;
    Ok(module)
}

/// The result of a function about a certificate and its DER.
type Describe = for<'js> fn(&Ctx<'js>, &X509Certificate<'_>, &[u8]) -> rquickjs::Result<Value<'js>>;

fn with_certificate<'js>(
    ctx: &Ctx<'js>,
    pem: Option<Value<'js>>,
    describe: Describe,
) -> rquickjs::Result<Value<'js>> {
    let pem = bytes_argument(ctx, pem)?;
    let Ok((_, pem)) = parse_x509_pem(&pem) else {
        return Err(errors::throw_go_error(ctx, "failed to decode certificate PEM file"));
    };
    match X509Certificate::from_der(&pem.contents) {
        Ok((_, certificate)) => describe(ctx, &certificate, &pem.contents),
        Err(_) => Err(errors::throw_go_error(ctx, "failed to parse certificate")),
    }
}

fn parsed<'js>(
    ctx: &Ctx<'js>,
    certificate: &X509Certificate<'_>,
    der: &[u8],
) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("subject", subject(ctx, certificate.subject())?)?;
    object.set("issuer", name(ctx, certificate.issuer(), ISSUER_FIELDS)?)?;
    object.set("notBefore", time(&certificate.validity().not_before))?;
    object.set("notAfter", time(&certificate.validity().not_after))?;
    object.set("altNames", alt_names(certificate))?;
    object.set("signatureAlgorithm", signature_algorithm(certificate))?;
    object.set("fingerPrint", Sha1::digest(der).to_vec())?;
    object.set("publicKey", public_key(ctx, certificate.public_key())?)?;
    Ok(object)
}

fn strings<'js>(ctx: &Ctx<'js>, strings: Vec<String>) -> rquickjs::Result<Value<'js>> {
    rquickjs::IntoJs::into_js(strings, ctx)
}

/// A field of a name, and the attribute it comes from.
type Fields = &'static [(&'static str, Oid<'static>)];

static ISSUER_FIELDS: Fields = &[
    ("commonName", oid!(2.5.4.3)),
    ("country", oid!(2.5.4.6)),
    ("stateOrProvinceName", oid!(2.5.4.8)),
    ("localityName", oid!(2.5.4.7)),
    ("organizationName", oid!(2.5.4.10)),
];

static SUBJECT_FIELDS: Fields = &[
    ("commonName", oid!(2.5.4.3)),
    ("country", oid!(2.5.4.6)),
    ("postalCode", oid!(2.5.4.17)),
    ("stateOrProvinceName", oid!(2.5.4.8)),
    ("localityName", oid!(2.5.4.7)),
    ("streetAddress", oid!(2.5.4.9)),
    ("organizationName", oid!(2.5.4.10)),
];

const ORGANIZATIONAL_UNIT: Oid<'static> = oid!(2.5.4.11);

fn subject<'js>(ctx: &Ctx<'js>, subject: &X509Name<'_>) -> rquickjs::Result<Object<'js>> {
    let object = name(ctx, subject, SUBJECT_FIELDS)?;
    let units = attributes(subject).into_iter().filter(|(oid, _)| *oid == ORGANIZATIONAL_UNIT.to_id_string());
    object.set("organizationalUnitName", units.map(|(_, value)| value).collect::<Vec<_>>())?;
    Ok(object)
}

/// A name: its usual fields, which may be empty, and under `names` all attributes.
fn name<'js>(ctx: &Ctx<'js>, name: &X509Name<'_>, fields: Fields) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let attributes = attributes(name);
    for (field, oid) in fields {
        let oid = oid.to_id_string();
        let value =
            attributes.iter().find(|(other, _)| *other == oid).map_or("", |(_, value)| value.as_str());
        object.set(*field, value)?;
    }
    let names = attributes.into_iter().map(|(oid, value)| {
        let attribute = Object::new(ctx.clone())?;
        attribute.set("type", oid)?;
        attribute.set("value", value)?;
        Ok(attribute)
    });
    object.set("names", names.collect::<rquickjs::Result<Vec<_>>>()?)?;
    Ok(object)
}

/// The attributes of a name in their order, as (OID, text).
fn attributes(name: &X509Name<'_>) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    name.iter_attributes()
        .map(|attribute| {
            let value = attribute.as_str().map_or_else(|_| text(attribute.as_slice()), str::to_owned);
            (attribute.attr_type().to_id_string(), value)
        })
        .collect()
}

/// Host names, then mail addresses, then IP addresses, then URIs.
fn alt_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let mut names: Vec<(u8, String)> = Vec::new();
    for name in &extension.value.general_names {
        names.push(match name {
            GeneralName::DNSName(name) => (0, (*name).to_owned()),
            GeneralName::RFC822Name(name) => (1, (*name).to_owned()),
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).to_string());
                let v6 = <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).to_string());
                match v4.or(v6) {
                    Ok(address) => (2, address),
                    Err(_) => continue,
                }
            }
            GeneralName::URI(name) => (3, (*name).to_owned()),
            _ => continue,
        });
    }
    // Stable: within a kind the certificate's order stays.
    names.sort_by_key(|(kind, _)| *kind);
    names.into_iter().map(|(_, name)| name).collect()
}

/// As `2024-01-31T12:00:00Z`.
fn time(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn signature_algorithm(certificate: &X509Certificate<'_>) -> &'static str {
    const UNKNOWN: &str = "UnknownSignatureAlgorithm";
    let algorithm = &certificate.signature_algorithm;
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm) {
        return match parameters.hash_algorithm_oid().to_id_string().as_str() {
            "2.16.840.1.101.3.4.2.1" => "SHA256-RSAPSS",
            "2.16.840.1.101.3.4.2.2" => "SHA384-RSAPSS",
            "2.16.840.1.101.3.4.2.3" => "SHA512-RSAPSS",
            _ => UNKNOWN,
        };
    }
    match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.2" => "MD2-RSA",
        "1.2.840.113549.1.1.4" => "MD5-RSA",
        "1.2.840.113549.1.1.5" => "SHA1-RSA",
        "1.2.840.113549.1.1.11" => "SHA256-RSA",
        "1.2.840.113549.1.1.12" => "SHA384-RSA",
        "1.2.840.113549.1.1.13" => "SHA512-RSA",
        "1.2.840.10040.4.3" => "DSA-SHA1",
        "2.16.840.1.101.3.4.3.2" => "DSA-SHA256",
        "1.2.840.10045.4.1" => "ECDSA-SHA1",
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256",
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384",
        "1.2.840.10045.4.3.4" => "ECDSA-SHA512",
        "1.3.101.112" => "Ed25519",
        _ => UNKNOWN,
    }
}

fn public_key<'js>(ctx: &Ctx<'js>, info: &SubjectPublicKeyInfo<'_>) -> rquickjs::Result<Object<'js>> {
    let key = Object::new(ctx.clone())?;
    let algorithm = match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            key.set("e", rsa.try_exponent().unwrap_or_default() as f64)?;
            key.set("n", big_int(ctx, rsa.modulus)?)?;
            "RSA"
        }
        Ok(PublicKey::EC(point)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            key.set("curve", curve.map(|curve| curve_name(&curve.to_id_string()).to_owned()))?;
            if let [4, coordinates @ ..] = point.data() {
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                key.set("x", big_int(ctx, x)?)?;
                key.set("y", big_int(ctx, y)?)?;
            }
            "ECDSA"
        }
        Ok(PublicKey::DSA(y)) => {
            key.set("y", big_int(ctx, y)?)?;
            "DSA"
        }
        Ok(PublicKey::Unknown(bytes)) if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            key.set("bytes", bytes.to_vec())?;
            "Ed25519"
        }
        _ => return Err(errors::throw_go_error(ctx, "unsupported public key type")),
    };
    let public_key = Object::new(ctx.clone())?;
    public_key.set("algorithm", algorithm)?;
    public_key.set("key", key)?;
    Ok(public_key)
}

fn curve_name(oid: &str) -> &str {
    match oid {
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        other => other,
    }
}

/// A big-endian number without a sign.
fn big_int<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> rquickjs::Result<Value<'js>> {
    let big_int: Function<'js> = ctx.globals().get("BigInt")?;
    big_int.call((format!("0x0{}", hex(bytes)),))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, with_context};

    const RSA: &str = "-----BEGIN CERTIFICATE-----
MIIDOzCCAqSgAwIBAgIBATANBgkqhkiG9w0BAQsFADCBmzELMAkGA1UEBhMCWlox
GTAXBgNVBAgMEEtvcHVuY2V6aXMgS3JhaXMxETAPBgNVBAcMCEFzaHRpbm9rMQ8w
DQYDVQQKDAZFeHVuaXgxEjAQBgNVBAsMCVRlc3QgVW5pdDESMBAGA1UECQwJMTIg
U3RyZWV0MQ4wDAYDVQQRDAUxMjM0NTEVMBMGA1UEAwwMZXhhbXBsZS50ZXN0MB4X
DTI2MTEyNDE5NDExNVoXDTM1MDIxMDE5NDExNVowgZsxCzAJBgNVBAYTAlpaMRkw
FwYDVQQIDBBLb3B1bmNlemlzIEtyYWlzMREwDwYDVQQHDAhBc2h0aW5vazEPMA0G
A1UECgwGRXh1bml4MRIwEAYDVQQLDAlUZXN0IFVuaXQxEjAQBgNVBAkMCTEyIFN0
cmVldDEOMAwGA1UEEQwFMTIzNDUxFTATBgNVBAMMDGV4YW1wbGUudGVzdDCBnzAN
BgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAnjPZeZ+D6qvBH/syKlmWhbd7SPiRXw/d
Y6jDtaB9YexTjLz/OCr8bM+KaBrWLQebBlZ+TyBFMJ0773ZwdOd4e4OQNsDz3fGX
IRCIx98DWrikwigKVy5ds5EoiHDcjcMnoJmfkHteUXav8bCCRvKGuQZcXjl4IqBu
49ezsZTIXO8CAwEAAaOBjDCBiTBoBgNVHREEYTBfggxleGFtcGxlLnRlc3SCEHd3
dy5leGFtcGxlLnRlc3SBDmFAZXhhbXBsZS50ZXN0hwR/AAABhxAAAAAAAAAAAAAA
AAAAAAABhhVodHRwczovL2V4YW1wbGUudGVzdC8wHQYDVR0OBBYEFPSE8qG8SPaf
WuRPyNcy5oLN3jCFMA0GCSqGSIb3DQEBCwUAA4GBAEi9ZPqC/Gj/XSI/SepPoi7u
83FnDqaI3Lnx6dxZnSX55fXpkZQ12S4OWe1a8/0UJcKJCkG33iorTwOndTgV6TwC
VKHWVFnamh3xDRnx/sN3hijHeS4vWtR7M8rEABbw2awSjO3wsnvBmMM+U69wxAav
cxnMgRiYdQSU44t7BbfC
-----END CERTIFICATE-----";
    const EC: &str = "-----BEGIN CERTIFICATE-----
MIIBZTCCAQygAwIBAgIBAjAKBggqhkjOPQQDAzASMRAwDgYDVQQDDAdlYy50ZXN0
MB4XDTI2MTEyNDE5NDExNVoXDTM1MDIxMDE5NDExNVowEjEQMA4GA1UEAwwHZWMu
dGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOcgON0tmP7dEvJyLu8hxkuG
SWZ4pTHxvvi91qIT4g5Zb7y5rizOtlC4opMJJXrgtqXZZOU4uf0VLMadJZwCO8Wj
UzBRMB0GA1UdDgQWBBShQTwBRIVV8f+WQmWLmeHvh6UziDAfBgNVHSMEGDAWgBSh
QTwBRIVV8f+WQmWLmeHvh6UziDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMD
A0cAMEQCICeKYMPMtAMwa+sbX18Ble3mXSME2tpjQBlfF6/V7wrUAiAu9tynU9Ka
Zkuw0HdPV6UpvQS5dTvOoH8d+sU02VdrxA==
-----END CERTIFICATE-----";

    fn check(code: &str, expected: &str) {
        with_context(|ctx| {
            ctx.globals().set("x509", exports(ctx).unwrap()).unwrap();
            ctx.globals().set("rsa", RSA).unwrap();
            ctx.globals().set("ec", EC).unwrap();
            assert_eq!(run(ctx, code), expected, "{code}");
        });
    }

    #[test]
    fn names() {
        check(
            "const { names, ...fields } = x509.getSubject(rsa); return JSON.stringify(fields)",
            r#"{"commonName":"example.test","country":"ZZ","postalCode":"12345","stateOrProvinceName":"Kopuncezis Krais","localityName":"Ashtinok","streetAddress":"12 Street","organizationName":"Exunix","organizationalUnitName":["Test Unit"]}"#,
        );
        check("return JSON.stringify(x509.getSubject(rsa).names[0])", r#"{"type":"2.5.4.6","value":"ZZ"}"#);
        check(
            "return JSON.stringify(x509.getIssuer(ec))",
            r#"{"commonName":"ec.test","country":"","stateOrProvinceName":"","localityName":"","organizationName":"","names":[{"type":"2.5.4.3","value":"ec.test"}]}"#,
        );
        check(
            "return x509.getAltNames(rsa)",
            "example.test,www.example.test,a@example.test,127.0.0.1,::1,https://example.test/",
        );
        check("return x509.getAltNames(ec).length", "0");
    }

    #[test]
    fn certificates() {
        check(
            "const c = x509.parse(rsa); return [c.notBefore, c.notAfter, c.signatureAlgorithm, c.altNames.length, c.subject.country]",
            "2026-11-24T19:41:15Z,2035-02-10T19:41:15Z,SHA256-RSA,6,ZZ",
        );
        check(
            "return x509.parse(rsa).fingerPrint.map((b) => b.toString(16).padStart(2, '0')).join(':')",
            "b7:fd:d7:01:b2:2e:7b:54:29:d4:66:29:6f:3f:09:c7:e5:42:88:1e",
        );
        check(
            "const { algorithm, key } = x509.parse(rsa).publicKey; return [algorithm, key.e, key.n.toString(16)]",
            "RSA,65537,9e33d9799f83eaabc11ffb322a599685b77b48f8915f0fdd63a8c3b5a07d61ec538cbcff382afc6ccf8a681ad62d079b06567e4f2045309d3bef767074e7787b839036c0f3ddf197211088c7df035ab8a4c2280a572e5db391288870dc8dc327a0999f907b5e5176aff1b08246f286b9065c5e397822a06ee3d7b3b194c85cef",
        );
        check(
            "const c = x509.parse(ec); const { algorithm, key } = c.publicKey; return [c.signatureAlgorithm, algorithm, key.curve, key.x.toString(16), key.y.toString(16)]",
            "ECDSA-SHA384,ECDSA,P-256,e72038dd2d98fedd12f2722eef21c64b86496678a531f1bef8bdd6a213e20e59,6fbcb9ae2cceb650b8a29309257ae0b6a5d964e538b9fd152cc69d259c023bc5",
        );
    }

    #[test]
    fn what_is_no_certificate() {
        check("x509.parse('')", "GoError: failed to decode certificate PEM file");
        check("x509.parse('bad-certificate')", "GoError: failed to decode certificate PEM file");
        check("x509.parse(rsa.slice(0, -40))", "GoError: failed to decode certificate PEM file");
        let junk = "x509.getSubject('-----BEGIN CERTIFICATE-----\\nAQID\\n-----END CERTIFICATE-----\\n')";
        check(junk, "GoError: failed to parse certificate");
        check("x509.getIssuer()", "GoError: invalid type <nil>, expected string, []byte or ArrayBuffer");
    }
}
