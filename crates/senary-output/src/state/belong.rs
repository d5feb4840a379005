//! Whether states are the parts of one test, and which parts are not there.

use std::collections::BTreeMap;

use senary_metrics::Timestamp;

use super::head::Head;
use super::share::{Share, gaps, points};

/// Options in which the instances of one test may differ: they say which part an instance runs, or where it stands.
const OWN_OPTIONS: [&str; 8] = [
    "executionSegment",
    "executionSegmentSequence",
    "tags",
    "paused",
    "noSetup",
    "noTeardown",
    "localIPs",
    "hosts",
];

/// Instances of one test may begin after one another: started by hand, or by a cluster that is short of machines.
const MAX_PAUSE: i64 = 60_000_000_000;

/// Why states are no whole test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error(
        "{instance} has run another script than {other}: '{script}' is not '{other_script}', or not the same version of it"
    )]
    OtherScript { instance: String, script: String, other: String, other_script: String },
    #[error("{instance} has run with other options than {other}: {} differ", .options.join(", "))]
    OtherOptions { instance: String, other: String, options: Vec<String> },
    #[error(
        "{instance} was part of another division of the test than {other}: its sequence is {sequence}, not {other_sequence}"
    )]
    OtherSequence { instance: String, sequence: String, other: String, other_sequence: String },
    #[error("{instance} has no segment that this program knows: '{segment}'")]
    UnknownSegment { instance: String, segment: String },
    #[error(
        "{a} and {b} are both the whole test, each with all of its load: give every instance its own part of it, with --execution-segment"
    )]
    BothWhole { a: String, b: String },
    #[error("{a} and {b} overlap: {a_segment} and {b_segment} are not different parts of the test")]
    Overlap { a: String, b: String, a_segment: String, b_segment: String },
    #[error("{one} and {other} are the same state: give it once")]
    Same { one: String, other: String },
    #[error("{older} is an older state of {newer}: the same process has written both")]
    Twice { newer: String, older: String },
    #[error("{instance} has written no last state: it was {:.1}s into its run when it wrote this one, and died after that, or still runs", .seconds)]
    Unfinished { instance: String, seconds: Seconds },
    #[error("the segment {0} is not here: none of the states is of the instance that ran it")]
    Missing(String),
    #[error("{instance} ran at another time than {other}: {:.0}s lie between them", .seconds)]
    Apart { instance: String, other: String, seconds: Seconds },
}

/// A number of seconds that can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub f64);

impl PartialEq for Seconds {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Seconds {}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Objection {
    /// Whether it is of an instance that may only be at work still.
    pub fn is_of_unfinished(&self) -> bool {
        matches!(self, Self::Unfinished { .. })
    }

    /// Whether figures are missing from what is added up.
    pub fn is_incomplete(&self) -> bool {
        matches!(self, Self::Unfinished { .. } | Self::Missing(_))
    }
}

/// How states belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The states that may be added up, in the order of their segments: each process once.
    pub chosen: Vec<usize>,
    /// Why they are no whole test; empty if they are one.
    pub objections: Vec<Objection>,
}

/// Looks how states belong together; each comes with what messages call it besides its instance's name: the file.
pub fn belonging(states: &[(String, &Head)]) -> Parts {
    let mut objections = Vec::new();
    let mut chosen = each_once(states, &mut objections);
    chosen
        .sort_by(|a, b| order(states[*a].1).cmp(&order(states[*b].1)).then(states[*a].0.cmp(&states[*b].0)));
    let parts: Vec<_> = chosen.iter().map(|at| Part::of(&states[*at])).collect();
    one_test(&parts, &mut objections);
    whole_test(&parts, &mut objections);
    at_one_time(&parts, &mut objections);
    objections.extend(parts.iter().filter(|part| !part.head.progress.is_final).map(|part| {
        let seconds = Seconds(part.head.progress.seconds);
        Objection::Unfinished { instance: part.name.clone(), seconds }
    }));
    Parts { chosen, objections }
}

struct Part<'a> {
    /// `host-1 (host-1.state)`
    name: String,
    head: &'a Head,
    /// `None` if the segment cannot be read.
    share: Option<Share>,
}

