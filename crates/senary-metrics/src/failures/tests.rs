use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn add(failures: &mut Failures, kind: FailureKind, name: &str, at: i64) {
    failures.add(&FailureId::new(kind, name), 1, Timestamp(at), Details::text(format!("{name} at {at}")));
}

#[test]
fn the_first_one_gives_the_words() {
    let mut failures = Failures::default();
    for at in [5, 3, 9] {
        add(&mut failures, FailureKind::Check, "c", at);
    }
    let only = failures.by_weight()[0];
    assert_eq!((only.text.as_str(), only.name.as_str()), ("c at 5", "c"));
    assert_eq!(only.occurrences, Occurrences { count: 3, first: Timestamp(3), last: Timestamp(9) });
    assert_eq!(failures.count(FailureKind::Check), 3);
    assert_eq!(failures.count(FailureKind::Socket), 0);
}

#[test]
fn places_tell_exceptions_apart_and_nothing_else() {
    let mut failures = Failures::default();
    for place in ["a.js:1:1", "b.js:2:2"] {
        for kind in [FailureKind::Exception, FailureKind::Socket] {
            let id = FailureId { place, ..FailureId::new(kind, "") };
            failures.add(&id, 1, Timestamp(0), Details { text: "no".into(), place: place.into() });
        }
    }
    let told: Vec<_> =
        failures.by_weight().iter().map(|f| (f.kind, &*f.place, f.occurrences.count)).collect();
    assert_eq!(
        told,
        [
            (FailureKind::Socket, "a.js:1:1", 2),
            (FailureKind::Exception, "a.js:1:1", 1),
            (FailureKind::Exception, "b.js:2:2", 1),
        ]
    );
}

#[test]
fn causes_come_before_what_follows_from_them() {
    let mut failures = Failures::default();
    for (kind, name, times) in [
        (FailureKind::Threshold, "t", 1),
        (FailureKind::Check, "c", 50),
        (FailureKind::Socket, "rare", 1),
        (FailureKind::Socket, "often", 2),
        (FailureKind::Interrupted, "i", 3),
    ] {
        (0..times).for_each(|at| add(&mut failures, kind, name, at));
    }
    let order: Vec<_> = failures.by_weight().iter().map(|failure| failure.name.as_str()).collect();
    assert_eq!(order, ["often", "rare", "i", "c", "t"]);
}

#[test]
fn what_is_counted_anew_is_still_known() {
    let (mut all, mut part) = (Failures::default(), Failures::default());
    add(&mut part, FailureKind::Check, "c", 5);
    all.merge(&part);
    part.count_anew();
    assert!(part.is_empty() && !all.is_empty());
    let id = FailureId::new(FailureKind::Check, "c");
    assert!(part.count_again(&id, 2, Timestamp(7)).is_some(), "no words are asked for");
    all.merge(&part);
    part.count_anew();
    all.merge(&part);
    let only = all.by_weight()[0];
    assert_eq!((only.text.as_str(), only.occurrences.count), ("c at 5", 3));
    assert_eq!((only.occurrences.first, only.occurrences.last), (Timestamp(5), Timestamp(7)));
    assert_eq!(all.by_weight().len(), 1);
    // Another VU's clock stood at the same moment, and one at an earlier one.
    for (at, count) in [(5, 4), (3, 5)] {
        assert!(part.count_again(&id, 1, Timestamp(at)).is_some());
        all.merge(&part);
        part.count_anew();
        let only = all.by_weight()[0];
        assert_eq!((only.text.as_str(), only.occurrences.count), ("c at 5", count));
    }
    assert_eq!(all.by_weight()[0].occurrences.first, Timestamp(3));
}

/// How an id was counted stays true for as long as the collection exists, also for those that are not kept apart.
#[test]
fn what_is_counted_like_before_is_counted_as_if_searched_for() {
    let (mut searched, mut known) = (Failures::default(), Failures::default());
    let mut places = Vec::new();
    for round in 0..3 {
        for n in 0..MAX_OF_A_KIND * 2 {
            let (name, at) = (format!("name {n}"), Timestamp((round * 1000 + n) as i64));
            let id = FailureId::new(FailureKind::Check, &name);
            searched.add(&id, 1, at, Details::text("no"));
            match places.get(n) {
                Some(place) => known.count_as(*place, 1, at),
                None => places.push(known.add(&id, 1, at, Details::text("no"))),
            }
        }
        assert_eq!(searched, known);
    }
    assert_eq!(known.count(FailureKind::Check), 3 * 2 * MAX_OF_A_KIND as u64);
}

