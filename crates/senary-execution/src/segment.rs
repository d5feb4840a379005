//! Execution segments: the part of a test that one of several instances runs, without talking to the others.
//!
//! A [`Segment`] is a piece of the line from 0 to 1, a [`SegmentSequence`] cuts the whole line, and a
//! [`SegmentTuple`] is one piece within its sequence. Everything countable (VUs, iterations, ticks of an arrival
//! rate) is dealt out by [`Striping`]: slot by slot in a cycle as long as the common denominator of the lengths,
//! so that the shares of all segments add up to the whole, exactly, whatever the numbers.
//! (<https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/#execution-segment>)

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest cycle that is dealt out slot by slot: six decimals.
const MAX_CYCLE: u64 = 1_000_000;

/// Why a segment or a sequence is refused. The texts are the reference's, but for the last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    #[error("'{0}' is not a valid percentage")]
    NotAPercentage(String),
    #[error("'{0}' is not a valid percentage, decimal, fraction or interval value")]
    NotAValue(String),
    #[error("segment start value must be at least 0 but was {0}")]
    StartTooSmall(String),
    #[error("segment start({start}) must be less than its end({end})")]
    StartNotBeforeEnd { start: String, end: String },
    #[error("segment end value can't be more than 1 but was {0}")]
    EndTooLarge(String),
    #[error("at least 2 points are needed for an execution segment sequence, {0} given")]
    TooFewPoints(usize),
    #[error("provided segment {segment} can't be found in sequence {sequence}")]
    NotInSequence { segment: String, sequence: String },
    #[error("the execution segments are too finely cut: their common denominator is more than {MAX_CYCLE}")]
    TooFine,
}

/// The part of a test between two points of the line from 0 to 1; the start belongs to its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    from: Ratio,
    to: Ratio,
}

impl Segment {
    /// The whole test.
    pub const FULL: Self = Self { from: Ratio { num: 0, den: 1 }, to: Ratio { num: 1, den: 1 } };

    fn new(from: Ratio, to: Ratio) -> Result<Self, SegmentError> {
        if from.num < 0 {
            return Err(SegmentError::StartTooSmall(from.decimals(2)));
        }
        if from >= to {
            return Err(SegmentError::StartNotBeforeEnd { start: from.decimals(2), end: to.decimals(2) });
        }
        if to > Self::FULL.to {
            return Err(SegmentError::EndTooLarge(to.decimals(2)));
        }
        Ok(Self { from, to })
    }

    pub fn is_full(&self) -> bool {
        *self == Self::FULL
    }

    /// The share of the test, 0 to 1.
    pub fn length(&self) -> f64 {
        self.to.value() - self.from.value()
    }

    /// The share of the test in percent, with two decimals: `33.33%`.
    pub fn percent(&self) -> String {
        let hundredths = self.length_ratio().map(|r| Ratio { num: r.num.saturating_mul(100), den: r.den });
        match hundredths {
            Some(ratio) => format!("{}%", ratio.decimals(2)),
            None => format!("{:.2}%", self.length() * 100.0),
        }
    }

    fn length_ratio(&self) -> Option<Ratio> {
        let (from, to) = (self.from, self.to);
        let (a, b) = (i128::from(to.num) * i128::from(from.den), i128::from(from.num) * i128::from(to.den));
        Ratio::new(a - b, i128::from(to.den) * i128::from(from.den))
    }
}

impl FromStr for Segment {
    type Err = SegmentError;

    /// `a:b`, or `b` for `0:b`; each a percentage, a decimal or a fraction. Nothing is the whole test.
    fn from_str(text: &str) -> Result<Self, SegmentError> {
        match text.split_once(':') {
            None if text.is_empty() => Ok(Self::FULL),
            None => Self::new(Self::FULL.from, parse_point(text)?),
            Some((from, to)) => Self::new(parse_point(from)?, parse_point(to)?),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.from, self.to)
    }
}

/// How a test is cut into segments; each begins where its predecessor ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSequence(Vec<Segment>);

impl SegmentSequence {
    /// The whole test cut into as many equal segments; none is cut off it with a `count` of 0.
    pub fn of_equal(count: u32) -> Self {
        let point = |at: u32| Ratio::new(at.into(), count.into());
        let segment = |at: u32| Some(Segment { from: point(at)?, to: point(at + 1)? });
        Self((0..count).filter_map(segment).collect())
    }

    /// One of its segments; they are counted from 0.
    pub fn segment(&self, index: u32) -> Option<Segment> {
        self.0.get(usize::try_from(index).ok()?).copied()
    }

    /// The sequence completed to reach from 0 to 1.
    fn filled(&self) -> Vec<Segment> {
        let mut segments = self.0.clone();
        if let Some(first) = segments.first().filter(|s| s.from > Segment::FULL.from) {
            segments.insert(0, Segment { from: Segment::FULL.from, to: first.from });
        }
        if let Some(last) = segments.last().filter(|s| s.to < Segment::FULL.to) {
            segments.push(Segment { from: last.to, to: Segment::FULL.to });
        }
        segments
    }
}

