//! Archives: whatever is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary::archive::Archive;

fuzz_target!(|bytes: &[u8]| {
    Archive::is_archive(bytes);
    let Ok(archive) = Archive::read(bytes) else { return };
    let mut written = Vec::new();
    // A tar cannot hold every name that one holds.
    if archive.write(&mut written).is_ok() {
        assert_eq!(Archive::read(&written).expect("what was written"), archive);
    }
});
