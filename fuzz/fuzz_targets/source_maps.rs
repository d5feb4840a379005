//! Source maps: whatever one says, every place has an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_js::source::source_map::SourceMap;

fuzz_target!(|bytes: &[u8]| {
    let Ok(map) = SourceMap::parse(bytes) else { return };
    for line in [0, 1, 2, 3, 1000, u32::MAX] {
        for column in [0, 1, 2, 80, u32::MAX] {
            map.original(line, column);
        }
    }
});