/// A million failures of a thousand kinds with long texts.
#[test]
fn memory_is_bounded() {
    let mut failures = Failures::default();
    let kinds = [FailureKind::Exception, FailureKind::Rejection, FailureKind::Check, FailureKind::Socket];
    for n in 0..1_000_000_u64 {
        let (kind, name) = (kinds[(n % 4) as usize], format!("kind {}", n % 1000));
        let id = FailureId::new(kind, &name);
        if failures.count_again(&id, 1, Timestamp(n as i64)).is_none() {
            failures.add(&id, 1, Timestamp(n as i64), Details::text("x".repeat(100_000)));
        }
    }
    let total: u64 = kinds.iter().map(|kind| failures.count(*kind)).sum();
    assert_eq!(total, 1_000_000);
    assert_eq!(failures.by_weight().len(), 4 * MAX_OF_A_KIND);
    let bytes: usize = failures.by_weight().iter().map(|f| size_of::<Failure>() + f.text.len()).sum();
    assert!(bytes < 1_000_000, "{bytes} bytes");
}

#[test]
fn what_differs_each_time_is_no_part_of_a_message_s_shape() {
    for (message, expected) in [
        ("Error: no user 4711", "Error: no user #"),
        ("Error: order a8f3-99 of 12ms is late", "Error: order #-# of # is late"),
        (
            "TypeError: cannot read property 'x' of undefined",
            "TypeError: cannot read property 'x' of undefined",
        ),
        ("größer als 7 µs!", "größer als # µs!"),
        ("", ""),
    ] {
        assert_eq!(shape(message), expected);
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut failures = Failures::default();
    let long = "ä".repeat(MAX_TEXT);
    for _ in 0..2 {
        failures.add(&FailureId::new(FailureKind::Check, &long), 1, Timestamp(0), Details::text(&long));
    }
    let only = failures.by_weight()[0];
    assert_eq!(only.occurrences.count, 2);
    assert!(only.text.ends_with("ä…") && only.text.len() <= MAX_TEXT + "…".len());
    assert_eq!(only.name.len(), MAX_TEXT);
}

/// A failure: its kind, its name, its time.
fn one() -> impl Strategy<Value = (bool, u16, i64)> {
    (any::<bool>(), 0_u16..130, 0_i64..50)
}

fn gathered(of: &[(bool, u16, i64)]) -> Failures {
    let mut failures = Failures::default();
    for (is_check, name, at) in of {
        let kind = if *is_check { FailureKind::Check } else { FailureKind::Exception };
        let id = FailureId::new(kind, "");
        let name = format!("n{name}");
        failures.add(&FailureId { name: &name, ..id }, 1, Timestamp(*at), Details::text(format!("at {at}")));
    }
    failures
}

fn totals(of: &Failures) -> Vec<(FailureKind, u64)> {
    [FailureKind::Check, FailureKind::Exception].map(|kind| (kind, of.count(kind))).to_vec()
}

proptest! {
    #[test]
    fn the_order_of_merging_does_not_matter(a in vec(one(), 0..40), b in vec(one(), 0..40), c in vec(one(), 0..20)) {
        let (a, b, c) = (gathered(&a), gathered(&b), gathered(&c));
        let (mut left, mut right) = (a.clone(), c.clone());
        left.merge(&b);
        left.merge(&c);
        right.merge(&b);
        right.merge(&a);
        prop_assert_eq!(left.by_weight(), right.by_weight());
    }

    #[test]
    fn nothing_is_lost_however_many_there_are(a in vec(one(), 0..600), b in vec(one(), 0..600)) {
        let all: Vec<_> = a.iter().chain(&b).copied().collect();
        let mut merged = gathered(&a);
        merged.merge(&gathered(&b));
        prop_assert_eq!(totals(&merged), totals(&gathered(&all)));
        prop_assert!(merged.by_weight().len() <= 2 * MAX_OF_A_KIND);
    }
}
