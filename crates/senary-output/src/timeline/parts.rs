//! What each time series comes to in the whole run, so that tables can tell apart the values of any tag. Nothing of it is
//! told over time.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use senary_metrics::{Series, TagSet, Timestamp};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, OpenCell};
use super::track::{Nature, Part, Track, TrackId};

/// Time series that are kept; an open trend takes 8 KiB.
const MAX_SERIES: usize = 512;
/// A tag with more values tells nothing in a table, such as a URL with a number in it.
const MAX_VALUES: usize = 24;
/// Rows that all tags may make together.
const MAX_ROWS: usize = 2000;

/// The totals of all time series, as far as there is room.
#[derive(Debug, Default)]
pub(super) struct SeriesTotals {
    known: FxHashMap<(u32, TagSet), Option<u32>>,
    totals: Vec<SeriesTotal>,
}

#[derive(Debug)]
struct SeriesTotal {
    metric: String,
    nature: Nature,
    tags: BTreeMap<String, String>,
    open: Option<OpenCell>,
    closed: Option<Cell>,
}

/// As it is written to a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WrittenTotal {
    pub metric: String,
    nature: Nature,
    tags: BTreeMap<String, String>,
    total: Cell,
}

/// What a series comes to.
pub struct SeriesSum<'a> {
    pub metric: &'a str,
    pub tags: &'a BTreeMap<String, String>,
    pub cell: Cell,
}

impl SeriesTotals {
    /// The place of a series. `None` if it has no tag that could tell it from others, or is one too many.
    pub fn place(&mut self, series: &Series, metric: &str, nature: Nature) -> Option<u32> {
        if series.tags.is_empty() || nature.own {
            return None;
        }
        let known = (series.metric.0, series.tags.clone());
        if let Some(place) = self.known.get(&known) {
            return *place;
        }
        let tags = series.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let place = self.new_total(metric, nature, tags, None);
        // Those that found no room are not remembered without end, either.
        if place.is_some() || self.known.len() < 4 * MAX_SERIES {
            self.known.insert(known, place);
        }
        place
    }

    fn new_total(
        &mut self,
        metric: &str,
        nature: Nature,
        tags: BTreeMap<String, String>,
        closed: Option<Cell>,
    ) -> Option<u32> {
        if self.totals.len() >= MAX_SERIES {
            return None;
        }
        self.totals.push(SeriesTotal { metric: metric.to_owned(), nature, tags, open: None, closed });
        Some(self.totals.len() as u32 - 1)
    }

    pub fn add(&mut self, place: u32, value: f64, time: Timestamp) {
        let total = &mut self.totals[place as usize];
        match &mut total.open {
            Some(open) => open.add(value, time),
            None => total.open = Some(OpenCell::of(total.nature.kind, value, time)),
        }
    }

    pub fn sums(&self) -> impl Iterator<Item = SeriesSum<'_>> {
        self.totals.iter().filter_map(|total| {
            Some(SeriesSum { metric: &total.metric, tags: &total.tags, cell: total.cell()? })
        })
    }

    /// A track without intervals for each value of each tag.
    pub fn by_value(&self) -> Vec<Track> {
        let mut of: BTreeMap<(&str, &str), BTreeMap<&str, (Nature, Cell)>> = BTreeMap::new();
        for total in &self.totals {
            let Some(cell) = total.cell() else { continue };
            for (key, value) in total.tags.iter().filter(|(_, value)| !value.is_empty()) {
                let values = of.entry((&total.metric, key)).or_default();
                match values.get_mut(value.as_str()) {
                    Some((_, known)) => known.merge(&cell),
                    None => drop(values.insert(value, (total.nature, cell.clone()))),
                }
            }
        }
        let told = of.into_iter().filter(|(_, values)| values.len() <= MAX_VALUES);
        let tracks = told.flat_map(|((metric, key), values)| {
            values.into_iter().map(move |(value, (nature, cell))| {
                let tags = vec![(key.to_owned(), value.to_owned())];
                let mut track =
                    Track::new(TrackId { metric: metric.to_owned(), tags, part: Part::Value }, nature);
                track.close(0, cell);
                track
            })
        });
        tracks.take(MAX_ROWS).collect()
    }

    pub fn written(&self) -> Vec<WrittenTotal> {
        let written = self.totals.iter().filter_map(|total| {
            let (metric, nature, tags) = (total.metric.clone(), total.nature, total.tags.clone());
            Some(WrittenTotal { metric, nature, tags, total: total.cell()? })
        });
        written.collect()
    }

    /// Adds those of another part of the run.
    pub fn merge(&mut self, others: impl IntoIterator<Item = WrittenTotal>) {
        for other in others {
            let WrittenTotal { metric, nature, tags, total } = other;
            let is_same =
                |own: &SeriesTotal| own.metric == metric && own.tags == tags && own.nature == nature;
            match self.totals.iter_mut().find(|own| is_same(own)) {
                Some(own) => match &mut own.closed {
                    Some(closed) => closed.merge(&total),
                    None => own.closed = Some(total),
                },
                None => drop(self.new_total(&metric, nature, tags, Some(total))),
            }
        }
    }
}

impl WrittenTotal {
    /// Whether it can be the sum of samples.
    pub fn is_sound(&self) -> bool {
        self.total.is_of(self.nature.kind) && self.total.is_sound()
    }

    /// The same, not told apart by a tag.
    pub fn without(mut self, tag: &str) -> Self {
        self.tags.remove(tag);
        self
    }
}

impl SeriesTotal {
    fn cell(&self) -> Option<Cell> {
        let open = self.open.clone().map(OpenCell::close);
        match (open, &self.closed) {
            (Some(mut open), Some(closed)) => {
                open.merge(closed);
                Some(open)
            }
            (open, closed) => open.or_else(|| closed.clone()),
        }
    }
}
