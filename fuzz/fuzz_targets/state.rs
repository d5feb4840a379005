//! States: as files, and as the contents of their sections, which a checksum would otherwise keep the fuzzer away from. What is
//! read is added up, written, and read as the same.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use senary_metrics::{Sink, Totals};
use senary_output::state::{State, StateReader, Whole, belonging, whole};

const START: &[u8] = b"SENARY STATE\n\x01\x00";
const END: u8 = 0;
/// Values may take this much memory, in bytes.
const MEMORY: u64 = 256 << 20;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&file_of(bytes));
});

/// Each section: its kind, the length of its content in three bytes, and the content.
fn file_of(mut sections: &[u8]) -> Vec<u8> {
    let mut file = START.to_vec();
    let mut count: u32 = 0;
    while let Some(([kind, length @ ..], rest)) = sections.split_first_chunk::<4>() {
        let [low, middle, high] = *length;
        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let (content, rest) = rest.split_at(length.min(rest.len()));
        sections = rest;
        let packed = zstd::encode_all(content, 1).expect("memory takes everything");
        file.push(*kind);
        file.extend((packed.len() as u64).to_le_bytes());
        file.extend(packed);
        count += 1;
    }
    file.push(END);
    file.extend(4_u64.to_le_bytes());
    file.extend(count.to_le_bytes());
    file
}

fn check(bytes: &[u8]) {
    let read = |bytes| StateReader::open(Cursor::new(bytes));
    let (Ok(mut one), Ok(mut other)) = (read(bytes), read(bytes)) else { return };
    let heads = [(String::from("a"), &one.head), (String::from("b"), &other.head)];
    for objection in belonging(&heads).objections {
        assert!(!objection.to_string().is_empty());
    }
    let _ = (one.timeline(), one.script());
    // Two of them have twice the values of one.
    let _ = whole(&mut [&mut one, &mut other], MEMORY).map(|both| figures(&both.totals));
    let (Ok(Whole { totals, failures, .. }), head) = (whole(&mut [&mut one], MEMORY), one.head.clone()) else { return };
    let state = State { head, totals, failures, timeline: None, script: None };
    let written = state.write(Vec::new()).expect("memory takes everything");
    let again = whole(&mut [&mut read(&written).expect("what was written")], MEMORY).expect("what was read");
    assert_eq!(figures(&again.totals), figures(&state.totals));
}

/// What trends say, to the last bit.
fn figures(totals: &Totals) -> Vec<u64> {
    let trends = totals.sums().iter().filter_map(|total| match &total.sink {
        Sink::Trend(trend) => Some(trend.clone()),
        _ => None,
    });
    trends
        .flat_map(|mut trend| {
            let middle = trend.percentile(50.0);
            [trend.count(), middle.to_bits(), trend.percentile(99.9).to_bits(), trend.avg().to_bits()]
        })
        .collect()
}
