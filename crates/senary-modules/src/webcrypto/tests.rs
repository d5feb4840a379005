//! WebCrypto as scripts use it, against vectors of the standards and of OpenSSL.

use rquickjs::Value;

use super::install;
use crate::testing::{run_async, with_context};
use crate::text_codec;

const PRELUDE: &str = "
globalThis.s = crypto.subtle;
globalThis.utf8 = (text) => new TextEncoder().encode(text);
globalThis.hex = (b) => Array.from(new Uint8Array(b)).map((x) => x.toString(16).padStart(2, '0')).join('');
globalThis.bytes = (h) => new Uint8Array((h.match(/../g) || []).map((x) => parseInt(x, 16)));
globalThis.message = utf8('the message');
";

// Made with OpenSSL, of the text 'the message'; the label is 'label'.

const RSA_PKCS8: &str = "30820278020100300d06092a864886f70d0101010500048202623082025e02010002818100d934b5daadd5089bfafbe16c01f24489e1a3fc0d10beb83f9942abad8e78356ebcba93c59e9168d74a0c6aa495e0252ee120b01c5b4f49cc3cf551d3e27f9565af53810c6035d3802ecc1afba354cce7488f9e31a90c183d6a7e05d8188884fa7ab0afc2655692afad80ae28d6f32b49108dd16d8d75e110418581bb895e26b102030100010281810083775ef6cc2e5c36a4d41dddd4d3c15e3f3f95088771186e0e22876cd605b6399f6bc293636599b26d3454bbe7a7327a4c730f852a533454b534bae1677f577985935fbc0f267f7d7e8e98757a2d79fa2d3bf66d13d2427e9dd98b4e6b1ffe77ed211dedf2dfa49e9ee8038641ccbb2c3a375cc6e3940197fe5a1d4220f215ed024100f9fd72da69e193730e3f0235379039c2ad41a86b007093ca68e38fe5e5a19cddcd6da392ff19376178f6b5e11b287d14051cb5a7c735fd37350d3caa4e09737f024100de6d7e4e78158aa9b1bbcf0a706bdab938c2fcd95a7d493cb2282d5786a988cc24b1bdd6239ed7ee84d5061f2829ac4f613d861d8e43a02941881a72010bbdcf024100db28543e2240bdb14a35f6cb8cb085d2a36d4226bc35f57aa745886b754a9f68dba558978fc81d82f836e0f03d8cdb4a67c8e97ff2e6e3dc3848287cecf8e025024100b05a0dcfb7441519b03260d83d043679ae7862b30e1cd1894f13adc77c9c443adf4911638c006fe1cbed7e1a0be4e69a5555cb54f9abc27b935a8ee51ed1295f02403c663a2d709b3d4a3fa76da47c4912d9b0cf240de19ab3ac5fa17f62ff89d6f5567962943f21af9b94a4e873770302a74f424bc56728a0acced31d7e9c15335f";
const RSA_SPKI: &str = "30819f300d06092a864886f70d010101050003818d0030818902818100d934b5daadd5089bfafbe16c01f24489e1a3fc0d10beb83f9942abad8e78356ebcba93c59e9168d74a0c6aa495e0252ee120b01c5b4f49cc3cf551d3e27f9565af53810c6035d3802ecc1afba354cce7488f9e31a90c183d6a7e05d8188884fa7ab0afc2655692afad80ae28d6f32b49108dd16d8d75e110418581bb895e26b10203010001";
const RSA_JWK: &str = r#"n:"2TS12q3VCJv6--FsAfJEieGj_A0Qvrg_mUKrrY54NW68upPFnpFo10oMaqSV4CUu4SCwHFtPScw89VHT4n-VZa9TgQxgNdOALswa-6NUzOdIj54xqQwYPWp-BdgYiIT6erCvwmVWkq-tgK4o1vMrSRCN0W2NdeEQQYWBu4leJrE",e:"AQAB",d:"g3de9swuXDak1B3d1NPBXj8_lQiHcRhuDiKHbNYFtjmfa8KTY2WZsm00VLvnpzJ6THMPhSpTNFS1NLrhZ39XeYWTX7wPJn99fo6YdXotefotO_ZtE9JCfp3Zi05rH_537SEd7fLfpJ6e6AOGQcy7LDo3XMbjlAGX_lodQiDyFe0",p:"-f1y2mnhk3MOPwI1N5A5wq1BqGsAcJPKaOOP5eWhnN3NbaOS_xk3YXj2teEbKH0UBRy1p8c1_Tc1DTyqTglzfw",q:"3m1-TngViqmxu88KcGvauTjC_NlafUk8sigtV4apiMwksb3WI57X7oTVBh8oKaxPYT2GHY5DoClBiBpyAQu9zw",dp:"2yhUPiJAvbFKNfbLjLCF0qNtQia8NfV6p0WIa3VKn2jbpViXj8gdgvg24PA9jNtKZ8jpf_Lm49w4SCh87PjgJQ",dq:"sFoNz7dEFRmwMmDYPQQ2ea54YrMOHNGJTxOtx3ycRDrfSRFjjABv4cvtfhoL5OaaVVXLVPmrwnuTWo7lHtEpXw",qi:"PGY6LXCbPUo_p22kfEkS2bDPJA3hmrOsX6F_Yv-J1vVWeWKUPyGvm5Sk6HN3AwKnT0JLxWcooKzO0x1-nBUzXw""#;
const EC_PKCS8: &str = "3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430df3d48d6be1af4ca250408e066ed43f844c161ab5c0f689f880dcb3985ea08e0147b715b53f332e639ab8e76cae8b358a1640362000493932e4a4a60f6160709098a60b035903a6100b91874c11858fb66b18bdfdc5c593ebd856f85f961667429e21207607c494162ad2e5e6cc99f1d51d25036bc8dc0aec552662c249e73b6eed9cf6d3409089ecd63a6d7ca1d7dff9236dafc3fcd";
const EC_SPKI: &str = "3076301006072a8648ce3d020106052b810400220362000493932e4a4a60f6160709098a60b035903a6100b91874c11858fb66b18bdfdc5c593ebd856f85f961667429e21207607c494162ad2e5e6cc99f1d51d25036bc8dc0aec552662c249e73b6eed9cf6d3409089ecd63a6d7ca1d7dff9236dafc3fcd";
const EC_JWK: &str = r#"x:"k5MuSkpg9hYHCQmKYLA1kDphALkYdMEYWPtmsYvf3FxZPr2Fb4X5YWZ0KeISB2B8",y:"SUFirS5ebMmfHVHSUDa8jcCuxVJmLCSec7bu2c9tNAkIns1jptfKHX3_kjba_D_N",d:"3z1I1r4a9MolBAjgZu1D-ETBYatcD2ifiA3LOYXqCOAUe3FbU_My5jmrjnbK6LNY""#;
const EC_PEER: &str = "3076301006072a8648ce3d020106052b81040022036200046f0190a163849f138ab6cd5acf87f42caf3cc8c86a1deff75f98910fdf83329e6827526b77ecc0fd8c894dd35f0ce98d80b624e2d370e1aee93d50144b5cb428fc24d44f7eee1bb9e7374ae6ccfc7ca4ecd08fb853db47b7af44b2158809c1fe";
const EC_OTHER_CURVE: &str = "3056301006072a8648ce3d020106052b8104000a03420004efb850fb580be74dd154acdf7e3b6ffba35c76eea7a400a35c773c8e6d78260422e3b3beb164478744facf4b3116e1642ecae17d4d4b1c49867783660dcacaa8";
const PKCS1_SHA384: &str = "4deacb80325782f47bf1aa5aee05e58a02530028ffec98857fee910406a025815a8427a0b1b7323dadefee0cd808a2c03309eec003b7bce2b8478a2c6146b0a060b6324ac7566b21b7fb3f08d896f53ef9ebbf76614fe9319fe231d4a5c1fda201600a8f41a3b41a4aa0f8f648d84d0861377b49ced498882b80bddc93cd67ef";
const PSS_SALT_0: &str = "8eb7291803a8cba20f340d0985bb78b09b6370a4868761183531099ca2d086f4615627f87a9bad1ae226574ec93cc26fd1778b34401ff2a5bf1f5331a84e4b2a9e74e3dd2220652562c034c0aacf407e955d17bc61ff58f47bc0bc22d782bec8d02256023e3694575f794f20339ed716b74177b747e1634adb6125fda2a63258";
const PSS_SALT_20: &str = "bc4b8a986b8e5efd199a25f4b4cfe923b25cc5d02b0e0a37b973e71d4cbdabd0c9ed9663993fbb4bcc7b7c7a2551465bb11b88084e9e3443dd5b36b40df165c8171f8dc8e351ab149c8d016ac3b0b61dbd99f309b3b88569c7dcfa22a173f91050f118b53811446821ada912178975cdd97cdb63678cade1da2340874c88f611";
const OAEP_SHA1_LABEL: &str = "87589f0070cd57ae5a468ca4ad92462c199d386e8c058721906542a2dedaea7b73edf566f56ac7535e513b009c2b0a31acaaa64d83efc06eb31d856cc11028e3a5bcb8444f87fab84f30352c19645c8086c8d1ff148cbc41e7f03955d5988169612ef643466a566f246890570f4caaa6769327f13f3a1662b4cc13153a3520a8";
const ECDSA_SHA256: &str = "1a7974df41900178ebec4aaefe695fc1d414e9ddddc9411369210dec834d666131765e8f1b4bbf2235762045a3634366173449594d53e4a4175a2486cab7f25ee0715f922bf37a40dcf553b3b63622da82f16baf655908c8a5ba702a28879666";
const ECDH: &str =
    "ce2d676aac26fff7525f168f8b87a5dd06a037f371919eeb009946340052027345f53fd95a6193d98594bf8fba73c692";
