//! What a consumer of batches knows of each series.
//!
//! A producer names each series once, in `new_series`, and may start over (`restarts`). A consumer that keeps something
//! per series has to follow that exactly; it is done here, once for all consumers.

use crate::sample::{Sample, SampleBatch, Series};

/// A value for each series of each producer.
#[derive(Clone, Debug)]
pub struct SeriesMap<T> {
    producers: Vec<Vec<T>>,
}

impl<T> Default for SeriesMap<T> {
    fn default() -> Self {
        Self { producers: Vec::new() }
    }
}

impl<T> SeriesMap<T> {
    /// Takes in the series that are new in a batch. Every batch has to be learned, in the order of its producer.
    pub fn learn(&mut self, batch: &SampleBatch, value_of: impl FnMut(&Series) -> T) {
        let producer = batch.producer.0 as usize;
        if self.producers.len() <= producer {
            self.producers.resize_with(producer + 1, Vec::new);
        }
        let known = &mut self.producers[producer];
        if batch.restarts {
            known.clear();
        }
        known.extend(batch.new_series.iter().map(value_of));
    }

    /// How many series are known at the moment.
    pub fn series(&self) -> usize {
        self.producers.iter().map(Vec::len).sum()
    }

    /// The samples of a batch that was learned, each with the value of its series.
    pub fn samples<'a>(&'a self, batch: &'a SampleBatch) -> impl Iterator<Item = (&'a T, &'a Sample)> {
        let known = self.producers.get(batch.producer.0 as usize).map_or(&[][..], Vec::as_slice);
        batch.samples.iter().filter_map(move |sample| Some((known.get(sample.series.0 as usize)?, sample)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::MetricId;
    use crate::sample::{ProducerId, Recorder, Timestamp};
    use crate::tags::TagSet;

    fn batch_of(recorder: &mut Recorder, names: &[&str]) -> SampleBatch {
        for name in names {
            let tags = recorder.intern(&TagSet::new([("name", *name)]));
            let series = recorder.series(MetricId(0), tags);
            recorder.record(series, 1.0, Timestamp(0));
        }
        recorder.take_batch().unwrap()
    }

    fn learned(map: &mut SeriesMap<String>, batch: &SampleBatch) -> Vec<String> {
        map.learn(batch, |series| series.tags.get("name").unwrap_or_default().to_owned());
        map.samples(batch).map(|(name, _)| name.clone()).collect()
    }

    #[test]
    fn series_are_known_by_their_producer_and_from_its_last_beginning() {
        let mut map = SeriesMap::default();
        let (mut first, mut second) = (Recorder::new(ProducerId(3)), Recorder::new(ProducerId(1)));
        assert_eq!(learned(&mut map, &batch_of(&mut first, &["a", "b", "a"])), ["a", "b", "a"]);
        assert_eq!(learned(&mut map, &batch_of(&mut second, &["c"])), ["c"]);
        assert_eq!(learned(&mut map, &batch_of(&mut first, &["b", "d"])), ["b", "d"]);
        let mut anew = SampleBatch { restarts: true, ..batch_of(&mut Recorder::new(ProducerId(3)), &["e"]) };
        assert_eq!(learned(&mut map, &anew), ["e"]);
        assert_eq!(learned(&mut map, &batch_of(&mut second, &["c", "f"])), ["c", "f"]);
        // A sample of a series that was never defined is ignored.
        anew.new_series.clear();
        assert_eq!(learned(&mut map, &anew), [""; 0]);
        assert_eq!(map.series(), 2);
    }
}