impl FromStr for SegmentSequence {
    type Err = SegmentError;

    /// Points separated by commas: `0,1/3,2/3,1`.
    fn from_str(text: &str) -> Result<Self, SegmentError> {
        let points = text.split(',').map(parse_point).collect::<Result<Vec<_>, _>>()?;
        if points.len() < 2 {
            return Err(SegmentError::TooFewPoints(points.len()));
        }
        let segments = points.windows(2).map(|pair| Segment::new(pair[0], pair[1]));
        Ok(Self(segments.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for SegmentSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.0.first() {
            write!(f, "{}", first.from)?;
        }
        self.0.iter().try_for_each(|segment| write!(f, ",{}", segment.to))
    }
}

/// One segment within the sequence it is part of: all that is needed to know one's share of anything.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentTuple {
    segment: Segment,
    sequence: SegmentSequence,
    /// The slots of a cycle each segment of the sequence gets.
    shares: Arc<[u64]>,
    /// The place of `segment` in the sequence.
    index: usize,
    striping: Striping,
}

impl SegmentTuple {
    /// Without a segment it is the whole test; without a sequence, the rest of the line is taken as it comes:
    /// one segment before and one after.
    pub fn new(segment: Option<Segment>, sequence: Option<SegmentSequence>) -> Result<Self, SegmentError> {
        let segment = segment.unwrap_or(Segment::FULL);
        let given = sequence.unwrap_or_else(|| SegmentSequence(vec![segment]));
        let sequence = SegmentSequence(given.filled());
        let Some(index) = sequence.0.iter().position(|s| *s == segment) else {
            let (segment, sequence) = (segment.to_string(), given.to_string());
            return Err(SegmentError::NotInSequence { segment, sequence });
        };
        let (cycle, shares) = shares_of(&sequence.0).ok_or(SegmentError::TooFine)?;
        let striping = Striping::new(&shares, cycle, index);
        Ok(Self { segment, sequence, shares: shares.into(), index, striping })
    }

    /// The whole test as one segment.
    pub fn full() -> Self {
        let sequence = SegmentSequence(vec![Segment::FULL]);
        Self {
            segment: Segment::FULL,
            sequence,
            shares: [1].into(),
            index: 0,
            striping: Striping::everything(),
        }
    }

    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// The sequence, completed to reach from 0 to 1.
    pub fn sequence(&self) -> &SegmentSequence {
        &self.sequence
    }

    /// How countable things are divided among the segments.
    pub fn striping(&self) -> &Striping {
        &self.striping
    }

    /// This segment's part of `whole`.
    pub fn scale(&self, whole: u64) -> u64 {
        self.striping.scale(whole)
    }

    /// How iterations fall to this segment when they have to follow its part of `whole` VUs: the sequence is divided
    /// again, by each segment's share of `whole`. None if this segment gets nothing.
    pub fn resegmented(&self, whole: u64) -> Option<Striping> {
        let own = self.scale(whole);
        if own == 0 {
            return None;
        }
        let cycle = self.striping.cycle;
        let mut scaled: Vec<u64> = self.shares.iter().map(|n| whole / cycle * n).collect();
        stripe(&self.shares, cycle, whole % cycle, |_, owner| scaled[owner] += 1);
        let divisor = scaled.iter().fold(whole, |a, b| gcd(a, *b));
        let new_cycle = whole / divisor;
        if new_cycle > MAX_CYCLE {
            // Every instance comes to the same conclusion, so the parts still add up.
            return Some(self.striping.clone());
        }
        let index = scaled[..self.index].iter().filter(|n| **n > 0).count();
        let shares: Vec<u64> = scaled.iter().filter(|n| **n > 0).map(|n| n / divisor).collect();
        Some(Striping::new(&shares, new_cycle, index))
    }
}

impl Default for SegmentTuple {
    fn default() -> Self {
        Self::full()
    }
}

/// The slots of an endlessly repeated cycle that belong to one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Striping {
    cycle: u64,
    /// Ascending, all below `cycle`, at least one.
    slots: Arc<[u32]>,
}

impl Striping {
    fn new(shares: &[u64], cycle: u64, index: usize) -> Self {
        let mut slots = Vec::with_capacity(shares[index] as usize);
        stripe(shares, cycle, cycle, |slot, owner| {
            if owner == index {
                slots.push(slot as u32);
            }
        });
        Self { cycle, slots: slots.into() }
    }

    /// The striping of an undivided test.
    pub fn everything() -> Self {
        Self { cycle: 1, slots: [0].into() }
    }

    /// How many of the first `whole` slots are one's own.
    pub fn scale(&self, whole: u64) -> u64 {
        let rest = whole % self.cycle;
        let full_cycles = whole / self.cycle;
        full_cycles * self.slots.len() as u64 + self.slots.partition_point(|s| u64::from(*s) < rest) as u64
    }

