//! Samples on their way from a worker to their consumers.
//!
//! Each worker owns one [`Recorder`]. Recording is an array push: the metric and its tags were turned into a
//! [`SeriesId`] beforehand, once per series. Batches carry the definitions of the series that are new in
//! them, so consumers need no shared table and no lock.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::metric::MetricId;
use crate::tags::{Epoch, TagInterner, TagSet, TagSetId};

/// Wall-clock time in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Which recorder a batch comes from; dense, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerId(pub u32);

/// A time series (one metric with one tag set) within one recorder; dense, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(pub u32);

/// The definition of a series. `batch.new_series[i]` defines the next dense [`SeriesId`] of that producer.
#[derive(Clone, Debug)]
pub struct Series {
    pub metric: MetricId,
    pub tags: TagSet,
}

/// Non-indexed facts of a sample (`vu`, `iter`, what a script sets), sorted by key.
pub type Metadata = Arc<[(Arc<str>, Arc<str>)]>;

/// One measured value.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub series: SeriesId,
    /// 0: none; otherwise `batch.metadata[n - 1]`, as [`metadata_index`](Self::metadata_index) says.
    pub metadata: u32,
    pub value: f64,
    pub time: Timestamp,
}

/// What a recorder gathered since its last batch, in the order it was recorded.
#[derive(Clone, Debug)]
pub struct SampleBatch {
    pub producer: ProducerId,
    /// The producer counts its series from 0 again: consumers forget those they know of it.
    pub restarts: bool,
    pub new_series: Vec<Series>,
    pub samples: Vec<Sample>,
    pub metadata: Vec<Metadata>,
}

impl SampleBatch {
    /// The metadata of a sample of this batch.
    pub fn metadata_of(&self, sample: &Sample) -> Option<&Metadata> {
        sample.metadata_index().and_then(|at| self.metadata.get(at))
    }

    /// The batch without its samples, for a consumer that cannot take them: later batches build on the series it defines.
    /// `None` if it defines nothing.
    pub fn definitions(&self) -> Option<Self> {
        (self.restarts || !self.new_series.is_empty()).then(|| Self {
            producer: self.producer,
            restarts: self.restarts,
            new_series: self.new_series.clone(),
            samples: Vec::new(),
            metadata: Vec::new(),
        })
    }
}

impl Sample {
    /// Which entry of the batch's metadata is this sample's.
    pub fn metadata_index(&self) -> Option<usize> {
        (self.metadata as usize).checked_sub(1)
    }
}

/// A recorder that knows more series, or tag sets, than this forgets them all: a test that puts ever new values into its
/// tags takes time, not memory.
pub const MAX_SERIES: usize = 50_000;

/// Gathers the samples of one worker.
#[derive(Debug)]
pub struct Recorder {
    producer: ProducerId,
    restarts: bool,
    tags: TagInterner,
    series: FxHashMap<(MetricId, TagSetId), SeriesId>,
    new_series: Vec<Series>,
    samples: Vec<Sample>,
    metadata: Vec<Metadata>,
}

impl Recorder {
    pub fn new(producer: ProducerId) -> Self {
        Self {
            producer,
            restarts: false,
            tags: TagInterner::default(),
            series: FxHashMap::default(),
            new_series: Vec::new(),
            samples: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Interns a tag set.
    pub fn intern(&mut self, tags: &TagSet) -> TagSetId {
        self.tags.intern(tags)
    }

    /// The set of `base` with further tags, which win over those it has.
    pub fn derive<'a>(
        &mut self,
        base: TagSetId,
        tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> TagSetId {
        self.tags.derive(base, tags)
    }

    /// The tag set of an id this recorder gave out.
    pub fn tags(&self, id: TagSetId) -> &TagSet {
        self.tags.get(id)
    }

    /// The series of a metric with these tags; keep the id where the pair stays the same.
    pub fn series(&mut self, metric: MetricId, tags: TagSetId) -> SeriesId {
        let next = SeriesId(self.series.len() as u32);
        let id = *self.series.entry((metric, tags)).or_insert(next);
        if id == next {
            self.new_series.push(Series { metric, tags: self.tags.get(tags).clone() });
        }
        id
    }

    pub fn record(&mut self, series: SeriesId, value: f64, time: Timestamp) {
        self.samples.push(Sample { series, metadata: 0, value, time });
    }

    /// As [`record`](Self::record), with metadata; the same `Arc` given several times in a row is kept once.
    pub fn record_with(&mut self, series: SeriesId, value: f64, time: Timestamp, metadata: &Metadata) {
        if !self.metadata.last().is_some_and(|last| Arc::ptr_eq(last, metadata)) {
            self.metadata.push(metadata.clone());
        }
        self.samples.push(Sample { series, metadata: self.metadata.len() as u32, value, time });
    }

    /// The epoch of the ids that are given out now.
    pub fn epoch(&self) -> Epoch {
        self.tags.epoch()
    }

    /// Begins a new epoch if there are more than [`MAX_SERIES`]. To be called only when no code is between asking for
    /// an id and using it, and nothing is pending; ids kept for longer are compared with [`epoch`](Self::epoch).
    pub fn forget_if_full(&mut self) {
        let is_full = self.series.len() > MAX_SERIES || self.tags.len() > MAX_SERIES;
        if is_full && self.samples.is_empty() {
            self.tags.forget();
            self.series = FxHashMap::default();
            self.new_series = Vec::new();
            self.restarts = true;
        }
    }

    /// Samples recorded since the last batch.
    pub fn pending(&self) -> usize {
        self.samples.len()
    }

    /// Takes what was recorded since the last call; `None` if that is nothing.
    pub fn take_batch(&mut self) -> Option<SampleBatch> {
        if self.samples.is_empty() {
            return None;
        }
        let room = self.samples.len().min(4096);
        Some(SampleBatch {
            producer: self.producer,
            restarts: std::mem::take(&mut self.restarts),
            new_series: std::mem::take(&mut self.new_series),
            samples: std::mem::replace(&mut self.samples, Vec::with_capacity(room)),
            metadata: std::mem::take(&mut self.metadata),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::builtin;

    #[test]
    fn a_recorder_that_is_full_starts_over() {
        let mut recorder = Recorder::new(ProducerId(0));
        let base = recorder.intern(&TagSet::new([("a", "b")]));
        let record = |recorder: &mut Recorder, n: usize| {
            let base = recorder.intern(&TagSet::new([("a", "b")]));
            let tags = recorder.derive(base, [("id", n.to_string().as_str())].into_iter());
            let series = recorder.series(builtin::ITERATIONS, tags);
            recorder.record(series, 1.0, Timestamp(0));
            series
        };
        for n in 0..MAX_SERIES {
            record(&mut recorder, n);
        }
        assert!(!recorder.take_batch().unwrap().restarts);
        recorder.forget_if_full();
        assert!(!base.is_of(recorder.epoch()), "the base itself is one too many");
        assert_eq!(record(&mut recorder, 7), SeriesId(0));
        let batch = recorder.take_batch().unwrap();
        assert!(batch.restarts);
        assert_eq!(batch.new_series[0].tags, TagSet::new([("a", "b"), ("id", "7")]));
        record(&mut recorder, 8);
        recorder.forget_if_full();
        assert!(!recorder.take_batch().unwrap().restarts, "there is room");
    }
}