impl<'a> Part<'a> {
    fn of((place, head): &(String, &'a Head)) -> Self {
        Self { name: name(place, head), head, share: head.instance.segment.parse().ok() }
    }
}

fn name(place: &str, head: &Head) -> String {
    format!("{} ({place})", head.instance.name)
}

/// By segments; equal ones by their processes.
fn order(head: &Head) -> (Option<super::share::Point>, &str, &str) {
    let share: Option<Share> = head.instance.segment.parse().ok();
    (share.map(|share| share.from), &head.instance.name, &head.instance.id)
}

/// The last state of each process.
fn each_once(states: &[(String, &Head)], objections: &mut Vec<Objection>) -> Vec<usize> {
    let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
    let age = |at: usize| {
        let (place, head) = &states[at];
        (head.progress.is_final, head.progress.written, std::cmp::Reverse(place))
    };
    for (at, (_, head)) in states.iter().enumerate() {
        let known = latest.entry(&head.instance.id).or_insert(at);
        if *known != at {
            let (newer, older) = if age(at) > age(*known) { (at, *known) } else { (*known, at) };
            *known = newer;
            let time = |at: usize| (states[at].1.progress.is_final, states[at].1.progress.written);
            let name = |at: usize| name(&states[at].0, states[at].1);
            objections.push(match time(newer) == time(older) {
                true => Objection::Same { one: name(newer), other: name(older) },
                false => Objection::Twice { newer: name(newer), older: name(older) },
            });
        }
    }
    latest.into_values().collect()
}

/// Whether all have run the same test.
fn one_test(parts: &[Part<'_>], objections: &mut Vec<Objection>) {
    let Some(first) = most_common(parts) else { return };
    for part in parts {
        let (own, others) = (&part.head.test, &first.head.test);
        let (instance, other) = (part.name.clone(), first.name.clone());
        if own.hash != others.hash {
            let (script, other_script) = (own.script.clone(), others.script.clone());
            objections.push(Objection::OtherScript { instance, script, other, other_script });
            // Then the options are others, too.
            continue;
        }
        let options = differing(part.head, first.head);
        if !options.is_empty() {
            objections.push(Objection::OtherOptions { instance, other, options });
        }
    }
    for part in parts {
        let (own, others) = (&part.head.instance.sequence, &first.head.instance.sequence);
        if points(own) != points(others) {
            objections.push(Objection::OtherSequence {
                instance: part.name.clone(),
                sequence: own.clone(),
                other: first.name.clone(),
                other_sequence: others.clone(),
            });
        }
    }
}

/// One of those whose script most have run: who differs from it is named.
fn most_common<'a>(parts: &'a [Part<'a>]) -> Option<&'a Part<'a>> {
    let alike =
        |part: &Part<'_>| parts.iter().filter(|other| other.head.test.hash == part.head.test.hash).count();
    let most = parts.iter().map(alike).max()?;
    parts.iter().find(|part| alike(part) == most)
}

fn differing(a: &Head, b: &Head) -> Vec<String> {
    let (a, b) = (&a.test, &b.test);
    let mut names: Vec<_> = a.options.keys().chain(b.options.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .retain(|name| !OWN_OPTIONS.contains(&name.as_str()) && a.options.get(*name) != b.options.get(*name));
    let mut names: Vec<_> = names.into_iter().cloned().collect();
    if a.evaluate_thresholds != b.evaluate_thresholds {
        names.push("noThresholds".to_owned());
    }
    names
}

/// Whether the segments make the whole test, each part of it once.
fn whole_test(parts: &[Part<'_>], objections: &mut Vec<Objection>) {
    let mut shares: Vec<(&Part<'_>, Share)> = Vec::new();
    for part in parts {
        let Some(share) = part.share else {
            let (instance, segment) = (part.name.clone(), part.head.instance.segment.clone());
            objections.push(Objection::UnknownSegment { instance, segment });
            continue;
        };
        if let Some((other, theirs)) = shares.iter().find(|(_, known)| known.overlaps(share)) {
            let (a, b) = (other.name.clone(), part.name.clone());
            objections.push(match theirs.is_whole() && share.is_whole() {
                true => Objection::BothWhole { a, b },
                false => {
                    Objection::Overlap { a, b, a_segment: theirs.to_string(), b_segment: share.to_string() }
                }
            });
        }
        shares.push((part, share));
    }
    let cuts = parts.first().map(|part| points(&part.head.instance.sequence)).unwrap_or_default();
    let shares: Vec<_> = shares.into_iter().map(|(_, share)| share).collect();
    objections.extend(gaps(&shares, &cuts).iter().map(|gap| Objection::Missing(gap.to_string())));
}

/// Whether they ran together, as far as their clocks tell.
fn at_one_time(parts: &[Part<'_>], objections: &mut Vec<Objection>) {
    let mut spans: Vec<(&Part<'_>, i64, i64)> = parts
        .iter()
        .filter_map(|part| {
            let Timestamp(start) = part.head.progress.started?;
            Some((part, start, start.saturating_add((part.head.progress.seconds * 1e9) as i64)))
        })
        .collect();
    spans.sort_by_key(|(_, start, _)| *start);
    let Some((mut last, _, mut end)) = spans.first().copied() else { return };
    for (part, start, its_end) in spans {
        let pause = start.saturating_sub(end);
        if pause > MAX_PAUSE {
            let (instance, other) = (part.name.clone(), last.name.clone());
            objections.push(Objection::Apart { instance, other, seconds: Seconds(pause as f64 / 1e9) });
        }
        if its_end >= end {
            (last, end) = (part, its_end);
        }
    }
}
