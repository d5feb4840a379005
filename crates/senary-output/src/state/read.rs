//! The way of a state from a file. A file may come from anywhere, so nothing in it is trusted.

use std::io::{self, Read, Seek};
use std::sync::atomic::{AtomicU64, Ordering};

use senary_metrics::totals::Total;
use senary_metrics::trend_values::{EXACT_VALUES, TrendValues};
use senary_metrics::{Damaged, Failures, MergeError, Sink, Totals};
use senary_words::remedy::explained;

use super::container::{Contents, Kind};
use super::head::Head;
use super::values::{unpack, unpack_buckets};
use super::write::{Place, Row, Values, WrittenTotals};
use crate::timeline::Written as WrittenTimeline;

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("it is empty: no state was written to it yet")]
    Empty,
    #[error("it is no state of a run: give files that `senary run --out state=FILE` has written")]
    Foreign,
    #[error("it is a pipe or a device, and a state is read from a file: write it to one first")]
    NoFile,
    #[error(
        "it is written in version {version} of the format, and this program reads version {known}: use the program that wrote it"
    )]
    OtherVersion { version: u16, known: u16 },
    #[error("its end is missing: copy it again, whole")]
    Truncated,
    #[error("it is damaged, in its {part}: {reason}; copy it again")]
    Damaged { part: &'static str, reason: String },
    /// This one, and those before it.
    #[error(
        "the values up to this state take more than the {} MB of memory that there are for them here: merge the states on a machine with more memory",
        .0 / 1_000_000
    )]
    TooLarge(u64),
    #[error("{}", explained(.0))]
    Io(#[from] io::Error),
}

impl StateError {
    pub(super) fn damaged(part: &'static str, reason: impl ToString) -> Self {
        Self::Damaged { part, reason: reason.to_string() }
    }
}

/// A state that is there to be read. The head is read at once, everything else when it is asked for.
pub struct StateReader<R> {
    pub head: Head,
    contents: Contents<R>,
    written: WrittenTotals,
}

/// How much memory values may take. A small file can have very many of them.
pub struct Budget {
    bytes: u64,
    left: AtomicU64,
}

impl Budget {
    pub fn new(bytes: u64) -> Self {
        Self { bytes, left: AtomicU64::new(bytes) }
    }

    fn take(&self, bytes: usize) -> Result<(), StateError> {
        let rest = |left: u64| left.checked_sub(bytes as u64);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest) {
            Ok(_) => Ok(()),
            Err(_) => Err(StateError::TooLarge(self.bytes)),
        }
    }
}

/// Where values of a trend are in a file, and where they belong.
struct Part {
    place: Place,
    is_exact: bool,
    /// How many values they are.
    count: u64,
    to: usize,
}

impl<R: Read + Seek> StateReader<R> {
    pub fn open(from: R) -> Result<Self, StateError> {
        let mut contents = Contents::find(from)?;
        let head = json(&mut contents, Kind::Head, "head")?;
        let written: WrittenTotals = json(&mut contents, Kind::Totals, "totals")?;
        Ok(Self { head, contents, written })
    }

    /// The totals. Trends know how many values they have, but not which: [`Self::add_values`] does.
    pub fn outline(&self) -> Result<Totals, StateError> {
        let WrittenTotals { sums, checks, groups, parts } = &self.written;
        let outline = |row: &Row| {
            let mut total = row.total.clone();
            if let (Sink::Trend(trend), Some(values)) = (&mut total.sink, row.values) {
                trend.announce(values.count).map_err(|error| StateError::damaged("totals", error))?;
            }
            Ok(total)
        };
        let sums = sums.iter().map(outline).collect::<Result<_, StateError>>()?;
        let groups = groups.iter().map(|group| group.as_str().into()).collect();
        Totals::of(sums, checks.clone(), groups, parts.clone())
            .map_err(|error: MergeError| StateError::damaged("totals", error))
    }