const CTR_8_BITS: &str = "cb4d4175589d36f0bb0ce7fa4d624fa122f8e60842d93e6f521f731f39cb633071e8d0c154e8859dc6db7e79cb7235f7cca07b0a6bead22bb4aa6c5c8453ee14";

/// What the body of an async function gives; `name: message` if it throws.
fn script(body: &str) -> String {
    let mut result = String::new();
    with_context(|ctx| {
        install(ctx).unwrap();
        text_codec::install(ctx).unwrap();
        ctx.eval::<Value<'_>, _>(PRELUDE).unwrap();
        for (name, value) in [
            ("RSA_PKCS8", RSA_PKCS8),
            ("RSA_SPKI", RSA_SPKI),
            ("EC_PKCS8", EC_PKCS8),
            ("EC_SPKI", EC_SPKI),
            ("EC_PEER", EC_PEER),
            ("EC_OTHER_CURVE", EC_OTHER_CURVE),
            ("PKCS1_SHA384", PKCS1_SHA384),
            ("PSS_SALT_0", PSS_SALT_0),
            ("PSS_SALT_20", PSS_SALT_20),
            ("OAEP_SHA1_LABEL", OAEP_SHA1_LABEL),
            ("ECDSA_SHA256", ECDSA_SHA256),
        ] {
            ctx.globals().set(name, value).unwrap();
        }
        ctx.eval::<(), _>(format!("globalThis.RSA_JWK = {{kty: 'RSA', {RSA_JWK}}}")).unwrap();
        ctx.eval::<(), _>(format!("globalThis.EC_JWK = {{kty: 'EC', crv: 'P-384', {EC_JWK}}}")).unwrap();
        result = run_async(ctx, body);
    });
    result
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(script(body), expected, "{body}");
}

