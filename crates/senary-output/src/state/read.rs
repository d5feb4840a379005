//! The way of a state from a file. A file may come from anywhere, so nothing in it is trusted.

use std::io::{self, Read, Seek};
use std::sync::Arc;

use senary_metrics::sink::TrendSink;
use senary_metrics::totals::Scope;
use senary_metrics::{Damaged, Failures, MergeError, Sink, Totals};
use senary_words::remedy::explained;

use super::container::{Contents, Kind};
use super::head::Head;
use super::values::{unpack, unpack_buckets};
use super::write::{Place, Row, Values, WrittenTotals};
use crate::timeline::Written as WrittenTimeline;

/// Values that the trends of one state may have together: more than a process has memory for.
const MAX_VALUES: u64 = 1 << 31;

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("it is empty: no state was written to it yet")]
    Empty,
    #[error("it is no state of a run: give files that `senary run --out state=FILE` has written")]
    Foreign,
    #[error(
        "it is written in version {version} of the format, and this program reads version {known}: use the program that wrote it"
    )]
    OtherVersion { version: u16, known: u16 },
    #[error("its end is missing: copy it again, whole")]
    Truncated,
    #[error("it is damaged, in its {part}: {reason}; copy it again")]
    Damaged { part: &'static str, reason: String },
    #[error("its trends have {0} values, more than any run keeps")]
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
    /// The section that was read last.
    last: Option<(u32, Arc<[u8]>)>,
}

impl<R: Read + Seek> StateReader<R> {
    pub fn open(from: R) -> Result<Self, StateError> {
        let mut contents = Contents::find(from)?;
        let head = json(&mut contents, Kind::Head, "head")?;
        let written: WrittenTotals = json(&mut contents, Kind::Totals, "totals")?;
        let exact = written.sums.iter().filter_map(|row| row.values.filter(|values| values.exact.is_some()));
        let count = exact.map(|values| values.count).fold(0, u64::saturating_add);
        if count > MAX_VALUES {
            return Err(StateError::TooLarge(count));
        }
        Ok(Self { head, contents, written, last: None })
    }

    /// How many values each trend has.
    pub fn trends(&self) -> impl Iterator<Item = (&str, &Scope, u64)> {
        let trends = self.written.sums.iter().filter_map(|row| Some((row, row.values?)));
        trends.map(|(row, values)| (&*row.total.metric, &row.total.scope, values.count))
    }

    /// The totals. Trends for which `is_exact` is false need not have their values: the buckets that these fall into will do.
    pub fn totals(&mut self, is_exact: impl Fn(&str, &Scope) -> bool) -> Result<Totals, StateError> {
        let mut sums = Vec::with_capacity(self.written.sums.len());
        for at in 0..self.written.sums.len() {
            let Row { total, values } = &self.written.sums[at];
            let (mut total, values) = (total.clone(), *values);
            if let (Sink::Trend(trend), Some(values)) = (&mut total.sink, values) {
                let exactly = is_exact(&total.metric, &total.scope);
                self.fill(trend, values, exactly)?;
            }
            sums.push(total);
        }
        let WrittenTotals { checks, groups, parts, .. } = &self.written;
        let groups = groups.iter().map(|group| group.as_str().into()).collect();
        Totals::of(sums, checks.clone(), groups, parts.clone())
            .map_err(|error: MergeError| StateError::damaged("totals", error))
    }

    /// What went wrong.
    pub fn failures(&mut self) -> Result<Failures, StateError> {
        json(&mut self.contents, Kind::Failures, "failures")
    }

    /// The time line, if one was kept.
    pub fn timeline(&mut self) -> Result<Option<WrittenTimeline>, StateError> {
        let Some(bytes) = self.contents.only(Kind::Timeline)? else { return Ok(None) };
        let timeline = serde_json::from_slice(&bytes);
        timeline.map(Some).map_err(|error| StateError::damaged("time line", error))
    }

    /// An archive of the script, if it is there.
    pub fn script(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        self.contents.only(Kind::Script)
    }

    fn fill(&mut self, trend: &mut TrendSink, values: Values, exactly: bool) -> Result<(), StateError> {
        let damaged = |error: Damaged| StateError::damaged("values", error);
        let short = || StateError::damaged("values", "some are missing");
        match values {
            Values { exact, buckets: Some(place), .. } if !exactly || exact.is_none() => {
                let bytes = self.bytes(place)?;
                let found = unpack_buckets(&mut &bytes.0[bytes.1]).ok_or_else(short)?;
                trend.fill_buckets(found).map_err(damaged)?;
            }
            Values { exact: Some(place), .. } => {
                let bytes = self.bytes(place)?;
                let found = unpack(&mut &bytes.0[bytes.1]).ok_or_else(short)?;
                trend.fill(found).map_err(damaged)?;
            }
            Values { count: 0, .. } => {}
            Values { .. } => return Err(short()),
        }
        if trend.count() == values.count { Ok(()) } else { Err(short()) }
    }

    /// Some bytes of an unpacked section.
    fn bytes(&mut self, place: Place) -> Result<(Arc<[u8]>, std::ops::Range<usize>), StateError> {
        let section = match &self.last {
            Some((number, bytes)) if *number == place.section => bytes.clone(),
            _ => {
                let bytes: Arc<[u8]> = self.contents.section(place.section, Kind::Values)?.into();
                self.last = Some((place.section, bytes.clone()));
                bytes
            }
        };
        let (at, length) = (place.at as usize, place.length as usize);
        let range = at.checked_add(length).filter(|end| *end <= section.len()).map(|end| at..end);
        let range = range.ok_or_else(|| StateError::damaged("values", "they are beyond the end"))?;
        Ok((section, range))
    }
}

fn json<T: serde::de::DeserializeOwned, R: Read + Seek>(
    contents: &mut Contents<R>,
    kind: Kind,
    part: &'static str,
) -> Result<T, StateError> {
    let bytes = contents.only(kind)?.ok_or_else(|| StateError::damaged(part, "it is not there"))?;
    serde_json::from_slice(&bytes).map_err(|error| StateError::damaged(part, error))
}