    /// Adds the values of trends to `all`. `place` says where among them those of a trend belong, if they are wanted, and
    /// whether they must be exact: else the buckets that they fall into will do.
    pub fn add_values(
        &mut self,
        place: impl Fn(&Total) -> Option<(usize, bool)>,
        all: &mut [TrendValues],
        budget: &Budget,
    ) -> Result<(), StateError> {
        let mut parts = Vec::new();
        for Row { total, values } in &self.written.sums {
            if let (Sink::Trend(_), Some(values), Some((to, exactly))) = (&total.sink, values, place(total)) {
                parts.extend(values.part(to, exactly)?);
            }
        }
        // So that each section is unpacked once.
        parts.sort_unstable_by_key(|part| (part.place.section, part.place.at));
        let (mut section, mut unpacked, mut end) = (None, Vec::new(), 0);
        for part in parts {
            if section.replace(part.place.section) != Some(part.place.section) {
                unpacked.clear();
                (unpacked, end) = (self.contents.section(part.place.section, Kind::Values)?, 0);
            }
            // Else a small file could have any number of values.
            if (part.place.at as usize) < end {
                return Err(StateError::damaged("values", "two trends share them"));
            }
            end = part.place.at as usize + part.place.length as usize;
            let packed = unpacked.get(part.place.at as usize..end);
            let packed = packed.ok_or_else(|| StateError::damaged("values", "they are beyond the end"))?;
            let trend = &mut all[part.to];
            let before = trend.bytes();
            part.unpack(packed, trend)?;
            budget.take(trend.bytes().saturating_sub(before))?;
        }
        Ok(())
    }

    /// What went wrong.
    pub fn failures(&mut self) -> Result<Failures, StateError> {
        json(&mut self.contents, Kind::Failures, "failures")
    }

    /// The time line, if there is one that this program can read.
    pub fn timeline(&mut self) -> Result<Option<WrittenTimeline>, StateError> {
        let Some(bytes) = self.contents.only(Kind::Timeline)? else { return Ok(None) };
        WrittenTimeline::from_bytes(&bytes).map_err(|error| StateError::damaged("time line", error))
    }

    /// An archive of the script, if it is there.
    pub fn script(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        self.contents.only(Kind::Script)
    }
}

impl Values {
    /// Where they are read from; nowhere, if there are none.
    fn part(self, to: usize, exactly: bool) -> Result<Option<Part>, StateError> {
        let part = |place, is_exact| Some(Part { place, is_exact, count: self.count, to });
        match (self.exact, self.buckets) {
            (Some(place), None) => Ok(part(place, true)),
            (Some(place), Some(_)) if exactly => Ok(part(place, true)),
            (_, Some(place)) => Ok(part(place, false)),
            (None, None) if self.count == 0 => Ok(None),
            (None, None) => Err(missing()),
        }
    }
}

impl Part {
    fn unpack(&self, mut packed: &[u8], to: &mut TrendValues) -> Result<(), StateError> {
        let damaged = |error: Damaged| StateError::damaged("values", error);
        if self.is_exact {
            let values = unpack(&mut packed, EXACT_VALUES).filter(|values| values.len() as u64 == self.count);
            return to.add(&values.ok_or_else(missing)?).map_err(damaged);
        }
        let buckets = unpack_buckets(&mut packed).ok_or_else(missing)?;
        let count = buckets.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count));
        if count != Some(self.count) {
            return Err(missing());
        }
        to.add_buckets(buckets).map_err(damaged)
    }
}

fn missing() -> StateError {
    StateError::damaged("values", "some are missing")
}

fn json<T: serde::de::DeserializeOwned, R: Read + Seek>(
    contents: &mut Contents<R>,
    kind: Kind,
    part: &'static str,
) -> Result<T, StateError> {
    let bytes = contents.only(kind)?.ok_or_else(|| StateError::damaged(part, "it is not there"))?;
    serde_json::from_slice(&bytes).map_err(|error| StateError::damaged(part, error))
}
