use proptest::prelude::*;

use super::*;

fn tuple(segment: &str, sequence: &str) -> SegmentTuple {
    let sequence = (!sequence.is_empty()).then(|| sequence.parse().unwrap());
    SegmentTuple::new(Some(segment.parse().unwrap()), sequence).unwrap()
}

fn slots_below(striping: &Striping, whole: u64) -> Vec<u64> {
    (0..striping.scale(whole)).map(|k| striping.global(k)).collect()
}

#[test]
fn points_are_percentages_decimals_and_fractions() {
    for text in ["1/4:1/2", "25%:50%", "0.25:0.5", "0.25:2/4", ".25:5e-1", "+1/4:050%"] {
        assert_eq!(text.parse::<Segment>().unwrap().to_string(), "1/4:1/2", "{text}");
    }
    assert_eq!("1/3".parse::<Segment>().unwrap().to_string(), "0:1/3");
    assert_eq!("".parse::<Segment>().unwrap(), Segment::FULL);
    assert_eq!("1".parse::<Segment>().unwrap(), Segment::FULL);
}

#[test]
fn refusals_say_why() {
    let segment = |text: &str| text.parse::<Segment>().unwrap_err().to_string();
    assert_eq!(segment("x%"), "'x%' is not a valid percentage");
    assert_eq!(segment("2.5%"), "'2.5%' is not a valid percentage");
    for text in ["x", "1/0", "1/-3", "1//3", ".", "-", "1.2.3", "1e", "0x1", "1 ", "1/3/5", "é%é"] {
        let expected = format!("'{text}' is not a valid percentage, decimal, fraction or interval value");
        assert_eq!(segment(text), expected);
    }
    assert_eq!(segment("-0.1:1"), "segment start value must be at least 0 but was -0.10");
    assert_eq!(segment("2/3:1/3"), "segment start(0.67) must be less than its end(0.33)");
    assert_eq!(segment("0"), "segment start(0.00) must be less than its end(0.00)");
    assert_eq!(segment("0:3"), "segment end value can't be more than 1 but was 3.00");

    let sequence = |text: &str| text.parse::<SegmentSequence>().unwrap_err().to_string();
    let few = "at least 2 points are needed for an execution segment sequence, 1 given";
    assert_eq!(sequence("1/2"), few);
    assert_eq!(sequence("0,1/3,1/4,1"), "segment start(0.33) must be less than its end(0.25)");

    let missing = SegmentTuple::new("0:1/3".parse().ok(), "0,1/2,1".parse().ok()).unwrap_err();
    assert_eq!(missing.to_string(), "provided segment 0:1/3 can't be found in sequence 0,1/2,1");
    let fine = SegmentTuple::new("0.123456789".parse().ok(), None).unwrap_err();
    assert_eq!(fine, SegmentError::TooFine);
}

#[test]
fn percent_for_the_banner() {
    let percent = |text: &str| text.parse::<Segment>().unwrap().percent();
    assert_eq!(percent(""), "100.00%");
    assert_eq!(percent("1/3"), "33.33%");
    assert_eq!(percent("1/3:1"), "66.67%");
    assert_eq!(percent("1/800"), "0.13%");
}

#[test]
fn whole_test_is_itself() {
    let full = SegmentTuple::full();
    assert_eq!(full, SegmentTuple::new(None, None).unwrap());
    assert_eq!((full.scale(7), full.striping().global(7)), (7, 7));
    assert_eq!(full.resegmented(5), Some(Striping::everything()));
    assert_eq!(full.resegmented(0), None);
}

#[test]
fn thirds_of_five_vus_and_twelve_iterations() {
    let sequence = "0,1/3,2/3,1";
    let expected: [(&str, &[u64], &[u64]); 3] = [
        ("0:1/3", &[0, 3], &[0, 3, 5, 8, 10]),
        ("1/3:2/3", &[1, 4], &[1, 4, 6, 9, 11]),
        ("2/3:1", &[2], &[2, 7]),
    ];
    for (segment, vus, iterations) in expected {
        let tuple = tuple(segment, sequence);
        assert_eq!(slots_below(tuple.striping(), 5), vus);
        assert_eq!(slots_below(&tuple.resegmented(5).unwrap(), 12), iterations);
    }
}

