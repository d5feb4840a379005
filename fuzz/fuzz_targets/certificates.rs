//! Certificates: PEM and DER of `k6/crypto/x509`, and those of `tlsAuth`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_modules::fuzzing::Engine;
use senary_net::{ClientCertificate, Tls, TlsOptions};

/// Everything there is to ask of a certificate; to refuse one is fine, but only so.
const ASK: &str = "(pem) => {
  for (const ask of [module.parse, module.getAltNames, module.getIssuer, module.getSubject]) {
    try { JSON.stringify(ask(pem), (_, value) => typeof value === 'bigint' ? `${value}` : value) }
    catch (error) { if (!(error instanceof GoError)) throw error }
  }
}";

thread_local! {
    static ENGINE: Engine = Engine::new("k6/crypto/x509", ASK);
}

fuzz_target!(|bytes: &[u8]| {
    // The input as it is, and as what is in a PEM.
    let pem = senary_modules::fuzzing::pem("CERTIFICATE", bytes);
    ENGINE.with(|engine| {
        engine.call(bytes);
        engine.call(pem.as_bytes());
    });
    let text = String::from_utf8_lossy(bytes);
    let key = senary_modules::fuzzing::pem("PRIVATE KEY", bytes);
    for (cert, key) in [(text.as_ref(), text.as_ref()), (pem.as_str(), key.as_str())] {
        let certificate = ClientCertificate {
            cert: cert.to_owned(),
            key: key.to_owned(),
            password: Some("password".to_owned()),
            domains: vec![],
        };
        let options = TlsOptions {
            insecure_skip_verify: true,
            client_certificates: vec![certificate],
            ..TlsOptions::default()
        };
        if let Ok(tls) = Tls::new(options) {
            let _ = tls.config("host.test");
        }
    }
});
