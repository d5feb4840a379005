//! Execution segments: the shares of a sequence add up to the whole. A line each: points, a segment, a whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_execution::{Segment, SegmentSequence, SegmentTuple};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (points, alone, whole) =
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default(), lines.next());
    let whole: u64 = whole.and_then(|whole| whole.parse().ok()).unwrap_or(7);
    if let Ok(segment) = alone.parse::<Segment>() {
        assert_eq!(segment.to_string().parse(), Ok(segment));
        segment.percent();
        if let Ok(tuple) = SegmentTuple::new(Some(segment), None) {
            assert!(tuple.scale(whole) <= whole);
            tuple.resegmented(whole);
        }
    }
    let Ok(sequence) = points.parse::<SegmentSequence>() else { return };
    let written = sequence.to_string();
    let Some((first, rest)) = written.split_once(',') else { return };
    let first = format!("{first}:{}", rest.split(',').next().unwrap_or_default()).parse().expect("a part");
    let Ok(tuple) = SegmentTuple::new(Some(first), Some(sequence)) else { return };
    // With what was missing at its ends.
    let (whole_line, written) = (tuple.sequence().clone(), tuple.sequence().to_string());
    let points: Vec<_> = written.split(',').collect();
    // Enough to see how shares add up, and few enough to cut them all.
    if points.len() > 12 {
        return;
    }
    let parts = points.windows(2).map(|ends| {
        let segment = format!("{}:{}", ends[0], ends[1]).parse().expect("a part");
        SegmentTuple::new(Some(segment), Some(whole_line.clone()))
    });
    let Ok(parts) = parts.collect::<Result<Vec<_>, _>>() else { return };
    assert_eq!(parts.iter().map(|part| part.scale(whole)).sum::<u64>(), whole);
    let small = whole % 100_000;
    let iterations =
        parts.iter().filter_map(|part| part.resegmented(small % 1000)).map(|own| own.scale(small));
    assert!([0, small].contains(&iterations.sum::<u64>()));
});