#[test]
fn a_lone_segment_shares_with_what_fills_the_line() {
    assert_eq!(slots_below(&tuple("25%", "").resegmented(5).unwrap(), 12), [1, 6, 11]);
    assert_eq!(tuple("1/3:2/3", "").sequence().to_string(), "0,1/3,2/3,1");
    assert_eq!(tuple("1/3:2/3", "1/3,2/3").sequence().to_string(), "0,1/3,2/3,1");
}

#[test]
fn uneven_cuts() {
    assert_eq!(slots_below(tuple("0.2:0.5", "0,0.2,0.5,1").striping(), 10), [1, 5, 7]);
    let mid = tuple("0.1:0.6", "0,0.1,0.6,1").resegmented(5).unwrap();
    assert_eq!(slots_below(&mid, 17), [0, 2, 4, 5, 7, 9, 10, 12, 14, 15]);
}

#[test]
fn numbers_of_any_size_are_answered() {
    let third = tuple("1/3:2/3", "0,1/3,2/3,1");
    assert_eq!(third.scale(u64::MAX), u64::MAX / 3);
    assert_eq!(third.striping().global(u64::MAX), u64::MAX);
    // Too long a cycle to deal out: the segment's own is as good.
    assert_eq!(third.resegmented(1_000_000_007).as_ref(), Some(third.striping()));
}

fn any_sequence() -> impl Strategy<Value = Vec<SegmentTuple>> {
    (2i64..60, proptest::collection::btree_set(1i64..60, 0..6)).prop_map(|(den, cuts)| {
        let inner = cuts.into_iter().filter(|c| *c < den).map(|c| format!("{c}/{den}"));
        let points: Vec<String> = ["0".to_owned()].into_iter().chain(inner).chain(["1".to_owned()]).collect();
        let sequence: SegmentSequence = points.join(",").parse().unwrap();
        let part = |s: &Segment| SegmentTuple::new(Some(*s), Some(sequence.clone())).unwrap();
        sequence.0.iter().map(part).collect()
    })
}

proptest! {
    #[test]
    fn shares_add_up_to_the_whole(parts in any_sequence(), whole in 0u64..3000) {
        prop_assert_eq!(parts.iter().map(|p| p.scale(whole)).sum::<u64>(), whole);
        let mut all: Vec<u64> = parts.iter().flat_map(|p| slots_below(p.striping(), whole)).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..whole).collect::<Vec<_>>());
    }

    #[test]
    fn so_do_the_shares_of_a_sequence_cut_anew(parts in any_sequence(), vus in 1u64..200, whole in 0u64..500) {
        let mut all: Vec<u64> = parts
            .iter()
            .filter_map(|p| p.resegmented(vus))
            .flat_map(|s| slots_below(&s, whole))
            .collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..whole).collect::<Vec<_>>());
    }

    #[test]
    fn a_share_never_shrinks_and_grows_by_one_at_most(parts in any_sequence(), whole in 0u64..3000) {
        for part in parts {
            let step = part.scale(whole + 1) - part.scale(whole);
            prop_assert!(step <= 1);
        }
    }

    #[test]
    fn a_share_is_never_far_from_its_due(parts in any_sequence(), whole in 0u64..3000) {
        for part in &parts {
            let due = part.segment().length() * whole as f64;
            prop_assert!((part.scale(whole) as f64 - due).abs() < parts.len() as f64);
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", numbers in "[-+0-9./:,%eE]{0,60}") {
        for text in [text, numbers] {
            let segment = text.parse::<Segment>().ok();
            let sequence = text.parse::<SegmentSequence>().ok();
            if let Some(segment) = &segment {
                prop_assert_eq!(segment.to_string().parse::<Segment>().unwrap(), *segment);
                segment.percent();
            }
            let _ = SegmentTuple::new(segment, sequence);
        }
    }
}
