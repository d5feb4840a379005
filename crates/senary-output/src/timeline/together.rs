//! One time line of those of several processes.
//!
//! Their intervals begin at whole seconds of the clock on the wall, and longer ones at multiples of their length, so those
//! that belong together begin at the same moment and add up exactly, as far as the clocks of the machines agree.

use senary_metrics::threshold::WatchList;
use senary_metrics::{MetricType, Registry, Timestamp};

use super::cell::Cell;
use super::track::{Nature, Part, TrackId};
use super::written::Written;
use super::{MAX_BYTES, MAX_INTERVALS, Timeline, TimelineConfig, floor};

/// The tag that tells the series of instances apart.
const INSTANCE: &str = "instance";
/// Gauges of what every process has its own of: that of all is the sum, not the latest value.
const OWN_GAUGES: [&str; 5] = ["vus", "vus_max", "senary_memory", "senary_open_files", "senary_open_sockets"];
/// Each process has workers of its own with these numbers.
const WORKER: &str = "worker";

/// How a process takes part in the time line of all.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// What its own series are told by.
    pub name: &'a str,
    /// Metrics that it has series of its own of.
    pub own: &'a [&'a str],
    /// A tag whose values are not told apart in totals: there are too many of them.
    pub without_tag: Option<&'a str>,
    /// Whether more of it may come: it may have more to say of its last interval.
    pub may_change: bool,
}

impl Timeline {
    /// A time line for those of other processes.
    pub fn of_many() -> Self {
        let (registry, watched) = (Registry::new(), WatchList::default());
        Self::aligned(TimelineConfig { registry, watched, by_scenario: false }, MAX_BYTES)
    }

    /// The same series without samples, each in its place: what is added to it comes where readers expect it.
    pub fn emptied(&self) -> Self {
        let mut emptied = Self::of_many();
        for track in &self.tracks {
            let mut track = track.clone();
            track.clear();
            emptied.by_id.insert(track.id.clone(), emptied.tracks.len() as u32);
            emptied.tracks.push(track);
        }
        emptied
    }

    /// Adds the time line of an instance of the test.
    pub fn add_instance(&mut self, other: Written, of: Member<'_>) {
        self.add_written(other, Some(of));
        self.settle();
    }

    /// When its first interval begins.
    pub fn base(&self) -> Option<Timestamp> {
        self.base
    }

    /// Adds another part of the run, or, with a member, an instance of it.
    pub(super) fn add_written(&mut self, mut other: Written, of: Option<Member<'_>>) {
        let shift = self.fit(&mut other);
        self.left_out = self.left_out.saturating_add(other.left_out);
        for (id, nature, mut cells) in other.tracks {
            let is_own_gauge = nature.kind == MetricType::Gauge && OWN_GAUGES.contains(&&*id.metric);
            match of {
                Some(_) if id.tags.iter().any(|(key, _)| key == WORKER) => continue,
                Some(_) if is_own_gauge => cells = without_gaps(cells),
                _ => {}
            }
            if let Some(of) = of.filter(|of| id.part == Part::Whole && of.own.contains(&&*id.metric)) {
                let tags = vec![(INSTANCE.to_owned(), of.name.to_owned())];
                let own = TrackId { metric: id.metric.clone(), tags, part: Part::Tag };
                self.put(own, nature, cells.clone(), shift, false);
            }
            self.put(id, nature, cells, shift, is_own_gauge && of.is_some());
        }
        let tag = of.and_then(|of| of.without_tag);
        let totals = other.series_totals.into_iter();
        self.series_totals.merge(totals.map(|total| match tag {
            Some(tag) => total.without(tag),
            None => total,
        }));
        self.intervals = self.intervals.max(shift + other.intervals);
        if let Some(step) = of.filter(|of| of.may_change).map(|_| self.step) {
            let last = other.base.map(|base| base.0.saturating_add(i64::from(other.intervals) * step - step));
            let last = last.or(self.base.map(|base| base.0)).map(Timestamp);
            self.settled = [self.settled, last].into_iter().flatten().min();
        }
    }

    /// How many of the first intervals no process will add to.
    pub fn settled(&self) -> u32 {
        self.settled.map_or(self.intervals, |settled| self.intervals_until(settled))
    }

    /// How many intervals are over at a moment.
    pub fn intervals_until(&self, moment: Timestamp) -> u32 {
        let since = moment.0.saturating_sub(self.base.map_or(moment.0, |base| base.0)).max(0);
        u32::try_from(since / self.step).unwrap_or(u32::MAX).min(self.intervals)
    }

    /// When an interval begins.
    pub fn moment_of(&self, interval: u32) -> Option<Timestamp> {
        Some(Timestamp(self.base?.0.saturating_add(i64::from(interval).saturating_mul(self.step))))
    }

    fn put(&mut self, id: TrackId, nature: Nature, cells: Vec<(u32, Cell)>, shift: u32, beside: bool) {
        let Some(at) = self.track(id, nature) else { return };
        let track = &mut self.tracks[at as usize];
        let kind = track.nature.kind;
        let fitting = cells.into_iter().filter(|(_, cell)| cell.is_of(kind));
        let placed = fitting.map(|(interval, cell)| (interval.saturating_add(shift), cell));
        match beside {
            true => track.close_beside(placed),
            false => placed.for_each(|(interval, cell)| track.close(interval, cell)),
        }
    }

    /// Makes intervals of both equally long, and so long that there are not too many; then the first ones begin at the same
    /// moment, or the second's so many later as is given back.
    fn fit(&mut self, other: &mut Written) -> u32 {
        let Some(theirs) = other.base else { return 0 };
        if self.base.is_none() {
            self.step = self.step.max(other.step);
        }
        let own = self.base.unwrap_or(floor(theirs, self.step));
        self.base = Some(own);
        let first = own.min(theirs).0;
        let own_end = own.0.saturating_add(i64::from(self.intervals) * self.step);
        let last = own_end.max(other.end().unwrap_or(theirs).0);
        let length = last.saturating_sub(first);
        // Those that begin earlier when they are longer may make one more of them.
        while self.step < other.step || length / self.step + 1 >= i64::from(MAX_INTERVALS) {
            self.fold();
        }
        while other.step < self.step {
            other.fold();
        }
        // Folding may have moved both.
        let (own, theirs) = (self.base.unwrap_or(own).0, other.base.unwrap_or(theirs).0);
        let apart = theirs.saturating_sub(own).div_euclid(self.step);
        if apart < 0 {
            let by = u32::try_from(apart.unsigned_abs()).unwrap_or(u32::MAX);
            self.tracks.iter_mut().for_each(|track| track.shift(by));
            self.base = Some(Timestamp(own.saturating_sub(i64::from(by).saturating_mul(self.step))));
            self.intervals = self.intervals.saturating_add(by);
        }
        u32::try_from(apart).unwrap_or_default()
    }
}

/// A gauge that was not told in an interval is still what it was: else it would be missing in the sum.
fn without_gaps(cells: Vec<(u32, Cell)>) -> Vec<(u32, Cell)> {
    let mut all: Vec<(u32, Cell)> = Vec::with_capacity(cells.len());
    for (interval, cell) in cells {
        if let Some((at, Cell::Gauge { last, at: time, .. })) = all.last() {
            let (from, still) = (*at + 1, Cell::Gauge { last: *last, at: *time, min: *last, max: *last });
            all.extend((from..interval).map(|gap| (gap, still.clone())));
        }
        all.push((interval, cell));
    }
    all
}
