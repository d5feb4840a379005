//! Segments as a state names them: `1/4:1/2` is the part of a test between two fractions of it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A point between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    above: u64,
    below: u64,
}

impl Point {
    pub(super) const START: Self = Self { above: 0, below: 1 };
    pub(super) const END: Self = Self { above: 1, below: 1 };
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Point {}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Point {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.above, other.below).cmp(&product(other.above, self.below))
    }
}

impl FromStr for Point {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let (above, below) = text.split_once('/').unwrap_or((text, "1"));
        let number = |text: &str| text.parse::<u64>().map_err(|_| NoShare);
        let point = Self { above: number(above)?, below: number(below)? };
        if point.below > 0 && point <= Self::END { Ok(point) } else { Err(NoShare) }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.below {
            1 => write!(f, "{}", self.above),
            below => write!(f, "{}/{below}", self.above),
        }
    }
}

/// A text that names no part of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShare;

/// The part of a test that falls to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub(super) from: Point,
    pub(super) to: Point,
}

impl Share {
    pub(super) fn is_whole(self) -> bool {
        self.from == Point::START && self.to == Point::END
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let (from, to) = text.split_once(':').ok_or(NoShare)?;
        let share = Self { from: from.parse()?, to: to.parse()? };
        if share.from < share.to { Ok(share) } else { Err(NoShare) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.from, self.to)
    }
}

/// The parts of a test that none of some shares has. Gaps are cut at `points`, so that each can be named as it was given out.
pub(super) fn gaps(shares: &[Share], points: &[Point]) -> Vec<Share> {
    let mut sorted = shares.to_vec();
    sorted.sort_by_key(|share| share.from);
    let (mut gaps, mut reached) = (Vec::new(), Point::START);
    for share in sorted.iter().chain([&Share { from: Point::END, to: Point::END }]) {
        if share.from > reached {
            gaps.push(Share { from: reached, to: share.from });
        }
        reached = reached.max(share.to);
    }
    let mut points = points.to_vec();
    points.sort_unstable();
    gaps.into_iter().flat_map(|gap| cut(gap, &points)).collect()
}

fn cut(gap: Share, points: &[Point]) -> Vec<Share> {
    let inside = points.iter().copied().filter(|point| gap.from < *point && *point < gap.to);
    let (mut pieces, mut from) = (Vec::new(), gap.from);
    for to in inside.chain([gap.to]) {
        if from < to {
            pieces.push(Share { from, to });
        }
        from = to;
    }
    pieces
}

/// The points of a sequence, `0,1/2,1`.
pub(super) fn points(sequence: &str) -> Vec<Point> {
    sequence.split(',').filter_map(|point| point.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(shares: &[&str], sequence: &str) -> Vec<String> {
        let shares: Vec<Share> = shares.iter().map(|share| share.parse().unwrap()).collect();
        gaps(&shares, &points(sequence)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_missing_is_named_as_it_was_given_out() {
        let quarters = "0,1/4,1/2,3/4,1";
        assert_eq!(texts(&["1/4:1/2", "0:1/4", "1/2:3/4", "3/4:1"], quarters), [""; 0]);
        assert_eq!(texts(&["1/4:1/2"], quarters), ["0:1/4", "1/2:3/4", "3/4:1"]);
        assert_eq!(texts(&["2/4:3/4", "0:2/8"], ""), ["2/8:2/4", "3/4:1"]);
        assert_eq!(texts(&["0:1"], quarters), [""; 0]);
        assert_eq!(texts(&[], ""), ["0:1"]);
        assert_eq!(texts(&["0:1/2", "0:3/4", "1/4:1"], quarters), [""; 0]);
    }

    #[test]
    fn what_is_no_share() {
        for text in ["", "1/2", "0:0", "1/2:1/4", "0:2", "0:1/0", "-1:1", "a:b", "0:3/2"] {
            assert_eq!(text.parse::<Share>(), Err(NoShare), "{text}");
        }
        assert!("0:1".parse::<Share>().unwrap().is_whole());
        assert!(!"0:1/2".parse::<Share>().unwrap().overlaps("2/4:1".parse().unwrap()));
    }
}
