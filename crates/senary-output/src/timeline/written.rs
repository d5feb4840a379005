//! A time line as it is stored. What was stored may come from anywhere, so nothing of it is trusted.

use senary_metrics::Timestamp;
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::parts::WrittenTotal;
use super::track::{Nature, TrackId, folded};
use super::{MAX_INTERVALS, SECOND, SharedTimeline, Timeline, lead};

/// The first byte of what is stored: readers of an encoding cannot read others.
const ENCODING: u8 = 1;
/// The longest interval, in seconds: more than a century.
const LONGEST: i64 = 1 << 32;

/// Why a time line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedTimeline {
    #[error("its intervals are {0} ns long, which is not a second times a power of two")]
    Step(i64),
    #[error("it has {0} intervals, more than any time line")]
    Intervals(u32),
    #[error("the series {0} has what no samples come to")]
    Cells(String),
    #[error("{0}")]
    Encoding(String),
}

/// A time line as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    /// When the first interval begins; `None` if there was no sample yet.
    pub(super) base: Option<Timestamp>,
    /// Nanoseconds of an interval.
    pub(super) step: i64,
    pub(super) intervals: u32,
    pub(super) left_out: u64,
    pub(super) tracks: Vec<(TrackId, Nature, Vec<(u32, Cell)>)>,
    pub(super) series_totals: Vec<WrittenTotal>,
}

impl Written {
    /// The bytes of a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DamagedTimeline> {
        postcard::to_extend(self, vec![ENCODING]).map_err(encoding)
    }

    /// Reads the bytes of a file; `None` if a later program has written them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, DamagedTimeline> {
        let Some((&ENCODING, bytes)) = bytes.split_first() else { return Ok(None) };
        let written: Self = postcard::from_bytes(bytes).map_err(encoding)?;
        written.check()?;
        Ok(Some(written))
    }

    /// How many intervals it has, and where the last one ends.
    pub fn end(&self) -> Option<Timestamp> {
        Some(Timestamp(self.base?.0.saturating_add(i64::from(self.intervals) * self.step)))
    }

    fn check(&self) -> Result<(), DamagedTimeline> {
        let Self { step, intervals, .. } = *self;
        if step < SECOND || step % SECOND != 0 || !is_length(step / SECOND) {
            return Err(DamagedTimeline::Step(step));
        }
        if intervals > MAX_INTERVALS {
            return Err(DamagedTimeline::Intervals(intervals));
        }
        for (id, nature, cells) in &self.tracks {
            let is_in_order = cells.is_sorted_by(|(a, _), (b, _)| a < b);
            let is_within = cells.last().is_none_or(|(at, _)| *at < intervals);
            let are_sound = cells.iter().all(|(_, cell)| cell.is_of(nature.kind) && cell.is_sound());
            if !(is_in_order && is_within && are_sound) {
                return Err(DamagedTimeline::Cells(id.text()));
            }
        }
        match self.series_totals.iter().find(|total| !total.is_sound()) {
            Some(total) => Err(DamagedTimeline::Cells(total.metric.clone())),
            None => Ok(()),
        }
    }

    /// Makes one interval of each two, which begin where those of others do.
    pub(super) fn fold(&mut self) {
        let lead = self.base.map_or(0, |base| lead(base, self.step));
        for (_, _, cells) in &mut self.tracks {
            *cells = folded(std::mem::take(cells), lead);
        }
        let earlier = |base: Timestamp| Timestamp(base.0.saturating_sub(i64::from(lead) * self.step));
        self.base = self.base.map(earlier);
        self.step = self.step.saturating_mul(2);
        self.intervals = (self.intervals + lead).div_ceil(2);
    }
}

fn encoding(error: postcard::Error) -> DamagedTimeline {
    DamagedTimeline::Encoding(error.to_string())
}

/// Whether so many seconds are an interval.
fn is_length(seconds: i64) -> bool {
    seconds.count_ones() == 1 && seconds <= LONGEST
}

impl Timeline {
    /// All of it, for a file.
    pub fn written(&self) -> Written {
        let tracks = self.tracks.iter().map(|track| (track.id.clone(), track.nature, track.cells(0)));
        Written { tracks: tracks.collect(), series_totals: self.series_totals.written(), ..self.outline() }
    }

    /// What is written of it besides series.
    fn outline(&self) -> Written {
        let Self { base, step, intervals, left_out, .. } = *self;
        Written { base, step, intervals, left_out, tracks: Vec::new(), series_totals: Vec::new() }
    }
}

impl SharedTimeline {
    /// All of it, for a file. The lock is held for one series at a time, so that the collector does not wait for long.
    pub fn written(&self) -> Written {
        loop {
            let (mut written, count) = {
                let timeline = self.lock();
                (timeline.outline(), timeline.tracks.len())
            };
            for at in 0..count {
                let timeline = self.lock();
                if timeline.step != written.step {
                    break;
                }
                let track = &timeline.tracks[at];
                let mut cells = track.cells(0);
                // What came meanwhile is of the next state.
                cells.retain(|(interval, _)| *interval < written.intervals);
                written.tracks.push((track.id.clone(), track.nature, cells));
            }
            // Else intervals have become longer meanwhile.
            if written.tracks.len() == count {
                written.series_totals = self.lock().series_totals.written();
                return written;
            }
        }
    }
}
