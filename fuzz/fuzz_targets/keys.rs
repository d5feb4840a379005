//! Keys of WebCrypto: what can be imported can be exported, and imported again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| senary_modules::fuzzing::key(input.0, input.1));
