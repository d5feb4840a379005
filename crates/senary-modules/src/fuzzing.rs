//! Access to private functions for the fuzz targets in /fuzz. It is only compiled for them.
//!
//! A finding is a panic: here, in what is called, or because a script's assertion throws.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::{CatchResultExt, Context, Function, Runtime, TypedArray};
use senary_js::globals;

use crate::experimental::csv::{Options, Rows};
use crate::secrets::config;
use crate::webcrypto::algorithm::{Algorithm, Curve, Hash, KeyKind};
use crate::webcrypto::formats::{Format, KeyAlgorithm, KeyData, Purpose, export, import};
use crate::webcrypto::jwk::Jwk;
use crate::{MODULES, text_codec};

pub use crate::http::fuzzed as http;

/// A script's function that is called with one input after the other.
pub struct Engine {
    context: Context,
    // Dropped last.
    _runtime: Runtime,
}

const FUNCTION: &str = "__function";

impl Engine {
    /// `function` is its text; a native module's exports are there as `module`.
    pub fn new(module: &str, function: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let context = Context::full(&runtime).expect("a context");
        context.with(|ctx| {
            globals::install_go_error(&ctx).expect("errors");
            text_codec::install(&ctx).expect("TextDecoder");
            let exports = (MODULES.get(module).expect("a native module").exports)(&ctx).expect("exports");
            ctx.globals().set("module", exports).expect("a global");
            let function: Function<'_> = ctx.eval(function).catch(&ctx).unwrap_or_else(|e| panic!("{e}"));
            ctx.globals().set(FUNCTION, function).expect("a global");
        });
        Self { context, _runtime: runtime }
    }

    /// Calls the function with the input as a `Uint8Array`. It may throw only what is a finding.
    pub fn call(&self, input: &[u8]) {
        self.context.with(|ctx| {
            let function: Function<'_> = ctx.globals().get(FUNCTION).expect("a function");
            let input = TypedArray::<u8>::new(ctx.clone(), input).expect("an array");
            if let Err(error) = function.call::<_, ()>((input,)).catch(&ctx) {
                panic!("{error}");
            }
        });
    }
}

pub fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// DER as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

/// The rows of a CSV file as JSON.
pub fn csv(
    data: &[u8],
    delimiter: u8,
    skip_first_line: bool,
    as_objects: bool,
    from: u8,
    to: u8,
) -> Vec<String> {
    let options =
        Options { delimiter, skip_first_line, as_objects, from_line: from.into(), to_line: to.into() };
    let mut rows = Rows::new(data.into(), options);
    let mut found = Vec::new();
    while let Ok(Some(record)) = rows.next() {
        found.push(rows.json(&record));
    }
    found
}

/// Reads a `--secret-source` unless it names files, and a text as a file of secrets.
pub fn secret_source(flag: &str, file: &str) {
    if !flag.starts_with("file") && !flag.contains("config=") {
        let _ = config::parse(flag, &config::UrlEnvironment::default(), Path::new("/"));
    }
    let _ = config::lines(file);
}

/// Imports a key. If that works, the key is exported, imported again and exported again, with the same result. `kind`
/// is what it is to be and in which format it comes.
pub fn key(kind: u8, data: &[u8]) {
    let target = match kind >> 2 & 7 {
        0 => KeyAlgorithm::Aes(Algorithm::AesGcm),
        1 => KeyAlgorithm::Hmac { hash: Hash::Sha256, length: None },
        2 => KeyAlgorithm::Rsa { algorithm: Algorithm::RsaPss, hash: Hash::Sha1 },
        3 => KeyAlgorithm::Rsa { algorithm: Algorithm::RsaOaep, hash: Hash::Sha512 },
        4 => KeyAlgorithm::Ec { algorithm: Algorithm::Ecdsa, curve: Curve::P256 },
        5 => KeyAlgorithm::Ec { algorithm: Algorithm::Ecdsa, curve: Curve::P384 },
        6 => KeyAlgorithm::Ec { algorithm: Algorithm::Ecdh, curve: Curve::P521 },
        _ => KeyAlgorithm::Pbkdf2,
    };
    let data = match kind & 3 {
        0 => KeyData::Raw(data.to_vec()),
        1 => KeyData::Spki(data.to_vec()),
        2 => KeyData::Pkcs8(data.to_vec()),
        _ => match jwk(data) {
            Some(jwk) => KeyData::Jwk(Box::new(jwk)),
            None => return,
        },
    };
    for kind in [KeyKind::Secret, KeyKind::Public, KeyKind::Private] {
        let purpose = || Purpose { extractable: true, usages: target.algorithm().usages(kind).to_vec() };
        let Ok(imported) = import(data.clone(), &target, purpose()) else { continue };
        for format in [Format::Raw, Format::Spki, Format::Pkcs8, Format::Jwk] {
            let Ok(exported) = export(format, &imported) else { continue };
            let again = import(exported.clone(), &target, purpose()).expect("what was exported");
            assert_eq!(export(format, &again).expect("what was exported"), exported);
        }
    }
}

/// A JWK of its JSON.
fn jwk(json: &[u8]) -> Option<Jwk> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    let member = |name: &str| json.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    Some(Jwk {
        kty: member("kty"),
        usage: None,
        key_ops: None,
        alg: member("alg"),
        ext: None,
        k: member("k"),
        crv: member("crv"),
        x: member("x"),
        y: member("y"),
        n: member("n"),
        e: member("e"),
        d: member("d"),
        p: member("p"),
        q: member("q"),
        dp: member("dp"),
        dq: member("dq"),
        qi: member("qi"),
    })
}