/// It must reject with an error of that name.
#[track_caller]
fn rejects(expression: &str, name: &str) {
    let result = script(&format!("return 'fine ' + await {expression}"));
    assert!(result.starts_with(&format!("{name}: ")), "{expression}: {result}");
}

#[test]
fn digests() {
    check(
        "return hex(await s.digest('SHA-256', utf8('abc')))",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    check(
        "return hex(await s.digest({ name: 'sha-1' }, utf8('abc').buffer))",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    );
    check(
        "return [(await s.digest('SHA-384', message)).byteLength, (await s.digest('SHA-512', new DataView(message.buffer))).byteLength]",
        "48,64",
    );
    rejects("s.digest('MD5', message)", "NotSupportedError");
    rejects("s.digest('SHA-256')", "TypeError");
    rejects("s.digest('SHA-256', 'text')", "TypeError");
}

/// NIST SP 800-38A, F.2.1 and F.5.1; the GCM specification's test cases 4 and 5.
#[test]
fn aes() {
    const KEY: &str = "const key = (name, hex, u) => s.importKey('raw', bytes(hex), name, true, u || ['encrypt', 'decrypt']);";
    const BLOCK: &str = "'6bc1bee22e409f96e93d7e117393172a'";
    const NIST: &str = "'2b7e151628aed2a6abf7158809cf4f3c'";
    check(
        &format!("{KEY} const k = await key('AES-CBC', {NIST}); const p = {{ name: 'AES-CBC', iv: bytes('000102030405060708090a0b0c0d0e0f') }};
            const c = await s.encrypt(p, k, bytes({BLOCK})); return [hex(c).slice(0, 32), c.byteLength, hex(await s.decrypt(p, k, c))]"),
        "7649abac8119b246cee98e9b12e9197d,32,6bc1bee22e409f96e93d7e117393172a",
    );
    check(
        &format!("{KEY} const k = await key('AES-CTR', {NIST}); const p = {{ name: 'aes-ctr', counter: bytes('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), length: 128 }};
            const c = await s.encrypt(p, k, bytes({BLOCK})); return [hex(c), hex(await s.decrypt(p, k, c))]"),
        "874d6191b620e3261bef6864990db6ce,6bc1bee22e409f96e93d7e117393172a",
    );
    // The counter starts again within its bits, and must not come round to where it began.
    check(
        &format!("{KEY} const k = await key('AES-CTR', '000102030405060708090a0b0c0d0e0f'); const p = {{ name: 'AES-CTR', counter: bytes('ab'.repeat(15) + 'fe'), length: 8 }};
            return hex(await s.encrypt(p, k, new Uint8Array(64)))"),
        CTR_8_BITS,
    );
    let ctr = |length: u32, size: u32| {
        format!(
            "s.encrypt({{ name: 'AES-CTR', counter: new Uint8Array(16), length: {length} }}, await s.importKey('raw', new Uint8Array(24), 'AES-CTR', false, ['encrypt']), new Uint8Array({size}))"
        )
    };
    check(&format!("return (await {}).byteLength", ctr(2, 64)), "64");
    rejects(&ctr(2, 65), "OperationError");
    rejects(&ctr(0, 16), "OperationError");
    rejects(&ctr(129, 16), "OperationError");
    let gcm = "const p = { name: 'AES-GCM', iv: bytes(IV), additionalData: bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2') };
        const k = await key('AES-GCM', 'feffe9928665731c6d6a8f9467308308');
        const plain = bytes('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39');
        const c = await s.encrypt(p, k, plain);
        return [hex(c), hex(await s.decrypt(p, k, c)) === hex(plain)]";
    check(
        &format!("{KEY} const IV = 'cafebabefacedbaddecaf888'; {gcm}"),
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47,true",
    );
    check(
        &format!("{KEY} const IV = 'cafebabefacedbad'; {gcm}"),
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c742373806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f45983612d2e79e3b0785561be14aaca2fccb,true",
    );
    check(
        &format!("{KEY} const k = await key('AES-GCM', '00'.repeat(32)); const p = {{ name: 'AES-GCM', iv: new Uint8Array(12), tagLength: 96 }};
            const c = await s.encrypt(p, k, message); return [c.byteLength, hex(await s.decrypt(p, k, c)) === hex(message)]"),
        "23,true",
    );
    for (parameters, data) in [
        ("{ name: 'AES-GCM', iv: new Uint8Array(12) }", "new Uint8Array(20)"),
        ("{ name: 'AES-GCM', iv: new Uint8Array(12) }", "new Uint8Array(3)"),
        ("{ name: 'AES-GCM', iv: new Uint8Array(0) }", "new Uint8Array(20)"),
        ("{ name: 'AES-GCM', iv: new Uint8Array(12), tagLength: 100 }", "new Uint8Array(20)"),
        ("{ name: 'AES-CBC', iv: new Uint8Array(16) }", "new Uint8Array(15)"),
        ("{ name: 'AES-CBC', iv: new Uint8Array(16) }", "new Uint8Array(32)"),
        ("{ name: 'AES-CBC', iv: new Uint8Array(12) }", "new Uint8Array(16)"),
    ] {
        let import =
            format!("s.importKey('raw', new Uint8Array(16), ({parameters}).name, false, ['decrypt'])");
        rejects(&format!("s.decrypt({parameters}, await {import}, {data})"), "OperationError");
    }
    rejects("s.importKey('raw', new Uint8Array(15), 'AES-CBC', true, ['encrypt'])", "DataError");
    rejects("s.generateKey({ name: 'AES-CBC', length: 100 }, true, ['encrypt'])", "OperationError");
    check(
        "const k = await s.generateKey({ name: 'AES-KW', length: '192' }, true, ['wrapKey']); return [k.algorithm.length, (await s.exportKey('raw', k)).byteLength]",
        "192,24",
    );
}

/// RFC 4231, test case 2.
#[test]
fn hmac() {
    let import = "const k = await s.importKey('raw', utf8('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']);";
    check(
        &format!("{import} const m = utf8('what do ya want for nothing?'), sig = await s.sign('HMAC', k, m);
            return [hex(sig), await s.verify('HMAC', k, sig, m), await s.verify('HMAC', k, sig, message), await s.verify('HMAC', k, new Uint8Array(3), m)]"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843,true,false,false",
    );
    check(
        &format!("{import} return JSON.stringify(await s.exportKey('jwk', k))"),
        r#"{"kty":"oct","alg":"HS256","k":"SmVmZQ","key_ops":["sign","verify"],"ext":true}"#,
    );
    check(
        "const k = await s.generateKey({ name: 'HMAC', hash: 'SHA-384' }, true, ['sign']); return [k.algorithm.length, k.algorithm.hash.name, (await s.exportKey('raw', k)).byteLength]",
        "1024,SHA-384,128",
    );
    check(
        "const k = await s.importKey('jwk', { kty: 'oct', k: 'AQI', alg: 'HS512' }, { name: 'HMAC', hash: { name: 'SHA-512' } }, false, ['sign']); return [k.type, k.extractable, k.algorithm.length]",
        "secret,false,16",
    );
    rejects(
        "s.importKey('raw', new Uint8Array(0), { name: 'HMAC', hash: 'SHA-1' }, true, ['sign'])",
        "DataError",
    );
    rejects("s.importKey('raw', new Uint8Array(4), { name: 'HMAC' }, true, ['sign'])", "TypeError");
    rejects(
        "s.importKey('jwk', { kty: 'oct', k: 'AQI', alg: 'HS256' }, { name: 'HMAC', hash: 'SHA-512' }, true, ['sign'])",
        "DataError",
    );
    rejects(
        "s.importKey('jwk', { kty: 'oct', k: 'AQI', ext: false }, { name: 'HMAC', hash: 'SHA-512' }, true, ['sign'])",
        "DataError",
    );
    rejects(
        "s.importKey('jwk', { kty: 'oct', k: 'AQI', key_ops: ['verify'] }, { name: 'HMAC', hash: 'SHA-512' }, true, ['sign'])",
        "DataError",
    );
    rejects(
        "s.importKey('jwk', { kty: 'oct', k: '+++' }, { name: 'HMAC', hash: 'SHA-512' }, true, ['sign'])",
        "DataError",
    );
}

/// RFC 6070, and RFC 7914 for SHA-256.
#[test]
fn pbkdf2() {
    let derive = |hash: &str, iterations: u32, bits: u32| {
        format!("const k = await s.importKey('raw', utf8('password'), 'PBKDF2', false, ['deriveBits', 'deriveKey']);
            return hex(await s.deriveBits({{ name: 'PBKDF2', hash: '{hash}', salt: utf8('salt'), iterations: {iterations} }}, k, {bits}))")
    };
    check(&derive("SHA-1", 1, 160), "0c60c80f961f0e71f3a9b524af6012062fe037a6");
    check(&derive("SHA-1", 4096, 160), "4b007901b765489abead49d926f721d065a429c1");
    check(&derive("SHA-256", 2, 256), "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");
    check(
        "const k = await s.importKey('raw', utf8('p'), { name: 'PBKDF2' }, false, ['deriveKey']);
         const d = (type, usages) => s.deriveKey({ name: 'PBKDF2', hash: 'SHA-512', salt: utf8('s'), iterations: 3 }, k, type, true, usages);
         const aes = await d({ name: 'AES-GCM', length: 256 }, ['encrypt']), mac = await d({ name: 'HMAC', hash: 'SHA-1' }, ['sign']);
         return [aes.algorithm.name, aes.algorithm.length, mac.algorithm.length, hex(await s.exportKey('raw', mac)).startsWith(hex(await s.exportKey('raw', aes)))]",
        "AES-GCM,256,512,true",
    );
    assert!(script(&derive("SHA-1", 0, 160)).starts_with("OperationError"));
    assert!(script(&derive("SHA-1", 1, 7)).starts_with("OperationError"));
    rejects("s.importKey('raw', utf8('p'), 'PBKDF2', true, ['deriveKey'])", "SyntaxError");
    rejects(
        "s.importKey('jwk', { kty: 'oct', k: 'AQI' }, 'PBKDF2', false, ['deriveKey'])",
        "NotSupportedError",
    );
}

#[test]
fn rsa() {
    let key = "const pkcs8 = (name, hash, usages) => s.importKey('pkcs8', bytes(RSA_PKCS8), { name, hash }, true, usages);
        const spki = (name, hash, usages) => s.importKey('spki', bytes(RSA_SPKI), { name, hash }, true, usages);";
    check(
        &format!("{key} const priv = await pkcs8('RSASSA-PKCS1-v1_5', 'SHA-384', ['sign']), pub = await spki('RSASSA-PKCS1-v1_5', 'SHA-384', ['verify']);
            const sig = await s.sign('RSASSA-PKCS1-v1_5', priv, message);
            return [hex(sig) === PKCS1_SHA384, await s.verify('RSASSA-PKCS1-v1_5', pub, sig, message), await s.verify('RSASSA-PKCS1-v1_5', pub, sig, utf8('other')), priv.algorithm.modulusLength, priv.algorithm.publicExponent]"),
        "true,true,false,1024,1,0,1",
    );
    check(
        &format!("{key} const priv = await pkcs8('RSA-PSS', 'SHA-256', ['sign']), pub = await spki('RSA-PSS', 'SHA-256', ['verify']);
            const ok = (saltLength, sig) => s.verify({{ name: 'RSA-PSS', saltLength }}, pub, sig, message);
            const own = await s.sign({{ name: 'RSA-PSS', saltLength: 32 }}, priv, message);
            return [await ok(0, bytes(PSS_SALT_0)), await ok(20, bytes(PSS_SALT_20)), await ok(32, bytes(PSS_SALT_20)), await ok(32, own), await ok(32, new Uint8Array(0))]"),
        "true,true,false,true,false",
    );
    check(
        &format!("{key} const priv = await pkcs8('RSA-OAEP', 'SHA-1', ['decrypt']), pub = await spki('RSA-OAEP', 'SHA-1', ['encrypt']);
            const p = {{ name: 'RSA-OAEP', label: utf8('label') }}, own = await s.encrypt(p, pub, message);
            return [new TextDecoder().decode(await s.decrypt(p, priv, bytes(OAEP_SHA1_LABEL))), hex(await s.decrypt(p, priv, own)) === hex(message)]"),
        "the message,true",
    );
    rejects(
        "s.decrypt({ name: 'RSA-OAEP' }, await s.importKey('pkcs8', bytes(RSA_PKCS8), { name: 'RSA-OAEP', hash: 'SHA-1' }, false, ['decrypt']), bytes(OAEP_SHA1_LABEL))",
        "OperationError",
    );
    rejects(
        "s.encrypt({ name: 'RSA-OAEP' }, await s.importKey('spki', bytes(RSA_SPKI), { name: 'RSA-OAEP', hash: 'SHA-1' }, false, ['encrypt']), new Uint8Array(100))",
        "OperationError",
    );
    check(
        &format!("{key} const priv = await pkcs8('RSA-PSS', 'SHA-256', ['sign']), pub = await spki('RSA-PSS', 'SHA-256', ['verify']);
            const same = async (k, want) => {{ const jwk = await s.exportKey('jwk', k); return Object.keys(want).every((n) => jwk[n] === want[n]) && jwk.alg }};
            const {{ kty, n, e }} = RSA_JWK, imported = await s.importKey('jwk', RSA_JWK, {{ name: 'RSA-PSS', hash: 'SHA-512' }}, true, ['sign']);
            return [await same(priv, RSA_JWK), await same(pub, {{ kty, n, e }}), imported.type, hex(await s.exportKey('pkcs8', imported)) === RSA_PKCS8, hex(await s.exportKey('spki', pub)) === RSA_SPKI]"),
        "PS256,PS256,private,true,true",
    );
    check(
        "const pair = await s.generateKey({ name: 'RSA-OAEP', modulusLength: 1024, publicExponent: new Uint8Array([0, 3]), hash: 'SHA-256' }, false, ['encrypt', 'decrypt', 'unwrapKey']);
         const { publicKey: pub, privateKey: priv } = pair;
         return [pub.type, pub.extractable, pub.usages, priv.type, priv.extractable, priv.usages, priv.algorithm.publicExponent, pub instanceof crypto.CryptoKey].join(' ')",
        "public true encrypt private false decrypt,unwrapKey 3 true",
    );
    let generate = |modulus: u32, exponent: &str, usages: &str| {
        format!(
            "s.generateKey({{ name: 'RSA-PSS', modulusLength: {modulus}, publicExponent: new Uint8Array({exponent}), hash: 'SHA-256' }}, true, {usages})"
        )
    };
    rejects(&generate(1024, "[2]", "['sign']"), "OperationError");
    rejects(&generate(1024, "[1]", "['sign']"), "OperationError");
    rejects(&generate(1024, "[]", "['sign']"), "OperationError");
    for modulus in [0, 512, 1000, 1023, 1025, 16512, u32::MAX] {
        rejects(&generate(modulus, "[3]", "['sign']"), "OperationError");
    }
    check(
        &format!("return await {}.catch((error) => error.message)", generate(1025, "[3]", "['sign']")),
        "modulusLength must be a multiple of 128 from 1024 to 16384, not 1025",
    );
    check(
        &format!(
            "return (await {}).publicKey.algorithm.modulusLength",
            generate(1152, "[1, 0, 1]", "['sign']")
        ),
        "1152",
    );
    rejects(&generate(1024, "[3]", "['verify']"), "SyntaxError");
    rejects(&generate(1024, "[3]", "['encrypt']"), "SyntaxError");
    rejects(
        "s.importKey('spki', bytes(EC_SPKI), { name: 'RSA-PSS', hash: 'SHA-256' }, true, ['verify'])",
        "DataError",
    );
    rejects(
        "s.importKey('raw', bytes(RSA_SPKI), { name: 'RSA-PSS', hash: 'SHA-256' }, true, ['verify'])",
        "NotSupportedError",
    );
    rejects(
        "s.importKey('jwk', { ...RSA_JWK, p: 'AQ' }, { name: 'RSA-PSS', hash: 'SHA-256' }, true, ['sign'])",
        "DataError",
    );
}

#[test]
fn elliptic_curves() {
    let key = "const priv = (name, usages) => s.importKey('pkcs8', bytes(EC_PKCS8), { name, namedCurve: 'P-384' }, true, usages);
        const pub = (name, usages) => s.importKey('spki', bytes(EC_SPKI), { name, namedCurve: 'P-384' }, true, usages);";
    // Any hash goes with any curve.
    check(
        &format!("{key} const p = {{ name: 'ECDSA', hash: 'SHA-256' }}, sig = await s.sign(p, await priv('ECDSA', ['sign']), message);
            const ok = async (sig, m) => s.verify(p, await pub('ECDSA', ['verify']), sig, m);
            return [sig.byteLength, await ok(sig, message), await ok(bytes(ECDSA_SHA256), message), await ok(sig, utf8('other')), await ok(new Uint8Array(95), message)]"),
        "96,true,true,false,false",
    );
    check(
        &format!("{key} const other = await s.importKey('spki', bytes(EC_PEER), {{ name: 'ECDH', namedCurve: 'P-384' }}, true, []);
            const bits = async (length) => hex(await s.deriveBits({{ name: 'ECDH', public: other }}, await priv('ECDH', ['deriveBits']), length));
            return [await bits(null), await bits(384), await bits(12)]"),
        &format!("{ECDH},{ECDH},{}0", &ECDH[..3]),
    );
    check(
        &format!("{key} const a = await priv('ECDSA', ['sign']), b = await pub('ECDSA', ['verify']), jwk = await s.exportKey('jwk', a);
            const raw = await s.exportKey('raw', b), again = await s.importKey('raw', raw, {{ name: 'ECDSA', namedCurve: 'P-384' }}, true, ['verify']);
            const imported = await s.importKey('jwk', EC_JWK, {{ name: 'ECDSA', namedCurve: 'P-384' }}, true, ['sign']);
            return [Object.keys(EC_JWK).every((n) => jwk[n] === EC_JWK[n]), raw.byteLength, hex(await s.exportKey('spki', again)) === EC_SPKI, hex(await s.exportKey('pkcs8', imported)) === hex(await s.exportKey('pkcs8', a)), b.algorithm.namedCurve]"),
        "true,97,true,true,P-384",
    );
    check(
        "const made = [];
         for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
           const { publicKey, privateKey } = await s.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']);
           const sig = await s.sign({ name: 'ECDSA', hash: 'SHA-512' }, privateKey, message);
           made.push(sig.byteLength, await s.verify({ name: 'ECDSA', hash: 'SHA-512' }, publicKey, sig, message));
         }
         return made",
        "64,true,96,true,132,true",
    );
    // RFC 7515, A.3.
    check(
        r#"const jwk = { kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' };
           const k = await s.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
           const b64 = (t) => Uint8Array.fromBase64(t, { alphabet: 'base64url' });
           return await s.verify({ name: 'ECDSA', hash: 'SHA-256' }, k, b64('DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'),
             utf8('eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'))"#,
        "true",
    );
    let ecdsa = |data: &str, format: &str, curve: &str, usages: &str| {
        format!("s.importKey('{format}', {data}, {{ name: 'ECDSA', namedCurve: '{curve}' }}, true, {usages})")
    };
    rejects(&ecdsa("bytes(EC_SPKI)", "spki", "P-256", "['verify']"), "DataError");
    rejects(&ecdsa("bytes(EC_OTHER_CURVE)", "spki", "P-256", "['verify']"), "DataError");
    rejects(&ecdsa("new Uint8Array(65).fill(4)", "raw", "P-256", "['verify']"), "DataError");
    rejects(&ecdsa("{ ...EC_JWK, d: EC_JWK.x }", "jwk", "P-384", "['sign']"), "DataError");
    rejects(&ecdsa("{ ...EC_JWK, x: 'AQ' }", "jwk", "P-384", "['sign']"), "DataError");
    rejects(&ecdsa("{ ...EC_JWK, alg: 'ES256' }", "jwk", "P-384", "['sign']"), "DataError");
    rejects(&ecdsa("{ ...EC_JWK, alg: 'ES512' }", "jwk", "P-384", "['sign']"), "DataError");
    check(
        "const import_ = async (alg, name, usages) => (await s.importKey('jwk', { ...EC_JWK, alg }, { name, namedCurve: 'P-384' }, true, usages)).type;
         return [await import_('ES384', 'ECDSA', ['sign']), await import_('ECDH-ES', 'ECDH', ['deriveBits'])]",
        "private,private",
    );
    rejects(&ecdsa("bytes(EC_SPKI)", "spki", "secp256k1", "['verify']"), "NotSupportedError");
    rejects(&ecdsa("bytes(EC_SPKI)", "spki", "P-384", "['sign']"), "SyntaxError");
    rejects(&ecdsa("bytes(EC_PKCS8)", "pkcs8", "P-384", "[]"), "SyntaxError");
    rejects(
        "s.deriveBits({ name: 'ECDH', public: (await s.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits'])).publicKey }, await s.importKey('pkcs8', bytes(EC_PKCS8), { name: 'ECDH', namedCurve: 'P-384' }, false, ['deriveBits']), 8)",
        "InvalidAccessError",
    );
    rejects(
        "s.deriveBits({ name: 'ECDH', public: await s.importKey('spki', bytes(EC_PEER), { name: 'ECDH', namedCurve: 'P-384' }, true, []) }, await s.importKey('pkcs8', bytes(EC_PKCS8), { name: 'ECDH', namedCurve: 'P-384' }, false, ['deriveBits']), 385)",
        "OperationError",
    );
}

#[test]
fn keys_are_held_to_their_usages() {
    let aes = |usages: &str, extractable: bool| {
        format!("await s.importKey('raw', new Uint8Array(16), 'AES-CBC', {extractable}, {usages})")
    };
    rejects(
        &format!(
            "s.encrypt({{ name: 'AES-CBC', iv: new Uint8Array(16) }}, {}, message)",
            aes("['decrypt']", true)
        ),
        "InvalidAccessError",
    );
    rejects(
        &format!(
            "s.encrypt({{ name: 'AES-CTR', counter: new Uint8Array(16), length: 64 }}, {}, message)",
            aes("['encrypt']", true)
        ),
        "InvalidAccessError",
    );
    rejects(&format!("s.sign('HMAC', {}, message)", aes("['encrypt']", true)), "InvalidAccessError");
    rejects(&format!("s.exportKey('raw', {})", aes("['encrypt']", false)), "InvalidAccessError");
    rejects(&format!("s.exportKey('spki', {})", aes("['encrypt']", true)), "NotSupportedError");
    rejects(
        "s.exportKey('pkcs8', await s.importKey('spki', bytes(RSA_SPKI), { name: 'RSA-PSS', hash: 'SHA-256' }, true, ['verify']))",
        "InvalidAccessError",
    );
    rejects("s.importKey('raw', new Uint8Array(16), 'AES-CBC', true, [])", "SyntaxError");
    rejects("s.importKey('raw', new Uint8Array(16), 'AES-CBC', true, ['sign'])", "SyntaxError");
    rejects("s.importKey('raw', new Uint8Array(16), 'AES-CBC', true, ['fly'])", "TypeError");
    rejects("s.importKey('pem', new Uint8Array(16), 'AES-CBC', true, ['encrypt'])", "TypeError");
    rejects("s.generateKey('Ed25519', true, ['sign', 'verify'])", "NotSupportedError");
    rejects("s.wrapKey()", "GoError");
    check(
        &format!(
            "const k = {}; try {{ k.type = 'x' }} catch {{}} try {{ new crypto.CryptoKey() }} catch (e) {{ return [k.type, k instanceof crypto.CryptoKey, Object.keys(k), e.name, k.usages].join(' ') }}",
            aes("['decrypt', 'encrypt', 'decrypt']", true)
        ),
        "secret true type,extractable,algorithm,usages TypeError decrypt,encrypt",
    );
}

#[test]
fn nothing_throws_or_crashes_whatever_the_arguments() {
    check(
        "const junk = [undefined, null, 5, -1, NaN, '', 'AES-GCM', {}, [], { name: 'AES-GCM' }, { name: 'RSA-PSS', hash: 5 }, new Uint8Array(16), Symbol('x'), () => 1, new Proxy([], {}),
           { name: 'HMAC', hash: 'SHA-1', length: 1e9 }, { get name() { throw new RangeError('no') } },
           await s.importKey('raw', new Uint8Array(16), 'AES-GCM', true, ['encrypt'])];
         let count = 0;
         for (const name of Object.keys(s).sort()) {
           for (let i = 0; i < 400; i++) {
             const arguments_ = Array.from({ length: i % 6 }, (_, at) => junk[(i * 7 + at * 11 + (i >> 3)) % junk.length]);
             const promise = s[name](...arguments_);
             if (!(promise instanceof Promise)) return name;
             await promise.catch((e) => { if (!(e instanceof Error)) throw e });
             count++;
           }
         }
         return Object.keys(s).sort().join() + count",
        "decrypt,deriveBits,deriveKey,digest,encrypt,exportKey,generateKey,importKey,sign,unwrapKey,verify,wrapKey4800",
    );
}

#[test]
fn random_values_and_ids() {
    check(
        "const a = new Uint16Array(8), b = new Uint8Array(40), c = b.subarray(10, 30);
         return [crypto.getRandomValues(a) === a, new Set(a).size > 1, crypto.getRandomValues(c) === c, b.slice(0, 10).every((x) => x === 0) && b.slice(30).every((x) => x === 0) && c.some((x) => x > 0)]",
        "true,true,true,true",
    );
    check(
        "return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()) && crypto.randomUUID() !== crypto.randomUUID()",
        "true",
    );
    rejects("crypto.getRandomValues(new Uint8Array(65537))", "QuotaExceededError");
    for argument in ["", "5", "[1]", "new Float32Array(1)", "new DataView(new ArrayBuffer(1))"] {
        rejects(&format!("crypto.getRandomValues({argument})"), "TypeMismatchError");
    }
}