    /// The place in the whole test of one's own `local`-th slot; both from 0.
    pub fn global(&self, local: u64) -> u64 {
        let own = self.slots.len() as u64;
        (local / own).saturating_mul(self.cycle).saturating_add(u64::from(self.slots[(local % own) as usize]))
    }
}

/// The common denominator of the segments' lengths, and their numerators over it.
fn shares_of(segments: &[Segment]) -> Option<(u64, Vec<u64>)> {
    let lengths = segments.iter().map(Segment::length_ratio).collect::<Option<Vec<_>>>()?;
    let mut cycle = 1u64;
    for length in &lengths {
        let den = length.den as u64;
        cycle = (cycle / gcd(cycle, den)).checked_mul(den).filter(|c| *c <= MAX_CYCLE)?;
    }
    let shares = lengths.iter().map(|r| r.num as u64 * (cycle / r.den as u64)).collect();
    Some((cycle, shares))
}

/// Deals out the first `until` slots of a cycle: each goes to the largest segment that does not have more than
/// its due so far. Of two that are equally large, the earlier comes first.
fn stripe(shares: &[u64], cycle: u64, until: u64, mut deal: impl FnMut(u64, usize)) {
    let mut ranked: Vec<usize> = (0..shares.len()).filter(|i| shares[*i] > 0).collect();
    ranked.sort_by_key(|i| Reverse(shares[*i]));
    let mut taken = vec![0u64; ranked.len()];
    // A segment is due for its next slot from `taken * cycle / share` on.
    let mut due: BinaryHeap<Reverse<usize>> = (0..ranked.len()).map(Reverse).collect();
    let mut later: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::with_capacity(ranked.len());
    for slot in 0..until {
        while let Some(&Reverse((from, rank))) = later.peek() {
            if from > slot {
                break;
            }
            later.pop();
            due.push(Reverse(rank));
        }
        // There always is one: if all had more than their due, they would have more than there is.
        let Some(Reverse(rank)) = due.pop() else { continue };
        let owner = ranked[rank];
        deal(slot, owner);
        taken[rank] += 1;
        later.push(Reverse(((taken[rank] * cycle).div_ceil(shares[owner]), rank)));
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A reduced fraction; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ratio {
    num: i64,
    den: i64,
}

impl Ratio {
    /// None if the reduced fraction does not fit, or there is none.
    fn new(num: i128, den: i128) -> Option<Self> {
        if den <= 0 {
            return None;
        }
        let (mut a, mut b) = (num.unsigned_abs(), den.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a).ok()?;
        Some(Self { num: i64::try_from(num / divisor).ok()?, den: i64::try_from(den / divisor).ok()? })
    }

    fn value(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// Rounded to a number of decimals, halves away from zero.
    fn decimals(self, places: u32) -> String {
        let scale = 10i128.pow(places);
        let (num, den) = (i128::from(self.num).abs() * scale, i128::from(self.den));
        let rounded = (num * 2 + den) / (den * 2);
        let sign = if self.num < 0 && rounded > 0 { "-" } else { "" };
        let (whole, rest) = (rounded / scale, rounded % scale);
        format!("{sign}{whole}.{rest:0width$}", width = places as usize)
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let left = i128::from(self.num) * i128::from(other.den);
        Some(left.cmp(&(i128::from(other.num) * i128::from(self.den))))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

/// A point of the line: `25%`, `0.25`, `1/4`.
fn parse_point(text: &str) -> Result<Ratio, SegmentError> {
    if let Some(number) = text.strip_suffix('%') {
        let percent = parse_integer(number).and_then(|n| Ratio::new(n, 100));
        return percent.ok_or_else(|| SegmentError::NotAPercentage(text.to_owned()));
    }
    let ratio = match text.split_once('/') {
        Some((num, den)) => parse_fraction(num, den),
        None => parse_decimal(text),
    };
    ratio.ok_or_else(|| SegmentError::NotAValue(text.to_owned()))
}

fn parse_fraction(num: &str, den: &str) -> Option<Ratio> {
    if !den.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Ratio::new(parse_integer(num)?, parse_integer(den)?)
}

fn parse_decimal(text: &str) -> Option<Ratio> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, i32::try_from(parse_integer(exponent)?).ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let num = parse_integer(&format!("{whole}{}", fraction.trim_end_matches('0')));
    let num = num.filter(|_| whole.len() + fraction.len() > 0)?;
    let places = i32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    let power = 10i128.checked_pow(exponent.checked_sub(places)?.unsigned_abs())?;
    match exponent < places {
        true => Ratio::new(num, power),
        false => Ratio::new(num.checked_mul(power)?, 1),
    }
}

/// Decimal digits with an optional sign.
fn parse_integer(text: &str) -> Option<i128> {
    // Everything that fits in a fraction is far shorter; this bounds the work, too.
    (text.len() <= 38).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests;
