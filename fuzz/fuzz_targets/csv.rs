//! CSV files: every row becomes JSON, whatever the options say of them. The first four bytes are the options.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 4], &[u8])| {
    let ([delimiter, flags, from, to], data) = input;
    for row in senary_modules::fuzzing::csv(data, delimiter, flags & 1 == 1, flags & 2 == 2, from, to) {
        let json: serde_json::Value = serde_json::from_str(&row).expect("JSON");
        assert!(json.is_array() || json.is_object());
    }
});
